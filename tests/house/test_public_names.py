"""What `import pixelwise` gives: documented with examples, one hop from home, and nothing heavy."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import pixelwise as pw

SOURCE = Path(pw.__file__)
REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
#: Packages that pixelwise must leave alone when it is imported: they are optional, or heavy, or both.
HEAVY = (
    "catboost",
    "dask",
    "distributed",
    "georeader",
    "imblearn",
    "lightgbm",
    "matplotlib",
    "numba",
    "pystac",
    "ray",
    "skops",
    "spyndex",
    "torch",
    "xgboost",
)


def imports() -> dict[str, str]:
    """Return for each public name the module that `pixelwise/__init__.py` takes it from."""
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    nodes = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module != "__future__"]
    return {alias.asname or alias.name: str(node.module) for node in nodes for alias in node.names}


def public() -> list[tuple[str, Any]]:
    """Return every public function and class with the name to use for it, those of public modules included."""
    found: list[tuple[str, Any]] = []
    for name in imports():
        obj = getattr(pw, name)
        if isinstance(obj, ModuleType):
            found += [(f"{name}.{inner}", getattr(obj, inner)) for inner in obj.__all__]
        else:
            found.append((name, obj))
    return [(name, obj) for name, obj in found if inspect.isfunction(obj) or inspect.isclass(obj)]


PUBLIC = public()
#: An exception shows itself in the examples of what raises it.
WITH_EXAMPLE = [(name, obj) for name, obj in PUBLIC if not (inspect.isclass(obj) and issubclass(obj, BaseException | Warning))]


def test_the_package_holds_imports_and_nothing_else() -> None:
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    kinds = {type(node) for node in tree.body if not (isinstance(node, ast.Assign) and node.targets[0].id == "__all__")}  # type: ignore[attr-defined]
    assert kinds <= {ast.Import, ast.ImportFrom, ast.Expr}


@pytest.mark.parametrize(("name", "module"), list(imports().items()))
def test_a_public_name_is_one_hop_from_where_it_is_defined(name: str, module: str) -> None:
    obj = getattr(pw, name)
    if isinstance(obj, ModuleType):
        assert obj.__name__ == f"{module}.{name}"
    elif inspect.isfunction(obj) or inspect.isclass(obj):
        assert obj.__module__ == module
    else:
        tree = ast.parse(inspect.getsource(importlib.import_module(module)))
        targets = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
        assert name in [target.id for target in targets if isinstance(target, ast.Name)]


@pytest.mark.parametrize(("name", "obj"), WITH_EXAMPLE, ids=[name for name, _ in WITH_EXAMPLE])
def test_a_public_name_has_an_example_that_doctest_runs(name: str, obj: Any) -> None:
    doc = inspect.getdoc(obj) or ""
    assert "Examples\n--------" in doc
    assert ">>> " in doc


@pytest.mark.parametrize(("name", "obj"), WITH_EXAMPLE, ids=[name for name, _ in WITH_EXAMPLE])
def test_a_public_name_documents_each_parameter_and_no_other(name: str, obj: Any) -> None:
    validate = pytest.importorskip("numpydoc.validate", reason="numpydoc is not there")
    path = f"{obj.__module__}.{obj.__qualname__}"
    problems = [
        f"{code}: {text}" for code, text in validate.validate(path)["errors"] if code in ("PR01", "PR02", "PR03", "RT01")
    ]
    assert not problems


@pytest.mark.parametrize(("name", "obj"), PUBLIC, ids=[name for name, _ in PUBLIC])
def test_a_public_name_stands_in_the_reference(name: str, obj: Any) -> None:
    pages = "\n".join(page.read_text(encoding="utf-8") for page in REFERENCE.glob("*.md"))
    whole = f"automodule:: {obj.__module__}\n" in pages
    assert whole or re.search(rf"auto(class|function):: pixelwise\.([\w.]+\.)?{obj.__name__}\n", pages)
    index = (REFERENCE / "index.md").read_text(encoding="utf-8")
    assert re.search(rf"`([a-z]+\.)?{obj.__name__}`", index) or f"`{name.partition('.')[0]}`" in index


def test_importing_pixelwise_imports_nothing_heavy() -> None:
    # rioxarray imports dask on its own where it is there.
    code = f"import sys, rioxarray; own = set(sys.modules); import pixelwise; print(*set({HEAVY!r}) & (set(sys.modules) - own))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


def test_importing_pixelwise_loads_no_plugin() -> None:
    code = "import sys, pixelwise; print(*[name for name in sys.modules if name.startswith('pixelwise.default_plugins')])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


def test_pixelwise_carries_types_and_a_version() -> None:
    assert (SOURCE.parent / "py.typed").is_file()
    assert pw.__version__.count(".") >= 2
