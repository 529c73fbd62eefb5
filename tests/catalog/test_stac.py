from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import pytest
import rasterio
import shapely

import pixelwise as pw
from pixelwise.errors import CatalogError, PixelwiseWarning

pystac = pytest.importorskip("pystac")


@pytest.fixture
def items(sentinel: dict[str, Path], scenes: Path) -> list[pystac.Item]:
    """Two items: the bands of Sentinel-2 with their projection, and a scene of three bands without."""
    catalog = pw.open_catalog(scenes)
    outline = catalog.frame.geometry.iloc[0]
    whole = pystac.Item(
        "T33UUU", shapely.geometry.mapping(outline), list(outline.bounds), pd.Timestamp("2017-02-16T10:21:01Z").to_pydatetime(),
        {"eo:cloud_cover": 12.5, "grid:code": "MGRS-33UUU", "proj:code": "EPSG:32633"}, collection="sentinel-2-l1c",
    )  # fmt: skip
    for band in ("B02", "B11"):
        with rasterio.open(sentinel[band]) as file:
            extra = {"proj:shape": list(file.shape), "proj:transform": list(file.transform)[:6]}
        whole.add_asset(band, pystac.Asset(str(sentinel[band]), media_type="image/jp2", roles=["data"], extra_fields=extra))
    whole.add_asset("thumbnail", pystac.Asset("preview.jpg", media_type="image/jpeg", roles=["thumbnail"]))
    single = pystac.Item(
        "single",
        shapely.geometry.mapping(outline),
        list(outline.bounds),
        None,
        {"start_datetime": "2017-02-11T00:00:00Z", "end_datetime": "2017-02-12T00:00:00Z"},
    )
    single.add_asset("data", pystac.Asset(catalog[0].uri, media_type="image/tiff; application=geotiff", roles=["data"]))
    return [whole, single]


def test_items_are_scenes_with_their_properties(items: list[pystac.Item], sentinel: dict[str, Path]) -> None:
    catalog = pw.open_catalog(items)
    first, second = catalog
    assert first.metadata["eo:cloud_cover"] == 12.5
    assert first.metadata["datetime"] == "2017-02-16T10:21:01"
    assert first.metadata["collection"] == "sentinel-2-l1c"
    np.testing.assert_array_equal(first.load(), pw.open_raster({band: sentinel[band] for band in ("B02", "B11")}))
    assert second.metadata["datetime"] == "2017-02-11T00:00:00"
    assert second.bands == ("B02", "B04", "B08")
    assert len(catalog.filter(**{"grid:code": "MGRS-33UUU"})) == 1


def test_an_item_that_tells_its_grid_is_not_opened(items: list[pystac.Item]) -> None:
    for asset in items[0].assets.values():
        asset.href = f"/nowhere/{Path(asset.href).name}"
    assert pw.open_catalog(items[0])[0].grid.shape == (768, 1536)


def test_collections_dicts_and_json_files_are_the_same(items: list[pystac.Item], tmp_path: Path) -> None:
    expected = list(pw.open_catalog(items))
    collection = pystac.ItemCollection(items)
    assert list(pw.open_catalog(collection)) == expected
    assert list(pw.open_catalog(collection.to_dict())) == expected
    (tmp_path / "items.json").write_text(json.dumps(collection.to_dict()))
    assert list(pw.open_catalog(tmp_path / "items.json")) == expected


def test_relative_links_start_where_the_item_is(items: list[pystac.Item], scenes: Path, tmp_path: Path) -> None:
    plain = items[1].to_dict()
    plain["assets"]["data"]["href"] = "./S2_a_20170211.tif"
    plain["links"] = [{"rel": "self", "href": f"{scenes}/item.json"}]
    assert pw.open_catalog(plain)[0].uri == f"{scenes}/S2_a_20170211.tif"
    plain["links"] = []
    (scenes.parent / "item.json").write_text(
        json.dumps({**plain, "assets": {"data": {**plain["assets"]["data"], "href": f"{scenes.name}/S2_a_20170211.tif"}}})
    )
    assert pw.open_catalog(scenes.parent / "item.json")[0].uri == str(scenes / "S2_a_20170211.tif")


