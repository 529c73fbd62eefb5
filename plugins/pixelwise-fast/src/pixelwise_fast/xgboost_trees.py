"""XGBoost's classifiers and regressors."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from scipy.special import softmax as scipy_softmax

from pixelwise.errors import EngineError
from pixelwise_fast.boosted import BoostedProgram, Trees, translate
from pixelwise_fast.codes import FloatScale
from pixelwise_fast.links import exponential, sigmoid, softmax

__all__ = ["read"]

_LOGISTIC, _SOFTPROB, _SOFTMAX = "binary:logistic", "multi:softprob", "multi:softmax"
_IDENTITY = ("reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror", "reg:quantileerror", "reg:squaredlogerror")
_EXPONENTIAL = ("count:poisson", "reg:gamma", "reg:tweedie")
#: Margins that are smaller count as this one.
_LEAST = np.float32(-88.7)
#: How many single precision numbers the sums may begin from where they should.
_NEAR = 3


class XGBoostFinish:
    """Labels, probabilities and targets from XGBoost's margins.

    Parameters
    ----------
    objective : str
        XGBoost's name of it.
    classifier : bool
        Whether there are classes.
    """

    def __init__(self, objective: str, classifier: bool) -> None:
        self.objective = objective
        self.methods: tuple[str, ...] = ("predict", "predict_proba") if classifier else ("predict",)

    def __call__(self, method: str, sums: np.ndarray) -> np.ndarray:
        """Return the result of a method from sums of shape (n_columns, n)."""
        if self.objective == _SOFTPROB:
            shares = softmax(sums)
            return np.asarray(shares if method == "predict_proba" else np.argmax(shares, axis=1))
        if self.objective == _SOFTMAX:
            # Its probabilities are computed in Python.
            shares = scipy_softmax(np.ascontiguousarray(sums.T), axis=1)
            return np.asarray(shares if method == "predict_proba" else np.argmax(sums, axis=0).astype(np.int32))
        if self.objective == _LOGISTIC:
            share = sigmoid(np.maximum(sums[0], _LEAST), np.float32(1))
            if method == "predict_proba":
                return np.stack([np.float32(1) - share, share], axis=1)
            return np.asarray(share > np.float32(0.5)).astype(np.int64)
        if len(sums) > 1:
            return np.stack([self(method, each[None]) for each in sums], axis=1)
        return np.asarray(exponential(sums[0])) if self.objective in _EXPONENTIAL else sums[0]


def read(estimator: Any) -> BoostedProgram:
    """Translate a fitted estimator of XGBoost's interface to scikit-learn.

    XGBoost compares with "smaller", and adds up in single precision, tree by tree, from its base score on.

    Parameters
    ----------
    estimator : estimator
        A fitted classifier or regressor.

    Returns
    -------
    BoostedProgram

    Raises
    ------
    EngineError
        If it splits on categories, is no plain ensemble of trees, or has an objective that is not known here.
    """
    learner = json.loads(estimator.get_booster().save_raw("json"))["learner"]
    objective = learner["objective"]["name"]
    if learner["gradient_booster"]["name"] != "gbtree":
        raise EngineError(f"booster={learner['gradient_booster']['name']!r} is no plain sum of trees")
    if objective not in (_LOGISTIC, _SOFTPROB, _SOFTMAX, *_IDENTITY, *_EXPONENTIAL):
        raise EngineError(f"objective={objective!r} is not known")
    if estimator.missing is not None and not np.isnan(estimator.missing):
        raise EngineError(f"missing={estimator.missing!r} is not NaN")
    model = learner["gradient_booster"]["model"]
    trees = model["trees"][: _used(estimator, model)]
    if any(any(tree["split_type"]) for tree in trees):
        raise EngineError("it splits on categories")
    if any(tree["tree_param"]["size_leaf_vector"] not in ("0", "1") for tree in trees):
        raise EngineError("its leaves are vectors")
    plain: list[dict[str, np.ndarray]] = [
        {
            "left": np.array(tree["left_children"], np.int64),
            "right": np.array(tree["right_children"], np.int64),
            "feature": np.array(tree["split_indices"], np.int64),
            "threshold": np.array(tree["split_conditions"], np.float32),
            "missing_left": np.array(tree["default_left"], np.uint8),
            "weight": np.array(tree["sum_hessian"], np.float64),
        }
        for tree in trees
    ]
    column = np.array(model["tree_info"][: len(trees)], np.int64)
    n_features = int(learner["learner_model_param"]["num_feature"])
    finish = XGBoostFinish(objective, hasattr(estimator, "n_classes_"))
    start = _margins(learner["learner_model_param"], objective)
    error = EngineError("")
    # XGBoost computes the logarithm in ways that differ in the last bits from one version and machine to another.
    for step in sorted(range(-_NEAR, _NEAR + 1), key=abs):
        near = start
        for _ in range(abs(step)):
            near = np.nextafter(near, np.float32(np.copysign(np.inf, step)))
        try:
            return translate(estimator, Trees(plain, column, near, n_features), FloatScale(strict=True), finish)
        except EngineError as problem:
            error = problem
    raise error


def _used(estimator: Any, model: dict[str, Any]) -> int | None:
    """Return the number of trees up to the best iteration; None for all."""
    try:
        best = estimator.best_iteration
    except AttributeError:
        return None
    return int(model["iteration_indptr"][best + 1])


def _margins(parameters: dict[str, str], objective: str) -> np.ndarray:
    """Return what the sums begin with: the base score before the objective's link, computed in single precision."""
    score = np.array(json.loads(parameters["base_score"]), np.float32).ravel()
    columns = max(1, int(parameters["num_class"]), int(parameters["num_target"]))
    score = np.repeat(score, columns) if len(score) == 1 else score
    if objective == _LOGISTIC:
        return np.asarray(-np.log(np.float32(1) / score - np.float32(1)))
    return np.asarray(np.log(score)) if objective in _EXPONENTIAL else score
