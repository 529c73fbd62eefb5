"""PixelwiseTransformer and PixelwiseClusterer: models that learn without labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClusterMixin, TransformerMixin

from pixelwise.estimators.base import PixelwiseBase, delegates, is_rasters
from pixelwise.estimators.mapping import output_type
from pixelwise.raster.carriers import Raster, rewrap, unwrap
from pixelwise.table.layout import ToPixelMajor
from pixelwise.table.missing import NanPolicy, as_policy
from pixelwise.table.pixels import PixelTable

__all__ = ["PixelwiseClusterer", "PixelwiseTransformer"]


class PixelwiseTransformer(TransformerMixin, PixelwiseBase, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Fit any transformer (PCA, a scaler) on pixels, and transform tables or whole rasters.

    Parameters
    ----------
    estimator : transformer
        Any scikit-learn compatible transformer; a fitted one is usable at once.
    nan : NanPolicy or str, default="mask"
        What happens to pixels that lack data: see `NanPolicy`.
    fill_value : int, float or None, default=None
        What stands in a raster where nothing was computed; None takes NaN.
    output_dtype : dtype-like or None, default=None
        Dtype of a transformed raster; None is float32.
    adapter : Layout or None, default=None
        How rasters become tables; None takes one row a pixel, and one column a band, or a band and date.
    method : str, default="transform"
        What calling the object does.
    engine : str or None, default=None
        What predicts: None the estimator itself; "auto" or the name of an engine, such as "fast" of the plugin
        `pixelwise-fast`, what `compile_estimator` makes of it, with the same results.

    Attributes
    ----------
    estimator_ : transformer
        The fitted clone.
    n_features_in_ : int
        Number of bands.
    feature_names_in_ : ndarray of str
        Band names, where the training raster or frame has them.

    See Also
    --------
    RasterToPixelTransformer : From a raster to a table.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from sklearn.decomposition import PCA
    >>> scene, polygons = pw.datasets.make_example()
    >>> raster = pw.open_raster(scene)
    >>> pca = pw.PixelwiseTransformer(PCA(2)).fit(raster)
    >>> components = pca.transform(raster)
    >>> components.shape, components.band.values.tolist(), pca.inverse_transform(components).shape
    ((2, 60, 80), ['pca0', 'pca1'], (4, 60, 80))
    """

    _kind = "transformer"

    def __init__(
        self, estimator: Any, *, nan: NanPolicy | str = "mask", fill_value: float | None = None, output_dtype: Any = None,
        adapter: Any = None, method: str = "transform", engine: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            estimator, nan=nan, fill_value=fill_value, output_dtype=output_dtype, adapter=adapter, method=method, engine=engine
        )

    def transform(self, X: Any) -> Any:
        """Transform pixels.

        Parameters
        ----------
        X : raster of any carrier, PixelTable, array or DataFrame
            Pixels.

        Returns
        -------
        raster (band, y, x), PixelTable with its places kept, or what the estimator returns for other tables
        """
        result = self._apply(X, "transform")
        if isinstance(X, PixelTable) and not hasattr(result, "columns"):
            return X.with_bands(np.asarray(result), self._names_out())
        return result

    @delegates("inverse_transform")
    def inverse_transform(self, X: Any) -> Any:
        """Transform back to the original bands.

        Parameters
        ----------
        X : raster of any carrier, PixelTable or array
            Transformed pixels.

        Returns
        -------
        raster (band, y, x), or what the estimator returns for tables
        """
        return self._apply(X, "inverse_transform")

    @delegates("get_feature_names_out")
    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """Return the names of the transformed bands.

        Parameters
        ----------
        input_features : array-like of str or None
            Names of the bands; None takes those of the fit.

        Returns
        -------
        ndarray of str
        """
        inner = self._fitted()
        if input_features is None and self._names() is not None and not hasattr(inner, "feature_names_in_"):
            used = self.__dict__.get("used_bands_")
            input_features = np.asarray(self._names(), dtype=object)[slice(None) if used is None else used]
        return inner.get_feature_names_out(input_features)

    @delegates("score")
    def score(self, X: Any, y: Any = None) -> float:
        """Return the estimator's own score on a table or a raster's pixels."""
        return float(self._apply_to_table(X, "score"))

    @delegates("score_samples")
    def score_samples(self, X: Any) -> Any:
        """Return the estimator's own score of each pixel: a raster (y, x), or an ndarray."""
        return self._apply(X, "score_samples")

    def set_output(self, *, transform: str | None = None) -> PixelwiseTransformer:
        """Choose what transformed tables are; rasters stay rasters.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None
            None changes nothing.

        Returns
        -------
        self
        """
        if transform is None:
            return self
        self._sklearn_output_config = {**getattr(self, "_sklearn_output_config", {}), "transform": transform}
        inner: Any
        for inner in (self.estimator, self.__dict__.get("estimator_")):
            if hasattr(inner, "set_output"):
                inner.set_output(transform=transform)
        return self

    def _names_out(self) -> tuple[str, ...] | None:
        return tuple(map(str, self.get_feature_names_out())) if hasattr(self._fitted(), "get_feature_names_out") else None

    def _describe(self, method: str, n_outputs: int | None, dtype: Any) -> tuple[dict[str, Any], tuple[str, ...] | None]:
        attrs, bands = super()._describe(method, n_outputs, dtype)
        if method == "transform":
            bands = self._names_out() or bands
        elif method == "inverse_transform":
            bands = self._names()
        return attrs, bands if n_outputs is not None and bands is not None and len(bands) == n_outputs else None


