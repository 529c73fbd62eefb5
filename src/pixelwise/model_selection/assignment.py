"""How blocks go to folds: by size, at random, in order, as a checkerboard, or so that classes are shared out evenly."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import type_of_target

from pixelwise.errors import FoldError

__all__ = ["ASSIGNMENTS", "class_codes", "folds_of_blocks"]

ASSIGNMENTS = ("equal_count", "random", "systematic", "checkerboard", "balanced", "stratified")
#: Random assignments of which the best balanced one is kept.
_TRIALS = 100
#: Bins of a target that is a number.
_QUANTILES = 4
#: A class map has no more codes; whole numbers of more values are measured ones.
_MOST_CLASSES = 256


def class_codes(y: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the class of each row as a code, and the classes; a number that varies freely is cut at its quartiles.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels or targets.

    Returns
    -------
    codes : ndarray of int, shape (n,)
    classes : ndarray or None
        None where y is a number: fractions, or whole numbers of more than 256 different values.

    Raises
    ------
    FoldError
        If y has NaN.
    """
    y = np.asarray(y)
    if y.dtype.kind == "f" and np.isnan(y).any():
        raise FoldError(f"{np.isnan(y).sum()} of {len(y)} values of y are NaN: drop those rows first")
    if not type_of_target(y).startswith("continuous"):
        classes, codes = np.unique(y, return_inverse=True)
        if y.dtype.kind not in "iuf" or len(classes) <= _MOST_CLASSES:
            return np.ravel(codes), classes
    edges = np.quantile(y, np.arange(1, _QUANTILES) / _QUANTILES)
    return np.searchsorted(edges, y, side="left"), None


def folds_of_blocks(
    assignment: str, block: np.ndarray, cells: np.ndarray, y: Any, n_splits: int, random_state: Any
) -> np.ndarray:
    """Return the fold of each block.

    Parameters
    ----------
    assignment : str
        One of `ASSIGNMENTS`.
    block : ndarray of int, shape (n,)
        Block of each row, from 0.
    cells : ndarray of int, shape (n_blocks, 2)
        Column and row of each block.
    y : array-like of shape (n,) or None
        Labels or targets, for "balanced" and "stratified".
    n_splits : int
        Number of folds; no more than blocks.
    random_state : int, RandomState or None
        Seed of "random" and "balanced".

    Returns
    -------
    ndarray of int, shape (n_blocks,)
    """
    n_blocks = len(cells)
    if assignment in ("balanced", "stratified"):
        if y is None:
            raise FoldError(f"assignment={assignment!r} needs y: pass it to split, or choose 'equal_count'")
        counts = _counts(block, class_codes(y)[0], n_blocks)
        return _balanced(counts, n_splits, random_state) if assignment == "balanced" else _stratified(counts, n_splits)
    if assignment == "random":
        return _dealt(n_blocks, n_splits, check_random_state(random_state))
    if assignment == "systematic":
        fold = np.empty(n_blocks, int)
        fold[np.lexsort((cells[:, 0], -cells[:, 1]))] = np.arange(n_blocks) % n_splits
        return fold
    if assignment == "checkerboard":
        return _checkerboard(cells, n_splits)
    sizes = np.bincount(block, minlength=n_blocks)
    fold, filled = np.empty(n_blocks, int), np.zeros(n_splits, int)
    for number in np.argsort(-sizes, kind="stable"):
        fold[number] = np.argmin(filled)
        filled[fold[number]] += sizes[number]
    return fold


def _counts(block: np.ndarray, codes: np.ndarray, n_blocks: int) -> np.ndarray:
    """Return the rows of each class in each block."""
    counts = np.zeros((n_blocks, int(codes.max()) + 1), int)
    np.add.at(counts, (block, codes), 1)
    return counts


def _dealt(n_blocks: int, n_splits: int, random: np.random.RandomState) -> np.ndarray:
    """Give every fold equally many blocks at random, and what is left over to as many different folds."""
    whole = np.repeat(np.arange(n_splits), n_blocks // n_splits)
    rest = random.permutation(n_splits)[: n_blocks % n_splits]
    return np.asarray(random.permutation(np.concatenate([whole, rest])))


def _checkerboard(cells: np.ndarray, n_splits: int) -> np.ndarray:
    if n_splits != 2:
        raise FoldError(f"a checkerboard has 2 colours, and n_splits={n_splits}: take n_splits=2, or assignment='systematic'")
    fold = np.asarray((cells[:, 0] + cells[:, 1]) % 2)
    if len(np.unique(fold)) < 2:
        raise FoldError(
            "all blocks have one colour of the checkerboard: make block_size smaller, shift them with offset=, "
            "or take another assignment"
        )
    return fold


def _balanced(counts: np.ndarray, n_splits: int, random_state: Any) -> np.ndarray:
    """Keep the best of many random assignments: fewest folds without a class, then folds most like each other."""
    random, best, kept = check_random_state(random_state), (np.inf, np.inf), np.empty(0, int)
    of_class = counts.sum(axis=0)
    counts, of_class = counts[:, of_class > 0], of_class[of_class > 0]
    expected = of_class / n_splits
    for _ in range(_TRIALS):
        fold = _dealt(len(counts), n_splits, random)
        held = np.zeros((n_splits, counts.shape[1]), int)
        np.add.at(held, fold, counts)
        empty = np.count_nonzero(held[:, of_class >= n_splits] == 0)
        score = (float(empty), float((((held - expected) ** 2) / expected).sum()))
        if score < best:
            best, kept = score, fold
    return kept


def _stratified(counts: np.ndarray, n_splits: int) -> np.ndarray:
    """Deal blocks with the most uneven classes first, each to the fold that it leaves most even."""
    of_class = counts.sum(axis=0)
    share = counts[:, of_class > 0] / of_class[of_class > 0]
    held, filled = np.zeros((n_splits, share.shape[1])), np.zeros(n_splits, int)
    fold, sizes = np.empty(len(counts), int), counts.sum(axis=1)
    for block in np.argsort(-np.std(counts, axis=1), kind="stable"):
        spread = np.empty(n_splits)
        for number in range(n_splits):
            held[number] += share[block]
            spread[number] = np.std(held, axis=0).mean()
            held[number] -= share[block]
        even = np.flatnonzero(np.isclose(spread, spread.min(), rtol=1e-9, atol=1e-15))
        number = even[np.argmin(filled[even])]
        fold[block] = number
        held[number] += share[block]
        filled[number] += sizes[block]
    return _without_empty(fold, sizes, n_splits)


def _without_empty(fold: np.ndarray, sizes: np.ndarray, n_splits: int) -> np.ndarray:
    """Give the smallest block of the fold with the most blocks to each fold that got none."""
    for number in range(n_splits):
        if not (fold == number).any():
            rich = np.flatnonzero(fold == np.bincount(fold, minlength=n_splits).argmax())
            fold[rich[np.argmin(sizes[rich])]] = number
    return fold
