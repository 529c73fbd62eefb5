"""SpatialBlockGroupKFold and SpatialBlockShuffleSplit: whole blocks of land are tested together."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from pixelwise.errors import CRSError, FoldError, FoldWarning
from pixelwise.model_selection.assignment import ASSIGNMENTS, class_codes, folds_of_blocks
from pixelwise.model_selection.shapes import SHAPES, cells_of
from pixelwise.model_selection.splitter import SpatialSplitter, check_folds, check_groups

__all__ = ["SpatialBlockGroupKFold", "SpatialBlockShuffleSplit"]

_SIZED = ("square", "hexagon", "rows", "columns")


class _BlockSplitter(SpatialSplitter):
    """Splitters whose folds are made of blocks."""

    block_size: float | None
    shape: Any
    offset: tuple[float, float]
    n_clusters: int | None
    random_state: Any

    def block_ids(self, X: Any, groups: Any = None) -> np.ndarray:
        """Return the block that each row lies in.

        Parameters
        ----------
        X, groups : object
            As for `split`.

        Returns
        -------
        ndarray of int, shape (n,)
            Ids that tell blocks apart.
        """
        return self._blocks(X, groups)[0]

    def _blocks(self, X: Any, groups: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the block of each row, and the cell (column, row) of each block."""
        check_groups(X, groups, wanted=("(n,) with block ids", "(n, 2) with coordinates"))
        if groups is not None and np.ndim(groups) == 1:
            names, block = np.unique(np.asarray(groups), return_inverse=True)
            return np.ravel(block), np.column_stack([np.arange(len(names)), np.zeros(len(names), np.int64)])
        size = self.block_size
        sized = isinstance(self.shape, str) and self.shape in _SIZED
        if sized and (not isinstance(size, int | float | np.number) or not 0 < size < np.inf):
            raise FoldError(f"block_size={size!r}: give the side of a block in metres, such as block_size=10_000")
        xy, crs = self._places(X, groups)
        if sized and crs is None:
            _refuse_degrees(xy)
        cells, block = np.unique(
            cells_of(
                self.shape, xy, crs, size=float(size or 0), offset=self.offset,
                n_clusters=self.n_clusters or self.n_splits, random_state=self.random_state,
            ),
            axis=0, return_inverse=True,
        )  # fmt: skip
        return np.ravel(block), cells

    def _remedy(self) -> str:
        if isinstance(self.shape, str) and self.shape in SHAPES:
            return f"make block_size={self.block_size} smaller" if self.shape != "kmeans" else "raise n_clusters"
        return "give more polygons"


