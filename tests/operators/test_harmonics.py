from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import pixelwise as pw
from pixelwise.errors import GridError
from pixelwise.raster.io import as_nan

Harmonic = pw.temporal.HarmonicFeatures


def design(dates: np.ndarray, n: int, period: float) -> np.ndarray:
    days = (dates - np.datetime64("1970-01-01")) / np.timedelta64(1, "D")
    columns = [np.ones(len(days))]
    for wave in range(1, n + 1):
        columns += [np.cos(2 * np.pi * wave * days / period), np.sin(2 * np.pi * wave * days / period)]
    return np.stack(columns, axis=1)


@pytest.mark.parametrize(("n", "period", "n_dates"), [(1, 365.25, 23), (2, 365.25, 23), (3, 365.25, 137), (2, 180.0, 60)])
def test_each_series_is_fitted_as_numpy_lstsq_does(make_stack, n: int, period: float, n_dates: int) -> None:
    stack = make_stack(n_dates)
    stack[0, :, 4] = pw.temporal.LinearGapFill()(stack)[0, :, 4]
    features = Harmonic(n, period)(stack).values
    values, columns = as_nan(pw.unwrap(stack)).values, design(stack.time.values, n, period)
    count = 2 * n + 1
    for band, row, col in np.ndindex(2, *values.shape[2:]):
        series = values[band, :, row, col]
        valid = ~np.isnan(series)
        found = features[band * count : (band + 1) * count, row, col]
        if not valid.any():
            assert np.isnan(found).all()
        else:
            np.testing.assert_allclose(found, np.linalg.lstsq(columns[valid], series[valid])[0], rtol=1e-6, atol=1e-6)


def test_the_bands_are_named_after_wave_and_part(stack: xr.DataArray) -> None:
    assert Harmonic(n=2)(stack).band.values.tolist()[4:7] == ["B04_sin2", "B08_const", "B08_cos1"]


def test_the_features_are_the_same_whatever_the_dates_and_the_year() -> None:
    def curve(dates: pd.DatetimeIndex) -> xr.DataArray:
        values = 0.4 + 0.3 * design(dates.values, 2, 365.25) @ [0, 1, -0.5, 0.25, 0.1]
        return xr.DataArray(values[:, None, None], {"time": dates}, ("time", "y", "x"))

    one = Harmonic()(curve(pd.date_range("2018-01-03", periods=23, freq="16D")))
    two = Harmonic()(curve(pd.date_range("2021-02-01", periods=60, freq="5D")))
    np.testing.assert_allclose(one.values.ravel(), [0.4, 0.3, -0.15, 0.075, 0.03], atol=1e-12)
    np.testing.assert_allclose(two, one, atol=1e-9)


def test_series_whose_dates_do_not_determine_the_waves_are_nan(stack: xr.DataArray) -> None:
    few = stack.where(stack.time.isin(stack.time[[0, 5, 11, 20]]))
    assert Harmonic(n=2)(few).isnull().all()
    assert Harmonic(n=1)(few).notnull().any()
    near = stack.assign_coords(time=stack.time.values[0] + np.arange(23) * np.timedelta64(1, "h"))
    assert Harmonic(n=2)(near).isnull().all()
    assert Harmonic(n=2)(pw.temporal.LinearGapFill()(near)).isnull().all()


def test_several_scenes_of_a_date_all_count(stack: xr.DataArray) -> None:
    twice = xr.concat([stack, stack], "time")
    np.testing.assert_allclose(Harmonic()(twice), Harmonic()(stack), rtol=1e-9, atol=1e-9)


def test_fewer_dates_than_coefficients_are_refused(stack: xr.DataArray) -> None:
    with pytest.raises(GridError, match=r"HarmonicFeatures\(n=2\) fits 5 numbers, and the raster has 4 dates: lower n"):
        Harmonic(n=2)(stack.isel(time=slice(4)))


@pytest.mark.parametrize(("params", "message"), [({"n": 0}, "n=0 is no number"), ({"period": -1}, "period=-1 is no number")])
def test_parameters_that_make_no_sense_are_refused(params: dict, message: str, stack: xr.DataArray) -> None:
    with pytest.raises(ValueError, match=message):
        Harmonic(**params)(stack)
