"""RasterToPixelTransformer: from a raster to a table of its pixels, as a step of a Pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from pixelwise.errors import GridError, MissingDataError
from pixelwise.raster.carriers import Raster, is_raster, rewrap, unwrap
from pixelwise.raster.dataarray import to_dataarray
from pixelwise.raster.grid import Grid
from pixelwise.table.bands import band_order
from pixelwise.table.layout import ToPixelMajor
from pixelwise.table.missing import NanPolicy, as_policy, missing_values, rows_with_nan, table_dtype, valid_rows
from pixelwise.table.pixels import PixelTable

__all__ = ["RasterToPixelTransformer"]


class RasterToPixelTransformer(TransformerMixin, BaseEstimator):
    """Turn a raster into a table of all its pixels, (n_pixels, n_bands), and back.

    Missing data becomes NaN, so that an imputer or an estimator that takes NaN can follow. Tables pass through as they are.

    Parameters
    ----------
    nan : NanPolicy or {"propagate", "raise"}, default="propagate"
        What counts as missing, and whether it is an error. A transformer keeps its rows, so it cannot drop any.

    Attributes
    ----------
    n_features_in_ : int
        Number of bands.
    feature_names_in_ : ndarray of str
        Band names, where the raster has them.
    grid_ : Grid
        Where the pixels of the fitted raster are.

    See Also
    --------
    PixelwiseTransformer : Transforms a raster into another raster.

    Examples
    --------
    >>> import pixelwise as pw
    >>> scene, polygons = pw.datasets.make_example()
    >>> raster = pw.open_raster(scene)
    >>> to_table = pw.RasterToPixelTransformer()
    >>> table = to_table.fit_transform(raster)
    >>> table.shape, table.dtype.name, to_table.get_feature_names_out().tolist()
    ((4800, 4), 'float32', ['B02', 'B03', 'B04', 'B08'])
    >>> bool((to_table.inverse_transform(table) == raster).all())
    True
    """

    def __init__(self, *, nan: NanPolicy | str = "propagate") -> None:
        self.nan = nan

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags

    def fit(self, X: Any, y: Any = None) -> RasterToPixelTransformer:
        """Learn the bands and the grid.

        Parameters
        ----------
        X : raster of any carrier, PixelTable, array or DataFrame
            Pixels.
        y : None
            Not used.

        Returns
        -------
        self
        """
        policy = as_policy(self.nan)
        if policy.on_input not in ("propagate", "auto", "raise"):
            raise ValueError(
                f"nan={policy.on_input!r} would lose rows, and a transformer keeps them: use 'propagate' or 'raise', "
                f"or drop pixels with extract_pixels"
            )
        for name in ("feature_names_in_", "grid_"):
            self.__dict__.pop(name, None)
        if not is_raster(X):
            validate_data(self, X, reset=True, ensure_all_finite="allow-nan")
            names = X.band_names if isinstance(X, PixelTable) else None
        else:
            raster = unwrap(X)
            names, self.n_features_in_, self.grid_ = raster.bands, raster.n_bands, raster.grid
        if names is not None:
            self.feature_names_in_ = np.asarray(names, dtype=object)
        return self

    def transform(self, X: Any) -> Any:
        """Return the table.

        Parameters
        ----------
        X : raster of any carrier, PixelTable, array or DataFrame
            Pixels.

        Returns
        -------
        ndarray of float, shape (n_pixels, n_bands)
            Row-major pixels of a raster; a table as it came.
        """
        check_is_fitted(self)
        names = getattr(self, "feature_names_in_", None)
        if isinstance(X, PixelTable):
            return np.asarray(X)[:, band_order(names, X.band_names, X.shape[1], self.n_features_in_)]
        if not is_raster(X):
            return validate_data(self, X, reset=False, ensure_all_finite="allow-nan")
        raster, policy, layout = unwrap(X), as_policy(self.nan), ToPixelMajor()
        flat = np.asarray(layout.flatten(raster.cube))
        marks = missing_values(flat.dtype, raster.names, raster.nodata, policy)
        mask = None if raster.mask is None else np.asarray(layout.flatten(np.broadcast_to(raster.mask, raster.cube.shape)))
        _, missing = valid_rows(flat, marks, mask, policy, "any")
        lacking = sum(int(gaps.sum()) for gaps in missing if gaps is not None)
        if lacking and policy.on_input == "raise":
            raise MissingDataError(f"{lacking} values of the raster are missing: impute them behind nan='propagate'")
        rows = rows_with_nan(flat, None, missing, table_dtype(flat.dtype))
        return rows[:, band_order(names, raster.bands, raster.n_bands, self.n_features_in_)]

    def inverse_transform(self, X: Any, like: Any = None) -> Any:
        """Put a table of all pixels back onto the grid.

        Parameters
        ----------
        X : array of shape (n_pixels, k) or (n_pixels,)
            One row a pixel, in row-major order.
        like : raster of any carrier or None
            Whose grid and type to take; None takes the fitted raster's grid.

        Returns
        -------
        raster
            In the type of `like`; without one a DataArray, or an ndarray where the fitted raster had no georeference.

        Raises
        ------
        GridError
            If the rows do not fill the grid, or there is none.
        """
        check_is_fitted(self)
        grid: Grid | None = unwrap(like).grid if like is not None else getattr(self, "grid_", None)
        if grid is None:
            raise GridError("a transformer that was fitted on a table knows no grid: pass like=raster")
        rows = np.asarray(X)
        if len(rows) != grid.size:
            raise GridError(f"a table of {len(rows)} rows does not fill a raster of {grid.height} x {grid.width} pixels")
        values = ToPixelMajor().unflatten(np.ascontiguousarray(np.atleast_2d(rows.T)), grid.shape)
        bands = (
            tuple(self.feature_names_in_) if hasattr(self, "feature_names_in_") and len(values) == self.n_features_in_ else None
        )
        nodata = (float("nan"),) if values.dtype.kind == "f" else ()
        raster = Raster(values if rows.ndim > 1 else values[0], grid, bands if rows.ndim > 1 else None, nodata)
        if like is not None:
            return rewrap(raster, like)
        return to_dataarray(raster) if grid.is_georeferenced else raster.values

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the band names, made up as ``band_1``, ``band_2`` ... where there are none.

        Parameters
        ----------
        input_features : array-like of str or None
            Other names to give.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        if input_features is not None and len(input_features) != self.n_features_in_:
            raise ValueError(
                f"input_features should have length equal to number of features "
                f"({self.n_features_in_}), got {len(input_features)}"
            )
        names = getattr(self, "feature_names_in_", None)
        if names is not None and input_features is not None and list(names) != list(input_features):
            raise ValueError("input_features is not equal to feature_names_in_")
        if names is None:
            names = (
                input_features
                if input_features is not None
                else [f"band_{number}" for number in range(1, self.n_features_in_ + 1)]
            )
        return np.asarray(names, dtype=object)
