"""How long operators take, against the bare numpy or scipy expression on the same array, and how much memory."""

from __future__ import annotations

import argparse
import statistics
import time
import tracemalloc
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from rasterio.warp import Resampling, reproject
from scipy import ndimage
from scipy.linalg import solveh_banded
from scipy.signal import savgol_filter

import pixelwise as pw

RNG = np.random.default_rng(0)
N, DATES = 2048, 60
UTM = pw.Grid("EPSG:32633", (10, 0, 330_000, 0, -10, 5_822_040), N, N)
SMALL = UTM.window(0, 0, 256, 256)


@dataclass(frozen=True)
class Case:
    """An operator, the raster that it is called with, and what numpy or scipy would do to the values."""

    name: str
    operator: Any
    raster: Any
    bare: Callable[[np.ndarray], object]
    #: How many times as much as the bare expression is given does the operator do; for those that are too slow for all.
    times: float = 1.0


def images() -> pw.Raster:
    """Return six bands of a scene and a quality band, float32."""
    values = RNG.integers(1, 10_000, (6, N, N)).astype("float32")
    flags = (ndimage.gaussian_filter(RNG.random((N, N)), 8) > 0.505).astype("float32") * 1024
    return pw.Raster(np.concatenate([values, flags[None]]), UTM, ("B02", "B03", "B04", "B08", "B11", "sza", "QA60"))


def elevations() -> pw.Raster:
    """Return hills."""
    return pw.Raster((ndimage.gaussian_filter(RNG.random((N, N)), 5) * 3000).astype("float32")[None], UTM, ("dem",))


def series(gaps: float) -> pw.Raster:
    """Return a time series of one band, with gaps."""
    values = RNG.random((1, DATES, 256, 256)).astype("float32")
    values[RNG.random(values.shape) < gaps] = np.nan
    dates = tuple((np.datetime64("2018-01-01") + np.arange(DATES) * 7).astype("datetime64[ns]"))
    return pw.Raster(values, SMALL, ("B04",), (float("nan"),), times=dates)


