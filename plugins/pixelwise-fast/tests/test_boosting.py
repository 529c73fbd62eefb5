"""Boosted trees of scikit-learn, LightGBM and XGBoost and their translations predict the same, bit for bit."""

from __future__ import annotations

import functools
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.linear_model import LinearRegression

import pixelwise as pw

lightgbm = pytest.importorskip("lightgbm", reason="one of the libraries compared: pip install lightgbm")
xgboost = pytest.importorskip("xgboost", reason="one of the libraries compared: pip install xgboost")

LGB = {"n_estimators": 5, "n_jobs": 1, "verbose": -1, "random_state": 0}
XGB = {"n_estimators": 5, "n_jobs": 1, "random_state": 0}
CLASSIFIERS = {
    "scikit-learn": GradientBoostingClassifier(n_estimators=2, random_state=0),
    "scikit-learn from zero": GradientBoostingClassifier(n_estimators=2, init="zero", max_depth=6, random_state=0),
    "scikit-learn, exponential": GradientBoostingClassifier(n_estimators=2, loss="exponential", random_state=0),
    "histograms": HistGradientBoostingClassifier(max_iter=2, random_state=0),
    "histograms, deep": HistGradientBoostingClassifier(max_iter=1, max_leaf_nodes=None, max_depth=14, random_state=0),
    "histograms, stopped early": HistGradientBoostingClassifier(
        max_iter=6, early_stopping=True, n_iter_no_change=1, learning_rate=2.0, max_leaf_nodes=7, random_state=0
    ),
    "LightGBM": lightgbm.LGBMClassifier(**LGB),
    "LightGBM, large": lightgbm.LGBMClassifier(**LGB, num_leaves=255, min_child_samples=2, max_bin=1023),
    "XGBoost": xgboost.XGBClassifier(**XGB),
    "XGBoost, by leaves": xgboost.XGBClassifier(**XGB, max_leaves=40, max_depth=0, grow_policy="lossguide", tree_method="hist"),
    "XGBoost, exact": xgboost.XGBClassifier(**XGB, tree_method="exact"),
    "XGBoost, forest": xgboost.XGBRFClassifier(**XGB),
    "XGBoost, stumps": xgboost.XGBClassifier(**XGB, max_depth=1),
    "XGBoost, softmax": xgboost.XGBClassifier(**XGB, objective="multi:softmax"),
    "XGBoost, far margins": xgboost.XGBClassifier(**XGB, learning_rate=30.0, reg_lambda=0.0),
    "XGBoost, parallel trees": xgboost.XGBClassifier(**XGB, num_parallel_tree=3, subsample=0.5),
}
REGRESSORS = {
    "scikit-learn": GradientBoostingRegressor(n_estimators=5, random_state=0),
    "scikit-learn, huber": GradientBoostingRegressor(n_estimators=5, loss="huber", random_state=0),
    "histograms": HistGradientBoostingRegressor(max_iter=5, random_state=0),
    "histograms, poisson": HistGradientBoostingRegressor(max_iter=5, loss="poisson", random_state=0),
    "histograms, monotonic": HistGradientBoostingRegressor(max_iter=5, monotonic_cst=[1] * 3 + [0] * 6, random_state=0),
    "LightGBM": lightgbm.LGBMRegressor(**LGB),
    "LightGBM, poisson": lightgbm.LGBMRegressor(**LGB, objective="poisson"),
    "LightGBM, absolute error": lightgbm.LGBMRegressor(**LGB, objective="l1"),
    "XGBoost": xgboost.XGBRegressor(**XGB),
    "XGBoost, poisson": xgboost.XGBRegressor(**XGB, objective="count:poisson"),
    "XGBoost, gamma": xgboost.XGBRegressor(**XGB, objective="reg:gamma"),
    "XGBoost, absolute error": xgboost.XGBRegressor(**XGB, objective="reg:absoluteerror"),
    "XGBoost, base score": xgboost.XGBRegressor(**XGB, base_score=0.3),
    "XGBoost, forest": xgboost.XGBRFRegressor(**XGB),
}


def same(model: Any, X: Any) -> Any:
    """Compile, compare all that the model has, and return the translation."""
    compiled = pw.compile_estimator(model, "fast")
    assert compiled.engine_ == "fast", compiled.explain()
    for method in ("predict", "predict_proba", "decision_function"):
        assert hasattr(compiled, method) == hasattr(model, method)
        if hasattr(model, method):
            expected, got = getattr(model, method)(X), getattr(compiled, method)(X)
            assert got.dtype == expected.dtype, method
            np.testing.assert_array_equal(got, expected)
    return compiled


