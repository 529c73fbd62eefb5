from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

import pixelwise as pw


def test_a_raster_is_told_line_by_line(run, scene: Path) -> None:
    lines = run("info", scene).stdout.splitlines()
    assert "CRS: EPSG:32633" in lines
    assert "pixel size: 10, 10" in lines
    assert "bounds: left 330000, bottom 5821440, right 330800, top 5822040" in lines
    assert "dtype: uint16" in lines
    assert any(line.startswith("  B08: minimum ") and line.endswith("nodata none, missing 0") for line in lines)
    assert lines[-1] == "hints: none"


def test_hints_stand_one_a_line(run, scene: Path, tmp_path: Path) -> None:
    raster = pw.open_raster(scene).copy()
    raster[:, :20] = 0
    pw.write_raster(raster, tmp_path / "filled.tif")
    text = run("info", "filled.tif").stdout
    assert "hints:\n  1: 33% of the pixels are 0 in every band, which looks like nodata that nobody declared\n" in text


def test_a_raster_without_georeference_says_no_size(run, meuse: Path) -> None:
    done = run("info", sorted(meuse.glob("*.tif"))[0])
    assert done.exit_code == 0, done.stderr


def test_a_model_is_told_without_loading_it(run, model: Path) -> None:
    lines = run("info", model).stdout.splitlines()
    assert "classes: forest, water" in lines
    assert "features: B02, B03, B04, B08" in lines
    assert "metadata:" in lines
    assert "  pixels: forest 600, water 600" in lines
    assert any(line.startswith("    random folds: accuracy ") for line in lines)


def test_json_is_for_programs(run, scene: Path, model: Path) -> None:
    told = json.loads(run("info", scene, "--json").stdout)
    assert (told["height"], told["width"]) == (60, 80)
    assert list(told["bands"]) == ["B02", "B03", "B04", "B08"]
    assert json.loads(run("info", model, "--json").stdout)["classes"] == ["forest", "water"]


def test_json_has_no_nan(run, scene: Path, tmp_path: Path) -> None:
    raster = pw.open_raster(scene).astype("float32").rio.write_nodata(np.nan)
    pw.write_raster(raster, tmp_path / "floats.tif")
    told = json.loads(run("info", "floats.tif", "--json").stdout, parse_constant=lambda _: math.inf)
    assert told["bands"]["B02"]["nodata"] == "nan"


def test_real_files_of_all_kinds_are_told(
    run, landsat: Path, landsat_labels: Path, sentinel: dict[str, Path], meuse: Path
) -> None:
    for path in (landsat, landsat_labels, *sentinel.values(), *sorted(meuse.glob("*.tif"))):
        done = run("info", path)
        assert done.exit_code == 0, (path, done.stderr)


def test_what_is_neither_raster_nor_model_is_told(run, polygons: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.tif").touch()
    (tmp_path / "text.pixelwise").write_text("hello")
    for name in (polygons, "empty.tif", "text.pixelwise", "nothing.tif", "nothing.pixelwise", tmp_path):
        done = run("info", name)
        assert done.exit_code == 1, name
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
