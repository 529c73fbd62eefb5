"""A catalog as GeoParquet, on disk or in a bucket."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from pixelwise.errors import CatalogError, DependencyMissingError

__all__ = ["is_known", "read_frame", "write_frame"]

#: Columns that a file keeps as lists, and as text where they are mappings.
_LISTS, _TEXTS = ("transform", "bands", "nodata", "block_shape", "times"), ("uri", "resampling")


def is_known(value: Any) -> bool:
    """Whether a cell of a table holds anything: lists and mappings do."""
    return value is not None and not (pd.api.types.is_scalar(value) and pd.isna(value))


def write_frame(frame: gpd.GeoDataFrame, path: Any) -> None:
    """Write the rows of a catalog.

    Parameters
    ----------
    frame : GeoDataFrame
        Those of a `GeoCatalog`.
    path : path
        Where; also ``s3://``. Relative paths in the columns ``uri`` and ``..._uri``, which start in the working directory, are
        written as they start where the file is if they lie below it, and else whole, so that `read_frame` finds them.

    Raises
    ------
    CatalogError
        If it cannot be written.
    """
    _need_pyarrow()
    kept = frame.copy()
    folder = str(path).rpartition("/")[0]
    for name in _uri_columns(kept):
        kept[name] = [to_folder(value, folder) for value in kept[name]]
    for name in set(_TEXTS) & set(kept):
        kept[name] = [value if isinstance(value, str) or not is_known(value) else json.dumps(value) for value in kept[name]]
    for name in set(_LISTS) & set(kept):
        kept[name] = [_as_list(value) if is_known(value) else None for value in kept[name]]
    if "://" in str(path):
        kept.to_parquet(str(path), index=False)
        return
    place = Path(path)
    part = place.with_name(f".{place.name}.part")
    try:
        kept.to_parquet(part, index=False)
        part.replace(place)
    except OSError as error:
        why = _one_line(error) if error.strerror is None else error.strerror
        raise CatalogError(f"catalog {place} cannot be written: {why}; name a folder that exists and takes files") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def read_frame(path: Any) -> gpd.GeoDataFrame | pd.DataFrame:
    """Read a table of scenes.

    Relative paths in the columns ``uri`` and ``..._uri`` are taken to start where the file is.

    Parameters
    ----------
    path : path
        GeoParquet, or Parquet without a geometry; also ``s3://``.

    Returns
    -------
    GeoDataFrame or DataFrame

    Raises
    ------
    CatalogError
        If it cannot be read.
    """
    _need_pyarrow()
    try:
        place, filesystem = _located(str(path))
        frame = gpd.read_parquet(place, filesystem=filesystem)
    except (OSError, ValueError, ImportError) as error:
        if "Missing geo metadata" not in str(error):
            raise CatalogError(
                f"catalog {path} cannot be read: {_one_line(error)}; check that it is there and whole"
            ) from error
        frame = pd.read_parquet(place, filesystem=filesystem)
    for name in set(_TEXTS) & set(frame):
        frame[name] = [_from_text(value) for value in frame[name]]
    for name in set(_LISTS) & set(frame):
        frame[name] = [_as_tuple(value) for value in frame[name]]
    if "times" in frame:
        frame["times"] = [None if times is None else tuple(np.array(times, "datetime64[ns]")) for times in frame["times"]]
    folder = str(path).rpartition("/")[0]
    for name in _uri_columns(frame):
        frame[name] = [from_folder(value, folder) for value in frame[name]]
    return frame


def _uri_columns(frame: pd.DataFrame) -> list[str]:
    return [name for name in frame if name == "uri" or str(name).endswith("_uri")]


def _as_list(value: Any) -> list[Any]:
    return [str(part) if isinstance(part, np.datetime64) else part for part in value]


def _need_pyarrow() -> None:
    try:
        import pyarrow as pa  # noqa: F401
    except ImportError as error:
        raise DependencyMissingError("a catalog in GeoParquet needs pyarrow: install pixelwise[catalog]") from error


def _located(path: str) -> tuple[str, Any]:
    """Return a path, and pyarrow's way to it where it is a URL that pyarrow knows."""
    from pyarrow.fs import FileSystem
    from pyarrow.lib import ArrowInvalid

    if "://" not in path:
        return path, None
    try:
        filesystem, place = FileSystem.from_uri(path)
    except ArrowInvalid:
        return path, None
    return place, filesystem


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _from_text(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in "{[" and value[:1]:
        loaded = json.loads(value)
        return tuple(loaded) if isinstance(loaded, list) else loaded
    # A struct has all keys of the column in each row, without a value where the row has none.
    return {key: part for key, part in value.items() if part is not None} if isinstance(value, dict) else value


def _as_tuple(value: Any) -> Any:
    return (
        tuple(part.item() if isinstance(part, np.generic) and part.dtype.kind != "M" else part for part in value)
        if is_known(value)
        else None
    )


def from_folder(uri: Any, folder: str) -> Any:
    """Return a path, or paths of bands or dates, that start in a folder where they are relative.

    Parameters
    ----------
    uri : str, mapping, tuple, or missing
        What a catalog says.
    folder : str
        Path or URL; "" is the working directory.

    Returns
    -------
    object
        As `uri`.
    """
    if isinstance(uri, dict):
        return {band: from_folder(part, folder) for band, part in uri.items()}
    if isinstance(uri, tuple):
        return tuple(from_folder(part, folder) for part in uri)
    return f"{folder}/{uri.removeprefix('./')}" if folder and _is_relative(uri) else uri


def to_folder(uri: Any, folder: str) -> Any:
    """Return a path, or paths of bands or dates, so that `from_folder` gives the same file again.

    Parameters
    ----------
    uri : str, mapping, tuple, or missing
        What a catalog says; relative paths start in the working directory.
    folder : str
        Path or URL; "" is the working directory.

    Returns
    -------
    object
        As `uri`: paths that were relative are so still if they lie below the folder, and else whole.

    Examples
    --------
    >>> from pixelwise.catalog.parquet import from_folder, to_folder
    >>> to_folder("data/scenes/a.tif", "data"), from_folder("scenes/a.tif", "data")
    ('scenes/a.tif', 'data/scenes/a.tif')
    """
    if isinstance(uri, dict):
        return {band: to_folder(part, folder) for band, part in uri.items()}
    if isinstance(uri, tuple):
        return tuple(to_folder(part, folder) for part in uri)
    if not _is_relative(uri):
        return uri
    whole, start = Path(uri).absolute(), Path(folder).absolute()
    below = "://" not in folder and ".." not in Path(uri).parts and whole.is_relative_to(start)
    return (whole.relative_to(start) if below else whole).as_posix()


def _is_relative(uri: Any) -> bool:
    """Whether a cell is a path that starts somewhere: no URL, and no name that GDAL reads in parts, as NETCDF:a.nc:ndvi."""
    named = isinstance(uri, str) and "://" not in uri and re.match("[A-Z][A-Z0-9_]+:", uri) is None
    return named and not Path(uri).is_absolute()
