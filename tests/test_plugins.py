"""Plugins are found when they are first needed, and a bad one is refused by name."""

from __future__ import annotations

import importlib
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import pixelwise as pw
from pixelwise.errors import PixelwiseWarning, PluginError
from pixelwise.plugins import DEFAULT_PLUGINS, Plugins, plugins

FORESTS = pw.EstimatorFamily("forests", ("sklearn.ensemble:RandomForestClassifier",), kind="classifier", dtypes=("int32",))


def plugin_with(*families: pw.EstimatorFamily) -> Any:
    return types.SimpleNamespace(pixelwise_families=pw.hookimpl(lambda: list(families)))


@pytest.fixture
def built_in() -> Plugins:
    return Plugins(entry_point_group=None)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Install a distribution of one module, with an entry point, for as long as the test runs."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(name: str, source: str) -> None:
        (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[pixelwise]\n{name} = {name}\n", encoding="utf-8")
        importlib.invalidate_caches()

    yield install
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)


def test_the_built_in_plugins_are_all_there(built_in: Plugins) -> None:
    assert set(DEFAULT_PLUGINS) == set(built_in.names)


def test_the_plugins_of_a_process_are_loaded_once() -> None:
    assert plugins() is plugins()


def test_an_installed_distribution_is_found_by_its_entry_point(installed: Callable[[str, str], None]) -> None:
    installed(
        "plugin_of_forests",
        "import pixelwise as pw\n"
        "@pw.hookimpl\n"
        "def pixelwise_families():\n"
        "    return [pw.EstimatorFamily('forests', ('sklearn.ensemble:RandomForestClassifier',), kind='classifier')]\n",
    )
    found = Plugins()
    assert "plugin_of_forests" in found.names
    assert found.family_of(RandomForestClassifier(), "classifier").name == "forests"


@pytest.mark.parametrize(
    "source",
    [
        "import a_module_that_does_not_exist",
        "1 / 0",
        "import pixelwise\n@pixelwise.hookimpl\ndef pixelwise_familys(): return []",
        "import pixelwise\n@pixelwise.hookimpl\ndef pixelwise_families(wrong): return []",
    ],
    ids=["import", "crash", "misspelt", "argument"],
)
def test_one_broken_distribution_is_left_out_by_name_and_the_others_work(
    installed: Callable[[str, str], None], source: str
) -> None:
    installed("broken_plugin", source)
    with pytest.warns(PixelwiseWarning, match="plugin 'broken_plugin' .* was left out.*update or uninstall it"):
        found = Plugins()
    assert "broken_plugin" not in found.names
    assert found.family_of(LogisticRegression(), "classifier").name == "sklearn-classifier"


def test_a_family_name_that_is_taken_is_refused(built_in: Plugins) -> None:
    twin = pw.EstimatorFamily("sklearn-classifier", (), kind="classifier")
    with pytest.raises(PluginError, match="'twin' is refused: family 'sklearn-classifier' is claimed by two plugins"):
        built_in.register(plugin_with(twin), "twin")


def test_a_class_that_is_taken_is_refused(built_in: Plugins) -> None:
    built_in.register(plugin_with(FORESTS), "first")
    other = pw.EstimatorFamily("other", FORESTS.estimators, kind="classifier")
    with pytest.raises(PluginError, match=r"'sklearn\.ensemble:RandomForestClassifier' is claimed by two plugins"):
        built_in.register(plugin_with(other), "second")


def test_a_carrier_name_that_is_taken_is_refused(built_in: Plugins) -> None:
    taken = built_in.carriers[0]
    with pytest.raises(PluginError, match=f"carrier '{taken.name}' is claimed by two plugins"):
        built_in.register(types.SimpleNamespace(pixelwise_carriers=pw.hookimpl(lambda: [taken])), "twin")


def test_a_refused_plugin_leaves_no_trace(built_in: Plugins) -> None:
    names, families = built_in.names, built_in.families
    with pytest.raises(PluginError):
        built_in.register(plugin_with(families[0]), "twin")
    assert built_in.names == names
    assert built_in.families == families


def test_a_misspelt_hook_is_refused(built_in: Plugins) -> None:
    with pytest.raises(PluginError, match="pixelwise_familys"):
        built_in.register(types.SimpleNamespace(pixelwise_familys=pw.hookimpl(lambda: [FORESTS])), "misspelt")


