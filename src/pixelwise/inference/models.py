"""What a model must be to map a file: fitted, with the method, and taking rasters; and how far its operators look round."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Sequence
from typing import Any

from sklearn.base import is_classifier, is_clusterer, is_regressor
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from pixelwise.assessment.applicability import AreaOfApplicability
from pixelwise.estimators.base import PixelwiseBase
from pixelwise.estimators.supervised import PixelwiseClassifier, PixelwiseRegressor
from pixelwise.estimators.unsupervised import PixelwiseClusterer, PixelwiseTransformer
from pixelwise.operators.core import Sequential
from pixelwise.raster.carriers import Raster
from pixelwise.table.missing import NanPolicy, as_policy

__all__ = [
    "OF_AREA",
    "as_raster_model",
    "calls_of",
    "calls_of_area",
    "final_step",
    "method_of",
    "policy_of",
    "taking_rasters",
    "with_engine",
]

#: From a chip to what is made of it.
Call = Callable[[Raster], Raster]
#: Maps of an area of applicability beside those of a model, and what is called of it for them.
OF_AREA = {"DI": "transform", "inside": "predict"}

_METHODS = (
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "predict_uncertainty",
    "transform",
    "inverse_transform",
    "score_samples",
)


def as_raster_model(model: Any, *methods: str) -> Any:
    """Return a fitted model that takes rasters: itself, or one of scikit-learn's in the wrapper of its kind.

    Parameters
    ----------
    model : estimator
        Fitted.
    *methods : str
        The methods that will be called.

    Returns
    -------
    object

    Raises
    ------
    NotFittedError
        If it is not fitted.
    TypeError
        If it is a path, or no wrapper is made for it.
    ValueError
        If it does not have a method.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from pixelwise.inference.models import as_raster_model
    >>> as_raster_model(Ridge().fit([[0.0], [1.0]], [0.0, 1.0]), "predict")
    PixelwiseRegressor(estimator=Ridge())
    """
    if isinstance(model, str | os.PathLike):
        raise TypeError(f"model={os.fspath(model)!r} is a path: read the model that is there with load_artifact, and give that")
    if hasattr(model, "fit"):
        check_is_fitted(model)
    ready = taking_rasters(model)
    able = [ready, _parted(ready)[1]]
    missing = next((method for method in methods if not any(hasattr(each, method) for each in able)), None)
    if missing is not None:
        has = ", ".join(repr(name) for name in _METHODS if any(hasattr(each, name) for each in able))
        raise ValueError(
            f"{type(model).__name__} has no method {missing!r}: choose one of {has or 'another model, it has none'}"
        )
    return ready


def taking_rasters(model: Any) -> Any:
    """Return a model itself if it takes rasters, and else in the wrapper of its kind.

    Parameters
    ----------
    model : object
        An estimator, an operator, a function.

    Returns
    -------
    object

    Raises
    ------
    TypeError
        If no wrapper is made for it.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from sklearn.linear_model import Ridge
    >>> from pixelwise.inference.models import taking_rasters
    >>> taking_rasters(Ridge()), taking_rasters(pw.sar.LinearToDB())
    (PixelwiseRegressor(estimator=Ridge()), LinearToDB())
    """
    return model if _takes_rasters(final_step(model)) else _wrapped(model)


def method_of(model: Any) -> str:
    """Return what applying a model means: to call it, where it can be called, else to predict or to transform.

    Parameters
    ----------
    model : object
        A model, an operator, a Pipeline of them, a function.

    Returns
    -------
    str
        Name of a method.

    Raises
    ------
    TypeError
        If it can do nothing of this.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from sklearn.linear_model import Ridge
    >>> from pixelwise.inference.models import method_of
    >>> method_of(pw.indices.NDVI(red=0, nir=1)), method_of(Ridge())
    ('__call__', 'predict')
    """
    found = next((name for name in ("__call__", "predict", "transform") if hasattr(model, name)), None)
    if found is None or isinstance(model, type):
        raise TypeError(f"{model!r} can be neither called nor applied: give a model, an operator or a function")
    return found


def with_engine(model: Any, engine: str | None) -> Any:
    """Return a model whose last step predicts by an engine, unless it says itself which; the model given stays as it is.

    Parameters
    ----------
    model : estimator
        A Pixelwise estimator, or a Pipeline or search that ends in one; others are returned as they are.
    engine : str or None
        As of `compile_estimator`.

    Returns
    -------
    object

    Examples
    --------
    >>> import pixelwise as pw
    >>> from sklearn.linear_model import Ridge
    >>> from pixelwise.inference.models import with_engine
    >>> with_engine(pw.PixelwiseRegressor(Ridge()), "auto").engine
    'auto'
    """
    if engine is None:
        return model
    made = copy.copy(model)
    if hasattr(model, "best_estimator_"):
        made.best_estimator_ = with_engine(model.best_estimator_, engine)
    elif getattr(model, "steps", None):
        made.steps = [*model.steps[:-1], (model.steps[-1][0], with_engine(model.steps[-1][1], engine))]
    elif isinstance(model, PixelwiseBase) and model.engine is None:
        made.engine = engine
    else:
        return model
    return made


def calls_of(model: Any, methods: Sequence[str]) -> tuple[list[Call], dict[str, Call]]:
    """Part a model into what all its methods do first, and the methods.

    Of a Pipeline that several methods are called of, the steps in front of the last one are the same for all, and are applied
    once; and so they are where it is its last step alone that has the method.

    Parameters
    ----------
    model : estimator
        As from `as_raster_model`.
    methods : sequence of str
        What will be called.

    Returns
    -------
    front : list of callable
        To be applied one after the other; empty where there is nothing to share.
    calls : dict of str to callable
        To be applied to the result, each by the name of its method.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from sklearn.linear_model import LogisticRegression
    >>> from pixelwise.inference.models import calls_of
    >>> flood = pw.PixelwiseClassifier(LogisticRegression().fit([[0.0], [1.0]], [0, 1]))
    >>> front, calls = calls_of(pw.Sequential([pw.sar.LinearToDB(), flood]), ["predict", "predict_proba"])
    >>> len(front), list(calls)
    (1, ['predict', 'predict_proba'])
    """
    front: list[Call] = []
    if len(methods) > 1 or not all(hasattr(model, method) for method in methods):
        front, model = _parted(model)
    return front, {method: getattr(model, method) for method in methods}


def calls_of_area(area: Any, names: Sequence[str]) -> dict[str, Call]:
    """Return what is called of an area of applicability.

    Parameters
    ----------
    area : AreaOfApplicability or None
        Fitted.
    names : sequence of str
        All maps that are wanted, those of the model as well.

    Returns
    -------
    dict of str to callable
        From a chip as it is read, by the name of the map.

    Raises
    ------
    NotFittedError
        If it is not fitted.
    TypeError
        If it is something else.
    ValueError
        If one of its maps is wanted and there is no area, or the other way round.
    """
    wanted = [name for name in names if name in OF_AREA]
    if area is None and not wanted:
        return {}
    if area is None:
        raise ValueError(f"{wanted[0]!r} is a map of an area of applicability: pass area=AreaOfApplicability(model).fit(X, y)")
    if not isinstance(area, AreaOfApplicability):
        raise TypeError(f"area={area!r} is no area of applicability: pass AreaOfApplicability(model).fit(X, y)")
    check_is_fitted(area)
    if not wanted:
        raise ValueError("area is given, and dst names no map of it: add {'DI': path}, {'inside': path} or both to dst")
    return {name: getattr(area, OF_AREA[name]) for name in wanted}


def _parted(model: Any) -> tuple[list[Call], Any]:
    """Return what is done in front of the last step of Pipelines and fitted searches, and that step."""
    front: list[Call] = []
    # What else is a Pipeline may do more between its steps.
    while hasattr(model, "best_estimator_") or (type(model) in (Pipeline, Sequential) and _is_step(model.steps[-1][1])):
        if hasattr(model, "best_estimator_"):
            model = model.best_estimator_
            continue
        front += [step.transform for _, step in model.steps[:-1] if _is_step(step)]
        model = model.steps[-1][1]
    return front, model


def _is_step(step: Any) -> bool:
    return step is not None and not isinstance(step, str)


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
