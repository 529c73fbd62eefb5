"""What makes a picture a map: its place on the page, scale bar, north arrow, legend and title."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pixelwise.display.canvas import INK, MUTED
from pixelwise.raster.grid import EARTH_RADIUS, Grid, metres_per_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "add_color_bar",
    "add_legend",
    "add_north_arrow",
    "add_scale_bar",
    "add_title",
    "map_aspect",
    "metres_per_x",
    "round_length",
    "show_image",
]


def metres_per_x(grid: Grid) -> float | None:
    """Return the metres of one unit of x in the middle of a grid; None where nothing tells."""
    if grid.crs is None:
        return None
    if grid.crs.is_geographic:
        _, bottom, _, top = grid.bounds
        return math.radians(EARTH_RADIUS) * max(math.cos(math.radians((bottom + top) / 2)), 1e-6)
    return metres_per_unit(grid.crs)


def map_aspect(grid: Grid) -> float:
    """Return height by width of a grid as it is drawn: true to scale in the middle on a geographic CRS."""
    left, bottom, right, top = grid.bounds
    return (top - bottom) / (right - left) * _stretch(grid)


def _stretch(grid: Grid) -> float:
    _, bottom, _, top = grid.bounds
    degrees = grid.crs is not None and grid.crs.is_geographic
    return 1 / max(math.cos(math.radians((bottom + top) / 2)), 0.05) if degrees else 1.0


def show_image(ax: Axes, rgba: np.ndarray, grid: Grid) -> None:
    """Draw pixels where they are, with nothing round them but a thin frame.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    rgba : ndarray of shape (y, x, 3) or (y, x, 4)
        Colours, uint8.
    grid : Grid
        Where the pixels are; a rotated one is drawn rotated, and one without georeference with row 0 on top.
    """
    from matplotlib.transforms import Affine2D

    left, bottom, right, top = grid.bounds
    at = grid.transform
    if grid.is_rectilinear:
        extent = at.c, at.c + at.a * grid.width, at.f + at.e * grid.height, at.f
        ax.imshow(rgba, extent=extent, origin="upper")
    else:
        matrix = np.array([[at.a, at.b, at.c], [at.d, at.e, at.f], [0, 0, 1]])
        place = Affine2D(matrix) + ax.transData
        ax.imshow(rgba, extent=(0, grid.width, grid.height, 0), origin="upper", transform=place)
    ax.set_xlim(left, right)
    ax.set_ylim((bottom, top) if grid.is_georeferenced else (top, bottom))
    ax.set_aspect(_stretch(grid))
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set(edgecolor=MUTED, linewidth=0.6)


def round_length(metres: float) -> float:
    """Return the largest of 1, 2 or 5 times a power of ten that is no more than a length."""
    power = 10.0 ** math.floor(math.log10(metres))
    return max(step * power for step in (1, 2, 5) if step * power <= metres * (1 + 1e-9))


def add_scale_bar(ax: Axes, grid: Grid) -> None:
    """Draw a scale bar of a round length in the lower left; nothing where the CRS is not known.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        With a map drawn by `show_image`.
    grid : Grid
        The map's grid.
    """
    per_x = metres_per_x(grid)
    if per_x is None:
        return
    from matplotlib.offsetbox import AuxTransformBox, TextArea, VPacker
    from matplotlib.patches import Rectangle

    left, bottom, right, top = grid.bounds
    metres = round_length((right - left) * per_x / 5)
    length, height = metres / per_x, (top - bottom) * 0.008
    bar = AuxTransformBox(ax.transData)
    for part, colour in enumerate((INK, "white")):
        bar.add_artist(Rectangle((part * length / 2, 0), length / 2, height, facecolor=colour, edgecolor=INK, linewidth=0.9))
    text = f"{metres / 1000:g} km" if metres >= 1000 else f"{metres:g} m"
    label = TextArea(text, textprops={"color": INK, "fontsize": 9})
    ax.add_artist(_boxed(VPacker(children=[label, bar], align="center", pad=0, sep=3), "lower left"))


def add_north_arrow(ax: Axes, grid: Grid) -> None:
    """Draw an arrow to grid north in the upper right; nothing where the CRS is not known.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        With a map drawn by `show_image`.
    grid : Grid
        The map's grid.
    """
    if grid.crs is None:
        return
    from matplotlib.offsetbox import DrawingArea
    from matplotlib.patches import Polygon
    from matplotlib.text import Text

    area = DrawingArea(16, 30)
    area.add_artist(Polygon([(8, 30), (2.5, 12), (8, 16), (13.5, 12)], facecolor=INK, edgecolor=INK, linewidth=0.6))
    area.add_artist(Text(8, -1, "N", ha="center", va="bottom", fontsize=9, fontweight="bold", color=INK))
    ax.add_artist(_boxed(area, "upper right"))


def _boxed(child: Any, corner: str) -> Any:
    from matplotlib.offsetbox import AnchoredOffsetbox

    box = AnchoredOffsetbox(corner, child=child, pad=0.45, borderpad=0.7)
    box.patch.set(facecolor="white", edgecolor="none", alpha=0.82)
    box.patch.set_boxstyle("round", pad=0, rounding_size=0.25)
    return box


def add_legend(ax: Axes, colors: Mapping[str, Any]) -> None:
    """Draw a legend of coloured squares under the axes, in as many columns as fit.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where the map is.
    colors : mapping of str to colour
        Entries, from label to colour.
    """
    from matplotlib.patches import Patch

    # matplotlib leaves out labels that begin with an underscore.
    handles = [
        Patch(facecolor=color, edgecolor=MUTED, linewidth=0.5, label=f"\u2009{name}" if name.startswith("_") else name)
        for name, color in colors.items()
    ]
    legend = ax.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0, -0.025), ncols=_columns(colors), frameon=False, borderaxespad=0,
        borderpad=0, handlelength=1.1, handleheight=1.1, columnspacing=1.6, handletextpad=0.5, fontsize=10, labelcolor=INK,
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)


def _columns(names: Mapping[str, Any]) -> int:
    widest = max((len(name) for name in names), default=1)
    return max(1, min(len(names), 125 // (widest + 5)))


def add_title(ax: Axes, title: str, subtitle: str = "") -> None:
    """Write a title, and a lesser line under it, above the axes on the left.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where the map is.
    title, subtitle : str
        Plain text; dollar signs are no mathematics.
    """
    options: dict[str, Any] = {
        "xycoords": "axes fraction",
        "textcoords": "offset points",
        "ha": "left",
        "va": "bottom",
        "parse_math": False,
    }
    ax.annotate(title, (0, 1), (0, 24 if subtitle else 8), fontsize=14, fontweight="bold", color=INK, **options)
    if subtitle:
        ax.annotate(subtitle, (0, 1), (0, 7), fontsize=9.5, color=MUTED, **options)


def add_color_bar(ax: Axes, low: float, high: float, label: str) -> None:
    """Draw a bar of colours under the axes.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where the map is.
    low, high : float
        Values at the ends.
    label : str
        What the colours show.
    """
    inset = ax.inset_axes((0, -0.075, 0.4, 0.035))
    inset.imshow(np.linspace(0, 1, 256)[None], extent=(low, high, 0, 1), aspect="auto", cmap="viridis")
    inset.set_yticks([])
    inset.tick_params(labelsize=9, color=MUTED, labelcolor=INK)
    inset.set_xlabel(label, fontsize=10, color=INK, parse_math=False)
    for spine in inset.spines.values():
        spine.set(edgecolor=MUTED, linewidth=0.5)
