from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
import xarray as xr
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, r2_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, LeaveOneOut, ShuffleSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

import pixelwise as pw
from pixelwise.errors import FoldError, LabelError
from pixelwise.model_selection.held_out_map import HeldOutMap

BLOCKS = pw.SpatialBlockGroupKFold(3, block_size=100)


@pytest.fixture
def labelled(scene: Path, polygons: Path) -> tuple[pw.PixelTable, np.ndarray]:
    """Pixels whose bands tell the two classes apart with some errors."""
    X, y = pw.extract_pixels(scene, polygons, column="class")
    noise = np.random.default_rng(0).normal(0, 900, (len(y), 4))
    return X.with_bands(np.asarray(X) + noise, X.band_names), y


@pytest.fixture
def model() -> Any:
    return pw.PixelwiseClassifier(make_pipeline(StandardScaler(), LogisticRegression()))


@pytest.fixture
def result(labelled: tuple[pw.PixelTable, np.ndarray], model: Any) -> HeldOutMap:
    return pw.cross_val_map(model, *labelled, BLOCKS, random_state=0, n_bootstrap=200)


@pytest.fixture(params=[False, True], ids=["plain", "routing"])
def routing(request: pytest.FixtureRequest) -> Iterator[bool]:
    with sklearn.config_context(enable_metadata_routing=request.param):
        yield request.param


def test_every_pixel_is_predicted_as_cross_val_predict_does(
    result: HeldOutMap, labelled: tuple[pw.PixelTable, np.ndarray], model: Any
) -> None:
    X, y = labelled
    assert np.array_equal(result.predicted, cross_val_predict(model, X, y, cv=BLOCKS))
    assert np.array_equal(result.fold, BLOCKS.fold_ids(X))
    assert result.tested.all()


def test_scores_are_those_of_the_pooled_predictions(result: HeldOutMap) -> None:
    assert list(result.scores) == ["accuracy", "f1_macro"]
    assert result.scores["accuracy"].estimate == accuracy_score(result.y, result.predicted)
    assert result.scores["f1_macro"].estimate == f1_score(result.y, result.predicted, average="macro")


def test_each_fold_has_its_scores(result: HeldOutMap) -> None:
    frame = result.fold_scores
    for number, row in frame.iterrows():
        here = result.fold == number
        assert row["n_test"] == here.sum()
        assert row["accuracy"] == accuracy_score(result.y[here], result.predicted[here])


def test_intervals_hold_the_estimate_and_come_again_with_the_seed(
    result: HeldOutMap, labelled: tuple[pw.PixelTable, np.ndarray], model: Any
) -> None:
    for score in result.scores.values():
        low, high = score.interval()
        assert low < score.estimate < high
        assert score.interval(0.5)[0] > low
        assert 0 < score.se < 0.1
        assert len(score.draws) == 200
    again = pw.cross_val_map(model, *labelled, BLOCKS, random_state=0, n_bootstrap=200, n_jobs=2)
    assert np.array_equal(again.scores["f1_macro"].draws, result.scores["f1_macro"].draws)


def test_whole_blocks_are_drawn_so_that_alike_errors_widen_the_interval(
    labelled: tuple[pw.PixelTable, np.ndarray], model: Any
) -> None:
    X, y = labelled
    # The model is right in all pixels of half of the blocks, and wrong in the others.
    block = BLOCKS.block_ids(X)
    features = np.where(block % 2, y == "water", y == "forest").astype(float)[:, None]
    folds = [
        (np.flatnonzero(block % 2), np.flatnonzero(block % 2 == 0)),
        (np.flatnonzero(block % 2), np.flatnonzero(block % 2)),
    ]
    by_block = pw.cross_val_map(LogisticRegression(), features, y, folds, blocks=block, random_state=0, n_bootstrap=200)
    by_pixel = pw.cross_val_map(
        LogisticRegression(), features, y, folds, blocks=np.arange(len(y)), random_state=0, n_bootstrap=200
    )
    assert by_block.scores["accuracy"].estimate == by_pixel.scores["accuracy"].estimate
    assert by_block.scores["accuracy"].se > 5 * by_pixel.scores["accuracy"].se


