from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from PIL import Image

import pixelwise as pw
from pixelwise.display.canvas import new_axes, png_bytes
from pixelwise.display.map import MapDisplay, SceneDisplay
from pixelwise.errors import BandError, LabelError
from pixelwise.raster.carriers import Raster
from pixelwise.raster.grid import Grid


def painted(display: MapDisplay | SceneDisplay) -> np.ndarray:
    """Return the colours that were drawn, pixel by pixel."""
    return np.asarray(display.ax_.images[0].get_array())


def test_each_class_is_painted_in_its_colour(predicted: xr.DataArray) -> None:
    display = MapDisplay.from_raster(predicted, colors={"forest": "#006400", "water": "#0000ff"}).plot()
    rgba = painted(display)
    assert rgba[5, 5].tolist() == [0, 100, 0, 255]
    assert rgba[5, 75].tolist() == [0, 0, 255, 255]


def test_pixels_without_data_are_left_blank(predicted: xr.DataArray) -> None:
    holed = predicted.copy()
    holed[:10] = 255
    rgba = painted(MapDisplay.from_raster(holed).plot())
    assert not rgba[:10, :, 3].any()
    assert rgba[10:, :, 3].all()


def test_a_file_is_drawn_in_its_own_colours(map_file: Path) -> None:
    assert MapDisplay.from_raster(map_file).colors == {0: "#006400", 1: "#4a90c2"}


def test_asked_for_colours_go_before_those_of_the_file(map_file: Path) -> None:
    assert MapDisplay.from_raster(map_file, colors={"water": "#123456"}).colors == {0: "#006400", 1: "#123456"}
    assert MapDisplay.from_raster(map_file, colors={1: "#123456"}).colors == {0: "#006400", 1: "#123456"}


def test_a_colour_of_a_class_that_is_not_there_is_an_error(map_file: Path) -> None:
    with pytest.raises(LabelError, match="'desert'"):
        MapDisplay.from_raster(map_file, colors={"desert": "#123456"})


def test_the_legend_names_the_classes(predicted: xr.DataArray) -> None:
    legend = MapDisplay.from_raster(predicted).plot().ax_.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["forest", "water"]
    assert MapDisplay.from_raster(predicted).plot(legend=False).ax_.get_legend() is None


def test_codes_without_names_are_classes_while_they_are_few(predicted: xr.DataArray) -> None:
    plain = Raster(predicted.values, pw.unwrap(predicted).grid, nodata=(255,))
    assert MapDisplay.from_raster(plain).classes == {0: "0", 1: "1"}
    many = Raster(np.arange(100, dtype="int16").reshape(10, 10), Grid(None, rasterio.Affine.identity(), 10, 10))
    assert MapDisplay.from_raster(many).classes == {}


def test_a_map_of_numbers_has_a_colour_bar_and_no_classes(numbers: Raster) -> None:
    display = MapDisplay.from_raster(numbers).plot(title="Heights")
    assert display.classes == {}
    assert display.ax_.child_axes[0].get_xlabel() == "height"
    rgba = painted(display)
    assert rgba[0, 0, 3] == 0
    assert rgba[3, 5].tolist() != rgba[1, 0].tolist()


@pytest.mark.parametrize("values", [np.full((4, 6), 7.5, "float32"), np.full((4, 6), np.nan, "float32")])
def test_a_map_of_one_number_or_none_is_drawn(numbers: Raster, values: np.ndarray) -> None:
    display = MapDisplay.from_raster(numbers.with_values(values)).plot()
    assert png_bytes(display.figure_)


def test_several_bands_are_no_map(scene: Path) -> None:
    with pytest.raises(BandError, match="4 bands is no map: select one of B02, B03, B04, B08"):
        MapDisplay.from_raster(scene)


def test_a_display_draws_on_given_axes(predicted: xr.DataArray) -> None:
    ax = new_axes(3, 2)
    display = MapDisplay.from_raster(predicted).plot(ax)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure


def test_the_picture_shows_the_colours(map_file: Path) -> None:
    png = png_bytes(MapDisplay.from_raster(map_file).plot(title="Map").figure_)
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    assert all((pixels == color).all(axis=-1).mean() > 0.2 for color in ([0, 100, 0], [74, 144, 194]))


def test_a_scene_is_stretched_band_by_band(scene: Path) -> None:
    rgb = SceneDisplay.from_raster(scene, ("B08", "B04", "B03")).rgb
    assert rgb.shape == (60, 80, 4)
    # Near infrared is bright over wood and dark over water.
    assert rgb[:, :40, 0].mean() > 200
    assert rgb[:, 40:, 0].mean() < 60


def test_a_scene_is_transparent_where_a_band_lacks_data(raster: xr.DataArray) -> None:
    holed = raster.astype("float32")
    holed[2, :5] = np.nan
    rgba = painted(SceneDisplay.from_raster(holed, ("B04", "B03", "B02")).plot(title="Holes"))
    assert not rgba[:5, :, 3].any()
    assert rgba[5:, :, 3].all()


def test_a_scene_names_the_band_that_it_lacks(scene: Path) -> None:
    with pytest.raises(BandError, match="red='B99'"):
        SceneDisplay.from_raster(scene, ("B99", "B03", "B02"))


def test_bands_are_taken_by_position_too(scene: Path) -> None:
    by_name, by_position = (SceneDisplay.from_raster(scene, bands).rgb for bands in (("B04", "B03", "B02"), (2, 1, 0)))
    assert np.array_equal(by_name, by_position)
