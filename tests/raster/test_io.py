from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.enums import ColorInterp
from rasterio.windows import Window

import pixelwise as pw
from pixelwise.errors import BandError, GridError, MemoryBudgetError, RasterReadError
from pixelwise.raster.io import ArraySource, RasterFile, as_nan, band_as_nan, has_extremes, open_source, parse_memory


def test_a_named_file_opens_with_its_names(scene: Path) -> None:
    opened = pw.open_raster(scene)
    assert opened.band.values.tolist() == ["B02", "B03", "B04", "B08"]
    assert (opened.dtype, opened.rio.nodata, opened.rio.crs.to_epsg()) == ("uint16", None, 32633)


def test_a_nameless_file_opens_with_numbers(landsat: Path) -> None:
    opened = pw.open_raster(landsat)
    assert opened.band.values.tolist() == [1, 2, 3, 4, 5]
    assert opened.rio.nodata == -99999


def test_repeated_names_tell_no_bands_apart(write: Any, values: np.ndarray) -> None:
    assert pw.unwrap(write(values, names=("Gray", "Gray", "Gray", "Gray"))).bands is None


def test_chunks_make_it_lazy(scene: Path) -> None:
    assert pw.open_raster(scene, chunks={"x": 20, "y": 20}).chunks is not None


def test_an_alpha_band_is_a_mask_and_no_band(write: Any, values: np.ndarray) -> None:
    rgba = np.concatenate([values[:3], np.full((1, 60, 80), 65535, "uint16")])
    rgba[3, :10] = 0
    path = write(rgba, names=("R", "G", "B", ""))
    with rasterio.open(path, "r+") as file:
        file.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    unwrapped, opened = pw.unwrap(path), pw.open_raster(path)
    assert unwrapped.bands == ("R", "G", "B")
    assert unwrapped.mask is not None
    assert unwrapped.mask.sum() == 800
    assert opened.band.values.tolist() == ["R", "G", "B"]
    assert np.isnan(opened.values[:, :10]).all()
    assert not np.isnan(opened.values[:, 10:]).any()


