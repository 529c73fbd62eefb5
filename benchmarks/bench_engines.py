"""How much faster compiled estimators predict than their libraries do, and whether they predict the same bits.

Models are fitted on pixels of a real scene, Sentinel-2 with land use of OpenStreetMap, whose eight classes are hard to tell
apart, and predict other pixels of it. All that is compared takes turns in one process, and the medians are told.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

# One thread for the libraries, where they ask OpenMP or BLAS.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import pixelwise as pw

BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")


def land_use(n_train: int, n_predict: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pixels and classes to fit on, and other pixels to predict."""
    data = pw.datasets.load_sentinel2_osm()
    scene = pw.open_raster({band: data.bands[band] for band in BANDS})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pw.errors.PixelwiseWarning)
        table, names = pw.extract_pixels(scene, data.polygons, column=data.column)
    X, y = np.asarray(table).astype("float32"), np.unique(np.asarray(names), return_inverse=True)[1]
    order = np.random.default_rng(0).permutation(len(X))
    rows = order[n_train : n_train + n_predict]
    return X[order[:n_train]], y[order[:n_train]], np.ascontiguousarray(X[np.sort(rows)])


def models(trees: list[int]) -> dict[str, Any]:
    """Return the estimators by name; those whose library is not there are left out."""
    found: dict[str, Any] = {
        f"random forest of {number}": RandomForestClassifier(number, random_state=0, n_jobs=2) for number in trees
    }
    found["extra trees of 100"] = ExtraTreesClassifier(100, random_state=0, n_jobs=2)
    found["histogram gradient boosting, 100 rounds"] = HistGradientBoostingClassifier(
        max_iter=100, early_stopping=False, random_state=0
    )
    try:
        from lightgbm import LGBMClassifier

        found["LightGBM, 100 rounds"] = LGBMClassifier(n_estimators=100, n_jobs=1, verbose=-1, random_state=0)
    except ImportError:
        print("LightGBM is not there")
    try:
        from xgboost import XGBClassifier

        found["XGBoost, 100 rounds"] = XGBClassifier(n_estimators=100, n_jobs=1, random_state=0)
    except ImportError:
        print("XGBoost is not there")
    found["scaler and logistic regression"] = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    found["scaler and PCA of 3"] = make_pipeline(StandardScaler(), PCA(3))
    return found


def seconds(work: dict[str, Callable[[], Any]], rounds: int) -> tuple[dict[str, float], dict[str, Any]]:
    """Return the median time of each piece of work, and its result; they take turns, and the first round warms up."""
    times: dict[str, list[float]] = {name: [] for name in work}
    results = {}
    for turn in range(rounds + 1):
        for name in list(work) if turn % 2 else list(work)[::-1]:
            start = time.perf_counter()
            results[name] = work[name]()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken[1:]) for name, taken in times.items()}, results


def compare(name: str, model: Any, X: np.ndarray, rounds: int) -> None:
    """Print a row for each thing compared."""
    start = time.perf_counter()
    one = pw.compile_estimator(model, "fast", n_jobs=1)
    taken = time.perf_counter() - start
    two = pw.compile_estimator(model, "fast", n_jobs=2)
    forest = hasattr(model, "estimators_")
    method, thing = ("predict", "labels") if hasattr(model, "predict") else ("transform", "components")
    getattr(one, method)(X[:100])
    work = {
        f"source {thing}": lambda: getattr(model, method)(X),
        thing: lambda: getattr(one, method)(X),
        f"{thing}, 2 threads": lambda: getattr(two, method)(X),
    }
    if forest:
        work |= {
            "source probabilities": lambda: model.predict_proba(X),
            "probabilities": lambda: one.predict_proba(X),
            "probabilities, 2 threads": lambda: two.predict_proba(X),
        }
    times, results = seconds(work, rounds)
    bars = {"labels": 2}
    if forest:
        bars = {"labels": 6, "labels, 2 threads": 11, "probabilities": 4}
    elif hasattr(model, "steps"):
        bars = {"components": 1.3}
    for what in [each for each in work if not each.startswith("source")]:
        source = f"source {what.partition(',')[0]}"
        off = np.abs(results[what] - results[source]).max()
        same = "yes" if not off else f"to {off:.1g}" if off <= one.program_.bounds[method] else "NO"
        ratio, bar = times[source] / times[what], bars.get(what)
        verdict = "" if bar is None else f"{bar} {'met' if ratio >= bar else 'MISSED'}"
        each = [f"{times[part] / len(X) * 1e6:.2f}" for part in (source, what)]
        print(f"| {name} | {what} | {each[0]} | {each[1]} | {ratio:.1f} | {verdict} | {same} |", flush=True)
    if forest:
        resident = sum(tree.tree_.__getstate__()["nodes"].nbytes + tree.tree_.value.nbytes for tree in model.estimators_)
        size = one.program_.nbytes
        verdict = f"10 {'met' if resident >= 10 * size else 'MISSED'}"
        print(f"| {name} | memory, MB | {resident / 1e6:.0f} | {size / 1e6:.1f} | {resident / size:.1f} | {verdict} | |")
        nodes = sum(tree.tree_.node_count for tree in model.estimators_)
        print(f"| {name} | conversion of {nodes / 1e6:.1f} million nodes, s | | {taken:.1f} | | | |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=int, default=60_000, help="pixels to fit on")
    parser.add_argument("--pixels", type=int, default=65_536, help="pixels to predict")
    parser.add_argument("--trees", type=int, nargs="*", default=[100, 300], help="sizes of random forests")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="part of the names of the models to run")
    options = parser.parse_args()
    X, y, pixels = land_use(options.train, options.pixels)
    print(f"{len(pixels)} pixels of {X.shape[1]} bands, {y.max() + 1} classes, fitted on {len(X)}; microseconds a pixel\n")
    print("| model | what | library, 1 thread | compiled | times as fast | bar | same bits |")
    print("|---|---|---|---|---|---|---|")
    for name, model in models(options.trees).items():
        if options.only in name:
            model.fit(X, y)
            if hasattr(model, "estimators_"):
                model.n_jobs = 1
            compare(name, model, pixels, options.rounds)


if __name__ == "__main__":
    main()
