from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, LeaveOneOut

import pixelwise as pw
from pixelwise.display.folds import SpatialFoldsDisplay
from pixelwise.display.map import SceneDisplay
from pixelwise.errors import FoldError
from pixelwise.table.pixels import PixelTable


@pytest.fixture
def labelled(scene: Path, polygons: Path) -> tuple[PixelTable, np.ndarray]:
    return pw.extract_pixels(scene, polygons, column="class")


@pytest.fixture
def pixels(labelled: tuple[PixelTable, np.ndarray]) -> PixelTable:
    return labelled[0]


def test_the_folds_are_those_of_the_splitter(pixels: PixelTable) -> None:
    blocks = pw.SpatialBlockGroupKFold(3, block_size=150)
    display = SpatialFoldsDisplay.from_splitter(blocks, pixels)
    assert np.array_equal(display.fold, blocks.fold_ids(pixels))
    assert display.counts().sum() == len(pixels)


@pytest.mark.parametrize("shape", ["square", "hexagon", "rows", "columns"])
def test_each_pixel_lies_in_one_block_of_its_fold(pixels: PixelTable, shape: str) -> None:
    cv = pw.SpatialBlockGroupKFold(3, block_size=73, shape=shape, offset=(21.3, 33.7))
    display = SpatialFoldsDisplay.from_splitter(cv, pixels)
    assert len(display.blocks) == len(np.unique(cv.block_ids(pixels)))
    outlines = np.array([shapely.Polygon(outline) for _, outline in display.blocks])
    owner = np.array([fold for fold, _ in display.blocks])
    point, block = shapely.STRtree(outlines).query(shapely.points(display.xy), predicate="intersects")
    assert np.array_equal(np.unique(point), np.arange(len(pixels)))
    assert np.array_equal(owner[block], display.fold[point])


def test_blocks_that_are_polygons_are_drawn_as_they_are(pixels: PixelTable) -> None:
    left, bottom, right, top = pixels.grids[0].bounds
    middle = (left + right) / 2
    halves = gpd.GeoDataFrame(
        geometry=[shapely.box(left, bottom, middle, top), shapely.box(middle, bottom, right, top)], crs="EPSG:32633"
    )
    display = SpatialFoldsDisplay.from_splitter(pw.SpatialBlockGroupKFold(2, shape=halves.to_crs(4326)), pixels)
    areas = sorted(shapely.Polygon(outline).area for _, outline in display.blocks)
    assert np.allclose(areas, 400 * 600, rtol=1e-4)


def test_the_blocks_and_pixels_are_drawn_on_the_scene(pixels: PixelTable, scene: Path) -> None:
    display = SpatialFoldsDisplay.from_splitter(pw.SpatialBlockGroupKFold(3, block_size=150), pixels)
    display.plot(scene=SceneDisplay.from_raster(scene, ("B04", "B03", "B02")), title="Folds", subtitle="of 150 m")
    assert len(display.ax_.patches) >= 2 * len(display.blocks)
    assert sum(len(dots.get_offsets()) for dots in display.ax_.collections) == len(pixels)
    names = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert names == list(display.legend()) == [f"fold {k + 1}: {n} pixels" for k, n in enumerate(display.counts())]


def test_one_split_shows_what_is_trained_on_tested_and_left_out(pixels: PixelTable) -> None:
    cv = pw.SpatialBlockGroupKFold(2, block_size=150, buffer=25)
    train, test = next(iter(cv.split(pixels)))
    display = SpatialFoldsDisplay.from_splitter(cv, pixels, split=0).plot()
    lost = len(pixels) - len(train) - len(test)
    assert lost > 0
    assert display.counts().tolist() == [len(train), len(test), lost]
    assert [name.split(":")[0] for name in display.legend()] == ["training", "test", "left out"]


def test_rows_that_are_tested_more_than_once_have_no_colour_unless_a_split_is_named(pixels: PixelTable) -> None:
    cv = pw.SpatialBlockShuffleSplit(10, block_size=100, test_size=0.5, random_state=0)
    with pytest.raises(FoldError, match=r"tested more than once.*pass split=0"):
        SpatialFoldsDisplay.from_splitter(cv, pixels)
    assert SpatialFoldsDisplay.from_splitter(cv, pixels, split=9).counts()[2] == 0


