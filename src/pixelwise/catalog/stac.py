"""Scenes from STAC: items, collections of items, answers of an API, stac-geoparquet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import shapely
import shapely.geometry

from pixelwise.catalog.facts import FACTS, grid_facts
from pixelwise.catalog.parquet import from_folder, is_known
from pixelwise.errors import CatalogError, CRSError, GridError
from pixelwise.raster.grid import Grid

__all__ = ["is_stac", "items_of", "row_of"]

#: What a raster's media type starts with.
_RASTER = ("image/tiff", "image/jp2", "image/vnd.stac.geotiff", "application/x-geotiff")
_SUFFIXES = (".tif", ".tiff", ".jp2")


def is_stac(source: Any) -> bool:
    """Whether something is a STAC item, a collection of items, or a list of items: as objects of pystac or as plain dicts."""
    if isinstance(source, Mapping):
        return source.get("type") in ("Feature", "FeatureCollection")
    if isinstance(source, list | tuple):
        return bool(source) and all(is_stac(part) for part in source)
    return hasattr(source, "to_dict") and (hasattr(source, "assets") or hasattr(source, "items"))


def items_of(source: Any, folder: str = "") -> list[dict[str, Any]]:
    """Return STAC items as plain dicts, with whole links to their assets.

    Parameters
    ----------
    source : item, item collection, API response, or list of them
        Objects of pystac or pystac-client, or dicts.
    folder : str, default=""
        Where relative links of assets start, if an item has no link to itself.

    Returns
    -------
    list of dict

    Raises
    ------
    CatalogError
        If something else is among them.
    """
    if isinstance(source, list | tuple):
        return [item for part in source for item in items_of(part, folder)]
    plain = source.to_dict() if hasattr(source, "to_dict") else source
    if isinstance(plain, Mapping) and plain.get("type") == "FeatureCollection":
        return items_of(list(plain.get("features", [])), folder)
    if not isinstance(plain, Mapping) or plain.get("type") != "Feature" or not is_known(plain.get("assets")):
        what = plain.get("type") if isinstance(plain, Mapping) else type(plain).__name__
        raise CatalogError(
            f"{what} is no STAC item with assets: give items, or a collection of items, such as list(collection.get_items())"
        )
    links: Any = plain.get("links") if is_known(plain.get("links")) else []
    own = next((link["href"] for link in links if link.get("rel") == "self"), "").rpartition("/")[0]
    base = from_folder(own, folder) if own else folder
    assets = {
        key: _whole(asset, base) for key, asset in plain["assets"].items() if is_known(asset) and is_known(asset.get("href"))
    }
    return [{**plain, "assets": assets}]


def _whole(asset: Mapping[str, Any], base: str) -> dict[str, Any]:
    known = {key: value for key, value in asset.items() if is_known(value)}
    return {**known, "href": from_folder(known["href"], base)}


def row_of(item: Mapping[str, Any], bands: Sequence[str] | Mapping[str, str] | None) -> dict[str, Any]:
    """Return the row of a catalog that a STAC item is.

    Parameters
    ----------
    item : dict
        From `items_of`.
    bands : sequence of str, mapping of str to str, or None
        Keys of the assets to take, or for each band that of its asset; None takes all rasters whose role is data, and of
        several those of one band. One asset of several bands is a scene by itself.

    Returns
    -------
    dict
        Without CRS and transform if the item does not tell them all.

    Raises
    ------
    CatalogError
        If there is no such asset.
    """
    assets, properties = item["assets"], dict(item.get("properties") or {})
    keys = _data_assets(assets) if bands is None else bands if isinstance(bands, Mapping) else {key: key for key in bands}
    lacking = [key for key in keys.values() if key not in assets]
    if lacking or not keys:
        what = f"asset {lacking[0]!r}" if lacking else "asset that is a raster of data"
        raise CatalogError(f"STAC item {item['id']} has no {what}: choose with bands= among {', '.join(assets)}")
    chosen = {band: assets[key] for band, key in keys.items()}
    single = len(chosen) == 1 and (bands is None or len(_bands_of(next(iter(chosen.values())))) > 1)
    for key, asset in chosen.items():
        if not single and len(_bands_of(asset)) > 1:
            raise CatalogError(
                f"asset {key!r} of STAC item {item['id']} has {len(_bands_of(asset))} bands, and goes with no other: choose it "
                "alone with bands=, or leave it out"
            )
    uri = next(iter(chosen.values()))["href"] if single else {band: asset["href"] for band, asset in chosen.items()}
    row = {key: value for key, value in properties.items() if key not in FACTS and is_known(value)}
    row |= {"id": item["id"], "uri": uri, "datetime": properties.get("datetime") or properties.get("start_datetime")}
    if is_known(item.get("collection")):
        row["collection"] = item["collection"]
    if not single:
        row |= _told_facts(chosen, properties)
    row |= _of_values(next(iter(chosen.values()))) if single else {"nodata": tuple(_nodata(a)[0] for a in chosen.values())}
    if is_known(item.get("geometry")):
        outline = item["geometry"]
        row["geometry"] = shapely.geometry.shape(outline) if isinstance(outline, Mapping) else outline
    return row


def _data_assets(assets: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    rasters = [key for key, asset in assets.items() if _is_raster(asset)]
    data = [key for key in rasters if "data" in _roles(assets[key])]
    data = data or [key for key in rasters if not {"thumbnail", "overview"} & set(_roles(assets[key]))]
    alone = [key for key in data if len(_bands_of(assets[key])) < 2]
    return {key: key for key in (alone if len(data) > 1 else data)}


def _is_raster(asset: Mapping[str, Any]) -> bool:
    """Whether an asset is a raster: as its media type says, or, where it has none, as its role or its name lets suppose."""
    kind = str(asset.get("type", "")).lower()
    return kind.startswith(_RASTER) if kind else "data" in _roles(asset) or asset["href"].lower().endswith(_SUFFIXES)


def _roles(asset: Mapping[str, Any]) -> Iterable[str]:
    roles = asset.get("roles")
    return list(roles) if roles is not None else ()


def _bands_of(asset: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what an asset tells of each of its bands: in `bands` from STAC 1.1 on, before that by two extensions."""
    told = [asset[key] for key in ("bands", "raster:bands", "eo:bands") if is_known(asset.get(key)) and len(asset[key])]
    count = max(map(len, told), default=1)
    parts = [part for part in told if len(part) == count]
    return [{key: value for part in parts for key, value in part[at].items() if is_known(value)} for at in range(count)]


