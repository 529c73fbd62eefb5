"""Random forests, extra trees and single trees of scikit-learn, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.utils import check_array, get_tags

from pixelwise.errors import EngineError
from pixelwise_fast.codes import INFINITE, MISSING, FloatScale
from pixelwise_fast.program import as_table, in_blocks, read_only
from pixelwise_fast.trees import TreeTable, pack_trees
from pixelwise_fast.walk import add_values, label

__all__ = ["ForestProgram", "read"]


def read(forest: Any) -> ForestProgram:
    """Translate a forest or a single tree.

    Parameters
    ----------
    forest : estimator
        A fitted forest, extra trees, or one tree.

    Returns
    -------
    ForestProgram
    """
    members = getattr(forest, "estimators_", [forest])
    classes = forest.classes_ if is_classifier(forest) else None
    if classes is not None and forest.n_outputs_ == 1:
        classes = [classes]
    leaves = _Leaves(members[0].tree_, None if classes is None else [len(part) for part in classes])
    trees = [_plain(member.tree_, leaves) for member in members]
    table = pack_trees(trees, forest.n_features_in_)
    allows_nan = bool(get_tags(members[0]).input_tags.allow_nan)
    name = f"{type(forest).__name__}"
    return ForestProgram(name, table, leaves.values(), classes, getattr(forest, "n_jobs", None), allows_nan)


class ForestProgram:
    """A forest as a table of nodes.

    Probabilities are summed over the trees in their order and in double precision, as scikit-learn does with one job, and
    divided once: they are the same bits whatever the number of threads.

    Parameters
    ----------
    name : str
        The class of the forest.
    trees : TreeTable
        Its trees.
    values : ndarray of float64 of shape (n_values, width)
        What leaves hold; of no rows where a leaf holds the number of its class.
    classes : list of ndarray, or None
        Classes of each output; None for a regressor.
    n_jobs : int or None
        The forest's own number of threads.
    allows_nan : bool
        Whether the forest takes NaN.
    """

    def __init__(
        self,
        name: str,
        trees: TreeTable,
        values: NDArray[np.float64],
        classes: list[np.ndarray] | None,
        n_jobs: int | None,
        allows_nan: bool,
    ) -> None:
        self.name = name
        self.trees = trees
        self.values = values
        self.classes = classes
        self.n_jobs = n_jobs
        self.allows_nan = allows_nan
        self.scale = FloatScale()
        #: By how much a class must lead beyond the trees that are left: leaves hold shares, which rounding may make a little
        #: larger than 1, but weights below 0 make them anything.
        self.margin = 1e-4 if ((values >= 0) & (values <= 1 + 1e-9)).all() else np.inf
        methods = ("predict",) if classes is None else ("predict", "predict_proba", "predict_log_proba")
        self.bounds = dict.fromkeys(methods, 0.0)

    @property
    def nbytes(self) -> int:
        """Memory that the tables take."""
        return self.trees.nodes.nbytes + self.values.nbytes

    def check(self) -> None:
        """Raise an error unless the tables hold together.

        Raises
        ------
        EngineError
            If they do not.
        """
        width = self.values.shape[1]
        n_classes = width if self.classes is None else sum(len(part) for part in self.classes)
        if self.values.ndim != 2 or self.values.dtype != np.float64 or width != n_classes:
            raise EngineError("the values of the leaves are not what they should be: compile the estimator again")
        self.trees.check(len(self.values) or width)

    def run(self, method: str, X: Any, n_jobs: int | None) -> Any:
        """Return what the forest's method of that name returns.

        Parameters
        ----------
        method : {"predict", "predict_proba", "predict_log_proba"}
            What to compute.
        X : array, DataFrame or PixelTable of shape (n, n_features)
            Pixels.
        n_jobs : int or None
            Number of threads; None takes the forest's own.

        Returns
        -------
        ndarray, or a list of them for the probabilities of several outputs
        """
        table, threads = as_table(X, np.float32, self.trees.n_features), self.n_jobs if n_jobs is None else n_jobs
        if self.classes is None:
            means = self._means(table, threads)
            return means[:, 0] if means.shape[1] == 1 else means
        if method == "predict" and len(self.classes) == 1:
            return self.classes[0].take(self._labels(table, threads), axis=0)
        means = self._means(table, threads)
        ends = np.cumsum([len(part) for part in self.classes])[:-1]
        parts = [np.ascontiguousarray(part) for part in np.split(means, ends, axis=1)]
        if method == "predict":
            labels = np.empty((len(table), len(parts)), dtype=self.classes[0].dtype)
            for output, (part, known) in enumerate(zip(parts, self.classes, strict=True)):
                labels[:, output] = known.take(np.argmax(part, axis=1), axis=0)
            return labels
        if method == "predict_log_proba":
            parts = [np.log(part) for part in parts]
        return parts[0] if len(parts) == 1 else parts

    def explain(self) -> str:
        """Say how large the forest is.

        Returns
        -------
        str
        """
        size = f"{len(self.trees)} trees and {len(self.trees.nodes):,} nodes in {self.nbytes / 1e6:.1f} MB"
        return f"{self.name} of {size}, bit for bit"

    def _codes(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the codes of pixels in one dimension, and where kernels find what."""
        codes, seen = self.scale.codes(X, wide=False)
        if seen & INFINITE or (seen & MISSING and not self.allows_nan):
            # scikit-learn's own words.
            check_array(X, dtype=np.float32, ensure_all_finite="allow-nan" if self.allows_nan else True)
        wide = bool(seen & MISSING)
        return (self.scale.codes(X, wide=True)[0] if wide else codes), self.trees.layout(wide)

    def _labels(self, X: np.ndarray, n_jobs: int | None) -> np.ndarray:
        labels = np.empty(len(X), np.intp)
        values, width = read_only(self.values), self.values.shape[1]

        def work(part: slice) -> None:
            """Label some rows."""
            codes, layout = self._codes(X[part])
            scores = np.zeros((len(labels[part]), width))
            label(*self.trees.arrays, codes, layout, values, self.margin, scores, labels[part])

        in_blocks(work, len(X), n_jobs)
        return labels

    def _means(self, X: np.ndarray, n_jobs: int | None) -> np.ndarray:
        means = np.empty((len(X), self.values.shape[1]))
        values = read_only(self.values)

        def work(part: slice) -> None:
            """Average over the trees for some rows."""
            codes, layout = self._codes(X[part])
            add_values(*self.trees.arrays, codes, layout, values, means[part])
            means[part] /= len(self.trees)

        in_blocks(work, len(X), n_jobs)
        return means


