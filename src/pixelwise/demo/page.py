"""The demo's page: the pictures, and what it says of the data, the choices and the versions."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio

from pixelwise.display.areas import ClassArea, class_areas
from pixelwise.display.canvas import png_bytes
from pixelwise.display.distances import DistanceDisplay
from pixelwise.display.folds import SpatialFoldsDisplay
from pixelwise.display.map import MapDisplay, SceneDisplay
from pixelwise.display.report import MapReport
from pixelwise.model_selection.fold_report import fold_report
from pixelwise.raster.grid import crs_name
from pixelwise.raster.io import RasterFile
from pixelwise.stored import artifact_info

if TYPE_CHECKING:
    from pixelwise.demo.steps import Demo

__all__ = ["build_page", "short"]

Pairs = list[tuple[str, str]]


def short(params: dict[str, Any]) -> str:
    """Return parameters without the path to their estimator."""
    return ", ".join(f"{name.rpartition('__')[2]}={value}" for name, value in params.items())


def build_page(demo: Demo) -> dict[str, Path]:
    """Draw the map and the folds, and write the report.

    Parameters
    ----------
    demo : Demo
        After its other steps.

    Returns
    -------
    dict of str to pathlib.Path
        "map picture", "folds picture" and "report".
    """
    drawn = MapDisplay.from_raster(demo.files["map"])
    scene = SceneDisplay.from_raster(demo.files["scene"], ("B04", "B03", "B02"))
    folds = SpatialFoldsDisplay.from_splitter(demo.search.cv, demo.X, demo.y)
    files = {"map picture": demo.out / "map.png", "folds picture": demo.out / "folds.png", "report": demo.out / "report.html"}
    drawn.plot(title="Land use west of Berlin", subtitle="Random forest on a Sentinel-2 scene of 16 February 2017")
    files["map picture"].write_bytes(png_bytes(drawn.figure_))
    folds.plot(
        scene=scene,
        title=f"Folds of the cross-validation: spatial blocks of {demo.block_size:,.0f} m",
        subtitle="Each dot is a training pixel in the colour of the fold that tests it",
    )
    files["folds picture"].write_bytes(png_bytes(folds.figure_))
    areas = class_areas(demo.files["map"])
    report = MapReport(
        title="Land use west of Berlin, from one Sentinel-2 scene",
        summary=_summary(demo.y, areas),
        map=drawn,
        scene=scene,
        folds=folds,
        scores=demo.scores,
        y=demo.y,
        areas=areas,
        samples=demo.samples,
        facts={
            "What was read": _read(demo),
            "How the training pixels were taken": _taken(demo),
            "How the model was found": _found(demo),
            "Time of each step": [(name, f"{seconds:.1f} s") for name, seconds in demo.seconds.items()],
            "Files": [(name, path.name) for name, path in {**demo.files, **files}.items()],
            "Versions": _versions(demo),
        },
        notes=_notes(demo),
        fold_table=fold_report(demo.search.cv, demo.X, demo.y, prediction_domain=demo.files["scene"], random_state=demo.seed),
        distances=DistanceDisplay.from_splitter(
            demo.search.cv, demo.X, demo.y, prediction_domain=demo.files["scene"], random_state=demo.seed
        ),
    )
    report.save(files["report"])
    return files


def _summary(y: np.ndarray, areas: Sequence[ClassArea]) -> str:
    classes = np.unique(y).tolist()
    square_km = sum(area.hectares or 0 for area in areas) / 100
    return (
        f"A random forest learned {len(classes)} classes ({', '.join(classes)}) from {len(y):,} pixels under polygons of "
        f"OpenStreetMap, and mapped {square_km:,.0f} square kilometres at 10 m from a winter scene of 16 February 2017."
    )


def _read(demo: Demo) -> Pairs:
    resolutions: dict[float, list[str]] = {}
    for name, path in demo.data.bands.items():
        with RasterFile(path) as file:
            resolutions.setdefault(file.grid.transform.a, []).append(name)
    with RasterFile(demo.files["scene"]) as file:
        grid, dtype, nodata = file.grid, file.dtype, file.nodata[0]
    left, bottom, right, top = grid.bounds
    polygons = sum(polygons for _, polygons, _, _ in demo.samples)
    return [
        ("data", demo.data.description),
        ("terms", demo.data.license),
        ("files", f"{', '.join(path.name for path in demo.data.bands.values())}; {demo.data.polygons.name}"),
        ("bands", "; ".join(f"{', '.join(names)} at {step:g} m" for step, names in sorted(resolutions.items()))),
        ("CRS", crs_name(grid.crs)),
        ("grid", f"{grid.height} x {grid.width} pixels of {grid.transform.a:g} m; coarser bands by nearest neighbour"),
        ("extent", f"x {left:,.0f} to {right:,.0f} m, y {bottom:,.0f} to {top:,.0f} m"),
        ("values", f"{dtype}, nodata {'not declared' if nodata is None else f'{nodata:g}'}"),
        ("labels", f"column {demo.data.column}; {polygons} polygons hold pixels of the scene"),
    ]


def _taken(demo: Demo) -> Pairs:
    small = "left out" if demo.small_classes == "drop" else "merged into one, other"
    return [
        ("polygons", f"{'shrunk' if demo.buffer < 0 else 'grown'} by {abs(demo.buffer):g} m"),
        ("small classes", f"those under {demo.min_pixels:,} pixels, {small}"),
        ("balance", f"at most {demo.max_per_class:,} pixels of a class, at random"),
        ("folds", f"{demo.n_splits}; blocks of {demo.block_size:,.0f} m"),
        ("seed", str(demo.seed)),
    ]


def _found(demo: Demo) -> Pairs:
    results = demo.search.cv_results_
    tried = zip(results["params"], results["mean_test_score"], results["std_test_score"], strict=True)
    return [
        ("features", "13 bands, NDVI and NDWI"),
        ("model", "random forest of 100 trees"),
        *(("tried", f"{short(params)}: accuracy {mean:.3f}\u00a0±\u00a0{spread:.3f}") for params, mean, spread in tried),
        ("chosen", short(demo.search.best_params_)),
        ("prediction", f"from file to file within {demo.memory}, with the model as it was loaded from its file"),
    ]


def _versions(demo: Demo) -> Pairs:
    known = dict(artifact_info(demo.files["model"])["versions"])
    known |= {name: version(name) for name in ("rasterio", "geopandas", "xarray", "matplotlib")}
    return [*known.items(), ("GDAL", rasterio.__gdal_version__), *demo.data.versions.items()]


def _notes(demo: Demo) -> list[str]:
    small = [name for name, _, _, used in demo.samples if not used]
    unknown = (
        f"The model does not know {', '.join(small)}: such places get the class that they look most like. "
        if small and demo.small_classes == "drop"
        else ""
    )
    chosen = (
        f"The best of {len(demo.search.cv_results_['params'])} candidates was chosen on the same spatial blocks that give its "
        f"number here, which favours that number a little; a nested cross-validation would not."
    )
    clouds = (
        "Part of the scene lies under thin cloud, which is not masked, and the polygons are taken as they are, errors included."
    )
    return [f"{unknown}{clouds}", chosen, *(f"While it ran: {note}." for note in demo.notes)]
