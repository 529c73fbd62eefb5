"""Chips put together: exact where they agree, means, votes and medians where they do not, and never more rows than are open."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio.windows import Window

import pixelwise as pw
from pixelwise.errors import BandError, FillValueError, GridError, LabelError
from pixelwise.raster.overlaps import overlap_of
from pixelwise.raster.stitching import ChipStitcher

METHODS = ("average", "majority", "max", "first", "median", "weighted")
CODES = {"flag_values": [0, 1], "flag_meanings": "forest water"}


def stitched(
    stitch: pw.Stitch, chips: list[np.ndarray], windows: np.ndarray, shape: tuple[int, int], step: int = 1, **raster: Any
) -> np.ndarray:
    """Put chips of shape (band, y, x) together, and look at each strip."""
    grid = pw.unwrap(np.zeros((1, *shape))).grid
    size = tuple(windows[:, 2:].max(axis=0).tolist())
    stitcher, strips = ChipStitcher(stitch, grid, windows, size, step), []
    for values, (row, col, height, width) in zip(chips, windows.tolist(), strict=True):
        chip = pw.Raster(values, grid.window(row, col, height, width), **raster)
        strips += stitcher.add(chip, Window(col, row, width, height))
    strips += stitcher.finish()
    assert [window.row_off for window, _ in strips] == np.cumsum([0, *(window.height for window, _ in strips[:-1])]).tolist()
    assert all(window.height % step == 0 for window, _ in strips[:-1])
    return np.concatenate([values for _, values in strips], axis=-2)


def one_by_one(chips: list[np.ndarray], windows: np.ndarray, shape: tuple[int, int]) -> dict[tuple[int, int], list[Any]]:
    """Return the values of each pixel in all its chips, found in a plain loop."""
    found: dict[tuple[int, int], list[Any]] = {}
    for values, (row, col, height, width) in zip(chips, windows.tolist(), strict=True):
        for y in range(height):
            for x in range(width):
                found.setdefault((row + y, col + x), []).append(values[0, y, x])
    return found


tilings = st.tuples(
    st.tuples(st.integers(1, 23), st.integers(1, 23)),
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.sampled_from(["cut", "shift"]),
    st.integers(1, 7),
    st.integers(0, 2**31),
)


def windows_of(shape: tuple[int, int], chip: tuple[int, int], stride: tuple[int, int], edge: str) -> np.ndarray:
    stride = (min(stride[0], chip[0]), min(stride[1], chip[1]))
    return pw.sampling.GridSampler(chip, stride, edge).windows(pw.unwrap(np.zeros((1, *shape))).grid)


@pytest.mark.parametrize("method", METHODS)
@given(tiling=tilings, dtype=st.sampled_from(["float32", "float64", "uint8"]))
def test_chips_of_one_raster_give_it_back_bit_by_bit(method: str, tiling: Any, dtype: str) -> None:
    shape, chip, stride, edge, step, seed = tiling
    whole = (np.random.default_rng(seed).random((2, *shape)) * 250 + 0.1).astype(dtype)
    windows = windows_of(shape, chip, stride, edge)
    chips = [whole[:, row : row + height, col : col + width] for row, col, height, width in windows.tolist()]
    attrs = CODES if method == "majority" else {}
    made = stitched(pw.Stitch(method), chips, windows, shape, step, attrs=attrs)
    assert made.dtype == dtype
    np.testing.assert_array_equal(made, whole)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
@pytest.mark.parametrize("window", ["hann", "tukey", "linear", "array", None])
@given(tiling=tilings)
def test_the_average_of_a_constant_is_exact_under_any_window(window: str | None, dtype: str, tiling: Any) -> None:
    shape, chip, stride, edge, step, seed = tiling
    rng = np.random.default_rng(seed)
    constant = (rng.random() * 1e3 - 500) if dtype != "int16" else rng.integers(-500, 500)
    windows = windows_of(shape, chip, stride, edge)
    chips = [np.full((1, height, width), constant, dtype) for _, _, height, width in windows.tolist()]
    size = tuple(windows[:, 2:].max(axis=0).tolist())
    given_window = rng.random(size) + 1e-9 if window == "array" else window
    made = stitched(pw.Stitch("average", given_window), chips, windows, shape, step)
    assert (made == np.array(constant, dtype)).all()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((-np.inf, -np.inf, -np.inf), -np.inf),
        ((np.inf, 3.0, 4.0), np.inf),
        ((3.0, -np.inf, 4.0), -np.inf),
        ((np.inf, np.nan, np.inf), np.inf),
        ((np.inf, -np.inf, 1.0), np.nan),
    ],
    ids=str,
)
def test_infinite_values_such_as_decibels_of_zero_are_averaged_as_numpy_does(
    values: tuple[float, ...], expected: float
) -> None:
    mean = overlap_of("average", (1, 1, 1), "float32", float("nan"), 3)
    for layer, value in enumerate(values):
        mean.add(np.full((1, 1, 1), value, "float32"), (..., slice(0, 1), slice(0, 1)), np.ones((1, 1)), layer)
    np.testing.assert_equal(mean.take(1)[0].item(), expected)


@given(tiling=tilings, gaps=st.floats(0, 0.8))
def test_methods_are_those_of_a_plain_loop(tiling: Any, gaps: float) -> None:
    shape, chip, stride, edge, step, seed = tiling
    rng, windows = np.random.default_rng(seed), windows_of(shape, chip, stride, edge)
    codes = [rng.integers(0, 4, (1, height, width)).astype("uint8") for _, _, height, width in windows.tolist()]
    for part in codes:
        part[rng.random(part.shape) < gaps] = 255
    floats = [np.where(part == 255, np.nan, part + 0.25) for part in codes]
    every = one_by_one(codes, windows, shape)
    known = {at: [int(value) for value in values if value != 255] for at, values in every.items()}
    expected = {
        "average": lambda values: np.mean(values) + 0.25,
        "max": lambda values: max(values) + 0.25,
        "median": lambda values: np.median(values) + 0.25,
        "first": lambda values: values[0] + 0.25,
    }
    for method, rule in expected.items():
        made = stitched(pw.Stitch(method), floats, windows, shape, step)[0]
        wanted = np.array([[rule(known[y, x]) if known[y, x] else np.nan for x in range(shape[1])] for y in range(shape[0])])
        np.testing.assert_allclose(made, wanted, rtol=1e-12)
    made = stitched(pw.Stitch("majority"), codes, windows, shape, step, nodata=(255,), attrs=CODES)[0]
    wanted = [
        [min(sorted(k := known[y, x]), key=lambda c: -k.count(c), default=255) for x in range(shape[1])]
        for y in range(shape[0])
    ]
    np.testing.assert_array_equal(made, wanted)


def test_of_a_tie_the_smallest_code_wins() -> None:
    votes = overlap_of("majority", (1, 1, 1), "uint8", 255, 4)
    for layer, code in enumerate((3, 1, 3, 1)):
        votes.add(np.full((1, 1, 1), code, "uint8"), (..., slice(0, 1), slice(0, 1)), np.ones((1, 1)), layer)
    assert votes.take(1)[0].item() == 1


@pytest.mark.parametrize("window", ["hann", "tukey", "linear"])
def test_windows_count_the_middle_most_and_the_border_more_than_nothing(window: str) -> None:
    weights = pw.Stitch("weighted", window).weights(8, 12)
    assert weights.shape == (8, 12)
    assert weights.min() > 0
    assert weights[3:5, 5:7].min() == pytest.approx(weights.max())
    np.testing.assert_allclose(weights, weights[::-1, ::-1])


def test_a_weighted_average_is_that_of_its_window() -> None:
    windows, weights = np.array([[0, 0, 1, 3], [0, 1, 1, 3]]), np.array([[1.0, 2.0, 5.0]])
    chips = [np.array([[[1.0, 1.0, 1.0]]]), np.array([[[3.0, 3.0, np.nan]]])]
    made = stitched(pw.Stitch("weighted", weights), chips, windows, (1, 4))
    np.testing.assert_allclose(made, [[[1, (2 * 1 + 1 * 3) / 3, (5 * 1 + 2 * 3) / 7, np.nan]]])


def test_an_average_of_integers_is_rounded_into_their_dtype() -> None:
    windows = np.array([[0, 0, 1, 2], [0, 1, 1, 2]])
    chips = [np.array([[[1, 2]]], "int16"), np.array([[[5, -9]]], "int16")]
    made = stitched(pw.Stitch("average"), chips, windows, (1, 3), nodata=(-9,))
    assert made.dtype == "int16"
    assert made.tolist() == [[[1, 4, -9]]]


@pytest.mark.parametrize("method", ["average", "weighted", "max", "median"])
@pytest.mark.parametrize("of", ["classes", "clusters"])
def test_codes_are_not_averaged(method: str, of: str) -> None:
    raster = {"attrs": CODES} if of == "classes" else {"name": "predict"}
    with pytest.raises(LabelError, match="majority"):
        stitched(pw.Stitch(method), [np.ones((1, 2, 2), "uint8")], np.array([[0, 0, 2, 2]]), (2, 2), **raster)


def test_a_majority_of_measurements_is_refused() -> None:
    with pytest.raises(LabelError, match="average"):
        stitched(pw.Stitch("majority"), [np.ones((1, 2, 2))], np.array([[0, 0, 2, 2]]), (2, 2))


def test_chips_that_differ_in_kind_are_refused() -> None:
    windows = np.array([[0, 0, 1, 1], [0, 1, 1, 1]])
    with pytest.raises(BandError, match="at row 0, column 1 became 2 bands"):
        stitched(pw.Stitch(), [np.ones((1, 1, 1)), np.ones((2, 1, 1))], windows, (1, 2))


def test_pixels_of_no_chip_are_nodata_where_there_is_one() -> None:
    windows = np.array([[0, 0, 1, 2], [4, 0, 1, 2]])
    made = stitched(pw.Stitch(), [np.ones((1, 1, 2))] * 2, windows, (7, 2))
    assert np.isnan(made[0, :, 0]).tolist() == [False, True, True, True, False, True, True]
    with pytest.raises(FillValueError, match="lie in no chip"):
        stitched(pw.Stitch(), [np.ones((1, 1, 2), "uint8")] * 2, windows, (7, 2))


def test_bands_of_different_nodata_become_floats() -> None:
    chip = np.array([[[1, 2]], [[1, 2]]], "uint8")
    made = stitched(pw.Stitch(), [chip], np.array([[0, 0, 1, 2]]), (1, 2), nodata=(1, 2))
    np.testing.assert_array_equal(made, [[[np.nan, 2]], [[1, np.nan]]])


@pytest.mark.parametrize(
    ("stitch", "error", "says"),
    [
        (pw.Stitch("mean"), ValueError, "choose one of average"),
        (pw.Stitch("weighted", "box"), ValueError, "choose one of hann"),
        (pw.Stitch("majority", "hann"), ValueError, "no meaning"),
        (pw.Stitch("average", np.ones((2, 3))), GridError, "one weight a pixel"),
        (pw.Stitch("average", np.zeros((2, 2))), ValueError, "above 0"),
    ],
    ids=["method", "window", "together", "shape", "zero"],
)
def test_what_cannot_be_done_is_said_before_any_chip(stitch: pw.Stitch, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        stitch.weights(2, 2)


def test_it_is_the_same_under_all_its_names() -> None:
    assert pw.Stitch is pw.sampling.Stitch
    assert pw.inference.ApplyToChips is pw.ApplyToChips
