"""The sample is exact and uniform, and depends on the seed and the files alone."""

from __future__ import annotations

import os
from pathlib import Path

import geopandas as gpd
import joblib
import numpy as np
import pytest
import rasterio
import shapely
from dask.distributed import Client, LocalCluster
from scipy import stats

import pixelwise as pw
from pixelwise.errors import (
    BandError,
    CatalogError,
    GridError,
    LabelError,
    MemoryBudgetError,
    MissingDataError,
    PixelwiseWarning,
    RasterReadError,
)
from pixelwise.raster.grid import as_crs, transform_xy

FEATURES = pw.indices.AppendIndex(pw.indices.NDVI(red="B04", nir="B08"))
GRID = pw.GridSampler((32, 32))


def places(X: pw.PixelTable) -> list[tuple[int, int]]:
    return list(zip(X.scene.tolist(), X.pixel.tolist(), strict=True))


def same(first, second) -> bool:
    (X, y), (Z, z) = first, second
    return np.array_equal(X, Z) and np.array_equal(y, z) and places(X) == places(Z)


def test_a_sample_as_large_as_the_population_is_the_population(catalog, label, population) -> None:
    everything = population()
    X, y = pw.sample_pixels(catalog, FEATURES, label, sampler=GRID, n_pixels=len(everything), random_state=0)
    assert places(X) == sorted(everything)
    assert same((X, y), pw.sample_pixels(catalog, FEATURES, label, random_state=5))


def test_values_and_labels_are_those_of_the_files(catalog, label) -> None:
    X, y = pw.sample_pixels(catalog, FEATURES, label, n_pixels=200, random_state=0)
    assert X.band_names == ("B02", "B04", "B08", "NDVI")
    for values, code, (scene, pixel) in zip(np.asarray(X), y, places(X), strict=True):
        with rasterio.open(catalog[scene].uri) as file, rasterio.open(catalog[scene].metadata["label_uri"]) as labels:
            blue, red, nir = (int(band.flat[pixel]) for band in file.read())
            assert values.tolist() == pytest.approx([blue, red, nir, (nir - red) / (nir + red)])
            assert code == labels.read(1).flat[pixel]


def test_scenes_and_classes_have_their_share_over_many_seeds(tmp_path: Path, write) -> None:
    for number, width in enumerate((5, 10, 20)):
        write(np.arange(20 * width, dtype="uint16").reshape(1, 20, width) % 251, f"s{number}.tif", nodata=0)
    catalog = pw.open_catalog(str(tmp_path / "*.tif"))
    drawn = np.zeros((3, 20), int)
    first = np.zeros(700, int)
    for seed in range(150):
        X, _ = pw.sample_pixels(catalog, None, n_pixels=40, random_state=seed)
        assert len(set(places(X))) == 40
        np.add.at(drawn, (X.scene, X.pixel // np.array([5, 10, 20])[X.scene]), 1)
        np.add.at(first, np.array([0, 100, 300])[X.scene] + X.pixel, 1)
    valid = first > 0
    assert valid.sum() == 700 - 1 - 1 - 2
    assert stats.chisquare(drawn.sum(axis=1), 150 * 40 * np.array([99, 199, 398]) / 696).pvalue > 0.001
    assert stats.chisquare(first[valid]).pvalue > 0.001


@pytest.mark.parametrize(
    "sampler", [GRID, pw.RandomSampler((24, 40), length=30, random_state=3), None], ids=["grid", "random", "all"]
)
def test_workers_do_not_change_the_sample(catalog, label, sampler) -> None:
    asked = {"sampler": sampler, "n_pixels": 300, "random_state": 1}
    alone = pw.sample_pixels(catalog, FEATURES, label, **asked, n_jobs=1)
    assert same(alone, pw.sample_pixels(catalog, FEATURES, label, **asked, n_jobs=2))


def test_workers_that_began_elsewhere_read_relative_names(
    catalog, label, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"sampler": GRID, "n_pixels": 300, "random_state": 1}
    X, y = pw.sample_pixels(catalog, FEATURES, label, **asked, n_jobs=2)
    monkeypatch.chdir(tmp_path)
    frame = catalog.frame.assign(**{name: list(map(os.path.relpath, catalog.frame[name])) for name in ("uri", "label_uri")})
    Z, z = pw.sample_pixels(pw.GeoCatalog(frame), FEATURES, label, **asked, n_jobs=2)
    assert np.array_equal(X, Z)
    assert np.array_equal(y, z)


def test_workers_of_a_cluster_draw_the_same_sample(catalog, label) -> None:
    asked = {"sampler": GRID, "n_pixels": 300, "random_state": 1}
    alone = pw.sample_pixels(catalog, FEATURES, label, **asked)
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, processes=True, dashboard_address=":0") as cluster,
        Client(cluster) as client,
        joblib.parallel_config(backend="dask", client=client, wait_for_workers_timeout=60),
    ):
        assert same(alone, pw.sample_pixels(catalog, FEATURES, label, **asked))


