"""Scenes of several dates opened as one stack: 105 real Landsat scenes, and what goes wrong with such folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr

import pixelwise as pw
from pixelwise.errors import BandError, GridError, RasterReadError

Series = dict[str, dict[str, Path]]


def written(
    path: Path, values: Any, *, nodata: float | None = None, bands: Any = None, left: float = 0.0, mask: Any = None
) -> Path:
    """Write a small GeoTIFF in UTM."""
    cube = np.asarray(values)
    profile = {"driver": "GTiff", "height": cube.shape[1], "width": cube.shape[2], "count": len(cube), "dtype": cube.dtype}
    place = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 330_000 + left, 0, -10, 5_822_000)}
    with rasterio.open(path, "w", **profile, **place, nodata=nodata) as file:
        file.write(cube)
        for number, name in enumerate(bands or (), 1):
            file.set_band_description(number, name)
        if mask is not None:
            file.write_mask(mask)
    return path


def test_a_list_of_scenes_is_a_stack_in_the_order_of_their_dates(landsat_series: Series) -> None:
    dates = list(landsat_series)
    shuffled = np.random.default_rng(0).permutation(dates).tolist()
    stack = pw.open_raster([landsat_series[date]["b4"] for date in shuffled], times=shuffled)
    assert stack.dims == ("band", "time", "y", "x")
    assert stack.shape == (1, 105, 61, 61)
    assert stack.dtype == "int16"
    assert stack.rio.nodata == -9999
    assert stack.rio.crs.to_epsg() == 32613
    assert np.array_equal(stack.time.values, np.array(dates, "datetime64[ns]"))
    for number in (0, 50, 104):
        with rasterio.open(landsat_series[dates[number]]["b4"]) as file:
            assert np.array_equal(stack.values[0, number], file.read(1))


def test_scenes_may_be_files_a_band(landsat_series: Series) -> None:
    dates = list(landsat_series)[:5]
    stack = pw.open_raster([landsat_series[date] for date in dates], times=dates)
    assert stack.band.values.tolist() == ["b3", "b4", "b5", "fmask"]
    # Fmask declares no nodata, the reflectances do: NaN marks both.
    assert stack.dtype == "float32"
    red = pw.open_raster(landsat_series[dates[2]]["b3"]).astype("float32")
    assert np.array_equal(stack.sel(band="b3").values[2], red.where(red != -9999).values[0], equal_nan=True)


def test_a_missing_scene_is_nodata_or_nan_where_none_is_declared(tmp_path: Path) -> None:
    values = np.full((2, 3, 4), 7, "uint8")
    for nodata, dtype, filled in ((0, "uint8", 0), (None, "float32", np.nan)):
        path = written(tmp_path / f"{nodata}.tif", values, nodata=nodata)
        for chunks in (None, {"x": 2}):
            stack = pw.open_raster([path, None], chunks, times=["2020-01-01", "2020-02-01"])
            assert stack.dtype == dtype
            assert (stack.values[:, 0] == 7).all()
            assert np.array_equal(stack.values[:, 1], np.full((2, 3, 4), filled, dtype), equal_nan=True)
            assert (stack.chunks is not None) is (chunks is not None)


def test_scenes_that_lack_pixels_in_other_ways_turn_the_stack_to_floats(tmp_path: Path) -> None:
    values = np.array([[[1, 2], [3, 4]]], "uint8")
    plain = written(tmp_path / "a.tif", values, nodata=1)
    other = written(tmp_path / "b.tif", values, nodata=4)
    masked = written(tmp_path / "c.tif", values, mask=np.array([[255, 0], [255, 255]], "uint8"))
    wide = written(tmp_path / "d.tif", values.astype("float64"), nodata=2)
    times = ["2020-01-01", "2020-02-01", "2020-03-01", "2020-04-01"]
    stack = pw.open_raster([plain, other, masked, wide], times=times)
    nan = np.nan
    assert stack.dtype == "float64"
    assert np.array_equal(
        stack.values[0].reshape(4, 4), [[nan, 2, 3, 4], [1, 2, 3, nan], [1, nan, 3, 4], [1, nan, 3, 4]], equal_nan=True
    )
    first = pw.open_raster([masked, plain], times=times[:2])
    assert np.array_equal(first.values[0].reshape(2, 4), [[1, nan, 3, 4], [nan, 2, 3, 4]], equal_nan=True)


def test_scenes_on_shifted_grids_are_aligned_to_the_first_and_the_rest_is_missing(tmp_path: Path) -> None:
    values = np.arange(1, 13, dtype="uint16").reshape(1, 3, 4)
    here, east = written(tmp_path / "a.tif", values), written(tmp_path / "b.tif", values, left=20)
    stack = pw.open_raster([here, east], times=["2020-01-01", "2020-02-01"])
    assert np.array_equal(stack.values[0, 1, :, 2:], values[0, :, :2])
    assert np.isnan(stack.values[0, 1, :, :2]).all()
    wanted = pw.unwrap(east).grid
    assert pw.unwrap(pw.open_raster([here, east], times=["2020-01-01", "2020-02-01"], grid=wanted)).grid == wanted
    with pytest.raises(GridError, match="would have to be read whole"):
        pw.open_raster([here, east], {"x": 2}, times=["2020-01-01", "2020-02-01"])


def test_bands_in_another_order_are_put_right_by_name(tmp_path: Path) -> None:
    values = np.array([[[1]], [[2]]], "uint8")
    one = written(tmp_path / "a.tif", values, bands=["red", "nir"])
    two = written(tmp_path / "b.tif", values[::-1], bands=["nir", "red"])
    stack = pw.open_raster([one, two], times=["2020-01-01", "2020-02-01"])
    assert stack.values[:, :, 0, 0].tolist() == [[1, 1], [2, 2]]


def test_a_lazy_stack_reads_what_the_eager_one_holds(landsat_series: Series) -> None:
    dates = list(landsat_series)[:6]
    files = [landsat_series[date]["b4"] for date in dates]
    lazy = pw.open_raster(files, {"x": 30, "y": 61}, times=dates)
    assert lazy.chunks is not None
    xr.testing.assert_equal(lazy.compute(), pw.open_raster(files, times=dates))


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"times": None}, GridError, "3 scenes .3 of them there. and no dates make no time axis: pass times="),
        ({"times": ["2020-01-01"]}, GridError, "3 scenes .3 of them there. and 1 dates"),
        ({"source": [None, None, None]}, GridError, "0 of them there"),
        ({"times": [1, 2, 3]}, GridError, r"times=\[1, 2, 3\] ... are no dates"),
        ({"times": ["2020-01-01", None, "2020-03-01"]}, GridError, "are no dates"),
        ({"times": ["June", "July", "May"]}, GridError, "are no dates"),
    ],
)
def test_a_stack_needs_scenes_and_their_dates(change: dict[str, Any], error: Any, said: str, scene: Path) -> None:
    options: dict[str, Any] = {"source": [scene] * 3, "times": ["2020-01-01", "2020-02-01", "2020-03-01"], **change}
    with pytest.raises(error, match=said):
        pw.open_raster(**options)


def test_other_mistakes_are_named(tmp_path: Path, scene: Path) -> None:
    times = ["2020-01-01", "2020-02-01"]
    with pytest.raises(GridError, match="times names 2 dates, and source is one scene"):
        pw.open_raster(scene, times=times)
    one = written(tmp_path / "a.tif", np.ones((1, 2, 2), "uint8"))
    with pytest.raises(BandError, match="has 1 bands, and the first has 4"):
        pw.open_raster([scene, one], times=times, grid=pw.unwrap(scene).grid)
    named = written(tmp_path / "b.tif", np.ones((4, 60, 80), "uint16"), bands=["B02", "B03", "B04", "B12"])
    with pytest.raises(BandError, match="stack scenes of the same bands"):
        pw.open_raster([scene, named], times=times, grid=pw.unwrap(scene).grid)
    with pytest.raises(RasterReadError, match=r"nowhere\.tif"):
        pw.open_raster([scene, tmp_path / "nowhere.tif"], times=times)
