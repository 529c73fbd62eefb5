from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio.features
import shapely
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import pixelwise as pw
from pixelwise.errors import (
    BandError,
    CRSError,
    LabelError,
    MissingDataError,
    MissingDataWarning,
    PixelwiseWarning,
    RasterReadError,
)
from pixelwise.raster.io import RasterFile
from pixelwise.table.extract import all_pixels
from pixelwise.table.reading import gather

LEFT, TOP = 330_000, 5_822_040


def frame(*boxes: tuple[float, float, float, float], labels: Any = None, crs: Any = 32633) -> gpd.GeoDataFrame:
    """Boxes in pixels (column, row, width, height) of the made-up scene."""
    shapes = [shapely.box(LEFT + 10 * c, TOP - 10 * (r + h), LEFT + 10 * (c + w), TOP - 10 * r) for c, r, w, h in boxes]
    return gpd.GeoDataFrame({"class": labels if labels is not None else list(range(len(boxes)))}, geometry=shapes, crs=crs)


def test_every_pixel_under_a_polygon_comes_with_its_label_and_polygon(scene: Path, polygons: Path) -> None:
    X, y = pw.extract_pixels(scene, polygons, column="class")
    with rasterio.open(scene) as file:
        shapes = [(shape, number + 1) for number, shape in enumerate(gpd.read_file(polygons).geometry)]
        burned = rasterio.features.rasterize(shapes, file.shape, transform=file.transform)
        values = file.read()
    rows, cols = np.nonzero(burned)
    assert np.array_equal(X, values[:, rows, cols].T)
    assert np.array_equal(X.groups, burned[rows, cols] - 1)
    assert y.tolist() == [["forest", "forest", "water", "water"][g] for g in X.groups]
    assert y.dtype.kind == "U"


def test_real_polygons_in_another_crs_are_brought_to_the_scene(landsat: Path, landsat_polygons: Path) -> None:
    X, y = pw.extract_pixels(landsat, landsat_polygons, column="label")
    assert X.shape == (2121, 5)
    assert len(np.unique(X.groups)) == 32  # two lie where the scene has no data
    inside = gpd.read_file(landsat_polygons).to_crs(X.crs.to_wkt()).geometry
    points = gpd.GeoSeries(gpd.points_from_xy(*X.xy.T), crs=X.crs.to_wkt())
    assert all(inside.iloc[g].buffer(1e-6).contains(p) for g, p in list(zip(X.groups, points, strict=True))[::50])
    assert set(y.tolist()) == set(gpd.read_file(landsat_polygons)["label"])


def test_points_give_one_row_each_in_their_order(landsat: Path, landsat_points: Path) -> None:
    X, y = pw.extract_pixels(landsat, landsat_points, column="label")
    points = gpd.read_file(landsat_points)
    assert (np.diff(X.groups) > 0).all()
    assert y.tolist() == points["label"].iloc[X.groups].tolist()
    place = points.to_crs(X.crs.to_wkt()).geometry.iloc[X.groups]
    assert np.abs(X.xy - np.column_stack([place.x, place.y])).max() <= 28.5 / 2 + 1e-6


def test_a_label_raster_in_another_crs_is_warped(landsat: Path, landsat_labels: Path) -> None:
    X, y = pw.extract_pixels(landsat, landsat_labels)
    assert X.shape == (2704, 5)
    assert sorted(set(y.tolist())) == [1, 2, 3, 4, 5, 6, 7]
    assert set(X.groups.tolist()) == {0}


def test_a_coarser_label_raster_is_warped_with_nearest_neighbour(raster: xr.DataArray) -> None:
    labels = raster.sel(band="B02", drop=True)[::2, ::2].copy(data=np.arange(1200).reshape(30, 40).astype("int32"))
    X, y = pw.extract_pixels(raster, labels)
    centre = pw.unwrap(labels).grid.pixels_at(X.xy)
    assert np.array_equal(y, centre)


def test_labels_without_georeference_lie_on_the_pixels(raster: xr.DataArray) -> None:
    labels = np.zeros((60, 80), "uint8")
    labels[3, 4] = 9
    X, y = pw.extract_pixels(raster, labels, ignore_label=0)
    assert (X.pixel.tolist(), y.tolist()) == ([3 * 80 + 4], [9])
    with pytest.raises(CRSError, match="cannot be warped"):
        pw.extract_pixels(raster, labels[:5])


