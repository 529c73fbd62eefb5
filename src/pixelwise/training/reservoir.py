"""A uniform sample of pixels that come in any order, in bounded memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from pixelwise.errors import MemoryBudgetError
from pixelwise.training.keys import smallest
from pixelwise.training.rows import Rows

__all__ = ["Reservoir"]

#: The reservoir is cut back to the sample when it is fuller by this share.
_SLACK = 0.25


class Reservoir:
    """Keeps the pixels with the smallest keys: of all, or of each class alike.

    Parameters
    ----------
    size : int or None
        Pixels to keep; None keeps all.
    balance : bool
        Whether each class gets an equal part of them.
    memory : int
        Bytes that the sample may take while it is drawn.

    Raises
    ------
    MemoryBudgetError
        When pixels are added, if the sample will not fit.
    """

    def __init__(self, size: int | None, *, balance: bool, memory: int) -> None:
        self.size = size
        self.balance = balance
        self.memory = memory
        #: Keys above these are not worth a read, by class; of all classes under None.
        self.limits: dict[Any, np.uint64] = {}
        self._parts: list[Rows] = []
        self._count = 0

    def add(self, rows: Rows) -> None:
        """Take rows in, and cut the sample back where it has grown too far."""
        if not len(rows):
            return
        self._parts.append(rows)
        self._count += len(rows)
        self._check_memory(rows)
        if self.size is not None and self._count > self.size * (1 + _SLACK):
            self._cut(self.size)

    def _check_memory(self, rows: Rows) -> None:
        each = -(-rows.nbytes // len(rows))
        # Twice, because rows are put in order at the end.
        most = self.memory // (2 * each)
        wanted = self._count if self.size is None else self.size
        if wanted <= most:
            return
        what = f"n_pixels={self.size}" if self.size is not None else f"a population of {self._count} pixels or more"
        raise MemoryBudgetError(
            f"{what} of {rows.values.shape[1]} features takes {2 * each * wanted / 1e6:.0f} MB while it is drawn, and memory "
            f"is {self.memory / 1e6:.0f} MB: lower n_pixels to {most}, or give more memory",
            most=most,
        )

    def _cut(self, size: int) -> None:
        key, scene, pixel = (
            np.concatenate([getattr(part, name) for part in self._parts]) for name in ("key", "scene", "pixel")
        )
        if self.balance:
            y = np.concatenate([part.y for part in self._parts if part.y is not None])
            classes, code = np.unique(y, return_inverse=True)
            chosen, quota = [], max(1, size // len(classes))
            # A class that has not come yet will take from the others, never give to them.
            for number, label in enumerate(classes.tolist()):
                here = np.flatnonzero(code == number)
                kept = here[smallest(key[here], scene[here], pixel[here], quota)]
                if len(kept) == quota and len(kept):
                    self.limits[label] = key[kept].max()
                chosen.append(kept)
            keep = np.sort(np.concatenate(chosen))
        else:
            keep = smallest(key, scene, pixel, size)
            if len(keep) == size:
                self.limits[None] = key[keep].max()
        upto = np.cumsum([0, *map(len, self._parts)])
        cuts = np.searchsorted(keep, upto)
        # Part by part, so that at no time all rows are there twice.
        for number, part in enumerate(self._parts):
            self._parts[number] = part.take(keep[cuts[number] : cuts[number + 1]] - upto[number])
        self._parts = [part for part in self._parts if len(part)]
        self._count = len(keep)

    def rows(self, rank: np.ndarray) -> Rows | None:
        """Return the sample by pixel, and by scene in the order that their ranks say; None where there is none."""
        if self.size is not None and self._parts:
            self._cut(self.size)
        if not self._parts:
            return None
        scene, pixel = (np.concatenate([getattr(part, name) for part in self._parts]) for name in ("scene", "pixel"))
        order = np.empty(len(scene), np.intp)
        order[np.lexsort((pixel, rank[scene]))] = np.arange(len(scene))
        parts, self._parts = self._parts, []
        return Rows.joined(parts, order)
