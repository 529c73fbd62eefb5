"""Polygons as regions: which one a pixel's centre lies in, and which is nearest."""

from __future__ import annotations

import functools
import threading
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
import pyproj
import shapely
from rasterio.crs import CRS

from pixelwise.errors import CRSError
from pixelwise.raster.grid import Grid, as_crs, crs_name
from pixelwise.regional.places import snapped

__all__ = ["Polygons"]

#: Tiles of so many pixels are not cut up any further: each pixel is looked at.
_LEAF = 1024
#: Share of a tile by which its outline grows in another CRS, whose lines bend.
_BEND = 0.25


class Polygons:
    """Regions by polygons. A region may have several; a place in several polygons belongs to the first of them.

    Parameters
    ----------
    frame : GeoDataFrame, GeoSeries, or path of a vector file
        Polygons, in any CRS.
    column : str or None, default=None
        Names the region of each polygon; None takes the index.

    Raises
    ------
    ValueError
        If there are no polygons, other geometries, or no names.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> from pixelwise.regional.polygons import Polygons
    >>> scene, polygons = pw.datasets.make_example()
    >>> regions = Polygons(polygons, column="class")
    >>> regions.names, np.unique(regions.on_grid(pw.open_raster(scene).pipe(pw.unwrap).grid), return_counts=True)[1].tolist()
    (['forest', 'water'], [3600, 600, 600])
    """

    def __init__(self, frame: Any, column: str | None = None) -> None:
        frame = _read(frame)
        shapes = np.asarray(frame.geometry)
        kept = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
        kinds = set(frame.geometry[kept].geom_type)
        if not kinds or not kinds <= {"Polygon", "MultiPolygon"}:
            found = f"{', '.join(sorted(kinds))} geometries" if kinds else "no geometries"
            raise ValueError(f"region has {found}: give polygons, such as those of points.buffer(...)")
        labels = _labels(frame, column)
        self.names: list[Any] = list(dict.fromkeys(labels))
        owner = {name: number for number, name in enumerate(self.names)}
        self.owner = np.array([owner[label] for label in labels], np.int32)[kept]
        self.crs: str | None = None if frame.crs is None else frame.crs.to_wkt()
        # As text, which pickle and skops hold without knowing shapely.
        self._blob = [shape.hex() for shape in shapely.to_wkb(shapely.make_valid(shapes[kept]))]
        self._restore()

    def _restore(self) -> None:
        self._tree = shapely.STRtree(shapely.from_wkb(np.asarray(self._blob)))
        self._prepared = threading.local()

    @property
    def shapes(self) -> np.ndarray:
        """The polygons, prepared for questions: each thread its own, because the answers build indexes inside them."""
        found: np.ndarray | None = getattr(self._prepared, "shapes", None)
        if found is None:
            found = self._prepared.shapes = shapely.from_wkb(np.asarray(self._blob))
            shapely.prepare(found)
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {"names": self.names, "owner": self.owner, "crs": self.crs, "_blob": self._blob}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._restore()

    def at(self, xy: np.ndarray, crs: CRS | None) -> np.ndarray:
        """Return the number of the region of each place, and -1 outside; a place on a border is inside.

        Parameters
        ----------
        xy : ndarray of shape (n, 2)
            Places.
        crs : CRS or None
            Their CRS.

        Returns
        -------
        ndarray of int32, shape (n,)
        """
        x, y = self._moved(xy, crs).T
        found = np.full(len(xy), -1, np.int32)
        left, bottom, right, top = shapely.bounds(self.shapes).T
        for number, shape in enumerate(self.shapes):
            near = (found < 0) & (x >= left[number]) & (x <= right[number]) & (y >= bottom[number]) & (y <= top[number])
            rows = np.flatnonzero(near)
            found[rows[shapely.intersects_xy(shape, x[rows], y[rows])]] = self.owner[number]
        return found

    def on_grid(self, grid: Grid) -> np.ndarray:
        """Return the number of the region of each pixel, and -1 outside: the same as `at` for all pixel centres, faster.

        Tiles of pixels that lie in one polygon, or in none, are settled at once; the others are cut in four.

        Parameters
        ----------
        grid : Grid
            A raster's, or a chip's.

        Returns
        -------
        ndarray of int32, shape (height, width)
        """
        found = np.full(grid.shape, -1, np.int32)
        tiles = [(0, 0, grid.height, grid.width)]
        while tiles:
            row, col, height, width = tiles.pop()
            outline = self._outline(grid, row, col, height, width)
            numbers = np.sort(self._tree.query(outline, predicate="intersects"))
            if not len(numbers):
                continue
            here = found[row : row + height, col : col + width]
            if shapely.contains_properly(self.shapes[numbers[0]], outline):
                here[...] = self.owner[numbers[0]]
            elif height * width <= _LEAF:
                self._look(grid, row, col, here, numbers)
            else:
                top, left = -(-height // 2), -(-width // 2)
                halves = [(r, h) for r, h in ((row, top), (row + top, height - top)) if h]
                tiles += [(r, c, h, w) for r, h in halves for c, w in ((col, left), (col + left, width - left)) if w]
        return found

    def _look(self, grid: Grid, row: int, col: int, here: np.ndarray, numbers: np.ndarray) -> None:
        """Look at each pixel of a small tile."""
        rows, cols = np.indices(here.shape)
        xy = self._moved(snapped(grid, ((rows + row) * grid.width + cols + col).ravel()), grid.crs)
        found = np.full(len(xy), -1, np.int32)
        for number in numbers:
            left = np.flatnonzero(found < 0)
            found[left[shapely.intersects_xy(self.shapes[number], *xy[left].T)]] = self.owner[number]
        here[rows.ravel(), cols.ravel()] = found

    def _outline(self, grid: Grid, row: int, col: int, height: int, width: int) -> Any:
        """Return a box in the polygons' CRS that the centres of a tile's pixels lie well inside of."""
        same = self._same(grid.crs)
        count = 2 if same else 9
        rows = np.linspace(row - 0.5, row + height - 0.5, count)
        cols = np.linspace(col - 0.5, col + width - 0.5, count)
        xy = self._moved(grid.xy(np.repeat(rows, count), np.tile(cols, count)), grid.crs)
        xy = xy[np.isfinite(xy).all(axis=1)]
        if not len(xy):
            return shapely.Point()
        low, high = xy.min(axis=0), xy.max(axis=0)
        margin = 0.0 if same else (high - low).max() * _BEND
        return shapely.box(*(low - margin), *(high + margin))

    def nearest(self, xy: np.ndarray, crs: CRS | None, regions: np.ndarray) -> np.ndarray:
        """Return which of some regions is nearest to each place; the first of those that are as near.

        Parameters
        ----------
        xy : ndarray of shape (n, 2)
            Places.
        crs : CRS or None
            Their CRS.
        regions : ndarray of int
            Numbers of the regions to choose from.

        Returns
        -------
        ndarray of int32, shape (n,)
            Numbers of regions.
        """
        chosen = np.flatnonzero(np.isin(self.owner, regions))
        shapes, owner = np.array([self._flat(shape) for shape in self.shapes[chosen]]), self.owner[chosen]
        shapely.prepare(shapes)
        xy, found = self._moved(xy, crs) * self._stretch, np.empty(len(xy), np.int32)
        waiting = [np.arange(len(xy))] if len(xy) else []
        while waiting:
            rows = waiting.pop()
            low, high = xy[rows].min(axis=0), xy[rows].max(axis=0)
            # No other polygon can be nearest to any of these places; the bound is a little wide, for rounding.
            apart = shapely.distance(shapes, shapely.Point((low + high) / 2))
            near = np.flatnonzero(apart <= (apart.min() + np.hypot(*(high - low))) * (1 + 1e-9))
            if len(set(owner[near].tolist())) == 1:
                found[rows] = owner[near[0]]
            elif len(rows) <= _LEAF // 4:
                points = shapely.points(xy[rows])
                found[rows] = owner[near[shapely.distance(shapes[near][:, None], points).argmin(axis=0)]]
            else:
                axis = int((high - low).argmax())
                order = np.argpartition(xy[rows, axis], len(rows) // 2)
                waiting += [rows[order[: len(rows) // 2]], rows[order[len(rows) // 2 :]]]
        return found

    def nearest_to(self, region: int, regions: np.ndarray) -> int:
        """Return which of some regions is nearest to a region."""
        own = shapely.union_all([self._flat(shape) for shape in self.shapes[self.owner == region]])
        others = [shapely.union_all([self._flat(shape) for shape in self.shapes[self.owner == other]]) for other in regions]
        apart = [(shapely.distance(own, shape), shapely.distance(own.centroid, shape.centroid)) for shape in others]
        # A region of nothing but empty polygons is as far from all.
        return int(regions[min(range(len(apart)), key=lambda at: (*np.nan_to_num(apart[at]), at))])

    @functools.cached_property
    def _stretch(self) -> np.ndarray:
        """Return factors that make degrees of longitude about as long as those of latitude."""
        crs = as_crs(self.crs)
        if crs is None or not crs.is_geographic:
            return np.ones(2)
        bounds = shapely.total_bounds(self.shapes)
        return np.array([max(np.cos(np.radians((bounds[1] + bounds[3]) / 2)), 1e-6), 1.0])

    def _flat(self, shape: Any) -> Any:
        return shapely.transform(shape, lambda xy: xy * self._stretch)

    def _same(self, crs: CRS | None) -> bool:
        return _is_same(self.crs, None if crs is None else crs.to_wkt())

    def _moved(self, xy: np.ndarray, crs: CRS | None) -> np.ndarray:
        if self._same(crs):
            return xy
        if crs is None or self.crs is None:
            raise CRSError(
                f"the pixels have CRS {crs_name(crs)} and the regions have CRS {crs_name(as_crs(self.crs))}: set the missing "
                "one, with raster.rio.write_crs(...) or polygons.set_crs(...)",
                crs=(crs, self.crs),
            )
        x, y = _mover(crs.to_wkt(), self.crs).transform(xy[:, 0].tolist() if len(xy) == 1 else xy[:, 0], xy[:, 1])
        return np.column_stack([np.ravel(x), np.ravel(y)])


@functools.lru_cache(maxsize=64)
def _is_same(first: str | None, second: str | None) -> bool:
    return first == second or as_crs(first) == as_crs(second)


@functools.lru_cache(maxsize=64)
def _mover(source: str, target: str) -> Any:
    return pyproj.Transformer.from_crs(source, target, always_xy=True)


def _read(region: Any) -> gpd.GeoDataFrame:
    if isinstance(region, str | Path):
        try:
            region = gpd.read_file(region)
        except (pyogrio.errors.DataSourceError, OSError) as error:
            raise ValueError(f"region={str(region)!r} cannot be read: {error}; name a vector file with polygons") from error
    if isinstance(region, gpd.GeoSeries):
        region = region.to_frame("geometry")
    if not isinstance(region, gpd.GeoDataFrame) or region.active_geometry_name is None:
        raise ValueError(f"region of type {type(region).__name__} holds no polygons: give a GeoDataFrame with geometries")
    return region


def _labels(frame: gpd.GeoDataFrame, column: str | None) -> list[Any]:
    if column is None:
        return list(frame.index.tolist())
    if column not in frame.columns or column == frame.active_geometry_name:
        known = ", ".join(map(repr, (name for name in frame.columns if name != frame.active_geometry_name)))
        raise ValueError(f"column={column!r} is no column of the regions: choose one of {known or 'none, as there are none'}")
    missing = frame[column].isna()
    if missing.any():
        raise ValueError(f"column {column!r} names no region in {missing.sum()} of {len(frame)} polygons: fill or drop them")
    return list(frame[column].tolist())
