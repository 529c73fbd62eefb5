"""A fitted model applied from file to file: chips are read ahead, predicted and written, and memory stays within a budget."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from rasterio.windows import Window
from tqdm.auto import tqdm

from pixelwise.errors import GridError, MissingDataWarning, RasterWriteError
from pixelwise.inference.models import as_raster_model, policy_of, with_engine
from pixelwise.inference.plan import ChipPlan, plan_chips
from pixelwise.inference.reading import ChipReader, in_order
from pixelwise.inference.scene_source import Source, source_of
from pixelwise.raster.carriers import Raster
from pixelwise.raster.cog import check_driver
from pixelwise.raster.destination import check_destination
from pixelwise.raster.io import parse_memory
from pixelwise.raster.open_files import gdal_cache
from pixelwise.raster.write import RasterWriter
from pixelwise.registry import halo_of
from pixelwise.table.layout import ToPixelMajor
from pixelwise.table.missing import missing_values, report_suspected_fill, valid_rows
from pixelwise.warned import warn

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
) -> Path:
    """Apply a fitted model to a raster file and write the map, chip by chip.

    The map is the one that ``model.predict(raster)`` makes of the whole raster, whatever the budget. It appears under its name
    when it is complete; any error leaves what was there before.

    Parameters
    ----------
    model : estimator
        Fitted: a Pixelwise estimator, a Pipeline or search with one, or any scikit-learn estimator.
    src : path, rasterio dataset, raster of any other carrier, or Scene
        What to read; a path is read ahead in a thread of its own.
    dst : path
        GeoTIFF to write.
    memory : str or int, default="512MB"
        Most memory to take beyond the model, as text with a unit or in bytes.
    method : str, default="predict"
        The method to call: "predict", "predict_proba", "transform" ...
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

    Returns
    -------
    pathlib.Path
        The destination.

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    MemoryBudgetError
        If not even a chip of one block fits the memory.
    RasterReadError, RasterWriteError
        If a file cannot be read or written.

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
    path, budget, threads = check_destination(dst), parse_memory(memory), _threads(workers)
    check_driver(driver)
    model = with_engine(as_raster_model(model, method), engine)
    predict, halo = getattr(model, method), halo_of(model)
    with contextlib.ExitStack() as stack:
        source = source_of(src)
        stack.callback(source.close)
        _refuse_same(source.path, path)
        plan = plan_chips(source, model, budget, method=method, halo=halo, workers=threads)
        stack.enter_context(_limits(plan))
        reader = stack.enter_context(contextlib.closing(ChipReader(src, source, halo, threads, predict)))
        windows = list(source.grid.windows(plan.height, plan.width))
        chips = stack.enter_context(contextlib.closing(in_order(reader.chip, windows, threads)))
        sightings = _Sightings(source, model)
        tick = stack.enter_context(_ticker(progress, len(windows)))
        writer: RasterWriter | None = None
        for window, chip, ready in chips:
            # Called from here and from no function of its own: few frames above the estimator keep tracebacks clear.
            made = _core(predict(chip) if ready is None else ready, chip, window, halo)
            if writer is None:
                options = {"compress": compress, "colors": colors, "tile": plan.tile, "driver": driver}
                writer = stack.enter_context(RasterWriter.like(made, path, source.grid, **options))
            writer.write(made.values, window)
            sightings.note(chip, made)
            tick()
            # Else the chip would live on while the next but one is read.
            del chip, ready, made
    sightings.report()
    return path


def _threads(workers: int | None) -> int:
    if workers is not None and workers < 1:
        raise ValueError(f"workers={workers!r} is no number of threads: pass 1 or more, or None")
    return workers or 1


def _refuse_same(source: Any, path: Path) -> None:
    if path.exists() and Path(source).exists() and path.samefile(source):
        raise RasterWriteError(f"{path} is what is read: name another file for the map")


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
def _ticker(progress: bool | Callable[[int, int], object], total: int) -> Iterator[Callable[[], object]]:
    """Give a function to call after each chip."""
    if callable(progress):
        done = itertools.count(1)
        yield lambda: progress(next(done), total)
        return
    with tqdm(total=total, disable=not progress, unit="chip") as bar:
        yield bar.update


class _Sightings:
    """What the chips held, for warnings that a chip alone cannot give."""

    def __init__(self, source: Source, model: Any) -> None:
        self._names = source.bands or tuple(f"band_{number}" for number in range(1, source.n_bands + 1))
        self._policy = policy_of(model, self._names)
        self._marks = missing_values(source.dtype, self._names, source.nodata, self._policy)
        self._step = max(1, math.isqrt(source.grid.size // 10_000))
        self._empty = np.ones(source.n_bands, bool)
        self._samples: list[np.ndarray] = []
        self._predicted = False

    def note(self, chip: Raster, made: Raster) -> None:
        """Take a sample of a chip, and as long as no pixel was predicted look which bands hold data."""
        fill = made.nodata[0]
        if not self._predicted:
            self._predicted = fill is None or bool((~np.isnan(made.values) if np.isnan(fill) else made.values != fill).any())
        # With a time axis there is no telling which dates a model needs.
        if chip.cube.ndim > 3:
            return
        sample, mask = self._flat(chip, self._step)
        valid, _ = valid_rows(sample, self._marks, mask, self._policy, "complete")
        self._samples.append(sample.copy() if valid is None else sample[:, valid])
        if not self._predicted:
            flat, mask = self._flat(chip, 1)
            _, missing = valid_rows(flat, self._marks, mask, self._policy, "any")
            self._empty &= [gaps is not None and bool(gaps.all()) for gaps in missing]

    def _flat(self, chip: Raster, step: int) -> tuple[np.ndarray, np.ndarray | None]:
        flat = ToPixelMajor().flatten
        mask = None if chip.mask is None else np.broadcast_to(chip.mask, chip.cube.shape)[:, ::step, ::step]
        return flat(chip.cube[:, ::step, ::step]), None if mask is None else flat(mask)

    def report(self) -> None:
        """Warn of what the whole raster lacks."""
        if self._predicted:
            if self._samples:
                report_suspected_fill(np.concatenate(self._samples, axis=1), "to the model")
            return
        empty = ", ".join(name for name, none in zip(self._names, self._empty, strict=True) if none and self._samples)
        blame = f"band {empty} has no valid pixel" if empty else "each pixel lacks data in some band"
        warn(
            MissingDataWarning(
                f"no pixel could be predicted, because {blame}: check the nodata value, leave the band out of the model, "
                f"or use nan='propagate'"
            ),
            stacklevel=3,
        )
