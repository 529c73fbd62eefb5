"""Stitch: how chips that overlap are put together into one raster, exactly, and row by row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from rasterio.windows import Window
from sklearn.base import BaseEstimator

from pixelwise.errors import BandError, FillValueError, GridError, LabelError
from pixelwise.raster.carriers import Raster
from pixelwise.raster.grid import Grid
from pixelwise.raster.io import as_nan
from pixelwise.raster.overlaps import Overlap, overlap_of

__all__ = ["ChipStitcher", "Stitch"]

_METHODS = ("average", "majority", "max", "first", "median", "weighted")
_WINDOWS = ("hann", "tukey", "linear")
#: Share of a Tukey window's side that is tapered, on both ends together.
_TAPER = 0.5


class Stitch(BaseEstimator):
    """How the chips of a raster are put together where they overlap.

    A pixel that is missing in a chip has no part in the result; one that is missing in all its chips stays missing. Where all
    chips agree the result is their value, bit by bit. The dtype, nodata and class names of the chips are kept.

    Parameters
    ----------
    method : {"average", "majority", "max", "first", "median", "weighted"}, default="average"
        What a pixel of several chips gets: their mean, for probabilities and measurements; the class that most of them vote
        for, of a tie the one with the smallest code; the largest value; that of the first chip, row by row; the median; or the
        mean weighted by a window. Class codes take "majority" or "first" alone.
    window : {"hann", "tukey", "linear"}, array-like of shape (height, width), or None, default=None
        For "average" and "weighted": how much a pixel counts by its place in the chip, so that borders, where a model lacks
        context, count little. It is never 0, so that borders of the raster are there. None is even for "average", and
        "hann" for "weighted".

    See Also
    --------
    ApplyToChips : Applies a model chip by chip, and stitches.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> sampler = pw.sampling.GridSampler(chip_size=(1, 3), stride=(1, 1))
    >>> brightest = pw.ApplyToChips(sampler, lambda chip: chip * 0 + chip.max(), pw.Stitch("average"))
    >>> brightest(np.array([[[0.0, 0.0, 6.0, 0.0]]]))
    array([[[6., 6., 6., 6.]]])
    >>> brightest(np.array([[[0.0, 0.0, 0.0, 6.0]]]))
    array([[[0., 3., 3., 6.]]])
    """

    def __init__(self, method: str = "average", window: Any = None) -> None:
        self.method = method
        self.window = window

    def weights(self, height: int, width: int) -> np.ndarray:
        """Return how much each pixel of a whole chip counts.

        Parameters
        ----------
        height, width : int
            Of a chip.

        Returns
        -------
        ndarray of float64, shape (height, width)

        Raises
        ------
        ValueError
            If method or window is not known, or they do not go together.
        GridError
            If the window is an array of another shape.
        """
        if self.method not in _METHODS:
            raise ValueError(f"method={self.method!r} is not known: choose one of {', '.join(_METHODS)}")
        window = "hann" if self.window is None and self.method == "weighted" else self.window
        if window is None:
            return np.ones((height, width))
        if self.method not in ("average", "weighted"):
            raise ValueError(f"a window has no meaning for method={self.method!r}: leave it out, or use 'weighted'")
        if isinstance(window, str):
            if window not in _WINDOWS:
                raise ValueError(f"window={window!r} is not known: choose one of {', '.join(_WINDOWS)}, or give an array")
            return np.outer(_taper(window, height), _taper(window, width))
        try:
            given = np.asarray(window, dtype=float)
        except (ValueError, TypeError) as error:
            raise ValueError(f"window={window!r} holds no weights: give an array of one number a pixel") from error
        if given.shape != (height, width):
            raise GridError(f"window has shape {given.shape} and chips have {(height, width)}: give one weight a pixel")
        if not (np.isfinite(given).all() and (given > 0).all()):
            raise ValueError("window holds weights that are not above 0: give small ones, so that the raster's border is there")
        return given


def _taper(window: str, size: int) -> np.ndarray:
    """Return the weights along one side, taken at the middle of pixels, where none of them is 0."""
    at = (np.arange(size) + 0.5) / size
    if window == "linear":
        return np.asarray(1 - np.abs(2 * at - 1))
    if window == "tukey":
        at = np.minimum(np.minimum(at, 1 - at) / _TAPER, 0.5)
    return np.asarray(np.sin(np.pi * at) ** 2)


class ChipStitcher:
    """Puts the chips of one raster together while they come, and holds only rows that are still open.

    Parameters
    ----------
    stitch : Stitch
        How.
    grid : Grid
        The whole.
    windows : ndarray of int, shape (n_chips, 4)
        First row, first column, height and width of all chips, row by row.
    chip_size : (int, int)
        Height and width of a whole chip.
    step : int, default=1
        Rows that are given out together, such as those of a file's tiles.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> from rasterio.windows import Window
    >>> from pixelwise.raster.stitching import ChipStitcher
    >>> whole = pw.unwrap(np.arange(4.0)[None, None])
    >>> stitcher = ChipStitcher(pw.Stitch(), whole.grid, np.array([[0, 0, 1, 3], [0, 1, 1, 3]]), (1, 3))
    >>> for col in (0, 1):
    ...     part = pw.Raster(whole.values[..., col : col + 3] + col, whole.grid.window(0, col, 1, 3))
    ...     done = stitcher.add(part, Window(col, 0, 3, 1))
    >>> [strip.tolist() for _, strip in stitcher.finish()]
    [[[[0.0, 1.5, 2.5, 4.0]]]]
    """

    def __init__(self, stitch: Stitch, grid: Grid, windows: np.ndarray, chip_size: tuple[int, int], step: int = 1) -> None:
        self.stitch, self.grid, self.step = stitch, grid, step
        self._weights = stitch.weights(*chip_size)
        self._rows_of, self._cols_of = (_layers_of(windows[:, at], windows[:, at + 2]) for at in (0, 1))
        # What is above a chip has been given out but for less than a step.
        self._held = min(int(windows[:, 2].max()) + step, grid.height)
        self._top = 0
        self._overlap: Overlap | None = None
        #: The first chip, which says what all are like.
        self.example: Raster | None = None

    def add(self, made: Raster, window: Window) -> Iterator[tuple[Window, np.ndarray]]:
        """Take a chip, and give out the rows above that are done.

        Parameters
        ----------
        made : Raster
            What a chip has become.
        window : rasterio.windows.Window
            Where it lies.

        Returns
        -------
        iterator of (Window, ndarray)
            Strips of whole rows, with axes (band, y, x) or (band, time, y, x).
        """
        if made.mask is not None or len({repr(value) for value in made.nodata}) > 1:
            made = as_nan(made)
        if self.example is None:
            self._start(made)
        assert self.example is not None
        assert self._overlap is not None
        found, first = (_kind(raster) for raster in (made, self.example))
        if found != first:
            raise BandError(f"the chip at row {window.row_off}, column {window.col_off} became {found} and the first {first}")
        strips = list(self._strips((window.row_off - self._top) // self.step * self.step))
        row, col = window.row_off - self._top, window.col_off
        where = (..., slice(row, row + window.height), slice(col, col + window.width))
        layer = self._rows_of[window.row_off] * (1 + max(self._cols_of.values())) + self._cols_of[col]
        self._overlap.add(made.cube, where, self._weights[: window.height, : window.width], layer)
        return iter(strips)

    def finish(self) -> Iterator[tuple[Window, np.ndarray]]:
        """Give out the rows that are left.

        Returns
        -------
        iterator of (Window, ndarray)
            As from `add`.
        """
        return self._strips(self.grid.height - self._top)

    def _start(self, made: Raster) -> None:
        _refuse_codes(self.stitch.method, made)
        self.example = made
        fill = made.nodata[0]
        fill = float("nan") if fill is None and made.values.dtype.kind == "f" else fill
        depth = (1 + max(self._rows_of.values())) * (1 + max(self._cols_of.values()))
        shape = (*made.cube.shape[:-2], self._held, self.grid.width)
        self._overlap = overlap_of(self.stitch.method, shape, made.values.dtype, fill, depth)

    def _strips(self, count: int) -> Iterator[tuple[Window, np.ndarray]]:
        """Take rows off the top; more than are held were in no chip."""
        while count > 0 and self._overlap is not None:
            rows = count if count <= self._held else self._held // self.step * self.step
            values, empty = self._overlap.take(rows)
            if empty and self._overlap.fill is None:
                raise FillValueError(
                    f"rows {self._top} to {self._top + rows} have pixels that lie in no chip, and no nodata value: "
                    "use a stride that is not above the chip's size, and edge='cut' or 'shift'"
                )
            yield Window(0, self._top, self.grid.width, rows), values
            self._top += rows
            count -= rows


def _layers_of(starts: np.ndarray, lengths: np.ndarray) -> dict[int, int]:
    """Return for each start along an axis a number from 0 that no overlapping chip has."""
    starts, at = np.unique(starts, return_index=True)
    ends = starts + lengths[at]
    depth = int((np.arange(len(starts)) - np.searchsorted(ends, starts, side="right") + 1).max())
    return {int(start): number % depth for number, start in enumerate(starts)}


def _kind(raster: Raster) -> str:
    shape = " x ".join(str(size) for size in raster.cube.shape[:-2])
    return f"{shape} bands in {raster.values.dtype} with nodata {raster.nodata[0]}"


def _refuse_codes(method: str, made: Raster) -> None:
    kind = made.values.dtype.kind
    # Clusters have codes without names.
    predicted = "predict" in (made.name, made.attrs.get("long_name"))
    are_codes = "flag_values" in made.attrs or (predicted and kind in "iub")
    if are_codes and method not in ("majority", "first"):
        raise LabelError(f"method={method!r} would make up classes between two codes: use Stitch('majority'), or average "
                         "probabilities, as with PixelwiseClassifier(..., method='predict_proba')")  # fmt: skip
    if method == "majority" and kind == "f" and not are_codes:
        raise LabelError("a majority is of classes, and these chips hold measurements: use Stitch('average') or 'median'")
