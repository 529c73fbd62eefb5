"""Polygons on grids: the fast way agrees with looking at each pixel, on every grid and every chip."""

from __future__ import annotations

import pickle
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

import pixelwise as pw
from pixelwise.regional.places import snapped
from pixelwise.regional.polygons import Polygons

UTM = Affine(10, 0, 330_000, 0, -10, 5_822_040)
GRIDS = {
    "UTM": pw.Grid("EPSG:32633", UTM, 90, 70),
    "rotated": pw.Grid("EPSG:32633", UTM @ Affine.rotation(30), 90, 70),
    "south up": pw.Grid("EPSG:32633", Affine(10, 0, 330_000, 0, 10, 5_821_040), 90, 70),
    "degrees": pw.Grid("EPSG:4326", Affine(0.000269494585, 0, 12.5017, 0, -0.000269494585, 52.5211), 90, 70),
    "nowhere": pw.Grid(None, Affine(1, 0, 0, 0, -1, 90), 90, 70),
}


def stars(grid: pw.Grid, count: int, seed: int) -> gpd.GeoDataFrame:
    """Overlapping stars with holes, on and off a grid."""
    random = np.random.default_rng(seed)
    shapes = []
    for _ in range(count):
        row, col = random.uniform(-20, grid.height + 20), random.uniform(-20, grid.width + 20)
        turn = np.linspace(0, 2 * np.pi, 13)[:-1]
        far = np.where(np.arange(12) % 2, 8, 30) * random.uniform(0.5, 1.5)
        ring = grid.xy(row + far * np.sin(turn), col + far * np.cos(turn))
        hole = grid.xy(row + 3 * np.sin(turn), col + 3 * np.cos(turn))
        shapes.append(shapely.Polygon(ring, [hole]))
    return gpd.GeoDataFrame({"name": [f"r{number % 3}" for number in range(count)]}, geometry=shapes, crs=grid.crs)


def by_loop(regions: gpd.GeoDataFrame, grid: pw.Grid, names: list[Any]) -> np.ndarray:
    """The first polygon that holds each centre, asked one by one."""
    found = np.full(grid.size, -1)
    points = shapely.points(snapped(grid, np.arange(grid.size)))
    for name, shape in zip(regions["name"], regions.geometry, strict=True):
        found[(found < 0) & shapely.intersects(shape, points)] = names.index(name)
    return found


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("count", [1, 7, 40])
def test_a_grid_is_covered_as_its_pixels_are_one_by_one(name: str, count: int) -> None:
    grid = GRIDS[name]
    frame = stars(grid, count, seed=count)
    polygons = Polygons(frame, "name")
    expected = by_loop(frame, grid, polygons.names)
    np.testing.assert_array_equal(polygons.on_grid(grid).ravel(), expected)
    np.testing.assert_array_equal(polygons.at(snapped(grid, np.arange(grid.size)), grid.crs), expected)
    assert 0 < (expected < 0).sum() < grid.size


@pytest.mark.parametrize("crs", [4326, 3035, 3857])
def test_polygons_in_another_crs_are_asked_there(crs: int) -> None:
    grid = GRIDS["UTM"]
    frame = stars(grid, 12, seed=3).to_crs(crs)
    polygons = Polygons(frame, "name")
    at = polygons.at(snapped(grid, np.arange(grid.size)), grid.crs)
    np.testing.assert_array_equal(polygons.on_grid(grid).ravel(), at)
    near = by_loop(frame.to_crs(32633), grid, polygons.names)
    assert (at != near).mean() < 1e-3


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from([*GRIDS]), row=st.integers(0, 89), col=st.integers(0, 69), height=st.integers(1, 90),
    width=st.integers(1, 70), seed=st.integers(0, 5),
)  # fmt: skip
def test_a_chip_is_the_scene_there_on_borders_through_pixel_centres_too(
    name: str, row: int, col: int, height: int, width: int, seed: int
) -> None:
    grid = GRIDS[name]
    height, width = min(height, grid.height - row), min(width, grid.width - col)
    centres = grid.xy([10, 10, 60, 60, 33], [12, 50, 50, 12, 0])
    through = gpd.GeoDataFrame({"name": ["centres"]}, geometry=[shapely.Polygon(centres)], crs=grid.crs)
    frame = through if seed == 0 else stars(grid, 9, seed)
    polygons = Polygons(frame, "name")
    whole = polygons.on_grid(grid)[row : row + height, col : col + width]
    np.testing.assert_array_equal(polygons.on_grid(grid.window(row, col, height, width)), whole)


def test_a_centre_on_a_border_is_inside_and_belongs_to_the_first() -> None:
    grid = GRIDS["UTM"]
    halves = [shapely.box(330_000, 5_821_000, 330_105, 5_823_000), shapely.box(330_105, 5_821_000, 331_000, 5_823_000)]
    found = Polygons(gpd.GeoSeries(halves, crs=32633)).on_grid(grid)
    assert (found[:, :11] == 0).all()
    assert (found[:, 11:] == 1).all()


def test_the_first_of_overlapping_polygons_wins() -> None:
    grid = GRIDS["UTM"]
    shapes = [shapely.box(330_000, 5_821_700, 330_300, 5_822_040), shapely.box(330_000, 5_821_000, 331_000, 5_823_000)]
    found = Polygons(gpd.GeoSeries(shapes, crs=32633)).on_grid(grid)
    np.testing.assert_array_equal(found == 0, np.add.outer(np.arange(90) >= 34, np.arange(70) >= 30) == 0)
    assert (found >= 0).all()


def test_bow_ties_are_mended() -> None:
    bow = shapely.Polygon([(330_000, 5_822_040), (330_700, 5_821_140), (330_700, 5_822_040), (330_000, 5_821_140)])
    assert 0 < (Polygons(gpd.GeoSeries([bow], crs=32633)).on_grid(GRIDS["UTM"]) == 0).mean() < 1


def test_nearest_is_the_smallest_distance_to_any_polygon() -> None:
    grid = GRIDS["UTM"]
    frame = stars(grid, 6, seed=1)
    polygons = Polygons(frame, "name")
    xy = snapped(grid, np.arange(0, grid.size, 7))
    apart = np.array([[shape.distance(shapely.Point(place)) for shape in frame.geometry] for place in xy])
    chosen = np.array([0, 2])
    allowed = np.isin(polygons.owner, chosen)
    expected = polygons.owner[np.where(allowed, apart, np.inf).argmin(axis=1)]
    np.testing.assert_array_equal(polygons.nearest(xy, grid.crs, chosen), expected)


def test_degrees_of_longitude_count_less_in_the_north() -> None:
    east, north = shapely.box(11.5, 60, 12, 60.1), shapely.box(10, 60.9, 10.1, 61.4)
    polygons = Polygons(gpd.GeoSeries([east, north], crs=4326))
    assert polygons.nearest(np.array([[10.0, 60.0]]), GRIDS["degrees"].crs, np.array([0, 1])).tolist() == [0]


def test_polygons_are_pickled_without_what_can_be_made_anew() -> None:
    grid = GRIDS["UTM"]
    polygons = Polygons(stars(grid, 5, seed=2), "name")
    back = pickle.loads(pickle.dumps(polygons))
    assert back.names == polygons.names
    np.testing.assert_array_equal(back.on_grid(grid), polygons.on_grid(grid))
