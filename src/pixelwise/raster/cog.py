"""Cloud-optimised GeoTIFF: a finished file laid out anew, so that a part or an overview is read with few requests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rasterio.shutil
from rasterio.errors import RasterioError

from pixelwise.errors import RasterWriteError
from pixelwise.raster.open_files import gdal_cache
from pixelwise.raster.overviews import overview_resampling
from pixelwise.raster.profile import DEFLATE_LEVEL, PREDICTED, is_predicted

__all__ = ["check_compress", "check_driver", "cog_options", "optimise"]

_DRIVERS = ("GTiff", "COG")
#: What the COG driver knows of the methods that GeoTIFF has; the last is none.
_COMPRESS = ("deflate", "zstd", "lzw", "lzma", "none")
_BLOCK = 256
#: Bytes of GDAL's cache, which else takes a share of all memory.
_CACHE = 16 * 2**20


def check_driver(driver: str) -> str:
    """Return a driver that maps are written with.

    Parameters
    ----------
    driver : str
        "GTiff" or "COG".

    Returns
    -------
    str

    Raises
    ------
    RasterWriteError
        If it is another one.
    """
    if driver not in _DRIVERS:
        raise RasterWriteError(f"driver={driver!r} is not known: choose one of {', '.join(_DRIVERS)}")
    return driver


def check_compress(compress: str | None) -> str:
    """Return how a COG is compressed.

    Parameters
    ----------
    compress : str or None
        One of deflate, zstd, lzw, lzma, none; None is none.

    Returns
    -------
    str

    Raises
    ------
    RasterWriteError
        If the driver does not know it.
    """
    method = (compress or "none").lower()
    if method not in _COMPRESS:
        raise RasterWriteError(f"compress={compress!r} is not known for COGs: choose one of {', '.join(_COMPRESS)}")
    return method


def cog_options(dtype: str, classes: bool, compress: str) -> dict[str, Any]:
    """Return how GDAL's COG driver shall write a map.

    Parameters
    ----------
    dtype : str
        Of the map.
    classes : bool
        Whether its codes are classes. Overviews of these, and of all integers, take a pixel of several; those of floats the
        mean.
    compress : str
        One of deflate, zstd, lzw, lzma, none.

    Returns
    -------
    dict

    Raises
    ------
    RasterWriteError
        If the driver does not know the compression.

    Examples
    --------
    >>> from pixelwise.raster.cog import cog_options
    >>> cog_options("uint8", True, "deflate")["overview_resampling"]
    'nearest'
    """
    compress = check_compress(compress)
    options = {
        "blocksize": _BLOCK,
        "compress": compress,
        "overviews": "ignore_existing",
        "overview_resampling": overview_resampling(dtype, classes).name,
        "bigtiff": "if_safer",
    }
    if compress in PREDICTED and is_predicted(dtype):
        options["predictor"] = "yes"
    if compress == "deflate":
        options["level"] = DEFLATE_LEVEL
    return options


def optimise(path: Path, options: dict[str, Any]) -> None:
    """Replace a GeoTIFF by one that is laid out anew, such as a cloud-optimised one.

    Parameters
    ----------
    path : pathlib.Path
        The file; it stands alone in its folder.
    options : dict
        The driver, and how it shall write.

    Raises
    ------
    rasterio.errors.RasterioError
        If it cannot be written.
    """
    made = path.with_name(f"optimised{path.suffix}")
    with gdal_cache(_CACHE):
        rasterio.shutil.copy(path, made, **options)
    if not made.stat().st_size:
        raise RasterioError("the file is empty")
    for suffix in ("", ".aux.xml"):
        old, new = Path(f"{path}{suffix}"), Path(f"{made}{suffix}")
        old.unlink(missing_ok=True)
        if new.exists():
            new.replace(old)
