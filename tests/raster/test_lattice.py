from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from rasterio import Affine

import pixelwise as pw
from pixelwise.raster.lattice import centre_x_y, latitudes

#: Tenths of a pixel from the CRS's origin, as far as grids of files are.
TENTHS = st.integers(-20_000_000, 20_000_000)


@given(
    left=TENTHS, top=TENTHS, size=st.sampled_from([10, 0.5, 1 / 3600, 463.3127]), turn=st.sampled_from([0, 90, 17.3]),
    flip=st.booleans(), row=st.integers(0, 5000), col=st.integers(0, 5000),
)  # fmt: skip
def test_a_window_has_the_coordinates_of_its_raster(
    left: int, top: int, size: float, turn: float, flip: bool, row: int, col: int
) -> None:
    transform = (
        Affine.translation(left / 10 * size, top / 10 * size)
        @ Affine.rotation(turn)
        @ Affine.scale(size, size if flip else -size)
    )
    grid = pw.Grid("EPSG:32633", transform, 6000, 6000)
    whole = centre_x_y(grid, np.array([row + 7]), np.array([col + 9]))
    part = centre_x_y(grid.window(row, col, 20, 20), np.array([7]), np.array([9]))
    exact = grid.xy([row + 7], [col + 9])[0]
    assert np.abs(np.concatenate(whole) - exact).max() < 5e-5 * size + 1e-8
    if turn == 0:
        assert whole == part
    assert np.abs(np.concatenate(whole) - np.concatenate(part)).max() < 5e-5 * size


def test_a_plain_grid_has_its_own_coordinates() -> None:
    grid = pw.Grid("EPSG:32633", (10, 0, 330_000, 0, -10, 5_822_040), 60, 80)
    x, y = centre_x_y(grid, np.arange(60)[:, None], np.arange(80)[None])
    assert (x.shape, y.shape) == ((1, 80), (60, 1))
    assert np.array_equal(np.column_stack([np.tile(x[0], 60), np.repeat(y[:, 0], 80)]), grid.pixel_xy(np.arange(4800)))
    assert np.array_equal(latitudes(grid, slice(3, 9), slice(0, 80)), y[3:9])
