"""Estimators of all kinds fitted on a catalog, and applied to rasters by the names of bands."""

from __future__ import annotations

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.cluster import MiniBatchKMeans
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

import pixelwise as pw
from pixelwise.errors import BandError, CatalogError, GridError, LabelError, MissingDataError

FEATURES = pw.indices.AppendIndex(pw.indices.NDVI(red="B04", nir="B08"))
NDVI = pw.indices.NDVI(red="B04", nir="B08")


def test_a_forest_fitted_on_a_catalog_is_the_one_fitted_on_its_pixels(catalog, label) -> None:
    forest = RandomForestClassifier(5, random_state=0)
    asked = {"n_pixels": 400, "random_state": 0}
    fitted = pw.fit_pixelwise(forest, FEATURES, label, catalog=catalog, **asked)
    assert type(fitted) is RandomForestClassifier
    assert not hasattr(forest, "classes_")
    X, y = pw.sample_pixels(catalog, FEATURES, label, **asked)
    plain = RandomForestClassifier(5, random_state=0).fit(np.asarray(X), y)
    assert np.array_equal(fitted.feature_importances_, plain.feature_importances_)
    assert fitted.classes_.tolist() == [1, 2]


def test_the_fitted_estimator_finds_the_bands_of_a_raster_by_name(catalog, label, tmp_path) -> None:
    fitted = pw.fit_pixelwise(
        DecisionTreeClassifier(random_state=0), FEATURES, label, catalog=catalog, n_pixels=400, random_state=0
    )
    assert fitted.feature_names_in_.tolist() == ["B02", "B04", "B08", "NDVI"]
    joblib.dump(fitted, tmp_path / "tree.joblib")
    model = pw.PixelwiseClassifier(joblib.load(tmp_path / "tree.joblib"), nan="mask", output_dtype="uint8")
    scene = catalog[0].load()
    predicted = pw.Sequential([FEATURES, model])(scene)
    turned = model(FEATURES(scene).isel(band=[3, 1, 0, 2]))
    assert np.array_equal(predicted, turned)
    truth = label(scene).values[0]
    assert (predicted.values[truth > 0] == truth[truth > 0]).mean() > 0.99
    with pytest.raises(BandError, match="lacks band NDVI"):
        model(scene)


@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(StandardScaler(), LogisticRegression()),
        GridSearchCV(
            make_pipeline(StandardScaler(), DecisionTreeClassifier()), {"decisiontreeclassifier__max_depth": [2, 4]}, cv=3
        ),
        GridSearchCV(DecisionTreeClassifier(), {"max_depth": [2, 4]}, cv=pw.SpatialBlockGroupKFold(2, 300)),
    ],
    ids=["pipeline", "search", "spatial-search"],
)
def test_pipelines_and_searches_keep_the_names(catalog, label, estimator) -> None:
    fitted = pw.fit_pixelwise(estimator, FEATURES, label, catalog=catalog, n_pixels=300, random_state=0)
    best = getattr(fitted, "best_estimator_", fitted)
    assert best.feature_names_in_.tolist() == ["B02", "B04", "B08", "NDVI"]
    assert pw.PixelwiseClassifier(best)(FEATURES(catalog[0].load())).shape == (60, 70)


def test_a_search_has_the_folds_of_land_that_its_splitter_makes(catalog, label) -> None:
    asked = {"n_pixels": 300, "random_state": 0}
    splitter = pw.SpatialBlockGroupKFold(3, 300)
    search = GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [1, 4]}, cv=splitter)
    fitted = pw.fit_pixelwise(search, FEATURES, label, catalog=catalog, **asked)
    X, y = pw.sample_pixels(catalog, FEATURES, label, **asked)
    assert np.array_equal(fitted.cv_results_["split2_test_score"], search.fit(X, y).cv_results_["split2_test_score"])
    assert isinstance(fitted.cv, pw.SpatialBlockGroupKFold)


@pytest.mark.parametrize("splitter", [pw.SpatialBlockGroupKFold(3), pw.SpatialBlockShuffleSplit(3, random_state=0)])
def test_a_splitter_without_a_block_size_takes_blocks_as_wide_as_a_chip(catalog, label, splitter) -> None:
    given = {"X_pipeline": None, "y_pipeline": label, "catalog": catalog, "sampler": pw.GridSampler((16, 16))}
    search = GridSearchCV(GaussianNB(), {"var_smoothing": [1e-9, 1e-3]}, cv=splitter)
    found = pw.fit_pixelwise(search, **given, n_pixels=500, random_state=0)
    blocks = pw.fit_pixelwise(clone(search), **given, n_pixels=500, random_state=0, groups="block")
    np.testing.assert_array_equal(found.cv_results_["mean_test_score"], blocks.cv_results_["mean_test_score"])


