"""Catalogs of real scenes: Sentinel-2 cut into scenes on shifting grids and in two CRSs, and twenty dates of Landsat."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.enums import Resampling
from rasterio.warp import calculate_default_transform, reproject

import pixelwise as pw


@pytest.fixture(scope="session")
def landsat_dates(sentinel) -> Path:
    """Folder of Landsat scenes of one place on many dates, a file a band: int16 with nodata -9999, and an fmask without."""
    return sentinel["B02"].parents[2] / "lsts"


@pytest.fixture(scope="session")
def landsat_bands() -> dict[str, str]:
    """The pattern of each band's file."""
    return {"b3": "*_b3.tif", "b4": "*_b4.tif", "b5": "*_b5.tif", "fmask": "*_fmask.tif"}


def write_scene(path: Path, raster, **profile) -> Path:
    """Write a DataArray as a tiled GeoTIFF with named bands."""
    values = raster.values
    options = {"driver": "GTiff", "tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}
    options |= {"crs": raster.rio.crs, "transform": raster.rio.transform(), "dtype": values.dtype.name}
    options |= {"count": len(values), "height": values.shape[1], "width": values.shape[2], **profile}
    with rasterio.open(path, "w", **options) as file:
        file.write(values)
        file.descriptions = [str(band) for band in raster.band.values]
    return path


@pytest.fixture(scope="session")
def scenes(tmp_path_factory, sentinel) -> Path:
    """Six scenes cut out of Sentinel-2: overlapping, one in the next UTM zone, one south-up; and a label raster for each."""
    folder = tmp_path_factory.mktemp("scenes")
    whole = pw.open_raster({band: sentinel[band] for band in ("B02", "B04", "B08")})
    corners = {"a": (0, 0), "b": (0, 190), "c": (137, 401), "d": (300, 53)}
    for number, (name, (row, col)) in enumerate(corners.items()):
        part = whole.isel(y=slice(row, row + 200), x=slice(col, col + 240))
        write_scene(folder / f"S2_{name}_2017021{number + 1}.tif", part)
    west = whole.isel(y=slice(400, 560), x=slice(600, 760))
    transform, width, height = calculate_default_transform(west.rio.crs, "EPSG:32632", 160, 160, *west.rio.bounds())
    moved = np.zeros((3, height, width), "uint16")
    reproject(
        west.values, moved, src_crs=west.rio.crs, src_transform=west.rio.transform(), dst_crs="EPSG:32632",
        dst_transform=transform, resampling=Resampling.nearest,
    )  # fmt: skip
    grid = pw.Grid("EPSG:32632", transform, height, width)
    write_scene(folder / "S2_e_20170301.tif", pw.rewrap(pw.Raster(moved, grid, ("B02", "B04", "B08")), like=whole))
    flipped = whole.isel(y=slice(500, 600), x=slice(900, 1000)).isel(y=slice(None, None, -1))
    above = rasterio.Affine(10, 0, float(flipped.x[0]) - 5, 0, 10, float(flipped.y[0]) - 5)
    write_scene(folder / "S2_f_20170302.tif", flipped, transform=above)
    return folder


@pytest.fixture(scope="session")
def labels(tmp_path_factory, scenes) -> Path:
    """For each scene a label raster on its grid: 1 where near infrared is bright, 2 where it is dark, 0 (nodata) between."""
    folder = tmp_path_factory.mktemp("labels")
    for path in sorted(scenes.glob("*.tif")):
        with rasterio.open(path) as file:
            nir, profile = file.read(3), file.profile
        codes = np.select([nir > 2000, (nir < 900) & (nir > 0)], [1, 2], 0).astype("uint8")
        with rasterio.open(folder / path.name, "w", **{**profile, "count": 1, "dtype": "uint8", "nodata": 0}) as file:
            file.write(codes, 1)
            file.descriptions = ("crop_class",)
    return folder


@pytest.fixture(scope="session")
def catalog(scenes, labels) -> pw.GeoCatalog:
    opened = pw.open_catalog(scenes)
    return opened.assign(
        label_uri=lambda scene: str(labels / Path(scene.uri).name), tile=["33UUU", "33UUU", "33UUV", "33UUV", "32UQD", "33UVU"]
    )
