from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from sklearn.base import clone

import pixelwise as pw
from pixelwise.errors import BandError, GridError
from pixelwise.operators.base import Operator

RANDOM = np.random.default_rng(11)


def speckled(height: int, width: int, looks: float = 4.0) -> np.ndarray:
    """Return fields of several backscatters with a bright target, under gamma speckle, as VV and VH."""
    rows, cols = np.mgrid[:height, :width]
    power = np.where(rows + cols < height, 0.02, 0.3) + 0.1 * (cols > 0.7 * width)
    power[height // 3, width // 3] = 40.0
    return np.asarray(np.stack([power, power / 5]) * RANDOM.gamma(looks, 1 / looks, (2, height, width)), "float32")


SCENE = speckled(41, 53)
HOLES = SCENE.copy()
HOLES[0, RANDOM.random((41, 53)) < 0.2] = np.nan
HOLES[1, 5:20, 9:25] = np.nan
HOLES[1, 30:33] = 0

FILTERS: list[Operator] = [
    pw.sar.LeeSpeckle(5, looks=4),
    pw.sar.GammaMAP(7, looks=3, bands=[1]),
    pw.sar.RefinedLee(looks=4.4),
]
UNITS: list[Operator] = [pw.sar.LinearToDB(), pw.sar.DBToLinear(bands=0)]


def by_name(operator: Operator) -> str:
    return type(operator).__name__


def lee(pixel: float, around: np.ndarray, looks: float) -> float:
    """Lee (1980): the variance of the scene first, then the gain, as the paper has them."""
    mean, noise = around.mean(), 1 / looks
    scene = max((around.var() + mean**2) / (noise + 1) - mean**2, 0)
    return float(mean + (scene * (pixel - mean) / (mean**2 * noise + scene) if scene else 0))


def gamma_map(pixel: float, around: np.ndarray, looks: float) -> float:
    mean = around.mean()
    varied = around.var() / mean**2 if mean else 0
    if varied <= 1 / looks:
        return float(mean)
    if varied >= 2 / looks:
        return pixel
    a = (1 + 1 / looks) / (varied - 1 / looks)
    return float(max(np.roots([a, -(a - looks - 1) * mean, -looks * mean * pixel]).real))


def refined(around: np.ndarray, looks: float) -> float:
    """Lee (1981) on a window of 7 x 7, NaN where nothing is, by masks that are written out."""
    pixel, present = around[3, 3], ~np.isnan(around)
    parts = np.empty((3, 3))
    for i, j in np.ndindex(3, 3):
        part = around[2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
        parts[i, j] = np.nan if np.isnan(part).all() else np.nanmean(part)
    parts[np.isnan(parts)] = parts[1, 1]
    edges = [
        ([[1, 0, -1], [1, 0, -1], [1, 0, -1]], (1, 0), lambda i, j: j <= 3),
        ([[1, 1, 0], [1, 0, -1], [0, -1, -1]], (0, 0), lambda i, j: i + j <= 6),
        ([[1, 1, 1], [0, 0, 0], [-1, -1, -1]], (0, 1), lambda i, j: i <= 3),
        ([[0, 1, 1], [-1, 0, 1], [-1, -1, 0]], (0, 2), lambda i, j: i <= j),
    ]
    steep = [abs((np.array(mask) * parts).sum()) for mask, _, _ in edges]
    _, (i, j), inside = edges[int(np.argmax(steep))]
    half = np.array([[inside(row, col) for col in range(7)] for row in range(7)])
    if abs(parts[i, j] - parts[1, 1]) > abs(parts[2 - i, 2 - j] - parts[1, 1]):
        half = half[::-1, ::-1]
    values = around[half & present].astype(float)
    mean, variance, noise = values.mean(), values.var(), 1 / looks
    scene = max((variance - mean**2 * noise) / (1 + noise), 0)
    return float(mean + (scene / variance * (pixel - mean) if scene else 0))


def by_loop(plane: np.ndarray, window: int, function: Any) -> np.ndarray:
    """Apply a function to the window round each pixel with data, NaN beyond the border."""
    half = window // 2
    padded = np.pad(plane.astype(float), half, constant_values=np.nan)
    out = np.full(plane.shape, np.nan)
    for row, col in zip(*np.nonzero(~np.isnan(plane)), strict=True):
        out[row, col] = function(padded[row : row + window, col : col + window])
    return out


@pytest.mark.parametrize(("operator", "reference"), [(pw.sar.LeeSpeckle, lee), (pw.sar.GammaMAP, gamma_map)])
@pytest.mark.parametrize(("window", "looks"), [(3, 1), (5, 4.4), (7, 12)])
def test_a_filter_is_that_of_a_loop(operator: Any, reference: Any, window: int, looks: float) -> None:
    for plane in (*SCENE, *HOLES):
        expected = by_loop(plane, window, lambda w: reference(w[window // 2, window // 2], w[~np.isnan(w)], looks))
        found = operator(window, looks)(plane[None].astype("float64"))[0]
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("looks", [1, 4.4])
def test_the_refined_filter_is_that_of_a_loop(looks: float) -> None:
    for plane in (*SCENE, *HOLES):
        expected = by_loop(plane, 7, lambda window: refined(window, looks))
        found = pw.sar.RefinedLee(looks)(plane[None].astype("float64"))[0]
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_where_all_is_valid_the_filter_is_scipys_expression() -> None:
    scene = SCENE.astype("float64")
    for band, found in zip(scene, pw.sar.LeeSpeckle(7, looks=4)(scene), strict=True):
        mean = ndimage.uniform_filter(band, 7)
        variance = ndimage.uniform_filter(band**2, 7) - mean**2
        signal = np.maximum((variance - mean**2 / 4) / (1 + 1 / 4), 0)
        expected = mean + signal / (signal + mean**2 / 4) * (band - mean)
        np.testing.assert_allclose(found[3:-3, 3:-3], expected[3:-3, 3:-3], rtol=1e-9)


@pytest.mark.parametrize("operator", [pw.sar.LeeSpeckle(looks=4), pw.sar.GammaMAP(looks=4), pw.sar.RefinedLee(4)], ids=by_name)
def test_speckle_goes_and_the_mean_stays(operator: Operator) -> None:
    even = RANDOM.gamma(4, 1 / 4, (1, 300, 300)).astype("float32")
    calm = operator(even)
    assert calm.mean() == pytest.approx(1, rel=0.03)
    assert calm.mean() ** 2 / calm.var() > 5 * even.mean() ** 2 / even.var()


def test_the_refined_filter_keeps_each_edge_apart() -> None:
    rows, cols = np.mgrid[:30, :30]
    for side in (cols < 15, rows < 15):
        power = np.where(side, 0.01, 1.0)[None]
        np.testing.assert_allclose(pw.sar.RefinedLee(looks=4)(power), power, rtol=1e-12)
    for side in (rows + cols < 30, rows < cols):
        power = np.where(side, 0.01, 1.0)[None]
        away = [np.abs(operator(power) - power).mean() for operator in (pw.sar.RefinedLee(4), pw.sar.LeeSpeckle(7, 4))]
        assert away[0] < away[1] / 5


@pytest.mark.parametrize("operator", FILTERS, ids=by_name)
def test_flat_and_empty_planes_stay_as_they_are(operator: Operator) -> None:
    for value in (0.0, 0.125, 3e4, np.nan):
        flat = np.full((2, 12, 13), value, "float32")
        np.testing.assert_allclose(operator(flat), flat, rtol=1e-6)
    lonely = np.full((2, 9, 9), np.nan, "float32")
    lonely[:, 4, 4] = 0.5
    assert np.array_equal(operator(lonely), lonely, equal_nan=True)


def test_negative_power_is_filtered_too() -> None:
    noise = RANDOM.normal(0, 1, (1, 20, 20))
    for operator in (pw.sar.LeeSpeckle(5, looks=4), pw.sar.RefinedLee(4)):
        assert np.isfinite(operator(noise)).all()
    assert np.isnan(pw.sar.GammaMAP(5)(noise)).mean() < 0.5


@pytest.mark.parametrize("operator", [*FILTERS, *UNITS], ids=by_name)
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
    assert np.array_equal(core, whole, equal_nan=True)


@pytest.mark.parametrize("operator", [*FILTERS, *UNITS], ids=by_name)
def test_a_large_scene_is_cut_into_tiles_that_do_not_show(operator: Operator) -> None:
    scene = speckled(140, 530)
    scene[0, 20:70, 500:] = np.nan
    whole = operator(scene)
    chip = operator(scene[:, 50:, 450:].copy())
    assert np.array_equal(chip[:, 3:, 3:], whole[:, 53:, 453:], equal_nan=True)


def test_decibels_and_power_are_turned_into_each_other() -> None:
    power = np.array([[[1e-3, 0.5, 1, 250]]])
    decibels = pw.sar.LinearToDB()(power)
    np.testing.assert_allclose(decibels, [[[-30, 10 * math.log10(0.5), 0, 10 * math.log10(250)]]], rtol=1e-14)
    np.testing.assert_allclose(pw.sar.DBToLinear()(decibels), power, rtol=1e-13)
    assert pw.sar.LinearToDB()(SCENE).dtype == np.float32


def test_power_that_has_no_logarithm_is_nan_and_quiet() -> None:
    found = pw.sar.LinearToDB()(np.array([[[0.0, -0.0, -1.0, np.nan, np.inf, 1e-38]]], "float32"))
    assert np.isnan(found).tolist() == [[[True, True, True, True, True, False]]]
    assert pw.sar.DBToLinear()(np.array([[[np.nan, -np.inf, 0]]]))[0, 0, 2] == 1


@pytest.mark.parametrize("operator", [*FILTERS, *UNITS], ids=by_name)
def test_dates_go_each_by_itself_and_chosen_bands_alone(operator: Operator) -> None:
    cube = HOLES[:, None].repeat(3, axis=1)
    cube[:, 1] *= 1.5
    found = operator(cube)
    assert np.array_equal(found[:, 1], operator(cube[:, 1].copy()), equal_nan=True)
    one = clone(operator).set_params(bands=[-1])(HOLES)
    assert np.array_equal(one[0], HOLES[0], equal_nan=True)
    assert np.array_equal(one[1], clone(operator).set_params(bands=None)(HOLES)[1], equal_nan=True)


@pytest.mark.parametrize("operator", [*FILTERS, *UNITS], ids=by_name)
def test_names_dates_and_attributes_stay(operator: Operator) -> None:
    coords = {"band": ["VV", "VH"], "time": np.array(["2024-01-03", "2024-01-15"], "datetime64[ns]")}
    stack = xr.DataArray(SCENE[:, None].repeat(2, axis=1), coords, ("band", "time", "y", "x"), attrs={"orbit": "ascending"})
    found = operator(stack)
    assert (found.dims, found.band.values.tolist(), found.attrs["orbit"]) == (stack.dims, ["VV", "VH"], "ascending")
    assert np.array_equal(found.time, stack.time)
    assert found.dtype == np.float32
    assert operator.get_feature_names_out(["VV", "VH"]).tolist() == ["VV", "VH"]


def test_declared_nodata_does_not_count(write: Any, values: np.ndarray) -> None:
    holes = values.astype("float32")
    holes[1, 10:20, 10:20] = -9999
    found = pw.sar.LeeSpeckle(3, bands=[1])(pw.open_raster(write(holes, nodata=-9999)))
    holes[1, 10:20, 10:20] = np.nan
    assert np.array_equal(found.values, pw.sar.LeeSpeckle(3, bands=[1])(holes), equal_nan=True)
    assert np.isnan(found.rio.nodata)


def test_a_table_a_lazy_raster_and_a_raster_give_the_same(scene: Path, polygons: Path) -> None:
    X, _ = pw.extract_pixels(scene, polygons, column="class")
    raster = pw.open_raster(scene)
    for operator in (pw.sar.LeeSpeckle(5), pw.sar.RefinedLee(), pw.sar.LinearToDB()):
        whole = operator(raster)
        assert np.array_equal(np.asarray(operator.fit_transform(X)), pw.ToPixelMajor()(whole)[X.pixel])
        lazy = operator(raster.chunk({"y": 16, "x": 33}))
        assert lazy.chunks is not None
        xr.testing.assert_equal(lazy.compute(), whole)


def test_the_halo_follows_the_window() -> None:
    assert clone(pw.sar.LeeSpeckle(5)).set_params(window=11).halo == 5
    assert (pw.sar.GammaMAP(3).halo, pw.sar.RefinedLee().halo, pw.sar.LinearToDB().halo) == (1, 3, 0)
    with pytest.raises(GridError, match="LeeSpeckle looks 3 pixels round"):
        pw.sar.LeeSpeckle().transform(np.zeros((5, 2)))


@pytest.mark.parametrize(
    ("operator", "message"),
    [
        (pw.sar.LeeSpeckle(4), "window=4 has no centre"),
        (pw.sar.LeeSpeckle(looks=0), "looks=0: give the equivalent number of looks"),
        (pw.sar.RefinedLee(looks=math.inf), "looks=inf"),
        (pw.sar.GammaMAP(looks="many"), "looks='many'"),
        (pw.sar.GammaMAP(looks=math.nan), "looks=nan"),
    ],
)
def test_what_cannot_be_is_told(operator: Operator, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        operator(SCENE)


def test_a_band_that_is_not_there_is_told() -> None:
    with pytest.raises(BandError, match="bands='HH' is no band of the raster"):
        pw.sar.LinearToDB(bands=["HH"])(SCENE)


def test_the_bases_have_no_formula() -> None:
    from pixelwise.operators.sar import _Backscatter

    class Bare(_Backscatter):
        bands = None

    with pytest.raises(NotImplementedError):
        Bare()(SCENE)
