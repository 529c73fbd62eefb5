"""Rasters with a time axis as tables: on a stack of real Landsat scenes, and against indexing by hand."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import geopandas as gpd
import hypothesis.extra.numpy as st_numpy
import numpy as np
import pytest
import shapely
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

import pixelwise as pw
from pixelwise.errors import GridError
from pixelwise.table.extract import all_pixels

HANDLING = ("features", "samples", "panel")


@pytest.fixture(scope="module")
def stack(landsat_series: dict[str, dict[str, Path]]) -> xr.DataArray:
    """Red and near infrared of 12 dates, opened in a random order."""
    dates = np.random.default_rng(0).permutation(list(landsat_series)[20:32]).tolist()
    files = [{band: landsat_series[date][band] for band in ("b3", "b4")} for date in dates]
    return pw.open_raster(files, times=dates)


@pytest.fixture(scope="module")
def fields(stack: xr.DataArray) -> gpd.GeoDataFrame:
    left, bottom, right, top = stack.rio.bounds()
    halves = [
        shapely.box(left, bottom, (left + right) / 2 - 400, top),
        shapely.box((left + right) / 2 + 400, bottom, right, top),
    ]
    return gpd.GeoDataFrame({"crop": ["west", "east"]}, geometry=halves, crs=stack.rio.crs)


def test_columns_are_all_dates_of_a_band_and_then_of_the_next(stack: xr.DataArray, fields: gpd.GeoDataFrame) -> None:
    X, y = pw.extract_pixels(stack, fields, column="crop", nan="propagate")
    assert X.shape == (len(y), 24)
    assert X.base_bands == ("b3", "b4")
    assert X.times is not None
    assert np.array_equal(X.times, stack.time.values)
    row, col = np.divmod(X.pixel, 61)
    expected = pw.unwrap(stack).values[:, :, row, col].astype("float32")
    expected[expected == -9999] = np.nan
    assert np.array_equal(np.asarray(X), expected.transpose(2, 0, 1).reshape(len(y), 24), equal_nan=True)
    assert X.feature_names[0].startswith("b3_20")
    assert X.feature_names[12].replace("b4", "b3") == X.feature_names[0]
    assert "2 bands x 12 dates" in repr(X)


def test_dates_out_of_order_give_the_same_table(stack: xr.DataArray, fields: gpd.GeoDataFrame) -> None:
    shuffled = stack.isel(time=np.random.default_rng(1).permutation(12))
    one, _ = pw.extract_pixels(stack, fields, column="crop", nan="propagate")
    two, _ = pw.extract_pixels(shuffled, fields, column="crop", nan="propagate")
    assert one.feature_names == two.feature_names
    assert np.array_equal(np.asarray(one), np.asarray(two), equal_nan=True)
    for handling in HANDLING:
        layout = pw.ToTemporalPixelMajor(handling)
        assert np.array_equal(layout(stack), layout(shuffled))


@pytest.mark.parametrize("handling", HANDLING)
def test_a_table_in_another_layout_is_that_of_the_raster(handling: str, stack: xr.DataArray) -> None:
    layout = pw.ToTemporalPixelMajor(handling)
    X = all_pixels(stack, pw.NanPolicy("propagate"))
    whole = layout(stack.astype("float32").where(stack != -9999))
    keep = X.pixel if handling != "samples" else np.concatenate([X.pixel + 61 * 61 * step for step in range(12)])
    assert np.array_equal(np.asarray(layout(X)), whole[keep], equal_nan=True)


def test_samples_know_their_date_and_place(stack: xr.DataArray, fields: gpd.GeoDataFrame) -> None:
    X, _ = pw.extract_pixels(stack, fields, column="crop", nan="propagate")
    rows = pw.ToTemporalPixelMajor("samples")(X)
    assert rows.shape == (12 * len(X), 2)
    assert rows.band_names == ("b3", "b4")
    assert np.array_equal(rows.row_times, np.repeat(stack.time.values, len(X)))
    assert np.array_equal(rows.xy, np.tile(X.xy, (12, 1)))
    assert np.array_equal(rows.groups, np.tile(X.groups, 12))
    assert pw.ToTemporalPixelMajor("samples")(rows) is rows


@given(
    values=st_numpy.arrays(np.int16, st.tuples(*[st.integers(1, 4)] * 4)),
    handling=st.sampled_from(HANDLING),
)
def test_there_and_back_is_the_same_raster(values: np.ndarray, handling: str) -> None:
    back = pw.FromTemporalPixelMajor(values, handling)(pw.ToTemporalPixelMajor(handling)(values))
    assert np.array_equal(back, values)


@pytest.mark.parametrize("handling", HANDLING)
def test_the_way_back_keeps_dates_that_are_out_of_order(handling: str, stack: xr.DataArray) -> None:
    shuffled = stack.isel(time=[3, 0, 2, 1])
    back = pw.FromTemporalPixelMajor(shuffled, handling)(pw.ToTemporalPixelMajor(handling)(shuffled))
    xr.testing.assert_equal(back, shuffled)


def test_predictions_become_maps(stack: xr.DataArray) -> None:
    n = 61 * 61
    one = pw.FromTemporalPixelMajor(stack)(np.arange(n))
    assert (one.dims, one.shape) == (("y", "x"), (61, 61))
    several = pw.FromTemporalPixelMajor(stack)(np.zeros((n, 3)))
    assert (several.dims, several.shape) == (("band", "y", "x"), (3, 61, 61))
    dated = pw.FromTemporalPixelMajor(stack, "samples")(np.arange(n * 12))
    assert (dated.dims, dated.shape) == (("time", "y", "x"), (12, 61, 61))
    assert np.array_equal(dated.time, stack.time)
    with pytest.raises(GridError, match="10 rows does not fill a raster of 61 x 61 pixels, times 12 dates"):
        pw.FromTemporalPixelMajor(stack, "samples")(np.arange(10))


def test_a_layout_is_known_by_its_parameters() -> None:
    features, samples = pw.ToTemporalPixelMajor(), pw.ToTemporalPixelMajor("samples")
    assert features == pw.ToTemporalPixelMajor("features")
    assert features == clone(features)
    assert hash(features) == hash(clone(features))
    assert features != samples
    assert features != pw.ToPixelMajor()
    assert repr(samples) == "ToTemporalPixelMajor(time_handling='samples')"
    assert pickle.loads(pickle.dumps(samples)) == samples


def test_what_has_no_dates_is_refused(stack: xr.DataArray, fields: gpd.GeoDataFrame, scene: Path, polygons: Path) -> None:
    X, _ = pw.extract_pixels(scene, polygons, column="class")
    with pytest.raises(GridError, match="needs dates along the columns, and this table of 4 columns has none"):
        pw.ToTemporalPixelMajor()(X)
    with pytest.raises(GridError, match="has no dates along its columns"):
        X.by_date()
    with pytest.raises(GridError, match=r"shape \(2, 61, 61\) has no time axis: stack dates with open_raster"):
        pw.ToTemporalPixelMajor()(stack.isel(time=0))
    with pytest.raises(ValueError, match="time_handling='wide' is not known: choose one of 'features', 'samples', 'panel'"):
        pw.ToTemporalPixelMajor("wide")(stack)
    twice = xr.concat([stack, stack.isel(time=[0])], "time")
    with pytest.raises(GridError, match=r"stands twice on the time axis: merge its scenes first"):
        pw.extract_pixels(twice, fields, column="crop")


def test_stacks_of_other_dates_are_not_mixed_into_one_table(stack: xr.DataArray, fields: gpd.GeoDataFrame) -> None:
    X, _ = pw.extract_pixels([stack, stack], fields, column="crop", nan="propagate")
    assert X.times is not None
    later = stack.assign_coords(time=stack.time + np.timedelta64(400, "D"))
    with pytest.raises(GridError, match="bring both to the same slots first"):
        pw.extract_pixels([stack, later.isel(time=slice(5))], fields, column="crop", nan="propagate")


def test_rasters_of_one_date_may_be_told_theirs(scene: Path, polygons: Path) -> None:
    X, _ = pw.extract_pixels([scene, scene], polygons, column="class", times=["2020-01-01", "2021-01-01"])
    assert X.row_times is not None
    assert np.array_equal(X.row_times, np.repeat(np.array(["2020-01-01", "2021-01-01"], "datetime64[ns]"), 1200))
    assert X[[0, 1300]].row_times.tolist() == X.row_times[[0, 1300]].tolist()
    assert pw.extract_pixels(scene, polygons, column="class")[0].row_times is None
    with pytest.raises(GridError, match="1 times for 2 rasters"):
        pw.extract_pixels([scene, scene], polygons, column="class", times=["2020-01-01"])


def test_a_mask_of_a_stack_is_missing_data(fields: Any) -> None:
    values = np.ma.masked_array(np.arange(24.0).reshape(2, 3, 2, 2), mask=False)
    values.mask[1, 2, 0, 1] = True
    X = all_pixels(values, pw.NanPolicy("propagate"))
    assert np.argwhere(np.isnan(np.asarray(X))).tolist() == [[1, 5]]
    assert X.band_names is None
    assert X.base_bands == ("band_1", "band_2")
