from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

import pixelwise as pw
from pixelwise.errors import BandError, FillValueError, LabelError, MissingDataError, MissingDataWarning

LABELS = np.zeros((60, 80), "uint8")
LABELS[:, :10], LABELS[:, 70:] = 1, 2


def forest() -> RandomForestClassifier:
    return RandomForestClassifier(10, random_state=0)


def linear() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression())


@pytest.fixture
def fitted(Xy: Any) -> pw.PixelwiseClassifier:
    return pw.PixelwiseClassifier(linear()).fit(*Xy)


# ---- rasters in, rasters out


def test_a_map_is_what_the_bare_estimator_predicts(fitted: pw.PixelwiseClassifier, raster: xr.DataArray) -> None:
    table = pw.ToPixelMajor()(raster).astype("float32")
    bare, out = fitted.estimator_, fitted.predict(raster)
    assert np.array_equal(np.array(out.class_names)[out.values.ravel()], bare.predict(table))
    assert np.allclose(pw.ToPixelMajor()(fitted.predict_proba(raster)), bare.predict_proba(table), atol=1e-6)
    with np.errstate(divide="ignore"):
        wanted, logs = bare.predict_log_proba(table), pw.ToPixelMajor()(fitted.predict_log_proba(raster))
    assert np.allclose(logs, np.where(np.isfinite(wanted), wanted, np.nan), rtol=1e-4, atol=1e-6, equal_nan=True)
    assert np.allclose(fitted.decision_function(raster).values.ravel(), bare.decision_function(table), rtol=1e-4)


def test_a_map_has_the_place_nodata_and_classes(fitted: pw.PixelwiseClassifier, raster: xr.DataArray) -> None:
    out = fitted.predict(raster)
    assert (out.dims, out.dtype, out.rio.nodata, out.rio.crs, out.rio.transform()) == (
        ("y", "x"), "uint8", 255, raster.rio.crs, raster.rio.transform(),
    )  # fmt: skip
    assert out.flag_values.tolist() == [0, 1]
    assert (out.flag_meanings, out.class_names) == ("forest water", ["forest", "water"])
    proba = fitted.predict_proba(raster)
    assert (proba.dims, proba.band.values.tolist(), proba.dtype) == (("band", "y", "x"), ["forest", "water"], "float32")
    assert np.isnan(proba.rio.nodata)


def test_the_type_that_came_in_goes_out(fitted: pw.PixelwiseClassifier, raster: xr.DataArray, scene: Path) -> None:
    geotensor = pytest.importorskip("georeader.geotensor")
    wanted = fitted.predict(raster)
    dataset = fitted.predict(raster.to_dataset(dim="band"))
    assert isinstance(dataset, xr.Dataset)
    assert np.array_equal(dataset["predict"], wanted)
    assert np.array_equal(fitted.predict(scene), wanted)
    grid = pw.unwrap(raster).grid
    tensor = geotensor.GeoTensor(
        raster.values, grid.transform, grid.crs, None, {"band_names": ["B02", "B03", "B04", "B08"], "mgrs_tile": "33UUU"}
    )
    out = fitted.predict(tensor)
    assert type(out) is geotensor.GeoTensor
    assert (out.transform, out.crs, out.fill_value_default, out.attrs["mgrs_tile"]) == (grid.transform, grid.crs, 255, "33UUU")
    assert np.array_equal(out.values, wanted)
    with pytest.warns(UserWarning, match="X has no band names"):
        assert np.array_equal(fitted.predict(raster.values), wanted)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.integers(1, 16), st.sampled_from(["predict", "predict_proba"]))
def test_chips_give_what_the_whole_gives(height: int, width: int, method: str) -> None:
    scene, polygons = pw.datasets.make_example()
    raster = pw.unwrap(pw.open_raster(scene)[:, 20:32, 30:46])
    model = pw.PixelwiseClassifier(linear()).fit(*pw.extract_pixels(scene, polygons, column="class"))
    whole = getattr(model, method)(raster).values
    out = np.zeros_like(whole)
    for window in raster.grid.windows(height, width):
        at = (..., *window.toslices())
        grid = raster.grid.window(window.row_off, window.col_off, window.height, window.width)
        chip = pw.Raster(raster.values[at], grid, raster.bands)
        out[at] = getattr(model, method)(chip).values
    assert np.array_equal(out, whole)


