"""How much memory file-to-file prediction takes beyond the interpreter and the fitted model, each time in a fresh process."""

from __future__ import annotations

import argparse
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


def measure(model: str, source: str, folder: str, memory: str, workers: str, maps: str, resume: str) -> None:
    """Predict one file, in a process of its own, and print growth and time."""
    loaded = joblib.load(model)
    loaded.predict(pw.Raster(np.ones((loaded.n_features_in_, 2, 2), "uint16"), pw.Grid(None, rasterio.Affine.identity(), 2, 2)))
    # Linux forgets the peak so far.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before, start = peak(), time.perf_counter()
    paths = {method: f"{folder}/{method}.tif" for method in maps.split(",")}
    predict_raster(loaded, source, paths, memory=memory, workers=int(workers) or None, resume=bool(int(resume)))
    print(peak() - before, time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=6000, help="rows and columns of the scene")
    parser.add_argument("--bands", type=int, default=10)
    parser.add_argument("--memory", default="256MB")
    parser.add_argument("--workers", type=int, default=0, help="0 for the default")
    parser.add_argument("--maps", nargs="*", default=["predict"], help="methods, a map of each from one read")
    parser.add_argument("--resume", action="store_true", help="keep chips until the maps are complete")
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--layouts", nargs="*", type=int, default=list(range(len(LAYOUTS))), help=", ".join(LAYOUTS))
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    rows = rng.normal(2000, 600, (1000, options.bands)).astype("float32")
    labels = np.digitize(rows[:, 0] + rows[:, 1], [3500, 4000, 4500])
    bar = parse_memory(options.memory)
    print(f"{options.size} x {options.size} x {options.bands} uint16, memory={options.memory!r}")
    with tempfile.TemporaryDirectory() as folder:
        scene, model = Path(folder) / "scene.tif", Path(folder) / "model.joblib"
        for layout in (list(LAYOUTS)[number] for number in options.layouts):
            write_scene(scene, options.size, options.bands, LAYOUTS[layout])
            for name in options.models:
                joblib.dump(pw.PixelwiseClassifier(MODELS[name]).fit(rows, labels), model)
                call = [str(model), str(scene), folder, options.memory, str(options.workers)]
                call += [",".join(options.maps), str(int(options.resume))]
                done = subprocess.run(
                    [sys.executable, __file__, "--measure", *call], check=True, capture_output=True, text=True
                )
                grown, seconds = done.stdout.split()
                verdict = "within" if int(grown) < bar else "EXCEEDS"
                told = f"grew by {int(grown) / 1e6:6.1f} MB   {verdict} {bar / 1e6:.0f}   {float(seconds):6.1f} s"
                print(f"{layout:36} {name:20} {told}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(*sys.argv[2:])
    else:
        main()
