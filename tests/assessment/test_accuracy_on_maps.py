"""estimate_accuracy with a map and reference points, as files and as objects."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import xarray as xr

import pixelwise as pw
from pixelwise.assessment.census import MapReader, count_classes
from pixelwise.errors import BandError, CRSError, LabelError, PixelwiseWarning, RasterReadError

TRANSFORM = rasterio.Affine(10, 0, 330_000, 0, -10, 5_822_000)
CODES = np.where(np.arange(40) < 10, 1, 2) * np.ones((30, 1), "uint8")
ATTRS = {"flag_values": [1, 2, 3], "flag_meanings": "forest open_water road", "class_names": ["forest", "open water", "road"]}


@pytest.fixture
def mapped() -> pw.Raster:
    """30 x 40 pixels of 10 m: forest in the west (3 ha), open water in the east (9 ha); one pixel is nodata."""
    codes = CODES.copy()
    codes[29, 39] = 255
    return pw.Raster(codes, pw.Grid("EPSG:32633", TRANSFORM, 30, 40), nodata=(255,), attrs=ATTRS)


@pytest.fixture
def map_file(mapped: pw.Raster, tmp_path: Path) -> Path:
    return pw.write_raster(mapped, tmp_path / "map.tif")


def points_at(rows, cols, crs: object = 32633, **columns) -> gpd.GeoDataFrame:
    x, y = pw.Grid(32633, TRANSFORM, 30, 40).xy(rows, cols).T
    return gpd.GeoDataFrame(columns, geometry=gpd.points_from_xy(x, y), crs=crs)


@pytest.fixture
def points() -> gpd.GeoDataFrame:
    """Ten points in the forest, of which two are water, and ten in the water, of which one is forest."""
    seen = ["forest"] * 8 + ["open water"] * 11 + ["forest"]
    return points_at(range(20), [3] * 10 + [30] * 10, seen=seen, region=["north"] * 12 + ["south"] * 8)


def test_the_strata_are_the_classes_of_the_map_with_its_own_hectares(map_file: Path, points) -> None:
    made = pw.estimate_accuracy(map_file, points, column="seen")
    assert made.classes.tolist() == ["forest", "open water"]
    assert made.matrix.tolist() == [[8, 2], [1, 9]]
    assert made.map_areas == pytest.approx([3, 8.99])
    assert (made.unit, made.method) == ("ha", "Olofsson 2014")
    by_hand = pw.estimate_accuracy(matrix=[[8, 2], [1, 9]], areas=[3, 8.99])
    assert made.areas.estimate == pytest.approx(by_hand.areas.estimate)
    assert made.overall.se == pytest.approx(by_hand.overall.se)


def test_a_file_an_open_file_and_every_carrier_give_the_same(map_file: Path, mapped, points, tmp_path: Path) -> None:
    points.to_file(tmp_path / "points.gpkg")
    first = repr(pw.estimate_accuracy(str(map_file), tmp_path / "points.gpkg", column="seen"))
    array = pw.open_raster(map_file)
    with rasterio.open(map_file) as opened:
        assert repr(pw.estimate_accuracy(opened, points, column="seen")) == first
    for carrier in (
        mapped,
        array,
        array[0],
        array.chunk({"x": 16, "y": 16}),
        xr.Dataset({"map": array[0].assign_attrs(ATTRS)}),
    ):
        assert repr(pw.estimate_accuracy(carrier, points, column="seen")) == first


def test_points_in_another_crs_are_reprojected(map_file: Path, points) -> None:
    made = pw.estimate_accuracy(map_file, points.to_crs(4326), column="seen")
    assert made.matrix.tolist() == [[8, 2], [1, 9]]


def test_reference_labels_may_be_codes(map_file: Path, points) -> None:
    codes = points["seen"].map({"forest": 1, "open water": 2})
    for column in (codes, codes.astype(float), codes.astype(str)):
        made = pw.estimate_accuracy(map_file, points.assign(seen=column), column="seen")
        assert made.classes.tolist() == ["forest", "open water"]
        assert made.matrix.tolist() == [[8, 2], [1, 9]]


def test_names_with_blanks_are_found_where_only_flag_meanings_are_known(mapped, points) -> None:
    attrs = {key: value for key, value in ATTRS.items() if key != "class_names"}
    made = pw.estimate_accuracy(mapped.with_values(mapped.values, attrs=attrs), points, column="seen")
    assert made.classes.tolist() == ["forest", "open_water"]
    assert made.matrix.tolist() == [[8, 2], [1, 9]]


def test_a_map_without_names_is_matched_by_code(mapped, points) -> None:
    plain = mapped.with_values(mapped.values, attrs={})
    made = pw.estimate_accuracy(plain, points.assign(seen=points["seen"].map({"forest": 1, "open water": 2})), column="seen")
    assert made.classes.tolist() == [1, 2]
    with pytest.raises(
        LabelError, match=r"the map does not name its classes .flag_values, flag_meanings., so give their codes"
    ):
        pw.estimate_accuracy(plain, points, column="seen")


def test_a_class_of_the_legend_that_is_nowhere_in_the_map_is_omitted_by_it(map_file: Path, points) -> None:
    points.loc[0, "seen"] = "road"
    made = pw.estimate_accuracy(map_file, points, column="seen")
    assert made.classes.tolist() == ["forest", "open water", "road"]
    assert made.areas["road"].estimate == pytest.approx(0.3)


def test_a_class_that_no_point_of_the_strata_fell_on_is_still_one_of_the_map(mapped, points) -> None:
    codes = points["seen"].map({"forest": 1, "open water": 2}).where(points.index > 0, 3)
    values = mapped.values.copy()
    values[25, :5] = 3
    sizes = {"north": 480, "south": 719}
    for attrs in ({}, ATTRS):
        made = pw.estimate_accuracy(
            mapped.with_values(values, attrs=attrs),
            points.assign(seen=codes),
            column="seen",
            strata="region",
            strata_sizes=sizes,
        )
        assert made.matrix.tolist() == [[7, 2, 1], [1, 9, 0], [0, 0, 0]]


def test_two_classes_of_one_name_are_an_error(mapped, points) -> None:
    twice = mapped.with_values(mapped.values, attrs={"flag_values": [1, 2], "flag_meanings": "forest forest"})
    with pytest.raises(LabelError, match="the map calls two of its classes 'forest': give each a name of its own"):
        pw.estimate_accuracy(twice, points, column="seen")


def test_a_misspelt_class_is_told(map_file: Path, points) -> None:
    points.loc[0, "seen"] = "forst"
    with pytest.warns(PixelwiseWarning, match="reference labels 'forst' are no classes of the map .'forest', 'open water'."):
        made = pw.estimate_accuracy(map_file, points, column="seen")
    assert made.matrix.sum() == 20


def test_strata_may_be_a_column_with_given_sizes(map_file: Path, points) -> None:
    made = pw.estimate_accuracy(map_file, points, column="seen", strata="region", strata_sizes={"north": 480, "south": 719})
    by_hand = pw.estimate_accuracy(
        ["forest"] * 10 + ["water"] * 10,
        points["seen"].str.replace("open ", "").to_numpy(),
        strata=points["region"],
        strata_sizes={"north": 480, "south": 719},
        pixel_area=0.01,
    )
    assert made.method == "Stehman 2014"
    assert made.overall == by_hand.overall
    assert made.areas.se == pytest.approx(by_hand.areas.se)
    assert made.areas.estimate.sum() == pytest.approx(11.99)


def test_sizes_of_strata_may_stand_beside_them(map_file: Path, points) -> None:
    pixels = points["region"].map({"north": 480, "south": 719})
    made = pw.estimate_accuracy(map_file, points.assign(region_pixels=pixels), column="seen", strata="region")
    assert made.strata["size"].tolist() == [480, 719]
    with pytest.raises(LabelError, match="the pixels of strata in column 'region' are not known: give strata_sizes="):
        pw.estimate_accuracy(map_file, points, column="seen", strata="region")
    wrong = points.assign(region_pixels=range(20))
    with pytest.raises(LabelError, match="column 'region_pixels' has no single number for stratum 'north'"):
        pw.estimate_accuracy(map_file, wrong, column="seen", strata="region")


def test_a_stratum_without_points_is_an_error(map_file: Path, points) -> None:
    with pytest.raises(LabelError, match=r"no sample lies in 1 of 3 strata .'east'"):
        pw.estimate_accuracy(
            map_file, points, column="seen", strata="region", strata_sizes={"north": 1e3, "south": 1e3, "east": 1e3}
        )


def test_points_outside_and_on_nodata_are_an_error_or_counted(map_file: Path, points) -> None:
    more = points_at([29, 90, 5], [39, 3, 3], seen=["forest"] * 3)
    both = gpd.GeoDataFrame(gpd.pd.concat([points, more], ignore_index=True))
    with pytest.raises(
        LabelError, match=r"2 of 23 points lie outside the map or on its nodata \(rows 20, 21\): .*outside='drop'"
    ):
        pw.estimate_accuracy(map_file, both, column="seen")
    with pytest.warns(PixelwiseWarning, match="2 of 23 points .* were left out") as caught:
        made = pw.estimate_accuracy(map_file, both, column="seen", outside="drop")
    assert caught[0].filename == __file__
    assert (made.dropped, made.n) == (2, 21)
    assert "left out: 2 points" in str(made)


def test_points_that_all_lie_elsewhere_are_a_matter_of_crs(map_file: Path, points) -> None:
    with pytest.raises(LabelError, match=r"20 of 20 points lie outside .*: check that the CRS of the points is right"):
        pw.estimate_accuracy(map_file, points.set_crs(32635, allow_override=True), column="seen", outside="drop")


def test_a_crs_on_one_side_only_is_an_error(map_file: Path, mapped, points) -> None:
    with pytest.raises(CRSError, match="set the missing CRS"):
        pw.estimate_accuracy(map_file, points.set_crs(None, allow_override=True), column="seen")


def test_without_any_crs_areas_are_in_pixels(points) -> None:
    bare = pw.Raster(CODES, pw.Grid(None, TRANSFORM, 30, 40), attrs=ATTRS)
    loose = points.set_crs(None, allow_override=True)
    made = pw.estimate_accuracy(bare, loose, column="seen")
    assert (made.unit, made.map_areas.tolist()) == ("pixels", [300, 900])
    made = pw.estimate_accuracy(bare, loose, column="seen", strata="region", strata_sizes={"north": 480, "south": 720})
    assert made.unit == "pixels"


def test_a_two_dimensional_array_is_a_map_in_pixel_coordinates() -> None:
    points = gpd.GeoDataFrame({"seen": [1, 1, 2, 2]}, geometry=gpd.points_from_xy([1, 2, 20, 21], [1, 1, 1, 1]))
    assert pw.estimate_accuracy(CODES, points, column="seen").overall.estimate == 1


def test_areas_on_a_geographic_crs_are_geodesic() -> None:
    grid = pw.Grid(4326, rasterio.Affine(0.01, 0, 10, 0, -0.01, 60), 100, 100)
    codes = np.where(np.arange(100) < 50, 1, 2)[:, None] * np.ones((1, 100), "uint8")
    census = count_classes(pw.Raster(codes, grid))
    # A square degree from 59 to 60 degrees north, by the integral of the ellipsoid's parallels.
    a, e2 = 6_378_137.0, 0.00669437999014
    e, sine = np.sqrt(e2), np.sin(np.radians([59.0, 60.0]))
    q = (1 - e2) * (sine / (1 - e2 * sine**2) - np.log((1 - e * sine) / (1 + e * sine)) / (2 * e))
    assert census.hectares.sum() == pytest.approx(a**2 / 2 * np.radians(1) * np.diff(q)[0] / 1e4, rel=1e-6)
    assert census.hectares[0] < census.hectares[1]
    xy = grid.xy([10, 20, 70, 80], [5, 50, 5, 50])
    points = gpd.GeoDataFrame({"seen": [1, 2, 2, 2], "s": list("aabb")}, geometry=gpd.points_from_xy(*xy.T), crs=4326)
    made = pw.estimate_accuracy(pw.Raster(codes, grid), points, column="seen")
    assert made.map_areas == pytest.approx(census.hectares)
    made = pw.estimate_accuracy(pw.Raster(codes, grid), points, column="seen", strata="s", strata_sizes={"a": 5000, "b": 5000})
    assert made.unit == "pixels"


BAD = [
    ("nothing", "reference has no column 'nothing': choose one of seen, region"),
    (None, "column= is missing"),
]


@pytest.mark.parametrize(("column", "message"), BAD)
def test_a_column_that_is_not_there(map_file: Path, points, column, message: str) -> None:
    with pytest.raises(LabelError, match=message):
        pw.estimate_accuracy(map_file, points, column=column)


def test_points_without_a_label_are_an_error(map_file: Path, points) -> None:
    points.loc[[2, 5], "seen"] = None
    with pytest.raises(LabelError, match=r"labels in column 'seen' are missing for 2 of 20 samples .the first is number 2."):
        pw.estimate_accuracy(map_file, points, column="seen")


def test_polygons_are_no_sample(map_file: Path, polygons: Path, points) -> None:
    with pytest.raises(LabelError, match="features of type Polygon, and a sample is of points"):
        pw.estimate_accuracy(map_file, polygons, column="class")
    points.loc[0, "geometry"] = None
    with pytest.raises(LabelError, match="1 of 20 reference features have no geometry"):
        pw.estimate_accuracy(map_file, points, column="seen")
    with pytest.raises(LabelError, match="0 of 0 reference features"):
        pw.estimate_accuracy(map_file, points[:0], column="seen")


def test_files_that_are_none(map_file: Path, points, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="cannot be read as a vector file"):
        pw.estimate_accuracy(map_file, tmp_path / "nothing.gpkg", column="seen")
    with pytest.raises(RasterReadError, match="cannot be read"):
        pw.estimate_accuracy(tmp_path / "nothing.tif", points, column="seen")
    (tmp_path / "table.csv").write_text("seen\nforest\n", encoding="utf-8")
    with pytest.raises(LabelError, match="has no geometry: pass points"):
        pw.estimate_accuracy(map_file, tmp_path / "table.csv", column="seen")


def test_maps_that_are_none(scene: Path, points) -> None:
    with pytest.raises(BandError, match="the map has 4 bands: select the one with the classes first"):
        pw.estimate_accuracy(scene, points, column="seen")
    numbers = pw.Raster(np.full((30, 40), 0.5), pw.Grid(32633, TRANSFORM, 30, 40))
    with pytest.raises(LabelError, match=r"the map holds 0.5, which is no class code"):
        pw.estimate_accuracy(numbers, points, column="seen")
    with pytest.raises(LabelError, match="the map has no valid pixel"):
        count_classes(np.full((3, 3), np.nan))
    with pytest.raises(LabelError, match="more than 1000 different values"):
        count_classes(np.arange(1600, dtype="int32") * np.ones((2, 1), "int32"))
    with pytest.raises(BandError, match="the map has a time axis"), MapReader(np.zeros((1, 2, 3, 3), "uint8")) as opened:
        opened.read(next(opened.windows()))


def test_arguments_of_other_designs_do_not_go_with_a_map(map_file: Path, points) -> None:
    for wrong in ({"areas": {1: 2}}, {"population": 9}, {"classes": [1]}, {"pixel_area": 1}):
        with pytest.raises(LabelError, match="does not go with a map"):
            pw.estimate_accuracy(map_file, points, column="seen", **wrong)
    with pytest.raises(LabelError, match="strata= must name a column"):
        pw.estimate_accuracy(map_file, points, column="seen", strata=["a"] * 20)
    with pytest.raises(LabelError, match="strata_sizes= needs strata="):
        pw.estimate_accuracy(map_file, points, column="seen", strata_sizes={"a": 1})
    with pytest.raises(ValueError, match="outside='keep' is not known"):
        pw.estimate_accuracy(map_file, points, column="seen", outside="keep")


def test_masked_pixels_and_negative_codes_are_counted_right() -> None:
    codes = np.ma.masked_array(np.array([[[-1, 5], [5, 300]]], "int16"), mask=[[[False, True], [False, False]]])
    census = count_classes(codes)
    assert (census.labels, census.pixels.tolist()) == ((-1, 5, 300), [1, 1, 1])
    assert count_classes(np.array([[1.0, np.nan]], "float32")).pixels.tolist() == [1]
    assert count_classes(np.array([[True, False]])).labels == (0, 1)
