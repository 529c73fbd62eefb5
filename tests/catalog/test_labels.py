from __future__ import annotations

import os
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyproj
import pytest
import rasterio
import shapely
from rasterio.warp import calculate_default_transform
from sklearn.base import clone

import pixelwise as pw
from pixelwise.errors import BandError, CRSError, GridError, LabelError


def test_labels_of_a_chip_are_the_window_of_the_label_raster(catalog: pw.GeoCatalog) -> None:
    label = pw.ReadLabel(label_uri_field="label_uri", band="crop_class")
    for chip in pw.sampling.RandomSampler((40, 60), length=12, random_state=0)(catalog):
        codes = label(chip.load())
        with rasterio.open(chip.metadata["label_uri"]) as file:
            np.testing.assert_array_equal(codes[0], file.read(1, window=chip.window))
        assert (codes.dtype, codes.rio.nodata, codes.band.values.tolist()) == ("uint8", 0, ["crop_class"])
        assert not pw.unwrap(codes).grid.differs_from(chip.grid)


def test_labels_stand_in_a_sequential_before_blocks(catalog: pw.GeoCatalog) -> None:
    label = pw.Sequential([pw.ReadLabel(band="crop_class"), pw.spatial.BlockID(block_size_m=500)])
    chip = pw.sampling.GridSampler(64)(catalog)[3].load()
    both = clone(label)(chip)
    assert both.band.values.tolist() == ["crop_class", "block"]
    plain = pw.ReadLabel(band="crop_class")(chip)
    np.testing.assert_array_equal(both[0], plain[0].where(plain[0] != 0).astype(float))


def test_labels_are_read_of_every_carrier_that_has_metadata(catalog: pw.GeoCatalog) -> None:
    label, chip = pw.ReadLabel(), pw.sampling.GridSampler(64)(catalog)[0].load()
    expected = label(chip)
    raster = label(pw.unwrap(chip))
    np.testing.assert_array_equal(raster.values, expected)
    lazy = label(chip.chunk({"x": 32}))
    np.testing.assert_array_equal(lazy, expected)
    with pytest.raises(LabelError, match="scene of unknown name has no 'label_uri'"):
        label(chip.values)


def test_labels_in_another_crs_come_with_nearest_neighbour_the_same_in_chips_as_in_whole(
    catalog: pw.GeoCatalog,
) -> None:
    first = catalog[0]
    with rasterio.open(first.metadata["label_uri"]) as file:
        codes, source = file.read(1), file.transform
        transform, width, height = calculate_default_transform(file.crs, "EPSG:32632", file.width, file.height, *file.bounds)
    grid = pw.Grid("EPSG:32632", transform, height, width)
    rows, cols = np.mgrid[:height, :width] + 0.5
    to_source = pyproj.Transformer.from_crs("EPSG:32632", "EPSG:32633", always_xy=True)
    x, y = to_source.transform(transform.a * cols + transform.c, transform.e * rows + transform.f)
    row, col = np.floor((source.f - y) / 10).astype(int), np.floor((x - source.c) / 10).astype(int)
    inside = (row >= 0) & (row < 200) & (col >= 0) & (col < 240)
    expected = np.where(inside, codes[row.clip(0, 199), col.clip(0, 239)], 0)
    read = pw.ReadLabel().read
    whole = read(first.metadata, grid).values[0]
    # Places are told to a 65,536th of a pixel.
    assert (whole != expected).mean() < 1e-4
    for row, col in ((0, 0), (33, 71), (100, 150)):
        chip = read(first.metadata, grid.window(row, col, 60, 50)).values[0]
        np.testing.assert_array_equal(chip, whole[row : row + 60, col : col + 50])


def test_where_a_label_raster_ends_inside_a_scene_there_is_its_nodata(catalog: pw.GeoCatalog) -> None:
    neighbour = catalog[1].metadata["label_uri"]
    codes = pw.ReadLabel()(catalog.take([0]).assign(label_uri=neighbour)[0].load())
    with rasterio.open(neighbour) as file:
        np.testing.assert_array_equal(codes[0, :, 190:], file.read(1)[:, :50])
    assert (codes[0, :, :190] == 0).all()
    assert codes.dtype == "uint8"


def test_without_nodata_missing_labels_are_nan(tmp_path: Path, catalog: pw.GeoCatalog) -> None:
    with rasterio.open(catalog[1].metadata["label_uri"]) as file:
        values, profile = file.read(), file.profile
    with rasterio.open(tmp_path / "codes.tif", "w", **{**profile, "nodata": None}) as file:
        file.write(values)
    codes = pw.ReadLabel()(catalog.assign(label_uri=str(tmp_path / "codes.tif"))[0].load())
    assert codes.dtype == "float32"
    assert int(np.isnan(codes).sum()) == 200 * 190


