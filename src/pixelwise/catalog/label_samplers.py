"""Samplers that look at labels: as many chips of each class, or chips round labelled places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from pixelwise.catalog.geocatalog import GeoCatalog
from pixelwise.catalog.labels import ReadLabel
from pixelwise.catalog.samplers import as_length, as_size, checked_catalog, positions, scene_order
from pixelwise.catalog.scene import Scene
from pixelwise.catalog.slices import GeoSlices
from pixelwise.errors import CRSError, LabelError
from pixelwise.raster.grid import as_crs, transform_xy
from pixelwise.raster.io import as_nan
from pixelwise.raster.open_files import files_kept_open
from pixelwise.table.labels import read_vector

__all__ = ["PointSampler", "StratifiedSampler"]

_WGS84 = as_crs(4326)
#: Rows and columns of labels that are read at a time.
_TILE = 1024


class StratifiedSampler(BaseEstimator):
    """Draw chips round pixels of each class in turn, so that rare classes get as many chips as common ones.

    Each labelled pixel of a class is as likely as any other of it, over all scenes, and lies anywhere in its chip; other
    classes come along as they lie round it. All labels are read once to count them, tile by tile, and those tiles again from
    which pixels are drawn.

    Parameters
    ----------
    chip_size : int or (int, int)
        Rows and columns in pixels.
    length : int
        Number of chips; the classes take turns.
    label : ReadLabel
        What reads the labels.
    classes : sequence of number, or None
        Values of the labels that are drawn; None takes all that occur.
    random_state : int, RandomState or None
        Seed; with an int each call draws the same chips.

    Raises
    ------
    LabelError
        When it is called, if a class does not occur.

    Examples
    --------
    >>> import pixelwise as pw
    >>> path, polygons = pw.datasets.make_example()
    >>> catalog = pw.open_catalog(path).assign(label_uri=str(polygons))
    >>> label = pw.ReadLabel(column="class", classes=["forest", "water"])
    >>> chips = pw.sampling.StratifiedSampler((8, 8), length=4, label=label, random_state=0)(catalog)
    >>> [sorted(set(label(chip.load()).values.ravel().tolist()) - {-1}) for chip in chips]
    [[0], [1], [0], [1]]
    """

    def __init__(
        self, chip_size: Any, length: int, label: ReadLabel, classes: Sequence[Any] | None = None, random_state: Any = None
    ) -> None:
        self.chip_size = chip_size
        self.length = length
        self.label = label
        self.classes = classes
        self.random_state = random_state

    def __call__(self, catalog: GeoCatalog) -> GeoSlices:
        """Draw chips.

        Parameters
        ----------
        catalog : GeoCatalog
            Scenes with labels.

        Returns
        -------
        GeoSlices
            A sequence of `GeoSlice`.
        """
        chip, length = np.array(as_size(self.chip_size, "chip_size")), as_length(self.length)
        if not isinstance(self.label, ReadLabel):
            raise TypeError(
                f"label={self.label!r} reads no labels: give a ReadLabel, such as ReadLabel(label_uri_field='label_uri')"
            )
        tiles, counts = self._count(checked_catalog(catalog))
        classes = sorted(counts) if self.classes is None else list(self.classes)
        lacking = [value for value in classes if value not in counts]
        if lacking or not classes:
            what = f"class {lacking[0]!r}" if lacking else "label"
            raise LabelError(f"no pixel of the catalog has {what}: the labels that occur are {sorted(counts)}")
        chance = check_random_state(self.random_state).random_sample((length, 3))
        turn = np.arange(length) % len(classes)
        tile, rank = np.empty(length, np.int64), np.empty(length, np.int64)
        for number, value in enumerate(classes):
            upto = np.cumsum(counts[value])
            drawn = np.floor(chance[turn == number, 0] * upto[-1]).astype(np.int64)
            tile[turn == number] = np.searchsorted(upto, drawn, side="right")
            rank[turn == number] = drawn - (upto - counts[value])[tile[turn == number]]
        pixel = self._find(catalog, tiles, tile, rank, np.asarray(classes)[turn])
        scene = tiles[tile, 0]
        shape = catalog.frame[["height", "width"]].to_numpy(np.int64)[scene]
        size = np.minimum(shape, chip)
        first = np.clip(pixel - np.floor(chance[:, 1:] * size).astype(np.int64), 0, shape - size)
        return GeoSlices(catalog, scene, np.concatenate([first, size], axis=1))

    def _count(self, catalog: GeoCatalog) -> tuple[np.ndarray, dict[float, np.ndarray]]:
        """Return scene, row, column, height and width of each tile, and for each class its pixels in each."""
        tiles: list[tuple[int, int, int, int, int]] = []
        found: dict[float, dict[int, int]] = {}
        with files_kept_open():
            for number in scene_order(catalog).tolist():
                scene = catalog[number]
                for window in scene.grid.windows(_TILE, _TILE):
                    tile = (number, window.row_off, window.col_off, window.height, window.width)
                    values = self._labels(scene, tile)
                    for value, count in zip(*np.unique(values[~np.isnan(values)], return_counts=True), strict=True):
                        found.setdefault(float(value), {})[len(tiles)] = int(count)
                    tiles.append(tile)
        counts = {value: np.zeros(len(tiles), np.int64) for value in found}
        for value, parts in found.items():
            counts[value][list(parts)] = list(parts.values())
        return np.array(tiles), counts

    def _labels(self, scene: Scene, tile: Any) -> np.ndarray:
        _, row, col, height, width = (int(part) for part in tile)
        labels: np.ndarray = as_nan(self.label.read(scene.metadata, scene.grid.window(row, col, height, width))).cube[0]
        return labels

    def _find(
        self, catalog: GeoCatalog, tiles: np.ndarray, tile: np.ndarray, rank: np.ndarray, value: np.ndarray
    ) -> np.ndarray:
        """Return row and column of pixels: the ranks-th of their class in their tile."""
        pixel = np.empty((len(tile), 2), np.int64)
        with files_kept_open():
            for number in np.unique(tile):
                labels = self._labels(catalog[int(tiles[number, 0])], tiles[number])
                for wanted in np.unique(value[tile == number]):
                    here = (tile == number) & (value == wanted)
                    places = np.flatnonzero(labels == wanted)[rank[here]]
                    pixel[here] = np.column_stack(np.divmod(places, labels.shape[1])) + tiles[number, 1:3]
        return pixel


class PointSampler(BaseEstimator):
    """Take chips round labelled points or polygons: in each scene where a feature lies, one for it.

    A feature larger than a chip gets as many, side by side, as hold a part of it. Chips are in their scene as a whole: they are
    shifted in at its edges.

    Parameters
    ----------
    chip_size : int or (int, int)
        Rows and columns in pixels.
    features : path or GeoDataFrame
        Points, lines or polygons, in any CRS.
    snap : bool, default=False
        Take the chips of `GridSampler` that hold a feature instead, each once, so that no pixel comes twice.

    Raises
    ------
    LabelError
        When it is called, if no feature lies in a scene.

    Examples
    --------
    >>> import pixelwise as pw
    >>> path, polygons = pw.datasets.make_example()
    >>> pw.sampling.PointSampler((24, 24), polygons)(pw.open_catalog(path))
    GeoSlices(4 chips of 1 scene)
    """

    def __init__(self, chip_size: Any, features: Any, snap: bool = False) -> None:
        self.chip_size = chip_size
        self.features = features
        self.snap = snap

    def __call__(self, catalog: GeoCatalog) -> GeoSlices:
        """Take chips.

        Parameters
        ----------
        catalog : GeoCatalog
            Scenes.

        Returns
        -------
        GeoSlices
            A sequence of `GeoSlice`, scene by scene, in the order of the features.
        """
        chip = as_size(self.chip_size, "chip_size")
        shapes = (
            self.features if isinstance(self.features, gpd.GeoSeries) else read_vector(self.features, "features")
        ).geometry
        if shapes.crs is None:
            raise CRSError("the features have no CRS: set it with set_crs(...)")
        shapes = shapes[~(shapes.isna() | shapes.is_empty)].reset_index(drop=True)
        source, shapes = as_crs(shapes.crs), shapes.to_numpy()
        tree = shapely.STRtree(shapely.transform(shapes, lambda xy: transform_xy(xy, source, _WGS84)))
        parts, numbers = [], []
        for number, scene in enumerate(checked_catalog(catalog)):
            outline = catalog.frame.geometry.iat[number]
            west, south, east, north = outline.bounds
            # The outline has straight edges, from which the scene's own depart by a hundredth of its size at most.
            near = np.sort(tree.query(outline.buffer(0.02 * max(east - west, north - south)), predicate="intersects"))
            if not len(near):
                continue
            local = shapely.transform(shapes[near], lambda xy, target=scene.grid.crs: transform_xy(xy, source, target))
            windows = _chips_round(scene, local, chip, self.snap)
            parts.append(windows)
            numbers.append(np.full(len(windows), number))
        if not sum(map(len, parts)):
            raise LabelError(f"none of {len(shapes)} features lies in a scene of the catalog: check their CRS and places")
        return GeoSlices(catalog, np.concatenate(numbers), np.concatenate(parts))


def _chips_round(scene: Scene, shapes: np.ndarray, chip: tuple[int, int], snap: bool) -> np.ndarray:
    """Return first row, first column, height and width of the chips of one scene."""
    size = np.minimum(scene.grid.shape, chip)
    last = np.array(scene.grid.shape) - size
    a, b, c, d, e, f = tuple(~scene.grid.transform)[:6]
    on_pixels = shapely.transform(
        shapes, lambda xy: np.column_stack([a * xy[:, 0] + b * xy[:, 1] + c, d * xy[:, 0] + e * xy[:, 1] + f])
    )
    extent = shapely.box(0, 0, scene.grid.width, scene.grid.height)
    found: list[np.ndarray] = []
    for shape in shapely.intersection(shapely.make_valid(on_pixels), extent):
        if shape.is_empty:
            continue
        left, top, right, bottom = shape.bounds
        if snap:
            found.append(_holding(shape, np.array([0, 0]), size, np.array(scene.grid.shape)))
        elif bottom - top <= size[0] and right - left <= size[1]:
            middle = np.floor([(top + bottom) / 2, (left + right) / 2]).astype(np.int64)
            found.append(np.clip(middle - size // 2, 0, last)[None])
        else:
            start = np.floor([top, left]).astype(np.int64)
            found.append(np.clip(_holding(shape, start, size, np.ceil([bottom, right]).astype(np.int64)), 0, last))
    if not found:
        return np.empty((0, 4), np.int64)
    first = np.concatenate(found)
    if snap:
        first = np.unique(first, axis=0)
    return np.concatenate([first, np.minimum(size, np.array(scene.grid.shape) - first)], axis=1)


def _holding(shape: Any, start: np.ndarray, size: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Return first row and column of those chips, side by side from a start on, that hold a part of a shape."""
    left, top, right, bottom = shape.bounds
    axes = []
    for low, high, axis in ((top, bottom, 0), (left, right, 1)):
        starts = start[axis] + positions(int(stop[axis] - start[axis]), int(size[axis]), int(size[axis]), "cut")[0]
        axes.append(starts[(starts <= high) & (starts + size[axis] > low)])
    rows, cols = np.repeat(axes[0], len(axes[1])), np.tile(axes[1], len(axes[0]))
    held = shapely.intersects(shape, shapely.box(cols, rows, cols + size[1], rows + size[0]))
    return np.asarray(np.column_stack([rows, cols])[held])
