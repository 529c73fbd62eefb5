"""Both ways to compose: scikit-learn outside and pixelwise inside, and the other way round. Both predict rasters."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn
import xarray as xr
from sklearn import calibration, ensemble, metrics, model_selection, multiclass, multioutput
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

import pixelwise as pw

BLOCKS = pw.SpatialBlockGroupKFold(n_splits=3, block_size=1000)
LDA = LinearDiscriminantAnalysis()
GRID = {"solver": ["svd", "lsqr"], "tol": [1e-4, 1e-3]}
WRAPPED_GRID = {f"estimator__{name}": values for name, values in GRID.items()}
SEARCHES = {
    "GridSearchCV": lambda model, grid: GridSearchCV(model, grid, cv=BLOCKS),
    "RandomizedSearchCV": lambda model, grid: model_selection.RandomizedSearchCV(
        model, grid, n_iter=2, cv=BLOCKS, random_state=0
    ),
    "HalvingGridSearchCV": lambda model, grid: model_selection.HalvingGridSearchCV(
        model, grid, cv=BLOCKS, min_resources=100, random_state=0
    ),
    "HalvingRandomSearchCV": lambda model, grid: model_selection.HalvingRandomSearchCV(
        model, grid, cv=BLOCKS, min_resources=100, random_state=0
    ),
}
#: scikit-learn's composites, to be wrapped.
COMPOSITES = {
    "Pipeline": make_pipeline(StandardScaler(), SelectKBest(k=3), LDA),
    "AdaBoost": ensemble.AdaBoostClassifier(n_estimators=3, random_state=0),
    "Bagging": ensemble.BaggingClassifier(LDA, 3, random_state=0),
    "Voting": ensemble.VotingClassifier([("lda", LDA), ("nb", GaussianNB())], voting="soft"),
    "Stacking": ensemble.StackingClassifier([("lda", LDA), ("nb", GaussianNB())], LDA, cv=3),
    "Calibrated": calibration.CalibratedClassifierCV(LDA, cv=3),
    "OneVsRest": multiclass.OneVsRestClassifier(LDA),
    "OneVsOne": multiclass.OneVsOneClassifier(LDA),
    "OutputCode": multiclass.OutputCodeClassifier(LDA, random_state=0),
    "SelfTraining": SelfTrainingClassifier(LDA),
}


@pytest.fixture(params=[False, True], ids=["plain", "routing"], autouse=True)
def routing(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Metadata routing, off and on."""
    with sklearn.config_context(enable_metadata_routing=request.param):
        yield request.param


def assert_maps_as_tables(model: Any, landsat: Any, classes: np.ndarray) -> None:
    """The map of a model is a DataArray on the raster's grid, and shows at the table's pixels what the table gives."""
    mapped = model.predict(landsat.raster)
    assert isinstance(mapped, xr.DataArray)
    assert mapped.dims == ("y", "x")
    assert mapped.rio.crs == landsat.raster.rio.crs
    assert mapped.rio.transform() == landsat.raster.rio.transform()
    np.testing.assert_array_equal(classes[landsat.at_pixels(mapped)], model.predict(landsat.X))
    lacking = np.isnan(landsat.raster.values).any(axis=0)
    assert (mapped.values[lacking] == mapped.rio.nodata).all()
    assert not (mapped.values[~lacking] == mapped.rio.nodata).any()


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_round_a_pixelwise_model_maps_rasters(name: str, landsat: Any) -> None:
    search = SEARCHES[name](pw.PixelwiseClassifier(LDA), WRAPPED_GRID).fit(landsat.X, landsat.y)
    assert_maps_as_tables(search, landsat, search.classes_)


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_inside_a_pixelwise_model_reads_coordinates_and_maps_rasters(name: str, landsat: Any) -> None:
    model = pw.PixelwiseClassifier(SEARCHES[name](LDA, GRID)).fit(landsat.X, landsat.y)
    outside = SEARCHES[name](pw.PixelwiseClassifier(LDA), WRAPPED_GRID).fit(landsat.X, landsat.y)
    np.testing.assert_allclose(model.cv_results_["mean_test_score"], outside.cv_results_["mean_test_score"])
    assert_maps_as_tables(model, landsat, model.classes_)


