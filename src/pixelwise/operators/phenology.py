"""Phenology: when a season starts and ends, how high it peaks, and what lies under its curve."""

from __future__ import annotations

import functools
import re

import numpy as np

from pixelwise.operators.base import Operator
from pixelwise.operators.gap_filling import fill_linearly
from pixelwise.operators.time_axis import dates_of, days_of, map_series
from pixelwise.raster.carriers import Raster

__all__ = ["PhenologyMetrics"]

_METRICS = ("start", "end", "length", "peak", "peak_date", "amplitude", "integral")


class PhenologyMetrics(Operator):
    """Describe the season of each series by thresholds of its amplitude, as TIMESAT does [1]_.

    Between valid dates the curve is linear. The *peak* is its largest value, the first one if there are several. The season
    *starts* where the curve, followed back from the peak, falls to the left minimum plus `threshold` times the rise from there
    to the peak; the left minimum is the smallest value before the peak. It *ends* where the curve falls likewise towards the
    right minimum, after the peak.

    Parameters
    ----------
    threshold : float, default=0.5
        Share of the amplitude, from 0 to 1, that the curve has reached at start and end.
    min_amplitude : float, default=0.0
        Smallest amplitude that is a season, in the units of the raster.
    origin : str, default="01-01"
        Month and day that is day 1, in the year that puts it nearest to the first date. Give "07-01" for seasons round the turn
        of the year.

    Raises
    ------
    GridError
        If the raster has no time axis, no dates, fewer than three, or two scenes of one date.

    See Also
    --------
    HarmonicFeatures : Describes series that have no clear season.
    SavitzkyGolay, Whittaker : Smooth noisy series first.

    Notes
    -----
    One season a raster: select its dates first (``stack.sel(time="2018")``). Shape (band, time, y, x) becomes (7 band, y, x) in
    the same dtype, with bands such as ``ndvi_start``:

    - start, end, peak_date: days, 1 at `origin`; so day of the year by default, below 1 or above 365 beyond it.
    - length: days from start to end.
    - peak: largest value. amplitude: peak minus the mean of the left and right minimum.
    - integral: area under the curve from start to end (down to zero), in value times days.

    What the dates do not show is NaN: the start of a season that peaks on the first valid date, the end of one that peaks on
    the last, the amplitude of both, and start and end where the amplitude is below `min_amplitude`.

    References
    ----------
    .. [1] Jönsson, P. and Eklundh, L. (2004): TIMESAT - a program for analyzing time-series of satellite sensor data. Computers
       and Geosciences 30, 833-845.

    Examples
    --------
    >>> import numpy as np, pandas as pd, xarray as xr, pixelwise as pw
    >>> dates = pd.to_datetime(["2018-01-01", "2018-04-11", "2018-07-20", "2018-10-28"])
    >>> ndvi = xr.DataArray(np.array([0.2, 0.4, 0.8, 0.2])[:, None, None], {"time": dates}, ("time", "y", "x"))
    >>> metrics = pw.temporal.PhenologyMetrics()(ndvi)
    >>> dict(zip([band[7:] for band in metrics.band.values.tolist()], metrics.values.ravel().round(2).tolist()))
    {'start': 126.0, 'end': 251.0, 'length': 125.0, 'peak': 0.8, 'peak_date': 201.0, 'amplitude': 0.6, 'integral': 81.25}
    """

    def __init__(self, threshold: float = 0.5, min_amplitude: float = 0.0, origin: str = "01-01") -> None:
        self.threshold = threshold
        self.min_amplitude = min_amplitude
        self.origin = origin

    def apply(self, raster: Raster) -> Raster:
        """Find the season of all series."""
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold={self.threshold!r} is no share of the amplitude: give one between 0 and 1")
        name = type(self).__name__
        days, order = days_of(raster, name, least=3)
        days = days - _origin(dates_of(raster, name).min(), self.origin) + 1
        find = functools.partial(_metrics, days=days, threshold=self.threshold, least=self.min_amplitude)
        values = map_series(raster, find, len(_METRICS), order)
        bands = tuple(f"{band}_{metric}" for band in raster.names for metric in _METRICS)
        return raster.with_values(np.concatenate(values), bands=bands, nodata=(float("nan"),), times=None)


def _origin(first: np.datetime64, text: str) -> float:
    """Return the day of an origin near a date, in days since 1970."""
    if not re.fullmatch(r"(0\d|1[0-2])-([0-2]\d|3[01])", text):
        raise ValueError(f"origin={text!r} is no month and day: write it as '07-01'")
    year = int(first.astype("datetime64[Y]").astype(int)) + 1970
    try:
        near = [np.datetime64(f"{number}-{text}", "D") for number in (year, year - 1, year + 1)]
    except ValueError:
        raise ValueError(f"origin={text!r} is no day of every year: write one such as '07-01'") from None
    return float(min((day.astype(np.int64) for day in near), key=lambda day: abs(day - first.astype(np.int64) / 86_400e9)))


def _metrics(series: np.ndarray, days: np.ndarray, threshold: float, least: float) -> np.ndarray:
    curve = fill_linearly(series, days).astype(float, copy=False)
    missing = np.isnan(curve)
    steps = np.arange(len(curve))[:, None]
    top = np.where(missing, -np.inf, curve).argmax(axis=0)
    columns = np.arange(curve.shape[1])
    peak, peak_date = curve[top, columns], np.where(missing.all(axis=0), np.nan, days[top])
    left = np.fmin.reduce(np.where(steps <= top, curve, np.nan), axis=0)
    right = np.fmin.reduce(np.where(steps >= top, curve, np.nan), axis=0)
    amplitude = np.where((left < peak) & (right < peak), peak - (left + right) / 2, np.nan)
    low, high = left + threshold * (peak - left), right + threshold * (peak - right)
    # The last date before the peak, and the first after it, at which the curve has fallen to the level.
    before = np.where((steps < top) & (curve <= low), steps, -1).max(axis=0)
    after = np.where((steps > top) & (curve <= high), steps, len(steps)).min(axis=0)
    start = np.where(before >= 0, _crossing(curve, days, np.maximum(before, 0), low), np.nan)
    end = np.where(after < len(steps), _crossing(curve, days, np.minimum(after, len(steps) - 1) - 1, high), np.nan)
    start[amplitude < least] = end[amplitude < least] = np.nan
    return np.stack([start, end, end - start, peak, peak_date, amplitude, _area(curve, days, start, end)])


def _crossing(curve: np.ndarray, days: np.ndarray, step: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Return the day at which the line from a step to the next reaches a level."""
    columns = np.arange(curve.shape[1])
    here, following = curve[step, columns], curve[step + 1, columns]
    day: np.ndarray = days[step] + (level - here) / (following - here) * (days[step + 1] - days[step])
    return day


def _area(curve: np.ndarray, days: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the area under a curve of straight lines between two days."""
    area = np.where(np.isnan(start + end), np.nan, 0.0)
    for here, following, day, next_day in zip(curve[:-1], curve[1:], days[:-1], days[1:], strict=True):
        first, last = np.maximum(start, day), np.minimum(end, next_day)
        middle = here + (following - here) / (next_day - day) * ((first + last) / 2 - day)
        np.add(area, middle * (last - first), out=area, where=last > first)
    return area
