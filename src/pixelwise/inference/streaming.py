"""A fitted model applied from file to file: chips are read ahead, predicted and written, and memory stays within a budget."""

from __future__ import annotations

import contextlib
import itertools
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import sklearn
from rasterio.windows import Window
from tqdm.auto import tqdm

from pixelwise.catalog.fingerprint import fingerprint, scene_fingerprint, source_fingerprint
from pixelwise.catalog.scene import Scene
from pixelwise.errors import GridError
from pixelwise.heap import heap_kept
from pixelwise.inference.kept_chips import KeptChips, forget_chips
from pixelwise.inference.models import as_raster_model, calls_of, with_engine
from pixelwise.inference.outputs import Maps, destinations, refuse_sources
from pixelwise.inference.part import Part, part_of
from pixelwise.inference.plan import ChipPlan, plan_chips
from pixelwise.inference.reading import ChipReader, in_order
from pixelwise.inference.scene_source import files_read, source_of
from pixelwise.inference.sightings import Sightings
from pixelwise.inference.threads import one_thread
from pixelwise.raster.carriers import Raster
from pixelwise.raster.cog import check_driver
from pixelwise.raster.io import parse_memory
from pixelwise.raster.open_files import gdal_cache
from pixelwise.registry import halo_of
from pixelwise.version import __version__

__all__ = ["predict_raster"]


def predict_raster(
    model: Any,
    src: Any,
    dst: Any,
    *,
    memory: str | int = "512MB",
    method: str = "predict",
    workers: int | None = None,
    engine: str | None = "auto",
    progress: bool | Callable[[int, int], object] = False,
    compress: str | None = "deflate",
    colors: Mapping[Any, str] | None = None,
    driver: str = "GTiff",
    overviews: bool | Sequence[int] = False,
    window: Any = None,
    geometry: Any = None,
    resume: bool = False,
) -> Any:
    """Apply a fitted model to a raster file and write the map, or several maps from one read, chip by chip.

    The map is the one that ``model.predict(raster)`` makes of the whole raster, whatever the budget. It appears under its name
    when it is complete, together with the others; any error leaves what was there before.

    Parameters
    ----------
    model : estimator
        Fitted: a Pixelwise estimator, a Pipeline or search with one, or any scikit-learn estimator.
    src : path, mapping of str to path, list of paths, rasterio dataset, raster of any other carrier, or Scene
        What to read: a file or URL; the file of each band, brought to the finest grid among them; the files of a mosaic, on the
        same pixels; a DataArray, which may be lazy. Files are read ahead in a thread of its own.
    dst : path, or mapping of str to path
        GeoTIFF to write, which is uploaded in the end if it is in ``s3://`` or ``gs://``; or one for each of several methods,
        such as ``{"predict": "map.tif", "predict_proba": "p.tif"}``: then each chip is read once, and steps in front of the
        last one of a Pipeline are applied once.
    memory : str or int, default="512MB"
        Most memory to take beyond the model, as text with a unit or in bytes.
    method : str, default="predict"
        The method to call for a single map: "predict", "predict_proba", "transform" ...
    workers : int or None, default=None
        Threads that read and predict chips at the same time; None predicts in the calling thread, while another reads ahead.
    engine : str or None, default="auto"
        What predicts, where the model does not say so itself: "auto" the first engine of a plugin that gives the model's
        results bit for bit, such as that of `pixelwise-fast`, and the model where there is none; None always the model.
    progress : bool or callable, default=False
        True for a progress bar, or a function of the number of chips that are done and of all.
    compress : str or None, default="deflate"
        One of deflate, zstd, lzw, lzma, packbits, none.
    colors : mapping of (str or int) to str, or None, default=None
        Colours of classes, "#rrggbb" by name or code.
    driver : {"GTiff", "COG"}, default="GTiff"
        "COG" writes a cloud-optimised GeoTIFF, with overviews.
    overviews : bool or sequence of int, default=False
        Overviews of a GeoTIFF: True for halves of halves, or factors such as ``[2, 4, 8]``. Those of floats take the mean of
        several pixels, those of classes one of them.
    window : rasterio.windows.Window, ((first, stop), (first, stop)) of rows and columns, or None, default=None
        A part of the raster that is mapped, instead of all; its pixels are those of the whole map.
    geometry : shapely geometry, GeoSeries, GeoDataFrame, path of a vector file, or None, default=None
        The part by what covers it, in any CRS; one that names none is in that of the raster. The map has the geometry's bounds,
        and the fill where a pixel's centre lies outside. Chips without a pixel inside are not read.
    resume : bool, default=False
        Whether chips are kept in a hidden folder beside the map until it is complete, so that the same call goes on with the
        others after the process was killed. Chips of another model, source, part or memory are not used.

    Returns
    -------
    pathlib.Path, or dict of str to pathlib.Path
        The destination, or that of each method; in object storage as GDAL names it, such as ``/vsis3/bucket/map.tif``.

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    GridError, CRSError
        If the part lies beyond the raster, or in an unknown place.
    MemoryBudgetError
        If not even a chip of one block fits the memory.
    RasterReadError, RasterWriteError
        If a file cannot be read or written, or two maps have the same destination.
    ValueError
        If the model does not have a method.

    Warns
    -----
    MissingDataWarning
        If no pixel could be predicted, or a fill seems to be undeclared.

    Examples
    --------
    >>> import tempfile, pixelwise as pw
    >>> from sklearn.linear_model import LogisticRegression
    >>> scene, polygons = pw.datasets.make_example()
    >>> model = pw.PixelwiseClassifier(LogisticRegression()).fit(*pw.extract_pixels(scene, polygons, column="class"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = pw.open_raster(pw.predict_raster(model, scene, f"{folder}/map.tif"))
    ...     bool((made[0] == model.predict(pw.open_raster(scene))).all())
    True
    """
    paths, budget, threads = destinations(dst, method), parse_memory(memory), _threads(workers)
    check_driver(driver)
    model = with_engine(as_raster_model(model, *paths), engine)
    (front, calls), halo = calls_of(model, list(paths)), halo_of(model)
    with contextlib.ExitStack() as stack:
        source = source_of(src)
        stack.callback(source.close)
        refuse_sources(paths, src, source.path)
        part = part_of(source.grid, window, geometry)
        plan = plan_chips(source, model, budget, methods=list(paths), halo=halo, workers=threads)
        stack.enter_context(_limits(plan))
        stack.enter_context(heap_kept())
        ahead = (front, calls) if threads > 1 else None
        reader = stack.enter_context(contextlib.closing(ChipReader(src, source, halo, threads, ahead)))
        tile = plan.tile(part.grid.shape)
        options = {"compress": compress, "tile": tile, "driver": driver, "overviews": overviews}
        maps = stack.enter_context(Maps(paths, part.grid, colors, {**options, "whole_tiles": part.fills(tile)}))
        windows = list(part.windows(plan.height, plan.width))
        kept = KeptChips(maps, paths, _mark(src, model, paths, plan, part)) if resume else None
        # The first chip is always made, because it says what the maps are.
        todo = [at for at in windows if kept is None or at is windows[0] or part.place(at) not in kept]
        read = one_thread()(reader.chip) if threads > 1 else reader.chip
        chips = stack.enter_context(contextlib.closing(in_order(read, todo, threads)))
        sightings = Sightings(source, model, part.grid.size, complete=len(todo) == len(windows))
        tick = stack.enter_context(_ticker(progress, len(windows), len(windows) - len(todo)))
        for at, chip, ready in chips:
            made = ready or {}
            if ready is None:
                # Called from here and from no function of its own: few frames above the estimator keep tracebacks clear.
                seen = chip
                for step in front:
                    seen = step(seen)
                for name, call in calls.items():
                    made[name] = call(seen)
                del seen
            made = {name: part.hidden(_core(whole, chip, at, halo), at) for name, whole in made.items()}
            (kept or maps).write(made, part.place(at))
            sightings.note(chip, next(iter(made.values())))
            tick()
            # Else the chip would live on while the next but one is read.
            del chip, ready, made
        if kept is None:
            maps.finish()
            forget_chips(paths.values())
        else:
            kept.finish(map(part.place, windows), sightings.note_made)
    sightings.report()
    return paths if isinstance(dst, Mapping) else paths[method]


