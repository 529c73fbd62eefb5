"""Reference points on a map: what the map says at each, and which stratum each belongs to."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely

from pixelwise.assessment.census import MapReader, count_classes
from pixelwise.assessment.estimates import plain_label
from pixelwise.assessment.labels import clean_labels, numbers_by_label, sorted_labels
from pixelwise.errors import LabelError, PixelwiseWarning
from pixelwise.raster.grid import as_crs, transform_xy

__all__ = ["MapSample", "sample_on_map"]


@dataclass(frozen=True, eq=False)
class MapSample:
    """A sample of places on a map, with labels of one kind.

    Parameters
    ----------
    mapped, reference, stratum : ndarray of shape (n,)
        Labels.
    classes, strata : tuple of label
        All there are: those of the map first.
    areas : ndarray of float, shape (n_strata,)
        Area of each stratum, in `unit`.
    sizes : ndarray of float, shape (n_strata,), or None
        Pixels of each stratum, where they correct for a finite population.
    unit : str
        "ha" or "pixels".
    dropped : int
        Points outside the map, or on nodata, that were left out.

    Examples
    --------
    >>> import geopandas as gpd, numpy as np
    >>> from pixelwise.assessment.reference import sample_on_map
    >>> points = gpd.GeoDataFrame({"seen": [1, 2, 2]}, geometry=gpd.points_from_xy([0.5, 1.5, 0.5], [0.5, 1.5, 1.5]))
    >>> found = sample_on_map(np.array([[1, 1], [2, 1]], "uint8"), points, "seen")
    >>> found.mapped, found.reference, found.areas, found.unit
    (array([1, 1, 2], dtype=object), array([1, 2, 2], dtype=object), array([3., 1.]), 'pixels')
    """

    mapped: np.ndarray
    reference: np.ndarray
    stratum: np.ndarray
    classes: tuple[Any, ...]
    strata: tuple[Any, ...]
    areas: np.ndarray
    sizes: np.ndarray | None
    unit: str
    dropped: int


def sample_on_map(
    mapped: Any, reference: Any, column: str, strata: str | None = None, sizes: Any = None, *, drop: bool = False
) -> MapSample:
    """Look up what a map says at reference points.

    Parameters
    ----------
    mapped : raster of any carrier
        A map of one band. Of a file only the blocks with points are read, and all of it where the strata are its classes.
    reference : GeoDataFrame or path
        Points; reprojected if their CRS is another.
    column : str
        Their column with the reference label.
    strata : str or None
        Their column with the stratum; None takes the classes of the map.
    sizes : mapping of label to int, or None
        Pixels of each stratum; None reads the columns ``<strata>_pixels``, ``<strata>_hectares`` and ``<strata>_share``.
    drop : bool, default=False
        Leave out points outside the map, or on nodata.

    Returns
    -------
    MapSample

    Raises
    ------
    LabelError
        If the points are none, have no such column, lie outside, or their labels are none of the map's.
    CRSError
        If only one of map and points has a CRS.
    """
    points = _read_points(reference, column, strata)
    with MapReader(mapped) as opened:
        codes, there = _codes_at(opened, points)
        kept, dropped = _inside(points, there, drop), int((~there).sum())
        seen = clean_labels(kept[column], f"labels in column {column!r}")
        names, sampled = dict(opened.names), tuple(opened.label(code) for code in np.unique(codes[there]))
        # What classes a map without names has is known from all of it alone.
        census = count_classes(opened) if strata is None or not names else None
        on_map = np.empty(len(kept), dtype=object)
        on_map[:] = [opened.label(code) for code in codes[there]]
        square = None if opened.grid.crs is None or opened.grid.crs.is_geographic else _hectares_of_pixel(opened)
    legend = (*names.values(), *(sampled if census is None else census.labels))
    labels = _as_map_labels(seen, names, legend)
    known = census.labels if census is not None and strata is None else sampled
    strange = [label for label in sorted_labels(labels) if label not in known]
    classes = (*known, *strange)
    _warn_of_strange_classes([label for label in strange if label not in legend], known)
    if strata is None:
        assert census is not None
        hectares = census.hectares
        areas, unit = (census.pixels.astype(float), "pixels") if hectares is None else (hectares, "ha")
        areas = np.concatenate([areas, np.zeros(len(strange))])
        return MapSample(on_map, labels, on_map, classes, classes, areas, None, unit, dropped)
    stratum = clean_labels(kept[strata], f"strata in column {strata!r}")
    order, pixels, hectares = _strata_sizes(kept, stratum, strata, sizes)
    if hectares is None and square is not None:
        hectares = pixels * square
    areas, unit = (pixels, "pixels") if hectares is None else (hectares, "ha")
    return MapSample(on_map, labels, stratum, classes, order, areas, pixels, unit, dropped)


def _read_points(reference: Any, column: str, strata: str | None) -> gpd.GeoDataFrame:
    if isinstance(reference, gpd.GeoDataFrame):
        frame = reference
    else:
        try:
            frame = gpd.read_file(reference)
        except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
            raise LabelError(f"reference {reference} cannot be read as a vector file: {error}") from error
    if not isinstance(frame, gpd.GeoDataFrame):
        raise LabelError(f"reference {reference} has no geometry: pass points")
    names = [name for name in frame.columns if name != frame.geometry.name]
    for wanted in (column, strata):
        if wanted is not None and wanted not in names:
            raise LabelError(f"reference has no column {wanted!r}: choose one of {', '.join(map(str, names))}", columns=names)
    lost = frame.geometry.isna() | frame.geometry.is_empty
    if not len(frame) or lost.any():
        raise LabelError(
            f"{lost.sum():,} of {len(frame):,} reference features have no geometry: remove them, or give them points"
        )
    kinds = set(frame.geom_type) - {"Point"}
    if kinds:
        raise LabelError(
            f"reference has features of type {sorted(kinds)[0]}, and a sample is of points: an estimate needs a probability "
            "sample of places, as design_sample draws it"
        )
    return frame.reset_index(drop=True)


def _codes_at(opened: MapReader, points: gpd.GeoDataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the code under each point, and where there is one."""
    xy = shapely.get_coordinates(points.geometry.array)
    pixels = opened.grid.pixels_at(transform_xy(xy, as_crs(points.crs), opened.grid.crs))
    codes, there = np.zeros(len(points), np.int64), pixels >= 0
    inside = np.flatnonzero(there)
    for window, at in opened.blocks(pixels[inside]):
        values, valid = opened.read(window)
        rows, cols = np.divmod(pixels[inside[at]], opened.grid.width)
        rows, cols = rows - window.row_off, cols - window.col_off
        there[inside[at]] = valid[rows, cols]
        codes[inside[at]] = np.where(valid[rows, cols], values[rows, cols], 0)
    return codes, there


