"""Labels that lie beside scenes: read for each chip, on the pixels of the chip."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pyproj
import shapely

from pixelwise.catalog.facts import crs_text, footprint
from pixelwise.errors import BandError, CRSError, GridError, LabelError
from pixelwise.operators.base import Operator
from pixelwise.raster.carriers import Raster, is_raster, rewrap, unwrap
from pixelwise.raster.grid import Grid, as_crs
from pixelwise.raster.io import RasterFile, as_nan
from pixelwise.raster.metadata import metadata_of
from pixelwise.raster.onto import read_onto
from pixelwise.raster.open_files import use_file
from pixelwise.table.labels import find_in_vector, is_parquet, read_labels, read_vector

__all__ = ["ReadLabel"]

#: What marks pixels without a label among whole numbers and among codes of classes.
_NO_NUMBER, _NO_LARGE_NUMBER, _NO_CLASS = -(2**31), -(2**63), -1
_VECTORS = (".gpkg", ".shp", ".geojson", ".json", ".fgb", ".kml", ".gml", ".parquet", ".geoparquet")
#: Points along each side of a chip whose box is looked for in another CRS.
_ALONG = 101


class ReadLabel(Operator):
    """Read the labels of a chip: it looks up the scene's label file in the metadata, and gives labels on the chip's pixels.

    It takes a chip, or a whole scene, of a catalog, of which it uses the place and the metadata alone. Labels on another grid,
    or in another CRS, are brought to the chip's with nearest neighbour.

    Parameters
    ----------
    label_uri_field : str, default="label_uri"
        Column of the catalog with each scene's label file.
    band : str, int or None
        Band of a label raster: its name, or position from 0. A raster of one band need not name it. None takes the only one.
    column : str or None
        Column of a vector file with the label; then labels are polygons or points, and `band` names the band that comes out.
    classes : sequence or None
        Labels of a vector file, which become codes 0, 1, 2 ... in this order; others count as not labelled. Needed for text.
    labels : path, GeoDataFrame or None
        One source for all scenes, in place of a column of the catalog.
    all_touched : bool, default=False
        Take every pixel that a polygon touches, instead of those whose centre is inside.

    Raises
    ------
    LabelError
        When it is applied, if the scene has no label file, or one that lies elsewhere; the message names the scene.
    BandError
        If the label raster has no such band.

    See Also
    --------
    pixelwise.extract_pixels : Labels of rasters in memory.

    Examples
    --------
    >>> import pixelwise as pw
    >>> path, polygons = pw.datasets.make_example()
    >>> catalog = pw.open_catalog(path).assign(label_uri=str(polygons))
    >>> label = pw.ReadLabel(column="class", classes=["forest", "water"])
    >>> chip = pw.sampling.GridSampler((30, 80))(catalog)[0]
    >>> codes = label(chip.load())
    >>> codes.shape, int(codes.rio.nodata), sorted(set(codes.values.ravel().tolist()))
    ((1, 30, 80), -1, [-1, 0, 1])
    """

    def __init__(
        self,
        label_uri_field: str = "label_uri",
        band: str | int | None = None,
        column: str | None = None,
        classes: Sequence[Any] | None = None,
        labels: Any = None,
        all_touched: bool = False,
    ) -> None:
        self.label_uri_field = label_uri_field
        self.band = band
        self.column = column
        self.classes = classes
        self.labels = labels
        self.all_touched = all_touched

    def transform(self, X: Any) -> Any:
        """Read the labels of a raster.

        Parameters
        ----------
        X : raster of any carrier that has metadata
            A chip, or a scene.

        Returns
        -------
        raster of the type that came in
            One band. Labels of a raster keep its dtype and nodata; where it declares none and does not cover the chip, they
            are floats with NaN. Those of polygons are int16 with nodata -1 (codes), int32 with nodata -2147483648 (int64 with
            nodata -9223372036854775808 where one does not fit), or float64 with NaN. Pixels under polygons of different
            labels have none.
        """
        if not is_raster(X):
            return self._transform_table(X)
        raster = unwrap(X)
        return rewrap(self.read(metadata_of(X), raster.grid), X)

    def apply(self, raster: Raster) -> Raster:
        """Read the labels of a raster."""
        return self.read(raster.attrs, raster.grid)

    def _transform_table(self, X: Any) -> Any:
        raise GridError(
            "ReadLabel needs a place, and a table of pixels has lost it: apply it to a chip or a scene of a catalog"
        )

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the name of the band."""
        return np.array([self._name(None)], dtype=object)

    def read(self, metadata: Mapping[str, Any], grid: Grid) -> Raster:
        """Read the labels of a place, without the raster.

        Parameters
        ----------
        metadata : mapping
            That of a scene.
        grid : Grid
            Where the labels are wanted.

        Returns
        -------
        Raster
            Values of shape (1, y, x).
        """
        source = self.labels if self.labels is not None else metadata.get(self.label_uri_field)
        scene = metadata.get("id", "of unknown name")
        if source is None:
            raise LabelError(
                f"scene {scene} has no {self.label_uri_field!r} in its metadata: add this column to the catalog, "
                f"or set label_uri_field to one of {', '.join(metadata) or 'none'}"
            )
        if self.column is None and isinstance(source, str | os.PathLike) and str(source).lower().endswith(_VECTORS):
            raise LabelError(f"scene {scene}: labels {source} are a vector file: name its column, such as column='class'")
        if self.column is not None and is_parquet(source):
            known = Path(source)
            source = _kept(os.fspath(source), known.stat().st_mtime_ns if known.is_file() else 0)
        try:
            found, outline = self._from_vector(source, grid) if self.column is not None else self._from_raster(source, grid)
        except CRSError as error:
            raise CRSError(f"scene {scene}: {error}") from error
        if outline is not None:
            west, south, east, north = metadata.get("bbox", footprint(grid).bounds)
            if not shapely.box(west, south, east, north).intersects(outline):
                raise LabelError(f"labels {_named(source)} lie outside of scene {scene}: check {self.label_uri_field!r}")
        return found.with_values(found.values, attrs={**metadata, **found.attrs})

    def _name(self, own: str | None) -> str:
        return self.band if isinstance(self.band, str) else own or "label"

    def _from_raster(self, source: Any, grid: Grid) -> tuple[Raster, Any]:
        """Return the labels, and the outline of their file if none of them is there."""

        def read(file: RasterFile) -> tuple[Raster, Any]:
            """Return both from the open file."""
            raster = read_onto(file, grid, bands=[self._position(file)])
            if raster.mask is not None:
                raster = as_nan(raster)
            (nodata,) = raster.nodata
            missing = np.isnan(raster.values) if raster.values.dtype.kind == "f" else np.zeros((), bool)
            empty = bool((missing | (raster.values == nodata)).all())
            named = raster.with_values(raster.values, bands=(self._name(None if raster.bands is None else raster.bands[0]),))
            return named, footprint(file.grid) if empty and file.grid.crs is not None else None

        return use_file(source, read)

    def _position(self, file: RasterFile) -> int:
        names = file.bands or tuple(f"band_{number}" for number in range(1, file.n_bands + 1))
        if file.n_bands == 1 and (self.band is None or isinstance(self.band, str)):
            return 0
        if isinstance(self.band, int | np.integer) and -file.n_bands <= self.band < file.n_bands:
            return int(self.band) % file.n_bands
        if self.band not in names:
            raise BandError(
                f"labels {file.path} have no band {self.band!r}: set band= to one of {', '.join(names)}, or a position from 0",
                band=self.band,
            )
        return names.index(str(self.band))

    def _from_vector(self, source: Any, grid: Grid) -> tuple[Raster, Any]:
        near = source if isinstance(source, gpd.GeoDataFrame) else _features_near(source, grid)
        (features,) = read_labels(near, self.column, 1, 0.0)
        assert isinstance(features, gpd.GeoDataFrame)
        attrs: dict[str, Any] = {}
        if self.classes is not None:
            names = list(self.classes)
            features = features[features["label"].isin(names)]
            features = features.assign(label=[names.index(label) for label in features["label"]])
            attrs = {
                "flag_values": list(range(len(names))),
                "flag_meanings": " ".join(str(name).replace(" ", "_") for name in names),
            }
            attrs["class_names"] = [str(name) for name in names]
        kind, nodata = (np.int16, _NO_CLASS) if self.classes is not None else _number_kind(features["label"], self.column)
        values = np.full(grid.shape, nodata, kind)
        if len(features):
            found = find_in_vector(grid, features, self.all_touched)
            values.flat[found.pixel[found.labelled]] = found.label[found.labelled]
        empty = bool((np.isnan(values) if np.isnan(nodata) else values == nodata).all())
        return Raster(values[None], grid, (self._name(self.column),), (nodata,), attrs=attrs), _outline(
            source
        ) if empty else None


