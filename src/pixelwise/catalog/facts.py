"""What a catalog knows of a scene without reading its pixels: grid, bands, nodata, blocks, footprint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from rasterio.crs import CRS
from tqdm import tqdm

from pixelwise.catalog.dates import date_in_name, date_in_tags
from pixelwise.errors import BandError, CRSError, GridError, PixelwiseError
from pixelwise.raster.grid import Grid, as_crs, transform_xy
from pixelwise.raster.io import RasterFile
from pixelwise.raster.open_files import use_file

__all__ = [
    "FACTS",
    "block_shape_of",
    "crs_text",
    "degrees_of",
    "describe_all",
    "facts_of_bands",
    "files_of",
    "footprint",
    "grid_facts",
    "in_degrees",
    "scene_name",
]

#: Columns of a catalog that say what the file would say; all others are metadata.
FACTS = ("uri", "crs", "transform", "height", "width", "bands", "dtype", "nodata", "block_shape", "resampling", "times")
_WGS84 = CRS.from_epsg(4326)
#: Scenes that are opened before anybody would look at a progress bar.
_FEW = 20
#: Degrees of latitude that a grid of the whole earth may reach, with half a pixel beyond the pole.
_HIGHEST = 91
#: Points along each side of a footprint.
_STEPS = 11
#: Tags that say how a file is made, and nothing of the scene.
_TECHNICAL = (
    "AREA_OR_POINT", "TIFFTAG_", "STATISTICS_", "OVR_", "INTERLEAVE", "COMPRESSION", "flag_", "CLASS_NAMES", "Band_",
)  # fmt: skip


def describe_all(
    uris: Sequence[Any], names: Sequence[str], workers: int, progress: bool
) -> tuple[list[dict[str, Any] | None], dict[str, str]]:
    """Open the files of many scenes in threads, and say what they are.

    Parameters
    ----------
    uris : sequence of (str, mapping of str to str, or tuple of them)
        The files of each scene.
    names : sequence of str
        What each scene is called.
    workers : int
        Number of threads.
    progress : bool
        Whether a progress bar is shown.

    Returns
    -------
    facts : list of (dict or None)
        In the order of the scenes; None for one that cannot be used.
    unreadable : dict of str to str
        For each of those its file or name, and the reason.
    """
    with ThreadPoolExecutor(workers) as pool:
        done = pool.map(_tried, uris, names)
        found = list(
            tqdm(done, total=len(uris), desc="scenes", unit="scene", disable=not progress or len(uris) < _FEW, leave=False)
        )
    bad = {
        (uri if isinstance(uri, str) else name): reason
        for uri, name, reason in zip(uris, names, found, strict=True)
        if isinstance(reason, str)
    }
    return [None if isinstance(facts, str) else facts for facts in found], bad


def _tried(uri: Any, name: str) -> dict[str, Any] | str:
    try:
        return _describe(uri, name)
    except PixelwiseError as error:
        return str(error)


def _describe(uri: Any, name: str) -> dict[str, Any]:
    facts = use_file(uri, _of_file) if isinstance(uri, str) else facts_of_bands(uri)
    grid, tags = facts["grid"], facts["tags"]
    if grid.crs is None:
        raise CRSError(f"{name} has no CRS, so it has no place in a catalog: set it, as with gdal_edit.py -a_srs")
    told = {key: value for key, value in tags.items() if not key.startswith(_TECHNICAL) and key not in FACTS}
    date, names = date_in_tags(tags), [name, *(scene_name(path) for path in files_of(uri))]
    dates = (date_in_name(text) for text in names)
    return {
        **told,
        **grid_facts(grid),
        **{key: facts[key] for key in ("bands", "dtype", "nodata", "block_shape")},
        "datetime": date if date is not None else next((day for day in dates if day is not None), None),
    }


def grid_facts(grid: Grid) -> dict[str, Any]:
    """Return the columns of a catalog that say where a scene's pixels are."""
    at = {"crs": crs_text(grid.crs), "transform": tuple(grid.transform)[:6]}
    return {**at, "height": grid.height, "width": grid.width, "geometry": footprint(grid)}


def _of_file(file: RasterFile) -> dict[str, Any]:
    grid = file.grid
    return {
        "grid": grid,
        "bands": file.bands,
        "n_bands": file.n_bands,
        "dtype": file.dtype,
        "nodata": file.nodata,
        "block_shape": file.block_shape,
        "tags": file.tags,
    }


