"""Rows of chips brought into one table, with places, dates and groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pixelwise.catalog.geocatalog import GeoCatalog
from pixelwise.catalog.slices import GeoSlices
from pixelwise.errors import CatalogError, LabelError, PixelwiseError
from pixelwise.raster.blocks import BlockPlane, block_numbers
from pixelwise.raster.dates import TimeAxis, check_same_dates
from pixelwise.raster.grid import EARTH_RADIUS, Grid, as_crs, metres_per_unit
from pixelwise.table.bands import band_order
from pixelwise.table.pixels import PixelTable
from pixelwise.training.chips import ChipRows
from pixelwise.training.rows import Rows

__all__ = ["TableMaker", "block_side", "check_groups", "labels_as"]


class TableMaker:
    """Makes tables of the rows of chips, whose features must be those of the first.

    Parameters
    ----------
    catalog : GeoCatalog
        Whose chips.
    groups : str or None
        What becomes groups: "scene", "block", or a column of the catalog; None is the scene.
    block : float
        Metres: the side of blocks.
    """

    def __init__(self, catalog: GeoCatalog, groups: str | None, block: float) -> None:
        self._catalog, self._groups, self._block = catalog, groups, block
        #: Names, axis and number of the features of the first chip.
        self.reference: tuple[tuple[str, ...] | None, TimeAxis | None, int] | None = None
        self._grids = _grids_of(catalog)
        self._dates = catalog.frame["datetime"].to_numpy("datetime64[ns]")

    def aligned(self, found: ChipRows) -> Rows:
        """Return the rows of a chip with its features in the order of the first chip.

        Parameters
        ----------
        found : ChipRows
            Which was read.

        Returns
        -------
        Rows

        Raises
        ------
        BandError, GridError
            If the features are others; the message names the scene.
        """
        rows = found.rows
        assert rows is not None
        if self.reference is None:
            self.reference = found.names, found.axis, rows.values.shape[1]
            return rows
        names, axis, n_features = self.reference
        try:
            check_same_dates(axis, found.axis, found.scene)
            columns = band_order(names, found.names, rows.values.shape[1], n_features)
        except PixelwiseError as error:
            scene = self._catalog.frame["id"].iat[found.scene]
            raise type(error)(f"scene {scene}: {error}", **error.values) from error
        if isinstance(columns, slice):
            return rows
        return Rows(rows.values[:, columns], rows.scene, rows.pixel, rows.key, rows.y, rows.group, rows.weight)

    def table(self, rows: Rows) -> PixelTable:
        """Return rows as a table.

        Parameters
        ----------
        rows : Rows
            Those of one chip or many.

        Returns
        -------
        PixelTable
            ``scene`` is the row of the catalog.
        """
        assert self.reference is not None
        (names, axis, _), dates = self.reference, self._dates[rows.scene]
        X = PixelTable.from_values(
            rows.values, self._grids, pixel=rows.pixel, scene=rows.scene, names=names, axis=axis,
            row_times=None if axis is not None or np.isnat(dates).any() else dates, scenes=self._catalog,
        )  # fmt: skip
        groups = self._group_ids(X, rows)
        return X if groups is None else X.with_groups(groups)

    def _group_ids(self, X: PixelTable, rows: Rows) -> np.ndarray | None:
        if rows.group is not None:
            return _whole(rows.group)
        if self._groups in (None, "scene"):
            return None
        if self._groups == "block":
            xy = X.xy
            plane = BlockPlane(xy[:, 0], xy[:, 1], X.crs, self._block, (0.0, 0.0))
            return block_numbers(*plane.squares())
        codes, _ = pd.factorize(self._catalog.frame[self._groups], sort=True)
        return np.asarray(codes[rows.scene], np.int64)


def _grids_of(catalog: GeoCatalog) -> list[Grid]:
    """Return the grids of all scenes, which share a CRS: one of its own would take more memory than all else of a scene."""
    facts = catalog.frame[["crs", "transform", "height", "width"]]
    known = {crs: as_crs(crs) for crs in facts["crs"].unique()}
    return [Grid(known[crs], *rest) for crs, *rest in facts.itertuples(index=False)]


def check_groups(groups: str | None, group_band: Any, catalog: GeoCatalog) -> None:
    """Raise an error if groups cannot be made.

    Parameters
    ----------
    groups : str or None
        As for `fit_pixelwise`.
    group_band : int, str or None
        The same.
    catalog : GeoCatalog
        Whose columns.

    Raises
    ------
    CatalogError
        If there is no such column.
    """
    if groups is not None and group_band is not None:
        raise CatalogError(f"groups={groups!r} and group_band={group_band!r} are given: choose one of them")
    if groups in (None, "scene", "block"):
        return
    if groups not in catalog.frame.columns:
        columns = ", ".join(map(str, catalog.frame.columns))
        raise CatalogError(f"groups={groups!r} is no column of the catalog: choose 'block', 'scene', or one of {columns}")
    if catalog.frame[groups].isna().any():
        scene = catalog.frame["id"][catalog.frame[groups].isna()].iat[0]
        raise CatalogError(f"scene {scene} has no {groups!r}, which groups shall be made of: fill the column, or leave it out")


def block_side(chips: GeoSlices) -> float:
    """Return the longest side of the chips in metres, rounded up to whole metres where it is longer than one.

    Parameters
    ----------
    chips : GeoSlices
        Chips.

    Returns
    -------
    float
    """
    longest = 0.0
    for number in np.unique(chips.scene):
        grid = chips.catalog[int(number)].grid
        t = grid.transform
        unit = np.radians(1.0) * EARTH_RADIUS if grid.crs is not None and grid.crs.is_geographic else metres_per_unit(grid.crs)
        height, width = chips.windows[chips.scene == number, 2:].max(axis=0)
        longest = max(longest, height * np.hypot(t.b, t.e) * unit, width * np.hypot(t.a, t.d) * unit)
    return float(np.ceil(longest - 1e-6)) if longest > 1 else longest


def labels_as(y: np.ndarray, classes: bool) -> np.ndarray:
    """Return labels as a classifier takes them: whole numbers as integers.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels.
    classes : bool
        Whether they must be classes.

    Returns
    -------
    ndarray

    Raises
    ------
    LabelError
        If they are no classes.
    """
    if not classes or y.dtype.kind != "f":
        return y
    whole = _whole(y)
    if whole.dtype.kind == "f":
        odd = y[y != np.rint(y)][0]
        raise LabelError(f"labels such as {odd:g} are no classes: use a regressor, or a label band of whole numbers")
    return whole


def _whole(values: np.ndarray) -> np.ndarray:
    return values.astype(np.int64) if (values == np.rint(values)).all() else values
