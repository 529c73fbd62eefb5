from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.signal import savgol_filter

import pixelwise as pw
from pixelwise.errors import GridError
from pixelwise.raster.io import as_nan

t = pw.temporal


def plain(stack: xr.DataArray) -> np.ndarray:
    return as_nan(pw.unwrap(stack)).values


def days_of(stack: xr.DataArray) -> np.ndarray:
    return (stack.time.values - stack.time.values[0]) / np.timedelta64(1, "D")


def evenly(stack: xr.DataArray) -> xr.DataArray:
    return stack.assign_coords(time=np.datetime64("2018-01-01", "ns") + np.arange(stack.sizes["time"]) * np.timedelta64(8, "D"))


@pytest.mark.parametrize(("window", "order"), [(7, 2), (5, 3), (9, 0), (1, 0), (5, 4)])
def test_on_even_dates_without_gaps_savitzky_golay_is_that_of_scipy(stack: xr.DataArray, window: int, order: int) -> None:
    filled = t.LinearGapFill()(evenly(stack)).fillna(1)
    smooth = t.SavitzkyGolay(window, order)(filled)
    expected = savgol_filter(plain(filled), window, order, axis=1, mode="interp")
    np.testing.assert_allclose(smooth, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("window", "order"), [(7, 2), (5, 1)])
def test_irregular_dates_and_gaps_are_local_least_squares(stack: xr.DataArray, window: int, order: int) -> None:
    values, days = plain(stack), days_of(stack)
    expected = np.full(values.shape, np.nan)
    for band, row, col in np.ndindex(2, *values.shape[2:]):
        series = values[band, :, row, col]
        for step in np.flatnonzero(~np.isnan(series)):
            first = min(max(0, step - window // 2), len(days) - window)
            at = np.arange(first, first + window)
            at = at[~np.isnan(series[at])]
            if len(at) > order:
                expected[band, step, row, col] = np.polynomial.Polynomial.fit(days[at], series[at], order)(days[step])
    np.testing.assert_allclose(t.SavitzkyGolay(window, order)(stack), expected, rtol=1e-7, atol=1e-7)


def test_a_missing_date_stays_missing_for_savitzky_golay(stack: xr.DataArray) -> None:
    assert t.SavitzkyGolay()(stack).isnull().values[np.isnan(plain(stack))].all()


def whittaker_by_pixel(series: np.ndarray, smoothing: float, differences: np.ndarray) -> np.ndarray:
    weights = (~np.isnan(series)).astype(float)
    if weights.sum() < len(series) - len(differences):
        return np.full(len(series), np.nan)
    system = np.diag(weights) + smoothing * differences.T @ differences
    return np.linalg.solve(system, np.nan_to_num(series, nan=0.0))


@pytest.mark.parametrize("order", [1, 2, 3])
def test_on_even_dates_whittaker_is_that_of_the_textbook(stack: xr.DataArray, order: int) -> None:
    values, differences = plain(stack), np.diff(np.eye(23), order, axis=0)
    smooth = t.Whittaker(smoothing=20, order=order)(evenly(stack)).values
    for band, row, col in np.ndindex(2, *values.shape[2:]):
        expected = whittaker_by_pixel(values[band, :, row, col], 20, differences)
        np.testing.assert_allclose(smooth[band, :, row, col], expected, rtol=1e-7, atol=1e-7)


def test_on_irregular_dates_whittaker_takes_divided_differences(stack: xr.DataArray) -> None:
    values, days = plain(stack), days_of(stack)
    at = days / np.median(np.diff(days))
    differences = np.zeros((21, 23))
    for row in range(21):
        before, after, whole = at[row + 1] - at[row], at[row + 2] - at[row + 1], at[row + 2] - at[row]
        differences[row, row : row + 3] = 2 / before / whole, -2 / before / after, 2 / after / whole
    smooth = t.Whittaker(smoothing=5)(stack).values
    for band, row, col in np.ndindex(2, *values.shape[2:]):
        expected = whittaker_by_pixel(values[band, :, row, col], 5, differences)
        np.testing.assert_allclose(smooth[band, :, row, col], expected, rtol=1e-6, atol=1e-6)


def test_a_straight_line_is_smooth_already_whatever_its_dates_and_gaps(stack: xr.DataArray) -> None:
    line = xr.where(np.isnan(plain(stack)), np.nan, 3 + 0.25 * days_of(stack)[:, None, None])
    for operator in (t.Whittaker(smoothing=1e4), t.SavitzkyGolay(7, 1)):
        smooth = operator(stack.copy(data=line)).values
        known = ~np.isnan(smooth)
        expected = np.broadcast_to(3 + 0.25 * days_of(stack)[:, None, None], line.shape)
        np.testing.assert_allclose(smooth[known], expected[known], rtol=1e-6)


def test_whittaker_fills_every_series_that_two_dates_determine(stack: xr.DataArray) -> None:
    few = stack.where(stack.time.isin(stack.time[[3, 9]]))
    determined = (~np.isnan(plain(few))).sum(axis=1) >= 2
    filled = t.Whittaker()(few).notnull()
    assert determined.any()
    assert (filled.all("time") == determined).all()
    assert (filled.any("time") == determined).all()


def test_no_smoothing_gives_back_what_was_valid() -> None:
    values = np.array([1.0, 5.0, 2.0, 8.0])[None, :, None, None]
    np.testing.assert_allclose(t.Whittaker(smoothing=0)(values), values)


def test_too_few_dates_are_refused(stack: xr.DataArray) -> None:
    with pytest.raises(GridError, match="SavitzkyGolay needs 7 dates or more, and the raster has 5"):
        t.SavitzkyGolay()(stack.isel(time=slice(5)))
    with pytest.raises(GridError, match="Whittaker needs 3 dates or more, and the raster has 1"):
        t.Whittaker()(stack.isel(time=[0]))


@pytest.mark.parametrize(
    ("operator", "message"),
    [
        (t.SavitzkyGolay(window=6), "window=6 is no odd number"),
        (t.SavitzkyGolay(window=3, order=3), "order=3 does not fit window=3: give one from 0 to 2"),
        (t.Whittaker(smoothing=-1), "smoothing=-1 is no weight"),
        (t.Whittaker(order=4), "order=4 is not known: choose one of 1, 2, 3"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(operator, message: str, stack: xr.DataArray) -> None:
    with pytest.raises(ValueError, match=message):
        operator(stack)