def test_blocks_of_a_large_raster_join(fitted: pw.PixelwiseClassifier, raster: xr.DataArray) -> None:
    tiled = np.tile(raster.values, (1, 6, 5))
    with pytest.warns(UserWarning, match="no band names"):
        assert np.array_equal(fitted.predict(tiled), np.tile(fitted.predict(raster).values, (6, 5)))


def test_a_lazy_raster_stays_lazy(fitted: pw.PixelwiseClassifier, raster: xr.DataArray) -> None:
    lazy = raster.chunk({"band": 1, "y": 17, "x": 30})
    for method in ("predict", "predict_proba", "decision_function"):
        out = getattr(fitted, method)(lazy)
        assert out.chunks is not None
        xr.testing.assert_identical(out.compute(), getattr(fitted, method)(raster))


def test_rasters_are_fitted_with_label_rasters(raster: xr.DataArray, Xy: Any) -> None:
    model = pw.PixelwiseClassifier(forest(), nan=pw.NanPolicy(sentinels=()))
    assert model.fit(raster, LABELS).classes_.tolist() == [0, 1, 2]
    assert model.fit([raster, raster], [LABELS, LABELS]).classes_.tolist() == [0, 1, 2]
    labels = raster.sel(band="B02", drop=True).copy(data=LABELS).rio.write_nodata(0)
    assert model.fit(raster, labels).classes_.tolist() == [1, 2]
    assert model.score(raster, labels) > 0.95
    with pytest.raises(LabelError, match="2 rasters need as many label rasters"):
        model.fit([raster, raster], LABELS)


def test_weights_may_be_a_raster(raster: xr.DataArray) -> None:
    weight = np.where(LABELS == 2, 0.0, 1.0)
    model = pw.PixelwiseClassifier(LogisticRegression(max_iter=5000)).fit(raster, LABELS, sample_weight=weight)
    assert 2 not in model.predict(raster).values


def test_metadata_is_routed_to_the_estimator(Xy: Any) -> None:
    X, y = Xy
    weight = (y == "water").astype(float) + 0.1
    with config_context(enable_metadata_routing=True):
        inner = LogisticRegression().set_fit_request(sample_weight=True)
        routed = pw.PixelwiseClassifier(inner).fit(X, y, sample_weight=weight)
    plain = pw.PixelwiseClassifier(LogisticRegression()).fit(X, y, sample_weight=weight)
    assert np.array_equal(routed.coef_, plain.coef_)


# ---- band names and order


def test_reordered_bands_are_put_right(fitted: pw.PixelwiseClassifier, raster: xr.DataArray) -> None:
    wanted = fitted.predict(raster)
    assert np.array_equal(fitted.predict(raster.isel(band=[3, 1, 0, 2])), wanted)


def test_missing_and_extra_bands_are_errors(fitted: pw.PixelwiseClassifier, raster: xr.DataArray, Xy: Any) -> None:
    with pytest.raises(BandError, match="lacks band B04, B08"):
        fitted.predict(raster[:2])
    with pytest.raises(BandError, match="has band NDVI too many"):
        fitted.predict(pw.indices.AppendIndex(pw.indices.NDVI("B04", "B08"))(raster))
    with pytest.raises(BandError, match="X has 2 features, but 4 bands"), pytest.warns(UserWarning, match="no band names"):
        fitted.predict(raster.values[:2])
    with pytest.raises(BandError, match="lacks band B02"):
        fitted.predict(Xy[0].with_bands(np.asarray(Xy[0]), ("a", "b", "c", "d")))


def test_a_forest_fitted_on_a_frame_takes_rasters(raster: xr.DataArray, Xy: Any) -> None:
    X, y = Xy
    frame = pd.DataFrame(np.asarray(X), columns=["B08", "B02", "B03", "B04"][:4])
    bare = forest().fit(frame.set_axis(list(X.feature_names), axis=1), y)
    model = pw.PixelwiseClassifier(bare)
    assert model.feature_names_in_.tolist() == ["B02", "B03", "B04", "B08"]
    assert np.array_equal(model.predict(raster.isel(band=[1, 0, 2, 3])), model.predict(raster))
    assert np.array_equal(
        pw.PixelwiseClassifier(forest()).fit(frame, y).predict(frame),
        bare.predict(frame.set_axis(list(X.feature_names), axis=1)),
    )


