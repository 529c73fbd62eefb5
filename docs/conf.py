"""How Sphinx builds the pages."""

from __future__ import annotations

from importlib.metadata import version as installed

project = "pixelwise"
author = "pixelwise developers"
copyright = "2026, pixelwise developers"
release = version = installed("pixelwise")

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.doctest"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say shapes and units, which types do not
numpydoc_show_class_members = True
numpydoc_show_inherited_class_members = False
numpydoc_class_members_toctree = False

html_theme = "furo"
html_title = f"pixelwise {release}"
