"""The checks for plugin authors pass for what is right, and say what is wrong otherwise."""

from __future__ import annotations

import dataclasses
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression

import pixelwise as pw
from pixelwise.default_plugins.array_carriers import NdarrayCarrier
from pixelwise.default_plugins.file_carriers import FileCarrier
from pixelwise.default_plugins.xarray_carriers import DataArrayCarrier, DatasetCarrier
from pixelwise.plugins import plugins
from pixelwise.testing import check_carrier, check_family


@pytest.fixture(scope="module")
def scene() -> Path:
    return pw.datasets.make_example()[0]


@pytest.fixture
def registered(request: pytest.FixtureRequest) -> Any:
    """Register what the test gives, as a stranger's plugin, and take it away again."""

    def register(family: pw.EstimatorFamily | None = None, carrier: Any = None) -> None:
        plugin = types.SimpleNamespace()
        if family is not None:
            plugin.pixelwise_families = pw.hookimpl(lambda: [family])
        if carrier is not None:
            plugin.pixelwise_carriers = pw.hookimpl(lambda: [carrier])
        plugins().register(plugin, "of a test")
        request.addfinalizer(lambda: plugins().unregister("of a test"))

    return register


@pytest.mark.parametrize(
    ("kind", "estimator"),
    [
        ("classifier", LogisticRegression()),
        ("classifier", HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=2)),
        ("regressor", LinearRegression()),
        ("transformer", PCA()),
        ("clusterer", KMeans(3, n_init=1, random_state=0)),
    ],
)
def test_the_built_in_families_keep_the_contract(kind: str, estimator: Any) -> None:
    check_family(plugins().family_of(estimator, kind), estimator)


class OnlyFromZero(ClassifierMixin, BaseEstimator):
    """A classifier that takes labels 0 to K-1 and nothing else, as some boosters do, and guesses NaN wrong."""

    def fit(self, X: Any, y: Any) -> OnlyFromZero:
        self.classes_ = np.unique(y)
        if self.classes_.tolist() != list(range(len(self.classes_))):
            raise ValueError(f"expected labels from 0, got {self.classes_}")
        self.centres_ = np.stack([np.asarray(X)[y == label].mean(axis=0) for label in self.classes_])
        return self

    def predict(self, X: Any) -> np.ndarray:
        if np.isnan(np.asarray(X)).any():
            raise ValueError("NaN is not taken")
        distance = ((np.asarray(X)[:, None] - self.centres_) ** 2).sum(axis=-1)
        return self.classes_[distance.argmin(axis=1)]


FAMILY = pw.EstimatorFamily("from-zero", ("tests_of_families:OnlyFromZero",), kind="classifier", encode_labels=True)


@pytest.fixture(autouse=True)
def _module_of_the_classifier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tests_of_families", types.SimpleNamespace(OnlyFromZero=OnlyFromZero))


def test_a_family_that_encodes_labels_keeps_the_contract(registered: Any) -> None:
    registered(FAMILY)
    check_family(FAMILY, OnlyFromZero())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encode_labels": False}, r"cannot be fitted on targets such as \[1 3 7\].*encode_labels=True"),
        ({"accepts_nan": True}, "does not take NaN: set accepts_nan=False"),
        ({"dtypes": ("uint8", "text")}, "has no fill for its dtype text"),
    ],
)
def test_a_family_that_says_what_is_not_so_is_found_out(changes: dict[str, Any], message: str, registered: Any) -> None:
    family = dataclasses.replace(FAMILY, **changes)
    registered(family)
    with pytest.raises(AssertionError, match=message):
        check_family(family, OnlyFromZero())


def test_a_family_that_nobody_registered_is_found_out() -> None:
    with pytest.raises(AssertionError, match=r"belongs to family 'sklearn-classifier'.*is it registered"):
        check_family(FAMILY, OnlyFromZero())


def test_a_class_named_without_its_module_is_found_out() -> None:
    family = dataclasses.replace(FAMILY, estimators=("OnlyFromZero",))
    with pytest.raises(AssertionError, match="name each class as 'module:Class'"):
        check_family(family, OnlyFromZero())


