"""Time series smoothed: local polynomials, and penalised least squares."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from pixelwise.operators.base import Operator
from pixelwise.operators.least_squares import fit_series, product
from pixelwise.operators.time_axis import choose, days_of, map_series
from pixelwise.raster.carriers import Raster

__all__ = ["SavitzkyGolay", "Whittaker"]


class SavitzkyGolay(Operator):
    """Smooth each series by polynomials fitted to a moving window of dates by least squares [1]_.

    The polynomials are fitted on the dates themselves, so irregular ones are taken as they are; on evenly spaced dates without
    gaps this is `scipy.signal.savgol_filter` with ``mode="interp"``.

    Parameters
    ----------
    window : int, default=7
        Number of dates in a window; odd. Near the ends the first or last window is fitted.
    order : int, default=2
        Order of the polynomials; below `window`.

    Raises
    ------
    GridError
        If the raster has no time axis, fewer dates than the window, or two scenes of one date.

    See Also
    --------
    LinearGapFill : Fills the gaps first.
    Whittaker : Smooths and fills at once.

    Notes
    -----
    Raster in, raster out, with the same axes, dates and dtype; computed in float64. Missing dates do not count in the fit, and
    stay missing: a polynomial says little where a window has no data at one side. A value whose window holds no more valid
    dates than `order` becomes NaN. Without dates (a bare ndarray) steps are evenly spaced.

    References
    ----------
    .. [1] Savitzky, A. and Golay, M. J. E. (1964): Smoothing and differentiation of data by simplified least squares
       procedures. Analytical Chemistry 36, 1627-1639.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> series = np.array([1, 3, 2, 5, 4, 7, 6], "float32")[None, :, None, None]
    >>> pw.temporal.SavitzkyGolay(window=5, order=1)(series).ravel().round(2)
    array([1.4, 2.2, 3. , 4.2, 4.8, 5.8, 6.8], dtype=float32)
    """

    _keeps_scale = True

    def __init__(self, window: int = 7, order: int = 2) -> None:
        self.window = window
        self.order = order

    def apply(self, raster: Raster) -> Raster:
        """Smooth all series."""
        if self.window < 1 or self.window % 2 != 1:
            raise ValueError(f"window={self.window!r} is no odd number of dates: give one such as 7")
        if not 0 <= self.order < self.window:
            raise ValueError(f"order={self.order!r} does not fit window={self.window}: give one from 0 to {self.window - 1}")
        days, order = days_of(raster, type(self).__name__, least=self.window, even=True)
        smooth = functools.partial(_fit_windows, windows=self._windows(days))
        values = map_series(raster, smooth, len(days), order)
        return raster.with_values(values[:, np.argsort(order)] if (order[1:] < order[:-1]).any() else values)

    def _windows(self, days: np.ndarray) -> list[_Window]:
        found = []
        for step, day in enumerate(days):
            first = min(max(0, step - self.window // 2), len(days) - self.window)
            dates = slice(first, first + self.window)
            length = max(1.0, days[dates][-1] - days[dates][0])
            design, triangle = np.linalg.qr(np.vander((days[dates] - day) / length, self.order + 1, increasing=True))
            found.append(_Window(dates, design, np.linalg.inv(triangle)[0]))
        return found


class _Window(NamedTuple):
    """Dates, orthonormal polynomials on them (dates, order + 1), and their values at the date that is smoothed."""

    dates: slice
    design: np.ndarray
    there: np.ndarray


def _fit_windows(series: np.ndarray, windows: list[_Window]) -> np.ndarray:
    missing = np.isnan(series)
    gappy = missing.any(axis=0)
    result = np.full(series.shape, np.nan)
    if (gappy & ~missing.all(axis=0)).any():
        for step, (dates, design, there) in enumerate(windows):
            result[step] = np.add.reduce(there[:, None] * fit_series(design, series[dates]))
        result[missing] = np.nan
    if not gappy.all():
        whole = np.where(missing, 0, series).astype(float, copy=False)
        for values, (dates, design, there) in zip(result, windows, strict=True):
            np.copyto(values, product((design @ there)[None], whole[dates])[0], where=~gappy)
    return result


class Whittaker(Operator):
    """Smooth each series, and fill its gaps, by penalised least squares [1]_.

    Finds the series z that makes smallest the sum of squares of y - z over valid dates, plus `smoothing` times the sum of
    squares of the differences of z of an order: fidelity against roughness. Missing dates have weight 0, so z passes through
    gaps smoothly, and beyond the first and last valid dates as a straight line (order 2).

    Parameters
    ----------
    smoothing : float, default=10.0
        The lambda of [1]_: 0 returns what came in; the larger, the smoother.
    order : {1, 2, 3}, default=2
        Order of the differences.

    Raises
    ------
    GridError
        If the raster has no time axis, no more dates than `order`, or two scenes of one date.

    See Also
    --------
    SavitzkyGolay : Keeps gaps as they are.
    LinearGapFill : Fills gaps and keeps the valid values.

    Notes
    -----
    Raster in, raster out, with the same axes, dates and dtype; computed in float64 by a banded factorisation of all series side
    by side. Of irregular dates divided differences are taken, in units of the median interval, so that on evenly spaced dates
    `smoothing` is that of the textbook and a date that is left out changes little. Series with fewer valid dates than `order`
    are NaN. Without dates (a bare ndarray) steps are evenly spaced.

    References
    ----------
    .. [1] Eilers, P. H. C. (2003): A perfect smoother. Analytical Chemistry 75, 3631-3636.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> series = np.array([1, 2, np.nan, 4, 3, 6], "float32")[None, :, None, None]
    >>> pw.temporal.Whittaker(smoothing=1)(series).ravel().round(2)
    array([1.07, 1.91, 2.7 , 3.43, 4.15, 5.43], dtype=float32)
    """

    _keeps_scale = True

    def __init__(self, smoothing: float = 10.0, order: int = 2) -> None:
        self.smoothing = smoothing
        self.order = order

    def apply(self, raster: Raster) -> Raster:
        """Smooth all series."""
        if not 0 <= self.smoothing < np.inf:
            raise ValueError(f"smoothing={self.smoothing!r} is no weight of the roughness: give 0 or more, such as 10")
        choose(self.order, "order", (1, 2, 3))
        days, order = days_of(raster, type(self).__name__, least=self.order + 1, even=True)
        bands = self.smoothing * _roughness(days, self.order)
        values = map_series(raster, functools.partial(_smooth, bands=bands), len(days), order)
        return raster.with_values(values[:, np.argsort(order)] if (order[1:] < order[:-1]).any() else values)


def _roughness(days: np.ndarray, order: int) -> np.ndarray:
    """Return the diagonals of D'D, D the divided differences: row k holds its k-th, shape (order + 1, time)."""
    at = (days - days[0]) / np.median(np.diff(days))
    differences = np.eye(len(days))
    for step in range(1, order + 1):
        differences = step * np.diff(differences, axis=0) / (at[step:] - at[:-step])[:, None]
    penalty = differences.T @ differences
    return np.stack([np.pad(np.diagonal(penalty, step), (0, step)) for step in range(order + 1)])


