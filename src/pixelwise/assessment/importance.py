"""What a fitted model makes of its features before it predicts, and how much each of them matters to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator

from pixelwise.errors import BandError
from pixelwise.estimators.base import PixelwiseBase
from pixelwise.estimators.mapping import is_fitted
from pixelwise.operators.base import Operator

__all__ = ["ModelParts", "given_weights", "importances", "model_parts"]

_REMEDY = (
    "pass weights=None to weigh the bands alike, or weights=array, such as the importances_mean of "
    "sklearn.inspection.permutation_importance"
)


@dataclass(frozen=True, eq=False)
class ModelParts:
    """A fitted model taken apart.

    Parameters
    ----------
    before : list of transformer
        What is applied to rasters as a whole, such as operators.
    wrapper : PixelwiseBase or None
        The meta-estimator that reads rasters, if there is one.
    within : list of transformer
        What is applied to tables behind it, such as a scaler.
    last : estimator
        What predicts.
    """

    before: list[Any]
    wrapper: PixelwiseBase | None
    within: list[Any]
    last: Any


def model_parts(model: Any) -> ModelParts:
    """Take a fitted model apart: behind searches, Pipelines, Pixelwise estimators and other wrappers.

    Parameters
    ----------
    model : estimator
        Fitted.

    Returns
    -------
    ModelParts
    """
    before: list[Any] = []
    within: list[Any] = []
    wrapper: PixelwiseBase | None = None
    while True:
        # These two first, because they hand on the learned attributes of what they wrap.
        if isinstance(model, FrozenEstimator):
            model = model.estimator
        elif isinstance(model, PixelwiseBase):
            wrapper, model = model, model.__dict__.get("estimator_", model.estimator)
        elif hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        elif getattr(model, "steps", None):
            # Samplers change the training rows alone.
            steps = [step for _, step in model.steps[:-1] if step not in (None, "passthrough") and hasattr(step, "transform")]
            (before if wrapper is None else within).extend(steps)
            model = model.steps[-1][1]
        elif (inner := _inner(model)) is not None:
            model = inner
        else:
            break
    if wrapper is None:
        # Operators know bands by name, which a table of numbers does not.
        count = next((at for at, step in enumerate(before) if not isinstance(step, Operator)), len(before))
        before, within = before[:count], before[count:]
    return ModelParts(before, wrapper, within, model)


def _inner(model: Any) -> Any:
    """Return the fitted estimator in a wrapper that has no importances of its own."""
    if hasattr(model, "feature_importances_") or hasattr(model, "coef_"):
        return None
    parameters = model.get_params(deep=False) if hasattr(model, "get_params") else {}
    held = [(name, f"{name}_") for name in ("estimator", "regressor") if name in parameters]
    found = (getattr(model, learned, parameters[name]) for name, learned in held)
    # A Bagging's estimator_ is the pattern that it cloned.
    return next((inner for inner in found if hasattr(inner, "fit") and is_fitted(inner)), None)


def importances(estimator: Any, features: np.ndarray) -> np.ndarray:
    """Return how much each feature matters to an estimator.

    Coefficients of a linear model are multiplied by the standard deviation of their feature: else they would depend on its
    unit, and a feature in metres would matter a thousand times as much as in kilometres.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    features : ndarray of shape (n, n_features)
        The training features, as it sees them.

    Returns
    -------
    ndarray of shape (n_features,)

    Raises
    ------
    BandError
        If it has none, or not one for each feature.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from pixelwise.assessment.importance import importances
    >>> X = np.array([[0.0, 0.0], [1.0, 2000.0], [2.0, 0.0]])
    >>> importances(LinearRegression().fit(X, X @ [1.0, 0.001]), X).round(3)
    array([1.   , 1.155])
    """
    if hasattr(estimator, "feature_importances_"):
        found = np.asarray(estimator.feature_importances_, dtype=float)
    elif hasattr(estimator, "coef_"):
        coef = estimator.coef_.toarray() if hasattr(estimator.coef_, "toarray") else np.asarray(estimator.coef_)
        found = np.abs(np.atleast_2d(coef)).mean(axis=0)
    else:
        raise BandError(f"{type(estimator).__name__} has no feature_importances_ or coef_ to weigh the bands with: {_REMEDY}")
    if found.shape != (features.shape[1],) or not np.isfinite(found).all():
        raise BandError(
            f"{type(estimator).__name__} has {found.size} importances, {np.isfinite(found).sum()} of them finite, for "
            f"{features.shape[1]} features: {_REMEDY}"
        )
    return found if hasattr(estimator, "feature_importances_") else found * features.std(axis=0, ddof=1)


def given_weights(weights: Any, names: Sequence[str]) -> np.ndarray:
    """Return given weights in the order of the features.

    Parameters
    ----------
    weights : array-like of shape (n_features,), or mapping of str to float
        What was given.
    names : sequence of str
        The features.

    Returns
    -------
    ndarray of shape (n_features,)

    Raises
    ------
    BandError
        If they do not fit the features.
    """
    if isinstance(weights, str):
        raise BandError(
            f"weights={weights!r} is not known: pass 'importance', None, an array, or a mapping from band to weight"
        )
    if hasattr(weights, "keys"):
        missing, extra = [name for name in names if name not in weights], [name for name in weights if name not in names]
        if missing or extra:
            parts = [f"lack band {', '.join(missing)}"] * bool(missing)
            parts += [f"name {', '.join(map(str, extra))}, which is no band"] * bool(extra)
            raise BandError(
                f"weights {' and '.join(parts)}: give one for each of {', '.join(names)}", missing=missing, extra=extra
            )
        weights = [weights[name] for name in names]
    found = np.asarray(weights, dtype=float)
    if found.shape != (len(names),):
        raise BandError(f"weights of shape {found.shape} for {len(names)} bands: give one for each of {', '.join(names)}")
    if not np.isfinite(found).all():
        at = int(np.argmin(np.isfinite(found)))
        raise BandError(f"weight {found[at]} of band {names[at]} is not finite: give a number, or 0 to leave the band out")
    return found
