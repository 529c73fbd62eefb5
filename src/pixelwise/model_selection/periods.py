"""Splitters by date: a year or a season is left out, or the future is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pixelwise.errors import FoldError
from pixelwise.model_selection.regions import column_of
from pixelwise.model_selection.splitter import SpatialSplitter, n_rows
from pixelwise.raster.dates import as_times, described
from pixelwise.table.pixels import PixelTable

__all__ = ["ForwardTimeSplit", "LeavePeriodOut"]

_PERIODS = ("year", "season", "month", "day")
_SEASONS = np.array(["DJF", "MAM", "JJA", "SON"])


class LeavePeriodOut(SpatialSplitter):
    """Cross-validation that holds out one year, season, month or day a fold, to ask how a model does at new dates.

    Parameters
    ----------
    period : {"year", "season", "month", "day"}, default="year"
        What is left out. Seasons (DJF, MAM, JJA, SON) and months are those of the calendar, whatever the year; a day is one
        date.
    time : str or None, default=None
        Column of X with the dates; None takes `groups`, and where there are none, the dates of a PixelTable's rows
        (``X.row_times``).

    See Also
    --------
    ForwardTimeSplit : Trains on the past, tests on the future.
    SpaceTimeKFold : Leaves out places too.

    Examples
    --------
    >>> import pixelwise as pw
    >>> scene, polygons = pw.datasets.make_example()
    >>> X, y = pw.extract_pixels([scene] * 3, polygons, column="class", times=["2019-06-01", "2020-05-30", "2020-12-24"])
    >>> for period in ("year", "season"):
    ...     cv = pw.LeavePeriodOut(period)
    ...     print(cv.period_ids(X)[[0, 1200, 2400]].tolist(), [len(test) for _, test in cv.split(X, y)])
    [2019, 2020, 2020] [1200, 2400]
    ['JJA', 'MAM', 'DJF'] [1200, 1200, 1200]
    """

    def __init__(self, period: str = "year", *, time: str | None = None) -> None:
        self.period = period
        self.time = time

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds, which is that of periods with samples.

        Parameters
        ----------
        X, y, groups : object
            As for `split`.

        Returns
        -------
        int
        """
        if X is None and groups is None:
            raise ValueError("the number of folds is that of periods with samples: pass X, or groups")
        return len(np.unique(self.period_ids(groups if X is None else X, groups)))

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the rows of training and test of each fold, period after period.

        Parameters
        ----------
        X : PixelTable, DataFrame, or array
            The samples.
        y : object
            Not used.
        groups : array-like of datetime, shape (n,), or None
            Date of each row; None takes them from X.

        Yields
        ------
        train, test : ndarray of int

        Raises
        ------
        FoldError
            If all samples lie in one period, or nothing gives their dates.
        """
        found = self.period_ids(X, groups)
        names = np.unique(found)
        if len(names) < 2:
            raise FoldError(f"all {len(found)} samples lie in {self.period} {names[0]}: leave out a shorter period")
        for name in names:
            yield np.flatnonzero(found != name), np.flatnonzero(found == name)

    def period_ids(self, X: Any, groups: Any = None) -> np.ndarray:
        """Return the period of each row: a year, "DJF" ..., a month from 1 to 12, or a date.

        Parameters
        ----------
        X, groups : object
            As for `split`.

        Returns
        -------
        ndarray of shape (n,)
        """
        if self.period not in _PERIODS:
            raise FoldError(f"period={self.period!r} is not known: choose one of {', '.join(map(repr, _PERIODS))}")
        dates = _dates_of(X, groups, self.time)
        if self.period == "day":
            return dates.astype("datetime64[D]")
        months = dates.astype("datetime64[M]").astype(int)
        if self.period == "year":
            return np.asarray(months // 12 + 1970)
        month = months % 12
        return np.asarray(month + 1 if self.period == "month" else _SEASONS[(month + 1) // 3 % 4])


class ForwardTimeSplit(SpatialSplitter):
    """Train on the past and test on the future, further on with each fold, as `TimeSeriesSplit` does, but by date.

    The distinct dates are cut into ``n_splits + 1`` runs of about as many dates each: a fold tests one run, and trains on all
    dates before it. All rows of a date stay together.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds.
    gap : float, default=0.0
        Days before the first test date in which no sample is trained on.
    time : str or None, default=None
        Column of X with the dates; None takes `groups`, and where there are none, the dates of a PixelTable's rows
        (``X.row_times``).

    See Also
    --------
    LeavePeriodOut : Leaves out years or seasons.
    sklearn.model_selection.TimeSeriesSplit : The same for rows in the order of time, one row a date.

    Examples
    --------
    >>> import pandas as pd, pixelwise as pw
    >>> X = pd.DataFrame({"date": pd.to_datetime(["2020-01-01", "2020-03-01", "2020-02-01", "2020-02-01"]), "ndvi": 0.5})
    >>> [(train.tolist(), test.tolist()) for train, test in pw.ForwardTimeSplit(2, time="date").split(X)]
    [([0], [2, 3]), ([0, 2, 3], [1])]
    """

    def __init__(self, n_splits: int = 5, *, gap: float = 0.0, time: str | None = None) -> None:
        self.n_splits = n_splits
        self.gap = gap
        self.time = time

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the rows of training and test of each fold, the earliest test first.

        Parameters
        ----------
        X : PixelTable, DataFrame, or array
            The samples.
        y : object
            Not used.
        groups : array-like of datetime, shape (n,), or None
            Date of each row; None takes them from X.

        Yields
        ------
        train, test : ndarray of int

        Raises
        ------
        FoldError
            If there are too few dates, nothing gives them, or the gap leaves nothing to train on.
        """
        n_splits: Any = self.n_splits
        if not isinstance(n_splits, int | np.integer) or n_splits < 1:
            raise FoldError(f"n_splits={self.n_splits!r}: give the number of folds, 1 or more")
        given: Any = self.gap
        if not isinstance(given, int | float | np.number) or not 0 <= given < np.inf:
            raise FoldError(f"gap={self.gap!r}: give days, 0 or more")
        dates = _dates_of(X, groups, self.time)
        distinct = np.unique(dates)
        if len(distinct) <= self.n_splits:
            raise FoldError(f"{described(distinct)} cannot make {self.n_splits} folds and a past: lower n_splits")
        gap = np.timedelta64(round(float(self.gap) * 86_400), "s")
        for number, run in enumerate(np.array_split(distinct, self.n_splits + 1)[1:]):
            test = (dates >= run[0]) & (dates <= run[-1])
            train = dates < run[0] - gap
            if not train.any():
                raise FoldError(
                    f"fold {number} trains on nothing, because no date lies more than gap={self.gap:g} days before "
                    f"{np.datetime_as_string(run[0], 'D')}: make the gap smaller, or lower n_splits",
                    fold=number,
                )
            yield np.flatnonzero(train), np.flatnonzero(test)


