"""Cloud-optimised GeoTIFF: laid out so, with overviews, and with all that the plain file says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

import pixelwise as pw
from pixelwise.errors import RasterWriteError
from pixelwise.raster.cog import check_driver, cog_options


def large(raster: Any, dtype: str) -> Any:
    values = np.tile(raster.values, (1, 10, 8)).astype(dtype)
    return pw.rewrap(pw.Raster(values, pw.unwrap(raster).grid.window(0, 0, 600, 640), pw.unwrap(raster).bands), raster)


@pytest.mark.parametrize("compress", ["deflate", "zstd", "lzw", "lzma", "none", None])
@pytest.mark.parametrize("dtype", ["uint16", "float32", "int64"])
def test_it_holds_what_a_plain_file_holds(raster: Any, tmp_path: Path, dtype: str, compress: str | None) -> None:
    whole = large(raster, dtype)
    path = pw.write_raster(whole, tmp_path / "cog.tif", driver="COG", compress=compress)
    with rasterio.open(path) as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.block_shapes[0] == (256, 256)
        assert file.overviews(1) == [2, 4]
        assert file.compression.name if compress not in (None, "none") else file.compression is None
        np.testing.assert_array_equal(file.read(), whole.values)
    plain = pw.open_raster(pw.write_raster(whole, tmp_path / "plain.tif"))
    assert pw.unwrap(pw.open_raster(path)).grid == pw.unwrap(plain).grid
    assert pw.open_raster(path).band.values.tolist() == plain.band.values.tolist()
    assert sorted(place.name for place in tmp_path.iterdir()) == ["cog.tif", "plain.tif"]


def test_an_overview_of_classes_holds_classes_and_one_of_measurements_their_mean(raster: Any, tmp_path: Path) -> None:
    board = np.indices((512, 512)).sum(axis=0) % 2
    grid = pw.unwrap(raster).grid.window(0, 0, 512, 512)
    codes = pw.Raster((board * 9).astype("uint8"), grid, attrs={"flag_values": [0, 9], "flag_meanings": "land water"})
    shares = pw.Raster(board.astype("float32"), grid)
    for name, made, expected in (("codes", codes, {0, 9}), ("shares", shares, {0.5})):
        path = pw.write_raster(made, tmp_path / f"{name}.tif", driver="COG")
        with rasterio.open(path, overview_level=0) as overview:
            assert set(np.unique(overview.read())) <= expected
    assert (tmp_path / "codes.tif.aux.xml").exists()


def test_what_the_driver_does_not_know_is_refused(raster: Any, tmp_path: Path) -> None:
    with pytest.raises(RasterWriteError, match="choose one of GTiff, COG"):
        check_driver("PNG")
    with pytest.raises(RasterWriteError, match="not known for COGs"):
        cog_options("uint8", False, "packbits")
    with pytest.raises(RasterWriteError, match="choose one of GTiff, COG"):
        pw.write_raster(raster, tmp_path / "a.tif", driver="JPEG")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_an_error_and_leaves_nothing(raster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    path, limits = tmp_path / "a.tif", resource.getrlimit(resource.RLIMIT_FSIZE)
    import signal

    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    # Enough for the plain file (4.9 MB), and not for overviews on top.
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000_000, limits[1]))
    try:
        with pytest.raises(RasterWriteError, match="cannot be written"):
            pw.write_raster(large(raster, "int32"), path, driver="COG", compress="none")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert list(tmp_path.iterdir()) == []
