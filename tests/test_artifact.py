"""Saved models: they come back as they were, and nothing else does."""

from __future__ import annotations

import collections
import datetime as dt
import functools
import json
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import rasterio
import sklearn
import xarray as xr
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import DBSCAN, MiniBatchKMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

import pixelwise as pw
from pixelwise.artifact import save_artifact
from pixelwise.errors import ArtifactError, PixelwiseWarning
from pixelwise.stored import artifact_info, load_artifact

FOREST = RandomForestClassifier(n_estimators=5, random_state=0)
BLOCKS = pw.SpatialBlockGroupKFold(n_splits=2, block_size=200, crs="EPSG:32633")
NDVI = pw.indices.AppendIndex(pw.indices.NDVI(red="B04", nir="B08"))
MODELS = {
    "forest": pw.PixelwiseClassifier(FOREST),
    "boosting": pw.PixelwiseClassifier(HistGradientBoostingClassifier(max_iter=3)),
    "logistic": pw.PixelwiseClassifier(LogisticRegression(), nan=pw.NanPolicy(sentinels={"B02": -1.0}, valid_range=(0, 1e4))),
    "svc": pw.PixelwiseClassifier(SVC()),
    "ridge": pw.PixelwiseRegressor(Ridge()),
    "pca": pw.PixelwiseTransformer(PCA(2)),
    "clusters": pw.PixelwiseClusterer(MiniBatchKMeans(2, n_init=1, random_state=0)),
    "pipeline inside": pw.PixelwiseClassifier(make_pipeline(StandardScaler(), LogisticRegression())),
    "operators outside": make_pipeline(NDVI, pw.PixelwiseClassifier(FOREST, adapter=pw.ToPixelMajor(), nan="impute")),
    "search outside": GridSearchCV(pw.PixelwiseClassifier(FOREST), {"nan": ["mask", "impute"]}, cv=BLOCKS, scoring="f1_macro"),
    "search inside": pw.PixelwiseClassifier(GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, cv=BLOCKS)),
}  # fmt: skip


@pytest.fixture(scope="module")
def pixels(example: tuple[Path, Path]) -> tuple[pw.PixelTable, np.ndarray]:
    X, y = pw.extract_pixels(*example, column="class")
    return X[::5], y[::5]


@pytest.fixture
def fitted(pixels: tuple[pw.PixelTable, np.ndarray]) -> pw.PixelwiseClassifier:
    return pw.PixelwiseClassifier(FOREST).fit(*pixels)


@pytest.fixture
def saved(fitted: pw.PixelwiseClassifier, tmp_path: Path) -> Path:
    return save_artifact(fitted, tmp_path / "model.pixelwise", metadata={"scene": "made up"})


def results(model: Any, raster: Any) -> list[xr.DataArray]:
    methods = [name for name in ("predict", "predict_proba", "transform") if hasattr(model, name)]
    return [getattr(model, name)(raster) for name in methods]


