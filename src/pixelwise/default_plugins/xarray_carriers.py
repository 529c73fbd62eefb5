"""xarray's DataArray and Dataset as carriers."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import xarray as xr

from pixelwise.errors import GridError
from pixelwise.hookspecs import Carrier, hookimpl
from pixelwise.raster.carriers import Raster
from pixelwise.raster.dataarray import TIME_DIMS, from_dataarray, grid_of, nodata_of, spatial_dims, to_dataarray

__all__ = ["DataArrayCarrier", "DatasetCarrier", "pixelwise_carriers"]


class DataArrayCarrier:
    """A DataArray with row and column dimensions."""

    name = "xarray.DataArray"

    def matches(self, obj: Any) -> bool:
        """Whether `obj` is a DataArray with row and column dimensions."""
        return isinstance(obj, xr.DataArray) and spatial_dims(obj) is not None

    def unwrap(self, obj: xr.DataArray) -> Raster:
        """Take the array apart."""
        return from_dataarray(obj)

    def rewrap(self, raster: Raster, like: xr.DataArray) -> xr.DataArray:
        """Build a DataArray with the coordinates of `like`."""
        return to_dataarray(raster, like, name=raster.name or like.name)


class DatasetCarrier:
    """A Dataset in which each variable of rows and columns (and dates) is a band, or that holds one array of bands."""

    name = "xarray.Dataset"

    def matches(self, obj: Any) -> bool:
        """Whether `obj` is a Dataset with row and column dimensions."""
        return isinstance(obj, xr.Dataset) and spatial_dims(obj) is not None and bool(_variables(obj))

    def unwrap(self, obj: xr.Dataset) -> Raster:
        """Stack the variables to bands."""
        names = _variables(obj)
        dims = spatial_dims(obj)
        assert dims is not None
        if len(names) == 1 and obj[names[0]].ndim > 2:
            return from_dataarray(obj[names[0]])
        dated = {dim for name in names for dim in obj[name].dims if str(dim).lower() in TIME_DIMS}
        if len(dated) > 1 or any(set(obj[name].dims) != {*dims, *dated} for name in names):
            raise GridError(
                f"variables {names} do not all have the dimensions {dims}, or these and time: select along the others first"
            )
        layers = [obj[name].transpose(*dated, *dims) for name in names]
        # Of an array that is split into variables, what holds for all bands is an attribute of the Dataset.
        nodata = tuple(nodata_of(layer, obj.attrs) for layer in layers)
        # np.stack hands over to dask where a layer is lazy.
        values = np.stack([layer.data if layer.chunks is not None else layer.values for layer in layers])
        bands, times = tuple(str(name) for name in names), None
        if dated:
            times = from_dataarray(layers[0]).times
        return Raster(values, grid_of(obj), bands, nodata, times=times, attrs=dict(obj.attrs))

    def rewrap(self, raster: Raster, like: xr.Dataset) -> xr.Dataset:
        """Build a Dataset with one variable a band."""
        names = _variables(like)
        if len(names) == 1 and like[names[0]].ndim > 2 and raster.values.ndim > 2:
            array = to_dataarray(raster, like[names[0]], name=raster.name or names[0])
            return array.to_dataset().assign_attrs(like.attrs)
        single = raster.values.ndim < raster.cube.ndim
        label = raster.name or "band_1"
        bands = (label,) if single else tuple(names) if raster.bands is None and len(names) == raster.n_bands else raster.names
        layers = {band: to_dataarray(_layer(raster, number), like, name=band) for number, band in enumerate(bands)}
        kept = {name: like[name].attrs for name in bands if name in like.data_vars}
        for name, attrs in kept.items():
            layers[name].attrs = {**attrs, **layers[name].attrs}
        attrs = {
            key: value for key, value in like.attrs.items() if raster.name is None or key not in ("_FillValue", "missing_value")
        }
        return xr.Dataset(layers, attrs=attrs)


def _layer(raster: Raster, number: int) -> Raster:
    attrs = {} if raster.name is None else raster.attrs
    return Raster(raster.cube[number], raster.grid, nodata=(raster.nodata[number],), times=raster.times, attrs=attrs)


def _variables(dataset: xr.Dataset) -> list[Hashable]:
    dims = spatial_dims(dataset)
    if dims is None:
        return []
    return [name for name, var in dataset.data_vars.items() if set(dims) <= set(var.dims) and var.dtype.kind in "iufb"]


@hookimpl
def pixelwise_carriers() -> list[Carrier]:
    """Return the carriers of xarray."""
    return [DataArrayCarrier(), DatasetCarrier()]
