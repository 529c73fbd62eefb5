"""Spectral indices, and the operator that appends one to a raster."""

from __future__ import annotations

import numpy as np

from pixelwise.errors import BandError
from pixelwise.operators.base import Operator, band_position
from pixelwise.raster.carriers import Raster

__all__ = ["NDVI", "NDWI", "AppendIndex"]


class _NormalizedDifference(Operator):
    """(a - b) / (a + b) of two bands; NaN where the sum is zero or a band is missing."""

    _name: str

    def _pair(self) -> tuple[tuple[str, str | int], tuple[str, str | int]]:
        raise NotImplementedError

    def apply(self, raster: Raster) -> Raster:
        """Compute the index as a raster of one band."""
        first, second = (raster.cube[band_position(raster, band, role)] for role, band in self._pair())
        with np.errstate(divide="ignore", invalid="ignore"):
            index = (first - second) / (first + second)
        index[~np.isfinite(index)] = np.nan
        return Raster(index[None], raster.grid, (self._name,), (float("nan"),), times=raster.times)


class NDVI(_NormalizedDifference):
    """Normalized difference vegetation index, (nir - red) / (nir + red) [1]_.

    Parameters
    ----------
    red, nir : str or int
        The bands, by name or by position from 0.

    See Also
    --------
    AppendIndex : Keeps the other bands too.

    References
    ----------
    .. [1] Rouse, J. W. et al. (1974): Monitoring vegetation systems in the Great Plains with ERTS. NASA SP-351, 309-317.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> pw.indices.NDVI(red=0, nir=1)(np.array([[[10, 0]], [[30, 0]]], "uint16"))
    array([[[0.5, nan]]], dtype=float32)
    """

    _name = "NDVI"

    def __init__(self, red: str | int, nir: str | int) -> None:
        self.red = red
        self.nir = nir

    def _pair(self) -> tuple[tuple[str, str | int], tuple[str, str | int]]:
        return ("nir", self.nir), ("red", self.red)


class NDWI(_NormalizedDifference):
    """Normalized difference water index of open water, (green - nir) / (green + nir) [1]_.

    Parameters
    ----------
    green, nir : str or int
        The bands, by name or by position from 0.

    See Also
    --------
    AppendIndex : Keeps the other bands too.

    References
    ----------
    .. [1] McFeeters, S. K. (1996): The use of the normalized difference water index (NDWI) in the delineation of open water
       features. International Journal of Remote Sensing 17, 1425-1432.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> pw.indices.NDWI(green=0, nir=1)(np.array([[[30]], [[10]]], "uint16"))
    array([[[0.5]]], dtype=float32)
    """

    _name = "NDWI"

    def __init__(self, green: str | int, nir: str | int) -> None:
        self.green = green
        self.nir = nir

    def _pair(self) -> tuple[tuple[str, str | int], tuple[str, str | int]]:
        return ("green", self.green), ("nir", self.nir)


class AppendIndex(Operator):
    """Append an index to a raster as its last band.

    Parameters
    ----------
    index : Operator
        Computes the index, such as `NDVI`.
    name : str or None, default=None
        Name of the new band; None takes the index's own.

    See Also
    --------
    NDVI : An index.

    Examples
    --------
    >>> import pixelwise as pw
    >>> scene, polygons = pw.datasets.make_example()
    >>> raster = pw.open_raster(scene)
    >>> with_ndvi = pw.indices.AppendIndex(pw.indices.NDVI(red="B04", nir="B08"), name="ndvi")(raster)
    >>> with_ndvi.band.values.tolist(), with_ndvi.dtype.name
    (['B02', 'B03', 'B04', 'B08', 'ndvi'], 'float32')
    """

    def __init__(self, index: Operator, name: str | None = None) -> None:
        self.index = index
        self.name = name

    @property
    def halo(self) -> int:
        """Pixels round a chip that the index looks at."""
        return self.index.halo

    def apply(self, raster: Raster) -> Raster:
        """Compute the index, and put it behind the bands."""
        index = self.index.apply(raster)
        name = self.name or index.names[0]
        if name in (raster.bands or ()):
            raise BandError(f"the raster has a band {name!r} already: give the index another name, name='...'", band=name)
        bands = (*raster.names, name)
        return Raster(np.concatenate([raster.cube, index.cube]), raster.grid, bands, raster.nodata[:1], times=raster.times)
