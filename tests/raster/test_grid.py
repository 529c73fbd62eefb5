from __future__ import annotations

import pickle

import numpy as np
import pyproj
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS

from pixelwise import Grid
from pixelwise.errors import CRSError, GridError
from pixelwise.raster.grid import as_crs, crs_name, metres_per_unit, pixel_area, transform_xy

UTM = Grid("EPSG:32633", Affine(10, 0, 330000, 0, -10, 5822040), 30, 40)


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    angle = draw(st.sampled_from([0.0, 0.0, 30.0, -77.0]))
    size = draw(st.floats(0.001, 1000))
    flip = draw(st.sampled_from([-1, 1]))
    at = Affine.translation(draw(st.floats(-1e6, 1e6)), draw(st.floats(-1e6, 1e6)))
    transform = at @ Affine.rotation(angle) @ Affine.scale(size, flip * size)
    crs = draw(st.sampled_from([None, "EPSG:32633", "EPSG:4326", "EPSG:3358"]))
    return Grid(crs, transform, draw(st.integers(1, 50)), draw(st.integers(1, 50)))


@given(grids())
def test_pickling_keeps_the_grid(grid: Grid) -> None:
    again = pickle.loads(pickle.dumps(grid))
    assert again == grid
    assert hash(again) == hash(grid)


@given(grids(), st.data())
def test_a_pixel_is_found_under_its_own_centre(grid: Grid, data: st.DataObject) -> None:
    pixel = data.draw(st.integers(0, grid.size - 1))
    assert grid.pixels_at(grid.pixel_xy([pixel])).tolist() == [pixel]


@given(grids(), st.integers(1, 60), st.integers(1, 60))
def test_windows_tile_the_grid(grid: Grid, height: int, width: int) -> None:
    seen = np.zeros(grid.shape, int)
    for window in grid.windows(height, width):
        seen[window.toslices()] += 1
    assert (seen == 1).all()


@given(grids(), st.data())
def test_a_window_has_the_same_centres(grid: Grid, data: st.DataObject) -> None:
    row, col = data.draw(st.integers(0, grid.height - 1)), data.draw(st.integers(0, grid.width - 1))
    part = grid.window(row, col, grid.height - row, grid.width - col)
    assert np.allclose(part.xy([0], [0]), grid.xy([row], [col]), rtol=1e-9, atol=1e-6)


def test_outside_the_grid_there_is_no_pixel() -> None:
    assert UTM.pixels_at(np.array([[0.0, 0.0], [np.nan, 1.0], [330000, 5822040]])).tolist() == [-1, -1, 0]


def test_a_grid_is_immutable() -> None:
    with pytest.raises(AttributeError):
        UTM.height = 3  # type: ignore[misc]


@pytest.mark.parametrize("crs", ["EPSG:32633", 32633, CRS.from_epsg(32633), pyproj.CRS.from_epsg(32633)])
def test_a_crs_comes_in_many_forms(crs: object) -> None:
    assert Grid(crs, UTM.transform, 30, 40) == UTM


def test_an_unknown_crs_is_refused_with_a_remedy() -> None:
    with pytest.raises(CRSError, match="pass an EPSG code"):
        as_crs("EPSG:999999")


def test_an_empty_crs_is_none() -> None:
    assert as_crs(CRS()) is None


@pytest.mark.parametrize("shape", [(0, 4), (4, 0)])
def test_an_empty_grid_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(GridError, match="empty"):
        Grid(None, Affine.identity(), *shape)


def test_pixels_without_area_are_refused() -> None:
    with pytest.raises(GridError, match="no area"):
        Grid(None, Affine(0, 0, 0, 0, -10, 0), 3, 3)


def test_differences_are_named() -> None:
    shifted = Grid(UTM.crs, UTM.transform @ Affine.translation(1, 0), 30, 40)
    assert UTM.differs_from(UTM) == ""
    assert "shifted by up to 1 pixels" in UTM.differs_from(shifted)
    assert "EPSG:32633 against none" in UTM.differs_from(Grid(None, UTM.transform, 30, 40))
    assert "30 x 40 pixels against 30 x 41" in UTM.differs_from(Grid(UTM.crs, UTM.transform, 30, 41))
    assert UTM != "grid"


def test_bounds_hold_all_corners_of_a_rotated_grid() -> None:
    grid = Grid(None, Affine.rotation(45), 10, 10)
    left, bottom, right, top = grid.bounds
    assert (left, bottom, right, top) == pytest.approx((-10 / 2**0.5, 0, 10 / 2**0.5, 20 / 2**0.5))


def test_the_area_of_a_pixel_in_metres() -> None:
    assert pixel_area(UTM).tolist() == [100.0] * 30


def test_the_area_of_a_pixel_in_feet_is_given_in_metres() -> None:
    grid = Grid("EPSG:2264", Affine(100, 0, 2e6, 0, -100, 7e5), 2, 2)
    assert metres_per_unit(grid.crs) == pytest.approx(0.3048006)
    assert pixel_area(grid)[0] == pytest.approx((100 * 0.3048006) ** 2, rel=1e-6)


def test_the_area_of_a_degree_shrinks_towards_the_pole() -> None:
    area = pixel_area(Grid(4326, Affine(1, 0, 0, 0, -1, 61), 61, 1))
    assert area[60] == pytest.approx(1.2309e10, rel=1e-3)  # one degree square at the equator
    assert area[0] / area[60] == pytest.approx(0.5, abs=0.02)


def test_areas_need_a_crs() -> None:
    with pytest.raises(CRSError, match="write_crs"):
        pixel_area(Grid(None, Affine.identity(), 1, 1))


def test_coordinates_with_and_without_a_crs_do_not_mix() -> None:
    with pytest.raises(CRSError, match="set the missing CRS"):
        transform_xy(np.zeros((1, 2)), UTM.crs, None)


def test_a_crs_without_a_code_has_a_name() -> None:
    sinusoidal = as_crs("+proj=sinu +lon_0=0 +R=6371007.181 +units=m")
    assert crs_name(sinusoidal)
    assert crs_name(None) == "none"
    assert crs_name(UTM.crs) == "EPSG:32633"
