"""The engine "none": any estimator as it is."""

from __future__ import annotations

from typing import Any

from pixelwise.hookspecs import hookimpl

__all__ = ["SourceEngine", "SourceProgram", "pixelwise_engines"]

_METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform")


class SourceProgram:
    """The estimator itself, where nothing faster is to be had.

    Parameters
    ----------
    source : estimator
        A fitted estimator.
    """

    def __init__(self, source: Any) -> None:
        self.source = source
        self.bounds = {method: 0.0 for method in _METHODS if hasattr(source, method)}

    def run(self, method: str, X: Any, n_jobs: int | None) -> Any:
        """Call the estimator's method; how many threads it takes is its own affair."""
        return getattr(self.source, method)(X)

    def explain(self) -> str:
        """Name the estimator, and of a Pipeline its steps."""
        steps = [step for _, step in getattr(self.source, "steps", ())] or [self.source]
        return f"{' > '.join(step if isinstance(step, str) else type(step).__name__ for step in steps)} as it is"


class SourceEngine:
    """Compiles nothing."""

    name = "none"

    def compile(self, estimator: Any) -> SourceProgram:
        """Wrap the estimator."""
        return SourceProgram(estimator)


@hookimpl
def pixelwise_engines() -> list[SourceEngine]:
    """Return the engine that takes every estimator, and so comes last."""
    return [SourceEngine()]
