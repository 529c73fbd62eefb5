"""Artifacts of compiled models: their tables are mapped, not read; without the engine, the estimator itself predicts."""

from __future__ import annotations

import io
import json
import pickle
import types
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeRegressor

import pixelwise as pw
from pixelwise.errors import ArtifactError, EngineError, PixelwiseWarning
from pixelwise.estimators.compiled import compiled_for
from pixelwise.mapped import map_array, write_array
from pixelwise.plugins import plugins

COUNT = {"compiled": 0}


class Lookup:
    """The targets of all values of one uint16 band."""

    def __init__(self, source: DecisionTreeRegressor) -> None:
        self.tables = [source.predict(np.arange(2**16)[:, None].astype("float32"))]
        self.about = {"bands": (1,)}
        self.bounds = {"predict": 0.0}

    def check(self) -> None:
        if len(self.tables[0]) != 2**16:
            raise EngineError("the table is too short")

    def run(self, method: str, X: Any, n_jobs: int | None) -> Any:
        return self.tables[0][np.asarray(X)[:, 0].astype("uint16")]

    def explain(self) -> str:
        return "a table of 65,536 targets"


class LookupEngine:
    """Takes single trees."""

    name = "lookup"

    def compile(self, estimator: Any) -> Lookup | None:
        if type(estimator) is not DecisionTreeRegressor:
            return None
        COUNT["compiled"] += 1
        return Lookup(estimator)


@pytest.fixture
def engine() -> Iterator[None]:
    plugins().register(types.SimpleNamespace(pixelwise_engines=pw.hookimpl(lambda: [LookupEngine()])), "lookup-engine")
    yield
    if "lookup-engine" in plugins().names:
        plugins().unregister("lookup-engine")


@pytest.fixture
def uninstalled(engine: None) -> None:
    """Call it to take the engine away."""
    return lambda: plugins().unregister("lookup-engine")


@pytest.fixture(scope="module")
def band() -> tuple[np.ndarray, np.ndarray]:
    """The blue band of a real scene, and another one that is predicted from it."""
    data = pw.datasets.load_sentinel2_osm()
    scene = pw.open_raster({name: data.bands[name] for name in ("B02", "B08")})
    blue, nir = (np.asarray(each)[:60, :60].ravel() for each in scene.values)
    return blue[:, None].astype("float32"), nir.astype("float64")


@pytest.fixture
def tree(band: tuple[np.ndarray, np.ndarray]) -> DecisionTreeRegressor:
    return DecisionTreeRegressor(max_depth=5, random_state=0).fit(*band)


