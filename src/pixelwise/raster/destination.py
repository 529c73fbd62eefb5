"""Where files are written: places that can take them, hidden folders until they are whole, and tiles that chips fill."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import rasterio
from rasterio.errors import RasterioError

from pixelwise.errors import RasterWriteError
from pixelwise.raster.remote import is_remote
from pixelwise.raster.uploads import address, as_place, check_storage, remove, upload

__all__ = ["check_destination", "check_tiles", "clear_staged", "put_in_place", "staged", "tile_side"]

_SUFFIXES = (".tif", ".tiff")


def check_destination(path: Any) -> Path:
    """Return a destination as a Path, if a GeoTIFF can be written there.

    Parameters
    ----------
    path : path
        Name of a file, ending in .tif or .tiff, in a folder that exists, or in object storage (s3:// or gs://).

    Returns
    -------
    pathlib.Path

    Raises
    ------
    RasterWriteError
        If it cannot.
    """
    place = as_place(path)
    if place.is_dir():
        raise RasterWriteError(f"{place} is a folder: name a file in it, such as {place / 'map.tif'}")
    if place.suffix.lower() not in _SUFFIXES:
        found = place.suffix or "no suffix"
        raise RasterWriteError(f"{place} has {found}, and pixelwise writes GeoTIFF: name it {place.stem}.tif")
    if is_remote(str(place)):
        check_storage(place)
    elif not place.parent.is_dir():
        raise RasterWriteError(f"folder {place.parent} of {place.name} is missing: make it first")
    return place


@contextlib.contextmanager
def staged(path: Path) -> Iterator[Path]:
    """Give a hidden folder beside `path` to write in; it is gone at the end, with whatever was not moved out.

    A folder, because a file's companions then need no care of their own; beside it, because only a move within one file system
    is atomic. For object storage it is one for temporary files.

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
    beside = None if is_remote(str(path)) else path.parent
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=beside) as folder:
        yield Path(folder)


def check_tiles(path: Path) -> None:
    """Look whether every tile of a GeoTIFF and its overviews lies inside the file: GDAL does not report all that goes wrong.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Raises
    ------
    rasterio.errors.RasterioError
        If one does not.
    """
    size = path.stat().st_size
    with rasterio.open(path) as file:
        _check_level(file, None, file.block_shapes[0], file.shape, size)
        for level in range(len(file.overviews(1))):
            with rasterio.open(path, overview_level=level) as smaller:
                block, shape = smaller.block_shapes[0], smaller.shape
            _check_level(file, level, block, shape, size)


def _check_level(file: Any, level: int | None, block: tuple[int, int], shape: tuple[int, int], size: int) -> None:
    tiles = itertools.product(*(range(-(-side // part)) for side, part in zip(shape, block, strict=True)))
    for (row, col), band in itertools.product(tiles, file.indexes):
        offset = file.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=band, ovr=level)
        length = file.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", bidx=band, ovr=level)
        if offset is None or length is None or int(offset) + int(length) > size:
            place = "" if level is None else f" of overview {level + 1}"
            raise RasterioError(f"tile {row}, {col} of band {band}{place} is not in the file")


def clear_staged(paths: Iterable[Path]) -> None:
    """Remove the hidden folders that killed runs have left beside their outputs.

    Parameters
    ----------
    paths : iterable of pathlib.Path
        The outputs.
    """
    names: dict[Path, set[str]] = {}
    for path in paths:
        names.setdefault(path.parent, set()).add(path.name)
    for folder, known in names.items():
        for place in folder.glob(".*"):
            if place.name[1:].rpartition(".")[0] in known and place.is_dir():
                shutil.rmtree(place, ignore_errors=True)


def put_in_place(moves: Sequence[tuple[Path, Path]]) -> None:
    """Put finished files under their names: all of them, or, where one cannot be, none.

    Parameters
    ----------
    moves : sequence of (pathlib.Path, pathlib.Path)
        What was made, in hidden folders beside their destinations, and these. Where nothing was made, what has that name is
        removed. Files in object storage come after all others, and are not taken back where one of them cannot be written.

    Raises
    ------
    RasterWriteError
        If one cannot be replaced; then all local ones are as they were.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from pixelwise.raster.destination import put_in_place
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made, place = Path(folder, "made.tif"), Path(folder, "map.tif")
    ...     _ = made.write_text("new"), place.write_text("old")
    ...     put_in_place([(made, place)])
    ...     place.read_text(), made.exists()
    ('new', False)
    """
    local = [move for move in moves if not is_remote(str(move[1]))]
    with contextlib.ExitStack() as undo:
        for number, (made, place) in enumerate(local, 1):
            # The last one of all needs no way back: it is replaced, or it is not.
            last = number == len(moves)
            try:
                kept = _kept(place, made) if place.exists() and not last else None
                if made.exists():
                    made.replace(place)
                else:
                    place.unlink(missing_ok=True)
            except OSError as error:
                why = f"{place} cannot be replaced: {error.strerror}; close the programs that have it open"
                raise RasterWriteError(why) from error
            if not last:
                undo.callback(_put_back, kept, place)
        for made, place in moves:
            if is_remote(str(place)):
                _put_over_network(made, place)
        undo.pop_all()


def _put_over_network(made: Path, place: Path) -> None:
    try:
        if made.exists():
            upload(made, place)
        else:
            remove(place)
    except OSError as error:
        why = f"{address(place)} cannot be written: {error.strerror}; check the bucket and what you may do there"
        raise RasterWriteError(why) from error


def _kept(place: Path, made: Path) -> Path:
    """Keep what has a name under another one, without taking its name from it."""
    kept = made.with_name(f"{made.name}.before")
    try:
        os.link(place, kept)
    except OSError:
        # Some file systems have no links.
        shutil.copy2(place, kept)
    return kept


def _put_back(kept: Path | None, place: Path) -> None:
    if kept is None:
        place.unlink(missing_ok=True)
    else:
        kept.replace(place)


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
