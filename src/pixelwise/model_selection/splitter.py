"""What spatial splitters share: where rows are, and a buffer of land between test and training."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import shapely
from rasterio.crs import CRS
from sklearn.model_selection import BaseCrossValidator

from pixelwise.errors import CRSError, FoldError
from pixelwise.model_selection.distances import metric_of, within
from pixelwise.model_selection.places import coordinates_of
from pixelwise.table.pixels import PixelTable

__all__ = ["SpatialSplitter", "check_folds", "check_groups", "n_rows"]


class SpatialSplitter(BaseCrossValidator):
    """Base of spatial splitters: they read coordinates from X, unless `groups` brings them.

    Copies share what a splitter was given, such as a prediction domain, because no splitter changes it: a search that is
    cloned does not copy a raster.

    See Also
    --------
    SpatialBlockGroupKFold : The best known one.
    """

    __metadata_request__split = {"groups": True}  # noqa: RUF012

    crs: Any = None
    n_splits: int
    buffer: float = 0.0
    radius: float = 0.0

    def __repr__(self) -> str:
        """Name the parameters that differ from their defaults; of rasters and tables the type and shape alone."""
        given = inspect.signature(type(self)).parameters
        changed = {name: getattr(self, name) for name in given if not _same(getattr(self, name), given[name].default)}
        return f"{type(self).__name__}({', '.join(f'{name}={_brief(value)}' for name, value in changed.items())})"

    def __sklearn_clone__(self) -> SpatialSplitter:
        return copy.copy(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> SpatialSplitter:
        return copy.copy(self)

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

    def _places(self, X: Any, groups: Any, *, metres: bool = True) -> tuple[np.ndarray, CRS | None]:
        """Return coordinates and CRS; without a CRS the units of coordinates count as metres, unless they cannot be."""
        check_groups(X, groups, wanted=("(n, 2) with coordinates",))
        xy, crs = coordinates_of(X, groups, self.crs)
        if metres and crs is None and groups is None and isinstance(X, PixelTable):
            raise CRSError(
                "X has no CRS, so a distance in metres means nothing: "
                "set it on the raster (raster.rio.write_crs) or pass crs= to the splitter"
            )
        return xy, crs

    def _apart(self, tests: Iterator[np.ndarray], X: Any, groups: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield training and test rows of each test mask, after `radius` and `buffer` have been applied."""
        given: tuple[tuple[str, Any], ...] = (("buffer", self.buffer), ("radius", self.radius))
        for name, value in given:
            if not isinstance(value, int | float | np.number) or not 0 <= value < np.inf:
                raise FoldError(f"{name}={value!r}: give metres, 0 or more")
        near = self._near(X, groups) if self.buffer or self.radius else None
        for number, test in enumerate(tests):
            lost = test
            if near is not None and self.radius:
                test = near(test, float(self.radius))
            lost = near(test, float(self.buffer)) if near is not None and self.buffer else test
            if lost.all():
                cause = f"within buffer={self.buffer:g} m of its test rows" if near is not None else "tested"
                raise FoldError(
                    f"fold {number} loses all its training rows, because every one of {len(test)} rows is {cause}: "
                    "make the buffer smaller, or blocks and folds of another size",
                    fold=number,
                )
            yield np.flatnonzero(~lost), np.flatnonzero(test)

    def _near(self, X: Any, groups: Any) -> Any:
        """Return a function that adds to a mask of rows all others within some metres of them."""
        shapes = _shapes(X) if groups is None else None
        if shapes is not None:
            unit = metric_of(self._places(X, None)[1]).unit
            return lambda mask, metres: mask | _shapes_within(shapes, mask, metres / unit)
        xy, crs = self._places(X, groups if np.ndim(groups) == 2 else None)
        metric = metric_of(crs)
        points = metric.points(xy)

        def near(mask: np.ndarray, metres: float) -> np.ndarray:
            found = mask.copy()
            found[~mask] = within(points[~mask], points[mask], metric.straight(metres))
            return found

        return near


def _shapes(X: Any) -> np.ndarray | None:
    """Return the polygons or lines of a GeoDataFrame on a plane, between whose edges distances are measured."""
    if not hasattr(X, "geometry") or not hasattr(X, "crs") or getattr(X.crs, "is_geographic", False):
        return None
    shapes = np.asarray(X.geometry)
    return None if (shapely.get_type_id(shapes) == shapely.GeometryType.POINT).all() else shapes


def _shapes_within(shapes: np.ndarray, mask: np.ndarray, distance: float) -> np.ndarray:
    pairs = shapely.STRtree(shapes).query(shapes[mask], predicate="dwithin", distance=distance)
    found = np.zeros(len(shapes), bool)
    found[pairs[1]] = True
    return found


def _same(value: Any, default: Any) -> bool:
    return value is default or (isinstance(value, bool | int | float | str | tuple) and bool(value == default))


def _brief(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return repr(value) if not shape else f"<{type(value).__name__} {' x '.join(map(str, shape))}>"


def n_rows(X: Any) -> int:
    """Return the number of rows of X."""
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)


def check_groups(X: Any, groups: Any, wanted: tuple[str, ...]) -> None:
    """Raise a FoldError where groups do not fit X; scikit-learn passes them on unchecked."""
    if groups is None:
        return
    shape = np.shape(groups)
    if len(groups) != n_rows(X):
        raise FoldError(f"groups has {len(groups)} rows, and X has {n_rows(X)}: give one for each sample")
    described = {1: "(n,)", 2: "(n, 2)"}.get(len(shape), "") if len(shape) == 1 or shape[1:] == (2,) else ""
    if not any(text.startswith(described) for text in wanted) or not described:
        raise FoldError(f"groups has shape {shape}: give groups of shape {' or '.join(wanted)}")


def check_folds(n_splits: Any) -> None:
    """Raise a FoldError unless there are two folds or more."""
    if not isinstance(n_splits, int | np.integer) or n_splits < 2:
        raise FoldError(f"n_splits={n_splits!r}: cross-validation needs at least 2 folds")
