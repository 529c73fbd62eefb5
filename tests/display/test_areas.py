from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr

from pixelwise.display.areas import class_areas
from pixelwise.errors import LabelError
from pixelwise.raster.carriers import Raster
from pixelwise.raster.grid import Grid, pixel_area

ATTRS = {"flag_values": [0, 1], "flag_meanings": "forest water"}


def test_a_file_and_an_array_give_the_same_areas(map_file: Path, predicted: xr.DataArray) -> None:
    assert class_areas(map_file) == class_areas(predicted)


def test_hectares_are_pixels_times_their_area(map_file: Path) -> None:
    areas = class_areas(map_file)
    assert [area.name for area in areas] == ["forest", "water"]
    assert sum(area.pixels for area in areas) == 4800
    assert [area.hectares for area in areas] == pytest.approx([area.pixels / 100 for area in areas])
    assert sum(area.share for area in areas) == pytest.approx(1)


def test_pixels_without_data_do_not_count(predicted: xr.DataArray) -> None:
    holed = predicted.copy()
    holed[:, :40] = 255
    forest, water = class_areas(holed)
    assert forest.pixels + water.pixels == 2400
    assert forest.share + water.share == pytest.approx(1)


def test_masked_pixels_do_not_count() -> None:
    grid = Grid("EPSG:32633", rasterio.Affine(10, 0, 0, 0, -10, 0), 2, 3)
    mask = np.array([[True, True, True], [False, False, True]])
    forest, water = class_areas(Raster(np.array([[0, 1, 1], [0, 1, 1]], "uint8"), grid, mask=mask, attrs=ATTRS))
    assert (forest.pixels, water.pixels) == (1, 1)


def test_areas_in_degrees_are_geodesic() -> None:
    grid = Grid("EPSG:4326", rasterio.Affine(0.1, 0, 10, 0, -0.1, 60), 4, 2)
    values = np.repeat(np.array([[0], [0], [1], [1]], "uint8"), 2, axis=1)
    forest, water = class_areas(Raster(values, grid, attrs=ATTRS))
    rows = pixel_area(grid)
    assert forest.hectares == pytest.approx(2 * rows[:2].sum() / 1e4)
    assert water.hectares == pytest.approx(2 * rows[2:].sum() / 1e4)
    assert forest.hectares < water.hectares


def test_without_a_crs_there_are_shares_and_no_hectares() -> None:
    areas = class_areas(Raster(np.zeros((2, 2), "uint8"), Grid(None, rasterio.Affine.identity(), 2, 2), attrs=ATTRS))
    assert [(area.hectares, area.share) for area in areas] == [(None, 1.0), (None, 0.0)]


def test_a_map_that_names_no_classes_is_an_error(scene: Path) -> None:
    with pytest.raises(LabelError, match="flag_meanings"):
        class_areas(scene)
