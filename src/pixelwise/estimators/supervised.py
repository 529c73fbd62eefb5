"""PixelwiseClassifier and PixelwiseRegressor: models that learn from labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.preprocessing import LabelEncoder
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import assert_all_finite, column_or_1d

from pixelwise.errors import LabelError
from pixelwise.estimators.base import PixelwiseBase, delegates
from pixelwise.estimators.uncertainty import UNCERTAINTY
from pixelwise.families import EstimatorFamily

__all__ = ["PixelwiseClassifier", "PixelwiseRegressor"]


class _ScoresRasters:
    """``score`` on tables and rasters alike; it stands left of scikit-learn's mixin, which brings the measure."""

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy of a classifier, or R2 of a regressor, on a table or on the labelled pixels of a raster.

        Parameters
        ----------
        X : raster, PixelTable, array or DataFrame
            Pixels.
        y : label raster, or array of shape (n,)
            True labels or targets.
        sample_weight : array of shape (n,) or None
            Weights.

        Returns
        -------
        float
        """
        X, y = self._score_table(X, y)  # type: ignore[attr-defined]
        return float(super().score(X, y, sample_weight))  # type: ignore[misc]


class PixelwiseClassifier(_ScoresRasters, ClassifierMixin, PixelwiseBase):
    """Fit any classifier on pixels, and predict tables or whole rasters.

    On tables it behaves as the classifier that it wraps. On a raster, ``predict`` returns a map in the type that came in, with
    CRS, transform and nodata. Text labels become codes 0, 1, 2 ... in a map, named by its CF attributes ``flag_values`` and
    ``flag_meanings``.

    Parameters
    ----------
    estimator : classifier
        Any scikit-learn compatible classifier: a Pipeline, a search, a booster. A fitted one is usable at once.
    nan : NanPolicy or str, default="mask"
        What happens to pixels that lack data: see `NanPolicy`.
    fill_value : int, float or None, default=None
        What stands in a map where nothing was predicted; None takes -1, the dtype's maximum, or NaN, as the dtype has it.
    output_dtype : dtype-like or None, default=None
        Dtype of a map; None takes the first of uint8, int16, int32, int64 that holds all classes and the fill.
    adapter : Layout or None, default=None
        How rasters become tables; None takes one row a pixel, and one column a band, or a band and date.
    method : str, default="predict"
        What calling the object does: "predict", "predict_proba" ...
    engine : str or None, default=None
        What predicts: None the estimator itself; "auto" or the name of an engine, such as "fast" of the plugin
        `pixelwise-fast`, what `compile_estimator` makes of it, with the same results.

    Attributes
    ----------
    estimator_ : classifier
        The fitted clone.
    classes_ : ndarray of shape (n_classes,)
        The labels, as they came in.
    n_features_in_ : int
        Number of bands.
    feature_names_in_ : ndarray of str
        Band names, where the training raster or frame has them; rasters with the bands in another order are put right.
    used_bands_ : ndarray of bool
        False for bands that had no data in training, which the model does without.

    See Also
    --------
    PixelwiseRegressor : For continuous targets.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> scene, polygons = pw.datasets.make_example()
    >>> raster = pw.open_raster(scene)
    >>> X, y = pw.extract_pixels(raster, polygons, column="class")
    >>> model = pw.PixelwiseClassifier(RandomForestClassifier(20, random_state=0)).fit(X, y)
    >>> predicted = model.predict(raster)
    >>> predicted.dims, predicted.dtype.name, int(predicted.rio.nodata), predicted.flag_meanings
    (('y', 'x'), 'uint8', 255, 'forest water')
    >>> model.predict_proba(raster).band.values.tolist()
    ['forest', 'water']
    """

    _kind = "classifier"

    def predict(self, X: Any) -> Any:
        """Predict classes.

        Parameters
        ----------
        X : raster of any carrier, PixelTable, array or DataFrame
            Pixels.

        Returns
        -------
        raster (y, x) of codes, or ndarray of labels of shape (n,)
        """
        return self._apply(X, "predict")

    @delegates("predict_proba")
    def predict_proba(self, X: Any) -> Any:
        """Predict class probabilities.

        Parameters
        ----------
        X : raster of any carrier, PixelTable, array or DataFrame
            Pixels.

        Returns
        -------
        raster (band, y, x) of float32, one named band a class, or ndarray of shape (n, n_classes)
        """
        return self._apply(X, "predict_proba")

    @delegates("predict_log_proba")
    def predict_log_proba(self, X: Any) -> Any:
        """Predict logarithms of class probabilities, as `predict_proba` does."""
        return self._apply(X, "predict_log_proba")

    @delegates("decision_function")
    def decision_function(self, X: Any) -> Any:
        """Return confidence scores: a raster of one band, or of one a class, or an ndarray."""
        return self._apply(X, "decision_function")

    @delegates(UNCERTAINTY)
    def predict_uncertainty(self, X: Any) -> Any:
        """Say how unsure the classes are: the entropy of the probabilities, by the largest that so many classes can have.

        It is what the model says of itself, and no better than its probabilities.

        Parameters
        ----------
        X : raster of any carrier, PixelTable, array or DataFrame
            Pixels.

        Returns
        -------
        raster (y, x) of float32, or ndarray of shape (n,)
            From 0, where one class has all, to 1, where all are equal; for several targets a band, or a column, each.
        """
        return self._apply(X, UNCERTAINTY)

    def _encode(self, y: Any, params: dict[str, Any], family: EstimatorFamily, first: bool) -> Any:
        if first:
            self.__dict__.pop("encoder_", None)
            self.__dict__.pop("classes_", None)
        if not family.encode_labels:
            return y
        if y is None:
            raise LabelError(f"{type(self).__name__} requires y to be passed, but the target y is None: pass the labels")
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        if first:
            self.encoder_ = LabelEncoder().fit(params.get("classes", y))
        if "classes" in params:
            params["classes"] = np.arange(len(self.encoder_.classes_))
        return self.encoder_.transform(y)

    def _explain(self, y: Any, params: dict[str, Any]) -> None:
        weight = params.get("sample_weight")
        if weight is None or np.shape(weight) != np.shape(y):
            return
        left = np.unique(_plain(np.asarray(y))[np.asarray(weight) > 0])
        if len(left) == 1:
            raise LabelError(f"sample_weight leaves the single class {left[0]}: give two classes or more a positive weight")

    def _learned(self, y: Any) -> None:
        if "encoder_" in self.__dict__:
            self.classes_ = self.encoder_.classes_
        elif hasattr(self.estimator_, "classes_"):
            self.classes_ = self.estimator_.classes_

    def _decode(self, result: Any, method: str) -> Any:
        if method != "predict":
            return result
        # CatBoost returns a column.
        result = result.ravel() if getattr(result, "ndim", 1) == 2 and result.shape[1] == 1 else result
        return result if "encoder_" not in self.__dict__ else self.classes_[np.asarray(result, dtype=np.intp)]

    def _coded(self, result: Any, method: str) -> Any:
        if method != "predict":
            if isinstance(result, list):
                raise LabelError(f"{method} of several targets at once makes no raster: fit one classifier a target")
            return np.asarray(result)
        if "encoder_" not in self.__dict__ and np.ndim(result) == 1 and np.asarray(result).dtype.kind in "iu":
            return np.asarray(result)
        result = np.asarray(self._decode(result, method))
        if result.ndim > 1 or _are_codes(getattr(self, "classes_", result)):
            if result.dtype.kind not in "iufb":
                raise LabelError("several targets with text labels make no raster: give them numbers")
            return result
        return np.searchsorted(self.classes_, result)

    def _expected_codes(self, y: Any) -> tuple[float, ...]:
        labels = np.asarray(y)
        return _codes(np.unique(_plain(labels))) if labels.ndim == 1 and "encoder_" not in self.__dict__ else ()

    def _codes(self) -> tuple[float, ...]:
        classes = getattr(self, "classes_", None)
        if isinstance(classes, list):
            return tuple(code for part in classes for code in _codes(np.asarray(part)))
        return () if classes is None else _codes(np.asarray(classes))

    def _describe(self, method: str, n_outputs: int | None, dtype: Any) -> tuple[dict[str, Any], tuple[str, ...] | None]:
        classes = getattr(self, "classes_", None)
        attrs, bands = super()._describe(method, n_outputs, dtype)
        if classes is None or isinstance(classes, list):
            return attrs, bands
        known = np.asarray(classes)
        names = [
            str(label)
            for label in (known.astype(np.int64) if known.dtype.kind == "f" and _are_codes(known) else known).tolist()
        ]
        if n_outputs is not None:
            return attrs, tuple(names) if len(names) == n_outputs else bands
        if method != "predict":
            return attrs, None
        codes = np.asarray(self._codes()).astype(dtype)
        meanings = " ".join("_".join(name.split()) for name in names)
        return {**attrs, "flag_values": codes, "flag_meanings": meanings, "class_names": names}, None


def _plain(y: np.ndarray) -> np.ndarray:
    return y.astype(str) if y.dtype == object else y


def _are_codes(classes: Any) -> bool:
    """Whether class labels are whole numbers, and can stand in a raster as they are."""
    array = np.asarray(classes)
    return array.dtype.kind in "iu" or (array.dtype.kind == "f" and bool(np.all(array == np.rint(array))))


def _codes(classes: np.ndarray) -> tuple[float, ...]:
    return tuple(classes.tolist()) if _are_codes(classes) else tuple(range(len(classes)))


class PixelwiseRegressor(_ScoresRasters, RegressorMixin, PixelwiseBase):
    """Fit any regressor on pixels, and predict tables or whole rasters.

    Parameters
    ----------
    estimator : regressor
        Any scikit-learn compatible regressor; a fitted one is usable at once.
    nan : NanPolicy or str, default="mask"
        What happens to pixels that lack data: see `NanPolicy`.
    fill_value : int, float or None, default=None
        What stands in a map where nothing was predicted; None takes NaN, or -1 or the maximum for an integer dtype.
    output_dtype : dtype-like or None, default=None
        Dtype of a map; None is float32. Integers are rounded; a prediction that the dtype cannot hold is an error.
    adapter : Layout or None, default=None
        How rasters become tables; None takes one row a pixel, and one column a band, or a band and date.
    method : str, default="predict"
        What calling the object does.
    engine : str or None, default=None
        What predicts: None the estimator itself; "auto" or the name of an engine, such as "fast" of the plugin
        `pixelwise-fast`, what `compile_estimator` makes of it, with the same results.

    Attributes
    ----------
    estimator_ : regressor
        The fitted clone.
    n_features_in_ : int
        Number of bands.
    feature_names_in_ : ndarray of str
        Band names, where the training raster or frame has them.

    See Also
    --------
    PixelwiseClassifier : For classes.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> from sklearn.linear_model import LinearRegression
    >>> scene, polygons = pw.datasets.make_example()
    >>> raster = pw.open_raster(scene)
    >>> X, y = pw.extract_pixels(raster, raster.sel(band="B08") * 2.0)
    >>> predicted = pw.PixelwiseRegressor(LinearRegression()).fit(X, y).predict(raster)
    >>> predicted.dtype.name, bool(np.allclose(predicted, raster.sel(band="B08") * 2.0, atol=0.01))
    ('float32', True)
    """

    _kind = "regressor"

    def predict(self, X: Any) -> Any:
        """Predict targets.

        Parameters
        ----------
        X : raster of any carrier, PixelTable, array or DataFrame
            Pixels.

        Returns
        -------
        raster (y, x), or (band, y, x) for several targets, or ndarray of shape (n,) or (n, n_targets)
        """
        return self._apply(X, "predict")

    @delegates(UNCERTAINTY)
    def predict_uncertainty(self, X: Any) -> Any:
        """Say how unsure the targets are: their standard deviation, in the unit of the target.

        Estimators that predict with ``return_std`` (Gaussian processes, Bayesian regression) tell it themselves; of random
        forests, extra trees and bagging it is the one among their members, which leaves the noise of single pixels out.

        Parameters
        ----------
        X : raster of any carrier, PixelTable, array or DataFrame
            Pixels.

        Returns
        -------
        raster (y, x), or (band, y, x) for several targets, of float32, or ndarray of shape (n,) or (n, n_targets)
        """
        return self._apply(X, UNCERTAINTY)
