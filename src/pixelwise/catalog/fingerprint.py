"""What tells one pipeline from another, and a file from what it was: so that a run goes on only with what it began with."""

from __future__ import annotations

import contextlib
import json
import pickle
import sys
import sysconfig
from collections.abc import Callable
from functools import cached_property
from operator import attrgetter, itemgetter
from pathlib import Path
from types import CodeType, FunctionType, GetSetDescriptorType, MappingProxyType, MemberDescriptorType, ModuleType
from typing import Any

import joblib
import numpy as np
import rasterio
from joblib.hashing import NumpyHasher

from pixelwise.catalog.facts import files_of
from pixelwise.catalog.scene import Scene
from pixelwise.errors import RasterReadError
from pixelwise.raster.io import opening
from pixelwise.raster.remote import is_remote

__all__ = ["fingerprint", "local_files", "scene_fingerprint", "source_fingerprint"]

#: What Python and ABCMeta put into each class, and what says nothing of what it does.
_NOT_OF_CLASS = {
    "__abstractmethods__", "__annotations__", "__dict__", "__doc__", "__firstlineno__", "__module__", "__weakref__",
    "_abc_impl",
}  # fmt: skip
#: What of other objects that cannot be pickled says what they do.
_TAKEN: dict[type, Callable[[Any], Any]] = {
    property: attrgetter("fget", "fset"),
    cached_property: attrgetter("func"),
    classmethod: attrgetter("__func__"),
    staticmethod: attrgetter("__func__"),
    CodeType: attrgetter("co_code", "co_consts", "co_names"),
    ModuleType: attrgetter("__name__"),
    MemberDescriptorType: attrgetter("__name__"),
    GetSetDescriptorType: attrgetter("__name__"),
    MappingProxyType: dict,
}
#: Most of what a model holds, which is not looked at any further.
_PLAIN = {str, bytes, int, float, bool, tuple, list, dict, type(None)}
_STDLIB = Path(sysconfig.get_path("stdlib"))


class _Hasher(NumpyHasher):
    """joblib's hash, which also takes functions and classes that cannot be pickled, by what they do."""

    def __init__(self, hash_name: str, seen: set[Any] | None = None) -> None:
        super().__init__(hash_name, coerce_mmap=True)
        self._seen: set[Any] = set() if seen is None else seen

    def save(self, obj: Any) -> None:
        """Take structured arrays, such as the nodes of trees, field by field: what lies between the fields is left over.

        Masked ones, as searches keep their results in, are taken as values and mask: joblib cannot look at their bytes, and
        what is under the mask may be anything.
        """
        if isinstance(obj, np.ma.MaskedArray):
            obj = np.asarray(obj.filled()), np.ma.getmaskarray(obj)
        elif isinstance(obj, np.ndarray) and obj.dtype.names:
            obj = tuple((name, np.ascontiguousarray(obj[name])) for name in obj.dtype.names)
        elif type(obj) is np.ndarray:
            # Else a model that was saved and loaded would be another one, by its strides.
            obj = np.array(obj, order="C")
        elif isinstance(obj, np.random.RandomState):
            # Trees that share one have one each when they were loaded, with a seed sequence that is drawn anew.
            obj = self._inner(obj.get_state(legacy=False))
        super().save(obj)

    def _batch_setitems(self, items: Any, *args: Any) -> None:
        """Take a dict by its keys in order; joblib goes on where a value cannot be pickled, and leaves out what follows."""
        pairs = list(items)
        try:
            pairs.sort(key=itemgetter(0))
        except TypeError:
            pairs.sort(key=lambda pair: str(joblib.hash(pair[0])))
        pickle._Pickler._batch_setitems(self, iter(pairs), *args)  # type: ignore[attr-defined]

    def reducer_override(self, obj: Any) -> Any:
        """Return a function as its code and what it holds, a class as its members; whatever else is left to joblib."""
        if type(obj) in _PLAIN:
            return NotImplemented
        if isinstance(obj, FunctionType | type):
            return self._of_code(obj)
        if isinstance(obj, frozenset):
            # In each process texts have another order.
            return tuple, (("frozenset", *sorted(map(self._inner, obj))),)
        for kind, take in _TAKEN.items():
            if isinstance(obj, kind):
                return tuple, ((kind.__name__, take(obj)),)
        return NotImplemented

    def _of_code(self, obj: Any) -> Any:
        if not _may_change(obj):
            return NotImplemented
        # Methods that call super() hold their class, and functions that call themselves may hold that.
        if obj in self._seen:
            return str, (obj.__qualname__,)
        self._seen.add(obj)
        parts = _parts(obj)
        if _is_of_script(obj):
            return tuple, (parts,)
        try:
            return tuple, ((obj.__qualname__, self._inner(parts)),)
        except (pickle.PicklingError, TypeError):
            # It goes by its name, as that of a library does.
            return NotImplemented

    def _inner(self, obj: Any) -> str:
        return str(_Hasher("md5", self._seen).hash(obj))


