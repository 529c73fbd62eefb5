"""DistanceDisplay: whether cross-validation is as far from its training samples as the map is."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from pixelwise.display.canvas import INK, MUTED, axes_of
from pixelwise.errors import FoldError, FoldWarning
from pixelwise.model_selection.distances import FoldDistances
from pixelwise.model_selection.fold_distances import Places, places_of
from pixelwise.model_selection.rows import checked_folds

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["DistanceDisplay"]

#: Paul Tol's bright scheme, told apart by eyes of all kinds: sample to sample, map to sample, test to training.
_CURVES = {
    "gj": ("sample to nearest sample", "#999999", "--"),
    "gij": ("map to nearest sample", "#4477aa", "-"),
    "gj_star": ("test to nearest training sample", "#ee6677", "-"),
}
_KINDS = ("ecdf", "density")
#: Points of a curve, and bars of a density.
_STEPS, _BARS = 1000, 40


class DistanceDisplay:
    """The distances of a cross-validation beside those of the map: sample to sample, map to sample, test to training.

    Cross-validation is as hard as the map where test samples lie as far from training samples as the map's pixels lie from
    all samples: the two curves then run together, and the area between them, W, is small [1]_. A test curve on the left of
    the map's is too easy, one on the right too hard.

    Parameters
    ----------
    distances : FoldDistances
        The three sets of distances in metres; ``gij`` is empty where no map is known.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Where it was drawn.
    figure_ : matplotlib.figure.Figure
        The figure of the axes.

    See Also
    --------
    fold_report : The same fold by fold, as numbers.
    KNNDMSplit : Makes folds with a small W.

    References
    ----------
    .. [1] Milà, C. et al. (2022): Nearest neighbour distance matching leave-one-out cross-validation for map validation.
       Methods in Ecology and Evolution 13, 1304-1316.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from pixelwise.display.distances import DistanceDisplay
    >>> scene, polygons = pw.datasets.make_example()
    >>> X, y = pw.extract_pixels(scene, polygons, column="class")
    >>> cv = pw.SpatialBlockGroupKFold(3, block_size=150)
    >>> display = DistanceDisplay.from_splitter(cv, X, y, prediction_domain=scene, random_state=0).plot()
    >>> round(display.distances.W), display.ax_.get_xlabel()
    (26, 'distance (m)')
    """

    def __init__(self, distances: FoldDistances) -> None:
        self.distances = distances

    @classmethod
    def from_splitter(
        cls, cv: Any, X: Any, y: Any = None, *, groups: Any = None, prediction_domain: Any = None, random_state: Any = None
    ) -> DistanceDisplay:
        """Make a display of the folds of any splitter.

        Parameters
        ----------
        cv : cross-validation splitter, int, or iterable of (train, test)
            Any of scikit-learn's or of this package.
        X : PixelTable, GeoDataFrame, DataFrame with a (y, x) index, or array
            Samples that say where they are, unless `groups` does.
        y : array-like of shape (n,) or None, default=None
            Labels, where the splitter wants them.
        groups : array-like or None, default=None
            What the splitter takes.
        prediction_domain : array-like of shape (m, 2), GeoDataFrame, PixelTable, raster, or None, default=None
            Where the map will be predicted; None takes that of the splitter, if it has one.
        random_state : int, RandomState or None, default=None
            Seed of the draw from the domain; None takes that of the splitter.

        Returns
        -------
        DistanceDisplay

        Raises
        ------
        FoldError
            If nothing says where the samples are, or the folds cannot be made.
        """
        places = _told(places_of(cv, X, groups), X)
        with warnings.catch_warnings():
            # Distances are shown whatever the classes of a fold are.
            warnings.simplefilter("ignore", FoldWarning)
            labels = None if y is None else np.asarray(y)
            folds = [fold for fold in checked_folds(cv, X, labels, groups, classes=_are_classes(labels)) if len(fold[1])]
        return cls(places.distances(folds, places.to_domain(cv, prediction_domain, random_state)))

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: Any = None, **options: Any) -> DistanceDisplay:
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
        DistanceDisplay
        """
        cv = getattr(estimator, "cv", None)
        if cv is None:
            raise FoldError(f"{type(estimator).__name__} has no cv: pass a search, or its splitter to from_splitter")
        return cls.from_splitter(cv, X, y, **options)

    @classmethod
    def from_predictions(
        cls, fold: Any, X: Any, *, groups: Any = None, prediction_domain: Any = None, random_state: Any = None
    ) -> DistanceDisplay:
        """Make a display of held-out predictions, of which only their folds are known, such as those of `cross_val_map`.

        Parameters
        ----------
        fold : array-like of int, shape (n,)
            Fold that tested each sample; the others are its training samples, a buffer not being known here.
        X, groups, prediction_domain, random_state : object
            As for `from_splitter`.

        Returns
        -------
        DistanceDisplay
        """
        places, fold = _told(places_of(None, X, groups), X), np.asarray(fold)
        if fold.shape != (len(places.points),):
            raise FoldError(f"fold has shape {fold.shape}, and X has {len(places.points)} rows: give one fold for each row")
        folds = [(np.flatnonzero(fold != number), np.flatnonzero(fold == number)) for number in np.unique(fold[fold >= 0])]
        if not folds or not len(folds[0][0]):
            raise FoldError("fold names a single fold, so that no other is near: give the folds of two or more")
        return cls(places.distances(folds, places.to_domain(None, prediction_domain, random_state)))

    def plot(self, ax: Axes | None = None, *, kind: str = "ecdf", log: bool = False, title: str = "") -> DistanceDisplay:
        """Draw the distributions.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None
            Where to draw; None makes a figure.
        kind : {"ecdf", "density"}, default="ecdf"
            Shares of samples up to each distance, with the area W shaded, or shares in classes of distance.
        log : bool, default=False
            Whether distances stand on a logarithmic axis, which shows small ones; areas on it are not W.
        title : str
            Above the curves.

        Returns
        -------
        self
        """
        if kind not in _KINDS:
            raise FoldError(f"kind={kind!r} is not known: choose 'ecdf' or 'density'")
        sets = {name: values for name in _CURVES if len(values := np.asarray(getattr(self.distances, name)))}
        self.ax_, self.figure_ = axes_of(ax, 0.6, width=7.2)
        if ax is None:
            self.ax_.set_position((0.11, 0.13, 0.86, 0.77))
        low, high = _span(np.concatenate(list(sets.values())), log)
        log = low > 0
        if log:
            self.ax_.set_xscale("log")
            self.ax_.xaxis.set_major_formatter(lambda value, _: f"{value:,.6g}")
        if kind == "ecdf":
            self._draw_shares(sets, low)
        else:
            edges = np.geomspace(low, high, _BARS + 1) if log else np.linspace(low, high, _BARS + 1)
            for name, values in sets.items():
                label, color, _ = _CURVES[name]
                heights = np.histogram(np.clip(values, low, high), edges)[0] / len(values)
                self.ax_.stairs(heights, edges, color=color, linewidth=1.8, label=_with_median(label, values))
        self._furnish(kind, low, high, title)
        return self

    def _draw_shares(self, sets: dict[str, np.ndarray], low: float) -> None:
        share = np.linspace(0, 1, _STEPS + 1)
        if "gij" in sets and low == 0:
            curves = [np.quantile(sets[name], share, method="inverted_cdf") for name in ("gij", "gj_star")]
            label = f"W, the area between test and map: {self.distances.W:,.0f} m"
            self.ax_.fill_betweenx(share, *curves, color=_CURVES["gj_star"][1], alpha=0.15, linewidth=0, label=label)
        for name, values in sets.items():
            label, color, style = _CURVES[name]
            x = np.maximum(np.quantile(values, share, method="inverted_cdf"), low)
            self.ax_.plot(x, share, color=color, linestyle=style, linewidth=1.8, label=_with_median(label, values))

    def _furnish(self, kind: str, low: float, high: float, title: str) -> None:
        ax = self.ax_
        ax.set_xlim(low, high)
        ax.set_ylim(0, 1 if kind == "ecdf" else None)
        ax.set_xlabel("distance (m)", color=INK)
        ax.set_ylabel("share of samples, or of the map" + (", up to it" if kind == "ecdf" else ""), color=INK)
        ax.tick_params(colors=MUTED)
        ax.spines[["top", "right"]].set_visible(False)
        ax.spines[["left", "bottom"]].set_color(MUTED)
        ax.legend(frameon=False, labelcolor=INK, loc="lower right" if kind == "ecdf" and low == 0 else "best", fontsize="small")
        text = title or "Distances in cross-validation"
        ax.set_title(text, color=INK, loc="left", fontsize="medium", fontweight="bold")


def _told(places: Places | None, X: Any) -> Places:
    if places is None:
        raise FoldError(
            f"X of type {type(X).__name__} does not say where its rows are: pass a PixelTable from extract_pixels, "
            "or groups= with coordinates of shape (n, 2)"
        )
    return places


def _are_classes(y: np.ndarray | None) -> bool:
    return y is not None and y.dtype.kind != "f"


def _span(values: np.ndarray, log: bool) -> tuple[float, float]:
    """Return the ends of the axis; a logarithmic one begins above 0."""
    high = float(values.max()) or 1.0
    positive = values[values > 0]
    return (float(positive.min()) * 0.9 if log and len(positive) else 0.0), high * 1.02


def _with_median(label: str, values: np.ndarray) -> str:
    return f"{label}: median {np.median(values):,.0f} m"
