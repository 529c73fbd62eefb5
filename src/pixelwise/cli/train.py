"""``pixelwise train``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
import pyogrio
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from pixelwise.artifact import save_artifact
from pixelwise.cli.options import IndexType, LimitType, check_free
from pixelwise.display.furniture import metres_per_x, round_length
from pixelwise.errors import LabelError
from pixelwise.estimators.supervised import PixelwiseClassifier, PixelwiseRegressor
from pixelwise.model_selection.blocks import SpatialBlockGroupKFold
from pixelwise.model_selection.comparison import NOT_DESIGN_BASED, FoldScores, compare_folds
from pixelwise.operators.indices import AppendIndex
from pixelwise.table.extract import extract_pixels
from pixelwise.table.missing import NanPolicy
from pixelwise.table.pixels import PixelTable

__all__ = ["train"]

_FILE = click.Path(dir_okay=False, path_type=Path)
_POSITIVE = click.FloatRange(0, min_open=True)
_ESTIMATORS = ("rf", "hgb", "logistic", "ridge")


@click.command()
@click.argument("rasters", nargs=-1, required=True, metavar="RASTER...")
@click.argument("labels", metavar="LABELS")
@click.option("--column", help="Column of the labels in a vector file; leave it out if LABELS is a raster.")
@click.option("--out", type=_FILE, default=Path("model.pixelwise"), show_default=True, help="Where to save the model.")
@click.option("--overwrite/--no-overwrite", default=False, show_default=True, help="Replace an existing model.")
@click.option("--task", type=click.Choice(["classification", "regression"]), default="classification", show_default=True,
              help="Predict classes, or numbers.")  # fmt: skip
@click.option("--estimator", "name", type=click.Choice(_ESTIMATORS), default="rf", show_default=True,
              help="rf: random forest of 100 trees; hgb: histogram gradient boosting, which also takes pixels that lack some "
                   "bands; logistic: logistic regression, for classes; ridge: ridge regression, for numbers.")  # fmt: skip
@click.option("--index", "indices", type=IndexType(), multiple=True,
              help="Index to append: NDVI:red=B04,nir=B08 or NDWI:green=B03,nir=B08. Bands without names are band_1, band_2 ..."
              )  # fmt: skip
@click.option("--block-size", type=_POSITIVE,
              help="Side of a spatial block in metres; by default about a tenth of what the labels span.")  # fmt: skip
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True, help="Folds of each cross-validation.")
@click.option("--buffer", default=0.0, show_default=True, help="Metres by which polygons grow, or shrink if negative.")
@click.option("--all-touched", is_flag=True, help="Take every pixel that a polygon touches, not only those centred in it.")
@click.option("--ignore-label", "ignored", multiple=True, help="Label that means 'not labelled'; may be given again.")
@click.option("--max-per-class", type=LimitType(), help="Most pixels of a class, or as many as the smallest class has.")
@click.option("--balance", is_flag=True, help="The same as --max-per-class smallest.")
@click.option("--min-pixels", type=click.IntRange(0), default=0, show_default=True, help="Leave out classes with fewer.")
@click.option("--nodata", "fills", type=float, multiple=True,
              help="Value that marks missing data though the files do not declare it; may be given again.")  # fmt: skip
@click.option("--jobs", default=-1, show_default=True, help="Processes that fit at the same time; -1 takes all cores.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of everything that is drawn.")
def train(
    rasters: tuple[str, ...], labels: str, column: str | None, out: Path, overwrite: bool, task: str, name: str,
    indices: tuple[Any, ...], block_size: float | None, folds: int, ignored: tuple[str, ...], max_per_class: Any,
    balance: bool, fills: tuple[float, ...], jobs: int, seed: int, **choices: Any,
) -> None:  # fmt: skip
    """Fit a model on the labelled pixels of rasters, score it in three ways, and save it.

    RASTER is a file that GDAL opens; several may lie on different grids, and need the same bands. LABELS is a vector file
    of polygons or points with the column --column, in any CRS, or a raster of codes.

    The scores are cross-validation: random folds tell how well the model fills in between its training pixels, held-out
    polygons how well it does on a new polygon, spatial blocks how well it does on land at some distance. None is a
    design-based accuracy of a map.

    \b
    Examples:
        pixelwise train scene.tif polygons.gpkg --column class --buffer -20 --balance
        pixelwise train north.tif south.tif polygons.gpkg --column class --index NDVI:red=B04,nir=B08
        pixelwise train scene.tif heights.tif --task regression --estimator hgb --out heights.pixelwise
    """  # noqa: D301
    if balance and max_per_class is not None:
        raise click.UsageError("--balance and --max-per-class say two things: give one of them")
    check_free(out, overwrite)
    # Gradient boosting learns from pixels that lack some bands; the others leave them out.
    partial = name == "hgb"
    model = _model(name, task, indices, NanPolicy("propagate" if partial else "mask", sentinels=fills), seed)
    places, kind = _label_source(labels, column)
    choices |= {
        "ignore_label": _labels_like(ignored, kind), "max_per_class": "smallest" if balance else max_per_class,
    }  # fmt: skip
    X, y = extract_pixels(
        list(rasters), labels if column is not None else [labels] * len(rasters), column, **choices,
        nan=NanPolicy("propagate" if partial else "drop", sentinels=fills), random_state=seed,
    )  # fmt: skip
    counts = _report_pixels(X, y, task, places)
    blocks = SpatialBlockGroupKFold(folds, block_size=block_size or _tenth(X))
    scores = compare_folds(model, X, y, blocks, held_out=places, n_jobs=jobs, random_state=seed)
    _report_scores(scores)
    numbers = {each.name: {measure: each.summary(measure) for measure in each.scores} or each.problem for each in scores}
    metadata = {
        "rasters": list(rasters), "labels": labels, "column": column, "pixels": counts, "seed": seed, **choices,
        "block_size": blocks.block_size, "cross-validation": numbers,
    }  # fmt: skip
    click.echo(f"saved {save_artifact(model.fit(X, y), out, metadata=metadata)}")


def _model(name: str, task: str, indices: tuple[Any, ...], nan: NanPolicy, seed: int) -> Pipeline:
    known: dict[tuple[str, str], Any] = {
        ("rf", "classification"): RandomForestClassifier(n_estimators=100, random_state=seed),
        ("rf", "regression"): RandomForestRegressor(n_estimators=100, random_state=seed),
        ("hgb", "classification"): HistGradientBoostingClassifier(random_state=seed),
        ("hgb", "regression"): HistGradientBoostingRegressor(random_state=seed),
        ("logistic", "classification"): make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        ("ridge", "regression"): make_pipeline(StandardScaler(), Ridge()),
    }
    if (name, task) not in known:
        fitting = ", ".join(other for other, its in known if its == task)
        raise click.UsageError(f"--estimator {name} does no {task}: choose one of {fitting}")
    wrapper = PixelwiseClassifier if task == "classification" else PixelwiseRegressor
    steps = [(f"index{number}", AppendIndex(index)) for number, index in enumerate(indices, 1)]
    return Pipeline([*steps, ("model", wrapper(known[name, task], nan=nan))])


def _label_source(labels: str, column: str | None) -> tuple[str, str]:
    """Return what the labels lie on (polygons, points, rasters), and the dtype of the column."""
    if column is None:
        return "rasters", "number"
    try:
        about = pyogrio.read_info(labels)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError):
        # What is wrong with the file is told when it is read.
        return "polygons", "object"
    places = "points" if "Point" in str(about["geometry_type"]) else "polygons"
    return places, str(dict(zip(about["fields"], about["dtypes"], strict=True)).get(column, "object"))


def _labels_like(texts: tuple[str, ...], kind: str) -> list[Any] | None:
    """Return labels given as text in the type that the label source has."""
    if not texts or kind == "object":
        return list(texts) or None
    try:
        return [float(text) for text in texts]
    except ValueError as error:
        raise click.UsageError(f"--ignore-label {' '.join(texts)}: the labels are numbers, so give a number") from error


def _tenth(X: PixelTable) -> float:
    """Return a round length of about a tenth of what the pixels span, in metres."""
    span = float(np.ptp(X.xy, axis=0).max()) * (metres_per_x(X.grids[0]) or 1.0)
    return round_length(span / 10) if span > 0 else 1.0


def _report_pixels(X: PixelTable, y: np.ndarray, task: str, places: str) -> dict[str, Any]:
    click.echo(f"{len(y):,} pixels x {X.shape[1]} bands: {', '.join(X.feature_names)}")
    if task == "regression":
        low, middle, high = (float(value) for value in np.quantile(y.astype(float), (0, 0.5, 1)))
        click.echo(f"target from {low:g} to {high:g}, median {middle:g}")
        return {"n": len(y), "minimum": low, "median": middle, "maximum": high}
    names, counts = np.unique(y, return_counts=True)
    if len(names) < 2:
        raise LabelError(f"all {len(y)} labelled pixels are of class {names[0]}: a classifier needs two classes or more")
    width = max(len(str(name)) for name in names)
    for name, count in zip(names, counts, strict=True):
        n = len(np.unique(X.groups[y == name]))
        click.echo(f"  {name!s:<{width}}  {count:>9,} pixels, {n:,} {places if n > 1 else places.removesuffix('s')}")
    return {str(name): int(count) for name, count in zip(names, counts, strict=True)}


def _report_scores(scores: list[FoldScores]) -> None:
    click.echo("cross-validation, mean ± standard deviation of the folds:")
    for each in scores:
        numbers = ", ".join(f"{measure} {each.summary(measure)}" for measure in each.scores)
        click.echo(f"  {each.name:<18} {numbers or 'not possible'}")
        click.echo(f"    {each.problem or each.meaning}")
    click.echo(f"  {NOT_DESIGN_BASED}")