def test_blocks_are_those_of_the_splitter_or_else_groups_or_polygons_or_folds(
    labelled: tuple[pw.PixelTable, np.ndarray], model: Any
) -> None:
    X, y = labelled
    shuffled = KFold(3, shuffle=True, random_state=0)
    options = {"n_bootstrap": 2, "random_state": 0}
    assert pw.cross_val_map(model, X, y, BLOCKS, **options).unit == "blocks of the splitter"
    assert pw.cross_val_map(model, X, y, shuffled, **options).unit == "polygons or points"
    table = np.asarray(X)
    assert pw.cross_val_map(model, table, y, GroupKFold(2), groups=X.groups % 2, **options).unit == "groups"
    alone = pw.cross_val_map(model, table, y, shuffled, **options)
    assert alone.unit == "folds"
    assert alone.scores["accuracy"].n_blocks == 3
    few = slice(None, None, 20)
    assert pw.cross_val_map(model, table[few], y[few], LeaveOneOut(), **options).unit == "rows"
    assert pw.cross_val_map(model, X, y, shuffled, blocks=X.groups // 2, **options).scores["accuracy"].n_blocks == 2


def test_probabilities_go_with_scorers_that_need_them(labelled: tuple[pw.PixelTable, np.ndarray], model: Any) -> None:
    X, y = labelled
    scoring = ["roc_auc_ovr", "neg_log_loss", "accuracy"]
    result = pw.cross_val_map(model, X, y, BLOCKS, method="predict_proba", scoring=scoring, n_bootstrap=20, random_state=0)
    expected = cross_val_predict(model, X, y, cv=BLOCKS, method="predict_proba")
    assert np.allclose(result.predicted, expected)
    assert result.scores["roc_auc_ovr"].estimate == pytest.approx(roc_auc_score(y, expected[:, 1]))
    assert result.scores["accuracy"].estimate == accuracy_score(y, result.labels)
    bands = result.to_raster()
    assert bands.dims == ("band", "y", "x")
    assert bands.band.values.tolist() == ["forest", "water"]
    assert np.allclose(bands.values.reshape(2, -1)[:, X.pixel].T, expected)
    assert {"predict_proba_forest", "predict_proba_water"} <= set(result.to_frame())


def test_decision_values_are_scored_too(labelled: tuple[pw.PixelTable, np.ndarray]) -> None:
    X, y = labelled
    model = pw.PixelwiseClassifier(make_pipeline(StandardScaler(), LinearSVC(random_state=0)))
    result = pw.cross_val_map(model, X, y, BLOCKS, method="decision_function", scoring="roc_auc", n_bootstrap=0)
    assert result.scores["roc_auc"].estimate == roc_auc_score(y, result.predicted)
    assert np.isnan(result.scores["roc_auc"].interval()).all()
    assert result.to_frame()["decision_function_water"].between(-5, 5).all()
    assert result.to_raster().dims == ("y", "x")


def test_classes_that_a_fold_does_not_train_on_have_probability_zero(labelled: tuple[pw.PixelTable, np.ndarray]) -> None:
    X, y = labelled
    y = np.where(np.arange(len(y)) < 10, "rare", y)
    folds = [(np.arange(10, 1200), np.arange(10)), (np.arange(0, 1200, 2), np.arange(11, 1200, 2))]
    model = make_pipeline(StandardScaler(), LogisticRegression())
    result = pw.cross_val_map(model, np.asarray(X), y, folds, method="predict_proba", n_bootstrap=0)
    assert (result.predicted[:10, 1] == 0).all()
    assert np.allclose(result.predicted[result.tested].sum(axis=1), 1)
    with pytest.raises(FoldError, match="trains on 2 of 3 classes"):
        pw.cross_val_map(model, np.asarray(X), y, folds, method="decision_function")


def test_the_map_shows_each_prediction_in_its_pixel(result: HeldOutMap) -> None:
    mapped = result.to_raster()
    assert mapped.dtype == "uint8"
    assert (mapped.rio.nodata, mapped.flag_meanings, mapped.rio.crs.to_epsg()) == (255, "forest water", 32633)
    assert (mapped.values != 255).sum() == len(result.y)
    names = np.array(["forest", "water"])[mapped.values.ravel()[result.X.pixel]]
    assert np.array_equal(names, result.predicted)
    assert "cross-validation" in mapped.long_name
    assert np.array_equal(mapped.x, pw.open_raster(pw.datasets.make_example()[0]).x)


def test_errors_and_folds_can_be_mapped(result: HeldOutMap) -> None:
    wrong = result.to_raster("error").values.ravel()[result.X.pixel]
    assert np.array_equal(wrong == 1, result.predicted != result.y)
    assert np.array_equal(result.to_raster("fold").values.ravel()[result.X.pixel], result.fold)


def test_the_frame_has_a_row_for_each_pixel(result: HeldOutMap) -> None:
    frame = result.to_frame()
    assert len(frame) == 1200
    assert np.array_equal(frame[["x", "y"]], result.X.xy)
    assert (frame["true"] == result.y).all()
    plain = HeldOutMap(
        np.asarray(result.X), *[getattr(result, name) for name in ("y", "predicted", "fold", "block", "unit", "scores")]
    )
    assert plain.to_frame().columns.tolist() == ["block", "fold", "true", "predicted"]


def test_regressors_are_pooled_and_mapped(raster: xr.DataArray) -> None:
    target = raster.sel(band="B08", drop=True) * 2.0 + 5
    result = pw.cross_val_map(
        pw.PixelwiseRegressor(LinearRegression()),
        raster.sel(band=["B02", "B03"]),
        target,
        BLOCKS,
        n_bootstrap=10,
        random_state=0,
    )
    assert list(result.scores) == ["r2", "neg_root_mean_squared_error"]
    assert result.scores["r2"].estimate == pytest.approx(r2_score(result.y, result.predicted))
    mapped = result.to_raster()
    assert mapped.dtype == "float32"
    assert np.allclose(mapped.values.ravel(), result.predicted)
    assert np.allclose(result.to_raster("error").values.ravel(), result.predicted - result.y, atol=1e-2)


def test_rasters_are_taken_with_label_rasters_or_polygons(scene: Path, polygons: Path, model: Any) -> None:
    X, y = pw.extract_pixels(scene, polygons, column="class")
    by_path = pw.cross_val_map(model, scene, polygons, BLOCKS, column="class", n_bootstrap=0)
    assert np.array_equal(by_path.predicted, pw.cross_val_map(model, X, y, BLOCKS, n_bootstrap=0).predicted)
    labels = pw.PixelwiseClassifier(LogisticRegression(max_iter=1000)).fit(X, y).predict(pw.open_raster(scene))
    named = pw.cross_val_map(model, scene, labels, BLOCKS, n_bootstrap=0)
    assert named.to_raster().flag_meanings == "forest water"
    assert named.y.dtype.kind == "u"


def test_each_scene_has_its_own_map(raster: xr.DataArray, polygons: Path, model: Any) -> None:
    west, east = raster[:, :, :50], raster[:, :, 50:]
    result = pw.cross_val_map(model, [west, east], [polygons, polygons], BLOCKS, column="class", n_bootstrap=0)
    assert result.to_raster().shape == (60, 50)
    assert result.to_raster(scene=1).shape == (60, 30)
    n = sum(int((result.to_raster(scene=at).values != 255).sum()) for at in (0, 1))
    assert n == len(result.y)


def test_rows_that_no_fold_tests_have_no_prediction(labelled: tuple[pw.PixelTable, np.ndarray], model: Any) -> None:
    X, y = labelled
    cv = ShuffleSplit(1, test_size=0.25, random_state=0)
    result = pw.cross_val_map(model, X, y, cv, n_bootstrap=10, random_state=0)
    assert result.tested.sum() == 300
    assert set(result.predicted[~result.tested]) == {""}
    assert (result.fold[~result.tested] == -1).all()
    assert (result.to_raster().values != 255).sum() == 300
    assert "900 pixels were tested in no fold" in str(result)
    numbers = pw.cross_val_map(model, X, (y == "water").astype(int), cv, n_bootstrap=0)
    assert np.isnan(numbers.predicted[~numbers.tested]).all()
    assert set(np.unique(numbers.to_raster())) == {0, 1, 255}
    shares = pw.cross_val_map(model, X, y, cv, method="predict_proba", n_bootstrap=0)
    assert np.isnan(shares.predicted[~shares.tested]).all()
    assert set(shares.labels[~shares.tested]) == {""}


def test_a_search_with_spatial_blocks_is_nested(labelled: tuple[pw.PixelTable, np.ndarray], model: Any, routing: bool) -> None:
    inner = pw.SpatialBlockGroupKFold(2, block_size=70)
    search = GridSearchCV(model, {"estimator__logisticregression__C": [1e-9, 1]}, cv=inner)
    result = pw.cross_val_map(search, *labelled, BLOCKS, n_bootstrap=10, random_state=0, n_jobs=2)
    assert result.scores["accuracy"].estimate > 0.8


def test_weights_follow_the_folds(labelled: tuple[pw.PixelTable, np.ndarray]) -> None:
    X, y = labelled
    weights = np.where(y == "water", 5.0, 1.0)
    model = DummyClassifier(strategy="most_frequent")
    result = pw.cross_val_map(model, X, y, 3, params={"sample_weight": weights}, n_bootstrap=0)
    assert set(result.predicted) == {"water"}


def test_scorers_without_weights_are_drawn_by_repeating_rows(labelled: tuple[pw.PixelTable, np.ndarray], model: Any) -> None:
    def share(estimator: Any, X: Any, y: Any) -> float:
        return float(np.mean(estimator.predict(X) == y))

    X, y = labelled
    result = pw.cross_val_map(model, X, y, BLOCKS, scoring={"own": share, "stock": "accuracy"}, n_bootstrap=20, random_state=0)
    assert np.allclose(result.scores["own"].draws, result.scores["stock"].draws)


def test_a_callable_alone_and_a_pixel_scorer_name_themselves(labelled: tuple[pw.PixelTable, np.ndarray], model: Any) -> None:
    options = {"n_bootstrap": 0}
    assert list(pw.cross_val_map(model, *labelled, BLOCKS, scoring=lambda m, X, y: 0.5, **options).scores) == ["score"]
    scorer = pw.PixelScorer("accuracy", ignore_label="forest")
    result = pw.cross_val_map(model, *labelled, BLOCKS, scoring=scorer, **options)
    there = result.y != "forest"
    assert result.scores["accuracy"].estimate == accuracy_score(result.y[there], result.predicted[there])


def test_what_is_printed_says_which_kind_of_score_it_is(result: HeldOutMap) -> None:
    text = repr(result)
    assert text.startswith("cross-validation, 1,200 pixels predicted while held out in 3 folds, pooled:")
    assert "95% interval" in text
    assert "bootstrap of 23 blocks of the splitter" in text or "blocks of the splitter" in text
    assert "none is a design-based map accuracy" in text


def test_few_blocks_are_told(labelled: tuple[pw.PixelTable, np.ndarray], model: Any) -> None:
    result = pw.cross_val_map(model, *labelled, KFold(3, shuffle=True, random_state=0), n_bootstrap=10, random_state=0)
    assert "bootstrap of 4 polygons or points; so few that intervals are a rough guide" in str(result)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "tested twice": ({"cv": ShuffleSplit(3, random_state=0)}, "rows are tested more than once"),
    "method": ({"method": "transform"}, "method='transform' is not known"),
    "draws": ({"n_bootstrap": -1}, "n_bootstrap=-1: give the number of draws"),
    "confidence": ({"confidence": 95}, "confidence=95: give a level between 0 and 1"),
    "no folds": ({"cv": []}, "yields no fold"),
    "one fold": ({"cv": 1}, "cv=1 makes no folds"),
    "no splitter": ({"cv": "blocks"}, "cv='blocks' makes no folds"),
    "rows of others": ({"cv": [([0, 1], [5000])]}, "fold 0 has rows from 5000 to 5000, and X has 1200"),
    "nothing to train on": ({"cv": [([], [0])]}, "fold 0 has no training rows"),
    "nothing tested": ({"cv": [(np.arange(1200), [])]}, "no fold tests a row"),
    "one class": ({"cv": [(np.arange(10), np.arange(20, 30))]}, "fold 0 leaves the single class forest to learn from"),
    "blocks": ({"blocks": [1, 2]}, r"blocks has shape \(2,\) and X has 1200 rows"),
    "scoring": ({"scoring": 3}, "scoring=3: give a name"),
    "scorer of probabilities": ({"scoring": "neg_log_loss"}, "'neg_log_loss' needs other values.*pass method='predict_proba'"),
    "no scoring": ({"scoring": {}}, "scoring is empty"),
}


