"""``pixelwise info``."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import click

from pixelwise.display.summary import summarize_raster
from pixelwise.stored import artifact_info

__all__ = ["info"]

_ZIP = b"PK\x03\x04"


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def info(path: Path, as_json: bool) -> None:
    """Tell what a raster or a saved model holds.

    Of a raster: CRS, grid (in units of the CRS), bands, dtype, nodata, range of values, share of missing pixels, and what
    looks wrong, such as a fill value that nobody declared. Ranges of a large raster come from a part of its pixels. Of a
    model: bands, classes, versions and provenance; it is not loaded.

    \b
    Examples:
        pixelwise info scene.tif
        pixelwise info model.pixelwise --json
    """  # noqa: D301
    found = artifact_info(path) if _is_archive(path) else _raster_facts(path)
    if as_json:
        click.echo(json.dumps(_plain(found), indent=1, ensure_ascii=False))
        return
    for key, value in found.items():
        _print_fact(key.replace("_", " "), value)


def _is_archive(path: Path) -> bool:
    """Whether a file is a zip archive, as saved models are, or has the name of one."""
    if path.suffix == ".pixelwise" or not path.is_file():
        return path.suffix == ".pixelwise"
    with path.open("rb") as file:
        return file.read(len(_ZIP)) == _ZIP


def _raster_facts(path: Path) -> dict[str, Any]:
    summary = summarize_raster(path)
    grid, at = summary.grid, summary.grid.transform
    size = [math.hypot(at.a, at.d), math.hypot(at.b, at.e)]
    bands = {
        band.name: {"minimum": band.minimum, "maximum": band.maximum, "nodata": band.nodata, "missing": round(band.missing, 4)}
        for band in summary.bands
    }
    return {
        "raster": summary.path,
        "CRS": summary.crs,
        "height": grid.height,
        "width": grid.width,
        "pixel_size": size if grid.is_georeferenced else None,
        "bounds": dict(zip(("left", "bottom", "right", "top"), grid.bounds, strict=True)) if grid.is_georeferenced else None,
        "dtype": summary.dtype,
        "block_shape": list(summary.block_shape),
        "bands": bands,
        "classes": {str(code): name for code, name in summary.classes.items()},
        "pixels_looked_at": summary.n_read,
        "hints": list(summary.hints),
    }


def _plain(value: Any) -> Any:
    """Return a value with NaN and infinities as text, since JSON has none."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _print_fact(label: str, value: Any, indent: str = "") -> None:
    nested = isinstance(value, dict) and any(isinstance(part, dict | list) for part in value.values())
    if nested or label == "hints":
        parts = value.items() if nested else enumerate(value, 1)
        click.echo(f"{indent}{label}:" if value else f"{indent}{label}: none")
        for name, part in parts:
            _print_fact(str(name), part, indent + "  ")
    elif value not in (None, {}, []):
        click.echo(f"{indent}{label}: {_text(value)}")


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(part)}" for name, part in value.items())
    if isinstance(value, list):
        return ", ".join(_text(part) for part in value)
    if value is None:
        return "none"
    return f"{value:.10g}" if isinstance(value, float) else " ".join(str(value).split())
