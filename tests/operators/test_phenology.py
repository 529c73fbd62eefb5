from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import pixelwise as pw
from pixelwise.errors import GridError
from pixelwise.raster.io import as_nan

Metrics = pw.temporal.PhenologyMetrics
NAMES = ("start", "end", "length", "peak", "peak_date", "amplitude", "integral")


def season_of(series: np.ndarray, days: np.ndarray, threshold: float) -> list[float]:
    """The definition in a plain loop over one series."""
    valid = ~np.isnan(series)
    values, at = series[valid], days[valid]
    if not len(values):
        return [np.nan] * 7
    top = int(values.argmax())
    start = end = amplitude = np.nan
    left, right = values[: top + 1].min(), values[top:].min()
    low, high = left + threshold * (values[top] - left), right + threshold * (values[top] - right)
    for step in range(top - 1, -1, -1):
        if values[step] <= low:
            start = at[step] + (low - values[step]) / (values[step + 1] - values[step]) * (at[step + 1] - at[step])
            break
    for step in range(top + 1, len(values)):
        if values[step] <= high:
            end = at[step - 1] + (high - values[step - 1]) / (values[step] - values[step - 1]) * (at[step] - at[step - 1])
            break
    if left < values[top] and right < values[top]:
        amplitude = values[top] - (left + right) / 2
    area = np.nan
    if not np.isnan(start + end):
        corners = np.unique([start, end, *at[(at > start) & (at < end)]])
        area = np.trapezoid(np.interp(corners, at, values), corners)
    return [start, end, end - start, values[top], at[top], amplitude, area]


@pytest.mark.parametrize("threshold", [0.2, 0.5])
@pytest.mark.parametrize("n_dates", [23, 60])
def test_metrics_are_those_of_the_definition(make_stack, n_dates: int, threshold: float) -> None:
    stack = make_stack(n_dates)
    result = Metrics(threshold)(stack)
    assert result.band.values.tolist() == [f"{band}_{name}" for band in ("B04", "B08") for name in NAMES]
    values = as_nan(pw.unwrap(stack)).values
    days = (stack.time.values - np.datetime64("2018-01-01")) / np.timedelta64(1, "D") + 1
    for band, row, col in np.ndindex(2, *values.shape[2:]):
        found = result.values[band * 7 : band * 7 + 7, row, col]
        np.testing.assert_allclose(found, season_of(values[band, :, row, col], days, threshold), rtol=1e-9, atol=1e-7)


def series(values: list[float], dates: list[str]) -> xr.DataArray:
    return xr.DataArray(np.array(values)[:, None, None], {"time": pd.to_datetime(dates)}, ("time", "y", "x"))


def metrics(operator: Metrics, stack: xr.DataArray) -> dict[str, float]:
    return dict(zip(NAMES, operator(stack).values.ravel().tolist(), strict=True))


DATES = ["2018-01-11", "2018-03-12", "2018-05-11", "2018-07-10", "2018-09-08"]


def test_a_season_that_peaks_at_an_end_has_no_start_or_no_end() -> None:
    falling = metrics(Metrics(), series([0.9, 0.7, 0.5, 0.3, 0.1], DATES))
    assert falling["peak_date"] == 11
    assert falling["end"] == pytest.approx(131)
    assert np.isnan([falling[name] for name in ("start", "length", "amplitude", "integral")]).all()
    rising = metrics(Metrics(), series([0.1, 0.3, 0.5, 0.7, 0.9], DATES))
    assert rising["start"] == pytest.approx(131)
    assert np.isnan([rising[name] for name in ("end", "length", "amplitude", "integral")]).all()


def test_a_flat_series_has_no_season() -> None:
    flat = metrics(Metrics(), series([0.5] * 5, DATES))
    assert flat["peak"] == 0.5
    assert np.isnan([flat[name] for name in ("start", "end", "length", "amplitude", "integral")]).all()


def test_an_amplitude_that_is_too_small_is_no_season() -> None:
    curve = series([0.2, 0.3, 0.4, 0.3, 0.2], DATES)
    assert metrics(Metrics(min_amplitude=0.19), curve)["length"] == pytest.approx(120)
    small = metrics(Metrics(min_amplitude=0.21), curve)
    assert small["amplitude"] == pytest.approx(0.2)
    assert np.isnan([small[name] for name in ("start", "end", "length", "integral")]).all()


def test_days_count_from_the_origin_nearest_to_the_first_date() -> None:
    curve = [0.2, 0.3, 0.4, 0.3, 0.2]
    assert metrics(Metrics(), series(curve, DATES))["peak_date"] == 131
    winter = ["2017-11-20", *DATES[:4]]
    assert metrics(Metrics(), series(curve, winter))["peak_date"] == 71
    south = ["2017-07-20", "2017-10-01", "2018-01-01", "2018-04-01", "2018-06-20"]
    assert metrics(Metrics(origin="07-01"), series(curve, south))["peak_date"] == 185


def test_fewer_than_three_dates_are_no_season(stack: xr.DataArray) -> None:
    with pytest.raises(GridError, match="PhenologyMetrics needs 3 dates or more, and the raster has 2"):
        Metrics()(stack.isel(time=[0, 1]))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"threshold": 1}, "threshold=1 is no share"),
        ({"origin": "July"}, "origin='July' is no month and day"),
        ({"origin": "02-29"}, "origin='02-29' is no day of every year"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(params: dict, message: str, stack: xr.DataArray) -> None:
    with pytest.raises(ValueError, match=message):
        Metrics(**params)(stack)
