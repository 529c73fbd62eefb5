"""Pixels of several chips mixed, and handed out in chunks of equal size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pixelwise.errors import MemoryBudgetError
from pixelwise.training.rows import Rows

__all__ = ["Pool"]


class Pool:
    """Takes the rows of chips in, and gives each of them out once.

    Parameters
    ----------
    chunk_size : int
        Rows of a chunk.
    capacity : int
        Rows that are mixed with each other, at least.
    seed : int or None
        Of the mixing; None leaves rows in the order in which they come.
    memory : int
        Bytes for all that lies in the pool, which bounds `capacity`.

    Examples
    --------
    >>> import numpy as np
    >>> from pixelwise.training.pool import Pool
    >>> from pixelwise.training.rows import Rows
    >>> at = np.arange(5)
    >>> pool = Pool(2, 2, None, 10_000)
    >>> [chunk.pixel.tolist() for chunk in pool.push(Rows(np.zeros((5, 1)), at * 0, at), (0, 0))]
    [[0, 1], [2, 3]]
    >>> [chunk.pixel.tolist() for chunk in pool.drain((0, 1))]
    [[4]]
    """

    def __init__(self, chunk_size: int, capacity: int, seed: int | None, memory: int) -> None:
        self._chunk, self._capacity, self._seed, self._memory = chunk_size, capacity, seed, memory
        self.rows: Rows | None = None

    def push(self, rows: Rows, key: tuple[int, ...]) -> Iterator[Rows]:
        """Take rows in, and give chunks out while the pool is more than half full.

        Parameters
        ----------
        rows : Rows
            Those of a chip.
        key : tuple of int
            What tells this moment from others: mixing depends on it, and not on what was mixed before.

        Yields
        ------
        Rows
            Of `chunk_size`.
        """
        if not len(rows):
            return
        capacity = self._fitting(rows)
        held = [part for part in (self.rows, rows) if part is not None]
        count = sum(map(len, held))
        self.rows = Rows.joined(held) if len(held) > 1 else rows
        if count < max(capacity, self._chunk):
            return
        out = 0 if self._seed is None else capacity // 2
        yield from self._given((count - out) // self._chunk, key)

    def drain(self, key: tuple[int, ...]) -> Iterator[Rows]:
        """Give out all that is left; the last chunk may be smaller.

        Parameters
        ----------
        key : tuple of int
            As for `push`.

        Yields
        ------
        Rows
        """
        if self.rows is not None:
            yield from self._given(-(-len(self.rows) // self._chunk), key)

    def _given(self, chunks: int, key: tuple[int, ...]) -> Iterator[Rows]:
        assert self.rows is not None
        order = np.arange(len(self.rows))
        if self._seed is not None:
            order = np.random.default_rng((self._seed, *key)).permutation(order)
        rows, stop = self.rows, chunks * self._chunk
        rest = order[stop:]
        self.rows = rows.take(rest) if len(rest) else None
        for start in range(0, min(stop, len(order)), self._chunk):
            yield rows.take(order[start : start + self._chunk])

    def _fitting(self, rows: Rows) -> int:
        each = -(-rows.nbytes // len(rows))
        # The rows, the same joined to those of the next chip, and what is left over when chunks have gone.
        most = self._memory // (3 * each)
        if most < self._chunk:
            raise MemoryBudgetError(
                f"chunk_size={self._chunk} of {rows.values.shape[1]} features takes {3 * each * self._chunk / 1e6:.0f} MB, and "
                f"memory is {self._memory / 1e6:.0f} MB: lower chunk_size to {most}, or give more memory",
                most=most,
            )
        return min(self._capacity, most)
