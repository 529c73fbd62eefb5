"""Compiled models in artifacts and in worker processes: one copy of their tables for all, and none that leads astray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import pixelwise as pw
from pixelwise.errors import ArtifactError, EngineError
from pixelwise.estimators.compiled import compiled_for

MODELS = {
    "forest": RandomForestClassifier(20, random_state=0),
    "forest of shares": RandomForestClassifier(20, min_samples_leaf=3, random_state=0),
    "extra trees": ExtraTreesRegressor(5, random_state=0),
    "boosting": GradientBoostingClassifier(n_estimators=2, random_state=0),
    "histograms": HistGradientBoostingClassifier(max_iter=2, random_state=0),
    "scaled forest": make_pipeline(StandardScaler(), RandomForestClassifier(20, random_state=0)),
    "linear": make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)),
}


def fitted(kind: str, training: tuple[np.ndarray, np.ndarray]) -> Any:
    X, y = training
    return MODELS[kind].fit(X, X[:, 0] if "Regressor" in repr(MODELS[kind]) else y)


def same_everywhere(model: Any, other: Any, X: np.ndarray) -> None:
    for method in ("predict", "predict_proba"):
        assert hasattr(model, method) == hasattr(other, method)
        if hasattr(model, method):
            with joblib.parallel_config(backend="sequential"):
                assert np.array_equal(getattr(model, method)(X), getattr(other, method)(X))


@pytest.mark.parametrize("kind", MODELS)
def test_saved_and_loaded_it_predicts_the_same(kind, training, pixels, tmp_path):
    model, X = fitted(kind, training), pixels[:3000]
    compiled = pw.compile_estimator(model, "fast")
    again = pw.load_artifact(pw.save_artifact(compiled, tmp_path / "model.pixelwise"))
    assert again.explain() == compiled.explain()
    same_everywhere(again, model, X)
    wrap = pw.PixelwiseRegressor if kind == "extra trees" else pw.PixelwiseClassifier
    path = pw.save_artifact(wrap(model, engine="fast"), tmp_path / "wrapped.pixelwise")
    loaded = pw.load_artifact(path)
    program = compiled_for(loaded.estimator, "fast").program_
    trees = getattr(getattr(program, "tail", program), "trees", None)
    if trees is not None and trees.nodes.nbytes > 2**16:
        assert isinstance(trees.nodes, np.memmap)
        assert Path(trees.nodes.filename) == path
    same_everywhere(loaded, model, X)


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
def test_boosters_saved_and_loaded_predict_the_same(name, training, pixels, tmp_path):
    library = pytest.importorskip(name)
    made = library.LGBMClassifier(verbose=-1, n_estimators=5) if name == "lightgbm" else library.XGBClassifier(n_estimators=5)
    model = made.fit(training[0], np.unique(training[1], return_inverse=True)[1])
    compiled = pw.compile_estimator(model, "fast")
    again = pw.load_artifact(pw.save_artifact(compiled, tmp_path / "model.pixelwise"), trusted=KNOWN[name])
    same_everywhere(again, model, pixels[:3000])


#: The unfitted clone that says what was compiled.
KNOWN = {"lightgbm": ["lightgbm.sklearn.LGBMClassifier"], "xgboost": ["xgboost.sklearn.XGBClassifier"]}


def test_processes_share_the_tables_and_tasks_carry_none(training, pixels, tmp_path):
    # Defined here, so that workers get it by value: they cannot import this module.
    def in_a_worker(model: Any, X: np.ndarray) -> tuple[np.ndarray, bool, str]:
        nodes = model.program_.trees.nodes
        return model.predict(X), isinstance(nodes, np.memmap), str(getattr(nodes, "filename", ""))

    model = RandomForestClassifier(80, random_state=0).fit(*training)
    expected = model.predict(pixels[:500])
    compiled = pw.compile_estimator(model, "fast")
    assert compiled.program_.trees.nodes.nbytes > 1e6
    path = pw.save_artifact(compiled, tmp_path / "model.pixelwise")
    for each, place in ((compiled, None), (pw.load_artifact(path), str(path))):
        work = joblib.Parallel(n_jobs=2)(joblib.delayed(in_a_worker)(each, pixels[:500]) for _ in range(2))
        for labels, mapped, file in work:
            assert np.array_equal(labels, expected)
            assert mapped
            assert place is None or file == place


def tampered(compiled: Any, change: Any) -> Any:
    """Return a translation whose tables were changed, as a file from a stranger may hold them."""
    program = compiled.program_
    change(program)
    return compiled


def lead_beyond(program: Any) -> None:
    program.trees.nodes[0] = program.trees.nodes[0] | np.uint64(2**23 - 1) << np.uint64(41)


def lead_in_a_circle(program: Any) -> None:
    program.trees.nodes[2] = program.trees.nodes[2] & np.uint64(2**33 - 1)


def leaf_of_a_value_that_is_not(program: Any) -> None:
    leaf = 10 << 33
    ends = np.flatnonzero((program.trees.nodes & np.uint64(15 << 33)) == leaf)
    program.trees.nodes[ends[0]] |= np.uint64(99)


def feature_beyond(program: Any) -> None:
    program.trees.nodes[0] |= np.uint64(15 << 33)


def too_few_levels(program: Any) -> None:
    program.trees.lead[0] = -1


def starts_elsewhere(program: Any) -> None:
    program.trees.starts[1] = -5


def cut_short(program: Any) -> None:
    program.trees.__dict__["nodes"] = program.trees.nodes[:-1]


def other_dtype(program: Any) -> None:
    program.trees.__dict__["nodes"] = program.trees.nodes.astype("int64")


def more_classes(program: Any) -> None:
    program.values = np.empty((0, 99))


CHANGES = [
    lead_beyond,
    lead_in_a_circle,
    leaf_of_a_value_that_is_not,
    feature_beyond,
    too_few_levels,
    starts_elsewhere,
    cut_short,
    other_dtype,
    more_classes,
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_table_that_leads_astray_is_refused_before_it_is_used(change, training, tmp_path):
    compiled = pw.compile_estimator(RandomForestClassifier(5, random_state=0).fit(*training), "fast")
    compiled.program_.check()
    path = pw.save_artifact(tampered(compiled, change), tmp_path / "model.pixelwise")
    with pytest.raises(ArtifactError, match=r"leads nowhere|not what (it|they) should be"):
        pw.load_artifact(path)


def columns_beyond(program: Any) -> None:
    program.column = program.column + 99


def edges_beyond(program: Any) -> None:
    program.scale.starts[-1] += 1


def edges_for_fewer_features(program: Any) -> None:
    program.scale.missing_is_zero = program.scale.missing_is_zero[:-1]


def fewer_leaves(program: Any) -> None:
    program.leaves = program.leaves[:-1]


@pytest.mark.parametrize("change", [columns_beyond, edges_beyond, edges_for_fewer_features, fewer_leaves])
def test_boosted_trees_that_lead_astray_are_refused_too(change, training):
    compiled = pw.compile_estimator(HistGradientBoostingClassifier(max_iter=1, max_leaf_nodes=4).fit(*training), "fast")
    compiled.program_.check()
    with pytest.raises(EngineError, match=r"leads nowhere|not what they should be"):
        tampered(compiled, change).program_.check()


def test_an_affine_map_with_weights_for_other_features_is_refused_too(training):
    compiled = pw.compile_estimator(fitted("linear", training), "fast")
    compiled.program_.check()
    compiled.program_.weights = compiled.program_.weights[:, 1:]
    with pytest.raises(EngineError, match="affine map is not what it should be"):
        compiled.program_.check()


def test_a_program_looks_itself_how_many_bands_there_are(training, pixels):
    for kind in ("forest", "histograms"):
        program = pw.compile_estimator(fitted(kind, training), "fast").program_
        with pytest.raises(ValueError, match="X has 9 features, but 10 are expected"):
            program.run("predict", pixels[:, 1:], 1)
