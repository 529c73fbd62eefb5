"""The gradient of an elevation band after Horn, in metres per metre towards east and north."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pixelwise.raster.grid import EARTH_RADIUS, Grid, metres_per_unit
from pixelwise.raster.lattice import latitudes

__all__ = ["horn_gradient"]

#: Pixels of a tile, whose differences stay in a cache of the processor.
_TILE = (128, 512)
#: Horn's weights of the three pairs of neighbours on either side.
_WEIGHTS = np.array([1, 2, 1])


def horn_gradient(plane: np.ndarray, grid: Grid, z_factor: float) -> Iterator[tuple[slice, slice, np.ndarray, np.ndarray]]:
    """Compute the gradient of a surface, part by part.

    Differences of three pairs of neighbours, weighted 1, 2, 1, in either direction. Beyond the border of the raster the
    surface goes on as it comes to it. Instead of a missing neighbour stands what the one across the pixel leads to; where
    both are missing, the pair is left out. A pixel that is missing, or has no pair left in a direction, is NaN.

    Parameters
    ----------
    plane : ndarray of float, shape (height, width)
        Elevations; NaN where they are missing.
    grid : Grid
        Where they are. On a geographic CRS metres are those of the sphere, at the latitude of each row.
    z_factor : float
        Metres in a unit of the elevations.

    Yields
    ------
    rows, cols : slice
        Where the part is.
    east, north : ndarray of float
        Rise towards east and north, in the dtype of `plane`.
    """
    kind = plane.dtype.type
    height, width = plane.shape
    for top in range(0, height, _TILE[0]):
        for left in range(0, width, _TILE[1]):
            rows, cols = slice(top, min(top + _TILE[0], height)), slice(left, min(left + _TILE[1], width))
            z = _with_ring(plane, rows, cols)
            down_columns = z[:, 2:] - z[:, :-2]
            down_rows = z[2:] - z[:-2]
            by_col = (down_columns[:-2] + down_columns[2:] + 2 * down_columns[1:-1]) * kind(0.125)
            by_row = (down_rows[:, :-2] + down_rows[:, 2:] + 2 * down_rows[:, 1:-1]) * kind(0.125)
            _bridge_gaps(z, by_col, by_row)
            east, north = _to_map(by_col, by_row, grid, rows, cols, z_factor)
            yield rows, cols, east, north


def _with_ring(plane: np.ndarray, rows: slice, cols: slice) -> np.ndarray:
    """Return a part with the pixels round it; beyond the plane the surface goes on straight."""
    height, width = plane.shape
    above, below = max(rows.start - 1, 0), min(rows.stop + 1, height)
    before, after = max(cols.start - 1, 0), min(cols.stop + 1, width)
    z = np.zeros((rows.stop - rows.start + 2, cols.stop - cols.start + 2), plane.dtype)
    first = above - rows.start + 1, before - cols.start + 1
    part = plane[above:below, before:after]
    z[first[0] : first[0] + part.shape[0], first[1] : first[1] + part.shape[1]] = part
    for side, missing_first, missing_last in (
        (z, rows.start == 0, rows.stop == height),
        (z.T, cols.start == 0, cols.stop == width),
    ):
        second = 2 if len(side) > 3 else 1
        if missing_first:
            side[0] = 2 * side[1] - side[second]
        if missing_last:
            side[-1] = 2 * side[-2] - side[-1 - second]
    return z


def _bridge_gaps(z: np.ndarray, by_col: np.ndarray, by_row: np.ndarray) -> None:
    """Set the gradient of pixels that lack a neighbour, and NaN where they lack data themselves."""
    missing = np.isnan(z)
    if not missing.any():
        return
    gaps = missing[1:-1, 1:-1]
    at = np.nonzero((np.isnan(by_col) | np.isnan(by_row)) & ~gaps)
    by_col[gaps] = by_row[gaps] = np.nan
    around = sliding_window_view(z, (3, 3))[at].astype(np.float64)
    centre = around[:, 1, 1][:, None, None]
    full = np.where(np.isnan(around), 2 * centre - around[:, ::-1, ::-1], around)
    across, down = (full[:, :, 2] - full[:, :, 0]) / 2, (full[:, 2] - full[:, 0]) / 2
    for out, pairs in ((by_col, across), (by_row, down)):
        known = ~np.isnan(pairs)
        weight = (known * _WEIGHTS).sum(axis=1)
        total = np.where(known, pairs * _WEIGHTS, 0).sum(axis=1)
        out[at] = np.where(weight > 0, total / np.maximum(weight, 1), np.nan)


def _to_map(
    by_col: np.ndarray, by_row: np.ndarray, grid: Grid, rows: slice, cols: slice, z_factor: float
) -> tuple[np.ndarray, np.ndarray]:
    """Turn the rise per column and row to the rise per metre towards east and north."""
    kind = by_col.dtype.type
    a, b, _, d, e, _ = tuple(grid.transform)[:6]
    if grid.crs is not None and grid.crs.is_geographic:
        metres = math.radians(1.0) * EARTH_RADIUS
        parallel = np.maximum(np.cos(np.radians(latitudes(grid, rows, cols))), 1e-9)
        scale_x, scale_y = (z_factor / (metres * parallel)).astype(kind), kind(z_factor / metres)
    else:
        scale_x = scale_y = kind(z_factor / metres_per_unit(grid.crs))
    if b == 0 and d == 0:
        return by_col * (scale_x * kind(1 / a)), by_row * (scale_y * kind(1 / e))
    # The transposed inverse of the transform, as gradients are turned.
    inverse = ~grid.transform
    east = by_col * kind(inverse.a) + by_row * kind(inverse.d)
    north = by_col * kind(inverse.b) + by_row * kind(inverse.e)
    return east * scale_x, north * scale_y
