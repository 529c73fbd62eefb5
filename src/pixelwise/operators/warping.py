"""A raster on another grid: tile by tile, so that a lazy raster gives what a loaded one gives."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.warp import reproject
from rasterio.windows import Window

from pixelwise.errors import CRSError, GridError
from pixelwise.raster.carriers import Raster
from pixelwise.raster.grid import Grid, crs_name, transform_xy
from pixelwise.raster.io import as_nan

__all__ = ["coarseness", "resampling_named", "warped"]

#: Rows and columns of a tile. Warps between CRSs are exact to an eighth of a pixel, so that tiles must not depend on chunks.
_TILE = 2048
#: Pixels beyond a tile that any resampling looks at, in pixels of the coarser grid.
_KERNEL = 4
#: Places along a side of a tile at which the way to the other grid is looked at.
_STEPS = 21
#: Stands for a plane without a CRS, in which GDAL shall take coordinates as they are.
_PLANE = CRS.from_epsg(3857)


def resampling_named(name: Any) -> Resampling:
    """Return GDAL's resampling of a name.

    Parameters
    ----------
    name : str or rasterio.enums.Resampling
        Such as "bilinear".

    Returns
    -------
    rasterio.enums.Resampling

    Raises
    ------
    GridError
        If there is none of this name, or GDAL does not warp with it.
    """
    if isinstance(name, Resampling) and name is not Resampling.gauss:
        return name
    known = [way.name for way in Resampling if way is not Resampling.gauss]
    if name not in known:
        raise GridError(f"resampling={name!r} is not known: choose 'auto' or one of {', '.join(known)}", resampling=name)
    return Resampling[name]


def coarseness(source: Grid, target: Grid) -> float:
    """Return how many times wider the target's pixels are than the source's, in the middle of the target.

    Parameters
    ----------
    source, target : Grid
        Grids with CRSs that can be brought together.

    Returns
    -------
    float
        NaN where the source's CRS has no coordinates there.
    """
    col, row = target.width / 2, target.height / 2
    corners = np.array([target.transform @ at for at in ((col, row), (col + 1, row), (col, row + 1))])
    with np.errstate(invalid="ignore"):
        found = _pixels(source, transform_xy(corners, target.crs, source.crs))
        (a, b), (d, e) = found[1] - found[0], found[2] - found[0]
        return float(np.sqrt(abs(a * e - b * d)))


def warped(raster: Raster, grid: Grid, resampling: Resampling, out: np.ndarray | None = None) -> Raster:
    """Bring a raster to another grid.

    Parameters
    ----------
    raster : Raster
        Values of shape (band, y, x) or (band, time, y, x), of any dtype; lazy ones stay lazy.
    grid : Grid
        Where the pixels shall lie.
    resampling : rasterio.enums.Resampling
        How they are found.
    out : ndarray of float or None
        Where the values shall go; for a raster that is not lazy.

    Returns
    -------
    Raster
        Floats; NaN where the raster has no data, or does not reach.

    Raises
    ------
    CRSError
        If only one of both has a CRS.
    """
    if (raster.grid.crs is None) != (grid.crs is None):
        raise CRSError(
            f"a raster with CRS {crs_name(raster.grid.crs)} cannot be aligned to a grid with CRS {crs_name(grid.crs)}: "
            "set the missing one",
            crs=(raster.grid.crs, grid.crs),
        )
    same = not raster.grid.differs_from(grid)
    if raster.is_lazy:
        return _lazily(raster, grid, resampling, same)
    cube = as_nan(raster).cube
    values = np.empty((*cube.shape[:-2], *grid.shape), cube.dtype) if out is None else out
    if same:
        values[...] = cube
    for window, part in () if same else _tiles(raster.grid, grid):
        for at in np.ndindex(cube.shape[:-2]):
            target = values[at][window.toslices()]
            # GDAL writes to whole arrays, and to no part of one.
            straight = (
                target if target.flags.c_contiguous and target.dtype == cube.dtype else np.empty(target.shape, cube.dtype)
            )
            _warp(cube[at], raster.grid, part, straight, grid, window, resampling)
            if straight is not target:
                target[...] = straight
    return Raster(values, grid, raster.bands, (math.nan,), times=raster.times, attrs=raster.attrs)


def _lazily(raster: Raster, grid: Grid, resampling: Resampling, same: bool) -> Raster:
    from dask.array import block, from_delayed, map_blocks
    from dask.delayed import delayed

    def floats(values: np.ndarray) -> np.ndarray:
        plain = Grid(None, grid.transform, *values.shape[-2:])
        found: np.ndarray = as_nan(Raster(values, plain, raster.bands, raster.nodata)).cube
        return found

    kind = np.result_type(raster.values.dtype, np.float32)
    lead = raster.cube.shape[:-2]
    cube: Any = map_blocks(  # type: ignore[no-untyped-call]
        floats, raster.cube.rechunk({0: -1}), dtype=kind, meta=np.empty((0,) * raster.cube.ndim, kind)
    )
    if not same:
        rows: dict[int, list[Any]] = {}
        for window, part in _tiles(raster.grid, grid):
            source = None if part is None else delayed(cube[..., *part.toslices()])
            task = delayed(_lazy_tile)(source, raster.grid, part, grid, window, resampling, lead, kind)
            shape = (*lead, window.height, window.width)
            rows.setdefault(window.row_off, []).append(from_delayed(task, shape, kind))  # type: ignore[no-untyped-call]
        cube = block(list(rows.values()))  # type: ignore[no-untyped-call]
    return Raster(cube, grid, raster.bands, (math.nan,), times=raster.times, attrs=raster.attrs)


def _tiles(source: Grid, target: Grid) -> Iterator[tuple[Window, Window | None]]:
    """Yield the tiles of the target, each with the window of the source that it needs; None where it needs none."""
    for window in target.windows(_TILE, _TILE):
        yield window, _needed(source, target.window(window.row_off, window.col_off, window.height, window.width))


def _needed(source: Grid, tile: Grid) -> Window | None:
    cols, rows = (np.linspace(0, length, _STEPS) for length in (tile.width, tile.height))
    a, b, c, d, e, f = tuple(tile.transform)[:6]
    col, row = (part.ravel() for part in np.meshgrid(cols, rows))
    xy = transform_xy(np.column_stack([a * col + b * row + c, d * col + e * row + f]), tile.crs, source.crs)
    at = _pixels(source, xy)
    at = at[np.isfinite(at).all(axis=1)]
    if not len(at):
        return None
    wide = coarseness(source, tile)
    # Between two places the way bends by less than a part of the distance between them.
    bend = np.ptp(at, axis=0).max() / _STEPS / 4
    margin = _KERNEL * max(1.0, wide if math.isfinite(wide) else 1.0) + bend
    left, top = np.maximum(np.floor(at.min(axis=0) - margin), 0).astype(int)
    right, bottom = np.minimum(np.ceil(at.max(axis=0) + margin), (source.width, source.height)).astype(int)
    return Window(int(left), int(top), int(right - left), int(bottom - top)) if right > left and bottom > top else None


def _pixels(grid: Grid, xy: np.ndarray) -> np.ndarray:
    """Return column and row of places, as (n, 2) floats."""
    a, b, c, d, e, f = tuple(~grid.transform)[:6]
    x, y = xy.T
    with np.errstate(invalid="ignore"):
        return np.column_stack([a * x + b * y + c, d * x + e * y + f])


def _lazy_tile(
    values: np.ndarray | None, source: Grid, part: Window | None, target: Grid, window: Window, resampling: Resampling,
    lead: tuple[int, ...], kind: np.dtype[Any],
) -> np.ndarray:  # fmt: skip
    """Warp all planes of a tile, of what is read of the source."""
    out = np.empty((*lead, window.height, window.width), kind)
    read = source if part is None else source.window(part.row_off, part.col_off, part.height, part.width)
    whole = None if part is None else Window(0, 0, part.width, part.height)
    for at in np.ndindex(lead):
        _warp(None if values is None else values[at], read, whole, out[at], target, window, resampling)
    return out


def _warp(
    plane: np.ndarray | None, source: Grid, part: Window | None, out: np.ndarray, target: Grid, window: Window,
    resampling: Resampling,
) -> None:  # fmt: skip
    """Warp what a tile needs of a plane; plane by plane, as GDAL takes pixels for missing where all bands are."""
    out[...] = np.nan
    if plane is None or part is None:
        return
    from_grid = source.window(part.row_off, part.col_off, part.height, part.width)
    to_grid = target.window(window.row_off, window.col_off, window.height, window.width)
    reproject(
        np.ascontiguousarray(plane[part.toslices()]), out,
        src_transform=from_grid.transform, src_crs=source.crs or _PLANE, src_nodata=math.nan,
        dst_transform=to_grid.transform, dst_crs=target.crs or _PLANE, dst_nodata=math.nan, resampling=resampling,
    )  # fmt: skip
