"""Every splitter of the package at every entry point of scikit-learn that takes one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import RFECV
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    permutation_test_score,
    validation_curve,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import LinearSVC

import pixelwise as pw


@dataclass(frozen=True)
class Data:
    """Sixty pixels of two classes in 12 polygons, which two bands out of three tell apart with some errors."""

    X: pw.PixelTable
    y: np.ndarray
    xy: np.ndarray


@pytest.fixture(scope="module")
def data() -> Data:
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(12), 5)
    row, col = np.divmod(group, 4)
    pixel = (row * 20 + rng.integers(0, 8, 60)) * 80 + col * 20 + rng.integers(0, 8, 60)
    y = np.where(group % 2, "water", "forest")
    values = rng.normal(0, 0.7, (60, 3)) + (y == "water")[:, None] * np.array([1.0, 2.0, 0.0])
    grid = pw.Grid("EPSG:32633", (10, 0, 330_000, 0, -10, 5_822_000), height=60, width=80)
    scene = np.tile([0, 1], 30)
    dates = np.where(scene, np.datetime64("2020-07-01", "ns"), np.datetime64("2019-06-15", "ns"))
    X = pw.PixelTable.from_values(
        values, [grid, grid], pixel=pixel, scene=scene, group=group, names=("a", "b", "c"), row_times=dates
    )
    return Data(X, y, X.xy)


DOMAIN = np.column_stack(
    [axis.ravel() for axis in np.meshgrid(np.arange(330_005, 330_800, 90), np.arange(5_821_405, 5_822_000, 90))]
)
BLOCKS = {"block_size": 200, "crs": 32633}
#: Each splitter of the package; those that test each row once, and take nothing but coordinates, are named so.
SPLITTERS: dict[str, Any] = {
    "blocks": pw.SpatialBlockGroupKFold(3, **BLOCKS),
    "hexagons, stratified, buffered": pw.SpatialBlockGroupKFold(
        3, shape="hexagon", assignment="stratified", buffer=30, **BLOCKS
    ),
    "balanced": pw.SpatialBlockGroupKFold(3, assignment="balanced", random_state=0, **BLOCKS),
    "shuffled blocks": pw.SpatialBlockShuffleSplit(3, test_size=0.34, random_state=0, **BLOCKS),
    "regions": pw.LeaveRegionOut(),
    "space and time": pw.SpaceTimeKFold(2, random_state=0),
    "years": pw.LeavePeriodOut("year"),
    "the future": pw.ForwardTimeSplit(1),
    "buffered leave-one-out": pw.BufferedLeaveOneOut(buffer=50, crs=32633),
    "NNDM": pw.NNDMSplit(DOMAIN, phi=100, crs=32633),
    "kNNDM": pw.KNNDMSplit(3, DOMAIN, crs=32633, random_state=0),
}
#: They test rows more than once, or one at a time, which some entry points cannot use.
OVERLAPPING, SINGLE = {"shuffled blocks", "the future"}, {"buffered leave-one-out", "NNDM"}
#: They read coordinates from `groups`; regions and times would be other groups.
PLACED = [name for name in SPLITTERS if name not in ("regions", "space and time", "years", "the future")]
#: Their folds are a handful, so that searches are quick.
FEW = [name for name in SPLITTERS if name not in SINGLE | {"regions"}]


@pytest.fixture(params=[False, True], ids=["plain", "routing"], autouse=True)
def routing(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Metadata routing, off and on."""
    with sklearn.config_context(enable_metadata_routing=request.param):
        yield request.param


def model() -> Any:
    return pw.PixelwiseClassifier(GaussianNB())


#: A candidate that is fair, and one that takes all for forest.
PRIORS = [None, (1 - 1e-9, 1e-9)]


def grid() -> dict[str, list[Any]]:
    return {"estimator__priors": PRIORS}


def folds_of(cv: Any, data: Data) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(cv.split(data.X, data.y))


def as_groups(xy: np.ndarray) -> dict[str, Any]:
    return {"params": {"groups": xy}} if sklearn.get_config()["enable_metadata_routing"] else {"groups": xy}


@pytest.mark.parametrize("name", SPLITTERS)
def test_scores_are_those_of_the_folds(name: str, data: Data) -> None:
    cv = SPLITTERS[name]
    folds = folds_of(cv, data)
    scores = cross_val_score(model(), data.X, data.y, cv=cv)
    expected = [model().fit(data.X[train], data.y[train]).score(data.X[test], data.y[test]) for train, test in folds]
    assert scores.tolist() == expected
    assert cv.get_n_splits(data.X, data.y) == len(folds)


@pytest.mark.parametrize("name", SPLITTERS)
def test_cross_validate_gives_back_the_same_folds(name: str, data: Data) -> None:
    cv = SPLITTERS[name]
    scoring = {"own": pw.PixelScorer("accuracy"), "stock": "accuracy"}
    result = cross_validate(model(), data.X, data.y, cv=cv, scoring=scoring, return_indices=True)
    for (train, test), own, other in zip(
        folds_of(cv, data), result["indices"]["train"], result["indices"]["test"], strict=True
    ):
        assert np.array_equal(train, own)
        assert np.array_equal(test, other)
    assert np.array_equal(result["test_own"], result["test_stock"])


@pytest.mark.parametrize("name", [name for name in SPLITTERS if name not in OVERLAPPING])
def test_each_row_is_predicted_once(name: str, data: Data) -> None:
    predicted = cross_val_predict(model(), data.X, data.y, cv=SPLITTERS[name])
    held_out = pw.cross_val_map(model(), data.X, data.y, SPLITTERS[name], n_bootstrap=0)
    assert np.array_equal(predicted, held_out.predicted)
    assert np.mean(predicted == data.y) > 0.7