@pytest.mark.parametrize("name", COMPOSITES)
def test_a_wrapped_composite_maps_rasters(name: str, landsat: Any) -> None:
    y = landsat.y
    if name == "SelfTraining":
        y = np.where(np.arange(len(y)) % 3 == 0, -1, y == "developed")
    model = pw.PixelwiseClassifier(COMPOSITES[name]).fit(landsat.X, y)
    bare = clone(COMPOSITES[name]).fit(np.asarray(landsat.X), y)
    np.testing.assert_array_equal(model.predict(landsat.X), bare.predict(np.asarray(landsat.X)))
    assert_maps_as_tables(model, landsat, model.classes_)


def test_probabilities_of_a_search_are_one_named_band_a_class(landsat: Any) -> None:
    search = GridSearchCV(pw.PixelwiseClassifier(LDA), WRAPPED_GRID, cv=BLOCKS).fit(landsat.X, landsat.y)
    mapped = search.predict_proba(landsat.raster)
    assert mapped.band.values.tolist() == ["developed", "forest", "herbaceous"]
    np.testing.assert_allclose(landsat.at_pixels(mapped).T, search.predict_proba(landsat.X), rtol=1e-5, atol=1e-7)


def test_a_pipeline_of_operators_and_a_model_is_searched_on_tables_and_maps_rasters(landsat: Any) -> None:
    ndvi = pw.indices.AppendIndex(pw.indices.NDVI(red="B3", nir="B4"), name="ndvi")
    steps = make_pipeline(ndvi, pw.PixelwiseTransformer(StandardScaler()), pw.PixelwiseClassifier(LDA))
    search = GridSearchCV(steps, {"appendindex__index__red": ["B3", "B1"]}, cv=BLOCKS).fit(landsat.X, landsat.y)
    assert_maps_as_tables(search, landsat, search.classes_)
    values = np.asarray(landsat.X)
    red, nir = values[:, 2], values[:, 3]
    chosen = make_pipeline(StandardScaler(), LDA).fit(np.column_stack([values, (nir - red) / (nir + red)]), landsat.y)
    steps.fit(landsat.X, landsat.y)
    np.testing.assert_array_equal(
        steps.predict(landsat.X), chosen.predict(np.column_stack([values, (nir - red) / (nir + red)]))
    )


def test_a_transformer_in_a_pipeline_maps_rasters(landsat: Any) -> None:
    model = Pipeline([("pca", pw.PixelwiseTransformer(PCA(3))), ("lda", pw.PixelwiseClassifier(LDA))]).fit(landsat.X, landsat.y)
    assert_maps_as_tables(model, landsat, model.classes_)


def test_a_regressor_in_a_search_maps_rasters(landsat: Any) -> None:
    search = GridSearchCV(pw.PixelwiseRegressor(Ridge()), {"estimator__alpha": [1, 1e6]}, cv=BLOCKS).fit(
        landsat.X, landsat.thermal
    )
    np.testing.assert_allclose(landsat.at_pixels(search.predict(landsat.raster)), search.predict(landsat.X), rtol=1e-5)


def test_several_targets_become_several_bands(landsat: Any) -> None:
    targets = np.column_stack([landsat.thermal, -landsat.thermal])
    model = pw.PixelwiseRegressor(multioutput.MultiOutputRegressor(Ridge())).fit(landsat.X, targets)
    np.testing.assert_allclose(landsat.at_pixels(model.predict(landsat.raster)).T, model.predict(landsat.X), rtol=1e-5)


@pytest.mark.parametrize(
    "tuner",
    [model_selection.TunedThresholdClassifierCV(LDA, cv=3), model_selection.FixedThresholdClassifier(LDA, threshold=0.2)],
)
def test_a_wrapped_threshold_maps_rasters(tuner: Any, landsat: Any) -> None:
    y = np.where(landsat.y == "developed", "yes", "no")
    model = pw.PixelwiseClassifier(
        clone(tuner).set_params(**{"pos_label": "yes"} if hasattr(tuner, "pos_label") else {"scoring": "accuracy"})
    )
    assert_maps_as_tables(model.fit(landsat.X, y), landsat, model.classes_)


def test_a_fitted_model_is_usable_at_once_and_stays_fitted_when_frozen(landsat: Any) -> None:
    fitted = clone(LDA).fit(np.asarray(landsat.X), landsat.y)
    for inner in (fitted, FrozenEstimator(fitted)):
        model = pw.PixelwiseClassifier(inner)
        assert_maps_as_tables(model, landsat, fitted.classes_)
    frozen = clone(pw.PixelwiseClassifier(FrozenEstimator(fitted)))
    np.testing.assert_array_equal(frozen.predict(landsat.X), fitted.predict(np.asarray(landsat.X)))
    assert_maps_as_tables(FrozenEstimator(pw.PixelwiseClassifier(fitted)), landsat, fitted.classes_)