def _smooth(series: np.ndarray, bands: np.ndarray) -> np.ndarray:
    """Solve (W + lambda D'D) z = W y of all series by L D L', with a loop over dates."""
    order = len(bands) - 1
    valid = ~np.isnan(series)
    result = np.where(valid, series, 0).astype(float, copy=False)
    below = np.empty((order, *series.shape))
    scaled = np.empty((order, series.shape[1]))
    pivots = np.empty((order + 1, series.shape[1]))
    for step, values in enumerate(result):
        back = min(order, step)
        pivot = np.add(valid[step], bands[0, step], out=pivots[step % (order + 1)])
        for k in range(1, back + 1):
            np.multiply(below[k - 1, step - k], pivots[(step - k) % (order + 1)], out=scaled[k - 1])
            pivot -= scaled[k - 1] * below[k - 1, step - k]
            values -= scaled[k - 1] * result[step - k]
        values /= pivot
        for k in range(1, order + 1):
            lower = below[k - 1, step]
            lower[...] = bands[k, step]
            for inner in range(1, back + 1):
                if inner + k <= order:
                    lower -= scaled[inner - 1] * below[inner + k - 1, step - inner]
            lower /= pivot
    for step in range(len(result) - 2, -1, -1):
        for k in range(1, min(order, len(result) - 1 - step) + 1):
            result[step] -= below[k - 1, step] * result[step + k]
    np.copyto(result, np.nan, where=valid.sum(axis=0) < order)
    return result
