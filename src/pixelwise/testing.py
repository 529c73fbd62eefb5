"""Checks for authors of plugins, that a family or a carrier keeps its contract."""

from __future__ import annotations

from typing import Any

import numpy as np
import rasterio
from sklearn.base import clone
from sklearn.tree import DecisionTreeClassifier

from pixelwise.errors import FillValueError
from pixelwise.estimators.supervised import PixelwiseClassifier, PixelwiseRegressor
from pixelwise.estimators.unsupervised import PixelwiseClusterer, PixelwiseTransformer
from pixelwise.families import EstimatorFamily
from pixelwise.hookspecs import Carrier
from pixelwise.plugins import plugins
from pixelwise.raster.carriers import Raster, is_raster, unwrap
from pixelwise.raster.grid import Grid
from pixelwise.table.layout import ToPixelMajor

__all__ = ["check_carrier", "check_family"]

_WRAPPERS: dict[str, Any] = {
    "classifier": PixelwiseClassifier,
    "regressor": PixelwiseRegressor,
    "transformer": PixelwiseTransformer,
    "clusterer": PixelwiseClusterer,
}
#: Targets that estimators are known to stumble over, by kind.
_TARGETS: dict[str, list[Any]] = {
    "classifier": [np.array([1, 3, 7]), np.array(["bare soil", "forest", "water"])],
    "regressor": [np.array([0.25, 100.5, -3.0])],
    "transformer": [None],
    "clusterer": [None],
}


def check_family(family: EstimatorFamily, estimator: Any) -> None:
    """Check that a registered family describes an estimator: fit it on awkward labels and predict a raster with a gap.

    Parameters
    ----------
    family : EstimatorFamily
        A family that a plugin has registered.
    estimator : object
        An unfitted estimator of that family.

    Raises
    ------
    AssertionError
        If it does not keep the contract; the message says in what.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from pixelwise.plugins import plugins
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> family = plugins().family_of(DecisionTreeClassifier(), "classifier")
    >>> pw.testing.check_family(family, DecisionTreeClassifier())
    """
    where = f"family {family.name!r}"
    for name in family.estimators:
        _require(all(name.partition(":")), f"{where} names {name!r}: name each class as 'module:Class'")
    _require(family.kind in _WRAPPERS, f"{where} is of kind {family.kind!r}: choose one of {', '.join(_WRAPPERS)}")
    owner = plugins().family_of(estimator, family.kind)
    _require(owner == family, f"{type(estimator).__name__} belongs to family {owner.name!r}, not to {where}: is it registered?")
    for dtype in family.dtypes:
        try:
            family.output_type(dtype=dtype)
        except (FillValueError, TypeError) as error:
            raise AssertionError(f"{where} has no fill for its dtype {dtype}: {error}") from error
    for target in _TARGETS[family.kind]:
        _check_fit(family, estimator, target)


def _check_fit(family: EstimatorFamily, estimator: Any, target: np.ndarray | None) -> None:
    where = f"{type(estimator).__name__} of family {family.name!r}"
    centres = np.array([[10.0, 200.0], [90.0, 20.0], [200.0, 110.0]])
    chosen = np.arange(60) % 3
    pixels = (centres[chosen] + np.random.default_rng(0).normal(0, 2, (60, 2))).astype("float32")
    values = ToPixelMajor().unflatten(pixels.T, (2, 6, 10)).copy()
    values[:, 0, 0] = np.nan
    model = _WRAPPERS[family.kind](clone(estimator))
    labels = None if target is None else target[chosen]
    try:
        model.fit(pixels, labels)
    except Exception as error:
        remedy = ": set encode_labels=True" if family.kind == "classifier" and not family.encode_labels else ""
        raise AssertionError(f"{where} cannot be fitted on targets such as {target}: {error}{remedy}") from error
    if family.accepts_nan:
        try:
            getattr(model.estimator_, model.method)(np.full((1, 2), np.nan, "float32"))
        except Exception as error:
            raise AssertionError(f"{where} does not take NaN: set accepts_nan=False: {error}") from error
    grid = Grid("EPSG:32633", rasterio.Affine(10, 0, 330_000, 0, -10, 5_822_040), 6, 10)
    made = getattr(model, model.method)(Raster(values, grid))
    gap = made.values[..., 0, 0]
    _require(np.array_equal(gap, np.full_like(gap, made.nodata[0]), equal_nan=True), f"{where} predicts where no data is")
    if family.kind == "classifier":
        assert target is not None
        _require(np.array_equal(model.classes_, target), f"{where} has classes_ {model.classes_} after a fit on {target}")
        _require(set(model.predict(pixels).tolist()) <= set(target.tolist()), f"{where} predicts labels that it was not given")
        codes = np.asarray(made.attrs["flag_values"])
        got = model.classes_[np.searchsorted(codes, made.values.ravel()[1:])]
        _require(np.array_equal(got, model.predict(pixels)[1:]), f"{where} maps other classes than it predicts on a table")


