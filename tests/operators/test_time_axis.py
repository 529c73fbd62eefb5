from __future__ import annotations

import datetime as dt
import pickle
import tracemalloc
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import clone

import pixelwise as pw
from pixelwise.errors import GridError
from pixelwise.operators.time_axis import dates_of, days_of, map_series
from pixelwise.raster.io import as_nan

t = pw.temporal
KEEPING = [t.LinearGapFill(limit=40, edges="nan"), t.SavitzkyGolay(), t.Whittaker(), t.TimeAggregate("mean", freq="month")]
REMOVING = [
    t.HarmonicFeatures(),
    t.PercentileComposite(),
    t.TimeAggregate(["mean", "std", "median", "sum", "max", "last"]),
    t.MonthlyComposite(),
    t.PhenologyMetrics(),
]
NEED_DATES = [t.LinearGapFill(limit=3), *REMOVING[:1], *REMOVING[3:], KEEPING[3]]
NEED_DISTINCT = [*KEEPING[:3], t.PhenologyMetrics()]


def plain(stack: xr.DataArray) -> pw.Raster:
    return as_nan(pw.unwrap(stack))


@pytest.mark.parametrize("operator", KEEPING, ids=repr)
def test_an_operator_that_keeps_the_time_axis_gives_a_stack(operator: Any, stack: xr.DataArray) -> None:
    result = operator(stack)
    assert result.dims == ("band", "time", "y", "x")
    assert result.band.values.tolist() == ["B04", "B08"]
    assert result.rio.crs == stack.rio.crs
    assert result.dtype == stack.dtype
    if not isinstance(operator, t.TimeAggregate):
        assert (result.time == stack.time).all()


@pytest.mark.parametrize("operator", REMOVING, ids=repr)
def test_an_operator_that_removes_the_time_axis_gives_named_bands(operator: Any, stack: xr.DataArray) -> None:
    result = operator(stack)
    assert result.dims == ("band", "y", "x")
    assert len(set(result.band.values.tolist())) == result.sizes["band"]
    assert all(str(name).startswith(("B04_", "B08_")) for name in result.band.values)
    assert result.dtype == stack.dtype


@pytest.mark.parametrize("operator", KEEPING + REMOVING, ids=repr)
def test_a_series_without_a_valid_date_gives_nan(operator: Any, stack: xr.DataArray) -> None:
    result = operator(stack)
    assert result[..., 2, 3].isnull().all()
    assert result[..., 5, 5].notnull().any()


@pytest.mark.parametrize("operator", KEEPING + REMOVING, ids=repr)
def test_float32_stays_float32_and_is_as_exact(operator: Any, stack: xr.DataArray) -> None:
    exact, single = plain(stack), plain(stack)
    single = single.with_values(single.values.astype("float32"))
    result = operator.apply(single).values
    assert result.dtype == np.float32
    np.testing.assert_allclose(
        result, operator.apply(exact.with_values(single.values.astype(float))).values, rtol=3e-6, atol=1e-4
    )


@pytest.mark.parametrize("operator", KEEPING + REMOVING, ids=repr)
def test_the_input_stays_as_it_was(operator: Any, stack: xr.DataArray) -> None:
    raster = plain(stack)
    before = raster.values.copy()
    operator.apply(raster)
    assert np.array_equal(raster.values, before, equal_nan=True)


@pytest.mark.parametrize("operator", KEEPING + REMOVING, ids=repr)
def test_a_block_that_is_full_is_left_alone_too(operator: Any) -> None:
    rng = np.random.default_rng(0)
    values = rng.random((1, 8, 64, 65), np.float32)
    values[rng.random(values.shape) < 0.2] = np.nan
    times = tuple(np.datetime64("2018-01-01", "ns") + np.arange(8) * np.timedelta64(13, "D"))
    raster = pw.Raster(values, pw.unwrap(values).grid, ("ndvi",), times=times)
    before = values.copy()
    whole = operator.apply(raster).values
    assert np.array_equal(values, before, equal_nan=True)
    corner = pw.Raster(values[..., 60:, 50:], pw.unwrap(values[..., 60:, 50:]).grid, ("ndvi",), times=times)
    assert np.array_equal(operator.apply(corner).values, whole[..., 60:, 50:], equal_nan=True)


@pytest.mark.parametrize("operator", KEEPING + REMOVING, ids=repr)
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 11), st.integers(0, 12), st.integers(1, 12), st.integers(1, 13))
def test_a_chip_equals_the_scene_bit_for_bit(
    operator: Any, stack: xr.DataArray, row: int, col: int, height: int, width: int
) -> None:
    window = {"y": slice(row, row + height), "x": slice(col, col + width)}
    chip = plain(stack).with_values(plain(stack).values[..., window["y"], window["x"]], grid=pw.unwrap(stack.isel(window)).grid)
    whole = operator.apply(plain(stack)).values[..., window["y"], window["x"]]
    assert np.array_equal(operator.apply(chip).values, whole, equal_nan=True)


@pytest.mark.parametrize("operator", KEEPING + REMOVING, ids=repr)
def test_the_order_of_the_scenes_does_not_matter(operator: Any, stack: xr.DataArray) -> None:
    shuffled = stack.isel(time=np.random.default_rng(1).permutation(stack.sizes["time"]))
    result = operator(shuffled)
    if "time" in result.dims:
        result = result.sortby("time")
    np.testing.assert_allclose(result.values, operator(stack).values, rtol=1e-9)


