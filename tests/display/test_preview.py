from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr

import pixelwise as pw
from pixelwise.display.preview import missing_pixels, preview
from pixelwise.errors import RasterReadError
from pixelwise.raster.carriers import Raster


def test_a_small_raster_comes_whole(raster: xr.DataArray) -> None:
    small = preview(raster)
    assert np.array_equal(small.values, raster.values)
    assert small.grid.bounds == pw.unwrap(raster).grid.bounds


@pytest.mark.parametrize("most", [10, 33, 79])
def test_no_side_has_more_pixels_than_asked_and_the_place_stays(scene: Path, raster: xr.DataArray, most: int) -> None:
    bounds = pw.unwrap(raster).grid.bounds
    from_file, from_array = preview(scene, most), preview(raster, most)
    assert max(from_file.grid.shape) <= most
    assert max(from_array.grid.shape) <= most
    assert from_file.grid.bounds == pytest.approx(bounds)
    assert from_array.grid.bounds[0] == bounds[0]
    assert from_array.grid.bounds[3] == bounds[3]


def test_what_a_file_says_of_its_classes_and_colours_is_kept(map_file: Path) -> None:
    attrs = preview(map_file).attrs
    assert json.loads(attrs["CLASS_NAMES"]) == ["forest", "water"]
    assert json.loads(attrs["flag_colors"])["1"] == "#4a90c2"


def test_a_lazy_raster_is_computed(scene: Path) -> None:
    pytest.importorskip("dask", reason="dask is not there")
    assert isinstance(preview(pw.open_raster(scene, chunks=20), most=20).values, np.ndarray)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_file_that_is_cut_short_is_told(raster: xr.DataArray, tmp_path: Path, share: float) -> None:
    cut = pw.write_raster(raster, tmp_path / "cut.tif")
    whole = cut.read_bytes()
    cut.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(RasterReadError, match=r"cut\.tif"):
        preview(cut)


def test_missing_pixels_are_nodata_nan_and_masked_ones(numbers: Raster) -> None:
    mask = np.zeros((4, 6), bool)
    mask[3, 5] = True
    missing = missing_pixels(Raster(np.where(numbers.values == 7, -1, numbers.values), numbers.grid, nodata=(-1,), mask=mask))
    assert np.argwhere(missing[0]).tolist() == [[0, 0], [1, 1], [3, 5]]


def test_a_mask_band_of_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "masked.tif"
    profile = {"driver": "GTiff", "width": 8, "height": 8, "count": 1, "dtype": "uint8", "crs": "EPSG:32633"}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", transform=rasterio.Affine.scale(10), **profile) as file,
    ):
        file.write(np.ones((1, 8, 8), "uint8"))
        mask = np.full((8, 8), 255, "uint8")
        mask[:, :2] = 0
        file.write_mask(mask)
    assert missing_pixels(preview(path)).mean() == pytest.approx(0.25)
