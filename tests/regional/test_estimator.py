"""RegionalEstimator on a real scene, against plain loops over regions."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
import sklearn
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.cluster import KMeans
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

import pixelwise as pw
from pixelwise.errors import ArtifactError, CRSError, DispatchError, FillValueError, LabelError, MissingDataWarning
from pixelwise.operators.base import Operator

TREE = DecisionTreeClassifier(random_state=0)
REGIONS = ("west", "middle", "corner")


class Mean3x3(Operator):
    """Mean of a pixel and its eight neighbours; an edge pixel stands in for what lies beyond it."""

    halo = 1

    def apply(self, raster: pw.Raster) -> pw.Raster:
        padded = np.pad(raster.values, ((0, 0), (1, 1), (1, 1)), mode="edge")
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
        return raster.with_values(windows.mean(axis=(-2, -1), dtype="float32"))


def by_band(places: Any) -> Any:
    """East or west of a meridian, the far north in no region."""
    x, y = places.xy.T
    return np.where(y > 227_000, None, np.where(x < 637_000, "west", "east"))


def tile_of(places: Any) -> Any:
    return places.metadata["mgrs_tile"][:2]


def regional(landsat: Any, estimator: Any = None, **params: Any) -> Any:
    given = {"column": "name", "min_samples": 100, **params}
    return pw.RegionalEstimator(pw.PixelwiseClassifier(TREE) if estimator is None else estimator, landsat.regions, **given)


def reference_codes(landsat: Any, *, estimator: Any = TREE) -> np.ndarray:
    """Map of the scene by plain loops: one bare model a region, and one of all for the rest."""
    region = landsat.region_of_pixels()
    rows = region.ravel()[landsat.X.pixel]
    values, table = landsat.raster.values, np.asarray(landsat.X)
    classes = np.unique(landsat.y)
    codes = np.full(region.shape, 255)
    for name in ("west", "middle", ""):
        train = rows == name if name else np.ones(len(rows), bool)
        model = clone(estimator).fit(table[train], landsat.y[train])
        here = region == name if name else (region == "") | (region == "corner")
        here &= (values != -99999).all(axis=0)
        codes[here] = np.searchsorted(classes, model.predict(values[:, here].T))
    return codes


@pytest.fixture(scope="module")
def fitted(landsat: Any) -> Any:
    return regional(landsat).fit(landsat.X, landsat.y)


# ---------------------------------------------------------------------- fitting


def test_regions_says_what_each_region_saw_and_which_model_serves_it(landsat: Any, fitted: Any) -> None:
    rows = landsat.region_of_pixels().ravel()[landsat.X.pixel]
    expected = pd.DataFrame(
        {
            "pixels": [int((rows == name).sum()) for name in REGIONS],
            "model": ["west", "middle", "global"],
            "classes": [tuple(np.unique(landsat.y[rows == name])) for name in REGIONS],
        },
        index=pd.Index(REGIONS, name="region"),
    )
    pd.testing.assert_frame_equal(fitted.regions_, expected, check_dtype=False)
    assert fitted.n_outside_ == (rows == "").sum() > 0


def test_what_was_fitted_has_classes_names_and_numbers(landsat: Any, fitted: Any) -> None:
    assert fitted.classes_.tolist() == sorted(set(landsat.y))
    assert fitted.feature_names_in_.tolist() == landsat.raster.band.values.tolist()
    assert fitted.n_features_in_ == 5
    assert is_classifier(fitted)
    assert len(fitted.estimators_) == 3


def test_fitting_leaves_parameters_alone(landsat: Any) -> None:
    model = regional(landsat)
    before = model.estimator
    model.fit(landsat.X, landsat.y)
    assert model.estimator is before
    assert not hasattr(before, "estimator_")
    assert clone(model).region.equals(landsat.regions)
    assert not hasattr(clone(model), "estimators_")


def test_the_number_of_jobs_does_not_change_the_models(landsat: Any) -> None:
    forest = pw.PixelwiseClassifier(RandomForestClassifier(5))
    one, two = (regional(landsat, forest, random_state=3, n_jobs=jobs).fit(landsat.X, landsat.y) for jobs in (1, 2))
    np.testing.assert_array_equal(one.predict_proba(landsat.X), two.predict_proba(landsat.X))
    assert len({model.get_params()["estimator__random_state"] for model in one.estimators_}) == 3


def test_regions_that_look_alike_share_a_model(landsat: Any) -> None:
    model = regional(landsat, merge=2, min_samples=1).fit(landsat.X, landsat.y)
    table = np.asarray(landsat.X, dtype=float)
    table = (table - table.mean(axis=0)) / table.std(axis=0)
    rows = landsat.region_of_pixels().ravel()[landsat.X.pixel]
    inside = np.asarray(landsat.X, dtype=float)[rows != ""]
    table = (np.asarray(landsat.X, dtype=float) - inside.mean(axis=0)) / inside.std(axis=0)
    parts = [table[rows == name] for name in REGIONS]
    signature = [np.concatenate([part.mean(axis=0), part.std(axis=0)]) for part in parts]
    pairs = {(i, j): np.linalg.norm(signature[i] - signature[j]) for i in range(3) for j in range(i)}
    i, j = min(pairs, key=lambda pair: pairs[pair])
    names = ", ".join(REGIONS[number] for number in sorted((i, j)))
    assert model.regions_["model"].iloc[i] == model.regions_["model"].iloc[j] == names
    assert len(set(model.regions_["model"])) == 2
    together = clone(TREE).fit(
        np.asarray(landsat.X)[np.isin(rows, names.split(", "))], landsat.y[np.isin(rows, names.split(", "))]
    )
    here = rows == REGIONS[i]
    np.testing.assert_array_equal(model.predict(landsat.X[here]), together.predict(np.asarray(landsat.X)[here]))


def test_more_groups_than_regions_merge_nothing(landsat: Any, fitted: Any) -> None:
    assert regional(landsat, merge=9).fit(landsat.X, landsat.y).regions_.equals(fitted.regions_)


def test_one_group_makes_one_model(landsat: Any) -> None:
    model = regional(landsat, merge=1).fit(landsat.X, landsat.y)
    assert set(model.regions_["model"]) == {"west, middle, corner"}


def test_a_region_of_a_single_class_is_served_by_the_fallback(landsat: Any) -> None:
    keep = (landsat.region_of_pixels().ravel()[landsat.X.pixel] != "middle") | (landsat.y == "forest")
    model = regional(landsat).fit(landsat.X[keep], landsat.y[keep])
    assert model.regions_.loc["middle", "model"] == "global"
    assert model.regions_.loc["middle", "classes"] == ("forest",)
    with pytest.raises(DispatchError, match="single class 'forest'"):
        regional(landsat, fallback="raise").fit(landsat.X[keep], landsat.y[keep]).predict(landsat.X)


def test_an_empty_region_has_a_row_and_the_fallback(landsat: Any) -> None:
    far = gpd.GeoDataFrame({"name": ["sea", "none"]}, geometry=[shapely.box(0, 0, 9, 9), None], crs=landsat.regions.crs)
    regions = pd.concat([landsat.regions, far], ignore_index=True)
    model = regional(landsat).set_params(region=regions).fit(landsat.X, landsat.y)
    assert model.regions_.loc["sea"].tolist() == [0, "global", ()]
    np.testing.assert_array_equal(
        model.predict(landsat.raster), regional(landsat).fit(landsat.X, landsat.y).predict(landsat.raster)
    )


def test_polygons_of_one_name_are_one_region(landsat: Any) -> None:
    regions = landsat.regions.assign(name=["a", "b", "a"])
    model = regional(landsat).set_params(region=regions).fit(landsat.X, landsat.y)
    assert model.regions_.index.tolist() == ["a", "b"]
    assert model.regions_["pixels"].tolist() == [311 + 19, 363]


def test_pixels_that_lack_data_do_not_count(landsat: Any) -> None:
    values = np.asarray(landsat.X).copy()
    west = landsat.region_of_pixels().ravel()[landsat.X.pixel] == "west"
    values[np.flatnonzero(west)[:250], 2] = np.nan
    X = landsat.X.with_bands(values, landsat.X.band_names)
    model = regional(landsat).fit(X, landsat.y)
    assert model.regions_.loc["west"].tolist()[:2] == [61, "global"]
    lenient = regional(landsat, pw.PixelwiseClassifier(TREE, nan="propagate")).fit(X, landsat.y)
    assert lenient.regions_.loc["west"].tolist()[:2] == [311, "west"]


def test_fit_parameters_are_divided_as_the_rows_are(landsat: Any) -> None:
    weight = np.random.default_rng(0).uniform(0, 1, len(landsat.y))
    model = regional(landsat).fit(landsat.X, landsat.y, sample_weight=weight)
    rows = landsat.region_of_pixels().ravel()[landsat.X.pixel] == "west"
    table = np.asarray(landsat.X)
    bare = clone(TREE).fit(table[rows], landsat.y[rows], sample_weight=weight[rows])
    np.testing.assert_array_equal(
        model.predict_proba(landsat.X[rows])[:, np.isin(model.classes_, bare.classes_)], bare.predict_proba(table[rows])
    )


# ---------------------------------------------------------------------- predicting


def test_each_pixel_goes_to_the_model_of_its_polygon(landsat: Any, fitted: Any) -> None:
    mapped = fitted.predict(landsat.raster)
    np.testing.assert_array_equal(mapped, reference_codes(landsat))
    assert mapped.rio.crs == landsat.raster.rio.crs
    assert mapped.attrs["flag_meanings"].split() == sorted(set(landsat.y))


def test_tables_and_maps_agree(landsat: Any, fitted: Any) -> None:
    codes = fitted.predict(landsat.raster).values.ravel()[landsat.X.pixel]
    np.testing.assert_array_equal(fitted.classes_[codes], fitted.predict(landsat.X))
    assert fitted.score(landsat.X, landsat.y) == np.mean(fitted.predict(landsat.X) == landsat.y)


def test_probabilities_have_the_union_of_classes(landsat: Any) -> None:
    keep = (landsat.region_of_pixels().ravel()[landsat.X.pixel] != "west") | np.isin(landsat.y, ["forest", "developed"])
    model = regional(landsat, pw.PixelwiseClassifier(GaussianNB()), fallback="nearest").fit(landsat.X[keep], landsat.y[keep])
    west = landsat.region_of_pixels() == "west"
    mapped = model.predict_proba(landsat.raster)
    assert mapped.band.values.tolist() == model.classes_.tolist() == sorted(set(landsat.y))
    lacking = [name not in ("forest", "developed") for name in model.classes_]
    valid = ~np.isnan(mapped.values).any(axis=0)
    assert (mapped.values[lacking][:, west & valid] == 0).all()
    np.testing.assert_allclose(mapped.values.sum(axis=0)[valid], 1, rtol=1e-5)
    assert np.isneginf(model.predict_log_proba(landsat.raster).values[lacking][:, west & valid]).all()
    np.testing.assert_allclose(
        mapped.values[:, *np.divmod(landsat.X.pixel, west.shape[1])].T, model.predict_proba(landsat.X), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("labels", ["text", "whole numbers", "floats", "objects"])
def test_labels_of_every_type_come_back(landsat: Any, labels: str) -> None:
    codes = np.unique(landsat.y, return_inverse=True)[1]
    y = {"text": landsat.y, "whole numbers": codes * 10 + 5, "floats": codes * 10 + 5.0, "objects": landsat.y.astype(object)}[
        labels
    ]
    model = regional(landsat).fit(landsat.X, y)
    assert set(model.predict(landsat.X).tolist()) <= set(y.tolist())
    expected = reference_codes(landsat)
    expected = np.where(expected == 255, 255, expected * 10 + 5) if labels in ("whole numbers", "floats") else expected
    np.testing.assert_array_equal(model.predict(landsat.raster), expected)


def test_models_that_need_encoded_labels_agree_on_codes(landsat: Any) -> None:
    xgboost = pytest.importorskip("xgboost")
    if not any("xgboost:XGBClassifier" in family.estimators for family in pw.plugins.plugins().families):
        pytest.skip("the plugin of xgboost is not installed")
    keep = (landsat.region_of_pixels().ravel()[landsat.X.pixel] != "west") | np.isin(landsat.y, ["forest", "water"])
    booster = pw.PixelwiseClassifier(xgboost.XGBClassifier(n_estimators=3, n_jobs=1))
    model = regional(landsat, booster).fit(landsat.X[keep], landsat.y[keep])
    codes = model.predict(landsat.raster).values.ravel()[landsat.X.pixel]
    np.testing.assert_array_equal(model.classes_[codes], model.predict(landsat.X))


def test_a_plain_estimator_is_wrapped(landsat: Any, fitted: Any) -> None:
    plain = regional(landsat, TREE).fit(landsat.X, landsat.y)
    np.testing.assert_array_equal(plain.predict(landsat.raster), fitted.predict(landsat.raster))
    assert isinstance(plain.estimator, DecisionTreeClassifier)


def test_a_regressor_is_regional_too(landsat: Any) -> None:
    target = np.asarray(landsat.X)[:, 3].astype(float)
    X = landsat.X.with_bands(np.asarray(landsat.X)[:, :3], landsat.X.band_names[:3])
    model = regional(landsat, LinearRegression()).fit(X, target)
    assert is_regressor(model)
    assert not hasattr(model, "predict_proba")
    mapped = model.predict(landsat.raster[:3])
    rows = landsat.region_of_pixels().ravel()[X.pixel] == "west"
    bare = LinearRegression().fit(np.asarray(X)[rows], target[rows])
    west = landsat.region_of_pixels() == "west"
    valid = (landsat.raster.values[:3] != -99999).all(axis=0)
    np.testing.assert_allclose(
        mapped.values[west & valid], bare.predict(landsat.raster.values[:3][:, west & valid].T), rtol=1e-5
    )
    assert np.isnan(mapped.values[~valid]).all()
    assert model.regions_["classes"].tolist() == [(), (), ()]
    assert 0.4 < model.score(X, target) < 1


def test_polygons_in_another_crs_give_the_same_map(landsat: Any, fitted: Any) -> None:
    moved = landsat.regions.set_geometry(landsat.regions.segmentize(100)).to_crs(4326)
    model = regional(landsat).set_params(region=moved).fit(landsat.X, landsat.y)
    differs = model.predict(landsat.raster).values != fitted.predict(landsat.raster).values
    assert differs.mean() < 1e-3
    codes = model.predict(landsat.raster).values.ravel()[landsat.X.pixel]
    np.testing.assert_array_equal(model.classes_[codes], model.predict(landsat.X))


def test_polygons_are_read_from_a_file(landsat: Any, fitted: Any, tmp_path: Path) -> None:
    path = tmp_path / "regions.gpkg"
    landsat.regions.to_file(path)
    for given_path in (path, str(path)):
        model = regional(landsat).set_params(region=given_path).fit(landsat.X, landsat.y)
        np.testing.assert_array_equal(model.predict(landsat.raster), fitted.predict(landsat.raster))


def test_the_nearest_region_serves_pixels_outside(landsat: Any) -> None:
    model = regional(landsat, fallback="nearest").fit(landsat.X, landsat.y)
    region, mapped = landsat.region_of_pixels(), model.predict(landsat.raster).values
    grid = pw.unwrap(landsat.raster).grid
    rows = region.ravel()[landsat.X.pixel]
    table = np.asarray(landsat.X)
    outside = np.argwhere((region == "") & (mapped != 255))
    # Corner has no model: that of the polygon nearest to it serves it.
    apart = [landsat.regions.geometry[2].distance(landsat.regions.geometry[number]) for number in (0, 1)]
    server = {"west": "west", "middle": "middle", "corner": REGIONS[int(np.argmin(apart))]}
    assert model.regions_["model"].tolist() == [server[name] for name in REGIONS]
    models = {name: clone(TREE).fit(table[rows == name], landsat.y[rows == name]) for name in ("west", "middle")}
    for row, col in outside[:: max(1, len(outside) // 200)]:
        point = shapely.Point(grid.xy([row], [col])[0])
        nearest = REGIONS[int(np.argmin([point.distance(shape) for shape in landsat.regions.geometry]))]
        expected = models[server[nearest]].predict(landsat.raster.values[:, row, col][None])[0]
        assert model.classes_[mapped[row, col]] == expected


def test_raise_names_what_has_no_model(landsat: Any) -> None:
    model = regional(landsat, fallback="raise").fit(landsat.X, landsat.y)
    with pytest.raises(DispatchError, match=r"of 216627 pixels have no model: .*use fallback='global' or 'nearest'"):
        model.predict(landsat.raster)
    rows = landsat.region_of_pixels().ravel()[landsat.X.pixel]
    with pytest.raises(
        DispatchError, match=r"19 of 19 pixels have no model: region 'corner' .* 19 training pixels and min_samples=100"
    ):
        model.predict(landsat.X[rows == "corner"])
    np.testing.assert_array_equal(
        model.predict(landsat.X[rows == "west"]),
        clone(TREE)
        .fit(np.asarray(landsat.X)[rows == "west"], landsat.y[rows == "west"])
        .predict(np.asarray(landsat.X)[rows == "west"]),
    )


def test_pixels_without_data_need_no_region(landsat: Any) -> None:
    model = regional(landsat, fallback="raise").fit(landsat.X, landsat.y)
    covered = np.isin(landsat.region_of_pixels(), ["west", "middle"])
    inside = landsat.raster.where(covered)
    assert ((model.predict(inside) == 255).values == ~(covered & (landsat.raster != -99999).all("band").values)).all()
    nothing = inside[:, :3, :4].where(False)
    with pytest.warns(MissingDataWarning, match="no pixel could be predicted"):
        assert (model.predict(nothing) == 255).all()
    with pytest.warns(MissingDataWarning, match="no pixel could be predicted"):
        assert model.predict_proba(nothing).shape == (7, 3, 4)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_chip_is_the_scene_there(landsat: Any, fitted: Any, data: Any) -> None:
    whole, raster = whole_map(landsat, fitted), pw.unwrap(landsat.raster)
    row, col = data.draw(st.integers(0, 440)), data.draw(st.integers(0, 486))
    height, width = data.draw(st.integers(1, 443 - row)), data.draw(st.integers(1, 489 - col))
    values = raster.values[:, row : row + height, col : col + width]
    chip = raster.with_values(values, grid=raster.grid.window(row, col, height, width))
    np.testing.assert_array_equal(fitted.predict(chip).values, whole[row : row + height, col : col + width])


_MAPS: dict[int, np.ndarray] = {}


def whole_map(landsat: Any, model: Any) -> np.ndarray:
    return _MAPS.setdefault(id(model), model.predict(landsat.raster).values)


# ---------------------------------------------------------------------- carriers


def test_every_carrier_gives_the_same_map(landsat: Any, fitted: Any) -> None:
    geotensor = pytest.importorskip("georeader.geotensor")
    expected, raster = fitted.predict(landsat.raster), landsat.raster
    grid = pw.unwrap(raster).grid
    tensor = geotensor.GeoTensor(raster.values, grid.transform, grid.crs, fill_value_default=-99999.0)
    tensor.attrs["band_names"] = raster.band.values.tolist()
    dataset = raster.to_dataset("band")
    for name in dataset.data_vars:
        dataset[name].attrs["_FillValue"] = np.float32(-99999)
    lazy = fitted.predict(raster.chunk({"x": 100, "y": 150}))
    assert hasattr(lazy.data, "dask")
    found = [fitted.predict(tensor), fitted.predict(dataset)["predict"], lazy.compute()]
    assert isinstance(found[0], geotensor.GeoTensor)
    for mapped in found:
        np.testing.assert_array_equal(np.asarray(mapped), expected)
    xr.testing.assert_identical(lazy.compute().drop_attrs(), expected.drop_attrs())


def test_files_and_open_datasets_are_mapped(landsat: Any) -> None:
    X, y = landsat.X.with_bands(np.asarray(landsat.X), None), landsat.y
    model = regional(landsat).fit(X, y)
    expected = model.predict(landsat.raster)
    with rasterio.open(landsat.path) as file:
        for given_file in (landsat.path, str(landsat.path), file):
            np.testing.assert_array_equal(model.predict(given_file), expected)


def test_a_lazy_raster_is_refused_where_pixels_have_no_model(landsat: Any) -> None:
    model = regional(landsat, fallback="raise").fit(landsat.X, landsat.y)
    lazy = model.predict(landsat.raster.chunk({"x": 100, "y": 150}))
    with pytest.raises(DispatchError, match="have no model"):
        lazy.compute()


def test_from_file_to_file_is_the_whole_map(landsat: Any, tmp_path: Path) -> None:
    X = landsat.X.with_bands(np.asarray(landsat.X), None)
    model = regional(landsat, fallback="nearest").fit(X, landsat.y)
    expected = model.predict(landsat.raster)
    for memory, workers in (("512MB", None), ("32MB", None), ("48MB", 2)):
        path = pw.predict_raster(model, landsat.path, tmp_path / f"{memory}.tif", memory=memory, workers=workers)
        np.testing.assert_array_equal(pw.open_raster(path)[0], expected)
    probability = pw.predict_raster(model, landsat.path, tmp_path / "p.tif", method="predict_proba", memory="48MB")
    np.testing.assert_array_equal(pw.open_raster(probability), model.predict_proba(landsat.raster))


def test_operators_in_front_see_the_neighbours_of_other_regions(landsat: Any, tmp_path: Path) -> None:
    X, y = landsat.X, landsat.y
    steps = make_pipeline(Mean3x3(), pw.PixelwiseClassifier(TREE))
    outside = make_pipeline(Mean3x3(), regional(landsat)).fit(X, y)
    inside = regional(landsat, steps).fit(X, y)
    expected = outside.predict(landsat.raster)
    np.testing.assert_array_equal(inside.predict(landsat.raster), expected)
    np.testing.assert_array_equal(inside.predict(landsat.raster.chunk({"x": 100, "y": 150})), expected)
    np.testing.assert_array_equal(inside.predict(X), outside.predict(X))
    path = tmp_path / "named.tif"
    pw.write_raster(landsat.raster, path)
    for model in (inside, outside):
        made = pw.predict_raster(model, path, tmp_path / "map.tif", memory="64MB")
        np.testing.assert_array_equal(pw.open_raster(made)[0], expected)


def test_a_search_in_each_region_finds_its_own_parameters(landsat: Any) -> None:
    search = GridSearchCV(pw.PixelwiseClassifier(TREE), {"estimator__max_depth": [1, 4]}, cv=2)
    with pytest.warns(UserWarning, match="least populated class"):
        model = regional(landsat, search).fit(landsat.X, landsat.y)
    assert all(part.best_params_["estimator__max_depth"] in (1, 4) for part in model.estimators_)
    codes = model.predict(landsat.raster).values.ravel()[landsat.X.pixel]
    np.testing.assert_array_equal(model.classes_[codes], model.predict(landsat.X))


def test_rasters_and_label_rasters_are_fitted_on(landsat: Any) -> None:
    codes = np.full(landsat.raster.shape[1:], -1, "int16")
    codes.ravel()[landsat.X.pixel] = np.unique(landsat.y, return_inverse=True)[1]
    labels = landsat.raster[0].drop_vars("band").copy(data=codes).rio.write_nodata(-1)
    model = regional(landsat).fit(landsat.raster, labels)
    np.testing.assert_array_equal(model.predict(landsat.raster), reference_codes_of_unique(landsat, codes))
    assert model.score(landsat.raster, labels) > 0.9


def reference_codes_of_unique(landsat: Any, codes: np.ndarray) -> np.ndarray:
    pixel = np.flatnonzero(codes.ravel() >= 0)
    table = pw.PixelTable.from_values(landsat.raster.values[:, *np.divmod(pixel, 489)].T, landsat.X.grids, pixel=pixel)
    return np.asarray(regional(landsat).fit(table, codes.ravel()[pixel]).predict(pw.unwrap(landsat.raster)).values)


# ---------------------------------------------------------------------- regions by name


def tiled(landsat: Any) -> tuple[list[xr.DataArray], pw.PixelTable, np.ndarray]:
    """The scene as three tiles that carry their names, and a table of all."""
    tiles = [
        landsat.raster[:, :, start : start + 163].assign_attrs(mgrs_tile=name)
        for name, start in (("17SPV", 0), ("17SQV", 163), ("18STE", 326))
    ]
    labels = [landsat.raster[0].drop_vars("band").astype("float32")[:, at : at + 163].copy() for at in (0, 163, 326)]
    codes = np.full(landsat.raster.shape[1:], np.nan, "float32")
    codes.ravel()[landsat.X.pixel] = np.unique(landsat.y, return_inverse=True)[1]
    for label, at in zip(labels, (0, 163, 326), strict=True):
        label.values[:] = codes[:, at : at + 163]
    X, y = pw.extract_pixels(tiles, labels)
    return tiles, X, y


def test_scenes_go_to_the_model_of_their_tile(landsat: Any) -> None:
    tiles, X, y = tiled(landsat)
    model = pw.RegionalEstimator(TREE, min_samples=50).fit(X, y)
    assert model.regions_.index.tolist() == ["17SPV", "17SQV", "18STE"]
    for number, tile in enumerate(tiles):
        rows = X.scene == number
        bare = clone(TREE).fit(np.asarray(X)[rows], y[rows])
        valid = (tile.values != -99999).all(axis=0)
        np.testing.assert_array_equal(model.predict(tile).values[valid], bare.predict(tile.values[:, valid].T))
        np.testing.assert_array_equal(model.predict(X[rows]), bare.predict(np.asarray(X)[rows]))
        np.testing.assert_array_equal(model.predict(tile.chunk({"y": 200})), model.predict(tile))


def test_a_tile_that_was_never_seen_goes_to_the_fallback(landsat: Any) -> None:
    tiles, X, y = tiled(landsat)
    strange = tiles[0].assign_attrs(mgrs_tile="33UUU")
    valid = (strange.values != -99999).all(axis=0)
    for fallback, rows in (("global", np.ones(len(y), bool)), ("nearest", None)):
        model = pw.RegionalEstimator(TREE, min_samples=50, fallback=fallback).fit(X, y)
        if rows is None:
            np.testing.assert_array_equal(model.predict(strange)[:, :40], model.predict(tiles[0])[:, :40])
        else:
            bare = clone(TREE).fit(np.asarray(X), y)
            np.testing.assert_array_equal(model.predict(strange).values[valid], bare.predict(strange.values[:, valid].T))
    model = pw.RegionalEstimator(TREE, min_samples=50, fallback="raise").fit(X, y)
    with pytest.raises(DispatchError, match="no model was fitted for region '33UUU'"):
        model.predict(strange)


def test_a_scene_without_the_metadata_is_refused(landsat: Any) -> None:
    _, X, y = tiled(landsat)
    model = pw.RegionalEstimator(TREE, min_samples=50).fit(X, y)
    with pytest.raises(DispatchError, match=r"metadata has no 'mgrs_tile', which names its region: set it"):
        model.predict(landsat.raster)
    with pytest.raises(DispatchError, match=r"metadata has no 'mgrs_tile'"):
        pw.RegionalEstimator(TREE).fit(landsat.X, landsat.y)


def test_tags_of_a_file_name_its_region(landsat: Any, tmp_path: Path) -> None:
    tiles, X, y = tiled(landsat)
    model = pw.RegionalEstimator(TREE, min_samples=50).fit(X, y)
    path = tmp_path / "tile.tif"
    pw.write_raster(tiles[1], path)
    with rasterio.open(path, "r+") as file:
        file.update_tags(mgrs_tile="17SQV")
    np.testing.assert_array_equal(model.predict(path), model.predict(tiles[1]))
    with rasterio.open(path) as file:
        np.testing.assert_array_equal(model.predict(file), model.predict(tiles[1]))


def test_a_column_of_a_frame_names_regions_and_is_no_feature(landsat: Any) -> None:
    frame = pd.DataFrame(np.asarray(landsat.X), columns=landsat.X.band_names)
    frame["soil"] = np.where(np.arange(len(frame)) % 2, "clay", "sand")
    model = pw.RegionalEstimator(TREE, "soil", min_samples=50).fit(frame, landsat.y)
    assert model.feature_names_in_.tolist() == list(landsat.X.band_names)
    clay = frame["soil"] == "clay"
    bare = clone(TREE).fit(frame[clay].drop(columns="soil"), landsat.y[clay])
    np.testing.assert_array_equal(model.predict(frame[clay]), bare.predict(frame[clay].drop(columns="soil")))
    assert cross_val_score(model, frame, landsat.y, cv=3).min() > 0.4


def test_a_function_names_regions_pixel_by_pixel_or_scene_by_scene(landsat: Any) -> None:
    model = pw.RegionalEstimator(TREE, by_band, min_samples=50).fit(landsat.X, landsat.y)
    assert model.regions_.index.tolist() == ["east", "west"]
    grid = pw.unwrap(landsat.raster).grid
    xy = grid.pixel_xy(np.arange(grid.size))
    rows = by_band(type("Places", (), {"xy": landsat.X.xy})) == "west"
    bare = clone(TREE).fit(np.asarray(landsat.X)[rows], landsat.y[rows])
    west = by_band(type("Places", (), {"xy": xy})) == "west"
    valid = (landsat.raster.values != -99999).all(axis=0).ravel() & west
    table = landsat.raster.values.transpose(1, 2, 0).reshape(-1, 5)
    np.testing.assert_array_equal(
        model.classes_[model.predict(landsat.raster).values.ravel()[valid]], bare.predict(table[valid])
    )
    tiles, X, y = tiled(landsat)
    zones = pw.RegionalEstimator(TREE, tile_of, min_samples=50).fit(X, y)
    assert zones.regions_.index.tolist() == ["17", "18"]
    assert zones.predict(tiles[2]).shape == tiles[2].shape[1:]


def test_a_geodataframe_of_samples_is_fitted_on(landsat: Any, fitted: Any) -> None:
    frame = landsat.X.to_geodataframe().drop(columns=["group", "scene"])
    model = regional(landsat).fit(frame, landsat.y)
    np.testing.assert_array_equal(model.predict(frame), fitted.predict(landsat.X))
    np.testing.assert_array_equal(model.predict(landsat.raster), fitted.predict(landsat.raster))


# ---------------------------------------------------------------------- scikit-learn


@parametrize_with_checks(
    [
        pw.RegionalEstimator(pw.PixelwiseClassifier(LogisticRegression()), region=None),
        pw.RegionalEstimator(LinearRegression(), region=None),
    ]
)
def test_without_regions_it_passes_the_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.fixture(params=[False, True], ids=["plain", "routing"])
def routing(request: pytest.FixtureRequest) -> Iterator[bool]:
    with sklearn.config_context(enable_metadata_routing=request.param):
        yield request.param


def test_it_is_cross_validated_against_the_global_model_with_one_call(landsat: Any, routing: bool) -> None:
    blocks = pw.SpatialBlockGroupKFold(3, block_size=3000, random_state=0)
    model = regional(landsat, pw.PixelwiseClassifier(LinearDiscriminantAnalysis()), min_samples=60)
    model.set_params(estimator__estimator=GaussianNB())
    scores = cross_val_score(model, landsat.X, landsat.y, cv=blocks, n_jobs=2)
    expected = []
    rows = landsat.region_of_pixels().ravel()[landsat.X.pixel]
    table = np.asarray(landsat.X)
    for train, test in blocks.split(landsat.X, landsat.y):
        found = GaussianNB().fit(table[train], landsat.y[train]).predict(table)
        for name in REGIONS:
            here = train[rows[train] == name]
            if len(here) >= 60:
                found[rows == name] = GaussianNB().fit(table[here], landsat.y[here]).predict(table[rows == name])
        expected.append(np.mean(found[test] == landsat.y[test]))
    np.testing.assert_allclose(scores, expected)


def test_weights_are_routed(landsat: Any, routing: bool) -> None:
    weight = np.random.default_rng(0).uniform(0, 1, len(landsat.y))
    inner = GaussianNB().set_fit_request(sample_weight=True) if routing else GaussianNB()
    model = regional(landsat, pw.PixelwiseClassifier(inner))
    model = model.set_score_request(sample_weight=False) if routing else model
    scores = cross_val_score(model, landsat.X, landsat.y, cv=3, params={"sample_weight": weight})
    assert np.isfinite(scores).all()
    assert not np.array_equal(scores, cross_val_score(model, landsat.X, landsat.y, cv=3))


def test_its_parameters_are_searched(landsat: Any) -> None:
    grid = {"min_samples": [50, 10_000], "estimator__estimator__max_depth": [1, 3]}
    search = GridSearchCV(regional(landsat), grid, cv=pw.SpatialBlockGroupKFold(3, block_size=3000)).fit(landsat.X, landsat.y)
    assert search.predict(landsat.raster).shape == landsat.raster.shape[1:]


# ---------------------------------------------------------------------- keeping


def test_an_artifact_holds_models_and_polygons(landsat: Any, fitted: Any, tmp_path: Path) -> None:
    path = pw.save_artifact(fitted, tmp_path / "regional.pixelwise")
    back = pw.load_artifact(path)
    np.testing.assert_array_equal(back.predict(landsat.raster), fitted.predict(landsat.raster))
    pd.testing.assert_frame_equal(back.regions_, fitted.regions_)
    assert clone(back).fit(landsat.X, landsat.y).regions_.equals(fitted.regions_)
    assert back.region.crs == landsat.regions.crs
    info = pw.artifact_info(path)
    assert info["classes"] == fitted.classes_.tolist()
    assert (info["dtype"], info["fill_value"], info["features"]) == ("uint8", 255, landsat.raster.band.values.tolist())


def test_pickles_predict_the_same(landsat: Any, fitted: Any) -> None:
    back = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(back.predict(landsat.X), fitted.predict(landsat.X))


def test_an_artifact_refuses_a_function_without_a_name(landsat: Any, tmp_path: Path) -> None:
    model = pw.RegionalEstimator(TREE, lambda places: "all", min_samples=50).fit(landsat.X, landsat.y)
    with pytest.raises(ArtifactError):
        pw.save_artifact(model, tmp_path / "regional.pixelwise")


def test_an_artifact_holds_regions_by_name(landsat: Any, tmp_path: Path) -> None:
    tiles, X, y = tiled(landsat)
    model = pw.RegionalEstimator(TREE, min_samples=50, fallback="nearest").fit(X, y)
    back = pw.load_artifact(pw.save_artifact(model, tmp_path / "tiles.pixelwise"))
    for tile in (*tiles, tiles[0].assign_attrs(mgrs_tile="33UUU")):
        np.testing.assert_array_equal(back.predict(tile), model.predict(tile))


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"fallback": "none"}, ValueError, "fallback='none' is not known: choose one of 'global', 'nearest', 'raise'"),
        ({"min_samples": 0}, ValueError, "min_samples=0: give a whole number, 1 or more"),
        ({"merge": 1.5}, ValueError, "merge=1.5: give a whole number, 1 or more, or None"),
        ({"column": "nme"}, ValueError, "column='nme' is no column of the regions: choose one of 'name'"),
        ({"region": 7}, ValueError, "region of type int is not known"),
        ({"region": "no.gpkg"}, ValueError, "region='no.gpkg' cannot be read"),
        ({"region": "mgrs_tile"}, ValueError, "column='name' names polygons, and region='mgrs_tile' is none"),
        (
            {"min_samples": 10_000, "fallback": "raise"},
            DispatchError,
            "no region has min_samples=10000 training pixels .* has 363",
        ),
        ({"estimator": "tree"}, TypeError, "estimator='tree' predicts nothing: give a classifier or a regressor"),
        ({"estimator": KMeans()}, TypeError, "KMeans maps no rasters"),
        ({"region": lambda places: ["a", "b"], "column": None}, DispatchError, "region= returned 2 names for 752 pixels"),
    ],
)
def test_wrong_parameters_are_refused_with_the_remedy(landsat: Any, params: Any, error: Any, message: str) -> None:
    model = regional(landsat).set_params(**params)
    with pytest.raises(error, match=message):
        model.fit(landsat.X, landsat.y)


def test_wrong_polygons_are_refused(landsat: Any) -> None:
    points = landsat.regions.set_geometry(landsat.regions.centroid)
    unnamed = landsat.regions.assign(name=["a", None, "b"])
    for regions, error, message in (
        (points, ValueError, "region has Point geometries: give polygons"),
        (unnamed, ValueError, "column 'name' names no region in 1 of 3 polygons"),
        (landsat.regions.iloc[:0], ValueError, "region has no geometries"),
        (
            landsat.regions.to_crs(4326).set_crs(32119, allow_override=True),
            DispatchError,
            "none of 752 training pixels lies in any",
        ),
        (landsat.regions.set_crs(None, allow_override=True), CRSError, "the regions have CRS none: set the missing one"),
    ):
        with pytest.raises(error, match=message):
            regional(landsat).set_params(region=regions).fit(landsat.X, landsat.y)


def test_wrong_data_is_refused(landsat: Any, fitted: Any) -> None:
    table = np.asarray(landsat.X)
    with pytest.raises(DispatchError, match="ndarray does not say where its rows are"):
        regional(landsat).fit(table, landsat.y)
    with pytest.raises(LabelError, match="requires y"):
        regional(landsat).fit(landsat.X)
    with pytest.raises(LabelError, match="X has 752 rows and y has 3"):
        regional(landsat).fit(landsat.X, landsat.y[:3])
    with pytest.raises(NotFittedError):
        regional(landsat).predict(landsat.raster)
    with pytest.raises(AttributeError, match="not fitted yet"):
        _ = regional(landsat).regions_
    with pytest.raises(CRSError, match="the pixels have CRS none"):
        fitted.predict(landsat.raster.values)
    with pytest.raises(FillValueError, match="also a class label"):
        regional(landsat, pw.PixelwiseClassifier(TREE, fill_value=2, output_dtype="uint8")).fit(landsat.X, landsat.y)
    with pytest.raises(LabelError, match="several targets at once"):
        regional(landsat).fit(landsat.X, np.column_stack([landsat.y, landsat.y]))


def test_nearest_needs_places(landsat: Any) -> None:
    frame = pd.DataFrame(np.asarray(landsat.X), columns=landsat.X.band_names)
    frame["soil"] = np.where(np.arange(len(frame)) < 20, "clay", "sand")
    with pytest.raises(DispatchError, match="fallback='nearest' needs to know where regions are"):
        pw.RegionalEstimator(TREE, "soil", min_samples=50, fallback="nearest").fit(frame, landsat.y)
    frame.loc[3, "soil"] = None
    with pytest.raises(DispatchError, match="column 'soil' names no region in 1 of 752 rows"):
        pw.RegionalEstimator(TREE, "soil", min_samples=50).fit(frame, landsat.y)


def test_a_model_that_fails_says_in_which_region(landsat: Any) -> None:
    pipeline = pw.PixelwiseClassifier(make_pipeline(StandardScaler(), LogisticRegression(C=-1)))
    with pytest.raises(ValueError, match="C") as raised:
        regional(landsat, pipeline, fallback="raise").fit(landsat.X, landsat.y)
    assert "while the model of region west was fitted" in raised.value.__notes__