def test_labels_elsewhere_are_an_error_that_names_the_scene(catalog: pw.GeoCatalog) -> None:
    wrong = catalog.assign(label_uri=catalog[5].metadata["label_uri"])
    with pytest.raises(LabelError, match=r"S2_f_20170302.tif lie outside of scene S2_a_20170211"):
        pw.ReadLabel()(wrong[0].load())


def test_a_chip_beside_the_labels_of_its_scene_is_no_error(catalog: pw.GeoCatalog) -> None:
    scene = catalog.take([0]).assign(label_uri=catalog[1].metadata["label_uri"])[0]
    chip = pw.sampling.GeoSlice(scene, rasterio.windows.Window(0, 0, 50, 50))
    assert (pw.ReadLabel()(chip.load()) == 0).all()


def test_scenes_without_labels_and_bands_that_are_not_there_are_errors(catalog: pw.GeoCatalog) -> None:
    chip = catalog[0].load()
    with pytest.raises(LabelError, match=r"scene S2_a_20170211 has no 'crops' in its metadata: .*label_uri"):
        pw.ReadLabel("crops")(chip)
    several = catalog.assign(label_uri=lambda scene: scene.uri)[0].load()
    with pytest.raises(BandError, match="have no band None: set band= to one of B02, B04, B08"):
        pw.ReadLabel()(several)
    np.testing.assert_array_equal(pw.ReadLabel(band="B08")(several)[0], chip[2])
    np.testing.assert_array_equal(pw.ReadLabel(band=-1)(several)[0], chip[2])
    with pytest.raises(GridError, match="needs a place"):
        pw.ReadLabel().transform(np.zeros((5, 3)))
    assert pw.ReadLabel(band="crop_class").get_feature_names_out().tolist() == ["crop_class"]


@pytest.fixture(scope="module")
def fields(catalog: pw.GeoCatalog, tmp_path_factory) -> Path:
    """Two fields in scene a, as a GeoPackage in degrees."""
    west, south, _, _ = catalog[0].grid.bounds
    boxes = [
        shapely.box(west + 100, south + 100, west + 500, south + 400),
        shapely.box(west + 1000, south + 1000, west + 1300, south + 1100),
    ]
    frame = gpd.GeoDataFrame(
        {"crop": ["wheat", "maize"], "code": [7, 9], "share": [0.5, 0.25]}, geometry=boxes, crs="EPSG:32633"
    )
    path = tmp_path_factory.mktemp("fields") / "fields.gpkg"
    frame.to_crs("EPSG:4326").to_file(path)
    return path


def test_polygons_become_codes_in_the_order_of_the_classes(catalog: pw.GeoCatalog, fields: Path) -> None:
    label = pw.ReadLabel(column="crop", classes=["maize", "wheat"], labels=fields)
    codes = label(catalog[0].load())
    assert [int((codes == code).sum()) for code in (0, 1)] == [300, 1200]
    assert (codes.dtype, codes.rio.nodata) == ("int16", -1)
    assert codes.attrs["class_names"] == ["maize", "wheat"]
    whole, _ = pw.extract_pixels(catalog[0].uri, fields, column="crop")
    np.testing.assert_array_equal(np.flatnonzero(codes[0] != -1), np.sort(whole.pixel))


def test_classes_that_are_not_named_are_not_labelled(catalog: pw.GeoCatalog, fields: Path) -> None:
    codes = pw.ReadLabel(column="crop", classes=["wheat"], labels=fields)(catalog[0].load())
    assert [int((codes == code).sum()) for code in (-1, 0)] == [200 * 240 - 1200, 1200]


def test_polygons_with_numbers_keep_them(catalog: pw.GeoCatalog, fields: Path) -> None:
    catalog = catalog.assign(label_uri=str(fields))
    codes, shares = (pw.ReadLabel(column=column)(catalog[0].load()) for column in ("code", "share"))
    assert sorted(np.unique(codes).tolist()) == [-(2**31), 7, 9]
    assert (codes.dtype, codes.rio.nodata) == ("int32", -(2**31))
    assert float(shares.sum()) == 0.5 * 1200 + 0.25 * 300
    with pytest.raises(LabelError, match=r"labels in column 'crop' are text, such as '\w+': give classes"):
        pw.ReadLabel(column="crop")(catalog[0].load())
    with pytest.raises(LabelError, match="cannot be read as a vector file"):
        pw.ReadLabel(column="crop", labels="/nowhere/fields.gpkg")(catalog[0].load())


