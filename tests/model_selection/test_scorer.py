from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
import xarray as xr
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import balanced_accuracy_score, f1_score, get_scorer, make_scorer
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import pixelwise as pw
from pixelwise.errors import BandError, CRSError, LabelError
from pixelwise.model_selection.scorer import as_class_labels, legend_of

NAMES = ["accuracy", "f1_macro", "matthews_corrcoef", "neg_log_loss", "roc_auc", "average_precision", "neg_brier_score"]


@pytest.fixture
def labelled(scene: Path, polygons: Path) -> tuple[pw.PixelTable, np.ndarray]:
    """Pixels whose bands tell the two classes apart with some errors."""
    X, y = pw.extract_pixels(scene, polygons, column="class")
    noise = np.random.default_rng(0).normal(0, 900, (len(y), 4))
    return X.with_bands(np.asarray(X) + noise, X.band_names), y


@pytest.fixture
def noisy(raster: xr.DataArray) -> xr.DataArray:
    noise = np.random.default_rng(0).normal(0, 900, raster.shape)
    return (raster + noise).astype("float32").assign_attrs(raster.attrs)


@pytest.fixture
def model(labelled: tuple[pw.PixelTable, np.ndarray]) -> Any:
    return pw.PixelwiseClassifier(make_pipeline(StandardScaler(), LogisticRegression())).fit(*labelled)


@pytest.fixture
def codes(raster: xr.DataArray) -> xr.DataArray:
    """Labels as codes, 1 in the east, without names; the first rows have none."""
    values = np.where(np.arange(80) >= 40, 1, 0) * np.ones((60, 1), int)
    values[:5] = 255
    labels = raster.sel(band="B02", drop=True).copy(data=values).astype("uint8")
    labels.attrs = {"_FillValue": 255}
    return labels


@pytest.fixture(params=[False, True], ids=["plain", "routing"])
def routing(request: pytest.FixtureRequest) -> Iterator[bool]:
    with sklearn.config_context(enable_metadata_routing=request.param):
        yield request.param


@pytest.mark.parametrize("name", NAMES)
def test_on_a_table_a_score_is_that_of_scikit_learn(labelled: tuple[pw.PixelTable, np.ndarray], model: Any, name: str) -> None:
    X, y = labelled
    if name in ("roc_auc", "average_precision", "neg_brier_score"):
        y, model = (y == "water").astype(int), clone(model).fit(X, (y == "water").astype(int))
    assert pw.PixelScorer(name)(model, X, y) == get_scorer(name)(model, X, y)
    assert pw.PixelScorer(name)(model, np.asarray(X), y) == get_scorer(name)(model, np.asarray(X), y)


@pytest.mark.parametrize("name", ["accuracy", "f1_macro", "neg_log_loss", "roc_auc_ovr"])
def test_on_a_raster_the_labelled_pixels_are_scored(noisy: xr.DataArray, codes: xr.DataArray, model: Any, name: str) -> None:
    there = (codes != 255).values.ravel()
    table = noisy.values.reshape(4, -1).T[there]
    names = np.array(["forest", "water"])[codes.values.ravel()[there]]
    expected = get_scorer(name)(model, table, names)
    assert pw.PixelScorer(name)(model, noisy, codes) == pytest.approx(expected, abs=1e-6)
    assert 0.5 < pw.PixelScorer("accuracy")(model, noisy, codes) < 1


def test_every_carrier_gives_the_same_score(noisy: xr.DataArray, codes: xr.DataArray, model: Any, tmp_path: Path) -> None:
    score = pw.PixelScorer("accuracy")
    expected = score(model, noisy, codes)
    path, labels = pw.write_raster(noisy, tmp_path / "x.tif"), pw.write_raster(codes, tmp_path / "y.tif")
    assert score(model, path, labels) == expected
    assert score(model, str(path), codes) == expected
    assert score(model, pw.unwrap(noisy), pw.unwrap(codes)) == expected
    with pytest.warns(UserWarning, match="no band names"):
        model.predict(noisy.values)
    masked = np.ma.masked_equal(codes.values, 255)
    assert score(model, noisy.values, masked) == pytest.approx(score(model, noisy, codes))


def test_pixels_without_data_are_left_out(noisy: xr.DataArray, codes: xr.DataArray, model: Any) -> None:
    holes = noisy.copy()
    holes[1, 10:20] = np.nan
    kept = codes.copy()
    kept[10:20] = 255
    assert pw.PixelScorer("accuracy")(model, holes, codes) == pw.PixelScorer("accuracy")(model, noisy, kept)


