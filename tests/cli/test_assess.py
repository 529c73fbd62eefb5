"""``pixelwise assess``: a sample drawn, filled in and assessed."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

import pixelwise as pw


@pytest.fixture
def map_file(tmp_path: Path) -> Path:
    """80 x 100 pixels of 10 m: forest in the west, water in the east."""
    codes = np.where(np.arange(100) < 40, 0, 1) * np.ones((80, 1), "uint8")
    grid = pw.Grid("EPSG:32633", (10, 0, 330_000, 0, -10, 5_822_000), 80, 100)
    attrs = {"flag_values": [0, 1], "flag_meanings": "forest water"}
    return pw.write_raster(pw.Raster(codes.astype("uint8"), grid, nodata=(255,), attrs=attrs), tmp_path / "map.tif")


@pytest.fixture
def interpreted(run, map_file: Path, tmp_path: Path) -> Path:
    """A sample of 100 points of which each tenth is not what the map says."""
    assert run("assess", map_file, "--design", "--n", 100, "--out", "drawn.gpkg").exit_code == 0
    frame = gpd.read_file(tmp_path / "drawn.gpkg")
    other = frame["class"].map({"forest": "water", "water": "forest"})
    frame["reference"] = frame["class"].where(frame["id"] % 10 != 0, other)
    frame["region"] = np.where(frame.geometry.y > 5_821_600, "north", "south")
    frame.to_file(tmp_path / "done.gpkg")
    return tmp_path / "done.gpkg"


def test_a_sample_is_drawn_and_told(run, map_file: Path) -> None:
    done = run("assess", map_file, "--design", "--target-se", 0.04, "--min-per-class", 50, "--out", "sample.gpkg")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines()[:3] == [
        "110 points for a design-based estimate, stratified by the classes of the map:",
        "  forest      50 points   40.0% of the map",
        "  water       60 points   60.0% of the map",
    ]
    assert "expected standard error of overall accuracy (design-based): 0.0384, if user's accuracies are 0.8" in done.stdout
    assert "wrote sample.gpkg: fill in its column 'reference', then run `pixelwise assess " in done.stdout
    assert len(gpd.read_file("sample.gpkg")) == 110


def test_a_drawn_sample_is_not_overwritten(run, map_file: Path) -> None:
    arguments = ("assess", map_file, "--design", "--n", 20, "--out", "sample.gpkg")
    assert run(*arguments).exit_code == 0
    done = run(*arguments)
    assert done.exit_code == 1
    assert done.stderr == "error: sample.gpkg exists: pass --overwrite to replace it, or another name\n"
    assert run(*arguments, "--overwrite").exit_code == 0


def test_the_sample_it_drew_is_assessed(run, map_file: Path, interpreted: Path) -> None:
    done = run("assess", map_file, interpreted, "--column", "reference", "--strata", "stratum")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("design-based accuracy (Stehman 2014) from 100 samples in 2 strata")
    assert "overall accuracy  0.900 ± 0.059" in done.stdout
    assert "area (ha)" in done.stdout


def test_strata_of_the_map_need_no_column(run, map_file: Path, interpreted: Path) -> None:
    done = run("assess", map_file, interpreted, "--column", "reference")
    assert done.stdout.startswith("design-based accuracy (Olofsson 2014) from 100 samples")


def test_sizes_of_strata_are_given_one_by_one(run, map_file: Path, interpreted: Path) -> None:
    sizes = ("--strata-size", "north=4000", "--strata-size", "south=4000")
    done = run("assess", map_file, interpreted, "--column", "reference", "--strata", "region", *sizes)
    assert done.exit_code == 0, done.stderr
    assert "(Stehman 2014)" in done.stdout
    assert run("assess", map_file, interpreted, "--column", "x", "--strata-size", "north").exit_code == 2


def test_json_is_for_programs(run, map_file: Path, interpreted: Path) -> None:
    told = json.loads(run("assess", map_file, interpreted, "--column", "reference", "--strata", "stratum", "--json").stdout)
    made = pw.estimate_accuracy(map_file, interpreted, column="reference", strata="stratum")
    assert told["estimates"] == "design-based"
    assert told["overall"]["estimate"] == made.overall.estimate
    assert told["classes"]["water"]["users"]["low"] == made.users["water"].interval()[0]
    assert told["matrix"] == made.matrix.tolist()


def test_json_has_null_for_what_is_not_known(run, map_file: Path, interpreted: Path) -> None:
    frame = gpd.read_file(interpreted)
    frame["reference"] = "forest"
    frame.to_file("all.gpkg")
    told = json.loads(run("assess", map_file, "all.gpkg", "--column", "reference", "--json").stdout)
    assert told["classes"]["water"]["producers"] == {"estimate": None, "se": None, "low": None, "high": None}


def test_a_table_and_a_figure_are_written(run, map_file: Path, interpreted: Path) -> None:
    done = run("assess", map_file, interpreted, "--column", "reference", "--csv", "table.csv", "--figure", "accuracy.png")
    assert done.exit_code == 0, done.stderr
    table = pd.read_csv("table.csv", index_col="class")
    assert table.loc["forest", "estimates"] == "design-based"
    assert table["area"].sum() == pytest.approx(80)
    assert Path("accuracy.png").read_bytes().startswith(b"\x89PNG")
    done = run("assess", map_file, interpreted, "--column", "reference", "--csv", "table.csv")
    assert done.stderr.startswith("error: table.csv exists: pass --overwrite")


def test_points_outside_are_an_error_or_told(run, map_file: Path, interpreted: Path) -> None:
    frame = gpd.read_file(interpreted)
    frame.loc[0, "geometry"] = frame.geometry[0].__class__(0, 0)
    frame.to_file("outside.gpkg")
    done = run("assess", map_file, "outside.gpkg", "--column", "reference")
    assert done.exit_code == 1
    assert "1 of 100 points lie outside the map or on its nodata" in done.stderr
    assert done.stderr.count("\n") == 1
    done = run("assess", map_file, "outside.gpkg", "--column", "reference", "--drop-outside")
    assert done.exit_code == 0
    assert done.stderr.startswith("warning: 1 of 100 points")
    assert "left out: 1 points" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give REFERENCE, a file of points, and its --column; or --design to draw them"),
        (("points.gpkg",), "give REFERENCE"),
        (("--design",), "--design needs one of --n"),
        (("--design", "--n", 9, "--target-se", 0.1, "--out", "s.gpkg"), "--design needs one of --n"),
        (("--design", "--n", 9), "--design needs --out"),
        (("points.gpkg", "--design", "--n", 9, "--out", "s.gpkg"), "leave one of them out"),
        (("points.gpkg", "--column", "x", "--n", 9), "--n goes with --design alone"),
        (("--design", "--n", 9, "--out", "s.gpkg", "--json"), "--json does not go with --design"),
        (("--design", "--n", 9, "--out", "s.gpkg", "--column", "x"), "--column does not go with --design"),
    ],
)
def test_wrong_usage_is_told(run, map_file: Path, arguments, message: str) -> None:
    done = run("assess", map_file, *arguments)
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing.gpkg", "--column", "x"), "error: reference nothing.gpkg cannot be read as a vector file"),
        (("done.gpkg", "--column", "x"), "error: reference has no column 'x': choose one of id, class"),
        (
            ("done.gpkg", "--column", "reference", "--strata", "region"),
            "error: the pixels of strata in column 'region' are not known",
        ),
        (("--design", "--n", 1, "--out", "s.gpkg"), "error: n=1 is too few for 2 samples in each of 2 classes"),
        (("--design", "--n", 9, "--out", "s.shp"), "error: s.shp has .shp, and samples are written as GeoPackage"),
    ],
)
def test_an_error_is_one_line(run, map_file: Path, interpreted: Path, arguments, message: str) -> None:
    done = run("assess", map_file, *arguments)
    assert done.exit_code == 1
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1
    assert not Path("s.gpkg").exists()
