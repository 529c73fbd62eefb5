from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import correlate1d
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import pixelwise as pw
from pixelwise.errors import GridError
from pixelwise.operators.base import Operator
from pixelwise.raster.grid import Grid


class Blur(Operator):
    """The mean of a window of 5 x 5 pixels, as far as the raster goes."""

    halo = 2
    calls = 0

    def __init__(self, times: float = 1.0) -> None:
        self.times = times

    def apply(self, raster: pw.Raster) -> pw.Raster:
        type(self).calls += 1
        total = raster.cube
        count = np.ones_like(total)
        for axis in (-2, -1):
            total = correlate1d(total, np.ones(5), axis, mode="constant")
            count = correlate1d(count, np.ones(5), axis, mode="constant")
        return raster.with_values(self.times * total / count)


class Where(Operator):
    """The coordinates of each pixel."""

    def apply(self, raster: pw.Raster) -> pw.Raster:
        rows, cols = np.indices(raster.grid.shape)
        xy = raster.grid.xy(rows.ravel(), cols.ravel()).T
        return raster.with_values(pw.FromPixelMajor(raster.values[:1])(xy.T), bands=("x", "y"), nodata=(float("nan"),))


@pytest.fixture
def raster(scene: Path) -> xr.DataArray:
    return pw.open_raster(scene)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_a_lazy_raster_gives_each_chunk_its_surroundings(high: int, wide: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 1000, (2, 23, 31)).astype("uint16")
    array = xr.DataArray(values, dims=("band", "y", "x"))
    whole = Blur()(array)
    lazy = Blur()(array.chunk({"y": high, "x": wide}))
    assert lazy.chunks is not None
    np.testing.assert_array_equal(lazy.compute().values, whole.values)


@pytest.mark.parametrize("shape", [(2, 1, 1), (2, 1, 31), (2, 23, 1)])
def test_a_lazy_raster_may_be_narrower_than_what_an_operator_looks_at(shape: tuple[int, int, int]) -> None:
    array = xr.DataArray(np.random.default_rng(0).integers(0, 1000, shape).astype("uint16"), dims=("band", "y", "x"))
    lazy = Blur()(array.chunk({"y": 5, "x": 5}))
    np.testing.assert_array_equal(lazy.compute().values, Blur()(array).values)


def test_what_is_made_of_a_lazy_raster_is_what_is_made_of_one_in_memory_name_included(raster: xr.DataArray) -> None:
    xr.testing.assert_identical(Blur()(raster.chunk({"y": 7, "x": 11})).compute(), Blur()(raster))


def test_a_chunk_knows_where_it_is(raster: xr.DataArray) -> None:
    lazy = Where()(raster.chunk({"y": 7, "x": 11}))
    np.testing.assert_array_equal(lazy.compute().values, Where()(raster).values)
    assert lazy.band.values.tolist() == ["x", "y"]


@pytest.mark.parametrize("kind", ["path", "array", "lazy", "dataset"])
def test_a_table_looks_round_its_pixels_in_the_raster(scene: Path, polygons: Path, raster: xr.DataArray, kind: str) -> None:
    with rasterio.open(scene) as dataset:
        source: Any = {"path": scene, "array": raster, "lazy": raster.chunk({"x": 13}), "dataset": dataset}[kind]
        X, _ = pw.extract_pixels(source, polygons, column="class")
    expected = Blur()(raster).values[:, *np.divmod(X.pixel, 80)].T
    np.testing.assert_array_equal(np.asarray(Blur().fit_transform(X)), expected)
    assert np.array_equal(Blur().transform(X).xy, X.xy)


def test_operators_behind_each_other_look_round_together(scene: Path, polygons: Path, raster: xr.DataArray) -> None:
    steps = make_pipeline(Blur(), pw.indices.AppendIndex(pw.indices.NDVI("B04", "B08")), Blur(2.0))
    X, _ = pw.extract_pixels(scene, polygons, column="class")
    table = steps.fit_transform(X)
    expected = steps.transform(raster).values[:, *np.divmod(X.pixel, 80)].T
    np.testing.assert_array_equal(np.asarray(table), expected)
    assert table.feature_names == ("B02", "B03", "B04", "B08", "NDVI")


def test_rows_of_several_rasters_look_round_in_their_own(write: Any, values: np.ndarray, polygons: Path) -> None:
    names = ("a", "b", "c", "d")
    one, two = write(values, "one.tif", names), write(values[::-1] * 2, "two.tif", names[::-1])
    X, _ = pw.extract_pixels([one, two], polygons, column="class")
    table = np.asarray(Blur().transform(X))
    for number, path in enumerate((one, two)):
        rows = X.scene == number
        here = Blur()(pw.open_raster(path)).sel(band=list(names)).values[:, *np.divmod(X.pixel[rows], 80)].T
        np.testing.assert_array_equal(table[rows], here)