def _inside(points: gpd.GeoDataFrame, there: np.ndarray, drop: bool) -> pd.DataFrame:
    if there.all():
        return points
    n, few = int((~there).sum()), ", ".join(map(str, np.flatnonzero(~there)[:5]))
    what = f"{n:,} of {len(points):,} points lie outside the map or on its nodata (rows {few}{' ...' if n > 5 else ''})"
    if not there.any():
        raise LabelError(f"{what}: check that the CRS of the points is right")
    if not drop:
        raise LabelError(
            f"{what}: they are no sample of this map; leave them out with outside='drop' (--drop-outside) if the map is right",
            points=np.flatnonzero(~there),
        )
    warnings.warn(f"{what} and were left out: the estimate speaks of the mapped area alone", PixelwiseWarning, stacklevel=5)
    return points[there].reset_index(drop=True)


def _hectares_of_pixel(opened: MapReader) -> float:
    """Return the hectares of a pixel on a projected CRS, where all have the same area."""
    unit = opened.grid.crs.linear_units_factor[1] if opened.grid.crs is not None else 1.0
    return abs(float(opened.grid.transform.determinant)) * float(unit) ** 2 / 10_000


def _as_map_labels(labels: np.ndarray, names: dict[int, str], known: tuple[Any, ...]) -> np.ndarray:
    """Return reference labels as the map has them: names where it names its classes, else codes."""
    by_text = {str(code): name for code, name in names.items()} if names else {str(label): label for label in known}
    # flag_meanings has no blanks within a name.
    by_text |= {"_".join(str(name).split()): name for name in names.values()} | {name: name for name in names.values()}
    text = pd.Series([str(plain_label(label)) for label in labels])
    found = [by_text.get(label, by_text.get("_".join(label.split()))) for label in text]
    if not any(label is not None for label in found):
        said = ", ".join(map(repr, known[:8])) + (" ..." if len(known) > 8 else "")
        advice = "" if names else "; the map does not name its classes (flag_values, flag_meanings), so give their codes"
        raise LabelError(
            f"no reference label, such as {text[0]!r}, is a class of the map ({said}): use the map's names or codes{advice}"
        )
    kept = [plain_label(own) if label is None else label for label, own in zip(found, labels, strict=True)]
    out = np.empty(len(kept), dtype=object)
    out[:] = [str(label) for label in kept] if names else kept
    return out


