"""LightGBM's classifiers and regressors."""

from __future__ import annotations

from typing import Any

import numpy as np

from pixelwise.errors import EngineError
from pixelwise_fast.boosted import BoostedProgram, Trees, translate
from pixelwise_fast.codes import RankScale
from pixelwise_fast.links import exponential, sigmoid, softmax

__all__ = ["read"]

_IDENTITY = ("regression", "regression_l1", "huber", "fair", "quantile", "mape")
_EXPONENTIAL = ("poisson", "gamma", "tweedie")
#: What is no larger counts as zero.
_ZERO = float(np.float32(1e-35))


class LightGBMFinish:
    """Labels, probabilities and targets from LightGBM's raw scores.

    Parameters
    ----------
    objective : str
        LightGBM's description of it, such as "binary sigmoid:1".
    classes : ndarray or None
        The classes of a classifier.
    scores : bool
        Whether it has a decision function, which is new in LightGBM 4.7.
    """

    def __init__(self, objective: str, classes: np.ndarray | None, scores: bool) -> None:
        self.objective, *options = objective.split()
        self.slope = float(dict(option.split(":") for option in options if ":" in option).get("sigmoid", 1))
        self.classes = classes
        self.methods: tuple[str, ...] = ("predict",)
        if classes is not None:
            self.methods += ("predict_proba", "decision_function") if scores else ("predict_proba",)

    def __call__(self, method: str, sums: np.ndarray) -> np.ndarray:
        """Return the result of a method from sums of shape (n_columns, n)."""
        if self.classes is None:
            return np.asarray(exponential(sums[0])) if self.objective in _EXPONENTIAL else sums[0]
        if method == "decision_function":
            return sums[0] if len(sums) == 1 else np.ascontiguousarray(sums.T)
        if self.objective == "multiclass":
            shares = softmax(sums)
        else:
            share = sigmoid(sums[0], self.slope)
            shares = np.stack([1.0 - share, share], axis=1)
        return np.asarray(shares if method == "predict_proba" else self.classes[np.argmax(shares, axis=1)])


def read(estimator: Any) -> BoostedProgram:
    """Translate a fitted estimator of LightGBM's interface to scikit-learn.

    LightGBM compares doubles with "not greater", and adds up in double precision, tree by tree, from zero on. Where it met no
    missing value in training, one in prediction counts as zero.

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
        If it splits on categories, takes zeros for missing, averages its trees, has linear models in its leaves, or has an
        objective that is not known here.
    """
    dump = estimator.booster_.dump_model()
    objective = dump.get("objective", "none")
    classes = getattr(estimator, "classes_", None)
    known = ("binary", "multiclass") if classes is not None else (*_IDENTITY, *_EXPONENTIAL)
    if objective.split()[0] not in known or "sqrt" in objective.split():
        raise EngineError(f"objective={objective!r} is not known")
    if dump["average_output"]:
        raise EngineError("it averages its trees")
    n_features, columns = dump["max_feature_idx"] + 1, dump["num_tree_per_iteration"]
    reader = _Reader(n_features)
    trees = [reader.tree(tree["tree_structure"]) for tree in dump["tree_info"]]
    if (reader.zero & reader.routed).any():
        raise EngineError("a feature's missing values are treated in two ways")
    column = np.arange(len(trees)) % columns
    model = Trees(trees, column.astype(np.int64), np.zeros(columns), n_features)
    # Whole numbers are rounded to single precision, in training too.
    scale = RankScale(*model.splits, reader.zero, np.float32)
    return translate(estimator, model, scale, LightGBMFinish(objective, classes, hasattr(estimator, "decision_function")))


class _Reader:
    """Turns nested dictionaries into arrays, and notes how features treat missing values."""

    def __init__(self, n_features: int) -> None:
        self.zero, self.routed = np.zeros(n_features, bool), np.zeros(n_features, bool)

    def tree(self, root: dict[str, Any]) -> dict[str, np.ndarray]:
        """Return the arrays of a tree."""
        nodes = [root]
        rows: list[tuple[float, ...]] = []
        # The list grows while it is walked: children are read after their parents.
        for node in nodes:
            if "leaf_value" in node:
                if "leaf_const" in node or "leaf_coeff" in node:
                    raise EngineError("its leaves hold linear models")
                rows.append((-1, -1, 0, node["leaf_value"], 0, node.get("leaf_count", 1)))
                continue
            self._note(node)
            rows.append((len(nodes), len(nodes) + 1, node["split_feature"], _threshold(node["threshold"]),
                         node["default_left"], node["internal_count"]))  # fmt: skip
            nodes += [node["left_child"], node["right_child"]]
        names = ("left", "right", "feature", "threshold", "missing_left", "weight")
        dtypes = ("int64", "int64", "int64", "float64", "uint8", "float64")
        return {name: np.array(part, dtype) for name, dtype, part in zip(names, dtypes, zip(*rows, strict=True), strict=True)}

    def _note(self, node: dict[str, Any]) -> None:
        if node["decision_type"] != "<=":
            raise EngineError("it splits on categories")
        if node["missing_type"] == "Zero":
            raise EngineError("it takes zeros for missing")
        (self.zero if node["missing_type"] == "None" else self.routed)[node["split_feature"]] = True


def _threshold(dumped: float) -> float:
    """Return the threshold that has the numbers on its sides that LightGBM sends there."""
    if abs(dumped) <= _ZERO:
        return _ZERO if dumped >= 0 else float(np.nextafter(-_ZERO, -np.inf))
    # The infinity that parts all numbers from missing values is dumped as a number.
    return np.inf if dumped >= 1e300 else dumped
