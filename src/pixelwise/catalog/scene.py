"""One scene of a catalog, and chips of it: they know where they are, and hold no pixels until they are loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from rasterio.enums import Resampling
from rasterio.windows import Window

from pixelwise.catalog.facts import files_of
from pixelwise.errors import BandError, GridError
from pixelwise.operators.warping import resampling_named
from pixelwise.raster.carriers import Raster
from pixelwise.raster.dataarray import to_dataarray
from pixelwise.raster.grid import Grid
from pixelwise.raster.io import RasterFile, as_nan
from pixelwise.raster.onto import read_onto, window_on
from pixelwise.raster.open_files import keep_at_least, use_file

__all__ = ["GeoSlice", "Scene"]


@dataclass(frozen=True)
class Scene:
    """A raster of a catalog: one file, a file a band, or a series of dates of either. It is read when it is loaded.

    Scenes come from a `GeoCatalog`; they are small, and can be pickled.

    Parameters
    ----------
    uri : str, mapping of str to str, or tuple of them
        The file; the file of each band; or those of each date.
    grid : Grid
        Where its pixels are.
    metadata : mapping
        What its row of the catalog says: ``id``, ``datetime`` in ISO 8601 and UTC, ``bbox`` in degrees, and all columns that
        the catalog does not need for itself. It becomes ``attrs`` of what is loaded.
    bands : tuple of str or None
        Name of each band; None where the file names none.
    block_shape : (int, int) or None
        Rows and columns of the file's blocks.
    resampling : str or mapping of str to str, default="nearest"
        How bands are brought to the scene's grid that lie on another; of a mapping, those that it does not name are nearest.
    times : tuple of numpy.datetime64, or None
        Of a series of dates, these.
    nodata : tuple of (float or None), or None
        What marks missing pixels in each band, where its file does not say; one value is for all bands.

    Examples
    --------
    >>> import pixelwise as pw
    >>> path, _ = pw.datasets.make_example()
    >>> scene = pw.open_catalog(path)[0]
    >>> scene
    Scene('scene', 60 x 80 pixels, EPSG:32633, bands B02, B03, B04, B08)
    >>> scene.load(bands=["B08", "B04"]).shape
    (2, 60, 80)
    """

    uri: Any
    grid: Grid
    metadata: Mapping[str, Any] = field(default_factory=dict)
    bands: tuple[str, ...] | None = None
    block_shape: tuple[int, int] | None = None
    resampling: Any = "nearest"
    times: tuple[Any, ...] | None = None
    nodata: tuple[float | None, ...] | None = None

    @property
    def id(self) -> str:
        """What the scene is called: a file's name without suffix, the folder of several, the id of a STAC item."""
        return str(self.metadata.get("id", self.source_uri))

    @property
    def source_uri(self) -> str:
        """The file, or the first one of several."""
        first = self.uri
        while not isinstance(first, str):
            first = next(iter(first.values() if isinstance(first, Mapping) else first))
        return first

    def __repr__(self) -> str:
        crs = self.grid.crs
        code = None if crs is None else crs.to_epsg()
        named = f"EPSG:{code}" if code else "own CRS" if crs else "no CRS"
        bands = "unnamed" if self.bands is None else ", ".join(self.bands)
        return f"Scene({self.id!r}, {self.grid.height} x {self.grid.width} pixels, {named}, bands {bands})"

    def load(self, window: Window | None = None, bands: Sequence[str | int] | None = None) -> xr.DataArray:
        """Read the scene, or a window of it.

        The dtype does not depend on the window: it is that of the file, or floats with NaN where missing pixels are told by a
        mask, where bands have different nodata, or where a file of a band does not cover the scene.

        Parameters
        ----------
        window : rasterio.windows.Window or None
            Rows and columns within the scene; None reads all.
        bands : sequence of (str or int), or None
            Names or positions, in the order wanted; None reads all.

        Returns
        -------
        xarray.DataArray
            As `open_raster` gives it, of shape (band, y, x), or (band, time, y, x) for a series; ``attrs`` are the metadata.

        Raises
        ------
        RasterReadError
            If a file cannot be read; remote ones are tried three times.
        BandError
            If a band does not exist.
        GridError
            If the window lies beyond the scene, or the file is no longer what the catalog says.
        """
        return to_dataarray(self.read(window, bands))

    def read(self, window: Window | None = None, bands: Sequence[str | int] | None = None) -> Raster:
        """Read the scene, or a window of it, as a plain `Raster`, which costs less than a DataArray.

        Parameters
        ----------
        window : rasterio.windows.Window or None
            Rows and columns within the scene; None reads all.
        bands : sequence of (str or int), or None
            Names or positions, in the order wanted; None reads all.

        Returns
        -------
        Raster
            What `load` gives, in plain parts.
        """
        window = window or Window(0, 0, self.grid.width, self.grid.height)
        if not isinstance(window, Window):
            raise GridError(f"window={window!r} is no window: give rasterio.windows.Window(column, row, width, height)")
        rows, cols = window.row_off + window.height, window.col_off + window.width
        if min(window.row_off, window.col_off) < 0 or rows > self.grid.height or cols > self.grid.width:
            raise GridError(f"{window} reaches beyond the {self.grid.height} x {self.grid.width} pixels of scene {self.id}")
        grid = self.grid.window(window.row_off, window.col_off, window.height, window.width)
        if not isinstance(self.uri, str):
            keep_at_least(len(files_of(self.uri)))
        raster = self._read(self.uri, grid, bands)
        return replace(raster, attrs=dict(self.metadata))

    def _read(self, uri: Any, grid: Grid, bands: Sequence[str | int] | None) -> Raster:
        if isinstance(uri, str):
            return use_file(uri, lambda file: self._of_file(file, grid, bands))
        if isinstance(uri, Mapping):
            return self._stacked(uri, grid, bands)
        dates = [self._read(part, grid, bands) for part in uri]
        counts = sorted({date.n_bands for date in dates})
        if len(counts) > 1:
            raise BandError(
                f"dates of scene {self.id} have {counts[0]} bands and {counts[-1]}: stack those that belong together"
            )
        if len({repr(date.nodata) for date in dates}) > 1:
            dates = [as_nan(date) for date in dates]
        return replace(dates[0], values=np.stack([date.values for date in dates], axis=1), times=self.times)

    def _of_file(self, file: RasterFile, grid: Grid, bands: Sequence[str | int] | None) -> Raster:
        change = file.grid.differs_from(self.grid) if self.times is None else ""
        if change:
            raise GridError(f"{file.path} is no longer what the catalog says ({change}): open the catalog again")
        names = self.bands or tuple(f"band_{number}" for number in range(1, file.n_bands + 1))
        chosen = None if bands is None else [_position(band, names, self.id) for band in bands]
        marks = self._marks(file, range(file.n_bands))
        raster = read_onto(file, grid, bands=chosen, nodata=marks)
        if self.bands is not None and raster.bands is None:
            raster = replace(raster, bands=tuple(names[at] for at in (range(len(names)) if chosen is None else chosen)))
        return self._plain(raster, file, marks)

    def _plain(self, raster: Raster, file: RasterFile, marks: Sequence[float | None]) -> Raster:
        """Return a raster without a mask, in a dtype that does not depend on what part of the scene it is."""
        holes = None in marks and not _covers(file.grid, self.grid)
        return as_nan(raster) if file.has_mask or holes or len(set(map(repr, marks))) > 1 else raster

    def _marks(self, file: RasterFile, bands: Sequence[int]) -> tuple[float | None, ...]:
        """Return the nodata values of a file's bands: the file's own, or else what the catalog tells, if the dtype holds it."""
        told = self.nodata or (None,)
        if len(told) > 1 and max(bands) >= len(told):
            raise BandError(f"scene {self.id} has nodata for {len(told)} bands, and {file.path} more: give one value, or all")
        pairs = ((own, told[at if len(told) > 1 else 0]) for own, at in zip(file.nodata, bands, strict=True))
        return tuple(mark if own is None and _holds(file.dtype, mark) else own for own, mark in pairs)

    def _of_band(self, file: RasterFile, at: int, grid: Grid, resampling: Resampling) -> Raster:
        if file.n_bands != 1:
            raise BandError(f"{file.path} has {file.n_bands} bands, and a band of scene {self.id} needs a file of one")
        marks = self._marks(file, [at])
        return self._plain(read_onto(file, grid, resampling, nodata=marks), file, marks)

    def _stacked(self, files: Mapping[str, str], grid: Grid, bands: Sequence[str | int] | None) -> Raster:
        names = tuple(files)
        chosen = names if bands is None else [names[_position(band, names, self.id)] for band in bands]
        layers = []
        for band in chosen:
            name = self.resampling if isinstance(self.resampling, str) else self.resampling.get(band, "nearest")
            read = partial(self._of_band, at=names.index(band), grid=grid, resampling=resampling_named(name))
            layers.append(use_file(files[band], read))
        if len({repr(layer.nodata) for layer in layers}) > 1:
            layers = [as_nan(layer) for layer in layers]
        values = np.concatenate([layer.values for layer in layers])
        return Raster(values, grid, tuple(chosen), layers[0].nodata[:1])


