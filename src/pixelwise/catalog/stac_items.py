"""A catalog as STAC: an item a scene, in a collection of items, and beside each file where that is asked for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import rasterio
import shapely
import shapely.geometry

from pixelwise.catalog.facts import crs_text
from pixelwise.catalog.parquet import is_known
from pixelwise.catalog.scene import Scene
from pixelwise.errors import CatalogError, DependencyMissingError
from pixelwise.raster.io import opening
from pixelwise.raster.remote import is_remote

if TYPE_CHECKING:
    import pystac

__all__ = ["item_of", "write_items"]

_SUFFIXES = (".json", ".geojson")
_GEOTIFF = "image/tiff; application=geotiff"
_COG = f"{_GEOTIFF}; profile=cloud-optimized"
_TYPES = {".tif": _GEOTIFF, ".tiff": _GEOTIFF, ".jp2": "image/jp2"}
#: Entries of the metadata that an item has a place of its own for.
_OWN = ("id", "datetime", "bbox")


def write_items(scenes: Iterable[tuple[Scene, Mapping[str, Any]]], path: Any, beside: bool) -> None:
    """Write scenes as STAC.

    Parameters
    ----------
    scenes : iterable of (Scene, mapping)
        Each with its row of the catalog.
    path : path
        The collection of items, ending in .json or .geojson.
    beside : bool
        Whether each item is written beside its file too, with links that start there.

    Raises
    ------
    CatalogError
        If the path has another suffix, a scene has no date, or its files are not those of one item.
    DependencyMissingError
        If pystac is not installed.
    """
    try:
        import pystac
    except ImportError as error:
        raise DependencyMissingError("STAC items need pystac: install pixelwise[catalog]") from error
    place = Path(path)
    if place.suffix.lower() not in _SUFFIXES:
        raise CatalogError(f"{place} has {place.suffix or 'no suffix'}, and STAC is JSON: name it {place.stem}.json")
    made = [(scene, item_of(scene, row)) for scene, row in scenes]
    if beside:
        for scene, item in made:
            _write_beside(scene, item)
    _write(place, pystac.ItemCollection([item for _, item in made]).to_dict())


def item_of(scene: Scene, row: Mapping[str, Any]) -> pystac.Item:
    """Return a scene as a STAC item, with whole links to its files.

    Parameters
    ----------
    scene : Scene
        Of one file, or a file a band.
    row : mapping
        Its row of the catalog.

    Returns
    -------
    pystac.Item
        With an asset "data", or one a band; that of a scene of one file has the fields of the projection extension. A scene
        with ``source_uri`` has a link "derived_from".

    Raises
    ------
    CatalogError
        If it has no date, or is a series of dates.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from pixelwise.catalog.stac_items import item_of
    >>> catalog = pw.open_catalog(pw.datasets.make_example()[0]).assign(datetime="2024-06-01T10:20:00", tile="33UUU")
    >>> item = item_of(catalog[0], catalog.frame.iloc[0])
    >>> item.properties["tile"], item.assets["data"].extra_fields["proj:code"]
    ('33UUU', 'EPSG:32633')
    """
    import pystac
    from pystac.extensions.projection import ProjectionExtension

    if scene.times is not None:
        raise CatalogError(f"scene {scene.id} is a series of dates, and a STAC item has one: write the catalog before stack()")
    if not is_known(row["datetime"]):
        raise CatalogError(f"scene {scene.id} has no date, which STAC needs: give it with catalog.assign(datetime=...)")
    told = {key: value for key, value in scene.metadata.items() if key not in _OWN}
    outline = row["geometry"]
    when = pd.Timestamp(row["datetime"]).to_pydatetime()
    item = pystac.Item(
        scene.id,
        shapely.geometry.mapping(outline),
        _box(outline),
        when,
        json.loads(json.dumps(told, default=_as_json), parse_constant=lambda _: None),
    )
    single = isinstance(scene.uri, str)
    marks = scene.nodata or (None,)
    for at, (key, uri) in enumerate(({"data": scene.uri} if single else scene.uri).items()):
        told_of = _bands(row) if single else _mark([marks[at % len(marks)]])
        item.add_asset(key, pystac.Asset(_whole(uri), media_type=_media_type(uri), roles=["data"], extra_fields=told_of))
    if single:
        asset, crs = item.assets["data"], crs_text(scene.grid.crs) or ""
        projection = ProjectionExtension.ext(asset, add_if_missing=True)
        if crs.startswith("EPSG:"):
            projection.code = crs
        else:
            projection.wkt2 = crs
        projection.shape, projection.transform = list(scene.grid.shape), list(map(float, tuple(scene.grid.transform)[:6]))
    if isinstance(told.get("source_uri"), str):
        item.add_link(pystac.Link("derived_from", _whole(told["source_uri"]), _media_type(told["source_uri"])))
    return item


def _bands(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what STAC 1.1 says of a file's values."""
    told: list[Any] = [row.get(key) if is_known(row.get(key)) else () for key in ("bands", "dtype", "nodata")]
    names, dtype, nodata = told
    found: dict[str, Any] = {"bands": [{"name": str(name)} for name in names]} if names else {}
    if dtype:
        found["data_type"] = str(dtype)
    return found | _mark(nodata)


def _mark(nodata: Any) -> dict[str, Any]:
    """Return the nodata value of all bands, if they have one."""
    marks = {repr(mark): mark for mark in nodata}
    if len(marks) != 1 or None in marks.values():
        return {}
    return {"nodata": "nan" if "nan" in marks else nodata[0]}


def _box(outline: Any) -> list[float]:
    """Return the box of an outline; the west of one that crosses the antimeridian lies east of its east, as GeoJSON has it."""
    west, south, east, north = shapely.bounds(outline).tolist()
    parts = shapely.get_parts(outline)
    if len(parts) > 1 and (west, east) == (-180, 180):
        left, right = shapely.bounds(parts)[:, 0], shapely.bounds(parts)[:, 2]
        west, east = float(left[left > 0].min()), float(right[right < 0].max())
    return [west, south, east, north]


def _whole(uri: str) -> str:
    return uri if "://" in uri or uri.startswith("/vsi") else Path(uri).absolute().as_posix()


def _media_type(uri: str) -> str | None:
    """Return what a file is; whether a GeoTIFF is cloud-optimised is looked up in local ones."""
    found = _TYPES.get(Path(uri).suffix.lower())
    if found != _GEOTIFF or is_remote(uri) or not Path(uri).is_file():
        return found
    with opening(uri), rasterio.open(uri) as file:
        return _COG if file.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") == "COG" else found


def _write_beside(scene: Scene, item: pystac.Item) -> None:
    if not isinstance(scene.uri, str) or is_remote(scene.uri):
        raise CatalogError(f"scene {scene.id} is not one local file, beside which an item could lie: leave beside=True out")
    file = Path(scene.uri)
    plain = item.to_dict(include_self_link=False)
    plain["assets"]["data"]["href"] = f"./{file.name}"
    _write(file.with_suffix(".json"), plain)


def _write(path: Path, plain: Mapping[str, Any]) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise CatalogError(f"{path} cannot be written: {error.strerror}; name a folder that exists and takes files") from error


def _as_json(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)
