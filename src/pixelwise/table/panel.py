"""PanelTable: pixels as time series, (n, bands, time), for classifiers of time series."""

from __future__ import annotations

from typing import Any

import numpy as np

from pixelwise.errors import GridError
from pixelwise.table.layout import bands_by_dates
from pixelwise.table.pixels import PixelTable
from pixelwise.table.store import Store

__all__ = ["PanelTable"]


class PanelTable(np.ndarray, PixelTable):  # type: ignore[misc]
    """Time series of pixels, an array of shape (n_pixels, n_bands, n_times) that knows where its rows are.

    It is an ndarray, as the classifiers of aeon and sktime want it, and scikit-learn can split it: taking rows keeps their
    places. What is computed from it is a plain array. ``ToTemporalPixelMajor("panel")`` makes one of a stack, too.

    Parameters
    ----------
    table : PixelTable
        Extracted from a stack of (band, time, y, x).

    Raises
    ------
    GridError
        If the table has no time axis.

    See Also
    --------
    PixelTable : The same pixels with one column a band and date.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> stack = np.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    >>> X = pw.ToTemporalPixelMajor("panel")(stack)
    >>> X.shape, X[[0, 7]].pixel, X[0].tolist()
    ((20, 2, 3), array([0, 7]), [[0.0, 20.0, 40.0], [60.0, 80.0, 100.0]])
    """

    _store: Any
    _rows: Any

    def __new__(cls, table: PixelTable) -> PanelTable:
        """Gather the series."""
        axis = table.axis
        if axis is None:
            raise GridError(f"a table of {table.shape} has no dates along its columns: extract it from a stack of dates")
        return np.array(bands_by_dates(np.asarray(table), len(axis.bands))).view(cls)

    def __init__(self, table: PixelTable) -> None:
        self._store, self._rows = table._store, table._rows

    def __array_finalize__(self, parent: Any) -> None:
        # What numpy makes of a panel may hold other values: it has no places.
        self._store, self._rows, self._own = None, None, True

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        return array[()] if return_scalar else np.asarray(array)

    def __reduce__(self) -> Any:
        return _placed, (np.asarray(self), self._store, self._rows)

    def __getitem__(self, key: Any) -> Any:
        first, *rest = key if isinstance(key, tuple) else (key,)
        whole = all(part is Ellipsis or (isinstance(part, slice) and part == slice(None)) for part in rest)
        values = np.asarray(self)[key]
        if not whole or first is Ellipsis or values.ndim != 3 or self._store is None:
            return values
        at = np.arange(len(self)) if self._rows is None else self._rows
        return _placed(values, self._store, at[first])

    def take(self, indices: Any, axis: Any = None, **_: Any) -> Any:  # type: ignore[override]
        """Return rows (axis 0) as a panel, or anything else as an array."""
        return self[np.asarray(indices)] if axis == 0 else np.asarray(self).take(indices, axis)

    def to_features(self) -> PixelTable:
        """Return the same pixels with one column a band and date.

        Returns
        -------
        PixelTable of shape (n_pixels, n_bands * n_times)
        """
        return PixelTable(self._store, self._rows)

    def __repr__(self) -> str:
        if self._store is None:
            return repr(np.asarray(self))
        return f"PanelTable{PixelTable.__repr__(self.to_features()).removeprefix('PixelTable')}"


def _placed(values: np.ndarray, store: Store | None, rows: np.ndarray | None) -> PanelTable:
    panel = values.view(PanelTable)
    panel._store, panel._rows = store, rows
    return panel
