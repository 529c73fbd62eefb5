"""SpaceTimeKFold: places, times, or both are held out together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from pixelwise.errors import FoldError
from pixelwise.model_selection.regions import column_of
from pixelwise.model_selection.splitter import SpatialSplitter, check_folds, n_rows
from pixelwise.table.pixels import PixelTable

__all__ = ["SpaceTimeKFold"]

_LEAVE = ("location", "time", "both")


class SpaceTimeKFold(SpatialSplitter):
    """K-fold cross-validation that leaves out locations (LLO), times (LTO), or both (LLTO).

    Samples of one place at many dates, or of one date at many places, are alike. Leaving out locations asks how a model does
    at new places, leaving out times how it does at new dates, and leaving out both how it does where place and date are new
    [1]_: a fold then tests its locations at its times, and trains on all rows that share neither.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds.
    leave : {"location", "time", "both"}, default="location"
        What is left out.
    location : str or None, default=None
        Column of X that names the location; None takes the groups of a PixelTable (its polygons).
    time : str or None, default=None
        Column of X with the time; None takes the dates of the rows of a PixelTable, or the scene that each came from.
    random_state : int, RandomState or None, default=None
        Seed of the draw of locations and times into folds.

    See Also
    --------
    SpatialBlockGroupKFold : Where locations are near each other.

    References
    ----------
    .. [1] Meyer, H. et al. (2018): Improving performance of spatio-temporal machine learning models using forward feature
       selection and target-oriented validation. Environmental Modelling & Software 101, 1-9.

    Examples
    --------
    >>> import pandas as pd, pixelwise as pw
    >>> X = pd.DataFrame({"station": [1, 1, 2, 2], "year": [2020, 2021, 2020, 2021], "rain": [4.0, 5.0, 6.0, 7.0]})
    >>> cv = pw.SpaceTimeKFold(2, leave="both", location="station", time="year", random_state=0)
    >>> [(train.tolist(), test.tolist()) for train, test in cv.split(X)]
    [([1], [2]), ([2], [1])]
    """

    def __init__(
        self,
        n_splits: int = 5,
        *,
        leave: str = "location",
        location: str | None = None,
        time: str | None = None,
        random_state: Any = None,
    ) -> None:
        self.n_splits = n_splits
        self.leave = leave
        self.location = location
        self.time = time
        self.random_state = random_state

    shuffle = True

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the rows of training and test of each fold.

        Parameters
        ----------
        X : PixelTable, DataFrame, or array
            The samples.
        y : object
            Not used.
        groups : array-like of shape (n, 2), or (n,), or None
            Location and time of each row; or the one of both that is left out. None takes them from X.

        Yields
        ------
        train, test : ndarray of int

        Raises
        ------
        FoldError
            If there are fewer locations or times than folds, or nothing names them.
        """
        check_folds(self.n_splits)
        if self.leave not in _LEAVE:
            raise FoldError(f"leave={self.leave!r} is not known: choose one of {', '.join(map(repr, _LEAVE))}")
        random = check_random_state(self.random_state)
        place = self._dealt("location", X, groups, random) if self.leave != "time" else None
        time = self._dealt("time", X, groups, random) if self.leave != "location" else None
        for number in range(self.n_splits):
            held = [part == number for part in (place, time) if part is not None]
            test, train = np.logical_and.reduce(held), ~np.logical_or.reduce(held)
            if not test.any() or not train.any():
                what = "tests" if not test.any() else "trains on"
                raise FoldError(
                    f"fold {number} {what} nothing, because not every location has samples of every time: lower n_splits, "
                    "leave out only one of both, or take another random_state",
                    fold=number,
                )
            yield np.flatnonzero(train), np.flatnonzero(test)

    def _dealt(self, what: str, X: Any, groups: Any, random: np.random.RandomState) -> np.ndarray:
        """Return the fold of each row, its locations or times having been dealt to folds at random."""
        names, codes = np.unique(self._named(what, X, groups), return_inverse=True)
        if len(names) < self.n_splits:
            raise FoldError(f"{len(names)} {what}s cannot make {self.n_splits} folds: lower n_splits")
        fold = np.empty(len(names), int)
        fold[random.permutation(len(names))] = np.arange(len(names)) % self.n_splits
        return np.asarray(fold[np.ravel(codes)])

    def _named(self, what: str, X: Any, groups: Any) -> np.ndarray:
        column = self.location if what == "location" else self.time
        if column is not None:
            found = column_of(X, column)
            if found is None:
                raise FoldError(f"X has no column {column!r} that names the {what}: pass a DataFrame that has it, or groups=")
            return found
        if groups is not None:
            return self._of_groups(what, X, groups)
        if isinstance(X, PixelTable):
            if what == "location":
                return X.groups
            return X.scene if X.row_times is None else X.row_times
        raise FoldError(f"nothing names the {what} of each row: pass {what}= with a column of X, or groups=")

    def _of_groups(self, what: str, X: Any, groups: Any) -> np.ndarray:
        if len(groups) != n_rows(X):
            raise FoldError(f"groups has {len(groups)} rows, and X has {n_rows(X)}: give one for each sample")
        values = np.asarray(groups)
        if values.ndim == 2 and values.shape[1] == 2:
            return np.asarray(values[:, 0 if what == "location" else 1])
        if values.ndim == 1 and self.leave != "both":
            return values
        raise FoldError(f"groups has shape {values.shape}: give location and time, (n, 2), to leave out {self.leave}")
