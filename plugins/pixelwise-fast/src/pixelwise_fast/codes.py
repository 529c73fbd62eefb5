"""Values and thresholds as 32-bit integers of the same order, so that comparing them is exact and as cheap as can be."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["INFINITE", "MISSING", "code_floats", "encode", "floor_to_float32"]

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


def code_floats(values: NDArray[np.float32]) -> NDArray[np.int32]:
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


@njit(cache=True, nogil=True)
def encode(X, codes, wide):  # type: ignore[no-untyped-def] # pragma: no cover
    """Fill the codes of pixels, and return whether any value is missing or infinite.

    `codes` has a column a feature and one that is smaller than all else. If `wide`, it has two columns a feature, which differ
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
                codes[row, 2 * feature], codes[row, 2 * feature + 1] = code, other
            else:
                codes[row, feature] = code
    for column in range(2 * n_features if wide else n_features, codes.shape[1]):
        codes[:, column] = _LOWEST
    return seen
