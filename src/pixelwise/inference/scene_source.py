"""Scenes of a catalog, of one file or several, read window by window as a raster file is."""

from __future__ import annotations

import os
from typing import Any, Protocol

from rasterio.windows import Window

from pixelwise.catalog.scene import Scene
from pixelwise.raster.carriers import Raster, unwrap
from pixelwise.raster.grid import Grid
from pixelwise.raster.io import open_source

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
    raster : path, rasterio dataset, raster of any other carrier, or Scene
        What to read.

    Returns
    -------
    RasterFile, ArraySource or SceneSource
    """
    return SceneSource(raster) if isinstance(raster, Scene) else open_source(raster)


def files_read(raster: Any) -> Any:
    """Return the files that a raster or scene is read from, or None where it is read from memory.

    Parameters
    ----------
    raster : object
        As for `source_of`.

    Returns
    -------
    str, mapping of str to str, tuple of them, or None
    """
    if isinstance(raster, Scene):
        return raster.uri
    return os.fspath(raster) if isinstance(raster, str | os.PathLike) else None
