"""``pixelwise predict``."""

from __future__ import annotations

from pathlib import Path

import click

from pixelwise.cli.options import check_free, progress_bar, with_progress
from pixelwise.inference.streaming import predict_raster
from pixelwise.raster.destination import check_destination
from pixelwise.stored import load_artifact

__all__ = ["predict"]


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("src", metavar="SRC")
@click.argument("dst", type=click.Path(path_type=Path))
@click.option("--memory", default="512MB", show_default=True, help="Most memory beyond the model: 512MB, 2GB, 1GiB.")
@click.option("--method", type=click.Choice(["predict", "predict_proba", "predict_uncertainty"]), default="predict",
              show_default=True, help="predict: one band of class codes or numbers; predict_proba: one band a class, from 0 to "
              "1; predict_uncertainty: entropy of these, from 0 to 1, or standard deviation of a number.")  # fmt: skip
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Threads; they share the memory.")
@click.option("--overwrite/--no-overwrite", default=False, show_default=True, help="Replace an existing map.")
@click.option("--trusted", multiple=True, metavar="TYPE", help="Type that may be built, as the error names it.")
@click.option("--allow-pickle", is_flag=True, help="Load a model saved as a pickle, which can run any code.")
@with_progress
def predict(
    model: Path, src: str, dst: Path, memory: str, method: str, workers: int, overwrite: bool, trusted: tuple[str, ...],
    allow_pickle: bool, progress: bool | None,
) -> None:  # fmt: skip
    """Apply a saved model to a raster, and write the map as a GeoTIFF.

    MODEL is what `pixelwise train` has saved, SRC a raster with the bands that it was trained on (in any order, if they
    have names), DST a .tif. The map is tiled and compressed, says its nodata, class names and colours, and appears when it
    is complete: an error leaves what was there before.

    \b
    Examples:
        pixelwise predict model.pixelwise scene.tif map.tif
        pixelwise predict model.pixelwise scene.tif shares.tif --method predict_proba --memory 1GB
    """  # noqa: D301
    check_free(check_destination(dst), overwrite)
    loaded = load_artifact(model, trusted=trusted, allow_pickle=allow_pickle)
    threads = workers if workers > 1 else None
    made = predict_raster(loaded, src, dst, memory=memory, method=method, workers=threads, progress=progress_bar(progress))
    click.echo(f"wrote {made}")
