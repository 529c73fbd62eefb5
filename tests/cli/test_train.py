from __future__ import annotations

import re
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely

import pixelwise as pw

QUICK = ("--estimator", "logistic", "--folds", 2, "--jobs", 1)


def test_pixels_scores_and_the_saved_model_are_told(run, scene: Path, polygons: Path) -> None:
    done = run("train", scene, polygons, "--column", "class", *QUICK)
    assert done.exit_code == 0
    assert "1,200 pixels x 4 bands: B02, B03, B04, B08" in done.stdout
    assert "  forest        600 pixels, 2 polygons\n" in done.stdout
    assert "random folds       accuracy 1.000 ± 0.000, macro F1 1.000 ± 0.000" in done.stdout
    assert "held-out polygons  accuracy" in done.stdout
    assert "spatial blocks     accuracy" in done.stdout
    assert "none is a design-based map accuracy" in done.stdout
    assert done.stdout.endswith("saved model.pixelwise\n")


def test_the_model_holds_its_provenance(model: Path, scene: Path) -> None:
    told = pw.artifact_info(model)["metadata"]
    assert told["rasters"] == [str(scene)]
    assert told["pixels"] == {"forest": 600, "water": 600}
    assert told["cross-validation"]["random folds"]["accuracy"] == "1.000 ± 0.000"


@pytest.mark.parametrize("name", ["rf", "hgb", "logistic"])
def test_every_classifier_is_fitted_and_can_be_loaded(run, scene: Path, polygons: Path, name: str) -> None:
    done = run("train", scene, polygons, "--column", "class", "--estimator", name, "--folds", 2, "--jobs", 1, "--balance")
    assert done.exit_code == 0, done.stderr
    predicted = pw.load_artifact("model.pixelwise").predict(pw.open_raster(scene))
    assert set(np.unique(predicted)) == {0, 1}


@pytest.mark.parametrize("name", ["rf", "hgb", "ridge"])
def test_every_regressor_is_fitted_and_can_be_loaded(run, scene: Path, tmp_path: Path, name: str) -> None:
    raster = pw.open_raster(scene)
    pw.write_raster(raster.sel(band="B08", drop=True).astype("float32")[:20], tmp_path / "target.tif")
    done = run("train", scene, "target.tif", "--task", "regression", "--estimator", name, "--folds", 2, "--jobs", 1)
    assert done.exit_code == 0, done.stderr
    assert re.search(r"spatial blocks     R2 (0\.9|1\.0)", done.stdout)
    assert "held-out rasters   not possible" in done.stdout
    assert "target from " in done.stdout
    assert pw.load_artifact("model.pixelwise").predict(raster).dtype == "float32"


def test_indices_are_appended(run, scene: Path, polygons: Path) -> None:
    indices = ("--index", "NDVI:red=B04,nir=B08", "--index", "ndwi:green=B03,nir=B08")
    assert run("train", scene, polygons, "--column", "class", *indices, *QUICK).exit_code == 0
    assert pw.artifact_info("model.pixelwise")["features"][-2:] == ["NDVI", "NDWI"]


def test_bands_without_names_have_made_up_ones(run, landsat: Path, landsat_polygons: Path) -> None:
    done = run("train", landsat, landsat_polygons, "--column", "label", "--index", "NDVI:red=band_3,nir=band_4", *QUICK)
    assert done.exit_code == 0, done.stderr


def test_points_are_held_out_as_points(run, landsat: Path, landsat_points: Path) -> None:
    done = run("train", landsat, landsat_points, "--column", "label", *QUICK, "--min-pixels", 10)
    assert done.exit_code == 0, done.stderr
    assert "held-out points" in done.stdout


def test_several_rasters_share_one_vector_file(run, scene: Path, polygons: Path, tmp_path: Path) -> None:
    raster = pw.open_raster(scene)
    west = pw.write_raster(raster[:, :, :40], tmp_path / "west.tif")
    east = pw.write_raster(raster[:, :, 40:], tmp_path / "east.tif")
    done = run("train", west, east, polygons, "--column", "class", *QUICK)
    assert done.exit_code == 0, done.stderr
    assert "1,200 pixels" in done.stdout


