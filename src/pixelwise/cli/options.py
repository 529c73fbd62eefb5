"""Options that several commands have, and the kinds of values that they take."""

from __future__ import annotations

import sys
from inspect import signature
from pathlib import Path
from typing import Any

import click

from pixelwise.operators.base import Operator
from pixelwise.operators.indices import NDVI, NDWI

__all__ = ["IndexType", "LimitType", "check_free", "progress_bar", "with_progress"]

_INDICES: dict[str, type[Operator]] = {"NDVI": NDVI, "NDWI": NDWI}

with_progress = click.option("--progress/--no-progress", default=None, help="Progress bar; by default in a terminal only.")


def progress_bar(asked: bool | None) -> bool:
    """Whether to show a progress bar."""
    return sys.stderr.isatty() if asked is None else asked


def check_free(path: Path, overwrite: bool) -> None:
    """Refuse a destination that exists, or cannot, before hours of work.

    Parameters
    ----------
    path : pathlib.Path
        Destination.
    overwrite : bool
        Whether it may exist.

    Raises
    ------
    FileExistsError, FileNotFoundError
        If it cannot be written.
    """
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists: pass --overwrite to replace it, or another name")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"folder {path.parent} of {path.name} is missing: make it first")


class IndexType(click.ParamType):  # type: ignore[type-arg]
    """An index with its bands, such as ``NDVI:red=B04,nir=B08``."""

    name = "INDEX"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the index as an operator."""
        name, _, rest = value.partition(":")
        bands = dict(part.split("=", 1) for part in rest.split(",") if "=" in part)
        index = _INDICES.get(name.upper())
        if index is None:
            self.fail(f"{name!r} is no index: choose one of {', '.join(_INDICES)}", param, ctx)
        wanted = [role for role in signature(index).parameters if not role.endswith("_idx")]
        if sorted(bands) != sorted(wanted):
            example = ",".join(f"{role}=BAND" for role in wanted)
            self.fail(f"{value!r} does not name the bands of {name.upper()}: write {name.upper()}:{example}", param, ctx)
        return index(**bands)


class LimitType(click.ParamType):  # type: ignore[type-arg]
    """A number of pixels, or "smallest"."""

    name = "N|smallest"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number, or the word."""
        if value == "smallest":
            return value
        if not value.isdecimal() or int(value) == 0:
            self.fail(f"{value!r} is no number of pixels: give one, or 'smallest'", param, ctx)
        return int(value)
