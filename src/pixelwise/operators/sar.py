"""Radar: filters of speckle, and backscatter in linear units and decibels."""

from __future__ import annotations

from typing import Any

import numpy as np

from pixelwise.operators.appended import chosen_bands, planes
from pixelwise.operators.base import Operator
from pixelwise.operators.half_windows import WINDOW, half_window_statistics
from pixelwise.operators.windows import WindowTile, half_window, window_tiles
from pixelwise.raster.carriers import Raster
from pixelwise.raster.io import band_as_nan

__all__ = ["DBToLinear", "GammaMAP", "LeeSpeckle", "LinearToDB", "RefinedLee"]

#: Rows and columns whose half-windows are summed at a time: their many sums stay in a cache of the processor.
_SMALL = (64, 128)
#: Pixels of a plane that are turned into another unit at a time.
_ROWS = 64


class _Backscatter(Operator):
    """Operators that put new values into bands, band by band and date by date."""

    bands: Any
    _takes_stored = True

    def apply(self, raster: Raster) -> Raster:
        """Compute the new values of the bands, and leave the others."""
        self._check()
        chosen, cube = set(chosen_bands(raster, self.bands)), raster.cube
        out = np.empty(cube.shape, np.result_type(cube.dtype, np.float32))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for band in range(raster.n_bands):
                values = band_as_nan(raster, band)
                if band not in chosen:
                    out[band] = values
                    continue
                for at in planes(values):
                    self._fill(values[at], out[band][at])
        nan = (float("nan"),) * raster.n_bands
        return raster.with_values(out if raster.values.ndim == cube.ndim else out[0], nodata=nan, mask=None)

    def _check(self) -> None:
        """Refuse parameters that cannot be."""

    def _fill(self, plane: np.ndarray, out: np.ndarray) -> None:
        """Compute the new values of a plane."""
        raise NotImplementedError


class _Speckle(_Backscatter):
    """Filters that weigh a pixel against mean and variance of the pixels round it."""

    looks: float

    def _check(self) -> None:
        looks: Any = self.looks
        if not isinstance(looks, int | float | np.number) or not 0 < looks < np.inf:
            raise ValueError(f"looks={looks!r}: give the equivalent number of looks, such as looks=4.4")


class LeeSpeckle(_Speckle):
    """Lee's filter of speckle: the local mean where a scene is even, the pixel itself where it varies more than speckle does.

    Speckle is taken to multiply the power z = x u, with u of mean 1 and variance Cu2 = 1 / looks. Of the window's mean m and
    variance v (divisor n) the pixel becomes m + k (z - m) with k = (v - m2 Cu2) / (v + m2 Cu2 Cu2), and not below 0: the linear
    estimate of least squared error, linearised about the mean [1]_. Missing pixels, and those beyond the border of the raster,
    do not count; a missing pixel stays missing. Sums are taken in float64, in an order that does not depend on the chip.

    Bands are power (intensity) in linear units: turn decibels with `DBToLinear` first, and square amplitudes.

    Parameters
    ----------
    window : int, default=7
        Side of the window in pixels, an odd number.
    looks : float, default=1.0
        Equivalent number of looks: the squared mean by the variance of an even area. 1 for single-look data, 4.4 for
        Sentinel-1 IW GRD in high resolution.
    bands : sequence of (str or int), or None
        Bands that are filtered, by name or position, each by itself; None takes all. The others stay as they are.

    Raises
    ------
    ValueError
        If the window has no centre, or `looks` is no positive number.

    See Also
    --------
    RefinedLee : Keeps edges and lines better.
    GammaMAP : Takes scenes for gamma distributed.

    References
    ----------
    .. [1] Lee, J.-S. (1980): Digital image enhancement and noise filtering by use of local statistics. IEEE Transactions on
       Pattern Analysis and Machine Intelligence 2, 165-168.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> power = np.array([[[1, 2, 1], [1, 90, 1], [2, 1, 1]]], "float32")
    >>> pw.sar.LeeSpeckle(window=3, looks=4)(power).round(1)
    array([[[ 3.6,  3. ,  3.6],
            [ 2.1, 86.1,  2.1],
            [ 4.5,  2.1,  3.5]]], dtype=float32)
    """

    def __init__(self, window: int = 7, looks: float = 1.0, bands: Any = None) -> None:
        self.window = window
        self.looks = looks
        self.bands = bands

    @property
    def halo(self) -> int:
        """Pixels round a chip that the window reaches."""
        return half_window(self.window)

    def _fill(self, plane: np.ndarray, out: np.ndarray) -> None:
        noise = 1 / float(self.looks)
        for tile in window_tiles(plane, self.window):
            mean, variance = _mean_and_variance(tile)
            square = mean * mean
            gain = _gain(variance - square * noise, variance + square * (noise * noise))
            out[tile.rows, tile.cols] = mean + gain * (plane[tile.rows, tile.cols] - mean)


