from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from sklearn.linear_model import LogisticRegression

import pixelwise as pw
from pixelwise.cli.applicability import _training_pixels


def trained(run, scene: Path, polygons: Path, *options: object) -> None:
    common = ("--column", "class", "--folds", 2, "--jobs", 1, "--block-size", 150, "--overwrite")
    done = run("train", scene, polygons, *common, *options)
    assert done.exit_code == 0, done.output


def test_the_map_is_that_of_the_model_and_its_remembered_training_pixels(run, model: Path, scene: Path, polygons: Path) -> None:
    done = run("applicability", model, scene, "inside.tif", "--block-size", 150, "--jobs", 1)
    assert done.exit_code == 0, done.output
    X, y = pw.extract_pixels(scene, polygons, column="class")
    cv = pw.SpatialBlockGroupKFold(5, block_size=150)
    area = pw.AreaOfApplicability(pw.load_artifact(model), cv=cv).fit(X, y)
    expected = area.predict(pw.open_raster(scene))
    assert np.array_equal(pw.open_raster("inside.tif")[0], expected)
    assert done.stdout.splitlines() == [
        "1,200 training pixels x 4 bands: B02, B03, B04, B08",
        f"threshold of the dissimilarity index {area.threshold_:.4g} (cross-validation, 5 folds of blocks of 150 m)",
        f"inside the area of applicability: {float(expected.mean()):.1%} of 4,800 pixels with data",
        "wrote inside.tif",
    ]
    with rasterio.open("inside.tif") as file:
        assert file.nodata == 255
        assert file.tags(1)["flag_meanings"] == "outside inside"


def test_dissimilarity_and_density_are_two_bands(run, model: Path, scene: Path) -> None:
    first = run("applicability", model, scene, "di.tif", "--method", "transform", "--split", "polygons")
    assert first.exit_code == 0, first.output
    assert "4 polygons left out in turn" in first.stdout
    assert pw.open_raster("di.tif").band.values.tolist() == ["DI", "LPD"]
    second = run("applicability", model, scene, "only.tif", "--method", "transform", "--no-lpd", "--split", "polygons")
    assert second.stdout.splitlines()[:3] == first.stdout.splitlines()[:3]
    assert pw.open_raster("only.tif").band.values.tolist() == ["DI"]


def test_single_pixels_can_be_left_out_and_training_pixels_thinned(run, model: Path, scene: Path) -> None:
    done = run("applicability", model, scene, "one.tif", "--split", "pixels", "--max-samples", 100)
    assert done.exit_code == 0, done.output
    assert "one pixel left out at a time" in done.stdout


def test_training_files_may_have_moved(run, model: Path, scene: Path, polygons: Path, tmp_path: Path) -> None:
    trained(run, scene, polygons)
    (tmp_path / "else").mkdir()
    shutil.copy(scene, tmp_path / "else" / "scene.tif")
    shutil.copy(polygons, tmp_path / "else" / "labels.gpkg")
    options = ("--training", "else/scene.tif", "--labels", "else/labels.gpkg", "--column", "class")
    done = run("applicability", model, scene, "inside.tif", *options)
    assert done.exit_code == 0, done.output
    assert run("applicability", model, scene, "again.tif").stdout.splitlines()[1:3] == done.stdout.splitlines()[1:3]


def test_labels_that_the_model_was_not_trained_on_do_not_count(run, scene: Path, polygons: Path) -> None:
    files = {"rasters": [str(scene)], "labels": str(polygons), "column": "class"}
    X, y = pw.extract_pixels(scene, polygons, column="class")
    model = pw.PixelwiseClassifier(LogisticRegression()).fit(X, np.where(y == "forest", "wood", y))
    kept, labels = _training_pixels(model, files, [], None, None, 0)
    assert (len(kept), set(labels)) == (600, {"water"})


