"""Rasters through regional models: each pixel to the model of its region, and one map of all of them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import rasterio
from sklearn.base import is_classifier, is_regressor

from pixelwise.errors import GridError, LabelError
from pixelwise.estimators.mapping import RasterMapping
from pixelwise.estimators.supervised import PixelwiseClassifier, PixelwiseRegressor
from pixelwise.raster.carriers import Raster
from pixelwise.raster.grid import Grid
from pixelwise.registry import halo_of
from pixelwise.table.missing import as_policy

__all__ = ["Head", "has_data", "mapper_of", "predict_pixels", "take_apart", "union_of"]


def take_apart(model: Any) -> tuple[list[Any], RasterMapping]:
    """Return the operators in front of a model, and the Pixelwise estimator that predicts.

    Parameters
    ----------
    model : estimator
        A Pixelwise estimator, or a Pipeline, search or both that ends in one.

    Returns
    -------
    steps : list
    last : RasterMapping

    Raises
    ------
    TypeError
        If it ends in something else.
    """
    steps: list[Any] = []
    while not isinstance(model, RasterMapping):
        if hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        elif getattr(model, "steps", None):
            steps += [step for _, step in model.steps[:-1] if step is not None and not isinstance(step, str)]
            model = model.steps[-1][1]
        elif hasattr(model, "estimator"):
            model = model.estimator
        else:
            raise TypeError(
                f"{type(model).__name__} maps no rasters: give a PixelwiseClassifier or PixelwiseRegressor, or a Pipeline or "
                "search that ends in one"
            )
    return steps, model


def mapper_of(estimator: Any) -> Any:
    """Return an estimator as one that maps rasters: itself, or a plain one of scikit-learn's in the wrapper of its kind."""
    if not hasattr(estimator, "predict"):
        raise TypeError(
            f"estimator={estimator!r} predicts nothing: give a classifier or a regressor, such as PixelwiseClassifier(...)"
        )
    try:
        take_apart(estimator)
    except TypeError:
        if is_classifier(estimator):
            return PixelwiseClassifier(estimator)
        if is_regressor(estimator):
            return PixelwiseRegressor(estimator)
        raise
    return estimator


class Head:
    """How the one map of all models is written: with the union of their classes.

    Parameters
    ----------
    last : PixelwiseClassifier or PixelwiseRegressor
        Of any of the models.
    classes : ndarray or None
        Union of their classes; None for regressors.
    """

    def __init__(self, last: RasterMapping, classes: np.ndarray | None) -> None:
        self.classes = classes
        self._mapping: Any = copy.copy(last)
        if classes is not None:
            self._mapping.__dict__.pop("encoder_", None)
            self._mapping.__dict__["classes_"] = classes
        self.policy = as_policy(last.nan)

    def pair(self, method: str) -> Any:
        """Return dtype and fill of a map."""
        return self._mapping._pair(method, self.policy)

    def describe(self, method: str, n_outputs: int | None, dtype: Any) -> Any:
        """Return attributes and band names of a map."""
        return self._mapping._describe(method, n_outputs, dtype)

    @property
    def codes(self) -> np.ndarray:
        """Code of each class in a map."""
        return np.asarray(self._mapping._codes())

    def aligned(self, made: Raster, last: Any, method: str) -> np.ndarray:
        """Return what one model made with the codes, or the bands, of the union of classes.

        Parameters
        ----------
        made : Raster
            What it made.
        last : PixelwiseClassifier or PixelwiseRegressor
            That made it.
        method : str
            What it did.

        Returns
        -------
        ndarray
        """
        values, fill = np.asarray(made.values), made.nodata[0]
        own = getattr(last, "classes_", None)
        if self.classes is None or own is None:
            return values
        at = np.searchsorted(self.classes, own)
        if method == "predict":
            pair = self.pair(method)
            valid = ~np.isnan(values) if fill is None or np.isnan(fill) else values != fill
            codes = np.full(values.shape, pair.fill_value, pair.dtype)
            codes[valid] = self.codes[at][np.searchsorted(np.asarray(last._codes()), values[valid])]
            return codes
        missing = -np.inf if method == "predict_log_proba" else 0.0
        wide = np.full((len(self.classes), *values.shape[1:]), missing, values.dtype)
        wide[at] = values
        wide[:, np.isnan(values[0])] = np.nan
        return wide


