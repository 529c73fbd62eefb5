from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from rasterio.crs import CRS
from scipy.spatial.distance import pdist

import pixelwise as pw
from pixelwise.errors import CRSError, FoldError, LabelError
from pixelwise.model_selection.distances import metric_of
from pixelwise.model_selection.variogram import bounding_diagonal, empirical_variogram, numbers_or_classes
from pixelwise.raster.grid import EARTH_RADIUS


@pytest.fixture(scope="module")
def soil(meuse: Path) -> gpd.GeoDataFrame:
    """155 soil samples in the flood plain of the Meuse, in metres."""
    return gpd.read_file(meuse / "meuse.shp")


@pytest.fixture(scope="module")
def places() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 1000, (200, 2))


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    return np.random.default_rng(1).normal(size=200)


def test_gstats_bins_of_log_zinc_come_out_as_its_test_suite_prints_them(soil: gpd.GeoDataFrame) -> None:
    found = empirical_variogram(soil, np.log(soil["zinc"]), edges="equal")
    assert found.counts.tolist() == [57, 299, 419, 457, 547, 533, 574, 564, 589, 543, 500, 477, 452, 457, 415]
    assert found.distances.round(5).tolist() == [
        79.29244, 163.97367, 267.36483, 372.73542, 478.4767, 585.34058, 693.14526, 796.18365, 903.1465, 1011.29177,
        1117.86235, 1221.3281, 1329.16407, 1437.2562, 1543.20248,
    ]  # fmt: skip
    assert found.gamma.round(7).tolist() == [
        0.1234479, 0.2162185, 0.3027859, 0.4121448, 0.4634128, 0.5646933, 0.5689683, 0.6186769, 0.6471479, 0.6915705,
        0.7033984, 0.603877, 0.6517158, 0.5665318, 0.5748227,
    ]  # fmt: skip


def test_automaps_bins_of_zinc_come_out_as_its_test_suite_prints_them(soil: gpd.GeoDataFrame) -> None:
    found = empirical_variogram(soil, soil["zinc"].astype(float))
    assert found.counts.tolist() == [17, 36, 114, 149, 184, 711, 830, 1349, 1314, 1139, 1355]
    assert found.distances.round(4).tolist() == [
        59.3347, 86.0145, 131.0287, 176.1885, 226.7565, 337.6036, 502.0477, 713.2149, 961.2718, 1213.4116, 1506.5505,
    ]  # fmt: skip
    assert found.gamma.round(2).tolist() == [
        46207.03, 32203.57, 53862.70, 87068.48, 62486.31, 104453.77, 127330.49, 150556.52, 165153.58, 165495.97, 149245.86,
    ]  # fmt: skip


def test_it_is_half_the_mean_squared_difference_of_pairs(places: np.ndarray, values: np.ndarray) -> None:
    found = empirical_variogram(places, values, edges=[50, 100, 200])
    apart, unlike = pdist(places), pdist(values[:, None]) ** 2 / 2
    for number, (low, high) in enumerate([(0, 50), (50, 100), (100, 200)]):
        pairs = (apart > low) & (apart <= high)
        assert found.counts[number] == pairs.sum()
        assert found.distances[number] == pytest.approx(apart[pairs].mean())
        assert found.gamma[number] == pytest.approx(unlike[pairs].mean())
    assert found.edges.tolist() == [[0, 50], [50, 100], [100, 200]]


def test_pairs_are_counted_alike_in_one_block_and_in_many(monkeypatch: pytest.MonkeyPatch, places, values) -> None:
    whole = empirical_variogram(places, values)
    monkeypatch.setattr("pixelwise.model_selection.variogram._PAIRS_AT_A_TIME", 700)
    parts = empirical_variogram(places, values)
    assert np.array_equal(whole.counts, parts.counts)
    assert np.allclose(whole.gamma, parts.gamma, rtol=1e-12)


def test_a_bin_holds_its_upper_edge_and_not_its_lower_one() -> None:
    line = np.column_stack([np.arange(12.0) * 10, np.zeros(12)])
    found = empirical_variogram(line, np.arange(12), edges=[0, 10, 20, 35])
    assert found.counts.tolist() == [11, 10, 9]
    assert found.gamma.tolist() == [0.5, 2.0, 4.5]