def _number_kind(labels: Any, column: str | None) -> tuple[Any, float]:
    if labels.dtype.kind in "iub":
        small = not len(labels) or (labels.min() > _NO_NUMBER and labels.max() < -_NO_NUMBER)
        return (np.int32, _NO_NUMBER) if small else (np.int64, _NO_LARGE_NUMBER)
    if labels.dtype.kind == "f":
        return np.float64, np.nan
    known = labels.dropna().tolist()
    if known:
        raise LabelError(
            f"labels in column {column!r} are text, such as {known[0]!r}: give classes=[...], whose order numbers them"
        )
    return np.float64, np.nan


def _features_near(source: Any, grid: Grid) -> gpd.GeoDataFrame:
    try:
        found = [gpd.read_file(source, bbox=box) for box in _boxes(source, grid)]
        return found[0] if len(found) == 1 else gpd.GeoDataFrame(pd.concat(found, ignore_index=True), crs=found[0].crs)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise LabelError(
            f"labels {source} cannot be read as a vector file: {error}; for a label raster leave column out"
        ) from error


def _boxes(source: Any, grid: Grid) -> list[tuple[float, float, float, float] | None]:
    """Return the boxes round a grid in the CRS of a file; two where it crosses the antimeridian, None where it is not known."""
    crs = as_crs(pyogrio.read_info(source)["crs"])
    if crs == grid.crs:
        return [grid.bounds]
    if crs is None or grid.crs is None:
        return [None]
    mover = pyproj.Transformer.from_crs(grid.crs.to_wkt(), crs.to_wkt(), always_xy=True)
    west, south, east, north = mover.transform_bounds(*grid.bounds, densify_pts=_ALONG)
    if not np.isfinite((west, south, east, north)).all():
        return [None]
    if west <= east:
        return [(west, south, east, north)]
    return [(west, south, 180.0, north), (-180.0, south, east, north)]


@functools.lru_cache(maxsize=8)
def _kept(source: str, _changed: int) -> gpd.GeoDataFrame:
    """Read GeoParquet once for many chips: it is read as a whole, where other files are asked for what is near."""
    return read_vector(source, "labels")


def _outline(source: Any) -> Any:
    """Return the box round a vector source in degrees, or None where it is not known."""
    if isinstance(source, gpd.GeoDataFrame):
        bounds, crs = source.total_bounds, as_crs(source.crs)
    else:
        info = pyogrio.read_info(source, force_total_bounds=True)
        bounds, crs = info["total_bounds"], as_crs(info["crs"])
    if crs is None or bounds is None or not np.isfinite(bounds).all():
        return None
    box = gpd.GeoSeries([shapely.box(*bounds)], crs=crs_text(crs))
    return box.to_crs("EPSG:4326").iloc[0]


def _named(source: Any) -> str:
    return f"of a {type(source).__name__}" if isinstance(source, gpd.GeoDataFrame) else str(source)
