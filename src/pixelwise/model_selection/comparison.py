"""compare_folds: one model scored on random folds, held-out polygons and spatial blocks, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.metrics import accuracy_score, f1_score, r2_score, root_mean_squared_error
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold, cross_val_predict

from pixelwise.errors import CRSError, FoldError
from pixelwise.model_selection.blocks import SpatialBlockGroupKFold
from pixelwise.table.pixels import PixelTable

__all__ = ["NOT_DESIGN_BASED", "FoldScores", "compare_folds"]

#: What every page and every command says under such scores.
NOT_DESIGN_BASED = (
    "All are cross-validation; none is a design-based map accuracy, "
    "which takes a probability sample of places on the finished map."
)


@dataclass(frozen=True, eq=False)
class FoldScores:
    """Scores of one model on the folds of one way to split.

    Parameters
    ----------
    name : str
        The way to split: "random folds", "held-out polygons" or "spatial blocks".
    meaning : str
        What such a score says, in a sentence.
    fold : ndarray of int, shape (n,)
        Fold in which each row was tested, from 0; empty where the split was not possible.
    predicted : ndarray of shape (n,)
        What was predicted for each row while it was held out.
    scores : mapping of str to ndarray of shape (n_folds,)
        Each measure, fold by fold: "accuracy" and "macro F1", or "R2" and "RMSE".
    problem : str
        Why the data could not be split so; empty where it could.

    See Also
    --------
    compare_folds : Computes them.

    Examples
    --------
    >>> import numpy as np
    >>> from pixelwise.model_selection.comparison import FoldScores
    >>> FoldScores("random folds", "", scores={"accuracy": np.array([0.8, 0.9])}).summary("accuracy")
    '0.850 ± 0.050'
    """

    name: str
    meaning: str
    fold: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    predicted: np.ndarray = field(default_factory=lambda: np.empty(0))
    scores: Mapping[str, np.ndarray] = field(default_factory=dict)
    problem: str = ""

    def mean(self, measure: str) -> float:
        """Return the mean of a measure over the folds."""
        return float(np.mean(self.scores[measure]))

    def spread(self, measure: str) -> float:
        """Return the standard deviation of a measure over the folds."""
        return float(np.std(self.scores[measure]))

    def summary(self, measure: str) -> str:
        """Return mean and standard deviation as text."""
        return f"{self.mean(measure):.3f} ± {self.spread(measure):.3f}"


def compare_folds(
    model: Any,
    X: PixelTable,
    y: np.ndarray,
    blocks: SpatialBlockGroupKFold,
    *,
    held_out: str = "polygons",
    n_jobs: int | None = None,
    random_state: int | None = 0,
) -> list[FoldScores]:
    """Score a model on random folds, on held-out polygons and on spatial blocks.

    The three answer different questions, and a map maker needs to know which: pixels of one field are nearly copies of each
    other, so that random folds ask how well a model remembers, and blocks ask how well it does elsewhere [1]_. A way of
    splitting that the data does not allow is returned with its reason, and does not stop the others.

    Parameters
    ----------
    model : estimator
        A classifier or regressor, also a Pipeline that ends in one; it is cloned for each fold.
    X : PixelTable
        Training pixels; ``X.groups`` tells the polygons apart.
    y : ndarray of shape (n,)
        Labels or targets.
    blocks : SpatialBlockGroupKFold
        The blocks; its ``n_splits`` counts for all three.
    held_out : str, default="polygons"
        What the groups are, for the name.
    n_jobs : int or None, default=None
        Folds that are fitted at the same time.
    random_state : int or None, default=0
        Seed of the random folds, and of the order of polygons.

    Returns
    -------
    list of FoldScores
        Random folds, held-out polygons, spatial blocks.

    See Also
    --------
    SpatialBlockGroupKFold : The blocks.

    References
    ----------
    .. [1] Roberts, D. R. et al. (2017): Cross-validation strategies for data with temporal, spatial, hierarchical, or
       phylogenetic structure. Ecography 40, 913-929.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from pixelwise.model_selection.comparison import compare_folds
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> scene, polygons = pw.datasets.make_example()
    >>> X, y = pw.extract_pixels(scene, polygons, column="class")
    >>> model = pw.PixelwiseClassifier(DecisionTreeClassifier(random_state=0))
    >>> for result in compare_folds(model, X, y, pw.SpatialBlockGroupKFold(2, block_size=200)):
    ...     print(f"{result.name}: {result.summary('accuracy')}")
    random folds: 1.000 ± 0.000
    held-out polygons: 1.000 ± 0.000
    spatial blocks: 1.000 ± 0.000
    """
    classes = is_classifier(model)
    results = []
    for name, meaning, splitter, groups in _ways(X, blocks, held_out, classes, random_state):
        try:
            folds = _folds(splitter, X, y, groups, classes, held_out)
        except (FoldError, CRSError) as error:
            results.append(FoldScores(name, meaning, problem=str(error)))
            continue
        predicted = cross_val_predict(model, X, y, cv=folds, n_jobs=n_jobs)
        fold = np.empty(len(y), int)
        for number, (_, test) in enumerate(folds):
            fold[test] = number
        results.append(FoldScores(name, meaning, fold, predicted, _scores(y, predicted, folds, classes)))
    return results


def _ways(
    X: PixelTable, blocks: SpatialBlockGroupKFold, held_out: str, classes: bool, seed: int | None
) -> Iterator[tuple[str, str, Any, np.ndarray | None]]:
    """Yield name, meaning, splitter and groups of each way to split."""
    n, size = blocks.n_splits, blocks.block_size or float("nan")
    at_random, by_group = (StratifiedKFold, StratifiedGroupKFold) if classes else (KFold, GroupKFold)
    inside = (
        "Test pixels lie beside training pixels, often of the same field: "
        "how well the model fills in between pixels that it knows, and too good for anywhere else."
    )
    beside = f"Whole {held_out} are held out: how well the model does on one that it has not seen, with others near by."
    apart = (
        f"Whole squares of {size:,.0f} m are held out: "
        f"how well the model does on land at some distance from its training pixels."
    )
    yield "random folds", inside, at_random(n, shuffle=True, random_state=seed), None
    yield f"held-out {held_out}", beside, by_group(n, shuffle=True, random_state=seed), X.groups
    yield "spatial blocks", apart, blocks, None


def _folds(
    splitter: Any, X: PixelTable, y: np.ndarray, groups: np.ndarray | None, classes: bool, held_out: str
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the folds, after checks for what scikit-learn passes over in silence or fails on late."""
    n = splitter.get_n_splits()
    if groups is not None and len(np.unique(groups)) < n:
        raise FoldError(
            f"{n} folds need {n} {held_out} or more, and there are {len(np.unique(groups))}: lower the number of folds"
        )
    if classes and not isinstance(splitter, SpatialBlockGroupKFold):
        labels, counts = np.unique(y, return_counts=True)
        if counts.min() < n:
            rare = labels[counts.argmin()]
            raise FoldError(
                f"class {rare} has {counts.min()} pixels, too few for {n} folds: drop it, or lower the number of folds"
            )
    folds = list(splitter.split(X, y, groups))
    if classes and min(len(np.unique(y[train])) for train, _ in folds) < 2:
        raise FoldError(f"one of {n} folds would leave a single class to learn from: lower their number, or label more places")
    return folds


def _scores(
    y: np.ndarray, predicted: np.ndarray, folds: list[tuple[np.ndarray, np.ndarray]], classes: bool
) -> dict[str, np.ndarray]:
    if classes:
        measures = {"accuracy": accuracy_score, "macro F1": lambda a, b: f1_score(a, b, average="macro")}
    else:
        measures = {"R2": r2_score, "RMSE": root_mean_squared_error}
    return {name: np.array([float(score(y[test], predicted[test])) for _, test in folds]) for name, score in measures.items()}
