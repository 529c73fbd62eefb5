"""NNDMSplit: leave-one-out cross-validation that is as far from its training samples as prediction is."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from pixelwise.errors import FoldError
from pixelwise.model_selection.distances import FoldDistances, Metric, metric_of, nearest
from pixelwise.model_selection.domain import domain_points
from pixelwise.model_selection.splitter import SpatialSplitter, n_rows

__all__ = ["NNDMSplit"]

#: A model is fitted for each sample: nobody waits for more.
_MOST_ROWS = 20_000
#: Neighbours that are looked up at first; twice as many whenever a row has lost them all.
_NEIGHBOURS = 32


class NNDMSplit(SpatialSplitter):
    """Nearest neighbour distance matching: leave-one-out cross-validation as hard as the prediction of a map.

    Around each test sample, near samples are taken out of training until the distances between test and training samples are
    distributed as those between the map's pixels and all samples [1]_. Where samples are spread like the map, nothing is
    taken out, and it is leave-one-out.

    One model is fitted for each sample; `KNNDMSplit` does the same with k folds.

    Parameters
    ----------
    prediction_domain : array-like of shape (m, 2), GeoDataFrame, PixelTable, or raster of any carrier
        Where the map will be predicted: coordinates, points, polygons, or a raster, of whose valid pixels a sample is drawn.
    phi : float or "max", default="max"
        Metres up to which distances are matched, such as the range of autocorrelation; "max" is the largest distance there is.
    min_train : float, default=0.5
        Smallest share of samples that stays in training.
    domain_size : int, default=2000
        Most places that are drawn from polygons and rasters.
    crs : object or None, default=None
        CRS of coordinates that do not bring their own.
    random_state : int, RandomState or None, default=None
        Seed of the draw from the domain.

    See Also
    --------
    KNNDMSplit : K folds instead of one a sample.

    References
    ----------
    .. [1] Milà, C. et al. (2022): Nearest neighbour distance matching leave-one-out cross-validation for map validation.
       Methods in Ecology and Evolution 13, 1304-1316.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> samples = np.random.default_rng(0).uniform(0, 100, (40, 2))
    >>> everywhere = np.random.default_rng(1).uniform(0, 1000, (500, 2))
    >>> cv = pw.NNDMSplit(everywhere, phi=60, crs=32633)
    >>> distances = cv.distances(samples, groups=samples)
    >>> bool(np.median(distances.gj) < 10), bool(np.median(distances.gj_star) > 50)
    (True, True)
    """

    def __init__(
        self,
        prediction_domain: Any = None,
        *,
        phi: float | str = "max",
        min_train: float = 0.5,
        domain_size: int = 2000,
        crs: Any = None,
        random_state: Any = None,
    ) -> None:
        self.prediction_domain = prediction_domain
        self.phi = phi
        self.min_train = min_train
        self.domain_size = domain_size
        self.crs = crs
        self.random_state = random_state

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X : object
            The samples.
        y, groups : object
            Not used.

        Returns
        -------
        int
        """
        if X is None:
            raise ValueError("the number of folds is that of samples: pass X")
        return n_rows(X)

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
            If the domain is missing or there are too few, or too many, samples.
        """
        points, _, _, rows = self._matched(X, groups)
        for row, neighbours in enumerate(rows):
            distance = np.sqrt(((points - points[row]) ** 2).sum(axis=1))
            train = distance > neighbours.border()
            train[row] = False
            yield np.flatnonzero(train), np.array([row])

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
        points, metric, gij, rows = self._matched(X, groups)
        nearest_kept = np.array([neighbours.nearest() for neighbours in rows])
        gj = np.asarray(cKDTree(points).query(points, k=2)[0][:, 1])
        return FoldDistances(metric.metres(gij), metric.metres(gj), metric.metres(nearest_kept))

    def _matched(self, X: Any, groups: Any) -> tuple[np.ndarray, Metric, np.ndarray, list[_Neighbours]]:
        xy, crs = self._places(X, groups, metres=False)
        if not 0 <= self.min_train < 1:
            raise FoldError(f"min_train={self.min_train!r}: give the smallest share of samples in training, such as 0.5")
        phi: Any = self.phi
        largest = isinstance(phi, str) and phi == "max"
        if not largest and not (isinstance(phi, int | float | np.number) and phi >= 0):
            raise FoldError(f"phi={self.phi!r}: give metres up to which distances are matched, or 'max'")
        if not 3 <= len(xy) <= _MOST_ROWS:
            raise FoldError(
                f"{len(xy)} samples: leave-one-out takes 3 to {_MOST_ROWS}; use KNNDMSplit for more, or one sample a polygon"
            )
        metric = metric_of(crs)
        points = metric.points(xy)
        domain = metric.points(domain_points(self.prediction_domain, crs, self.domain_size, self.random_state))
        gij = nearest(domain, points)
        limit = np.inf if largest else metric.straight(float(phi))
        return points, metric, gij, _match(points, gij, limit, self.min_train)


class _Neighbours:
    """The neighbours of one sample by distance, of which the nearest have been taken out of training."""

    def __init__(self, tree: cKDTree, row: int, distances: np.ndarray) -> None:
        self.tree, self.row = tree, row
        # The first is the sample itself.
        self.sorted = distances[1:]
        self.taken = 0

    def nearest(self) -> float:
        """Return the distance to the nearest one in training."""
        n = self.tree.n - 1
        if self.taken >= n:
            return float("inf")
        if self.taken >= len(self.sorted):
            k = min(max(2 * self.taken, _NEIGHBOURS), n) + 1
            self.sorted = self.tree.query(self.tree.data[self.row], k=k)[0][1:]
        return float(self.sorted[self.taken])

    def take(self) -> None:
        """Take all at the nearest distance out of training."""
        distance = self.nearest()
        while self.nearest() == distance:
            self.taken += 1

    def left(self) -> int:
        """Return how many are in training."""
        return int(self.tree.n) - 1 - self.taken

    def border(self) -> float:
        """Return a distance between those taken out and those in training."""
        if not self.taken:
            return -1.0
        inner, outer = float(self.sorted[self.taken - 1]), self.nearest()
        return inner + 1 if np.isinf(outer) else (inner + outer) / 2


def _match(points: np.ndarray, gij: np.ndarray, phi: float, min_train: float) -> list[_Neighbours]:
    """Take neighbours out of training, shortest distance first, while that brings the two distributions together."""
    n, tree = len(points), cKDTree(points)
    first = tree.query(points, k=min(_NEIGHBOURS + 1, n))[0]
    rows = [_Neighbours(tree, row, first[row]) for row in range(n)]
    phi = _largest(points, gij) if np.isinf(phi) else phi
    gij = np.sort(gij)
    heap = [(rows[row].nearest(), row) for row in range(n)]
    heapq.heapify(heap)
    below = 0
    while heap and heap[0][0] <= phi:
        radius = heap[0][0]
        predicted = np.searchsorted(gij, radius, side="right") / len(gij)
        level: list[int] = []
        while heap and heap[0][0] == radius:
            level.append(heapq.heappop(heap)[1])
        while level:
            row = rows[level[0]]
            # Rows stay at this distance, and all shorter ones, for good once one of them cannot give way.
            if (below + len(level) - 1) / n < predicted or row.left() / n <= min_train:
                below += len(level)
                break
            row.take()
            heapq.heappush(heap, (row.nearest(), level.pop(0)))
    return rows


def _largest(points: np.ndarray, gij: np.ndarray) -> float:
    """Return the largest distance between samples, or from the domain to its nearest sample."""
    low, high = points.min(axis=0), points.max(axis=0)
    # No pair is farther apart than the corners of the box around all: a bound is enough, nothing lies beyond it.
    return max(float(np.linalg.norm(high - low)), float(gij.max()))
