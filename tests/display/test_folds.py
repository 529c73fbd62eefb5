from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import GroupKFold

import pixelwise as pw
from pixelwise.display.folds import FoldsDisplay
from pixelwise.display.map import SceneDisplay
from pixelwise.table.pixels import PixelTable


@pytest.fixture
def pixels(scene: Path, polygons: Path) -> PixelTable:
    return pw.extract_pixels(scene, polygons, column="class")[0]


def test_the_folds_are_those_of_the_splitter(pixels: PixelTable) -> None:
    blocks = pw.SpatialBlockGroupKFold(3, block_size=150)
    display = FoldsDisplay.from_splitter(blocks, pixels)
    assert np.array_equal(display.fold, blocks.fold_ids(pixels))
    assert display.counts().sum() == len(pixels)


def test_each_pixel_lies_in_a_square_of_its_fold(pixels: PixelTable) -> None:
    display = FoldsDisplay.from_splitter(pw.SpatialBlockGroupKFold(3, block_size=150, offset=(20, 30)), pixels)
    fold, left, bottom, side = display.squares.T
    assert set(side) == {150}
    for number in range(3):
        x, y = display.xy[display.fold == number].T
        own = fold == number
        inside = (
            (x[:, None] >= left[own])
            & (x[:, None] < left[own] + 150)
            & (y[:, None] >= bottom[own])
            & (y[:, None] < bottom[own] + 150)
        )
        assert (inside.sum(axis=1) == 1).all()


def test_the_squares_and_pixels_are_drawn_on_the_scene(pixels: PixelTable, scene: Path) -> None:
    display = FoldsDisplay.from_splitter(pw.SpatialBlockGroupKFold(3, block_size=150), pixels)
    display.plot(scene=SceneDisplay.from_raster(scene, ("B04", "B03", "B02")), title="Folds", subtitle="of 150 m")
    assert len(display.ax_.patches) >= 2 * len(display.squares)
    assert sum(len(dots.get_offsets()) for dots in display.ax_.collections) == len(pixels)
    names = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert names == list(display.legend()) == [f"fold {k + 1}: {n} pixels" for k, n in enumerate(display.counts())]


def test_folds_of_polygons_have_no_squares(pixels: PixelTable) -> None:
    display = FoldsDisplay.from_splitter(GroupKFold(2), pixels, groups=pixels.groups).plot(legend=False)
    assert len(display.squares) == 0
    assert display.ax_.get_legend() is None
    assert len(display.ax_.collections) == 2


def test_folds_in_degrees_have_no_squares(raster: object, pixels: PixelTable) -> None:
    degrees = pw.open_raster(pw.datasets.make_example()[0]).rio.reproject("EPSG:4326")
    table, _ = pw.extract_pixels(degrees, pw.datasets.make_example()[1], column="class")
    display = FoldsDisplay.from_splitter(pw.SpatialBlockGroupKFold(2, block_size=150), table).plot()
    assert len(display.squares) == 0


def test_pixels_of_several_rasters_are_shown_together(raster: object, polygons: Path) -> None:
    whole = pw.open_raster(pw.datasets.make_example()[0])
    table, _ = pw.extract_pixels([whole[:, :, :40], whole[:, :, 40:]], [polygons, polygons], column="class")
    display = FoldsDisplay.from_splitter(pw.SpatialBlockGroupKFold(2, block_size=150), table).plot()
    left, bottom, right, top = display.grid.bounds
    assert ((display.xy > (left, bottom)) & (display.xy < (right, top))).all()


def test_there_are_colours_for_many_folds(pixels: PixelTable) -> None:
    legend = FoldsDisplay.from_splitter(pw.SpatialBlockGroupKFold(12, block_size=50), pixels).legend()
    assert len(set(legend.values())) == 12
