"""From digital numbers to reflectance."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pixelwise.errors import BandError
from pixelwise.operators.base import Operator
from pixelwise.operators.measured import chosen_bands, corrected, float_type, per_band
from pixelwise.raster.carriers import Raster

__all__ = ["DNToReflectance"]


@dataclass(frozen=True)
class _Scaling:
    """How a product stores reflectance, and in which bands."""

    scale: float
    offset: float
    bands: str


_SCALINGS = {
    "sentinel-2": _Scaling(1e-4, 0.0, r"B(0?[1-9]|8A|1[0-2])"),
    "sentinel-2-04.00": _Scaling(1e-4, -0.1, r"B(0?[1-9]|8A|1[0-2])"),
    "landsat-c2-l1": _Scaling(2e-5, -0.1, r"B[1-9]"),
    "landsat-c2-l2": _Scaling(2.75e-5, -0.2, r"(SR_)?B[1-7]"),
}


class DNToReflectance(Operator):
    """Scale digital numbers to reflectance: number times scale, plus offset.

    Parameters
    ----------
    preset : str or None, default=None
        How a product stores reflectance: "sentinel-2" (a ten-thousandth; processing baselines before 04.00),
        "sentinel-2-04.00" (and 1000 less, from January 2022 on [1]_), "landsat-c2-l1" (2e-5, -0.1: top of the atmosphere, of
        Landsat 8 and 9, whose sun stands in the zenith until `sun_elevation` is given), "landsat-c2-l2" (2.75e-5, -0.2 [2]_).
        It scales the bands that have the product's names of reflectances, and no thermal or quality ones.
    scale, offset : float, sequence of float, or mapping of band to float
        Instead of a preset: for all `bands`, for each in their order, or by name. Default 1.0 and 0.0.
    bands : sequence of str or int, or None, default=None
        What to scale; None takes what the preset knows, or all bands that are not quality, angle or terrain bands by name.
    sun_elevation : float or None, default=None
        Degrees above the horizon: reflectance is divided by its sine.

    Raises
    ------
    BandError
        If the preset is not known, or no band has a name that it knows.

    See Also
    --------
    TOAToBOA : From the top of the atmosphere to the ground.

    Notes
    -----
    A nodata of 0 has to be declared in the file: otherwise 0 becomes a reflectance as any other number does.

    References
    ----------
    .. [1] ESA: Sentinel-2 Products Specification Document, issue 14.9, on RADIO_ADD_OFFSET and BOA_ADD_OFFSET.
    .. [2] USGS: Landsat 8-9 Collection 2 Level 2 Science Product Guide (LSDS-1619).

    Examples
    --------
    >>> import pixelwise as pw
    >>> raster = pw.open_raster(pw.datasets.make_example()[0])
    >>> reflectance = pw.correction.DNToReflectance(preset="sentinel-2")(raster)
    >>> int(raster[0, 0, 0]), round(float(reflectance[0, 0, 0]), 4)
    (305, 0.0305)
    """

    _takes_stored = True

    def __init__(
        self, preset: str | None = None, *, scale: Any = None, offset: Any = None, bands: Sequence[str | int] | None = None,
        sun_elevation: float | None = None,
    ) -> None:  # fmt: skip
        self.preset = preset
        self.scale = scale
        self.offset = offset
        self.bands = bands
        self.sun_elevation = sun_elevation

    def apply(self, raster: Raster) -> Raster:
        """Scale the bands."""
        scale, offset, positions = self._scaling(raster)
        if self.sun_elevation is not None:
            if not 0 < self.sun_elevation <= 90:
                raise BandError(
                    f"sun_elevation={self.sun_elevation!r}: give degrees above the horizon, more than 0 and up to 90"
                )
            share = np.sin(np.radians(self.sun_elevation))
            scale, offset = scale / share, offset / share
        kind = float_type(raster)

        def rescale(number: int, band: np.ndarray, out: np.ndarray) -> None:
            """Scale one band."""
            np.multiply(band, kind(scale[number]), out=out)
            out += kind(offset[number])

        return corrected(raster, positions, rescale)

    def _scaling(self, raster: Raster) -> tuple[np.ndarray, np.ndarray, list[int]]:
        if self.preset is None:
            if self.scale is None and self.offset is None:
                raise BandError("nothing says how to scale: give scale= and offset=, or preset=")
            positions = chosen_bands(raster, self.bands)
            scale = per_band(1.0 if self.scale is None else self.scale, raster, positions, "scale")
            return scale, per_band(0.0 if self.offset is None else self.offset, raster, positions, "offset"), positions
        if self.preset not in _SCALINGS:
            raise BandError(f"preset={self.preset!r} is not known: choose one of {', '.join(map(repr, _SCALINGS))}")
        if self.scale is not None or self.offset is not None:
            raise BandError(f"preset={self.preset!r} knows scale and offset: leave out one or the other")
        product = _SCALINGS[self.preset]
        if self.bands is not None:
            positions = chosen_bands(raster, self.bands)
        else:
            positions = [at for at, name in enumerate(raster.names) if re.fullmatch(product.bands, name)]
        if not positions:
            raise BandError(
                f"no band among {', '.join(raster.names)} has a name of {self.preset}'s reflectances: give bands=[...]"
            )
        return np.full(len(positions), product.scale), np.full(len(positions), product.offset), positions