def test_a_hook_with_an_argument_that_it_does_not_get_is_refused(built_in: Plugins) -> None:
    with pytest.raises(PluginError, match="'wrong'"):
        built_in.register(types.SimpleNamespace(pixelwise_families=pw.hookimpl(lambda argument: [argument])), "wrong")
    assert "wrong" not in built_in.names


def test_a_plugin_name_that_is_taken_is_refused_and_the_first_stays(built_in: Plugins) -> None:
    built_in.register(plugin_with(FORESTS), "forests")
    with pytest.raises(PluginError, match="'forests' is registered already"):
        built_in.register(plugin_with(), "forests")
    assert built_in.family_of(RandomForestClassifier(), "classifier") is FORESTS


def test_a_registered_plugin_counts_at_once_and_an_unregistered_one_no_more(built_in: Plugins) -> None:
    built_in.register(plugin_with(FORESTS), "forests")
    assert built_in.family_of(RandomForestClassifier(), "classifier") is FORESTS
    built_in.unregister("forests")
    assert built_in.family_of(RandomForestClassifier(), "classifier").name == "sklearn-classifier"


def test_a_strangers_families_are_asked_before_the_built_in_ones(built_in: Plugins) -> None:
    built_in.register(plugin_with(FORESTS), "forests")
    assert built_in.families[0] is FORESTS


@pytest.mark.parametrize(
    "estimator",
    [
        RandomForestClassifier(),
        make_pipeline(StandardScaler(), RandomForestClassifier()),
        GridSearchCV(make_pipeline(StandardScaler(), RandomForestClassifier()), {}),
        pw.PixelwiseClassifier(RandomForestClassifier()),
    ],
    ids=["bare", "pipeline", "search", "wrapper"],
)
def test_the_family_is_that_of_the_estimator_that_predicts(estimator: Any, built_in: Plugins) -> None:
    built_in.register(plugin_with(FORESTS), "forests")
    assert built_in.family_of(estimator, "classifier") is FORESTS


def test_an_estimator_that_a_family_claims_is_not_looked_into(built_in: Plugins) -> None:
    bags = pw.EstimatorFamily("bags", ("sklearn.ensemble:BaggingClassifier",), kind="classifier")
    built_in.register(plugin_with(FORESTS), "forests")
    built_in.register(plugin_with(bags), "bags")
    assert built_in.family_of(BaggingClassifier(RandomForestClassifier()), "classifier") is bags
    assert built_in.family_of(CalibratedClassifierCV(RandomForestClassifier()), "classifier") is FORESTS
    assert built_in.family_of(CalibratedClassifierCV(), "classifier").name == "sklearn-classifier"


def test_a_subclass_belongs_to_the_family_of_the_nearest_class(built_in: Plugins) -> None:
    class Forest(RandomForestClassifier):
        pass

    built_in.register(plugin_with(FORESTS), "forests")
    assert built_in.family_of(Forest(), "classifier") is FORESTS


def test_a_family_of_another_kind_is_passed_over(built_in: Plugins) -> None:
    built_in.register(plugin_with(FORESTS), "forests")
    assert built_in.family_of(RandomForestClassifier(), "transformer").name == "sklearn-transformer"
    assert built_in.family_of(RandomForestRegressor(), "regressor").name == "sklearn-regressor"
    assert built_in.family_of(KMeans(), "clusterer").name == "sklearn-clusterer"


def test_a_registered_family_decides_what_a_map_looks_like() -> None:
    def mapped() -> np.ndarray:
        forest = pw.PixelwiseClassifier(RandomForestClassifier(2, random_state=0)).fit([[0.0], [1.0]], [1, 2])
        return forest.predict(np.zeros((1, 2, 2)))

    plugins().register(plugin_with(FORESTS), "forests")
    try:
        assert mapped().dtype == "int32"
    finally:
        plugins().unregister("forests")
    assert mapped().dtype == "uint8"


def test_loading_the_plugins_imports_no_booster() -> None:
    code = (
        "import sys; from pixelwise.plugins import plugins; plugins().families, plugins().carriers; "
        "print(*({'xgboost', 'lightgbm', 'catboost', 'georeader', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []
