"""Overviews: smaller copies inside a file, which a map viewer reads instead of all pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import Resampling

from pixelwise.errors import RasterWriteError
from pixelwise.raster.open_files import gdal_cache

__all__ = ["add_overviews", "overview_factors", "overview_resampling"]

#: Rows and columns of what a viewer shows at once: an overview that is as small is the last.
_SMALL = 256
#: Bytes of GDAL's cache, which else takes a share of all memory.
_CACHE = 16 * 2**20


def overview_factors(overviews: bool | Sequence[int], shape: tuple[int, int]) -> list[int]:
    """Return by how much each overview is smaller.

    Parameters
    ----------
    overviews : bool or sequence of int
        True for halves of halves, until one has 256 pixels a side at the most; False for none; or the factors.
    shape : (int, int)
        Height and width of the raster.

    Returns
    -------
    list of int

    Raises
    ------
    RasterWriteError
        If a factor is no whole number above 1.

    Examples
    --------
    >>> from pixelwise.raster.overviews import overview_factors
    >>> overview_factors(True, (1000, 3000)), overview_factors(False, (1000, 3000)), overview_factors([4, 16], (1000, 3000))
    ([2, 4, 8, 16], [], [4, 16])
    """
    if isinstance(overviews, bool):
        halvings = max(0, int(np.ceil(np.log2(max(shape) / _SMALL)))) if overviews else 0
        return [2**number for number in range(1, halvings + 1)]
    factors: Any = list(overviews) if isinstance(overviews, list | tuple | range | np.ndarray) else overviews
    if not isinstance(factors, list) or not all(isinstance(factor, int | np.integer) and factor > 1 for factor in factors):
        raise RasterWriteError(f"overviews={factors!r} are no factors: give whole numbers above 1, such as [2, 4, 8], or True")
    return [int(factor) for factor in factors]


def overview_resampling(dtype: str, classes: bool) -> Resampling:
    """Return what a pixel of an overview shows of several: the mean of floats, and one of them where that could mean nothing.

    Parameters
    ----------
    dtype : str
        Of the raster.
    classes : bool
        Whether its values are codes of classes.

    Returns
    -------
    rasterio.enums.Resampling

    Examples
    --------
    >>> from pixelwise.raster.overviews import overview_resampling
    >>> overview_resampling("uint8", True).name, overview_resampling("float32", False).name
    ('nearest', 'average')
    """
    return Resampling.average if np.dtype(dtype).kind == "f" and not classes else Resampling.nearest


def add_overviews(path: Path, factors: Sequence[int], resampling: Resampling) -> None:
    """Add overviews to a finished GeoTIFF.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    factors : sequence of int
        By how much each is smaller.
    resampling : rasterio.enums.Resampling
        What a pixel shows of several; pixels without data are left out.

    Raises
    ------
    rasterio.errors.RasterioError
        If they cannot be written.
    """
    with gdal_cache(_CACHE), rasterio.open(path, "r+") as file:
        file.build_overviews(list(factors), resampling)
