from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import pixelwise as pw
from pixelwise.raster.io import as_nan

FILL = pw.temporal.LinearGapFill


def by_pixel(stack: xr.DataArray, edges: str = "nearest", dtype: str = "float64") -> np.ndarray:
    """What numpy.interp makes of each series, in a plain loop."""
    days = (stack.time.values - stack.time.values[0]) / np.timedelta64(1, "D")
    values = as_nan(pw.unwrap(stack)).values.astype(dtype)
    outside = np.nan if edges == "nan" else None
    for band, row, col in np.ndindex(values.shape[0], *values.shape[2:]):
        series = values[band, :, row, col]
        valid = ~np.isnan(series)
        if valid.any():
            values[band, :, row, col] = np.interp(days, days[valid], series[valid], left=outside, right=outside)
    return values


@pytest.mark.parametrize("edges", ["nearest", "nan"])
@pytest.mark.parametrize("n_dates", [23, 137])
def test_gaps_are_filled_bit_for_bit_as_numpy_interp_does(make_stack, n_dates: int, edges: str) -> None:
    stack = make_stack(n_dates)
    assert np.array_equal(FILL(edges=edges)(stack).values, by_pixel(stack, edges), equal_nan=True)


def test_float32_is_interpolated_in_float64(make_stack) -> None:
    stack = make_stack(dtype="float32")
    filled = FILL()(stack)
    assert filled.dtype == np.float32
    assert np.array_equal(filled.values, by_pixel(stack, dtype="float32"), equal_nan=True)


def series(values: list[float], days: list[int]) -> xr.DataArray:
    dates = np.datetime64("2018-01-01", "ns") + np.array(days) * np.timedelta64(1, "D")
    return xr.DataArray(np.array(values)[:, None, None], {"time": dates}, ("time", "y", "x"))


def test_a_gap_longer_than_the_limit_stays() -> None:
    gappy = series([np.nan, 1, np.nan, 3, np.nan, np.nan, 9, np.nan], [0, 5, 10, 15, 20, 30, 36, 45])
    assert FILL(limit=10)(gappy).values.ravel().tolist()[:4] == [1, 1, 2, 3]
    filled = FILL(limit=20)(gappy).values.ravel()
    assert np.isnan(filled[[4, 5]]).all()
    assert filled[7] == 9
    assert not np.isnan(FILL(limit=21)(gappy)).any()
    assert np.isnan(FILL(limit=8)(gappy).values.ravel()[[2, 7]]).all()


def test_a_single_valid_date_fills_all_or_nothing() -> None:
    lonely = series([np.nan, 4, np.nan], [0, 5, 10])
    assert FILL()(lonely).values.ravel().tolist() == [4, 4, 4]
    assert np.isnan(FILL(edges="nan")(lonely).values.ravel()).tolist() == [True, False, True]


def test_one_date_has_no_gap() -> None:
    assert FILL()(series([2.0], [0])).values.ravel().tolist() == [2.0]


def test_integers_with_nodata_are_filled_as_floats() -> None:
    counts = series([10, 0, 30], [0, 1, 2]).astype("uint16").rio.write_nodata(0)
    filled = FILL()(counts)
    assert filled.dtype == np.float32
    assert filled.values.ravel().tolist() == [10, 20, 30]


@pytest.mark.parametrize(("params", "message"), [({"limit": 0}, "limit=0 is no number"), ({"edges": "x"}, "edges='x' is not")])
def test_parameters_that_make_no_sense_are_refused(params: dict, message: str, stack: xr.DataArray) -> None:
    with pytest.raises(ValueError, match=message):
        FILL(**params)(stack)