def test_a_group_band_gives_a_search_its_groups(catalog, label) -> None:
    blocks = pw.Sequential([label, pw.spatial.BlockID(block_size_m=250)])
    search = GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [1, 4]}, cv=GroupKFold(3))
    asked = {"n_pixels": 300, "random_state": 0}
    fitted = pw.fit_pixelwise(search, FEATURES, blocks, catalog=catalog, group_band=1, **asked)
    X, y = pw.sample_pixels(catalog, FEATURES, blocks, group_band="block", **asked)
    assert X.groups.dtype == np.int64
    with_blocks = pw.spatial.BlockID(250, append=False)
    for scene in range(4):
        here = X.scene == scene
        numbers = with_blocks(catalog[scene].load()).values.ravel()[X.pixel[here]]
        assert np.array_equal(X.groups[here], numbers)
    expected = search.fit(np.asarray(X), y.astype(int), groups=X.groups)
    assert np.array_equal(fitted.cv_results_["split1_test_score"], expected.cv_results_["split1_test_score"])
    assert fitted.best_estimator_.classes_.dtype == np.int64


def test_a_column_of_the_catalog_gives_a_search_its_groups(catalog, label) -> None:
    class Recorder(GroupKFold):
        def split(self, X, y=None, groups=None):
            seen.append(np.unique(groups).tolist())
            return super().split(X, y, groups)

    seen: list = []
    search = GridSearchCV(DecisionTreeClassifier(), {"max_depth": [1]}, cv=Recorder(2))
    pw.fit_pixelwise(search, None, label, catalog=catalog, groups="tile", n_pixels=300, random_state=0)
    assert seen == [[0, 1, 2]]


def test_a_weight_band_reaches_the_estimator(catalog, label) -> None:
    def weighted(chip):
        labels = label(chip).astype("float32")
        return np.concatenate([labels, (labels == 1).astype("float32")])

    fitted = pw.fit_pixelwise(
        DecisionTreeClassifier(), None, weighted, catalog=catalog, sample_weight_band=1, n_pixels=300, random_state=0
    )
    _, y = pw.sample_pixels(catalog, None, weighted, n_pixels=300, random_state=0)
    assert fitted.tree_.weighted_n_node_samples[0] == (y == 1).sum() < 300


SCALED = make_pipeline(StandardScaler(), SGDClassifier(random_state=0))
STEP = "sgdclassifier__sample_weight"


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        (SCALED, STEP),
        (GridSearchCV(SCALED, {"sgdclassifier__alpha": [1e-3]}, cv=3), STEP),
        (pw.PixelwiseClassifier(SCALED), STEP),
        (make_pipeline(pw.PixelwiseClassifier(SCALED)), f"pixelwiseclassifier__{STEP}"),
    ],
    ids=["pipeline", "search", "wrapper", "wrapper in a pipeline"],
)
def test_weights_reach_the_last_step_of_a_pipeline(catalog, label, estimator, name) -> None:
    def weighted(chip):
        labels = label(chip).astype("float32")
        return np.concatenate([labels, 1 + 9 * (labels == 1).astype("float32")])

    asked = {"catalog": catalog, "n_pixels": 300, "random_state": 0}
    fitted = pw.fit_pixelwise(estimator, None, weighted, sample_weight_band=1, **asked)
    X, y = pw.sample_pixels(labels=weighted, X_pipeline=None, **asked)
    rows = pd.DataFrame(np.asarray(X), columns=list(X.band_names))
    expected = clone(estimator).fit(rows, y, **{name: np.where(y == 1, 10.0, 1.0)})
    alike = clone(estimator).fit(rows, y)
    scores = [model.decision_function(rows) for model in (fitted, expected, alike)]
    assert np.array_equal(scores[0], scores[1])
    assert not np.array_equal(scores[0], scores[2])


def test_groups_and_weights_that_fit_does_not_take_are_refused_before_a_chip_is_read(catalog) -> None:
    def unread(chip):
        raise AssertionError

    with pytest.raises(
        TypeError, match=r"groups='block' .* DecisionTreeClassifier.fit takes none: leave it out, or give a search"
    ):
        pw.fit_pixelwise(DecisionTreeClassifier(), unread, unread, catalog=catalog, groups="block")
    with pytest.raises(TypeError, match=r"sample_weight_band=1 .* KNeighborsClassifier.fit takes none"):
        pw.fit_pixelwise(
            make_pipeline(StandardScaler(), KNeighborsClassifier()), unread, unread, catalog=catalog, sample_weight_band=1
        )


