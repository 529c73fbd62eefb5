"""The families of scikit-learn's own estimators, of whatever inherits its mixins, and of LightGBM's."""

from __future__ import annotations

from pixelwise.families import EstimatorFamily
from pixelwise.hookspecs import hookimpl

__all__ = ["pixelwise_families"]


@hookimpl
def pixelwise_families() -> list[EstimatorFamily]:
    """Return one family for each kind of scikit-learn estimator, and those of LightGBM, which can go on from a fitted model."""
    floats = ("float32", "float64")
    return [
        EstimatorFamily("sklearn-classifier", ("sklearn.base:ClassifierMixin",), kind="classifier"),
        EstimatorFamily("sklearn-regressor", ("sklearn.base:RegressorMixin",), kind="regressor", dtypes=floats),
        EstimatorFamily("sklearn-clusterer", ("sklearn.base:ClusterMixin",), kind="clusterer"),
        EstimatorFamily("lightgbm-classifier", ("lightgbm:LGBMClassifier",), kind="classifier", continues="init_model"),
        EstimatorFamily(
            "lightgbm-regressor", ("lightgbm:LGBMRegressor",), kind="regressor", dtypes=floats, continues="init_model"
        ),
        EstimatorFamily("sklearn-transformer", ("sklearn.base:TransformerMixin",), kind="transformer", dtypes=floats),
    ]
