"""A small picture of a raster of any size: every so many pixels, read once."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
import rasterio
from rasterio.errors import RasterioError

from pixelwise.errors import RasterReadError
from pixelwise.raster.carriers import Raster, unwrap
from pixelwise.raster.grid import Grid
from pixelwise.raster.io import RasterFile, read_bands
from pixelwise.table.layout import ToPixelMajor
from pixelwise.table.missing import NanPolicy, missing_values, valid_rows

__all__ = ["missing_pixels", "preview"]


def preview(raster: Any, most: int = 1600) -> Raster:
    """Return a raster with so many pixels left out that neither side has more than `most`.

    A file is read decimated, from its overviews where it has them. What it says of its classes is kept in the attributes.

    Parameters
    ----------
    raster : raster of any carrier
        Shape (band, y, x) or (y, x).
    most : int, default=1600
        Pixels of the longer side.

    Returns
    -------
    Raster
        In memory; a file of one band comes as (band, y, x).

    Raises
    ------
    RasterReadError
        If a file cannot be read.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from pixelwise.display.preview import preview
    >>> scene, polygons = pw.datasets.make_example()
    >>> preview(scene, most=20).values.shape
    (4, 15, 20)
    """
    if isinstance(raster, str | os.PathLike):
        return _preview_of_file(os.fspath(raster), most)
    whole = unwrap(raster)
    step = max(1, -(-max(whole.grid.shape) // most))
    values = np.asarray(whole.values[..., ::step, ::step])
    mask = None if whole.mask is None else whole.mask[..., ::step, ::step]
    grid = Grid(whole.grid.crs, whole.grid.transform @ rasterio.Affine.scale(step), *values.shape[-2:])
    return Raster(values, grid, whole.bands, whole.nodata, mask, whole.times, whole.attrs, whole.name)


def _preview_of_file(path: str, most: int) -> Raster:
    with RasterFile(path) as opened:
        grid, bands, nodata, indexes, has_mask, tags = (
            opened.grid, opened.bands, opened.nodata, opened.indexes, opened.has_mask, opened.tags
        )  # fmt: skip
    step = max(1.0, max(grid.shape) / most)
    height, width = (max(1, round(side / step)) for side in grid.shape)
    try:
        with rasterio.open(path) as file:
            values = read_bands(file, indexes, shape=(height, width))
            mask = file.dataset_mask(out_shape=(height, width)) == 0 if has_mask else None
            attrs = {**tags, **file.tags(1), **_colors(file)}
    except RasterioError as error:
        raise RasterReadError(
            f"raster {path} cannot be read: {error.__cause__ or error}; check that the file is whole"
        ) from error
    small = Grid(grid.crs, grid.transform @ rasterio.Affine.scale(grid.width / width, grid.height / height), height, width)
    return Raster(values, small, bands, nodata, mask, attrs=attrs)


def _colors(file: Any) -> dict[str, str]:
    """Return the colour table of a file as an attribute."""
    try:
        table = file.colormap(1)
    # The way in which rasterio says that there is none.
    except ValueError:
        return {}
    return {"flag_colors": json.dumps({str(code): f"#{r:02x}{g:02x}{b:02x}" for code, (r, g, b, _) in table.items()})}


def missing_pixels(raster: Raster) -> np.ndarray:
    """Return where each band lacks data: nodata, NaN and masks.

    Parameters
    ----------
    raster : Raster
        In memory.

    Returns
    -------
    ndarray of bool, shape (band, y, x)
    """
    policy, layout = NanPolicy(), ToPixelMajor()
    flat = layout.flatten(np.asarray(raster.cube))
    marks = missing_values(flat.dtype, list(raster.names), list(raster.nodata), policy)
    _, gaps = valid_rows(flat, marks, None, policy, "any")
    rows = np.array([np.zeros(flat.shape[1], bool) if gap is None else gap for gap in gaps])
    missing = layout.unflatten(rows, raster.cube.shape)
    return missing if raster.mask is None else missing | raster.mask
