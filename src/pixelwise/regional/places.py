"""Where pixels are, as a region needs it: the same numbers for a table, a scene and each of its chips."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from rasterio.crs import CRS

from pixelwise.errors import DispatchError
from pixelwise.model_selection.places import coordinates_of
from pixelwise.raster.carriers import Raster
from pixelwise.raster.grid import Grid
from pixelwise.raster.metadata import metadata_of
from pixelwise.table.pixels import PixelTable

__all__ = ["Places", "places_of_raster", "places_of_table", "snapped"]

#: Coordinates are rounded to a lattice so much finer than a pixel. It leaves round numbers as they are.
_FINE = 2.0**-20


class Places:
    """Pixels of one scene whose region is asked for: what a callable ``region`` is given.

    Parameters
    ----------
    grid : Grid or None
        The scene's grid, or its window's; None for tables that have none.
    attrs : mapping
        The scene's metadata.
    xy : ndarray of shape (n, 2), or None
        Pixel centres in `crs`; None takes those of all pixels of the grid, in row-major order.
    crs : CRS or None
        Their CRS, where there is no grid.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from pixelwise.regional.places import Places
    >>> grid = pw.Grid("EPSG:32633", (10, 0, 330000, 0, -10, 5822040), 2, 2)
    >>> places = Places(grid, {"mgrs_tile": "33UUU"})
    >>> places.metadata["mgrs_tile"], places.xy.tolist()[0]
    ('33UUU', [330005.0, 5822035.0])
    """

    def __init__(
        self, grid: Grid | None, attrs: Mapping[str, Any], xy: np.ndarray | None = None, crs: CRS | None = None
    ) -> None:
        self.grid = grid
        self.attrs = self.metadata = attrs
        self.crs = crs if grid is None else grid.crs
        self._xy = xy

    @property
    def xy(self) -> np.ndarray:
        """Pixel centres in units of `crs`, shape (n, 2)."""
        if self._xy is None:
            assert self.grid is not None
            self._xy = snapped(self.grid, np.arange(self.grid.size))
        return self._xy

    def __len__(self) -> int:
        return self.grid.size if self._xy is None and self.grid is not None else len(self.xy)


def snapped(grid: Grid, pixels: np.ndarray) -> np.ndarray:
    """Return the centres of pixels, rounded to a millionth of a pixel.

    A chip's own transform gives a pixel's centre with another last bit than the scene's. On the border of a polygon that bit
    would decide.

    Parameters
    ----------
    grid : Grid
        A scene's, or a window's.
    pixels : ndarray of int, shape (n,)
        Row-major numbers.

    Returns
    -------
    ndarray of shape (n, 2)
    """
    side = math.sqrt(abs(grid.transform.determinant))
    step = 2.0 ** math.floor(math.log2(side)) * _FINE
    return np.asarray(np.rint(grid.pixel_xy(pixels) / step) * step)


def places_of_raster(raster: Raster) -> Places:
    """Return where the pixels of a raster, or of a chip, are."""
    return Places(raster.grid, raster.attrs)


def places_of_table(X: Any, *, located: bool) -> Iterator[tuple[np.ndarray, Places]]:
    """Yield the rows of each scene of a table, and where they are.

    Parameters
    ----------
    X : PixelTable, GeoDataFrame, DataFrame with a (y, x) index, or any other table
        The samples.
    located : bool
        Whether coordinates are needed.

    Yields
    ------
    rows : ndarray of int
    places : Places

    Raises
    ------
    DispatchError
        If coordinates are needed and X has none.
    """
    if isinstance(X, PixelTable):
        scene, pixel = X.scene, X.pixel
        for number in np.unique(scene):
            rows, grid = np.flatnonzero(scene == number), X.grids[number]
            attrs = {} if X.scenes is None else metadata_of(X.scenes[int(number)])
            yield rows, Places(None, attrs, snapped(grid, pixel[rows]), grid.crs)
        return
    count = X.shape[0] if hasattr(X, "shape") else len(X)
    xy, crs = np.full((count, 2), np.nan), None
    if located:
        if not (hasattr(X, "geometry") or list(getattr(getattr(X, "index", None), "names", [])) == ["y", "x"]):
            raise DispatchError(
                f"X of type {type(X).__name__} does not say where its rows are, and regions need it: pass a PixelTable from "
                "extract_pixels, a raster, or a GeoDataFrame"
            )
        xy, crs = coordinates_of(X, None, None)
    yield np.arange(count), Places(None, metadata_of(X), xy, crs)
