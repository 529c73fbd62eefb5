from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine
from scipy import ndimage

import pixelwise as pw
from pixelwise.operators.base import Operator

RANDOM = np.random.default_rng(3)
HILLS = (ndimage.gaussian_filter(RANDOM.random((40, 50)), 3) * 2000).astype("float32")
HOLES = HILLS.copy()
HOLES[RANDOM.random(HILLS.shape) < 0.25] = np.nan
HOLES[10:20, 20:30] = np.nan
HOLES[15, 25] = 100
UTM = pw.Grid("EPSG:32633", (10, 0, 330_000, 0, -10, 5_820_000), 40, 50)
GRIDS = {
    "north-up": UTM,
    "south-up": pw.Grid("EPSG:32633", (10, 0, 330_000, 0, 10, 5_820_000), 40, 50),
    "oblong": pw.Grid("EPSG:32633", (30, 0, 330_000, 0, -10, 5_820_000), 40, 50),
    "rotated": pw.Grid(
        "EPSG:32633", Affine.translation(330_000, 5_820_000) @ Affine.rotation(30) @ Affine.scale(10, -8), 40, 50
    ),
    "feet": pw.Grid("EPSG:2264", (30, 0, 1_500_000, 0, -30, 600_000), 40, 50),
    "degrees": pw.Grid("EPSG:4326", (1 / 3600, 0, 11.0, 0, -1 / 1800, 61.0), 40, 50),
}
SLOPE = pw.terrain.Slope(append=False)
OPERATORS: list[Operator] = [
    pw.terrain.Slope(),
    pw.terrain.Aspect(),
    pw.terrain.Aspect(components=True, append=False),
    pw.terrain.TPI(window=5),
]


def dem(values: np.ndarray, grid: pw.Grid) -> pw.Raster:
    return pw.Raster(values[None], grid, ("dem",))


def surface(grid: pw.Grid, east: float, north: float) -> np.ndarray:
    """Return the plane that rises so many metres per metre towards east and north of a projected grid."""
    xy = grid.pixel_xy(np.arange(grid.size)) * (0.3048006096012192 if grid == GRIDS["feet"] else 1)
    return ((xy - xy[0]) @ [east, north]).reshape(grid.shape)


def horn(values: np.ndarray, width: float, height: float) -> tuple[np.ndarray, np.ndarray]:
    """Return slope in degrees and aspect within the border, by Horn's formula in a loop, as gdaldem has it."""
    slope, aspect = np.full(values.shape, np.nan), np.full(values.shape, np.nan)
    z = values.astype(float)
    for row in range(1, len(z) - 1):
        for col in range(1, z.shape[1] - 1):
            a, b, c, d, _, f, g, h, i = z[row - 1 : row + 2, col - 1 : col + 2].ravel()
            dx = ((c + 2 * f + i) - (a + 2 * d + g)) / (8 * width)
            dy = ((g + 2 * h + i) - (a + 2 * b + c)) / (8 * height)
            slope[row, col] = math.degrees(math.atan(math.hypot(dx, dy)))
            aspect[row, col] = (math.degrees(math.atan2(dy, -dx)) - 90) * -1 % 360
    return slope, aspect


def test_slope_and_aspect_are_those_of_horns_loop() -> None:
    slope, aspect = horn(HILLS, 10, 10)
    inner = slice(1, -1), slice(1, -1)
    np.testing.assert_allclose(SLOPE(dem(HILLS, UTM)).values[0][inner], slope[inner], rtol=1e-5, atol=1e-5)
    found = pw.terrain.Aspect(append=False)(dem(HILLS.astype("float64"), UTM)).values[0][inner]
    np.testing.assert_allclose(found, aspect[inner], atol=1e-9)


def test_a_degree_of_longitude_shrinks_with_latitude() -> None:
    metre = math.pi * 6_371_010 / 180
    latitude = math.radians(61 - 20.5 / 1800)
    slope, _ = horn(HILLS, metre / 3600 * math.cos(latitude), metre / 1800)
    found = SLOPE(dem(HILLS, GRIDS["degrees"])).values[0]
    np.testing.assert_allclose(found[20, 1:-1], slope[20, 1:-1], rtol=1e-5)


