"""sample_pixels: the draw without a fit; and a sample kept as GeoParquet, so that it is drawn once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
from rasterio.crs import CRS

from pixelwise.catalog.geocatalog import GeoCatalog
from pixelwise.catalog.label_samplers import PointSampler
from pixelwise.catalog.labels import ReadLabel
from pixelwise.errors import ArtifactError, DependencyMissingError, LabelError
from pixelwise.raster.dates import TimeAxis, as_times
from pixelwise.raster.grid import Grid
from pixelwise.table.labels import read_vector
from pixelwise.table.missing import NanPolicy, as_policy
from pixelwise.table.pixels import PixelTable
from pixelwise.training.chips import ChipReader
from pixelwise.training.drawing import Source, draw_sample
from pixelwise.training.report import TrainingReport

__all__ = ["read_sample", "sample_pixels", "write_sample"]

_KEY = b"pixelwise"


def sample_pixels(
    catalog: GeoCatalog,
    X_pipeline: Any,
    labels: Any = None,
    *,
    column: str | None = None,
    sampler: Any = None,
    n_pixels: int | None = None,
    nan_policy: NanPolicy | str = "drop",
    group_band: int | str | None = None,
    groups: str | None = None,
    balance: bool = False,
    random_state: Any = None,
    n_jobs: int | None = None,
    progress: bool = False,
    memory: str | int = "4GB",
    on_error: str = "raise",
    report: TrainingReport | None = None,
) -> tuple[PixelTable, np.ndarray | None]:
    """Draw pixels from the scenes of a catalog, as `fit_pixelwise` does, without a fit.

    Parameters
    ----------
    catalog : GeoCatalog
        Scenes.
    X_pipeline : callable or None
        From a chip to features on its pixels; None takes the bands as they are.
    labels : callable, path of a vector file, GeoDataFrame, or None
        What reads labels, such as `ReadLabel`; or points or polygons for the whole catalog; or no labels.
    column : str or None
        Column of points or polygons with the label, numbers or text; None takes the only one there is, or "label".
    sampler : sampler or None
        What draws chips; None takes those of 256 x 256 pixels in which a point or polygon lies, or all.
    n_pixels : int or None
        Most pixels to draw; None takes all.
    nan_policy : NanPolicy or str, default="drop"
        What happens to pixels that lack data: "drop", "propagate" or "raise".
    group_band, groups, balance, random_state, n_jobs, progress, memory, on_error, report : object
        As for `fit_pixelwise`.

    Returns
    -------
    X : PixelTable of shape (n, n_features)
        ``X.scene`` is the row of the catalog; ``X.groups`` what `groups` says, else the scene.
    y : ndarray of shape (n,) or None
        Labels.

    Raises
    ------
    LabelError
        If the column is not known.

    See Also
    --------
    write_sample : Keeps it.
    extract_pixels : The same of rasters in memory, or named one by one.

    Examples
    --------
    >>> import pixelwise as pw
    >>> path, polygons = pw.datasets.make_example()
    >>> X, y = pw.sample_pixels(pw.open_catalog(path), None, polygons, column="class", n_pixels=4, random_state=0)
    >>> X, y
    (PixelTable(4 pixels x 4 bands: B02, B03, B04, B08), array(['forest', 'water', 'forest', 'forest'], dtype='<U6'))
    """
    names = None
    if labels is not None and not callable(labels):
        labels, names, features = _reading_vector(labels, column)
        sampler = PointSampler((256, 256), features, snap=True) if sampler is None else sampler
    policy = as_policy(nan_policy)
    if policy.on_input in ("impute", "auto"):
        raise ValueError(f"nan_policy={policy.on_input!r} depends on an estimator: choose 'drop', 'propagate' or 'raise'")
    reader = ChipReader(X_pipeline, labels, policy, group_band)
    source = Source(catalog, sampler, reader, groups, random_state, n_jobs, progress, on_error, report)
    sample = draw_sample(source, n_pixels, balance=balance, memory=memory)
    return sample.X, sample.y if names is None or sample.y is None else np.asarray(names)[sample.y]


def _reading_vector(labels: Any, column: str | None) -> tuple[ReadLabel, list[Any] | None, gpd.GeoDataFrame]:
    """Return what reads labels of a vector source, the names of text labels, and the features."""
    features = read_vector(labels, "labels", "for rasters give ReadLabel")
    found = [name for name in features.columns if name != features.active_geometry_name]
    if column is None:
        column = found[0] if len(found) == 1 else "label" if "label" in found else None
    if column not in found:
        raise LabelError(f"column={column!r} is none of the labels' columns: choose one of {', '.join(found)}")
    known = features[column].dropna()
    if pd.api.types.is_numeric_dtype(known):
        return ReadLabel(labels=features, column=column), None, features
    names = sorted(known.unique())
    return ReadLabel(labels=features, column=column, classes=names), names, features


def write_sample(path: Any, X: PixelTable, y: Any = None) -> Path:
    """Write a sample as GeoParquet: a point a pixel, which any GIS reads, and all that a `PixelTable` knows.

    Parameters
    ----------
    path : path
        Where; an existing file is replaced when the new one is whole.
    X : PixelTable
        Pixels.
    y : array-like of shape (n,) or None
        Labels, which become the column ``y``.

    Returns
    -------
    Path

    Raises
    ------
    ArtifactError
        If a feature has the name of another column, labels are not those of the pixels, or there is no such folder.
    DependencyMissingError
        If pyarrow is not installed.

    See Also
    --------
    read_sample : The way back.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np, pixelwise as pw
    >>> scene, polygons = pw.datasets.make_example()
    >>> X, y = pw.extract_pixels(scene, polygons, column="class")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again, labels = pw.read_sample(pw.write_sample(f"{folder}/sample.parquet", X, y))
    >>> again, bool((np.asarray(again) == np.asarray(X)).all() and (labels == y).all())
    (PixelTable(1200 pixels x 4 bands: B02, B03, B04, B08), True)
    """
    parquet: Any = _parquet()
    file = Path(path)
    if not isinstance(X, PixelTable):
        raise ArtifactError(f"a {type(X).__name__} does not know where its pixels are: give the PixelTable of sample_pixels")
    if y is not None and len(y) != len(X):
        raise ArtifactError(f"y has {len(y)} labels, and X {len(X)} pixels: give those of the same sample")
    if not file.parent.is_dir():
        raise ArtifactError(f"folder {file.parent} of {file.name} is missing: make it first")
    frame = X.to_geodataframe()
    more: dict[str, Any] = {"pixel": X.pixel}
    more |= {} if X.row_times is None else {"time": X.row_times}
    more |= {} if y is None else {"y": np.asarray(y)}
    taken = sorted(set(X.feature_names) & {*more, "group", "scene", "geometry"})
    if taken:
        raise ArtifactError(f"feature {taken[0]!r} has the name of a column of the sample: rename the band")
    axis = X.axis
    told = {
        "bands": None if X.band_names is None else list(X.band_names),
        "n_features": X.shape[1],
        "grids": [_grid_as_text(grid) for grid in X.grids],
        "axis": None if axis is None else [list(axis.bands), _times_as_text(axis.times), axis.n_times],
    }
    new = file.with_name(file.name + ".tmp")
    try:
        frame.assign(**more).to_parquet(new, index=False)
        table = parquet.read_table(new)
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), _KEY: json.dumps(told).encode()})
        parquet.write_table(table, new)
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)
    return file


def read_sample(path: Any) -> tuple[PixelTable, np.ndarray | None]:
    """Read a sample.

    Parameters
    ----------
    path : path
        What `write_sample` has written.

    Returns
    -------
    X : PixelTable
        As it was written.
    y : ndarray or None
        Labels, where there were any.

    Raises
    ------
    ArtifactError
        If it is no sample.
    DependencyMissingError
        If pyarrow is not installed.

    See Also
    --------
    write_sample : The way there, with an example.

    Examples
    --------
    >>> import pixelwise as pw
    >>> pw.read_sample("no-such-file.parquet")
    Traceback (most recent call last):
    ...
    pixelwise.errors.ArtifactError: no-such-file.parquet is no sample: name a file that write_sample has written
    """
    parquet = _parquet()
    try:
        table = parquet.read_table(path)
        told = json.loads((table.schema.metadata or {})[_KEY])
    except (OSError, KeyError, ValueError) as error:
        raise ArtifactError(f"{path} is no sample: name a file that write_sample has written") from error
    columns = {name: table.column(name).to_numpy() for name in table.column_names if name != "geometry"}
    names = told["bands"] or [f"band_{number}" for number in range(1, told["n_features"] + 1)]
    axis = told["axis"]
    X = PixelTable.from_values(
        np.column_stack([columns[name] for name in names]),
        [
            Grid(None if crs is None else CRS.from_wkt(crs), transform, height, width)
            for crs, transform, height, width in told["grids"]
        ],
        pixel=columns["pixel"],
        scene=columns["scene"],
        group=columns["group"],
        names=told["bands"],
        axis=None if axis is None else TimeAxis(tuple(axis[0]), as_times(axis[1]), axis[2]),
        row_times=columns["time"].astype("datetime64[ns]") if "time" in columns else None,
    )
    y = columns.get("y")
    return X, y.astype(str) if y is not None and y.dtype == object else y


def _parquet() -> Any:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise DependencyMissingError("a sample in GeoParquet needs pyarrow: install pixelwise[catalog]") from error
    return parquet


def _grid_as_text(grid: Grid) -> list[Any]:
    return [None if grid.crs is None else grid.crs.to_wkt(), list(grid.transform)[:6], grid.height, grid.width]


def _times_as_text(times: Any) -> list[Any] | None:
    if times is None:
        return None
    return list((times.astype(str) if times.dtype.kind == "M" else times).tolist())
