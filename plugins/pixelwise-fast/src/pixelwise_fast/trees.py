"""TreeTable: an ensemble of binary trees as one array of 8-byte nodes.

A node is one word, from the low bits to the high ones:

- 32 bits: the threshold, as the integer that `pixelwise_fast.codes` makes of a value; pixels go right if theirs is greater;
- 1 bit: whether pixels that lack the feature go left;
- as many bits as the features need: the feature;
- the rest: the place of the left child in its tree. The right child stands next to it.

A leaf is a node that leads to itself, by comparing a feature beyond the last one, which is smaller than all else in every
pixel. So a pixel that has arrived stays where it is, without a test. The threshold of a leaf is free, and holds its row in the
table of values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pixelwise.errors import EngineError
from pixelwise_fast.program import read_only

__all__ = ["TREE", "TreeTable", "pack_trees"]

#: Of a tree to pack: `left` is -1 in a leaf, and `code` is then its row in the table of values.
TREE = ("left", "right", "feature", "code", "missing_left", "weight")


@dataclass(frozen=True)
class TreeTable:
    """Trees, one behind the other.

    Parameters
    ----------
    nodes : ndarray of uint64 of shape (n_nodes,)
        Nodes, as the module says.
    starts : ndarray of int64 of shape (n_trees + 1,)
        Where each tree begins.
    lead : ndarray of int64 of shape (n_trees,)
        For how many levels to walk before looking which pixels have arrived; minus the depth of a tree where that is all.
    n_features : int
        Number of features.
    """

    nodes: NDArray[np.uint64]
    starts: NDArray[np.int64]
    lead: NDArray[np.int64]
    n_features: int

    def __len__(self) -> int:
        return len(self.lead)

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The first arguments of the kernels."""
        return read_only(self.nodes), read_only(self.starts), read_only(self.lead)

    def check(self, n_values: int) -> None:
        """Raise an error unless each path leads down to a leaf whose value is there.

        Kernels follow the indices of a table without looking; one from a file may hold any.

        Parameters
        ----------
        n_values : int
            Number of rows in the table of values.

        Raises
        ------
        EngineError
            If one does not.
        """
        plain = [each.dtype.name for each in self.arrays] == ["uint64", "int64", "int64"]
        flat = all(each.ndim == 1 for each in self.arrays) and len(self.starts) == len(self.lead) + 1 > 1
        whole = plain and flat and self.starts[0] == 0 and self.starts[-1] == len(self.nodes)
        if not whole or (np.diff(self.starts) <= 0).any():
            raise EngineError("the table of nodes is not what it should be: compile the estimator again")
        wrong = _wrong_tree(*self.arrays, self.n_features, child_shift(self.n_features), n_values)
        if wrong >= 0:
            raise EngineError(f"tree {wrong} leads nowhere: compile the estimator again", tree=int(wrong))

    def layout(self, wide: bool) -> NDArray[np.uint64]:
        """Return where kernels find what.

        That is the number of codes of a pixel; the first bit and the mask of eight times a node's column; the first bit of its
        child.

        Parameters
        ----------
        wide : bool
            Whether there are two columns a feature: then the flag for missing values is part of the column's number.

        Returns
        -------
        ndarray of uint64 of shape (4,)
        """
        shift = child_shift(self.n_features)
        bits = shift - 33
        if wide:
            return np.array([2 * self.n_features + 1, 29, ((2 << bits) - 1) << 3, shift], np.uint64)
        return np.array([self.n_features + 1, 30, ((1 << bits) - 1) << 3, shift], np.uint64)


def child_shift(n_features: int) -> int:
    """Return where the place of the left child begins in a word: behind threshold, flag and feature."""
    return 33 + int(n_features).bit_length()


def pack_trees(trees: list[dict[str, np.ndarray]], n_features: int) -> TreeTable:
    """Pack trees into one table.

    Parameters
    ----------
    trees : list of dict
        Arrays of shape (n_nodes,) by the names in `TREE`, the root first.
    n_features : int
        Number of features.

    Returns
    -------
    TreeTable

    Raises
    ------
    EngineError
        If a tree has too many nodes for words of 64 bits.
    """
    shift = child_shift(n_features)
    # The word after the root stays empty, so that siblings share a cache line.
    sizes = [len(tree["left"]) + 1 for tree in trees]
    if max(sizes) >= 1 << (64 - shift):
        raise EngineError(f"a tree of {max(sizes) - 1} nodes on {n_features} features is too large", nodes=max(sizes) - 1)
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    nodes, lead = np.zeros(starts[-1], np.uint64), np.empty(len(trees), np.int64)
    for number, tree in enumerate(trees):
        place = nodes[starts[number] : starts[number + 1]]
        arguments: list[Any] = [place, *(tree[name] for name in TREE), n_features, shift]
        lead[number] = _pack(*arguments)
    return TreeTable(nodes, starts, lead, n_features)


@njit(cache=True, nogil=True)
def _pack(nodes, left, right, feature, code, missing_left, weight, n_features, shift):  # type: ignore[no-untyped-def] # pragma: no cover
    """Write one tree, depth first and along the heavier child, so that the paths that most pixels take lie close together."""
    n = left.shape[0]
    place, depth, stack = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64)
    low, width = np.uint64(0xFFFFFFFF), np.uint64(shift)
    free, top, walked = 2, 1, 0.0
    while top > 0:
        top -= 1
        node = stack[top]
        here = place[node]
        if left[node] < 0:
            walked += weight[node] * depth[node]
            to, column, flag = here, n_features, 0
        else:
            one, other = left[node], right[node]
            place[one], place[other] = free, free + 1
            depth[one] = depth[other] = depth[node] + 1
            to, column, flag = free, feature[node], missing_left[node]
            free += 2
            heavy = weight[one] >= weight[other]
            stack[top], stack[top + 1] = (other, one) if heavy else (one, other)
            top += 2
        word = (np.uint64(to) << width) | (np.uint64(column) << np.uint64(33)) | (np.uint64(flag) << np.uint64(32))
        nodes[here] = word | (np.uint64(np.int64(code[node])) & low)
    mean, deepest = walked / max(weight[0], 1e-300), depth.max()
    # To look costs as much as a step.
    return -max(deepest, 1) if deepest < mean + 3 else np.int64(max(1.0, mean))


@njit(cache=True, nogil=True)
def _wrong_tree(nodes, starts, lead, n_features, shift, n_values):  # type: ignore[no-untyped-def] # pragma: no cover
    """Return the number of the first tree in which some path leads elsewhere than to a leaf; -1 if there is none."""
    low, mask = np.uint64(0xFFFFFFFF), (np.uint64(1) << np.uint64(shift - 33)) - np.uint64(1)
    for number in range(lead.shape[0]):
        tree = nodes[starts[number] : starts[number + 1]]
        n, deepest = tree.shape[0], 0
        depth = np.full(n, -1, np.int32)
        depth[0] = 0
        for here in range(n):
            # Children stand behind their parents, so that what no path has reached by now is not reached.
            if depth[here] < 0:
                continue
            word = tree[here]
            to, column = np.int64(word >> np.uint64(shift)), np.int64((word >> np.uint64(33)) & mask)
            if column >= n_features:
                value = np.int64(word & low)
                if column > n_features or to != here or value >= n_values:
                    return number
                deepest = max(deepest, depth[here])
            else:
                if to <= here or to + 1 >= n:
                    return number
                depth[to], depth[to + 1] = max(depth[to], depth[here] + 1), max(depth[to + 1], depth[here] + 1)
        if -lead[number] < deepest and lead[number] < 0:
            return number
    return -1
