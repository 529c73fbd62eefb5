"""Shapes of blocks: squares, hexagons, rows, columns, polygons and clusters, as one (column, row) cell a sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from rasterio.crs import CRS
from sklearn.cluster import KMeans

from pixelwise.errors import CRSError, FoldError
from pixelwise.model_selection.distances import metric_of
from pixelwise.raster.blocks import BlockPlane
from pixelwise.raster.grid import as_crs, crs_name, transform_xy

__all__ = ["SHAPES", "cells_of", "region_of"]

#: Shapes by name; polygons are given themselves.
SHAPES = ("square", "hexagon", "rows", "columns", "kmeans")


def cells_of(
    shape: Any, xy: np.ndarray, crs: CRS | None, *, size: float, offset: tuple[float, float], n_clusters: int, random_state: Any
) -> np.ndarray:
    """Return the cell of each place.

    On a geographic CRS lengths are metres on the sphere: rows of equal height follow the parallels, and each is cut along
    its own middle parallel. Columns there are strips between meridians, as wide as asked at the middle latitude of the
    samples, rounded to whole degrees.

    Parameters
    ----------
    shape : str, GeoDataFrame or path
        One of `SHAPES`, or polygons.
    xy : ndarray of shape (n, 2)
        Coordinates.
    crs : rasterio.crs.CRS or None
        Their CRS.
    size : float
        Metres: the side of squares, the width of rows and columns, the distance between opposite sides of hexagons.
    offset : (float, float)
        Metres by which cells are shifted in x and y from the CRS's origin.
    n_clusters : int
        Number of clusters of "kmeans".
    random_state : int, RandomState or None
        Seed of the clusters.

    Returns
    -------
    ndarray of int, shape (n, 2)
        Column and row; for polygons and clusters the number stands in the column.

    Raises
    ------
    FoldError
        If the shape is not known, or a place lies in no polygon.
    """
    if not isinstance(shape, str) or shape not in SHAPES:
        cells, names = region_of(shape, xy, crs)
        return np.column_stack([np.searchsorted(np.unique(names), names[cells]), np.zeros(len(cells), np.int64)])
    if shape == "kmeans":
        distinct = len(np.unique(xy, axis=0))
        if distinct < n_clusters:
            raise FoldError(f"{distinct} places cannot make {n_clusters} clusters: lower n_splits")
        model = KMeans(n_clusters, n_init=1, random_state=random_state)
        found = model.fit_predict(metric_of(crs).points(xy))
        return np.column_stack([found, np.zeros(len(xy), np.int64)])
    plane = BlockPlane(xy[:, 0], xy[:, 1], crs, size, offset)
    if shape == "hexagon":
        return plane.hexagons()
    rows, none = plane.rows(), np.zeros(len(xy), np.int64)
    if shape == "rows":
        return np.column_stack([none, rows])
    if shape == "columns":
        return np.column_stack([plane.columns(np.full(len(xy), plane.middle_latitude())), none])
    return np.column_stack(plane.squares())


def region_of(regions: Any, xy: np.ndarray, crs: CRS | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the polygon that each place lies in, and the names of polygons.

    Parameters
    ----------
    regions : GeoDataFrame, GeoSeries, or path of a vector file
        Polygons; brought to the CRS of the places. A place on a border, or in several, goes with the first.
    xy : ndarray of shape (n, 2)
        Places.
    crs : rasterio.crs.CRS or None
        Their CRS.

    Returns
    -------
    region : ndarray of int, shape (n,)
        Position of the polygon.
    names : ndarray of shape (n_polygons,)
        Index labels of the polygons.

    Raises
    ------
    FoldError
        If it is no set of polygons, or a place lies in none.
    CRSError
        If only one of both has a CRS.
    """
    frame = gpd.read_file(regions) if isinstance(regions, str | Path) and Path(regions).exists() else regions
    if not hasattr(frame, "geometry") or not hasattr(frame, "crs"):
        raise FoldError(f"shape={regions!r} is not known: choose one of {', '.join(map(repr, SHAPES))}, or give polygons")
    own = as_crs(frame.crs)
    if own != crs and (own is None or crs is None):
        raise CRSError(
            f"samples have CRS {crs_name(crs)} and the polygons have CRS {crs_name(own)}: set the missing one", crs=(crs, own)
        )
    points = shapely.points(transform_xy(xy, crs, own))
    place, polygon = shapely.STRtree(np.asarray(frame.geometry)).query(points, predicate="intersects")
    region = np.full(len(xy), len(frame), np.int64)
    np.minimum.at(region, place, polygon)
    outside = region == len(frame)
    if outside.any():
        first = np.argmax(outside)
        raise FoldError(
            f"{outside.sum()} of {len(xy)} samples lie in no polygon, the first is row {first} at "
            f"({xy[first, 0]:g}, {xy[first, 1]:g}): drop them, or give polygons that cover all",
            rows=np.flatnonzero(outside),
        )
    return region, np.asarray(frame.index)
