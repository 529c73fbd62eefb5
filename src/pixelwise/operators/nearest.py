"""Distances from places to the nearest of vector features: exact, and the same whatever places are asked for together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
import shapely
from rasterio.crs import CRS
from scipy.spatial import cKDTree

from pixelwise.errors import CRSError, LabelError
from pixelwise.raster.grid import EARTH_RADIUS, as_crs, crs_name, metres_per_unit, transform_xy

__all__ = ["Nearest", "features_by_name"]

#: Degrees from one end of an edge to the other, at the most, so that it is as straight on the map as on the sphere.
_DEGREES = 0.01
#: Places are halved until so few of them, or of edges that may be nearest to them, are left.
_FEW_PLACES, _FEW_EDGES = 128, 16
#: Pairs of a place and an edge that are measured at a time.
_PAIRS = 2**16
#: Metres and share of a distance by which searches reach further, so that rounding leaves no edge out.
_MARGIN, _SHARE = 1.0, 1e-9


def features_by_name(features: Any, column: str | None) -> dict[Any, gpd.GeoSeries]:
    """Return the shapes of each kind of features.

    Parameters
    ----------
    features : GeoDataFrame, GeoSeries, or path of a vector file
        The features.
    column : str or None
        Column of kinds; None takes all as one, under the key None.

    Returns
    -------
    dict of GeoSeries
        By kind, in sorted order; missing and empty shapes are left out.

    Raises
    ------
    LabelError
        If it is no set of features, lacks the column, or nothing is left.
    """
    frame = features
    if isinstance(features, str | Path):
        try:
            frame = gpd.read_file(features)
        except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
            raise LabelError(f"features {features} cannot be read as a vector file: {error}; check the path") from error
    if not hasattr(frame, "geometry") or not hasattr(frame, "crs"):
        raise LabelError(f"features of type {type(features).__name__} have no geometry: pass a GeoDataFrame or a path")
    shapes = frame.geometry[~(frame.geometry.isna() | frame.geometry.is_empty)]
    if column is None:
        kinds = {None: shapes}
    else:
        columns = [str(name) for name in getattr(frame, "columns", ()) if name != frame.geometry.name]
        if column not in columns:
            raise LabelError(f"features have no column {column!r}: choose one of {', '.join(columns) or 'none'}", column=column)
        of = frame[column].loc[shapes.index]
        kinds = {kind: shapes[(of == kind).to_numpy()] for kind in sorted(of.dropna().unique(), key=str)}
    if not kinds or not all(map(len, kinds.values())):
        raise LabelError("there are no features to measure distances to: check the file, or its column of kinds")
    return kinds


class Nearest:
    """Edges and points of features, ready for searches of the nearest.

    Parameters
    ----------
    shapes : GeoSeries
        Features, at least one.
    crs : rasterio.crs.CRS or None
        CRS of the places that will be asked for.

    Raises
    ------
    CRSError
        If only one of features and places has a CRS.
    """

    def __init__(self, shapes: gpd.GeoSeries, crs: CRS | None) -> None:
        own = as_crs(shapes.crs)
        if (own is None) != (crs is None):
            raise CRSError(
                f"the raster has CRS {crs_name(crs)} and the features have CRS {crs_name(own)}: set the missing one",
                crs=(crs, own),
            )
        self.geographic = crs is not None and crs.is_geographic
        self.unit = metres_per_unit(crs)
        parts = _parts(np.asarray(shapes))
        if own != crs:
            parts = shapely.transform(parts, lambda xy: transform_xy(xy, own, crs))
        self._areas = parts[shapely.get_dimensions(parts) == 2]
        shapely.prepare(self._areas)
        self._area_tree = shapely.STRtree(self._areas)
        self._starts, self._ends = (self._points(ends) for ends in _edges(parts, _DEGREES if self.geographic else None))
        self._index()

    def _points(self, xy: np.ndarray) -> np.ndarray:
        """Return coordinates in metres: (n, 2) on a plane, (n, 3) on the sphere."""
        if not self.geographic:
            return np.ascontiguousarray(xy * self.unit)
        lon, lat = (np.radians(np.ascontiguousarray(part)) for part in xy.T)
        return EARTH_RADIUS * np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])

    def _index(self) -> None:
        """Cut long edges into pieces, and put their midpoints into a tree."""
        lengths = np.sqrt(((self._ends - self._starts) ** 2).sum(axis=1))
        longest = min(2 * lengths.mean(), lengths.sum() / 500)
        count = np.maximum(np.ceil(lengths / longest), 1).astype(np.int64) if longest > 0 else np.ones(len(lengths), np.int64)
        self._edge = np.repeat(np.arange(len(lengths)), count)
        number = np.arange(len(self._edge)) - np.repeat(np.cumsum(count) - count, count)
        share = ((number + 0.5) / count[self._edge])[:, None]
        self._tree = cKDTree(self._starts[self._edge] + share * (self._ends - self._starts)[self._edge])
        self._half = float((lengths / count).max()) / 2

    def metres(self, xy: np.ndarray, limit: float | None) -> np.ndarray:
        """Return the distance from each place to the nearest feature.

        Parameters
        ----------
        xy : ndarray of shape (n, 2)
            Places.
        limit : float or None
            Metres beyond which the distance does not matter: they come out as the limit.

        Returns
        -------
        ndarray of float64, shape (n,)
            0 within polygons.
        """
        points, found = self._points(xy), np.empty(len(xy))
        waiting = [np.arange(len(xy))]
        furthest = np.inf if limit is None else self._straight(limit)
        while waiting:
            at = waiting.pop()
            low, high = points[at].min(axis=0), points[at].max(axis=0)
            centre = (low + high) / 2
            reach = float(np.sqrt(((points[at] - centre) ** 2).sum(axis=1).max()))
            near = float(self._tree.query(centre)[0])
            if (near - self._half - reach) * (1 - _SHARE) - _MARGIN > furthest:
                found[at] = np.where(self._inside(xy[at], one_for_all=True), 0, furthest)
                continue
            radius = (near + 2 * reach + self._half) * (1 + _SHARE) + _MARGIN
            edges = np.unique(self._edge[self._tree.query_ball_point(centre, radius)])
            if len(at) > _FEW_PLACES and len(edges) > _FEW_EDGES:
                axis = int(np.argmax(high - low))
                first = points[at, axis] < centre[axis]
                if first.any() and not first.all():
                    waiting += [at[first], at[~first]]
                    continue
            straight = self._to_edges(np.vstack([points[at], centre]), edges)
            alike = straight[-1] > reach + _MARGIN
            found[at] = np.where(self._inside(xy[at], one_for_all=alike), 0, straight[:-1])
        metres = found if not self.geographic else 2 * EARTH_RADIUS * np.arcsin(np.minimum(found / (2 * EARTH_RADIUS), 1.0))
        return metres if limit is None else np.minimum(metres, limit)

    def _straight(self, metres: float) -> float:
        if not self.geographic:
            return metres
        # A little further than asked, so that rounding never cuts a distance short.
        return float(2 * EARTH_RADIUS * np.sin(min(metres / (2 * EARTH_RADIUS), np.pi / 2)) * (1 + _SHARE))

    def _to_edges(self, points: np.ndarray, edges: np.ndarray) -> np.ndarray:
        """Return the straight distance from each point to the nearest of some edges, each pair measured by itself."""
        best = np.full(len(points), np.inf)
        step = max(1, _PAIRS // len(points))
        place = [part[:, None] for part in points.T]
        for first in range(0, len(edges), step):
            some = edges[first : first + step]
            start, along = self._starts[some].T, (self._ends[some] - self._starts[some]).T
            square = _total([part * part for part in along])
            dot = _total([(p - a) * v for p, a, v in zip(place, start, along, strict=True)])
            share = np.clip(dot / np.where(square > 0, square, 1.0), 0.0, 1.0)
            foot = [a + share * v for a, v in zip(start, along, strict=True)]
            if self.geographic:
                # From the chord up to the ground.
                up = EARTH_RADIUS / np.sqrt(_total([part * part for part in foot]))
                foot = [part * up for part in foot]
            apart = _total([(p - f) * (p - f) for p, f in zip(place, foot, strict=True)])
            np.minimum(best, apart.min(axis=1), out=best)
        return np.asarray(np.sqrt(best))

    def _inside(self, xy: np.ndarray, one_for_all: bool) -> np.ndarray:
        """Return which places lie in a polygon; of places with no edge between them one tells for all."""
        if not len(self._areas):
            return np.zeros(len(xy), bool)
        x, y = (xy[:1] if one_for_all else xy).T
        # Rasters may count longitudes from 0 to 360.
        x = np.where(x > 180, x - 360, x) if self.geographic else x
        inside = np.zeros(len(x), bool)
        for area in self._area_tree.query(shapely.box(x.min(), y.min(), x.max(), y.max())):
            inside |= shapely.intersects_xy(self._areas[area], x, y)
        return np.broadcast_to(inside, len(xy))


def _total(parts: list[np.ndarray]) -> np.ndarray:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _parts(shapes: np.ndarray) -> np.ndarray:
    """Return shapes as points, lines and polygons, without collections."""
    while (shapely.get_type_id(shapes) > 3).any():
        shapes = shapely.get_parts(shapes)
    return np.asarray(shapely.force_2d(shapes))


def _edges(parts: np.ndarray, longest: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Return where each edge begins and ends, as (n, 2) each; a point is an edge of no length."""
    lines = parts.copy()
    area = shapely.get_dimensions(lines) == 2
    lines[area] = shapely.boundary(lines[area])
    lines = shapely.get_parts(lines)
    xy, of = shapely.get_coordinates(lines if longest is None else shapely.segmentize(lines, longest), return_index=True)
    lone = np.bincount(of, minlength=len(lines))[of] == 1
    follows = np.flatnonzero(of[1:] == of[:-1])
    starts, ends = np.vstack([xy[follows], xy[lone]]), np.vstack([xy[follows + 1], xy[lone]])
    known = np.isfinite(starts).all(axis=1) & np.isfinite(ends).all(axis=1)
    if not known.any():
        raise LabelError("no feature lies where the raster's CRS has coordinates: check the CRS of both")
    return starts[known], ends[known]
