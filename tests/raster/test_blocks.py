from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import pixelwise as pw
from pixelwise.raster.blocks import BlockPlane, block_numbers
from pixelwise.raster.grid import EARTH_RADIUS

CELL = st.integers(-(2**25) + 1, 2**25 - 1)


@given(st.lists(st.tuples(CELL, CELL), min_size=2, unique=True))
def test_cells_have_numbers_of_their_own_that_float64_holds(cells: list[tuple[int, int]]) -> None:
    numbers = block_numbers(*np.array(cells).T)
    assert len(set(numbers.tolist())) == len(cells)
    assert (numbers >= 0).all()
    assert np.array_equal(numbers.astype("float64").astype("int64"), numbers)


def test_numbers_near_the_origin_are_all_used_and_fit_float32() -> None:
    col, row = np.meshgrid(np.arange(-50, 50), np.arange(-50, 50))
    assert sorted(block_numbers(col, row).ravel()) == list(range(10_000))
    furthest = block_numbers(np.array([-2048, 2047]), np.array([-2048, -2048]))
    assert np.array_equal(furthest.astype("float32").astype("int64"), furthest)


def test_squares_are_as_wide_as_they_are_high_on_the_sphere() -> None:
    crs = pw.Grid("EPSG:4326", (1, 0, 0, 0, 1, 0), 1, 1).crs
    lon = np.linspace(0, 90, 100_000)
    for latitude in (0.0, 45.0, 80.0):
        col, row = BlockPlane(lon, np.full(lon.shape, latitude), crs, 10_000, (0, 0)).squares()
        around = np.pi / 2 * EARTH_RADIUS * np.cos(np.radians(latitude))
        assert abs(len(np.unique(col)) * 10_000 / around - 1) < 0.01
        assert np.ptp(row) == 0
