"""How large a chip may be: the memory of each stage, added up before anything is read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier, MultiOutputRegressor, RegressorChain

from pixelwise.errors import MemoryBudgetError
from pixelwise.estimators.base import PixelwiseBase
from pixelwise.estimators.mapping import _BLOCK, _BLOCK_BYTES
from pixelwise.inference.models import OF_AREA, final_step
from pixelwise.inference.scene_source import Source
from pixelwise.raster.destination import tile_side
from pixelwise.table.missing import table_dtype

__all__ = ["ChipPlan", "plan_chips"]

#: What GDAL, PROJ and a thread or two take once, whatever the scene.
_BASE = 24 * 2**20
#: With windows along the file's blocks each block is decoded once, so that a large cache would bring nothing.
_CACHE = 16 * 2**20
#: Of these each member makes an output.
_SEVERAL = (MultiOutputClassifier, MultiOutputRegressor, ClassifierChain, RegressorChain)
#: Larger chips read no faster.
_PIXELS = 2**20
#: Lower strips would make lower tiles.
_ROWS = 128


@dataclass(frozen=True, slots=True)
class ChipPlan:
    """Sizes that keep within a memory budget.

    Parameters
    ----------
    height, width : int
        Of a chip, without halo: multiples of the file's blocks.
    cache : int
        Bytes for GDAL's cache.
    working : int
        Bytes that scikit-learn may take for distances and the like.
    needed : int
        Bytes that all stages take together.
    """

    height: int
    width: int
    cache: int
    working: int
    needed: int

    def tile(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Return height and width of a map's tiles that chips fill.

        Parameters
        ----------
        shape : (int, int)
            Height and width of the map.

        Returns
        -------
        (int, int)
        """
        return tile_side(self.height, shape[0]), tile_side(self.width, shape[1])


