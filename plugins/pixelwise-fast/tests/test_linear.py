"""Scalers and linear classifiers and their translation give the same labels, ties and all."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from sklearn.cluster import KMeans, MiniBatchKMeans
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


@pytest.mark.parametrize("labels", ["text", "numbers", "two"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "float32", "float64"])
def test_maps_of_any_dtype_hold_the_same_codes(dtype, labels, few, land_use):
    X, y = few
    if labels != "text":
        y = (np.unique(y, return_inverse=True)[1] * 10 + 5) if labels == "numbers" else np.where(y == "forest", 7, 3)
    scale = 50 if dtype == "uint8" else 1
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(X / np.float32(scale), y)
    cube = np.ascontiguousarray((land_use[0][:9000] // scale).astype(dtype).T).reshape(10, 90, 100)
    plain = pw.PixelwiseClassifier(model).predict(cube)
    assert np.array_equal(pw.PixelwiseClassifier(model, engine="auto").predict(cube), plain)
    nan = pw.NanPolicy(sentinels=float(cube[0, 0, 0]))
    with_gaps = [pw.PixelwiseClassifier(model, nan=nan, engine=engine).predict(cube) for engine in ("auto", None)]
    assert np.array_equal(*with_gaps)
    assert not np.array_equal(with_gaps[0], plain)


def test_an_estimator_fitted_on_a_frame_maps_the_same(few, land_use):
    frame = pd.DataFrame(few[0], columns=[f"B{number}" for number in range(10)])
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(frame, few[1])
    raster = xr.DataArray(
        land_use[0][:6000].T.reshape(10, 60, 100).astype("uint16"), dims=("band", "y", "x"), coords={"band": list(frame)}
    )[::-1]
    plain, fast = (pw.PixelwiseClassifier(model, engine=engine).predict(raster) for engine in (None, "fast"))
    xr.testing.assert_identical(fast, plain)


def test_pixels_too_close_to_tell_are_asked_in_whole_blocks(few):
    X, y = few
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(X, y)
    model[-1].coef_[1], model[-1].intercept_[1] = model[-1].coef_[0], model[-1].intercept_[0]
    program = pw.compile_estimator(model).program_
    for part in (X, X[:1], X[:65], np.asfortranarray(X)):
        expected = model.predict(X)[: len(part)]
        assert np.array_equal(model.classes_[program.numbers(part, np.dtype("float32"), 1)], expected)
        whole = program.numbers(np.round(part).astype("int64"), np.dtype("float64"), 1)
        assert np.array_equal(model.classes_[whole], model.predict(np.round(X).astype("float64"))[: len(part)])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", [KMeans, MiniBatchKMeans])
def test_scaled_clusters_are_the_same_on_all_pixels_of_a_scene(kind, dtype, few, land_use):
    clusters = kind(6, n_init=1, random_state=0)
    model = make_pipeline(StandardScaler(), clusters).fit(few[0].astype(dtype))
    table = land_use[0][::3].astype(dtype)
    compiled = pw.compile_estimator(model, verify=table[:5000])
    assert compiled.explain() == (
        f"fast: StandardScaler > {kind.__name__} as one affine map for labels, which are exact; all else as it is"
    )
    labels = compiled.predict(table)
    assert labels.dtype == model.predict(table).dtype
    assert np.array_equal(labels, model.predict(table))
    assert np.array_equal(compiled.transform(table), model.transform(table))


def test_maps_of_clusters_are_the_same(few, land_use):
    model = make_pipeline(StandardScaler(), KMeans(6, n_init=1, random_state=0)).fit(few[0])
    cube = np.ascontiguousarray(land_use[0][:9000].astype("uint16").T).reshape(10, 90, 100)
    plain, fast = (pw.PixelwiseClusterer(model, engine=engine).predict(cube) for engine in (None, "auto"))
    assert fast.dtype == plain.dtype
    assert np.array_equal(fast, plain)


def test_pixels_as_far_from_two_clusters_are_left_to_the_pipeline(few):
    model = make_pipeline(StandardScaler(), KMeans(4, n_init=1, random_state=0)).fit(few[0])
    model[-1].cluster_centers_[2] = model[-1].cluster_centers_[1]
    assert np.array_equal(pw.compile_estimator(model).predict(few[0]), model.predict(few[0]))


def test_clusters_that_gain_nothing_stay_as_they_are(few):
    for model in (KMeans(3, n_init=1), make_pipeline(StandardScaler(), KMeans(1, n_init=1))):
        assert pw.compile_estimator(model.fit(few[0])).engine_ == "none"
