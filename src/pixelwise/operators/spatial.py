"""Bands that say where each pixel is: its block, its coordinates, its distance to features."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from rasterio.crs import CRS

from pixelwise.errors import FoldError, GridError, LabelError
from pixelwise.operators.appended import appended, room_for
from pixelwise.operators.base import Operator
from pixelwise.operators.nearest import Nearest, features_by_name
from pixelwise.operators.time_columns import Rows
from pixelwise.raster.blocks import BlockPlane, block_numbers
from pixelwise.raster.carriers import Raster
from pixelwise.raster.dates import dated_names
from pixelwise.raster.grid import as_crs, metres_per_unit, transform_xy
from pixelwise.raster.lattice import centre_x_y
from pixelwise.table.layout import ToPixelMajor
from pixelwise.table.pixels import PixelTable

__all__ = ["BlockID", "Coordinates", "DistanceTo"]

#: Rows and columns of pixels whose places are worked out at a time.
_TILE = 256
#: Blocks further from the CRS's origin than this would have numbers that float64 does not hold.
_FURTHEST = 2**25


class _Place(Operator):
    """Operators whose bands depend on where a pixel is, and not on its values."""

    append: bool
    _takes_stored = True
    #: Dtype of the result; None keeps that of the bands.
    _dtype: Any = None

    def apply(self, raster: Raster) -> Raster:
        """Compute the new bands, part by part."""
        names = self._names()
        whole, new = room_for(raster, len(names), self.append, self._dtype)
        grid = raster.grid
        for window in grid.windows(_TILE, _TILE):
            rows = np.arange(window.row_off, window.row_off + window.height)[:, None]
            cols = np.arange(window.col_off, window.col_off + window.width)[None]
            for band, made in zip(new, self._at(*centre_x_y(grid, rows, cols), grid.crs), strict=True):
                band[..., *window.toslices()] = made
        return appended(raster, whole, names, self.append)

    def _transform_table(self, X: Any) -> Any:
        if not isinstance(X, PixelTable):
            raise GridError(
                f"{type(self).__name__} needs places, and an array of rows has none: apply it to a raster, or to a PixelTable "
                "from extract_pixels"
            )
        return X.derived(self, self._of_rows)

    def _of_rows(self, X: PixelTable) -> Rows:
        names, values = self._names(), np.asarray(X)
        made = np.empty((len(X), len(names)))
        for number in np.unique(X.scene):
            here, grid = X.scene == number, X.grids[number]
            rows, cols = (part[:, None] for part in np.divmod(X.pixel[here], grid.width))
            made[here] = np.concatenate(self._at(*centre_x_y(grid, rows, cols), grid.crs), axis=1)
        made, axis = made.astype(self._dtype or values.dtype), X.axis
        given = X.band_names if axis is None else axis.bands
        if self.append:
            count = values.shape[1] if axis is None else len(axis.bands)
            shown = Raster(np.empty((count, 1, 1), np.float32), _pixel(X), given)
            bands = appended(shown, np.empty((count + len(names), 1, 1)), names, True).names
        else:
            bands = tuple(names)
        if axis is not None:
            # A place is the same at all dates.
            made = np.repeat(made, axis.n_times, axis=1)
            axis = replace(axis, bands=bands)
            bands = tuple(dated_names(bands, axis.times, axis.n_times))
        return (np.concatenate([values, made], axis=1) if self.append else made), bands, axis

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the output's bands.

        Parameters
        ----------
        input_features : array-like of str or None
            Names of the bands that come in; None takes those of the fit.

        Returns
        -------
        ndarray of str
        """
        names = input_features if input_features is not None else getattr(self, "feature_names_in_", None)
        if names is None:
            names = [f"band_{number}" for number in range(1, self.n_features_in_ + 1)]
        return np.asarray([*(names if self.append else ()), *self._names()], dtype=object)

    def _names(self) -> list[str]:
        """Return the names of the new bands."""
        raise NotImplementedError

    def _at(self, x: np.ndarray, y: np.ndarray, crs: CRS | None) -> list[np.ndarray]:
        """Return the new bands of places; x, y and bands are of shapes that can be broadcast."""
        raise NotImplementedError


def _as_points(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, tuple[int, ...]]:
    """Return places one by one, as (n, 2), and the shape that they stand in."""
    x, y = np.broadcast_arrays(x, y)
    return np.column_stack([x.ravel(), y.ravel()]), x.shape


