from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import pixelwise as pw
from pixelwise.errors import FillValueError, MissingDataWarning
from pixelwise.table.missing import as_policy, missing_values, report_suspected_fill, rows_with_nan, table_dtype, valid_rows

tables = hnp.arrays(
    "float32", hnp.array_shapes(min_dims=2, max_dims=2, max_side=8),
    elements=st.sampled_from([0.0, 1.0, -9999.0, np.nan, np.inf, -np.inf, 3.0e38, -3.4028235e38, 5.0]),
)  # fmt: skip


def plainly_missing(flat: np.ndarray, nodata: float | None, policy: pw.NanPolicy) -> np.ndarray:
    """What is missing, value by value."""
    sentinels = policy.sentinels_of("x")
    low, high = policy.valid_range or (-np.inf, np.inf)
    return np.array(
        [
            [not np.isfinite(v) or abs(v) > 1e30 or v == nodata or v in sentinels or not low <= v <= high for v in band]
            for band in flat
        ]
    )


@given(
    tables,
    st.sampled_from([None, -9999.0, 0.0, np.nan]),
    st.sampled_from([(), (5.0,)]),
    st.sampled_from([None, (0.5, 9)]),
    st.booleans(),
)
def test_pixels_are_valid_as_a_plain_loop_says(
    flat: np.ndarray,
    nodata: float | None,
    sentinels: tuple[float, ...],
    valid_range: tuple[float, float] | None,
    complete: bool,
) -> None:
    policy = pw.NanPolicy(sentinels=sentinels, valid_range=valid_range)
    marks = missing_values(flat.dtype, ["x"] * len(flat), [nodata] * len(flat), policy)
    valid, missing = valid_rows(flat, marks, None, policy, "complete" if complete else "any")
    gaps = plainly_missing(flat, nodata, policy)
    wanted = ~gaps.any(axis=0) if complete else ~gaps.all(axis=0)
    assert np.array_equal(np.ones(flat.shape[1], bool) if valid is None else valid, wanted)
    assert (valid is None) == bool(wanted.all())
    if not complete:
        assert np.array_equal(np.isnan(rows_with_nan(flat, valid, missing, "float32")), gaps.T[wanted])


@given(st.lists(st.booleans(), min_size=4, max_size=4))
def test_a_mask_hides_pixels(hidden: list[bool]) -> None:
    flat, mask = np.arange(8, dtype="uint16").reshape(2, 4), np.array(hidden)
    marks = missing_values("uint16", ["a", "b"], [None, None], pw.NanPolicy())
    for keep in ("complete", "any"):
        valid, _ = valid_rows(flat, marks, mask, pw.NanPolicy(), keep)
        assert np.array_equal(np.ones(4, bool) if valid is None else valid, ~mask)


def test_a_mask_of_one_band_hides_that_band_alone() -> None:
    flat = np.arange(4, dtype="uint16").reshape(2, 2)
    mask = np.array([[True, False], [False, False]])
    marks = missing_values("uint16", ["a", "b"], [None, None], pw.NanPolicy())
    assert valid_rows(flat, marks, mask, pw.NanPolicy(), "complete")[0].tolist() == [False, True]
    valid, missing = valid_rows(flat, marks, mask, pw.NanPolicy(), "any")
    assert valid is None
    assert np.isnan(rows_with_nan(flat, valid, missing, "float32")).tolist() == [[True, False], [False, False]]


def test_max_missing_masks_pixels_that_lack_too_much() -> None:
    flat = np.array([[np.nan, np.nan, 1], [np.nan, 1, 1], [1, 1, 1]], "float32")
    policy = pw.NanPolicy(on_input="propagate", max_missing=0.5)
    valid, _ = valid_rows(flat, missing_values("float32", "abc", [None] * 3, policy), None, policy, "any")
    assert valid is not None
    assert valid.tolist() == [False, True, True]


def test_a_nodata_that_its_dtype_cannot_hold_marks_nothing() -> None:
    assert missing_values("uint8", ["a"], [-9999.0], pw.NanPolicy(sentinels=(0.5, 7))) == [(7,)]
    assert missing_values("uint16", ["a"], [float("nan")], pw.NanPolicy()) == [()]
    assert missing_values("float32", ["a"], [-1.7e308], pw.NanPolicy()) == [()]
    assert missing_values("bool", ["a"], [2.0], pw.NanPolicy(sentinels=(0,))) == [(np.False_,)]


def test_sentinels_may_be_given_by_band() -> None:
    policy = pw.NanPolicy(sentinels={"a": 1, "b": (2, 3)})
    assert missing_values("uint8", ["a", "b", "c"], [None, 0, None], policy) == [(1,), (0, 2, 3), ()]
    with pytest.raises(FillValueError, match="sentinels name band 'z', and the raster has a, b"):
        missing_values("uint8", ["a", "b"], [None, None], pw.NanPolicy(sentinels={"z": 1}))


@pytest.mark.parametrize(
    "options",
    [
        {"on_input": "guess"},
        {"on_output": "guess"},
        {"on_label": "guess"},
        {"impute": "guess"},
        {"max_missing": 2},
        {"valid_range": (5, 5)},
    ],
)
def test_options_that_do_not_exist_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"choose one|choose|give"):
        pw.NanPolicy(**options)  # type: ignore[arg-type]


def test_a_shorthand_is_its_policy() -> None:
    assert as_policy("impute") == pw.NanPolicy(on_input="impute")
    policy = pw.NanPolicy()
    assert as_policy(policy) is policy
    with pytest.raises(ValueError, match="is no policy"):
        as_policy(3)  # type: ignore[arg-type]


def test_a_constant_is_imputed() -> None:
    imputer = pw.NanPolicy(impute=-1).imputer().fit(np.array([[1.0], [np.nan]]))
    assert imputer.transform([[np.nan]]).tolist() == [[-1.0]]


@pytest.mark.parametrize(
    ("dtype", "table"),
    [("uint8", "float32"), ("uint16", "float32"), ("int32", "float64"), ("float32", "float32"), ("float64", "float64")],
)
def test_a_table_holds_every_value_exactly(dtype: str, table: str) -> None:
    assert table_dtype(dtype).name == table


def test_a_fill_that_nobody_declared_is_spoken_of() -> None:
    flat = np.random.default_rng(0).normal(size=(3, 100))
    flat[:, :10] = 0
    with pytest.warns(MissingDataWarning, match=r"10% of the pixels are 0 in every band.*sentinels=0\) here"):
        report_suspected_fill(flat, "here")


def test_zeros_in_one_band_alone_are_data() -> None:
    flat = np.random.default_rng(0).normal(size=(3, 100))
    flat[0] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report_suspected_fill(flat, "here")
        report_suspected_fill(np.zeros((1, 100)), "here")
        report_suspected_fill(np.zeros((3, 0)), "here")


def test_each_band_keeps_its_own_marks_whichever_comes_last() -> None:
    flat = np.array([[7, 1, 1], [1, 8, 1], [1, 1, 1]], "uint8")
    marks = missing_values("uint8", "abc", [7, 8, None], pw.NanPolicy())
    valid, _ = valid_rows(flat, marks, None, pw.NanPolicy(), "complete")
    assert valid is not None
    assert valid.tolist() == [False, False, True]
