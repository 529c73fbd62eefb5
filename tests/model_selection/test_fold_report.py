from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import wasserstein_distance
from sklearn.model_selection import GroupKFold, KFold, LeaveOneOut, ShuffleSplit, StratifiedKFold

import pixelwise as pw
from pixelwise.errors import CRSError, FoldError, LabelError

BLOCKS = pw.SpatialBlockGroupKFold(3, block_size=100, buffer=20)


@pytest.fixture
def labelled(scene: Path, polygons: Path) -> tuple[pw.PixelTable, np.ndarray]:
    return pw.extract_pixels(scene, polygons, column="class")


@pytest.fixture
def places() -> np.ndarray:
    """Forty places in two towns, 5 km apart."""
    rng = np.random.default_rng(0)
    return np.concatenate([rng.uniform(0, 500, (20, 2)), rng.uniform(5000, 5500, (20, 2))])


def test_there_is_a_row_for_each_fold_with_its_sizes(labelled: tuple[pw.PixelTable, np.ndarray]) -> None:
    report = pw.fold_report(BLOCKS, *labelled)
    folds = list(BLOCKS.split(*labelled))
    assert report.index.name == "fold"
    assert report["n_train"].tolist() == [len(train) for train, _ in folds]
    assert report["n_test"].tolist() == [len(test) for _, test in folds]
    assert (report[["n_train", "n_test", "n_lost"]].sum(axis=1) == 1200).all()
    assert (report["n_lost"] > 0).all()


def test_classes_are_counted_on_both_sides(labelled: tuple[pw.PixelTable, np.ndarray]) -> None:
    X, y = labelled
    report = pw.fold_report(BLOCKS, X, y)
    for number, (train, test) in enumerate(BLOCKS.split(X, y)):
        assert report.loc[number, "train_forest"] == (y[train] == "forest").sum()
        assert report.loc[number, "test_water"] == (y[test] == "water").sum()


def test_numbers_have_quartiles(labelled: tuple[pw.PixelTable, np.ndarray]) -> None:
    X, _ = labelled
    y = np.asarray(X)[:, 3].astype(float) + 0.5
    report = pw.fold_report(BLOCKS, X, y)
    train, test = next(iter(BLOCKS.split(X, y)))
    assert report.loc[0, ["train_q25", "train_q50", "train_q75"]].tolist() == np.quantile(y[train], [0.25, 0.5, 0.75]).tolist()
    assert report.loc[0, "test_q50"] == np.median(y[test])
    assert not any(name.startswith("train_f") for name in report)


def test_many_whole_numbers_are_a_quantity_unless_said_otherwise(places: np.ndarray) -> None:
    heights = np.arange(40) * 3
    assert "train_117" in pw.fold_report(KFold(4), places, heights)
    assert "train_q50" in pw.fold_report(KFold(4), places, heights, task="regression")
    many = np.arange(300)
    assert "train_q50" in pw.fold_report(KFold(4), np.zeros((300, 1)), many)
    assert "train_299" in pw.fold_report(KFold(4), np.zeros((300, 1)), many, task="classification")


def test_distances_are_those_to_the_nearest_training_row(places: np.ndarray) -> None:
    y = np.array(["a", "b"] * 20)
    cv = KFold(4, shuffle=True, random_state=0)
    assert pw.fold_report(cv, places, y)["test_distance_min"].isna().all()
    frame = pd.DataFrame(places, index=pd.MultiIndex.from_arrays(places.T[::-1], names=["y", "x"]))
    report = pw.fold_report(cv, frame, y)
    for number, (train, test) in enumerate(cv.split(places)):
        near = np.linalg.norm(places[test][:, None] - places[train], axis=2).min(axis=1)
        assert report.loc[number, "test_distance_min"] == pytest.approx(near.min())
        assert report.loc[number, "test_distance_median"] == pytest.approx(np.median(near))


def test_w_compares_with_the_distances_of_the_map(places: np.ndarray) -> None:
    y = np.array(["a", "b"] * 20)
    cv = pw.SpatialBlockGroupKFold(2, block_size=1000, crs=32633)
    domain = np.random.default_rng(1).uniform(0, 6000, (300, 2))
    report = pw.fold_report(cv, places, y, groups=places, prediction_domain=domain)
    gij = np.linalg.norm(domain[:, None] - places, axis=2).min(axis=1)
    near = [
        np.linalg.norm(places[test][:, None] - places[train], axis=2).min(axis=1) for train, test in cv.split(places, y, places)
    ]
    assert report["prediction_distance_median"].tolist() == pytest.approx([np.median(gij)] * 2)
    assert report["W"].tolist() == pytest.approx([wasserstein_distance(each, gij) for each in near])
    assert report.attrs["W"] == pytest.approx(wasserstein_distance(np.concatenate(near), gij))


