"""Saved models read: what is known of them, and themselves, if nothing in them is of an unknown type."""

from __future__ import annotations

import functools
import importlib
import inspect
import io
import json
import warnings
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import joblib
import numpy as np

from pixelwise.errors import ArtifactError, EngineError, PixelwiseWarning
from pixelwise.mapped import TABLES, Aside, aside, digest, engine_packages, map_array
from pixelwise.plugins import ENGINES_ELSEWHERE, plugins

__all__ = ["FORMAT_VERSION", "INFO", "PARTS", "artifact_info", "is_known_type", "load_artifact"]

#: What the archive is made of; `save_artifact` writes it.
FORMAT_VERSION = 1
INFO = "pixelwise.json"
PARTS = {"skops": "model.skops", "pickle": "model.pkl"}
#: What engines have made of the estimators in wrappers.
PROGRAMS = {"skops": "programs.skops", "pickle": "programs.pkl"}
#: Harmless containers of the standard library that boosters keep their parameters in.
_PLAIN_TYPES = {"collections.OrderedDict"}


def load_artifact(path: Any, *, trusted: Sequence[str] = (), allow_pickle: bool = False) -> Any:
    """Load a saved model.

    Tables of engines are mapped, not read: processes that load the same file share them.

    Nothing of an unknown type is built. Types of scikit-learn, of pixelwise, and of the libraries that installed plugins serve
    are known; a function that is no scikit-learn metric is not.

    Parameters
    ----------
    path : path
        What `save_artifact` has written.
    trusted : sequence of str, default=()
        Further types that may be built, as the error names them. Look at each: a file can name any.
    allow_pickle : bool, default=False
        Whether to load a file that was saved with ``format="pickle"``. Only do so if you know who made it.

    Returns
    -------
    estimator
        Fitted, as it was saved.

    Raises
    ------
    ArtifactError
        If the file is damaged or is no artifact, holds types that are not trusted, needs a library that is not installed, or is
        a pickle without permission.

    Warns
    -----
    PixelwiseWarning
        If it was saved with another version of scikit-learn.

    See Also
    --------
    artifact_info : What is known of the model, without loading it.

    Examples
    --------
    >>> import tempfile
    >>> import pixelwise as pw
    >>> from sklearn.linear_model import Ridge
    >>> model = Ridge().fit([[0.0], [1.0]], [0.0, 1.0])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pw.load_artifact(pw.save_artifact(model, f"{folder}/ridge.pixelwise"))
    Ridge()
    """
    info, part, programs, arrays = _read(path)
    if info["format"] == "pickle" and not allow_pickle:
        raise ArtifactError(f"{path} is a pickle, which can run any code: if you know who made it, pass allow_pickle=True")
    saved, here = info["versions"].get("scikit-learn"), version("scikit-learn")
    if saved != here:
        warnings.warn(
            f"{path} was saved with scikit-learn {saved}, and this is {here}: results may differ; "
            f"install scikit-learn=={saved}, or fit the model again",
            PixelwiseWarning,
            stacklevel=2,
        )
    _check_engines(path, info)
    try:
        with aside(Aside(arrays, None, saving=False)) as beside:
            beside.programs = _programs(programs, path, info, trusted)
            return _loaded(part, path, info, trusted)
    except ModuleNotFoundError as error:
        raise ArtifactError(f"{path} needs {error.name}, which is not installed: pip install {error.name}") from error
    except (AttributeError, EngineError, ImportError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{path} cannot be loaded here ({error}): install the versions that it was saved with, {_listed(info['versions'])}"
        ) from error


def artifact_info(path: Any) -> dict[str, Any]:
    """Return what is known of a saved model, without loading it.

    Parameters
    ----------
    path : path
        What `save_artifact` has written.

    Returns
    -------
    dict
        ``model`` (its class), ``estimator`` (the innermost one's), ``parameters``, ``features`` (band names or None),
        ``n_features``, ``classes``, ``dtype`` and ``fill_value`` of a map, ``layout``, ``operators``, ``versions``, ``created``
        (UTC), ``metadata``, ``engines`` (whose tables it holds), ``needs`` (those of them without which it cannot be loaded),
        ``format``, ``format_version``, ``sha256`` and ``sha256_beside`` (of programs and tables).

    Raises
    ------
    ArtifactError
        If the file is damaged or is no artifact.

    Examples
    --------
    >>> import tempfile
    >>> import pixelwise as pw
    >>> from sklearn.linear_model import Ridge
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     info = pw.artifact_info(pw.save_artifact(Ridge().fit([[0.0], [1.0]], [0.0, 1.0]), f"{folder}/ridge.pixelwise"))
    >>> info["model"], info["n_features"]
    ('sklearn.linear_model._ridge.Ridge', 1)
    """
    return _read(path, whole=False)[0]


