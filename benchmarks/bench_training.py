"""How uniform is a sample of a catalog, what does a pixel cost, and how much memory does training take, also when killed.

Scenes are made up: what is asked is the work, and not what is learned.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.windows import Window
from scipy import stats
from sklearn.linear_model import SGDClassifier

import pixelwise as pw

BANDS = ("B02", "B03", "B04", "B08")
FEATURES = pw.Sequential([pw.indices.AppendIndex(pw.indices.NDVI(red="B04", nir="B08"))])
LABEL = pw.ReadLabel(band="crop_class")


def make_catalog(folder: Path, count: int, side: int, block: int) -> pw.GeoCatalog:
    """Write scenes with labels beside them, and keep their catalog as GeoParquet."""
    (folder / "labels").mkdir(parents=True)
    rng = np.random.default_rng(0)
    profile = {"driver": "GTiff", "width": side, "height": side, "crs": "EPSG:32633", "tiled": True}
    profile |= {"blockxsize": block, "blockysize": block}
    for number in range(count):
        classes = np.repeat(np.repeat(rng.integers(0, 4, (side // 16, side // 16)), 16, 0), 16, 1).astype("uint8")
        values = (1000 + 300.0 * classes + rng.normal(0, 200, (4, side, side))).clip(1).astype("uint16")
        place = {
            "transform": rasterio.Affine(
                10, 0, 300_000 + 20 * side * (number % 100), 0, -10, 5_800_000 - side * (number // 100)
            )
        }
        name = f"s{number:05}_20240601.tif"
        with rasterio.open(folder / name, "w", count=4, dtype="uint16", nodata=0, **profile, **place) as file:
            file.write(values)
            file.descriptions = BANDS
        with rasterio.open(folder / "labels" / name, "w", count=1, dtype="uint8", nodata=255, **profile, **place) as file:
            file.write(classes, 1)
            file.set_band_description(1, "crop_class")
    catalog = pw.open_catalog(str(folder / "*.tif"), progress=False)
    catalog = catalog.assign(label_uri=[str(folder / "labels" / Path(scene.uri).name) for scene in catalog])
    catalog.to_parquet(folder / "catalog.parquet")
    return catalog


def memory_of(what: str) -> int:
    """Return what this process holds ("VmRSS"), or the most that it has held ("VmHWM"), in bytes."""
    found = re.search(rf"{what}:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found is not None
    return int(found[1]) * 1024


def grown_since(before: int) -> float:
    return (memory_of("VmHWM") - before) / 1e6


def start_again() -> int:
    """Forget the peak so far, as Linux can, and return what is held now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return memory_of("VmRSS")


def sample_once(folder: str) -> None:
    """Draw a sample in this process, and print by how much its memory grew."""
    catalog = pw.open_catalog(f"{folder}/catalog.parquet")
    pw.sample_pixels(catalog.take(range(20)), FEATURES, LABEL, n_pixels=1000, random_state=0)
    before, start = start_again(), time.perf_counter()
    X, _ = pw.sample_pixels(catalog, FEATURES, LABEL, n_pixels=50_000, random_state=0)
    print(json.dumps([len(X), grown_since(before), time.perf_counter() - start]))


def learn(folder: str, memory: str, checkpoint: str) -> None:
    """Learn incrementally in this process, and print coefficients and by how much its memory grew."""
    catalog = pw.open_catalog(f"{folder}/catalog.parquet")
    asked = {"y_pipeline": LABEL, "chunk_size": 10_000, "classes": range(4), "memory": memory, "random_state": 0}
    model = SGDClassifier(random_state=0)
    pw.fit_pixelwise_incremental(model, FEATURES, catalog=catalog.take(range(20)), **asked)
    before = start_again()
    report = pw.TrainingReport()
    options = {"checkpoint": checkpoint or None, "checkpoint_every": 5, "report": report}
    sgd = pw.fit_pixelwise_incremental(model, FEATURES, catalog=catalog, epochs=2, **asked, **options)
    print(json.dumps([sgd.coef_.tolist(), report.totals()["kept"], grown_since(before)]))


def in_a_process(*call: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, __file__, *call], stdout=subprocess.PIPE, text=True)


def result_of(process: subprocess.Popen[str]) -> list:
    out, _ = process.communicate()
    assert process.returncode == 0, "it failed"
    return json.loads(out)


