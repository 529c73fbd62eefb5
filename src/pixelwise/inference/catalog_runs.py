"""CatalogPipeline: one pipeline over all scenes of a catalog, in processes or on a cluster, with a journal."""

from __future__ import annotations

import contextlib
import os
import pickle
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from pixelwise.catalog.facts import FACTS, files_of
from pixelwise.catalog.fingerprint import fingerprint, local_files, scene_fingerprint
from pixelwise.catalog.geocatalog import GeoCatalog
from pixelwise.catalog.opening import open_catalog
from pixelwise.errors import CatalogError, PixelwiseWarning
from pixelwise.inference.backends import backend_named
from pixelwise.inference.chips import ApplyToChips
from pixelwise.inference.context import known_halo
from pixelwise.inference.journal import Entry, Journal, only_run
from pixelwise.inference.models import as_raster_model, method_of, taking_rasters
from pixelwise.inference.scene_work import SceneTask, lost, work_on_all
from pixelwise.inference.write_cog import WriteCOG
from pixelwise.operators.core import Sequential
from pixelwise.raster.cog import check_compress
from pixelwise.raster.destination import check_destination, clear_staged, staged
from pixelwise.raster.io import parse_memory
from pixelwise.raster.open_files import gdal_cache
from pixelwise.raster.remote import gdal_path, is_remote
from pixelwise.raster.surroundings import Surroundings
from pixelwise.raster.uploads import address
from pixelwise.warned import Gathered

__all__ = ["CatalogPipeline"]

_ON_ERROR = ("raise", "skip", "retry")
#: How often a scene is tried in all, with on_error="retry".
_TRIES = 3
#: Where maps go whose pipeline does not say so.
_DEFAULT = "maps/{id}.tif"


