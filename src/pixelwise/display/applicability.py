"""ApplicabilityDisplay: how dissimilar training pixels are across folds, where a scene is beyond that, and the error there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pixelwise.assessment.applicability import AreaOfApplicability
from pixelwise.display.canvas import INK, MUTED, axes_of, new_axes
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
from pixelwise.raster.carriers import Raster

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ApplicabilityDisplay"]

_TRAINING, _SCENE, _OUTSIDE = "#4477aa", "#7a8291", "#d1495b"
_BINS = 60


class ApplicabilityDisplay:
    """Dissimilarity of training pixels and of a scene on a page: distributions, a map, and the error that goes with it.

    Parameters
    ----------
    train_di : ndarray of shape (n,)
        Dissimilarity index of the training pixels, from cross-validation.
    threshold : float
        Largest index inside the area of applicability.
    dissimilarity : Raster or None, default=None
        A map of the index, small enough to draw.
    profile : pandas.DataFrame or None, default=None
        What `AreaOfApplicability.error_profile` returns.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Where it was drawn; of several panels the first.
    axes_ : dict of str to matplotlib.axes.Axes
        The panels, by their kind.
    figure_ : matplotlib.figure.Figure
        The figure of the axes.

    See Also
    --------
    AreaOfApplicability : Finds the area.

    Examples
    --------
    >>> import pixelwise as pw
    >>> scene, polygons = pw.datasets.make_example()
    >>> X, y = pw.extract_pixels(scene, polygons, column="class")
    >>> aoa = pw.AreaOfApplicability(cv=pw.SpatialBlockGroupKFold(2, block_size=150)).fit(X)
    >>> display = pw.ApplicabilityDisplay.from_estimator(aoa, scene).plot(title="Where the model applies")
    >>> list(display.axes_), round(display.share_inside(), 2)
    (['histogram', 'map'], 0.98)
    """

    def __init__(
        self,
        train_di: np.ndarray,
        threshold: float,
        dissimilarity: Raster | None = None,
        profile: pd.DataFrame | None = None,
    ) -> None:
        self.train_di = np.asarray(train_di)[~np.isnan(train_di)]
        self.threshold = threshold
        self.dissimilarity = dissimilarity
        self.profile = profile

    @classmethod
    def from_estimator(
        cls, estimator: AreaOfApplicability, raster: Any = None, *, profile: pd.DataFrame | None = None, most: int = 500
    ) -> ApplicabilityDisplay:
        """Make a display of a fitted area of applicability.

        Parameters
        ----------
        estimator : AreaOfApplicability
            Fitted.
        raster : raster of any carrier, or None
            A scene; or what ``transform`` made of one, with the band DI, which saves the time of making it.
        profile : pandas.DataFrame or None, default=None
            What ``estimator.error_profile`` returns.
        most : int, default=500
            Pixels of the longer side of the map; of a larger raster every so many pixels are taken.

        Returns
        -------
        ApplicabilityDisplay
        """
        made: Raster | None = None
        if raster is not None:
            small = preview(raster, most)
            made = small if "DI" in small.names else estimator.transform(small)
            made = Raster(made.cube[made.names.index("DI")], made.grid, ("DI",), made.nodata[:1], made.mask)
        return cls(estimator.train_di_, estimator.threshold_, made, profile)

    def share_inside(self) -> float:
        """Return the share of the map's pixels with data that are inside; NaN without a map."""
        values = self._map_values()
        return float(np.mean(values <= self.threshold)) if len(values) else float("nan")

    def plot(
        self, ax: Axes | None = None, *, kind: str | None = None, title: str = "", subtitle: str = ""
    ) -> ApplicabilityDisplay:
        """Draw all panels that there is something for, or one of them.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None
            Where to draw a single panel; None makes a figure.
        kind : {"histogram", "map", "profile"} or None, default=None
            The panel. None draws all on a new figure, and the histogram on given axes.
        title, subtitle : str
            Above the panel, or above the first one.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If there is nothing to draw for the kind.
        """
        there = {"histogram": self._histogram}
        there |= {"map": self._map} if self.dissimilarity is not None else {}
        there |= {"profile": self._profile} if self.profile is not None else {}
        if kind is not None and kind not in there:
            raise ValueError(
                f"kind={kind!r} has nothing to show: choose one of {', '.join(there)}, or give raster= or profile="
            )
        kinds = list(there) if ax is None and kind is None else [kind or "histogram"]
        self.axes_ = self._panels(kinds) if ax is None else {kinds[0]: ax}
        for name, panel in self.axes_.items():
            there[name](panel)
        self.ax_ = self.axes_[kinds[0]]
        self.figure_ = self.ax_.figure
        if title or subtitle:
            add_title(self.ax_, title, subtitle)
        return self

    def _panels(self, kinds: list[str]) -> dict[str, Axes]:
        """Return axes under each other on a new figure."""
        if len(kinds) == 1 and kinds[0] == "map":
            assert self.dissimilarity is not None
            return {"map": axes_of(None, map_aspect(self.dissimilarity.grid))[0]}
        wide = 9.6
        heights = {"histogram": 2.6, "profile": 2.6, "map": 2.6}
        if self.dissimilarity is not None:
            heights["map"] = wide * min(max(map_aspect(self.dissimilarity.grid), 0.2), 1.2)
        gap = 1.15
        total = sum(heights[kind] + gap for kind in kinds)
        figure = new_axes(wide, total).figure
        figure.clear()
        panels, top = {}, total
        for kind in kinds:
            top -= heights[kind]
            panels[kind] = figure.add_axes((0.0, top / total, 1.0, heights[kind] / total))
            top -= gap
        return panels

    def _map_values(self) -> np.ndarray:
        if self.dissimilarity is None:
            return np.empty(0)
        return np.asarray(self.dissimilarity.cube[0][~missing_pixels(self.dissimilarity)[0]])

    def _histogram(self, ax: Axes) -> None:
        scene = self._map_values()
        far = max(float(self.train_di.max()), float(np.quantile(scene, 0.99)) if len(scene) else 0.0)
        # A few pixels far out would squeeze all others into one bar.
        far = max(min(far, 2.5 * self.threshold), 1e-12)
        edges = np.linspace(0, far, _BINS + 1)
        beyond = float(np.mean(self.train_di > far)), float(np.mean(scene > far)) if len(scene) else 0.0
        for values, color, name in ((self.train_di, _TRAINING, "training pixels (cross-validation)"), (scene, _SCENE, "scene")):
            if len(values):
                share = np.histogram(np.minimum(values, far), edges)[0] / len(values)
                kind: dict[str, Any] = {"fill": True, "alpha": 0.75} if name != "scene" else {"fill": False, "linewidth": 1.4}
                ax.stairs(100 * share, edges, color=color, label=name, **kind)
        self._mark_threshold(ax)
        ax.set_xlim(0, far)
        last = " (the last bar holds all beyond)" if max(beyond) > 0 else ""
        _label(ax, f"dissimilarity index{last}", "% of pixels")
        ax.legend(frameon=False, fontsize=9.5, labelcolor=INK, loc="upper right")

    def _map(self, ax: Axes) -> None:
        from matplotlib import colormaps

        assert self.dissimilarity is not None
        values, missing = self.dissimilarity.cube[0], missing_pixels(self.dissimilarity)[0]
        scale = self.threshold or 1.0
        rgba = colormaps["viridis"](np.clip(np.where(missing, 0.0, values) / scale, 0, 1), bytes=True)
        rgba[values > self.threshold] = (*bytes.fromhex(_OUTSIDE[1:]), 255)
        rgba[missing] = 0
        show_image(ax, rgba, self.dissimilarity.grid)
        add_scale_bar(ax, self.dissimilarity.grid)
        add_north_arrow(ax, self.dissimilarity.grid)
        add_color_bar(ax, 0, scale, "dissimilarity index, inside")
        share = self.share_inside()
        add_legend(ax, {f"outside the area of applicability: {1 - share:.1%} of pixels": _OUTSIDE})
        legend = ax.get_legend()
        assert legend is not None
        # The bar of colours stands on the left.
        legend.set_loc("upper right")
        legend.set_bbox_to_anchor((1, -0.025))

    def _profile(self, ax: Axes) -> None:
        assert self.profile is not None
        by, table = str(self.profile.columns[0]), self.profile
        ax.plot(table[by], table["error"], color=_TRAINING, linewidth=1.8, marker="o", markersize=2.5)
        if by == "DI":
            self._mark_threshold(ax)
        ax.set_ylim(bottom=0)
        name = {"DI": "dissimilarity index", "LPD": "local point density"}.get(by, by)
        window = f"mean of a window of {int(table['n'].iloc[0]):,} training pixels"
        _label(ax, f"{name}, {window}", f"{table['measure'].iloc[0]} ({table['estimate'].iloc[0]})")

    def _mark_threshold(self, ax: Axes) -> None:
        ax.axvline(self.threshold, color=_OUTSIDE, linewidth=1.4, label=f"threshold {self.threshold:.3g} (cross-validation)")


def _label(ax: Axes, x: str, y: str) -> None:
    ax.set_xlabel(x, fontsize=10, color=INK)
    ax.set_ylabel(y, fontsize=10, color=INK)
    ax.tick_params(labelsize=9, color=MUTED, labelcolor=INK)
    for side, spine in ax.spines.items():
        spine.set(edgecolor=MUTED, linewidth=0.6, visible=side in ("left", "bottom"))
