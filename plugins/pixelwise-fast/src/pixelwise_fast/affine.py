"""Scalers and a linear regressor or PCA as one affine map, whose results differ from the Pipeline's by rounding."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.decomposition import PCA
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, Ridge, SGDRegressor
from sklearn.svm import LinearSVR

from pixelwise.errors import EngineError
from pixelwise_fast.program import MANY, in_blocks, read_only
from pixelwise_fast.scalers import DTYPES, affine_of, ask

__all__ = ["AffineProgram", "read"]

_REGRESSORS = (LinearRegression, Ridge, Lasso, ElasticNet, SGDRegressor, LinearSVR)
#: Pixels at a time, whose results stay in the nearest cache.
_TOGETHER = 256
#: Scaled values for which the map is used: far beyond those that scalers make of the training pixels.
_REACH = 32
#: More results than so many are no faster.
_MOST = 10
#: The largest bound for components of variance 1.
_LOOSE = 0.1


def read(pipeline: Any) -> AffineProgram | None:
    """Translate a Pipeline of scalers and a PCA or a linear regressor; None for any other.

    Parameters
    ----------
    pipeline : Pipeline
        Fitted.

    Returns
    -------
    AffineProgram or None

    Raises
    ------
    EngineError
        If the map would be no faster, or this version of scikit-learn predicts in another way.
    """
    *scalers, last = (step for _, step in pipeline.steps)
    maps = [each for each in map(affine_of, scalers) if each is not None]
    # What is not scaled does not tell where its pixels lie.
    if type(last) not in (PCA, *_REGRESSORS) or len(maps) < len(scalers) or not any(np.ndim(factor) for factor, _ in maps):
        return None
    weights, offsets, fixed = _last(last)
    size = weights.shape[1]
    if len(weights) > _MOST:
        raise EngineError(f"for {len(weights)} results one affine map is no faster")
    low, high = np.full(size, -float(_REACH)), np.full(size, float(_REACH))
    for factor, offset in reversed(maps):
        fixed = fixed + np.abs(weights) @ np.broadcast_to(np.abs(offset), size)
        offsets, weights = offsets + weights @ np.broadcast_to(offset, size), weights * factor
        low, high = (low - offset) / factor, (high - offset) / factor
    # Each addition rounds a term, and each scaler a few times; as much again to be on the safe side.
    terms = np.abs(weights) @ np.maximum(np.abs(low), np.abs(high)) + fixed
    bound = 2.0 * (size + 4 * len(maps) + 4) * float(np.finfo(np.float32).eps * terms.max())
    if getattr(last, "whiten", False) and bound > _LOOSE:
        raise EngineError("its last component hangs on how single precision is rounded")
    return AffineProgram(pipeline, weights, offsets, np.stack([low, high]), bound)


def _last(last: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return weights and offsets of the last step, and the sum of the absolute terms of each offset."""
    if type(last) is not PCA:
        weights = np.atleast_2d(last.coef_).astype(np.float64)
        offsets = np.broadcast_to(np.ravel(last.intercept_).astype(np.float64), len(weights))
        return weights, offsets, np.abs(offsets)
    weights, mean = last.components_.astype(np.float64), last.mean_.astype(np.float64)
    if last.whiten:
        # As scikit-learn does where a component has no variance.
        least = np.finfo(last.explained_variance_.dtype).eps
        weights = weights / np.maximum(np.sqrt(last.explained_variance_), least)[:, None]
    return weights, -(weights @ mean), np.abs(weights) @ np.abs(mean)