@pytest.mark.parametrize("name", ["north-up", "south-up", "oblong", "rotated", "feet"])
@pytest.mark.parametrize(("east", "north"), [(0.5, 0.0), (0.0, -1.0), (-0.3, 0.4)])
def test_a_plane_has_its_slope_and_aspect_on_any_grid_up_to_the_border(name: str, east: float, north: float) -> None:
    raster = dem(surface(GRIDS[name], east, north), GRIDS[name])
    slope = pw.terrain.Slope(unit="percent", append=False)(raster).values[0]
    np.testing.assert_allclose(slope, 100 * math.hypot(east, north), rtol=1e-6)
    aspect = pw.terrain.Aspect(append=False)(raster).values[0]
    facing = math.degrees(math.atan2(-east, -north)) % 360
    np.testing.assert_allclose((aspect - facing + 180) % 360, 180, atol=1e-4)
    parts = pw.terrain.Aspect(components=True, append=False)(raster)
    assert parts.names == ("northness", "eastness")
    expected = [-north / math.hypot(east, north), -east / math.hypot(east, north)]
    np.testing.assert_allclose(parts.values[:, 7, 9], expected, atol=1e-6)


def test_a_plane_with_gaps_has_its_slope_where_two_directions_are_known() -> None:
    values = surface(UTM, 0.3, 0.4)
    values[np.isnan(HOLES)] = np.nan
    slope = pw.terrain.Slope(unit="percent", append=False)(dem(values, UTM)).values[0]
    known = ~np.isnan(slope)
    np.testing.assert_allclose(slope[known], 50, rtol=1e-6)
    assert not (known & np.isnan(HOLES)).any()
    assert known.sum() > 0.95 * (~np.isnan(HOLES)).sum()
    assert np.isnan(slope[15, 25])


def test_flat_ground_faces_nowhere() -> None:
    flat = dem(np.full((5, 6), 7, "float32"), pw.Grid("EPSG:32633", (10, 0, 0, 0, -10, 0), 5, 6))
    assert not SLOPE(flat).values.any()
    assert np.isnan(pw.terrain.Aspect(append=False)(flat).values).all()
    assert not pw.terrain.Aspect(components=True, append=False)(flat).values.any()


def test_the_aspect_is_below_360() -> None:
    tilted = surface(UTM, 1e-9, -1.0).astype("float32")
    aspect = pw.terrain.Aspect(append=False)(dem(tilted, UTM)).values
    assert ((aspect >= 0) & (aspect < 360)).all()
    barely = np.array([[[0, 1e-12, 2e-12]] * 3]) + np.array([[[0.0], [10], [20]]])
    assert pw.terrain.Aspect(append=False)(pw.Raster(barely.astype("float64"), UTM.window(0, 0, 3, 3))).values.max() < 360


def test_one_row_column_or_pixel_has_what_can_be_told() -> None:
    row = pw.Raster(np.array([[[0.0, 10, 20]]]), UTM.window(0, 0, 1, 3))
    np.testing.assert_allclose(SLOPE(row).values, 45)
    column = pw.Raster(np.array([[[0.0], [10], [20]]]), UTM.window(0, 0, 3, 1))
    np.testing.assert_allclose(SLOPE(column).values, 45)
    assert SLOPE(pw.Raster(np.ones((1, 1, 1)), UTM.window(0, 0, 1, 1))).values == 0


def test_feet_of_height_are_turned_to_metres() -> None:
    raster = dem(surface(UTM, 0.5, 0) / 0.3048, UTM)
    found = pw.terrain.Slope(unit="percent", z_factor=0.3048, append=False)(raster)
    np.testing.assert_allclose(found.values, 50, rtol=1e-6)


@pytest.mark.parametrize("values", [HILLS, HOLES])
def test_the_position_is_height_above_the_mean_of_the_neighbours(values: np.ndarray) -> None:
    found = pw.terrain.TPI(window=5, append=False)(dem(values, UTM)).values[0]
    padded = np.pad(values.astype(float), 2, constant_values=np.nan)
    for row, col in np.ndindex(values.shape):
        around = padded[row : row + 5, col : col + 5].copy()
        around[2, 2] = np.nan
        expected = values[row, col] - np.nanmean(around) if not np.isnan(around).all() else np.nan
        np.testing.assert_allclose(found[row, col], expected, atol=1e-3)