class GammaMAP(_Speckle):
    """The filter of speckle that finds the likeliest power if both scene and speckle are gamma distributed.

    Of the window's mean m and squared coefficient of variation Ci2, against Cu2 = 1 / looks of speckle, the pixel becomes m
    where Ci2 <= Cu2, stays where Ci2 >= 2 Cu2, and between them is the positive root of a x2 - b m x - looks m z = 0 with
    a = (1 + Cu2) / (Ci2 - Cu2) and b = a - looks - 1 [1]_; negative power may have none, and is NaN then. Missing pixels, and
    those beyond the border of the raster, do not count; a missing pixel stays missing.

    Bands are power (intensity) in linear units: turn decibels with `DBToLinear` first, and square amplitudes.

    Parameters
    ----------
    window : int, default=7
        Side of the window in pixels, an odd number.
    looks : float, default=1.0
        Equivalent number of looks.
    bands : sequence of (str or int), or None
        Bands that are filtered, by name or position, each by itself; None takes all. The others stay as they are.

    Raises
    ------
    ValueError
        If the window has no centre, or `looks` is no positive number.

    See Also
    --------
    LeeSpeckle : Needs no distribution.

    References
    ----------
    .. [1] Lopes, A., Nezry, E., Touzi, R. and Laur, H. (1993): Structure detection and statistical adaptive speckle filtering
       in SAR images. International Journal of Remote Sensing 14, 1735-1758.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> power = np.array([[[1, 2, 1], [1, 3, 1], [2, 1, 1]]], "float32")
    >>> pw.sar.GammaMAP(window=3, looks=4)(power).round(2)
    array([[[1.75, 1.5 , 1.75],
            [1.67, 1.44, 1.47],
            [1.75, 1.47, 1.31]]], dtype=float32)
    """

    def __init__(self, window: int = 7, looks: float = 1.0, bands: Any = None) -> None:
        self.window = window
        self.looks = looks
        self.bands = bands

    @property
    def halo(self) -> int:
        """Pixels round a chip that the window reaches."""
        return half_window(self.window)

    def _fill(self, plane: np.ndarray, out: np.ndarray) -> None:
        looks = float(self.looks)
        for tile in window_tiles(plane, self.window):
            pixel = plane[tile.rows, tile.cols].astype(np.float64)
            mean, variance = _mean_and_variance(tile)
            varied = variance / (mean * mean)
            shape = (1 + 1 / looks) / (varied - 1 / looks)
            linear = mean * (shape - looks - 1)
            found = (linear + np.sqrt(linear * linear + 4 * shape * looks * mean * pixel)) / (2 * shape)
            even = ~(varied > 1 / looks) & ~np.isnan(pixel)
            np.copyto(found, mean, where=even)
            np.copyto(found, pixel, where=varied >= 2 / looks)
            out[tile.rows, tile.cols] = found


