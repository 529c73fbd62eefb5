"""A graph with several inputs, given the rasters of a scene: the scene itself, and files that lie beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rasterio.windows import Window
from sklearn.pipeline import Pipeline

from pixelwise.catalog.scene import Scene
from pixelwise.errors import CatalogError, GridError
from pixelwise.operators.graph import Graph
from pixelwise.raster.carriers import Raster
from pixelwise.raster.io import RasterFile
from pixelwise.raster.onto import source_window
from pixelwise.raster.open_files import use_file

__all__ = ["grown", "inputs_of", "read_inputs"]


def inputs_of(pipeline: Any) -> tuple[str, ...]:
    """Return the names of the rasters that a pipeline takes; none where it takes a single one.

    Parameters
    ----------
    pipeline : object
        A `Graph`, or steps that begin with one; anything else takes a single raster.

    Returns
    -------
    tuple of str
    """
    while isinstance(pipeline, Pipeline):
        pipeline = pipeline.steps[0][1]
    return tuple(pipeline.inputs) if isinstance(pipeline, Graph) and len(pipeline.inputs) > 1 else ()


def read_inputs(names: Sequence[str], scene: Scene, chip: Raster, halo: int) -> dict[str, Raster]:
    """Read what the inputs of a graph are of the place of a chip.

    The input ``sar`` is the file that ``sar_uri`` of the scene's metadata names, on its own grid; the one input without such a
    column is the scene itself.

    Parameters
    ----------
    names : sequence of str
        The inputs.
    scene : Scene
        Where the chip is from.
    chip : Raster
        The scene's own pixels.
    halo : int
        Pixels of each file round the chip that are read, too.

    Returns
    -------
    dict of str to Raster

    Raises
    ------
    CatalogError
        If several inputs have no column.
    GridError
        If a file lies elsewhere.
    """
    own = [name for name in names if f"{name}_uri" not in scene.metadata]
    if len(own) > 1:
        columns = " and ".join(f"{name}_uri" for name in own)
        raise CatalogError(
            f"scene {scene.id} has neither {columns}, and only one input of a graph can be the scene itself: add a column with "
            "the file of each other input to the catalog"
        )

    def part(file: RasterFile) -> Raster | None:
        """Return what the file holds there."""
        window = source_window(file.grid, chip.grid)
        return None if window is None else file.read(grown(window, halo, file.grid.shape))

    found = {}
    for name in names:
        raster = chip if name in own else use_file(scene.metadata[f"{name}_uri"], part)
        if raster is None:
            raise GridError(f"{name}_uri of scene {scene.id} lies elsewhere: check {scene.metadata[f'{name}_uri']}")
        found[name] = raster.with_values(raster.values, attrs={**raster.attrs, **scene.metadata})
    return found


def grown(window: Window, halo: int, shape: tuple[int, int]) -> Window:
    """Return a window with a ring of pixels round it, as far as a raster goes.

    Parameters
    ----------
    window : rasterio.windows.Window
        Rows and columns.
    halo : int
        Width of the ring.
    shape : (int, int)
        Rows and columns of the raster.

    Returns
    -------
    rasterio.windows.Window

    Examples
    --------
    >>> from rasterio.windows import Window
    >>> from pixelwise.catalog.inputs import grown
    >>> grown(Window(0, 10, 20, 20), 3, (60, 80))
    Window(col_off=0, row_off=7, width=23, height=26)
    """
    (top, bottom), (left, right) = window.toranges()
    top, left = max(0, top - halo), max(0, left - halo)
    return Window(left, top, min(shape[1], right + halo) - left, min(shape[0], bottom + halo) - top)
