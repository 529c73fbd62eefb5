"""The six steps of the demo, from the bands to the page."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from tqdm import tqdm

from pixelwise.artifact import save_artifact
from pixelwise.datasets import Sentinel2OSM, load_sentinel2_osm
from pixelwise.demo.page import build_page, short
from pixelwise.display.canvas import check_matplotlib
from pixelwise.errors import PixelwiseWarning
from pixelwise.estimators.supervised import PixelwiseClassifier
from pixelwise.inference.streaming import predict_raster
from pixelwise.model_selection.blocks import SpatialBlockGroupKFold
from pixelwise.model_selection.comparison import NOT_DESIGN_BASED, FoldScores, compare_folds
from pixelwise.operators.indices import NDVI, NDWI, AppendIndex
from pixelwise.raster.grid import crs_name
from pixelwise.raster.io import RasterFile
from pixelwise.raster.opening import open_raster
from pixelwise.raster.write import write_raster
from pixelwise.stored import load_artifact
from pixelwise.table.extract import extract_pixels
from pixelwise.table.pixels import PixelTable

__all__ = ["Demo", "run_demo"]

#: Colours that a reader expects of land use; classes that are not named here get one of the palette.
_COLORS = {
    "farm": "#e8c468", "forest": "#1f6b3a", "meadow": "#9ccb6b", "residential": "#c8553d", "water": "#3b82b8",
    "scrub": "#7d8f3c", "wetland": "#4fb3a5", "grass": "#d3e68a", "other": "#9aa0a8",
}  # fmt: skip
_CANDIDATES = {"classify__estimator__max_depth": [10, None], "classify__estimator__min_samples_leaf": [1, 5]}


@dataclass(eq=False)
class Demo:
    """Settings of the demo, its steps, and what they make. The steps run in the order in which they stand here.

    Parameters
    ----------
    out : pathlib.Path
        Folder of all that is written.
    buffer : float, default=-20.0
        Metres by which polygons grow, or shrink if negative.
    min_pixels : int, default=7500
        A class with fewer pixels under its polygons is small.
    small_classes : {"drop", "merge"}, default="drop"
        Whether small classes are left out, or become one class, "other".
    max_per_class : int, default=2000
        Most training pixels of a class, which balances the classes.
    block_size : float, default=1500.0
        Side of the spatial blocks in metres.
    n_splits : int, default=5
        Folds of each cross-validation.
    memory : str, default="256MB"
        What the prediction may take.
    n_jobs : int, default=2
        Processes that fit, and threads that predict, at the same time.
    seed : int, default=0
        Seed of everything that is drawn.
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
    files: dict[str, Path] = field(default_factory=dict, init=False)
    seconds: dict[str, float] = field(default_factory=dict, init=False)
    notes: list[str] = field(default_factory=list, init=False)
    data: Sentinel2OSM = field(init=False, repr=False)
    X: PixelTable = field(init=False, repr=False)
    y: np.ndarray = field(init=False, repr=False)
    samples: list[tuple[str, int, int, int]] = field(init=False, repr=False)
    search: GridSearchCV = field(init=False, repr=False)
    scores: list[FoldScores] = field(init=False, repr=False)

    def write_scene(self) -> str:
        """Align bands of 10, 20 and 60 m to the finest grid, and write them as one file."""
        self.data = load_sentinel2_osm()
        self.out.mkdir(parents=True, exist_ok=True)
        self.files["scene"] = write_raster(open_raster(self.data.bands), self.out / "scene.tif")
        with RasterFile(self.files["scene"]) as file:
            grid = file.grid
            size = f"{grid.height} x {grid.width} pixels of {grid.transform.a:g} m in {crs_name(grid.crs)}"
            return f"{file.n_bands} bands aligned to {size}: {self.files['scene']}"

    def take_pixels(self) -> str:
        """Take the pixels under the shrunken polygons, as many of each class."""
        source: dict[str, Any] = {
            "raster": self.files["scene"], "labels": self.data.polygons, "column": self.data.column, "buffer": self.buffer,
        }  # fmt: skip
        every, labels = extract_pixels(**source)
        self.X, self.y = extract_pixels(
            **source, min_pixels=self.min_pixels, small_classes=self.small_classes, max_per_class=self.max_per_class,
            random_state=self.seed,
        )  # fmt: skip
        self.samples = []
        for name in np.unique(labels).tolist():
            here = labels == name
            polygons = len(np.unique(every.groups[here]))
            self.samples.append((name, polygons, int(here.sum()), int((self.y == name).sum())))
        if "other" in self.y:
            rest = [row[1:3] for row in self.samples if not row[3]]
            self.samples.append(("other", *np.sum(rest, axis=0).tolist(), int((self.y == "other").sum())))
        classes, polygons = np.unique(self.y).tolist(), len(np.unique(self.X.groups))
        drawn = f"{len(self.y):,} of {len(labels):,} labelled pixels, under {polygons} polygons"
        return f"{drawn}; {len(classes)} classes: {', '.join(classes)}"

    def find_model(self) -> str:
        """Search for the best of four forests on spatial blocks; two indices are computed in the pipeline."""
        forest = RandomForestClassifier(n_estimators=100, random_state=self.seed)
        steps = [
            ("ndvi", AppendIndex(NDVI(red="B04", nir="B08"))),
            ("ndwi", AppendIndex(NDWI(green="B03", nir="B08"))),
            ("classify", PixelwiseClassifier(forest)),
        ]
        blocks = SpatialBlockGroupKFold(self.n_splits, block_size=self.block_size)
        self.search = GridSearchCV(Pipeline(steps), _CANDIDATES, cv=blocks, n_jobs=self.n_jobs).fit(self.X, self.y)
        tried = f"{len(self.search.cv_results_['params'])} candidates on spatial blocks of {self.block_size:,.0f} m"
        return f"{tried}, best: {short(self.search.best_params_)}"

    def validate(self) -> str:
        """Score the best forest on random folds, held-out polygons and spatial blocks."""
        self.scores = compare_folds(
            self.search.best_estimator_, self.X, self.y, self.search.cv, n_jobs=self.n_jobs, random_state=self.seed
        )
        numbers = [f"{each.name} {each.summary('accuracy') if each.scores else 'not possible'}" for each in self.scores]
        return f"accuracy by cross-validation: {', '.join(numbers)}"

    def predict(self) -> str:
        """Save the model, load it again, and apply what was loaded from file to file."""
        numbers = {each.name: {key: each.summary(key) for key in each.scores} or each.problem for each in self.scores}
        metadata = {
            "data": self.data.description,
            "license": self.data.license,
            "labels": f"{self.data.polygons.name}, column {self.data.column}",
            "training pixels": {name: int((self.y == name).sum()) for name in np.unique(self.y).tolist()},
            "cross-validation": numbers,
        }
        self.files["model"] = save_artifact(self.search.best_estimator_, self.out / "model.pixelwise", metadata=metadata)
        model = load_artifact(self.files["model"])
        colors = {name: _COLORS[name] for name in model.classes_ if name in _COLORS}
        self.files["map"] = predict_raster(
            model, self.files["scene"], self.out / "map.tif", memory=self.memory, workers=self.n_jobs, colors=colors
        )
        return f"model saved, loaded and applied from file to file within {self.memory}: {self.files['map']}"

    def report(self) -> str:
        """Draw the map and the folds, and write the page."""
        self.files.update(build_page(self))
        return str(self.files["report"])


