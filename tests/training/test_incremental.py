"""Every valid pixel reaches the estimator once an epoch, and a training that was killed goes on to the same result."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pytest
import skops.io
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import Birch, MiniBatchKMeans
from sklearn.decomposition import IncrementalPCA
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.svm import SVC

import pixelwise as pw
from pixelwise.errors import (
    ArtifactError,
    LabelError,
    MemoryBudgetError,
    MissingDataError,
    MissingDataWarning,
    PixelwiseWarning,
)

GRID = pw.GridSampler((32, 32))
NDVI = pw.indices.NDVI(red="B04", nir="B08")
CHUNKS: list[tuple[np.ndarray, np.ndarray]] = []


class Recorder(ClassifierMixin, BaseEstimator):
    """Writes down what it is given."""

    def fit(self, X, y):
        return self

    def partial_fit(self, X, y, classes=None):
        CHUNKS.append((np.asarray(X), y))
        return self


@pytest.fixture(autouse=True)
def _nothing_recorded() -> None:
    CHUNKS.clear()


def with_number(chip):
    """Return where each pixel is: scene and number, so that rows can be told from each other."""
    scene = float("abce".index(chip.attrs["id"][3]))
    x, y = np.meshgrid(chip.x, chip.y)
    return np.stack([np.full(x.shape, scene), x, y])


def record(catalog, label, **asked) -> list[np.ndarray]:
    CHUNKS.clear()
    pw.fit_pixelwise_incremental(
        Recorder(), with_number, label, catalog=catalog, classes=[1, 2], **{"sampler": GRID, "random_state": 0, **asked}
    )
    return [X for X, _ in CHUNKS]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("chunk_size", [70, 1000, 100_000])
def test_every_valid_pixel_comes_once_an_epoch(catalog, label, population, shuffle, chunk_size) -> None:
    chunks = record(catalog, label, chunk_size=chunk_size, epochs=2, shuffle=shuffle)
    rows = np.concatenate(chunks)
    half = len(population())
    assert len(rows) == 2 * half
    first, second = (np.unique(part, axis=0) for part in (rows[:half], rows[half:]))
    assert len(first) == half
    assert np.array_equal(first, second)
    sizes = list(map(len, chunks))
    assert sorted(set(sizes), reverse=True) == sorted({min(chunk_size, half), half % chunk_size or chunk_size}, reverse=True)


def test_pixels_of_overlapping_chips_come_once(catalog, label, population) -> None:
    rows = np.concatenate(record(catalog, label, sampler=pw.GridSampler((32, 32), stride=(15, 20)), chunk_size=500))
    assert len(rows) == len(np.unique(rows, axis=0)) == len(population())


def test_epochs_come_in_different_orders_and_chunks_mix_scenes(catalog, label) -> None:
    chunks = record(catalog, label, chunk_size=500, epochs=2)
    half = len(chunks) // 2
    assert not np.array_equal(chunks[0], chunks[half])
    assert len(np.unique(chunks[0][:, 0])) > 1


def test_workers_do_not_change_the_order(catalog, label) -> None:
    alone = record(catalog, label, chunk_size=500)
    with joblib.parallel_config("threading"):
        assert all(map(np.array_equal, alone, record(catalog, label, chunk_size=500, n_jobs=2)))


def test_without_shuffling_pixels_come_as_they_lie(catalog, label) -> None:
    rows = np.concatenate(record(catalog, label, chunk_size=300, shuffle=False, sampler=None))
    assert (np.diff(rows[:, 0]) >= 0).all()


def test_memory_bounds_how_many_pixels_are_mixed(catalog, label) -> None:
    small = record(catalog, label, chunk_size=100, memory="40KB")
    assert len(np.unique(small[0], axis=0)) == 100
    assert len(np.unique(small[0][:, 0])) < len(np.unique(record(catalog, label, chunk_size=100)[0][:, 0]))
    with pytest.raises(MemoryBudgetError, match="lower chunk_size to"):
        record(catalog, label, chunk_size=1000, memory="40KB")


def test_the_report_counts_a_pixel_once_for_all_epochs(catalog, label, population) -> None:
    report = pw.TrainingReport()
    record(catalog, label, epochs=3, report=report)
    assert report.totals()["kept"] == len(population())
    assert report.classes["kept"].sum() == len(population())


def test_a_fill_that_nobody_declared_is_spoken_of_once(tmp_path, write) -> None:
    for name in ("a", "b"):
        values = np.random.default_rng(0).integers(1, 100, (2, 40, 40)).astype("uint8")
        values[:, :, :4] = 0
        write(values, f"{name}.tif")
    asked = {"catalog": pw.open_catalog(tmp_path), "chunk_size": 400, "random_state": 0}
    with pytest.warns(MissingDataWarning, match=r"are 0 in every band, which looks like nodata .* pass nan_policy=") as told:
        pw.fit_pixelwise_incremental(IncrementalPCA(2), None, **asked)
    assert len(told) == 1
    pw.fit_pixelwise_incremental(IncrementalPCA(2), None, nan_policy=pw.NanPolicy(sentinels=0), **asked)


def test_a_linear_model_learns_and_knows_the_bands(catalog, label) -> None:
    fitted = pw.fit_pixelwise_incremental(
        SGDClassifier(random_state=0), NDVI, label, catalog=catalog, classes=[1, 2], chunk_size=100, epochs=3, random_state=0
    )
    assert fitted.feature_names_in_.tolist() == ["NDVI"]
    X, y = pw.sample_pixels(catalog, NDVI, label)
    model = pw.PixelwiseClassifier(fitted)
    assert model.score(X, y) > 0.9
    assert model(NDVI(catalog[0].load())).shape == (60, 70)


@pytest.mark.parametrize("estimator", [MiniBatchKMeans(3, random_state=0), IncrementalPCA(2)], ids=["kmeans", "pca"])
def test_estimators_without_labels_learn_in_parts(catalog, estimator) -> None:
    fitted = pw.fit_pixelwise_incremental(estimator, None, catalog=catalog, chunk_size=1000)
    assert fitted.n_features_in_ == 3


def test_a_regressor_and_weights(catalog) -> None:
    def measured(chip):
        red = chip.sel(band=["B04"]).astype("float64")
        return np.concatenate([red / 1000, red * 0 + 1])

    def features(chip):
        # Up to 2025, xarray's arithmetic gives up the attributes, and with them the nodata.
        return (chip / 1000).assign_attrs(chip.attrs)

    fitted = pw.fit_pixelwise_incremental(
        SGDRegressor(random_state=0), features, measured, catalog=catalog, sample_weight_band=1, chunk_size=500, random_state=0
    )
    assert fitted.coef_.shape == (3,)


def test_a_pixelwise_estimator_learns_in_parts(catalog, label) -> None:
    model = pw.PixelwiseClassifier(SGDClassifier(random_state=0))
    fitted = pw.fit_pixelwise_incremental(model, None, label, catalog=catalog, classes=[1, 2], chunk_size=500)
    assert fitted(catalog[0].load()).shape == (60, 70)


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
def test_boosters_go_on_from_their_own_trees(catalog, label, name) -> None:
    module = pytest.importorskip(name)
    if name == "xgboost" and importlib.util.find_spec("pixelwise_xgboost") is None:
        pytest.skip("the plugin is not installed")
    quiet = {"verbose": -1} if name == "lightgbm" else {}
    model = (module.LGBMClassifier if name == "lightgbm" else module.XGBClassifier)(n_estimators=3, n_jobs=1, **quiet)
    asked = {"catalog": catalog, "classes": [0, 1], "chunk_size": 2000, "random_state": 0}

    def codes(chip):
        labels = label(chip)
        return (labels.where(labels != 0) - 1).rio.write_nodata(np.nan)

    fitted = pw.fit_pixelwise_incremental(model, None, codes, **asked)
    trees = fitted.booster_.num_trees() if name == "lightgbm" else fitted.get_booster().num_boosted_rounds()
    assert trees == 9
    with pytest.raises(LabelError, match="a chunk has no pixel of class 7"):
        pw.fit_pixelwise_incremental(model, None, codes, **{**asked, "classes": [0, 1, 7]})


# ---------------------------------------------------------------------- stopped and gone on with

SCRIPT = """
import sys
import threading
import time
import numpy as np
from sklearn.linear_model import SGDClassifier
import pixelwise as pw

