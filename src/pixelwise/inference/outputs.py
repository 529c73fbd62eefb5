"""The maps that are made of a raster: where each is written, and that all of them appear together, or none."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from rasterio.windows import Window

from pixelwise.catalog.facts import files_of
from pixelwise.catalog.fingerprint import local_files
from pixelwise.errors import RasterWriteError
from pixelwise.inference.scene_source import files_read
from pixelwise.raster.carriers import Raster
from pixelwise.raster.destination import check_destination, put_in_place
from pixelwise.raster.grid import Grid
from pixelwise.raster.remote import gdal_path
from pixelwise.raster.uploads import address
from pixelwise.raster.write import RasterWriter

__all__ = ["Maps", "destinations", "refuse_sources"]


def destinations(dst: Any, method: str) -> dict[str, Path]:
    """Return where the map of each method is written.

    Parameters
    ----------
    dst : path, or mapping of str to path
        One, or one a method.
    method : str
        What one path is meant for.

    Returns
    -------
    dict of str to pathlib.Path

    Raises
    ------
    RasterWriteError
        If one cannot be written, or two are the same.
    ValueError
        If a mapping is empty, or a method is named beside it.

    Examples
    --------
    >>> from pixelwise.inference.outputs import destinations
    >>> destinations("map.tif", "predict")
    {'predict': PosixPath('map.tif')}
    """
    if not isinstance(dst, Mapping):
        return {method: check_destination(dst)}
    if not dst:
        raise ValueError("dst={} names no map: pass {method: path}, such as {'predict': 'map.tif'}")
    if method != "predict":
        raise ValueError(f"method={method!r} is given beside a dst that names the methods: leave method out")
    paths = {name: check_destination(path) for name, path in dst.items()}
    known: dict[Path, str] = {}
    for name, path in paths.items():
        other = known.setdefault(path.resolve(), name)
        if other != name:
            raise RasterWriteError(f"{other!r} and {name!r} would both be written to {path}: name a file for each")
    return paths


def refuse_sources(paths: Mapping[str, Path], src: Any, name: str) -> None:
    """Raise an error if a map would be written over what is read.

    Parameters
    ----------
    paths : mapping of str to pathlib.Path
        The maps.
    src : object
        What is read: files, a scene, or a raster, which may be read from its file later on.
    name : str
        What it is called.

    Raises
    ------
    RasterWriteError
        If one is the same file, or one of a mosaic's.
    """
    files = files_read(src)
    if files is None:
        lazy = getattr(src, "encoding", {}).get("source") if getattr(src, "chunks", None) else None
        files = name if lazy is None else (name, lazy)
    sources, local = files_of(files), local_files(files)
    for path in paths.values():
        same = path.exists() and any(path.samefile(source) for source in local)
        if same or any(gdal_path(source) == str(path) for source in sources):
            raise RasterWriteError(f"{address(path)} is what is read: name another file for the map")


class Maps:
    """Maps of one raster, written chip by chip, as a context manager; they appear under their names with `finish`.

    Parameters
    ----------
    paths : mapping of str to pathlib.Path
        The destination of each method's map.
    grid : Grid
        Where their pixels are.
    colors : mapping of (str or int) to str, or None
        Colours of classes; of several maps that of "predict" gets them.
    options : mapping
        As for `RasterWriter`.
    """

    def __init__(
        self, paths: Mapping[str, Path], grid: Grid, colors: Mapping[Any, str] | None, options: Mapping[str, Any]
    ) -> None:
        self._paths, self._grid, self._colors, self._options = paths, grid, colors, options
        self._writers: dict[str, RasterWriter] = {}
        self._stack, self._is_open = contextlib.ExitStack(), False

    def prepare(self, made: Mapping[str, Raster]) -> None:
        """Say what the maps are; an error here comes before anything is written.

        Parameters
        ----------
        made : mapping of str to Raster
            What was made of a chip, by method.

        Raises
        ------
        RasterWriteError, FillValueError, LabelError
            If there can be no such maps.
        """
        for method, raster in made.items():
            colors = self._colors if method == "predict" or len(self._paths) == 1 else None
            self._writers[method] = RasterWriter.like(raster, self._paths[method], self._grid, colors=colors, **self._options)

    def write(self, made: Mapping[str, Raster], window: Window) -> None:
        """Write what was made of a chip.

        Parameters
        ----------
        made : mapping of str to Raster
            By method. The first ones say what the maps are.
        window : rasterio.windows.Window
            Where it belongs.

        Raises
        ------
        RasterWriteError
            If it cannot be written.
        """
        if not self._writers:
            self.prepare(made)
        if not self._is_open:
            for writer in self._writers.values():
                self._stack.enter_context(writer)
            self._is_open = True
        for method, raster in made.items():
            self._writers[method].write(raster.values, window)

    def finish(self) -> None:
        """Complete all maps, and put them under their names."""
        put_in_place([move for writer in self._writers.values() for move in writer.finish()])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: Any) -> None:
        self._stack.__exit__(*exc)
