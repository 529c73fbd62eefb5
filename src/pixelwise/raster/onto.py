"""Files read onto any grid: the window that it is, or resampled pixels where it lies on other ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from rasterio.enums import Resampling
from rasterio.warp import reproject
from rasterio.windows import Window

from pixelwise.errors import GridError
from pixelwise.raster.carriers import Raster
from pixelwise.raster.grid import Grid, transform_xy
from pixelwise.raster.lattice import centre_x_y

if TYPE_CHECKING:
    from pixelwise.raster.io import RasterFile

__all__ = ["read_onto", "source_window", "window_on"]

#: Rows and columns of the target whose places are worked out at a time.
_TILE = 1024
#: Share of a pixel by which grids may differ and still lie on the same pixels.
_SAME = 1e-3
#: Source pixels beyond the target that a resampling looks at, in pixels of the coarser of the two.
_KERNEL = 4
#: Places along each side of the target at which the way to the source is looked at.
_STEPS = 21


def window_on(source: Grid, target: Grid) -> Window | None:
    """Return the window of a grid that another one is, or None where it lies beyond, or on other pixels.

    Parameters
    ----------
    source, target : Grid
        The whole, and what may be a part of it.

    Returns
    -------
    rasterio.windows.Window or None

    Examples
    --------
    >>> from pixelwise import Grid
    >>> from pixelwise.raster.onto import window_on
    >>> whole = Grid("EPSG:32633", (10, 0, 0, 0, -10, 0), 50, 60)
    >>> window_on(whole, whole.window(3, 4, 10, 20))
    Window(col_off=4, row_off=3, width=20, height=10)
    """
    if source.crs != target.crs:
        return None
    step = ~source.transform @ target.transform
    col, row = round(step.c), round(step.f)
    inside = 0 <= col <= source.width - target.width and 0 <= row <= source.height - target.height
    if not inside or source.window(row, col, *target.shape).differs_from(target):
        return None
    return Window(col, row, target.width, target.height)


def read_onto(
    file: RasterFile,
    grid: Grid,
    resampling: Resampling = Resampling.nearest,
    bands: Sequence[int] | None = None,
    nodata: Sequence[float | None] | None = None,
) -> Raster:
    """Read the part of a file that a grid covers, onto that grid.

    Nearest neighbours are exact: a pixel is the same whichever part of the grid is read.

    Parameters
    ----------
    file : RasterFile
        An open file.
    grid : Grid
        Where the pixels shall lie.
    resampling : rasterio.enums.Resampling, default=Resampling.nearest
        How pixels are found on another grid; all but nearest neighbours are exact to an eighth of a pixel.
    bands : sequence of int or None
        Positions from 0 of the bands to read; None reads all.
    nodata : sequence of (float or None), or None
        What marks missing pixels in each band of the file; None takes what it declares.

    Returns
    -------
    Raster
        Where the file does not reach there is nodata, or, if it declares none, the mask is True.

    Raises
    ------
    GridError
        If the grids differ and one of them has no CRS.
    RasterReadError
        If the file is damaged there.
    """
    window = window_on(file.grid, grid)
    told = file.nodata if nodata is None else nodata
    marks = tuple(told if bands is None else [told[at] for at in bands])
    if window is not None:
        part = file.read(None if file.grid.shape == grid.shape else window, bands)
        return part.with_values(part.values, grid=grid, nodata=marks)
    if file.grid.crs is None or grid.crs is None:
        raise GridError(f"raster {file.path} has no CRS, so it cannot be aligned to another grid: set its CRS first")
    if resampling is Resampling.nearest:
        return _nearest(file, grid, bands, marks)
    return _resampled(file, grid, resampling, bands, marks)


def _positions(source: Grid, target: Grid, rows: np.ndarray, cols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return row and column on the source under pixel centres of the target, with fractions, in shapes that broadcast."""
    x, y = centre_x_y(target, rows, cols)
    if source.crs != target.crs:
        x, y = np.broadcast_arrays(x, y)
        xy = transform_xy(np.column_stack([x.ravel(), y.ravel()]), target.crs, source.crs)
        moved = np.empty((2, *x.shape))
        moved[0].flat, moved[1].flat = xy[:, 0], xy[:, 1]
        x, y = moved
    a, b, c, d, e, f = tuple(~source.transform)[:6]
    return (e * y if d == 0 else d * x + e * y) + f, (a * x if b == 0 else a * x + b * y) + c


