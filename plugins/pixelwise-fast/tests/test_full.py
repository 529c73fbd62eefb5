"""Shallow trees that are filled up to one depth add up to what their tables of nodes add up to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor, HistGradientBoostingRegressor

import pixelwise as pw
from pixelwise_fast import boosted
from pixelwise_fast.full import full_depth

xgboost = pytest.importorskip("xgboost", reason="one of the libraries compared: pip install xgboost")

MODELS = {
    "XGBoost": xgboost.XGBClassifier(n_estimators=6, n_jobs=1, random_state=0),
    "XGBoost, uneven": xgboost.XGBClassifier(n_estimators=6, n_jobs=1, gamma=3.0, max_depth=5, random_state=0),
    "XGBoost, stumps": xgboost.XGBRegressor(n_estimators=6, n_jobs=1, max_depth=1),
    "scikit-learn": GradientBoostingClassifier(n_estimators=3, random_state=0),
    "histograms": HistGradientBoostingRegressor(max_iter=4, max_depth=4, random_state=0),
}


def pixels(land_use: Any, gaps: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pixels and classes to fit on, and a number of others that eight does not divide."""
    X, y = land_use[0].astype("float32"), np.unique(land_use[1], return_inverse=True)[1]
    if gaps:
        X[np.random.default_rng(0).random(X.shape) < 0.1] = np.nan
    return X[7::120], y[7::120], X[::120][:2003]


@pytest.mark.parametrize(
    ("name", "gaps"), [(name, gaps) for name in MODELS for gaps in ((False,) if name == "scikit-learn" else (False, True))]
)
def test_both_ways_give_the_same_bits(land_use: Any, name: str, gaps: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, others = pixels(land_use, gaps)
    model = clone(MODELS[name]).fit(X, y)
    program = pw.compile_estimator(model, "fast").program_
    assert 0 < full_depth(program.trees) <= 6
    filled = program.run("predict", others, 1)
    np.testing.assert_array_equal(filled, np.asarray(model.predict(others)).reshape(filled.shape))
    monkeypatch.setattr(boosted, "full_depth", lambda trees: 0)
    np.testing.assert_array_equal(program.run("predict", others, 1), filled)


def test_trees_that_are_deep_or_would_be_mostly_empty_stay_as_they_are(land_use: Any) -> None:
    X, y, _ = pixels(land_use, False)
    deep = xgboost.XGBClassifier(n_estimators=2, n_jobs=1, max_depth=12, min_child_weight=0.0).fit(X, y)
    steps = np.arange(300.0)[:, None]
    chain = GradientBoostingRegressor(n_estimators=2, max_depth=None, max_leaf_nodes=9).fit(steps, np.exp(steps[:, 0]))
    assert chain.estimators_[0, 0].get_depth() == 8
    for model in (deep, chain):
        assert full_depth(pw.compile_estimator(model, "fast").program_.trees) == 0
