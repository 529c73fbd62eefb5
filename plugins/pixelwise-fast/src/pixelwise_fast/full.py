"""Kernels for shallow trees, filled up to one depth: a node's number doubles on the way down, and no node names its children.

So a step is a load of the column, one of the code and one of the threshold, and that is all: it takes two thirds of the time of
a step in a table of nodes. What a leaf high up in its tree holds stands below it as often as there are places.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pixelwise_fast.trees import TreeTable, child_shift

__all__ = ["add_full", "fill", "full_depth"]

#: Levels that trees may have, and how many places there may be for each node of theirs.
_DEEPEST, _PLACES = 8, 4
#: Pixels that stay while all trees come by.
_CHUNK = 512
_LOW, _ONE, _TWO, _THREE, _FOUR, _FIVE, _SIX, _SEVEN = (np.uint64(number) for number in (0xFFFFFFFF, 1, 2, 3, 4, 5, 6, 7))
_NEVER = np.int32(2**31 - 1)


def full_depth(trees: TreeTable) -> int:
    """Return the depth to which trees are filled up, 0 if they are too deep or too sparse for that.

    Parameters
    ----------
    trees : TreeTable
        The trees.

    Returns
    -------
    int
    """
    # All levels of a tree are known where its pixels walk down to the last one.
    depth = int(-trees.lead.min())
    shallow = bool((trees.lead < 0).all()) and depth <= _DEEPEST
    return depth if shallow and len(trees) << (depth + 1) <= _PLACES * len(trees.nodes) else 0


def fill(
    trees: TreeTable, leaves: np.ndarray, depth: int, wide: bool
) -> tuple[NDArray[np.int32], NDArray[np.uint32], np.ndarray]:
    """Return thresholds, columns and leaves of trees that are filled up.

    Parameters
    ----------
    trees : TreeTable
        The trees.
    leaves : ndarray of shape (n_leaves,)
        What their leaves hold.
    depth : int
        Levels, from `full_depth`.
    wide : bool
        Whether pixels have the columns for missing values.

    Returns
    -------
    cut : ndarray of int32 of shape (n_trees, 2**depth)
        The root in place 1, the children of a node in twice its place and the one behind that.
    column : ndarray of uint32 of the same shape
        Where a code stands, from that of the pixel's first on.
    value : ndarray of the same shape
        Leaves from left to right.
    """
    shape = len(trees), 1 << depth
    cut, column, value = np.empty(shape, np.int32), np.empty(shape, np.uint32), np.empty(shape, leaves.dtype)
    nodes, starts, _ = trees.arrays
    _fill(nodes, starts, np.uint64(child_shift(trees.n_features)), trees.n_features, wide, leaves, cut, column, value)
    return cut, column, value


@njit(cache=True, nogil=True)
def _fill(nodes, starts, shift, n_features, wide, leaves, cut, column, value):  # type: ignore[no-untyped-def] # pragma: no cover
    """Write the trees from the root down; a leaf comes in the place of both its children, and pixels go left there."""
    n_places, mask = cut.shape[1], (_ONE << (shift - np.uint64(33))) - _ONE
    source = np.zeros(2 * n_places, np.int64)
    for number in range(cut.shape[0]):
        tree = nodes[starts[number] : starts[number + 1]]
        for place in range(1, n_places):
            word = tree[source[place]]
            feature, to = np.int64((word >> np.uint64(33)) & mask), np.int64(word >> shift)
            if feature == n_features:
                cut[number, place], column[number, place] = _NEVER, np.uint32(0)
                source[2 * place] = source[2 * place + 1] = source[place]
            else:
                flag = np.int64((word >> np.uint64(32)) & _ONE)
                cut[number, place] = np.int32(word & _LOW)
                column[number, place] = np.uint32(8 * (2 * feature + flag if wide else feature))
                source[2 * place], source[2 * place + 1] = to, to + 1
        for place in range(n_places):
            value[number, place] = leaves[np.int64(tree[source[n_places + place]] & _LOW)]


@njit(cache=True, nogil=True)
def add_full(cut, column, value, depth, codes, width, target, sums):  # type: ignore[no-untyped-def] # pragma: no cover
    """Add to ``sums[target[tree]]``, of shape (n_columns, n) with n in eights, the value of each tree's leaf, tree by tree."""
    n, step, ends = sums.shape[1], np.uint64(8 * width), np.uint64(cut.shape[1])
    for row in range(0, n, _CHUNK):
        for tree in range(cut.shape[0]):
            edge, at, leaf, line = cut[tree], column[tree], value[tree], sums[target[tree]]
            for first in range(row, min(row + _CHUNK, n), 8):
                # Eight at a time, in registers.
                p = np.uint64(first >> 3) * step
                q, r, s, t, u, v, w = p + _ONE, p + _TWO, p + _THREE, p + _FOUR, p + _FIVE, p + _SIX, p + _SEVEN
                a = b = c = d = e = f = g = h = _ONE
                for _ in range(depth):
                    a = (a << _ONE) + np.uint64(codes[p + at[a]] > edge[a])
                    b = (b << _ONE) + np.uint64(codes[q + at[b]] > edge[b])
                    c = (c << _ONE) + np.uint64(codes[r + at[c]] > edge[c])
                    d = (d << _ONE) + np.uint64(codes[s + at[d]] > edge[d])
                    e = (e << _ONE) + np.uint64(codes[t + at[e]] > edge[e])
                    f = (f << _ONE) + np.uint64(codes[u + at[f]] > edge[f])
                    g = (g << _ONE) + np.uint64(codes[v + at[g]] > edge[g])
                    h = (h << _ONE) + np.uint64(codes[w + at[h]] > edge[h])
                line[first] += leaf[a - ends]
                line[first + 1] += leaf[b - ends]
                line[first + 2] += leaf[c - ends]
                line[first + 3] += leaf[d - ends]
                line[first + 4] += leaf[e - ends]
                line[first + 5] += leaf[f - ends]
                line[first + 6] += leaf[g - ends]
                line[first + 7] += leaf[h - ends]
