"""An exact, uniform sample of the valid pixels of a catalog's chips, in one pass."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from pixelwise.catalog.geocatalog import GeoCatalog
from pixelwise.errors import LabelError, MissingDataError, PixelwiseWarning
from pixelwise.raster.io import parse_memory
from pixelwise.table.missing import report_suspected_fill
from pixelwise.table.pixels import PixelTable
from pixelwise.training.chips import ChipReader, Draw
from pixelwise.training.reading import Chips, read_chips, seed_of
from pixelwise.training.report import TrainingReport
from pixelwise.training.reservoir import Reservoir
from pixelwise.training.tables import TableMaker, block_side, check_groups

__all__ = ["Sample", "Source", "check_count", "draw_sample", "refuse_nothing", "warn_of_errors"]


@dataclass(frozen=True)
class Source:
    """Where training pixels come from, and how they are read.

    Parameters
    ----------
    catalog : GeoCatalog
        Scenes.
    sampler : sampler or None
        What draws chips.
    reader : ChipReader
        What becomes of them.
    groups : str or None
        What becomes groups.
    random_state : int, RandomState or None
        Seed.
    n_jobs : int or None
        Workers.
    progress : bool
        Whether to show a bar.
    on_error : {"raise", "skip"}
        What happens to chips that cannot be read.
    report : TrainingReport or None
        Where to count.
    """

    catalog: GeoCatalog
    sampler: Any
    reader: ChipReader
    groups: str | None = None
    random_state: Any = None
    n_jobs: int | None = None
    progress: bool = False
    on_error: str = "raise"
    report: TrainingReport | None = None

    def __post_init__(self) -> None:
        if self.on_error not in ("raise", "skip"):
            raise ValueError(f"on_error={self.on_error!r} is not known: choose 'raise' or 'skip'")
        for name, pipeline, remedy in (
            ("X_pipeline", self.reader.features, "an operator, a Sequential of them, or a function"),
            ("y_pipeline", self.reader.labels, "ReadLabel(labels=..., column=...), what begins with it, or a function"),
        ):
            if pipeline is not None and not callable(pipeline):
                raise TypeError(f"{name} is a {type(pipeline).__name__}, which cannot be called with a chip: give {remedy}")
        if self.report is not None and not isinstance(self.report, TrainingReport):
            raise TypeError(f"report={self.report!r} is none: make one before, report = TrainingReport(), and give that")
        for name, band in (("group_band", self.reader.group_band), ("sample_weight_band", self.reader.weight_band)):
            if band is not None and self.reader.labels is None:
                raise LabelError(f"{name}={band!r} is a band of the labels, and there are none: give y_pipeline")


@dataclass(frozen=True)
class Sample:
    """Pixels to learn from: a table, labels, and weights."""

    X: PixelTable
    y: np.ndarray | None
    weight: np.ndarray | None


def draw_sample(source: Source, n_pixels: int | None, *, balance: bool, memory: str | int) -> Sample:
    """Draw pixels.

    Parameters
    ----------
    source : Source
        Where from.
    n_pixels : int or None
        How many; None takes all.
    balance : bool
        Whether each class gets an equal part.
    memory : str or int
        What the sample may take while it is drawn.

    Returns
    -------
    Sample
        By scene and pixel, in the order of the scenes' files.

    Raises
    ------
    MissingDataError, LabelError
        If there is no pixel to learn from.
    """
    if n_pixels is not None:
        check_count("n_pixels", n_pixels)
    if balance and (source.reader.labels is None or n_pixels is None):
        raise LabelError("balance=True shares n_pixels out among classes: give n_pixels, and a y_pipeline of classes")
    report = TrainingReport() if source.report is None else source.report
    seed = seed_of(source.random_state)
    chips = Chips.of(source.catalog, source.sampler, seed)
    check_groups(source.groups, source.reader.group_band, source.catalog)
    maker = TableMaker(source.catalog, source.groups, block_side(chips.slices) if source.groups == "block" else 0.0)
    kept = Reservoir(None if n_pixels is None else int(n_pixels), balance=balance, memory=parse_memory(memory))
    report.start(len(source.catalog))

    def draw(rank: int) -> Draw:
        """Return what is worth a row by now."""
        return Draw(seed, rank, None if balance else kept.size, dict(kept.limits))

    names = source.catalog.frame["id"]
    for found in read_chips(
        chips, chips.used, source.reader, draw=draw, n_jobs=source.n_jobs, progress=source.progress,
        skip=source.on_error == "skip",
    ):  # fmt: skip
        report.add(found, str(names.iat[found.scene]))
        if found.rows is not None:
            if balance and len(found.rows) and not found.classes:
                raise LabelError("balance=True needs classes, and the labels are measurements: leave balance out")
            kept.add(maker.aligned(found))
    rows = kept.rows(chips.rank)
    report.finish(source.catalog, rows)
    warn_of_errors(report)
    if rows is None:
        raise refuse_nothing(report)
    report_suspected_fill(rows.values.T, "here, and as nan= to the model", "nan_policy")
    return Sample(maker.table(rows), rows.y, rows.weight)


def check_count(name: str, value: Any) -> None:
    """Raise an error if a value is no number of things.

    Parameters
    ----------
    name : str
        What it is given as.
    value : object
        What is given.

    Raises
    ------
    ValueError
        If it is not whole, or not above 0.
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value <= 0:
        raise ValueError(f"{name}={value!r} is no count: give a whole number above 0")


def warn_of_errors(report: TrainingReport) -> None:
    """Give the warnings of all chips, and one of scenes that were not read in whole.

    Parameters
    ----------
    report : TrainingReport
        Of the run.
    """
    report.warned.give(stacklevel=4)
    if report.errors:
        name, why = next(iter(report.errors.items()))
        count = len(report.errors)
        warnings.warn(
            f"{count} scene{'s' if count > 1 else ''} could not be read in whole and {'were' if count > 1 else 'was'} left out "
            f"there, the first is {name}: {why}",
            PixelwiseWarning,
            stacklevel=4,
        )


def refuse_nothing(report: TrainingReport) -> MissingDataError | LabelError:
    """Return the error of a run without a single pixel, which says where they have gone.

    Parameters
    ----------
    report : TrainingReport
        Of the run.

    Returns
    -------
    Exception
    """
    total = report.totals()
    if not total["seen"]:
        return MissingDataError("no chip could be read: see the warning, and check the paths in the catalog")
    bands = next(iter(report.empty_bands.values()), [])
    blame = f"; band {', '.join(bands)} has no data in scene {next(iter(report.empty_bands))}" if bands else ""
    text = f"no pixel is left to learn from ({report!r}){blame}: "
    if total["no_label"] > total["no_data"] + total["masked"]:
        return LabelError(text + "check that the labels lie where the chips do, as PointSampler makes sure of")
    return MissingDataError(text + "check nodata and cloud mask, leave bands out, or keep gaps with on_input='propagate'")
