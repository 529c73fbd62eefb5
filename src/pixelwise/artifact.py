"""The fitted thing on disk: the model, and what one has to know of it, in one file."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import importlib
import inspect
import io
import json
import platform
import sys
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import rasterio

from pixelwise.errors import ArtifactError, PixelwiseWarning
from pixelwise.estimators.mapping import is_fitted
from pixelwise.operators.base import Operator
from pixelwise.operators.core import Graph, Tap
from pixelwise.plugins import plugins
from pixelwise.raster.carriers import Raster
from pixelwise.raster.destination import staged
from pixelwise.raster.grid import Grid
from pixelwise.table.layout import ToPixelMajor
from pixelwise.version import __version__

__all__ = ["artifact_info", "load_artifact", "save_artifact"]

_FORMAT_VERSION = 1
_INFO = "pixelwise.json"
_PARTS = {"skops": "model.skops", "pickle": "model.pkl"}
#: Harmless containers of the standard library that boosters keep their parameters in.
_PLAIN_TYPES = {"collections.OrderedDict"}


def save_artifact(model: Any, path: Any, *, metadata: Mapping[str, Any] | None = None, format: str = "skops") -> Path:  # noqa: A002
    """Save a fitted model, with its bands, classes and provenance, as one file.

    The file is a zip archive of the model, in the format of skops, which holds data and names of types but no code, and of
    ``pixelwise.json``, which `artifact_info` returns. It is written under another name and renamed.

    Parameters
    ----------
    model : estimator
        Fitted: a Pixelwise estimator, a Pipeline, a search, or any scikit-learn compatible estimator.
    path : path
        Destination, ``model.pixelwise`` by custom.
    metadata : mapping or None, default=None
        Provenance: whatever JSON holds, such as where the labels come from.
    format : {"skops", "pickle"}, default="skops"
        "pickle" saves what skops cannot; such a file can run any code when it is loaded, so that `load_artifact` asks for
        permission.

    Returns
    -------
    pathlib.Path
        The destination.

    Raises
    ------
    ArtifactError
        If the model is not fitted, part of it cannot be saved, or the destination cannot be written.

    See Also
    --------
    load_artifact : The way back.

    Examples
    --------
    >>> import tempfile
    >>> import pixelwise as pw
    >>> from sklearn.linear_model import LogisticRegression
    >>> scene, polygons = pw.datasets.make_example()
    >>> X, y = pw.extract_pixels(scene, polygons, column="class")
    >>> model = pw.PixelwiseClassifier(LogisticRegression()).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pw.save_artifact(model, f"{folder}/model.pixelwise", metadata={"labels": "made up"})
    ...     pw.artifact_info(path)["classes"], bool((pw.load_artifact(path).predict(X) == model.predict(X)).all())
    (['forest', 'water'], True)
    """
    place = Path(path)
    if format not in _PARTS:
        raise ArtifactError(f"format={format!r} is not known: choose 'skops', or 'pickle' for what skops cannot save")
    if inspect.isclass(model) or not is_fitted(model):
        raise ArtifactError(f"{_class_name(model)} is not fitted: call fit before it is saved")
    if place.is_dir() or not place.parent.is_dir():
        raise ArtifactError(f"{place} cannot be written: name a file in a folder that exists, such as model.pixelwise")
    if any(isinstance(step, Tap) for step in _parts(model)):
        raise ArtifactError(f"{_class_name(model)} holds a Tap, whose function is code: take it out before the model is saved")
    part = _dumped(model, format)
    info = {
        "format": format,
        "format_version": _FORMAT_VERSION,
        "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "sha256": hashlib.sha256(part).hexdigest(),
        "versions": _versions(_modules(part) if format == "skops" else {type(step).__module__ for step in _parts(model)}),
        **_description(model),
        "metadata": dict(metadata or {}),
    }
    try:
        text = json.dumps(info, indent=1, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ArtifactError(
            f"metadata cannot be saved, because JSON does not hold it ({error}): use text and numbers"
        ) from error
    try:
        with staged(place) as folder:
            with zipfile.ZipFile(folder / place.name, "w") as archive:
                archive.writestr(_INFO, text)
                archive.writestr(_PARTS[format], part)
            (folder / place.name).replace(place)
    except OSError as error:
        raise ArtifactError(f"{place} cannot be written: {error.strerror}; check permissions and free space") from error
    return place


def load_artifact(path: Any, *, trusted: Sequence[str] = (), allow_pickle: bool = False) -> Any:
    """Load a saved model.

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
    info, part = _read(path)
    if hashlib.sha256(part).hexdigest() != info["sha256"]:
        raise ArtifactError(f"{path} is damaged: its model is not the one that was saved; get the file again")
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
    try:
        return joblib.load(io.BytesIO(part)) if info["format"] == "pickle" else _loaded(part, path, trusted)
    except ModuleNotFoundError as error:
        raise ArtifactError(f"{path} needs {error.name}, which is not installed: pip install {error.name}") from error
    except (AttributeError, ImportError, KeyError, TypeError) as error:
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
        (UTC), ``metadata``, ``format``, ``format_version`` and ``sha256``.

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
    return _read(path)[0]