def test_a_pixel_without_neighbours_has_no_position() -> None:
    lone = np.full((1, 3, 3), np.nan)
    lone[0, 1, 1] = 5
    assert np.isnan(pw.terrain.TPI(append=False)(lone)).all()


@pytest.mark.parametrize("operator", OPERATORS, ids=repr)
@pytest.mark.parametrize("name", GRIDS)
@settings(max_examples=15)
@given(data=st.data())
def test_a_chip_with_its_halo_is_the_scene(operator: Operator, name: str, data: st.DataObject) -> None:
    scene = dem(data.draw(st.sampled_from([HILLS, HOLES])), GRIDS[name])
    row, col = data.draw(st.integers(0, 39)), data.draw(st.integers(0, 49))
    height, width = data.draw(st.integers(1, 40 - row)), data.draw(st.integers(1, 50 - col))
    halo = operator.halo
    top, left = max(row - halo, 0), max(col - halo, 0)
    part = scene.values[:, top : row + height + halo, left : col + width + halo].copy()
    chip = operator(pw.Raster(part, scene.grid.window(top, left, *part.shape[1:]), ("dem",))).values
    core = chip[:, row - top : row - top + height, col - left : col - left + width]
    whole = operator(scene).values[:, row : row + height, col : col + width]
    assert core.tobytes() == whole.tobytes()


def test_tiles_of_a_large_scene_do_not_show() -> None:
    big = dem(RANDOM.random((150, 1100)), pw.Grid("EPSG:32633", (10, 0, 0, 0, -10, 0), 150, 1100))
    slope, _ = horn(big.values[0], 10, 10)
    np.testing.assert_allclose(SLOPE(big).values[0][1:-1, 1:-1], slope[1:-1, 1:-1], rtol=1e-9)


def test_bands_are_found_by_name_and_dtypes_kept(raster: xr.DataArray) -> None:
    found = pw.terrain.Slope("B08")(raster)
    assert found.band.values.tolist() == ["B02", "B03", "B04", "B08", "slope"]
    assert found.dtype == np.float32
    assert np.array_equal(found[4], pw.terrain.Slope(3, append=False)(raster)[0])
    assert pw.terrain.TPI("B08", window=7)(raster).band.values[-1] == "tpi7"
    assert SLOPE(dem(HILLS.astype("float64"), UTM)).values.dtype == np.float64


def test_dates_go_each_by_itself() -> None:
    cube = np.stack([HILLS, 2 * HILLS])[None]
    found = SLOPE(pw.Raster(cube, UTM, times=("2020", "2021")))
    assert (found.values.shape, found.times) == ((1, 2, 40, 50), ("2020", "2021"))
    assert np.array_equal(found.values[0, 1], SLOPE(dem(2 * HILLS, UTM)).values[0])


def test_a_table_and_a_lazy_raster_give_what_the_raster_gives(scene: Path, polygons: Path, raster: xr.DataArray) -> None:
    X, _ = pw.extract_pixels(scene, polygons, column="class")
    for operator in (pw.terrain.Slope("B08"), pw.terrain.Aspect("B08"), pw.terrain.TPI("B08", window=5)):
        whole = operator(raster)
        table = operator.fit_transform(X)
        assert np.array_equal(np.asarray(table), pw.ToPixelMajor()(whole)[X.pixel], equal_nan=True)
        assert operator.get_feature_names_out().tolist() == list(table.feature_names)
        lazy = operator(raster.chunk({"y": 17, "x": 30}))
        assert lazy.chunks is not None
        xr.testing.assert_equal(lazy.compute(), whole)


def test_what_cannot_be_is_told() -> None:
    with pytest.raises(ValueError, match="unit='radians' is not known: choose 'degrees' or 'percent'"):
        pw.terrain.Slope(unit="radians")(dem(HILLS, UTM))
    with pytest.raises(ValueError, match="band='dtm' is no band of the raster: choose one of dem"):
        pw.terrain.Aspect("dtm")(dem(HILLS, UTM))
    with pytest.raises(ValueError, match="window=2 has no centre"):
        pw.terrain.TPI(window=2)(dem(HILLS, UTM))
