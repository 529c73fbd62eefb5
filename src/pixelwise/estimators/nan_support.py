"""What numbers an estimator takes: NaN, asked of the fitted one and guessed from the composition before; and which floats."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.cluster import BisectingKMeans, KMeans, MiniBatchKMeans
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from pixelwise.estimators.uncertainty import called
from pixelwise.families import EstimatorFamily
from pixelwise.table.missing import table_dtype

__all__ = ["dtype_taken", "expects_nan", "takes_nan"]


def takes_nan(estimator: Any, n_features: int, method: str, family: EstimatorFamily) -> bool:
    """Ask a fitted estimator whether it takes NaN, by giving it one row of them.

    Tags cannot tell, because those of composites do not speak for their parts.

    Parameters
    ----------
    estimator : object
        Fitted.
    n_features : int
        Number of columns.
    method : str
        The method that will be called.
    family : EstimatorFamily
        May know the answer.

    Returns
    -------
    bool
    """
    if family.accepts_nan is not None:
        return family.accepts_nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            called(estimator, method)(np.full((1, n_features), np.nan))
        # Any error of any third-party estimator means the same: it does not take NaN.
        except Exception:
            return False
    return True


def expects_nan(estimator: Any, family: EstimatorFamily) -> bool:
    """Guess from its composition whether an estimator that is not fitted yet will take NaN.

    Parameters
    ----------
    estimator : object
        Maybe a Pipeline or a search.
    family : EstimatorFamily
        May know the answer.

    Returns
    -------
    bool
    """
    if family.accepts_nan is not None:
        return family.accepts_nan
    for step in _steps(estimator):
        if type(step).__module__.startswith("sklearn.impute"):
            return True
        try:
            with warnings.catch_warnings():
                # scikit-learn 1.6 answers for an estimator without tags, and deprecates it.
                warnings.simplefilter("ignore", DeprecationWarning)
                allowed = bool(get_tags(step).input_tags.allow_nan)
        # An estimator from before scikit-learn's tags says nothing.
        except AttributeError:
            return False
        if not allowed:
            return False
    return True


def _steps(estimator: Any) -> list[Any]:
    if getattr(estimator, "steps", None):
        steps = [step for _, step in estimator.steps if step not in (None, "passthrough")]
        return [part for step in steps for part in _steps(step)]
    if hasattr(estimator, "estimator") and hasattr(estimator, "fit"):
        return _steps(estimator.estimator)
    return [estimator]


def dtype_taken(estimator: Any, dtype: Any) -> np.dtype[Any]:
    """Return the float dtype of a table that is made of a raster for a fitted estimator.

    Parameters
    ----------
    estimator : estimator
        scikit-learn's KMeans and its like take no other floats than they were fitted on.
    dtype : dtype-like
        That of the raster's values.

    Returns
    -------
    numpy.dtype

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.cluster import KMeans
    >>> from pixelwise.estimators.nan_support import dtype_taken
    >>> dtype_taken(None, "uint16"), dtype_taken(KMeans(1).fit(np.zeros((3, 2))), "uint16")
    (dtype('float32'), dtype('float64'))
    """
    last = estimator
    while hasattr(last, "best_estimator_") or isinstance(last, Pipeline):
        last = last.best_estimator_ if hasattr(last, "best_estimator_") else last.steps[-1][1]
    own = isinstance(last, KMeans | MiniBatchKMeans | BisectingKMeans) and hasattr(last, "cluster_centers_")
    return np.dtype(last.cluster_centers_.dtype) if own else table_dtype(dtype)
