"""Where a map will be predicted: places of a prediction domain, sampled and seeded."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
from rasterio.crs import CRS
from sklearn.utils import check_random_state

from pixelwise.errors import CRSError, FoldError
from pixelwise.raster.grid import as_crs, crs_name, transform_xy
from pixelwise.raster.io import open_source
from pixelwise.table.missing import NanPolicy
from pixelwise.table.pixels import PixelTable
from pixelwise.table.reading import gather

__all__ = ["domain_points"]

_POINTS = {"Point"}


def domain_points(domain: Any, crs: CRS | None, n: int, random_state: Any = None) -> np.ndarray:
    """Return places of a prediction domain.

    Parameters
    ----------
    domain : array-like of shape (m, 2), GeoDataFrame, PixelTable, or raster of any carrier
        Coordinates in `crs`; points; polygons, such as the footprint of a catalog; or a raster, whose pixels that have data
        are meant.
    crs : rasterio.crs.CRS or None
        CRS of the samples, in which places are returned.
    n : int
        Most places that are drawn from polygons and rasters; all pixels where a raster has no more.
    random_state : int, RandomState or None
        Seed of the draw.

    Returns
    -------
    ndarray of shape (m, 2)

    Raises
    ------
    FoldError
        If the domain is missing, empty, or has coordinates that are not finite.
    CRSError
        If its CRS and that of the samples cannot be brought together.
    """
    if domain is None:
        raise FoldError(
            "prediction_domain is missing: give the raster that will be predicted, its coordinates (m, 2), or a GeoDataFrame"
        )
    if isinstance(domain, PixelTable):
        xy, own = domain.xy, domain.crs
    elif hasattr(domain, "geometry") and hasattr(domain, "crs"):
        xy, own = _of_geometry(domain, n, random_state), as_crs(domain.crs)
    elif _is_coordinates(domain):
        xy, own = np.asarray(domain, dtype=float), crs
    else:
        xy, own = _of_raster(domain, n, random_state)
    if not len(xy):
        raise FoldError("prediction_domain holds no place: check that the raster has valid pixels, or the list its rows")
    bad = ~np.isfinite(xy).all(axis=1)
    if bad.any():
        raise FoldError(
            f"{bad.sum()} of {len(xy)} places of prediction_domain have no coordinates, the first is row {np.argmax(bad)}: "
            "drop them first"
        )
    if own != crs and (own is None or crs is None):
        raise CRSError(
            f"samples have CRS {crs_name(crs)} and prediction_domain has CRS {crs_name(own)}: set the missing one, "
            "on the raster, or as crs= of the splitter",
            crs=(crs, own),
        )
    return transform_xy(xy, own, crs)


def _is_coordinates(domain: Any) -> bool:
    if isinstance(domain, list | tuple):
        return True
    return isinstance(domain, np.ndarray) and domain.ndim == 2 and domain.shape[1] == 2


def _of_geometry(domain: Any, n: int, random_state: Any) -> np.ndarray:
    shapes = gpd.GeoSeries(domain.geometry)
    if shapes.is_empty.any() or shapes.isna().any():
        raise FoldError("prediction_domain has empty geometries: drop them first")
    if not set(shapes.geom_type) <= _POINTS:
        # Of the whole, so that scenes that overlap count once.
        whole = gpd.GeoSeries([shapes.union_all()], crs=shapes.crs)
        seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
        shapes = whole.sample_points(n, rng=np.random.default_rng(seed)).explode(index_parts=False)
    return np.column_stack([shapes.x, shapes.y])


def _of_raster(domain: Any, n: int, random_state: Any) -> tuple[np.ndarray, CRS | None]:
    """Draw pixels that have data, without reading what is not drawn."""
    random, policy = check_random_state(random_state), NanPolicy("propagate")
    with open_source(domain) as source:
        size = source.grid.size
        order = random.permutation(size) if size <= 50 * n else _distinct(random, size, 20 * n)
        chosen: list[np.ndarray] = []
        start, missing = 0, n
        while missing > 0 and start < len(order):
            pixel = np.sort(order[start : start + max(2 * missing, 1000)])
            start += len(pixel)
            valid = pixel[~np.isnan(gather(source, pixel, policy)).all(axis=1)]
            valid = valid if len(valid) <= missing else np.sort(random.permutation(valid)[:missing])
            chosen.append(valid)
            missing -= len(valid)
        pixels = np.concatenate(chosen) if chosen else np.empty(0, int)
        return source.grid.pixel_xy(pixels), source.grid.crs


def _distinct(random: np.random.RandomState, size: int, n: int) -> np.ndarray:
    drawn = np.unique(random.randint(0, size, n, dtype=np.int64))
    return np.asarray(random.permutation(drawn))
