"""What goes into an artifact beside the model: large arrays of compiled estimators, which are mapped and not read."""

from __future__ import annotations

import copy
import hashlib
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from pixelwise.errors import ArtifactError
from pixelwise.plugins import plugins

__all__ = [
    "Aside",
    "TABLES",
    "aside",
    "current",
    "digest",
    "engine_packages",
    "map_array",
    "put_back",
    "set_aside",
    "write_array",
]

#: The folder of the arrays in an artifact.
TABLES = "tables/"
#: Arrays of fewer bytes stay in the model.
_SMALL = 1 << 16
#: Bytes of a cache line, which compiled kernels want arrays to begin with.
_LINE = 64
#: The tag of an extra field of a zip archive that only fills up.
_PADDING = 0xD935


@dataclass
class Aside:
    """What is set aside while a model is saved, and is there to be put back while it is loaded.

    Parameters
    ----------
    arrays : list of ndarray
        Arrays, which stand in the model as a `Mapped` with their number.
    programs : list of CompiledEstimator, or None
        What wrappers with an engine have compiled; None where that cannot be used here.
    engines : set of str
        Engines of what has been compiled.
    saving : bool, default=True
        Whether the model is being saved.
    """

    arrays: list[np.ndarray] = field(default_factory=list)
    programs: list[Any] | None = field(default_factory=list)
    engines: set[str] = field(default_factory=set)
    saving: bool = True


@dataclass(frozen=True)
class Mapped:
    """Stands in a saved model for an array.

    Parameters
    ----------
    number : int
        Which.
    """

    number: int


_CURRENT: ContextVar[Aside | None] = ContextVar("pixelwise_aside", default=None)


def current(*, saving: bool) -> Aside | None:
    """Return what is set aside, while a model is being saved or loaded; else None."""
    found = _CURRENT.get()
    return found if found is not None and found.saving == saving else None


@contextmanager
def aside(what: Aside) -> Iterator[Aside]:
    """Set things aside, or put them back, until the end of the with statement.

    Parameters
    ----------
    what : Aside
        Where they are kept.

    Yields
    ------
    Aside
        The same.

    Examples
    --------
    >>> import numpy as np
    >>> from pixelwise.mapped import Aside, aside, set_aside
    >>> with aside(Aside()) as kept:
    ...     print(set_aside({"nodes": np.zeros(100_000), "few": 1}), len(kept.arrays))
    {'nodes': Mapped(number=0), 'few': 1} 1
    """
    token = _CURRENT.set(what)
    try:
        yield what
    finally:
        _CURRENT.reset(token)


def engine_packages() -> set[str]:
    """Return the packages that engines come from: their types may be built, and are looked into for arrays."""
    return {type(engine).__module__.partition(".")[0] for engine in plugins().engines}


def digest(data: Any) -> str:
    """Return the SHA-256 of bytes or of an array."""
    return hashlib.sha256(data).hexdigest()


def set_aside(value: Any) -> Any:
    """Return a copy of a program, with large arrays replaced, while a model is being saved; else the program itself."""
    kept = current(saving=True)
    return value if kept is None else _exchange(value, lambda array: _taken(array, kept.arrays), engine_packages())


def put_back(value: Any) -> Any:
    """Return a program with its arrays in place, while a model is being loaded; else the program itself."""
    kept = current(saving=False)
    return value if kept is None else _exchange(value, lambda array: _given(array, kept.arrays), engine_packages())


def _taken(value: Any, arrays: list[np.ndarray]) -> Any:
    if not isinstance(value, np.ndarray) or value.nbytes < _SMALL or value.dtype.kind not in "biuf":
        return value
    # skops asks twice for the state of an object.
    number = next((number for number, array in enumerate(arrays) if array is value), len(arrays))
    if number == len(arrays):
        arrays.append(value)
    return Mapped(number)


def _given(value: Any, arrays: list[np.ndarray]) -> Any:
    if not isinstance(value, Mapped):
        return value
    if value.number not in range(len(arrays)):
        raise ArtifactError(f"table {value.number} is not there: get the file again")
    return arrays[value.number]


def _exchange(value: Any, exchanged: Any, packages: set[str]) -> Any:
    """Return a value with all arrays in it exchanged; what holds none of them, and estimators, stay what they are."""
    if isinstance(value, np.ndarray | Mapped):
        return exchanged(value)
    if type(value) in (list, tuple):
        return type(value)(_exchange(each, exchanged, packages) for each in value)
    if type(value) is dict:
        return {name: _exchange(each, exchanged, packages) for name, each in value.items()}
    if type(value).__module__.partition(".")[0] in packages and hasattr(value, "__dict__") and not hasattr(value, "fit"):
        made = copy.copy(value)
        vars(made).update({name: _exchange(each, exchanged, packages) for name, each in vars(value).items()})
        return made
    return value


def write_array(archive: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    """Write an array as a member that can be mapped: in the format of numpy, not compressed, and in line with memory.

    Parameters
    ----------
    archive : ZipFile
        Open for writing.
    name : str
        Of the member.
    array : ndarray
        Without objects.
    """
    member = zipfile.ZipInfo(name)
    assert archive.fp is not None
    # The header of a member has 30 bytes, its name, the extra field that fills up, and the 20 bytes of one for large members;
    # numpy's header has whole lines.
    fill = -(archive.fp.tell() + 30 + len(name) + 4 + 20) % _LINE
    member.extra = struct.pack("<HH", _PADDING, fill) + bytes(fill)
    with archive.open(member, "w", force_zip64=True) as file:
        npy.write_array(file, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)


def map_array(path: str | Path, archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """Map a member that `write_array` has written; it is read when it is used, and once for all processes.

    Parameters
    ----------
    path : path
        The archive.
    archive : ZipFile
        Open for reading.
    name : str
        Of the member.

    Returns
    -------
    ndarray
        It cannot be written.

    Raises
    ------
    ArtifactError
        If it is compressed, or no plain array of numbers.
    """
    with Path(path).open("rb") as file:
        info = archive.getinfo(name)
        file.seek(info.header_offset + 26)
        file.seek(info.header_offset + 30 + sum(struct.unpack("<HH", file.read(4))))
        if info.compress_type != zipfile.ZIP_STORED or npy.read_magic(file) != (1, 0):
            raise ArtifactError(f"{name} in {path} cannot be mapped: save the model again")
        shape, fortran, dtype = npy.read_array_header_1_0(file)
        return _mapped(file, info, shape, fortran, dtype, name)


def _mapped(file: BinaryIO, info: zipfile.ZipInfo, shape: tuple[int, ...], fortran: bool, dtype: Any, name: str) -> np.ndarray:
    if dtype.kind not in "biuf" or fortran or int(np.prod(shape)) * dtype.itemsize > info.file_size:
        raise ArtifactError(f"{name} cannot be mapped: it is no plain array; save the model again")
    return np.memmap(file, dtype, "r", file.tell(), shape)
