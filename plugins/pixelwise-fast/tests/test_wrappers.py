"""Engines within the wrappers and from file to file: the same maps, and the source where there is no engine."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesRegressor, RandomForestClassifier
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import pixelwise as pw
from pixelwise.errors import EngineError
from pixelwise.estimators.compiled import predictor_of
from pixelwise.inference.models import final_step, with_engine

pytest.importorskip("pixelwise_fast", reason="the plugin is not there: pip install --no-deps plugins/pixelwise-fast")


@pytest.fixture(scope="module")
def data():
    scene, polygons = pw.datasets.make_example()
    return scene, *pw.extract_pixels(scene, polygons, column="class")


def forest(**options):
    return RandomForestClassifier(15, random_state=0, n_jobs=1, **options)


@pytest.mark.parametrize("engine", ["auto", "fast"])
def test_a_wrapper_predicts_the_same_with_an_engine(engine, data):
    scene, X, y = data
    raster = pw.open_raster(scene)
    plain = pw.PixelwiseClassifier(forest()).fit(X, y)
    fast = pw.PixelwiseClassifier(forest(), engine=engine).fit(X, y)
    for method in ("predict", "predict_proba"):
        assert predictor_of(fast, fast.estimator_, method).engine_ == "fast"
        assert getattr(fast, method)(raster).identical(getattr(plain, method)(raster))
        assert np.array_equal(getattr(fast, method)(X), getattr(plain, method)(X))
    assert fast.classes_.tolist() == ["forest", "water"]
    again = pickle.loads(pickle.dumps(fast))
    assert again.predict(raster).identical(plain.predict(raster))


def test_an_estimator_that_came_fitted_and_is_fitted_anew_is_compiled_anew(data):
    scene, X, _ = data
    values = np.asarray(X)
    inner = ExtraTreesRegressor(5, random_state=0).fit(values, values[:, 0])
    model, raster = pw.PixelwiseRegressor(inner, engine="fast"), pw.open_raster(scene).values
    first = model.predict(raster)
    assert np.array_equal(first, pw.PixelwiseRegressor(inner).predict(raster))
    inner.fit(values, values[:, 1])
    second = model.predict(raster)
    assert np.array_equal(second, pw.PixelwiseRegressor(inner).predict(raster))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("engine", ["auto", "fast", None])
def test_maps_from_file_to_file_are_the_same_bytes(engine, data, tmp_path):
    scene, X, y = data
    model = make_pipeline(pw.indices.AppendIndex(pw.indices.NDVI(red="B04", nir="B08")), pw.PixelwiseClassifier(forest())).fit(
        X, y
    )
    made = pw.open_raster(pw.predict_raster(model, scene, tmp_path / "map.tif", engine=engine, workers=2))
    assert np.array_equal(made[0], model.predict(pw.open_raster(scene)))
    assert model[-1].engine is None


def test_an_engine_reaches_the_last_step_of_searches_and_pipelines_and_changes_nothing_given(data):
    _, X, y = data
    search = GridSearchCV(make_pipeline(pw.PixelwiseClassifier(forest())), {}, cv=2).fit(X, y)
    given = with_engine(search, "auto")
    assert final_step(given).engine == "auto"
    assert final_step(search).engine is None
    own = pw.PixelwiseClassifier(forest(), engine="none").fit(X, y)
    assert with_engine(own, "auto") is own
    assert with_engine(search, None) is search


def test_what_no_engine_takes_is_called_itself(data):
    scene, X, _ = data
    target = np.asarray(X)[:, 0]
    model = pw.PixelwiseRegressor(make_pipeline(StandardScaler(), Ridge()), engine="auto").fit(X, target)
    assert predictor_of(model, model.estimator_, "predict") is model.estimator_
    assert model.predict(pw.open_raster(scene)).dtype == "float32"


def test_an_engine_that_is_not_there_is_named(data):
    scene, X, y = data
    with pytest.raises(EngineError, match="engine='warp' is not there"):
        pw.PixelwiseClassifier(forest(), engine="warp").fit(X, y).predict(pw.open_raster(scene))
