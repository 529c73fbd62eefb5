"""What tells one pipeline from another, and a file from what it was: so that a run goes on only with what it began with."""

from __future__ import annotations

import contextlib
import json
import pickle
from operator import itemgetter
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
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


class _Hasher(NumpyHasher):
    """joblib's hash, which also takes functions and classes that cannot be pickled, by what they do."""

    def __init__(self, hash_name: str) -> None:
        super().__init__(hash_name)
        self._seen: set[type] = set()

    def save(self, obj: Any) -> None:
        """Take structured arrays, such as the nodes of trees, field by field: what lies between the fields is left over."""
        if isinstance(obj, np.ndarray) and obj.dtype.names:
            obj = tuple((name, np.ascontiguousarray(obj[name])) for name in obj.dtype.names)
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
        if isinstance(obj, FunctionType) and _is_of_script(obj):
            cells = tuple(cell.cell_contents for cell in obj.__closure__ or ())
            return tuple, ((obj.__code__, obj.__defaults__, cells),)
        if isinstance(obj, type) and _is_of_script(obj):
            return self._of_class(obj)
        if isinstance(obj, property):
            return tuple, ((obj.fget, obj.fset),)
        if isinstance(obj, classmethod | staticmethod):
            return tuple, ((type(obj).__name__, obj.__func__),)
        if isinstance(obj, CodeType):
            return tuple, ((obj.co_code, obj.co_consts, obj.co_names),)
        if isinstance(obj, ModuleType):
            return str, (obj.__name__,)
        return NotImplemented

    def _of_class(self, cls: type) -> Any:
        # Methods that call super() hold their class.
        if cls in self._seen:
            return str, (cls.__qualname__,)
        self._seen.add(cls)
        members = {name: value for name, value in vars(cls).items() if name not in _NOT_OF_CLASS}
        return tuple, ((cls.__qualname__, cls.__bases__, members),)


def _is_of_script(obj: Any) -> bool:
    """Whether a function or class cannot be imported by workers, or may be another one the next time."""
    return "<" in obj.__qualname__ or obj.__module__ == "__main__"


def fingerprint(pipeline: Any) -> str:
    """Return a text that is the same for equal pipelines in any process, and differs for others.

    Parameters
    ----------
    pipeline : object
        Operators, fitted models, functions. Of functions the code counts, and not what they look up elsewhere; of models that
        are loaded on first use the path.

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
