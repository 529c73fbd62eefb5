from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rasterio
import sklearn
import xarray as xr
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, LeaveOneGroupOut, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import pixelwise as pw
from pixelwise.errors import BandError, FoldError, LabelError, MissingDataError

BLOCKS = pw.SpatialBlockGroupKFold(3, block_size=150)
DOMAIN = np.array([[330_100.0, 5_822_000.0], [330_700.0, 5_821_500.0]])
NDVI = pw.indices.AppendIndex(pw.indices.NDVI(red="B04", nir="B08"))


@parametrize_with_checks([pw.AreaOfApplicability()])
def test_it_passes_the_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


def forest() -> RandomForestClassifier:
    return RandomForestClassifier(10, random_state=0)


@pytest.fixture
def Xy(scene: Path, polygons: Path) -> tuple[pw.PixelTable, np.ndarray]:  # noqa: N802
    return pw.extract_pixels(scene, polygons, column="class")


@pytest.fixture
def aoa(Xy) -> pw.AreaOfApplicability:
    return pw.AreaOfApplicability(pw.PixelwiseClassifier(forest()).fit(*Xy), cv=BLOCKS).fit(*Xy)


# ------------------------------------------------------------------ which weights, in which space


MODELS = {
    "plain": forest(),
    "wrapper": pw.PixelwiseClassifier(forest()),
    "operator outside": make_pipeline(NDVI, pw.PixelwiseClassifier(forest())),
    "operator before a plain forest": make_pipeline(NDVI, forest()),
    "scaler inside": pw.PixelwiseClassifier(make_pipeline(StandardScaler(), LogisticRegression())),
    "scaler outside": make_pipeline(StandardScaler(), LogisticRegression()),
    "search outside": GridSearchCV(pw.PixelwiseClassifier(forest()), {"estimator__max_depth": [2, 3]}, cv=BLOCKS),
    "search inside": pw.PixelwiseClassifier(GridSearchCV(forest(), {"max_depth": [2, 3]}, cv=BLOCKS)),
}


