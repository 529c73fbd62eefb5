"""Raster files, written: a map is there whole, with its names and colours, or not at all."""

from __future__ import annotations

import contextlib
import json
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from pixelwise.errors import FillValueError, RasterWriteError
from pixelwise.families import OutputType, default_fill
from pixelwise.raster.carriers import Raster, unwrap
from pixelwise.raster.cog import check_driver, cog_options, optimise
from pixelwise.raster.dates import dated_names
from pixelwise.raster.destination import check_destination, check_tiles, put_in_place, staged, tile_side
from pixelwise.raster.grid import Grid
from pixelwise.raster.io import RasterFile, as_nan, open_source
from pixelwise.raster.legend import add_categories, class_colors, map_classes
from pixelwise.raster.overviews import add_overviews, overview_factors, overview_resampling
from pixelwise.raster.profile import as_compression, copy_options, tiff_profile

__all__ = ["RasterWriter", "write_raster"]

#: Files that GDAL reads beside a GeoTIFF; those of an overwritten map would speak of the old one.
_SIDECARS = (".aux.xml", ".ovr", ".msk")
#: Attributes that are written as something else than a tag, or that describe other values than those written.
_NO_TAGS = {
    "flag_values", "flag_meanings", "class_names", "CLASS_NAMES", "long_name", "band_names", "descriptions", "_FillValue",
    "nodata", "missing_value", "nodatavals", "scale_factor", "add_offset", "scales", "offsets", "crs", "transform", "res",
    "grid_mapping",
}  # fmt: skip


