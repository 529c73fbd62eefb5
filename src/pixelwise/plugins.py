"""The plugin manager: built-in and third-party families, carriers and engines, loaded on first use."""

from __future__ import annotations

import functools
import importlib
import inspect
import warnings
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, cast

import pluggy

from pixelwise import hookspecs
from pixelwise.errors import PixelwiseWarning, PluginError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from pixelwise.families import EstimatorFamily

__all__ = ["DEFAULT_PLUGINS", "ENGINES_ELSEWHERE", "Plugins", "plugins"]

#: Built-in plugins by dotted name, so that this module imports nothing above it.
DEFAULT_PLUGINS = (
    "pixelwise.default_plugins.array_carriers",
    "pixelwise.default_plugins.xarray_carriers",
    "pixelwise.default_plugins.file_carriers",
    "pixelwise.default_plugins.scene_carriers",
    "pixelwise.default_plugins.sklearn_families",
    "pixelwise.default_plugins.source_engine",
)
#: Engines that users may have read about, and the distributions that bring them.
ENGINES_ELSEWHERE = {"fast": "pixelwise-fast"}


class Plugins:
    """The plugins that are registered, and what they add.

    Parameters
    ----------
    entry_point_group : str or None, default="pixelwise"
        Entry points to load; None loads the built-in plugins only.

    Examples
    --------
    >>> from pixelwise.plugins import plugins
    >>> {"sklearn-classifier", "sklearn-clusterer"} <= {family.name for family in plugins().families}
    True
    """

    def __init__(self, entry_point_group: str | None = "pixelwise") -> None:
        self._manager = pluggy.PluginManager("pixelwise")
        self._manager.add_hookspecs(hookspecs)
        for name in DEFAULT_PLUGINS:
            self._manager.register(importlib.import_module(name), name)
        for entry in entry_points(group=entry_point_group) if entry_point_group else ():
            try:
                self._register(entry.load(), entry.name)
            # A stranger's import may fail in any way; one broken plugin must not take pixelwise down.
            except Exception as error:
                warnings.warn(
                    f"plugin {entry.name!r} ({entry.value}) was left out, because it failed to load: {error!r}; "
                    f"update or uninstall it",
                    PixelwiseWarning,
                    stacklevel=3,
                )

    def register(self, plugin: Any, name: str | None = None) -> None:
        """Add a plugin: a module or object with hook implementations.

        Parameters
        ----------
        plugin : object
            Carries functions marked with ``pixelwise.hookimpl``.
        name : str or None
            A unique name; None takes the module's or object's own.

        Raises
        ------
        PluginError
            If it implements a hook that does not exist, or claims a name or class that is taken.
        """
        self._register(plugin, name)

    def _register(self, plugin: Any, name: str | None) -> None:
        label = name or str(self._manager.get_canonical_name(plugin))
        if self._manager.has_plugin(label) or self._manager.is_registered(plugin):
            raise PluginError(f"plugin {label!r} is registered already: unregister it first", plugin=label)
        try:
            self._manager.register(plugin, label)
            self._manager.check_pending()
            self._forget()
            _ = self.families, self.carriers, self.engines
        except (pluggy.PluginValidationError, PluginError) as error:
            if self._manager.has_plugin(label):
                self._manager.unregister(name=label)
            self._forget()
            raise PluginError(f"plugin {label!r} is refused: {error}", plugin=label) from error

    def _forget(self) -> None:
        for kept in ("families", "carriers", "engines"):
            self.__dict__.pop(kept, None)

    def unregister(self, name: str) -> None:
        """Remove the plugin of that name."""
        self._manager.unregister(name=name)
        self._forget()

    @property
    def names(self) -> list[str]:
        """Names of the registered plugins."""
        return sorted(name for name, plugin in self._manager.list_name_plugin() if plugin is not None)

    @functools.cached_property
    def families(self) -> tuple[EstimatorFamily, ...]:
        """All families, third-party ones first."""
        found = tuple(family for group in self._manager.hook.pixelwise_families() for family in group)
        _refuse_twice("family", [family.name for family in found])
        _refuse_twice("estimator", [name for family in found for name in family.estimators])
        return found

    @functools.cached_property
    def carriers(self) -> tuple[hookspecs.Carrier, ...]:
        """All carriers, third-party ones first."""
        found = tuple(carrier for group in self._manager.hook.pixelwise_carriers() for carrier in group)
        _refuse_twice("carrier", [carrier.name for carrier in found])
        return found

    @functools.cached_property
    def engines(self) -> tuple[hookspecs.Engine, ...]:
        """All engines, third-party ones first."""
        found = tuple(engine for group in self._manager.hook.pixelwise_engines() for engine in group)
        _refuse_twice("engine", [engine.name for engine in found])
        return found

    def family_of(self, estimator: Any, kind: str) -> EstimatorFamily:
        """Return the family of an estimator, or of the last estimator inside a Pipeline or a search.

        Parameters
        ----------
        estimator : object
            A scikit-learn compatible estimator.
        kind : {"classifier", "regressor", "transformer", "clusterer"}
            What it is used as; families of other kinds are passed over.

        Returns
        -------
        EstimatorFamily
            The one that claims the nearest class, of the outermost estimator that any but scikit-learn's own claims;
            scikit-learn's own for that kind where none does.
        """
        families = [family for family in self.families if family.kind == kind]
        general = next(family for family in families if family.name == f"sklearn-{kind}")
        owners = {cls: family for family in families for cls in family.loaded_classes()}
        nearest = (next((owners[cls] for cls in type(part).__mro__ if cls in owners), general) for part in _chain(estimator))
        return next((family for family in nearest if family is not general), general)


def _chain(estimator: Any) -> Iterator[Any]:
    """Yield an estimator, and those that make the predictions inside Pipelines, searches and other wrappers."""
    while estimator is not None:
        yield estimator
        if getattr(estimator, "steps", None):
            estimator = estimator.steps[-1][1]
        elif _wraps(cast("Hashable", type(estimator))) and hasattr(estimator, "estimator"):
            estimator = estimator.estimator
        else:
            return


@functools.cache
def _wraps(cls: Any) -> bool:
    # A forest has an attribute `estimator` too, but nobody hands it over.
    return hasattr(cls, "fit") and "estimator" in inspect.signature(cls).parameters


def _refuse_twice(what: str, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise PluginError(f"{what} {twice[0]!r} is claimed by two plugins: uninstall one of them", names=twice)


@functools.cache
def plugins() -> Plugins:
    """Return the plugins of this process, loading them at the first call."""
    return Plugins()
