"""``pixelwise folds``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd

from pixelwise.cli.options import LimitType, check_free
from pixelwise.display.canvas import check_matplotlib, png_bytes
from pixelwise.display.distances import DistanceDisplay
from pixelwise.display.folds import SpatialFoldsDisplay
from pixelwise.display.map import SceneDisplay
from pixelwise.model_selection.block_size import suggest_block_size
from pixelwise.model_selection.blocks import SpatialBlockGroupKFold
from pixelwise.model_selection.fold_report import fold_report
from pixelwise.raster.io import open_source
from pixelwise.table.extract import extract_pixels
from pixelwise.table.missing import NanPolicy
from pixelwise.table.pixels import PixelTable

__all__ = ["folds"]

_FILE = click.Path(dir_okay=False, path_type=Path)
_POSITIVE = click.FloatRange(0, min_open=True)
_SHAPES = ("square", "hexagon", "rows", "columns", "kmeans")
_ASSIGNMENTS = ("equal_count", "random", "systematic", "checkerboard", "balanced", "stratified")


@click.command()
@click.argument("scene", metavar="SCENE")
@click.argument("labels", metavar="LABELS")
@click.option("--column", help="Column of the labels in a vector file; leave it out if LABELS is a raster.")
@click.option("--task", type=click.Choice(["classification", "regression"]),
              help="Whether labels are classes or numbers; by default as they look.")  # fmt: skip
@click.option("--folds", "n_splits", type=click.IntRange(2), default=5, show_default=True, help="Folds.")
@click.option("--block-size", type=_POSITIVE,
              help="Metres of a block; by default those that make tests as far from training as the map.")  # fmt: skip
@click.option("--shape", type=click.Choice(_SHAPES), default="square", show_default=True, help="What a block is.")
@click.option("--assignment", type=click.Choice(_ASSIGNMENTS), default="equal_count", show_default=True,
              help="How blocks go to folds: balanced and stratified spread classes evenly.")  # fmt: skip
@click.option("--buffer", type=click.FloatRange(0), default=0.0, show_default=True,
              help="Metres around test pixels in which no pixel is trained on.")  # fmt: skip
@click.option("--label-buffer", default=0.0, show_default=True, help="Metres by which polygons grow, or shrink if negative.")
@click.option("--ignore-label", "ignored", multiple=True, help="Label that means 'not labelled'; may be given again.")
@click.option("--max-per-class", type=LimitType(), help="Most pixels of a class, or as many as the smallest class has.")
@click.option("--min-pixels", type=click.IntRange(0), default=0, show_default=True, help="Leave out classes with fewer.")
@click.option("--nodata", "fills", type=float, multiple=True,
              help="Value that marks missing data though the file does not declare it; may be given again.")  # fmt: skip
@click.option("--out", type=_FILE, help="Draw the folds on the scene to a PNG.")
@click.option("--distances", type=_FILE, help="Draw the distances from test to training pixels, and of the map, to a PNG.")
@click.option("--csv", type=_FILE, help="Write the report to a table.")
@click.option("--overwrite/--no-overwrite", default=False, show_default=True, help="Replace existing files.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of everything that is drawn.")
def folds(
    scene: str, labels: str, column: str | None, task: str | None, n_splits: int, block_size: float | None, shape: str,
    assignment: str, buffer: float, seed: int, out: Path | None, distances: Path | None, csv: Path | None, overwrite: bool,
    **choices: Any,
) -> None:  # fmt: skip
    """Report what spatial folds are like, before a model is fitted on them.

    SCENE is a file that GDAL opens, and the map that is to be made of it is where distances are compared with; LABELS is a
    vector file of polygons or points with the column --column, or a raster of codes.

    Of each fold: pixels trained on, tested, and lost to the buffer; the distance from test pixels to the nearest training
    pixel; W, how far these distances are from those between the map and the labelled pixels (0 is a perfect match); classes
    in training and test; and what is wrong with it, such as a class that is never trained on, or polygons on both sides.

    Folds are for cross-validation, whose scores are no design-based accuracy of a map: `pixelwise assess` estimates that.

    \b
    Examples:
        pixelwise folds scene.tif polygons.gpkg --column class
        pixelwise folds scene.tif polygons.gpkg --column class --block-size 1500 --buffer 200 --out folds.png
        pixelwise folds scene.tif polygons.gpkg --column class --shape hexagon --assignment stratified --csv report.csv
    """  # noqa: D301
    for path in (out, distances, csv):
        if path is not None:
            check_free(path, overwrite)
    if out is not None or distances is not None:
        check_matplotlib()
    X, y = _pixels(scene, labels, column, seed, choices)
    click.echo(f"{len(y):,} labelled pixels x {X.shape[1]} bands: {', '.join(X.feature_names)}")
    if block_size is None and shape != "kmeans":
        suggestion = suggest_block_size(X, y, prediction_domain=scene, n_splits=n_splits, random_state=seed)
        block_size = suggestion.block_size
        click.echo(f"block size {block_size:,.0f} m, as suggested: {suggestion.reason}")
    cv = SpatialBlockGroupKFold(
        n_splits, block_size, shape=shape, assignment=assignment, buffer=buffer, random_state=seed,
        n_clusters=4 * n_splits if shape == "kmeans" else None,
    )  # fmt: skip
    report = fold_report(cv, X, y, prediction_domain=scene, task=task, random_state=seed)
    _print_report(report, cv)
    if csv is not None:
        report.assign(kind="cross-validation").to_csv(csv)
        click.echo(f"wrote {csv}")
    if out is not None:
        title = f"Folds of cross-validation: {_described(cv)}"
        drawn = SpatialFoldsDisplay.from_splitter(cv, X, y).plot(scene=_picture(scene), title=title)
        out.write_bytes(png_bytes(drawn.figure_))
        click.echo(f"wrote {out}")
    if distances is not None:
        shown = DistanceDisplay.from_splitter(cv, X, y, prediction_domain=scene, random_state=seed).plot()
        distances.write_bytes(png_bytes(shown.figure_))
        click.echo(f"wrote {distances}")


def _pixels(scene: str, labels: str, column: str | None, seed: int, choices: dict[str, Any]) -> tuple[PixelTable, np.ndarray]:
    ignored: list[Any] = list(choices["ignored"])
    if column is None:
        try:
            ignored = [float(text) for text in ignored]
        except ValueError as error:
            raise click.UsageError(f"--ignore-label {' '.join(ignored)}: labels are numbers, so give a number") from error
    return extract_pixels(
        scene, labels, column, buffer=choices["label_buffer"], ignore_label=ignored or None,
        nan=NanPolicy("drop", sentinels=choices["fills"]), max_per_class=choices["max_per_class"],
        min_pixels=choices["min_pixels"], random_state=seed,
    )  # fmt: skip


def _described(cv: SpatialBlockGroupKFold) -> str:
    if cv.shape == "kmeans":
        return f"{cv.n_clusters} clusters"
    names = {"square": "squares", "hexagon": "hexagons"}
    return f"{names.get(cv.shape, cv.shape)} of {cv.block_size:,.0f} m"


def _print_report(report: pd.DataFrame, cv: SpatialBlockGroupKFold) -> None:
    apart = f", {cv.buffer:,.0f} m apart" if cv.buffer else ""
    click.echo(f"cross-validation, {cv.n_splits} folds of {_described(cv)}{apart}, assignment {cv.assignment}:")
    click.echo(f"  {'fold':>4}  {'training':>9}  {'test':>9}  {'lost':>9}  {'test to training (median, least)':>32}  {'W':>8}")
    for number, row in report.iterrows():
        far = f"{row['test_distance_median']:,.0f} m, {row['test_distance_min']:,.0f} m"
        counts = "  ".join(f"{row[name]:>9,}" for name in ("n_train", "n_test", "n_lost"))
        click.echo(f"  {number:>4}  {counts}  {far:>32}  {row['W']:>6,.0f} m")
        for side in ("train", "test"):
            click.echo(f"        {side:<5} {_labels_of(row, side)}")
        for flag in filter(None, row["flags"].split("; ")):
            click.echo(f"        ! {flag}")
    median = report["prediction_distance_median"].iloc[0]
    click.echo(
        f"  all folds together: W {report.attrs['W']:,.0f} m; from the map to the nearest labelled pixel {median:,.0f} m"
    )
    if report.attrs["remedies"]:
        click.echo("suggestions:")
        for remedy in report.attrs["remedies"].values():
            click.echo(f"  {remedy}")
    click.echo(report.attrs["statement"])


def _labels_of(row: pd.Series, side: str) -> str:
    """Return the counts of classes, or the quartiles, of one side of a fold."""
    named = {str(name).removeprefix(f"{side}_"): row[name] for name in row.index if str(name).startswith(f"{side}_")}
    named = {name: value for name, value in named.items() if not name.startswith("distance_")}
    if list(named) == ["q25", "q50", "q75"]:
        return f"quartiles {named['q25']:g}, {named['q50']:g}, {named['q75']:g}"
    return ", ".join(f"{value:,} {name}" for name, value in named.items())


def _picture(scene: str) -> SceneDisplay | None:
    """Return the scene in true colours if its bands are Sentinel-2's, or else in its first three."""
    with open_source(scene) as source:
        names, n_bands = source.bands or (), source.n_bands
    if {"B04", "B03", "B02"} <= set(names):
        return SceneDisplay.from_raster(scene, ("B04", "B03", "B02"))
    return SceneDisplay.from_raster(scene, (2, 1, 0)) if n_bands >= 3 else None
