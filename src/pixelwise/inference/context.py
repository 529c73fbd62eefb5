"""How far a model looks round a pixel, as far as that is known: what decides whether chips must overlap."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pixelwise.estimators.base import PixelwiseBase
from pixelwise.operators.base import Operator
from pixelwise.operators.graph import Graph, Input
from pixelwise.operators.switch import Switch
from pixelwise.regional.estimator import RegionalEstimator
from pixelwise.registry import ModelRegistry, halo_of

__all__ = ["known_halo"]


def known_halo(model: Any) -> int | None:
    """Return how many pixels round each pixel a model looks at, or None where that cannot be told.

    It is known of pixelwise's own operators and estimators, of operators that declare their ``halo``, and of Pipelines,
    searches and Switches of these. Of a function, or a network, it is not.

    Parameters
    ----------
    model : object
        What is applied to chips.

    Returns
    -------
    int or None

    Examples
    --------
    >>> import pixelwise as pw
    >>> from pixelwise.inference.context import known_halo
    >>> speckle = pw.sar.LeeSpeckle(window=7)
    >>> known_halo(pw.Sequential([speckle, pw.sar.LinearToDB()])), known_halo(lambda chip: chip)
    (3, None)
    """
    return halo_of(model) if _is_known(model) else None


def _is_known(model: Any) -> bool:
    if hasattr(model, "best_estimator_"):
        return _is_known(model.best_estimator_)
    if getattr(model, "steps", None):
        return _all_known(step for _, step in model.steps)
    if isinstance(model, Switch):
        cases = model.cases
        # Models of a registry come from artifacts, which hold no code.
        known = isinstance(cases, ModelRegistry) or _all_known(case for case in cases.values() if not isinstance(case, str))
        return known and (model.default is None or _is_known(model.default))
    if isinstance(model, RegionalEstimator):
        return isinstance(model.estimator, ModelRegistry) or _is_known(model.estimator)
    if isinstance(model, Graph):
        return _all_known(node.step for node in model.nodes() if not isinstance(node, Input))
    if isinstance(model, Operator):
        inner = (value for value in model.get_params(deep=False).values() if isinstance(value, Operator))
        return _says_halo(type(model)) and _all_known(inner)
    return isinstance(model, PixelwiseBase) or model is None or isinstance(model, str)


def _says_halo(kind: type) -> bool:
    """Whether an operator has said that it looks round, or is known not to: those of others may just not have said so."""
    own = kind.__module__.startswith("pixelwise.")
    return own or any("halo" in vars(cls) for cls in kind.__mro__ if cls is not Operator)


def _all_known(models: Iterable[Any]) -> bool:
    return all(_is_known(model) for model in models)
