from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import pixelwise as pw
from pixelwise.errors import GridError
from pixelwise.table.layout import Layout, pixel_rows

cubes = hnp.arrays(
    st.sampled_from(["uint8", "int16", "float32"]),
    hnp.array_shapes(min_dims=3, max_dims=3, max_side=6),
    elements=st.integers(0, 99),
)


@given(cubes)
def test_there_and_back_is_the_identity(cube: np.ndarray) -> None:
    table = pw.ToPixelMajor()(cube)
    assert table.shape == (cube[0].size, len(cube))
    assert np.array_equal(pw.FromPixelMajor(cube)(table), cube)


def test_a_table_becomes_a_raster_of_the_type_that_it_came_from(raster: xr.DataArray) -> None:
    again = pw.FromPixelMajor(raster)(pw.ToPixelMajor()(raster))
    xr.testing.assert_identical(again, raster)


def test_a_column_becomes_a_map(raster: xr.DataArray) -> None:
    assert pw.FromPixelMajor(raster)(np.zeros(4800)).dims == ("y", "x")
    assert pw.FromPixelMajor(raster)(np.zeros((4800, 1))).shape == (1, 60, 80)
    assert pw.FromPixelMajor(raster)(np.zeros((4800, 6))).shape == (6, 60, 80)


def test_rows_must_fill_the_raster(raster: xr.DataArray) -> None:
    with pytest.raises(GridError, match="4799 rows does not fill a raster of 60 x 80"):
        pw.FromPixelMajor(raster)(np.zeros(4799))


def test_a_time_axis_needs_a_temporal_layout() -> None:
    with pytest.raises(GridError, match="has a time axis"):
        pw.ToPixelMajor()(np.zeros((2, 3, 4, 5)))


@given(cubes, st.randoms())
def test_rows_are_c_ordered_and_chosen(cube: np.ndarray, random: object) -> None:
    flat = pw.ToPixelMajor().flatten(cube)
    chosen = np.arange(flat.shape[1]) % 2 == 0
    rows = pixel_rows(flat, chosen, "float32", np.empty((flat.shape[1], len(flat)), "float32"))
    assert rows.flags.c_contiguous
    assert np.array_equal(rows, flat.T[chosen])


def test_the_contract_asks_subclasses(raster: xr.DataArray) -> None:
    unwrapped = pw.unwrap(raster)
    for call in (
        lambda: Layout().names(unwrapped),
        lambda: Layout().flatten(unwrapped.cube),
        lambda: Layout().unflatten(unwrapped.cube, (1,)),
    ):
        with pytest.raises(NotImplementedError):
            call()
