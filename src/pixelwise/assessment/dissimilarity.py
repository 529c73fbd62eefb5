"""How unlike pixels are to the training pixels: dissimilarity index and local point density of a table."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_random_state

from pixelwise.errors import BandError, FoldError, MissingDataError, PixelwiseWarning

__all__ = ["DissimilarityIndex", "Fold", "folds_of", "leave_one_out"]

#: Up to so many rows are compared with all others at once; a tree pays off for more.
_FEW = 16
#: Points in a leaf of a tree: in a dozen dimensions larger leaves than scipy's are faster.
_LEAF = 32
#: Rows whose distances to many others are held at a time.
_BLOCK = 256
#: Rows of new pixels that are scaled at a time.
_CHUNK = 65_536
#: A distance whose square is still larger than 0.
_TINY = 1e-150
#: Distances are below the threshold if they are so by more than rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Fold:
    """Rows of a fold: those tested, and those that are no training rows, which are fewer to remember.

    Parameters
    ----------
    test : ndarray of int
        Rows that no fold before has tested.
    held_out : ndarray of int
        Rows that are not trained on: tested, or lost to a buffer.
    """

    test: np.ndarray
    held_out: np.ndarray

    def trained(self, rows: np.ndarray) -> np.ndarray:
        """Return a mask of rows without those held out."""
        kept = rows.copy()
        kept[self.held_out] = False
        return kept


def leave_one_out(n: int) -> list[Fold]:
    """Return one fold that tests all rows and holds none out: a row is never compared with itself anyway."""
    return [Fold(np.arange(n), np.empty(0, np.intp))]


def folds_of(splits: Iterable[tuple[Any, Any]], n: int) -> list[Fold]:
    """Return what a splitter yields in short.

    Parameters
    ----------
    splits : iterable of (train, test)
        Positions of rows.
    n : int
        Number of rows.

    Returns
    -------
    list of Fold
        A row that several folds test is tested in the first of them.

    Raises
    ------
    FoldError
        If a fold trains on no row, names one that is not there, or no fold tests any.
    """
    folds, seen = [], np.zeros(n, bool)
    for number, (train, test) in enumerate(splits):
        kept, new = np.zeros(n, bool), np.zeros(n, bool)
        for mask, rows in ((kept, train), (new, test)):
            at = np.asarray(rows) if len(rows) else np.empty(0, np.intp)
            if at.dtype != bool and at.max(initial=0) >= n:
                raise FoldError(
                    f"fold {number} names row {at.max()} of {n} training rows: pass folds of the same table", fold=number
                )
            mask[at] = True
        if not kept.any():
            raise FoldError(f"fold {number} has no training rows: make the buffer smaller, or n_splits", fold=number)
        new &= ~seen
        seen |= new
        folds.append(Fold(np.flatnonzero(new), np.flatnonzero(~kept)))
    if not seen.any():
        raise FoldError(f"the {len(folds)} folds of cv test no row: pass a splitter that yields (train, test) with test rows")
    return folds


class DissimilarityIndex(TransformerMixin, BaseEstimator):
    """Dissimilarity index and local point density of tables; `AreaOfApplicability` brings rasters, models and folds.

    Parameters
    ----------
    lpd : bool, default=True
        Whether the local point density is counted.
    max_samples : int or None, default=None
        Most training rows that pixels are compared with.
    exact_up_to : int, default=20_000
        Rows up to which mean distance and density are exact.
    n_jobs : int or None, default=None
        Threads.
    random_state : int, RandomState or None, default=0
        Seed of what is drawn.

    Attributes
    ----------
    threshold_, mean_distance_ : float
        Largest index inside, and mean distance between training rows.
    train_di_, train_lpd_ : ndarray of shape (n,)
        Index and density of the training rows; NaN where no fold tests them.
    mean_, scale_, weights_ : ndarray of shape (n_features,)
        What features are centred on, divided by, and weighed with.
    """

    def __init__(
        self, *, lpd: bool = True, max_samples: int | None = None, exact_up_to: int = 20_000, n_jobs: int | None = None,
        random_state: Any = 0,
    ) -> None:  # fmt: skip
        self.lpd = lpd
        self.max_samples = max_samples
        self.exact_up_to = exact_up_to
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(
        self, X: Any, y: Any = None, *, weights: np.ndarray | None = None, folds: Sequence[Fold] | None = None
    ) -> DissimilarityIndex:
        """Learn scales, mean distance and threshold.

        Parameters
        ----------
        X : array of shape (n, n_features)
            Training rows.
        y : None
            Not used.
        weights : ndarray of shape (n_features,) or None
            Weight of each feature; None weighs them alike.
        folds : sequence of Fold or None
            Where each row is tested; None leaves one row out at a time.

        Returns
        -------
        self
        """
        values = self._checked(X, "training rows")
        n, random = len(values), check_random_state(self.random_state)
        folds = leave_one_out(n) if folds is None else folds
        self.n_features_in_ = values.shape[1]
        self.mean_, self.scale_ = values.mean(axis=0), values.std(axis=0, ddof=1)
        self.weights_ = _usable(np.ones(values.shape[1]) if weights is None else weights, values)
        points = self._points(values)
        kept = _drawn(n, self.max_samples, random)
        sample = kept & _drawn(n, self.exact_up_to, random, among=kept)
        self.mean_distance_ = _mean_distance(points[sample])
        if not self.mean_distance_:
            raise BandError(f"all {sample.sum()} training rows that were drawn are alike: raise max_samples and exact_up_to")
        distance = _over_folds(points, folds, kept, self._nearest)
        self.train_di_ = distance / self.mean_distance_
        self.threshold_ = _threshold(self.train_di_)
        if not self.threshold_:
            warnings.warn(
                "the threshold is 0, because nearly every training row has a twin among the training rows of its fold, so that "
                "only copies of training rows are inside: pass folds that hold neighbours out together, or weigh more bands",
                PixelwiseWarning,
                stacklevel=3,
            )
        self.points_, self.tree_ = points[kept], None
        self.counted_, self.counting_tree_ = points[sample], None
        if self.lpd:
            self.train_lpd_ = _over_folds(points, folds, kept, self._density, sample)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return dissimilarity index and local point density.

        Parameters
        ----------
        X : array of shape (n, n_features)
            Any rows.

        Returns
        -------
        ndarray of shape (n, 2), or (n, 1) without density
        """
        values = self._checked(X, "rows")
        out = np.empty((len(values), 1 + bool(self.lpd)))
        for start in range(0, len(values), _CHUNK):
            rows, part = self._points(values[start : start + _CHUNK]), out[start : start + _CHUNK]
            part[:, 0] = self._tree().query(rows, workers=self._workers())[0] / self.mean_distance_
            if self.lpd:
                # Beyond the threshold there is nothing to count, which saves most of the time.
                near = part[:, 0] < self.threshold_
                part[:, 1] = 0
                part[near, 1] = self._counts(self._counting_tree(), rows[near]) * (len(self.points_) / len(self.counted_))
        if self.lpd:
            np.rint(out[:, 1], out=out[:, 1])
        return out

    def predict(self, X: Any) -> np.ndarray:
        """Return 1 where rows are no more dissimilar than the threshold, and 0 elsewhere.

        Parameters
        ----------
        X : array of shape (n, n_features)
            Any rows.

        Returns
        -------
        ndarray of int, shape (n,)
        """
        values = self._checked(X, "rows")
        inside = np.empty(len(values), np.intp)
        for start in range(0, len(values), _CHUNK):
            rows = self._points(values[start : start + _CHUNK])
            # How near does not matter: most rows have some neighbour within the threshold, found in a third of the time.
            near = self._within_threshold(rows, eps=1.0)
            near[~near] = self._within_threshold(rows[~near], eps=0.0)
            inside[start : start + _CHUNK] = near
        return inside

    def _within_threshold(self, rows: np.ndarray, eps: float) -> np.ndarray:
        # Beyond the limit the search ends; what is just within is compared as transform does.
        limit = max(self.threshold_ * self.mean_distance_ * (1 + 1e-9), _TINY)
        distance = self._tree().query(rows, eps=eps, distance_upper_bound=limit, workers=self._workers())[0]
        return np.asarray(distance / self.mean_distance_ <= self.threshold_)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns: DI, and LPD where it is counted."""
        return np.asarray(["DI", "LPD"] if self.lpd else ["DI"], dtype=object)

    def __getstate__(self) -> dict[str, Any]:
        # A tree is built faster than it is read, and skops cannot write one.
        return {**super().__getstate__(), **({"tree_": None, "counting_tree_": None} if "tree_" in self.__dict__ else {})}

    def _tree(self) -> cKDTree:
        if self.tree_ is None:
            self.tree_ = _tree(self.points_)
        return self.tree_

    def _counting_tree(self) -> cKDTree:
        if self.counting_tree_ is None:
            self.counting_tree_ = self._tree() if len(self.counted_) == len(self.points_) else _tree(self.counted_)
        return self.counting_tree_

    def _workers(self) -> int:
        return int(effective_n_jobs(self.n_jobs))

    @staticmethod
    def _checked(X: Any, what: str) -> np.ndarray:
        values = np.asarray(X, dtype=float)
        bad = ~np.isfinite(values).all(axis=1)
        if bad.any():
            raise MissingDataError(
                f"{bad.sum()} of {len(values)} {what} lack data (NaN or infinite), the first is row {np.argmax(bad)}: "
                "drop them, as extract_pixels(nan='drop') does, or impute them"
            )
        return values

    def _points(self, values: np.ndarray) -> np.ndarray:
        """Return standardised, weighted features; those that count for nothing are left out."""
        counts = self.weights_ > 0
        return np.ascontiguousarray((values[:, counts] - self.mean_[counts]) / self.scale_[counts] * self.weights_[counts])

    def _nearest(self, rows: np.ndarray, others: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Return the distance of rows to the nearest of others, among which those marked as own are themselves."""
        first = 2 if own.any() else 1
        if len(others) < first:
            raise FoldError("a training row has no other row to be compared with: give more rows, or fewer folds")
        if len(rows) <= _FEW:
            distance = np.partition(cdist(rows, others), first - 1, axis=1)[:, :first]
        else:
            distance = _tree(others).query(rows, k=[1, 2][:first], workers=self._workers())[0]
        return np.asarray(np.where(own, distance[:, first - 1], distance[:, 0]))

    def _density(self, rows: np.ndarray, others: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Return how many of the others lie closer to rows than the threshold, themselves not counted."""
        if self.threshold_ == 0:
            return np.zeros(len(rows))
        if len(rows) <= _FEW:
            return np.asarray((cdist(rows, others) <= self._radius()).sum(axis=1) - own)
        return np.asarray(self._counts(_tree(others), rows) - own)

    def _counts(self, tree: cKDTree, rows: np.ndarray) -> np.ndarray:
        if self.threshold_ == 0:
            return np.zeros(len(rows))
        return np.asarray(tree.query_ball_point(rows, self._radius(), return_length=True, workers=self._workers()))

    def _radius(self) -> float:
        """Return the largest distance that is below the threshold."""
        return float(self.threshold_ * self.mean_distance_ * (1 - _ROUNDING))


def _tree(points: np.ndarray) -> cKDTree:
    # Queries are three times faster than with medians, and many pixels share their values, which medians cannot part.
    return cKDTree(points, leafsize=_LEAF, balanced_tree=False)


def _drawn(n: int, most: int | None, random: np.random.RandomState, among: np.ndarray | None = None) -> np.ndarray:
    """Return a mask of at most so many rows."""
    rows = np.arange(n) if among is None else np.flatnonzero(among)
    mask = np.zeros(n, bool)
    mask[rows if most is None or len(rows) <= most else random.choice(rows, most, replace=False)] = True
    return mask


def _usable(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return weights with 0 for features that do not vary."""
    # By the range, because rounding leaves a constant a deviation of its own.
    constant = np.ptp(values, axis=0) == 0
    if constant.all():
        n = f"{len(values)} sample" + "s" * (len(values) != 1)
        raise BandError(f"no feature varies over the training rows ({n}): distances need 2 different rows or more")
    if constant.any():
        at = ", ".join(map(str, np.flatnonzero(constant)))
        warnings.warn(
            f"feature {at} has the same value in all {len(values)} training rows and gets weight 0, so that pixels which "
            "differ in it alone look familiar: leave it out of the model, or add training rows that differ in it",
            PixelwiseWarning,
            stacklevel=4,
        )
    usable = np.where(constant, 0.0, np.maximum(weights, 0.0))
    if not usable.any():
        raise BandError("all weights are 0 or less, or belong to features that do not vary: give one of the others a weight")
    return usable


def _mean_distance(points: np.ndarray) -> float:
    """Return the mean distance between two different rows, a block of rows at a time."""
    n, total = len(points), 0.0
    for start in range(0, n, _BLOCK):
        block = points[start : start + _BLOCK]
        total += float(cdist(block, block).sum())
        if start + _BLOCK < n:
            total += 2 * float(cdist(block, points[start + _BLOCK :]).sum())
    return total / (n * (n - 1))


def _threshold(train_di: np.ndarray) -> float:
    """Return the upper whisker of a boxplot, or the maximum where that is smaller."""
    known = train_di[~np.isnan(train_di)]
    low, high = np.quantile(known, (0.25, 0.75))
    return float(min(high + 1.5 * (high - low), known.max()))


def _over_folds(
    points: np.ndarray, folds: Sequence[Fold], kept: np.ndarray, measure: Any, sample: np.ndarray | None = None
) -> np.ndarray:
    """Return a measure of each tested row against the training rows of its fold; what a sample counts is scaled up."""
    found = np.full(len(points), np.nan)
    for number, fold in enumerate(folds):
        if not len(fold.test):
            continue
        among = trained = fold.trained(kept)
        if sample is not None and (trained & sample).any():
            among = trained & sample
        if not among.any():
            raise FoldError(f"max_samples leaves fold {number} no training row: make it larger", fold=number)
        part = measure(points[fold.test], points[among], among[fold.test])
        found[fold.test] = part if sample is None else np.rint(part * (trained.sum() / among.sum()))
    return found
