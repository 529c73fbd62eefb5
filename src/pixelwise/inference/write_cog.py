"""WriteCOG: the end of a pipeline, which writes each map where a template says."""

from __future__ import annotations

import os
import re
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from pixelwise.errors import CatalogError
from pixelwise.operators.base import Operator
from pixelwise.raster.carriers import Raster, is_raster
from pixelwise.raster.metadata import metadata_of
from pixelwise.raster.remote import is_remote
from pixelwise.raster.uploads import as_place
from pixelwise.raster.write import write_raster

__all__ = ["WriteCOG"]

#: What would lead to another folder.
_SEPARATORS = re.compile(r"[/\\\0]")


class WriteCOG(Operator):
    """Write each raster as a cloud-optimised GeoTIFF, under a name made from its metadata, and pass it on.

    It stands at the end of the pipeline of a `CatalogPipeline`, which fills the template from the scene's row of the catalog.
    The file appears under its name when it is whole.

    Parameters
    ----------
    path_template : str or path
        Such as ``"out/{tile}.tif"`` or ``"s3://bucket/{tile}.tif"``. Names in braces are entries of the metadata, among them
        ``id`` and ``datetime``; dates take a format, as in ``{datetime:%Y%m%d}``. Slashes in values become ``_``. Folders are
        made; in object storage the file is uploaded when it is whole.
    compress : str or None, default="deflate"
        One of deflate, zstd, lzw, lzma, none.
    colors : mapping of (str or int) to str, or None, default=None
        Colours of classes, "#rrggbb" by name or code.

    Raises
    ------
    CatalogError
        When it is applied, if the metadata lacks an entry.

    See Also
    --------
    CatalogPipeline : Runs pipelines over catalogs.
    write_raster : Writes one raster.

    Examples
    --------
    >>> import tempfile, pixelwise as pw
    >>> scene, _ = pw.datasets.make_example()
    >>> raster = pw.open_raster(scene).assign_attrs(tile="33UUU", datetime="2024-06-01T10:20:00")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write = pw.WriteCOG(f"{folder}/{{tile}}_{{datetime:%Y%m%d}}.tif")
    ...     made = write(raster)
    ...     pw.open_raster(write.path_for(raster.attrs)).shape, write.path_for(raster.attrs).name
    ((4, 60, 80), '33UUU_20240601.tif')
    """

    def __init__(self, path_template: Any, compress: str | None = "deflate", colors: Mapping[Any, str] | None = None) -> None:
        self.path_template = path_template
        self.compress = compress
        self.colors = colors

    def path_for(self, metadata: Mapping[str, Any]) -> Path:
        """Return where a raster is written.

        Parameters
        ----------
        metadata : mapping
            Of the raster, or the scene.

        Returns
        -------
        pathlib.Path
            In object storage as GDAL names it, such as ``/vsis3/bucket/a.tif``.

        Raises
        ------
        CatalogError
            If it lacks an entry, or an entry makes no name, or the template cannot be read.
        """
        template = os.fspath(self.path_template)
        parts = []
        for text, name, how in _parsed(self.path_template):
            parts.append(text)
            if name is not None:
                parts.append(_filled(name, how or "", metadata, template))
        return as_place("".join(parts))

    def folder(self) -> Path:
        """Return the folder of all outputs: what of the template holds no name in braces."""
        fixed = next(iter(_parsed(self.path_template)), ("", None, None))[0]
        return as_place(fixed).parent if not fixed.endswith("/") else as_place(fixed)

    def transform(self, X: Any) -> Any:
        """Write a raster.

        Parameters
        ----------
        X : raster of any carrier
            With the metadata that the template asks for.

        Returns
        -------
        raster
            X itself.
        """
        if not is_raster(X):
            raise TypeError(
                f"WriteCOG writes rasters and not {type(X).__name__}: put it behind the model, and apply that to one"
            )
        path = self.path_for(metadata_of(X))
        if not is_remote(str(path)):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_raster(X, path, compress=self.compress, colors=self.colors, driver="COG")
        return X

    def apply(self, raster: Raster) -> Raster:
        """Write a raster in plain parts."""
        written: Raster = self.transform(raster)
        return written


def _parsed(template: Any) -> list[tuple[str, str | None, str | None]]:
    """Return the parts of a template: text, and the name and format that stand behind it."""
    if not isinstance(template, str | os.PathLike):
        raise TypeError(f"path_template={template!r} is no path: give one such as 'out/{{id}}.tif'")
    try:
        return [(text, name, how) for text, name, how, _ in string.Formatter().parse(os.fspath(template))]
    except ValueError as error:
        raise CatalogError(
            f"template {os.fspath(template)!r} cannot be read ({error}): put names in braces, as in {{id}}"
        ) from error


def _filled(name: str, how: str, metadata: Mapping[str, Any], template: str) -> str:
    if name not in metadata:
        known = ", ".join(map(str, metadata)) or "nothing"
        raise CatalogError(
            f"template {template!r} asks for {name!r}, and the metadata has {known}: use one of these, or assign it"
        )
    value = metadata[name]
    try:
        text = _SEPARATORS.sub("_", format(pd.Timestamp(value) if "%" in how else value, how))
    except (ValueError, TypeError) as error:
        raise CatalogError(f"{name}={value!r} does not take the format {how!r} of {template!r}: {error}") from error
    if text.strip(". ") == "":
        raise CatalogError(f"{name}={value!r} makes no file name in {template!r}: choose another entry of the metadata")
    return text
