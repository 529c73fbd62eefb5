"""One worker may use all processors; of several each uses one."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import rasterio
import rasterio.env
from dask.distributed import Client, LocalCluster
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_info, threadpool_limits

import pixelwise as pw
from pixelwise.inference.threads import one_thread


def native(api: str) -> set[int]:
    """Return the threads that the libraries of an API would start here."""
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == api}


def limited(threads: int) -> None:
    """Set the limit of BLAS for good, in a thread that ends: as long as one lives, threadpoolctl listens to no other."""
    setting = threading.Thread(target=threadpool_limits, args=(threads,), kwargs={"user_api": "blas"})
    setting.start()
    setting.join()


@pytest.fixture(autouse=True)
def _wide() -> Any:
    """Three threads for all libraries, which tox holds to one."""
    # OpenMP is loaded with the first estimator that needs it.
    HistGradientBoostingRegressor(max_iter=1).fit([[0.0], [1.0]] * 20, [0.0, 1.0] * 20)
    before = max(native("blas"))
    limited(3)
    with threadpool_limits(3, user_api="openmp"):
        yield
    limited(before)


def test_inside_everything_has_one_thread_and_outside_what_it_had() -> None:
    assert native("blas") == native("openmp") == {3}
    with rasterio.Env(GDAL_NUM_THREADS="2"), joblib.parallel_config(n_jobs=2):
        with one_thread():
            assert native("blas") == native("openmp") == {joblib.effective_n_jobs(-1)} == {1}
            assert rasterio.env.getenv()["GDAL_NUM_THREADS"] == "1"
        assert rasterio.env.getenv()["GDAL_NUM_THREADS"] == "2"
        assert joblib.effective_n_jobs(None) == 2
    assert native("blas") == native("openmp") == {3}


def test_an_error_inside_puts_all_back() -> None:
    with pytest.raises(ZeroDivisionError), one_thread():
        _ = 1 / 0
    assert native("blas") == native("openmp") == {3}


@pytest.mark.parametrize("first", [0, 1], ids=["the first leaves first", "the second leaves first"])
def test_threads_that_overlap_put_back_what_there_was_before_all_of_them(first: int) -> None:
    inside = [threading.Event(), threading.Event()]
    leave = [threading.Event(), threading.Event()]
    seen = []

    def worker(number: int) -> None:
        with one_thread():
            inside[number].set()
            leave[number].wait(10)
            seen.append((native("blas"), native("openmp"), joblib.effective_n_jobs(-1)))

    threads = [threading.Thread(target=worker, args=(number,)) for number in (0, 1)]
    for thread, event in zip(threads, inside, strict=True):
        thread.start()
        assert event.wait(10)
    for number in (first, 1 - first):
        leave[number].set()
        threads[number].join()
    assert seen == [({1}, {1}, 1)] * 2
    assert native("blas") == {3}


@pytest.fixture
def recorder(tmp_path: Path) -> Any:
    """A classifier that writes down what it finds while it predicts."""

    class Recorder(ClassifierMixin, BaseEstimator):
        """Defined here, so that workers get it by value."""

        def __init__(self, place: str) -> None:
            self.place = place

        def fit(self, X: np.ndarray, y: np.ndarray) -> Any:
            self.classes_, self.n_features_in_ = np.unique(y), X.shape[1]
            return self

        def predict(self, X: np.ndarray) -> np.ndarray:
            import os
            import uuid

            import joblib
            import rasterio.env
            from threadpoolctl import threadpool_info

            found = {library["user_api"]: library["num_threads"] for library in threadpool_info()}
            found |= {"joblib": joblib.effective_n_jobs(-1), "GDAL": rasterio.env.getenv().get("GDAL_NUM_THREADS")}
            Path(self.place, f"{uuid.uuid4()}.json").write_text(json.dumps({**found, "process": os.getpid()}))
            return np.full(len(X), self.classes_[0])

    return Recorder(str(tmp_path)).fit(np.zeros((2, 4)), np.array([1, 2]))


def noted(place: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in place.glob("*.json")]


def run(recorder: Any, scene: Path, tmp_path: Path, **options: Any) -> list[dict[str, Any]]:
    catalog = pw.open_catalog([scene] * 4, progress=False).assign(id=list("abcd"))
    pipeline = pw.Sequential([pw.PixelwiseClassifier(recorder), pw.WriteCOG(f"{tmp_path}/out/{{id}}.tif")])
    with rasterio.Env(GDAL_NUM_THREADS="2"):
        pw.CatalogPipeline(catalog, pipeline, **options).run()
    return noted(tmp_path)


def test_the_processes_of_a_run_use_a_thread_each(recorder: Any, scene: Path, tmp_path: Path) -> None:
    found = run(recorder, scene, tmp_path, n_workers=2)
    assert len(found) == 4
    for record in found:
        assert {record[name] for name in ("blas", "openmp", "joblib") if name in record} == {1}
        assert record["GDAL"] == "1"


def test_the_threads_of_a_run_use_a_thread_each(recorder: Any, scene: Path, tmp_path: Path) -> None:
    found = run(recorder, scene, tmp_path, n_workers=2, backend="threading")
    assert [(record["blas"], record["openmp"], record["joblib"], record["GDAL"]) for record in found] == [(1, 1, 1, "1")] * 4
    assert native("blas") == {3}


def test_the_workers_of_a_cluster_use_a_thread_each(recorder: Any, scene: Path, tmp_path: Path) -> None:
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, processes=True, dashboard_address=":0") as cluster,
        Client(cluster),
    ):
        found = run(recorder, scene, tmp_path, n_workers=2, backend="dask")
    assert len({record["process"] for record in found}) == 1
    for record in found:
        assert {record[name] for name in ("blas", "openmp", "joblib") if name in record} == {1}


def test_a_run_with_one_worker_leaves_it_all_processors(recorder: Any, scene: Path, tmp_path: Path) -> None:
    found = run(recorder, scene, tmp_path)
    assert [(record["blas"], record["openmp"], record["GDAL"]) for record in found] == [(3, 3, "2")] * 4
    assert {record["joblib"] for record in found} == {joblib.effective_n_jobs(-1)}


@pytest.mark.parametrize("workers", [2, None])
def test_the_row_workers_of_a_stream_use_a_thread_each_and_one_by_itself_all(
    recorder: Any, write: Any, values: np.ndarray, tmp_path: Path, workers: int | None
) -> None:
    scene = write(np.tile(values, (1, 10, 8)), tiled=True, blockxsize=64, blockysize=64)
    pw.predict_raster(pw.PixelwiseClassifier(recorder), scene, tmp_path / "map.tif", workers=workers, memory="40MB")
    found = noted(tmp_path)
    assert len(found) > 2
    expected = (1, 1, 1) if workers else (3, 3, joblib.effective_n_jobs(-1))
    assert {(record["blas"], record["openmp"], record["joblib"]) for record in found} == {expected}
    assert native("blas") == native("openmp") == {3}
