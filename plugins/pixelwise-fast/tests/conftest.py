"""A real scene that the tests predict: Sentinel-2 west of Berlin, with land use of OpenStreetMap."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import pixelwise as pw
from pixelwise.plugins import plugins

pytest.importorskip("numba", reason="the plugin needs numba: pip install numba")

BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")


@pytest.fixture(scope="session", autouse=True)
def installed() -> None:
    if "fast" not in plugins().names:
        pytest.skip("the plugin is not there: pip install --no-deps plugins/pixelwise-fast")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Small fits in many threads spend their time waiting for each other."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def land_use() -> tuple[np.ndarray, np.ndarray]:
    """Pixels of ten uint16 bands and the names of eight classes that are hard to tell apart."""
    data = pw.datasets.load_sentinel2_osm()
    scene = pw.open_raster({band: data.bands[band] for band in BANDS})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pw.errors.PixelwiseWarning)
        table, labels = pw.extract_pixels(scene, data.polygons, column=data.column)
    return np.asarray(table), np.asarray(labels)


@pytest.fixture(scope="session")
def pixels(land_use: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """20,000 pixels to predict, more than one block of them."""
    return np.ascontiguousarray(land_use[0][::18].astype("float32"))


@pytest.fixture(scope="session")
def training(land_use: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """3,000 pixels to fit on, none of them among those to predict."""
    return land_use[0][7::120].astype("float32"), land_use[1][7::120]
