"""Chips read ahead in threads, each with a file handle of its own, and handed over in order."""

from __future__ import annotations

import itertools
import queue
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import rasterio
import rasterio.env
import sklearn
from rasterio.windows import Window

from pixelwise.inference.models import Call
from pixelwise.inference.scene_source import Source, files_read, source_of
from pixelwise.raster.carriers import Raster
from pixelwise.raster.grid import Grid
from pixelwise.raster.open_files import read_window

__all__ = ["ChipReader", "in_order", "surroundings"]


class ChipReader:
    """Reads chips in threads, with as many file handles, and with several threads predicts them there too.

    Parameters
    ----------
    src : object
        What was opened; paths are opened once more for each further thread.
    source : Source
        What it was opened as.
    halo : int
        Pixels that are read round a chip.
    threads : int
        How many.
    ahead : tuple of (list of callable, dict of str to callable, dict of str to callable), or None, default=None
        What the threads predict, as from `calls_of`, and what they call of chips as they are read; None only reads.
    """

    def __init__(
        self, src: Any, source: Source, halo: int, threads: int,
        ahead: tuple[list[Call], dict[str, Call], dict[str, Call]] | None = None,
    ) -> None:  # fmt: skip
        self._grid, self._halo, self._ahead = source.grid, halo, ahead
        self._options, self._config = rasterio.env.getenv(), sklearn.get_config()
        # One handle is used by one thread at a time, as GDAL wants it; an open dataset cannot be opened once more.
        more = range(threads - 1) if files_read(src) is not None else ()
        self._opened: list[Source] = [source_of(src) for _ in more]
        self._free: queue.SimpleQueue[Source] = queue.SimpleQueue()
        self._free.put(source)
        for file in self._opened:
            self._free.put(file)

    def chip(self, window: Window) -> tuple[Window, Raster, dict[str, Raster] | None]:
        """Read a window with its halo, as far as the raster goes, and predict it if that is done here.

        Parameters
        ----------
        window : rasterio.windows.Window
            Rows and columns without halo.

        Returns
        -------
        tuple of (Window, Raster, dict of str to Raster or None)
            The window, what was read, and what was predicted, by method.
        """
        file = self._free.get()
        try:
            # GDAL's options, such as credentials, belong to the thread that set them.
            with rasterio.Env():
                rasterio.env.setenv(**self._options)
                chip = read_window(file, surroundings(window, self._grid, self._halo))
        finally:
            self._free.put(file)
        if self._ahead is None:
            return window, chip, None
        front, calls, around = self._ahead
        with sklearn.config_context(**self._config):
            seen = chip
            for step in front:
                seen = step(seen)
            made = {method: call(seen) for method, call in calls.items()}
            return window, chip, made | {name: call(chip) for name, call in around.items()}

    def close(self) -> None:
        """Close the handles that were opened here."""
        for file in self._opened:
            file.close()


def surroundings(window: Window, grid: Grid, halo: int) -> Window:
    """Return a window with so many pixels round it, as far as the grid goes."""
    top, left = max(0, window.row_off - halo), max(0, window.col_off - halo)
    bottom = min(grid.height, window.row_off + window.height + halo)
    right = min(grid.width, window.col_off + window.width + halo)
    return Window(left, top, right - left, bottom - top)


def in_order(function: Callable[[Window], Any], windows: Iterable[Window], threads: int) -> Generator[Any, None, None]:
    """Yield the results of a function in threads, in the order of its arguments, as many ahead as there are threads."""
    left, waiting = iter(windows), deque[Future[Any]]()
    with ThreadPoolExecutor(threads, thread_name_prefix="pixelwise-chips") as pool:
        try:
            waiting.extend(pool.submit(function, window) for window in itertools.islice(left, threads))
            while waiting:
                waiting.extend(pool.submit(function, window) for window in itertools.islice(left, 1))
                # Without a name, which would keep the chip alive until the next one is there.
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
