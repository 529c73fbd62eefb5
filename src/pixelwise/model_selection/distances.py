"""How far places are from each other: nearest neighbours, within and across folds, in metres."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from rasterio.crs import CRS
from scipy.spatial import cKDTree
from scipy.stats import wasserstein_distance

from pixelwise.errors import FoldError
from pixelwise.raster.grid import EARTH_RADIUS, metres_per_unit

__all__ = [
    "FoldDistances", "Metric", "metric_of", "nearest", "nearest_in_other_folds", "nearest_neighbour", "nearest_training",
    "within",
]  # fmt: skip

#: Folds for which one tree each is built; with more of them the neighbours of each row are searched outwards.
_MOST_TREES = 64
#: Distances are compared with a limit up to this share of it, so that pixels at exactly the limit are within, rounded or not.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Metric:
    """How distances are measured: straight on a plane, along the great circle on a geographic CRS.

    Trees work on straight lines: a chord through the sphere grows with the arc, so that neighbours are the same.

    Parameters
    ----------
    geographic : bool, default=False
        Coordinates are degrees of longitude and latitude.
    unit : float, default=1.0
        Metres in a unit of coordinates on a plane.

    See Also
    --------
    metric_of : The metric of a CRS.

    Examples
    --------
    >>> import numpy as np
    >>> from pixelwise.model_selection.distances import Metric, nearest
    >>> sphere = Metric(geographic=True)
    >>> a, b = sphere.points(np.array([[0.0, 60.0]])), sphere.points(np.array([[1.0, 60.0]]))
    >>> sphere.metres(nearest(a, b)).round(-1)
    array([55600.])
    """

    geographic: bool = False
    unit: float = 1.0

    def points(self, xy: np.ndarray) -> np.ndarray:
        """Return coordinates in metres for trees: (n, 2) on a plane, (n, 3) on the sphere."""
        if not self.geographic:
            return np.ascontiguousarray(np.asarray(xy, dtype=float) * self.unit)
        lon, lat = np.radians(np.asarray(xy, dtype=float).T)
        return EARTH_RADIUS * np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])

    def metres(self, straight: np.ndarray) -> np.ndarray:
        """Return distances over the ground from straight ones."""
        if not self.geographic:
            return straight
        return np.asarray(2 * EARTH_RADIUS * np.arcsin(np.minimum(straight / (2 * EARTH_RADIUS), 1.0)))

    def straight(self, metres: float) -> float:
        """Return the straight distance that belongs to one over the ground."""
        if not self.geographic:
            return metres
        return float(2 * EARTH_RADIUS * np.sin(min(metres / (2 * EARTH_RADIUS), np.pi / 2)))


def metric_of(crs: CRS | None) -> Metric:
    """Return how distances are measured in a CRS; on a plane in its own units where there is none."""
    if crs is not None and crs.is_geographic:
        return Metric(geographic=True)
    return Metric(unit=metres_per_unit(crs))


@dataclass(frozen=True, eq=False, repr=False)
class FoldDistances:
    """Distances that tell whether cross-validation is as hard as prediction.

    A map is predicted at some distance from the training samples, `gij`. Cross-validation is honest about it where its test
    rows lie as far from their training rows, `gj_star` [1]_.

    Parameters
    ----------
    gij : ndarray of shape (m,)
        Metres from each place of the prediction domain to the nearest sample.
    gj : ndarray of shape (n,)
        Metres from each sample to the nearest other one.
    gj_star : ndarray of shape (k,)
        Metres from each tested sample to the nearest one that it was predicted from.
    n_clusters : int or None, default=None
        Clusters of places that the folds were put together from, where they were.

    References
    ----------
    .. [1] Milà, C. et al. (2022): Nearest neighbour distance matching leave-one-out cross-validation for map validation.
       Methods in Ecology and Evolution 13, 1304-1316.

    Examples
    --------
    >>> import numpy as np
    >>> from pixelwise.model_selection.distances import FoldDistances
    >>> FoldDistances(gij=np.array([10.0, 30.0]), gj=np.array([1.0, 1.0]), gj_star=np.array([10.0, 20.0])).W
    5.0
    """

    gij: np.ndarray
    gj: np.ndarray
    gj_star: np.ndarray
    n_clusters: int | None = None

    @property
    def W(self) -> float:  # noqa: N802
        """Area between the distributions of `gj_star` and `gij` in metres: Wasserstein's distance; 0 is a perfect match."""
        return float(wasserstein_distance(self.gj_star, self.gij))

    def __repr__(self) -> str:
        medians = ", ".join(f"{name} {np.median(getattr(self, name)):.4g}" for name in ("gij", "gj", "gj_star"))
        return f"FoldDistances(W={self.W:.4g} m; medians in m: {medians})"