def test_pairs_at_the_same_place_are_left_out(places: np.ndarray, values: np.ndarray) -> None:
    twice = empirical_variogram(np.vstack([places, places]), np.append(values, values + 100), edges=[50, 100])
    once = empirical_variogram(places, values, edges=[50, 100])
    assert twice.counts.tolist() == (4 * once.counts).tolist()


def test_bins_without_pairs_are_left_out() -> None:
    line = np.column_stack([np.arange(12.0) * 10, np.zeros(12)])
    found = empirical_variogram(line, np.arange(12), edges=[5, 10, 15, 20])
    assert found.edges.tolist() == [[5, 10], [15, 20]]


def test_automatic_bins_are_merged_from_the_left_until_each_has_five_pairs() -> None:
    rng = np.random.default_rng(3)
    few = rng.uniform(0, 1000, (40, 2))
    found = empirical_variogram(few, rng.normal(size=40))
    edges = 0.35 * np.hypot(*np.ptp(few, axis=0)) * np.array([2, 4, 6, 9, 12, 15, 25, 35, 50, 65, 80, 100]) / 100
    assert found.counts.min() >= 5
    assert found.edges[0, 0] == 0
    assert len(found.counts) < 12
    assert np.allclose(found.edges[:, 1], edges[-len(found.counts) :])
    one_more = np.histogram(pdist(few), np.append(0, edges[-len(found.counts) - 1 :]))[0]
    assert one_more.min() < 5


def test_equal_bins_end_at_the_cutoff(places: np.ndarray, values: np.ndarray) -> None:
    assert empirical_variogram(places, values, cutoff=250, width=100).edges.tolist() == [[0, 100], [100, 200], [200, 250]]
    assert empirical_variogram(places, values, cutoff=150).edges[:, 1].tolist() == pytest.approx(np.arange(10, 160, 10))
    assert empirical_variogram(places, values, width=100).edges[-1, 1] == pytest.approx(np.hypot(*np.ptp(places, axis=0)) / 3)


