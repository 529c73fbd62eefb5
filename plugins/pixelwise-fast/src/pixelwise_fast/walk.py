"""Kernels that walk pixels down trees.

One pixel that walks alone waits for memory at each node. So a hundred pixels take each step together: their loads do not depend
on each other, and the processor has many of them under way. The step has no branch: the next node is the left child, plus one
if the code is greater. Every few levels the pixels that have arrived are put aside. A tree is walked by a whole block of pixels
before the next one's turn, so that its nodes are read from main memory once a block.

The codes of eight pixels stand together, feature by feature: so a pixel's code is found at its own place plus eight times the
feature, without a multiplication.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["TOGETHER", "add_leaves", "add_values", "count_votes", "label"]

#: Pixels that take a step together; their state and codes fit in the nearest cache.
TOGETHER = 128
#: Pixels that stay while all the small trees come by.
_CHUNK = 512
#: Steps between two looks at who has arrived.
_GAP = 2
_LOW = np.uint64(0xFFFFFFFF)
_NONE, _ONE, _TWO, _THREE, _FOUR, _FIVE, _SIX, _SEVEN = (np.uint64(number) for number in range(8))


@njit(cache=True, nogil=True)
def _walk_all(tree, levels, codes, layout, m, final):  # type: ignore[no-untyped-def] # pragma: no cover
    """Walk `m` pixels all levels of a shallow tree, eight at a time in registers."""
    width, column, mask, child = layout[0], layout[1], layout[2], layout[3]
    root = tree[0]
    at, threshold, left = (root >> column) & mask, np.int32(root & _LOW), root >> child
    for first in range(0, m, 8):
        row = np.uint64(first) * width
        near = row + at
        a, b = left + np.uint64(codes[near] > threshold), left + np.uint64(codes[near + _ONE] > threshold)
        c, d = left + np.uint64(codes[near + _TWO] > threshold), left + np.uint64(codes[near + _THREE] > threshold)
        e, f = left + np.uint64(codes[near + _FOUR] > threshold), left + np.uint64(codes[near + _FIVE] > threshold)
        g, h = left + np.uint64(codes[near + _SIX] > threshold), left + np.uint64(codes[near + _SEVEN] > threshold)
        for _ in range(levels - 1):
            u, v, w, x = tree[a], tree[b], tree[c], tree[d]
            a = (u >> child) + np.uint64(codes[row + ((u >> column) & mask)] > np.int32(u & _LOW))
            b = (v >> child) + np.uint64(codes[row + _ONE + ((v >> column) & mask)] > np.int32(v & _LOW))
            c = (w >> child) + np.uint64(codes[row + _TWO + ((w >> column) & mask)] > np.int32(w & _LOW))
            d = (x >> child) + np.uint64(codes[row + _THREE + ((x >> column) & mask)] > np.int32(x & _LOW))
            u, v, w, x = tree[e], tree[f], tree[g], tree[h]
            e = (u >> child) + np.uint64(codes[row + _FOUR + ((u >> column) & mask)] > np.int32(u & _LOW))
            f = (v >> child) + np.uint64(codes[row + _FIVE + ((v >> column) & mask)] > np.int32(v & _LOW))
            g = (w >> child) + np.uint64(codes[row + _SIX + ((w >> column) & mask)] > np.int32(w & _LOW))
            h = (x >> child) + np.uint64(codes[row + _SEVEN + ((x >> column) & mask)] > np.int32(x & _LOW))
        final[first], final[first + 1] = np.uint32(tree[a]), np.uint32(tree[b])
        final[first + 2], final[first + 3] = np.uint32(tree[c]), np.uint32(tree[d])
        final[first + 4], final[first + 5] = np.uint32(tree[e]), np.uint32(tree[f])
        final[first + 6], final[first + 7] = np.uint32(tree[g]), np.uint32(tree[h])


@njit(cache=True, nogil=True)
def _descend(tree, lead, codes, layout, m, place, rows, found, final):  # type: ignore[no-untyped-def] # pragma: no cover
    """Walk `m` pixels down one tree; `final` gets the codes of the leaves.

    If `lead` is negative, the tree has as many levels, and so few that all of them are walked without looking.
    """
    if lead < 0:
        _walk_all(tree, -lead, codes, layout, m, final)
        return
    width, column, mask, child = layout[0], layout[1], layout[2], layout[3]
    padded = np.uint64((m + 7) // 8 * 8)
    for j in range(padded):
        place[j] = np.uint32(0)
        rows[j] = np.uint32((j >> _THREE) * (width << _THREE) + (j & _SEVEN))
    for _ in range(lead):
        for j in range(padded):
            word = tree[place[j]]
            code = codes[rows[j] + ((word >> column) & mask)]
            place[j] = np.uint32(word >> child) + np.uint32(code > np.int32(word & _LOW))
    left = np.uint64(m)
    while left > _NONE:
        staying = _NONE
        for j in range(left):
            at, row = place[j], rows[j]
            word = tree[at]
            code = codes[row + ((word >> column) & mask)]
            to = np.uint32(word >> child) + np.uint32(code > np.int32(word & _LOW))
            found[row] = np.uint32(word)
            place[staying], rows[staying] = to, row
            staying += np.uint64(to != at)
        left = staying
        for _ in range(_GAP):
            for j in range(left):
                word = tree[place[j]]
                code = codes[rows[j] + ((word >> column) & mask)]
                place[j] = np.uint32(word >> child) + np.uint32(code > np.int32(word & _LOW))
    for j in range(np.uint64(m)):
        final[j] = found[(j >> _THREE) * (width << _THREE) + (j & _SEVEN)]


@njit(cache=True, nogil=True)
def _fetch(tree, n):  # type: ignore[no-untyped-def] # pragma: no cover
    """Read a tree once in its order, which is the fast way to have it in the cache, if `n` pixels will come by most of it."""
    seen = np.uint64(0)
    if 2 * n > tree.shape[0] // 8:
        for at in range(0, tree.shape[0], 8):
            seen ^= tree[at]
    return np.uint32(seen)


@njit(cache=True, nogil=True)
def count_votes(nodes, starts, lead, codes, layout, votes):  # type: ignore[no-untyped-def] # pragma: no cover
    """Add to `votes`, of shape (n, n_classes), one for the class of each tree's leaf."""
    place, rows, final = np.empty(TOGETHER, np.uint32), np.empty(TOGETHER, np.uint32), np.empty(TOGETHER, np.uint32)
    found = np.empty(TOGETHER * np.int64(layout[0]), np.uint32)
    width = np.int64(layout[0])
    for number in range(lead.shape[0]):
        tree = nodes[starts[number] : starts[number + 1]]
        # Written so that the reading is not left out.
        final[0] = _fetch(tree, votes.shape[0])
        for row in range(0, votes.shape[0], TOGETHER):
            m = min(TOGETHER, votes.shape[0] - row)
            _descend(tree, lead[number], codes[row * width :], layout, m, place, rows, found, final)
            for j in range(m):
                votes[row + j, final[j]] += 1


