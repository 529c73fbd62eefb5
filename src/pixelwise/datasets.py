"""Sample data: a small made-up scene for examples, and a real one with labels."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import shapely

__all__ = ["make_example"]


@functools.cache
def _example_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="pixelwise-example-")


def make_example(folder: str | Path | None = None) -> tuple[Path, Path]:
    """Write a small made-up scene and labelled polygons, for trying things out.

    The scene has 60 x 80 pixels of 10 m in EPSG:32633 and the uint16 bands B02, B03, B04 and B08: a wood in the west, a lake in the east. Four
    polygons, two of each class, cover 300 pixels each.

    Parameters
    ----------
    folder : path or None
        Where to write; None takes a temporary folder that lasts as long as the process.

    Returns
    -------
    scene, polygons : pathlib.Path
        A GeoTIFF, and a GeoPackage with the column ``class``.

    Examples
    --------
    >>> import pixelwise as pw
    >>> scene, polygons = pw.datasets.make_example()
    >>> pw.open_raster(scene).shape
    (4, 60, 80)
    """
    place = Path(_example_folder().name if folder is None else folder)
    scene, polygons = place / "scene.tif", place / "polygons.gpkg"
    if folder is None and polygons.exists():
        return scene, polygons
    rng = np.random.default_rng(0)
    wood, lake = np.array([300, 400, 350, 2500]), np.array([600, 500, 300, 150])
    east = np.arange(80) >= 40
    level = np.where(east, lake[:, None], wood[:, None])[:, None, :]
    values = (level + rng.normal(0, 40, (4, 60, 80))).astype("uint16")
    transform = rasterio.transform.from_origin(330_000, 5_822_040, 10, 10)
    with rasterio.open(
        scene, "w", driver="GTiff", width=80, height=60, count=4, dtype="uint16", crs="EPSG:32633", transform=transform
    ) as file:
        file.write(values)
        file.descriptions = ("B02", "B03", "B04", "B08")
    left, top = 330_000, 5_822_040
    corners = [(50, 50), (50, 350), (500, 50), (500, 350)]
    boxes = [shapely.box(left + x, top - y - 200, left + x + 150, top - y) for x, y in corners]
    frame = gpd.GeoDataFrame({"class": ["forest", "forest", "water", "water"]}, geometry=boxes, crs="EPSG:32633")
    frame.to_file(polygons, driver="GPKG")
    return scene, polygons
