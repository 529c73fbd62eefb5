"""Rasters read window by window: files, and what is open already."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import rasterio
import rasterio.io
import rasterio.vrt
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from pixelwise.errors import GridError, MemoryBudgetError, RasterReadError
from pixelwise.raster.carriers import EXTREME, Raster, unwrap
from pixelwise.raster.grid import Grid
from pixelwise.raster.remote import remote_reading

__all__ = ["ArraySource", "RasterFile", "as_nan", "open_source", "opening", "parse_memory", "read_bands"]

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def parse_memory(memory: str | int) -> int:
    """Return a memory budget in bytes.

    Parameters
    ----------
    memory : str or int
        Bytes, or a number with a unit: ``"512MB"``, ``"1.5GB"``, ``"256MiB"``.

    Returns
    -------
    int

    Raises
    ------
    MemoryBudgetError
        If it is no positive amount of memory.

    Examples
    --------
    >>> from pixelwise.raster.io import parse_memory
    >>> parse_memory("512MB"), parse_memory("1GiB")
    (512000000, 1073741824)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", str(memory))
    unit = _UNITS.get(found[2].upper()) if found else None
    if found is None or unit is None or float(found[1]) == 0:
        raise MemoryBudgetError(f"memory={memory!r} is no amount of memory: write it as '512MB' or '1GB'", memory=memory)
    return int(float(found[1]) * unit)


@contextmanager
def opening(what: str) -> Iterator[None]:
    """Turn GDAL's errors into ones that name what is opened, and keep quiet of files without a place."""
    # Filters belong to all threads: they are changed round opening alone, never round what a second thread reads.
    with _reading(what), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


@contextmanager
def _reading(what: str) -> Iterator[None]:
    try:
        yield
    except RasterioError as error:
        cause = error.__cause__ or error
        raise RasterReadError(f"{what} cannot be read: {cause}; check that the path is right and the file is whole") from error


class RasterFile:
    """A raster file, read window by window.

    Alpha bands are no features: they, and mask files, become the mask of what is read.

    Parameters
    ----------
    source : path or rasterio dataset
        A path or URL that GDAL opens, or a dataset that is open already (it is left open).

    Raises
    ------
    RasterReadError
        If the file cannot be opened, or holds several subdatasets.
    GridError
        If it is georeferenced by ground control points only.

    Examples
    --------
    >>> from pixelwise.raster.io import RasterFile
    >>> from pixelwise.datasets import make_example
    >>> with RasterFile(make_example()[0]) as file:
    ...     file.n_bands, file.dtype, file.grid.shape
    (4, 'uint16', (60, 80))
    """

    def __init__(self, source: Any) -> None:
        self._owned = isinstance(source, str | os.PathLike)
        self.path = self._name = os.fspath(source) if self._owned else source.name
        #: What is opened here, and can be opened once more.
        self.files: tuple[str, ...] = (self.path,) if self._owned else ()
        self._file = self._open() if self._owned else source
        try:
            self._describe()
        except Exception:
            self.close()
            raise

    def _open(self) -> Any:
        with opening(f"raster {self.path}"), remote_reading(self._name):
            return rasterio.open(self._name)

    def _reopen(self, between: Callable[[], object]) -> None:
        """Open the file once more, if it was opened here, and call a function while it is closed."""
        if self._owned:
            self._file.close()
            between()
            self._file = self._open()

    def _describe(self) -> None:
        file = self._file
        if file.count == 0:
            held = (
                f": open one of its {len(file.subdatasets)} subdatasets, such as {file.subdatasets[0]}"
                if file.subdatasets
                else ""
            )
            raise RasterReadError(f"raster {self.path} has no bands of its own{held}")
        if file.transform == rasterio.Affine.identity() and file.gcps[0]:
            raise GridError(
                f"raster {self.path} is georeferenced by ground control points only: warp it first, as with gdalwarp"
            )
        alpha = {
            i
            for i, role in enumerate(file.colorinterp, 1)
            if role is ColorInterp.alpha and file.count > 1 and self._is_alpha(i)
        }
        self.indexes = [i for i in range(1, file.count + 1) if i not in alpha]
        at = [index - 1 for index in self.indexes]
        self.grid = Grid(file.crs, file.transform, file.height, file.width)
        self.n_bands = len(self.indexes)
        self.bands = band_names([file.descriptions[i] for i in at])
        self.nodata = tuple(file.nodatavals[i] for i in at)
        self.dtype = np.result_type(*(file.dtypes[i] for i in at)).name
        #: Whether bands differ in dtype, as those of a VRT may.
        self.is_mixed = len({file.dtypes[i] for i in at}) > 1
        self.block_shape: tuple[int, int] = file.block_shapes[at[0]]
        self.tags = dict(file.tags())
        own_mask = any({MaskFlags.per_dataset} == set(file.mask_flag_enums[i]) for i in at)
        self.has_mask = bool(alpha) or own_mask
        #: A file has no time axis.
        self.times: tuple[Any, ...] | None = None
        self.n_times: int | None = None

    def _is_alpha(self, index: int) -> bool:
        """Whether an alpha band is one: GDAL makes the fourth band of any four 8-bit bands alpha, near infrared too."""
        if self._file.descriptions[index - 1]:
            return False
        height, width = self._file.block_shapes[index - 1]
        full, opaque = np.iinfo(self._file.dtypes[index - 1]).max if self._file.dtypes[index - 1][0] in "iu" else 1, False
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            row = int(share * (self._file.height - 1)) // height * height
            col = int(share * (self._file.width - 1)) // width * width
            window = Window(col, row, min(width, self._file.width - col), min(height, self._file.height - row))
            with _reading(f"raster {self.path}"):
                block = self._file.read(index, window=window)
            if not np.isin(block, (0, full)).all():
                return False
            opaque = opaque or bool((block == full).any())
        return opaque

    def read(self, window: Window | None = None, bands: Sequence[int] | None = None) -> Raster:
        """Read a window, or all.

        Parameters
        ----------
        window : rasterio.windows.Window or None
            What to read; None reads all.
        bands : sequence of int or None
            Positions from 0 of the bands to read; None reads all.

        Returns
        -------
        Raster
            Values of shape (band, y, x) in the file's dtype.

        Raises
        ------
        RasterReadError
            If the file is cut short or damaged there.
        """
        where = "" if window is None else f" at rows {window.row_off}+{window.height}, columns {window.col_off}+{window.width}"
        chosen = range(self.n_bands) if bands is None else bands
        with _reading(f"raster {self.path}{where}"):
            values = read_bands(self._file, [self.indexes[at] for at in chosen], window=window)
            mask = self._file.dataset_mask(window=window) == 0 if self.has_mask else None
        grid = self.grid
        if window is not None:
            grid = grid.window(window.row_off, window.col_off, window.height, window.width)
        names = None if self.bands is None else tuple(self.bands[at] for at in chosen)
        nodata = tuple(self.nodata[at] for at in chosen)
        values = values.astype(self.dtype, copy=False)
        return Raster(values, grid, names, nodata, mask if mask is not None and mask.any() else None, attrs=self.tags)

    def close(self) -> None:
        """Close the file, if it was opened here."""
        if self._owned:
            self._file.close()

    def __enter__(self) -> RasterFile:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def read_bands(
    file: Any, indexes: Sequence[int], window: Window | None = None, shape: tuple[int, int] | None = None
) -> np.ndarray:
    """Return bands of an open dataset as one array, since those of a VRT may be of several dtypes, which rasterio refuses."""
    if len({file.dtypes[index - 1] for index in indexes}) > 1:
        return np.stack([file.read(index, window=window, out_shape=shape) for index in indexes])
    return np.asarray(file.read(list(indexes), window=window, out_shape=None if shape is None else (len(indexes), *shape)))


