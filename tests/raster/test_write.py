"""Writing: whole and right, or not at all."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.windows import Window

import pixelwise as pw
from pixelwise.errors import FillValueError, LabelError, RasterWriteError
from pixelwise.raster.carriers import Raster
from pixelwise.raster.destination import tile_side
from pixelwise.raster.grid import Grid
from pixelwise.raster.legend import class_colors, map_classes
from pixelwise.raster.write import RasterWriter, write_raster

UTM = Grid("EPSG:32633", rasterio.Affine(10, 0, 330_000, 0, -10, 5_822_040), 40, 60)
ATTRS = {
    "long_name": "predict",
    "flag_values": [0, 1],
    "flag_meanings": 'broad_leaf <wet>&"x"',
    "class_names": ["broad leaf", '<wet>&"x"'],
}


def labelled(grid: Grid = UTM, dtype: str = "uint8", nodata: float = 255) -> Raster:
    values = np.zeros(grid.shape, dtype)
    values[:, grid.width // 2 :] = 1
    values[0] = nodata
    return Raster(values, grid, nodata=(nodata,), attrs=ATTRS, name="predict")


def everything(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*")}


def test_a_map_comes_back_with_values_nodata_and_place(tmp_path: Path) -> None:
    path = write_raster(labelled(), tmp_path / "map.tif")
    with rasterio.open(path) as file:
        assert (file.crs, file.transform, file.shape) == (UTM.crs, UTM.transform, UTM.shape)
        assert (file.nodata, file.dtypes, file.descriptions) == (255, ("uint8",), ("predict",))
        np.testing.assert_array_equal(file.read(1), labelled().values)


def test_a_map_is_tiled_and_compressed_and_codes_are_not_told_by_their_differences(tmp_path: Path) -> None:
    with rasterio.open(write_raster(labelled(), tmp_path / "map.tif")) as file:
        assert file.profile["tiled"]
        assert file.profile["compress"] == "deflate"
        assert "PREDICTOR" not in file.tags(ns="IMAGE_STRUCTURE")


def test_measurements_in_integers_are_told_by_their_differences(tmp_path: Path) -> None:
    raster = Raster(np.ones((1, *UTM.shape), "uint16"), UTM)
    with rasterio.open(write_raster(raster, tmp_path / "a.tif")) as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["PREDICTOR"] == "2"


@pytest.mark.parametrize(("compress", "predictor"), [("zstd", "3"), ("packbits", None), (None, None), ("none", None)])
def test_floats_take_their_own_predictor_where_the_compression_has_one(tmp_path: Path, compress: str, predictor: str) -> None:
    raster = Raster(np.ones((1, *UTM.shape), "float32"), UTM)
    path = write_raster(raster, tmp_path / "a.tif", compress=compress)
    with rasterio.open(path) as file:
        assert file.tags(ns="IMAGE_STRUCTURE").get("PREDICTOR") == predictor


def test_class_names_stand_in_the_band_tags_as_cf_has_them_and_exactly(tmp_path: Path) -> None:
    with rasterio.open(write_raster(labelled(), tmp_path / "map.tif")) as file:
        tags = file.tags(1)
    assert tags["flag_values"] == "0,1"
    assert tags["flag_meanings"] == 'broad_leaf <wet>&"x"'
    assert json.loads(tags["CLASS_NAMES"]) == ["broad leaf", '<wet>&"x"']


def test_class_names_stand_in_the_sidecar_as_gdal_categories(tmp_path: Path) -> None:
    path = write_raster(labelled(), tmp_path / "map.tif")
    names = [node.text for node in ET.parse(f"{path}.aux.xml").iterfind("PAMRasterBand/CategoryNames/Category")]
    assert names == ["broad leaf", '<wet>&"x"']


def test_gaps_between_codes_are_blank_categories_and_large_codes_are_left_out(tmp_path: Path) -> None:
    with RasterWriter(tmp_path / "map.tif", UTM, dtype="int16", nodata=-1, classes={2: "two", 5000: "far"}) as writer:
        writer.write(np.full(UTM.shape, 2, "int16"), Window(0, 0, 60, 40))
    names = [node.text for node in ET.parse(tmp_path / "map.tif.aux.xml").iter("Category")]
    assert names == [None, None, "two"]


def test_a_reread_map_still_knows_its_classes(tmp_path: Path) -> None:
    first = write_raster(labelled(), tmp_path / "map.tif")
    second = write_raster(pw.open_raster(first), tmp_path / "again.tif")
    with rasterio.open(first) as one, rasterio.open(second) as two:
        assert one.tags(1) == two.tags(1)
        assert one.colormap(1) == two.colormap(1)


@pytest.mark.parametrize(("dtype", "nodata"), [("uint8", 255), ("uint16", 65535)])
def test_a_map_has_a_colour_for_each_class_and_a_transparent_nodata(tmp_path: Path, dtype: str, nodata: int) -> None:
    with rasterio.open(write_raster(labelled(dtype=dtype, nodata=nodata), tmp_path / "map.tif")) as file:
        colors = file.colormap(1)
    assert (colors[0], colors[1], colors[nodata]) == ((230, 159, 0, 255), (86, 180, 233, 255), (0, 0, 0, 0))


def test_a_signed_map_has_names_but_no_colours(tmp_path: Path) -> None:
    with rasterio.open(write_raster(labelled(dtype="int16", nodata=-1), tmp_path / "map.tif")) as file:
        assert "CLASS_NAMES" in file.tags(1)
        with pytest.raises(ValueError, match="color table"):
            file.colormap(1)


def test_colours_may_be_given_by_name_or_by_code(tmp_path: Path) -> None:
    path = write_raster(labelled(), tmp_path / "map.tif", colors={"broad leaf": "#006400", 1: "#0000FF"})
    with rasterio.open(path) as file:
        colors = file.colormap(1)
    assert (colors[0][:3], colors[1][:3]) == ((0, 100, 0), (0, 0, 255))


@pytest.mark.parametrize(("colors", "said"), [({"lake": "#0000ff"}, "lake.*broad leaf"), ({0: "red"}, "red.*#rrggbb")])
def test_colours_that_do_not_fit_are_refused(tmp_path: Path, colors: dict, said: str) -> None:
    with pytest.raises(LabelError, match=said):
        write_raster(labelled(), tmp_path / "map.tif", colors=colors)
    assert everything(tmp_path) == set()


def test_every_class_of_a_long_legend_has_a_colour_of_its_own() -> None:
    colors = class_colors({code: str(code) for code in range(60)})
    assert len(set(colors.values())) == 60


def test_attributes_that_name_no_classes_give_none() -> None:
    assert map_classes({"flag_values": [1]}) == {}
    assert map_classes({"flag_values": [1, 2], "flag_meanings": "one"}) == {}


SINUSOIDAL = CRS.from_proj4("+proj=sinu +R=6371007.181 +units=m")
#: GeoTIFF keys do not hold it.
ROTATED_POLE = CRS.from_proj4("+proj=ob_tran +o_proj=longlat +o_lat_p=39.25 +o_lon_p=0 +lon_0=18")


@pytest.mark.parametrize(
    "grid",
    [
        pytest.param(Grid(None, rasterio.Affine.identity(), 20, 30), id="nowhere"),
        pytest.param(Grid(None, rasterio.Affine(1, 0, 0, 0, -1, 0), 20, 30), id="flipped, no CRS"),
        pytest.param(Grid(None, rasterio.Affine(25, 0, 100, 0, -25, 900), 20, 30), id="no CRS"),
        pytest.param(Grid("EPSG:32633", rasterio.Affine(10, 0, 5, 0, 10, 7), 20, 30), id="south-up"),
        pytest.param(Grid("EPSG:4326", rasterio.Affine(0.1, 0.03, 5, -0.03, -0.1, 7), 20, 30), id="rotated"),
        pytest.param(Grid(SINUSOIDAL, rasterio.Affine(463, 0, 1, 0, -463, 2), 20, 30), id="sinusoidal"),
        pytest.param(Grid(ROTATED_POLE, rasterio.Affine(1, 0, 1, 0, -1, 2), 20, 30), id="rotated pole"),
    ],
)
def test_any_grid_comes_back(tmp_path: Path, grid: Grid) -> None:
    path = write_raster(labelled(grid), tmp_path / "map.tif")
    read = pw.unwrap(path)
    assert read.grid.differs_from(grid) == ""
    assert "broad leaf" in Path(f"{path}.aux.xml").read_text()


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]
)
def test_every_dtype_comes_back(tmp_path: Path, dtype: str) -> None:
    values = np.arange(2 * 20 * 30).reshape(2, 20, 30).astype(dtype)
    np.testing.assert_array_equal(pw.unwrap(write_raster(values, tmp_path / "a.tif")).values, values)


def test_booleans_are_written_as_bytes(tmp_path: Path) -> None:
    read = pw.unwrap(write_raster(np.ones((1, 4, 4), bool), tmp_path / "a.tif"))
    assert (read.values.dtype, read.values.min()) == ("uint8", 1)


def test_half_floats_are_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(RasterWriteError, match="astype"):
        write_raster(np.ones((1, 4, 4), "float16"), tmp_path / "a.tif")


def test_bands_keep_their_names(tmp_path: Path, raster: xr.DataArray) -> None:
    copy = pw.open_raster(write_raster(raster, tmp_path / "a.tif"))
    assert copy.band.values.tolist() == ["B02", "B03", "B04", "B08"]
    xr.testing.assert_equal(copy, raster)


def test_scale_offset_and_plain_attributes_come_back(tmp_path: Path, raster: xr.DataArray) -> None:
    marked = raster.assign_attrs(scale_factor=0.5, add_offset=-2.0, sensor="MSI", complicated=[1])
    with rasterio.open(write_raster(marked, tmp_path / "a.tif")) as file:
        assert (file.scales[0], file.offsets[3], file.tags()["sensor"]) == (0.5, -2.0, "MSI")
        assert "complicated" not in file.tags()


def test_a_lazy_raster_is_written_block_by_block(tmp_path: Path) -> None:
    whole = xr.DataArray(np.arange(2 * 700 * 900, dtype="int32").reshape(2, 700, 900), dims=("band", "y", "x"))
    path = write_raster(whole.chunk({"y": 250, "x": 333}), tmp_path / "a.tif")
    np.testing.assert_array_equal(pw.unwrap(path).values, whole.values)


def test_a_file_can_be_copied(tmp_path: Path, scene: Path) -> None:
    copy = write_raster(scene, tmp_path / "a.tif")
    xr.testing.assert_identical(pw.open_raster(copy).drop_attrs(), pw.open_raster(scene).drop_attrs())


def test_masked_pixels_become_the_nodata(tmp_path: Path) -> None:
    raster = Raster(
        np.ones((1, 4, 4), "uint8"), Grid(None, rasterio.Affine.identity(), 4, 4), nodata=(9,), mask=np.eye(4, dtype=bool)
    )
    np.testing.assert_array_equal(pw.unwrap(write_raster(raster, tmp_path / "a.tif")).values[0], 1 + 8 * np.eye(4))


def test_a_mask_without_nodata_becomes_nan_also_where_a_block_has_none(tmp_path: Path) -> None:
    values = np.ma.masked_array(np.ones((1, 600, 40), "uint8"), mask=False)
    values[0, 599] = np.ma.masked
    read = pw.unwrap(write_raster(values, tmp_path / "a.tif"))
    assert read.values.dtype == "float32"
    assert np.isnan(read.values[0, 599]).all()
    assert (read.values[0, :599] == 1).all()


def test_another_nodata_in_each_band_becomes_nan(tmp_path: Path) -> None:
    raster = Raster(np.full((2, 4, 4), 7, "uint8"), Grid(None, rasterio.Affine.identity(), 4, 4), nodata=(7, 0))
    read = pw.unwrap(write_raster(raster, tmp_path / "a.tif"))
    assert np.isnan(read.values[0]).all()
    assert (read.values[1] == 7).all()


def test_each_band_and_date_becomes_a_band(tmp_path: Path) -> None:
    values = np.arange(2 * 3 * 4 * 4, dtype="int16")
    stack = xr.DataArray(
        values.reshape(2, 3, 4, 4),
        {"band": ["red", "nir"], "time": np.array(["2018-01-05", "2018-02-05", "2018-03-05"], "datetime64[ns]")},
        ("band", "time", "y", "x"),
    )
    read = pw.open_raster(write_raster(stack, tmp_path / "a.tif"))
    assert read.band.values.tolist() == [f"{band}_2018-0{month}" for band in ("red", "nir") for month in (1, 2, 3)]
    assert np.array_equal(read.values.ravel(), values)
    single = pw.open_raster(write_raster(stack[0].drop_vars("band"), tmp_path / "b.tif"))
    assert single.band.values.tolist() == ["2018-01", "2018-02", "2018-03"]
    bare = pw.open_raster(write_raster(stack.values, tmp_path / "c.tif"))
    assert bare.band.values.tolist()[:4] == ["band_1_t1", "band_1_t2", "band_1_t3", "band_2_t1"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing/map.tif", "folder .*missing.* make it"),
        ("map.png", "GeoTIFF: name it map.tif"),
        ("map", "no suffix"),
        ("", "is a folder"),
    ],
)
def test_a_destination_that_cannot_be_is_refused(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(RasterWriteError, match=said):
        write_raster(labelled(), tmp_path / name)


def test_nodata_that_the_dtype_does_not_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FillValueError, match="nodata=-1 does not exist in uint8: use 255"):
        RasterWriter(tmp_path / "map.tif", UTM, dtype="uint8", nodata=-1)


def test_an_unknown_compression_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RasterWriteError, match=r"jpeg.*deflate"):
        write_raster(labelled(), tmp_path / "map.tif", compress="jpeg")


def test_a_tile_that_tiff_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RasterWriteError, match="multiples of 16"):
        RasterWriter(tmp_path / "map.tif", UTM, dtype="uint8", tile=(100, 256))


def test_values_that_do_not_fit_the_window_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RasterWriteError, match="do not fit"), RasterWriter(tmp_path / "map.tif", UTM, dtype="uint8") as writer:
        writer.write(np.zeros((3, 3), "int16"), Window(0, 0, 3, 3))
    assert everything(tmp_path) == set()


def interrupted(path: Path, error: type[BaseException]) -> None:
    with RasterWriter(path, UTM, dtype="uint8", classes={0: "a"}) as writer:
        writer.write(np.zeros(UTM.shape, "uint8"), Window(0, 0, 60, 40))
        raise error


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_any_interruption_leaves_nothing_behind(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error):
        interrupted(tmp_path / "map.tif", error)
    assert everything(tmp_path) == set()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_any_interruption_leaves_an_existing_map_as_it_was(tmp_path: Path, error: type[BaseException]) -> None:
    path = write_raster(labelled(), tmp_path / "map.tif")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(error):
        interrupted(path, error)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_the_map_appears_under_its_name_at_the_end_only(tmp_path: Path) -> None:
    with RasterWriter(tmp_path / "map.tif", UTM, dtype="uint8") as writer:
        writer.write(np.zeros(UTM.shape, "uint8"), Window(0, 0, 60, 40))
        assert not (tmp_path / "map.tif").exists()
    assert everything(tmp_path) == {"map.tif"}


def test_sidecars_of_an_overwritten_map_do_not_survive(tmp_path: Path) -> None:
    path = write_raster(labelled(), tmp_path / "map.tif")
    (tmp_path / "map.tif.ovr").write_bytes(b"overviews of the old map")
    write_raster(np.zeros((1, 4, 4), "uint8"), path)
    assert everything(tmp_path) == {"map.tif"}


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    resource = pytest.importorskip("resource", reason="no limits of file sizes on this system")
    kept, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, kept[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, kept)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_an_error_that_leaves_nothing_behind(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (1, 512, 512), dtype="uint8")
    with files_of_at_most(100_000), pytest.raises(RasterWriteError, match="disk"):
        write_raster(noise, tmp_path / "a.tif")
    assert everything(tmp_path) == set()


def test_a_disk_that_is_full_before_the_cog_is_the_same_error(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (1, 1024, 1024), dtype="uint8")
    with files_of_at_most(1_150_000), pytest.raises(RasterWriteError, match="disk"):
        write_raster(noise, tmp_path / "a.tif", driver="COG")
    assert everything(tmp_path) == set()


def test_a_disk_that_is_full_before_the_class_names_is_the_same_error(tmp_path: Path) -> None:
    codes = Raster(np.full((1, *UTM.shape), 1000, "int16"), UTM, attrs={"flag_values": [1000], "flag_meanings": "forest"})
    with files_of_at_most(8_000), pytest.raises(RasterWriteError, match=r"a\.tif cannot be written: .*; check that the disk"):
        write_raster(codes, tmp_path / "a.tif")
    assert everything(tmp_path) == set()


@pytest.mark.parametrize("size", [270_000, 300_000, 340_000])
def test_a_disk_that_is_full_before_the_overviews_is_the_same_error(tmp_path: Path, size: int) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (1, 512, 512), dtype="uint8")
    with files_of_at_most(size), pytest.raises(RasterWriteError, match="disk"):
        write_raster(noise, tmp_path / "a.tif", overviews=[2, 4, 8], compress="none")
    assert everything(tmp_path) == set()


def test_a_tile_that_is_missing_from_the_file_is_an_error(tmp_path: Path) -> None:
    writer = RasterWriter(tmp_path / "map.tif", UTM, dtype="uint8")
    writer._options["sparse_ok"] = True
    with pytest.raises(RasterWriteError, match="tile 0, 0"), writer:
        pass
    assert everything(tmp_path) == set()


@pytest.mark.parametrize(
    ("chip", "whole", "side"),
    [(1024, 5000, 256), (960, 5000, 240), (16, 5000, 16), (1000, 5000, 256), (5, 5000, 256), (100, 100, 112), (900, 900, 256)],
)
def test_tiles_divide_chips_where_they_can(chip: int, whole: int, side: int) -> None:
    assert tile_side(chip, whole) == side


def test_four_bands_of_bytes_have_no_alpha(raster: xr.DataArray, tmp_path: Path) -> None:
    nameless = (raster // 16).astype("uint8").assign_coords(band=[1, 2, 3, 4])
    with rasterio.open(pw.write_raster(nameless, tmp_path / "four.tif")) as file:
        assert ColorInterp.alpha not in file.colorinterp
        assert np.array_equal(file.read(), nameless)
