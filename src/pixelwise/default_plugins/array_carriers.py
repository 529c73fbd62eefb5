"""Bare arrays and georeader's GeoTensor as carriers."""

from __future__ import annotations

from typing import Any

import numpy as np
import rasterio

from pixelwise.hookspecs import Carrier, hookimpl
from pixelwise.raster.carriers import Raster
from pixelwise.raster.grid import Grid
from pixelwise.table.pixels import PixelTable

__all__ = ["GeoTensorCarrier", "NdarrayCarrier", "pixelwise_carriers"]


class NdarrayCarrier:
    """An ndarray with axes (band, y, x) or (band, time, y, x); a masked array brings its mask."""

    name = "ndarray"

    def matches(self, obj: Any) -> bool:
        """Whether `obj` is an array of three or four dimensions, and no table of time series."""
        return isinstance(obj, np.ndarray) and obj.ndim in (3, 4) and not isinstance(obj, PixelTable)

    def unwrap(self, obj: np.ndarray) -> Raster:
        """Take the array as it is, on a grid of plain pixel numbers."""
        grid = Grid(None, rasterio.Affine.identity(), *obj.shape[-2:])
        mask = np.ma.getmaskarray(obj) if isinstance(obj, np.ma.MaskedArray) and obj.mask is not np.ma.nomask else None
        return Raster(np.ma.getdata(obj) if isinstance(obj, np.ma.MaskedArray) else obj, grid, mask=mask)

    def rewrap(self, raster: Raster, like: np.ndarray) -> np.ndarray:
        """Return the values; masked where the nodata stands if a masked array came in."""
        values: np.ndarray = raster.values
        if not isinstance(like, np.ma.MaskedArray):
            return values
        nodata = raster.nodata[0]
        if raster.mask is not None or nodata is None:
            return np.ma.masked_array(values, mask=np.ma.nomask if raster.mask is None else raster.mask)
        return np.ma.masked_array(values, mask=np.isnan(values) if np.isnan(nodata) else values == nodata, fill_value=nodata)


class GeoTensorCarrier:
    """georeader's GeoTensor, recognised by its name so that georeader is never imported."""

    name = "GeoTensor"

    def matches(self, obj: Any) -> bool:
        """Whether `obj` is a GeoTensor."""
        return any(cls.__name__ == "GeoTensor" and cls.__module__.startswith("georeader") for cls in type(obj).__mro__)

    def unwrap(self, obj: Any) -> Raster:
        """Take it apart; georeader holds ``fill_value_default`` for missing data, and so does this."""
        values = np.asarray(obj.values)
        grid = Grid(obj.crs, obj.transform, *values.shape[-2:])
        fill = obj.fill_value_default
        attrs = dict(getattr(obj, "attrs", None) or getattr(obj, "metadata", None) or {})
        names = attrs.get("band_names")
        bands = (
            tuple(str(name) for name in names) if values.ndim > 2 and names is not None and len(names) == len(values) else None
        )
        return Raster(values, grid, bands, () if fill is None else (float(fill),), attrs=attrs)

    def rewrap(self, raster: Raster, like: Any) -> Any:
        """Build a GeoTensor of the type of `like`."""
        attrs = dict(raster.attrs)
        if raster.name is not None:
            attrs = {**(getattr(like, "attrs", None) or {}), **attrs}
            attrs.pop("band_names", None)
        if raster.bands is not None:
            attrs["band_names"] = list(raster.bands)
        fill = raster.nodata[0]
        typed = None if fill is None else np.dtype(raster.values.dtype).type(fill).item()
        return type(like)(raster.values, raster.grid.transform, raster.grid.crs, fill_value_default=typed, attrs=attrs)


@hookimpl
def pixelwise_carriers() -> list[Carrier]:
    """Return the carriers of arrays; GeoTensor is an ndarray too, so it is asked first."""
    return [GeoTensorCarrier(), NdarrayCarrier()]
