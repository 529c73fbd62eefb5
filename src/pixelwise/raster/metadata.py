"""What a raster says of itself beside its pixels: attributes, metadata, tags."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import rasterio.io
import rasterio.vrt

from pixelwise.raster.carriers import is_raster, unwrap
from pixelwise.raster.io import RasterFile

__all__ = ["WithMetadata", "metadata_of"]


def metadata_of(obj: Any) -> dict[str, Any]:
    """Return the metadata of a raster: ``attrs``, a GeoTensor's or scene's ``metadata`` too, or the tags of a file.

    Parameters
    ----------
    obj : raster of any carrier, or whatever has ``attrs``
        Only what describes it is read.

    Returns
    -------
    dict
        Empty where nothing is known.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> from pixelwise.raster.metadata import metadata_of
    >>> metadata_of(xr.DataArray(np.zeros((1, 2, 2)), dims=("band", "y", "x"), attrs={"mgrs_tile": "33UUU"}))
    {'mgrs_tile': '33UUU'}
    >>> metadata_of(np.zeros((1, 2, 2)))
    {}
    """
    if isinstance(obj, str | os.PathLike | rasterio.io.DatasetReader | rasterio.vrt.WarpedVRT):
        with RasterFile(obj) as file:
            return dict(file.tags)
    found = [getattr(obj, name, None) for name in ("metadata", "attrs")]
    known = [dict(part) for part in found if isinstance(part, Mapping)]
    if not known and is_raster(obj):
        known = [dict(unwrap(obj).attrs)]
    return {key: value for part in known for key, value in part.items()}


class WithMetadata:
    """A raster that has ``metadata`` whatever its carrier; all else is the raster's own.

    Parameters
    ----------
    raster : raster of any carrier
        Of which this is a view.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> from pixelwise.raster.metadata import WithMetadata
    >>> raster = WithMetadata(xr.DataArray(np.zeros((1, 2, 2)), dims=("band", "y", "x"), attrs={"tile": "33UUU"}))
    >>> raster.metadata, raster.shape
    ({'tile': '33UUU'}, (1, 2, 2))
    """

    def __init__(self, raster: Any) -> None:
        self._raster = raster

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._raster)

    @property
    def metadata(self) -> dict[str, Any]:
        """What it says of itself."""
        return metadata_of(self._raster)

    def __getattr__(self, name: str) -> Any:
        return self.metadata if name == "attrs" and not hasattr(self._raster, name) else getattr(self._raster, name)

    def __getitem__(self, item: Any) -> Any:
        return self._raster[item]

    def __len__(self) -> int:
        return len(self._raster)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self._raster, dtype=dtype)

    def __fspath__(self) -> str:
        return str(self._raster)

    def __str__(self) -> str:
        return str(self._raster)
