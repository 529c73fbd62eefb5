"""Files side by side are read as one raster, where they lie on the same pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio.windows import Window

import pixelwise as pw
from pixelwise.errors import BandError, FillValueError, GridError, RasterReadError
from pixelwise.raster.mosaic_file import Mosaic

GRID = pw.Grid("EPSG:32633", (10, 0, 330_000, 0, -10, 5_822_040), 90, 120)


def tile(folder: Path, name: str, rows: slice, cols: slice, values: np.ndarray, **parts: Any) -> Path:
    """Write a part of a scene as a file of its own."""
    grid = parts.pop("grid", None) or GRID.window(rows.start, cols.start, rows.stop - rows.start, cols.stop - cols.start)
    raster = pw.Raster(values[:, rows, cols], grid, **{"bands": ("red", "nir"), "nodata": (0, 0), **parts})
    return pw.write_raster(raster, folder / name)


@pytest.fixture
def cube() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 5000, (2, 90, 120)).astype("uint16")


def test_tiles_are_read_as_the_scene_that_they_were_cut_from(tmp_path: Path, cube: np.ndarray) -> None:
    parts = [(slice(40, 90), slice(0, 70)), (slice(0, 40), slice(0, 120)), (slice(40, 90), slice(70, 120))]
    files = [tile(tmp_path, f"{number}.tif", *part, cube) for number, part in enumerate(parts)]
    with Mosaic(files) as mosaic:
        assert not mosaic.grid.differs_from(GRID)
        assert (mosaic.bands, mosaic.nodata, mosaic.dtype) == (("red", "nir"), (0, 0), "uint16")
        assert mosaic.block_shape == pw.raster.io.RasterFile(files[0]).block_shape
        np.testing.assert_array_equal(mosaic.read().values, cube)
        np.testing.assert_array_equal(mosaic.read(Window(60, 30, 25, 20)).values, cube[:, 30:50, 60:85])


def test_the_later_file_counts_where_it_has_data(tmp_path: Path, cube: np.ndarray) -> None:
    later = cube + 1
    later[:, 50:60] = 0
    files = [
        tile(tmp_path, "a.tif", slice(0, 60), slice(0, 120), cube),
        tile(tmp_path, "b.tif", slice(40, 90), slice(0, 120), later),
    ]
    expected = np.concatenate([cube[:, :40], later[:, 40:50], cube[:, 50:60], later[:, 60:]], axis=1)
    with Mosaic(files) as mosaic:
        np.testing.assert_array_equal(mosaic.read().values, expected)


def test_gaps_have_the_nodata_value_and_need_one(tmp_path: Path, cube: np.ndarray) -> None:
    parts = [(slice(0, 40), slice(0, 70)), (slice(40, 90), slice(70, 120))]
    expected = np.zeros_like(cube)
    for part in parts:
        expected[(slice(None), *part)] = cube[(slice(None), *part)]
    with Mosaic([tile(tmp_path, f"{number}.tif", *part, cube) for number, part in enumerate(parts)]) as mosaic:
        np.testing.assert_array_equal(mosaic.read().values, expected)
    bare = [tile(tmp_path, f"bare{number}.tif", *part, cube, nodata=(None, None)) for number, part in enumerate(parts)]
    with pytest.raises(FillValueError, match="would hold 0 between them"):
        Mosaic(bare)
    more = [(slice(0, 40), slice(70, 120)), (slice(40, 90), slice(0, 70))]
    whole = [
        *bare,
        *(tile(tmp_path, f"more{number}.tif", *part, cube, nodata=(None, None)) for number, part in enumerate(more)),
    ]
    with Mosaic(whole) as mosaic:
        np.testing.assert_array_equal(mosaic.read().values, cube)


@pytest.mark.parametrize("nodata", [np.nan, -9999.5])
def test_floats_keep_their_nodata(tmp_path: Path, cube: np.ndarray, nodata: float) -> None:
    values = cube.astype("float32")
    values[:, :5] = nodata
    files = [
        tile(tmp_path, f"{start}.tif", slice(start, start + 45), slice(0, 120), values, nodata=(nodata, nodata))
        for start in (0, 45)
    ]
    with Mosaic(files) as mosaic:
        np.testing.assert_array_equal(mosaic.nodata, (nodata, nodata))
        np.testing.assert_array_equal(mosaic.read().values, values)


def test_relative_paths_and_odd_names_are_found(tmp_path: Path, cube: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    tile(tmp_path, "a & <b> ü.tif", slice(0, 90), slice(0, 120), cube)
    monkeypatch.chdir(tmp_path)
    with Mosaic(["a & <b> ü.tif"]) as mosaic:
        np.testing.assert_array_equal(mosaic.read().values, cube)


def test_files_without_a_place_or_names_do_too(tmp_path: Path, cube: np.ndarray) -> None:
    path = pw.write_raster(cube, tmp_path / "bare.tif")
    with Mosaic([path]) as mosaic:
        assert mosaic.bands is None
        assert not mosaic.grid.is_georeferenced
        np.testing.assert_array_equal(mosaic.read().values, cube)


def test_files_that_are_not_alike_are_no_mosaic(tmp_path: Path, cube: np.ndarray) -> None:
    rows, cols = slice(0, 40), slice(0, 120)
    first = tile(tmp_path, "first.tif", rows, cols, cube)
    shifted = pw.Grid("EPSG:32633", (10, 0, 330_004, 0, -10, 5_822_040), 40, 120)
    coarse = pw.Grid("EPSG:32633", (20, 0, 330_000, 0, -20, 5_822_040), 40, 120)
    for parts, error, words in (
        ({"values": cube[:1], "bands": ("red",), "nodata": (0,)}, BandError, "have different bands, 1 and 2"),
        ({"bands": ("nir", "red")}, BandError, "have different band names"),
        ({"values": cube.astype("int16")}, BandError, "have different dtypes"),
        ({"nodata": (1, 1)}, BandError, "have different nodata values"),
        ({"grid": shifted}, GridError, "is shifted by 0.4 pixels"),
        ({"grid": coarse}, GridError, "has pixels of 20 x 20 and .* of 10 x 10"),
        ({"grid": pw.Grid("EPSG:32634", GRID.transform, 40, 120)}, GridError, "is in EPSG:32634 and .* in EPSG:32633"),
    ):
        values = parts.pop("values", cube)
        with pytest.raises(error, match=words) as caught:
            Mosaic([first, tile(tmp_path, "other.tif", rows, cols, values, **parts)])
        assert "\n" not in str(caught.value)
    with pytest.raises(BandError, match="no files"):
        Mosaic([])
    with pytest.raises(RasterReadError, match=r"missing\.tif"):
        Mosaic([first, tmp_path / "missing.tif"])


def test_masks_are_refused(tmp_path: Path, write: Any) -> None:
    values = np.full((4, 40, 40), 255, "uint8")
    path = write(values, names=(None,) * 4, photometric="RGB", alpha="YES", nodata=None)
    with pytest.raises(BandError, match="has a mask, which a mosaic would lose"):
        Mosaic([path])
