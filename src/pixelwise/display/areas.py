"""Areas of the classes of a map, by counting pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pixelwise.display.preview import preview
from pixelwise.errors import LabelError
from pixelwise.raster.carriers import Raster
from pixelwise.raster.grid import pixel_area
from pixelwise.raster.io import open_source
from pixelwise.raster.legend import map_classes

__all__ = ["ClassArea", "class_areas"]


@dataclass(frozen=True)
class ClassArea:
    """How much of a map is one class.

    Parameters
    ----------
    code : int
        Its value in the map.
    name : str
        Its name.
    pixels : int
        Number of its pixels.
    hectares : float or None
        Their area; None where the map has no CRS.
    share : float
        Their share of all classified pixels.

    Examples
    --------
    >>> from pixelwise.display.areas import ClassArea
    >>> ClassArea(0, "forest", 100, 1.0, 0.25).share
    0.25
    """

    code: int
    name: str
    pixels: int
    hectares: float | None
    share: float


def class_areas(raster: Any) -> list[ClassArea]:
    """Count the pixels of each class of a map, and their area.

    Such areas are biased wherever the map takes one class for another more often than the other way round; an estimate from a
    probability sample of places corrects that [1]_.

    Parameters
    ----------
    raster : raster of any carrier
        A map that names its classes; a file is read window by window.

    Returns
    -------
    list of ClassArea
        In the order of the classes; on a geographic CRS areas are geodesic.

    Raises
    ------
    LabelError
        If the map does not name its classes.

    References
    ----------
    .. [1] Olofsson, P. et al. (2014): Good practices for estimating area and assessing accuracy of land change. Remote Sensing
       of Environment 148, 42-57.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from pixelwise.display.areas import class_areas
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> scene, polygons = pw.datasets.make_example()
    >>> X, y = pw.extract_pixels(scene, polygons, column="class")
    >>> predicted = pw.PixelwiseClassifier(DecisionTreeClassifier()).fit(X, y).predict(pw.open_raster(scene))
    >>> [(area.name, round(area.hectares), round(area.share, 2)) for area in class_areas(predicted)]
    [('forest', 24, 0.5), ('water', 24, 0.5)]
    """
    classes = map_classes(preview(raster, most=1).attrs)
    if not classes:
        raise LabelError("the map does not name its classes: give it the attributes flag_values and flag_meanings")
    pixels, hectares = dict.fromkeys(classes, 0), dict.fromkeys(classes, 0.0)
    with open_source(raster) as source:
        area = None if source.grid.crs is None else pixel_area(source.grid) / 10_000
        sides = (max(side, 1024 // side * side) for side in source.block_shape)
        for window in source.grid.windows(*sides):
            values = _masked(source.read(window))
            for code in classes:
                by_row = np.ma.filled(values == code, fill_value=False).sum(axis=1)
                pixels[code] += int(by_row.sum())
                if area is not None:
                    hectares[code] += float(by_row @ area[window.row_off : window.row_off + window.height])
    total = max(1, sum(pixels.values()))
    return [
        ClassArea(code, name, pixels[code], None if area is None else hectares[code], pixels[code] / total)
        for code, name in classes.items()
    ]


def _masked(chip: Raster) -> np.ndarray:
    mask = chip.mask if chip.mask is None or chip.mask.ndim == 2 else chip.mask[0]
    return chip.cube[0] if mask is None else np.ma.masked_array(chip.cube[0], mask)
