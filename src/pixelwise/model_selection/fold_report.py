"""fold_report: what the folds of a splitter are like, before a model is fitted on them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import wasserstein_distance

from pixelwise.errors import FoldError, FoldWarning
from pixelwise.model_selection.fold_distances import Places, places_of
from pixelwise.model_selection.rows import checked_folds, checked_labels
from pixelwise.table.pixels import PixelTable

__all__ = ["FOLDS_STATEMENT", "fold_report"]

#: What stands with every report.
FOLDS_STATEMENT = (
    "These are cross-validation folds: scores on them tell how a model transfers, and are no design-based accuracy."
)
#: More distinct whole numbers than that are a quantity, and no classes.
_MOST_CLASSES = 100
#: Folds that test fewer rows are like leave-one-out, whose predictions are scored together.
_FEW = 5
#: A test is tiny below so many rows, or below that share of the mean test.
_TINY, _TINY_SHARE = 10, 0.2
#: Shares of classes in a test that differ by more in all, and tests larger than so many mean ones, are out of balance.
_UNLIKE, _HUGE = 0.3, 2.0
#: Test pixels beside training pixels are a leak where they are more than this share; borders of blocks have some of them.
_BESIDE = 0.5
_REMEDIES = {
    "no test": "a fold tests nothing: lower n_splits, or make blocks smaller",
    "class missing": "make blocks smaller, spread classes with assignment='stratified', or drop or merge the class",
    "single class": "make blocks smaller, or spread classes with assignment='stratified' or 'balanced'",
    "tiny test": "use assignment='equal_count', fewer folds, or smaller blocks",
    "imbalance": "use assignment='balanced' or 'stratified', or smaller blocks; score pooled predictions (cross_val_map)",
    "same place": "drop duplicate rows, or give them one group",
    "same group": "use larger blocks or a buffer as wide as a polygon, or hold out whole polygons (groups=X.groups)",
    "beside": "hold out blocks instead of pixels: SpatialBlockGroupKFold",
}


def fold_report(
    cv: Any,
    X: Any,
    y: Any,
    *,
    groups: Any = None,
    prediction_domain: Any = None,
    task: str | None = None,
    random_state: Any = None,
) -> pd.DataFrame:
    """Report what each fold trains on and tests, how far the two are apart, and what is wrong with it.

    Folds fail in silence: a class that no fold trains on, a test of one class, pixels of one field on both sides. And they are
    as hard as the map only where test pixels lie as far from training pixels as the map's pixels do from all of them [1]_.

    Parameters
    ----------
    cv : cross-validation splitter, int, or iterable of (train, test)
        Any of scikit-learn's or of this package.
    X : PixelTable, GeoDataFrame, DataFrame with a (y, x) index, or array
        The samples. Distances are known where they, or `groups`, say where they are.
    y : array-like of shape (n,)
        Labels or targets.
    groups : array-like of shape (n,), or (n, 2), or None, default=None
        What the splitter takes: groups, or coordinates. None takes the polygons of a PixelTable to look for leakage.
    prediction_domain : array-like of shape (m, 2), GeoDataFrame, PixelTable, raster, or None, default=None
        Where the map will be predicted; None takes that of the splitter, if it has one.
    task : {"classification", "regression"} or None, default=None
        Whether `y` holds classes; None takes text, and up to 100 distinct whole numbers, for classes.
    random_state : int, RandomState or None, default=None
        Seed of the draw from the domain; None takes that of the splitter.

    Returns
    -------
    pandas.DataFrame
        One row a fold, with the columns

        - ``n_train``, ``n_test``, ``n_lost``: rows, the last those in neither, such as those lost to a buffer;
        - ``train_<class>``, ``test_<class>``: rows of each class; of numbers ``train_q25``, ``train_q50``, ``train_q75`` and
          the same of the test;
        - ``test_distance_min``, ``test_distance_median``: metres from test rows to the nearest training row;
        - ``prediction_distance_median``: metres from the map to the nearest of all rows, the same in each fold;
        - ``W``: the area between both distributions of distances in metres; 0 is a perfect match;
        - ``flags``: what is wrong with the fold, "" if nothing is.

        Distances are NaN where nothing says where rows, or the map, are. ``report.attrs`` has the W of all folds together
        (``"W"``), what to do about the flags (``"remedies"``), numbers of rows, and what these folds are (``"statement"``).

    Raises
    ------
    FoldError
        If the folds cannot be made.
    LabelError
        If y does not fit X.

    See Also
    --------
    KNNDMSplit : Makes folds with a small W.
    DistanceDisplay : Draws the distances.

    References
    ----------
    .. [1] Milà, C. et al. (2022): Nearest neighbour distance matching leave-one-out cross-validation for map validation.
       Methods in Ecology and Evolution 13, 1304-1316.

    Examples
    --------
    >>> import pixelwise as pw
    >>> scene, polygons = pw.datasets.make_example()
    >>> X, y = pw.extract_pixels(scene, polygons, column="class")
    >>> report = pw.fold_report(pw.SpatialBlockGroupKFold(3, block_size=100, buffer=20), X, y, prediction_domain=scene)
    >>> report[["n_train", "n_test", "n_lost", "test_forest", "test_distance_min"]].round(1)
          n_train  n_test  n_lost  test_forest  test_distance_min
    fold
    0         652     400     148          255               22.4
    1         591     400     209          245               22.4
    2         591     400     209          100               22.4
    >>> report.attrs["statement"]
    'These are cross-validation folds: scores on them tell how a model transfers, and are no design-based accuracy.'
    """
    y = checked_labels(X, y)
    classes = _is_classes(y, task)
    with warnings.catch_warnings():
        # What it says stands in the flags.
        warnings.simplefilter("ignore", FoldWarning)
        folds = checked_folds(cv, X, y, groups, classes=classes)
    places, shared = places_of(cv, X, groups), _groups_of(X, groups)
    gij = None if places is None else places.to_domain(cv, prediction_domain, random_state)
    if places is None and prediction_domain is not None:
        raise FoldError("nothing says where the rows of X are, so that their distance to prediction_domain is not known: "
                        "pass a PixelTable, or groups= with coordinates of shape (n, 2)")  # fmt: skip
    described = _Labels(y, classes)
    mean_test = float(np.mean([len(test) for _, test in folds]))
    rows, problems, gj_star = [], [], []
    for train, test in folds:
        near = np.empty(0) if places is None or not len(test) else places.to_training(train, test)
        row, found = described.row(train, test), described.problems(train, test, mean_test)
        found += _leaks(X, places, shared, train, test, near)
        rows.append(
            {**_sizes(train, test, len(y)), **row, **_distances(near, gij), "flags": "; ".join(text for _, text in found)}
        )
        problems += [kind for kind, _ in found]
        gj_star.append(near)
    report = pd.DataFrame(rows, index=pd.RangeIndex(len(folds), name="fold"))
    pooled = np.concatenate(gj_star)
    report.attrs = {
        "statement": FOLDS_STATEMENT,
        "W": float(wasserstein_distance(pooled, gij)) if gij is not None and len(pooled) else float("nan"),
        "remedies": {kind: remedy for kind, remedy in _REMEDIES.items() if kind in problems},
        "n_rows": len(y),
        "n_untested": len(y) - len(np.unique(np.concatenate([test for _, test in folds]))),
    }
    return report


def _is_classes(y: np.ndarray, task: str | None) -> bool:
    if task not in (None, "classification", "regression"):
        raise FoldError(f"task={task!r} is not known: choose 'classification' or 'regression'")
    if task is not None:
        return task == "classification"
    if y.dtype.kind not in "iuf":
        return True
    return bool(np.all(y == np.rint(y))) and len(np.unique(y)) <= _MOST_CLASSES


def _groups_of(X: Any, groups: Any) -> tuple[str, np.ndarray] | None:
    """Return what must not lie on both sides, and its name: given groups, or polygons that pixels share."""
    if groups is not None and np.ndim(groups) == 1:
        return "groups", np.asarray(groups)
    if not isinstance(X, PixelTable) or np.array_equal(X.groups, X.scene):
        return None
    return ("polygons", X.groups) if len(np.unique(X.groups)) > 1 else None


def _sizes(train: np.ndarray, test: np.ndarray, n: int) -> dict[str, int]:
    used = np.zeros(n, bool)
    used[train] = used[test] = True
    return {"n_train": len(train), "n_test": len(test), "n_lost": int((~used).sum())}


def _distances(near: np.ndarray, gij: np.ndarray | None) -> dict[str, float]:
    known = len(near) > 0
    return {
        "test_distance_min": float(near.min()) if known else float("nan"),
        "test_distance_median": float(np.median(near)) if known else float("nan"),
        "prediction_distance_median": float("nan") if gij is None else float(np.median(gij)),
        "W": float(wasserstein_distance(near, gij)) if known and gij is not None else float("nan"),
    }


class _Labels:
    """What is told of the labels of a fold: counts of classes, or quartiles of numbers."""

    def __init__(self, y: np.ndarray, classes: bool) -> None:
        self.y = y
        self.names: list[str] | None = None
        if classes:
            found, codes, self.counts = np.unique(y, return_inverse=True, return_counts=True)
            self.names = [f"{name:g}" if isinstance(name, float) else str(name) for name in found.tolist()]
            self.codes = np.ravel(codes)

    def row(self, train: np.ndarray, test: np.ndarray) -> dict[str, float]:
        """Return the columns of a fold."""
        columns: dict[str, float] = {}
        for side, rows in (("train", train), ("test", test)):
            if self.names is not None:
                counts = np.bincount(self.codes[rows], minlength=len(self.names)).tolist()
                columns |= {f"{side}_{name}": count for name, count in zip(self.names, counts, strict=True)}
                continue
            values = np.quantile(self.y[rows], (0.25, 0.5, 0.75)) if len(rows) else np.full(3, np.nan)
            columns |= dict(zip((f"{side}_q25", f"{side}_q50", f"{side}_q75"), map(float, values), strict=True))
        return columns

    def problems(self, train: np.ndarray, test: np.ndarray, mean_test: float) -> list[tuple[str, str]]:
        """Return kind and text of what is wrong with a fold's sizes and labels."""
        if not len(test):
            return [("no test", "no test rows")]
        found = self._missing(train, test)
        if mean_test < _FEW:
            return found
        if len(test) < max(_TINY, _TINY_SHARE * mean_test):
            found.append(("tiny test", f"tiny test: {len(test)} rows, the mean of folds is {mean_test:,.0f}"))
        if len(test) > _HUGE * mean_test:
            found.append(("imbalance", f"imbalance: tests {len(test):,} rows, the mean of folds is {mean_test:,.0f}"))
        return found + (self._unlike_numbers(train, test) if self.names is None else self._unlike_classes(test))

    def _missing(self, train: np.ndarray, test: np.ndarray) -> list[tuple[str, str]]:
        if self.names is None:
            return []
        learned = np.bincount(self.codes[train], minlength=len(self.names)) > 0
        tested = np.bincount(self.codes[test], minlength=len(self.names))
        lacks = [f"{self.names[at]} ({tested[at]:,} test rows)" for at in np.flatnonzero(~learned)]
        return [("class missing", f"class missing in training: {', '.join(lacks)}")] if lacks else []

    def _unlike_classes(self, test: np.ndarray) -> list[tuple[str, str]]:
        assert self.names is not None
        share = np.bincount(self.codes[test], minlength=len(self.names)) / len(test)
        if len(self.names) > 1 and share.max() == 1:
            return [("single class", f"single-class test: {self.names[int(share.argmax())]} alone")]
        usual = self.counts / self.counts.sum()
        if np.abs(share - usual).sum() / 2 <= _UNLIKE:
            return []
        most = int(np.argmax(share - usual))
        text = f"imbalance: {self.names[most]} is {share[most]:.0%} of the test, and {usual[most]:.0%} of all rows"
        return [("imbalance", text)]

    def _unlike_numbers(self, train: np.ndarray, test: np.ndarray) -> list[tuple[str, str]]:
        low, high = np.quantile(self.y[train], (0.25, 0.75))
        middle = float(np.median(self.y[test]))
        if low <= middle <= high:
            return []
        text = f"imbalance: the median of the test, {middle:g}, lies outside the training quartiles {low:g} to {high:g}"
        return [("imbalance", text)]