def _read(path: Any, *, whole: bool = True) -> tuple[dict[str, Any], bytes, bytes, list[np.ndarray]]:
    remedy = "name a file that save_artifact has written, whole"
    try:
        with zipfile.ZipFile(path) as archive:
            info: dict[str, Any] = json.loads(archive.read(INFO))
            if info["format_version"] > FORMAT_VERSION:
                newer = info["versions"]["pixelwise"]
                raise ArtifactError(f"{path} was saved by a newer pixelwise, {newer}: update with pip install -U pixelwise")
            part = archive.read(PARTS[info["format"]])
            if not whole:
                return info, part, b"", []
            program, names = PROGRAMS[info["format"]], archive.namelist()
            programs = archive.read(program) if program in names else b""
            n_tables = sum(name.startswith(TABLES) for name in names)
            arrays = [map_array(path, archive, f"{TABLES}{number}.npy") for number in range(n_tables)]
            expected = [info["sha256"], *info["sha256_beside"]]
            if [digest(each) for each in (part, programs, *arrays)] != expected:
                raise ArtifactError(f"{path} is damaged: its model is not the one that was saved; get the file again")
            return info, part, programs, arrays
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror or error}; {remedy}") from error
    except (zipfile.BadZipFile, zlib.error, KeyError, TypeError, ValueError, EOFError) as error:
        if isinstance(error, ArtifactError):
            raise
        raise ArtifactError(f"{path} is no artifact, or is cut short ({error}): {remedy}") from error


def _check_engines(path: Any, info: Mapping[str, Any]) -> None:
    """Say which engines are missing: without some the model cannot be loaded, and without others it is slower."""
    known = {engine.name for engine in plugins().engines}
    for engine in info["engines"]:
        if engine in known:
            continue
        remedy = f"pip install {ENGINES_ELSEWHERE.get(engine, 'the plugin that brings it')}"
        if engine in info["needs"]:
            raise ArtifactError(
                f"{path} was compiled by the engine {engine!r}, which is not here: {remedy}, or save the estimator itself in "
                f"a wrapper with engine={engine!r}"
            )
        warnings.warn(
            f"the engine {engine!r} that {path} was compiled by is not here, so that the estimator itself predicts: {remedy}",
            PixelwiseWarning,
            stacklevel=3,
        )


def _programs(part: bytes, path: Any, info: Mapping[str, Any], trusted: Sequence[str]) -> list[Any] | None:
    """Return what was compiled, None where it cannot be used here."""
    if not part or not set(info["engines"]) <= {engine.name for engine in plugins().engines}:
        return None
    try:
        found: list[Any] = _loaded(part, path, info, trusted)
    except (EngineError, AttributeError, ImportError, KeyError, TypeError) as error:
        warnings.warn(
            f"what {path} holds of {', '.join(info['engines'])} is of another version ({error}): the estimator is compiled "
            f"again; save the model again",
            PixelwiseWarning,
            stacklevel=3,
        )
        return None
    return found


def _loaded(part: bytes, path: Any, info: Mapping[str, Any], trusted: Sequence[str]) -> Any:
    if info["format"] == "pickle":
        return joblib.load(io.BytesIO(part))
    import skops.io

    types = skops.io.get_untrusted_types(data=part)
    refused = sorted(name for name in types if name not in trusted and not is_known_type(name))
    if refused:
        raise ArtifactError(
            f"{path} holds types that are not trusted: {', '.join(refused)}; if you know them and who made the file, "
            f"pass trusted={refused}",
            types=refused,
        )
    return skops.io.loads(part, trusted=types)


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items())


@functools.lru_cache(maxsize=1024)
def is_known_type(name: str) -> bool:
    """Whether a type that skops does not know may be built: a class of a known library, or a scikit-learn metric.

    What the name stands for is looked at, and not the name alone: a module may hold things from elsewhere.

    Parameters
    ----------
    name : str
        Module and name.

    Returns
    -------
    bool
    """
    if name in _PLAIN_TYPES:
        return True
    module, _, attribute = name.rpartition(".")
    served = {text.partition(":")[0].partition(".")[0] for family in plugins().families for text in family.estimators}
    known = {"pixelwise", "sklearn", *served, *engine_packages()}
    if module.partition(".")[0] not in known or module.startswith("sklearn.externals"):
        return False
    found = getattr(importlib.import_module(module), attribute, None)
    if inspect.isclass(found):
        return str(found.__module__).partition(".")[0] == module.partition(".")[0]
    metric = inspect.isfunction(found) and str(found.__module__).startswith("sklearn.metrics.")
    return metric and module.startswith("sklearn.metrics.")