def test_assets_are_chosen_and_named(items: list[pystac.Item]) -> None:
    assert pw.open_catalog(items[0], bands={"blue": "B02"})[0].bands == ("blue",)
    assert pw.open_catalog(items[0], bands=["B11"])[0].grid.shape == (384, 768)
    with pytest.warns(PixelwiseWarning, match="1 of 2 scenes cannot be used.*single: STAC item single has no asset 'B11'"):
        catalog = pw.open_catalog(items, bands=["B11"])
    assert len(catalog) == 1
    with pytest.raises(CatalogError, match="has no asset 'B99': choose with bands= among B02, B11, thumbnail"):
        pw.open_catalog(items[0], bands=["B99"])


def test_stac_geoparquet_is_read(items: list[pystac.Item], tmp_path: Path) -> None:
    rows = []
    for item in items:
        plain = item.to_dict()
        rows.append(
            {
                "id": plain["id"],
                "assets": plain["assets"],
                "geometry": shapely.geometry.shape(plain["geometry"]),
                **plain["properties"],
            }
        )
    frame = gpd.GeoDataFrame(rows, crs="EPSG:4326")
    frame.to_parquet(tmp_path / "stac.parquet")
    found, expected = pw.open_catalog(tmp_path / "stac.parquet"), pw.open_catalog(items)
    assert [scene.uri for scene in found] == [scene.uri for scene in expected]
    assert [scene.grid for scene in found] == [scene.grid for scene in expected]
    assert found[0].metadata["eo:cloud_cover"] == 12.5


def test_links_in_stac_geoparquet_start_where_it_is(items: list[pystac.Item], scenes: Path, tmp_path: Path) -> None:
    assets = {"data": {"href": "./scenes/S2_a_20170211.tif", "type": "image/tiff; application=geotiff", "roles": ["data"]}}
    frame = gpd.GeoDataFrame({"id": ["a"], "assets": [assets], "geometry": [shapely.box(12, 52, 13, 53)]}, crs="EPSG:4326")
    frame.to_parquet(tmp_path / "stac.parquet")
    (tmp_path / "scenes").symlink_to(scenes)
    assert pw.open_catalog(tmp_path / "stac.parquet")[0].uri == f"{tmp_path}/scenes/S2_a_20170211.tif"


@pytest.mark.parametrize(
    ("link", "href", "uri"),
    [
        ("s3://bucket/items/a/item.json", "../a.tif", "s3://bucket/items/a.tif"),
        ("s3://bucket/items/a/item.json", "./a.tif", "s3://bucket/items/a/a.tif"),
        ("https://host.org/a/item.json", "/vsis3/bucket/a.tif", "/vsis3/bucket/a.tif"),
        ("./sub/item.json", "a.tif", "{folder}/sub/a.tif"),
        ("item.json", "a.tif", "{folder}/a.tif"),
    ],
)
def test_links_start_where_the_item_says_that_it_is(items: list[pystac.Item], tmp_path: Path, link, href, uri) -> None:
    plain = items[0].to_dict()
    plain["links"] = [{"rel": "self", "href": link}]
    plain["assets"]["B02"]["href"] = href
    (tmp_path / "item.json").write_text(json.dumps(plain))
    assert pw.open_catalog(tmp_path / "item.json", bands=["B02"])[0].uri["B02"] == uri.format(folder=tmp_path)


