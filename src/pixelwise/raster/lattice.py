"""Coordinates of pixel centres that are the same to the last bit in a raster and in every window of it."""

from __future__ import annotations

import math

import numpy as np

from pixelwise.raster.grid import Grid

__all__ = ["centre_x_y", "latitudes"]

#: Parts of a pixel to which its place is told: fewer than the rounding of a window's transform, more than any map's accuracy.
_PARTS = 2**16
#: Where a place falls between two whole pixels; no grid is shifted by this share of a pixel.
_BETWEEN = 0.2929


def _offset(place: float) -> tuple[int, float]:
    """Return whole pixels from the CRS's origin, and the rest to a 65,536th of a pixel."""
    whole = math.floor(place + _BETWEEN)
    return whole, math.floor((place - whole) * _PARTS + _BETWEEN + 0.5) / _PARTS


def centre_x_y(grid: Grid, rows: np.ndarray, cols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the coordinates of pixel centres, as the CRS's lattice of such pixels has them.

    A window's transform is rounded, so that its coordinates differ from those of the whole raster in the last bits. Here
    pixels are counted from the origin of the CRS, where raster and window agree as long as the rounding
    of a transform is far less than a 65,536th of a pixel, as it is of all pixels wider than some centimetres.

    Parameters
    ----------
    grid : Grid
        Where the pixels are.
    rows, cols : ndarray of int
        Pixel positions, of shapes that can be broadcast.

    Returns
    -------
    x, y : ndarray of float64
        In units of the CRS, within some 1e-5 pixels of ``grid.xy``.

    Examples
    --------
    >>> import numpy as np
    >>> from pixelwise import Grid
    >>> from pixelwise.raster.lattice import centre_x_y
    >>> grid = Grid("EPSG:4326", (1 / 3600, 0, 9.0, 0, -1 / 3600, 47.0), 600, 600)
    >>> whole = centre_x_y(grid, np.array([137]), np.array([209]))
    >>> window = centre_x_y(grid.window(100, 200, 50, 50), np.array([37]), np.array([9]))
    >>> whole == window
    True
    """
    a, b, _, d, e, _ = tuple(grid.transform)[:6]
    at_col, at_row = ~grid.transform @ (0.0, 0.0)
    (col, more_col), (row, more_row) = _offset(-at_col), _offset(-at_row)
    across, down = (np.asarray(cols) + col) + (more_col + 0.5), (np.asarray(rows) + row) + (more_row + 0.5)
    return (a * across if b == 0 else a * across + b * down), (e * down if d == 0 else d * across + e * down)


def latitudes(grid: Grid, rows: slice, cols: slice) -> np.ndarray:
    """Return the y of pixels, as (height, 1) where a row has one y, and as (height, width) on a rotated grid."""
    down, across = np.arange(rows.start, rows.stop)[:, None], np.arange(cols.start, cols.stop)[None]
    return centre_x_y(grid, down, across)[1]
