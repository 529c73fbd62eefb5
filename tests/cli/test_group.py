from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import pixelwise as pw
from pixelwise.cli import group
from pixelwise.errors import PixelwiseWarning

COMMANDS = ("demo", "folds", "train", "predict", "assess", "applicability", "info")


def test_the_version_is_told(run) -> None:
    assert run("--version").output == f"pixelwise, version {pw.__version__}\n"


def test_the_help_names_every_command_and_the_exit_codes(run) -> None:
    text = run("--help").output
    assert all(f"\n  {name} " in text for name in COMMANDS)
    assert "Exit codes" in text


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_the_help_of_a_command_has_an_example(run, command: str, option: str) -> None:
    done = run(command, option)
    assert done.exit_code == 0
    assert f"\n      pixelwise {command} " in done.output
    assert "Example" in done.output


@pytest.mark.parametrize("command", ["train", "demo"])
def test_the_help_says_units_and_defaults(run, command: str) -> None:
    text = " ".join(run(command, "--help").output.split())
    assert "in metres" in text
    assert "[default: " in text


def test_an_unknown_command_is_wrong_usage(run) -> None:
    assert run("paint").exit_code == 2


def test_an_error_is_one_line_and_exit_code_1(run) -> None:
    done = run("info", "nothing.tif")
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: raster nothing.tif cannot be read")
    assert done.stderr.count("\n") == 1


def test_debug_shows_the_traceback_too(run) -> None:
    done = run("--debug", "info", "nothing.tif")
    assert done.exit_code == 1
    assert "Traceback (most recent call last)" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ")


def test_an_error_from_a_library_says_where_to_see_more(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pixelwise.cli.info.summarize_raster", lambda _: (_ for _ in ()).throw(ValueError("two\nlines")))
    done = run("info", "some.tif")
    assert (done.exit_code, done.stderr) == (1, "error: two lines (pixelwise --debug ... shows where)\n")


def test_an_error_without_words_is_told_by_its_name(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pixelwise.cli.info.summarize_raster", lambda _: (_ for _ in ()).throw(MemoryError()))
    assert run("info", "some.tif").stderr.startswith("error: MemoryError")


def test_a_mistake_of_ours_is_not_hidden(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pixelwise.cli.info.summarize_raster", lambda _: None)
    assert isinstance(run("info", "some.tif").exception, AttributeError)


def test_an_interrupt_is_exit_code_130(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pixelwise.cli.info.summarize_raster", lambda _: (_ for _ in ()).throw(KeyboardInterrupt()))
    done = run("info", "some.tif")
    assert (done.exit_code, done.stderr) == (130, "interrupted\n")


def test_a_warning_is_one_line(run, monkeypatch: pytest.MonkeyPatch) -> None:
    def warned(_: Path) -> None:
        warnings.warn("mind the\ngap", PixelwiseWarning, stacklevel=1)
        raise FileNotFoundError("gone")

    monkeypatch.setattr("pixelwise.cli.info.summarize_raster", warned)
    assert run("info", "some.tif").stderr == "warning: mind the gap\nerror: gone\n"


def test_the_way_warnings_are_shown_is_put_back(run) -> None:
    run("info", "nothing.tif")
    assert warnings.showwarning is not group._show_warning


def test_the_command_runs_as_a_process_of_its_own(scene: Path, polygons: Path, tmp_path: Path) -> None:
    def pixelwise(*arguments: object) -> subprocess.CompletedProcess[str]:
        code = "from pixelwise.cli import main; main(prog_name='pixelwise')"
        command = [sys.executable, "-c", code, *map(str, arguments)]
        return subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)

    trained = pixelwise("train", scene, polygons, "--column", "class", "--folds", 2, "--index", "NDVI:red=B04,nir=B08")
    assert (trained.returncode, trained.stderr) == (0, "")
    predicted = pixelwise("predict", "model.pixelwise", scene, "map.tif", "--memory", "256MB")
    assert (predicted.returncode, predicted.stdout, predicted.stderr) == (0, "wrote map.tif\n", "")
    told = pixelwise("info", "map.tif")
    assert "classes: 0 forest, 1 water" in told.stdout
    refused = pixelwise("predict", "model.pixelwise", scene, "map.tif")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "error: map.tif exists: pass --overwrite to replace it, or another name\n"
