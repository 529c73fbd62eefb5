from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio.windows import Window
from sklearn.naive_bayes import GaussianNB

import pixelwise as pw
from pixelwise.errors import BandError, GridError, RasterReadError
from pixelwise.raster.open_files import opened


def test_a_scene_loads_as_open_raster_does_with_its_metadata(catalog: pw.GeoCatalog) -> None:
    for scene in catalog:
        loaded, expected = scene.load(), pw.open_raster(scene.uri)
        np.testing.assert_array_equal(loaded, expected)
        assert loaded.dtype == expected.dtype
        assert pw.unwrap(loaded).grid == pw.unwrap(expected).grid
        assert loaded.attrs["tile"] == scene.metadata["tile"]


def test_a_chip_is_the_window_of_the_whole(catalog: pw.GeoCatalog) -> None:
    for scene in catalog:
        whole, window = scene.load(), Window(17, 31, 40, 50)
        chip = scene.load(window, bands=["B08", 0])
        np.testing.assert_array_equal(chip, whole.isel(band=[2, 0], y=slice(31, 81), x=slice(17, 57)))
        assert not pw.unwrap(chip).grid.differs_from(pw.unwrap(whole).grid.window(31, 17, 50, 40))


def test_switch_sees_the_metadata_of_the_catalog(catalog: pw.GeoCatalog) -> None:
    ndvi = pw.indices.NDVI(red="B04", nir="B08")
    chosen = pw.core.Switch(key=lambda gt: gt.metadata["tile"], cases={"32UQD": ndvi}, default=pw.core.Raise("no {key}"))
    assert chosen(catalog[4].load()).band.values.tolist() == ["NDVI"]
    with pytest.raises(LookupError, match="no 33UUU"):
        chosen(catalog[0].load())


def test_slices_are_small_and_survive_pickling(catalog: pw.GeoCatalog) -> None:
    chip = pw.sampling.GridSampler(64)(catalog)[5]
    frozen = pickle.dumps(chip)
    assert len(frozen) < 5000
    again = pickle.loads(frozen)
    assert again == chip
    np.testing.assert_array_equal(again.load(), chip.load())
    assert again.grid == chip.grid


def test_bands_of_other_resolutions_are_read_onto_the_finest_grid_the_same_in_chips_as_in_whole(
    sentinel: dict[str, Path],
) -> None:
    bands = {band: sentinel[band] for band in ("B01", "B02", "B11")}
    catalog = pw.open_catalog(sentinel["B02"].parent, bands={band: f"*_{band}.jp2" for band in bands})
    expected = pw.open_raster(bands)
    np.testing.assert_array_equal(catalog[0].load(), expected)
    chip = catalog[0].load(Window(301, 57, 111, 97))
    np.testing.assert_array_equal(chip, expected.isel(y=slice(57, 154), x=slice(301, 412)))
    assert chip.dtype == "uint16"


def test_resampling_is_chosen_by_band(sentinel: dict[str, Path]) -> None:
    patterns = {"B02": "*_B02.jp2", "B11": "*_B11.jp2", "B12": "*_B12.jp2"}
    folder = sentinel["B02"].parent
    smooth = pw.open_catalog(folder, bands=patterns, resampling={"B11": "bilinear"})[0].load(Window(100, 100, 60, 60))
    plain = pw.open_catalog(folder, bands=patterns)[0].load(Window(100, 100, 60, 60))
    np.testing.assert_array_equal(smooth.sel(band=["B02", "B12"]), plain.sel(band=["B02", "B12"]))
    difference = smooth.sel(band="B11").astype(float) - plain.sel(band="B11")
    assert 0 < float(np.abs(difference).mean()) < 200