class ArraySource:
    """A raster that is open already, read window by window as a `RasterFile` is.

    Parameters
    ----------
    source : raster of any carrier
        A lazy one is computed window by window.

    Examples
    --------
    >>> import numpy as np
    >>> from rasterio.windows import Window
    >>> from pixelwise.raster.io import ArraySource
    >>> ArraySource(np.zeros((2, 9, 9))).read(Window(0, 0, 3, 2)).values.shape
    (2, 2, 3)
    """

    def __init__(self, source: Any) -> None:
        self._raster = unwrap(source)
        self.path = type(source).__name__
        self.grid, self.bands, self.nodata = self._raster.grid, self._raster.bands, self._raster.nodata
        self.n_bands = self._raster.n_bands
        self.times = self._raster.times
        #: Number of dates; None where there is no time axis.
        self.n_times = int(self._raster.cube.shape[1]) if self._raster.cube.ndim > 3 else None
        self.dtype = self._raster.values.dtype.name
        chunks = getattr(self._raster.values, "chunksize", (512, 512))
        self.block_shape = (int(chunks[-2]), int(chunks[-1]))
        self.tags: dict[str, str] = {}

    def read(self, window: Window | None = None) -> Raster:
        """Return a window, or all, with axes (band, y, x) or (band, time, y, x)."""
        window = window or Window(0, 0, self.grid.width, self.grid.height)
        rows, cols = slice(window.row_off, window.row_off + window.height), slice(window.col_off, window.col_off + window.width)
        whole = self._raster
        mask = None if whole.mask is None else whole.mask[..., rows, cols]
        grid = self.grid.window(window.row_off, window.col_off, window.height, window.width)
        values = np.asarray(whole.cube[..., rows, cols])
        return Raster(values, grid, self.bands, self.nodata, mask, whole.times, whole.attrs)

    def close(self) -> None:
        """Do nothing: what was open before stays open."""

    def __enter__(self) -> ArraySource:
        return self

    def __exit__(self, *exc: object) -> None:
        """Do nothing."""


