from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

import pixelwise as pw
from pixelwise.errors import FoldError

#: The six samples and twenty places that the method's authors print results for.
SIX = np.array([[1, 1], [1, 2], [2, 2], [2, 3], [1, 4], [5, 4]], float)
X20, Y20 = np.meshgrid([0.419019, 2.655087, 4.891155, 7.127223, 9.363291], [1.485171, 3.721239, 5.957307, 8.193375])
TWENTY = np.column_stack([X20.ravel(), Y20.ravel()])
RANDOM = np.random.default_rng(0)
CLUSTERED = np.concatenate([RANDOM.normal(centre, 30, (40, 2)) for centre in RANDOM.uniform(0, 5000, (12, 2))])
ONE_PLACE = np.repeat(CLUSTERED[:5], [2, 3, 50, 2, 3], axis=0)
EVERYWHERE = RANDOM.uniform(0, 5000, (800, 2))


@pytest.mark.parametrize(("crs", "w"), [(None, 1.091896), (32633, 1.091896), (4326, 121095.2)])
def test_the_published_example_comes_out_to_the_digits_it_prints(crs: Any, w: float) -> None:
    cv = pw.KNNDMSplit(2, TWENTY, max_fold_share=0.8, crs=crs)
    distances = cv.distances(SIX, groups=SIX)
    assert float(f"{distances.W:.7g}") == w
    assert distances.n_clusters == 3
    assert cv.fold_ids(SIX, groups=SIX).tolist() == [0, 0, 0, 0, 1, 1]


def test_clustered_samples_get_folds_as_far_apart_as_the_map_is() -> None:
    distances = pw.KNNDMSplit(5, EVERYWHERE, random_state=0).distances(CLUSTERED, groups=CLUSTERED)
    blind = pw.SpatialBlockGroupKFold(5, 50, crs=32633).fold_ids(CLUSTERED, groups=CLUSTERED)
    from pixelwise.model_selection.distances import FoldDistances, nearest_in_other_folds

    other = FoldDistances(distances.gij, distances.gj, nearest_in_other_folds(CLUSTERED, blind))
    assert np.median(distances.gj) < 20
    assert np.median(distances.gj_star) > 200
    assert distances.W < 0.5 * other.W


def test_samples_spread_like_the_map_get_random_folds() -> None:
    samples = RANDOM.uniform(0, 5000, (300, 2))
    cv = pw.KNNDMSplit(5, EVERYWHERE, random_state=0)
    assert cv.distances(samples, groups=samples).n_clusters is None
    assert np.bincount(cv.fold_ids(samples, groups=samples)).tolist() == [60] * 5


@pytest.mark.parametrize("clustering", ["ward", "kmeans"])
@pytest.mark.parametrize("share", [0.3, 0.6])
def test_no_fold_is_larger_than_its_share_and_every_row_is_tested_once(clustering: str, share: float) -> None:
    cv = pw.KNNDMSplit(5, EVERYWHERE, max_fold_share=share, clustering=clustering, random_state=0)
    tests = [test for _, test in cv.split(CLUSTERED, groups=CLUSTERED)]
    assert len(tests) == cv.get_n_splits() == 5
    assert max(map(len, tests)) <= share * len(CLUSTERED)
    assert np.array_equal(np.sort(np.concatenate(tests)), np.arange(len(CLUSTERED)))


def test_many_samples_go_with_the_nearest_of_those_that_were_clustered() -> None:
    many = np.concatenate([CLUSTERED + RANDOM.normal(0, 1, CLUSTERED.shape) for _ in range(10)])
    few = pw.KNNDMSplit(5, EVERYWHERE, max_samples=400, random_state=0)
    all_rows = pw.KNNDMSplit(5, EVERYWHERE, random_state=0)
    a, b = few.distances(many, groups=many), all_rows.distances(many, groups=many)
    assert len(a.gj_star) == len(many)
    assert a.W < 1.5 * b.W


@pytest.mark.parametrize("clustering", ["ward", "kmeans"])
def test_rows_at_the_same_place_are_tested_together(clustering: str) -> None:
    twice = np.repeat(CLUSTERED[::8], 3, axis=0)
    fold = pw.KNNDMSplit(5, EVERYWHERE, clustering=clustering, random_state=0).fold_ids(twice, groups=twice)
    assert (fold[::3] == fold[1::3]).all()
    assert (fold[::3] == fold[2::3]).all()


def test_a_search_uses_the_folds_and_the_same_seed_gives_them_again(scene: Path, polygons: Path) -> None:
    X, y = pw.extract_pixels(scene, polygons, column="class")
    cv = pw.KNNDMSplit(3, scene, max_fold_share=0.6, random_state=0)
    assert np.array_equal(cv.fold_ids(X), cv.fold_ids(X))
    model = pw.PixelwiseClassifier(LogisticRegression())
    search = GridSearchCV(model, {"estimator__C": [0.1, 1.0]}, cv=cv, n_jobs=2).fit(X, y)
    assert search.predict(scene).shape == (60, 80)
    assert cv.distances(X).W > 0


@pytest.mark.parametrize(
    ("options", "samples", "message"),
    [
        ({"prediction_domain": None}, CLUSTERED, "prediction_domain is missing"),
        ({"max_fold_share": 0.05}, CLUSTERED, "max_fold_share=0.05: 5 folds need a share from 0.2 to 1"),
        ({"clustering": "single"}, CLUSTERED, "clustering='single' is not known"),
        ({"n_splits": 1}, CLUSTERED, "at least 2 folds"),
        ({}, CLUSTERED[:6], "6 samples cannot make 5 folds"),
        ({"max_fold_share": 0.21}, ONE_PLACE, "no clusters of 60 samples make 5 folds"),
        ({}, np.repeat(CLUSTERED[:4], 20, axis=0), "80 samples lie at only 4 places, which cannot make 5 folds"),
    ],
)
def test_what_cannot_be_matched_says_why(options: dict[str, Any], samples: np.ndarray, message: str) -> None:
    with pytest.raises(FoldError, match=message):
        list(pw.KNNDMSplit(**{"n_splits": 5, "prediction_domain": EVERYWHERE, **options}).split(samples, groups=samples))
