"""The one base of the pixelwise meta-estimators: how they are fitted."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone, is_classifier, is_regressor
from sklearn.utils import TransformerTags, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import validate_data

from pixelwise.errors import LabelError, MissingDataError
from pixelwise.estimators.compiled import restored, with_program
from pixelwise.estimators.mapping import RasterMapping, is_fitted, output_type
from pixelwise.estimators.nan_support import expects_nan
from pixelwise.estimators.uncertainty import called
from pixelwise.families import EstimatorFamily
from pixelwise.raster.carriers import is_raster, unwrap
from pixelwise.table.bands import band_order
from pixelwise.table.extract import all_pixels, extract_pixels
from pixelwise.table.layout import Layout
from pixelwise.table.missing import NanPolicy, as_policy, refuse_missing, report_empty_bands
from pixelwise.table.panel import PanelTable
from pixelwise.table.pixels import PixelTable

__all__ = ["PixelwiseBase", "delegates", "is_rasters"]


def delegates(method: str) -> Any:
    """Make a method available where the wrapped estimator has it."""

    def has(self: Any) -> bool:
        """Whether the wrapped estimator has the method."""
        inner = self.__dict__.get("estimator_", self.estimator)
        return called(inner, method) is not None

    return available_if(has)


def is_rasters(X: Any) -> bool:
    """Whether X is a raster or a list of rasters."""
    return is_raster(X) or (isinstance(X, list | tuple) and len(X) > 0 and is_raster(X[0]))


class PixelwiseBase(RasterMapping, MetaEstimatorMixin, BaseEstimator):
    """What the pixelwise meta-estimators share.

    Parameters
    ----------
    estimator : estimator
        Any scikit-learn compatible estimator: a Pipeline, a search, a booster. A fitted one is usable at once.
    nan : NanPolicy or str, default="mask"
        What happens to pixels that lack data.
    fill_value : int, float or None, default=None
        What stands in a map where nothing was predicted; None takes the policy's, or the family's for the dtype.
    output_dtype : dtype-like or None, default=None
        Dtype of a map; None takes the first of the family's that holds all its values.
    adapter : Layout or None, default=None
        How rasters become tables; None takes one row a pixel, and one column a band, or a band and date.
    method : str, default="predict"
        What calling the object does.
    engine : str or None, default=None
        What predicts: None the estimator itself; "auto" or the name of an engine, such as "fast" of the plugin
        `pixelwise-fast`, what `compile_estimator` makes of it, with the same results, or within the bound that it tells.
    """

    def __init__(
        self, estimator: Any, *, nan: NanPolicy | str = "mask", fill_value: float | None = None, output_dtype: Any = None,
        adapter: Layout | None = None, method: str = "predict", engine: str | None = None,
    ) -> None:  # fmt: skip
        self.estimator = estimator
        self.nan = nan
        self.fill_value = fill_value
        self.output_dtype = output_dtype
        self.adapter = adapter
        self.method = method
        self.engine = engine

    def __call__(self, raster: Any) -> Any:
        """Apply ``method`` to a raster or a table."""
        return getattr(self, self.method)(raster)

    # Learned attributes are the wrapped estimator's: coef_, feature_importances_, and, for one that came fitted, classes_ and
    # n_features_in_.
    def __getattr__(self, name: str) -> Any:
        if name.endswith("_") and not name.startswith("_"):
            inner = self.__dict__.get("estimator_", self.__dict__.get("estimator"))
            # Once fitted here, its names are those that the caller gave; LightGBM makes some up.
            own = name == "estimator_" or (name == "feature_names_in_" and "estimator_" in self.__dict__)
            if not own and inner is not None and hasattr(inner, name):
                return getattr(inner, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __getstate__(self) -> dict[str, Any]:
        return with_program(self, super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(restored(state))

    def __sklearn_is_fitted__(self) -> bool:
        return "estimator_" in self.__dict__ or is_fitted(self.estimator)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        try:
            inner = get_tags(self.estimator)
        # Third-party estimators from before scikit-learn's tags raise here.
        except AttributeError:
            return tags
        tags.input_tags = copy.copy(inner.input_tags)
        tags.input_tags.three_d_array = True
        required = tags.target_tags.required
        tags.target_tags = copy.copy(inner.target_tags)
        tags.target_tags.required = required
        tags.classifier_tags = copy.copy(inner.classifier_tags) if tags.classifier_tags else tags.classifier_tags
        tags.regressor_tags = copy.copy(inner.regressor_tags) if tags.regressor_tags else tags.regressor_tags
        if tags.transformer_tags or hasattr(self, "transform"):
            tags.transformer_tags = copy.copy(inner.transformer_tags) or TransformerTags()
        tags.non_deterministic = inner.non_deterministic
        return tags

    def get_metadata_routing(self) -> MetadataRouter:
        """Say which metadata goes where: all of it to the wrapped estimator.

        Returns
        -------
        MetadataRouter
        """
        mapping = MethodMapping().add(caller="fit", callee="fit").add(caller="partial_fit", callee="partial_fit")
        return MetadataRouter(owner=self).add_self_request(self).add(estimator=self.estimator, method_mapping=mapping)

    # ------------------------------------------------------------------ fitting

    def fit(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Fit a clone of the estimator.

        Parameters
        ----------
        X : PixelTable, array or DataFrame of shape (n, n_features), raster, or list of rasters
            Training pixels.
        y : array of shape (n,), label raster, list of them, or None
            Labels or targets; for rasters, rasters of one band.
        **params : dict
            Passed on to the estimator's ``fit``, such as ``sample_weight``; rasters are flattened as X is.

        Returns
        -------
        self
        """
        return self._fit("fit", X, y, params)

    @delegates("partial_fit")
    def partial_fit(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Fit the estimator on one more batch of pixels.

        Parameters
        ----------
        X : PixelTable, array of shape (n, n_features), or raster
            Training pixels.
        y : array of shape (n,), label raster or None
            Labels or targets.
        **params : dict
            Passed on, such as ``classes``.

        Returns
        -------
        self
        """
        return self._fit("partial_fit", X, y, params)

    def _fit(self, method: str, X: Any, y: Any, params: dict[str, Any]) -> Any:
        first = method == "fit" or "estimator_" not in self.__dict__
        family, policy = self._family(), as_policy(self.nan)
        self._check_estimator()
        if is_rasters(X):
            X, y, params = self._from_rasters(X, y, params, policy, family)
        rows, y, params = self._training_table(X, y, params, policy, family, first)
        y = self._encode(y, params, family, first)
        output_type(family, self._expected_codes(y), self._dtype(), self._fill(policy))
        estimator: Any = clone(self.estimator) if first else self.__dict__["estimator_"]
        if get_config()["enable_metadata_routing"]:
            params = dict(process_routing(self, method, **params).estimator[method])
        try:
            getattr(estimator, method)(rows, y, **params)
        except ValueError:
            self._explain(y, params)
            raise
        self.estimator_ = estimator
        self._learned(y)
        output_type(family, self._codes(), self._dtype(), self._fill(policy))
        return self

    def _check_estimator(self) -> None:
        refused = {"classifier": [is_regressor], "regressor": [is_classifier], "clusterer": [is_classifier, is_regressor]}
        try:
            wrong = any(check(self.estimator) for check in refused.get(self._kind, []))
        # Estimators from before scikit-learn's tags give no verdict.
        except AttributeError:
            return
        if wrong:
            raise TypeError(
                f"{type(self).__name__} wraps a {self._kind}, and {type(self.estimator).__name__} is none: "
                f"use another Pixelwise class or another estimator"
            )

    def _from_rasters(
        self, X: Any, y: Any, params: dict[str, Any], policy: NanPolicy, family: EstimatorFamily
    ) -> tuple[PixelTable, Any, dict[str, Any]]:
        """Turn rasters into a table; parameters that are rasters follow."""
        how = policy.on_input
        if how == "auto":
            how = "propagate" if expects_nan(self.estimator, family) else "drop"
        kept = NanPolicy(**{**vars(policy), "on_input": how})
        if y is None:
            table, target = all_pixels(X, kept), None
        elif isinstance(X, list | tuple) and not isinstance(y, list | tuple):
            raise LabelError(f"{len(X)} rasters need as many label rasters: pass them as a list")
        else:
            table, target = extract_pixels(X, y, nan=kept)
        shape = table.grids[0].shape
        flat = {
            key: np.asarray(unwrap(value).cube[0] if is_raster(value) else value).ravel()[table.pixel]
            for key, value in params.items()
            if is_raster(value) or np.shape(value) == shape
        }
        return table, target, {**params, **flat}

    def _training_table(
        self, X: Any, y: Any, params: dict[str, Any], policy: NanPolicy, family: EstimatorFamily, first: bool
    ) -> tuple[Any, Any, dict[str, Any]]:
        """Check names and numbers of the features, and settle NaN in pixels."""
        if first:
            self.__dict__.pop("adapter_", None)
        if not isinstance(X, PixelTable):
            return self._validated(X, reset=first), y, params
        layout = self._layout(X.axis is not None)
        if not first:
            self._check_layout(layout)
        X, dated = layout.of_table(X)
        if dated is not None:
            params = {key: _rows_of(value, 1 + int(dated.max()), dated) for key, value in params.items()}
            y = None if y is None else np.asarray(y)[dated]
        if first:
            self._forget_names()
            self.adapter_ = layout
            validate_data(self, X, reset=True, skip_check_array=True)
        if first and X.band_names is not None:
            self.feature_names_in_ = np.asarray(X.band_names, dtype=object)
        columns = band_order(None if first else self._names(), X.band_names, X.shape[1], self.n_features_in_)
        values = np.asarray(X)[:, columns]
        gaps = np.isnan(values)
        values = values.copy() if gaps.any() and policy.on_input == "impute" else values
        keep: np.ndarray | None = None
        if first:
            self.used_bands_ = np.ones(X.shape[1], bool)
            self.__dict__.pop("imputer_", None)
        if gaps.any():
            values, keep = self._settle_nan(values, gaps, X.feature_names, policy, family, first)
        if keep is not None:
            rows = np.flatnonzero(keep)
            params = {key: _rows_of(value, len(X), rows) for key, value in params.items()}
            X, y, values = X[rows], None if y is None else np.asarray(y)[rows], values[rows]
        values = values if self.used_bands_.all() else values[:, self.used_bands_]
        # A search inside needs coordinates for its splitter; everything else gets a plain array.
        if not hasattr(self.estimator, "cv"):
            return layout.arrange(values, len(X.base_bands or ())), y, params
        return (PanelTable(X.with_bands(values, X.band_names)) if layout.is_panel else X.with_bands(values, None)), y, params

    def _settle_nan(
        self,
        values: np.ndarray,
        gaps: np.ndarray,
        names: tuple[str, ...],
        policy: NanPolicy,
        family: EstimatorFamily,
        first: bool,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        how = policy.on_input
        if how == "auto":
            how = "propagate" if expects_nan(self.estimator, family) else "mask"
        empty: Any = gaps.all(axis=0)
        if how == "raise":
            refuse_missing(int(gaps.any(axis=1).sum()), len(values), "the training table")
        if first and empty.any() and not empty.all() and not self.adapter_.is_panel:
            self.used_bands_ = ~empty
            report_empty_bands(names, empty, "the training pixels", "the model is fitted without it")
        if how == "impute":
            self.imputer_ = policy.imputer().fit(values[:, self.used_bands_]) if first else self.imputer_
            values[:, self.used_bands_] = self.imputer_.transform(values[:, self.used_bands_])
        if how in ("impute", "propagate"):
            return values, np.asarray(~gaps[:, self.used_bands_].all(axis=1))
        keep = np.asarray(~gaps[:, self.used_bands_].any(axis=1))
        if not keep.any():
            raise MissingDataError(
                f"every one of {len(values)} training pixels lacks data: use nan='propagate' or nan='impute'"
            )
        return values, keep

    def _validated(self, X: Any, *, reset: bool) -> Any:
        if reset:
            self.__dict__.pop("used_bands_", None)
            self.__dict__.pop("imputer_", None)
            self._forget_names()
        if hasattr(X, "columns") or hasattr(X, "__dataframe__"):
            return validate_data(self, X, reset=reset, skip_check_array=True)
        tags = get_tags(self).input_tags
        loose = tags.string or tags.categorical
        return validate_data(
            self, X, reset=reset, accept_sparse=tags.sparse, dtype=None if loose else "numeric", ensure_all_finite=False,
            ensure_min_samples=1 if reset else 0,
        )  # fmt: skip

    def _forget_names(self) -> None:
        # validate_data deletes the names of the last fit where X has none; it would stumble over those of an estimator that
        # came fitted.
        self.__dict__["feature_names_in_"] = None

    def _explain(self, y: Any, params: dict[str, Any]) -> None:
        """Raise a clearer error where the estimator refused the data for a reason that is known here."""

    def _encode(self, y: Any, params: dict[str, Any], family: EstimatorFamily, first: bool) -> Any:
        return y

    def _learned(self, y: Any) -> None:
        """Take over what the estimator has learned."""

    def _expected_codes(self, y: Any) -> tuple[float, ...]:
        """Return the codes that a map will hold, as far as the labels tell before the fit."""
        return ()

    def _apply_to_table(self, X: Any, method: str) -> Any:
        """Call a method that gives one number on the pixels of a raster or a table."""
        return self._apply(all_pixels(X) if is_rasters(X) else X, method)

    def _score_table(self, X: Any, y: Any) -> tuple[Any, Any]:
        if is_rasters(X):
            X, y = extract_pixels(X, y, nan=NanPolicy(**{**vars(as_policy(self.nan)), "on_input": "drop"}))
        if isinstance(X, PixelTable):
            X, dated = self._layout(X.axis is not None).of_table(X)
            y = y if dated is None else np.asarray(y)[dated]
        return X, y


def _rows_of(value: Any, n: int, rows: np.ndarray) -> Any:
    return np.asarray(value)[rows] if hasattr(value, "__len__") and not isinstance(value, str) and len(value) == n else value
