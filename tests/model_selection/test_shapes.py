from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

import pixelwise as pw
from pixelwise.errors import CRSError, FoldError
from pixelwise.raster.grid import EARTH_RADIUS

XY = np.random.default_rng(0).uniform(-5000, 5000, (4000, 2))
UNIT = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], crs=32633)
DEGREE = np.radians(1.0) * EARTH_RADIUS


def blocks(shape: Any, xy: np.ndarray = XY, size: float | None = 1000, crs: Any = 32633, **options: Any) -> np.ndarray:
    return pw.SpatialBlockGroupKFold(2, size, shape=shape, crs=crs, **options).block_ids(xy, xy)


def extents(ids: np.ndarray, xy: np.ndarray = XY) -> np.ndarray:
    return np.array([np.ptp(xy[ids == number], axis=0) for number in np.unique(ids)])


def test_rows_and_columns_are_strips_of_one_width() -> None:
    assert len(np.unique(blocks("rows"))) == len(np.unique(blocks("columns"))) == 10
    assert (extents(blocks("rows"))[:, 1] < 1000).all()
    assert (extents(blocks("columns"))[:, 0] < 1000).all()
    assert (extents(blocks("rows"))[:, 0] > 9000).all()


def test_hexagons_are_as_wide_as_asked_from_side_to_side() -> None:
    ids = blocks("hexagon", np.random.default_rng(1).uniform(-3000, 3000, (60_000, 2)))
    xy = np.random.default_rng(1).uniform(-3000, 3000, (60_000, 2))
    full = np.bincount(ids) > 0.95 * 60_000 / 36e6 * 1000**2 * np.sqrt(3) / 2
    width, height = extents(ids, xy)[full].mean(axis=0)
    assert width == pytest.approx(1000, rel=0.03)
    assert height == pytest.approx(1000 * 2 / np.sqrt(3), rel=0.06)  # few samples lie in the corners


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-1e5, 1e5), st.floats(-1e5, 1e5)), min_size=5, max_size=50).map(np.array))
def test_no_place_is_farther_from_its_hexagon_than_a_corner(xy: np.ndarray) -> None:
    from pixelwise.model_selection.shapes import cells_of

    options: dict[str, Any] = {"size": 700.0, "offset": (0.0, 0.0), "n_clusters": 2, "random_state": 0}
    col, row = cells_of("hexagon", xy, None, **options).T
    centre = np.column_stack([700.0 * (col + (row % 2) / 2), row * 700.0 * np.sqrt(3) / 2])
    assert (np.linalg.norm(xy - centre, axis=1) <= 700 / np.sqrt(3) * (1 + 1e-9)).all()


@pytest.mark.parametrize("shape", ["square", "hexagon", "rows", "columns"])
@pytest.mark.parametrize("crs", [32633, 4326])
def test_the_same_place_is_in_the_same_block_whatever_else_is_there(shape: str, crs: int) -> None:
    xy = XY if crs == 32633 else XY / DEGREE + [13.0, 52.5]
    whole, half = blocks(shape, xy, crs=crs), blocks(shape, xy[:2000], crs=crs)
    pairs = np.unique(np.column_stack([whole[:2000], half]), axis=0)
    assert len(pairs) == len(np.unique(half)) == len(np.unique(whole[:2000]))


@pytest.mark.parametrize(("shape", "area"), [("square", 1.0), ("hexagon", np.sqrt(3) / 2)])
@pytest.mark.parametrize("latitude", [0.0, 52.0, 78.0])
def test_blocks_have_their_area_on_the_sphere(shape: str, area: float, latitude: float) -> None:
    random = np.random.default_rng(0)
    side = 40_000
    east, north = random.uniform(0, side, (2, 80_000))
    lat = latitude + north / DEGREE
    lonlat = np.column_stack([10 + east / DEGREE / np.cos(np.radians(lat)), lat])
    counts = np.bincount(blocks(shape, lonlat, 4000, crs=4326))
    assert np.median(counts) / 80_000 * side**2 / 4000**2 == pytest.approx(area, rel=0.05)


def test_columns_in_degrees_are_as_wide_as_asked_at_the_middle_latitude() -> None:
    lonlat = np.column_stack([np.linspace(10, 11, 5001), np.full(5001, 60.0)])
    assert len(np.unique(blocks("columns", lonlat, 1000, crs=4326))) in (56, 57)


def test_clusters_are_compact_and_follow_their_seed() -> None:
    ids = blocks("kmeans", size=None, n_clusters=9, random_state=0)
    assert len(np.unique(ids)) == 9
    assert np.median(extents(ids)) < 6000
    assert np.array_equal(ids, blocks("kmeans", size=None, n_clusters=9, random_state=0))


def test_polygons_are_blocks_in_whatever_crs_and_from_a_file(scene: Path, polygons: Path) -> None:
    X, _ = pw.extract_pixels(scene, polygons, column="class")
    frame = gpd.read_file(polygons)
    for given_shape in (frame, frame.to_crs(4326), polygons, str(polygons)):
        ids = pw.SpatialBlockGroupKFold(2, shape=given_shape).block_ids(X)
        assert np.array_equal(ids, X.groups)


def test_a_place_on_a_border_goes_with_the_first_polygon() -> None:
    frame = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1)], crs=32633)
    xy = np.array([[1.0, 0.5], [0.5, 0.5], [1.5, 0.5]])
    assert blocks(frame, xy, None).tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("shape", "crs", "error", "message"),
    [
        ("circle", 32633, FoldError, "shape='circle' is not known: choose one of 'square', 'hexagon'"),
        (
            gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], crs=32633),
            32633,
            FoldError,
            "4000 of 4000 samples lie in no poly",
        ),
        (gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], crs=32633), None, CRSError, "set the missing one"),
    ],
)
def test_what_is_no_shape_says_why(shape: Any, crs: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        blocks(shape, crs=crs)


def test_clusters_need_as_many_places() -> None:
    with pytest.raises(FoldError, match="1 places cannot make 2 clusters"):
        blocks("kmeans", np.zeros((5, 2)), None)
