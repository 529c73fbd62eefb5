"""How the error of a cross-validation goes with the dissimilarity of the pixels that it tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pixelwise.errors import LabelError

__all__ = ["MISCLASSIFIED", "RMSE", "error_profile"]

MISCLASSIFIED, RMSE = "misclassification rate", "RMSE"


def error_profile(
    order: np.ndarray, y: Any, predicted: Any, *, name: str = "DI", measure: str = "auto", window: int | None = None,
    most: int = 100,
) -> pd.DataFrame:  # fmt: skip
    """Return the error in a window that moves over rows in an order [1]_.

    Parameters
    ----------
    order : ndarray of shape (n,)
        What the rows are ordered by; NaN leaves a row out.
    y, predicted : array-like of shape (n,)
        True values, and predictions from cross-validation.
    name : str, default="DI"
        What the rows are ordered by.
    measure : {"auto", "misclassification rate", "RMSE"}, default="auto"
        "auto" takes the second for floats.
    window : int or None, default=None
        Rows in a window; None takes a tenth of them, 5 at the least.
    most : int, default=100
        Most windows.

    Returns
    -------
    pandas.DataFrame
        Columns `name`, smallest, largest, n, error, measure and estimate.

    Raises
    ------
    LabelError
        If lengths differ, or no row is left.

    References
    ----------
    .. [1] Meyer, H. and Pebesma, E. (2021): Predicting into unknown space? Estimating the area of applicability of spatial
       prediction models. Methods in Ecology and Evolution 12, 1620-1633.

    Examples
    --------
    >>> import numpy as np
    >>> from pixelwise.assessment.error_profile import error_profile
    >>> error_profile(np.array([0.1, 0.3, 0.2]), ["a", "b", "b"], ["a", "a", "b"], window=1).error.tolist()
    [0.0, 0.0, 1.0]
    """
    true, guess = np.asarray(y), np.asarray(predicted)
    if true.shape != order.shape or guess.shape != order.shape:
        raise LabelError(
            f"y of shape {true.shape} and predictions of shape {guess.shape} do not fit {len(order)} training pixels: "
            "pass those of fit, and what cross_val_predict made of them with the same cv"
        )
    if measure not in ("auto", MISCLASSIFIED, RMSE):
        raise ValueError(f"measure={measure!r} is not known: choose 'auto', {MISCLASSIFIED!r} or {RMSE!r}")
    if measure == "auto":
        measure = RMSE if true.dtype.kind == "f" else MISCLASSIFIED
    rows = np.argsort(order, kind="stable")[: int((~np.isnan(order)).sum())]
    size = max(5, len(rows) // 10) if window is None else int(window)
    size = min(size, len(rows))
    if size < 1 or most < 1:
        raise LabelError(f"{len(rows)} pixels with a {name} make no window of {window}: give pixels that a fold tests")
    wrong = true != guess if measure == MISCLASSIFIED else (true.astype(float) - guess.astype(float)) ** 2
    first = np.unique(np.linspace(0, len(rows) - size, min(most, len(rows) - size + 1)).round().astype(np.intp))
    ordered, error = order[rows], _means(wrong[rows].astype(float), first, size)
    return pd.DataFrame(
        {
            name: _means(ordered, first, size),
            "smallest": ordered[first],
            "largest": ordered[first + size - 1],
            "n": size,
            "error": np.sqrt(error) if measure == RMSE else error,
            "measure": measure,
            "estimate": "cross-validation",
        }
    )


def _means(values: np.ndarray, first: np.ndarray, size: int) -> np.ndarray:
    """Return means of windows from differences of sums, which do not grow with the size of a window."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray(np.maximum(total[first + size] - total[first], 0.0) / size)
