"""ApplyToChips: a model applied to a raster chip by chip, and the chips put together again."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.windows import Window

from pixelwise.catalog.samplers import as_size
from pixelwise.catalog.scene import Scene
from pixelwise.errors import GridError, PixelwiseWarning
from pixelwise.inference.context import known_halo
from pixelwise.inference.models import as_raster_model, method_of
from pixelwise.inference.outputs import refuse_sources
from pixelwise.inference.padding import check_padding, padded
from pixelwise.inference.reading import ChipReader, in_order
from pixelwise.inference.scene_source import SceneSource, source_of
from pixelwise.operators.base import Operator
from pixelwise.operators.graph import Node
from pixelwise.raster.carriers import Raster, is_raster, rewrap, unwrap
from pixelwise.raster.dataarray import to_dataarray
from pixelwise.raster.destination import check_destination, tile_side
from pixelwise.raster.io import RasterFile, as_nan
from pixelwise.raster.open_files import gdal_cache
from pixelwise.raster.stitching import ChipStitcher, Stitch
from pixelwise.raster.write import RasterWriter

__all__ = ["ApplyToChips"]

#: Least and most bytes of GDAL's cache.
_CACHE = 16 * 2**20, 64 * 2**20


class ApplyToChips(Operator):
    """Apply a model to a raster chip by chip, and put the results together.

    It is meant for models with context, such as networks, whose predictions are worse where a chip ends: overlapping chips are
    stitched. Of models whose halo is known (pixelwise's own operators and estimators, and Pipelines of them) each chip is read
    with that halo; the result is that of the whole raster exactly, overlap would buy nothing, and is left out with a warning.

    A file, or a scene of a catalog, is read chip by chip. With ``dst`` the result is written row by row too: what is held are
    the rows of chips that are still open, whatever the height of the scene.

    Parameters
    ----------
    sampler : GridSampler
        Size and stride of the chips, and what happens at the edge.
    chip_op : operator, model or function
        What is applied: called, or else its ``predict`` or ``transform``. It gets chips of the carrier that came in, DataArrays
        of files; pixelwise's own and scikit-learn's get them in plain parts, which is faster. The result has the same pixels.
    stitcher : Stitch or None, default=None
        How overlapping chips are put together; None averages.
    padding : {"reflect", "symmetric", "edge", "nodata"} or None, default=None
        How chips that were cut at the edge are filled up to the full size, for models that need it: a mode of ``numpy.pad``, or
        missing data. What is predicted there is thrown away. Models whose halo is known get none of it.

    Raises
    ------
    GridError
        When it is applied, if a result does not have the pixels of its chip.
    LabelError
        If class codes would be averaged.

    Warns
    -----
    PixelwiseWarning
        If chips overlap though the model needs no overlap.

    See Also
    --------
    predict_raster : Chooses the chips itself, by a memory budget; for models without context.

    Examples
    --------
    >>> import pixelwise as pw
    >>> scene, _ = pw.datasets.make_example()
    >>> def contrast(chip):
    ...     return (chip[:1] - chip[:1].mean()).astype("float32")
    >>> infer = pw.ApplyToChips(
    ...     sampler=pw.sampling.GridSampler(chip_size=(32, 32), stride=(16, 16)),
    ...     chip_op=contrast,
    ...     stitcher=pw.Stitch(method="average", window="hann"),
    ... )
    >>> infer(pw.open_raster(scene)).shape
    (1, 60, 80)
    """

    def __init__(self, sampler: Any, chip_op: Any, stitcher: Stitch | None = None, padding: str | None = None) -> None:
        self.sampler = sampler
        self.chip_op = chip_op
        self.stitcher = stitcher
        self.padding = padding

    @property
    def halo(self) -> int:
        """That of the model, where it is known."""
        halo = known_halo(self.chip_op)
        if halo is None:
            raise GridError(
                f"how far {_name(self.chip_op)} looks round is not known, so that its chips cannot be cut into other chips: "
                "apply ApplyToChips by itself, with all other steps in its chip_op"
            )
        return halo

    def __call__(
        self, *rasters: Any, dst: Any = None, compress: str | None = "deflate", colors: Mapping[Any, str] | None = None,
        driver: str = "GTiff", overviews: bool | Sequence[int] = False,
    ) -> Any:  # fmt: skip
        """Apply the model to a raster.

        Parameters
        ----------
        *rasters : raster of any carrier, path, or Scene
            One of them.
        dst : path or None, default=None
            GeoTIFF to write; None returns the raster.
        compress : str or None, default="deflate"
            As for `write_raster`, as are all that follow; they are for files.
        colors : mapping of (str or int) to str, or None, default=None
            Colours of classes.
        driver : {"GTiff", "COG"}, default="GTiff"
            Kind of file.
        overviews : bool or sequence of int, default=False
            Overviews of a GeoTIFF.

        Returns
        -------
        raster of the type that came in, or pathlib.Path
            A DataArray for a path or scene; with ``dst`` the destination.
        """
        if dst is None or any(isinstance(raster, Node) for raster in rasters):
            return super().__call__(*rasters)
        (scene,) = rasters
        options = {"compress": compress, "colors": colors, "driver": driver, "overviews": overviews}
        return self._to_file(scene, check_destination(dst), options)

    def transform(self, X: Any) -> Any:
        """Apply the model to a raster.

        Parameters
        ----------
        X : raster of any carrier, path, or Scene
            A lazy raster is computed chip by chip.

        Returns
        -------
        raster of the type that came in
            A DataArray for a path or scene.
        """
        if not isinstance(X, Scene) and not is_raster(X):
            raise TypeError(f"ApplyToChips takes rasters and not {type(X).__name__}: chips are cut out of (band, y, x)")
        made: np.ndarray | None = None
        with contextlib.closing(_Run(self, X)) as run:
            for window, values in run.strips():
                if made is None:
                    made = np.empty((*values.shape[:-2], *run.grid.shape), values.dtype)
                made[..., window.row_off : window.row_off + window.height, :] = values
            assert made is not None
            whole = run.like(made)
        return to_dataarray(whole, name=whole.name) if isinstance(X, Scene) else rewrap(whole, X)

    def apply(self, raster: Raster) -> Raster:
        """Apply the model to a raster in plain parts."""
        made: Raster = self.transform(raster)
        return made

    def _to_file(self, scene: Any, path: Path, options: dict[str, Any]) -> Path:
        with contextlib.ExitStack() as stack:
            run = stack.enter_context(contextlib.closing(_Run(self, scene, tiled=True)))
            refuse_sources({method_of(self.chip_op): path}, scene, run.path)
            writer: RasterWriter | None = None
            for window, values in run.strips():
                if writer is None:
                    example = run.like(values, run.grid.window(window.row_off, 0, window.height, window.width))
                    tile = run.step, tile_side(run.grid.width, run.grid.width)
                    writer = stack.enter_context(RasterWriter.like(example, path, run.grid, tile=tile, **options))
                writer.write(values, window)
        return path


class _Run:
    """One raster on its way through the chips."""

    def __init__(self, job: ApplyToChips, scene: Any, tiled: bool = False) -> None:
        if not hasattr(job.sampler, "windows"):
            raise TypeError(f"sampler={_name(job.sampler)} does not tile a raster: give GridSampler(chip_size, stride)")
        model = as_raster_model(job.chip_op, method_of(job.chip_op))
        self._call: Callable[[Any], Any] = getattr(model, method_of(model))
        halo, self._job, self._scene = known_halo(model), job, scene
        # What takes rasters in plain parts is spared the way through a carrier.
        self._plain = hasattr(model, "fit")
        self._source = source_of(scene)
        self.grid, self.path, self.halo = self._source.grid, self._source.path, halo or 0
        self._chip = as_size(job.sampler.chip_size, "chip_size")
        self.windows = job.sampler.windows(self.grid)
        if not len(self.windows):
            raise GridError(f"the raster holds no whole chip of {self._chip}: make chips smaller, or use edge='cut'")
        if halo is not None:
            self.windows = self._without_overlap()
        self.step = tile_side(int(self.windows[0, 2]), self.grid.height) if tiled else 1
        stitch = job.stitcher if job.stitcher is not None else Stitch()
        if not isinstance(stitch, Stitch):
            raise TypeError(f"stitcher={stitch!r} is no Stitch: write it as Stitch('average')")
        padding = check_padding(job.padding)
        # A model whose halo is known sees the edge of the raster as it does in the whole raster.
        self._padding = padding if halo is None else None
        self._stitcher = ChipStitcher(stitch, self.grid, self.windows, self._chip, self.step)

    def _cache(self) -> int:
        """Return bytes for the blocks that a row of chips shares with the next one."""
        source = self._source
        row = source.block_shape[0] * self.grid.width * source.n_bands * (source.n_times or 1) * np.dtype(source.dtype).itemsize
        return int(min(max(2 * row, _CACHE[0]), _CACHE[1]))

    def _without_overlap(self) -> np.ndarray:
        """Return chips that end where the next one begins."""
        whole: np.ndarray = self.windows
        cut = whole.copy()
        for start, length in ((0, 2), (1, 3)):
            starts = np.unique(whole[:, start])
            ends = np.append(starts[1:], np.iinfo(starts.dtype).max)
            cut[:, length] = np.minimum(whole[:, length], ends[np.searchsorted(starts, whole[:, start])] - whole[:, start])
        saved = 1 - cut[:, 2:].prod(axis=1).sum() / whole[:, 2:].prod(axis=1).sum()
        # Chips that were shifted in at the edge overlap too, and nobody asked for that.
        if saved > 0 and getattr(self._job.sampler, "stride", None) is not None:
            warnings.warn(
                f"overlap buys nothing for {_name(self._job.chip_op)}, which predicts a pixel alike in every chip: chips are "
                f"taken without it, which saves {saved:.0%} of the pixels; leave stride out",
                PixelwiseWarning,
                stacklevel=6,
            )
        return cut

    def strips(self) -> Iterator[tuple[Window, np.ndarray]]:
        """Yield rows of the result as they are done."""
        windows = [Window(col, row, width, height) for row, col, height, width in self.windows.tolist()]
        with contextlib.ExitStack() as stack:
            stack.enter_context(gdal_cache(self._cache()))
            reader = stack.enter_context(contextlib.closing(ChipReader(None, self._source, self.halo, 1)))
            for window, chip, _ in stack.enter_context(contextlib.closing(in_order(reader.chip, windows, 1))):
                yield from self._stitcher.add(self._made(chip, window), window)
            yield from self._stitcher.finish()

    def _made(self, chip: Raster, window: Window) -> Raster:
        """Apply the model to a chip, and cut off what is not wanted."""
        given = chip if self._padding is None else padded(chip, self._chip, self._padding)
        made = self._call(given if self._plain else self._carried(given))
        made = made[None] if isinstance(made, np.ndarray) and made.ndim == 2 else made
        found = unwrap(made)
        if found.grid.shape != given.grid.shape:
            raise GridError(f"{_name(self._job.chip_op)} made {found.grid.shape} pixels of a chip of {given.grid.shape}: "
                            "leave out what resamples, or pass padding= where it needs whole chips")  # fmt: skip
        top, left = min(self.halo, window.row_off), min(self.halo, window.col_off)
        rows, cols = slice(top, top + window.height), slice(left, left + window.width)
        grid = self.grid.window(window.row_off, window.col_off, window.height, window.width)
        mask = None if found.mask is None else found.mask[..., rows, cols]
        return found.with_values(found.values[..., rows, cols], grid=grid, mask=mask)

    def _carried(self, chip: Raster) -> Any:
        """Return a chip in the carrier that came in."""
        if getattr(self._source, "has_mask", False) or len({repr(value) for value in chip.nodata}) > 1:
            chip = as_nan(chip)
        bare = isinstance(self._source, RasterFile | SceneSource) or isinstance(self._scene, Raster)
        return to_dataarray(chip) if bare else rewrap(chip, self._scene)

    def like(self, values: np.ndarray, grid: Any = None) -> Raster:
        """Return values of the result as a raster that is named as the chips are."""
        example = self._stitcher.example
        assert example is not None
        values = values if example.values.ndim == values.ndim else values[0]
        return example.with_values(values, grid=grid or self.grid)

    def close(self) -> None:
        """Close what was opened."""
        self._source.close()


def _name(obj: Any) -> str:
    return str(getattr(obj, "__name__", type(obj).__name__))