def _plain(tree: Any, leaves: _Leaves) -> dict[str, np.ndarray]:
    left = tree.children_left
    codes = FloatScale().thresholds(tree.feature, tree.threshold)
    ends = np.flatnonzero(left < 0)
    codes[ends] = leaves.rows(tree.value[ends])
    return {
        "left": left,
        "right": tree.children_right,
        "feature": tree.feature,
        "code": codes,
        "missing_left": tree.missing_go_to_left,
        "weight": tree.weighted_n_node_samples,
    }


class _Leaves:
    """The values of the leaves that were met so far: for classifiers the distinct ones, found by their hash."""

    def __init__(self, tree: Any, n_classes: list[int] | None) -> None:
        self.n_classes = n_classes or [1] * tree.n_outputs
        self.width = sum(self.n_classes)
        #: Those of a regressor are as good as all distinct, and a number for each would take as much room.
        self.distinct = n_classes is not None
        self.parts: list[np.ndarray] = []
        self.single = self.distinct and len(self.n_classes) == 1
        # A fully grown tree's leaf holds one class: its row is then the number of the class.
        self.table = np.eye(self.width) if self.single else np.empty((0, self.width))
        self.count = 0
        self.slots = np.full(64, -1, np.int64)
        self.rows_of(self.table)

    def rows(self, value: np.ndarray) -> NDArray[np.int32]:
        """Return for leaves of shape (n, n_outputs, max_n_classes) their rows in the table."""
        return self.rows_of(np.concatenate([value[:, output, :size] for output, size in enumerate(self.n_classes)], axis=1))

    def rows_of(self, flat: np.ndarray) -> NDArray[np.int32]:
        """Return the places of rows of shape (n, width), appending those that are new."""
        if not self.distinct:
            self.parts.append(flat)
            self.count += len(flat)
            return np.arange(self.count - len(flat), self.count, dtype=np.int32)
        needed = self.count + len(flat)
        if needed > len(self.table):
            more = max(needed, 2 * len(self.table)) - len(self.table)
            self.table = np.concatenate([self.table, np.empty((more, self.width))])
        if 2 * needed > len(self.slots):
            self.slots = np.full(1 << (4 * needed).bit_length(), -1, np.int64)
            _find(self.table[: self.count], self.table, 0, self.slots)
        found, self.count = _find(flat, self.table, self.count, self.slots)
        return np.asarray(found)

    def values(self) -> NDArray[np.float64]:
        """Return the table, or one of no rows where a leaf's row is its class."""
        if not self.distinct:
            return np.concatenate(self.parts)
        return np.empty((0, self.width)) if self.single and self.count == self.width else self.table[: self.count].copy()


@njit(cache=True, nogil=True)
def _find(rows, table, count, slots):  # type: ignore[no-untyped-def] # pragma: no cover
    """Look up rows in a table by their hash, and append those that are new; return their places and the new count."""
    found = np.empty(rows.shape[0], np.int32)
    mask = np.uint64(slots.shape[0] - 1)
    for i in range(rows.shape[0]):
        mixed = np.uint64(0)
        for k in range(rows.shape[1]):
            mixed = (mixed ^ np.uint64(np.float64(rows[i, k]).view(np.int64))) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(32)
        slot = mixed & mask
        while True:
            at = slots[slot]
            if at < 0:
                for k in range(rows.shape[1]):
                    table[count, k] = rows[i, k]
                slots[slot] = at = count
                count += 1
                break
            same = True
            for k in range(rows.shape[1]):
                same &= table[at, k] == rows[i, k]
            if same:
                break
            slot = (slot + np.uint64(1)) & mask
        found[i] = at
    return found, count
