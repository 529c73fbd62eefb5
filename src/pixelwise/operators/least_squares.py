"""Least squares of many series at once, each with gaps of its own."""

from __future__ import annotations

import numpy as np

__all__ = ["fit_series", "product"]

#: Share of a coefficient's sum of squares that the others must leave to it; less, and the valid dates do not determine it.
_INDEPENDENT = 1e-9

#: Multiplications in a product that OpenBLAS does not share among threads.
_ALONE = 1 << 18


def fit_series(design: np.ndarray, series: np.ndarray) -> np.ndarray:
    """Fit the columns of a design matrix to each series by least squares over its valid dates.

    The normal equations of all series are made by two matrix products and solved by Cholesky's method side by side.

    Parameters
    ----------
    design : ndarray of float64, shape (time, k)
        Columns of about the same size.
    series : ndarray of float, shape (time, n)
        NaN where data is missing.

    Returns
    -------
    ndarray of float64, shape (k, n)
        Coefficients; NaN where the valid dates do not determine them.
    """
    count, k = design.shape[1], series.shape[1]
    valid = ~np.isnan(series)
    filled = np.where(valid, series, 0).astype(float, copy=False)
    first, second = np.triu_indices(count)
    moments = np.empty((count, count, k))
    moments[first, second] = product((design[:, first] * design[:, second]).T, valid.astype(float))
    return _solve(moments, product(design.T, filled))


def product(matrix: np.ndarray, series: np.ndarray) -> np.ndarray:
    """Multiply a small matrix with many series, (k, time) by (time, n), a few series at a time.

    So small a product BLAS computes without threads, which would cost more than they gain here, and fight over the processors
    with those of the caller; and a series gives the same bits wherever it stands.
    """
    step = 1 << max(3, (_ALONE // matrix.size).bit_length() - 1)
    result = np.empty((len(matrix), series.shape[1]))
    for start in range(0, series.shape[1], step):
        np.matmul(matrix, series[:, start : start + step], out=result[:, start : start + step])
    return result


def _solve(moments: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve symmetric systems (upper half k, k, n) for right sides (k, n), in place."""
    count = len(right)
    determined = np.ones(right.shape[1], bool)
    # L D L': row i of `moments` becomes D times row i of L'.
    for i in range(count):
        whole = moments[i, i].copy()
        for j in range(i):
            share = moments[j, i] / moments[j, j]
            right[i] -= share * right[j]
            for other in range(i, count):
                moments[i, other] -= share * moments[j, other]
        determined &= moments[i, i] > _INDEPENDENT * whole
    for i in range(count - 1, -1, -1):
        for other in range(i + 1, count):
            right[i] -= moments[i, other] * right[other]
        right[i] /= moments[i, i]
    right[:, ~determined] = np.nan
    return right
