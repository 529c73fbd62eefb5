"""Chips of scenes: drawn at random, in a grid, by class or round labels; and of rasters in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pixelwise.catalog.label_samplers import PointSampler, StratifiedSampler
from pixelwise.catalog.samplers import GridSampler, RandomSampler
from pixelwise.catalog.scene import GeoSlice, Scene
from pixelwise.catalog.slices import GeoSlices, by_block
from pixelwise.raster.carriers import rewrap, unwrap
from pixelwise.raster.open_files import files_kept_open
from pixelwise.raster.stitching import Stitch

__all__ = [
    "GeoSlice",
    "GeoSlices",
    "GridSampler",
    "PointSampler",
    "RandomSampler",
    "Scene",
    "Stitch",
    "StratifiedSampler",
    "by_block",
    "files_kept_open",
    "patches",
]


def patches(raster: Any, chip_size: Any, stride: Any = None, edge: str = "cut") -> Iterator[Any]:
    """Cut a raster that was read once into chips.

    Parameters
    ----------
    raster : raster of any carrier
        A lazy one stays lazy.
    chip_size, stride, edge : int, (int, int), str
        As for `GridSampler`.

    Yields
    ------
    raster of the type that came in
        Each where it lies on the ground, row by row. Values are views.

    See Also
    --------
    GridSampler : Chips of scenes that are read one by one.

    Examples
    --------
    >>> import pixelwise as pw
    >>> path, _ = pw.datasets.make_example()
    >>> raster = pw.open_raster(path)
    >>> [chip.shape for chip in pw.sampling.patches(raster, chip_size=(60, 50))]
    [(4, 60, 50), (4, 60, 30)]
    """
    whole = unwrap(raster)
    for row, col, height, width in GridSampler(chip_size, stride, edge).windows(whole.grid).tolist():
        at = (..., slice(row, row + height), slice(col, col + width))
        mask = None if whole.mask is None else whole.mask[at]
        yield rewrap(
            replace(whole, values=whole.values[at], grid=whole.grid.window(row, col, height, width), mask=mask), raster
        )
