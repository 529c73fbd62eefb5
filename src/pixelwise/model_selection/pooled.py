"""Pooled scores of held-out predictions, with intervals from a bootstrap of blocks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state

from pixelwise.errors import FoldError
from pixelwise.model_selection.scorer import PixelScorer

__all__ = ["PooledScore", "check_scorers", "pooled_scores", "scorers_of"]

_CLASSES, _NUMBERS = ("accuracy", "f1_macro"), ("r2", "neg_root_mean_squared_error")


@dataclass(frozen=True, eq=False)
class PooledScore:
    """One cross-validation score of all held-out predictions together.

    Parameters
    ----------
    estimate : float
        The score of the pooled predictions; higher is better, as scikit-learn has it.
    draws : ndarray of shape (n_bootstrap,)
        The score of each bootstrap draw of whole blocks; NaN where a draw lacks what the score needs, such as a second class.
    by_fold : ndarray of shape (n_folds,)
        The score of each fold; NaN where a fold cannot have one.
    n_blocks : int
        Number of blocks that were drawn from.
    confidence : float, default=0.95
        Level of `interval` where none is named.

    See Also
    --------
    cross_val_map : Makes them.

    Examples
    --------
    >>> import numpy as np
    >>> from pixelwise.model_selection.pooled import PooledScore
    >>> PooledScore(0.8, np.linspace(0.7, 0.9, 201), np.array([0.75, 0.85]), n_blocks=12).interval(0.9)
    (0.71, 0.89)
    """

    estimate: float
    draws: np.ndarray
    by_fold: np.ndarray
    n_blocks: int
    confidence: float = 0.95

    @property
    def se(self) -> float:
        """Standard error: the standard deviation of the draws."""
        known = self._known()
        return float(np.std(known, ddof=1)) if len(known) > 1 else float("nan")

    def interval(self, confidence: float | None = None) -> tuple[float, float]:
        """Return the percentile interval of the draws.

        Parameters
        ----------
        confidence : float or None, default=None
            Level, between 0 and 1; None takes that of the object.

        Returns
        -------
        (float, float)
            NaN where there is one block only, or most draws have no score.
        """
        level = self.confidence if confidence is None else confidence
        if not 0 < level < 1:
            raise FoldError(f"confidence={level!r}: give a level between 0 and 1, such as 0.95")
        known = self._known()
        if not len(known):
            return float("nan"), float("nan")
        low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)

    def _known(self) -> np.ndarray:
        known: np.ndarray = self.draws[~np.isnan(self.draws)]
        return known if 2 * len(known) >= len(self.draws) else known[:0]

    def __str__(self) -> str:
        low, high = self.interval()
        if np.isnan(low):
            return f"{self.estimate:.3f}"
        return f"{self.estimate:.3f} ({100 * self.confidence:g}% interval {low:.3f} to {high:.3f})"


def scorers_of(scoring: Any, *, classes: bool) -> dict[str, PixelScorer]:
    """Return scorers by name.

    Parameters
    ----------
    scoring : str, callable, sequence of str, mapping of str to either, or None
        None takes accuracy and macro F1 for classes, R2 and root mean squared error for numbers.
    classes : bool
        Whether classes are predicted.

    Returns
    -------
    dict of str to PixelScorer

    Raises
    ------
    FoldError
        If nothing is named.
    """
    if scoring is None:
        scoring = _CLASSES if classes else _NUMBERS
    if isinstance(scoring, str):
        named: dict[str, Any] = {scoring: scoring}
    elif isinstance(scoring, Mapping):
        named = dict(scoring)
    elif callable(scoring):
        named = {str(scoring.name) if isinstance(scoring, PixelScorer) and isinstance(scoring.name, str) else "score": scoring}
    elif isinstance(scoring, list | tuple | set) and all(isinstance(name, str) for name in scoring):
        named = {name: name for name in scoring}
    else:
        raise FoldError(f"scoring={scoring!r}: give a name such as 'f1_macro', a list of names, or a dict of names and scorers")
    if not named:
        raise FoldError("scoring is empty: name one score or more, such as scoring='f1_macro'")
    return {name: scorer if isinstance(scorer, PixelScorer) else PixelScorer(scorer) for name, scorer in named.items()}


class _HeldOutNumbers(RegressorMixin, BaseEstimator):
    """Held-out predictions as an estimator whose input is the number of a row, so that any scorer works on them."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def predict(self, X: np.ndarray) -> np.ndarray:
        return np.asarray(self.values[X[:, 0]])


