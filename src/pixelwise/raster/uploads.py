"""Files in object storage that maps are written to: made here, and uploaded when they are whole."""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pixelwise.errors import DependencyMissingError, RasterWriteError
from pixelwise.raster.remote import gdal_path, is_remote

__all__ = ["address", "as_place", "check_storage", "remove", "size_of", "upload"]

_WRITTEN = re.compile(r"/vsi(s3|gs)/")


def as_place(path: Any) -> Path:
    """Return a destination as a Path; one in object storage as GDAL names it, because a Path knows no ``s3://``.

    Parameters
    ----------
    path : path
        Such as ``"map.tif"`` or ``"s3://bucket/map.tif"``.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    RasterWriteError
        If it leads to where nothing can be written, such as ``https://``.

    Examples
    --------
    >>> from pixelwise.raster.uploads import as_place
    >>> as_place("s3://bucket/map.tif"), as_place("map.tif")
    (PosixPath('/vsis3/bucket/map.tif'), PosixPath('map.tif'))
    """
    name = os.fspath(path)
    place = gdal_path(name)
    if is_remote(name) and not _WRITTEN.match(place):
        raise RasterWriteError(f"{name} cannot be written over its network: name a file, or one in s3:// or gs://")
    return Path(place)


def address(place: Path) -> str:
    """Return a destination as users name it.

    Parameters
    ----------
    place : pathlib.Path
        From `as_place`.

    Returns
    -------
    str

    Examples
    --------
    >>> from pixelwise.raster.uploads import address, as_place
    >>> address(as_place("s3://bucket/map.tif")), address(as_place("map.tif"))
    ('s3://bucket/map.tif', 'map.tif')
    """
    return _WRITTEN.sub(r"\1://", str(place))


def check_storage(place: Path) -> None:
    """Look before any work whether there is the bucket that a file shall be uploaded to, and pyarrow.

    Parameters
    ----------
    place : pathlib.Path
        From `as_place`.

    Raises
    ------
    RasterWriteError
        If it is not there, or does not answer.
    DependencyMissingError
        If pyarrow is not installed.
    """
    scheme, _, name = address(place).partition("://")
    _check_bucket(f"{scheme}://{name.partition('/')[0]}")


@functools.lru_cache(maxsize=32)
def _check_bucket(bucket: str) -> None:
    storage, name = _storage(as_place(f"{bucket}/"))
    try:
        with _one_line():
            found = storage.get_file_info(name.rstrip("/"))
    except OSError as error:
        # Who may write to a folder need not be allowed to look at the bucket.
        if "ACCESS_DENIED" in str(error):
            return
        raise RasterWriteError(f"{bucket} does not answer: {error.strerror}; check the network and the address") from error
    if found.type.name == "NotFound":
        raise RasterWriteError(f"{bucket} is not there: make the bucket first, or check its name and AWS_ENDPOINT_URL")


def upload(made: Path, place: Path) -> None:
    """Copy a finished file to object storage, where it appears when it is whole.

    Parameters
    ----------
    made : pathlib.Path
        The file.
    place : pathlib.Path
        From `as_place`.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    storage, name = _storage(place)
    from pyarrow.fs import LocalFileSystem, copy_files

    with _one_line():
        # Closing a stream would keep what an interrupt has left of it.
        copy_files(str(made), name, LocalFileSystem(), storage, chunk_size=2**24, use_threads=False)


def remove(place: Path) -> None:
    """Remove what has a name in object storage, if anything has.

    Parameters
    ----------
    place : pathlib.Path
        From `as_place`.

    Raises
    ------
    OSError
        If it cannot be removed.
    """
    if size_of(place) is not None:
        storage, name = _storage(place)
        with _one_line():
            storage.delete_file(name)


def size_of(place: Path) -> int | None:
    """Return the bytes of a file, here or in object storage; None where there is none.

    Parameters
    ----------
    place : pathlib.Path
        From `as_place`.

    Returns
    -------
    int or None

    Raises
    ------
    OSError
        If the storage does not answer.
    """
    if not is_remote(str(place)):
        return place.stat().st_size if place.is_file() else None
    storage, name = _storage(place)
    with _one_line():
        size: int | None = storage.get_file_info(name).size
    return size


def _storage(place: Path) -> tuple[Any, str]:
    try:
        from pyarrow.fs import FileSystem
    except ImportError as error:
        raise DependencyMissingError(f"{address(place)} is uploaded by pyarrow: install pixelwise[catalog]") from error
    scheme, _, name = address(place).partition("://")
    with _one_line():
        # Of the bucket alone: in what a URI takes, names of files may have no spaces.
        storage, _ = FileSystem.from_uri(f"{scheme}://{name.partition('/')[0]}")
    return storage, name


@contextlib.contextmanager
def _one_line() -> Iterator[None]:
    """Give pyarrow's errors the form of those of local files."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno or 5, " ".join(str(error).split())) from error
