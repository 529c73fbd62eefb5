from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pixelwise as pw
from pixelwise.errors import FoldError

FRAME = pd.DataFrame({"station": np.repeat(np.arange(8), 6), "year": np.tile(np.arange(2015, 2021), 8), "rain": 0.0})
NAMES: dict[str, Any] = {"location": "station", "time": "year"}


@pytest.mark.parametrize(("leave", "apart"), [("location", ["station"]), ("time", ["year"]), ("both", ["station", "year"])])
def test_training_shares_nothing_that_is_left_out(leave: str, apart: list[str]) -> None:
    tested = np.zeros(len(FRAME), int)
    for train, test in pw.SpaceTimeKFold(3, leave=leave, random_state=0, **NAMES).split(FRAME):
        tested[test] += 1
        for column in apart:
            assert not set(FRAME[column].iloc[train]) & set(FRAME[column].iloc[test])
    assert tested.max() == 1
    assert bool(tested.all()) is (leave != "both")


def test_both_trains_on_rows_that_share_neither() -> None:
    for train, test in pw.SpaceTimeKFold(3, leave="both", random_state=0, **NAMES).split(FRAME):
        stations, years = set(FRAME.station.iloc[test]), set(FRAME.year.iloc[test])
        neither = ~FRAME.station.isin(stations) & ~FRAME.year.isin(years)
        assert np.array_equal(train, np.flatnonzero(neither))


def test_groups_name_location_and_time_and_columns_need_not() -> None:
    pairs = FRAME[["station", "year"]].to_numpy()
    for leave, groups in (("location", pairs[:, 0]), ("time", pairs[:, 1]), ("both", pairs)):
        cv = pw.SpaceTimeKFold(3, leave=leave, random_state=0)
        named = pw.SpaceTimeKFold(3, leave=leave, random_state=0, **NAMES)
        for (a, b), (c, d) in zip(cv.split(FRAME, groups=groups), named.split(FRAME), strict=True):
            assert np.array_equal(a, c)
            assert np.array_equal(b, d)


def test_a_table_brings_its_polygons_and_scenes(scene: Path, polygons: Path) -> None:
    X, _ = pw.extract_pixels([scene, scene, scene], polygons, column="class")
    for train, test in pw.SpaceTimeKFold(3, leave="time", random_state=0).split(X):
        assert not set(X.scene[train]) & set(X.scene[test])
    for train, test in pw.SpaceTimeKFold(2, random_state=0).split(X):
        assert not set(X.groups[train]) & set(X.groups[test])


@pytest.mark.parametrize(
    ("options", "X", "groups", "message"),
    [
        ({"leave": "all"}, FRAME, None, "leave='all' is not known"),
        ({"location": "city"}, FRAME, None, "X has no column 'city' that names the location"),
        ({}, FRAME, None, "nothing names the location"),
        ({"n_splits": 9, "location": "station"}, FRAME, None, "8 locations cannot make 9 folds"),
        ({"leave": "both"}, FRAME, FRAME.station, r"give location and time, \(n, 2\)"),
        ({}, FRAME, [1, 2], "groups has 2 rows, and X has 48"),
        ({"location": "station"}, FRAME.assign(station=np.nan), None, "column 'station' is empty in 48 of 48 rows"),
        ({"n_splits": 2, "leave": "both", **NAMES}, FRAME.iloc[[0, 7]], None, "not every location has samples of every time"),
    ],
)
def test_what_makes_no_folds_says_why(options: dict[str, Any], X: Any, groups: Any, message: str) -> None:
    cv = pw.SpaceTimeKFold(**{"random_state": 0, **options})
    with pytest.raises(FoldError, match=message):
        list(cv.split(X, groups=groups))
