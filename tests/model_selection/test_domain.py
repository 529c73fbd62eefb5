from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from rasterio.crs import CRS

import pixelwise as pw
from pixelwise.errors import CRSError, FoldError
from pixelwise.model_selection.domain import domain_points

UTM = CRS.from_epsg(32633)
LONLAT = CRS.from_epsg(4326)


def test_coordinates_are_taken_as_they_are() -> None:
    places = [[1.0, 2.0], [3.0, 4.0]]
    assert domain_points(places, UTM, 1).tolist() == places
    assert domain_points(np.array(places), None, 1).tolist() == places


def test_pixels_of_a_raster_that_have_data_are_drawn(write: Any, values: np.ndarray) -> None:
    values = values.astype("float32")
    values[:, :, :40] = -9999
    path = write(values, nodata=-9999)
    grid = pw.open_raster(path).rio
    drawn = domain_points(path, UTM, 500, random_state=0)
    assert drawn.shape == (500, 2)
    assert len(np.unique(drawn, axis=0)) == 500
    middle = (grid.bounds()[0] + grid.bounds()[2]) / 2
    assert (drawn[:, 0] > middle).all()
    assert np.array_equal(drawn, domain_points(path, UTM, 500, random_state=0))
    assert not np.array_equal(drawn, domain_points(path, UTM, 500, random_state=1))


def test_a_small_raster_is_taken_whole(scene: Path) -> None:
    assert len(domain_points(pw.open_raster(scene), UTM, 100_000)) == 60 * 80


def test_a_large_raster_is_drawn_from_without_counting_its_pixels(write: Any) -> None:
    large = np.ones((1, 600, 700), "uint8")
    drawn = domain_points(write(large), UTM, 100, random_state=0)
    assert len(np.unique(drawn, axis=0)) == 100


def test_a_domain_in_another_crs_is_brought_over(scene: Path) -> None:
    here, there = domain_points(scene, UTM, 10_000), domain_points(scene, LONLAT, 10_000)
    assert (np.abs(there[:, 1]) < 90).all()
    assert np.allclose(pw.raster.grid.transform_xy(there, LONLAT, UTM), here, atol=1e-3)


def test_points_and_polygons_and_tables_are_domains(scene: Path, polygons: Path) -> None:
    points = gpd.GeoSeries.from_xy([0, 5], [1, 6], crs=32633)
    assert domain_points(points.to_frame("geometry"), UTM, 1).tolist() == [[0, 1], [5, 6]]
    scenes = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 10, 10), shapely.box(5, 0, 15, 10)], crs=32633)
    drawn = domain_points(scenes, UTM, 400, random_state=0)
    assert len(drawn) == 400
    # What scenes have in common counts once: two thirds of the union lie left of 10.
    assert 0.58 < (drawn[:, 0] < 10).mean() < 0.75
    X, _ = pw.extract_pixels(scene, polygons, column="class")
    assert np.array_equal(domain_points(X, UTM, 1), X.xy)


@pytest.mark.parametrize(
    ("domain", "crs", "error", "message"),
    [
        (None, UTM, FoldError, "prediction_domain is missing"),
        (np.empty((0, 2)), UTM, FoldError, "holds no place"),
        (np.array([[0.0, np.nan], [1.0, 1.0]]), UTM, FoldError, "1 of 2 places .* the first is row 0"),
        (gpd.GeoSeries.from_xy([0], [0], crs=4326).to_frame("geometry"), None, CRSError, "set the missing one"),
        (gpd.GeoDataFrame(geometry=[shapely.Point()], crs=32633), UTM, FoldError, "empty geometries"),
    ],
)
def test_what_is_no_domain_says_why(domain: Any, crs: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        domain_points(domain, crs, 10)


def test_a_raster_without_data_is_no_domain(write: Any, values: np.ndarray) -> None:
    with pytest.raises(FoldError, match="holds no place"):
        domain_points(write(np.full(values.shape, 7, "uint8"), nodata=7), UTM, 10)
