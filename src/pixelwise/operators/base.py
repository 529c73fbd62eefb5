"""The base of all operators: a raster in, a raster out, and nothing learned."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import rasterio
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import validate_data

from pixelwise.errors import BandError, GridError
from pixelwise.operators.graph import Node
from pixelwise.operators.time_columns import Rows, raster_to_rows, rows_to_raster
from pixelwise.raster.carriers import Raster, is_raster, rewrap, unwrap
from pixelwise.raster.dates import TimeAxis
from pixelwise.raster.grid import Grid
from pixelwise.raster.io import in_floats
from pixelwise.raster.lazy import map_chunks
from pixelwise.table.pixels import PixelTable
from pixelwise.table.reading import chips_around

__all__ = ["Operator", "band_position"]

#: How the numbers of a file become measurements.
_SCALE = {"scale_factor", "add_offset"}


class Operator(TransformerMixin, BaseEstimator):
    """Base of operators. A subclass writes `apply`, and may set ``halo``.

    An operator takes every carrier, PixelTables (their rows and places are kept) and plain tables, and keeps lazy rasters
    lazy. Before `apply` missing data is NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from pixelwise.operators.base import Operator
    >>> class Halve(Operator):
    ...     def apply(self, raster):
    ...         return raster.with_values(raster.values / 2)
    >>> Halve()(np.full((1, 1, 2), 4, "uint8"))
    array([[[2., 2.]]], dtype=float32)
    """

    #: Whether `apply` takes rasters as they are stored, and finds out itself, part by part, where data is missing.
    _takes_stored = False
    #: Whether the values are still numbers that a file's ``scale_factor`` and ``add_offset`` hold for.
    _keeps_scale = False

    @property
    def halo(self) -> int:
        """Pixels round a chip that `apply` looks at; 0 where a pixel depends on itself alone.

        Of a PixelTable the rasters are read again round its rows.
        """
        return 0

    def apply(self, raster: Raster) -> Raster:
        """Compute the output of a raster in floats with NaN where data is missing.

        Parameters
        ----------
        raster : Raster
            Values of shape (band, y, x).

        Returns
        -------
        Raster
        """
        raise NotImplementedError

    def __call__(self, *rasters: Any) -> Any:
        """Apply the operator: the same as ``transform``. Called with an `Input` it becomes a step of a `Graph`."""
        if any(isinstance(raster, Node) for raster in rasters):
            return Node(self, *rasters)
        return self.transform(*rasters)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags

    def fit(self, X: Any, y: Any = None) -> Operator:
        """Check X and learn nothing but its number and names of bands.

        Parameters
        ----------
        X : raster of any carrier, PixelTable, array or DataFrame
            Pixels.
        y : None
            Not used.

        Returns
        -------
        self
        """
        if not is_raster(X):
            validate_data(self, X, reset=True, ensure_all_finite="allow-nan")
            if isinstance(X, PixelTable) and X.band_names is not None:
                self.feature_names_in_ = np.asarray(X.band_names, dtype=object)
        return self

    def transform(self, X: Any) -> Any:
        """Apply the operator.

        Parameters
        ----------
        X : raster of any carrier, PixelTable, array or DataFrame
            Pixels.

        Returns
        -------
        raster of the type that came in, PixelTable, or ndarray
        """
        if not is_raster(X):
            return self._transform_table(X)
        raster = unwrap(X)
        if not raster.is_lazy:
            return rewrap(self._apply_to_stored(raster), X)
        return rewrap(map_chunks(self._apply_to_stored, raster, self.halo), X)

    def _apply_to_stored(self, raster: Raster) -> Raster:
        made = self.apply(raster if self._takes_stored else in_floats(raster))
        return made if self._keeps_scale else _unscaled(made)

    def _transform_table(self, X: Any) -> Any:
        if isinstance(X, PixelTable):
            return X.derived(self, self._of_neighbours if self.halo else self._of_rows)
        if self.halo:
            raise GridError(
                f"{type(self).__name__} looks {self.halo} pixels round, and an array of rows has no neighbours: "
                "apply it to the raster, or to a PixelTable from extract_pixels"
            )
        frame = getattr(X, "columns", None)
        names = None if frame is None else tuple(map(str, frame))
        values = validate_data(self, X, reset=not hasattr(self, "n_features_in_"), ensure_all_finite="allow-nan")
        return self._on_rows(values, names)[0]

    def _of_rows(self, X: PixelTable) -> Rows:
        return self._on_rows(np.asarray(X), X.band_names, X.axis)

    def _on_rows(self, values: np.ndarray, names: tuple[str, ...] | None, axis: TimeAxis | None = None) -> Rows:
        """Apply the operator to rows, each of which stands for a pixel without neighbours."""
        return raster_to_rows(self._apply_to_stored(rows_to_raster(values, names, axis)), names)

    def _of_neighbours(self, X: PixelTable) -> Rows:
        """Read the rasters of a table again round its rows, and apply all operators to them."""
        steps = (*X.steps, self)
        halo = sum(step.halo for step in steps)
        parts: list[tuple[np.ndarray, np.ndarray]] = []
        names: tuple[str, ...] | None = None
        axis: TimeAxis | None = None
        for rows, chip, inside in chips_around(X, halo, type(self).__name__):
            for step in steps:
                chip = step.apply(chip)
            found = chip.cube[..., *inside][..., None]
            pixels = Raster(found, _column(len(rows)), chip.bands, times=chip.times)
            values, names, axis = raster_to_rows(pixels, X.band_names)
            parts.append((rows, values))
        values = np.empty((len(X), parts[0][1].shape[1]), parts[0][1].dtype)
        for rows, part in parts:
            values[rows] = part
        return values, names, axis

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the output's bands.

        Parameters
        ----------
        input_features : array-like of str or None
            Names of the bands that come in; None takes those of the fit.

        Returns
        -------
        ndarray of str
        """
        names = input_features if input_features is not None else getattr(self, "feature_names_in_", None)
        count = len(names) if names is not None else self.n_features_in_
        bands = tuple(map(str, names)) if names is not None else tuple(f"band_{number}" for number in range(1, count + 1))
        result = self.apply(rows_to_raster(np.ones((1, count), np.float32), bands))
        return np.asarray(raster_to_rows(result, bands)[1] or result.names, dtype=object)


def _column(height: int) -> Grid:
    return Grid(None, rasterio.Affine.identity(), height, 1)


def band_position(raster: Raster, band: str | int, role: str) -> int:
    """Return where a band is.

    Parameters
    ----------
    raster : Raster
        Whose bands.
    band : str or int
        Name, or position from 0 (negative from the end).
    role : str
        What it is wanted as, for the error.

    Returns
    -------
    int

    Raises
    ------
    BandError
        If the raster has no such band.
    """
    if isinstance(band, int | np.integer):
        if -raster.n_bands <= band < raster.n_bands:
            return int(band) % raster.n_bands
    elif band in raster.names:
        return raster.names.index(band)
    raise BandError(
        f"{role}={band!r} is no band of the raster: choose one of {', '.join(raster.names)}, or a position", band=band
    )


def _unscaled(raster: Raster) -> Raster:
    """Return a raster without the scale of the numbers that it was made from."""
    if _SCALE.isdisjoint(raster.attrs):
        return raster
    return replace(raster, attrs={key: value for key, value in raster.attrs.items() if key not in _SCALE})