def open_source(source: Any) -> RasterFile | ArraySource:
    """Open a raster of any carrier for reading by windows; paths and rasterio datasets are not read until then."""
    is_file = isinstance(source, str | os.PathLike | rasterio.io.DatasetReader | rasterio.vrt.WarpedVRT)
    return RasterFile(source) if is_file else ArraySource(source)


def band_names(descriptions: list[str | None]) -> tuple[str, ...] | None:
    """Return band names from a file's descriptions: None where it has none, or where they do not tell bands apart."""
    if not any(descriptions):
        return None
    names = tuple(text or f"band_{number}" for number, text in enumerate(descriptions, 1))
    return names if len(set(names)) == len(names) else None


def as_nan(raster: Raster) -> Raster:
    """Return a raster in floats with NaN where data is missing: nodata, masks, infinities, and floats beyond 1e30."""
    values = raster.cube.astype(np.result_type(raster.values.dtype, np.float32))
    for band in range(raster.n_bands):
        _mark(values[band], raster, band, slice(None))
    nan = (float("nan"),)
    like = values if raster.values.ndim == raster.cube.ndim else values[0]
    return raster.with_values(like, nodata=nan * raster.n_bands, mask=None)


def in_floats(raster: Raster) -> Raster:
    """Return a raster as `as_nan` does, but only to be read: one that is so already is not copied.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> from pixelwise.raster.io import in_floats
    >>> raster = pw.unwrap(np.array([[[1.5, np.nan]]]))
    >>> np.shares_memory(in_floats(raster).values, raster.values), in_floats(raster).values.flags.writeable
    (True, False)
    """
    values = raster.values
    declared = any(_declared(raster, band) is not None for band in range(raster.n_bands))
    if values.dtype.kind != "f" or values.dtype.itemsize < 4 or declared or raster.mask is not None or has_extremes(values):
        return as_nan(raster)
    shared = values.view()
    shared.flags.writeable = False
    return raster.with_values(shared, nodata=(float("nan"),) * raster.n_bands)


def band_as_nan(raster: Raster, band: int, rows: slice = slice(None)) -> np.ndarray:
    """Return rows of a band in floats with NaN where data is missing, as `as_nan` does, and copy no more than is needed.

    Parameters
    ----------
    raster : Raster
        Whose band.
    band : int
        Position of the band.
    rows : slice
        Rows of it.

    Returns
    -------
    ndarray of float, shape (height, width) or (time, height, width)
        Only to be read: where nothing has to be marked these are the raster's own values.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> from pixelwise.raster.io import band_as_nan
    >>> raster = pw.Raster(np.array([[[1, 0]]], "uint8"), pw.unwrap(np.zeros((1, 1, 2))).grid, nodata=(0,))
    >>> band_as_nan(raster, 0)
    array([[ 1., nan]], dtype=float32)
    """
    stored = raster.cube[band][..., rows, :]
    dtype = np.result_type(stored.dtype, np.float32)
    if dtype == stored.dtype and _declared(raster, band) is None and raster.mask is None and not has_extremes(stored):
        return np.asarray(stored)
    values: np.ndarray = stored.astype(dtype)
    _mark(values, raster, band, rows)
    return values


def has_extremes(values: np.ndarray) -> bool:
    """Return whether floats, NaN left aside, hold what no measurement is: infinities, and numbers beyond 1e30.

    Examples
    --------
    >>> import numpy as np
    >>> from pixelwise.raster.io import has_extremes
    >>> has_extremes(np.array([1.0, np.nan])), has_extremes(np.array([1.0, -1.7e308]))
    (False, True)
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if values.flags.c_contiguous:
            # A sum of squares tells of all values at once, unless one is NaN.
            flat = values.ravel()
            if np.dot(flat, flat) < EXTREME:
                return False
        return bool(np.fmax.reduce(values, axis=None) >= EXTREME or np.fmin.reduce(values, axis=None) <= -EXTREME)


def _declared(raster: Raster, band: int) -> float | None:
    """Return the nodata value of a band, or None where it has none but NaN."""
    nodata = raster.nodata[band]
    return None if nodata is None or np.isnan(nodata) else nodata


def _mark(values: np.ndarray, raster: Raster, band: int, rows: slice) -> None:
    """Set NaN in a copy of rows of a band where data is missing."""
    nodata = _declared(raster, band)
    if raster.values.dtype.kind == "f" and has_extremes(values):
        with np.errstate(invalid="ignore"):
            values[~(np.abs(values) < EXTREME)] = np.nan
    if nodata is not None:
        values[raster.cube[band][..., rows, :] == nodata] = np.nan
    if raster.mask is not None:
        values[np.broadcast_to(raster.mask, raster.cube.shape)[band][..., rows, :]] = np.nan
