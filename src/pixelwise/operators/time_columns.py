"""Columns that are pairs of a band and a date, such as ``B04_2018-01-31``, as a time axis and back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import rasterio

from pixelwise.raster.carriers import Raster
from pixelwise.raster.dates import TimeAxis, as_times, ascending, date_labels, dated_names
from pixelwise.raster.grid import Grid
from pixelwise.table.layout import bands_by_dates

__all__ = ["Rows", "raster_to_rows", "rows_to_raster", "split_column"]

#: Values of shape (n, n_columns), names of the columns, and the bands and dates that the columns are pairs of.
Rows: TypeAlias = tuple[np.ndarray, tuple[str, ...] | None, TimeAxis | None]

_DATED = re.compile(r"(.+)_(\d{4}-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01])(?:T\d\d(?::?\d\d){0,2}(?:\.\d+)?)?)?)")


def split_column(name: str) -> tuple[str, np.datetime64] | None:
    """Return band and date of a column's name, or None where it ends on no date.

    Examples
    --------
    >>> from pixelwise.operators.time_columns import split_column
    >>> split_column("B04_2018-01-31")[0], split_column("B04_01")
    ('B04', None)
    """
    found = _DATED.fullmatch(name)
    try:
        return None if found is None else (found[1], np.datetime64(found[2], "ns"))
    except ValueError:
        return None


def rows_to_raster(values: np.ndarray, names: Sequence[str] | None, axis: TimeAxis | None = None) -> Raster:
    """Return rows as a raster of pixels without neighbours, with a time axis where the columns are pairs of bands and dates.

    Parameters
    ----------
    values : ndarray of shape (n, n_columns)
        One row a pixel.
    names : sequence of str or None
        Name of each column; where no axis is given, and all end on a date, they tell it.
    axis : TimeAxis or None
        Bands and dates of the columns.

    Returns
    -------
    Raster
        Values of shape (n_columns, n, 1), or (band, time, n, 1) with the dates ascending; NaN where a band lacks a date.
    """
    grid = Grid(None, rasterio.Affine.identity(), len(values), 1)
    if axis is not None:
        cube = bands_by_dates(values, len(axis.bands)).transpose(1, 2, 0)[..., None]
        return Raster(cube, grid, axis.bands, times=None if axis.times is None else tuple(axis.times))
    columns = values.T[:, :, None]
    pairs = [split_column(name) for name in names or ()]
    known = [pair for pair in pairs if pair is not None]
    if not known or len(known) < len(pairs) or len(set(known)) < len(known):
        return Raster(columns, grid, None if names is None else tuple(names))
    bands = tuple(dict.fromkeys(band for band, _ in known))
    times = tuple(sorted({date for _, date in known}))
    at = {pair: column for column, pair in enumerate(known)}
    places = np.array([[at.get((band, date), -1) for date in times] for band in bands])
    cube = columns[places]
    if (places < 0).any():
        cube = cube.astype(np.result_type(cube.dtype, np.float32), copy=False)
        cube[places < 0] = np.nan
    return Raster(cube, grid, bands, times=times)


def raster_to_rows(raster: Raster, names: Sequence[str] | None = None) -> Rows:
    """Return a raster of pixels without neighbours as rows: the way back from `rows_to_raster`.

    Parameters
    ----------
    raster : Raster
        Values of shape (band, n, 1) or (band, time, n, 1).
    names : sequence of str or None
        Names of the columns that came in: dates that are still there keep their spelling, and columns their order where all
        are.

    Returns
    -------
    table : ndarray of shape (n, n_columns)
        C order; the dates of a band side by side, ascending.
    names : tuple of str or None
        ``B04_2018-01-31`` ..., or the bands where there is no time axis.
    axis : TimeAxis or None
        Bands and dates of the columns, unless they kept an order of their own.
    """
    if raster.values.ndim < 4:
        return np.ascontiguousarray(raster.cube[:, :, 0].T), raster.bands, None
    order = ascending(raster.times)
    cube = raster.values if order is None else raster.values[:, order]
    columns = np.concatenate(list(cube))[:, :, 0]
    spelled = {pair[1]: name.removeprefix(f"{pair[0]}_") for name in names or () if (pair := split_column(name)) is not None}
    times = as_times(raster.times)
    if times is None and len(spelled) == cube.shape[1]:
        # An operator that keeps the steps may leave it to us to remember their dates.
        times = np.sort(np.array(list(spelled), "datetime64[ns]"))
    times = times if times is None or order is None else times[order]
    axis = TimeAxis(raster.names, times, cube.shape[1])
    if raster.bands is None and times is None:
        return np.ascontiguousarray(columns.T), None, axis
    labels = _labels(times, spelled, cube.shape[1])
    found = [f"{band}_{label}" for band in raster.names for label in labels]
    if names is not None and list(names) != found and set(found) == set(names):
        at = [found.index(name) for name in names]
        return np.ascontiguousarray(columns[at].T), tuple(names), None
    return np.ascontiguousarray(columns.T), tuple(found), axis


def _labels(times: np.ndarray | None, spelled: dict[Any, str], n_times: int) -> list[str]:
    if times is None:
        return dated_names((), None, n_times)
    known = [spelled.get(date) for date in times]
    return [label for label in known if label is not None] if None not in known else date_labels(times)