def facts_of_bands(files: Mapping[str, str]) -> dict[str, Any]:
    """Return what several files are together: bands on the finest grid among theirs.

    Parameters
    ----------
    files : mapping of str to str
        The file of each band.

    Returns
    -------
    dict
        With grid, bands, n_bands, dtype, nodata, block_shape and tags.

    Raises
    ------
    BandError
        If a file has several bands.
    RasterReadError
        If one cannot be opened.
    """
    parts = {band: use_file(path, _of_file) for band, path in files.items()}
    for band, part in parts.items():
        if part["n_bands"] != 1:
            raise BandError(f"{files[band]} has {part['n_bands']} bands, and band {band!r} needs a file of one")
    best = min(parts.values(), key=lambda part: abs(part["grid"].transform.determinant))
    tags = {key: value for part in reversed(parts.values()) for key, value in part["tags"].items()}
    return {
        **best,
        "bands": tuple(files),
        "dtype": np.result_type(*(part["dtype"] for part in parts.values())).name,
        "nodata": tuple(part["nodata"][0] for part in parts.values()),
        "tags": tags,
    }


def block_shape_of(uri: Any) -> tuple[int, int]:
    """Return rows and columns of the blocks of a scene's file: of several bands of the finest, of a series of the first."""
    if isinstance(uri, str):
        return use_file(uri, lambda file: file.block_shape)
    if isinstance(uri, Mapping):
        shape: tuple[int, int] = facts_of_bands(uri)["block_shape"]
        return shape
    return block_shape_of(uri[0])


def crs_text(crs: CRS | None) -> str | None:
    """Return a CRS as "EPSG:32633", or as WKT where it has no such code."""
    if crs is None:
        return None
    code = crs.to_epsg()
    return f"EPSG:{code}" if code else str(crs.to_wkt())


def files_of(uri: Any) -> list[str]:
    """Return all files of a scene."""
    if isinstance(uri, str):
        return [uri]
    return [path for part in (uri.values() if isinstance(uri, Mapping) else uri) for path in files_of(part)]


def scene_name(uri: Any) -> str:
    """Return what a scene is called: a file's name without its suffix, or the folder of several files."""
    first = PurePosixPath(files_of(uri)[0].replace("\\", "/"))
    return first.stem if isinstance(uri, str) else first.parent.name


def degrees_of(shape: Any, crs: Any) -> Any:
    """Return a geometry, or an array of them, in EPSG:4326; long edges are cut into twenty, as they bend between CRSs."""
    left, bottom, right, top = shapely.total_bounds(shape)
    cut = shapely.segmentize(shape, max(right - left, top - bottom, 1e-9) / 20)
    return shapely.transform(cut, lambda xy: transform_xy(xy, as_crs(crs), _WGS84))


def in_degrees(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return a table with its outlines in EPSG:4326, in the column ``geometry``."""
    frame = frame if frame.active_geometry_name == "geometry" else frame.rename_geometry("geometry")
    return frame.to_crs("EPSG:4326") if len(frame) else frame.set_crs("EPSG:4326", allow_override=True)


def footprint(grid: Grid) -> Any:
    """Return the outline of a grid in longitude and latitude; split in two where it crosses the antimeridian.

    Parameters
    ----------
    grid : Grid
        With a CRS.

    Returns
    -------
    shapely.Polygon or shapely.MultiPolygon

    Raises
    ------
    GridError
        If the outline lies where longitude and latitude are not known.

    Examples
    --------
    >>> from pixelwise import Grid
    >>> from pixelwise.catalog.facts import footprint
    >>> footprint(Grid("EPSG:4326", (0.5, 0, 179, 0, -0.5, 10), 2, 4)).geom_type
    'MultiPolygon'
    """
    along = np.linspace(0, 1, _STEPS)
    col = np.concatenate([along, np.ones(_STEPS), along[::-1], np.zeros(_STEPS)]) * grid.width
    row = np.concatenate([np.zeros(_STEPS), along, np.ones(_STEPS), along[::-1]]) * grid.height
    a, b, c, d, e, f = tuple(grid.transform)[:6]
    outline = transform_xy(np.column_stack([a * col + b * row + c, d * col + e * row + f]), grid.crs, _WGS84)
    if not np.isfinite(outline).all() or np.abs(outline[:, 1]).max() > _HIGHEST:
        raise GridError(f"bounds {grid.bounds} are no place in {crs_text(grid.crs)}: check the file's georeferencing")
    outline[:, 0] = np.unwrap(outline[:, 0], period=360)
    if abs(outline[-1, 0] - outline[0, 0]) > 180:
        # It goes round a pole, and has that as its further edge.
        pole = np.copysign(90.0, outline[:, 1].mean())
        outline = np.concatenate([outline, [(outline[-1, 0], pole), (outline[0, 0], pole)]])
    shape = shapely.make_valid(shapely.Polygon(outline))
    west, _, east, _ = shape.bounds
    if west >= -180 and east <= 180:
        return shape
    parts = [
        shapely.transform(
            shapely.intersection(shape, shapely.box(low, -90, low + 360, 90)), lambda xy, low=low: xy - [low + 180, 0]
        )
        for low in (-540, -180, 180)
    ]
    return shapely.union_all([part for part in parts if part.area > 0])
