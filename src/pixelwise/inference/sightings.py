"""What the chips of a raster held, for warnings that a chip alone cannot give."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pixelwise.errors import MissingDataWarning
from pixelwise.inference.models import policy_of
from pixelwise.inference.scene_source import Source
from pixelwise.raster.carriers import Raster
from pixelwise.table.layout import ToPixelMajor
from pixelwise.table.missing import missing_values, report_suspected_fill, valid_rows
from pixelwise.warned import warn

__all__ = ["Sightings"]


class Sightings:
    """What the chips held, for warnings that a chip alone cannot give.

    Parameters
    ----------
    source : Source
        What is read.
    model : estimator
        What is applied; its policy says what is missing.
    size : int
        Number of pixels of all chips.
    complete : bool, default=True
        Whether all chips are read, so that a band without data is known to have none.
    """

    def __init__(self, source: Source, model: Any, size: int, complete: bool = True) -> None:
        self._names = source.bands or tuple(f"band_{number}" for number in range(1, source.n_bands + 1))
        self._policy = policy_of(model, self._names)
        self._marks = missing_values(source.dtype, self._names, source.nodata, self._policy)
        self._step = max(1, math.isqrt(size // 10_000))
        self._empty = np.ones(source.n_bands, bool)
        self._samples: list[np.ndarray] = []
        self._predicted, self._complete = False, complete

    def note(self, chip: Raster, made: Raster) -> None:
        """Take a sample of a chip, and as long as no pixel was predicted look which bands hold data.

        Parameters
        ----------
        chip : Raster
            What was read.
        made : Raster
            What was made of it.
        """
        self.note_made(made)
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

    def note_made(self, made: Raster) -> None:
        """Look whether a pixel of a chip was predicted, maybe in an earlier run.

        Parameters
        ----------
        made : Raster
            What was made of it.
        """
        fill = made.nodata[0]
        if not self._predicted:
            self._predicted = fill is None or bool((~np.isnan(made.values) if np.isnan(fill) else made.values != fill).any())

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
        empty = ", ".join(
            name for name, none in zip(self._names, self._empty, strict=True) if none and self._samples and self._complete
        )
        blame = f"band {empty} has no valid pixel" if empty else "each pixel lacks data in some band"
        warn(
            MissingDataWarning(
                f"no pixel could be predicted, because {blame}: check the nodata value, leave the band out of the model, "
                f"or use nan='propagate'"
            ),
            stacklevel=3,
        )
