"""Equal pipelines have one fingerprint in any process, and others have another."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import warnings
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.errors import NotGeoreferencedWarning
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.tree import DecisionTreeClassifier

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


FUNCTION = """
from dataclasses import dataclass
from functools import cached_property

@dataclass
class Scale:
    factor: float = 2.0

    @cached_property
    def twice(self):
        return self.factor * 2

    def __call__(self, raster, *, tiles=frozenset({"31UFU", "32ULC", "33UUU"})):
        return raster * self.factor if raster.attrs["tile"] in {"31UFU", "32ULC", "33UUU"} else raster
"""


def test_sets_and_dataclasses_of_a_script_are_the_same_in_each_process(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(f"from pixelwise.catalog.fingerprint import fingerprint\n{FUNCTION}\nprint(fingerprint(Scale()))")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    runs = [{**env, "PYTHONHASHSEED": seed} for seed in "123"]
    told = {subprocess.run([sys.executable, script], env=run, check=True, capture_output=True).stdout for run in runs}
    assert len(told) == 1


def test_a_module_of_the_user_counts_by_what_it_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    found = []
    for change in ("2.0", "2.0", "3.0"):
        (tmp_path / "own_features.py").write_text(FUNCTION.replace("self.factor * 2", f"self.factor * {change}"))
        monkeypatch.delitem(sys.modules, "own_features", raising=False)
        # Else the compiled module of the same second and size would be taken.
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        found.append(fingerprint([__import__("own_features").Scale(), np.mean, BaseEstimator]))
    assert found[0] == found[1] != found[2]


def test_what_a_module_of_the_user_holds_open_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_locks.py").write_text("import threading\nclass Locked:\n    lock = threading.Lock()")
    assert fingerprint(__import__("own_locks").Locked()) == fingerprint(__import__("own_locks").Locked())


@pytest.mark.parametrize(
    "model",
    [
        GridSearchCV(DecisionTreeClassifier(), {"max_depth": [1, 2]}, cv=2),
        LogisticRegression(),
        GradientBoostingClassifier(n_estimators=2),
        HistGradientBoostingClassifier(max_iter=2),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_model_that_was_saved_and_loaded_is_the_same(model: Any, tmp_path: Path) -> None:
    X, y = np.arange(40.0).reshape(20, 2), np.arange(20) % 2
    fitted = pw.PixelwiseClassifier(model.fit(X, y))
    joblib.dump(fitted, tmp_path / "model.joblib")
    pw.save_artifact(fitted, tmp_path / "model.pixelwise")
    loaded = joblib.load(tmp_path / "model.joblib"), pw.load_artifact(tmp_path / "model.pixelwise")
    assert {fingerprint(one) for one in loaded} == {fingerprint(fitted)}
    assert fingerprint(fitted) != fingerprint(pw.PixelwiseClassifier(clone(model).fit(X + y[:, None], y)))
