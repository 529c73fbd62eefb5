"""From a DataArray to a Raster and back: dimensions, coordinates, CRS and nodata."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import rasterio
import rioxarray  # noqa: F401  (registers the .rio accessor)
import xarray as xr

from pixelwise.errors import GridError
from pixelwise.raster.carriers import Raster
from pixelwise.raster.grid import Grid

__all__ = ["TIME_DIMS", "from_dataarray", "grid_of", "nodata_of", "spatial_dims", "to_dataarray"]

_SPATIAL = (("y", "x"), ("latitude", "longitude"), ("lat", "lon"))
TIME_DIMS = ("time", "t", "date")
_NODATA = ("_FillValue", "missing_value", "nodata", "nodatavals")


def spatial_dims(obj: Any) -> tuple[str, str] | None:
    """Return the names of the row and column dimensions of a DataArray or Dataset, or None where it has none."""
    return next((pair for pair in _SPATIAL if pair[0] in obj.dims and pair[1] in obj.dims), None)


def grid_of(obj: Any) -> Grid:
    """Return the grid of a DataArray or Dataset.

    The coordinates decide, because a stored transform goes stale when an array is sliced; the stored one is taken where the
    two agree, since it is exact.

    Parameters
    ----------
    obj : xarray.DataArray or xarray.Dataset
        With row and column dimensions named y and x, latitude and longitude, or lat and lon.

    Returns
    -------
    Grid

    Raises
    ------
    GridError
        If the coordinates are not evenly spaced, or there are none.
    """
    dims = spatial_dims(obj)
    assert dims is not None
    height, width = (obj.sizes[dim] for dim in dims)
    if not height or not width:
        raise GridError(
            f"a raster of {height} x {width} pixels is empty: select a part that it has; where y falls, as in most rasters, "
            "that is sel(y=slice(top, bottom))"
        )
    stored = _stored_transform(obj)
    crs = obj.rio.crs
    if all(dim in obj.coords for dim in dims):
        y, x = (np.asarray(obj.coords[dim].values, dtype=float) for dim in dims)
        dx = _step(x, dims[1], stored.a if stored else None)
        dy = _step(y, dims[0], stored.e if stored else None)
        dx, dy = dx or abs(dy or 1.0), dy or -abs(dx or 1.0)
        found = Grid(crs, rasterio.Affine(dx, 0, x[0] - dx / 2, 0, dy, y[0] - dy / 2), height, width)
        exact = Grid(crs, stored, height, width) if stored and stored.is_rectilinear else None
        return exact if exact is not None and not found.differs_from(exact) else found
    if stored is not None and {"xc", "yc"} <= set(obj.coords) and obj.coords["xc"].ndim == 2:
        centre = stored @ (0.5, 0.5)
        shift = float(obj.coords["xc"].values[0, 0]) - centre[0], float(obj.coords["yc"].values[0, 0]) - centre[1]
        stored = rasterio.Affine(stored.a, stored.b, stored.c + shift[0], stored.d, stored.e, stored.f + shift[1])
    return Grid(crs, stored or rasterio.Affine.identity(), height, width)


def _stored_transform(obj: Any) -> rasterio.Affine | None:
    text = obj.coords[obj.rio.grid_mapping].attrs.get("GeoTransform") if obj.rio.grid_mapping in obj.coords else None
    return rasterio.Affine.from_gdal(*np.fromstring(str(text), sep=" ").tolist()) if text else None


def _step(centres: np.ndarray, dim: str, stored: float | None) -> float | None:
    if len(centres) == 1:
        return stored
    step = float(centres[-1] - centres[0]) / (len(centres) - 1)
    if step == 0 or not np.allclose(np.diff(centres), step, rtol=0, atol=abs(step) * 1e-2):
        raise GridError(f"coordinate {dim!r} is not evenly spaced: resample the raster to a regular grid first", dim=dim)
    return step


def _order(obj: xr.DataArray) -> tuple[Hashable, ...]:
    """Return the dimensions of an array in the order (band, time, y, x)."""
    dims = spatial_dims(obj)
    assert dims is not None
    rest = [dim for dim in obj.dims if dim not in dims]
    time = [dim for dim in rest if str(dim).lower() in TIME_DIMS]
    band = [dim for dim in rest if dim not in time]
    if len(time) > 1 or len(band) > 1:
        raise GridError(f"dimensions {obj.dims} are no (band, y, x) or (band, time, y, x): select along the others first")
    return (*band, *time, *dims)


def from_dataarray(array: xr.DataArray) -> Raster:
    """Take a DataArray apart.

    Parameters
    ----------
    array : xarray.DataArray
        Dimensions (y, x), (band, y, x) or (band, time, y, x) in any order; the band dimension may have any name.

    Returns
    -------
    Raster
        Its values are a dask array where the array's are.

    Raises
    ------
    GridError
        If the dimensions or coordinates are those of no regular raster.
    """
    order = _order(array)
    ordered = array if order == array.dims else array.transpose(*order)
    times = next((tuple(array[dim].values) for dim in order if str(dim).lower() in TIME_DIMS and dim in array.coords), None)
    values = ordered.data if array.chunks is not None else ordered.values
    if len(order) == 3 and str(order[0]).lower() in TIME_DIMS:
        values = values[None]
        band = None
    else:
        band = order[0] if len(order) > 2 else None
    nodata = nodata_of(array)
    attrs = {key: value for key, value in array.attrs.items() if key not in _NODATA}
    return Raster(
        values, grid_of(array), _band_names(array, band), () if nodata is None else (nodata,), times=times, attrs=attrs
    )


def nodata_of(array: xr.DataArray, told: Mapping[Hashable, Any] | None = None) -> float | None:
    """Return the value that marks missing data in an array; None where none is declared that its dtype can hold.

    Attributes that are `told` besides, such as those of the Dataset that it stands in, count where it declares none itself.
    """
    try:
        nodata = array.rio.nodata
        if nodata is None and told:
            nodata = array.assign_attrs({key: told[key] for key in _NODATA if key in told}).rio.nodata
    # Attributes outlive arithmetic: (ndvi > 0.5).astype("uint8") still declares NaN.
    except (ValueError, OverflowError):
        return None
    return None if nodata is None else float(nodata)


def _band_names(array: xr.DataArray, band: Hashable | None) -> tuple[str, ...] | None:
    if band is None:
        return None
    labels = array.coords[band].values.tolist() if band in array.coords else []
    if labels and labels != list(range(1, len(labels) + 1)):
        names = tuple(str(label) for label in labels)
    else:
        long_name = array.attrs.get("long_name")
        names = tuple(str(name) for name in long_name) if isinstance(long_name, tuple | list) else ()
    return names if len(names) == array.sizes[band] == len(set(names)) else None


def to_dataarray(raster: Raster, like: xr.DataArray | xr.Dataset | None = None, name: Hashable | None = None) -> xr.DataArray:
    """Build a DataArray from a raster.

    Parameters
    ----------
    raster : Raster
        What to wrap.
    like : xarray.DataArray, xarray.Dataset or None
        Its spatial coordinates, and its dimension names and order where they apply, are kept.
    name : str or None
        Name of the array.

    Returns
    -------
    xarray.DataArray
        With CRS, transform and nodata under ``.rio``, and class names as CF ``flag_values`` and ``flag_meanings``.
    """
    rows, cols = (spatial_dims(like) if like is not None else None) or ("y", "x")
    order: tuple[Hashable, ...] = _order(like) if isinstance(like, xr.DataArray) else ()
    extra = [dim for dim in order if dim not in (rows, cols)]
    band = next((dim for dim in extra if str(dim).lower() not in TIME_DIMS), "band")
    time = next((dim for dim in extra if str(dim).lower() in TIME_DIMS), "time")
    values, ndim = raster.values, raster.values.ndim
    if extra == [time] and ndim == 4 and raster.n_bands == 1:
        values, ndim = values[0], 3
        dims: tuple[Hashable, ...] = (time, rows, cols)
    else:
        own = () if ndim < raster.cube.ndim else (band,)
        dims = (*own, *((time,) if raster.cube.ndim > 3 else ()), rows, cols)
    kept = like if like is not None and not grid_of(like).differs_from(raster.grid) else None
    coords = _coords(raster, kept, (rows, cols), dims)
    attrs = {key: value for key, value in raster.attrs.items() if key not in _NODATA}
    array = xr.DataArray(values, dims=dims, coords=coords, attrs=attrs, name=name)
    if raster.bands is not None and band in dims:
        array = array.assign_coords({band: list(raster.bands)})
    elif isinstance(like, xr.DataArray) and band in dims and band in like.coords and like.sizes[band] == raster.n_bands:
        array = array.assign_coords({band: like.coords[band]})
    elif like is None and band in dims:
        array = array.assign_coords({band: np.arange(1, raster.n_bands + 1)})
    if raster.times is not None and time in dims and time not in array.coords:
        array = array.assign_coords({time: list(raster.times)})
    array = _with_georeference(array, raster.grid, kept)
    # Else a lazy one has the name of its dask array.
    array.name = name
    if raster.nodata[0] is not None:
        array.attrs["_FillValue"] = np.dtype(array.dtype).type(raster.nodata[0])
    if isinstance(like, xr.DataArray) and set(like.dims) == set(dims) and like.dims != dims:
        array = array.transpose(*like.dims)
    return array


def _coords(raster: Raster, kept: Any, spatial: tuple[str, str], dims: tuple[Hashable, ...]) -> dict[Hashable, Any]:
    if kept is not None:
        used = {dim for dim in dims if dim in spatial or (str(dim).lower() in TIME_DIMS and _same_dates(raster, kept, dim))}
        return {key: coord for key, coord in kept.coords.items() if set(coord.dims) <= used}
    if not raster.grid.is_rectilinear or not raster.grid.is_georeferenced:
        return {}
    at = raster.grid.transform
    x = at.c + at.a * (np.arange(raster.grid.width) + 0.5)
    y = at.f + at.e * (np.arange(raster.grid.height) + 0.5)
    return {spatial[0]: y, spatial[1]: x}


def _same_dates(raster: Raster, kept: Any, dim: Hashable) -> bool:
    """Whether the dates of a raster are those of an array, so that what the array says of each date holds."""
    return raster.times is None or (dim in kept.coords and tuple(kept.coords[dim].values) == tuple(raster.times))


def _with_georeference(array: xr.DataArray, grid: Grid, kept: Any) -> xr.DataArray:
    if kept is None and not grid.is_georeferenced:
        return array
    if kept is not None and kept.rio.grid_mapping in kept.coords:
        mapping = kept.rio.grid_mapping
        array.encoding["grid_mapping"] = mapping
    elif kept is not None:
        return array
    if grid.crs is not None:
        array = array.rio.write_crs(grid.crs)
    placed: xr.DataArray = array.rio.write_transform(grid.transform)
    return placed
