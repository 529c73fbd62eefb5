"""Scenes among the files of a folder: one a file, or one of a file a band."""

from __future__ import annotations

import fnmatch
import glob
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from pixelwise.errors import CatalogError

__all__ = ["band_scenes", "raster_files"]

#: Suffixes that rasters in a folder have; a glob takes any.
_SUFFIXES = (".tif", ".tiff", ".jp2", ".img", ".vrt", ".nc", ".bil", ".bsq", ".bip", ".asc")
#: Folders inside each Sentinel-2 product, which say nothing of the scene.
_INNER = ("IMG_DATA", "R10m", "R20m", "R60m")


def raster_files(source: str) -> list[str]:
    """Return the raster files of a folder and those below it, or the files that a glob matches, sorted.

    Parameters
    ----------
    source : str
        A folder, without what is hidden in it; a glob such as "scenes/*_sr.tif" (with ``**`` for folders below); or a file.

    Returns
    -------
    list of str

    Raises
    ------
    CatalogError
        If there are none.
    """
    place = Path(source)
    if place.is_dir():
        found = sorted(str(path) for path in _seen(place, "*") if path.suffix.lower() in _SUFFIXES and path.is_file())
    elif glob.has_magic(source) and not place.exists():
        found = sorted(path for path in glob.glob(source, recursive=True) if Path(path).is_file())  # noqa: PTH207
    else:
        found = [source]
    if not found:
        raise CatalogError(f"there is no raster in {source}: check the path, or give a glob such as 'scenes/**/*.dat'")
    return found


def band_scenes(source: str, patterns: Mapping[str, str]) -> tuple[list[tuple[str, dict[str, str]]], dict[str, str]]:
    """Return the scenes of a folder that have one file for each band.

    Files of one folder make one scene, which is called as the folder is; those of Sentinel-2 as the granule is, whose IMG_DATA
    they lie in. If there are several for a band, those are a scene whose names have the same text in place of the first ``*``.

    Parameters
    ----------
    source : str
        A folder, searched to its depth.
    patterns : mapping of str to str
        For each band a pattern of its file, such as "*_B2.TIF", or of the folders down to it from that of the scene, such as
        "R10m/*_B02_10m.jp2".

    Returns
    -------
    scenes : list of (str, dict of str to str)
        Name, and the file of each band.
    unreadable : dict of str to str
        Names of scenes that lack a band or have too many files for it, and the reason.

    Raises
    ------
    CatalogError
        If nothing matches.
    """
    root = Path(source)
    if not root.is_dir():
        raise CatalogError(f"{source} is no folder: with bands={{band: pattern}} give the folder that holds the scenes")
    folders: dict[Path, dict[str, list[Path]]] = defaultdict(dict)
    for band, pattern in patterns.items():
        for path in sorted(_seen(root, pattern)):
            folders[path.parents[len(PurePath(pattern).parts) - 1]].setdefault(band, []).append(path)
    if not folders:
        raise CatalogError(f"no file below {source} matches {', '.join(patterns.values())}: check bands=")
    scenes: list[tuple[str, dict[str, str]]] = []
    unreadable = {}
    for folder, files in sorted(folders.items()):
        for name, parts in _scenes_of(folder, files, patterns).items():
            problem = _problem(parts, patterns)
            if problem:
                unreadable[str(folder) if name == _folder_name(folder) else str(folder / name)] = problem
            else:
                scenes.append((name, {band: str(parts[band][0]) for band in patterns}))
    return scenes, unreadable


def _seen(root: Path, pattern: str) -> Iterator[Path]:
    """Yield what matches below a folder, without what is hidden: a run that was killed leaves half-written maps there."""
    return (path for path in root.rglob(pattern) if not any(part.startswith(".") for part in path.relative_to(root).parts))


def _scenes_of(
    folder: Path, files: Mapping[str, Sequence[Path]], patterns: Mapping[str, str]
) -> Mapping[str, Mapping[str, Any]]:
    if all(len(paths) == 1 for paths in files.values()):
        return {_folder_name(folder): files}
    scenes: dict[str, dict[str, list[Path]]] = defaultdict(dict)
    for band, paths in files.items():
        wild = PurePath(patterns[band]).name
        for path in paths:
            scenes[_wild_text(wild, path.name)].setdefault(band, []).append(path)
    return scenes


def _folder_name(folder: Path) -> str:
    whole = folder.resolve()
    return next((place.name for place in (whole, *whole.parents) if place.name not in _INNER), whole.name)


def _wild_text(pattern: str, name: str) -> str:
    """Return what stands in a name where its pattern has the first star, without separators at its ends."""
    before, star, after = pattern.partition("*")
    if not star:
        return name
    found = re.match(f"{fnmatch.translate(before)[:-2]}(.*?){fnmatch.translate(after)}", name, re.IGNORECASE)
    return (found[1] if found else name).strip("_-. ") or name


def _problem(files: Mapping[str, Sequence[Path]], patterns: Mapping[str, str]) -> str:
    for band, pattern in patterns.items():
        many = [path.name for path in files.get(band, ())]
        if not many:
            return (
                f"no files match {band}={pattern!r}; where bands lie in folders of their own, name those in the patterns, "
                "such as 'R10m/*_B02_10m.jp2'"
            )
        if len(many) > 1:
            return f"{len(many)} files match {band}={pattern!r}: {', '.join(many[:3])}"
    return ""