def bench_shares(folder: Path, seeds: int) -> None:
    catalog = make_catalog(folder, 10, 32, 16)
    drawn = np.zeros(10, int)
    for seed in range(seeds):
        X, _ = pw.sample_pixels(catalog, None, LABEL, n_pixels=100, random_state=seed)
        drawn += np.bincount(X.scene, minlength=10)
    print(f"shares of 10 equal scenes in {seeds} samples: chi-square p = {stats.chisquare(drawn).pvalue:.3f}")


def bench_cost(folder: Path, repeats: int) -> None:
    catalog = make_catalog(folder, 8, 1024, 256)
    sampler = pw.sampling.RandomSampler(chip_size=(256, 256), length=60, random_state=0)
    chips = sampler(catalog)
    ours, alone, bare, pixels = [], [], [], 0
    for _ in range(repeats):
        for name, times in (("bare", bare), ("read", alone), ("sample", ours)):
            start = time.perf_counter()
            if name == "bare":
                pixels = read_bare(chips)
            elif name == "read":
                pw.sample_pixels(catalog, None, LABEL, sampler=sampler, n_pixels=100_000, random_state=0)
            else:
                pw.sample_pixels(catalog, FEATURES, LABEL, sampler=sampler, n_pixels=100_000, random_state=0)
            times.append(time.perf_counter() - start)
    for name, times in (("raw reads of the same windows", bare), ("sampled without features", alone), ("with NDVI", ours)):
        ratio = statistics.median(one / other for one, other in zip(times, bare, strict=True))
        print(f"{name:32} {statistics.median(times) / pixels * 1e9:6.1f} ns a pixel of a chip   {ratio:5.2f}")


def read_bare(chips: Any) -> int:
    """Read the windows of chips and of their labels, with every file opened once."""
    pixels = 0
    for scene in np.unique(chips.scene):
        mine = [chip for chip in chips if chip.scene.id == chips.catalog[int(scene)].id]
        with rasterio.open(mine[0].scene.uri) as file, rasterio.open(mine[0].scene.metadata["label_uri"]) as labels:
            for chip in mine:
                window = Window(*(int(part) for part in chip.window.flatten()))
                pixels += file.read(window=window)[0].size
                labels.read(window=window)
    return pixels


def bench_memory(folder: Path, counts: list[int]) -> None:
    for count in counts:
        make_catalog(folder / str(count), count, 64, 32)
        drawn, grown, seconds = result_of(in_a_process("--sample", str(folder / str(count))))
        print(f"{count:6} scenes: {drawn} of {count * 64 * 64} pixels drawn, memory grew by {grown:.1f} MB, {seconds:.1f} s")


def bench_kill(folder: Path, count: int, memory: str) -> None:
    make_catalog(folder, count, 256, 128)
    call = "--learn", str(folder), memory
    start = time.perf_counter()
    coefficients, kept, grown = result_of(in_a_process(*call, ""))
    seconds = time.perf_counter() - start
    size = kept * len(BANDS) * 4 / 1e6
    print(f"{kept} pixels of {size:.0f} MB as a table, memory={memory!r}: grew by {grown:.1f} MB, {seconds:.1f} s")
    checkpoint = str(folder / "state.npz")
    for _ in range(3):
        process = in_a_process(*call, checkpoint)
        time.sleep(seconds * 0.4)
        process.send_signal(signal.SIGKILL)
        process.wait()
    again, _, grown = result_of(in_a_process(*call, checkpoint))
    print(f"killed 3 times: the same coefficients {again == coefficients}, grew by {grown:.1f} MB at last")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--scenes", type=int, nargs="*", default=[1000, 10_000])
    parser.add_argument("--large", type=int, default=600, help="scenes of 256 x 256 pixels to learn from incrementally")
    parser.add_argument("--memory", default="60MB", help="for learning incrementally")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench_shares(Path(folder) / "shares", options.seeds)
        bench_cost(Path(folder) / "cost", options.repeats)
        bench_memory(Path(folder) / "memory", options.scenes)
        bench_kill(Path(folder) / "kill", options.large, options.memory)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--sample"]:
        sample_once(*sys.argv[2:])
    elif sys.argv[1:2] == ["--learn"]:
        learn(*sys.argv[2:])
    else:
        main()
