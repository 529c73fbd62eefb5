"""What a worker of a catalog run does: one scene, from its files to a map."""

from __future__ import annotations

import contextlib
import functools
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import joblib

from pixelwise.catalog.inputs import inputs_of, read_inputs
from pixelwise.catalog.scene import Scene
from pixelwise.heap import heap_kept
from pixelwise.inference.chips import ApplyToChips
from pixelwise.inference.context import known_halo
from pixelwise.inference.journal import Entry
from pixelwise.inference.models import method_of
from pixelwise.inference.streaming import predict_raster
from pixelwise.inference.threads import one_thread
from pixelwise.inference.write_cog import WriteCOG
from pixelwise.raster.dataarray import to_dataarray
from pixelwise.raster.surroundings import Surroundings
from pixelwise.raster.uploads import size_of
from pixelwise.raster.write import write_raster
from pixelwise.registry import halo_of
from pixelwise.warned import gather_warnings

__all__ = ["SceneTask", "lost", "work_on", "work_on_all"]

#: Seconds before a scene is tried again, which double with each time.
_PAUSE = 0.5


@dataclass(frozen=True)
class SceneTask:
    """What a worker needs to know: paths, and no pixels.

    Parameters
    ----------
    scene : Scene
        What is read.
    entry : Entry
        Where it is written, and what tells it from others.
    dump : str
        The file with the pipeline.
    memory : str or int
        For the scene.
    tries : int
        How often it is tried in all.
    alone : bool
        Whether no other worker wants the processors.
    surroundings : Surroundings
        Of the process that began.
    """

    scene: Scene
    entry: Entry
    dump: str
    memory: str | int
    tries: int
    alone: bool
    surroundings: Surroundings


@functools.lru_cache(maxsize=1)
def _loaded(dump: str) -> tuple[Any, WriteCOG]:
    """Load a pipeline; once a worker, as each run writes its own file."""
    # The run itself has just written it, in a folder that nobody else may write to.
    pipeline: tuple[Any, WriteCOG] = joblib.load(dump)
    return pipeline


def work_on(task: SceneTask) -> Entry:
    """Do a scene.

    Parameters
    ----------
    task : SceneTask
        Which, and how.

    Returns
    -------
    Entry
        For the journal; with a reason where it failed.
    """
    start, reason = time.perf_counter(), None
    for number in range(task.tries):
        if number:
            time.sleep(_PAUSE * 2 ** (number - 1))
        try:
            with task.surroundings.entered(), gather_warnings() as warned:
                _make_map(task)
        except Exception as error:
            # One bad scene is reported, and does not stop the rest.
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            continue
        took = time.perf_counter() - start
        return replace(task.entry, size=size_of(Path(task.entry.path)), seconds=took, warned=warned)
    return replace(task.entry, reason=reason, seconds=time.perf_counter() - start)


def _make_map(task: SceneTask) -> None:
    model, writer = _loaded(task.dump)
    path = task.entry.path
    options: dict[str, Any] = {"compress": writer.compress, "colors": writer.colors, "driver": "COG"}
    with contextlib.ExitStack() as stack:
        stack.enter_context(heap_kept())
        if not task.alone:
            stack.enter_context(one_thread())
        if model is None:
            write_raster(task.scene.load(), path, **options)
        elif isinstance(model, ApplyToChips):
            model(task.scene, dst=path, **options)
        elif known_halo(model) is not None and not inputs_of(model):
            predict_raster(model, task.scene, path, memory=task.memory, method=method_of(model), **options)
        else:
            write_raster(getattr(model, method_of(model))(_whole(task.scene, model)), path, **options)


def _whole(scene: Scene, model: Any) -> Any:
    """Return what a model takes of a scene: all of it, and what lies beside it where the model begins with a graph."""
    names = inputs_of(model)
    if not names:
        return scene.load()
    parts = read_inputs(names, scene, scene.read(), halo_of(model))
    return {name: to_dataarray(part) for name, part in parts.items()}


def work_on_all(tasks: Sequence[SceneTask], workers: int) -> Generator[Entry, None, None]:
    """Do scenes on joblib's backend, also where a process dies of one of them, as for want of memory.

    Those that were under way then are done once more, each by itself, which tells the one that it died of.

    Parameters
    ----------
    tasks : sequence of SceneTask
        The scenes.
    workers : int
        As joblib's ``n_jobs``.

    Yields
    ------
    Entry
        As from `work_on`, in the order in which they are done.
    """
    left, begun = deque(tasks), dict[str, SceneTask]()

    def taken() -> Iterator[Any]:
        """Note what is taken, since joblib does not tell what was under way."""
        while left:
            task = left.popleft()
            begun[task.entry.path] = task
            yield joblib.delayed(work_on)(task)

    while left:
        parallel = joblib.Parallel(n_jobs=workers, return_as="generator_unordered", batch_size=1)
        try:
            with contextlib.closing(parallel(taken())) as done:
                for entry in done:
                    del begun[entry.path]
                    yield entry
        except BrokenProcessPool:
            yield from (_by_itself(begun.pop(path), workers) for path in list(begun))


def _by_itself(task: SceneTask, workers: int) -> Entry:
    try:
        [entry] = joblib.Parallel(n_jobs=workers)([joblib.delayed(work_on)(task)])
    except BrokenProcessPool as error:
        return lost(task, error)
    done: Entry = entry
    return done


def lost(task: SceneTask, error: BaseException) -> Entry:
    """Return what is noted of a scene whose worker could not tell what became of it.

    Parameters
    ----------
    task : SceneTask
        Which.
    error : BaseException
        Of the backend.

    Returns
    -------
    Entry
    """
    told = " ".join(str(error).split()).partition(" Detailed tracebacks")[0]
    return replace(task.entry, reason=f"{type(error).__name__}: {told}")
