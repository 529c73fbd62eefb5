"""FoldsDisplay: which places are tested together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio

from pixelwise.display.canvas import MUTED, axes_of
from pixelwise.display.furniture import add_legend, add_north_arrow, add_scale_bar, add_title, map_aspect, show_image
from pixelwise.display.map import SceneDisplay
from pixelwise.model_selection.blocks import SpatialBlockGroupKFold
from pixelwise.raster.grid import Grid, metres_per_unit
from pixelwise.raster.legend import class_colors
from pixelwise.table.pixels import PixelTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FoldsDisplay"]

# Paul Tol's bright scheme: unlike the colours of classes, so that the two maps are not taken for each other.
_COLORS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")


class FoldsDisplay:
    """The folds of a cross-validation on the map: each pixel in the colour of the fold that tests it.

    Parameters
    ----------
    xy : ndarray of shape (n, 2)
        Where the pixels are.
    fold : ndarray of int, shape (n,)
        Fold that tests each, from 0.
    grid : Grid
        What is shown.
    squares : ndarray of shape (n_blocks, 4)
        Fold of each block, its left and bottom, and its side, in units of the CRS; no rows where there are no blocks to draw.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Where it was drawn.
    figure_ : matplotlib.figure.Figure
        The figure of the axes.

    See Also
    --------
    SpatialBlockGroupKFold : Blocks as folds.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from pixelwise.display.folds import FoldsDisplay
    >>> scene, polygons = pw.datasets.make_example()
    >>> X, y = pw.extract_pixels(scene, polygons, column="class")
    >>> display = FoldsDisplay.from_splitter(pw.SpatialBlockGroupKFold(2, block_size=300), X, y).plot(title="Folds")
    >>> display.counts().tolist(), len(display.squares)
    ([600, 600], 9)
    """

    def __init__(self, xy: np.ndarray, fold: np.ndarray, grid: Grid, squares: np.ndarray) -> None:
        self.xy = xy
        self.fold = fold
        self.grid = grid
        self.squares = squares

    @classmethod
    def from_splitter(cls, cv: Any, X: PixelTable, y: Any = None, groups: Any = None) -> FoldsDisplay:
        """Make a display of the folds of any splitter.

        Parameters
        ----------
        cv : cross-validation splitter
            Each row must be tested once. The squares of a `SpatialBlockGroupKFold` are drawn, too, where the CRS is projected.
        X : PixelTable
            Pixels that know where they are.
        y, groups : object
            As the splitter wants them.

        Returns
        -------
        FoldsDisplay
        """
        fold = np.zeros(len(X), int)
        for number, (_, test) in enumerate(cv.split(X, y, groups)):
            fold[test] = number
        grid = X.grids[0] if len(X.grids) == 1 else _around(X)
        return cls(X.xy, fold, grid, _squares(cv, X, fold))

    def counts(self) -> np.ndarray:
        """Return the number of pixels in each fold."""
        return np.bincount(self.fold)

    def legend(self) -> dict[str, str]:
        """Return the colour of each fold, by its name and number of pixels."""
        names = dict(enumerate(f"fold {number}: {count:,} pixels" for number, count in enumerate(self.counts(), 1)))
        bright = dict(zip(range(min(len(names), len(_COLORS))), _COLORS, strict=False))
        rgba = class_colors(names, bright)
        return {names[code]: f"#{r:02x}{g:02x}{b:02x}" for code, (r, g, b, _) in rgba.items()}

    def plot(
        self,
        ax: Axes | None = None,
        *,
        scene: SceneDisplay | None = None,
        title: str = "",
        subtitle: str = "",
        legend: bool = True,
    ) -> FoldsDisplay:
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
            Whether a legend stands under it.

        Returns
        -------
        self
        """
        self.ax_, self.figure_ = axes_of(ax, map_aspect(self.grid))
        pale = np.zeros((1, 1, 4), np.uint8) if scene is None else _pale(scene.rgb)
        show_image(self.ax_, pale, Grid(self.grid.crs, _cover(self.grid), 1, 1) if scene is None else scene.grid)
        colors = list(self.legend().values())
        self._draw_squares(colors)
        for number, color in enumerate(colors):
            x, y = self.xy[self.fold == number].T
            self.ax_.scatter(x, y, s=2.2, c=color, linewidths=0, rasterized=True, zorder=3)
        if legend:
            add_legend(self.ax_, self.legend())
        add_scale_bar(self.ax_, self.grid)
        add_north_arrow(self.ax_, self.grid)
        add_title(self.ax_, title, subtitle)
        return self

    def _draw_squares(self, colors: list[str]) -> None:
        from matplotlib.patches import Rectangle

        for fold, left, bottom, side in self.squares:
            color = colors[int(fold)]
            self.ax_.add_patch(Rectangle((left, bottom), side, side, facecolor=color, alpha=0.22, edgecolor="none", zorder=1))
            self.ax_.add_patch(
                Rectangle((left, bottom), side, side, facecolor="none", edgecolor=MUTED, linewidth=0.5, zorder=2)
            )


def _squares(cv: Any, X: PixelTable, fold: np.ndarray) -> np.ndarray:
    crs = X.crs
    if not isinstance(cv, SpatialBlockGroupKFold) or crs is None or crs.is_geographic or not cv.block_size:
        return np.empty((0, 4))
    unit, size, offset = metres_per_unit(crs), float(cv.block_size), np.asarray(cv.offset, float)
    cells = np.floor((X.xy * unit - offset) / size)
    found = np.unique(np.column_stack([fold, cells]), axis=0)
    corners = (found[:, 1:] * size + offset) / unit
    return np.column_stack([found[:, 0], corners, np.full(len(found), size / unit)])


def _cover(grid: Grid) -> rasterio.Affine:
    left, bottom, right, top = grid.bounds
    return rasterio.transform.from_bounds(left, bottom, right, top, 1, 1)


def _around(X: PixelTable) -> Grid:
    """Return a grid of one pixel that holds all rows with some room."""
    low, high = X.xy.min(axis=0), X.xy.max(axis=0)
    room = max(0.05 * float((high - low).max()), 1e-9)
    return Grid(X.crs, rasterio.transform.from_bounds(*(low - room), *(high + room), 1, 1), 1, 1)


def _pale(rgb: np.ndarray) -> np.ndarray:
    grey = rgb[..., :3] @ np.array([0.3, 0.59, 0.11])
    pale = (190 + grey * 0.25).clip(0, 255).astype(np.uint8)
    return np.dstack([pale, pale, pale, rgb[..., 3]])
