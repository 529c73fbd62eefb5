"""The hooks that a plugin may implement, and the marker that it implements them with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import pluggy

if TYPE_CHECKING:
    from pixelwise.families import EstimatorFamily
    from pixelwise.raster.carriers import Raster

__all__ = ["Carrier", "Engine", "Program", "hookimpl", "hookspec"]

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


class Program(Protocol):
    """What an `Engine` makes of a fitted estimator: its predictions, computed in another way. It pickles.

    It does not hold the estimator itself. In an artifact, large arrays of numbers among its attributes stand beside the model,
    also those in lists, dictionaries and objects of the package of the engine; they are mapped when it is loaded, and cannot be
    written. If it has a method ``check()``, that is called before a program from a file is used, and raises `EngineError`
    unless all indices that it follows lead somewhere.
    """

    @property
    def bounds(self) -> Mapping[str, float]:
        """For each method, such as "predict", the largest difference from the estimator's own result; 0 is bit for bit."""

    def run(self, method: str, X: Any, n_jobs: int | None) -> Any:
        """Return what the estimator's method of that name returns for X, in as many threads as `n_jobs` says."""

    def explain(self) -> str:
        """Say in a line what was compiled."""


class Engine(Protocol):
    """What the ``pixelwise_engines`` hook returns: a way to compute the predictions of fitted estimators faster."""

    #: A short unique name, which users give as ``engine=``.
    name: str

    def compile(self, estimator: Any) -> Program | None:
        """Translate a fitted estimator; None for one that the engine does not know.

        It raises `EngineError` with the reason for one that it knows and yet cannot translate. Telling whether it knows an
        estimator must be cheap and import nothing.
        """


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


@hookspec
def pixelwise_engines() -> Iterable[Engine]:  # type: ignore[empty-body]
    """Return the engines that the plugin adds, the fastest first.

    Called once, when pixelwise first compiles an estimator. Engines of a third-party plugin are tried before the built-in ones.
    """
