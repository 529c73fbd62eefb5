"""Scenes from STAC: items, collections of items, answers of an API, stac-geoparquet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import shapely
import shapely.geometry

from pixelwise.catalog.facts import FACTS, grid_facts
from pixelwise.catalog.parquet import from_folder, is_known
from pixelwise.errors import CatalogError
from pixelwise.raster.grid import Grid

__all__ = ["is_stac", "items_of", "row_of"]

#: What a raster's media type starts with.
_RASTER = ("image/tiff", "image/jp2", "image/vnd.stac.geotiff", "application/x-geotiff")


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
    """
    if isinstance(source, list | tuple):
        return [item for part in source for item in items_of(part, folder)]
    plain = source if isinstance(source, Mapping) else source.to_dict()
    if plain.get("type") == "FeatureCollection":
        return items_of(list(plain.get("features", [])), folder)
    links: Any = plain.get("links") if is_known(plain.get("links")) else []
    own = next((link["href"] for link in links if link.get("rel") == "self"), "")
    base = own.rpartition("/")[0] or folder
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
        Keys of the assets to take, or for each band that of its asset; None takes all rasters whose role is data.

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
    single = bands is None and len(chosen) == 1
    uri = next(iter(chosen.values()))["href"] if single else {band: asset["href"] for band, asset in chosen.items()}
    row = {key: value for key, value in properties.items() if key not in FACTS and is_known(value)}
    row |= {"id": item["id"], "uri": uri, "datetime": properties.get("datetime") or properties.get("start_datetime")}
    if is_known(item.get("collection")):
        row["collection"] = item["collection"]
    grids = [_grid(asset, properties) for asset in chosen.values()]
    known = [grid for grid in grids if grid is not None]
    if not single and len(known) == len(grids):
        row |= grid_facts(min(known, key=lambda grid: abs(grid.transform.determinant))) | {"bands": tuple(chosen)}
    if is_known(item.get("geometry")):
        outline = item["geometry"]
        row["geometry"] = shapely.geometry.shape(outline) if isinstance(outline, Mapping) else outline
    return row


def _data_assets(assets: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    rasters = [key for key, asset in assets.items() if str(asset.get("type", "")).lower().startswith(_RASTER)]
    data = [key for key in rasters if "data" in _roles(assets[key])]
    return {key: key for key in data or [key for key in rasters if not {"thumbnail", "overview"} & set(_roles(assets[key]))]}


def _roles(asset: Mapping[str, Any]) -> Iterable[str]:
    roles = asset.get("roles")
    return list(roles) if roles is not None else ()


def _grid(asset: Mapping[str, Any], properties: Mapping[str, Any]) -> Grid | None:
    """Return the grid of an asset as the projection extension tells it, or None where it does not."""
    told: dict[str, Any] = {key: asset.get(key) if is_known(asset.get(key)) else properties.get(key) for key in _PROJECTION}
    crs = next((told[key] for key in ("proj:code", "proj:epsg", "proj:wkt2", "proj:projjson") if is_known(told[key])), None)
    shape, transform = told["proj:shape"], told["proj:transform"]
    if crs is None or not is_known(shape) or not is_known(transform):
        return None
    crs = int(crs) if isinstance(crs, int | float | np.number) else crs
    return Grid(crs, tuple(transform)[:6], *(int(size) for size in shape))


_PROJECTION = ("proj:code", "proj:epsg", "proj:wkt2", "proj:projjson", "proj:shape", "proj:transform")