def _warn_of_strange_classes(strange: list[Any], known: tuple[Any, ...]) -> None:
    if strange:
        said = ", ".join(map(repr, known[:8])) + (" ..." if len(known) > 8 else "")
        warnings.warn(
            f"reference labels {', '.join(map(repr, strange))} are no classes of the map ({said}) and count as errors of it: "
            "check their spelling",
            PixelwiseWarning,
            stacklevel=5,
        )


def _strata_sizes(
    points: pd.DataFrame, stratum: np.ndarray, column: str, sizes: Any
) -> tuple[tuple[Any, ...], np.ndarray, np.ndarray | None]:
    """Return strata, their pixels, and their hectares if the points tell."""
    order = sorted_labels(stratum)
    if sizes is not None:
        texts = {str(label) for label in order}
        order += [plain_label(key) for key in (sizes.keys() if hasattr(sizes, "keys") else []) if str(key) not in texts]
        return tuple(order), numbers_by_label(sizes, order, "strata_sizes"), None
    if f"{column}_pixels" not in points:
        raise LabelError(
            f"the pixels of strata in column {column!r} are not known: give strata_sizes={{stratum: pixels}} (--strata-size), "
            f"or a column '{column}_pixels', as design_sample writes it"
        )
    told = {name: _one_each(points, stratum, order, column, name) for name in ("pixels", "hectares", "share")}
    pixels, hectares, share = told["pixels"], told["hectares"], told["share"]
    assert pixels is not None
    if share is not None and not np.isclose(share.sum(), 1, atol=1e-6):
        raise LabelError(
            f"the strata of the points make up {share.sum():.2%} of the map: points of a stratum are missing: put them "
            "back, or take a sample of what is left"
        )
    return tuple(order), pixels, hectares


def _one_each(points: pd.DataFrame, stratum: np.ndarray, order: list[Any], column: str, name: str) -> np.ndarray | None:
    """Return the one number that all points of a stratum have in a column; None where there is no such column."""
    told = f"{column}_{name}"
    if told not in points:
        return None
    groups = pd.to_numeric(points[told], errors="coerce").groupby(pd.Series(stratum, index=points.index))
    if name != "pixels" and points[told].isna().all():
        return None
    low, high, there = groups.min(), groups.max(), groups.count() == groups.size()
    wrong = [label for label in order if not there[label] or low[label] != high[label]]
    if wrong:
        raise LabelError(f"column {told!r} has no single number for stratum {wrong[0]!r}: give all its points the same")
    return np.array([low[label] for label in order], dtype=float)
