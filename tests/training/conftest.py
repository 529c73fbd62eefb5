"""Small catalogs of real scenes: Sentinel-2 on shifting grids and in two CRSs with labels, and dates of Landsat with flags."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio.enums import Resampling
from rasterio.warp import calculate_default_transform, reproject

import pixelwise as pw

BANDS = ("B02", "B04", "B08")
#: First row and column of each scene in Sentinel-2; a and b overlap, each on its own grid.
CORNERS = {"a": (0, 0), "b": (20, 37), "c": (137, 401)}


def write(
    path: Path, values: np.ndarray, crs: object, transform: object, names: tuple[str, ...], nodata: object = None
) -> Path:
    count, height, width = values.shape
    options = {"tiled": True, "blockxsize": 32, "blockysize": 32, "dtype": values.dtype.name, "crs": crs, "nodata": nodata}
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, transform=transform, **options
    ) as file:
        file.write(values)
        file.descriptions = names
    return path


@pytest.fixture(scope="session")
def whole(sentinel: dict[str, Path]) -> xr.DataArray:
    return pw.open_raster({band: sentinel[band] for band in BANDS}).isel(y=slice(0, 400), x=slice(0, 700)).load()


@pytest.fixture(scope="session")
def catalog(tmp_path_factory: pytest.TempPathFactory, whole: xr.DataArray) -> pw.GeoCatalog:
    """Four scenes, the last in the next UTM zone with a hole; labels 1 (bright in infrared), 2 (dark) and 0 (none)."""
    folder = tmp_path_factory.mktemp("scenes")
    for number, (name, (row, col)) in enumerate(CORNERS.items()):
        part = whole.isel(y=slice(row, row + 60), x=slice(col, col + 70 + 3 * number))
        write(folder / f"S2_{name}_2017021{number + 1}.tif", part.values, part.rio.crs, part.rio.transform(), BANDS)
    west = whole.isel(y=slice(300, 380), x=slice(600, 680))
    transform, width, height = calculate_default_transform(west.rio.crs, "EPSG:32632", 80, 80, *west.rio.bounds())
    moved = np.zeros((3, height, width), "uint16")
    reproject(
        west.values, moved, src_crs=west.rio.crs, src_transform=west.rio.transform(), dst_crs="EPSG:32632",
        dst_transform=transform, resampling=Resampling.nearest,
    )  # fmt: skip
    write(folder / "S2_e_20170301.tif", moved, "EPSG:32632", transform, BANDS, nodata=0)
    labels = tmp_path_factory.mktemp("labels")
    for path in sorted(folder.glob("*.tif")):
        with rasterio.open(path) as file:
            nir = file.read(3)
            codes = np.select([nir > 1800, (nir < 1200) & (nir > 0)], [1, 2], 0).astype("uint8")
            write(labels / path.name, codes[None], file.crs, file.transform, ("crop_class",), nodata=0)
    opened = pw.open_catalog(folder)
    return opened.assign(label_uri=lambda scene: str(labels / Path(scene.uri).name), tile=["u", "u", "v", "w"])


@pytest.fixture(scope="session")
def label() -> pw.ReadLabel:
    return pw.ReadLabel(band="crop_class")


@pytest.fixture(scope="session")
def population(catalog: pw.GeoCatalog) -> Callable[..., set[tuple[int, int]]]:
    """All pixels that can be trained on, found by a plain loop over the whole files."""

    def _population(catalog: pw.GeoCatalog = catalog, *, labelled: bool = True) -> set[tuple[int, int]]:
        found = set()
        for number, scene in enumerate(catalog):
            with rasterio.open(scene.uri) as file, rasterio.open(scene.metadata["label_uri"]) as labels:
                data = np.ones(file.shape, bool) if file.nodata is None else (file.read() != file.nodata).all(axis=0)
                good = data & (labels.read(1) != 0) if labelled else data
            found |= {(number, pixel) for pixel in np.flatnonzero(good).tolist()}
        return found

    return _population