class SpatialBlockGroupKFold(_BlockSplitter):
    """K-fold cross-validation in which blocks of land stay whole.

    Neighbouring pixels are alike, so random folds test a model on what it has nearly seen. Blocks keep neighbours together:
    the score tells how
    the model does in places away from its training pixels [1]_. It is a cross-validation score, and no design-based map
    accuracy.

    Blocks are anchored to the CRS, not to the sample: the same place is in the same block on every run. On a geographic CRS
    they are rows of equal height along the meridian, cut along each row's own parallel, so that their sides are metres on the
    sphere everywhere.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds.
    block_size : float
        Metres: the side of a square, the width of a row or column, the distance between opposite sides of a hexagon. Choose
        it no smaller than the distance over which the model's errors are alike.
    shape : {"square", "hexagon", "rows", "columns", "kmeans"}, GeoDataFrame or path, default="square"
        What a block is; "kmeans" makes compact clusters of the samples, and polygons are blocks themselves.
    assignment : {"equal_count", "random", "systematic", "checkerboard", "balanced", "stratified"}, default="equal_count"
        How blocks go to folds: largest first to the fold with the fewest samples; at random in equal numbers; in rows from
        the top left, one after the other; in two colours; as the best of 100 random draws by how evenly classes (or
        quartiles of a number) are spread over folds [2]_; or greedily, so that each fold has all classes in the same shares.
    buffer : float, default=0.0
        Metres around test samples in which no sample is trained on.
    radius : float, default=0.0
        Metres around test samples in which all samples are tested, too. Folds then overlap.
    offset : (float, float), default=(0.0, 0.0)
        Metres by which the blocks are shifted in x and y.
    n_clusters : int or None, default=None
        Number of clusters of "kmeans"; None takes one a fold.
    crs : object or None, default=None
        CRS of coordinates that do not bring their own.
    random_state : int, RandomState or None, default=None
        Seed of "random", "balanced" and "kmeans".

    See Also
    --------
    suggest_block_size : Finds a size.
    KNNDMSplit : Folds as hard as the prediction of a map.
    sklearn.model_selection.GroupKFold : The same for groups that are known already.

    References
    ----------
    .. [1] Roberts, D. R. et al. (2017): Cross-validation strategies for data with temporal, spatial, hierarchical, or
       phylogenetic structure. Ecography 40, 913-929.
    .. [2] Valavi, R. et al. (2019): blockCV: an R package for generating spatially or environmentally separated folds.
       Methods in Ecology and Evolution 10, 225-232.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> scene, polygons = pw.datasets.make_example()
    >>> X, y = pw.extract_pixels(scene, polygons, column="class")
    >>> blocks = pw.SpatialBlockGroupKFold(n_splits=3, block_size=150)
    >>> [len(test) for _, test in blocks.split(X, y)]
    [400, 400, 400]
    >>> apart = pw.SpatialBlockGroupKFold(3, block_size=150, shape="hexagon", assignment="balanced", buffer=30, random_state=0)
    >>> [len(train) + len(test) < len(X) for train, test in apart.split(X, y)]
    [True, True, True]
    >>> places = np.array([[0, 0], [10, 10], [120, 0], [130, 10]])
    >>> [test.tolist() for _, test in pw.SpatialBlockGroupKFold(2, block_size=100).split(places, groups=places)]
    [[0, 1], [2, 3]]
    """

    def __init__(
        self,
        n_splits: int = 5,
        block_size: float | None = None,
        *,
        shape: Any = "square",
        assignment: str = "equal_count",
        buffer: float = 0.0,
        radius: float = 0.0,
        offset: tuple[float, float] = (0.0, 0.0),
        n_clusters: int | None = None,
        crs: Any = None,
        random_state: Any = None,
    ) -> None:
        self.n_splits = n_splits
        self.block_size = block_size
        self.shape = shape
        self.assignment = assignment
        self.buffer = buffer
        self.radius = radius
        self.offset = offset
        self.n_clusters = n_clusters
        self.crs = crs
        self.random_state = random_state

    @property
    def shuffle(self) -> bool:
        """Whether the folds are drawn at random; halving searches refuse those that are, and have no seed."""
        return self.assignment in ("random", "balanced") or (isinstance(self.shape, str) and self.shape == "kmeans")

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the rows of training and test of each fold.

        Parameters
        ----------
        X : PixelTable, GeoDataFrame, DataFrame with a (y, x) index, or array
            The samples; they say where they are, unless `groups` does. Distances between polygons of a GeoDataFrame are those
            between their edges.
        y : array-like of shape (n,) or None
            Labels or targets, for assignments that balance them.
        groups : array-like of shape (n, 2), or (n,), or None
            Coordinates, or ids of blocks that are known already; None takes the places from X.

        Yields
        ------
        train, test : ndarray of int

        Raises
        ------
        FoldError
            If there are fewer blocks than folds, a fold loses all its training rows, or nothing says where the samples are.
        CRSError
            If the CRS is not known, so that metres mean nothing.

        Warns
        -----
        FoldWarning
            If a class lies in one fold only.
        """
        fold = self.fold_ids(X, y, groups)
        _warn_of_lone_classes(fold, y, self._remedy())
        yield from self._apart((fold == number for number in range(self.n_splits)), X, groups)

    def fold_ids(self, X: Any, y: Any = None, groups: Any = None) -> np.ndarray:
        """Return the fold in which each row is tested.

        Parameters
        ----------
        X, y, groups : object
            As for `split`.

        Returns
        -------
        ndarray of int, shape (n,)
        """
        check_folds(self.n_splits)
        if self.assignment not in ASSIGNMENTS:
            raise FoldError(f"assignment={self.assignment!r} is not known: choose one of {', '.join(map(repr, ASSIGNMENTS))}")
        block, cells = self._blocks(X, groups)
        if len(cells) < self.n_splits:
            raise FoldError(
                f"{len(cells)} blocks cannot make {self.n_splits} folds: {self._remedy()}, or lower n_splits",
                n_blocks=len(cells),
                n_splits=self.n_splits,
            )
        fold = folds_of_blocks(self.assignment, block, cells, y, self.n_splits, self.random_state)
        return np.asarray(fold[block])


class SpatialBlockShuffleSplit(_BlockSplitter):
    """Random splits into training and test blocks, as many as wanted.

    As `SpatialBlockGroupKFold`, but each split draws its test blocks anew, so that their number and their share are free of
    each other. Test sets of different splits overlap.

    Parameters
    ----------
    n_splits : int, default=10
        Number of splits.
    block_size : float
        Metres, as for `SpatialBlockGroupKFold`.
    test_size : float or int, default=0.2
        Share of blocks that are tested, or their number.
    shape, buffer, radius, offset, n_clusters, crs : object
        As for `SpatialBlockGroupKFold`.
    random_state : int, RandomState or None, default=None
        Seed of the draw.

    See Also
    --------
    sklearn.model_selection.GroupShuffleSplit : The same for groups that are known already.

    Examples
    --------
    >>> import pixelwise as pw
    >>> scene, polygons = pw.datasets.make_example()
    >>> X, y = pw.extract_pixels(scene, polygons, column="class")
    >>> cv = pw.SpatialBlockShuffleSplit(3, block_size=100, test_size=0.25, random_state=0)
    >>> [len(set(cv.block_ids(X)[test])) for _, test in cv.split(X, y)]
    [6, 6, 6]
    """

    def __init__(
        self,
        n_splits: int = 10,
        block_size: float | None = None,
        *,
        test_size: float = 0.2,
        shape: Any = "square",
        buffer: float = 0.0,
        radius: float = 0.0,
        offset: tuple[float, float] = (0.0, 0.0),
        n_clusters: int | None = None,
        crs: Any = None,
        random_state: Any = None,
    ) -> None:
        self.n_splits = n_splits
        self.block_size = block_size
        self.test_size = test_size
        self.shape = shape
        self.buffer = buffer
        self.radius = radius
        self.offset = offset
        self.n_clusters = n_clusters
        self.crs = crs
        self.random_state = random_state

    shuffle = True

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the rows of training and test of each split.

        Parameters
        ----------
        X, y, groups : object
            As for `SpatialBlockGroupKFold.split`; y is not used.

        Yields
        ------
        train, test : ndarray of int

        Raises
        ------
        FoldError
            If no block would be left for training or for test.
        """
        n_splits: Any = self.n_splits
        if not isinstance(n_splits, int | np.integer) or n_splits < 1:
            raise FoldError(f"n_splits={n_splits!r}: give the number of splits, 1 or more")
        block, cells = self._blocks(X, groups)
        n_test = self._n_test(len(cells))
        random = check_random_state(self.random_state)
        chosen = (random.permutation(len(cells))[:n_test] for _ in range(n_splits))
        yield from self._apart((np.isin(block, blocks) for blocks in chosen), X, groups)

    def _n_test(self, n_blocks: int) -> int:
        size: Any = self.test_size
        if isinstance(size, int | np.integer) and not isinstance(size, bool):
            n_test = int(size)
        elif isinstance(size, float | np.floating) and 0 < size < 1:
            n_test = int(np.ceil(size * n_blocks))
        else:
            raise FoldError(f"test_size={size!r}: give a share of the blocks between 0 and 1, or their number")
        if not 0 < n_test < n_blocks:
            raise FoldError(
                f"test_size={size!r} takes {n_test} of {n_blocks} blocks for test: leave at least one on each side, "
                f"or {self._remedy()}",
                n_blocks=n_blocks,
            )
        return n_test


