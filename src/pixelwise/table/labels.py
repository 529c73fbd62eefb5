"""Where labels lie on a raster's grid: under polygons, under points, in a label raster."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
from rasterio.enums import Resampling
from rasterio.features import rasterize
from rasterio.warp import reproject

from pixelwise.errors import BandError, CRSError, DependencyMissingError, LabelError, PixelwiseWarning
from pixelwise.raster.carriers import Raster, is_raster, unwrap
from pixelwise.raster.grid import Grid, as_crs, crs_name, metres_per_unit
from pixelwise.table.missing import NanPolicy, missing_values, valid_rows
from pixelwise.warned import warn

__all__ = ["Found", "find_in_raster", "find_in_vector", "is_parquet", "on_grid", "read_labels", "read_vector"]


@dataclass(frozen=True)
class Found:
    """Labelled pixels of one raster."""

    pixel: np.ndarray
    label: np.ndarray
    group: np.ndarray
    labelled: np.ndarray


def read_labels(labels: Any, column: str | None, n_rasters: int, buffer: float) -> list[gpd.GeoDataFrame | Raster]:
    """Return the label source of each raster.

    Parameters
    ----------
    labels : GeoDataFrame, path, label raster, or list of them
        One for each raster, or one vector source for all.
    column : str or None
        Label column of vector sources.
    n_rasters : int
        Number of rasters.
    buffer : float
        Metres to grow or shrink vector features by.

    Returns
    -------
    list of (GeoDataFrame or Raster)
        GeoDataFrames have the columns ``label`` and ``group`` and their geometry.
    """
    many = list(labels) if isinstance(labels, list | tuple) else [labels]
    if len(many) != n_rasters and not (len(many) == 1 and (column is not None or isinstance(many[0], gpd.GeoDataFrame))):
        raise LabelError(f"{len(many)} label sources for {n_rasters} rasters: give one for each, or one vector source for all")
    read: list[gpd.GeoDataFrame | Raster] = []
    offset = 0
    for item in many:
        if column is None and not isinstance(item, gpd.GeoDataFrame):
            read.append(_as_label_raster(item))
            continue
        frame = _features(item, column, buffer)
        frame["group"] += offset
        offset = int(frame["group"].max()) + 1 if len(frame) else offset
        read.append(frame)
    return read * n_rasters if len(read) == 1 else read


def _as_label_raster(item: Any) -> Raster:
    if isinstance(item, np.ndarray) and item.ndim == 2:
        item = item[None]
    if not is_raster(item):
        raise LabelError(
            f"labels of type {type(item).__name__} are no raster and no vector source: pass a path, a raster or a GeoDataFrame"
        )
    try:
        raster = unwrap(item)
    except OSError as error:
        if isinstance(item, str | os.PathLike) and Path(item).exists():
            raise LabelError(
                f"labels {item} are no raster: for polygons or points name their label column, column='...'"
            ) from error
        raise
    if raster.n_bands != 1:
        raise BandError(f"label raster has {raster.n_bands} bands: select the one with the labels first")
    return raster


def read_vector(source: Any, what: str, remedy: str = "check that the path is right") -> gpd.GeoDataFrame:
    """Return features: a GeoDataFrame as it is, or what a vector file holds, GeoParquet among them.

    Parameters
    ----------
    source : GeoDataFrame or path
        The features.
    what : str
        What they are, for errors.
    remedy : str
        What to do about a file that is none.

    Returns
    -------
    GeoDataFrame

    Raises
    ------
    LabelError
        If the file cannot be read, or holds no geometry.
    DependencyMissingError
        If it is GeoParquet, and pyarrow is not installed.
    """
    if isinstance(source, gpd.GeoDataFrame):
        return source
    try:
        frame = _from_parquet(source, what) if is_parquet(source) else gpd.read_file(source)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, OSError, ValueError) as error:
        raise LabelError(f"{what} {source} cannot be read as a vector file: {error}; {remedy}") from error
    if not isinstance(frame, gpd.GeoDataFrame):
        raise LabelError(f"{what} {source} have no geometry: pass polygons or points")
    return frame


def is_parquet(source: Any) -> bool:
    """Whether a vector source is a file of GeoParquet, which GDAL reads where it was built for it only."""
    return isinstance(source, str | os.PathLike) and os.fspath(source).lower().endswith((".parquet", ".geoparquet", ".pq"))


def _from_parquet(source: Any, what: str) -> Any:
    try:
        return gpd.read_parquet(source)
    except ImportError as error:
        raise DependencyMissingError(f"{what} {source} need pyarrow, as GeoParquet: install pixelwise[catalog]") from error


def _features(item: Any, column: str | None, buffer: float) -> gpd.GeoDataFrame:
    frame = read_vector(item, "labels", "for a label raster leave column out")
    columns = [name for name in frame.columns if name != frame.geometry.name]
    if column is None or column not in columns:
        raise LabelError(f"labels have no column {column!r}: choose one of {', '.join(map(str, columns))}", columns=columns)
    shape = frame.geometry.reset_index(drop=True)
    out = gpd.GeoDataFrame({"label": frame[column].to_numpy(), "group": np.arange(len(frame))}, geometry=shape, crs=frame.crs)
    out = out[~(out.geometry.isna() | out.geometry.is_empty)]
    if buffer and len(out):
        out = out.set_geometry(_buffered(out.geometry, buffer))
        out = out[~out.geometry.is_empty]
        if not len(out):
            raise LabelError(f"buffer={buffer:g} metres leaves no polygon: shrink them less")
    return out


def _buffered(shapes: gpd.GeoSeries, metres: float) -> gpd.GeoSeries:
    """Grow or shrink shapes by metres, in a metric CRS of their own where theirs is geographic."""
    crs = as_crs(shapes.crs)
    if crs is not None and crs.is_geographic:
        local = shapes.to_crs(shapes.estimate_utm_crs())
        grown: gpd.GeoSeries = local.buffer(metres).to_crs(shapes.crs)
        return grown
    return shapes.buffer(metres / metres_per_unit(crs))


def find_in_vector(grid: Grid, features: gpd.GeoDataFrame, all_touched: bool) -> Found:
    """Find the pixels under polygons, lines and points.

    A pixel under features of different labels is ambiguous: it is left out, and a warning counts such pixels. If all features
    are points, each gives one row, in their order.

    Parameters
    ----------
    grid : Grid
        The raster's grid.
    features : GeoDataFrame
        With the columns ``label`` and ``group``.
    all_touched : bool
        Take every pixel that a feature touches.

    Returns
    -------
    Found
    """
    local = on_grid(grid, features.geometry, "labels")
    label, labelled = _clean(features["label"].to_numpy())
    group = features["group"].to_numpy()
    if len(local) and (local.geom_type == "Point").all():
        pixel = grid.pixels_at(shapely.get_coordinates(local.array))
        inside = pixel >= 0
        return Found(pixel[inside], label[inside], group[inside], labelled[inside])
    local, label, group, labelled = local[labelled], label[labelled], group[labelled], labelled[labelled]
    pixel, first, last = _burn(grid, local, all_touched)
    ambiguous = label[first] != label[last]
    if ambiguous.any():
        warn(
            PixelwiseWarning(
                f"{ambiguous.sum()} of {len(pixel)} labelled pixels lie under features with different labels and were left "
                "out: mend the overlaps, or shrink the polygons with buffer="
            ),
            stacklevel=3,
        )
    keep = ~ambiguous
    return Found(pixel[keep], label[first[keep]], group[first[keep]], labelled[first[keep]])


def on_grid(grid: Grid, shapes: gpd.GeoSeries, what: str) -> gpd.GeoSeries:
    """Return shapes in the CRS of a grid.

    Parameters
    ----------
    grid : Grid
        Whose CRS.
    shapes : GeoSeries
        In theirs.
    what : str
        What they are, for errors.

    Returns
    -------
    GeoSeries

    Raises
    ------
    CRSError
        If only one of the two has a CRS.
    """
    source = as_crs(shapes.crs)
    if (source is None) != (grid.crs is None):
        raise CRSError(
            f"{what} {'have' if what == 'labels' else 'has'} CRS {crs_name(source)} and the raster has CRS "
            f"{crs_name(grid.crs)}: set the one that is missing (GeoDataFrame.set_crs, raster.rio.write_crs), or drop it",
            crs=(source, grid.crs),
        )
    return shapes if source is None or grid.crs is None or source == grid.crs else shapes.to_crs(grid.crs.to_wkt())


def _clean(label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return labels as text or numbers, and which of them are there."""
    there = ~pd.isna(label)
    if label.dtype.kind in "iufb":
        return label, there
    kept = label[there]
    if all(isinstance(value, str) for value in kept):
        return np.array([value if ok else "" for value, ok in zip(label, there, strict=True)], dtype=str), there
    numbers = pd.to_numeric(pd.Series(kept), errors="coerce")
    if numbers.isna().any():
        raise LabelError(f"labels mix text and numbers, such as {kept[0]!r}: give them one type")
    clean = np.zeros(len(label), dtype=numbers.to_numpy().dtype)
    clean[there] = numbers
    return clean, there


