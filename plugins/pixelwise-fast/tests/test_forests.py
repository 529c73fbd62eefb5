"""Forests of scikit-learn and their translation predict the same, bit for bit."""

from __future__ import annotations

import pickle
from typing import Any

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor

import pixelwise as pw
from pixelwise.errors import EngineError

FORESTS = {
    "fully grown": RandomForestClassifier(20, random_state=0),
    "leaves of ten": RandomForestClassifier(20, min_samples_leaf=10, random_state=0),
    "best first": RandomForestClassifier(20, max_leaf_nodes=50, random_state=0),
    "stumps": RandomForestClassifier(7, max_depth=1, random_state=0),
    "leaves alone": RandomForestClassifier(3, min_samples_split=10**6, random_state=0),
    "one tree": RandomForestClassifier(1, random_state=0),
    "two trees, many ties": RandomForestClassifier(2, random_state=0),
    "balanced": RandomForestClassifier(20, class_weight="balanced_subsample", random_state=0),
    "balanced, pruned": RandomForestClassifier(20, class_weight="balanced", ccp_alpha=0.001, random_state=0),
    "extra trees": ExtraTreesClassifier(20, random_state=0),
    "extra trees of depth 6": ExtraTreesClassifier(20, max_depth=6, random_state=0),
    "a tree": DecisionTreeClassifier(random_state=0),
    "a tree of depth 5": DecisionTreeClassifier(max_depth=5, random_state=0),
    "an extra tree": ExtraTreeClassifier(random_state=0),
}
REGRESSORS = {
    "forest": RandomForestRegressor(20, min_samples_leaf=2, random_state=0),
    "absolute error": RandomForestRegressor(3, criterion="absolute_error", max_depth=3, random_state=0),
    "monotonic": RandomForestRegressor(10, monotonic_cst=[1, -1, 0, 0, 0, 0, 0, 0, 0], random_state=0),
    "extra trees": ExtraTreesRegressor(20, random_state=0),
    "a tree": DecisionTreeRegressor(random_state=0),
    "an extra tree": ExtraTreeRegressor(random_state=0),
}


def same(model: Any, X: Any, **options: Any) -> Any:
    """Compile, compare all that the model has, and return the translation."""
    compiled = pw.compile_estimator(model, "fast", **options)
    assert compiled.engine_ == "fast", compiled.explain()
    for method in ("predict", "predict_proba"):
        assert hasattr(compiled, method) == hasattr(model, method)
        if hasattr(model, method):
            # In threads, scikit-learn adds the trees up in the order in which they happen to finish.
            with joblib.parallel_config(backend="sequential"):
                expected = getattr(model, method)(X)
            got = getattr(compiled, method)(X)
            assert isinstance(got, list) == isinstance(expected, list)
            for one, other in zip(*((each if isinstance(each, list) else [each]) for each in (expected, got)), strict=True):
                assert one.dtype == other.dtype
                np.testing.assert_array_equal(other, one)
    return compiled


@pytest.mark.parametrize("kind", FORESTS)
def test_a_classifier_predicts_the_same(kind, training, pixels):
    same(clone(FORESTS[kind]).fit(*training), pixels)


@pytest.mark.parametrize("kind", REGRESSORS)
def test_a_regressor_predicts_the_same(kind, training, pixels):
    X = training[0]
    same(clone(REGRESSORS[kind]).fit(X[:, 1:], X[:, 0]), pixels[:, 1:])


