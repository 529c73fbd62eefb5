"""Which axes of a raster become rows and which become columns: here and in the temporal layout is all reshaping."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from pixelwise.errors import GridError
from pixelwise.raster.carriers import Raster, rewrap, unwrap

__all__ = ["FromPixelMajor", "Layout", "ToPixelMajor", "bands_by_dates", "pixel_rows", "rows_by_dates"]


class Layout(BaseEstimator):
    """Contract of a layout: how a cube becomes features by samples, and how predictions become a cube again.

    A layout is set by its parameters alone, so that two layouts with equal parameters are equal, and a fitted model can refuse
    another one.
    """

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells this layout from others: its type and its parameters."""
        return type(self), *self.get_params(deep=False).values()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Layout) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        parameters = ", ".join(f"{name}={value!r}" for name, value in self.get_params(deep=False).items())
        return f"{type(self).__name__}({parameters})"

    def names(self, raster: Raster) -> tuple[str, ...] | None:
        """Return the name of each feature, or None where the raster's bands have none."""
        raise NotImplementedError

    def flatten(self, cube: Any) -> Any:
        """Return a cube as a 2-D array of features by samples, without a copy where the memory order allows it."""
        raise NotImplementedError

    def unflatten(self, flat: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Return predictions (outputs by samples) as bands by rows by columns, for a cube that had `shape`."""
        raise NotImplementedError

    @property
    def is_panel(self) -> bool:
        """Whether estimators take arrays of three axes, of which no feature can be left out."""
        return False

    def bands_of(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return which band of a cube of this shape each feature is taken from."""
        return np.arange(shape[0])

    def flatten_mask(self, mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Return a mask of a cube of this shape as flat as its values: (n_samples,), or (n_features, n_samples)."""
        flat: np.ndarray = self.flatten(mask if mask.ndim > 2 else mask[None])
        return flat if mask.ndim > 2 else flat[0]

    def arrange(self, rows: np.ndarray, n_bands: int) -> np.ndarray:
        """Return samples by features in the shape in which estimators take them."""
        return rows

    def of_table(self, X: Any) -> tuple[Any, np.ndarray | None]:
        """Return a PixelTable as estimators are fitted on it, and which row each of its rows was, where they are others."""
        return X, None


class ToPixelMajor(Layout):
    """One row a pixel, one column a band: the layout of a single date.

    Called with a raster it returns the table; given as ``adapter=`` it tells a wrapper how to read rasters.

    See Also
    --------
    FromPixelMajor : The way back.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> pw.ToPixelMajor()(np.arange(12).reshape(3, 2, 2))
    array([[ 0,  4,  8],
           [ 1,  5,  9], [ 2,  6, 10], [ 3,  7, 11]])
    """

    def __call__(self, raster: Any) -> np.ndarray:
        """Return the table of a raster.

        Parameters
        ----------
        raster : raster of any carrier
            Shape (band, y, x).

        Returns
        -------
        ndarray of shape (n_pixels, n_bands)
            In the raster's own dtype; nodata stays as it is.
        """
        return pixel_rows(np.asarray(self.flatten(unwrap(raster).cube)))

    def names(self, raster: Raster) -> tuple[str, ...] | None:
        """Return the band names."""
        return raster.bands

    def flatten(self, cube: Any) -> Any:
        """Return (band, y, x) as (band, pixel)."""
        if cube.ndim != 3:
            raise GridError(
                f"a raster of shape {tuple(cube.shape)} has a time axis, and ToPixelMajor takes (band, y, x): "
                "select a date, or pass adapter=ToTemporalPixelMajor(time_handling='features')",
                shape=tuple(cube.shape),
            )
        return cube.reshape(cube.shape[0], -1)

    def unflatten(self, flat: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Return (output, pixel) as (output, y, x)."""
        return flat.reshape(-1, *shape[-2:])


class FromPixelMajor:
    """Turn a table of all pixels of a raster back into a raster.

    Parameters
    ----------
    like : raster of any carrier
        The raster that the table came from; its type, CRS and grid go out.

    See Also
    --------
    ToPixelMajor : The way there.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> cube = np.arange(12).reshape(3, 2, 2)
    >>> bool((pw.FromPixelMajor(cube)(pw.ToPixelMajor()(cube)) == cube).all())
    True
    """

    def __init__(self, like: Any) -> None:
        self.like = like

    def __call__(self, table: Any) -> Any:
        """Return the raster of a table.

        Parameters
        ----------
        table : array-like of shape (n_pixels, k) or (n_pixels,)
            One row a pixel, in row-major order.

        Returns
        -------
        object
            A raster of k bands, or a map (y, x), in the type of `like`.

        Raises
        ------
        GridError
            If the number of rows is not the number of pixels.
        """
        raster, rows = unwrap(self.like), np.asarray(table)
        if len(rows) != raster.grid.size:
            raise GridError(
                f"a table of {len(rows)} rows does not fill a raster of {raster.grid.height} x {raster.grid.width} pixels"
            )
        values = ToPixelMajor().unflatten(np.ascontiguousarray(np.atleast_2d(rows.T)), raster.grid.shape)
        same = rows.ndim == 2 and rows.shape[1] == raster.n_bands
        bands, nodata = (raster.bands, raster.nodata) if same else (None, ())
        keep = same and raster.values.ndim > 2
        values = values if rows.ndim == 2 and (keep or raster.values.ndim > 2) else values[0]
        return rewrap(Raster(values, raster.grid, bands, nodata, attrs=raster.attrs if same else {}), self.like)


def pixel_rows(
    flat: np.ndarray, chosen: np.ndarray | None = None, dtype: Any = None, out: np.ndarray | None = None
) -> np.ndarray:
    """Return features by samples as a C-ordered table, one row a sample.

    Parameters
    ----------
    flat : ndarray of shape (n_features, n_samples)
        What `Layout.flatten` returns, or a slice of it.
    chosen : ndarray of bool, shape (n_samples,), or None
        The samples to keep; None keeps all.
    dtype : dtype-like or None
        Dtype of the table; None keeps that of `flat`.
    out : ndarray of shape (n_samples or more, n_features), or None
        Where to write, so that a loop over blocks allocates once.

    Returns
    -------
    ndarray of shape (n_chosen, n_features)
        C order, in which linear models give the same bits whatever the number of rows.
    """
    at = None if chosen is None else np.flatnonzero(chosen)
    count = flat.shape[1] if at is None else len(at)
    rows = np.empty((count, len(flat)), flat.dtype if dtype is None else dtype) if out is None else out[:count]
    # Assignment casts and transposes in one pass, three times faster than astype(order="C").
    if at is None:
        rows[...] = flat.T
    else:
        for column, band in enumerate(flat):
            rows[:, column] = band[at]
    return rows


def bands_by_dates(rows: np.ndarray, n_bands: int) -> np.ndarray:
    """Return columns of bands and dates, (n, n_bands * time), as (n, n_bands, time), without a copy."""
    return rows.reshape(len(rows), n_bands, -1)


def rows_by_dates(rows: np.ndarray, n_bands: int) -> np.ndarray:
    """Return columns of bands and dates as one row a pixel and date, (time * n, n_bands): all pixels of a date together."""
    return bands_by_dates(rows, n_bands).transpose(2, 0, 1).reshape(-1, n_bands)