def test_a_model_that_came_fitted_with_names_can_be_fitted_anew_without(landsat: Any) -> None:
    frame = landsat.X.to_geodataframe()[list(landsat.X.feature_names)]
    model = pw.PixelwiseClassifier(clone(LDA).fit(frame, landsat.y))
    model.fit(np.asarray(landsat.X)[:, :3], landsat.y)
    assert not hasattr(model, "feature_names_in_")
    assert model.predict(landsat.raster[:3].drop_vars("band")).shape == landsat.raster.shape[1:]


def test_a_model_that_was_fitted_on_a_table_takes_arrays_and_frames(landsat: Any) -> None:
    model = pw.PixelwiseClassifier(LDA).fit(landsat.X, landsat.y)
    frame = landsat.X.to_geodataframe()[["B5", "B4", "B3", "B2", "B1"]]
    np.testing.assert_array_equal(model.predict(np.asarray(landsat.X)), model.predict(landsat.X))
    np.testing.assert_array_equal(model.predict(frame), model.predict(landsat.X))


def test_a_transformer_that_was_fitted_on_an_array_transforms_back(landsat: Any) -> None:
    values = np.asarray(landsat.X)
    pca = pw.PixelwiseTransformer(PCA(2)).fit(values)
    np.testing.assert_array_equal(
        pca.inverse_transform(pca.transform(values)), pca.estimator_.inverse_transform(pca.transform(values))
    )


def test_parameters_are_read_and_set_through_all_levels() -> None:
    search = GridSearchCV(
        make_pipeline(pw.indices.AppendIndex(pw.indices.NDVI(red=2, nir=3)), pw.PixelwiseClassifier(GaussianNB())), {}
    )
    search.set_params(estimator__pixelwiseclassifier__estimator__var_smoothing=0.5, estimator__appendindex__index__nir=0)
    copied = clone(search).get_params()
    assert copied["estimator__pixelwiseclassifier__estimator__var_smoothing"] == 0.5
    assert copied["estimator__appendindex__index__nir"] == 0


def test_tables_and_fitted_searches_survive_pickling(landsat: Any) -> None:
    search = GridSearchCV(pw.PixelwiseClassifier(LDA), WRAPPED_GRID, cv=BLOCKS).fit(landsat.X, landsat.y)
    table, again = pickle.loads(pickle.dumps((landsat.X[50:60], search)))
    np.testing.assert_array_equal(table.xy, landsat.X[50:60].xy)
    xr.testing.assert_identical(again.predict(landsat.raster), search.predict(landsat.raster))


def test_a_pipeline_with_a_memory_gives_the_same_the_second_time(landsat: Any, tmp_path: Path) -> None:
    steps = [("pca", pw.PixelwiseTransformer(PCA(2))), ("lda", pw.PixelwiseClassifier(LDA))]
    first, second = (Pipeline(steps, memory=str(tmp_path)).fit(landsat.X, landsat.y).predict(landsat.X) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert list(tmp_path.rglob("output.pkl"))


def test_workers_change_nothing(landsat: Any) -> None:
    X, y, model = landsat.X, landsat.y, pw.PixelwiseClassifier(LDA)
    np.testing.assert_array_equal(cross_val_score(model, X, y, cv=BLOCKS, n_jobs=2), cross_val_score(model, X, y, cv=BLOCKS))
    alone, together = (GridSearchCV(model, WRAPPED_GRID, cv=BLOCKS, n_jobs=n).fit(X, y) for n in (None, 2))
    np.testing.assert_array_equal(together.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])
    xr.testing.assert_identical(together.predict(landsat.raster), alone.predict(landsat.raster))
    predicted = model_selection.cross_val_predict(model, X, y, cv=BLOCKS, n_jobs=2, method="predict_proba")
    np.testing.assert_array_equal(predicted, model_selection.cross_val_predict(model, X, y, cv=BLOCKS, method="predict_proba"))
    voting = ensemble.VotingClassifier([("lda", model), ("nb", pw.PixelwiseClassifier(GaussianNB()))], n_jobs=2)
    np.testing.assert_array_equal(voting.fit(X, y).predict(X), clone(voting).set_params(n_jobs=None).fit(X, y).predict(X))