def plan_chips(
    source: Source, model: Any, budget: int, *, methods: Sequence[str] = ("predict",), halo: int = 0, workers: int = 1
) -> ChipPlan:
    """Find the largest chip that is worth while and fits the budget.

    Parameters
    ----------
    source : RasterFile, ArraySource or SceneSource
        What is read.
    model : estimator
        What is applied: its number of classes and its operators count.
    budget : int
        Bytes.
    methods : sequence of str
        What is called of each chip.
    halo : int
        Pixels that are read round a chip.
    workers : int
        Chips that are predicted at the same time.

    Returns
    -------
    ChipPlan

    Raises
    ------
    MemoryBudgetError
        If not even a chip of one block fits.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from sklearn.linear_model import LogisticRegression
    >>> from pixelwise.inference.plan import plan_chips
    >>> from pixelwise.raster.io import RasterFile
    >>> with RasterFile(pw.datasets.make_example()[0]) as file:
    ...     plan = plan_chips(file, LogisticRegression(), 64_000_000)
    >>> plan.height, plan.width
    (60, 80)
    """
    stages = _Stages(source, model, budget, methods, halo, workers)
    best: tuple[int, int] | None = None
    for height, width in _sizes(source.block_shape, source.grid.shape):
        if stages.needed(height, width) > budget:
            break
        best = height, width
        if height * width >= _PIXELS and (height >= min(_ROWS, source.grid.height)):
            break
    if best is None:
        height, width = next(_sizes(source.block_shape, source.grid.shape))
        # Cache and working memory take an eighth of whatever is given.
        needed = -(-stages.of_chips(height, width) * 8 // 7 // 10**6) + 1
        raise MemoryBudgetError(
            f"memory of {budget / 1e6:.0f} MB is too little for {source.path}, which comes in blocks of {height} x {width} "
            f"pixels: pass memory='{needed}MB', or store it in smaller tiles",
            needed=needed * 10**6,
        )
    return ChipPlan(*best, stages.cache, stages.working, stages.needed(*best))


def _sizes(block: tuple[int, int], whole: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Yield sizes of chips from one block to the whole, growing to squares, always whole blocks."""
    height, width = (min(size, side) for size, side in zip(block, whole, strict=True))
    while True:
        yield height, width
        if (height, width) == whole:
            return
        if width < whole[1] and (width <= height or height == whole[0]):
            width = min(2 * width, whole[1])
        else:
            height = min(2 * height, whole[0])


class _Stages:
    """The bytes of each stage, by the size of a chip."""

    def __init__(self, source: Source, model: Any, budget: int, methods: Sequence[str], halo: int, workers: int) -> None:
        self.halo, self.workers, self.bands = halo, workers, source.n_bands * (source.n_times or 1)
        self.item = int(np.dtype(source.dtype).itemsize)
        self.table_item = int(table_dtype(source.dtype).itemsize)
        self.cache, self.working = min(_CACHE, budget // 16), budget // 16
        steps = len(getattr(getattr(model, "best_estimator_", model), "steps", ()))
        self.operators = max(0, steps - 1)
        counts = [_n_outputs(model, method) for method in methods]
        self.outputs = max([*counts, _n_outputs(model, "predict_proba")])
        self.written = sum(max(8, 4 * count) for count in counts)
        jobs = getattr(final_step(model), "n_jobs", None) or getattr(
            getattr(final_step(model), "estimator", None), "n_jobs", None
        )
        # Of several workers each predicts in one thread.
        self.threads = int(effective_n_jobs(jobs)) if workers == 1 else 1
        self.mask = 2 if getattr(source, "has_mask", False) else 0
        self.block = source.block_shape[0] * source.block_shape[1] * self.bands * self.item

    def needed(self, height: int, width: int) -> int:
        """Return the bytes of all stages for chips of a size."""
        return self.of_chips(height, width) + self.cache + self.working

    def of_chips(self, height: int, width: int) -> int:
        """Return the bytes of the stages that do not take a share of the budget."""
        pixels = (height + 2 * self.halo) * (width + 2 * self.halo)
        read = pixels * (self.bands * self.item + self.mask)
        # An operator has its input in floats, a temporary and its output.
        operated = pixels * (self.bands + self.operators) * self.table_item * 3 if self.operators else 0
        rows = max(1, min(pixels, _BLOCK, _BLOCK_BYTES // (8 * self.bands)))
        # The table, two copies in doubles by the estimator, and what its threads add up for each class.
        table = rows * (self.bands * (self.table_item + 16) + self.outputs * 8 * (2 + self.threads) + 16)
        predicted = pixels * self.written
        # Of a block: compressed, decoded, and the copy in the cache.
        return _BASE + 3 * self.block + (self.workers + 1) * read + self.workers * (operated + table + predicted)


def _n_outputs(model: Any, method: str) -> int:
    """Return how many bands a fitted model makes, as far as it says so; else one."""
    if method in OF_AREA:
        return 2 if method == "DI" else 1
    last = final_step(model)
    inner = final_step(getattr(last, "estimator_", last.estimator)) if isinstance(last, PixelwiseBase) else last
    if method == "transform":
        # Operators that have not seen a raster do not know.
        with contextlib.suppress(AttributeError, ValueError, TypeError):
            return max(1, len(inner.get_feature_names_out()))
    elif method == "predict":
        coef = np.asarray(0.0 if hasattr(inner, "classes_") else getattr(inner, "coef_", 0.0))
        several = len(getattr(inner, "estimators_", ())) if isinstance(inner, _SEVERAL) else 1
        told = getattr(inner, "n_outputs_", 1)
        return max(several, int(told) if isinstance(told, int | np.integer) else 1, len(coef) if coef.ndim == 2 else 1)
    else:
        classes = getattr(model, "classes_", None)
        if isinstance(classes, list):
            return max(1, sum(map(np.size, classes)))
        return max(1, np.size(classes)) if classes is not None else 1
    return 1