class RasterWriter:
    """Writes a tiled, compressed GeoTIFF window by window, as a context manager.

    The file appears under its name when the ``with`` block ends without an error. Until then nothing but a hidden folder stands
    beside the destination, and any error removes that and leaves an existing file as it was.

    Parameters
    ----------
    path : path
        Destination, .tif or .tiff.
    grid : Grid
        Where the pixels are.
    dtype : dtype-like
        Dtype of the values.
    count : int, default=1
        Number of bands.
    nodata : int, float or None, default=None
        The value that marks missing data.
    bands : sequence of str or None, default=None
        Description of each band.
    tags : mapping or None, default=None
        Tags of the file.
    classes : mapping of int to str, or None, default=None
        Code and name of each class of a map of one band. They become CF ``flag_values`` and ``flag_meanings`` (exact names as
        JSON in ``CLASS_NAMES``), GDAL category names in the sidecar ``.aux.xml``, and, for uint8 and uint16, a colour table.
    colors : mapping of (str or int) to str, or None, default=None
        Colours of classes, "#rrggbb" by name or code; the others get one of a palette.
    compress : str or None, default="deflate"
        One of deflate, zstd, lzw, lzma, packbits, none.
    tile : (int, int), default=(256, 256)
        Height and width of a tile, multiples of 16.
    scale : (float, float) or None, default=None
        Scale and offset that turn values into quantities.
    driver : {"GTiff", "COG"}, default="GTiff"
        "COG" makes a cloud-optimised GeoTIFF, with overviews, of the finished file.
    overviews : bool or sequence of int, default=False
        Overviews of a GeoTIFF: True, or factors. Those of floats take the mean of several pixels, others one of them.
    whole_tiles : bool, default=True
        Whether windows cover whole tiles. If not, the file is compressed at the end, or it would be larger than need be.

    Raises
    ------
    RasterWriteError
        If the destination, dtype or compression is not possible, or a write fails.
    FillValueError
        If the dtype does not hold the nodata value.
    LabelError
        If `colors` does not fit the classes.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np, rasterio, pixelwise as pw
    >>> from rasterio.windows import Window
    >>> from pixelwise.raster.write import RasterWriter
    >>> grid = pw.Grid("EPSG:32633", rasterio.Affine(10, 0, 330000, 0, -10, 5822040), 32, 48)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/map.tif"
    ...     with RasterWriter(path, grid, dtype="uint8", nodata=255, classes={0: "forest", 1: "open water"}) as writer:
    ...         writer.write(np.ones((32, 48), "uint8"), Window(0, 0, 48, 32))
    ...     with rasterio.open(path) as file:
    ...         file.nodata, file.tags(1)["flag_meanings"], file.colormap(1)[1]
    (255.0, 'forest open_water', (86, 180, 233, 255))
    """

    def __init__(
        self,
        path: Any,
        grid: Grid,
        *,
        dtype: Any,
        count: int = 1,
        nodata: float | None = None,
        bands: Sequence[str] | None = None,
        tags: Mapping[str, Any] | None = None,
        classes: Mapping[int, str] | None = None,
        colors: Mapping[Any, str] | None = None,
        compress: str | None = "deflate",
        tile: tuple[int, int] = (256, 256),
        scale: tuple[float, float] | None = None,
        driver: str = "GTiff",
        overviews: bool | Sequence[int] = False,
        whole_tiles: bool = True,
    ) -> None:
        self.path = check_destination(path)
        self.grid, self.count, self.nodata, self.scale = grid, count, nodata, scale
        self.dtype = _file_dtype(dtype)
        self.bands, self.tags, self.classes = bands, dict(tags or {}), dict(classes or {})
        natural = default_fill(self.dtype)
        if nodata is not None and not OutputType(self.dtype, natural).holds(nodata):
            raise FillValueError(
                f"nodata={nodata:g} does not exist in {self.dtype}: use {natural}, or another dtype", nodata=nodata
            )
        method = as_compression(compress)
        self._overviews: list[int] = []
        self._copied: dict[str, Any] | None = None
        if check_driver(driver) == "COG":
            self._copied = {"driver": "COG", **cog_options(self.dtype, bool(self.classes), method)}
            if not isinstance(overviews, bool):
                why = f"overviews={overviews!r} are for driver='GTiff', and a COG has its own: leave them out"
                raise RasterWriteError(why)
        else:
            self._overviews = overview_factors(overviews, grid.shape)
            if not whole_tiles:
                profile = tiff_profile(grid, self.dtype, count, nodata, tile, method)
                self._copied = {"driver": "GTiff", **copy_options(profile)}
        # GDAL gives up the layout of COGs where bands that stand apart are not compressed.
        interleave = "pixel" if driver == "COG" and method == "none" else "band"
        # What is read once more is not worth compressing, and compressed tiles that are written again leave holes.
        method = "none" if self._copied else method
        self._options = tiff_profile(grid, self.dtype, count, nodata, tile, method, interleave)
        self._colors, self._finished = class_colors(self.classes, colors), False

    @classmethod
    def like(cls, raster: Raster, path: Any, grid: Grid, **options: Any) -> Self:
        """Return a writer for rasters with the bands, dtype, nodata and classes of this one.

        Parameters
        ----------
        raster : Raster
            An example, such as the first chip of a map.
        path : path
            Destination.
        grid : Grid
            The whole.
        **options : dict
            ``colors``, ``compress``, ``tile``, ``driver``, ``overviews``, ``whole_tiles``.

        Returns
        -------
        RasterWriter
        """
        attrs, shape = dict(raster.attrs), raster.cube.shape
        single = len(shape) == 3 and raster.n_bands == 1
        classes = map_classes(attrs) if raster.n_bands == 1 else {}
        title = attrs.get("long_name") or raster.name
        bands = raster.bands or ((str(title),) if single and title is not None else None)
        if len(shape) > 3:
            # A file has no time axis: each band and date is a band of it.
            bands = tuple(dated_names(raster.names if raster.n_bands > 1 else raster.bands or (), raster.times, shape[1]))
        scale = attrs.get("scale_factor", 1.0), attrs.get("add_offset", 0.0)
        given = scale != (1.0, 0.0) and all(isinstance(value, int | float | np.number) for value in scale)
        kept = {key: value for key, value in attrs.items() if key not in _NO_TAGS and not key.startswith("STATISTICS_")}
        return cls(
            path, grid, dtype=raster.values.dtype, count=math.prod(shape[:-2]), nodata=raster.nodata[0], bands=bands,
            classes=classes, scale=scale if given else None,
            tags={key: value for key, value in kept.items() if isinstance(value, str | int | float | np.number)}, **options,
        )  # fmt: skip

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            try:
                self._temporary = stack.enter_context(staged(self.path)) / self.path.name
            except OSError as error:
                why = f"{self.path} cannot be written: {error.strerror}; check the folder's permissions and free space"
                raise RasterWriteError(why) from error
            with self._writing():
                with _without_georeference():
                    self._file = rasterio.open(self._temporary, "w", **self._options)
                stack.callback(self._abandon)
                self._describe()
            self._stack = stack.pop_all()
        return self

    def _describe(self) -> None:
        # libtiff takes a colour table before the first pixel only.
        if self._colors and self.dtype in ("uint8", "uint16"):
            top = np.iinfo(self.dtype).max
            table = {code: color for code, color in self._colors.items() if 0 <= code <= top}
            self._file.write_colormap(1, table if self.nodata is None else {**table, int(self.nodata): (0, 0, 0, 0)})
        for number, name in enumerate(self.bands or (), 1):
            self._file.set_band_description(number, str(name))
        if self.scale is not None:
            self._file.scales, self._file.offsets = (self.scale[0],) * self.count, (self.scale[1],) * self.count
        if self.tags:
            self._file.update_tags(**{key: str(value) for key, value in self.tags.items()})
        if self.classes:
            names = list(self.classes.values())
            meanings = " ".join("_".join(name.split()) for name in names)
            exact = json.dumps(names, ensure_ascii=False)
            self._file.update_tags(1, flag_values=",".join(map(str, self.classes)), flag_meanings=meanings, CLASS_NAMES=exact)

    def write(self, values: np.ndarray, window: Window) -> None:
        """Write the values of a window.

        Parameters
        ----------
        values : ndarray of shape (y, x), (band, y, x) or (band, time, y, x)
            In the writer's dtype.
        window : rasterio.windows.Window
            Where they belong.

        Raises
        ------
        RasterWriteError
            If they do not fit, or the disk is full.
        """
        cube = np.concatenate(list(values)) if values.ndim > 3 else values if values.ndim > 2 else values[None]
        shape = (self.count, window.height, window.width)
        if cube.shape != shape or cube.dtype not in (np.dtype(self.dtype), np.dtype(bool)):
            found = f"values of shape {cube.shape} in {cube.dtype}"
            raise RasterWriteError(f"{found} do not fit a window of shape {shape} in {self.dtype}")
        with self._writing():
            self._file.write(cube.astype(self.dtype, copy=False), window=window)

    def finish(self) -> list[tuple[Path, Path]]:
        """Complete the file, and leave it to the caller to put it in place, together with others, inside the ``with`` block.

        Returns
        -------
        list of (pathlib.Path, pathlib.Path)
            For `put_in_place`; the map comes last.

        Raises
        ------
        RasterWriteError
            If it could not be written whole.
        """
        with self._writing():
            self._file.close()
            with _without_georeference():
                check_tiles(self._temporary)
                if self._copied:
                    optimise(self._temporary, self._copied)
                    check_tiles(self._temporary)
                if self._overviews:
                    add_overviews(self._temporary, self._overviews, overview_resampling(self.dtype, bool(self.classes)))
                    check_tiles(self._temporary)
            add_categories(self._temporary, self.classes)
        self._finished = True
        return [(Path(f"{self._temporary}{suffix}"), Path(f"{self.path}{suffix}")) for suffix in (*_SIDECARS, "")]

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        with self._stack:
            if kind is None and not self._finished:
                put_in_place(self.finish())

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        # What goes wrong in a copy or an overview rasterio hands on as GDAL's own.
        except (RasterioError, CPLE_BaseError, OSError) as error:
            cause = error.__cause__ or getattr(error, "strerror", None) or error
            raise RasterWriteError(f"{self.path} cannot be written: {cause}; check that the disk is not full") from error

    def _abandon(self) -> None:
        # What closing has to say of a file that is thrown away would hide the reason.
        with contextlib.suppress(RasterioError):
            self._file.close()


