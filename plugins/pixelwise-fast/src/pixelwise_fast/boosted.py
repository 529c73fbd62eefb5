"""BoostedProgram: trees whose leaves are added up, and what a library makes of the sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import check_array

from pixelwise.errors import EngineError
from pixelwise_fast.codes import MISSING, FloatScale, RankScale
from pixelwise_fast.full import add_full, fill, full_depth
from pixelwise_fast.program import as_table, in_blocks, read_only
from pixelwise_fast.trees import TreeTable, pack_trees
from pixelwise_fast.walk import add_leaves

Scale = FloatScale | RankScale

__all__ = ["BoostedProgram", "Finish", "Trees", "translate"]


class Finish(Protocol):
    """What a library makes of the sums."""

    #: The methods that it knows.
    methods: tuple[str, ...]

    def __call__(self, method: str, sums: np.ndarray) -> np.ndarray:
        """Return the result of a method from sums of shape (n_columns, n)."""


@dataclass
class Trees:
    """Trees as the readers collect them.

    Parameters
    ----------
    trees : list of dict
        For each tree arrays of shape (n_nodes,): `left` and `right`, -1 in leaves; `feature`; `threshold`, which is the value
        in leaves; `missing_left`; `weight`.
    column : ndarray of int64 of shape (n_trees,)
        Which sum each tree adds to.
    start : ndarray of shape (n_columns,)
        What the sums begin with; its dtype is that in which they are added up.
    n_features : int
        Number of features.
    """

    trees: list[dict[str, np.ndarray]]
    column: NDArray[np.int64]
    start: np.ndarray
    n_features: int

    @property
    def splits(self) -> tuple[np.ndarray, np.ndarray]:
        """Feature and threshold of each split of all trees."""
        inner = [tree["left"] >= 0 for tree in self.trees]
        feature = np.concatenate([tree["feature"][split] for tree, split in zip(self.trees, inner, strict=True)])
        return feature, np.concatenate([tree["threshold"][split] for tree, split in zip(self.trees, inner, strict=True)])


class BoostedProgram:
    """Boosted trees as a table of nodes.

    Sums are added up in the order and the precision of the library, so they are its own to the bit.

    Parameters
    ----------
    estimator : estimator
        What the trees were read from; its name and number of threads are kept.
    model : Trees
        Its trees.
    scale : FloatScale or RankScale
        How values become codes.
    finish : Finish
        What the library makes of the sums.
    finite : bool, default=False
        Whether the estimator refuses NaN and infinities.
    """

    def __init__(self, estimator: Any, model: Trees, scale: Scale, finish: Finish, *, finite: bool = False) -> None:
        self.name = type(estimator).__name__
        self.n_jobs = getattr(estimator, "n_jobs", None)
        self.scale = scale
        self.finish = finish
        self.finite = finite
        self.start = model.start
        self.column = model.column
        self.trees, self.leaves = _pack(model, scale)
        self.bounds = dict.fromkeys(finish.methods, 0.0)

    def check(self) -> None:
        """Raise an error unless the tables hold together.

        Raises
        ------
        EngineError
            If they do not.
        """
        columns = self.column.shape == (len(self.trees),) and ((self.column >= 0) & (self.column < len(self.start))).all()
        if not columns or self.start.ndim != 1 or self.leaves.ndim != 1 or self.leaves.dtype != self.start.dtype:
            raise EngineError("the values of the leaves are not what they should be: compile the estimator again")
        self.scale.check(self.trees.n_features)
        self.trees.check(len(self.leaves))

    def run(self, method: str, X: Any, n_jobs: int | None) -> np.ndarray:
        """Return what the estimator's method of that name returns.

        Parameters
        ----------
        method : str
            One of those in `bounds`.
        X : array, DataFrame or PixelTable of shape (n, n_features)
            Pixels.
        n_jobs : int or None
            Number of threads; None takes the estimator's own.

        Returns
        -------
        ndarray
        """
        table = as_table(X, self.scale.dtype_of(X), self.trees.n_features)
        arrays, leaves, column = self.trees.arrays, read_only(self.leaves), read_only(self.column)
        found: dict[int, np.ndarray] = {}
        depth = full_depth(self.trees)

        def work(part: slice) -> None:
            """Add the trees up for some rows."""
            codes, seen = self.scale.codes(table[part], wide=False)
            if seen and self.finite:
                # scikit-learn's own words.
                check_array(table[part], dtype=np.float32)
            wide = bool(seen & MISSING)
            if wide:
                codes, _ = self.scale.codes(table[part], wide=True)
            n, layout = len(table[part]), self.trees.layout(wide)
            sums = np.repeat(self.start[:, None], -(-n // 8) * 8 if depth else n, axis=1)
            if depth:
                add_full(*fill(self.trees, leaves, depth, wide), depth, codes, int(layout[0]), column, sums)
            else:
                add_leaves(*arrays, codes, layout, leaves, column, sums)
            found[part.start] = self.finish(method, np.ascontiguousarray(sums[:, :n]))

        in_blocks(work, len(table), self.n_jobs if n_jobs is None else n_jobs)
        return np.concatenate([found[first] for first in sorted(found)])

    def explain(self) -> str:
        """Say how large the model is.

        Returns
        -------
        str
        """
        return f"{self.name} of {len(self.trees)} trees and {len(self.trees.nodes):,} nodes, bit for bit"


def translate(estimator: Any, model: Trees, scale: Scale, finish: Finish, *, finite: bool = False) -> BoostedProgram:
    """Make a program, compare it with its estimator on made-up pixels, and return it if they agree.

    Libraries change how they add up and what they call things. So pixels at the thresholds and next to them, some of them
    without some values, must give the same bits before the program is used at all.

    Parameters
    ----------
    estimator : estimator
        What the trees were read from.
    model : Trees
        The trees.
    scale : FloatScale or RankScale
        How values become codes.
    finish : Finish
        What the library makes of the sums.
    finite : bool, default=False
        Whether the estimator refuses NaN and infinities.

    Returns
    -------
    BoostedProgram

    Raises
    ------
    EngineError
        If they differ.
    """
    program = BoostedProgram(estimator, model, scale, finish, finite=finite)
    pixels: Any = _made_up(model, scale, not finite)
    names = getattr(estimator, "feature_names_in_", None)
    pixels = pixels if names is None else pd.DataFrame(pixels, columns=names)
    for method in finish.methods:
        expected, got = np.asarray(getattr(estimator, method)(pixels)), program.run(method, pixels, 1)
        if expected.shape != got.shape or not np.array_equal(expected, got, equal_nan=expected.dtype.kind == "f"):
            raise EngineError(f"this version of {type(estimator).__module__.partition('.')[0]} predicts in another way")
    return program


def _made_up(model: Trees, scale: Scale, missing: bool) -> np.ndarray:
    """Return pixels whose values stand at thresholds, next to them and between them, and some of which are missing.

    For libraries that compare doubles some are infinite or almost, too.
    """
    dtype: Any = np.float64 if isinstance(scale, RankScale) else np.float32
    rng = np.random.default_rng(0)
    pixels = rng.normal(size=(300, model.n_features)).astype(dtype)
    feature, threshold = model.splits
    for each in np.unique(feature):
        edges = threshold[feature == each].astype(dtype)
        beside = np.nextafter(edges, dtype(np.inf)), np.nextafter(edges, dtype(-np.inf))
        pixels[:, each] = rng.choice(np.concatenate([edges, *beside, edges[:-1] / 2 + edges[1:] / 2]), len(pixels))
    if dtype is np.float64:
        large = np.finfo(dtype).max
        ends = rng.choice([np.inf, large, -large, -np.inf], pixels.shape)
        pixels = np.where(rng.random(pixels.shape) < 0.05, ends, pixels)
    if missing:
        pixels[rng.random(pixels.shape) < 0.05] = np.nan
    return pixels


def _pack(model: Trees, scale: Scale) -> tuple[TreeTable, np.ndarray]:
    """Return the table of nodes and the values of the leaves."""
    leaves, packed, count = [], [], 0
    for tree in model.trees:
        ends = tree["left"] < 0
        code = scale.thresholds(np.where(ends, 0, tree["feature"]), np.where(ends, 0, tree["threshold"]))
        code[ends] = np.arange(count, count + ends.sum())
        count += int(ends.sum())
        leaves.append(tree["threshold"][ends].astype(model.start.dtype))
        packed.append({**tree, "code": code})
    return pack_trees(packed, model.n_features), np.concatenate(leaves)
