"""Where a file is written: a place that can take it, and a hidden folder beside it until it is whole."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pixelwise.errors import RasterWriteError

__all__ = ["check_destination", "staged"]

_SUFFIXES = (".tif", ".tiff")


def check_destination(path: Any) -> Path:
    """Return a destination as a Path, if a GeoTIFF can be written there.

    Parameters
    ----------
    path : path
        Name of a file, ending in .tif or .tiff, in a folder that exists.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    RasterWriteError
        If it cannot.
    """
    place = Path(path)
    if place.is_dir():
        raise RasterWriteError(f"{place} is a folder: name a file in it, such as {place / 'map.tif'}")
    if place.suffix.lower() not in _SUFFIXES:
        found = place.suffix or "no suffix"
        raise RasterWriteError(f"{place} has {found}, and pixelwise writes GeoTIFF: name it {place.stem}.tif")
    if not place.parent.is_dir():
        raise RasterWriteError(f"folder {place.parent} of {place.name} is missing: make it first")
    return place


@contextlib.contextmanager
def staged(path: Path) -> Iterator[Path]:
    """Give a hidden folder beside `path` to write in; it is gone at the end, with whatever was not moved out.

    A folder, because a file's companions then need no care of their own; beside it, because only a move within one file system
    is atomic.

    Parameters
    ----------
    path : pathlib.Path
        The destination.

    Yields
    ------
    pathlib.Path

    Raises
    ------
    OSError
        If nothing can be written there.

    Examples
    --------
    >>> from pathlib import Path
    >>> from pixelwise.raster.destination import staged
    >>> with staged(Path("map.tif")) as folder:
    ...     folder.parent, folder.name.startswith(".map.tif.")
    (PosixPath('.'), True)
    """
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        yield Path(folder)
