"""Which pixels a draw takes: a random key for each pixel of a catalog, and each pixel in one chip alone."""

from __future__ import annotations

import numpy as np
import shapely

from pixelwise.catalog.slices import GeoSlices

__all__ = ["Fresh", "pixel_keys", "smallest"]

#: The step and the two multipliers of SplitMix64.
_STEP, _FIRST, _SECOND = np.array([0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB], np.uint64)


def pixel_keys(seed: int, scene: int, pixel: np.ndarray) -> np.ndarray:
    """Return a random key for each pixel of a scene, which depends on nothing else.

    The pixels with the n smallest keys are a uniform sample without replacement, in whatever order and by however many
    workers they are seen. Keys are the numbers of SplitMix64 [1]_ at the pixels' places in the stream of their scene.

    Parameters
    ----------
    seed : int
        Of the draw, not negative.
    scene : int
        Number of the scene, not negative.
    pixel : ndarray of int, shape (n,)
        Row-major numbers of the pixels in their scene.

    Returns
    -------
    ndarray of uint64, shape (n,)

    References
    ----------
    .. [1] Steele, G. L., Lea, D., Flood, C. H. (2014): Fast splittable pseudorandom number generators. OOPSLA 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from pixelwise.training.keys import pixel_keys
    >>> keys = pixel_keys(0, 3, np.arange(1000))
    >>> bool((pixel_keys(0, 3, np.array([7, 5])) == keys[[7, 5]]).all()), len(np.unique(keys))
    (True, 1000)
    """
    start = np.random.SeedSequence((seed, scene)).generate_state(1, np.uint64)
    mixed: np.ndarray = start + (pixel.astype(np.uint64) + np.uint64(1)) * _STEP
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))


def smallest(keys: np.ndarray, scene: np.ndarray, pixel: np.ndarray, count: int) -> np.ndarray:
    """Return which pixels have the smallest keys; among equal keys scene and pixel decide.

    Parameters
    ----------
    keys, scene, pixel : ndarray of shape (n,)
        Of each pixel.
    count : int
        How many.

    Returns
    -------
    ndarray of int
        Positions, ascending; all of them where there are no more than `count`.
    """
    if len(keys) <= count:
        return np.arange(len(keys))
    if not count:
        return np.zeros(0, np.intp)
    limit = np.partition(keys, count - 1)[count - 1]
    below, equal = np.flatnonzero(keys < limit), np.flatnonzero(keys == limit)
    equal = equal[np.lexsort((pixel[equal], scene[equal]))]
    return np.sort(np.concatenate([below, equal[: count - len(below)]]))


class Fresh:
    """Says which pixels of a chip lie in no chip before it, so that each pixel of the catalog counts once.

    Parameters
    ----------
    chips : GeoSlices
        All chips, in the order that decides.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from pixelwise.training.keys import Fresh
    >>> path, _ = pw.datasets.make_example()
    >>> chips = pw.sampling.GridSampler((60, 60), edge="shift")(pw.open_catalog(path))
    >>> fresh = Fresh(chips)
    >>> fresh(0) is None, int(fresh(1).sum())
    (True, 1200)
    """

    def __init__(self, chips: GeoSlices) -> None:
        self._windows = chips.windows
        order = np.argsort(chips.scene, kind="stable")
        # One scene at a time: a tree of the chips of ten thousand scenes would take more memory than their pixels.
        scenes = np.split(order, np.flatnonzero(np.diff(chips.scene[order])) + 1)
        found = [_overlaps(chips.windows, here) for here in scenes if len(here) > 1]
        later, earlier = np.concatenate([np.zeros((2, 0), np.intp), *found], axis=1)
        by_chip = np.lexsort((earlier, later))
        self._earlier = earlier[by_chip]
        self._start = np.searchsorted(later[by_chip], np.arange(len(chips) + 1))

    def __call__(self, number: int) -> np.ndarray | None:
        """Return the pixels of a chip that no earlier chip has: bool of shape (height, width), or None for all of them."""
        earlier = self._earlier[self._start[number] : self._start[number + 1]]
        if not len(earlier):
            return None
        row, col, height, width = self._windows[number]
        fresh = np.ones((height, width), bool)
        for top, left, tall, wide in self._windows[earlier] - [row, col, 0, 0]:
            fresh[max(0, top) : max(0, top + tall), max(0, left) : max(0, left + wide)] = False
        return fresh


def _overlaps(windows: np.ndarray, here: np.ndarray) -> np.ndarray:
    """Return the pairs of chips of a scene that share pixels, the later one first: ints of shape (2, n)."""
    row, col, height, width = windows[here].T.astype(float)
    # Chips shrink by a quarter of a pixel, so that neighbours do not touch.
    boxes = shapely.box(col + 0.25, row + 0.25, col + width - 0.25, row + height - 0.25)
    later, earlier = here[shapely.STRtree(boxes).query(boxes)]
    return np.asarray([later, earlier])[:, earlier < later]