def test_polygons_elsewhere_are_an_error_that_names_the_scene_and_empty_chips_are_none(
    catalog: pw.GeoCatalog, fields: Path
) -> None:
    label = pw.ReadLabel(column="code", labels=fields)
    with pytest.raises(LabelError, match=r"fields.gpkg lie outside of scene S2_f_20170302"):
        label(catalog[5].load())
    with pytest.raises(LabelError, match="of a GeoDataFrame lie outside of scene S2_f_20170302"):
        pw.ReadLabel(column="code", labels=gpd.read_file(fields))(catalog[5].load())
    chip = pw.sampling.GridSampler(40)(catalog)[0].load()
    assert (label(chip) == -(2**31)).all()


def test_polygons_without_a_crs_name_the_scene(catalog: pw.GeoCatalog, fields: Path) -> None:
    nowhere = gpd.read_file(fields).set_crs(None, allow_override=True)
    with pytest.raises(CRSError, match="scene S2_a_20170211: labels have CRS none"):
        pw.ReadLabel(column="code", labels=nowhere)(catalog[0].load())


def test_classes_take_turns_in_a_stratified_draw(catalog: pw.GeoCatalog) -> None:
    label = pw.ReadLabel()
    chips = pw.sampling.StratifiedSampler((15, 21), length=60, label=label, random_state=0)(catalog)
    assert (chips.windows[:, 2:] == (15, 21)).all()
    for number, chip in enumerate(chips):
        assert 1 + number % 2 in label(chip.load()).values
    again = pw.sampling.StratifiedSampler((15, 21), length=60, label=label, random_state=0)(catalog)
    np.testing.assert_array_equal(again.windows, chips.windows)


def test_a_stratified_draw_takes_each_pixel_of_a_class_as_often(catalog: pw.GeoCatalog) -> None:
    label = pw.ReadLabel()
    counts = np.array([int((label(scene.load()) == 1).sum()) for scene in catalog])
    chips = pw.sampling.StratifiedSampler(1, length=3000, label=label, classes=[1], random_state=0)(catalog)
    found = np.bincount(chips.scene, minlength=len(catalog))
    assert all(label(chip.load()).values.item() == 1 for chip in chips[:50])
    np.testing.assert_allclose(found / 3000, counts / counts.sum(), atol=0.03)


def test_a_class_that_does_not_occur_cannot_be_drawn(catalog: pw.GeoCatalog) -> None:
    with pytest.raises(LabelError, match=r"no pixel of the catalog has class 9: the labels that occur are \[1.0, 2.0\]"):
        pw.sampling.StratifiedSampler(8, 4, pw.ReadLabel(), classes=[1, 9])(catalog)
    with pytest.raises(TypeError, match="label='label_uri' reads no labels: give a ReadLabel"):
        pw.sampling.StratifiedSampler(8, 4, "label_uri")(catalog)


def test_points_stand_in_the_middle_of_their_chips(catalog: pw.GeoCatalog) -> None:
    scene = catalog[5]
    xy = scene.grid.xy([50, 2, 97], [40, 3, 98])
    points = gpd.GeoSeries(gpd.points_from_xy(*xy.T), crs="EPSG:32633").to_crs("EPSG:4326").to_frame("geometry")
    chips = pw.sampling.PointSampler((20, 30), points)(catalog)
    assert chips.windows.tolist() == [[40, 25, 20, 30], [0, 0, 20, 30], [80, 70, 20, 30]]
    assert set(chips.scene) == {5}


@pytest.mark.parametrize("snap", [False, True])
def test_chips_round_polygons_hold_all_of_them(catalog: pw.GeoCatalog, fields: Path, snap: bool) -> None:
    chips = pw.sampling.PointSampler((16, 16), fields, snap=snap)(catalog)
    seen = np.zeros(catalog[0].grid.shape, int)
    for row, col, height, width in chips[chips.scene == 0].windows:
        seen[row : row + height, col : col + width] += 1
    codes = pw.ReadLabel(column="code", labels=fields)(catalog[0].load())[0]
    assert (seen[(codes > 0).values] >= 1).all()
    if snap:
        assert seen.max() == 1
        assert not (chips.windows[:, :2] % 16).any()


