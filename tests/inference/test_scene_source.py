"""Scenes of a catalog, whatever they are made of, are read by windows and mapped as files are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window
from sklearn.linear_model import Ridge

import pixelwise as pw
from pixelwise.inference.plan import plan_chips
from pixelwise.inference.scene_source import SceneSource

BANDS = {"b3": "*_b3.tif", "b4": "*_b4.tif"}


@pytest.fixture(scope="module")
def dates(landsat_series: Any) -> pw.GeoCatalog:
    """Landsat scenes of one place, a file a band."""
    place = next(iter(landsat_series.values()))["b3"].parents[1]
    return pw.open_catalog(place, bands=BANDS, progress=False).assign(tile="T1")


@pytest.fixture
def series(dates: pw.GeoCatalog) -> Any:
    """Three of the dates as one scene."""
    from pixelwise.catalog.scene import Scene

    first = dates[0]
    uris, times = (
        tuple(dates[number].uri for number in range(3)),
        tuple(np.datetime64(f"2010-0{month}-01", "ns") for month in (1, 2, 3)),
    )
    return Scene(uris, first.grid, {"id": "series"}, first.bands, first.block_shape, times=times)


def test_windows_are_those_of_the_scene_and_carry_its_metadata(dates: pw.GeoCatalog) -> None:
    source = SceneSource(dates[0])
    chip = source.read(Window(3, 5, 20, 10))
    np.testing.assert_array_equal(chip.values, dates[0].load().values[:, 5:15, 3:23])
    assert chip.attrs["tile"] == "T1"
    assert (source.bands, source.dtype, source.nodata, source.n_times) == (("b3", "b4"), "int16", (-9999, -9999), None)
    assert source.read().grid.shape == source.grid.shape


@pytest.mark.parametrize("workers", [None, 2])
def test_a_scene_of_a_file_a_band_is_mapped(dates: pw.GeoCatalog, tmp_path: Path, workers: int | None) -> None:
    table = pw.ToPixelMajor()(dates[0].load()).astype("float32")
    model = pw.PixelwiseRegressor(Ridge().fit(table, table[:, 0] - table[:, 1]))
    path = pw.predict_raster(model, dates[0], tmp_path / "map.tif", workers=workers)
    np.testing.assert_array_equal(pw.open_raster(path)[0], model.predict(dates[0].load()))


def test_a_series_of_dates_keeps_its_time_axis_and_counts_as_many_times(series: Any, dates: pw.GeoCatalog) -> None:
    source, single = SceneSource(series), SceneSource(dates[0])
    assert (source.n_bands, source.n_times) == (2, 3)
    assert source.read(Window(0, 0, 4, 4)).values.shape == (2, 3, 4, 4)
    needed = [plan_chips(each, Ridge(), 10**9).needed for each in (single, source)]
    assert needed[0] < needed[1]


@pytest.mark.parametrize("driver", ["GTiff", "COG"])
def test_the_driver_is_the_one_that_is_asked_for(dates: pw.GeoCatalog, tmp_path: Path, driver: str) -> None:
    ratio = pw.Sequential([pw.indices.NDVI(red="b3", nir="b4")])
    path = pw.predict_raster(ratio, dates[0], tmp_path / "map.tif", method="__call__", driver=driver)
    with rasterio.open(path) as file:
        assert file.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") == (None if driver == "GTiff" else "COG")
        np.testing.assert_array_equal(file.read(), ratio(dates[0].load()))