class _HeldOutClasses(ClassifierMixin, BaseEstimator):
    def __init__(self, values: np.ndarray, classes: np.ndarray) -> None:
        self.values = values
        self.classes = classes

    @property
    def classes_(self) -> np.ndarray:
        return self.classes

    def predict(self, X: np.ndarray) -> np.ndarray:
        return np.asarray(self.values[X[:, 0]])


class _HeldOutProbabilities(_HeldOutClasses):
    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return np.asarray(self.values[X[:, 0]])

    def predict(self, X: np.ndarray) -> np.ndarray:
        return np.asarray(self.classes[self.values[X[:, 0]].argmax(axis=1)])


class _HeldOutDecisions(_HeldOutClasses):
    def decision_function(self, X: np.ndarray) -> np.ndarray:
        return np.asarray(self.values[X[:, 0]])

    def predict(self, X: np.ndarray) -> np.ndarray:
        values = self.values[X[:, 0]]
        return np.asarray(self.classes[values.argmax(axis=1) if values.ndim == 2 else (values > 0).astype(int)])


@dataclass(eq=False)
class _Sample:
    """Rows to score, each standing for `count` rows of a block; rows that are alike are one, which makes draws cheap."""

    estimator: Any
    row: np.ndarray
    y: np.ndarray
    #: Per entry: which of the rows, in which block, how many.
    entry: np.ndarray
    block: np.ndarray
    count: np.ndarray
    weighs: dict[str, bool] = field(default_factory=dict)

    def score(self, name: str, scorer: Any, times: np.ndarray) -> float:
        """Return the score of blocks taken so many times each."""
        weight = np.bincount(self.entry, weights=self.count * times[self.block], minlength=len(self.row))
        keep = weight > 0
        row, y, weight = self.row[keep, None], self.y[keep], weight[keep]
        if self.weighs[name]:
            return float(scorer(self.estimator, row, y, sample_weight=weight))
        again = np.repeat(np.arange(len(row)), weight.astype(int))
        return float(scorer(self.estimator, row[again], y[again]))


def pooled_scores(
    y: np.ndarray, predicted: np.ndarray, fold: np.ndarray, block: np.ndarray, *, method: str, classes: np.ndarray | None,
    scorers: Mapping[str, Any], n_bootstrap: int, confidence: float, random_state: Any,
) -> dict[str, PooledScore]:  # fmt: skip
    """Score held-out predictions together, fold by fold, and in bootstrap draws of blocks.

    Parameters
    ----------
    y : ndarray of shape (n,)
        True labels or targets of the rows that were tested.
    predicted : ndarray of shape (n,) or (n, n_classes)
        What `method` gave.
    fold : ndarray of int, shape (n,)
        Fold that tested each.
    block : ndarray of int, shape (n,)
        Block of each.
    method : {"predict", "predict_proba", "decision_function"}
        What was predicted.
    classes : ndarray or None
        All classes in order; None for numbers.
    scorers : mapping of str to callable
        Scorers by name.
    n_bootstrap : int
        Number of draws.
    confidence : float
        Level of the intervals.
    random_state : int, RandomState or None
        Seed of the draws.

    Returns
    -------
    dict of str to PooledScore
    """
    block = np.ravel(np.unique(block, return_inverse=True)[1])
    n_blocks = int(block.max()) + 1
    sample = _sample(y, predicted, block, method, classes)
    once, folds = np.ones(n_blocks), np.unique(fold)
    estimates = {}
    for name, scorer in scorers.items():
        sample.weighs[name] = _takes_weights(scorer, sample)
        estimates[name] = sample.score(name, scorer, once)
    whole = np.arange(len(y))
    by_fold = {
        name: np.array([_score_or_nan(scorer, sample.estimator, whole[fold == number], y) for number in folds])
        for name, scorer in scorers.items()
    }
    draws = {name: np.full(n_bootstrap if n_blocks > 1 else 0, np.nan) for name in scorers}
    random = check_random_state(random_state)
    for number in range(n_bootstrap if n_blocks > 1 else 0):
        times = np.bincount(random.randint(0, n_blocks, n_blocks), minlength=n_blocks)
        for name, scorer in scorers.items():
            draws[name][number] = _quietly(sample.score, name, scorer, times)
    return {name: PooledScore(estimates[name], draws[name], by_fold[name], n_blocks, confidence) for name in scorers}


