"""Which object predicts for a meta-estimator: its fitted estimator, or what an engine has compiled it to."""

from __future__ import annotations

import operator
import threading
from typing import Any
from weakref import WeakKeyDictionary

from pixelwise.engines import compile_estimator

__all__ = ["LEARNED", "predictor_of"]

#: What a regressor of scikit-learn or a booster gets anew when it is fitted again, besides what all estimators get.
LEARNED = ("estimators_", "_predictors", "tree_", "coef_", "steps", "best_estimator_", "_Booster")
#: The last compiled estimator of each meta-estimator; beside them, because predicting must not change them.
_COMPILED: WeakKeyDictionary[Any, tuple[str, tuple[Any, ...], Any]] = WeakKeyDictionary()
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
    engine = mapper.engine
    if engine is None:
        return inner
    learned = (inner, *(getattr(inner, name, None) for name in LEARNED))
    # Threads of predict_raster come here at the same time, and compiling a forest takes seconds.
    with _LOCK:
        known = _COMPILED.get(mapper)
        if known is None or known[0] != engine or any(map(operator.is_not, known[1], learned)):
            compiled = compile_estimator(inner, engine)
            # One that uses the estimator as it is would only stand between.
            known = _COMPILED[mapper] = engine, learned, inner if compiled.engine_ == "none" else compiled
    return known[2] if hasattr(known[2], method) else inner
