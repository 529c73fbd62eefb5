from __future__ import annotations

import shutil
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import rasterio.shutil
import shapely

import pixelwise as pw
from pixelwise.errors import CatalogError, GridError, PixelwiseWarning, RasterReadError


def test_a_folder_gives_a_scene_a_file_with_its_facts_and_the_date_of_its_name(scenes: Path) -> None:
    catalog = pw.open_catalog(scenes)
    assert [scene.id for scene in catalog] == sorted(path.stem for path in scenes.glob("*.tif"))
    with rasterio.open(scenes / "S2_a_20170211.tif") as file:
        assert catalog[0].grid == pw.Grid(file.crs, file.transform, *file.shape)
        assert catalog[0].block_shape == file.block_shapes[0]
    assert catalog[0].metadata["datetime"] == "2017-02-11T00:00:00"
    assert catalog.frame.crs.to_epsg() == 4326


def test_outlines_are_where_the_pixels_are(scenes: Path) -> None:
    for scene, outline in zip(pw.open_catalog(scenes), pw.open_catalog(scenes).frame.geometry, strict=True):
        box = gpd.GeoSeries([shapely.box(*scene.grid.bounds)], crs=scene.grid.crs.to_wkt()).to_crs("EPSG:4326").iloc[0]
        assert outline.symmetric_difference(box).area < 1e-3 * box.area


def test_a_glob_a_list_and_a_single_file_are_sources_too(scenes: Path) -> None:
    assert len(pw.open_catalog(str(scenes / "S2_[ab]_*.tif"))) == 2
    assert len(pw.open_catalog([scenes / "S2_a_20170211.tif", str(scenes / "S2_f_20170302.tif")])) == 2
    assert len(pw.open_catalog(scenes / "S2_a_20170211.tif")) == 1


def test_files_that_cannot_be_read_are_listed_with_the_reason(tmp_path: Path, scenes: Path, meuse: Path) -> None:
    shutil.copy(scenes / "S2_a_20170211.tif", tmp_path / "good.tif")
    (tmp_path / "cut.tif").write_bytes((scenes / "S2_b_20170212.tif").read_bytes()[:60])
    shutil.copy(next(meuse.glob("dist.tif")), tmp_path / "nowhere.tif")
    with pytest.warns(PixelwiseWarning, match=r"2 of 3 scenes cannot be used.*catalog\.unreadable"):
        catalog = pw.open_catalog(tmp_path)
    assert len(catalog) == 1
    assert set(catalog.unreadable) == {str(tmp_path / "cut.tif"), str(tmp_path / "nowhere.tif")}
    assert "has no CRS" in catalog.unreadable[str(tmp_path / "nowhere.tif")]


def test_a_folder_without_rasters_or_with_bad_ones_alone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="there is no raster in"):
        pw.open_catalog(tmp_path)
    (tmp_path / "bad.tif").write_bytes(b"II*\x00nothing")
    with pytest.raises(CatalogError, match=r"none of 1 scenes .* can be used, such as .*bad.tif"):
        pw.open_catalog(tmp_path)


