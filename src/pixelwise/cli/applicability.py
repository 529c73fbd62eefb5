"""``pixelwise applicability``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
from sklearn.base import is_classifier
from sklearn.inspection import permutation_importance
from sklearn.model_selection import LeaveOneGroupOut

from pixelwise.assessment.applicability import AreaOfApplicability
from pixelwise.assessment.importance import model_parts
from pixelwise.cli.options import check_free, progress_bar, with_progress
from pixelwise.errors import LabelError
from pixelwise.inference.models import policy_of
from pixelwise.inference.streaming import predict_raster
from pixelwise.model_selection.blocks import SpatialBlockGroupKFold
from pixelwise.raster.destination import check_destination
from pixelwise.raster.io import RasterFile
from pixelwise.stored import artifact_info, load_artifact
from pixelwise.table.extract import extract_pixels
from pixelwise.table.missing import NanPolicy
from pixelwise.table.pixels import PixelTable

__all__ = ["applicability"]

_POSITIVE = click.FloatRange(0, min_open=True)
#: Rows on which importances by permutation are measured; more would not change their order.
_PERMUTED = 5000


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("src", metavar="SRC")
@click.argument("dst", type=click.Path(path_type=Path))
@click.option("--training", "rasters", multiple=True, metavar="RASTER",
              help="Scene that the model was trained on; may be given again. By default what the model remembers.")  # fmt: skip
@click.option("--labels", help="Labels that it was trained on: a vector file, or a raster of codes.")
@click.option("--column", help="Column of the labels in a vector file.")
@click.option("--weights", type=click.Choice(["importance", "permutation", "equal"]), default="importance", show_default=True,
              help="importance: the model's own importances or coefficients; permutation: how much worse it gets when a band "
                   "is shuffled, for models without; equal: all bands alike.")  # fmt: skip
@click.option("--split", type=click.Choice(["blocks", "polygons", "pixels"]), default="blocks", show_default=True,
              help="What is held out at a time: spatial blocks, whole polygons (with label rasters whole rasters), or a single "
                   "pixel, which makes the threshold smaller where training pixels lie side by side.")  # fmt: skip
@click.option("--block-size", type=_POSITIVE, help="Side of a block in metres; by default what the model remembers.")
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True, help="Folds of the blocks.")
@click.option("--method", type=click.Choice(["predict", "transform"]), default="predict", show_default=True,
              help="predict: one band, 1 inside and 0 outside; transform: the bands DI, dissimilarity index, and LPD, local "
                   "point density.")  # fmt: skip
@click.option(
    "--lpd/--no-lpd", default=True, show_default=True, help="With transform: count LPD, which takes most of the time."
)
@click.option("--max-samples", type=click.IntRange(2), help="Most training pixels to compare with, drawn at random.")
@click.option("--memory", default="512MB", show_default=True, help="Most memory beyond the model: 512MB, 2GB, 1GiB.")
@click.option("--jobs", default=-1, show_default=True, help="Threads that search for neighbours; -1 takes all cores.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of everything that is drawn.")
@click.option("--overwrite/--no-overwrite", default=False, show_default=True, help="Replace an existing map.")
@click.option("--trusted", multiple=True, metavar="TYPE", help="Type that may be built, as the error names it.")
@click.option("--allow-pickle", is_flag=True, help="Load a model saved as a pickle, which can run any code.")
@with_progress
def applicability(
    model: Path, src: str, dst: Path, rasters: tuple[str, ...], labels: str | None, column: str | None, weights: str,
    split: str, block_size: float | None, folds: int, method: str, lpd: bool, max_samples: int | None, memory: str,
    jobs: int, seed: int, overwrite: bool, trusted: tuple[str, ...], allow_pickle: bool, progress: bool | None,
) -> None:  # fmt: skip
    """Map where a saved model applies: where a raster is like the pixels that the model was trained on.

    MODEL is what `pixelwise train` has saved, SRC the raster to look at, DST a .tif. Pixels count as inside where they are
    no more dissimilar to the training pixels than training pixels are to each other across the folds of a
    cross-validation (Meyer and Pebesma 2021). Inside, the model's cross-validation may speak for the map; outside, nothing
    does. It is no accuracy.

    The model remembers the names of its training files and how labels were taken; --training, --labels and --column say
    where else to look. Folds should be those of the cross-validation whose score you quote.

    \b
    Examples:
        pixelwise applicability model.pixelwise scene.tif inside.tif
        pixelwise applicability model.pixelwise other.tif inside.tif --training scene.tif --labels polygons.gpkg --column class
        pixelwise applicability model.pixelwise other.tif di.tif --method transform --no-lpd
    """  # noqa: D301
    check_free(check_destination(dst), overwrite)
    loaded = load_artifact(model, trusted=trusted, allow_pickle=allow_pickle)
    remembered = artifact_info(model)["metadata"]
    X, y = _training_pixels(loaded, remembered, list(rasters), labels, column, seed)
    cv, groups, how = _folds(split, block_size or remembered.get("block_size"), folds, X)
    area = AreaOfApplicability(
        loaded, weights=_weights(weights, loaded, X, y, seed), cv=cv, lpd=lpd and method == "transform",
        max_samples=max_samples, nan=policy_of(loaded, X.feature_names), n_jobs=jobs, random_state=seed,
    ).fit(X, y, groups)  # fmt: skip
    click.echo(f"{len(X):,} training pixels x {X.shape[1]} bands: {', '.join(X.feature_names)}")
    click.echo(f"threshold of the dissimilarity index {area.threshold_:.4g} (cross-validation, {how})")
    made = predict_raster(area, src, dst, memory=memory, method=method, progress=progress_bar(progress))
    inside, known = _counts(made, method, area.threshold_)
    share = f"{inside / known:.1%}" if known else "none"
    click.echo(f"inside the area of applicability: {share} of {known:,} pixels with data")
    click.echo(f"wrote {made}")


def _training_pixels(
    model: Any, remembered: Mapping[str, Any], rasters: list[str], labels: str | None, column: str | None, seed: int
) -> tuple[PixelTable, np.ndarray]:
    """Take the training pixels as `pixelwise train` has taken them."""
    if labels is None:
        labels, column = remembered.get("labels"), column or remembered.get("column")
    rasters = rasters or list(remembered.get("rasters", ()))
    if not rasters or labels is None:
        raise LabelError(
            "the model does not remember its training files: pass --training RASTER and --labels FILE, with --column NAME "
            "for a vector file"
        )
    known = ("buffer", "all_touched", "min_pixels", "max_per_class", "ignore_label")
    options = {name: remembered[name] for name in known if name in remembered}
    # What counts as missing is the model's; names of bands that operators make are none of the rasters'.
    policy = NanPolicy("drop", sentinels=policy_of(model, ()).sentinels)
    X, y = extract_pixels(
        rasters, labels if column is not None else [labels] * len(rasters), column, **options, nan=policy,
        random_state=remembered.get("seed", seed),
    )  # fmt: skip
    if is_classifier(model):
        trained = np.isin(y.astype(str), np.asarray(model.classes_).astype(str))
        if not trained.any():
            raise LabelError(
                f"none of the labels in {labels} is a class of the model, {', '.join(map(str, model.classes_))}: check --column"
            )
        X, y = X[np.flatnonzero(trained)], y[trained]
    return X, y


def _folds(split: str, block_size: float | None, folds: int, X: PixelTable) -> tuple[Any, np.ndarray | None, str]:
    if split == "pixels":
        return None, None, "one pixel left out at a time"
    if split == "polygons":
        return LeaveOneGroupOut(), X.groups, f"{len(np.unique(X.groups))} polygons left out in turn"
    if block_size is None:
        raise click.UsageError("the model does not remember a size of blocks: pass --block-size METRES, or --split polygons")
    return SpatialBlockGroupKFold(folds, block_size=block_size), None, f"{folds} folds of blocks of {block_size:g} m"


def _weights(kind: str, model: Any, X: PixelTable, y: np.ndarray, seed: int) -> Any:
    last = model_parts(model).last
    if kind == "importance" and not (hasattr(last, "feature_importances_") or hasattr(last, "coef_")):
        raise click.UsageError(f"{type(last).__name__} has no importances of its own: pass --weights permutation, or equal")
    if kind != "permutation":
        return "importance" if kind == "importance" else None
    rows = np.sort(np.random.default_rng(seed).permutation(len(X))[:_PERMUTED])
    # Operators know bands by name.
    frame = pd.DataFrame(np.asarray(X[rows], dtype=float), columns=list(X.feature_names))
    return permutation_importance(model, frame, y[rows], n_repeats=5, random_state=seed).importances_mean


def _counts(path: Path, method: str, threshold: float) -> tuple[int, int]:
    """Return how many pixels of a map are inside, and how many have data, without reading it as a whole."""
    inside = known = 0
    with RasterFile(path) as file:
        for window in file.grid.windows(1024, 1024):
            values = file.read(window).cube[0]
            data = values != 255 if method == "predict" else ~np.isnan(values)
            known += int(data.sum())
            inside += int((values[data] == 1 if method == "predict" else values[data] <= threshold).sum())
    return inside, known
