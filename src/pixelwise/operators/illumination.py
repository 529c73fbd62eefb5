"""The light on slopes corrected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pixelwise.errors import BandError, MissingDataError
from pixelwise.operators.base import Operator, band_position
from pixelwise.operators.measured import chosen_bands, corrected, float_type, per_band, thinned_windows
from pixelwise.raster.carriers import Raster
from pixelwise.raster.io import band_as_nan

__all__ = ["CosineCorrection", "c_parameters"]


class CosineCorrection(Operator):
    """Correct the light on slopes: what faces away from the sun is brightened, what faces it darkened.

    ``value * (cos z + c) / (cos i + c)``, with the sun's zenith angle z and the angle i at which it falls on the slope [1]_.
    With c = 0, the cosine correction, faint slopes come out too bright; the C-correction has a c for each band, from a
    regression of the band on cos i over the whole scene: intercept over slope, as `c_parameters` finds it.

    Parameters
    ----------
    sun_zenith, sun_azimuth : float, str or int
        Degrees, clockwise from north: floats for the whole scene, or the bands that hold them, by name or position.
    slope, aspect : str or int, default="slope" and "aspect"
        Bands of the terrain in degrees, as `terrain.Slope` and `terrain.Aspect` make them; flat ground has no aspect.
    c : float, sequence of float, or mapping of band to float, default=0.0
        For all bands, for each in their order, or by name.
    bands : sequence of str or int, or None, default=None
        What to correct; None takes all that are not quality, angle or terrain bands by name.

    Raises
    ------
    BandError
        If a band is missing, or an angle is impossible.

    Notes
    -----
    Pixels that the sun does not reach (cos i + c not above 0) are NaN.

    References
    ----------
    .. [1] Teillet, P. M., Guindon, B. and Goodenough, D. G. (1982): On the slope-aspect correction of multispectral scanner
       data. Canadian Journal of Remote Sensing 8, 84-106.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> scene = np.array([[[100, 100]], [[30, 30]], [[180, 0]]], "float32")
    >>> corrected = pw.correction.CosineCorrection(30.0, 180.0, slope=1, aspect=2, bands=[0])(scene)
    >>> corrected[0].round(1)
    array([[ 86.6, 173.2]], dtype=float32)
    """

    _takes_stored = True

    def __init__(
        self, sun_zenith: Any, sun_azimuth: Any, *, slope: str | int = "slope", aspect: str | int = "aspect", c: Any = 0.0,
        bands: Sequence[str | int] | None = None,
    ) -> None:  # fmt: skip
        self.sun_zenith = sun_zenith
        self.sun_azimuth = sun_azimuth
        self.slope = slope
        self.aspect = aspect
        self.c = c
        self.bands = bands

    def apply(self, raster: Raster) -> Raster:
        """Correct the bands."""
        positions = [at for at in chosen_bands(raster, self.bands) if self.bands is not None or at not in self._angles(raster)]
        c, kind = per_band(self.c, raster, positions, "c"), float_type(raster)
        level, tilted = self.illumination(raster)

        def correct(number: int, band: np.ndarray, out: np.ndarray) -> None:
            """Correct one band."""
            share = tilted + kind(c[number])
            share[~(share > 0)] = np.nan
            np.divide(level + kind(c[number]), share, out=out)
            out *= band

        return corrected(raster, positions, correct)

    def illumination(self, raster: Raster) -> tuple[Any, np.ndarray]:
        """Return the cosine of the angle of the sun on level ground, and on the slopes.

        Parameters
        ----------
        raster : Raster
            With the bands of the terrain.

        Returns
        -------
        level : float or ndarray of shape (y, x)
        tilted : ndarray of shape (y, x)
        """
        zenith, azimuth = self._angle(raster, "sun_zenith", 90), self._angle(raster, "sun_azimuth", 360)
        slope = np.radians(band_as_nan(raster, band_position(raster, self.slope, "slope")))
        aspect = np.radians(band_as_nan(raster, band_position(raster, self.aspect, "aspect")))
        # On flat ground it does not matter which way a pixel faces.
        facing = np.where((slope == 0) & np.isnan(aspect), 1, np.cos(azimuth - aspect))
        return np.cos(zenith), np.cos(zenith) * np.cos(slope) + np.sin(zenith) * np.sin(slope) * facing

    def _angle(self, raster: Raster, name: str, most: float) -> Any:
        given = getattr(self, name)
        if isinstance(given, str | int) and not isinstance(given, bool):
            return np.radians(band_as_nan(raster, band_position(raster, given, name)))
        if not isinstance(given, float | np.floating) or not 0 <= given <= most:
            raise BandError(f"{name}={given!r}: give degrees from 0.0 to {most}.0 as a float, or a band by name or position")
        return float_type(raster)(np.radians(given))

    def _angles(self, raster: Raster) -> list[int]:
        roles = ("slope", "aspect", "sun_zenith", "sun_azimuth")
        named = [(role, getattr(self, role)) for role in roles]
        return [band_position(raster, band, role) for role, band in named if isinstance(band, str | int)]


def c_parameters(
    raster: Any, sun_zenith: float, sun_azimuth: float, *, slope: Any = "slope", aspect: Any = "aspect"
) -> dict[str, float]:
    """Return the C of each band for `CosineCorrection`: intercept over slope of its regression on the light that falls there.

    Parameters
    ----------
    raster : raster of any carrier, or path
        The whole scene, with the bands of the terrain.
    sun_zenith, sun_azimuth : float
        Degrees.
    slope, aspect : str or int, default="slope" and "aspect"
        Bands of the terrain in degrees.

    Returns
    -------
    dict of str to float
        C of each band that measures light, by its name.

    Raises
    ------
    MissingDataError
        If fewer than 100 pixels have all that is needed.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> rng = np.random.default_rng(0)
    >>> slope, aspect = rng.uniform(0, 40, (50, 50)), rng.uniform(0, 360, (50, 50))
    >>> grid = pw.Grid("EPSG:32633", (30, 0, 0, 0, -30, 0), 50, 50)
    >>> scene = pw.Raster(np.stack([slope, slope, aspect]), grid, ("red", "slope", "aspect"))
    >>> _, light = pw.correction.CosineCorrection(40.0, 150.0).illumination(scene)
    >>> lit = scene.with_values(np.stack([100 + 400 * light, slope, aspect]))
    >>> {band: round(c, 6) for band, c in pw.correction.c_parameters(lit, 40.0, 150.0).items()}
    {'red': 0.25}
    """
    correction = CosineCorrection(float(sun_zenith), float(sun_azimuth), slope=slope, aspect=aspect)
    parts = list(thinned_windows(raster))
    light = np.concatenate([correction.illumination(part)[1].ravel() for part in parts])
    positions = [at for at in chosen_bands(parts[0], None) if at not in correction._angles(parts[0])]
    found = {}
    for at in positions:
        values = np.concatenate([part.cube[at].ravel() for part in parts])
        known = ~np.isnan(values) & ~np.isnan(light)
        if known.sum() < 100:
            raise MissingDataError(
                f"{known.sum()} pixels of band {parts[0].names[at]} have terrain and data: 100 are needed for C"
            )
        gain, base = np.polyfit(light[known].astype(float), values[known].astype(float), 1)
        found[parts[0].names[at]] = float(base / gain)
    return found