def _refuse_degrees(xy: np.ndarray) -> None:
    inside = (np.abs(xy[:, 0]) <= 180) & (np.abs(xy[:, 1]) <= 90)
    if inside.all() and np.any(xy != np.rint(xy)) and len(xy) > 1:
        raise CRSError(
            "coordinates look like degrees, and no CRS says so: pass crs=4326 to the splitter, or coordinates in metres"
        )


def _warn_of_lone_classes(fold: np.ndarray, y: Any, remedy: str) -> None:
    """Warn of classes that are tested where they were never trained on."""
    if y is None or np.ndim(y) != 1 or np.asarray(y).dtype.kind == "f":
        return
    codes, classes = class_codes(y)
    if classes is None:
        return
    low = np.full(len(classes), np.iinfo(np.int64).max)
    high = np.full(len(classes), -1)
    np.minimum.at(low, codes, fold)
    np.maximum.at(high, codes, fold)
    lone = np.flatnonzero(low == high)
    if len(lone):
        where = ", ".join(f"{classes[number]} in fold {low[number]}" for number in lone[:5])
        warnings.warn(
            f"{len(lone)} of {len(classes)} classes lie in one fold, where they are tested by a model that never saw them: "
            f"{where}; {remedy}, balance the folds with assignment='stratified', or drop or merge the class",
            FoldWarning,
            stacklevel=3,
        )