@njit(cache=True, nogil=True)
def add_values(nodes, starts, lead, codes, layout, values, offset, sums):  # type: ignore[no-untyped-def] # pragma: no cover
    """Add to `sums`, from column ``offset[tree]`` on, the row of `values` that each tree's leaf names, tree by tree."""
    place, rows, final = np.empty(TOGETHER, np.uint32), np.empty(TOGETHER, np.uint32), np.empty(TOGETHER, np.uint32)
    found = np.empty(TOGETHER * np.int64(layout[0]), np.uint32)
    width = np.int64(layout[0])
    for number in range(lead.shape[0]):
        tree, at = nodes[starts[number] : starts[number + 1]], offset[number]
        # Written so that the reading is not left out.
        final[0] = _fetch(tree, sums.shape[0])
        for row in range(0, sums.shape[0], TOGETHER):
            m = min(TOGETHER, sums.shape[0] - row)
            _descend(tree, lead[number], codes[row * width :], layout, m, place, rows, found, final)
            for j in range(m):
                for k in range(values.shape[1]):
                    sums[row + j, at + k] += values[final[j], k]


@njit(cache=True, nogil=True)
def add_leaves(nodes, starts, lead, codes, layout, leaves, column, sums):  # type: ignore[no-untyped-def] # pragma: no cover
    """Add to ``sums[column[tree]]``, of shape (n_columns, n), the value of each tree's leaf, tree by tree."""
    place, rows, final = np.empty(TOGETHER, np.uint32), np.empty(TOGETHER, np.uint32), np.empty(TOGETHER, np.uint32)
    found = np.empty(TOGETHER * np.int64(layout[0]), np.uint32)
    width = np.int64(layout[0])
    n = sums.shape[1]
    # These trees are small: it is the codes of the pixels that should stay in the nearest cache.
    for first in range(0, n, _CHUNK):
        for number in range(lead.shape[0]):
            tree, line = nodes[starts[number] : starts[number + 1]], sums[column[number]]
            for row in range(first, min(first + _CHUNK, n), TOGETHER):
                m = min(TOGETHER, n - row)
                _descend(tree, lead[number], codes[row * width :], layout, m, place, rows, found, final)
                for j in range(m):
                    line[row + j] += leaves[final[j]]


