"""Warnings of many chips or scenes, told together: a thousand of one kind are one line."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from pixelwise.errors import PixelwiseWarning

__all__ = ["Gathered", "gather_warnings", "warn"]

#: Where warnings go at the moment; None gives them at once.
_GATHERING: ContextVar[list[PixelwiseWarning] | None] = ContextVar("gathering", default=None)


def warn(warning: PixelwiseWarning, stacklevel: int = 2) -> None:
    """Give a warning, or hand it to the `gather_warnings` that this runs in.

    Parameters
    ----------
    warning : PixelwiseWarning
        What to say.
    stacklevel : int, default=2
        As for `warnings.warn`, as if that were called in place of this.
    """
    gathering = _GATHERING.get()
    if gathering is None:
        warnings.warn(warning, stacklevel=stacklevel + 1)
    else:
        gathering.append(warning)


@contextmanager
def gather_warnings() -> Iterator[list[PixelwiseWarning]]:
    """Keep the warnings of `warn` back in a list, in this thread.

    Yields
    ------
    list of PixelwiseWarning
    """
    found: list[PixelwiseWarning] = []
    token = _GATHERING.set(found)
    try:
        yield found
    finally:
        _GATHERING.reset(token)


class Gathered:
    """Warnings from several places, of which those that differ in numbers alone are one.

    Examples
    --------
    >>> import warnings
    >>> from pixelwise.errors import PixelwiseWarning
    >>> from pixelwise.warned import Gathered
    >>> gathered = Gathered()
    >>> gathered.add("scene a", [PixelwiseWarning("3 pixels overlap")])
    >>> gathered.add("scene b", [PixelwiseWarning("5 pixels overlap")])
    >>> with warnings.catch_warnings(record=True) as told:
    ...     warnings.simplefilter("always")
    ...     gathered.give()
    >>> str(told[0].message)
    '3 pixels overlap (scene a; alike in 1 other place)'
    """

    def __init__(self) -> None:
        self._first: dict[tuple[type[PixelwiseWarning], str], tuple[str, PixelwiseWarning]] = {}
        self._places: dict[tuple[type[PixelwiseWarning], str], set[str]] = {}

    def add(self, place: str, found: Iterable[PixelwiseWarning]) -> None:
        """Take warnings in.

        Parameters
        ----------
        place : str
            Where they come from.
        found : iterable of PixelwiseWarning
            What was said there.
        """
        for warning in found:
            kind = type(warning), re.sub(r"\d+", "0", str(warning))
            self._first.setdefault(kind, (place, warning))
            self._places.setdefault(kind, set()).add(place)

    def give(self, stacklevel: int = 2) -> None:
        """Give one warning of each kind.

        Parameters
        ----------
        stacklevel : int, default=2
            As for `warnings.warn`, as if that were called in place of this.
        """
        for kind, (place, warning) in self._first.items():
            others = len(self._places[kind]) - 1
            alike = f"; alike in {others} other place{'s'[: others != 1]}" if others else ""
            warn(type(warning)(f"{warning} ({place}{alike})"), stacklevel=stacklevel + 1)
