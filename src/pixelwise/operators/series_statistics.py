"""Statistics of many series at once that pass over missing values."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import numpy as np

__all__ = ["EXTREMES", "STATISTICS", "percentiles"]


def percentiles(series: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return percentiles of each series over its valid dates, interpolated linearly.

    Parameters
    ----------
    series : ndarray of float, shape (time, n)
        NaN where data is missing.
    shares : ndarray of float64, shape (k,)
        From 0 to 1.

    Returns
    -------
    ndarray of shape (k, n)
        NaN where no date is valid.
    """
    # Rows sort faster than columns, and NaN comes last.
    ordered = np.sort(np.ascontiguousarray(series.T), axis=1)
    last = series.shape[0] - 1 - np.isnan(series).sum(axis=0)
    at = np.maximum(last, 0) * shares[:, None]
    low = at.astype(np.intp)
    rows = np.arange(series.shape[1])
    lower, upper = ordered[rows, low], ordered[rows, np.minimum(low + 1, np.maximum(last, 0))]
    found: np.ndarray = lower + (upper - lower) * (at - low).astype(series.dtype)
    return found


def _sum_and_count(series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    total = np.add.reduce(series, axis=0, dtype=float)
    if not np.isnan(total).any():
        return total, np.full(total.shape, len(series), np.int32)
    valid = ~np.isnan(series)
    # A sum in a wider type than that of its numbers takes several times as long.
    kind = np.uint8 if len(series) < 256 else np.int32
    count = np.add.reduce(valid.view(np.uint8), axis=0, dtype=kind).astype(np.int32)
    return np.where(valid, series, 0).sum(axis=0, dtype=float), count


def _sum(series: np.ndarray) -> np.ndarray:
    total, count = _sum_and_count(series)
    return np.where(count > 0, total, np.nan)


def _count(series: np.ndarray) -> np.ndarray:
    return _sum_and_count(series)[1]


def _mean(series: np.ndarray) -> np.ndarray:
    total, count = _sum_and_count(series)
    found: np.ndarray = total / count
    return found


def _std(series: np.ndarray) -> np.ndarray:
    away = series - _mean(series)
    found: np.ndarray = np.sqrt(_mean(np.square(away, out=away)))
    return found


def _first(series: np.ndarray) -> np.ndarray:
    found = np.full(series.shape[1], np.nan, series.dtype)
    for values in series[::-1]:
        np.copyto(found, values, where=~np.isnan(values))
    return found


def _last(series: np.ndarray) -> np.ndarray:
    return _first(series[::-1])


def _median(series: np.ndarray) -> np.ndarray:
    if not len(series):
        return np.full(series.shape[1], np.nan, series.dtype)
    found: np.ndarray = percentiles(series, np.array([0.5]))[0]
    return found


def _extreme(series: np.ndarray, pick: np.ufunc) -> np.ndarray:
    found: np.ndarray = pick.reduce(series, axis=0, initial=series.dtype.type(np.nan))
    return found


#: Statistics that a ufunc finds alone.
EXTREMES: Mapping[str, np.ufunc] = {"min": np.fmin, "max": np.fmax}
#: What `TimeAggregate` takes: functions from (time, n), NaN where data is missing, to (n,).
STATISTICS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean": _mean,
    "median": _median,
    **{name: functools.partial(_extreme, pick=pick) for name, pick in EXTREMES.items()},
    "sum": _sum,
    "std": _std,
    "count": _count,
    "first": _first,
    "last": _last,
}
