from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold

import pixelwise as pw
from pixelwise.display import DistanceDisplay
from pixelwise.display.canvas import new_axes
from pixelwise.errors import FoldError
from pixelwise.model_selection.distances import FoldDistances

BLOCKS = pw.SpatialBlockGroupKFold(3, block_size=100)


@pytest.fixture
def labelled(scene: Path, polygons: Path) -> tuple[pw.PixelTable, np.ndarray]:
    return pw.extract_pixels(scene, polygons, column="class")


@pytest.fixture
def display(labelled: tuple[pw.PixelTable, np.ndarray], scene: Path) -> DistanceDisplay:
    return DistanceDisplay.from_splitter(BLOCKS, *labelled, prediction_domain=scene, random_state=0)


def labels_of(display: DistanceDisplay) -> list[str]:
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def test_the_distances_are_those_of_the_report(
    display: DistanceDisplay, labelled: tuple[pw.PixelTable, np.ndarray], scene: Path
) -> None:
    report = pw.fold_report(BLOCKS, *labelled, prediction_domain=scene, random_state=0)
    assert report.attrs["W"] == display.distances.W
    assert np.median(display.distances.gij) == report["prediction_distance_median"][0]
    assert (display.distances.gj == 10).all()
    assert len(display.distances.gj_star) == 1200


def test_a_splitter_with_a_domain_shows_what_it_chose_on(labelled: tuple[pw.PixelTable, np.ndarray], scene: Path) -> None:
    X, y = labelled[0][::10], labelled[1][::10]
    cv = pw.KNNDMSplit(3, scene, random_state=0)
    search = GridSearchCV(LogisticRegression(), {}, cv=cv)
    shown = DistanceDisplay.from_estimator(search, X, y).distances
    assert pytest.approx(cv.distances(X).W) == shown.W


def test_folds_alone_are_enough(labelled: tuple[pw.PixelTable, np.ndarray], display: DistanceDisplay, scene: Path) -> None:
    X, _ = labelled
    alone = DistanceDisplay.from_predictions(BLOCKS.fold_ids(X), X, prediction_domain=scene, random_state=0)
    assert alone.distances.W == display.distances.W


def test_three_curves_and_the_area_between_two_are_drawn(display: DistanceDisplay) -> None:
    display.plot()
    assert len(display.ax_.lines) == 3
    assert len(display.ax_.collections) == 1
    assert labels_of(display)[0] == f"W, the area between test and map: {display.distances.W:,.0f} m"
    assert labels_of(display)[1] == "sample to nearest sample: median 10 m"
    assert "cross-validation" in display.ax_.get_title(loc="left")


def test_without_a_map_two_curves_are_drawn(labelled: tuple[pw.PixelTable, np.ndarray]) -> None:
    display = DistanceDisplay.from_splitter(BLOCKS, *labelled).plot(title="Distances")
    assert len(display.ax_.lines) == 2
    assert not display.ax_.collections
    assert display.ax_.get_title(loc="left") == "Distances"


def test_a_curve_rises_from_the_least_to_the_largest_distance() -> None:
    distances = FoldDistances(np.array([10.0, 20.0]), np.array([1.0, 1.0]), np.array([5.0, 15.0, 25.0, 35.0]))
    x, share = DistanceDisplay(distances).plot().ax_.lines[-1].get_data()
    assert (x[0], x[-1], share[0], share[-1]) == (5, 35, 0, 1)
    assert x[np.searchsorted(share, 0.6)] == 25


def test_a_logarithmic_axis_shows_small_distances(display: DistanceDisplay) -> None:
    ax = display.plot(log=True).ax_
    assert ax.get_xscale() == "log"
    assert ax.get_xlim()[0] > 0
    assert not ax.collections
    assert ax.xaxis.get_major_formatter()(1000, None) == "1,000"


@pytest.mark.parametrize("log", [False, True])
def test_densities_add_up_to_one(display: DistanceDisplay, log: bool) -> None:
    display.plot(kind="density", log=log)
    assert [patch.get_data().values.sum() for patch in display.ax_.patches] == pytest.approx([1, 1, 1])


def test_it_draws_where_it_is_told(display: DistanceDisplay) -> None:
    ax = new_axes(4, 3)
    assert display.plot(ax).ax_ is ax
    assert display.figure_ is ax.figure


def test_rows_at_the_same_place_are_drawn_at_zero() -> None:
    xy = np.zeros((10, 2))
    display = DistanceDisplay.from_splitter(KFold(2), xy, groups=xy).plot(log=True)
    assert display.ax_.get_xscale() == "linear"


BAD: dict[str, tuple[Any, str]] = {
    "nowhere": (lambda X: DistanceDisplay.from_splitter(KFold(2), np.asarray(X)), "ndarray does not say where its rows are"),
    "no cv": (lambda X: DistanceDisplay.from_estimator(LogisticRegression(), X), "LogisticRegression has no cv"),
    "short fold": (lambda X: DistanceDisplay.from_predictions([0, 1], X), r"fold has shape \(2,\), and X has 1200 rows"),
    "one fold": (lambda X: DistanceDisplay.from_predictions(np.zeros(1200, int), X), "fold names a single fold"),
    "kind": (lambda X: DistanceDisplay.from_splitter(BLOCKS, X).plot(kind="pie"), "kind='pie' is not known"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_told(case: str, labelled: tuple[pw.PixelTable, np.ndarray]) -> None:
    call, message = BAD[case]
    with pytest.raises(FoldError, match=message):
        call(labelled[0])