def test_the_domain_and_the_seed_of_the_splitter_are_taken(
    labelled: tuple[pw.PixelTable, np.ndarray], raster: xr.DataArray
) -> None:
    X, y = labelled
    cv = pw.KNNDMSplit(3, raster, random_state=4, domain_size=500)
    few = X[::10]
    assert pw.fold_report(cv, few, y[::10]).attrs["W"] == pytest.approx(cv.distances(few).W)


def test_degrees_are_measured_on_the_sphere() -> None:
    lonlat = np.array([[0.0, 60.0], [1.0, 60.0], [0.0, 61.0], [1.0, 61.0]])
    frame = gpd.GeoDataFrame({"y": [0, 1, 0, 1]}, geometry=gpd.points_from_xy(*lonlat.T), crs=4326)
    report = pw.fold_report(LeaveOneOut(), frame, frame["y"])
    assert report["test_distance_min"].round(-2).tolist() == [55600, 55600, 53900, 53900]


def test_folds_without_faults_have_no_flags(labelled: tuple[pw.PixelTable, np.ndarray]) -> None:
    X, y = labelled
    report = pw.fold_report(GroupKFold(2), X, y, groups=X.groups % 2)
    assert report["flags"].tolist() == ["", ""]
    assert report.attrs["remedies"] == {}


def flags(report: pd.DataFrame, number: int = 0) -> str:
    return str(report.loc[number, "flags"])


def test_a_class_that_is_never_trained_on_is_flagged() -> None:
    y = np.array(["a"] * 20 + ["b"] * 20 + ["c"] * 20)
    report = pw.fold_report(KFold(3), np.zeros((60, 1)), y)
    assert "class missing in training: b (20 test rows)" in flags(report, 1)
    assert "single-class test: b alone" in flags(report, 1)
    assert {"class missing", "single class"} == set(report.attrs["remedies"])


def test_tiny_and_oversized_tests_are_flagged() -> None:
    y = np.array(["a", "b"] * 100)
    rows = np.arange(200)
    folds = [(rows[8:], rows[:8]), (rows[:60], rows[60:]), (np.r_[rows[:8], rows[60:]], rows[8:60])]
    report = pw.fold_report(folds, np.zeros((200, 1)), y)
    assert "tiny test: 8 rows, the mean of folds is 67" in flags(report, 0)
    assert "imbalance: tests 140 rows" in flags(report, 1)
    assert flags(report, 2) == ""


def test_tests_unlike_the_rest_are_flagged() -> None:
    y = np.array(["a"] * 45 + ["b"] * 5 + ["a"] * 5 + ["b"] * 45)
    report = pw.fold_report(KFold(2), np.zeros((100, 1)), y)
    assert "imbalance: a is 90% of the test, and 50% of all rows" in flags(report)
    numbers = pw.fold_report(KFold(2), np.zeros((100, 1)), np.arange(100) + 0.5)
    assert "imbalance: the median of the test, 25, lies outside the training quartiles 62.75 to 87.25" in flags(numbers)


def test_rows_at_the_same_place_are_a_leak(places: np.ndarray) -> None:
    twice = np.concatenate([places, places[:3]])
    y = np.array(["a", "b"] * 21 + ["a"])
    report = pw.fold_report(KFold(4), np.zeros((43, 1)), y, groups=twice)
    assert "leakage: 3 test rows have the coordinates of training rows" in flags(report)
    assert "drop duplicate rows" in report.attrs["remedies"]["same place"]


def test_polygons_on_both_sides_are_a_leak(labelled: tuple[pw.PixelTable, np.ndarray]) -> None:
    X, y = labelled
    report = pw.fold_report(KFold(2), X, y)
    assert "leakage: 600 test rows share 4 polygons with training rows" not in flags(report)
    shuffled = pw.fold_report(StratifiedKFold(3, shuffle=True, random_state=0), X, y)
    assert "leakage: 400 test rows share 4 polygons with training rows" in flags(shuffled)
    given = pw.fold_report(StratifiedKFold(3, shuffle=True, random_state=0), np.asarray(X), y)
    assert "leakage" not in flags(given)


def test_groups_on_both_sides_are_a_leak() -> None:
    y, farm = np.array(["a", "b"] * 30), np.arange(60) // 7
    report = pw.fold_report(KFold(3), np.zeros((60, 1)), y, groups=farm)
    assert "leakage: 6 test rows share 1 groups with training rows" in flags(report)


def test_pixels_beside_training_pixels_are_a_leak(scene: Path, raster: xr.DataArray) -> None:
    labels = np.where(np.arange(80) >= 40, 1, 0) * np.ones((60, 1), int)
    X, y = pw.extract_pixels(raster, labels)
    report = pw.fold_report(KFold(3, shuffle=True, random_state=0), X, y)
    assert "leakage: 100% of the test pixels lie beside training pixels" in flags(report)
    assert "SpatialBlockGroupKFold" in report.attrs["remedies"]["beside"]
    blocks = pw.fold_report(pw.SpatialBlockGroupKFold(3, block_size=200), X, y)
    assert "leakage" not in flags(blocks)