def check_scorers(y: np.ndarray, method: str, classes: np.ndarray | None, scorers: Mapping[str, Any]) -> None:
    """Try scorers on made-up predictions, before hours of fitting.

    Parameters
    ----------
    y : ndarray of shape (n,)
        True labels or targets.
    method : {"predict", "predict_proba", "decision_function"}
        What will be predicted.
    classes : ndarray or None
        All classes in order; None for numbers.
    scorers : mapping of str to callable
        Scorers by name.

    Raises
    ------
    FoldError
        If a scorer needs what `method` does not give.
    """
    made_up = y
    if method != "predict" and classes is not None:
        made_up = (y[:, None] == classes).astype(float)
        made_up = made_up[:, 1] - 0.5 if method == "decision_function" and len(classes) == 2 else made_up
    sample = _sample(y, made_up, np.zeros(len(y), int), method, classes)
    for name, scorer in scorers.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                scorer(sample.estimator, np.arange(len(y))[:, None], y)
        except AttributeError as error:
            other = "decision_function" if method == "predict_proba" else "predict_proba"
            raise FoldError(
                f"scorer {name!r} needs other values than those of method={method!r}: pass method={other!r}, or another scorer"
            ) from error


def _sample(y: np.ndarray, predicted: np.ndarray, block: np.ndarray, method: str, classes: np.ndarray | None) -> _Sample:
    whole = np.arange(len(y))
    if classes is None:
        return _Sample(_HeldOutNumbers(predicted), whole, y, whole, block, np.ones(len(y)))
    if method != "predict":
        kind = _HeldOutProbabilities if method == "predict_proba" else _HeldOutDecisions
        return _Sample(kind(predicted, classes), whole, y, whole, block, np.ones(len(y)))
    k = len(classes)
    pair = np.searchsorted(classes, y) * k + np.searchsorted(classes, predicted)
    pairs, row, entry = np.unique(pair, return_index=True, return_inverse=True)
    both, count = np.unique(block * len(pairs) + np.ravel(entry), return_counts=True)
    estimator = _HeldOutClasses(predicted, classes)
    return _Sample(estimator, row, y[row], both % len(pairs), both // len(pairs), count.astype(float))


def _takes_weights(scorer: Any, sample: _Sample) -> bool:
    """Whether a scorer takes sample weights, tried on the rows as they are."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scorer(sample.estimator, sample.row[:, None], sample.y, sample_weight=np.ones(len(sample.row)))
    except (TypeError, ValueError):
        return False
    return True


def _score_or_nan(scorer: Any, estimator: Any, rows: np.ndarray, y: np.ndarray) -> float:
    # Of a single row there is no R2, and no F1 worth the name.
    return _quietly(scorer, estimator, rows[:, None], y[rows]) if len(rows) > 1 else float("nan")


def _quietly(score: Callable[..., float], *arguments: Any) -> float:
    """Return a score, or NaN where a few rows do not have what it needs, such as all classes."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return float(score(*arguments))
    except ValueError:
        return float("nan")