# ---- fitted estimators, and what sklearn expects


def test_a_fitted_estimator_is_usable_at_once(raster: xr.DataArray, Xy: Any) -> None:
    X, y = Xy
    bare = forest().fit(np.asarray(X), y)
    model = pw.PixelwiseClassifier(bare)
    assert (model.n_features_in_, model.classes_.tolist()) == (4, ["forest", "water"])
    assert np.array_equal(model.predict(X), bare.predict(np.asarray(X)))
    assert np.array_equal(model.predict(np.asarray(X)), bare.predict(np.asarray(X)))
    assert set(np.unique(model.predict(raster))) == {0, 1}
    with pytest.raises(NotFittedError, match="call fit, or wrap a fitted estimator"):
        clone(model).predict(raster)
    frozen = clone(pw.PixelwiseClassifier(FrozenEstimator(bare)))
    assert np.array_equal(frozen.predict(raster), model.predict(raster))


def test_fit_leaves_the_given_estimator_alone(Xy: Any) -> None:
    given = forest()
    model = pw.PixelwiseClassifier(given).fit(*Xy)
    assert not hasattr(given, "classes_")
    assert model.estimator_ is not given


def test_methods_are_there_only_where_the_estimator_has_them() -> None:
    assert not hasattr(pw.PixelwiseClassifier(LinearSVC()), "predict_proba")
    assert hasattr(pw.PixelwiseClassifier(LinearSVC()), "decision_function")
    assert not hasattr(pw.PixelwiseRegressor(Ridge()), "predict_proba")
    assert not hasattr(pw.PixelwiseClassifier(forest()), "partial_fit")


def test_learned_attributes_are_the_estimators(fitted: pw.PixelwiseClassifier, Xy: Any) -> None:
    assert pw.PixelwiseClassifier(forest()).fit(*Xy).feature_importances_.shape == (4,)
    assert not hasattr(fitted, "feature_importances_")
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = fitted.nothing


def test_a_wrapper_of_another_kind_is_refused(Xy: Any) -> None:
    for model in (pw.PixelwiseClassifier(Ridge()), pw.PixelwiseRegressor(forest()), pw.PixelwiseClusterer(forest())):
        with pytest.raises(TypeError, match="use another Pixelwise class"):
            model.fit(*Xy)


def test_a_model_pickles(fitted: pw.PixelwiseClassifier, raster: xr.DataArray) -> None:
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).predict(raster), fitted.predict(raster))


def test_calling_applies_the_method(fitted: pw.PixelwiseClassifier, raster: xr.DataArray) -> None:
    assert np.array_equal(fitted(raster), fitted.predict(raster))
    assert fitted.set_params(method="predict_proba")(raster).sizes["band"] == 2


def test_a_search_inside_splits_by_place(Xy: Any, raster: xr.DataArray) -> None:
    search = GridSearchCV(forest(), {"max_depth": [1, 2]}, cv=pw.SpatialBlockGroupKFold(3, 150))
    model = pw.PixelwiseClassifier(search).fit(*Xy)
    assert model.best_params_["max_depth"] in (1, 2)
    assert model.predict(raster).shape == (60, 80)


def test_batches_are_fitted_one_after_another(Xy: Any, raster: xr.DataArray) -> None:
    X, y = Xy
    model = pw.PixelwiseClassifier(SGDClassifier(random_state=0))
    for rows in (slice(None, None, 2), slice(1, None, 2)):
        model.partial_fit(X[rows], y[rows], classes=["forest", "water"])
    bare = SGDClassifier(random_state=0)
    for rows in (slice(None, None, 2), slice(1, None, 2)):
        bare.partial_fit(np.asarray(X)[rows], y[rows], classes=["forest", "water"])
    assert np.array_equal(model.coef_, bare.coef_)
    assert np.array_equal(model.predict(X), bare.predict(np.asarray(X)))
    with pytest.raises(BandError):
        model.partial_fit(X.with_bands(np.asarray(X), "abcd"), y)


def test_weights_that_leave_one_class_are_told(Xy: Any) -> None:
    X, y = Xy
    with pytest.raises(LabelError, match="sample_weight leaves the single class forest"):
        pw.PixelwiseClassifier(SVC()).fit(X, y, sample_weight=(y == "forest").astype(float))


# ---- dtype and fill


@pytest.mark.parametrize(
    ("options", "labels", "dtype", "nodata"),
    [
        ({}, [1, 2, 3], "uint8", 255),
        ({}, [1.0, 2.0, 3.0], "uint8", 255),
        ({}, [False, True, True], "uint8", 255),
        ({}, [0, 255, 3], "int16", -1),
        ({}, [-1, 0, 1], "int16", -32768),
        ({}, [1, 2, 40000], "int32", -1),
        ({}, [0.5, 1.5, 2.5], "uint8", 255),
        ({"output_dtype": "int16"}, [1, 2, 3], "int16", -1),
        ({"output_dtype": "float32"}, [1, 2, 3], "float32", np.nan),
        ({"fill_value": 0}, [1, 2, 3], "uint8", 0),
        ({"fill_value": -1}, [1, 2, 3], "int16", -1),
        ({"nan": pw.NanPolicy(fill_value=99)}, [1, 2, 3], "uint8", 99),
        ({"output_dtype": np.uint16}, ["a", "b", "c"], "uint16", 65535),
    ],
)
def test_dtype_and_fill_are_a_pair(options: dict[str, Any], labels: list[Any], dtype: str, nodata: float) -> None:
    X = np.repeat(np.arange(3.0), 5)[:, None]
    y = np.repeat(np.array(labels), 5) if labels[0] != 0.5 else np.repeat(np.array(["0.5", "1.5", "2.5"]), 5)
    model = pw.PixelwiseClassifier(KNeighborsClassifier(1), **options).fit(X, y)
    out = model.predict(
        pw.Raster(np.array([[[0, 2, np.nan]]], "float32"), pw.Grid(None, pw.unwrap(np.zeros((1, 1, 3))).grid.transform, 1, 3))
    )
    assert out.values.dtype == dtype
    assert np.array_equal(out.nodata, [nodata], equal_nan=True)
    assert np.array_equal(out.values[0, 2], nodata, equal_nan=True)
    codes = [0, 1, 2] if y.dtype.kind == "U" else labels
    assert out.values[0, :2].tolist() == [codes[0], codes[2]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fill_value": -1, "output_dtype": "uint8"}, "fill_value=-1 does not exist in uint8: use fill_value=255"),
        ({"fill_value": 1}, "fill_value=1 is also a class label"),
        ({"fill_value": np.nan, "output_dtype": "int16"}, "fill_value=nan does not exist in int16"),
        ({"output_dtype": "int8"}, "class 200 does not exist in int8"),
        ({"output_dtype": "U5"}, "cannot hold a map"),
    ],
)
def test_a_bad_pair_is_an_error_at_fit(options: dict[str, Any], message: str) -> None:
    with pytest.raises(FillValueError, match=message):
        pw.PixelwiseClassifier(KNeighborsClassifier(1), **options).fit(np.arange(3.0)[:, None], [1, 2, 200])


def test_regression_maps_are_floats_or_rounded(raster: xr.DataArray) -> None:
    target = raster.sel(band="B08", drop=True) / 100
    model = pw.PixelwiseRegressor(LinearRegression()).fit(raster, target)
    out = model.predict(raster)
    assert (out.dtype, out.name) == ("float32", "predict")
    assert np.isnan(out.rio.nodata)
    assert model.score(raster, target) > 0.999
    rounded = model.set_params(output_dtype="uint8").predict(raster)
    assert np.array_equal(rounded, np.rint(out))
    with pytest.raises(FillValueError, match="does not exist in int8: use output_dtype='float32'"):
        pw.PixelwiseRegressor(LinearRegression(), output_dtype="int8").fit(raster, target * 100).predict(raster)