def test_a_split_that_does_not_exist_is_refused(pixels: PixelTable) -> None:
    with pytest.raises(FoldError, match="split=3 does not exist: SpatialBlockGroupKFold makes 3, numbered from 0"):
        SpatialFoldsDisplay.from_splitter(pw.SpatialBlockGroupKFold(3, block_size=150), pixels, split=3)


def test_rows_that_no_fold_tests_are_told(pixels: PixelTable) -> None:
    cv = pw.SpatialBlockShuffleSplit(1, block_size=100, test_size=0.5, random_state=0)
    display = SpatialFoldsDisplay.from_splitter(cv, pixels).plot()
    assert [name.split(":")[0] for name in display.legend()] == ["fold 1", "in no test"]


def test_the_folds_of_a_search_are_shown(labelled: tuple[PixelTable, np.ndarray]) -> None:
    X, y = labelled
    cv = pw.SpatialBlockGroupKFold(3, block_size=150)
    search = GridSearchCV(LogisticRegression(), {"C": [1]}, cv=cv)
    assert np.array_equal(SpatialFoldsDisplay.from_estimator(search, X, y).fold, cv.fold_ids(X))
    with pytest.raises(FoldError, match="LogisticRegression has no cv"):
        SpatialFoldsDisplay.from_estimator(LogisticRegression(), X)


def test_folds_alone_are_shown_without_blocks(pixels: PixelTable) -> None:
    fold = pw.SpatialBlockGroupKFold(3, block_size=150).fold_ids(pixels)
    display = SpatialFoldsDisplay.from_predictions(fold, pixels)
    assert display.grid == pixels.grids[0]
    assert len(display.blocks) == 0
    with pytest.raises(FoldError, match="give one fold for each row"):
        SpatialFoldsDisplay.from_predictions(fold[1:], pixels)


def test_coordinates_alone_are_shown_on_a_map_around_them(pixels: PixelTable) -> None:
    xy = pixels.xy
    cv = pw.SpatialBlockGroupKFold(2, block_size=150, crs=32633)
    display = SpatialFoldsDisplay.from_splitter(cv, xy, groups=xy).plot()
    left, bottom, right, top = display.grid.bounds
    assert ((xy > (left, bottom)) & (xy < (right, top))).all()
    assert len(display.blocks) > 0


def test_folds_of_polygons_have_no_blocks(pixels: PixelTable) -> None:
    display = SpatialFoldsDisplay.from_splitter(GroupKFold(2), pixels, groups=pixels.groups).plot(legend=False)
    assert len(display.blocks) == 0
    assert display.ax_.get_legend() is None


def test_folds_in_degrees_have_no_blocks() -> None:
    degrees = pw.open_raster(pw.datasets.make_example()[0]).rio.reproject("EPSG:4326")
    table, _ = pw.extract_pixels(degrees, pw.datasets.make_example()[1], column="class")
    display = SpatialFoldsDisplay.from_splitter(pw.SpatialBlockGroupKFold(2, block_size=150), table).plot()
    assert len(display.blocks) == 0


def test_pixels_of_several_rasters_are_shown_together(polygons: Path) -> None:
    whole = pw.open_raster(pw.datasets.make_example()[0])
    table, _ = pw.extract_pixels([whole[:, :, :40], whole[:, :, 40:]], [polygons, polygons], column="class")
    display = SpatialFoldsDisplay.from_splitter(pw.SpatialBlockGroupKFold(2, block_size=150), table).plot()
    left, bottom, right, top = display.grid.bounds
    assert ((display.xy > (left, bottom)) & (display.xy < (right, top))).all()


def test_there_are_colours_for_many_folds(pixels: PixelTable) -> None:
    legend = SpatialFoldsDisplay.from_splitter(pw.SpatialBlockGroupKFold(12, block_size=50), pixels).legend()
    assert len(set(legend.values())) == 12


def test_a_fold_for_each_sample_needs_no_legend(pixels: PixelTable) -> None:
    display = SpatialFoldsDisplay.from_splitter(LeaveOneOut(), pixels[::20]).plot()
    assert display.ax_.get_legend() is None