catalog, checkpoint, out, pause = sys.argv[1:]
label = pw.ReadLabel(band="crop_class")


def slowly(chip):
    time.sleep(float(pause))
    return chip / 1000


model = pw.fit_pixelwise_incremental(
    SGDClassifier(random_state=0), slowly, label, catalog=pw.open_catalog(catalog), sampler=pw.GridSampler((30, 30)),
    classes=[1, 2], chunk_size=100, epochs=2, checkpoint=checkpoint, checkpoint_every=5,
    random_state=7,
)
np.save(out, np.concatenate([model.coef_.ravel(), model.intercept_, [model.t_]]))
"""


def start(folder: Path, *arguments: object) -> subprocess.Popen:
    script = folder / "train.py"
    script.write_text(SCRIPT, encoding="utf-8")
    return subprocess.Popen([sys.executable, script, *map(str, arguments)], env=os.environ)


def test_a_training_that_was_killed_goes_on_to_the_same_coefficients(catalog, label, tmp_path) -> None:
    table, checkpoint = tmp_path / "catalog.parquet", tmp_path / "state.npz"
    catalog.to_parquet(table)
    whole = pw.fit_pixelwise_incremental(
        SGDClassifier(random_state=0), lambda chip: chip / 1000, label, catalog=pw.open_catalog(table), random_state=7,
        sampler=pw.GridSampler((30, 30)), classes=[1, 2], chunk_size=100, epochs=2,
    )  # fmt: skip
    killed = start(tmp_path, table, checkpoint, tmp_path / "killed.npy", 0.05)
    written = 0
    while written < 3:
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        time.sleep(0.01)
        written += checkpoint.exists() and checkpoint.stat().st_mtime_ns != before
        assert killed.poll() is None
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed.npy").exists()
    assert start(tmp_path, table, checkpoint, tmp_path / "resumed.npy", 0).wait(60) == 0
    assert np.array_equal(
        np.load(tmp_path / "resumed.npy"), np.concatenate([whole.coef_.ravel(), whole.intercept_, [whole.t_]])
    )


class StopError(RuntimeError):
    """Stands for whatever stops a training."""


#: How many chips are still read before the training is stopped; none is, of negative ones.
LEFT = {"chips": -1}


def features(chip):
    if not LEFT["chips"]:
        raise StopError
    LEFT["chips"] -= 1
    return chip / 1000


@pytest.mark.parametrize(("after", "random_state"), [(3, 5), (20, 5), (9, None)])
def test_a_checkpoint_brings_the_state_and_the_report_back(catalog, label, tmp_path, monkeypatch, after, random_state) -> None:
    asked = {"catalog": catalog, "sampler": GRID, "classes": [1, 2], "chunk_size": 200, "epochs": 2, "checkpoint_every": 2}
    path = tmp_path / "state"

    def train(left: int, **more):
        monkeypatch.setitem(LEFT, "chips", left)
        return pw.fit_pixelwise_incremental(
            SGDClassifier(random_state=0), features, label, random_state=random_state, **asked, **more
        )

    with pytest.raises(StopError):
        train(after, checkpoint=path)
    report, other = pw.TrainingReport(), pw.TrainingReport()
    resumed = train(-1, checkpoint=path, report=report)
    if random_state is not None:
        whole = train(-1, report=other)
        assert np.array_equal(whole.coef_, resumed.coef_)
        assert report.scenes.equals(other.scenes)
        assert report.classes.equals(other.classes)
    assert resumed.t_ == 2 * report.totals()["kept"] + 1
    done = train(0, checkpoint=path)
    assert np.array_equal(done.coef_, resumed.coef_)


def keep(path: Path, state: object) -> None:
    with path.open("wb") as file:
        np.savez(file, state=np.frombuffer(skops.io.dumps(state), np.uint8))


def test_a_checkpoint_stays_small_however_many_scenes_there_are(catalog, label, tmp_path) -> None:
    sizes = []
    for count in (1, 500):
        many = pw.GeoCatalog(catalog.frame.iloc[[0] * count].assign(id=[f"scene {number}" for number in range(count)]))
        pw.fit_pixelwise_incremental(
            SGDClassifier(random_state=0), None, label, catalog=many, classes=[1, 2], checkpoint=tmp_path / str(count)
        )
        sizes.append((tmp_path / str(count)).stat().st_size)
    assert sizes[1] < sizes[0] + 500 * 100


def test_a_checkpoint_of_another_run_or_of_something_else_is_refused(catalog, label, tmp_path) -> None:
    path = tmp_path / "state"
    asked = {"catalog": catalog, "classes": [1, 2], "checkpoint": path, "random_state": 0}
    pw.fit_pixelwise_incremental(SGDClassifier(random_state=0), None, label, **asked)
    with pytest.raises(ArtifactError, match="is of another run"):
        pw.fit_pixelwise_incremental(SGDClassifier(alpha=0.1), None, label, **asked)
    elsewhere = catalog.assign(label_uri=lambda scene: str(shutil.copy(scene.metadata["label_uri"], tmp_path)))
    for other in ({"catalog": elsewhere}, {"sample_weight_band": 0}, {"X_pipeline": lambda chip: chip / 2}):
        with pytest.raises(ArtifactError, match="is of another run"):
            pw.fit_pixelwise_incremental(
                SGDClassifier(random_state=0), **{"X_pipeline": None, "y_pipeline": label, **asked, **other}
            )
    with pytest.raises(ValueError, match=r"cannot be pickled .*: leave out what is open or running"):
        pw.fit_pixelwise_incremental(SGDClassifier(), partial(np.multiply, threading.Lock()), label, **asked)
    keep(path, {"estimator": 1})
    with pytest.raises(ArtifactError, match="is no checkpoint: remove it"):
        pw.fit_pixelwise_incremental(SGDClassifier(), None, label, **asked)
    keep(path, {"position": Path("somewhere")})
    with pytest.raises(ArtifactError, match=r"holds types that are not trusted: .*Path"):
        pw.fit_pixelwise_incremental(SGDClassifier(), None, label, **asked)
    path.write_bytes(b"something else")
    with pytest.raises(ArtifactError, match="cannot be read"):
        pw.fit_pixelwise_incremental(SGDClassifier(), None, label, **asked)
    with pytest.raises(ArtifactError, match="a folder that does not exist"):
        pw.fit_pixelwise_incremental(SGDClassifier(), None, label, **{**asked, "checkpoint": tmp_path / "no" / "state"})


# ---------------------------------------------------------------------- what goes wrong


def test_a_checkpoint_that_could_not_be_written_is_refused_before_a_chip_is_read(catalog, tmp_path) -> None:
    def unread(chip):
        raise AssertionError

    with pytest.raises(ArtifactError, match=r"cannot keep the estimator \(.*Birch.*\): leave checkpoint out"):
        pw.fit_pixelwise_incremental(Birch(), unread, catalog=catalog, checkpoint=tmp_path / "state")
    with pytest.raises(ArtifactError, match="a folder that does not exist"):
        pw.fit_pixelwise_incremental(IncrementalPCA(2), unread, catalog=catalog, checkpoint=tmp_path / "no" / "state")


def test_a_checkpoint_that_has_gone_further_is_refused_and_one_that_has_not_goes_on(catalog, label, tmp_path) -> None:
    def train(epochs: int, **more):
        asked = {"catalog": catalog, "classes": [1, 2], "chunk_size": 500, "epochs": epochs, "random_state": 0}
        return pw.fit_pixelwise_incremental(SGDClassifier(random_state=0), None, label, **asked, **more)

    train(2, checkpoint=tmp_path / "state")
    with pytest.raises(ArtifactError, match="has gone beyond epochs=1: ask for 2 or more"):
        train(1, checkpoint=tmp_path / "state")
    assert np.array_equal(train(3, checkpoint=tmp_path / "state").coef_, train(3).coef_)


def test_an_estimator_that_learns_at_once_only_is_refused_with_those_that_do_not(catalog, label) -> None:
    with pytest.raises(TypeError, match=r"SVC does not learn in parts: .*GaussianNB, .*SGDClassifier"):
        pw.fit_pixelwise_incremental(SVC(), None, label, catalog=catalog, classes=[1, 2])


def test_classes_are_asked_for_and_held_to(catalog, label) -> None:
    with pytest.raises(LabelError, match="give classes, such as"):
        pw.fit_pixelwise_incremental(SGDClassifier(), None, label, catalog=catalog)
    with pytest.raises(LabelError, match=r"label 2 of scene S2_a_20170211 is none of classes=\[1, 3\]"):
        pw.fit_pixelwise_incremental(SGDClassifier(), None, label, catalog=catalog, classes=[1, 3], shuffle=False)


@pytest.mark.parametrize("name", ["chunk_size", "epochs", "checkpoint_every"])
def test_counts_must_be_counts(catalog, label, name) -> None:
    with pytest.raises(ValueError, match=f"{name}=0 is no count"):
        pw.fit_pixelwise_incremental(SGDClassifier(), None, label, catalog=catalog, classes=[1, 2], **{name: 0})


def test_a_chip_that_cannot_be_read_in_a_later_epoch_is_told(catalog, label) -> None:
    chips, report = [], pw.TrainingReport()

    def flaky(chip):
        chips.append(chip)
        if len(chips) == len(catalog) + 1:
            raise OSError("the share is gone")
        return chip

    asked = {"catalog": catalog, "classes": [1, 2], "epochs": 2, "shuffle": False, "on_error": "skip", "report": report}
    with pytest.warns(PixelwiseWarning, match="1 scene could not be read in whole .* S2_a_20170211: the share is gone"):
        pw.fit_pixelwise_incremental(SGDClassifier(random_state=0), flaky, label, **asked)
    assert report.errors == {"S2_a_20170211": "the share is gone"}


def test_nothing_to_learn_from_is_an_error(catalog, label) -> None:
    with pytest.raises(MissingDataError, match="no pixel is left to learn from"):
        pw.fit_pixelwise_incremental(SGDClassifier(), lambda chip: chip.where(chip < 0), label, catalog=catalog, classes=[1, 2])


def test_the_order_of_the_catalog_changes_nothing(catalog, label) -> None:
    asked = {"classes": [1, 2], "chunk_size": 300, "random_state": 0}
    models = [
        pw.fit_pixelwise_incremental(SGDClassifier(random_state=0), None, label, catalog=scenes, **asked)
        for scenes in (catalog, catalog.take([2, 0, 3, 1]))
    ]
    assert np.array_equal(models[0].coef_, models[1].coef_)
