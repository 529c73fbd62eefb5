"""How a fitted dissimilarity index is applied to rasters: by way of what the model itself reads rasters with."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import FLOAT_DTYPES, check_array

from pixelwise.assessment.dissimilarity import DissimilarityIndex
from pixelwise.assessment.importance import ModelParts
from pixelwise.estimators.mapping import _frame_names, _named
from pixelwise.estimators.unsupervised import PixelwiseTransformer
from pixelwise.families import OutputType
from pixelwise.table.bands import band_order
from pixelwise.table.missing import NanPolicy, as_policy
from pixelwise.table.pixels import PixelTable

__all__ = ["ApplicabilityMapping"]

_CLASSES = ("outside", "inside")


class ApplicabilityMapping(PixelwiseTransformer):
    """From a raster to the bands DI and LPD, or to inside and outside, by way of what the model reads rasters with."""

    @classmethod
    def of(
        cls, index: DissimilarityIndex, X: Any, parts: ModelParts | None, policy: NanPolicy, model: Any
    ) -> ApplicabilityMapping:  # fmt: skip
        """Return a mapping that takes tables and rasters as the model does.

        Parameters
        ----------
        index : DissimilarityIndex
            What is applied in place of the model's last step; it may be fitted later.
        X : PixelTable, array or DataFrame
            Training pixels behind the model's operators.
        parts : ModelParts or None
            The model.
        policy : NanPolicy
            For models that bring none.
        model : estimator or None
            The whole model.

        Returns
        -------
        ApplicabilityMapping
        """
        wrapper = None if parts is None else parts.wrapper
        policy = policy if wrapper is None else as_policy(wrapper.nan)
        if policy.on_input == "propagate":
            # There is no distance to a pixel that lacks a band, unless the model itself fills it in.
            policy = NanPolicy(**{**vars(policy), "on_input": "auto"})
        mapping = cls(index, nan=policy, adapter=None if wrapper is None else wrapper.adapter)
        own = X.band_names if isinstance(X, PixelTable) else getattr(X, "columns", None)
        names, n = own, X.shape[1]
        if wrapper is not None:
            names, n = wrapper._names() or own, wrapper.n_features_in_
            if "imputer_" in wrapper.__dict__:
                mapping.imputer_ = wrapper.imputer_
        elif parts is not None and not parts.before:
            names = getattr(model, "feature_names_in_", own)
        mapping.n_features_in_ = n
        if names is not None and all(isinstance(name, str) for name in names):
            mapping.feature_names_in_ = np.asarray(names, dtype=object)
        mapping.used_bands_ = np.ones(n, bool) if wrapper is None else wrapper.__dict__.get("used_bands_", np.ones(n, bool))
        within = [] if parts is None else parts.within
        mapping.estimator_ = make_pipeline(*within, index) if within else index
        return mapping

    def features(self, X: Any) -> np.ndarray:
        """Return a table as the model's last step sees it."""
        if isinstance(X, PixelTable):
            names, values = X.band_names, np.asarray(X)
        else:
            names, values = _frame_names(X), check_array(X, dtype=FLOAT_DTYPES, ensure_all_finite=False, ensure_min_samples=0)
        values = values[:, band_order(self._names(), names, values.shape[1], self.n_features_in_)][:, self.used_bands_]
        rows = _named(self.estimator_, self.imputer_.transform(values) if "imputer_" in self.__dict__ else values)
        steps = self.estimator_.steps[:-1] if hasattr(self.estimator_, "steps") else ()
        for _, step in steps:
            rows = step.transform(rows)
        return np.asarray(rows, dtype=float)

    def predict(self, X: Any) -> Any:
        """Return a map of inside and outside."""
        return self._apply(X, "predict")

    def _pair(self, method: str, policy: NanPolicy) -> OutputType:
        return OutputType("uint8", 255) if method == "predict" else OutputType("float32", float("nan"))

    def _names_out(self) -> tuple[str, ...]:
        return tuple(self.estimator.get_feature_names_out())

    def _describe(self, method: str, n_outputs: int | None, dtype: Any) -> tuple[dict[str, Any], tuple[str, ...] | None]:
        if method != "predict":
            return {"long_name": "dissimilarity to the training data"}, self._names_out()
        flags = {"flag_values": np.arange(2, dtype="uint8"), "flag_meanings": " ".join(_CLASSES), "class_names": list(_CLASSES)}
        return {"long_name": "area of applicability", **flags}, None
