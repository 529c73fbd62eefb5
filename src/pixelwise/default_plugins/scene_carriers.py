"""Scenes of a catalog and chips of them as carriers."""

from __future__ import annotations

from typing import Any

import xarray as xr

from pixelwise.catalog.scene import GeoSlice, Scene
from pixelwise.hookspecs import Carrier, hookimpl
from pixelwise.raster.carriers import Raster
from pixelwise.raster.dataarray import to_dataarray

__all__ = ["SceneCarrier", "pixelwise_carriers"]


class SceneCarrier:
    """A scene of a catalog, or a chip of one, which is read; what goes out is a DataArray."""

    name = "scene or chip of a catalog"

    def matches(self, obj: Any) -> bool:
        """Whether `obj` is a scene or a chip."""
        return isinstance(obj, Scene | GeoSlice)

    def unwrap(self, obj: Scene | GeoSlice) -> Raster:
        """Read all of it."""
        return obj.read()

    def rewrap(self, raster: Raster, like: Any) -> xr.DataArray:
        """Build a DataArray; a scene cannot be made without a file."""
        return to_dataarray(raster, name=raster.name)


@hookimpl
def pixelwise_carriers() -> list[Carrier]:
    """Return the carrier of scenes."""
    return [SceneCarrier()]
