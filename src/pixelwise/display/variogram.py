"""VariogramDisplay: how far errors, or values, are alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.model_selection import cross_val_predict

from pixelwise.display.canvas import INK, axes_of
from pixelwise.errors import LabelError
from pixelwise.model_selection.block_size import BlockSizeSuggestion
from pixelwise.model_selection.places import coordinates_of
from pixelwise.model_selection.variogram import EmpiricalVariogram, empirical_variogram, numbers_or_classes
from pixelwise.model_selection.variogram_models import VariogramModel, draw_variogram, fit_variogram

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["VariogramDisplay"]


class VariogramDisplay:
    """An empirical variogram, the model fitted to it, and its practical range.

    Parameters
    ----------
    variogram : EmpiricalVariogram
        Drawn as dots, sized by pairs.
    model : VariogramModel
        Drawn as a line.
    block_size : float or None, default=None
        Metres, marked if they are given.
    title : str, default="Variogram"
        What it is a variogram of.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Where it was drawn.
    figure_ : matplotlib.figure.Figure
        The figure of the axes.

    See Also
    --------
    suggest_block_size : A size of blocks from a variogram.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> from pixelwise.display.variogram import VariogramDisplay
    >>> rng = np.random.default_rng(0)
    >>> places = rng.uniform(0, 1000, (500, 2))
    >>> y = rng.normal(size=(8, 8))[*(places // 125).astype(int).T]
    >>> display = VariogramDisplay.from_predictions(y, np.zeros(500), groups=places).plot()
    >>> display.model.name, display.ax_.get_xlabel()
    ('stein', 'distance (m)')
    """

    def __init__(
        self, variogram: EmpiricalVariogram, model: VariogramModel, *, block_size: float | None = None, title: str = "Variogram"
    ) -> None:
        self.variogram = variogram
        self.model = model
        self.block_size = block_size
        self.title = title

    @classmethod
    def from_suggestion(cls, suggestion: BlockSizeSuggestion) -> VariogramDisplay:
        """Make a display of what a block size was found from.

        Parameters
        ----------
        suggestion : BlockSizeSuggestion
            From `suggest_block_size`.

        Returns
        -------
        VariogramDisplay
        """
        title = "Variogram, and block size for cross-validation"
        return cls(suggestion.variogram, suggestion.model, block_size=suggestion.block_size, title=title)

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        X: Any = None,
        *,
        groups: Any = None,
        crs: Any = None,
        max_points: int = 5000,
        random_state: Any = None,
    ) -> VariogramDisplay:
        """Make a display of the errors of predictions: the difference of numbers, right or wrong for classes.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n,)
            What is, and what was predicted for samples that were held out.
        X : PixelTable, GeoDataFrame, DataFrame with a (y, x) index, or None, default=None
            The samples, that say where they are.
        groups : array-like of shape (n, 2) or None, default=None
            Coordinates; None takes them from X.
        crs : object or None, default=None
            CRS of coordinates that do not bring their own.
        max_points : int, default=5000
            Most samples whose pairs are counted.
        random_state : int, RandomState or None, default=None
            Seed of thinning to those.

        Returns
        -------
        VariogramDisplay

        Raises
        ------
        LabelError
            If the two are not equally long, or there is no error at all.
        """
        true, predicted = np.asarray(y_true), np.asarray(y_pred)
        if true.shape != predicted.shape:
            raise LabelError(f"y_true has shape {true.shape}, and y_pred {predicted.shape}: give a prediction for each sample")
        classes = numbers_or_classes(true)[1] > 0
        errors = (true != predicted).astype(float) if classes else true - predicted
        xy, known = coordinates_of(X, groups, crs)
        variogram = empirical_variogram(xy, errors, crs=known, max_points=max_points, random_state=random_state)
        return cls(variogram, fit_variogram(variogram), title="Variogram of errors in cross-validation")

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any, *, cv: Any = None, groups: Any = None, crs: Any = None, random_state: Any = None
    ) -> VariogramDisplay:
        """Make a display of the errors of a model on samples that cross-validation held out.

        Parameters
        ----------
        estimator : estimator
            A classifier or regressor; it is cloned for each fold.
        X : PixelTable, GeoDataFrame, DataFrame with a (y, x) index, or array
            The samples.
        y : array-like of shape (n,)
            Labels or targets.
        cv : int or cross-validation splitter, default=None
            Folds that test each sample once. Random folds make errors smaller than they are and less alike: hold out
            polygons or blocks.
        groups : array-like or None, default=None
            For the splitter; coordinates, if of shape (n, 2).
        crs : object or None, default=None
            CRS of coordinates that do not bring their own.
        random_state : int, RandomState or None, default=None
            Seed of thinning many samples.

        Returns
        -------
        VariogramDisplay
        """
        predicted = cross_val_predict(estimator, X, y, cv=cv, groups=groups)
        places = groups if np.ndim(groups) == 2 else None
        return cls.from_predictions(y, predicted, X, groups=places, crs=crs, random_state=random_state)

    def plot(self, ax: Axes | None = None) -> VariogramDisplay:
        """Draw it.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None
            Where to draw; None makes a figure.

        Returns
        -------
        self
        """
        self.ax_, self.figure_ = axes_of(ax, 0.6, width=7.2)
        if ax is None:
            self.ax_.set_position((0.11, 0.13, 0.86, 0.77))
        draw_variogram(self.ax_, self.variogram, self.model, self.block_size)
        self.ax_.set_title(self.title, color=INK, loc="left", fontsize="medium", fontweight="bold")
        return self
