"""What compile_estimator promises, whatever engines there are; the engines of plugins are tested with the plugins."""

from __future__ import annotations

import pickle
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

import pixelwise as pw
from pixelwise.errors import EngineError
from pixelwise.plugins import plugins


class BayesProgram:
    """Gaussian Bayes by hand, off by what the test says."""

    def __init__(self, source: GaussianNB, off: float, bound: float) -> None:
        self.source, self.off = source, off
        self.bounds = {"predict": 0.0, "predict_proba": bound}

    def run(self, method: str, X: Any, n_jobs: int | None) -> Any:
        result = getattr(self.source, method)(X)
        return result + self.off if method == "predict_proba" else result

    def explain(self) -> str:
        return "Bayes by hand"


class BayesEngine:
    """Takes Gaussian Bayes, and says why it does not take it without smoothing."""

    def __init__(self, name: str, off: float = 0.0, bound: float = 0.0) -> None:
        self.name, self.off, self.bound = name, off, bound

    def compile(self, estimator: Any) -> BayesProgram | None:
        if type(estimator) is not GaussianNB:
            return None
        if estimator.var_smoothing == 0:
            raise EngineError("var_smoothing=0 leads to infinities")
        return BayesProgram(estimator, self.off, self.bound)


@pytest.fixture
def engines() -> Iterator[None]:
    made = [BayesEngine("wrong", 0.1, 1e-3), BayesEngine("close", 1e-7, 1e-6), BayesEngine("bayes")]
    plugins().register(types.SimpleNamespace(pixelwise_engines=pw.hookimpl(lambda: made)), "bayes-engines")
    yield
    plugins().unregister("bayes-engines")


@pytest.fixture(scope="module")
def pixels() -> tuple[np.ndarray, np.ndarray]:
    scene, polygons = pw.datasets.make_example()
    X, y = pw.extract_pixels(scene, polygons, column="class")
    return np.asarray(X), np.asarray(y)


def test_auto_takes_the_first_engine_that_is_exact(engines, pixels):
    model = GaussianNB().fit(*pixels)
    compiled = pw.compile_estimator(model, verify=pixels[0])
    assert compiled.explain() == "bayes: Bayes by hand"
    assert compiled.predict(pixels[0]).tolist() == model.predict(pixels[0]).tolist()


def test_an_engine_that_is_not_exact_is_taken_by_name(engines, pixels):
    model = GaussianNB().fit(*pixels)
    compiled = pw.compile_estimator(model, "close", verify=pixels[0])
    assert compiled.engine_ == "close"
    assert np.allclose(compiled.predict_proba(pixels[0]), model.predict_proba(pixels[0]), atol=1e-6)


def test_an_engine_that_differs_by_more_than_it_allows_itself_is_refused(engines, pixels):
    with pytest.raises(
        EngineError, match=r"'wrong' and GaussianNB.predict_proba differ in 1200 of 1200 rows, by 0.1 "
    ) as caught:
        pw.compile_estimator(GaussianNB().fit(*pixels), "wrong", verify=pixels[0])
    assert caught.value.values["rows"] == 1200
    assert caught.value.values["difference"] == pytest.approx(0.1)


@pytest.mark.parametrize(("one", "other"), [(np.inf, np.inf), (np.nan, np.nan), (np.inf, 1.0), (1.0, np.nan)])
def test_missing_and_infinite_results_are_compared_too(monkeypatch, engines, pixels, one, other):
    monkeypatch.setattr(GaussianNB, "predict_proba", lambda self, X: np.array([[one]]))
    monkeypatch.setattr(BayesProgram, "run", lambda self, method, X, n_jobs: np.array([[other]]))
    monkeypatch.setattr(GaussianNB, "predict", lambda self, X: np.array([1]))
    model = GaussianNB().fit(*pixels)
    program = BayesProgram(model, 0, 1e-3)
    del program.bounds["predict"]
    monkeypatch.setattr(BayesEngine, "compile", lambda self, estimator: program)
    if np.array_equal(one, other, equal_nan=True):
        pw.compile_estimator(model, "close", verify=pixels[0])
    else:
        with pytest.raises(EngineError, match="by inf at the most"):
            pw.compile_estimator(model, "close", verify=pixels[0])


