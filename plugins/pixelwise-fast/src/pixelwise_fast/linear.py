"""Scalers and a linear classifier or KMeans as one affine map, with labels that are exact."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.linear_model import LogisticRegression, Perceptron, RidgeClassifier, SGDClassifier
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC

from pixelwise.errors import EngineError
from pixelwise_fast.affine import AffineProgram
from pixelwise_fast.affine import read as read_affine
from pixelwise_fast.program import MANY, in_blocks, read_only
from pixelwise_fast.scalers import DTYPES, affine_of, ask

__all__ = ["LinearProgram", "read"]

_CLASSIFIERS = (LogisticRegression, Perceptron, RidgeClassifier, SGDClassifier, LinearSVC)
#: Pixels at a time, whose scores stay in the nearest cache.
_TOGETHER = 128
#: Most classes that are told apart.
_MOST = 2**16


def read(pipeline: Any) -> LinearProgram | AffineProgram | None:
    """Translate a Pipeline of scalers and a linear model, KMeans or PCA; None for any other Pipeline.

    Parameters
    ----------
    pipeline : Pipeline
        A fitted Pipeline.

    Returns
    -------
    LinearProgram, AffineProgram or None
    """
    *scalers, (_, last) = pipeline.steps
    found = _scores(last) if scalers else None
    maps = [affine_of(scaler) for _, scaler in scalers]
    if None in maps:
        return None
    return read_affine(pipeline) if found is None else LinearProgram(pipeline, [each for each in maps if each], *found)


def _scores(last: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Return weights and offsets of the scores whose largest one wins; None for what has none."""
    if type(last) in (KMeans, MiniBatchKMeans) and 1 < len(last.cluster_centers_) <= _MOST:
        # The squared distance to a centre, without the square of the pixel itself, with its sign turned round.
        centres = last.cluster_centers_.astype(np.float64)
        return 2 * centres, -(centres**2).sum(axis=1)
    if type(last) not in _CLASSIFIERS or len(last.classes_) > _MOST:
        return None
    # RidgeClassifier also takes several labels a pixel.
    if str(getattr(getattr(last, "_label_binarizer", None), "y_type_", "")).startswith("multilabel"):
        return None
    weights = np.atleast_2d(last.coef_).astype(np.float64)
    return weights, np.broadcast_to(np.ravel(last.intercept_).astype(np.float64), len(weights))


class LinearProgram:
    """One affine map for the labels; all else is left to the Pipeline.

    The map is computed in double precision. The Pipeline rounds, in single precision if the pixels are. Where the best class
    leads by less than what its rounding can come to, the Pipeline itself decides: so labels are exact.

    Parameters
    ----------
    source : Pipeline
        The fitted Pipeline.
    scalers : list of (factor, offset)
        Its scalers, each an affine map of the features.
    weights : ndarray of float64 of shape (n_scores, n_features)
        Weights of the scores, of the scaled features.
    offsets : ndarray of float64 of shape (n_scores,)
        What is added to them.
    """

    def __init__(
        self, source: Pipeline, scalers: list[tuple[Any, Any]], weights: NDArray[np.float64], offsets: NDArray[np.float64]
    ) -> None:
        # A copy, so that the estimator itself is let go once nobody else holds it.
        self.source = copy.copy(source)
        #: None of clusters, which are their own numbers.
        self.classes = getattr(source[-1], "classes_", None)
        #: KMeans takes pixels in the precision of its centres alone.
        self.precision = None if self.classes is not None else source[-1].cluster_centers_.dtype.name
        methods = ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform")
        self.bounds = {method: 0.0 for method in methods if hasattr(source, method)}
        size = weights.shape[1]
        # The absolute terms of the sums, which the rounding grows with.
        fixed = np.abs(offsets)
        for factor, offset in reversed(scalers):
            fixed = fixed + np.abs(weights) @ np.broadcast_to(np.abs(offset), size)
            offsets, weights = offsets + weights @ np.broadcast_to(offset, size), weights * factor
        self.weights, self.offsets = weights, offsets
        # A term is rounded with each addition, and a few times in each scaler; as much again to be on the safe side.
        steps = 2.0 * (size + 4 * len(scalers) + 4)
        self.growth = np.append(steps * np.abs(weights).max(axis=0), steps * fixed.max())

    def check(self) -> None:
        """Raise an error unless the map is whole.

        Raises
        ------
        EngineError
            If it is not.
        """
        shapes = self.weights.shape, self.offsets.shape, self.growth.shape
        if self.weights.ndim != 2 or shapes[1:] != ((len(self.weights),), (self.weights.shape[1] + 1,)):
            raise EngineError("the affine map is not what it should be: compile the estimator again")

    def run(self, method: str, X: Any, n_jobs: int | None) -> Any:
        """Return labels by the map, or what the Pipeline's method returns.

        Parameters
        ----------
        method : str
            One of those in `bounds`.
        X : array, DataFrame or PixelTable of shape (n, n_features)
            Pixels.
        n_jobs : int or None
            Number of threads.

        Returns
        -------
        ndarray
        """
        table = np.asarray(X)
        if method != "predict" or not self._takes(table, table.dtype):
            return getattr(self.source, method)(X)
        numbers = self._numbers(table, table.dtype, n_jobs)
        return numbers.astype(np.int32) if self.classes is None else self.classes.take(numbers)

    def numbers(self, X: np.ndarray, dtype: Any, n_jobs: int | None) -> NDArray[np.integer[Any]]:
        """Return the numbers of the classes that the Pipeline predicts for pixels, as they would be in some dtype.

        Parameters
        ----------
        X : ndarray of shape (n, n_features)
            Pixels, in any order in memory.
        dtype : dtype-like
            What the Pipeline would be given: integers need no copy for that.
        n_jobs : int or None
            Number of threads.

        Returns
        -------
        ndarray of int of shape (n,)
        """
        kind = np.dtype(dtype)
        table = X if self._takes(X, kind) and np.can_cast(X.dtype, kind) else np.asarray(X, kind, order="C")
        return (
            self._numbers(table, kind, n_jobs) if self._takes(table, kind) else self._asked(table, np.arange(len(table)), kind)
        )

    def _takes(self, table: np.ndarray, dtype: np.dtype[Any]) -> bool:
        """Whether the kernel takes a table, and the Pipeline one of that dtype, in which it may come."""
        fits = table.ndim == 2 and table.shape[1] == self.weights.shape[1] and len(table) > 0
        fits &= self.precision in (None, "float32" if dtype == np.float32 else "float64")
        return fits and table.dtype.isnative and table.dtype.name in DTYPES

    def _numbers(self, X: np.ndarray, dtype: np.dtype[Any], n_jobs: int | None) -> NDArray[np.uint16]:
        table = read_only(X)
        number, close = np.empty(len(table), np.uint16), np.empty(len(table), np.bool_)
        # Integers become doubles in the Pipeline.
        growth = read_only(self.growth * np.finfo(dtype if dtype.kind == "f" else np.float64).eps)
        weights, offsets = read_only(self.weights), read_only(self.offsets)

        def work(part: slice) -> None:
            """Label some rows."""
            _decide(table[part], weights, offsets, growth, number[part], close[part])

        in_blocks(work, len(table), n_jobs, least=MANY)
        rows = np.flatnonzero(close)
        if len(rows):
            number[rows] = self._asked(table, rows, dtype)
        return number

    def _asked(self, table: np.ndarray, rows: np.ndarray, dtype: Any) -> NDArray[np.integer[Any]]:
        """Return the numbers of what the Pipeline itself predicts."""
        found = ask(self.source, "predict", table, rows, dtype)
        return np.asarray(found if self.classes is None else np.searchsorted(self.classes, found))

    def explain(self) -> str:
        """Say what was fused.

        Returns
        -------
        str
        """
        names = " > ".join(type(step).__name__ for _, step in self.source.steps)
        return f"{names} as one affine map for labels, which are exact; all else as it is"


