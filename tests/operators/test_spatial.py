from __future__ import annotations

import pickle
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine
from sklearn.base import clone

import pixelwise as pw
from pixelwise.errors import CRSError, FoldError, GridError, LabelError
from pixelwise.operators.base import Operator
from pixelwise.raster.grid import EARTH_RADIUS

RANDOM = np.random.default_rng(11)
GRIDS = {
    "UTM": pw.Grid("EPSG:32633", (10, 0, 330_000, 0, -10, 5_822_040), 40, 50),
    "south-up": pw.Grid("EPSG:32633", (10.1, 0, 330_000.3, 0, 10.1, 5_822_040.7), 40, 50),
    "rotated": pw.Grid(
        "EPSG:32633", Affine.translation(330_000, 5_822_040) @ Affine.rotation(30) @ Affine.scale(10, -8), 40, 50
    ),
    "feet": pw.Grid("EPSG:2264", (30, 0, 1_500_000, 0, -30, 600_000), 40, 50),
    "degrees": pw.Grid("EPSG:4326", (1 / 3600, 0, 11.0 - 1 / 7200, 0, -1 / 3600, 61.0), 40, 50),
}
LINE = shapely.LineString([(330_050, 5_821_900), (330_210, 5_822_100), (330_700, 5_821_600)])
HOLLOW = shapely.Point(330_350, 5_821_800).buffer(90).difference(shapely.Point(330_350, 5_821_800).buffer(60))
FEATURES = gpd.GeoDataFrame(
    {"kind": ["road", "lake", "well", "well", None]},
    geometry=[LINE, HOLLOW, shapely.Point(330_005, 5_822_035), shapely.MultiPoint([(330_300, 5_821_700), (0, 0)]), None],
    crs="EPSG:32633",
)
BESIDE = FEATURES.iloc[:3]


def on(grid: pw.Grid, values: np.ndarray | None = None) -> pw.Raster:
    return pw.Raster(np.zeros((1, *grid.shape), "float32") if values is None else values, grid, ("B02",))


def of(operator: Operator, grid: pw.Grid) -> np.ndarray:
    return operator.set_params(append=False)(on(grid)).values


@pytest.mark.parametrize("shape", ["square", "hexagon"])
@pytest.mark.parametrize("name", GRIDS)
def test_blocks_are_those_of_the_splitter(name: str, shape: str) -> None:
    grid = GRIDS[name]
    size, offset = (400, (30, -20)) if name == "degrees" else (130, (30, -20))
    block = of(pw.spatial.BlockID(size, shape=shape, offset=offset), grid).ravel()
    X = pw.PixelTable.from_values(np.zeros((grid.size, 1)), [grid], pixel=np.arange(grid.size))
    ids = pw.SpatialBlockGroupKFold(block_size=size, shape=shape, offset=offset).block_ids(X)
    pairs = {(a, b) for a, b in zip(block, ids, strict=True)}
    assert len(pairs) == len(set(block)) == len(set(ids)) > 4


def test_block_numbers_are_whole_exact_and_stay_when_the_chip_does_not() -> None:
    near = of(pw.spatial.BlockID(10_000), GRIDS["UTM"])
    assert near.dtype == np.float64
    assert np.array_equal(near, near.astype("float32").astype("int64"))
    fine = of(pw.spatial.BlockID(10), GRIDS["UTM"])
    assert len(np.unique(fine)) == fine.size
    assert np.array_equal(fine, np.rint(fine))
    window = on(GRIDS["UTM"].window(7, 9, 5, 5))
    assert np.array_equal(pw.spatial.BlockID(10, append=False)(window).values, fine[:, 7:12, 9:14])
    beyond = on(GRIDS["UTM"].window(-7, -9, 20, 20))
    assert np.array_equal(pw.spatial.BlockID(10, append=False)(beyond).values[:, 7:, 9:], fine[:, :13, :11])


def test_blocks_too_small_to_be_told_apart_are_refused() -> None:
    with pytest.raises(FoldError, match="more than 33554432 cannot be told apart: make blocks larger"):
        pw.spatial.BlockID(0.1)(on(GRIDS["UTM"]))


