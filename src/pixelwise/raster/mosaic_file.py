"""Files side by side, read as one: a virtual raster in memory, which names them and holds no pixels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from rasterio.io import MemoryFile

from pixelwise.raster.io import RasterFile
from pixelwise.raster.mosaic import virtual_raster
from pixelwise.raster.mosaic_tiles import read_tiles
from pixelwise.raster.remote import is_remote, remote_reading

__all__ = ["Mosaic"]


class Mosaic(RasterFile):
    """Raster files on the same pixels, read window by window as one `RasterFile`.

    Where files overlap, the later one counts, unless it has no data there. Pixels under none have the nodata value.

    Parameters
    ----------
    files : sequence of path
        With the same CRS, pixels, bands, dtype and nodata.

    Raises
    ------
    GridError
        If they lie on different pixels.
    FillValueError
        If they leave gaps, and declare no nodata.
    BandError
        If they have different bands, dtypes or nodata, or masks.
    RasterReadError
        If one cannot be opened.

    Examples
    --------
    >>> import tempfile, pixelwise as pw
    >>> from pixelwise.raster.mosaic_file import Mosaic
    >>> raster = pw.open_raster(pw.datasets.make_example()[0])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     west = pw.write_raster(raster[:, :, :32], f"{folder}/west.tif")
    ...     east = pw.write_raster(raster[:, :, 32:], f"{folder}/east.tif")
    ...     with Mosaic([west, east]) as mosaic:
    ...         mosaic.grid.shape, bool((mosaic.read().values == raster.values).all())
    ((60, 80), True)
    """

    def __init__(self, files: Sequence[Any]) -> None:
        names = tuple(os.fspath(path) for path in files)
        with remote_reading(next(filter(is_remote, names), "")):
            tiles = read_tiles(names)
            self._memory = MemoryFile(virtual_raster(tiles), ext=".vrt")
            super().__init__(self._memory.name)
        self.files = names
        self.path = f"mosaic of {len(tiles)} files with {tiles[0].path}"
        # Those of a virtual raster are none that anything is stored in.
        self.block_shape = tiles[0].block_shape

    def close(self) -> None:
        """Close the files."""
        super().close()
        self._memory.close()
