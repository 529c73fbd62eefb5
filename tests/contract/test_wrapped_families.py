"""LightGBM, CatBoost, XGBoost and imbalanced-learn inside a pixelwise model: any labels, bands in any order."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
import xarray as xr
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score

import pixelwise as pw
from pixelwise.plugins import plugins

BLOCKS = pw.SpatialBlockGroupKFold(n_splits=3, block_size=1000)
LABELS = {
    "text": ["developed", "forest", "herbaceous"],
    "from one": [1, 2, 3],
    "with gaps": [2, 7, 40],
    "beyond uint8": [10, 300, 70000],
    "negative": [-5, 0, 5],
    "floats": [1.0, 2.0, 4.0],
}


def lightgbm() -> Any:
    return pytest.importorskip("lightgbm").LGBMClassifier(
        n_estimators=10, min_child_samples=5, verbose=-1, n_jobs=1, random_state=0
    )


def catboost() -> Any:
    catboost = pytest.importorskip("catboost")
    return catboost.CatBoostClassifier(
        iterations=10, depth=3, verbose=0, allow_writing_files=False, thread_count=1, random_seed=0
    )


def xgboost() -> Any:
    if not any("xgboost:XGBClassifier" in family.estimators for family in plugins().families):
        pytest.skip("the plugin pixelwise-xgboost is not installed")
    return importlib.import_module("xgboost").XGBClassifier(n_estimators=10, max_depth=3, n_jobs=1, random_state=0)


def imblearn() -> Any:
    samplers, pipeline = pytest.importorskip("imblearn.under_sampling"), pytest.importorskip("imblearn.pipeline")
    forest = RandomForestClassifier(10, random_state=0)
    return pipeline.make_pipeline(samplers.RandomUnderSampler(random_state=0), forest)


FAMILIES = {"lightgbm": lightgbm, "catboost": catboost, "xgboost": xgboost, "imblearn": imblearn}


@pytest.fixture(params=FAMILIES)
def inner(request: pytest.FixtureRequest) -> Any:
    return FAMILIES[request.param]()


def relabelled(landsat: Any, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Labels of another kind, in their sorted order, and the label of each row."""
    classes = np.array(LABELS[kind])
    return classes, classes[np.searchsorted(np.unique(landsat.y), landsat.y)]


@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_any_kind_come_back_from_tables_and_maps(inner: Any, kind: str, landsat: Any) -> None:
    classes, y = relabelled(landsat, kind)
    model = pw.PixelwiseClassifier(inner).fit(landsat.X, y)
    predicted, mapped = model.predict(landsat.X), model.predict(landsat.raster)
    assert predicted.shape == y.shape
    assert set(predicted.tolist()) <= set(classes.tolist())
    assert (predicted == y).mean() > 0.8
    assert np.asarray(model.classes_).tolist() == classes.tolist()
    codes = np.arange(3) if kind == "text" else classes
    assert mapped.attrs["flag_values"].tolist() == codes.tolist()
    assert mapped.rio.nodata not in codes
    shown = landsat.at_pixels(mapped)
    np.testing.assert_array_equal(classes[shown] if kind == "text" else shown, predicted)


def test_a_label_raster_is_as_good_as_a_table(inner: Any, landsat: Any) -> None:
    _, y = relabelled(landsat, "with gaps")
    labels = np.zeros(landsat.raster.shape[1:], "int32")
    labels.ravel()[landsat.X.pixel] = y
    raster = landsat.raster.sel(band="B1", drop=True).copy(data=labels)
    raster.attrs, raster.encoding = {}, {}
    raster = raster.rio.write_nodata(0)
    order = np.argsort(landsat.X.pixel)
    mapped = pw.PixelwiseClassifier(inner).fit(landsat.raster, raster).predict(landsat.raster)
    xr.testing.assert_identical(mapped, pw.PixelwiseClassifier(inner).fit(landsat.X[order], y[order]).predict(landsat.raster))


def test_probabilities_are_those_of_the_bare_estimator_on_the_bare_table(inner: Any, landsat: Any) -> None:
    codes = np.searchsorted(np.unique(landsat.y), landsat.y)
    values = np.asarray(landsat.X)
    expected = clone(inner).fit(values, codes).predict_proba(values)
    model = pw.PixelwiseClassifier(inner).fit(landsat.X, landsat.y)
    np.testing.assert_allclose(model.predict_proba(landsat.X), expected, rtol=1e-6)
    np.testing.assert_allclose(landsat.at_pixels(model.predict_proba(landsat.raster)).T, expected, rtol=1e-6)
    assert model.predict_proba(landsat.raster).band.values.tolist() == ["developed", "forest", "herbaceous"]


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_bands_in_another_order_give_the_same_map(inner: Any, method: str, landsat: Any) -> None:
    model = pw.PixelwiseClassifier(inner).fit(landsat.X, landsat.y)
    turned = landsat.raster.isel(band=[3, 0, 4, 2, 1])
    xr.testing.assert_identical(getattr(model, method)(turned), getattr(model, method)(landsat.raster))
    table, _ = pw.extract_pixels(turned, landsat.polygons, column="label")
    straight, _ = pw.extract_pixels(landsat.raster, landsat.polygons, column="label")
    np.testing.assert_array_equal(getattr(model, method)(table), getattr(model, method)(straight))