def test_a_mask_of_labels_hides_them(raster: xr.DataArray) -> None:
    labels = np.ma.masked_less(np.arange(4800).reshape(1, 60, 80), 4790)
    assert pw.extract_pixels(raster, labels)[1].tolist() == list(range(4790, 4800))


def test_a_lazy_label_raster_is_computed(raster: xr.DataArray) -> None:
    labels = raster.sel(band="B02", drop=True).chunk({"x": 30})
    assert np.array_equal(pw.extract_pixels(raster.chunk({"y": 7}), labels)[1], raster.values[0].ravel())


def test_many_rasters_are_numbered_in_groups(raster: xr.DataArray, scene: Path) -> None:
    labels = np.ones((60, 80), "uint8")
    X, y = pw.extract_pixels([raster, scene], [labels, labels])
    assert np.bincount(X.groups).tolist() == [4800, 4800]
    assert y.sum() == 9600


def test_one_file_of_polygons_serves_many_rasters(raster: xr.DataArray, polygons: Path) -> None:
    west, east = raster[..., :40], raster[..., 40:]
    X, _y = pw.extract_pixels([west, east], polygons, column="class")
    assert np.unique(X.groups).tolist() == [0, 1, 2, 3]
    assert np.array_equal(np.sort(X.xy, axis=0), np.sort(pw.extract_pixels(raster, polygons, column="class")[0].xy, axis=0))


def test_groups_of_several_files_do_not_mix(raster: xr.DataArray, polygons: Path) -> None:
    X, _ = pw.extract_pixels([raster, raster], [polygons, polygons], column="class")
    assert np.unique(X.groups).tolist() == list(range(8))


def test_bands_in_another_order_are_put_right(raster: xr.DataArray, polygons: Path) -> None:
    X, _ = pw.extract_pixels([raster, raster.isel(band=[3, 1, 2, 0])], polygons, column="class")
    assert np.array_equal(np.asarray(X)[:1200], np.asarray(X)[1200:])
    with pytest.raises(BandError, match="lacks band B08"):
        pw.extract_pixels([raster, raster.isel(band=[0, 1, 2])], polygons, column="class")


@pytest.mark.parametrize("metres", [-20, 20])
def test_a_buffer_is_metres_on_every_crs(raster: xr.DataArray, polygons: Path, metres: float) -> None:
    here = gpd.read_file(polygons)
    wanted = pw.extract_pixels(raster, here.set_geometry(here.buffer(metres)), column="class")[0]
    for labels in (here, here.to_crs(4326), here.to_crs(3857).to_crs(2264)):
        X, _ = pw.extract_pixels(raster, labels, column="class", buffer=metres)
        assert abs(len(X) - len(wanted)) <= 0.02 * len(wanted)


def test_a_buffer_that_leaves_nothing_is_an_error(raster: xr.DataArray, polygons: Path) -> None:
    with pytest.raises(LabelError, match="leaves no polygon: shrink them less"):
        pw.extract_pixels(raster, polygons, column="class", buffer=-500)


def test_points_with_a_buffer_are_discs(raster: xr.DataArray) -> None:
    points = gpd.GeoDataFrame({"class": [1]}, geometry=[shapely.Point(LEFT + 405, TOP - 305)], crs=32633)
    assert len(pw.extract_pixels(raster, points, column="class")[0]) == 1
    assert len(pw.extract_pixels(raster, points, column="class", buffer=30)[0]) == pytest.approx(28, abs=3)


def test_all_touched_takes_the_rim(raster: xr.DataArray) -> None:
    labels = frame((1.6, 1.6, 1.8, 1.8))
    assert len(pw.extract_pixels(raster, labels, "class")[0]) == 1
    assert len(pw.extract_pixels(raster, labels, "class", all_touched=True)[0]) == 9


def test_a_pixel_under_two_labels_is_left_out_and_counted(raster: xr.DataArray) -> None:
    with pytest.warns(PixelwiseWarning, match="4 of 28 labelled pixels lie under features with different labels"):
        _X, y = pw.extract_pixels(raster, frame((0, 0, 4, 4), (2, 2, 4, 4), labels=["a", "b"]), "class")
    assert np.unique(y, return_counts=True)[1].tolist() == [12, 12]