def test_several_rasters_share_one_label_raster(run, scene: Path, landsat: Path, tmp_path: Path) -> None:
    raster = pw.open_raster(scene)
    north = pw.write_raster(raster[:, :30], tmp_path / "north.tif")
    south = pw.write_raster(raster[:, 30:], tmp_path / "south.tif")
    codes = (raster.sel(band="B08", drop=True) > 1000).astype("uint8") + 1
    labels = pw.write_raster(codes, tmp_path / "labels.tif")
    done = run("train", north, south, labels, *QUICK)
    assert done.exit_code == 0, done.stderr
    assert "4,800 pixels" in done.stdout
    assert "held-out rasters   accuracy" in done.stdout


def test_options_of_the_extraction_are_passed_on(run, scene: Path, polygons: Path) -> None:
    options = ("--buffer", -20, "--max-per-class", 50, "--all-touched")
    done = run("train", scene, polygons, "--column", "class", *options, *QUICK)
    assert "100 pixels x 4 bands" in done.stdout
    told = pw.artifact_info("model.pixelwise")["metadata"]
    assert (told["buffer"], told["all_touched"]) == (-20, True)


def labelled(tmp_path: Path, polygons: Path, names: list[object]) -> Path:
    frame = gpd.read_file(polygons)
    frame["class"] = names
    frame.to_file(tmp_path / "labelled.gpkg")
    return tmp_path / "labelled.gpkg"


def test_labels_to_ignore_are_text_where_the_column_is(run, scene: Path, polygons: Path, tmp_path: Path) -> None:
    source = labelled(tmp_path, polygons, ["7", "8", "8", "0"])
    assert "900 pixels" in run("train", scene, source, "--column", "class", "--ignore-label", "0", *QUICK).stdout


def test_labels_to_ignore_are_numbers_where_the_column_is(run, scene: Path, polygons: Path, tmp_path: Path) -> None:
    source = labelled(tmp_path, polygons, [7, 8, 8, 0])
    assert "900 pixels" in run("train", scene, source, "--column", "class", "--ignore-label", "0", *QUICK).stdout
    wrong = run("train", scene, source, "--column", "class", "--ignore-label", "nothing", "--overwrite", *QUICK)
    assert wrong.exit_code == 2
    assert "the labels are numbers" in wrong.stderr


def test_a_value_that_means_nothing_is_named(run, scene: Path, polygons: Path, tmp_path: Path) -> None:
    raster = pw.open_raster(scene).copy()
    raster[:, 5:10] = 0
    holed = pw.write_raster(raster, tmp_path / "holed.tif")
    silent = run("train", holed, polygons, "--column", "class", *QUICK)
    assert "warning: " in silent.stderr
    assert "1,200 pixels" in silent.stdout
    told = run("train", holed, polygons, "--column", "class", "--nodata", 0, "--overwrite", *QUICK)
    assert told.stderr == ""
    assert "1,050 pixels" in told.stdout
    predicted = pw.load_artifact("model.pixelwise").predict(pw.open_raster(holed))
    assert (predicted[5:10] == predicted.rio.nodata).all()


def test_gradient_boosting_takes_pixels_that_lack_bands(run, scene: Path, polygons: Path, tmp_path: Path) -> None:
    raster = pw.open_raster(scene).astype("float32")
    raster[0, :15] = np.nan
    holed = pw.write_raster(raster, tmp_path / "holed.tif")
    done = run("train", holed, polygons, "--column", "class", "--estimator", "hgb", "--folds", 2, "--jobs", 1)
    assert "1,200 pixels" in done.stdout
    assert "1,200 pixels" not in run("train", holed, polygons, "--column", "class", "--overwrite", *QUICK).stdout


def test_the_block_size_is_a_tenth_of_what_the_labels_span(run, scene: Path, polygons: Path) -> None:
    run("train", scene, polygons, "--column", "class", *QUICK)
    assert pw.artifact_info("model.pixelwise")["metadata"]["block_size"] == 50
    run("train", scene, polygons, "--column", "class", "--block-size", 150, "--overwrite", *QUICK)
    assert pw.artifact_info("model.pixelwise")["metadata"]["block_size"] == 150


def test_without_a_crs_blocks_are_not_possible_and_the_model_is_saved(run, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 200, (2, 30, 30)).astype("uint8")
    for name, array in (("scene.tif", values), ("labels.tif", (values[:1] > 100).astype("uint8"))):
        with (
            pytest.warns(rasterio.errors.NotGeoreferencedWarning),
            rasterio.open(tmp_path / name, "w", driver="GTiff", height=30, width=30, count=len(array), dtype="uint8") as file,
        ):
            file.write(array)
    done = run("train", "scene.tif", "labels.tif", *QUICK)
    assert done.exit_code == 0, done.stderr
    assert "spatial blocks     not possible" in done.stdout
    assert "X has no CRS" in done.stdout