def test_several_outputs_are_predicted_the_same(training, pixels):
    X, y = training
    labels = np.column_stack([y, X[:, 0] // 100 * 100]).astype(str)
    same(RandomForestClassifier(10, random_state=0).fit(X, labels), pixels)
    same(RandomForestRegressor(10, random_state=0).fit(X[:, 2:], X[:, :2]), pixels[:, 2:])
    same(DecisionTreeClassifier(max_depth=4, random_state=0).fit(X, labels), pixels)


def test_fifty_classes_and_one_class_are_predicted_the_same(training, pixels):
    X = training[0]
    rank = np.argsort(np.argsort(X[:, 6], kind="stable")) * 50 // len(X)
    same(RandomForestClassifier(20, random_state=0).fit(X, rank), pixels)
    same(RandomForestClassifier(20, min_samples_leaf=5, random_state=0).fit(X, rank), pixels)
    same(RandomForestClassifier(3, random_state=0).fit(X, np.zeros(len(X))), pixels)


def test_weights_of_samples_are_no_matter(training, pixels):
    X, y = training
    weight = np.random.default_rng(0).gamma(0.3, size=len(X))
    same(RandomForestClassifier(20, random_state=0).fit(X, y, sample_weight=weight), pixels)
    same(RandomForestClassifier(20, max_depth=7, random_state=0).fit(X, y, sample_weight=weight), pixels)
    same(RandomForestRegressor(5, random_state=0).fit(X, X[:, 0], sample_weight=weight), pixels)


def test_two_hundred_bands_are_predicted_the_same(training, pixels):
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(10, 200)).astype("float32")
    X = training[0] @ mix
    same(RandomForestClassifier(10, random_state=0).fit(X, training[1]), pixels[:5000] @ mix)
    same(RandomForestClassifier(3, random_state=0).fit(np.tile(X, 3), training[1]), np.tile(pixels[:500] @ mix, 3))


def test_values_between_whole_numbers_are_predicted_the_same(training, pixels):
    X = training[0] / np.float32(10_000) + np.float32(0.1)
    table = pixels / np.float32(10_000) + np.float32(0.1)
    same(RandomForestClassifier(10, random_state=0).fit(X, training[1]), table)
    same(RandomForestRegressor(3, random_state=0).fit(X[:, 1:], X[:, 0]), table[:, 1:].astype("float64") + 1e-12)


def test_scenes_of_little_but_nodata_are_predicted_the_same(training, pixels):
    X, y = training
    fitted = RandomForestClassifier(10, random_state=0).fit(np.where(X % 7 == 0, np.float32(np.nan), X), y)
    table = np.where(np.random.default_rng(0).random(pixels.shape) < 0.97, np.float32(np.nan), pixels)
    table[:15_000] = np.nan
    same(fitted, table)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_maps_with_nodata_are_the_same(share, training, land_use):
    model = RandomForestClassifier(10, random_state=0).fit(*training)
    cube = np.ascontiguousarray(land_use[0][:30_000].T.astype("uint16")).reshape(10, 150, 200)
    cube[:, np.random.default_rng(0).random((150, 200)) < share] = 0
    nan = pw.NanPolicy(sentinels=0.0)
    plain, fast = (pw.PixelwiseClassifier(model, engine=engine, nan=nan).predict(cube) for engine in (None, "auto"))
    assert np.array_equal(fast, plain)
    assert (fast == 255).mean() == pytest.approx(share, abs=0.01)


def test_fifty_classes_of_several_outputs_and_two_hundred_bands(training, pixels):
    X = training[0]
    mix = np.random.default_rng(0).normal(size=(10, 200)).astype("float32")
    ranks = np.argsort(np.argsort(X[:, :3], axis=0, kind="stable"), axis=0) * 50 // len(X)
    same(RandomForestClassifier(5, min_samples_leaf=3, random_state=0).fit(X @ mix, ranks), pixels[:3000] @ mix)


@pytest.mark.parametrize("kind", [RandomForestClassifier, ExtraTreesClassifier, DecisionTreeClassifier])
@pytest.mark.parametrize("seed", range(4))
def test_weights_below_zero_decide_nothing_before_the_last_tree(kind, seed):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(400, 5)).astype(np.float32), rng.integers(0, 3, 400)
    options = {} if kind is DecisionTreeClassifier else {"n_estimators": 20, "bootstrap": False}
    model = kind(max_depth=6, random_state=0, **options).fit(X, y, sample_weight=rng.normal(size=400) + 0.5)
    same(model, rng.normal(size=(2000, 5)).astype(np.float32))


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "i4", "u4", "i8", "f2", "f4", "f8", ">f4"])
def test_pixels_of_any_dtype_are_predicted_the_same(dtype, training, pixels):
    X, y = training
    model = RandomForestClassifier(5, random_state=0).fit(X / 50, y)
    same(model, (pixels / 50).astype(dtype))


