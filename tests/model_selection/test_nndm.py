from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

import pixelwise as pw
from pixelwise.errors import FoldError

POINTS = np.random.default_rng(0).uniform(0, 100, (40, 2))


def as_defined(train: np.ndarray, domain: np.ndarray, phi: float, min_train: float) -> tuple[np.ndarray, list[np.ndarray]]:
    """The definition, word for word, on the matrix of all distances."""
    n, pairs, gij = len(train), cdist(train, train), cdist(domain, train).min(axis=1)
    np.fill_diagonal(pairs, np.inf)
    star = pairs.min(axis=1)
    r = star.min()
    j = np.flatnonzero(star == r)[0]
    while r <= phi:
        if ((star <= r).sum() - 1) / n >= (gij <= r).mean() and np.isfinite(pairs[j]).sum() / n > min_train:
            pairs[j, pairs[j] == r] = np.inf
            star = pairs.min(axis=1)
            r = star[star >= r].min()
        elif not (star > r).any():
            break
        else:
            r = star[star > r].min()
        j = np.flatnonzero(star == r)[0]
    return star, [np.flatnonzero(np.isfinite(row)) for row in pairs]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from([1e9, 3.0, 8.0]), st.sampled_from([0.0, 0.5, 0.8]))
def test_neighbours_are_taken_out_as_the_definition_has_it(seed: int, grid: bool, phi: float, min_train: float) -> None:
    random = np.random.default_rng(seed)
    n = int(random.integers(5, 60))
    train = random.integers(0, 8, (n, 2)).astype(float) if grid else random.uniform(0, 10, (n, 2))
    domain = random.integers(0, 30, (80, 2)).astype(float) if grid else random.uniform(0, 30, (80, 2))
    star, rows = as_defined(train, domain, phi, min_train)
    cv = pw.NNDMSplit(domain, phi=phi, min_train=min_train)
    np.testing.assert_allclose(cv.distances(train, groups=train).gj_star, star)
    assert all(np.array_equal(a, b) for a, (b, _) in zip(rows, cv.split(train, groups=train), strict=True))


def test_samples_spread_like_the_map_lose_no_neighbour() -> None:
    domain = POINTS + np.random.default_rng(1).normal(0, 1e-3, POINTS.shape)
    assert all(len(train) == 39 for train, _ in pw.NNDMSplit(domain).split(POINTS, groups=POINTS))


def test_the_largest_phi_is_that_of_all_distances() -> None:
    domain = np.random.default_rng(1).uniform(0, 1000, (300, 2))
    far = pw.NNDMSplit(domain, phi=1e6).distances(POINTS, groups=POINTS)
    assert np.array_equal(pw.NNDMSplit(domain).distances(POINTS, groups=POINTS).gj_star, far.gj_star)


def test_min_train_holds() -> None:
    domain = np.random.default_rng(1).uniform(0, 1000, (300, 2))
    for share in (0.5, 0.9):
        sizes = [len(train) for train, _ in pw.NNDMSplit(domain, min_train=share).split(POINTS, groups=POINTS)]
        assert min(sizes) >= share * 40 - 1


def test_degrees_are_matched_in_metres(scene: Path, polygons: Path) -> None:
    X, _ = pw.extract_pixels(scene, polygons, column="class")
    rows = np.arange(0, len(X), 60)
    domain = pw.RasterToPixelTransformer().fit_transform(scene)
    plane = pw.NNDMSplit(scene, random_state=0).distances(X[rows])
    degrees = X[rows].to_geodataframe().to_crs(4326)
    sphere = pw.NNDMSplit(scene, random_state=0).distances(degrees)
    np.testing.assert_allclose(sphere.gij, plane.gij, rtol=5e-3, atol=1)
    np.testing.assert_allclose(np.median(sphere.gj_star), np.median(plane.gj_star), rtol=0.05)
    assert len(domain) == 60 * 80


@pytest.mark.parametrize(
    ("options", "samples", "message"),
    [
        ({"prediction_domain": None}, POINTS, "prediction_domain is missing"),
        ({"phi": "range"}, POINTS, "phi='range': give metres"),
        ({"phi": -1}, POINTS, "phi=-1: give metres"),
        ({"min_train": 1.5}, POINTS, "min_train=1.5"),
        ({}, POINTS[:2], "2 samples: leave-one-out takes 3 to 20000; use KNNDMSplit"),
        ({}, np.zeros((30_000, 2)), "30000 samples: leave-one-out takes"),
    ],
)
def test_what_cannot_be_matched_says_why(options: dict[str, Any], samples: np.ndarray, message: str) -> None:
    with pytest.raises(FoldError, match=message):
        list(pw.NNDMSplit(**{"prediction_domain": POINTS, **options}).split(samples, groups=samples))


def test_one_fold_a_sample() -> None:
    assert pw.NNDMSplit(POINTS).get_n_splits(POINTS) == 40