def changed(path: Path, **files: bytes | None) -> Path:
    """Rewrite an archive with other members; None leaves one out."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members.update({name.replace("__", "."): content for name, content in files.items()})
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            if content is not None:
                archive.writestr(name, content)
    return path


def with_info(path: Path, **changes: Any) -> Path:
    return changed(path, pixelwise__json=json.dumps({**artifact_info(path), **changes}).encode())


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
def test_a_model_comes_back_with_the_same_predictions(model: Any, pixels: Any, raster: xr.DataArray, tmp_path: Path) -> None:
    X, y = pixels
    model = sklearn.clone(model).fit(X, (y == "water").astype(float) if isinstance(model, pw.PixelwiseRegressor) else y)
    again = load_artifact(save_artifact(model, tmp_path / "model.pixelwise"))
    assert repr(again) == repr(model)
    for before, after in zip(results(model, raster), results(again, raster), strict=True):
        xr.testing.assert_identical(before, after)


BOOSTERS = {"xgboost": "core", "lightgbm": "basic"}


@pytest.mark.parametrize("name", ["xgboost:XGBClassifier", "lightgbm:LGBMClassifier"])
def test_boosters_of_other_packages_come_back(name: str, pixels: Any, raster: xr.DataArray, tmp_path: Path) -> None:
    module, _, cls = name.partition(":")
    quiet = {"verbose": -1} if module == "lightgbm" else {}
    booster = getattr(pytest.importorskip(module), cls)(n_estimators=3, **quiet)
    X, y = pixels
    model = pw.PixelwiseClassifier(booster).fit(X, (y == "water").astype(int))
    path = save_artifact(model, tmp_path / "model.pixelwise")
    again = load_artifact(path, trusted=[f"{module}.sklearn.{cls}", f"{module}.{BOOSTERS[module]}.Booster"])
    assert any(name.startswith(module) for name in artifact_info(path)["versions"])
    xr.testing.assert_identical(again.predict(raster), model.predict(raster))


def test_a_bare_estimator_comes_back(pixels: Any, tmp_path: Path) -> None:
    X, y = pixels
    forest = sklearn.clone(FOREST).fit(np.asarray(X), y)
    path = save_artifact(forest, tmp_path / "forest.pixelwise")
    np.testing.assert_array_equal(load_artifact(path).predict(np.asarray(X)), forest.predict(np.asarray(X)))
    assert artifact_info(path)["layout"] is None


def test_a_model_comes_back_in_another_process(saved: Path, fitted: Any, raster: xr.DataArray, scene: Path) -> None:
    code = (
        f"import pixelwise as pw; from pixelwise.stored import load_artifact; "
        f"print(int((load_artifact({str(saved)!r}).predict(pw.open_raster({str(scene)!r})) == 1).sum()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == int((fitted.predict(raster) == 1).sum())


def test_the_info_says_what_one_has_to_know(saved: Path) -> None:
    info = artifact_info(saved)
    assert info["model"] == "pixelwise.estimators.supervised.PixelwiseClassifier"
    assert info["estimator"] == "sklearn.ensemble._forest.RandomForestClassifier"
    assert info["features"] == ["B02", "B03", "B04", "B08"]
    assert (info["n_features"], info["classes"]) == (4, ["forest", "water"])
    assert (info["dtype"], info["fill_value"], info["layout"]) == ("uint8", 255, "ToPixelMajor()")
    assert info["versions"]["scikit-learn"] == sklearn.__version__
    assert {"pixelwise", "python", "numpy", "skops"} <= set(info["versions"])
    assert info["metadata"] == {"scene": "made up"}
    assert dt.datetime.fromisoformat(info["created"]).tzinfo == dt.UTC


def test_the_info_names_operators_and_the_search_s_model(pixels: Any, tmp_path: Path) -> None:
    model = GridSearchCV(make_pipeline(NDVI, pw.PixelwiseClassifier(FOREST)), {"appendindex__name": ["a", "b"]}, cv=BLOCKS).fit(
        *pixels
    )
    info = artifact_info(save_artifact(model, tmp_path / "m.pixelwise"))
    assert info["model"].endswith("GridSearchCV")
    assert info["operators"] == ["AppendIndex(index=NDVI(nir='B08', red='B04'), name='a')"]
    assert info["features"] == ["B02", "B03", "B04", "B08", "a"]


def test_the_fill_of_a_float_map_is_told_in_plain_json(pixels: Any, tmp_path: Path) -> None:
    X, y = pixels
    info = artifact_info(save_artifact(pw.PixelwiseRegressor(Ridge()).fit(X, y == "water"), tmp_path / "m.pixelwise"))
    assert (info["dtype"], info["fill_value"]) == ("float32", "nan")


def test_a_clusterer_that_cannot_predict_is_saved_all_the_same(pixels: Any, tmp_path: Path) -> None:
    model = pw.PixelwiseClusterer(DBSCAN(eps=500)).fit(pixels[0])
    again = load_artifact(save_artifact(model, tmp_path / "m.pixelwise"))
    np.testing.assert_array_equal(again.labels_, model.labels_)


@pytest.mark.parametrize("model", [pw.PixelwiseClassifier(FOREST), RandomForestClassifier, FOREST])
def test_a_model_that_is_not_fitted_is_refused(model: Any, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="not fitted: call fit"):
        save_artifact(model, tmp_path / "m.pixelwise")


@pytest.mark.parametrize("name", ["missing/m.pixelwise", ""])
def test_a_destination_that_cannot_be_is_refused(fitted: Any, tmp_path: Path, name: str) -> None:
    with pytest.raises(ArtifactError, match="folder that exists"):
        save_artifact(fitted, tmp_path / name)


def test_an_unknown_format_is_refused(fitted: Any, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="'onnx' is not known"):
        save_artifact(fitted, tmp_path / "m", format="onnx")


@pytest.mark.parametrize("value", [{1, 2}, float("nan")])
def test_metadata_that_json_does_not_hold_is_refused(fitted: Any, tmp_path: Path, value: Any) -> None:
    with pytest.raises(ArtifactError, match="metadata"):
        save_artifact(fitted, tmp_path / "m.pixelwise", metadata={"what": value})
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_saved_is_refused_with_a_remedy(fitted: Any, tmp_path: Path) -> None:
    fitted.crs_ = rasterio.CRS.from_epsg(32633)
    with pytest.raises(ArtifactError, match=r"CRS.*'EPSG:32633'.*format='pickle'"):
        save_artifact(fitted, tmp_path / "m.pixelwise")
    assert list(tmp_path.iterdir()) == []


def test_a_function_without_a_name_is_refused_when_saved(pixels: Any, tmp_path: Path) -> None:
    model = pw.PixelwiseClassifier(make_pipeline(FunctionTransformer(lambda x: x), LogisticRegression(max_iter=5000))).fit(
        *pixels
    )
    with pytest.raises(ArtifactError, match=r"lambda.*module"):
        save_artifact(model, tmp_path / "m.pixelwise")


def test_a_failed_save_leaves_the_old_file(saved: Path, fitted: Any) -> None:
    before = saved.read_bytes()
    fitted.crs_ = rasterio.CRS.from_epsg(32633)
    with pytest.raises(ArtifactError):
        save_artifact(fitted, saved)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


class Stranger(ClassifierMixin, BaseEstimator):
    """An estimator of nobody that pixelwise knows."""

    def fit(self, X: Any, y: Any) -> Stranger:
        self.classes_, self.n_features_in_ = np.unique(y), 4
        self.kept_ = collections.OrderedDict(a=1)
        return self

    def predict(self, X: Any) -> np.ndarray:
        return np.full(len(X), self.classes_[0])


def test_an_unknown_type_is_refused_until_it_is_trusted_by_name(
    tmp_path: Path, pixels: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, Stranger.__module__, sys.modules[__name__])
    path = save_artifact(Stranger().fit(*pixels), tmp_path / "m.pixelwise")
    name = f"{Stranger.__module__}.Stranger"
    with pytest.raises(ArtifactError, match=r"not trusted: .*Stranger; .* trusted=\[") as caught:
        load_artifact(path)
    assert caught.value.values["types"] == [name]
    assert isinstance(load_artifact(path, trusted=[name]), Stranger)


@pytest.mark.parametrize("function", [subprocess.getoutput, functools.partial, warnings.warn], ids=lambda f: f.__name__)
def test_a_function_from_elsewhere_is_refused(tmp_path: Path, pixels: Any, function: Any) -> None:
    model = FunctionTransformer().fit(pixels[0])
    model.func = function
    with pytest.raises(ArtifactError, match=function.__name__):
        load_artifact(save_artifact(model, tmp_path / "m.pixelwise"))


def test_a_name_that_only_passes_through_a_known_module_is_refused(tmp_path: Path, pixels: Any) -> None:
    model = FunctionTransformer().fit(pixels[0])
    model.func = subprocess.getoutput
    path = save_artifact(model, tmp_path / "m.pixelwise")
    with zipfile.ZipFile(path) as archive:
        part = archive.read("model.skops")
    inner = tmp_path / "model.skops"
    inner.write_bytes(part)
    with zipfile.ZipFile(inner) as archive:
        schema = (
            archive.read("schema.json")
            .replace(b'"subprocess"', b'"sklearn.utils._testing"')
            .replace(b"getoutput", b"check_output")
        )
    changed(inner, schema__json=schema)
    changed(path, model__skops=inner.read_bytes())
    with_info(path, sha256=__import__("hashlib").sha256(inner.read_bytes()).hexdigest())
    with pytest.raises(ArtifactError, match="check_output"):
        load_artifact(path)


def test_a_pickle_is_loaded_with_permission_only(fitted: Any, raster: xr.DataArray, tmp_path: Path) -> None:
    path = save_artifact(fitted, tmp_path / "m.pixelwise", format="pickle")
    with pytest.raises(ArtifactError, match="allow_pickle=True"):
        load_artifact(path)
    xr.testing.assert_identical(load_artifact(path, allow_pickle=True).predict(raster), fitted.predict(raster))
    assert artifact_info(path)["versions"]["scikit-learn"] == sklearn.__version__


def test_another_scikit_learn_is_warned_of(saved: Path) -> None:
    with_info(saved, versions={**artifact_info(saved)["versions"], "scikit-learn": "0.1"})
    with pytest.warns(PixelwiseWarning, match=r"scikit-learn 0\.1"):
        load_artifact(saved)


def test_a_newer_format_asks_for_an_update(saved: Path) -> None:
    with_info(saved, format_version=99)
    with pytest.raises(ArtifactError, match="newer pixelwise"):
        load_artifact(saved)


def test_a_model_that_is_not_the_one_saved_is_refused(saved: Path) -> None:
    with_info(saved, sha256="0" * 64)
    with pytest.raises(ArtifactError, match="damaged"):
        load_artifact(saved)


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_a_file_cut_short_is_refused(saved: Path, kept: float) -> None:
    content = saved.read_bytes()
    saved.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(ArtifactError, match="cut short"):
        load_artifact(saved)


def test_flipped_bits_are_noticed(saved: Path) -> None:
    content = bytearray(saved.read_bytes())
    content[len(content) // 2] ^= 0xFF
    saved.write_bytes(bytes(content))
    with pytest.raises(ArtifactError):
        load_artifact(saved)


def test_a_foreign_file_is_refused(tmp_path: Path, scene: Path) -> None:
    for path in (scene, Path(joblib.dump([1], tmp_path / "a.joblib")[0])):
        with pytest.raises(ArtifactError, match="no artifact"):
            load_artifact(path)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("other.txt", "text")
    with pytest.raises(ArtifactError, match="no artifact"):
        artifact_info(tmp_path / "a.zip")


@pytest.mark.parametrize("name", ["missing.pixelwise", ""])
def test_a_file_that_cannot_be_read_is_an_error_of_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArtifactError, match="cannot be read") as caught:
        load_artifact(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_library_that_is_not_installed_is_named(tmp_path: Path, pixels: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "stranger_library", sys.modules[__name__])
    monkeypatch.setattr(Stranger, "__module__", "stranger_library")
    path = save_artifact(Stranger().fit(*pixels), tmp_path / "m.pixelwise")
    monkeypatch.delitem(sys.modules, "stranger_library")
    with pytest.raises(ArtifactError, match="stranger_library, which is not installed"):
        load_artifact(path, trusted=["stranger_library.Stranger"])