def _as_planes(columns: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return what there is of places one by one (n, k) in their shape, as (k, height, width)."""
    return ToPixelMajor().unflatten(np.ascontiguousarray(columns.T), (columns.shape[1], *shape))


def _brought(x: np.ndarray, y: np.ndarray, source: CRS | None, target: CRS | None) -> Any:
    if source == target:
        return x, y
    xy, shape = _as_points(x, y)
    return _as_planes(transform_xy(xy, source, target), shape)


def _pixel(X: PixelTable) -> Any:
    return X.grids[0].window(0, 0, 1, 1)


class BlockID(_Place):
    """The block of land that each pixel lies in, as a number: groups for cross-validation.

    Blocks are those of `SpatialBlockGroupKFold`: anchored to the CRS, so that the same place has the same number in each chip
    and scene of this CRS, and on a geographic CRS of metres on the sphere. Numbers are whole; the result is float64, which
    holds them exactly, and those of blocks within 2048 sides of the CRS's origin fit float32 and int32, too.

    Parameters
    ----------
    block_size_m : float
        Metres: the side of a square, the distance between opposite sides of a hexagon.
    shape : {"square", "hexagon"}, default="square"
        What a block is.
    offset : (float, float), default=(0.0, 0.0)
        Metres by which the blocks are shifted in x and y.
    crs : object or None, default=None
        CRS of the blocks; None takes the raster's. Give one where rasters of several CRSs shall share blocks.
    append : bool, default=True
        Whether the bands that come in stay, in front of the new one, ``block``.

    Raises
    ------
    FoldError
        If the size is no number of metres, the shape is not known, or a block is too small to be numbered.

    See Also
    --------
    SpatialBlockGroupKFold : Takes such blocks by itself.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> grid = pw.Grid("EPSG:32633", (10_000, 0, 330_000, 0, -10_000, 5_820_000), 1, 3)
    >>> blocks = pw.spatial.BlockID(block_size_m=20_000, append=False)
    >>> blocks(pw.Raster(np.zeros((1, 1, 3)), grid)).values
    array([[[336432., 336434., 336434.]]])
    """

    _dtype = np.float64

    def __init__(
        self,
        block_size_m: float,
        shape: str = "square",
        offset: tuple[float, float] = (0.0, 0.0),
        crs: Any = None,
        append: bool = True,
    ) -> None:
        self.block_size_m = block_size_m
        self.shape = shape
        self.offset = offset
        self.crs = crs
        self.append = append

    def _names(self) -> list[str]:
        size: Any = self.block_size_m
        if not isinstance(size, int | float | np.number) or not 0 < size < np.inf:
            raise FoldError(f"block_size_m={size!r}: give the side of a block in metres, such as block_size_m=10_000")
        if self.shape not in ("square", "hexagon"):
            raise FoldError(f"shape={self.shape!r} is not known: choose 'square' or 'hexagon'")
        return ["block"]

    def _at(self, x: np.ndarray, y: np.ndarray, crs: CRS | None) -> list[np.ndarray]:
        own = crs if self.crs is None else as_crs(self.crs)
        x, y = _brought(x, y, crs, own)
        if self.shape == "square":
            col, row = BlockPlane(x, y, own, float(self.block_size_m), self.offset).squares()
        else:
            xy, shape = _as_points(x, y)
            cells = BlockPlane(xy[:, 0], xy[:, 1], own, float(self.block_size_m), self.offset).hexagons()
            col, row = _as_planes(cells, shape)
        furthest = max(int(np.abs(part).max()) for part in (col, row))
        if furthest >= _FURTHEST:
            raise FoldError(
                f"block_size_m={self.block_size_m:g} makes blocks {furthest} sides from the CRS's origin, "
                f"and more than {_FURTHEST} cannot be told apart: make blocks larger, or set offset"
            )
        if len(col) > 1 or row.shape[1] > 1:
            return [block_numbers(col, row)]
        # Rows and columns of blocks are straight: numbers are worked out once a block, and spread over its pixels.
        (rows, down), (cols, across) = (np.unique(part, return_inverse=True) for part in (row, col))
        numbers = block_numbers(cols[None], rows[:, None]).astype(np.float64)
        return [numbers.take(across.ravel(), axis=1).take(down.ravel(), axis=0)]


class Coordinates(_Place):
    """The coordinates of each pixel's centre, as bands ``x`` and ``y``.

    On a projected CRS they are metres, also where its unit is another; on a geographic one longitude and latitude in degrees,
    as bands ``lon`` and ``lat`` if `crs` asks for one. The result is float64: float32 holds northings of UTM to half a metre.

    Parameters
    ----------
    crs : object or None, default=None
        CRS of the coordinates, such as "EPSG:4326"; None takes the raster's.
    append : bool, default=True
        Whether the bands that come in stay, in front of the new ones.

    See Also
    --------
    BlockID : Where a pixel is, in blocks.

    Examples
    --------
    >>> import pixelwise as pw
    >>> scene, _ = pw.datasets.make_example()
    >>> pw.spatial.Coordinates()(pw.open_raster(scene)).values[-2:, 0, :2]
    array([[ 330005.,  330015.],
           [5822035., 5822035.]])
    >>> pw.spatial.Coordinates(crs="EPSG:4326", append=False)(pw.open_raster(scene)).values[:, 0, 0].round(3)
    array([12.494, 52.522])
    """

    _dtype = np.float64

    def __init__(self, crs: Any = None, append: bool = True) -> None:
        self.crs = crs
        self.append = append

    def _names(self) -> list[str]:
        crs = as_crs(self.crs)
        return ["lon", "lat"] if crs is not None and crs.is_geographic else ["x", "y"]

    def _at(self, x: np.ndarray, y: np.ndarray, crs: CRS | None) -> list[np.ndarray]:
        own = crs if self.crs is None else as_crs(self.crs)
        unit = metres_per_unit(own)
        return [part * unit for part in _brought(x, y, crs, own)]


#: What has been made of the features of each operator, with what it was made of; beside them, as `apply` changes nothing.
_PREPARED: WeakKeyDictionary[Any, dict[Any, Any]] = WeakKeyDictionary()


class DistanceTo(_Place):
    """Distance in metres from each pixel's centre to the nearest of the features: roads, rivers, stations, a coast.

    In polygons it is 0. Distances are exact, to edges and not to burnt pixels: straight on a projected CRS, in its unit
    turned to metres, and over the sphere on a geographic one, where edges are straight lines in longitude and latitude.

    Parameters
    ----------
    features : GeoDataFrame, GeoSeries, or path of a vector file
        Points, lines or polygons; brought to the CRS of the raster.
    column : str or None, default=None
        Column of kinds of features; each of its values makes a band, in sorted order. None takes all features together.
    max_distance : float or None, default=None
        Metres beyond which distances are not told apart: they are set to it, which saves time, too.
    name : str, default="distance"
        Name of the band; with a column followed by its value, as in ``distance_river``.
    append : bool, default=True
        Whether the bands that come in stay, in front of the new ones.

    Raises
    ------
    LabelError
        If there are no features, or no such column.
    CRSError
        If only one of raster and features has a CRS.

    See Also
    --------
    Coordinates : Where a pixel is on the map.

    Examples
    --------
    >>> import geopandas as gpd, numpy as np, pixelwise as pw
    >>> from shapely import Point
    >>> grid = pw.Grid("EPSG:32633", (10, 0, 0, 0, -10, 0), 1, 4)
    >>> wells = gpd.GeoSeries([Point(5, -35)], crs="EPSG:32633")
    >>> pw.spatial.DistanceTo(wells, append=False)(pw.Raster(np.zeros((1, 1, 4)), grid)).values.round(1)
    array([[[30. , 31.6, 36.1, 42.4]]])
    """

    def __init__(
        self, features: Any, column: str | None = None, max_distance: float | None = None, name: str = "distance",
        append: bool = True,
    ) -> None:  # fmt: skip
        self.features = features
        self.column = column
        self.max_distance = max_distance
        self.name = name
        self.append = append

    def _names(self) -> list[str]:
        limit = self.max_distance
        if limit is not None and not 0 < limit < np.inf:
            raise LabelError(f"max_distance={limit!r}: give metres, more than 0, or None")
        return [self.name if kind is None else f"{self.name}_{kind}" for kind in self._kinds()]

    def _kinds(self) -> dict[Any, Any]:
        """Return the features of each kind."""
        found: dict[Any, Any] = self._made("kinds", lambda: features_by_name(self.features, self.column))
        return found

    def _at(self, x: np.ndarray, y: np.ndarray, crs: CRS | None) -> list[np.ndarray]:
        xy, shape = _as_points(x, y)
        key = None if crs is None else crs.to_wkt()
        trees = self._made(key or "plane", lambda: [Nearest(shapes, crs) for shapes in self._kinds().values()])
        return list(_as_planes(np.column_stack([tree.metres(xy, self.max_distance) for tree in trees]), shape))

    def _made(self, key: Any, make: Any) -> Any:
        """Return what was made for a key already, as long as the features are the same."""
        known = _PREPARED.setdefault(self, {})
        of = known.get("of")
        if of is None or of[0] is not self.features or of[1] != self.column:
            known.clear()
            known["of"] = (self.features, self.column)
        # Another thread may clear what this one has put there.
        found = known.get(key)
        if found is None:
            found = known[key] = make()
        return found
