"""Rows of pixels on their way into a table, with all that travels with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

__all__ = ["Rows"]


@dataclass(frozen=True, eq=False)
class Rows:
    """Pixels, one a row; arrays of equal length, or None for all rows.

    Parameters
    ----------
    values : ndarray of float, shape (n, n_features)
        NaN where data is missing.
    scene : ndarray of int32, shape (n,)
        Row of the catalog.
    pixel : ndarray of int64, shape (n,)
        Row-major number in the scene.
    key : ndarray of uint64, shape (n,), or None
        What decides whether the pixel is drawn.
    y : ndarray of shape (n,) or None
        Labels.
    group : ndarray of float64, shape (n,), or None
        Values of the group band.
    weight : ndarray of float64, shape (n,), or None
        Values of the weight band.
    """

    values: np.ndarray
    scene: np.ndarray
    pixel: np.ndarray
    key: np.ndarray | None = None
    y: np.ndarray | None = None
    group: np.ndarray | None = None
    weight: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(part.nbytes for part in self.arrays().values())

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all arrays by name, without those that are None."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: part for name, part in named.items() if part is not None}

    def take(self, at: Any) -> Rows:
        """Return some of the rows."""
        return replace(self, **{name: part[at] for name, part in self.arrays().items()})

    @classmethod
    def joined(cls, parts: Sequence[Rows], order: np.ndarray | None = None) -> Rows:
        """Put rows under each other.

        Parameters
        ----------
        parts : sequence of Rows
            At least one; of the same features.
        order : ndarray of int or None
            Where each of the rows goes; None leaves them as they come.

        Returns
        -------
        Rows
            In the smallest dtypes that hold those of all parts.
        """
        upto = np.cumsum([0, *map(len, parts)])
        made: dict[str, Any] = {}
        for name in parts[0].arrays():
            arrays = [part.arrays()[name] for part in parts]
            whole = np.empty((upto[-1], *arrays[0].shape[1:]), np.result_type(*arrays))
            for start, stop, array in zip(upto[:-1], upto[1:], arrays, strict=True):
                whole[slice(start, stop) if order is None else order[start:stop]] = array
            made[name] = whole
        return cls(**made)
