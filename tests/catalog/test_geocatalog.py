from __future__ import annotations

import datetime as dt
import itertools
import os
import shutil
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

import pixelwise as pw
from pixelwise.catalog.dates import date_in_name, time_range
from pixelwise.catalog.split import split_scenes
from pixelwise.errors import BandError, CatalogError, CRSError, GridError


def names(catalog: pw.GeoCatalog) -> str:
    return "".join(scene.id[3] for scene in catalog)


def test_filters_take_values_lists_and_functions(catalog: pw.GeoCatalog) -> None:
    assert names(catalog.filter(tile="33UUU")) == "ab"
    assert names(catalog.filter(tile=["33UUU", "32UQD"])) == "abe"
    assert names(catalog.filter(tile=pd.Series(["33UUU", "32UQD"]))) == "abe"
    assert names(catalog.filter(datetime=lambda time: time.month == 3)) == "ef"
    assert names(catalog.filter(tile=lambda tile: tile.startswith("33"), height=200)) == "abcd"
    assert names(catalog.assign(cloud=[1, None, 3, 4, 5, 6]).filter(cloud=lambda percent: percent < 4)) == "ac"
    with pytest.raises(CatalogError, match=r"no column 'cloud': choose one of .*tile"):
        catalog.filter(cloud=3)


def test_a_catalog_may_be_empty_and_says_so(catalog: pw.GeoCatalog) -> None:
    none = catalog.filter(tile="33XXX")
    assert (len(none), none.tiles(), repr(none)) == (0, [], "GeoCatalog(0 scenes)")
    assert len(none.query(bounds=(0, 0, 1, 1))) == 0
    with pytest.raises(CatalogError, match="of 0 scenes leaves a side empty"):
        none.split()


def test_queries_by_place_agree_with_shapely(catalog: pw.GeoCatalog) -> None:
    outlines = catalog.frame.geometry
    for number in range(len(catalog)):
        bounds = outlines.iloc[number].buffer(0.001).bounds
        expected = [bool(outline.intersects(shapely.box(*bounds))) for outline in outlines]
        assert names(catalog.query(bounds=bounds)) == names(catalog.take(np.array(expected)))
    bounds = catalog[5].grid.bounds
    assert names(catalog.query(bounds=bounds, crs="EPSG:32633")) == "f"
    assert names(catalog.query(geometry=gpd.GeoSeries([shapely.Point(bounds[:2])], crs="EPSG:32633"))) == "f"
    assert names(catalog.query(geometry=outlines.iloc[5].centroid)) == "f"
    with pytest.raises(CatalogError, match="are empty: give left, bottom, right and top"):
        catalog.query(bounds=(13, 52, 12, 53))
    with pytest.raises(CRSError, match="the geometry has no CRS"):
        catalog.query(geometry=gpd.GeoSeries([shapely.Point(0, 0)]))


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("2017-02", "abcd"),
        ("2017-02-12", "b"),
        ("2017", "abcdef"),
        ("2017-02-13/2017-03-01", "cde"),
        ("2017-03/..", "ef"),
        ("../2017-02-11", "a"),
        (("2017-02-12", "2017-02-13"), "bc"),
        (dt.date(2017, 3, 2), "f"),
        (pd.Timestamp("2017-03-02", tz="UTC"), "f"),
        ("2017-03-02T00:00:00Z", "f"),
        ("2018", ""),
    ],
)
def test_queries_by_time_take_days_months_and_spans(catalog: pw.GeoCatalog, when, expected: str) -> None:
    assert names(catalog.query(datetime=when)) == expected


@pytest.mark.parametrize(
    ("when", "expected"), [("2024-05-10/2024-05-20", "b"), ("2024-05", "b"), ("2024-04-30", ""), ("2024-05-31/..", "bcd")]
)
def test_a_composite_is_of_all_the_time_between_its_dates(catalog: pw.GeoCatalog, when: str, expected: str) -> None:
    spans = {
        "start_datetime": [None, "2024-05-01T00:00:00Z", None, None],
        "end_datetime": [None, "2024-05-31T23:59:59Z", None, None],
    }
    dated = catalog.take([0, 1, 2, 3]).assign(
        id=list("abcd"), datetime=["2024-03-01", "2024-05-01", "2024-06-01", "2025-01-01"], **spans
    )
    assert "".join(dated.query(datetime=when).frame["id"]) == expected


