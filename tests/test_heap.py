"""Arrays that come and go do not cost fresh memory each time, also where dask tells malloc to give all back."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from dask.distributed import Client, LocalCluster
from sklearn.ensemble import RandomForestClassifier

import pixelwise as pw

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is of glibc")

#: Pages that the system had to give, by what stood round the same work.
PAGES = """
import json, resource, threading
import numpy as np
from pixelwise.heap import heap_kept

def pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        np.ones((65536, 4)).sum()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def work():
    found["before"] = pages()
    with heap_kept():
        with heap_kept():
            pages()
        found["inside"] = pages()
    try:
        with heap_kept():
            1 / 0
    except ZeroDivisionError:
        pass
    found["after"] = pages()

found = {}
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(json.dumps(found))
"""


def measured(**env: str) -> dict[str, int]:
    given = {**{key: value for key, value in os.environ.items() if not key.startswith("MALLOC_")}, **env}
    run = subprocess.run([sys.executable, "-c", PAGES], env=given, capture_output=True, text=True, check=True)
    found: dict[str, int] = json.loads(run.stdout)
    return found


def test_inside_freed_memory_is_kept_and_outside_given_back() -> None:
    found = measured(MALLOC_TRIM_THRESHOLD_="65536")
    # 50 arrays of 2 MiB are 25,600 pages.
    assert found["inside"] < 2_000
    assert min(found["before"], found["after"]) > 20_000


@pytest.mark.parametrize(
    "more", [{"MALLOC_MMAP_THRESHOLD_": "131072"}, {"MALLOC_TRIM_THRESHOLD_": "lots"}], ids=["both", "text"]
)
def test_what_the_user_has_set_otherwise_is_left_alone(more: dict[str, str]) -> None:
    assert min(measured(**{"MALLOC_TRIM_THRESHOLD_": "65536", **more}).values()) > 20_000


def test_without_a_setting_malloc_learns_by_itself() -> None:
    found = measured()
    assert max(found["inside"], found["after"]) < 5_000


def test_the_forest_of_a_worker_of_dask_takes_few_pages(values: np.ndarray) -> None:
    cube = np.tile(values, (1, 10, 8))
    pixels = np.column_stack([band.ravel() for band in values])
    model = pw.PixelwiseClassifier(RandomForestClassifier(20, random_state=0)).fit(pixels, pixels[:, 0] % 4)

    def pages(model: Any, cube: np.ndarray) -> int:
        import resource

        import dask
        import dask.array as da
        import xarray as xr

        lazy = xr.DataArray(da.from_array(cube, chunks=cube.shape), dims=("band", "y", "x"))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        with dask.config.set(scheduler="synchronous"):
            model.predict(lazy).compute()
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    with (
        LocalCluster(n_workers=1, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        client.submit(pages, model, cube, pure=False).result()
        found = client.submit(pages, model, cube, pure=False).result()
    # 20 trees make votes of 8 bytes for each of four classes.
    assert found < 20 * 4 * 8 * cube[0].size / 4096 / 3