def _burn(grid: Grid, shapes: gpd.GeoSeries, all_touched: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pixels under shapes, and the first and the last shape that covers each."""
    empty = np.empty(0, np.int64)
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = [(empty, empty, empty)]
    geometries, index = shapes.to_numpy(), shapes.sindex
    for window in grid.windows(1024, 1024):
        part = grid.window(window.row_off, window.col_off, window.height, window.width)
        near = np.sort(index.query(shapely.box(*part.bounds)))
        if not len(near):
            continue
        pairs = [(geometries[i], i + 1) for i in near]
        options = {"out_shape": part.shape, "transform": part.transform, "all_touched": all_touched, "dtype": "int32"}
        # The later of two shapes covers the earlier: burning both ways round tells where shapes overlap.
        last, first = rasterize(pairs, **options), rasterize(pairs[::-1], **options)
        rows, cols = np.nonzero(last)
        at = (rows + window.row_off) * grid.width + cols + window.col_off
        parts.append((at.astype(np.int64), first[rows, cols].astype(np.int64) - 1, last[rows, cols].astype(np.int64) - 1))
    pixel, first, last = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(pixel)
    return pixel[order], first[order], last[order]


def find_in_raster(grid: Grid, labels: Raster, number: int) -> Found:
    """Find the labelled pixels of a label raster, warped to the grid with nearest neighbour where it lies on another.

    Parameters
    ----------
    grid : Grid
        The raster's grid.
    labels : Raster
        One band; nodata, NaN and masked pixels have no label.
    number : int
        Number of the raster, which becomes the group.

    Returns
    -------
    Found
        Pixels without a label are left out.
    """
    values = labels.cube[0]
    values = values.compute() if labels.is_lazy else np.asarray(values)
    labelled = (
        np.ones(values.shape, bool)
        if labels.mask is None
        else ~np.asarray(labels.mask if labels.mask.ndim == 2 else labels.mask[0])
    )
    (exact,) = missing_values(values.dtype, labels.names, labels.nodata, NanPolicy())
    there, _ = valid_rows(values.ravel()[None], [exact], None, NanPolicy(), "complete")
    if there is not None:
        labelled.ravel()[~there] = False
    unplaced = labels.grid.crs is None or not labels.grid.is_georeferenced
    if labels.grid.differs_from(grid) and not (unplaced and _same_pixels(labels.grid, grid)):
        values, labelled = _warped(labels.grid, grid, values, labelled)
    at = np.flatnonzero(labelled)
    return Found(at.astype(np.int64), values.ravel()[at], np.full(len(at), number, np.int64), np.ones(len(at), bool))


def _same_pixels(labels: Grid, grid: Grid) -> bool:
    """Whether labels without a CRS lie on the raster's pixels: same shape, and the same transform or none."""
    return labels.shape == grid.shape and (not labels.is_georeferenced or labels.transform.almost_equals(grid.transform))


def _warped(source: Grid, target: Grid, values: np.ndarray, labelled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if source.crs is None or target.crs is None:
        raise CRSError(
            f"labels ({source.differs_from(target)}) cannot be warped to the raster, "
            "because one of them has no CRS: set it first",
            crs=(source.crs, target.crs),
        )
    places = {
        "src_transform": source.transform, "src_crs": source.crs, "dst_transform": target.transform, "dst_crs": target.crs,
        "resampling": Resampling.nearest,
    }  # fmt: skip
    there, moved = np.zeros(target.shape, "uint8"), np.zeros(target.shape, values.dtype)
    reproject(labelled.astype("uint8"), there, **places)
    kind = (
        values.dtype
        if values.dtype.name in ("uint8", "int16", "uint16", "int32", "uint32", "float32", "float64")
        else "float64"
    )
    into = moved.astype(kind)
    reproject(np.where(labelled, values, 0).astype(kind), into, **places)
    return into.astype(values.dtype), there.astype(bool)
