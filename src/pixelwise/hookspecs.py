"""The hooks that a plugin may implement, and the marker that it implements them with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

import pluggy

if TYPE_CHECKING:
    from pixelwise.families import EstimatorFamily
    from pixelwise.raster.carriers import Raster

__all__ = ["Carrier", "hookimpl", "hookspec"]

hookspec = pluggy.HookspecMarker("pixelwise")
#: Marks a function as the implementation of a pixelwise hook.
hookimpl = pluggy.HookimplMarker("pixelwise")


class Carrier(Protocol):
    """What the ``pixelwise_carriers`` hook returns: how one Python type holds a raster."""

    #: A short unique name, for messages.
    name: str

    def matches(self, obj: Any) -> bool:
        """Whether `obj` is a raster of this carrier; must be cheap and import nothing."""

    def unwrap(self, obj: Any) -> Raster:
        """Take `obj` apart into values, grid, band names and nodata."""

    def rewrap(self, raster: Raster, like: Any) -> Any:
        """Build the type of `like` from `raster`."""


@hookspec
def pixelwise_families() -> Iterable[EstimatorFamily]:  # type: ignore[empty-body]
    """Return the estimator families that the plugin adds.

    Called once, when pixelwise first meets an estimator. A family names its classes as strings
    (``"xgboost:XGBClassifier"``), so that registering it imports nothing.
    """


@hookspec
def pixelwise_carriers() -> Iterable[Carrier]:  # type: ignore[empty-body]
    """Return the carriers that the plugin adds.

    Called once, when pixelwise first meets a raster. A carrier of a third-party plugin is asked before the built-in ones.
    """
