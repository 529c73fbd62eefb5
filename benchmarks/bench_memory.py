"""How much memory file-to-file prediction takes beyond the interpreter and the fitted model, each time in a fresh process."""

from __future__ import annotations

import argparse
import itertools
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import joblib
import numpy as np
import rasterio
from rasterio.windows import Window
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

import pixelwise as pw
from pixelwise.inference.streaming import predict_raster
from pixelwise.raster.io import parse_memory

LAYOUTS = {
    "tiles of 512, pixel-interleaved": {"tiled": True, "blockxsize": 512, "blockysize": 512, "interleave": "pixel"},
    "tiles of 256, band-interleaved": {"tiled": True, "blockxsize": 256, "blockysize": 256, "interleave": "band"},
    "strips of 1 row, pixel-interleaved": {"tiled": False, "interleave": "pixel", "blockysize": 1},
    "strips of 64 rows, band-interleaved": {"tiled": False, "interleave": "band", "blockysize": 64},
}
MODELS = {
    "LogisticRegression": LogisticRegression(max_iter=300),
    "RandomForest(100)": RandomForestClassifier(100, random_state=0, n_jobs=2),
}


def write_scene(path: Path, size: int, bands: int, layout: dict[str, object]) -> None:
    """Write a scene of smooth fields with noise, some of it missing, strip by strip."""
    rng = np.random.default_rng(0)
    profile = {
        "driver": "GTiff",
        "width": size,
        "height": size,
        "count": bands,
        "dtype": "uint16",
        "nodata": 0,
        "compress": "zstd",
    }
    place = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 330_000, 0, -10, 5_822_040)}
    x = np.arange(size)
    with rasterio.open(path, "w", zstd_level=1, bigtiff="if_safer", **profile, **place, **layout) as file:
        for top in range(0, size, 512):
            rows = min(512, size - top)
            waves = [np.sin((top + np.arange(rows))[:, None] / (90 + band)) * np.cos(x / (70 + band)) for band in range(bands)]
            values = (2000 + 800 * np.stack(waves) + rng.normal(0, 60, (bands, rows, size))).astype("uint16")
            values[:, :, x < size // 50] = 0
            file.write(values, window=Window(0, top, size, rows))


def peak() -> int:
    """Return the largest resident size of this process so far, in bytes."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


def measure(model: str, scene: str, options: str) -> None:
    """Predict one file, in a process of its own, and print growth and time."""
    loaded, asked = joblib.load(model), json.loads(options)
    # A small model of the kind loads the code of estimator and engine, and takes nothing that the large one would take.
    small = pw.PixelwiseClassifier(clone(loaded.estimator), engine=asked["engine"])
    small.fit(np.arange(40.0 * loaded.n_features_in_).reshape(40, -1).astype("float32"), np.arange(40) % 2)
    small.predict(pw.Raster(np.ones((loaded.n_features_in_, 2, 2), "uint16"), pw.Grid(None, rasterio.Affine.identity(), 2, 2)))
    # Linux forgets the peak so far.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before, start = peak(), time.perf_counter()
    paths = {method: str(Path(scene).with_name(f"{method}.tif")) for method in asked.pop("maps")}
    predict_raster(loaded, scene, paths, **asked)
    print(peak() - before, time.perf_counter() - start)


def compare(scene: Path, options: argparse.Namespace, rows: np.ndarray, labels: np.ndarray, layout: str) -> None:
    """Print a line for each model."""
    folder, bar = scene.parent, parse_memory(options.memory)
    for name in options.models:
        model = folder / "model.joblib"
        joblib.dump(pw.PixelwiseClassifier(MODELS[name]).fit(rows, labels), model)
        asked = {name: getattr(options, name) for name in ("maps", "memory", "engine", "resume")}
        call = [str(model), str(scene), json.dumps({**asked, "workers": options.workers or None})]
        done = subprocess.run([sys.executable, __file__, "--measure", *call], check=True, capture_output=True, text=True)
        grown, seconds = done.stdout.split()
        verdict = "within" if int(grown) < bar else "EXCEEDS"
        told = f"grew by {int(grown) / 1e6:6.1f} MB   {verdict} {bar / 1e6:.0f}   {float(seconds):6.1f} s"
        print(f"{layout:36} {name:20} {told}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, nargs="+", default=[6000], help="rows and columns of the scenes")
    parser.add_argument("--bands", type=int, default=10)
    parser.add_argument("--memory", default="256MB")
    parser.add_argument("--workers", type=int, default=0, help="0 for the default")
    parser.add_argument("--engine", default="auto", help="none, or auto for that of pixelwise-fast where it is installed")
    parser.add_argument("--maps", nargs="*", default=["predict"], help="methods, a map of each from one read")
    parser.add_argument("--resume", action="store_true", help="keep chips until the maps are complete")
    parser.add_argument("--train", type=int, default=1000, help="pixels to fit on: more make larger forests")
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--layouts", nargs="*", type=int, default=list(range(len(LAYOUTS))), help=", ".join(LAYOUTS))
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    rows = rng.normal(2000, 600, (options.train, options.bands)).astype("float32")
    labels = np.digitize(rows[:, 0] + rows[:, 1] + rng.normal(0, 300, len(rows)), [3500, 4000, 4500])
    chosen = ", ".join(
        f"{name}={getattr(options, name)!r}" for name in ("memory", "workers", "engine", "maps", "resume", "train")
    )
    for side, number in itertools.product(options.side, options.layouts):
        layout = list(LAYOUTS)[number]
        print(f"{side} x {side} x {options.bands} uint16, {chosen}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            scene = Path(folder) / "scene.tif"
            write_scene(scene, side, options.bands, LAYOUTS[layout])
            compare(scene, options, rows, labels, layout)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(*sys.argv[2:])
    else:
        main()
