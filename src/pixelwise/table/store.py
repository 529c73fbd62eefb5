"""The rows that all views of a PixelTable share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pixelwise.errors import GridError
from pixelwise.raster.dates import TimeAxis
from pixelwise.raster.grid import Grid
from pixelwise.table.layout import rows_by_dates
from pixelwise.table.missing import NanPolicy

__all__ = ["Store"]


@dataclass(frozen=True, eq=False)
class Store:
    """All rows of a table; shared by every view of it."""

    values: np.ndarray
    names: tuple[str, ...] | None
    grids: tuple[Grid, ...]
    scene: np.ndarray
    pixel: np.ndarray
    group: np.ndarray
    #: The rasters that the values were read from, one a grid, so that operators can look round each pixel; None where the
    #: values are not theirs.
    sources: tuple[Any, ...] | None = None
    #: What counted as missing when they were read.
    policy: NanPolicy | None = None
    #: Operators that have been applied to the rows since.
    steps: tuple[Any, ...] = ()
    #: Names of the rasters' bands, before the steps.
    source_names: tuple[str, ...] | None = None
    #: Bands and dates that the columns are pairs of; None where columns are bands.
    axis: TimeAxis | None = None
    #: Date of each row; None where none is known.
    row_time: np.ndarray | None = None
    #: What knows the metadata of each grid's scene; None where the rasters do, or nothing.
    scenes: Any = None

    def rows(self, at: np.ndarray) -> Store:
        """Return some of the rows."""
        return replace(
            self, values=self.values[at], scene=self.scene[at], pixel=self.pixel[at], group=self.group[at],
            row_time=None if self.row_time is None else self.row_time[at],
        )  # fmt: skip

    def by_date(self) -> Store:
        """Return one row a pixel and date, one column a band: all pixels of the first date, then of the next."""
        axis = self.axis
        if axis is None:
            raise GridError("this table has no dates along its columns: extract it from a stack of (band, time, y, x)")
        scene, pixel, group = (np.tile(part, axis.n_times) for part in (self.scene, self.pixel, self.group))
        names = None if self.names is None else axis.bands
        return replace(
            self, values=rows_by_dates(self.values, len(axis.bands)), names=names, source_names=names, axis=None,
            sources=None, steps=(), scene=scene, pixel=pixel, group=group,
            row_time=None if axis.times is None else np.repeat(axis.times, len(self.values)),
        )  # fmt: skip
