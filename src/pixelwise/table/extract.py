"""extract_pixels: from rasters and labels to a PixelTable and y."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import numpy as np

from pixelwise.errors import GridError, LabelError, MissingDataError, MissingDataWarning
from pixelwise.raster.dates import as_times
from pixelwise.raster.io import ArraySource, RasterFile, open_source
from pixelwise.table.classes import balance_classes
from pixelwise.table.labels import Found, find_in_raster, find_in_vector, read_labels
from pixelwise.table.missing import NanPolicy, as_policy, report_empty_bands, report_suspected_fill
from pixelwise.table.pixels import PixelTable
from pixelwise.table.reading import table_of

__all__ = ["all_pixels", "extract_pixels"]

#: Share of the pixels from which a band that costs them is spoken of.
_COSTLY = 0.5


def extract_pixels(
    raster: Any,
    labels: Any,
    column: str | None = None,
    *,
    all_touched: bool = False,
    buffer: float = 0.0,
    ignore_label: Any = None,
    nan: NanPolicy | str = "drop",
    max_per_class: int | str | None = None,
    min_pixels: int = 0,
    small_classes: str = "drop",
    merge_label: Any = "other",
    times: Sequence[Any] | None = None,
    random_state: Any = None,
) -> tuple[PixelTable, np.ndarray]:
    """Take the labelled pixels out of one raster or many.

    Only the blocks of a file that hold labelled pixels are read.

    Parameters
    ----------
    raster : raster of any carrier, or list of them
        Several may lie on different grids and in different CRSs; their bands are matched by name where they have names. One
        with a time axis, (band, time, y, x), gives a column a band and date, such as ``B04_2018-01``: all dates of the first
        band, ascending, then of the next.
    labels : GeoDataFrame, path of a vector file, label raster, or list of them
        Polygons or points, reprojected to the raster; or rasters of one band, warped to it with nearest neighbour where their
        grids differ. One vector source may serve many rasters.
    column : str or None
        Column of the vector labels that holds the label; needed for them.
    all_touched : bool, default=False
        Take every pixel that a polygon touches, instead of those whose centre is inside.
    buffer : float, default=0.0
        Metres by which polygons grow, or shrink if negative; points with a positive buffer become discs.
    ignore_label : object, list of object, or None
        Labels that mean "not labelled".
    nan : NanPolicy or str, default="drop"
        "drop" leaves out pixels that lack a band; "propagate" keeps them, with NaN, while any band is there. A band without a
        single valid pixel is reported and does not count.
    max_per_class : int, "smallest" or None
        Most pixels of a class, drawn at random; "smallest" balances all classes to the smallest.
    min_pixels : int, default=0
        Classes with fewer pixels are small.
    small_classes : {"drop", "merge"}, default="drop"
        What happens to small classes; "merge" gives them all `merge_label`.
    merge_label : object, default="other"
        The label of merged classes.
    times : sequence of dates or None
        Date of each raster that has no time axis, for ``X.row_times`` and the splitters that leave out dates.
    random_state : int, RandomState or None
        Seed of the draw.

    Returns
    -------
    X : PixelTable of shape (n_pixels, n_bands)
        ``X.groups`` is the row number of the polygon or point in the vector labels (numbered on across several sources); with
        label rasters, the number of the raster.
    y : ndarray of shape (n_pixels,)
        The labels. Pixels come in row-major order; points in their own order, one row a point.

    Raises
    ------
    LabelError
        If no labelled pixel is left, or the column does not exist.
    CRSError
        If only one of raster and labels has a CRS.
    MissingDataError
        If pixels lack data and the policy says "raise".

    Examples
    --------
    >>> import pixelwise as pw
    >>> scene, polygons = pw.datasets.make_example()
    >>> X, y = pw.extract_pixels(scene, polygons, column="class")
    >>> X
    PixelTable(1200 pixels x 4 bands: B02, B03, B04, B08)
    >>> sorted(set(y.tolist())), sorted(set(X.groups.tolist()))
    (['forest', 'water'], [0, 1, 2, 3])
    """
    policy = as_policy(nan)
    rasters = list(raster) if isinstance(raster, list | tuple) else [raster]
    dates = _dates_of(times, len(rasters))
    sources = read_labels(labels, column, len(rasters), buffer)
    ignored = [] if ignore_label is None else list(np.atleast_1d(np.asarray(ignore_label, dtype=object)))
    tables: list[PixelTable] = []
    targets: list[np.ndarray] = []
    for number, (item, source) in enumerate(zip(rasters, sources, strict=True)):
        with open_source(item) as opened:
            if isinstance(source, gpd.GeoDataFrame):
                found = find_in_vector(opened.grid, source, all_touched)
            else:
                found = find_in_raster(opened.grid, source, number)
            table, y = _labelled(opened, found, policy, ignored, item, dates[number])
        tables.append(table)
        targets.append(y)
    if not sum(map(len, targets)):
        raise LabelError(
            "no labelled pixel lies on the raster: check that labels and raster cover the same place, and the buffer"
        )
    X, y = PixelTable.concat(tables) if len(tables) > 1 else tables[0], _join(targets)
    X, y = _drop_missing(X, y, policy)
    report_suspected_fill(np.asarray(X).T, "here and to the model")
    chosen, y = balance_classes(
        y, max_per_class=max_per_class, min_pixels=min_pixels, small_classes=small_classes, merge_label=merge_label,
        random_state=random_state,
    )  # fmt: skip
    return (X if chosen is None else X[chosen]), y


def _join(targets: Sequence[np.ndarray]) -> np.ndarray:
    if len({target.dtype.kind == "U" for target in targets}) > 1:
        raise LabelError("labels are text in one source and numbers in another: give them one type")
    return np.concatenate(targets)


def _labelled(
    source: RasterFile | ArraySource, found: Found, policy: NanPolicy, ignored: Sequence[Any], item: Any, date: Any
) -> tuple[PixelTable, np.ndarray]:
    """Read the pixels that have a label."""
    keep = found.labelled & ~np.isin(found.label, ignored) if ignored else found.labelled
    if policy.on_label == "raise" and not found.labelled.all():
        raise LabelError(
            f"{(~found.labelled).sum()} of {len(found.labelled)} pixels have no label: drop them with on_label='drop'"
        )
    return table_of(source, found.pixel[keep], policy, item, group=found.group[keep], date=date), found.label[keep]


def _dates_of(times: Sequence[Any] | None, n_rasters: int) -> Sequence[Any]:
    """Return the date of each raster; None for each where none is given."""
    given = as_times(times)
    if given is None:
        return [None] * n_rasters
    if len(given) != n_rasters:
        raise GridError(f"{len(given)} times for {n_rasters} rasters: give one date a raster")
    return list(given)


def _drop_missing(X: PixelTable, y: np.ndarray, policy: NanPolicy) -> tuple[PixelTable, np.ndarray]:
    values = np.asarray(X)
    gaps = np.isnan(values)
    if not gaps.any():
        return X, y
    empty = gaps.all(axis=0)
    if empty.all():
        raise MissingDataError("no labelled pixel has data in any band: check the nodata value of the raster")
    report_empty_bands(
        X.feature_names,
        empty,
        "the labelled pixels",
        "it stays in the table as NaN; leave it out of the raster to be rid of it",
    )
    if policy.on_input == "raise":
        raise MissingDataError(
            f"{gaps[:, ~empty].any(axis=1).sum()} of {len(X)} labelled pixels lack data: drop them with nan='drop'"
        )
    if policy.on_input in ("mask", "drop"):
        keep = ~gaps[:, ~empty].any(axis=1)
    else:
        share = gaps[:, ~empty].mean(axis=1)
        keep = (share < 1) & (share <= policy.max_missing)
    if not keep.any():
        raise MissingDataError(
            f"every one of {len(X)} labelled pixels lacks data in some band: keep them with nan='propagate', or leave bands out"
        )
    _report_lost_scenes(X, keep)
    _report_costly_band(X, gaps[:, ~empty], np.asarray(X.feature_names)[~empty], keep)
    return X[np.flatnonzero(keep)], y[keep]


def _report_costly_band(X: PixelTable, gaps: np.ndarray, names: np.ndarray, keep: np.ndarray) -> None:
    """Say so where most pixels are dropped for one band alone, as for a quality band whose "clear" is the file's nodata."""
    alone = gaps & (gaps.sum(axis=1) == 1)[:, None] & ~keep[:, None]
    lost = alone.sum(axis=0)
    if len(names) > 1 and lost.max() > _COSTLY * len(X):
        warnings.warn(
            f"{lost.max()} of {len(X)} labelled pixels were dropped, as they lack band {names[lost.argmax()]} alone: if its "
            "nodata is a value like any other, as 0 is in quality bands, keep them with nan='propagate'",
            MissingDataWarning,
            stacklevel=4,
        )


