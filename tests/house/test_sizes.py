"""Modules, functions and names stay of a size and kind that a reader can hold."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import pixelwise

ROOT = Path(pixelwise.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
NAMES = [str(path.relative_to(ROOT)) for path in MODULES]
#: Names of modules that say nothing about what is in them.
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "tools"}


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_a_module_has_four_hundred_lines_at_the_most(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_a_function_fits_a_screen(path: Path) -> None:
    long = {}
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            if lines > 60:
                long[node.name] = lines
    assert not long


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_a_module_is_named_after_what_is_in_it(path: Path) -> None:
    parts = [part.removesuffix(".py").strip("_") for part in path.relative_to(ROOT).parts]
    assert not EMPTY_NAMES & set(parts)


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_no_function_imports_pixelwise(path: Path) -> None:
    functions = [node for node in ast.walk(parse(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    inner = [node for function in functions for node in ast.walk(function)]
    names = [node.module or "" for node in inner if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in inner if isinstance(node, ast.Import) for alias in node.names]
    assert not [name for name in names if name.split(".")[0] == "pixelwise"]


def test_a_pixel_is_reshaped_in_the_layouts_alone() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for path in MODULES
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Attribute) and node.attr == "reshape"
    }
    assert found <= {"table/layout.py", "table/temporal_layout.py"}
