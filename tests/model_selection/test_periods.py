from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import TimeSeriesSplit, cross_val_score

import pixelwise as pw
from pixelwise.errors import FoldError

DATES = np.array(["2019-12-05", "2020-01-10", "2020-04-02", "2020-07-20", "2020-10-01", "2021-01-15"], "datetime64[ns]")
FRAME = pd.DataFrame({"date": np.tile(DATES, 3), "ndvi": np.arange(18.0)})


@pytest.fixture
def rows(landsat_series: dict[str, dict[str, Path]]) -> pw.PixelTable:
    """The samples of twelve Landsat scenes, one row a pixel and date."""
    dates = list(landsat_series)[5:90:7]
    stack = pw.open_raster([{band: landsat_series[date][band] for band in ("b3", "b4")} for date in dates], times=dates)
    X, _ = pw.extract_pixels(
        stack, (np.arange(3721).reshape(61, 61) % 300 == 0).astype("uint8"), nan="propagate", ignore_label=0
    )
    return pw.ToTemporalPixelMajor("samples")(X)


@pytest.mark.parametrize(
    ("period", "ids"),
    [
        ("year", [2019, 2020, 2020, 2020, 2020, 2021]),
        ("season", ["DJF", "DJF", "MAM", "JJA", "SON", "DJF"]),
        ("month", [12, 1, 4, 7, 10, 1]),
        ("day", DATES.astype("datetime64[D]").tolist()),
    ],
)
def test_each_period_is_tested_once_and_never_trained_on(period: str, ids: list[Any]) -> None:
    cv = pw.LeavePeriodOut(period, time="date")
    assert cv.period_ids(FRAME)[:6].tolist() == ids
    assert cv.get_n_splits(FRAME) == len(set(ids))
    tested = []
    for train, test in cv.split(FRAME):
        found = cv.period_ids(FRAME)
        assert len(set(found[test])) == 1
        assert not set(found[train]) & set(found[test])
        assert len(train) + len(test) == 18
        tested.append(found[test][0])
    assert len(set(tested)) == len(tested) == len(set(ids))


def test_dates_come_from_a_table_a_column_or_groups(rows: pw.PixelTable) -> None:
    assert rows.row_times is not None
    for cv in (pw.LeavePeriodOut("year"), pw.ForwardTimeSplit(3)):
        of_table = list(cv.split(rows))
        of_groups = list(cv.split(np.asarray(rows), groups=rows.row_times))
        as_text = list(cv.split(np.asarray(rows), groups=rows.row_times.astype(str)))
        cv.time = "date"
        of_column = list(cv.split(pd.DataFrame({"date": rows.row_times})))
        for folds in zip(of_table, of_groups, as_text, of_column, strict=True):
            for part in (0, 1):
                assert all(np.array_equal(fold[part], folds[0][part]) for fold in folds)


def test_the_past_trains_and_the_future_is_tested(rows: pw.PixelTable) -> None:
    dates = rows.row_times
    assert dates is not None
    tested = np.zeros(len(rows), int)
    for train, test in pw.ForwardTimeSplit(4).split(rows):
        assert dates[train].max() < dates[test].min()
        assert len(train) == (dates < dates[test].min()).sum()
        tested[test] += 1
    assert tested.max() == 1
    assert set(dates[tested == 0]) == set(np.unique(dates)[: -(-12 // 5)])


def test_a_gap_of_days_keeps_what_was_just_before_out_of_training() -> None:
    for train, test in pw.ForwardTimeSplit(2, gap=100, time="date").split(FRAME):
        first = FRAME.date.iloc[test].min()
        assert FRAME.date.iloc[train].max() < first - pd.Timedelta(days=100)
        wide = pw.ForwardTimeSplit(2, time="date").split(FRAME)
        assert len(train) < next(len(a) for a, b in wide if np.array_equal(b, test))


def test_one_row_a_date_is_split_as_time_series_split_does_it() -> None:
    dates = pd.date_range("2020-01-01", periods=12, freq="16D")
    ours = list(pw.ForwardTimeSplit(3).split(np.zeros((12, 1)), groups=dates))
    theirs = list(TimeSeriesSplit(3).split(np.zeros((12, 1))))
    for (a, b), (c, d) in zip(ours, theirs, strict=True):
        assert np.array_equal(a, c)
        assert np.array_equal(b, d)


def test_samples_are_scored_by_year_with_one_call(rows: pw.PixelTable) -> None:
    values = np.nan_to_num(np.asarray(rows))
    y = (values[:, 1] > np.median(values[:, 1])).astype(int)
    scores = cross_val_score(LogisticRegression(), rows.with_bands(values, None), y, cv=pw.LeavePeriodOut("year"))
    assert len(scores) == pw.LeavePeriodOut("year").get_n_splits(rows)


def test_space_and_time_leaves_out_the_dates_of_rows(rows: pw.PixelTable) -> None:
    for train, test in pw.SpaceTimeKFold(3, leave="time", random_state=0).split(rows):
        assert rows.row_times is not None
        assert not set(rows.row_times[train]) & set(rows.row_times[test])


@pytest.mark.parametrize(
    ("cv", "X", "groups", "said"),
    [
        (pw.LeavePeriodOut("week"), FRAME, DATES, "period='week' is not known: choose one of 'year', 'season', 'month', 'day'"),
        (pw.LeavePeriodOut(time="when"), FRAME, None, "X has no column 'when' that gives the dates"),
        (pw.LeavePeriodOut(), FRAME, None, "nothing gives the date of each row: pass time="),
        (pw.LeavePeriodOut(), FRAME, DATES, r"groups has shape \(6,\), and X has 18 rows"),
        (pw.LeavePeriodOut(), FRAME, np.arange(18), "groups holds .*0.*, which is no date"),
        (pw.LeavePeriodOut(), FRAME, [None] * 18, "which is no date"),
        (pw.LeavePeriodOut(time="date"), FRAME[1:5], None, "all 4 samples lie in year 2020: leave out a shorter period"),
        (pw.ForwardTimeSplit(6, time="date"), FRAME, None, "6 dates .* cannot make 6 folds and a past: lower n_splits"),
        (pw.ForwardTimeSplit(0, time="date"), FRAME, None, "n_splits=0: give the number of folds"),
        (pw.ForwardTimeSplit(2, gap=-1, time="date"), FRAME, None, "gap=-1: give days, 0 or more"),
        (
            pw.ForwardTimeSplit(2, gap=900, time="date"),
            FRAME,
            None,
            "fold 0 trains on nothing, because no date lies more than gap=900",
        ),
    ],
    ids=range(11),
)
def test_what_cannot_be_split_is_refused(cv: Any, X: Any, groups: Any, said: str) -> None:
    with pytest.raises(FoldError, match=said):
        list(cv.split(X, groups=groups))


def test_a_table_whose_columns_are_dates_is_sent_to_samples(landsat_series: dict[str, dict[str, Path]]) -> None:
    dates = list(landsat_series)[:3]
    stack = pw.open_raster([landsat_series[date]["b4"] for date in dates], times=dates)
    X, _ = pw.extract_pixels(stack, np.ones((61, 61), "uint8"), nan="propagate")
    with pytest.raises(FoldError, match=r"pass ToTemporalPixelMajor\('samples'\)\(X\), which has a row a date"):
        pw.LeavePeriodOut().get_n_splits(X)
    with pytest.raises(ValueError, match="pass X, or groups"):
        pw.LeavePeriodOut().get_n_splits()
