from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest

from pixelwise.errors import GridError
from pixelwise.raster.dates import TimeAxis, as_times, ascending, check_same_dates, date_labels, dated_names, described


@pytest.mark.parametrize(
    "dates",
    [
        ["2018-01-31", "2018-02-16"],
        [dt.date(2018, 1, 31), dt.date(2018, 2, 16)],
        [dt.datetime(2018, 1, 31), dt.datetime(2018, 2, 16)],
        np.array(["2018-01-31", "2018-02-16"], "datetime64[D]"),
    ],
    ids=["text", "date", "datetime", "datetime64"],
)
def test_dates_of_any_kind_are_the_same(dates: Any) -> None:
    assert np.array_equal(as_times(dates), np.array(["2018-01-31", "2018-02-16"], "datetime64[ns]"))


def test_what_is_no_date_stays_as_it_is() -> None:
    assert as_times(None) is None
    years, text = as_times([2018, 2019]), as_times(["May", "June"])
    assert years is not None
    assert years.tolist() == [2018, 2019]
    assert text is not None
    assert text.tolist() == ["May", "June"]


@pytest.mark.parametrize(
    ("dates", "labels"),
    [
        (["2018-01-31", "2018-02-01"], ["2018-01", "2018-02"]),
        (["2018-01-01", "2018-01-17"], ["2018-01-01", "2018-01-17"]),
        (["2018-01-01T10:00", "2018-01-01T22:00"], ["2018-01-01T10:00:00", "2018-01-01T22:00:00"]),
        ([2017, 2018], ["2017", "2018"]),
    ],
)
def test_labels_are_as_short_as_they_tell_dates_apart(dates: Any, labels: list[str]) -> None:
    assert date_labels(dates) == labels


def test_a_date_that_stands_twice_or_is_missing_has_no_label() -> None:
    with pytest.raises(GridError, match=r"date 2018-01-31.* stands twice"):
        date_labels(["2018-01-31", "2018-01-31"])
    with pytest.raises(GridError, match="1 of 2 dates are missing"):
        date_labels(["2018-01-31", "NaT"])
    with pytest.raises(GridError, match="date 5 stands twice"):
        date_labels([5, 5])


def test_names_go_band_by_band() -> None:
    assert dated_names(["a", "b"], None, 2) == ["a_t1", "a_t2", "b_t1", "b_t2"]
    assert dated_names([], ["2018-01-31"], 1) == ["2018-01"]


def test_steps_that_ascend_need_no_order() -> None:
    assert ascending(["2018-01-31", "2018-01-31", "2018-03-01"]) is None
    assert ascending(["b", "a"]) is None
    assert ascending(None) is None
    order = ascending(["2018-03-01", "2018-01-31"])
    assert order is not None
    assert order.tolist() == [1, 0]


def test_dates_are_described_in_a_few_words() -> None:
    assert described(["2018-03-01", "2018-01-31"]) == "2 dates (2018-01-31 to 2018-03-01)"
    assert described(["2018-03-01"]) == "1 date (2018-03-01)"
    assert described([2, 1]) == "2 dates (1 to 2)"
    assert described(None) == "a time axis without dates"


def test_tables_of_other_dates_do_not_go_under_each_other() -> None:
    times = as_times(["2018-01-31", "2018-02-16"])
    one, same = TimeAxis(("a",), times, 2), TimeAxis(("b",), times, 2)
    check_same_dates(one, one, 1)
    check_same_dates(one, same, 1)
    check_same_dates(None, None, 1)
    for other in (None, TimeAxis(("a",), None, 2), TimeAxis(("a",), as_times(["2018-01-31", "2019-02-16"]), 2)):
        with pytest.raises(GridError, match=r"raster 0 has 2 dates .2018-01-31 to 2018-02-16., and raster 3 has"):
            check_same_dates(one, other, 3)
    assert TimeAxis(("a",), None, 2).same_as(TimeAxis(("a",), None, 2))
    assert not TimeAxis(("a",), None, 2).same_as(TimeAxis(("a",), None, 3))
