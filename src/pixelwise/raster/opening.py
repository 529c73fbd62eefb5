"""Raster files opened as a DataArray: one file, a file a band, or a scene a date."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import rioxarray
import xarray as xr
from rasterio.enums import Resampling

from pixelwise.errors import BandError, GridError
from pixelwise.raster.carriers import Raster
from pixelwise.raster.dataarray import grid_of, to_dataarray
from pixelwise.raster.dates import as_times
from pixelwise.raster.grid import Grid
from pixelwise.raster.io import RasterFile, as_nan, opening
from pixelwise.raster.onto import read_onto

__all__ = ["open_raster"]


def open_raster(
    source: Any,
    chunks: Any = None,
    *,
    times: Sequence[Any] | None = None,
    grid: Grid | None = None,
    resampling: str = "nearest",
) -> xr.DataArray:
    """Open a raster as a DataArray with axes (band, y, x), or scenes of several dates with axes (band, time, y, x).

    Values keep the files' dtype, and their nodata is declared on the array (``raster.rio.nodata``). A file whose missing pixels
    are told by a mask, an alpha band, or another nodata in each band is read as floats with NaN.

    Parameters
    ----------
    source : path, mapping of str to path, or list of them
        A file or URL that GDAL opens. A mapping from band names to files, one band each, is stacked: bands of other
        resolutions or CRSs are aligned to the finest grid among them. A list is one scene a date; None stands for a scene that
        is missing.
    chunks : int, dict, "auto" or None
        Given, the array is a lazy dask array of such chunks.
    times : sequence of dates or None
        Date of each scene of a list, in any order: text such as ``"2018-01-31"``, datetime or datetime64. The steps ascend.
    grid : Grid or None
        Where the pixels shall lie; None keeps the file's own grid, the finest of several bands, or that of the first date.
    resampling : str, default="nearest"
        How pixels are found on another grid: a name of ``rasterio.enums.Resampling``.

    Returns
    -------
    xarray.DataArray
        With the band names as the coordinate ``band`` where the file has them, the dates as ``time``, and CRS and transform
        under ``.rio``. Steps and parts that a scene does not cover are nodata, or NaN where none is declared.

    Raises
    ------
    RasterReadError
        If a file cannot be read.
    BandError
        If a file of a mapping has more than one band, or scenes have other bands.
    GridError
        If scenes have no dates, or a lazy stack would have to be warped.

    Examples
    --------
    >>> import pixelwise as pw
    >>> scene, polygons = pw.datasets.make_example()
    >>> raster = pw.open_raster(scene)
    >>> raster.dims, raster.shape, raster.band.values.tolist()
    (('band', 'y', 'x'), (4, 60, 80), ['B02', 'B03', 'B04', 'B08'])
    >>> stack = pw.open_raster([scene, None, scene], times=["2018-03-01", "2018-02-01", "2018-01-01"])
    >>> stack.dims, stack.shape, stack.time.dt.month.values.tolist()
    (('band', 'time', 'y', 'x'), (4, 3, 60, 80), [1, 2, 3])
    """
    if isinstance(source, list | tuple):
        return _dated(source, times, chunks, grid, Resampling[resampling])
    if times is not None:
        raise GridError(f"times names {len(times)} dates, and source is one scene: pass a list of as many scenes")
    if isinstance(source, Mapping) or grid is not None:
        return _whole(source, grid, Resampling[resampling], chunks)
    if not isinstance(source, str | os.PathLike):
        raise TypeError(f"source is a {type(source).__name__}: give a path, a mapping or a list of paths; a Scene has load()")
    path = os.fspath(source)
    with RasterFile(path) as file:
        masked = file.has_mask or len({repr(value) for value in file.nodata}) > 1
        at, bands = [index - 1 for index in file.indexes], file.bands
        if file.is_mixed:
            return _whole(path, None, Resampling.nearest, chunks)
    with opening(f"raster {path}"):
        opened = rioxarray.open_rasterio(path, chunks=chunks, masked=masked)
    assert isinstance(opened, xr.DataArray)
    array = opened if len(at) == opened.sizes["band"] else opened.isel(band=at)
    array = array.assign_coords(band=list(bands)) if bands else array
    return _without_identity_scale(array)


def _whole(source: Any, grid: Grid | None, resampling: Resampling, chunks: Any) -> xr.DataArray:
    """Open what rioxarray does not open by itself, by reading all of it."""
    raster = _scene(source, grid, resampling)
    array = to_dataarray(raster if _has_one_nodata(raster, needed=False) else as_nan(raster))
    return array if chunks is None else array.chunk(chunks)


def _without_identity_scale(array: xr.DataArray) -> xr.DataArray:
    idle = {"scale_factor": 1.0, "add_offset": 0.0}
    array.attrs = {key: value for key, value in array.attrs.items() if key != "long_name" and idle.get(key) != value}
    return array


def _scene(source: Any, grid: Grid | None, resampling: Resampling) -> Raster:
    if isinstance(source, Mapping):
        return _bands(source, grid, resampling)
    with RasterFile(source) as file:
        return read_onto(file, grid or file.grid, resampling)


def _bands(files: Mapping[str, Any], grid: Grid | None, resampling: Resampling) -> Raster:
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
    return Raster(values, target, tuple(files), layers[0].nodata[:1])


def _dated(
    scenes: Sequence[Any], times: Sequence[Any] | None, chunks: Any, grid: Grid | None, resampling: Resampling
) -> xr.DataArray:
    """Stack scenes in the order of their dates."""
    dates = as_times(times)
    given = sum(scene is not None for scene in scenes)
    if dates is None or len(dates) != len(scenes) or not given:
        raise GridError(
            f"{len(scenes)} scenes ({given} of them there) and {'no' if dates is None else len(dates)} dates make no time "
            "axis: pass times=[...] with the date of each"
        )
    if dates.dtype.kind != "M" or np.isnat(dates).any():
        raise GridError(f"times={list(times or ())[:3]} ... are no dates: give text such as '2018-01-31', or datetime64")
    order = np.argsort(dates, kind="stable")
    ordered = [scenes[number] for number in order]
    if chunks is not None:
        return _lazily(ordered, dates[order], chunks, grid)
    return to_dataarray(_stacked(ordered, tuple(dates[order]), grid, resampling))


def _stacked(scenes: Sequence[Any], times: tuple[Any, ...], grid: Grid | None, resampling: Resampling) -> Raster:
    """Read scenes one after the other into one array; it turns to floats with NaN when one nodata value does not do for all."""
    stack: Raster | None = None
    for step, scene in enumerate(scenes):
        if scene is None:
            continue
        layer = _scene(scene, grid, resampling)
        if stack is None:
            layer = layer if _has_one_nodata(layer, needed=None in scenes) else as_nan(layer)
            fill = 0 if layer.nodata[0] is None else layer.nodata[0]
            empty = np.full((layer.n_bands, len(scenes), *layer.grid.shape), fill, layer.values.dtype)
            stack, grid = Raster(empty, layer.grid, layer.bands, layer.nodata, times=times), layer.grid
        layer = _in_order_of(stack, layer, scene)
        if layer.mask is not None or layer.values.dtype != stack.values.dtype or repr(layer.nodata) != repr(stack.nodata):
            stack, layer = _floats(stack), _floats(layer)
            if layer.values.dtype.itemsize > stack.values.dtype.itemsize:
                stack = stack.with_values(stack.values.astype(layer.values.dtype))
        stack.values[:, step] = layer.values
    assert stack is not None
    return stack


def _has_one_nodata(raster: Raster, *, needed: bool) -> bool:
    """Whether one value, or none where none is needed, marks all that is missing."""
    return raster.mask is None and len(set(map(repr, raster.nodata))) == 1 and not (needed and raster.nodata[0] is None)


def _floats(raster: Raster) -> Raster:
    done = raster.mask is None and all(value is not None and np.isnan(value) for value in raster.nodata)
    return raster if done else as_nan(raster)


def _in_order_of(stack: Raster, layer: Raster, scene: Any) -> Raster:
    if layer.bands is None or stack.bands is None or layer.bands == stack.bands:
        if layer.n_bands != stack.n_bands:
            raise BandError(f"scene {scene} has {layer.n_bands} bands, and the first has {stack.n_bands}: stack alike scenes")
        return layer
    if set(layer.bands) != set(stack.bands):
        raise BandError(
            f"scene {scene} has bands {layer.bands}, and the first has {stack.bands}: stack scenes of the same bands"
        )
    order = [layer.bands.index(name) for name in stack.bands]
    return layer.with_values(layer.values[order], bands=stack.bands, nodata=tuple(layer.nodata[at] for at in order))


def _lazily(scenes: Sequence[Any], times: np.ndarray, chunks: Any, grid: Grid | None) -> xr.DataArray:
    arrays = [None if scene is None else open_raster(scene, chunks) for scene in scenes]
    first = next(array for array in arrays if array is not None)
    wanted, nodata = grid or grid_of(first), repr(first.rio.nodata)
    for scene, array in zip(scenes, arrays, strict=True):
        if array is None:
            continue
        differs = grid_of(array).differs_from(wanted) or (repr(array.rio.nodata) != nodata and "another nodata")
        if differs:
            raise GridError(f"scene {scene} would have to be read whole ({differs}): leave chunks out, or warp the files first")
    dtype = first.dtype if first.rio.nodata is not None else np.result_type(first.dtype, np.float32)
    fill = np.nan if first.rio.nodata is None else first.rio.nodata
    filled = [xr.full_like(first, fill, dtype=dtype) if array is None else array for array in arrays]
    step = xr.DataArray(times, dims="time", name="time")
    stack = xr.concat(filled, step, combine_attrs="override", coords="minimal", compat="override")
    return stack.transpose("band", "time", "y", "x")
