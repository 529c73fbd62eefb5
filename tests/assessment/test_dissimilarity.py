"""Against the definition, written once more without trees, blocks and chunks."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pixelwise.assessment import dissimilarity
from pixelwise.assessment.dissimilarity import DissimilarityIndex, folds_of, leave_one_out
from pixelwise.errors import BandError, FoldError, MissingDataError, PixelwiseWarning

#: Indices of 30 training points, and the threshold that goes with them, as Meyer and Pebesma's own package prints them.
PUBLISHED_DI = np.array([
    0.09043580, 0.14046341, 0.16584582, 0.57617177, 0.26840303, 0.14353894, 0.19768329, 0.24022059, 0.06832037, 0.29150668,
    0.18471625, 0.57617177, 0.12344463, 0.09043580, 0.14353894, 0.26896008, 0.22713731, 0.24022059, 0.20388725, 0.06832037,
    0.23604264, 0.20388725, 0.91513568, 0.09558666, 0.14046341, 0.16214832, 0.37107762, 0.16214832, 0.18471625, 0.12344463,
])  # fmt: skip
Splits = list[tuple[np.ndarray, np.ndarray]]


def by_definition(X: np.ndarray, weights: np.ndarray, splits: Splits | None, new: np.ndarray) -> dict[str, np.ndarray]:
    """Dissimilarity by whole matrices of distances."""
    n = len(X)
    mean, sd = X.mean(axis=0), X.std(axis=0, ddof=1)
    Z, Q = (X - mean) / sd * weights, (new - mean) / sd * weights
    D = np.sqrt(((Z[:, None] - Z[None]) ** 2).sum(axis=2))
    mean_distance = D[~np.eye(n, dtype=bool)].mean()
    allowed = np.zeros((n, n), bool)
    for train, test in splits if splits is not None else [(np.arange(n), np.arange(n))]:
        for row in test:
            if not allowed[row].any():
                allowed[row, train] = True
    np.fill_diagonal(allowed, val=False)
    di = np.where(allowed, D, np.inf).min(axis=1) / mean_distance
    di[~allowed.any(axis=1)] = np.nan
    low, high = np.nanquantile(di, (0.25, 0.75))
    threshold = min(high + 1.5 * (high - low), np.nanmax(di))
    lpd = ((D / mean_distance < threshold * (1 - 1e-12)) & allowed).sum(axis=1).astype(float)
    lpd[np.isnan(di)] = np.nan
    d = np.sqrt(((Q[:, None] - Z[None]) ** 2).sum(axis=2)) / mean_distance
    new_di, new_lpd = d.min(axis=1), (d < threshold * (1 - 1e-12)).sum(axis=1)
    return {
        "mean_distance": mean_distance, "threshold": threshold, "di": di, "lpd": lpd, "new_di": new_di, "new_lpd": new_lpd,
        "inside": new_di <= threshold,
    }  # fmt: skip


def buffered(n: int) -> Splits:
    """Five folds of neighbours, one row at either side lost to a buffer, and the last ten rows never tested."""
    found = []
    for test in np.array_split(np.arange(n - 10), 5):
        train = np.setdiff1d(np.arange(n), np.arange(test[0] - 1, test[-1] + 2))
        found.append((train, test))
    return found


def one_by_one(n: int) -> Splits:
    return [(np.setdiff1d(np.arange(n), [row - 1, row, row + 1]), np.array([row])) for row in range(n)]


@pytest.fixture
def X() -> np.ndarray:  # noqa: N802
    return np.random.default_rng(0).normal(size=(90, 4)) * [1, 10, 0.1, 3] + [0, 100, 0, -5]


@pytest.fixture
def new() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(60, 4)) * [1, 10, 0.1, 3] * 2 + [0, 100, 0, -5]


@pytest.mark.parametrize("weights", [np.ones(4), np.array([0.5, 3.0, 0.0, 1.0])], ids=["alike", "weighed"])
@pytest.mark.parametrize(
    "splits", [None, buffered(90), one_by_one(90), buffered(90) * 2], ids=["one out", "buffered", "one by one", "repeated"]
)
def test_all_is_as_defined(X: np.ndarray, new: np.ndarray, weights: np.ndarray, splits: Splits | None) -> None:
    expected = by_definition(X, weights, splits, new)
    index = DissimilarityIndex().fit(X, weights=weights, folds=None if splits is None else folds_of(splits, 90))
    assert index.mean_distance_ == pytest.approx(expected["mean_distance"], rel=1e-12)
    assert index.threshold_ == pytest.approx(expected["threshold"], rel=1e-12)
    np.testing.assert_allclose(index.train_di_, expected["di"], rtol=1e-12)
    np.testing.assert_array_equal(index.train_lpd_, expected["lpd"])
    made = index.transform(new)
    np.testing.assert_allclose(made[:, 0], expected["new_di"], rtol=1e-12)
    np.testing.assert_array_equal(made[:, 1], expected["new_lpd"])
    np.testing.assert_array_equal(index.predict(new), expected["inside"])
    assert 0 < expected["inside"].sum() < len(new)


def test_blocks_and_chunks_change_nothing(X: np.ndarray, new: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = DissimilarityIndex().fit(X)
    monkeypatch.setattr(dissimilarity, "_BLOCK", 7)
    monkeypatch.setattr(dissimilarity, "_CHUNK", 11)
    parts = DissimilarityIndex(n_jobs=2).fit(X)
    assert parts.mean_distance_ == pytest.approx(whole.mean_distance_, rel=1e-12)
    np.testing.assert_allclose(parts.transform(new), whole.transform(new), rtol=1e-12)
    np.testing.assert_array_equal(parts.predict(new), whole.predict(new))


def test_the_published_threshold_comes_out_to_its_digits() -> None:
    assert round(dissimilarity._threshold(PUBLISHED_DI), 5) == 0.38986
    assert round(dissimilarity._threshold(np.append(PUBLISHED_DI, np.nan)), 5) == 0.38986


def test_the_threshold_is_never_beyond_the_largest_index() -> None:
    assert dissimilarity._threshold(np.array([0.1, 0.5, 0.6])) == 0.6


_TABLES = hnp.arrays(np.int64, st.tuples(st.integers(4, 25), st.just(3)), elements=st.integers(-50, 50)).filter(
    lambda table: (table.std(axis=0) > 0).all()
)


@pytest.mark.filterwarnings("ignore:the threshold is 0")
@given(_TABLES)
def test_a_training_row_is_at_distance_0_and_inside(table: np.ndarray) -> None:
    index = DissimilarityIndex().fit(table)
    assert (index.transform(table)[:, 0] == 0).all()
    assert index.predict(table).all()


@pytest.mark.filterwarnings("ignore:the threshold is 0")
@given(_TABLES, st.tuples(*[st.sampled_from([0.25, 2.0, 1024.0])] * 3), st.integers(-64, 64), st.sampled_from([0.5, 4.0]))
def test_units_offsets_and_a_common_factor_of_weights_change_nothing(
    table: np.ndarray, scale: tuple[float, ...], offset: int, factor: float
) -> None:
    other = DissimilarityIndex().fit(table * scale + offset, weights=np.full(3, factor))
    index = DissimilarityIndex().fit(table)
    np.testing.assert_allclose(other.train_di_, index.train_di_, rtol=1e-6, atol=1e-9)
    new = table[::-1] + 1
    np.testing.assert_allclose(other.transform(new * scale + offset)[:, 0], index.transform(new)[:, 0], rtol=1e-6, atol=1e-9)


@pytest.mark.filterwarnings("ignore:the threshold is 0")
@given(_TABLES)
def test_inside_is_where_the_index_is_no_more_than_the_threshold(table: np.ndarray) -> None:
    index = DissimilarityIndex().fit(table)
    new = np.concatenate([table, table * 2, table[::-1] - 3])
    made = index.transform(new)
    np.testing.assert_array_equal(index.predict(new), made[:, 0] <= index.threshold_)
    assert (made[made[:, 0] > index.threshold_, 1] == 0).all()


def test_a_row_without_another_in_reach_has_density_0(X: np.ndarray) -> None:
    index = DissimilarityIndex().fit(np.vstack([X, X.max(axis=0) * 30]))
    assert index.train_lpd_[-1] == 0
    assert index.train_di_[-1] == index.train_di_.max() > index.threshold_


def test_training_rows_can_be_thinned(X: np.ndarray, new: np.ndarray) -> None:
    whole, thin = DissimilarityIndex().fit(X), DissimilarityIndex(max_samples=20).fit(X)
    assert (thin.points_.shape, thin.train_di_.shape) == ((20, 4), (90,))
    raw = thin.transform(new)[:, 0] * thin.mean_distance_
    assert (raw >= whole.transform(new)[:, 0] * whole.mean_distance_ - 1e-12).all()
    assert thin.transform(new)[:, 1].max() <= 20
    assert thin.train_di_.tolist() == DissimilarityIndex(max_samples=20).fit(X).train_di_.tolist()
    assert thin.train_di_.tolist() != DissimilarityIndex(max_samples=20, random_state=1).fit(X).train_di_.tolist()


def test_of_many_rows_mean_distance_and_density_are_estimated_and_the_rest_is_exact() -> None:
    X = np.random.default_rng(0).normal(size=(3000, 2))
    splits = [(np.flatnonzero(np.arange(3000) % 3 != k), np.flatnonzero(np.arange(3000) % 3 == k)) for k in range(3)]
    whole = DissimilarityIndex().fit(X, folds=folds_of(splits, 3000))
    part = DissimilarityIndex(exact_up_to=1000).fit(X, folds=folds_of(splits, 3000))
    assert part.mean_distance_ == pytest.approx(whole.mean_distance_, rel=0.03)
    np.testing.assert_allclose(part.train_di_ * part.mean_distance_, whole.train_di_ * whole.mean_distance_, rtol=1e-9)
    np.testing.assert_array_equal(part.predict(X * 1.2), whole.predict(X * 1.2))
    for exact, estimated in [(whole.train_lpd_, part.train_lpd_), (whole.transform(X)[:, 1], part.transform(X)[:, 1])]:
        assert estimated.mean() == pytest.approx(exact.mean(), rel=0.05)
        assert np.corrcoef(exact, estimated)[0, 1] > 0.7
        assert (estimated == np.rint(estimated)).all()


def test_without_density_there_is_one_column(X: np.ndarray) -> None:
    index = DissimilarityIndex(lpd=False).fit(X)
    assert index.transform(X).shape == (90, 1)
    assert index.get_feature_names_out().tolist() == ["DI"]
    assert not hasattr(index, "train_lpd_")


@pytest.mark.parametrize("copied", [lambda index: pickle.loads(pickle.dumps(index)), copy.deepcopy], ids=["pickled", "copied"])
def test_trees_are_built_anew_in_a_copy(X: np.ndarray, new: np.ndarray, copied) -> None:
    index = DissimilarityIndex(exact_up_to=50).fit(X)
    expected = index.transform(new)
    other = copied(index)
    assert other.tree_ is None
    assert index.tree_ is not None
    np.testing.assert_array_equal(other.transform(new), expected)
    assert copied(DissimilarityIndex()).get_params() == DissimilarityIndex().get_params()


def test_twins_everywhere_make_a_threshold_of_0_and_a_warning() -> None:
    X = np.repeat([[0.0], [1.0], [5.0]], 4, axis=0)
    with pytest.warns(PixelwiseWarning, match="threshold is 0.*hold neighbours out together"):
        index = DissimilarityIndex().fit(X)
    assert index.predict([[0.0], [1.0], [1.1]]).tolist() == [1, 1, 0]
    assert index.train_lpd_.tolist() == [0] * 12
    assert index.transform([[0.0], [1.1]])[:, 1].tolist() == [0, 0]
    few = folds_of([(np.delete(np.arange(12), row), [row]) for row in range(12)], 12)
    with pytest.warns(PixelwiseWarning, match="threshold is 0"):
        assert DissimilarityIndex().fit(X, folds=few).train_lpd_.tolist() == [0] * 12


def test_a_constant_feature_gets_weight_0_and_a_warning(X: np.ndarray, new: np.ndarray) -> None:
    X[:, 1] = 7.3
    with pytest.warns(PixelwiseWarning, match="feature 1 has the same value in all 90 training rows"):
        index = DissimilarityIndex().fit(X)
    assert index.weights_.tolist() == [1, 0, 1, 1]
    alone = DissimilarityIndex().fit(X[:, [0, 2, 3]])
    np.testing.assert_allclose(index.transform(new), alone.transform(new[:, [0, 2, 3]]), rtol=1e-12)


def test_rows_that_do_not_vary_are_an_error() -> None:
    with pytest.raises(BandError, match="no feature varies over the training rows"):
        DissimilarityIndex().fit(np.ones((5, 2)))
    with pytest.raises(BandError, match="that were drawn are alike: raise max_samples"):
        DissimilarityIndex(max_samples=2).fit(np.r_[np.zeros((1000, 1)), [[1.0]]])


def test_negative_weights_count_as_0_and_some_must_be_left(X: np.ndarray) -> None:
    assert DissimilarityIndex().fit(X, weights=np.array([-1.0, 1, 0, 2])).weights_.tolist() == [0, 1, 0, 2]
    with pytest.raises(BandError, match="all weights are 0 or less"):
        DissimilarityIndex().fit(X, weights=np.array([-1.0, 0, 0, 0]))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_missing_data_is_an_error_that_says_where(X: np.ndarray, bad: float) -> None:
    index = DissimilarityIndex().fit(X)
    X[[4, 8], 1] = bad
    with pytest.raises(MissingDataError, match=r"2 of 90 training rows lack data .*the first is row 4: drop them"):
        DissimilarityIndex().fit(X)
    with pytest.raises(MissingDataError, match="2 of 90 rows lack data"):
        index.predict(X)


def test_folds_that_compare_nothing_are_errors(X: np.ndarray) -> None:
    with pytest.raises(FoldError, match="fold 1 has no training rows"):
        folds_of([([0], [1]), ([], [2])], 3)
    with pytest.raises(FoldError, match="fold 0 names row 7 of 3 training rows: pass folds of the same table"):
        folds_of([([0], [7])], 3)
    with pytest.raises(FoldError, match="test no row"):
        folds_of([([0], [])], 3)
    with pytest.raises(FoldError, match="no other row"):
        DissimilarityIndex().fit(X[:3], folds=folds_of([([0], [0]), ([0], [1, 2])], 3))
    with pytest.raises(FoldError, match="max_samples leaves fold 0 no training row"):
        DissimilarityIndex(max_samples=2).fit(X, folds=folds_of([([0], np.arange(1, 45)), ([0], np.arange(45, 90))], 90))


def test_folds_may_be_masks_and_a_row_is_tested_once() -> None:
    folds = folds_of([(np.array([True, True, False]), np.array([False, False, True])), ([0], [1, 2])], 3)
    assert [fold.test.tolist() for fold in folds] == [[2], [1]]
    assert [fold.held_out.tolist() for fold in folds] == [[2], [1, 2]]
    assert leave_one_out(2)[0].test.tolist() == [0, 1]


def test_a_fold_whose_rows_are_all_tested_already_is_passed_over(X: np.ndarray) -> None:
    splits = [(np.arange(30, 90), np.arange(30)), (np.arange(45), np.arange(10, 20)), (np.arange(30), np.arange(30, 90))]
    index = DissimilarityIndex().fit(X, folds=folds_of(splits, 90))
    twice = DissimilarityIndex().fit(X, folds=folds_of([splits[0], splits[2]], 90))
    assert index.train_di_.tolist() == twice.train_di_.tolist()


def test_a_sample_that_misses_a_fold_is_not_used_there() -> None:
    X = np.random.default_rng(0).normal(size=(400, 2))
    folds = folds_of([([0, 1], np.arange(2, 200)), (np.arange(200), np.arange(200, 400))], 400)
    index = DissimilarityIndex(exact_up_to=3).fit(X, folds=folds)
    assert set(index.train_lpd_[2:200]) <= {0, 1, 2}
