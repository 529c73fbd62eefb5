"""What a model must be to map a file: fitted, with the method, and taking rasters; and how far its operators look round."""

from __future__ import annotations

from typing import Any

from sklearn.base import is_classifier, is_clusterer, is_regressor
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from pixelwise.estimators.supervised import PixelwiseClassifier, PixelwiseRegressor
from pixelwise.estimators.unsupervised import PixelwiseClusterer, PixelwiseTransformer
from pixelwise.table.missing import NanPolicy, as_policy

__all__ = ["as_raster_model", "final_step", "policy_of", "total_halo"]

_METHODS = (
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "transform",
    "inverse_transform",
    "score_samples",
)


def as_raster_model(model: Any, method: str) -> Any:
    """Return a fitted model that takes rasters: itself, or one of scikit-learn's in the wrapper of its kind.

    Parameters
    ----------
    model : estimator
        Fitted.
    method : str
        The method that will be called.

    Returns
    -------
    object

    Raises
    ------
    NotFittedError
        If it is not fitted.
    TypeError
        If no wrapper is made for it.
    ValueError
        If it does not have the method.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from pixelwise.inference.models import as_raster_model
    >>> as_raster_model(Ridge().fit([[0.0], [1.0]], [0.0, 1.0]), "predict")
    PixelwiseRegressor(estimator=Ridge())
    """
    if hasattr(model, "fit"):
        check_is_fitted(model)
    ready = model if _takes_rasters(final_step(model)) else _wrapped(model)
    if not hasattr(ready, method):
        has = ", ".join(repr(name) for name in _METHODS if hasattr(ready, name))
        raise ValueError(
            f"{type(model).__name__} has no method {method!r}: choose one of {has or 'another model, it has none'}"
        )
    return ready


def final_step(model: Any) -> Any:
    """Return what makes the predictions behind Pipelines and fitted searches."""
    while True:
        if hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        elif getattr(model, "steps", None):
            model = model.steps[-1][1]
        else:
            return model


def _takes_rasters(step: Any) -> bool:
    if not hasattr(step, "fit"):
        return True
    return bool(get_tags(step).input_tags.three_d_array)


def _wrapped(model: Any) -> Any:
    if is_classifier(model):
        return PixelwiseClassifier(model)
    if is_regressor(model):
        return PixelwiseRegressor(model)
    if is_clusterer(model):
        return PixelwiseClusterer(model)
    if hasattr(model, "transform"):
        return PixelwiseTransformer(model)
    raise TypeError(
        f"{type(model).__name__} is no classifier, regressor, clusterer or transformer: wrap it in a Pixelwise class"
    )


def policy_of(model: Any, bands: tuple[str, ...]) -> NanPolicy:
    """Return what counts as missing in rasters with these bands, as far as the model says so."""
    policy = as_policy(getattr(final_step(model), "nan", "mask"))
    if not hasattr(policy.sentinels, "items"):
        return policy
    # Operators may have made bands that the file does not have.
    known = {band: values for band, values in policy.sentinels.items() if band in bands}
    return NanPolicy(**{**vars(policy), "sentinels": known})


def total_halo(model: Any) -> int:
    """Return how many pixels round a chip the operators of a model look at, one behind the other.

    Parameters
    ----------
    model : object
        An operator, a Pipeline, a search, or whatever holds some in its parameters.

    Returns
    -------
    int

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from pixelwise.inference.models import total_halo
    >>> from pixelwise.operators.base import Operator
    >>> class Blur(Operator):
    ...     halo = 3
    >>> total_halo(make_pipeline(Blur(), Blur()))
    6
    """
    if hasattr(model, "best_estimator_"):
        return total_halo(model.best_estimator_)
    if getattr(model, "steps", None):
        return sum(total_halo(step) for _, step in model.steps)
    own = getattr(model, "halo", None)
    if isinstance(own, int):
        # That of operators inside it is counted there.
        return own
    inner = model.get_params(deep=False).values() if hasattr(model, "get_params") and not isinstance(model, type) else ()
    return max((total_halo(value) for value in inner if hasattr(value, "fit")), default=0)
