"""The families of scikit-learn's own estimators, and of whatever inherits its mixins."""

from __future__ import annotations

from pixelwise.families import EstimatorFamily
from pixelwise.hookspecs import hookimpl

__all__ = ["pixelwise_families"]


@hookimpl
def pixelwise_families() -> list[EstimatorFamily]:
    """Return one family for each kind of scikit-learn estimator."""
    floats = ("float32", "float64")
    return [
        EstimatorFamily("sklearn-classifier", ("sklearn.base:ClassifierMixin",), kind="classifier"),
        EstimatorFamily("sklearn-regressor", ("sklearn.base:RegressorMixin",), kind="regressor", dtypes=floats),
        EstimatorFamily("sklearn-clusterer", ("sklearn.base:ClusterMixin",), kind="clusterer"),
        EstimatorFamily("sklearn-transformer", ("sklearn.base:TransformerMixin",), kind="transformer", dtypes=floats),
    ]
