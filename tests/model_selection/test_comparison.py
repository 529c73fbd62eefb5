from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

import pixelwise as pw
from pixelwise.errors import FoldWarning
from pixelwise.model_selection.comparison import NOT_DESIGN_BASED, compare_folds
from pixelwise.table.pixels import PixelTable

Training = tuple[PixelTable, np.ndarray]


@pytest.fixture
def training(scene: Path, polygons: Path) -> Training:
    X, y = pw.extract_pixels(scene, polygons, column="class", max_per_class=150, random_state=0)
    return X, y


def tree() -> pw.PixelwiseClassifier:
    return pw.PixelwiseClassifier(DecisionTreeClassifier(max_depth=1, random_state=0))


def test_the_three_ways_are_random_folds_polygons_and_blocks(training: Training) -> None:
    results = compare_folds(tree(), *training, pw.SpatialBlockGroupKFold(2, block_size=200))
    assert [result.name for result in results] == ["random folds", "held-out polygons", "spatial blocks"]
    assert all(list(result.scores) == ["accuracy", "macro F1"] for result in results)
    assert "200 m" in results[2].meaning


def test_each_row_is_predicted_once_while_it_is_held_out(training: Training) -> None:
    X, y = training
    for result in compare_folds(tree(), X, y, pw.SpatialBlockGroupKFold(2, block_size=200)):
        assert np.bincount(result.fold).tolist() == [int((result.fold == k).sum()) for k in range(2)]
        by_fold = [accuracy_score(y[result.fold == k], result.predicted[result.fold == k]) for k in range(2)]
        assert result.scores["accuracy"].tolist() == pytest.approx(by_fold)


def test_random_folds_score_what_cross_val_score_does(training: Training) -> None:
    X, y = training
    noisy = y.copy()
    noisy[::7] = "forest"
    random = compare_folds(tree(), X, noisy, pw.SpatialBlockGroupKFold(2, block_size=200), random_state=3)[0]
    expected = cross_val_score(tree(), X, noisy, cv=StratifiedKFold(2, shuffle=True, random_state=3))
    assert random.scores["accuracy"].tolist() == expected.tolist()
    assert random.mean("accuracy") == pytest.approx(expected.mean())
    assert random.spread("accuracy") == pytest.approx(expected.std())


def test_no_polygon_is_on_both_sides(training: Training) -> None:
    X, y = training
    polygons = compare_folds(tree(), X, y, pw.SpatialBlockGroupKFold(2, block_size=200))[1]
    assert all(len(set(polygons.fold[X.groups == group])) == 1 for group in np.unique(X.groups))


def test_blocks_are_those_of_the_splitter(training: Training) -> None:
    X, y = training
    blocks = pw.SpatialBlockGroupKFold(2, block_size=200)
    assert np.array_equal(compare_folds(tree(), X, y, blocks)[2].fold, blocks.fold_ids(X))


def test_the_same_seed_gives_the_same_scores_in_any_number_of_processes(training: Training) -> None:
    blocks = pw.SpatialBlockGroupKFold(2, block_size=200)
    one = compare_folds(tree(), *training, blocks, random_state=1)
    two = compare_folds(tree(), *training, blocks, random_state=1, n_jobs=2)
    assert [a.predicted.tolist() for a in one] == [b.predicted.tolist() for b in two]


def test_regressors_get_r2_and_rmse(training: Training) -> None:
    X, _ = training
    model = make_pipeline(pw.PixelwiseRegressor(LinearRegression()))
    results = compare_folds(model, X, np.asarray(X)[:, 0] * 2.0, pw.SpatialBlockGroupKFold(2, block_size=200))
    assert all(list(result.scores) == ["R2", "RMSE"] for result in results)
    assert all(result.mean("R2") == pytest.approx(1) for result in results)


def test_too_few_polygons_are_told_and_do_not_stop_the_others(training: Training) -> None:
    results = compare_folds(tree(), *training, pw.SpatialBlockGroupKFold(5, block_size=50))
    assert results[1].problem == "5 folds need 5 polygons or more, and there are 4: lower the number of folds"
    assert not results[1].scores
    assert not results[0].problem
    assert not results[2].problem


def test_too_few_blocks_are_told(training: Training) -> None:
    results = compare_folds(tree(), *training, pw.SpatialBlockGroupKFold(3, block_size=1e6))
    assert "blocks cannot make 3 folds" in results[2].problem


def test_blocks_without_a_crs_are_told() -> None:
    values = np.random.default_rng(0).normal(size=(2, 10, 10))
    labels = np.arange(100).reshape(10, 10) % 2
    X, y = pw.extract_pixels(values, labels)
    results = compare_folds(tree(), X, y, pw.SpatialBlockGroupKFold(2, block_size=3), held_out="rasters")
    assert results[1].problem.startswith("2 folds need 2 rasters or more, and there are 1")
    assert "X has no CRS" in results[2].problem


def test_a_class_of_fewer_pixels_than_folds_is_told(training: Training) -> None:
    X, y = training
    rare = y.copy()
    rare[0] = "bog"
    with pytest.warns(FoldWarning, match="bog in fold"):
        results = compare_folds(tree(), X, rare, pw.SpatialBlockGroupKFold(2, block_size=200))
    assert results[0].problem == "class bog has 1 pixels, too few for 2 folds: drop it, or lower the number of folds"


def test_a_polygon_that_holds_a_whole_class_is_told(training: Training) -> None:
    X, y = training
    results = compare_folds(tree(), X.with_groups(y == "water"), y, pw.SpatialBlockGroupKFold(2, block_size=200))
    assert "single class" in results[1].problem


def test_a_fold_with_a_single_class_to_learn_from_is_told(training: Training) -> None:
    X, y = training
    with pytest.warns(FoldWarning, match="2 of 2 classes lie in one fold"):
        results = compare_folds(tree(), X, y, pw.SpatialBlockGroupKFold(2, block_size=400))
    assert "single class" in results[2].problem


def test_the_disclaimer_tells_cross_validation_from_design_based_accuracy() -> None:
    assert "cross-validation" in NOT_DESIGN_BASED
    assert "none is a design-based map accuracy" in NOT_DESIGN_BASED
