"""The date of a scene, from tags and names that leave no doubt."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

from pixelwise.errors import CatalogError

__all__ = ["as_time", "date_in_name", "date_in_tags", "time_range", "time_spans"]

#: Tags that hold when a scene was sensed, in lower case; the date of a TIFF itself is that of the writing.
_TAGS = (
    "datetime", "acquisition_datetime", "acquisitiondatetime", "acquisition_date", "acquisitiondate", "date_acquired",
    "sensing_time", "sensingtime", "datatake_sensing_start", "product_start_time", "start_datetime", "time_coverage_start",
)  # fmt: skip
#: A year, month and day in one piece or with - or _ between, perhaps with a time, that no digit touches.
_DATE = re.compile(
    r"(?<!\d)((?:19|20)\d\d)([-_]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])"
    r"(?:[T_-]?([01]\d|2[0-3])[:-]?([0-5]\d)[:-]?([0-5]\d))?(?!\d)"
)
#: Products whose names hold several dates, of which the first is the acquisition: Sentinel and Landsat collections.
_FIRST = re.compile(r"^(S[1-6][A-D_]_|L[COTEM]0[1-9]_)")
#: Landsat scenes before the collections: sensor, path and row, year and day of the year.
_DAY_OF_YEAR = re.compile(r"(?<![A-Za-z0-9])L[COTEM][1-9]\d{6}((?:19|20)\d\d)([0-3]\d\d)(?!\d)")


def as_time(value: Any) -> pd.Timestamp | None:
    """Return a time in UTC, without a time zone; None for what is no time.

    Parameters
    ----------
    value : object
        Text, a date, a number of numpy.

    Returns
    -------
    pandas.Timestamp or None
    """
    try:
        time = pd.to_datetime(value, utc=True)
    except (ValueError, TypeError):
        return None
    return None if pd.isna(time) else time.tz_localize(None)


def date_in_tags(tags: Mapping[str, str]) -> pd.Timestamp | None:
    """Return when a scene was sensed, from the tags of its file; None where none of them says so.

    Parameters
    ----------
    tags : mapping of str to str
        As GDAL gives them.

    Returns
    -------
    pandas.Timestamp or None

    Examples
    --------
    >>> from pixelwise.catalog.dates import date_in_tags
    >>> date_in_tags({"ACQUISITION_DATE": "2017-02-16", "TIFFTAG_DATETIME": "2021:05:01 12:00:00"})
    Timestamp('2017-02-16 00:00:00')
    """
    lower = {key.lower(): value for key, value in tags.items()}
    return next((time for name in _TAGS if name in lower and (time := as_time(lower[name])) is not None), None)


def date_in_name(name: str) -> pd.Timestamp | None:
    """Return the date in a name: the only one in it, or the first one of a Sentinel or Landsat product.

    Parameters
    ----------
    name : str
        Of a file or folder, without its suffix.

    Returns
    -------
    pandas.Timestamp or None
        None where there is no date, or several different ones.

    Examples
    --------
    >>> from pixelwise.catalog.dates import date_in_name
    >>> date_in_name("T33UUU_20170216T102101")
    Timestamp('2017-02-16 10:21:01')
    >>> date_in_name("LC08_L2SP_193023_20200508_20200820_02_T1")
    Timestamp('2020-05-08 00:00:00')
    >>> date_in_name("LE70350322008118EDC00")
    Timestamp('2008-04-27 00:00:00')
    >>> date_in_name("change_20200508_20210511")
    """
    early = _DAY_OF_YEAR.search(name)
    if early is not None:
        return _day_of_year(int(early[1]), int(early[2]))
    found = [_as_timestamp(match) for match in _DATE.finditer(name)]
    times = [time for time in found if time is not None]
    if not times:
        return None
    return times[0] if len(set(times)) == 1 or _FIRST.match(name) else None


def _as_timestamp(match: re.Match[str]) -> pd.Timestamp | None:
    year, _, month, day, *clock = match.groups()
    try:
        return pd.Timestamp(int(year), int(month), int(day), *(int(part or 0) for part in clock))
    except ValueError:
        return None


def _day_of_year(year: int, day: int) -> pd.Timestamp | None:
    time = pd.Timestamp(year, 1, 1) + pd.Timedelta(days=day - 1)
    return time if day >= 1 and time.year == year else None


def time_range(when: Any) -> tuple[pd.Timestamp, pd.Timestamp]:
    """Return first and last moment of a time, of a whole day, month or year, or of two of them.

    Parameters
    ----------
    when : str, date, or (start, end)
        As `GeoCatalog.query` takes it.

    Returns
    -------
    start, end : pandas.Timestamp

    Raises
    ------
    CatalogError
        If it is no time.

    Examples
    --------
    >>> from pixelwise.catalog.dates import time_range
    >>> [str(time) for time in time_range("2024-06/2024-08")]
    ['2024-06-01 00:00:00', '2024-08-31 23:59:59.999999']
    """
    parts = when.split("/") if isinstance(when, str) else list(when) if isinstance(when, tuple | list) else [when]
    if len(parts) not in (1, 2):
        raise CatalogError(f"datetime={when!r} is no time: write '2024-06', '2024-06-01/2024-08-31', or a pair", datetime=when)
    start, end = _moments(parts[0], pd.Timestamp.min)[0], _moments(parts[-1], pd.Timestamp.max)[1]
    return start, end


def time_spans(frame: pd.DataFrame) -> tuple[pd.Series[Any], pd.Series[Any]]:
    """Return the first and the last moment of each scene: those that STAC tells of a composite, or else its date.

    Parameters
    ----------
    frame : DataFrame
        The frame of a catalog.

    Returns
    -------
    start, end : Series of datetime64[ns]
        NaT where a scene has no date.
    """
    sides = []
    for name in ("start_datetime", "end_datetime"):
        told = [as_time(value) for value in frame[name]] if name in frame.columns else [None] * len(frame)
        sides.append(pd.Series(told, index=frame.index, dtype="datetime64[ns]").fillna(frame["datetime"]))
    return sides[0], sides[1]


def _moments(part: Any, open_end: pd.Timestamp) -> tuple[pd.Timestamp, pd.Timestamp]:
    if part is None or part in ("", ".."):
        return open_end, open_end
    if isinstance(part, str):
        whole = re.fullmatch(r"\s*\d{4}(-\d\d){0,2}\s*", part)
        try:
            period = pd.Period(part.strip(), freq={0: "Y", 1: "M", 2: "D"}[part.count("-")]) if whole else None
        except ValueError:
            period = None
        if period is not None:
            return _whole(period)
    elif isinstance(part, dt.date) and not isinstance(part, dt.datetime):
        day = pd.Period(part, freq="D")
        return _whole(day)
    time = as_time(part)
    if time is None:
        raise CatalogError(f"{part!r} is no time: write it as '2024-06', '2024-06-01' or '2024-06-01T10:20:00'", datetime=part)
    return time, time


def _whole(period: pd.Period) -> tuple[pd.Timestamp, pd.Timestamp]:
    """Return first and last microsecond: the last nanosecond is one in some versions of pandas and not in others."""
    return period.start_time, (period + 1).start_time - pd.Timedelta(microseconds=1)
