from __future__ import annotations

import math

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.offsetbox import AnchoredOffsetbox

from pixelwise.display.canvas import new_axes
from pixelwise.display.furniture import (
    add_legend,
    add_north_arrow,
    add_scale_bar,
    add_title,
    map_aspect,
    metres_per_x,
    round_length,
    show_image,
)
from pixelwise.raster.grid import Grid

UTM = Grid("EPSG:32633", rasterio.Affine(10, 0, 330_000, 0, -10, 5_822_040), 60, 80)
DEGREES = Grid("EPSG:4326", rasterio.Affine(0.01, 0, 10, 0, -0.01, 60.5), 100, 200)
FEET = Grid("EPSG:2264", rasterio.Affine(100, 0, 2e6, 0, -100, 7e5), 50, 50)
NOWHERE = Grid(None, rasterio.Affine.identity(), 60, 80)
PIXELS = np.zeros((60, 80, 4), np.uint8)


@given(st.floats(1e-3, 1e7))
def test_a_round_length_is_one_two_or_five_and_no_less_than_two_fifths(metres: float) -> None:
    length = round_length(metres)
    digits = length / 10 ** math.floor(math.log10(length) + 1e-9)
    assert round(digits, 6) in (1, 2, 5)
    assert metres * 0.4 - 1e-9 <= length <= metres * (1 + 1e-6)


def test_metres_are_known_in_every_crs_that_has_units() -> None:
    assert metres_per_x(UTM) == 1
    assert metres_per_x(FEET) == pytest.approx(0.3048, rel=1e-4)
    assert metres_per_x(DEGREES) == pytest.approx(111_195 * math.cos(math.radians(60)), rel=1e-3)
    assert metres_per_x(NOWHERE) is None


def test_a_map_in_degrees_is_drawn_true_to_scale_in_its_middle() -> None:
    assert map_aspect(UTM) == pytest.approx(0.75)
    assert map_aspect(DEGREES) == pytest.approx(0.5 / math.cos(math.radians(60)), rel=1e-3)


def boxes(grid: Grid) -> list[AnchoredOffsetbox]:
    ax = new_axes(4, 3)
    show_image(ax, PIXELS, grid)
    add_scale_bar(ax, grid)
    add_north_arrow(ax, grid)
    ax.figure.draw_without_rendering()
    return [artist for artist in ax.get_children() if isinstance(artist, AnchoredOffsetbox)]


@pytest.mark.parametrize("grid", [UTM, DEGREES, FEET])
def test_a_map_with_a_crs_has_a_scale_bar_and_a_north_arrow(grid: Grid) -> None:
    assert len(boxes(grid)) == 2


def test_a_map_without_a_crs_has_neither() -> None:
    assert boxes(NOWHERE) == []


def test_an_image_lies_where_its_pixels_are() -> None:
    ax = new_axes(4, 3)
    show_image(ax, PIXELS, UTM)
    left, bottom, right, top = UTM.bounds
    assert ax.images[0].get_extent() == [left, right, bottom, top]
    assert ax.get_ylim() == (bottom, top)


def test_a_south_up_image_is_turned_over() -> None:
    south_up = Grid("EPSG:32633", rasterio.Affine(10, 0, 0, 0, 10, 0), 60, 80)
    ax = new_axes(4, 3)
    show_image(ax, PIXELS, south_up)
    assert ax.images[0].get_extent() == [0, 800, 600, 0]
    assert ax.get_ylim() == (0, 600)


def test_a_rotated_image_is_drawn_rotated() -> None:
    turned = Grid("EPSG:32633", rasterio.Affine.rotation(30) @ rasterio.Affine.scale(10), 60, 80)
    ax = new_axes(4, 3)
    show_image(ax, PIXELS, turned)
    at = (ax.images[0].get_transform() - ax.transData).transform((80, 0))
    assert at.tolist() == pytest.approx(list(turned.transform @ (80, 0)))


def test_a_picture_without_georeference_has_its_first_row_on_top() -> None:
    ax = new_axes(4, 3)
    show_image(ax, PIXELS, NOWHERE)
    assert ax.get_ylim() == (60, 0)


def test_a_legend_shows_every_name_as_it_is() -> None:
    ax = new_axes(4, 3)
    add_legend(ax, {"a $x$ b": "#ff0000", "_hidden": "#00ff00"})
    texts = [text.get_text().strip() for text in ax.get_legend().get_texts()]
    assert texts == ["a $x$ b", "_hidden"]
    ax.figure.draw_without_rendering()


def test_a_title_is_no_mathematics() -> None:
    ax = new_axes(4, 3)
    add_title(ax, "price in $ and $", "below $_$")
    ax.figure.draw_without_rendering()
    assert [text.get_text() for text in ax.texts] == ["price in $ and $", "below $_$"]
