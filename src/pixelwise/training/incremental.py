"""fit_pixelwise_incremental: all pixels of a catalog, chunk by chunk, for estimators that learn in parts."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import all_estimators

from pixelwise.catalog.fingerprint import fingerprint, scene_fingerprint
from pixelwise.catalog.geocatalog import GeoCatalog
from pixelwise.errors import ArtifactError, LabelError
from pixelwise.raster.dates import TimeAxis
from pixelwise.raster.io import parse_memory
from pixelwise.table.layout import Layout
from pixelwise.table.missing import NanPolicy, report_suspected_fill
from pixelwise.training.checkpoint import read_checkpoint, write_checkpoint
from pixelwise.training.chips import ChipReader, ChipRows
from pixelwise.training.drawing import Source, check_count, refuse_nothing, warn_of_errors
from pixelwise.training.estimators import Fitting, check_labels, continues_by, learns_classes, reading_policy, with_adapter
from pixelwise.training.pool import Pool
from pixelwise.training.reading import Chips, read_chips, seed_of
from pixelwise.training.report import TrainingReport
from pixelwise.training.rows import Rows
from pixelwise.training.tables import TableMaker, labels_as
from pixelwise.warned import gather_warnings

__all__ = ["fit_pixelwise_incremental"]

#: Chunks and chips that are mixed with each other.
_CHUNKS_MIXED, _CHIPS_MIXED = 10, 4


def fit_pixelwise_incremental(
    estimator: Any,
    X_pipeline: Any,
    y_pipeline: Any = None,
    *,
    catalog: GeoCatalog,
    sampler: Any = None,
    chunk_size: int = 10_000,
    classes: Any = None,
    epochs: int = 1,
    shuffle: bool = True,
    nan_policy: NanPolicy | str | None = None,
    adapter: Layout | None = None,
    sample_weight_band: int | str | None = None,
    checkpoint: Any = None,
    checkpoint_every: int = 10,
    random_state: Any = None,
    n_jobs: int | None = None,
    progress: bool = False,
    memory: str | int = "1GB",
    on_error: str = "raise",
    report: TrainingReport | None = None,
) -> Any:
    """Fit an estimator on all pixels of a catalog, chunk by chunk, with ``partial_fit``.

    In each epoch every valid pixel reaches the estimator exactly once, also where chips overlap: what does not fill a chunk is
    carried over to the next chip, and the last chunk of an epoch is as small as it is. With `shuffle`, chips come in another
    order in each epoch, and their pixels are mixed with those of other chips. Results depend on `random_state` and the files,
    and not on `n_jobs`.

    XGBoost's and LightGBM's estimators, which have no ``partial_fit``, go on from their own trees with each chunk: every chunk
    adds ``n_estimators`` trees, and must hold all classes.

    Parameters
    ----------
    estimator : estimator
        What is cloned and fitted; one that learns in parts.
    X_pipeline, y_pipeline : callable or None
        As for `fit_pixelwise`.
    catalog : GeoCatalog
        Scenes.
    sampler : sampler or None
        What draws chips; None takes all of each scene. It is asked once, for all epochs.
    chunk_size : int, default=10_000
        Pixels that the estimator is given at a time.
    classes : array-like or None
        All classes; needed for classifiers, as a chunk need not hold all.
    epochs : int, default=1
        How often all pixels are gone through.
    shuffle : bool, default=True
        Whether chips and pixels are mixed.
    nan_policy, adapter, sample_weight_band : object
        As for `fit_pixelwise`.
    checkpoint : path or None
        File that keeps where the training stands. A call with the same arguments goes on from there, with the same result as
        if it had not been stopped, if the estimator has a fixed ``random_state``; when all is done, it returns the estimator.
    checkpoint_every : int, default=10
        Chunks after which the file is written anew.
    random_state, n_jobs, progress : object
        As for `fit_pixelwise`.
    memory : str or int, default="1GB"
        What pixels that wait to be learned from may take, which bounds how many are mixed; a few chips for each worker come on
        top.
    on_error, report : object
        As for `fit_pixelwise`; ``kept`` are pixels that were learned from.

    Returns
    -------
    estimator
        The fitted clone.

    Raises
    ------
    TypeError
        If the estimator cannot learn in parts; the message lists those of scikit-learn that can.
    LabelError
        If `classes` are missing, or a label is none of them.
    ArtifactError
        If the checkpoint is of another run: of other files, pipelines or arguments, or of more epochs.

    Warns
    -----
    MissingDataWarning
        If many pixels of a chunk look like a fill that no file declares.

    See Also
    --------
    fit_pixelwise : For as many pixels as memory holds, and any estimator.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from sklearn.linear_model import SGDClassifier
    >>> path, polygons = pw.datasets.make_example()
    >>> report = pw.TrainingReport()
    >>> sgd = pw.fit_pixelwise_incremental(
    ...     SGDClassifier(random_state=0),
    ...     X_pipeline=None,
    ...     y_pipeline=pw.ReadLabel(labels=polygons, column="class", classes=["forest", "water"]),
    ...     catalog=pw.open_catalog(path),
    ...     chunk_size=100,
    ...     classes=[0, 1],
    ...     epochs=3,
    ...     random_state=0,
    ...     report=report,
    ... )
    >>> sgd.t_, report.totals()["kept"]
    (3601.0, 1200)
    """
    check_labels(estimator, y_pipeline)
    _check_learns_in_parts(estimator)
    if learns_classes(estimator) and classes is None:
        raise LabelError(
            f"{type(estimator).__name__} must know all classes before the first chunk: give classes, such as np.arange(9)"
        )
    for name, value in (("chunk_size", chunk_size), ("epochs", epochs), ("checkpoint_every", checkpoint_every)):
        check_count(name, value)
    reader = ChipReader(X_pipeline, y_pipeline, reading_policy(estimator, nan_policy), None, sample_weight_band)
    source = Source(catalog, sampler, reader, None, random_state, n_jobs, progress, on_error, report)
    model = clone(with_adapter(estimator, adapter))
    known = None if classes is None or not learns_classes(estimator) else np.asarray(classes)
    path = None if checkpoint is None else Path(checkpoint)
    run = _Run(source, Fitting(model, adapter), known, int(chunk_size), shuffle, parse_memory(memory), path, checkpoint_every)
    return run.go(int(epochs))


def _check_learns_in_parts(estimator: Any) -> None:
    if hasattr(estimator, "partial_fit") or continues_by(estimator) is not None:
        return
    names = ", ".join(name for name, cls in all_estimators() if hasattr(cls, "partial_fit"))
    raise TypeError(
        f"{type(estimator).__name__} does not learn in parts: use fit_pixelwise with n_pixels, XGBoost, LightGBM, "
        f"or one of {names}"
    )


@dataclass
class _Run:
    """A training that can be stopped and gone on with."""

    source: Source
    fitting: Fitting
    classes: np.ndarray | None
    chunk_size: int
    shuffle: bool
    memory: int
    path: Path | None
    every: int

    def go(self, epochs: int) -> Any:
        """Train for so many epochs, those included that a checkpoint has."""
        source = self.source
        found = None if self.path is None else read_checkpoint(self.path, self.fitting.estimator)
        saved, arrays = found or (None, {})
        seed = saved["seed"] if saved is not None and source.random_state is None else seed_of(source.random_state)
        chips = Chips.of(source.catalog, source.sampler, seed)
        self._names = source.catalog.frame["id"]
        self._report = TrainingReport() if source.report is None else source.report
        self._maker = TableMaker(source.catalog, None, 0.0)
        largest = int(chips.slices.windows[:, 2:].prod(axis=1, dtype=np.int64).max())
        capacity = max(_CHUNKS_MIXED * self.chunk_size, _CHIPS_MIXED * largest) if self.shuffle else self.chunk_size
        self._pool = Pool(self.chunk_size, capacity, seed if self.shuffle else None, self.memory)
        self._state: dict[str, Any] = {"run": self._mark(chips, seed), "seed": seed, "epoch": 0, "position": 0}
        self._unsaved = 0
        self._report.start(len(source.catalog))
        if saved is not None:
            self._restore(saved, arrays, epochs)
        for epoch in range(self._state["epoch"], epochs):
            self._epoch(chips, epoch, seed)
        self._report.finish_all(source.catalog)
        warn_of_errors(self._report)
        if not self._report.totals()["kept"]:
            raise refuse_nothing(self._report)
        return self.fitting.estimator

    def _epoch(self, chips: Chips, epoch: int, seed: int) -> None:
        source, order = self.source, chips.used
        if self.shuffle:
            order = np.random.default_rng((seed, epoch)).permutation(order)
        start = self._state["position"]
        found = read_chips(
            chips, order[start:], source.reader, n_jobs=source.n_jobs, progress=source.progress, skip=source.on_error == "skip"
        )
        for position, chip in enumerate(found, start):
            name = str(self._names.iat[chip.scene])
            if epoch == 0:
                self._report.add(chip, name)
            elif chip.error:
                self._report.errors.setdefault(name, chip.error)
            if chip.rows is not None:
                for chunk in self._pool.push(self._checked(chip), (epoch, position)):
                    self._learn(chunk)
            self._save(epoch, position + 1)
        for chunk in self._pool.drain((epoch, len(order))):
            self._learn(chunk)
        self._save(epoch + 1, 0, always=True)

    def _checked(self, chip: ChipRows) -> Rows:
        rows = self._maker.aligned(chip)
        if rows.y is None:
            return rows
        y = labels_as(rows.y, self.classes is not None)
        strange = np.zeros(0) if self.classes is None else np.setdiff1d(y, self.classes)
        if len(strange) and self.classes is not None:
            raise LabelError(
                f"label {strange[0]} of scene {self._names.iat[chip.scene]} is none of classes={self.classes.tolist()}: "
                "add it, or make it nodata"
            )
        return Rows(rows.values, rows.scene, rows.pixel, None, y, None, rows.weight)

    def _learn(self, chunk: Rows) -> None:
        if self._state["epoch"] == 0:
            with gather_warnings() as suspected:
                report_suspected_fill(chunk.values.T, "here, and as nan= to the model", "nan_policy")
            self._report.warned.add(f"a chunk of {len(chunk)} pixels", suspected)
        self.fitting.go_on(self._maker.table(chunk), chunk.y, classes=self.classes, sample_weight=chunk.weight)
        self._unsaved += 1

    # ------------------------------------------------------------------ where it stands

    def _mark(self, chips: Chips, seed: int) -> str:
        """Return what tells this run from others; of no importance without a checkpoint."""
        if self.path is None:
            return ""
        scenes = [chips.slices.catalog[number] for number in np.unique(chips.slices.scene).tolist()]
        files = [scene_fingerprint(scene) for scene in scenes]
        learning = self.fitting.estimator, self.fitting.adapter, self.classes, self.chunk_size, self.shuffle, self.memory, seed
        try:
            return fingerprint((files, chips.slices.scene, chips.slices.windows, self.source.reader, learning))
        except (pickle.PicklingError, TypeError) as error:
            why = "checkpoint tells runs apart by what their pipelines hold"
            remedy = "leave out what is open or running, such as files, locks and generators"
            raise ValueError(f"{why}, and one cannot be pickled ({error}): {remedy}") from error

    def _save(self, epoch: int, position: int, *, always: bool = False) -> None:
        self._state.update(epoch=epoch, position=position)
        if self.path is None or not (always or self._unsaved >= self.every):
            return
        names, axis, n_features = self._maker.reference or (None, None, 0)
        rows = self._pool.rows
        state = {
            "estimator": self.fitting.estimator,
            "features": n_features,
            "names": None if names is None else list(names),
            "axis": None if axis is None else [list(axis.bands), axis.times, axis.n_times],
            "report": self._report.state(),
        }
        write_checkpoint(self.path, {**self._state, **state}, {} if rows is None else rows.arrays())
        self._unsaved = 0

    def _restore(self, saved: dict[str, Any], arrays: dict[str, np.ndarray], epochs: int) -> None:
        if saved["run"] != self._state["run"]:
            raise ArtifactError(
                f"checkpoint {self.path} is of another run: give the same estimator, catalog, sampler and arguments, "
                "or another path"
            )
        begun = saved["epoch"] + bool(saved["position"])
        if begun > epochs:
            raise ArtifactError(
                f"checkpoint {self.path} has gone beyond epochs={epochs}: ask for {begun} or more, or remove it to start anew"
            )
        self._state.update(epoch=saved["epoch"], position=saved["position"])
        self.fitting.estimator = saved["estimator"]
        names, axis = saved["names"], saved["axis"]
        if saved["features"]:
            self._maker.reference = (
                None if names is None else tuple(names),
                None if axis is None else TimeAxis(tuple(axis[0]), *axis[1:]),
                saved["features"],
            )
        self._pool.rows = Rows(**arrays) if arrays else None
        self._report.restore(saved["report"])
