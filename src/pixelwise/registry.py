"""ModelRegistry: saved models by name, loaded when they are first wanted."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pixelwise.stored import artifact_info, load_artifact

__all__ = ["ModelRegistry", "halo_of"]


class ModelRegistry(Mapping[Any, Any]):
    """Models by region, each a fitted model or the path of a saved one, which is loaded on first use.

    A country has hundreds of tiles, and their models do not fit in memory together. The registry keeps those that were used
    last. Threads may share it: a model that several of them ask for is loaded once. Other processes get the paths and load for
    themselves. Give it to `Switch` as ``cases``, or to `RegionalEstimator` in place of an estimator.

    Parameters
    ----------
    models : mapping of region to path or model
        Paths are those of `save_artifact`.
    max_models : int, default=8
        Most models from paths that are in memory at a time; the one that was used least recently goes first.
    trusted : sequence of str, default=()
        Types that may be loaded: see `load_artifact`.
    allow_pickle : bool, default=False
        Whether to load pickles: see `load_artifact`.

    Raises
    ------
    ValueError
        If ``models`` is no mapping, or is empty, or ``max_models`` is not positive.

    See Also
    --------
    Switch : Takes a registry as its cases.
    RegionalEstimator : Takes one to predict by polygons.

    Examples
    --------
    >>> import tempfile, pixelwise as pw
    >>> from sklearn.linear_model import LogisticRegression
    >>> scene, polygons = pw.datasets.make_example()
    >>> model = pw.PixelwiseClassifier(LogisticRegression()).fit(*pw.extract_pixels(scene, polygons, column="class"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     registry = pw.ModelRegistry({"33UUU": pw.save_artifact(model, f"{folder}/33UUU.pixelwise")})
    ...     before = registry.loaded
    ...     registry["33UUU"].predict(pw.open_raster(scene)).dtype.name, before, registry.loaded
    ('uint8', (), ('33UUU',))
    """

    def __init__(
        self, models: Mapping[Any, Any], *, max_models: int = 8, trusted: Sequence[str] = (), allow_pickle: bool = False
    ) -> None:
        given: Any = models
        if not isinstance(given, Mapping) or not given:
            raise ValueError(f"models={models!r}: give a mapping from regions to models or paths, such as {{'33UUU': path}}")
        for name, item in models.items():
            if not (
                isinstance(item, str | os.PathLike) or callable(item) or hasattr(item, "transform") or hasattr(item, "predict")
            ):
                raise ValueError(f"models[{name!r}] is {item!r}: give a fitted model, or the path of a saved one")
        most: Any = max_models
        if not isinstance(most, int) or most < 1:
            raise ValueError(f"max_models={max_models!r}: give the number of models to keep in memory, 1 or more")
        # As text, which an artifact can hold.
        self._models = {name: os.fspath(item) if isinstance(item, os.PathLike) else item for name, item in models.items()}
        self.max_models = max_models
        self.trusted = tuple(trusted)
        self.allow_pickle = allow_pickle
        self._reset()

    def _reset(self) -> None:
        self._loaded: OrderedDict[Any, Any] = OrderedDict()
        self._lock = threading.Lock()
        self._turns: dict[Any, threading.Lock] = {}
        self._process = os.getpid()

    @property
    def loaded(self) -> tuple[Any, ...]:
        """Names of the models from paths that are in memory, the one used last at the end."""
        return tuple(self._loaded)

    def __getitem__(self, name: Any) -> Any:
        item = self._models[name]
        if not isinstance(item, str):
            return item
        if self._process != os.getpid():
            # A fork may have caught the lock while a thread of the parent held it.
            self._reset()
        with self._lock:
            turn = self._turns.setdefault(name, threading.Lock())
        with turn:
            with self._lock:
                if name in self._loaded:
                    self._loaded.move_to_end(name)
                    return self._loaded[name]
            # Outside the lock, so that other models can be had meanwhile.
            model = load_artifact(item, trusted=self.trusted, allow_pickle=self.allow_pickle)
            with self._lock:
                self._loaded[name] = model
                while len(self._loaded) > self.max_models:
                    self._loaded.popitem(last=False)
        return model

    def __iter__(self) -> Iterator[Any]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    def __contains__(self, name: object) -> bool:
        # Mapping's own would load the model.
        return name in self._models

    def classes(self, name: Any) -> list[Any] | None:
        """Return the classes of a model without loading it; None where it has none.

        Parameters
        ----------
        name : object
            One of the regions.

        Returns
        -------
        list or None
        """
        item = self._models[name]
        if isinstance(item, str):
            found: list[Any] | None = artifact_info(item)["classes"]
            return found
        known = getattr(item, "classes_", None)
        return None if known is None else list(known)

    @property
    def halo(self) -> int:
        """Most pixels that any of the models looks round; only those with operators are loaded to find out."""
        known = self.__dict__.get("_halo")
        if known is None:
            known = self._halo = max(self._halo_of(name) for name in self._models)
        return int(known)

    def _halo_of(self, name: Any) -> int:
        item = self._models[name]
        if isinstance(item, str) and not artifact_info(item)["operators"]:
            return 0
        return halo_of(self[name])

    def __getstate__(self) -> dict[str, Any]:
        passing = ("_loaded", "_lock", "_turns", "_process")
        return {name: value for name, value in self.__dict__.items() if name not in passing}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"ModelRegistry({len(self)} models, {len(self._loaded)} loaded, max_models={self.max_models})"


def halo_of(model: Any) -> int:
    """Return how many pixels round each pixel a model looks at: its own halo, or that of its steps, one behind the other.

    Parameters
    ----------
    model : object
        A model, an operator, a Pipeline, a search.

    Returns
    -------
    int
    """
    if hasattr(model, "best_estimator_"):
        return halo_of(model.best_estimator_)
    if getattr(model, "steps", None):
        return sum(halo_of(step) for _, step in model.steps)
    own = getattr(model, "halo", None)
    if isinstance(own, int):
        # That of operators inside it is counted there.
        return own
    inner = model.get_params(deep=False).values() if hasattr(model, "get_params") and not isinstance(model, type) else ()
    return max((halo_of(value) for value in inner if hasattr(value, "fit")), default=0)