def test_a_pixel_under_two_polygons_of_one_label_counts_once(raster: xr.DataArray) -> None:
    X, _y = pw.extract_pixels(raster, frame((0, 0, 4, 4), (2, 2, 4, 4), labels=["a", "a"]), "class")
    assert len(X) == len(np.unique(X.pixel)) == 28
    assert np.bincount(X.groups).tolist() == [16, 12]


def test_polygons_larger_than_a_window_are_whole(write: Any) -> None:
    path = write(np.ones((1, 1500, 1100), "uint8"))
    X, _ = pw.extract_pixels(path, frame((1000, 1000, 100, 100), (5, 5, 2, 1400)), "class")
    assert np.bincount(X.groups).tolist() == [10000, 2800]


def test_labels_that_are_missing_or_ignored_are_dropped(raster: xr.DataArray) -> None:
    labels = frame((0, 0, 2, 2), (4, 0, 2, 2), (8, 0, 2, 2), labels=["a", None, "c"])
    assert pw.extract_pixels(raster, labels, "class", ignore_label="c")[1].tolist() == ["a"] * 4
    assert pw.extract_pixels(raster, labels, "class", ignore_label=["a", "x"])[1].tolist() == ["c"] * 4
    numbers = frame((0, 0, 2, 2), (4, 0, 2, 2), labels=[1.0, np.nan])
    assert pw.extract_pixels(raster, numbers, "class")[1].tolist() == [1.0] * 4


def test_labels_of_a_column_of_objects_are_numbers_where_they_can_be(raster: xr.DataArray) -> None:
    labels = frame((0, 0, 2, 2), (4, 0, 2, 2), (6, 0, 1, 1), labels=np.array([1, 2, None], dtype=object))
    assert pw.extract_pixels(raster, labels, "class")[1].dtype.kind in "if"
    mixed = frame((0, 0, 2, 2), (4, 0, 2, 2), labels=np.array([1, "b"], dtype=object))
    with pytest.raises(LabelError, match="mix text and numbers"):
        pw.extract_pixels(raster, mixed, "class")


def test_missing_labels_can_be_an_error(raster: xr.DataArray) -> None:
    points = gpd.GeoDataFrame(
        {"class": ["a", None]}, geometry=gpd.points_from_xy([LEFT + 5, LEFT + 15], [TOP - 5] * 2), crs=32633
    )
    with pytest.raises(LabelError, match="1 of 2 pixels have no label"):
        pw.extract_pixels(raster, points, "class", nan=pw.NanPolicy(on_label="raise"))


def test_empty_geometries_are_passed_over(raster: xr.DataArray) -> None:
    labels = frame((0, 0, 2, 2), (4, 0, 2, 2))
    labels.loc[0, "geometry"] = None
    assert pw.extract_pixels(raster, labels, "class")[0].groups.tolist() == [1] * 4


@pytest.mark.parametrize("labels", ["nowhere.gpkg", 3, None])
def test_labels_that_are_none_are_told_so(raster: xr.DataArray, labels: Any) -> None:
    with pytest.raises((LabelError, RasterReadError), match=r"cannot be read|are no raster"):
        pw.extract_pixels(raster, labels, column="class" if isinstance(labels, str) else None)


def test_a_vector_file_needs_its_column(raster: xr.DataArray, polygons: Path) -> None:
    with pytest.raises(LabelError, match="name their label column"):
        pw.extract_pixels(raster, polygons)
    with pytest.raises(LabelError, match="no column 'klass': choose one of class"):
        pw.extract_pixels(raster, polygons, column="klass")
    with pytest.raises(LabelError, match="no column None: choose one of class"):
        pw.extract_pixels(raster, gpd.read_file(polygons))


def test_a_table_without_geometry_is_refused(raster: xr.DataArray, tmp_path: Path) -> None:
    (tmp_path / "plain.csv").write_text("class,a\n1,2\n")
    with pytest.raises(LabelError, match="no geometry"):
        pw.extract_pixels(raster, tmp_path / "plain.csv", column="class")