def _parts(obj: Any) -> tuple[Any, ...]:
    if isinstance(obj, FunctionType):
        return obj.__code__, obj.__defaults__, obj.__kwdefaults__, tuple(cell.cell_contents for cell in obj.__closure__ or ())
    members = {name: value for name, value in vars(obj).items() if name not in _NOT_OF_CLASS}
    return obj.__qualname__, obj.__bases__, members


def _is_of_script(obj: Any) -> bool:
    """Whether a function or class is one of a script, or made by a function."""
    return "<" in obj.__qualname__ or obj.__module__ == "__main__"


def _may_change(obj: Any) -> bool:
    """Whether a function or class is one of users, and not of a library that is installed."""
    if _is_of_script(obj):
        return True
    name = str(obj.__module__)
    file = Path(getattr(sys.modules.get(name), "__file__", None) or _STDLIB)
    installed = file.is_relative_to(_STDLIB) or {"site-packages", "dist-packages"} & set(file.parts)
    return not (installed or name.startswith("pixelwise"))


def fingerprint(pipeline: Any) -> str:
    """Return a text that is the same for equal pipelines in any process, and differs for others.

    Parameters
    ----------
    pipeline : object
        Operators, fitted models, functions. Of functions and classes that no installed library brings the code counts, and not
        what they look up elsewhere; of models that are loaded on first use the path.

    Returns
    -------
    str

    Examples
    --------
    >>> import pixelwise as pw
    >>> from pixelwise.catalog.fingerprint import fingerprint
    >>> first = fingerprint(pw.core.Tap(lambda raster: raster + 1))
    >>> first == fingerprint(pw.core.Tap(lambda raster: raster + 1)), first == fingerprint(pw.core.Tap(lambda raster: 2))
    (True, False)
    """
    return str(_Hasher("md5").hash(pipeline))


def source_fingerprint(uri: Any) -> str:
    """Return a text that changes when a scene's local files do, or its bands are others of them.

    Parameters
    ----------
    uri : str, mapping or tuple
        The files of a scene. Of remote ones the address counts.

    Returns
    -------
    str
    """
    stats = {name: Path(name).stat() for name in local_files(uri)}
    return json.dumps([uri, [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats.items()]])


def scene_fingerprint(scene: Scene) -> str:
    """Return a text that changes when a scene's local files do, those of labels and further inputs, or what is told of it.

    Parameters
    ----------
    scene : Scene
        Of a catalog.

    Returns
    -------
    str
    """
    told = scene.metadata
    more = [told[key] for key in told if key.endswith("_uri") and isinstance(told[key], str)]
    how = [str(part) for part in (scene.bands, scene.resampling, scene.nodata)]
    files = [source_fingerprint(scene.uri), source_fingerprint(more)]
    return json.dumps([*files, *how, {key: str(told[key]) for key in sorted(told)}])


def local_files(uri: Any) -> list[str]:
    """Return the local files that are read with those of a scene: of a mosaic those that it leads to, too.

    Parameters
    ----------
    uri : str, mapping or tuple
        The files of a scene.

    Returns
    -------
    list of str
    """
    seen: dict[str, bool] = {}
    todo = files_of(uri)
    while todo:
        name = todo.pop()
        if name in seen or is_remote(name):
            continue
        seen[name] = Path(name).is_file()
        if seen[name] and name.lower().endswith((".tif", ".tiff")):
            continue
        # What is no raster, such as labels in a vector file, leads nowhere.
        with contextlib.suppress(RasterReadError), opening(name), rasterio.open(name) as file:
            todo += file.files
    return [name for name, local in seen.items() if local]