class CatalogPipeline:
    """Apply a pipeline to each scene of a catalog, and write a map of each.

    Scenes are read chip by chip within ``memory``, as `predict_raster` does it; workers get paths, and load the pipeline once.
    A pipeline with steps whose halo is not known, such as functions, is applied to whole scenes; put these into `ApplyToChips`
    to have them read chip by chip. So is one that begins with a `Graph` of several inputs, of which one is the scene, and each
    other the file that the catalog names for it: ``sar_uri`` for the input ``sar``.

    What is done, what failed and why is written down in a journal beside the outputs: a run that was killed goes on where it
    was, and gives the same files. One run at a time may use a journal.

    Parameters
    ----------
    catalog : GeoCatalog
        The scenes. Their metadata is there for `Switch` and for the template of `WriteCOG`.
    pipeline : Sequential, operator or model
        Ends with `WriteCOG`; without one, maps are written to ``maps/{id}.tif`` in the working directory, with a warning. A
        fitted estimator of scikit-learn at its end is wrapped, as `predict_raster` does it.
    n_workers : int, default=1
        Processes, or whatever the backend runs; -1 takes all processors. With more than one, models use one thread each.
    on_error : {"raise", "skip", "retry"}, default="raise"
        What happens when a scene fails: the run stops; it goes on, and warns at its end; or it tries the scene three times in
        all before it goes on.
    resume : bool, default=True
        Whether scenes are left out that the journal knows as done by the same pipeline from the same files; failed ones are
        tried again. False does all again.
    backend : str or None, default=None
        Of joblib: "loky" (processes), "threading", "dask" (with a ``dask.distributed.Client``), "ray" (one that is running, or
        at ``RAY_ADDRESS``, or else on this machine), or one that was registered. None takes that of ``joblib.parallel_config``,
        else loky.
    journal : path or None, default=None
        The journal, a local file of SQLite; None takes ``pixelwise-journal.sqlite`` in the folder of the template, or in the
        working directory if that one is in object storage.
    memory : str or int, default="512MB"
        Most memory that a worker takes for a scene, beyond the model.
    progress : bool, default=False
        Whether a progress bar is shown.

    Raises
    ------
    CatalogError
        When it is made, if an argument is not known; when it is run, if two scenes have the same path, or a scene fails.

    See Also
    --------
    predict_raster : One scene.
    WriteCOG : Where maps are written.

    Examples
    --------
    >>> import tempfile, pixelwise as pw
    >>> from sklearn.linear_model import LogisticRegression
    >>> scene, polygons = pw.datasets.make_example()
    >>> model = pw.PixelwiseClassifier(LogisticRegression()).fit(*pw.extract_pixels(scene, polygons, column="class"))
    >>> catalog = pw.open_catalog(scene).assign(tile="33UUU")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pipeline = pw.Sequential([model, pw.WriteCOG(path_template=f"{folder}/{{tile}}.tif")])
    ...     run = pw.CatalogPipeline(catalog, pipeline)
    ...     maps = run.run()
    ...     maps, run.status()["state"].tolist()
    (GeoCatalog(1 scene, EPSG:32633, bands predict), ['done'])
    """

    def __init__(
        self, catalog: GeoCatalog, pipeline: Any, n_workers: int = 1, on_error: str = "raise", resume: bool = True,
        backend: str | None = None, *, journal: Any = None, memory: str | int = "512MB", progress: bool = False,
    ) -> None:  # fmt: skip
        if not isinstance(catalog, GeoCatalog):
            raise TypeError(f"{type(catalog).__name__} is no GeoCatalog: open_catalog(...) makes one")
        if on_error not in _ON_ERROR:
            raise CatalogError(f"on_error={on_error!r} is not known: choose one of {', '.join(_ON_ERROR)}")
        if not np.issubdtype(type(n_workers), np.integer) or n_workers == 0:
            raise CatalogError(f"n_workers={n_workers!r} is no number of workers: pass 1 or more, or -1 for all processors")
        parse_memory(memory)
        self.catalog, self.pipeline = catalog, pipeline
        self.n_workers, self.on_error, self.resume, self.backend = n_workers, on_error, resume, backend
        self.memory, self.progress = memory, progress
        self._model, self._writer = _split(pipeline)
        folder = self._writer.folder()
        beside = Path() if is_remote(str(folder)) else folder
        self.journal = Path(journal) if journal is not None else beside / "pixelwise-journal.sqlite"

    def run(self) -> GeoCatalog:
        """Apply the pipeline to all scenes that are not done yet.

        Returns
        -------
        GeoCatalog
            The maps, in the order of their scenes, with the metadata of these and ``source_uri``. ``unreadable`` has the scenes
            that failed, and why. ``to_parquet`` keeps it.

        Raises
        ------
        CatalogError
            If the catalog is empty, two scenes have the same path, or, with ``on_error="raise"``, a scene fails.

        Warns
        -----
        PixelwiseWarning
            If scenes failed.
        """
        model = _ready(self._model)
        # Else each scene would fail with it.
        check_compress(self._writer.compress)
        scenes, paths = list(self.catalog), self._paths()
        _make_folders([*paths, self.journal])
        mark = _mark(model, self._writer)
        entries = [
            Entry(str(path), scene.id, mark, scene_fingerprint(scene)) for scene, path in zip(scenes, paths, strict=True)
        ]
        with only_run(self.journal), Journal(self.journal) as journal:
            clear_staged([*paths, self.journal])
            for path in paths:
                check_destination(path)
            todo = [number for number, entry in enumerate(entries) if not (self.resume and journal.is_done(entry))]
            failed = self._work(model, [(scenes[number], entries[number]) for number in todo], journal) if todo else {}
        if failed:
            first = next(entry for entry in entries if entry.path in failed)
            name, reason = first.scene, failed[first.path]
            warnings.warn(
                f"{len(failed)} of {len(scenes)} scenes failed, such as {name}: {reason}; the journal {self.journal} has them "
                "all, and the next run tries them again",
                PixelwiseWarning,
                stacklevel=2,
            )
        return self._outputs(entries, failed)

    def status(self) -> pd.DataFrame:
        """Return the journal.

        Returns
        -------
        pandas.DataFrame
            A row an output, with the columns path, scene, state ("done" or "failed"), reason, pipeline, source, size, seconds
            and finished.
        """
        with Journal(self.journal) as journal:
            return journal.frame()

    def _paths(self) -> list[Path]:
        """Return the output of each scene, if all can be written."""
        if not len(self.catalog):
            raise CatalogError("the catalog is empty: check what filter or query left of it")
        found: dict[str, tuple[Path, str]] = {}
        uris = self.catalog.frame["uri"]
        sources = {os.path.realpath(gdal_path(name)) for uri in uris for name in (*files_of(uri), *local_files(uri))}
        for scene in self.catalog:
            path = self._writer.path_for(scene.metadata).absolute()
            # However it is named.
            real = os.path.realpath(path)
            if real in found:
                other = found[real][1]
                remedy = (
                    "assign them ids of their own"
                    if other == scene.id
                    else "let the template name what tells them apart, as {id}"
                )
                raise CatalogError(f"scenes {other} and {scene.id} would both be written to {address(path)}: {remedy}")
            if real in sources:
                raise CatalogError(f"{address(path)} is a file of the catalog: write the maps to another folder")
            found[real] = path, scene.id
        return [path for path, _ in found.values()]

    def _work(self, model: Any, todo: Sequence[tuple[Any, Entry]], journal: Journal) -> dict[str, str]:
        """Do scenes, and return the maps that failed with the reason."""
        failed: dict[str, str] = {}
        gathered = Gathered()
        tries = _TRIES if self.on_error == "retry" else 1
        here = Surroundings.now()
        with contextlib.ExitStack() as stack:
            dump = stack.enter_context(staged(self.journal)) / "pipeline"
            # By value, so that functions of a script go along.
            joblib.dump(joblib.wrap_non_picklable_objects((model, self._writer), keep_wrapper=False), dump)
            stack.enter_context(backend_named(self.backend, lost))
            # Threads each put back the limit that another one has set.
            stack.enter_context(gdal_cache(None))
            alone = joblib.effective_n_jobs(self.n_workers) == 1
            tasks = [SceneTask(scene, entry, str(dump), self.memory, tries, alone, here) for scene, entry in todo]
            done = stack.enter_context(contextlib.closing(work_on_all(tasks, self.n_workers)))
            for entry in tqdm(done, total=len(todo), unit="scene", disable=not self.progress):
                journal.note(entry)
                gathered.add(f"scene {entry.scene}", entry.warned)
                if entry.reason is not None:
                    failed[entry.path] = entry.reason
                    if self.on_error == "raise":
                        raise CatalogError(
                            f"scene {entry.scene} failed with {entry.reason}; mend it and run again, which goes on with the "
                            "rest, or pass on_error='skip'",
                            scene=entry.scene,
                        )
        gathered.give(stacklevel=3)
        return failed

    def _outputs(self, entries: Sequence[Entry], failed: Mapping[str, str]) -> GeoCatalog:
        frame = self.catalog.frame
        kept = [number for number, entry in enumerate(entries) if entry.path not in failed]
        named = {entry.scene: failed[entry.path] for entry in entries if entry.path in failed}
        if not kept:
            return GeoCatalog(frame.iloc[:0], named)
        told = frame.iloc[kept].drop(columns=[name for name in FACTS if name in frame.columns])
        told = told.assign(
            uri=[address(Path(entries[number].path)) for number in kept],
            source_uri=[self.catalog[number].source_uri for number in kept],
        )
        made = open_catalog(told, progress=False)
        return GeoCatalog(made.frame, {**made.unreadable, **named})


