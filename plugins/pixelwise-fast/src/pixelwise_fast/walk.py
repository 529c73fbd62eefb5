"""Kernels that walk pixels down trees.

One pixel that walks alone waits for memory at each node. So eight pixels take each step together, in registers: their loads do
not depend on each other, and the processor has all of them under way. The step has no branch: the next node is the left child,
plus one if the code is greater. A leaf leads to itself, so that pixels may arrive at different times.

Pixels that are much alike go the same way for many levels. So all are put in the order of the first tree's nodes, and eight
neighbours walk as one until they part, which the smallest and the largest code of the eight tell.

A few trees that fit in the cache together are walked by a whole block of pixels, some hundred at a time, before the next ones'
turn: so nodes are read from main memory once a block, and what a pixel has so far stays near.

The codes of eight pixels stand together, feature by feature: so a pixel's code is found at its own place plus eight times the
feature, without a multiplication.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["add_leaves", "add_values", "label"]

#: Pixels that stay while some trees come by, and how many nodes these trees may have: half of a usual second cache.
_CHUNK, _NEAR = 512, 65536
#: Levels that eight neighbours try to walk as one.
_SHARED = 8
#: Levels of the first tree by which pixels are put in order, and how many trees there must be for that to pay.
_SORTED, _FEW = 16, 8
#: Steps to each look whether all have arrived.
_GAP = 3
_LOW = np.uint64(0xFFFFFFFF)
_NONE, _ONE, _TWO, _THREE, _FOUR, _FIVE, _SIX, _SEVEN = (np.uint64(number) for number in range(8))


@njit(cache=True, nogil=True)
def _next(tree, at, codes, row, column, mask, child):  # type: ignore[no-untyped-def] # pragma: no cover
    """Return the node that a pixel comes to from another."""
    word = tree[at]
    return (word >> child) + np.uint64(codes[row + ((word >> column) & mask)] > np.int32(word & _LOW))


@njit(cache=True, nogil=True)
def _arranged(nodes, starts, codes, layout, n):  # type: ignore[no-untyped-def] # pragma: no cover
    """Return an order of the pixels in which neighbours are much alike, and their codes: as the first tree has them."""
    width, column, mask, child = np.int64(layout[0]), layout[1], layout[2], layout[3]
    if starts.shape[0] < _FEW:
        return np.arange(n), codes
    tree, coarse = nodes[starts[0] : starts[1]], 0
    while tree.shape[0] >> coarse > 2 * n:
        coarse += 1
    place, count = np.empty(n, np.uint64), np.zeros((tree.shape[0] >> coarse) + 2, np.int64)
    for first in range(0, n, _CHUNK):
        last = min(first + _CHUNK, n)
        place[first:last] = _NONE
        for _ in range(_SORTED):
            for i in range(first, last):
                place[i] = _next(tree, place[i], codes, np.uint64((i >> 3 << 3) * width + (i & 7)), column, mask, child)
        for i in range(first, last):
            count[(np.int64(place[i]) >> coarse) + 1] += 1
    for k in range(1, count.shape[0]):
        count[k] += count[k - 1]
    # A subtree's nodes stand together, so that their order is that of its pixels, too.
    order, arranged = np.empty(n, np.int64), np.empty_like(codes)
    for i in range(n):
        bucket = np.int64(place[i]) >> coarse
        order[count[bucket]] = i
        count[bucket] += 1
    # The last pixel fills up its eight.
    for i in range((n + 7) >> 3 << 3):
        here = order[min(i, n - 1)]
        to, source = (i >> 3 << 3) * width + (i & 7), (here >> 3 << 3) * width + (here & 7)
        for k in range(0, 8 * width, 8):
            arranged[to + k] = codes[source + k]
    return order, arranged


@njit(cache=True, nogil=True)
def _bounds(codes, layout, n):  # type: ignore[no-untyped-def] # pragma: no cover
    """Return the smallest and the largest code of each column of eight pixels, side by side."""
    found = np.empty(((n + 7) >> 3) * np.int64(layout[0]) * 2, np.int32)
    for group in range(found.shape[0] // 2):
        low = high = codes[8 * group]
        for k in range(8 * group + 1, 8 * group + 8):
            low, high = min(low, codes[k]), max(high, codes[k])
        found[2 * group], found[2 * group + 1] = low, high
    return found


@njit(cache=True, nogil=True)
def _same(tree, at, between, base, column, mask, child):  # type: ignore[no-untyped-def] # pragma: no cover
    """Return whether eight pixels go the same way from a node, and where to."""
    word = tree[at]
    near, threshold = base + (((word >> column) & mask) >> _TWO), np.int32(word & _LOW)
    low, high = np.uint64(between[near] > threshold), np.uint64(between[near + _ONE] > threshold)
    return _ONE - (low ^ high), (word >> child) + low


@njit(cache=True, nogil=True)
def _walk_together(tree, between, layout, groups, place, steps):  # type: ignore[no-untyped-def] # pragma: no cover
    """Walk eight pixels as one, as far as `between` says that all of them go the same way, but no more than some levels."""
    width, column, mask, child = layout[0] << _ONE, layout[1], layout[2], layout[3]
    last = groups - _ONE
    for first in range(_NONE, groups, _FOUR):
        p, q, r, s = first, min(first + _ONE, last), min(first + _TWO, last), min(first + _THREE, last)
        w, x, y, z = p * width, q * width, r * width, s * width
        a = b = c = d = e = f = g = h = _NONE
        for _ in range(_SHARED):
            i, to = _same(tree, a, between, w, column, mask, child)
            a, e = a + i * (to - a), e + i
            i, to = _same(tree, b, between, x, column, mask, child)
            b, f = b + i * (to - b), f + i
            i, to = _same(tree, c, between, y, column, mask, child)
            c, g = c + i * (to - c), g + i
            i, to = _same(tree, d, between, z, column, mask, child)
            d, h = d + i * (to - d), h + i
        place[p], place[q], place[r], place[s] = np.uint32(a), np.uint32(b), np.uint32(c), np.uint32(d)
        steps[p], steps[q], steps[r], steps[s] = np.uint32(e), np.uint32(f), np.uint32(g), np.uint32(h)


@njit(cache=True, nogil=True)
def _descend(tree, lead, codes, between, layout, m, place, steps, final):  # type: ignore[no-untyped-def] # pragma: no cover
    """Walk `m` pixels down one tree; `final` gets the codes of the leaves.

    If `lead` is negative, the tree has as many levels, and so few that all of them are walked without looking.
    """
    width, column, mask, child = layout[0] << _THREE, layout[1], layout[2], layout[3]
    groups = np.uint64((m + 7) >> 3)
    if lead < 0:
        for group in range(groups):
            place[group] = steps[group] = np.uint32(0)
    else:
        _walk_together(tree, between, layout, groups, place, steps)
    for group in range(groups):
        # Eight at a time, in registers.
        p = group * width
        q, r, s, t, u, v, w = p + _ONE, p + _TWO, p + _THREE, p + _FOUR, p + _FIVE, p + _SIX, p + _SEVEN
        a = b = c = d = e = f = g = h = np.uint64(place[group])
        rounds, underway = abs(lead) - np.int64(steps[group]), True
        while underway:
            for _ in range(rounds):
                a, b = _next(tree, a, codes, p, column, mask, child), _next(tree, b, codes, q, column, mask, child)
                c, d = _next(tree, c, codes, r, column, mask, child), _next(tree, d, codes, s, column, mask, child)
                e, f = _next(tree, e, codes, t, column, mask, child), _next(tree, f, codes, u, column, mask, child)
                g, h = _next(tree, g, codes, v, column, mask, child), _next(tree, h, codes, w, column, mask, child)
            moves = (a ^ (tree[a] >> child)) | (b ^ (tree[b] >> child)) | (c ^ (tree[c] >> child)) | (d ^ (tree[d] >> child))
            moves |= (e ^ (tree[e] >> child)) | (f ^ (tree[f] >> child)) | (g ^ (tree[g] >> child)) | (h ^ (tree[h] >> child))
            rounds, underway = _GAP, moves != _NONE
        first = group << _THREE
        final[first], final[first + _ONE] = np.uint32(tree[a]), np.uint32(tree[b])
        final[first + _TWO], final[first + _THREE] = np.uint32(tree[c]), np.uint32(tree[d])
        final[first + _FOUR], final[first + _FIVE] = np.uint32(tree[e]), np.uint32(tree[f])
        final[first + _SIX], final[first + _SEVEN] = np.uint32(tree[g]), np.uint32(tree[h])


@njit(cache=True, nogil=True)
def _fetch(tree, n):  # type: ignore[no-untyped-def] # pragma: no cover
    """Read a tree once in its order, which is the fast way to have it in the cache, if `n` pixels will come by most of it."""
    seen = np.uint64(0)
    if 2 * n > tree.shape[0] // 8:
        for at in range(0, tree.shape[0], 8):
            seen ^= tree[at]
    return np.uint32(seen)


@njit(cache=True, nogil=True)
def _n_pure(values, width):  # type: ignore[no-untyped-def] # pragma: no cover
    """Return how many of the first rows are 1 for the class of their number and else 0; of no rows, how many classes."""
    for row in range(min(values.shape[0], width)):
        for k in range(width):
            if values[row, k] != (1.0 if k == row else 0.0):
                return np.int64(row)
    return np.int64(width)


@njit(cache=True, nogil=True)
def _some_trees(starts, first, most):  # type: ignore[no-untyped-def] # pragma: no cover
    """Return the end of the trees from `first` on that fit in a cache together; one at least, and so many at the most."""
    last = first + 1
    while last < min(first + most, starts.shape[0] - 1) and starts[last + 1] - starts[first] <= _NEAR:
        last += 1
    return last


@njit(cache=True, nogil=True)
def add_values(nodes, starts, lead, codes, layout, values, sums):  # type: ignore[no-untyped-def] # pragma: no cover
    """Write to `sums` what the leaves hold, added tree by tree: rows of `values`; of no rows: a leaf names its class."""
    place, steps, final = np.empty(_CHUNK // 8, np.uint32), np.empty(_CHUNK // 8, np.uint32), np.empty(_CHUNK, np.uint32)
    (n, n_values), n_trees, width, end = sums.shape, lead.shape[0], np.int64(layout[0]), 0
    order, codes = _arranged(nodes, starts, codes, layout, n)
    between, so_far, pure = _bounds(codes, layout, n), np.zeros((n, n_values)), _n_pure(values, n_values)
    while end < n_trees:
        start, end = end, _some_trees(starts, end, n_trees)
        # Written so that the reading is not left out.
        final[0] = _fetch(nodes[starts[start] : starts[end]], n)
        for row in range(0, n, _CHUNK):
            m = min(_CHUNK, n - row)
            here, there = codes[row * width :], between[row // 4 * width :]
            for number in range(start, end):
                _descend(nodes[starts[number] : starts[number + 1]], lead[number], here, there, layout, m, place, steps, final)
                for j in range(m):
                    # Most leaves of a fully grown tree hold one class.
                    leaf = np.int64(final[j])
                    if leaf < pure:
                        so_far[row + j, leaf] += 1.0
                    else:
                        for k in range(n_values):
                            so_far[row + j, k] += values[leaf, k]
    for i in range(n):
        for k in range(n_values):
            sums[order[i], k] = so_far[i, k]


@njit(cache=True, nogil=True)
def add_leaves(nodes, starts, lead, codes, layout, leaves, column, sums):  # type: ignore[no-untyped-def] # pragma: no cover
    """Add to ``sums[column[tree]]``, of shape (n_columns, n), the value of each tree's leaf, tree by tree."""
    place, steps, final = np.empty(_CHUNK // 8, np.uint32), np.empty(_CHUNK // 8, np.uint32), np.empty(_CHUNK, np.uint32)
    n, n_trees, width, end = sums.shape[1], lead.shape[0], np.int64(layout[0]), 0
    order, codes = _arranged(nodes, starts, codes, layout, n)
    between, so_far = _bounds(codes, layout, n), sums.copy()
    while end < n_trees:
        start, end = end, _some_trees(starts, end, n_trees)
        for row in range(0, n, _CHUNK):
            m = min(_CHUNK, n - row)
            here, there = codes[row * width :], between[row // 4 * width :]
            for number in range(start, end):
                _descend(nodes[starts[number] : starts[number + 1]], lead[number], here, there, layout, m, place, steps, final)
                line = so_far[column[number]]
                for j in range(m):
                    line[row + j] += leaves[final[j]]
    for k in range(sums.shape[0]):
        for i in range(n):
            sums[k, order[i]] = so_far[k, i]


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
def label(nodes, starts, lead, codes, layout, values, margin, scores, labels):  # type: ignore[no-untyped-def] # pragma: no cover
    """Write to `labels` the class with the largest mean, the first of several; `values` of no rows: a leaf names its class.

    Where a tree adds 1 to a class at the most, a pixel is let go once its best class leads by more than the trees that are
    left, and `margin`: a little for rounding, or infinity where a tree may add more. The pixels that stay are moved to the
    front, their codes too.
    """
    place, steps, final = np.empty(_CHUNK // 8, np.uint32), np.empty(_CHUNK // 8, np.uint32), np.empty(_CHUNK, np.uint32)
    n, n_trees, width, end = labels.shape[0], lead.shape[0], np.int64(layout[0]), 0
    pure = _n_pure(values, scores.shape[1])
    pixels, codes = _arranged(nodes, starts, codes, layout, n)
    between = _bounds(codes, layout, n)
    while end < n_trees:
        start, end = end, _some_trees(starts, end, 1 + n_trees // 20)
        # Written so that the reading is not left out.
        final[0] = _fetch(nodes[starts[start] : starts[end]], n)
        for row in range(0, n, _CHUNK):
            m = min(_CHUNK, n - row)
            here, there = codes[row * width :], between[row // 4 * width :]
            for number in range(start, end):
                _descend(nodes[starts[number] : starts[number + 1]], lead[number], here, there, layout, m, place, steps, final)
                for j in range(m):
                    leaf = np.int64(final[j])
                    if leaf < pure:
                        scores[row + j, leaf] += 1
                    else:
                        for k in range(values.shape[1]):
                            scores[row + j, k] += values[leaf, k]
        if 2 * end >= n_trees:
            n = _let_go(scores, n, n_trees - end + margin, pixels, labels, codes, width)
            between = _bounds(codes, layout, n)
    for i in range(n):
        # Division may make equal what was not, and scikit-learn divides.
        labels[pixels[i]] = np.argmax(scores[i] / n_trees)
