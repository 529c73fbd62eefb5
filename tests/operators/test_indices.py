from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import pixelwise as pw
from pixelwise.errors import BandError
from pixelwise.operators.base import Operator

NDVI = pw.indices.NDVI(red="B04", nir="B08")


def test_ndvi_and_ndwi_are_what_their_formulas_say(raster: xr.DataArray) -> None:
    red, nir, green = (raster.sel(band=b).astype("float32").values for b in ("B04", "B08", "B03"))
    assert np.array_equal(NDVI(raster).values[0], (nir - red) / (nir + red))
    assert np.array_equal(pw.indices.NDWI(green=1, nir=-1)(raster).values[0], (green - nir) / (green + nir))


def test_a_division_by_zero_is_nan_and_quiet() -> None:
    assert np.isnan(pw.indices.NDVI(0, 1)(np.zeros((2, 1, 1)))).all()


def test_the_index_of_missing_data_is_missing(write: Any, values: np.ndarray) -> None:
    holes = values.copy()
    holes[3, 0, 0] = 0
    out = pw.indices.AppendIndex(NDVI)(pw.open_raster(write(holes, nodata=0)))
    assert np.isnan(out.values[:, 0, 0]).tolist() == [False, False, False, True, True]
    assert np.isnan(out.rio.nodata)


def test_a_table_and_a_raster_give_the_same(raster: xr.DataArray, polygons: Path) -> None:
    X, _ = pw.extract_pixels(raster, polygons, column="class")
    operator = pw.indices.AppendIndex(NDVI, name="ndvi")
    table = operator.fit_transform(X)
    assert table.feature_names == ("B02", "B03", "B04", "B08", "ndvi")
    flat = pw.ToPixelMajor()(operator(raster))
    assert np.array_equal(np.asarray(table), flat[X.pixel])
    assert np.array_equal(table.xy, X.xy)
    frame = pd.DataFrame(np.asarray(X), columns=list(X.feature_names))
    assert np.array_equal(operator.transform(frame), np.asarray(table))
    assert operator.set_output(transform="pandas").fit_transform(frame).columns.tolist() == list(table.feature_names)


def test_a_lazy_raster_stays_lazy(raster: xr.DataArray) -> None:
    operator = pw.indices.AppendIndex(NDVI)
    lazy = operator(raster.chunk({"y": 16, "x": 33}))
    assert lazy.chunks is not None
    xr.testing.assert_equal(lazy.compute(), operator(raster))


def test_names_that_are_not_there_are_told(raster: xr.DataArray) -> None:
    with pytest.raises(BandError, match="red='B99' is no band of the raster: choose one of B02, B03, B04, B08"):
        pw.indices.NDVI(red="B99", nir="B08")(raster)
    with pytest.raises(BandError, match="nir=4 is no band"):
        pw.indices.NDVI(red=0, nir=4)(raster)
    with pytest.raises(BandError, match="has a band 'B02' already"):
        pw.indices.AppendIndex(NDVI, name="B02")(raster)


def test_in_a_pipeline_the_model_sees_the_index(raster: xr.DataArray, polygons: Path) -> None:
    X, y = pw.extract_pixels(raster, polygons, column="class")
    pipeline = make_pipeline(pw.indices.AppendIndex(NDVI), pw.PixelwiseClassifier(RandomForestClassifier(5, random_state=0)))
    assert pipeline.fit(X, y).predict(raster).dims == ("y", "x")
    assert pipeline[-1].feature_names_in_.tolist() == ["B02", "B03", "B04", "B08", "NDVI"]
    search = GridSearchCV(
        pipeline, {"pixelwiseclassifier__estimator__max_depth": [1, 2]}, cv=pw.SpatialBlockGroupKFold(3, 150)
    ).fit(X, y)
    assert search.predict(raster).shape == (60, 80)


def test_feature_names_come_out(raster: xr.DataArray) -> None:
    operator = pw.indices.AppendIndex(NDVI)
    assert operator.get_feature_names_out(["B04", "B08"]).tolist() == ["B04", "B08", "NDVI"]
    assert operator.fit(raster) is operator


def test_the_base_has_no_formula(raster: xr.DataArray) -> None:
    with pytest.raises(NotImplementedError):
        Operator()(raster)


def test_bands_may_be_given_by_position_alone(raster: xr.DataArray) -> None:
    assert np.array_equal(pw.indices.NDVI(red_idx=2, nir_idx=3)(raster), NDVI(raster))
    assert np.array_equal(pw.indices.NDWI(green_idx=1, nir="B08")(raster), pw.indices.NDWI(green="B03", nir="B08")(raster))
    copy = clone(pw.indices.NDVI(red_idx=2, nir_idx=3)).set_params(red_idx=0)
    assert copy.get_params() == {"red": None, "nir": None, "red_idx": 0, "nir_idx": 3}


def test_a_band_given_twice_or_not_at_all_is_told(raster: xr.DataArray) -> None:
    with pytest.raises(BandError, match="NDVI got red='B04' and red_idx=2: give one of the two"):
        pw.indices.NDVI(red="B04", nir="B08", red_idx=2)(raster)
    with pytest.raises(BandError, match="NDWI got green=None and green_idx=None"):
        pw.indices.NDWI(nir=3)(raster)
    with pytest.raises(BandError, match="red_idx=9 is no band"):
        pw.indices.NDVI(red_idx=9, nir_idx=3)(raster)


@pytest.mark.parametrize("operator", [NDVI, pw.indices.AppendIndex(NDVI)], ids=["alone", "appended"])
def test_dates_and_attributes_stay(operator: Operator, raster: xr.DataArray) -> None:
    times = np.array(["2024-01-03", "2024-02-01"], "datetime64[ns]")
    stack = xr.concat([raster, raster + 5], xr.DataArray(times, dims="time")).transpose("band", "time", "y", "x")
    stack = stack.assign_attrs(orbit=22)
    found = operator(stack)
    assert (found.dims, found.attrs["orbit"]) == (stack.dims, 22)
    assert np.array_equal(found.time, times)
    assert np.array_equal(found[-1, 0], NDVI(raster)[0])
    plain = operator(pw.Raster(raster.values, pw.unwrap(raster).grid, pw.unwrap(raster).bands, attrs={"orbit": 22}))
    assert plain.attrs == {"orbit": 22}


def test_what_comes_in_is_left_as_it_is() -> None:
    stored = np.array([[[0.1, np.nan, 0.3]], [[0.4, 0.5, -3e38]]])
    before = stored.copy()
    for operator in (
        pw.indices.NDVI(0, 1),
        pw.indices.AppendIndex(pw.indices.NDVI(0, 1)),
        pw.sar.LinearToDB(),
        pw.sar.LeeSpeckle(3),
    ):
        found = operator(stored)
        assert not np.shares_memory(found, stored)
        assert np.isnan(found[-1, 0, 2])
    assert np.array_equal(stored, before, equal_nan=True)


def test_an_index_of_more_precise_numbers_keeps_them() -> None:
    places = pw.indices.AppendIndex(pw.spatial.BlockID(10, append=False))(np.zeros((1, 2, 2), "float32"))
    assert places.dtype == np.float64


def test_an_index_of_several_bands_is_told() -> None:
    with pytest.raises(BandError, match="Coordinates makes 2 bands, and AppendIndex appends one"):
        pw.indices.AppendIndex(pw.spatial.Coordinates(append=False))(np.zeros((1, 2, 2)))