def members(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


@pytest.mark.parametrize("kind", ["skops", "pickle"])
def test_a_compiled_estimator_comes_back_with_mapped_tables(kind, engine, tree, band, tmp_path):
    compiled = pw.compile_estimator(tree)
    for model in (compiled, pw.PixelwiseRegressor(compiled), make_pipeline(FunctionTransformer(), compiled).fit(*band)):
        path = pw.save_artifact(model, tmp_path / "model.pixelwise", format=kind)
        info = pw.artifact_info(path)
        assert (info["engines"], info["needs"]) == (["lookup"], ["lookup"])
        assert members(path)[2:] == ["tables/0.npy"]
        again = pw.load_artifact(path, allow_pickle=True)
        last = again[-1] if hasattr(again, "steps") else getattr(again, "estimator", again)
        last = last if hasattr(last, "program_") else again
        (table,) = last.program_.tables
        assert isinstance(table, np.memmap)
        assert Path(table.filename) == path
        assert not table.flags.writeable
        assert table.ctypes.data % 64 == 0
        assert np.array_equal(again.predict(band[0]), tree.predict(band[0]))
    assert isinstance(compiled.program_.tables[0], np.ndarray)
    assert not isinstance(compiled.program_.tables[0], np.memmap)


def test_the_tables_are_as_any_archive_holds_them(engine, tree, tmp_path):
    compiled = pw.compile_estimator(tree)
    path = pw.save_artifact(compiled, tmp_path / "model.pixelwise")
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert np.array_equal(np.load(io.BytesIO(archive.read("tables/0.npy"))), compiled.program_.tables[0])
    loaded = pw.load_artifact(path)
    twice = pw.load_artifact(pw.save_artifact(loaded, tmp_path / "twice.pixelwise"))
    assert np.array_equal(twice.program_.tables[0], compiled.program_.tables[0])
    # Over the file that is mapped, which stays as it was.
    pw.save_artifact(pw.compile_estimator(tree, None), path)
    assert np.array_equal(loaded.program_.tables[0], compiled.program_.tables[0])


def test_pickles_elsewhere_hold_their_tables_themselves(engine, tree, band, tmp_path):
    loaded = pw.load_artifact(pw.save_artifact(pw.compile_estimator(tree), tmp_path / "model.pixelwise"))
    again = pickle.loads(pickle.dumps(loaded))
    assert np.array_equal(again.predict(band[0]), tree.predict(band[0]))


@pytest.mark.parametrize("asked", ["auto", "lookup"])
@pytest.mark.parametrize("kind", ["skops", "pickle"])
def test_a_wrapper_with_an_engine_comes_back_compiled(kind, asked, engine, tree, band, tmp_path):
    model = pw.PixelwiseRegressor(DecisionTreeRegressor(max_depth=5, random_state=0), engine=asked).fit(*band)
    path = pw.save_artifact(model, tmp_path / "model.pixelwise", format=kind)
    info = pw.artifact_info(path)
    assert (info["engines"], info["needs"]) == (["lookup"], [])
    assert len(members(path)) == 4
    before = COUNT["compiled"]
    again = pw.load_artifact(path, allow_pickle=True)
    assert np.array_equal(again.predict(band[0]), tree.predict(band[0]))
    assert COUNT["compiled"] == before
    assert isinstance(compiled_for(again.estimator_, asked).program_.tables[0], np.memmap)
    assert again.engine == asked
    assert vars(again).keys() == vars(model).keys()


def test_two_wrappers_of_one_estimator_share_what_is_compiled(engine, tree, band, tmp_path):
    one = pw.PixelwiseRegressor(tree, engine="lookup")
    graph = pw.PixelwiseRegressor(pw.PixelwiseRegressor(tree, engine="lookup"), engine=None)
    before = COUNT["compiled"]
    for model in (one, graph):
        path = pw.save_artifact(model, tmp_path / "model.pixelwise")
        assert members(path)[2:] == ["programs.skops", "tables/0.npy"]
        assert np.array_equal(pw.load_artifact(path).predict(band[0]), tree.predict(band[0]))
    assert COUNT["compiled"] == before + 1


@pytest.mark.parametrize("asked", ["auto", "lookup"])
def test_without_the_engine_the_estimator_itself_predicts(asked, uninstalled, tree, band, tmp_path):
    model = pw.PixelwiseRegressor(tree, engine=asked)
    path = pw.save_artifact(model, tmp_path / "model.pixelwise")
    uninstalled()
    with pytest.warns(PixelwiseWarning, match="engine 'lookup' that .* was compiled by is not here, so that the estimator"):
        again = pw.load_artifact(path)
    assert again.engine == "auto"
    assert np.array_equal(again.predict(band[0]), tree.predict(band[0]))


def test_without_the_engine_a_compiled_estimator_says_what_to_install(uninstalled, tree, tmp_path):
    path = pw.save_artifact(pw.compile_estimator(tree), tmp_path / "model.pixelwise")
    uninstalled()
    with pytest.raises(ArtifactError, match=r"compiled by the engine 'lookup', which is not here: pip install the plugin that"):
        pw.load_artifact(path)
    assert pw.artifact_info(path)["needs"] == ["lookup"]


def test_a_model_can_be_saved_where_its_engine_is_not(tree, band, tmp_path):
    path = pw.save_artifact(pw.PixelwiseRegressor(tree, engine="lookup"), tmp_path / "model.pixelwise")
    assert pw.artifact_info(path)["engines"] == []
    assert pw.load_artifact(path).engine == "lookup"


def test_wrappers_that_no_engine_compiles_are_saved_as_ever(engine, band, tmp_path):
    from sklearn.linear_model import Ridge

    for asked in ("auto", "lookup", "none", None):
        model = pw.PixelwiseRegressor(Ridge(), engine=asked).fit(*band)
        path = pw.save_artifact(model, tmp_path / "model.pixelwise")
        assert len(members(path)) == 2
        assert pw.load_artifact(path).engine == asked
    compiled = pw.compile_estimator(Ridge().fit(*band), None)
    path = pw.save_artifact(compiled, tmp_path / "model.pixelwise")
    assert pw.artifact_info(path)["needs"] == []
    assert pw.load_artifact(path).explain() == compiled.explain()


def test_tables_that_do_not_hold_together_are_refused_and_compiled_again(engine, tree, band, tmp_path):
    model = pw.PixelwiseRegressor(tree, engine="lookup")
    compiled = compiled_for(tree, "lookup")
    compiled.program_.tables[0] = compiled.program_.tables[0][:60_000]
    path = pw.save_artifact(model, tmp_path / "model.pixelwise")
    with pytest.warns(
        PixelwiseWarning, match=r"is of another version \(the table is too short\): the estimator is compiled again"
    ):
        again = pw.load_artifact(path)
    assert again.engine == "lookup"
    assert np.array_equal(again.predict(band[0]), tree.predict(band[0]))
    path = pw.save_artifact(compiled, path)
    with pytest.raises(ArtifactError, match=r"cannot be loaded here \(the table is too short"):
        pw.load_artifact(path)


def test_damaged_tables_are_found_out(engine, tree, tmp_path):
    path = pw.save_artifact(pw.PixelwiseRegressor(tree, engine="lookup"), tmp_path / "model.pixelwise")
    whole = path.read_bytes()
    place = whole.index(b"tables/0.npy") + 5000
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    with pytest.raises(ArtifactError, match="is damaged"):
        pw.load_artifact(path)
    path.write_bytes(whole[:-30])
    with pytest.raises(ArtifactError, match="is no artifact, or is cut short"):
        pw.load_artifact(path)


def rewritten(path: Path, compression: int = zipfile.ZIP_STORED, **changes: Any) -> Path:
    """Write the archive anew, as someone else would."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    info = json.loads(parts["pixelwise.json"])
    parts["pixelwise.json"] = json.dumps(info | changes).encode()
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in parts.items():
            if name != changes.get("leave_out"):
                archive.writestr(name, content)
    return path


def test_archives_written_anew_are_mapped_unless_they_are_compressed(engine, tree, band, tmp_path):
    path = pw.save_artifact(pw.compile_estimator(tree), tmp_path / "model.pixelwise")
    again = pw.load_artifact(rewritten(path))
    assert np.array_equal(again.predict(band[0]), tree.predict(band[0]))
    with pytest.raises(ArtifactError, match=r"tables/0.npy in .* cannot be mapped: save the model again"):
        pw.load_artifact(rewritten(path, zipfile.ZIP_DEFLATED))
    path = pw.save_artifact(pw.compile_estimator(tree), tmp_path / "model.pixelwise")
    digests = pw.artifact_info(path)["sha256_beside"][:1]
    with pytest.raises(ArtifactError, match="table 0 is not there"):
        pw.load_artifact(rewritten(path, leave_out="tables/0.npy", sha256_beside=digests))


@pytest.mark.parametrize("array", [np.array(["text"]), np.asfortranarray(np.ones((3, 4)))], ids=["text", "Fortran"])
def test_only_plain_arrays_are_mapped(array, tmp_path):
    path = tmp_path / "some.zip"
    with zipfile.ZipFile(path, "w") as archive:
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, array, version=(1, 0))
        archive.writestr("some.npy", buffer.getvalue())
    with zipfile.ZipFile(path) as archive, pytest.raises(ArtifactError, match="no plain array"):
        map_array(path, archive, "some.npy")


def test_an_array_that_claims_more_than_there_is_is_not_mapped(tmp_path):
    path = tmp_path / "some.zip"
    with zipfile.ZipFile(path, "w") as archive:
        write_array(archive, "some.npy", np.ones(1000))
        archive.writestr("more", bytes(10**6))
    path.write_bytes(path.read_bytes().replace(b"(1000,)", b"(9999,)"))
    with zipfile.ZipFile(path) as archive, pytest.raises(ArtifactError, match="no plain array"):
        map_array(path, archive, "some.npy")
