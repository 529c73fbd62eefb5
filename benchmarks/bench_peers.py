"""How long a forest takes from file to file with pixelwise, with other libraries, and with the loop that everybody writes.

Each library comes from PyPI into an environment of its own, with the same scikit-learn, and fits the same forest to the same
table of real pixels. All take turns on one scene, in changing order, each time in a fresh process. Times are told as ratios of
the runs of one round, since the machine may be busy, and the maps are compared pixel by pixel.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import rasterio
import sklearn
from rasterio.windows import Window
from sklearn.ensemble import RandomForestClassifier

#: What pip installs, beside scikit-learn: the newest that PyPI has.
PEERS = {"sklearn-raster": ["sklearn-raster==0.1.0.dev2", "rioxarray", "rasterio"], "pyspatialml": ["pyspatialml==0.22.1"]}
ENGINE, BARE = "pixelwise, compiled", "pixelwise"
WORKERS, BAR = 2, 4
Work = Callable[[], object]


def compiled(model: Any, scene: str, destination: str, memory: str) -> Work:
    """Predict with the engine of pixelwise-fast; the time it takes to translate the forest counts."""
    import pixelwise as pw

    return lambda: pw.predict_raster(model, scene, destination, memory=memory, workers=WORKERS, engine="fast")


def plain(model: Any, scene: str, destination: str, memory: str) -> Work:
    """Predict with scikit-learn's own forest, two chips at a time."""
    import pixelwise as pw

    return lambda: pw.predict_raster(model, scene, destination, memory=memory, workers=WORKERS, engine=None)


def with_sklearn_raster(model: Any, scene: str, destination: str, _memory: str) -> Work:
    """Predict as its guide to performance says: a DataArray, chunks of whole tiles, threads of dask and none of the forest."""
    import dask
    import rioxarray

    def work() -> None:
        with dask.config.set(scheduler="threads", num_workers=WORKERS):
            raster = rioxarray.open_rasterio(scene, chunks={"x": 512, "y": 512}, lock=False)
            labels = model.predict(raster, nodata_output=0)
            options = {"dtype": "uint8", "tiled": True, "compress": "deflate"}
            labels.squeeze("target").rio.to_raster(destination, lock=threading.Lock(), **options)

    return work


def with_pyspatialml(model: Any, scene: str, destination: str, _memory: str) -> Work:
    """Predict with the forest's own threads, in blocks that are whole tiles."""
    from pyspatialml import Raster

    model.n_jobs = WORKERS

    def work() -> None:
        raster = Raster(scene)
        raster.block_shape = (512, 512)
        raster.predict(model, file_path=destination, dtype="uint8", nodata=0, compress="deflate")

    return work


def by_hand(model: Any, scene: str, destination: str, _memory: str) -> Work:
    """Predict block by block with rasterio, with the forest's own threads."""
    model.n_jobs = WORKERS

    def work() -> None:
        with rasterio.open(scene) as source:
            profile = source.profile | {"count": 1, "dtype": "uint8", "compress": "deflate"}
            with rasterio.open(destination, "w", **profile) as target:
                for _, window in source.block_windows(1):
                    bands = source.read(window=window)
                    valid = (bands != source.nodata).all(axis=0)
                    labels = np.zeros(valid.shape, "uint8")
                    if valid.any():
                        labels[valid] = model.predict(bands[:, valid].T)
                    target.write(labels, 1, window=window)

    return work


WAYS = {
    ENGINE: compiled,
    BARE: plain,
    "by hand": by_hand,
    "sklearn-raster": with_sklearn_raster,
    "pyspatialml": with_pyspatialml,
}


def fit(name: str, trees: str, table: str, destination: str) -> None:
    """Fit the forest in this environment and keep it."""
    model = RandomForestClassifier(int(trees), random_state=0, n_jobs=WORKERS)
    with np.load(table) as rows:
        X, y = rows["X"], rows["y"]
    if name == "sklearn-raster":
        from sklearn_raster import FeatureArrayEstimator

        model.n_jobs = 1
        model = FeatureArrayEstimator(model)
    fitted = model.fit(X, y)
    if name not in PEERS:
        fitted.n_jobs = 1
    joblib.dump(fitted, destination)
    print(sklearn.__version__)


