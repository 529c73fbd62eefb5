"""Estimator families: groups of estimators that share how a map of theirs is written and how labels and NaN reach them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pixelwise.errors import FillValueError

__all__ = ["EstimatorFamily", "OutputType", "default_fill"]


def default_fill(dtype: Any) -> int | float:
    """Return the fill value that goes with a dtype: -1 for signed integers, the maximum for unsigned ones, NaN for floats.

    Parameters
    ----------
    dtype : dtype-like
        A numeric dtype.

    Returns
    -------
    int or float

    Raises
    ------
    FillValueError
        If the dtype is not an integer or a floating one.

    Examples
    --------
    >>> from pixelwise.families import default_fill
    >>> default_fill("int16"), default_fill("uint8"), default_fill("float32")
    (-1, 255, nan)
    """
    kind = np.dtype(dtype)
    if kind.kind == "i":
        return -1
    if kind.kind == "u":
        return int(np.iinfo(kind).max)
    if kind.kind == "f":
        return float("nan")
    raise FillValueError(f"output_dtype={kind.name!r} cannot hold a map: use an integer or a float dtype", dtype=kind.name)


@dataclass(frozen=True, slots=True)
class OutputType:
    """A dtype and the fill value that marks 'no data' in it: a pair that has been checked.

    Parameters
    ----------
    dtype : str
        Name of a numpy dtype.
    fill_value : int or float
        The value of a pixel that was not predicted; it is a value of `dtype`.

    Raises
    ------
    FillValueError
        If the dtype cannot hold the fill value.

    Examples
    --------
    >>> from pixelwise.families import OutputType
    >>> OutputType("uint8", 255)
    OutputType(dtype='uint8', fill_value=255)
    >>> OutputType("uint8", -1)
    Traceback (most recent call last):
    ...
    pixelwise.errors.FillValueError: fill_value=-1 does not exist in uint8: use fill_value=255, or a signed or float
    output_dtype
    """

    dtype: str
    fill_value: int | float

    def __post_init__(self) -> None:
        natural = default_fill(self.dtype)
        if not self.holds(self.fill_value):
            raise FillValueError(
                f"fill_value={self.fill_value} does not exist in {self.dtype}: use fill_value={natural}, "
                f"or a signed or float output_dtype",
                fill_value=self.fill_value,
                dtype=self.dtype,
            )

    def holds(self, value: float) -> bool:
        """Whether `value` is exactly a value of the dtype (any float fits a float dtype)."""
        kind = np.dtype(self.dtype)
        if kind.kind == "f":
            return bool(np.isnan(value) or np.isinf(value) or abs(value) <= float(np.finfo(kind).max))
        limits = np.iinfo(kind)
        return bool(np.isfinite(value)) and float(value).is_integer() and limits.min <= value <= limits.max


@dataclass(frozen=True, slots=True)
class EstimatorFamily:
    """Defaults that a group of estimators shares.

    Parameters
    ----------
    name : str
        Unique name of the family.
    estimators : tuple of str
        Classes as ``"module:Class"``; a subclass belongs to the family too. Nothing is imported: a class counts once its
        module has been imported by somebody else.
    kind : {"classifier", "regressor", "transformer", "clusterer"}
        What the estimators do.
    dtypes : tuple of str
        Output dtypes in order of preference: a map takes the first one that holds all its values.
    fill_value : int, float or None, default=None
        The fill of the first dtype; None for the natural one (-1, the maximum, or NaN).
    encode_labels : bool, default=False
        Whether labels must reach the estimator as 0..K-1.
    accepts_nan : bool or None, default=None
        Whether the estimators take NaN; None asks the fitted estimator.
    time_handling : {"features", "samples", "panel"}, default="features"
        How rasters with a time axis reach the estimators, where no adapter says so: see `ToTemporalPixelMajor`.
    continues : str or None, default=None
        Argument of ``fit`` that takes a fitted estimator to go on from, for those without ``partial_fit`` that can.

    Examples
    --------
    >>> from pixelwise import EstimatorFamily
    >>> family = EstimatorFamily("boosters", ("xgboost:XGBClassifier",), kind="classifier", encode_labels=True)
    >>> family.output_type([0, 1, 2])
    OutputType(dtype='uint8', fill_value=255)
    >>> family.output_type([0, 1, 1000])
    OutputType(dtype='int16', fill_value=-1)
    """

    name: str
    estimators: tuple[str, ...]
    kind: Literal["classifier", "regressor", "transformer", "clusterer"]
    dtypes: tuple[str, ...] = ("uint8", "int16", "int32", "int64")
    fill_value: int | float | None = None
    encode_labels: bool = False
    accepts_nan: bool | None = None
    time_handling: Literal["features", "samples", "panel"] = "features"
    continues: str | None = None

    def loaded_classes(self) -> list[type]:
        """Return the family's classes whose modules are already imported."""
        pairs = (name.partition(":")[::2] for name in self.estimators)
        found = (getattr(sys.modules.get(module), cls, None) for module, cls in pairs)
        return [cls for cls in found if isinstance(cls, type)]

    def output_type(self, values: Iterable[float] = (), *, dtype: Any = None, fill_value: float | None = None) -> OutputType:
        """Choose and check the dtype and fill of a map that holds `values`.

        Parameters
        ----------
        values : iterable of number
            Codes that the map may hold; empty for continuous maps.
        dtype : dtype-like or None
            The dtype that was asked for; None takes the first of the family's that fits.
        fill_value : int, float or None
            The fill that was asked for; None takes the natural one.

        Returns
        -------
        OutputType

        Raises
        ------
        FillValueError
            If the pair does not exist, a code does not fit the dtype, or the fill is also a code.
        """
        codes = [float(value) for value in values]
        candidates = [np.dtype(dtype).name] if dtype is not None else list(self.dtypes)
        error: FillValueError | None = None
        for position, name in enumerate(candidates):
            fill = fill_value
            if fill is None and dtype is None and position == 0:
                fill = self.fill_value
            fills = [fill] if fill is not None else [default_fill(name)]
            if fill is None and dtype is None and np.dtype(name).kind == "i":
                fills.append(int(np.iinfo(name).min))
            for candidate in fills:
                try:
                    return _checked(name, candidate, codes)
                except FillValueError as problem:
                    error = error or problem
        assert error is not None
        raise error


def _checked(dtype: str, fill: float, codes: list[float]) -> OutputType:
    pair = OutputType(dtype, fill)
    outside = [code for code in codes if not pair.holds(code)]
    if outside:
        raise FillValueError(
            f"class {outside[0]:g} does not exist in {dtype}: use a wider output_dtype, such as 'int32'",
            dtype=dtype,
            values=outside,
        )
    if fill in codes:
        raise FillValueError(
            f"fill_value={fill:g} is also a class label: use a fill_value that is no class, or a wider output_dtype",
            fill_value=fill,
        )
    return pair