def test_an_existing_model_is_kept_unless_asked(run, model: Path, scene: Path, polygons: Path) -> None:
    before = model.read_bytes()
    refused = run("train", scene, polygons, "--column", "class", *QUICK)
    assert refused.exit_code == 1
    assert "pass --overwrite" in refused.stderr
    assert model.read_bytes() == before
    assert run("train", scene, polygons, "--column", "class", "--overwrite", *QUICK).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--estimator", "ridge"), "--estimator ridge does no classification: choose one of rf, hgb, logistic"),
        (("--estimator", "logistic", "--task", "regression"), "choose one of rf, hgb, ridge"),
        (("--estimator", "magic"), "'magic' is not one of"),
        (("--balance", "--max-per-class", 5), "give one of them"),
        (("--max-per-class", "few"), "'few' is no number of pixels"),
        (("--max-per-class", "0"), "'0' is no number of pixels"),
        (("--index", "EVI:red=B04"), "'EVI' is no index: choose one of NDVI, NDWI"),
        (("--index", "NDVI:red=B04"), "write NDVI:red=BAND,nir=BAND"),
        (("--block-size", "0"), "0 is not in the range"),
        (("--folds", "1"), "1 is not in the range"),
    ],
)  # fmt: skip
def test_wrong_usage_is_exit_code_2(run, scene: Path, polygons: Path, arguments: tuple[object, ...], words: str) -> None:
    done = run("train", scene, polygons, "--column", "class", *arguments)
    assert done.exit_code == 2
    assert words in done.stderr


def cut(scene: Path, tmp_path: Path) -> Path:
    path = tmp_path / "cut.tif"
    path.write_bytes(scene.read_bytes()[:9000])
    return path


def test_input_that_cannot_be_used_is_told_in_one_line(run, scene: Path, polygons: Path, tmp_path: Path) -> None:
    far = gpd.GeoDataFrame({"class": ["a"]}, geometry=[shapely.box(0, 0, 1, 1)], crs="EPSG:32633")
    far.to_file(tmp_path / "far.gpkg")
    with pytest.warns(UserWarning, match="'crs' was not provided"):
        far.set_crs(None, allow_override=True).to_file(tmp_path / "nowhere.gpkg")
    labelled(tmp_path, polygons, ["a", "a", "a", "a"])
    cases = {
        ("nothing.tif", polygons, "--column", "class"): "nothing.tif cannot be read",
        (scene, "nothing.gpkg", "--column", "class"): "nothing.gpkg cannot be read",
        (scene, polygons): "name their label column",
        (scene, polygons, "--column", "wrong"): "no column 'wrong': choose one of class",
        (scene, scene): "4 bands",
        (scene, "far.gpkg", "--column", "class"): "no labelled pixel",
        # The oldest GDAL gives it a CRS without a place.
        (scene, "nowhere.gpkg", "--column", "class"): "label",
        (scene, "labelled.gpkg", "--column", "class"): "all 1200 labelled pixels are of class a",
        (scene, polygons, "--column", "class", "--buffer", "-500"): "leaves no polygon",
        (scene, polygons, "--column", "class", "--index", "NDVI:red=B99,nir=B08"): "red='B99' is no band",
        (scene, polygons, "--column", "class", "--task", "regression", "--estimator", "ridge"): "",
        (scene, polygons, "--column", "class", "--out", "no/where.pixelwise"): "folder no of where.pixelwise is missing",
        (scene, polygons, "--column", "class", "--min-pixels", "99999"): "lower min_pixels",
        (cut(scene, tmp_path), polygons, "--column", "class"): "cut.tif",
        (polygons, polygons, "--column", "class"): "cannot be read",
    }
    for arguments, words in cases.items():
        done = run("train", *arguments, "--folds", 2, "--jobs", 1)
        assert done.exit_code == 1, (arguments, done.output)
        last = done.stderr.splitlines()[-1]
        assert last.startswith("error: "), (arguments, done.stderr)
        assert words in last, (arguments, last)
        assert not (tmp_path / "model.pixelwise").exists()
