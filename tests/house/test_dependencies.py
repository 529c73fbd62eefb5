"""What is imported is declared, with a lower bound that the minimum-versions run installs exactly."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
#: Where a module is named otherwise than its distribution.
DISTRIBUTIONS = {"sklearn": "scikit-learn"}
#: Extras that functions of the package import.
OPTIONAL = ("plot", "dask", "ray", "catalog", "indices")


def imported(when: str) -> set[str]:
    """Return the distributions that the source imports, at the top of a module ("always") or anywhere ("ever")."""
    found = set()
    for path in (ROOT / "src").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        nodes = ast.walk(tree) if when == "ever" else tree.body
        for node in nodes:
            if isinstance(node, ast.ImportFrom):
                found.add(str(node.module).split(".")[0])
            elif isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
    return {DISTRIBUTIONS.get(name, name) for name in found - set(sys.stdlib_module_names) - {"pixelwise"}}


def bounds(requirements: list[str]) -> dict[str, str]:
    """Return the lower bound of each requirement."""
    found = (re.fullmatch(r"([\w-]+)(?:\[\w+\])?>=([\d.]+)", text) for text in requirements)
    return dict(match.groups() for match in found)


CORE = bounds(PYPROJECT["dependencies"])
EXTRA = {name: bound for extra in OPTIONAL for name, bound in bounds(PYPROJECT["optional-dependencies"][extra]).items()}


def test_what_modules_import_is_a_core_dependency() -> None:
    assert imported("always") <= set(CORE)


def test_what_functions_import_is_a_core_dependency_or_an_extra() -> None:
    assert imported("ever") <= {*CORE, *EXTRA}


@pytest.mark.parametrize(("name", "bound"), [*CORE.items(), *EXTRA.items()])
def test_the_minimum_versions_run_installs_the_lower_bound(name: str, bound: str) -> None:
    text = (ROOT / "tests" / "minimum-constraints.txt").read_text(encoding="utf-8")
    pinned = dict(line.split("==") for line in text.splitlines() if "==" in line)
    release = [int(part) for part in bound.split(".")]
    assert [int(part) for part in pinned[name].split(".")] == release + [0] * (3 - len(release))


def test_the_citation_names_the_version() -> None:
    version = re.search(r'__version__ = "(.+)"', (ROOT / "src/pixelwise/version.py").read_text(encoding="utf-8"))
    assert version is not None
    assert f"version: {version[1]}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