@pytest.mark.parametrize("case", BAD)
def test_options_that_make_no_sense_are_refused(case: str, labelled: tuple[pw.PixelTable, np.ndarray], model: Any) -> None:
    options, message = BAD[case]
    with pytest.raises(FoldError, match=message) as caught:
        pw.cross_val_map(model, *labelled, **{"cv": BLOCKS, **options})
    assert "\n" not in str(caught.value)


def test_labels_that_do_not_fit_are_refused(
    labelled: tuple[pw.PixelTable, np.ndarray], model: Any, raster: xr.DataArray
) -> None:
    X, y = labelled
    with pytest.raises(LabelError, match=r"y has shape \(1199,\) and X has 1200 rows"):
        pw.cross_val_map(model, X, y[1:], BLOCKS)
    gaps = y.astype(object)
    gaps[7] = np.nan
    with pytest.raises(LabelError, match="1 of 1200 labels are missing, the first in row 7"):
        pw.cross_val_map(model, X, gaps, BLOCKS)
    with pytest.raises(LabelError, match="X is a table and y is a raster"):
        pw.cross_val_map(model, X, raster[0], BLOCKS)
    with pytest.raises(LabelError, match="are no raster: for polygons or points name their label column"):
        pw.cross_val_map(model, raster, pw.datasets.make_example()[1], BLOCKS)
    with pytest.raises(LabelError, match="X is a table and y is None"):
        pw.cross_val_map(model, X, None, BLOCKS)


