"""LeaveRegionOut: one region after the other is tested."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pixelwise.errors import FoldError
from pixelwise.model_selection.shapes import region_of
from pixelwise.model_selection.splitter import SpatialSplitter, check_groups
from pixelwise.table.pixels import PixelTable

__all__ = ["LeaveRegionOut", "column_of"]


class LeaveRegionOut(SpatialSplitter):
    """Cross-validation that holds out one region a fold: a country, a catchment, a field.

    Its scores, looked at one by one, tell where a model does not carry over.

    Parameters
    ----------
    regions : GeoDataFrame, path, str or None, default=None
        Polygons, whose rows are the regions; or a column of X that names the region of each row. None takes `groups`, and
        where there are none, those of a PixelTable: the polygon that each pixel came from.
    buffer : float, default=0.0
        Metres around the region's samples in which no sample is trained on.
    crs : object or None, default=None
        CRS of coordinates that do not bring their own.

    See Also
    --------
    sklearn.model_selection.LeaveOneGroupOut : The same without a map and without a buffer.

    Examples
    --------
    >>> import pixelwise as pw
    >>> scene, polygons = pw.datasets.make_example()
    >>> X, y = pw.extract_pixels(scene, polygons, column="class")
    >>> cv = pw.LeaveRegionOut(polygons, buffer=50)
    >>> cv.get_n_splits(X), [len(test) for _, test in cv.split(X, y)]
    (4, [300, 300, 300, 300])
    """

    def __init__(self, regions: Any = None, *, buffer: float = 0.0, crs: Any = None) -> None:
        self.regions = regions
        self.buffer = buffer
        self.crs = crs

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds, which is that of regions with samples.

        Parameters
        ----------
        X, y, groups : object
            As for `split`.

        Returns
        -------
        int
        """
        if X is None and groups is None:
            raise ValueError("the number of folds is that of regions with samples: pass X, or groups")
        return len(np.unique(self.region_ids(groups if X is None else X, groups)))

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the rows of training and test of each fold, region after region.

        Parameters
        ----------
        X : PixelTable, GeoDataFrame, DataFrame, or array
            The samples.
        y : object
            Not used.
        groups : array-like of shape (n,), or (n, 2), or None
            Names of regions; or coordinates, where regions are polygons.

        Yields
        ------
        train, test : ndarray of int

        Raises
        ------
        FoldError
            If there is one region only, or a sample lies in none.
        """
        region = self.region_ids(X, groups)
        names = np.unique(region)
        if len(names) < 2:
            raise FoldError(
                f"all {len(region)} samples lie in one region, {names[0]}: leaving it out leaves nothing to train on"
            )
        yield from self._apart((region == name for name in names), X, groups)

    def region_ids(self, X: Any, groups: Any = None) -> np.ndarray:
        """Return the region of each row: the index label of its polygon, or its name.

        Parameters
        ----------
        X, groups : object
            As for `split`.

        Returns
        -------
        ndarray of shape (n,)
        """
        check_groups(X, groups, wanted=("(n,) with regions", "(n, 2) with coordinates"))
        found = column_of(X, self.regions)
        if found is not None:
            return found
        if self.regions is not None:
            region, names = region_of(self.regions, *self._places(X, groups))
            return np.asarray(names[region])
        if groups is not None and np.ndim(groups) == 1:
            return np.asarray(groups)
        if groups is None and isinstance(X, PixelTable):
            return X.groups
        raise FoldError("nothing names the regions: pass regions= with polygons or the name of a column, or groups=")


def column_of(X: Any, name: Any) -> np.ndarray | None:
    """Return a column of a frame, or None where X has none of that name."""
    if not isinstance(name, str) or not hasattr(X, "columns") or name not in X.columns:
        return None
    values = X[name]
    if values.isna().any():
        raise FoldError(f"column {name!r} is empty in {values.isna().sum()} of {len(values)} rows: fill or drop them")
    return np.asarray(values)
