from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import make_scorer, median_absolute_error

from pixelwise.model_selection.pooled import PooledScore, pooled_scores, scorers_of


def scored(y: np.ndarray, predicted: np.ndarray, block: np.ndarray, *names: str, **options: object) -> dict[str, PooledScore]:
    classes = None if y.dtype.kind == "f" else np.unique(y)
    settings = {
        "method": "predict", "classes": classes, "n_bootstrap": 50, "confidence": 0.95, "random_state": 0,
        "scorers": scorers_of(list(names) or None, classes=classes is not None),
    }  # fmt: skip
    return pooled_scores(y, predicted, block % 2, block, **{**settings, **options})


@pytest.fixture
def sample() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = rng.choice(["a", "b", "c"], 600)
    predicted = np.where(rng.random(600) < 0.7, y, rng.choice(["a", "b", "c"], 600))
    return y, predicted, rng.integers(0, 20, 600)


@pytest.mark.parametrize("name", ["accuracy", "f1_macro", "balanced_accuracy", "matthews_corrcoef", "recall_weighted"])
def test_a_draw_scores_the_rows_of_the_blocks_as_often_as_they_are_drawn(
    sample: tuple[np.ndarray, np.ndarray, np.ndarray], name: str
) -> None:
    y, predicted, block = sample
    found = scored(y, predicted, block, name)[name]
    random = np.random.RandomState(0)
    for draw in found.draws[:5]:
        rows = np.concatenate([np.flatnonzero(block == number) for number in random.randint(0, 20, 20)])
        expected = scored(y[rows], predicted[rows], np.arange(len(rows)), name, n_bootstrap=0)[name].estimate
        assert draw == pytest.approx(expected)


def test_numbers_are_drawn_the_same_way() -> None:
    rng = np.random.default_rng(0)
    y, block = rng.normal(size=200), rng.integers(0, 10, 200)
    predicted = y + rng.normal(0, 0.3, 200)
    found = scored(y, predicted, block, "neg_mean_absolute_error", "r2")["neg_mean_absolute_error"]
    random = np.random.RandomState(0)
    for draw in found.draws[:5]:
        rows = np.concatenate([np.flatnonzero(block == number) for number in random.randint(0, 10, 10)])
        assert draw == pytest.approx(-np.abs(predicted - y)[rows].mean())


def test_scorers_that_take_no_weights_agree_with_those_that_do(sample: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    y, predicted, block = sample
    scorers = scorers_of({"stock": "accuracy", "own": make_scorer(lambda a, b: float(np.mean(a == b)))}, classes=True)
    found = scored(y, predicted, block, scorers=scorers)
    assert np.allclose(found["stock"].draws, found["own"].draws)


def test_draws_without_a_score_are_left_out_of_the_interval() -> None:
    # Half of the draws have a single class, of which there is no ROC curve.
    y, block = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1])
    predicted = np.array([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5], [0.1, 0.9]])
    found = scored(y, predicted, block, "roc_auc", method="predict_proba")["roc_auc"]
    assert 0 < np.isnan(found.draws).sum() < 50
    assert found.estimate == 0.75
    assert np.isnan(found.by_fold).all()


def test_one_block_gives_no_interval(sample: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    y, predicted, _ = sample
    found = scored(y, predicted, np.zeros(600, int), "accuracy")["accuracy"]
    assert np.isnan(found.interval()).all()
    assert np.isnan(found.se)
    assert str(found) == f"{found.estimate:.3f}"


def test_most_draws_without_a_score_give_no_interval() -> None:
    draws = np.array([np.nan, np.nan, np.nan, 0.5])
    assert np.isnan(PooledScore(0.5, draws, np.empty(0), 2).interval()).all()


def test_medians_are_drawn_too() -> None:
    y = np.arange(20.0)
    scorers = scorers_of(make_scorer(median_absolute_error, greater_is_better=False), classes=False)
    found = scored(y, y + 2, np.arange(20), scorers=scorers)["score"]
    assert found.estimate == -2
    assert found.interval() == (-2, -2)
    assert str(found) == "-2.000 (95% interval -2.000 to -2.000)"


def test_folds_without_all_classes_have_no_logarithmic_loss() -> None:
    y, block = np.array([0, 0, 1, 1, 0, 1]), np.array([0, 0, 1, 1, 2, 3])
    predicted = np.array([[0.9, 0.1], [0.6, 0.4], [0.5, 0.5], [0.1, 0.9], [0.7, 0.3], [0.2, 0.8]])
    found = scored(y, predicted, block, "neg_log_loss", method="predict_proba")["neg_log_loss"]
    assert np.isnan(found.by_fold).all()
    assert found.estimate < 0