def test_a_file_that_does_not_cover_the_scene_gives_nan_in_every_chip(tmp_path: Path, sentinel: dict[str, Path]) -> None:
    whole = pw.open_raster(sentinel["B02"]).isel(y=slice(0, 100), x=slice(0, 100))
    whole.rio.to_raster(tmp_path / "scene_red.tif")
    whole.isel(x=slice(0, 60)).rio.to_raster(tmp_path / "scene_nir.tif")
    with rasterio.open(tmp_path / "scene_red.tif") as red, rasterio.open(tmp_path / "scene_nir.tif") as nir:
        assert (red.nodata, nir.nodata) == (None, None)
    catalog = pw.open_catalog(tmp_path, bands={"red": "*_red.tif", "nir": "*_nir.tif"})
    chips = [catalog[0].load(Window(col, 0, 50, 100)) for col in (0, 50)]
    assert [chip.dtype for chip in chips] == ["float32", "float32"]
    assert [int(np.isnan(chip.sel(band="nir")).sum()) for chip in chips] == [0, 4000]
    assert int(np.isnan(chips[1].sel(band="red")).sum()) == 0


def test_masks_become_nan_in_every_chip(tmp_path: Path, scenes: Path) -> None:
    path = tmp_path / "masked.tif"
    with rasterio.open(scenes / "S2_a_20170211.tif") as file:
        values, profile = file.read(), file.profile
    mask = np.full(values.shape[1:], 255, "uint8")
    mask[:10] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", **profile) as file:
        file.write(values)
        file.write_mask(mask)
    scene = pw.open_catalog(path)[0]
    top, below = scene.load(Window(0, 0, 20, 20)), scene.load(Window(0, 100, 20, 20))
    assert top.dtype == below.dtype == "float32"
    assert int(np.isnan(top).sum()) == 3 * 200


def test_a_band_a_window_and_a_file_that_are_not_there_are_errors(tmp_path: Path, catalog: pw.GeoCatalog, scenes: Path) -> None:
    with pytest.raises(BandError, match=r"scene S2_a_20170211 has no band 'B99': choose one of B02, B04, B08"):
        catalog[0].load(bands=["B99"])
    with pytest.raises(GridError, match="reaches beyond the 200 x 240 pixels"):
        catalog[0].load(Window(200, 0, 50, 50))
    gone = pw.open_catalog(catalog.frame.assign(uri="/nowhere/scene.tif"))[0]
    with pytest.raises(RasterReadError, match=r"/nowhere/scene\.tif"):
        gone.load()


def test_a_file_that_changed_since_the_catalog_was_made_is_an_error(tmp_path: Path, catalog: pw.GeoCatalog) -> None:
    other = catalog.frame["uri"].iloc[3]
    moved = pw.open_catalog(catalog.frame.assign(uri=other))[0]
    with pytest.raises(GridError, match=r"is no longer what the catalog says \(pixels shifted"):
        moved.load()


def test_a_scene_and_a_chip_show_what_they_are(catalog: pw.GeoCatalog) -> None:
    assert repr(catalog[4]).startswith("Scene('S2_e_20170301'")
    assert "EPSG:32632" in repr(catalog[4])
    assert repr(pw.sampling.GridSampler(100)(catalog)[1]) == "GeoSlice('S2_a_20170211', rows 0:100, columns 100:200)"


def test_a_chip_in_plain_parts_is_the_same(catalog: pw.GeoCatalog) -> None:
    chip = pw.sampling.GridSampler(64)(catalog)[7]
    plain, loaded = chip.read(bands=["B08"]), pw.unwrap(chip.load(bands=["B08"]))
    np.testing.assert_array_equal(plain.values, loaded.values)
    assert (plain.grid, plain.bands, plain.nodata, plain.attrs) == (loaded.grid, loaded.bands, loaded.nodata, loaded.attrs)
    np.testing.assert_array_equal(pw.ReadLabel()(plain).values, pw.ReadLabel()(chip.load()))


def test_names_of_the_catalog_hold_where_a_file_has_none(catalog: pw.GeoCatalog, landsat: Path) -> None:
    frame = pw.open_catalog(landsat).frame
    frame["bands"] = [("blue", "green", "red", "nir", "swir")]
    scene = pw.open_catalog(frame)[0]
    assert scene.load(Window(0, 0, 5, 5), bands=["nir", "red"]).band.values.tolist() == ["nir", "red"]
    assert scene.load(Window(0, 0, 5, 5)).band.values.tolist() == list(scene.bands)


