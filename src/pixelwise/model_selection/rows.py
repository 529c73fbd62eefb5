"""Rows of a table: taken by position, and checked against their labels and folds."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import check_cv

from pixelwise.errors import FoldError, LabelError
from pixelwise.model_selection.splitter import n_rows
from pixelwise.raster.carriers import is_raster

__all__ = ["checked_folds", "checked_labels", "take_rows"]


def take_rows(X: Any, rows: np.ndarray) -> Any:
    """Return rows of a table by position.

    Parameters
    ----------
    X : PixelTable, DataFrame, array or list
        The table.
    rows : ndarray of int
        Positions.

    Returns
    -------
    object
        Of the same type.
    """
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    return [X[row] for row in rows] if isinstance(X, list | tuple) else X[rows]


def checked_labels(X: Any, y: Any) -> np.ndarray:
    """Return the labels of the rows of X as an array; text as numpy's own.

    Parameters
    ----------
    X : table
        With a row for each label.
    y : array-like of shape (n,)
        Labels or targets.

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    LabelError
        If there is not one label for each row, or labels are missing.
    """
    if y is None or (is_raster(y) and not isinstance(y, np.ndarray)):
        raise LabelError(
            f"X is a table and y is {'None' if y is None else 'a raster'}: give the labels of its rows, shape (n,)"
        )
    n, target = n_rows(X), np.asarray(y)
    if target.shape != (n,) or not n:
        raise LabelError(f"y has shape {target.shape} and X has {n} rows: give one label for each row, and a row or more")
    missing = np.asarray(pd.isna(target))
    if missing.any():
        raise LabelError(f"{missing.sum()} of {n} labels are missing, the first in row {np.argmax(missing)}: drop these rows")
    return target.astype(str) if target.dtype.kind in "OT" and isinstance(target[0], str) else target


def checked_folds(cv: Any, X: Any, y: np.ndarray | None, groups: Any, *, classes: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the folds of a splitter as positions of rows.

    Parameters
    ----------
    cv : cross-validation splitter, int, or iterable of (train, test)
        As scikit-learn takes it.
    X : table
        The rows.
    y : ndarray of shape (n,) or None
        Their labels.
    groups : object
        What the splitter takes.
    classes : bool
        Whether labels are classes, which folds that are given as a number stratify.

    Returns
    -------
    list of (train, test)

    Raises
    ------
    FoldError
        If there is no fold, a fold names a row that X does not have, or has nothing to train on.
    """
    with warnings.catch_warnings():
        # Groups also say where rows are, or what is drawn together, for splitters that have no use for them.
        warnings.filterwarnings("ignore", "The groups parameter is ignored", UserWarning)
        folds = [_as_rows(fold, number, n_rows(X)) for number, fold in enumerate(_splits(cv, X, y, groups, classes))]
    if not folds:
        raise FoldError(f"{type(cv).__name__} yields no fold: give a splitter such as SpatialBlockGroupKFold, or a number")
    return folds


def _splits(cv: Any, X: Any, y: np.ndarray | None, groups: Any, classes: bool) -> Any:
    try:
        splitter = check_cv(cv, y, classifier=classes)
    except (TypeError, ValueError) as error:
        raise FoldError(
            f"cv={cv!r} makes no folds ({error}): give a splitter such as SpatialBlockGroupKFold, or a number"
        ) from error
    return splitter.split(X, y, groups)


def _as_rows(fold: tuple[Any, Any], number: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    train, test = (np.flatnonzero(part) if np.asarray(part).dtype == bool else np.asarray(part, np.intp) for part in fold)
    for rows in (train, test):
        if len(rows) and not 0 <= rows.min() <= rows.max() < n:
            raise FoldError(
                f"fold {number} has rows from {rows.min()} to {rows.max()}, and X has {n}: make the folds for this X"
            )
    if not len(train):
        raise FoldError(f"fold {number} has no training rows: make the buffer smaller, or the folds others", fold=number)
    return train, test