def test_rasters_of_two_crss_share_blocks_of_a_third() -> None:
    west = pw.Grid("EPSG:32632", (10, 0, 739_000, 0, -10, 5_824_000), 60, 60)
    xy = gpd.GeoSeries(shapely.points(west.pixel_xy(np.arange(west.size))), crs=west.crs).to_crs(32633)
    east = pw.Grid("EPSG:32633", (10, 0, xy.x.min() // 10 * 10, 0, -10, xy.y.max() // 10 * 10), 80, 80)
    blocks = pw.spatial.BlockID(200, crs="EPSG:3035", append=False)
    there = east.pixels_at(np.column_stack([xy.x, xy.y]))
    same = blocks(on(east)).values.ravel()[there[there >= 0]] == blocks(on(west)).values.ravel()[there >= 0]
    assert same.mean() > 0.9


@pytest.mark.parametrize("name", ["UTM", "south-up", "rotated", "degrees"])
def test_coordinates_are_those_of_the_grid(name: str) -> None:
    grid = GRIDS[name]
    x, y = of(pw.spatial.Coordinates(), grid)
    np.testing.assert_allclose(np.column_stack([x.ravel(), y.ravel()]), grid.pixel_xy(np.arange(grid.size)), rtol=1e-9)
    if name == "UTM":
        assert np.array_equal(np.column_stack([x.ravel(), y.ravel()]), grid.pixel_xy(np.arange(grid.size)))


def test_coordinates_are_metres_or_degrees() -> None:
    feet = GRIDS["feet"]
    np.testing.assert_allclose(of(pw.spatial.Coordinates(), feet)[0, 0, 0], 1_500_015 * 1200 / 3937)
    lonlat = pw.spatial.Coordinates(crs=4326)(on(feet))
    assert lonlat.names == ("B02", "lon", "lat")
    assert lonlat.values.dtype == np.float64
    expected = gpd.GeoSeries(shapely.points(feet.pixel_xy([0, 1])), crs=feet.crs).to_crs(4326)
    np.testing.assert_allclose(lonlat.values[1:, 0, 0], [expected.x[0], expected.y[0]], rtol=1e-9)


@pytest.mark.parametrize("name", ["UTM", "south-up", "rotated", "feet"])
@pytest.mark.parametrize("limit", [None, 120.0])
def test_distances_on_a_plane_are_those_of_shapely(name: str, limit: float | None) -> None:
    grid = GRIDS[name]
    features = (
        BESIDE
        if name != "feet"
        else BESIDE.set_crs(None, allow_override=True).translate(1_170_000, -5_222_040).set_crs("EPSG:2264")
    )
    found = of(pw.spatial.DistanceTo(features, max_distance=limit), grid)[0]
    unit = 1200 / 3937 if name == "feet" else 1
    points = shapely.points(grid.pixel_xy(np.arange(grid.size)))
    expected = shapely.distance(points, features.union_all()).reshape(grid.shape) * unit
    # Places of pixels on odd grids are told to a 65,536th of a pixel.
    np.testing.assert_allclose(found, np.minimum(expected, np.inf if limit is None else limit), rtol=1e-6, atol=2e-4)
    assert found.dtype == np.float32
    assert name == "south-up" or (found == 0).any()


def test_distances_in_double_precision_are_exact() -> None:
    grid = GRIDS["UTM"]
    found = pw.spatial.DistanceTo(FEATURES, append=False)(on(grid, np.zeros((1, *grid.shape)))).values[0]
    points = shapely.points(grid.pixel_xy(np.arange(grid.size)))
    np.testing.assert_allclose(found.ravel(), shapely.distance(points, FEATURES.union_all()), rtol=1e-9, atol=1e-7)
    assert found[0, 0] == 0


def test_many_edges_and_polygons_with_holes_are_measured_exactly() -> None:
    grid = pw.Grid("EPSG:32633", (10, 0, 0, 0, -10, 6000), 300, 300)
    rings = [shapely.Point(*RANDOM.uniform(0, 6000, 2)).buffer(RANDOM.uniform(50, 400), 64) for _ in range(12)]
    shapes = [a.difference(b) for a, b in zip(rings, rings[1:] + rings[:1], strict=True)]
    shapes.append(shapely.LineString(np.cumsum(RANDOM.normal(0, 40, (400, 2)), axis=0) + 2500))
    shapes.append(shapely.GeometryCollection([shapely.Point(5, 5), shapely.MultiPoint([(50, 5500), (5900, 100)])]))
    found = of(pw.spatial.DistanceTo(gpd.GeoSeries(shapes, crs=32633)), grid)[0].ravel()
    at = RANDOM.integers(0, grid.size, 4000)
    expected = shapely.distance(shapely.points(grid.pixel_xy(at)), shapely.union_all(shapes))
    np.testing.assert_allclose(found[at], expected, rtol=1e-6, atol=1e-4)


def on_sphere(lon: np.ndarray, lat: np.ndarray, lon2: np.ndarray, lat2: np.ndarray) -> np.ndarray:
    """Return distances on the sphere by the haversine formula."""
    lon, lat, lon2, lat2 = map(np.radians, (lon, lat, lon2, lat2))
    half = np.sin((lat2 - lat) / 2) ** 2 + np.cos(lat) * np.cos(lat2) * np.sin((lon2 - lon) / 2) ** 2
    return 2 * EARTH_RADIUS * np.arcsin(np.sqrt(half))


def test_distances_in_degrees_are_great_circles() -> None:
    grid = pw.Grid("EPSG:4326", (0.05, 0, 10, 0, -0.05, 62), 30, 40)
    line = shapely.LineString([(10.3, 61.7), (11.2, 60.9), (12.5, 61.4)])
    found = of(pw.spatial.DistanceTo(gpd.GeoSeries([line], crs=4326)), grid)[0].ravel()
    lon, lat = grid.pixel_xy(np.arange(grid.size)).T
    dense = shapely.get_coordinates(shapely.segmentize(line, 2e-4))
    expected = np.min([on_sphere(lon, lat, *place) for place in dense], axis=0)
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=15)
    far = of(pw.spatial.DistanceTo(gpd.GeoSeries([shapely.Point(-170, 60)], crs=4326), max_distance=5e6), grid)[0]
    np.testing.assert_allclose(far, np.minimum(on_sphere(lon, lat, -170, 60), 5e6).reshape(grid.shape), rtol=1e-6)
    assert (far == np.float32(5e6)).all()


def test_longitudes_from_0_to_360_are_in_their_polygons() -> None:
    grid = pw.Grid("EPSG:4326", (1, 0, 340, 0, -1, 10), 10, 10)
    found = of(pw.spatial.DistanceTo(gpd.GeoSeries([shapely.box(-16, 3, -13, 7)], crs=4326)), grid)[0]
    assert np.argwhere(found == 0).min(axis=0).tolist() == [3, 4]
    assert (found == 0).sum() == 12


def test_each_kind_makes_a_band() -> None:
    raster = pw.spatial.DistanceTo(FEATURES, column="kind", name="to")(on(GRIDS["UTM"]))
    assert raster.names == ("B02", "to_lake", "to_road", "to_well")
    lake = of(pw.spatial.DistanceTo(FEATURES[FEATURES.kind == "lake"]), GRIDS["UTM"])
    assert np.array_equal(raster.values[1:2], lake)
    assert np.array_equal(of(pw.spatial.DistanceTo(FEATURES), GRIDS["UTM"])[0], raster.values[1:].min(axis=0))


def test_features_are_read_and_brought_to_the_crs(tmp_path: Path) -> None:
    path = tmp_path / "features.gpkg"
    BESIDE.to_crs(4326).to_file(path)
    found = of(pw.spatial.DistanceTo(path), GRIDS["UTM"])
    np.testing.assert_allclose(found, of(pw.spatial.DistanceTo(BESIDE), GRIDS["UTM"]), atol=1e-3)


def test_other_features_are_noticed() -> None:
    operator = pw.spatial.DistanceTo(FEATURES, append=False)
    first = operator(on(GRIDS["UTM"])).values
    second = operator.set_params(features=FEATURES[:1])(on(GRIDS["UTM"])).values
    assert (second > first).any()
    again = pickle.loads(pickle.dumps(clone(operator)))
    assert np.array_equal(again(on(GRIDS["UTM"])).values, second)


OPERATORS: list[Operator] = [
    pw.spatial.BlockID(37),
    pw.spatial.BlockID(41, shape="hexagon"),
    pw.spatial.Coordinates(),
    pw.spatial.Coordinates(crs="EPSG:3857"),
    pw.spatial.DistanceTo(FEATURES, max_distance=20_000_000),
]


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: type(operator).__name__)
@pytest.mark.parametrize("name", GRIDS)
@settings(max_examples=8)
@given(data=st.data())
def test_a_chip_is_the_scene(operator: Operator, name: str, data: st.DataObject) -> None:
    grid = GRIDS[name]
    row, col = data.draw(st.integers(0, 39)), data.draw(st.integers(0, 49))
    height, width = data.draw(st.integers(1, 40 - row)), data.draw(st.integers(1, 50 - col))
    chip = operator(on(grid.window(row, col, height, width), np.zeros((1, height, width)))).values
    whole = operator(on(grid, np.zeros((1, *grid.shape)))).values[:, row : row + height, col : col + width]
    assert chip.tobytes() == whole.tobytes()


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: type(operator).__name__)
def test_a_table_and_a_lazy_raster_give_what_the_raster_gives(
    operator: Operator, scene: Path, polygons: Path, raster: xr.DataArray
) -> None:
    X, _ = pw.extract_pixels(scene, polygons, column="class")
    for append in (True, False):
        operator = clone(operator).set_params(append=append)
        table, whole = operator.fit_transform(X), operator(raster)
        assert np.array_equal(np.asarray(table), pw.ToPixelMajor()(whole)[X.pixel])
        assert table.feature_names == tuple(whole.band.values)
        assert operator.get_feature_names_out().tolist() == list(table.feature_names)
        assert np.asarray(table).dtype == whole.dtype
        lazy = operator(raster.chunk({"y": 16, "x": 33}))
        assert lazy.chunks is not None
        xr.testing.assert_equal(lazy.compute(), whole)


