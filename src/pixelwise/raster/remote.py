"""Files over networks: which these are, and how GDAL opens them."""

from __future__ import annotations

import os
import re
from contextlib import AbstractContextManager as Context
from contextlib import nullcontext
from typing import Any

import rasterio
from rasterio.env import getenv, hasenv

__all__ = ["gdal_path", "is_remote", "remote_reading"]

#: What GDAL shall do with remote files, unless the user has said otherwise: no listing of a bucket for files beside the one
#: that is opened, and a few more tries where a server is busy.
_REMOTE = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_HTTP_MAX_RETRY": "3", "GDAL_HTTP_RETRY_DELAY": "0.5"}


def is_remote(path: str) -> bool:
    """Whether a path leads over a network.

    Parameters
    ----------
    path : str
        A path or URL as GDAL takes it.

    Returns
    -------
    bool

    Examples
    --------
    >>> from pixelwise.raster.remote import is_remote
    >>> is_remote("s3://bucket/scene.tif"), is_remote("/data/scene.tif"), is_remote("/vsizip/scenes.zip/a.tif")
    (True, False, False)
    """
    return bool(re.match(r"(?!file:)\w+://|/vsi(s3|gs|az|adls|oss|swift|curl|webhdfs)\w*/", path))


def gdal_path(path: str) -> str:
    """Return a path or URL as GDAL writes it down in its own files.

    Parameters
    ----------
    path : str
        Such as ``s3://bucket/scene.tif``.

    Returns
    -------
    str

    Examples
    --------
    >>> from pixelwise.raster.remote import gdal_path
    >>> gdal_path("s3://bucket/scene.tif"), gdal_path("https://a.org/scene.tif"), gdal_path("/data/scene.tif")
    ('/vsis3/bucket/scene.tif', '/vsicurl/https://a.org/scene.tif', '/data/scene.tif')
    """
    return re.sub(r"^(https?://)", r"/vsicurl/\1", re.sub(r"^(s3|gs|az)://", r"/vsi\1/", path))


def remote_reading(path: str, **more: str) -> Context[Any]:
    """Return the context in which a file is opened and read: GDAL's options for networks, or nothing for a local file.

    Parameters
    ----------
    path : str
        A path or URL as GDAL takes it.
    **more : str
        Further options of GDAL.

    Returns
    -------
    context manager

    Examples
    --------
    >>> from rasterio.env import getenv
    >>> from pixelwise.raster.remote import remote_reading
    >>> with remote_reading("s3://bucket/scene.tif"):
    ...     getenv()["GDAL_HTTP_MAX_RETRY"]
    '3'
    """
    if not is_remote(path):
        return nullcontext()
    set_already = {*os.environ, *(getenv() if hasenv() else ())}
    options = {key: value for key, value in _REMOTE.items() if key not in set_already} | more
    # Without its defaults an environment of rasterio's own would hide those that it has for files.
    env: Context[Any] = rasterio.Env(**options) if hasenv() else rasterio.Env.from_defaults(**options)
    return env
