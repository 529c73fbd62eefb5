"""Samplers that look at grids alone: chips at random, and chips that tile."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from pixelwise.catalog.facts import block_shape_of, files_of
from pixelwise.catalog.geocatalog import GeoCatalog
from pixelwise.catalog.slices import GeoSlices
from pixelwise.errors import CatalogError
from pixelwise.raster.grid import Grid

__all__ = ["GridSampler", "RandomSampler", "as_length", "as_size", "checked_catalog", "positions", "scene_order"]


def as_size(value: Any, name: str) -> tuple[int, int]:
    """Return rows and columns from one number for both, or from two.

    Parameters
    ----------
    value : int or (int, int)
        Pixels.
    name : str
        The parameter, for the error.

    Returns
    -------
    (int, int)

    Raises
    ------
    CatalogError
        If they are no positive whole numbers.
    """
    pair = (value, value) if isinstance(value, int | np.integer) else tuple(value) if isinstance(value, tuple | list) else ()
    if len(pair) != 2 or not all(isinstance(size, int | np.integer) and size > 0 for size in pair):
        raise CatalogError(f"{name}={value!r} is no size: give rows and columns in pixels, such as (256, 256)")
    return int(pair[0]), int(pair[1])


def as_length(value: Any) -> int:
    """Return a number of chips, or raise a CatalogError if it is none."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
        raise CatalogError(f"length={value!r} is no number of chips: give a whole number from 1 on", length=value)
    return int(value)


def checked_catalog(catalog: Any) -> GeoCatalog:
    """Return the catalog, or raise an error if it is none, or empty."""
    if not isinstance(catalog, GeoCatalog):
        raise TypeError(f"a sampler takes a GeoCatalog and not {type(catalog).__name__}: open_catalog(...) makes one")
    if not len(catalog):
        raise CatalogError("the catalog is empty, so no chip can be drawn: check what filter or query left of it")
    return catalog


def scene_order(catalog: GeoCatalog) -> np.ndarray:
    """Return the scenes' numbers sorted by their files, so that a draw does not depend on the order of the rows."""
    names = np.array(["\n".join(files_of(uri)) for uri in catalog.frame["uri"]])
    return np.argsort(names, kind="stable")


class RandomSampler(BaseEstimator):
    """Draw chips at random: a scene in proportion to its pixels, and a place in it, each as likely as any other.

    A chip lies in its scene as a whole; where the scene is smaller, the chip is the scene. Chips may overlap. The draw
    depends on the scenes and not on their order, and the first chips of a longer draw are those of a shorter one.

    Parameters
    ----------
    chip_size : int or (int, int)
        Rows and columns in pixels.
    length : int
        Number of chips.
    random_state : int, RandomState or None
        Seed; with an int each call draws the same chips.
    snap : bool, default=False
        Whether chips start where the files' blocks do, or lie within one, so that few blocks are decoded for each. Files whose
        blocks the catalog does not know, such as those of STAC items, are opened for it.

    Raises
    ------
    CatalogError
        When it is called, if the catalog is empty.

    See Also
    --------
    StratifiedSampler : As many chips of rare classes as of common ones.

    Examples
    --------
    >>> import pixelwise as pw
    >>> path, _ = pw.datasets.make_example()
    >>> sampler = pw.sampling.RandomSampler(chip_size=(16, 16), length=2, random_state=0)
    >>> list(sampler(pw.open_catalog(path)))
    [GeoSlice('scene', rows 32:48, columns 39:55), GeoSlice('scene', rows 19:35, columns 41:57)]
    """

    def __init__(self, chip_size: Any, length: int, random_state: Any = None, snap: bool = False) -> None:
        self.chip_size = chip_size
        self.length = length
        self.random_state = random_state
        self.snap = snap

    def __call__(self, catalog: GeoCatalog) -> GeoSlices:
        """Draw chips.

        Parameters
        ----------
        catalog : GeoCatalog
            Scenes.

        Returns
        -------
        GeoSlices
            A sequence of `GeoSlice`.
        """
        height, width = as_size(self.chip_size, "chip_size")
        order = scene_order(checked_catalog(catalog))
        shapes = catalog.frame[["height", "width"]].to_numpy(np.int64)
        upto = np.cumsum(shapes[order].prod(axis=1).astype(float))
        # One row of numbers a chip, so that a longer draw begins as a shorter one does.
        chance = check_random_state(self.random_state).random_sample((as_length(self.length), 3))
        scene = order[np.searchsorted(upto, chance[:, 0] * upto[-1], side="right")]
        size = np.minimum(shapes[scene], (height, width))
        if self.snap:
            first = self._snapped(catalog, scene, (height, width), chance[:, 1:])
        else:
            first = np.floor(chance[:, 1:] * (shapes[scene] - size + 1)).astype(np.int64)
        return GeoSlices(catalog, scene, np.concatenate([first, size], axis=1))

    def _snapped(self, catalog: GeoCatalog, scene: np.ndarray, chip: tuple[int, int], chance: np.ndarray) -> np.ndarray:
        first = np.empty((len(scene), 2), np.int64)
        for number in np.unique(scene):
            here = catalog[int(number)]
            block = here.block_shape or block_shape_of(here.uri)
            for axis in range(2):
                starts = _on_blocks(here.grid.shape[axis], chip[axis], block[axis])
                at = scene == number
                first[at, axis] = starts[np.floor(chance[at, axis] * len(starts)).astype(np.intp)]
        return first


