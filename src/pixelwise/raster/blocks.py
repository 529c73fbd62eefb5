"""Blocks of land, anchored to the CRS: the same place is in the same block, whatever raster or chip it is seen in."""

from __future__ import annotations

import numpy as np
from rasterio.crs import CRS

from pixelwise.raster.grid import EARTH_RADIUS, metres_per_unit

__all__ = ["BlockPlane", "block_numbers"]


class BlockPlane:
    """Coordinates in metres: y along the meridian, x along whichever parallel is asked for.

    On a geographic CRS lengths are metres on the sphere: rows of equal height follow the parallels, and each is cut along
    its own middle parallel.

    Parameters
    ----------
    x, y : ndarray
        Coordinates, of shapes that can be broadcast.
    crs : rasterio.crs.CRS or None
        Their CRS.
    size : float
        Metres: the side of squares, the height of rows, the distance between opposite sides of hexagons.
    offset : (float, float)
        Metres by which blocks are shifted in x and y from the CRS's origin.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, crs: CRS | None, size: float, offset: tuple[float, float]) -> None:
        self.geographic = crs is not None and crs.is_geographic
        self.size, self.offset = size, offset
        scale = np.radians(1.0) * EARTH_RADIUS if self.geographic else metres_per_unit(crs)
        self.x, self.y = x * scale, y * scale - offset[1]

    def rows(self) -> np.ndarray:
        """Return the row of blocks that each place lies in."""
        return np.asarray(np.floor(self.y / self.size).astype(np.int64))

    def columns(self, along: np.ndarray) -> np.ndarray:
        """Return columns of cells, x being measured along the parallel at these y."""
        return np.asarray(np.floor((self.x * self.shrink(along) - self.offset[0]) / self.size).astype(np.int64))

    def shrink(self, y: np.ndarray) -> np.ndarray:
        """Return the length of a parallel as a share of the equator's."""
        if not self.geographic:
            return np.ones(1)
        return np.maximum(np.cos(np.clip((y + self.offset[1]) / EARTH_RADIUS, -np.pi / 2, np.pi / 2)), 1e-9)

    def middle_latitude(self) -> float:
        """Return the y of the middle parallel of the places, rounded to whole degrees; 0 on a plane."""
        if not self.geographic:
            return 0.0
        degree = np.radians(1.0) * EARTH_RADIUS
        middle = (self.y.min() + self.y.max()) / 2 + self.offset[1]
        return float(np.rint(middle / degree) * degree - self.offset[1])

    def squares(self) -> tuple[np.ndarray, np.ndarray]:
        """Return column and row of the square of each place, in the shapes of x and y where these are enough."""
        rows = self.rows()
        return self.columns((rows + 0.5) * self.size), rows

    def hexagons(self) -> np.ndarray:
        """Return column and row of the nearest of centres that stand in rows, every other one shifted by half a step."""
        height = self.size * np.sqrt(3) / 2
        nearest_row = np.rint(self.y / height)
        best = np.full(len(self.y), np.inf)
        cells = np.zeros((len(self.y), 2), np.int64)
        for row in (nearest_row, nearest_row - 1, nearest_row + 1):
            shrink, shift = self.shrink(row * height), (np.mod(row, 2) * self.size / 2)
            along = self.x * shrink - self.offset[0] - shift
            col = np.rint(along / self.size)
            # Across the row the parallel of the place itself counts, so that distances between rows are alike.
            dx = (along - col * self.size) / shrink * self.shrink(self.y)
            distance = dx**2 + (self.y - row * height) ** 2
            closer = distance < best * (1 - 1e-12)
            best[closer] = distance[closer]
            cells[closer] = np.column_stack([col, row])[closer]
        return cells


def block_numbers(col: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Return one number a cell: different ones for different cells, and small ones near the origin of the CRS.

    Columns and rows of either sign are counted 0, -1, 1, -2, 2 ..., and pairs of them along the sides of growing squares
    [1]_. Within 2048 blocks of the origin, as 10 km blocks of UTM are, numbers are exact in float32, and within 33 million
    blocks in float64.

    Parameters
    ----------
    col, row : ndarray of int
        Column and row, of shapes that can be broadcast.

    Returns
    -------
    ndarray of int64

    References
    ----------
    .. [1] Szudzik, M. (2006): An elegant pairing function. Wolfram Research NKS Conference.

    Examples
    --------
    >>> import numpy as np
    >>> from pixelwise.raster.blocks import block_numbers
    >>> block_numbers(np.array([0, 1, 0, -1, 33]), np.array([0, 0, 1, -1, 582]))
    array([      0,       6,       4,       3, 1354962])
    """
    col, row = (np.where(cells < 0, -2 * cells - 1, 2 * cells) for cells in (col, row))
    return np.asarray(np.where(col >= row, col * col + col + row, row * row + col), dtype=np.int64)
