"""A run over many scenes that is killed again and again, against one that is not: the same bytes, and nothing left behind."""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import joblib
import numpy as np
import rasterio
from sklearn.ensemble import RandomForestClassifier

import pixelwise as pw

JOURNAL = "pixelwise-journal.sqlite"


def write_scenes(folder: Path, count: int) -> None:
    """Write scenes of different sizes with smooth fields, noise and a corner without data."""
    folder.mkdir()
    for number in range(count):
        rng = np.random.default_rng(number)
        height, width = 90 + number % 40, 100 + number % 70
        y, x = np.mgrid[:height, :width]
        values = 1500 + 900 * np.sin(y / (9 + number % 11))[None] * np.cos(x / np.array([7, 11, 13])[:, None, None])
        values = (values + rng.normal(0, 60, values.shape)).astype("uint16")
        values[:, : number % 30, : number % 50] = 0
        place = rasterio.Affine(10, 0, 300_000 + 1000 * (number % 100), 0, -10, 5_000_000 - 1000 * (number // 100))
        profile = {"driver": "GTiff", "height": height, "width": width, "count": 3, "dtype": "uint16", "nodata": 0}
        with rasterio.open(folder / f"scene_{number:04}.tif", "w", crs="EPSG:32633", transform=place, **profile) as file:
            file.write(values)


def run(folder: str, model: str, out: str, workers: str) -> None:
    """Map all scenes that are not done, in a process that may be killed."""
    catalog = pw.open_catalog(folder, progress=False)
    pipeline = pw.Sequential([joblib.load(model), pw.WriteCOG(f"{out}/{{id}}.tif")])
    maps = pw.CatalogPipeline(catalog, pipeline, n_workers=int(workers), on_error="retry").run()
    maps.to_parquet(f"{out}/maps.parquet")


def done(out: Path) -> int:
    """Return how many scenes the journal knows as done."""
    journal = out / JOURNAL
    if not journal.exists():
        return 0
    base = sqlite3.connect(f"file:{journal}?mode=ro", uri=True, timeout=30)
    try:
        return int(base.execute("SELECT count(*) FROM scenes WHERE state = 'done'").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
    finally:
        base.close()


def killed(command: list[str], out: Path, until: int, whole_group: bool) -> int:
    """Start a run, kill it when so many scenes are done, and return how many were."""
    with subprocess.Popen(command, start_new_session=True) as process:
        while done(out) < until and process.poll() is None:
            time.sleep(0.02)
        assert process.poll() is None, f"the run ended before it could be killed at {until}"
        # The workers outlive the process that was killed until they notice; with the group they go at once.
        (os.killpg if whole_group else os.kill)(process.pid, signal.SIGKILL)
    return done(out)


def digests(out: Path) -> dict[str, str]:
    """Return a digest of each map and of what lies beside it."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(out.glob("*.tif*"))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    rows = rng.normal(1500, 700, (2000, 3)).astype("float32")
    labels = np.array(["forest", "meadow", "open water"])[np.digitize(rows[:, 0] + rows[:, 1], [2500, 3500])]
    model = pw.PixelwiseClassifier(RandomForestClassifier(20, max_depth=8, random_state=0)).fit(rows, labels)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_scenes(folder / "scenes", options.scenes)
        joblib.dump(model, folder / "model.joblib")

        def command(out: Path) -> list[str]:
            parts = [str(folder / "scenes"), str(folder / "model.joblib"), str(out), str(options.workers)]
            return [sys.executable, __file__, "--run", *parts]

        start = time.perf_counter()
        subprocess.run(command(folder / "once"), check=True)
        undisturbed = time.perf_counter() - start
        out, start = folder / "killed", time.perf_counter()
        for kill in range(1, options.kills + 1):
            count = killed(command(out), out, options.scenes * kill // (options.kills + 1), whole_group=kill % 2 == 0)
            print(f"killed with {count} of {options.scenes} scenes done", flush=True)
        before = {path.name: path.stat().st_mtime_ns for path in out.glob("*.tif")}
        subprocess.run(command(out), check=True)
        disturbed = time.perf_counter() - start
        again = sum(before.get(path.name, 0) not in (0, path.stat().st_mtime_ns) for path in out.glob("*.tif"))
        once, made = digests(folder / "once"), digests(out)
        left = [path.name for path in out.iterdir() if path.is_dir() or path.name.startswith(".")]
        with sqlite3.connect(out / JOURNAL) as base:
            whole = base.execute("PRAGMA integrity_check").fetchone()[0]
        same = sum(made.get(name) == digest for name, digest in once.items())
        print(
            f"{len(once)} files undisturbed in {undisturbed:.0f} s, {len(made)} with {options.kills} kills in {disturbed:.0f} s"
        )
        print(f"{same} of {len(once)} have the same bytes; {again} maps of the last kill were made twice")
        print(f"left behind: {', '.join(left) or 'nothing'}; journal: {done(out)} done, {whole}")
        assert made == once
        assert not left
        assert done(out) == options.scenes
        assert whole == "ok"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        run(*sys.argv[2:])
    else:
        main()
