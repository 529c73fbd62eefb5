"""A time series of real pixels: irregular dates, clouds, scenes that miss, and a fill that no nodata value declares exactly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio.windows import Window

FILL = -1.7e308


@pytest.fixture
def make_stack(landsat: Path) -> Callable[..., xr.DataArray]:
    """Make red and near infrared of a Landsat scene a time series on a sinusoidal grid."""

    def make(n_dates: int = 23, size: int = 12, seed: int = 0, dtype: str = "float64") -> xr.DataArray:
        rng = np.random.default_rng(seed)
        with rasterio.open(landsat) as file:
            pixels = file.read([3, 4], window=Window(150, 100, size + 1, size)).astype(dtype)
        days = np.sort(rng.choice(365 if n_dates < 100 else 3 * 365, n_dates, replace=False))
        season = 1 + 0.5 * np.sin(2 * np.pi * (days - 100) / 365.25)
        values = pixels[:, None] * season[:, None, None]
        values = (values + rng.normal(0, 5, values.shape)).astype(dtype)
        cloudy = rng.random(values.shape[1:]) < 0.3
        values[:, cloudy] = FILL if dtype == "float64" else np.nan
        values[1, n_dates // 3] = np.nan
        values[:, :, 2, 3] = np.nan
        coords = {
            "band": ["B04", "B08"],
            "time": np.datetime64("2017-12-20", "ns") + days.astype("timedelta64[D]"),
            "y": 5_559_752.6 - 231.656 * np.arange(size),
            "x": 463.313 * np.arange(size + 1) / 2,
        }
        stack = xr.DataArray(values, coords, ("band", "time", "y", "x"))
        return stack.rio.write_crs("+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs")

    return make


@pytest.fixture
def stack(make_stack: Callable[..., xr.DataArray]) -> xr.DataArray:
    """23 irregular dates of two bands, (2, 23, 12, 13) float64."""
    return make_stack()
