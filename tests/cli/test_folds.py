from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pixelwise as pw

BLOCKS = ("--block-size", 100, "--folds", 3)


def test_each_fold_is_told_with_its_counts_and_distances(run, scene: Path, polygons: Path) -> None:
    done = run("folds", scene, polygons, "--column", "class", *BLOCKS, "--buffer", 20)
    assert done.exit_code == 0, done.stderr
    assert "1,200 labelled pixels x 4 bands: B02, B03, B04, B08" in done.stdout
    assert "cross-validation, 3 folds of squares of 100 m, 20 m apart, assignment equal_count:" in done.stdout
    X, y = pw.extract_pixels(scene, polygons, column="class")
    report = pw.fold_report(pw.SpatialBlockGroupKFold(3, block_size=100, buffer=20), X, y)
    row = report.loc[0]
    assert f"{row['n_train']:>9,}  {row['n_test']:>9,}  {row['n_lost']:>9,}" in done.stdout
    assert f"test  {row['test_forest']} forest, {row['test_water']} water" in done.stdout
    assert "all folds together: W " in done.stdout
    assert "are no design-based accuracy" in done.stdout


def test_flags_come_with_suggestions(run, scene: Path, polygons: Path) -> None:
    done = run("folds", scene, polygons, "--column", "class", *BLOCKS)
    assert "polygons with training rows" in done.stdout
    assert "suggestions:\n  use larger blocks or a buffer" in done.stdout


def test_folds_without_faults_need_no_suggestion(run, scene: Path, polygons: Path) -> None:
    done = run("folds", scene, polygons, "--column", "class", "--block-size", 300, "--shape", "rows", "--folds", 2)
    assert done.exit_code == 0, done.stderr
    assert "rows of 300 m" in done.stdout
    assert ("suggestions" in done.stdout) == ("!" in done.stdout)


def test_a_block_size_is_suggested_where_none_is_given(run, scene: Path, polygons: Path) -> None:
    done = run("folds", scene, polygons, "--column", "class", "--folds", 2)
    assert done.exit_code == 0, done.stderr
    assert "m, as suggested: " in done.stdout


@pytest.mark.parametrize("shape", ["hexagon", "columns", "kmeans"])
def test_every_shape_and_assignment_is_reported(run, scene: Path, polygons: Path, shape: str) -> None:
    options = ("--shape", shape, "--assignment", "stratified", "--folds", 2)
    size = () if shape == "kmeans" else ("--block-size", 100)
    done = run("folds", scene, polygons, "--column", "class", *options, *size)
    assert done.exit_code == 0, done.stderr
    assert {"hexagon": "hexagons of 100 m", "columns": "columns of 100 m", "kmeans": "8 clusters"}[shape] in done.stdout


def test_pictures_and_a_table_are_written(run, scene: Path, polygons: Path, tmp_path: Path) -> None:
    files = ("--out", "folds.png", "--distances", "distances.png", "--csv", "report.csv")
    done = run("folds", scene, polygons, "--column", "class", *BLOCKS, *files)
    assert done.exit_code == 0, done.stderr
    for name in ("folds.png", "distances.png"):
        assert f"wrote {name}" in done.stdout
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    table = pd.read_csv(tmp_path / "report.csv", index_col="fold")
    assert set(table["kind"]) == {"cross-validation"}
    assert table["n_test"].sum() == 1200


def test_scenes_of_other_bands_are_drawn_too(run, landsat: Path, landsat_points: Path, scene: Path, polygons: Path) -> None:
    done = run("folds", landsat, landsat_points, "--column", "label", "--block-size", 2000, "--out", "a.png")
    assert done.exit_code == 0, done.stderr
    one = pw.write_raster(pw.open_raster(scene)[:1], "one.tif")
    done = run("folds", one, polygons, "--column", "class", *BLOCKS, "--out", "b.png")
    assert done.exit_code == 0, done.stderr


def test_numbers_in_a_raster_have_quartiles(run, scene: Path, tmp_path: Path) -> None:
    raster = pw.open_raster(scene)
    pw.write_raster(raster.sel(band="B08", drop=True).astype("float32")[:20], tmp_path / "target.tif")
    done = run("folds", scene, "target.tif", *BLOCKS, "--task", "regression")
    assert done.exit_code == 0, done.stderr
    assert "test  quartiles " in done.stdout


def test_codes_in_a_raster_can_be_ignored(run, scene: Path, tmp_path: Path) -> None:
    labels = pw.open_raster(scene).sel(band="B08", drop=True).copy(data=np.arange(80) // 27 * np.ones((60, 1), int))
    pw.write_raster(labels.astype("uint8"), tmp_path / "codes.tif")
    done = run("folds", scene, "codes.tif", *BLOCKS, "--ignore-label", "0", "--max-per-class", 500)
    assert done.exit_code == 0, done.stderr
    assert "1,000 labelled pixels" in done.stdout
    wrong = run("folds", scene, "codes.tif", *BLOCKS, "--ignore-label", "forest")
    assert wrong.exit_code == 2
    assert "labels are numbers, so give a number" in wrong.stderr


BAD = {
    "column": (("--column", "name", *BLOCKS), 1, "labels have no column 'name': choose one of class"),
    "too few blocks": (("--column", "class", "--block-size", 5000), 1, "blocks cannot make 5 folds"),
    "negative size": (("--column", "class", "--block-size", -5), 2, "not in the range"),
    "wide buffer": (("--column", "class", *BLOCKS, "--buffer", 9000), 1, "loses all its training rows"),
    "folder": (("--column", "class", *BLOCKS, "--out", "none/folds.png"), 1, "folder none of folds.png is missing"),
    "no column": (BLOCKS, 1, "are no raster: for polygons or points name their label column"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_told_in_one_line(run, scene: Path, polygons: Path, case: str) -> None:
    options, code, message = BAD[case]
    done = run("folds", scene, polygons, *options)
    assert done.exit_code == code
    assert message in done.stderr
    assert code == 2 or done.stderr.count("\n") == 1


def test_an_existing_file_is_left_alone(run, scene: Path, polygons: Path, tmp_path: Path) -> None:
    (tmp_path / "report.csv").write_text("mine")
    done = run("folds", scene, polygons, "--column", "class", *BLOCKS, "--csv", "report.csv")
    assert done.exit_code == 1
    assert "report.csv exists: pass --overwrite" in done.stderr
    assert (tmp_path / "report.csv").read_text() == "mine"


def test_help_teaches(run) -> None:
    done = run("folds", "--help")
    for word in ("--block-size", "--assignment", "stratified", "cross-validation", "Examples:"):
        assert word in done.stdout
