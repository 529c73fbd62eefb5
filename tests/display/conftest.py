"""Maps to draw: of classes, of numbers, with and without a place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from sklearn.tree import DecisionTreeClassifier

import pixelwise as pw
from pixelwise.raster.carriers import Raster
from pixelwise.raster.grid import Grid

NORTH_UP = rasterio.Affine(10, 0, 330_000, 0, -10, 5_822_040)


@pytest.fixture
def predicted(scene: Path, polygons: Path) -> xr.DataArray:
    """The map of wood (west) and lake (east) of the made-up scene."""
    X, y = pw.extract_pixels(scene, polygons, column="class")
    model = pw.PixelwiseClassifier(DecisionTreeClassifier(max_depth=1, random_state=0)).fit(X, y)
    return model.predict(pw.open_raster(scene))


@pytest.fixture
def map_file(predicted: xr.DataArray, tmp_path: Path) -> Path:
    """The same map in a file with colours of its own."""
    return pw.write_raster(predicted, tmp_path / "map.tif", colors={"forest": "#006400", "water": "#4a90c2"})


@pytest.fixture
def numbers() -> Raster:
    """A map of numbers without a CRS, with one pixel missing."""
    values = np.arange(24, dtype="float32").reshape(4, 6)
    values[0, 0] = np.nan
    return Raster(values, Grid(None, rasterio.Affine.identity(), 4, 6), nodata=(float("nan"),), attrs={"long_name": "height"})
