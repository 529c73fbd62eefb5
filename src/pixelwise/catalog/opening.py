"""open_catalog: from files, folders, tables and STAC to a GeoCatalog."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd

from pixelwise.catalog.facts import FACTS, describe_all, in_degrees, scene_name
from pixelwise.catalog.folders import band_scenes, raster_files
from pixelwise.catalog.geocatalog import GeoCatalog
from pixelwise.catalog.parquet import as_marks, is_known, read_frame
from pixelwise.catalog.stac import is_stac, items_of, row_of
from pixelwise.errors import CatalogError, PixelwiseError, PixelwiseWarning
from pixelwise.operators.warping import resampling_named
from pixelwise.raster.remote import is_remote

__all__ = ["open_catalog"]

_GRID = ("crs", "transform", "height", "width")


def open_catalog(
    source: Any,
    *,
    bands: Mapping[str, str] | Sequence[str] | None = None,
    resampling: str | Mapping[str, str] = "nearest",
    workers: int = 8,
    progress: bool = True,
) -> GeoCatalog:
    """Open a catalog of scenes.

    Files are opened, in threads, where the source does not tell their grids; pixels are not read. Files that cannot be used are
    left out: a warning says how many, and ``catalog.unreadable`` which and why. Rasters without a CRS are among them.

    The date of a scene comes from the source, else from a tag that says when it was sensed, else from its name: the only date
    in it, or the first one of a Sentinel or Landsat product. Otherwise it is not known.

    Parameters
    ----------
    source : path, list of paths, STAC, or DataFrame
        A GeoParquet file (local or ``s3://``); a folder of rasters, searched to its depth; a glob; raster files or URLs; a STAC
        item, item collection or API response, as objects of pystac, as dicts, as a JSON file or as stac-geoparquet; or a
        GeoDataFrame or DataFrame with the column ``uri``.
    bands : mapping of str to str, sequence of str, or None
        For a folder with one file a band: for each band the pattern of its file, such as ``{"B2": "*_B2.TIF"}``. For STAC: the
        assets to take, or for each band its asset; None takes all rasters whose role is data.
    resampling : str or mapping of str to str, default="nearest"
        How bands are brought to the finest grid of a scene, where they lie on others: a name of
        ``rasterio.enums.Resampling``, for all or for some bands; others are nearest, as QA bands must be.
    workers : int, default=8
        Threads that open files.
    progress : bool, default=True
        Whether a progress bar is shown while files are opened.

    Returns
    -------
    GeoCatalog

    Raises
    ------
    CatalogError
        If the source holds no scene that can be used, or `resampling` names a band that no scene has.
    GridError
        If there is no such resampling.

    See Also
    --------
    GeoCatalog.to_parquet : Keeps what was found.

    Examples
    --------
    >>> import pixelwise as pw
    >>> data = pw.datasets.load_sentinel2_osm()
    >>> folder = data.bands["B02"].parent
    >>> pw.open_catalog(folder, bands={"B02": "*_B02.jp2", "B11": "*_B11.jp2"}, progress=False)
    GeoCatalog(1 scene, EPSG:32633, 2017-02-16, bands B02, B11)
    """
    for way in [resampling] if isinstance(resampling, str) else resampling.values():
        resampling_named(way)
    rows, unreadable = _rows(source, bands)
    frame = pd.DataFrame(rows) if isinstance(rows, list) else rows
    if "uri" not in frame.columns and len(frame):
        raise CatalogError(f"the table has no column 'uri' with the scenes' files: it has {', '.join(map(str, frame.columns))}")
    if not unreadable and not len(frame):
        raise CatalogError(f"{_shown(source)} holds no scene")
    catalog, more = _complete(frame, workers, progress)
    unreadable = {**unreadable, **more}
    if catalog is None:
        path, reason = next(iter(unreadable.items()))
        raise CatalogError(f"none of {len(unreadable)} scenes of {_shown(source)} can be used, such as {path}: {reason}")
    if unreadable:
        path, reason = next(iter(unreadable.items()))
        warnings.warn(
            f"{len(unreadable)} of {len(catalog) + len(unreadable)} scenes cannot be used and were left out, such as {path}: "
            f"{reason}; catalog.unreadable has them all",
            PixelwiseWarning,
            stacklevel=2,
        )
    if any(isinstance(uri, dict) for uri in catalog["uri"]) and resampling != "nearest":
        _check_bands(resampling, catalog["uri"])
        catalog["resampling"] = [resampling if isinstance(resampling, str) else dict(resampling)] * len(catalog)
    return GeoCatalog(catalog, unreadable)


def _check_bands(resampling: Any, uris: Any) -> None:
    known = {band for uri in uris if isinstance(uri, dict) for band in uri}
    unknown = set() if isinstance(resampling, str) else set(resampling) - known
    if unknown:
        raise CatalogError(f"resampling names band {min(unknown)!r}, which no scene has: it has {', '.join(sorted(known))}")


def _rows(source: Any, bands: Any) -> tuple[Any, dict[str, str]]:
    """Return what a source says of its scenes, at the least their files, and those that cannot be used."""
    if isinstance(source, str | os.PathLike):
        text = os.fspath(source)
        suffix = Path(text).suffix.lower()
        if suffix in (".parquet", ".geoparquet", ".pq"):
            return _table_rows(read_frame(text), bands, text.rpartition("/")[0])
        if suffix in (".json", ".geojson") and not is_remote(text):
            return _stac_rows(_json_items(Path(text)), bands)
        if isinstance(bands, Mapping):
            scenes, unreadable = band_scenes(text, bands)
            return [{"id": name, "uri": files} for name, files in scenes], unreadable
        paths = [text] if is_remote(text) else raster_files(text)
        return _file_rows(paths, bands)
    if isinstance(source, pd.DataFrame):
        return _table_rows(source, bands)
    if is_stac(source):
        return _stac_rows(items_of(source), bands)
    if isinstance(source, list | tuple) and all(isinstance(path, str | os.PathLike) for path in source):
        return _file_rows([os.fspath(path) for path in source], bands)
    raise CatalogError(
        f"{type(source).__name__} is no source of scenes: give a path, a list of paths, STAC items or a GeoDataFrame"
    )


def _json_items(path: Path) -> list[dict[str, Any]]:
    try:
        return items_of(json.loads(path.read_text(encoding="utf-8")), str(path.parent))
    except (OSError, json.JSONDecodeError) as error:
        raise CatalogError(f"{path} cannot be read as STAC items: {error}; check that it is there and whole") from error


def _file_rows(paths: Sequence[str], bands: Any) -> tuple[Any, dict[str, str]]:
    if bands is not None:
        raise CatalogError("bands= chooses files of a folder, or STAC assets: load single bands with scene.load(bands=...)")
    return [{"uri": path} for path in paths], {}


def _table_rows(frame: Any, bands: Any, folder: str = "") -> tuple[Any, dict[str, str]]:
    if "assets" not in frame.columns:
        return frame, {}
    # stac-geoparquet has the properties as columns beside those of the item itself.
    own = ("id", "assets", "links", "collection", "geometry", "bbox", "type", "stac_version", "stac_extensions")
    items = []
    for row in frame.to_dict("records"):
        properties = {key: value for key, value in row.items() if key not in own}
        items.append({**{key: row[key] for key in own if key in row}, "type": "Feature", "properties": properties})
    return _stac_rows(items_of(items, folder), bands)


def _stac_rows(items: Sequence[Mapping[str, Any]], bands: Any) -> tuple[Any, dict[str, str]]:
    rows, unreadable = [], {}
    for item in items:
        try:
            rows.append(row_of(item, bands))
        except PixelwiseError as error:
            unreadable[str(item["id"])] = str(error)
    return rows, unreadable


def _complete(frame: Any, workers: int, progress: bool) -> tuple[gpd.GeoDataFrame | None, dict[str, str]]:
    """Return the table with all that a catalog needs, from the files where it does not say so, and those that fail."""
    if not len(frame):
        return None, {}
    frame = frame.reset_index(drop=True)
    if isinstance(frame, gpd.GeoDataFrame):
        frame = pd.DataFrame(frame if frame.crs is None else in_degrees(frame))
    frame["uri"] = [_as_uri(uri) for uri in frame["uri"]]
    lacking = [number for number, uri in enumerate(frame["uri"]) if not is_known(uri)]
    if lacking:
        raise CatalogError(f"row {lacking[0]} of the table has no uri: leave it out, or say where its file is")
    names = [
        str(row_id) if is_known(row_id) else scene_name(uri)
        for row_id, uri in zip(_column(frame, "id"), frame["uri"], strict=True)
    ]
    told = [
        all(is_known(value) for value in values)
        for values in zip(*(_column(frame, name) for name in (*_GRID, "geometry")), strict=True)
    ]
    asked = [number for number, known in enumerate(told) if not known]
    found, unreadable = describe_all([frame["uri"][at] for at in asked], [names[at] for at in asked], workers, progress)
    rows = []
    by_row = dict(zip(asked, found, strict=True))
    for number, (name, row) in enumerate(zip(names, frame.to_dict("records"), strict=True)):
        facts = by_row.get(number, {})
        if facts is None:
            continue
        own = {key: value for key, value in row.items() if is_known(value)}
        # The file says what its pixels are, and the table all else.
        kept = {key: value for key, value in own.items() if key not in FACTS or key not in facts}
        rows.append({"id": name, **facts, **kept, **_filled(facts, own)})
    return (gpd.GeoDataFrame(rows, geometry="geometry", crs="EPSG:4326") if rows else None), unreadable


def _filled(facts: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the band names and nodata of a table for a file that has none; None where they are not of as many bands."""
    if not facts:
        return {}
    count, told = len(facts["nodata"]), {}
    if facts["bands"] is None and is_known(own.get("bands")) and len(own["bands"]) == count:
        told["bands"] = tuple(own["bands"])
    marks = as_marks(own.get("nodata"))
    if marks is not None and len(marks) in (1, count):
        pairs = zip(facts["nodata"], marks * (count // len(marks)), strict=True)
        told["nodata"] = tuple(mark if found is None else found for found, mark in pairs)
    return told


def _column(frame: Any, name: str) -> Any:
    return frame[name] if name in frame.columns else [None] * len(frame)


def _as_uri(uri: Any) -> Any:
    if isinstance(uri, Mapping):
        return {str(band): os.fspath(path) for band, path in uri.items()}
    return os.fspath(uri) if isinstance(uri, os.PathLike) else uri


def _shown(source: Any) -> str:
    return os.fspath(source) if isinstance(source, str | os.PathLike) else f"the {type(source).__name__}"
