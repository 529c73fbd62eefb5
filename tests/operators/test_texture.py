from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage
from sklearn.base import clone

import pixelwise as pw
from pixelwise.errors import BandError
from pixelwise.operators.base import Operator
from pixelwise.operators.cooccurrence import PROPERTIES

feature = pytest.importorskip("skimage.feature", reason="scikit-image is not there")

RANDOM = np.random.default_rng(7)
SCENE = RANDOM.normal(1000, 200, (2, 41, 53)).astype("float32")
HOLES = SCENE.copy()
HOLES[0, RANDOM.random((41, 53)) < 0.2] = np.nan
HOLES[1, 5:20, 9:25] = np.nan

OPERATORS: list[Operator] = [
    pw.texture.LocalMean(5),
    pw.texture.LocalStd(7, bands=[1]),
    pw.texture.LocalPercentile([10, 50, 87.5], window=3, bands=0, append=False),
    pw.texture.GLCM((400, 1600), PROPERTIES, levels=8, window=5, bands=[-1], append=False),
]


def windows(plane: np.ndarray, window: int) -> np.ndarray:
    """Return the window round each pixel, NaN beyond the border, as (y, x, window, window)."""
    half = window // 2
    return sliding_window_view(np.pad(plane.astype(float), half, constant_values=np.nan), (window, window))


def by_loop(plane: np.ndarray, window: int, function: Any) -> np.ndarray:
    views = windows(plane, window)
    values = [[function(view[~np.isnan(view)]) if not np.isnan(view).all() else np.nan for view in row] for row in views]
    return np.array(values)


@pytest.mark.parametrize("window", [3, 5, 9])
def test_means_and_spreads_are_those_of_a_loop(window: int) -> None:
    for plane in (SCENE[0], HOLES[0], HOLES[1]):
        mean = pw.texture.LocalMean(window, append=False)(plane[None])
        std = pw.texture.LocalStd(window, append=False)(plane[None])
        assert (mean.dtype, mean.shape) == (np.float32, (1, 41, 53))
        np.testing.assert_allclose(mean[0], by_loop(plane, window, np.mean), rtol=1e-6)
        np.testing.assert_allclose(std[0], by_loop(plane, window, np.std), rtol=1e-6, atol=1e-4)


def test_within_the_border_the_mean_is_scipys() -> None:
    found = pw.texture.LocalMean(7, append=False)(SCENE.astype("float64"))
    expected = np.stack([ndimage.uniform_filter(band, 7) for band in SCENE.astype("float64")])
    np.testing.assert_allclose(found[:, 3:-3, 3:-3], expected[:, 3:-3, 3:-3], rtol=1e-12)
    assert found.dtype == np.float64


@pytest.mark.parametrize("value", [1.1, 7e4, 1e-7, 12345.678])
def test_the_spread_of_what_is_flat_is_zero(value: float) -> None:
    for kind in ("float32", "float64"):
        assert not pw.texture.LocalStd(11, append=False)(np.full((1, 30, 30), value, kind)).any()


def test_percentiles_are_numpys() -> None:
    for plane in (SCENE[0], HOLES[0], HOLES[1]):
        found = pw.texture.LocalPercentile([0, 30, 50, 99, 100], window=5, append=False)(plane[None])
        for q, band in zip([0, 30, 50, 99, 100], found, strict=True):
            np.testing.assert_allclose(band, by_loop(plane, 5, lambda values, q=q: np.percentile(values, q)), rtol=1e-6)


def test_within_the_border_the_median_is_scipys() -> None:
    found = pw.texture.LocalPercentile(window=5, append=False)(SCENE)
    expected = np.stack([ndimage.median_filter(band, 5) for band in SCENE])
    assert np.array_equal(found[:, 2:-2, 2:-2], expected[:, 2:-2, 2:-2])


