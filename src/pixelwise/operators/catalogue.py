"""Formulas of spectral indices from the catalogue that spyndex keeps, and how they are computed."""

from __future__ import annotations

import ast
import difflib
import functools
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pixelwise.errors import BandError, DependencyMissingError

__all__ = ["Formula", "catalogue_bands", "formula_of", "needs_reflectance"]

_OPERATIONS: Mapping[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
}
#: Bands that are no reflectance: thermal ones, and radar.
_NO_REFLECTANCE = {"T", "T1", "T2", "VV", "VH", "HH", "HV"}


def _spyndex() -> Any:
    try:
        import spyndex
    except ModuleNotFoundError:
        raise DependencyMissingError(
            "the catalogue of spectral indices needs spyndex, which is not installed: pip install 'pixelwise[indices]'"
        ) from None
    return spyndex


def catalogue_bands() -> Mapping[str, Any]:
    """Return what the catalogue knows of bands, by their letters."""
    bands: Mapping[str, Any] = _spyndex().bands
    return bands


@dataclass(frozen=True)
class Formula:
    """An index of the catalogue.

    Parameters
    ----------
    name : str
        What it is called.
    tree : ast.expr
        The formula.
    letters : tuple of str
        Bands that it needs, as the catalogue calls them.
    kernels : tuple of str
        Kernels of two bands that it needs, such as "kNR".
    constants : dict of str to (float or None)
        Constants, and what they are if nothing else is said.
    """

    name: str
    tree: ast.expr
    letters: tuple[str, ...]
    kernels: tuple[str, ...]
    constants: Mapping[str, float | None]

    def compute(self, bands: Mapping[str, Any], constants: Mapping[str, float]) -> Any:
        """Compute the index.

        Parameters
        ----------
        bands : mapping of str to ndarray
            Values by letter.
        constants : mapping of str to float
            Values of all constants; of "sigma" none where kernels shall find it themselves.

        Returns
        -------
        ndarray
            In the dtype of the bands.
        """
        known = {**bands, **constants}
        for kernel in self.kernels:
            one, other = known[kernel[1]], known[kernel[2]]
            width = known.get("sigma", 0.5 * (one + other))
            known[kernel] = 1.0 if kernel[1] == kernel[2] else np.exp(-((one - other) ** 2) / (2.0 * width**2))
        return _evaluate(self.tree, known)

    def with_constants(self, given: Mapping[str, float]) -> dict[str, float]:
        """Return the values of all constants.

        Parameters
        ----------
        given : mapping of str to float
            Those that shall be others than the catalogue's.

        Returns
        -------
        dict of str to float

        Raises
        ------
        BandError
            If the index has no such constant, or one is not given that the catalogue has no value for.
        """
        known = {*self.constants, *(("sigma",) if self.kernels else ())}
        unknown = [name for name in given if name not in known]
        if unknown:
            raise BandError(f"{self.name} has no constant {unknown[0]!r}: it has {', '.join(sorted(known)) or 'none'}")
        values = {**self.constants, **{name: float(value) for name, value in given.items()}}
        for name, value in values.items():
            if value is None:
                about = _spyndex().constants[name].description
                raise BandError(f"{self.name} needs the constant {name} ({about}): give constants={{{name!r}: ...}}")
        return {name: value for name, value in values.items() if value is not None}


def _evaluate(node: ast.expr, known: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Name):
        return known[node.id]
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.UnaryOp):
        return _OPERATIONS[type(node.op)](_evaluate(node.operand, known))
    assert isinstance(node, ast.BinOp), ast.dump(node)
    return _OPERATIONS[type(node.op)](_evaluate(node.left, known), _evaluate(node.right, known))


@functools.cache
def formula_of(name: str) -> Formula:
    """Return an index of the catalogue.

    Parameters
    ----------
    name : str
        Its short name, such as "EVI".

    Returns
    -------
    Formula

    Raises
    ------
    BandError
        If the catalogue has no such index.
    DependencyMissingError
        If spyndex is not installed.

    Examples
    --------
    >>> from pixelwise.operators.catalogue import formula_of
    >>> formula_of("SAVI").letters, formula_of("SAVI").constants
    (('N', 'R'), {'L': 1.0})
    """
    spyndex = _spyndex()
    if name not in spyndex.indices:
        by_case = {known.lower(): known for known in spyndex.indices}
        near = [by_case[word] for word in difflib.get_close_matches(str(name).lower(), by_case, n=4)]
        like = f": did you mean {', '.join(near)}?" if near else ": list(spyndex.indices) has the names"
        raise BandError(f"there is no index {name!r} among the {len(spyndex.indices)} of the catalogue{like}")
    index = spyndex.indices[name]
    constants = {part: spyndex.constants[part].default for part in index.bands if part in spyndex.constants}
    others = [part for part in index.bands if part not in constants]
    kernels = tuple(part for part in others if part not in spyndex.bands and part[0] == "k")
    inner = (letter for kernel in kernels for letter in kernel[1:])
    used = dict.fromkeys([*(part for part in others if part not in kernels), *inner])
    letters = tuple(letter for letter in used if letter not in spyndex.constants)
    constants |= {letter: spyndex.constants[letter].default for letter in used if letter in spyndex.constants}
    return Formula(name, ast.parse(index.formula, mode="eval").body, letters, kernels, constants)


@functools.lru_cache(maxsize=256)
def needs_reflectance(name: str, constants: tuple[tuple[str, float], ...]) -> bool:
    """Return whether an index of bands that are all ten times as large is something else than a multiple of the index.

    Parameters
    ----------
    name : str
        The index.
    constants : tuple of (str, float)
        Its constants.

    Returns
    -------
    bool
        False for indices of thermal and radar bands, which are no reflectance.

    Examples
    --------
    >>> from pixelwise.operators.catalogue import needs_reflectance
    >>> needs_reflectance("NDVI", ()), needs_reflectance("SAVI", (("L", 0.5),))
    (False, True)
    """
    formula = formula_of(name)
    if _NO_REFLECTANCE & set(formula.letters):
        return False
    draws = np.random.default_rng(0).uniform(0.05, 0.6, (len(formula.letters), 8))
    with np.errstate(all="ignore"):
        plain, ten, hundred = (
            formula.compute(dict(zip(formula.letters, draws * scale, strict=True)), dict(constants)) for scale in (1, 10, 100)
        )
        ratios = (ten / plain)[np.isfinite(ten / plain)]
        same = len(ratios) > 0 and np.allclose(ratios, ratios[0]) and np.allclose(hundred, ten * ratios[0], equal_nan=True)
    return not same
