"""A model applied chip by chip: the whole raster's result where its halo is known, stitched chips where it is not."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio.enums import ColorInterp
from scipy.ndimage import correlate, uniform_filter
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import pixelwise as pw
from pixelwise.errors import GridError, LabelError, PixelwiseWarning, RasterWriteError
from pixelwise.inference.context import known_halo
from pixelwise.operators.base import Operator

Grids = pw.sampling.GridSampler


class Blur(Operator):
    """A mean of 7 x 7 that knows how far it looks."""

    halo = 3

    def apply(self, raster: pw.Raster) -> pw.Raster:
        # scipy's uniform_filter keeps a running sum, whose last bits depend on where it began.
        return raster.with_values(correlate(raster.values, np.ones((1, 7, 7)), mode="nearest"))


class Silent(Operator):
    """An operator of somebody who has not said how far it looks."""

    def apply(self, raster: pw.Raster) -> pw.Raster:
        return raster.with_values(uniform_filter(raster.values, size=(1, 7, 7), mode="nearest"))


def blurred(chip: Any) -> Any:
    """A function that looks round, of which nothing is known."""
    return chip.copy(data=uniform_filter(chip.values.astype("float32"), size=(1, 7, 7), mode="nearest"))


def mean_of_chip(chip: xr.DataArray) -> xr.DataArray:
    return (chip[:1] * 0.0 + chip[:1].mean()).astype("float32")


def geotensor(array: xr.DataArray) -> Any:
    made = pytest.importorskip("georeader.geotensor", reason="georeader is not there").GeoTensor
    return made(array.values, array.rio.transform(), array.rio.crs, fill_value_default=0)


@pytest.fixture(scope="module")
def model(example: tuple[Path, Path]) -> pw.PixelwiseClassifier:
    X, y = pw.extract_pixels(*example, column="class")
    return pw.PixelwiseClassifier(LogisticRegression(max_iter=500)).fit(X[::3], y[::3])


@pytest.fixture(scope="module")
def features() -> pw.Sequential:
    return pw.Sequential([pw.indices.AppendIndex(pw.indices.NDVI(red="B04", nir="B08"), name="ndvi")])


@pytest.fixture
def winter(sentinel: dict[str, Path]) -> xr.DataArray:
    """A corner of Sentinel-2, not a multiple of any chip."""
    return pw.open_raster({band: sentinel[band] for band in ("B02", "B04", "B08")})[:, :301, :407]


@pytest.mark.parametrize("padding", [None, "reflect"])
@pytest.mark.parametrize("edge", ["cut", "shift"])
@pytest.mark.parametrize("chip", [(64, 64), (50, 77), (301, 31)])
def test_operators_that_look_round_give_the_whole_rasters_result(
    winter: xr.DataArray, chip: Any, edge: str, padding: str | None
) -> None:
    pipeline = pw.Sequential([Blur(), pw.sar.LeeSpeckle(window=5)])
    infer = pw.ApplyToChips(Grids(chip, edge=edge), pipeline, padding=padding)
    np.testing.assert_array_equal(infer(winter.astype("float64")).values, pipeline(winter.astype("float64")).values)


@pytest.mark.parametrize(
    "operator",
    [
        pw.sar.LeeSpeckle(window=7),
        pw.sar.GammaMAP(window=7),
        pw.sar.RefinedLee(),
        pw.texture.LocalMean(window=7),
        pw.texture.LocalStd(window=7),
        pw.texture.LocalPercentile([10, 90], window=7),
        pw.texture.GLCM((0, 4000), "contrast", levels=8, window=7, angles=(0,), bands=["B08"]),
        pw.terrain.TPI("B08", window=7),
    ],
    ids=lambda operator: type(operator).__name__,
)
def test_operators_of_halo_3_are_exact_from_file_to_file_with_missing_pixels(
    winter: xr.DataArray, tmp_path: Path, operator: Any
) -> None:
    assert operator.halo == 3
    gappy = winter[:, :190, :214].astype("float32")
    gappy = gappy.where((gappy.x - gappy.x[0]) % 530 > 60)
    gappy[1, 60:70] = np.nan
    scene = pw.write_raster(gappy, tmp_path / "scene.tif")
    made = pw.ApplyToChips(Grids((64, 80)), operator)(scene, dst=tmp_path / "made.tif")
    np.testing.assert_array_equal(pw.open_raster(made), operator(gappy))
    assert np.isfinite(pw.open_raster(made)).any()


@pytest.mark.parametrize("padding", [None, "reflect", "symmetric", "edge", "nodata"])
@pytest.mark.parametrize("edge", ["cut", "shift"])
@pytest.mark.parametrize(
    "stitch",
    [pw.Stitch(method) for method in ("average", "max", "first", "median", "weighted")]
    + [pw.Stitch("average", window) for window in ("hann", "tukey", "linear")]
    + [pw.Stitch("weighted", np.random.default_rng(0).random((32, 24)) + 0.01)],
    ids=lambda stitch: f"{stitch.method}-{stitch.window if isinstance(stitch.window, str | None) else 'array'}",
)
def test_a_constant_comes_out_as_it_went_in(raster: xr.DataArray, stitch: pw.Stitch, edge: str, padding: str | None) -> None:
    third = raster[:2].astype("float32").drop_attrs() * 0 + np.float32(1 / 3)
    third[:, 7:19, 30:50] = np.nan
    made = pw.ApplyToChips(Grids((32, 24), stride=(20, 17), edge=edge), lambda chip: chip, stitch, padding)(third)
    np.testing.assert_array_equal(made, third)


@pytest.mark.parametrize("method", ["majority", "first"])
def test_a_classifier_makes_the_map_of_the_whole_and_keeps_what_it_says(raster: xr.DataArray, model: Any, method: str) -> None:
    whole, made = model.predict(raster), pw.ApplyToChips(Grids((32, 32)), model, pw.Stitch(method))(raster)
    xr.testing.assert_identical(made, whole)
    assert made.dtype == "uint8"
    assert made.attrs["class_names"] == ["forest", "water"]


def test_overlap_is_left_out_and_said_so_where_it_buys_nothing(raster: xr.DataArray, model: Any) -> None:
    seen: list[tuple[int, ...]] = []
    op = pw.Sequential([pw.core.Tap(lambda chip: seen.append(chip.values.shape)), model])
    infer = pw.ApplyToChips(Grids((40, 40), stride=(20, 30)), op, pw.Stitch("majority"))
    with pytest.warns(PixelwiseWarning, match="overlap buys nothing for Sequential.*saves 40%"):
        made = infer(raster)
    np.testing.assert_array_equal(made, model.predict(raster))
    assert sum(height * width for _, height, width in seen) == 60 * 80


def test_a_model_whose_halo_is_not_known_is_stitched(winter: xr.DataArray) -> None:
    infer = pw.ApplyToChips(Grids((64, 64), stride=(58, 58)), blurred, pw.Stitch("first"))
    made, whole = infer(winter).values, blurred(winter).values
    assert made.shape == whole.shape
    # What the chips' borders do not touch is that of the whole.
    np.testing.assert_array_equal(made[:, 61 - 58 + 3 : 58, 6:58], whole[:, 6:58, 6:58])
    assert not np.array_equal(made, whole)


def test_a_hann_window_comes_nearer_to_the_whole_than_chips_side_by_side(winter: xr.DataArray) -> None:
    whole = blurred(winter).values
    plain = pw.ApplyToChips(Grids((64, 64)), blurred)(winter).values
    smooth = pw.ApplyToChips(Grids((64, 64), stride=(32, 32)), blurred, pw.Stitch("average", "hann"))(winter).values
    assert np.abs(smooth - whole).mean() < np.abs(plain - whole).mean() / 3


@pytest.mark.parametrize("carrier", ["DataArray", "Dataset", "ndarray", "GeoTensor", "path", "dataset", "Scene", "lazy"])
def test_every_carrier_comes_back_as_it_came(scene: Path, carrier: str, model: Any) -> None:
    array = pw.open_raster(scene)
    given: Any = {
        "DataArray": lambda: array,
        "Dataset": lambda: array.to_dataset("band"),
        "ndarray": lambda: array.values,
        "GeoTensor": lambda: geotensor(array),
        "path": lambda: scene,
        "dataset": lambda: rasterio.open(scene),
        "Scene": lambda: pw.open_catalog(scene)[0],
        "lazy": lambda: pw.open_raster(scene, chunks={"x": 16, "y": 16}),
    }[carrier]()
    seen = []

    def double(chip: Any) -> Any:
        """Take chips as they come."""
        seen.append(type(chip))
        return chip * 2

    made = pw.ApplyToChips(Grids((32, 32), stride=(20, 20)), double)(given)
    expected = type(given) if carrier not in ("path", "dataset", "Scene") else xr.DataArray
    assert isinstance(made, expected)
    assert set(seen) == {expected}
    np.testing.assert_array_equal(pw.unwrap(made).values, array.values * 2)
    assert pw.unwrap(made).grid.transform == (pw.unwrap(given).grid if carrier != "Scene" else pw.unwrap(array).grid).transform


def test_a_file_to_a_file_is_what_memory_gives(write: Callable[..., Path], values: np.ndarray, tmp_path: Path) -> None:
    scene = write(np.tile(values, (1, 5, 3)), tiled=True, blockxsize=64, blockysize=64)
    infer = pw.ApplyToChips(Grids((64, 96), stride=(48, 72)), mean_of_chip, pw.Stitch("average", "tukey"))
    path = infer(scene, dst=tmp_path / "made.tif")
    np.testing.assert_array_equal(pw.open_raster(path), infer(pw.open_raster(scene)))
    with rasterio.open(path) as file:
        assert file.block_shapes == [(64, 240)]


def test_a_cog_comes_out_where_one_is_asked_for(scene: Path, model: Any, tmp_path: Path) -> None:
    path = pw.ApplyToChips(Grids(32), model, pw.Stitch("majority"))(scene, dst=tmp_path / "map.tif", driver="COG")
    with rasterio.open(path) as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.colormap(1)


def test_memory_does_not_depend_on_the_height_of_a_scene(
    write: Callable[..., Path], values: np.ndarray, tmp_path: Path
) -> None:
    infer, peaks = pw.ApplyToChips(Grids((128, 160), stride=(64, 80)), Silent(), pw.Stitch("median")), []
    infer(write(values), dst=tmp_path / "made.tif")
    for times in (5, 40):
        scene = write(np.tile(values, (1, times, 4)), name=f"{times}.tif", tiled=True, blockxsize=64, blockysize=64)
        tracemalloc.start()
        infer(scene, dst=tmp_path / "made.tif")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


def test_missing_pixels_stay_missing_and_count_for_nothing(raster: xr.DataArray) -> None:
    gappy = raster.astype("float32").where((raster.x - raster.x[0]) % 70 > 20)
    gappy[:, 20:30] = np.nan
    made = pw.ApplyToChips(Grids(24, stride=12), lambda chip: chip + 1, pw.Stitch("weighted"))(gappy)
    np.testing.assert_array_equal(made, gappy + 1)


@pytest.mark.parametrize("padding", ["reflect", "symmetric", "edge", "nodata"])
def test_chips_at_the_edge_are_filled_up_for_models_of_one_size(raster: xr.DataArray, padding: str) -> None:
    shapes = set()

    def of_one_size(chip: xr.DataArray) -> xr.DataArray:
        """A model that takes 32 x 32 pixels."""
        shapes.add(chip.shape)
        return chip

    floats = raster.astype("float32").drop_attrs()
    made = pw.ApplyToChips(Grids(32, stride=24), of_one_size, padding=padding)(floats)
    assert shapes == {(4, 32, 32)}
    np.testing.assert_array_equal(made, floats)


def test_padding_with_a_mask_and_without_nodata(raster: xr.DataArray) -> None:
    values = np.ma.masked_equal(raster.values, raster.values[0, 0, 0])
    made = pw.ApplyToChips(Grids(32), lambda chip: chip, padding="edge")(values)
    np.testing.assert_array_equal(np.ma.getmaskarray(made), np.ma.getmaskarray(values))
    with pytest.raises(GridError, match="needs one nodata value"):
        pw.ApplyToChips(Grids(32), lambda chip: chip, padding="nodata")(raster.values)


def test_a_file_with_an_alpha_band_reaches_a_function_as_floats_with_nan(write: Any, values: np.ndarray) -> None:
    rgba = np.concatenate([values[:3], np.full((1, 60, 80), 65535, "uint16")])
    rgba[3, :10] = 0
    path = write(rgba, names=("R", "G", "B", ""))
    with rasterio.open(path, "r+") as file:
        file.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    made = pw.ApplyToChips(Grids(16), lambda chip: chip)(path)
    assert made.dtype == "float32"
    assert np.isnan(made.values[:, :10]).all()
    np.testing.assert_array_equal(made[:, 10:], values[:3, 10:])


def test_series_of_dates_keep_their_axis(raster: xr.DataArray, scene: Path) -> None:
    stack = pw.open_raster([scene, scene], times=["2020-01-01", "2020-02-01"])
    made = pw.ApplyToChips(Grids(32, stride=20), lambda chip: chip + 0.5)(stack)
    assert made.dims == ("band", "time", "y", "x")
    np.testing.assert_array_equal(made, stack + 0.5)


def test_it_is_a_step_of_a_sequential(raster: xr.DataArray, features: pw.Sequential) -> None:
    mean = pw.ApplyToChips(Grids(30), mean_of_chip)
    assert pw.Sequential([features, mean])(raster).shape == (1, 60, 80)
    graph = pw.Graph(inputs={"a": (a := pw.Input("a"))}, outputs={"b": mean(a)})
    np.testing.assert_array_equal(graph({"a": raster}), mean(raster))
    assert mean.apply(pw.unwrap(raster)).values.shape == (1, 60, 80)


def test_estimators_are_taken_as_they_are_and_wrapped(raster: xr.DataArray, example: Any) -> None:
    X, y = pw.extract_pixels(*example, column="class")
    bare = LogisticRegression(max_iter=500).fit(np.asarray(X), y)
    pipeline = make_pipeline(pw.indices.AppendIndex(pw.indices.NDVI(red="B04", nir="B08")),
                             pw.PixelwiseClassifier(RandomForestClassifier(3, random_state=0))).fit(X, y)  # fmt: skip
    for model in (bare, pipeline):
        made = pw.ApplyToChips(Grids(32), model, pw.Stitch("majority"))(raster)
        wrapped = pw.PixelwiseClassifier(model) if model is bare else model
        np.testing.assert_array_equal(made, wrapped.predict(raster))


@pytest.mark.parametrize(
    ("model", "halo"),
    [
        (pw.Sequential([Blur(), pw.indices.NDVI(0, 1)]), 3),
        (pw.indices.AppendIndex(Silent()), None),
        (Silent(), None),
        (pw.core.Switch("tile", {"a": pw.indices.NDVI(0, 1)}, default=pw.core.Raise("no")), 0),
        (pw.core.Switch("tile", {"a": blurred}), None),
        (pw.Graph({"a": (a := pw.Input("a"))}, {"b": Blur()(a)}), 3),
        (pw.Graph({"a": a}, {"b": Silent()(a)}), None),
        (pw.PixelwiseClusterer(KMeans(2)), 0),
        (pw.RegionalEstimator(pw.PixelwiseClassifier(LogisticRegression()), "tile"), 0),
        (make_pipeline("passthrough", pw.PixelwiseClassifier(LogisticRegression())), 0),
        (blurred, None),
    ],
    ids=["steps", "inner", "silent", "switch", "switch of functions", "graph", "silent graph", "clusterer", "regions",
         "pipeline", "function"],
)  # fmt: skip
def test_what_is_known_of_how_far_a_model_looks(model: Any, halo: int | None) -> None:
    assert known_halo(model) == halo


def test_its_own_halo_is_the_models_or_cannot_be_told() -> None:
    assert pw.ApplyToChips(Grids(8), Blur()).halo == 3
    with pytest.raises(GridError, match="blurred looks round is not known"):
        _ = pw.ApplyToChips(Grids(8), blurred).halo


@pytest.mark.parametrize(
    ("infer", "error", "says"),
    [
        (pw.ApplyToChips(Grids(32), lambda chip: chip[:, ::2]), GridError, "leave out what resamples"),
        (pw.ApplyToChips(Grids(99, edge="drop"), mean_of_chip), GridError, "no whole chip"),
        (pw.ApplyToChips(pw.sampling.RandomSampler(8, 3), mean_of_chip), TypeError, "does not tile"),
        (pw.ApplyToChips(Grids(8), object()), TypeError, "neither called nor applied"),
        (pw.ApplyToChips(Grids(8), mean_of_chip, padding="wrap"), GridError, "choose one of reflect"),
        (pw.ApplyToChips(Grids(8), mean_of_chip, "average"), TypeError, r"is no Stitch: write it as Stitch\('average'\)"),
        (pw.ApplyToChips(Grids(8), mean_of_chip, pw.Stitch("average", ["a"])), ValueError, "holds no weights"),
    ],
    ids=["resampled", "dropped", "random", "nothing", "padding", "text", "no weights"],
)
def test_what_cannot_be_done_is_an_error(raster: xr.DataArray, infer: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        infer(raster)


def test_classes_are_not_averaged(raster: xr.DataArray, model: Any) -> None:
    with pytest.raises(LabelError, match="predict_proba"):
        pw.ApplyToChips(Grids(32), model, pw.Stitch("average"))(raster)
    model = pw.PixelwiseClassifier(model.estimator_, method="predict_proba")
    made = pw.ApplyToChips(Grids(32), model, pw.Stitch("average"))(raster)
    np.testing.assert_array_equal(made, model.predict_proba(raster))


def test_tables_are_refused(example: Any) -> None:
    with pytest.raises(TypeError, match="takes rasters"):
        pw.ApplyToChips(Grids(8), mean_of_chip)(np.zeros((4, 2)))


def test_the_file_that_is_read_is_not_written(scene: Path) -> None:
    with pytest.raises(RasterWriteError, match="is what is read"):
        pw.ApplyToChips(Grids(8), mean_of_chip)(scene, dst=scene)


def test_an_error_leaves_no_file(scene: Path, tmp_path: Path) -> None:
    calls = []

    def fails(chip: Any) -> Any:
        """Give up at the third chip."""
        calls.append(chip)
        if len(calls) > 2:
            raise OSError("network gone")
        return chip

    with pytest.raises(OSError, match="network gone"):
        pw.ApplyToChips(Grids(16), fails)(scene, dst=tmp_path / "made.tif")
    assert list(tmp_path.iterdir()) == []
