from __future__ import annotations

import numpy as np
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

import pixelwise as pw
from pixelwise.assessment.importance import given_weights, importances, model_parts
from pixelwise.errors import BandError

NDVI = pw.indices.AppendIndex(pw.indices.NDVI(red=0, nir=1))


@pytest.fixture
def Xy() -> tuple[np.ndarray, np.ndarray]:  # noqa: N802
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 2, size=(120, 3))
    return X, (X[:, 0] > X[:, 1]).astype(int)


def forest() -> RandomForestClassifier:
    return RandomForestClassifier(5, random_state=0)


def scaled() -> Pipeline:
    return make_pipeline(StandardScaler(), forest())


@pytest.mark.parametrize(
    ("model", "before", "within"),
    [
        (forest(), [], []),
        (pw.PixelwiseClassifier(forest()), [], []),
        (make_pipeline(NDVI, pw.PixelwiseClassifier(scaled())), ["AppendIndex"], ["StandardScaler"]),
        (make_pipeline(NDVI, StandardScaler(), forest()), ["AppendIndex"], ["StandardScaler"]),
        (Pipeline([("no", None), ("pass", "passthrough"), ("pca", PCA(2)), ("forest", forest())]), [], ["PCA"]),
        (GridSearchCV(make_pipeline(NDVI, pw.PixelwiseClassifier(forest())), {}, cv=2), ["AppendIndex"], []),
        (pw.PixelwiseClassifier(GridSearchCV(scaled(), {}, cv=2)), [], ["StandardScaler"]),
    ],
)  # fmt: skip
def test_a_model_is_taken_apart(Xy, model, before: list[str], within: list[str]) -> None:
    parts = model_parts(model.fit(*Xy))
    assert [type(step).__name__ for step in parts.before] == before
    assert [type(step).__name__ for step in parts.within] == within
    assert isinstance(parts.last, RandomForestClassifier)
    assert len(parts.last.estimators_) == 5


def test_wrappers_without_importances_are_looked_behind(Xy) -> None:
    X, y = Xy
    frozen = FrozenEstimator(forest().fit(X, y))
    assert isinstance(model_parts(frozen).last, RandomForestClassifier)
    transformed = TransformedTargetRegressor(make_pipeline(StandardScaler(), Ridge())).fit(X, y)
    parts = model_parts(transformed)
    assert (type(parts.last), len(parts.within)) == (Ridge, 1)
    assert isinstance(model_parts(pw.PixelwiseClassifier(forest().fit(X, y))).last, RandomForestClassifier)


def test_importances_of_trees_are_taken_as_they_are(Xy) -> None:
    model = forest().fit(*Xy)
    np.testing.assert_array_equal(importances(model, Xy[0]), model.feature_importances_)


def test_coefficients_are_averaged_over_classes_and_freed_of_units(Xy) -> None:
    X, y = Xy[0], np.arange(120) % 3
    model = LinearSVC(random_state=0).fit(X, y)
    assert model.coef_.shape == (3, 3)
    expected = np.abs(model.coef_).mean(axis=0) * X.std(axis=0, ddof=1)
    np.testing.assert_allclose(importances(model, X), expected)
    np.testing.assert_allclose(importances(model.sparsify(), X), expected)


def test_the_unit_of_a_feature_does_not_change_its_importance(Xy) -> None:
    X, y = Xy
    metres = X * [1, 1000, 1]
    np.testing.assert_allclose(
        importances(LinearRegression().fit(metres, y), metres), importances(LinearRegression().fit(X, y), X)
    )


@pytest.mark.parametrize("model", [KNeighborsClassifier(), BaggingClassifier(forest(), 2)])
def test_a_model_without_importances_is_an_error_with_a_remedy(Xy, model) -> None:
    last = model_parts(model.fit(*Xy)).last
    with pytest.raises(BandError, match=r"has no feature_importances_ or coef_ .*weights=None.*permutation_importance"):
        importances(last, Xy[0])


def test_importances_that_do_not_fit_the_features_are_an_error(Xy) -> None:
    with pytest.raises(BandError, match="RandomForestClassifier has 3 importances, 3 of them finite, for 2 features"):
        importances(forest().fit(*Xy), Xy[0][:, :2])
    odd = LogisticRegression().fit(*Xy)
    odd.coef_[0, 0] = np.nan
    with pytest.raises(BandError, match="2 of them finite"):
        importances(odd, Xy[0])


def test_weights_come_by_position_or_name() -> None:
    assert given_weights([1, 2], ("red", "nir")).tolist() == [1, 2]
    assert given_weights({"nir": 2, "red": 1}, ("red", "nir")).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ("gini", "weights='gini' is not known"),
        ([1, 2, 3], r"weights of shape \(3,\) for 2 bands"),
        ([[1, 2]], r"weights of shape \(1, 2\) for 2 bands"),
        ([1, np.nan], "weight nan of band nir is not finite"),
        ({"red": 1}, "weights lack band nir"),
        ({"red": 1, "nir": 1, "swir": 1}, "weights name swir, which is no band"),
    ],
)
def test_weights_that_do_not_fit_are_told(weights, words: str) -> None:
    with pytest.raises(BandError, match=words):
        given_weights(weights, ("red", "nir"))