@pytest.mark.parametrize("names", [(None,) * 4, ("R", "G", "B", "NIR")])
def test_a_fourth_band_of_data_is_a_band_though_gdal_calls_it_alpha(write: Any, values: np.ndarray, names: Any) -> None:
    path = write((values // 16).astype("uint8"), names=names)
    with rasterio.open(path) as file:
        assert file.colorinterp[3] is ColorInterp.alpha
    unwrapped = pw.unwrap(path)
    assert (unwrapped.n_bands, unwrapped.mask) == (4, None)
    assert pw.open_raster(path).dtype == "uint8"


def test_an_internal_mask_is_kept(write: Any, values: np.ndarray) -> None:
    path = write(values)
    mask = np.full((60, 80), 255, "uint8")
    mask[:, :5] = 0
    with rasterio.open(path, "r+") as file:
        file.write_mask(mask)
    assert np.isnan(pw.open_raster(path).values).sum() == 4 * 300
    with RasterFile(path) as file:
        assert file.read(Window(40, 0, 10, 10)).mask is None


def test_each_band_may_have_its_own_nodata(write: Any, values: np.ndarray, tmp_path: Path) -> None:
    path = write(values)
    vrt = tmp_path / "scene.vrt"
    rasterio.shutil.copy(path, vrt, driver="VRT")
    first = int(values[0, 0, 0])
    vrt.write_text(re.sub(r'(<VRTRasterBand [^>]*band="1"[^>]*>)', rf"\1<NoDataValue>{first}</NoDataValue>", vrt.read_text()))
    unwrapped, opened = pw.unwrap(vrt), pw.open_raster(vrt)
    assert unwrapped.nodata == (first, None, None, None)
    assert np.isnan(opened.values[0]).sum() == (values[0] == first).sum()
    assert not np.isnan(opened.values[1:]).any()


def test_bands_of_three_resolutions_are_aligned_to_the_finest(sentinel: dict[str, Path]) -> None:
    stack = pw.open_raster({name: sentinel[name] for name in ("B01", "B04", "B05")})
    assert (stack.shape, stack.band.values.tolist()) == ((3, 768, 1536), ["B01", "B04", "B05"])
    with rasterio.open(sentinel["B04"]) as fine, rasterio.open(sentinel["B05"]) as coarse:
        assert np.array_equal(stack.sel(band="B04"), fine.read(1))
        assert np.array_equal(stack.sel(band="B05"), coarse.read(1).repeat(2, axis=0).repeat(2, axis=1))
        assert pw.unwrap(stack).grid.transform == fine.transform


def test_pixels_beyond_a_file_are_nan_where_it_declares_no_nodata(scene: Path) -> None:
    grid = pw.unwrap(scene).grid.window(-10, 0, 70, 80)
    wider = pw.open_raster(scene, grid=grid)
    assert wider.dtype == "float32"
    assert np.isnan(wider.values[:, :10]).all()
    assert np.array_equal(wider.values[:, 10:], pw.open_raster(scene).values)


def test_pixels_beyond_a_file_are_its_nodata_where_it_declares_one(write: Any, values: np.ndarray) -> None:
    path = write(values, nodata=0)
    wider = pw.open_raster(path, grid=pw.unwrap(path).grid.window(0, -5, 60, 85), chunks={})
    assert (wider.dtype, wider.rio.nodata) == ("uint16", 0)
    assert (wider.values[:, :, :5] == 0).all()


def test_files_of_a_mapping_may_declare_different_nodata(write: Any, values: np.ndarray) -> None:
    value = int(values[0, 0, 0])
    a, b = write(values[:1], "a.tif", nodata=value), write(values[1:2], "b.tif")
    stack = pw.open_raster({"a": a, "b": b}, chunks={"x": 40})
    assert np.isnan(stack.values[0]).sum() == (values[0] == value).sum()
    assert stack.chunks is not None


def test_a_file_of_a_mapping_has_one_band(scene: Path) -> None:
    with pytest.raises(BandError, match="has 4 bands, and band 'B02' needs a file of one"):
        pw.open_raster({"B02": scene})
    with pytest.raises(BandError, match="names no files"):
        pw.open_raster({})


def test_without_a_crs_nothing_is_aligned(write: Any, values: np.ndarray, scene: Path) -> None:
    with pytest.raises(GridError, match="has no CRS"):
        pw.open_raster(write(values, crs=None), grid=pw.unwrap(scene).grid.window(0, 0, 5, 5))


def test_a_missing_file_is_named() -> None:
    with pytest.raises(RasterReadError, match=r"nowhere\.tif cannot be read.*check that the path is right"):
        pw.open_raster("nowhere.tif")


def test_a_file_that_is_no_raster_is_named(tmp_path: Path) -> None:
    path = tmp_path / "text.tif"
    path.write_text("no raster")
    with pytest.raises(RasterReadError, match=r"text\.tif"):
        pw.unwrap(path)


def test_a_file_cut_short_is_an_error_and_no_zeros(write: Any, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 60000, (2, 256, 256)).astype("uint16")
    # A COG has its directory in front, so that only pixels are lost.
    path = tmp_path / "cut.tif"
    rasterio.shutil.copy(write(noise), path, driver="COG", blocksize=128)
    path.write_bytes(path.read_bytes()[:-50_000])
    with pytest.raises(RasterReadError, match="cannot be read"):
        pw.unwrap(path)
    with pytest.raises(RasterReadError, match=r"at rows 128\+128, columns 128\+128"), RasterFile(path) as file:
        file.read(Window(128, 128, 128, 128))


def test_ground_control_points_alone_are_no_grid(write: Any, values: np.ndarray) -> None:
    path = write(values)
    with rasterio.open(path, "r+") as file:
        corner = rasterio.control.GroundControlPoint
        file.gcps = ([corner(0, 0, 10, 50), corner(0, 80, 11, 50), corner(60, 0, 10, 49)], rasterio.crs.CRS.from_epsg(4326))
    with pytest.raises(GridError, match="warp it first"):
        pw.unwrap(path)


def test_a_container_of_subdatasets_says_which_to_open(tmp_path: Path, raster: Any) -> None:
    path = tmp_path / "two.gpkg"
    for table in ("a", "b"):
        with rasterio.open(
            path, "w", driver="GPKG", width=80, height=60, count=1, dtype="uint8", crs="EPSG:32633",
            transform=pw.unwrap(raster).grid.transform, RASTER_TABLE=table, APPEND_SUBDATASET=table == "b",
        ) as file:  # fmt: skip
            file.write(np.zeros((60, 80), "uint8"), 1)
    with pytest.raises(RasterReadError, match="open one of its 2 subdatasets"):
        pw.unwrap(path)


@pytest.mark.parametrize(("text", "n_bytes"), [("512MB", 512_000_000), ("1.5 gb", 1_500_000_000), ("2KiB", 2048), (100, 100)])
def test_a_memory_budget_is_read(text: str | int, n_bytes: int) -> None:
    assert parse_memory(text) == n_bytes


@pytest.mark.parametrize("text", ["much", "-5MB", "0MB", "5 XB", ""])
def test_what_is_no_memory_budget_is_refused(text: str) -> None:
    with pytest.raises(MemoryBudgetError, match="write it as '512MB'"):
        parse_memory(text)


def test_windows_of_an_open_raster_are_those_of_its_file(scene: Path) -> None:
    window = Window(5, 7, 20, 11)
    with open_source(scene) as file, open_source(pw.open_raster(scene, chunks={"x": 16})) as lazy:
        a, b = file.read(window), lazy.read(window)
    assert isinstance(file, RasterFile)
    assert isinstance(lazy, ArraySource)
    assert np.array_equal(a.values, b.values)
    assert (a.grid, a.bands, a.nodata) == (b.grid, b.bands, b.nodata)


def test_a_mask_is_windowed_too() -> None:
    array = np.ma.masked_equal(np.arange(16).reshape(1, 4, 4), 5)
    part = ArraySource(array).read(Window(1, 1, 2, 2))
    assert part.mask is not None
    assert part.mask.tolist() == [[[True, False], [False, False]]]


@pytest.mark.parametrize("kind", ["uint8", "int16", "float32", "float64"])
@pytest.mark.parametrize("nodata", [(None,), (float("nan"),), (7,), (7, None)])
@pytest.mark.parametrize("masked", [False, True])
def test_rows_of_a_band_are_those_of_the_whole_raster_in_floats(
    kind: str, nodata: tuple[float | None, ...], masked: bool
) -> None:
    values = np.random.default_rng(0).integers(0, 20, (2, 3, 9, 8)).astype(kind)
    if kind[0] == "f":
        values[0, 1, 4, 3:6] = np.nan, np.inf, -3e38
    mask = np.random.default_rng(1).random((9, 8)) < 0.3 if masked else None
    raster = pw.Raster(values, pw.Grid(None, (1, 0, 0, 0, -1, 0), 9, 8), nodata=nodata, mask=mask)
    stored, whole = values.copy(), as_nan(raster)
    for band in range(2):
        for rows in (slice(None), slice(2, 5), slice(0, 9, 4)):
            found = band_as_nan(raster, band, rows)
            assert found.dtype == whole.values.dtype
            assert np.array_equal(found, whole.values[band, :, rows], equal_nan=True)
    assert np.array_equal(values, stored, equal_nan=kind[0] == "f")
    assert not np.shares_memory(whole.values, values)


def test_a_band_in_which_nothing_is_to_be_marked_is_not_copied() -> None:
    values = np.array([[[1.0, np.nan], [3.0, 4.0]]], "float32")
    raster = pw.Raster(values, pw.Grid(None, (1, 0, 0, 0, -1, 0), 2, 2), nodata=(float("nan"),))
    assert np.shares_memory(band_as_nan(raster, 0), values)


@pytest.mark.parametrize("values", [[1.0, -2.0], [np.nan, 1e29], [np.nan, np.nan], []])
def test_measurements_and_nan_are_no_extremes(values: list[float]) -> None:
    assert not has_extremes(np.array(values))


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e30, -1.7e308, 3.4e38])
@pytest.mark.parametrize("beside", [0.0, np.nan])
def test_infinities_and_fills_are_extremes(value: float, beside: float) -> None:
    plane = np.full((6, 4), beside)
    plane[3, 1] = value
    assert has_extremes(plane)
    assert has_extremes(plane[::3, :2])