@pytest.mark.parametrize("told", ["1.0", "1.1"])
def test_assets_of_several_bands_stand_alone_with_the_names_and_nodata_that_are_told(
    items: list[pystac.Item], landsat: Path, tmp_path: Path, told: str
) -> None:
    with rasterio.open(landsat) as file:
        values, profile = file.read(), file.profile
    with rasterio.open(tmp_path / "surface.tif", "w", **{**profile, "nodata": None}) as file:
        file.write(values)
    names, item = ["blue", "green", "red", "nir", "swir"], items[0].to_dict()
    more = {
        "1.0": {"eo:bands": [{"name": name} for name in names], "raster:bands": [{"nodata": -99999}] * 5},
        "1.1": {"bands": [{"name": name} for name in names], "nodata": -99999, "data_type": "float32"},
    }
    item["assets"]["surface"] = {
        "href": str(tmp_path / "surface.tif"), "type": "image/tiff; application=geotiff", "roles": ["data"], **more[told],
    }  # fmt: skip
    assert pw.open_catalog(item)[0].bands == ("B02", "B11")
    scene = pw.open_catalog(item, bands=["surface"])[0]
    assert scene.bands == tuple(names)
    assert scene.load(bands=["nir"]).rio.nodata == -99999
    with pytest.raises(CatalogError, match="asset 'surface' of STAC item T33UUU has 5 bands, and goes with no other"):
        pw.open_catalog(item, bands=["B02", "surface"])


@pytest.mark.parametrize("nodata", [0, "nan", None])
def test_nodata_of_an_item_counts_where_its_files_have_none(
    items: list[pystac.Item], sentinel: dict[str, Path], nodata: object
) -> None:
    item = items[0].to_dict()
    for asset in item["assets"].values():
        asset["raster:bands"] = [{"nodata": nodata, "data_type": "uint16", "scale": 0.0001}]
    loaded = pw.open_catalog(item)[0].load()
    np.testing.assert_array_equal(loaded, pw.open_raster({band: sentinel[band] for band in ("B02", "B11")}))
    assert loaded.rio.nodata == (0 if nodata == 0 else None)


def test_chips_of_items_that_are_not_opened_are_snapped_to_blocks_all_the_same(items: list[pystac.Item]) -> None:
    told = pw.open_catalog(items[0], bands=["B02"])
    opened = pw.open_catalog(pd.DataFrame({"uri": [told[0].uri]}))
    assert told[0].block_shape is None
    sampler = pw.sampling.RandomSampler((64, 64), length=50, random_state=0, snap=True)
    np.testing.assert_array_equal(sampler(told).windows, sampler(opened).windows)


@pytest.mark.parametrize(
    "told",
    [
        {"proj:code": "EPSG:999999"},
        {"proj:transform": [0, 0, 0, 0, 0, 0]},
        {"proj:transform": [600000, 10, 0, 5900000, 0, -10]},
        {"proj:transform": [10, 0, 600000]},
        {"proj:shape": [768]},
    ],
)
def test_an_item_whose_projection_cannot_be_is_opened(items: list[pystac.Item], told: dict[str, object]) -> None:
    item = items[0].to_dict()
    expected = pw.open_catalog(item, bands=["B02"])[0]
    item["assets"]["B02"].update(told)
    item["assets"]["B02"]["raster:bands"] = [{"nodata": "none"}]
    scene = pw.open_catalog([item, items[0]], bands=["B02"])[0]
    assert scene.grid == expected.grid
    assert scene.block_shape is not None


def test_projections_in_a_table_are_those_of_the_items(items: list[pystac.Item]) -> None:
    item = items[0].to_dict()
    told = pyproj.CRS(item["properties"].pop("proj:code")).to_json_dict()
    # As pyarrow gives a column of structs: arrays, and keys of other rows.
    told["coordinate_system"]["axis"] = np.array(told["coordinate_system"]["axis"], dtype=object)
    row = {"id": "a", "assets": item["assets"], "geometry": None, "proj:projjson": {**told, "other": None}}
    assert pw.open_catalog(pd.DataFrame([row]))[0].grid == pw.open_catalog(items[0])[0].grid


def test_an_empty_answer_is_an_error() -> None:
    with pytest.raises(CatalogError, match="the dict holds no scene"):
        pw.open_catalog({"type": "FeatureCollection", "features": []})
