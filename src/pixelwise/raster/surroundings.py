"""What a process works in, and its workers shall too: the folder that relative names begin at, and GDAL's options."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rasterio

__all__ = ["Surroundings"]


@dataclass(frozen=True)
class Surroundings:
    """The working directory and GDAL's options of a process, for workers that may have begun with others.

    Parameters
    ----------
    folder : str
        The working directory.
    options : mapping
        Those of ``rasterio.Env``.

    Examples
    --------
    >>> import rasterio
    >>> from pixelwise.raster.surroundings import Surroundings
    >>> with rasterio.Env(GDAL_HTTP_TIMEOUT="5"):
    ...     here = Surroundings.now()
    >>> with here.entered():
    ...     rasterio.env.getenv()["GDAL_HTTP_TIMEOUT"]
    '5'
    """

    folder: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def now(cls) -> Surroundings:
        """Return those of this process.

        Returns
        -------
        Surroundings
        """
        return cls(str(Path.cwd()), rasterio.env.getenv() if rasterio.env.hasenv() else {})

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Work in them inside the block; a worker stays in the folder, which other threads of it may be using.

        Yields
        ------
        None
        """
        # Another machine of a cluster need not have it.
        if Path(self.folder).is_dir():
            os.chdir(self.folder)
        with rasterio.Env():
            # Those of a session, such as keys of AWS, may be set here only.
            rasterio.env.setenv(**self.options)
            yield
