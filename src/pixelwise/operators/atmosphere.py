"""Haze and transmittance of the atmosphere taken off: models that need no weather data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pixelwise.errors import BandError, MissingDataError
from pixelwise.operators.base import Operator, band_position
from pixelwise.operators.measured import chosen_bands, corrected, float_type, per_band, thinned_windows
from pixelwise.raster.carriers import Raster
from pixelwise.raster.io import band_as_nan

__all__ = ["DarkObjectSubtraction", "TOAToBOA", "dark_objects"]


class TOAToBOA(Operator):
    """Correct reflectance at the top of the atmosphere for it, pixel by pixel, with the COST model of Chavez [1]_.

    ``(reflectance - path) / cos(sun zenith)``: the light that the path itself scatters is taken off, and the transmittance of
    the atmosphere is estimated as the cosine of the sun's zenith angle. It needs no weather data and nothing of the scene, so
    a chip gives what its scene gives. Without `path` it corrects the transmittance alone.

    Parameters
    ----------
    sun_zenith_band : str or int
        The band of the sun's zenith angle in degrees; it stays.
    path : float, sequence of float, or mapping of band to float, default=0.0
        Reflectance of the path, such as `dark_objects` finds it (less 0.01, which dark objects reflect themselves).
    bands : sequence of str or int, or None, default=None
        What to correct; None takes all that are not quality, angle or terrain bands by name.

    Raises
    ------
    BandError
        If there is no such band, or the angles are radians.

    See Also
    --------
    DarkObjectSubtraction : The path alone.

    Notes
    -----
    Where the sun is 85 degrees from the zenith or further, the model means nothing, and the result is NaN. It is a first-order
    correction: for physical quantities use a radiative transfer code, such as Sen2Cor or LaSRC.

    References
    ----------
    .. [1] Chavez, P. S. (1996): Image-based atmospheric corrections - revisited and improved. Photogrammetric Engineering and
       Remote Sensing 62, 1025-1036.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> scene = np.array([[[0.25]], [[60.0]]], "float32")
    >>> pw.correction.TOAToBOA(sun_zenith_band=-1, path=0.05)(scene).round(3).ravel()
    array([ 0.4, 60. ], dtype=float32)
    """

    _takes_stored = True

    def __init__(self, sun_zenith_band: str | int, *, path: Any = 0.0, bands: Sequence[str | int] | None = None) -> None:
        self.sun_zenith_band = sun_zenith_band
        self.path = path
        self.bands = bands

    def apply(self, raster: Raster) -> Raster:
        """Correct the bands."""
        at = band_position(raster, self.sun_zenith_band, "sun_zenith_band")
        positions = chosen_bands(raster, self.bands, without=[at])
        path = per_band(self.path, raster, positions, "path", default=0.0)
        kind = float_type(raster)
        factor = sun_factor(band_as_nan(raster, at), raster.names[at])

        def correct(number: int, band: np.ndarray, out: np.ndarray) -> None:
            """Correct one band."""
            np.subtract(band, kind(path[number]), out=out)
            out *= factor

        return corrected(raster, positions, correct)


def sun_factor(zenith: np.ndarray, name: str) -> np.ndarray:
    """Return one over the cosine of zenith angles in degrees; NaN from 85 degrees on."""
    # fmax passes over NaN, and says nothing where there is nothing else.
    top = float(np.fmax.reduce(zenith, axis=None, initial=-np.inf))
    if zenith.size > 1 and 0 < top < np.pi / 2:
        raise BandError(f"band {name!r} goes up to {top:.3g}, which looks like radians: convert it to degrees")
    factor: np.ndarray = np.radians(zenith)
    np.cos(factor, out=factor)
    with np.errstate(divide="ignore"):
        np.reciprocal(factor, out=factor)
    factor[~((zenith >= 0) & (zenith < 85))] = np.nan
    return factor


class DarkObjectSubtraction(Operator):
    """Take off what the darkest pixels of a scene still show: the light that haze scatters into the sensor [1]_.

    Parameters
    ----------
    dark : float, sequence of float, or mapping of band to float
        Value of the darkest objects, as `dark_objects` finds it in a whole scene. A chip cannot know it by itself.
    reflects : float, default=0.0
        What dark objects reflect themselves, in the unit of the bands: 0.01 of reflectances is customary.
    bands : sequence of str or int, or None, default=None
        What to correct; None takes all that are not quality, angle or terrain bands by name.

    See Also
    --------
    dark_objects : Finds the values in a scene.

    References
    ----------
    .. [1] Chavez, P. S. (1988): An improved dark-object subtraction technique for atmospheric scattering correction of
       multispectral data. Remote Sensing of Environment 24, 459-479.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> pw.correction.DarkObjectSubtraction(dark=[40, 10])(np.array([[[50]], [[60]]], "uint8")).ravel()
    array([10., 50.], dtype=float32)
    """

    _takes_stored = True

    def __init__(self, dark: Any, *, reflects: float = 0.0, bands: Sequence[str | int] | None = None) -> None:
        self.dark = dark
        self.reflects = reflects
        self.bands = bands

    def apply(self, raster: Raster) -> Raster:
        """Subtract the haze."""
        positions, kind = chosen_bands(raster, self.bands), float_type(raster)
        haze = per_band(self.dark, raster, positions, "dark") - self.reflects
        return corrected(raster, positions, lambda number, band, out: np.subtract(band, kind(haze[number]), out=out))


def dark_objects(raster: Any, percentile: float = 0.1) -> dict[str, float]:
    """Return how dark the darkest objects of a scene are, band by band.

    Parameters
    ----------
    raster : raster of any carrier, or path
        The whole scene; a file is read window by window.
    percentile : float, default=0.1
        Which percentile of the valid pixels counts as dark, from 0 to 100; the minimum itself is often a fault. Of scenes with
        more than a million pixels, a regular sample of them is taken.

    Returns
    -------
    dict of str to float
        Value of each band that measures light, by its name.

    Raises
    ------
    MissingDataError
        If a band has no valid pixel.

    Examples
    --------
    >>> import pixelwise as pw
    >>> scene, _ = pw.datasets.make_example()
    >>> dark = pw.correction.dark_objects(scene)
    >>> sorted(dark), pw.correction.DarkObjectSubtraction(dark)(pw.open_raster(scene)).shape
    (['B02', 'B03', 'B04', 'B08'], (4, 60, 80))
    """
    if not 0 <= percentile <= 100:
        raise BandError(f"percentile={percentile!r}: give one from 0 to 100, such as 0.1")
    parts = list(thinned_windows(raster))
    names, positions = parts[0].names, chosen_bands(parts[0], None)
    found = {}
    for at in positions:
        values = np.concatenate([part.cube[at].ravel() for part in parts])
        values = values[~np.isnan(values)]
        if not len(values):
            raise MissingDataError(f"band {names[at]} has no valid pixel: check the nodata value of the raster")
        found[names[at]] = float(np.percentile(values, percentile))
    return found
