"""A family chooses a dtype and a fill that can stand in one raster, and refuses those that cannot."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.tree import DecisionTreeClassifier

import pixelwise as pw
from pixelwise.errors import FillValueError
from pixelwise.families import OutputType, default_fill

CLASSIFIER = pw.EstimatorFamily("trees", ("sklearn.tree:DecisionTreeClassifier",), kind="classifier")
REGRESSOR = pw.EstimatorFamily("lines", (), kind="regressor", dtypes=("float32", "float64"))
INTEGERS = ["uint8", "uint16", "uint32", "int8", "int16", "int32", "int64"]


@pytest.mark.parametrize(
    ("dtype", "fill"), [("int8", -1), ("int16", -1), ("int64", -1), ("uint8", 255), ("uint16", 65535), ("uint32", 2**32 - 1)]
)
def test_the_natural_fill_of_integers_is_minus_one_or_the_maximum(dtype: str, fill: int) -> None:
    assert default_fill(dtype) == fill


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_natural_fill_of_floats_is_nan(dtype: str) -> None:
    assert math.isnan(default_fill(dtype))


@pytest.mark.parametrize("dtype", ["complex64", "datetime64[s]", "U3", "object", "bool"])
def test_a_dtype_that_no_map_can_have_is_refused(dtype: str) -> None:
    with pytest.raises(FillValueError):
        default_fill(dtype)


@pytest.mark.parametrize(
    ("dtype", "fill"),
    [
        ("uint8", -1),
        ("uint8", 256),
        ("uint8", 0.5),
        ("uint8", math.nan),
        ("int16", 40_000),
        ("int16", math.inf),
        ("float32", 1e39),
    ],
)
def test_a_fill_that_does_not_exist_in_the_dtype_is_refused_with_one_that_does(dtype: str, fill: float) -> None:
    with pytest.raises(FillValueError, match=r"does not exist in .*: use fill_value="):
        OutputType(dtype, fill)


@pytest.mark.parametrize("fill", [math.nan, math.inf, -math.inf, -9999, 0])
def test_a_float_map_takes_any_fill(fill: float) -> None:
    assert str(OutputType("float32", fill).fill_value) == str(fill)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([0, 1, 2], OutputType("uint8", 255)),
        ([0, 254], OutputType("uint8", 255)),
        ([0, 255], OutputType("int16", -1)),
        ([-1, 1], OutputType("int16", -32768)),
        ([0, 40_000], OutputType("int32", -1)),
        ([-1, 40_000], OutputType("int32", -(2**31))),
        ([0, 2**40], OutputType("int64", -1)),
        ([], OutputType("uint8", 255)),
    ],
)
def test_a_classifier_takes_the_first_dtype_that_holds_all_classes_and_a_fill(codes: list[int], expected: OutputType) -> None:
    assert CLASSIFIER.output_type(codes) == expected


def test_a_regressor_makes_floats_with_nan() -> None:
    made = REGRESSOR.output_type()
    assert made.dtype == "float32"
    assert math.isnan(made.fill_value)


def test_the_fill_of_the_first_dtype_may_be_the_familys_own() -> None:
    family = pw.EstimatorFamily("zeros", (), kind="classifier", fill_value=0)
    assert family.output_type([1, 2]) == OutputType("uint8", 0)
    assert family.output_type([1, 1000]) == OutputType("int16", -1)


def test_what_is_asked_for_goes_before_what_the_family_prefers() -> None:
    assert CLASSIFIER.output_type([1, 2], dtype="int32") == OutputType("int32", -1)
    assert CLASSIFIER.output_type([1, 2], dtype="uint8", fill_value=0) == OutputType("uint8", 0)
    assert CLASSIFIER.output_type([1, 2], fill_value=-9999) == OutputType("int16", -9999)


def test_minus_one_in_a_map_of_bytes_is_refused() -> None:
    with pytest.raises(FillValueError, match="fill_value=-1 does not exist in uint8: use fill_value=255"):
        CLASSIFIER.output_type([0, 1], dtype="uint8", fill_value=-1)


def test_a_fill_that_is_also_a_class_is_refused() -> None:
    with pytest.raises(FillValueError, match="fill_value=0 is also a class label") as caught:
        CLASSIFIER.output_type([0, 1], fill_value=0)
    assert caught.value.values["fill_value"] == 0


def test_a_class_that_the_dtype_cannot_hold_is_refused() -> None:
    with pytest.raises(FillValueError, match="class 300 does not exist in uint8"):
        CLASSIFIER.output_type([0, 300], dtype="uint8")


@given(st.lists(st.integers(-(2**31), 2**31), max_size=8), st.sampled_from([None, *INTEGERS, "float32", "float64"]))
def test_whatever_is_chosen_holds_every_class_and_a_fill_that_is_none(codes: list[int], dtype: str | None) -> None:
    try:
        made = CLASSIFIER.output_type(codes, dtype=dtype)
    except FillValueError:
        return
    assert made.fill_value not in codes
    for value in (*codes, made.fill_value):
        if np.dtype(made.dtype).kind != "f":
            assert np.array(value).astype(made.dtype) == value


@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_families_with_equal_parameters_are_equal_and_hash_alike(kind: str) -> None:
    first, second = (pw.EstimatorFamily("a", ("b:C",), kind=kind) for _ in range(2))  # type: ignore[arg-type]
    assert first == second
    assert hash(first) == hash(second)


def test_a_family_finds_its_classes_without_importing_their_modules() -> None:
    family = pw.EstimatorFamily(
        "some", ("sklearn.tree:DecisionTreeClassifier", "sklearn.tree:Absent", "turtledemo.chaos:Class"), kind="classifier"
    )
    assert family.loaded_classes() == [DecisionTreeClassifier]
    assert "turtledemo.chaos" not in sys.modules
