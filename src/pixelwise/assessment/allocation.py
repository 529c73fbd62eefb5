"""How many samples, and how many in each class."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pixelwise.assessment.labels import numbers_by_label
from pixelwise.errors import LabelError

__all__ = ["allocate", "expected_se", "sample_size"]


def sample_size(share: np.ndarray, users: np.ndarray, target_se: float) -> int:
    """Return the sample size that reaches a standard error of overall accuracy.

    Cochran's (1977) equation 5.25 for large populations, as Olofsson et al. (2014) use it [1]_:
    n = (sum W_i sqrt(U_i (1 - U_i)) / S)^2, rounded up.

    Parameters
    ----------
    share : ndarray of shape (k,)
        Share of each class in the map.
    users : ndarray of shape (k,)
        User's accuracy that is expected of each.
    target_se : float
        Standard error of overall accuracy, such as 0.01.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If the target is no number between 0 and 1.

    References
    ----------
    .. [1] Olofsson, P. et al. (2014): Good practices for estimating area and assessing accuracy of land change. Remote Sensing
       of Environment 148, 42-57, equation 13.

    Examples
    --------
    The example of Olofsson et al. (2014), section 5.1:

    >>> import numpy as np
    >>> from pixelwise.assessment.allocation import sample_size
    >>> sample_size(np.array([0.020, 0.015, 0.320, 0.645]), np.array([0.7, 0.6, 0.9, 0.95]), 0.01)
    641
    """
    if not 0 < target_se < 1:
        raise ValueError(f"target_se={target_se} is no standard error of an accuracy: choose one such as 0.01")
    return math.ceil((float(share @ np.sqrt(users * (1 - users))) / target_se) ** 2 - 1e-9)


def expected_se(share: np.ndarray, users: np.ndarray, n: np.ndarray) -> float:
    """Return the standard error of overall accuracy that a sample will have if classes are as accurate as expected.

    Parameters
    ----------
    share, users, n : ndarray of shape (k,)
        Share, expected user's accuracy and samples of each class.

    Returns
    -------
    float

    Examples
    --------
    >>> import numpy as np
    >>> from pixelwise.assessment.allocation import expected_se
    >>> round(expected_se(np.array([0.5, 0.5]), np.array([0.8, 0.8]), np.array([200, 200])), 3)
    0.02
    """
    return float(np.sqrt((share**2 * users * (1 - users) / n).sum()))


def allocate(
    allocation: str | Mapping[Any, int],
    n: int,
    labels: Sequence[Any],
    pixels: np.ndarray,
    users: np.ndarray,
    share: np.ndarray,
    least: int,
) -> np.ndarray:
    """Deal samples to classes.

    Parameters
    ----------
    allocation : {"proportional", "equal", "neyman"} or mapping of label to int
        By area, the same for all, by area times expected standard deviation, or as given.
    n : int
        Samples in all; ignored where a mapping gives them.
    labels : sequence of label
        Classes.
    pixels, users, share : ndarray of shape (k,)
        Pixels, expected user's accuracy and share of each.
    least : int
        Samples that each class gets at least, as far as it has pixels.

    Returns
    -------
    ndarray of int, shape (k,)
        They add up to `n`; no class gets more than it has pixels.

    Raises
    ------
    LabelError
        If there are too few samples, or too few pixels.

    Examples
    --------
    >>> import numpy as np
    >>> from pixelwise.assessment.allocation import allocate
    >>> share, users = np.array([0.02, 0.08, 0.9]), np.array([0.7, 0.8, 0.9])
    >>> allocate("proportional", 500, ("a", "b", "c"), share * 1e6, users, share, 50)
    array([ 50,  50, 400])
    """
    if isinstance(allocation, Mapping):
        given = numbers_by_label(allocation, labels, "allocation")
        if (given != np.rint(given)).any() or (given < 1).any() or (given > pixels).any():
            at = int(np.argmax((given != np.rint(given)) | (given < 1) | (given > pixels)))
            raise LabelError(
                f"allocation gives class {labels[at]!r} {given[at]:g} samples of its {pixels[at]:,.0f} pixels: give 1 or more"
            )
        return np.asarray(given.astype(np.int64))
    weights = {"proportional": share, "equal": np.ones(len(share)), "neyman": share * np.sqrt(users * (1 - users))}
    if allocation not in weights:
        raise ValueError(
            f"allocation={allocation!r} is not known: choose one of {', '.join(map(repr, weights))}, or give a mapping"
        )
    low = np.minimum(least, pixels).astype(np.int64)
    if n > pixels.sum():
        raise LabelError(f"n={n:,} samples of {pixels.sum():,.0f} pixels: take fewer, or look at all of them")
    if n < low.sum():
        raise LabelError(
            f"n={n:,} is too few for {least} samples in each of {len(low)} classes: take {low.sum():,}, or lower min_per_class"
        )
    return _rounded(_filled(weights[allocation], n, low, pixels), n, low, pixels)


def _filled(weight: np.ndarray, n: int, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return shares of n in proportion to weights, between bounds: the level at which they add up, found by halving."""
    bottom, top = 0.0, float(high.sum()) / float(weight[weight > 0].min())
    for _ in range(200):
        level = (bottom + top) / 2
        bottom, top = (level, top) if np.clip(level * weight, low, high).sum() < n else (bottom, level)
    return np.asarray(np.clip(top * weight, low, high))


def _rounded(exact: np.ndarray, n: int, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return whole numbers that add up to n: what is left over goes to the largest remainders."""
    whole = np.maximum(np.floor(exact + 1e-9), low).astype(np.int64)
    order = np.argsort(-(exact - whole), kind="stable")
    for at in order[whole[order] < high[order]][: n - int(whole.sum())]:
        whole[at] += 1
    return np.asarray(whole)
