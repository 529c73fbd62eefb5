"""extract_pixels: from rasters and labels to a PixelTable and y."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
from rasterio.windows import Window

from pixelwise.errors import GridError, LabelError, MissingDataError, MissingDataWarning
from pixelwise.raster.carriers import Raster
from pixelwise.raster.io import ArraySource, RasterFile, as_nan, open_source
from pixelwise.table.bands import band_order
from pixelwise.table.classes import balance_classes
from pixelwise.table.labels import Found, find_in_raster, find_in_vector, read_labels
from pixelwise.table.layout import ToPixelMajor
from pixelwise.table.missing import (
    NanPolicy,
    as_policy,
    missing_values,
    report_empty_bands,
    report_suspected_fill,
    rows_with_nan,
    table_dtype,
    valid_rows,
)
from pixelwise.table.pixels import PixelTable

__all__ = ["all_pixels", "chips_around", "extract_pixels"]


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
    random_state: Any = None,
) -> tuple[PixelTable, np.ndarray]:
    """Take the labelled pixels out of one raster or many.

    Only the blocks of a file that hold labelled pixels are read.

    Parameters
    ----------
    raster : raster of any carrier, or list of them
        Several may lie on different grids and in different CRSs; their bands are matched by name where they have names.
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
            table, y = _labelled(opened, found, policy, ignored, _kept(item))
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
    source: RasterFile | ArraySource, found: Found, policy: NanPolicy, ignored: Sequence[Any], item: Any
) -> tuple[PixelTable, np.ndarray]:
    """Read the pixels that have a label."""
    keep = found.labelled & ~np.isin(found.label, ignored) if ignored else found.labelled
    if policy.on_label == "raise" and not found.labelled.all():
        raise LabelError(
            f"{(~found.labelled).sum()} of {len(found.labelled)} pixels have no label: drop them with on_label='drop'"
        )
    pixel, group = found.pixel[keep], found.group[keep]
    values = gather(source, pixel, policy)
    table = PixelTable.from_values(
        values, [source.grid], pixel=pixel, group=group, names=source.bands, sources=[item], policy=policy
    )
    return table, found.label[keep]


def _kept(item: Any) -> Any:
    """Return what a table remembers of a raster: of an open dataset its path, which pickles and outlives it."""
    return item.name if isinstance(item, rasterio.io.DatasetReader) else item


def gather(source: RasterFile | ArraySource, pixel: np.ndarray, policy: NanPolicy) -> np.ndarray:
    """Read pixels, block by block.

    Parameters
    ----------
    source : RasterFile or ArraySource
        What to read.
    pixel : ndarray of int, shape (n,)
        Row-major numbers of the pixels, in any order.
    policy : NanPolicy
        What counts as missing.

    Returns
    -------
    ndarray of float, shape (n, n_bands)
        NaN where data is missing.
    """
    values = np.empty((len(pixel), source.n_bands), table_dtype(source.dtype))
    names = source.bands or [f"band_{number}" for number in range(1, source.n_bands + 1)]
    marks = missing_values(source.dtype, names, source.nodata, policy)
    for at, window in _windows_of(source, pixel):
        chip = source.read(window)
        layout = ToPixelMajor()
        row, col = np.divmod(pixel[at], source.grid.width)
        inside = (row - window.row_off) * window.width + col - window.col_off
        flat = layout.flatten(chip.cube)[:, inside]
        mask = None if chip.mask is None else _flat_mask(chip.mask, layout)[..., inside]
        _, missing = valid_rows(flat, marks, mask, policy, keep="any")
        values[at] = rows_with_nan(flat, None, missing, values.dtype)
    return values


def _windows_of(source: RasterFile | ArraySource, pixel: np.ndarray) -> Iterator[tuple[np.ndarray, Window]]:
    """Yield which pixels lie in a window of whole blocks, and the window; blocks without pixels are passed over."""
    rows, cols = np.divmod(pixel, source.grid.width)
    height, width = source.block_shape
    tall = height * max(1, 128 // height)
    key = (rows // tall) * (source.grid.width // width + 1) + cols // width
    order = np.argsort(key, kind="stable")
    for at in np.split(order, np.flatnonzero(np.diff(key[order])) + 1) if len(pixel) else ():
        top, left = rows[at].min() // height * height, cols[at].min() // width * width
        bottom = min(-(-(rows[at].max() + 1) // height) * height, source.grid.height)
        right = min(left + width, source.grid.width)
        yield at, Window(int(left), int(top), int(right - left), int(bottom - top))


def chips_around(X: PixelTable, halo: int, what: str) -> Iterator[tuple[np.ndarray, Raster, tuple[np.ndarray, np.ndarray]]]:
    """Read the rasters of a table again, round its rows.

    Parameters
    ----------
    X : PixelTable
        Whose rasters.
    halo : int
        Pixels round the rows that are needed.
    what : str
        What needs them, for the error.

    Yields
    ------
    rows : ndarray of int
        Rows of the table.
    chip : Raster
        Floats with NaN where data is missing; as much of the halo as the raster has.
    inside : (ndarray of int, ndarray of int)
        Row and column of each of the rows in the chip.

    Raises
    ------
    GridError
        If the table does not know its rasters.
    """
    if X.sources is None:
        raise GridError(
            f"{what} looks {halo} pixels round, and this table does not know its rasters any more: "
            "apply it before what changes the values of the table, or to the raster"
        )
    for number, item in enumerate(X.sources):
        here = np.flatnonzero(X.scene == number)
        with open_source(item) as source:
            for at, core in _windows_of(source, X.pixel[here]):
                top, left = max(0, core.row_off - halo), max(0, core.col_off - halo)
                bottom = min(source.grid.height, core.row_off + core.height + halo)
                right = min(source.grid.width, core.col_off + core.width + halo)
                chip = as_nan(source.read(Window(left, top, right - left, bottom - top)))
                row, col = np.divmod(X.pixel[here[at]], source.grid.width)
                yield here[at], _in_order(_with_policy(chip, X.policy), X), (row - top, col - left)


def _with_policy(chip: Raster, policy: NanPolicy | None) -> Raster:
    """Set NaN where the policy of the extraction says that data is missing."""
    if policy is None:
        return chip
    for band, name in zip(chip.cube, chip.names, strict=True):
        for value in policy.sentinels_of(name):
            band[band == value] = np.nan
        if policy.valid_range is not None:
            band[(band < policy.valid_range[0]) | (band > policy.valid_range[1])] = np.nan
    return chip


def _in_order(chip: Raster, X: PixelTable) -> Raster:
    """Bring the bands of a raster into the order of the first one of the table."""
    order = band_order(X.source_names, chip.bands, chip.n_bands)
    if isinstance(order, slice):
        return chip
    return chip.with_values(chip.cube[order], bands=X.source_names)


def _flat_mask(mask: np.ndarray, layout: ToPixelMajor) -> np.ndarray:
    flat: np.ndarray = layout.flatten(mask if mask.ndim > 2 else mask[None])
    return flat if mask.ndim > 2 else flat[0]


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
    return X[np.flatnonzero(keep)], y[keep]


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
            pixel = np.arange(source.grid.size)
            table = PixelTable.from_values(
                gather(source, pixel, policy), [source.grid], pixel=pixel, names=source.bands, sources=[_kept(item)],
                policy=policy,
            )  # fmt: skip
        tables.append(table.with_groups(np.full(len(table), number)))
    X = PixelTable.concat(tables) if len(tables) > 1 else tables[0]
    return _drop_missing(X, X.groups, policy)[0]