def test_models_without_the_method_are_refused(labelled: tuple[pw.PixelTable, np.ndarray]) -> None:
    model = pw.PixelwiseClassifier(make_pipeline(StandardScaler(), LinearSVC()))
    with pytest.raises(FoldError, match="PixelwiseClassifier has no predict_proba"):
        pw.cross_val_map(model, *labelled, BLOCKS, method="predict_proba")


def test_maps_that_do_not_exist_are_refused(result: HeldOutMap) -> None:
    with pytest.raises(LabelError, match="what='sums' is not known"):
        result.to_raster("sums")
    with pytest.raises(LabelError, match="scene=2 does not exist: X comes from 1 rasters"):
        result.to_raster(scene=2)
    with pytest.raises(LabelError, match="does not say where its rows are"):
        pw.cross_val_map(DummyClassifier(), np.zeros((20, 2)), np.arange(20) % 2, 2, n_bootstrap=0).to_raster()
    with pytest.raises(FoldError, match="confidence=2: give a level"):
        result.scores["accuracy"].interval(2)


def test_frames_are_split_by_position(labelled: tuple[pw.PixelTable, np.ndarray], model: Any) -> None:
    X, y = labelled
    frame = pd.DataFrame(np.asarray(X), columns=list(X.feature_names), index=np.arange(len(y))[::-1])
    result = pw.cross_val_map(model, frame, pd.Series(y), KFold(3, shuffle=True, random_state=0), n_bootstrap=0)
    expected = cross_val_predict(model, frame, y, cv=KFold(3, shuffle=True, random_state=0))
    assert np.array_equal(result.predicted, expected)
