"""The time axis of a raster: its dates, and functions of time series applied to all pixels block by block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pixelwise.errors import GridError
from pixelwise.raster.carriers import Raster
from pixelwise.raster.io import band_as_nan
from pixelwise.table.layout import ToPixelMajor

__all__ = ["WIDTH", "choose", "dates_of", "days_of", "map_series", "steps_of"]

#: Series in a block. Each block is filled up to it, so that sums and matrix products take the same steps wherever a chip
#: begins.
WIDTH = 4096

_HOW = "give a DataArray with a dimension and coordinate 'time', or a table with columns such as 'B04_2018-01-31'"


def steps_of(raster: Raster, name: str, least: int = 1) -> int:
    """Return the number of dates of a raster.

    Parameters
    ----------
    raster : Raster
        Values of shape (band, time, y, x).
    name : str
        The operator that asks, for the error.
    least : int, default=1
        How many dates it needs.

    Returns
    -------
    int

    Raises
    ------
    GridError
        If the raster has no time axis, or too few dates.
    """
    shape = tuple(raster.values.shape)
    if len(shape) != 4:
        raise GridError(f"{name} needs a time axis, and a raster of shape {shape} has none: {_HOW}", shape=shape)
    if shape[1] < least:
        raise GridError(f"{name} needs {least} dates or more, and the raster has {shape[1]}: stack more", dates=shape[1])
    return int(shape[1])


def dates_of(raster: Raster, name: str) -> np.ndarray:
    """Return the dates of a raster.

    Parameters
    ----------
    raster : Raster
        Values of shape (band, time, y, x).
    name : str
        The operator that asks, for the error.

    Returns
    -------
    ndarray of datetime64[ns], shape (time,)

    Raises
    ------
    GridError
        If the raster has no time axis or no dates, or a date is missing.
    """
    steps_of(raster, name)
    if raster.times is None:
        raise GridError(f"{name} needs the dates, and the raster's time axis has none: {_HOW}")
    given = np.asarray(raster.times)
    if given.dtype.kind in "iufb":
        raise GridError(f"{name} needs dates, and the time axis holds numbers, such as {given[0]}: {_HOW}", found=given[0])
    try:
        dates = given.astype("datetime64[ns]")
    except (TypeError, ValueError):
        raise GridError(
            f"{name} needs dates, and '{given[0]}' is none: give datetime64, or text such as '2018-01-31'", found=given[0]
        ) from None
    if np.isnat(dates).any():
        raise GridError(f"{name} needs dates, and {np.isnat(dates).sum()} of {len(dates)} are NaT: drop these steps first")
    return dates


def days_of(raster: Raster, name: str, least: int = 1, even: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct dates of a raster in days, in their order.

    Parameters
    ----------
    raster : Raster
        Values of shape (band, time, y, x).
    name : str
        The operator that asks, for the errors.
    least : int, default=1
        How many dates it needs.
    even : bool, default=False
        Whether steps without dates may count as evenly spaced, one day apart.

    Returns
    -------
    days : ndarray of float64, shape (time,)
        Days since 1970, ascending.
    order : ndarray of int, shape (time,)
        Which step of the raster each of them is.

    Raises
    ------
    GridError
        If there are too few dates, or two are the same.
    """
    count = steps_of(raster, name, least)
    if raster.times is None and even:
        return np.arange(count, dtype=float), np.arange(count)
    dates = dates_of(raster, name)
    order = np.argsort(dates, kind="stable")
    ordered = dates[order]
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(twice):
        date = np.datetime_as_string(twice[0], "D")
        raise GridError(
            f"{name} needs one scene a date, and {date} has several: "
            "merge them with pw.temporal.TimeAggregate(freq='day') first",
            date=date,
        )
    return ordered.astype(np.int64) / 86_400e9, order


def map_series(
    raster: Raster,
    function: Callable[[np.ndarray], np.ndarray],
    n_out: int,
    order: np.ndarray | None = None,
) -> np.ndarray:
    """Apply a function of time series to all bands and pixels.

    Parameters
    ----------
    raster : Raster
        Values of shape (band, time, y, x), as they are stored or with NaN where data is missing.
    function : callable
        From series of shape (time, WIDTH), which it leaves as they are, to (n_out, WIDTH). A series must not depend on its
        neighbours.
    n_out : int
        Number of values that it makes of each series.
    order : ndarray of int or None
        Steps in the order in which the function takes them; None takes the raster's.

    Returns
    -------
    ndarray of shape (band, n_out, y, x)
        In the raster's dtype, or float32 for integers.
    """
    bands, count, height, width = raster.values.shape
    result = np.empty((bands, n_out, height, width), np.result_type(raster.values.dtype, np.float32))
    layout, series = ToPixelMajor(), np.empty((count, WIDTH), result.dtype)
    rows: Any = slice(None) if order is None or (order == np.arange(count)).all() else order
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        for band, out in enumerate(result):
            flat, out = layout.flatten(band_as_nan(raster, band)), layout.flatten(out)
            for start in range(0, flat.shape[1], WIDTH):
                part = flat[rows, start : start + WIDTH]
                whole = part.shape[1] == WIDTH
                if not whole:
                    series[:, : part.shape[1]] = part
                    series[:, part.shape[1] :] = np.nan
                out[:, start : start + WIDTH] = function(part if whole else series)[:, : part.shape[1]]
    return result


def choose(value: object, name: str, choices: tuple[object, ...]) -> None:
    """Refuse a value that is not among the choices of a parameter."""
    if value not in choices:
        raise ValueError(f"{name}={value!r} is not known: choose one of {', '.join(map(repr, choices))}")
