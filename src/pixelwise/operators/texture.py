"""Texture: what the pixels round each pixel are like, as mean, spread, percentile, and grey-level co-occurrence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pixelwise.errors import BandError
from pixelwise.operators.appended import appended, chosen_bands, planes, room_for
from pixelwise.operators.base import Operator
from pixelwise.operators.cooccurrence import PROPERTIES, cooccurrence
from pixelwise.operators.windows import half_window, window_tiles
from pixelwise.raster.carriers import Raster

__all__ = ["GLCM", "LocalMean", "LocalPercentile", "LocalStd"]

#: Values of all windows that are sorted at a time.
_SORTED = 2**20
#: Variances below this share of the mean square are rounding.
_ROUNDING = 8 * float(np.finfo(np.float64).eps)


class _Texture(Operator):
    """Operators that make bands out of the window round each pixel."""

    window: int
    bands: Any
    append: bool

    @property
    def halo(self) -> int:
        """Pixels round a chip that the windows reach."""
        return half_window(self.window)

    def apply(self, raster: Raster) -> Raster:
        """Compute the new bands, band by band and date by date."""
        half_window(self.window)
        suffixes, chosen = self._suffixes(), chosen_bands(raster, self.bands)
        whole, new = room_for(raster, len(chosen) * len(suffixes), self.append)
        for number, band in enumerate(chosen):
            out = new[number * len(suffixes) : (number + 1) * len(suffixes)]
            for at in planes(raster.cube[band]):
                self._fill(raster.cube[band][at], out[(slice(None), *at)])
        names = [f"{raster.names[band]}_{suffix}" for band in chosen for suffix in suffixes]
        return appended(raster, whole, names, self.append)

    def _suffixes(self) -> list[str]:
        """Return what the name of each new band of a band ends in."""
        raise NotImplementedError

    def _fill(self, plane: np.ndarray, out: np.ndarray) -> None:
        """Compute the new bands (k, y, x) of a plane."""
        raise NotImplementedError


class LocalMean(_Texture):
    """Mean of the window round each pixel.

    Missing pixels, and those beyond the border of the raster, do not count; a window without data is NaN. Sums are taken in
    float64, in an order that does not depend on the chip.

    Parameters
    ----------
    window : int, default=5
        Side of the window in pixels, an odd number.
    bands : sequence of (str or int), or None
        Bands by name or position; None takes all.
    append : bool, default=True
        Whether the bands that come in stay, in front of the new ones.

    Raises
    ------
    ValueError
        If the window has no centre.

    See Also
    --------
    LocalStd : How much the window varies.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> pw.texture.LocalMean(3, append=False)(np.array([[[1, 2, 3], [4, 5, np.nan]]]))
    array([[[3. , 3. , 3.33333333],
            [3. , 3. , 3.33333333]]])
    """

    def __init__(self, window: int = 5, bands: Any = None, append: bool = True) -> None:
        self.window = window
        self.bands = bands
        self.append = append

    def _suffixes(self) -> list[str]:
        return [f"mean{self.window}"]

    def _fill(self, plane: np.ndarray, out: np.ndarray) -> None:
        with np.errstate(invalid="ignore"):
            for tile in window_tiles(plane, self.window):
                out[0, tile.rows, tile.cols] = tile.sum(tile.values) / tile.count


class LocalStd(_Texture):
    """Standard deviation of the window round each pixel.

    That of the pixels in the window, with the divisor n, as ``numpy.std`` has it. Missing pixels, and those beyond the border
    of the raster, do not count; a window without data is NaN. It comes from sums of squares in float64: spreads of less than
    some 1e-8 of the mean are 0.

    Parameters
    ----------
    window : int, default=5
        Side of the window in pixels, an odd number.
    bands : sequence of (str or int), or None
        Bands by name or position; None takes all.
    append : bool, default=True
        Whether the bands that come in stay, in front of the new ones.

    Raises
    ------
    ValueError
        If the window has no centre.

    See Also
    --------
    LocalMean : Its mean.
    GLCM : What the order of the pixels is like, too.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> pw.texture.LocalStd(3, append=False)(np.array([[[1, 1, 3], [1, 1, 3]]], "uint8"))
    array([[[0. , 0.9428..., 1. ],
            [0. , 0.9428..., 1. ]]], dtype=float32)
    """

    def __init__(self, window: int = 5, bands: Any = None, append: bool = True) -> None:
        self.window = window
        self.bands = bands
        self.append = append

    def _suffixes(self) -> list[str]:
        return [f"std{self.window}"]

    def _fill(self, plane: np.ndarray, out: np.ndarray) -> None:
        with np.errstate(invalid="ignore"):
            for tile in window_tiles(plane, self.window):
                total, squares = tile.sum(tile.values), tile.count * tile.sum(tile.values * tile.values)
                spread = squares - total * total
                spread[spread < _ROUNDING * squares] = 0
                out[0, tile.rows, tile.cols] = np.sqrt(spread) / tile.count


class LocalPercentile(_Texture):
    """Percentiles of the window round each pixel, such as its median.

    Between two pixels they are interpolated, as ``numpy.nanpercentile`` does. Missing pixels, and those beyond the border of
    the raster, do not count; a window without data is NaN.

    Parameters
    ----------
    q : float or sequence of float, default=50
        Percentiles from 0 to 100; each makes a band.
    window : int, default=5
        Side of the window in pixels, an odd number.
    bands : sequence of (str or int), or None
        Bands by name or position; None takes all.
    append : bool, default=True
        Whether the bands that come in stay, in front of the new ones.

    Raises
    ------
    ValueError
        If the window has no centre, or a percentile is not between 0 and 100.

    See Also
    --------
    LocalMean : Quicker, and moved by outliers.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> raster = np.array([[[1, 2, 9], [4, 5, 6]]], "float32")
    >>> pw.texture.LocalPercentile(q=50, window=3, append=False)(raster)
    array([[[3. , 4.5, 5.5],
            [3. , 4.5, 5.5]]], dtype=float32)
    """

    def __init__(self, q: float | Sequence[float] = 50, window: int = 5, bands: Any = None, append: bool = True) -> None:
        self.q = q
        self.window = window
        self.bands = bands
        self.append = append

    def _suffixes(self) -> list[str]:
        return [f"p{q:g}_{self.window}" for q in self._percentiles()]

    def _percentiles(self) -> list[float]:
        many = list(self.q) if isinstance(self.q, Sequence | np.ndarray) else [self.q]
        wrong = [q for q in many if not 0 <= q <= 100]
        if wrong or not many:
            raise ValueError(f"q={self.q!r}: give percentiles from 0 to 100")
        return many

    def _fill(self, plane: np.ndarray, out: np.ndarray) -> None:
        shape = (max(1, _SORTED // (256 * self.window**2)), 256)
        for tile in window_tiles(plane, self.window, dtype=plane.dtype, fill=np.nan, shape=shape):
            rows = sliding_window_view(tile.values, self.window, axis=1)
            height = tile.rows.stop - tile.rows.start
            # NaN is sorted to the end, behind as many values as the tile counts.
            ordered = np.concatenate([rows[row : row + height] for row in range(self.window)], axis=-1)
            ordered.sort(axis=-1)
            last = np.broadcast_to(np.maximum(tile.count - 1, 0), ordered.shape[:2])
            for number, q in enumerate(self._percentiles()):
                at = last * (q / 100)
                below = np.floor(at)
                pair = np.stack([below, np.minimum(below + 1, last)], axis=-1).astype(np.intp)
                low, high = np.moveaxis(np.take_along_axis(ordered, pair, axis=-1), -1, 0)
                out[number, tile.rows, tile.cols] = low + (high - low) * (at - below)


class GLCM(_Texture):
    """Properties of the grey-level co-occurrence matrix of the window round each pixel [1]_.

    Values are cut into grey levels between the ends of `value_range`, which is a parameter so that the levels are the same in
    each chip and scene. The matrix counts which levels stand next to each other, both ways round, and is normed to 1; its
    properties are the means over distances and angles. Pairs with a missing pixel, or one beyond the border of the raster, do
    not count; a window without any pair is NaN. With a window of one level correlation is 1. As
    ``skimage.feature.graycomatrix(symmetric=True, normed=True)`` and ``graycoprops`` have it, for all windows at once.

    Parameters
    ----------
    value_range : (float, float)
        Lowest and highest value, in the unit of the bands; values beyond count as the lowest and highest level.
    properties : str or sequence of str, default=("contrast", "homogeneity", "entropy")
        Out of contrast, dissimilarity, homogeneity, ASM, energy, correlation, mean, variance, std, entropy; each makes a
        band.
    levels : int, default=32
        Number of grey levels, from 2 to 256.
    window : int, default=7
        Side of the window in pixels, an odd number.
    distances : sequence of float, default=(1,)
        Pixels between the two of a pair, less than the window.
    angles : sequence of float, default=(0, pi / 4, pi / 2, 3 pi / 4)
        Directions in radians, as scikit-image has them.
    bands : sequence of (str or int), or None
        Bands by name or position; None takes all.
    append : bool, default=True
        Whether the bands that come in stay, in front of the new ones.

    Raises
    ------
    ValueError
        If the window has no centre, a property is not known, or a pair does not fit into the window.

    References
    ----------
    .. [1] Haralick, R. M., Shanmugam, K. and Dinstein, I. (1973): Textural features for image classification. IEEE
       Transactions on Systems, Man, and Cybernetics 3, 610-621.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> stripes = np.tile(np.array([0, 0, 200, 200], "uint8"), (1, 4, 2))
    >>> across = pw.texture.GLCM((0, 256), "contrast", levels=4, window=3, angles=[0.0], append=False)(stripes)
    >>> across[0, 1]
    array([0. , 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 0. ], dtype=float32)
    """

    def __init__(
        self,
        value_range: tuple[float, float],
        properties: str | Sequence[str] = ("contrast", "homogeneity", "entropy"),
        levels: int = 32,
        window: int = 7,
        distances: Sequence[float] = (1,),
        angles: Sequence[float] = (0.0, math.pi / 4, math.pi / 2, 3 * math.pi / 4),
        bands: Any = None,
        append: bool = True,
    ) -> None:
        self.value_range = value_range
        self.properties = properties
        self.levels = levels
        self.window = window
        self.distances = distances
        self.angles = angles
        self.bands = bands
        self.append = append

    def _suffixes(self) -> list[str]:
        return [f"{name}{self.window}" for name in self._properties()]

    def _properties(self) -> list[str]:
        names = [self.properties] if isinstance(self.properties, str) else list(self.properties)
        unknown = [name for name in names if name not in PROPERTIES]
        if unknown or not names:
            raise BandError(f"properties={self.properties!r}: choose out of {', '.join(PROPERTIES)}")
        return names

    def _steps(self) -> list[tuple[int, int]]:
        """Return rows and columns to the other pixel of a pair, rounded as scikit-image does."""
        steps = [
            (round(math.sin(angle) * distance), round(math.cos(angle) * distance))
            for distance in self.distances
            for angle in self.angles
        ]
        far = [step for step in steps if max(map(abs, step)) >= self.window or step == (0, 0)]
        if far or not steps:
            raise ValueError(
                f"distances={self.distances!r} and angles={self.angles!r} give no pairs within window={self.window}: "
                "give distances from 1 to less than the window"
            )
        return steps

    def _fill(self, plane: np.ndarray, out: np.ndarray) -> None:
        low, high = self.value_range
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"value_range={self.value_range!r}: give the lowest and the highest value, in this order")
        if not 2 <= self.levels <= 256:
            raise ValueError(f"levels={self.levels!r}: give a number of grey levels from 2 to 256")
        cooccurrence(
            plane, out, properties=self._properties(), window=self.window, levels=int(self.levels), value_range=(low, high),
            steps=self._steps(),
        )  # fmt: skip