def matrices(plane: np.ndarray, window: int, levels: int, limits: tuple[float, float], steps: Any) -> np.ndarray:
    """Return the normed, symmetric matrix of each window in each direction by a loop, as (y, x, steps, levels, levels)."""
    low, high = limits
    level = np.clip(np.floor((plane.astype(float) - low) * (levels / (high - low))), 0, levels - 1)
    views = windows(level, window)
    out = np.zeros((*plane.shape, len(steps), levels, levels))
    for row, col in np.ndindex(plane.shape):
        for number, (down, right) in enumerate(steps):
            for i, j in np.ndindex(window, window):
                if 0 <= i + down < window and 0 <= j + right < window:
                    one, two = views[row, col, i, j], views[row, col, i + down, j + right]
                    if not np.isnan(one + two):
                        out[row, col, number, int(one), int(two)] += 1
                        out[row, col, number, int(two), int(one)] += 1
    return out


def of_scikit_image(counts: np.ndarray, name: str) -> np.ndarray:
    """Return the mean over directions of a property of each window's matrices, NaN where they are empty."""
    found = np.full(counts.shape[:2], np.nan)
    for at in np.ndindex(found.shape):
        full = [matrix for matrix in counts[at] if matrix.any()]
        if full:
            found[at] = feature.graycoprops(np.stack(full, axis=-1)[:, :, None], name).mean()
    return found


@pytest.mark.parametrize("plane", [SCENE[0, :9, :11], HOLES[0, :9, :11], HOLES[1, 4:15, 8:19]])
def test_cooccurrence_is_that_of_a_loop_and_scikit_image(plane: np.ndarray) -> None:
    operator = pw.texture.GLCM((600, 1300), PROPERTIES, levels=5, window=5, append=False)
    counts = matrices(plane, 5, 5, (600, 1300), [(0, 1), (1, 1), (1, 0), (1, -1)])
    for name, band in zip(PROPERTIES, operator(plane[None].astype("float64")), strict=True):
        np.testing.assert_allclose(band, of_scikit_image(counts, name), rtol=1e-9, atol=1e-9, err_msg=name)


def test_cooccurrence_within_the_border_is_all_scikit_images_own() -> None:
    distances, angles = [1, 2], [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4]
    levels = np.floor((SCENE[0, :15, :15] - 0) * (64 / 2000)).astype("uint8")
    operator = pw.texture.GLCM((0, 2000), PROPERTIES, 64, 7, distances, angles, append=False)
    found = operator(SCENE[:1, :15, :15])
    for row, col in [(3, 3), (7, 8), (11, 11)]:
        window = levels[row - 3 : row + 4, col - 3 : col + 4]
        matrix = feature.graycomatrix(window, distances, angles, levels=64, symmetric=True, normed=True)
        expected = [feature.graycoprops(matrix, name).mean() for name in PROPERTIES]
        np.testing.assert_allclose(found[:, row, col], expected, rtol=1e-5)


@pytest.mark.parametrize("levels", [255, 256])
def test_many_levels_and_values_beyond_the_range_count(levels: int) -> None:
    plane = np.array([[-5.0, 0.5, 300.0, 254.5]])
    operator = pw.texture.GLCM((0, levels), ["mean", "ASM"], levels, window=3, angles=[0], append=False)
    mean, asm = operator(plane[None])
    assert mean[0, 0] == 0
    assert mean[0, 3] == (levels - 1 + 254) / 2
    assert asm[0].tolist() == [1, 0.375, *((0.25, 0.5) if levels == 256 else (0.375, 1))]


def test_levels_do_not_depend_on_the_chip() -> None:
    operator = pw.texture.GLCM((0, 2000), window=3, append=False)
    assert np.array_equal(operator(SCENE)[:, 1:9, 1:9], operator(SCENE[:, :10, :10])[:, 1:9, 1:9])


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: type(operator).__name__)
@settings(max_examples=25)
@given(data=st.data())
def test_a_chip_with_its_halo_is_the_scene(operator: Operator, data: st.DataObject) -> None:
    scene = data.draw(st.sampled_from([SCENE, HOLES]))
    row, col = data.draw(st.integers(0, 40)), data.draw(st.integers(0, 52))
    height, width = data.draw(st.integers(1, 41 - row)), data.draw(st.integers(1, 53 - col))
    halo = operator.halo
    top, left = max(row - halo, 0), max(col - halo, 0)
    chip = operator(scene[:, top : row + height + halo, left : col + width + halo].copy())
    core = chip[:, row - top : row - top + height, col - left : col - left + width]
    whole = operator(scene)[:, row : row + height, col : col + width]
    assert core.tobytes() == whole.tobytes()


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: type(operator).__name__)
def test_a_large_scene_is_cut_into_tiles_that_do_not_show(operator: Operator) -> None:
    scene = RANDOM.normal(1000, 200, (2, 140, 530)).astype("float32")
    whole = operator(scene)
    chip = operator(scene[:, 100:, 450:].copy())
    assert chip[:, 9:, 9:].tobytes() == whole[:, 109:, 459:].tobytes()


