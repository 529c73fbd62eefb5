"""Scenes of a catalog, of one file or several, read window by window as a raster file is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Protocol

from rasterio.windows import Window

from pixelwise.catalog.facts import facts_of_bands
from pixelwise.catalog.scene import Scene
from pixelwise.errors import BandError
from pixelwise.raster.carriers import Raster, is_raster, unwrap
from pixelwise.raster.grid import Grid
from pixelwise.raster.io import open_source
from pixelwise.raster.mosaic_file import Mosaic

__all__ = ["SceneSource", "Source", "files_read", "source_of"]

#: Rows and columns of a chip of a scene whose blocks are not known.
_BLOCK = (256, 256)


class Source(Protocol):
    """What is read window by window: a file, a raster in memory, a scene."""

    path: Any
    grid: Grid
    bands: tuple[str, ...] | None
    nodata: tuple[float | None, ...]
    n_bands: int
    n_times: int | None
    dtype: str
    block_shape: tuple[int, int]
    tags: dict[str, Any]

    def read(self, window: Window | None = None) -> Raster:
        """Return a window, or all."""

    def close(self) -> None:
        """Close what was opened here."""


class SceneSource:
    """A scene of a catalog, read window by window as a `RasterFile` is.

    Parameters
    ----------
    scene : Scene
        Of one file, a file a band, or a series. What is read has its metadata as ``attrs``.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from rasterio.windows import Window
    >>> from pixelwise.inference.scene_source import SceneSource
    >>> path, _ = pw.datasets.make_example()
    >>> source = SceneSource(pw.open_catalog(path).assign(tile="33UUU")[0])
    >>> source.n_bands, source.dtype, source.read(Window(0, 0, 5, 4)).attrs["tile"]
    (4, 'uint16', '33UUU')
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        # The dtype and nodata of a scene do not depend on the window.
        pixel = unwrap(scene.load(Window(0, 0, 1, 1)))
        self.path, self.grid, self.bands, self.nodata = scene.source_uri, scene.grid, pixel.bands, pixel.nodata
        self.n_bands, self.dtype, self.times = pixel.n_bands, pixel.values.dtype.name, pixel.times
        self.n_times = int(pixel.cube.shape[1]) if pixel.cube.ndim > 3 else None
        self.block_shape: tuple[int, int] = scene.block_shape or _BLOCK
        self.tags: dict[str, Any] = {}

    def read(self, window: Window | None = None) -> Raster:
        """Return a window, or all, with axes (band, y, x) or (band, time, y, x).

        Parameters
        ----------
        window : rasterio.windows.Window or None
            What to read; None reads all.

        Returns
        -------
        Raster
        """
        return unwrap(self._scene.load(window))

    def close(self) -> None:
        """Do nothing: files are open while they are read."""


def source_of(raster: Any) -> Any:
    """Open a raster of any carrier, or a scene, for reading by windows.

    Parameters
    ----------
    raster : path, mapping of str to path, list of paths, rasterio dataset, raster of any other carrier, or Scene
        What to read: a mapping has the file of each band, and a list the files of a mosaic.

    Returns
    -------
    RasterFile, Mosaic, ArraySource or SceneSource

    Raises
    ------
    BandError, GridError
        If files do not belong together.
    RasterReadError
        If one cannot be opened.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from pixelwise.inference.scene_source import source_of
    >>> bands = pw.datasets.load_sentinel2_osm().bands
    >>> source = source_of({"red": bands["B04"], "infrared": bands["B11"]})
    >>> source.bands, source.grid.shape == source_of(bands["B04"]).grid.shape
    (('red', 'infrared'), True)
    """
    files = files_read(raster)
    if isinstance(raster, Scene):
        return SceneSource(raster)
    if isinstance(files, tuple):
        return Mosaic(files)
    if isinstance(files, dict):
        facts = facts_of_bands(files)
        return SceneSource(Scene(files, facts["grid"], {}, facts["bands"], facts["block_shape"]))
    return open_source(raster)


def files_read(raster: Any) -> Any:
    """Return the files that a raster or scene is read from, or None where it is open already, or in memory.

    Parameters
    ----------
    raster : object
        As for `source_of`.

    Returns
    -------
    str, dict of str to str, tuple of them, or None

    Raises
    ------
    BandError
        If a mapping, or a list, holds something else than paths.

    Examples
    --------
    >>> from pathlib import Path
    >>> from pixelwise.inference.scene_source import files_read
    >>> files_read(Path("scene.tif")), files_read({"B02": "blue.tif"}), files_read(["west.tif", "east.tif"])
    ('scene.tif', {'B02': 'blue.tif'}, ('west.tif', 'east.tif'))
    """
    if isinstance(raster, Scene):
        return raster.uri
    if isinstance(raster, str | os.PathLike):
        return os.fspath(raster)
    named = isinstance(raster, Mapping) and not is_raster(raster)
    if not named and not isinstance(raster, list | tuple):
        return None
    paths = list(raster.values() if named else raster)
    odd = [type(path).__name__ for path in paths if not isinstance(path, str | os.PathLike)]
    if odd or not paths:
        found = odd[0] if odd else "nothing"
        raise BandError(f"src holds {found} where a path is wanted: pass {{band: path}}, or a list of paths of a mosaic")
    if named:
        return {str(band): os.fspath(path) for band, path in raster.items()}
    return tuple(os.fspath(path) for path in paths)
