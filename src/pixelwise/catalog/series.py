"""Dates of one place as one scene: the rows of a catalog of series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import geopandas as gpd

from pixelwise.catalog.parquet import is_known
from pixelwise.errors import CatalogError

__all__ = ["series_rows"]


def series_rows(frame: gpd.GeoDataFrame, by: str, places: Sequence[Any]) -> list[dict[str, Any]]:
    """Return a row for each place, with the files of its dates in their order.

    Parameters
    ----------
    frame : GeoDataFrame
        Of a `GeoCatalog`.
    by : str
        Column that says which scenes are of one place.
    places : sequence
        Its values.

    Returns
    -------
    list of dict

    Raises
    ------
    CatalogError
        If a scene has no date, there is no place, or its dates have different bands.
    """
    if frame["datetime"].isna().any():
        undated = frame["id"][frame["datetime"].isna()].iloc[0]
        raise CatalogError(f"scene {undated} has no date, so it has no place in a series: set the column datetime")
    if not places:
        raise CatalogError(f"none of {len(frame)} scenes has a {by}, so there is no series: set the column {by}")
    rows = []
    for value in places:
        dates = frame[frame[by] == value].sort_values("datetime", kind="stable")
        bands = {tuple(names) if is_known(names) else None for names in dates.get("bands", [None])}
        if len(bands) > 1:
            raise CatalogError(f"the dates of {by} {value} have different bands: {bands}; filter those that belong together")
        rows.append(dates.iloc[0].to_dict() | {"id": str(value), "uri": tuple(dates["uri"])})
        rows[-1]["times"] = tuple(dates["datetime"].to_numpy("datetime64[ns]"))
        marks = {repr(values) for values in dates.get("nodata", [None])}
        rows[-1]["nodata"] = rows[-1].get("nodata") if len(marks) == 1 else None
    return rows
