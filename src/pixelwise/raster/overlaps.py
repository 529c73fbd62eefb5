"""What becomes of pixels that lie in several chips: means, first and largest values, votes and medians, kept row by row."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["Overlap", "overlap_of"]


class Overlap:
    """Rows of a raster that chips are still added to.

    Parameters
    ----------
    shape : tuple of int
        Axes of bands, rows that are held, and columns.
    dtype : dtype
        Of the chips, and of what is taken out.
    fill : float or None
        What marks missing pixels in chips, and in what is taken out.
    """

    def __init__(self, shape: tuple[int, ...], dtype: Any, fill: float | None) -> None:
        self.dtype, self.fill = np.dtype(dtype), fill
        self._shape = shape

    def add(self, values: np.ndarray, where: Any, weights: np.ndarray, layer: int) -> None:
        """Add a chip.

        Parameters
        ----------
        values : ndarray
            Of the chip.
        where : tuple of slices
            Its place in the rows that are held.
        weights : ndarray of shape (height, width)
            How much each pixel counts.
        layer : int
            A number that no overlapping chip has.
        """
        raise NotImplementedError

    def take(self, rows: int) -> tuple[np.ndarray, bool]:
        """Take rows off the top.

        Parameters
        ----------
        rows : int
            How many.

        Returns
        -------
        ndarray
            Their values.
        bool
            Whether a pixel is missing.
        """
        seen, values = self._result((..., slice(0, rows), slice(None)))
        empty = not seen.all()
        if self.dtype.kind in "iu" and values.dtype.kind == "f":
            values = np.rint(values)
        out = np.empty(values.shape, self.dtype)
        with np.errstate(invalid="ignore"):
            out[...] = values
        if empty and self.fill is not None:
            out[~seen] = self.fill
        self._roll(rows)
        return out, empty

    def _valid(self, values: np.ndarray) -> np.ndarray:
        """Return which values are not missing."""
        valid = np.ones(values.shape, bool) if values.dtype.kind != "f" else ~np.isnan(values)
        return valid if self.fill is None or np.isnan(self.fill) else valid & (values != self.fill)

    def _result(self, top: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return which pixels are there, and their values."""
        raise NotImplementedError

    def _roll(self, rows: int) -> None:
        """Move what is held up, and clear the rest."""
        for buffer in self._buffers():
            buffer[..., :-rows, :] = buffer[..., rows:, :]
            buffer[..., -rows:, :] = 0

    def _buffers(self) -> tuple[np.ndarray, ...]:
        raise NotImplementedError


class _Mean(Overlap):
    """Weighted means: each chip moves the mean by its share of the weight so far, so that equal values stay as they are."""

    def __init__(self, shape: tuple[int, ...], dtype: Any, fill: float | None) -> None:
        super().__init__(shape, dtype, fill)
        self._mean, self._weight = np.zeros(shape), np.zeros(shape)

    def add(self, values: np.ndarray, where: Any, weights: np.ndarray, layer: int) -> None:
        """Move the mean."""
        valid, mean, total = self._valid(values), self._mean[where], self._weight[where]
        weight = np.where(valid, weights, 0.0)
        total += weight
        share = np.divide(weight, total, out=weight, where=valid)
        endless = np.isinf(mean)
        if endless.any():
            # From an infinite mean only the other infinity, or NaN, leads away: other values have no difference to it.
            valid = valid & ~(endless & (np.isfinite(values) | (values == mean)))
        with np.errstate(invalid="ignore"):
            step = np.subtract(values, mean, out=np.zeros(mean.shape), where=valid)
            step *= share
            mean += step

    def _result(self, top: Any) -> tuple[np.ndarray, np.ndarray]:
        return self._weight[top] > 0, self._mean[top]

    def _buffers(self) -> tuple[np.ndarray, ...]:
        return self._mean, self._weight


class _Kept(Overlap):
    """One of the values: the first, or the largest."""

    def __init__(self, shape: tuple[int, ...], dtype: Any, fill: float | None, largest: bool) -> None:
        super().__init__(shape, dtype, fill)
        self._values, self._seen, self._largest = np.zeros(shape, dtype), np.zeros(shape, bool), largest

    def add(self, values: np.ndarray, where: Any, weights: np.ndarray, layer: int) -> None:
        """Keep values that are new, or larger."""
        held, seen = self._values[where], self._seen[where]
        better = ~seen
        with np.errstate(invalid="ignore"):
            better = better | (values > held) if self._largest else better
        better &= self._valid(values)
        np.copyto(held, values, where=better)
        seen |= better

    def _result(self, top: Any) -> tuple[np.ndarray, np.ndarray]:
        return self._seen[top], self._values[top]

    def _buffers(self) -> tuple[np.ndarray, ...]:
        return self._values, self._seen


class _Layers(Overlap):
    """All the values, in as many layers as chips lie one on the other."""

    def __init__(self, shape: tuple[int, ...], dtype: Any, fill: float | None, depth: int, vote: bool) -> None:
        super().__init__(shape, dtype, fill)
        self._values, self._seen = np.zeros((depth, *shape), dtype), np.zeros((depth, *shape), bool)
        self._decide = _voted if vote else _median

    def add(self, values: np.ndarray, where: Any, weights: np.ndarray, layer: int) -> None:
        """Put a chip into its layer."""
        self._values[layer][where] = values
        self._seen[layer][where] = self._valid(values)

    def _result(self, top: Any) -> tuple[np.ndarray, np.ndarray]:
        values, seen = self._values[top], self._seen[top]
        first = np.take_along_axis(values, seen.argmax(axis=0)[None], axis=0)[0]
        there = seen.any(axis=0)
        # Most pixels lie in one chip, or their chips agree.
        unlike = (seen & (values != first)).any(axis=0)
        if unlike.any():
            decided = self._decide(values[:, unlike], seen[:, unlike])
            first = first.astype(np.result_type(first, decided), copy=False)
            first[unlike] = decided
        return there, first

    def _buffers(self) -> tuple[np.ndarray, ...]:
        return self._values, self._seen


def _voted(values: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return what most layers say, and of several such values the smallest."""
    votes = np.stack([((values == own) & seen).sum(axis=0) for own in values])
    votes[~seen] = 0
    wins = votes == votes.max(axis=0)
    top = np.inf if values.dtype.kind == "f" else np.iinfo(values.dtype).max
    return np.asarray(np.where(wins, values, np.asarray(top, values.dtype)).min(axis=0))


def _median(values: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return the median of the layers that are there."""
    ordered = np.sort(np.where(seen, values, np.nan).astype(float), axis=0)
    count = seen.sum(axis=0)
    low, high = (np.take_along_axis(ordered, at[None], axis=0)[0] for at in ((count - 1) // 2, count // 2))
    return np.asarray(low + (high - low) / 2)


def overlap_of(method: str, shape: tuple[int, ...], dtype: Any, fill: float | None, depth: int) -> Overlap:
    """Return what puts chips together by a method of `Stitch`.

    Parameters
    ----------
    method : str
        Of `Stitch`.
    shape : tuple of int
        Axes of bands, rows that are held, and columns.
    dtype : dtype
        Of the chips.
    fill : float or None
        What marks missing pixels.
    depth : int
        Most chips that lie one on the other.

    Returns
    -------
    Overlap
    """
    if method in ("majority", "median"):
        return _Layers(shape, dtype, fill, depth, vote=method == "majority")
    if method in ("first", "max"):
        return _Kept(shape, dtype, fill, largest=method == "max")
    return _Mean(shape, dtype, fill)
