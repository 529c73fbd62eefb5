from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import pixelwise as pw


@pytest.fixture
def Xy(scene: Path, polygons: Path) -> tuple[pw.PixelTable, np.ndarray]:  # noqa: N802
    return pw.extract_pixels(scene, polygons, column="class")


@pytest.fixture
def holes(raster: xr.DataArray) -> xr.DataArray:
    out = raster.astype("float32")
    out[0, :, :40] = np.nan
    out[:, 0, :] = np.nan
    return out
