"""scikit-learn's own estimator checks, on every estimator of the package, with no expected failure."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import pytest
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import parametrize_with_checks

import pixelwise as pw
from pixelwise.plugins import plugins

CLASSIFIERS = [
    LogisticRegression(),
    RandomForestClassifier(n_estimators=5, random_state=0),
    HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=5),
    SVC(),
    make_pipeline(StandardScaler(), LogisticRegression()),
]
REGRESSORS = [
    Ridge(),
    RandomForestRegressor(n_estimators=5, random_state=0),
    HistGradientBoostingRegressor(max_iter=5, min_samples_leaf=5),
]
TRANSFORMERS = [PCA(), StandardScaler(), make_pipeline(StandardScaler(), PCA())]
CLUSTERERS = [MiniBatchKMeans(n_init=1, random_state=0), KMeans(n_init=1, random_state=0)]
#: The checks fit on one feature and on ten; positions 0 and -1 exist in both.
INDICES = {
    "NDVI": {"red": 0, "nir": -1},
    "NDWI": {"green": 0, "nir": -1},
    "SpectralIndex": {"index": "NDVI", "bands": {"R": 0, "N": -1}},
    "AppendIndex": {"index": pw.indices.NDVI(red=0, nir=-1)},
}


def boosters() -> list[Any]:
    """Classifiers of other packages that are installed and that a family makes fit for use."""
    found: list[Any] = []
    if importlib.util.find_spec("lightgbm"):
        lightgbm = importlib.import_module("lightgbm")
        found.append(lightgbm.LGBMClassifier(n_estimators=5, min_child_samples=5, verbose=-1, n_jobs=1))
    if any("xgboost:XGBClassifier" in family.estimators for family in plugins().families):
        xgboost = importlib.import_module("xgboost")
        found.append(xgboost.XGBClassifier(n_estimators=5, n_jobs=1))
    return found


# With SCIPY_ARRAY_API=1 one more check takes logarithms of a forest's zeros; the bare forest warns as well.
@pytest.mark.filterwarnings("ignore:divide by zero encountered in log:RuntimeWarning")
@parametrize_with_checks([pw.PixelwiseClassifier(inner) for inner in CLASSIFIERS])
def test_wrapped_classifiers_pass(estimator: Any, check: Any) -> None:
    check(estimator)


@parametrize_with_checks([pw.PixelwiseRegressor(inner) for inner in REGRESSORS])
def test_wrapped_regressors_pass(estimator: Any, check: Any) -> None:
    check(estimator)


# The same check gives PCA dependent columns; the bare PCA warns as well.
@pytest.mark.filterwarnings("ignore:An ill-conditioned matrix:RuntimeWarning")
@parametrize_with_checks([pw.PixelwiseTransformer(inner) for inner in TRANSFORMERS])
def test_wrapped_transformers_pass(estimator: Any, check: Any) -> None:
    check(estimator)


@parametrize_with_checks([pw.PixelwiseClusterer(inner) for inner in CLUSTERERS])
def test_wrapped_clusterers_pass(estimator: Any, check: Any) -> None:
    check(estimator)


@parametrize_with_checks([pw.RasterToPixelTransformer()])
def test_the_table_transformer_passes(estimator: Any, check: Any) -> None:
    check(estimator)


@parametrize_with_checks([getattr(pw.indices, name)(**params) for name, params in INDICES.items()])
def test_indices_pass(estimator: Any, check: Any) -> None:
    check(estimator)


@parametrize_with_checks([pw.sar.LinearToDB(), pw.sar.DBToLinear()])
def test_units_of_backscatter_pass(estimator: Any, check: Any) -> None:
    check(estimator)


def test_every_index_is_checked() -> None:
    assert set(INDICES) == set(pw.indices.__all__)


# The boosters themselves warn of sparse formats that they have to convert; raw ones do, too.
@pytest.mark.filterwarnings("ignore:Converting data to scipy sparse matrix:UserWarning")
@pytest.mark.filterwarnings("ignore:Unknown data type:UserWarning")
@parametrize_with_checks([pw.PixelwiseClassifier(inner) for inner in boosters()])
def test_wrapped_boosters_pass(estimator: Any, check: Any) -> None:
    check(estimator)
