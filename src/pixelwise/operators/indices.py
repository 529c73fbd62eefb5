"""Spectral indices, and the operator that appends one to a raster."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pixelwise.errors import BandError
from pixelwise.operators.base import Operator, band_position
from pixelwise.operators.catalogue import Formula, catalogue_bands, formula_of, needs_reflectance
from pixelwise.operators.sensor_bands import find_bands
from pixelwise.raster.carriers import Raster
from pixelwise.raster.io import band_as_nan, has_extremes

__all__ = ["NDVI", "NDWI", "AppendIndex", "SpectralIndex"]

#: Pixels that an index is computed of at a time: what lies between stays in a cache of the processor.
_PIXELS = 2**17
#: Reflectance is not higher, even over clouds and with sun in the sensor; numbers as they are stored are.
_BRIGHTEST = 10
#: Pixels that tell whether bands are reflectance.
_SAMPLE = 256


class _NormalizedDifference(Operator):
    """(a - b) / (a + b) of two bands; NaN where the sum is zero or a band is missing."""

    #: Name of the index, and the two bands.
    _name: str
    _pair: tuple[str, str]
    _takes_stored = True

    def apply(self, raster: Raster) -> Raster:
        """Compute the index as a raster of one band."""
        bands = [self._position(raster, role) for role in self._pair]
        return _computed(raster, self._name, bands, _normalized_difference)

    def _position(self, raster: Raster, role: str) -> int:
        band, position = getattr(self, role), getattr(self, f"{role}_idx")
        if (band is None) == (position is None):
            raise BandError(
                f"{type(self).__name__} got {role}={band!r} and {role}_idx={position!r}: give one of the two, "
                f"the band's name or its position from 0"
            )
        return band_position(raster, band, role) if position is None else band_position(raster, position, f"{role}_idx")


def _normalized_difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    found: np.ndarray = first - second
    found /= first + second
    return found


class NDVI(_NormalizedDifference):
    """Normalized difference vegetation index, (nir - red) / (nir + red) [1]_.

    Parameters
    ----------
    red, nir : str, int or None
        The bands, by name or by position from 0.
    red_idx, nir_idx : int or None
        The bands by position alone, instead of `red` and `nir`.

    Raises
    ------
    BandError
        If the raster has no such band, or a band is given twice or not at all.

    See Also
    --------
    AppendIndex : Keeps the other bands too.
    SpectralIndex : Any other index, by its name.

    References
    ----------
    .. [1] Rouse, J. W. et al. (1974): Monitoring vegetation systems in the Great Plains with ERTS. NASA SP-351, 309-317.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> pw.indices.NDVI(red=0, nir=1)(np.array([[[10, 0]], [[30, 0]]], "uint16"))
    array([[[0.5, nan]]], dtype=float32)
    """

    _name = "NDVI"
    _pair = ("nir", "red")

    def __init__(
        self,
        red: str | int | None = None,
        nir: str | int | None = None,
        red_idx: int | None = None,
        nir_idx: int | None = None,
    ) -> None:
        self.red = red
        self.nir = nir
        self.red_idx = red_idx
        self.nir_idx = nir_idx


class NDWI(_NormalizedDifference):
    """Normalized difference water index of open water, (green - nir) / (green + nir) [1]_.

    Parameters
    ----------
    green, nir : str, int or None
        The bands, by name or by position from 0.
    green_idx, nir_idx : int or None
        The bands by position alone, instead of `green` and `nir`.

    Raises
    ------
    BandError
        If the raster has no such band, or a band is given twice or not at all.

    See Also
    --------
    AppendIndex : Keeps the other bands too.
    SpectralIndex : Any other index, by its name.

    References
    ----------
    .. [1] McFeeters, S. K. (1996): The use of the normalized difference water index (NDWI) in the delineation of open water
       features. International Journal of Remote Sensing 17, 1425-1432.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> pw.indices.NDWI(green=0, nir=1)(np.array([[[30]], [[10]]], "uint16"))
    array([[[0.5]]], dtype=float32)
    """

    _name = "NDWI"
    _pair = ("green", "nir")

    def __init__(
        self,
        green: str | int | None = None,
        nir: str | int | None = None,
        green_idx: int | None = None,
        nir_idx: int | None = None,
    ) -> None:
        self.green = green
        self.nir = nir
        self.green_idx = green_idx
        self.nir_idx = nir_idx


class SpectralIndex(Operator):
    """Any of some 280 spectral indices of the catalogue "Awesome Spectral Indices" [1]_, by its name.

    The formula, its bands and its constants are the catalogue's, as the package spyndex brings it
    (``pip install 'pixelwise[indices]'``). ``spyndex.indices["EVI"]`` shows formula, constants and source of an index.

    Parameters
    ----------
    index : str
        Short name of the index, such as "EVI", "NDMI" or "NBR".
    bands : mapping of str to (str or int), or None
        Bands by the catalogue's letters: ``{"N": "B08", "R": 2}``. Bands that are not given are found by their names: the
        letter itself, common names of STAC ("nir", "red", "swir16"), or the numbers of a platform ("B08", "B8", "SR_B5").
    constants : mapping of str to float, or None
        Constants of the formula that shall differ from the catalogue's, such as ``{"L": 0.5}`` for SAVI, where the
        catalogue has 1. Kernel indices take their ``sigma`` from the mean of the two bands, if none is given.
    platform : str or None
        Whose band numbers they are: "sentinel2", "landsat4", "landsat5", "landsat7", "landsat8", "landsat9", "modis",
        "worldview2", "worldview3" or "planetscope". None takes the platforms that have all the numbers, if they agree.

    Raises
    ------
    BandError
        If there is no such index, a band is not found or could be several, a constant is unknown or missing, or the index
        needs reflectance and the bands hold larger numbers.
    DependencyMissingError
        If spyndex is not installed.

    See Also
    --------
    AppendIndex : Keeps the other bands too.

    Notes
    -----
    What is divided by zero, or a root of what is negative, is NaN, quietly. The result has the dtype of the bands, float32 for
    integers. Many formulas add numbers to bands or subtract them, as those of EVI, SAVI and BAI do: they are defined on
    reflectance from 0 to 1, and nothing is rescaled here. Where half of the pixels of a band are above 10, such an index is
    an error. A platform without a band N, as Landsat 8, takes its N2 for it.

    References
    ----------
    .. [1] Montero, D. et al. (2023): A standardized catalogue of spectral indices to advance the use of remote sensing in Earth
       system research. Scientific Data 10, 197.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> scene, _ = pw.datasets.make_example()
    >>> reflectance = pw.open_raster(scene).astype("float32") / 10_000
    >>> evi = pw.indices.SpectralIndex("EVI")(reflectance)
    >>> evi.band.values.tolist(), evi.dtype.name
    (['EVI'], 'float32')
    >>> pw.indices.SpectralIndex("SAVI", bands={"N": 1, "R": 0}, constants={"L": 0.5})(np.array([[[0.1]], [[0.4]]])).round(3)
    array([[[0.45]]])
    """

    _takes_stored = True

    def __init__(
        self,
        index: str,
        bands: Mapping[str, str | int] | None = None,
        constants: Mapping[str, float] | None = None,
        platform: str | None = None,
    ) -> None:
        self.index = index
        self.bands = bands
        self.constants = constants
        self.platform = platform

    def apply(self, raster: Raster) -> Raster:
        """Compute the index as a raster of one band."""
        formula = formula_of(self.index)
        constants = formula.with_constants(self.constants or {})
        found = self._positions(raster, formula)
        if needs_reflectance(formula.name, tuple(sorted(constants.items()))):
            _refuse_numbers(raster, formula.name, sorted(found.values()))
        return _computed(
            raster,
            formula.name,
            list(found.values()),
            lambda *bands: formula.compute(dict(zip(found, bands, strict=True)), constants),
        )

    def _positions(self, raster: Raster, formula: Formula) -> dict[str, int]:
        given = dict(self.bands or {})
        strange = [letter for letter in given if letter not in formula.letters]
        if strange:
            raise BandError(f"{formula.name} takes no band {strange[0]!r}: it takes {', '.join(formula.letters)}")
        positions = {letter: band_position(raster, band, f"bands[{letter!r}]") for letter, band in given.items()}
        missing = [letter for letter in formula.letters if letter not in positions]
        positions |= _found(raster.names, tuple(missing), self.platform, formula.name)
        return {letter: positions[letter] for letter in formula.letters}


class AppendIndex(Operator):
    """Append an index to a raster as its last band.

    Parameters
    ----------
    index : Operator
        Computes the index, such as `NDVI`.
    name : str or None, default=None
        Name of the new band; None takes the index's own.

    See Also
    --------
    NDVI : An index.

    Examples
    --------
    >>> import pixelwise as pw
    >>> scene, polygons = pw.datasets.make_example()
    >>> raster = pw.open_raster(scene)
    >>> with_ndvi = pw.indices.AppendIndex(pw.indices.NDVI(red="B04", nir="B08"), name="ndvi")(raster)
    >>> with_ndvi.band.values.tolist(), with_ndvi.dtype.name
    (['B02', 'B03', 'B04', 'B08', 'ndvi'], 'float32')
    """

    _takes_stored = True

    def __init__(self, index: Operator, name: str | None = None) -> None:
        self.index = index
        self.name = name

    @property
    def halo(self) -> int:
        """Pixels round a chip that the index looks at."""
        return self.index.halo

    def apply(self, raster: Raster) -> Raster:
        """Compute the index, and put it behind the bands."""
        cube, nan = raster.cube, (float("nan"),)
        whole = np.empty((len(cube) + 1, *cube.shape[1:]), np.result_type(cube.dtype, np.float32))
        for band in range(len(cube)):
            whole[band] = band_as_nan(raster, band)
        index = self.index.apply(raster.with_values(whole[:-1], nodata=nan, mask=None))
        name = self.name or index.names[0]
        if index.n_bands != 1:
            raise BandError(f"{type(self.index).__name__} makes {index.n_bands} bands, and AppendIndex appends one")
        if name in (raster.bands or ()):
            raise BandError(f"the raster has a band {name!r} already: give the index another name, name='...'", band=name)
        whole = whole.astype(np.result_type(whole, index.cube), copy=False)
        whole[-1:] = index.cube
        return raster.with_values(whole, bands=(*raster.names, name), nodata=nan, mask=None, name=None)


@functools.lru_cache(maxsize=256)
def _found(names: tuple[str, ...], letters: tuple[str, ...], platform: str | None, what: str) -> dict[str, int]:
    return find_bands(names, letters, catalogue_bands(), platform, what)


def _computed(raster: Raster, name: str, bands: Sequence[int], compute: Callable[..., Any]) -> Raster:
    """Return a raster of one band that is computed of others part by part, with NaN for what is no number."""
    shape, height = raster.cube.shape[1:], raster.grid.height
    out = np.empty((1, *shape), np.result_type(raster.values.dtype, np.float32))
    step = max(_PIXELS * height // max(out.size, 1), 1)
    with np.errstate(all="ignore"):
        for top in range(0, height, step):
            rows = slice(top, top + step)
            part = out[0, ..., rows, :]
            part[...] = compute(*(band_as_nan(raster, band, rows) for band in bands))
            if has_extremes(part):
                part[np.isinf(part)] = np.nan
    return raster.with_values(out, bands=(name,), nodata=(float("nan"),), mask=None, name=None)


def _refuse_numbers(raster: Raster, name: str, bands: Sequence[int]) -> None:
    """Raise an error where a sample of a band's pixels is mostly brighter than anything reflects."""
    height, width = raster.grid.shape
    apart = max(int((height * width / _SAMPLE) ** 0.5), 1) if min(height, width) > 1 else max(height * width // _SAMPLE, 1)
    for band in bands:
        sample = band_as_nan(raster, band, slice(None, None, apart))[..., ::apart]
        middle = np.median(sample[np.isfinite(sample)]) if np.isfinite(sample).any() else 0
        if middle > _BRIGHTEST:
            raise BandError(
                f"{name} is defined on reflectance from 0 to 1, and half of {raster.names[band]} is {middle:g} or more: turn "
                "the numbers into reflectance first (those of Sentinel-2 are ten thousandths)",
                band=raster.names[band],
            )
