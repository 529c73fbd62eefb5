"""What models say of how sure they are: entropy of classes, standard deviation of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy.stats import entropy
from sklearn.ensemble import BaggingRegressor, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import BayesianRidge, LinearRegression, Ridge, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import pixelwise as pw


def rows_of(raster: xr.DataArray) -> np.ndarray:
    return pw.ToPixelMajor()(raster).astype(np.float32)


@pytest.mark.parametrize("engine", [None, "auto"])
def test_entropy_is_relative_to_that_of_all_classes_alike(raster: xr.DataArray, engine: str | None) -> None:
    labels = np.digitize(raster.values[3], np.quantile(raster.values[3], [0.25, 0.5, 0.75]))
    model = pw.PixelwiseClassifier(RandomForestClassifier(9, max_depth=3, random_state=0), engine=engine).fit(
        raster[:3], labels[None]
    )
    made = model.predict_uncertainty(raster[:3])
    wanted = entropy(model.estimator_.predict_proba(rows_of(raster[:3])), axis=1, base=4)
    assert (made.dims, made.dtype, made.rio.crs) == (("y", "x"), np.float32, raster.rio.crs)
    np.testing.assert_allclose(made.values.ravel(), wanted, atol=1e-6)
    np.testing.assert_allclose(model.predict_uncertainty(rows_of(raster[:3])), wanted, atol=1e-12)
    assert 0 <= made.min() < made.max() <= 1


def test_pixels_without_data_have_no_uncertainty(holes: xr.DataArray) -> None:
    labels = (np.nan_to_num(holes.values[3]) > 1000).astype(int)
    model = pw.PixelwiseClassifier(GaussianNB()).fit(holes, labels[None])
    made = model.predict_uncertainty(holes)
    np.testing.assert_array_equal(np.isnan(made.values), np.isnan(holes.values).any(axis=0))
    lazy = model.predict_uncertainty(holes.chunk({"y": 17, "x": 80}))
    assert lazy.chunks is not None
    np.testing.assert_array_equal(lazy.compute().values, made.values)


def test_each_target_of_a_classifier_has_its_own(raster: xr.DataArray) -> None:
    X = rows_of(raster)
    y = np.column_stack([X[:, 0] > 350, np.digitize(X[:, 3], [500, 1500])]).astype(int)
    bare = MultiOutputClassifier(GaussianNB()).fit(X, y)
    made = pw.PixelwiseClassifier(bare).predict_uncertainty(raster)
    assert made.shape[0] == 2
    for band, shares in zip(made.values, bare.predict_proba(X), strict=True):
        np.testing.assert_allclose(band.ravel(), entropy(shares, axis=1, base=shares.shape[1]), atol=1e-5)


@pytest.mark.parametrize(
    "members",
    [
        RandomForestRegressor(7, random_state=0),
        ExtraTreesRegressor(7, random_state=0),
        BaggingRegressor(n_estimators=7, max_features=2, random_state=0),
    ],
)
def test_of_ensembles_it_is_the_standard_deviation_of_their_members(raster: xr.DataArray, members: Any) -> None:
    X = rows_of(raster)
    model = pw.PixelwiseRegressor(make_pipeline(StandardScaler(), members)).fit(X, X[:, 3] * 2.5 + 1e6)
    scaler, fitted = (step for _, step in model.estimator_.steps)
    used = getattr(fitted, "estimators_features_", [slice(None)] * 7)
    each = [tree.predict(scaler.transform(X)[:, columns]) for tree, columns in zip(fitted.estimators_, used, strict=True)]
    np.testing.assert_allclose(model.predict_uncertainty(X), np.std(each, axis=0), rtol=1e-6, atol=1e-6)
    made = model.predict_uncertainty(raster)
    np.testing.assert_allclose(made.values.ravel(), np.std(each, axis=0), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("told", [BayesianRidge(), GaussianProcessRegressor(alpha=0.1)])
def test_of_regressors_that_know_it_is_what_they_say(raster: xr.DataArray, told: Any) -> None:
    X = rows_of(raster)[::50] / 1000
    search = GridSearchCV(make_pipeline(StandardScaler(), told), {}, cv=2)
    model = pw.PixelwiseRegressor(search).fit(X, X[:, 3] + np.sin(X[:, 0]))
    best = model.estimator_.best_estimator_
    wanted = best.predict(X, return_std=True)[1]
    np.testing.assert_array_equal(model.predict_uncertainty(X), wanted)
    assert wanted.max() > 0


@pytest.mark.parametrize("unsure", [Ridge(), LinearRegression(), make_pipeline(StandardScaler(), Ridge())])
def test_models_without_have_no_such_method(unsure: Any) -> None:
    assert not hasattr(pw.PixelwiseRegressor(unsure), "predict_uncertainty")
    assert not hasattr(pw.PixelwiseClassifier(RidgeClassifier()), "predict_uncertainty")
    assert hasattr(pw.PixelwiseRegressor(RandomForestRegressor()), "predict_uncertainty")
