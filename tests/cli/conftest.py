"""The command, called within the process."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pixelwise.cli import main

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call the command in a folder of its own; output and errors come apart."""
    monkeypatch.chdir(tmp_path)
    # Before click 8.2 the two are kept apart on demand only.
    options = {"mix_stderr": False} if "mix_stderr" in signature(CliRunner).parameters else {}
    runner = CliRunner(**options)

    def call(*arguments: Any) -> Result:
        return runner.invoke(main, [str(argument) for argument in arguments])

    return call


@pytest.fixture
def model(run: Run, scene: Path, polygons: Path, tmp_path: Path) -> Path:
    """A model that the command has saved."""
    done = run("train", scene, polygons, "--column", "class", "--estimator", "logistic", "--folds", 2, "--jobs", 1)
    assert done.exit_code == 0, done.output
    return tmp_path / "model.pixelwise"