def test_what_is_no_time_is_an_error(catalog: pw.GeoCatalog) -> None:
    for when in ("soon", "2017-13", "a/b/c"):
        with pytest.raises(CatalogError, match="is no time"):
            catalog.query(datetime=when)


def test_tiles_never_cross_sides(catalog: pw.GeoCatalog) -> None:
    for seed in range(20):
        train, test = catalog.split(0.3, max_overlap=1, random_state=seed)
        assert len(train) + len(test) == 6
        assert not set(train.tiles()) & set(test.tiles())
        assert 1 <= len(test) <= 3


def test_scenes_that_overlap_never_cross_sides(catalog: pw.GeoCatalog) -> None:
    loose = pw.GeoCatalog(catalog.frame.drop(columns="tile"))
    for seed in range(20):
        train, test = loose.split(0.3, random_state=seed)
        for one in train.frame.geometry:
            for other in test.frame.geometry:
                assert one.intersection(other).area <= 0.01 * min(one.area, other.area)


def test_a_split_meets_its_share_and_depends_on_its_seed(catalog: pw.GeoCatalog) -> None:
    many = pw.GeoCatalog(pd.concat([catalog.frame.iloc[[0]]] * 40).assign(tile=np.arange(40) // 2))
    train, test = many.split(0.25, max_overlap=1, random_state=1)
    assert (len(train), len(test)) == (30, 10)
    assert len(many.split(7, max_overlap=1, random_state=1)[1]) in (6, 8)
    assert many.split(max_overlap=1, random_state=1)[1].tiles() == test.tiles()
    assert many.split(max_overlap=1, random_state=2)[1].tiles() != test.tiles()


def test_scenes_that_all_hang_together_cannot_be_split(catalog: pw.GeoCatalog) -> None:
    with pytest.raises(CatalogError, match=r"all 2 scenes hang together because they overlap.*raise max_overlap=0.01"):
        catalog.take([0, 1]).assign(tile=["a", "b"]).split()
    with pytest.raises(CatalogError, match="have the same tile"):
        catalog.take([0, 1]).split(max_overlap=1)
    with pytest.raises(CatalogError, match="a catalog of 1 scene has no two sides"):
        catalog.take([0]).split()
    with pytest.raises(CatalogError, match="leaves a side empty"):
        catalog.split(1.0)


def test_a_catalog_survives_geoparquet_without_opening_a_scene(tmp_path: Path, catalog: pw.GeoCatalog) -> None:
    catalog = catalog.assign(uri=lambda scene: f"/nowhere/{scene.id}.tif")
    catalog.to_parquet(tmp_path / "catalog.parquet")
    again = pw.open_catalog(tmp_path / "catalog.parquet")
    assert list(again) == list(catalog)
    assert gpd.read_parquet(tmp_path / "catalog.parquet").crs.to_epsg() == 4326


def test_files_of_bands_survive_geoparquet(tmp_path: Path, landsat_dates: Path, landsat_bands: dict[str, str]) -> None:
    catalog = pw.open_catalog(landsat_dates, bands=landsat_bands, resampling={"b3": "cubic"}, progress=False)
    catalog.to_parquet(str(tmp_path / "catalog.parquet"))
    again = pw.open_catalog(tmp_path / "catalog.parquet")
    assert list(again) == list(catalog)
    assert again[3].resampling == {"b3": "cubic"}


def test_relative_paths_start_where_the_catalog_is(tmp_path: Path, scenes: Path, catalog: pw.GeoCatalog) -> None:
    frame = pd.DataFrame({"uri": ["scenes/S2_a_20170211.tif"], "label_uri": ["labels/a.tif"]})
    (tmp_path / "scenes").symlink_to(scenes)
    frame.to_parquet(tmp_path / "catalog.parquet")
    scene = pw.open_catalog(tmp_path / "catalog.parquet")[0]
    assert scene.uri == f"{tmp_path}/scenes/S2_a_20170211.tif"
    assert scene.metadata["label_uri"] == f"{tmp_path}/labels/a.tif"
    assert scene.grid == catalog[0].grid


def test_a_catalog_of_relative_paths_finds_its_files_wherever_it_is_written(
    tmp_path: Path, scenes: Path, labels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(scenes, tmp_path / "data" / "scenes")
    (tmp_path / "kept").mkdir()
    monkeypatch.chdir(tmp_path)
    catalog = pw.open_catalog("data/scenes", progress=False).assign(label_uri=os.path.relpath(labels / "none.tif"))
    pixels = catalog[0].load()
    for place in ("data/all.parquet", "kept/all.parquet", "all.parquet", tmp_path / "kept" / "whole.parquet"):
        catalog.to_parquet(place)
        again = pw.open_catalog(place)
        np.testing.assert_array_equal(again[0].load(), pixels)
        assert Path(again[0].metadata["label_uri"]).parent.samefile(labels)
    again.take([0]).to_parquet("data/one.parquet")
    assert sorted(path.name for path in Path("data").iterdir()) == ["all.parquet", "one.parquet", "scenes"]
    Path("data").rename("moved")
    monkeypatch.chdir("/")
    np.testing.assert_array_equal(pw.open_catalog(tmp_path / "moved" / "all.parquet")[0].load(), pixels)


def test_a_catalog_is_written_whole_or_not_at_all(tmp_path: Path, catalog: pw.GeoCatalog) -> None:
    with pytest.raises(CatalogError, match=r"none/a\.parquet cannot be written: .*; name a folder that exists"):
        catalog.to_parquet(tmp_path / "none" / "a.parquet")
    (tmp_path / "file").touch()
    with pytest.raises(CatalogError, match="cannot be written"):
        catalog.to_parquet(tmp_path / "file" / "a.parquet")


def test_paths_from_the_working_directory_lead_to_their_files_from_a_catalog_elsewhere(
    tmp_path: Path, scenes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "catalogs" / "scenes").mkdir(parents=True)
    shutil.copy(scenes / "S2_a_20170211.tif", tmp_path / "a{1}.tif")
    shutil.copy(scenes / "S2_b_20170212.tif", tmp_path / "catalogs" / "scenes" / "{b}.tif")
    monkeypatch.chdir(tmp_path)
    catalog = pw.open_catalog(["a{1}.tif", "catalogs/scenes/{b}.tif"]).assign(label_uri="labels/a.tif")
    catalog.to_parquet("catalogs/train.parquet")
    written = gpd.read_parquet("catalogs/train.parquet")
    assert written["uri"].tolist() == [str(tmp_path / "a{1}.tif"), "scenes/{b}.tif"]
    monkeypatch.chdir(scenes)
    again = pw.open_catalog(tmp_path / "catalogs" / "train.parquet")
    assert [scene.load().shape for scene in again] == [(3, 200, 240)] * 2
    assert again[0].metadata["label_uri"] == str(tmp_path / "labels" / "a.tif")


def test_names_that_are_no_relative_paths_are_left_as_they_are(tmp_path: Path, catalog: pw.GeoCatalog) -> None:
    told = {"uri": 'NETCDF:"/data/a.nc":ndvi', "label_uri": "s3://bucket/a.tif", "s2:product_uri": "S2A_MSIL2A.SAFE"}
    catalog.take([0]).assign(**told).to_parquet(tmp_path / "catalog.parquet")
    again = pw.open_catalog(tmp_path / "catalog.parquet")
    assert again.frame[list(told)].iloc[0].to_dict() == told


def test_a_catalog_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, catalog: pw.GeoCatalog) -> None:
    path = tmp_path / "catalog.parquet"
    catalog.to_parquet(path)
    with pytest.raises(CatalogError, match=r"cannot be written: .*column mixed.*values of one type"):
        catalog.take([0, 1]).assign(mixed=[1, "a"]).to_parquet(path)
    with pytest.raises(CatalogError, match="name a folder that exists"):
        catalog.to_parquet(tmp_path / "missing" / "catalog.parquet")
    assert [place.name for place in tmp_path.iterdir()] == ["catalog.parquet"]
    assert len(pw.open_catalog(path)) == 6


def test_a_catalog_that_is_no_parquet_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "catalog.parquet").write_bytes(b"nothing")
    for name in ("catalog.parquet", "missing.parquet"):
        with pytest.raises(CatalogError, match=r"parquet cannot be read: .*; check that it is there"):
            pw.open_catalog(tmp_path / name)


def test_scenes_are_taken_by_number(catalog: pw.GeoCatalog) -> None:
    assert catalog[-1].id == "S2_f_20170302"
    assert names(catalog.take(slice(1, 3))) == "bc"
    with pytest.raises(IndexError, match="it has 6 scenes"):
        catalog[6]
    with pytest.raises(TypeError, match=r"catalog\['tile'\]"):
        catalog["tile"]


def test_a_table_that_is_no_catalog_is_an_error(catalog: pw.GeoCatalog) -> None:
    with pytest.raises(CatalogError, match="a catalog needs columns uri, crs"):
        pw.GeoCatalog(catalog.frame[["id", "geometry"]])
    with pytest.raises(CRSError, match="geometry has no CRS"):
        pw.GeoCatalog(catalog.frame.set_crs(None, allow_override=True))


def test_outlines_may_come_in_any_crs(catalog: pw.GeoCatalog) -> None:
    moved = pw.GeoCatalog(catalog.frame.to_crs("EPSG:32633").rename_geometry("outline"))
    assert moved.frame.crs.to_epsg() == 4326
    np.testing.assert_allclose(moved.frame.geometry.bounds, catalog.frame.geometry.bounds, atol=1e-9)


def test_catalogs_show_what_they_hold(catalog: pw.GeoCatalog) -> None:
    assert repr(catalog) == "GeoCatalog(6 scenes, 2 CRSs, 2017-02-11 to 2017-03-02, bands B02, B04, B08)"


@pytest.mark.parametrize(
    ("name", "date"),
    [
        ("T33UUU_20170216T102101", "2017-02-16 10:21:01"),
        ("S2A_MSIL1C_20170105T013442_N0204_R031_T53NMJ_20170105T013443", "2017-01-05 01:34:42"),
        ("LC08_L2SP_193023_20200508_20200820_02_T1", "2020-05-08"),
        ("LT50350322008238PAC01", "2008-08-25"),
        ("planet-2019-07-03_a", "2019-07-03"),
        ("mosaic_20190703_20190810", None),
        ("twice_20190703_20190703", "2019-07-03"),
        ("number_120190703", None),
        ("wrong_20191332", None),
        ("february_20190230", None),
        ("LT50350322008399PAC01", None),
        ("scene", None),
    ],
)
def test_dates_in_names_are_taken_where_they_leave_no_doubt(name: str, date: str | None) -> None:
    found = date_in_name(name)
    assert found == (None if date is None else pd.Timestamp(date))


def test_a_month_ends_with_its_last_moment() -> None:
    start, end = time_range("2024-02")
    assert start == pd.Timestamp("2024-02-01")
    assert pd.Timestamp("2024-02-29T23:59:59") < end < pd.Timestamp("2024-03-01")


def test_dates_of_a_tile_stack_to_a_series(tmp_path: Path, landsat_dates: Path, landsat_bands: dict[str, str]) -> None:
    catalog = pw.open_catalog(landsat_dates, bands=landsat_bands, progress=False).take(slice(12)).assign(tile="035032")
    catalog.stack().to_parquet(tmp_path / "series.parquet")
    for series in (catalog.stack(), pw.open_catalog(tmp_path / "series.parquet")):
        assert series[0].id == "035032"
        cube = series[0].load(bands=["b4", "fmask"])
        assert cube.dims == ("band", "time", "y", "x")
        assert list(cube.time.values) == sorted(catalog.frame["datetime"].to_numpy("datetime64[ns]"))
        last = next(scene for scene in catalog if scene.metadata["datetime"] == str(cube.time.values[-1])[:19])
        np.testing.assert_array_equal(cube[:, -1], last.load(bands=["b4", "fmask"]))
        (chip,) = pw.sampling.RandomSampler(20, length=1, random_state=0)(series)
        assert chip.load().shape == (4, len(catalog), 20, 20)


def test_scenes_without_a_date_or_with_other_bands_do_not_stack(catalog: pw.GeoCatalog) -> None:
    with pytest.raises(CatalogError, match="scene S2_a_20170211 has no date"):
        catalog.assign(datetime=None).stack()
    bands = [("B02", "B04", "B08"), ("B02", "B04"), *[None] * 4]
    with pytest.raises(CatalogError, match="dates of tile 33UUU have different bands"):
        catalog.assign(bands=bands).stack()


def test_dates_with_more_bands_than_others_do_not_load(write, values: np.ndarray) -> None:
    paths = [write(values[:count], f"a_202401{count:02d}.tif", names=(None,) * count) for count in (2, 3)]
    series = pw.open_catalog(paths).assign(tile="x").stack()
    with pytest.raises(BandError, match="dates of scene x have 2 bands and 3"):
        series[0].load()


def test_a_large_group_does_not_spoil_the_share(catalog: pw.GeoCatalog) -> None:
    many = catalog.take(np.zeros(10, int)).assign(tile=list("AAAAAAAABC"))
    assert {len(many.split(0.2, max_overlap=1, random_state=seed)[1]) for seed in range(12)} == {2}
    two = catalog.take(np.zeros(10, int)).assign(tile=list("AAAAAABBBB"))
    assert {len(two.split(0.1, max_overlap=1, random_state=seed)[1]) for seed in range(6)} == {4}


def test_places_that_are_none_are_refused(catalog: pw.GeoCatalog) -> None:
    for bounds in ((1, 2, 3), 5):
        with pytest.raises(CatalogError, match="are none: give left, bottom, right and top"):
            catalog.query(bounds=bounds)
    with pytest.raises(CatalogError, match=r"geometry='field\.gpkg' is no geometry"):
        catalog.query(geometry="field.gpkg")
    with pytest.raises(GridError, match=r"is no window: give rasterio\.windows\.Window"):
        catalog[0].load(((0, 5), (0, 5)))


def test_paths_of_labels_may_be_path_objects(tmp_path: Path, catalog: pw.GeoCatalog, labels: Path) -> None:
    given = catalog.assign(label_uri=lambda scene: labels / f"{scene.id}.tif")
    assert given[0].metadata["label_uri"] == catalog[0].metadata["label_uri"]
    given.to_parquet(tmp_path / "catalog.parquet")
    assert list(pw.open_catalog(tmp_path / "catalog.parquet")) == list(catalog)


def test_a_catalog_without_tiles_does_not_stack(catalog: pw.GeoCatalog) -> None:
    for empty in (catalog.filter(tile="none"), catalog.assign(tile=None)):
        with pytest.raises(CatalogError, match=r"none of \d scenes has a tile"):
            empty.stack()


def test_dates_of_many_places_split_as_pairs_of_them_say() -> None:
    rng = np.random.default_rng(0)
    for seed in range(30):
        corners = rng.uniform(0, 6, (12, 2))
        outlines = np.array([shapely.box(x, y, x + 1, y + 1) for x, y in corners[rng.integers(0, 12, 20)]])
        values = pd.Series(rng.choice(["a", "b", "c", None], 20)) if seed % 2 else None
        try:
            test = split_scenes(outlines, values, 0.4, 0.3, seed)
        except CatalogError:
            continue
        for first, second in itertools.combinations(range(20), 2):
            alike = values is not None and values[first] is not None and values[first] == values[second]
            if alike or outlines[first].intersection(outlines[second]).area > 0.3:
                assert test[first] == test[second]


def test_thousands_of_dates_of_few_places_are_split_without_looking_at_every_pair() -> None:
    outlines = np.array([shapely.box(place, 0, place + 1, 1) for place in np.arange(9000) % 30])
    test = split_scenes(outlines, None, 0.3, 0.01, 0)
    assert test.sum() == 2700
