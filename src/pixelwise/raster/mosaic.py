"""A mosaic of raster files that holds no pixels: a VRT, or a tile index of GDAL."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import geopandas as gpd
import numpy as np
import pyogrio
import rasterio
import shapely

from pixelwise.errors import CRSError, FillValueError, GridError, RasterWriteError
from pixelwise.raster.destination import staged
from pixelwise.raster.grid import Grid, crs_name, transform_xy
from pixelwise.raster.mosaic_tiles import MosaicTile, common_bands, read_tiles
from pixelwise.raster.remote import gdal_path, is_remote

__all__ = ["virtual_raster", "write_mosaic"]

_VRT, _INDEX = ".vrt", ".gti.gpkg"
#: Most parts of a pixel by which files may miss each other's pixels; transforms are rounded.
_SLACK = 0.01
_BLOCK = 256
#: Points along each side of a file's outline, which bends in another CRS.
_STEPS = 11


def write_mosaic(files: Sequence[str], path: Any) -> None:
    """Write a mosaic of raster files. Where they overlap, the later one lies on top; its missing pixels show what lies below.

    Parameters
    ----------
    files : sequence of str
        Paths or URLs of files with the same bands, dtype and nodata.
    path : path
        Ending in .vrt, for files on one lattice of pixels; or in .gti.gpkg, a tile index of GDAL from 3.9 on, which finds
        thousands of files faster, and brings those with another CRS or resolution to those of the first, by nearest neighbour.

    Raises
    ------
    GridError, CRSError
        If the files do not share CRS, resolution and lattice.
    BandError
        If they differ in bands, dtype or nodata, or have masks.
    FillValueError
        If they leave gaps, and there is no nodata.
    RasterWriteError
        If it cannot be written there.

    Examples
    --------
    >>> import tempfile, pixelwise as pw
    >>> from pixelwise.raster.mosaic import write_mosaic
    >>> raster = pw.open_raster(pw.datasets.make_example()[0])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     west = pw.write_raster(raster[:, :, :30], f"{folder}/west.tif")
    ...     east = pw.write_raster(raster[:, :, 30:], f"{folder}/east.tif")
    ...     write_mosaic([str(west), str(east)], f"{folder}/all.vrt")
    ...     bool((pw.open_raster(f"{folder}/all.vrt") == raster).all())
    True
    """
    place = Path(path)
    kind = next((suffix for suffix in (_VRT, _INDEX) if place.name.lower().endswith(suffix)), None)
    if kind is None:
        raise RasterWriteError(f"{place} is no name of a mosaic: end it in {_VRT}, or in {_INDEX} for a tile index")
    if kind == _INDEX:
        _need_index()
    tiles = read_tiles(files)
    for tile in tiles:
        if not tile.grid.is_georeferenced or tile.grid.crs is None:
            raise CRSError(f"{tile.path} has no CRS, so it has no place in a mosaic: set it, as with gdal_edit.py -a_srs")
    vrt = virtual_raster(tiles, place.parent) if kind == _VRT else None
    try:
        with staged(place) as folder:
            made = folder / place.name
            if vrt is not None:
                made.write_bytes(vrt)
            else:
                _write_index(made, tiles, place.parent)
            made.replace(place)
    except OSError as error:
        raise RasterWriteError(f"{place} cannot be written: {error.strerror}; check the folder and its permissions") from error


def _need_index() -> None:
    with rasterio.Env() as env:
        known = "GTI" in env.drivers()
    if not known:
        raise RasterWriteError(
            f"GDAL {rasterio.__gdal_version__} of this rasterio reads no tile indexes, which need 3.9: write a {_VRT} instead"
        )


def _whole(tiles: Sequence[MosaicTile], strict: bool) -> Grid:
    """Return the grid round all tiles, on the lattice of the first; with `strict` all must lie on it."""
    first, corners = tiles[0].grid, []
    for tile in tiles:
        if strict:
            _check_lattice(tile, tiles[0])
        xy = _outline(tile.grid, first)
        corners.append(np.column_stack(~first.transform @ (xy[:, 0], xy[:, 1])))
    cols, rows = np.concatenate(corners).T
    low = [int(np.floor(axis.min() + _SLACK)) for axis in (cols, rows)]
    width, height = (int(np.ceil(axis.max() - _SLACK)) - start for axis, start in zip((cols, rows), low, strict=True))
    whole = first.window(low[1], low[0], height, width)
    if None in tiles[0].nodata and _has_gaps(tiles, whole):
        raise FillValueError(
            f"a mosaic of {len(tiles)} files with {tiles[0].path} would hold 0 between them, as they have no nodata value: "
            "write them with one, such as 255"
        )
    return whole


def _check_lattice(tile: MosaicTile, first: MosaicTile) -> None:
    grid, other = tile.grid, first.grid
    hint = f"write a tile index ({_INDEX}), or bring the files to one grid"
    if grid.crs != other.crs:
        raise GridError(
            f"{tile.path} is in {crs_name(grid.crs)} and {first.path} in {crs_name(other.crs)}, and a VRT has one CRS: {hint}"
        )
    steps, wanted = (np.array([*grid.transform[:2], *grid.transform[3:5]]) for grid in (grid, other))
    pixel = np.abs(wanted).max()
    if np.abs(steps - wanted).max() * max(grid.shape) > _SLACK * pixel:
        raise GridError(
            f"{tile.path} has pixels of {abs(steps[0]):g} x {abs(steps[3]):g} and {first.path} of {abs(wanted[0]):g} x "
            f"{abs(wanted[3]):g}, and a VRT has one resolution: {hint}"
        )
    offset = np.array(~other.transform @ (grid.transform.c, grid.transform.f))
    if np.abs(offset - offset.round()).max() > _SLACK:
        part = np.abs(offset - offset.round()).max()
        raise GridError(f"{tile.path} is shifted by {part:.2g} pixels against {first.path}, and a VRT has one lattice: {hint}")


def _outline(grid: Grid, target: Grid) -> np.ndarray:
    """Return points round a grid in the CRS of another."""
    along = np.linspace(0, 1, _STEPS)
    col = np.concatenate([along, np.ones(_STEPS), along[::-1], np.zeros(_STEPS)]) * grid.width
    row = np.concatenate([np.zeros(_STEPS), along, np.ones(_STEPS), along[::-1]]) * grid.height
    xy = np.column_stack(grid.transform @ (col, row))
    return xy if grid.crs == target.crs else transform_xy(xy, grid.crs, target.crs)


def _has_gaps(tiles: Sequence[MosaicTile], grid: Grid) -> bool:
    covered = shapely.union_all([shapely.Polygon(_outline(tile.grid, grid)) for tile in tiles]).area
    return bool(covered < grid.size * abs(grid.transform.determinant) * (1 - 1e-6))


def virtual_raster(tiles: Sequence[MosaicTile], folder: Path | None = None) -> bytes:
    """Return the VRT of files, as GDAL reads it.

    Parameters
    ----------
    tiles : sequence of MosaicTile
        Files on one lattice, later ones on top.
    folder : Path or None, default=None
        Where the VRT will be: files are named from there. None names them in whole.

    Returns
    -------
    bytes
        XML.

    Raises
    ------
    GridError
        If the files do not share CRS, resolution and lattice.
    FillValueError
        If they leave gaps, and there is no nodata.
    """
    grid = _whole(tiles, strict=True)
    root = ET.Element("VRTDataset", rasterXSize=str(grid.width), rasterYSize=str(grid.height))
    if grid.crs is not None:
        ET.SubElement(root, "SRS").text = grid.crs.to_wkt()
    if grid.is_georeferenced:
        ET.SubElement(root, "GeoTransform").text = ", ".join(map(repr, grid.transform.to_gdal()))
    for number, told in enumerate(common_bands(tiles), 1):
        told.tag = "VRTRasterBand"
        told.attrib |= {"blockXSize": str(min(_BLOCK, grid.width)), "blockYSize": str(min(_BLOCK, grid.height))}
        for tile in tiles:
            nodata = tile.nodata[number - 1]
            source = ET.SubElement(told, "SimpleSource" if nodata is None else "ComplexSource")
            name, relative = _located(tile.path, folder)
            # Each thread opens the mosaic for itself, and must not share what is below.
            ET.SubElement(source, "SourceFilename", relativeToVRT=str(int(relative)), shared="0").text = name
            ET.SubElement(source, "SourceBand").text = str(number)
            width, height = str(tile.grid.width), str(tile.grid.height)
            rows, cols = map(str, tile.block_shape)
            # With these GDAL need not open the files to open the mosaic.
            ET.SubElement(
                source, "SourceProperties", RasterXSize=width, RasterYSize=height, DataType=told.attrib["dataType"],
                BlockXSize=cols, BlockYSize=rows,
            )  # fmt: skip
            col, row = (round(at) for at in ~grid.transform @ (tile.grid.transform.c, tile.grid.transform.f))
            ET.SubElement(source, "SrcRect", xOff="0", yOff="0", xSize=width, ySize=height)
            ET.SubElement(source, "DstRect", xOff=str(col), yOff=str(row), xSize=width, ySize=height)
            if nodata is not None:
                ET.SubElement(source, "NODATA").text = f"{nodata:.17g}"
        root.append(told)
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8"))


def _write_index(made: Path, tiles: Sequence[MosaicTile], folder: Path) -> None:
    grid = _whole(tiles, strict=False)
    outlines = [shapely.Polygon(_outline(tile.grid, grid)) for tile in tiles]
    names = [_located(tile.path, folder)[0] for tile in tiles]
    frame = gpd.GeoDataFrame({"location": names, "order": range(len(names))}, geometry=outlines, crs=grid.crs)
    pyogrio.write_dataframe(frame, made, layer="tiles", driver="GPKG", layer_metadata={"pixelwise": "mosaic"})
    root = ET.Element("GDALTileIndexDataset")
    left, bottom, right, top = grid.bounds
    steps = {"ResX": abs(grid.transform.a), "ResY": abs(grid.transform.e)}
    extent = {"MinX": left, "MinY": bottom, "MaxX": right, "MaxY": top}
    told = {"LocationField": "location", "SortField": "order", **steps, **extent, "BlockXSize": _BLOCK, "BlockYSize": _BLOCK}
    for key, value in told.items():
        ET.SubElement(root, key).text = value if isinstance(value, str) else repr(value)
    root.extend(common_bands(tiles))
    domain = ET.Element("Metadata", domain="xml:GTI", format="xml")
    domain.append(root)
    # GDAL reads from the layer's metadata how the mosaic shall look, but writes no metadata of this kind through pyogrio.
    with contextlib.closing(sqlite3.connect(made)) as base, base:
        (kept,) = base.execute("SELECT metadata FROM gpkg_metadata").fetchone()
        metadata = ET.fromstring(kept)  # noqa: S314
        metadata.append(domain)
        base.execute("UPDATE gpkg_metadata SET metadata = ?", (ET.tostring(metadata, encoding="unicode"),))


def _located(path: str, folder: Path | None) -> tuple[str, bool]:
    """Return how a mosaic in a folder names a file, and whether that starts in the folder."""
    if is_remote(path) or path.startswith("/vsi"):
        return gdal_path(path), False
    whole = Path(path).absolute()
    # A folder on another drive has no way to it.
    with contextlib.suppress(ValueError):
        if folder is None:
            return str(whole), False
        return Path(os.path.relpath(whole, folder.absolute())).as_posix(), True
    return str(whole), False
