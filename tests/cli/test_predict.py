from __future__ import annotations

from pathlib import Path

import joblib
import numpy as np
import pytest
import rasterio
from sklearn.dummy import DummyClassifier

import pixelwise as pw


def test_the_map_is_the_one_that_the_model_makes(run, model: Path, scene: Path) -> None:
    done = run("predict", model, scene, "map.tif")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "wrote map.tif\n", "")
    expected = pw.load_artifact(model).predict(pw.open_raster(scene))
    assert np.array_equal(pw.open_raster("map.tif")[0], expected)
    with rasterio.open("map.tif") as file:
        assert file.nodata == 255
        assert file.tags(1)["flag_meanings"] == "forest water"


def test_probabilities_are_one_band_a_class(run, model: Path, scene: Path) -> None:
    assert run("predict", model, scene, "shares.tif", "--method", "predict_proba", "--workers", 2).exit_code == 0
    shares = pw.open_raster("shares.tif")
    assert shares.band.values.tolist() == ["forest", "water"]
    assert np.allclose(shares.sum("band"), 1, atol=1e-5)


def test_an_existing_map_is_kept_unless_asked(run, model: Path, scene: Path, tmp_path: Path) -> None:
    (tmp_path / "map.tif").write_bytes(b"precious")
    assert run("predict", model, scene, "map.tif").exit_code == 1
    assert (tmp_path / "map.tif").read_bytes() == b"precious"
    assert run("predict", model, scene, "map.tif", "--overwrite").exit_code == 0
    assert pw.open_raster("map.tif").shape == (1, 60, 80)


def test_a_progress_bar_is_shown_on_demand(run, model: Path, scene: Path) -> None:
    assert "%" in run("predict", model, scene, "map.tif", "--progress").stderr
    assert run("predict", model, scene, "map.tif", "--overwrite", "--no-progress").stderr == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("{model}", "{scene}", "map.png"), "map.png"),
        (("{model}", "{scene}", "no/map.tif"), "folder no"),
        (("{model}", "nothing.tif", "map.tif"), "nothing.tif cannot be read"),
        (("{model}", "{landsat}", "map.tif"), "bands"),
        (("nothing.pixelwise", "{scene}", "map.tif"), "nothing.pixelwise cannot be read"),
        (("{scene}", "{scene}", "map.tif"), "is no artifact"),
        (("{model}", "{scene}", "map.tif", "--memory", "lots"), "'lots' is no amount of memory"),
        (("{model}", "{scene}", "map.tif", "--memory", "1KB"), "memory"),
    ],
)
def test_input_that_cannot_be_used_is_told_in_one_line(
    run, model: Path, scene: Path, landsat: Path, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = run("predict", *(text.format(model=model, scene=scene, landsat=landsat) for text in arguments))
    assert done.exit_code == 1, done.output
    assert words in done.stderr.splitlines()[-1]
    assert [path for path in tmp_path.iterdir() if path != model] == []


def test_a_scene_that_is_cut_short_leaves_no_map(run, model: Path, scene: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.tif").write_bytes(scene.read_bytes()[:9000])
    done = run("predict", model, "cut.tif", "map.tif")
    assert done.exit_code == 1
    assert "cut.tif" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.tif", "model.pixelwise"]


def test_a_model_that_is_cut_short_is_told(run, model: Path, scene: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.pixelwise").write_bytes(model.read_bytes()[:500])
    done = run("predict", "cut.pixelwise", scene, "map.tif")
    assert done.exit_code == 1
    assert "cut.pixelwise" in done.stderr


def test_a_pickle_is_loaded_by_permission_only(run, scene: Path, tmp_path: Path) -> None:
    X = np.zeros((4, 4))
    pw.save_artifact(DummyClassifier().fit(X, [0, 0, 0, 1]), tmp_path / "pickled.pixelwise", format="pickle")
    refused = run("predict", "pickled.pixelwise", scene, "map.tif")
    assert refused.exit_code == 1
    assert "pickle" in refused.stderr
    assert run("predict", "pickled.pixelwise", scene, "map.tif", "--allow-pickle").exit_code == 0


def test_a_plain_joblib_file_is_no_artifact(run, scene: Path, tmp_path: Path) -> None:
    joblib.dump({"a": 1}, tmp_path / "model.joblib")
    assert "is no artifact" in run("predict", "model.joblib", scene, "map.tif").stderr