def _report_lost_scenes(X: PixelTable, keep: np.ndarray) -> None:
    for number in np.unique(X.scene):
        here = X.scene == number
        if not keep[here].any():
            empty = np.isnan(np.asarray(X)[here]).all(axis=0)
            bands = ", ".join(name for name, none in zip(X.feature_names, empty, strict=True) if none)
            warnings.warn(
                f"all {here.sum()} labelled pixels of raster {number} were dropped, "
                f"because they lack {f'band {bands}' if bands else 'data'}: "
                f"keep them with nan='propagate'",
                MissingDataWarning,
                stacklevel=4,
            )


def all_pixels(raster: Any, nan: NanPolicy | str = "drop") -> PixelTable:
    """Take every pixel that has data out of one raster or many, for models without labels.

    Parameters
    ----------
    raster : raster of any carrier, or list of them
        Where the pixels come from.
    nan : NanPolicy or str, default="drop"
        As for `extract_pixels`.

    Returns
    -------
    PixelTable
        Pixels in row-major order; groups are the numbers of the rasters.

    Raises
    ------
    MissingDataError
        If no pixel has data.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from pixelwise.table.extract import all_pixels
    >>> all_pixels(pw.datasets.make_example()[0]).shape
    (4800, 4)
    """
    policy, tables = as_policy(nan), []
    for number, item in enumerate(raster if isinstance(raster, list | tuple) else [raster]):
        with open_source(item) as source:
            table = table_of(source, np.arange(source.grid.size), policy, item)
        tables.append(table.with_groups(np.full(len(table), number)))
    X = PixelTable.concat(tables) if len(tables) > 1 else tables[0]
    return _drop_missing(X, X.groups, policy)[0]
