from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

import pixelwise as pw
from pixelwise.errors import CRSError, FoldError

LINE = np.column_stack([[0.0, 1.0, 3.0], np.zeros(3)])


@settings(deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["square", "hexagon", "rows", "columns", "kmeans"]),
    st.sampled_from(["random", "systematic", "balanced", "stratified", "equal_count"]),
    st.floats(0, 40),
)
def test_any_shape_balance_and_buffer_go_together(seed: int, shape: str, assignment: str, buffer: float) -> None:
    random = np.random.default_rng(seed)
    xy = random.integers(0, 100, (120, 2)) * 10.0
    y = random.integers(0, 3, 120)
    cv = pw.SpatialBlockGroupKFold(
        3, 200, shape=shape, assignment=assignment, buffer=buffer, n_clusters=9, crs=32633, random_state=seed
    )
    tested = np.zeros(120, int)
    for train, test in cv.split(xy, y, xy):
        tested[test] += 1
        between = cdist(xy, xy[test]).min(axis=1)
        assert (between[train] > buffer).all()
        assert np.array_equal(np.flatnonzero(between > buffer * (1 + 1e-9)), train) or buffer == 0
    assert (tested == 1).all()


@pytest.mark.parametrize(("radius", "buffer", "train", "test"), [(0, 0, [0, 2], [1]), (1, 0, [2], [0, 1]), (0, 1, [2], [1])])
def test_radius_adds_to_the_test_rows_and_the_buffer_takes_from_training(
    radius: float, buffer: float, train: list[int], test: list[int]
) -> None:
    folds = list(pw.BufferedLeaveOneOut(buffer, radius=radius).split(LINE, groups=LINE))
    assert folds[1][0].tolist() == train
    assert folds[1][1].tolist() == test


def test_a_buffer_that_leaves_nothing_to_train_on_is_refused() -> None:
    with pytest.raises(FoldError, match=r"fold 1 loses all its training rows.*within buffer=2 m.*make the buffer smaller"):
        list(pw.BufferedLeaveOneOut(2).split(LINE, groups=LINE))


def test_a_buffer_is_measured_along_the_great_circle() -> None:
    lonlat = np.array([[0.0, 60.0], [0.5, 60.0], [0.0, 60.5], [3.0, 60.0]])
    # Half a degree is 27.8 km along this parallel, and 55.6 km along the meridian.
    train = next(iter(pw.BufferedLeaveOneOut(40_000, crs=4326).split(lonlat, groups=lonlat)))[0]
    assert train.tolist() == [2, 3]


def test_a_buffer_between_polygons_runs_from_edge_to_edge() -> None:
    boxes = gpd.GeoDataFrame(geometry=[shapely.box(x, 0, x + 10, 10) for x in (0, 12, 30)], crs=32633)
    cv = pw.BufferedLeaveOneOut(buffer=8)
    with pytest.raises(FoldError, match="fold 1 loses"):
        list(cv.split(boxes))
    assert [train.tolist() for train, _ in pw.BufferedLeaveOneOut(buffer=7).split(boxes)] == [[2], [2], [0, 1]]


def test_pixels_at_exactly_the_buffer_are_left_out(scene: Path, polygons: Path) -> None:
    X, y = pw.extract_pixels(scene, polygons, column="class")
    cv = pw.SpatialBlockGroupKFold(3, 150, buffer=30)
    for train, test in cv.split(X, y):
        assert cdist(X.xy[train], X.xy[test]).min() > 30 + 1e-6


def test_copies_share_what_a_splitter_was_given() -> None:
    domain = np.zeros((10, 2))
    cv = pw.KNNDMSplit(3, domain)
    search = clone(GridSearchCV(LogisticRegression(), {}, cv=cv))
    assert clone(cv, safe=False).prediction_domain is domain
    assert search.cv.prediction_domain is domain
    assert copy.deepcopy(cv) is not cv
    assert pickle.loads(pickle.dumps(cv)).n_splits == 3


def test_a_splitter_does_not_print_its_raster() -> None:
    cv = pw.KNNDMSplit(3, np.zeros((5000, 2)), random_state=0)
    assert repr(cv) == "KNNDMSplit(n_splits=3, prediction_domain=<ndarray 5000 x 2>, random_state=0)"
    assert repr(pw.SpatialBlockGroupKFold(5, 100)) == "SpatialBlockGroupKFold(block_size=100)"


