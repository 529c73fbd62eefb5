"""Columns that are pairs of a band and a date, such as ``B04_2018-01-31``, as a time axis and back."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import rasterio

from pixelwise.raster.carriers import Raster
from pixelwise.raster.grid import Grid

__all__ = ["column_name", "raster_to_rows", "rows_to_raster", "split_column"]

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


def column_name(band: str, date: np.datetime64) -> str:
    """Return the name of the column of a band at a date: with the time of day where it is not midnight.

    Examples
    --------
    >>> import numpy as np
    >>> from pixelwise.operators.time_columns import column_name
    >>> column_name("B04", np.datetime64("2018-01-31", "ns"))
    'B04_2018-01-31'
    """
    whole = date == date.astype("datetime64[D]")
    return f"{band}_{np.datetime_as_string(date, 'D' if whole else 's')}"


def rows_to_raster(values: np.ndarray, names: Sequence[str] | None) -> Raster:
    """Return rows as a raster of pixels without neighbours, with a time axis where all columns are named by band and date.

    Parameters
    ----------
    values : ndarray of shape (n, n_columns)
        One row a pixel.
    names : sequence of str or None
        Name of each column.

    Returns
    -------
    Raster
        Values of shape (n_columns, n, 1), or (band, time, n, 1) with the dates ascending; NaN where a band lacks a date.
    """
    columns = values.T[:, :, None]
    grid = Grid(None, rasterio.Affine.identity(), len(values), 1)
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


def raster_to_rows(raster: Raster, names: Sequence[str] | None = None) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Return a raster of pixels without neighbours as rows: the way back from `rows_to_raster`.

    Parameters
    ----------
    raster : Raster
        Values of shape (band, n, 1) or (band, time, n, 1).
    names : sequence of str or None
        Names of the columns that came in; those that are still there keep their spelling, and their order where all are.

    Returns
    -------
    table : ndarray of shape (n, n_columns)
        C order; the dates of a band side by side.
    names : tuple of str or None
        ``B04_2018-01-31`` ..., or the bands where there is no time axis.
    """
    if raster.values.ndim < 4:
        return np.ascontiguousarray(raster.cube[:, :, 0].T), raster.bands
    columns = np.concatenate(list(raster.values))[:, :, 0]
    spelled = {pair: name for name in names or () if (pair := split_column(name)) is not None}
    # An operator that keeps the steps may leave it to us to remember their dates.
    times = raster.times or sorted({date for _, date in spelled})
    pairs = [(band, date) for band in raster.names for date in times]
    found = [spelled.get(pair) or column_name(*pair) for pair in pairs]
    if names is not None and set(found) == set(names):
        at = [found.index(name) for name in names]
        columns, found = columns[at], list(names)
    return np.ascontiguousarray(columns.T), tuple(found)
