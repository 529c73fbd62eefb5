"""Which scenes of a catalog are for training and which for testing, so that no place is on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.utils import check_random_state

from pixelwise.errors import CatalogError

__all__ = ["split_scenes"]


def split_scenes(
    outlines: np.ndarray, values: pd.Series | None, test_size: float, max_overlap: float, random_state: Any
) -> np.ndarray:
    """Choose scenes for testing, group by group.

    Parameters
    ----------
    outlines : ndarray of shapely geometries, shape (n_scenes,)
        In degrees.
    values : Series or None
        Scenes of equal values stay together; a missing value is equal to none.
    test_size : float or int
        Share of the scenes, or their number.
    max_overlap : float
        Share of the smaller of two scenes that they may have in common and still be parted.
    random_state : int, RandomState or None
        Seed.

    Returns
    -------
    ndarray of bool, shape (n_scenes,)
        Which are for testing.
    """
    count = len(outlines)
    if count == 1:
        raise CatalogError("a catalog of 1 scene has no two sides: split its pixels with a spatial splitter")
    wanted = test_size if isinstance(test_size, int | np.integer) else test_size * count
    if not 0 < wanted < count:
        raise CatalogError(f"test_size={test_size!r} of {count} scenes leaves a side empty: give a share between 0 and 1")
    links = [_overlapping(outlines, max_overlap, values)]
    if values is not None:
        links.append(_alike(values))
    n_groups, group = _groups(links, count)
    if n_groups < 2:
        cause = "overlap" if values is None or values.nunique() > 1 else f"have the same {values.name}"
        raise CatalogError(
            f"all {count} scenes hang together because they {cause}, so they cannot be split: "
            f"raise max_overlap={max_overlap:g}, or split by another column"
        )
    sizes = np.bincount(group)
    test = np.zeros(n_groups, bool)
    # Group by group as drawn, each as long as it brings the share nearer.
    for number in check_random_state(random_state).permutation(n_groups):
        have = sizes[test].sum()
        if abs(have + sizes[number] - wanted) < abs(have - wanted) and test.sum() < n_groups - 1:
            test[number] = True
    if not test.any():
        test[np.argmin(sizes)] = True
    return np.asarray(test[group])


def _groups(links: Sequence[tuple[np.ndarray, np.ndarray]], count: int) -> tuple[int, np.ndarray]:
    """Return the number of groups that links make, and the group of each scene."""
    first, second = (np.concatenate(side) for side in zip(*links, strict=True))
    n_groups, group = connected_components(
        coo_array((np.ones(len(first)), (first, second)), shape=(count, count)), directed=False
    )
    return int(n_groups), group


def _alike(values: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return each scene with a value, and the first of its value."""
    codes = pd.factorize(values)[0]
    known = np.flatnonzero(codes >= 0)
    _, at = np.unique(codes[known], return_index=True)
    return known[at][codes[known]], known


def _overlapping(outlines: np.ndarray, max_overlap: float, values: pd.Series | None) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs of scenes that have more in common than they may; of those that stay together anyway not all."""
    if max_overlap >= 1:
        return np.empty(0, np.intp), np.empty(0, np.intp)
    # The dates of a place have the same outline, and every pair of them would have to be cut.
    same = _alike(shapely.to_wkb(outlines))
    one = np.unique(same[0])
    group = _groups([same, *([] if values is None else [_alike(values)])], len(outlines))[1]
    first, second = (one[side] for side in shapely.STRtree(outlines[one]).query(outlines[one], predicate="intersects"))
    apart = (first < second) & (group[first] != group[second])
    first, second = first[apart], second[apart]
    area = shapely.area(outlines)
    shared = shapely.area(shapely.intersection(outlines[first], outlines[second]))
    close = shared > max_overlap * np.minimum(area[first], area[second])
    return np.concatenate([first[close], same[0]]), np.concatenate([second[close], same[1]])
