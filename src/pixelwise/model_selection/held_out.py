"""cross_val_map: every pixel predicted when it was held out, scored together, and put back on the map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.utils.parallel import Parallel, delayed

from pixelwise.errors import FoldError
from pixelwise.model_selection.held_out_map import HeldOutMap, scattered
from pixelwise.model_selection.pooled import check_scorers, pooled_scores, scorers_of
from pixelwise.model_selection.rows import checked_folds, checked_labels, take_rows
from pixelwise.model_selection.scorer import is_rasters, legend_of
from pixelwise.table.extract import extract_pixels
from pixelwise.table.pixels import PixelTable

__all__ = ["cross_val_map"]

_METHODS = ("predict", "predict_proba", "decision_function")


def cross_val_map(
    model: Any,
    X: Any,
    y: Any,
    cv: Any,
    *,
    column: str | None = None,
    groups: Any = None,
    scoring: Any = None,
    method: str = "predict",
    blocks: Any = None,
    n_bootstrap: int = 1000,
    confidence: float = 0.95,
    random_state: Any = None,
    n_jobs: int | None = None,
    params: Mapping[str, Any] | None = None,
) -> HeldOutMap:
    """Predict every labelled pixel while it is held out, and score all predictions together.

    The mean of fold scores weighs folds alike, whatever their size, and is not defined where a fold lacks a class; the score of
    the pooled predictions is neither. Its interval comes from a bootstrap that draws whole blocks with replacement, because
    neighbouring pixels are no independent evidence [1]_. The models of the folds are thrown away: it is the predictions that
    are kept, and can be looked at on the map.

    All scores are cross-validation; none is a design-based accuracy of a map.

    Parameters
    ----------
    model : estimator
        A classifier or regressor, also a Pipeline or a search; it is cloned for each fold.
    X : PixelTable, array or DataFrame of shape (n, n_features), raster, or list of rasters
        Pixels; of rasters those with a label in `y` are taken, by `extract_pixels`.
    y : array of shape (n,), label raster, or list of them
        True labels or targets; with `column`, polygons or points.
    cv : cross-validation splitter, int, or iterable of (train, test)
        Each row must be tested once at the most. Rows that no fold tests have no prediction.
    column : str or None, default=None
        Column of vector labels, where X is a raster.
    groups : array-like or None, default=None
        What the splitter takes.
    scoring : str, callable, list of str, dict of str to either, or None, default=None
        Scorers of scikit-learn, or `PixelScorer` with an ignored label. None takes "accuracy" and "f1_macro", or "r2" and
        "neg_root_mean_squared_error". Those that need probabilities go with `method`.
    method : {"predict", "predict_proba", "decision_function"}, default="predict"
        What is predicted.
    blocks : array-like of shape (n,) or None, default=None
        What the bootstrap draws. None takes the blocks of a splitter that has them (``cv.block_ids``), or else one-dimensional
        `groups`, or else the polygons of a PixelTable where pixels share them, or else the folds.
    n_bootstrap : int, default=1000
        Draws of the bootstrap; 0 leaves intervals out.
    confidence : float, default=0.95
        Level of the intervals.
    random_state : int, RandomState or None, default=None
        Seed of the bootstrap.
    n_jobs : int or None, default=None
        Folds that are fitted at the same time.
    params : mapping of str to object, or None, default=None
        Passed to ``fit``, such as ``sample_weight``; those with a row for each of X follow the folds.

    Returns
    -------
    HeldOutMap
        ``.predicted``, ``.fold``, ``.scores``, ``.fold_scores``, ``.to_raster()`` and ``.to_frame()``.

    Raises
    ------
    FoldError
        If a row is tested in several folds, a fold has a single class to learn from, or an option is not known.
    LabelError
        If X and y do not belong together, or labels are missing.

    See Also
    --------
    PixelScorer : Scores for scikit-learn's own searches.
    fold_report : What the folds are like.

    References
    ----------
    .. [1] Roberts, D. R. et al. (2017): Cross-validation strategies for data with temporal, spatial, hierarchical, or
       phylogenetic structure. Ecography 40, 913-929.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> scene, polygons = pw.datasets.make_example()
    >>> model = pw.PixelwiseClassifier(DecisionTreeClassifier(random_state=0))
    >>> cv = pw.SpatialBlockGroupKFold(3, block_size=150)
    >>> result = pw.cross_val_map(model, scene, polygons, cv, column="class", random_state=0)
    >>> print(result.scores["accuracy"])
    1.000 (95% interval 1.000 to 1.000)
    >>> held_out = result.to_raster()
    >>> held_out.shape, held_out.flag_meanings, int((held_out != held_out.rio.nodata).sum())
    ((60, 80), 'forest water', 1200)
    """
    _check_options(method, n_bootstrap, confidence)
    classes = is_classifier(model)
    scorers = scorers_of(scoring, classes=classes)
    legend: dict[int, str] = {}
    if is_rasters(X):
        labels = y
        X, y = extract_pixels(X, labels, column)
        legend = legend_of(labels) if column is None else {}
    y = checked_labels(X, y)
    folds = checked_folds(cv, X, y, groups, classes=classes)
    fold = _fold_of(folds, len(y))
    known = np.unique(y) if classes else None
    if classes:
        _check_classes(folds, y)
    check_scorers(y, method, known, scorers)
    parts = Parallel(n_jobs=n_jobs)(
        delayed(_predict_held_out)(clone(model), X, y, train, test, method, known, dict(params or {})) for train, test in folds
    )
    rows, held_out = np.concatenate([test for _, test in folds]), np.concatenate(parts)
    unit, block = _blocks_of(blocks, cv, X, groups, fold)
    scores = pooled_scores(
        y[rows], held_out, fold[rows], block[rows], method=method, classes=known, scorers=scorers, n_bootstrap=n_bootstrap,
        confidence=confidence, random_state=random_state,
    )  # fmt: skip
    predicted = scattered(held_out, rows, len(y))
    return HeldOutMap(X, y, predicted, fold, block, unit, scores, method, known, legend)


def _check_options(method: str, n_bootstrap: Any, confidence: Any) -> None:
    if method not in _METHODS:
        raise FoldError(f"method={method!r} is not known: choose one of {', '.join(map(repr, _METHODS))}")
    if not isinstance(n_bootstrap, int | np.integer) or n_bootstrap < 0:
        raise FoldError(f"n_bootstrap={n_bootstrap!r}: give the number of draws, or 0 for no intervals")
    if not isinstance(confidence, int | float | np.number) or not 0 < confidence < 1:
        raise FoldError(f"confidence={confidence!r}: give a level between 0 and 1, such as 0.95")


def _fold_of(folds: list[tuple[np.ndarray, np.ndarray]], n: int) -> np.ndarray:
    """Return the fold that tests each row."""
    fold, times = np.full(n, -1), np.zeros(n, int)
    for number, (_, test) in enumerate(folds):
        fold[test] = number
        times[test] += 1
    if times.max(initial=0) > 1:
        raise FoldError(
            f"{(times > 1).sum()} of {n} rows are tested more than once, row {np.argmax(times > 1)} in {times.max()} folds, so "
            "that no single prediction is theirs: take a splitter that tests each row once, or cross_val_score"
        )
    if not times.any():
        raise FoldError("no fold tests a row: look at what the splitter yields")
    return fold


def _check_classes(folds: list[tuple[np.ndarray, np.ndarray]], y: np.ndarray) -> None:
    """Refuse folds that most classifiers stumble over, before hours of fitting."""
    for number, (train, _) in enumerate(folds):
        if (y[train] == y[train[0]]).all():
            raise FoldError(
                f"fold {number} leaves the single class {y[train[0]]} to learn from: make blocks smaller, spread classes with "
                "assignment='stratified', or label more places",
                fold=number,
            )


def _predict_held_out(
    model: Any, X: Any, y: np.ndarray, train: np.ndarray, test: np.ndarray, method: str, classes: Any, params: dict[str, Any]
) -> np.ndarray:
    n = len(y)
    own = {key: value[train] if np.shape(value)[:1] == (n,) else value for key, value in params.items()}
    fitted = model.fit(take_rows(X, train), y[train], **own)
    if not hasattr(fitted, method):
        raise FoldError(f"{type(model).__name__} has no {method}: use method='predict'")
    values = np.asarray(getattr(fitted, method)(take_rows(X, test)))
    if method == "predict":
        return values.ravel()
    if len(fitted.classes_) == len(classes):
        return values
    if method == "decision_function":
        raise FoldError(
            f"a fold trains on {len(fitted.classes_)} of {len(classes)} classes, so that its decision values do not compare "
            "with those of other folds: use method='predict' or 'predict_proba'"
        )
    whole = np.zeros((len(values), len(classes)), values.dtype)
    whole[:, np.searchsorted(classes, fitted.classes_)] = values
    return whole


def _blocks_of(blocks: Any, cv: Any, X: Any, groups: Any, fold: np.ndarray) -> tuple[str, np.ndarray]:
    """Return what the bootstrap draws, and its number for each row."""
    n = len(fold)
    if blocks is not None:
        ids = np.asarray(blocks)
        if ids.shape != (n,):
            raise FoldError(f"blocks has shape {ids.shape} and X has {n} rows: give one id for each row")
        return "blocks that were given", np.ravel(np.unique(ids, return_inverse=True)[1])
    if hasattr(cv, "block_ids"):
        return "blocks of the splitter", np.asarray(cv.block_ids(X, groups))
    if groups is not None and np.ndim(groups) == 1:
        return "groups", np.ravel(np.unique(np.asarray(groups), return_inverse=True)[1])
    if isinstance(X, PixelTable):
        count = len(np.unique(X.groups))
        if 1 < count < n and not np.array_equal(X.groups, X.scene):
            return "polygons or points", np.ravel(np.unique(X.groups, return_inverse=True)[1])
    n_folds = int(fold.max()) + 1
    return ("folds", fold) if n_folds < (fold >= 0).sum() else ("rows", np.arange(n))
