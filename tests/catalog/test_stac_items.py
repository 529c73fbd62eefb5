"""A catalog written as STAC is valid, opens again as it was, and can be read by others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rasterio.shutil
import shapely

import pixelwise as pw
from pixelwise.catalog.facts import FACTS
from pixelwise.catalog.stac_items import item_of
from pixelwise.errors import CatalogError, DependencyMissingError

pystac = pytest.importorskip("pystac")


@pytest.fixture
def maps(scenes: Path, tmp_path: Path) -> pw.GeoCatalog:
    """COGs of the scenes in two CRSs, with what a run says of their sources."""
    (tmp_path / "maps").mkdir()
    sources = pw.open_catalog(scenes, progress=False).assign(tile=list("abcdef"), cloud=0.5)
    known = [name for name in FACTS if name in sources.frame]
    rows = sources.frame.drop(columns=known).assign(source_uri=sources.frame["uri"])
    rows["uri"] = [
        str(pw.write_raster(scene.load()[:1], tmp_path / "maps" / f"{scene.metadata['tile']}.tif", driver="COG"))
        for scene in sources
    ]
    return pw.open_catalog(rows, progress=False)


def validate(plain: dict[str, Any]) -> None:
    """Use pystac's own schemas, which need no network; those of extensions do."""
    import pystac.validation

    pystac.validation.validate_dict(plain, extensions=[])


def test_what_is_written_opens_as_the_same_scenes(maps: pw.GeoCatalog, tmp_path: Path) -> None:
    maps.to_stac(tmp_path / "maps.json")
    again = pw.open_catalog(tmp_path / "maps.json", progress=False)
    assert list(again) == list(maps)
    assert again.frame.geometry.geom_equals_exact(maps.frame.geometry, 1e-9).all()
    assert again.frame["datetime"].tolist() == maps.frame["datetime"].tolist()


def test_items_are_valid_and_say_where_pixels_are_and_what_they_are_made_of(maps: pw.GeoCatalog, tmp_path: Path) -> None:
    maps.to_stac(tmp_path / "maps.geojson")
    items = pystac.ItemCollection.from_file(str(tmp_path / "maps.geojson")).items
    for item, scene in zip(items, maps, strict=True):
        validate(item.to_dict(include_self_link=False))
        asset = item.assets["data"]
        assert asset.media_type == pystac.MediaType.COG
        assert asset.roles == ["data"]
        assert asset.extra_fields["proj:code"] == f"EPSG:{scene.grid.crs.to_epsg()}"
        assert tuple(asset.extra_fields["proj:shape"]) == scene.grid.shape
        assert tuple(asset.extra_fields["proj:transform"]) == tuple(scene.grid.transform)[:6]
        assert [band["name"] for band in asset.extra_fields["bands"]] == ["B02"]
        assert asset.extra_fields["data_type"] == "uint16"
        (link,) = item.get_links("derived_from")
        assert link.target == scene.metadata["source_uri"]
        assert item.datetime.isoformat() == f"{scene.metadata['datetime']}+00:00"
        assert shapely.box(*item.bbox).contains(shapely.centroid(shapely.geometry.shape(item.geometry)))


def test_items_beside_their_files_move_with_them(maps: pw.GeoCatalog, tmp_path: Path) -> None:
    maps.to_stac(tmp_path / "maps.json", beside=True)
    shutil.move(tmp_path / "maps", tmp_path / "moved")
    path = tmp_path / "moved" / "c.json"
    validate(json.loads(path.read_text()))
    assert pw.open_catalog(path, progress=False)[0].uri == str(tmp_path / "moved" / "c.tif")
    item = pystac.Item.from_file(str(path))
    assert item.assets["data"].get_absolute_href() == str(tmp_path / "moved" / "c.tif")
    assert sorted(file.name for file in (tmp_path / "moved").glob("*.json")) == [f"{name}.json" for name in "abcdef"]


def test_scenes_of_a_file_a_band_have_an_asset_each(landsat_dates: Path, landsat_bands: Any, tmp_path: Path) -> None:
    catalog = pw.open_catalog(landsat_dates, bands=landsat_bands, progress=False).take([0, 1])
    catalog.to_stac(tmp_path / "scenes.json")
    again = pw.open_catalog(tmp_path / "scenes.json", progress=False)
    assert list(again) == list(catalog)
    catalog.assign(nodata=[(None, 7, None, 255)] * 2).to_stac(tmp_path / "told.json")
    assert pw.open_catalog(tmp_path / "told.json", progress=False)[0].nodata == (-9999, -9999, -9999, 255)
    catalog.assign(nodata=255).to_stac(tmp_path / "told.json")
    assert pw.open_catalog(tmp_path / "told.json", progress=False)[1].nodata == (-9999, -9999, -9999, 255)
    with pytest.raises(CatalogError, match="not one local file"):
        catalog.to_stac(tmp_path / "scenes.json", beside=True)
    with pytest.raises(CatalogError, match="is a series of dates"):
        catalog.assign(tile="x").stack().to_stac(tmp_path / "scenes.json")


