from __future__ import annotations

import threading
from pathlib import Path

import pytest

from pixelwise.errors import RasterReadError
from pixelwise.raster.open_files import files_kept_open, opened, use_file


def test_a_file_is_shared_inside_the_block_and_closed_after_it(scene: Path) -> None:
    with files_kept_open():
        with opened(scene) as first:
            pass
        with files_kept_open(), opened(str(scene)) as second:
            assert second is first
        assert first.read().n_bands == 4
    with pytest.raises(RasterReadError):
        first.read()


def test_without_a_block_a_file_is_closed_at_once(scene: Path) -> None:
    with opened(scene) as file:
        pass
    with pytest.raises(RasterReadError):
        file.read()


def test_threads_do_not_share_files(scene: Path) -> None:
    found = []

    def look() -> None:
        with opened(scene) as file:
            found.append(file)

    with files_kept_open():
        with opened(scene) as own:
            thread = threading.Thread(target=look)
            thread.start()
            thread.join()
        assert found[0] is not own


def test_no_more_files_stay_open_than_were_asked_for(landsat: Path, scene: Path) -> None:
    with files_kept_open(most=1):
        with opened(scene) as first:
            pass
        with opened(landsat):
            pass
        with pytest.raises(RasterReadError):
            first.read()


def test_a_file_that_is_opened_twice_at_once_is_kept_once(scene: Path) -> None:
    with files_kept_open():
        with opened(scene) as outer, opened(scene) as inner:
            assert inner is not outer
        with opened(scene) as again:
            assert again is outer


def test_a_file_that_fails_is_not_kept(scene: Path) -> None:
    with files_kept_open():
        with pytest.raises(RuntimeError), opened(scene) as first:
            raise RuntimeError
        with opened(scene) as second:
            assert second is not first


def test_a_local_file_that_is_not_there_is_tried_once() -> None:
    with pytest.raises(RasterReadError) as error:
        use_file("/nowhere/scene.tif", lambda file: file)
    assert "tried" not in str(error.value)