def test_region_after_region_is_left_out(scene: Path, polygons: Path) -> None:
    X, y = pw.extract_pixels(scene, polygons, column="class")
    by_polygon = list(pw.LeaveRegionOut(polygons).split(X, y))
    by_group = list(pw.LeaveRegionOut().split(X, y))
    given = list(pw.LeaveRegionOut().split(np.asarray(X), y, X.groups))
    for (_, a), (_, b), (_, c) in zip(by_polygon, by_group, given, strict=True):
        assert np.array_equal(a, b)
        assert np.array_equal(a, c)
    frame = X.to_geodataframe().assign(land=np.where(y == "water", "sea", "shore"))
    assert pw.LeaveRegionOut("land").get_n_splits(frame) == 2
    assert [len(test) for _, test in pw.LeaveRegionOut("land", buffer=20).split(frame)] == [600, 600]


@pytest.mark.parametrize(
    ("cv", "X", "groups", "error", "message"),
    [
        (pw.LeaveRegionOut(), LINE, None, FoldError, "nothing names the regions"),
        (pw.LeaveRegionOut(), LINE, ["a"] * 3, FoldError, "all 3 samples lie in one region, a"),
        (pw.LeaveRegionOut(), LINE, ["a", "b"], FoldError, "groups has 2 rows, and X has 3"),
        (pw.LeaveRegionOut("nowhere.gpkg"), LINE, LINE, FoldError, "'nowhere.gpkg' is not known"),
        (pw.BufferedLeaveOneOut(-1), LINE, LINE, FoldError, "buffer=-1: give metres"),
        (pw.BufferedLeaveOneOut(np.inf), LINE, LINE, FoldError, "buffer=inf: give metres"),
        (pw.BufferedLeaveOneOut(1), LINE * np.nan, LINE * np.nan, FoldError, "3 of 3 rows have no coordinates"),
        (pw.BufferedLeaveOneOut(1), LINE, None, FoldError, "does not say where its rows are"),
        (pw.SpatialBlockShuffleSplit(0, 1), LINE, LINE, FoldError, "n_splits=0: give the number of splits"),
        (pw.SpatialBlockShuffleSplit(2, 1, test_size=1.5), LINE, LINE, FoldError, "test_size=1.5: give a share"),
        (pw.SpatialBlockShuffleSplit(2, 1, test_size=3), LINE, LINE, FoldError, "takes 3 of 3 blocks for test"),
        (pw.SpatialBlockGroupKFold(2.5, 1), LINE, LINE, FoldError, "n_splits=2.5"),
    ],
)
def test_what_makes_no_folds_says_why(cv: Any, X: Any, groups: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        list(cv.split(X, None, groups))


@pytest.mark.parametrize("cv", [pw.LeaveRegionOut(), pw.BufferedLeaveOneOut(), pw.NNDMSplit(LINE)])
def test_the_number_of_folds_needs_the_samples(cv: Any) -> None:
    with pytest.raises(ValueError, match="pass X"):
        cv.get_n_splits()


def test_a_buffer_in_metres_needs_a_crs(write: Any, values: np.ndarray) -> None:
    X, _ = pw.extract_pixels(write(values, crs=None), np.ones((60, 80), "uint8"))
    with pytest.raises(CRSError, match="a distance in metres means nothing"):
        next(iter(pw.BufferedLeaveOneOut(10).split(X)))


def test_shuffled_blocks_follow_their_seed_and_keep_blocks_whole() -> None:
    xy = np.random.default_rng(0).uniform(0, 1000, (300, 2))
    cv = pw.SpatialBlockShuffleSplit(4, 100, test_size=0.3, buffer=40, crs=32633, random_state=1)
    blocks = cv.block_ids(xy, xy)
    first, again = list(cv.split(xy, groups=xy)), list(cv.split(xy, groups=xy))
    assert len(first) == cv.get_n_splits() == 4
    for (train, test), (_, same) in zip(first, again, strict=True):
        assert np.array_equal(test, same)
        assert not set(blocks[train]) & set(blocks[test])
        assert len(train) + len(test) < 300
    assert len({tuple(test) for _, test in first}) == 4