def test_integers_beyond_single_precision_are_rounded_as_scikit_learn_does():
    X = (2**24 + np.arange(64, dtype="int64"))[:, None]
    model = RandomForestClassifier(5, random_state=0).fit(X, np.arange(64) // 2 % 2)
    for dtype in ("int32", "int64", "uint32", "float64"):
        same(model, X.astype(dtype))


def test_the_order_of_the_pixels_in_memory_is_no_matter(training, pixels):
    model = RandomForestClassifier(5, random_state=0).fit(*training)
    bands = np.ascontiguousarray(pixels.T)
    same(model, bands.T)
    same(model, pixels[::-2])
    same(model, np.asfortranarray(pixels)[3:500])


@pytest.mark.parametrize("trained", [False, True])
def test_missing_values_go_where_scikit_learn_sends_them(trained, training, pixels):
    X, y = training
    rng = np.random.default_rng(0)
    holed = np.where(rng.random(pixels.shape) < 0.2, np.float32(np.nan), pixels)
    for model in (RandomForestClassifier(20, random_state=0), RandomForestClassifier(20, min_samples_leaf=9, random_state=0)):
        fitted = model.fit(np.where(rng.random(X.shape) < 0.2, np.float32(np.nan), X) if trained else X, y)
        same(fitted, holed)
        same(fitted, pixels)
        holed[:10] = np.nan
        same(fitted, np.where(np.isnan(holed), -np.float32(np.nan), holed))


def test_what_the_forest_refuses_is_refused_in_its_words(training, pixels):
    X, y = training
    takes_nan = RandomForestClassifier(3, random_state=0).fit(X, y)
    takes_none = ExtraTreeClassifier(splitter="best", random_state=0).fit(X, y)
    bad = {"infinity": np.inf, "too large": 1e39, "NaN": np.nan}
    for model, name in [(takes_nan, "infinity"), (takes_nan, "too large"), (takes_none, "infinity"), (takes_none, "NaN")]:
        table = pixels[:100].astype("float64")
        table[7, 3] = bad[name]
        for each in (model, pw.compile_estimator(model, "fast")):
            with np.errstate(over="ignore"), pytest.raises(ValueError, match=r"Input X? ?contains (infinity|NaN)"):
                each.predict(table)
    compiled = pw.compile_estimator(takes_nan, "fast")
    for table in (pixels[:, :9], pixels[0], pixels[:0], np.full((3, 10), "a")):
        for each in (takes_nan, compiled):
            with pytest.raises(ValueError, match=r"features|2D|0 sample|could not convert|dtype"):
                each.predict(table)


@settings(max_examples=60)
@given(st.data())
def test_values_at_a_threshold_and_next_to_it_go_the_same_way(data):
    elements = st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=-(2.0**99), max_value=2.0**99)
    X = data.draw(npst.arrays(np.float32, st.tuples(st.integers(4, 30), st.integers(1, 3)), elements=elements))
    model = RandomForestClassifier(3, random_state=0).fit(X, np.arange(len(X)) % 3)
    edges = np.concatenate([tree.tree_.threshold[tree.tree_.children_left >= 0] for tree in model.estimators_])
    nearest = edges.astype(np.float32)
    near = [nearest, np.nextafter(nearest, np.float32(np.inf)), np.nextafter(nearest, np.float32(-np.inf)), -nearest]
    line = np.concatenate([*near, X.ravel(), np.array([0.0, -0.0, 1e-45, -1e-45, 3.4e38, -3.4e38], np.float32)])
    # scikit-learn sums all values up to look for infinities.
    with np.errstate(over="ignore", invalid="ignore"):
        same(model, np.column_stack([np.roll(line, 7 * column) for column in range(X.shape[1])]))
    if len(edges):
        exact = np.concatenate([edges, np.nextafter(edges, np.inf), np.nextafter(edges, -np.inf)])
        same(model, np.column_stack([exact] * X.shape[1]))


@pytest.mark.parametrize("n_jobs", [2, 3, -1])
def test_threads_change_no_bit(n_jobs, training, land_use):
    model = RandomForestClassifier(5, min_samples_leaf=3, random_state=0).fit(*training)
    same(model, land_use[0][:100_001:2], n_jobs=n_jobs)
    model.n_jobs = n_jobs
    same(model, land_use[0][:40_000])


def test_joblib_says_how_many_threads_there_are(training, pixels):
    compiled = pw.compile_estimator(RandomForestClassifier(5, random_state=0).fit(*training), "fast")
    with joblib.parallel_config("threading", n_jobs=2):
        two = compiled.predict_proba(pixels)
    assert np.array_equal(two, compiled.predict_proba(pixels))


