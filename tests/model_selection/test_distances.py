from __future__ import annotations

import numpy as np
import pyproj
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from scipy.spatial.distance import cdist

from pixelwise.errors import FoldError
from pixelwise.model_selection.distances import (
    FoldDistances,
    Metric,
    metric_of,
    nearest,
    nearest_in_other_folds,
    nearest_neighbour,
    nearest_training,
    within,
)
from pixelwise.raster.grid import EARTH_RADIUS

RANDOM = np.random.default_rng(0)
POINTS = RANDOM.integers(0, 60, (150, 2)).astype(float)
FOLD = RANDOM.integers(0, 4, 150)


def test_degrees_are_measured_along_the_great_circle() -> None:
    a = np.column_stack([RANDOM.uniform(-180, 180, 200), RANDOM.uniform(-90, 90, 200)])
    b = np.column_stack([RANDOM.uniform(-180, 180, 200), RANDOM.uniform(-90, 90, 200)])
    sphere = pyproj.Geod(a=EARTH_RADIUS, b=EARTH_RADIUS)
    expected = sphere.inv(*a.T, *b.T)[2]
    metric = metric_of(CRS.from_epsg(4326))
    straight = np.linalg.norm(metric.points(a) - metric.points(b), axis=1)
    np.testing.assert_allclose(metric.metres(straight), expected, rtol=1e-7)
    np.testing.assert_allclose([metric.straight(d) for d in expected], straight, rtol=1e-7)


def test_the_date_line_and_the_poles_are_no_borders() -> None:
    metric = Metric(geographic=True)
    here = metric.points(np.array([[179.9, 0.0], [10.0, 89.9]]))
    there = metric.points(np.array([[-179.9, 0.0], [-170.0, 89.9]]))
    degrees = np.degrees(metric.metres(np.linalg.norm(here - there, axis=1)) / EARTH_RADIUS)
    np.testing.assert_allclose(degrees, 0.2)


def test_feet_are_brought_to_metres_and_no_crs_is_a_plane() -> None:
    feet = metric_of(CRS.from_epsg(2264))
    np.testing.assert_allclose(feet.points(np.array([[1.0, 0.0]])), [[0.3048006, 0.0]], atol=1e-7)
    assert metric_of(None) == Metric(geographic=False, unit=1.0)


def test_nearest_distances_are_those_of_all_pairs() -> None:
    pairs = cdist(POINTS, POINTS)
    others = np.where(FOLD[:, None] == FOLD, np.inf, pairs).min(axis=1)
    np.testing.assert_array_equal(nearest_in_other_folds(POINTS, FOLD), others)
    np.testing.assert_array_equal(nearest(POINTS[:50], POINTS[50:]), pairs[:50, 50:].min(axis=1))
    np.fill_diagonal(pairs, np.inf)
    np.testing.assert_array_equal(nearest_neighbour(POINTS), pairs.min(axis=1))


def test_many_folds_give_the_same_distances_as_few() -> None:
    fold = np.concatenate([np.zeros(60, int), np.arange(90)])
    pairs = np.where(fold[:, None] == fold, np.inf, cdist(POINTS, POINTS)).min(axis=1)
    assert len(np.unique(fold)) > 64
    np.testing.assert_array_equal(nearest_in_other_folds(POINTS, fold), pairs)


def test_one_fold_has_no_other() -> None:
    with pytest.raises(FoldError, match="all rows are in one fold"):
        nearest_in_other_folds(POINTS, np.zeros(150))


def test_tested_rows_are_measured_to_their_own_training_rows() -> None:
    folds = [(np.array([1, 2]), np.array([0])), (np.array([2]), np.array([0, 1]))]
    points = np.array([[0.0, 0.0], [1.0, 0.0], [4.0, 0.0]])
    assert nearest_training(points, folds).tolist() == [1.0, 4.0, 3.0]


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 30))
def test_within_includes_the_limit(seed: int, distance: float) -> None:
    random = np.random.default_rng(seed)
    a, b = random.integers(0, 40, (30, 2)) * 10.0, random.integers(0, 40, (5, 2)) * 10.0
    for limit in (distance, 10.0, 50.0):
        assert np.array_equal(within(a, b, limit), cdist(a, b).min(axis=1) <= max(limit, 1e-9) * (1 + 1e-9))


def test_nothing_is_near_nothing() -> None:
    assert not within(POINTS, np.empty((0, 2)), 5.0).any()
    assert within(np.empty((0, 2)), POINTS, 5.0).shape == (0,)


def test_w_is_the_area_between_the_two_distributions() -> None:
    distances = FoldDistances(gij=np.array([1.0, 2.0, 3.0]), gj=np.zeros(3), gj_star=np.array([2.0, 3.0, 7.0]))
    assert pytest.approx((1 + 1 + 4) / 3) == distances.W
    assert repr(distances) == "FoldDistances(W=2 m; medians in m: gij 2, gj 0, gj_star 3)"