def test_leave_one_out_is_not_flagged_row_by_row(places: np.ndarray) -> None:
    cv = pw.BufferedLeaveOneOut(buffer=100, crs=32633)
    report = pw.fold_report(cv, places, np.array(["a", "b"] * 20), groups=places)
    assert len(report) == 40
    assert set(report["flags"]) == {""}
    assert report["n_lost"].sum() > 0
    assert report["test_distance_min"].min() > 100


def test_rows_that_are_never_tested_are_counted() -> None:
    report = pw.fold_report(ShuffleSplit(1, test_size=10, random_state=0), np.zeros((40, 1)), np.array(["a", "b"] * 20))
    assert report.attrs["n_untested"] == 30


def test_a_fold_without_test_rows_is_flagged() -> None:
    rows = np.arange(40)
    report = pw.fold_report([(rows, rows[:0]), (rows[:20], rows[20:])], np.zeros((40, 1)), np.array(["a", "b"] * 20))
    assert flags(report) == "no test rows"
    numbers = pw.fold_report([(rows, rows[:0]), (rows[:20], rows[20:])], np.zeros((40, 1)), rows / 3)
    assert np.isnan(numbers.loc[0, "test_q50"])


def test_the_report_says_that_folds_are_cross_validation(labelled: tuple[pw.PixelTable, np.ndarray]) -> None:
    assert "cross-validation" in pw.fold_report(BLOCKS, *labelled).attrs["statement"]


def test_reports_can_be_joined_and_written(labelled: tuple[pw.PixelTable, np.ndarray], tmp_path: Path) -> None:
    report = pw.fold_report(BLOCKS, *labelled)
    assert len(pd.concat([report, report])) == 6
    report.to_csv(tmp_path / "report.csv")
    assert (
        pd.read_csv(tmp_path / "report.csv", index_col="fold", keep_default_na=False)["n_test"].tolist()
        == report["n_test"].tolist()
    )


def test_labels_of_any_type_name_columns(places: np.ndarray) -> None:
    assert "train_True" in pw.fold_report(KFold(2), places, np.arange(40) % 2 == 0)
    assert "train_1" in pw.fold_report(KFold(2), places, np.arange(40) % 2 * 1.0)
    assert "test_b" in pw.fold_report(KFold(2), places, pd.Series(["a", "b"] * 20, dtype=object))
    assert "test_b" in pw.fold_report(KFold(2), places, pd.Series(["a", "b"] * 20).astype("category"))


def test_columns_of_space_and_time_are_no_coordinates() -> None:
    where_when = np.column_stack([np.repeat(np.arange(4), 10), np.tile(np.arange(5), 8)])
    cv = pw.SpaceTimeKFold(2, leave="both", random_state=0)
    report = pw.fold_report(cv, np.zeros((40, 1)), np.array(["a", "b"] * 20), groups=where_when)
    assert report["test_distance_min"].isna().all()
    assert (report["n_lost"] > 0).all()


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "short y": (lambda X, y: pw.fold_report(BLOCKS, X, y[1:]), LabelError, r"y has shape \(1199,\) and X has 1200 rows"),
    "no labels": (lambda X, y: pw.fold_report(BLOCKS, X, np.where(y == "water", None, y)), LabelError, "600 of 1200 labels"),
    "no splitter": (lambda X, y: pw.fold_report("blocks", X, y), FoldError, "cv='blocks' makes no folds"),
    "task": (lambda X, y: pw.fold_report(BLOCKS, X, y, task="sums"), FoldError, "task='sums' is not known"),
    "nowhere": (
        lambda X, y: pw.fold_report(KFold(3), np.asarray(X), y, prediction_domain=X.xy),
        FoldError,
        "nothing says where the rows of X are",
    ),
    "two CRSs": (
        lambda X, y: pw.fold_report(pw.SpatialBlockGroupKFold(3, 100, crs=4326), X, y),
        CRSError,
        "X has CRS EPSG:32633, and the splitter was given crs=EPSG:4326",
    ),
    "too few blocks": (lambda X, y: pw.fold_report(pw.SpatialBlockGroupKFold(9, 500), X, y), FoldError, "cannot make 9 folds"),
    "NaN coordinates": (
        lambda X, y: pw.fold_report(KFold(3), np.asarray(X), y, groups=np.full((1200, 2), np.nan)),
        FoldError,
        "1200 of 1200 rows have no coordinates",
    ),
    "short groups": (lambda X, y: pw.fold_report(BLOCKS, X, y, groups=X.xy[1:]), FoldError, "groups has 1199 rows"),
    "empty": (lambda X, y: pw.fold_report(KFold(2), X[:0], y[:0]), LabelError, "a row or more"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_told_in_one_line(case: str, labelled: tuple[pw.PixelTable, np.ndarray]) -> None:
    call, kind, message = BAD[case]
    with pytest.raises(kind, match=message) as caught:
        call(*labelled)
    assert "\n" not in str(caught.value)
