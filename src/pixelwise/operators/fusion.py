"""Fusion: rasters of several sensors, resolutions and CRSs as one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rasterio.enums import Resampling
from sklearn.base import TransformerMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import _BaseComposition

from pixelwise.errors import BandError, CRSError, GridError
from pixelwise.operators.graph import Input, Node
from pixelwise.operators.warping import coarseness, resampling_named, warped
from pixelwise.raster.carriers import Raster, is_raster, rewrap, unwrap
from pixelwise.raster.grid import Grid, crs_name

__all__ = ["AlignAndStack"]

#: From so many times coarser pixels on they are means of those that they cover.
_COARSER = 1.5
#: Pixels that a resampling looks at round a place.
_REACH = {Resampling.nearest: 0, Resampling.bilinear: 1, Resampling.cubic: 2, Resampling.cubic_spline: 2, Resampling.lanczos: 3}


class AlignAndStack(TransformerMixin, _BaseComposition, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Bring rasters to one grid, and put their bands behind each other.

    A transformer whose X is a mapping of rasters, with a transformer for each of them, as ColumnTransformer has them for
    columns. Bands are named after their raster: ``s2_B04``. Where a raster does not reach, or has no data, its bands are NaN.

    It can be called, too: with a mapping, or with rasters or steps of a `Graph` in a row.

    Parameters
    ----------
    transformers : list of (str, transformer), or None
        Name and transformer of each raster, in the order of the bands; "passthrough" takes it as it is. None takes all
        rasters of the mapping as they are.
    target_grid : str, int, Grid or float, default=0
        Where the pixels shall lie: the grid of a raster by its name or position, or any `Grid`. A float is the side of pixels
        in units of the first raster's CRS, mostly metres: pixels along the axes of this CRS that cover the first raster, and
        whose edges are multiples of the side. Write 20.0, as 20 is the 21st raster.
    resampling : str or mapping of str to str, default="auto"
        How pixels are found on the target grid: a name of ``rasterio.enums.Resampling``, for all or for some by name. "auto"
        takes "nearest" for maps of classes (rasters with ``flag_values`` or ``class_names``), "average" where the target's
        pixels are 1.5 times wider or more, and "bilinear" otherwise. Codes and bit flags that do not say so are best told
        here.
    verbose_feature_names_out : bool, default=True
        Whether names of bands begin with the name of their raster.

    Attributes
    ----------
    transformers_ : list of (str, transformer)
        The fitted transformers.
    band_names_in_ : dict of str to tuple of str
        Names of the bands of each raster that it was fitted on.

    Raises
    ------
    GridError
        If a grid, a resampling or a name is not known, or dates differ.
    CRSError
        If some of the grids have a CRS, and others have none.
    BandError
        If the mapping lacks a raster or has one too many, or two bands have the same name.

    See Also
    --------
    Graph : Wires operators of several rasters.
    open_raster : Stacks files of one band each.

    Notes
    -----
    The result has the type of the target raster; of the first one if the grid is given otherwise. Rasters that lie on the
    grid already are not resampled. Warps between CRSs are GDAL's, exact to an eighth of a pixel.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> fine = pw.Raster(np.ones((1, 4, 4), "float32"), pw.Grid("EPSG:32633", (10, 0, 0, 0, -10, 40), 4, 4), ("B04",))
    >>> coarse = pw.Raster(np.ones((1, 1, 2), "float32"), pw.Grid("EPSG:32633", (20, 0, 0, 0, -20, 40), 1, 2), ("B05",))
    >>> fuse = pw.fusion.AlignAndStack([("s2", "passthrough"), ("swir", "passthrough")], target_grid="s2")
    >>> stacked = fuse.fit_transform({"s2": fine, "swir": coarse})
    >>> stacked.names, stacked.values[1, :, 0]
    (('s2_B04', 'swir_B05'), array([ 1.,  1., nan, nan], dtype=float32))
    >>> pw.fusion.AlignAndStack(target_grid=1)(fine, coarse).names
    ('raster_1_B04', 'raster_2_B05')
    """

    def __init__(
        self,
        transformers: Sequence[tuple[str, Any]] | None = None,
        target_grid: Any = 0,
        resampling: str | Mapping[str, str] = "auto",
        verbose_feature_names_out: bool = True,
    ) -> None:
        self.transformers = transformers
        self.target_grid = target_grid
        self.resampling = resampling
        self.verbose_feature_names_out = verbose_feature_names_out

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return parameters, with ``deep`` also those of the transformers as ``name__parameter``."""
        if self.transformers is None:
            params: dict[str, Any] = super().get_params(deep=deep)
            return params
        return dict(self._get_params("transformers", deep=deep))

    def set_params(self, **params: Any) -> AlignAndStack:
        """Set parameters, a transformer by its name, or ``name__parameter``."""
        self._set_params("transformers", **params)
        return self

    @property
    def halo(self) -> int:
        """Pixels that transformers and resampling look at, the furthest, each in pixels of its own raster."""
        names = self.resampling.values() if isinstance(self.resampling, Mapping) else [self.resampling]
        reach = max((_REACH.get(resampling_named(name), 1) for name in names if name != "auto"), default=1)
        own = [getattr(step, "halo", 0) for _, step in self.transformers or ()]
        return max([int(value) for value in own if isinstance(value, int)], default=0) + reach

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "transformers_") or all(_is_stateless(step) for _, step in self.transformers or ())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = not all(_is_stateless(step) for _, step in self.transformers or ())
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags

    def __call__(self, *rasters: Any) -> Any:
        """Apply it to a mapping, or to rasters in a row; called with steps of a graph, become a step of it.

        In a graph rasters have the names of the inputs that they are made of, and in a row those of the transformers, or
        ``raster_1``, ``raster_2`` ...
        """
        if any(isinstance(raster, Node) for raster in rasters):
            return Node(_InARow(self, _input_names(rasters)), *rasters)
        if len(rasters) == 1 and isinstance(rasters[0], Mapping) and not is_raster(rasters[0]):
            return self.transform(rasters[0])
        names = [name for name, _ in self.transformers or ()] or [f"raster_{at}" for at in range(1, len(rasters) + 1)]
        if len(names) != len(rasters):
            raise BandError(f"{len(rasters)} rasters for the transformers {', '.join(map(repr, names))}: give one for each")
        return self.transform(dict(zip(names, rasters, strict=True)))

    def fit(self, X: Mapping[str, Any], y: Any = None) -> AlignAndStack:
        """Fit a clone of each transformer on its raster.

        Parameters
        ----------
        X : mapping of str to raster of any carrier
            The rasters by name.
        y : object
            Handed to the transformers.

        Returns
        -------
        self
        """
        steps = self._steps(X)
        self.transformers_ = [(name, step if _passes(step) else clone(step).fit(X[name], y)) for name, step in steps]
        self.band_names_in_ = {name: unwrap(X[name]).names for name, _ in steps}
        return self

    def fit_transform(self, X: Mapping[str, Any], y: Any = None, **params: Any) -> Any:
        """Fit the transformers, and transform the rasters.

        Parameters
        ----------
        X, y : object
            As for `fit`.
        **params : object
            Not used.

        Returns
        -------
        raster of the type of the target
        """
        return self.fit(X, y).transform(X)

    def transform(self, X: Mapping[str, Any]) -> Any:
        """Transform the rasters, bring them to the grid, and stack their bands.

        Parameters
        ----------
        X : mapping of str to raster of any carrier
            The rasters by name. Lazy ones stay lazy.

        Returns
        -------
        raster of the type of the target
        """
        steps = self._steps(X)
        fitted = dict(getattr(self, "transformers_", steps))
        made = {name: X[name] if _passes(fitted[name]) else fitted[name].transform(X[name]) for name, _ in steps}
        rasters = {name: unwrap(raster) for name, raster in made.items()}
        grid, like = self._target(rasters)
        names = self._names({name: raster.names for name, raster in rasters.items()})
        times = _common_times(rasters)
        ways = [self._way(name, raster, grid) for name, raster in rasters.items()]
        stack = _lazily if any(raster.is_lazy for raster in rasters.values()) else _at_once
        values = stack(list(rasters.values()), grid, ways, None if times is None else len(times))
        dates = None if times is None or None in times else times
        return rewrap(Raster(values, grid, names, (math.nan,), times=dates), made[like])

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the output's bands.

        Parameters
        ----------
        input_features : mapping of str to sequence of str, or None
            Names of the bands of each raster; None takes those of the fit.

        Returns
        -------
        ndarray of str
        """
        known = input_features if input_features is not None else getattr(self, "band_names_in_", None)
        if not isinstance(known, Mapping):
            raise BandError("names of bands are not known yet: call fit, or give input_features={name: names of its bands}")
        steps = dict(getattr(self, "transformers_", self._steps(known)))
        bands = {
            name: tuple(names if _passes(steps[name]) else steps[name].get_feature_names_out(np.asarray(names, dtype=object)))
            for name, names in known.items()
        }
        return np.asarray(self._names(bands), dtype=object)

    def _steps(self, X: Any) -> list[tuple[str, Any]]:
        """Return the name and transformer of each raster of a mapping."""
        if not isinstance(X, Mapping) or is_raster(X) or not X:
            raise BandError(f"X is {type(X).__name__} and no mapping of rasters: give {{'s2': raster, 'sar': raster}}")
        if self.transformers is None:
            return [(str(name), "passthrough") for name in X]
        self._validate_names([name for name, _ in self.transformers])
        wanted = [name for name, _ in self.transformers]
        missing, extra = [name for name in wanted if name not in X], [name for name in X if name not in wanted]
        if missing or extra:
            what = f"lacks {missing[0]!r}" if missing else f"has {extra[0]!r}, for which there is no transformer"
            raise BandError(f"the mapping of rasters {what}: give {', '.join(map(repr, wanted))}", missing=missing, extra=extra)
        for name, step in self.transformers:
            if not _passes(step) and not hasattr(step, "transform"):
                raise BandError(f"transformer {name!r} is {step!r}: give one with transform, or 'passthrough'")
        return list(self.transformers)

    def _target(self, rasters: Mapping[str, Raster]) -> tuple[Grid, str]:
        """Return the grid of the result, and the raster whose type it has."""
        target, names = self.target_grid, list(rasters)
        if isinstance(target, Grid):
            return target, names[0]
        if isinstance(target, str) and target in names:
            return rasters[target].grid, target
        if isinstance(target, int | np.integer) and not isinstance(target, bool) and -len(names) <= target < len(names):
            return rasters[names[target]].grid, names[target]
        if isinstance(target, float | np.floating) and 0 < target < math.inf:
            return _covering(rasters[names[0]].grid, float(target)), names[0]
        raise GridError(
            f"target_grid={target!r} is none of the rasters {', '.join(map(repr, names))}: name one, give its position from 0, "
            "a Grid, or a resolution as a float such as 20.0",
            target_grid=target,
        )

    def _way(self, name: str, raster: Raster, grid: Grid) -> Resampling:
        """Return how a raster is resampled."""
        chosen = self.resampling
        if isinstance(chosen, Mapping):
            chosen = chosen.get(name, "auto")
        if chosen != "auto":
            return resampling_named(chosen)
        if {"flag_values", "class_names"} & set(raster.attrs):
            return Resampling.nearest
        if (raster.grid.crs is None) != (grid.crs is None):
            return Resampling.bilinear
        return Resampling.average if coarseness(raster.grid, grid) >= _COARSER else Resampling.bilinear

    def _names(self, bands: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        long = self.verbose_feature_names_out
        names = tuple(f"{name}_{band}" if long else str(band) for name, own in bands.items() for band in own)
        twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
        if twice is not None:
            raise BandError(f"two bands would be named {twice!r}: use verbose_feature_names_out=True", band=twice)
        return names


@dataclass(frozen=True, eq=False)
class _InARow:
    """A stack as a step of a graph, which hands its sources over without names."""

    stack: AlignAndStack
    names: tuple[str, ...]

    @property
    def halo(self) -> int:
        return self.stack.halo

    def __call__(self, *rasters: Any) -> Any:
        return self.stack(dict(zip(self.names, rasters, strict=True)))

    def __repr__(self) -> str:
        return repr(self.stack)


def _input_names(nodes: Sequence[Any]) -> tuple[str, ...]:
    """Return the input that each node is made of, or its number where it is made of several or of one taken already."""
    names: list[str] = []
    for number, node in enumerate(nodes, 1):
        of = sorted(_inputs_of(node)) if isinstance(node, Node) else []
        names.append(of[0] if len(of) == 1 and of[0] not in names else f"raster_{number}")
    return tuple(names)


def _inputs_of(node: Node) -> set[str]:
    if isinstance(node, Input):
        return {node.name}
    return set().union(*map(_inputs_of, node.sources))


def _passes(step: Any) -> bool:
    return isinstance(step, str) and step == "passthrough"


def _is_stateless(step: Any) -> bool:
    return _passes(step) or (hasattr(step, "__sklearn_tags__") and not get_tags(step).requires_fit)


def _covering(grid: Grid, size: float) -> Grid:
    """Return a grid of square pixels along the axes of the CRS that covers another one."""
    if not grid.is_georeferenced:
        raise CRSError(f"target_grid={size:g} needs to know where the first raster is, which has CRS {crs_name(grid.crs)}")
    left, bottom, right, top = grid.bounds
    # A whisker less, so that rounding adds no row or column.
    first, last = math.floor(left / size + 1e-6), math.ceil(right / size - 1e-6)
    lowest, highest = math.floor(bottom / size + 1e-6), math.ceil(top / size - 1e-6)
    return Grid(grid.crs, (size, 0, first * size, 0, -size, highest * size), highest - lowest, last - first)


def _common_times(rasters: Mapping[str, Raster]) -> tuple[Any, ...] | None:
    """Return the dates of rasters that have a time axis, None for each that is not known; None where none has the axis."""
    dated = {name: raster for name, raster in rasters.items() if raster.cube.ndim > 3}
    times = [tuple(raster.times or (None,) * raster.cube.shape[1]) for raster in dated.values()]
    for name, others in zip(dated, times, strict=True):
        if others != times[0]:
            raise GridError(f"rasters {next(iter(dated))!r} and {name!r} have other dates: bring them to the same ones first")
    return times[0] if times else None


def _at_once(rasters: Sequence[Raster], grid: Grid, ways: Sequence[Resampling], steps: int | None) -> np.ndarray:
    """Warp rasters into one array."""
    kind = np.result_type(np.float32, *(raster.values.dtype for raster in rasters))
    count = sum(raster.n_bands for raster in rasters)
    values = np.empty((count, *(() if steps is None else (steps,)), *grid.shape), kind)
    first = 0
    for raster, way in zip(rasters, ways, strict=True):
        out = values[first : first + raster.n_bands]
        if steps is not None and raster.cube.ndim == 3:
            warped(raster, grid, way, out[:, 0])
            out[:, 1:] = out[:, :1]
        else:
            warped(raster, grid, way, out)
        first += raster.n_bands
    return values


def _lazily(rasters: Sequence[Raster], grid: Grid, ways: Sequence[Resampling], steps: int | None) -> Any:
    """Stack lazy rasters, and such as are not."""
    from dask.array import asarray, broadcast_to, concatenate

    cubes: list[Any] = [
        asarray(warped(raster, grid, way).cube)  # type: ignore[no-untyped-call]
        for raster, way in zip(rasters, ways, strict=True)
    ]
    if steps is not None:
        shapes = [(len(cube), steps, *grid.shape) for cube in cubes]
        cubes = [
            cube if cube.ndim > 3 else broadcast_to(cube[:, None], shape)  # type: ignore[no-untyped-call]
            for cube, shape in zip(cubes, shapes, strict=True)
        ]
    return concatenate(cubes)  # type: ignore[no-untyped-call]
