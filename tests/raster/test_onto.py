from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.enums import Resampling
from rasterio.warp import reproject

import pixelwise as pw
from pixelwise.errors import GridError
from pixelwise.raster.io import RasterFile
from pixelwise.raster.onto import read_onto, window_on


def test_a_window_is_told_from_other_pixels() -> None:
    whole = pw.Grid("EPSG:32633", (10, 0, 330_000, 0, -10, 5_822_040), 60, 80)
    assert window_on(whole, whole.window(5, 7, 20, 30)).toslices() == (slice(5, 25), slice(7, 37))
    assert window_on(whole, whole.window(50, 7, 20, 30)) is None
    assert window_on(whole, whole.window(-1, 0, 20, 30)) is None
    assert window_on(whole, pw.Grid("EPSG:32633", (10, 0, 330_004, 0, -10, 5_822_000), 20, 30)) is None
    assert window_on(whole, pw.Grid("EPSG:32633", (20, 0, 330_000, 0, -20, 5_822_040), 20, 30)) is None
    assert window_on(whole, pw.Grid("EPSG:32632", (10, 0, 330_000, 0, -10, 5_822_040), 20, 30)) is None


@pytest.mark.parametrize("way", [Resampling.bilinear, Resampling.cubic, Resampling.average])
def test_a_smooth_resampling_is_that_of_gdal(sentinel: dict[str, Path], way: Resampling) -> None:
    with RasterFile(sentinel["B11"]) as file:
        grid = pw.Grid(
            file.grid.crs, file.grid.transform @ rasterio.Affine.translation(40, 30) @ rasterio.Affine.scale(0.5), 90, 70
        )
        found = read_onto(file, grid, way)
        whole, expected = file.read(), np.zeros((1, 90, 70), "uint16")
    reproject(
        whole.values, expected, src_transform=whole.grid.transform, src_crs=grid.crs, dst_transform=grid.transform,
        dst_crs=grid.crs, resampling=way,
    )  # fmt: skip
    np.testing.assert_array_equal(found.values, expected)


def test_nearest_neighbours_are_the_same_in_parts_as_in_whole(landsat: Path) -> None:
    with RasterFile(landsat) as file:
        centre = file.grid.window(50, 60, 1, 1).xy([0], [0])[0]
        x, y = rasterio.warp.transform(file.grid.crs, "EPSG:32617", centre[:1], centre[1:])
        grid = pw.Grid("EPSG:32617", (23.7, 0, x[0], 0, -23.7, y[0]), 1100, 200)
        whole = read_onto(file, grid)
        for row, col in ((0, 0), (1000, 120), (17, 101)):
            part = read_onto(file, grid.window(row, col, 90, 80))
            np.testing.assert_array_equal(part.values, whole.values[:, row : row + 90, col : col + 80])


@pytest.mark.parametrize("way", [Resampling.nearest, Resampling.bilinear])
def test_beyond_the_file_there_is_nodata_or_else_a_mask(write, values: np.ndarray, way: Resampling) -> None:
    for nodata in (None, 7):
        path = write(values, nodata=nodata)
        with RasterFile(path) as file:
            found = read_onto(file, file.grid.window(40, 60, 40, 40), way)
        assert (found.mask is None) == (nodata is not None)
        outside = np.ones((40, 40), bool)
        outside[:20, :20] = False
        if nodata is None:
            np.testing.assert_array_equal(found.mask, outside)
        else:
            assert (found.values[:, outside] == 7).all()
        np.testing.assert_array_equal(found.values[:, :20, :20], values[:, 40:, 60:])


@pytest.mark.parametrize("way", [Resampling.nearest, Resampling.bilinear])
def test_a_grid_beside_the_file_has_nothing(write, values: np.ndarray, way: Resampling) -> None:
    with RasterFile(write(values)) as file:
        found = read_onto(file, file.grid.window(1000, 1000, 20, 20), way, bands=[1])
    assert found.values.shape == (1, 20, 20)
    assert found.mask.all()


@pytest.mark.parametrize("way", [Resampling.nearest, Resampling.bilinear])
def test_hidden_pixels_stay_hidden_and_do_not_spread(tmp_path: Path, write, values: np.ndarray, way: Resampling) -> None:
    values[:, :30] = 60_000
    path = write(values)
    mask = np.full((60, 80), 255, "uint8")
    mask[:30] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
        file.write_mask(mask)
    with RasterFile(path) as file:
        fine = pw.Grid(file.grid.crs, file.grid.transform @ rasterio.Affine.scale(0.5), 120, 160)
        found = read_onto(file, fine, way)
    assert found.mask[:60].all()
    assert not found.mask[62:].any()
    assert found.values[:, ~found.mask].max() < 10_000


def test_without_a_crs_nothing_can_be_aligned(write, values: np.ndarray) -> None:
    with RasterFile(write(values, crs=None)) as file:
        assert read_onto(file, file.grid.window(3, 3, 5, 5)).values.shape == (4, 5, 5)
        with pytest.raises(GridError, match="has no CRS, so it cannot be aligned"):
            read_onto(file, file.grid.window(-3, 3, 5, 5))
