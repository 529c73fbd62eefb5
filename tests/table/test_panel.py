from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.utils import shuffle

import pixelwise as pw
from pixelwise.errors import GridError


@pytest.fixture(scope="module")
def table(landsat_series: dict[str, dict[str, Path]]) -> tuple[pw.PixelTable, np.ndarray, xr.DataArray]:
    """Series of pixels that are green in July, or not, without gaps, and the stack that they came from."""
    dates = list(landsat_series)[:8]
    stack = pw.open_raster([{band: landsat_series[date][band] for band in ("b3", "b4")} for date in dates], times=dates)
    filled = pw.temporal.LinearGapFill()(stack)
    green = (filled.sel(band="b4") > 2 * filled.sel(band="b3")).sum("time") > 5
    X, y = pw.extract_pixels(filled, green.astype("uint8").rio.write_crs(stack.rio.crs), nan="drop")
    return X, y, filled


class SeriesForest(ClassifierMixin, BaseEstimator):
    """A classifier of series that takes arrays of three axes and nothing else."""

    def fit(self, X, y):
        assert type(X) is np.ndarray or isinstance(X, pw.PanelTable)
        assert X.ndim == 3
        self.classes_, self.shape_ = np.unique(y), X.shape[1:]
        self.forest_ = RandomForestClassifier(5, random_state=0).fit(np.asarray(X).mean(axis=2), y)
        return self

    def predict(self, X):
        assert X.shape[1:] == self.shape_
        return self.forest_.predict(np.asarray(X).mean(axis=2))


def test_a_panel_is_an_array_of_series(table: tuple[pw.PixelTable, np.ndarray, xr.DataArray]) -> None:
    X, _, _ = table
    panel = pw.ToTemporalPixelMajor("panel")(X)
    assert isinstance(panel, np.ndarray)
    assert panel.shape == (len(X), 2, 8)
    assert np.array_equal(panel[:, 1], np.asarray(X)[:, 8:])
    assert panel.to_features().feature_names == X.feature_names
    assert repr(panel).startswith(f"PanelTable({len(X)} pixels x 2 bands x 8 dates")


def test_rows_keep_their_places_and_anything_else_is_an_array(table: tuple[pw.PixelTable, np.ndarray, xr.DataArray]) -> None:
    X, y, _ = table
    panel = pw.ToTemporalPixelMajor("panel")(X)
    rows = np.random.default_rng(0).permutation(len(X))[:20]
    for part in (panel[rows], panel.take(rows, axis=0), panel[rows, :, :], panel[rows, ...]):
        assert isinstance(part, pw.PanelTable)
        assert np.array_equal(part.xy, X.xy[rows])
        assert np.array_equal(part, np.asarray(panel)[rows])
    assert np.array_equal(panel[3:9][[1, 2]].pixel, X.pixel[[4, 5]])
    mask = np.zeros(len(X), bool)
    mask[[2, 5]] = True
    assert np.array_equal(panel[mask].pixel, X.pixel[[2, 5]])
    for made in (panel[0], panel[:, 0], panel + 1, panel.mean(axis=0), panel[..., 0], panel.take([0], axis=1)):
        assert not isinstance(made, pw.PanelTable)
    again = pickle.loads(pickle.dumps(panel[rows]))
    assert np.array_equal(again.xy, X.xy[rows])
    assert np.array_equal(again, panel[rows])
    mixed, labels = shuffle(panel, y, random_state=0)
    assert np.array_equal(y[np.searchsorted(X.pixel, mixed.pixel)], labels)
    for made in (np.sort(panel, axis=2), panel[..., :1], panel.copy()):
        assert not isinstance(made, pw.PanelTable) or made._store is None
        assert repr(made).startswith("array")


def test_a_classifier_of_series_is_split_in_space_as_it_is_and_in_the_wrapper(
    table: tuple[pw.PixelTable, np.ndarray, xr.DataArray],
) -> None:
    X, y, stack = table
    panel = pw.ToTemporalPixelMajor("panel")(X)
    cv = pw.SpatialBlockGroupKFold(3, block_size=300)
    adapter = pw.ToTemporalPixelMajor("panel")
    wrapped = pw.PixelwiseClassifier(SeriesForest(), adapter=adapter)
    bare = cross_val_predict(SeriesForest(), panel, y, cv=cv)
    for data in (X, panel):
        assert np.array_equal(cross_val_predict(wrapped, data, y, cv=cv), bare)
    assert cross_val_score(wrapped, X, y, cv=cv, error_score="raise").mean() > 0.7
    outside = GridSearchCV(wrapped, {"nan": ["mask"]}, cv=cv, error_score="raise").fit(X, y)
    inside = pw.PixelwiseClassifier(GridSearchCV(SeriesForest(), {}, cv=cv, error_score="raise"), adapter=adapter).fit(X, y)
    made = outside.predict(stack)
    assert made.dims == ("y", "x")
    assert np.array_equal(made, inside.predict(stack))
    fitted = SeriesForest().fit(np.asarray(panel), y)
    valid = made.values != made.rio.nodata
    cube = pw.unwrap(stack).values[:, :, valid]
    assert np.array_equal(made.values[valid], fitted.predict(cube.transpose(2, 0, 1)))


def test_a_pixel_that_lacks_a_date_is_not_given_to_a_classifier_of_series(
    table: tuple[pw.PixelTable, np.ndarray, xr.DataArray],
) -> None:
    X, y, stack = table
    holed = stack.copy()
    holed[:, 3, :5] = np.nan
    model = pw.PixelwiseClassifier(SeriesForest(), adapter=pw.ToTemporalPixelMajor("panel")).fit(X, y)
    made = model.predict(holed)
    assert (made[:5] == made.rio.nodata).all()
    with pytest.warns(pw.errors.MissingDataWarning, match="band b3_2008-05-21, b4_2008-05-21 has no valid pixel"):
        empty = pw.extract_pixels(holed[:, :, :5], np.ones((5, 61), "uint8"), nan="propagate")[0]
    with pytest.raises(ValueError, match="every one of 305 training pixels lacks data"):
        pw.PixelwiseClassifier(SeriesForest(), adapter=pw.ToTemporalPixelMajor("panel")).fit(empty, np.arange(305) % 2)


def test_a_table_without_dates_makes_no_panel(scene: Path, polygons: Path) -> None:
    X, _ = pw.extract_pixels(scene, polygons, column="class")
    with pytest.raises(GridError, match="has no dates along its columns"):
        pw.PanelTable(X)
