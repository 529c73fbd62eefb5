"""PixelScorer: any scorer of scikit-learn on rasters, tables and lists of chips."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.metrics import check_scoring, get_scorer, get_scorer_names
from sklearn.utils.metadata_routing import MetadataRequest, get_routing_for_object

from pixelwise.errors import LabelError
from pixelwise.model_selection.rows import take_rows
from pixelwise.model_selection.splitter import n_rows
from pixelwise.raster.carriers import is_raster, unwrap
from pixelwise.raster.legend import map_classes
from pixelwise.table.extract import extract_pixels
from pixelwise.table.missing import NanPolicy, as_policy
from pixelwise.table.pixels import PixelTable

__all__ = ["PixelScorer", "as_class_labels", "is_rasters", "legend_of"]


class PixelScorer(BaseEstimator):
    """Score a model on the labelled pixels of rasters, of lists of chips, or of tables, with any scorer of scikit-learn.

    scikit-learn's own scorers take the bands of a raster for samples, and its unlabelled pixels for a class. This one takes the
    pixels that have data and a label out of the rasters first, and hands them to the scorer: those of all chips of a list
    together, so that the score is that of the pooled pixels, and no mean over chips.

    Codes in a label raster become labels where the model's classes are text: by the raster's own legend (``flag_values`` and
    ``flag_meanings``), or else 0, 1, 2 ... in the order of ``classes_``, as in the maps that the model makes.

    A score on rasters that were labelled by hand, or on folds, is no design-based accuracy of a map.

    Parameters
    ----------
    name : str or callable, default="f1_macro"
        A name from `sklearn.metrics.get_scorer_names`, or a scorer such as `sklearn.metrics.make_scorer` returns; also those
        that take probabilities or decision values, such as "roc_auc" and "neg_log_loss".
    ignore_label : object, list of object, or None, default=None
        Labels that are left out, by code or by name.
    nan : NanPolicy or str, default="drop"
        "drop" leaves out pixels that lack a band, "propagate" keeps them while any band is there, for models that take NaN.
    column : str or None, default=None
        Column of the labels where y is a vector file or a GeoDataFrame instead of a label raster.

    See Also
    --------
    cross_val_map : Pooled scores of held-out predictions, with intervals.
    sklearn.metrics.get_scorer : The scorers.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from sklearn.model_selection import KFold, cross_val_score
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> scene, polygons = pw.datasets.make_example()
    >>> X, y = pw.extract_pixels(scene, polygons, column="class")
    >>> model = pw.PixelwiseClassifier(DecisionTreeClassifier(random_state=0)).fit(X, y)
    >>> labels = model.predict(pw.open_raster(scene))
    >>> pw.PixelScorer("f1_macro")(model, scene, labels)
    1.0
    >>> pw.PixelScorer("neg_log_loss", column="class")(model, scene, polygons) > -0.001
    True

    Chips with their label arrays, in a cross-validation that holds out whole chips:

    >>> chips = [pw.open_raster(scene)[:, row : row + 20] for row in (0, 20, 40)]
    >>> codes = [labels[row : row + 20] for row in (0, 20, 40)]
    >>> cross_val_score(model, chips, codes, cv=KFold(3), scoring=pw.PixelScorer("accuracy")).tolist()
    [1.0, 1.0, 1.0]
    """

    def __init__(
        self, name: Any = "f1_macro", *, ignore_label: Any = None, nan: NanPolicy | str = "drop", column: str | None = None
    ) -> None:
        self.name = name
        self.ignore_label = ignore_label
        self.nan = nan
        self.column = column

    def __call__(self, estimator: Any, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> float:
        """Return the score of a fitted model; higher is better.

        Parameters
        ----------
        estimator : estimator
            A fitted one.
        X : raster of any carrier, list of them, PixelTable, DataFrame or array of shape (n, n_features)
            Pixels.
        y : label raster, list of them, or array of shape (n,)
            True labels or targets. Label rasters on another grid are warped with nearest neighbour.
        sample_weight : array of shape (n,) or None
            Weights of the rows of a table.
        **params : dict
            What scikit-learn's metadata routing brings.

        Returns
        -------
        float

        Raises
        ------
        LabelError
            If X and y do not belong together, no labelled pixel is left, or a code stands for no class.
        """
        scorer = self._scorer()
        table, target, weight = self._labelled_rows(estimator, X, y, sample_weight)
        weighted = {} if weight is None else {"sample_weight": weight}
        return float(scorer(estimator, table, target, **weighted, **params))

    def get_metadata_routing(self) -> MetadataRequest:
        """Say which metadata the scorer asked for.

        Returns
        -------
        MetadataRequest
        """
        return get_routing_for_object(self._scorer())

    def _accept_sample_weight(self) -> bool:
        # Without metadata routing, searches ask this before they pass weights on.
        return True

    def _scorer(self) -> Any:
        if isinstance(self.name, str):
            if self.name not in get_scorer_names():
                raise LabelError(
                    f"{self.name!r} is no scorer of scikit-learn: choose one of sklearn.metrics.get_scorer_names(), "
                    f"such as 'accuracy', 'f1_macro', 'roc_auc_ovr' or 'r2'"
                )
            return get_scorer(self.name)
        if not callable(self.name):
            raise LabelError(f"name={self.name!r} is no scorer: give a name such as 'f1_macro', or what make_scorer returns")
        return check_scoring(scoring=self.name)

    def _labelled_rows(self, estimator: Any, X: Any, y: Any, weight: Any) -> tuple[Any, np.ndarray, Any]:
        """Return the rows that have data and a label, their labels, and their weights."""
        if X is None:
            raise LabelError("X is None: give the raster, the list of rasters or the table to score on")
        ignored = [] if self.ignore_label is None else np.atleast_1d(np.asarray(self.ignore_label, dtype=object)).tolist()
        legend: dict[int, str] = {}
        if is_rasters(X):
            if weight is not None:
                raise LabelError("sample_weight goes with rows: take the pixels of the rasters with extract_pixels first")
            X, y, legend = self._of_rasters(estimator, X, y, ignored)
        else:
            y = _target_of_table(X, y, weight)
            keep = ~np.asarray(pd.isna(y)).any(axis=tuple(range(1, y.ndim)))
            keep &= self._has_data(X)
            X, y, weight = take_rows(X, np.flatnonzero(keep)), y[keep], None if weight is None else np.asarray(weight)[keep]
        coded = y
        y = as_class_labels(y, getattr(estimator, "classes_", None), legend, spare=ignored)
        if ignored and y.ndim == 1:
            keep = ~(_is_any_of(coded, ignored) | _is_any_of(y, ignored))
            X, y, weight = take_rows(X, np.flatnonzero(keep)), y[keep], None if weight is None else weight[keep]
        if not len(y):
            raise LabelError("no labelled pixel is left to score: check y, ignore_label, and where X has data")
        return X, y, weight

    def _of_rasters(self, estimator: Any, X: Any, y: Any, ignored: list[Any]) -> tuple[PixelTable, np.ndarray, dict[int, str]]:
        many = isinstance(X, list | tuple)
        if many and isinstance(y, np.ndarray) and y.ndim == 3 and len(y) == len(X):
            y = list(y)
        if y is None or (isinstance(y, np.ndarray) and y.ndim == 1):
            shape = "None" if y is None else f"of shape {y.shape}"
            raise LabelError(
                f"X is {'a list of rasters' if many else 'a raster'} and y is {shape}: "
                "give a label raster for each raster, or a PixelTable with labels of shape (n,)"
            )
        policy = as_policy(self.nan)
        if not policy.sentinels:
            policy = NanPolicy(**{**vars(policy), "sentinels": _sentinels(estimator)})
        # Names are compared later, when codes have become labels.
        codes = [label for label in ignored if not isinstance(label, str)] or None
        table, target = extract_pixels(X, y, self.column, nan=policy, ignore_label=codes)
        return table, target, {} if self.column is not None else legend_of(y)

    def _has_data(self, X: Any) -> np.ndarray:
        values = np.asarray(X) if isinstance(X, PixelTable | np.ndarray) else X
        gaps = np.asarray(pd.isna(values)) if getattr(values, "ndim", 0) == 2 and not hasattr(values, "tocsr") else None
        if gaps is None or not gaps.any():
            return np.ones(n_rows(X), bool)
        how = as_policy(self.nan).on_input
        # A band without a single value is none, as it is where models are fitted.
        lacking = gaps.all(axis=1) if how in ("propagate", "auto", "impute") else gaps[:, ~gaps.all(axis=0)].any(axis=1)
        return np.asarray(~lacking)


def is_rasters(X: Any) -> bool:
    """Whether X is a raster or a list of rasters.

    Parameters
    ----------
    X : object
        Anything.

    Returns
    -------
    bool
    """
    return is_raster(X) or (isinstance(X, list | tuple) and len(X) > 0 and is_raster(X[0]))


def legend_of(labels: Any) -> dict[int, str]:
    """Return the classes that label rasters name; those of several must agree.

    Parameters
    ----------
    labels : label raster, or list of them
        Of any carrier.

    Returns
    -------
    dict of int to str
        Empty where they name none.

    Raises
    ------
    LabelError
        If two rasters give a code different names.
    """
    merged: dict[int, str] = {}
    for item in labels if isinstance(labels, list | tuple) else [labels]:
        if not is_raster(item):
            continue
        for code, name in map_classes(unwrap(item).attrs).items():
            if merged.setdefault(code, name) != name:
                raise LabelError(f"code {code} is {merged[code]!r} in one label raster and {name!r} in another: recode one")
    return merged


def as_class_labels(y: np.ndarray, classes: Any, legend: dict[int, str], spare: Any = ()) -> np.ndarray:
    """Return labels as a model knows them: names for codes, where its classes are text.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels, or codes.
    classes : ndarray or None
        The model's ``classes_``; None where it has none.
    legend : dict of int to str
        What the codes stand for; empty takes positions in `classes`.
    spare : sequence of object
        Codes that need stand for nothing, since they are left out afterwards.

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    LabelError
        If a code stands for nothing, or labels are text and the classes are numbers.
    """
    known = None if classes is None or isinstance(classes, list) else np.asarray(classes)
    if known is None or y.ndim != 1 or not len(y):
        return y
    text, named = known.dtype.kind in "UOST" and isinstance(known[0], str), y.dtype.kind not in "iufb"
    if named and not text:
        raise LabelError(f"labels are text, such as {str(y[0])!r}, and the model's classes are numbers: give codes as labels")
    if named or not text:
        return y
    # Names in flag_meanings have underscores for spaces.
    spoken = {"_".join(str(label).split()): str(label) for label in known.tolist()}
    names = {code: spoken.get("_".join(name.split()), name) for code, name in legend.items()}
    names = names or dict(enumerate(known.astype(str).tolist()))
    found, position = np.unique(y, return_inverse=True)
    unknown = [code for code in found.tolist() if code not in names and code not in spare]
    if unknown:
        meant = ", ".join(f"{code} {name}" for code, name in names.items())
        raise LabelError(
            f"label code {unknown[0]:g} stands for no class, known are {meant}: "
            f"give the label raster flag_values and flag_meanings, or pass ignore_label={unknown[0]:g}",
            unknown=unknown,
        )
    return np.array([names.get(code, "") for code in found.tolist()], dtype=str)[np.ravel(position)]


def _target_of_table(X: Any, y: Any, weight: Any) -> np.ndarray:
    if y is None or (is_raster(y) and not isinstance(y, np.ndarray)):
        raise LabelError(
            f"X is a table and y is {'None' if y is None else 'a raster'}: give the labels of its rows, shape (n,)"
        )
    target = np.asarray(y)
    if target.ndim == 0 or len(target) != n_rows(X):
        raise LabelError(f"y has shape {target.shape} and X has {n_rows(X)} rows: give one label for each row")
    if weight is not None and len(weight) != len(target):
        raise LabelError(f"sample_weight has {len(weight)} rows and X has {len(target)}: give one weight for each row")
    return target


def _is_any_of(y: np.ndarray, labels: list[Any]) -> np.ndarray:
    """Compare text with text and numbers with numbers; numpy makes text of both otherwise."""
    text = y.dtype.kind not in "iufb"
    return np.isin(y.astype(str) if text else y, [label for label in labels if isinstance(label, str) == text])


def _sentinels(estimator: Any) -> Any:
    """Return the undeclared fills that a model was told of; its table shall leave them out as its map does."""
    while hasattr(estimator, "best_estimator_") or hasattr(estimator, "steps"):
        estimator = estimator.best_estimator_ if hasattr(estimator, "best_estimator_") else estimator.steps[-1][1]
    policy = getattr(estimator, "nan", None)
    return policy.sentinels if isinstance(policy, NanPolicy) else ()