def _nodata(asset: Mapping[str, Any]) -> tuple[float | None, ...]:
    """Return the nodata value of each band of an asset, None where it tells none; text such as "nan" is a number, too."""
    return tuple(_number(band.get("nodata", asset.get("nodata"))) for band in _bands_of(asset))


def _number(mark: Any) -> float | None:
    try:
        return float(mark) if is_known(mark) else None
    except ValueError:
        return None


def _of_values(asset: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an asset of several bands, or without a name, tells of them: for where its file does not."""
    names = [band.get("name") for band in _bands_of(asset)]
    told: dict[str, Any] = {"nodata": _nodata(asset)}
    return told | ({"bands": tuple(map(str, names))} if all(map(is_known, names)) and len(set(names)) == len(names) else {})


def _told_facts(chosen: Mapping[str, Mapping[str, Any]], properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a catalog says of the grid of assets; nothing if they do not tell it, or tell one that cannot be."""
    try:
        grids = [_grid(asset, properties) for asset in chosen.values()]
        known = [grid for grid in grids if grid is not None]
        if len(known) < len(grids):
            return {}
        return grid_facts(min(known, key=lambda grid: abs(grid.transform.determinant))) | {"bands": tuple(chosen)}
    except (CRSError, GridError):
        return {}


def _grid(asset: Mapping[str, Any], properties: Mapping[str, Any]) -> Grid | None:
    """Return the grid of an asset as the projection extension tells it, or None where it does not."""
    told: dict[str, Any] = {key: asset.get(key) if is_known(asset.get(key)) else properties.get(key) for key in _PROJECTION}
    crs = next((told[key] for key in ("proj:code", "proj:epsg", "proj:wkt2", "proj:projjson") if is_known(told[key])), None)
    shape, transform = told["proj:shape"], told["proj:transform"]
    if crs is None or not is_known(shape) or not is_known(transform) or len(shape) != 2 or len(transform) < 6:
        return None
    crs = int(crs) if isinstance(crs, int | float | np.number) else _plain(crs)
    return Grid(crs, tuple(transform)[:6], *(int(size) for size in shape))


def _plain(value: Any) -> Any:
    """Return nested parts as JSON has them: a table holds arrays, and all keys of its other rows."""
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items() if is_known(part)}
    return [_plain(part) for part in value] if isinstance(value, list | tuple | np.ndarray) else value


_PROJECTION = ("proj:code", "proj:epsg", "proj:wkt2", "proj:projjson", "proj:shape", "proj:transform")
