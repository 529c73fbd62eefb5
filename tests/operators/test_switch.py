"""Switch: rasters of every carrier, chips and tables go where their metadata says."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import pixelwise as pw
from pixelwise.errors import ArtifactError, DispatchError
from pixelwise.operators.base import Operator
from pixelwise.operators.switch import Switch

NDVI, NDWI = pw.indices.NDVI(red="B04", nir="B08"), pw.indices.NDWI(green="B03", nir="B08")


class Blur(Operator):
    """An operator that looks round."""

    halo = 2

    def apply(self, raster: pw.Raster) -> pw.Raster:
        return raster


def always_a(X: Any) -> str:
    return "a"


def tile_of(raster: Any) -> Any:
    return raster.metadata["mgrs_tile"]


@pytest.fixture
def raster() -> xr.DataArray:
    return pw.open_raster(pw.datasets.make_example()[0]).assign_attrs(mgrs_tile="33UUU")


@pytest.fixture
def switch() -> Switch:
    return Switch(key="mgrs_tile", cases={"33UUU": NDVI, "33UVU": NDWI})


def constant(label: str) -> Any:
    """A fitted model that sees one class everywhere."""
    table = pd.DataFrame(np.zeros((2, 4)), columns=["B02", "B03", "B04", "B08"])
    return pw.PixelwiseClassifier(DummyClassifier(strategy="constant", constant=label)).fit(table, ["crop", "wood"])


def test_the_metadata_says_which_case(switch: Switch, raster: xr.DataArray) -> None:
    xr.testing.assert_identical(switch(raster), NDVI(raster))
    other = raster.assign_attrs(mgrs_tile="33UVU")
    xr.testing.assert_identical(switch.transform(other), NDWI(other))


@pytest.mark.parametrize("key", ["mgrs_tile", tile_of, lambda gt: gt.metadata["mgrs_tile"], lambda gt: gt.attrs["mgrs_tile"]])
def test_every_carrier_has_metadata(key: Any, raster: xr.DataArray, tmp_path: Path) -> None:
    geotensor = pytest.importorskip("georeader.geotensor")
    switch, plain = Switch(key, {"33UUU": Blur()}), pw.unwrap(raster)
    tensor = geotensor.GeoTensor(raster.values, plain.grid.transform, plain.grid.crs, attrs={"mgrs_tile": "33UUU"})
    path = pw.write_raster(raster, tmp_path / "tile.tif")
    with rasterio.open(path, "r+") as file:
        file.update_tags(mgrs_tile="33UUU")
    with rasterio.open(path) as file:
        dataset = raster.to_dataset("band").assign_attrs(mgrs_tile="33UUU")
        for given in (raster, raster.chunk({"x": 30}), dataset, tensor, plain, path, str(path), file):
            made = switch(given)
            assert isinstance(made, type(given) if not isinstance(given, str | Path | rasterio.DatasetReader) else xr.DataArray)
            np.testing.assert_array_equal(np.asarray(pw.unwrap(made).values), raster.values)


def test_a_scene_that_calls_its_attributes_metadata_is_taken_at_its_word(raster: xr.DataArray) -> None:
    class Scene(np.ndarray):
        metadata: dict[str, str]

    scene = raster.values.view(Scene)
    scene.metadata = {"mgrs_tile": "33UUU"}
    for key in ("mgrs_tile", tile_of):
        np.testing.assert_array_equal(np.asarray(Switch(key, {"33UUU": Blur()})(scene)), raster.values)


def test_a_function_sees_the_raster_itself(raster: xr.DataArray) -> None:
    def key(scene: Any) -> Any:
        assert isinstance(scene, xr.DataArray)
        assert len(scene) == 4
        assert scene.dims == ("band", "y", "x")
        return "bright" if np.asarray(scene).mean() > 0 and scene[0].mean() > 0 else "dark"

    xr.testing.assert_identical(Switch(key, {"bright": NDVI})(raster), NDVI(raster))
    array = raster.values
    assert Switch(lambda scene: scene.shape[0], {4: Blur()})(array).shape == array.shape
    assert Switch(lambda scene: scene.attrs.get("x", "none"), {"none": Blur()})(array).shape == array.shape
    path = pw.datasets.make_example()[0]
    assert Switch(lambda scene: Path(scene).stem + str(scene)[-4:], {"scene.tif": NDVI})(path).shape == (1, 60, 80)


def test_the_worked_example_runs(raster: xr.DataArray) -> None:
    models = {tile: constant(label).estimator_ for tile, label in {"33UUU": "wood", "33UVU": "crop"}.items()}
    dispatch = Switch(
        key=lambda gt: gt.metadata["mgrs_tile"],
        cases={tile: pw.PixelwiseClassifier(estimator=clf, nan="mask", output_dtype="uint8") for tile, clf in models.items()},
        default=pw.core.Raise("no model for tile: {key}"),
    )
    chain = pw.Sequential([Blur(), dispatch])
    assert (chain(raster) == 1).all()
    assert (chain(raster.assign_attrs(mgrs_tile="33UVU")) == 0).all()
    with pytest.raises(DispatchError, match="no model for tile: 10SEG"):
        chain(raster.assign_attrs(mgrs_tile="10SEG"))


def test_without_a_default_the_error_names_the_key_and_the_cases(switch: Switch, raster: xr.DataArray) -> None:
    with pytest.raises(DispatchError, match=r"no case for key '10SEG': add it .* the cases are '33UUU', '33UVU'"):
        switch(raster.assign_attrs(mgrs_tile="10SEG"))
    many = Switch("mgrs_tile", {f"t{number}": NDVI for number in range(40)})
    with pytest.raises(DispatchError, match="'t9' and 30 more"):
        many(raster)


def test_a_default_takes_what_has_no_case(raster: xr.DataArray) -> None:
    switch = Switch("mgrs_tile", {"10SEG": NDVI}, default=NDWI)
    xr.testing.assert_identical(switch(raster), NDWI(raster))
    called = Switch("mgrs_tile", {"10SEG": NDVI}, default=lambda scene: scene.shape)
    assert called(raster) == (4, 60, 80)


def test_paths_are_loaded_on_first_use_and_kept(raster: xr.DataArray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pw.save_artifact(constant("wood"), tmp_path / "33UUU.pixelwise")
    switch = Switch("mgrs_tile", {"33UUU": path, "33UVU": tmp_path / "none"})
    assert (switch(raster) == 1).all()
    path.unlink()
    assert (switch(raster) == 1).all()
    assert (switch.predict(raster) == 1).all()
    with pytest.raises(ArtifactError, match="none cannot be read"):
        switch(raster.assign_attrs(mgrs_tile="33UVU"))


def test_a_registry_holds_the_cases(raster: xr.DataArray, tmp_path: Path) -> None:
    registry = pw.ModelRegistry({"33UUU": pw.save_artifact(constant("wood"), tmp_path / "a")})
    switch = Switch("mgrs_tile", registry)
    assert (switch.predict(raster) == 1).all()
    assert registry.loaded == ("33UUU",)
    assert switch.predict_proba(raster).band.values.tolist() == ["crop", "wood"]
    assert pickle.loads(pickle.dumps(switch)).cases.loaded == ()


def test_cases_may_be_added_later(switch: Switch, raster: xr.DataArray) -> None:
    _ = switch(raster)
    switch.cases["10SEG"] = NDWI
    assert switch(raster.assign_attrs(mgrs_tile="10SEG")).band.values.tolist() == ["NDWI"]


def test_predictions_are_offered_where_a_case_has_them(switch: Switch) -> None:
    assert not hasattr(switch, "predict")
    models = Switch("mgrs_tile", {"33UUU": constant("wood"), "33UVU": LinearRegression()})
    assert hasattr(models, "predict")
    assert hasattr(models, "predict_proba")


def test_rows_of_several_scenes_go_each_to_their_case(raster: xr.DataArray) -> None:
    _, polygons = pw.datasets.make_example()
    scenes = [raster[:, :, :40], raster[:, :, 40:].assign_attrs(mgrs_tile="33UVU")]
    X, _ = pw.extract_pixels(scenes, polygons, column="class")
    X = X[np.random.default_rng(0).permutation(len(X))]
    switch = Switch("mgrs_tile", {"33UUU": NDVI, "33UVU": NDWI})
    made = switch.transform(X)
    assert isinstance(made, pw.PixelTable)
    expected = np.where((X.scene == 0)[:, None], np.asarray(NDVI(X)), np.asarray(NDWI(X)))
    np.testing.assert_array_equal(np.asarray(made), expected)
    models = Switch("mgrs_tile", {"33UUU": constant("wood"), "33UVU": constant("crop")})
    assert models.predict(X).tolist() == np.where(X.scene == 0, "wood", "crop").tolist()
    assert models.predict(X[X.scene == 1]).tolist() == ["crop"] * int((X.scene == 1).sum())
    with pytest.raises(DispatchError, match="metadata of the PixelTable has no 'mgrs_tile'"):
        switch.transform(X.with_bands(np.asarray(X), X.band_names))


def test_it_ends_a_pipeline_from_file_to_file(raster: xr.DataArray, tmp_path: Path) -> None:
    model = make_pipeline(Blur(), Switch(always_a, {"a": constant("wood")}))
    path = pw.predict_raster(model, pw.datasets.make_example()[0], tmp_path / "map.tif")
    assert (pw.open_raster(path) == 1).all()


def test_its_halo_is_the_widest_of_its_cases(switch: Switch) -> None:
    assert switch.halo == 0
    assert Switch("tile", {"a": NDVI, "b": pw.Sequential([Blur(), Blur()])}).halo == 4
    assert Switch("tile", {"a": NDVI}, default=Blur()).halo == 2


def test_clones_copies_and_pickles_keep_fitted_models(raster: xr.DataArray) -> None:
    switch = Switch(tile_of, {"33UUU": constant("wood")}, default=constant("crop"))
    for other in (clone(switch), copy.deepcopy(switch), pickle.loads(pickle.dumps(switch))):
        assert (other(raster) == 1).all()
        assert (other(raster.assign_attrs(mgrs_tile="q")) == 0).all()
    copied = clone(switch)
    copied.cases["q"] = NDVI
    assert "q" not in switch.cases
    assert list(switch.get_params(deep=False)) == ["cases", "default", "key"]
    assert clone(make_pipeline(Blur(), switch)).predict(raster).shape == (60, 80)


def test_an_artifact_holds_a_switch(raster: xr.DataArray, tmp_path: Path) -> None:
    switch = Switch("mgrs_tile", {"33UUU": constant("wood"), "33UVU": "elsewhere.pixelwise"})
    back = pw.load_artifact(pw.save_artifact(switch, tmp_path / "switch.pixelwise"))
    assert (back(raster) == 1).all()
    with pytest.raises(ArtifactError):
        pw.save_artifact(Switch(lambda scene: "a", {"a": NDVI}), tmp_path / "switch.pixelwise")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("mgrs_tile", {}), ValueError, "cases={}: give a mapping"),
        (("mgrs_tile", ["a"]), ValueError, "give a mapping from keys to operators, models or paths"),
        (("tile", {"a": NDVI}), DispatchError, "the metadata of the DataArray has no 'tile': set it"),
        ((lambda scene: [1], {"a": NDVI}), DispatchError, r"key \[1\] is of type list: let it be text or a number"),
        (("mgrs_tile", {"33UUU": 3}), ValueError, r"models\['33UUU'\] is 3: give a fitted model"),
        (("mgrs_tile", {}, 3), ValueError, "cases={}"),
        (("mgrs_tile", {"b": NDVI}, 3), TypeError, "case int can be neither called nor applied"),
    ],
)
def test_wrong_arguments_are_refused_with_the_remedy(arguments: Any, error: Any, message: str, raster: xr.DataArray) -> None:
    with pytest.raises(error, match=message):
        Switch(*arguments)(raster)


def test_bare_arrays_and_missing_metadata_are_refused(switch: Switch, raster: xr.DataArray) -> None:
    with pytest.raises(DispatchError, match=r"the metadata of the ndarray has no 'mgrs_tile'.* it has nothing"):
        switch(raster.values)


def test_transformers_and_plain_models_are_applied_to_tables() -> None:
    table = np.arange(8.0).reshape(4, 2)
    scaler, line = StandardScaler().fit(table), LinearRegression().fit(table, table[:, 0])
    np.testing.assert_array_equal(Switch(always_a, {"a": scaler}).transform(table), scaler.transform(table))
    np.testing.assert_array_equal(Switch(always_a, {"a": line}).transform(table), line.predict(table))


def test_names_out_are_those_of_a_case(switch: Switch) -> None:
    assert switch.get_feature_names_out(["B02", "B03", "B04", "B08"]).tolist() == ["NDVI"]


class AlwaysA:
    """As the function, with a name that is the same in each process of the tests."""

    def __call__(self, X: Any) -> str:
        return "a"

    def __repr__(self) -> str:
        return "AlwaysA()"


@parametrize_with_checks([Switch(AlwaysA(), {"a": pw.indices.NDVI(red=0, nir=-1)})])
def test_it_passes_the_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)
