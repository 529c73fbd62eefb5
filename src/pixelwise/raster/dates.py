"""Dates of rasters and tables: what counts as one, and how columns of a band and a date are named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from pixelwise.errors import GridError

__all__ = ["TimeAxis", "as_times", "ascending", "check_same_dates", "date_labels", "dated_names", "described"]

#: Dates as they are given: text, datetime, datetime64, or numbers of years or steps.
Dates: TypeAlias = Sequence[Any] | np.ndarray


@dataclass(frozen=True, eq=False)
class TimeAxis:
    """What tells that the columns of a table are pairs of a band and a date: band by band, the dates of each ascending.

    Parameters
    ----------
    bands : tuple of str
        Names of the bands, each of which has `n_times` columns.
    times : ndarray of datetime64[ns] or None
        Their dates; None where the raster's time axis has no coordinate.
    n_times : int
        Number of dates.
    """

    bands: tuple[str, ...]
    times: np.ndarray | None
    n_times: int

    def same_as(self, other: TimeAxis | None) -> bool:
        """Whether another axis has the same dates."""
        if other is None or other.n_times != self.n_times:
            return False
        if self.times is None or other.times is None:
            return self.times is other.times
        return bool(np.array_equal(self.times, other.times))


def as_times(times: Dates | None) -> np.ndarray | None:
    """Return dates as datetime64[ns]; what is no date (years, numbers of steps) as it is.

    Examples
    --------
    >>> from pixelwise.raster.dates import as_times
    >>> as_times(["2018-01-31"])
    array(['2018-01-31T00:00:00.000000000'], dtype='datetime64[ns]')
    >>> as_times([1, 2])
    array([1, 2])
    """
    if times is None:
        return None
    given = np.asarray(times)
    if given.dtype.kind in "iufb":
        return given
    try:
        return given.astype("datetime64[ns]")
    except (TypeError, ValueError):
        return given.astype(str)


def ascending(times: Dates | None) -> np.ndarray | None:
    """Return the steps in the order of their dates; None where they stand in it, or have none.

    Examples
    --------
    >>> from pixelwise.raster.dates import ascending
    >>> ascending(["2018-03-01", "2018-01-31"]), ascending([1, 2])
    (array([1, 0]), None)
    """
    given = as_times(times)
    if given is None or given.dtype.kind not in "Miuf" or bool((given[1:] >= given[:-1]).all()):
        return None
    return np.argsort(given, kind="stable")


def date_labels(times: Dates) -> list[str]:
    """Return how dates stand in the names of columns: by month where no two share one, else in full.

    Parameters
    ----------
    times : sequence of datetime64, str or number
        The dates.

    Returns
    -------
    list of str
        All of them ``2018-01``; or all ``2018-01-31``, with the time of day where days alone do not tell them apart.

    Raises
    ------
    GridError
        If a date is missing, or stands twice.

    Examples
    --------
    >>> from pixelwise.raster.dates import date_labels
    >>> date_labels(["2018-01-31", "2018-02-16"]), date_labels(["2018-01-15", "2018-01-31"])
    (['2018-01', '2018-02'], ['2018-01-15', '2018-01-31'])
    """
    given = as_times(times)
    assert given is not None
    if given.dtype.kind == "M":
        if np.isnat(given).any():
            raise GridError(f"{np.isnat(given).sum()} of {len(given)} dates are missing (NaT): drop these steps first")
        found = [np.datetime_as_string(given, unit) for unit in ("M", "D", "s", "ns")]
        labels: list[str] = next((text.tolist() for text in found if len(set(text)) == len(text)), found[-1].tolist())
    else:
        labels = [str(step) for step in given.tolist()]
    twice = next((label for at, label in enumerate(labels) if label in labels[:at]), None)
    if twice is not None:
        raise GridError(
            f"date {twice} stands twice on the time axis: merge its scenes first, with pw.temporal.TimeAggregate(freq='day')",
            date=twice,
        )
    return labels


def dated_names(bands: Sequence[str], times: Dates | None, n_times: int) -> list[str]:
    """Return the names of columns of bands and dates: all dates of the first band, then of the next.

    Parameters
    ----------
    bands : sequence of str
        Names of the bands; none for a single one that needs none.
    times : sequence or None
        Their dates; None counts them: ``B04_t1`` ...
    n_times : int
        Number of dates.

    Returns
    -------
    list of str

    Examples
    --------
    >>> from pixelwise.raster.dates import dated_names
    >>> dated_names(["B04", "B08"], ["2018-01-31", "2018-02-16"], 2)
    ['B04_2018-01', 'B04_2018-02', 'B08_2018-01', 'B08_2018-02']
    """
    labels = [f"t{number}" for number in range(1, n_times + 1)] if times is None else date_labels(times)
    return [f"{band}_{label}" for band in bands for label in labels] if bands else labels


def described(times: Any) -> str:
    """Return a few words on dates, for messages.

    Examples
    --------
    >>> from pixelwise.raster.dates import described
    >>> described(["2018-01-31", "2018-02-16", "2018-03-04"])
    '3 dates (2018-01-31 to 2018-03-04)'
    """
    if times is None:
        return "a time axis without dates"
    given = as_times(times)
    assert given is not None
    ordered = np.sort(given)
    text = np.datetime_as_string(ordered, "D") if given.dtype.kind == "M" else ordered.astype(str)
    return f"{len(text)} dates ({text[0]} to {text[-1]})" if len(text) > 1 else f"1 date ({text[0]})"


def check_same_dates(first: TimeAxis | None, other: TimeAxis | None, number: int) -> None:
    """Refuse to put tables under each other whose columns stand for other dates, since no operator could tell them apart.

    Parameters
    ----------
    first, other : TimeAxis or None
        Those of the first raster and of another.
    number : int
        Which one that is.

    Raises
    ------
    GridError
        If the dates differ.
    """
    if first is other or (first is not None and first.same_as(other)):
        return
    dates = ["no time axis" if axis is None else described(axis.times) for axis in (first, other)]
    raise GridError(
        f"raster 0 has {dates[0]}, and raster {number} has {dates[1]}, other ones: bring both to the same slots first, "
        "as pw.temporal.TimeAggregate(freq='month') or pw.temporal.MonthlyComposite does"
    )
