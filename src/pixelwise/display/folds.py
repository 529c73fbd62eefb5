"""SpatialFoldsDisplay: which places are tested together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from rasterio.crs import CRS

from pixelwise.display.canvas import MUTED, axes_of
from pixelwise.display.furniture import add_legend, add_north_arrow, add_scale_bar, add_title, map_aspect, show_image
from pixelwise.display.map import SceneDisplay
from pixelwise.errors import FoldError
from pixelwise.model_selection.places import coordinates_of
from pixelwise.model_selection.rows import checked_folds
from pixelwise.model_selection.shapes import SHAPES, cells_of, region_of
from pixelwise.raster.grid import Grid, metres_per_unit
from pixelwise.raster.legend import class_colors
from pixelwise.table.pixels import PixelTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["SpatialFoldsDisplay"]

# Paul Tol's bright scheme: unlike the colours of classes, so that the two maps are not taken for each other.
_COLORS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")
#: Training, test and left out samples of one split; samples in no test.
_PARTS, _UNTESTED = ("#4477aa", "#ee6677", "#ccbb44"), "#999999"
#: A legend of more folds would be larger than the map.
_MOST_NAMES = 20


class SpatialFoldsDisplay:
    """The folds of a cross-validation on the map: each sample in the colour of the fold that tests it.

    Parameters
    ----------
    xy : ndarray of shape (n, 2)
        Where the samples are.
    fold : ndarray of int, shape (n,)
        What is shown of each: the fold that tests it, from 0; -1 where none does.
    grid : Grid
        What is shown.
    blocks : sequence of (int, ndarray of shape (k, 2))
        Fold and outline of each block, in the CRS of the grid; empty where there are no blocks to draw.
    names : sequence of str or None, default=None
        What the numbers in `fold` are called; None numbers folds from 1.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Where it was drawn.
    figure_ : matplotlib.figure.Figure
        The figure of the axes.

    See Also
    --------
    SpatialBlockGroupKFold : Blocks as folds.
    fold_report : The same as numbers.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from pixelwise.display.folds import SpatialFoldsDisplay
    >>> scene, polygons = pw.datasets.make_example()
    >>> X, y = pw.extract_pixels(scene, polygons, column="class")
    >>> cv = pw.SpatialBlockGroupKFold(2, block_size=300, buffer=20)
    >>> display = SpatialFoldsDisplay.from_splitter(cv, X, y).plot(title="Folds")
    >>> display.counts().tolist(), len(display.blocks)
    ([600, 600], 9)
    >>> list(SpatialFoldsDisplay.from_splitter(cv, X, y, split=0).legend())
    ['training: 555 pixels', 'test: 600 pixels', 'left out: 45 pixels']
    """

    def __init__(
        self, xy: np.ndarray, fold: np.ndarray, grid: Grid, blocks: Sequence[tuple[int, np.ndarray]] = (), names: Any = None
    ) -> None:
        self.xy = xy
        self.fold = fold
        self.grid = grid
        self.blocks = blocks
        self.names = names

    @classmethod
    def from_splitter(
        cls, cv: Any, X: Any, y: Any = None, groups: Any = None, *, split: int | None = None
    ) -> SpatialFoldsDisplay:
        """Make a display of the folds of any splitter.

        Parameters
        ----------
        cv : cross-validation splitter, int, or iterable of (train, test)
            Outlines are drawn of squares, hexagons, rows, columns and polygons, where the CRS is projected.
        X : PixelTable, GeoDataFrame, DataFrame with a (y, x) index, or array
            Samples that say where they are, unless `groups` does.
        y, groups : object
            As the splitter wants them.
        split : int or None, default=None
            Number of a split, whose training, test and left out samples are shown. None shows which fold tests each sample,
            for splitters that test each once at the most.

        Returns
        -------
        SpatialFoldsDisplay

        Raises
        ------
        FoldError
            If samples are tested in several folds and no split is named, or there is no such split.
        """
        coordinates = groups if np.ndim(groups) == 2 else None
        xy, crs = coordinates_of(X, coordinates, getattr(cv, "crs", None))
        labels = None if y is None else np.asarray(y)
        classes = labels is not None and labels.dtype.kind != "f"
        folds = checked_folds(cv, X, labels, groups, classes=classes)
        grid = X.grids[0] if coordinates is None and isinstance(X, PixelTable) and len(X.grids) == 1 else _around(xy, crs)
        if split is None:
            fold = _fold_of(folds, len(xy))
            return cls(xy, fold, grid, _outlines(cv, xy, crs, fold, grid, groups))
        if not 0 <= split < len(folds):
            raise FoldError(f"split={split} does not exist: {type(cv).__name__} makes {len(folds)}, numbered from 0")
        part = np.full(len(xy), 2)
        part[folds[split][0]], part[folds[split][1]] = 0, 1
        outlines = _outlines(cv, xy, crs, np.where(part == 1, 1, -1), grid, groups)
        return cls(xy, part, grid, outlines, ("training", "test", "left out"))

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: Any = None, **options: Any) -> SpatialFoldsDisplay:
        """Make a display of the folds of a search, or of whatever else has a splitter as its ``cv``.

        Parameters
        ----------
        estimator : estimator
            With an attribute ``cv``, such as GridSearchCV.
        X, y : object
            As for `from_splitter`.
        **options : dict
            As for `from_splitter`.

        Returns
        -------
        SpatialFoldsDisplay
        """
        cv = getattr(estimator, "cv", None)
        if cv is None:
            raise FoldError(f"{type(estimator).__name__} has no cv: pass a search, or its splitter to from_splitter")
        return cls.from_splitter(cv, X, y, **options)

    @classmethod
    def from_predictions(cls, fold: Any, X: Any, *, groups: Any = None, crs: Any = None) -> SpatialFoldsDisplay:
        """Make a display of held-out predictions, of which only their folds are known, such as those of `cross_val_map`.

        Parameters
        ----------
        fold : array-like of int, shape (n,)
            Fold that tested each sample, -1 where none did.
        X : PixelTable, GeoDataFrame, or DataFrame with a (y, x) index
            The samples.
        groups : array-like of shape (n, 2) or None, default=None
            Coordinates; None takes them from X.
        crs : object or None, default=None
            Their CRS.

        Returns
        -------
        SpatialFoldsDisplay
        """
        xy, known = coordinates_of(X, groups, crs)
        fold = np.asarray(fold)
        if fold.shape != (len(xy),):
            raise FoldError(f"fold has shape {fold.shape}, and X has {len(xy)} rows: give one fold for each row")
        grid = X.grids[0] if groups is None and isinstance(X, PixelTable) and len(X.grids) == 1 else _around(xy, known)
        return cls(xy, fold, grid)

    def counts(self) -> np.ndarray:
        """Return the number of samples in each fold."""
        return np.bincount(self.fold[self.fold >= 0], minlength=0 if self.names is None else len(self.names))

    def legend(self) -> dict[str, str]:
        """Return the colour of each fold, by its name and number of pixels."""
        titles = [f"fold {number}" for number in range(1, len(self.counts()) + 1)] if self.names is None else self.names
        named = zip(titles, self.counts().tolist(), self._colors(), strict=True)
        found = {f"{title}: {count:,} pixels": color for title, count, color in named if count}
        left = int((self.fold < 0).sum())
        return {**found, f"in no test: {left:,} pixels": _UNTESTED} if left else found

    def _colors(self) -> list[str]:
        codes = {code: str(code) for code in range(len(self.counts()))}
        known = _COLORS if self.names is None else _PARTS
        rgba = class_colors(codes, dict(zip(codes, known, strict=False)))
        return [f"#{r:02x}{g:02x}{b:02x}" for r, g, b, _ in rgba.values()]

    def plot(
        self,
        ax: Axes | None = None,
        *,
        scene: SceneDisplay | None = None,
        title: str = "",
        subtitle: str = "",
        legend: bool = True,
    ) -> SpatialFoldsDisplay:
        """Draw the folds, on a pale picture of the scene if there is one.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None
            Where to draw; None makes a figure.
        scene : SceneDisplay or None
            What lies under the folds.
        title, subtitle : str
            Above the map.
        legend : bool, default=True
            Whether a legend stands under it; there is none of more than 20 folds.

        Returns
        -------
        self
        """
        from matplotlib.colors import to_rgba_array

        self.ax_, self.figure_ = axes_of(ax, map_aspect(self.grid))
        pale = np.zeros((1, 1, 4), np.uint8) if scene is None else _pale(scene.rgb)
        show_image(self.ax_, pale, Grid(self.grid.crs, _cover(self.grid), 1, 1) if scene is None else scene.grid)
        names, colors = self.legend(), [*self._colors(), _UNTESTED]
        self._draw_blocks(colors)
        # A few dots in a large scene are lost if they are as small as those of a million pixels.
        size = float(np.clip(6_000 / max(len(self.xy), 1), 2.2, 14.0))
        color = to_rgba_array(colors)[self.fold]
        x, y = self.xy.T
        self.ax_.scatter(x, y, s=size, c=color, linewidths=0, rasterized=True, zorder=3)
        if legend and len(names) <= _MOST_NAMES:
            add_legend(self.ax_, names)
        add_scale_bar(self.ax_, self.grid)
        add_north_arrow(self.ax_, self.grid)
        add_title(self.ax_, title, subtitle)
        return self

    def _draw_blocks(self, colors: list[str]) -> None:
        from matplotlib.patches import Polygon

        for fold, outline in self.blocks:
            if fold >= 0:
                self.ax_.add_patch(Polygon(outline, facecolor=colors[fold], alpha=0.22, edgecolor="none", zorder=1))
            self.ax_.add_patch(Polygon(outline, facecolor="none", edgecolor=MUTED, linewidth=0.5, zorder=2))


def _fold_of(folds: Sequence[tuple[np.ndarray, np.ndarray]], n: int) -> np.ndarray:
    fold, times = np.full(n, -1), np.zeros(n, int)
    for number, (_, test) in enumerate(folds):
        fold[test] = number
        times[test] += 1
    if times.max(initial=0) > 1:
        raise FoldError(
            f"{(times > 1).sum()} of {n} rows are tested more than once, so that they have no one colour: "
            "pass split=0 to see the first split, split=1 the second"
        )
    return fold


def _outlines(
    cv: Any, xy: np.ndarray, crs: CRS | None, fold: np.ndarray, grid: Grid, groups: Any
) -> list[tuple[int, np.ndarray]]:
    """Return the fold and the outline of each block that holds samples."""
    known = hasattr(cv, "block_ids") and crs is not None and not crs.is_geographic and np.ndim(groups) != 1
    shape = cv.shape if known else None
    if not known or (isinstance(shape, str) and shape == "kmeans"):
        return []
    if not isinstance(shape, str) or shape not in SHAPES:
        return _polygons(shape, xy, crs, fold)
    size, unit = float(cv.block_size), metres_per_unit(crs)
    cells = cells_of(shape, xy, crs, size=size, offset=cv.offset, n_clusters=2, random_state=None)
    found, first = np.unique(cells, axis=0, return_index=True)
    bounds = np.asarray(grid.bounds) * unit
    return [
        (int(fold[at]), _corners(shape, row, col, size, cv.offset, bounds) / unit)
        for (col, row), at in zip(found.tolist(), first.tolist(), strict=True)
    ]


def _corners(shape: str, row: int, col: int, size: float, offset: tuple[float, float], bounds: np.ndarray) -> np.ndarray:
    """Return the corners of a block in metres; rows and columns end where the map does."""
    if shape == "hexagon":
        centre = np.array([(col + row % 2 / 2) * size, row * size * np.sqrt(3) / 2])
        angle = np.radians(np.arange(30, 390, 60))
        return np.asarray(centre + offset + size / np.sqrt(3) * np.column_stack([np.cos(angle), np.sin(angle)]))
    left, bottom = col * size + offset[0], row * size + offset[1]
    right, top = left + size, bottom + size
    if shape == "rows":
        left, right = bounds[0], bounds[2]
    if shape == "columns":
        bottom, top = bounds[1], bounds[3]
    return np.array([(left, bottom), (right, bottom), (right, top), (left, top)])


def _polygons(shape: Any, xy: np.ndarray, crs: CRS | None, fold: np.ndarray) -> list[tuple[int, np.ndarray]]:
    assert crs is not None
    frame = gpd.read_file(shape) if isinstance(shape, str | Path) else shape
    region, first = np.unique(region_of(frame, xy, crs)[0], return_index=True)
    parts = frame.geometry.to_crs(crs.to_wkt()).iloc[region].set_axis(fold[first]).explode()
    return [
        (int(number), shapely.get_coordinates(part.exterior))
        for number, part in zip(parts.index, parts.array, strict=True)
        if part.geom_type == "Polygon"
    ]


def _cover(grid: Grid) -> rasterio.Affine:
    left, bottom, right, top = grid.bounds
    return rasterio.transform.from_bounds(left, bottom, right, top, 1, 1)


def _around(xy: np.ndarray, crs: CRS | None) -> Grid:
    """Return a grid of one pixel that holds all samples with some room."""
    low, high = xy.min(axis=0), xy.max(axis=0)
    room = max(0.05 * float((high - low).max()), 1e-9)
    return Grid(crs, rasterio.transform.from_bounds(*(low - room), *(high + room), 1, 1), 1, 1)


def _pale(rgb: np.ndarray) -> np.ndarray:
    grey = rgb[..., :3] @ np.array([0.3, 0.59, 0.11])
    pale = (190 + grey * 0.25).clip(0, 255).astype(np.uint8)
    return np.dstack([pale, pale, pale, rgb[..., 3]])
