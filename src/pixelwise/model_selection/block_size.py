"""suggest_block_size: how large blocks of cross-validation should be, from variograms and from distances of prediction."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from rasterio.crs import CRS
from sklearn.utils import check_random_state

from pixelwise.errors import DependencyMissingError, FoldError, LabelError
from pixelwise.model_selection.blocks import SpatialBlockGroupKFold
from pixelwise.model_selection.distances import FoldDistances, metric_of, nearest, nearest_neighbour, nearest_training
from pixelwise.model_selection.domain import domain_points
from pixelwise.model_selection.places import coordinates_of
from pixelwise.model_selection.splitter import check_folds, check_groups, n_rows
from pixelwise.model_selection.variogram import (
    EmpiricalVariogram,
    bounding_diagonal,
    empirical_variogram,
    numbers_or_classes,
    sample_values,
)
from pixelwise.model_selection.variogram_models import VariogramModel, draw_variogram, fit_variogram

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["BlockSizeSuggestion", "suggest_block_size"]

#: Candidates by the practical range, and then by the best of these.
_LADDER = np.sqrt(2.0) ** np.arange(-8, 9)
_BETWEEN = 2.0 ** (np.array([-3, -2, -1, 1, 2, 3]) / 8)
#: No fold is to hold less than this part of an even share.
_SMALLEST_SHARE = 0.1
#: From size to size, in the search of the largest that makes folds; and how many are looked at.
_SHRINK, _SIZES = 0.98, 600
#: What a variogram needs.
_FEWEST_PLACES, _FEWEST_BINS = 10, 3


@dataclass(frozen=True, eq=False)
class BlockSizeSuggestion:
    """A size for blocks of cross-validation, and how it was found.

    Parameters
    ----------
    block_size : float
        Metres.
    practical_range : float
        Metres over which values are alike; 0 where they are not.
    variogram : EmpiricalVariogram
        How unlike values are with distance.
    model : VariogramModel
        The model that fits it best.
    candidates : DataFrame
        Sizes that were compared (`block_size`, metres), `W` in metres (NaN without a prediction domain), and the number of
        blocks that hold samples (`n_blocks`).
    reason : str
        In words, how the size was found; also `str` of the suggestion.
    distances : FoldDistances or None, default=None
        Distances of prediction and of cross-validation with this size, where a prediction domain was given.

    See Also
    --------
    suggest_block_size : Makes one.
    """

    block_size: float
    practical_range: float
    variogram: EmpiricalVariogram = field(repr=False)
    model: VariogramModel
    candidates: pd.DataFrame = field(repr=False)
    reason: str
    distances: FoldDistances | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return self.reason

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the variogram, its model, the practical range and the block size.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None
            Where to draw; None makes a figure.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        DependencyMissingError
            If matplotlib is not installed.
        """
        if ax is None:
            if importlib.util.find_spec("matplotlib") is None:
                raise DependencyMissingError(
                    "figures need matplotlib: install it with `python -m pip install 'pixelwise[plot]'`"
                )
            from matplotlib.figure import Figure

            ax = Figure(figsize=(7.0, 4.4), dpi=120, layout="constrained").add_subplot()
        draw_variogram(ax, self.variogram, self.model, self.block_size)
        return ax