def test_several_targets_make_several_bands(raster: xr.DataArray) -> None:
    table = pw.ToPixelMajor()(raster).astype(float)
    model = pw.PixelwiseRegressor(LinearRegression()).fit(table, table[:, :2])
    assert np.allclose(model.predict(raster.values), raster.values[:2], atol=0.1)
    classes = MultiOutputClassifier(KNeighborsClassifier(1))
    y = (table[::50, :2] > 400).astype(int)
    out = pw.PixelwiseClassifier(classes).fit(table[::50], y).predict(raster)
    assert (out.shape, out.dtype) == ((2, 60, 80), "uint8")
    with pytest.raises(LabelError, match="fit one classifier a target"):
        pw.PixelwiseClassifier(classes).fit(table[::50], y).predict_proba(raster)
    with pytest.raises(LabelError, match="give them numbers"):
        pw.PixelwiseClassifier(classes).fit(table[::50], np.where(y, "a", "b")).predict(raster)


# ---- missing data


def test_pixels_that_lack_a_band_are_masked(fitted: pw.PixelwiseClassifier, holes: xr.DataArray, raster: xr.DataArray) -> None:
    out, whole = fitted.predict(holes), fitted.predict(raster)
    assert (out.values[:, :40] == 255).all()
    assert np.array_equal(out.values[1:, 40:], whole.values[1:, 40:])
    assert np.isnan(fitted.predict_proba(holes).values[:, :, :40]).all()


@pytest.mark.parametrize(
    "estimator", [HistGradientBoostingClassifier(max_iter=5), make_pipeline(SimpleImputer(), LogisticRegression(max_iter=5000))]
)
def test_auto_gives_nan_to_those_who_take_it(holes: xr.DataArray, estimator: Any) -> None:
    model = pw.PixelwiseClassifier(estimator, nan="auto").fit(holes, LABELS)
    out = model.predict(holes)
    assert (out.values[0] == 255).all()
    assert (out.values[1:] != 255).all()


def test_auto_masks_for_those_who_do_not(holes: xr.DataArray) -> None:
    model = pw.PixelwiseClassifier(LogisticRegression(max_iter=5000), nan="auto").fit(holes, LABELS)
    assert (model.predict(holes).values[:, :40] == 255).all()


def test_missing_values_are_imputed_with_the_training_median(holes: xr.DataArray, raster: xr.DataArray) -> None:
    model = pw.PixelwiseClassifier(LogisticRegression(max_iter=5000), nan="impute").fit(raster, LABELS)
    filled = raster.astype("float32")
    filled[0, :, :40] = np.nan
    X, _ = pw.extract_pixels(filled, LABELS, nan="propagate")
    again = pw.PixelwiseClassifier(LogisticRegression(max_iter=5000), nan="impute").fit(X, pw.extract_pixels(raster, LABELS)[1])
    assert (again.predict(holes).values[1:] != 255).all()
    assert (again.predict(holes).values[0] == 255).all()
    assert again.imputer_.statistics_[0] == np.median(raster.values[0, :, 40:])
    assert len(again.predict(X)) == 4800
    # without gaps in training there is nothing to impute with
    assert (model.predict(holes).values[:, :40] == 255).all()


def test_missing_values_can_be_an_error(holes: xr.DataArray, raster: xr.DataArray) -> None:
    model = pw.PixelwiseClassifier(linear(), nan="raise").fit(raster, LABELS)
    with pytest.raises(MissingDataError, match="2440 of 4800 pixels of the raster lack data"):
        model.predict(holes)
    with pytest.raises(MissingDataError, match="labelled pixels lack data"):
        model.fit(holes, LABELS)
    X, y = pw.extract_pixels(holes, LABELS, nan="propagate")
    with pytest.raises(MissingDataError, match="pixels of the training table lack data"):
        model.fit(X, y)


def test_rows_that_lack_data_are_not_fitted_on(holes: xr.DataArray) -> None:
    X, y = pw.extract_pixels(holes, LABELS, nan="propagate")
    weight = np.arange(len(y), dtype=float)
    model = pw.PixelwiseClassifier(linear()).fit(X, y, logisticregression__sample_weight=weight)
    keep = ~np.isnan(np.asarray(X)).any(axis=1)
    bare = linear().fit(np.asarray(X)[keep], y[keep], logisticregression__sample_weight=weight[keep])
    assert np.array_equal(model.estimator_[-1].coef_, bare[-1].coef_)
    with pytest.raises(MissingDataError, match="pixels lack data and Pipeline does not take NaN"):
        model.predict(X)


