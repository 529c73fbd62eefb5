"""Models of time series on 20 real Landsat scenes: the wrappers with each layout, operators in front, and what must not mix."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

import pixelwise as pw
from pixelwise.errors import BandError, GridError, MissingDataWarning

BOOSTER = HistGradientBoostingClassifier(max_iter=3, random_state=0)
FOREST = RandomForestClassifier(10, random_state=0)
FEATURES, SAMPLES = pw.ToTemporalPixelMajor("features"), pw.ToTemporalPixelMajor("samples")


@pytest.fixture(scope="module")
def stack(landsat_series: dict[str, dict[str, Path]]) -> xr.DataArray:
    """Red and near infrared of 20 dates, as float32 with NaN."""
    dates = list(landsat_series)[:20]
    files = [{band: landsat_series[date][band] for band in ("b3", "b4")} for date in dates]
    opened = pw.open_raster(files, times=dates)
    return opened.astype("float32").where(opened != opened.rio.nodata).rio.write_crs(opened.rio.crs)


@pytest.fixture(scope="module")
def labels(stack: xr.DataArray) -> xr.DataArray:
    """1 where the series are green on the whole, else 2; 0 in between."""
    mean = stack.mean("time")
    index = (mean.sel(band="b4") - mean.sel(band="b3")) / mean.sum("band")
    low, high = np.nanquantile(index, [0.3, 0.7])
    made = xr.where(index > high, 1, xr.where(index < low, 2, 0)).astype("uint8")
    return made.rio.write_crs(stack.rio.crs).rio.write_nodata(0)


@pytest.fixture(scope="module")
def table(stack: xr.DataArray, labels: xr.DataArray) -> tuple[pw.PixelTable, np.ndarray]:
    return pw.extract_pixels(stack, labels, nan="propagate", max_per_class=300, random_state=0)


def columns_of(stack: xr.DataArray) -> np.ndarray:
    """Return all series as rows, by hand."""
    return np.stack([layer.ravel() for band in pw.unwrap(stack).values for layer in band], axis=1)


def test_a_year_of_bands_is_a_row_of_features(stack: xr.DataArray, table: tuple[pw.PixelTable, np.ndarray]) -> None:
    X, y = table
    model = pw.Sequential([pw.temporal.LinearGapFill(), pw.PixelwiseClassifier(FOREST, adapter=FEATURES)]).fit(X, y)
    made = model.predict(stack)
    assert (made.dims, made.dtype, made.rio.crs) == (("y", "x"), "uint8", stack.rio.crs)
    filled = columns_of(pw.temporal.LinearGapFill()(stack))
    whole = ~np.isnan(filled).any(axis=1)
    rows = np.ravel_multi_index(np.divmod(X.pixel, 61), (61, 61))
    kept = whole[rows]
    bare = RandomForestClassifier(10, random_state=0).fit(filled[rows][kept], y[kept])
    assert np.array_equal(made.values.ravel()[whole], bare.predict(filled[whole]))
    assert (made.values.ravel()[~whole] == 255).all()
    assert model.feature_names_in_.tolist() == list(X.feature_names)


def test_without_an_adapter_dates_are_features(stack: xr.DataArray, table: tuple[pw.PixelTable, np.ndarray]) -> None:
    X, y = table
    plain = pw.PixelwiseClassifier(BOOSTER, nan="auto").fit(X, y)
    named = pw.PixelwiseClassifier(BOOSTER, nan="auto", adapter=FEATURES).fit(X, y)
    assert plain.adapter_ == FEATURES
    xr.testing.assert_equal(plain.predict(stack), named.predict(stack))
    assert plain.predict_proba(stack).dims == ("band", "y", "x")


def test_samples_are_mapped_date_by_date(stack: xr.DataArray, table: tuple[pw.PixelTable, np.ndarray]) -> None:
    X, y = table
    model = pw.PixelwiseClassifier(FOREST, adapter=SAMPLES).fit(X, y)
    assert model.feature_names_in_.tolist() == ["b3", "b4"]
    made = model.predict(stack)
    assert made.dims == ("time", "y", "x")
    assert np.array_equal(made.time, stack.time)
    for step in (0, 7, 19):
        single = pw.PixelwiseClassifier(model.estimator_).predict(stack.isel(time=step, drop=True))
        assert np.array_equal(made[step], single)
    proba = model.predict_proba(stack)
    assert (proba.dims, proba.shape) == (("band", "time", "y", "x"), (2, 20, 61, 61))
    assert proba.band.values.tolist() == ["1", "2"]
    assert 0.6 < model.score(X, y) <= 1
    assert cross_val_score(model, X, y, cv=3, error_score="raise").mean() > 0.6
    rows = SAMPLES(X)
    assert np.array_equal(model.predict(rows)[: len(X)], model.estimator_.predict(np.asarray(rows)[: len(X)]))
    with pytest.raises(GridError, match="gives a prediction a date, and this table has a row a pixel"):
        model.predict(X)


def test_a_lazy_stack_gives_the_same_lazily(stack: xr.DataArray, table: tuple[pw.PixelTable, np.ndarray]) -> None:
    X, y = table
    for adapter in (FEATURES, SAMPLES):
        model = pw.PixelwiseClassifier(BOOSTER, nan="auto", adapter=adapter).fit(X, y)
        lazy = model.predict(stack.chunk({"x": 25, "y": 31}))
        assert lazy.chunks is not None
        xr.testing.assert_equal(lazy.compute(), model.predict(stack))


def test_datasets_with_a_variable_a_band_keep_their_dates(stack: xr.DataArray, table: tuple[pw.PixelTable, np.ndarray]) -> None:
    X, y = table
    dataset = stack.to_dataset("band")
    filled = pw.temporal.LinearGapFill()(dataset)
    assert isinstance(filled, xr.Dataset)
    assert filled["b3"].dims == ("time", "y", "x")
    assert np.array_equal(filled["b4"], pw.temporal.LinearGapFill()(stack).sel(band="b4"), equal_nan=True)
    for adapter, dims in ((FEATURES, ("y", "x")), (SAMPLES, ("time", "y", "x"))):
        model = pw.PixelwiseClassifier(BOOSTER, nan="auto", adapter=adapter).fit(X, y)
        made = model.predict(dataset)
        assert isinstance(made, xr.Dataset)
        assert made["predict"].dims == dims
        assert np.array_equal(made["predict"], model.predict(stack))
        lazy = model.predict(dataset.chunk({"x": 20}))
        assert np.array_equal(lazy["predict"].compute(), made["predict"])


def test_bare_arrays_go_through_all_layouts(stack: xr.DataArray, labels: xr.DataArray) -> None:
    values = np.nan_to_num(stack.values, nan=700.0)
    known = np.ma.masked_equal(labels.values, 0)
    for adapter, shape in ((FEATURES, (61, 61)), (SAMPLES, (20, 61, 61))):
        model = pw.PixelwiseClassifier(LogisticRegression(), adapter=adapter).fit(values, known)
        assert model.predict(values).shape == shape


def test_a_raster_fits_as_its_table_does(stack: xr.DataArray, labels: xr.DataArray) -> None:
    X, y = pw.extract_pixels(stack, labels, nan="propagate")
    for adapter in (FEATURES, SAMPLES):
        one = pw.PixelwiseClassifier(BOOSTER, nan="auto", adapter=adapter).fit(X, y)
        two = pw.PixelwiseClassifier(BOOSTER, nan="auto", adapter=adapter).fit(stack, labels)
        xr.testing.assert_equal(one.predict(stack), two.predict(stack))


def test_weights_follow_the_rows(table: tuple[pw.PixelTable, np.ndarray]) -> None:
    X, y = table
    weight = np.where(y == 1, 1.0, 1e-6)
    model = pw.PixelwiseClassifier(LogisticRegression(), adapter=SAMPLES).fit(X, y, sample_weight=weight)
    assert (model.predict(SAMPLES(pw.temporal.LinearGapFill().fit_transform(X[:50]))) == 1).mean() > 0.9


def test_operators_see_dates_in_a_search(stack: xr.DataArray, table: tuple[pw.PixelTable, np.ndarray]) -> None:
    X, y = table
    steps = pw.Sequential(
        [
            pw.temporal.LinearGapFill(),
            pw.indices.AppendIndex(pw.indices.NDVI(red="b3", nir="b4"), name="ndvi"),
            pw.PixelwiseClassifier(make_pipeline(SelectKBest(k=20), FOREST), adapter=FEATURES),
        ]
    )
    cv = pw.SpatialBlockGroupKFold(3, block_size=300)
    search = GridSearchCV(steps, {"pixelwiseclassifier__estimator__selectkbest__k": [5, 60]}, cv=cv, error_score="raise").fit(
        X, y
    )
    assert search.best_score_ > 0.8
    assert search.predict(stack).dims == ("y", "x")
    assert search.best_estimator_[-1].n_features_in_ == 60
    assert next(name for name in search.best_estimator_[-1].feature_names_in_ if name.startswith("ndvi")) == "ndvi_2008-04-19"


def test_what_reduces_time_goes_in_front_of_any_model(stack: xr.DataArray, table: tuple[pw.PixelTable, np.ndarray]) -> None:
    X, y = table
    steps = pw.Sequential([pw.temporal.PercentileComposite(q=[25, 75]), pw.PixelwiseClassifier(FOREST)]).fit(X, y)
    assert steps[-1].adapter_ == pw.ToPixelMajor()
    assert steps[-1].feature_names_in_.tolist() == ["b3_p25", "b3_p75", "b4_p25", "b4_p75"]
    assert steps.predict(stack).shape == (61, 61)


def test_places_are_repeated_for_each_date_in_tables_as_in_rasters(
    stack: xr.DataArray, table: tuple[pw.PixelTable, np.ndarray]
) -> None:
    X, _ = table
    for append in (True, False):
        operator = pw.spatial.Coordinates(append=append)
        rows, raster = operator.fit_transform(X), pw.unwrap(operator(stack))
        row, col = np.divmod(X.pixel, 61)
        assert rows.base_bands == raster.bands
        expected = np.stack([layer[row, col] for band in raster.values for layer in band], axis=1)
        assert np.array_equal(np.asarray(rows), expected, equal_nan=True)


def test_texture_looks_round_the_pixels_of_a_stack(stack: xr.DataArray, table: tuple[pw.PixelTable, np.ndarray]) -> None:
    X, _ = table
    operator = pw.texture.LocalMean(window=3)
    rows, raster = operator.fit_transform(X), pw.unwrap(operator(stack))
    row, col = np.divmod(X.pixel, 61)
    expected = np.stack([layer[row, col] for band in raster.values for layer in band], axis=1)
    assert np.array_equal(np.asarray(rows), expected, equal_nan=True)
    assert rows.times is not None
    assert np.array_equal(rows.times, stack.time)


def test_a_regressor_and_a_transformer_take_series(stack: xr.DataArray, table: tuple[pw.PixelTable, np.ndarray]) -> None:
    X, _ = table
    filled = pw.temporal.LinearGapFill().fit_transform(X)
    target = np.nanmean(np.asarray(X), axis=1)
    raster = pw.temporal.LinearGapFill()(stack)
    made = pw.PixelwiseRegressor(RandomForestRegressor(5, random_state=0)).fit(filled, target).predict(raster)
    assert (made.dims, made.dtype) == (("y", "x"), "float32")
    parts = pw.PixelwiseTransformer(PCA(3)).fit(filled).transform(raster)
    assert parts.band.values.tolist() == ["pca0", "pca1", "pca2"]
    dated = pw.PixelwiseRegressor(RandomForestRegressor(5, random_state=0), adapter=SAMPLES).fit(filled, target)
    assert dated.predict(raster).dims == ("time", "y", "x")


def test_the_layout_of_the_fit_is_kept_and_another_one_is_refused(
    stack: xr.DataArray, table: tuple[pw.PixelTable, np.ndarray]
) -> None:
    X, y = table
    model = pw.PixelwiseClassifier(BOOSTER, nan="auto", adapter=FEATURES).fit(X, y)
    model = pickle.loads(pickle.dumps(model))
    message = (
        r"fitted with adapter=ToTemporalPixelMajor\(time_handling='features'\), and is applied with "
        r"ToTemporalPixelMajor\(time_handling='samples'\)"
    )
    with pytest.raises(GridError, match=message):
        model.set_params(adapter=SAMPLES).predict(stack)
    with pytest.raises(GridError, match=message):
        model.predict(X)
    model.set_params(adapter=FEATURES).predict(stack)
    single = pw.PixelwiseClassifier(FOREST, nan="auto").fit(
        *pw.extract_pixels(stack.isel(time=11, drop=True), (stack[0, 11] > 500).astype("uint8").drop_vars("time"))
    )
    with pytest.raises(GridError, match=r"fitted with adapter=ToPixelMajor\(\), and is applied with ToTemporalPixelMajor"):
        single.predict(stack)
    with pytest.raises(GridError, match="has no time axis: stack dates"):
        model.predict(stack.isel(time=0, drop=True))


def test_another_season_is_refused_and_its_dates_are_named(
    stack: xr.DataArray, table: tuple[pw.PixelTable, np.ndarray]
) -> None:
    X, y = table
    model = pw.PixelwiseClassifier(BOOSTER, nan="auto").fit(X, y)
    later = stack.assign_coords(time=stack.time + np.timedelta64(365, "D"))
    with pytest.raises(BandError, match=r"lacks band b3_2008-04-19, .*pw\.temporal\.MonthlyComposite"):
        model.predict(later)
    shuffled = stack.isel(time=np.random.default_rng(0).permutation(20), band=[1, 0])
    xr.testing.assert_equal(model.predict(shuffled), model.predict(stack))
    monthly = pw.Sequential([pw.temporal.MonthlyComposite(), pw.PixelwiseClassifier(BOOSTER, nan="auto")])
    with pytest.warns(MissingDataWarning, match="band b3_01, b3_02, b3_03, b3_11"):
        monthly.fit(X, y)
    assert np.array_equal(monthly.predict(later), monthly.predict(stack))


def test_a_date_without_any_data_is_reported_and_left_out(stack: xr.DataArray, labels: xr.DataArray) -> None:
    holed = stack.copy()
    holed[:, 4] = np.nan
    with pytest.warns(MissingDataWarning, match="has no valid pixel in the labelled pixels"):
        X, y = pw.extract_pixels(holed, labels, nan="propagate", max_per_class=100, random_state=0)
    with pytest.warns(MissingDataWarning, match="the model is fitted without it"):
        model = pw.PixelwiseClassifier(BOOSTER, nan="auto").fit(X, y)
    assert model.estimator_.n_features_in_ == 38
    assert (model.predict(holed) != 255).all()


def test_maps_of_dates_go_to_a_file(stack: xr.DataArray, table: tuple[pw.PixelTable, np.ndarray], tmp_path: Path) -> None:
    X, y = table
    model = pw.PixelwiseClassifier(FOREST, adapter=SAMPLES).fit(X, y)
    made: Any = pw.open_raster(pw.predict_raster(model, stack, tmp_path / "maps.tif"))
    assert made.band.values.tolist()[0] == "2008-04-19"
    assert np.array_equal(made, model.predict(stack))
