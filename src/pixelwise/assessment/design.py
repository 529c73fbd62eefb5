"""design_sample: the stratified random sample of places that somebody will look at."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np

from pixelwise.assessment.allocation import allocate, expected_se, sample_size
from pixelwise.assessment.census import ClassCensus, MapReader, count_classes
from pixelwise.assessment.labels import numbers_by_label
from pixelwise.errors import RasterWriteError
from pixelwise.raster.destination import staged

__all__ = ["design_sample"]


def design_sample(
    mapped: Any,
    n: int | None = None,
    target_se: float | None = None,
    *,
    allocation: str | Mapping[Any, int] = "proportional",
    expected_users: float | Mapping[Any, float] = 0.8,
    min_per_class: int = 2,
    random_state: Any = None,
    path: Any = None,
    overwrite: bool = False,
) -> gpd.GeoDataFrame:
    """Draw the stratified random sample of pixels from which a map's accuracy is to be estimated.

    The strata are the classes of the map, and within each every pixel is as likely as any other (on a geographic CRS, as
    likely as it is large, so that places are drawn uniformly on the ground). Somebody then fills in the empty column
    ``reference``, not looking at ``class``, and `estimate_accuracy` does the rest.

    Parameters
    ----------
    mapped : raster of any carrier
        A map of one band; a file is read strip by strip, twice.
    n : int or None
        Samples in all.
    target_se : float or None
        Instead of `n`: the standard error of overall accuracy to aim at, from which Cochran's formula takes `n` [1]_; 0.01
        makes a 95% interval of ± 0.02.
    allocation : {"proportional", "equal", "neyman"} or mapping of label to int, default="proportional"
        How `n` is dealt to classes: by area, which suits overall accuracy; the same for all, which suits user's accuracies; by
        area times expected standard deviation, which makes the standard error of overall accuracy the smallest; or as given.
    expected_users : float or mapping of label to float, default=0.8
        User's accuracy that you expect of all classes, or of each: for `target_se` and "neyman".
    min_per_class : int, default=2
        Samples of each class at least: out of `n`, or on top of what `target_se` asks for. A rare class needs 50 to 100 for
        its own accuracy to be worth telling [1]_.
    random_state : int, Generator or None
        Seed; the same one draws the same places.
    path : path or None
        GeoPackage to write, whole or not at all.
    overwrite : bool, default=False
        Whether `path` may exist. It may hold days of interpretation.

    Returns
    -------
    GeoDataFrame
        Centres of pixels in the CRS of the map, in random order, so that the first half is a sample too: ``id``, ``class``,
        ``stratum`` (the same), ``stratum_pixels``, ``stratum_hectares``, ``stratum_share`` (of the map's area),
        ``inclusion_probability``, and ``reference``, which is empty. ``attrs["expected_se"]`` is the standard error of overall
        accuracy to expect.

    Raises
    ------
    ValueError
        If not one of `n` and `target_se` is given, or an option is not possible.
    LabelError
        If the map is none of classes, or `n` does not fit its classes.
    FileExistsError
        If `path` exists.

    See Also
    --------
    estimate_accuracy : Estimates from the sample once it is interpreted.

    References
    ----------
    .. [1] Olofsson, P. et al. (2014): Good practices for estimating area and assessing accuracy of land change. Remote Sensing
       of Environment 148, 42-57, section 5.1.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> grid = pw.Grid("EPSG:32633", (10, 0, 330_000, 0, -10, 5_822_000), height=100, width=100)
    >>> codes = np.where(np.arange(100) < 20, 1, 2) * np.ones((100, 1), "uint8")
    >>> mapped = pw.Raster(codes, grid, attrs={"flag_values": [1, 2], "flag_meanings": "forest water"})
    >>> sample = pw.design_sample(mapped, target_se=0.02, random_state=0)
    >>> sample.groupby("class")[["stratum_pixels", "stratum_hectares"]].agg(["size", "first"])["stratum_hectares"]
            size  first
    class
    forest    80   20.0
    water    320   80.0
    >>> sample.crs.to_epsg(), sample["reference"].isna().all()
    (32633, np.True_)
    """
    place = None if path is None else _check_path(path, overwrite)
    if min_per_class < 1:
        raise ValueError(
            f"min_per_class={min_per_class} leaves classes without a sample: choose 1 or more, 2 for a standard error"
        )
    rng = np.random.default_rng(random_state)
    with MapReader(mapped) as opened:
        census = count_classes(opened)
        share = _share(census)
        users = _expected(expected_users, census)
        size = _size(n, target_se, allocation, share, users)
        least = 0 if target_se is not None else min_per_class
        counts = allocate(allocation, size, census.labels, census.pixels, users, share, least)
        if target_se is not None:
            # Samples for rare classes come on top: taken from the others, they would miss the target.
            counts = np.maximum(counts, np.minimum(min_per_class, census.pixels))
        rows, ranks = zip(*(_draw(census, at, int(count), rng) for at, count in enumerate(counts)), strict=True)
        stratum = np.repeat(np.arange(len(counts)), counts)
        pixels = _pixels(opened, census.codes[stratum], np.concatenate(rows), np.concatenate(ranks))
        order = rng.permutation(len(pixels))
        frame = _as_frame(opened, census, counts, share, pixels[order], stratum[order])
    frame.attrs = {"expected_se": expected_se(share, users, counts)}
    if place is not None:
        _write(frame, place)
    return frame


def _check_path(path: Any, overwrite: bool) -> Path:
    place = Path(path)
    if place.suffix.lower() != ".gpkg":
        raise RasterWriteError(
            f"{place} has {place.suffix or 'no suffix'}, and samples are written as GeoPackage: name it {place.stem}.gpkg"
        )
    if not place.parent.is_dir():
        raise FileNotFoundError(f"folder {place.parent} of {place.name} is missing: make it first")
    if place.exists() and not overwrite:
        raise FileExistsError(f"{place} exists, and may have been interpreted: give another name, or pass overwrite=True")
    return place


def _share(census: ClassCensus) -> np.ndarray:
    area = census.pixels if census.hectares is None else census.hectares
    return np.asarray(area / area.sum())


def _expected(users: float | Mapping[Any, float], census: ClassCensus) -> np.ndarray:
    each = users if hasattr(users, "keys") else np.full(len(census.codes), users)
    numbers = numbers_by_label(each, census.labels, "expected_users")
    if not ((numbers > 0) & (numbers < 1)).all():
        wrong = numbers[~((numbers > 0) & (numbers < 1))][0]
        raise ValueError(f"expected_users={wrong:g} is not possible: choose accuracies between 0 and 1, such as 0.8")
    return numbers


def _size(
    n: int | None, target_se: float | None, allocation: str | Mapping[Any, int], share: np.ndarray, users: np.ndarray
) -> int:
    if isinstance(allocation, Mapping):
        if n is not None or target_se is not None:
            raise ValueError("allocation gives the samples of each class: leave n and target_se out")
        return 0
    if (n is None) == (target_se is None):
        raise ValueError("give one of n=, the number of samples, and target_se=, the standard error of overall accuracy")
    if target_se is not None:
        return sample_size(share, users, target_se)
    assert n is not None
    if n < 1 or n != int(n):
        raise ValueError(f"n={n} is no number of samples: give a whole number of 1 or more")
    return int(n)


def _draw(census: ClassCensus, at: int, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of drawn pixels of a class, and their numbers among the pixels of the class in that row."""
    counts = census.rows[at]
    before = np.concatenate([[0], np.cumsum(counts)])
    total, area = int(before[-1]), census.area
    if area is None or np.ptp(area) == 0:
        drawn = rng.choice(total, n, replace=False)
    elif total <= 4 * n:
        # Keys of Efraimidis and Spirakis: the n smallest are drawn one after the other by area, without replacement.
        keys = rng.exponential(size=total) / np.repeat(area, counts)
        drawn = np.argpartition(keys, n - 1)[:n]
    else:
        drawn = _draw_by_area(counts, area, before, n, rng)
    rows = np.searchsorted(before, drawn, side="right") - 1
    return rows, drawn - before[rows]


def _draw_by_area(counts: np.ndarray, area: np.ndarray, before: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return n different pixels, drawn one after the other by their area."""
    edges = np.concatenate([[0.0], np.cumsum(counts * area)])
    drawn = np.empty(0, np.int64)
    while len(drawn) < n:
        place = rng.uniform(0, edges[-1], n)
        rows = np.searchsorted(edges, place, side="right") - 1
        within = np.minimum((place - edges[rows]) / area[rows], counts[rows] - 1).astype(np.int64)
        every = np.concatenate([drawn, before[rows] + within])
        drawn = every[np.sort(np.unique(every, return_index=True)[1])]
    return drawn[:n]


def _pixels(opened: MapReader, codes: np.ndarray, rows: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Return the row-major numbers of the pixels of given codes, rows, and ranks within the row."""
    pixels = np.empty(len(codes), np.int64)
    for window in opened.windows():
        here = np.flatnonzero((rows >= window.row_off) & (rows < window.row_off + window.height))
        if not here.size:
            continue
        values, valid = opened.read(window)
        order = here[np.lexsort((codes[here], rows[here]))]
        pairs = np.column_stack([rows[order], codes[order]])
        starts = np.flatnonzero(np.concatenate([[True], (pairs[1:] != pairs[:-1]).any(axis=1)]))
        for group in np.split(order, starts[1:]):
            row = int(rows[group[0]])
            line = row - window.row_off
            columns = np.flatnonzero((values[line] == codes[group[0]]) & valid[line])
            pixels[group] = row * opened.grid.width + columns[ranks[group]]
    return pixels


def _as_frame(
    opened: MapReader, census: ClassCensus, counts: np.ndarray, share: np.ndarray, pixels: np.ndarray, stratum: np.ndarray
) -> gpd.GeoDataFrame:
    label = np.array(census.labels)[stratum]
    hectares = np.full(len(stratum), np.nan) if census.hectares is None else census.hectares[stratum]
    chance = (counts / census.pixels)[stratum]
    if census.hectares is not None and census.area is not None and np.ptp(census.area) > 0:
        # Where pixels differ in area this is the chance of a single draw, as many times as there are draws.
        area = census.area[pixels // opened.grid.width]
        chance = np.minimum((counts / census.hectares)[stratum] * area, 1.0)
    columns = {
        "id": np.arange(1, len(pixels) + 1),
        "class": label,
        "stratum": label,
        "stratum_pixels": census.pixels[stratum],
        "stratum_hectares": hectares,
        "stratum_share": share[stratum],
        "inclusion_probability": chance,
        "reference": np.full(len(pixels), None, dtype=object),
    }
    x, y = opened.grid.pixel_xy(pixels).T
    crs = None if opened.grid.crs is None else opened.grid.crs.to_wkt()
    return gpd.GeoDataFrame(columns, geometry=gpd.points_from_xy(x, y), crs=crs)


def _write(frame: gpd.GeoDataFrame, place: Path) -> None:
    try:
        with staged(place) as folder, warnings.catch_warnings():
            # A map without a CRS makes points without one, which is what they are.
            warnings.filterwarnings("ignore", message="'crs' was not provided", category=UserWarning)
            frame.to_file(folder / place.name, driver="GPKG", layer=place.stem)
            (folder / place.name).replace(place)
    except OSError as error:
        raise RasterWriteError(
            f"{place} cannot be written: {error.strerror or error}; check the folder's permissions and free space"
        ) from error
