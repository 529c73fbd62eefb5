"""Where a file is written: a place that can take it, a hidden folder beside it until it is whole, and tiles that chips fill."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pixelwise.errors import RasterWriteError

__all__ = ["check_destination", "staged", "tile_side"]

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


def tile_side(chip: int, whole: int) -> int:
    """Return a tile's side that divides a chip's, so that each tile is written once: 256, or the next smaller one that does.

    Parameters
    ----------
    chip : int
        The chip's side.
    whole : int
        The raster's side; a chip that covers it all needs no division.

    Returns
    -------
    int
        A multiple of 16, as TIFF wants it. Tiles smaller than 64 are made for chips that are smaller too; other chips get 256.

    Examples
    --------
    >>> from pixelwise.raster.destination import tile_side
    >>> tile_side(1024, 5000), tile_side(960, 5000), tile_side(32, 5000), tile_side(1024, 100)
    (256, 240, 32, 112)
    """
    if chip >= whole:
        return min(256, -(-whole // 16) * 16)
    smallest = min(64, chip)
    return next((side for side in range(256, smallest - 1, -16) if chip % side == 0), 256)
