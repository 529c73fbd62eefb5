"""Every hook is documented, implemented by a built-in plugin, and open to a stranger's."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier

import pixelwise as pw
from pixelwise import hookspecs
from pixelwise.plugins import DEFAULT_PLUGINS, Plugins, plugins

HOOKS = sorted(name for name, obj in vars(hookspecs).items() if hasattr(obj, "pixelwise_spec"))


class Tile:
    """A stranger's type of raster."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values


class TileCarrier:
    """How pixelwise carries a `Tile`."""

    name = "tile"

    def matches(self, obj: Any) -> bool:
        return isinstance(obj, Tile)

    def unwrap(self, obj: Tile) -> pw.Raster:
        return pw.Raster(obj.values, pw.Grid("EPSG:32633", (10, 0, 0, 0, -10, 0), *obj.values.shape[-2:]))

    def rewrap(self, raster: pw.Raster, like: Tile) -> Tile:
        return Tile(raster.values)


class Nearest(ClassifierMixin, BaseEstimator):
    """A stranger's classifier."""


class TwiceProgram:
    """Says 2 to everything."""

    bounds: Mapping[str, float] = {"predict": 0.0}

    def run(self, method: str, X: Any, n_jobs: int | None) -> np.ndarray:
        return np.full(len(X), 2)

    def explain(self) -> str:
        return "twice"


class TwiceEngine:
    """A stranger's engine, which is wrong."""

    name = "twice"

    def compile(self, estimator: Any) -> TwiceProgram | None:
        return TwiceProgram() if isinstance(estimator, DummyClassifier) else None


class StrangersPlugin:
    """Implements every hook there is."""

    @pw.hookimpl
    def pixelwise_families(self) -> list[pw.EstimatorFamily]:
        return [pw.EstimatorFamily("nearest", (f"{__name__}:Nearest",), kind="classifier", dtypes=("int16",))]

    @pw.hookimpl
    def pixelwise_carriers(self) -> list[TileCarrier]:
        return [TileCarrier()]

    @pw.hookimpl
    def pixelwise_engines(self) -> list[TwiceEngine]:
        return [TwiceEngine()]


@pytest.fixture
def with_stranger() -> Iterator[Plugins]:
    plugins().register(StrangersPlugin(), "stranger")
    yield plugins()
    plugins().unregister("stranger")


def test_there_are_six_hooks_at_the_most() -> None:
    assert 0 < len(HOOKS) <= 6


@pytest.mark.parametrize("hook", HOOKS)
def test_the_hook_says_what_it_does_and_when_it_is_called(hook: str) -> None:
    doc = inspect.getdoc(getattr(hookspecs, hook)) or ""
    assert doc.startswith("Return")
    assert "Called " in doc


@pytest.mark.parametrize("hook", HOOKS)
def test_the_hook_has_types(hook: str) -> None:
    signature = inspect.signature(getattr(hookspecs, hook))
    assert signature.return_annotation is not signature.empty
    assert all(parameter.annotation is not parameter.empty for parameter in signature.parameters.values())


@pytest.mark.parametrize("hook", HOOKS)
def test_a_built_in_plugin_implements_the_hook(hook: str) -> None:
    assert any(hasattr(getattr(importlib.import_module(name), hook, None), "pixelwise_impl") for name in DEFAULT_PLUGINS)


@pytest.mark.parametrize("hook", HOOKS)
def test_the_strangers_plugin_of_these_tests_implements_the_hook(hook: str) -> None:
    assert hasattr(getattr(StrangersPlugin, hook), "pixelwise_impl")


def test_a_strangers_family_is_found(with_stranger: Plugins, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, __name__, __import__("types").SimpleNamespace(Nearest=Nearest))
    assert with_stranger.family_of(Nearest(), "classifier").name == "nearest"


def test_a_strangers_carrier_goes_in_and_comes_out(with_stranger: Plugins) -> None:
    tile = Tile(np.arange(12.0).reshape(2, 2, 3))
    model = pw.PixelwiseClassifier(DummyClassifier()).fit(np.zeros((4, 2)), [1, 2, 2, 2])
    made = model.predict(tile)
    assert isinstance(made, Tile)
    assert made.values.tolist() == [[2, 2, 2], [2, 2, 2]]


def test_a_strangers_carrier_is_gone_once_it_is_unregistered() -> None:
    assert not pw.is_raster(Tile(np.zeros((2, 2, 3))))


def test_a_strangers_engine_compiles_what_it_takes(with_stranger: Plugins) -> None:
    model = DummyClassifier().fit([[0.0]], [1])
    compiled = pw.compile_estimator(model)
    assert compiled.engine_ == "twice"
    assert compiled.predict([[0.0], [1.0]]).tolist() == [2, 2]
    with pytest.raises(pw.errors.EngineError, match="differ in 1 of 1 rows"):
        pw.compile_estimator(model, engine="twice", verify=[[0.0]])