def test_blocks_of_a_table_are_groups(scene: Path, polygons: Path) -> None:
    X, y = pw.extract_pixels(scene, polygons, column="class")
    block = np.asarray(pw.spatial.BlockID(150, append=False).fit_transform(X))[:, 0]
    own, given_ = pw.SpatialBlockGroupKFold(3, block_size=150), pw.SpatialBlockGroupKFold(3)
    same = zip(own.split(X, y), given_.split(X, y, groups=block), strict=True)
    assert len(np.unique(block)) == len(np.unique(own.block_ids(X)))
    assert all(len(a[1]) == len(b[1]) for a, b in same)


def test_dates_all_get_the_same_places() -> None:
    cube = pw.Raster(np.zeros((2, 3, 40, 50)), GRIDS["UTM"], ("a", "b"), times=(1, 2, 3))
    found = pw.spatial.Coordinates()(cube)
    assert (found.values.shape, found.times) == ((4, 3, 40, 50), (1, 2, 3))
    assert np.array_equal(found.values[2, 0], found.values[2, 2])


def test_without_a_crs_units_are_metres() -> None:
    array = np.zeros((1, 2, 300), "uint8")
    assert np.unique(pw.spatial.BlockID(100, append=False)(array)).tolist() == [0, 6, 20]
    assert pw.spatial.Coordinates()(array)[1, 0, :2].tolist() == [0.5, 1.5]
    well = gpd.GeoSeries([shapely.Point(0.5, 0.5)])
    assert pw.spatial.DistanceTo(well)(array)[1, 0, :3].tolist() == [0, 1, 2]


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: type(operator).__name__)
def test_rows_without_places_are_refused(operator: Operator) -> None:
    with pytest.raises(GridError, match="needs places, and an array of rows has none"):
        operator.fit_transform(pd.DataFrame({"B02": [1.0, 2.0]}))
    assert len(operator.get_feature_names_out(["B02"])) > 1
    fitted = clone(operator).fit(np.zeros((3, 2)))
    assert fitted.get_feature_names_out()[:2].tolist() == ["band_1", "band_2"]


