"""One chip read: features and labels of its pixels, in one read, and what became of those that are not used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from rasterio.windows import Window

from pixelwise.catalog.inputs import grown, inputs_of, read_inputs
from pixelwise.catalog.scene import GeoSlice
from pixelwise.errors import GridError, LabelError, PixelwiseError, PixelwiseWarning
from pixelwise.operators.base import Operator, band_position
from pixelwise.operators.core import Sequential
from pixelwise.raster.carriers import Raster, unwrap
from pixelwise.raster.dataarray import to_dataarray
from pixelwise.raster.dates import TimeAxis, as_times, ascending, dated_names
from pixelwise.raster.grid import Grid
from pixelwise.registry import halo_of
from pixelwise.table.layout import Layout, ToPixelMajor
from pixelwise.table.missing import NanPolicy, missing_values, refuse_missing, rows_with_nan, table_dtype, valid_rows
from pixelwise.table.temporal_layout import ToTemporalPixelMajor
from pixelwise.training.keys import pixel_keys, smallest
from pixelwise.training.rows import Rows
from pixelwise.warned import gather_warnings

__all__ = ["ChipReader", "ChipRows", "Draw"]

#: Values of labels whose pixels are counted by class; more of them are no classes.
_MOST_CLASSES = 1000


@dataclass(frozen=True, eq=False)
class ChipRows:
    """The pixels of a chip that can be used, or why there are none.

    Parameters
    ----------
    scene : int
        Row of the catalog.
    rows : Rows or None
        None if the chip could not be read.
    names : tuple of str or None
        Names of the features, where the raster has any.
    axis : TimeAxis or None
        Bands and dates that the features are pairs of.
    counts : mapping of str to int
        Pixels seen, and those dropped for each reason.
    classes : mapping
        Pixels that can be used, by class; empty where labels are no classes.
    empty : tuple of str
        Features that have no data in the whole chip; looked for where no pixel is left.
    error : str
        Why it could not be read.
    warned : sequence of PixelwiseWarning
        What was said while it was read.
    """

    scene: int
    rows: Rows | None = None
    names: tuple[str, ...] | None = None
    axis: TimeAxis | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    classes: Mapping[Any, int] = field(default_factory=dict)
    empty: tuple[str, ...] = ()
    error: str = ""
    warned: Sequence[PixelwiseWarning] = ()


@dataclass(frozen=True)
class Draw:
    """Which of a chip's pixels are worth a row.

    Parameters
    ----------
    seed : int
        Of the keys.
    scene : int
        Number of the scene that its keys depend on.
    size : int or None
        Most pixels that the sample can take of a chip; None for all.
    limits : mapping
        Largest key that can be, by class; of all classes under None.
    """

    seed: int
    scene: int
    size: int | None
    limits: Mapping[Any, Any]

    def choose(self, pixel: np.ndarray, y: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return positions and keys of the pixels that can be in the sample."""
        key = pixel_keys(self.seed, self.scene, pixel)
        good = np.ones(len(key), bool)
        for label, limit in self.limits.items():
            good &= (key <= limit) | (False if label is None or y is None else y != label)
        at = np.flatnonzero(good)
        if self.size is not None:
            at = at[smallest(key[at], at, at, self.size)]
        return at, key[at]


