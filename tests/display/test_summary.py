from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from pixelwise.display.summary import summarize_raster
from pixelwise.errors import RasterReadError


def write(path: Path, values: np.ndarray, **options: Any) -> Path:
    profile = {"driver": "GTiff", "height": values.shape[1], "width": values.shape[2], "count": len(values)}
    place = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 330_000, 0, -10, 5_822_040)}
    with rasterio.open(path, "w", dtype=values.dtype.name, **{**profile, **place, **options}) as file:
        file.write(values)
    return path


def gradient(dtype: str, bands: int = 2) -> np.ndarray:
    return (np.arange(bands * 400).reshape(bands, 20, 20) % 97 + 1).astype(dtype)


def test_a_clean_file_gives_no_hints(scene: Path) -> None:
    summary = summarize_raster(scene)
    assert summary.hints == ()
    assert [band.name for band in summary.bands] == ["B02", "B03", "B04", "B08"]
    assert summary.n_read == 4800


def test_ranges_leave_out_nodata(tmp_path: Path) -> None:
    values = gradient("int16")
    values[0, :5] = -9999
    first, second = summarize_raster(write(tmp_path / "a.tif", values, nodata=-9999)).bands
    assert (first.minimum, first.missing, first.nodata) == (1, 0.25, -9999)
    assert second.missing == 0


def test_a_large_file_is_looked_at_in_part(scene: Path) -> None:
    assert summarize_raster(scene, most=40).n_read == 40 * 30


def test_classes_are_named(map_file: Path) -> None:
    assert summarize_raster(map_file).classes == {0: "forest", 1: "water"}


def test_a_fill_in_every_band_is_spoken_of(tmp_path: Path) -> None:
    values = gradient("uint8")
    values[:, :4] = 0
    assert summarize_raster(write(tmp_path / "a.tif", values)).hints == (
        "20% of the pixels are 0 in every band, which looks like nodata that nobody declared",
    )


def test_a_fill_in_one_band_is_spoken_of(tmp_path: Path) -> None:
    values = gradient("int16", bands=1)
    values[0, 0] = -9999
    (hint,) = summarize_raster(write(tmp_path / "a.tif", values)).hints
    assert hint == "5.0% of the pixels of band band_1 are -9999, which looks like nodata that nobody declared"


def test_a_band_without_a_valid_pixel_is_named(tmp_path: Path) -> None:
    values = gradient("float32")
    values[1] = np.nan
    summary = summarize_raster(write(tmp_path / "a.tif", values))
    assert summary.hints == ("band band_2 has no valid pixel",)
    assert summary.bands[1].minimum is None


def test_extreme_floats_are_spoken_of_once(tmp_path: Path) -> None:
    values = gradient("float64")
    values[:, 0] = -1.7e308
    summary = summarize_raster(write(tmp_path / "a.tif", values))
    assert summary.hints == ("band band_1 holds values beyond 1e30, which count as missing",)
    assert summary.bands[0].minimum == 1


def test_a_missing_crs_is_spoken_of(meuse: Path) -> None:
    path = sorted(meuse.glob("*.tif"))[0]
    with rasterio.open(path) as file:
        without = file.crs is None
    assert any("no CRS" in hint for hint in summarize_raster(path).hints) == without


def test_real_files_are_summarised(landsat: Path, sentinel: dict[str, Path]) -> None:
    assert summarize_raster(landsat).bands[0].nodata == -99999
    assert summarize_raster(sentinel["B01"]).crs == "EPSG:32633"


def test_what_is_no_raster_is_told(polygons: Path, tmp_path: Path) -> None:
    with pytest.raises(RasterReadError):
        summarize_raster(polygons)
    with pytest.raises(RasterReadError):
        summarize_raster(tmp_path / "nothing.tif")