def _dates_of(X: Any, groups: Any, column: str | None) -> np.ndarray:
    """Return the date of each row."""
    if column is not None:
        found = column_of(X, column)
        if found is None:
            raise FoldError(f"X has no column {column!r} that gives the dates: pass a DataFrame that has it, or groups=")
        what = f"column {column!r}"
    elif groups is not None:
        found, what = np.asarray(groups), "groups"
        if found.shape != (n_rows(X),):
            raise FoldError(f"groups has shape {found.shape}, and X has {n_rows(X)} rows: give a date for each")
    elif isinstance(X, PixelTable) and X.row_times is not None:
        found, what = X.row_times, "X.row_times"
    elif isinstance(X, PixelTable) and X.axis is not None:
        raise FoldError(
            "the dates of this table are columns, so each row is of all of them: "
            "pass ToTemporalPixelMajor('samples')(X), which has a row a date"
        )
    else:
        raise FoldError("nothing gives the date of each row: pass time= with a column of X, groups=, or extract with times=")
    dates = as_times(found.astype(str) if found.dtype == object else found)
    if dates is None or dates.dtype.kind != "M" or np.isnat(dates).any():
        raise FoldError(f"{what} holds {found.ravel()[0]!r}, which is no date: give datetime64, or text such as '2018-01-31'")
    return dates
