"""The whole way on real data: from a Sentinel-2 scene and polygons to a validated map and a page about it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from tqdm import tqdm

from pixelwise.artifact import artifact_info, load_artifact, save_artifact
from pixelwise.datasets import Sentinel2OSM, load_sentinel2_osm
from pixelwise.display.areas import ClassArea, class_areas
from pixelwise.display.canvas import png_bytes
from pixelwise.display.folds import FoldsDisplay
from pixelwise.display.map import MapDisplay, SceneDisplay
from pixelwise.display.report import MapReport
from pixelwise.errors import PixelwiseWarning
from pixelwise.estimators.supervised import PixelwiseClassifier
from pixelwise.inference.streaming import predict_raster
from pixelwise.model_selection.blocks import SpatialBlockGroupKFold
from pixelwise.model_selection.comparison import NOT_DESIGN_BASED, FoldScores, compare_folds
from pixelwise.operators.indices import NDVI, NDWI, AppendIndex
from pixelwise.raster.grid import crs_name
from pixelwise.raster.io import RasterFile, open_raster
from pixelwise.raster.write import write_raster
from pixelwise.table.extract import extract_pixels
from pixelwise.table.pixels import PixelTable

__all__ = ["Demo", "run_demo"]

#: Colours that a reader expects of land use; classes that are not named here get one of the palette.
_COLORS = {
    "farm": "#e8c468", "forest": "#1f6b3a", "meadow": "#9ccb6b", "residential": "#c8553d", "water": "#3b82b8",
    "scrub": "#7d8f3c", "wetland": "#4fb3a5", "grass": "#d3e68a", "other": "#9aa0a8",
}  # fmt: skip
_CANDIDATES = {"classify__estimator__min_samples_leaf": [1, 5], "classify__estimator__max_depth": [10, None]}
_STEPS = 6


@dataclass
class Demo:
    """What the demo is made with, and what it made.

    Parameters
    ----------
    out : pathlib.Path
        Folder of all that is written.
    buffer : float
        Metres by which polygons grow, or shrink if negative.
    min_pixels : int
        A class with fewer pixels under its polygons is small.
    small_classes : str
        Whether small classes are dropped ("drop") or become one class, "other" ("merge").
    max_per_class : int
        Training pixels of a class at the most, which balances the classes.
    block_size : float
        Side of the spatial blocks in metres.
    n_splits : int
        Folds of each cross-validation.
    memory : str
        What the prediction may take.
    n_jobs : int
        Processes that fit at the same time.
    seed : int
        Seed of everything that is drawn.
    files : dict of str to pathlib.Path
        What was written: "scene", "model", "map", "map picture", "folds picture" and "report".
    scores : list of FoldScores
        The three numbers.
    seconds : dict of str to float
        What each step took.
    notes : list of str
        What the steps warned of.
    """

    out: Path
    buffer: float = -20.0
    min_pixels: int = 7_500
    small_classes: str = "drop"
    max_per_class: int = 2_000
    block_size: float = 1_500.0
    n_splits: int = 5
    memory: str = "256MB"
    n_jobs: int = 2
    seed: int = 0
    files: dict[str, Path] = field(default_factory=dict)
    scores: list[FoldScores] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def run_demo(out: Any, *, progress: bool = True, echo: Callable[[str], Any] = tqdm.write, **options: Any) -> Demo:
    """Map land use from the sample scene, validate the map in three ways, and write a page about it.

    The five classes are those of which 7 500 pixels (75 ha) or more are left once polygons are shrunk by 20 m, so that no mixed pixel at their
    edges is learned from: farm, forest, meadow, residential and water. Scrub, wetland and grass are left out, or merged. 2 000 pixels of each class are drawn.
    Blocks are 1.5 km wide, a tenth of the scene.

    Parameters
    ----------
    out : path
        Folder to write in; it is made if need be, and files in it are replaced.
    progress : bool, default=True
        Whether a progress bar is shown.
    echo : callable, default=tqdm.write
        What happens to the line that each step gives.
    **options : dict
        Parameters of `Demo` that shall differ from their defaults.

    Returns
    -------
    Demo

    Raises
    ------
    DatasetMissingError
        If the sample data is not installed.
    DependencyMissingError
        If matplotlib is not installed.
    """
    data = load_sentinel2_osm()
    demo = Demo(Path(out), **options)
    demo.out.mkdir(parents=True, exist_ok=True)
    with tqdm(
        total=_STEPS, disable=not progress, unit="step", leave=False, bar_format="{l_bar}{bar}| {n_fmt}/{total_fmt} {elapsed}"
    ) as bar:
        with _step(demo, bar, echo, "scene") as say:
            say(_write_scene(demo, data))
        with _step(demo, bar, echo, "pixels") as say:
            X, y, samples = _take_pixels(demo, data)
            say(f"{len(y):,} of {sum(row[2] for row in samples):,} labelled pixels under {len(np.unique(X.groups))} polygons, "
                f"{len(np.unique(y))} classes: {', '.join(np.unique(y))}")  # fmt: skip
        blocks = SpatialBlockGroupKFold(demo.n_splits, block_size=demo.block_size)
        with _step(demo, bar, echo, "search") as say:
            search = GridSearchCV(_model(demo), _CANDIDATES, cv=blocks, n_jobs=demo.n_jobs).fit(X, y)
            say(
                f"{len(search.cv_results_['params'])} candidates on spatial blocks of {demo.block_size:,.0f} m, best: {_short(search.best_params_)}"
            )
        with _step(demo, bar, echo, "validate") as say:
            demo.scores = compare_folds(search.best_estimator_, X, y, blocks, n_jobs=demo.n_jobs, random_state=demo.seed)
            say(
                "accuracy by cross-validation: "
                + ", ".join(f"{scores.name} {scores.summary('accuracy')}" for scores in demo.scores)
            )
        with _step(demo, bar, echo, "map") as say:
            say(_predict(demo, data, search.best_estimator_, samples))
        with _step(demo, bar, echo, "report") as say:
            say(_report(demo, data, search, X, y, samples))
    for scores in demo.scores:
        echo(f"  {scores.name}: {scores.meaning}")
    echo(f"  {NOT_DESIGN_BASED}")
    return demo


@contextmanager
def _step(demo: Demo, bar: Any, echo: Callable[[str], Any], name: str) -> Iterator[Callable[[str], None]]:
    """Time a step, keep what it warns of, and give its line."""
    lines: list[str] = []
    bar.set_description(f"{name:<8}")
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PixelwiseWarning)
        yield lines.append
    demo.seconds[name] = time.perf_counter() - start
    bar.update()
    echo(f"[{len(demo.seconds)}/{_STEPS}] {name:<8} {' '.join(lines)} ({demo.seconds[name]:.1f} s)")
    for warning in caught:
        if not issubclass(warning.category, PixelwiseWarning):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        elif str(warning.message) not in demo.notes:
            demo.notes.append(str(warning.message))
            echo(f"      note: {warning.message}")


def _write_scene(demo: Demo, data: Sentinel2OSM) -> str:
    scene = open_raster(data.bands)
    demo.files["scene"] = write_raster(scene, demo.out / "scene.tif")
    with RasterFile(demo.files["scene"]) as file:
        step, grid = abs(file.grid.transform.a), file.grid
        return f"{file.n_bands} bands aligned to {grid.height} x {grid.width} pixels of {step:g} m in {crs_name(grid.crs)}: {demo.files['scene']}"


def _take_pixels(demo: Demo, data: Sentinel2OSM) -> tuple[PixelTable, np.ndarray, list[tuple[str, int, int, int]]]:
    """Return training pixels and labels, and for each class its polygons, labelled pixels and training pixels."""
    source: dict[str, Any] = {
        "raster": demo.files["scene"],
        "labels": data.polygons,
        "column": data.column,
        "buffer": demo.buffer,
    }
    every, labels = extract_pixels(**source)
    X, y = extract_pixels(
        **source,
        min_pixels=demo.min_pixels,
        small_classes=demo.small_classes,
        max_per_class=demo.max_per_class,
        random_state=demo.seed,
    )
    samples = []
    for name in np.unique(labels):
        here = labels == name
        samples.append((str(name), len(np.unique(every.groups[here])), int(here.sum()), int((y == name).sum())))
    merged = int((y == "other").sum())
    return X, y, [*samples, ("other (merged)", 0, 0, merged)] if merged else samples


def _model(demo: Demo) -> Pipeline:
    forest = RandomForestClassifier(n_estimators=100, random_state=demo.seed)
    steps = [
        ("ndvi", AppendIndex(NDVI(red="B04", nir="B08"))),
        ("ndwi", AppendIndex(NDWI(green="B03", nir="B08"))),
        ("classify", PixelwiseClassifier(forest)),
    ]
    return Pipeline(steps)


def _short(params: dict[str, Any]) -> str:
    return ", ".join(f"{name.rpartition('__')[2]}={value}" for name, value in params.items())


def _predict(demo: Demo, data: Sentinel2OSM, model: Pipeline, samples: list[tuple[str, int, int, int]]) -> str:
    """Save the model, load it again, and apply what was loaded from file to file."""
    metadata = {
        "data": data.description,
        "license": data.license,
        "labels": f"{data.polygons.name}, column {data.column}",
        "training pixels": {name: used for name, _, _, used in samples if used},
        "cross-validation": {
            scores.name: {measure: scores.summary(measure) for measure in scores.scores} or scores.problem
            for scores in demo.scores
        },
    }
    demo.files["model"] = save_artifact(model, demo.out / "model.pixelwise", metadata=metadata)
    loaded = load_artifact(demo.files["model"])
    colors = {name: _COLORS[name] for name in loaded.classes_ if name in _COLORS}
    demo.files["map"] = predict_raster(
        loaded, demo.files["scene"], demo.out / "map.tif", memory=demo.memory, workers=demo.n_jobs, colors=colors
    )
    return f"saved, loaded again and applied file to file within {demo.memory}: {demo.files['map']}"


def _report(
    demo: Demo, data: Sentinel2OSM, search: GridSearchCV, X: PixelTable, y: np.ndarray, samples: list[tuple[str, int, int, int]]
) -> str:
    drawn = MapDisplay.from_raster(demo.files["map"])
    scene = SceneDisplay.from_raster(demo.files["scene"], ("B04", "B03", "B02"))
    folds = FoldsDisplay.from_splitter(search.cv, X, y)
    figure = drawn.plot(
        title="Land use west of Berlin", subtitle="Random forest on a Sentinel-2 scene of 16 February 2017"
    ).figure_
    demo.files["map picture"] = _save_picture(figure, demo.out / "map.png")
    title = f"Folds of the cross-validation: spatial blocks of {demo.block_size:,.0f} m"
    figure = folds.plot(
        scene=scene, title=title, subtitle="Each dot is a training pixel in the colour of the fold that tests it"
    ).figure_
    demo.files["folds picture"] = _save_picture(figure, demo.out / "folds.png")
    demo.files["report"] = demo.out / "report.html"
    areas = class_areas(demo.files["map"])
    report = MapReport(
        title="Land use west of Berlin, from one Sentinel-2 scene",
        summary=_summary(y, areas),
        map=drawn,
        scene=scene,
        folds=folds,
        scores=demo.scores,
        y=y,
        areas=areas,
        samples=samples,
        facts=_facts(demo, data, search, samples),
        notes=_notes(demo, samples),
    )
    return str(report.save(demo.files["report"]))


def _save_picture(figure: Any, path: Path) -> Path:
    path.write_bytes(png_bytes(figure))
    return path


def _summary(y: np.ndarray, areas: list[ClassArea]) -> str:
    classes = [str(name) for name in np.unique(y)]
    return (
        f"A random forest learned {len(classes)} classes ({', '.join(classes)}) from {len(y):,} pixels under polygons of OpenStreetMap, "
        f"and mapped {sum(area.hectares or 0 for area in areas) / 100:,.0f} square kilometres at 10 m from a winter scene of 16 February 2017."
    )


def _notes(demo: Demo, samples: list[tuple[str, int, int, int]]) -> list[str]:
    small = [name for name, _, _, used in samples if not used]
    gone = f"Places of {', '.join(small)} are there, too: the map gives them the class that they look most like, because the model does not know them. "
    return [
        (gone if small and demo.small_classes == "drop" else "")
        + "The scene is partly under thin cloud, which is not masked; OpenStreetMap's polygons are taken as they are, errors included.",
        f"The best of {np.prod([len(values) for values in _CANDIDATES.values()])} candidates was chosen on the same spatial blocks that give its number "
        f"here, which favours that number a little; a nested cross-validation would not.",
        *(f"While it ran: {note}." for note in demo.notes),
    ]


def _facts(
    demo: Demo, data: Sentinel2OSM, search: GridSearchCV, samples: list[tuple[str, int, int, int]]
) -> dict[str, list[tuple[str, str]]]:
    with RasterFile(demo.files["scene"]) as file:
        grid, dtype, nodata = file.grid, file.dtype, file.nodata[0]
    by_step: dict[float, list[str]] = {}
    for name, path in data.bands.items():
        with RasterFile(path) as file:
            by_step.setdefault(abs(file.grid.transform.a), []).append(name)
    left, bottom, right, top = grid.bounds
    read = [
        ("data", data.description),
        ("terms", data.license),
        ("bands", "; ".join(f"{', '.join(names)} at {step:g} m" for step, names in sorted(by_step.items()))),
        ("first file", next(iter(data.bands.values())).name),
        (
            "polygons",
            f"{data.polygons.name}, column {data.column}: {sum(row[1] for row in samples)} of them hold pixels of the scene",
        ),
        ("CRS", crs_name(grid.crs)),
        ("grid", f"{grid.height} x {grid.width} pixels of {abs(grid.transform.a):g} m, nearest neighbour for coarser bands"),
        ("extent", f"x {left:,.0f} to {right:,.0f}, y {bottom:,.0f} to {top:,.0f}"),
        ("values", f"{dtype}, nodata {'not declared' if nodata is None else f'{nodata:g}'}"),
    ]
    made = [
        ("features", "13 bands, and the indices NDVI and NDWI"),
        ("model", "random forest of 100 trees"),
        ("chosen", _short(search.best_params_)),
        *(("tried", f"{_short(params)}: accuracy {mean:.3f} ± {std:.3f}") for params, mean, std in _candidates(search)),
        ("polygons", f"{'shrunk' if demo.buffer < 0 else 'grown'} by {abs(demo.buffer):g} m"),
        ("small classes", f"under {demo.min_pixels:,} pixels: {'left out' if demo.small_classes == 'drop' else 'merged'}"),
        ("balance", f"at most {demo.max_per_class:,} pixels of a class"),
        ("folds", f"{demo.n_splits}; blocks of {demo.block_size:,.0f} m"),
        ("seed", str(demo.seed)),
        ("memory", f"{demo.memory} for the prediction"),
    ]
    times = [(name, f"{seconds:.1f} s") for name, seconds in demo.seconds.items()]
    written = [(name, path.name) for name, path in demo.files.items()]
    return {"Read": read, "Made": made, "Versions": _versions(demo, data), "Time of each step": times, "Written": written}


def _candidates(search: GridSearchCV) -> Iterator[tuple[dict[str, Any], float, float]]:
    found = search.cv_results_
    yield from zip(found["params"], found["mean_test_score"], found["std_test_score"], strict=True)


def _versions(demo: Demo, data: Sentinel2OSM) -> list[tuple[str, str]]:
    known = dict(artifact_info(demo.files["model"])["versions"])
    known |= {name: version(name) for name in ("rasterio", "geopandas", "xarray", "matplotlib")}
    return list({**known, "GDAL": rasterio.__gdal_version__, **data.versions}.items())
