"""Where pixels are: CRS, affine transform, height and width."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyproj
import rasterio
from rasterio.crs import CRS
from rasterio.windows import Window

from pixelwise.errors import CRSError, GridError

__all__ = ["EARTH_RADIUS", "Grid", "as_crs", "crs_name", "metres_per_unit", "pixel_area", "transform_xy"]

#: Mean radius of the earth in metres, rounded as S2 geometry has it, for great-circle lengths on geographic CRSs.
EARTH_RADIUS = 6_371_010.0


def as_crs(value: Any) -> CRS | None:
    """Return a rasterio CRS from whatever names one: an EPSG code, WKT, a pyproj or rasterio CRS; None stays None.

    Parameters
    ----------
    value : object
        What names a CRS.

    Returns
    -------
    rasterio.crs.CRS or None

    Raises
    ------
    CRSError
        If it names no CRS.
    """
    if value is None or (isinstance(value, CRS) and not value):
        return None
    if isinstance(value, CRS):
        return value
    try:
        return CRS.from_user_input(value if isinstance(value, str | int) else pyproj.CRS.from_user_input(value).to_wkt())
    except (rasterio.errors.CRSError, pyproj.exceptions.CRSError) as error:
        raise CRSError(f"{value!r} names no CRS ({error}): pass an EPSG code such as 32633, or WKT", crs=value) from error


def metres_per_unit(crs: CRS | None) -> float:
    """Return the length of one unit of a projected CRS in metres; 1 where there is no CRS.

    Parameters
    ----------
    crs : rasterio.crs.CRS or None
        A projected CRS.

    Returns
    -------
    float
        Metres.
    """
    return float(crs.linear_units_factor[1]) if crs is not None and crs.is_projected else 1.0


def transform_xy(xy: np.ndarray, source: CRS | None, target: CRS | None) -> np.ndarray:
    """Bring coordinates from one CRS to another.

    Parameters
    ----------
    xy : ndarray of shape (n, 2)
        x (or longitude) and y (or latitude).
    source, target : rasterio.crs.CRS or None
        Where they are, and where they shall be.

    Returns
    -------
    ndarray of shape (n, 2)

    Raises
    ------
    CRSError
        If only one of the two is known, or there is no way between them.
    """
    if source == target:
        return xy
    if source is None or target is None:
        raise CRSError(
            "coordinates with a CRS cannot be brought together with coordinates without one: "
            "set the missing CRS (raster.rio.write_crs(...), or GeoDataFrame.set_crs(...))",
            crs=(source, target),
        )
    try:
        mover = pyproj.Transformer.from_crs(source.to_wkt(), target.to_wkt(), always_xy=True)
    except pyproj.exceptions.ProjError as error:
        names = f"{crs_name(source)} to {crs_name(target)}"
        raise CRSError(
            f"there is no way from {names}, as for a local CRS: set the CRS that it is", crs=(source, target)
        ) from error
    # pyproj takes an array of one coordinate for a scalar, of which numpy warns.
    x, y = xy.T.tolist() if len(xy) == 1 else xy.T
    return np.column_stack(mover.transform(x, y))


@dataclass(frozen=True, eq=False)
class Grid:
    """Where the pixels of a raster are. Immutable, picklable and hashable.

    Parameters
    ----------
    crs : object or None
        Coordinate reference system in any form that rasterio or pyproj takes; None where it is not known.
    transform : affine.Affine
        From (column, row) of a pixel's corner to (x, y).
    height, width : int
        Rows and columns.

    Raises
    ------
    GridError
        If a side is not positive, or the transform cannot be inverted.

    Examples
    --------
    >>> from affine import Affine
    >>> from pixelwise import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 330000, 0, -10, 5822040), height=3, width=4)
    >>> grid.xy([0, 2], [0, 3])
    array([[ 330005., 5822035.],
           [ 330035., 5822015.]])
    >>> grid.window(1, 2, 2, 2).bounds
    (330020.0, 5822010.0, 330040.0, 5822030.0)
    """

    crs: CRS | None
    transform: rasterio.Affine
    height: int
    width: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "crs", as_crs(self.crs))
        object.__setattr__(self, "transform", rasterio.Affine(*tuple(self.transform)[:6]))
        object.__setattr__(self, "height", int(self.height))
        object.__setattr__(self, "width", int(self.width))
        if self.height < 1 or self.width < 1:
            raise GridError(f"a raster of {self.height} x {self.width} pixels is empty", shape=self.shape)
        if not math.isfinite(self.transform.determinant) or self.transform.determinant == 0:
            raise GridError(f"transform {tuple(self.transform)[:6]} gives a pixel no area: check the file's georeferencing")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Grid):
            return NotImplemented
        return self.shape == other.shape and self.transform == other.transform and self.crs == other.crs

    def __hash__(self) -> int:
        # Equal CRSs may be spelt differently, so the CRS stays out.
        return hash((tuple(self.transform)[:6], self.height, self.width))

    def __getstate__(self) -> dict[str, Any]:
        wkt = None if self.crs is None else self.crs.to_wkt()
        return {"crs": wkt, "transform": list(self.transform)[:6], "height": self.height, "width": self.width}

    def __setstate__(self, state: dict[str, Any]) -> None:
        crs = None if state["crs"] is None else CRS.from_wkt(state["crs"])
        for name, value in {**state, "crs": crs, "transform": rasterio.Affine(*state["transform"])}.items():
            object.__setattr__(self, name, value)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.height, self.width

    @property
    def size(self) -> int:
        """Number of pixels."""
        return self.height * self.width

    @property
    def is_rectilinear(self) -> bool:
        """Whether rows and columns run along the axes of the CRS."""
        return bool(self.transform.is_rectilinear)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, right and top of the box round all pixels, in units of the CRS."""
        corners = np.array(
            [self.transform @ corner for corner in ((0, 0), (self.width, 0), (0, self.height), self.shape[::-1])]
        )
        left, bottom = corners.min(axis=0)
        right, top = corners.max(axis=0)
        return float(left), float(bottom), float(right), float(top)

    @property
    def is_georeferenced(self) -> bool:
        """Whether anything is known of where the pixels are."""
        return self.crs is not None or self.transform != rasterio.Affine.identity()

    def xy(self, rows: Any, cols: Any) -> np.ndarray:
        """Return the centres of pixels.

        Parameters
        ----------
        rows, cols : array-like of int, shape (n,)
            Pixel positions.

        Returns
        -------
        ndarray of float64, shape (n, 2)
            x and y in units of the CRS.
        """
        col, row = np.asarray(cols, dtype=float) + 0.5, np.asarray(rows, dtype=float) + 0.5
        a, b, c, d, e, f = tuple(self.transform)[:6]
        return np.column_stack([a * col + b * row + c, d * col + e * row + f])

    def pixel_xy(self, pixels: Any) -> np.ndarray:
        """Return the centres of pixels given by their row-major number, as (n, 2)."""
        rows, cols = np.divmod(np.asarray(pixels, dtype=np.int64), self.width)
        return self.xy(rows, cols)

    def pixels_at(self, xy: np.ndarray) -> np.ndarray:
        """Return the row-major number of the pixel under each coordinate, and -1 outside.

        Parameters
        ----------
        xy : ndarray of shape (n, 2)
            Coordinates in this grid's CRS.

        Returns
        -------
        ndarray of int64, shape (n,)
        """
        a, b, c, d, e, f = tuple(~self.transform)[:6]
        x, y = np.asarray(xy, dtype=float).T
        with np.errstate(invalid="ignore"):
            col, row = np.floor(a * x + b * y + c), np.floor(d * x + e * y + f)
            inside = (row >= 0) & (row < self.height) & (col >= 0) & (col < self.width)
        pixels = np.full(len(x), -1, dtype=np.int64)
        pixels[inside] = (row[inside] * self.width + col[inside]).astype(np.int64)
        return pixels

    def window(self, row: int, col: int, height: int, width: int) -> Grid:
        """Return the grid of a window, which may reach beyond this grid."""
        return Grid(self.crs, self.transform @ rasterio.Affine.translation(col, row), height, width)

    def windows(self, height: int, width: int) -> Iterator[Window]:
        """Yield windows of at most `height` x `width` pixels, row by row, that tile the grid."""
        for row in range(0, self.height, height):
            for col in range(0, self.width, width):
                yield Window(col, row, min(width, self.width - col), min(height, self.height - row))

    def differs_from(self, other: Grid) -> str:
        """Say how another grid differs, or return "" where the two lie on the same pixels.

        Transforms count as equal within a thousandth of a pixel over the whole grid.
        """
        if self.shape != other.shape:
            return f"{self.height} x {self.width} pixels against {other.height} x {other.width}"
        if self.crs != other.crs:
            return f"CRS {crs_name(self.crs)} against {crs_name(other.crs)}"
        step = ~self.transform @ other.transform
        corners = ((0, 0), (self.width, 0), (0, self.height), (self.width, self.height))
        shift = max(math.dist(step @ corner, corner) for corner in corners)
        return "" if shift < 1e-3 else f"pixels shifted by up to {shift:.3g} pixels"


