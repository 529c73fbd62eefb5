"""Scalers with a linear regressor or PCA and their translation differ by no more than the bound that the engine states."""

from __future__ import annotations

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, Ridge, SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.svm import LinearSVR

import pixelwise as pw
from pixelwise.errors import EngineError

PIPELINES = {
    "least squares": make_pipeline(StandardScaler(), LinearRegression()),
    "ridge, two scalers": make_pipeline(MaxAbsScaler(), StandardScaler(), Ridge()),
    "lasso": make_pipeline(MinMaxScaler((-1, 1)), "passthrough", Lasso(0.01)),
    "elastic net": make_pipeline(StandardScaler(with_mean=False), ElasticNet(0.01)),
    "descent": make_pipeline(StandardScaler(), SGDRegressor(random_state=0)),
    "support vectors": make_pipeline(RobustScaler(), LinearSVR(random_state=0, max_iter=200)),
    "no intercept": make_pipeline(StandardScaler(), Ridge(fit_intercept=False)),
    "components": make_pipeline(StandardScaler(), PCA(3, svd_solver="full")),
    "all components": make_pipeline(RobustScaler(), PCA(svd_solver="full")),
    "components of variance 1": make_pipeline(StandardScaler(), PCA(6, whiten=True, svd_solver="full")),
}
#: What a result may differ by of the largest one, by experience; the bounds hold for pixels far away, too.
USUAL = 2e-6


