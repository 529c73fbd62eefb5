"""Chips that were cut at the edge of a raster, filled up to their full size."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from pixelwise.errors import GridError
from pixelwise.raster.carriers import Raster

__all__ = ["check_padding", "padded"]

_MODES = ("reflect", "symmetric", "edge", "nodata")


def check_padding(mode: str | None) -> str | None:
    """Return a mode that chips are filled up by, or None for none.

    Parameters
    ----------
    mode : str or None
        As for `ApplyToChips`.

    Returns
    -------
    str or None

    Raises
    ------
    GridError
        If the mode is not known.
    """
    if mode is not None and mode not in _MODES:
        raise GridError(f"padding={mode!r} is not known: choose one of {', '.join(_MODES)}")
    return mode


def padded(chip: Raster, size: tuple[int, int], mode: str) -> Raster:
    """Fill a chip up on its lower and right side.

    Parameters
    ----------
    chip : Raster
        As it was read.
    size : (int, int)
        Height and width of a whole chip; a larger one stays as it is.
    mode : {"reflect", "symmetric", "edge", "nodata"}
        A mode of ``numpy.pad``, or missing data: the nodata value, or NaN in floats.

    Returns
    -------
    Raster

    Raises
    ------
    GridError
        If there is no nodata value to fill up with.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> from pixelwise.inference.padding import padded
    >>> padded(pw.unwrap(np.array([[[1, 2, 3]]])), (1, 5), "reflect").values
    array([[[1, 2, 3, 2, 1]]])
    """
    height, width = chip.grid.shape
    more = max(0, size[0] - height), max(0, size[1] - width)
    if not any(more):
        return chip
    ends = [(0, more[0]), (0, more[1])]
    options: dict[str, Any] = {"mode": mode}
    if mode == "nodata":
        fills = [float("nan") if fill is None and chip.values.dtype.kind == "f" else fill for fill in chip.nodata]
        if len({repr(fill) for fill in fills}) > 1 or fills[0] is None:
            raise GridError("padding='nodata' needs one nodata value for all bands, and the raster has none: choose 'reflect'")
        options = {"mode": "constant", "constant_values": fills[0]}
    values = np.pad(chip.values, [*[(0, 0)] * (chip.values.ndim - 2), *ends], **options)
    mask = chip.mask
    if mask is not None:
        # What a mask hides, its copies hide; padding with nodata needs no mask.
        options = {"mode": mode} if mode != "nodata" else {"mode": "constant", "constant_values": True}
        mask = np.pad(mask, [*[(0, 0)] * (mask.ndim - 2), *ends], **options)
    return replace(chip, values=values, mask=mask, grid=chip.grid.window(0, 0, height + more[0], width + more[1]))
