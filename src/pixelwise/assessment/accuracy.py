"""estimate_accuracy: design-based accuracy and areas from an error matrix, from labels, or from a map and points."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pixelwise.assessment.estimates import AccuracyEstimate, ClassEstimates, Estimate, plain_label
from pixelwise.assessment.labels import check_same_kind, clean_labels, count_samples, numbers_by_label, sorted_labels
from pixelwise.assessment.reference import sample_on_map
from pixelwise.assessment.stratified import AREA, F1, OVERALL, PRODUCERS, USERS, SampleCounts, class_cells, ratio
from pixelwise.errors import LabelError, PixelwiseWarning
from pixelwise.raster.carriers import is_raster

__all__ = ["estimate_accuracy"]


def estimate_accuracy(
    mapped: Any = None,
    reference: Any = None,
    *,
    matrix: Any = None,
    areas: Any = None,
    classes: Sequence[Any] | None = None,
    strata: Any = None,
    strata_sizes: Any = None,
    population: int | None = None,
    pixel_area: float | None = None,
    column: str | None = None,
    outside: str = "raise",
) -> AccuracyEstimate:
    """Estimate the accuracy of a map, and the areas of its classes, from a probability sample of places.

    Which estimator is right follows from how the sample was drawn:

    - *Stratified by the classes of the map*: give `areas`, with an error `matrix` or with labels; or a map and points without
      `strata`. Olofsson et al. (2014) [1]_.
    - *Stratified otherwise* (regions, the classes of another map): give `strata` and `strata_sizes`. Stehman (2014) [2]_, with
      the finite population correction.
    - *Simple random*: give labels alone, and `population` if the sample is a good part of all pixels. Where the map's areas are
      known, `areas` make more of the same sample (post-stratification).

    Training pixels, and polygons drawn where a class is clear, are no probability sample: what they give is no accuracy of the
    map, whatever the formula.

    Parameters
    ----------
    mapped : array-like of shape (n,), or raster of any carrier
        What the map says at the samples; or the map itself, of one band, also as a file, which is read block by block.
    reference : array-like of shape (n,), GeoDataFrame, or path
        What is there; for a map its points, reprojected if their CRS is another. Text labels are matched with the map's class
        names, and whole numbers with its codes.
    matrix : array-like of int, shape (k, k), or DataFrame
        Counts of the sample instead: map in rows, reference in columns.
    areas : mapping of label to float, or sequence of shape (k,)
        Area that is mapped as each class, in any unit, or in pixels; a sequence has the order of `classes`.
    classes : sequence of label, or None
        Classes in the order of the result; None takes them as sorted, or as the DataFrame or the map has them.
    strata : array-like of shape (n,), str, or None
        Stratum of each sample; with a map the column that holds it.
    strata_sizes : mapping of label to int, or None
        Pixels of each stratum. With a map None reads the columns that `design_sample` writes beside the strata.
    population : int or None
        Pixels of the map, for a simple random sample.
    pixel_area : float or None
        Hectares of a pixel: areas that are given in pixels come out in hectares.
    column : str or None
        Column of the points that holds the reference label.
    outside : {"raise", "drop"}, default="raise"
        What happens to points outside the map, or on its nodata; those that are dropped are counted in a warning and in the
        result.

    Returns
    -------
    AccuracyEstimate
        ``overall``, ``users``, ``producers``, ``f1`` and ``areas``, each with ``estimate``, ``se`` and ``interval(0.95)``.
        Areas are in hectares where the map has a CRS, else in the unit of `areas` or in pixels. Where a class was never sampled
        in the reference its producer's accuracy is NaN.

    Raises
    ------
    LabelError
        If labels, areas and strata do not fit together, or a stratum has no sample.
    CRSError
        If only one of map and points has a CRS.

    Warns
    -----
    PixelwiseWarning
        If a stratum has one sample: its variance, and what depends on it, is NaN.

    See Also
    --------
    design_sample : Draws the sample.

    References
    ----------
    .. [1] Olofsson, P., Foody, G. M., Herold, M., Stehman, S. V., Woodcock, C. E. and Wulder, M. A. (2014): Good practices for
       estimating area and assessing accuracy of land change. Remote Sensing of Environment 148, 42-57.
    .. [2] Stehman, S. V. (2014): Estimating area and map accuracy for stratified random sampling when the strata are different
       from the map classes. International Journal of Remote Sensing 35, 4923-4939.

    Examples
    --------
    The worked example of Olofsson et al. (2014), with areas in pixels of 0.09 ha:

    >>> import pixelwise as pw
    >>> n = [[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]]
    >>> names = ["deforestation", "forest gain", "stable forest", "stable non-forest"]
    >>> pixels = [200_000, 150_000, 3_200_000, 6_450_000]
    >>> accuracy = pw.estimate_accuracy(matrix=n, areas=pixels, classes=names, pixel_area=0.09)
    >>> accuracy.overall
    0.947 ± 0.018 (95%, design-based)
    >>> low, high = accuracy.areas["deforestation"].interval(0.95)
    >>> round(low), round(high)
    (15000, 27315)
    >>> accuracy.producers.estimate.round(2)
    array([0.75, 0.85, 0.93, 0.96])
    """
    given = {"areas": areas, "classes": classes, "strata": strata, "strata_sizes": strata_sizes, "population": population,
             "pixel_area": pixel_area, "column": column}  # fmt: skip
    if matrix is not None:
        _refuse(given, "matrix", ("strata", "strata_sizes", "population", "column"))
        if mapped is not None or reference is not None:
            raise LabelError("matrix= and labels say the same twice: give one of them")
        return _checked(_from_matrix(matrix, areas, classes, pixel_area))
    if mapped is None or reference is None:
        raise LabelError("there is no sample: give labels of map and reference, a map and points, or matrix=..., areas=...")
    if column is not None or is_raster(mapped):
        _refuse(given, "a map", ("areas", "classes", "population", "pixel_area"))
        return _checked(_from_map(mapped, reference, column, strata, strata_sizes, outside))
    labels = clean_labels(mapped, "labels of the map"), clean_labels(reference, "labels of the reference")
    check_same_kind(*labels)
    if strata is not None or strata_sizes is not None:
        _refuse(given, "strata", ("areas", "population"))
        return _checked(_from_strata(labels, strata, strata_sizes, classes, pixel_area))
    if areas is not None:
        _refuse(given, "areas", ("population",))
        return _checked(_from_areas(labels, areas, classes, pixel_area))
    return _checked(_from_simple_sample(labels, population, classes, pixel_area))


def _checked(made: AccuracyEstimate) -> AccuracyEstimate:
    """Return an estimate, and say which strata have no variance."""
    alone = made.strata.index[(made.strata["n"] == 1) & (made.strata["share"] > 0) & ~(made.strata["size"] <= 1)]
    if len(alone):
        names = ", ".join(repr(name) for name in alone[:5]) + (" ..." if len(alone) > 5 else "")
        warnings.warn(
            f"one sample alone lies in stratum {names}: variances need two, so the standard errors that it enters are NaN; "
            "take more samples there, or merge it with another stratum",
            PixelwiseWarning,
            stacklevel=3,
        )
    return made


def _refuse(given: dict[str, Any], what: str, names: tuple[str, ...]) -> None:
    wrong = [name for name in names if given[name] is not None]
    if wrong:
        raise LabelError(
            f"{wrong[0]}= does not go with {what}: leave one of them out (each belongs to another sampling design)"
        )


def _from_matrix(matrix: Any, areas: Any, classes: Sequence[Any] | None, pixel_area: float | None) -> AccuracyEstimate:
    if isinstance(matrix, pd.DataFrame):
        names = [plain_label(label) for label in matrix.index]
        if set(names) != set(matrix.columns) or len(names) != len(matrix.columns):
            raise LabelError(
                f"matrix has the rows {names} and the columns {list(matrix.columns)}: give it the same classes in both"
            )
        classes = names if classes is None else classes
        matrix = matrix.loc[names, names]
    counts = np.asarray(matrix, dtype=float)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not counts.size:
        raise LabelError(f"matrix has shape {counts.shape}: give counts of shape (k, k), map in rows, reference in columns")
    if not (np.isfinite(counts).all() and (counts >= 0).all() and (counts == np.rint(counts)).all()):
        raise LabelError(f"matrix holds {counts.min():g} to {counts.max():g}: give counts of samples, not shares or areas")
    if areas is None:
        raise LabelError("matrix= needs areas=: without the area of each map class its rows cannot be weighed")
    labels = list(range(len(counts))) if classes is None else [plain_label(label) for label in classes]
    if len(labels) != len(counts) or len(set(labels)) != len(labels):
        raise LabelError(
            f"{len(set(labels))} different classes for a matrix of {len(counts)} x {len(counts)}: name each row once"
        )
    cube = np.zeros((len(counts), *counts.shape), np.int64)
    rows = np.arange(len(counts))
    cube[rows, rows] = counts
    return _of_map_classes(labels, cube, numbers_by_label(areas, labels, "areas"), pixel_area)


def _from_areas(
    labels: tuple[np.ndarray, np.ndarray], areas: Any, classes: Sequence[Any] | None, pixel_area: float | None
) -> AccuracyEstimate:
    known = areas.keys() if hasattr(areas, "keys") else []
    names = sorted_labels(*labels)
    texts = {str(name) for name in names}
    given = [*names, *(plain_label(key) for key in known if str(key) not in texts)]
    names = given if classes is None else _class_order(labels, classes)
    # A class that is in the reference alone has no area in the map.
    nowhere = dict.fromkeys(set(sorted_labels(labels[1])) - set(sorted_labels(labels[0])), 0.0)
    numbers = numbers_by_label(areas, names, "areas", nowhere)
    return _of_map_classes(names, count_samples(*labels, labels[0], names, names), numbers, pixel_area)


def _of_map_classes(
    classes: Sequence[Any], counts: np.ndarray, areas: np.ndarray, pixel_area: float | None
) -> AccuracyEstimate:
    sample = SampleCounts(tuple(classes), counts, areas, None)
    lost = sample.counts.sum(axis=(1, 2)) > 0
    if (lost & (areas == 0)).any():
        name = classes[int(np.argmax(lost & (areas == 0)))]
        raise LabelError(f"class {name!r} has samples in the map and the area 0: give the area that is mapped as it")
    unit, scale = ("as given", 1.0) if pixel_area is None else ("ha", pixel_area)
    return _result(sample, classes, "Olofsson 2014", unit, scale, of_map=True)


def _from_strata(
    labels: tuple[np.ndarray, np.ndarray], strata: Any, sizes: Any, classes: Sequence[Any] | None, pixel_area: float | None
) -> AccuracyEstimate:
    if strata is None or sizes is None:
        lacks = "strata" if strata is None else "strata_sizes"
        raise LabelError(
            f"{lacks}= is missing: a stratified sample needs the stratum of each sample and the pixels of each stratum"
        )
    stratum = clean_labels(strata, "strata")
    if len(stratum) != len(labels[0]):
        raise LabelError(f"{len(stratum):,} strata for {len(labels[0]):,} samples: give one for each")
    names = _strata_names(stratum, sizes)
    pixels = numbers_by_label(sizes, names, "strata_sizes")
    known = _class_order(labels, classes)
    sample = SampleCounts(tuple(names), count_samples(*labels, stratum, known, names), pixels, pixels)
    unit, scale = ("pixels", 1.0) if pixel_area is None else ("ha", pixel_area)
    return _result(sample, known, "Stehman 2014", unit, scale)


def _class_order(labels: tuple[np.ndarray, np.ndarray], classes: Sequence[Any] | None) -> list[Any]:
    """Return the classes as they were given, or sorted."""
    if classes is None:
        return sorted_labels(*labels)
    names = [plain_label(label) for label in classes]
    twice = [name for at, name in enumerate(names) if name in names[:at]]
    if twice:
        raise LabelError(f"classes name {twice[0]!r} twice: name each class once")
    return names


def _strata_names(stratum: np.ndarray, sizes: Any) -> list[Any]:
    """Return all strata: those of the sample, and those that sizes speak of besides."""
    names = sorted_labels(stratum)
    texts = {str(name) for name in names}
    return [*names, *(plain_label(key) for key in (sizes.keys() if hasattr(sizes, "keys") else []) if str(key) not in texts)]


def _from_simple_sample(
    labels: tuple[np.ndarray, np.ndarray], population: int | None, classes: Sequence[Any] | None, pixel_area: float | None
) -> AccuracyEstimate:
    if population is None and pixel_area is not None:
        raise LabelError("pixel_area= needs population=, the number of pixels of the map, to make hectares of shares")
    known = _class_order(labels, classes)
    everywhere = np.full(len(labels[0]), "all", dtype=object)
    pixels = np.array([1.0 if population is None else float(population)])
    sizes = None if population is None else pixels
    sample = SampleCounts(("all",), count_samples(*labels, everywhere, known, ["all"]), pixels, sizes)
    unit = "share" if population is None else "pixels" if pixel_area is None else "ha"
    return _result(sample, known, "simple random", unit, pixel_area or 1.0)


def _from_map(mapped: Any, reference: Any, column: str | None, strata: Any, sizes: Any, outside: str) -> AccuracyEstimate:
    if outside not in ("raise", "drop"):
        raise ValueError(f"outside={outside!r} is not known: choose 'raise' or 'drop'")
    if column is None:
        raise LabelError("column= is missing: name the column of the points that holds the reference label")
    if strata is not None and not isinstance(strata, str):
        raise LabelError("strata= must name a column of the points where a map is given; it is no text")
    if strata is None and sizes is not None:
        raise LabelError("strata_sizes= needs strata=, the column that holds the stratum of each point")
    found = sample_on_map(mapped, reference, column, strata, sizes, drop=outside == "drop")
    counts = count_samples(found.mapped, found.reference, found.stratum, found.classes, found.strata)
    sample = SampleCounts(found.strata, counts, found.areas, found.sizes)
    method = "Olofsson 2014" if strata is None else "Stehman 2014"
    return _result(sample, found.classes, method, found.unit, 1.0, of_map=strata is None, dropped=found.dropped)


def _result(
    sample: SampleCounts,
    classes: Sequence[Any],
    method: str,
    unit: str,
    scale: float,
    *,
    of_map: bool = False,
    dropped: int = 0,
) -> AccuracyEstimate:
    names = _as_array(classes)
    cells, total = class_cells(sample.counts), float(sample.areas.sum()) * scale
    # What is mapped as a class lies in its own stratum alone.
    elsewhere = ~np.eye(len(names), dtype=bool) if of_map else None
    overall = ratio(sample, sample.agreement, *OVERALL)
    area, area_se = ratio(sample, cells, *AREA)
    strata = {"n": sample.n, "share": sample.share, "size": np.nan if sample.sizes is None else sample.sizes}
    return AccuracyEstimate(
        overall=Estimate(float(overall[0][0]), float(overall[1][0])),
        users=ClassEstimates(classes, *ratio(sample, cells, *USERS, fixed=elsewhere)),
        producers=ClassEstimates(classes, *ratio(sample, cells, *PRODUCERS)),
        f1=ClassEstimates(classes, *ratio(sample, cells, *F1)),
        areas=ClassEstimates(classes, area * total, area_se * total),
        map_areas=sample.areas * scale if of_map else sample.proportions.sum(axis=1) * total,
        classes=names,
        matrix=sample.counts.sum(axis=0),
        proportions=sample.proportions,
        strata=pd.DataFrame(strata, index=pd.Index(sample.strata, name="stratum")),
        method=method,
        unit=unit,
        dropped=dropped,
    )


def _as_array(classes: Sequence[Any]) -> np.ndarray:
    kinds = {type(label) for label in classes}
    return np.array(list(classes), dtype=object if len(kinds) > 1 else None)