@njit(cache=True, nogil=True)
def _decide(X, weights, offsets, growth, number, close):  # type: ignore[no-untyped-def] # pragma: no cover
    """Write the number of each row's class, and whether another is too close to tell; so it is where a value is missing."""
    n, n_features = X.shape
    n_classes = weights.shape[0]
    # Four features at a time, so that sums are fetched and put back less often; those beyond the last are zeros.
    padded = (n_features + 3) // 4 * 4
    slopes, steps = np.zeros((n_classes, padded)), np.zeros(padded)
    slopes[:, :n_features], steps[:n_features] = weights, growth[:n_features]
    values, margin, sums = np.zeros((padded, _TOGETHER)), np.empty(_TOGETHER), np.empty((n_classes, _TOGETHER))
    best, second, winner = np.empty(_TOGETHER), np.empty(_TOGETHER), np.empty(_TOGETHER)
    for first in range(0, n, _TOGETHER):
        block = X[first : first + _TOGETHER]
        for feature in range(n_features):
            # Slices, because the compiler knows that their indices are not negative.
            line, column = values[feature], block[:, feature]
            for j in range(column.shape[0]):
                line[j] = column[j]
        margin[:] = growth[n_features]
        for feature in range(0, padded, 4):
            a, b, c, d = values[feature], values[feature + 1], values[feature + 2], values[feature + 3]
            w, x, y, z = steps[feature], steps[feature + 1], steps[feature + 2], steps[feature + 3]
            for j in range(_TOGETHER):
                margin[j] += abs(a[j]) * w + abs(b[j]) * x + abs(c[j]) * y + abs(d[j]) * z
        for k in range(n_classes):
            line = sums[k]
            line[:] = offsets[k]
            for feature in range(0, padded, 4):
                a, b, c, d = values[feature], values[feature + 1], values[feature + 2], values[feature + 3]
                w, x, y, z = slopes[k, feature], slopes[k, feature + 1], slopes[k, feature + 2], slopes[k, feature + 3]
                for j in range(_TOGETHER):
                    line[j] += (w * a[j] + x * b[j]) + (y * c[j] + z * d[j])
        last = first + block.shape[0]
        _choose(sums, margin, best, second, winner, number[first:last], close[first:last])


@njit(cache=True, nogil=True)
def _choose(sums, margin, best, second, winner, number, close):  # type: ignore[no-untyped-def] # pragma: no cover
    """Write which sum is the largest, the first of several, and whether another comes within the margin."""
    m = number.shape[0]
    if sums.shape[0] == 1:
        for j in range(m):
            number[j] = np.uint16(sums[0, j] > 0)
            close[j] = not (abs(sums[0, j]) > margin[j])
        return
    best[:], second[:], winner[:] = sums[0], -np.inf, 0
    for k in range(1, sums.shape[0]):
        line = sums[k]
        for j in range(_TOGETHER):
            # Written out, for Python's own rules for NaN are slow, and rows with NaN are set aside by their margin.
            more = line[j] > best[j]
            beaten = best[j] if more else line[j]
            second[j] = beaten if beaten > second[j] else second[j]
            winner[j] = k if more else winner[j]
            best[j] = line[j] if more else best[j]
    for j in range(m):
        number[j] = np.uint16(winner[j])
        close[j] = not (best[j] - second[j] > 2 * margin[j])