def test_rows_of_a_table_that_lack_data_or_a_label_are_left_out(labelled: tuple[pw.PixelTable, np.ndarray], model: Any) -> None:
    X, y = labelled
    values, labels = np.asarray(X).copy(), y.astype(object)
    values[:10, 2] = np.nan
    labels[10:20] = None
    expected = get_scorer("accuracy")(model, X[20:], y[20:])
    assert pw.PixelScorer("accuracy")(model, values, labels) == expected
    frame = pd.DataFrame(values, columns=list(X.feature_names))
    assert pw.PixelScorer("accuracy")(model, frame, labels) == expected


def test_partial_pixels_stay_for_models_that_take_nan(labelled: tuple[pw.PixelTable, np.ndarray]) -> None:
    X, y = labelled
    values = np.asarray(X).copy()
    values[:10, 2] = np.nan
    values[10:15] = np.nan
    takes_all = DummyClassifier().fit(values, y)
    seen: list[int] = []
    counting = make_scorer(lambda a, _: seen.append(len(a)) or 0.0)
    pw.PixelScorer(counting)(takes_all, values, y)
    pw.PixelScorer(counting, nan="propagate")(takes_all, values, y)
    assert seen == [len(y) - 15, len(y) - 5]


def test_fills_that_the_model_was_told_of_are_no_data(raster: xr.DataArray, codes: xr.DataArray) -> None:
    holes = raster.copy()
    holes[:, 20:30] = 0
    X, y = pw.extract_pixels(raster, codes)
    model = pw.PixelwiseClassifier(LogisticRegression(), nan=pw.NanPolicy(sentinels=0)).fit(X, y)
    search = GridSearchCV(make_pipeline(model), {}, cv=2).fit(X, y)
    for fitted in (model, search):
        assert pw.PixelScorer("accuracy")(fitted, holes, codes) == 1.0


@pytest.mark.parametrize("ignored", [0, "forest", [0], ["forest", "nothing"]])
def test_ignored_labels_are_left_out_by_code_and_by_name(
    noisy: xr.DataArray, codes: xr.DataArray, model: Any, ignored: Any
) -> None:
    water = codes.copy(data=np.where(codes.values == 0, 255, codes.values))
    expected = pw.PixelScorer("accuracy")(model, noisy, water)
    assert pw.PixelScorer("accuracy", ignore_label=ignored)(model, noisy, codes) == expected


def test_ignored_labels_of_a_table_are_left_out(labelled: tuple[pw.PixelTable, np.ndarray], model: Any) -> None:
    X, y = labelled
    rest = np.flatnonzero(y != "forest")
    expected = get_scorer("accuracy")(model, X[rest], y[rest])
    assert pw.PixelScorer("accuracy", ignore_label="forest")(model, X, y) == expected


def test_codes_are_read_by_the_legend_of_the_label_raster(noisy: xr.DataArray, codes: xr.DataArray, model: Any) -> None:
    swapped = codes.copy(data=np.where(codes.values == 255, 255, 11 - codes.values))
    swapped.attrs |= {"flag_values": [10, 11], "flag_meanings": "water forest"}
    score = pw.PixelScorer("accuracy")
    assert score(model, noisy, swapped) == score(model, noisy, codes)


def test_the_maps_of_a_model_score_perfectly_against_themselves(noisy: xr.DataArray, model: Any) -> None:
    assert pw.PixelScorer("accuracy")(model, noisy, model.predict(noisy)) == 1.0


def test_polygons_are_labels_where_their_column_is_named(scene: Path, polygons: Path) -> None:
    X, y = pw.extract_pixels(scene, polygons, column="class")
    model = pw.PixelwiseClassifier(LogisticRegression(max_iter=1000)).fit(X, y)
    assert pw.PixelScorer("accuracy", column="class")(model, scene, polygons) == model.score(X, y)


def test_chips_are_scored_together(noisy: xr.DataArray, codes: xr.DataArray, model: Any) -> None:
    chips = [noisy[:, :10], noisy[:, 10:25, :50], noisy[:, 25:]]
    labels = [codes[:10], codes[10:25, :50], codes[25:]]
    X, y = pw.extract_pixels(chips, labels)
    expected = f1_score(np.array(["forest", "water"])[y], model.predict(X), average="macro")
    assert pw.PixelScorer("f1_macro")(model, chips, labels) == pytest.approx(expected)