@pytest.mark.parametrize("operator", KEEPING + REMOVING, ids=repr)
def test_a_lazy_stack_stays_lazy(operator: Any, stack: xr.DataArray) -> None:
    lazy = operator(stack.chunk({"time": 5, "y": 5, "x": 6}))
    assert lazy.chunks is not None
    xr.testing.assert_equal(lazy.compute(), operator(stack))


@pytest.mark.parametrize("operator", KEEPING + REMOVING, ids=repr)
def test_any_order_of_the_axes_will_do(operator: Any, stack: xr.DataArray) -> None:
    other = stack.transpose("time", "y", "x", "band")
    result = operator(other)
    assert result.transpose(*operator(stack).dims).equals(operator(stack))


@pytest.mark.parametrize("operator", KEEPING + REMOVING, ids=repr)
def test_operators_are_cloned_and_pickled(operator: Any, stack: xr.DataArray) -> None:
    copy = pickle.loads(pickle.dumps(clone(operator)))
    assert copy.get_params() == operator.get_params()
    assert copy(stack).equals(operator(stack))


@pytest.mark.parametrize("operator", KEEPING + REMOVING, ids=repr)
def test_137_dates_take_twice_the_memory_of_the_input_at_the_most(operator: Any, make_stack: Any) -> None:
    stack = make_stack(137, size=100)
    raster = plain(stack)
    tracemalloc.start()
    result = operator.apply(raster)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.values.shape[-2:] == (100, 101)
    assert peak <= 2 * raster.values.nbytes


@pytest.mark.parametrize("operator", KEEPING + REMOVING, ids=repr)
def test_a_raster_without_a_time_axis_is_refused(operator: Any, raster: xr.DataArray) -> None:
    with pytest.raises(GridError, match=r"needs a time axis, and a raster of shape \(4, 60, 80\) has none: give a DataArray"):
        operator(raster)


@pytest.mark.parametrize("operator", NEED_DATES, ids=repr)
def test_dates_that_are_needed_must_be_there(operator: Any, stack: xr.DataArray) -> None:
    with pytest.raises(GridError, match="needs the dates, and the raster's time axis has none"):
        operator(stack.drop_vars("time"))
    with pytest.raises(GridError, match="the time axis holds numbers, such as 0"):
        operator(stack.assign_coords(time=np.arange(23)))


@pytest.mark.parametrize("operator", NEED_DISTINCT, ids=repr)
def test_two_scenes_of_a_date_are_refused_where_they_have_no_order(operator: Any, stack: xr.DataArray) -> None:
    twice = xr.concat([stack, stack.isel(time=[4])], "time")
    date = str(stack.time.values[4])[:10]
    with pytest.raises(GridError, match=rf"one scene a date, and {date} has several: merge them with .*TimeAggregate"):
        operator(twice)
    merged = t.TimeAggregate("mean", freq="day")(twice)
    assert operator(merged).equals(operator(stack))


def test_bare_arrays_are_evenly_spaced_where_dates_are_not_needed(stack: xr.DataArray) -> None:
    even = stack.assign_coords(time=np.datetime64("2018-01-01", "ns") + np.arange(23) * np.timedelta64(16, "D"))
    for operator in (t.LinearGapFill(), t.SavitzkyGolay(), t.Whittaker()):
        np.testing.assert_allclose(operator(stack.values), operator(even).values, rtol=1e-9)
    for operator in (t.PercentileComposite(), t.TimeAggregate()):
        assert np.array_equal(operator(stack.values), operator(stack).values, equal_nan=True)


def test_dates_may_be_text_or_dates_of_python(stack: xr.DataArray) -> None:
    raster = plain(stack)
    texts = tuple(np.datetime_as_string(stack.time.values, "D"))
    for times in (texts, tuple(dt.date.fromisoformat(text) for text in texts)):
        assert (dates_of(raster.with_values(raster.values, times=times), "X") == stack.time.values).all()


def test_what_is_no_date_is_told(stack: xr.DataArray) -> None:
    raster = plain(stack)
    with pytest.raises(GridError, match="'spring' is none: give datetime64"):
        dates_of(raster.with_values(raster.values, times=("spring",) * 23), "X")
    with pytest.raises(GridError, match="1 of 23 are NaT"):
        dates_of(raster.with_values(raster.values, times=(*raster.times[:-1], np.datetime64("NaT"))), "X")


def test_days_ascend_and_say_which_step_they_are(stack: xr.DataArray) -> None:
    days, order = days_of(plain(stack.isel(time=[2, 0, 1])), "X")
    assert order.tolist() == [1, 2, 0]
    assert days[0] == (stack.time.values[0] - np.datetime64("1970-01-01")) / np.timedelta64(1, "D")
    with pytest.raises(GridError, match="X needs 5 dates or more, and the raster has 3"):
        days_of(plain(stack.isel(time=[2, 0, 1])), "X", least=5)


def test_a_function_sees_each_series_once(stack: xr.DataArray) -> None:
    raster = plain(stack)
    assert np.array_equal(map_series(raster, lambda series: series[:2], 2), raster.values[:, :2], equal_nan=True)