def peak() -> int:
    """Return the largest resident size of this process so far, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found is not None
    return int(found[1]) * 1024


def run(name: str, model: str, scene: str, destination: str, memory: str) -> None:
    """Make one map, and print how long that took, without imports and loading the model, and how much memory."""
    work = WAYS[name](joblib.load(model), scene, destination, memory)
    # Linux forgets the peak so far.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before, start, used = peak(), time.perf_counter(), time.process_time()
    work()
    told = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - used}
    print(json.dumps(told | {"peak": peak() / 1e6, "grown": (peak() - before) / 1e6}))


def call(python: str, *arguments: object) -> str:
    """Run a part of this file with some interpreter, and return the last line that it prints."""
    told = subprocess.run([python, __file__, "--part", *map(str, arguments)], capture_output=True, text=True, check=False)
    if told.returncode:
        sys.exit(f"{arguments[:2]} failed:\n{told.stderr}")
    return told.stdout.strip().rpartition("\n")[2]


def environment(name: str, cache: Path, make: bool) -> tuple[str, str]:
    """Return the interpreter of a peer's environment, or an empty text and why there is none; make it where it is missing."""
    folder, wanted = cache / name, [*PEERS[name], f"scikit-learn=={sklearn.__version__}"]
    python, mark = folder / "bin" / "python", folder / "installed.txt"
    if mark.exists() and mark.read_text(encoding="utf-8") == " ".join(wanted):
        return str(python), ""
    if not make:
        return "", "its environment is not there"
    print(f"making an environment for {name} in {folder}", flush=True)
    venv.create(folder, clear=True, with_pip=True)
    told = subprocess.run([str(python), "-m", "pip", "install", "-q", *wanted], capture_output=True, text=True, check=False)
    if told.returncode:
        errors = [line for line in told.stderr.splitlines() if line.startswith("ERROR")]
        return "", f"pip cannot install it any more: {errors[-1] if errors else told.stderr[-200:]}"
    mark.write_text(" ".join(wanted), encoding="utf-8")
    return str(python), ""