def _nearest(file: RasterFile, grid: Grid, bands: Sequence[int] | None, nodata: tuple[float | None, ...]) -> Raster:
    source, chosen = file.grid, range(file.n_bands) if bands is None else bands
    names = None if file.bands is None else tuple(file.bands[at] for at in chosen)
    values = np.empty((len(chosen), *grid.shape), file.dtype)
    for band, fill in zip(values, nodata, strict=True):
        band[:] = 0 if fill is None else fill
    mask = np.zeros(grid.shape, bool)
    for window in grid.windows(_TILE, _TILE):
        where = window.toslices()
        rows, cols = np.arange(where[0].start, where[0].stop)[:, None], np.arange(where[1].start, where[1].stop)[None]
        row, col = (np.floor(np.nan_to_num(part, posinf=-1, neginf=-1)) for part in _positions(source, grid, rows, cols))
        inside = (row >= 0) & (row < source.height) & (col >= 0) & (col < source.width)
        mask[where] = ~inside
        if not inside.any():
            continue
        row, col = (part.clip(0, size - 1).astype(np.intp) for part, size in ((row, source.height), (col, source.width)))
        top, left = int(row.min()), int(col.min())
        part = file.read(Window(left, top, int(col.max()) - left + 1, int(row.max()) - top + 1), bands)
        at = np.broadcast_arrays(row - top, col - left)
        for band, found in zip(values, part.values, strict=True):
            np.copyto(band[where], found[tuple(at)], where=inside)
        if part.mask is not None:
            mask[where] |= part.mask[tuple(at)]
    if not file.has_mask and None not in nodata:
        return Raster(values, grid, names, nodata)
    return Raster(values, grid, names, nodata, mask if mask.any() else None)


def _resampled(
    file: RasterFile, grid: Grid, resampling: Resampling, bands: Sequence[int] | None, nodata: tuple[float | None, ...]
) -> Raster:
    window = source_window(file.grid, grid)
    if window is None:
        return _nearest(file, grid, bands, nodata)
    part = replace(file.read(window, bands), nodata=nodata)
    source = {"src_transform": part.grid.transform, "src_crs": part.grid.crs}
    target = {"dst_transform": grid.transform, "dst_crs": grid.crs, "resampling": resampling}
    covered = np.zeros(grid.shape, "uint8")
    there = np.ones(part.grid.shape, "uint8") if part.mask is None else (~part.mask).astype("uint8")
    reproject(there, covered, **source, **{**target, "resampling": Resampling.nearest})
    values = np.empty((part.n_bands, *grid.shape), part.values.dtype)
    for found, band, fill in zip(part.values, values, part.nodata, strict=True):
        band[:] = 0 if fill is None else fill
        # A hidden pixel must not spread into its neighbours: NaN is left out of every mean.
        layer: Any = found if part.mask is None else np.where(part.mask, np.nan, found.astype(_float(found)))
        into = band.astype(layer.dtype)
        options = {} if fill is None else {"src_nodata": fill, "dst_nodata": fill}
        reproject(layer, into, init_dest_nodata=fill is not None, **options, **source, **target)
        np.copyto(band, into, casting="unsafe", where=~np.isnan(into) if layer.dtype.kind == "f" else True)
    mask = covered == 0
    hidden = mask.any() and (file.has_mask or None in part.nodata)
    return Raster(values, grid, part.bands, part.nodata, mask if hidden else None)


def _float(values: np.ndarray) -> Any:
    return np.result_type(values.dtype, np.float32)


def source_window(source: Grid, target: Grid) -> Window | None:
    """Return the part of the source that a target's pixels and those round them come from; None where there is none.

    Parameters
    ----------
    source, target : Grid
        Grids, in any CRS.

    Returns
    -------
    rasterio.windows.Window or None
    """
    along = np.linspace(0, 1, _STEPS)
    rows, cols = along * (target.height - 1), along * (target.width - 1)
    row, col = (part.ravel() for part in np.broadcast_arrays(*_positions(source, target, rows[:, None], cols[None])))
    known = np.isfinite(row) & np.isfinite(col)
    if not known.any():
        return None
    row, col = row[known], col[known]
    # As many source pixels as a target pixel is wide, where it is the wider.
    scale = max(1.0, np.ptp(row) / max(target.height - 1, 1), np.ptp(col) / max(target.width - 1, 1))
    margin = int(np.ceil(_KERNEL * scale)) + 1
    top, left = max(int(row.min()) - margin, 0), max(int(col.min()) - margin, 0)
    bottom, right = min(int(row.max()) + margin + 1, source.height), min(int(col.max()) + margin + 1, source.width)
    return None if bottom <= top or right <= left else Window(left, top, right - left, bottom - top)
