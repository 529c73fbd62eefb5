from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

import pixelwise as pw
from pixelwise.display.canvas import png_bytes

MATRIX = [[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]]
NAMES = ["deforestation", "forest gain", "stable forest", "stable non-forest"]


@pytest.fixture
def accuracy():
    return pw.estimate_accuracy(matrix=MATRIX, areas=[200_000, 150_000, 3_200_000, 6_450_000], classes=NAMES, pixel_area=0.09)


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_each_class_has_a_row_with_both_accuracies(accuracy) -> None:
    display = pw.AccuracyDisplay.from_accuracy(accuracy).plot()
    left, right = display.panels_
    assert [label.get_text() for label in left.get_yticklabels()] == NAMES
    users, producers = left.containers
    assert users.lines[0].get_xdata().tolist() == accuracy.users.estimate.tolist()
    assert producers.lines[0].get_xdata().tolist() == accuracy.producers.estimate.tolist()
    assert [bar.get_width() for bar in right.patches] == accuracy.map_areas.tolist()
    assert left.get_ylim() == right.get_ylim() == (3.5, -0.5)


def test_bars_are_the_intervals(accuracy) -> None:
    display = pw.AccuracyDisplay(accuracy).plot(level=0.9)
    segments = display.panels_[0].containers[0].lines[2][0].get_segments()
    low, high = accuracy.users.interval(0.9)
    assert np.array(segments)[:, :, 0] == pytest.approx(np.column_stack([low, high]))
    assert any("90% intervals" in text for text in texts(display.ax_))


def test_every_number_is_called_design_based(accuracy) -> None:
    display = pw.AccuracyDisplay(accuracy).plot(title="Land cover")
    assert "Land cover" in texts(display.ax_)
    assert any("design-based (Olofsson 2014), 640 samples" in text and "0.947 ± 0.018" in text for text in texts(display.ax_))
    assert [ax.get_xlabel() for ax in display.panels_] == ["accuracy (design-based)", "area in hectares (design-based)"]
    assert "21,158 ± 6,158" in texts(display.panels_[1])


def test_it_draws_on_given_axes(accuracy) -> None:
    ax = Figure(figsize=(8, 4)).add_subplot()
    display = pw.AccuracyDisplay(accuracy).plot(ax, subtitle="")
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert png_bytes(display.figure_, 50).startswith(b"\x89PNG")


def test_predictions_are_estimated_first() -> None:
    display = pw.AccuracyDisplay.from_predictions(list("aabb"), list("aabc")).plot()
    assert display.accuracy.method == "simple random"
    assert display.panels_[1].get_xlabel() == "area as a share of the map (design-based)"


def test_what_is_not_known_has_no_bar() -> None:
    accuracy = pw.estimate_accuracy(matrix=[[5, 0, 0], [1, 9, 0], [1, 1, 0]], areas=[1, 2, 0.5], classes=["$a$", "_b", "c"])
    display = pw.AccuracyDisplay(accuracy).plot()
    assert png_bytes(display.figure_, 50).startswith(b"\x89PNG")
    assert [label.get_text() for label in display.panels_[0].get_yticklabels()] == ["$a$", "_b", "c"]