def _read(path: Any) -> tuple[dict[str, Any], bytes]:
    remedy = "name a file that save_artifact has written, whole"
    try:
        with zipfile.ZipFile(path) as archive:
            info: dict[str, Any] = json.loads(archive.read(_INFO))
            if info["format_version"] > _FORMAT_VERSION:
                newer = info["versions"]["pixelwise"]
                raise ArtifactError(f"{path} was saved by a newer pixelwise, {newer}: update with pip install -U pixelwise")
            return info, archive.read(_PARTS[info["format"]])
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror or error}; {remedy}") from error
    except (zipfile.BadZipFile, zlib.error, KeyError, TypeError, ValueError, EOFError) as error:
        if isinstance(error, ArtifactError):
            raise
        raise ArtifactError(f"{path} is no artifact, or is cut short ({error}): {remedy}") from error


def _loaded(part: bytes, path: Any, trusted: Sequence[str]) -> Any:
    import skops.io

    types = skops.io.get_untrusted_types(data=part)
    refused = sorted(name for name in types if name not in trusted and not _is_known(name))
    if refused:
        raise ArtifactError(
            f"{path} holds types that are not trusted: {', '.join(refused)}; if you know them and who made the file, "
            f"pass trusted={refused}",
            types=refused,
        )
    return skops.io.loads(part, trusted=types)


def _dumped(model: Any, format: str) -> bytes:  # noqa: A002
    if format == "pickle":
        buffer = io.BytesIO()
        joblib.dump(model, buffer, compress=3)
        return buffer.getvalue()
    import skops.io

    try:
        part: bytes = skops.io.dumps(model, compression=zipfile.ZIP_DEFLATED)
    except (TypeError, AttributeError) as error:
        raise ArtifactError(
            f"part of {_class_name(model)} cannot be saved ({error}): replace it by plain values, such as a CRS by "
            f"'EPSG:32633', or use format='pickle'"
        ) from error
    lost = sorted(name for name in skops.io.get_untrusted_types(data=part) if "<" in name)
    if lost:
        raise ArtifactError(
            f"{_class_name(model)} holds {', '.join(lost)}, which has no name to find it by: define it at the top of a module",
            types=lost,
        )
    return part


def _parts(model: Any) -> Iterator[Any]:
    """Yield a model and what it is made of: steps, the best estimator of a search, wrapped estimators."""
    yield model
    inside = [step for _, step in getattr(model, "steps", ()) if hasattr(step, "fit")]
    # A forest has a fitted estimator_ too, but no parameter of that name: it is no wrapper.
    if hasattr(model, "get_params") and "estimator" in model.get_params(deep=False):
        held = vars(model)
        inside.append(held.get("best_estimator_", held.get("estimator_", model.estimator)))
    if isinstance(model, Graph):
        inside += [node.step for node in model.nodes() if node.step is not None]
    for step in inside:
        yield from _parts(step)