def predict_pixels(
    model_at: Callable[[int], Any], serving: np.ndarray | None, raster: Raster, method: str, head: Head
) -> Raster:
    """Predict each pixel of a raster with its model.

    Parameters
    ----------
    model_at : callable
        From the number of a model to the model.
    serving : ndarray of int, shape (y, x), or None
        Number of the model of each pixel; -1 for pixels that stay empty. None leaves all empty.
    raster : Raster
        With values in memory.
    method : str
        What to call.
    head : Head
        How the map is written.

    Returns
    -------
    Raster
    """
    pair, out = head.pair(method), None
    for number in [] if serving is None else np.unique(serving[serving >= 0]):
        inside = serving == number
        if inside.all():
            made, last = _whole(model_at(int(number)), raster, method)
            out = head.aligned(made, last, method)
            break
        made, last = _column(model_at(int(number)), raster, inside, method)
        values = head.aligned(made, last, method)
        if out is None:
            out = np.full((*values.shape[:-2], *raster.grid.shape), pair.fill_value, pair.dtype)
        out[..., inside] = values[..., 0, :]
    if out is None:
        ones, place = np.ones((*raster.cube.shape[:-2], 1, 1), np.float32), raster.grid.window(0, 0, 1, 1)
        made, last = _whole(model_at(0), Raster(ones, place, raster.bands, times=raster.times), method)
        values = head.aligned(made, last, method)
        out = np.full((*values.shape[:-2], *raster.grid.shape), pair.fill_value, pair.dtype)
    attrs, bands = head.describe(method, None if made.values.ndim < made.cube.ndim else len(out), out.dtype)
    return Raster(out, raster.grid, bands, (pair.fill_value,), times=made.times, attrs=dict(attrs), name=method)


def _whole(model: Any, raster: Raster, method: str) -> tuple[Raster, Any]:
    """Return what a model makes of a raster, and the estimator that made it."""
    steps, last = take_apart(model)
    for step in steps:
        raster = step.transform(raster)
    made: Raster = getattr(last, method)(raster)
    return made, last


def _column(model: Any, raster: Raster, inside: np.ndarray, method: str) -> tuple[Raster, Any]:
    """Return what a model makes of some pixels, as a raster of one row, and the estimator that made it."""
    steps, last = take_apart(model)
    if steps:
        # Operators look round pixels, so they get the rectangle round the region, and their halo.
        rows, cols = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        halo = sum(map(halo_of, steps))
        top, left = max(0, rows[0] - halo), max(0, cols[0] - halo)
        bottom, right = rows[-1] + 1 + halo, cols[-1] + 1 + halo
        inside = inside[top:bottom, left:right]
        raster = _cut(raster, int(top), int(left), inside.shape)
        for step in steps:
            raster = step.transform(raster)
        if raster.grid.shape != inside.shape:
            raise GridError(f"a step made {raster.grid.shape} pixels of {inside.shape}: leave out what resamples the raster")
    values = raster.cube[..., inside][..., None, :]
    mask = None if raster.mask is None else raster.mask[..., inside][..., None, :]
    # A row of scattered pixels lies nowhere.
    nowhere = Grid(None, rasterio.Affine.identity(), 1, values.shape[-1])
    made: Raster = getattr(last, method)(Raster(values, nowhere, raster.bands, raster.nodata, mask, raster.times, raster.attrs))
    return made, last


def _cut(raster: Raster, top: int, left: int, shape: tuple[int, ...]) -> Raster:
    rows, cols = slice(top, top + shape[0]), slice(left, left + shape[1])
    mask = None if raster.mask is None else raster.mask[..., rows, cols]
    return raster.with_values(raster.values[..., rows, cols], grid=raster.grid.window(top, left, *shape), mask=mask)


def has_data(raster: Raster, where: np.ndarray | None = None) -> bool:
    """Whether any pixel has data in any band.

    Parameters
    ----------
    raster : Raster
        With values in memory.
    where : ndarray of bool, shape (y, x), or None
        Pixels to look at; None looks at all.

    Returns
    -------
    bool
    """
    mask = None if raster.mask is None else np.broadcast_to(raster.mask, raster.cube.shape)
    for number, nodata in enumerate(raster.nodata):
        band = raster.cube[number]
        valid = ~np.isnan(band) if band.dtype.kind == "f" else np.ones(band.shape, bool)
        if nodata is not None:
            valid &= band != nodata
        if mask is not None:
            valid &= ~mask[number]
        if (valid if where is None else valid & where).any():
            return True
    return False


def union_of(classes: list[Any]) -> np.ndarray:
    """Return the union of the classes of several models.

    Parameters
    ----------
    classes : list of array-like
        The classes of each.

    Returns
    -------
    ndarray

    Raises
    ------
    LabelError
        If the models have several targets.
    """
    if any(isinstance(part, list) and part and isinstance(part[0], np.ndarray) for part in classes):
        raise LabelError("regional classifiers of several targets at once are not made: fit one a target")
    return np.unique(np.concatenate([np.asarray(part) for part in classes]))