def test_the_order_of_the_catalog_does_not_change_the_sample(catalog, label) -> None:
    X, _ = pw.sample_pixels(catalog, None, label, n_pixels=300, random_state=1)
    Z, _ = pw.sample_pixels(catalog.take([3, 1, 0, 2]), None, label, n_pixels=300, random_state=1)
    assert set(places(X)) == {([3, 1, 0, 2][scene], pixel) for scene, pixel in places(Z)}


def test_a_larger_sample_holds_a_smaller_one(catalog, label) -> None:
    small, _ = pw.sample_pixels(catalog, None, label, n_pixels=50, random_state=1)
    large, _ = pw.sample_pixels(catalog, None, label, n_pixels=500, random_state=1)
    assert set(places(small)) < set(places(large))


def test_a_pixel_of_overlapping_chips_counts_once(catalog, label, population) -> None:
    report = pw.TrainingReport()
    sampler = pw.GridSampler((32, 32), stride=(10, 13))
    X, _ = pw.sample_pixels(catalog, None, label, sampler=sampler, random_state=1, report=report)
    assert places(X) == sorted(population())
    assert report.totals()["seen"] == sum(scene.grid.size for scene in catalog)


def test_a_sampler_without_a_seed_takes_that_of_the_sample(catalog, label) -> None:
    asked = {"sampler": pw.RandomSampler((16, 16), length=4), "n_pixels": 100, "random_state": 2}
    assert same(pw.sample_pixels(catalog, None, label, **asked), pw.sample_pixels(catalog, None, label, **asked))


def test_operators_that_look_round_see_beyond_the_chip(catalog, label) -> None:
    smooth = pw.texture.FocalStatistics(("mean",), size=5) if hasattr(pw.texture, "FocalStatistics") else pw.sar.LeeSpeckle(5)
    large, _ = pw.sample_pixels(catalog, smooth, label, sampler=pw.GridSampler((100, 100)))
    small, _ = pw.sample_pixels(catalog, smooth, label, sampler=pw.GridSampler((20, 20)))
    assert np.array_equal(large, small)


def test_balance_gives_each_class_an_equal_part(catalog, label) -> None:
    _, y = pw.sample_pixels(catalog, None, label, sampler=GRID, n_pixels=101, balance=True, random_state=0)
    assert np.unique(y, return_counts=True)[1].tolist() == [50, 50]
    more = pw.sample_pixels(catalog, None, label, sampler=GRID, n_pixels=101, balance=True, random_state=0, n_jobs=2)
    assert np.array_equal(y, more[1])


def test_balance_of_measurements_is_refused(catalog) -> None:
    with pytest.raises(LabelError, match="balance=True needs classes"):
        pw.sample_pixels(catalog, None, pw.indices.NDVI(red="B04", nir="B08"), n_pixels=10, balance=True)