@pytest.mark.parametrize("name", PLACED)
@pytest.mark.parametrize("arrays", [False, True], ids=["table", "array"])
def test_coordinates_may_come_as_groups(name: str, arrays: bool, data: Data) -> None:
    X = np.asarray(data.X) if arrays else data.X
    by_groups = cross_val_score(GaussianNB(), X, data.y, cv=SPLITTERS[name], **as_groups(data.xy))
    assert by_groups.tolist() == cross_val_score(GaussianNB(), data.X, data.y, cv=SPLITTERS[name]).tolist()


@pytest.mark.parametrize("name", FEW)
@pytest.mark.parametrize("search", ["grid", "random", "halving", "halving random"])
def test_searches_find_the_better_candidate(name: str, search: str, data: Data) -> None:
    halving = {"min_resources": 60, "max_resources": 60, "random_state": 0}
    searches = {
        "grid": lambda cv: GridSearchCV(model(), grid(), cv=cv, scoring=pw.PixelScorer("f1_macro")),
        "random": lambda cv: RandomizedSearchCV(model(), grid(), n_iter=2, cv=cv, random_state=0),
        "halving": lambda cv: HalvingGridSearchCV(model(), grid(), cv=cv, **halving),
        "halving random": lambda cv: HalvingRandomSearchCV(model(), grid(), n_candidates=2, cv=cv, **halving),
    }
    found = clone(searches[search](SPLITTERS[name])).fit(data.X, data.y)
    assert found.best_params_ == {"estimator__priors": None}
    assert np.isfinite(found.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("name", ["blocks", "kNNDM"])
def test_searches_take_coordinates_as_groups(name: str, data: Data) -> None:
    X = np.asarray(data.X)
    by_groups = GridSearchCV(GaussianNB(), {"priors": PRIORS}, cv=SPLITTERS[name]).fit(X, data.y, groups=data.xy)
    by_table = GridSearchCV(GaussianNB(), {"priors": PRIORS}, cv=SPLITTERS[name]).fit(data.X, data.y)
    assert np.array_equal(by_groups.cv_results_["mean_test_score"], by_table.cv_results_["mean_test_score"])


@pytest.mark.parametrize("name", ["blocks", "kNNDM", "NNDM"])
def test_two_processes_give_what_one_gives(name: str, data: Data) -> None:
    one = cross_val_score(model(), data.X, data.y, cv=SPLITTERS[name])
    two = cross_val_score(model(), data.X, data.y, cv=SPLITTERS[name], n_jobs=2)
    assert one.tolist() == two.tolist()
    search = GridSearchCV(model(), grid(), cv=SPLITTERS[name], n_jobs=2).fit(data.X, data.y)
    assert search.best_score_ == pytest.approx(one.mean())


@pytest.mark.parametrize("name", FEW)
def test_curves_are_drawn_over_the_folds(name: str, data: Data) -> None:
    cv = SPLITTERS[name]
    sizes, _, test = learning_curve(model(), data.X, data.y, cv=cv, train_sizes=[0.6, 1.0], shuffle=True, random_state=0)
    assert sizes.shape == (2,)
    assert test.shape == (2, cv.get_n_splits(data.X))
    assert test[1].tolist() == cross_val_score(model(), data.X, data.y, cv=cv).tolist()
    _, test = validation_curve(model(), data.X, data.y, param_name="estimator__priors", param_range=PRIORS, cv=cv)
    assert test[0].mean() > test[1].mean()


@pytest.mark.parametrize("name", [name for name in PLACED if name in FEW])
def test_features_are_eliminated_on_the_folds(name: str, data: Data) -> None:
    # RFECV makes an array of a table before it splits: coordinates come as groups.
    chosen = RFECV(LinearSVC(random_state=0), cv=SPLITTERS[name]).fit(np.asarray(data.X), data.y, groups=data.xy)
    assert chosen.support_[1]


@pytest.mark.parametrize("name", [name for name in FEW if name not in OVERLAPPING])
def test_stacks_and_calibrators_take_the_folds(name: str, data: Data) -> None:
    cv = SPLITTERS[name]
    stack = StackingClassifier([("nb", model()), ("other", model())], cv=cv).fit(data.X, data.y)
    calibrated = CalibratedClassifierCV(model(), cv=cv).fit(data.X, data.y)
    assert len(calibrated.calibrated_classifiers_) == cv.get_n_splits(data.X)
    for fitted in (stack, calibrated):
        assert fitted.score(data.X, data.y) > 0.8


@pytest.mark.parametrize("name", FEW)
def test_thresholds_and_permutations_take_the_folds(name: str, data: Data) -> None:
    tuned = TunedThresholdClassifierCV(model(), cv=SPLITTERS[name]).fit(data.X, (data.y == "water").astype(int))
    assert 0 < tuned.best_threshold_ < 1
    _, _, p = permutation_test_score(model(), data.X, data.y, cv=SPLITTERS[name], n_permutations=9, random_state=0)
    assert p < 0.5


@pytest.mark.parametrize("name", SPLITTERS)
def test_a_clone_makes_the_same_folds(name: str, data: Data) -> None:
    cv = SPLITTERS[name]
    search = clone(GridSearchCV(model(), {}, cv=cv))
    for one, two in zip(folds_of(cv, data), folds_of(search.cv, data), strict=True):
        assert all(map(np.array_equal, one, two))
    assert type(cv).__name__ in repr(cv)
