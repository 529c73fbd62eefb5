"""A catalog as GeoParquet, on disk or in a bucket."""

from __future__ import annotations

import contextlib
import json
import posixpath
import re
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from pixelwise.errors import CatalogError, DependencyMissingError

__all__ = ["as_marks", "is_known", "paths_in", "read_frame", "write_frame"]

#: Columns that a file keeps as lists, and as text where they are mappings.
_LISTS, _TEXTS = ("transform", "bands", "nodata", "block_shape", "times"), ("uri", "resampling")
#: What begins with a scheme, or with a driver of GDAL and a colon, as subdatasets do: it starts nowhere else.
_WHOLE = re.compile(r"[A-Za-z][\w+.-]*://|[A-Z][A-Z0-9_]+:(?!\d\d)")


def is_known(value: Any) -> bool:
    """Whether a cell of a table holds anything: lists and mappings do."""
    return value is not None and not (pd.api.types.is_scalar(value) and pd.isna(value))


def as_marks(nodata: Any) -> tuple[float | None, ...] | None:
    """Return nodata values as a tuple, one for each band or a single one for all; None where nothing is known."""
    if not is_known(nodata):
        return None
    return (nodata,) if pd.api.types.is_scalar(nodata) else tuple(nodata)


def write_frame(frame: gpd.GeoDataFrame, path: Any) -> None:
    """Write the rows of a catalog.

    Relative paths, which start in the working directory, are written so that they start where the file is, or in whole if they
    lead elsewhere.

    Parameters
    ----------
    frame : GeoDataFrame
        Those of a `GeoCatalog`.
    path : path
        Where; also ``s3://``.

    Raises
    ------
    CatalogError
        If it cannot be written there, or a column holds what Parquet does not take.
    """
    _need_pyarrow()
    kept = frame.copy()
    place = str(path) if "://" in str(path) else Path(path)
    for name in paths_in(kept):
        kept[name] = [_seen_from(value, place.absolute().parent if isinstance(place, Path) else None) for value in kept[name]]
    for name in set(_TEXTS) & set(kept):
        kept[name] = [value if isinstance(value, str) or not is_known(value) else json.dumps(value) for value in kept[name]]
    for name in set(_LISTS) & set(kept):
        kept[name] = [_as_list(value) if is_known(value) else None for value in kept[name]]
    part = place.with_name(f".{place.name}.part") if isinstance(place, Path) else place
    try:
        kept.to_parquet(part, index=False)
        if isinstance(place, Path):
            Path(part).replace(place)
    except (OSError, ValueError, TypeError, NotImplementedError) as error:
        if isinstance(part, Path):
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
        raise CatalogError(
            f"catalog {path} cannot be written: {_one_line(error)}; name a folder that exists and takes files, and give each "
            "column values of one type"
        ) from error


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
    for name in paths_in(frame):
        frame[name] = [from_folder(value, folder) for value in frame[name]]
    return frame


def paths_in(frame: Any) -> list[Any]:
    """Return the columns that hold paths; those of a STAC extension, such as s2:product_uri, hold names."""
    return [name for name in frame if name == "uri" or (str(name).endswith("_uri") and ":" not in str(name))]


def _seen_from(uri: Any, folder: Path | None) -> Any:
    """Return a path as it is written in a folder: relative paths from there where they lead into it, others in whole."""
    if isinstance(uri, dict):
        return {band: _seen_from(part, folder) for band, part in uri.items()}
    if isinstance(uri, tuple):
        return tuple(_seen_from(part, folder) for part in uri)
    if not isinstance(uri, str) or _is_whole(uri):
        return uri
    whole = Path(uri).absolute()
    return (whole.relative_to(folder) if folder is not None and whole.is_relative_to(folder) else whole).as_posix()


def _is_whole(uri: str) -> bool:
    return bool(_WHOLE.match(uri)) or Path(uri).is_absolute()


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
        try:
            loaded = json.loads(value)
        except json.JSONDecodeError:
            # A file's name may begin so too.
            return value
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
    if not isinstance(uri, str) or not folder or _is_whole(uri):
        return uri
    scheme, mark, start = folder.rpartition("://")
    # A bucket has no folders, and no way up from them.
    place = posixpath.normpath(f"{start}/{uri}") if mark else f"{start}/{uri.removeprefix('./')}"
    return f"{scheme}{mark}{place}"