def test_a_label_raster_has_one_band(raster: xr.DataArray) -> None:
    with pytest.raises(BandError, match="label raster has 4 bands"):
        pw.extract_pixels(raster, raster)


def test_as_many_label_sources_as_rasters(raster: xr.DataArray) -> None:
    with pytest.raises(LabelError, match="2 label sources for 1 rasters"):
        pw.extract_pixels(raster, [np.ones((60, 80)), np.ones((60, 80))])
    with pytest.raises(LabelError, match="text in one source and numbers in another"):
        pw.extract_pixels([raster, raster], [frame((0, 0, 2, 2)), frame((0, 0, 2, 2), labels=["a"])], "class")


def test_polygons_elsewhere_are_an_error(raster: xr.DataArray) -> None:
    with pytest.raises(LabelError, match="no labelled pixel lies on the raster"):
        pw.extract_pixels(raster, frame((5000, 0, 2, 2)), "class")


def test_one_crs_alone_is_an_error(raster: xr.DataArray, write: Any, values: np.ndarray) -> None:
    bare = write(values, crs=None)
    with pytest.raises(CRSError, match="labels have CRS EPSG:32633 and the raster has CRS none"):
        pw.extract_pixels(bare, frame((0, 0, 2, 2)), "class")
    assert len(pw.extract_pixels(bare, frame((0, 0, 2, 2), crs=None), "class")[0]) == 4


def test_pixels_that_lack_a_band_are_dropped_or_kept(write: Any, values: np.ndarray) -> None:
    holes = values.copy()
    holes[1, 0, :2] = 7
    path = write(holes, nodata=7)
    labels = frame((0, 0, 4, 1))
    assert len(pw.extract_pixels(path, labels, "class")[0]) == 2
    X, _ = pw.extract_pixels(path, labels, "class", nan="propagate")
    assert np.isnan(np.asarray(X)).sum(axis=0).tolist() == [0, 2, 0, 0]
    with pytest.raises(MissingDataError, match="2 of 4 labelled pixels lack data"):
        pw.extract_pixels(path, labels, "class", nan="raise")
    assert len(pw.extract_pixels(path, labels, "class", nan=pw.NanPolicy("propagate", max_missing=0.2))[0]) == 2


def test_a_wholly_nodata_band_is_reported_and_erases_nothing(write: Any, values: np.ndarray, polygons: Path) -> None:
    holes = values.astype("float32")
    holes[1] = -9999
    with pytest.warns(MissingDataWarning, match="band B03 has no valid pixel in the labelled pixels"):
        X, _ = pw.extract_pixels(write(holes, nodata=-9999), polygons, "class")
    assert X.shape == (1200, 4)
    assert np.isnan(np.asarray(X)[:, 1]).all()


def test_a_scene_that_is_lost_to_one_band_is_reported(raster: xr.DataArray, polygons: Path) -> None:
    holes = raster.astype("float32")
    holes[1] = np.nan
    with pytest.warns(
        MissingDataWarning, match="all 1200 labelled pixels of raster 1 were dropped, because they lack band B03"
    ):
        X, _ = pw.extract_pixels([raster, holes], [polygons, polygons], "class")
    assert set(X.scene.tolist()) == {0}


def test_no_data_at_all_is_an_error(raster: xr.DataArray, polygons: Path) -> None:
    with pytest.raises(MissingDataError, match="no labelled pixel has data in any band"):
        pw.extract_pixels(raster * np.nan, polygons, "class")
    checker = raster.astype("float32")
    checker[0, ::2], checker[1, 1::2] = np.nan, np.nan
    with pytest.raises(MissingDataError, match="every one of 1200 labelled pixels lacks data in some band"):
        pw.extract_pixels(checker, polygons, "class")


def test_an_undeclared_fill_is_spoken_of_and_a_sentinel_mends_it(write: Any, values: np.ndarray) -> None:
    holes = values.copy()
    holes[:, :, :2] = 0
    path, labels = write(holes), frame((0, 0, 4, 10))
    with pytest.warns(MissingDataWarning, match=r"50% of the pixels are 0 in every band"):
        pw.extract_pixels(path, labels, "class")
    assert len(pw.extract_pixels(path, labels, "class", nan=pw.NanPolicy("drop", sentinels=0))[0]) == 20


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 4799), min_size=1, max_size=60), st.sampled_from([(16, 16), (1, 80), (60, 80), (8, 80)]))
def test_pixels_are_gathered_from_any_blocks_in_any_order(pixels: list[int], block: tuple[int, int]) -> None:
    scene, _ = pw.datasets.make_example()
    with RasterFile(scene) as file:
        file.block_shape = block
        rows = gather(file, np.array(pixels), pw.NanPolicy())
        assert np.array_equal(rows, pw.ToPixelMajor()(scene)[pixels])