def test_a_vector_file_without_a_column_is_told_so(catalog: pw.GeoCatalog, fields: Path) -> None:
    with pytest.raises(LabelError, match=r"scene S2_a_20170211: labels .* are a vector file: name its column"):
        pw.ReadLabel(labels=fields)(catalog[0].load())


def test_vectors_may_be_geoparquet(catalog: pw.GeoCatalog, fields: Path, tmp_path: Path) -> None:
    path = tmp_path / "fields.parquet"
    gpd.read_file(fields).to_parquet(path)
    scene, classes = catalog[0], ["wheat"]
    for labels in (path, str(path)):
        made = pw.ReadLabel(column="crop", classes=classes, labels=labels)(scene)
        np.testing.assert_array_equal(made, pw.ReadLabel(column="crop", classes=classes, labels=fields)(scene))
    assert len(pw.sampling.PointSampler(16, path)(catalog)) == len(pw.sampling.PointSampler(16, fields)(catalog))
    for vectors in (path, fields):
        X, y = pw.sample_pixels(catalog, None, vectors, column="crop", random_state=0)
        assert (len(X), y.tolist().count("wheat")) == (1500, 1200)
    np.testing.assert_array_equal(*(pw.extract_pixels(scene, each, column="crop")[1] for each in (path, fields)))
    # another file of the same name is read anew
    gpd.read_file(fields).iloc[:0].to_parquet(path)
    os.utime(path, ns=(1, 1))
    assert (pw.ReadLabel(column="code", labels=path)(scene) == -(2**31)).all()
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(LabelError, match=r"fields\.parquet cannot be read as a vector file: .*"):
        pw.ReadLabel(column="crop", classes=classes, labels=path)(scene)
    with pytest.raises(LabelError, match=r"fields\.parquet are a vector file: name its column"):
        pw.ReadLabel(labels=path)(scene)


def test_features_in_no_scene_or_without_a_crs_are_errors(catalog: pw.GeoCatalog, fields: Path) -> None:
    with pytest.raises(LabelError, match="none of 2 features lies in a scene"):
        pw.sampling.PointSampler(16, fields)(catalog.take([5]))
    with pytest.raises(LabelError, match=r"features missing\.gpkg cannot be read as a vector file"):
        pw.sampling.PointSampler(16, "missing.gpkg")(catalog)
    with pytest.raises(CRSError, match="the features have no CRS"):
        pw.sampling.PointSampler(16, gpd.read_file(fields).set_crs(None, allow_override=True))(catalog)


def test_whole_numbers_that_are_too_large_for_32_bits_stay_what_they_are(catalog: pw.GeoCatalog) -> None:
    chip = pw.sampling.GridSampler(64)(catalog)[0].load()
    grid = pw.unwrap(chip).grid
    points = gpd.points_from_xy(*grid.pixel_xy(np.arange(9)).T, crs=grid.crs.to_wkt())
    parcels = gpd.GeoDataFrame({"parcel": 3_000_000_000 + np.arange(9)}, geometry=points)
    found = pw.unwrap(pw.ReadLabel(labels=parcels, column="parcel")(chip))
    assert (found.values.dtype, found.nodata) == ("int64", (-(2**63),))
    assert found.values.ravel()[:10].tolist() == [*parcels["parcel"], -(2**63)]


@pytest.mark.parametrize("place", ["antimeridian", "curved edges", "pole"])
def test_labels_of_a_file_are_those_of_the_table_wherever_a_scene_lies(write, tmp_path: Path, place: str) -> None:
    crs, transform = {
        "antimeridian": ("EPSG:32601", rasterio.Affine(100, 0, 164021, 0, -100, 60300)),
        "curved edges": ("EPSG:3035", rasterio.Affine(5e4, 0, 3321000, 0, -5e4, 4800000)),
        "pole": ("EPSG:3413", rasterio.Affine(2e4, 0, -4e5, 0, -2e4, 4e5)),
    }[place]
    scene = pw.open_catalog(write(np.ones((1, 40, 40), "uint8"), crs=crs, transform=transform))[0]
    points = gpd.points_from_xy(*scene.grid.pixel_xy(np.arange(1600)).T, crs=crs)
    table = gpd.GeoDataFrame({"code": np.arange(1600)}, geometry=points).to_crs("EPSG:4326")
    table.to_file(tmp_path / "labels.gpkg")
    if place == "antimeridian":
        assert table.total_bounds[0] < -179
        assert table.total_bounds[2] > 179
    for labels in (table, str(tmp_path / "labels.gpkg")):
        codes = pw.ReadLabel(labels=labels, column="code")(scene.load())
        assert codes.values.ravel().tolist() == list(range(1600))
