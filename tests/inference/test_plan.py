"""Chips are as large as is worth while, and never larger than the memory allows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

import pixelwise as pw
from pixelwise.errors import MemoryBudgetError
from pixelwise.inference.plan import _sizes, plan_chips
from pixelwise.raster.io import RasterFile

MB = 10**6


@pytest.fixture
def scene_of(write: Any) -> Any:
    def _scene_of(height: int, width: int, bands: int = 10, **profile: Any) -> RasterFile:
        # Sparse, so that a large scene costs nothing.
        path: Path = write(np.zeros((bands, 1, 1), "uint16"), height=height, width=width, sparse_ok=True, **profile)
        return RasterFile(path)

    return _scene_of


@pytest.fixture
def sized(tmp_path: Path) -> Any:
    """Make a file of some size without writing its pixels."""
    import rasterio

    def _sized(height: int, width: int, **profile: Any) -> RasterFile:
        path = tmp_path / "empty.tif"
        options = {"driver": "GTiff", "count": 10, "dtype": "uint16", "crs": "EPSG:32633", "sparse_ok": True, "bigtiff": True}
        transform = rasterio.Affine(10, 0, 0, 0, -10, 0.5)
        with rasterio.open(path, "w", height=height, width=width, transform=transform, **options, **profile):
            pass
        return RasterFile(path)

    return _sized


TILES = {"tiled": True, "blockxsize": 512, "blockysize": 512}


def test_a_tiled_file_is_read_in_squares_of_whole_tiles(sized: Any) -> None:
    with sized(6000, 6000, **TILES) as file:
        plan = plan_chips(file, LogisticRegression(), 256 * MB)
    assert (plan.height, plan.width, plan.tile((6000, 6000))) == (1024, 1024, (256, 256))


def test_a_striped_file_is_read_in_full_rows(sized: Any) -> None:
    with sized(6000, 6000, tiled=False, blockysize=1) as file:
        plan = plan_chips(file, LogisticRegression(), 256 * MB)
    assert plan.width == 6000
    assert plan.height % plan.tile((6000, 6000))[0] == 0


def test_less_memory_makes_smaller_chips_and_never_breaks_the_budget(sized: Any) -> None:
    sizes = []
    with sized(9000, 9000, **TILES) as file:
        for budget in (512 * MB, 128 * MB, 96 * MB):
            plan = plan_chips(file, LogisticRegression(), budget)
            assert plan.needed <= budget
            sizes.append(plan.height * plan.width)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < sizes[0]


@pytest.mark.parametrize(
    "more",
    [{"halo": 50}, {"workers": 4}, {"methods": ["predict_proba"]}, {"methods": ["predict", "predict_proba"]}],
    ids=["halo", "workers", "bands out", "two maps"],
)
def test_more_work_needs_more_memory(sized: Any, more: dict[str, Any]) -> None:
    model = LogisticRegression().fit([[0], [1], [2]], [0, 1, 2])
    with sized(512, 512, **TILES) as file:
        assert plan_chips(file, model, 999 * MB, **more).needed > plan_chips(file, model, 999 * MB).needed


def test_operators_and_threads_need_more_memory(sized: Any) -> None:
    forest = RandomForestClassifier(n_jobs=1)
    ndvi = pw.indices.AppendIndex(pw.indices.NDVI(red=0, nir=1))
    with sized(512, 512, **TILES) as file:
        alone = plan_chips(file, forest, 999 * MB).needed
        assert plan_chips(file, RandomForestClassifier(n_jobs=8), 999 * MB).needed > alone
        # Of several workers each predicts in one thread.
        several = [plan_chips(file, RandomForestClassifier(n_jobs=jobs), 999 * MB, workers=2).needed for jobs in (1, 8)]
        assert several[0] == several[1]
        assert plan_chips(file, make_pipeline(ndvi, forest), 999 * MB).needed > alone


@pytest.mark.parametrize("method", ["predict", "transform"])
def test_many_outputs_need_more_memory(sized: Any, method: str) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 10)), rng.normal(size=(200, 60))
    one, many = {
        "predict": (
            [LinearRegression().fit(X, y[:, 0])],
            [LinearRegression().fit(X, y), MultiOutputRegressor(Ridge()).fit(X, y), RandomForestRegressor(2).fit(X, y)],
        ),
        "transform": ([KMeans(2).fit(X)], [KMeans(60, n_init=1).fit(X), make_pipeline(PolynomialFeatures(2)).fit(X)]),
    }[method]
    with sized(2048, 2048) as file:
        small = plan_chips(file, one[0], 256 * MB, methods=[method])
        for model in many:
            for given in (model, pw.PixelwiseRegressor(model) if method == "predict" else pw.PixelwiseTransformer(model)):
                large = plan_chips(file, given, 256 * MB, methods=[method])
                assert large.height * large.width < small.height * small.width


def test_the_memory_that_is_asked_for_is_enough(sized: Any) -> None:
    with sized(4000, 4000, tiled=True, blockxsize=1024, blockysize=1024) as file:
        with pytest.raises(MemoryBudgetError) as caught:
            plan_chips(file, LogisticRegression(), 30 * MB)
        needed = caught.value.values["needed"]
        assert plan_chips(file, LogisticRegression(), needed).height == 1024
        with pytest.raises(MemoryBudgetError):
            plan_chips(file, LogisticRegression(), needed - 3 * MB)


@given(
    block=st.tuples(st.integers(1, 600), st.integers(1, 600)),
    whole=st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
)
def test_chips_grow_from_one_block_to_the_whole_in_whole_blocks(block: tuple[int, int], whole: tuple[int, int]) -> None:
    sizes = list(_sizes(block, whole))
    assert sizes[0] == tuple(np.minimum(block, whole))
    assert sizes[-1] == whole
    areas = [height * width for height, width in sizes]
    assert areas == sorted(set(areas))
    for size in sizes:
        for side, unit, full in zip(size, block, whole, strict=True):
            assert side == full or side % unit == 0