def test_what_the_extraction_took_for_missing_is_missing_in_the_surroundings(scene: Path, polygons: Path) -> None:
    raster = pw.open_raster(scene)
    level = int(raster.values[0].min())
    policy = pw.NanPolicy("drop", sentinels={"B02": (level,)}, valid_range=(1, 60_000))
    X, _ = pw.extract_pixels(scene, polygons, column="class", nan=policy)
    by_hand = raster.astype("float32").where((raster != level) | (raster.band != "B02")).where(raster > 0)
    expected = Blur()(by_hand).values[:, *np.divmod(X.pixel, 80)].T
    np.testing.assert_array_equal(np.asarray(Blur().transform(X)), expected)


def test_a_raster_is_transformed_once_for_all_folds(scene: Path, polygons: Path) -> None:
    X, y = pw.extract_pixels(scene, polygons, column="class")
    Blur.calls = 0
    search = GridSearchCV(
        make_pipeline(Blur(), pw.PixelwiseClassifier(LogisticRegression())),
        {"pixelwiseclassifier__estimator__C": [0.1, 1.0, 10.0]},
        cv=pw.SpatialBlockGroupKFold(3, 150),
    ).fit(X, y)
    assert Blur.calls == 1
    assert search.predict(scene).shape == (60, 80)
    np.testing.assert_allclose(np.asarray(Blur(3.0).transform(X)), 3 * np.asarray(Blur().transform(X)), rtol=1e-6)


def test_a_table_goes_to_another_process_with_its_rasters(scene: Path, polygons: Path) -> None:
    X, _ = pw.extract_pixels(scene, polygons, column="class")
    there = pickle.loads(pickle.dumps(X[5:50]))
    assert np.array_equal(np.asarray(Blur().transform(there)), np.asarray(Blur().transform(X))[5:50])


def test_file_to_file_equals_the_table(scene: Path, polygons: Path, tmp_path: Path) -> None:
    X, y = pw.extract_pixels(scene, polygons, column="class")
    model = make_pipeline(Blur(), pw.PixelwiseClassifier(LogisticRegression())).fit(X, y)
    made = pw.open_raster(pw.predict_raster(model, scene, tmp_path / "map.tif", memory="40MB"))
    codes = {name: code for code, name in enumerate(model[-1].classes_)}
    assert np.array_equal(made.values[0][np.divmod(X.pixel, 80)], [codes[label] for label in model.predict(X)])


def test_rows_without_a_raster_have_no_neighbours(scene: Path, polygons: Path) -> None:
    X, _ = pw.extract_pixels(scene, polygons, column="class")
    with pytest.raises(GridError, match="Blur looks 2 pixels round, and an array of rows has no neighbours"):
        Blur().fit_transform(np.asarray(X))
    with pytest.raises(GridError, match="this table does not know its rasters any more"):
        Blur().transform(X.with_bands(np.asarray(X) * 2, X.band_names))
    loose = pw.PixelTable.from_values(np.ones((2, 1)), [Grid(None, rasterio.Affine.identity(), 3, 3)], pixel=np.arange(2))
    with pytest.raises(GridError, match="does not know its rasters"):
        Blur().transform(loose)


def test_extreme_floats_and_masks_are_missing_before_an_operator_sees_them() -> None:
    values = np.array([[[1.0, -1.7e308, np.inf], [2.0, 3.4e38, 7.0]]])
    seen = pw.unwrap(Blur(0.0)(pw.Raster(values, Grid(None, rasterio.Affine.identity(), 2, 3), nodata=(7.0,))))
    assert np.isnan(seen.values).any()
    with_mask = np.ma.masked_equal(np.array([[[1, 5]]], "uint8"), 5)
    assert np.isnan(pw.indices.NDVI(0, 0)(np.ma.filled(with_mask, 0))).tolist() == [[[False, True]]]


def test_only_what_keeps_the_numbers_keeps_their_scale(scene: Path, tmp_path: Path) -> None:
    path = shutil.copy(scene, tmp_path / "scaled.tif")
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (1e-4,) * file.count, (-0.1,) * file.count
    ndvi = pw.indices.NDVI(red="B04", nir="B08")
    raster = pw.open_raster(path)
    assert (raster.attrs["scale_factor"], raster.attrs["add_offset"]) == (1e-4, -0.1)
    for made in (ndvi(raster), ndvi(raster.chunk({"x": 16})), pw.correction.DNToReflectance(scale=1e-4, offset=-0.1)(raster)):
        assert not {"scale_factor", "add_offset"} & set(made.attrs)
    assert pw.core.Tap(lambda _: None)(raster).attrs["scale_factor"] == 1e-4
    for number, src in enumerate((path, raster)):
        pw.predict_raster(ndvi, src, tmp_path / f"{number}.tif", method="transform")
        with rasterio.open(tmp_path / f"{number}.tif") as file:
            assert (file.scales, file.offsets) == ((1.0,), (0.0,))