def test_nodata_that_the_catalog_tells_of_some_bands_gives_nan_there_alone(catalog: pw.GeoCatalog) -> None:
    values = catalog[0].load().values
    told = replace(catalog[0], nodata=(float(values[0, 0, 0]), None, -9999.0))
    loaded = told.load()
    np.testing.assert_array_equal(np.isnan(loaded), (values == values[0, 0, 0]) & (np.arange(3) == 0)[:, None, None])
    assert told.load(bands=["B08"]).dtype == loaded.dtype == "float32"
    assert replace(catalog[0], nodata=(-9999.0,)).load().rio.nodata is None
    with pytest.raises(BandError, match=r"scene S2_a_20170211 has nodata for 2 bands, and .* more"):
        replace(catalog[0], nodata=(0.0, 1.0)).load()


def test_nodata_that_the_catalog_tells_does_not_spread_into_its_neighbours(tmp_path: Path, sentinel: dict[str, Path]) -> None:
    fine = pw.open_raster(sentinel["B02"]).isel(y=slice(0, 80), x=slice(0, 80))
    coarse = pw.open_raster(sentinel["B11"]).isel(y=slice(0, 40), x=slice(0, 40)).copy()
    coarse[:, :, :20] = 0
    pw.write_raster(fine, tmp_path / "a_B02.tif")
    pw.write_raster(coarse, tmp_path / "a_B11.tif")
    catalog = pw.open_catalog(tmp_path, bands={"B02": "*_B02.tif", "B11": "*_B11.tif"}, resampling={"B11": "bilinear"})
    smooth = catalog.assign(nodata=0)[0].load(bands=["B11"])
    assert smooth.rio.nodata == 0
    assert int((smooth == 0).sum()) >= 80 * 39
    assert int(smooth.where(smooth > 0).min()) >= int(coarse.where(coarse > 0).min())
    assert int(catalog[0].load(bands=["B11"]).isel(x=40).min()) < int(coarse.where(coarse > 0).min())


def test_a_band_of_several_bands_is_an_error_that_names_the_file(catalog: pw.GeoCatalog) -> None:
    scene = replace(catalog[0], uri={"blue": catalog[0].uri}, bands=("blue",))
    with pytest.raises(BandError, match=r"S2_a_20170211.tif has 3 bands, and a band of scene S2_a_20170211 needs"):
        scene.load()


def test_files_of_a_scene_stay_open_together_however_many_they_are(sentinel: dict[str, Path]) -> None:
    scene = pw.open_catalog(sentinel["B02"].parent, bands={band: f"*_{band}.jp2" for band in sentinel})[0]
    with pw.sampling.files_kept_open(most=2):
        found = []
        for _ in range(2):
            scene.load(Window(0, 0, 5, 5))
            with opened(scene.uri["B02"]) as file:
                found.append(file)
        assert found[0] is found[1]


def test_a_scene_and_its_chips_are_rasters_to_models_operators_and_extraction(example: tuple[Path, Path]) -> None:
    path, polygons = example
    catalog = pw.open_catalog(path).assign(tile="33UUU")
    X, y = pw.extract_pixels(catalog[0], polygons, column="class")
    model = pw.PixelwiseClassifier(GaussianNB()).fit(X, y)
    whole = model.predict(pw.open_raster(path))
    made = model.predict(catalog[0])
    assert isinstance(made, xr.DataArray)
    assert made.rio.crs == whole.rio.crs
    np.testing.assert_array_equal(made, whole)
    chip = pw.sampling.GridSampler(30)(catalog)[1]
    np.testing.assert_array_equal(model.predict(chip), whole[:30, 30:60])
    ndvi = pw.indices.NDVI(red="B04", nir="B08")
    np.testing.assert_array_equal(pw.core.Switch("tile", {"33UUU": ndvi})(catalog[0]), ndvi(pw.open_raster(path)))
    with pytest.raises(TypeError, match=r"source is a Scene: give a path.*; a Scene has load\(\)"):
        pw.open_raster(catalog[0])
