"""Many chips, as places: a sequence that makes each one when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
from rasterio.windows import Window

from pixelwise.catalog.geocatalog import GeoCatalog
from pixelwise.catalog.scene import GeoSlice, Scene

__all__ = ["GeoSlices", "by_block"]


class GeoSlices(Sequence[GeoSlice]):
    """Chips of a catalog's scenes: a sequence of `GeoSlice`, 20 bytes each, and no pixels.

    Parameters
    ----------
    catalog : GeoCatalog
        Whose scenes.
    scene : array-like of int, shape (n_chips,)
        Number of the scene of each chip.
    windows : array-like of int, shape (n_chips, 4)
        First row, first column, height and width of each chip.

    Examples
    --------
    >>> import pixelwise as pw
    >>> path, _ = pw.datasets.make_example()
    >>> chips = pw.sampling.GridSampler(chip_size=(32, 32))(pw.open_catalog(path))
    >>> len(chips), chips[-1], chips[[0, 2]]
    (6, GeoSlice('scene', rows 32:60, columns 64:80), GeoSlices(2 chips of 1 scene))
    """

    def __init__(self, catalog: GeoCatalog, scene: Any, windows: Any) -> None:
        self.catalog = catalog
        self.scene = np.asarray(scene, dtype=np.int32)
        self.windows = np.asarray(windows, dtype=np.int32)
        self._last: tuple[int, Scene] | None = None

    def __len__(self) -> int:
        return len(self.scene)

    @overload
    def __getitem__(self, which: int) -> GeoSlice: ...

    @overload
    def __getitem__(self, which: Any) -> GeoSlices: ...

    def __getitem__(self, which: Any) -> Any:
        if not isinstance(which, int | np.integer):
            which = which if isinstance(which, slice) else np.asarray(which)
            return GeoSlices(self.catalog, self.scene[which], self.windows[which])
        row, col, height, width = self.windows[which].tolist()
        return GeoSlice(self._scene(int(self.scene[which])), Window(col, row, width, height))

    def __iter__(self) -> Iterator[GeoSlice]:
        return (self[number] for number in range(len(self)))

    def __repr__(self) -> str:
        count = len(np.unique(self.scene))
        return f"GeoSlices({len(self)} chip{'s'[: len(self) != 1]} of {count} scene{'s'[: count != 1]})"

    def _scene(self, number: int) -> Scene:
        if self._last is None or self._last[0] != number:
            self._last = number, self.catalog[number]
        return self._last[1]


def by_block(slices: GeoSlices) -> GeoSlices:
    """Bring chips into the order in which a block of a file is decoded once: scene by scene, and in each block by block.

    It pays inside `files_kept_open`, as a file that is closed forgets its blocks. The order does not depend on that of the
    chips.

    Parameters
    ----------
    slices : GeoSlices
        As a sampler gives them.

    Returns
    -------
    GeoSlices

    Examples
    --------
    >>> import pixelwise as pw
    >>> path, _ = pw.datasets.make_example()
    >>> chips = pw.sampling.RandomSampler((16, 16), length=3, random_state=0)(pw.open_catalog(path))
    >>> with pw.sampling.files_kept_open():
    ...     [chip.load().shape for chip in pw.sampling.by_block(chips)]
    [(4, 16, 16), (4, 16, 16), (4, 16, 16)]
    """
    blocks = np.array([scene.block_shape or (1, scene.grid.width) for scene in _each(slices)])
    _, number = np.unique(slices.scene, return_inverse=True)
    row, col, height, width = slices.windows.T
    at = blocks[number] if len(blocks) else np.ones((0, 2), int)
    order = np.lexsort((width, height, col, row, col // at[:, 1], row // at[:, 0], slices.scene))
    return slices[order]


def _each(slices: GeoSlices) -> list[Scene]:
    return [slices.catalog[int(number)] for number in np.unique(slices.scene)]