def of_scenes() -> list[Case]:
    """Return the cases of clouds, corrections, indices and places."""
    scene, c = images(), pw.correction
    terrain = pw.Raster(
        np.stack([scene.values[0], scene.values[1] / 250, scene.values[2] / 30]), UTM, ("red", "slope", "aspect")
    )
    angle = np.radians(np.float32(40))

    def masked(cube: np.ndarray) -> np.ndarray:
        """Mask by two flags."""
        cloudy = (cube[-1].astype("int32") & 0b110000000000) != 0
        return np.where(cloudy, np.float32(np.nan), cube)

    def slopes(cube: np.ndarray) -> np.ndarray:
        """Correct one band for the light on slopes."""
        slope, aspect = np.radians(cube[1]), np.radians(cube[2])
        light = np.cos(angle) * np.cos(slope) + np.sin(angle) * np.sin(slope) * np.cos(angle - aspect)
        out = cube.copy()
        out[0] = cube[0] * np.cos(angle) / light
        return out

    def bounds(size: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the coordinates of all pixels."""
        return np.meshgrid(330_005.0 + 10 * np.arange(size), 5_822_035.0 - 10 * np.arange(size))

    return [
        Case("cloud.MaskClouds(bits)", pw.cloud.MaskClouds("QA60", bits=[10, 11]), scene, masked),
        Case("correction.DNToReflectance", c.DNToReflectance(scale=1e-4, offset=-0.1, bands=range(7)), scene,
             lambda cube: cube * np.float32(1e-4) + np.float32(-0.1)),
        Case("correction.TOAToBOA", c.TOAToBOA("sza", bands=range(5)), scene,
             lambda cube: np.concatenate([cube[:5] / np.cos(np.radians(cube[5])), cube[5:]])),
        Case("correction.DarkObjectSubtraction", c.DarkObjectSubtraction(100, bands=range(7)), scene,
             lambda cube: cube - np.float32(100)),
        Case("correction.CosineCorrection", c.CosineCorrection(40.0, 40.0), terrain, slopes),
        Case("indices.NDVI", pw.indices.NDVI(red="B04", nir="B08"), scene,
             lambda cube: (cube[3] - cube[2]) / (cube[3] + cube[2])),
        Case("indices.AppendIndex", pw.indices.AppendIndex(pw.indices.NDVI(red="B04", nir="B08")), scene,
             lambda cube: np.concatenate([cube, ((cube[3] - cube[2]) / (cube[3] + cube[2]))[None]])),
        Case(
            "indices.SpectralIndex(EVI)",
            pw.indices.SpectralIndex("EVI", bands={"N": "B08", "R": "B04", "B": "B02"}),
            scene.with_values(scene.values / 10_000),
            lambda cube: 2.5 * (cube[3] - cube[2]) / (cube[3] + 6 * cube[2] - 7.5 * cube[0] + 1),
        ),
        Case(
            "sar.LinearToDB", pw.sar.LinearToDB(), scene,
            lambda cube: 10 * np.log10(cube, where=cube > 0, out=np.full_like(cube, np.nan))
        ),
        Case("spatial.Coordinates", pw.spatial.Coordinates(append=False), scene, lambda _: np.stack(bounds(N))),
        Case("spatial.BlockID", pw.spatial.BlockID(1000, append=False), scene,
             lambda _: np.floor(bounds(N)[1] / 1000) * 1e5 + np.floor(bounds(N)[0] / 1000)),
    ]  # fmt: skip


def of_surroundings() -> list[Case]:
    """Return the cases that look round a pixel."""
    dem, texture, terrain = elevations(), pw.texture, pw.terrain

    def horn(cube: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the gradient within the border."""
        z = cube[0]
        east = ((z[:-2, 2:] + 2 * z[1:-1, 2:] + z[2:, 2:]) - (z[:-2, :-2] + 2 * z[1:-1, :-2] + z[2:, :-2])) / 80
        south = ((z[2:, :-2] + 2 * z[2:, 1:-1] + z[2:, 2:]) - (z[:-2, :-2] + 2 * z[:-2, 1:-1] + z[:-2, 2:])) / 80
        return east, south

    def deviation(cube: np.ndarray) -> np.ndarray:
        """Return the standard deviation of windows."""
        z = cube[0].astype(float)
        return np.sqrt(np.maximum(ndimage.uniform_filter(z * z, 7) - ndimage.uniform_filter(z, 7) ** 2, 0))

    def speckle(cube: np.ndarray) -> np.ndarray:
        """Filter as Lee does, where no pixel is missing."""
        z = cube[0].astype(float)
        mean = ndimage.uniform_filter(z, 7)
        variance = np.maximum(ndimage.uniform_filter(z * z, 7) - mean * mean, 0)
        signal = np.maximum(variance - mean * mean, 0) / 2
        return mean + signal / (signal + mean * mean) * (z - mean)

    coarse = pw.Raster(
        dem.values[:, : N // 2, : N // 2], pw.Grid("EPSG:32633", (20, 0, 330_000, 0, -20, 5_822_040), N // 2, N // 2)
    )

    def warped(cube: np.ndarray) -> np.ndarray:
        """Warp with rasterio."""
        out = np.full((1, N, N), np.nan, "float32")
        places = {
            "src_transform": coarse.grid.transform,
            "dst_transform": UTM.transform,
            "src_crs": UTM.crs,
            "dst_crs": UTM.crs,
        }
        reproject(cube, out, src_nodata=np.nan, dst_nodata=np.nan, resampling=Resampling.bilinear, **places)
        return out

    return [
        Case("sar.LeeSpeckle(7)", pw.sar.LeeSpeckle(7), dem, speckle),
        Case("texture.LocalMean(7)", texture.LocalMean(7, append=False), dem,
             lambda cube: ndimage.uniform_filter(cube[0], 7, output=float)),
        Case("texture.LocalStd(7)", texture.LocalStd(7, append=False), dem, deviation),
        Case("texture.LocalPercentile(50, 5)", texture.LocalPercentile(50, 5, append=False), dem,
             lambda cube: ndimage.percentile_filter(cube[0, : N // 4], 50, 5), 4),
        Case("terrain.Slope", terrain.Slope(append=False), dem, lambda cube: np.degrees(np.arctan(np.hypot(*horn(cube))))),
        Case("terrain.Aspect", terrain.Aspect(append=False), dem, lambda cube: np.degrees(np.arctan2(*horn(cube))) % 360),
        Case("terrain.TPI", terrain.TPI(append=False), dem,
             lambda cube: cube[0] - (ndimage.uniform_filter(cube[0], 3) * 9 - cube[0]) / 8),
        Case("fusion.AlignAndStack", pw.fusion.AlignAndStack(target_grid=UTM), {"a": coarse},
             lambda given: warped(given["a"].values)),
    ]  # fmt: skip


def of_series() -> list[Case]:
    """Return the cases of time series."""
    full, gaps, t, days = series(0.0), series(0.3), pw.temporal, np.arange(DATES) * 7.0
    waves = [wave(2 * np.pi * k * days / 365.25) for k in (1, 2) for wave in (np.cos, np.sin)]
    design = np.column_stack([np.ones(DATES), *waves])
    second = np.diff(np.eye(DATES), 2, axis=0)
    penalty = np.eye(DATES) + 10 * second.T @ second
    bands = np.stack([np.pad(np.diagonal(penalty, k), (0, k)) for k in range(3)])

    def filled(cube: np.ndarray) -> np.ndarray:
        """Fill gaps on straight lines."""
        values, missing = cube[0], np.isnan(cube[0])
        steps = np.arange(DATES)[:, None, None]
        before = np.maximum.accumulate(np.where(missing, 0, steps), axis=0)
        after = np.minimum.accumulate(np.where(missing, DATES - 1, steps)[::-1], axis=0)[::-1]
        low, high = np.take_along_axis(values, before, 0), np.take_along_axis(values, after, 0)
        line = low + (high - low) / (days[after] - days[before]) * (days[steps] - days[before])
        return np.where(missing, line, values)

    def harmonics(cube: np.ndarray) -> np.ndarray:
        """Solve the normal equations of each series."""
        values, valid = np.nan_to_num(cube[0]).reshape(DATES, -1), (~np.isnan(cube[0])).reshape(DATES, -1).astype(float)
        products = np.einsum("ti,tj,tn->nij", design, design, valid, optimize=True)
        return np.linalg.solve(products, (design.T @ values).T[..., None])

    return [
        Case("temporal.LinearGapFill", t.LinearGapFill(), gaps, filled),
        Case("temporal.SavitzkyGolay", t.SavitzkyGolay(7, 2), full, lambda cube: savgol_filter(cube[0], 7, 2, axis=0)),
        Case("temporal.Whittaker", t.Whittaker(10), full,
             lambda cube: solveh_banded(bands, cube[0].reshape(DATES, -1), lower=True)),
        Case("temporal.HarmonicFeatures(2)", t.HarmonicFeatures(2), gaps, harmonics),
        Case("temporal.PercentileComposite", t.PercentileComposite(), gaps,
             lambda cube: np.nanpercentile(cube[0, :, :16], [25, 50, 75], axis=0), 16),
        Case('temporal.TimeAggregate("mean")', t.TimeAggregate("mean"), gaps,
             lambda cube: np.nanmean(cube[0], axis=0, dtype=float)),
        Case('temporal.TimeAggregate("max")', t.TimeAggregate("max"), gaps, lambda cube: np.nanmax(cube[0], axis=0)),
        Case('temporal.TimeAggregate("median")', t.TimeAggregate("median"), gaps,
             lambda cube: np.nanmedian(cube[0, :, :16], axis=0), 16),
        Case("temporal.MonthlyComposite", t.MonthlyComposite(), gaps,
             lambda cube: [np.nanmedian(cube[0, month::12, :16], axis=0) for month in range(12)], 16),
    ]  # fmt: skip


def seconds(function: Callable[[], object]) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def peak(function: Callable[[], object]) -> int:
    """Return the bytes that a call takes at its peak."""
    tracemalloc.start()
    function()
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


def measured(case: Case, runs: int) -> str:
    """Run a case and its bare expression in turns, and return a row of the table."""
    given = case.raster if isinstance(case.raster, dict) else case.raster.values
    size = next(iter(given.values())).values.nbytes if isinstance(given, dict) else given.nbytes
    apply, bare = (lambda: case.operator(case.raster)), (lambda: case.bare(given))
    apply(), bare()
    pairs = [(seconds(apply), seconds(bare) * case.times) for _ in range(runs)]
    ratio = statistics.median(own / other for own, other in pairs)
    own, other = (statistics.median(part) * 1000 for part in zip(*pairs, strict=True))
    return f"| `{case.name}` | {own:.0f} | {other:.0f} | {ratio:.2f} | {peak(apply) / size:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of names; all operators where none is given")
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    # Series without any valid date are part of the data.
    warnings.simplefilter("ignore", RuntimeWarning)
    print("| operator | ms | bare, ms | ratio | memory / input |\n|---|---|---|---|---|", flush=True)
    for case in [*of_scenes(), *of_surroundings(), *of_series()]:
        if not options.names or any(name in case.name for name in options.names):
            print(measured(case, options.runs), flush=True)


if __name__ == "__main__":
    main()
