"""The engine "fast" of pixelwise: ensembles of trees, walked many pixels at a time."""

from __future__ import annotations

from pixelwise import hookimpl
from pixelwise_fast.engine import FastEngine

__all__ = ["FastEngine", "pixelwise_engines"]


@hookimpl
def pixelwise_engines() -> list[FastEngine]:
    """Return the engine; numba is imported when it first compiles something.

    Returns
    -------
    list of FastEngine

    Examples
    --------
    >>> from pixelwise_fast import pixelwise_engines
    >>> [engine.name for engine in pixelwise_engines()]
    ['fast']
    """
    return [FastEngine()]
