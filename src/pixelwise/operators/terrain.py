"""Terrain: slope, aspect and position of an elevation band."""

from __future__ import annotations

import numpy as np

from pixelwise.errors import BandError
from pixelwise.operators.appended import appended, planes, room_for
from pixelwise.operators.base import Operator, band_position
from pixelwise.operators.gradient import horn_gradient
from pixelwise.operators.windows import half_window, window_tiles
from pixelwise.raster.carriers import Raster

__all__ = ["TPI", "Aspect", "Slope"]


class _Terrain(Operator):
    """Operators that make bands out of one band of elevations."""

    band: str | int
    append: bool

    def apply(self, raster: Raster) -> Raster:
        """Compute the new bands."""
        names = self._names()
        elevation = raster.cube[band_position(raster, self.band, "band")]
        whole, new = room_for(raster, len(names), self.append)
        for at in planes(elevation):
            self._fill(elevation[at], raster, new[(slice(None), *at)])
        return appended(raster, whole, names, self.append)

    def _names(self) -> list[str]:
        """Return the names of the new bands."""
        raise NotImplementedError

    def _fill(self, plane: np.ndarray, raster: Raster, out: np.ndarray) -> None:
        """Compute the new bands (k, y, x) of a plane."""
        raise NotImplementedError


class Slope(_Terrain):
    """Steepness of an elevation band after Horn [1]_, from the eight neighbours of each pixel.

    Sizes of pixels are taken in metres from the raster's transform and CRS: feet, rotated and south-up rasters, and degrees
    (on the sphere, at the latitude of each row). At the border of the raster the surface is taken to go on straight, and
    next to missing pixels as the neighbours across lead to: a plane has its slope everywhere. A pixel without data is NaN, as
    is one whose neighbours do not tell its slope.

    Parameters
    ----------
    band : str or int, default=0
        The elevations.
    unit : {"degrees", "percent"}, default="degrees"
        Degrees from 0 to 90, or metres of rise in 100 metres.
    z_factor : float, default=1.0
        Metres in a unit of the band: 0.3048 for feet.
    append : bool, default=True
        Whether the bands that come in stay, in front of the new one.

    Raises
    ------
    BandError
        If there is no such band or unit.

    See Also
    --------
    Aspect : Where the slope faces.

    References
    ----------
    .. [1] Horn, B. K. P. (1981): Hill shading and the reflectance map. Proceedings of the IEEE 69, 14-47.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> grid = pw.Grid("EPSG:32633", (10, 0, 0, 0, -10, 0), 3, 3)
    >>> hillside = pw.Raster(np.array([[[0, 10, 20]] * 3], "float32"), grid, ("dem",))
    >>> slope = pw.terrain.Slope("dem")(hillside)
    >>> slope.names, slope.values[1, 1].tolist()
    (('dem', 'slope'), [45.0, 45.0, 45.0])
    """

    halo = 1

    def __init__(self, band: str | int = 0, unit: str = "degrees", z_factor: float = 1.0, append: bool = True) -> None:
        self.band = band
        self.unit = unit
        self.z_factor = z_factor
        self.append = append

    def _names(self) -> list[str]:
        if self.unit not in ("degrees", "percent"):
            raise BandError(f"unit={self.unit!r} is not known: choose 'degrees' or 'percent'")
        return ["slope"]

    def _fill(self, plane: np.ndarray, raster: Raster, out: np.ndarray) -> None:
        for rows, cols, east, north in horn_gradient(plane, raster.grid, self.z_factor):
            steepness = np.sqrt(east * east + north * north)
            out[0, rows, cols] = steepness * 100 if self.unit == "percent" else np.degrees(np.arctan(steepness))


class Aspect(_Terrain):
    """Direction that an elevation band faces, downhill, after Horn [1]_.

    Degrees clockwise from the north of the CRS, from 0 to 360: 90 faces east. Where the ground is flat it faces nowhere,
    which is NaN. As 359 and 1 are next to each other, which few models know, `components` gives the cosine and sine instead,
    and 0 where the ground is flat. Pixels at borders and gaps are as with `Slope`.

    Parameters
    ----------
    band : str or int, default=0
        The elevations.
    components : bool, default=False
        Whether to make the bands ``northness`` and ``eastness`` instead of ``aspect``.
    append : bool, default=True
        Whether the bands that come in stay, in front of the new ones.

    See Also
    --------
    Slope : How steep it is.

    References
    ----------
    .. [1] Horn, B. K. P. (1981): Hill shading and the reflectance map. Proceedings of the IEEE 69, 14-47.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> grid = pw.Grid("EPSG:32633", (10, 0, 0, 0, -10, 0), 3, 3)
    >>> hillside = pw.Raster(np.array([[[0, 10, 20]] * 3], "float32"), grid, ("dem",))
    >>> pw.terrain.Aspect("dem", append=False)(hillside).values[0, 1].tolist()
    [270.0, 270.0, 270.0]
    >>> pw.terrain.Aspect("dem", components=True)(hillside).names
    ('dem', 'northness', 'eastness')
    """

    halo = 1

    def __init__(self, band: str | int = 0, components: bool = False, append: bool = True) -> None:
        self.band = band
        self.components = components
        self.append = append

    def _names(self) -> list[str]:
        return ["northness", "eastness"] if self.components else ["aspect"]

    def _fill(self, plane: np.ndarray, raster: Raster, out: np.ndarray) -> None:
        for rows, cols, east, north in horn_gradient(plane, raster.grid, 1.0):
            flat = (east == 0) & (north == 0)
            if self.components:
                length = np.sqrt(east * east + north * north)
                length[flat] = 1
                out[0, rows, cols], out[1, rows, cols] = -north / length, -east / length
                continue
            facing = np.degrees(np.arctan2(-east, -north))
            facing[facing < 0] += 360
            # A hair west of north is north, once it is rounded.
            facing[facing >= 360] = 0
            facing[flat] = np.nan
            out[0, rows, cols] = facing


class TPI(_Terrain):
    """Topographic position index: the height of a pixel above the mean of those round it [1]_.

    Positive on ridges, negative in valleys, about 0 on plains and even slopes; in the unit of the band. Missing pixels, and
    those beyond the border of the raster, do not count; a pixel without neighbours is NaN.

    Parameters
    ----------
    band : str or int, default=0
        The elevations.
    window : int, default=3
        Side in pixels of the window round each pixel, an odd number; the pixel itself does not count.
    append : bool, default=True
        Whether the bands that come in stay, in front of the new one.

    Raises
    ------
    ValueError
        If the window has no centre.

    References
    ----------
    .. [1] Weiss, A. (2001): Topographic position and landforms analysis. ESRI User Conference, San Diego.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> pw.terrain.TPI(append=False)(np.array([[[1, 1, 1], [1, 9, 1], [1, 1, 1]]], "uint8"))[0, 1]
    array([-1.6, 8. , -1.6], dtype=float32)
    """

    def __init__(self, band: str | int = 0, window: int = 3, append: bool = True) -> None:
        self.band = band
        self.window = window
        self.append = append

    @property
    def halo(self) -> int:
        """Pixels round a chip that the window reaches."""
        return half_window(self.window)

    def _names(self) -> list[str]:
        return [f"tpi{self.window}"]

    def _fill(self, plane: np.ndarray, raster: Raster, out: np.ndarray) -> None:
        with np.errstate(invalid="ignore", divide="ignore"):
            for tile in window_tiles(plane, self.window):
                own = plane[tile.rows, tile.cols].astype(np.float64)
                out[0, tile.rows, tile.cols] = own - (tile.sum(tile.values) - own) / (tile.count - 1)
