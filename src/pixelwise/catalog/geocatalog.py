"""GeoCatalog: a table of scenes that can be asked, split and kept."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from pixelwise.catalog.dates import as_time, time_range, time_spans
from pixelwise.catalog.facts import FACTS, degrees_of, in_degrees, scene_name
from pixelwise.catalog.parquet import as_marks, is_known, paths_in, write_frame
from pixelwise.catalog.scene import Scene
from pixelwise.catalog.series import series_rows
from pixelwise.catalog.split import split_scenes
from pixelwise.catalog.stac_items import write_items
from pixelwise.errors import CatalogError, CRSError
from pixelwise.raster.grid import Grid
from pixelwise.raster.mosaic import write_mosaic

__all__ = ["GeoCatalog"]

_NEEDED = ("uri", "crs", "transform", "height", "width")


class GeoCatalog:
    """Scenes, one a row: where their files and pixels are, when they were taken, and whatever else is known of them.

    `open_catalog` makes one. It holds no pixels, and is never changed: each method returns a new one.

    Parameters
    ----------
    frame : GeoDataFrame
        With a geometry (the outline of each scene), ``uri`` (a path or URL; or a mapping of band to it), ``crs``, ``transform``
        (six numbers), ``height`` and ``width``, and, where they are known, ``id``, ``datetime`` (UTC, without a time zone),
        ``bands``, ``dtype``, ``nodata`` and ``block_shape``. All other columns are metadata of the scenes.
    unreadable : mapping of str to str, or None
        Files that are not in the catalog because they cannot be used, and why.

    Attributes
    ----------
    frame : GeoDataFrame
        The rows, in EPSG:4326.
    unreadable : dict of str to str
        As given.

    Raises
    ------
    CatalogError
        If a column is missing.
    CRSError
        If the geometry has no CRS.

    See Also
    --------
    open_catalog : From files, folders, GeoParquet or STAC.

    Examples
    --------
    >>> import pixelwise as pw
    >>> path, _ = pw.datasets.make_example()
    >>> catalog = pw.open_catalog(path).assign(tile="33UUU", cloud_cover=12)
    >>> catalog
    GeoCatalog(1 scene, EPSG:32633, bands B02, B03, B04, B08)
    >>> catalog.filter(cloud_cover=lambda percent: percent < 20).tiles()
    ['33UUU']
    >>> catalog[0].metadata["tile"]
    '33UUU'
    """

    def __init__(self, frame: gpd.GeoDataFrame, unreadable: Mapping[str, str] | None = None) -> None:
        lacking = [name for name in _NEEDED if name not in frame.columns]
        if lacking or not isinstance(frame, gpd.GeoDataFrame) or frame.active_geometry_name is None:
            what = f"columns {', '.join(lacking)}" if lacking else "a geometry"
            raise CatalogError(f"a catalog needs {what}: make it with open_catalog(frame), which reads them from the files")
        if frame.crs is None:
            raise CRSError(
                "the catalog's geometry has no CRS: set it with frame.set_crs(...), EPSG:4326 for longitude and latitude"
            )
        frame = in_degrees(frame)
        frame = frame.reset_index(drop=True)
        if "id" not in frame.columns:
            frame["id"] = [scene_name(uri) for uri in frame["uri"]]
        times = [as_time(value) for value in frame["datetime"]] if "datetime" in frame.columns else [None] * len(frame)
        frame["datetime"] = pd.Series(times, index=frame.index, dtype="datetime64[ns]")
        for name in paths_in(frame):
            frame[name] = [os.fspath(path) if isinstance(path, os.PathLike) else path for path in frame[name]]
        if "nodata" in frame.columns:
            frame["nodata"] = pd.Series([as_marks(value) for value in frame["nodata"]], index=frame.index, dtype=object)
        self.frame = frame
        self.unreadable = dict(unreadable or {})

    def __len__(self) -> int:
        return len(self.frame)

    def __iter__(self) -> Iterator[Scene]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> Scene:
        if not isinstance(number, int | np.integer):
            raise TypeError(f"catalog[{number!r}]: give the number of a scene; catalog.filter, .query and .take choose several")
        if not -len(self) <= number < len(self):
            raise IndexError(f"catalog[{number}]: it has {len(self)} scenes")
        row: dict[str, Any] = {name: self.frame[name].iat[number] for name in self.frame.columns}
        bands: Any = row.get("bands")
        block: Any = row.get("block_shape")
        times: Any = row.get("times")
        marks: Any = as_marks(row.get("nodata"))
        told = {key: _plain(value) for key, value in row.items() if key not in FACTS and key != "geometry"}
        told["bbox"] = tuple(map(float, row["geometry"].bounds))
        return Scene(
            row["uri"],
            Grid(row["crs"], row["transform"], row["height"], row["width"]),
            {key: value for key, value in told.items() if value is not None},
            tuple(bands) if is_known(bands) else None,
            (int(block[0]), int(block[1])) if is_known(block) else None,
            row["resampling"] if is_known(row.get("resampling")) else "nearest",
            tuple(times) if is_known(times) else None,
            None if marks is None else tuple(float(mark) if is_known(mark) else None for mark in marks),
        )

    def __repr__(self) -> str:
        if not len(self):
            return "GeoCatalog(0 scenes)"
        crs = self.frame["crs"].unique()
        parts = [f"{len(self)} scene{'' if len(self) == 1 else 's'}", crs[0][:20] if len(crs) == 1 else f"{len(crs)} CRSs"]
        times = self.frame["datetime"].dropna()
        if len(times):
            first, last = (f"{time:%Y-%m-%d}" for time in (times.min(), times.max()))
            parts.append(first if first == last else f"{first} to {last}")
        bands = {tuple(names) if is_known(names) else None for names in self.frame.get("bands", [None])}
        named = next(iter(bands)) if len(bands) == 1 else None
        return f"GeoCatalog({', '.join(parts)}{', bands ' + ', '.join(named) if named else ''})"

    def take(self, rows: Any) -> GeoCatalog:
        """Return some of the scenes.

        Parameters
        ----------
        rows : slice, array-like of int, or array-like of bool
            Which.

        Returns
        -------
        GeoCatalog
        """
        return GeoCatalog(self.frame.iloc[rows if isinstance(rows, slice) else np.asarray(rows)], self.unreadable)

    def filter(self, **columns: Any) -> GeoCatalog:
        """Return the scenes whose columns have certain values.

        Parameters
        ----------
        **columns : value, list of values, or callable
            For each column the value; several of which one must be met; or a function of the value that says yes or no, which
            is not asked where the value is missing.

        Returns
        -------
        GeoCatalog
            It may be empty.

        Raises
        ------
        CatalogError
            If a column does not exist.
        """
        keep = np.ones(len(self), bool)
        for name, wanted in columns.items():
            values = self._column(name)
            if callable(wanted):
                keep &= [bool(wanted(value)) if is_known(value) else False for value in values]
            else:
                keep &= values.isin(list(wanted) if pd.api.types.is_list_like(wanted) else [wanted]).to_numpy()
        return self.take(keep)

    def query(
        self, *, bounds: Sequence[float] | None = None, geometry: Any = None, datetime: Any = None, crs: Any = "EPSG:4326"
    ) -> GeoCatalog:
        """Return the scenes at a place, in a time.

        Parameters
        ----------
        bounds : (float, float, float, float) or None
            Left, bottom, right and top that a scene's outline must touch.
        geometry : shapely geometry, GeoSeries, GeoDataFrame, or None
            What a scene's outline must touch; GeoSeries and GeoDataFrames bring their CRS.
        datetime : str, date, (start, end), or None
            A time, a day, a month ("2024-06") or a year, or two of them with a slash between ("2024-06/2024-08"), each in
            whole; ".." leaves a side open. A scene with the columns `start_datetime` and `end_datetime`, as composites have
            them in STAC, is of all the time between. Scenes without a date are left out.
        crs : object, default="EPSG:4326"
            CRS of `bounds` and of a bare geometry; as it stands longitude and latitude in degrees.

        Returns
        -------
        GeoCatalog
            It may be empty.
        """
        keep = np.ones(len(self), bool)
        shapes: list[tuple[Any, Any]] = []
        if bounds is not None:
            if np.shape(bounds) != (4,):
                raise CatalogError(f"bounds={bounds!r} are none: give left, bottom, right and top, in this order")
            left, bottom, right, top = bounds
            if left > right or bottom > top:
                raise CatalogError(f"bounds={tuple(bounds)} are empty: give left, bottom, right and top, in this order")
            shapes.append((shapely.box(left, bottom, right, top), crs))
        if geometry is not None:
            own = isinstance(geometry, gpd.GeoSeries | gpd.GeoDataFrame)
            shapes.append((shapely.union_all(geometry.geometry.to_numpy()), geometry.crs) if own else (geometry, crs))
        for shape, where in shapes:
            if where is None:
                raise CRSError("the geometry has no CRS: set it with set_crs(...)")
            if not isinstance(shape, shapely.Geometry):
                raise CatalogError(f"geometry={shape!r} is no geometry: give one of shapely, a GeoSeries or a GeoDataFrame")
            keep &= shapely.intersects(self.frame.geometry.to_numpy(), degrees_of(shape, where))
        if datetime is not None:
            (start, end), (first, last) = time_range(datetime), time_spans(self.frame)
            keep &= ((first <= end) & (last >= start)).to_numpy()
        return self.take(keep)

    def tiles(self, column: str = "tile") -> list[Any]:
        """Return the different values of a column, sorted.

        Parameters
        ----------
        column : str, default="tile"
            Which.

        Returns
        -------
        list

        Raises
        ------
        CatalogError
            If the column does not exist.
        """
        return sorted(self._column(column).dropna().unique().tolist())

    def assign(self, **columns: Any) -> GeoCatalog:
        """Return the catalog with more columns, or others.

        Parameters
        ----------
        **columns : value, sequence of values, or callable
            For each column one value for all scenes, one for each, or a function of the `Scene`.

        Returns
        -------
        GeoCatalog
        """
        made = {name: [how(scene) for scene in self] if callable(how) else how for name, how in columns.items()}
        return GeoCatalog(self.frame.assign(**made), self.unreadable)

    def split(
        self, test_size: float = 0.25, *, by: str | None = None, max_overlap: float = 0.01, random_state: Any = None
    ) -> tuple[GeoCatalog, GeoCatalog]:
        """Split the scenes for training and testing, so that no place is on both sides.

        Parameters
        ----------
        test_size : float or int, default=0.25
            Share of the scenes for testing, or their number; met as closely as whole groups allow.
        by : str or None
            Column whose equal values stay on one side; None takes ``tile`` where there is such a column.
        max_overlap : float, default=0.01
            Share of the smaller one that two scenes may have in common and still be parted; 1 lets all of them be.
        random_state : int, RandomState or None
            Seed of the draw.

        Returns
        -------
        train, test : GeoCatalog

        Raises
        ------
        CatalogError
            If there are fewer than two groups.
        """
        if by is None and "tile" in self.frame.columns:
            by = "tile"
        values = None if by is None else self._column(by)
        test = split_scenes(self.frame.geometry.to_numpy(), values, test_size, max_overlap, random_state)
        return self.take(~test), self.take(test)

    def stack(self, by: str = "tile") -> GeoCatalog:
        """Return a catalog of series: the dates of each tile as one scene, which loads as (band, time, y, x).

        The series lies on the grid of its first date; dates on others are brought to it with nearest neighbour.

        Parameters
        ----------
        by : str, default="tile"
            Column whose equal values are one place; it becomes the ``id``.

        Returns
        -------
        GeoCatalog
            With the other columns of each first date.

        Raises
        ------
        CatalogError
            If a scene has no date, or the dates of a tile have different bands.
        """
        rows = series_rows(self.frame, by, self.tiles(by))
        return GeoCatalog(gpd.GeoDataFrame(rows, geometry="geometry", crs=self.frame.crs), self.unreadable)

    def to_parquet(self, path: Any) -> None:
        """Write the catalog as GeoParquet, which `open_catalog` reads without opening a file of the scenes.

        Relative paths that lie below the folder of the file stay relative to it, so that the folder can be moved; others are
        written whole. So are those in columns such as ``label_uri``.

        Parameters
        ----------
        path : path
            Where; an existing file is replaced when the new one is whole.

        Raises
        ------
        CatalogError
            If it cannot be written there.
        DependencyMissingError
            If pyarrow is not installed.
        """
        write_frame(self.frame, path)

    def to_stac(self, path: Any, *, beside: bool = False) -> None:
        """Write the catalog as a collection of STAC items, which `open_catalog` reads.

        Each scene is an item with its metadata as properties, its date, its outline, and its file as an asset with the fields
        of the projection extension; ``source_uri`` becomes a link "derived_from".

        Parameters
        ----------
        path : path
            Where, ending in .json or .geojson; an existing file is replaced.
        beside : bool, default=False
            Whether each item is written beside its file too, as the file's name with .json.

        Raises
        ------
        CatalogError
            If a scene has no date, or is a series of dates.
        DependencyMissingError
            If pystac is not installed.
        """
        write_items(((self[number], self.frame.iloc[number]) for number in range(len(self))), path, beside)

    def to_mosaic(self, path: Any) -> None:
        """Write a mosaic of all scenes, which holds no pixels and opens like a raster; where scenes overlap the last is on top.

        Parameters
        ----------
        path : path
            Ending in .vrt, for scenes of one CRS and resolution; or in .gti.gpkg, a tile index of GDAL from 3.9 on, which
            brings scenes to the CRS and resolution of the first, and is faster with thousands of them.

        Raises
        ------
        CatalogError
            If there is no scene, or one is not a single file.
        GridError, BandError, FillValueError
            If the scenes do not go together.
        """
        several = next((scene.id for scene in self if not isinstance(scene.uri, str)), None)
        if several is not None or not len(self):
            what = "the catalog is empty" if several is None else f"scene {several} has several files"
            raise CatalogError(f"{what}, and a mosaic is of scenes of one file each, such as the maps of a CatalogPipeline")
        write_mosaic(self.frame["uri"].tolist(), path)

    def _column(self, name: str) -> pd.Series:
        if name not in self.frame.columns:
            raise CatalogError(
                f"the catalog has no column {name!r}: choose one of {', '.join(self.frame.columns)}", column=name
            )
        return self.frame[name]


def _plain(value: Any) -> Any:
    """Return a value as Python's own, which every carrier and file format takes; None where it is missing."""
    if not is_known(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    return value.item() if isinstance(value, np.generic) else value