def crs_name(crs: CRS | None) -> str:
    """Return a short name of a CRS for messages, such as "EPSG:32633"."""
    if crs is None:
        return "none"
    code = crs.to_epsg()
    return f"EPSG:{code}" if code else pyproj.CRS.from_wkt(crs.to_wkt()).name


def pixel_area(grid: Grid) -> np.ndarray:
    """Return the area of one pixel in each row, in square metres.

    Parameters
    ----------
    grid : Grid
        A grid with a CRS. On a geographic one areas are geodesic, row by row.

    Returns
    -------
    ndarray of float64, shape (height,)

    Raises
    ------
    CRSError
        If the CRS is not known.
    """
    if grid.crs is None:
        raise CRSError("areas need a CRS: set it with raster.rio.write_crs(...)")
    if not grid.crs.is_geographic:
        return np.full(grid.height, abs(grid.transform.determinant) * metres_per_unit(grid.crs) ** 2)
    geod = pyproj.CRS.from_wkt(grid.crs.to_wkt()).get_geod()
    assert geod is not None
    areas = np.empty(grid.height)
    for row in range(grid.height):
        corners = [grid.transform @ corner for corner in ((0, row), (1, row), (1, row + 1), (0, row + 1))]
        areas[row] = abs(geod.polygon_area_perimeter([x for x, _ in corners], [y for _, y in corners])[0])
    return areas