def test_the_variogram_of_classes_is_the_share_of_pairs_that_differ(places: np.ndarray) -> None:
    labels = np.array(["a", "b", "c"])[(places[:, 0] // 334).astype(int)]
    found = empirical_variogram(places, labels, edges=[100, 300])
    indicators = [empirical_variogram(places, (labels == name).astype(float), edges=[100, 300]).gamma for name in "abc"]
    assert np.allclose(found.gamma, np.sum(indicators, axis=0))


def test_distances_in_degrees_are_great_circles() -> None:
    lon = np.arange(0, 12.0)
    north = np.column_stack([lon, np.full(12, 60.0)])
    step = 2 * EARTH_RADIUS * np.arcsin(np.cos(np.radians(60)) * np.sin(np.radians(0.5)))
    found = empirical_variogram(north, lon, edges=[60_000], crs=4326)
    assert found.distances[0] == pytest.approx(step)
    assert found.counts.tolist() == [11]


def test_the_bounding_box_does_not_go_round_the_world_at_the_antimeridian() -> None:
    metric = metric_of(CRS.from_epsg(4326))
    here = bounding_diagonal(np.array([[10.0, 5], [12, 6]]), metric)
    assert bounding_diagonal(np.array([[179.0, 5], [-179, 6]]), metric) == pytest.approx(here)


def test_feet_become_metres(places: np.ndarray, values: np.ndarray) -> None:
    feet = empirical_variogram(places, values, crs=2263)
    assert feet.distances[-1] == pytest.approx(empirical_variogram(places, values).distances[-1] * 1200 / 3937)


def test_coordinates_come_from_what_knows_them(places: np.ndarray, values: np.ndarray) -> None:
    frame = gpd.GeoDataFrame(geometry=gpd.points_from_xy(*places.T), crs=32633)
    assert np.array_equal(empirical_variogram(frame, values).gamma, empirical_variogram(places, values).gamma)
    scene, polygons = pw.datasets.make_example()
    X, y = pw.extract_pixels(scene, polygons, column="class")
    assert np.array_equal(empirical_variogram(X, y).gamma, empirical_variogram(X.xy, y).gamma)
    with pytest.raises(CRSError, match="leave crs out"):
        empirical_variogram(frame, values, crs=4326)


def test_many_samples_are_thinned_with_a_seed(places: np.ndarray, values: np.ndarray) -> None:
    one, two, other = (empirical_variogram(places, values, max_points=60, random_state=seed) for seed in (0, 0, 1))
    assert one.n_samples == 60
    assert np.array_equal(one.gamma, two.gamma)
    assert not np.array_equal(one.counts, other.counts)
    with pytest.raises(FoldError, match="max_points=3 is too few"):
        empirical_variogram(places, values, max_points=3)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_value_that_is_missing_is_named(bad: float, places: np.ndarray, values: np.ndarray) -> None:
    with pytest.raises(LabelError, match="1 of 200 values are NaN, missing or infinite, the first is row 7: drop them"):
        empirical_variogram(places, np.where(np.arange(200) == 7, bad, values))


@pytest.mark.parametrize("bad", [None, np.nan, pd.NA])
def test_a_label_that_is_missing_is_named(bad: object, places: np.ndarray) -> None:
    labels = np.array(["a", bad] + ["b"] * 198, dtype=object)
    with pytest.raises(LabelError, match="1 of 200 values are NaN, missing or infinite, the first is row 1: drop them"):
        empirical_variogram(places, labels)


def test_values_that_are_all_the_same_have_no_variogram(places: np.ndarray) -> None:
    with pytest.raises(LabelError, match=r"all 200 values are 3\.5: a variogram needs values that differ"):
        empirical_variogram(places, np.full(200, 3.5))


def test_values_are_one_for_each_place(places: np.ndarray, values: np.ndarray) -> None:
    with pytest.raises(LabelError, match=r"values have shape \(199,\), and there are 200 places"):
        empirical_variogram(places, values[1:])
    with pytest.raises(LabelError, match=r"values have shape \(200, 1\)"):
        empirical_variogram(places, values[:, None])


def test_a_few_samples_are_too_few(places: np.ndarray, values: np.ndarray) -> None:
    with pytest.raises(FoldError, match="9 samples are too few for a variogram: give 10 or more"):
        empirical_variogram(places[:9], values[:9])


def test_samples_at_one_place_have_no_variogram(values: np.ndarray) -> None:
    with pytest.raises(FoldError, match=r"all 200 samples lie at \(3, 4\)"):
        empirical_variogram(np.tile([3.0, 4.0], (200, 1)), values)


def test_coordinates_that_are_missing_are_named(places: np.ndarray, values: np.ndarray) -> None:
    with pytest.raises(FoldError, match="1 of 200 rows have no coordinates, the first is row 4"):
        empirical_variogram(np.where(np.arange(200)[:, None] == 4, np.nan, places), values)
    with pytest.raises(FoldError, match=r"coordinates have shape \(200,\)"):
        empirical_variogram(places[:, 0], values)


@pytest.mark.parametrize(
    ("bins", "said"),
    [
        ({"edges": [20, 10]}, "above 0 and rising"),
        ({"edges": [-1, 10]}, "above 0 and rising"),
        ({"edges": [10, np.nan]}, "above 0 and rising"),
        ({"edges": []}, "above 0 and rising"),
        ({"edges": [0]}, "above 0 and rising"),
        ({"edges": "fine"}, "edges='fine': give 'equal'"),
        ({"edges": [10, 20], "cutoff": 5}, "give edges, or cutoff and width"),
        ({"cutoff": -1}, "cutoff=-1 and width"),
        ({"cutoff": 10, "width": 20}, "cutoff=10 and width=20"),
        ({"width": 0}, "width=0"),
        ({"edges": [1e-6]}, "no two samples are more than 0 and at most 1e-06 m apart"),
    ],
)
def test_bins_that_make_no_sense_are_refused(bins: dict, said: str, places: np.ndarray, values: np.ndarray) -> None:
    with pytest.raises(FoldError, match=said):
        empirical_variogram(places, values, **bins)


@pytest.mark.parametrize(
    ("y", "n_classes"),
    [
        (["a", "b", "a"], 2),
        ([True, False, True], 2),
        ([1, 2, 7], 3),
        ([0.0, 1.0, 0.0], 2),
        (np.arange(51), 0),
        ([0.5, 1.0, 2.0], 0),
        ([1.0, np.nan, 2.0], 0),
        ([1.0, np.inf, 2.0], 0),
        (pd.Series(["x", "y", "y"], dtype="category"), 2),
    ],
)
def test_classes_are_told_from_numbers(y: object, n_classes: int) -> None:
    values, found = numbers_or_classes(y)
    assert found == n_classes
    assert (values.dtype.kind in "iuf") == (n_classes == 0)
