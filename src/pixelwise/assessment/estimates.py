"""What estimate_accuracy returns: estimates with standard errors and intervals, by class and as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

from pixelwise.errors import LabelError

__all__ = ["AccuracyEstimate", "ClassEstimates", "Estimate", "plain_label"]


def plain_label(label: Any) -> Any:
    """Return a label as a Python object, whatever numpy type it has."""
    return label.item() if isinstance(label, np.generic) else label


def _half(level: float) -> float:
    """Return how many standard errors half an interval is wide: 1.96 for 0.95."""
    if not 0 < level < 1:
        raise ValueError(f"level={level} is no level of confidence: choose one between 0 and 1, such as 0.95")
    # The papers compute with 1.96, and their printed digits come out with that alone.
    return 1.96 if level == 0.95 else NormalDist().inv_cdf(0.5 + level / 2)


@dataclass(frozen=True)
class Estimate:
    """A design-based estimate and its standard error.

    Parameters
    ----------
    estimate : float
        The estimate; NaN where the sample says nothing about it.
    se : float
        Its standard error; NaN where the sample does not tell.

    Examples
    --------
    >>> from pixelwise.assessment.estimates import Estimate
    >>> overall = Estimate(0.947, 0.0094)
    >>> overall
    0.947 ± 0.018 (95%, design-based)
    >>> [round(end, 3) for end in overall.interval(0.95)]
    [0.929, 0.965]
    """

    estimate: float
    se: float

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the ends of the normal confidence interval, which is 1.96 standard errors to both sides for 0.95.

        Parameters
        ----------
        level : float, default=0.95
            Confidence, between 0 and 1.

        Returns
        -------
        low, high : float
            They are not cut at 0 and 1.
        """
        half = _half(level) * self.se
        return self.estimate - half, self.estimate + half

    def __repr__(self) -> str:
        return f"{spread_text(self.estimate, _half(0.95) * self.se)} (95%, design-based)"