@pytest.mark.parametrize("nan", ["mask", "auto", "propagate", "impute"])
def test_a_band_without_data_is_left_out_and_reported(raster: xr.DataArray, nan: str) -> None:
    empty = raster.astype("float32")
    empty[1] = np.nan
    estimator = HistGradientBoostingClassifier(max_iter=5) if nan in ("auto", "propagate") else linear()
    model = pw.PixelwiseClassifier(estimator, nan=nan)
    with pytest.warns(MissingDataWarning, match="band B03 has no valid pixel"):
        model.fit(empty, LABELS)
    assert model.used_bands_.tolist() == [True, False, True, True]
    out = model.predict(empty)
    assert (out.values != 255).all()
    assert np.array_equal(model.predict(raster), out)
    X, _ = pw.extract_pixels(raster, LABELS)
    assert np.array_equal(model.predict(X), out.values.ravel())


def test_a_map_of_nothing_is_reported(fitted: pw.PixelwiseClassifier, raster: xr.DataArray) -> None:
    empty = raster.astype("float32")
    empty[1] = np.nan
    with pytest.warns(MissingDataWarning, match="no pixel could be predicted, because band B03 has no valid pixel"):
        assert (fitted.predict(empty).values == 255).all()
    empty[:, ::2] = raster.astype("float32")[:, ::2]
    empty[0, ::2] = np.nan
    with pytest.warns(MissingDataWarning, match="each pixel lacks data in some band"):
        assert np.isnan(fitted.predict_proba(empty).values).all()


def test_a_chip_of_nothing_is_quiet(fitted: pw.PixelwiseClassifier, raster: xr.DataArray) -> None:
    unwrapped = pw.unwrap(raster)
    chip = pw.Raster(np.full((4, 60, 80), np.nan, "float32"), unwrapped.grid, unwrapped.bands)
    assert (fitted.predict(chip).values == 255).all()
    assert fitted.predict_proba(chip).values.shape == (2, 60, 80)


def test_an_undeclared_fill_is_spoken_of_at_predict(fitted: pw.PixelwiseClassifier, raster: xr.DataArray) -> None:
    filled = raster.copy(deep=True)
    filled[:, :10] = 0
    with pytest.warns(MissingDataWarning, match=r"1[67]% of the pixels are 0 in every band"):
        fitted.predict(filled)
    masked = fitted.set_params(nan=pw.NanPolicy(sentinels=0)).predict(filled)
    assert (masked.values[:10] == 255).all()


def test_a_model_without_any_complete_pixel_cannot_be_fitted(raster: xr.DataArray) -> None:
    X, y = pw.extract_pixels(raster, LABELS)
    checker = np.asarray(X).copy()
    checker[::2, 0], checker[1::2, 1] = np.nan, np.nan
    with pytest.raises(MissingDataError, match="every one of 4800 training pixels lacks data"):
        pw.PixelwiseClassifier(linear()).fit(X.with_bands(checker, X.band_names), y)


@pytest.mark.parametrize(("on_output", "value"), [("fill", -9999.0), ("propagate", np.inf)])
def test_predictions_that_are_not_finite(raster: xr.DataArray, on_output: str, value: float) -> None:
    class Infinite(LinearRegression):
        def predict(self, X: Any) -> Any:
            return np.full(len(X), np.inf)

    policy = pw.NanPolicy(on_output=on_output, fill_value=-9999.0)
    model = pw.PixelwiseRegressor(Infinite(), nan=policy).fit(raster, LABELS)
    assert (model.predict(raster).values == value).all()
    with pytest.raises(MissingDataError, match="predictions are not finite"):
        model.set_params(nan=pw.NanPolicy(on_output="raise")).predict(raster)


def test_a_masked_array_is_masked(fitted: pw.PixelwiseClassifier, raster: xr.DataArray) -> None:
    array = np.ma.masked_array(raster.values, mask=np.zeros(raster.shape, bool))
    array.mask[2, :5] = True
    with pytest.warns(UserWarning, match="no band names"):
        out = fitted.predict(array)
    assert out.mask[:5].all()
    assert not out.mask[5:].any()
