"""Grey-level co-occurrence of all windows of a plane at once, without a matrix for any of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pixelwise.operators.windows import run_sums, window_tiles

__all__ = ["PROPERTIES", "cooccurrence"]

#: Names of properties, as `skimage.feature.graycoprops` has them.
PROPERTIES = (
    "contrast", "dissimilarity", "homogeneity", "ASM", "energy", "correlation", "mean", "variance", "std", "entropy",
)  # fmt: skip
#: Pairs of pixels of all windows that are sorted at a time.
_PAIRS = 2**20


def cooccurrence(
    plane: np.ndarray, out: np.ndarray, *, properties: Sequence[str], window: int, levels: int,
    value_range: tuple[float, float], steps: Sequence[tuple[int, int]],
) -> None:  # fmt: skip
    """Compute properties of the co-occurrence matrix of each pixel's window, as means over directions.

    Parameters
    ----------
    plane : ndarray of float, shape (height, width)
        NaN where data is missing; pairs with a missing pixel do not count.
    out : ndarray of float, shape (n_properties, height, width)
        Set to the properties; NaN where the window of a pixel has no pair.
    properties : sequence of str
        Out of `PROPERTIES`.
    window : int
        Side of the windows in pixels.
    levels : int
        Number of grey levels, 256 at the most.
    value_range : (float, float)
        Values of the lowest level's lower and the highest level's upper end; values beyond go to these levels.
    steps : sequence of (int, int)
        Rows and columns from a pixel to the one that it is paired with.
    """
    low, high = value_range
    side = max(16, int(np.sqrt(_PAIRS)) // window)
    for tile in window_tiles(plane, window, fill=np.nan, shape=(side, side)):
        with np.errstate(invalid="ignore"):
            level = np.clip(np.floor((tile.values - low) * (levels / (high - low))), 0, levels - 1)
        missing = np.isnan(level)
        grey = np.where(missing, 0, level).astype(np.int32)
        shape = (len(properties), tile.rows.stop - tile.rows.start, tile.cols.stop - tile.cols.start)
        total, directions = np.zeros(shape), np.zeros(shape[1:])
        for step in steps:
            pairs = _Pairs(grey, missing, step, window, levels)
            known = pairs.n > 0
            directions += known
            with np.errstate(divide="ignore", invalid="ignore"):
                for number, name in enumerate(properties):
                    total[number] += np.where(known, pairs.measure(name), 0)
        with np.errstate(invalid="ignore"):
            out[:, tile.rows, tile.cols] = total / directions


class _Pairs:
    """The pairs of grey levels of all windows of a tile in one direction; either pixel may be the first."""

    def __init__(self, grey: np.ndarray, missing: np.ndarray, step: tuple[int, int], window: int, levels: int) -> None:
        rows, cols = step
        self._box = window - abs(rows), window - abs(cols)
        height, width = grey.shape[0] - abs(rows), grey.shape[1] - abs(cols)
        one = slice(max(-rows, 0), max(-rows, 0) + height), slice(max(-cols, 0), max(-cols, 0) + width)
        two = slice(max(rows, 0), max(rows, 0) + height), slice(max(cols, 0), max(cols, 0) + width)
        self.first, self.second = grey[one], grey[two]
        self.there = ~(missing[one] | missing[two])
        self.levels = levels
        self.n = self._sum(np.ones_like(self.first))
        self._known: dict[str, Any] = {}

    def measure(self, name: str) -> np.ndarray:
        """Return a property of the normed, symmetric matrix of each window."""
        if name in ("contrast", "dissimilarity", "homogeneity"):
            difference = self.first - self.second
            if name == "homogeneity":
                return np.asarray(self._sum(1.0 / (1.0 + difference**2)) / self.n)
            return np.asarray(self._sum(difference**2 if name == "contrast" else np.abs(difference)) / self.n)
        if name in ("ASM", "energy", "entropy"):
            squares, entropy = self._of_cells()
            return entropy if name == "entropy" else np.sqrt(squares) if name == "energy" else squares
        ends, spread = self._moments()
        if name == "mean":
            return np.asarray(ends / (2 * self.n))
        if name == "correlation":
            # Whole numbers up to here, so that windows of one level are told exactly; their correlation is 1 by convention.
            product = 4 * self.n * self._sum(self.first * self.second) - ends**2
            return np.where(spread == 0, 1.0, product / np.where(spread == 0, 1.0, spread))
        variance = spread / (4 * self.n**2)
        return np.asarray(np.sqrt(variance) if name == "std" else variance)

    def _sum(self, values: np.ndarray) -> np.ndarray:
        kept = np.where(self.there, values, 0)
        return np.asarray(run_sums(run_sums(kept, self._box[0], 0), self._box[1], 1), dtype=np.float64)

    def _moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the sum of all levels of all pairs, and 4 n² times their variance."""
        if "moments" not in self._known:
            ends = self._sum(self.first + self.second)
            squares = self._sum(self.first**2 + self.second**2)
            self._known["moments"] = ends, 2 * self.n * squares - ends**2
        moments: tuple[np.ndarray, np.ndarray] = self._known["moments"]
        return moments

    def _of_cells(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the sum of squares of the matrix's cells, and their entropy.

        The cells of a window are the runs of equal pairs among its sorted pairs.
        """
        if "cells" not in self._known:
            shape = self.n.shape
            squares, logs, crossed = (np.empty(shape) for _ in range(3))
            for row, codes in self._sorted_codes():
                squares[row], logs[row], crossed[row] = _run_measures(codes, self.levels)
            n = np.maximum(self.n, 1)
            entropy = np.log(n) - logs / n + np.log(2.0) * crossed / n
            self._known["cells"] = squares / (2 * n**2), np.maximum(entropy, 0)
        cells: tuple[np.ndarray, np.ndarray] = self._known["cells"]
        return cells

    def _sorted_codes(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield for each row of windows the sorted pairs of each window, missing ones last."""
        low, high = np.minimum(self.first, self.second), np.maximum(self.first, self.second)
        kind = np.uint16 if self.levels <= 255 else np.int32
        code = np.where(self.there, low * self.levels + high, self.levels**2).astype(kind)
        views = sliding_window_view(code, self._box[1], axis=1)
        for row in range(self.n.shape[0]):
            yield row, np.sort(np.concatenate(list(views[row : row + self._box[0]]), axis=-1), axis=-1)


def _run_measures(codes: np.ndarray, levels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return of each row of sorted pairs: cells' weighted squares, sum of count times log count, and pairs off the diagonal."""
    n, length = codes.shape
    begins = np.ones(codes.shape, bool)
    np.not_equal(codes[:, 1:], codes[:, :-1], out=begins[:, 1:])
    at = np.flatnonzero(begins)
    count = np.diff(at, append=n * length)
    code = codes.ravel()[at].astype(np.int64)
    row = at // length
    held = code < levels**2
    diagonal = held & (code % (levels + 1) == 0)
    logs = np.arange(length + 1) * np.log(np.maximum(np.arange(length + 1), 1))
    squares = np.bincount(row, np.where(held, count**2 * (1 + diagonal), 0), n)
    return squares, np.bincount(row, np.where(held, logs[count], 0), n), np.bincount(row, count * (held & ~diagonal), n)
