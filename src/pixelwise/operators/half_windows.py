"""Statistics over the half of a 7 x 7 window that lies on a pixel's own side of the strongest edge through it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pixelwise.operators.windows import WindowTile, run_sums

__all__ = ["WINDOW", "half_window_statistics"]

#: Side of the window.
WINDOW = 7
#: Pixels in half of it, the line through the centre included.
_HALF = 28.0
#: Which of the nine means, numbered row by row, lie on either side of an edge, that next to the centre first.
_SIDES = (((3, 0, 6), (5, 2, 8)), ((0, 1, 3), (8, 5, 7)), ((1, 0, 2), (7, 6, 8)), ((2, 1, 5), (6, 3, 7)))


def half_window_statistics(tile: WindowTile, present: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance of the half-window of each pixel of a part.

    Parameters
    ----------
    tile : WindowTile
        Of windows of 7 x 7, filled with 0.
    present : ndarray of bool, or None
        Where there is data, in the shape of its values; None where there is everywhere.

    Returns
    -------
    mean, variance : ndarray of float64, shape (height, width)
        Variance with the divisor n. They mean nothing where the pixel itself is missing.
    """
    held = None if present is None else present.astype(np.float64)
    chosen = _choose(_means(tile.values, held))
    total, squares = np.empty(chosen.shape), np.empty(chosen.shape)
    count = np.full(chosen.shape, _HALF) if held is not None else np.array(_HALF)
    counts = [None] * 8 if held is None else _half_sums(held)
    for number, (some, more, held_here) in enumerate(
        zip(_half_sums(tile.values), _half_sums(tile.values * tile.values), counts, strict=True)
    ):
        here = chosen == number
        np.copyto(total, some, where=here)
        np.copyto(squares, more, where=here)
        if held_here is not None:
            np.copyto(count, held_here, where=here)
    mean = total / count
    return mean, np.maximum(squares / count - mean * mean, 0)


def _means(values: np.ndarray, held: np.ndarray | None) -> list[np.ndarray]:
    """Return the means of the 3 x 3 pixels two pixels off in each direction and of those in the middle, row by row."""
    height, width = values.shape[0] - WINDOW + 1, values.shape[1] - WINDOW + 1
    count = 9.0 if held is None else run_sums(run_sums(held, 3, 0), 3, 1)
    mean = run_sums(run_sums(values, 3, 0), 3, 1) / count
    means = [mean[row : row + height, col : col + width] for row in (0, 2, 4) for col in (0, 2, 4)]
    # Where there is no data, there is no edge.
    return means if held is None else [np.where(np.isnan(part), means[4], part) for part in means]


def _choose(means: list[np.ndarray]) -> np.ndarray:
    """Return the number of each pixel's half-window: across the steepest of four edges, the side more like the centre."""
    chosen = np.zeros(means[4].shape, np.uint8)
    steepest = np.full(means[4].shape, -1.0)
    for direction, (one, other) in enumerate(_SIDES):
        steep = np.abs(means[one[0]] + means[one[1]] + means[one[2]] - (means[other[0]] + means[other[1]] + means[other[2]]))
        side = np.abs(means[one[0]] - means[4]) > np.abs(means[other[0]] - means[4])
        np.copyto(chosen, side + np.uint8(2 * direction), where=steep > steepest)
        np.maximum(steepest, steep, out=steepest)
    return chosen


def _half_sums(values: np.ndarray) -> Iterator[np.ndarray]:
    """Yield sums over the eight halves: left, right, upper left, lower right, upper, lower, upper right and lower left."""
    height, width = values.shape[0] - WINDOW + 1, values.shape[1] - WINDOW + 1
    across = run_sums(run_sums(values, 7, 0), 4, 1)
    yield across[:, :width]
    yield across[:, 3:]
    # Runs of 1 to 7 pixels of a row: a triangle is a run of each length, one below the other.
    runs = [values]
    for length in range(2, WINDOW + 1):
        runs.append(runs[-1][:, :-1] + values[:, length - 1 :])

    def triangle(grows: bool, right: bool) -> np.ndarray:
        total = np.zeros((height, width))
        for row in range(WINDOW):
            length = row + 1 if grows else WINDOW - row
            first = WINDOW - length if right else 0
            total += runs[length - 1][row : row + height, first : first + width]
        return total

    yield triangle(grows=False, right=False)
    yield triangle(grows=True, right=True)
    down = run_sums(runs[-1], 4, 0)
    yield down[:height]
    yield down[3:]
    yield triangle(grows=False, right=True)
    yield triangle(grows=True, right=False)
