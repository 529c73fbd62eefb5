from __future__ import annotations

import importlib.util
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from sklearn.model_selection import GroupKFold, cross_val_predict, cross_val_score
from sklearn.tree import DecisionTreeClassifier

import pixelwise as pw
from pixelwise.errors import CRSError, DependencyMissingError, FoldError, LabelError
from pixelwise.model_selection.distances import FoldDistances, nearest, nearest_in_other_folds, nearest_neighbour
from pixelwise.model_selection.variogram_models import fit_variogram


@pytest.fixture(scope="module")
def soil(meuse: Path) -> gpd.GeoDataFrame:
    """155 soil samples in the flood plain of the Meuse, in metres."""
    return gpd.read_file(meuse / "meuse.shp").set_crs(28992, allow_override=True)


@pytest.fixture(scope="module")
def places() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 10_000, (400, 2))


@pytest.fixture(scope="module")
def patches(places: np.ndarray) -> np.ndarray:
    """A number that is alike over 1000 m, and no further."""
    cells = np.random.default_rng(1).normal(size=(10, 10))
    return cells[tuple((places // 1000).astype(int).T)]


def suggest(xy: np.ndarray, y: object = None, **more: object) -> pw.model_selection.block_size.BlockSizeSuggestion:
    return pw.suggest_block_size(xy, y, **{"groups": xy, "crs": 32633, **more})


def test_without_a_domain_the_size_is_the_practical_range(places: np.ndarray, patches: np.ndarray) -> None:
    found = suggest(places, patches)
    assert found.block_size == found.practical_range == found.model.practical_range
    assert 700 < found.block_size < 1600
    assert found.candidates["block_size"].tolist() == [found.block_size]
    assert found.candidates["W"].isna().all()
    assert found.distances is None


def test_the_variogram_and_its_model_are_those_of_the_public_functions(soil: gpd.GeoDataFrame) -> None:
    zinc = np.log(soil["zinc"])
    found = pw.suggest_block_size(soil, zinc)
    variogram = pw.empirical_variogram(soil, zinc)
    assert np.array_equal(found.variogram.gamma, variogram.gamma)
    assert found.model == fit_variogram(variogram)


def test_the_reason_says_in_one_line_how_it_was_found_and_for_what(soil: gpd.GeoDataFrame) -> None:
    found = pw.suggest_block_size(soil, np.log(soil["zinc"]))
    assert str(found) == found.reason
    assert "\n" not in found.reason
    for words in ("Blocks of 890 m", "5-fold cross-validation", "not for a design-based map accuracy", "spherical model",
                  "the variogram of y", "155 samples", "comes to its sill at 890 m, the practical range"):  # fmt: skip
        assert words in found.reason
    assert "array" not in repr(found)


def test_residuals_go_before_y(soil: gpd.GeoDataFrame) -> None:
    zinc = np.log(soil["zinc"])
    residuals = zinc - np.polyval(np.polyfit(np.sqrt(soil["dist"]), zinc, 1), np.sqrt(soil["dist"]))
    found = pw.suggest_block_size(soil, zinc, residuals=residuals)
    assert "the variogram of the residuals" in found.reason
    assert np.array_equal(found.variogram.gamma, pw.empirical_variogram(soil, residuals).gamma)
    assert found.block_size == pw.suggest_block_size(soil, residuals=residuals).block_size


def test_errors_of_a_classifier_are_numbers(places: np.ndarray, patches: np.ndarray) -> None:
    wrong = patches > 0
    found = suggest(places, residuals=wrong)
    assert np.array_equal(found.variogram.gamma, pw.empirical_variogram(places, wrong.astype(float)).gamma)


def test_classes_may_be_text_or_whole_numbers(places: np.ndarray, patches: np.ndarray) -> None:
    codes = np.digitize(patches, [-0.5, 0.5])
    by_text, by_code = suggest(places, np.array(["a", "b", "c"])[codes]), suggest(places, codes)
    assert by_text.block_size == by_code.block_size
    assert "y, taken for 3 classes" in by_text.reason


def test_with_a_domain_the_size_is_the_candidate_of_the_smallest_w(places: np.ndarray, patches: np.ndarray) -> None:
    domain = np.random.default_rng(2).uniform([10_000, 0], [13_000, 10_000], (500, 2))
    found = suggest(places, patches, prediction_domain=domain)
    table = found.candidates
    assert table.columns.tolist() == ["block_size", "W", "n_blocks"]
    assert found.block_size == table["block_size"][table["W"].idxmin()]
    assert found.practical_range in table["block_size"].to_numpy()
    assert table["block_size"].is_monotonic_increasing
    assert table["n_blocks"].min() >= 5
    assert table["W"].min() == found.distances.W
    assert "W = " in found.reason


def test_w_is_that_of_the_splitter_with_the_size(places: np.ndarray, patches: np.ndarray) -> None:
    domain = places + 400
    found = suggest(places, patches, prediction_domain=domain, n_splits=4)
    for size, w, n_blocks in found.candidates.itertuples(index=False):
        blocks = pw.SpatialBlockGroupKFold(4, block_size=size, crs=32633)
        fold = blocks.fold_ids(places, groups=places)
        by_hand = FoldDistances(nearest(domain, places), nearest_neighbour(places), nearest_in_other_folds(places, fold))
        assert pytest.approx(w) == by_hand.W
        assert len(np.unique(blocks.block_ids(places, places))) == n_blocks


def test_places_further_away_ask_for_larger_blocks(places: np.ndarray, patches: np.ndarray) -> None:
    near, far = (suggest(places, patches, prediction_domain=places + step).block_size for step in (50, 1500))
    assert near < far


def test_a_domain_out_of_reach_is_spoken_of(places: np.ndarray, patches: np.ndarray) -> None:
    found = suggest(places, patches, prediction_domain=places + 100_000)
    assert "prediction is harder than this cross-validation can tell" in found.reason


def test_a_raster_is_a_domain() -> None:
    scene, polygons = pw.datasets.make_example()
    X, y = pw.extract_pixels(scene, polygons, column="class")
    found = pw.suggest_block_size(X, y, prediction_domain=scene, n_splits=2, random_state=0)
    scores = cross_val_score(DecisionTreeClassifier(), X, y, cv=pw.SpatialBlockGroupKFold(2, block_size=found.block_size))
    assert len(scores) == 2
    assert len(found.distances.gij) == 4800


def test_a_range_as_large_as_the_area_gives_the_largest_size_that_makes_folds(places: np.ndarray) -> None:
    found = suggest(places, places[:, 0] * 1.5)
    blocks = pw.SpatialBlockGroupKFold(5, block_size=found.block_size, crs=32633)
    assert found.block_size < found.practical_range
    assert [len(test) >= 8 for _, test in blocks.split(places, groups=places)] == [True] * 5
    assert "the range is large for the area" in found.reason
    assert "it is extrapolated" in found.reason
    larger = pw.SpatialBlockGroupKFold(5, block_size=found.block_size / 0.98, crs=32633)
    with pytest.raises(FoldError, match="4 blocks cannot make 5 folds"):
        larger.fold_ids(places, groups=places)


def test_tiny_folds_are_put_up_with_where_no_size_avoids_them() -> None:
    rng = np.random.default_rng(0)
    lone = np.vstack([np.tile([5_000.0, 5_000.0], (300, 1)), rng.uniform(0, 10_000, (10, 2))])
    y = np.append(np.zeros(300), rng.normal(size=10))
    for domain in (None, lone + 100):
        found = suggest(lone, y, prediction_domain=domain)
        fold = pw.SpatialBlockGroupKFold(5, block_size=found.block_size, crs=32633).fold_ids(lone, groups=lone)
        assert np.bincount(fold).min() < 310 / 50


def test_values_without_autocorrelation_say_so() -> None:
    grid = np.stack(np.meshgrid(np.arange(20), np.arange(20)), axis=-1).transpose(2, 0, 1)
    board = np.column_stack([axis.ravel() * 50.0 for axis in grid])
    found = suggest(board, (grid.sum(axis=0) % 2).ravel() + 0.5)
    assert found.practical_range == 0
    assert found.block_size == 50
    assert "No autocorrelation shows" in found.reason
    assert "The size is the median distance between neighbouring samples" in found.reason
    assert [text.get_text() for text in found.plot().get_legend().get_texts()][-1] == "block size 50 m"


def test_samples_in_tight_clusters_have_a_variogram_within_them() -> None:
    rng = np.random.default_rng(0)
    site = np.repeat(rng.uniform(0, 100_000, (2, 2)), 100, axis=0)
    inside = rng.uniform(0, 10, (200, 2))
    found = suggest(site + inside, np.floor(inside[:, 0] / 3) + rng.normal(0, 0.01, 200), n_splits=2)
    assert len(found.variogram.distances) >= 3
    assert found.practical_range < 1000


def test_duplicate_samples_do_no_harm(places: np.ndarray, patches: np.ndarray) -> None:
    twice = suggest(np.vstack([places, places]), np.append(patches, patches))
    assert twice.practical_range == pytest.approx(suggest(places, patches).practical_range, rel=1e-6)


def test_many_samples_are_thinned_with_a_seed(places: np.ndarray, patches: np.ndarray) -> None:
    domain = places + 300
    one, two = (suggest(places, patches, prediction_domain=domain, max_points=150, random_state=3) for _ in range(2))
    assert one.variogram.n_samples == 150
    assert one.block_size == two.block_size
    assert one.candidates.equals(two.candidates)
    assert len(one.distances.gj_star) == 150


def test_sizes_are_metres_in_degrees(places: np.ndarray, patches: np.ndarray) -> None:
    flat = suggest(places, patches)
    metres = np.pi / 180 * 6_371_010
    degrees = np.column_stack([13 + places[:, 0] / metres / np.cos(np.radians(60.05)), 60 + places[:, 1] / metres])
    assert suggest(degrees, patches, crs=4326).practical_range == pytest.approx(flat.practical_range, rel=0.02)


def test_residuals_of_held_out_polygons_are_taken_from_scikit_learn() -> None:
    scene, polygons = pw.datasets.make_example()
    X, y = pw.extract_pixels(scene, polygons, column="class")
    predicted = cross_val_predict(DecisionTreeClassifier(random_state=0), np.asarray(X), y, groups=X.groups, cv=GroupKFold(2))
    wrong = (predicted != y) | (np.arange(len(y)) % 7 == 0)
    assert pw.suggest_block_size(X, y, residuals=wrong, n_splits=2).block_size > 0


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (None, "neither was given"),
        (np.ones(400), "all 400 values are 1.0"),
        (["a"] * 400, "all 400 values are a"),
        (np.arange(399) * 1.5, r"values have shape \(399,\), and there are 400 places"),
        (np.where(np.arange(400) == 5, np.nan, np.arange(400) * 1.5), "1 of 400 values are NaN.*first is row 5"),
        (pd.Series([None] + ["a", "b"] * 199 + ["a"]), "1 of 400 values are NaN.*first is row 0"),
    ],
)  # fmt: skip
def test_labels_without_a_variogram_are_refused(y: object, said: str, places: np.ndarray) -> None:
    with pytest.raises(LabelError, match=said):
        suggest(places, y)


def test_residuals_that_are_text_are_refused(places: np.ndarray) -> None:
    with pytest.raises(LabelError, match="residuals are of type <U1: give numbers"):
        suggest(places, residuals=["a"] * 400)


def test_too_few_samples_or_places_are_refused(places: np.ndarray, patches: np.ndarray) -> None:
    with pytest.raises(FoldError, match="5 samples are too few"):
        suggest(places[:5], patches[:5])
    with pytest.raises(FoldError, match="0 samples are too few"):
        suggest(places[:0], patches[:0])
    with pytest.raises(FoldError, match="400 samples lie at 4 places"):
        suggest(np.tile(places[:4], (100, 1)), patches)
    with pytest.raises(FoldError, match="no size of block makes 401 folds of 400 places: lower n_splits"):
        suggest(places, patches, n_splits=401)
    with pytest.raises(FoldError, match="max_points=5 is too few"):
        suggest(places, patches, max_points=5)
    with pytest.raises(FoldError, match="n_splits=1"):
        suggest(places, patches, n_splits=1)


def test_places_that_are_no_metres_are_refused(places: np.ndarray, patches: np.ndarray) -> None:
    with pytest.raises(CRSError, match="look like degrees"):
        suggest(places / 1000, patches, crs=None)
    with pytest.raises(FoldError, match=r"groups has shape \(400,\)"):
        suggest(places, patches, groups=np.arange(400))
    with pytest.raises(FoldError, match="rows have no coordinates"):
        suggest(np.where(places < 100, np.nan, places), patches)
    with pytest.raises(FoldError, match="does not say where its rows are"):
        pw.suggest_block_size(places, patches)
    frame = gpd.GeoDataFrame(geometry=gpd.points_from_xy(*places.T), crs=32633)
    with pytest.raises(CRSError, match="leave crs out"):
        pw.suggest_block_size(frame, patches, crs=4326)


def test_a_domain_that_is_empty_or_elsewhere_is_refused(places: np.ndarray, patches: np.ndarray) -> None:
    with pytest.raises(FoldError, match="holds no place"):
        suggest(places, patches, prediction_domain=np.empty((0, 2)))
    with pytest.raises(FoldError, match="no coordinates"):
        suggest(places, patches, prediction_domain=[[np.nan, 0.0]])


def test_it_plots_itself(places: np.ndarray, patches: np.ndarray) -> None:
    found = suggest(places, patches)
    ax = found.plot()
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert [name for name in names if name.startswith(("practical range", "block size"))] == [
        f"practical range {found.practical_range:,.0f} m", f"block size {found.block_size:,.0f} m",
    ]  # fmt: skip
    own = Figure().add_subplot()
    assert found.plot(own) is own


def test_a_figure_without_matplotlib_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, places: np.ndarray, patches: np.ndarray
) -> None:
    found = suggest(places, patches)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DependencyMissingError, match="pip install"):
        found.plot()
