"""How a GeoTIFF is laid out: tiles, compression, and what GDAL would else guess."""

from __future__ import annotations

from typing import Any

import numpy as np

from pixelwise.errors import RasterWriteError
from pixelwise.raster.grid import Grid

__all__ = ["DEFLATE_LEVEL", "PREDICTED", "as_compression", "copy_options", "is_predicted", "tiff_profile"]

_COMPRESS = ("deflate", "zstd", "lzw", "lzma", "packbits", "none")
PREDICTED = ("deflate", "zstd", "lzw")
#: Of 9.
DEFLATE_LEVEL = 1
#: What describes the raster, and goes with it when it is copied.
_DESCRIPTION = ("driver", "width", "height", "count", "dtype", "nodata", "crs", "transform")


def as_compression(compress: str | None) -> str:
    """Return a compression by its name in lower case.

    Parameters
    ----------
    compress : str or None
        One of deflate, zstd, lzw, lzma, packbits, none; None is none.

    Returns
    -------
    str

    Raises
    ------
    RasterWriteError
        If it is another one.
    """
    method = str(compress or "none").lower()
    if method not in _COMPRESS:
        raise RasterWriteError(f"compress={compress!r} is not known: choose one of {', '.join(_COMPRESS)}")
    return method


def tiff_profile(
    grid: Grid, dtype: str, count: int, nodata: float | None, tile: tuple[int, int], compress: str, interleave: str = "band"
) -> dict[str, Any]:
    """Return what a GeoTIFF is made with.

    Parameters
    ----------
    grid : Grid
        Where its pixels are.
    dtype : str
        Of its values.
    count : int
        Number of bands.
    nodata : float or None
        The value that marks missing data.
    tile : (int, int)
        Height and width of a tile.
    compress : str
        As from `as_compression`.
    interleave : {"band", "pixel"}
        Whether bands, or the values of a pixel, stand together.

    Returns
    -------
    dict

    Raises
    ------
    RasterWriteError
        If tiles are no multiples of 16.

    Examples
    --------
    >>> from pixelwise import Grid
    >>> from pixelwise.raster.profile import tiff_profile
    >>> grid = Grid("EPSG:32633", (10, 0, 0, 0, -10, 0), 50, 60)
    >>> tiff_profile(grid, "float32", 1, None, (64, 64), "deflate")["predictor"]
    3
    """
    if any(side < 16 or side % 16 for side in tile):
        raise RasterWriteError(f"tile={tile} is not possible: give two multiples of 16")
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "width": grid.width,
        "height": grid.height,
        "count": count,
        "dtype": dtype,
        "nodata": nodata,
        "crs": grid.crs,
        "transform": grid.transform if grid.is_georeferenced else None,
        "tiled": True,
        "blockysize": tile[0],
        "blockxsize": tile[1],
        "interleave": interleave,
        "bigtiff": "if_safer",
        "compress": compress,
    }
    if count > 1:
        # Else GDAL calls the fourth of four 8-bit bands alpha.
        profile |= {"photometric": "minisblack", "alpha": "no"}
    kind = np.dtype(dtype)
    if compress in PREDICTED and is_predicted(dtype):
        profile["predictor"] = 3 if kind.kind == "f" else 2
    if compress == "deflate":
        # GDAL's level 6 takes seven times as long, for maps that are a tenth to a sixth smaller.
        profile["zlevel"] = DEFLATE_LEVEL
    return profile


def is_predicted(dtype: str) -> bool:
    """Return whether values of a dtype are worth being told by their differences.

    Parameters
    ----------
    dtype : str
        Of the values.

    Returns
    -------
    bool
        Not for codes of classes, whose differences are no smaller; nor for 64-bit integers, which older libtiffs cannot.
    """
    kind = np.dtype(dtype)
    return kind.kind == "f" or 1 < kind.itemsize < 8


def copy_options(profile: dict[str, Any]) -> dict[str, Any]:
    """Return what a copy is made with that shall be laid out as a profile says.

    Parameters
    ----------
    profile : dict
        As from `tiff_profile`.

    Returns
    -------
    dict
    """
    return {key: value for key, value in profile.items() if key not in _DESCRIPTION}
