from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV

import pixelwise as pw
from pixelwise.errors import ArtifactError, BandError, DispatchError, GridError

NDVI, NDWI = pw.indices.NDVI(red="B04", nir="B08"), pw.indices.NDWI(green="B03", nir="B08")


@pytest.fixture
def raster(scene: Path) -> xr.DataArray:
    return pw.open_raster(scene)


def features() -> pw.Sequential:
    return pw.Sequential([pw.indices.AppendIndex(NDVI), ("water", pw.indices.AppendIndex(NDWI)), "passthrough"])


def test_a_sequential_names_its_steps_and_survives_clone() -> None:
    steps = features()
    assert [name for name, _ in steps.steps] == ["appendindex-1", "water", "passthrough"]
    twice = pw.Sequential([NDVI, NDVI])
    assert [name for name, _ in twice.steps] == ["ndvi-1", "ndvi-2"]
    again = clone(steps)
    assert repr(again) == repr(steps)
    assert again.set_params(water__name="wet").get_params()["water__name"] == "wet"


def test_a_call_is_a_transform_and_nests(raster: xr.DataArray) -> None:
    steps = features()
    xr.testing.assert_identical(steps(raster), steps.fit(raster).transform(raster))
    nested = pw.Sequential([pw.Sequential([pw.indices.AppendIndex(NDVI)]), pw.Sequential([pw.indices.AppendIndex(NDWI)])])
    xr.testing.assert_identical(nested(raster), steps(raster))


def test_a_call_that_ends_in_a_model_predicts(raster: xr.DataArray, polygons: Path) -> None:
    X, y = pw.extract_pixels(raster, polygons, column="class")
    model = pw.Sequential([features(), pw.PixelwiseClassifier(RandomForestClassifier(5, random_state=0))]).fit(X, y)
    xr.testing.assert_identical(model(raster), model.predict(raster))
    search = GridSearchCV(model, {"pixelwiseclassifier__estimator__max_depth": [1, 2]}, cv=pw.SpatialBlockGroupKFold(3, 150))
    assert search.fit(X, y).predict(raster).shape == (60, 80)
    assert features().fit_transform(X).feature_names == ("B02", "B03", "B04", "B08", "NDVI", "NDWI")


def test_what_has_no_call_transforms_or_predicts(raster: xr.DataArray, polygons: Path) -> None:
    X, y = pw.extract_pixels(raster, polygons, column="class")
    forest = RandomForestClassifier(5, random_state=0).fit(np.asarray(X), y)
    assert pw.Sequential([pw.RasterToPixelTransformer().fit(raster), forest])(raster).shape == (60 * 80,)


def test_a_saved_sequential_comes_back(raster: xr.DataArray, polygons: Path, tmp_path: Path) -> None:
    X, y = pw.extract_pixels(raster, polygons, column="class")
    model = pw.Sequential([features(), pw.PixelwiseClassifier(RandomForestClassifier(5, random_state=0))]).fit(X, y)
    again = pw.load_artifact(pw.save_artifact(model, tmp_path / "m.pixelwise"))
    xr.testing.assert_identical(again(raster), model(raster))


def test_a_saved_graph_comes_back(raster: xr.DataArray, polygons: Path, tmp_path: Path) -> None:
    X, y = pw.extract_pixels(raster, polygons, column="class")
    x = pw.Input("x")
    graph = pw.Graph({"x": x}, {"features": pw.indices.AppendIndex(NDVI)(x)})
    model = pw.Sequential([graph, pw.PixelwiseClassifier(RandomForestClassifier(5, random_state=0))]).fit(X, y)
    again = pw.load_artifact(pw.save_artifact(model, tmp_path / "m.pixelwise"))
    xr.testing.assert_identical(again(raster), model(raster))


def test_a_graph_computes_each_step_once_and_gives_its_outputs(raster: xr.DataArray) -> None:
    seen: list[Any] = []
    optical, sar = pw.Input("optical"), pw.Input("sar")
    counted = pw.core.Tap(seen.append)(optical)
    graph = pw.Graph(
        inputs={"optical": optical, "sar": sar},
        outputs={"ndvi": NDVI(counted), "ndwi": NDWI(counted), "sar": pw.indices.NDVI(0, 1)(sar)},
    )
    found = graph({"optical": raster, "sar": raster})
    assert list(found) == ["ndvi", "ndwi", "sar"]
    assert len(seen) == 1
    xr.testing.assert_identical(found["ndvi"], NDVI(raster))
    xr.testing.assert_identical(graph(optical=raster, sar=raster)["ndwi"], found["ndwi"])
    assert (
        clone(graph).fit({"optical": raster, "sar": raster}).transform({"optical": raster, "sar": raster}).keys()
        == found.keys()
    )