def test_a_stack_of_labels_goes_with_as_many_chips(noisy: xr.DataArray, codes: xr.DataArray, model: Any) -> None:
    chips = [noisy[:, 10:30], noisy[:, 30:50]]
    stack = np.stack([codes.values[10:30], codes.values[30:50]])
    score = pw.PixelScorer("accuracy")
    assert score(model, chips, stack) == score(model, chips, [codes[10:30], codes[30:50]])


def test_regressors_are_scored(raster: xr.DataArray) -> None:
    target = raster.sel(band="B08", drop=True) * 2.0
    X, y = pw.extract_pixels(raster, target)
    model = pw.PixelwiseRegressor(LinearRegression()).fit(X, y)
    assert pw.PixelScorer("r2")(model, raster, target) == pytest.approx(1)
    assert pw.PixelScorer("neg_root_mean_squared_error")(model, raster, target + 3) == pytest.approx(-3, abs=1e-3)


def test_searches_over_chips_take_it(noisy: xr.DataArray, codes: xr.DataArray, routing: bool) -> None:
    chips, labels = [noisy[:, at : at + 15] for at in (0, 15, 30, 45)], [codes[at : at + 15] for at in (0, 15, 30, 45)]
    model = pw.PixelwiseClassifier(make_pipeline(StandardScaler(), LogisticRegression()))
    grid = {"estimator__logisticregression__C": [1e-9, 1]}
    search = GridSearchCV(model, grid, cv=KFold(2), scoring=pw.PixelScorer("f1_macro"), n_jobs=2).fit(chips, labels)
    assert search.best_params_ == {"estimator__logisticregression__C": 1}
    assert search.score(chips, labels) > 0.5


def test_several_scores_at_a_time(labelled: tuple[pw.PixelTable, np.ndarray], model: Any, routing: bool) -> None:
    scoring = {
        "own": pw.PixelScorer("accuracy"),
        "stock": "accuracy",
        "water": pw.PixelScorer("f1_macro", ignore_label="forest"),
    }
    result = cross_validate(model, *labelled, cv=KFold(3, shuffle=True, random_state=0), scoring=scoring)
    assert result["test_own"].tolist() == result["test_stock"].tolist()
    assert not np.isnan(result["test_water"]).any()


def test_weights_reach_the_scorer_by_routing(labelled: tuple[pw.PixelTable, np.ndarray]) -> None:
    X, y = labelled
    weights = np.where(y == "water", 0.0, 1.0)
    cv = KFold(2, shuffle=True, random_state=0)
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = pw.PixelScorer(get_scorer("accuracy").set_score_request(sample_weight=True))
        # The wrapper hands weights to what it wraps, which says here that it wants none.
        model = DummyClassifier(strategy="constant", constant="forest").set_fit_request(sample_weight=False)
        scores = cross_val_score(model, X, y, cv=cv, scoring=scorer, params={"sample_weight": weights})
    assert scores.tolist() == [1.0, 1.0]


def test_weights_of_a_search_without_routing(labelled: tuple[pw.PixelTable, np.ndarray]) -> None:
    X, y = labelled
    scoring = {"a": pw.PixelScorer("accuracy"), "b": pw.PixelScorer("f1_macro")}
    search = GridSearchCV(DummyClassifier(), {"strategy": ["prior"]}, cv=2, scoring=scoring, refit="a")
    assert search.fit(X, y, sample_weight=np.ones(len(y))).best_score_ == 0.5


def test_weights_of_rows_that_are_left_out_go_with_them(labelled: tuple[pw.PixelTable, np.ndarray]) -> None:
    X, y = labelled
    model = DummyClassifier(strategy="constant", constant="forest").fit(X, y)
    labels, weights = y.astype(object), np.where(y == "water", 3.0, 1.0)
    labels[y == "water"] = None
    assert pw.PixelScorer("accuracy")(model, X, labels, sample_weight=weights) == 1.0


def test_it_is_cloned_pickled_and_shown() -> None:
    scorer = pw.PixelScorer("roc_auc", ignore_label=[0, 7])
    for copy in (clone(scorer), pickle.loads(pickle.dumps(scorer))):
        assert copy.get_params() == scorer.get_params()
    assert repr(scorer) == "PixelScorer(ignore_label=[0, 7], name='roc_auc')"
    assert clone(pw.PixelScorer(make_scorer(balanced_accuracy_score))).name._score_func is balanced_accuracy_score


