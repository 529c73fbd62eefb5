"""What the codes of a map stand for: names, colours, and where GDAL keeps them."""

from __future__ import annotations

import colorsys
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np

from pixelwise.errors import LabelError

__all__ = ["add_categories", "class_colors", "map_classes"]

# The colours of Okabe and Ito without black, a grey, and the muted scheme of Paul Tol.
_PALETTE = (
    "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#999999",
    "#332288", "#44aa99", "#117733", "#999933", "#ddcc77", "#cc6677", "#882255", "#aa4499",
)  # fmt: skip
#: GDAL numbers category names from 0 without gaps, so that large codes would make long lists of blanks.
_MOST_CATEGORIES = 1024


def map_classes(attrs: Mapping[str, Any]) -> dict[int, str]:
    """Return code and name of each class from a map's attributes, and nothing where they name no classes.

    Parameters
    ----------
    attrs : mapping
        With CF ``flag_values`` and ``flag_meanings``, and ``class_names`` where the exact names are known; those that came from
        a file as text are taken too.

    Returns
    -------
    dict of int to str

    Examples
    --------
    >>> from pixelwise.raster.legend import map_classes
    >>> map_classes({"flag_values": [0, 1], "flag_meanings": "forest open_water", "class_names": ["forest", "open water"]})
    {0: 'forest', 1: 'open water'}
    """
    values, names = attrs.get("flag_values"), attrs.get("class_names", attrs.get("CLASS_NAMES"))
    if values is None or (names is None and "flag_meanings" not in attrs):
        return {}
    values = values.split(",") if isinstance(values, str) else np.atleast_1d(values).tolist()
    names = json.loads(names) if isinstance(names, str) else names
    names = str(attrs["flag_meanings"]).split() if names is None else list(names)
    if len(values) != len(names):
        return {}
    return {int(value): str(name) for value, name in zip(values, names, strict=True)}


def class_colors(classes: Mapping[int, str], colors: Mapping[Any, str] | None = None) -> dict[int, tuple[int, int, int, int]]:
    """Choose a colour for each class of a map.

    The first seven are the palette of Okabe and Ito [1]_ without black, then a grey and Paul Tol's muted scheme [2]_;
    maps with more classes go on with hues a golden angle apart.

    Parameters
    ----------
    classes : mapping of int to str
        Code and name of each class.
    colors : mapping of (str or int) to str, or None
        Colours as "#rrggbb" of some or all classes, by name or code.

    Returns
    -------
    dict of int to (red, green, blue, alpha)
        0 to 255 each.

    Raises
    ------
    LabelError
        If `colors` names a class that the map does not have, or a colour is not "#rrggbb".

    References
    ----------
    .. [1] Okabe, M. and Ito, K. (2008): Color Universal Design. https://jfly.uni-koeln.de/color/
    .. [2] Tol, P. (2021): Colour Schemes. SRON technical note SRON/EPS/TN/09-002, issue 3.2.

    Examples
    --------
    >>> from pixelwise.raster.legend import class_colors
    >>> class_colors({0: "forest", 1: "water"}, {"forest": "#006400"})
    {0: (0, 100, 0, 255), 1: (86, 180, 233, 255)}
    """
    asked = dict(colors or {})
    chosen = {}
    for position, (code, name) in enumerate(classes.items()):
        text = asked.pop(name, None) or asked.pop(code, None) or _palette(position)
        if not isinstance(text, str) or not re.fullmatch("#[0-9a-fA-F]{6}", text):
            raise LabelError(f"colour {text!r} of class {name!r} is not known: write it as '#rrggbb'", color=text)
        red, green, blue = bytes.fromhex(text[1:])
        chosen[code] = (red, green, blue, 255)
    if asked:
        known = ", ".join(classes.values()) or "none, because it has no named classes"
        raise LabelError(f"colors names class {next(iter(asked))!r}, and the map's classes are {known}", colors=asked)
    return chosen


def _palette(position: int) -> str:
    if position < len(_PALETTE):
        return _PALETTE[position]
    turn = position - len(_PALETTE)
    rgb = colorsys.hls_to_rgb(turn * 0.381966 % 1, (0.35, 0.6, 0.8)[turn % 3], 0.65)
    return "#" + "".join(f"{round(part * 255):02x}" for part in rgb)


def add_categories(path: Path, classes: Mapping[int, str]) -> None:
    """Add class names to a file's sidecar, the one place where GDAL keeps category names of GeoTIFFs.

    Parameters
    ----------
    path : pathlib.Path
        The GeoTIFF; its sidecar is ``<path>.aux.xml``.
    classes : mapping of int to str
        Code and name of each class; codes below 0 or from 1024 on are left out.
    """
    named = {code: name for code, name in classes.items() if 0 <= code < _MOST_CATEGORIES}
    if not named:
        return
    sidecar = Path(f"{path}.aux.xml")
    # GDAL has written one itself, just now, where the CRS does not fit into GeoTIFF keys.
    root = ET.parse(sidecar).getroot() if sidecar.exists() else ET.Element("PAMDataset")  # noqa: S314
    band = root.find("PAMRasterBand[@band='1']")
    if band is None:
        band = ET.SubElement(root, "PAMRasterBand", band="1")
    categories = ET.SubElement(band, "CategoryNames")
    for code in range(max(named) + 1):
        ET.SubElement(categories, "Category").text = named.get(code, "")
    ET.indent(root)
    sidecar.write_bytes(ET.tostring(root, encoding="utf-8"))