def _description(model: Any) -> dict[str, Any]:
    parts = list(_parts(model))
    mapper = next((part for part in parts if hasattr(part, "adapter") and hasattr(part, "output_dtype")), None)
    source = mapper if mapper is not None else model
    names = getattr(source, "feature_names_in_", None)
    classes = getattr(source, "classes_", None)
    layout = getattr(mapper, "adapter", None) or (ToPixelMajor() if mapper is not None else None)
    dtype, fill = _output(mapper) if isinstance(layout, ToPixelMajor) else (None, None)
    return {
        "model": _class_name(model),
        "estimator": _class_name(parts[-1]),
        "parameters": repr(model),
        "features": None if names is None else [str(name) for name in names],
        "n_features": getattr(source, "n_features_in_", None),
        "classes": None if classes is None else [np.asarray(part).tolist() for part in classes],
        "dtype": dtype,
        "fill_value": fill,
        "layout": None if layout is None else repr(layout),
        "operators": [repr(part) for part in parts if isinstance(part, Operator)],
    }


def _output(mapper: Any) -> tuple[str | None, int | float | str | None]:
    """Ask a Pixelwise estimator for dtype and fill of its maps, by way of a map of one pixel without data."""
    method = "predict" if hasattr(mapper, "predict") else "transform"
    names, count = getattr(mapper, "feature_names_in_", None), getattr(mapper, "n_features_in_", None)
    if not hasattr(mapper, method) or count is None:
        return None, None
    empty = np.full((count, 1, 1), np.nan, np.float32)
    bands = None if names is None else tuple(map(str, names))
    made = getattr(mapper, method)(Raster(empty, Grid(None, rasterio.Affine.identity(), 1, 1), bands))
    fill = made.nodata[0]
    # JSON has no NaN.
    return made.values.dtype.name, "nan" if fill is None or np.isnan(fill) else np.asarray(fill).item()


def _class_name(obj: Any) -> str:
    cls = obj if inspect.isclass(obj) else type(obj)
    return f"{cls.__module__}.{cls.__qualname__}"


def _modules(part: bytes) -> set[str]:
    """Return the modules of all types in a part that skops has written."""
    with zipfile.ZipFile(io.BytesIO(part)) as archive:
        schema = json.loads(archive.read("schema.json"))
    found: set[str] = set()
    waiting: list[Any] = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            found.add(str(node.get("__module__", "builtins")))
            waiting += list(node.values())
        elif isinstance(node, list):
            waiting += node
    return found


def _versions(modules: set[str]) -> dict[str, str]:
    """Return the versions of the distributions that modules come from, and of what every model needs."""
    roots = {module.partition(".")[0] for module in modules} - sys.stdlib_module_names - {"pixelwise", "sklearn"}
    found = {"pixelwise": __version__, "python": platform.python_version(), "scikit-learn": version("scikit-learn")}
    for root in sorted(roots | {"numpy", "skops"}):
        try:
            found[root] = version(root)
        except PackageNotFoundError:
            # Such as xgboost, which the distribution xgboost-cpu brings too; looking at all distributions takes a second.
            found |= {name: version(name) for name in packages_distributions().get(root, ())}
    return found


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items())


@functools.lru_cache(maxsize=1024)
def _is_known(name: str) -> bool:
    """Whether a type that skops does not know may be built: a class of a known library, or a scikit-learn metric.

    What the name stands for is looked at, and not the name alone: a module may hold things from elsewhere.
    """
    if name in _PLAIN_TYPES:
        return True
    module, _, attribute = name.rpartition(".")
    served = {text.partition(":")[0].partition(".")[0] for family in plugins().families for text in family.estimators}
    if module.partition(".")[0] not in {"pixelwise", "sklearn", *served} or module.startswith("sklearn.externals"):
        return False
    found = getattr(importlib.import_module(module), attribute, None)
    if inspect.isclass(found):
        return str(found.__module__).partition(".")[0] == module.partition(".")[0]
    metric = inspect.isfunction(found) and str(found.__module__).startswith("sklearn.metrics.")
    return metric and module.startswith("sklearn.metrics.")
