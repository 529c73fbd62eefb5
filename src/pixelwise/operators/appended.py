"""New bands behind those of a raster, or in their place, without a copy more than the result itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pixelwise.errors import BandError
from pixelwise.operators.base import band_position
from pixelwise.raster.carriers import Raster
from pixelwise.raster.io import band_as_nan

__all__ = ["appended", "chosen_bands", "planes", "room_for"]


def chosen_bands(raster: Raster, bands: Any) -> list[int]:
    """Return the positions of bands.

    Parameters
    ----------
    raster : Raster
        Whose bands.
    bands : str, int, sequence of them, or None
        Names or positions; None is all.

    Returns
    -------
    list of int
    """
    if bands is None:
        return list(range(raster.n_bands))
    many: Sequence[Any] = [bands] if isinstance(bands, str | int | np.integer) else bands
    return [band_position(raster, band, "bands") for band in many]


def planes(cube: np.ndarray) -> list[Any]:
    """Return the indices of all planes of rows and columns in an array of (..., y, x)."""
    return list(np.ndindex(cube.shape[:-2]))


def room_for(raster: Raster, count: int, append: bool, dtype: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """Return an array for the result, and the part of it for the new bands, which are not set yet.

    Parameters
    ----------
    raster : Raster
        What comes in, as it is stored or with NaN where data is missing.
    count : int
        Number of new bands.
    append : bool
        Whether the bands that come in stay in front of them.
    dtype : dtype or None
        Of the result; None takes that of the raster, or float32 for integers.

    Returns
    -------
    whole, new : ndarray
    """
    cube = raster.cube
    kept = len(cube) if append else 0
    whole = np.empty((kept + count, *cube.shape[1:]), np.result_type(cube.dtype, np.float32) if dtype is None else dtype)
    for band in range(kept):
        whole[band] = band_as_nan(raster, band)
    return whole, whole[kept:]


def appended(raster: Raster, whole: np.ndarray, names: Sequence[str], append: bool) -> Raster:
    """Return the result as a raster with named bands.

    Parameters
    ----------
    raster : Raster
        What came in.
    whole : ndarray
        From `room_for`, with the new bands set.
    names : sequence of str
        Names of the new bands.
    append : bool
        As for `room_for`.

    Returns
    -------
    Raster

    Raises
    ------
    BandError
        If two bands would have the same name.
    """
    bands = (*(raster.names if append else ()), *names)
    twice = next((name for at, name in enumerate(bands) if name in bands[:at]), None)
    if twice is not None:
        raise BandError(f"the result would have two bands {twice!r}: leave one out, or use append=False", band=twice)
    return raster.with_values(whole, bands=bands, nodata=(float("nan"),), mask=None, name=None)
