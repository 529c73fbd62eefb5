"""Overviews are smaller copies inside the file: means of floats, single pixels of classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

import pixelwise as pw
from pixelwise.errors import RasterWriteError
from pixelwise.raster.overviews import overview_factors
from pixelwise.raster.write import RasterWriter


@pytest.fixture
def grid() -> pw.Grid:
    return pw.Grid("EPSG:32633", (10, 0, 330_000, 0, -10, 5_822_040), 600, 1100)


def overview(path: Path, level: int) -> np.ndarray:
    with rasterio.open(path, overview_level=level) as file:
        return file.read(1)


def test_halves_of_halves_end_where_one_fits_a_screen(grid: pw.Grid, tmp_path: Path) -> None:
    path = pw.write_raster(pw.Raster(np.zeros(grid.shape, "float32"), grid), tmp_path / "map.tif", overviews=True)
    with rasterio.open(path) as file:
        assert file.overviews(1) == [2, 4, 8]
    assert overview_factors(True, (256, 100)) == []
    assert overview_factors(True, (257, 100)) == [2]


def test_those_of_floats_are_means_without_the_pixels_that_lack_data(grid: pw.Grid, tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=grid.shape).astype("float32")
    values[:, :301] = np.nan
    path = pw.write_raster(pw.Raster(values, grid, nodata=(np.nan,)), tmp_path / "map.tif", overviews=[2])
    squares = np.stack([values[row::2, col::2] for row in (0, 1) for col in (0, 1)])
    empty = np.isnan(squares).all(axis=0)
    expected = np.where(empty, np.nan, np.nanmean(np.where(empty, 0, squares), axis=0))
    np.testing.assert_allclose(overview(path, 0), expected, rtol=1e-5, atol=1e-6)


def test_those_of_classes_hold_no_other_codes(grid: pw.Grid, tmp_path: Path) -> None:
    codes = np.random.default_rng(0).choice([1, 9, 255], grid.shape).astype("uint8")
    path = tmp_path / "map.tif"
    with RasterWriter(path, grid, dtype="uint8", nodata=255, classes={1: "forest", 9: "water"}, overviews=True) as writer:
        writer.write(codes, Window(0, 0, grid.width, grid.height))
    with rasterio.open(path) as file:
        np.testing.assert_array_equal(file.read(1), codes)
        assert file.colormap(1)[9] != file.colormap(1)[1]
        assert file.tags(1)["flag_meanings"] == "forest water"
    for level in range(3):
        found = overview(path, level)
        assert found.shape == (-(-600 // 2 ** (level + 1)), -(-1100 // 2 ** (level + 1)))
        assert set(np.unique(found)) == {1, 9, 255}


def test_a_file_without_a_place_has_them_too(tmp_path: Path) -> None:
    path = pw.write_raster(np.zeros((1, 300, 300), "uint8"), tmp_path / "map.tif", overviews=[2, 3])
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning), rasterio.open(path) as file:
        assert file.overviews(1) == [2, 3]


def test_without_being_asked_for_there_are_none(grid: pw.Grid, tmp_path: Path) -> None:
    with rasterio.open(pw.write_raster(pw.Raster(np.zeros(grid.shape, "uint8"), grid), tmp_path / "map.tif")) as file:
        assert file.overviews(1) == []


@pytest.mark.parametrize("overviews", [[1], [2, 0], [2.5], ["2"], 4, None, "yes"])
def test_what_makes_nothing_smaller_is_no_factor(grid: pw.Grid, tmp_path: Path, overviews: Any) -> None:
    with pytest.raises(RasterWriteError, match="are no factors: give whole numbers above 1"):
        pw.write_raster(pw.Raster(np.zeros(grid.shape, "uint8"), grid), tmp_path / "map.tif", overviews=overviews)
    assert not list(tmp_path.iterdir())


def test_a_cloud_optimised_file_has_its_own(grid: pw.Grid, tmp_path: Path) -> None:
    raster = pw.Raster(np.zeros(grid.shape, "uint8"), grid)
    with rasterio.open(pw.write_raster(raster, tmp_path / "map.tif", driver="COG", overviews=True)) as file:
        assert file.overviews(1) == overview_factors(True, grid.shape)
    with pytest.raises(RasterWriteError, match="a COG has its own: leave them out"):
        pw.write_raster(raster, tmp_path / "other.tif", driver="COG", overviews=[2])