def test_coordinates_scenes_and_dates_travel_with_pixels(catalog, label) -> None:
    X, _ = pw.sample_pixels(catalog, None, label, n_pixels=50, random_state=0)
    assert (
        X.row_times.astype("datetime64[D]").tolist()
        == catalog.frame["datetime"].to_numpy()[X.scene].astype("datetime64[D]").tolist()
    )
    scene = X.scene[-1]
    assert scene == 3
    assert catalog[3].grid.crs.to_epsg() == 32632
    lon, lat = catalog[3].grid.xy(*np.divmod(X.pixel[-1:], catalog[3].grid.width))[0]
    assert np.allclose(X.xy[-1], transform_xy(np.array([[lon, lat]]), as_crs("EPSG:32632"), X.crs))


def test_scenes_of_one_crs_hold_it_once_so_that_a_catalog_takes_little_memory(catalog, label) -> None:
    X, _ = pw.sample_pixels(catalog, None, label, n_pixels=10, random_state=0)
    assert [grid == scene.grid for grid, scene in zip(X.grids, catalog, strict=True)] == [True] * 4
    assert len({id(grid.crs) for grid in X.grids}) == 2


@pytest.mark.parametrize(
    ("groups", "count"), [(None, 4), ("scene", 4), ("tile", 3), ("block", None)], ids=["none", "scene", "tile", "block"]
)
def test_groups_are_scenes_columns_or_blocks_as_wide_as_chips(catalog, label, groups, count) -> None:
    X, _ = pw.sample_pixels(catalog if groups != "block" else catalog.take([0, 1, 2]), None, label, sampler=GRID, groups=groups)
    if count is not None:
        assert len(np.unique(X.groups)) == count
        return
    expected = np.unique(np.floor(X.xy / 320), axis=0, return_inverse=True)[1].ravel()
    assert len(np.unique(np.column_stack([X.groups, expected]), axis=0)) == len(np.unique(expected)) == len(np.unique(X.groups))


# ---------------------------------------------------------------------- dates and missing data


def test_the_report_tells_clouds_from_missing_data_and_missing_labels(tmp_path, write) -> None:
    values = np.full((3, 10, 10), 7, "int16")
    values[:2, 0] = -9999
    values[2] = 0
    values[2, 5:7] = 1
    write(values, "a.tif", names=("red", "nir", "flag"), nodata=-9999)
    catalog = pw.open_catalog(tmp_path / "a.tif")

    def clear(chip):
        return chip.where(chip.sel(band="flag") != 1).sel(band=["red", "nir"])

    def left(chip):
        return (chip.isel(band=0) * 0 + 3).where(chip.x < chip.x[4])

    report = pw.TrainingReport()
    pw.sample_pixels(catalog, clear, left, n_pixels=10, random_state=0, report=report)
    assert report.scenes.to_dict("records") == [
        {
            "scene": "a",
            "chips": 1,
            "seen": 100,
            "no_data": 10,
            "masked": 20,
            "no_label": 42,
            "valid": 28,
            "kept": 10,
            "failed": 0,
        }
    ]
    assert report.classes.to_dict("records") == [{"class": 3, "valid": 28, "kept": 10}]
    assert "20 are masked by X_pipeline" in repr(report)
    assert "<table" in report._repr_html_()


def test_gaps_are_kept_where_the_policy_says_so(tmp_path, write) -> None:
    values = np.full((2, 4, 4), 7, "int16")
    values[0, 0] = -9999
    values[:, 1] = -9999
    write(values, "a.tif", names=("red", "nir"), nodata=-9999)
    catalog = pw.open_catalog(tmp_path / "a.tif")
    X, _ = pw.sample_pixels(catalog, None, nan_policy="propagate")
    assert len(X) == 12
    assert np.isnan(np.asarray(X)[:4, 0]).all()
    with pytest.raises(MissingDataError, match=r"scene a: 8 of 16 pixels of the chip lack data"):
        pw.sample_pixels(catalog, None, nan_policy="raise")


