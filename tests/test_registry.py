"""ModelRegistry: models on disk, loaded once, forgotten in time, shared by threads and sent to processes."""

from __future__ import annotations

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dask.array as dask
import geopandas as gpd
import joblib
import numpy as np
import pytest
import shapely
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeClassifier

import pixelwise as pw
from pixelwise.errors import ArtifactError, DispatchError
from pixelwise.operators.base import Operator

GRID = pw.Grid("EPSG:32633", (10, 0, 330_000, 0, -10, 5_822_040), 4, 30)


class Blur(Operator):
    """An operator that looks round."""

    halo = 3

    def apply(self, raster: pw.Raster) -> pw.Raster:
        return raster


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three models of other classes each, and one for the rest."""
    folder, saved = tmp_path_factory.mktemp("models"), {}
    for name, labels in {"a": ["x", "y"], "b": ["y", "z"], "c": ["w", "x"], "global": ["v", "w"]}.items():
        model = pw.PixelwiseClassifier(DummyClassifier(strategy="constant", constant=labels[1]))
        model.fit(np.zeros((2, 2)), labels)
        saved[name] = pw.save_artifact(model, folder / f"{name}.pixelwise")
    return saved


def strips(names: str, crs: int = 32633) -> gpd.GeoDataFrame:
    """Strips of ten pixels, from west to east."""
    boxes = [shapely.box(330_000 + 100 * at, 5_822_000, 330_100 + 100 * at, 5_822_040) for at in range(len(names))]
    return gpd.GeoDataFrame({"name": list(names)}, geometry=boxes, crs=crs)


def test_a_model_is_loaded_on_first_use_and_once(paths: dict[str, Path]) -> None:
    registry = pw.ModelRegistry(paths)
    assert (len(registry), list(registry), registry.loaded) == (4, ["a", "b", "c", "global"], ())
    assert "a" in registry
    assert "q" not in registry
    assert registry.loaded == ()
    assert registry["a"] is registry["a"]
    assert registry.loaded == ("a",)
    assert registry.classes("b") == ["y", "z"]
    assert registry.loaded == ("a",)


def test_the_model_used_least_recently_goes_first(paths: dict[str, Path]) -> None:
    registry = pw.ModelRegistry(paths, max_models=2)
    for name in ("a", "b", "a", "c"):
        _ = registry[name]
    assert registry.loaded == ("a", "c")
    assert "2 loaded" in repr(registry)


def test_models_in_memory_are_given_as_they_are(paths: dict[str, Path]) -> None:
    model = LinearRegression()
    registry = pw.ModelRegistry({"a": paths["a"], "b": model}, max_models=1)
    assert registry["b"] is model
    assert registry.loaded == ()
    assert registry.classes("b") is None


def test_threads_share_one_model(paths: dict[str, Path]) -> None:
    registry, start = pw.ModelRegistry(paths), threading.Barrier(8)

    def get(number: int) -> Any:
        start.wait()
        return registry["ab"[number % 2]]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(get, range(8)))
    assert len({id(model) for model in found}) == 2
    assert sorted(registry.loaded) == ["a", "b"]


def test_threads_stay_within_the_bound(paths: dict[str, Path]) -> None:
    registry = pw.ModelRegistry(paths, max_models=1)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda number: registry["abc"[number % 3]].classes_.tolist(), range(30)))
    assert found == [[["x", "y"], ["y", "z"], ["w", "x"]][number % 3] for number in range(30)]
    assert len(registry.loaded) == 1


def test_other_processes_get_the_paths_and_load_for_themselves(paths: dict[str, Path]) -> None:
    registry = pw.ModelRegistry(paths)
    _ = registry["a"]
    copy = pickle.loads(pickle.dumps(registry))
    assert copy.loaded == ()
    assert copy["a"].classes_.tolist() == ["x", "y"]
    found = joblib.Parallel(2)(joblib.delayed(lambda name: registry[name].classes_.tolist())(name) for name in "ab")
    assert found == [["x", "y"], ["y", "z"]]


def test_a_fork_begins_anew(paths: dict[str, Path]) -> None:
    registry = pw.ModelRegistry(paths)
    registry._process = -1
    with registry._lock:
        assert registry["a"].classes_.tolist() == ["x", "y"]


def test_the_widest_halo_is_found_without_loading_models_that_have_none(paths: dict[str, Path], tmp_path: Path) -> None:
    registry = pw.ModelRegistry(paths)
    assert (registry.halo, registry.loaded) == (0, ())
    assert pw.ModelRegistry({**paths, "d": pw.Sequential([Blur(), Blur()])}).halo == 6
    steps = pw.Sequential([pw.indices.NDVI(0, 1), pw.PixelwiseClassifier(DummyClassifier())]).fit(np.ones((2, 2)), [1, 2])
    on_disk = pw.ModelRegistry({"a": pw.save_artifact(steps, tmp_path / "steps.pixelwise")})
    assert (on_disk.halo, on_disk.loaded) == (0, ("a",))


@pytest.mark.parametrize(
    ("models", "options", "message"),
    [
        ({}, {}, "models={}: give a mapping"),
        (["a"], {}, "give a mapping"),
        ({"a": "b"}, {"max_models": 0}, "max_models=0"),
        ({"a": 3}, {}, r"models\['a'\] is 3: give a fitted model"),
    ],
)
def test_wrong_arguments_are_refused(models: Any, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pw.ModelRegistry(models, **options)


def test_what_cannot_be_loaded_says_so(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("no model")
    registry = pw.ModelRegistry({"a": tmp_path / "none", "b": tmp_path / "bad"})
    with pytest.raises(ArtifactError, match="none cannot be read"):
        _ = registry["a"]
    with pytest.raises(ArtifactError, match="bad is no artifact"):
        _ = registry["b"]
    with pytest.raises(KeyError):
        _ = registry["c"]


def test_pickles_need_permission(tmp_path: Path) -> None:
    path = pw.save_artifact(LinearRegression().fit([[0.0], [1.0]], [0, 1]), tmp_path / "p", format="pickle")
    with pytest.raises(ArtifactError, match="allow_pickle=True"):
        _ = pw.ModelRegistry({"a": path})["a"]
    assert isinstance(pw.ModelRegistry({"a": path}, allow_pickle=True)["a"], LinearRegression)


# ---------------------------------------------------------------------- as the models of a RegionalEstimator


def test_a_regional_estimator_predicts_by_polygons_with_a_registry(paths: dict[str, Path], tmp_path: Path) -> None:
    registry = pw.ModelRegistry(paths, max_models=2)
    model = pw.RegionalEstimator(registry, strips("ab"), column="name")
    raster = pw.rewrap(pw.Raster(np.ones((2, 4, 30), "float32"), GRID), np.zeros((1, 1, 1)))
    raster = pw.Raster(raster, GRID)
    made = model.predict(raster)
    assert model.classes_.tolist() == ["v", "w", "x", "y", "z"]
    # Classes y, z, and w of the model of the rest.
    assert made.values[0].tolist() == [3] * 10 + [4] * 10 + [1] * 10
    assert len(registry.loaded) == 2
    probability = model.predict_proba(raster)
    assert probability.bands == ("v", "w", "x", "y", "z")
    np.testing.assert_array_equal(probability.values.argmax(axis=0), made.values)
    back = pw.load_artifact(pw.save_artifact(model, tmp_path / "regional.pixelwise"))
    np.testing.assert_array_equal(back.predict(raster).values, made.values)
    with pytest.raises(TypeError, match="a ModelRegistry holds fitted models"):
        model.fit(np.zeros((2, 2)), [0, 1])


def test_lazy_rasters_are_given_the_widest_halo_of_a_registry(paths: dict[str, Path]) -> None:
    class Mean(Blur):
        def apply(self, raster: pw.Raster) -> pw.Raster:
            wide = np.pad(raster.values, ((0, 0), (0, 0), (3, 3)), mode="edge")
            return raster.with_values(sum(wide[..., at : at + raster.grid.width] for at in range(7)) / np.float32(7))

    values = np.random.default_rng(0).uniform(0, 1, (2, 4, 30)).astype("float32")
    smooth = pw.Sequential([Mean(), pw.PixelwiseClassifier(DecisionTreeClassifier(random_state=0))])
    chip = pw.Raster(values, GRID)
    X = pw.PixelTable.from_values(values.transpose(1, 2, 0).reshape(-1, 2), [GRID], pixel=np.arange(120), sources=[chip])
    smooth.fit(X, np.random.default_rng(1).choice(["x", "z"], 120))
    model = pw.RegionalEstimator(
        pw.ModelRegistry({"a": paths["a"], "b": smooth}), strips("ab"), column="name", fallback="nearest"
    )
    lazy = pw.Raster(dask.from_array(values, chunks=(2, 4, 7)), GRID)
    assert len(set(model.predict(chip).values[:, 10:].ravel())) == 2
    np.testing.assert_array_equal(model.predict(lazy).values.compute(), model.predict(chip).values)


def test_a_regional_estimator_predicts_scenes_with_a_registry(paths: dict[str, Path]) -> None:
    model = pw.RegionalEstimator(pw.ModelRegistry(paths), "tile", fallback="raise")
    values = np.ones((2, 4, 30), "float32")
    assert (model.predict(pw.Raster(values, GRID, attrs={"tile": "b"})).values == 4).all()
    with pytest.raises(DispatchError, match="no model was fitted for region 'q'"):
        model.predict(pw.Raster(values, GRID, attrs={"tile": "q"}))


def test_regions_without_a_model_in_the_registry_take_the_fallback(paths: dict[str, Path]) -> None:
    registry, raster = pw.ModelRegistry(paths), pw.Raster(np.ones((2, 4, 30), "float32"), GRID)
    model = pw.RegionalEstimator(registry, strips("aqb"), column="name")
    assert model.predict(raster).values[0].tolist() == [3] * 10 + [1] * 10 + [4] * 10
    nearest = pw.RegionalEstimator(registry, strips("aq"), column="name", fallback="nearest")
    assert nearest.predict(raster).values[0].tolist() == [3] * 30
    with pytest.raises(DispatchError, match="region 'q' has no model of its own, because the registry holds none of the name"):
        pw.RegionalEstimator(registry, strips("aqb"), column="name", fallback="raise").predict(raster)
    with pytest.raises(DispatchError, match="no region has the name of a model in the registry: the regions are 'q', 'r'"):
        pw.RegionalEstimator(registry, strips("qr"), column="name", fallback="raise").predict(raster)
    with pytest.raises(DispatchError, match="fallback='nearest' needs to know where regions are"):
        pw.RegionalEstimator(registry, "tile", fallback="nearest").predict(
            pw.Raster(np.ones((2, 4, 30)), GRID, attrs={"tile": "q"})
        )
