from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score

import pixelwise as pw
from pixelwise.errors import CRSError, FoldError
from pixelwise.raster.grid import EARTH_RADIUS

places = st.lists(st.tuples(st.floats(-5e5, 5e5), st.floats(-5e5, 5e5)), min_size=20, max_size=80, unique=True).map(np.array)


@settings(deadline=None)
@given(places, st.floats(100, 5000), st.sampled_from(["equal_count", "random"]))
def test_every_row_is_tested_once_and_no_block_is_split(xy: np.ndarray, size: float, assignment: str) -> None:
    cv = pw.SpatialBlockGroupKFold(3, size, assignment=assignment, random_state=0, crs=32633)
    blocks = cv.block_ids(xy, xy)
    if len(np.unique(blocks)) < 3:
        with pytest.raises(FoldError, match="blocks cannot make 3 folds"):
            list(cv.split(xy, groups=xy))
        return
    folds = list(cv.split(xy, groups=xy))
    assert np.array_equal(np.sort(np.concatenate([test for _, test in folds])), np.arange(len(xy)))
    for train, test in folds:
        assert len(test) > 0
        assert not set(blocks[train]) & set(blocks[test])
        assert np.array_equal(np.sort(np.concatenate([train, test])), np.arange(len(xy)))


def test_blocks_are_half_open_and_anchored_to_the_crs() -> None:
    xy = np.array([[0, 0], [99.999, 99.999], [100, 0], [0, 100], [-0.001, 0]])
    ids = pw.SpatialBlockGroupKFold(2, 100, crs=32633).block_ids(xy, xy)
    assert ids[0] == ids[1]
    assert len(set(ids.tolist())) == 4


def test_the_same_place_is_in_the_same_block_whatever_else_is_there() -> None:
    xy = np.random.default_rng(0).uniform(0, 1000, (200, 2))
    cv = pw.SpatialBlockGroupKFold(2, 100, crs=32633)
    whole, half = cv.block_ids(xy, xy), cv.block_ids(xy[:100], xy[:100])
    together = whole[:100, None] == whole[:100]
    assert np.array_equal(together, half[:, None] == half)


def test_an_offset_shifts_the_blocks() -> None:
    xy = np.array([[0.0, 0.0], [60.0, 0.0]])
    assert len(set(pw.SpatialBlockGroupKFold(2, 100, crs=32633).block_ids(xy, xy))) == 1
    assert len(set(pw.SpatialBlockGroupKFold(2, 100, offset=(50, 0), crs=32633).block_ids(xy, xy))) == 2


def test_equal_count_fills_the_folds_evenly_and_random_follows_its_seed(scene: Path, polygons: Path) -> None:
    X, _y = pw.extract_pixels(scene, polygons, column="class")
    sizes = [len(test) for _, test in pw.SpatialBlockGroupKFold(4, 50).split(X)]
    assert max(sizes) - min(sizes) <= 100
    seeds = [pw.SpatialBlockGroupKFold(4, 50, assignment="random", random_state=s).fold_ids(X) for s in (0, 0, 1)]
    assert np.array_equal(seeds[0], seeds[1])
    assert not np.array_equal(seeds[0], seeds[2])


def test_a_block_on_a_geographic_crs_is_metres_on_the_sphere() -> None:
    for latitude in (0.0, 48.0, 75.0):
        step = np.degrees(1 / EARTH_RADIUS)
        lonlat = np.column_stack([np.arange(0, 20_000, 7) * step / np.cos(np.radians(latitude)), np.full(2858, latitude)])
        cv = pw.SpatialBlockGroupKFold(2, 1000, crs=4326)
        counts = np.unique(cv.block_ids(lonlat, lonlat), return_counts=True)[1]
        assert len(counts) in (20, 21)
        assert np.median(counts) * 7 == pytest.approx(1000, rel=0.02)


def test_feet_are_told_from_metres() -> None:
    xy = np.array([[2_000_000.0, 0.0], [2_000_900.0, 0.0], [2_003_400.0, 0.0]])
    ids = pw.SpatialBlockGroupKFold(2, 1000, crs=2264).block_ids(xy, xy)
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize("kind", ["table", "geodataframe", "frame", "groups"])
def test_coordinates_come_from_many_places(scene: Path, polygons: Path, kind: str) -> None:
    X, _y = pw.extract_pixels(scene, polygons, column="class")
    frame = X.to_geodataframe()
    index = pd.MultiIndex.from_arrays([X.xy[:, 1], X.xy[:, 0]], names=["y", "x"])
    data, groups, crs = {
        "table": (X, None, None),
        "geodataframe": (frame, None, None),
        "frame": (pd.DataFrame(np.asarray(X), index=index), None, 32633),
        "groups": (np.asarray(X), X.xy, 32633),
    }[kind]
    wanted = pw.SpatialBlockGroupKFold(3, 100).fold_ids(X)
    assert np.array_equal(pw.SpatialBlockGroupKFold(3, 100, crs=crs).fold_ids(data, groups=groups), wanted)


