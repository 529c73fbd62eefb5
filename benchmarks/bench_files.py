"""How long a map takes from file to file, against the bare estimator on a table that is ready in memory.

The table is float32, in C order, and predicted in one thread; reading, masking, writing and the layout of the table come on top
of that for the file. The two take turns in one process, and the median of the ratios of neighbouring runs is told.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

# One thread for the libraries, where they ask OpenMP or BLAS.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import rasterio
from rasterio.enums import Resampling
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import pixelwise as pw

BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")


def write_scene(path: Path, side: int, compress: str | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Write a square of a real scene, stretched to `side`, with noise; return its pixels, and pixels to fit on."""
    data = pw.datasets.load_sentinel2_osm()
    source = pw.open_raster({band: data.bands[band] for band in BANDS})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pw.errors.PixelwiseWarning)
        X, y = pw.extract_pixels(source, data.polygons, column=data.column)
    rng = np.random.default_rng(0)
    profile = {"driver": "GTiff", "count": len(BANDS), "height": side, "width": side, "dtype": "uint16", "tiled": True}
    tiles = {"blockxsize": 512, "blockysize": 512, "interleave": "pixel", "crs": "EPSG:32633", "compress": compress}
    cube = np.empty((len(BANDS), side, side), np.uint16)
    for number, band in enumerate(BANDS):
        with rasterio.open(data.bands[band]) as file:
            stretched = file.read(1, out_shape=(side, side), resampling=Resampling.bilinear)
        cube[number] = np.clip(stretched + rng.normal(0, 30, (side, side)), 1, 10_000)
    with rasterio.open(path, "w", **profile, **tiles, transform=rasterio.Affine(10, 0, 4e5, 0, -10, 5.8e6)) as file:
        file.write(cube)
        file.descriptions = BANDS
    rows = rng.permutation(len(X))[:20_000]
    table = np.moveaxis(cube, 0, 2).reshape(-1, len(BANDS)).astype("float32")
    return table, np.asarray(X)[rows].astype("float32"), np.asarray(y)[rows]


def ratios(bare: Callable[[], Any], other: Callable[[], Any], rounds: int) -> tuple[float, float, float]:
    """Return the median times of both, and the median of the ratios of neighbouring runs; the first round warms up."""
    times = []
    for turn in range(rounds + 1):
        took = {}
        for work in (bare, other) if turn % 2 else (other, bare):
            start = time.perf_counter()
            work()
            took[work] = time.perf_counter() - start
        times.append((took[bare], took[other]))
    one, two = zip(*times[1:], strict=True)
    return statistics.median(one), statistics.median(two), statistics.median(b / a for a, b in zip(one, two, strict=True))


def compare(name: str, estimator: Any, folder: Path, options: argparse.Namespace, **how: Any) -> None:
    """Print a row of the table."""
    side, bar = how.pop("side"), how.pop("bar")
    table, X, y = write_scene(folder / "scene.tif", side, options.compress)
    model = estimator.fit(X, y)
    wrapped = pw.PixelwiseClassifier(model)
    expected: list[Any] = []

    def bare() -> None:
        """Predict the table."""
        expected[:] = [model.predict(table)]

    def mapped() -> None:
        """Predict the file."""
        pw.predict_raster(wrapped, folder / "scene.tif", folder / "map.tif", memory=options.memory, **how)

    one, two, ratio = ratios(bare, mapped, options.rounds)
    names = model.classes_[np.asarray(pw.open_raster(folder / "map.tif").values[0]).ravel()]
    same = "yes" if np.array_equal(names, expected[0]) else "NO"
    told = f"{bar} {'met' if ratio <= bar else 'MISSED'}"
    print(f"| {name} | {side} | {one:.2f} | {two:.2f} | {ratio:.2f} | {told} | {same} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=4096, help="pixels of a side for the linear model")
    parser.add_argument("--forest-side", type=int, default=1024, help="pixels of a side for the forest")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", default="256MB")
    parser.add_argument("--compress", default=None, help="how the scene is compressed, such as deflate")
    parser.add_argument("--only", default="", help="part of the names of the rows to run")
    options = parser.parse_args()
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    forest = RandomForestClassifier(100, random_state=0, n_jobs=1)
    rows = [
        ("scaler and logistic regression, 2 workers", linear,
         {"workers": 2, "engine": "auto", "side": options.side, "bar": 0.45}),
        ("the same without an engine", linear, {"workers": 2, "engine": None, "side": options.side, "bar": 1.0}),
        ("random forest of 100 without an engine, 1 worker", forest,
         {"workers": 1, "engine": None, "side": options.forest_side, "bar": 1.02}),
    ]  # fmt: skip
    print(f"10 bands of uint16 in tiles of 512, compress={options.compress}, memory={options.memory}; seconds\n")
    print("| model | side | bare, 1 thread | file to file | ratio | bar | same labels |")
    print("|---|---|---|---|---|---|---|")
    for name, model, how in rows:
        if options.only in name:
            with tempfile.TemporaryDirectory() as folder:
                compare(name, model, Path(folder), options, **how)


if __name__ == "__main__":
    main()
