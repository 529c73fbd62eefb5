"""Raster files that stay open between reads, so that a block is decoded once for all chips that lie in it."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, TypeVar, cast

import rasterio
from rasterio.env import get_gdal_config, set_gdal_config
from rasterio.windows import Window

from pixelwise.errors import RasterReadError
from pixelwise.raster.carriers import Raster
from pixelwise.raster.io import RasterFile
from pixelwise.raster.remote import gdal_path, is_remote, remote_reading

__all__ = ["files_kept_open", "gdal_cache", "keep_at_least", "opened", "read_window", "use_file"]

#: Files that stay open beside those of a scene, such as labels; and how many may be open for one scene, whatever it needs.
_BESIDE, _MOST = 8, 128
#: How often a remote file is read in all before it is given up, and seconds before the second time, which double with each.
_TRIES, _PAUSE = 3, 0.5
_KEPT = threading.local()
_Result = TypeVar("_Result")


@contextmanager
def files_kept_open(most: int = 32) -> Iterator[None]:
    """Keep the files that are read by this thread open until the end of the block.

    A file that is opened again has lost the blocks that GDAL had decoded. Chips and labels that are
    loaded inside the block share their files.

    Parameters
    ----------
    most : int, default=32
        Most files that are open at a time; the one that was not used for longest is closed. A scene of more files may have as
        many as it is made of, up to 128, as each of its chips would open all of them again.

    Yields
    ------
    None

    Examples
    --------
    >>> import pixelwise as pw
    >>> from pixelwise.raster.open_files import files_kept_open, opened
    >>> scene, _ = pw.datasets.make_example()
    >>> with files_kept_open():
    ...     with opened(scene) as first:
    ...         pass
    ...     with opened(scene) as second:
    ...         first is second
    True
    """
    if getattr(_KEPT, "files", None) is not None:
        yield
        return
    _KEPT.files, _KEPT.most = OrderedDict(), most
    try:
        yield
    finally:
        files, _KEPT.files = _KEPT.files, None
        for file in files.values():
            file.close()


def keep_at_least(count: int) -> None:
    """Let the files of one scene stay open together, where files are kept open at all.

    Parameters
    ----------
    count : int
        Files of the scene.

    Examples
    --------
    >>> from pixelwise.raster.open_files import files_kept_open, keep_at_least
    >>> with files_kept_open(most=2):
    ...     keep_at_least(48)
    """
    if getattr(_KEPT, "files", None) is not None:
        _KEPT.most = max(_KEPT.most, min(count + _BESIDE, _MOST))


@contextmanager
def gdal_cache(most: int | None) -> Iterator[None]:
    """Hold GDAL's cache of blocks to so many bytes, and put the limit back.

    Parameters
    ----------
    most : int or None
        Bytes; None only puts back what others change inside.

    Yields
    ------
    None

    Examples
    --------
    >>> import rasterio.env
    >>> from pixelwise.raster.open_files import gdal_cache
    >>> with gdal_cache(2**24):
    ...     rasterio.env.get_gdal_config("GDAL_CACHEMAX")
    16777216
    """
    before = get_gdal_config("GDAL_CACHEMAX")
    try:
        # In bytes; rasterio sets the limit at once, also where the cache is in use, but puts it back for outermost ones only.
        with nullcontext() if most is None else rasterio.Env(GDAL_CACHEMAX=min(most, before)):
            yield
    finally:
        set_gdal_config("GDAL_CACHEMAX", before)


@contextmanager
def opened(path: Any) -> Iterator[RasterFile]:
    """Open a raster file, or take the one that is kept open.

    Parameters
    ----------
    path : path
        The file.

    Yields
    ------
    RasterFile

    Raises
    ------
    RasterReadError
        If it cannot be opened. A file that could not be read is not kept.
    """
    path = os.fspath(path)
    files = getattr(_KEPT, "files", None)
    with remote_reading(path):
        if files is None:
            with RasterFile(path) as file:
                yield file
            return
        file = files.pop(path, None) or RasterFile(path)
        try:
            yield file
        except BaseException:
            file.close()
            raise
        spare = files.pop(path, None)
        if spare is not None:
            spare.close()
        files[path] = file
        while len(files) > _KEPT.most:
            files.popitem(last=False)[1].close()


def use_file(path: Any, function: Callable[[RasterFile], _Result]) -> _Result:
    """Call a function with an open raster file; where a network fails, up to three times.

    Parameters
    ----------
    path : path
        The file.
    function : callable
        From a RasterFile to whatever is wanted of it.

    Returns
    -------
    object
        What the function returns.

    Raises
    ------
    RasterReadError
        If the file cannot be read.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from pixelwise.raster.open_files import use_file
    >>> use_file(pw.datasets.make_example()[0], lambda file: file.grid.shape)
    (60, 80)
    """

    def use() -> _Result:
        """Open the file, or take it open, and use it."""
        with opened(path) as file:
            return function(file)

    name = os.fspath(path)
    return _tried(use, lambda: _forget(name), is_remote(name))


def read_window(source: Any, window: Window) -> Raster:
    """Read a window of what is open; where a network fails, up to three times.

    Parameters
    ----------
    source : RasterFile, or what else has ``read``
        What is read. It is opened once more before it is read again.
    window : rasterio.windows.Window
        Rows and columns.

    Returns
    -------
    Raster

    Raises
    ------
    RasterReadError
        If it cannot be read.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from rasterio.windows import Window
    >>> from pixelwise.raster.io import RasterFile
    >>> from pixelwise.raster.open_files import read_window
    >>> with RasterFile(pw.datasets.make_example()[0]) as file:
    ...     read_window(file, Window(0, 0, 5, 4)).values.shape
    (4, 4, 5)
    """
    remote = [name for name in getattr(source, "files", ()) if is_remote(name)]

    def forget() -> None:
        """Let GDAL ask for the files anew."""
        for name in remote:
            _forget(name)

    # Files of a mosaic are opened when they are read.
    with remote_reading(remote[0] if remote else ""):
        return _tried(lambda: cast("Raster", source.read(window)), lambda: source._reopen(forget), bool(remote))


def _tried(function: Callable[[], _Result], before: Callable[[], object], remote: bool) -> _Result:
    """Call a function that reads remote files up to three times, and another one before it is called again."""
    tries = _TRIES if remote else 1
    for number in range(tries):
        try:
            if number:
                before()
            return function()
        except RasterReadError as error:
            if number + 1 == tries:
                if tries > 1:
                    raise RasterReadError(f"{error} (tried {tries} times)") from error
                raise
            time.sleep(_PAUSE * 2**number)
    raise AssertionError


def _forget(path: str) -> None:
    """Make GDAL forget what it has of a remote file: half an answer stays in its cache as if it were the whole."""
    url = gdal_path(path)
    # The cache is emptied when a file is closed that was opened with this option.
    with remote_reading(path, CPL_VSIL_CURL_NON_CACHED=url), suppress(RasterReadError):
        RasterFile(path).close()
