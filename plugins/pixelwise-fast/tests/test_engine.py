"""How the plugin shows itself to pixelwise."""

from __future__ import annotations

import subprocess
import sys

from pixelwise_fast import FastEngine
from pixelwise_fast.engine import READERS


def test_registering_the_plugin_imports_no_numba():
    code = (
        "import sys; from pixelwise.plugins import plugins; "
        "assert [engine.name for engine in plugins().engines] == ['fast', 'none'], plugins().engines; "
        "assert not {'numba', 'xgboost', 'lightgbm'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_engine_knows_an_estimator_without_importing_its_library():
    code = (
        "import sys; from pixelwise_fast import FastEngine; from sklearn.dummy import DummyClassifier; "
        "assert FastEngine().compile(DummyClassifier()) is None; "
        "assert not {'numba', 'xgboost', 'lightgbm'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_it_reads_is_named_by_public_modules():
    assert all("._" not in name for name in READERS)
    assert FastEngine.name == "fast"