def _threads(workers: Any) -> int:
    if workers is not None and (not isinstance(workers, int | np.integer) or workers < 1):
        raise ValueError(f"workers={workers!r} is no number of threads: pass 1 or more, or None")
    return int(workers or 1)


def _mark(src: Any, model: Any, methods: Iterable[str], plan: ChipPlan, part: Part) -> str:
    """Return what tells a run from others whose chips are not the same."""
    files = files_read(src)
    if files is None:
        raise ValueError(f"resume=True goes on with files, and src is a {type(src).__name__}: pass a path, or resume=False")
    shapes = None if part.shapes is None else part.shapes.to_wkb().tolist()
    place = (part.window.flatten(), shapes, plan.height, plan.width)
    try:
        known = scene_fingerprint(src) if isinstance(src, Scene) else source_fingerprint(files)
        return fingerprint((__version__, model, tuple(methods), place, known))
    except (pickle.PicklingError, TypeError) as error:
        why = "resume=True tells models apart by what they hold"
        remedy = "leave out what is open or running, such as files, locks and generators"
        raise ValueError(f"{why}, and {type(model).__name__} cannot be pickled ({error}): {remedy}") from error


@contextlib.contextmanager
def _limits(plan: ChipPlan) -> Iterator[None]:
    """Hold GDAL's cache and scikit-learn's working memory to the plan, and put both back."""
    with gdal_cache(plan.cache), sklearn.config_context(working_memory=plan.working / 2**20):
        yield


def _core(made: Any, chip: Raster, window: Window, halo: int) -> Raster:
    """Cut the halo off a prediction."""
    if not isinstance(made, Raster):
        raise TypeError(f"the model made {type(made).__name__} of a Raster, and for files it must give back what came in")
    if made.grid.shape != chip.grid.shape:
        raise GridError(f"the model made {made.grid.shape} pixels of {chip.grid.shape}: leave out what resamples the raster")
    if made.grid.shape == (window.height, window.width):
        return made
    top, left = min(halo, window.row_off), min(halo, window.col_off)
    values = made.values[..., top : top + window.height, left : left + window.width]
    return made.with_values(values, grid=made.grid.window(top, left, window.height, window.width), mask=None)


@contextlib.contextmanager
def _ticker(progress: bool | Callable[[int, int], object], total: int, before: int) -> Iterator[Callable[[], object]]:
    """Give a function to call after each chip that follows those from before."""
    if callable(progress):
        done = itertools.count(before + 1)
        yield lambda: progress(next(done), total)
        return
    with tqdm(total=total, initial=before, disable=not progress, unit="chip") as bar:
        yield bar.update