def test_a_model_without_importances_is_weighed_by_permutation_or_not_at_all(run, scene: Path, polygons: Path) -> None:
    trained(run, scene, polygons, "--estimator", "hgb", "--index", "NDVI:red=B04,nir=B08")
    refused = run("applicability", "model.pixelwise", scene, "inside.tif")
    assert refused.exit_code == 2
    assert "has no importances of its own: pass --weights permutation, or equal" in refused.stderr
    for weights in ("permutation", "equal"):
        # One band tells the two classes apart here, so that the others get weight 0 and most pixels have twins.
        done = run("applicability", "model.pixelwise", scene, "inside.tif", "--weights", weights, "--overwrite")
        assert done.exit_code == 0, done.output
        assert pw.open_raster("inside.tif").shape == (1, 60, 80)


def test_numbers_as_targets_and_undeclared_fills_work(run, scene: Path, values: np.ndarray, write) -> None:
    values[:, :5, :] = 0
    filled = write(values, "filled.tif")
    target = write(values[3:4].astype("float32"), "target.tif", names=("height",))
    done = run(
        "train", filled, target, "--task", "regression", "--nodata", 0, "--folds", 2, "--jobs", 1, "--block-size", 150,
        "--estimator", "ridge",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    done = run("applicability", "model.pixelwise", filled, "inside.tif")
    assert (done.exit_code, done.stderr) == (0, ""), done.output
    assert (pw.open_raster("inside.tif")[0, :5].values == 255).all()
    assert "of 4,400 pixels with data" in done.stdout


def test_a_scene_without_data_has_no_share(run, model: Path, values: np.ndarray, write) -> None:
    empty = write(np.zeros_like(values), "empty.tif", nodata=0)
    done = run("applicability", model, empty, "inside.tif")
    assert done.exit_code == 0, done.output
    assert "inside the area of applicability: none of 0 pixels with data" in done.stdout


def test_an_existing_map_is_kept_unless_asked(run, model: Path, scene: Path, tmp_path: Path) -> None:
    (tmp_path / "inside.tif").write_bytes(b"precious")
    done = run("applicability", model, scene, "inside.tif")
    assert (done.exit_code, "pass --overwrite" in done.stderr) == (1, True)
    assert (tmp_path / "inside.tif").read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--labels", "gone.gpkg", "--column", "class"), 1, "gone.gpkg"),
        (("--column", "wrong"), 1, "wrong"),
        (("--training", "gone.tif"), 1, "gone.tif cannot be read"),
        (("--max-samples", "1"), 2, "max-samples"),
        (("--block-size", "100000"), 1, "blocks"),
    ],
)
def test_input_that_cannot_be_used_is_told_in_one_line(
    run, model: Path, scene: Path, tmp_path: Path, options: tuple[str, ...], code: int, words: str
) -> None:
    done = run("applicability", model, scene, "inside.tif", *options)
    assert done.exit_code == code, done.output
    assert words in done.stderr.splitlines()[-1]
    assert not (tmp_path / "inside.tif").exists()


def test_a_model_that_remembers_nothing_needs_to_be_told(run, model: Path, scene: Path, polygons: Path) -> None:
    pw.save_artifact(pw.load_artifact(model), "bare.pixelwise")
    done = run("applicability", "bare.pixelwise", scene, "inside.tif")
    assert done.exit_code == 1
    assert "does not remember its training files: pass --training RASTER and --labels FILE" in done.stderr
    options = ("--training", scene, "--labels", polygons, "--column", "class")
    done = run("applicability", "bare.pixelwise", scene, "inside.tif", *options)
    assert done.exit_code == 2
    assert "pass --block-size METRES, or --split polygons" in done.stderr
    assert run("applicability", "bare.pixelwise", scene, "inside.tif", *options, "--split", "polygons").exit_code == 0


def test_labels_of_another_kind_are_told(run, model: Path, scene: Path, values: np.ndarray, write) -> None:
    codes = write((values[:1] > 1000).astype("uint8"), "codes.tif", names=("class",))
    done = run("applicability", model, scene, "inside.tif", "--labels", codes)
    assert done.exit_code == 1
    assert "is a class of the model, forest, water: check --column" in done.stderr
