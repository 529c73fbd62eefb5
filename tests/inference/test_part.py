"""A part of a scene is what the whole map has there, bit for bit, and no chip beyond it is read."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import geopandas as gpd
import numpy as np
import pytest
import rasterio
import rasterio.shutil
import shapely
from rasterio import Affine
from rasterio.features import geometry_mask
from rasterio.windows import Window
from scipy.ndimage import maximum_filter
from shapely.geometry import LineString, MultiPolygon, Point, Polygon, box
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeRegressor

import pixelwise as pw
from pixelwise.errors import CRSError, FillValueError, GridError, LabelError, MemoryBudgetError
from pixelwise.inference.part import part_of
from pixelwise.operators.base import Operator

LAYOUTS = {
    "tiles": {"tiled": True, "blockxsize": 32, "blockysize": 16},
    "strips": {"tiled": False, "blockysize": 1},
}
#: A ring with a hole, and an island, in the scene's CRS; neither lies on pixel borders.
FIELD = MultiPolygon(
    [
        Polygon(Point(331_203, 5_820_811).buffer(487).exterior, [Point(331_150, 5_820_800).buffer(111).exterior]),
        box(332_601.3, 5_821_203.7, 332_899.1, 5_821_333.3),
    ]
)


class Grow(Operator):
    """The largest of a square, to have neighbours matter."""

    halo = 4

    def apply(self, raster: pw.Raster) -> pw.Raster:
        return raster.with_values(maximum_filter(raster.values, size=(1, 9, 9), mode="nearest"))


@pytest.fixture(scope="module")
def model(example: tuple[Path, Path]) -> Any:
    X, y = pw.extract_pixels(*example, column="class")
    return pw.PixelwiseClassifier(LogisticRegression(max_iter=500)).fit(np.asarray(X), y)


@pytest.fixture
def large(write: Callable[..., Path], values: np.ndarray) -> Callable[..., Path]:
    def _large(**profile: Any) -> Path:
        cube = np.tile(values, (1, 4, 5))
        cube[:, 30:60, 100:300] = 0
        return write(cube, **{"nodata": 0, **LAYOUTS["tiles"], **profile})

    return _large


def chips(model: Any, scene: Any, out: Path, **options: Any) -> tuple[pw.Raster, int]:
    """Return a map made with as little memory as will do, and the number of chips."""
    with pytest.raises(MemoryBudgetError) as caught:
        pw.predict_raster(model, scene, out, memory=1, **options)
    total: list[int] = []
    least = caught.value.values["needed"]
    pw.predict_raster(model, scene, out, memory=least, progress=lambda _, count: total.append(count), **options)
    return pw.unwrap(out), len(total)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
@pytest.mark.parametrize("workers", [None, 2])
@pytest.mark.parametrize(
    "window", [((0, 240), (0, 400)), ((17, 101), (39, 333)), ((239, 240), (399, 400)), ((48, 96), (64, 128))]
)
def test_a_window_is_the_whole_map_cropped(
    large: Any, model: Any, tmp_path: Path, layout: dict, workers: int | None, window: Any
) -> None:
    scene = large(**layout)
    (rows, cols) = (slice(*pair) for pair in window)
    for kind in (model, make_pipeline(Grow(), model)):
        whole = pw.unwrap(pw.predict_raster(kind, scene, tmp_path / "whole.tif"))
        part, _ = chips(kind, scene, tmp_path / "part.tif", window=window, workers=workers)
        np.testing.assert_array_equal(part.values, whole.values[:, rows, cols])
        assert not part.grid.differs_from(
            whole.grid.window(rows.start, cols.start, rows.stop - rows.start, cols.stop - cols.start)
        )


def test_rows_and_columns_and_windows_are_the_same(scene: Path, model: Any, tmp_path: Path) -> None:
    first = pw.predict_raster(model, scene, tmp_path / "a.tif", window=Window(7, 5, 20, 10))
    second = pw.predict_raster(model, scene, tmp_path / "b.tif", window=((5, 15), (7, 27)))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("driver", ["GTiff", "COG"])
def test_a_window_across_tiles_says_what_the_whole_says(large: Any, model: Any, tmp_path: Path, driver: str) -> None:
    scene = large()
    for method, colors in (("predict", {"water": "#0000ff"}), ("predict_proba", None)):
        options = {"driver": driver, "colors": colors}
        whole = pw.predict_raster(model, scene, tmp_path / "whole.tif", method=method, **options)
        chips(model, scene, tmp_path / "part.tif", method=method, window=((17, 219), (39, 333)), **options)
        with rasterio.open(whole) as one, rasterio.open(tmp_path / "part.tif") as other:
            for name in ("nodata", "dtypes", "descriptions", "crs", "compression", "interleaving", "colorinterp"):
                assert repr(getattr(one, name)) == repr(getattr(other, name)), name
            assert (one.tags(), one.tags(1)) == (other.tags(), other.tags(1))
            if method == "predict":
                assert one.colormap(1) == other.colormap(1)


def test_a_window_across_tiles_makes_no_larger_file(large: Any, model: Any, tmp_path: Path) -> None:
    part, copy = tmp_path / "part.tif", tmp_path / "copy.tif"
    chips(model, large(), part, method="predict_proba", window=((17, 219), (39, 333)))
    with rasterio.open(part) as file:
        profile = file.profile
    layout = {name: profile[name] for name in ("driver", "tiled", "blockxsize", "blockysize", "compress", "interleave")}
    rasterio.shutil.copy(part, copy, **layout, predictor=3, zlevel=1)
    assert part.stat().st_size < 1.01 * copy.stat().st_size
    assert profile["compress"] == "deflate"


def test_only_chips_of_the_window_are_read(scene: Path, model: Any, tmp_path: Path) -> None:
    da = pytest.importorskip("dask.array")
    read = []

    def block(values: np.ndarray, block_info: Any = None) -> np.ndarray:
        read.append(tuple(block_info[0]["chunk-location"][1:]))
        return values

    lazy = pw.open_raster(scene, chunks={"y": 20, "x": 20}).copy()
    lazy.data = da.map_blocks(block, lazy.data, dtype=lazy.dtype, meta=np.empty((0, 0, 0), lazy.dtype))
    with dask.config.set(scheduler="synchronous"):
        pw.predict_raster(model, lazy, tmp_path / "map.tif", window=((25, 35), (45, 70)))
        assert set(read) == {(1, 2), (1, 3)}


@pytest.mark.parametrize("workers", [None, 2])
@pytest.mark.parametrize("halo", [False, True])
def test_a_geometry_is_the_whole_map_where_pixel_centres_lie_inside_and_fill_elsewhere(
    large: Any, model: Any, tmp_path: Path, workers: int | None, halo: bool
) -> None:
    scene, kind = large(), make_pipeline(Grow(), model) if halo else model
    for method, fill in (("predict", 255), ("predict_proba", np.nan)):
        whole = pw.unwrap(pw.predict_raster(kind, scene, tmp_path / "whole.tif", method=method))
        part, count = chips(kind, scene, tmp_path / "part.tif", method=method, geometry=FIELD, workers=workers)
        outside = geometry_mask([FIELD], whole.grid.shape, whole.grid.transform)
        inside_rows, inside_cols = np.nonzero(~outside)
        top, left = (
            round((whole.grid.bounds[3] - part.grid.bounds[3]) / 10),
            round((part.grid.bounds[0] - whole.grid.bounds[0]) / 10),
        )
        rows, cols = slice(top, top + part.grid.height), slice(left, left + part.grid.width)
        assert rows.start <= inside_rows.min() <= inside_rows.max() < rows.stop
        assert cols.start <= inside_cols.min() <= inside_cols.max() < cols.stop
        expected = np.where(outside, fill, whole.values)[:, rows, cols]
        np.testing.assert_array_equal(part.values, expected.astype(part.values.dtype))
        windows = list(part_of(whole.grid, geometry=FIELD).windows(16, 32))
        touched = {(row // 16, col // 32) for row, col in zip(inside_rows, inside_cols, strict=True)}
        assert {(window.row_off // 16, window.col_off // 32) for window in windows} == touched
        assert 1 < count <= len(windows) < 8 * 10


def test_the_map_has_the_bounds_of_the_geometry(scene: Path, model: Any, tmp_path: Path) -> None:
    with rasterio.open(
        pw.predict_raster(model, scene, tmp_path / "m.tif", geometry=box(330_101, 5_821_600, 330_140, 5_821_699))
    ) as file:
        assert tuple(file.bounds) == (330_100, 5_821_600, 330_140, 5_821_700)


@pytest.mark.parametrize("kind", ["series", "frame", "file", "text", "frame in degrees"])
def test_a_geometry_comes_in_any_form_and_crs(scene: Path, model: Any, tmp_path: Path, kind: str) -> None:
    triangle = Polygon([(330_103, 5_821_603), (330_588, 5_821_701), (330_321, 5_821_987)])
    series = gpd.GeoSeries([triangle, None, Polygon()], crs="EPSG:32633")
    frame = gpd.GeoDataFrame({"name": ["a", "b", "c"]}, geometry=series).set_index(np.array([7, 7, 7]))
    given: Any = {"series": series, "frame": frame, "frame in degrees": frame.to_crs("EPSG:4326")}.get(kind)
    if given is None:
        with warnings.catch_warnings():
            # Old versions of geopandas warn of empty shapes, also where they are written.
            warnings.filterwarnings("ignore", "GeoSeries.notna", UserWarning)
            frame.to_file(tmp_path / "field.gpkg")
        given = tmp_path / "field.gpkg" if kind == "file" else str(tmp_path / "field.gpkg")
    bare = pw.predict_raster(model, scene, tmp_path / "bare.tif", geometry=triangle)
    other = pw.predict_raster(model, scene, tmp_path / "other.tif", geometry=given)
    np.testing.assert_array_equal(pw.unwrap(other).values, pw.unwrap(bare).values)


@pytest.mark.parametrize("chip", [(7, 9), (16, 32)])
@pytest.mark.parametrize("side", [10.0, 0.00025])
def test_chips_find_the_pixels_that_the_whole_finds_also_where_edges_run_through_centres(
    chip: tuple[int, int], side: float
) -> None:
    rng, grid = np.random.default_rng(0), pw.Grid(None, (side, 0, 13.1, 0, -side, 52.3), 60, 80)
    for _ in range(30):
        # Edges cross only where they begin, so that corners in columns and rows are exact.
        corners = np.column_stack([rng.integers(0, 160, 6), rng.integers(0, 120, 6)]) / 2
        shape = shapely.convex_hull(shapely.MultiPoint(corners))
        outside = geometry_mask([shape], grid.shape, Affine.identity())
        part = part_of(grid, geometry=shapely.transform(shape, lambda xy: xy * [side, -side] + [13.1, 52.3]))
        made = np.zeros(grid.shape, "uint8")
        for window in part.windows(*chip):
            place = grid.window(window.row_off, window.col_off, window.height, window.width)
            made[window.toslices()] = part.hidden(pw.Raster(np.ones(place.shape, "uint8"), place, nodata=(0,)), window).values
        np.testing.assert_array_equal(made == 0, outside)


@pytest.mark.parametrize("shape", [Point(330_123, 5_821_777), LineString([(330_123, 5_821_777), (330_300, 5_821_600)])])
def test_points_and_lines_are_the_pixels_that_they_lie_in(scene: Path, model: Any, tmp_path: Path, shape: Any) -> None:
    part = pw.unwrap(pw.predict_raster(model, scene, tmp_path / "map.tif", geometry=shape))
    outside = geometry_mask([shape], part.grid.shape, part.grid.transform)
    np.testing.assert_array_equal(part.values[0] == 255, outside)


def test_a_geometry_lies_on_a_raster_without_a_place(model: Any, values: np.ndarray, tmp_path: Path) -> None:
    part = pw.unwrap(pw.predict_raster(model, values, tmp_path / "map.tif", geometry=box(10, 20, 30, 50)))
    assert part.grid.shape == (30, 20)


def test_a_map_without_nodata_gets_nan_outside_or_is_refused(scene: Path, tmp_path: Path) -> None:
    class Same:
        def predict(self, raster: pw.Raster) -> pw.Raster:
            return raster.with_values(raster.values.astype(self.dtype), nodata=(None,) * 4)

    same, triangle = Same(), Polygon([(330_103, 5_821_603), (330_588, 5_821_701), (330_321, 5_821_987)])
    same.dtype = "float32"
    made = pw.unwrap(pw.predict_raster(same, scene, tmp_path / "map.tif", geometry=triangle))
    assert np.isnan(made.nodata).all()
    outside = geometry_mask([triangle], made.grid.shape, made.grid.transform)
    np.testing.assert_array_equal(np.isnan(made.values[0]), outside)
    same.dtype = "int16"
    with pytest.raises(FillValueError, match="no nodata value for pixels outside the geometry"):
        pw.predict_raster(same, scene, tmp_path / "other.tif", geometry=triangle)
    assert not (tmp_path / "other.tif").exists()


@pytest.mark.parametrize(
    ("window", "words"),
    [
        (((0, 61), (0, 80)), "no part of 60 x 80 pixels"),
        (((-1, 5), (0, 80)), "no part of"),
        (((5, 5), (0, 80)), "no part of"),
        (((0.5, 5), (0, 80)), "whole numbers"),
        (Window(0.5, 0, 5, 5), "whole numbers"),
        ((3, 4), "is no window"),
        ("all", "is no window"),
    ],
)
def test_a_window_that_cannot_be_is_one_line(scene: Path, model: Any, tmp_path: Path, window: Any, words: str) -> None:
    with pytest.raises(GridError, match=words) as caught:
        pw.predict_raster(model, scene, tmp_path / "map.tif", window=window)
    assert "\n" not in str(caught.value)


def test_a_geometry_that_cannot_be_is_one_line(scene: Path, model: Any, tmp_path: Path) -> None:
    inside = box(330_100, 5_821_600, 330_200, 5_821_700)
    for geometry, error, words in (
        (box(0, 0, 1, 1), GridError, "lies beyond the raster"),
        (Polygon(), GridError, "is empty"),
        (box(330_101, 5_821_601, 330_103, 5_821_603), GridError, "centre of no pixel"),
        (gpd.GeoSeries([inside]), CRSError, "geometry has CRS none and the raster has CRS EPSG:32633"),
        (tmp_path / "missing.gpkg", LabelError, "geometry .* cannot be read as a vector file"),
        (inside.bounds, TypeError, "geometry is a tuple: pass a shapely geometry, .*; of bounds shapely.box"),
        ([inside], TypeError, "geometry is a list"),
    ):
        with pytest.raises(error, match=words) as caught:
            pw.predict_raster(model, scene, tmp_path / "map.tif", geometry=geometry)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="pass one of them"):
        pw.predict_raster(model, scene, tmp_path / "map.tif", geometry=inside, window=((0, 1), (0, 1)))
    assert not list(tmp_path.iterdir())


def test_a_part_of_a_real_scene_under_real_polygons_in_another_crs(
    landsat: Path, landsat_polygons: Path, tmp_path: Path
) -> None:
    X, y = pw.extract_pixels(landsat, landsat_polygons, column="label")
    model = pw.PixelwiseRegressor(DecisionTreeRegressor(random_state=0)).fit(X, np.arange(len(y)))
    whole = pw.unwrap(pw.predict_raster(model, landsat, tmp_path / "whole.tif"))
    part = pw.unwrap(pw.predict_raster(model, landsat, tmp_path / "part.tif", geometry=landsat_polygons))
    shapes = gpd.read_file(landsat_polygons).to_crs(part.grid.crs.to_wkt()).geometry
    outside = geometry_mask(shapes, whole.grid.shape, whole.grid.transform)
    west, _, _, north = part.grid.bounds
    col, row = (round(value) for value in ~whole.grid.transform @ (west, north))
    expected = np.where(outside, np.nan, whole.values[0])[row : row + part.grid.height, col : col + part.grid.width]
    np.testing.assert_array_equal(part.values[0], expected)
    assert not np.isnan(expected).all()


def test_chips_between_fields_are_not_read(large: Any, model: Any, tmp_path: Path) -> None:
    scene, corners = large(), [box(330_013, 5_821_903, 330_087, 5_821_997), box(333_803, 5_819_703, 333_907, 5_819_803)]
    whole = pw.unwrap(pw.predict_raster(model, scene, tmp_path / "whole.tif"))
    fields = gpd.GeoSeries(corners, crs="EPSG:32633")
    options = {"geometry": fields, "resume": True}
    part = pw.unwrap(pw.predict_raster(model, scene, tmp_path / "part.tif", memory="64MB", **options))
    (top, left) = (round(value) for value in (~whole.grid.transform @ (part.grid.bounds[0], part.grid.bounds[3]))[::-1])
    outside = geometry_mask(corners, whole.grid.shape, whole.grid.transform)
    expected = np.where(outside, 255, whole.values[0])[top : top + part.grid.height, left : left + part.grid.width]
    np.testing.assert_array_equal(part.values[0], expected)
    assert len(list(part_of(whole.grid, geometry=fields).windows(16, 32))) < 15
