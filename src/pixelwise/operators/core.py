"""Steps put together: Sequential, and the steps that look at rasters without changing them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from pixelwise.errors import DispatchError
from pixelwise.operators.base import Operator, band_position
from pixelwise.operators.graph import Graph, Input, Node
from pixelwise.operators.switch import Switch
from pixelwise.raster.carriers import Raster, unwrap
from pixelwise.raster.io import as_nan
from pixelwise.raster.metadata import WithMetadata
from pixelwise.table.pixels import PixelTable

__all__ = ["Graph", "Histogram", "Input", "Node", "Raise", "Sequential", "Switch", "Tap"]


class Sequential(Pipeline):
    """Steps one after the other: scikit-learn's Pipeline, which can also be called, and names its steps itself.

    Parameters
    ----------
    steps : list of steps, or of (str, step)
        Operators, Pixelwise estimators, Graphs, other Sequentials. Steps without a name take that of their class.

    See Also
    --------
    Graph : Several inputs or outputs.
    sklearn.pipeline.make_pipeline : The same without calls.

    Examples
    --------
    >>> import pixelwise as pw
    >>> scene, _ = pw.datasets.make_example()
    >>> ndvi, ndwi = pw.indices.NDVI(red="B04", nir="B08"), pw.indices.NDWI(green="B03", nir="B08")
    >>> features = pw.Sequential([pw.indices.AppendIndex(ndvi), pw.indices.AppendIndex(ndwi)])
    >>> features(pw.open_raster(scene)).band.values.tolist()
    ['B02', 'B03', 'B04', 'B08', 'NDVI', 'NDWI']
    >>> [name for name, step in features.steps]
    ['appendindex-1', 'appendindex-2']
    """

    def __init__(self, steps: Sequence[Any]) -> None:
        # A list that has its names stays the same object, as `clone` wants it.
        super().__init__(steps if all(isinstance(step, tuple) for step in steps) else _named(steps))

    def __call__(self, raster: Any) -> Any:
        """Apply all steps: operators transform, and a Pixelwise estimator does what its ``method`` says.

        Parameters
        ----------
        raster : raster of any carrier, PixelTable, or mapping of rasters
            What the first step takes.

        Returns
        -------
        object
            What the last step gives.
        """
        for _, step in self.steps:
            if step is not None and not isinstance(step, str):
                raster = step(raster) if callable(step) else _applied(step, raster)
        return raster


def _named(steps: Sequence[Any]) -> list[tuple[str, Any]]:
    plain = [step[1] if isinstance(step, tuple) else step for step in steps]
    names = [step if isinstance(step, str) else type(step).__name__.lower() for step in plain]
    numbered = [f"{name}-{names[: at + 1].count(name)}" if names.count(name) > 1 else name for at, name in enumerate(names)]
    return [step if isinstance(step, tuple) else (name, step) for name, step in zip(numbered, steps, strict=True)]


def _applied(step: Any, raster: Any) -> Any:
    return step.transform(raster) if hasattr(step, "transform") else step.predict(raster)


class Raise(Operator):
    """Stop with a message: the default of a `Switch` that must not go on without a case.

    Parameters
    ----------
    message : str
        What the error says; ``{key}`` stands for the key that has no case.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> pw.core.Raise("no model for tile {key}").transform(np.zeros((1, 2, 2)), key="33UUP")
    Traceback (most recent call last):
    ...
    pixelwise.errors.DispatchError: no model for tile 33UUP
    """

    _keeps_scale = True

    def __init__(self, message: str) -> None:
        self.message = message

    def transform(self, X: Any, key: Any = None) -> Any:
        """Raise the error.

        Parameters
        ----------
        X : object
            Not used.
        key : object
            What the message may speak of.

        Raises
        ------
        DispatchError
            Always.
        """
        raise DispatchError(self.message.replace("{key}", str(key)), key=key)


class Tap(Operator):
    """Call a function with whatever passes by, and pass it on unchanged: to print, to plot, to count.

    A saved artifact refuses it, because a function is code.

    Parameters
    ----------
    fn : callable
        Called with each raster or table; what it returns is not used. It may read ``raster.metadata`` whatever the carrier.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> features = pw.Sequential([pw.core.Tap(lambda raster: print("shape", raster.shape)), pw.indices.NDVI(0, 1)])
    >>> features(np.ones((2, 3, 3))).shape
    shape (2, 3, 3)
    (1, 3, 3)
    """

    _keeps_scale = True

    def __init__(self, fn: Callable[[Any], Any]) -> None:
        self.fn = fn

    def transform(self, X: Any) -> Any:
        """Call the function, and return X.

        Parameters
        ----------
        X : raster of any carrier, PixelTable or array
            What passes by.

        Returns
        -------
        object
            X itself.
        """
        try:
            self.fn(X)
        except AttributeError as error:
            # Else the raster itself passes by, and no view of it.
            if error.name != "metadata" or error.obj is not X or isinstance(X, PixelTable):
                raise
            self.fn(WithMetadata(X))
        return X

    def apply(self, raster: Raster) -> Raster:
        """Return the raster as it is."""
        return raster


class Histogram(Operator):
    """Count the values of each band of a raster: the end of a way, as no raster comes out.

    Parameters
    ----------
    bins : int, default=50
        Number of bins of equal width.
    range : (float, float) or None, default=None
        Lowest and highest value; None takes those of the raster.
    bands : sequence of (str or int), or None
        Bands to count; None counts all.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> pw.core.Histogram(bins=2)(np.array([[[0, 1], [2, 10]]], "uint8"))
                 band_1
    [0.0, 5.0)        3
    [5.0, 10.0]       1
    """

    _keeps_scale = True

    def __init__(
        self,
        bins: int = 50,
        range: tuple[float, float] | None = None,  # noqa: A002
        bands: Sequence[str | int] | None = None,
    ) -> None:
        self.bins = bins
        self.range = range
        self.bands = bands

    def transform(self, X: Any) -> pd.DataFrame:
        """Count values; missing ones are left out.

        Parameters
        ----------
        X : raster of any carrier
            Not a table.

        Returns
        -------
        pandas.DataFrame
            One row a bin, one column a band.
        """
        raster = unwrap(X)
        names = list(raster.names if self.bands is None else self.bands)
        raster = as_nan(raster.with_values(np.asarray(raster.values)))
        chosen = [raster.cube[band_position(raster, name, "bands")] for name in names]
        valid = [band[~np.isnan(band)] for band in chosen]
        limits = self.range or _limits(valid)
        edges = np.linspace(*limits, self.bins + 1)
        counts = {str(name): np.histogram(band, edges)[0] for name, band in zip(names, valid, strict=True)}
        rows = [f"[{low:.4}, {high:.4})" for low, high in itertools.pairwise(edges)]
        rows[-1] = f"{rows[-1][:-1]}]"
        return pd.DataFrame(counts, index=rows)


def _limits(valid: Sequence[np.ndarray]) -> tuple[float, float]:
    known = [band for band in valid if band.size]
    if not known:
        return 0.0, 1.0
    low, high = min(float(band.min()) for band in known), max(float(band.max()) for band in known)
    return (low, high) if high > low else (low, low + 1)
