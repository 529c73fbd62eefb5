"""The files of a mosaic: what they have in common, as VRTs and tile indexes of GDAL write it down."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

import rasterio
from rasterio.enums import MaskFlags

from pixelwise.errors import BandError, PixelwiseWarning
from pixelwise.raster.grid import Grid
from pixelwise.raster.io import opening
from pixelwise.raster.legend import map_classes

__all__ = ["MosaicTile", "common_bands", "read_tiles"]

_GDAL = {
    "uint8": "Byte", "int8": "Int8", "uint16": "UInt16", "int16": "Int16", "uint32": "UInt32", "int32": "Int32",
    "uint64": "UInt64", "int64": "Int64", "float32": "Float32", "float64": "Float64", "complex64": "CFloat32",
    "complex128": "CFloat64",
}  # fmt: skip
#: Names of codes are short lists; GDAL numbers them from 0 without gaps.
_MOST_CATEGORIES = 1024


@dataclass(frozen=True)
class MosaicTile:
    """What a mosaic needs to know of a file.

    Parameters
    ----------
    path : str
        Path or URL.
    grid : Grid
        Where its pixels are.
    dtypes, bands, interps : tuple of str or None
        Dtype, description and GDAL's colour interpretation of each band.
    nodata : tuple of float or None
        Of each band.
    scales : tuple of (float, float)
        Scale and offset of each band.
    tags : tuple of dict
        Of each band, without statistics.
    colors : tuple of dict or None
        Colour table of each band.
    block_shape : (int, int)
        Rows and columns of a block.
    """

    path: str
    grid: Grid
    dtypes: tuple[str, ...]
    bands: tuple[str | None, ...]
    interps: tuple[str, ...]
    nodata: tuple[float | None, ...]
    scales: tuple[tuple[float, float], ...]
    tags: tuple[dict[str, str], ...]
    colors: tuple[dict[int, tuple[int, ...]] | None, ...]
    block_shape: tuple[int, int]


def read_tiles(files: Sequence[str]) -> list[MosaicTile]:
    """Open files, and return what they are, if they can be put into one mosaic.

    Parameters
    ----------
    files : sequence of str
        Paths or URLs.

    Returns
    -------
    list of MosaicTile

    Raises
    ------
    BandError
        If they differ in bands, dtype or nodata, one has a mask, or there are none.
    RasterReadError
        If one cannot be read.
    """
    if not files:
        raise BandError("a mosaic of no files has no pixels: name one or more")
    tiles = [_read(path) for path in files]
    first = tiles[0]
    what: dict[str, Callable[[MosaicTile], Any]] = {
        "bands": lambda tile: len(tile.dtypes),
        "dtypes": lambda tile: tile.dtypes,
        "nodata values": lambda tile: repr(tile.nodata),
        "band names": lambda tile: tile.bands,
    }
    for name, of in what.items():
        other = next((tile for tile in tiles if of(tile) != of(first)), None)
        if other is not None:
            raise BandError(
                f"{other.path} and {first.path} have different {name}, {of(other)} and {of(first)}: a mosaic takes files that "
                "one pipeline has made; leave out the others"
            )
    return tiles


def _read(path: str) -> MosaicTile:
    with opening(f"raster {path}"), rasterio.open(path) as file:
        if any(MaskFlags.per_dataset in flags for flags in file.mask_flag_enums):
            raise BandError(f"{path} has a mask, which a mosaic would lose: write it with a nodata value, as pixelwise does")
        numbers = file.indexes
        interps = tuple(interp.name for interp in file.colorinterp)
        return MosaicTile(
            path,
            Grid(file.crs, file.transform, file.height, file.width),
            tuple(file.dtypes),
            tuple(file.descriptions),
            interps,
            tuple(file.nodatavals),
            tuple(zip(file.scales, file.offsets, strict=True)),
            tuple(
                {key: value for key, value in file.tags(number).items() if not key.startswith("STATISTICS_")}
                for number in numbers
            ),
            tuple(
                file.colormap(number) if interp == "palette" else None for number, interp in zip(numbers, interps, strict=True)
            ),
            file.block_shapes[0],
        )


def common_bands(tiles: Sequence[MosaicTile]) -> list[ET.Element]:
    """Return for each band what all files say of it.

    Parameters
    ----------
    tiles : sequence of MosaicTile
        As from `read_tiles`.

    Returns
    -------
    list of Element
        Named Band, as tile indexes have it; the parts are those of VRTs too.

    Warns
    -----
    PixelwiseWarning
        If the files name their classes differently.
    """
    return [_common_band(tiles, at) for at in range(len(tiles[0].dtypes))]


def _common_band(tiles: Sequence[MosaicTile], at: int) -> ET.Element:
    first = tiles[0]
    band = ET.Element("Band", dataType=_GDAL[first.dtypes[at]], band=str(at + 1))
    tags = dict(set.intersection(*(set(tile.tags[at].items()) for tile in tiles)))
    classes = [map_classes(tile.tags[at]) for tile in tiles]
    other = next((tile for tile, named in zip(tiles, classes, strict=True) if named != classes[0]), None)
    if other is not None:
        warnings.warn(
            f"{other.path} and {first.path} name their classes differently: the mosaic has no names, and a code may stand "
            "for two classes; map them with one model, or make two mosaics",
            PixelwiseWarning,
            stacklevel=6,
        )
        tags = {key: value for key, value in tags.items() if key not in ("flag_values", "flag_meanings", "CLASS_NAMES")}
    _add_metadata(band, tags)
    if first.bands[at]:
        ET.SubElement(band, "Description").text = first.bands[at]
    if first.nodata[at] is not None:
        ET.SubElement(band, "NoDataValue").text = f"{first.nodata[at]:.17g}"
    if first.scales[at] != (1.0, 0.0) and all(tile.scales[at] == first.scales[at] for tile in tiles):
        for name, value in zip(("Scale", "Offset"), first.scales[at], strict=True):
            ET.SubElement(band, name).text = repr(value)
    _add_colors(band, tiles, at)
    if other is None:
        _add_categories(band, classes[0])
    return band


def _add_metadata(band: ET.Element, tags: Mapping[str, str]) -> None:
    if tags:
        metadata = ET.SubElement(band, "Metadata")
        for key, value in sorted(tags.items()):
            ET.SubElement(metadata, "MDI", key=key).text = value


def _add_colors(band: ET.Element, tiles: Sequence[MosaicTile], at: int) -> None:
    first = tiles[0]
    if any(tile.interps[at] != first.interps[at] or tile.colors[at] != first.colors[at] for tile in tiles):
        return
    ET.SubElement(band, "ColorInterp").text = first.interps[at].capitalize()
    colors = first.colors[at]
    if colors is not None:
        table = ET.SubElement(band, "ColorTable")
        for code in range(max(colors) + 1):
            parts = colors.get(code, (0, 0, 0, 0))
            ET.SubElement(table, "Entry", {f"c{place}": str(part) for place, part in enumerate(parts, 1)})


def _add_categories(band: ET.Element, classes: Mapping[int, str]) -> None:
    named = {code: name for code, name in classes.items() if 0 <= code < _MOST_CATEGORIES}
    if named:
        categories = ET.SubElement(band, "CategoryNames")
        for code in range(max(named) + 1):
            ET.SubElement(categories, "Category").text = named.get(code, "")