def test_weights_reach_the_estimator_inside(landsat: Any, routing: bool) -> None:
    weight = np.where(landsat.y == "forest", 50.0, 1.0)
    scaler, inner = StandardScaler(), GaussianNB()
    if routing:
        scaler, inner = scaler.set_fit_request(sample_weight=False), inner.set_fit_request(sample_weight=True)
    model = pw.PixelwiseClassifier(make_pipeline(scaler, inner))
    params = {"sample_weight": weight} if routing else {"gaussiannb__sample_weight": weight}
    model.fit(landsat.X, landsat.y, **params)
    assert np.allclose(model.estimator_[-1].class_prior_, [1 / 52, 50 / 52, 1 / 52])


@pytest.mark.parametrize("kind", ["ids", "coordinates"])
def test_a_search_passes_groups_on_to_the_blocks(kind: str, landsat: Any) -> None:
    groups = landsat.X.groups if kind == "ids" else landsat.X.xy
    search = GridSearchCV(pw.PixelwiseClassifier(LDA), {"estimator__tol": [1e-4]}, cv=BLOCKS).fit(
        landsat.X, landsat.y, groups=groups
    )
    folds = list(BLOCKS.split(landsat.X, groups=groups))
    expected = cross_val_score(LDA, np.asarray(landsat.X), landsat.y, cv=folds).mean()
    assert search.cv_results_["mean_test_score"].tolist() == pytest.approx([expected])


def test_displays_take_tables(landsat: Any) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    X, y, model = landsat.X, landsat.y == "forest", pw.PixelwiseClassifier(LDA)
    fitted = clone(model).fit(X, y)
    shown = [
        metrics.ConfusionMatrixDisplay.from_estimator(fitted, X, y),
        metrics.RocCurveDisplay.from_estimator(fitted, X, y),
        metrics.PrecisionRecallDisplay.from_estimator(fitted, X, y),
        metrics.DetCurveDisplay.from_estimator(fitted, X, y),
        calibration.CalibrationDisplay.from_estimator(fitted, X, y),
        metrics.PredictionErrorDisplay.from_estimator(
            pw.PixelwiseRegressor(Ridge()).fit(X, landsat.thermal), X, landsat.thermal
        ),
        model_selection.LearningCurveDisplay.from_estimator(model, X, y, cv=BLOCKS),
        model_selection.ValidationCurveDisplay.from_estimator(
            model, X, y, param_name="estimator__tol", param_range=[1e-4, 1e-2], cv=BLOCKS
        ),
        sklearn.inspection.PartialDependenceDisplay.from_estimator(fitted, X, [0, 1], grid_resolution=5),
    ]
    pyplot.close("all")
    expected = metrics.confusion_matrix(y, LDA.fit(np.asarray(X), y).predict(np.asarray(X)))
    np.testing.assert_array_equal(shown[0].confusion_matrix, expected)


ARRAY_API = """
import sys
import numpy as np, sklearn, pixelwise as pw
from sklearn import linear_model, metrics, model_selection, utils
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
raster, polygons = sys.argv[1:]
X, y = pw.extract_pixels(raster, polygons, column="label", max_per_class=40, random_state=0)
values = np.asarray(X)
blocks = pw.SpatialBlockGroupKFold(n_splits=3, block_size=1000)
folds = list(blocks.split(X))
def run(table, wrap, cv):
    grid = {"estimator__tol" if wrap is not None else "tol": [1e-4, 1e-3]}
    model = LinearDiscriminantAnalysis() if wrap is None else wrap(LinearDiscriminantAnalysis())
    search = model_selection.GridSearchCV(model, grid, cv=cv).fit(table, y)
    train, test = model_selection.train_test_split(table, random_state=0)
    return (search.cv_results_["mean_test_score"], search.predict(table), np.asarray(train), np.asarray(test),
            np.asarray(utils._safe_indexing(table, [2, 1])), np.asarray(utils.resample(table, random_state=0)))
with sklearn.config_context(array_api_dispatch=True):
    for one, other in zip(run(X, pw.PixelwiseClassifier, blocks), run(values, None, folds), strict=True):
        np.testing.assert_array_equal(one, other)
    ridge = pw.PixelwiseRegressor(linear_model.Ridge()).fit(X, values[:, 0].astype(float))
    assert ridge.predict(pw.open_raster(raster)).dims == ("y", "x")
print("passed")
"""


@pytest.mark.parametrize("routing", [False], indirect=True)
def test_array_api_dispatch_changes_nothing(landsat: Any) -> None:
    # SciPy reads the switch when it is imported, so that this needs a process of its own.
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}
    command = [sys.executable, "-c", ARRAY_API, str(landsat.path), str(landsat.polygons)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.endswith("passed\n"), done.stderr
