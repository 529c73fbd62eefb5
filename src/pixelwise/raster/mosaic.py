"""Files side by side, read as one: a virtual raster in memory, which names them and holds no pixels."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import shapely
from rasterio.dtypes import dtype_rev, typename_fwd
from rasterio.io import MemoryFile

from pixelwise.errors import BandError, GridError
from pixelwise.raster.grid import Grid
from pixelwise.raster.io import RasterFile
from pixelwise.raster.open_files import is_remote

__all__ = ["Mosaic"]


class Mosaic(RasterFile):
    """Raster files on the same pixels, read window by window as one `RasterFile`.

    Where files overlap, the later one counts, unless it has no data there. Pixels under none have the nodata value.

    Parameters
    ----------
    files : sequence of path
        With the same CRS, pixels, bands, dtype and nodata.

    Raises
    ------
    GridError
        If they lie on different pixels, or leave gaps and declare no nodata.
    BandError
        If they have different bands, dtypes or nodata, or masks.
    RasterReadError
        If one cannot be opened.

    Examples
    --------
    >>> import tempfile, pixelwise as pw
    >>> from pixelwise.raster.mosaic import Mosaic
    >>> raster = pw.open_raster(pw.datasets.make_example()[0])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     west = pw.write_raster(raster[:, :, :32], f"{folder}/west.tif")
    ...     east = pw.write_raster(raster[:, :, 32:], f"{folder}/east.tif")
    ...     with Mosaic([west, east]) as mosaic:
    ...         mosaic.grid.shape, bool((mosaic.read().values == raster.values).all())
    ((60, 80), True)
    """

    def __init__(self, files: Sequence[Any]) -> None:
        if not files:
            raise GridError("a mosaic of no files has no pixels: name one or more")
        tiles = [_Tile(path) for path in files]
        _check_alike(tiles)
        grid, places = _together([tile.grid for tile in tiles])
        if None in tiles[0].nodata and _has_gaps(grid, places, tiles):
            raise GridError(
                "the files of a mosaic leave gaps, and declare no nodata to fill them with: set it, as with gdal_edit.py"
            )
        self._memory = MemoryFile(_vrt(grid, places, tiles), ext=".vrt")
        super().__init__(self._memory.name)
        self.path = f"mosaic of {len(tiles)} files with {tiles[0].path}"
        # Those of a virtual raster are none that anything is stored in.
        self.block_shape = tiles[0].block_shape

    def close(self) -> None:
        """Close the files."""
        super().close()
        self._memory.close()


class _Tile:
    """What is known of a file of a mosaic."""

    def __init__(self, path: Any) -> None:
        with RasterFile(path) as file:
            self.path = os.fspath(path)
            self.grid, self.bands, self.nodata, self.dtype = file.grid, file.bands, file.nodata, file.dtype
            self.n_bands, self.block_shape, self.has_mask = file.n_bands, file.block_shape, file.has_mask
            # GDAL's own name of a remote file, which a virtual raster needs.
            self.name = file.gdal_name if is_remote(self.path) else str(Path(self.path).absolute())


def _check_alike(tiles: Sequence[_Tile]) -> None:
    first = tiles[0]
    for tile in tiles:
        for what, one, other in (
            ("bands", first.bands or first.n_bands, tile.bands or tile.n_bands),
            ("dtype", first.dtype, tile.dtype),
            ("nodata", first.nodata, tile.nodata),
        ):
            if repr(one) != repr(other):
                raise BandError(
                    f"{tile.path} has {what} {other}, and {first.path} has {one}: a mosaic needs files that are alike"
                )
        if tile.has_mask:
            raise BandError(f"{tile.path} tells missing pixels by a mask, which a mosaic cannot have: give it a nodata value")


def _together(grids: Sequence[Grid]) -> tuple[Grid, list[tuple[int, int]]]:
    """Return the grid of several, and row and column of each in it."""
    first, corners = grids[0], []
    for grid in grids:
        if grid.crs != first.crs:
            raise GridError(f"the files of a mosaic have different CRSs ({grid.differs_from(first)}): warp them to one")
        step = ~first.transform @ grid.transform
        row, col = round(step.f), round(step.c)
        if first.window(row, col, *grid.shape).differs_from(grid):
            told = [
                f"of {one.transform.a:g} x {-one.transform.e:g} from {one.bounds[0]:g}, {one.bounds[3]:g}"
                for one in (first, grid)
            ]
            raise GridError(f"the files of a mosaic lie on different pixels ({told[0]}, and {told[1]}): warp them to one grid")
        corners.append((row, col))
    top, left = min(row for row, _ in corners), min(col for _, col in corners)
    bottom = max(row + grid.height for (row, _), grid in zip(corners, grids, strict=True))
    right = max(col + grid.width for (_, col), grid in zip(corners, grids, strict=True))
    return first.window(top, left, bottom - top, right - left), [(row - top, col - left) for row, col in corners]


def _has_gaps(grid: Grid, places: Iterable[tuple[int, int]], tiles: Sequence[_Tile]) -> bool:
    boxes = [
        shapely.box(col, row, col + tile.grid.width, row + tile.grid.height)
        for (row, col), tile in zip(places, tiles, strict=True)
    ]
    return bool(round(shapely.union_all(boxes).area) < grid.size)


def _vrt(grid: Grid, places: Sequence[tuple[int, int]], tiles: Sequence[_Tile]) -> bytes:
    """Return the virtual raster's description, in the XML that GDAL reads."""
    first = tiles[0]
    root = ET.Element("VRTDataset", rasterXSize=str(grid.width), rasterYSize=str(grid.height))
    if grid.crs is not None:
        ET.SubElement(root, "SRS").text = grid.crs.to_wkt()
    if grid.is_georeferenced:
        ET.SubElement(root, "GeoTransform").text = ", ".join(repr(value) for value in grid.transform.to_gdal())
    for number, nodata in enumerate(first.nodata, 1):
        band = ET.SubElement(root, "VRTRasterBand", dataType=typename_fwd[dtype_rev[first.dtype]], band=str(number))
        if first.bands is not None:
            ET.SubElement(band, "Description").text = first.bands[number - 1]
        if nodata is not None:
            ET.SubElement(band, "NoDataValue").text = repr(nodata)
        for (row, col), tile in zip(places, tiles, strict=True):
            _add_source(band, number, nodata, tile, (row, col))
    return ET.tostring(root)


def _add_source(band: ET.Element, number: int, nodata: float | None, tile: _Tile, place: tuple[int, int]) -> None:
    source = ET.SubElement(band, "SimpleSource" if nodata is None else "ComplexSource")
    # Each thread opens the mosaic for itself, and must not share what is below.
    ET.SubElement(source, "SourceFilename", relativeToVRT="0", shared="0").text = tile.name
    ET.SubElement(source, "SourceBand").text = str(number)
    size = {"xSize": str(tile.grid.width), "ySize": str(tile.grid.height)}
    # With these GDAL opens a file when it is read, and not before.
    known = {"RasterXSize": size["xSize"], "RasterYSize": size["ySize"], "DataType": typename_fwd[dtype_rev[tile.dtype]]}
    blocks = {"BlockXSize": str(tile.block_shape[1]), "BlockYSize": str(tile.block_shape[0])}
    ET.SubElement(source, "SourceProperties", known | blocks)
    ET.SubElement(source, "SrcRect", {"xOff": "0", "yOff": "0"} | size)
    ET.SubElement(source, "DstRect", {"xOff": str(place[1]), "yOff": str(place[0])} | size)
    if nodata is not None:
        ET.SubElement(source, "NODATA").text = repr(nodata)
