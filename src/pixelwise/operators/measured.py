"""What corrections share: which bands measure light, a number for each, and a scene seen as a whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from pixelwise.errors import BandError
from pixelwise.operators.base import band_position
from pixelwise.raster.carriers import Raster
from pixelwise.raster.io import as_nan, band_as_nan, open_source

__all__ = ["chosen_bands", "corrected", "float_type", "per_band", "thinned_windows"]

#: Bands that are no measurement of light, by the names that products and our own operators give them.
_ANCILLARY = re.compile(
    r"(?i)(.*_)?(b?qa|qa_?\w+|scl|[fc]?mask|cld\w*|dem|dsm|elevation|slope|aspect|northness|eastness|\w*(zenith|azimuth)\w*|"
    r"[sv][zai]a|(opaque|cirrus)_?cloud\w*)(_.*)?"
)
#: Pixels on a side of a window that is read at a time, and in a sample of a scene.
_WINDOW, _SAMPLE = 1024, 1_000_000


def chosen_bands(raster: Raster, bands: Sequence[str | int] | None, without: Sequence[int] = ()) -> list[int]:
    """Return the positions of the bands to correct: those that are given, or all that measure light by their names."""
    if bands is not None:
        return [band_position(raster, band, "bands") for band in bands]
    found = range(raster.n_bands)
    return [at for at in found if at not in without and not _ANCILLARY.fullmatch(raster.names[at])]


def per_band(value: Any, raster: Raster, positions: Sequence[int], what: str, default: float | None = None) -> np.ndarray:
    """Return a number a band: one for all, one each in their order, or by band name."""
    if isinstance(value, Mapping):
        wanted = {band_position(raster, band, what): number for band, number in value.items()}
        missing = [raster.names[at] for at in positions if at not in wanted]
        if missing and default is None:
            raise BandError(
                f"{what} has no value for band {', '.join(missing)}: add it, or name the bands to correct with bands="
            )
        return np.array([wanted.get(at, default) for at in positions], float)
    numbers = np.asarray(value, float)
    if numbers.ndim and len(numbers) != len(positions):
        raise BandError(
            f"{what} has {len(numbers)} values for {len(positions)} bands: give one for each, one for all, or a mapping"
        )
    return np.broadcast_to(numbers, len(positions))


def corrected(raster: Raster, positions: Sequence[int], function: Callable[[int, np.ndarray, np.ndarray], object]) -> Raster:
    """Return a raster whose bands at some positions a function of (number, band, out) has computed."""
    values = np.empty(raster.cube.shape, float_type(raster))
    number_of = {at: number for number, at in enumerate(positions)}
    for at, out in enumerate(values):
        band = band_as_nan(raster, at)
        if at in number_of:
            function(number_of[at], band, out)
        else:
            out[...] = band
    return raster.with_values(values, nodata=(float("nan"),), mask=None)


def float_type(raster: Raster) -> Any:
    """Return the scalar type of a raster's values in floats."""
    return np.result_type(raster.cube.dtype, np.float32).type


def thinned_windows(raster: Any) -> Iterator[Raster]:
    """Yield a scene window by window, thinned to about a million pixels, in floats with NaN."""
    with open_source(raster) as source:
        step = max(1, int(np.ceil(np.sqrt(source.grid.size / _SAMPLE))))
        for window in source.grid.windows(_WINDOW // step * step, _WINDOW // step * step):
            chip = as_nan(source.read(window))
            values = chip.cube[..., ::step, ::step]
            grid = chip.grid if step == 1 else chip.grid.window(0, 0, *values.shape[-2:])
            yield chip.with_values(values, grid=grid)
