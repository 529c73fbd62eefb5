"""Functions of rasters on lazy (dask) rasters, chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from pixelwise.heap import heap_kept
from pixelwise.raster.carriers import Raster
from pixelwise.raster.grid import Grid

__all__ = ["map_chunks"]


def map_chunks(function: Callable[[Raster], Raster], raster: Raster, halo: int = 0) -> Raster:
    """Apply a function of pixels, or of their surroundings, to a lazy raster, and stay lazy.

    Parameters
    ----------
    function : callable
        From a Raster to a Raster of the same grid. It is called once with a single pixel, to learn bands, dtype and nodata of
        its result.
    raster : Raster
        With a dask array for values.
    halo : int, default=0
        Pixels round a chunk that the function looks at; they are given to it, as far as the raster goes, and cut off after.

    Returns
    -------
    Raster
        With a dask array for values; one chunk of all bands at a time is computed.
    """
    from dask.array import map_blocks
    from dask.array.overlap import overlap, trim_internal

    def chip(block: np.ndarray, grid: Grid) -> Raster:
        """Return one chunk as a raster that knows where it is."""
        return Raster(block, grid, raster.bands, raster.nodata, times=raster.times, attrs=raster.attrs)

    sample = function(chip(np.ones((*raster.values.shape[:-2], 1, 1), raster.values.dtype), raster.grid.window(0, 0, 1, 1)))
    whole = raster.cube.rechunk(dict.fromkeys(range(raster.cube.ndim - 2), -1))
    if halo:
        whole = whole.rechunk({axis: _not_below(whole.chunks[axis], halo) for axis in (whole.ndim - 2, whole.ndim - 1)})
    starts = [np.cumsum([0, *sizes[:-1]]) for sizes in whole.chunks[-2:]]
    # Of an axis in one chunk nothing is next to it, and dask wants arrays that are no smaller than what it adds.
    depth = {axis: halo if len(whole.chunks[axis]) > 1 else 0 for axis in (whole.ndim - 2, whole.ndim - 1)}
    wide = overlap(whole, depth=depth, boundary="none") if halo else whole  # type: ignore[no-untyped-call]

    def compute(block: np.ndarray, block_id: tuple[int, ...]) -> np.ndarray:
        """Return what the function makes of one chunk."""
        row, col = (int(start[number]) - (halo if number else 0) for start, number in zip(starts, block_id[-2:], strict=True))
        with heap_kept():
            result: np.ndarray = function(chip(block, raster.grid.window(row, col, *block.shape[-2:]))).cube
        return result

    chunks = (*((size,) for size in sample.cube.shape[:-2]), *wide.chunks[-2:])
    lost = list(range(whole.ndim - sample.cube.ndim))
    values: Any = map_blocks(  # type: ignore[no-untyped-call]
        compute,
        wide,
        dtype=sample.values.dtype,
        chunks=chunks,
        drop_axis=lost,
        meta=np.empty((0,) * sample.cube.ndim, sample.values.dtype),
    )
    if halo:
        depth = dict(zip((values.ndim - 2, values.ndim - 1), depth.values(), strict=True))
        values = trim_internal(values, depth, boundary="none")  # type: ignore[no-untyped-call]
    return replace(sample, values=values if sample.values.ndim == sample.cube.ndim else values[0], grid=raster.grid)


def _not_below(sizes: tuple[int, ...], smallest: int) -> tuple[int, ...]:
    """Return chunks that are no smaller than a halo: small ones are joined with the one before."""
    joined: list[int] = []
    for size in sizes:
        if joined and (size < smallest or joined[-1] < smallest):
            joined[-1] += size
        else:
            joined.append(size)
    return tuple(joined)
