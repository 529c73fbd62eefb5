"""A lazy raster predicted, and a search run, by the workers of a real cluster on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import joblib
import numpy as np
import pytest
from dask.distributed import Client, LocalCluster
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV

import pixelwise as pw


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    # Two threads of a worker whose first tasks are parallel too race for its connection, and the first may fail.
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.mark.filterwarnings("ignore:Sending large graph:UserWarning")
def test_workers_predict_the_chunks_of_a_lazy_raster(client: Client, scene: Path, polygons: Path) -> None:
    model = pw.PixelwiseClassifier(RandomForestClassifier(10, random_state=0)).fit(
        *pw.extract_pixels(scene, polygons, column="class")
    )
    lazy = model.predict_proba(pw.open_raster(scene, chunks={"x": 33, "y": 20}))
    assert lazy.chunks is not None
    computed = client.compute(lazy).result()
    assert np.array_equal(computed, model.predict_proba(pw.open_raster(scene)))


def test_workers_fit_the_folds_of_a_search(client: Client, scene: Path, polygons: Path) -> None:
    X, y = pw.extract_pixels(scene, polygons, column="class")
    model = pw.PixelwiseClassifier(RandomForestClassifier(5, random_state=0))
    search = GridSearchCV(model, {"estimator__max_depth": [1, None]}, cv=pw.SpatialBlockGroupKFold(3, 150))
    here = search.fit(X, y).cv_results_["mean_test_score"]
    with joblib.parallel_config(backend="dask", client=client, wait_for_workers_timeout=60):
        there = search.fit(X, y).cv_results_["mean_test_score"]
    assert np.array_equal(here, there)
