"""What a region is: an entry of a scene's metadata, a function of places, or a polygon."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from pixelwise.errors import DispatchError
from pixelwise.raster.carriers import Raster
from pixelwise.raster.grid import as_crs, transform_xy
from pixelwise.regional.places import Places, places_of_raster, places_of_table
from pixelwise.regional.polygons import Polygons

__all__ = ["NamedRegions", "PolygonRegions", "Regions", "kept_region", "regions_of", "restored_region"]

_VECTOR_FILES = (".gpkg", ".shp", ".geojson", ".json", ".fgb", ".gml", ".kml", ".sqlite", ".parquet", ".zip")


class Regions:
    """What regions of either kind do: number the region of each row or pixel, -1 where it has none.

    Attributes
    ----------
    names : list
        Name of each region, by its number.
    """

    names: list[Any]

    def of_table(self, X: Any) -> np.ndarray:
        """Return the region of each row, as (n,) int32."""
        raise NotImplementedError

    def of_raster(self, raster: Raster) -> np.ndarray:
        """Return the region of each pixel, as (y, x) int32."""
        raise NotImplementedError

    def nearest(self, places: Places, regions: np.ndarray) -> np.ndarray:
        """Return which of some regions is nearest to each place, as (n,) int32."""
        raise NotImplementedError

    def nearest_to(self, region: int, regions: np.ndarray) -> int:
        """Return which of some regions is nearest to a region."""
        raise NotImplementedError

    def learn(self, X: Any) -> np.ndarray:
        """Take over what the training table tells, and return the region of each row."""
        return self.of_table(X)

    def places_of(self, X: Any, rows: np.ndarray) -> Places:
        """Return where some rows of a table are, in the CRS of the first scene among them."""
        xy, first = np.full((_n_rows(X), 2), np.nan), None
        for at, places in places_of_table(X, located=True):
            first = first or places.crs
            xy[at] = transform_xy(places.xy, places.crs, first)
        return Places(None, {}, xy[rows], first)

    def features(self, X: Any) -> Any:
        """Return a table without what only names regions."""
        return X.drop(columns=X.active_geometry_name) if hasattr(X, "active_geometry_name") else X


class PolygonRegions(Regions):
    """Regions by polygons: a row or a pixel belongs to the first polygon that its centre lies in.

    Parameters
    ----------
    region : GeoDataFrame, GeoSeries, or path
        Polygons.
    column : str or None
        Names them.
    """

    def __init__(self, region: Any, column: str | None) -> None:
        self.polygons = Polygons(region, column)
        self.names = self.polygons.names

    def of_table(self, X: Any) -> np.ndarray:
        """Return the region of each row."""
        found = np.full(_n_rows(X), -1, np.int32)
        for rows, places in places_of_table(X, located=True):
            found[rows] = self.polygons.at(places.xy, places.crs)
        return found

    def learn(self, X: Any) -> np.ndarray:
        """Return the region of each row of the training table, some of which must lie in one."""
        codes = self.of_table(X)
        if (codes < 0).all():
            raise DispatchError(
                f"none of {len(codes)} training pixels lies in any of {len(self.names)} regions: check that they cover the "
                "same place, and the CRS of both"
            )
        return codes

    def of_raster(self, raster: Raster) -> np.ndarray:
        """Return the region of each pixel."""
        return self.polygons.on_grid(raster.grid)

    def nearest(self, places: Places, regions: np.ndarray) -> np.ndarray:
        """Return the region of the nearest polygon."""
        return self.polygons.nearest(places.xy, places.crs, regions)

    def nearest_to(self, region: int, regions: np.ndarray) -> int:
        """Return the region whose polygons are nearest."""
        return self.polygons.nearest_to(region, regions)


class NamedRegions(Regions):
    """Regions by name: each scene's metadata, a column of a table, or a function says which.

    Parameters
    ----------
    region : str or callable
        What names them.
    names : list or None
        The regions; None learns them from the training table.
    """

    def __init__(self, region: str | Callable[[Places], Any], names: list[Any] | None = None) -> None:
        self.region = region
        self._set(names or [])
        #: Mean place of each region's training rows, for the nearest; in the CRS of the first scene.
        self.centres = np.empty((0, 2))
        self.crs: str | None = None

    def _set(self, names: list[Any]) -> None:
        self.names = names
        # As text, because the tags of files are.
        self._number = {str(name): number for number, name in enumerate(names)}

    def learn(self, X: Any) -> np.ndarray:
        """Take over the names of the table's regions and where they are, and return the region of each row."""
        labels = self._labels(X)
        named = labels[~np.asarray(pd.isna(labels))]
        self._set(sorted(dict(zip(map(str, named), named, strict=True)).values(), key=str))
        codes = self._codes(labels)
        xy, first = np.full((len(codes), 2), np.nan), None
        for rows, places in places_of_table(X, located=False):
            first = first or places.crs
            xy[rows] = transform_xy(places.xy, places.crs, first)
        self.crs = None if first is None else first.to_wkt()
        self.centres = np.array([xy[codes == number].mean(axis=0) for number in range(len(self.names))])
        return codes

    def features(self, X: Any) -> Any:
        """Return a table without the column that names regions."""
        X = super().features(X)
        return X.drop(columns=self.region) if self._is_column(X) else X

    def of_table(self, X: Any) -> np.ndarray:
        """Return the region of each row; -1 for names that were not learned."""
        return self._codes(self._labels(X))

    def of_raster(self, raster: Raster) -> np.ndarray:
        """Return the region of each pixel; -1 for names that were not learned."""
        label = self._label(places_of_raster(raster))
        shape = raster.grid.shape
        if not isinstance(label, np.ndarray):
            return np.full(shape, self._number.get(str(label), -1), np.int32)
        codes = np.empty(shape, np.int32)
        codes[np.divmod(np.arange(len(label)), shape[1])] = self._codes(label)
        return codes

    def nearest(self, places: Places, regions: np.ndarray) -> np.ndarray:
        """Return the region whose training rows are nearest in their mean."""
        centres = self._centres_of(regions)
        xy = transform_xy(places.xy, places.crs, as_crs(self.crs))
        best, found = np.full(len(xy), np.inf), np.zeros(len(xy), np.int32)
        # One after the other, so that of two as near the first is taken, and that memory does not grow with their number.
        for number, centre in zip(regions, centres, strict=True):
            distance = np.hypot(*(xy - centre).T)
            closer = distance < best
            best[closer], found[closer] = distance[closer], number
        return found

    def nearest_to(self, region: int, regions: np.ndarray) -> int:
        """Return the region whose training rows are nearest in their mean to those of a region."""
        apart = np.linalg.norm(self._centres_of(regions) - self._centres_of(np.array([region])), axis=1)
        return int(regions[apart.argmin()])

    def _centres_of(self, regions: np.ndarray) -> np.ndarray:
        centres = self.centres[regions] if len(self.centres) else np.full((1, 2), np.nan)
        if not np.isfinite(centres).all():
            raise DispatchError(
                "fallback='nearest' needs to know where regions are, and the training table has no coordinates: fit on a "
                "PixelTable from extract_pixels, or use fallback='global'"
            )
        return np.asarray(centres)

    def _is_column(self, X: Any) -> bool:
        return isinstance(self.region, str) and hasattr(X, "columns") and self.region in X.columns

    def _labels(self, X: Any) -> np.ndarray:
        if self._is_column(X):
            values = X[self.region]
            missing = np.asarray(pd.isna(values))
            if missing.any():
                raise DispatchError(
                    f"column {self.region!r} names no region in {missing.sum()} of {len(X)} rows: fill or drop them",
                    rows=np.flatnonzero(missing),
                )
            return np.asarray(values, dtype=object)
        labels = np.empty(_n_rows(X), object)
        for rows, places in places_of_table(X, located=callable(self.region)):
            labels[rows] = self._label(places)
        return labels

    def _label(self, places: Places) -> Any:
        """Return the name of the region of a scene, or an array of names, one a place."""
        if not callable(self.region):
            if self.region not in places.attrs:
                has = ", ".join(map(repr, places.attrs)) or "nothing"
                raise DispatchError(
                    f"the raster's metadata has no {self.region!r}, which names its region: set it, such as "
                    f"raster.attrs[{self.region!r}] = ..., before pixels are extracted, too; it has {has}",
                    key=self.region,
                )
            return places.attrs[self.region]
        label = self.region(places)
        if np.ndim(label) == 0:
            return label.item() if isinstance(label, np.ndarray) else label
        label = np.asarray(label, dtype=object).ravel()
        if len(label) != len(places):
            raise DispatchError(
                f"region= returned {len(label)} names for {len(places)} pixels: return one name, or one for each of places.xy"
            )
        return label

    def _codes(self, labels: np.ndarray) -> np.ndarray:
        known, at = np.unique(labels.astype(str), return_inverse=True)
        return np.array([self._number.get(str(name), -1) for name in known], np.int32)[at]