def test_bands_are_named_and_kept(raster: xr.DataArray) -> None:
    kept = pw.texture.LocalMean(5, bands=["B04", -1])(raster)
    assert kept.band.values.tolist() == ["B02", "B03", "B04", "B08", "B04_mean5", "B08_mean5"]
    assert np.array_equal(kept[:4], raster)
    alone = pw.texture.LocalPercentile([10, 90], bands="B04", append=False)(raster)
    assert alone.band.values.tolist() == ["B04_p10_5", "B04_p90_5"]
    names = pw.texture.GLCM((0, 4000), "ASM", bands=[0], append=False)(raster).band.values.tolist()
    assert names == ["B02_ASM7"]
    assert pw.texture.LocalStd(bands=[0], append=False)(SCENE).shape == (1, 41, 53)


def test_dates_go_each_by_itself() -> None:
    cube = HOLES[:, None].repeat(3, axis=1)
    cube[:, 1] += 5
    found = pw.texture.LocalMean(3, append=False)(cube)
    assert found.shape == cube.shape
    assert np.array_equal(found[:, 1], pw.texture.LocalMean(3, append=False)(cube[:, 1].copy()), equal_nan=True)


def test_a_table_and_a_raster_give_the_same(scene: Path, polygons: Path) -> None:
    X, _ = pw.extract_pixels(scene, polygons, column="class")
    for operator in (pw.texture.LocalStd(5), pw.texture.GLCM((0, 4000), bands=["B08"])):
        table = operator.fit_transform(X)
        whole = operator(pw.open_raster(scene))
        assert table.feature_names == tuple(whole.band.values)
        assert np.array_equal(np.asarray(table), pw.ToPixelMajor()(whole)[X.pixel])
        assert operator.get_feature_names_out().tolist() == list(table.feature_names)


def test_a_lazy_raster_stays_lazy(raster: xr.DataArray) -> None:
    for operator in (pw.texture.LocalMean(7), pw.texture.LocalPercentile(20)):
        lazy = operator(raster.chunk({"y": 16, "x": 33}))
        assert lazy.chunks is not None
        xr.testing.assert_equal(lazy.compute(), operator(raster))


def test_the_halo_follows_the_window() -> None:
    operator = pw.texture.LocalMean(5)
    assert operator.halo == 2
    assert clone(operator).set_params(window=11).halo == 5


@pytest.mark.parametrize(
    ("operator", "message"),
    [
        (pw.texture.LocalMean(4), "window=4 has no centre"),
        (pw.texture.LocalMean(bands=["B99"]), "bands='B99' is no band"),
        (pw.texture.LocalPercentile(101), "q=101: give percentiles from 0 to 100"),
        (pw.texture.LocalPercentile([]), "give percentiles"),
        (pw.texture.GLCM((0, 1), "sharpness"), "choose out of contrast, dissimilarity"),
        (pw.texture.GLCM((0, 1), []), "choose out of"),
        (pw.texture.GLCM((1, 0)), "give the lowest and the highest value"),
        (pw.texture.GLCM((0, math.inf)), "give the lowest and the highest value"),
        (pw.texture.GLCM((0, 1), levels=300), "from 2 to 256"),
        (pw.texture.GLCM((0, 1), window=3, distances=[3]), "no pairs within window=3"),
        (pw.texture.GLCM((0, 1), angles=[]), "no pairs within"),
        (pw.texture.GLCM((0, 1), distances=[0.2]), "no pairs within"),
    ],
)
def test_what_cannot_be_is_told(operator: Operator, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        operator(SCENE)


def test_a_name_that_is_taken_is_told(raster: xr.DataArray) -> None:
    mean = pw.texture.LocalMean(5)
    with pytest.raises(BandError, match="two bands 'B02_mean5'"):
        mean.set_params(bands=["B02"])(mean(raster))