class ClassEstimates(Mapping[Any, Estimate]):
    """Design-based estimates of one measure for all classes: arrays, and a mapping from class to `Estimate`.

    Parameters
    ----------
    classes : sequence of label
        The classes.
    estimate, se : ndarray of shape (n_classes,)
        Estimates and standard errors in their order; NaN where the sample does not tell.

    Examples
    --------
    >>> import numpy as np
    >>> from pixelwise.assessment.estimates import ClassEstimates
    >>> users = ClassEstimates(["forest", "water"], np.array([0.9, 0.8]), np.array([0.02, 0.05]))
    >>> users.estimate, users["water"].se
    (array([0.9, 0.8]), 0.05)
    >>> low, high = users.interval(0.95)
    >>> low.round(3)
    array([0.861, 0.702])
    """

    def __init__(self, classes: Any, estimate: np.ndarray, se: np.ndarray) -> None:
        self.classes = tuple(plain_label(label) for label in classes)
        self.estimate = estimate
        self.se = se

    def interval(self, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends of the normal confidence intervals.

        Parameters
        ----------
        level : float, default=0.95
            Confidence, between 0 and 1.

        Returns
        -------
        low, high : ndarray of shape (n_classes,)
            1.96 standard errors to both sides for 0.95, not cut at 0 and 1.
        """
        half = _half(level) * self.se
        return self.estimate - half, self.estimate + half

    def __getitem__(self, label: Any) -> Estimate:
        label = plain_label(label)
        if label not in self.classes:
            raise LabelError(f"class {label!r} is not in the estimate: choose one of {', '.join(map(repr, self.classes))}")
        at = self.classes.index(label)
        return Estimate(float(self.estimate[at]), float(self.se[at]))

    def __contains__(self, label: object) -> bool:
        return plain_label(label) in self.classes

    def __iter__(self) -> Iterator[Any]:
        return iter(self.classes)

    def __len__(self) -> int:
        return len(self.classes)

    def __repr__(self) -> str:
        return "\n".join(f"{label}: {self[label]!r}" for label in self)


@dataclass(frozen=True, eq=False, repr=False)
class AccuracyEstimate:
    """Design-based accuracy of a map and areas of its classes, as `estimate_accuracy` returns them.

    Parameters
    ----------
    overall : Estimate
        Share of the area that is mapped right.
    users : ClassEstimates
        User's accuracy: of what is mapped as a class, the share that is of it.
    producers : ClassEstimates
        Producer's accuracy: of what is of a class, the share that is mapped as it.
    f1 : ClassEstimates
        Harmonic mean of the two.
    areas : ClassEstimates
        Area of each class in the reference classification, in `unit`.
    map_areas : ndarray of shape (n_classes,)
        Area that is mapped as each class, in `unit`: known where the strata are the map's classes, else estimated too.
    classes : ndarray of shape (n_classes,)
        The classes, in the order of all arrays.
    matrix : ndarray of int, shape (n_classes, n_classes)
        Counts of the sample: map in rows, reference in columns.
    proportions : ndarray of float, shape (n_classes, n_classes)
        Estimated shares of the area; they add up to 1.
    strata : DataFrame
        Stratum by stratum the sample size ``n``, the ``share`` of the area, and the ``size`` in pixels (NaN if not known).
    method : str
        "Olofsson 2014", "Stehman 2014" or "simple random".
    unit : str
        Unit of areas: "ha", "pixels", "share" of the map, or "as given".
    dropped : int
        Reference points that were left out because they lie outside the map, or on nodata.

    See Also
    --------
    estimate_accuracy : Makes it.

    Examples
    --------
    >>> import pixelwise as pw
    >>> accuracy = pw.estimate_accuracy(matrix=[[45, 5], [2, 98]], areas=[2_000, 8_000], classes=["forest", "water"])
    >>> accuracy
    design-based accuracy (Olofsson 2014) from 150 samples in 2 strata; ± is half of a 95% interval
    overall accuracy  0.964 ± 0.028
    class   map  reference  user's         producer's     F1             area (as given)  mapped
    forest   50         47  0.900 ± 0.084  0.918 ± 0.104  0.909 ± 0.069  1,960 ± 277       2,000
    water   100        103  0.980 ± 0.028  0.975 ± 0.020  0.978 ± 0.017  8,040 ± 277       8,000
    >>> round(accuracy.areas["forest"].se, 1)
    141.5
    """

    overall: Estimate
    users: ClassEstimates
    producers: ClassEstimates
    f1: ClassEstimates
    areas: ClassEstimates
    map_areas: np.ndarray
    classes: np.ndarray
    matrix: np.ndarray
    proportions: np.ndarray
    strata: pd.DataFrame
    method: str
    unit: str
    dropped: int = 0

    @property
    def n(self) -> int:
        """Number of samples."""
        return int(self.matrix.sum())

    def to_frame(self, level: float = 0.95) -> pd.DataFrame:
        """Return all estimates by class.

        Parameters
        ----------
        level : float, default=0.95
            Confidence of the intervals.

        Returns
        -------
        DataFrame
            One row a class. ``n_map`` and ``n_reference`` count samples; ``users``, ``producers``, ``f1`` and ``area`` each
            have columns ending in ``_se``, ``_low`` and ``_high``; ``map_area`` is what is mapped. ``attrs`` say that it is
            design-based, by which method, and the unit of areas.
        """
        columns: dict[str, Any] = {"n_map": self.matrix.sum(axis=1), "n_reference": self.matrix.sum(axis=0)}
        measures = {"users": self.users, "producers": self.producers, "f1": self.f1, "area": self.areas}
        for name, each in measures.items():
            low, high = each.interval(level)
            columns |= {name: each.estimate, f"{name}_se": each.se, f"{name}_low": low, f"{name}_high": high}
        columns["map_area"] = self.map_areas
        frame = pd.DataFrame(columns, index=pd.Index(self.classes, name="class"))
        frame.attrs = {"estimates": "design-based", "method": self.method, "unit": self.unit, "level": level}
        return frame

    def __repr__(self) -> str:
        half = _half(0.95)
        few = "1 stratum" if len(self.strata) == 1 else f"{len(self.strata)} strata"
        head = f"design-based accuracy ({self.method}) from {self.n:,} samples in {few}; ± is half of a 95% interval"
        overall = f"overall accuracy  {spread_text(self.overall.estimate, half * self.overall.se)}"
        large = self.areas.estimate.sum() >= 1000
        rows: list[tuple[str, ...]] = [
            ("class", "map", "reference", "user's", "producer's", "F1", f"area ({self.unit})", "mapped")
        ]
        for at, label in enumerate(self.areas):
            counts = f"{self.matrix[at].sum():,}", f"{self.matrix[:, at].sum():,}"
            measures = (spread_text(each.estimate[at], half * each.se[at]) for each in (self.users, self.producers, self.f1))
            area = spread_text(self.areas.estimate[at], half * self.areas.se[at], large)
            rows.append((str(label), *counts, *measures, area, number_text(self.map_areas[at], large)))
        left = f"\nleft out: {self.dropped:,} points outside the map or on nodata" if self.dropped else ""
        return f"{head}\n{overall}\n{_table(rows)}{left}"


def number_text(value: float, large: bool = False) -> str:
    """Return a number as text: in thousands where numbers are large, else with three decimals."""
    return "unknown" if np.isnan(value) else f"{value:,.0f}" if large else f"{value:.3f}"


def spread_text(value: float, half: float, large: bool = False) -> str:
    """Return an estimate and half of its interval as text."""
    return "unknown" if np.isnan(value) else f"{number_text(value, large)} ± {number_text(half, large)}"


def _table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    right = {1, 2, len(widths) - 1}
    lines = (
        "  ".join(
            f"{cell:>{width}}" if at in right else f"{cell:<{width}}"
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)