def _on_blocks(size: int, chip: int, block: int) -> np.ndarray:
    """Return where chips may start along an axis: at blocks, and within blocks that are larger than a chip side by side."""
    last = max(size - chip, 0)
    within = positions(block, chip, chip, "shift")[0] if chip < block else np.zeros(1, np.int64)
    starts = np.add.outer(np.arange(0, size, block), within).ravel()
    return np.unique(np.append(starts[starts <= last], last))


class GridSampler(BaseEstimator):
    """Cut scenes into chips that lie side by side, or overlap, in order: scene by scene, row by row.

    Parameters
    ----------
    chip_size : int or (int, int)
        Rows and columns in pixels.
    stride : int, (int, int) or None
        Rows and columns from one chip to the next; None takes the chip's size, so that each pixel is in one chip exactly.
    edge : {"cut", "shift", "drop"}, default="cut"
        What happens to chips that reach beyond the scene: they are cut off there, shifted in (and overlap others), or left out.

    Raises
    ------
    CatalogError
        When it is called, if the catalog is empty, or "drop" leaves nothing.

    Examples
    --------
    >>> import pixelwise as pw
    >>> path, _ = pw.datasets.make_example()
    >>> catalog = pw.open_catalog(path)
    >>> for edge in ("cut", "shift", "drop"):
    ...     print([chip.window.toranges()[1] for chip in pw.sampling.GridSampler((60, 30), edge=edge)(catalog)])
    [(0, 30), (30, 60), (60, 80)]
    [(0, 30), (30, 60), (50, 80)]
    [(0, 30), (30, 60)]
    """

    def __init__(self, chip_size: Any, stride: Any = None, edge: str = "cut") -> None:
        self.chip_size = chip_size
        self.stride = stride
        self.edge = edge

    def windows(self, grid: Grid) -> np.ndarray:
        """Return the chips of one grid.

        Parameters
        ----------
        grid : Grid
            Where a raster's pixels are.

        Returns
        -------
        ndarray of int64, shape (n_chips, 4)
            First row, first column, height and width of each, row by row.
        """
        return self._windows(grid.shape)

    def _windows(self, shape: tuple[int, int]) -> np.ndarray:
        chip = as_size(self.chip_size, "chip_size")
        stride = chip if self.stride is None else as_size(self.stride, "stride")
        (top, tall), (left, wide) = (positions(*sizes, self.edge) for sizes in zip(shape, chip, stride, strict=True))
        rows, cols = np.repeat(np.arange(len(top)), len(left)), np.tile(np.arange(len(left)), len(top))
        return np.column_stack([top[rows], left[cols], tall[rows], wide[cols]])

    def __call__(self, catalog: GeoCatalog) -> GeoSlices:
        """Cut all scenes.

        Parameters
        ----------
        catalog : GeoCatalog
            Scenes.

        Returns
        -------
        GeoSlices
            A sequence of `GeoSlice`.
        """
        shapes = list(map(tuple, checked_catalog(catalog).frame[["height", "width"]].to_numpy().tolist()))
        made = {shape: self._windows(shape) for shape in set(shapes)}
        parts = [made[shape] for shape in shapes]
        windows = np.concatenate(parts)
        if not len(windows):
            raise CatalogError(f"no scene holds a whole chip of {self.chip_size}: make chips smaller, or use edge='cut'")
        return GeoSlices(catalog, np.repeat(np.arange(len(parts)), [len(part) for part in parts]), windows)


def positions(size: int, chip: int, stride: int, edge: str) -> tuple[np.ndarray, np.ndarray]:
    """Return first pixel and length of chips along an axis.

    Parameters
    ----------
    size, chip, stride : int
        Pixels of the axis, of a chip, and from one chip to the next.
    edge : {"cut", "shift", "drop"}
        As for `GridSampler`.

    Returns
    -------
    starts, lengths : ndarray of int64

    Raises
    ------
    CatalogError
        If `edge` is not known.
    """
    if edge not in ("cut", "shift", "drop"):
        raise CatalogError(f"edge={edge!r} is not known: choose 'cut', 'shift' or 'drop'", edge=edge)
    count = -(-max(size - chip, 0) // stride) + 1
    starts = np.arange(count, dtype=np.int64) * stride
    starts = starts[(starts + chip <= size) if edge == "drop" else (starts < size)]
    if edge == "shift":
        starts = np.unique(np.minimum(starts, max(size - chip, 0)))
    return starts, np.minimum(chip, size - starts)