def suggest_block_size(
    X: Any,
    y: Any = None,
    *,
    residuals: Any = None,
    groups: Any = None,
    crs: Any = None,
    prediction_domain: Any = None,
    n_splits: int = 5,
    max_points: int = 5000,
    random_state: Any = None,
) -> BlockSizeSuggestion:
    """Suggest a size for blocks of cross-validation.

    Blocks should be no smaller than the distance over which a model's errors are alike: the practical range of the variogram of
    its residuals, held out, or of y where there are none [1]_. It is no multiple of that range. Where it is known which places
    will be predicted, the size is the one that makes test samples as far from training samples as those places are: the
    smallest W (Wasserstein's distance) [2]_ of the practical range, of 16 sizes from a 16th of it to 16 times it, and of 6 more
    round the best of those.

    The size is for cross-validation: a score from such blocks tells how a model transfers, and is no design-based map accuracy.

    Parameters
    ----------
    X : PixelTable, GeoDataFrame, DataFrame with a (y, x) index, or array
        The samples; they say where they are, unless `groups` does.
    y : array-like of shape (n,) or None, default=None
        Labels or targets. Text, booleans, and whole numbers of at most 50 different values are classes: their variogram is the
        share of pairs whose classes differ, the sum of the variograms of each class's indicator.
    residuals : array-like of shape (n,) or None, default=None
        Errors of a model on samples that it was not trained on, such as ``y - cross_val_predict(model, X, y, groups=X.groups,
        cv=GroupKFold())``; of a classifier whether it was wrong, ``predicted != y``. They go before y.
    groups : array-like of shape (n, 2) or None, default=None
        Coordinates; None takes them from X.
    crs : object or None, default=None
        CRS of coordinates that do not bring their own.
    prediction_domain : object or None, default=None
        Where the map will be predicted: coordinates of shape (m, 2), a GeoDataFrame, a PixelTable, or a raster, of whose valid
        pixels a sample is drawn.
    n_splits : int, default=5
        Number of folds that blocks must make. The size has as many non-empty blocks or more, and no fold below a tenth of an
        even share if that can be had.
    max_points : int, default=5000
        Most samples that make pairs of the variogram, most whose distances to training samples are measured, and most places
        drawn from the domain. Training samples are never thinned.
    random_state : int, RandomState or None, default=None
        Seed of those draws.

    Returns
    -------
    BlockSizeSuggestion

    Raises
    ------
    FoldError
        If there are fewer than 10 samples, fewer places than folds, or places too few for a variogram.
    LabelError
        If y and residuals are missing, have NaN, or are all the same.
    CRSError
        If the CRS is not known, so that metres mean nothing.

    See Also
    --------
    SpatialBlockGroupKFold : Takes the size.
    KNNDMSplit : Matches distances with folds of any shape.

    References
    ----------
    .. [1] Roberts, D. R. et al. (2017): Cross-validation strategies for data with temporal, spatial, hierarchical, or
       phylogenetic structure. Ecography 40, 913-929.
    .. [2] Milà, C. et al. (2022): Nearest neighbour distance matching leave-one-out cross-validation for map validation.
       Methods in Ecology and Evolution 13, 1304-1316.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> rng = np.random.default_rng(0)
    >>> places = rng.uniform(0, 10_000, (500, 2))
    >>> y = rng.normal(size=(8, 8))[*(places // 1250).astype(int).T]
    >>> found = pw.suggest_block_size(places, y, groups=places, crs=32633, random_state=0)
    >>> round(found.block_size, -2), found.model.name
    (1300.0, 'stein')
    >>> far = pw.suggest_block_size(places, y, groups=places, crs=32633, prediction_domain=places + 100)
    >>> far.candidates.columns.tolist(), far.block_size < found.block_size
    (['block_size', 'W', 'n_blocks'], True)
    """
    check_folds(n_splits)
    values, what = _values(y, residuals)
    xy, known = _places(X, groups, crs)
    values, classes = sample_values(values, len(xy))
    random = check_random_state(random_state)
    thin = _thin(len(xy), max_points, random)
    samples = _Samples(xy, known, thin, n_splits)
    variogram = _variogram(xy[thin], values[thin].astype(str) if classes else values[thin], samples)
    model = fit_variogram(variogram)
    wanted = model.practical_range or samples.spacing()
    largest = samples.largest_size(wanted)
    if prediction_domain is None:
        sizes = pd.DataFrame({"block_size": [largest], "W": [np.nan], "n_blocks": [samples.folds(largest)[1]]})
        distances, size = None, largest
    else:
        domain = domain_points(prediction_domain, known, max_points, random)
        sizes, distances = samples.compare(min(wanted, largest), domain)
        size = float(sizes["block_size"][sizes["W"].idxmin()])
    reason = " ".join(_words(size, what, n_splits, variogram, model, sizes, distances))
    return BlockSizeSuggestion(size, model.practical_range, variogram, model, sizes, reason, distances)


