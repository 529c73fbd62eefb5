"""MapDisplay: a map of classes or of numbers; SceneDisplay: the scene as the eye sees it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pixelwise.display.canvas import axes_of
from pixelwise.display.furniture import (
    add_color_bar,
    add_legend,
    add_north_arrow,
    add_scale_bar,
    add_title,
    map_aspect,
    show_image,
)
from pixelwise.display.preview import missing_pixels, preview
from pixelwise.errors import BandError
from pixelwise.operators.base import band_position
from pixelwise.raster.carriers import Raster
from pixelwise.raster.grid import Grid
from pixelwise.raster.legend import class_colors, map_classes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["MapDisplay", "SceneDisplay"]

#: Whole numbers without names are drawn as classes up to so many, and as quantities beyond.
_MOST_CLASSES = 24


class MapDisplay:
    """A map on a page: classes in their own colours, or numbers on a scale of colours.

    Parameters
    ----------
    raster : Raster
        The map, small enough to draw; `from_raster` makes it so.
    classes : mapping of int to str
        Code and name of each class; empty for a map of numbers.
    colors : mapping of int to str
        Colour of each class as "#rrggbb".

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Where it was drawn.
    figure_ : matplotlib.figure.Figure
        The figure of the axes.

    See Also
    --------
    SceneDisplay : The scene as the eye sees it.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from pixelwise.display.map import MapDisplay
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> scene, polygons = pw.datasets.make_example()
    >>> X, y = pw.extract_pixels(scene, polygons, column="class")
    >>> predicted = pw.PixelwiseClassifier(DecisionTreeClassifier()).fit(X, y).predict(pw.open_raster(scene))
    >>> display = MapDisplay.from_raster(predicted, colors={"water": "#4a90c2"}).plot(title="Wood and water")
    >>> display.classes, display.colors[1]
    ({0: 'forest', 1: 'water'}, '#4a90c2')
    """

    def __init__(self, raster: Raster, classes: Mapping[int, str], colors: Mapping[int, str]) -> None:
        self.raster = raster
        self.classes = dict(classes)
        self.colors = dict(colors)

    @classmethod
    def from_raster(cls, raster: Any, *, colors: Mapping[Any, str] | None = None, most: int = 1600) -> MapDisplay:
        """Make a display of a map, whatever its size.

        Parameters
        ----------
        raster : raster of any carrier
            A map of one band: what ``predict`` returns, or the path of a file.
        colors : mapping of (str or int) to str, or None
            Colours of classes by name or code; the others have the file's own colour, or one of a palette.
        most : int, default=1600
            Pixels of the longer side that are drawn.

        Returns
        -------
        MapDisplay

        Raises
        ------
        BandError
            If the raster has several bands.
        """
        small = preview(raster, most)
        if small.n_bands != 1:
            raise BandError(f"a raster of {small.n_bands} bands is no map: select one of {', '.join(small.names)}")
        classes = map_classes(small.attrs) or _numbered(small)
        own = {
            int(code): color for code, color in json.loads(small.attrs.get("flag_colors", "{}")).items() if int(code) in classes
        }
        asked = dict(colors or {})
        taken = {code for code, name in classes.items() if name in asked}
        rgba = class_colors(classes, {**{code: color for code, color in own.items() if code not in taken}, **asked})
        return cls(small, classes, {code: f"#{r:02x}{g:02x}{b:02x}" for code, (r, g, b, _) in rgba.items()})

    def plot(self, ax: Axes | None = None, *, title: str = "", subtitle: str = "", legend: bool = True) -> MapDisplay:
        """Draw the map with a scale bar and a north arrow.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None
            Where to draw; None makes a figure.
        title, subtitle : str
            Above the map.
        legend : bool, default=True
            Whether a legend, or a colour bar, stands under it.

        Returns
        -------
        self
        """
        self.ax_, self.figure_ = axes_of(ax, map_aspect(self.raster.grid))
        values, missing = self.raster.cube[0], missing_pixels(self.raster)[0]
        if self.classes:
            show_image(self.ax_, self._painted(values, missing), self.raster.grid)
        else:
            low, high = _limits(values[~missing])
            show_image(self.ax_, _scaled(values, missing, low, high), self.raster.grid)
        if legend and self.classes:
            add_legend(self.ax_, {name: self.colors[code] for code, name in self.classes.items()})
        elif legend:
            add_color_bar(self.ax_, low, high, str(self.raster.attrs.get("long_name", "")))
        add_scale_bar(self.ax_, self.raster.grid)
        add_north_arrow(self.ax_, self.raster.grid)
        add_title(self.ax_, title, subtitle)
        return self

    def _painted(self, values: np.ndarray, missing: np.ndarray) -> np.ndarray:
        rgba = np.zeros((*values.shape, 4), np.uint8)
        for code, color in self.colors.items():
            rgba[(values == code) & ~missing] = (*bytes.fromhex(color[1:]), 255)
        return rgba


def _numbered(raster: Raster) -> dict[int, str]:
    """Return classes named by their codes, where a map of whole numbers holds few of them."""
    if raster.values.dtype.kind not in "iu":
        return {}
    codes = np.unique(raster.cube[0][~missing_pixels(raster)[0]])
    return {int(code): str(code) for code in codes} if 0 < len(codes) <= _MOST_CLASSES else {}


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Return the range that holds all but the outer two in a hundred values at each end."""
    if not len(values):
        return 0.0, 1.0
    low, high = (float(edge) for edge in np.percentile(values, (2, 98)))
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _scaled(values: np.ndarray, missing: np.ndarray, low: float, high: float) -> np.ndarray:
    from matplotlib import colormaps

    rgba: np.ndarray = colormaps["viridis"](np.clip((np.where(missing, low, values) - low) / (high - low), 0, 1), bytes=True)
    rgba[missing] = 0
    return rgba


