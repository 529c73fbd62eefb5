from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from pixelwise.operators.windows import half_window, run_sums, window_tiles


@pytest.mark.parametrize("length", range(1, 12))
@pytest.mark.parametrize("axis", [0, 1])
def test_sums_of_runs_are_those_of_a_loop(length: int, axis: int) -> None:
    values = np.arange(12 * 13).reshape(12, 13) ** 2
    lines = values if axis == 1 else values.T
    loop = np.array([[line[at : at + length].sum() for at in range(len(line) - length + 1)] for line in lines])
    assert np.array_equal(run_sums(values, length, axis), loop if axis == 1 else loop.T)


def test_tiles_cover_the_plane_and_sum_as_scipy_does() -> None:
    plane = np.random.default_rng(0).random((300, 700))
    found = np.full(plane.shape, np.nan)
    for tile in window_tiles(plane, 7):
        found[tile.rows, tile.cols] = tile.sum(tile.values)
    assert np.allclose(found, uniform_filter(plane, 7, mode="constant") * 49, rtol=1e-12)


def test_counts_leave_out_gaps_and_what_is_beyond_the_border() -> None:
    plane = np.ones((4, 5))
    (whole,) = window_tiles(plane, 3)
    assert whole.count.tolist()[0] == [4, 6, 6, 6, 4]
    plane[1, 1] = np.nan
    (gap,) = window_tiles(plane, 3)
    assert (whole.count - gap.count).tolist() == [[1, 1, 1, 0, 0]] * 3 + [[0] * 5]
    assert gap.present is not None
    assert gap.present.sum() == 19


@pytest.mark.parametrize("window", [0, 1, 2, 4, -3, 3.0, "3", True, None])
def test_a_window_without_a_centre_is_refused(window: object) -> None:
    with pytest.raises(ValueError, match="odd number of pixels, 3 or more"):
        half_window(window)
