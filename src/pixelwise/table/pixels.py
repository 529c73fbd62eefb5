"""PixelTable: rows of pixels that scikit-learn can split, and that know where they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import geopandas as gpd
import joblib
import numpy as np
import pandas as pd
from rasterio.crs import CRS

from pixelwise.raster.dates import TimeAxis, check_same_dates, described
from pixelwise.raster.grid import Grid, transform_xy
from pixelwise.table.bands import band_order
from pixelwise.table.missing import NanPolicy
from pixelwise.table.store import Store

__all__ = ["PixelTable"]

#: What operators have made of all rows of a table; forgotten with the table.
_DERIVED: WeakKeyDictionary[Store, dict[str, Store]] = WeakKeyDictionary()


class PixelTable:
    """A row-indexable table of pixels of one raster or many, (n_pixels, n_bands), whose views are lazy.

    Indexing rows gives a view that copies nothing, so cross-validation costs an index a fold; `numpy.asarray` gathers the
    values. Each row knows its scene, its pixel, its coordinates and the label feature (polygon, point or raster) that it came
    from. Made by `extract_pixels`, or `from_values`.

    Parameters
    ----------
    store : object
        The rows; private.
    rows : ndarray of int or None
        Which of them this view shows; None shows all.

    See Also
    --------
    extract_pixels : Makes one from rasters and labels.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> scene, polygons = pw.datasets.make_example()
    >>> X, y = pw.extract_pixels(scene, polygons, column="class")
    >>> X.shape == (len(y), 4), X.feature_names
    (True, ('B02', 'B03', 'B04', 'B08'))
    >>> X[:3].xy.shape, X.crs.to_epsg()
    ((3, 2), 32633)
    """

    device = "cpu"

    def __init__(self, store: Store, rows: np.ndarray | None = None) -> None:
        self._store = store
        self._rows = rows
        self._own = False

    @classmethod
    def from_values(
        cls, values: np.ndarray, grids: Sequence[Grid], *, pixel: np.ndarray, scene: np.ndarray | None = None,
        group: np.ndarray | None = None, names: Sequence[str] | None = None, sources: Sequence[Any] | None = None,
        policy: NanPolicy | None = None, axis: TimeAxis | None = None, row_times: np.ndarray | None = None,
        scenes: Any = None,
    ) -> PixelTable:  # fmt: skip
        """Build a table from values and places.

        Parameters
        ----------
        values : ndarray of shape (n, n_bands)
            Floats; NaN where data is missing.
        grids : sequence of Grid
            Grid of each scene; coordinates are given in the CRS of the first.
        pixel : ndarray of int, shape (n,)
            Row-major number of each row's pixel in its scene.
        scene : ndarray of int, shape (n,), or None
            Which grid each row belongs to; None is the first.
        group : ndarray of int, shape (n,), or None
            The label feature of each row; None takes the scene.
        names : sequence of str or None
            Band names.
        sources : sequence of rasters or None
            The raster of each grid, so that operators that look at neighbours can read them.
        policy : NanPolicy or None
            What counted as missing when they were read.
        axis : TimeAxis or None
            Bands and dates that the columns are pairs of, where they are.
        row_times : ndarray of datetime64, shape (n,), or None
            Date of each row.
        scenes : sequence or None
            What knows the metadata of each grid's scene, such as a `GeoCatalog`; None takes `sources`.

        Returns
        -------
        PixelTable
        """
        scene = np.zeros(len(values), np.int32) if scene is None else np.asarray(scene, np.int32)
        group = scene.astype(np.int64) if group is None else np.asarray(group)
        named, kept = (None if given is None else tuple(given) for given in (names, sources))
        own, place = named if axis is None else axis.bands, np.asarray(pixel, np.int64)
        return cls(Store(values, named, tuple(grids), scene, place, group, kept, policy, (), own, axis, row_times, scenes))

    @classmethod
    def concat(cls, tables: Sequence[PixelTable]) -> PixelTable:
        """Put tables under each other; bands are brought into the order of the first by name.

        Parameters
        ----------
        tables : sequence of PixelTable
            Tables of the same bands. Groups keep their numbers: make them distinct first where they must not mix.

        Returns
        -------
        PixelTable

        Raises
        ------
        BandError
            If their bands differ.
        """
        first = tables[0]
        for number, table in enumerate(tables[1:], 1):
            check_same_dates(first._store.axis, table._store.axis, number)
        names, width = first._store.names, first.shape[1]
        values = [np.asarray(table)[:, band_order(names, table._store.names, table.shape[1], width)] for table in tables]
        offsets = np.cumsum([0, *(len(table._store.grids) for table in tables[:-1])])
        known = all(table._store.sources is not None and not table._store.steps for table in tables)
        told = not known and all(table.scenes is not None for table in tables)
        dated = [dates for table in tables if (dates := table.row_times) is not None]
        return cls.from_values(
            np.concatenate(values),
            [grid for table in tables for grid in table._store.grids],
            pixel=np.concatenate([table._take(table._store.pixel) for table in tables]),
            scene=np.concatenate([table.scene + offset for table, offset in zip(tables, offsets, strict=True)]),
            group=np.concatenate([table.groups for table in tables]),
            names=names,
            sources=[source for table in tables for source in table._store.sources or ()] if known else None,
            policy=first._store.policy,
            axis=first._store.axis,
            row_times=np.concatenate(dated) if len(dated) == len(tables) else None,
            scenes=[scene for table in tables for scene in table.scenes] if told else None,
        )

    @property
    def ndim(self) -> int:
        """Number of axes: rows and columns."""
        return 2

    @property
    def shape(self) -> tuple[int, int]:
        """Number of pixels and of bands."""
        n = len(self._store.values) if self._rows is None else len(self._rows)
        return n, int(self._store.values.shape[1])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the values."""
        return self._store.values.dtype

    @property
    def size(self) -> int:
        """Number of values."""
        return self.shape[0] * self.shape[1]

    @property
    def band_names(self) -> tuple[str, ...] | None:
        """Names of the bands; None where the rasters name none."""
        return self._store.names

    @property
    def base_bands(self) -> tuple[str, ...] | None:
        """Names of the bands of which the columns hold all dates, band after band; None where columns are bands."""
        return None if self._store.axis is None else self._store.axis.bands

    @property
    def times(self) -> np.ndarray | None:
        """Dates of the columns of each of `base_bands`, datetime64[ns], ascending; None where there are none."""
        return None if self._store.axis is None else self._store.axis.times

    @property
    def axis(self) -> TimeAxis | None:
        """Bands and dates that the columns are pairs of; None where columns are bands."""
        return self._store.axis

    @property
    def row_times(self) -> np.ndarray | None:
        """Date of each row, datetime64[ns]: of a scene that has one, or of tables with one row a pixel and date."""
        return None if self._store.row_time is None else self._take(self._store.row_time)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns, made up as ``band_1``, ``band_2`` ... where the rasters name none."""
        return self._store.names or tuple(f"band_{number}" for number in range(1, self.shape[1] + 1))

    @property
    def crs(self) -> CRS | None:
        """CRS of `xy`: that of the first raster."""
        return self._store.grids[0].crs

    @property
    def grids(self) -> tuple[Grid, ...]:
        """Grid of each scene that rows may come from."""
        return self._store.grids

    @property
    def sources(self) -> tuple[Any, ...] | None:
        """The raster of each grid; None where the values are not theirs any more."""
        return self._store.sources

    @property
    def scenes(self) -> Any:
        """What knows the metadata of each grid's scene: its raster, or its `Scene` of a catalog; None where nothing does."""
        return self._store.sources if self._store.scenes is None else self._store.scenes

    @property
    def source_names(self) -> tuple[str, ...] | None:
        """Names of the rasters' bands, before any operator."""
        return self._store.source_names

    @property
    def steps(self) -> tuple[Any, ...]:
        """Operators that have been applied since the values were read."""
        return self._store.steps

    @property
    def policy(self) -> NanPolicy | None:
        """What counted as missing when the values were read."""
        return self._store.policy

    @property
    def groups(self) -> np.ndarray:
        """The label feature (polygon, point or raster) of each row, for group splitters."""
        return self._take(self._store.group)

    @property
    def scene(self) -> np.ndarray:
        """Position in `grids` of the raster that each row came from."""
        return self._take(self._store.scene)

    @property
    def pixel(self) -> np.ndarray:
        """Row-major number of each row's pixel in its raster."""
        return self._take(self._store.pixel)

    @property
    def xy(self) -> np.ndarray:
        """Pixel centres in `crs`, shape (n, 2)."""
        xy, scene, pixel = np.empty((len(self), 2)), self.scene, self.pixel
        for number in np.unique(scene):
            here, grid = scene == number, self._store.grids[number]
            xy[here] = transform_xy(grid.pixel_xy(pixel[here]), grid.crs, self.crs)
        return xy

    def _take(self, array: np.ndarray) -> np.ndarray:
        return array if self._rows is None else array[self._rows]

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        values = self._take(self._store.values)
        if dtype is not None and values.dtype != dtype:
            return values.astype(dtype)
        return values.copy() if copy and self._rows is None else values

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, tuple):
            return self._select(key)
        if key[0] is Ellipsis:
            return np.asarray(self)[key]
        rows, *rest = (part for part in key if part is not Ellipsis)
        if not rest or (isinstance(rest[0], slice) and rest[0] == slice(None)):
            return self._select(rows)
        whole = isinstance(rows, slice) and rows == slice(None)
        return np.asarray(self)[:, rest[0]] if whole else np.asarray(self._select(rows))[..., rest[0]]

    def _select(self, rows: Any) -> Any:
        if isinstance(rows, int | np.integer):
            return self._take(self._store.values)[rows] if self._rows is None else self._store.values[self._rows[rows]]
        index = np.arange(len(self)) if self._rows is None else self._rows
        chosen = index[rows if isinstance(rows, slice) else np.asarray(rows, dtype=None if len(rows) else np.intp)]
        return PixelTable(self._store, chosen)

    def copy(self) -> PixelTable:
        """Return a table with values of its own; they alone can be set, as inspection tools do."""
        store = self._gathered()
        table = PixelTable(replace(store, values=store.values.copy()))
        table._own = True
        return table

    def __setitem__(self, key: Any, value: Any) -> None:
        if not self._own:
            raise TypeError("a PixelTable shares its values with other views: set them in X.copy()")
        self._store.values[key] = value

    def take(self, indices: Any, axis: int = 0, **_: Any) -> Any:
        """Return rows (axis 0, as a table) or columns (axis 1, as an array) by position."""
        return self._select(np.asarray(indices)) if axis == 0 else np.asarray(self)[:, indices]

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        return np

    def derived(self, step: Any, make: Callable[[PixelTable], tuple[Any, ...]]) -> PixelTable:
        """Return this view of the table that an operator makes of all rows; made once for all views of a table.

        Parameters
        ----------
        step : Operator
            What is applied.
        make : callable
            From the table of all rows to values (n, k), names of the columns, and their TimeAxis where they have one.

        Returns
        -------
        PixelTable
        """
        known = _DERIVED.setdefault(self._store, {})
        key = joblib.hash((type(step).__qualname__, step.get_params()))
        if key not in known:
            values, names, *axis = make(PixelTable(self._store))
            named = None if names is None else tuple(names)
            known[key] = replace(
                self._store, values=values, names=named, steps=(*self._store.steps, step), axis=axis[0] if axis else None
            )
        return PixelTable(known[key], self._rows)

    def with_groups(self, groups: Any) -> PixelTable:
        """Return the table with other groups.

        Parameters
        ----------
        groups : array-like of shape (n,)
            One id a row.

        Returns
        -------
        PixelTable
        """
        return PixelTable(replace(self._gathered(), group=np.asarray(groups)))

    def with_bands(self, values: np.ndarray, names: Sequence[str] | None) -> PixelTable:
        """Return the table with other values and band names, its rows and places kept.

        Parameters
        ----------
        values : ndarray of shape (n, k)
            One row for each row of the table.
        names : sequence of str or None
            Names of the k bands.

        Returns
        -------
        PixelTable
        """
        named = None if names is None else tuple(names)
        axis = self._store.axis if named is not None and named == self._store.names else None
        return PixelTable(replace(self._gathered(), values=values, names=named, sources=None, steps=(), axis=axis))

    def by_date(self) -> PixelTable:
        """Return the table with one row a pixel and date, one column a band: all pixels of the first date, then of the next.

        Returns
        -------
        PixelTable
            With `row_times`; its shape is (n_times * n, n_bands).

        Raises
        ------
        GridError
            If the table has no time axis.
        """
        return PixelTable(self._gathered().by_date())

    def _gathered(self) -> Store:
        return self._store if self._rows is None else self._store.rows(self._rows)

    def to_geodataframe(self) -> gpd.GeoDataFrame:
        """Return the table as points with one column a band, and the columns group and scene.

        Returns
        -------
        geopandas.GeoDataFrame
        """
        frame = pd.DataFrame(np.asarray(self), columns=list(self.feature_names))
        frame["group"], frame["scene"] = self.groups, self.scene
        crs = None if self.crs is None else self.crs.to_wkt()
        return gpd.GeoDataFrame(frame, geometry=gpd.points_from_xy(*self.xy.T), crs=crs)

    def __repr__(self) -> str:
        axis = self._store.axis
        if axis is not None:
            dates = described(axis.times) if axis.times is not None else f"{axis.n_times} dates"
            return f"PixelTable({self.shape[0]} pixels x {len(axis.bands)} bands x {dates}: {', '.join(axis.bands)})"
        return f"PixelTable({self.shape[0]} pixels x {self.shape[1]} bands: {', '.join(self.feature_names)})"