@dataclass(frozen=True)
class ChipReader:
    """Reads chips: loads each once, with as many pixels round it as the pipelines look at.

    Parameters
    ----------
    features, labels : callable or None
        From a chip to a raster on its pixels; None takes the chip as it is, and no labels.
    policy : NanPolicy
        What counts as missing, and what happens then.
    group_band, weight_band : int, str or None
        Bands of the labels' raster.
    """

    features: Any
    labels: Any
    policy: NanPolicy
    group_band: int | str | None = None
    weight_band: int | str | None = None

    def __call__(self, chip: GeoSlice, scene: int, fresh: np.ndarray | None, draw: Draw | None) -> ChipRows:
        """Read a chip.

        Parameters
        ----------
        chip : GeoSlice
            Which.
        scene : int
            Row of the catalog.
        fresh : ndarray of bool, shape (height, width), or None
            Its pixels that count; None for all.
        draw : Draw or None
            Which of them may be drawn; None takes all, without keys.

        Returns
        -------
        ChipRows
        """
        try:
            with gather_warnings() as warned:
                return replace(self._read(chip, scene, fresh, draw), warned=warned)
        except PixelwiseError as error:
            if f"scene {chip.scene.id}" in str(error):
                raise
            raise type(error)(f"scene {chip.scene.id}: {error}", **error.values) from error
        except Exception as error:
            error.add_note(f"while {chip!r} was read")
            raise

    def _read(self, chip: GeoSlice, scene: int, fresh: np.ndarray | None, draw: Draw | None) -> ChipRows:
        halo = max(halo_of(self.features), halo_of(self.labels))
        window = grown(chip.window, halo, chip.scene.grid.shape)
        raw = chip.scene.read(window)
        place, pipelines = raw.grid, (self.features, self.labels)
        # A DataArray costs ten times a read of a small chip, and operators do without.
        loaded = raw if all(map(_takes_plain, pipelines)) else to_dataarray(raw)
        cut = _Cut(chip, window)
        given: Any = loaded
        if inputs_of(self.features):
            parts = read_inputs(inputs_of(self.features), chip.scene, raw, halo)
            given = {name: to_dataarray(part) for name, part in parts.items()}
        features = raw if self.features is None else _on(place, self.features(given), "X_pipeline", chip)
        labels = None if self.labels is None else _on(place, self.labels(loaded), "y_pipeline", chip)
        features, layout = cut(features), _layout(features)
        flat = layout.flatten(np.asarray(features.cube))
        counted = np.ones(flat.shape[1], bool) if fresh is None else fresh.ravel()
        valid, missing = _valid(features, flat, layout, self.policy)
        counts = {"seen": int(counted.sum())}
        lacking = counted & ~valid
        if lacking.any():
            counts |= self._blame(cut(raw), lacking)
        good, y, group, weight = counted & valid, None, None, None
        if labels is not None:
            y, group, weight, labelled = self._labels_of(cut(labels))
            counts["no_label"] = int((good & ~labelled).sum())
            good &= labelled
        names, axis, order = _features(features)
        empty = () if good.any() else _empty(features, flat, layout, self.policy, names)
        at = np.flatnonzero(good)
        pixel = _pixels(chip, at)
        classes = {} if y is None else _count_classes(y[at])
        key = None
        if draw is not None:
            chosen, key = draw.choose(pixel, None if y is None else y[at])
            at, pixel = at[chosen], pixel[chosen]
            good = np.zeros(len(good), bool)
            good[at] = True
        values = rows_with_nan(flat, good, missing, table_dtype(flat.dtype))
        values = values if order is None else values[:, order]
        part: Any = [None if band is None else band[at] for band in (y, group, weight)]
        rows = Rows(values, np.full(len(at), scene, np.int32), pixel, key, *part)
        return ChipRows(scene, rows, names, axis, counts, classes, empty)

    def _blame(self, raw: Raster, lacking: np.ndarray) -> dict[str, int]:
        """Count pixels that the file has no data for, and those that the pipeline has masked; refuse them if asked to."""
        if self.policy.on_input == "raise":
            refuse_missing(int(lacking.sum()), len(lacking), "the chip")
        layout, sentinels = _layout(raw), self.policy.sentinels
        if isinstance(sentinels, Mapping):
            sentinels = {name: values for name, values in sentinels.items() if name in raw.names}
        strict = replace(self.policy, on_input="drop", valid_range=None, sentinels=sentinels)
        there, _ = _valid(raw, layout.flatten(np.asarray(raw.cube)), layout, strict)
        return {"no_data": int((lacking & ~there).sum()), "masked": int((lacking & there).sum())}

    def _labels_of(self, labels: Raster) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None, np.ndarray]:
        """Return labels, groups and weights of all pixels, and which have them."""
        cube = np.asarray(labels.cube)
        if cube.ndim != 3:
            raise LabelError(f"y_pipeline gives labels of shape {cube.shape}: make them (band, y, x), without a time axis")
        flat = ToPixelMajor().flatten(cube)
        at = [0]
        for role, band in (("group_band", self.group_band), ("sample_weight_band", self.weight_band)):
            at += [] if band is None else [band_position(labels, band, role)]
        used = flat[at]
        marks = missing_values(flat.dtype, labels.names, labels.nodata, NanPolicy())
        mask = None if labels.mask is None else ToPixelMajor().flatten_mask(labels.mask, cube.shape)
        mask = mask if mask is None or mask.ndim < 2 else mask[at]
        labelled, _ = valid_rows(used, [marks[band] for band in at], mask, NanPolicy(), "complete")
        labelled = np.ones(flat.shape[1], bool) if labelled is None else labelled
        if self.policy.on_label == "raise" and not labelled.all():
            raise LabelError(f"{(~labelled).sum()} of {len(labelled)} pixels have no label: drop them with on_label='drop'")
        others = iter(used[1:].astype(np.float64))
        group = None if self.group_band is None else next(others)
        return used[0], group, None if self.weight_band is None else next(others), labelled


