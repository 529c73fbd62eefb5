"""Raster files: opened whole as a DataArray, or read window by window."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import rasterio
import rasterio.io
import rasterio.vrt
import rioxarray
import xarray as xr
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from pixelwise.errors import BandError, GridError, MemoryBudgetError, RasterReadError
from pixelwise.raster.carriers import EXTREME, Raster, unwrap
from pixelwise.raster.dataarray import to_dataarray
from pixelwise.raster.grid import Grid
from pixelwise.raster.onto import read_onto

__all__ = ["ArraySource", "RasterFile", "open_raster", "open_source", "parse_memory"]

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
def _opening(what: str) -> Iterator[None]:
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
        self.path = os.fspath(source) if self._owned else source.name
        with _opening(f"raster {self.path}"):
            self._file = rasterio.open(source) if self._owned else source
        try:
            self._describe()
        except Exception:
            self.close()
            raise

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
        self.block_shape: tuple[int, int] = file.block_shapes[at[0]]
        self.tags = dict(file.tags())
        own_mask = any({MaskFlags.per_dataset} == set(file.mask_flag_enums[i]) for i in at)
        self.has_mask = bool(alpha) or own_mask

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
            values = self._file.read([self.indexes[at] for at in chosen], window=window)
            mask = self._file.dataset_mask(window=window) == 0 if self.has_mask else None
        grid = self.grid
        if window is not None:
            grid = grid.window(window.row_off, window.col_off, window.height, window.width)
        names = None if self.bands is None else tuple(self.bands[at] for at in chosen)
        nodata = tuple(self.nodata[at] for at in chosen)
        return Raster(values, grid, names, nodata, mask if mask is not None and mask.any() else None)

    def close(self) -> None:
        """Close the file, if it was opened here."""
        if self._owned:
            self._file.close()

    def __enter__(self) -> RasterFile:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


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
        return Raster(np.asarray(whole.cube[..., rows, cols]), grid, self.bands, self.nodata, mask, whole.times)

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


def open_raster(source: Any, chunks: Any = None, *, grid: Grid | None = None, resampling: str = "nearest") -> xr.DataArray:
    """Open a raster as a DataArray with axes (band, y, x).

    Values keep the file's dtype, and its nodata is declared on the array (``raster.rio.nodata``). A file whose missing pixels
    are told by a mask, an alpha band, or another nodata in each band is read as floats with NaN.

    Parameters
    ----------
    source : path, or mapping of str to path
        A file or URL that GDAL opens. A mapping from band names to files, one band each, is stacked: bands of other
        resolutions or CRSs are aligned to the finest grid among them.
    chunks : int, dict, "auto" or None
        Given, the array is a lazy dask array of such chunks.
    grid : Grid or None
        Where the pixels shall lie; None keeps the file's own grid, or the finest of several.
    resampling : str, default="nearest"
        How pixels are found on another grid: a name of ``rasterio.enums.Resampling``.

    Returns
    -------
    xarray.DataArray
        With the band names as the coordinate ``band`` where the file has them, and CRS and transform under ``.rio``.

    Raises
    ------
    RasterReadError
        If a file cannot be read.
    BandError
        If a file of a mapping has more than one band.

    Examples
    --------
    >>> import pixelwise as pw
    >>> scene, polygons = pw.datasets.make_example()
    >>> raster = pw.open_raster(scene)
    >>> raster.dims, raster.shape, raster.band.values.tolist()
    (('band', 'y', 'x'), (4, 60, 80), ['B02', 'B03', 'B04', 'B08'])
    """
    if isinstance(source, Mapping):
        array = _stack(source, grid, Resampling[resampling])
        return array if chunks is None else array.chunk(chunks)
    if grid is not None:
        with RasterFile(source) as file:
            raster = read_onto(file, grid, Resampling[resampling])
        array = to_dataarray(raster if raster.mask is None else as_nan(raster))
        return array if chunks is None else array.chunk(chunks)
    path = os.fspath(source)
    with RasterFile(path) as file:
        masked = file.has_mask or len({repr(value) for value in file.nodata}) > 1
        at, bands = [index - 1 for index in file.indexes], file.bands
    with _opening(f"raster {path}"):
        opened = rioxarray.open_rasterio(path, chunks=chunks, masked=masked)
    assert isinstance(opened, xr.DataArray)
    array = opened if len(at) == opened.sizes["band"] else opened.isel(band=at)
    array = array.assign_coords(band=list(bands)) if bands else array
    return _without_identity_scale(array)


def _without_identity_scale(array: xr.DataArray) -> xr.DataArray:
    idle = {"scale_factor": 1.0, "add_offset": 0.0}
    array.attrs = {key: value for key, value in array.attrs.items() if key != "long_name" and idle.get(key) != value}
    return array


def _stack(files: Mapping[str, Any], grid: Grid | None, resampling: Resampling) -> xr.DataArray:
    if not files:
        raise BandError("open_raster({}) names no files: pass {band name: path}")
    opened = {}
    try:
        for band, path in files.items():
            opened[band] = RasterFile(path)
            if opened[band].n_bands != 1:
                raise BandError(f"{path} has {opened[band].n_bands} bands, and band {band!r} needs a file of one")
        target = grid or min((file.grid for file in opened.values()), key=lambda g: abs(g.transform.determinant))
        layers = [read_onto(file, target, resampling) for file in opened.values()]
    finally:
        for file in opened.values():
            file.close()
    if any(layer.mask is not None for layer in layers) or len({repr(layer.nodata) for layer in layers}) > 1:
        layers = [as_nan(layer) for layer in layers]
    values = np.concatenate([layer.values for layer in layers])
    return to_dataarray(Raster(values, target, tuple(files), layers[0].nodata[:1]))


def as_nan(raster: Raster) -> Raster:
    """Return a raster in floats with NaN where data is missing: nodata, masks, infinities, and floats beyond 1e30."""
    values = raster.cube.astype(np.result_type(raster.values.dtype, np.float32))
    for band, nodata in zip(range(raster.n_bands), raster.nodata, strict=True):
        if raster.values.dtype.kind == "f":
            _drop_extremes(values[band])
        if nodata is not None:
            values[band][raster.cube[band] == nodata] = np.nan
    if raster.mask is not None:
        values[np.broadcast_to(raster.mask, values.shape)] = np.nan
    nan = (float("nan"),)
    return raster.with_values(values if raster.values.ndim > 2 else values[0], nodata=nan * raster.n_bands, mask=None)


def _drop_extremes(band: np.ndarray) -> None:
    """Set NaN where a band holds what no measurement is; a sum of squares tells whether there is anything to look for."""
    flat = band.ravel()
    with np.errstate(over="ignore", invalid="ignore"):
        if not np.dot(flat, flat) < EXTREME:
            band[~(np.abs(band) < EXTREME)] = np.nan