@pytest.mark.parametrize(
    "values",
    [np.arange(24, dtype="int16").reshape(2, 3, 4), np.ma.masked_less(np.ones((2, 3, 4)), 0), np.ones((2, 3, 4, 5))],
    ids=["array", "masked", "series of dates"],
)
def test_the_built_in_carrier_of_arrays_keeps_the_contract(values: np.ndarray) -> None:
    check_carrier(NdarrayCarrier(), values)


def test_the_built_in_carriers_of_xarray_keep_the_contract(scene: Path) -> None:
    raster = pw.open_raster(scene)
    check_carrier(DataArrayCarrier(), raster)
    check_carrier(DatasetCarrier(), raster.to_dataset("band"))


def test_the_built_in_carrier_of_files_keeps_the_contract(scene: Path) -> None:
    check_carrier(FileCarrier(), scene, returns=xr.DataArray)
    with rasterio.open(scene) as file:
        check_carrier(FileCarrier(), file, returns=xr.DataArray)


class Tile:
    """A raster of a stranger's type."""

    def __init__(self, values: np.ndarray, left: float = 0.0, nodata: float | None = None) -> None:
        self.values, self.left, self.nodata = values, left, nodata


class TileCarrier:
    """A carrier that keeps the contract, for others to break."""

    name = "tile"

    def matches(self, obj: Any) -> bool:
        return isinstance(obj, Tile)

    def unwrap(self, obj: Tile) -> pw.Raster:
        grid = pw.Grid("EPSG:32633", rasterio.Affine(10, 0, obj.left, 0, -10, 0), *obj.values.shape[-2:])
        return pw.Raster(obj.values, grid, nodata=() if obj.nodata is None else (obj.nodata,))

    def rewrap(self, raster: pw.Raster, like: Tile) -> Any:
        return Tile(raster.values, raster.grid.transform.c, raster.nodata[0])


class LosesItsPlace(TileCarrier):
    def rewrap(self, raster: pw.Raster, like: Tile) -> Tile:
        return Tile(raster.values, 0.0, raster.nodata[0])


class LosesItsNodata(TileCarrier):
    def rewrap(self, raster: pw.Raster, like: Tile) -> Tile:
        return Tile(raster.values, raster.grid.transform.c)


class WidensTheDtype(TileCarrier):
    def rewrap(self, raster: pw.Raster, like: Tile) -> Tile:
        return Tile(raster.values.astype("float64"), raster.grid.transform.c, raster.nodata[0])


class TurnsUpsideDown(TileCarrier):
    def rewrap(self, raster: pw.Raster, like: Tile) -> Tile:
        return Tile(raster.values[..., ::-1, :], raster.grid.transform.c, raster.nodata[0])


class ReturnsAnArray(TileCarrier):
    def rewrap(self, raster: pw.Raster, like: Tile) -> np.ndarray:
        return raster.values


class UnwrapsToAnArray(TileCarrier):
    def unwrap(self, obj: Tile) -> Any:
        return obj.values


class TakesEverything(TileCarrier):
    def matches(self, obj: Any) -> bool:
        return True


class TakesNothing(TileCarrier):
    def matches(self, obj: Any) -> bool:
        return False


EXAMPLE = Tile(np.arange(24, dtype="int16").reshape(2, 3, 4), left=330_000.0, nodata=-1.0)


def test_a_carrier_that_loses_nothing_keeps_the_contract(registered: Any) -> None:
    registered(carrier=TileCarrier())
    check_carrier(TileCarrier(), EXAMPLE)


@pytest.mark.parametrize(
    ("carrier", "message"),
    [
        (LosesItsPlace(), "has lost its place: pixels shifted"),
        (LosesItsNodata(), r"has the nodata \(None, None\), not \(-1.0, -1.0\)"),
        (WidensTheDtype(), "has dtype float64, not int16"),
        (TurnsUpsideDown(), "has other values"),
        (ReturnsAnArray(), "makes a ndarray of a round trip, not a Tile"),
        (UnwrapsToAnArray(), "unwraps to a ndarray: return a pixelwise.Raster"),
        (TakesEverything(), "which is no raster"),
        (TakesNothing(), "does not match its own example, a Tile"),
    ],
)
def test_a_carrier_that_loses_something_is_found_out(carrier: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_carrier(carrier, EXAMPLE)