def holed(table: np.ndarray, share: float = 0.1) -> np.ndarray:
    """Return a copy that lacks values."""
    return np.where(np.random.default_rng(0).random(table.shape) < share, np.float32(np.nan), table)


@pytest.fixture(scope="module")
def codes(training: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """The labels as numbers from 0 on, which XGBoost wants."""
    return np.unique(training[1], return_inverse=True)[1]


def labels(kind: str, y: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    return numbers if "XGBoost" in kind else y


@pytest.mark.parametrize("kind", [kind for kind in CLASSIFIERS if "exponential" not in kind])
def test_classes_are_predicted_the_same(kind, training, codes, pixels):
    same(clone(CLASSIFIERS[kind]).fit(training[0], labels(kind, training[1], codes)), pixels)


@pytest.mark.parametrize("kind", [kind for kind in CLASSIFIERS if "softmax" not in kind])
def test_two_classes_are_predicted_the_same(kind, training, pixels):
    y = training[1] == "forest"
    model = clone(CLASSIFIERS[kind]).fit(training[0], labels(kind, np.where(y, "wood", "other"), y.astype(int)))
    same(model, pixels)


@pytest.mark.parametrize("kind", REGRESSORS)
def test_targets_are_predicted_the_same(kind, training, pixels):
    X = training[0]
    same(clone(REGRESSORS[kind]).fit(X[:, 1:], X[:, 0] / 1000), pixels[:, 1:])


def test_several_targets_and_quantiles_of_xgboost_are_predicted_the_same(training, pixels):
    X = training[0]
    same(xgboost.XGBRegressor(**XGB).fit(X[:, 3:], X[:, :3]), pixels[:, 3:])
    quantiles = xgboost.XGBRegressor(**XGB, objective="reg:quantileerror", quantile_alpha=[0.1, 0.5, 0.9])
    same(quantiles.fit(X[:, 1:], X[:, 0]), pixels[:, 1:])


@pytest.mark.parametrize("seed", [0, 1, 138])
@pytest.mark.parametrize("objective", ["count:poisson", "reg:gamma", "reg:tweedie"])
def test_sums_of_xgboost_begin_where_its_own_logarithm_puts_them(objective, seed):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(200, 3)), rng.gamma(2.0, rng.uniform(0.1, 5.0), 200)
    same(xgboost.XGBRegressor(**XGB, objective=objective).fit(X, y), rng.normal(size=(2000, 3)))


@pytest.mark.parametrize("kind", ["histograms", "LightGBM", "LightGBM, large", "XGBoost", "XGBoost, by leaves"])
@pytest.mark.parametrize("trained", [False, True])
def test_missing_values_and_infinities_go_the_same_way(kind, trained, training, codes, pixels):
    X = holed(training[0]) if trained else training[0]
    model = clone(CLASSIFIERS[kind]).fit(X, labels(kind, training[1], codes))
    table = holed(pixels)
    table[:20, 3], table[20:40, 5] = np.inf, -np.inf
    table[40:50] = np.nan
    same(model, table)


@pytest.fixture(scope="module")
def fitted_once(training: tuple[np.ndarray, np.ndarray]) -> Callable[[str, int], Any]:
    """A function that fits a regressor on values that are no whole numbers, divided by some scale."""
    X, noise = training[0], np.random.default_rng(0).normal(size=training[0].shape)
    return functools.cache(lambda kind, scale: clone(REGRESSORS[kind]).fit(X / scale + noise, X[:, 0]))


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "int64", "float64"])
@pytest.mark.parametrize("kind", ["scikit-learn", "histograms", "LightGBM", "XGBoost"])
def test_pixels_of_any_dtype_are_predicted_the_same(kind, dtype, fitted_once, pixels):
    scale = 50 if dtype == "uint8" else 1
    model, table = fitted_once(kind, scale), pixels[:3000] / scale
    same(model, table.astype(dtype) if dtype != "float64" else table + np.random.default_rng(1).normal(size=table.shape))


@pytest.mark.parametrize("kind", ["histograms", "LightGBM", "XGBoost", "scikit-learn"])
@pytest.mark.parametrize("dtype", ["int32", "uint32", "int64", "uint64"])
def test_whole_numbers_beyond_single_precision_are_rounded_where_the_library_does(kind, dtype):
    rng = np.random.default_rng(0)
    X = rng.integers(2**24, 2**24 + 500, (400, 3)).astype(dtype)
    model = clone(CLASSIFIERS[kind]).fit(X, X[:, 0] % 2)
    pixels = rng.integers(2**24, 2**24 + 500, (2000, 3)).astype(dtype)
    same(model, pixels)
    same(model.fit(pd.DataFrame(X, columns=list("abc")), X[:, 0] % 2), pd.DataFrame(pixels, columns=list("abc")))


