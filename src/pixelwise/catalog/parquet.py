"""A catalog as GeoParquet, on disk or in a bucket."""

from __future__ import annotations

import json
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
        Where; also ``s3://``.
    """
    _need_pyarrow()
    kept = frame.copy()
    for name in set(_TEXTS) & set(kept):
        kept[name] = [value if isinstance(value, str) or not is_known(value) else json.dumps(value) for value in kept[name]]
    for name in set(_LISTS) & set(kept):
        kept[name] = [list(value) if is_known(value) else None for value in kept[name]]
    kept.to_parquet(path if isinstance(path, str) else Path(path), index=False)


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
        frame = gpd.read_parquet(path)
    except (OSError, ValueError) as error:
        if "geo" not in str(error).lower() or isinstance(error, OSError):
            raise CatalogError(
                f"catalog {path} cannot be read: {_one_line(error)}; check that it is there and whole"
            ) from error
        frame = pd.read_parquet(path)
    for name in set(_TEXTS) & set(frame):
        frame[name] = [_from_text(value) for value in frame[name]]
    for name in set(_LISTS) & set(frame):
        frame[name] = [_as_tuple(value) for value in frame[name]]
    folder = str(path).rpartition("/")[0]
    for name in [name for name in frame if name == "uri" or str(name).endswith("_uri")]:
        frame[name] = [from_folder(value, folder) for value in frame[name]]
    return frame


def _need_pyarrow() -> None:
    try:
        import pyarrow as pa  # noqa: F401
    except ImportError as error:
        raise DependencyMissingError("a catalog in GeoParquet needs pyarrow: install pixelwise[catalog]") from error


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
    if not isinstance(uri, str) or not folder or "://" in uri or Path(uri).is_absolute():
        return uri
    return f"{folder}/{uri.removeprefix('./')}"
