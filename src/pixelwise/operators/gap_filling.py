"""Gaps in time series filled from the dates around them."""

from __future__ import annotations

import functools

import numpy as np

from pixelwise.operators.base import Operator
from pixelwise.operators.time_axis import choose, days_of, map_series
from pixelwise.raster.carriers import Raster

__all__ = ["LinearGapFill", "fill_linearly"]


class LinearGapFill(Operator):
    """Fill gaps in time on the straight line between the valid dates before and after, per band and pixel.

    What `numpy.interp` makes of each series, with the dates as they are, irregular or not. Clouds and missing scenes leave such
    gaps; a model that takes no NaN needs them filled.

    Parameters
    ----------
    limit : float or None, default=None
        Longest gap that is filled, in days between the valid dates around it; at either end, in days to the nearest valid date.
        None fills all.
    edges : {"nearest", "nan"}, default="nearest"
        What stands before the first and after the last valid date: its value, as in `numpy.interp`, or NaN.

    Raises
    ------
    GridError
        If the raster has no time axis, two scenes of one date, or no dates for `limit`.

    See Also
    --------
    Whittaker : Fills gaps on a smooth curve.
    MonthlyComposite : Has the same slots whatever the dates.

    Notes
    -----
    Raster in, raster out, with the same axes, dates and dtype; computed in float64. Scenes may stand in any order of dates and
    keep it. Without dates (a bare ndarray) steps are evenly spaced. A series without any valid date stays NaN.

    Examples
    --------
    >>> import numpy as np, xarray as xr, pixelwise as pw
    >>> dates = np.array(["2018-01-01", "2018-01-11", "2018-01-16", "2018-01-21"], "datetime64[ns]")
    >>> ndvi = xr.DataArray(np.array([0.2, np.nan, np.nan, 0.6], "float32")[:, None, None], {"time": dates}, ("time", "y", "x"))
    >>> pw.temporal.LinearGapFill()(ndvi).values.ravel()
    array([0.2, 0.4, 0.5, 0.6], dtype=float32)
    >>> pw.temporal.LinearGapFill(limit=15)(ndvi).values.ravel()
    array([0.2, nan, nan, 0.6], dtype=float32)
    """

    _keeps_scale = True

    def __init__(self, limit: float | None = None, edges: str = "nearest") -> None:
        self.limit = limit
        self.edges = edges

    def apply(self, raster: Raster) -> Raster:
        """Fill the gaps of all series."""
        choose(self.edges, "edges", ("nearest", "nan"))
        if self.limit is not None and not self.limit > 0:
            raise ValueError(f"limit={self.limit!r} is no number of days: give one above 0, or None to fill all gaps")
        name = type(self).__name__
        days, order = days_of(raster, name, even=self.limit is None)
        fill = functools.partial(fill_linearly, days=days, limit=self.limit, nearest=self.edges == "nearest")
        values = map_series(raster, fill, len(days), order)
        return raster.with_values(values if (order[1:] > order[:-1]).all() else values[:, np.argsort(order)])


def fill_linearly(series: np.ndarray, days: np.ndarray, limit: float | None = None, nearest: bool = False) -> np.ndarray:
    """Fill the gaps of series.

    Parameters
    ----------
    series : ndarray of float, shape (time, n)
        NaN where data is missing.
    days : ndarray of float64, shape (time,)
        Ascending.
    limit : float or None
        Longest gap that is filled, in days.
    nearest : bool
        Whether the ends take the nearest value.

    Returns
    -------
    ndarray of float64, shape (time, n)
    """
    filled = series.astype(float)
    valid = ~np.isnan(filled)
    gaps = np.flatnonzero(~valid.all(axis=1))
    after = _next_valid(filled, valid, days, gaps)
    before = day_before = np.full(filled.shape[1], np.nan)
    last = 0
    for gap, (value, day) in zip(gaps.tolist(), after, strict=True):
        for step in range(last, gap):
            # What has been filled on the way is no valid date.
            before = np.where(valid[step], filled[step], before)
            day_before = np.where(valid[step], days[step], day_before)
        last = gap
        # The steps of numpy.interp, so that not a bit differs.
        length = day - day_before
        found = (value - before) / length
        found *= days[gap] - day_before
        found += before
        if nearest and np.isnan(length).any():
            first, final = np.isnan(day_before), np.isnan(day)
            found = np.where(first, value, np.where(final, before, found))
            length = np.where(first, day - days[gap], np.where(final, days[gap] - day_before, length))
        kept = valid[gap] if limit is None else valid[gap] | ~(length <= limit)
        filled[gap] = np.where(kept, filled[gap], found)
    return filled


def _next_valid(filled: np.ndarray, valid: np.ndarray, days: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """Return value and day of the next valid date after each gap, (gap, 2, n); NaN after the last."""
    found = np.empty((len(gaps), 2, filled.shape[1]))
    value = day = np.full(filled.shape[1], np.nan)
    last = len(filled)
    for place, gap in zip(found[::-1], gaps[::-1].tolist(), strict=True):
        for step in range(last - 1, gap, -1):
            value = np.where(valid[step], filled[step], value)
            day = np.where(valid[step], days[step], day)
        last = gap + 1
        place[0], place[1] = value, day
    return found
