"""How Sphinx builds the pages."""

from __future__ import annotations

import re
from importlib.metadata import version as installed

project = "pixelwise"
author = "pixelwise developers"
copyright = "2026, pixelwise developers"
release = version = installed("pixelwise")

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say shapes and units, which types do not
# The pages name each class's members themselves: scikit-learn's inherited ones are documented there.
numpydoc_show_class_members = False

html_theme = "furo"
html_title = f"pixelwise {release}"


def hide_last_blank_line(_app, _page, source):
    """Drop the blank line before a fence: doctest needs it, to not take the fence for expected output, and readers do not."""
    source[0] = re.sub(r"\n\n```$", "\n```", source[0], flags=re.MULTILINE)


def setup(app):
    app.connect("source-read", hide_last_blank_line)
