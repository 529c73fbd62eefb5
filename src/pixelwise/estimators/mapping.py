"""From a raster to a map: blocks of pixels through a fitted estimator, and back onto the grid."""

from __future__ import annotations

import functools
import operator
import warnings
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import FLOAT_DTYPES, check_array, check_is_fitted

from pixelwise.errors import FillValueError, GridError, MissingDataError, MissingDataWarning
from pixelwise.estimators.compiled import LEARNED, coder_of, predictor_of
from pixelwise.estimators.nan_support import dtype_taken, takes_nan
from pixelwise.estimators.uncertainty import called
from pixelwise.families import EstimatorFamily, OutputType, default_fill
from pixelwise.plugins import plugins
from pixelwise.raster.carriers import Raster, is_raster, rewrap, unwrap
from pixelwise.raster.lazy import map_chunks
from pixelwise.table.bands import band_order
from pixelwise.table.layout import Layout, ToPixelMajor
from pixelwise.table.missing import (
    NanPolicy,
    as_policy,
    missing_values,
    refuse_missing,
    report_suspected_fill,
    rows_with_nan,
    valid_rows,
)
from pixelwise.table.pixels import PixelTable
from pixelwise.table.temporal_layout import ToTemporalPixelMajor
from pixelwise.warned import warn

__all__ = ["RasterMapping", "is_fitted", "output_type"]

