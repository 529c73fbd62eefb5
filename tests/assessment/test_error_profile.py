from __future__ import annotations

import numpy as np
import pytest

from pixelwise.assessment.error_profile import error_profile
from pixelwise.errors import LabelError

DI = np.array([0.3, 0.1, 0.2, np.nan, 0.4])


def test_windows_move_over_the_rows_in_their_order() -> None:
    profile = error_profile(DI, ["a", "a", "b", "b", "c"], ["a", "a", "a", "b", "a"], window=2)
    assert profile.columns.tolist() == ["DI", "smallest", "largest", "n", "error", "measure", "estimate"]
    np.testing.assert_allclose(profile["DI"], [0.15, 0.25, 0.35])
    assert profile["smallest"].tolist() == [0.1, 0.2, 0.3]
    assert profile["largest"].tolist() == [0.2, 0.3, 0.4]
    assert profile["error"].tolist() == [0.5, 0.5, 0.5]
    assert set(profile["measure"]) == {"misclassification rate"}
    assert set(profile["estimate"]) == {"cross-validation"}


def test_numbers_have_a_root_mean_square_error() -> None:
    profile = error_profile(DI, np.zeros(5), np.array([3.0, 1, 2, 9, 4]), window=2, name="LPD")
    np.testing.assert_allclose(profile["error"], np.sqrt([2.5, 6.5, 12.5]))
    assert set(profile["measure"]) == {"RMSE"}
    assert profile.columns[0] == "LPD"


def test_whole_numbers_may_be_targets_too() -> None:
    assert error_profile(DI, np.zeros(5, int), np.full(5, 3), measure="RMSE", window=4)["error"].tolist() == [3.0]


def test_a_window_holds_a_tenth_of_the_rows_and_no_less_than_five_while_there_are_as_many() -> None:
    n = 1000
    profile = error_profile(np.arange(n) / n, np.zeros(n, int), np.zeros(n, int), most=10)
    assert (len(profile), set(profile["n"])) == (10, {100})
    assert (profile["smallest"].iloc[0], profile["largest"].iloc[-1]) == (0.0, 0.999)
    assert set(error_profile(DI, DI, DI)["n"]) == {4}


@pytest.mark.parametrize(
    ("y", "options", "error", "words"),
    [
        (np.zeros(4), {}, LabelError, r"y of shape \(4,\).* do not fit 5 training pixels"),
        (np.zeros(5), {"window": 0}, LabelError, "make no window of 0"),
        (np.zeros(5), {"most": 0}, LabelError, "make no window"),
        (np.zeros(5), {"measure": "R2"}, ValueError, "measure='R2' is not known"),
    ],
)
def test_what_does_not_fit_is_told(y: np.ndarray, options: dict, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        error_profile(DI, y, y, **options)
