from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import pixelwise as pw
from pixelwise.errors import BandError, GridError, MissingDataError


def test_rows_are_pixels_and_missing_data_is_nan(landsat: Path) -> None:
    raster = pw.open_raster(landsat)
    table = pw.RasterToPixelTransformer().fit_transform(raster)
    assert (table.shape, table.dtype) == ((443 * 489, 5), np.float32)
    assert np.array_equal(np.isnan(table), pw.ToPixelMajor()(raster) == -99999)


def test_there_and_back_is_the_identity(raster: xr.DataArray) -> None:
    step = pw.RasterToPixelTransformer()
    back = step.inverse_transform(step.fit_transform(raster))
    assert np.array_equal(back, raster)
    assert (back.rio.crs, back.rio.transform(), back.band.values.tolist()) == (
        raster.rio.crs, raster.rio.transform(), raster.band.values.tolist(),
    )  # fmt: skip
    bare = pw.RasterToPixelTransformer()
    assert isinstance(bare.inverse_transform(bare.fit_transform(raster.values)), np.ndarray)


def test_frames_come_out_where_they_are_asked_for(raster: xr.DataArray) -> None:
    frame = pw.RasterToPixelTransformer().set_output(transform="pandas").fit_transform(raster)
    assert isinstance(frame, pd.DataFrame)
    assert frame.columns.tolist() == ["B02", "B03", "B04", "B08"]


def test_reordered_bands_are_put_right(raster: xr.DataArray, polygons: Path) -> None:
    step = pw.RasterToPixelTransformer().fit(raster)
    assert np.array_equal(step.transform(raster.isel(band=[3, 2, 1, 0])), step.transform(raster))
    X, _ = pw.extract_pixels(raster.isel(band=[3, 2, 1, 0]), polygons, column="class")
    assert np.array_equal(step.transform(X)[:, 0], np.asarray(X)[:, 3])
    with pytest.raises(BandError, match="lacks band B08"):
        step.transform(raster[:3])


def test_a_table_passes_through(polygons: Path, raster: xr.DataArray) -> None:
    X, _ = pw.extract_pixels(raster, polygons, column="class")
    assert np.array_equal(pw.RasterToPixelTransformer().fit_transform(X), np.asarray(X))
    step = pw.RasterToPixelTransformer().fit(np.asarray(X))
    assert step.get_feature_names_out().tolist() == ["band_1", "band_2", "band_3", "band_4"]
    assert step.get_feature_names_out(list("abcd")).tolist() == list("abcd")
    with pytest.raises(GridError, match="pass like=raster"):
        step.inverse_transform(np.asarray(X))


def test_a_mask_is_missing_data() -> None:
    array = np.ma.masked_equal(np.array([[[1, 2], [3, 4]]]), 4)
    assert np.isnan(pw.RasterToPixelTransformer().fit_transform(array)).ravel().tolist() == [False, False, False, True]


def test_missing_data_can_be_an_error(raster: xr.DataArray) -> None:
    holes = raster.astype("float32")
    holes[0, 0, 0] = np.nan
    with pytest.raises(MissingDataError, match="1 values of the raster are missing"):
        pw.RasterToPixelTransformer(nan="raise").fit_transform(holes)


@pytest.mark.parametrize("nan", ["mask", "drop", "impute"])
def test_rows_cannot_be_lost(raster: xr.DataArray, nan: str) -> None:
    with pytest.raises(ValueError, match="would lose rows"):
        pw.RasterToPixelTransformer(nan=nan).fit(raster)


def test_names_must_fit(raster: xr.DataArray) -> None:
    step = pw.RasterToPixelTransformer().fit(raster)
    with pytest.raises(ValueError, match="equal to number of features"):
        step.get_feature_names_out(["a"])
    with pytest.raises(ValueError, match="not equal to feature_names_in_"):
        step.get_feature_names_out(list("abcd"))


def test_rows_must_fill_the_grid(raster: Any) -> None:
    with pytest.raises(GridError, match="does not fill"):
        pw.RasterToPixelTransformer().fit(raster).inverse_transform(np.zeros((3, 4)))
