"""What libraries make of sums, computed as they compute it, to the bit: through the C library's exponential."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

__all__ = ["exponential", "sigmoid", "softmax"]


@njit(cache=True, nogil=True)
def exponential(sums):  # type: ignore[no-untyped-def] # pragma: no cover
    """Return exp(x), in the precision of the sums."""
    made = np.empty_like(sums)
    for i in range(sums.shape[0]):
        made[i] = math.exp(sums[i])
    return made


@njit(cache=True, nogil=True)
def sigmoid(sums, slope):  # type: ignore[no-untyped-def] # pragma: no cover
    """Return 1 / (1 + exp(-slope x)), in the precision of the sums."""
    made, one = np.empty_like(sums), sums.dtype.type(1)
    for i in range(sums.shape[0]):
        made[i] = one / (one + math.exp(-slope * sums[i]))
    return made


@njit(cache=True, nogil=True)
def softmax(sums):  # type: ignore[no-untyped-def] # pragma: no cover
    """Return exponentials of sums of shape (n_columns, n) over their total, added up in double precision, as (n, n_columns)."""
    made = np.empty((sums.shape[1], sums.shape[0]), sums.dtype)
    for i in range(sums.shape[1]):
        most = sums[0, i]
        for k in range(1, sums.shape[0]):
            most = max(most, sums[k, i])
        total = 0.0
        for k in range(sums.shape[0]):
            made[i, k] = math.exp(sums[k, i] - most)
            total += made[i, k]
        for k in range(sums.shape[0]):
            made[i, k] /= sums.dtype.type(total)
    return made
