"""Where a long training stands, kept in a file, so that it goes on there after it was stopped."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pixelwise.errors import ArtifactError
from pixelwise.stored import is_known_type

__all__ = ["read_checkpoint", "write_checkpoint"]

#: Name of the array that holds all that is no array.
_STATE = "state"


def write_checkpoint(path: Path, state: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write a state, so that at any moment either the old or the new one is there in whole.

    The file is numpy's ``.npz``, whose arrays are written and read without a second copy of them in memory.

    Parameters
    ----------
    path : Path
        Where.
    state : dict
        Numbers, text, and an estimator that skops can save.
    arrays : mapping of str to ndarray
        Large arrays.

    Raises
    ------
    ArtifactError
        If the folder does not exist, or the estimator is of a kind that skops cannot save.
    """
    _check_folder(path)
    new = path.with_name(f"{path.name}.tmp")
    try:
        with new.open("wb") as file:
            stored: dict[str, Any] = {**arrays, _STATE: np.frombuffer(_dumped(state), np.uint8)}
            np.savez(file, **stored)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def _check_folder(path: Path) -> None:
    if not path.parent.is_dir():
        raise ArtifactError(f"checkpoint={str(path)!r} lies in a folder that does not exist: make it first")


def _dumped(state: Any) -> bytes:
    import skops.io
    from skops.io.exceptions import UnsupportedTypeException

    try:
        return bytes(skops.io.dumps(state))
    except UnsupportedTypeException as error:
        raise ArtifactError(f"checkpoint cannot keep the estimator ({error}): leave checkpoint out") from error


def read_checkpoint(path: Path, estimator: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
    """Read a state and its arrays.

    Nothing of an unknown type is built: known ones are those of scikit-learn, of the libraries that plugins serve, and of the
    library that the estimator is from.

    Parameters
    ----------
    path : Path
        Where it was written.
    estimator : estimator
        What is trained.

    Returns
    -------
    (dict, dict of str to ndarray) or None
        None where there is no file, but one can be written.

    Raises
    ------
    ArtifactError
        If it is no checkpoint, or holds other types; or if there is none, and none could be written.
    """
    import skops.io

    if not path.exists():
        _check_folder(path)
        _dumped(estimator)
        return None
    remedy = "remove it to start anew"
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        data = arrays.pop(_STATE).tobytes()
        types = skops.io.get_untrusted_types(data=data)
        own = type(estimator).__module__.partition(".")[0]
        refused = sorted(name for name in types if name.partition(".")[0] != own and not is_known_type(name))
        if refused:
            raise ArtifactError(f"checkpoint {path} holds types that are not trusted: {', '.join(refused)}; {remedy}")
        state = skops.io.loads(data, trusted=types)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        if isinstance(error, ArtifactError):
            raise
        raise ArtifactError(f"checkpoint {path} cannot be read ({error}): {remedy}") from error
    if not isinstance(state, dict) or "position" not in state:
        raise ArtifactError(f"{path} is no checkpoint: {remedy}")
    return state, arrays