def run_demo(out: Any, *, progress: bool = True, echo: Callable[[str], Any] = tqdm.write, **options: Any) -> Demo:
    """Map land use from the sample scene, validate the map in three ways, and write a page about it.

    The five classes are those with 7 500 pixels (75 ha) or more once polygons are shrunk by 20 m, so that no mixed pixel at
    their edges is learned from: farm, forest, meadow, residential and water. Grass, scrub and wetland are left out, or
    merged. 2 000 pixels of each class are drawn. Blocks are 1.5 km wide, a tenth of the scene.

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
        With what it made: ``files``, ``scores``, ``seconds``, ``search``, ``X`` and ``y``.

    Raises
    ------
    DatasetMissingError
        If the sample data is not installed.
    DependencyMissingError
        If matplotlib is not installed.
    """
    check_matplotlib()
    demo = Demo(Path(out), **options)
    steps = {
        "scene": demo.write_scene, "pixels": demo.take_pixels, "search": demo.find_model, "validate": demo.validate,
        "map": demo.predict, "report": demo.report,
    }  # fmt: skip
    look = "{desc}{bar}| {n_fmt}/{total_fmt} steps, {elapsed}"
    with tqdm(total=len(steps), disable=not progress, leave=False, bar_format=look) as bar:
        for number, (name, step) in enumerate(steps.items(), 1):
            bar.set_description_str(f"{name:<9}")
            line, notes = _timed(demo, name, step)
            bar.update()
            echo(f"[{number}/{len(steps)}] {name:<9}{line} ({demo.seconds[name]:.1f} s)")
            for note in notes:
                echo(f"      note: {note}")
    for each in demo.scores:
        echo(f"{each.name}: {each.problem or each.meaning}")
    echo(NOT_DESIGN_BASED)
    return demo


def _timed(demo: Demo, name: str, step: Callable[[], str]) -> tuple[str, list[str]]:
    """Run a step; return its line, and what it warned of for the first time."""
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PixelwiseWarning)
        line = step()
    demo.seconds[name] = time.perf_counter() - start
    notes: list[str] = []
    for warning in caught:
        text = str(warning.message)
        if not issubclass(warning.category, PixelwiseWarning):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        elif text not in demo.notes:
            demo.notes.append(text)
            notes.append(text)
    return line, notes
