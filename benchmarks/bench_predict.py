"""How much longer a raster takes than a ready table: the wrapper's predict against the bare estimator's.

The two run in turns in one process, and the median of the ratios of neighbouring runs is told, which a busy machine does not
change much.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import rasterio
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

import pixelwise as pw

#: The most that the wrapper may take, as a multiple of the bare estimator.
BARS = {"LogisticRegression": 1.35, "RandomForest(100)": 1.05}


def seconds(function: Callable[[Any], Any], argument: Any) -> float:
    start = time.perf_counter()
    function(argument)
    return time.perf_counter() - start


def compare(model: Any, raster: pw.Raster, table: np.ndarray, rounds: int) -> tuple[float, float, float]:
    """Return the median ratio, and the median seconds of the bare estimator and of the wrapper."""
    wrapper = pw.PixelwiseClassifier(model)
    bare, wrapped = [], []
    for turn in range(rounds + 1):
        pair = [(bare, model.predict, table), (wrapped, wrapper.predict, raster)]
        for times, function, argument in pair if turn % 2 else reversed(pair):
            times.append(seconds(function, argument))
    # The first round warms up.
    ratios = [one / other for one, other in zip(wrapped[1:], bare[1:], strict=True)]
    return statistics.median(ratios), statistics.median(bare[1:]), statistics.median(wrapped[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1024, help="rows and columns of the raster")
    parser.add_argument("--bands", type=int, default=10)
    parser.add_argument("--classes", type=int, default=8)
    parser.add_argument("--double", action="store_true", help="fit on float64, which makes linear models predict in it")
    parser.add_argument("--missing", type=float, default=0.0, help="share of pixels without data")
    parser.add_argument("--models", nargs="*", default=list(BARS), choices=list(BARS))
    parser.add_argument("--rounds", type=int, default=15, help="rounds with LogisticRegression; a forest takes a third of them")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    values = rng.normal(2000, 500, (options.bands, options.size, options.size)).astype("float32")
    values[:, rng.random((options.size, options.size)) < options.missing] = np.nan
    grid = pw.Grid("EPSG:32633", rasterio.Affine(10, 0, 330_000, 0, -10, 5_822_040), options.size, options.size)
    raster = pw.rewrap(pw.Raster(values, grid, nodata=(float("nan"),)), like=pw.open_raster(pw.datasets.make_example()[0]))
    table = pw.ToPixelMajor()(values)
    table = np.ascontiguousarray(table[~np.isnan(table).any(axis=1)])
    rows = rng.normal(2000, 500, (5000, options.bands)).astype("float32")
    sums = rows[:, 0] + rows[:, 1]
    labels = np.digitize(sums, np.quantile(sums, np.arange(1, options.classes) / options.classes))
    rows = rows.astype("float64") if options.double else rows
    models = {
        "LogisticRegression": LogisticRegression(max_iter=300).fit(rows / 1000, labels),
        "RandomForest(100)": RandomForestClassifier(100, random_state=0).fit(rows, labels),
    }
    size = f"{options.size} x {options.size} pixels, {options.bands} bands"
    print(f"{size}, {options.classes} classes, {options.missing:.0%} missing", flush=True)
    for name, model in ((name, models[name]) for name in options.models):
        rounds = options.rounds if name == "LogisticRegression" else max(3, options.rounds // 3)
        ratio, bare, wrapped = compare(model, raster, table, rounds)
        verdict = "within" if ratio <= BARS[name] else "MISSES"
        cost = f"bare {bare / raster[0].size * 1e9:7.1f} ns a pixel   raster {wrapped / raster[0].size * 1e9:7.1f}"
        print(f"{name:20} {cost}   ratio {ratio:.3f}   {verdict} {BARS[name]}", flush=True)


if __name__ == "__main__":
    main()
