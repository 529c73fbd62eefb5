"""Every pixel of a map, counted by class and row, strip by strip."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import rasterio
import rasterio.io
import rasterio.vrt
import xarray as xr
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window

from pixelwise.errors import BandError, LabelError
from pixelwise.raster.carriers import Raster, unwrap
from pixelwise.raster.grid import Grid, pixel_area
from pixelwise.raster.io import ArraySource, RasterFile, open_source
from pixelwise.raster.legend import map_classes
from pixelwise.table.layout import ToPixelMajor
from pixelwise.table.missing import NanPolicy, missing_values, valid_rows

__all__ = ["ClassCensus", "MapReader", "count_classes"]

#: Pixels that a strip should have, and may have at the most.
_STRIP, _LARGEST_STRIP = 4_000_000, 32_000_000
#: More different values than this are no classes.
_MOST_CLASSES = 1000


class MapReader:
    """A map of one band, open for reading its class codes window by window.

    Parameters
    ----------
    mapped : raster of any carrier, or ndarray of shape (y, x)
        The map.

    Raises
    ------
    BandError
        If it has several bands, or a time axis.
    LabelError
        If it gives two classes one name.

    Examples
    --------
    >>> import numpy as np
    >>> from rasterio.windows import Window
    >>> from pixelwise.assessment.census import MapReader
    >>> with MapReader(np.array([[1, 1], [2, 1]], "uint8")) as opened:
    ...     codes, valid = opened.read(Window(0, 0, 2, 2))
    >>> codes.tolist(), valid.all()
    ([[1, 1], [2, 1]], np.True_)
    """

    def __init__(self, mapped: Any) -> None:
        if isinstance(mapped, np.ndarray) and mapped.ndim == 2:
            mapped = mapped[None]
        self._source: RasterFile | ArraySource = open_source(mapped)
        try:
            if self._source.n_bands != 1:
                raise BandError(f"the map has {self._source.n_bands} bands: select the one with the classes first")
            self.names = _class_names(mapped)
        except Exception:
            self._source.close()
            raise
        self.grid: Grid = self._source.grid

    def label(self, code: int) -> Any:
        """Return the name of a class; its code where the map names none."""
        return self.names.get(int(code), str(int(code))) if self.names else int(code)

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Return the codes of a window, and where they are no nodata.

        Parameters
        ----------
        window : rasterio.windows.Window
            What to read.

        Returns
        -------
        codes : ndarray of shape (y, x)
        valid : ndarray of bool, shape (y, x)

        Raises
        ------
        LabelError
            If values are no whole numbers.
        """
        chip = self._source.read(window)
        if chip.values.ndim > 3:
            raise BandError(f"the map has a time axis, shape {chip.values.shape}: select a date first")
        codes, valid = chip.cube[0], _valid(chip)
        if codes.dtype.kind == "f":
            broken = valid & (codes != np.rint(np.where(valid, codes, 0)))
            if broken.any():
                raise LabelError(
                    f"the map holds {codes[broken][0]:g}, which is no class code: pass a map of classes, not of numbers"
                )
        return codes, valid

    def windows(self) -> Iterator[Window]:
        """Yield strips over the full width, of whole blocks, from the top down."""
        height, width = self._source.block_shape[0], self.grid.width
        rows = max(height, _STRIP // (height * width) * height)
        yield from self.grid.windows(max(1, min(rows, _LARGEST_STRIP // width)), width)

    def blocks(self, pixels: np.ndarray) -> Iterator[tuple[Window, np.ndarray]]:
        """Yield the blocks that hold pixels, and which of the pixels each holds.

        Parameters
        ----------
        pixels : ndarray of int, shape (n,)
            Row-major numbers.

        Yields
        ------
        window : rasterio.windows.Window
        at : ndarray of int
            Positions in `pixels`.
        """
        if not pixels.size:
            return
        height, width = self._source.block_shape
        rows, cols = np.divmod(pixels, self.grid.width)
        across = -(-self.grid.width // width)
        block = rows // height * across + cols // width
        order = np.argsort(block, kind="stable")
        numbers, starts = np.unique(block[order], return_index=True)
        for number, at in zip(numbers, np.split(order, starts[1:]), strict=True):
            row, col = int(number // across) * height, int(number % across) * width
            yield Window(col, row, min(width, self.grid.width - col), min(height, self.grid.height - row)), at

    def __enter__(self) -> MapReader:
        return self

    def __exit__(self, *exc: object) -> None:
        self._source.close()


def _class_names(mapped: Any) -> dict[int, str]:
    names = _legend(mapped)
    twice = [name for name in names.values() if list(names.values()).count(name) > 1]
    if twice:
        raise LabelError(f"the map calls two of its classes {twice[0]!r}: give each a name of its own in flag_meanings")
    return names


def _legend(mapped: Any) -> dict[int, str]:
    """Return what a map calls its classes, from its attributes or the tags of its file."""
    if isinstance(mapped, str | os.PathLike):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(mapped) as file:
                return map_classes({**file.tags(), **file.tags(1)})
    if isinstance(mapped, rasterio.io.DatasetReader | rasterio.vrt.WarpedVRT):
        return map_classes({**mapped.tags(), **mapped.tags(1)})
    if isinstance(mapped, xr.Dataset):
        return next(filter(None, (map_classes(each.attrs) for each in (*mapped.data_vars.values(), mapped))), {})
    return map_classes(unwrap(mapped).attrs)


def _valid(chip: Raster) -> np.ndarray:
    layout = ToPixelMajor()
    flat = layout.flatten(np.asarray(chip.cube))
    mask = None if chip.mask is None else np.broadcast_to(chip.mask, chip.cube.shape).ravel()
    marks = missing_values(flat.dtype, list(chip.names), list(chip.nodata), NanPolicy())
    there, _ = valid_rows(flat, marks, mask, NanPolicy(), "complete")
    if there is None:
        return np.ones(chip.grid.shape, bool)
    valid: np.ndarray = layout.unflatten(there[None], chip.cube.shape)[0]
    return valid


@dataclass(frozen=True, eq=False)
class ClassCensus:
    """Pixels of each class of a map, row by row.

    Parameters
    ----------
    codes : ndarray of int, shape (k,)
        Codes that occur, in order.
    labels : tuple
        Their names, or the codes themselves where the map names none.
    rows : ndarray of int, shape (k, height)
        Pixels of each class in each row.
    area : ndarray of float, shape (height,), or None
        Hectares of a pixel in each row; None where the map has no CRS.

    Examples
    --------
    >>> import numpy as np
    >>> from pixelwise.assessment.census import count_classes
    >>> census = count_classes(np.array([[1, 1], [2, 1]], "uint8"))
    >>> census.labels, census.pixels, census.hectares is None
    ((1, 2), array([3, 1]), True)
    """

    codes: np.ndarray
    labels: tuple[Any, ...]
    rows: np.ndarray
    area: np.ndarray | None

    @property
    def pixels(self) -> np.ndarray:
        """Pixels of each class."""
        return np.asarray(self.rows.sum(axis=1))

    @property
    def hectares(self) -> np.ndarray | None:
        """Area of each class in hectares, geodesic on a geographic CRS; None where the map has no CRS."""
        return None if self.area is None else np.asarray(self.rows @ self.area)


def count_classes(mapped: Any) -> ClassCensus:
    """Count the pixels of each class of a map in each row.

    Parameters
    ----------
    mapped : raster of any carrier, or MapReader
        A map of one band; a file is read strip by strip.

    Returns
    -------
    ClassCensus

    Raises
    ------
    LabelError
        If the map has no valid pixel, or more values than a map of classes has.
    """
    if not isinstance(mapped, MapReader):
        with MapReader(mapped) as opened:
            return count_classes(opened)
    rows: dict[int, np.ndarray] = {}
    for window in mapped.windows():
        codes, valid = mapped.read(window)
        for code in _present(codes, valid):
            if code not in rows:
                rows[code] = np.zeros(mapped.grid.height, np.int64)
            found = np.count_nonzero((codes == code) & valid, axis=1)
            rows[code][window.row_off : window.row_off + window.height] = found
        if len(rows) > _MOST_CLASSES:
            raise LabelError(f"the map holds more than {_MOST_CLASSES} different values: pass a map of classes, not of numbers")
    if not rows:
        raise LabelError("the map has no valid pixel: every one is nodata")
    order = sorted(rows)
    area = None if mapped.grid.crs is None else pixel_area(mapped.grid) / 10_000
    labels = tuple(mapped.label(code) for code in order)
    return ClassCensus(np.array(order, np.int64), labels, np.array([rows[code] for code in order]), area)


def _present(codes: np.ndarray, valid: np.ndarray) -> list[int]:
    values = codes[valid]
    if values.dtype.kind in "bu" and values.dtype.itemsize <= 2:
        return [int(code) for code in np.flatnonzero(np.bincount(values.astype(np.uint16, copy=False)))]
    return [int(code) for code in np.unique(values)]