@pytest.mark.parametrize("kind", ["histograms", "LightGBM"])
@pytest.mark.parametrize("value", [1e299, 1e301, 1.7e308, np.inf, 1e-36, float(np.float32(1e-35)), 1.1e-35])
def test_the_largest_values_are_not_missing_and_the_smallest_are_zeros_where_the_library_says_so(kind, value):
    rng = np.random.default_rng(5)
    X = rng.normal(size=(500, 5))
    X[rng.random(X.shape) < 0.2] = np.nan
    model = clone(CLASSIFIERS[kind]).set_params(**{"n_estimators": 25} if kind == "LightGBM" else {"max_iter": 25})
    model.fit(X, rng.integers(0, 3, 500))
    pixels = rng.normal(size=(2000, 5))
    for sign in (1, -1):
        pixels[:, 0] = sign * value
        same(model, pixels)


@pytest.mark.parametrize("kind", ["histograms", "LightGBM", "XGBoost", "scikit-learn"])
def test_values_at_a_threshold_and_next_to_it_go_the_same_way(kind):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(300, 2)), rng.normal(size=(300, 2)) * 1e-38, np.zeros((50, 2))])
    model = clone(REGRESSORS[kind]).fit(X, X[:, 0] * X[:, 1] + rng.normal(size=len(X)))
    compiled = pw.compile_estimator(model, "fast")
    scale = compiled.program_.scale
    edges = scale.edges if hasattr(scale, "edges") else X.ravel()[:500]
    single = edges.astype(np.float32)
    for line in (edges, single, np.array([0.0, -0.0, 5e-324, -5e-324, 1e-45, 1.2e-38])):
        kinds = [line, np.nextafter(line, line.dtype.type(np.inf)), np.nextafter(line, line.dtype.type(-np.inf))]
        same(model, np.stack([np.concatenate(kinds), np.concatenate(kinds)[::-1]], axis=1))


@pytest.mark.parametrize("kind", ["histograms", "LightGBM", "XGBoost"])
def test_frames_keep_their_names(kind, training, codes, pixels):
    names = [f"B{number:02}" for number in range(10)]
    model = clone(CLASSIFIERS[kind]).fit(pd.DataFrame(training[0], columns=names), labels(kind, training[1], codes))
    compiled = same(model, pd.DataFrame(pixels[:100], columns=names))
    with pytest.raises(ValueError, match="feature names"):
        compiled.predict(pd.DataFrame(pixels[:100], columns=names[::-1]))