def nearest(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the straight distance from each point to the nearest of the others.

    Parameters
    ----------
    points : ndarray of shape (n, d)
        From `Metric.points`.
    others : ndarray of shape (m, d)
        The same, at least one.

    Returns
    -------
    ndarray of shape (n,)
    """
    return np.asarray(_tree(others).query(points)[0])


def nearest_neighbour(points: np.ndarray) -> np.ndarray:
    """Return the straight distance from each point to the nearest other row; 0 between rows at the same place.

    Parameters
    ----------
    points : ndarray of shape (n, d)
        From `Metric.points`, at least two.

    Returns
    -------
    ndarray of shape (n,)
    """
    return np.asarray(_tree(points).query(points, k=2)[0][:, 1])


def nearest_in_other_folds(points: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Return the straight distance from each point to the nearest one of another fold.

    Parameters
    ----------
    points : ndarray of shape (n, d)
        From `Metric.points`.
    fold : ndarray of shape (n,)
        Fold of each point.

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    FoldError
        If there is one fold only.
    """
    folds = np.unique(fold)
    if len(folds) < 2:
        raise FoldError("all rows are in one fold, so no other fold is near: make at least 2 folds")
    if len(folds) > _MOST_TREES:
        return _outwards(points, fold)
    found = np.empty(len(points))
    for number in folds:
        inside = fold == number
        found[inside] = nearest(points[inside], points[~inside])
    return found


def _outwards(points: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Search the neighbours of each row, twice as many a time, until one is of another fold."""
    tree, left, k = _tree(points), np.arange(len(points)), 2
    found = np.full(len(points), np.nan)
    while len(left):
        distance, neighbour = tree.query(points[left], k=min(k, len(points)))
        foreign = fold[neighbour] != fold[left][:, None]
        known = foreign.any(axis=1)
        found[left[known]] = distance[known, foreign[known].argmax(axis=1)]
        left, k = left[~known], 2 * k
    return found


def nearest_training(points: np.ndarray, folds: Iterable[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return the straight distance from each tested row to the nearest row of its training set, fold after fold.

    Parameters
    ----------
    points : ndarray of shape (n, d)
        From `Metric.points`.
    folds : iterable of (train, test)
        What a splitter yields.

    Returns
    -------
    ndarray of shape (sum of len(test),)
    """
    return np.concatenate([nearest(points[test], points[train]) for train, test in folds])


def within(points: np.ndarray, others: np.ndarray, distance: float) -> np.ndarray:
    """Return which points lie within a straight distance of any of the others, those at exactly the distance included.

    Parameters
    ----------
    points : ndarray of shape (n, d)
        From `Metric.points`.
    others : ndarray of shape (m, d)
        The same.
    distance : float
        From `Metric.straight`.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    if not len(others) or not len(points):
        return np.zeros(len(points), bool)
    # Of a nanometre or less, whose square is nothing to the tree, no place can be told from another.
    limit = np.nextafter(max(distance * (1 + _ROUNDING), 1e-9), np.inf)
    return np.asarray(np.isfinite(_tree(others).query(points, distance_upper_bound=limit)[0]))


def _tree(points: np.ndarray) -> cKDTree:
    # Pixels share their coordinates with whole rows and columns of others, which a median split handles at a high price.
    return cKDTree(points, balanced_tree=False)