def _split(pipeline: Any) -> tuple[Any, WriteCOG]:
    """Part a pipeline into what makes maps, None where these are the scenes themselves, and what writes them."""
    steps = _flat(pipeline)
    writers = [step for step in steps if isinstance(step, WriteCOG)]
    if len(writers) > 1 or (writers and writers[0] is not steps[-1]):
        raise CatalogError("a pipeline over a catalog writes once, at its end: leave one WriteCOG, as its last step")
    writer = writers[0] if writers else WriteCOG(_DEFAULT)
    if not writers:
        warnings.warn(
            f"the pipeline has no WriteCOG: maps go to {_DEFAULT} in the working directory; end it with WriteCOG(path)",
            PixelwiseWarning,
            stacklevel=3,
        )
    steps = [step for step in steps if step is not writer]
    if steps and not isinstance(steps[-1], type):
        # As predict_raster does: what fit_pixelwise gives back need not be wrapped.
        steps[-1] = taking_rasters(steps[-1])
    inner = [step for step in steps if isinstance(step, ApplyToChips) and known_halo(step.chip_op) is None]
    if inner and len(steps) > 1:
        raise CatalogError("ApplyToChips has steps round it: put them into its chip_op, and leave it and WriteCOG alone")
    return (steps[0] if len(steps) == 1 else Sequential(steps) if steps else None), writer


def _flat(pipeline: Any) -> list[Any]:
    if isinstance(pipeline, Sequential):
        return [inner for _, step in pipeline.steps for inner in _flat(step)]
    if isinstance(pipeline, str | os.PathLike) and pipeline != "passthrough":
        raise CatalogError(f"{os.fspath(pipeline)!r} is no step of a pipeline: pass a model, such as load_artifact(path)")
    return [] if pipeline is None or isinstance(pipeline, str) else [pipeline]


def _ready(model: Any) -> Any:
    """Return a model that takes rasters; an error comes before any work if it is not fitted, or cannot be applied."""
    if model is None or isinstance(model, ApplyToChips):
        return model
    return as_raster_model(model, method_of(model))


def _mark(model: Any, writer: WriteCOG) -> str:
    try:
        return fingerprint((model, writer))
    except (pickle.PicklingError, TypeError) as error:
        remedy = "leave out what is open or running, such as files, locks and generators"
        raise CatalogError(f"the pipeline cannot be sent to workers ({error}): {remedy}") from error


def _make_folders(paths: Sequence[Path]) -> None:
    for folder in {path.parent for path in paths if not is_remote(str(path))}:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CatalogError(f"folder {folder} cannot be made: {error.strerror}; name one that can be written to") from error