def _leaks(
    X: Any, places: Places | None, shared: tuple[str, np.ndarray] | None, train: np.ndarray, test: np.ndarray, near: np.ndarray
) -> list[tuple[str, str]]:
    """Return kind and text of the ways in which a test has been seen in training."""
    found = []
    same = int((near == 0).sum())
    if same:
        found.append(("same place", f"leakage: {same:,} test rows have the coordinates of training rows"))
    if shared is not None:
        what, groups = shared
        both = np.isin(groups[test], groups[train])
        if both.any():
            n_both = len(np.unique(groups[test][both]))
            found.append(("same group", f"leakage: {both.sum():,} test rows share {n_both:,} {what} with training rows"))
    if places is not None and isinstance(X, PixelTable) and len(near):
        beside = float(np.mean(near <= 1.5 * _pixel_size(X, places)))
        if beside > _BESIDE:
            found.append(("beside", f"leakage: {beside:.0%} of the test pixels lie beside training pixels"))
    return found


def _pixel_size(X: PixelTable, places: Places) -> float:
    """Return the side of a pixel in metres, in the middle of the first grid."""
    grid = X.grids[0]
    row, col = grid.height // 2, grid.width // 2
    ends = places.metric.points(grid.xy([row, row], [col, col + 1]))
    return float(places.metric.metres(np.linalg.norm(ends[:1] - ends[1:], axis=1))[0])
