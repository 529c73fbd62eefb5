"""Paths and open rasterio datasets as carriers."""

from __future__ import annotations

import os
from typing import Any

import rasterio.io
import rasterio.vrt
import xarray as xr

from pixelwise.hookspecs import Carrier, hookimpl
from pixelwise.raster.carriers import Raster
from pixelwise.raster.dataarray import to_dataarray
from pixelwise.raster.io import RasterFile

__all__ = ["FileCarrier", "pixelwise_carriers"]


class FileCarrier:
    """A path that GDAL opens, or a rasterio dataset open for reading; what goes out is a DataArray."""

    name = "path or rasterio dataset"

    def matches(self, obj: Any) -> bool:
        """Whether `obj` is a path or an open dataset."""
        return isinstance(obj, str | os.PathLike | rasterio.io.DatasetReader | rasterio.vrt.WarpedVRT)

    def unwrap(self, obj: Any) -> Raster:
        """Read the whole file."""
        with RasterFile(obj) as file:
            return file.read()

    def rewrap(self, raster: Raster, like: Any) -> xr.DataArray:
        """Build a DataArray; a file cannot be made without a name for it."""
        return to_dataarray(raster, name=raster.name)


@hookimpl
def pixelwise_carriers() -> list[Carrier]:
    """Return the carrier of files."""
    return [FileCarrier()]
