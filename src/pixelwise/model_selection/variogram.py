"""Empirical variograms: how unlike values become with the distance between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from rasterio.crs import CRS
from scipy.spatial.distance import cdist
from sklearn.utils import check_random_state

from pixelwise.errors import FoldError, LabelError
from pixelwise.model_selection.distances import Metric, metric_of
from pixelwise.model_selection.places import coordinates_of

__all__ = ["EmpiricalVariogram", "bounding_diagonal", "empirical_variogram", "numbers_or_classes", "sample_values"]

#: Upper edges of bins in per cent of 0.35 of the diagonal, as automap and blockCV have them: fine where models differ.
_PER_CENT = (2, 4, 6, 9, 12, 15, 25, 35, 50, 65, 80, 100)
_FEWEST_PAIRS = 5
_FEWEST_SAMPLES = 10
#: Whole numbers of at most so many different values are labels of classes.
_MOST_CLASSES = 50
#: Distances that are held in memory at a time.
_PAIRS_AT_A_TIME = 2_000_000


@dataclass(frozen=True, eq=False)
class EmpiricalVariogram:
    """Half the mean squared difference of values, by the distance between them.

    Parameters
    ----------
    distances : ndarray of shape (n_bins,)
        Mean distance of the pairs in each bin, in metres.
    gamma : ndarray of shape (n_bins,)
        Semivariance of each bin; of class labels, the share of pairs whose classes differ.
    counts : ndarray of int, shape (n_bins,)
        Pairs in each bin.
    edges : ndarray of shape (n_bins, 2)
        Metres between which the pairs of each bin lie, the upper one included.
    n_samples : int
        Samples whose pairs were counted.

    See Also
    --------
    empirical_variogram : Makes one.
    """

    distances: np.ndarray
    gamma: np.ndarray
    counts: np.ndarray
    edges: np.ndarray
    n_samples: int

    @property
    def weights(self) -> np.ndarray:
        """Weight of each bin in a fit: pairs by squared distance, so that the shape near 0 counts most."""
        return np.asarray(self.counts / self.distances**2)


def empirical_variogram(
    coordinates: Any,
    values: Any,
    *,
    edges: Any = None,
    cutoff: float | None = None,
    width: float | None = None,
    crs: Any = None,
    max_points: int = 5000,
    random_state: Any = None,
) -> EmpiricalVariogram:
    """Measure how unlike values are, by the distance between them: Matheron's estimator [1]_.

    Distances are metres, over the great circle on a geographic CRS. Pairs at the same place have no distance and are left out.
    Pairs are counted in blocks, so memory does not grow with their number.

    Parameters
    ----------
    coordinates : array-like of shape (n, 2), PixelTable or GeoDataFrame
        Where the values are, as x and y (longitude and latitude).
    values : array-like of shape (n,)
        Numbers; or class labels as text or booleans, whose semivariance is the share of pairs that differ, the sum of the
        variograms of each class's indicator.
    edges : array-like, "equal" or None, default=None
        Upper edges of the bins in metres, each of which holds its upper edge. None takes automap's and blockCV's [2]_, which
        are finer near 0: 2, 4, 6, 9, 12, 15, 25, 35, 50, 65, 80 and 100% of 0.35 times the diagonal of the bounding box,
        bins being merged from the left until each holds 5 pairs or more. "equal" takes gstat's: 15 of equal width up to a
        third of the diagonal.
    cutoff, width : float or None, default=None
        Largest distance and width of "equal" bins in metres; giving one means "equal". None takes gstat's.
    crs : object or None, default=None
        CRS of coordinates that do not bring their own; without one they are metres on a plane.
    max_points : int, default=5000
        Most samples whose pairs are counted; more are thinned at random.
    random_state : int, RandomState or None, default=None
        Seed of the thinning.

    Returns
    -------
    EmpiricalVariogram
        Bins that hold pairs.

    Raises
    ------
    FoldError
        If there are fewer than 10 samples, all lie at one place, or coordinates are not finite.
    LabelError
        If values are missing, all the same, or not one for each place.

    See Also
    --------
    fit_variogram : Fits models to it.
    suggest_block_size : The size of blocks from it.

    References
    ----------
    .. [1] Matheron, G. (1963): Principles of geostatistics. Economic Geology 58, 1246-1266.
    .. [2] Hiemstra, P. H. et al. (2009): Real-time automatic interpolation of ambient gamma dose rates from the Dutch
       radioactivity monitoring network. Computers & Geosciences 35, 1711-1721.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> x = np.arange(0, 1000, 10.0)
    >>> places = np.column_stack([x, np.zeros(100)])
    >>> found = pw.empirical_variogram(places, np.sin(x / 100), edges=[10, 20, 30])
    >>> found.counts, found.gamma.round(4)
    (array([99, 98, 97]), array([0.0026, 0.0103, 0.0229]))
    """
    xy, known = _places(coordinates, crs)
    numbers, classes = sample_values(values, len(xy))
    chosen = _thinned(len(xy), max_points, random_state)
    xy, numbers = xy[chosen], numbers[chosen]
    metric = metric_of(known)
    diagonal = bounding_diagonal(xy, metric)
    if not diagonal > 0:
        raise FoldError(f"all {len(xy)} samples lie at ({xy[0, 0]:g}, {xy[0, 1]:g}): a variogram needs samples at many places")
    automatic = edges is None and cutoff is None and width is None
    upper = 0.35 * diagonal * np.array(_PER_CENT) / 100 if automatic else _edges(edges, cutoff, width, diagonal)
    counts, distance, unlike = _pairs(metric.points(xy), numbers, classes, upper, metric)
    if automatic:
        upper, counts, distance, unlike = _merged(upper, counts, distance, unlike)
    held = counts > 0
    if not held.any():
        raise FoldError(
            f"no two samples are more than 0 and at most {upper[-1]:g} m apart: give larger edges, or a larger cutoff"
        )
    counts, lower = counts.astype(np.int64), np.concatenate([[0.0], upper[:-1]])
    return EmpiricalVariogram(
        distance[held] / counts[held],
        unlike[held] / counts[held],
        counts[held],
        np.column_stack([lower, upper])[held],
        len(xy),
    )


def numbers_or_classes(y: Any) -> tuple[np.ndarray, int]:
    """Tell classes from numbers: text, booleans, and whole numbers of at most 50 different values are classes.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels or targets.

    Returns
    -------
    values : ndarray
        Numbers as they are, classes as text.
    n_classes : int
        0 for numbers.
    """
    given = np.asarray(y)
    if given.dtype.kind not in "iuf":
        return given, len(pd.unique(given.ravel()))
    distinct = np.unique(given)
    whole = np.isfinite(distinct).all() and (distinct == np.rint(distinct)).all()
    return (given.astype(str), len(distinct)) if whole and len(distinct) <= _MOST_CLASSES else (given, 0)


def sample_values(values: Any, n: int) -> tuple[np.ndarray, bool]:
    """Return values as numbers, or codes of classes; refuse what has no variogram.

    Parameters
    ----------
    values : array-like of shape (n,)
        Numbers, or class labels as text or booleans.
    n : int
        Number of samples.

    Returns
    -------
    numbers : ndarray of float, shape (n,)
    classes : bool
        Whether they are codes of classes.

    Raises
    ------
    FoldError
        If there are too few.
    LabelError
        If some are missing, all are the same, or they are not one for each sample.
    """
    given = np.asarray(values)
    if given.shape != (n,):
        raise LabelError(f"values have shape {given.shape}, and there are {n} places: give one number or label for each")
    if n < _FEWEST_SAMPLES:
        raise FoldError(f"{n} samples are too few for a variogram: give {_FEWEST_SAMPLES} or more")
    classes = given.dtype.kind not in "iuf"
    missing = np.asarray(pd.isna(given) if classes else ~np.isfinite(given))
    if missing.any():
        raise LabelError(
            f"{missing.sum()} of {n} values are NaN, missing or infinite, the first is row {np.argmax(missing)}: drop them"
        )
    if classes:
        given = np.unique(given.astype(str), return_inverse=True)[1]
    if (given == given[0]).all():
        raise LabelError(f"all {n} values are {np.asarray(values)[0]}: a variogram needs values that differ")
    return np.asarray(given, dtype=float), classes


def _places(coordinates: Any, crs: Any) -> tuple[np.ndarray, CRS | None]:
    if hasattr(coordinates, "crs"):
        return coordinates_of(coordinates, None, crs)
    if np.ndim(coordinates) != 2 or np.shape(coordinates)[1] != 2:
        raise FoldError(f"coordinates have shape {np.shape(coordinates)}: give x and y of each value, of shape (n, 2)")
    return coordinates_of(None, coordinates, crs)


def _thinned(n: int, max_points: int, random_state: Any) -> np.ndarray:
    if max_points < _FEWEST_SAMPLES:
        raise FoldError(f"max_points={max_points!r} is too few for a variogram: give {_FEWEST_SAMPLES} or more")
    if n <= max_points:
        return np.arange(n)
    return np.sort(check_random_state(random_state).permutation(n)[:max_points])


def bounding_diagonal(xy: np.ndarray, metric: Metric) -> float:
    """Return the diagonal of the bounding box of places in metres; across the antimeridian where that is shorter.

    Parameters
    ----------
    xy : ndarray of shape (n, 2)
        Coordinates.
    metric : Metric
        How they are measured.

    Returns
    -------
    float
    """
    (width, height), low = np.ptp(xy, axis=0), xy.min(axis=0)
    if metric.geographic:
        width = min(width, np.ptp(xy[:, 0] % 360), 180.0)
    ends = metric.points(np.stack([low, low + np.array([width, height])]))
    return float(metric.metres(np.linalg.norm(np.diff(ends, axis=0), axis=1))[0])


def _edges(edges: Any, cutoff: float | None, width: float | None, diagonal: float) -> np.ndarray:
    if edges is None or (isinstance(edges, str) and edges == "equal"):
        last = diagonal / 3 if cutoff is None else cutoff
        step = last / 15 if width is None else width
        if not (0 < last < np.inf and 0 < step <= last):
            raise FoldError(f"cutoff={last:g} and width={step:g}: give metres above 0, and no width above the cutoff")
        n = int(np.ceil(last / step * (1 - 1e-12)))
        return np.append(step * np.arange(1, n), last)
    if cutoff is not None or width is not None:
        raise FoldError("give edges, or cutoff and width: both are bins")
    upper = np.asarray(edges, dtype=float) if not isinstance(edges, str) else np.empty(0)
    upper = upper[1:] if len(upper) and upper[0] == 0 else upper
    if upper.ndim != 1 or not len(upper) or not np.isfinite(upper).all() or upper[0] <= 0 or (np.diff(upper) <= 0).any():
        raise FoldError(f"edges={edges!r}: give 'equal', or upper edges of bins in metres, above 0 and rising")
    return upper


def _pairs(
    points: np.ndarray, values: np.ndarray, classes: bool, upper: np.ndarray, metric: Metric
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pairs, and sums of their distances and semivariances, in each bin; a block of rows against all after it."""
    n, n_bins = len(points), len(upper)
    limits = np.array([metric.straight(edge) for edge in upper])
    counts, distance, unlike = np.zeros(n_bins), np.zeros(n_bins), np.zeros(n_bins)
    rows = max(1, _PAIRS_AT_A_TIME // n)
    for start in range(0, n - 1, rows):
        stop = min(start + rows, n)
        straight = cdist(points[start:stop], points[start + 1 :])
        later = np.arange(start + 1, n) > np.arange(start, stop)[:, None]
        first, second = np.nonzero(later & (straight > 0) & (straight <= limits[-1]))
        near = straight[first, second]
        bins = np.searchsorted(limits, near, side="left")
        step = values[start:stop][first] - values[start + 1 :][second]
        counts += np.bincount(bins, minlength=n_bins)
        distance += np.bincount(bins, metric.metres(near), minlength=n_bins)
        unlike += np.bincount(bins, step != 0 if classes else step**2 / 2, minlength=n_bins)
    return counts, distance, unlike


def _merged(upper: np.ndarray, *sums: np.ndarray) -> tuple[np.ndarray, ...]:
    """Drop the first edge while a bin has too few pairs; bins without any are left out in the end and do no harm."""
    counts, *others = sums
    while len(upper) > 1 and ((counts > 0) & (counts < _FEWEST_PAIRS)).any():
        upper = upper[1:]
        counts, *others = (np.append(each[0] + each[1], each[2:]) for each in (counts, *others))
    return upper, counts, *others
