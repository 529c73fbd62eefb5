"""Which regions get a model of their own, and how the models are fitted, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import clone
from sklearn.cluster import AgglomerativeClustering
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils.parallel import Parallel, delayed

from pixelwise.errors import DispatchError
from pixelwise.regional.regions import Regions
from pixelwise.table.pixels import PixelTable

__all__ = ["Plan", "Seen", "fit_models", "plan_models", "see", "take"]


@dataclass(frozen=True)
class Seen:
    """What a region's training rows hold."""

    #: Rows that a model can learn from.
    n_pixels: int
    #: Classes among them; of a regressor none.
    classes: tuple[Any, ...]


@dataclass(frozen=True)
class Plan:
    """Models to fit, and whom each serves."""

    #: Rows of each model; None for all of them.
    rows: list[np.ndarray | None]
    labels: list[Any]
    #: The model of each region; -1 where it has none.
    serving: np.ndarray
    #: The model of pixels outside every region; -1 where they have none, -2 where the nearest region's serves.
    outside: int


def take(X: Any, rows: np.ndarray) -> Any:
    """Return rows of a table, of whatever type it is."""
    return X[rows] if isinstance(X, PixelTable) else _safe_indexing(X, rows)


def usable(X: Any, codes: np.ndarray, *, drops: bool) -> np.ndarray:
    """Return which rows a model can learn from: of a table of pixels those that have data, in the bands that their region has.

    Parameters
    ----------
    X : PixelTable or other table
        The samples.
    codes : ndarray of int, shape (n,)
        Their regions.
    drops : bool
        Whether models leave out rows that lack any band; else those that lack all.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    ok = np.ones(len(codes), bool)
    if not isinstance(X, PixelTable):
        return ok
    gaps = np.isnan(np.asarray(X))
    if not gaps.any():
        return ok
    for code in np.unique(codes):
        here = codes == code
        there = gaps[here][:, ~gaps[here].all(axis=0)]
        ok[here] = ~(there.any(axis=1) if drops else there.all(axis=1)) if there.shape[1] else False
    return ok


def see(y: np.ndarray | None, codes: np.ndarray, ok: np.ndarray, n_regions: int) -> list[Seen]:
    """Return what each region's rows hold; ``y`` is None for regressors.

    Parameters
    ----------
    y : ndarray of shape (n,) or None
        Labels.
    codes : ndarray of int, shape (n,)
        Region of each row.
    ok : ndarray of bool, shape (n,)
        Rows that a model can learn from.
    n_regions : int
        Number of regions.

    Returns
    -------
    list of Seen
    """
    counts = np.bincount(codes[ok & (codes >= 0)], minlength=n_regions)
    found = [()] * n_regions if y is None else [tuple(np.unique(y[ok & (codes == code)]).tolist()) for code in range(n_regions)]
    return [Seen(int(count), classes) for count, classes in zip(counts, found, strict=True)]


def plan_models(
    regions: Regions, codes: np.ndarray, seen: Sequence[Seen], groups: np.ndarray, *, min_samples: int, fallback: str
) -> Plan:
    """Decide which regions, or groups of regions, get a model, and who serves the others.

    Parameters
    ----------
    regions : Regions
        All regions.
    codes : ndarray of int, shape (n,)
        Region of each training row.
    seen : sequence of Seen
        What each region's rows hold.
    groups : ndarray of int
        Group of each region; -1 for one without rows.
    min_samples : int
        Fewest rows of a model.
    fallback : {"global", "nearest", "raise"}
        Who serves regions without a model, and pixels without a region.

    Returns
    -------
    Plan

    Raises
    ------
    DispatchError
        If no region gets a model, and there is no global one.
    """
    rows: list[np.ndarray | None] = [None] if fallback == "global" else []
    labels: list[Any] = ["global"] if fallback == "global" else []
    serving = np.full(len(seen), 0 if fallback == "global" else -1)
    classify = any(region.classes for region in seen)
    for group in range(groups.max(initial=-1) + 1):
        members = np.flatnonzero(groups == group).tolist()
        count = sum(seen[member].n_pixels for member in members)
        classes = {label for member in members for label in seen[member].classes}
        if count < min_samples or (classify and len(classes) < 2):
            continue
        serving[members] = len(rows)
        rows.append(np.flatnonzero(np.isin(codes, members)))
        labels.append(", ".join(str(regions.names[member]) for member in members))
    if not rows:
        most = max((region.n_pixels for region in seen), default=0)
        raise DispatchError(
            f"no region has min_samples={min_samples} training pixels of two classes or more, the largest has {most}: lower "
            "min_samples, set merge=, or use fallback='global'",
            min_samples=min_samples,
        )
    if fallback == "nearest":
        own = np.flatnonzero(serving >= 0)
        for region in np.flatnonzero(serving < 0):
            serving[region] = serving[regions.nearest_to(int(region), own)]
    return Plan(rows, labels, serving, {"global": 0, "nearest": -2}.get(fallback, -1))


def group_regions(X: Any, codes: np.ndarray, seen: Sequence[Seen], ok: np.ndarray, merge: int | None) -> np.ndarray:
    """Return the group of each region: itself, or one of ``merge`` clusters of regions that look alike.

    Regions are compared by mean and standard deviation of each standardised band, and clustered with Ward's criterion.

    Parameters
    ----------
    X : table
        The samples.
    codes : ndarray of int, shape (n,)
        Region of each row.
    seen : sequence of Seen
        What each region's rows hold.
    ok : ndarray of bool, shape (n,)
        Rows that count.
    merge : int or None
        Number of groups; None makes none.

    Returns
    -------
    ndarray of int
        -1 for regions without rows.
    """
    groups = np.full(len(seen), -1)
    known = np.flatnonzero([region.n_pixels > 0 for region in seen])
    if merge is None or merge >= len(known):
        groups[known] = np.arange(len(known))
        return groups
    values = np.asarray(X, dtype=float)
    filled = values[ok & (codes >= 0)]
    gaps = np.isnan(filled)
    counts = np.maximum((~gaps).sum(axis=0), 1)
    mean = np.where(gaps, 0, filled).sum(axis=0) / counts
    spread = np.sqrt(np.where(gaps, 0, (filled - mean) ** 2).sum(axis=0) / counts)
    scaled = np.nan_to_num((values - mean) / np.where(spread > 0, spread, 1))
    parts = [scaled[ok & (codes == region)] for region in known]
    signatures = np.array([np.concatenate([part.mean(axis=0), part.std(axis=0)]) for part in parts])
    found = AgglomerativeClustering(merge).fit_predict(signatures) if merge > 1 else np.zeros(len(known), int)
    # Numbered in the order of their first regions.
    _, first, number = np.unique(found, return_index=True, return_inverse=True)
    groups[known] = np.argsort(np.argsort(first))[number]
    return groups


def fit_models(
    estimator: Any, X: Any, y: Any, params: Mapping[str, Any], plan: Plan, *, n_jobs: int | None, random_state: Any
) -> list[Any]:
    """Fit a clone of an estimator on the rows of each model.

    Parameters
    ----------
    estimator : estimator
        What is cloned.
    X, y : table and targets
        All training rows.
    params : mapping
        Further arguments of ``fit``; those with one entry a row follow the rows.
    plan : Plan
        Which rows.
    n_jobs : int or None
        Models that are fitted at the same time.
    random_state : int, RandomState or None
        Seeds the clones' own random states, in the order of the models; None leaves them alone.

    Returns
    -------
    list of fitted estimators
    """
    random = None if random_state is None else check_random_state(random_state)
    clones = [_seeded(clone(estimator), random) for _ in plan.rows]
    # Views share what operators make of the rasters; another process would be sent all rows with each of them.
    apart = effective_n_jobs(n_jobs) > 1
    tasks = (
        delayed(_fitted)(model, *_part(X, y, params, rows, apart=apart), label)
        for model, rows, label in zip(clones, plan.rows, plan.labels, strict=True)
    )
    return list(Parallel(n_jobs=n_jobs)(tasks))


def _seeded(model: Any, random: np.random.RandomState | None) -> Any:
    if random is not None:
        names = [name for name in sorted(model.get_params()) if name == "random_state" or name.endswith("__random_state")]
        model.set_params(**{name: random.randint(np.iinfo(np.int32).max) for name in names})
    return model


def _part(
    X: Any, y: Any, params: Mapping[str, Any], rows: np.ndarray | None, *, apart: bool
) -> tuple[Any, Any, dict[str, Any]]:
    if rows is None:
        return X, y, dict(params)
    count = int(X.shape[0]) if hasattr(X, "shape") else len(X)
    table = take(X, rows)
    table = table.with_groups(table.groups) if apart and isinstance(table, PixelTable) else table
    sliced = {
        name: _safe_indexing(value, rows)
        if hasattr(value, "__len__") and not isinstance(value, str) and len(value) == count
        else value
        for name, value in params.items()
    }
    return table, _safe_indexing(y, rows), sliced


def _fitted(model: Any, X: Any, y: Any, params: Mapping[str, Any], label: Any) -> Any:
    try:
        return model.fit(X, y, **params)
    except ValueError as error:
        error.add_note(f"while the model of region {label} was fitted")
        raise
