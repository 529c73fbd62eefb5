"""Values and thresholds as 32-bit integers of the same order, so that comparing them is exact and as cheap as can be."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pixelwise.errors import EngineError
from pixelwise_fast.program import read_only

__all__ = ["INFINITE", "MISSING", "FloatScale", "RankScale", "floor_to_float32"]

#: What `encode` reports of the values that it saw.
MISSING, INFINITE = 1, 2
_LOWEST, _HIGHEST = np.int32(-(2**31)), np.int32(2**31 - 1)


def floor_to_float32(thresholds: np.ndarray) -> NDArray[np.float32]:
    """Return for each threshold the largest float32 that does not exceed it.

    No float32 lies between the two, so for every float32 ``x`` the comparison ``x <= threshold`` stays as it is.

    Parameters
    ----------
    thresholds : ndarray of float64
        Thresholds, without NaN.

    Returns
    -------
    ndarray of float32
    """
    with np.errstate(over="ignore"):
        single = np.asarray(thresholds).astype(np.float32)
    return np.where(single > thresholds, np.nextafter(single, np.float32(-np.inf)), single)


def _code_floats(values: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return integers that are ordered as the values are.

    The bits of a float32 are ordered as integers are, save that negative ones run backwards. Both zeros get the same integer.

    Parameters
    ----------
    values : ndarray of float32
        Values, without NaN.

    Returns
    -------
    ndarray of int32
    """
    bits = (np.asarray(values, np.float32) + np.float32(0)).view(np.int32)
    return bits ^ ((bits >> 31) & _HIGHEST)


class FloatScale:
    """Codes of single precision values, for libraries that work in it: the bits, put in order.

    Parameters
    ----------
    strict : bool, default=False
        Whether pixels go left if they are smaller than the threshold, rather than not greater.
    """

    def __init__(self, strict: bool = False) -> None:
        self.strict = strict

    def check(self, n_features: int) -> None:
        """There is nothing to look at."""

    def dtype_of(self, X: Any) -> type:
        """Return what the library makes of values of other dtypes than the usual ones."""
        return np.float32

    def thresholds(self, feature: np.ndarray, values: np.ndarray) -> NDArray[np.int32]:
        """Return the codes of thresholds, such that pixels go right if theirs is greater."""
        return _code_floats(floor_to_float32(values)) - np.int32(self.strict)

    def codes(self, X: np.ndarray, wide: bool) -> tuple[NDArray[np.int32], int]:
        """Return the codes of pixels in one dimension, and whether any value is missing or infinite."""
        codes = np.zeros((-(-len(X) // 8), (1 + wide) * X.shape[1] + 1, 8), np.int32)
        return codes.ravel(), _encode_floats(X, codes, wide)


class RankScale:
    """Codes of values of any precision: how many of a feature's thresholds they exceed.

    Parameters
    ----------
    feature, values : ndarray of shape (n_splits,)
        The feature and threshold of each split of a model.
    missing_is_zero : ndarray of bool of shape (n_features,)
        Features of which a missing value counts as zero.
    integers : dtype, default=numpy.float64
        What the library makes of arrays of whole numbers; those of frames are doubles.
    """

    def __init__(
        self, feature: np.ndarray, values: np.ndarray, missing_is_zero: NDArray[np.bool_], integers: type = np.float64
    ) -> None:
        edges = [np.unique(values[feature == each]) for each in range(len(missing_is_zero))]
        self.starts = np.concatenate([[0], np.cumsum([len(each) for each in edges])]).astype(np.int64)
        self.edges = np.concatenate(edges).astype(np.float64)
        self.missing_is_zero = missing_is_zero
        self.integers = integers

    def check(self, n_features: int) -> None:
        """Raise an error unless each feature has its edges."""
        each = len(self.starts) - 1 == len(self.missing_is_zero) == n_features and (np.diff(self.starts) >= 0).all()
        if not each or self.starts[0] != 0 or self.starts[-1] != len(self.edges):
            raise EngineError("the edges of the features are not what they should be: compile the estimator again")

    def dtype_of(self, X: Any) -> type:
        """Return what the library makes of values of other dtypes than the usual ones."""
        return np.float64 if hasattr(X, "columns") else self.integers

    def thresholds(self, feature: np.ndarray, values: np.ndarray) -> NDArray[np.int32]:
        """Return the codes of thresholds, such that pixels go right if theirs is greater."""
        made = np.empty(len(values), np.int32)
        for each in np.unique(feature):
            here = feature == each
            made[here] = np.searchsorted(self.edges[self.starts[each] : self.starts[each + 1]], values[here])
        return made

    def codes(self, X: np.ndarray, wide: bool) -> tuple[NDArray[np.int32], int]:
        """Return the codes of pixels in one dimension, and whether any value is missing."""
        codes = np.zeros((-(-len(X) // 8), (1 + wide) * X.shape[1] + 1, 8), np.int32)
        seen = _encode_ranks(X, codes, wide, *(read_only(each) for each in (self.edges, self.starts, self.missing_is_zero)))
        return codes.ravel(), seen


@njit(cache=True, nogil=True)
def _encode_floats(X, codes, wide):  # type: ignore[no-untyped-def] # pragma: no cover
    """Fill the codes of pixels, and return whether any value is missing or infinite.

    `codes` has the shape (n / 8, n_columns, 8), with a column a feature and one that is smaller than all else.
    If `wide`, it has two columns a feature, which differ
    where the value is missing: the first sends the pixel right, the second left.
    """
    n, n_features = X.shape
    seen = 0
    for feature in range(n_features):
        for row in range(n):
            value = np.float32(X[row, feature]) + np.float32(0)
            bits = np.float32(value).view(np.int32)
            code = bits ^ ((bits >> np.int32(31)) & _HIGHEST)
            other = code
            if (bits & _HIGHEST) >= np.int32(0x7F800000):
                if np.isnan(value):
                    seen |= MISSING
                    code, other = _HIGHEST, _LOWEST
                else:
                    seen |= INFINITE
            if wide:
                codes[row >> 3, 2 * feature, row & 7], codes[row >> 3, 2 * feature + 1, row & 7] = code, other
            else:
                codes[row >> 3, feature, row & 7] = code
    for column in range(2 * n_features if wide else n_features, codes.shape[1]):
        codes[:, column, :] = _LOWEST
    return seen


@njit(cache=True, nogil=True)
def _encode_ranks(X, codes, wide, edges, starts, missing_is_zero):  # type: ignore[no-untyped-def] # pragma: no cover
    """Fill the codes of pixels as `_encode_floats` does, with ranks among the edges of each feature."""
    n, n_features = X.shape
    seen = 0
    for feature in range(n_features):
        first, size = starts[feature], starts[feature + 1] - starts[feature]
        for row in range(n):
            value = np.float64(X[row, feature])
            missing = np.isnan(value)
            if missing and missing_is_zero[feature]:
                value, missing = np.float64(0), False
            # A search without branches.
            low, left = np.int64(0), size
            while left > 1:
                half = left >> 1
                low += half * np.int64(edges[first + low + half - 1] < value)
                left -= half
            if left == 1:
                low += np.int64(edges[first + low] < value)
            code = other = np.int32(low)
            if missing:
                seen |= MISSING
                code, other = _HIGHEST, _LOWEST
            if wide:
                codes[row >> 3, 2 * feature, row & 7], codes[row >> 3, 2 * feature + 1, row & 7] = code, other
            else:
                codes[row >> 3, feature, row & 7] = code
    for column in range(2 * n_features if wide else n_features, codes.shape[1]):
        codes[:, column, :] = _LOWEST
    return seen