def test_pipelines_and_reports_that_are_none_are_refused_with_what_would_do(catalog, label) -> None:
    tree = DecisionTreeClassifier()
    with pytest.raises(TypeError, match=r"y_pipeline is a str, which cannot be called with a chip: give ReadLabel\("):
        pw.fit_pixelwise(tree, None, "polygons.gpkg", catalog=catalog)
    with pytest.raises(TypeError, match=r"X_pipeline is a StandardScaler, .* give an operator"):
        pw.fit_pixelwise(tree, StandardScaler(), label, catalog=catalog)
    with pytest.raises(TypeError, match=r"report=True is none: make one before"):
        pw.fit_pixelwise(tree, None, label, catalog=catalog, report=True)


def test_targets_of_one_byte_do_not_overflow(catalog, label) -> None:
    model = TransformedTargetRegressor(DecisionTreeRegressor(random_state=0), func=np.square, inverse_func=np.sqrt)

    def target(chip):
        return (label(chip) * 20).astype("uint8")

    asked = {"catalog": catalog, "n_pixels": 300, "random_state": 0}
    fitted = pw.fit_pixelwise(model, FEATURES, target, **asked)
    X, y = pw.sample_pixels(X_pipeline=FEATURES, labels=target, **asked)
    assert y.dtype == np.uint8
    assert fitted.predict(pd.DataFrame(np.asarray(X), columns=X.band_names)).tolist() == pytest.approx(y.tolist())


@pytest.mark.parametrize("nan", ["mask", "impute", "propagate"])
def test_a_pixelwise_estimator_is_fitted_as_it_is(catalog, label, nan) -> None:
    model = pw.PixelwiseClassifier(DecisionTreeClassifier(random_state=0), nan=nan)
    fitted = pw.fit_pixelwise(model, FEATURES, label, catalog=catalog, n_pixels=300, random_state=0)
    assert isinstance(fitted, pw.PixelwiseClassifier)
    assert fitted.feature_names_in_.tolist() == ["B02", "B04", "B08", "NDVI"]
    assert fitted(FEATURES(catalog[1].load())).shape == catalog[1].grid.shape


def test_operators_inside_a_model_take_the_table(catalog, label) -> None:
    model = make_pipeline(FEATURES, pw.PixelwiseClassifier(DecisionTreeClassifier(random_state=0)))
    search = GridSearchCV(model, {"pixelwiseclassifier__estimator__max_depth": [1, 3]}, cv=pw.SpatialBlockGroupKFold(2, 300))
    fitted = pw.fit_pixelwise(search, None, label, catalog=catalog, n_pixels=300, random_state=0)
    assert fitted.predict(catalog[0].load()).shape == (60, 70)


def test_measurements_are_learned_by_regressors(catalog) -> None:
    fitted = pw.fit_pixelwise(Ridge(), None, NDVI, catalog=catalog, n_pixels=500, random_state=0)
    assert pw.PixelwiseRegressor(fitted)(catalog[0].load()).dtype == np.float32
    with pytest.raises(LabelError, match=r"labels such as .* are no classes"):
        pw.fit_pixelwise(DecisionTreeClassifier(), None, NDVI, catalog=catalog, n_pixels=50)


@pytest.mark.parametrize(
    ("estimator", "wrapper"),
    [
        (PCA(2, whiten=True), pw.PixelwiseTransformer),
        (MiniBatchKMeans(3, random_state=0, n_init=1), pw.PixelwiseClusterer),
    ],
    ids=["pca", "kmeans"],
)
def test_estimators_without_labels_need_none(catalog, estimator, wrapper) -> None:
    fitted = pw.fit_pixelwise(estimator, FEATURES, None, catalog=catalog, n_pixels=500, random_state=0)
    assert wrapper(fitted)(FEATURES(catalog[0].load())).shape[-2:] == (60, 70)


