"""The command group: errors in one line, warnings in one line, exit codes."""

from __future__ import annotations

import traceback
import warnings
from typing import Any

import click
from rasterio.errors import RasterioError
from shapely.errors import ShapelyError

from pixelwise.cli.applicability import applicability
from pixelwise.cli.assess import assess
from pixelwise.cli.demo import demo
from pixelwise.cli.folds import folds
from pixelwise.cli.info import info
from pixelwise.cli.predict import predict
from pixelwise.cli.train import train
from pixelwise.errors import PixelwiseError
from pixelwise.version import __version__

__all__ = ["main"]

#: What bad input and a full disk raise in the libraries below; anything else is a mistake of ours, and shows its traceback.
_EXPECTED = (
    OSError, ValueError, TypeError, LookupError, RuntimeError, ArithmeticError, ImportError, MemoryError,
    RasterioError, ShapelyError,
)  # fmt: skip


class _Commands(click.Group):
    """A group whose commands tell an error in one line."""

    def invoke(self, ctx: click.Context) -> Any:
        with warnings.catch_warnings():
            # Those that speak to users: ours are among them, and so are scikit-learn's of models that did not converge.
            warnings.simplefilter("default", UserWarning)
            warnings.showwarning = _show_warning
            try:
                return super().invoke(ctx)
            except (click.exceptions.Exit, click.ClickException, click.Abort):
                # They are RuntimeErrors, some of them, and click's own way to end.
                raise
            except KeyboardInterrupt:
                click.echo("interrupted", err=True)
                ctx.exit(130)
            except _EXPECTED as error:
                if ctx.params["debug"]:
                    traceback.print_exc()
                hint = "" if isinstance(error, PixelwiseError | OSError) else " (pixelwise --debug ... shows where)"
                click.echo(f"error: {_one_line(error)}{hint}", err=True)
                ctx.exit(1)


def _one_line(error: object) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"warning: {_one_line(message)}", err=True)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="pixelwise")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Make maps from rasters with scikit-learn.

    \b
    pixelwise demo                                 the whole way on a real Sentinel-2 scene
    pixelwise folds scene.tif polygons.gpkg --column class  what folds are like before a model is fitted
    pixelwise train scene.tif polygons.gpkg --column class
    pixelwise predict model.pixelwise scene.tif map.tif
    pixelwise assess map.tif points.gpkg --column class     design-based accuracy and areas
    pixelwise applicability model.pixelwise scene.tif inside.tif
    pixelwise info map.tif                         what a raster or a model holds

    Exit codes: 0 done, 1 an error, told in one line, 2 wrong usage, 130 interrupted.
    """  # noqa: D301


for command in (demo, folds, train, predict, assess, applicability, info):
    main.add_command(command)