def test_a_file_whose_pixels_are_cut_short_opens_and_names_itself_when_it_is_read(tmp_path: Path, scenes: Path) -> None:
    rasterio.shutil.copy(scenes / "S2_a_20170211.tif", tmp_path / "cut.tif", driver="COG", blocksize=128)
    whole = (tmp_path / "cut.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(whole[: len(whole) // 2])
    catalog = pw.open_catalog(tmp_path)
    with pytest.raises(RasterReadError, match=r"cut\.tif"):
        catalog[0].load()


def test_a_folder_a_scene_with_a_file_a_band(landsat_dates: Path, landsat_bands: dict[str, str]) -> None:
    catalog = pw.open_catalog(landsat_dates, bands=landsat_bands, progress=False)
    assert len(catalog) == len([path for path in landsat_dates.iterdir() if path.is_dir()])
    scene = catalog[0]
    assert scene.bands == ("b3", "b4", "b5", "fmask")
    assert scene.metadata["id"] == "LE70350322008118EDC00"
    assert scene.metadata["datetime"] == "2008-04-27T00:00:00"
    with rasterio.open(scene.uri["b4"]) as file:
        expected = file.read(1).astype("float32")
        expected[expected == file.nodata] = np.nan
    np.testing.assert_array_equal(scene.load().sel(band="b4"), expected)


def test_files_of_many_scenes_in_one_folder_are_told_apart_by_what_the_star_stands_for(
    tmp_path: Path, landsat_dates: Path, landsat_bands: dict[str, str]
) -> None:
    folders = sorted(landsat_dates.iterdir())[:3]
    for path in [path for folder in folders for path in folder.iterdir()]:
        shutil.copy(path, tmp_path)
    (tmp_path / f"{folders[2].name}_b5.tif").unlink()
    with pytest.warns(PixelwiseWarning, match="no files match b5"):
        catalog = pw.open_catalog(tmp_path, bands=landsat_bands)
    assert [scene.id for scene in catalog] == [folder.name for folder in folders[:2]]


def test_patterns_may_lead_through_folders(tmp_path: Path, sentinel: dict[str, Path]) -> None:
    for band, size in (("B02", "10m"), ("B11", "20m")):
        (tmp_path / "S2A_20170216" / f"R{size}").mkdir(parents=True)
        shutil.copy(sentinel[band], tmp_path / "S2A_20170216" / f"R{size}")
    catalog = pw.open_catalog(tmp_path, bands={"B11": "R20m/*_B11.jp2", "B02": "R10m/*_B02.jp2"})
    assert catalog[0].id == "S2A_20170216"
    assert catalog[0].grid.shape == (768, 1536)


def test_products_of_sentinel_2_are_called_by_their_granules_and_bands_of_other_folders_are_pointed_to(
    tmp_path: Path, sentinel: dict[str, Path]
) -> None:
    granules = ["L2A_T33UUU_A008649_20170216T102101", "L2A_T33UUU_A009078_20170318T102021"]
    for granule in granules:
        time = granule[-15:]
        for band, size in (("B02", "10m"), ("B11", "20m")):
            place = tmp_path / f"S2A_MSIL2A_{time}.SAFE" / "GRANULE" / granule / "IMG_DATA" / f"R{size}"
            place.mkdir(parents=True)
            shutil.copy(sentinel[band], place / f"T33UUU_{time}_{band}_{size}.jp2")
    catalog = pw.open_catalog(tmp_path, bands={"B02": "R10m/*_B02_10m.jp2", "B11": "R20m/*_B11_20m.jp2"})
    assert [scene.id for scene in catalog] == granules
    assert [scene.metadata["datetime"] for scene in catalog] == ["2017-02-16T10:21:01", "2017-03-18T10:20:21"]
    assert pw.open_catalog(tmp_path, bands={"B02": "*_B02_10m.jp2"}).frame["id"].tolist() == granules
    with pytest.raises(CatalogError, match=r"no files match B11.*folders of their own.*'R10m/\*_B02_10m.jp2'"):
        pw.open_catalog(tmp_path, bands={"B02": "*_B02_10m.jp2", "B11": "*_B11_20m.jp2"})


def test_patterns_that_match_nothing_are_an_error(tmp_path: Path, scenes: Path) -> None:
    with pytest.raises(CatalogError, match=r"no file below .* matches \*_B99.tif"):
        pw.open_catalog(scenes, bands={"B99": "*_B99.tif"})
    with pytest.raises(CatalogError, match="is no folder"):
        pw.open_catalog(tmp_path / "missing", bands={"B2": "*.tif"})


def test_a_band_of_several_bands_is_listed_as_unreadable(scenes: Path) -> None:
    with pytest.raises(CatalogError, match="has 3 bands, and band 'all' needs a file of one"):
        pw.open_catalog(scenes, bands={"all": "*.tif"})


def test_a_table_with_files_alone_is_completed_from_them(scenes: Path) -> None:
    table = pd.DataFrame({"uri": sorted(map(str, scenes.glob("*.tif"))), "tile": list("aabbcc"), "datetime": "2020-05-01"})
    catalog = pw.open_catalog(table)
    assert catalog.tiles() == ["a", "b", "c"]
    assert catalog[0].metadata["datetime"] == "2020-05-01T00:00:00"
    assert catalog[0].grid.shape == (200, 240)


def test_a_table_without_files_and_an_unknown_source_are_errors() -> None:
    with pytest.raises(CatalogError, match="row 1 of the table has no uri"):
        pw.open_catalog(pd.DataFrame({"uri": ["a.tif", None]}))
    with pytest.raises(CatalogError, match="no column 'uri'"):
        pw.open_catalog(pd.DataFrame({"path": ["a.tif"]}))
    with pytest.raises(CatalogError, match="int is no source of scenes"):
        pw.open_catalog(7)
    with pytest.raises(CatalogError, match="bands= chooses files of a folder"):
        pw.open_catalog(["a.tif"], bands=["B2"])
    with pytest.raises(CatalogError, match="holds no scene"):
        pw.open_catalog(pd.DataFrame({"uri": []}))


def test_tags_of_files_are_metadata_and_may_hold_the_date(tmp_path: Path, scenes: Path) -> None:
    path = shutil.copy(scenes / "S2_a_20170211.tif", tmp_path / "scene.tif")
    with rasterio.open(path, "r+") as file:
        file.update_tags(ACQUISITION_DATE="2016-12-24", season="winter", TIFFTAG_DATETIME="2020:01:01 00:00:00")
    metadata = pw.open_catalog(path)[0].metadata
    assert metadata["season"] == "winter"
    assert metadata["datetime"] == "2016-12-24T00:00:00"
    assert "TIFFTAG_DATETIME" not in metadata


def test_landsat_in_a_custom_crs_has_a_place(landsat: Path) -> None:
    west, _, east, north = pw.open_catalog(landsat)[0].metadata["bbox"]
    assert -79 < west < east < -78
    assert 35 < north < 36


def test_a_thousand_scenes_are_opened_and_walked_without_their_pixels(scenes: Path) -> None:
    first = pw.open_catalog(scenes).frame.iloc[[0] * 1000].reset_index(drop=True)
    catalog = pw.open_catalog(first.assign(uri=[f"/nowhere/{number}.tif" for number in range(1000)]))
    chips = pw.sampling.GridSampler(100)(catalog)
    assert len(catalog) == 1000
    assert len(chips) == 6000
    assert chips[-1].source_uri == "/nowhere/999.tif"


def test_json_that_is_not_there_or_no_json_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{")
    for name in ("bad.json", "missing.json"):
        with pytest.raises(CatalogError, match=r"\.json cannot be read as STAC items"):
            pw.open_catalog(tmp_path / name)


def test_a_scene_on_both_sides_of_the_antimeridian_has_its_outline_there(write) -> None:
    path = write(np.ones((1, 10, 20), "uint8"), crs="EPSG:32760", transform=rasterio.Affine(1e4, 0, 7.2e5, 0, -1e4, 8e6))
    outline = pw.open_catalog(path).frame.geometry.iloc[0]
    assert outline.geom_type == "MultiPolygon"
    assert [part.bounds[0] == -180 or part.bounds[2] == 180 for part in outline.geoms] == [True, True]
    assert outline.area < 3


def test_a_raster_outside_of_its_crs_is_unreadable(write) -> None:
    path = write(np.ones((1, 10, 20), "uint8"), crs="EPSG:4326", transform=rasterio.Affine(10, 0, 0, 0, -10, 5_822_040))
    with pytest.raises(CatalogError, match="check the file's georeferencing"):
        pw.open_catalog(path)


@pytest.mark.parametrize(("crs", "south"), [("EPSG:3413", False), ("EPSG:3031", True)])
def test_a_scene_round_a_pole_reaches_to_the_pole(write, crs: str, south: bool) -> None:
    path = write(np.ones((1, 50, 50), "uint8"), crs=crs, transform=rasterio.Affine(4e4, 0, -1e6, 0, -4e4, 1e6))
    catalog = pw.open_catalog(path)
    pole = -90 if south else 90
    assert pole in catalog.frame.geometry.iloc[0].bounds
    for longitude in (-179, -90, 0, 45, 180):
        assert len(catalog.query(geometry=shapely.Point(longitude, 0.97 * pole))) == 1
        assert not len(catalog.query(geometry=shapely.Point(longitude, 0.8 * pole)))


def test_what_a_table_says_counts_more_than_tags_of_its_files(tmp_path: Path, scenes: Path) -> None:
    path = shutil.copy(scenes / "S2_a_20170211.tif", tmp_path / "scene.tif")
    with rasterio.open(path, "r+") as file:
        file.update_tags(tile="of the file", label_uri="of the file", season="winter")
    told = pw.open_catalog(pd.DataFrame({"uri": [path], "tile": ["own"], "label_uri": ["own.tif"]}))[0].metadata
    assert (told["tile"], told["label_uri"], told["season"]) == ("own", "own.tif", "winter")


def test_resampling_that_no_band_can_have_is_refused(landsat_dates: Path, landsat_bands: dict[str, str]) -> None:
    with pytest.raises(CatalogError, match="resampling names band 'B3', which no scene has: it has b3, b4, b5, fmask"):
        pw.open_catalog(landsat_dates, bands=landsat_bands, resampling={"B3": "cubic"}, progress=False)
    with pytest.raises(GridError, match="resampling='cubical' is not known"):
        pw.open_catalog(landsat_dates, bands=landsat_bands, resampling="cubical", progress=False)


def test_a_file_is_opened_though_its_name_looks_like_a_glob(tmp_path: Path, scenes: Path) -> None:
    path = tmp_path / "scène [1] a*.tif"
    shutil.copy(scenes / "S2_a_20170211.tif", path)
    assert pw.open_catalog(path)[0].load().shape == (3, 200, 240)


@pytest.mark.parametrize("text", ['{"type": "Collection", "id": "a"}', '{"type": "Feature", "id": "a"}', "[1]", '"a"'])
def test_json_that_holds_no_items_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "items.json").write_text(text)
    with pytest.raises(CatalogError, match="is no STAC item with assets: give items"):
        pw.open_catalog(tmp_path / "items.json")


def test_a_table_tells_names_and_nodata_of_files_that_have_none(tmp_path: Path, landsat: Path) -> None:
    with rasterio.open(landsat) as file:
        values, profile = file.read(), file.profile
    values[:, :40] = 0
    with rasterio.open(tmp_path / "plain.tif", "w", **{**profile, "nodata": None}) as file:
        file.write(values)
    rows = pd.DataFrame({"uri": [tmp_path / "plain.tif", landsat], "bands": [tuple("abcde")] * 2, "nodata": 0})
    catalog = pw.open_catalog(rows)
    catalog.to_parquet(tmp_path / "catalog.parquet")
    for opened in (catalog, pw.open_catalog(tmp_path / "catalog.parquet")):
        plain, declared = (scene.load() for scene in opened)
        assert plain.band.values.tolist() == list("abcde")
        assert (plain.rio.nodata, declared.rio.nodata) == (0, -99999)
    assert pw.open_catalog(tmp_path / "plain.tif")[0].load().rio.nodata is None
    assert pw.open_catalog(tmp_path / "plain.tif").assign(nodata=0)[0].load(bands=[1]).rio.nodata == 0


def test_what_is_hidden_is_no_scene_as_what_a_killed_run_leaves(tmp_path: Path, scenes: Path) -> None:
    (tmp_path / ".map.tif.x1y2").mkdir()
    for name in ("map.tif", ".map.tif.x1y2/map.tif", "._map.tif"):
        shutil.copy(scenes / "S2_a_20170211.tif", tmp_path / name)
    assert [scene.uri for scene in pw.open_catalog(tmp_path)] == [str(tmp_path / "map.tif")]
    shutil.copy(scenes / "S2_a_20170211.tif", tmp_path / "._red.tif")
    pw.write_raster(pw.open_raster(scenes / "S2_a_20170211.tif")[:1], tmp_path / "a_red.tif")
    assert pw.open_catalog(tmp_path, bands={"red": "*_red.tif"})[0].uri == {"red": str(tmp_path / "a_red.tif")}


def test_a_raster_in_a_local_crs_is_unreadable_and_stops_no_other(write, values: np.ndarray) -> None:
    local = 'LOCAL_CS["unnamed",UNIT["metre",1],AXIS["Easting",EAST],AXIS["Northing",NORTH]]'
    paths = [write(values, "plain.tif"), write(values, "local.tif", crs=rasterio.crs.CRS.from_wkt(local))]
    with pytest.warns(PixelwiseWarning, match="1 of 2 scenes cannot be used.*there is no way from unnamed to EPSG:4326"):
        assert len(pw.open_catalog(paths)) == 1
