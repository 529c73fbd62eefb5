"""How the time of buffered folds grows with the number of labelled pixels, and what memory they take."""

from __future__ import annotations

import argparse
import resource
import statistics
import time

import numpy as np

import pixelwise as pw

WAYS = {
    "square, no buffer": {},
    "square, buffer": {"buffer": 100.0},
    "hexagon, balanced, buffer": {"shape": "hexagon", "assignment": "balanced", "buffer": 100.0, "random_state": 0},
    "square, stratified, buffer": {"assignment": "stratified", "buffer": 100.0},
}


def labelled_pixels(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return n pixels of 10 m side by side, row by row, and labels of 8 classes."""
    rng = np.random.default_rng(0)
    side = int(np.ceil(np.sqrt(n)))
    xy = np.column_stack(np.divmod(np.sort(rng.permutation(side**2)[:n]), side)) * 10.0
    return xy, rng.integers(0, 8, n)


def seconds(n: int, options: dict[str, object]) -> float:
    xy, y = labelled_pixels(n)
    cv = pw.SpatialBlockGroupKFold(5, block_size=500, crs=32633, **options)
    start = time.perf_counter()
    for _ in cv.split(xy, y, xy):
        pass
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", type=int, default=1_000_000, help="most pixels")
    parser.add_argument("--runs", type=int, default=3, help="how often, in turns")
    args = parser.parse_args()
    sizes = [args.largest // 2**step for step in (4, 3, 2, 1, 0)]
    for name, options in WAYS.items():
        # Sizes take turns, so that a machine that is busy for a while slows all of them.
        runs = [[seconds(n, options) for n in sizes] for _ in range(args.runs)]
        medians = [statistics.median(times) for times in zip(*runs, strict=True)]
        print(f"\n{name}")
        for n, taken, before in zip(sizes, medians, [None, *medians], strict=False):
            growth = "" if before is None else f"   x {taken / before:.2f} for twice as many"
            print(f"  {n:>9,} pixels: {taken:6.2f} s, {taken / n / np.log2(n) * 1e9:5.1f} ns / (n log n){growth}")
    print(f"\npeak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
