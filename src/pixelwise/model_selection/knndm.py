"""KNNDMSplit: k folds whose test samples are as far from their training samples as the map's pixels are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.cluster.hierarchy import cut_tree, linkage
from scipy.spatial import cKDTree
from scipy.spatial.distance import pdist
from scipy.stats import ks_2samp, wasserstein_distance
from sklearn.cluster import KMeans
from sklearn.utils import check_random_state

from pixelwise.errors import FoldError
from pixelwise.model_selection.distances import (
    FoldDistances,
    Metric,
    metric_of,
    nearest,
    nearest_in_other_folds,
    nearest_neighbour,
)
from pixelwise.model_selection.domain import domain_points
from pixelwise.model_selection.splitter import SpatialSplitter, check_folds

__all__ = ["KNNDMSplit"]

_CLUSTERINGS = ("ward", "kmeans")
#: Numbers of clusters that are tried, few clusters more densely than many.
_CANDIDATES = 100
#: Above this p-value samples are not nearer to each other than the map is to them, and random folds do.
_SIGNIFICANCE = 0.05


@dataclass(frozen=True, eq=False)
class _Choice:
    """Folds of a sample of rows, and what they were chosen on."""

    fold: np.ndarray
    n_clusters: int | None


class KNNDMSplit(SpatialSplitter):
    """K-fold nearest neighbour distance matching: folds as hard as the prediction of a map.

    Clusters of samples are put together to folds so that the distances between test and training samples are distributed as
    those between the map's pixels and all samples; of many numbers of clusters the one with the smallest difference W is
    taken [1]_. Where samples are spread like the map, that means random folds; where they are clustered, few and compact
    ones. Scores of all folds are best pooled, since folds differ in size.

    Parameters
    ----------
    n_splits : int, default=10
        Number of folds.
    prediction_domain : array-like of shape (m, 2), GeoDataFrame, PixelTable, or raster of any carrier
        Where the map will be predicted: coordinates, points, polygons, or a raster, of whose valid pixels a sample is drawn.
    max_fold_share : float, default=0.5
        Largest share of samples in one fold.
    clustering : {"ward", "kmeans"}, default="ward"
        How samples are clustered.
    domain_size : int, default=2000
        Most places that are drawn from polygons and rasters.
    max_samples : int, default=5000
        With more rows, folds are found for a sample of this many, and every other row goes with the nearest of them.
    crs : object or None, default=None
        CRS of coordinates that do not bring their own.
    random_state : int, RandomState or None, default=None
        Seed of the draws, of random folds and of k-means.

    See Also
    --------
    NNDMSplit : The same with one fold a sample.
    SpatialBlockGroupKFold : Blocks of a size that is known.

    Notes
    -----
    Ward's clustering needs the distances between all pairs of the `max_samples` rows: 100 MB for 5000.

    References
    ----------
    .. [1] Linnenbrink, J. et al. (2024): kNNDM CV: k-fold nearest-neighbour distance matching cross-validation for map
       accuracy estimation. Geoscientific Model Development 17, 5897-5912.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> samples = np.array([[1, 1], [1, 2], [2, 2], [2, 3], [1, 4], [5, 4]])
    >>> x, y = np.meshgrid(np.arange(0.5, 10, 2), np.arange(1.5, 9, 2))
    >>> cv = pw.KNNDMSplit(2, np.column_stack([x.ravel(), y.ravel()]), max_fold_share=0.8, crs=32633)
    >>> [test.tolist() for _, test in cv.split(samples, groups=samples)]
    [[0, 1, 2, 3], [4, 5]]
    >>> distances = cv.distances(samples, groups=samples)
    >>> round(distances.W, 2), distances.n_clusters
    (0.67, 3)
    """

    def __init__(
        self,
        n_splits: int = 10,
        prediction_domain: Any = None,
        *,
        max_fold_share: float = 0.5,
        clustering: str = "ward",
        domain_size: int = 2000,
        max_samples: int = 5000,
        crs: Any = None,
        random_state: Any = None,
    ) -> None:
        self.n_splits = n_splits
        self.prediction_domain = prediction_domain
        self.max_fold_share = max_fold_share
        self.clustering = clustering
        self.domain_size = domain_size
        self.max_samples = max_samples
        self.crs = crs
        self.random_state = random_state

    shuffle = True

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the rows of training and test of each fold.

        Parameters
        ----------
        X : PixelTable, GeoDataFrame, DataFrame with a (y, x) index, or array
            The samples; they say where they are, unless `groups` does.
        y : object
            Not used.
        groups : array-like of shape (n, 2) or None
            Coordinates; None takes them from X.

        Yields
        ------
        train, test : ndarray of int

        Raises
        ------
        FoldError
            If the domain is missing, there are fewer places than folds, or no fold can be kept below `max_fold_share`.
        """
        fold = self.fold_ids(X, groups=groups)
        yield from self._apart((fold == number for number in range(self.n_splits)), X, groups)

    def fold_ids(self, X: Any, y: Any = None, groups: Any = None) -> np.ndarray:
        """Return the fold in which each row is tested.

        Parameters
        ----------
        X, y, groups : object
            As for `split`.

        Returns
        -------
        ndarray of int, shape (n,)
        """
        return self._choose(*self._placed(X, groups)[:3])[0]

    def distances(self, X: Any, groups: Any = None) -> FoldDistances:
        """Return the distances that the choice was made on.

        Parameters
        ----------
        X, groups : object
            As for `split`.

        Returns
        -------
        FoldDistances
        """
        xy, points, gij, metric = self._placed(X, groups)
        fold, n_clusters = self._choose(xy, points, gij)
        gj, gj_star = nearest_neighbour(points), nearest_in_other_folds(points, fold)
        return FoldDistances(metric.metres(gij), metric.metres(gj), metric.metres(gj_star), n_clusters)

    def _placed(self, X: Any, groups: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, Metric]:
        check_folds(self.n_splits)
        xy, crs = self._places(X, groups, metres=False)
        if not 1 / self.n_splits <= self.max_fold_share <= 1:
            raise FoldError(
                f"max_fold_share={self.max_fold_share!r}: {self.n_splits} folds need a share from {1 / self.n_splits:.2g} to 1"
            )
        if self.clustering not in _CLUSTERINGS:
            raise FoldError(f"clustering={self.clustering!r} is not known: choose 'ward' or 'kmeans'")
        if len(xy) < self.n_splits + 2:
            raise FoldError(f"{len(xy)} samples cannot make {self.n_splits} folds: lower n_splits")
        metric = metric_of(crs)
        points = metric.points(xy)
        domain = metric.points(domain_points(self.prediction_domain, crs, self.domain_size, self.random_state))
        return xy, points, nearest(domain, points), metric

    def _choose(self, xy: np.ndarray, points: np.ndarray, gij: np.ndarray) -> tuple[np.ndarray, int | None]:
        """Return the fold of each row and the number of clusters, found on a sample where there are many rows."""
        random = check_random_state(self.random_state)
        n, n_splits = len(xy), self.n_splits
        gj = nearest_neighbour(points)
        if ks_2samp(gj, gij, alternative="greater", method="exact" if len(gj) * len(gij) < 10_000 else "asymp").pvalue >= (
            _SIGNIFICANCE
        ):
            return random.permutation(np.arange(n) % n_splits), None
        if n <= self.max_samples:
            choice = self._of_clusters(xy, points, gij, random)
            return choice.fold, choice.n_clusters
        rows = np.sort(random.permutation(n)[: self.max_samples])
        choice = self._of_clusters(xy[rows], points[rows], gij, random)
        return choice.fold[cKDTree(points[rows]).query(points)[1]], choice.n_clusters

    def _of_clusters(self, xy: np.ndarray, points: np.ndarray, gij: np.ndarray, random: np.random.RandomState) -> _Choice:
        """Try numbers of clusters, and keep the folds with the smallest W."""
        n, k = len(xy), self.n_splits
        places = len(np.unique(xy, axis=0))
        if places < k:
            raise FoldError(f"{n} samples lie at only {places} places, which cannot make {k} folds: lower n_splits")
        numbers = np.unique(np.rint(np.exp(np.linspace(np.log(k), np.log(n - 2), _CANDIDATES))).astype(int))
        # More clusters than places would tear rows of one place apart.
        numbers = numbers[numbers <= places]
        along = _first_component(xy)
        best, kept = np.inf, None
        for number, clusters in zip(numbers, self._clusters(points, numbers, random), strict=True):
            fold = _folds_of_clusters(clusters, along, k)
            if np.bincount(fold, minlength=k).max() > self.max_fold_share * n or len(np.unique(fold)) < k:
                continue
            w = wasserstein_distance(nearest_in_other_folds(points, fold), gij)
            if w < best:
                best, kept = w, _Choice(fold, int(number))
        if kept is None:
            raise FoldError(
                f"no clusters of {n} samples make {k} folds with at most max_fold_share={self.max_fold_share:g} of them each: "
                "raise it, or lower n_splits"
            )
        return kept

    def _clusters(self, points: np.ndarray, numbers: np.ndarray, random: np.random.RandomState) -> Iterator[np.ndarray]:
        """Yield the cluster of each row, for each number of clusters."""
        if self.clustering == "ward":
            yield from cut_tree(linkage(pdist(points), "ward"), numbers).T
            return
        for number in numbers:
            seed = random.randint(np.iinfo(np.int32).max)
            yield KMeans(int(number), n_init=1, random_state=seed).fit_predict(points)


def _first_component(xy: np.ndarray) -> np.ndarray:
    """Return the places along the direction in which they vary most; which end comes first makes no difference."""
    centred = xy - xy.mean(axis=0)
    return np.asarray(centred @ np.linalg.svd(centred, full_matrices=False)[2][0])


def _folds_of_clusters(clusters: np.ndarray, along: np.ndarray, k: int) -> np.ndarray:
    """Give large clusters a fold each, and deal the rest, in their order along the main direction, to the other folds."""
    sizes = np.bincount(clusters)
    order = np.argsort(np.bincount(clusters, along) / np.maximum(sizes, 1), kind="stable")
    order = order[sizes[order] > 0]
    large = sizes[order] >= len(clusters) / k
    fold = np.empty(len(sizes), int)
    own = np.flatnonzero(large)
    fold[order[own]] = np.arange(len(own))
    rest, free = order[~large], np.arange(len(own), k)
    if len(rest):
        fold[rest] = free[np.arange(len(rest)) % len(free)]
    return np.asarray(fold[clusters])
