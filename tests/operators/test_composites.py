from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import pixelwise as pw
from pixelwise.errors import GridError
from pixelwise.operators.base import Operator
from pixelwise.raster.io import as_nan

t = pw.temporal
NUMPY = {
    "mean": np.nanmean,
    "median": np.nanmedian,
    "min": np.nanmin,
    "max": np.nanmax,
    "std": np.nanstd,
    "count": lambda values, axis: (~np.isnan(values)).sum(axis=axis),
    "sum": lambda values, axis: np.where(np.isnan(values).all(axis=axis), np.nan, np.nansum(values, axis=axis)),
    "first": lambda values, axis: pd.DataFrame(values[:, :, 0]).bfill().iloc[0].to_numpy()[:, None],
    "last": lambda values, axis: pd.DataFrame(values[:, :, 0]).ffill().iloc[-1].to_numpy()[:, None],
}


def plain(stack: xr.DataArray) -> np.ndarray:
    return as_nan(pw.unwrap(stack)).values


def by_numpy(how: str, values: np.ndarray) -> np.ndarray:
    """What numpy makes of dates (time, y, x), without its warnings about series that are missing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        columns = [NUMPY[how](values[:, :, [col]], axis=0)[:, 0] for col in range(values.shape[2])]
        return np.stack(columns, axis=1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("q", [[25, 50, 75], [0, 100], [2.5, 33.3, 90]])
@pytest.mark.parametrize("n_dates", [2, 23, 137])
def test_percentiles_are_those_of_numpy(make_stack, n_dates: int, q: list[float], dtype: str) -> None:
    stack = make_stack(n_dates, dtype=dtype)
    result = t.PercentileComposite(q)(stack)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        expected = np.nanpercentile(plain(stack), q, axis=1)
    assert result.dtype == dtype
    rtol = 1e-12 if dtype == "float64" else 1e-6
    np.testing.assert_allclose(result, np.concatenate(expected.transpose(1, 0, 2, 3)), rtol=rtol, atol=1e-5)


def test_percentiles_name_the_bands(stack: xr.DataArray) -> None:
    assert t.PercentileComposite([2.5, 50])(stack).band.values.tolist() == ["B04_p2.5", "B04_p50", "B08_p2.5", "B08_p50"]
    assert t.PercentileComposite(50)(stack).band.values.tolist() == ["B04", "B08"]
    assert t.PercentileComposite(np.array([10]))(stack).band.values.tolist() == ["B04_p10", "B08_p10"]


@pytest.mark.parametrize("how", NUMPY)
def test_a_statistic_of_all_dates_is_that_of_numpy(stack: xr.DataArray, how: str) -> None:
    result = t.TimeAggregate(how)(stack)
    assert result.band.values.tolist() == ["B04", "B08"]
    for band, values in enumerate(plain(stack)):
        np.testing.assert_allclose(result[band], by_numpy(how, values), rtol=1e-12)


@pytest.mark.parametrize("how", ["min", "max"])
@pytest.mark.parametrize("fill", [np.nan, np.inf, -np.inf, -1.7e308, 3.4e38])
def test_fills_are_no_extremes_of_a_series(how: str, fill: float) -> None:
    values = np.random.default_rng(3).normal(0, 100, (2, 9, 7, 6))
    values[np.random.default_rng(4).random(values.shape) < 0.3] = fill
    values[:, :, 2, 3] = fill
    values[0, :, 4, 4] = np.nan
    cleaned = np.where(np.abs(values) < 1e30, values, np.nan)
    found = t.TimeAggregate(how)(values)
    assert np.array_equal(found, np.stack([by_numpy(how, band) for band in cleaned]), equal_nan=True)
    assert np.array_equal(found, t.TimeAggregate([how])(values), equal_nan=True)


@pytest.mark.parametrize("how", ["min", "max"])
def test_declared_nodata_and_masks_are_no_extremes_of_a_series(how: str) -> None:
    values = np.random.default_rng(3).integers(0, 5, (1, 4, 6, 6))
    gone = values == 0
    grid = pw.Grid(None, (1, 0, 0, 0, -1, 0), 6, 6)
    expected = by_numpy(how, np.where(gone, np.nan, values)[0])
    for raster in (
        pw.Raster(values.astype("uint16"), grid, nodata=(0,)),
        pw.Raster(values.astype("float32"), grid, nodata=(0.0,)),
        pw.Raster(values.astype("float32"), grid, mask=gone),
    ):
        found = t.TimeAggregate(how)(raster)
        assert (found.values.dtype, found.mask) == (np.float32, None)
        assert np.isnan(found.nodata).all()
        assert np.array_equal(found.values[0], expected, equal_nan=True)


def test_several_statistics_name_the_bands(stack: xr.DataArray) -> None:
    result = t.TimeAggregate(["min", "max"])(stack)
    assert result.band.values.tolist() == ["B04_min", "B04_max", "B08_min", "B08_max"]
    assert (result[0] <= result[1]).values[result[0].notnull()].all()


@pytest.mark.parametrize(
    ("freq", "rule"), [("month", "MS"), ("season", "QS-DEC"), ("year", "YS"), ("dekad", None), ("day", None)]
)
@pytest.mark.parametrize("how", ["mean", "count", "last"])
def test_periods_are_those_of_the_calendar(make_stack, freq: str, rule: str | None, how: str) -> None:
    stack = make_stack(137)
    result = t.TimeAggregate(how, freq=freq)(stack)
    dates = pd.DatetimeIndex(stack.time.values)
    if rule:
        wanted = pd.Series(0, dates).resample(rule).first().index
    elif freq == "day":
        wanted = dates.normalize().unique()
    else:
        everyday = pd.date_range(dates[0] - pd.Timedelta(days=9), dates[-1])
        wanted = everyday[everyday.day.isin([1, 11, 21])]
        wanted = wanted[wanted.searchsorted(dates[0], side="right") - 1 :]
    assert (result.time.values == wanted.values).all()
    values, slot = plain(stack), wanted.searchsorted(dates, side="right") - 1
    for number in range(len(wanted)):
        dates_of_slot = values[1][slot == number]
        if len(dates_of_slot):
            np.testing.assert_allclose(result[1, number], by_numpy(how, dates_of_slot), rtol=1e-12)
        else:
            assert (result[1, number] == 0).all() if how == "count" else result[1, number].isnull().all()


@pytest.mark.parametrize("how", ["median", "min", "sum", "std", "first"])
def test_a_period_without_a_scene_is_nan(stack: xr.DataArray, how: str) -> None:
    result = t.TimeAggregate(how, freq="month")(stack.isel(time=[0, 22]))
    assert result[:, 1:-1].isnull().all()
    assert result[:, -1].notnull().any()


def test_several_statistics_of_periods_keep_bands_and_times_apart(stack: xr.DataArray) -> None:
    result = t.TimeAggregate(["min", "max"], freq="season")(stack)
    assert result.band.values.tolist() == ["B04_min", "B04_max", "B08_min", "B08_max"]
    for name in ("min", "max"):
        alone = t.TimeAggregate(name, freq="season")(stack)
        np.testing.assert_array_equal(result.sel(band=[f"B04_{name}", f"B08_{name}"]), alone)


def test_scenes_of_other_years_and_dates_line_up(stack: xr.DataArray) -> None:
    later = stack.isel(time=slice(4, None)).assign_coords(time=stack.time.values[4:] + np.timedelta64(365, "D"))
    one, two = t.MonthlyComposite()(stack), t.MonthlyComposite()(later)
    assert one.band.values.tolist() == two.band.values.tolist()
    assert one.band.values.tolist()[10:14] == ["B04_11", "B04_12", "B08_01", "B08_02"]


@pytest.mark.parametrize("how", ["median", "max", "count"])
def test_a_month_takes_the_dates_of_all_years(make_stack, how: str) -> None:
    stack = make_stack(137)
    result = t.MonthlyComposite(how, months=[2, 7])(stack)
    assert result.band.values.tolist() == ["B04_02", "B04_07", "B08_02", "B08_07"]
    month = pd.DatetimeIndex(stack.time.values).month
    for place, (band, number) in enumerate([(0, 2), (0, 7), (1, 2), (1, 7)]):
        np.testing.assert_allclose(result[place], by_numpy(how, plain(stack)[band][month == number]), rtol=1e-12)


def test_a_month_without_dates_is_nan(stack: xr.DataArray) -> None:
    summer = stack.sel(time=stack.time.dt.month.isin([6, 7]))
    result = t.MonthlyComposite()(summer)
    assert result.notnull().any(("y", "x")).values.tolist() == [month in (6, 7) for month in range(1, 13)] * 2


def test_one_date_is_its_own_composite(stack: xr.DataArray) -> None:
    one = stack.isel(time=[3])
    np.testing.assert_array_equal(t.TimeAggregate("median")(one), plain(one)[:, 0])
    np.testing.assert_array_equal(t.PercentileComposite(10)(one), plain(one)[:, 0])


def test_statistics_of_numbered_steps_need_no_dates(stack: xr.DataArray) -> None:
    numbered = stack.assign_coords(time=np.arange(23))
    assert t.TimeAggregate("max")(numbered).equals(t.TimeAggregate("max")(stack))
    with pytest.raises(GridError, match="the time axis holds numbers"):
        t.TimeAggregate("first")(numbered)


@pytest.mark.parametrize(
    ("operator", "message"),
    [
        (t.PercentileComposite([50, 101]), r"q=\[50, 101\] are no percentiles"),
        (t.PercentileComposite([]), "are no percentiles"),
        (t.TimeAggregate("mode"), "how='mode' is not known: choose one of 'mean', 'median'"),
        (t.TimeAggregate([]), "names no statistic"),
        (t.TimeAggregate(freq="week"), "freq='week' is not known: choose one of None, 'day', 'dekad'"),
        (t.MonthlyComposite("mode"), "how='mode' is not known"),
        (t.MonthlyComposite(months=[0, 13]), r"months=\[0, 13\] are no different months"),
        (t.MonthlyComposite(months=[]), "are no different months"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(operator, message: str, stack: xr.DataArray) -> None:
    with pytest.raises(ValueError, match=message):
        operator(stack)


@pytest.mark.parametrize(
    "operator",
    [t.TimeAggregate("mean"), t.TimeAggregate(["std", "min"]), t.PercentileComposite([20, 50]), t.MonthlyComposite("mean")],
    ids=["mean", "list", "percentiles", "months"],
)
def test_stored_numbers_are_composed_as_those_marked_missing_before(operator: Operator) -> None:
    values = np.random.default_rng(3).integers(0, 5, (2, 4, 6, 6)).astype("uint16")
    times = tuple(np.array(["2018-01-05", "2018-01-25", "2018-02-02", "2018-03-02"], "datetime64[ns]"))
    mask = np.random.default_rng(4).random((6, 6)) < 0.2
    stored = pw.Raster(values, pw.Grid(None, (1, 0, 0, 0, -1, 0), 6, 6), nodata=(0, 1), mask=mask, times=times)
    found, expected = operator(stored), operator(as_nan(stored))
    assert (found.values.dtype, found.mask) == (np.float32, None)
    assert np.array_equal(found.values, expected.values, equal_nan=True)
