"""Functions of rasters on lazy (dask) rasters, chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import rasterio

from pixelwise.raster.carriers import Raster
from pixelwise.raster.grid import Grid

__all__ = ["map_chunks"]


def map_chunks(function: Callable[[Raster], Raster], raster: Raster) -> Raster:
    """Apply a function of single pixels to a lazy raster, and stay lazy.

    Parameters
    ----------
    function : callable
        From a Raster to a Raster of the same grid. It is called once with a single pixel, to learn bands, dtype and nodata of
        its result.
    raster : Raster
        With a dask array for values.

    Returns
    -------
    Raster
        With a dask array for values; one chunk of all bands at a time is computed.
    """
    from dask.array import map_blocks

    pixel = np.ones((*raster.values.shape[:-2], 1, 1), raster.values.dtype)
    sample = function(Raster(pixel, _plain(1, 1), raster.bands, raster.nodata, times=raster.times))
    whole = raster.cube.rechunk(dict.fromkeys(range(raster.cube.ndim - 2), -1))

    def compute(block: np.ndarray) -> np.ndarray:
        """Return what the function makes of one chunk."""
        chip = Raster(block, _plain(*block.shape[-2:]), raster.bands, raster.nodata, times=raster.times)
        result: np.ndarray = function(chip).cube
        return result

    chunks = (*((size,) for size in sample.cube.shape[:-2]), *whole.chunks[-2:])
    lost = list(range(whole.ndim - sample.cube.ndim))
    values: Any = map_blocks(  # type: ignore[no-untyped-call]
        compute,
        whole,
        dtype=sample.values.dtype,
        chunks=chunks,
        drop_axis=lost,
        meta=np.empty((0,) * sample.cube.ndim, sample.values.dtype),
    )
    return replace(sample, values=values if sample.values.ndim > 2 else values[0], grid=raster.grid)


def _plain(height: int, width: int) -> Grid:
    return Grid(None, rasterio.Affine.identity(), height, width)
