"""AccuracyDisplay: user's and producer's accuracies with their intervals, and areas beside what is mapped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pixelwise.assessment.accuracy import estimate_accuracy
from pixelwise.assessment.estimates import AccuracyEstimate, ClassEstimates, spread_text
from pixelwise.display.canvas import INK, MUTED, axes_of
from pixelwise.display.furniture import add_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["AccuracyDisplay"]

#: Two colours of Paul Tol's bright scheme that stay apart in grey and for colour-blind people, and marks that do too.
_USERS, _PRODUCERS = ("#4477aa", "o"), ("#ee6677", "D")
_GRID = "#e3e7ec"


class AccuracyDisplay:
    """Design-based accuracy of a map: a row a class, with user's and producer's accuracy on the left and areas on the right.

    Parameters
    ----------
    accuracy : AccuracyEstimate
        What `estimate_accuracy` returns.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Where it was drawn.
    figure_ : matplotlib.figure.Figure
        The figure of the axes.
    panels_ : tuple of matplotlib.axes.Axes
        The two parts within: accuracies and areas.

    See Also
    --------
    estimate_accuracy : Makes the estimates.

    Examples
    --------
    >>> import pixelwise as pw
    >>> accuracy = pw.estimate_accuracy(matrix=[[45, 5], [2, 98]], areas=[2_000, 8_000], classes=["forest", "water"])
    >>> display = pw.AccuracyDisplay.from_accuracy(accuracy).plot()
    >>> [label.get_text() for label in display.panels_[0].get_yticklabels()]
    ['forest', 'water']
    """

    def __init__(self, accuracy: AccuracyEstimate) -> None:
        self.accuracy = accuracy

    @classmethod
    def from_accuracy(cls, accuracy: AccuracyEstimate) -> AccuracyDisplay:
        """Make a display of estimates.

        Parameters
        ----------
        accuracy : AccuracyEstimate
            What `estimate_accuracy` returns.

        Returns
        -------
        AccuracyDisplay
        """
        return cls(accuracy)

    @classmethod
    def from_predictions(cls, mapped: Any = None, reference: Any = None, **options: Any) -> AccuracyDisplay:
        """Estimate, and make a display of it.

        Parameters
        ----------
        mapped, reference : object
            As `estimate_accuracy` takes them: labels, or a map and its reference points.
        **options : dict
            All else that it takes, such as ``areas``, ``strata`` or ``column``.

        Returns
        -------
        AccuracyDisplay
        """
        return cls(estimate_accuracy(mapped, reference, **options))

    def plot(
        self, ax: Axes | None = None, *, level: float = 0.95, title: str = "Accuracy of the map", subtitle: str | None = None
    ) -> AccuracyDisplay:
        """Draw the estimates, with confidence intervals as bars.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None
            Where to draw; None makes a figure.
        level : float, default=0.95
            Confidence of the intervals.
        title : str
            Above the drawing.
        subtitle : str or None
            Under the title; None says how the estimates were made, and the overall accuracy.

        Returns
        -------
        self
        """
        n = len(self.accuracy.users)
        self.ax_, self.figure_ = axes_of(ax, (1.1 + 0.62 * n) / 9.6)
        self.ax_.set_axis_off()
        left, right = self.ax_.inset_axes((0, 0, 0.52, 1)), self.ax_.inset_axes((0.6, 0, 0.4, 1))
        self.panels_ = (left, right)
        self._draw_accuracies(left, level)
        self._draw_areas(right, level)
        add_title(self.ax_, title, self._subtitle(level) if subtitle is None else subtitle)
        return self

    def _subtitle(self, level: float) -> str:
        told, overall = self.accuracy, self.accuracy.overall
        half = overall.interval(level)[1] - overall.estimate
        return (
            f"design-based ({told.method}), {told.n:,} samples, bars are {level:.0%} intervals; "
            f"overall accuracy {spread_text(overall.estimate, half)}"
        )

    def _draw_accuracies(self, ax: Axes, level: float) -> None:
        rows = np.arange(len(self.accuracy.users))
        series = (
            (self.accuracy.users, "user's accuracy", _USERS, -0.13),
            (self.accuracy.producers, "producer's accuracy", _PRODUCERS, 0.13),
        )
        for estimates, label, (color, marker), shift in series:
            _draw_intervals(ax, estimates, rows + shift, level, color=color, marker=marker, label=label)
        # Normal intervals may reach beyond what an accuracy can be: they are cut there.
        ax.set_xlim(-0.02, 1.02)
        for edge in (0.0, 1.0):
            ax.axvline(edge, color=MUTED, linewidth=0.6, zorder=1)
        ax.set_yticks(rows, [str(label) for label in self.accuracy.users], fontsize=10, parse_math=False)
        ax.set_xlabel("accuracy (design-based)", fontsize=9.5, color=INK)
        _dress(ax, len(rows))
        _legend(ax)

    def _draw_areas(self, ax: Axes, level: float) -> None:
        rows = np.arange(len(self.accuracy.areas))
        ax.barh(rows, self.accuracy.map_areas, height=0.52, color="#cfd6df", label="mapped", zorder=1)
        _draw_intervals(ax, self.accuracy.areas, rows, level, color=INK, marker="s", label="estimated")
        unit = {"as given": "", "share": " as a share of the map", "ha": " in hectares", "pixels": " in pixels"}
        ax.set_xlabel(f"area{unit.get(self.accuracy.unit, '')} (design-based)", fontsize=9.5, color=INK)
        half = self.accuracy.areas.interval(level)[1] - self.accuracy.areas.estimate
        ends = np.maximum(self.accuracy.map_areas, self.accuracy.areas.estimate + np.nan_to_num(half))
        large = self.accuracy.areas.estimate.sum() >= 1000
        for row, end, estimate, width in zip(rows, ends, self.accuracy.areas.estimate, half, strict=True):
            text = spread_text(estimate, width, large)
            ax.annotate(text, (end, row), (5, 0), textcoords="offset points", va="center", fontsize=8.5, color=MUTED)
        # Room for the numbers.
        ax.set_xlim(0, 1.45 * ends.max())
        ax.locator_params(axis="x", nbins=4)
        if self.accuracy.unit != "share":
            ax.xaxis.set_major_formatter("{x:,.0f}" if ax.get_xlim()[1] >= 10 else "{x:g}")
        ax.set_yticks(rows, [""] * len(rows))
        _dress(ax, len(rows))
        _legend(ax)


def _draw_intervals(ax: Axes, estimates: ClassEstimates, rows: np.ndarray, level: float, **style: Any) -> None:
    half = estimates.interval(level)[1] - estimates.estimate
    # matplotlib draws no point whose bar is NaN: without a variance there is a point without a bar.
    ax.errorbar(
        estimates.estimate, rows, xerr=np.nan_to_num(half), fmt=style.pop("marker"), markersize=5.5, elinewidth=1.6, capsize=3,
        zorder=3, **style,
    )  # fmt: skip


def _dress(ax: Axes, n: int) -> None:
    ax.set_ylim(n - 0.5, -0.5)
    ax.grid(axis="x", color=_GRID, linewidth=0.8, zorder=0)
    ax.set_axisbelow(True)
    ax.tick_params(color=MUTED, labelcolor=INK, labelsize=9.5, length=0)
    for name, spine in ax.spines.items():
        spine.set(visible=name == "bottom", edgecolor=MUTED, linewidth=0.6)


def _legend(ax: Axes) -> None:
    ax.legend(
        loc="upper left", bbox_to_anchor=(0, 0), ncols=2, frameon=False, fontsize=9.5, labelcolor=INK, borderaxespad=3.6,
        borderpad=0, handletextpad=0.4, columnspacing=1.4,
    )  # fmt: skip
