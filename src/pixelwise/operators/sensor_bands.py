"""Which band of a raster is near infrared: found by its name, and refused where sensors disagree about the name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pixelwise.errors import BandError

__all__ = ["PLATFORMS", "find_bands"]

_NUMBERED = re.compile(r"(S[RT]_|SUR_REFL_)?B(0?)(\d+A?)")
#: What a name that begins so belongs to.
_PREFIXES = {"SR_": "landsat", "ST_": "landsat", "SUR_REFL_": "modis"}
#: Names other than those of STAC, by which catalogues of Sentinel-2 call its bands.
_ALIASES = {"rededge1": "RE1", "rededge2": "RE2", "rededge3": "RE3"}
#: Where a raster has no band of a kind, this one stands for it: Landsat 8 and MODIS have the narrow near infrared alone.
_STANDS_FOR = {"N": "N2"}


def _numbers(*numbers: range | str) -> frozenset[str]:
    return frozenset(str(number) for part in numbers for number in ([part] if isinstance(part, str) else part))


#: Of each platform its name in the catalogue, and the numbers of all bands of its products, pan and cirrus included.
_KNOWN = {
    "sentinel2": ("sentinel2a", _numbers(range(1, 13), "8A")),
    "landsat4": ("landsat4", _numbers(range(1, 8))),
    "landsat5": ("landsat5", _numbers(range(1, 8))),
    "landsat7": ("landsat7", _numbers(range(1, 9))),
    "landsat8": ("landsat8", _numbers(range(1, 12))),
    "landsat9": ("landsat9", _numbers(range(1, 12))),
    "modis": ("modis", _numbers(range(1, 37))),
    "worldview2": ("worldview2", _numbers(range(1, 9))),
    "worldview3": ("worldview3", _numbers(range(1, 17))),
    "planetscope": ("planetscope", _numbers(range(1, 9))),
}
#: The same for names such as B04: Sentinel-2 and HLS are written so.
_PADDED = {
    "sentinel2": _KNOWN["sentinel2"][1],
    "landsat8": _numbers(range(1, 8), range(9, 12)),
    "landsat9": _numbers(range(1, 8), range(9, 12)),
}
PLATFORMS = tuple(_KNOWN)


def find_bands(
    names: Sequence[str], letters: Sequence[str], catalogue: Mapping[str, Any], platform: str | None, what: str
) -> dict[str, int]:
    """Find bands by their names: the letter itself, a common name of STAC, or the number that a platform gives it.

    Parameters
    ----------
    names : sequence of str
        Of the raster's bands.
    letters : sequence of str
        What is looked for, as the catalogue calls it: "N" for near infrared.
    catalogue : mapping
        ``spyndex.bands``.
    platform : str or None
        One of `PLATFORMS`; None takes those that have bands of such names, as far as they agree.
    what : str
        What needs the bands, for the errors.

    Returns
    -------
    dict of str to int
        Position of each letter.

    Raises
    ------
    BandError
        If a band cannot be found, or platforms disagree about which it is.

    Examples
    --------
    >>> import spyndex
    >>> from pixelwise.operators.sensor_bands import find_bands
    >>> find_bands(["B02", "B03", "B04", "B08"], ["N", "R"], spyndex.bands, None, "NDVI")
    {'N': 3, 'R': 2}
    >>> find_bands(["B4", "B5"], ["N", "R"], spyndex.bands, "landsat8", "NDVI")
    {'N': 1, 'R': 0}
    """
    if platform is not None and platform not in _KNOWN:
        raise BandError(f"platform={platform!r} is not known: choose one of {', '.join(PLATFORMS)}")
    plain = {name.lower(): at for at, name in reversed(list(enumerate(names)))}
    platforms = _possible(names) if platform is None else (platform,)
    found = {}
    for letter in letters:
        at = _by_word(names, plain, letter, catalogue)
        found[letter] = _by_number(names, letter, catalogue, platforms, what) if at is None else at
    return found


def _by_word(names: Sequence[str], plain: Mapping[str, int], letter: str, catalogue: Mapping[str, Any]) -> int | None:
    """Return the band that is named by the letter, or by the common name, of what is looked for."""
    if letter in names:
        return names.index(letter)
    if letter not in catalogue:
        return plain.get(letter.lower())
    words = [
        word
        for kind in _kinds(letter)
        for word in (catalogue[kind].common_name, *(w for w, k in _ALIASES.items() if k == kind))
    ]
    return next((plain[word] for word in words if word in plain), None)


def _kinds(letter: str) -> tuple[str, ...]:
    return (letter, _STANDS_FOR[letter]) if letter in _STANDS_FOR else (letter,)


def _numbered(names: Sequence[str]) -> dict[str, int]:
    """Return the number of each band that is named by one, and its position."""
    matches = ((_NUMBERED.fullmatch(name.upper()), at) for at, name in enumerate(names))
    return {match[3]: at for match, at in matches if match is not None}


def _possible(names: Sequence[str]) -> tuple[str, ...]:
    """Return the platforms that have bands of all of these names."""
    matches = [match for name in names if (match := _NUMBERED.fullmatch(name.upper())) is not None]
    prefixes = {_PREFIXES[match[1]] for match in matches if match[1]}
    padded = any(match[2] for match in matches) and not prefixes
    known = _PADDED if padded else {name: numbers for name, (_, numbers) in _KNOWN.items()}
    used = {match[3] for match in matches}
    return tuple(
        name for name, numbers in known.items() if used and used <= numbers and all(name.startswith(part) for part in prefixes)
    )


def _by_number(names: Sequence[str], letter: str, catalogue: Mapping[str, Any], platforms: Sequence[str], what: str) -> int:
    """Return the band that has the number which all platforms give to what is looked for."""
    numbers, votes = _numbered(names), dict[int | None, str]()
    for platform in platforms:
        kinds = [getattr(catalogue.get(kind), _KNOWN[platform][0], None) for kind in _kinds(letter)]
        places = (numbers.get(kind.band.removeprefix("B")) for kind in kinds if kind is not None)
        votes.setdefault(next((place for place in places if place is not None), None), platform)
    remedy = f"say which it is, bands={{{letter!r}: ...}}"
    if len(votes) > 1:
        shown = ", ".join(f"{names[at] if at is not None else 'none'} of {platform}" for at, platform in votes.items())
        raise BandError(
            f"{what} needs {_kind(letter, catalogue)}, and the bands {', '.join(names)} could be of several sensors, "
            f"where it is {shown}: give platform={platforms[0]!r} or another, or {remedy}",
            bands=tuple(names),
        )
    at = next(iter(votes), None)
    if at is None:
        raise BandError(
            f"{what} needs {_kind(letter, catalogue)}, and no name among {', '.join(names)} tells that a band is it: {remedy}",
            bands=tuple(names),
        )
    return at


def _kind(letter: str, catalogue: Mapping[str, Any]) -> str:
    kind = catalogue.get(letter)
    return letter if kind is None else f"{letter} ({kind.long_name}, {kind.min_wavelength:g}-{kind.max_wavelength:g} nm)"