class RefinedLee(_Speckle):
    """Lee's refined filter of speckle, which looks at the half of a 7 x 7 window on the pixel's own side of an edge.

    The means of nine overlapping parts of 3 x 3 pixels tell which of four edges through the window is the steepest, and which
    side of it is more like the centre: mean m and variance v (divisor n) come from the 28 pixels there [1]_, and the pixel
    becomes m + b (z - m) with b = (v - m2 Cu2) / (v (1 + Cu2)), and not below 0, with Cu2 = 1 / looks [2]_. Every window is
    taken to have an edge. Missing pixels, and those beyond the border of the raster, do not count, and no edge runs to where
    nothing is; a missing pixel stays missing.

    Bands are power (intensity) in linear units: turn decibels with `DBToLinear` first, and square amplitudes. Each band has
    edges of its own.

    Parameters
    ----------
    looks : float, default=1.0
        Equivalent number of looks: the squared mean by the variance of an even area. 1 for single-look data, 4.4 for
        Sentinel-1 IW GRD in high resolution.
    bands : sequence of (str or int), or None
        Bands that are filtered, by name or position, each by itself; None takes all. The others stay as they are.

    Raises
    ------
    ValueError
        If `looks` is no positive number.

    See Also
    --------
    LeeSpeckle : Looks at the whole window, of any size.

    References
    ----------
    .. [1] Lee, J.-S. (1981): Refined filtering of image noise using local statistics. Computer Graphics and Image Processing
       15, 380-389.
    .. [2] Lee, J.-S., Grunes, M. R. and de Grandi, G. (1999): Polarimetric SAR speckle filtering and its implication for
       classification. IEEE Transactions on Geoscience and Remote Sensing 37, 2363-2373.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> edge = np.repeat(np.array([1, 1, 1, 1, 9, 9, 9, 9], "float32")[None, None], 7, axis=1)
    >>> pw.sar.RefinedLee(looks=4)(edge)[0, 3], pw.sar.LeeSpeckle(looks=4)(edge)[0, 3].round(1)
    (array([1., 1., 1., 1., 9., 9., 9., 9.], dtype=float32), array([1. , 1.3, 1.7, 2.2, 7.1, 7. , 7.4, 9. ], dtype=float32))
    """

    def __init__(self, looks: float = 1.0, bands: Any = None) -> None:
        self.looks = looks
        self.bands = bands

    @property
    def halo(self) -> int:
        """Pixels round a chip that the window reaches."""
        return WINDOW // 2

    def _fill(self, plane: np.ndarray, out: np.ndarray) -> None:
        noise = 1 / float(self.looks)
        for tile in window_tiles(plane, WINDOW, shape=_SMALL):
            mean, variance = half_window_statistics(tile, _present(tile, plane.shape))
            gain = _gain(variance - mean * mean * noise, variance * (1 + noise))
            out[tile.rows, tile.cols] = mean + gain * (plane[tile.rows, tile.cols] - mean)


class LinearToDB(_Backscatter):
    """Turn backscatter from linear power into decibels, 10 log10(x); power of 0 and below is NaN, quietly.

    Parameters
    ----------
    bands : sequence of (str or int), or None
        Bands that are turned, by name or position; None takes all. The others stay as they are.

    See Also
    --------
    DBToLinear : The way back.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> pw.sar.LinearToDB()(np.array([[[0.01, 1, 0, -0.5]]], "float32")).round(3)
    array([[[-20., 0., nan, nan]]], dtype=float32)
    """

    def __init__(self, bands: Any = None) -> None:
        self.bands = bands

    def _fill(self, plane: np.ndarray, out: np.ndarray) -> None:
        for top in range(0, len(plane), _ROWS):
            part = out[top : top + _ROWS]
            np.log10(plane[top : top + _ROWS], out=part)
            part *= 10
            zero = part == -np.inf
            if zero.any():
                part[zero] = np.nan


class DBToLinear(_Backscatter):
    """Turn backscatter from decibels into linear power, 10 ** (x / 10).

    Parameters
    ----------
    bands : sequence of (str or int), or None
        Bands that are turned, by name or position; None takes all. The others stay as they are.

    See Also
    --------
    LinearToDB : The way back.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> pw.sar.DBToLinear()(np.array([[[-20, 0, 10, np.nan]]], "float32"))
    array([[[ 0.01,  1.  , 10.  ,   nan]]], dtype=float32)
    """

    def __init__(self, bands: Any = None) -> None:
        self.bands = bands

    def _fill(self, plane: np.ndarray, out: np.ndarray) -> None:
        for top in range(0, len(plane), _ROWS):
            part = out[top : top + _ROWS]
            np.divide(plane[top : top + _ROWS], 10, out=part)
            np.power(10, part, out=part)


def _mean_and_variance(tile: WindowTile) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance, of divisor n, of the window of each pixel."""
    mean = tile.sum(tile.values) / tile.count
    return mean, np.maximum(tile.sum(tile.values * tile.values) / tile.count - mean * mean, 0)


def _gain(signal: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return the share of a deviation that is no speckle; 0 where nothing deviates."""
    gain: np.ndarray = np.maximum(signal, 0) / whole
    gain[whole == 0] = 0
    return gain


def _present(tile: WindowTile, shape: tuple[int, ...]) -> np.ndarray | None:
    """Return where a part has data, with the border of the plane made out; None where it has everywhere."""
    if tile.present is not None or tile.count.min() == WINDOW * WINDOW:
        return tile.present
    half = WINDOW // 2
    inside = [
        (at := np.arange(part.start - half, part.stop + half)) == np.clip(at, 0, length - 1)
        for part, length in zip((tile.rows, tile.cols), shape, strict=True)
    ]
    return np.asarray(np.logical_and.outer(*inside))