@contextlib.contextmanager
def _without_georeference() -> Iterator[None]:
    # Filters belong to all threads: this may stand round what the calling thread opens, never round what others read.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def _file_dtype(dtype: Any) -> str:
    kind = np.dtype(dtype)
    if kind == np.bool_:
        return "uint8"
    if kind == np.float16:
        raise RasterWriteError("float16 cannot be written: convert the raster with astype('float32')", dtype=kind.name)
    return str(kind.name)


def write_raster(
    raster: Any, path: Any, *, compress: str | None = "deflate", colors: Mapping[Any, str] | None = None,
    driver: str = "GTiff", overviews: bool | Sequence[int] = False,
) -> Path:  # fmt: skip
    """Write a raster as a tiled, compressed GeoTIFF, whole or not at all.

    A map that knows its classes gets their names, and a colour table. A lazy raster, or a file, is read and written block by
    block. Data that is missing by a mask becomes the nodata where there is one, else NaN; so does another nodata in each band.

    Parameters
    ----------
    raster : raster of any carrier
        Shape (band, y, x) or (y, x); of a time axis each band and date becomes a band, such as ``B04_2018-01``.
    path : path
        Destination, .tif or .tiff, also in ``s3://`` or ``gs://``; an existing file is replaced at the end.
    compress : str or None, default="deflate"
        One of deflate, zstd, lzw, lzma, packbits, none.
    colors : mapping of (str or int) to str, or None, default=None
        Colours of a map's classes, "#rrggbb" by name or code; the others get one of a palette for colour-blind people.
    driver : {"GTiff", "COG"}, default="GTiff"
        "COG" writes a cloud-optimised GeoTIFF, with overviews.
    overviews : bool or sequence of int, default=False
        Overviews of a GeoTIFF: True for halves of halves, or factors such as ``[2, 4, 8]``.

    Returns
    -------
    pathlib.Path
        The destination.

    Raises
    ------
    RasterWriteError
        If it cannot be written there.
    FillValueError
        If the dtype does not hold the nodata value.
    LabelError
        If `colors` does not fit the classes.

    See Also
    --------
    predict_raster : From file to file.

    Examples
    --------
    >>> import tempfile
    >>> import pixelwise as pw
    >>> scene, polygons = pw.datasets.make_example()
    >>> raster = pw.open_raster(scene)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     copy = pw.open_raster(pw.write_raster(raster, f"{folder}/copy.tif"))
    ...     bool((copy == raster).all()), copy.band.values.tolist()
    (True, ['B02', 'B03', 'B04', 'B08'])
    """
    place = check_destination(path)
    with open_source(raster) as source:
        whole = None if isinstance(source, RasterFile) else unwrap(raster)
        attrs = source.tags if whole is None else whole.attrs
        masked = source.has_mask if isinstance(source, RasterFile) else whole is not None and whole.mask is not None
        as_floats = len({repr(value) for value in source.nodata}) > 1 or (masked and source.nodata[0] is None)
        pixel = _plain(source.read(Window(0, 0, 1, 1)), as_floats)
        example = Raster(pixel.values, pixel.grid, source.bands, pixel.nodata, times=pixel.times, attrs=attrs)
        sides = list(zip(source.block_shape, source.grid.shape, strict=True))
        height, width = (min(max(block, 1024 // block * block), side) for block, side in sides)
        tile = tile_side(height, source.grid.height), tile_side(width, source.grid.width)
        options = {"compress": compress, "colors": colors, "tile": tile, "driver": driver, "overviews": overviews}
        with RasterWriter.like(example, place, source.grid, **options) as writer:
            for window in source.grid.windows(height, width):
                writer.write(_plain(source.read(window), as_floats).values, window)
    return place


def _plain(raster: Raster, as_floats: bool) -> Raster:
    """Return a raster in which one value marks all missing data."""
    if as_floats:
        return as_nan(raster)
    if raster.mask is None:
        return raster
    cube = np.where(raster.mask, np.asarray(raster.nodata[0], raster.values.dtype), raster.cube)
    return raster.with_values(cube, mask=None)
