from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import pixelwise as pw
from pixelwise.operators.time_columns import raster_to_rows, rows_to_raster, split_column
from pixelwise.raster.dates import dated_names
from pixelwise.raster.io import as_nan

t = pw.temporal


@pytest.mark.parametrize(
    ("name", "band", "date"),
    [
        ("B04_2018-01-31", "B04", "2018-01-31"),
        ("ndvi_max_2018-01", "ndvi_max", "2018-01-01"),
        ("B04_2018-01-31T10:30:05", "B04", "2018-01-31T10:30:05"),
    ],
)
def test_a_column_ends_on_its_date(name: str, band: str, date: str) -> None:
    assert split_column(name) == (band, np.datetime64(date, "ns"))


@pytest.mark.parametrize(
    "name", ["B04", "B04_01", "2018-01-31", "B04_2018-13-01", "B04_2018-02-30", "B04-2018-01-31", "B04_2018"]
)
def test_other_columns_have_no_date(name: str) -> None:
    assert split_column(name) is None


def names_of(stack: xr.DataArray) -> list[str]:
    return dated_names(stack.band.values.tolist(), stack.time.values, stack.sizes["time"])


def rows_of(stack: xr.DataArray) -> np.ndarray:
    values = as_nan(pw.unwrap(stack)).values
    return np.stack([layer.ravel() for band in values for layer in band], axis=1)


@pytest.mark.parametrize(
    "operator",
    [t.LinearGapFill(), t.Whittaker(), t.HarmonicFeatures(), t.TimeAggregate(freq="month"), t.MonthlyComposite()],
    ids=repr,
)
def test_rows_of_bands_and_dates_give_what_the_raster_gives(operator: Any, stack: xr.DataArray) -> None:
    table, names, _ = raster_to_rows(operator.apply(rows_to_raster(rows_of(stack), names_of(stack))), names_of(stack))
    result = operator(stack)
    if "time" in result.dims:
        assert names == tuple(names_of(result))
        expected = np.stack([layer.values.ravel() for band in result for layer in band], axis=1)
    else:
        assert names == tuple(result.band.values)
        expected = np.stack([layer.values.ravel() for layer in result], axis=1)
    assert np.array_equal(table, expected, equal_nan=True)
    assert table.flags.c_contiguous


def test_columns_keep_their_order_and_spelling() -> None:
    names = ["b_2018-02", "a_2018-01", "b_2018-01", "a_2018-02"]
    rows = np.arange(8.0).reshape(2, 4)
    raster = rows_to_raster(rows, names)
    assert raster.bands == ("b", "a")
    assert raster.values[:, :, 0, 0].tolist() == [[2, 0], [1, 3]]
    table, found, _ = raster_to_rows(raster, names)
    assert found == tuple(names)
    assert np.array_equal(table, rows)


def test_a_band_that_lacks_a_date_is_missing_there() -> None:
    raster = rows_to_raster(np.array([[1, 2, 3]]), ["a_2018-01-01", "a_2018-02-01", "b_2018-02-01"])
    assert np.array_equal(raster.values[:, :, 0, 0], [[1, 2], [np.nan, 3]], equal_nan=True)
    table, found, _ = raster_to_rows(raster, ["a_2018-01-01"])
    assert found == ("a_2018-01", "a_2018-02", "b_2018-01", "b_2018-02")
    assert np.array_equal(table, [[1, 2, np.nan, 3]], equal_nan=True)


def test_an_operator_of_bands_works_date_by_date(stack: xr.DataArray) -> None:
    ndvi = pw.indices.NDVI(red="B04", nir="B08")
    table, names, _ = raster_to_rows(ndvi.apply(rows_to_raster(rows_of(stack), names_of(stack))), names_of(stack))
    assert names == tuple(dated_names(["NDVI"], stack.time.values, stack.sizes["time"]))
    assert np.array_equal(table, rows_of(ndvi(stack)), equal_nan=True)


@pytest.mark.parametrize("names", [None, ["a", "b_2018-01-01"], ["a_2018-01", "a_2018-01-01"]])
def test_columns_that_are_not_all_dated_have_no_time_axis(names: list[str] | None) -> None:
    raster = rows_to_raster(np.array([[1.0, 2.0]]), names)
    assert raster.values.shape == (2, 1, 1)
    assert raster.bands == (None if names is None else tuple(names))
    table, found, _ = raster_to_rows(raster, names)
    assert table.tolist() == [[1.0, 2.0]]
    assert found == raster.bands
