"""Sums over square windows that leave out what is missing, the same to the last bit whatever chip they are computed in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["WindowTile", "half_window", "run_sums", "window_tiles"]

#: Pixels of a tile: its padded floats stay in a cache of the processor.
_TILE = (128, 512)


def half_window(window: Any) -> int:
    """Return how many pixels a window reaches to each side.

    Parameters
    ----------
    window : int
        Its side in pixels.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If it has no centre, or holds one pixel alone.

    Examples
    --------
    >>> from pixelwise.operators.windows import half_window
    >>> half_window(7)
    3
    """
    if not isinstance(window, int | np.integer) or isinstance(window, bool) or window < 3 or window % 2 == 0:
        raise ValueError(f"window={window!r} has no centre pixel with neighbours: give an odd number of pixels, 3 or more")
    return int(window) // 2


def run_sums(values: np.ndarray, length: int, axis: int) -> np.ndarray:
    """Return the sum of each run of neighbours along an axis.

    Sums of one, two, four ... neighbours are added up, so that the order of additions is the same for each run. Running sums
    carry rounding along from where they begin, and so differ between a chip and its scene.

    Parameters
    ----------
    values : ndarray
        Numbers.
    length : int
        Numbers in a run.
    axis : int
        Along which they stand.

    Returns
    -------
    ndarray
        Shorter by ``length - 1`` along the axis, in the dtype of `values`.

    Examples
    --------
    >>> import numpy as np
    >>> from pixelwise.operators.windows import run_sums
    >>> run_sums(np.arange(6), 3, axis=0)
    array([ 3,  6,  9, 12])
    """
    power = np.moveaxis(values, axis, 0)
    n, at, step, total = len(power) - length + 1, 0, 1, None
    while True:
        if length & step:
            part = power[at : at + n]
            total = part if total is None else total + part
            at += step
        if length < 2 * step:
            assert total is not None
            return np.moveaxis(total, 0, axis)
        power = power[:-step] + power[step:]
        step *= 2


@dataclass(frozen=True, slots=True, eq=False)
class WindowTile:
    """Part of a plane, with what its windows reach beyond it.

    Parameters
    ----------
    rows, cols : slice
        Where the part is in the plane.
    values : ndarray of shape (height + window - 1, width + window - 1)
        Numbers, with the fill where data is missing and outside of the plane.
    present : ndarray of bool, or None
        Where there is data, in the shape of `values`; None where only what is outside of the plane is missing.
    count : ndarray of shape (height, width), (height, 1), (1, width) or (1, 1)
        Number of pixels with data in the window of each pixel, as float64.
    window : int
        Side of the windows.
    """

    rows: slice
    cols: slice
    values: np.ndarray
    present: np.ndarray | None
    count: np.ndarray
    window: int

    def sum(self, values: np.ndarray) -> np.ndarray:
        """Return the sum over the window of each pixel of the part.

        Parameters
        ----------
        values : ndarray in the shape of `self.values`
            Numbers, 0 where data is missing.

        Returns
        -------
        ndarray of shape (height, width)
        """
        return run_sums(run_sums(values, self.window, 0), self.window, 1)


def window_tiles(
    plane: np.ndarray, window: int, *, dtype: Any = np.float64, fill: float = 0.0, shape: tuple[int, int] = _TILE
) -> Iterator[WindowTile]:
    """Cut a plane into parts with what their windows reach beyond them.

    Pixels outside of the plane count as missing. What is computed of a pixel's window with `WindowTile.sum` is the same to
    the last bit in a plane and in a chip of it that reaches half a window further.

    Parameters
    ----------
    plane : ndarray of float, shape (height, width)
        NaN where data is missing.
    window : int
        Side of the windows in pixels, an odd number.
    dtype : dtype, default=float64
        Of the parts.
    fill : float, default=0.0
        Stands for missing data.
    shape : (int, int)
        Largest height and width of a part.

    Yields
    ------
    WindowTile

    Examples
    --------
    >>> import numpy as np
    >>> from pixelwise.operators.windows import window_tiles
    >>> plane = np.array([[1.0, 2.0], [np.nan, 5.0]])
    >>> [(tile.sum(tile.values).tolist(), tile.count.tolist()) for tile in window_tiles(plane, 3)]
    [([[8.0, 8.0], [8.0, 8.0]], [[3.0, 3.0], [3.0, 3.0]])]
    """
    half = half_window(window)
    height, width = plane.shape
    for top in range(0, height, shape[0]):
        for left in range(0, width, shape[1]):
            rows, cols = slice(top, min(top + shape[0], height)), slice(left, min(left + shape[1], width))
            (above, below), (before, after) = _reach(rows, half, height), _reach(cols, half, width)
            inside = slice(above - top + half, below - top + half), slice(before - left + half, after - left + half)
            values = np.full((rows.stop - top + 2 * half, cols.stop - left + 2 * half), fill, dtype)
            part = plane[above:below, before:after]
            values[inside] = part
            gaps = np.isnan(part)
            if not gaps.any():
                count = np.multiply.outer(_counts(rows, half, height), _counts(cols, half, width))
                yield WindowTile(rows, cols, values, None, count, window)
                continue
            values[inside][gaps] = fill
            present = np.zeros(values.shape, bool)
            np.logical_not(gaps, out=present[inside])
            held = run_sums(run_sums(present.astype(np.int32), window, 0), window, 1)
            yield WindowTile(rows, cols, values, present, held.astype(np.float64), window)


def _reach(part: slice, half: int, length: int) -> tuple[int, int]:
    return max(part.start - half, 0), min(part.stop + half, length)


def _counts(part: slice, half: int, length: int) -> np.ndarray:
    """Return how many of the pixels round each one are within the plane, along one axis."""
    at = np.arange(part.start, part.stop)
    counts = np.minimum(at + half + 1, length) - np.maximum(at - half, 0)
    return np.asarray(counts[:1] if counts.min() == counts.max() else counts, dtype=np.float64)
