"""How much faster a run over a catalog is with two workers, of dask or of loky, than in one process, for the same bytes."""

from __future__ import annotations

import argparse
import hashlib
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from dask.distributed import Client, LocalCluster
from sklearn.ensemble import RandomForestClassifier

import pixelwise as pw


def write_scenes(folder: Path, count: int, size: int, bands: int) -> None:
    """Write scenes of smooth fields with noise."""
    for number in range(count):
        rng = np.random.default_rng(number)
        y, x = np.mgrid[:size, :size]
        waves = np.stack([np.sin(y / (90 + band)) * np.cos(x / (70 + band)) for band in range(bands)])
        values = (2000 + 800 * waves + rng.normal(0, 60, waves.shape)).astype("uint16")
        place = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 330_000 + number * size * 10, 0, -10, 5_822_040)}
        profile = {"driver": "GTiff", "width": size, "height": size, "count": bands, "dtype": "uint16", "nodata": 0}
        with rasterio.open(folder / f"{number}.tif", "w", tiled=True, compress="zstd", **profile, **place) as file:
            file.write(values)


def timed(catalog: pw.GeoCatalog, model: Any, out: Path, **how: Any) -> float:
    """Map all scenes anew, and return how long it took."""
    start = time.perf_counter()
    pw.CatalogPipeline(catalog, pw.Sequential([model, pw.WriteCOG(f"{out}/{{id}}.tif")]), resume=False, **how).run()
    return time.perf_counter() - start


def digests(out: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(out.glob("*.tif*"))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=8)
    parser.add_argument("--size", type=int, default=1000, help="rows and columns of a scene")
    parser.add_argument("--bands", type=int, default=10)
    parser.add_argument("--trees", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    rows = rng.normal(2000, 600, (5000, options.bands)).astype("float32")
    labels = np.digitize(rows[:, 0] + rows[:, 1], [3500, 4000, 4500])
    model = pw.PixelwiseClassifier(RandomForestClassifier(options.trees, random_state=0)).fit(rows, labels)
    kinds: dict[str, dict[str, Any]] = {
        "one process": {"n_workers": 1},
        "dask, 2 workers": {"n_workers": 2, "backend": "dask"},
        "loky, 2 workers": {"n_workers": 2, "backend": "loky"},
    }
    with (
        tempfile.TemporaryDirectory() as name,
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        Client(cluster),
    ):
        folder = Path(name)
        write_scenes(folder, options.scenes, options.size, options.bands)
        catalog = pw.open_catalog(folder, progress=False)
        for kind, how in kinds.items():
            # Workers import what they need.
            timed(catalog.take(slice(2)), model, folder / "warm" / kind, **how)
        took: dict[str, list[float]] = {kind: [] for kind in kinds}
        for repeat in range(options.repeats):
            for kind in list(kinds) if repeat % 2 else reversed(kinds):
                took[kind].append(timed(catalog, model, folder / kind, **kinds[kind]))
                print(f"{kind}: {took[kind][-1]:.1f} s", flush=True)
        alone = "one process"
        for kind in kinds:
            ratio = statistics.median(one / other for one, other in zip(took[alone], took[kind], strict=True))
            same = "same bytes" if digests(folder / kind) == digests(folder / alone) else "OTHER BYTES"
            print(f"{kind:16} {statistics.median(took[kind]):6.1f} s   x {ratio:.2f}   {same}")


if __name__ == "__main__":
    main()