def test_results_of_another_shape_are_refused(monkeypatch, engines, pixels):
    monkeypatch.setattr(BayesProgram, "run", lambda self, method, X, n_jobs: np.zeros(3))
    with pytest.raises(EngineError, match=r"differ in shape, \(3,\) for \(1200,\)"):
        pw.compile_estimator(GaussianNB().fit(*pixels), "bayes", verify=pixels[0])


def test_the_reason_why_nothing_was_compiled_is_told(engines, pixels):
    refused = pw.compile_estimator(GaussianNB(var_smoothing=0).fit(*pixels), "bayes")
    assert refused.explain() == "none: GaussianNB as it is, since bayes: var_smoothing=0 leads to infinities"
    unknown = pw.compile_estimator(KMeans(2, n_init=1).fit(pixels[0]), "bayes")
    assert unknown.explain().startswith("none: KMeans as it is, since no engine takes it")
    plain = pw.compile_estimator(GaussianNB().fit(*pixels), None)
    assert plain.explain() == pw.compile_estimator(GaussianNB().fit(*pixels), "none").explain() == "none: GaussianNB as it is"


def test_each_step_is_told_with_what_became_of_it(engines, pixels):
    X, y = pixels
    front = [StandardScaler(), "passthrough"]
    told = {
        "bayes: StandardScaler > passthrough as it is > Bayes by hand": make_pipeline(*front, GaussianNB()),
        "none: StandardScaler > passthrough > LogisticRegression as it is": make_pipeline(*front, LogisticRegression()),
        "none: StandardScaler > GaussianNB as it is, since bayes: var_smoothing=0 leads to infinities": make_pipeline(
            StandardScaler(), GaussianNB(var_smoothing=0)
        ),
    }
    for text, model in told.items():
        assert pw.compile_estimator(model.fit(X, y), "bayes").explain().startswith(text)


def test_a_wrapper_is_told_to_take_the_engine_itself(engines, pixels):
    model = pw.PixelwiseClassifier(GaussianNB()).fit(*pixels)
    told = pw.compile_estimator(model, "bayes").explain()
    assert told == (
        "none: PixelwiseClassifier as it is, since it takes an engine itself: PixelwiseClassifier(estimator, engine='bayes')"
    )
    assert pw.compile_estimator(
        pw.PixelwiseClassifier(GaussianNB(), engine="bayes").fit(*pixels).estimator_, "bayes"
    ).explain() == ("bayes: Bayes by hand")


def test_of_inexact_engines_alone_auto_takes_none(pixels):
    made = [BayesEngine("close", 1e-7, 1e-6)]
    plugins().register(types.SimpleNamespace(pixelwise_engines=pw.hookimpl(lambda: made)), "inexact")
    try:
        told = pw.compile_estimator(GaussianNB().fit(*pixels)).explain()
    finally:
        plugins().unregister("inexact")
    assert told == "none: GaussianNB as it is, since close is not exact to the bit: ask for it by name"


def test_an_unknown_engine_is_an_error_that_lists_those_there_are(monkeypatch, pixels):
    model = GaussianNB().fit(*pixels)
    with pytest.raises(EngineError, match=r"engine='warp' is not there: use 'auto', or one of .*'none'"):
        pw.compile_estimator(model, "warp")
    monkeypatch.setitem(plugins().__dict__, "engines", plugins().engines[-1:])
    with pytest.raises(EngineError, match=r"pip install pixelwise-fast, or use 'auto', or one of 'none'"):
        pw.compile_estimator(model, "fast")
    assert "pip install pixelwise-fast brings more" in pw.compile_estimator(model).explain()


