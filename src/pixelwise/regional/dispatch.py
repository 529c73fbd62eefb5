"""Which model predicts which row or pixel, and the results of all put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pixelwise.errors import DispatchError, MissingDataWarning
from pixelwise.raster.carriers import Raster, rewrap, unwrap
from pixelwise.raster.lazy import map_chunks
from pixelwise.raster.metadata import metadata_of
from pixelwise.regional.mapping import Head, has_data, mapper_of, predict_pixels, take_apart, union_of
from pixelwise.regional.places import Places, snapped
from pixelwise.regional.regions import NamedRegions, Regions, regions_of
from pixelwise.regional.training import take
from pixelwise.registry import ModelRegistry
from pixelwise.warned import warn

__all__ = ["NEAREST", "NONE", "Dispatch", "dispatch_of_registry", "predict_raster", "predict_table"]

#: In place of the number of a model: there is none; it is that of the nearest region.
NONE, NEAREST = -1, -2


@dataclass(frozen=True)
class Dispatch:
    """Models, and whom each serves."""

    #: None where there is one region of all.
    regions: Regions | None
    model_at: Callable[[int], Any]
    #: Number of the model of each region; `NONE` where it has none.
    serving: np.ndarray
    #: Number of the model of pixels outside all regions, `NONE` or `NEAREST`.
    outside: int
    head: Head
    #: Why a region has no model.
    reason: Callable[[int], str]

    def numbers(self, codes: np.ndarray, places: Callable[[np.ndarray], Places]) -> np.ndarray:
        """Return the number of the model of each row or pixel; `NONE` where there is none.

        Parameters
        ----------
        codes : ndarray of int
            Regions; -1 outside.
        places : callable
            From positions in ``codes`` to where these are.

        Returns
        -------
        ndarray of int, shape of ``codes``
        """
        # A code of -1 takes the last.
        found = np.append(self.serving, self.outside).astype(np.int32)[codes]
        lost = np.flatnonzero(found == NEAREST)
        if len(lost):
            assert self.regions is not None
            nearest = self.regions.nearest(places(lost), np.flatnonzero(self.serving >= 0))
            found.flat[lost] = self.serving[nearest]
        return np.asarray(found)

    def refuse(self, codes: np.ndarray, refused: np.ndarray, attrs: Any = None) -> None:
        """Raise the error of pixels that have no model.

        Parameters
        ----------
        codes : ndarray of int
            Regions of all rows or pixels.
        refused : ndarray of bool
            Those without a model.
        attrs : mapping or None
            Metadata of the scene.
        """
        assert self.regions is not None
        code = int(codes[refused][0])
        if code >= 0:
            why = f"region {self.regions.names[code]!r} has no model of its own, because {self.reason(code)}"
        elif isinstance(self.regions, NamedRegions) and isinstance(self.regions.region, str) and attrs:
            why = f"no model was fitted for region {attrs.get(self.regions.region)!r}"
        else:
            why = "they lie in no region that has one"
        raise DispatchError(
            f"{int(refused.sum())} of {refused.size} pixels have no model: {why}; use fallback='global' or 'nearest', "
            "or leave them out",
            code=code,
        )


def dispatch_of_registry(registry: ModelRegistry, region: Any, column: str | None, fallback: str) -> Dispatch:
    """Return how models of a registry are applied by regions of the same names.

    Parameters
    ----------
    registry : ModelRegistry
        Fitted models. One of the name "global" serves pixels elsewhere with ``fallback="global"``.
    region, column, fallback : object
        As of `RegionalEstimator`.

    Returns
    -------
    Dispatch
    """
    names = list(registry)
    number = {str(name): at for at, name in enumerate(names)}
    outside = {"global": number.get("global", NONE), "nearest": NEAREST}.get(fallback, NONE)
    regions = None if region is None else regions_of(region, column, names)
    if regions is None:
        serving = np.empty(0, int)
    else:
        serving = np.array([number.get(str(name), NONE) for name in regions.names])
        own = np.flatnonzero(serving >= 0)
        if not len(own) and outside == NONE:
            raise DispatchError(
                f"no region has the name of a model in the registry: the regions are {_listed(regions.names)}, the models are "
                f"{_listed(names)}"
            )
        for code in np.flatnonzero(serving == NONE):
            serving[code] = serving[regions.nearest_to(int(code), own)] if outside == NEAREST else outside
    classes = [known for known in (registry.classes(name) for name in names) if known is not None]
    last = take_apart(mapper_of(registry[names[0]]))[1]
    head = Head(last, union_of(classes) if classes else None)
    return Dispatch(
        regions,
        lambda at: mapper_of(registry[names[at]]),
        serving,
        outside,
        head,
        "the registry holds none of the name {}".format,
    )


def _listed(names: Sequence[Any]) -> str:
    return ", ".join(map(repr, names[:5])) + ("" if len(names) <= 5 else f" and {len(names) - 5} more")


# ---------------------------------------------------------------------- tables


def predict_table(dispatch: Dispatch, X: Any, method: str) -> Any:
    """Predict each row of a table with the model of its region.

    Parameters
    ----------
    dispatch : Dispatch
        The models.
    X : PixelTable, DataFrame or GeoDataFrame
        The rows.
    method : str
        What to call.

    Returns
    -------
    ndarray of shape (n,) or (n, n_outputs)

    Raises
    ------
    DispatchError
        If a row has no model.
    """
    if dispatch.regions is None:
        return getattr(dispatch.model_at(0), method)(X)
    codes = dispatch.regions.of_table(X)
    numbers = dispatch.numbers(codes, lambda rows: dispatch.regions.places_of(X, rows))  # type: ignore[union-attr]
    refused = numbers == NONE
    if refused.any():
        dispatch.refuse(codes, refused)
    X = dispatch.regions.features(X)
    out: np.ndarray | None = None
    for number in np.unique(numbers) if len(numbers) else [0]:
        rows = np.flatnonzero(numbers == number)
        model = dispatch.model_at(int(number))
        found = _aligned(np.asarray(getattr(model, method)(take(X, rows))), model, method, dispatch.head.classes)
        if out is None:
            classes = dispatch.head.classes
            kind = classes.dtype if classes is not None and method == "predict" else found.dtype
            out = np.empty((len(codes), *found.shape[1:]), kind)
        out[rows] = found
    return out


def _aligned(found: np.ndarray, model: Any, method: str, classes: np.ndarray | None) -> np.ndarray:
    if classes is None or method == "predict":
        return found
    wide = np.full((len(found), len(classes)), -np.inf if method == "predict_log_proba" else 0.0, found.dtype)
    wide[:, np.searchsorted(classes, model.classes_)] = found
    return wide


# ---------------------------------------------------------------------- rasters


def predict_raster(dispatch: Dispatch, X: Any, method: str, halo: int) -> Any:
    """Predict each pixel of a raster with the model of its region.

    Parameters
    ----------
    dispatch : Dispatch
        The models.
    X : raster of any carrier
        A lazy one stays lazy.
    method : str
        What to call.
    halo : int
        Pixels that the models look round.

    Returns
    -------
    raster of the type that came in

    Raises
    ------
    DispatchError
        If a pixel that has data has no model.
    """
    if dispatch.regions is None:
        return getattr(dispatch.model_at(0), method)(X)
    raster = unwrap(X)
    if raster is not X:
        raster = raster.with_values(raster.values, attrs=metadata_of(X))
    chip = _Chip(dispatch, method, strict=not raster.is_lazy)
    if not raster.is_lazy:
        made = chip(raster)
        if raster is not X and chip.empty:
            warn(MissingDataWarning("no pixel could be predicted, because none has data: check the nodata value"), stacklevel=4)
        return made if raster is X else rewrap(made, X)
    mapped = map_chunks(chip, raster, halo)
    # Until here it was tried on one made-up pixel, which need not lie in a region.
    chip.strict = True
    return rewrap(mapped, X)


class _Chip:
    """Predicts the pixels of a raster, or of a chunk of it, each with its model."""

    def __init__(self, dispatch: Dispatch, method: str, *, strict: bool) -> None:
        self.dispatch = dispatch
        self.method = method
        self.strict = strict
        self.empty = False

    def __call__(self, raster: Raster) -> Raster:
        dispatch, numbers = self.dispatch, None
        self.empty = not has_data(raster)
        if not self.empty:
            assert dispatch.regions is not None
            codes = dispatch.regions.of_raster(raster)
            numbers = dispatch.numbers(
                codes, lambda pixels: Places(None, raster.attrs, snapped(raster.grid, pixels), raster.grid.crs)
            )
            refused = numbers == NONE
            if self.strict and refused.any() and has_data(raster, refused):
                dispatch.refuse(codes, refused, raster.attrs)
        return predict_pixels(dispatch.model_at, numbers, raster, self.method, dispatch.head)