#: Pixels that are predicted at a time: more would leave the processor's cache and cost more a pixel.
_BLOCK = 65_536
#: Tables are filled up to a multiple of this many rows with copies of their last: linear algebra sums the rows of an odd
#: remainder in another order, and then a chip would differ from the whole in the last bit.
_ROWS = 64
#: Pixels that lie side by side in a sample.
_RUN = 64
#: Most bytes of one such table in float64, for rasters with hundreds of bands.
_BLOCK_BYTES = 32 * 2**20


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is the same for every chip of a raster, and so is settled once."""

    #: What tells that another plan is needed: this by equality, what was learned by identity.
    key: tuple[Any, ...]
    learned: tuple[Any, ...]
    policy: NanPolicy
    layout: Layout
    columns: Any
    how: str
    marks: Any
    names: list[str]
    dtype: np.dtype[Any]
    pair: OutputType
    #: Names of the columns where the estimator was fitted on a frame.
    frame: Any
    #: Whether estimators take rows as they are.
    flat: bool
    #: What is called, of the estimator or of what an engine has made of it; and what predicts codes from pixels as they are.
    call: Any
    coder: Any
    #: Attributes and band names of maps by their number of outputs.
    described: dict[Any, tuple[dict[str, Any], tuple[str, ...] | None]] = field(default_factory=dict)


#: The last plan of each model; beside the models, because predicting must not change them.
_PLANS: WeakKeyDictionary[Any, _Plan] = WeakKeyDictionary()


@functools.lru_cache(maxsize=64)
def output_type(family: EstimatorFamily, codes: tuple[float, ...], dtype: str | None, fill: float | None) -> OutputType:
    """Return the checked dtype and fill of a map; remembered, because every chip asks."""
    return family.output_type(codes, dtype=dtype, fill_value=fill)


class RasterMapping:
    """How a fitted meta-estimator is applied; mixed into `PixelwiseBase`, which says how it is fitted."""

    _kind = "classifier"
    estimator: Any
    nan: NanPolicy | str
    fill_value: float | None
    output_dtype: Any
    adapter: Layout | None
    engine: str | None = None
    n_features_in_: int
    imputer_: Any

    def _validated(self, X: Any, *, reset: bool) -> Any:
        """Check a table as scikit-learn does."""
        raise NotImplementedError

    def _family(self) -> EstimatorFamily:
        return plugins().family_of(self.estimator, self._kind)

    def _dtype(self) -> str | None:
        if self.output_dtype is None:
            return None
        default_fill(self.output_dtype)
        return str(np.dtype(self.output_dtype).name)

    def _fill(self, policy: NanPolicy) -> float | None:
        return policy.fill_value if self.fill_value is None else self.fill_value

    def _codes(self) -> tuple[float, ...]:
        return ()

    def _names(self) -> tuple[str, ...] | None:
        names = getattr(self, "feature_names_in_", None)
        if names is None and "estimator_" not in self.__dict__ and self._kind in ("classifier", "regressor"):
            # A fitted CatBoost keeps its names here; those of an array are positions.
            names = getattr(self.estimator, "feature_names_", None)
            names = None if names is None or list(names) == [str(number) for number in range(len(names))] else names
        return None if names is None else tuple(names)

    def _fitted(self) -> Any:
        inner = self.__dict__.get("estimator_")
        if inner is None:
            if not is_fitted(self.estimator):
                raise NotFittedError(f"this {type(self).__name__} is not fitted yet: call fit, or wrap a fitted estimator")
            inner = self.estimator
        return inner

    def _on_table(self, X: Any, method: str) -> Any:
        inner = self._fitted()
        return self._decode(called(predictor_of(self, inner, method), method)(self._table(X, inner, method)), method)

    def _table(self, X: Any, inner: Any, method: str) -> Any:
        if method == "inverse_transform":
            return np.asarray(X) if isinstance(X, PixelTable) else X
        layout = self._layout(isinstance(X, PixelTable) and X.axis is not None)
        if isinstance(X, PixelTable):
            self._check_layout(layout)
            X, dated = layout.of_table(X)
            if dated is not None:
                raise GridError(
                    f"{layout!r} gives a prediction a date, and this table has a row a pixel: pass {layout!r}(X), and labels "
                    "as many times as there are dates"
                )
            names, values = X.band_names, np.asarray(X)
        elif "used_bands_" in self.__dict__:
            # Fitted on pixels: scikit-learn turns PixelTables into arrays in many places, so that missing names are no news.
            names, values = _frame_names(X), check_array(X, dtype=FLOAT_DTYPES, ensure_all_finite=False, ensure_min_samples=0)
        else:
            return X if "estimator_" not in self.__dict__ else self._validated(X, reset=False)
        n_bands = len(X.base_bands or ()) if isinstance(X, PixelTable) else 1
        values = values[:, band_order(self._names(), names, values.shape[1], self.n_features_in_)]
        used = self.__dict__.get("used_bands_")
        values = values if used is None or used.all() else values[:, used]
        gaps = np.isnan(values)
        if "imputer_" in self.__dict__ and gaps.any():
            values = self.imputer_.transform(values)
        elif gaps.any() and not takes_nan(inner, values.shape[1], method, self._family()):
            raise MissingDataError(
                f"{gaps.any(axis=1).sum()} of {len(values)} pixels lack data and {type(inner).__name__} does not take NaN: "
                f"drop them with extract_pixels(nan='drop'), or use nan='impute'"
            )
        return _named(inner, layout.arrange(values, n_bands))

    def _apply(self, X: Any, method: str) -> Any:
        """Call a method of the fitted estimator on a table, or on a raster block by block; this loop is the hot path."""
        if not isinstance(X, Raster) and not is_raster(X):
            return self._on_table(X, method)
        raster = X if isinstance(X, Raster) else unwrap(X)
        inner = self.__dict__.get("estimator_")
        inner = self._fitted() if inner is None else inner
        if not isinstance(raster.values, np.ndarray) and raster.is_lazy:
            return rewrap(map_chunks(functools.partial(self._apply, method=method), raster), X)
        cube = raster.values if raster.values.ndim > 2 else raster.cube
        plan = self._plan(raster, cube, inner, method)
        policy, layout, columns, how, marks, pair = plan.policy, plan.layout, plan.columns, plan.how, plan.marks, plan.pair
        flat = layout.flatten(cube)
        flat = flat if isinstance(columns, slice) else flat[columns]
        mask = None if raster.mask is None else layout.flatten_mask(raster.mask, cube.shape)
        mask = mask if mask is None or mask.ndim < 2 else mask[columns]
        call, n = plan.call, flat.shape[1]
        step = max(1, min(_BLOCK, _BLOCK_BYTES // (8 * len(flat))))
        out, buffer = None, np.empty((-(-min(step, n) // _ROWS) * _ROWS, len(flat)), plan.dtype)
        for start in range(0, n, step):
            part, hidden = flat[:, start : start + step], None if mask is None else mask[..., start : start + step]
            valid, missing = valid_rows(part, marks, hidden, policy, "complete" if how in ("mask", "raise") else "any")
            if how == "raise" and valid is not None:
                refuse_missing(int((~valid).sum()), len(valid), "the raster")
            if valid is not None and not valid.any():
                continue
            if plan.coder is not None:
                result = plan.coder((part if valid is None else part[:, valid]).T, plan.dtype)
            else:
                count = len(rows_with_nan(part, valid, missing, plan.dtype, buffer))
                rows = buffer[: -(-count // _ROWS) * _ROWS]
                rows[count:] = rows[count - 1]
                rows = self.imputer_.transform(rows) if how == "impute" and missing else rows
                rows = rows if plan.flat else layout.arrange(rows, len(cube))
                result = self._coded(
                    call(rows if plan.frame is None else pd.DataFrame(rows, columns=plan.frame))[:count], method
                )
            if out is None:
                out = np.full((*result.shape[1:], n), pair.fill_value, pair.dtype)
            block = out[..., start : start + step]
            block[..., slice(None) if valid is None else valid] = _fitting(result, pair, policy).T
        if out is None:
            probe = layout.arrange(np.zeros((1, len(flat)), np.float32), len(cube))
            out = self._nothing(inner, probe, n, method, pair)
            if not isinstance(X, Raster):
                _report_nothing(flat, marks, plan.names, policy)
        elif not isinstance(X, Raster):
            _report_fill(flat, marks, policy)
        values = layout.unflatten(out, cube.shape)
        # A time axis that is still there is that of maps, one a date.
        times = (raster.times or tuple(range(values.shape[1]))) if values.ndim > 3 else None
        values = values if out.ndim > 1 else values[0]
        n_outputs = len(out) if out.ndim > 1 else None
        if n_outputs not in plan.described:
            plan.described[n_outputs] = self._describe(method, n_outputs, out.dtype)
        attrs, bands = plan.described[n_outputs]
        mapped = Raster(values, raster.grid, bands, (pair.fill_value,), times=times, attrs=dict(attrs), name=method)
        return mapped if raster is X else rewrap(mapped, X)

    def _plan(self, raster: Raster, cube: Any, inner: Any, method: str) -> _Plan:
        """Return the plan of the last chip if it fits this one, too."""
        key = (
            method, raster.bands, raster.nodata, raster.times, cube.dtype, cube.shape[:-2],
            self.nan, self.fill_value, self.output_dtype, self.adapter, self.engine,
        )  # fmt: skip
        # An estimator that came fitted may be fitted anew behind our back.
        own = "estimator_" in self.__dict__
        names = () if own else ("classes_", "feature_names_in_", "n_features_in_", *(() if self.engine is None else LEARNED))
        learned = (inner, *(getattr(inner, name, None) for name in names))
        plan = _PLANS.get(self)
        if plan is None or plan.key != key or any(map(operator.is_not, plan.learned, learned)):
            plan = self._new_plan(raster, cube, method, key, learned)
            # One that warns of missing band names is made anew, so as to warn again.
            if raster.bands is not None or self._names() is None:
                _PLANS[self] = plan
        return plan

    def _new_plan(self, raster: Raster, cube: Any, method: str, key: tuple[Any, ...], learned: tuple[Any, ...]) -> _Plan:
        inner = learned[0]
        policy, layout = as_policy(self.nan), self._layout(cube.ndim > 3)
        if method != "inverse_transform":
            self._check_layout(layout)
        of_band = layout.bands_of(cube.shape)
        columns, how = self._reading(layout.names(raster), len(of_band), policy, inner, method)
        each = missing_values(cube.dtype, raster.names, raster.nodata, policy)
        names = np.asarray(layout.names(raster) or [raster.names[band] for band in of_band])[columns].tolist()
        marks = [each[band] for band in of_band[columns]]
        predictor, pair = predictor_of(self, inner, method), self._pair(method, policy)
        own = method == "predict" and how in ("mask", "raise")
        return _Plan(
            key, learned, policy, layout, columns, how, marks, names, dtype_taken(inner, cube.dtype), pair,
            None if layout.is_panel else _columns_of(inner, len(names)), not layout.is_panel, called(predictor, method),
            coder_of(predictor, self._codes()) if own and not layout.is_panel else None,
        )  # fmt: skip

    def _layout(self, dated: bool = False) -> Layout:
        """Return the adapter, or the layout that goes with a raster: of a single date, or of several as the family has it."""
        given = self.__dict__.get("adapter")
        return given or (ToTemporalPixelMajor(self._family().time_handling) if dated else ToPixelMajor())

    def _check_layout(self, layout: Layout) -> None:
        fitted = self.__dict__.get("adapter_")
        if fitted is not None and fitted != layout:
            raise GridError(
                f"the model was fitted with adapter={fitted!r}, and is applied with {layout!r}: give both the same adapter, "
                "and rasters with the same axes",
                fitted=fitted,
                given=layout,
            )

    def _reading(
        self, given: tuple[str, ...] | None, n_given: int, policy: NanPolicy, inner: Any, method: str
    ) -> tuple[Any, str]:
        """Return which features to take in which order, and what to do with missing ones."""
        how = "mask" if policy.on_input == "drop" else policy.on_input
        if method == "inverse_transform":
            return slice(None), "mask"
        names, n_features = self._names(), getattr(self, "n_features_in_", None)
        if names is not None and given is None:
            warnings.warn(
                f"X has no band names, but {type(self).__name__} was fitted with band names; bands are taken in their order",
                UserWarning,
                stacklevel=6,
            )
        columns = band_order(names, given, n_given, n_features)
        used = self.__dict__.get("used_bands_")
        if used is not None and not used.all():
            columns = np.arange(n_given)[columns][used]
        if how == "auto":
            count = n_given if isinstance(columns, slice) else len(columns)
            how = "propagate" if takes_nan(inner, count, method, self._family()) else "mask"
        if how == "impute" and "imputer_" not in self.__dict__:
            how = "mask"
        return columns, how

    def _coded(self, result: Any, method: str) -> Any:
        """Return predictions as numbers."""
        return np.asarray(result)

    def _decode(self, result: Any, method: str) -> Any:
        """Return predictions of a table as the labels that came in."""
        return result

    def _pair(self, method: str, policy: NanPolicy) -> OutputType:
        own = method == "predict" or (self._kind == "transformer" and method == "transform")
        if own:
            return output_type(self._family(), self._codes(), self._dtype(), self._fill(policy))
        return OutputType("float32", float("nan"))

    def _nothing(self, inner: Any, probe: np.ndarray, n: int, method: str, pair: OutputType) -> np.ndarray:
        """Return a map of nothing but fill, where no pixel could be predicted."""
        made = self._coded(called(inner, method)(_named(inner, probe)), method)
        return np.full((*made.shape[1:], n), pair.fill_value, pair.dtype)

    def _describe(self, method: str, n_outputs: int | None, dtype: Any) -> tuple[dict[str, Any], tuple[str, ...] | None]:
        """Return attributes and band names of a map of so many outputs; None is one without a name."""
        bands = None
        if n_outputs is not None:
            bands = tuple(f"{method}_{number}" for number in range(1, n_outputs + 1))
        return {"long_name": method}, bands


def is_fitted(estimator: Any) -> bool:
    """Whether an estimator has been fitted."""
    try:
        check_is_fitted(estimator)
    except (NotFittedError, TypeError):
        return False
    return True


def _frame_names(X: Any) -> tuple[str, ...] | None:
    columns = getattr(X, "columns", None)
    return tuple(columns) if columns is not None and all(isinstance(name, str) for name in columns) else None


def _named(inner: Any, rows: np.ndarray) -> Any:
    names = _columns_of(inner, rows.shape[1])
    return rows if names is None else pd.DataFrame(rows, columns=names)


def _columns_of(inner: Any, n_features: int) -> Any:
    names = getattr(inner, "feature_names_in_", None)
    return None if names is None or len(names) != n_features else names


def _fitting(result: np.ndarray, pair: OutputType, policy: NanPolicy) -> Any:
    """Return predictions that the output dtype holds."""
    if result.dtype.kind != "f" or policy.on_output == "propagate":
        return result
    finite = np.isfinite(result)
    if not finite.all():
        if policy.on_output == "raise":
            raise MissingDataError(f"{(~finite).sum()} predictions are not finite: look at the inputs, or use on_output='fill'")
        result = np.where(finite, result, pair.fill_value)
    kind = np.dtype(pair.dtype)
    if kind.kind == "f":
        return result
    whole, limits = np.rint(result), np.iinfo(kind)
    outside = (whole < limits.min) | (whole > limits.max)
    if outside.any():
        raise FillValueError(
            f"prediction {whole[outside].ravel()[0]:g} does not exist in {pair.dtype}: use output_dtype='float32'"
        )
    return whole


def _report_nothing(flat: np.ndarray, marks: Any, names: list[str], policy: NanPolicy) -> None:
    """Say which bands are to blame for a map without a single predicted pixel; a chip of a larger raster says nothing."""
    _, missing = valid_rows(flat, marks, None, policy, "any")
    empty = [name for name, gaps in zip(names, missing, strict=True) if gaps is not None and gaps.all()]
    blame = f"band {', '.join(empty)} has no valid pixel" if empty else "each pixel lacks data in some band"
    warn(
        MissingDataWarning(
            f"no pixel could be predicted, because {blame}: check the nodata value, "
            "leave the band out of the model, or use nan='propagate'"
        ),
        stacklevel=4,
    )


def _report_fill(flat: np.ndarray, marks: Any, policy: NanPolicy) -> None:
    """Look at a few thousand pixels, in runs that are cheap to read, for a fill that nobody declared."""
    starts = np.linspace(0, max(0, flat.shape[1] - _RUN), 64, dtype=np.intp)
    at = np.unique(np.minimum(np.add.outer(starts, np.arange(_RUN)), flat.shape[1] - 1))
    sample = np.take(flat, at, axis=1)
    valid, _ = valid_rows(sample, marks, None, policy, "complete")
    report_suspected_fill(sample if valid is None else sample[:, valid], "to the model")
