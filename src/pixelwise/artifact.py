"""The fitted thing written to disk: the model, and what one has to know of it, in one file."""

from __future__ import annotations

import datetime as dt
import inspect
import io
import json
import platform
import sys
import zipfile
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from pixelwise.errors import ArtifactError
from pixelwise.estimators.mapping import is_fitted
from pixelwise.mapped import TABLES, Aside, aside, digest, write_array
from pixelwise.operators.base import Operator
from pixelwise.operators.core import Graph, Tap
from pixelwise.raster.destination import staged
from pixelwise.stored import FORMAT_VERSION, INFO, PARTS, PROGRAMS
from pixelwise.table.layout import ToPixelMajor
from pixelwise.table.missing import as_policy
from pixelwise.version import __version__

__all__ = ["save_artifact"]


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
    if format not in PARTS:
        raise ArtifactError(f"format={format!r} is not known: choose 'skops', or 'pickle' for what skops cannot save")
    if inspect.isclass(model) or not is_fitted(model):
        raise ArtifactError(f"{_class_name(model)} is not fitted: call fit before it is saved")
    if place.is_dir() or not place.parent.is_dir():
        raise ArtifactError(f"{place} cannot be written: name a file in a folder that exists, such as model.pixelwise")
    if any(isinstance(step, Tap) for step in _parts(model)):
        raise ArtifactError(f"{_class_name(model)} holds a Tap, whose function is code: take it out before the model is saved")
    with aside(Aside()) as beside:
        part = _dumped(model, format)
        needs = sorted(beside.engines - {"none"})
        # Arrays of theirs are set aside too.
        programs = _dumped(beside.programs, format) if beside.programs else b""
    arrays = [np.ascontiguousarray(array) for array in beside.arrays]
    modules = _modules(part, programs) if format == "skops" else {type(step).__module__ for step in _parts(model)}
    info = {
        "format": format,
        "format_version": FORMAT_VERSION,
        "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "sha256": digest(part),
        "engines": sorted(beside.engines - {"none"}),
        "needs": needs,
        "sha256_beside": [digest(each) for each in (programs, *arrays)],
        "versions": _versions(modules),
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
                archive.writestr(INFO, text)
                archive.writestr(PARTS[format], part)
                if programs:
                    archive.writestr(PROGRAMS[format], programs)
                for number, array in enumerate(arrays):
                    write_array(archive, f"{TABLES}{number}.npy", array)
            (folder / place.name).replace(place)
    except OSError as error:
        raise ArtifactError(f"{place} cannot be written: {error.strerror}; check permissions and free space") from error
    return place


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
    layout = None if mapper is None else vars(mapper).get("adapter_") or mapper.adapter or ToPixelMajor()
    dtype, fill = (None, None) if mapper is None else _output(mapper)
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
    """Return dtype and fill of the maps of a Pixelwise estimator."""
    method = "predict" if hasattr(mapper, "predict") else "transform"
    if not hasattr(mapper, method) or not is_fitted(mapper):
        return None, None
    pair = mapper._pair(method, as_policy(mapper.nan))
    # JSON has no NaN.
    return pair.dtype, "nan" if np.isnan(pair.fill_value) else pair.fill_value


def _class_name(obj: Any) -> str:
    cls = obj if inspect.isclass(obj) else type(obj)
    return f"{cls.__module__}.{cls.__qualname__}"


def _modules(*parts: bytes) -> set[str]:
    """Return the modules of all types in parts that skops has written."""
    found: set[str] = set()
    waiting: list[Any] = []
    for part in filter(None, parts):
        with zipfile.ZipFile(io.BytesIO(part)) as archive:
            waiting.append(json.loads(archive.read("schema.json")))
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