def check_carrier(carrier: Carrier, example: Any, *, returns: type | None = None) -> None:
    """Check that a registered carrier loses nothing: there and back, and through a prediction.

    Parameters
    ----------
    carrier : Carrier
        A carrier that a plugin has registered.
    example : object
        A raster that it carries, of two valid pixels or more.
    returns : type or None
        The type that comes out, for carriers such as paths; None takes that of `example`.

    Raises
    ------
    AssertionError
        If it does not keep the contract; the message says in what.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> from pixelwise.default_plugins.array_carriers import NdarrayCarrier
    >>> pw.testing.check_carrier(NdarrayCarrier(), np.ones((2, 3, 4)))
    """
    where, expected = f"carrier {carrier.name!r}", returns or type(example)
    _require(bool(carrier.matches(example)), f"{where} does not match its own example, a {type(example).__name__}")
    for other in (np.zeros((5, 2)), 0, None):
        _require(not carrier.matches(other), f"{where} matches {other!r}, which is no raster")
    raster = carrier.unwrap(example)
    _require(isinstance(raster, Raster), f"{where} unwraps to a {type(raster).__name__}: return a pixelwise.Raster")
    codes = np.add.outer(np.arange(raster.grid.height), np.arange(raster.grid.width)).astype("uint8")
    marked = Raster(codes, raster.grid, nodata=(255,), name="predict")
    for what, given in (("a round trip", raster), ("a map of one band", marked)):
        back = carrier.rewrap(given, example)
        _require(isinstance(back, expected), f"{where} makes a {type(back).__name__} of {what}, not a {expected.__name__}")
        _compare(f"{where} after {what}", _parts(carrier, back), given)
    kept = _parts(carrier, carrier.rewrap(raster, example)).nodata
    # As text, because NaN differs from itself.
    _require(str(kept) == str(raster.nodata), f"{where} after a round trip has the nodata {kept}, not {raster.nodata}")
    if raster.values.ndim == 3:
        table = np.nan_to_num(ToPixelMajor()(raster).astype("float32"))
        model = PixelwiseClassifier(DecisionTreeClassifier(random_state=0), nan="propagate")
        model.fit(table, np.arange(len(table)) % 2)
        made = model.predict(example)
        _require(isinstance(made, expected), f"predict on {where} gives a {type(made).__name__}, not a {expected.__name__}")
        _compare(f"{where} after predict", _parts(carrier, made), model.predict(raster))


def _parts(carrier: Carrier, obj: Any) -> Raster:
    # A map of one band need not be a raster again on its own: a 2-D array may be a table.
    return unwrap(obj) if is_raster(obj) else carrier.unwrap(obj)


def _compare(where: str, got: Raster, given: Raster) -> None:
    differs = got.grid.differs_from(given.grid)
    _require(not differs, f"{where} has lost its place: {differs}")
    a, b = np.asarray(got.cube), np.asarray(given.cube)
    _require(a.dtype == b.dtype, f"{where} has dtype {a.dtype}, not {b.dtype}")
    _require(np.array_equal(a, b, equal_nan=b.dtype.kind == "f"), f"{where} has other values")
    _require(given.bands in (None, got.bands), f"{where} has the bands {got.bands}, not {given.bands}")


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise AssertionError(message)
