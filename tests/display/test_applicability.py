from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import pixelwise as pw
from pixelwise.display.applicability import ApplicabilityDisplay
from pixelwise.display.canvas import new_axes


@pytest.fixture
def area(scene: Path, polygons: Path) -> pw.AreaOfApplicability:
    X, y = pw.extract_pixels(scene, polygons, column="class")
    return pw.AreaOfApplicability(cv=pw.SpatialBlockGroupKFold(3, block_size=150)).fit(X, y)


@pytest.fixture
def labels(scene: Path, polygons: Path) -> np.ndarray:
    return pw.extract_pixels(scene, polygons, column="class")[1]


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_the_training_pixels_are_shown_with_the_threshold(area) -> None:
    display = ApplicabilityDisplay.from_estimator(area).plot(title="Applicability", subtitle="of a made-up scene")
    assert list(display.axes_) == ["histogram"]
    assert display.ax_.figure is display.figure_
    assert texts(display.ax_) == ["training pixels (cross-validation)", f"threshold {area.threshold_:.3g} (cross-validation)"]
    assert display.ax_.lines[0].get_xdata() == [area.threshold_] * 2
    assert np.isnan(display.share_inside())


def test_all_panels_are_drawn_of_a_scene_and_a_profile(area, scene: Path, labels: np.ndarray) -> None:
    display = ApplicabilityDisplay.from_estimator(area, scene, profile=area.error_profile(labels, labels[::-1])).plot()
    assert list(display.axes_) == ["histogram", "map", "profile"]
    assert display.share_inside() == pytest.approx(float(area.predict(pw.open_raster(scene)).mean()), abs=1e-3)
    assert f"{1 - display.share_inside():.1%}" in texts(display.axes_["map"])[0]
    assert "scene" in texts(display.axes_["histogram"])
    assert display.axes_["profile"].get_ylabel() == "misclassification rate (cross-validation)"
    boxes = [axes.get_position() for axes in display.axes_.values()]
    assert all(above.y0 > below.y1 for above, below in pairwise(boxes))


def test_a_map_that_is_there_already_is_not_made_again(area, scene: Path, tmp_path: Path) -> None:
    path = pw.predict_raster(area, scene, tmp_path / "di.tif", method="transform")
    made = ApplicabilityDisplay.from_estimator(area, path)
    assert made.dissimilarity.values.tolist() == ApplicabilityDisplay.from_estimator(area, scene).dissimilarity.values.tolist()


def test_a_large_scene_is_thinned(area, scene: Path) -> None:
    assert ApplicabilityDisplay.from_estimator(area, scene, most=20).dissimilarity.values.shape == (15, 20)


def test_missing_pixels_are_transparent_and_pixels_outside_red(area, raster) -> None:
    holes = raster.astype("float32")
    holes[:, 0, 0], holes[:, 1, 1] = np.nan, 60_000
    display = ApplicabilityDisplay.from_estimator(area, holes).plot(kind="map")
    image = display.ax_.images[0].get_array()
    assert image[0, 0, 3] == 0
    assert image[1, 1].tolist() == [0xD1, 0x49, 0x5B, 255]
    assert list(display.axes_) == ["map"]


def test_pixels_far_out_are_gathered_in_the_last_bar(area, raster) -> None:
    display = ApplicabilityDisplay.from_estimator(area, raster * 4).plot(kind="histogram")
    assert display.ax_.get_xlabel() == "dissimilarity index (the last bar holds all beyond)"
    assert display.ax_.get_xlim()[1] <= 2.5 * area.threshold_ + 1e-12


def test_one_panel_goes_on_given_axes(area, scene: Path, labels: np.ndarray) -> None:
    profile = area.error_profile(labels, labels, by="LPD")
    display = ApplicabilityDisplay.from_estimator(area, scene, profile=profile)
    for kind in ("histogram", "map", "profile"):
        ax = new_axes(4, 3)
        assert display.plot(ax, kind=kind).ax_ is ax
    assert "local point density" in ax.get_xlabel()
    assert list(display.plot(new_axes(4, 3)).axes_) == ["histogram"]


def test_a_panel_without_data_is_told(area) -> None:
    with pytest.raises(ValueError, match="kind='map' has nothing to show: choose one of histogram, or give raster="):
        ApplicabilityDisplay.from_estimator(area).plot(kind="map")


def test_training_pixels_that_no_fold_tests_are_left_out() -> None:
    display = ApplicabilityDisplay(np.array([0.1, np.nan, 0.2]), 0.2).plot()
    assert display.train_di.tolist() == [0.1, 0.2]
