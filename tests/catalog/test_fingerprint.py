"""Equal pipelines have one fingerprint in any process, and others have another."""

from __future__ import annotations

import threading
import warnings
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.errors import NotGeoreferencedWarning
from sklearn.base import BaseEstimator

import pixelwise as pw
from pixelwise.catalog.fingerprint import fingerprint, local_files, scene_fingerprint, source_fingerprint

MODEL = """
from sklearn.base import BaseEstimator, TransformerMixin
class Model(TransformerMixin, BaseEstimator):
    '''{doc}'''

    def __init__(self, k=1):
        super().__init__()
        self.k = k

    @property
    def twice(self):
        return self.k * 2

    @classmethod
    def named(cls):
        return cls()

    @staticmethod
    def add(a):
        return a + {number}

    def transform(self, X):
        return X * {factor}
"""


def made(**parts: Any) -> list[str]:
    """Return the fingerprints of a class of a script, and of an instance of it."""
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(MODEL.format(**{"doc": "A model.", "number": 1, "factor": 2} | parts), space)
    return [fingerprint(space["Model"].named()), fingerprint([space["Model"](k=2), space["Model"]])]


def test_a_class_of_a_script_counts_by_what_it_does() -> None:
    first = made()
    assert first[0] != first[1]
    assert made(doc="Another text.") == first
    for change in ({"factor": 3}, {"number": 2}):
        assert not set(made(**change)) & set(first)


def test_a_class_of_a_function_has_one() -> None:
    def model(factor: int) -> BaseEstimator:
        class Model(BaseEstimator):
            """It cannot be pickled."""

            def transform(self, X: Any) -> Any:
                return X * factor

        return Model()

    assert fingerprint(model(2)) == fingerprint(model(2)) != fingerprint(model(3))


@pytest.mark.parametrize("uri", ["{0}", {"red": "{0}"}, ("{0}",)], ids=["file", "bands", "dates"])
def test_a_source_is_another_when_its_file_has_changed(tmp_path: Path, uri: Any) -> None:
    path = tmp_path / "scene.tif"
    filled = {str: lambda: str(path), dict: lambda: {"red": str(path)}, tuple: lambda: (str(path),)}[type(uri)]()
    path.write_bytes(b"a")
    first = source_fingerprint(filled)
    assert source_fingerprint(filled) == first
    path.write_bytes(b"ab")
    assert source_fingerprint(filled) != first
    path.unlink()
    assert source_fingerprint(filled) not in (first, "")


@pytest.mark.parametrize("held", [{"a": [threading.Lock()]}, {"a": partial(max, threading.Lock()), 1: 2}])
def test_what_cannot_be_pickled_is_not_passed_over(held: object) -> None:
    with pytest.raises(TypeError, match="cannot pickle"):
        fingerprint(held)


def test_dicts_are_equal_in_any_order_of_any_keys() -> None:
    first, second = {1: "one", "b": [2], None: 3}, {None: 3, "b": [2], 1: "one"}
    assert fingerprint(first) == fingerprint(second) != fingerprint({1: "one", "b": [3], None: 3})


def test_files_in_archives_and_of_several_parts_come_to_an_end(tmp_path: Path) -> None:
    options = {"driver": "ENVI", "width": 4, "height": 4, "count": 1, "dtype": "uint8"}
    with warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning):
        with rasterio.open(tmp_path / "a.img", "w", **options) as file:
            file.write(np.ones((1, 4, 4), "uint8"))
        rasterio.shutil.copy(tmp_path / "a.img", tmp_path / "a.vrt", driver="VRT")
    parts = {str(tmp_path / name) for name in ("a.img", "a.hdr")}
    with warnings.catch_warnings(action="error"):
        assert set(local_files(str(tmp_path / "a.img"))) == parts
        assert set(local_files(str(tmp_path / "a.vrt"))) == {*parts, str(tmp_path / "a.vrt")}
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            for part in sorted(parts):
                archive.write(part, Path(part).name)
        assert local_files(f"/vsizip/{tmp_path}/a.zip/a.img") == []
        assert local_files(("s3://bucket/a.tif", str(tmp_path / "none.tif"))) == []


def test_a_scene_is_another_when_it_is_read_in_another_way(scenes: Path) -> None:
    scene = pw.open_catalog(scenes)[0]
    marks = {scene_fingerprint(replace(scene, **change)) for change in ({}, {"nodata": (0.0,)}, {"resampling": "cubic"})}
    assert len(marks) == 3
