"""Many chips read, here or by workers, and handed over in their order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed
from tqdm.auto import tqdm

from pixelwise.catalog.geocatalog import GeoCatalog
from pixelwise.catalog.samplers import GridSampler, checked_catalog, scene_order
from pixelwise.catalog.scene import GeoSlice
from pixelwise.catalog.slices import GeoSlices, by_block
from pixelwise.errors import CatalogError, PixelwiseError
from pixelwise.raster.open_files import files_kept_open
from pixelwise.raster.surroundings import Surroundings
from pixelwise.training.chips import ChipReader, ChipRows, Draw
from pixelwise.training.keys import Fresh

__all__ = ["Chips", "read_chips", "seed_of"]

#: Chips that a worker reads in one go: enough for blocks to be decoded once, few enough to be in memory together.
_IN_A_GO = 4
#: Goes that are under way at a time, for each worker.
_AHEAD = 2


def seed_of(random_state: Any) -> int:
    """Return a number that all draws start from.

    Parameters
    ----------
    random_state : int, RandomState or None
        None takes another number each time.

    Returns
    -------
    int
    """
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


@dataclass(frozen=True, eq=False)
class Chips:
    """The chips of a catalog, in the order of its files, and which pixels of each count.

    Parameters
    ----------
    slices : GeoSlices
        The chips.
    fresh : Fresh
        Which of their pixels are in no chip before them.
    rank : ndarray of int
        Number of each scene by its files, on which draws depend, so that the order of the catalog's rows is of no account.
    used : ndarray of int
        The chips that have pixels of their own.
    """

    slices: GeoSlices
    fresh: Fresh
    rank: np.ndarray
    used: np.ndarray

    @classmethod
    def of(cls, catalog: GeoCatalog, sampler: Any, seed: int) -> Chips:
        """Draw chips.

        Parameters
        ----------
        catalog : GeoCatalog
            Scenes.
        sampler : sampler or None
            None cuts scenes into chips of 256 x 256 pixels.
        seed : int
            For a sampler without a ``random_state`` of its own.

        Returns
        -------
        Chips
        """
        checked_catalog(catalog)
        sampler = GridSampler((256, 256)) if sampler is None else sampler
        if isinstance(sampler, BaseEstimator) and getattr(sampler, "random_state", seed) is None:
            sampler = clone(sampler).set_params(random_state=seed)
        if not callable(sampler):
            raise TypeError(f"sampler={sampler!r} is none: give one of pw.sampling, such as GridSampler(chip_size=(256, 256))")
        slices = sampler(catalog)
        if not len(slices):
            raise CatalogError(f"{sampler!r} gives no chip of {catalog!r}: make chips smaller, or more of them")
        slices, rank = by_block(slices), np.empty(len(catalog), np.int64)
        rank[scene_order(catalog)] = np.arange(len(catalog))
        slices = slices[np.argsort(rank[slices.scene], kind="stable")]
        fresh = Fresh(slices)
        used = [number for number in range(len(slices)) if (own := fresh(number)) is None or own.any()]
        return cls(slices, fresh, rank, np.array(used, np.intp))


@dataclass(frozen=True)
class _Task:
    """What a worker needs to read a chip."""

    chip: GeoSlice
    scene: int
    fresh: np.ndarray | None


def read_chips(
    chips: Chips,
    order: Sequence[int] | np.ndarray,
    reader: ChipReader,
    *,
    draw: Any = None,
    n_jobs: int | None = None,
    progress: bool = False,
    skip: bool = False,
) -> Iterator[ChipRows]:
    """Read chips, and hand them over in the order that is asked for, however many workers there are.

    Parameters
    ----------
    chips : Chips
        All chips.
    order : sequence of int
        Which, in which order.
    reader : ChipReader
        How.
    draw : callable or None
        From the rank of a scene to a `Draw`; asked when a chip is handed out. None takes all pixels.
    n_jobs : int or None
        Workers, as joblib takes them.
    progress : bool
        Whether a bar shows the chips that are done.
    skip : bool
        Whether chips that cannot be read are passed over.

    Yields
    ------
    ChipRows
        One a chip.
    """
    workers, surroundings = effective_n_jobs(n_jobs), Surroundings.now()
    goes = [order[start : start + _IN_A_GO] for start in range(0, len(order), _IN_A_GO)]

    def tasks(go: Any) -> list[tuple[_Task, Draw | None]]:
        """Return what is needed to read some chips."""
        made = []
        for number in map(int, go):
            scene, fresh = int(chips.slices.scene[number]), chips.fresh(number)
            made.append((_Task(chips.slices[number], scene, fresh), None if draw is None else draw(int(chips.rank[scene]))))
        return made

    # The files of a worker stay open for the chips of a go; those of this thread until the end.
    here = files_kept_open() if workers == 1 else nullcontext()
    with tqdm(total=len(order), disable=not progress, unit="chip", leave=False) as bar, here, Parallel(n_jobs=workers) as pool:
        for start in range(0, len(goes), workers * _AHEAD):
            now = goes[start : start + workers * _AHEAD]
            if workers == 1:
                results: Any = (_read(reader, tasks([number]), skip) for go in now for number in go)
            else:
                results = pool(delayed(_read_go)(reader, tasks(go), skip, surroundings) for go in now)
            for done in results:
                yield from done
            bar.update(sum(map(len, now)))


def _read_go(
    reader: ChipReader, tasks: list[tuple[_Task, Draw | None]], skip: bool, surroundings: Surroundings
) -> list[ChipRows]:
    try:
        with surroundings.entered(), files_kept_open():
            return _read(reader, tasks, skip)
    except PixelwiseError as error:
        failed = type(error)(str(error), **error.values)
    # Here, and not above, because its cause may be an error of GDAL's, which cannot be sent to another process.
    raise failed


def _read(reader: ChipReader, tasks: list[tuple[_Task, Draw | None]], skip: bool) -> list[ChipRows]:
    done = []
    for task, draw in tasks:
        try:
            done.append(reader(task.chip, task.scene, task.fresh, draw))
        except (PixelwiseError, OSError) as error:
            if not skip:
                raise
            done.append(ChipRows(task.scene, error=str(error)))
    return done
