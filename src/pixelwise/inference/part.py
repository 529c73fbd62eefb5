"""A part of a raster that is mapped: a window, or where a geometry lies, on the raster's own pixels."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from rasterio import Affine
from rasterio.features import geometry_mask
from rasterio.windows import Window

from pixelwise.errors import FillValueError, GridError
from pixelwise.raster.carriers import Raster
from pixelwise.raster.grid import Grid
from pixelwise.table.labels import on_grid, read_vector

__all__ = ["Part", "part_of"]

#: Share of a pixel to which corners of geometries are rounded: differences of such numbers are exact, so that a chip and the
#: whole find the same pixel centres inside, also where an edge runs through them.
_FINE = 2.0**-20


@dataclass(frozen=True)
class Part:
    """What of a raster is mapped.

    Parameters
    ----------
    whole : Grid
        Of the raster.
    window : rasterio.windows.Window
        Rows and columns of the part.
    shapes : geopandas.GeoSeries or None, default=None
        In columns and rows of the raster: pixels whose centres lie in none of them get the fill.

    Examples
    --------
    >>> from pixelwise import Grid
    >>> from pixelwise.inference.part import part_of
    >>> part = part_of(Grid(None, (10, 0, 0, 0, -10, 0), 50, 60), window=((3, 20), (30, 60)))
    >>> part.grid.shape, [window.toranges() for window in part.windows(16, 60)]
    ((17, 30), [((3, 16), (30, 60)), ((16, 20), (30, 60))])
    """

    whole: Grid
    window: Window
    shapes: gpd.GeoSeries | None = None

    @property
    def grid(self) -> Grid:
        """Where the pixels of the part are."""
        return self.whole.window(self.window.row_off, self.window.col_off, self.window.height, self.window.width)

    def windows(self, height: int, width: int) -> Iterator[Window]:
        """Yield what the part has of the windows that tile the raster, in the raster's rows and columns.

        Parameters
        ----------
        height, width : int
            Of a window, such as a multiple of the file's blocks.

        Yields
        ------
        rasterio.windows.Window
            Those without a pixel in the shapes are left out.
        """
        (top, bottom), (left, right) = self.window.toranges()
        for row in range(top // height * height, bottom, height):
            for col in range(left // width * width, right, width):
                first, start = max(row, top), max(col, left)
                window = Window(start, first, min(col + width, right) - start, min(row + height, bottom) - first)
                outside = self._outside(window)
                if outside is None or not outside.all():
                    yield window

    def place(self, window: Window) -> Window:
        """Return where a window of the raster lies in the part."""
        return Window(window.col_off - self.window.col_off, window.row_off - self.window.row_off, window.width, window.height)

    def fills(self, tile: tuple[int, int]) -> bool:
        """Return whether windows that are multiples of a map's tiles cover whole tiles of it.

        Parameters
        ----------
        tile : (int, int)
            Height and width of a tile.

        Returns
        -------
        bool
        """
        return bool(self.window.row_off % tile[0] == 0 and self.window.col_off % tile[1] == 0)

    def hidden(self, made: Raster, window: Window) -> Raster:
        """Return what was made of a window with the fill where no shape is.

        Parameters
        ----------
        made : Raster
            Of the window.
        window : rasterio.windows.Window
            In the raster's rows and columns.

        Returns
        -------
        Raster

        Raises
        ------
        FillValueError
            If it has no nodata value, and its dtype no NaN.
        """
        outside = self._outside(window)
        if outside is None:
            return made
        fill, kind = made.nodata[0], made.values.dtype
        if fill is None and kind.kind != "f":
            raise FillValueError(
                f"the map in {kind} has no nodata value for pixels outside the geometry: declare one in the model"
            )
        fill = float("nan") if fill is None else fill
        return made.with_values(np.where(outside, kind.type(fill), made.values), nodata=(fill,) * len(made.nodata))

    def _outside(self, window: Window) -> np.ndarray | None:
        """Return which pixels of a window have their centre in no shape; None where there are no shapes."""
        if self.shapes is None:
            return None
        shape, (col, row) = (window.height, window.width), (window.col_off, window.row_off)
        near = self.shapes.sindex.query(shapely.box(col, row, col + window.width, row + window.height))
        if not len(near):
            return np.ones(shape, bool)
        mask: np.ndarray = geometry_mask(self.shapes.to_numpy()[near], shape, Affine.translation(col, row))
        return mask


def part_of(grid: Grid, window: Any = None, geometry: Any = None) -> Part:
    """Return what of a raster shall be mapped.

    Parameters
    ----------
    grid : Grid
        Of the raster.
    window : rasterio.windows.Window, ((first, stop), (first, stop)) of rows and columns, or None
        A part by its place.
    geometry : shapely geometry, GeoSeries, GeoDataFrame, path of a vector file, or None
        A part by what covers it; a geometry without a CRS of its own is in that of the raster.

    Returns
    -------
    Part
        Without either, all of it.

    Raises
    ------
    GridError
        If the part lies beyond the raster, or covers no pixel.
    CRSError
        If only one of geometry and raster has a CRS.
    ValueError
        If both are given.
    TypeError
        If the geometry is something else.
    """
    if window is not None and geometry is not None:
        raise ValueError("window= and geometry= each say which part is mapped: pass one of them")
    if geometry is not None:
        return _of_geometry(grid, geometry)
    whole = Window(0, 0, grid.width, grid.height)
    return Part(grid, whole if window is None else _checked(grid, window))


def _checked(grid: Grid, window: Any) -> Window:
    """Return a window of whole pixels inside a grid."""
    try:
        ranges = window.toranges() if isinstance(window, Window) else tuple((int(first), int(stop)) for first, stop in window)
        (top, bottom), (left, right) = ranges
    except (TypeError, ValueError) as error:
        raise GridError(f"window={window!r} is no window: pass ((first, stop), (first, stop)) of rows and columns") from error
    inside = 0 <= top < bottom <= grid.height and 0 <= left < right <= grid.width
    given = window.flatten() if isinstance(window, Window) else [value for pair in window for value in pair]
    if not inside or any(value != int(value) for value in given):
        raise GridError(f"window of rows {top}:{bottom} and columns {left}:{right} is no part of {grid.height} x {grid.width} "
                        "pixels: give whole numbers inside them")  # fmt: skip
    return Window(int(left), int(top), int(right - left), int(bottom - top))


def _of_geometry(grid: Grid, geometry: Any) -> Part:
    if isinstance(geometry, shapely.Geometry):
        shapes = gpd.GeoSeries([geometry], crs=None if grid.crs is None else grid.crs.to_wkt())
    else:
        if not isinstance(geometry, gpd.GeoSeries | gpd.GeoDataFrame | str | os.PathLike):
            kind = type(geometry).__name__
            raise TypeError(
                f"geometry is a {kind}: pass a shapely geometry, a GeoSeries, or a vector file; of bounds shapely.box"
            )
        found = geometry if isinstance(geometry, gpd.GeoSeries) else read_vector(geometry, "geometry").geometry
        shapes = on_grid(grid, found.reset_index(drop=True), "geometry")
    shapes = shapes[~(shapes.isna() | shapes.is_empty)]
    if not len(shapes):
        raise GridError("geometry is empty: pass one that covers pixels")
    placed = shapely.transform(shapes.to_numpy(), lambda xy: _columns_rows(grid, xy))
    left, top, right, bottom = shapely.total_bounds(placed)
    if not (right > 0 and bottom > 0 and left < grid.width and top < grid.height):
        bounds = ", ".join(f"{value:.6g}" for value in (*shapes.total_bounds, *grid.bounds))
        raise GridError(f"geometry lies beyond the raster (bounds of both: {bounds}): check its CRS")
    row, col = (max(math.floor(value), 0) for value in (top, left))
    # A point on a border, and a line along one, are in the pixel behind it.
    height, width = (max(math.ceil(stop) - start, 1) for stop, start in ((bottom, row), (right, col)))
    window = Window(col, row, min(width, grid.width - col), min(height, grid.height - row))
    part = Part(grid, window, gpd.GeoSeries(placed))
    if next(part.windows(1024, 1024), None) is None:
        raise GridError("geometry covers the centre of no pixel: grow it, as with buffer")
    return part


def _columns_rows(grid: Grid, xy: np.ndarray) -> np.ndarray:
    a, b, c, d, e, f = tuple(~grid.transform)[:6]
    x, y = xy.T
    return np.rint(np.column_stack([a * x + b * y + c, d * x + e * y + f]) / _FINE) * _FINE