def _position(band: str | int, names: Sequence[str], scene: str) -> int:
    if isinstance(band, int | np.integer) and -len(names) <= band < len(names):
        return int(band) % len(names)
    if band not in names:
        raise BandError(f"scene {scene} has no band {band!r}: choose one of {', '.join(names)}, or a position", band=band)
    return list(names).index(str(band))


def _holds(dtype: str, mark: float | None) -> bool:
    """Whether a pixel of a dtype can have a nodata value."""
    if mark is None or np.dtype(dtype).kind not in "iu":
        return mark is not None
    return float(mark).is_integer() and np.iinfo(dtype).min <= mark <= np.iinfo(dtype).max


def _covers(source: Grid, target: Grid) -> bool:
    """Whether a grid reaches as far as another in the same CRS; of those in different CRSs it is not known."""
    if source.crs != target.crs or not (source.is_rectilinear and target.is_rectilinear):
        return window_on(source, target) is not None
    (west, south, east, north), inner = source.bounds, target.bounds
    slack = 1e-3 * min(abs(target.transform.a), abs(target.transform.e))
    low = inner[0] >= west - slack and inner[1] >= south - slack
    return bool(low and inner[2] <= east + slack and inner[3] <= north + slack)


@dataclass(frozen=True)
class GeoSlice:
    """A chip of a scene that is not read yet: paths and places, and no pixels. It can be pickled.

    Parameters
    ----------
    scene : Scene
        Where it is cut from.
    window : rasterio.windows.Window
        Its rows and columns in the scene.

    See Also
    --------
    pixelwise.sampling : What draws them.

    Examples
    --------
    >>> import pixelwise as pw
    >>> path, _ = pw.datasets.make_example()
    >>> chip = pw.sampling.GridSampler(chip_size=(32, 32))(pw.open_catalog(path))[1]
    >>> chip
    GeoSlice('scene', rows 0:32, columns 32:64)
    >>> chip.load().shape, chip.grid.bounds
    ((4, 32, 32), (330320.0, 5821720.0, 330640.0, 5822040.0))
    """

    scene: Scene
    window: Window

    def __repr__(self) -> str:
        (top, bottom), (left, right) = self.window.toranges()
        return f"GeoSlice({self.scene.id!r}, rows {top}:{bottom}, columns {left}:{right})"

    @property
    def grid(self) -> Grid:
        """Where its pixels are."""
        window = self.window
        return self.scene.grid.window(window.row_off, window.col_off, window.height, window.width)

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What the catalog says of the scene."""
        return self.scene.metadata

    @property
    def source_uri(self) -> str:
        """The scene's file, or the first one of several."""
        return self.scene.source_uri

    def load(self, bands: Sequence[str | int] | None = None) -> xr.DataArray:
        """Read the pixels.

        Parameters
        ----------
        bands : sequence of (str or int), or None
            Names or positions, in the order wanted; None reads all.

        Returns
        -------
        xarray.DataArray
            As `Scene.load` gives it.

        Raises
        ------
        RasterReadError
            If the file cannot be read there.
        """
        return self.scene.load(self.window, bands)

    def read(self, bands: Sequence[str | int] | None = None) -> Raster:
        """Read the pixels as a plain `Raster`, which costs less than a DataArray.

        Parameters
        ----------
        bands : sequence of (str or int), or None
            Names or positions, in the order wanted; None reads all.

        Returns
        -------
        Raster
            What `load` gives, in plain parts.
        """
        return self.scene.read(self.window, bands)