def test_the_last_step_of_a_pipeline_and_the_best_of_a_search_are_compiled(engines, pixels):
    search = GridSearchCV(make_pipeline(StandardScaler(), GaussianNB()), {"gaussiannb__var_smoothing": [1e-9, 1e-3]}, cv=2)
    compiled = pw.compile_estimator(search.fit(*pixels), "bayes", verify=pixels[0])
    assert compiled.explain() == "bayes: StandardScaler as it is > Bayes by hand"
    plain = make_pipeline(StandardScaler(), "passthrough").fit(pixels[0])
    assert pw.compile_estimator(plain, "bayes").transform(pixels[0]).shape == pixels[0].shape


def test_one_pixel_alone_is_refused_with_what_to_do_about_it(engines, pixels):
    X, y = pixels
    for engine in ("bayes", "none"):
        with pytest.raises(ValueError, match="Expected 2D array, got 1D array instead"):
            pw.compile_estimator(GaussianNB().fit(X, y), engine).predict(X[0])


def test_it_looks_like_the_estimator(pixels):
    X, y = pixels
    frame = pd.DataFrame(X, columns=["B02", "B03", "B04", "B08"])
    model = LogisticRegression().fit(frame, y)
    compiled = pw.compile_estimator(model)
    assert is_classifier(compiled)
    assert is_regressor(pw.compile_estimator(DecisionTreeRegressor().fit(X, X[:, 0]), "none"))
    assert compiled.classes_.tolist() == ["forest", "water"]
    assert compiled.n_features_in_ == 4
    assert compiled.feature_names_in_.tolist() == list(frame)
    assert compiled.score(frame, y) == model.score(frame, y)
    assert compiled.decision_function(frame).tolist() == model.decision_function(frame).tolist()
    with np.errstate(divide="ignore"):
        assert compiled.predict_log_proba(frame).tolist() == model.predict_log_proba(frame).tolist()
    assert not hasattr(compiled, "transform")
    linear = pw.compile_estimator(LinearRegression().fit(X[:, 1:], X[:, 0]))
    assert linear.score(X[:, 1:], X[:, 0]) <= 1
    assert not hasattr(linear, "predict_proba")
    with pytest.raises(ValueError, match="feature names"):
        compiled.predict(frame[["B08", "B02", "B03", "B04"]])


def test_it_is_cloned_pickled_searched_and_fitted_as_the_estimator_is(engines, pixels):
    X, y = pixels
    compiled = pw.compile_estimator(GaussianNB().fit(X, y), "bayes")
    again = clone(compiled)
    assert again.engine == "bayes"
    with pytest.raises(NotFittedError):
        again.predict(X)
    with pytest.raises(NotFittedError):
        pw.compile_estimator(again)
    assert again.fit(X, y, sample_weight=np.ones(len(y))).engine_ == "bayes"
    assert np.array_equal(pickle.loads(pickle.dumps(compiled)).predict(X), compiled.predict(X))
    assert cross_val_score(compiled, X, y, cv=2, error_score="raise").mean() > 0.9
    search = GridSearchCV(compiled, {"estimator__var_smoothing": [1e-9, 1e-3]}, cv=2).fit(X, y)
    assert search.best_estimator_.engine_ == "bayes"


def test_two_engines_of_one_name_are_an_error():
    made = [BayesEngine("none")]
    with pytest.raises(pw.errors.PluginError, match="engine 'none' is claimed by two plugins"):
        plugins().register(types.SimpleNamespace(pixelwise_engines=pw.hookimpl(lambda: made)), "twin")


def test_pixels_without_names_verify_an_estimator_that_has_names():
    scene, polygons = pw.datasets.make_example()
    X, y = pw.extract_pixels(scene, polygons, column="class")
    forest = RandomForestClassifier(5, random_state=0).fit(pd.DataFrame(np.asarray(X), columns=X.feature_names), y)
    # Warnings are errors here.
    assert pw.compile_estimator(forest, verify=X).feature_names_in_.tolist() == ["B02", "B03", "B04", "B08"]
