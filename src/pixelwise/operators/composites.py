"""Composites: many dates made into one, into one a period, or into one a calendar month."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np

from pixelwise.operators.base import Operator
from pixelwise.operators.series_statistics import EXTREMES, STATISTICS, percentiles
from pixelwise.operators.time_axis import choose, dates_of, map_series, steps_of
from pixelwise.raster.carriers import Raster
from pixelwise.raster.io import has_extremes

__all__ = ["MonthlyComposite", "PercentileComposite", "TimeAggregate"]

_NAN = (float("nan"),)
_PERIODS = ("day", "dekad", "month", "season", "year")


class PercentileComposite(Operator):
    """Make all dates into their percentiles, per band and pixel; missing dates do not count.

    Parameters
    ----------
    q : float or list of float, default=(25, 50, 75)
        Percentiles from 0 to 100.

    Raises
    ------
    GridError
        If the raster has no time axis.

    See Also
    --------
    TimeAggregate : Mean, maximum and others.

    Notes
    -----
    What `numpy.nanpercentile` returns (linear interpolation), several times faster. Shape (band, time, y, x) becomes
    (len(q) band, y, x) in the same dtype, with bands such as ``B04_p25``; a single number keeps the band names. A series
    without any valid date is NaN. Dates are not needed.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> series = np.array([3, np.nan, 1, 2, 5], "float32")[None, :, None, None]
    >>> pw.temporal.PercentileComposite(q=[25, 50])(series).ravel()
    array([1.75, 2.5 ], dtype=float32)
    """

    _keeps_scale = True
    _takes_stored = True

    def __init__(self, q: float | Sequence[float] = (25, 50, 75)) -> None:
        self.q = q

    def apply(self, raster: Raster) -> Raster:
        """Take the percentiles of all series."""
        steps_of(raster, type(self).__name__)
        shares = np.atleast_1d(np.asarray(self.q, dtype=float))
        if shares.ndim != 1 or not len(shares) or not ((shares >= 0) & (shares <= 100)).all():
            raise ValueError(f"q={self.q!r} are no percentiles: give numbers from 0 to 100, such as [25, 50, 75]")
        values = np.concatenate(map_series(raster, functools.partial(percentiles, shares=shares / 100), len(shares)))
        suffixes = None if np.ndim(self.q) == 0 else [f"p{share:g}" for share in shares]
        return raster.with_values(values, bands=_suffixed(raster, suffixes), nodata=_NAN, mask=None, times=None)


class TimeAggregate(Operator):
    """Make all dates into one, or those of each period, by a statistic that passes over missing ones.

    Parameters
    ----------
    how : str or list of str, default="mean"
        "mean", "median", "min", "max", "sum", "std" (of the population, as `numpy.nanstd`), "count" of valid dates, "first" or
        "last" valid value by date.
    freq : {"day", "dekad", "month", "season", "year"} or None, default=None
        Period: None takes all dates together. A dekad ends on the 10th, the 20th or the last of a month; seasons begin in
        December, March, June and September.

    Raises
    ------
    GridError
        If the raster has no time axis, or no dates for `freq`.

    See Also
    --------
    MonthlyComposite : Calendar months as bands, whatever the years.
    PercentileComposite : Percentiles.

    Notes
    -----
    Without `freq` shape (band, time, y, x) becomes (band, y, x); with it, the time axis holds the first day of each period from
    that of the first date to that of the last, NaN where a period has no scene (for "day", days with scenes alone). The dtype
    stays, sums are added up in float64. One statistic keeps the band names; a list appends it, as in ``B04_mean``. A series
    without any valid date is NaN, and its count 0.

    Examples
    --------
    >>> import numpy as np, xarray as xr, pixelwise as pw
    >>> dates = np.array(["2018-01-05", "2018-01-25", "2018-03-02"], "datetime64[ns]")
    >>> ndvi = xr.DataArray(np.array([0.25, 0.75, 0.5], "float32")[:, None, None], {"time": dates}, ("time", "y", "x"))
    >>> pw.temporal.TimeAggregate(["min", "max"])(ndvi).values.ravel()
    array([0.25, 0.75], dtype=float32)
    >>> monthly = pw.temporal.TimeAggregate("mean", freq="month")(ndvi)
    >>> monthly.time.dt.strftime("%Y-%m").values.tolist(), monthly.values.ravel()
    (['2018-01', '2018-02', '2018-03'], array([0.5, nan, 0.5], dtype=float32))
    """

    _takes_stored = True

    def __init__(self, how: str | Sequence[str] = "mean", freq: str | None = None) -> None:
        self.how = how
        self.freq = freq

    def apply(self, raster: Raster) -> Raster:
        """Take the statistics of all series."""
        name = type(self).__name__
        functions, suffixes = _statistics(self.how)
        choose(self.freq, "freq", (None, *_PERIODS))
        steps_of(raster, name)
        found = _extremes(raster, self.how) if self.freq is None else None
        if found is not None:
            return raster.with_values(found, nodata=_NAN, mask=None, times=None)
        order, slots, times = np.arange(steps_of(raster, name)), np.zeros(raster.values.shape[1], int), None
        if self.freq is not None or (raster.times is not None and {"first", "last"} & set(np.atleast_1d(self.how))):
            dates = dates_of(raster, name)
            order = np.argsort(dates, kind="stable")
            slots, times = (slots, None) if self.freq is None else _periods(dates[order], self.freq)
        n_slots = 1 if times is None else len(times)
        compute = functools.partial(_by_slot, slots=slots, n_slots=n_slots, functions=functions)
        found = map_series(raster, compute, n_slots * len(functions), order)
        layers = [band[first :: len(functions)] for band in found for first in range(len(functions))]
        values = np.stack(layers) if times is not None else np.concatenate(layers)
        return raster.with_values(values, bands=_suffixed(raster, suffixes), nodata=_NAN, mask=None, times=times)


class MonthlyComposite(Operator):
    """Make all dates into one band for each calendar month, so that scenes of other years and other dates line up.

    A model that was fitted on one year's scenes finds the same features in another's: the slots are the months, whichever dates
    there are.

    Parameters
    ----------
    how : str, default="median"
        The statistic of a month: one of those of `TimeAggregate`.
    months : sequence of int or None, default=None
        The months, 1 to 12; None takes all.

    Raises
    ------
    GridError
        If the raster has no time axis, or no dates.

    See Also
    --------
    TimeAggregate : Months of each year, as a time axis.
    LinearGapFill : Fills gaps before.

    Notes
    -----
    Shape (band, time, y, x) becomes (len(months) band, y, x) in the same dtype, with bands such as ``B04_01`` to ``B04_12``.
    Dates of all years count together; scenes of other months are left out. A month without a valid date is NaN.

    Examples
    --------
    >>> import numpy as np, xarray as xr, pixelwise as pw
    >>> dates = np.array(["2018-05-05", "2018-05-25", "2018-07-02"], "datetime64[ns]")
    >>> ndvi = xr.DataArray(np.array([0.25, 0.75, 0.5], "float32")[:, None, None], {"time": dates}, ("time", "y", "x"))
    >>> monthly = pw.temporal.MonthlyComposite(how="max", months=[5, 6, 7])(ndvi)
    >>> monthly.band.values.tolist(), monthly.values.ravel()
    (['band_1_05', 'band_1_06', 'band_1_07'], array([0.75,  nan, 0.5 ], dtype=float32))
    """

    _takes_stored = True

    def __init__(self, how: str = "median", months: Sequence[int] | None = None) -> None:
        self.how = how
        self.months = months

    def apply(self, raster: Raster) -> Raster:
        """Take the statistic of each month of all series."""
        choose(self.how, "how", tuple(STATISTICS))
        months = list(range(1, 13) if self.months is None else self.months)
        if not months or len(set(months)) < len(months) or not set(months) <= set(range(1, 13)):
            raise ValueError(f"months={self.months!r} are no different months: give numbers from 1 to 12")
        dates = dates_of(raster, type(self).__name__)
        order = np.argsort(dates, kind="stable")
        month = dates[order].astype("datetime64[M]").astype(int) % 12 + 1
        slots = np.select([month == number for number in months], list(range(len(months))), -1)
        compute = functools.partial(_by_slot, slots=slots, n_slots=len(months), functions=[STATISTICS[self.how]])
        values = np.concatenate(map_series(raster, compute, len(months), order))
        bands = _suffixed(raster, [f"{month:02d}" for month in months])
        return raster.with_values(values, bands=bands, nodata=_NAN, mask=None, times=None)


def _extremes(raster: Raster, how: str | Sequence[str]) -> np.ndarray | None:
    """Return the highest or lowest values of all series in one go, where neither nodata nor fills have to be looked for."""
    pick = EXTREMES.get(how) if isinstance(how, str) else None
    if pick is None or raster.values.dtype.kind != "f" or raster.values.dtype.itemsize < 4 or raster.mask is not None:
        return None
    if any(nodata is not None and not np.isnan(nodata) for nodata in raster.nodata):
        return None
    with np.errstate(invalid="ignore"):
        found: np.ndarray = pick.reduce(raster.values, axis=1)
    # A fill that is no measurement is either at the other end of a series, or what was found of it.
    return None if has_extremes(found) else found


def _statistics(how: str | Sequence[str]) -> tuple[list[Callable[[np.ndarray], np.ndarray]], list[str] | None]:
    names = [how] if isinstance(how, str) else list(how)
    if not names:
        raise ValueError("how=[] names no statistic: give one such as 'mean'")
    for name in names:
        choose(name, "how", tuple(STATISTICS))
    return [STATISTICS[name] for name in names], None if isinstance(how, str) else names


def _suffixed(raster: Raster, suffixes: Sequence[str] | None) -> tuple[str, ...] | None:
    return raster.bands if suffixes is None else tuple(f"{band}_{suffix}" for band in raster.names for suffix in suffixes)


def _by_slot(
    series: np.ndarray, slots: np.ndarray, n_slots: int, functions: Sequence[Callable[[np.ndarray], np.ndarray]]
) -> np.ndarray:
    """Return the statistics of the dates of each slot, (slot x statistic, n)."""
    found = []
    for slot in range(n_slots):
        dates = series[slots == slot] if n_slots > 1 or (slots < 0).any() else series
        found += [function(dates) for function in functions]
    return np.stack(found)


def _periods(dates: np.ndarray, freq: str) -> tuple[np.ndarray, tuple[np.datetime64, ...]]:
    """Return the number of each date's period, and the first day of each period."""
    months = dates.astype("datetime64[M]").astype(int)
    if freq == "day":
        days, slots = np.unique(dates.astype("datetime64[D]"), return_inverse=True)
        return slots, tuple(days.astype("datetime64[ns]"))
    if freq == "dekad":
        day = (dates.astype("datetime64[D]") - dates.astype("datetime64[M]")).astype(int)
        number = months * 3 + np.minimum(day // 10, 2)
        periods = np.arange(number[0], number[-1] + 1)
        first = (periods // 3).astype("datetime64[M]").astype("datetime64[D]") + periods % 3 * 10
    else:
        length, shift = {"month": (1, 0), "season": (3, 1), "year": (12, 0)}[freq]
        number = (months + shift) // length
        periods = np.arange(number[0], number[-1] + 1)
        first = (periods * length - shift).astype("datetime64[M]")
    return number - number[0], tuple(first.astype("datetime64[ns]"))