def test_labels_that_are_text_stay_what_they_are() -> None:
    text = np.array(["a", "b"])
    assert as_class_labels(text, np.array(["a", "b"]), {}).tolist() == ["a", "b"]
    assert as_class_labels(np.array([1, 0]), None, {}).tolist() == [1, 0]
    assert as_class_labels(np.array([1, 0]), np.array([0, 1]), {0: "x", 1: "y"}).tolist() == [1, 0]
    open_water = np.array(["forest", "open water"])
    assert as_class_labels(np.array([5, 4]), open_water, {5: "open_water", 4: "forest"}).tolist() == ["open water", "forest"]
    assert as_class_labels(np.array([5]), open_water, {5: "town"}).tolist() == ["town"]


def test_two_legends_that_differ_are_refused(codes: xr.DataArray) -> None:
    one = codes.assign_attrs(flag_values=[0, 1], flag_meanings="a b")
    with pytest.raises(LabelError, match="code 0 is 'a' in one label raster and 'b' in another"):
        legend_of([one, codes.assign_attrs(flag_values=[0, 1], flag_meanings="b a")])


BAD: dict[str, tuple[Any, str]] = {
    "unknown name": (lambda m, X, y, r, c: pw.PixelScorer("f2")(m, X, y), "'f2' is no scorer of scikit-learn"),
    "no scorer": (lambda m, X, y, r, c: pw.PixelScorer(3)(m, X, y), "name=3 is no scorer"),
    "short y": (lambda m, X, y, r, c: pw.PixelScorer()(m, X, y[1:]), r"y has shape \(1199,\) and X has 1200 rows"),
    "raster without labels": (lambda m, X, y, r, c: pw.PixelScorer()(m, r, y), "X is a raster and y is of shape"),
    "table with raster": (lambda m, X, y, r, c: pw.PixelScorer()(m, X, c), "X is a table and y is a raster"),
    "no y": (lambda m, X, y, r, c: pw.PixelScorer()(m, r, None), "X is a raster and y is None"),
    "no y of a table": (lambda m, X, y, r, c: pw.PixelScorer()(m, X, None), "X is a table and y is None"),
    "no X": (lambda m, X, y, r, c: pw.PixelScorer()(m, None, y), "X is None"),
    "fewer labels than chips": (lambda m, X, y, r, c: pw.PixelScorer()(m, [r, r], [c]), "1 label sources for 2 rasters"),
    "code of no class": (lambda m, X, y, r, c: pw.PixelScorer()(m, r, c.where(c != 1, 7)), "code 7 stands for no class"),
    "nothing left": (lambda m, X, y, r, c: pw.PixelScorer(ignore_label=["forest", "water"])(m, X, y), "no labelled pixel"),
    "short weights": (
        lambda m, X, y, r, c: pw.PixelScorer()(m, X, y, sample_weight=np.ones(3)),
        "sample_weight has 3 rows and X has 1200",
    ),
    "weights of a raster": (lambda m, X, y, r, c: pw.PixelScorer()(m, r, c, sample_weight=[1]), "sample_weight goes with rows"),
    "text for numbers": (
        lambda m, X, y, r, c: pw.PixelScorer()(clone(m).fit(X, y == "water"), X, y),
        "labels are text, such as 'forest', and the model's classes are numbers",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_belong_together_is_refused_in_one_line(
    case: str, labelled: tuple[pw.PixelTable, np.ndarray], model: Any, noisy: xr.DataArray, codes: xr.DataArray
) -> None:
    call, message = BAD[case]
    with pytest.raises(LabelError, match=message) as caught:
        call(model, *labelled, noisy, codes)
    assert "\n" not in str(caught.value)


def test_other_grids_and_crss_are_warped_or_refused(noisy: xr.DataArray, codes: xr.DataArray, model: Any) -> None:
    expected = pw.PixelScorer("accuracy")(model, noisy, codes)
    coarse = codes.isel(y=slice(5, None)).rio.reproject("EPSG:32632", nodata=255)
    assert pw.PixelScorer("accuracy")(model, noisy, coarse) == pytest.approx(expected, abs=0.05)
    with pytest.raises(CRSError, match="cannot be warped"):
        pw.PixelScorer()(model, noisy, codes.values[:7, :7])
    with pytest.raises(BandError, match="label raster has 2 bands"):
        pw.PixelScorer()(model, noisy, np.stack([codes.values] * 2))
    with pytest.raises(LabelError, match="no labelled pixel lies on the raster"):
        pw.PixelScorer()(model, noisy, codes.assign_coords(x=codes.x + 1e5))


def test_a_metric_in_place_of_a_scorer_is_refused(labelled: tuple[pw.PixelTable, np.ndarray], model: Any) -> None:
    with pytest.raises(ValueError, match="looks like it is a metric function"):
        pw.PixelScorer(f1_score)(model, *labelled)
