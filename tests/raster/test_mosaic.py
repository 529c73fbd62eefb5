"""A mosaic opens like a raster: each file's pixels, nodata between, and what all files say of their bands."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

import pixelwise as pw
from pixelwise.errors import BandError, CRSError, FillValueError, GridError, PixelwiseWarning, RasterReadError, RasterWriteError
from pixelwise.raster.legend import map_classes
from pixelwise.raster.mosaic import write_mosaic

KINDS = (".vrt", ".gti.gpkg")
NAMES = {1: "forest", 2: "open water"}
UTM = "EPSG:32633"


@pytest.fixture
def tile(tmp_path: Path) -> Callable[..., str]:
    """Write a map of one code at pixel (col, row) of a lattice of 10 m."""

    def _tile(name: str, col: float, row: float, code: int, shape: tuple[int, int] = (40, 50), **how: Any) -> str:
        how = {"crs": UTM, "step": 10.0, "names": NAMES, "nodata": 255, "dtype": "uint8", "count": 1} | how
        step, crs = how["step"], how["crs"]
        grid = pw.Grid(crs, (step, 0, 300_000 + 10 * col, 0, -step, 5_000_000 - 10 * row), *shape)
        values = np.full((how["count"], *shape), code, how["dtype"])
        attrs = {"flag_values": list(how["names"]), "class_names": list(how["names"].values()), "flag_meanings": "a b"}
        bands = tuple(f"band{at}" for at in range(how["count"])) if how["count"] > 1 else ("predict",)
        raster = pw.Raster(values, grid, bands, (how["nodata"],), attrs=attrs if how["names"] else {})
        (tmp_path / "maps").mkdir(exist_ok=True)
        return str(pw.write_raster(raster, tmp_path / "maps" / f"{name}.tif"))

    return _tile


@pytest.fixture
def three(tile: Callable[..., str]) -> list[str]:
    """Two maps with a gap between, and one below that covers part of the first."""
    return [tile("a", 0, 0, 1), tile("b", 60, 0, 2), tile("c", 30, 20, 2)]


@pytest.mark.parametrize("kind", KINDS)
def test_each_files_values_are_there_and_nodata_between(three: list[str], tmp_path: Path, kind: str) -> None:
    write_mosaic(three, tmp_path / f"all{kind}")
    expected = np.full((60, 110), 255, "uint8")
    expected[:40, :50], expected[:40, 60:110], expected[20:60, 30:80] = 1, 2, 2
    with rasterio.open(tmp_path / f"all{kind}") as file:
        np.testing.assert_array_equal(file.read(1), expected)
        assert (file.nodata, file.dtypes, file.crs) == (255, ("uint8",), UTM)
        assert file.transform == rasterio.Affine(10, 0, 300_000, 0, -10, 5_000_000)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"all{kind}", "maps"]


@pytest.mark.parametrize("kind", KINDS)
def test_names_and_colours_of_classes_and_bands_are_kept(three: list[str], tmp_path: Path, kind: str) -> None:
    write_mosaic(three, tmp_path / f"all{kind}")
    with rasterio.open(tmp_path / f"all{kind}") as made, rasterio.open(three[0]) as source:
        assert made.descriptions == source.descriptions == ("predict",)
        assert made.colorinterp == (ColorInterp.palette,)
        assert {code: made.colormap(1)[code] for code in (1, 2, 255)} == {
            code: source.colormap(1)[code] for code in (1, 2, 255)
        }
        assert made.tags(1)["CLASS_NAMES"] == source.tags(1)["CLASS_NAMES"]
    made_array, array = pw.open_raster(tmp_path / f"all{kind}"), pw.open_raster(three[0])
    assert map_classes(made_array.attrs) == map_classes(array.attrs) == NAMES


def test_a_vrt_has_category_names_as_gdal_keeps_them(three: list[str], tmp_path: Path) -> None:
    write_mosaic(three, tmp_path / "all.vrt")
    assert "<Category>open water</Category>" in (tmp_path / "all.vrt").read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_a_mosaic_moves_with_its_files(three: list[str], tmp_path: Path, kind: str) -> None:
    write_mosaic(three, tmp_path / f"all{kind}")
    (tmp_path / "elsewhere").mkdir()
    for name in ("maps", f"all{kind}"):
        shutil.move(tmp_path / name, tmp_path / "elsewhere" / name)
    with rasterio.open(tmp_path / "elsewhere" / f"all{kind}") as file:
        assert set(np.unique(file.read(1))) == {1, 2, 255}


@pytest.mark.parametrize("kind", KINDS)
def test_missing_pixels_show_what_lies_below(tile: Callable[..., str], tmp_path: Path, kind: str) -> None:
    write_mosaic([tile("a", 0, 0, 1), tile("hole", 0, 0, 255)], tmp_path / f"all{kind}")
    with rasterio.open(tmp_path / f"all{kind}") as file:
        assert (file.read(1) == 1).all()


@pytest.mark.parametrize("kind", KINDS)
def test_several_bands_of_floats_with_nan_are_exact(tmp_path: Path, raster: Any, kind: str) -> None:
    floats = (raster.astype("float32") / 7).where(raster % 5 > 0)
    for name, part in {"a": floats[:, :, :30], "b": floats[:, :, 30:]}.items():
        pw.write_raster(part, tmp_path / f"{name}.tif")
    write_mosaic([str(tmp_path / "a.tif"), str(tmp_path / "b.tif")], tmp_path / f"all{kind}")
    made = pw.open_raster(tmp_path / f"all{kind}")
    np.testing.assert_array_equal(made, floats)
    assert made.band.values.tolist() == floats.band.values.tolist()


def test_scales_are_kept_where_equal(tile: Callable[..., str], tmp_path: Path) -> None:
    files = [tile("a", 0, 0, 1, names={}), tile("b", 50, 0, 2, names={})]
    for path in files:
        with rasterio.open(path, "r+") as file:
            file.scales, file.offsets = (0.5,), (-3.0,)
    write_mosaic(files, tmp_path / "all.vrt")
    with rasterio.open(tmp_path / "all.vrt") as made:
        assert (made.scales, made.offsets) == ((0.5,), (-3.0,))
    with rasterio.open(files[1], "r+") as file:
        file.scales = (0.25,)
    write_mosaic(files, tmp_path / "all.vrt")
    with rasterio.open(tmp_path / "all.vrt") as made:
        assert made.scales == (1.0,)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (
            {"crs": "EPSG:32632", "col": 47_246, "row": -271},
            r"is in EPSG:32632 and .*a\.tif in EPSG:32633, and a VRT has one CRS: write a tile index",
        ),
        ({"step": 20.0}, "has pixels of 20 x 20 and .* of 10 x 10, and a VRT has one resolution"),
        ({"col": 50.3}, "is shifted by 0.3 pixels"),
    ],
    ids=["crs", "resolution", "shift"],
)
def test_files_on_other_lattices_are_refused_by_vrts_and_brought_to_the_first_by_indexes(
    tile: Callable[..., str], tmp_path: Path, how: dict[str, Any], says: str
) -> None:
    other = {"col": 50, "row": 0, "code": 2, **how}
    files = [tile("a", 0, 0, 1), tile("b", **other)]
    with pytest.raises(GridError, match=says):
        write_mosaic(files, tmp_path / "all.vrt")
    write_mosaic(files, tmp_path / "all.gti.gpkg")
    with rasterio.open(tmp_path / "all.gti.gpkg") as file, rasterio.open(files[1]) as second:
        assert (file.crs, file.res) == (UTM, (10, 10))
        values = file.read(1)
        assert values.size < 30_000
        assert abs((values == 1).sum() - 2000) < 100
        cover = (second.res[0] / 10) ** 2 * second.width * second.height
        assert abs((values == 2).sum() - cover) < 0.05 * cover


@pytest.mark.parametrize(
    ("how", "error", "says"),
    [
        ({"count": 2, "names": {}}, BandError, "different bands, 2 and 1"),
        ({"dtype": "int16"}, BandError, r"different dtypes, \('int16',\) and \('uint8',\)"),
        ({"nodata": 0}, BandError, "different nodata values"),
    ],
    ids=["count", "dtype", "nodata"],
)
def test_files_that_do_not_go_together_are_refused(
    tile: Callable[..., str], tmp_path: Path, how: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        write_mosaic([tile("a", 0, 0, 1), tile("b", 50, 0, 2, **how)], tmp_path / "all.vrt")


def test_classes_of_other_names_lose_theirs_with_a_warning(tile: Callable[..., str], tmp_path: Path) -> None:
    files = [tile("a", 0, 0, 1), tile("b", 50, 0, 2, names={1: "forest", 2: "rock"})]
    with pytest.warns(PixelwiseWarning, match="name their classes differently"):
        write_mosaic(files, tmp_path / "all.vrt")
    assert not map_classes(pw.open_raster(tmp_path / "all.vrt").attrs)


def test_gaps_need_a_nodata_value(tile: Callable[..., str], tmp_path: Path) -> None:
    side_by_side = [tile("a", 0, 0, 1, nodata=None), tile("b", 50, 0, 2, nodata=None)]
    write_mosaic(side_by_side, tmp_path / "all.vrt")
    with rasterio.open(tmp_path / "all.vrt") as file:
        assert file.nodata is None
        assert file.read(1)[0, [0, 99]].tolist() == [1, 2]
    with pytest.raises(FillValueError, match="would hold 0 between them"):
        write_mosaic([*side_by_side, tile("c", 120, 0, 2, nodata=None)], tmp_path / "all.vrt")


def test_masks_files_without_crs_names_and_places_are_refused(tile: Callable[..., str], write: Any, tmp_path: Path) -> None:
    path = tile("a", 0, 0, 1)
    with pytest.raises(RasterWriteError, match=r"end it in \.vrt, or in \.gti\.gpkg"):
        write_mosaic([path], tmp_path / "all.tif")
    with pytest.raises(RasterWriteError, match="check the folder"):
        write_mosaic([path], tmp_path / "nowhere" / "all.vrt")
    with pytest.raises(RasterReadError, match="cannot be read"):
        write_mosaic([path, "nothing.tif"], tmp_path / "all.vrt")
    with pytest.raises(CRSError, match="has no CRS"):
        write_mosaic([str(write(np.ones((1, 4, 4), "uint8"), crs=None, names=("predict",)))], tmp_path / "all.vrt")
    masked = tile("m", 0, 0, 1, nodata=None)
    with rasterio.open(masked, "r+") as file:
        file.write_mask(np.zeros((40, 50), "uint8"))
    with pytest.raises(BandError, match="has a mask"):
        write_mosaic([masked], tmp_path / "all.vrt")


def test_remote_files_are_named_as_gdal_does(tile: Callable[..., str], tmp_path: Path) -> None:
    path = tile("a", 0, 0, 1)
    with rasterio.open(path):
        write_mosaic([f"/vsisubfile/0_100000,{path}"], tmp_path / "all.vrt")
    assert f'relativeToVRT="0" shared="0">/vsisubfile/0_100000,{path}<' in (tmp_path / "all.vrt").read_text()
