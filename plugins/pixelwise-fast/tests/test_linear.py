"""Scalers and linear classifiers and their translation give the same labels, ties and all."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Perceptron, RidgeClassifier, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, PolynomialFeatures, RobustScaler, StandardScaler
from sklearn.svm import LinearSVC

import pixelwise as pw

PIPELINES = {
    "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)),
    "ridge, two scalers": make_pipeline(MaxAbsScaler(), StandardScaler(), RidgeClassifier()),
    "descent": make_pipeline(RobustScaler(), SGDClassifier(random_state=0)),
    "perceptron": make_pipeline(MinMaxScaler((-1, 1)), "passthrough", Perceptron(random_state=0)),
    "support vectors": make_pipeline(StandardScaler(with_mean=False), LinearSVC(random_state=0)),
    "scale alone": make_pipeline(StandardScaler(with_std=False), LogisticRegression(fit_intercept=False, max_iter=500)),
}


@pytest.fixture(scope="module")
def few(training: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    return training[0][::5], training[1][::5]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("two", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint16"])
@pytest.mark.parametrize("kind", PIPELINES)
def test_labels_are_the_same(kind, dtype, two, few, land_use):
    X, y = few
    model = PIPELINES[kind].fit(X.astype(dtype), y == "forest" if two else y)
    compiled = pw.compile_estimator(model, verify=X)
    assert compiled.engine_ == "fast"
    assert "one affine map" in compiled.explain()
    table = land_use[0][::3].astype(dtype)
    assert np.array_equal(compiled.predict(table), model.predict(table))
    assert np.array_equal(pw.compile_estimator(model, n_jobs=2).predict(table), model.predict(table))
    assert np.array_equal(pickle.loads(pickle.dumps(compiled)).decision_function(table), model.decision_function(table))


def test_pixels_on_the_border_between_classes_are_left_to_the_pipeline(few):
    X, y = few
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(X, y)
    compiled = pw.compile_estimator(model)
    model[-1].coef_[1], model[-1].intercept_[1] = model[-1].coef_[0], model[-1].intercept_[0]
    tied = pw.compile_estimator(model)
    assert np.array_equal(tied.predict(X), model.predict(X))
    assert not np.array_equal(tied.predict(X), compiled.predict(X))


def test_values_far_from_all_others_are_no_matter(few):
    X, y = few
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(X, y)
    table = np.concatenate([X, X * np.float32(1e6), -X, np.zeros_like(X)])
    assert np.array_equal(pw.compile_estimator(model).predict(table), model.predict(table))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_the_pipeline_refuses_is_refused_in_its_words(bad, few):
    X, y = few
    compiled = pw.compile_estimator(make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(X, y))
    table = X.copy()
    table[500, 2] = bad
    with pytest.raises(ValueError, match=r"contains (NaN|infinity)"):
        compiled.predict(table)
    with pytest.raises(ValueError, match="0 sample"):
        compiled.predict(X[:0])


def test_frames_and_other_dtypes_are_predicted_too(few):
    X, y = few
    frame = pd.DataFrame(X, columns=[f"B{number}" for number in range(10)])
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(frame, y)
    compiled = pw.compile_estimator(model, verify=frame)
    whole = frame.astype("int64")
    assert np.array_equal(compiled.predict(whole), model.predict(whole))


def test_what_is_no_affine_map_stays_as_it_is(few):
    X, y = few
    bare = LogisticRegression(max_iter=500)
    for front in (PolynomialFeatures(1), MinMaxScaler(clip=True)):
        assert pw.compile_estimator(make_pipeline(front, bare).fit(X / 1000, y)).engine_ == "none"
    assert pw.compile_estimator(make_pipeline(bare).fit(X / 1000, y)).engine_ == "none"
    several = np.stack([y == "forest", y == "farm", y == "water"], axis=1).astype(int)
    assert pw.compile_estimator(make_pipeline(StandardScaler(), RidgeClassifier()).fit(X, several)).engine_ == "none"
