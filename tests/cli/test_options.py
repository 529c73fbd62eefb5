from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pixelwise.cli.options import LimitType, check_free, progress_bar


@pytest.mark.parametrize("terminal", [True, False])
def test_a_progress_bar_is_for_terminals(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    assert progress_bar(None) is terminal
    assert progress_bar(True)
    assert not progress_bar(False)


def test_a_limit_is_a_number_or_the_smallest_class() -> None:
    assert LimitType().convert("120", None, None) == 120
    assert LimitType().convert("smallest", None, None) == "smallest"


def test_a_free_name_in_a_folder_that_exists_is_fine(tmp_path: Path) -> None:
    check_free(tmp_path / "new.tif", overwrite=False)
    (tmp_path / "old.tif").touch()
    check_free(tmp_path / "old.tif", overwrite=True)


def test_a_name_that_is_taken_or_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "old.tif").touch()
    with pytest.raises(FileExistsError, match="--overwrite"):
        check_free(tmp_path / "old.tif", overwrite=False)
    with pytest.raises(FileNotFoundError, match="missing: make it first"):
        check_free(tmp_path / "no" / "new.tif", overwrite=True)