def write_scene(path: Path, side: int) -> None:
    """Write ten bands of Sentinel-2, the real scene laid side by side, with an oblique western edge of no data."""
    from bench_engines import BANDS

    import pixelwise as pw

    data = pw.datasets.load_sentinel2_osm()
    real = np.asarray(pw.open_raster({band: data.bands[band] for band in BANDS}).values)
    profile = {"driver": "GTiff", "width": side, "height": side, "count": len(BANDS), "dtype": "uint16", "nodata": 0}
    place = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 330_000, 0, -10, 5_822_040)}
    layout = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "zstd", "zstd_level": 1, "bigtiff": "if_safer"}
    columns = np.arange(side)
    with rasterio.open(path, "w", **profile, **place, **layout) as file:
        for top in range(0, side, 512):
            rows = np.arange(top, min(top + 512, side))
            values = real[:, rows % real.shape[1]][:, :, columns % real.shape[2]]
            values[:, columns[None] < rows[:, None] // 16] = 0
            file.write(values, window=Window(0, top, side, len(rows)))


def differing(one: Path, other: Path) -> int:
    """Return how many pixels of two maps differ; each declares a value of its own for no data."""
    with rasterio.open(one) as first, rasterio.open(other) as second:
        windows = [window for _, window in first.block_windows(1)]
        pairs = ([file.read(1, window=each, masked=True).filled(0) for file in (first, second)] for each in windows)
        return sum(int((ours != theirs).sum()) for ours, theirs in pairs)


def race(pythons: dict[str, str], rounds: int, scene: Path, folder: Path, memory: str) -> dict[str, list[dict[str, float]]]:
    """Let all make the map in turns, each round in another order, and return what each run told."""
    told: dict[str, list[dict[str, float]]] = {name: [] for name in pythons}
    for turn in range(rounds):
        start = turn % len(pythons)
        for name in [*pythons, *pythons][start : start + len(pythons)]:
            begin = time.perf_counter()
            model = folder / f"{name if name in PEERS else BARE}.joblib"
            seen = json.loads(call(pythons[name], "run", name, model, scene, folder / f"{name}.tif", memory))
            told[name].append(seen | {"whole": time.perf_counter() - begin})
            print(f"  {name}: {seen['seconds']:.1f} s, CPU {seen['cpu']:.1f} s", file=sys.stderr, flush=True)
    return told


def print_table(told: dict[str, list[dict[str, float]]], folder: Path, versions: dict[str, str]) -> None:
    """Print a row for each way, against the compiled one."""
    heads = ["with", "predict and write, s", "CPU, s", "whole process, s", "times as long", "times the CPU"]
    heads += ["whole, times as long", "bar", "peak, MB", "growth, MB", "pixels that differ"]
    print(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    for name, runs in told.items():
        ratios = {
            key: statistics.median(one[key] / fast[key] for one, fast in zip(runs, told[ENGINE], strict=True))
            for key in ("seconds", "cpu", "whole")
        }
        middle = {key: statistics.median(each[key] for each in runs) for key in runs[0]}
        verdict = f"{BAR} {'met' if ratios['seconds'] >= BAR else 'MISSED'}" if name in PEERS else ""
        cells = [
            f"{name} {versions.get(name, '')}".strip(),
            *(f"{middle[key]:.1f}" for key in ratios),
            *(f"{ratio:.2f}" for ratio in ratios.values()),
            verdict,
            f"{middle['peak']:.0f}",
            f"{middle['grown']:.0f}",
            f"{differing(folder / f'{BARE}.tif', folder / f'{name}.tif')}",
        ]
        print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=4096, help="rows and columns of the scene")
    parser.add_argument("--trees", type=int, default=100)
    parser.add_argument("--train", type=int, default=60_000, help="pixels to fit on")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", default="256MB", help="what predict_raster may take")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "pixelwise-peers", help="for the environments")
    parser.add_argument("--quick", action="store_true", help="try a scene of 256 once, without making environments")
    options = parser.parse_args()
    if options.quick:
        options.side, options.rounds, options.train = 256, 1, 5_000
    if importlib.util.find_spec("pixelwise_fast") is None:
        sys.exit("the compiled engine is missing: install it with `python -m pip install ./plugins/pixelwise-fast`")
    from bench_engines import land_use

    found = {name: environment(name, options.cache, not options.quick) for name in PEERS}
    pythons = {name: found[name][0] if name in PEERS else sys.executable for name in WAYS}
    pythons = {name: python for name, python in pythons.items() if python}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        X, y, _ = land_use(options.train, 1)
        np.savez(folder / "table.npz", X=X, y=(y + 1).astype("uint8"))
        versions = {
            name: call(pythons[name], "fit", name, options.trees, folder / "table.npz", folder / f"{name}.joblib")
            for name in [BARE, *(each for each in PEERS if each in pythons)]
        }
        # A small map first: the kernels are compiled and kept on disk, and what is broken is found at once.
        write_scene(folder / "small.tif", 256)
        race(pythons, 1, folder / "small.tif", folder, options.memory)
        write_scene(folder / "scene.tif", options.side)
        what = f"random forest of {options.trees}, {options.side} x {options.side} x 10 uint16, {options.rounds} rounds"
        print(f"{what}; scikit-learn {versions}\n", flush=True)
        told = race(pythons, options.rounds, folder / "scene.tif", folder, options.memory)
        print_table(told, folder, {name: PEERS[name][0].partition("==")[2] for name in PEERS})
    for name, (_, reason) in found.items():
        if reason:
            print(f"| {name} | {reason} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--part"]:
        {"fit": fit, "run": run}[sys.argv[2]](*sys.argv[3:])
    else:
        main()