@pytest.mark.parametrize("name", MODELS)
def test_rasters_and_tables_of_any_composition_agree(Xy, raster: xr.DataArray, name: str) -> None:
    X, y = Xy
    area = pw.AreaOfApplicability(clone(MODELS[name]), cv=BLOCKS).fit(X, y)
    inside, made = area.predict(raster), area.transform(raster)
    assert 0.5 < float(inside.mean()) < 1
    assert np.array_equal(inside.values.ravel()[X.pixel], area.predict(X))
    np.testing.assert_allclose(made.values[:, X.pixel // 80, X.pixel % 80].T, np.asarray(area.transform(X)), rtol=1e-6)
    assert np.array_equal(area.predict(raster[[2, 0, 3, 1]]), inside)
    assert len(area.weights_) == (5 if "operator" in name else 4)


def test_a_fitted_model_is_used_as_it_is_and_another_one_is_cloned(Xy) -> None:
    model = pw.PixelwiseClassifier(forest())
    area = pw.AreaOfApplicability(model).fit(*Xy)
    assert not hasattr(model, "estimator_")
    assert area.estimator_ is not model
    fitted = clone(model).fit(*Xy)
    again = pw.AreaOfApplicability(fitted).fit(*Xy)
    assert again.estimator_ is fitted
    np.testing.assert_array_equal(again.weights_, fitted.feature_importances_)
    np.testing.assert_array_equal(again.train_di_, area.train_di_)
    with pytest.raises(LabelError, match="PixelwiseClassifier is not fitted: pass y"):
        pw.AreaOfApplicability(model).fit(Xy[0])


def test_a_scaler_before_a_linear_model_makes_no_difference_to_the_index(Xy) -> None:
    X, y = np.asarray(Xy[0], dtype=float), Xy[1]
    scaled = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    raw = LogisticRegression().fit(X, y)
    # The same plane, written for the bands as they come.
    raw.coef_ = scaled[-1].coef_ / scaled[0].scale_
    first, second = (pw.AreaOfApplicability(model, cv=3).fit(X, y) for model in (raw, scaled))
    np.testing.assert_allclose(first.train_di_, second.train_di_, rtol=1e-9)
    np.testing.assert_allclose(first.transform(X * 1.1), second.transform(X * 1.1), rtol=1e-9)


def test_weights_are_those_that_were_given(Xy) -> None:
    X, _ = Xy
    by_name = pw.AreaOfApplicability(weights={"B08": 4, "B04": 3, "B03": 2, "B02": 1}).fit(X)
    by_position = pw.AreaOfApplicability(weights=[1, 2, 3, 4]).fit(X)
    assert by_name.weights_.tolist() == by_position.weights_.tolist() == [1, 2, 3, 4]
    np.testing.assert_array_equal(by_name.train_di_, by_position.train_di_)
    assert pw.AreaOfApplicability().fit(X).weights_.tolist() == [1, 1, 1, 1]
    assert pw.AreaOfApplicability(forest(), weights=None).fit(X).weights_.tolist() == [1, 1, 1, 1]


def test_a_model_without_importances_is_weighed_by_permutation(Xy, raster: xr.DataArray) -> None:
    X, y = Xy
    model = pw.PixelwiseClassifier(HistGradientBoostingClassifier(max_iter=5)).fit(X, y)
    with pytest.raises(BandError, match="HistGradientBoostingClassifier has no feature_importances_"):
        pw.AreaOfApplicability(model).fit(X, y)
    found = permutation_importance(model, np.asarray(X, float), y, n_repeats=2, random_state=0).importances_mean
    area = pw.AreaOfApplicability(model, weights=found + 0.1, cv=BLOCKS).fit(X, y)
    assert 0.5 < float(area.predict(raster).mean()) < 1


def test_bands_that_the_model_does_without_do_not_count(Xy, raster: xr.DataArray) -> None:
    X, y = Xy
    values = np.asarray(X).copy()
    values[:, 1] = np.nan
    gap = X.with_bands(values, X.band_names)
    with pytest.warns(UserWarning, match="band B03 has no valid pixel"):
        model = pw.PixelwiseClassifier(forest()).fit(gap, y)
    area = pw.AreaOfApplicability(model, cv=BLOCKS).fit(gap, y)
    assert len(area.weights_) == 3
    strange = raster.copy()
    strange[1] = 60_000
    assert np.array_equal(area.predict(strange), area.predict(raster))


def test_what_the_model_imputes_is_imputed_here(Xy, raster: xr.DataArray) -> None:
    X, y = Xy
    model = pw.PixelwiseClassifier(forest(), nan="impute")
    values = np.asarray(X).copy()
    values[:5, 1] = np.nan
    model.fit(X.with_bands(values, X.band_names), y)
    holes = raster.astype("float32")
    holes[1, 0, :] = np.nan
    inside = pw.AreaOfApplicability(model, cv=BLOCKS).fit(X, y).predict(holes)
    assert set(np.unique(inside[0])) <= {0, 1}


# ------------------------------------------------------------------ folds


def test_the_folds_are_those_of_the_search(Xy) -> None:
    X, y = Xy
    lists = list(BLOCKS.split(X, y))
    expected = pw.AreaOfApplicability(forest(), cv=lists).fit(X, y)
    for cv in (BLOCKS, iter(lists)):
        area = pw.AreaOfApplicability(forest(), cv=cv).fit(X, y)
        np.testing.assert_array_equal(area.train_di_, expected.train_di_)
        np.testing.assert_array_equal(area.train_lpd_, expected.train_lpd_)


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize(
    "cv",
    [
        pw.KNNDMSplit(n_splits=3, prediction_domain=DOMAIN, random_state=0),
        pw.NNDMSplit(prediction_domain=DOMAIN),
        pw.BufferedLeaveOneOut(buffer=50),
        pw.SpatialBlockGroupKFold(3, block_size=100, shape="hexagon", buffer=30),
    ],
    ids=lambda cv: type(cv).__name__,
)
def test_search_and_area_share_any_spatial_splitter(Xy, raster: xr.DataArray, cv: Any, routing: bool) -> None:
    few = np.arange(0, 1200, 10)
    X, y = Xy[0][few], Xy[1][few]
    with sklearn.config_context(enable_metadata_routing=routing):
        search = GridSearchCV(pw.PixelwiseClassifier(forest()), {"estimator__max_depth": [2, 3]}, cv=cv).fit(X, y)
        area = pw.AreaOfApplicability(search.best_estimator_, cv=cv).fit(X, y)
    assert 0.5 < float(area.predict(raster).mean()) <= 1


def test_a_number_of_folds_means_what_it_means_to_scikit_learn(Xy) -> None:
    X, y = Xy
    np.testing.assert_array_equal(
        pw.AreaOfApplicability(forest(), cv=4).fit(X, y).train_di_,
        pw.AreaOfApplicability(forest(), cv=StratifiedKFold(4)).fit(X, y).train_di_,
    )
    np.testing.assert_array_equal(
        pw.AreaOfApplicability(cv=4).fit(X).train_di_, pw.AreaOfApplicability(cv=KFold(4)).fit(X).train_di_
    )


def test_groups_reach_the_splitter_as_ids_or_coordinates(Xy) -> None:
    X, y = Xy
    held = pw.AreaOfApplicability(cv=LeaveOneGroupOut()).fit(X, y, groups=X.groups)
    assert held.threshold_ > pw.AreaOfApplicability().fit(X).threshold_
    plain = pw.AreaOfApplicability(cv=pw.SpatialBlockGroupKFold(3, block_size=150, crs=32633)).fit(np.asarray(X), groups=X.xy)
    np.testing.assert_array_equal(plain.train_di_, pw.AreaOfApplicability(cv=BLOCKS).fit(X).train_di_)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        pw.AreaOfApplicability(cv=LeaveOneGroupOut()).fit(X, y, groups=X.groups[:-1])


def test_a_buffer_between_folds_makes_training_pixels_no_more_alike(Xy) -> None:
    X, _ = Xy
    plain = pw.AreaOfApplicability(cv=BLOCKS).fit(X)
    apart = pw.AreaOfApplicability(cv=pw.SpatialBlockGroupKFold(3, block_size=150, buffer=60)).fit(X)
    assert (apart.train_di_ >= plain.train_di_ - 1e-12).all()
    assert (apart.train_di_ > plain.train_di_ + 1e-12).any()


def test_rows_that_no_fold_tests_have_no_index(Xy) -> None:
    X, _ = Xy
    area = pw.AreaOfApplicability(cv=[(np.arange(600, 1200), np.arange(300))]).fit(X)
    assert np.isnan(area.train_di_[300:]).all()
    assert np.isnan(area.train_lpd_[300:]).all()
    assert np.isfinite([area.threshold_, *area.train_di_[:300]]).all()


def test_folds_without_rows_are_an_error(Xy) -> None:
    with pytest.raises(FoldError, match="fold 0 has no training rows"):
        pw.AreaOfApplicability(cv=[([], [0, 1])]).fit(Xy[0])


# ------------------------------------------------------------------ rasters of all carriers


def test_the_map_says_what_its_values_mean(aoa: pw.AreaOfApplicability, raster: xr.DataArray, tmp_path: Path) -> None:
    inside = aoa.predict(raster)
    assert (inside.dims, inside.dtype.name, inside.rio.nodata, inside.rio.crs.to_epsg()) == (("y", "x"), "uint8", 255, 32633)
    assert (inside.flag_values.tolist(), inside.flag_meanings) == ([0, 1], "outside inside")
    made = aoa.transform(raster)
    assert (made.dtype.name, made.band.values.tolist()) == ("float32", ["DI", "LPD"])
    pw.write_raster(inside, tmp_path / "inside.tif")
    with rasterio.open(tmp_path / "inside.tif") as file:
        assert file.tags(1)["flag_meanings"] == "outside inside"


def test_every_carrier_comes_back(aoa: pw.AreaOfApplicability, raster: xr.DataArray, scene: Path) -> None:
    expected, bands = aoa.predict(raster).values, aoa.transform(raster).values
    plain = raster.values
    with pytest.warns(UserWarning, match="no band names"):
        assert np.array_equal(aoa.predict(plain), expected)
    with pytest.warns(UserWarning, match="no band names"):
        assert np.array_equal(aoa.transform(plain), bands, equal_nan=True)
    assert np.array_equal(aoa.predict(scene).values, expected)
    lazy = aoa.transform(raster.chunk({"y": 17}))
    assert hasattr(lazy.data, "dask")
    assert np.array_equal(lazy.values, bands, equal_nan=True)
    assert isinstance(aoa.predict(pw.unwrap(raster)), pw.Raster)


@pytest.mark.parametrize("method", ["predict", "transform"])
@pytest.mark.parametrize("workers", [None, 2])
def test_from_file_to_file_comes_what_memory_holds(
    Xy, raster: xr.DataArray, scene: Path, tmp_path: Path, method: str, workers: int | None
) -> None:
    area = pw.AreaOfApplicability(clone(MODELS["operator outside"]), cv=BLOCKS).fit(*Xy)
    path = pw.predict_raster(area, scene, tmp_path / "out.tif", method=method, workers=workers, memory="48MB")
    made = pw.open_raster(path)
    expected = getattr(area, method)(raster)
    assert np.array_equal(made.values.squeeze(), expected.values)
    if method == "transform":
        assert made.band.values.tolist() == ["DI", "LPD"]


def test_missing_pixels_are_nodata_whatever_the_model_makes_of_them(Xy, raster: xr.DataArray) -> None:
    X, y = Xy
    holes = raster.astype("float32")
    holes[0, 0, 0] = np.nan
    holes[:, 1, 1] = -1
    for nan in ("mask", "propagate", "auto"):
        policy = pw.NanPolicy(nan, sentinels=-1)
        area = pw.AreaOfApplicability(pw.PixelwiseClassifier(forest(), nan=policy), cv=BLOCKS).fit(X, y)
        inside, made = area.predict(holes).values, area.transform(holes).values
        assert inside[[0, 1], [0, 1]].tolist() == [255, 255]
        assert np.isnan(made[:, [0, 1], [0, 1]]).all()
        assert (inside == 255).sum() == 2
    own = pw.AreaOfApplicability(nan=pw.NanPolicy(sentinels=-1), cv=BLOCKS).fit(X)
    assert (own.predict(holes).values == 255).sum() == 2


def test_it_is_fitted_on_rasters_too(raster: xr.DataArray) -> None:
    labels = (raster.sel(band="B08") > 1000).astype("uint8")
    X, y = pw.extract_pixels(raster, labels)
    area = pw.AreaOfApplicability(forest(), cv=BLOCKS).fit(raster, labels)
    np.testing.assert_array_equal(area.train_di_, pw.AreaOfApplicability(forest(), cv=BLOCKS).fit(X, y).train_di_)
    assert pw.AreaOfApplicability(cv=BLOCKS).fit([raster]).predict(raster).values.mean() > 0.9


def test_bands_must_be_those_of_the_fit(aoa: pw.AreaOfApplicability, raster: xr.DataArray) -> None:
    with pytest.raises(BandError, match="lacks band B08"):
        aoa.predict(raster[:3])


# ------------------------------------------------------------------ tables and scikit-learn


def test_tables_keep_their_kind(aoa: pw.AreaOfApplicability, Xy) -> None:
    X, _ = Xy
    made = aoa.transform(X)
    assert (type(made), made.feature_names, made.crs) == (pw.PixelTable, ("DI", "LPD"), X.crs)
    frame = pd.DataFrame(np.asarray(X), columns=list(X.feature_names), index=np.arange(len(X)) + 7)
    named = pw.AreaOfApplicability(forest(), cv=3).fit(frame, Xy[1])
    assert named.feature_names_in_.tolist() == list(X.feature_names)
    assert isinstance(named.transform(frame), np.ndarray)
    pandas = named.set_output(transform="pandas").transform(frame)
    assert (pandas.columns.tolist(), pandas.index.tolist()) == (["DI", "LPD"], frame.index.tolist())
    assert named.set_output().transform(frame).equals(pandas)
    assert clone(named).fit_transform(frame, Xy[1]).equals(pandas)
    assert named.predict(frame).dtype.kind == "i"
    with pytest.raises(ValueError, match="feature names"):
        named.predict(frame[["B08", "B02", "B03", "B04"]])


def test_rasters_stay_rasters_under_pandas_output(Xy, raster: xr.DataArray) -> None:
    area = pw.AreaOfApplicability(cv=BLOCKS).set_output(transform="pandas").fit(Xy[0])
    assert area.transform(raster).band.values.tolist() == ["DI", "LPD"]


def test_a_model_fitted_on_a_frame_gets_its_columns_in_order(Xy, raster: xr.DataArray) -> None:
    X, y = Xy
    frame = pd.DataFrame(np.asarray(X), columns=list(X.feature_names))
    model = forest().fit(frame[["B08", "B04", "B03", "B02"]], y)
    area = pw.AreaOfApplicability(model, cv=BLOCKS).fit(X, y)
    np.testing.assert_allclose(area.mean_, frame[["B08", "B04", "B03", "B02"]].mean(), rtol=1e-6)
    assert np.array_equal(area.predict(raster).values.ravel()[X.pixel], area.predict(X))


def test_copies_and_files_make_the_same_map(aoa: pw.AreaOfApplicability, raster: xr.DataArray, tmp_path: Path) -> None:
    expected = aoa.transform(raster).values
    for other in (pickle.loads(pickle.dumps(aoa)), pw.load_artifact(pw.save_artifact(aoa, tmp_path / "area.pixelwise"))):
        assert np.array_equal(other.transform(raster).values, expected)
    assert clone(aoa).get_params()["cv"] is not None
    assert not hasattr(clone(aoa), "threshold_")


def test_density_can_be_left_out(Xy, raster: xr.DataArray) -> None:
    area = pw.AreaOfApplicability(cv=BLOCKS).fit(Xy[0])
    assert area.train_lpd_.shape == (1200,)
    area.set_params(lpd=False).fit(Xy[0])
    assert not hasattr(area, "train_lpd_")
    assert area.transform(raster).band.values.tolist() == ["DI"]
    assert area.get_feature_names_out().tolist() == ["DI"]


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"max_samples": 1}, "max_samples=1 is no number of training pixels: give 2 or more"),
        ({"max_samples": 0.5}, "max_samples=0.5"),
        ({"exact_up_to": None}, "exact_up_to=None"),
        ({"weights": "gini"}, "weights='gini' is not known"),
        ({"weights": [1, 2]}, r"weights of shape \(2,\) for 4 bands"),
    ],
)
def test_parameters_that_make_no_sense_are_told(Xy, parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        pw.AreaOfApplicability(**parameters).fit(Xy[0])


def test_missing_training_data_is_an_error_with_a_remedy(Xy) -> None:
    values = np.asarray(Xy[0]).copy()
    values[3, 2] = np.nan
    with pytest.raises(MissingDataError, match=r"1 of 1200 training rows lack data.*row 3: drop them"):
        pw.AreaOfApplicability().fit(values)
    with pytest.raises(MissingDataError, match="1 of 1200 training rows lack data"):
        pw.AreaOfApplicability().fit(Xy[0].with_bands(values, Xy[0].band_names))
    with pytest.raises(MissingDataError, match="1 of 1200 rows lack data"):
        pw.AreaOfApplicability().fit(Xy[0]).transform(values)
    with pytest.raises(BandError, match="X has 3 features"):
        pw.AreaOfApplicability().fit(Xy[0]).transform(values[:, :3])


def test_what_a_pipeline_imputes_has_an_index(Xy, raster: xr.DataArray) -> None:
    X, y = Xy
    values = np.asarray(X).copy()
    values[:5, 1] = np.nan
    gaps = X.with_bands(values, X.band_names)
    model = pw.PixelwiseClassifier(make_pipeline(SimpleImputer(), forest()), nan="propagate").fit(gaps, y)
    area = pw.AreaOfApplicability(model, cv=BLOCKS).fit(gaps, y)
    holes = raster.astype("float32")
    holes[1, 0, :] = np.nan
    holes[:, 1, :] = np.nan
    inside = area.predict(holes)
    assert set(np.unique(inside[0])) <= {0, 1}
    assert set(np.unique(inside[1])) == {255}


def test_names_are_made_up_where_there_are_none(Xy) -> None:
    with pytest.raises(BandError, match="weights lack band band_1, band_2, band_3, band_4 and name x"):
        pw.AreaOfApplicability(weights={"x": 1}).fit(np.asarray(Xy[0]))


# ------------------------------------------------------------------ error profile


def test_the_error_grows_where_the_model_has_seen_less() -> None:
    rng = np.random.default_rng(0)
    X = np.sort(rng.exponential(size=(400, 1)), axis=0)
    y = X[:, 0] ** 2
    model = RandomForestRegressor(20, random_state=0)
    cv = KFold(5, shuffle=True, random_state=0)
    area = pw.AreaOfApplicability(model, cv=cv).fit(X, y)
    profile = area.error_profile(y, cross_val_predict(model, X, y, cv=cv))
    assert set(profile["measure"]) == {"RMSE"}
    assert profile["error"].iloc[-1] > 5 * profile["error"].iloc[0]
    assert area.error_profile(y, y, by="LPD").columns[0] == "LPD"


def test_classes_and_models_choose_the_measure(aoa: pw.AreaOfApplicability, Xy) -> None:
    X, y = Xy
    profile = aoa.error_profile(y, y)
    assert set(profile["measure"]) == {"misclassification rate"}
    assert set(profile["error"]) == {0.0}
    area = pw.AreaOfApplicability(RandomForestRegressor(2, random_state=0), weights=None, lpd=False).fit(X)
    assert set(area.error_profile(X.groups, X.groups)["measure"]) == {"RMSE"}
    with pytest.raises(ValueError, match="by='LPD' is not there: choose 'DI'; lpd=False"):
        area.error_profile(y, y, by="LPD")
    with pytest.raises(ValueError, match="by='x' is not there: choose 'DI', or 'LPD'"):
        aoa.error_profile(y, y, by="x")


# ------------------------------------------------------------------ real scenes


@pytest.mark.filterwarnings("ignore:.*lie under features with different labels")
def test_land_unlike_the_training_data_is_outside_in_a_real_scene(sentinel: dict[str, Path]) -> None:
    data = pw.datasets.load_sentinel2_osm()
    scene = pw.open_raster({band: sentinel[band] for band in ("B02", "B03", "B04", "B08", "B11")})
    X, y = pw.extract_pixels(
        scene, data.polygons, column=data.column, buffer=-20, min_pixels=3000, max_per_class=300, random_state=0
    )
    wooded = np.flatnonzero(y == "forest")
    cv = pw.SpatialBlockGroupKFold(3, block_size=1500)
    only = pw.AreaOfApplicability(cv=cv).fit(X[wooded])
    every = pw.AreaOfApplicability(cv=cv).fit(X)
    assert only.predict(X)[wooded].mean() > 0.9
    assert only.predict(X)[y == "water"].mean() < 0.2
    small = scene[:, ::8, ::8]
    assert float(every.predict(small).mean()) > 0.9 > float(only.predict(small).mean()) + 0.2