@njit(cache=True, nogil=True)
def _let_go(scores, n, lead, pixels, labels, codes, width):  # type: ignore[no-untyped-def] # pragma: no cover
    """Label the pixels whose best class is ahead by more than `lead`, and move the others to the front; return their number."""
    stay, n_classes = 0, scores.shape[1]
    for i in range(n):
        # Without branches, which could not be foreseen.
        best, second = scores[i, 0], scores[i, 0] - scores[i, 0] - 1
        for k in range(1, n_classes):
            second = max(second, min(best, scores[i, k]))
            best = max(best, scores[i, k])
        if best - second > lead:
            winner = 0
            for k in range(1, n_classes):
                winner = k if scores[i, k] == best else winner
            labels[pixels[i]] = winner
        else:
            # Slices would take longer than these loops.
            pixels[stay] = pixels[i]
            for k in range(scores.shape[1]):
                scores[stay, k] = scores[i, k]
            to, here = stay // 8 * 8 * width + stay % 8, i // 8 * 8 * width + i % 8
            for k in range(0, 8 * width, 8):
                codes[to + k] = codes[here + k]
            stay += 1
    return stay


@njit(cache=True, nogil=True)
def label(nodes, starts, lead, codes, layout, values, scores, labels):  # type: ignore[no-untyped-def] # pragma: no cover
    """Write to `labels` the class with the largest mean, the first of several; `values` of no rows: a leaf names its class.

    A tree adds 1 to a class at the most. So a pixel is let go once its best class leads by more than the trees that are left,
    and a margin for rounding; the pixels that stay are moved to the front, their codes too.
    """
    place, rows, final = np.empty(TOGETHER, np.uint32), np.empty(TOGETHER, np.uint32), np.empty(TOGETHER, np.uint32)
    found = np.empty(TOGETHER * np.int64(layout[0]), np.uint32)
    n, n_trees, voting = labels.shape[0], lead.shape[0], values.shape[0] == 0
    pixels, every, margin = np.arange(n), 1 + n_trees // 50, 0 if voting else 1e-4
    width = np.int64(layout[0])
    for number in range(n_trees):
        tree = nodes[starts[number] : starts[number + 1]]
        # Written so that the reading is not left out.
        final[0] = _fetch(tree, n)
        for row in range(0, n, TOGETHER):
            m = min(TOGETHER, n - row)
            _descend(tree, lead[number], codes[row * width :], layout, m, place, rows, found, final)
            if voting:
                for j in range(m):
                    scores[row + j, final[j]] += 1
            else:
                for j in range(m):
                    for k in range(values.shape[1]):
                        scores[row + j, k] += values[final[j], k]
        remaining = n_trees - 1 - number
        if 2 * number >= n_trees and number % every == 0:
            n = _let_go(scores, n, remaining + margin, pixels, labels, codes, width)
    for i in range(n):
        # Division may make equal what was not, and scikit-learn divides.
        labels[pixels[i]] = np.argmax(scores[i] / n_trees)