class AffineProgram:
    """One affine map, computed in double precision and rounded once.

    The Pipeline rounds at each step, in single precision if the pixels are, and by how much grows with the pixels. So the bound
    holds for pixels within the reach of the map, far beyond those that the Pipeline was fitted on; all others, and those with
    missing values, are left to the Pipeline.

    Parameters
    ----------
    source : Pipeline
        The fitted Pipeline.
    weights : ndarray of float64 of shape (n_results, n_features)
        Weights of the features.
    offsets : ndarray of float64 of shape (n_results,)
        What is added to them.
    reach : ndarray of float64 of shape (2, n_features)
        The lowest and the highest values for which the map is used.
    bound : float
        By how much the two may differ within reach.
    """

    def __init__(
        self,
        source: Any,
        weights: NDArray[np.float64],
        offsets: NDArray[np.float64],
        reach: NDArray[np.float64],
        bound: float,
    ) -> None:
        # A copy, so that the Pipeline itself is let go once nobody else holds it.
        self.source = copy.copy(source)
        self.method = "transform" if hasattr(source, "transform") else "predict"
        self.weights, self.offsets, self.reach = weights, offsets, reach
        self.bounds = {self.method: bound}
        self.dtypes: dict[str, str] = {}
        self.flat = False
        self._learn()

    def _learn(self) -> None:
        """Note what the Pipeline makes of single and double precision, and see whether its results are within the bound."""
        low, high = self.reach
        pixels = low + np.random.default_rng(0).random((300, len(low))) * (high - low)
        for dtype in (np.float32, np.float64):
            made = ask(self.source, self.method, pixels, np.arange(len(pixels)), dtype)
            if not isinstance(made, np.ndarray):
                raise EngineError("its results are frames")
            self.dtypes[np.dtype(dtype).name], self.flat = made.dtype.name, made.ndim == 1
            got = self.run(self.method, pixels.astype(dtype), 1)
            if made.shape != got.shape or not (np.abs(made - got) <= self.bounds[self.method]).all():
                raise EngineError("this version of sklearn predicts in another way")

    def check(self) -> None:
        """Raise an error unless the map is whole.

        Raises
        ------
        EngineError
            If it is not.
        """
        shapes = self.weights.shape, self.offsets.shape, self.reach.shape
        if self.weights.ndim != 2 or shapes[1:] != ((len(self.weights),), (2, self.weights.shape[1])):
            raise EngineError("the affine map is not what it should be: compile the estimator again")

    def run(self, method: str, X: Any, n_jobs: int | None) -> Any:
        """Return targets or components by the map, and where pixels are out of its reach what the Pipeline returns.

        Parameters
        ----------
        method : str
            The one in `bounds`.
        X : array, DataFrame or PixelTable of shape (n, n_features)
            Pixels.
        n_jobs : int or None
            Number of threads.

        Returns
        -------
        ndarray of shape (n,) or (n, n_results)
        """
        table = np.asarray(X)
        fits = table.ndim == 2 and table.shape[1] == self.weights.shape[1] and len(table) > 0
        fits &= method == "predict" or get_config()["transform_output"] == "default"
        if not fits or not table.dtype.isnative or table.dtype.name not in DTYPES:
            return getattr(self.source, method)(X)
        table = read_only(table)
        # Whole numbers become doubles in the Pipeline.
        kind = np.float32 if table.dtype == np.float32 else np.float64
        made = np.empty((len(table), len(self.weights)), self.dtypes[np.dtype(kind).name])
        beyond = np.empty(len(table), np.bool_)
        weights, offsets, reach = read_only(self.weights), read_only(self.offsets), read_only(self.reach)

        def work(part: slice) -> None:
            """Map some rows."""
            _map(table[part], weights, offsets, reach, made[part], beyond[part])

        in_blocks(work, len(table), n_jobs, least=MANY)
        rows = np.flatnonzero(beyond)
        if len(rows):
            made[rows] = ask(self.source, method, table, rows, kind).reshape(len(rows), -1)
        return made[:, 0] if self.flat else made

    def explain(self) -> str:
        """Say what was fused, and by how much it may differ.

        Returns
        -------
        str
        """
        names = " > ".join(type(step).__name__ for _, step in self.source.steps)
        return f"{names} as one affine map, within {self.bounds[self.method]:.2g} of its results"


@njit(cache=True, nogil=True)
def _map(X, weights, offsets, reach, made, beyond):  # type: ignore[no-untyped-def] # pragma: no cover
    """Write the results of each row, and whether any of its values is beyond reach or missing."""
    n, n_features = X.shape
    # Four features at a time, so that sums are fetched and put back less often; those beyond the last are zeros.
    padded = (n_features + 3) // 4 * 4
    slopes = np.zeros((weights.shape[0], padded))
    slopes[:, :n_features] = weights
    values, line, within = np.zeros((padded, _TOGETHER)), np.empty(_TOGETHER), np.empty(_TOGETHER, np.bool_)
    for first in range(0, n, _TOGETHER):
        block = X[first : first + _TOGETHER]
        m = block.shape[0]
        within[:] = True
        for feature in range(n_features):
            # Slices, because the compiler knows that their indices are not negative.
            a, column, low, high = values[feature], block[:, feature], reach[0, feature], reach[1, feature]
            for j in range(m):
                a[j] = column[j]
                within[j] &= (a[j] >= low) & (a[j] <= high)
        flags = beyond[first : first + m]
        for j in range(m):
            flags[j] = not within[j]
        for k in range(weights.shape[0]):
            line[:] = offsets[k]
            for feature in range(0, padded, 4):
                a, b, c, d = values[feature], values[feature + 1], values[feature + 2], values[feature + 3]
                w, x, y, z = slopes[k, feature], slopes[k, feature + 1], slopes[k, feature + 2], slopes[k, feature + 3]
                for j in range(_TOGETHER):
                    line[j] += (w * a[j] + x * b[j]) + (y * c[j] + z * d[j])
            place = made[first : first + m, k]
            for j in range(m):
                place[j] = line[j]
