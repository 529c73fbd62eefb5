"""Figures without global state, and matplotlib only when something is drawn."""

from __future__ import annotations

import importlib.util
import io
import warnings
from typing import TYPE_CHECKING, Any

from pixelwise.errors import DependencyMissingError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["INK", "MUTED", "PAPER", "axes_of", "check_matplotlib", "new_axes", "png_bytes"]

#: Colours of text, of lesser text, and of the ground, on figures and pages alike.
INK, MUTED, PAPER = "#1c2430", "#5b6675", "#ffffff"
_DPI = 160


def check_matplotlib() -> None:
    """Refuse to go on without matplotlib: for work that ends in a figure, before it begins.

    Raises
    ------
    DependencyMissingError
        If matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise DependencyMissingError("figures need matplotlib: install it with `python -m pip install 'pixelwise[plot]'`")


def new_axes(width: float, height: float) -> Axes:
    """Return axes that fill a new figure, drawn by Agg; no window is opened and pyplot is not touched.

    Parameters
    ----------
    width, height : float
        Inches.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DependencyMissingError
        If matplotlib is not installed.
    """
    check_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=_DPI, facecolor=PAPER)
    FigureCanvasAgg(figure)
    return figure.add_axes((0, 0, 1, 1))


def axes_of(ax: Any, aspect: float, width: float = 9.6) -> tuple[Axes, Figure]:
    """Return the given axes and their figure, or new ones.

    Parameters
    ----------
    ax : matplotlib.axes.Axes or None
        Where to draw; None makes a figure.
    aspect : float
        Height of the drawing by its width.
    width : float, default=9.6
        Inches of a new figure.

    Returns
    -------
    ax : matplotlib.axes.Axes
    figure : matplotlib.figure.Figure
    """
    ax = new_axes(width, max(1.5, min(width * aspect, 2 * width))) if ax is None else ax
    return ax, ax.figure


def png_bytes(figure: Figure, dpi: int = _DPI, margin: float = 0.15) -> bytes:
    """Return a figure as a PNG, cut to what is drawn.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What to save.
    dpi : int
        Pixels of an inch.
    margin : float, default=0.15
        Inches left round what is drawn.

    Returns
    -------
    bytes
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A class may be named in a script that matplotlib's own font lacks; the map is right all the same.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight", pad_inches=margin, metadata={"Software": None})
    return buffer.getvalue()