@pytest.mark.parametrize(
    ("operator", "error", "message"),
    [
        (pw.spatial.BlockID(0), FoldError, "block_size_m=0: give the side of a block in metres"),
        (pw.spatial.BlockID("10 km"), FoldError, "block_size_m='10 km'"),
        (pw.spatial.BlockID(10, shape="round"), FoldError, "choose 'square' or 'hexagon'"),
        (pw.spatial.Coordinates(crs="nowhere"), CRSError, "'nowhere' names no CRS"),
        (pw.spatial.DistanceTo(FEATURES, max_distance=0), LabelError, "max_distance=0: give metres"),
        (pw.spatial.DistanceTo(FEATURES, "colour"), LabelError, "no column 'colour': choose one of kind"),
        (pw.spatial.DistanceTo(FEATURES.geometry, "colour"), LabelError, "choose one of none"),
        (pw.spatial.DistanceTo(FEATURES[:0]), LabelError, "there are no features"),
        (pw.spatial.DistanceTo([1, 2]), LabelError, "list have no geometry"),
        (pw.spatial.DistanceTo("nowhere.gpkg"), LabelError, "nowhere.gpkg cannot be read as a vector file"),
        (pw.spatial.DistanceTo(gpd.GeoSeries([LINE])), CRSError, "has CRS EPSG:32633 and the features have CRS none"),
    ],
)
def test_what_cannot_be_is_told(operator: Operator, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        operator(on(GRIDS["UTM"]))


def test_features_beyond_the_crs_are_told() -> None:
    pole = gpd.GeoSeries([shapely.Point(0, 95)], crs=4326)
    with pytest.raises(LabelError, match="no feature lies where the raster's CRS has coordinates"):
        pw.spatial.DistanceTo(pole)(on(pw.Grid("EPSG:3395", (10, 0, 0, 0, -10, 0), 2, 2)))


def test_missing_data_of_the_bands_before_stays_missing() -> None:
    stored = pw.Raster(np.array([[[1, 0], [3, 4]]], "uint8"), pw.Grid("EPSG:32633", (10, 0, 0, 0, -10, 0), 2, 2), nodata=(0,))
    for operator in (pw.spatial.Coordinates(), pw.spatial.DistanceTo(FEATURES)):
        found = operator(stored)
        assert np.array_equal(found.values[0], [[1, np.nan], [3, 4]], equal_nan=True)
        assert np.isnan(found.nodata).all()
    assert stored.values[0, 0, 1] == 0
