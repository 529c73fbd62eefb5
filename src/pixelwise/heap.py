"""The heap of workers that are told to give memory back at once, which costs a forest half of its time."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
from collections.abc import Callable, Iterator

__all__ = ["heap_kept"]

#: Bytes that malloc keeps at the end of the heap, and from which it asks the system for each array: its own upper bounds.
_TRIM, _MAP = 64 * 2**20, 32 * 2**20
#: Names of these in malloc.h, and the second one's default.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _DEFAULT_MAP = -1, -3, 128 * 2**10


class _Heap:
    """Counts who is inside, since the setting is that of the process."""

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0

    def enter(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                _set(_TRIM, _MAP)

    def leave(self, trim: int) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                _set(trim, _DEFAULT_MAP)


_HEAP = _Heap()


@contextlib.contextmanager
def heap_kept() -> Iterator[None]:
    """Keep what is freed for what comes next, where ``MALLOC_TRIM_THRESHOLD_`` tells malloc to give it back at once.

    dask sets it for its workers, to 64 KB, and with that malloc no longer learns how large arrays are: each tree of a forest
    then gets fresh memory for its votes, and the system clears it page by page. Outside the block all is as it was. Where the
    variable is not set, or not by dask's measure, or there is no glibc, nothing is done.

    Yields
    ------
    None

    Examples
    --------
    >>> from pixelwise.heap import heap_kept
    >>> with heap_kept():
    ...     pass
    """
    trim = _told_to_trim()
    if trim is None:
        yield
        return
    _HEAP.enter()
    try:
        yield
    finally:
        _HEAP.leave(trim)


def _told_to_trim() -> int | None:
    """Return the bytes that may stay at the end of the heap, where there are so few that arrays do not fit."""
    told = os.environ.get("MALLOC_TRIM_THRESHOLD_", "")
    if not told.isdigit() or int(told) >= 2**20 or "MALLOC_MMAP_THRESHOLD_" in os.environ:
        return None
    return int(told) if sys.platform == "linux" else None


def _set(trim: int, smallest: int) -> None:
    mallopt: Callable[[int, int], int] | None = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, trim)
        mallopt(_M_MMAP_THRESHOLD, smallest)
