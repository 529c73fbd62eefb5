"""Clouds taken out of scenes by their quality bands: flags, classes or probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from pixelwise.errors import BandError
from pixelwise.operators.appended import planes
from pixelwise.operators.base import Operator, band_position
from pixelwise.operators.measured import float_type
from pixelwise.raster.carriers import Raster
from pixelwise.raster.io import band_as_nan

__all__ = ["MaskClouds"]


@dataclass(frozen=True)
class _Product:
    """What masks a pixel in the quality band of a product."""

    names: tuple[str, ...]
    bits: tuple[int, ...] = ()
    confidence: tuple[tuple[int, int], ...] = ()
    classes: tuple[int, ...] = ()


_PRODUCTS = {
    "sentinel-2-qa60": _Product(("QA60",), bits=(10, 11)),
    "sentinel-2-scl": _Product(("SCL",), classes=(0, 1, 3, 8, 9, 10)),
    "landsat-c1": _Product(("BQA", "pixel_qa"), bits=(0, 4), confidence=((7, 3), (11, 3))),
    "landsat-c2": _Product(("QA_PIXEL",), bits=(0, 1, 2, 3, 4)),
    "fmask": _Product(("fmask", "Fmask"), classes=(2, 4, 255)),
    "hls": _Product(("Fmask",), bits=(0, 1, 2, 3)),
}


class MaskClouds(Operator):
    """Make all bands NaN where the quality band says cloud.

    What is given adds up: a pixel is masked if any of its bits, confidences, classes or its probability says so, at each date
    for itself. Flags and classes are taken as they are stored: files often declare a nodata of 0 for all their bands, and 0 is
    what clear pixels have. In a table, where such a value is NaN, it counts as 0; a probability that is missing masks.

    Parameters
    ----------
    qa_band : str, int or None, default=None
        The quality band, by name or position from 0 (negative from the end); None takes the name that the preset's product has.
    bits : sequence of int, default=()
        Flags, by their position from the lowest bit, 0: a pixel with any of them set is masked.
    confidence : mapping of int to int, default=None
        Two-bit fields by their lower bit, and from which value on they mask: ``{5: 2}`` masks where bits 5 and 6 say medium (2)
        or high (3).
    classes : sequence of int, default=()
        Values that mask, of bands that hold classes.
    above : float or None, default=None
        Values greater than this mask, of bands that hold probabilities.
    dilate : int, default=0
        Pixels by which clouds grow, in a disc.
    keep_qa : bool, default=True
        Whether the quality band stays, unchanged, so that positions of bands still hold.
    preset : str or None, default=None
        What masks in a product: "sentinel-2-qa60" (bits 10 and 11: opaque clouds and cirrus), "sentinel-2-scl" (no data,
        saturated, shadow, cloud of medium and high probability, cirrus) [1]_, "landsat-c1" (fill, cloud, and shadow and cirrus
        of high confidence), "landsat-c2" (fill, dilated cloud, cirrus, cloud, shadow) [2]_, "fmask" (shadow, cloud, fill) [3]_,
        "hls" (cirrus, cloud, adjacent to cloud, shadow) [4]_. Snow is left in all of them.

    Raises
    ------
    BandError
        If there is no such band, it does not hold what is asked for, or nothing says what masks.

    References
    ----------
    .. [1] ESA: Sentinel-2 Products Specification Document, and Level-2A Algorithm Theoretical Basis Document.
    .. [2] USGS: Landsat Collection 1 and Collection 2 Level 1 Product Definitions (LSDS-1656).
    .. [3] Zhu, Z. and Woodcock, C. E. (2012): Object-based cloud and cloud shadow detection in Landsat imagery. Remote Sensing
       of Environment 118, 83-94.
    .. [4] NASA: Harmonized Landsat Sentinel-2 Product User Guide.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> scene = np.array([[[500, 600, 700]], [[0, 1024, 2048]]], "uint16")
    >>> pw.cloud.MaskClouds(qa_band=-1, bits=[10])(scene)[0]
    array([[500.,  nan, 700.]], dtype=float32)
    >>> pw.cloud.MaskClouds(qa_band=-1, bits=[10], dilate=1, keep_qa=False)(scene)
    array([[[nan, nan, nan]]], dtype=float32)
    """

    _keeps_scale = True
    _takes_stored = True

    def __init__(
        self, qa_band: str | int | None = None, bits: Sequence[int] = (), *, confidence: Mapping[int, int] | None = None,
        classes: Sequence[int] = (), above: float | None = None, dilate: int = 0, keep_qa: bool = True,
        preset: str | None = None,
    ) -> None:  # fmt: skip
        self.qa_band = qa_band
        self.bits = bits
        self.confidence = confidence
        self.classes = classes
        self.above = above
        self.dilate = dilate
        self.keep_qa = keep_qa
        self.preset = preset

    @property
    def halo(self) -> int:
        """Pixels by which clouds grow."""
        return int(self.dilate)

    def apply(self, raster: Raster) -> Raster:
        """Mask the bands."""
        product = self._product()
        at = self._position(raster, product)
        cloudy = self._grown(self._cloudy(raster.cube[at], product, raster.names[at]))
        kept = [number for number in range(raster.n_bands) if self.keep_qa or number != at]
        if not kept:
            raise BandError("the raster holds nothing but the quality band: stack it with the bands that it is of")
        cube = raster.cube
        values = np.empty((len(kept), *cube.shape[1:]), float_type(raster))
        for number, out in zip(kept, values, strict=True):
            if number == at:
                out[...] = cube[number]
                continue
            out[...] = band_as_nan(raster, number)
            np.copyto(out, np.nan, where=cloudy)
        bands = None if raster.bands is None else tuple(raster.bands[number] for number in kept)
        return raster.with_values(values, bands=bands, nodata=(float("nan"),), mask=None)

    def _product(self) -> _Product:
        """Return what masks, of the preset and of the parameters together."""
        if self.preset is not None and self.preset not in _PRODUCTS:
            raise BandError(f"preset={self.preset!r} is not known: choose one of {', '.join(map(repr, _PRODUCTS))}")
        given = _Product(()) if self.preset is None else _PRODUCTS[self.preset]
        bits, confidence = (*given.bits, *self.bits), (*given.confidence, *(self.confidence or {}).items())
        wrong: Any = next((bit for bit in (*bits, *(low for low, _ in confidence)) if not _is_count(bit, 62)), None)
        if wrong is not None:
            raise BandError(f"bit {wrong!r} is none: give positions from 0, the lowest, to 62")
        wrong = next((least for _, least in confidence if not _is_count(least, 3) or least == 0), None)
        if wrong is not None:
            raise BandError(f"confidence from {wrong!r} on: give 1 (low), 2 (medium) or 3 (high)")
        if not _is_count(self.dilate, 10_000):
            raise BandError(f"dilate={self.dilate!r}: give whole pixels, 0 or more")
        classes = (*given.classes, *self.classes)
        if not bits and not confidence and not classes and self.above is None:
            raise BandError("nothing says what a cloud is: give bits=, confidence=, classes=, above= or preset=")
        return _Product(given.names, bits, confidence, classes)

    def _position(self, raster: Raster, product: _Product) -> int:
        if self.qa_band is not None:
            return band_position(raster, self.qa_band, "qa_band")
        found = next((name for name in product.names if name in raster.names), None)
        if found is None:
            called = f" {' or '.join(map(repr, product.names))}" if product.names else ""
            raise BandError(f"no quality band{called} among {', '.join(raster.names)}: name it with qa_band=")
        return raster.names.index(found)

    def _cloudy(self, band: np.ndarray, product: _Product, name: str) -> np.ndarray:
        """Return where a quality band masks."""
        cloudy = np.zeros(band.shape, bool) if self.above is None else ~(band <= self.above)
        if not product.bits and not product.confidence and not product.classes:
            return cloudy
        flags = band if band.dtype.kind in "iu" else _whole(band, name)
        if product.bits:
            cloudy |= _any_bit(flags, product.bits)
        for low, least in product.confidence:
            cloudy |= (flags.astype(np.int64) >> low & 3) >= least
        if product.classes:
            cloudy |= np.isin(flags, product.classes)
        return cloudy

    def _grown(self, cloudy: np.ndarray) -> np.ndarray:
        if not self.dilate or not cloudy.any():
            return cloudy
        grown = np.empty_like(cloudy)
        for at in planes(cloudy):
            clear = ~cloudy[at]
            # Distances to clouds are the same whatever chip they are looked at in, as far as the halo goes.
            grown[at] = ~clear if clear.all() else ndimage.distance_transform_edt(clear) <= self.dilate
        return grown


def _whole(band: np.ndarray, name: str) -> np.ndarray:
    """Return flags or classes that are stored as floats as integers."""
    known = np.nan_to_num(band)
    flags: np.ndarray = known.astype(np.int64 if band.dtype.itemsize > 4 else np.int32)
    if (flags != known).any():
        odd = known[flags != known].flat[0]
        raise BandError(
            f"quality band {name!r} holds {odd:g}, which is neither flags nor a class: use above= for probabilities"
        )
    return flags


def _any_bit(flags: np.ndarray, bits: Sequence[int]) -> np.ndarray:
    """Return where any of the bits is set; a narrow type has no high bits."""
    wanted = sum(1 << bit for bit in set(bits)) & ((1 << 8 * flags.dtype.itemsize) - 1)
    unsigned = flags.view(f"u{flags.dtype.itemsize}")
    found: np.ndarray = (unsigned & unsigned.dtype.type(wanted)) != 0
    return found


def _is_count(value: Any, most: int) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(0 <= value <= most)
