from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pixelwise as pw
from pixelwise.errors import FoldError, FoldWarning

RANDOM = np.random.default_rng(0)
XY = RANDOM.uniform(0, 10_000, (3000, 2))
#: A class that is common in the south and rare in the north.
Y = np.where(RANDOM.uniform(0, 10_000, 3000) > XY[:, 1], "wood", np.where(XY[:, 0] > 2000, "field", "town"))


def folds(assignment: str, y: Any = Y, n_splits: int = 5, size: float = 1000, **options: Any) -> np.ndarray:
    return pw.SpatialBlockGroupKFold(n_splits, size, assignment=assignment, crs=32633, **options).fold_ids(XY, y, XY)


def unevenness(fold: np.ndarray, y: np.ndarray = Y) -> float:
    shares = [[np.mean(fold[y == label] == number) for number in range(5)] for label in np.unique(y)]
    return float(np.std(shares))


@pytest.mark.parametrize("assignment", ["balanced", "stratified"])
def test_classes_are_spread_more_evenly_than_at_random(assignment: str) -> None:
    at_random = np.mean([unevenness(folds("random", random_state=seed)) for seed in range(20)])
    assert unevenness(folds(assignment, random_state=0)) < 0.6 * at_random


@pytest.mark.parametrize("assignment", ["balanced", "stratified"])
def test_numbers_are_spread_by_their_quartiles(assignment: str) -> None:
    target = XY[:, 1] + RANDOM.normal(0, 100, 3000)
    quarter = np.searchsorted(np.quantile(target, [0.25, 0.5, 0.75]), target)
    fold = folds(assignment, target, random_state=0)
    at_random = np.mean([unevenness(folds("random", random_state=seed), quarter) for seed in range(20)])
    assert unevenness(fold, quarter) < 0.7 * at_random


def test_whole_numbers_of_many_values_are_no_classes() -> None:
    fold = folds("balanced", np.arange(3000), random_state=0)
    assert len(np.unique(fold)) == 5


@pytest.mark.parametrize("assignment", ["random", "balanced"])
def test_folds_have_equally_many_blocks(assignment: str) -> None:
    cv = pw.SpatialBlockGroupKFold(5, 1500, assignment=assignment, crs=32633, random_state=3)
    pairs = np.unique(np.column_stack([cv.block_ids(XY, XY), cv.fold_ids(XY, Y, XY)]), axis=0)
    per_fold = np.bincount(pairs[:, 1])
    assert len(pairs) == 49
    assert per_fold.max() - per_fold.min() == 1


def test_systematic_goes_along_the_rows_from_the_top_left() -> None:
    x, y = np.meshgrid(np.arange(3) * 10 + 5, np.arange(2) * 10 + 5)
    xy = np.column_stack([x.ravel(), y.ravel()])
    cv = pw.SpatialBlockGroupKFold(4, 10, assignment="systematic", crs=32633)
    assert cv.fold_ids(xy, None, xy).tolist() == [3, 0, 1, 0, 1, 2]


def test_a_checkerboard_has_no_neighbours_of_one_colour() -> None:
    x, y = np.meshgrid(np.arange(4) * 10 + 5, np.arange(4) * 10 + 5)
    xy = np.column_stack([x.ravel(), y.ravel()])
    board = pw.SpatialBlockGroupKFold(2, 10, assignment="checkerboard", crs=32633).fold_ids(xy, None, xy)
    assert board.tolist() == [0, 1, 0, 1, 1, 0, 1, 0, 0, 1, 0, 1, 1, 0, 1, 0]


def test_stratified_leaves_no_fold_empty() -> None:
    xy = np.array([[5.0, 5.0], [5.0, 6.0], [15.0, 5.0], [25.0, 5.0]])
    cv = pw.SpatialBlockGroupKFold(3, 10, assignment="stratified", crs=32633)
    assert len(np.unique(cv.fold_ids(xy, ["a", "a", "a", "a"], xy))) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"assignment": "balanced", "y": None}, "assignment='balanced' needs y"),
        ({"assignment": "stratified", "y": np.full(3000, np.nan)}, "3000 of 3000 values of y are NaN"),
        ({"assignment": "checkerboard"}, "a checkerboard has 2 colours, and n_splits=5"),
    ],
)
def test_what_cannot_be_assigned_says_why(options: dict[str, Any], message: str) -> None:
    with pytest.raises(FoldError, match=message):
        folds(**options)


def test_a_checkerboard_of_one_colour_is_refused() -> None:
    xy = np.array([[0.0, 0.0], [20.0, 0.0], [40.0, 0.0]])
    with pytest.raises(FoldError, match="one colour"):
        pw.SpatialBlockGroupKFold(2, 10, assignment="checkerboard", crs=32633).fold_ids(xy, None, xy)


def test_a_class_that_lives_in_one_block_is_told_with_its_fold() -> None:
    y = Y.copy()
    y[(XY < 900).all(axis=1)] = "bog"
    cv = pw.SpatialBlockGroupKFold(5, 1000, crs=32633)
    with pytest.warns(FoldWarning, match=r"1 of 4 classes lie in one fold.*bog in fold \d; make block_size=1000 smaller"):
        list(cv.split(XY, y, XY))