def test_a_graph_of_one_input_is_a_step_of_a_sequential(raster: xr.DataArray, polygons: Path) -> None:
    x = pw.Input("x")
    graph = pw.Graph(inputs={"x": x}, outputs={"features": pw.indices.AppendIndex(NDVI)(x)})
    steps = pw.Sequential([graph, pw.indices.AppendIndex(NDWI)])
    xr.testing.assert_identical(steps(raster), features()(raster))
    X, y = pw.extract_pixels(raster, polygons, column="class")
    model = pw.Sequential([graph, pw.PixelwiseClassifier(RandomForestClassifier(5, random_state=0))]).fit(X, y)
    assert model.predict(raster).shape == (60, 80)


def test_the_halo_of_a_graph_is_that_of_its_longest_way() -> None:
    class Wide(pw.operators.base.Operator):
        halo = 3

    x = pw.Input("x")
    assert pw.Graph({"x": x}, {"a": Wide()(Wide()(x)), "b": Wide()(x)}).halo == 6


def test_inputs_that_do_not_fit_are_told_at_construction() -> None:
    x, y = pw.Input("x"), pw.Input("y")
    with pytest.raises(GridError, match=r"uses Input\('y'\), which is none of its inputs 'x'"):
        pw.Graph({"x": x}, {"a": NDVI(x), "b": NDVI(y)})
    with pytest.raises(GridError, match="no output uses the input 'y'"):
        pw.Graph({"x": x, "y": y}, {"a": NDVI(x)})
    with pytest.raises(GridError, match="make it Input"):
        pw.Graph({"z": x}, {"a": NDVI(x)})
    with pytest.raises(GridError, match="call its operator with an Input"):
        pw.Graph({"x": x}, {"a": NDVI})
    with pytest.raises(GridError, match="give a mapping of names"):
        pw.Graph({}, {"a": NDVI(x)})
    with pytest.raises(GridError, match="a step of a graph takes Inputs and other steps, and was given int"):
        NDVI(x, 5)
    circle = NDVI(x)
    circle.sources = (NDWI(circle),)
    with pytest.raises(GridError, match="is its own source"):
        pw.Graph({"x": x}, {"a": circle})


def test_rasters_that_do_not_fit_the_inputs_are_told(raster: xr.DataArray) -> None:
    x, y = pw.Input("x"), pw.Input("y")
    graph = pw.Graph({"x": x, "y": y}, {"a": NDVI(x), "b": NDVI(y)})
    with pytest.raises(BandError, match="lacks 'y'"):
        graph({"x": raster})
    with pytest.raises(BandError, match="has 'z' too many"):
        graph({"x": raster, "y": raster, "z": raster})
    with pytest.raises(GridError, match="takes a mapping of 'x', 'y' to rasters, and was given DataArray"):
        graph(raster)


def test_raise_names_the_key() -> None:
    with pytest.raises(DispatchError, match="no model for 33UUP"):
        pw.core.Raise("no model for {key}").transform(None, key="33UUP")
    with pytest.raises(LookupError, match="stop"):
        pw.core.Raise("stop")(np.zeros((1, 1, 1)))


def test_a_tap_passes_on_what_it_sees_and_is_not_saved(raster: xr.DataArray, polygons: Path, tmp_path: Path) -> None:
    X, y = pw.extract_pixels(raster, polygons, column="class")
    seen: list[Any] = []
    model = pw.Sequential([pw.core.Tap(seen.append), pw.PixelwiseClassifier(RandomForestClassifier(2))]).fit(X, y)
    assert pw.core.Tap(seen.append)(raster) is raster
    assert len(seen) == 2
    x = pw.Input("x")
    graph = pw.Sequential([pw.Graph({"x": x}, {"y": pw.core.Tap(seen.append)(x)}), model[-1]])
    for what in (model, graph):
        with pytest.raises(ArtifactError, match="holds a Tap, whose function is code"):
            pw.save_artifact(what, tmp_path / "m.pixelwise")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("carrier", [lambda raster: raster, pw.unwrap], ids=["DataArray", "Raster"])
def test_a_tap_may_read_the_metadata_of_any_carrier(carrier: Any, raster: xr.DataArray, capsys: Any) -> None:
    given = carrier(raster.assign_attrs(mgrs_tile="33UUU"))
    assert pw.core.Tap(lambda gt: print(gt.metadata["mgrs_tile"]))(given) is given
    assert capsys.readouterr().out == "33UUU\n"
    with pytest.raises(AttributeError, match="no_such_thing"):
        pw.core.Tap(lambda gt: gt.no_such_thing)(given)


def test_a_histogram_counts_what_is_there(raster: xr.DataArray) -> None:
    counts = pw.core.Histogram(bins=7, bands=["B04"])(raster)
    assert counts["B04"].tolist() == np.histogram(raster.sel(band="B04"), 7)[0].tolist()
    gaps = np.array([[[1.0, np.nan, 3.0]], [[np.nan, np.nan, np.nan]]])
    found = pw.core.Histogram(bins=2, range=(0, 4))(gaps)
    assert found["band_1"].tolist() == [1, 1]
    assert found["band_2"].tolist() == [0, 0]
    assert pw.core.Histogram(bins=1)(gaps[1:])["band_1"].tolist() == [0]
    assert pw.core.Histogram(bins=1)(np.full((1, 2, 2), 5)).iloc[0, 0] == 4