def test_a_model_that_was_stopped_early_ends_at_its_best_round(training, codes, pixels):
    X, y = training[0], codes
    boosted = xgboost.XGBClassifier(**{**XGB, "n_estimators": 30}, early_stopping_rounds=2, learning_rate=1.5)
    boosted.fit(X[::2], y[::2], eval_set=[(X[1::2], y[1::2])], verbose=False)
    assert boosted.best_iteration < boosted.get_booster().num_boosted_rounds() - 1
    same(boosted, pixels)
    light = lightgbm.LGBMClassifier(**{**LGB, "n_estimators": 60}, learning_rate=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        light.fit(X[::2], y[::2], eval_set=[(X[1::2], y[1::2])], callbacks=[lightgbm.early_stopping(2, verbose=False)])
    assert light.best_iteration_ < 60
    same(light, pixels)


@pytest.mark.parametrize("kind", ["scikit-learn", "histograms", "LightGBM", "XGBoost"])
def test_threads_and_pickling_change_no_bit(kind, training, codes, land_use):
    model = clone(CLASSIFIERS[kind]).fit(training[0], labels(kind, training[1], codes))
    X = land_use[0][:50_001]
    compiled = pickle.loads(pickle.dumps(pw.compile_estimator(model, "fast", n_jobs=2)))
    assert np.array_equal(compiled.predict_proba(X), model.predict_proba(X))


def categories(training: tuple[np.ndarray, np.ndarray]) -> pd.DataFrame:
    frame = pd.DataFrame(training[0], columns=[f"B{number:02}" for number in range(10)])
    return frame.assign(B00=pd.Categorical((frame.B00 // 200).astype(int)))


def test_what_cannot_be_translated_says_why_and_is_used_as_it_is(training, codes):
    X, y = training[0], codes
    frame = categories(training)
    models = {
        "it splits on categories": [
            HistGradientBoostingClassifier(max_iter=1, categorical_features=[0], max_bins=255).fit(X // 100 % 9, y),
            lightgbm.LGBMClassifier(**LGB).fit(frame, y),
            xgboost.XGBClassifier(**XGB, enable_categorical=True).fit(frame, y),
        ],
        "it takes zeros for missing": [lightgbm.LGBMClassifier(**LGB, zero_as_missing=True).fit(X, y)],
        "it averages its trees": [
            lightgbm.LGBMClassifier(**LGB, boosting_type="rf", subsample=0.5, subsample_freq=1).fit(X, y)
        ],
        "its leaves hold linear models": [lightgbm.LGBMRegressor(**LGB, linear_tree=True).fit(X, X[:, 0])],
        "sqrt' is not known": [lightgbm.LGBMRegressor(**LGB, reg_sqrt=True).fit(X, X[:, 0])],
        "is no plain sum of trees": [xgboost.XGBClassifier(**XGB, booster="dart").fit(X, y)],
        "missing=0 is not NaN": [xgboost.XGBClassifier(**XGB, missing=0).fit(X, y)],
        "objective='reg:logistic' is not known": [xgboost.XGBRegressor(**XGB, objective="reg:logistic").fit(X, y / 10)],
        "its leaves are vectors": [
            xgboost.XGBRegressor(**XGB, multi_strategy="multi_output_tree", tree_method="hist").fit(X, X[:, :2])
        ],
        "starts from an estimator of its own": [
            GradientBoostingRegressor(n_estimators=2, init=LinearRegression()).fit(X, X[:, 0])
        ],
    }
    for reason, estimators in models.items():
        for model in estimators:
            compiled = pw.compile_estimator(model)
            assert reason in compiled.explain()
            table = frame if hasattr(model, "feature_names_in_") and "B00" in list(model.feature_names_in_) else X
            assert np.array_equal(compiled.predict(table), model.predict(table))


@pytest.mark.parametrize("kind", ["scikit-learn", "histograms", "LightGBM", "XGBoost"])
def test_a_library_that_predicts_in_another_way_is_found_out(kind, monkeypatch, training, codes):
    model = clone(CLASSIFIERS[kind]).fit(training[0], labels(kind, training[1], codes))
    proba = type(model).predict_proba
    monkeypatch.setattr(type(model), "predict_proba", lambda self, X, **options: proba(self, X, **options) * (1 + 1e-6))
    assert "predicts in another way" in pw.compile_estimator(model).explain()


def test_a_version_of_scikit_learn_that_keeps_its_trees_elsewhere_is_left_alone(training):
    model = HistGradientBoostingRegressor(max_iter=2).fit(training[0], training[0][:, 0])
    trees = model.__dict__.pop("_predictors")
    assert "keeps its trees elsewhere" in pw.compile_estimator(model).explain()
    model._predictors = trees
    same(model, training[0])


def test_models_without_a_split_are_predicted_the_same(training, pixels):
    X, y = training[0], np.zeros(len(training[0]))
    for kind in ("scikit-learn", "histograms", "LightGBM", "XGBoost"):
        same(clone(REGRESSORS[kind]).fit(X, y), pixels)


def test_gradient_boosting_refuses_missing_values_in_its_own_words(training, pixels):
    compiled = pw.compile_estimator(clone(REGRESSORS["scikit-learn"]).fit(training[0], training[0][:, 0]), "fast")
    with pytest.raises(ValueError, match="contains NaN"):
        compiled.predict(holed(pixels))


def test_fifty_classes_and_two_hundred_bands_are_predicted_the_same(training, pixels):
    X = training[0]
    mix = np.random.default_rng(0).normal(size=(10, 200)).astype("float32")
    rank = np.argsort(np.argsort(X[:, 6], kind="stable")) * 50 // len(X)
    for model in (
        HistGradientBoostingClassifier(max_iter=1, max_leaf_nodes=4, random_state=0),
        GradientBoostingClassifier(n_estimators=1, max_features=2, random_state=0),
        lightgbm.LGBMClassifier(**{**LGB, "n_estimators": 1}),
        xgboost.XGBClassifier(**{**XGB, "n_estimators": 1}),
    ):
        same(clone(model).fit(X, rank), pixels[:2000])
    for kind in ("histograms", "LightGBM", "XGBoost"):
        same(clone(REGRESSORS[kind]).fit(X @ mix, X[:, 0]), pixels[:2000] @ mix)


@pytest.mark.parametrize("kind", ["histograms", "LightGBM", "XGBoost"])
def test_scenes_of_little_but_nodata_are_predicted_the_same(kind, training, pixels):
    model = clone(REGRESSORS[kind]).fit(holed(training[0]), training[0][:, 0])
    table = holed(pixels, 0.97)
    table[:15_000] = np.nan
    same(model, table)
