"""Raster, the plain form that every carrier is taken apart into, and the way there and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pixelwise.errors import GridError
from pixelwise.plugins import plugins
from pixelwise.raster.grid import Grid

__all__ = ["EXTREME", "Raster", "is_raster", "rewrap", "unwrap"]

#: Floats beyond this are fills, such as -1.7e308 and 3.4e38, which are often declared with fewer digits than they are stored
#: with; no sensor measures them.
EXTREME = 1e30


@dataclass(frozen=True, slots=True, eq=False)
class Raster:
    """A raster in plain parts: what `unwrap` returns and `rewrap` takes.

    Parameters
    ----------
    values : ndarray or dask array
        Shape (band, y, x), (band, time, y, x), (y, x) for a map of one band, or (time, y, x) for one a date, with `times`.
    grid : Grid
        Where the pixels are.
    bands : tuple of str or None
        Name of each band; None where the carrier names none.
    nodata : tuple of (float or None)
        The value that marks missing data in each band; None where none is declared.
    mask : ndarray of bool or None
        True where data is missing for a reason that no value shows (an alpha band, a numpy mask); shape of `values` or (y, x).
    times : tuple or None
        Date of each step of the time axis.
    attrs : mapping
        What else it carries: of a map ``flag_values``, ``flag_meanings``, ``class_names`` and ``long_name``.
    name : str or None
        What a map shows, such as "predict".

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> raster = pw.unwrap(np.zeros((2, 3, 4), "uint16"))
    >>> raster.n_bands, raster.grid.shape, raster.names
    (2, (3, 4), ('band_1', 'band_2'))
    """

    values: Any
    grid: Grid
    bands: tuple[str, ...] | None = None
    nodata: tuple[float | None, ...] = ()
    mask: np.ndarray | None = None
    times: tuple[Any, ...] | None = None
    attrs: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None

    def __post_init__(self) -> None:
        shape, grid = tuple(self.values.shape), self.grid
        if shape[-2:] != (grid.height, grid.width):
            raise GridError(f"values of shape {shape} do not fit a grid of {grid.shape} pixels")
        # Written out, and not asked of the properties, because each chip makes several rasters.
        n_bands = shape[0] if len(shape) > (2 if self.times is None else 3) else 1
        if self.times is not None and (len(shape) < 3 or len(self.times) != shape[-3]):
            raise GridError(f"{len(self.times)} dates do not fit values of shape {shape}: they go with (band, time, y, x)")
        if self.bands is not None and len(self.bands) != n_bands:
            raise GridError(f"{len(self.bands)} band names for {n_bands} bands")
        if not self.nodata:
            object.__setattr__(self, "nodata", (None,) * n_bands)
        elif len(self.nodata) == 1 and n_bands > 1:
            object.__setattr__(self, "nodata", self.nodata * n_bands)

    @property
    def n_bands(self) -> int:
        """Number of bands."""
        return 1 if self._is_map else int(self.values.shape[0])

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each band, made up as ``band_1``, ``band_2`` ... where there are none."""
        return self.bands or tuple(f"band_{number}" for number in range(1, self.n_bands + 1))

    @property
    def cube(self) -> Any:
        """The values with a band axis in front, also for a map of one band."""
        return self.values[None] if self._is_map else self.values

    @property
    def _is_map(self) -> bool:
        """Whether there is no axis of bands."""
        return int(self.values.ndim) == (2 if self.times is None else 3)

    @property
    def is_lazy(self) -> bool:
        """Whether the values are a dask array."""
        return hasattr(self.values, "dask")

    def with_values(self, values: Any, **changes: Any) -> Raster:
        """Return this raster with other values, and whatever else is given."""
        return replace(self, values=values, **changes)


class _PlainCarrier:
    """Raster itself as a carrier, for chips that never leave the package."""

    name = "raster"

    def matches(self, obj: Any) -> bool:
        return isinstance(obj, Raster)

    def unwrap(self, obj: Raster) -> Raster:
        return obj

    def rewrap(self, raster: Raster, like: Any) -> Raster:
        return raster


_PLAIN = _PlainCarrier()


def _carrier_of(obj: Any) -> Any:
    if isinstance(obj, Raster):
        return _PLAIN
    return next((carrier for carrier in plugins().carriers if carrier.matches(obj)), None)


def is_raster(obj: Any) -> bool:
    """Whether `obj` holds a raster (a DataArray, a path, a 3-D array ...) rather than a table.

    Parameters
    ----------
    obj : object
        Anything.

    Returns
    -------
    bool

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> pw.is_raster(np.zeros((4, 10, 10))), pw.is_raster(np.zeros((100, 4)))
    (True, False)
    """
    return _carrier_of(obj) is not None


def unwrap(obj: Any) -> Raster:
    """Take a raster of any carrier apart into values, grid, band names and nodata.

    Parameters
    ----------
    obj : DataArray, Dataset, GeoTensor, rasterio dataset, path, or ndarray of 3 or 4 dimensions
        The raster.

    Returns
    -------
    Raster

    Raises
    ------
    TypeError
        If it is none of these.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> pw.unwrap(np.ones((3, 2, 2))).grid.is_georeferenced
    False
    """
    carrier = _carrier_of(obj)
    if carrier is None:
        shape = f" of shape {obj.shape}" if hasattr(obj, "shape") else ""
        known = ", ".join(carrier.name for carrier in plugins().carriers)
        raise TypeError(f"{type(obj).__name__}{shape} is no raster: pass one of {known}, with axes (band, y, x)")
    raster: Raster = carrier.unwrap(obj)
    return raster


def rewrap(raster: Raster, like: Any) -> Any:
    """Build the type of `like` from a raster: the way back from `unwrap`.

    Parameters
    ----------
    raster : Raster
        What to wrap; its values may have other bands, or none, than those of `like`.
    like : object
        A raster of the wanted carrier. A path or an open file gives a DataArray.

    Returns
    -------
    object

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> array = np.ones((3, 2, 2))
    >>> pw.rewrap(pw.unwrap(array), like=array) is array
    True
    """
    return _carrier_of(like).rewrap(raster, like)