def test_values_that_json_does_not_know_become_ones_that_it_does(maps: pw.GeoCatalog, tmp_path: Path) -> None:
    one = maps.take([0])
    odd = [[pd.Timestamp("2024-05-01"), pd.Series([1, 2]).to_numpy()]]
    rates = [{"a": float("nan"), "b": [float("inf"), 1.0]}]
    one.assign(odd=odd, rates=rates, missing=None, gap=float("nan")).to_stac(tmp_path / "a.json")
    properties = json.loads((tmp_path / "a.json").read_text())["features"][0]["properties"]
    assert properties["rates"] == {"a": None, "b": [None, 1.0]}
    assert properties["odd"] == ["2024-05-01 00:00:00", [1, 2]]
    assert not {"missing", "gap"} & set(properties)


def test_remote_files_are_named_and_not_looked_at(maps: pw.GeoCatalog, tmp_path: Path) -> None:
    frame = maps.frame.iloc[:2].assign(uri=["https://a.org/x.tif", "s3://b/y.jp2"], source_uri=None)
    pw.GeoCatalog(frame).to_stac(tmp_path / "a.json")
    items = json.loads((tmp_path / "a.json").read_text())["features"]
    assets = [item["assets"]["data"] for item in items]
    assert [asset["href"] for asset in assets] == ["https://a.org/x.tif", "s3://b/y.jp2"]
    assert [asset["type"] for asset in assets] == ["image/tiff; application=geotiff", "image/jp2"]
    assert not [link for item in items for link in item["links"] if link["rel"] == "derived_from"]


def test_a_plain_geotiff_is_not_called_cloud_optimised(catalog: pw.GeoCatalog) -> None:
    item = item_of(catalog[0], catalog.frame.iloc[0])
    assert item.assets["data"].media_type == pystac.MediaType.GEOTIFF


def test_nodata_of_all_bands_is_told_as_stac_has_it(catalog: pw.GeoCatalog) -> None:
    row = catalog.frame.iloc[0].to_dict()
    told = [
        item_of(catalog[0], {**row, "nodata": marks}).assets["data"].extra_fields.get("nodata")
        for marks in ((0.0,) * 3, (float("nan"),) * 3, (None,) * 3, (0.0, 1.0, 0.0), None)
    ]
    assert told == [0.0, "nan", None, None, None]


def test_a_crs_without_a_code_is_told_as_wkt_and_a_box_crosses_the_antimeridian(catalog: pw.GeoCatalog) -> None:
    grid = pw.Grid("+proj=laea +lat_0=0 +lon_0=180 +datum=WGS84", (1000, 0, -50_000, 0, -1000, 50_000), 100, 100)
    outline = shapely.MultiPolygon([shapely.box(179.5, -0.5, 180, 0.5), shapely.box(-180, -0.5, -179.6, 0.5)])
    row = {**catalog.frame.iloc[0].to_dict(), "geometry": outline}
    scene = catalog[0]
    item = item_of(type(scene)(scene.uri, grid, scene.metadata), row)
    assert item.bbox == [179.5, -0.5, -179.6, 0.5]
    assert "PROJ" in item.assets["data"].extra_fields["proj:wkt2"]
    assert "proj:code" not in item.assets["data"].extra_fields


def test_what_cannot_be_written_is_an_error(maps: pw.GeoCatalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CatalogError, match=r"name it maps\.json"):
        maps.to_stac(tmp_path / "maps.parquet")
    with pytest.raises(CatalogError, match=r"has no date, which STAC needs: give it with catalog\.assign"):
        maps.assign(datetime=None).to_stac(tmp_path / "maps.json")
    with pytest.raises(CatalogError, match="name a folder that exists"):
        maps.to_stac(tmp_path / "nowhere" / "maps.json")
    assert not list(tmp_path.glob("*.json"))
    monkeypatch.setitem(__import__("sys").modules, "pystac", None)
    with pytest.raises(DependencyMissingError, match=r"install pixelwise\[catalog\]"):
        maps.to_stac(tmp_path / "maps.json")


def test_files_of_a_driver_without_a_media_type_open_again(catalog: pw.GeoCatalog, tmp_path: Path) -> None:
    rasterio.shutil.copy(catalog[0].uri, tmp_path / "scene_20240501.img", driver="ENVI")
    written = pw.open_catalog(tmp_path / "scene_20240501.img")
    assert not [name for name in written.frame if name.startswith("Band")]
    written.to_stac(tmp_path / "a.json")
    np.testing.assert_array_equal(pw.open_catalog(tmp_path / "a.json")[0].load(), catalog[0].load())
