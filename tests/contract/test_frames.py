"""The way of a chip through the package is short: few frames above the estimator, and few calls."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import GridSearchCV
from sklearn.tree import DecisionTreeClassifier

import pixelwise as pw

PACKAGE = str(Path(pw.__file__).parent)
FRAMES, CALLS = 3, 15


class Watched(ClassifierMixin, BaseEstimator):
    """A classifier that knows the highest number of the package's frames above its predictions."""

    def __init__(self, bands: int = 1) -> None:
        self.bands = bands

    def fit(self, X: Any, y: Any) -> Watched:
        self.tree_ = DecisionTreeClassifier(max_features=self.bands, random_state=0).fit(X, y)
        self.classes_ = self.tree_.classes_
        self.seen_: list[int] = []
        return self

    def predict(self, X: Any) -> np.ndarray:
        self.seen_.append(frames_above(sys._getframe(1)))
        return self.tree_.predict(X)

    def predict_proba(self, X: Any) -> np.ndarray:
        self.seen_.append(frames_above(sys._getframe(1)))
        return self.tree_.predict_proba(X)


def is_ours(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(PACKAGE)


def frames_above(frame: FrameType | None) -> int:
    count = 0
    while frame is not None:
        count += is_ours(frame)
        frame = frame.f_back
    return count


def calls_of(action: Callable[[], Any]) -> list[str]:
    """Names of the package's functions in the order in which they are called."""
    names: list[str] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        # A comprehension is a frame of its own up to Python 3.11, and no function that anybody wrote.
        if (
            event == "call"
            and is_ours(frame)
            and frame.f_code.co_name not in ("<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>")
        ):
            names.append(f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_qualname}")

    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(None)
    return names


@pytest.fixture(params=["model", "search", "fitted"])
def model(request: pytest.FixtureRequest, chip: pw.Raster) -> Any:
    labels = np.where(chip.values[3] > np.median(chip.values[3]), 1, 2)
    wrapper = pw.PixelwiseClassifier(Watched()).fit(pw.Raster(chip.values, chip.grid, chip.bands, chip.nodata), labels[None])
    if request.param == "model":
        return wrapper
    if request.param == "fitted":
        return pw.PixelwiseClassifier(wrapper.estimator_)
    X, y = pw.extract_pixels(chip, labels[None], max_per_class=100, random_state=0)
    return GridSearchCV(pw.PixelwiseClassifier(Watched()), {"estimator__bands": [1, 6]}, cv=2).fit(X, y)


def watched(model: Any) -> Watched:
    model = getattr(model, "best_estimator_", model)
    return getattr(model, "estimator_", model.estimator)


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_at_most_three_own_frames_stand_above_the_estimator(model: Any, method: str, chip: pw.Raster) -> None:
    watched(model).seen_.clear()
    mapped = getattr(model, method)(chip)
    assert isinstance(mapped, pw.Raster)
    assert mapped.grid == chip.grid
    assert watched(model).seen_
    assert max(watched(model).seen_) <= FRAMES


def test_from_file_to_file_no_more_frames_stand_above_the_estimator(model: Any, chip: pw.Raster, tmp_path: Path) -> None:
    watched(model).seen_.clear()
    pw.predict_raster(model, pw.write_raster(chip, tmp_path / "scene.tif"), tmp_path / "map.tif")
    assert watched(model).seen_
    assert max(watched(model).seen_) <= FRAMES


def test_at_most_fifteen_own_functions_are_called_for_a_chip(model: Any, chip: pw.Raster) -> None:
    # The first chip may settle what is the same for all.
    model.predict(chip)
    calls = calls_of(lambda: model.predict(chip))
    assert len(calls) <= CALLS, "\n".join(calls)


def test_the_number_of_calls_does_not_grow_with_the_chip(model: Any, chip: pw.Raster) -> None:
    small = pw.Raster(chip.values[:, :32, :32], pw.unwrap(np.zeros((1, 32, 32))).grid, chip.bands, chip.nodata)
    for raster in (small, chip):
        model.predict(raster)
    assert calls_of(lambda: model.predict(small)) == calls_of(lambda: model.predict(chip))


def test_what_is_settled_once_is_settled_anew_when_the_chip_or_the_model_changes(chip: pw.Raster) -> None:
    labels = np.where(chip.values[3] > np.median(chip.values[3]), 1, 2)
    model = pw.PixelwiseClassifier(DecisionTreeClassifier(max_depth=3, random_state=0)).fit(chip, labels[None])
    first = model.predict(chip)
    turned = pw.Raster(chip.values[::-1], chip.grid, chip.bands[::-1], chip.nodata)
    np.testing.assert_array_equal(model.predict(turned).values, first.values)
    undeclared = model.predict(pw.Raster(chip.values, chip.grid, chip.bands)).values
    assert (first.values == 255).sum() == 100
    assert not (undeclared == 255).any()
    assert (model.set_params(fill_value=77).predict(chip).values == 77).sum() == 100
    assert model.set_params(output_dtype="int32").predict(chip).values.dtype == np.int32
    assert model.set_params(nan="propagate").predict_proba(chip).bands == ("1", "2")
    np.testing.assert_array_equal(model.predict(chip).values[20:], first.values[20:])


def test_an_estimator_that_is_fitted_anew_behind_the_wrapper_is_mapped_with_its_new_classes(chip: pw.Raster) -> None:
    rows = chip.values.reshape(6, -1).T
    inner = DecisionTreeClassifier(max_depth=2).fit(rows, rows[:, 3] > 80)
    model = pw.PixelwiseClassifier(inner)
    assert model.predict(chip).attrs["class_names"] == ["False", "True"]
    inner.fit(rows, np.where(rows[:, 3] > 80, "forest", "water"))
    assert model.predict(chip).attrs["class_names"] == ["forest", "water"]
