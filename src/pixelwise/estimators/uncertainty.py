"""How sure a fitted estimator is of what it predicts: from class probabilities, or from the spread of its predictions."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy.special import entr
from sklearn.ensemble import BaggingRegressor, ExtraTreesRegressor, RandomForestRegressor

__all__ = ["UNCERTAINTY", "called"]

#: The method that no estimator of scikit-learn has by itself.
UNCERTAINTY = "predict_uncertainty"


def called(estimator: Any, method: str) -> Any:
    """Return a method of an estimator, or None where it has none.

    Parameters
    ----------
    estimator : estimator
        Maybe a Pipeline or a search; fitted, if the method is to be called.
    method : str
        One of its own, or "predict_uncertainty", which is made of others: for a classifier with ``predict_proba`` the entropy
        of the probabilities, divided by the largest that so many classes can have, from 0 where one class has all to 1 where
        all are equal [1]_; for a regressor that predicts with ``return_std`` that standard deviation, and for forests and
        bagging the one among their members. None where there is nothing to make it of.

    Returns
    -------
    callable or None

    References
    ----------
    .. [1] Maselli, F., Conese, C. and Petkov, L. (1994): Use of probability entropy for the estimation and graphical
       representation of the accuracy of maximum likelihood classifications. ISPRS Journal of Photogrammetry and Remote
       Sensing 49(2), 13-20.

    Examples
    --------
    >>> from sklearn.linear_model import BayesianRidge, Ridge
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from pixelwise.estimators.uncertainty import called
    >>> called(GaussianNB().fit([[0.0], [1.0]], [0, 1]), "predict_uncertainty")([[0.1], [0.5]]).round(2).tolist()
    [0.0, 1.0]
    >>> called(BayesianRidge(), "predict_uncertainty") is None, called(Ridge(), "predict_uncertainty") is None
    (False, True)
    """
    if method != UNCERTAINTY:
        return getattr(estimator, method, None)
    if hasattr(estimator, "predict_proba"):
        return partial(_entropy, estimator.predict_proba)
    return _deviation_of(estimator)


def _entropy(predict_proba: Callable[..., Any], rows: Any) -> np.ndarray:
    made = predict_proba(rows)
    if isinstance(made, list):
        return np.column_stack([_of_shares(part) for part in made])
    return _of_shares(made)


def _of_shares(shares: Any) -> np.ndarray:
    known = np.asarray(shares, np.float64)
    most = math.log(max(2, known.shape[1]))
    return np.asarray(np.clip(entr(known).sum(axis=1) / most, 0.0, 1.0))


def _deviation_of(estimator: Any) -> Callable[..., Any] | None:
    if hasattr(estimator, "best_estimator_"):
        return _deviation_of(estimator.best_estimator_)
    steps = getattr(estimator, "steps", None)
    if steps:
        last = _deviation_of(steps[-1][1])
        return last if last is None or len(steps) == 1 else partial(_behind, estimator, last)
    if isinstance(estimator, RandomForestRegressor | ExtraTreesRegressor | BaggingRegressor):
        return partial(_spread, estimator)
    predict = getattr(estimator, "predict", None)
    if predict is not None and "return_std" in inspect.signature(predict).parameters:
        return partial(_told, predict)
    return None


def _behind(pipeline: Any, last: Callable[..., Any], rows: Any) -> Any:
    return last(pipeline[:-1].transform(rows))


def _told(predict: Callable[..., Any], rows: Any) -> Any:
    return predict(rows, return_std=True)[1]


def _spread(ensemble: Any, rows: Any) -> np.ndarray:
    """Return the standard deviation among the members' predictions, added up member by member."""
    table = np.asarray(rows)
    columns = getattr(ensemble, "estimators_features_", [slice(None)] * len(ensemble.estimators_))
    made = (member.predict(table[:, used]) for member, used in zip(ensemble.estimators_, columns, strict=True))
    first = next(made)
    total, squares = np.zeros_like(first), np.zeros_like(first)
    for each in made:
        # Differences are small, so that their squares lose no digits.
        apart = each - first
        total += apart
        squares += apart**2
    n = len(ensemble.estimators_)
    return np.asarray(np.sqrt(np.maximum(squares / n - (total / n) ** 2, 0.0)))
