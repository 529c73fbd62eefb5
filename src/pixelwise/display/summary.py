"""What a raster file holds, from one small read of it, and what in it looks wrong."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from pixelwise.display.preview import missing_pixels, preview
from pixelwise.errors import MissingDataWarning
from pixelwise.raster.carriers import EXTREME, Raster
from pixelwise.raster.grid import Grid, crs_name
from pixelwise.raster.io import RasterFile
from pixelwise.raster.legend import map_classes
from pixelwise.table.missing import report_suspected_fill

__all__ = ["BandSummary", "RasterSummary", "summarize_raster"]

#: Values that sensors do not measure and files are filled with; 0 and 255 are left to the look at all bands together.
_FILLS = (-9999.0, -99999.0, -999.0, -32768.0, 32767.0, 65535.0)
_SUSPICIOUS = 0.001


@dataclass(frozen=True)
class BandSummary:
    """One band of a raster file.

    Parameters
    ----------
    name : str
        Its name, or a made-up one.
    nodata : float or None
        Declared nodata.
    minimum, maximum : float or None
        Range of the valid pixels that were read; None where there are none.
    missing : float
        Share of the pixels that lack data.

    Examples
    --------
    >>> from pixelwise.display.summary import BandSummary
    >>> BandSummary("B04", 0.0, 120.0, 9000.0, 0.25).missing
    0.25
    """

    name: str
    nodata: float | None
    minimum: float | None
    maximum: float | None
    missing: float


@dataclass(frozen=True)
class RasterSummary:
    """What a raster file holds.

    Parameters
    ----------
    path : str
        The file.
    crs : str
        Short name of its CRS, "none" where it has none.
    grid : Grid
        Where its pixels are.
    dtype : str
        Dtype of its values.
    block_shape : (int, int)
        Rows and columns of a block of the file.
    bands : tuple of BandSummary
        Its bands.
    classes : mapping of int to str
        Code and name of each class, where it names them.
    n_read : int
        Pixels of each band that ranges and shares come from.
    hints : tuple of str
        What looks wrong.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from pixelwise.display.summary import summarize_raster
    >>> summary = summarize_raster(pw.datasets.make_example()[0])
    >>> summary.crs, summary.dtype, len(summary.bands), summary.hints
    ('EPSG:32633', 'uint16', 4, ())
    """

    path: str
    crs: str
    grid: Grid
    dtype: str
    block_shape: tuple[int, int]
    bands: tuple[BandSummary, ...]
    classes: dict[int, str]
    n_read: int
    hints: tuple[str, ...]


def summarize_raster(path: Any, most: int = 1024) -> RasterSummary:
    """Look at a raster file.

    Parameters
    ----------
    path : path
        A file that GDAL opens.
    most : int, default=1024
        Pixels of the longer side that are read; ranges of a larger file are those of a part of its pixels.

    Returns
    -------
    RasterSummary

    Raises
    ------
    RasterReadError
        If the file cannot be read.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from pixelwise.display.summary import summarize_raster
    >>> [band.name for band in summarize_raster(pw.datasets.make_example()[0]).bands]
    ['B02', 'B03', 'B04', 'B08']
    """
    with RasterFile(path) as file:
        name, grid, dtype, block = file.path, file.grid, file.dtype, file.block_shape
    small = preview(path, most)
    missing = missing_pixels(small)
    bands = []
    for label, nodata, values, gaps in zip(small.names, small.nodata, small.cube, missing, strict=True):
        valid = values[~gaps]
        low, high = (float(valid.min()), float(valid.max())) if valid.size else (None, None)
        bands.append(BandSummary(label, nodata, low, high, float(gaps.mean())))
    return RasterSummary(
        str(name),
        crs_name(grid.crs),
        grid,
        dtype,
        block,
        tuple(bands),
        map_classes(small.attrs),
        small.grid.size,
        _hints(small, missing),
    )


def _hints(small: Raster, missing: np.ndarray) -> tuple[str, ...]:
    hints = []
    if small.grid.crs is None:
        hints.append("there is no CRS: metres, areas and labels in another CRS mean nothing until it is set")
    empty = [name for name, gaps in zip(small.names, missing, strict=True) if gaps.all()]
    if empty:
        hints.append(f"band {', '.join(empty)} has no valid pixel")
    hints += _fill_in_every_band(small, missing)
    for name, values, gaps in zip(small.names, small.cube, missing, strict=True):
        for fill in _FILLS:
            share = float(np.mean((values == fill) & ~gaps))
            if share >= _SUSPICIOUS and not any(f"{fill:g}" in hint for hint in hints):
                hints.append(
                    f"{share:.1%} of the pixels of band {name} are {fill:g}, which looks like nodata that nobody declared"
                )
        with np.errstate(invalid="ignore"):
            extreme = values.dtype.kind == "f" and bool((np.abs(values) >= EXTREME).any())
        if extreme and not any("1e30" in hint for hint in hints):
            hints.append(f"band {name} holds values beyond 1e30, which count as missing")
    return tuple(hints)


def _fill_in_every_band(small: Raster, missing: np.ndarray) -> list[str]:
    """Return what the model's own look for a fill says, without its remedy in Python."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MissingDataWarning)
        report_suspected_fill(small.cube[:, ~missing.any(axis=0)], "")
    return [str(warning.message).partition(":")[0] for warning in caught]