def test_gaps_reach_estimators_that_take_them(tmp_path, write) -> None:
    values = np.arange(300, dtype="int16").reshape(3, 10, 10) % 47 + 1
    values[0, :4] = -9999
    write(values, "a.tif", names=("a", "b", "label"), nodata=-9999)
    catalog = pw.open_catalog(tmp_path / "a.tif")

    def label(chip):
        return (chip.sel(band=["label"]) > 20).astype("uint8")

    def bands(chip):
        return chip.sel(band=["a", "b"])

    report = pw.TrainingReport()
    pipe = make_pipeline(SimpleImputer(), Ridge())
    pw.fit_pixelwise(pipe, bands, label, catalog=catalog, nan_policy=pw.NanPolicy(on_input="propagate"), report=report)
    assert report.totals()["kept"] == 100
    pw.fit_pixelwise(
        HistGradientBoostingClassifier(max_iter=2), bands, label, catalog=catalog, nan_policy="auto", report=report
    )
    assert report.totals()["kept"] == 100
    pw.fit_pixelwise(DecisionTreeRegressor(), bands, label, catalog=catalog, report=report)
    assert report.totals()["kept"] == 60
    with pytest.raises(MissingDataError, match="put a SimpleImputer in front"):
        pw.fit_pixelwise(Ridge(), bands, label, catalog=catalog, nan_policy="impute")


# ---------------------------------------------------------------------- dates


@pytest.fixture
def dated(landsat_series, tmp_path, write):
    """A catalog of one place, a function that gives its chips three dates, and labels."""
    dates = list(landsat_series)[40:43]
    stack = pw.open_raster([{band: landsat_series[date][band] for band in ("b3", "b4")} for date in dates], times=dates)
    write(np.ones((1, *stack.shape[-2:]), "uint8"), "a.tif", crs=stack.rio.crs, transform=stack.rio.transform())

    def series(chip):
        return stack.sel(y=chip.y, x=chip.x, method="nearest")

    middle = float(stack.x[30])

    def label(chip):
        return np.broadcast_to(chip.x.values > middle, chip.shape).astype("uint8")

    return pw.open_catalog(tmp_path / "a.tif"), series, label, stack


@pytest.mark.parametrize("how", ["features", "samples"])
def test_dates_become_features_or_samples_as_the_adapter_says(dated, how) -> None:
    catalog, series, label, stack = dated
    adapter = pw.ToTemporalPixelMajor(time_handling=how)
    fitted = pw.fit_pixelwise(
        DecisionTreeClassifier(max_depth=3), series, label, catalog=catalog, adapter=adapter, n_pixels=200, random_state=0,
        sampler=pw.GridSampler((20, 20)),
    )  # fmt: skip
    assert len(fitted.feature_names_in_) == (6 if how == "features" else 2)
    predicted = pw.PixelwiseClassifier(fitted, adapter=adapter)(stack)
    assert predicted.shape[-2:] == stack.shape[-2:]
    wrapped = pw.fit_pixelwise(
        pw.PixelwiseClassifier(DecisionTreeClassifier(max_depth=3)), series, label, catalog=catalog, adapter=adapter,
        n_pixels=200, random_state=0, sampler=pw.GridSampler((20, 20)),
    )  # fmt: skip
    assert wrapped.adapter == adapter
    other = pw.PixelwiseClassifier(DecisionTreeClassifier(), adapter=pw.ToPixelMajor())
    with pytest.raises(GridError, match="leave one of them out"):
        pw.fit_pixelwise(other, series, label, catalog=catalog, adapter=adapter)


# ---------------------------------------------------------------------- what goes wrong


def test_a_classifier_without_labels_is_told_so(catalog) -> None:
    with pytest.raises(LabelError, match="DecisionTreeClassifier learns from labels: give y_pipeline"):
        pw.fit_pixelwise(DecisionTreeClassifier(), None, catalog=catalog)


@pytest.mark.parametrize("wrong", [DecisionTreeClassifier, "forest"], ids=["class", "text"])
def test_what_is_no_estimator_is_refused(catalog, wrong) -> None:
    with pytest.raises(TypeError, match="has no fit"):
        pw.fit_pixelwise(wrong, None, catalog=catalog)


# ---------------------------------------------------------------------- several rasters a scene


@pytest.fixture
def fused(catalog, whole, tmp_path) -> tuple[pw.GeoCatalog, pw.Graph]:
    """The three scenes of one CRS with a coarser raster beside each, and a graph that stacks both."""
    coarse = whole.isel(band=[2]).coarsen(y=2, x=2).mean().assign_coords(band=["VV"])
    coarse.astype("float32").rio.write_crs(whole.rio.crs).rio.to_raster(tmp_path / "sar.tif")
    optical, sar = pw.Input("optical"), pw.Input("sar")
    stack = pw.fusion.AlignAndStack(target_grid="optical")(optical, pw.sar.LeeSpeckle(window=3)(sar))
    graph = pw.Graph(inputs={"optical": optical, "sar": sar}, outputs={"features": stack})
    return catalog.take([0, 1, 2]).assign(sar_uri=str(tmp_path / "sar.tif")), graph


