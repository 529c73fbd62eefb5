"""The ``pixelwise`` command."""

from pixelwise.cli.group import main

__all__ = ["main"]
