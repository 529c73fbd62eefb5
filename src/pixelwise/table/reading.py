"""Pixels of rasters read into tables, block by block, and once more with what lies round them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import rasterio
from rasterio.windows import Window

from pixelwise.errors import GridError
from pixelwise.raster.carriers import Raster
from pixelwise.raster.dates import TimeAxis, as_times, ascending, dated_names
from pixelwise.raster.io import ArraySource, RasterFile, as_nan, open_source
from pixelwise.table.bands import band_order
from pixelwise.table.layout import Layout, ToPixelMajor
from pixelwise.table.missing import NanPolicy, missing_values, rows_with_nan, table_dtype, valid_rows
from pixelwise.table.pixels import PixelTable
from pixelwise.table.temporal_layout import ToTemporalPixelMajor

__all__ = ["chips_around", "gather", "table_of"]


def table_of(
    source: RasterFile | ArraySource, pixel: np.ndarray, policy: NanPolicy, item: Any, *, group: Any = None, date: Any = None
) -> PixelTable:
    """Read pixels into a table.

    Parameters
    ----------
    source : RasterFile or ArraySource
        What to read.
    pixel : ndarray of int, shape (n,)
        Row-major numbers of the pixels, in any order.
    policy : NanPolicy
        What counts as missing.
    item : raster
        What the table remembers; of an open dataset its path, which pickles and outlives it.
    group : ndarray of int, shape (n,), or None
        Label feature of each pixel.
    date : datetime64 or None
        When a raster without a time axis was taken.

    Returns
    -------
    PixelTable
    """
    values, names, axis = gather(source, pixel, policy), source.bands, None
    if source.n_times is not None:
        bands, times, order = _names_of(source), as_times(source.times), ascending(source.times)
        if order is not None and times is not None:
            times, values = times[order], np.ascontiguousarray(_by_date(values, order))
        axis = TimeAxis(bands, times, source.n_times)
        # A bare array names neither bands nor dates.
        names = None if source.bands is None and times is None else tuple(dated_names(bands, times, source.n_times))
    return PixelTable.from_values(
        values, [source.grid], pixel=pixel, group=group, names=names, axis=axis, policy=policy,
        sources=[item.name if isinstance(item, rasterio.io.DatasetReader) else item],
        row_times=None if date is None else np.full(len(values), date),
    )  # fmt: skip


def _by_date(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return columns of bands and dates with the dates of each band in another order."""
    starts = np.arange(0, values.shape[1], len(order))
    return values[:, np.add.outer(starts, order).ravel()]


def _names_of(source: RasterFile | ArraySource) -> tuple[str, ...]:
    return source.bands or tuple(f"band_{number}" for number in range(1, source.n_bands + 1))


def gather(source: RasterFile | ArraySource, pixel: np.ndarray, policy: NanPolicy) -> np.ndarray:
    """Read pixels, block by block.

    Parameters
    ----------
    source : RasterFile or ArraySource
        What to read.
    pixel : ndarray of int, shape (n,)
        Row-major numbers of the pixels, in any order.
    policy : NanPolicy
        What counts as missing.

    Returns
    -------
    ndarray of float, shape (n, n_bands), or (n, n_bands * n_times) in the order of the dates as they stand
        NaN where data is missing.
    """
    layout: Layout = ToPixelMajor() if source.n_times is None else ToTemporalPixelMajor()
    of_band = layout.bands_of((source.n_bands, source.n_times or 1, 1, 1))
    values = np.empty((len(pixel), len(of_band)), table_dtype(source.dtype))
    each = missing_values(source.dtype, _names_of(source), source.nodata, policy)
    marks = [each[band] for band in of_band]
    for at, window in _windows_of(source, pixel):
        chip = source.read(window)
        row, col = np.divmod(pixel[at], source.grid.width)
        inside = (row - window.row_off) * window.width + col - window.col_off
        flat = layout.flatten(chip.cube)[:, inside]
        mask = None if chip.mask is None else layout.flatten_mask(chip.mask, chip.cube.shape)[..., inside]
        _, missing = valid_rows(flat, marks, mask, policy, keep="any")
        values[at] = rows_with_nan(flat, None, missing, values.dtype)
    return values


def _windows_of(source: RasterFile | ArraySource, pixel: np.ndarray) -> Iterator[tuple[np.ndarray, Window]]:
    """Yield which pixels lie in a window of whole blocks, and the window; blocks without pixels are passed over."""
    rows, cols = np.divmod(pixel, source.grid.width)
    height, width = source.block_shape
    tall = height * max(1, 128 // height)
    key = (rows // tall) * (source.grid.width // width + 1) + cols // width
    order = np.argsort(key, kind="stable")
    for at in np.split(order, np.flatnonzero(np.diff(key[order])) + 1) if len(pixel) else ():
        top, left = rows[at].min() // height * height, cols[at].min() // width * width
        bottom = min(-(-(rows[at].max() + 1) // height) * height, source.grid.height)
        right = min(left + width, source.grid.width)
        yield at, Window(int(left), int(top), int(right - left), int(bottom - top))


def chips_around(X: PixelTable, halo: int, what: str) -> Iterator[tuple[np.ndarray, Raster, tuple[np.ndarray, np.ndarray]]]:
    """Read the rasters of a table again, round its rows.

    Parameters
    ----------
    X : PixelTable
        Whose rasters.
    halo : int
        Pixels round the rows that are needed.
    what : str
        What needs them, for the error.

    Yields
    ------
    rows : ndarray of int
        Rows of the table.
    chip : Raster
        Floats with NaN where data is missing; as much of the halo as the raster has.
    inside : (ndarray of int, ndarray of int)
        Row and column of each of the rows in the chip.

    Raises
    ------
    GridError
        If the table does not know its rasters.
    """
    if X.sources is None:
        raise GridError(
            f"{what} looks {halo} pixels round, and this table does not know its rasters any more: "
            "apply it before what changes the values of the table, or to the raster"
        )
    for number, item in enumerate(X.sources):
        here = np.flatnonzero(X.scene == number)
        with open_source(item) as source:
            for at, core in _windows_of(source, X.pixel[here]):
                top, left = max(0, core.row_off - halo), max(0, core.col_off - halo)
                bottom = min(source.grid.height, core.row_off + core.height + halo)
                right = min(source.grid.width, core.col_off + core.width + halo)
                chip = as_nan(source.read(Window(left, top, right - left, bottom - top)))
                row, col = np.divmod(X.pixel[here[at]], source.grid.width)
                yield here[at], _in_order(_with_policy(chip, X.policy), X), (row - top, col - left)


def _with_policy(chip: Raster, policy: NanPolicy | None) -> Raster:
    """Set NaN where the policy of the extraction says that data is missing."""
    if policy is None:
        return chip
    for band, name in zip(chip.cube, chip.names, strict=True):
        for value in policy.sentinels_of(name):
            band[band == value] = np.nan
        if policy.valid_range is not None:
            band[(band < policy.valid_range[0]) | (band > policy.valid_range[1])] = np.nan
    return chip


def _in_order(chip: Raster, X: PixelTable) -> Raster:
    """Bring the bands of a raster into the order of the first one of the table."""
    order = band_order(X.source_names, chip.bands, chip.n_bands)
    if isinstance(order, slice):
        return chip
    return chip.with_values(chip.cube[order], bands=X.source_names)
