"""Harmonics of time series: mean, and the yearly waves round it."""

from __future__ import annotations

import functools

import numpy as np

from pixelwise.errors import GridError
from pixelwise.operators.base import Operator
from pixelwise.operators.least_squares import fit_series, product
from pixelwise.operators.time_axis import dates_of, map_series
from pixelwise.raster.carriers import Raster

__all__ = ["HarmonicFeatures"]


class HarmonicFeatures(Operator):
    """Describe each series by a constant and n waves of a period, fitted by least squares to the valid dates [1]_.

    The value at a date t, in days since 1 January 1970, is modelled as const + sum over i of cos_i cos(2 pi i t / period) +
    sin_i sin(2 pi i t / period). The features are the same whatever the dates, so that scenes of other years and sensors line
    up.

    Parameters
    ----------
    n : int, default=2
        Number of waves: 1 is a yearly one, 2 adds one of half a year, and so on.
    period : float, default=365.25
        Length of the first wave in days.

    Raises
    ------
    GridError
        If the raster has no time axis, no dates, or fewer dates than coefficients (2 n + 1).

    See Also
    --------
    PhenologyMetrics : Dates of a season instead of waves.

    Notes
    -----
    Shape (band, time, y, x) becomes ((2 n + 1) band, y, x) in the same dtype, with bands such as ``B04_const``, ``B04_cos1``
    and ``B04_sin1``; computed in float64. Coefficients are NaN where a series' valid dates do not determine them: fewer than
    2 n + 1 of them, or all in a small part of the period. Dates need not be sorted, and a date may have several scenes.

    References
    ----------
    .. [1] Zhu, Z. and Woodcock, C. E. (2014): Continuous change detection and classification of land cover using all available
       Landsat data. Remote Sensing of Environment 144, 152-171.

    Examples
    --------
    >>> import numpy as np, pandas as pd, xarray as xr, pixelwise as pw
    >>> dates = pd.date_range("2018-01-01", periods=23, freq="16D")
    >>> days = (dates - pd.Timestamp("1970-01-01")).days.to_numpy()
    >>> ndvi = 0.5 - 0.25 * np.cos(2 * np.pi * days / 365.25)
    >>> ndvi = xr.DataArray(ndvi[:, None, None], {"time": dates}, ("time", "y", "x"))
    >>> features = pw.temporal.HarmonicFeatures(n=1)(ndvi)
    >>> features.band.values.tolist(), features.values.ravel().round(3) + 0
    (['band_1_const', 'band_1_cos1', 'band_1_sin1'], array([ 0.5 , -0.25,  0.  ]))
    """

    def __init__(self, n: int = 2, period: float = 365.25) -> None:
        self.n = n
        self.period = period

    def apply(self, raster: Raster) -> Raster:
        """Fit the waves to all series."""
        if self.n < 1 or self.n != int(self.n):
            raise ValueError(f"n={self.n!r} is no number of waves: give 1 or more")
        if not self.period > 0:
            raise ValueError(f"period={self.period!r} is no number of days: give one above 0")
        days = dates_of(raster, type(self).__name__).astype(np.int64) / 86_400e9
        count = 2 * int(self.n) + 1
        if len(np.unique(days)) < count:
            raise GridError(
                f"HarmonicFeatures(n={self.n}) fits {count} numbers, and the raster has {len(np.unique(days))} dates: "
                "lower n, or give it more dates",
                dates=len(days),
            )
        turns = 2 * np.pi / self.period * np.outer(days, np.arange(1, self.n + 1))
        waves = np.stack([np.cos(turns), np.sin(turns)], axis=2)
        design = np.column_stack([np.ones(len(days)), *(waves[:, wave, part] for wave in range(self.n) for part in range(2))])
        # Each column is the fit of a one at a date among zeros: of a series without gaps the fit is a product.
        weights = fit_series(design, np.eye(len(days)))
        values = map_series(raster, functools.partial(_fit, design=design, weights=weights), count)
        parts = ["const", *(f"{part}{wave}" for wave in range(1, self.n + 1) for part in ("cos", "sin"))]
        bands = tuple(f"{band}_{part}" for band in raster.names for part in parts)
        return raster.with_values(np.concatenate(values), bands=bands, nodata=(float("nan"),), times=None)


def _fit(series: np.ndarray, design: np.ndarray, weights: np.ndarray) -> np.ndarray:
    missing = np.isnan(series)
    gappy = missing.any(axis=0)
    result = fit_series(design, series) if gappy.any() else np.empty((len(weights), series.shape[1]))
    if not gappy.all():
        filled = np.where(missing, 0, series) if gappy.any() else series
        np.copyto(result, product(weights, filled.astype(float, copy=False)), where=~gappy)
    return result