def regions_of(region: Any, column: str | None, names: list[Any] | None = None) -> Regions:
    """Return the regions that ``region=`` stands for.

    Parameters
    ----------
    region : str, callable, GeoDataFrame, GeoSeries or path
        A name of metadata, a function, or polygons.
    column : str or None
        Names polygons.
    names : list or None
        Regions that are known beforehand.

    Returns
    -------
    Regions

    Raises
    ------
    ValueError
        If it is none of these.
    """
    path = isinstance(region, Path) or (isinstance(region, str) and (Path(region).suffix.lower() in _VECTOR_FILES))
    if path or hasattr(region, "geometry"):
        return PolygonRegions(region, column)
    if isinstance(region, str) or callable(region):
        if column is not None:
            raise ValueError(f"column={column!r} names polygons, and region={region!r} is none: leave one of them out")
        return NamedRegions(region, names)
    raise ValueError(
        f"region of type {type(region).__name__} is not known: give the name of an entry of the metadata, polygons (a "
        "GeoDataFrame or a path), a function, or None for one region"
    )


def _n_rows(X: Any) -> int:
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)


def kept_region(region: Any, column: str | None) -> Any:
    """Return ``region=`` in a form that pickle and skops hold: polygons as text, with the column that names them."""
    if isinstance(region, Path):
        return str(region)
    if not hasattr(region, "geometry"):
        return region
    frame = region.to_frame("geometry") if isinstance(region, gpd.GeoSeries) else region
    return {
        "wkb": [None if shape is None else shape.wkb_hex for shape in frame.geometry],
        "crs": None if frame.crs is None else frame.crs.to_wkt(),
        "index": frame.index.tolist(),
        "column": frame[column].tolist() if column in frame.columns else None,
        "name": column,
    }


def restored_region(kept: Any) -> Any:
    """Return what `kept_region` was given; of polygons the geometries, their index and the column that names them."""
    if not isinstance(kept, dict) or "wkb" not in kept:
        return kept
    shapes = [None if text is None else shapely.from_wkb(text) for text in kept["wkb"]]
    names = {} if kept["column"] is None else {kept["name"]: kept["column"]}
    return gpd.GeoDataFrame(names, geometry=gpd.GeoSeries(shapes, crs=kept["crs"]).array, index=kept["index"], crs=kept["crs"])