def test_ids_are_blocks_that_are_known_already(scene: Path, polygons: Path) -> None:
    X, y = pw.extract_pixels(scene, polygons, column="class")
    for train, test in pw.SpatialBlockGroupKFold(2).split(X, y, groups=X.groups):
        assert not set(X.groups[train]) & set(X.groups[test])


def test_it_works_in_scikit_learn_with_routing_off_and_on(scene: Path, polygons: Path) -> None:
    X, y = pw.extract_pixels(scene, polygons, column="class")
    model, blocks = pw.PixelwiseClassifier(LogisticRegression()), pw.SpatialBlockGroupKFold(3, 150)
    plain = cross_val_score(model, X, y, cv=blocks, scoring="f1_macro")
    with config_context(enable_metadata_routing=True):
        assert np.array_equal(cross_val_score(model, X, y, cv=blocks, scoring="f1_macro"), plain)
        routed = cross_val_score(model, np.asarray(X), y, cv=blocks, scoring="f1_macro", params={"groups": X.xy})
    assert np.array_equal(routed, plain)
    assert np.array_equal(cross_val_score(model, np.asarray(X), y, cv=blocks, groups=X.xy, scoring="f1_macro"), plain)
    search = GridSearchCV(model, {"estimator__C": [0.1, 1.0]}, cv=clone(blocks, safe=False), n_jobs=2).fit(X, y)
    assert search.predict(scene).shape == (60, 80)


def test_a_table_without_a_crs_is_refused_and_the_splitter_can_be_told(write: Any, values: np.ndarray) -> None:
    path = write(values, crs=None)
    X, _ = pw.extract_pixels(path, np.ones((60, 80), "uint8"))
    with pytest.raises(CRSError, match="X has no CRS"):
        pw.SpatialBlockGroupKFold(2, 100).block_ids(X)
    assert len(np.unique(pw.SpatialBlockGroupKFold(2, 100, crs=32633).block_ids(X))) > 10


def test_degrees_without_a_crs_are_refused() -> None:
    lonlat = np.array([[13.1, 52.2], [13.2, 52.3]])
    with pytest.raises(CRSError, match="look like degrees"):
        pw.SpatialBlockGroupKFold(2, 1000).block_ids(lonlat, lonlat)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pw.SpatialBlockGroupKFold(2, 1000).block_ids(lonlat * 1e4, lonlat * 1e4)


def test_two_crs_that_differ_are_refused(scene: Path, polygons: Path) -> None:
    X, _ = pw.extract_pixels(scene, polygons, column="class")
    with pytest.raises(CRSError, match="X has CRS EPSG:32633, and the splitter was given crs=EPSG:4326"):
        pw.SpatialBlockGroupKFold(2, 100, crs=4326).block_ids(X)


XY = np.arange(20.0).reshape(10, 2) * 1000


@pytest.mark.parametrize(
    ("options", "data", "groups", "message"),
    [
        ({}, XY, XY, "give the side of a block in metres"),
        ({"block_size": -5}, XY, XY, "give the side of a block in metres"),
        ({"block_size": 1e9}, XY, XY, "1 blocks cannot make 5 folds"),
        ({"block_size": 10, "n_splits": 1}, XY, XY, "at least 2 folds"),
        ({"block_size": 10, "assignment": "best"}, XY, XY, "'equal_count', 'random'"),
        ({"block_size": 10}, XY, None, "does not say where its rows are"),
        ({"block_size": 10}, XY, XY[:5], "groups has 5 rows, and X has 10"),
        ({"block_size": 10}, XY, np.zeros((10, 3)), "give groups of shape"),
        ({"block_size": 10}, XY, np.where(XY == 6000, np.nan, XY), "1 of 10 rows have no coordinates, the first is row 3"),
    ],
)
def test_what_makes_no_folds_says_why(options: dict[str, Any], data: Any, groups: Any, message: str) -> None:
    with pytest.raises(FoldError, match=message):
        list(pw.SpatialBlockGroupKFold(**options).split(data, groups=groups))


def test_polygons_are_taken_at_their_middle() -> None:
    boxes = gpd.GeoDataFrame(geometry=gpd.points_from_xy([0, 500], [0, 500]).buffer(10), crs=32633)
    assert len(set(pw.SpatialBlockGroupKFold(2, 100).block_ids(boxes))) == 2


def test_the_number_of_splits_is_told() -> None:
    assert pw.SpatialBlockGroupKFold(7, 100).get_n_splits() == 7