class SceneDisplay:
    """A scene in colours of three of its bands, stretched so that all but its darkest and brightest pixels are told apart.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (y, x, 4)
        Colours; transparent where data is missing.
    grid : Grid
        Where the pixels are.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Where it was drawn.
    figure_ : matplotlib.figure.Figure
        The figure of the axes.

    See Also
    --------
    MapDisplay : A map.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from pixelwise.display.map import SceneDisplay
    >>> scene, polygons = pw.datasets.make_example()
    >>> SceneDisplay.from_raster(scene, ("B04", "B03", "B02")).plot(title="True colour").rgb.shape
    (60, 80, 4)
    """

    def __init__(self, rgb: np.ndarray, grid: Grid) -> None:
        self.rgb = rgb
        self.grid = grid

    @classmethod
    def from_raster(cls, raster: Any, bands: Sequence[str | int], *, most: int = 1600) -> SceneDisplay:
        """Make a display of a scene.

        Parameters
        ----------
        raster : raster of any carrier
            Shape (band, y, x), or the path of a file.
        bands : sequence of str or int
            Which bands are red, green and blue, by name or by position from 0.
        most : int, default=1600
            Pixels of the longer side that are drawn.

        Returns
        -------
        SceneDisplay

        Raises
        ------
        BandError
            If the raster lacks one of the bands.
        """
        small = preview(raster, most)
        at = [band_position(small, band, role) for band, role in zip(bands, ("red", "green", "blue"), strict=True)]
        missing = missing_pixels(small)[at].any(axis=0)
        rgb = np.zeros((*small.grid.shape, 4), np.uint8)
        for channel, position in enumerate(at):
            values = small.cube[position].astype(np.float32)
            low, high = _limits(values[~missing])
            # The eye sees more steps in the dark than a sensor counts.
            rgb[..., channel] = 255 * np.clip((np.where(missing, low, values) - low) / (high - low), 0, 1) ** 0.8
        rgb[~missing, 3] = 255
        return cls(rgb, small.grid)

    def plot(self, ax: Axes | None = None, *, title: str = "", subtitle: str = "") -> SceneDisplay:
        """Draw the scene with a scale bar and a north arrow.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None
            Where to draw; None makes a figure.
        title, subtitle : str
            Above the scene.

        Returns
        -------
        self
        """
        self.ax_, self.figure_ = axes_of(ax, map_aspect(self.grid))
        show_image(self.ax_, self.rgb, self.grid)
        add_scale_bar(self.ax_, self.grid)
        add_north_arrow(self.ax_, self.grid)
        add_title(self.ax_, title, subtitle)
        return self
