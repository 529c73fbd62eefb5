"""Which object predicts for a meta-estimator: its fitted estimator, or what an engine has compiled it to."""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from pixelwise.engines import CompiledEstimator, compile_estimator
from pixelwise.errors import EngineError
from pixelwise.estimators.uncertainty import called
from pixelwise.mapped import current
from pixelwise.plugins import plugins

__all__ = ["LEARNED", "coder_of", "compiled_for", "predictor_of", "restored", "with_program"]

#: What a regressor of scikit-learn or a booster gets anew when it is fitted again, besides what all estimators get.
LEARNED = ("estimators_", "_predictors", "tree_", "coef_", "steps", "best_estimator_", "_Booster")
#: In the saved state of a meta-estimator: which of the programs beside it is its own.
_NUMBER = "_program_number"
#: What each fitted estimator was last compiled to, None for nothing; beside them, because predicting must not change them.
_COMPILED: WeakKeyDictionary[Any, tuple[str, tuple[Any, ...], CompiledEstimator | None]] = WeakKeyDictionary()
_LOCK = threading.Lock()


def predictor_of(mapper: Any, inner: Any, method: str) -> Any:
    """Return what a method is called of: the fitted estimator, or where an engine is asked for what it has compiled.

    Parameters
    ----------
    mapper : PixelwiseBase
        Its ``engine`` says which.
    inner : estimator
        Fitted.
    method : str
        What will be called.

    Returns
    -------
    object
        With the method, and the same results.

    Raises
    ------
    EngineError
        If there is no engine of that name.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from sklearn.linear_model import Ridge
    >>> from pixelwise.estimators.compiled import predictor_of
    >>> model = Ridge().fit([[0.0], [1.0]], [0.0, 1.0])
    >>> predictor_of(pw.PixelwiseRegressor(model), model, "predict") is model
    True
    """
    compiled = None if mapper.engine is None else compiled_for(inner, mapper.engine)
    return inner if compiled is None or called(compiled, method) is None else compiled


def coder_of(predictor: Any, codes: tuple[float, ...]) -> Callable[[np.ndarray, Any], np.ndarray] | None:
    """Return what predicts the codes of a map without making labels first; None where a program has no such way.

    Parameters
    ----------
    predictor : object
        What `predictor_of` has returned.
    codes : tuple of float
        The code of each class.

    Returns
    -------
    callable or None
        It takes pixels of shape (n, n_features), in any dtype and order in memory, and the dtype that the estimator would be
        given, and returns codes of shape (n,).
    """
    numbers = getattr(getattr(predictor, "program_", None), "numbers", None)
    if numbers is None:
        return None
    if not codes:
        # Clusters are their own numbers.
        return lambda rows, dtype: np.asarray(numbers(rows, dtype, predictor.n_jobs))
    coded = np.asarray(codes)
    return lambda rows, dtype: coded.take(numbers(rows, dtype, predictor.n_jobs))


def compiled_for(inner: Any, engine: str) -> CompiledEstimator | None:
    """Return what an engine makes of a fitted estimator, compiled once; None where it would be used as it is.

    Parameters
    ----------
    inner : estimator
        Fitted.
    engine : str
        As of `compile_estimator`.

    Returns
    -------
    CompiledEstimator or None

    Raises
    ------
    EngineError
        If there is no engine of that name.
    """
    learned = _learned(inner)
    # Threads of predict_raster come here at the same time, and compiling a forest takes seconds.
    with _LOCK:
        known = _COMPILED.get(inner)
        if known is None or known[0] != engine or any(map(operator.is_not, known[1], learned)):
            compiled = compile_estimator(inner, engine)
            # One that uses the estimator as it is would only stand between.
            known = _COMPILED[inner] = engine, learned, None if compiled.engine_ == "none" else compiled
    return known[2]


def _learned(inner: Any) -> tuple[Any, ...]:
    return tuple(getattr(inner, name, None) for name in LEARNED)


def with_program(mapper: Any, state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of a meta-estimator for saving, after what it has compiled was put beside the model.

    Parameters
    ----------
    mapper : PixelwiseBase
        Whose state it is.
    state : dict
        Its state.

    Returns
    -------
    dict
    """
    kept = current(saving=True)
    inner = state.get("estimator_", state.get("estimator"))
    if kept is None or kept.programs is None or mapper.engine is None or not mapper.__sklearn_is_fitted__():
        return state
    try:
        compiled = compiled_for(inner, mapper.engine)
    except EngineError:
        # A model can be saved where its engine is not installed.
        return state
    if compiled is None:
        return state
    number = next((number for number, each in enumerate(kept.programs) if each is compiled), len(kept.programs))
    if number == len(kept.programs):
        kept.programs.append(compiled)
    return {**state, _NUMBER: number}


def restored(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of a meta-estimator as it was saved, after what was compiled beside it has been handed over.

    Where the engine is not there, the estimator itself predicts.

    Parameters
    ----------
    state : dict
        What `with_program` has returned.

    Returns
    -------
    dict
    """
    state = dict(state)
    number, kept = state.pop(_NUMBER, None), current(saving=False)
    if number is None or kept is None:
        return state
    if kept.programs is None:
        here = state["engine"] == "auto" or state["engine"] in {engine.name for engine in plugins().engines}
        return state if here else {**state, "engine": "auto"}
    inner = state.get("estimator_", state["estimator"])
    with _LOCK:
        _COMPILED[inner] = state["engine"], _learned(inner), kept.programs[number]
    return state
