"""Bands by name: how those at hand are brought into the order that is wanted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pixelwise.errors import BandError

__all__ = ["band_order"]

#: Names in a message, at most: time series have hundreds.
_MANY = 15
_DATED = re.compile(r"_\d{4}-\d{2}")


def band_order(wanted: Sequence[str] | None, given: Sequence[str] | None, n_given: int, n_wanted: int | None = None) -> Any:
    """Return how to bring the given bands into the wanted order.

    Parameters
    ----------
    wanted : sequence of str or None
        Names in the order that the model, or the first raster, has them.
    given : sequence of str or None
        Names of the bands at hand.
    n_given : int
        Number of bands at hand.
    n_wanted : int or None
        Number that is wanted where nothing is named.

    Returns
    -------
    list of int or slice
        Positions; a slice of everything where nothing has to move.

    Raises
    ------
    BandError
        If bands are missing or too many.
    """
    n_wanted = len(wanted) if wanted is not None else n_wanted
    if wanted is None or given is None:
        if n_wanted is not None and n_given != n_wanted:
            raise BandError(
                f"X has {n_given} features, but {n_wanted} bands are expected: "
                "give the raster the bands that the model was fitted on",
                given=n_given,
                wanted=n_wanted,
            )
        return slice(None)
    if tuple(wanted) == tuple(given):
        return slice(None)
    missing, extra = [name for name in wanted if name not in given], [name for name in given if name not in wanted]
    if missing or extra:
        parts = [f"lacks band {_listed(missing)}"] * bool(missing) + [f"has band {_listed(extra)} too many"] * bool(extra)
        dated = "; bring time series to the same slots first, as pw.temporal.MonthlyComposite does"
        raise BandError(
            f"the raster {' and '.join(parts)}: the bands must be {_listed(wanted)}, in any order"
            f"{dated if missing and _DATED.search(missing[0]) else ''}",
            missing=missing,
            extra=extra,
        )
    return [list(given).index(name) for name in wanted]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= _MANY else f"{', '.join(names[:_MANY])} ... ({len(names)} in all)"
