"""Gradient boosting of scikit-learn, with histograms and without."""

from __future__ import annotations

from typing import Any

import numpy as np

from pixelwise.errors import EngineError
from pixelwise_fast.boosted import BoostedProgram, Trees, translate
from pixelwise_fast.codes import FloatScale, RankScale

__all__ = ["read"]


class BoostingFinish:
    """Labels, probabilities and targets from scikit-learn's raw predictions, through its own loss.

    Parameters
    ----------
    estimator : estimator
        The fitted estimator.
    """

    def __init__(self, estimator: Any) -> None:
        self.loss = estimator._loss
        self.classes = getattr(estimator, "classes_", None)
        self.linked = not hasattr(estimator, "estimators_")
        self.methods: tuple[str, ...] = (
            ("predict",) if self.classes is None else ("predict", "predict_proba", "decision_function")
        )

    def __call__(self, method: str, sums: np.ndarray) -> np.ndarray:
        """Return the result of a method from sums of shape (n_columns, n)."""
        if self.classes is None:
            return np.asarray(self.loss.link.inverse(sums[0])) if self.linked else sums[0]
        if method == "predict_proba":
            # Their loops ask for a certain order in memory.
            raw = np.asfortranarray(sums.T) if self.linked else np.ascontiguousarray(sums.T)
            return np.asarray(self.loss.predict_proba(raw if len(sums) > 1 else raw[:, 0]))
        if method == "decision_function":
            return sums[0] if len(sums) == 1 else np.ascontiguousarray(sums.T)
        if len(sums) > 1:
            return np.asarray(self.classes[np.argmax(sums, axis=0)])
        # Of a tie, one of the two takes the first class and the other the second.
        return np.asarray(self.classes[((sums[0] > 0) if self.linked else (sums[0] >= 0)).astype(int)])


def read(estimator: Any) -> BoostedProgram:
    """Translate a fitted estimator of scikit-learn's gradient boosting.

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
        If it splits on categories, starts from an estimator of its own, or this version of scikit-learn is not known here.
    """
    try:
        if hasattr(estimator, "estimators_"):
            return _plain(estimator)
        return _histogram(estimator)
    except AttributeError as error:
        raise EngineError(f"this version of scikit-learn keeps its trees elsewhere ({error})") from error


def _plain(estimator: Any) -> BoostedProgram:
    if estimator.init is not None and estimator.init != "zero":
        raise EngineError("it starts from an estimator of its own")
    members = estimator.estimators_
    trees = [
        {
            "left": tree.children_left,
            "right": tree.children_right,
            "feature": tree.feature,
            "threshold": np.where(tree.children_left < 0, estimator.learning_rate * tree.value[:, 0, 0], tree.threshold),
            "missing_left": np.zeros(tree.node_count, np.uint8),
            "weight": tree.weighted_n_node_samples,
        }
        for tree in (member.tree_ for member in members.ravel())
    ]
    start = np.asarray(estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_), np.float32)))[0]
    column = np.tile(np.arange(members.shape[1]), members.shape[0])
    model = Trees(trees, column.astype(np.int64), start.astype(np.float64), estimator.n_features_in_)
    return translate(estimator, model, FloatScale(), BoostingFinish(estimator), finite=True)


def _histogram(estimator: Any) -> BoostedProgram:
    if estimator.is_categorical_ is not None:
        raise EngineError("it splits on categories")
    rounds = estimator._predictors
    trees = []
    for nodes in (predictor.nodes for each in rounds for predictor in each):
        leaf = nodes["is_leaf"].astype(bool)
        trees.append(
            {
                "left": np.where(leaf, -1, nodes["left"].astype(np.int64)),
                "right": np.where(leaf, -1, nodes["right"].astype(np.int64)),
                "feature": np.where(leaf, 0, nodes["feature_idx"]).astype(np.int64),
                "threshold": np.where(leaf, nodes["value"], nodes["num_threshold"]),
                "missing_left": nodes["missing_go_to_left"].astype(np.uint8),
                "weight": nodes["count"].astype(np.float64),
            }
        )
    column = np.tile(np.arange(len(rounds[0])), len(rounds)) if rounds else np.zeros(0)
    start = np.ravel(estimator._baseline_prediction)
    model = Trees(trees, column.astype(np.int64), start, estimator.n_features_in_)
    scale = RankScale(*model.splits, np.zeros(estimator.n_features_in_, bool))
    return translate(estimator, model, scale, BoostingFinish(estimator))
