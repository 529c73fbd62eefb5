"""Samples with labels of one file for the whole catalog, and samples kept as GeoParquet."""

from __future__ import annotations

import builtins

import geopandas as gpd
import numpy as np
import pytest
import shapely

import pixelwise as pw
from pixelwise.errors import ArtifactError, DependencyMissingError, LabelError


@pytest.fixture(scope="module")
def points(catalog) -> gpd.GeoDataFrame:
    """Thirty points on the middles of pixels of the first and the third scene, with text and numbers."""
    found = []
    for scene in (0, 2):
        grid = catalog[scene].grid
        pixel = np.random.default_rng(scene).choice(grid.size, 15, replace=False)
        found.append(gpd.GeoSeries(shapely.points(grid.pixel_xy(pixel)), crs=grid.crs.to_wkt()))
    places = gpd.GeoSeries(np.concatenate([part.to_numpy() for part in found]), crs=found[0].crs)
    label = np.array(["water", "corn", "beet"])[np.arange(30) % 3]
    return gpd.GeoDataFrame({"label": label, "number": np.arange(30) % 3, "height": np.arange(30) / 4}, geometry=places)


def test_points_of_the_whole_catalog_are_labels(catalog, points, tmp_path) -> None:
    X, y = pw.sample_pixels(catalog, None, points, random_state=0)
    expected, labels = pw.extract_pixels([catalog[0].load(), catalog[2].load()], points, column="label")
    here, there = (
        {(*xy, label) for xy, label in zip(T.xy.round().tolist(), t, strict=True) for xy in [tuple(xy)]}
        for T, t in ((X, y), (expected, labels))
    )
    # Points of the first scene lie in the second one, too, where these overlap.
    assert there <= here
    assert set(y) == {"water", "corn", "beet"}
    points.to_file(tmp_path / "points.gpkg")
    again, _ = pw.sample_pixels(catalog, None, tmp_path / "points.gpkg", random_state=0)
    assert np.array_equal(X, again)


def test_numbers_of_points_stay_numbers(catalog, points) -> None:
    _, codes = pw.sample_pixels(catalog, None, points, column="number")
    assert codes.dtype == np.int32
    _, heights = pw.sample_pixels(catalog, None, points, column="height")
    assert heights.dtype == np.float64
    only, _ = pw.sample_pixels(catalog, None, points[["height", "geometry"]])
    assert len(only) == len(heights)


def test_a_column_that_is_not_there_is_refused_with_those_that_are(catalog, points) -> None:
    with pytest.raises(LabelError, match="choose one of label, number, height"):
        pw.sample_pixels(catalog, None, points, column="crop")
    with pytest.raises(LabelError, match=r"column=None is none .* number, height"):
        pw.sample_pixels(catalog, None, points.drop(columns="label"))


def test_a_raster_given_as_points_is_refused(catalog) -> None:
    with pytest.raises(LabelError, match=r"cannot be read as a vector file.*give ReadLabel"):
        pw.sample_pixels(catalog, None, catalog[0].metadata["label_uri"])


def test_a_kept_sample_comes_back_as_it_was(catalog, label, tmp_path) -> None:
    X, y = pw.sample_pixels(catalog, None, label, n_pixels=500, groups="tile", random_state=0)
    path = pw.write_sample(tmp_path / "sample.parquet", X, y)
    Z, z = pw.read_sample(path)
    assert np.array_equal(X, Z)
    assert Z.dtype == X.dtype
    assert Z.band_names == X.band_names
    assert np.array_equal(z, y)
    assert z.dtype == y.dtype
    assert Z.grids == X.grids
    for name in ("scene", "pixel", "groups", "row_times", "xy"):
        assert np.array_equal(getattr(X, name), getattr(Z, name))
    assert [file.name for file in tmp_path.iterdir()] == ["sample.parquet"]


def test_a_kept_sample_is_geoparquet_for_all_others(catalog, label, tmp_path) -> None:
    X, y = pw.sample_pixels(catalog, None, label, n_pixels=50, random_state=0)
    frame = gpd.read_parquet(pw.write_sample(tmp_path / "sample.parquet", X, y))
    assert frame.crs.to_epsg() == 32633
    assert np.array_equal(np.column_stack([frame.geometry.x, frame.geometry.y]), X.xy)
    assert list(frame.columns) == ["B02", "B04", "B08", "group", "scene", "geometry", "pixel", "time", "y"]


def test_dates_and_missing_names_come_back(landsat_series, tmp_path) -> None:
    dates = list(landsat_series)[:3]
    stack = pw.open_raster([{"b3": landsat_series[date]["b3"]} for date in dates], times=dates)
    X, y = pw.extract_pixels(stack, np.ones(stack.shape[-2:], int))
    Z, z = pw.read_sample(pw.write_sample(tmp_path / "a.parquet", X))
    assert z is None
    assert np.array_equal(Z.times, X.times)
    assert Z.base_bands == ("b3",)
    plain, _ = pw.extract_pixels(np.arange(24.0).reshape(2, 3, 4), np.ones((3, 4), int))
    bare, _ = pw.read_sample(pw.write_sample(tmp_path / "b.parquet", plain, y[: len(plain)]))
    assert bare.band_names is None
    assert np.array_equal(bare, plain)
    text = np.array(["a", "b"] * 6)
    assert np.array_equal(pw.read_sample(pw.write_sample(tmp_path / "c.parquet", plain, text))[1], text)


def test_a_band_with_the_name_of_a_column_is_refused(tmp_path) -> None:
    X = pw.PixelTable.from_values(
        np.zeros((1, 1)), [pw.Grid(None, (1, 0, 0, 0, -1, 0), 1, 1)], pixel=np.zeros(1, int), names=["pixel"]
    )
    with pytest.raises(ArtifactError, match="feature 'pixel' has the name of a column"):
        pw.write_sample(tmp_path / "a.parquet", X)


def test_what_is_no_sample_is_refused(catalog, tmp_path) -> None:
    catalog.to_parquet(tmp_path / "catalog.parquet")
    with pytest.raises(ArtifactError, match="is no sample"):
        pw.read_sample(tmp_path / "catalog.parquet")


def test_without_pyarrow_it_says_what_to_install(catalog, label, tmp_path, monkeypatch) -> None:
    def without(name, *rest, **more):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return found(name, *rest, **more)

    found = builtins.__import__
    X, y = pw.sample_pixels(catalog, None, label, n_pixels=5, random_state=0)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DependencyMissingError, match=r"install pixelwise\[catalog\]"):
        pw.write_sample(tmp_path / "a.parquet", X, y)


def test_what_is_no_sample_is_not_written(tmp_path) -> None:
    scene, polygons = pw.datasets.make_example()
    X, y = pw.extract_pixels(scene, polygons, column="class")
    for path, pixels, labels, told in (
        (tmp_path / "none" / "a.parquet", X, y, "folder .*none of a.parquet is missing"),
        (tmp_path / "a.parquet", np.asarray(X), y, "a ndarray does not know where its pixels are"),
        (tmp_path / "a.parquet", X, y[:3], "y has 3 labels, and X 1200 pixels"),
    ):
        with pytest.raises(ArtifactError, match=told):
            pw.write_sample(path, pixels, labels)
    assert not list(tmp_path.iterdir())