def test_only_blocks_with_labels_are_read(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(np.ones((1, 2048, 2048), "uint8"), tiled=True, blockxsize=256, blockysize=256)
    seen: list[Any] = []
    read = RasterFile.read
    monkeypatch.setattr(RasterFile, "read", lambda self, window=None: (seen.append(window), read(self, window))[1])
    pw.extract_pixels(path, frame((300, 300, 5, 5), (1000, 1000, 40, 10)), "class")
    assert sorted((w.row_off, w.col_off, w.height, w.width) for w in seen) == [
        (256, 256, 256, 256),
        (768, 768, 256, 256),
        (768, 1024, 256, 256),
    ]


def test_a_band_that_costs_most_pixels_by_itself_is_spoken_of(raster: xr.DataArray, polygons: Path) -> None:
    flags = xr.zeros_like(raster[:1]).assign_coords(band=["QA60"])
    flags[0, 10:14] = 1024
    cloudy = xr.concat([raster, flags], "band").rio.write_nodata(0)
    with pytest.warns(MissingDataWarning, match=r"of 1200 labelled pixels were dropped, as they lack band QA60 alone"):
        X, _ = pw.extract_pixels(cloudy, polygons, column="class")
    assert (np.asarray(X)[:, 4] == 1024).all()
    kept, _ = pw.extract_pixels(cloudy, polygons, column="class", nan="propagate")
    assert len(kept) == 1200


def test_every_pixel_of_a_raster_can_be_a_row(raster: xr.DataArray) -> None:
    X = all_pixels([raster, raster[:, :5]])
    assert X.shape == (4800 + 400, 4)
    assert np.bincount(X.groups).tolist() == [4800, 400]
    assert np.array_equal(np.asarray(X)[:4800], pw.ToPixelMajor()(raster))


@pytest.mark.parametrize(
    ("options", "counts"),
    [
        ({"max_per_class": 5}, [5, 5, 2]),
        ({"max_per_class": "smallest"}, [2, 2, 2]),
        ({"min_pixels": 3}, [36, 16]),
        ({"min_pixels": 20, "small_classes": "merge"}, [36, 18]),
        ({"min_pixels": 3, "max_per_class": 10}, [10, 10]),
    ],
)
def test_classes_are_thinned_dropped_and_merged(raster: xr.DataArray, options: dict[str, Any], counts: list[int]) -> None:
    labels = frame((0, 0, 6, 6), (10, 0, 4, 4), (20, 0, 1, 2), labels=["a", "b", "c"])
    X, y = pw.extract_pixels(raster, labels, "class", random_state=0, **options)
    assert np.unique(y, return_counts=True)[1].tolist() == counts
    assert len(X) == len(y)
    again = pw.extract_pixels(raster, labels, "class", random_state=0, **options)[0]
    assert np.array_equal(X.pixel, again.pixel)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_per_class": 0}, "give a number of pixels"),
        ({"max_per_class": "half"}, "give a number of pixels"),
        ({"small_classes": "hide"}, "choose 'drop' or 'merge'"),
        ({"min_pixels": 99}, "lower min_pixels"),
        ({"min_pixels": 99, "small_classes": "merge"}, "merged classes need one too"),
    ],
)
def test_bad_options_of_classes_are_refused(raster: xr.DataArray, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pw.extract_pixels(raster, frame((0, 0, 6, 6)), "class", **options)


def test_merged_numbers_need_a_number(raster: xr.DataArray) -> None:
    labels = frame((0, 0, 6, 6), (10, 0, 2, 2))
    y = pw.extract_pixels(raster, labels, "class", min_pixels=9, small_classes="merge", merge_label=99)[1]
    assert set(y.tolist()) == {0, 99}