@dataclass(frozen=True)
class _Cut:
    """Takes the ring of pixels round a chip away."""

    chip: GeoSlice
    window: Window

    def __call__(self, raster: Raster) -> Raster:
        inner = self.chip.window
        if (inner.height, inner.width) == raster.grid.shape:
            return raster
        row, col = inner.row_off - self.window.row_off, inner.col_off - self.window.col_off
        at = (..., slice(row, row + inner.height), slice(col, col + inner.width))
        mask = None if raster.mask is None else raster.mask[at]
        return replace(raster, values=raster.values[at], grid=self.chip.grid, mask=mask)


def _on(place: Grid, made: Any, what: str, chip: GeoSlice) -> Raster:
    """Return what a pipeline has made, if it lies on the pixels that it was given."""
    if isinstance(made, np.ndarray) and made.ndim == 2:
        made = made[None]
    raster = unwrap(made)
    differs = raster.grid.shape != place.shape if isinstance(made, np.ndarray) else place.differs_from(raster.grid)
    if differs:
        how = differs if isinstance(differs, str) else f"{place.shape} pixels against {raster.grid.shape}"
        raise GridError(
            f"{what} gives scene {chip.scene.id} another grid ({how}): let it keep the pixels of the chip that it is given"
        )
    return raster


def _takes_plain(pipeline: Any) -> bool:
    """Whether a pipeline is made of operators alone, without functions of the user's, which are given DataArrays."""
    if pipeline is None:
        return True
    if isinstance(pipeline, Sequential):
        return all(_takes_plain(step) for _, step in pipeline.steps)
    if not isinstance(pipeline, Operator) or not type(pipeline).__module__.startswith("pixelwise."):
        return False
    parts = pipeline.get_params(deep=True).values()
    return not any(callable(part) and not isinstance(part, Operator) for part in parts)


def _layout(raster: Raster) -> Layout:
    return ToPixelMajor() if raster.cube.ndim == 3 else ToTemporalPixelMajor()


def _valid(raster: Raster, flat: Any, layout: Layout, policy: NanPolicy) -> tuple[np.ndarray, list[np.ndarray | None]]:
    """Return which pixels can be used, and where each feature is missing in them."""
    keep = "complete" if policy.on_input in ("mask", "drop", "raise") else "any"
    valid, missing = valid_rows(flat, *_marks(raster, flat, layout, policy), policy, keep)
    return np.ones(flat.shape[1], bool) if valid is None else valid, missing


def _marks(raster: Raster, flat: Any, layout: Layout, policy: NanPolicy) -> tuple[Any, Any]:
    shape = raster.cube.shape
    each = missing_values(flat.dtype, raster.names, raster.nodata, policy)
    mask = None if raster.mask is None else layout.flatten_mask(raster.mask, shape)
    return [each[band] for band in layout.bands_of(shape)], mask


def _features(raster: Raster) -> tuple[tuple[str, ...] | None, TimeAxis | None, np.ndarray | None]:
    """Return names and axis of the features, and the order that brings them into that of their dates."""
    if raster.cube.ndim == 3:
        return raster.bands, None, None
    times, order, n_times = as_times(raster.times), ascending(raster.times), raster.cube.shape[1]
    if order is not None and times is not None:
        times = times[order]
    axis = TimeAxis(raster.names, times, n_times)
    names = None if raster.bands is None and times is None else tuple(dated_names(raster.names, times, n_times))
    columns = None if order is None else np.add.outer(np.arange(raster.n_bands) * n_times, order).ravel()
    return names, axis, columns


def _empty(raster: Raster, flat: Any, layout: Layout, policy: NanPolicy, names: Any) -> tuple[str, ...]:
    _, missing = valid_rows(flat, *_marks(raster, flat, layout, policy), policy, "any")
    named = names or [f"band_{number}" for number in range(1, len(flat) + 1)]
    return tuple(name for name, gaps in zip(named, missing, strict=True) if gaps is not None and gaps.all())


def _pixels(chip: GeoSlice, at: np.ndarray) -> np.ndarray:
    """Return the numbers in their scene of pixels of a chip."""
    row, col = np.divmod(at, chip.window.width)
    return np.asarray((row + chip.window.row_off) * chip.scene.grid.width + col + chip.window.col_off, np.int64)


def _count_classes(y: np.ndarray) -> dict[Any, int]:
    if y.dtype.kind in "ub" and y.dtype.itemsize == 1:
        # A tenth of the time of what sorts.
        all_counts = np.bincount(y, minlength=1)
        classes = np.flatnonzero(all_counts)
        count = all_counts[classes]
    else:
        classes, count = np.unique(y, return_counts=True)
    if len(classes) > _MOST_CLASSES or (y.dtype.kind == "f" and (classes != np.rint(classes)).any()):
        return {}
    return dict(zip((classes.astype(np.int64) if y.dtype.kind == "f" else classes).tolist(), count.tolist(), strict=True))
