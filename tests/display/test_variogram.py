from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.tree import DecisionTreeClassifier

import pixelwise as pw
from pixelwise.display.variogram import VariogramDisplay
from pixelwise.errors import FoldError, LabelError


@pytest.fixture(scope="module")
def places() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 10_000, (400, 2))


@pytest.fixture(scope="module")
def patches(places: np.ndarray) -> np.ndarray:
    """A number that is alike over 1000 m, and no further."""
    cells = np.random.default_rng(1).normal(size=(10, 10))
    return cells[tuple((places // 1000).astype(int).T)]


def legend(display: VariogramDisplay) -> list[str]:
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def test_a_suggestion_is_drawn_with_its_block_size(places: np.ndarray, patches: np.ndarray) -> None:
    found = pw.suggest_block_size(places, patches, groups=places, crs=32633, prediction_domain=places + 300)
    display = VariogramDisplay.from_suggestion(found).plot()
    assert display.figure_ is display.ax_.figure
    assert f"practical range {found.practical_range:,.0f} m" in legend(display)
    assert f"block size {found.block_size:,.0f} m" in legend(display)
    assert "cross-validation" in display.ax_.get_title(loc="left")


def test_dots_stand_at_the_bins_and_grow_with_their_pairs(places: np.ndarray, patches: np.ndarray) -> None:
    display = VariogramDisplay.from_predictions(patches, np.zeros(400), groups=places).plot()
    dots = display.ax_.collections[0]
    assert np.allclose(dots.get_offsets(), np.column_stack([display.variogram.distances, display.variogram.gamma]))
    assert np.array_equal(np.argsort(dots.get_sizes()), np.argsort(display.variogram.counts))


def test_the_line_is_the_model(places: np.ndarray, patches: np.ndarray) -> None:
    display = VariogramDisplay.from_predictions(patches, np.zeros(400), groups=places).plot()
    h, gamma = display.ax_.lines[0].get_data()
    assert np.allclose(gamma, display.model(h))


def test_long_distances_are_kilometres(places: np.ndarray, patches: np.ndarray) -> None:
    display = VariogramDisplay.from_predictions(patches, np.zeros(400), groups=places * 100).plot()
    assert display.ax_.get_xlabel() == "distance (km)"
    assert np.allclose(display.ax_.collections[0].get_offsets()[:, 0] * 1000, display.variogram.distances)


def test_a_range_beyond_the_figure_stands_in_the_legend(places: np.ndarray) -> None:
    display = VariogramDisplay.from_predictions(places[:, 0] / 7, np.zeros(400), groups=places).plot()
    assert any("beyond the figure" in name for name in legend(display))


def test_axes_that_are_given_are_drawn_on(places: np.ndarray, patches: np.ndarray) -> None:
    figure = Figure()
    ax = figure.add_subplot()
    display = VariogramDisplay.from_predictions(patches, np.zeros(400), groups=places).plot(ax)
    assert display.ax_ is ax
    assert display.figure_ is figure


def test_errors_of_numbers_are_differences(places: np.ndarray, patches: np.ndarray) -> None:
    display = VariogramDisplay.from_predictions(patches, 0.5 * patches, groups=places)
    assert np.array_equal(display.variogram.gamma, pw.empirical_variogram(places, 0.5 * patches).gamma)


def test_errors_of_classes_are_right_or_wrong(places: np.ndarray, patches: np.ndarray) -> None:
    labels = np.where(patches > 0, "wood", "water")
    display = VariogramDisplay.from_predictions(labels, np.full(400, "wood"), groups=places)
    assert np.array_equal(display.variogram.gamma, pw.empirical_variogram(places, (patches <= 0).astype(float)).gamma)


def test_a_model_is_judged_on_what_was_held_out(places: np.ndarray, patches: np.ndarray) -> None:
    frame = gpd.GeoDataFrame(geometry=gpd.points_from_xy(*places.T), crs=32633)
    strip = (places[:, 0] // 1000).astype(int)
    bands = np.column_stack([patches + np.random.default_rng(2).normal(size=400), places[:, 0]])
    predicted = cross_val_predict(LinearRegression(), bands, patches, groups=strip, cv=GroupKFold(5))
    blocks = pw.SpatialBlockGroupKFold(5, block_size=1000, crs=32633)
    by_blocks = VariogramDisplay.from_estimator(LinearRegression(), bands, patches, cv=blocks, groups=places, crs=32633)
    assert by_blocks.variogram.counts.sum() > 0
    by_hand = VariogramDisplay.from_predictions(patches, predicted, frame)
    assert np.array_equal(by_hand.variogram.gamma, pw.empirical_variogram(frame, patches - predicted).gamma)
    scene, polygons = pw.datasets.make_example()
    X, y = pw.extract_pixels(scene, polygons, column="class")
    noisy = np.where(np.arange(len(y)) % 5 == 0, "water", y)
    display = VariogramDisplay.from_estimator(DecisionTreeClassifier(max_depth=1), X, noisy, cv=GroupKFold(2), groups=X.groups)
    assert display.model.sill > 0


def test_predictions_of_another_number_are_refused(places: np.ndarray, patches: np.ndarray) -> None:
    with pytest.raises(LabelError, match=r"y_true has shape \(400,\), and y_pred \(399,\)"):
        VariogramDisplay.from_predictions(patches, patches[1:], groups=places)
    with pytest.raises(LabelError, match="all 400 values are 0"):
        VariogramDisplay.from_predictions(patches, patches, groups=places)
    with pytest.raises(FoldError, match="does not say where its rows are"):
        VariogramDisplay.from_predictions(patches, np.zeros(400))
