"""SpatialBlockGroupKFold: whole blocks of land go to one fold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from rasterio.crs import CRS
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import check_random_state

from pixelwise.errors import CRSError, FoldError
from pixelwise.model_selection.places import coordinates_of
from pixelwise.raster.grid import EARTH_RADIUS, metres_per_unit
from pixelwise.table.pixels import PixelTable

__all__ = ["SpatialBlockGroupKFold"]

_ASSIGNMENTS = ("equal_count", "random")


class SpatialBlockGroupKFold(BaseCrossValidator):
    """K-fold cross-validation in which square blocks of land stay whole.

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
        Side of a block in metres. Choose it no smaller than the distance over which the model's errors are alike.
    offset : (float, float), default=(0.0, 0.0)
        Metres by which the blocks are shifted in x and y.
    assignment : {"equal_count", "random"}, default="equal_count"
        How blocks go to folds: largest first to the fold with the fewest samples, or at random in equal numbers.
    crs : object or None, default=None
        CRS of coordinates that do not bring their own.
    random_state : int, RandomState or None, default=None
        Seed of the random assignment.

    See Also
    --------
    sklearn.model_selection.GroupKFold : The same for groups that are known already.

    References
    ----------
    .. [1] Roberts, D. R. et al. (2017): Cross-validation strategies for data with temporal, spatial, hierarchical, or
       phylogenetic structure. Ecography 40, 913-929.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> scene, polygons = pw.datasets.make_example()
    >>> X, y = pw.extract_pixels(scene, polygons, column="class")
    >>> blocks = pw.SpatialBlockGroupKFold(n_splits=3, block_size=150)
    >>> [len(test) for _, test in blocks.split(X, y)]
    [400, 400, 400]
    >>> places = np.array([[0, 0], [10, 10], [120, 0], [130, 10]])
    >>> [test.tolist() for _, test in pw.SpatialBlockGroupKFold(2, block_size=100).split(places, groups=places)]
    [[0, 1], [2, 3]]
    """

    __metadata_request__split = {"groups": True}  # noqa: RUF012

    def __init__(
        self,
        n_splits: int = 5,
        block_size: float | None = None,
        *,
        offset: tuple[float, float] = (0.0, 0.0),
        assignment: str = "equal_count",
        crs: Any = None,
        random_state: Any = None,
    ) -> None:
        self.n_splits = n_splits
        self.block_size = block_size
        self.offset = offset
        self.assignment = assignment
        self.crs = crs
        self.random_state = random_state

    @property
    def shuffle(self) -> bool:
        """Whether the folds are drawn at random; halving searches refuse those that are, and have no seed."""
        return self.assignment == "random"

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X, y, groups : object
            Not used.

        Returns
        -------
        int
        """
        return self.n_splits

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the rows of training and test of each fold.

        Parameters
        ----------
        X : PixelTable, GeoDataFrame, DataFrame with a (y, x) index, or array
            The samples; they say where they are, unless `groups` does.
        y : object
            Not used.
        groups : array-like of shape (n, 2), or (n,), or None
            Coordinates, or ids of blocks that are known already; None takes the places from X.

        Yields
        ------
        train, test : ndarray of int

        Raises
        ------
        FoldError
            If there are fewer blocks than folds, or nothing says where the samples are.
        CRSError
            If the CRS is not known, so that metres mean nothing.
        """
        fold = self.fold_ids(X, groups)
        for number in range(self.n_splits):
            test = fold == number
            yield np.flatnonzero(~test), np.flatnonzero(test)

    def fold_ids(self, X: Any, groups: Any = None) -> np.ndarray:
        """Return the fold in which each row is tested.

        Parameters
        ----------
        X, groups : object
            As for `split`.

        Returns
        -------
        ndarray of int, shape (n,)
        """
        if int(self.n_splits) != self.n_splits or self.n_splits < 2:
            raise FoldError(f"n_splits={self.n_splits!r}: cross-validation needs at least 2 folds")
        if self.assignment not in _ASSIGNMENTS:
            raise FoldError(f"assignment={self.assignment!r} is not known: choose one of {', '.join(map(repr, _ASSIGNMENTS))}")
        blocks, counts = np.unique(self.block_ids(X, groups), return_inverse=True, return_counts=True)[1:]
        if len(counts) < self.n_splits:
            raise FoldError(
                f"{len(counts)} blocks cannot make {self.n_splits} folds: "
                f"make block_size={self.block_size} smaller, or n_splits",
                n_blocks=len(counts),
                n_splits=self.n_splits,
            )
        fold_of = np.empty(len(counts), int)
        if self.assignment == "random":
            order = check_random_state(self.random_state).permutation(len(counts))
            fold_of[order] = np.arange(len(counts)) % self.n_splits
        else:
            filled = np.zeros(self.n_splits, int)
            for block in np.argsort(-counts, kind="stable"):
                fold_of[block] = np.argmin(filled)
                filled[fold_of[block]] += counts[block]
        return fold_of[blocks]

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
        n = X.shape[0] if hasattr(X, "shape") else len(X)
        if groups is not None and len(groups) != n:
            raise FoldError(f"groups has {len(groups)} rows, and X has {n}: give one for each sample")
        if groups is not None and np.ndim(groups) == 1:
            return np.asarray(np.unique(np.asarray(groups), return_inverse=True)[1])
        if groups is not None and np.shape(groups)[1:] != (2,):
            raise FoldError(
                f"groups has shape {np.shape(groups)}: give block ids of shape (n,), or coordinates of shape (n, 2)"
            )
        if not isinstance(self.block_size, int | float | np.number) or not self.block_size > 0:
            raise FoldError(f"block_size={self.block_size!r}: give the side of a block in metres, such as block_size=10_000")
        xy, crs = coordinates_of(X, groups, self.crs)
        _check_metres(xy, crs, needed=groups is None and isinstance(X, PixelTable))
        cells = np.floor(_in_metres(xy, crs, float(self.block_size), self.offset) / self.block_size).astype(np.int64)
        return np.ravel(np.unique(cells, axis=0, return_inverse=True)[1])


def _check_metres(xy: np.ndarray, crs: CRS | None, *, needed: bool) -> None:
    if crs is not None:
        return
    if needed:
        raise CRSError(
            "X has no CRS, so a block size in metres means nothing: "
            "set it on the raster (raster.rio.write_crs) or pass crs= to the splitter"
        )
    inside = (np.abs(xy[:, 0]) <= 180) & (np.abs(xy[:, 1]) <= 90)
    fractions = np.any(xy != np.rint(xy))
    if inside.all() and fractions and len(xy) > 1:
        raise CRSError(
            "coordinates look like degrees, and no CRS says so: pass crs=4326 to the splitter, or coordinates in metres"
        )


def _in_metres(xy: np.ndarray, crs: CRS | None, size: float, offset: tuple[float, float]) -> np.ndarray:
    """Return coordinates in metres; on a geographic CRS along the meridian, and along the parallel in the middle of the row."""
    shift = np.asarray(offset, dtype=float)
    if crs is None or not crs.is_geographic:
        return np.asarray(xy * metres_per_unit(crs) - shift)
    y = np.radians(xy[:, 1]) * EARTH_RADIUS - shift[1]
    middle = ((np.floor(y / size) + 0.5) * size + shift[1]) / EARTH_RADIUS
    x = np.radians(xy[:, 0]) * EARTH_RADIUS * np.maximum(np.cos(np.clip(middle, -np.pi / 2, np.pi / 2)), 0.0)
    return np.column_stack([x - shift[0], y])