class _Samples:
    """Samples as blocks see them: how many blocks and folds a size makes, and how far test from training is then."""

    def __init__(self, xy: np.ndarray, crs: CRS | None, thin: np.ndarray, n_splits: int) -> None:
        self.xy, self.crs, self.thin, self.n_splits = xy, crs, thin, n_splits
        self.metric = metric_of(crs)
        self.points = self.metric.points(xy)
        self.fewest = _SMALLEST_SHARE * len(xy) / n_splits

    def splitter(self, size: float) -> SpatialBlockGroupKFold:
        return SpatialBlockGroupKFold(self.n_splits, block_size=size, crs=self.crs)

    def spacing(self) -> float:
        """Return the median distance between neighbours, those at one place left out."""
        places = np.unique(self.points, axis=0)
        return float(np.median(self.metric.metres(nearest_neighbour(places))))

    def folds(self, size: float, rows: np.ndarray | slice = slice(None)) -> tuple[np.ndarray | None, int]:
        """Return the fold of rows, None where there are fewer blocks than folds, and the number of blocks."""
        splitter, xy = self.splitter(size), self.xy[rows]
        block = splitter.block_ids(xy, xy)
        n_blocks = int(block.max()) + 1
        return (splitter.fold_ids(xy, groups=block) if n_blocks >= self.n_splits else None), n_blocks

    def largest_size(self, wanted: float) -> float:
        """Return the largest size up to the wanted one that makes folds, none of them tiny if that can be had."""
        size, uneven = min(wanted, bounding_diagonal(self.xy, self.metric)), 0.0
        for _ in range(_SIZES):
            fold = self.folds(size, self.thin)[0]
            if fold is not None:
                if np.bincount(fold).min() * len(self.xy) >= self.fewest * len(self.thin):
                    return float(size)
                uneven = uneven or size
            size *= _SHRINK
        if not uneven:
            places = len(np.unique(self.xy[self.thin], axis=0))
            raise FoldError(
                f"no size of block makes {self.n_splits} folds of {places} places: lower n_splits, or sample more places"
            )
        self.fewest = 1.0
        return float(uneven)

    def compare(self, seed: float, domain: np.ndarray) -> tuple[pd.DataFrame, FoldDistances]:
        """Return W of each candidate that makes folds, none of them tiny, and the distances of the best."""
        gij = self.metric.metres(nearest(self.metric.points(domain), self.points))
        gj = self.metric.metres(nearest_neighbour(self.points)[self.thin])
        tried: dict[float, tuple[int, FoldDistances]] = {}

        def look(sizes: np.ndarray) -> float:
            for size in sizes.tolist():
                fold, n_blocks = self.folds(size)
                # The seed itself has been looked at on thinned samples, and must not be lost to the draw.
                if fold is not None and (size == seed or np.bincount(fold).min() >= self.fewest):
                    tried[size] = n_blocks, FoldDistances(gij, gj, self.metric.metres(self.from_training(fold)))
            return min(tried, key=lambda size: tried[size][1].W)

        best = look(look(seed * _LADDER) * _BETWEEN)
        rows = [(size, tried[size][1].W, tried[size][0]) for size in sorted(tried)]
        return pd.DataFrame(rows, columns=["block_size", "W", "n_blocks"]), tried[best][1]

    def from_training(self, fold: np.ndarray) -> np.ndarray:
        """Return the straight distance from each sample, where they are thinned, to the nearest of all other folds."""
        folds = ((np.flatnonzero(fold != k), self.thin[fold[self.thin] == k]) for k in range(self.n_splits))
        return nearest_training(self.points, folds)


def _values(y: Any, residuals: Any) -> tuple[np.ndarray, str]:
    """Return what the variogram is made of, and what it is called."""
    if residuals is not None:
        given = np.asarray(residuals)
        if given.dtype.kind not in "iufb":
            raise LabelError(f"residuals are of type {given.dtype}: give numbers such as y - predicted, or predicted != y")
        return given.astype(float), "the residuals"
    if y is None:
        raise LabelError("a block size is found from y or from residuals=, and neither was given: pass one of them")
    values, n_classes = numbers_or_classes(y)
    return values, f"y, taken for {n_classes} classes" if n_classes else "y"


