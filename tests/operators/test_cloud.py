"""Clouds by quality bands: against loops over bits, on real Fmask and made-up QA bands of two Landsat generations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

import pixelwise as pw
from pixelwise.errors import BandError
from pixelwise.table.extract import all_pixels

MaskClouds = pw.cloud.MaskClouds
FLAGS = np.random.default_rng(0).integers(0, 2**16, (20, 30)).astype("uint16")
BLOBS = (ndimage.gaussian_filter(np.random.default_rng(1).random((40, 50)), 2) > 0.54).astype("uint16") << 4


def scene_with(qa: np.ndarray, name: str = "QA", dtype: str | None = None) -> pw.Raster:
    bands = np.stack([np.full(qa.shape, 100), np.full(qa.shape, 200), qa]).astype(dtype or qa.dtype)
    return pw.Raster(bands, pw.Grid("EPSG:32633", (30, 0, 0, 0, -30, 0), *qa.shape), ("B3", "B4", name))


def masked(operator: Any, raster: pw.Raster) -> np.ndarray:
    """Return where an operator made both bands NaN; they must agree, and the rest must be as it was."""
    made = operator(raster)
    gone = np.isnan(made.values[:2])
    assert (gone[0] == gone[1]).all()
    assert (made.values[:2][~gone] == raster.values[:2][~gone]).all()
    return gone[0]


def field(value: int, low: int) -> int:
    return int(f"{int(value):064b}"[::-1][low : low + 2][::-1], 2)


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "float32", "int64"])
def test_any_of_the_bits_masks(dtype: str) -> None:
    found = masked(MaskClouds("QA", bits=[3, 10]), scene_with(FLAGS, dtype=dtype))
    assert np.array_equal(
        found, [[(f"{value:016b}"[-4] == "1") or (f"{value:016b}"[-11] == "1") for value in row] for row in FLAGS]
    )


def test_high_bits_of_wide_flags_are_exact() -> None:
    flags = np.array([[1 << 30, (1 << 30) + 1, 1, 0]], "uint32")
    assert masked(MaskClouds("QA", bits=[0]), scene_with(flags)).tolist() == [[False, True, True, False]]
    assert masked(MaskClouds("QA", bits=[30]), scene_with(flags)).tolist() == [[True, True, False, False]]


@pytest.mark.parametrize("least", [1, 2, 3])
def test_fields_of_two_bits_mask_from_a_confidence_on(least: int) -> None:
    found = masked(MaskClouds("QA", confidence={5: least}), scene_with(FLAGS))
    assert np.array_equal(found, [[field(value, 5) >= least for value in row] for row in FLAGS])


def test_what_is_given_adds_up() -> None:
    both = MaskClouds("QA", bits=[0], confidence={7: 3}, classes=[4, 6])
    parts = [MaskClouds("QA", bits=[0]), MaskClouds("QA", confidence={7: 3}), MaskClouds("QA", classes=[4, 6])]
    raster = scene_with(FLAGS % 512)
    assert np.array_equal(masked(both, raster), np.logical_or.reduce([masked(part, raster) for part in parts]))


def test_probabilities_mask_above_and_where_they_are_missing() -> None:
    raster = scene_with(np.array([[0.2, 0.4, 0.41, np.nan]], "float32"))
    assert masked(MaskClouds("QA", above=0.4), raster).tolist() == [[False, False, True, True]]


@pytest.mark.parametrize(
    ("preset", "name", "clear", "cloudy"),
    [
        ("sentinel-2-qa60", "QA60", [0, 1 << 9], [1 << 10, 1 << 11]),
        ("sentinel-2-scl", "SCL", [2, 4, 5, 6, 7, 11], [0, 1, 3, 8, 9, 10]),
        # Values of the product guides: clear land, water and snow; cloud, shadow, cirrus, fill.
        ("landsat-c1", "BQA", [2720, 2724, 3744], [2800, 2804, 2976, 6816, 1]),
        ("landsat-c1", "BQA", [672, 1696], [752, 928]),
        ("landsat-c2", "QA_PIXEL", [21824, 21952, 30048], [22280, 23888, 54596, 55052, 1, 21826]),
        ("landsat-c2", "QA_PIXEL", [5440, 5504], [5896, 7440, 1]),
        ("fmask", "fmask", [0, 1, 3], [2, 4, 255]),
        ("hls", "Fmask", [0, 1 << 4, 1 << 5], [1, 2, 4, 8]),
    ],
)
def test_presets_know_what_their_products_mean(preset: str, name: str, clear: list[int], cloudy: list[int]) -> None:
    raster = scene_with(np.array([clear + cloudy], "uint16"), name)
    assert masked(MaskClouds(preset=preset), raster).tolist() == [[False] * len(clear) + [True] * len(cloudy)]
    other = raster.with_values(raster.values, bands=("B3", "B4", "quality"))
    assert masked(MaskClouds("quality", preset=preset), other).any()
    with pytest.raises(BandError, match=f"no quality band .*{name}.* among B3, B4, quality: name it with qa_band="):
        MaskClouds(preset=preset)(other)


def test_clear_pixels_are_clear_though_the_file_declares_zero_as_nodata() -> None:
    raster = scene_with(np.array([[0, 1024, 0]], "uint16"))
    values = raster.values.copy()
    values[:2, 0, 2] = 0
    made = MaskClouds("QA", bits=[10])(raster.with_values(values, nodata=(0, 0, 0)))
    assert np.isnan(made.values[0]).tolist() == [[False, True, True]]


def test_the_quality_band_stays_where_it_was_or_goes() -> None:
    raster = scene_with(FLAGS)
    kept = MaskClouds(qa_band=-1, bits=[3])(raster)
    assert kept.bands == ("B3", "B4", "QA")
    assert np.array_equal(kept.values[2], FLAGS)
    gone = MaskClouds(qa_band=-1, bits=[3], keep_qa=False)(raster)
    assert gone.bands == ("B3", "B4")
    assert np.array_equal(gone.values, kept.values[:2], equal_nan=True)
    bare = MaskClouds(qa_band=-1, bits=[3], keep_qa=False)(raster.values)
    assert np.array_equal(bare, gone.values, equal_nan=True)
    assert MaskClouds("QA", bits=[3], keep_qa=False).fit(all_pixels(raster)).get_feature_names_out().tolist() == ["B3", "B4"]


@pytest.mark.parametrize("radius", [1, 2, 5])
def test_clouds_grow_by_a_disc(radius: int) -> None:
    rows, cols = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    disc = rows**2 + cols**2 <= radius**2
    expected = ndimage.binary_dilation(BLOBS > 0, disc)
    operator = MaskClouds("QA", bits=[4], dilate=radius)
    assert operator.halo == radius
    assert np.array_equal(masked(operator, scene_with(BLOBS)), expected)
    assert not masked(operator, scene_with(BLOBS * 0)).any()
    assert masked(operator, scene_with(BLOBS * 0 + 16)).all()


@given(top=st.integers(0, 39), left=st.integers(0, 49), height=st.integers(1, 15), width=st.integers(1, 15))
@settings(max_examples=50)
def test_a_chip_is_masked_as_its_scene_is(top: int, left: int, height: int, width: int) -> None:
    raster, operator = scene_with(BLOBS), MaskClouds("QA", bits=[4], dilate=3)
    bottom, right = min(40, top + height), min(50, left + width)
    up, west = max(0, top - 3), max(0, left - 3)
    down, east = min(40, bottom + 3), min(50, right + 3)
    chip = raster.with_values(raster.values[:, up:down, west:east], grid=raster.grid.window(up, west, down - up, east - west))
    part = operator(chip).values[:, top - up : bottom - up, left - west : right - west]
    assert np.array_equal(part, operator(raster).values[:, top:bottom, left:right], equal_nan=True)


def test_each_date_is_masked_by_itself(landsat_series: dict[str, dict[str, Path]]) -> None:
    dates = list(landsat_series)[10:22]
    stack = pw.open_raster([landsat_series[date] for date in dates], times=dates)
    made = MaskClouds(preset="fmask", keep_qa=False)(stack)
    assert made.band.values.tolist() == ["b3", "b4", "b5"]
    for step in range(12):
        flags = stack.sel(band="fmask").values[step]
        gone = np.isin(flags, [2, 4, 255])
        expected = stack.values[:3, step].copy()
        expected[:, gone] = np.nan
        assert np.array_equal(made.values[:, step], expected, equal_nan=True)
    filled = pw.Sequential([MaskClouds(preset="fmask", keep_qa=False), pw.temporal.LinearGapFill()])(stack)
    assert filled.isnull().sum() < made.isnull().sum() / 10


def test_tables_lazy_rasters_and_rasters_agree(landsat_series: dict[str, dict[str, Path]]) -> None:
    dates = list(landsat_series)[10:16]
    stack = pw.open_raster([landsat_series[date] for date in dates], times=dates)
    operator = MaskClouds(preset="fmask", dilate=2)
    whole = operator(stack)
    lazy = operator(stack.chunk({"x": 20, "y": 61}))
    assert lazy.chunks is not None
    xr.testing.assert_equal(lazy.compute(), whole)
    table = operator.fit_transform(all_pixels(stack, pw.NanPolicy("propagate")))
    row, col = np.divmod(table.pixel, 61)
    expected = np.stack([layer[row, col] for band in pw.unwrap(whole).values for layer in band], axis=1)
    assert np.array_equal(np.asarray(table), expected, equal_nan=True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"qa_band": "QA"}, "nothing says what a cloud is: give bits="),
        ({"qa_band": "QB", "bits": [1]}, "qa_band='QB' is no band of the raster"),
        ({"qa_band": "QA", "bits": [63]}, "bit 63 is none"),
        ({"qa_band": "QA", "bits": [-1]}, "bit -1 is none"),
        ({"qa_band": "QA", "bits": ["4"]}, "bit '4' is none"),
        ({"qa_band": "QA", "confidence": {5: 4}}, "confidence from 4 on"),
        ({"qa_band": "QA", "confidence": {5: 0}}, "confidence from 0 on"),
        ({"qa_band": "QA", "bits": [1], "dilate": 1.5}, "dilate=1.5: give whole pixels"),
        ({"preset": "landsat"}, "preset='landsat' is not known: choose one of 'sentinel-2-qa60'"),
        ({"bits": [1]}, "no quality band among B3, B4, QA: name it with qa_band="),
    ],
    ids=range(10),
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(BandError, match=said):
        MaskClouds(**options)(scene_with(FLAGS))


def test_a_band_that_holds_no_flags_is_refused() -> None:
    with pytest.raises(BandError, match=r"quality band 'QA' holds 0\.5, which is neither flags nor a class"):
        MaskClouds("QA", bits=[1])(scene_with(np.array([[0.5, 1]], "float32")))
    with pytest.raises(BandError, match="holds nothing but the quality band"):
        MaskClouds(0, bits=[1], keep_qa=False)(FLAGS[None])