class PixelwiseClusterer(ClusterMixin, PixelwiseBase):
    """Fit any clusterer on pixels, and map the clusters of tables or whole rasters.

    Parameters
    ----------
    estimator : clusterer
        Any scikit-learn compatible clusterer. ``predict`` is there if it has one; ``fit_predict`` always.
    nan : NanPolicy or str, default="mask"
        What happens to pixels that lack data: see `NanPolicy`.
    fill_value : int, float or None, default=None
        What stands in a map where nothing was predicted; None takes -1 or the dtype's maximum.
    output_dtype : dtype-like or None, default=None
        Dtype of a map; None takes the first of uint8, int16, int32, int64 that holds all clusters and the fill.
    adapter : Layout or None, default=None
        How rasters become tables; None takes one row a pixel, and one column a band, or a band and date.
    method : str, default="predict"
        What calling the object does.
    engine : str or None, default=None
        What predicts: None the estimator itself; "auto" or the name of an engine, such as "fast" of the plugin
        `pixelwise-fast`, what `compile_estimator` makes of it, with the same results.

    Attributes
    ----------
    estimator_ : clusterer
        The fitted clone.
    labels_ : ndarray of shape (n,)
        Cluster of each training pixel.
    n_features_in_ : int
        Number of bands.

    See Also
    --------
    PixelwiseClassifier : With labels.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from sklearn.cluster import MiniBatchKMeans
    >>> scene, polygons = pw.datasets.make_example()
    >>> raster = pw.open_raster(scene)
    >>> clusters = pw.PixelwiseClusterer(MiniBatchKMeans(3, random_state=0, n_init=1)).fit_predict(raster)
    >>> clusters.dims, sorted(set(clusters.values.ravel().tolist()))
    (('y', 'x'), [0, 1, 2])
    """

    _kind = "clusterer"

    @delegates("predict")
    def predict(self, X: Any) -> Any:
        """Predict clusters.

        Parameters
        ----------
        X : raster of any carrier, PixelTable, array or DataFrame
            Pixels.

        Returns
        -------
        raster (y, x), or ndarray of shape (n,)
        """
        return self._apply(X, "predict")

    def fit_predict(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Fit, and return the clusters of the same pixels.

        Parameters
        ----------
        X : raster of any carrier, PixelTable, array or DataFrame
            Pixels.
        y : None
            Not used.
        **params : dict
            Passed on to the estimator's ``fit``.

        Returns
        -------
        raster (y, x), or ndarray of shape (n,)
        """
        if not is_rasters(X):
            return self.fit(X, y, **params).labels_
        if hasattr(self.estimator, "predict"):
            return self.fit(X, y, **params).predict(X)
        table, _, params = self._from_rasters(X, None, params, as_policy(self.nan), self._family())
        labels = np.asarray(self.fit(table, **params).labels_)
        pair = output_type(self._family(), self._codes(), self._dtype(), self._fill(as_policy(self.nan)))
        raster = unwrap(X)
        flat = np.full((1, raster.grid.size), pair.fill_value, pair.dtype)
        flat[0, table.pixel] = labels
        values = ToPixelMajor().unflatten(flat, raster.grid.shape)[0]
        return rewrap(
            Raster(values, raster.grid, nodata=(pair.fill_value,), attrs={"long_name": "clusters"}, name="clusters"), X
        )

    @delegates("transform")
    def fit_transform(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Fit, and return the estimator's transform of the same pixels."""
        return self.fit(X, y, **params).transform(X)

    @delegates("transform")
    def transform(self, X: Any) -> Any:
        """Return the estimator's transform, such as distances to cluster centres: a raster (band, y, x), or an ndarray."""
        return self._apply(X, "transform")

    @delegates("score")
    def score(self, X: Any, y: Any = None) -> float:
        """Return the estimator's own score on a table or a raster's pixels."""
        return float(self._apply_to_table(X, "score"))

    def _codes(self) -> tuple[float, ...]:
        labels = getattr(self, "labels_", None)
        return () if labels is None else tuple(float(code) for code in np.unique(labels))
