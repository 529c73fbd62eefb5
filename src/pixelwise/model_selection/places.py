"""Where the rows of X are: from a PixelTable, a GeoDataFrame, a frame indexed by (y, x), or groups."""

from __future__ import annotations

from typing import Any

import numpy as np
from rasterio.crs import CRS

from pixelwise.errors import CRSError, FoldError
from pixelwise.raster.grid import as_crs, crs_name
from pixelwise.table.pixels import PixelTable

__all__ = ["coordinates_of"]


def coordinates_of(X: Any, coordinates: Any, crs: Any) -> tuple[np.ndarray, CRS | None]:
    """Return coordinates and CRS of the rows of X.

    Parameters
    ----------
    X : PixelTable, GeoDataFrame, or DataFrame with a (y, x) index
        The samples.
    coordinates : array-like of shape (n, 2) or None
        x and y given apart; None takes those of X.
    crs : object or None
        CRS of given coordinates, or of X where it names none.

    Returns
    -------
    xy : ndarray of shape (n, 2)
    crs : rasterio.crs.CRS or None

    Raises
    ------
    FoldError
        If nothing says where the rows are, or a coordinate is not finite.
    CRSError
        If X names another CRS than `crs`.
    """
    given = as_crs(crs)
    own: CRS | None = None
    if coordinates is not None:
        xy = np.asarray(coordinates, dtype=float)
    elif isinstance(X, PixelTable):
        xy, own = X.xy, X.crs
    elif hasattr(X, "geometry") and hasattr(X, "crs"):
        # A centroid in degrees is none.
        centre = X.geometry.representative_point() if getattr(X.crs, "is_geographic", True) else X.geometry.centroid
        xy, own = np.column_stack([centre.x, centre.y]), as_crs(X.crs)
    elif list(getattr(getattr(X, "index", None), "names", [])) == ["y", "x"]:
        xy = np.array([(x, y) for y, x in X.index], dtype=float)
    else:
        raise FoldError(
            f"X of type {type(X).__name__} does not say where its rows are: pass a PixelTable from extract_pixels, "
            f"or groups= with coordinates of shape (n, 2) or block ids of shape (n,)"
        )
    if own is not None and given is not None and own != given:
        raise CRSError(
            f"X has CRS {crs_name(own)}, and the splitter was given crs={crs_name(given)}: leave crs out", crs=(own, given)
        )
    bad = ~np.isfinite(xy).all(axis=1)
    if bad.any():
        raise FoldError(
            f"{bad.sum()} of {len(xy)} rows have no coordinates, the first is row {np.argmax(bad)}: drop them first"
        )
    return xy, own if own is not None else given