def test_a_graph_takes_files_beside_the_scene_as_further_inputs(fused, label) -> None:
    catalog, graph = fused
    large, _ = pw.sample_pixels(catalog, graph, label, sampler=pw.GridSampler((100, 100)))
    small, _ = pw.sample_pixels(catalog, graph, label, sampler=pw.GridSampler((16, 16)))
    assert large.shape[1] == 4
    assert np.allclose(large, small, rtol=1e-5)
    here = large.scene == 2
    alone = graph({"optical": catalog[2].load(), "sar": pw.open_raster(catalog[2].metadata["sar_uri"])})
    expected = alone.values[:, *np.divmod(large.pixel[here], catalog[2].grid.width)].T
    assert np.allclose(np.asarray(large)[here], expected, rtol=1e-5)
    fitted = pw.fit_pixelwise(DecisionTreeClassifier(max_depth=2), graph, label, catalog=catalog, n_pixels=200, random_state=0)
    assert len(fitted.feature_names_in_) == 4


def test_inputs_that_nothing_tells_apart_or_that_lie_elsewhere_are_refused(fused, label, landsat) -> None:
    catalog, graph = fused
    with pytest.raises(CatalogError, match="scene S2_a_20170211 has neither optical_uri and sar_uri"):
        pw.sample_pixels(pw.GeoCatalog(catalog.frame.drop(columns="sar_uri")), graph, label)
    with pytest.raises(GridError, match="sar_uri of scene S2_a_20170211 lies elsewhere"):
        pw.sample_pixels(catalog.assign(sar_uri=str(landsat)), graph, label)


def test_dates_of_landsat_with_flags_are_learned_from_where_they_are_clear(sentinel) -> None:
    folder = sentinel["B02"].parents[2] / "lsts"
    bands = {"b3": "*_b3.tif", "b4": "*_b4.tif", "b5": "*_b5.tif", "fmask": "*_fmask.tif"}
    catalog = pw.open_catalog(folder, bands=bands).take(slice(0, 19))

    def clear(chip):
        """Keep land and water, as Fmask has them."""
        return chip.sel(band=["b3", "b4", "b5"]).where(chip.sel(band="fmask").isin([0, 1]))

    def infrared(chip):
        return chip.sel(band=["b5"]) > 1500

    report = pw.TrainingReport()
    fitted = pw.fit_pixelwise(
        DecisionTreeClassifier(max_depth=3), clear, infrared, catalog=catalog, n_pixels=2000, random_state=0, report=report
    )
    assert fitted.feature_names_in_.tolist() == ["b3", "b4", "b5"]
    total = report.totals()
    assert total["seen"] == 19 * 61 * 61
    assert total["no_data"] > 0
    assert total["masked"] > 0
    assert total["kept"] == 2000
    expected = 0
    for scene in catalog:
        chip = scene.load().values
        expected += int(((chip[:3] != -9999).all(axis=0) & np.isin(chip[3], [0, 1])).sum())
    assert total["valid"] == expected


def test_regions_and_switches_know_the_scenes_of_a_catalog_by_its_columns(catalog, label) -> None:
    catalog = catalog.assign(half=["u", "u", "v", "v"])
    regional = pw.RegionalEstimator(pw.PixelwiseClassifier(DecisionTreeClassifier(max_depth=3)), region="half", min_samples=2)
    fitted = pw.fit_pixelwise(regional, None, label, catalog=catalog, random_state=0)
    assert fitted.regions_["model"].to_dict() == {"u": "u", "v": "v"}
    X, y = pw.sample_pixels(catalog, None, label, random_state=0)
    alone = {}
    for tile, scenes in {"u": [0, 1], "v": [2, 3]}.items():
        here = np.isin(X.scene, scenes)
        alone[tile] = pw.PixelwiseClassifier(DecisionTreeClassifier(max_depth=3)).fit(X[here], y[here])
        np.testing.assert_array_equal(fitted.predict(X[here]), alone[tile].predict(X[here]))
        np.testing.assert_array_equal(
            fitted.predict(catalog[scenes[-1]].load()), alone[tile].predict(catalog[scenes[-1]].load())
        )
    mixed = pw.PixelTable.concat([X[X.scene == 3], X[X.scene == 1]])
    switch = pw.core.Switch(key="half", cases=alone)
    np.testing.assert_array_equal(switch.predict(mixed), fitted.predict(mixed))