@pytest.fixture(scope="module")
def few(training: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    X = training[0][::5]
    return X, X[:, 9] / 1000 + X[:, 0] / 300


def fitted(kind: str, X: np.ndarray, y: np.ndarray) -> tuple[object, str]:
    model = clone(PIPELINES[kind]).fit(X, y)
    return model, "transform" if hasattr(model, "transform") else "predict"


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("trained", ["float32", "float64"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "uint16", "int16", "int32", ">f4"])
@pytest.mark.parametrize("kind", PIPELINES)
def test_results_are_within_the_bound(kind, dtype, trained, few, land_use):
    scale = 50 if dtype == "uint8" else 1
    model, method = fitted(kind, (few[0] / scale).astype(trained), few[1])
    table = (land_use[0][::40] // scale).astype(dtype)
    compiled = pw.compile_estimator(model, "fast", verify=table[:1000])
    assert compiled.engine_ == "fast", compiled.explain()
    expected, got = getattr(model, method)(table), getattr(compiled, method)(table)
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
    off = np.abs(got - expected).max()
    assert off <= compiled.program_.bounds[method]
    assert off <= USUAL * np.abs(expected).max()
    assert f"within {compiled.program_.bounds[method]:.2g} of its results" in compiled.explain()


@pytest.mark.parametrize("kind", ["ridge, two scalers", "components"])
def test_pixels_beyond_reach_are_left_to_the_pipeline_to_the_bit(kind, few, land_use):
    model, method = fitted(kind, *few)
    table = land_use[0][:4096].astype("float32")
    far = np.random.default_rng(0).random(len(table)) < 0.1
    table[far, 3] *= np.float32(1e6)
    expected, got = (getattr(each, method)(table) for each in (model, pw.compile_estimator(model, "fast")))
    assert np.array_equal(got[far], expected[far])
    assert np.abs(got - expected).max() <= pw.compile_estimator(model, "fast").program_.bounds[method]


def test_the_bound_holds_to_the_ends_of_the_reach(few):
    rng = np.random.default_rng(0)
    for kind in PIPELINES:
        model, method = fitted(kind, *few)
        compiled = pw.compile_estimator(model, "fast")
        low, high = compiled.program_.reach
        corners = np.where(rng.random((2000, 10)) < 0.5, low, high)
        inside = np.concatenate([corners * (1 - 1e-6), low + rng.random((2000, 10)) * (high - low)]).astype("float32")
        off = np.abs(getattr(compiled, method)(inside) - getattr(model, method)(inside))
        assert off.max() <= compiled.program_.bounds[method]


def test_several_targets_are_predicted_as_one_target_of_one_column_is(few, land_use):
    X, y = few
    for targets in (np.stack([y, -y, y**2], axis=1), y[:, None]):
        model = make_pipeline(StandardScaler(), LinearRegression()).fit(X, targets)
        expected, got = (each.predict(land_use[0]) for each in (model, pw.compile_estimator(model, "fast", verify=X)))
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=USUAL)


def test_auto_leaves_it_and_the_name_takes_it(few):
    model, _ = fitted("components", *few)
    compiled = pw.compile_estimator(model)
    assert compiled.explain() == ("none: StandardScaler > PCA as it is, since fast is not exact to the bit: ask for it by name")
    assert np.array_equal(compiled.transform(few[0]), model.transform(few[0]))
    assert "one affine map" in pw.compile_estimator(model, "fast").explain()


def test_verify_refuses_what_is_beyond_the_bound(few, monkeypatch):
    from pixelwise_fast.affine import AffineProgram

    model, _ = fitted("components", *few)
    run = AffineProgram.run
    bound = pw.compile_estimator(model, "fast").program_.bounds["transform"]
    for off, fine in [(0.9 * bound, True), (1.1 * bound, False)]:
        monkeypatch.setattr(AffineProgram, "_learn", lambda self: self.dtypes.update(float32="float32", float64="float64"))
        monkeypatch.setattr(AffineProgram, "run", lambda self, *asked, off=off: run(self, *asked) + np.float32(off))
        if fine:
            pw.compile_estimator(model, "fast", verify=few[0])
        else:
            with pytest.raises(EngineError, match="is allowed"):
                pw.compile_estimator(model, "fast", verify=few[0])


def test_a_version_that_predicts_in_another_way_is_found_out(few, monkeypatch):
    model, _ = fitted("components", *few)
    monkeypatch.setattr(PCA, "transform", lambda self, X: X[:, :3] * 2)
    assert "predicts in another way" in pw.compile_estimator(model, "fast").explain()


def test_what_gains_nothing_and_what_gives_frames_stay_as_they_are(few):
    X, y = few
    wide = np.tile(X, 2) + np.random.default_rng(0).normal(size=(len(X), 20)).astype("float32")
    doubled = np.concatenate([X, X[:, :1]], axis=1)
    several = np.tile(y[:, None], 11)
    models = {
        "for 11 results": make_pipeline(StandardScaler(), PCA(11)).fit(wide),
        "11 results": make_pipeline(StandardScaler(), Ridge()).fit(X, several),
        "hangs on": make_pipeline(StandardScaler(), PCA(whiten=True, n_components=10)).fit(doubled[:, [0, 0, *range(2, 10)]]),
        "frames": make_pipeline(StandardScaler(), PCA(2)).set_output(transform="pandas").fit(X),
        "PCA as it is, since no engine": PCA(2).fit(X),
        "Ridge as it is, since no engine": make_pipeline(StandardScaler(with_std=False), Ridge()).fit(X, y),
        "MinMaxScaler > Ridge as it is": make_pipeline(MinMaxScaler(clip=True), Ridge()).fit(X, y),
    }
    for reason, model in models.items():
        assert reason in pw.compile_estimator(model, "fast").explain()


@pytest.mark.filterwarnings("ignore:X has feature names, but PCA")
def test_frames_are_given_where_all_of_scikit_learn_is_told_to(few):
    model, _ = fitted("components", *few)
    compiled = pw.compile_estimator(model, "fast")
    with sklearn.config_context(transform_output="pandas"):
        pd.testing.assert_frame_equal(compiled.transform(few[0]), model.transform(few[0]))


def test_what_the_pipeline_refuses_is_refused_in_its_words(few):
    X, y = few
    frame = pd.DataFrame(X, columns=[f"B{number}" for number in range(10)])
    compiled = pw.compile_estimator(make_pipeline(StandardScaler(), Ridge()).fit(frame, y), "fast", verify=frame)
    for bad in (np.nan, np.inf):
        table = frame.copy()
        table.iloc[500, 2] = bad
        with pytest.raises(ValueError, match=r"contains (NaN|infinity)"):
            compiled.predict(table)
    with pytest.raises(ValueError, match="0 sample"):
        compiled.predict(frame[:0])
    with pytest.raises(ValueError, match="feature names"):
        compiled.predict(frame[frame.columns[::-1]])


def test_threads_blocks_and_the_order_in_memory_change_no_bit(few, land_use, tmp_path):
    model, _ = fitted("components", *few)
    compiled = pw.compile_estimator(model, "fast")
    table = land_use[0][:50_001].astype("float32")
    expected = compiled.transform(table)
    joblib.dump(compiled, tmp_path / "pca.joblib")
    others = {
        "threads": pw.compile_estimator(model, "fast", n_jobs=2).transform(table),
        "bands": compiled.transform(np.asfortranarray(table)),
        "one by one": np.concatenate([compiled.transform(table[row : row + 1]) for row in range(100)]),
        "pickled": pickle.loads(pickle.dumps(compiled)).transform(table),
        "mapped": joblib.load(tmp_path / "pca.joblib", mmap_mode="r").transform(table),
    }
    for name, got in others.items():
        assert np.array_equal(got, expected[: len(got)]), name


def test_maps_of_components_and_targets_are_within_the_bound(few, land_use, tmp_path):
    X, y = few
    cube = np.ascontiguousarray(land_use[0][:9000].astype("uint16").T).reshape(10, 90, 100)
    model, _ = fitted("components", X, y)
    plain, fast = (pw.PixelwiseTransformer(model, engine=engine).transform(cube) for engine in (None, "fast"))
    assert fast.shape == plain.shape
    assert 0 < np.abs(fast - plain).max() <= pw.compile_estimator(model, "fast").program_.bounds["transform"]
    ridge, _ = fitted("ridge, two scalers", X, y)
    wrapped = pw.PixelwiseRegressor(ridge, engine="fast")
    plain, fast = pw.PixelwiseRegressor(ridge).predict(cube), wrapped.predict(cube)
    assert 0 < np.abs(fast - plain).max() <= pw.compile_estimator(ridge, "fast").program_.bounds["predict"]
    again = pw.load_artifact(pw.save_artifact(wrapped, tmp_path / "ridge.pixelwise"))
    assert np.array_equal(again.predict(cube), fast)
