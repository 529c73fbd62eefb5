"""How rasters with a time axis become tables: dates as features, as samples, or as a panel of time series."""

from __future__ import annotations

from typing import Any

import numpy as np

from pixelwise.errors import GridError
from pixelwise.raster.carriers import Raster, rewrap, unwrap
from pixelwise.raster.dates import TimeAxis, as_times, ascending, dated_names
from pixelwise.table.layout import Layout, bands_by_dates, pixel_rows
from pixelwise.table.panel import PanelTable
from pixelwise.table.pixels import PixelTable

__all__ = ["FromTemporalPixelMajor", "ToTemporalPixelMajor"]

_HANDLING = ("features", "samples", "panel")


class ToTemporalPixelMajor(Layout):
    """How a raster of (band, time, y, x) becomes a table.

    Called with a raster or a PixelTable it returns the table; given as ``adapter=`` it tells a wrapper how to read both.

    Parameters
    ----------
    time_handling : {"features", "samples", "panel"}, default="features"
        "features": one row a pixel, one column a band and date, (n, bands * times): all dates of the first band, then of the
        next. "samples": one row a pixel and date, (times * n, bands): all pixels of the first date, then of the next; a model
        then maps each date. "panel": (n, bands, times), for classifiers of time series.

    See Also
    --------
    FromTemporalPixelMajor : The way back.
    ToPixelMajor : The layout of a single date.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> stack = np.arange(2 * 3 * 1 * 2).reshape(2, 3, 1, 2)
    >>> pw.ToTemporalPixelMajor("features")(stack)
    array([[ 0,  2,  4,  6,  8, 10],
           [ 1,  3,  5,  7,  9, 11]])
    >>> pw.ToTemporalPixelMajor("samples")(stack).tolist()
    [[0, 6], [1, 7], [2, 8], [3, 9], [4, 10], [5, 11]]
    >>> pw.ToTemporalPixelMajor("panel")(stack).shape
    (2, 2, 3)
    """

    def __init__(self, time_handling: str = "features") -> None:
        self.time_handling = time_handling

    def __call__(self, X: Any) -> Any:
        """Return the table of a raster, or a table of dates in this layout; dates ascend, whatever their order before.

        Parameters
        ----------
        X : raster of any carrier, or PixelTable
            Shape (band, time, y, x); or a table that was extracted from one.

        Returns
        -------
        ndarray or PixelTable of shape (n, bands * times) or (times * n, bands), or PanelTable of shape (n, bands, times)
            Of a raster in its own dtype, nodata as it is.

        Raises
        ------
        GridError
            If there is no time axis, or a date stands twice.
        """
        if isinstance(X, PixelTable):
            table = self.of_table(X)[0]
            return PanelTable(table) if self._handling() == "panel" else table
        raster = unwrap(X)
        cube = np.asarray(raster.cube)
        self._check(cube.shape)
        names = self.names(raster)
        order = ascending(raster.times)
        rows = pixel_rows(self.flatten(cube if order is None else cube[:, order]))
        if self._handling() != "panel":
            return rows
        times = as_times(raster.times)
        axis = TimeAxis(raster.names, times if times is None or order is None else times[order], cube.shape[1])
        ordered = None if names is None else dated_names(raster.names, axis.times, axis.n_times)
        pixel = np.arange(raster.grid.size)
        return PanelTable(PixelTable.from_values(rows, [raster.grid], pixel=pixel, names=ordered, axis=axis))

    def names(self, raster: Raster) -> tuple[str, ...] | None:
        """Return the names of the features: ``B04_2018-01`` where no two dates share a month, else ``B04_2018-01-31``.

        Of "samples" they are the band names.
        """
        if self._handling() == "samples":
            return raster.bands
        if raster.bands is None and raster.times is None:
            return None
        return tuple(dated_names(raster.names, raster.times, int(raster.cube.shape[1])))

    def flatten(self, cube: Any) -> Any:
        """Return (band, time, y, x) as (band * time, pixel), or as (band, time * pixel) for "samples"."""
        self._check(cube.shape)
        bands, times = cube.shape[:2]
        return cube.reshape(bands if self._handling() == "samples" else bands * times, -1)

    def unflatten(self, flat: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Return (output, pixel) as (output, y, x), and of "samples" as (output, time, y, x)."""
        return flat.reshape(-1, *(shape[-3:] if self._handling() == "samples" else shape[-2:]))

    def bands_of(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return which band of a cube of this shape each feature is taken from."""
        self._check(shape)
        bands = np.arange(shape[0])
        return bands if self._handling() == "samples" else np.repeat(bands, shape[1])

    def flatten_mask(self, mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Return a mask of a cube of this shape as flat as its values."""
        flat: np.ndarray = self.flatten(np.broadcast_to(mask, shape))
        return flat

    @property
    def is_panel(self) -> bool:
        """Whether estimators take arrays of three axes, of which no feature can be left out."""
        return self._handling() == "panel"

    def arrange(self, rows: np.ndarray, n_bands: int) -> np.ndarray:
        """Return rows as (n, bands, times) for "panel", else as they are."""
        return bands_by_dates(rows, n_bands) if self._handling() == "panel" else rows

    def of_table(self, X: PixelTable) -> tuple[PixelTable, np.ndarray | None]:
        """Return a table as estimators are fitted on it, and which row each of its rows was; None where they are the same.

        Parameters
        ----------
        X : PixelTable
            With dates along its columns; for "samples" also one that has a row a date already.

        Returns
        -------
        table : PixelTable
        rows : ndarray of int or None

        Raises
        ------
        GridError
            If the table has no time axis.
        """
        table = X.to_features() if isinstance(X, PanelTable) else X
        samples = self._handling() == "samples"
        if samples and table.axis is None and table.row_times is not None:
            return table, None
        if table.axis is None:
            raise GridError(
                f"{self!r} needs dates along the columns, and this table of {table.shape[1]} columns has none: "
                "extract it from a stack of (band, time, y, x)"
            )
        if not samples:
            return table, None
        return table.by_date(), np.tile(np.arange(len(table)), table.axis.n_times)

    def _handling(self) -> str:
        if self.time_handling not in _HANDLING:
            raise ValueError(
                f"time_handling={self.time_handling!r} is not known: choose one of {', '.join(map(repr, _HANDLING))}"
            )
        return self.time_handling

    def _check(self, shape: tuple[int, ...]) -> None:
        if len(shape) != 4:
            raise GridError(
                f"{self!r} takes (band, time, y, x), and a raster of shape {tuple(shape)} has no time axis: "
                "stack dates with open_raster([...], times=[...]), or leave the adapter out",
                shape=tuple(shape),
            )


class FromTemporalPixelMajor:
    """Turn a table of all pixels and dates back into a raster.

    Parameters
    ----------
    like : raster of any carrier
        The raster of (band, time, y, x) that the table came from; its type, CRS, dates and grid go out.
    time_handling : {"features", "samples", "panel"}, default="features"
        The layout of the table.

    See Also
    --------
    ToTemporalPixelMajor : The way there.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> stack = np.arange(120).reshape(2, 3, 4, 5)
    >>> table = pw.ToTemporalPixelMajor("samples")(stack)
    >>> back = pw.FromTemporalPixelMajor(stack, "samples")
    >>> bool((back(table) == stack).all()), back(table[:, 0]).shape
    (True, (3, 4, 5))
    """

    def __init__(self, like: Any, time_handling: str = "features") -> None:
        self.like = like
        self.time_handling = time_handling

    def __call__(self, table: Any) -> Any:
        """Return the raster of a table.

        Parameters
        ----------
        table : array-like of shape (n,), (n, k) or (n, bands, times)
            One row a pixel, or a pixel and date for "samples", in the order of `ToTemporalPixelMajor`.

        Returns
        -------
        object
            A raster of the bands and dates of `like`, or, where the table has another number of columns, a map: (y, x) or
            (k, y, x), and of "samples" (time, y, x) or (k, time, y, x).

        Raises
        ------
        GridError
            If the number of rows is not that of pixels, or of pixels and dates.
        """
        layout, raster, rows = ToTemporalPixelMajor(self.time_handling), unwrap(self.like), np.asarray(table)
        layout._check(raster.cube.shape)
        (bands, times), samples = raster.cube.shape[:2], self.time_handling == "samples"
        wanted = layout.bands_of(raster.cube.shape)
        if len(rows) != raster.grid.size * (times if samples else 1):
            per = f", times {times} dates" if samples else ""
            raise GridError(
                f"a table of {len(rows)} rows does not fill a raster of {raster.grid.height} x {raster.grid.width} pixels{per}"
            )
        flat = rows.reshape(len(rows), -1).T
        values, order = layout.unflatten(np.ascontiguousarray(flat), raster.cube.shape), ascending(raster.times)
        same = rows.ndim > 1 and len(flat) == len(wanted)
        if same:
            values = values.reshape(bands, times, *raster.grid.shape)
        if order is not None and values.ndim == 4:
            values = values[:, np.argsort(order)]
        if same:
            return rewrap(raster.with_values(values, mask=None), self.like)
        values = values if rows.ndim > 1 else values[0]
        dates = (raster.times or tuple(range(times))) if samples else None
        return rewrap(Raster(values, raster.grid, times=dates, name="table"), self.like)