def test_a_translation_is_pickled_cloned_and_read_from_a_mapped_file(training, pixels, tmp_path):
    model = RandomForestClassifier(10, min_samples_leaf=2, random_state=0).fit(*training)
    compiled = pw.compile_estimator(model, "fast")
    expected = model.predict_proba(pixels)
    assert np.array_equal(pickle.loads(pickle.dumps(compiled)).predict_proba(pixels), expected)
    joblib.dump(compiled, tmp_path / "forest.joblib")
    mapped = joblib.load(tmp_path / "forest.joblib", mmap_mode="r")
    assert isinstance(mapped.program_.trees.nodes, np.memmap)
    assert np.array_equal(mapped.predict_proba(pixels), expected)
    assert np.array_equal(mapped.predict(pixels), model.predict(pixels))
    again = clone(compiled)
    assert not hasattr(again, "program_")
    assert np.array_equal(again.fit(*training).predict_proba(pixels), expected)


def test_a_fully_grown_forest_takes_a_tenth_of_the_memory(land_use):
    X, y = land_use[0][::20], land_use[1][::20]
    model = RandomForestClassifier(3, random_state=0).fit(X, y)
    nodes = sum(tree.tree_.node_count for tree in model.estimators_)
    resident = sum(tree.tree_.__getstate__()["nodes"].nbytes + tree.tree_.value.nbytes for tree in model.estimators_)
    compiled = pw.compile_estimator(model, "fast")
    assert compiled.program_.nbytes <= resident / 10
    assert f"{nodes + 3:,} nodes" in compiled.explain()


def test_the_end_of_a_pipeline_is_compiled_and_the_rest_stays(training, pixels):
    X, y = training
    for front in (StandardScaler(), FunctionTransformer(np.log1p), make_pipeline(StandardScaler(), "passthrough")):
        model = make_pipeline(front, RandomForestClassifier(5, random_state=0)).fit(X, y)
        compiled = same(model, pixels, verify=pixels[:100])
        assert "as it is > RandomForestClassifier of 5 trees" in compiled.explain()


def test_the_best_of_a_search_is_compiled(training, pixels):
    search = GridSearchCV(RandomForestClassifier(5, random_state=0), {"max_depth": [2, None]}, cv=2).fit(*training)
    same(search, pixels)


def test_a_subclass_is_left_alone(training, pixels):
    class Contrary(RandomForestClassifier):
        def predict(self, X):
            return super().predict(X)[::-1]

    compiled = pw.compile_estimator(Contrary(3, random_state=0).fit(*training), "fast")
    assert compiled.engine_ == "none"
    assert compiled.explain() == "none: Contrary as it is, since no engine takes it"


def test_auto_takes_the_engine_and_frames_keep_their_names(training, pixels):
    pd = pytest.importorskip("pandas")
    names = [f"B{number:02}" for number in range(10)]
    frame = pd.DataFrame(training[0], columns=names)
    model = RandomForestClassifier(3, random_state=0).fit(frame, training[1])
    compiled = pw.compile_estimator(model)
    assert compiled.engine_ == "fast"
    assert compiled.feature_names_in_.tolist() == names
    table = pd.DataFrame(pixels, columns=names)
    assert np.array_equal(compiled.predict(table), model.predict(table))
    with pytest.raises(ValueError, match="feature names"):
        compiled.predict(table[names[::-1]])


def test_logarithms_of_probabilities_are_the_same(training, pixels):
    model = RandomForestClassifier(5, min_samples_leaf=100, random_state=0).fit(*training)
    with np.errstate(divide="ignore"):
        assert np.array_equal(pw.compile_estimator(model).predict_log_proba(pixels), model.predict_log_proba(pixels))


def test_a_forest_too_large_for_words_of_64_bits_says_so(monkeypatch, training):
    from pixelwise_fast import trees

    monkeypatch.setattr(trees, "child_shift", lambda n_features: 60)
    model = RandomForestClassifier(3, random_state=0).fit(*training)
    with pytest.raises(EngineError, match="is too large"):
        trees.pack_trees([{"left": np.zeros(99)}], 3)
    assert "fast: a tree of" in pw.compile_estimator(model).explain()