def test_a_fill_that_nobody_declared_is_spoken_of_and_can_be_named(tmp_path, write, values) -> None:
    values = values.copy()
    values[:, :20] = 0
    write(values, "a.tif")
    catalog = pw.open_catalog(tmp_path / "a.tif")
    told = r"are 0 in every band.*pass nan_policy=NanPolicy\(sentinels=0\) here, and as nan= to the model"
    with pytest.warns(pw.errors.MissingDataWarning, match=told):
        pw.sample_pixels(catalog, None, n_pixels=1000, random_state=0)
    report = pw.TrainingReport()
    X, _ = pw.sample_pixels(catalog, None, nan_policy=pw.NanPolicy(sentinels=0), report=report)
    assert (len(X), report.totals()["no_data"]) == (40 * 80, 20 * 80)


def test_scenes_of_many_dates_give_a_column_a_band_and_date(landsat_series, tmp_path, write) -> None:
    dates = list(landsat_series)[40:43]
    stack = pw.open_raster([{band: landsat_series[date][band] for band in ("b3", "b4")} for date in dates], times=dates)

    write(np.ones((1, *stack.shape[-2:]), "uint8"), "a.tif", crs=stack.rio.crs, transform=stack.rio.transform())
    catalog = pw.open_catalog(tmp_path / "a.tif")

    def series(chip):
        rows, cols = (np.searchsorted(-stack.y.values, -chip.y.values), np.searchsorted(stack.x.values, chip.x.values))
        return stack.isel(y=rows, x=cols, time=[2, 0, 1])

    X, _ = pw.sample_pixels(catalog, series, sampler=pw.GridSampler((30, 30)))
    expected = pw.extract_pixels(stack, np.ones(stack.shape[-2:], int))[0]
    assert X.feature_names == expected.feature_names
    assert X.base_bands == ("b3", "b4")
    assert np.array_equal(X, expected)


# ---------------------------------------------------------------------- what goes wrong


def test_a_pipeline_that_leaves_the_grid_is_refused_by_the_scenes_name(catalog, label) -> None:
    with pytest.raises(GridError, match="X_pipeline gives scene S2_a_20170211 another grid"):
        pw.sample_pixels(catalog, lambda chip: chip[:, ::2], label)
    with pytest.raises(GridError, match="y_pipeline gives scene S2_a_20170211 another grid"):
        pw.sample_pixels(catalog, None, lambda chip: chip[:1, :, 1:])


def test_scenes_with_other_bands_are_refused_by_name_and_others_put_in_order(write, tmp_path, whole) -> None:
    part = whole.values[:, :20, :20]
    write(part, "a.tif", names=("B02", "B04", "B08"))
    write(part[[2, 0, 1]], "b.tif", names=("B08", "B02", "B04"))
    X, _ = pw.sample_pixels(pw.open_catalog(tmp_path), None)
    assert np.array_equal(np.asarray(X)[:400], np.asarray(X)[400:])
    write(part[:2], "c.tif", names=("B02", "B04"))
    with pytest.raises(BandError, match="scene c: the raster lacks band B08"):
        pw.sample_pixels(pw.open_catalog(tmp_path), None)


@pytest.fixture
def damaged(catalog, tmp_path) -> pw.GeoCatalog:
    """The second scene is cut short after the catalog was made."""
    path = tmp_path / "S2_b.tif"
    path.write_bytes(Path(catalog[1].uri).read_bytes())
    frame = catalog.frame.copy()
    frame.loc[1, "uri"] = str(path)
    path.write_bytes(path.read_bytes()[:9000])
    return pw.GeoCatalog(frame)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_scene_that_cannot_be_read_is_an_error_with_its_name_or_left_out(damaged, label, n_jobs) -> None:
    with pytest.raises(RasterReadError, match="S2_b"):
        pw.sample_pixels(damaged, None, label, n_jobs=n_jobs)
    report = pw.TrainingReport()
    with pytest.warns(pw.errors.PixelwiseWarning, match="1 scene could not be read in whole and was left out"):
        X, _ = pw.sample_pixels(damaged, None, label, on_error="skip", report=report, n_jobs=n_jobs)
    assert set(X.scene.tolist()) == {0, 2, 3}
    assert list(report.errors) == ["S2_b_20170212"]
    assert "1 scene not read in whole" in repr(report)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_what_all_chips_warn_of_is_told_once(catalog, n_jobs) -> None:
    left, bottom, right, top = catalog.frame.to_crs(32633).total_bounds
    boxes = [shapely.box(left, bottom, right, top), shapely.box(left, bottom, right, top - 100)]
    shapes = gpd.GeoDataFrame({"kind": ["a", "b"]}, geometry=boxes, crs=32633)
    label = pw.ReadLabel(labels=shapes, column="kind", classes=["a", "b"])
    with pytest.warns(PixelwiseWarning) as told:
        pw.sample_pixels(catalog, None, label, sampler=pw.GridSampler((40, 40)), n_pixels=10, random_state=0, n_jobs=n_jobs)
    assert len(told) == 1
    assert "lie under features with different labels" in str(told[0].message)
    assert str(told[0].message).endswith("(scene S2_a_20170211; alike in 3 other places)")
    assert told[0].filename == __file__


