"""Switch: each raster goes to the model or the operator that its metadata names."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from sklearn.base import clone
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import validate_data

from pixelwise.errors import DispatchError
from pixelwise.operators.base import Operator
from pixelwise.raster.carriers import Raster, is_raster
from pixelwise.raster.metadata import WithMetadata, metadata_of
from pixelwise.registry import ModelRegistry, halo_of
from pixelwise.table.pixels import PixelTable

__all__ = ["Switch"]

#: The registry of each Switch; beside them, because transforming must not change them.
_REGISTRIES: WeakKeyDictionary[Any, tuple[Any, ModelRegistry]] = WeakKeyDictionary()
#: Most keys that an error names.
_NAMED = 10


def _some_case_has(method: str) -> Callable[[Switch], bool]:
    def has(self: Switch) -> bool:
        """Whether a case has the method; one that is still on disk is taken at its word."""
        cases = self.cases.values() if isinstance(self.cases, dict) else ()
        return isinstance(self.cases, ModelRegistry) or any(
            isinstance(case, str | os.PathLike) or hasattr(case, method) for case in cases
        )

    return has


class Switch(Operator):
    """Send each raster to one of several models or operators: one model a tile, a season, a sensor.

    Parameters
    ----------
    key : callable or str
        What decides: a function of the raster, or the name of an entry of its metadata (``attrs``, ``metadata``, or the tags of
        a file). A function may read ``raster.metadata`` whatever the carrier.
    cases : mapping of key to operator, fitted model or path; or ModelRegistry
        Where rasters go. Paths are those of `save_artifact`; models are loaded on first use, and 8 of them stay in memory.
    default : operator, model or None, default=None
        Where rasters with another key go, such as `Raise`; None is an error that names the key.

    Raises
    ------
    DispatchError
        When it is applied, if the raster has no such metadata, or its key no case.

    See Also
    --------
    ModelRegistry : Many saved models as cases.
    RegionalEstimator : Fits one model a region, and chooses pixel by pixel.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from pixelwise.operators.switch import Switch
    >>> scene, _ = pw.datasets.make_example()
    >>> ndvi = pw.indices.NDVI(red="B04", nir="B08")
    >>> switch = Switch(key="season", cases={"summer": ndvi, "winter": pw.indices.NDWI(green="B03", nir="B08")})
    >>> switch(pw.open_raster(scene).assign_attrs(season="winter")).band.values.tolist()
    ['NDWI']
    >>> switch(pw.open_raster(scene).assign_attrs(season="autumn"))
    Traceback (most recent call last):
    ...
    pixelwise.errors.DispatchError: no case for key 'autumn': add it to cases, or give a default; the cases are 'summer',
    'winter'
    """

    _keeps_scale = True

    def __init__(self, key: Callable[[Any], Any] | str, cases: Mapping[Any, Any], default: Any = None) -> None:
        self.key = key
        self.cases = cases
        self.default = default

    def __sklearn_clone__(self) -> Switch:
        # clone would unfit the models, and they are never changed.
        cases = dict(self.cases) if isinstance(self.cases, dict) else self.cases
        return type(self)(self.key, cases, self.default)

    @property
    def halo(self) -> int:
        """Most pixels that a case looks round."""
        default = 0 if self.default is None else halo_of(self.default)
        return max(self._registry().halo, default)

    def apply(self, raster: Raster) -> Raster:
        """Apply the case of a raster to it."""
        made: Raster = self._dispatch(raster, None)
        return made

    def transform(self, X: Any) -> Any:
        """Apply the case of X to it: call it, or transform or predict with it.

        Parameters
        ----------
        X : raster of any carrier, PixelTable or array
            A table's rows each go where the metadata of their raster says.

        Returns
        -------
        object
            What the case gives.
        """
        if not isinstance(X, PixelTable) and not is_raster(X):
            checked = validate_data(self, X, reset=not hasattr(self, "n_features_in_"), ensure_all_finite="allow-nan")
            X = X if hasattr(X, "columns") else checked
        return self._dispatch(X, None)

    @available_if(_some_case_has("predict"))
    def predict(self, X: Any) -> Any:
        """Predict with the case of X."""
        return self._dispatch(X, "predict")

    @available_if(_some_case_has("predict_proba"))
    def predict_proba(self, X: Any) -> Any:
        """Predict class probabilities with the case of X."""
        return self._dispatch(X, "predict_proba")

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the first case's bands.

        Parameters
        ----------
        input_features : array-like of str or None
            Names of the bands that come in; None takes those of the fit.

        Returns
        -------
        ndarray of str
        """
        case = next(iter(self._registry().values()))
        names = input_features if input_features is not None else getattr(self, "feature_names_in_", None)
        names = names if names is not None else [f"band_{number}" for number in range(1, self.n_features_in_ + 1)]
        return np.asarray(case.get_feature_names_out(names), dtype=object)

    def _registry(self) -> ModelRegistry:
        if isinstance(self.cases, ModelRegistry):
            return self.cases
        cases: Any = self.cases
        if not isinstance(cases, Mapping) or not cases:
            raise ValueError(f"cases={cases!r}: give a mapping from keys to operators, models or paths")
        known = _REGISTRIES.get(self)
        # Cases may be added to the mapping at any time.
        if known is None or known[0] != cases:
            known = _REGISTRIES[self] = dict(cases), ModelRegistry(cases)
        return known[1]

    def _dispatch(self, X: Any, method: str | None) -> Any:
        if not isinstance(X, PixelTable) or X.scenes is None:
            return self._send(X, self._key_of(X), method)
        known = X.scenes
        scenes = [(number, np.flatnonzero(X.scene == number)) for number in np.unique(X.scene)]
        if len(scenes) < 2:
            return self._send(X, self._key_of(known[scenes[0][0] if scenes else 0]), method)
        parts = [self._send(X[rows], self._key_of(known[number]), method) for number, rows in scenes]
        values = np.concatenate([np.asarray(part) for part in parts])
        values = values[np.argsort(np.concatenate([rows for _, rows in scenes]))]
        return X.with_bands(values, parts[0].band_names) if isinstance(parts[0], PixelTable) else values

    def _send(self, X: Any, key: Any, method: str | None) -> Any:
        """Apply the case of a key to X."""
        registry = self._registry()
        if not isinstance(key, Hashable):
            raise DispatchError(f"key {key!r} is of type {type(key).__name__}: let it be text or a number", key=key)
        if key in registry:
            return _applied(registry[key], X, method)
        if self.default is None:
            names = list(map(repr, registry))
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            raise DispatchError(
                f"no case for key {key!r}: add it to cases, or give a default; the cases are {', '.join(names[:_NAMED])}{more}",
                key=key,
            )
        if hasattr(self.default, "message"):
            return self.default.transform(X, key=key)
        return _applied(self.default, X, method)

    def _key_of(self, scene: Any) -> Any:
        if callable(self.key):
            return self.key(scene if hasattr(scene, "metadata") else WithMetadata(scene))
        known = metadata_of(scene)
        if self.key not in known:
            has = ", ".join(map(repr, list(known)[:_NAMED])) or "nothing"
            raise DispatchError(
                f"the metadata of the {type(scene).__name__} has no {self.key!r}: set it, such as "
                f"raster.attrs[{self.key!r}] = ..., or give a function as key; it has {has}",
                key=self.key,
            )
        return known[self.key]


def _applied(case: Any, X: Any, method: str | None) -> Any:
    if method is not None and hasattr(case, method):
        return getattr(case, method)(X)
    if isinstance(case, Operator) and not isinstance(X, PixelTable) and not is_raster(X):
        # An operator takes over the number of columns of the first table, and a case must stay as it was given.
        return clone(case).transform(X)
    if callable(case):
        return case(X)
    if hasattr(case, "transform"):
        return case.transform(X)
    if hasattr(case, "predict"):
        return case.predict(X)
    raise TypeError(f"case {type(case).__name__} can be neither called nor applied: give an operator, a model or a path")
