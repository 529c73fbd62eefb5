"""Scenes of a catalog, whatever they are made of, are read by windows and mapped as files are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window
from sklearn.cluster import MiniBatchKMeans
from sklearn.linear_model import LogisticRegression, Ridge

import pixelwise as pw
from pixelwise.errors import BandError, RasterWriteError
from pixelwise.inference.plan import plan_chips
from pixelwise.inference.scene_source import SceneSource, source_of

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


# ---- several files ----


@pytest.mark.parametrize("workers", [None, 2])
def test_a_file_a_band_maps_as_the_stack_of_them(sentinel: dict[str, Path], tmp_path: Path, workers: int | None) -> None:
    files = {"B11": sentinel["B11"], "B04": sentinel["B04"], "B09": str(sentinel["B09"])}
    raster = pw.open_raster(files)
    model = pw.PixelwiseClusterer(MiniBatchKMeans(3, n_init=1, random_state=0)).fit(
        pw.ToPixelMajor()(raster)[::97].astype("float32")
    )
    out = pw.predict_raster(model, files, tmp_path / "map.tif", workers=workers, resume=True)
    expected = model.predict(raster)
    np.testing.assert_array_equal(pw.unwrap(out).values[0], expected.values)
    assert not pw.unwrap(out).grid.differs_from(pw.unwrap(expected).grid)
    part = pw.predict_raster(model, files, tmp_path / "part.tif", window=((13, 90), (21, 80)))
    np.testing.assert_array_equal(pw.unwrap(part).values[0], expected.values[13:90, 21:80])


def test_bands_without_a_place_are_stacked_too(meuse: Path, tmp_path: Path) -> None:
    files = {name: meuse / f"{name}.tif" for name in ("dist", "ffreq")}
    raster = pw.open_raster(files)
    table = pw.ToPixelMajor()(raster)
    model = pw.PixelwiseClusterer(MiniBatchKMeans(3, n_init=1, random_state=0)).fit(table[np.isfinite(table).all(axis=1)][::7])
    out = pw.predict_raster(model, files, tmp_path / "map.tif")
    np.testing.assert_array_equal(pw.unwrap(out).values[0], model.predict(raster).values)


@pytest.mark.parametrize("workers", [None, 2])
def test_a_list_of_tiles_maps_as_the_scene(scene: Path, polygons: Path, tmp_path: Path, workers: int | None) -> None:
    raster = pw.open_raster(scene)
    tiles = [
        pw.write_raster(raster[:, rows, cols], tmp_path / f"{rows.start}-{cols.start}.tif")
        for rows in (slice(0, 32), slice(32, 60))
        for cols in (slice(0, 48), slice(48, 80))
    ]
    X, y = pw.extract_pixels(raster, polygons, column="class")
    model = pw.PixelwiseClassifier(LogisticRegression(max_iter=500)).fit(X, y)
    out = pw.predict_raster(model, tiles, tmp_path / "map.tif", memory="64MB", workers=workers, resume=True)
    np.testing.assert_array_equal(pw.unwrap(out).values[0], model.predict(raster).values)
    with pytest.raises(RasterWriteError, match="is what is read"):
        pw.predict_raster(model, tiles, tiles[2])


@pytest.mark.parametrize(("src", "words"), [([], "nothing"), ({}, "nothing"), ({"a": 3}, "int"), (["a.tif", None], "NoneType")])
def test_what_holds_no_paths_is_refused(tmp_path: Path, src: Any, words: str) -> None:
    with pytest.raises(BandError, match=f"src holds {words} where a path is wanted"):
        source_of(src)
