"""Classes of labelled pixels: small ones dropped or merged, large ones thinned."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from pixelwise.errors import LabelError

__all__ = ["balance_classes"]


def balance_classes(
    y: np.ndarray,
    *,
    max_per_class: int | str | None = None,
    min_pixels: int = 0,
    small_classes: str = "drop",
    merge_label: Any = "other",
    random_state: Any = None,
) -> tuple[np.ndarray | None, np.ndarray]:
    """Choose rows so that no class is too small or too large.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels.
    max_per_class : int, "smallest" or None
        Most rows of a class; "smallest" takes the size of the smallest that is left.
    min_pixels : int
        Classes with fewer rows are small.
    small_classes : {"drop", "merge"}
        What happens to small classes.
    merge_label : object
        Label of merged classes.
    random_state : int, RandomState or None
        Seed of the draw.

    Returns
    -------
    rows : ndarray of int or None
        Chosen rows in ascending order; None for all.
    y : ndarray
        Their labels.

    Raises
    ------
    LabelError
        If no class is left.

    Examples
    --------
    >>> import numpy as np
    >>> from pixelwise.table.classes import balance_classes
    >>> rows, y = balance_classes(np.array(["a"] * 5 + ["b"] * 3 + ["c"]), max_per_class=2, min_pixels=2, random_state=0)
    >>> y.tolist()
    ['a', 'a', 'b', 'b']
    """
    if small_classes not in ("drop", "merge"):
        raise ValueError(f"small_classes={small_classes!r} is not known: choose 'drop' or 'merge'")
    if not (max_per_class is None or max_per_class == "smallest" or (isinstance(max_per_class, int) and max_per_class > 0)):
        raise ValueError(f"max_per_class={max_per_class!r} is not known: give a number of pixels, or 'smallest'")
    if max_per_class is None and min_pixels <= 1:
        return None, y
    _, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    small = counts < min_pixels
    rows = np.arange(len(y))
    if small.any() and small_classes == "merge":
        if y.dtype.kind != "U" and not isinstance(merge_label, int | float | np.number):
            raise LabelError(
                f"labels are numbers, so merged classes need one too: give merge_label a number, not {merge_label!r}"
            )
        y = np.where(small[codes], np.asarray(merge_label, dtype=None if y.dtype.kind == "U" else y.dtype), y)
    elif small.any():
        rows = rows[~small[codes]]
    if not len(rows):
        raise LabelError(
            f"no class has min_pixels={min_pixels} pixels; the largest has {counts.max()}: lower min_pixels", counts=counts
        )
    if max_per_class is not None:
        rows = _thin(y, rows, max_per_class, random_state)
    return rows, y[rows]


def _thin(y: np.ndarray, rows: np.ndarray, most: int | str, random_state: Any) -> np.ndarray:
    rng = check_random_state(random_state)
    classes, codes, counts = np.unique(y[rows], return_inverse=True, return_counts=True)
    limit = int(counts.min()) if isinstance(most, str) else most
    kept = [rows[codes == code] for code in range(len(classes))]
    kept = [members if len(members) <= limit else rng.choice(members, limit, replace=False) for members in kept]
    return np.sort(np.concatenate(kept))
