"""Chips of a map that is not complete, kept beside it so that a run that was killed goes on where it stopped."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from rasterio.windows import Window

from pixelwise.errors import RasterWriteError
from pixelwise.inference.outputs import Maps
from pixelwise.raster.carriers import Raster
from pixelwise.raster.destination import clear_staged
from pixelwise.raster.remote import is_remote
from pixelwise.raster.uploads import address

__all__ = ["KeptChips", "forget_chips"]


class KeptChips:
    """Takes chips as `Maps` does, and keeps each in a file of its own until all are there; only then the maps are written.

    A file appears under its name when it is whole and on disk, so that those that are there are done, whenever the process was
    killed. The maps are then written from the files in one go: their bytes do not depend on how often the run began.

    Parameters
    ----------
    maps : Maps
        What is written in the end.
    paths : mapping of str to pathlib.Path
        Their destinations; the files stand in a hidden folder beside the first.
    mark : str
        Tells the run from others: chips of another one are removed.

    Raises
    ------
    RasterWriteError
        If nothing can be written there.
    """

    def __init__(self, maps: Maps, paths: Mapping[str, Path], mark: str) -> None:
        first = next(iter(paths.values()))
        if is_remote(str(first)):
            why = f"resume=True keeps chips beside {address(first)}, where they would be uploaded one by one"
            raise RasterWriteError(f"{why}: write to a local file, or pass resume=False")
        self._maps, self._paths, self._folder = maps, paths, _folder_of(first)
        self._examples: dict[str, Raster] = {}
        known = self._folder / "mark"
        with self._writing():
            clear_staged(paths.values())
            if not known.is_file() or known.read_text(encoding="utf-8") != mark:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder.mkdir()
                known.write_text(mark, encoding="utf-8")

    def __contains__(self, window: Window) -> bool:
        return self._file(window).is_file()

    def write(self, made: Mapping[str, Raster], window: Window) -> None:
        """Keep what was made of a chip; it is on disk when this returns.

        Parameters
        ----------
        made : mapping of str to Raster
            By method. The first ones say what the maps are.
        window : rasterio.windows.Window
            Where it belongs in the maps.

        Raises
        ------
        RasterWriteError
            If it cannot be written.
        """
        if not self._examples:
            self._maps.prepare(made)
            self._examples = {method: _corner(raster) for method, raster in made.items()}
        path = self._file(window)
        unfinished = path.with_suffix(".unfinished")
        with self._writing():
            with unfinished.open("wb") as file:
                np.savez(file, **{method: raster.values for method, raster in made.items()})
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)

    def finish(self, windows: Iterable[Window], note: Callable[[Raster], object]) -> None:
        """Write the maps, put them under their names, and remove the chips.

        Parameters
        ----------
        windows : iterable of rasterio.windows.Window
            Of all chips, in their order.
        note : callable
            Called with each chip of the first map.
        """
        for window in windows:
            made = self._made(window)
            note(next(iter(made.values())))
            self._maps.write(made, window)
        self._maps.finish()
        forget_chips(self._paths.values())

    def _made(self, window: Window) -> dict[str, Raster]:
        with self._writing(), np.load(self._file(window), allow_pickle=False) as found:
            values = {method: found[method] for method in self._paths}
        return {method: _like(self._examples[method], chip) for method, chip in values.items()}

    def _file(self, window: Window) -> Path:
        return self._folder / f"{window.row_off}-{window.col_off}.npz"

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            why = f"chips cannot be kept in {self._folder}: {error.strerror or error}; check permissions and free space"
            raise RasterWriteError(why) from error


def forget_chips(paths: Iterable[Path]) -> None:
    """Remove the chips that were kept for maps.

    Parameters
    ----------
    paths : iterable of pathlib.Path
        The maps.
    """
    for path in paths:
        shutil.rmtree(_folder_of(path), ignore_errors=True)


def _folder_of(path: Path) -> Path:
    return path.with_name(f".{path.name}-chips")


def _corner(raster: Raster) -> Raster:
    """Return one pixel, which says what a map is."""
    return raster.with_values(raster.values[..., :1, :1].copy(), grid=raster.grid.window(0, 0, 1, 1), mask=None)


def _like(example: Raster, values: np.ndarray) -> Raster:
    return example.with_values(values, grid=example.grid.window(0, 0, *values.shape[-2:]))
