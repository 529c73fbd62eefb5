"""Estimators of a stratified random sample: means and ratios, with their standard errors, from counts alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pixelwise.errors import LabelError

__all__ = ["AREA", "F1", "OVERALL", "PRODUCERS", "USERS", "SampleCounts", "class_cells", "ratio"]

#: What of the four kinds of samples that `class_cells` counts goes into a measure: numerator and denominator.
USERS = ((1.0, 0.0, 0.0, 0.0), (1.0, 1.0, 0.0, 0.0))
PRODUCERS = ((1.0, 0.0, 0.0, 0.0), (1.0, 0.0, 1.0, 0.0))
F1 = ((2.0, 0.0, 0.0, 0.0), (2.0, 1.0, 1.0, 0.0))
AREA = ((1.0, 0.0, 1.0, 0.0), (1.0, 1.0, 1.0, 1.0))
OVERALL = ((1.0, 0.0, 0.0, 0.0), (1.0, 1.0, 1.0, 1.0))


@dataclass(frozen=True, eq=False)
class SampleCounts:
    """A stratified sample, counted.

    Parameters
    ----------
    strata : tuple of label
        Names of the strata, for messages.
    counts : ndarray of int, shape (n_strata, n_classes, n_classes)
        Samples by stratum, map class and reference class.
    areas : ndarray of float, shape (n_strata,)
        Size of each stratum in any unit.
    sizes : ndarray of float, shape (n_strata,), or None
        Number of pixels of each stratum, for the finite population correction; None leaves it out.

    Raises
    ------
    LabelError
        If sizes are impossible, or a stratum that has an area has no sample.

    Examples
    --------
    >>> import numpy as np
    >>> from pixelwise.assessment.stratified import OVERALL, SampleCounts, ratio
    >>> sample = SampleCounts(("a", "b"), np.array([[[9, 1], [0, 0]], [[0, 0], [2, 8]]]), np.array([300.0, 700.0]), None)
    >>> estimate, se = ratio(sample, sample.agreement, *OVERALL)
    >>> estimate.round(3), se.round(3)
    (array([0.83]), array([0.098]))
    """

    strata: tuple[object, ...]
    counts: np.ndarray
    areas: np.ndarray
    sizes: np.ndarray | None

    def __post_init__(self) -> None:
        for name, given in (("area", self.areas), ("size", self.sizes)):
            bad = np.zeros(0, int) if given is None else np.flatnonzero(~(np.isfinite(given) & (given >= 0)))
            if bad.size and given is not None:
                raise LabelError(
                    f"{name} of stratum {self.strata[bad[0]]!r} is {given[bad[0]]:g}: give finite numbers of 0 or more"
                )
        if not self.areas.sum() > 0:
            raise LabelError("all strata have the area 0: give the area, or the number of pixels, of each")
        empty = np.flatnonzero((self.n == 0) & (self.areas > 0))
        if empty.size:
            share = self.areas[empty].sum() / self.areas.sum()
            names = ", ".join(repr(self.strata[at]) for at in empty[:5]) + (" ..." if empty.size > 5 else "")
            raise LabelError(
                f"no sample lies in {empty.size} of {len(self.n)} strata ({names}; {share:.1%} of the area), so nothing is "
                "known about them: take samples there, or merge them with others",
                strata=[self.strata[at] for at in empty],
            )
        if self.sizes is not None and (self.n > self.sizes).any():
            at = int(np.flatnonzero(self.n > self.sizes)[0])
            raise LabelError(
                f"stratum {self.strata[at]!r} has {self.n[at]} samples and {self.sizes[at]:g} pixels: "
                "give the number of pixels of each stratum in the map"
            )

    @property
    def n(self) -> np.ndarray:
        """Number of samples in each stratum."""
        return np.asarray(self.counts.sum(axis=(1, 2)))

    @property
    def share(self) -> np.ndarray:
        """Share of each stratum in the whole area."""
        return np.asarray(self.areas / self.areas.sum())

    @property
    def correction(self) -> np.ndarray:
        """Finite population correction of each stratum, 1 - n / N; 1 where the size is not known."""
        if self.sizes is None:
            return np.ones(len(self.areas))
        taken = np.divide(self.n, self.sizes, out=np.ones(len(self.areas)), where=self.sizes > 0)
        return np.asarray(1 - taken)

    @property
    def agreement(self) -> np.ndarray:
        """Samples of all classes together, as `class_cells` counts them for one: right ones, and all others."""
        right = np.trace(self.counts, axis1=1, axis2=2)
        nothing = np.zeros_like(right)
        return np.stack([right, nothing, nothing, self.n - right], axis=1)[:, None, :]

    @property
    def proportions(self) -> np.ndarray:
        """Estimated share of the area of each pair of map class and reference class."""
        sampled = self.n > 0
        weight = self.share[sampled] / self.n[sampled]
        return np.asarray(np.einsum("h,hij->ij", weight, self.counts[sampled]))


def class_cells(counts: np.ndarray) -> np.ndarray:
    """Count for each class the four kinds of samples that its measures are made of.

    Parameters
    ----------
    counts : ndarray of int, shape (n_strata, n_classes, n_classes)
        Samples by stratum, map class and reference class.

    Returns
    -------
    ndarray of int, shape (n_strata, n_classes, 4)
        Of the class in map and reference, in the map alone, in the reference alone, in neither.
    """
    both = np.einsum("hii->hi", counts)
    mapped, referenced = counts.sum(axis=2), counts.sum(axis=1)
    total = counts.sum(axis=(1, 2))[:, None]
    return np.stack([both, mapped - both, referenced - both, total - mapped - referenced + both], axis=2)


def ratio(
    sample: SampleCounts,
    cells: np.ndarray,
    numerator: tuple[float, ...],
    denominator: tuple[float, ...],
    fixed: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate a ratio of two totals, and its standard error by linearisation.

    With y and x the values that a sample has in numerator and denominator, R = sum W_h mean(y) / sum W_h mean(x), and the
    variance is that of the stratified mean of z = y - R x, divided by the squared denominator: the ratio estimator of Stehman
    (2014), which where strata are the map's classes, and the correction is left out, is what Olofsson et al. (2014) have for
    user's and producer's accuracy, overall accuracy and area.

    Parameters
    ----------
    sample : SampleCounts
        Brings sizes of strata.
    cells : ndarray of int, shape (n_strata, n_classes, 4)
        Samples by kind.
    numerator, denominator : tuple of float, shape (4,)
        Values of y and x for a sample of each kind.
    fixed : ndarray of bool, shape (n_strata, n_classes), or None
        Strata in which y and x are 0 by their definition, and so without variance, however small the sample.

    Returns
    -------
    estimate, se : ndarray of shape (n_classes,)
        NaN where the denominator is 0; the standard error is NaN where a stratum with one sample counts.
    """
    sampled = (sample.n > 0) & (sample.share > 0)
    n, share = sample.n[sampled, None].astype(float), sample.share[sampled, None]
    correction, cells = sample.correction[sampled, None], cells[sampled]
    y, x = np.array(numerator), np.array(denominator)
    above = (share * (cells @ y) / n).sum(axis=0)
    below = (share * (cells @ x) / n).sum(axis=0)
    estimate = np.divide(above, below, out=np.full(len(below), np.nan), where=below > 0)
    z = y - estimate[:, None] * x
    mean = np.einsum("hck,ck->hc", cells, z) / n
    squares = np.einsum("hck,hck->hc", cells, (z - mean[:, :, None]) ** 2)
    spread = np.divide(squares, n - 1, out=np.full_like(squares, np.nan), where=n > 1)
    spread = np.where(correction > 0, correction * spread, 0.0)
    if fixed is not None:
        spread = np.where(fixed[sampled] & (below > 0), 0.0, spread)
    variance = (share**2 * spread / n).sum(axis=0)
    se = np.divide(np.sqrt(variance), below, out=np.full(len(below), np.nan), where=below > 0)
    return estimate, se