@pytest.mark.parametrize("wrong", [0, -3, 2.5, True, "many"])
def test_a_count_that_is_none_is_refused(catalog, wrong) -> None:
    with pytest.raises(ValueError, match=f"n_pixels={wrong!r} is no count"):
        pw.sample_pixels(catalog, None, n_pixels=wrong)


def test_a_sample_beyond_the_budget_is_refused_with_one_that_fits(catalog, label) -> None:
    with pytest.raises(MemoryBudgetError, match=r"n_pixels=1000 of 3 features .*: lower n_pixels to 151") as caught:
        pw.sample_pixels(catalog, None, label, n_pixels=1000, memory="10KB")
    most = caught.value.values["most"]
    assert len(pw.sample_pixels(catalog, None, label, n_pixels=most, memory="10KB")[0]) == most
    with pytest.raises(MemoryBudgetError, match=r"a population of .* pixels or more"):
        pw.sample_pixels(catalog, None, label, memory="10KB")


def test_a_catalog_without_a_pixel_to_learn_from_says_where_they_went(catalog, label) -> None:
    with pytest.raises(MissingDataError, match=r"are masked by X_pipeline.*band B04 has no data in scene S2_a"):
        pw.sample_pixels(catalog, lambda chip: chip.where(chip.band != "B04"), label)
    with pytest.raises(LabelError, match=r"have no label.*labels lie where the chips do"):
        pw.sample_pixels(catalog, None, lambda chip: chip[:1].where(chip[:1] < 0))


def test_labels_can_be_demanded_of_all_pixels(catalog, label) -> None:
    with pytest.raises(LabelError, match=r"scene S2_a_20170211: \d+ of 4200 pixels have no label"):
        pw.sample_pixels(catalog, None, label, nan_policy=pw.NanPolicy(on_label="raise"))


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({"groups": "county"}, CatalogError, "groups='county' is no column"),
        ({"groups": "tile", "group_band": 0}, CatalogError, "choose one of them"),
        ({"group_band": 4}, BandError, "group_band=4 is no band"),
        ({"on_error": "ignore"}, ValueError, "on_error='ignore' is not known"),
        ({"nan_policy": "impute"}, ValueError, "depends on an estimator"),
        ({"sampler": 7}, TypeError, "sampler=7 is none"),
        ({"balance": True}, LabelError, "give n_pixels"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_cannot_be_done_is_said(catalog, label, asked, error, message) -> None:
    with pytest.raises(error, match=message):
        pw.sample_pixels(catalog, None, label, **asked)


def test_a_group_band_needs_labels(catalog) -> None:
    with pytest.raises(LabelError, match="group_band=1 is a band of the labels, and there are none"):
        pw.sample_pixels(catalog, None, group_band=1)


def test_the_order_of_the_catalog_changes_no_row(catalog, label) -> None:
    asked = {"sampler": GRID, "n_pixels": 300, "random_state": 1}
    X, y = pw.sample_pixels(catalog, FEATURES, label, **asked)
    Z, z = pw.sample_pixels(catalog.take([2, 0, 3, 1]), FEATURES, label, **asked)
    assert np.array_equal(X, Z)
    assert np.array_equal(y, z)
