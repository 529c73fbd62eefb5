"""A run works on any of joblib's backends that gives results as they come, and says what is missing for others."""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import joblib
import numpy as np
import pytest
from dask.distributed import Client, LocalCluster
from sklearn.linear_model import LogisticRegression

import pixelwise as pw
from pixelwise.errors import CatalogError, DependencyMissingError, PixelwiseWarning
from pixelwise.inference.backends import backend_named


@pytest.mark.parametrize("name", [None, "loky", "threading", "sequential"])
def test_joblib_works_on_the_backend_inside_and_as_before_outside(name: str | None) -> None:
    before = type(joblib.parallel.get_active_backend()[0])
    with backend_named(name):
        inside = type(joblib.parallel.get_active_backend()[0]).__name__
        assert name is None or inside.lower().startswith(name)
    assert type(joblib.parallel.get_active_backend()[0]) is before


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("spark2", r"backend='spark2' cannot be used \(.*spark2.*\): choose loky, threading, dask or ray"),
        ("multiprocessing", "MultiprocessingBackend gives results when all is done: choose backend='loky'"),
        ("dask", r"needs a client: make one with dask\.distributed\.Client\(\)"),
    ],
)
def test_a_backend_that_cannot_be_used_is_an_error_in_one_line(name: str, says: str) -> None:
    with pytest.raises(CatalogError, match=says) as caught, backend_named(name):
        pass
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "module"), [("ray", "ray"), ("dask", "distributed")])
def test_a_backend_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, name: str, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    # joblib looks once, when it is imported.
    monkeypatch.setattr("joblib._dask.distributed", None)
    with pytest.raises(DependencyMissingError, match=rf"install pixelwise\[{name}\]"), backend_named(name):
        pass


def test_a_run_says_so_before_it_has_done_anything(scene: Path, tmp_path: Path) -> None:
    pipeline = pw.WriteCOG(f"{tmp_path}/out/{{id}}.tif")
    with pytest.raises(CatalogError, match="choose loky"):
        pw.CatalogPipeline(pw.open_catalog(scene), pipeline, backend="spark2").run()
    assert not list((tmp_path / "out").glob("*.tif"))


def test_a_scene_that_kills_a_worker_of_dask_fails_and_is_not_waited_for(scene: Path, tmp_path: Path) -> None:
    def die(raster: Any) -> None:
        """End the process, as the system does when memory is short."""
        if raster.attrs["id"] == "b":
            os._exit(1)

    catalog = pw.open_catalog([scene] * 4, progress=False).assign(id=list("abcd"))
    pipeline = pw.Sequential([pw.core.Tap(die), pw.WriteCOG(f"{tmp_path}/{{id}}.tif")])
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=logging.CRITICAL) as cluster,
        Client(cluster),
        pytest.warns(PixelwiseWarning, match="of 4 scenes failed, such as .: KilledWorker: "),
    ):
        maps = pw.CatalogPipeline(catalog, pipeline, n_workers=2, backend="dask", on_error="skip").run()
    # What else the worker was given goes with it.
    assert "b" in maps.unreadable
    assert len(maps) + len(maps.unreadable) == 4


@pytest.fixture
def ray() -> Iterator[Any]:
    found = pytest.importorskip("ray")
    found.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield found
    found.shutdown()


@pytest.mark.filterwarnings("ignore")
def test_ray_writes_the_same_bytes_with_a_thread_each(ray: Any, scene: Path, tmp_path: Path) -> None:
    catalog = pw.open_catalog([scene] * 5, progress=False).assign(id=list("abcde"))
    fitted = LogisticRegression().fit(np.arange(40.0).reshape(10, 4), [1, 2] * 5)
    threads = tmp_path / "threads"
    threads.mkdir()

    def note(raster: Any) -> None:
        """Write down how many threads joblib would start."""
        import uuid

        import joblib

        (threads / str(uuid.uuid4())).write_text(str(joblib.effective_n_jobs(-1)))

    def digests(place: Path, **how: Any) -> list[str]:
        steps = [pw.core.Tap(note), pw.PixelwiseClassifier(fitted), pw.WriteCOG(f"{place}/{{id}}.tif")]
        maps = pw.CatalogPipeline(catalog, pw.Sequential(steps), **how).run()
        return [hashlib.sha256(Path(uri).read_bytes()).hexdigest() for uri in maps.frame["uri"]]

    once = digests(tmp_path / "here")
    for path in threads.iterdir():
        path.unlink()
    assert digests(tmp_path / "there", n_workers=2, backend="ray") == once
    assert {path.read_text() for path in threads.iterdir()} == {"1"}