def _places(X: Any, groups: Any, crs: Any) -> tuple[np.ndarray, CRS | None]:
    """Return coordinates and CRS; refuse what blocks in metres would refuse."""
    check_groups(X, groups, wanted=("(n, 2) with coordinates",))
    if n_rows(X):
        SpatialBlockGroupKFold(block_size=1e6, crs=crs).block_ids(X, groups)
    return coordinates_of(X, groups, crs)


def _thin(n: int, max_points: int, random: np.random.RandomState) -> np.ndarray:
    if max_points < 10:
        raise FoldError(f"max_points={max_points!r} is too few for a variogram: give 10 or more")
    return np.arange(n) if n <= max_points else np.sort(random.permutation(n)[:max_points])


def _variogram(xy: np.ndarray, values: np.ndarray, samples: _Samples) -> EmpiricalVariogram:
    """Return the variogram on automatic bins, or where samples lie in tight clusters on bins that double in width."""
    places = len(np.unique(xy, axis=0))
    if places < _FEWEST_PLACES:
        raise FoldError(f"{len(samples.xy)} samples lie at {places} places: a variogram needs {_FEWEST_PLACES} or more places")
    found = empirical_variogram(xy, values, crs=samples.crs, max_points=len(xy))
    if len(found.distances) >= _FEWEST_BINS:
        return found
    diagonal = bounding_diagonal(xy, samples.metric)
    edges = samples.spacing() * 2.0 ** np.arange(64)
    return empirical_variogram(xy, values, edges=edges[edges < 2 * diagonal], crs=samples.crs, max_points=len(xy))


def _words(
    size: float, what: str, n_splits: int, variogram: EmpiricalVariogram, model: VariogramModel, sizes: pd.DataFrame,
    distances: FoldDistances | None,
) -> list[str]:  # fmt: skip
    """Return sentences that say how the size was found."""
    reach, last = model.practical_range, float(variogram.distances[-1])
    words = [f"Blocks of {size:,.0f} m for {n_splits}-fold cross-validation (not for a design-based map accuracy)."]
    seen = f"the variogram of {what} ({variogram.counts.sum():,} pairs of {variogram.n_samples:,} samples)"
    if reach:
        share = "its sill" if model.name == "spherical" else "95% of the way to its sill"
        words.append(f"The {model}, fits {seen} best and comes to {share} at {reach:,.0f} m, the practical range.")
    else:
        words.append(f"No autocorrelation shows in {seen}: a nugget alone fits it best, and random folds may do.")
    if reach > last:
        words.append(
            f"That is beyond the largest distance of {last:,.0f} m that was looked at, so it is extrapolated: "
            "values may follow a trend over the whole area, which residuals of a model would not."
        )
    blocks = int(sizes["n_blocks"][sizes["block_size"] == size].iloc[0])
    if distances is None:
        if size < reach:
            words.append(
                f"Blocks of that size cannot make {n_splits} folds, none of them tiny, since the range is large for the area "
                f"of the samples: this is the largest that can, so test samples are nearer to training samples than the range."
            )
        elif not reach:
            words.append("The size is the median distance between neighbouring samples.")
        words.append(f"{blocks:,} blocks hold samples.")
        return words
    words.append(
        f"Of {len(sizes)} sizes from {sizes['block_size'].min():,.0f} to {sizes['block_size'].max():,.0f} m this one makes "
        f"cross-validation most like prediction: the median distance to the nearest training sample is "
        f"{np.median(distances.gj_star):,.0f} m for test samples and {np.median(distances.gij):,.0f} m for places of the "
        f"prediction domain, W = {distances.W:,.0f} m. {blocks:,} blocks hold samples."
    )
    if np.median(distances.gij) > 2 * np.median(distances.gj_star):
        words.append("No size puts test samples that far away: prediction is harder than this cross-validation can tell.")
    return words
