"""2. Chipwise inference of a large scene (fit globally, predict in patches): memory does not depend on the scene's size.

The scene is real: Sentinel-2 of 16 February 2017 west of Berlin, 768 x 1536 pixels, with land use of OpenStreetMap. To be large
it is written several times below itself, into files of 4 and of 16 times its height; all other numbers are the scene's.
"""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from pictures import save_maps
from rasterio.windows import Window
from scenes import OUT
from sklearn.ensemble import RandomForestClassifier

import pixelwise as gz
from pixelwise.raster.write import RasterWriter

BANDS = ("B02", "B03", "B04", "B08")

feature_pipeline = gz.Sequential([
    gz.indices.AppendIndex(gz.indices.NDVI(red_idx=2, nir_idx=3), name="ndvi"),
    gz.indices.AppendIndex(gz.indices.NDWI(green_idx=1, nir_idx=3), name="ndwi"),
])


def fit(model: Path) -> None:
    # The classifier of Example 1, fitted here on one scene.
    data = gz.datasets.load_sentinel2_osm()
    scene = gz.open_raster({band: data.bands[band] for band in BANDS})
    X, y = gz.extract_pixels(feature_pipeline(scene), data.polygons, column=data.column)
    chosen = np.random.default_rng(42).choice(len(X), 20_000, replace=False)
    clf = RandomForestClassifier(n_estimators=10, max_depth=12, random_state=42, n_jobs=1).fit(np.asarray(X)[chosen], y[chosen])
    joblib.dump(clf, model)


def write_large(times: int, path: Path) -> None:
    data = gz.datasets.load_sentinel2_osm()
    raster = gz.unwrap(gz.open_raster({band: data.bands[band] for band in BANDS}))
    height, width = raster.grid.shape
    grid = raster.grid.window(0, 0, times * height, width)
    with RasterWriter.like(raster, path, grid, tile=(256, 256)) as writer:
        for number in range(times):
            writer.write(raster.values, Window(0, number * height, width, height))


def megabytes(what: str) -> float:
    # Linux tells what a process holds ("VmRSS"), and the most that it has ever held ("VmHWM").
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what))
    return int(line.split()[1]) / 1024


def predict(model: Path, scene: Path, dst: Path, sizes: Any) -> None:
    clf = joblib.load(model)

    # Chip operator: features + classifier. Same as Example 1's predict_pipeline.
    chip_op = gz.Sequential([
        feature_pipeline,
        gz.PixelwiseClassifier(estimator=clf, nan="mask", output_dtype="uint8"),
    ])

    # Wrap as a chipwise inference Operator.
    infer = gz.inference.ApplyToChips(
        sampler=gz.sampling.GridSampler(chip_size=(512, 512), stride=(480, 480)),
        chip_op=chip_op,
        stitcher=gz.sampling.Stitch(method="majority"),  # vote per pixel across overlap
    )

    # From file to file: the scene is never in memory as a whole. The model looks at single pixels, so that the overlap buys
    # nothing; pixelwise says so, and leaves it out.
    before, start = megabytes("VmRSS"), time.perf_counter()
    infer(scene, dst=dst)
    sizes.put((megabytes("VmHWM") - before, time.perf_counter() - start))


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    model = out / "crop_rf.joblib"
    fit(model)
    spawn = multiprocessing.get_context("spawn")
    for times in (4, 16):
        scene, made = out / f"scene_{times}.tif", out / f"map_{times}.tif"
        write_large(times, scene)
        # A process of its own, whose peak is that of this scene alone.
        sizes = spawn.SimpleQueue()
        worker = spawn.Process(target=predict, args=(model, scene, made, sizes))
        worker.start()
        grown, seconds = sizes.get()
        worker.join()
        shape = gz.open_raster(scene, chunks={}).shape
        size = f"{shape[1]} x {shape[2]} pixels, {np.prod(shape) * 2 / 2**20:.0f} MiB"
        print(f"{size}: peak memory grew by {grown:.0f} MiB, in {seconds:.0f} s")
    small, large = (gz.open_raster(out / f"map_{times}.tif") for times in (4, 16))
    print("the same map:", bool((np.tile(small.values, (1, 4, 1)) == large.values).all()))
    gz.write_raster(out / "map_4.tif", out / "crop.tif", driver="COG")
    first = small.isel(y=slice(0, 768))
    names = list(joblib.load(model).classes_)
    save_maps(OUT / "02_chipwise_inference.png", {"land use, stitched from chips of 512 x 512": first}, names)


if __name__ == "__main__":
    main(OUT / "large_scene")