def test_bands_in_another_order_give_the_same_map_where_the_estimator_was_fitted_on_a_frame(inner: Any, landsat: Any) -> None:
    frame = landsat.X.to_geodataframe()[list(landsat.X.feature_names)]
    codes = np.searchsorted(np.unique(landsat.y), landsat.y)
    fitted = inner.fit(frame, codes)
    turned = landsat.raster.isel(band=[3, 0, 4, 2, 1])
    model = pw.PixelwiseClassifier(fitted)
    xr.testing.assert_identical(model.predict(turned), model.predict(landsat.raster))
    np.testing.assert_array_equal(landsat.at_pixels(model.predict(turned)), np.ravel(fitted.predict(frame)))


def test_a_missing_band_is_an_error_and_no_map(inner: Any, landsat: Any) -> None:
    model = pw.PixelwiseClassifier(inner).fit(landsat.X, landsat.y)
    with pytest.raises(pw.errors.BandError, match="lacks band B5"):
        model.predict(landsat.raster[:4])


def test_it_is_searched_over_spatial_blocks_and_then_maps(inner: Any, landsat: Any) -> None:
    _, y = relabelled(landsat, "with gaps")
    names = [name for name in inner.get_params() if name.endswith("random_state") or name == "random_seed"]
    search = GridSearchCV(pw.PixelwiseClassifier(inner), {f"estimator__{names[-1]}": [0, 1]}, cv=BLOCKS).fit(landsat.X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    np.testing.assert_array_equal(landsat.at_pixels(search.predict(landsat.raster)), search.predict(landsat.X))


def test_pixels_that_lack_a_band_are_predicted_where_the_estimator_takes_nan(landsat: Any) -> None:
    raster = landsat.raster.copy(deep=True)
    raster[1, 100:200] = np.nan
    lacking = np.isnan(raster.values).all(axis=0)
    for inner in (lightgbm(), catboost()):
        mapped = pw.PixelwiseClassifier(inner, nan="auto").fit(landsat.X, landsat.y).predict(raster)
        np.testing.assert_array_equal(mapped.values == mapped.rio.nodata, lacking)
        masked = pw.PixelwiseClassifier(inner, nan="mask").fit(landsat.X, landsat.y).predict(raster)
        np.testing.assert_array_equal(masked.values == masked.rio.nodata, np.isnan(raster.values).any(axis=0))


def test_an_imblearn_pipeline_takes_a_pixelwise_model_as_its_last_step(landsat: Any) -> None:
    pipeline, samplers = pytest.importorskip("imblearn.pipeline"), pytest.importorskip("imblearn.under_sampling")
    rare = np.flatnonzero((landsat.y != "forest") | (np.arange(len(landsat.y)) % 4 == 0))
    X, y = landsat.X[rare], landsat.y[rare]
    forest = RandomForestClassifier(5, random_state=0)
    outside = pipeline.make_pipeline(samplers.RandomUnderSampler(random_state=0), pw.PixelwiseClassifier(forest))
    inside = pw.PixelwiseClassifier(pipeline.make_pipeline(samplers.RandomUnderSampler(random_state=0), forest))
    np.testing.assert_array_equal(cross_val_score(outside, X, y, cv=BLOCKS), cross_val_score(inside, X, y, cv=BLOCKS))
    mapped = inside.fit(X, y).predict(landsat.raster)
    np.testing.assert_array_equal(mapped.values, outside.fit(X, y).predict(landsat.raster.drop_vars("band")).values)


def test_a_sampler_draws_from_a_table(landsat: Any) -> None:
    samplers = pytest.importorskip("imblearn.under_sampling")
    rare = np.flatnonzero((landsat.y != "forest") | (np.arange(len(landsat.y)) % 4 == 0))
    drawn, labels = samplers.RandomUnderSampler(random_state=0).fit_resample(landsat.X[rare], landsat.y[rare])
    assert len(set(np.unique(labels, return_counts=True)[1])) == 1
    known = {(*row, label) for row, label in zip(np.asarray(landsat.X).tolist(), landsat.y, strict=True)}
    assert {(*row, label) for row, label in zip(drawn.tolist(), labels, strict=True)} <= known
