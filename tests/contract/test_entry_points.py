"""Every entry point of scikit-learn gives with tables and wrapped estimators what it gives with arrays and bare ones."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import sklearn
from sklearn import (
    calibration,
    compose,
    ensemble,
    feature_selection,
    inspection,
    metrics,
    model_selection,
    multiclass,
    multioutput,
)
from sklearn import utils as sk_utils
from sklearn.base import clone, is_classifier, is_clusterer, is_regressor
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.validation import check_array, check_X_y, indexable

import pixelwise as pw

BLOCKS = pw.SpatialBlockGroupKFold(n_splits=3, block_size=1000)
SPLITTERS = {
    "KFold": model_selection.KFold(3),
    "RepeatedKFold": model_selection.RepeatedKFold(n_splits=3, n_repeats=2, random_state=0),
    "StratifiedKFold": model_selection.StratifiedKFold(3),
    "RepeatedStratifiedKFold": model_selection.RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=0),
    "ShuffleSplit": model_selection.ShuffleSplit(3, random_state=0),
    "StratifiedShuffleSplit": model_selection.StratifiedShuffleSplit(3, random_state=0),
    "TimeSeriesSplit": model_selection.TimeSeriesSplit(3),
    "LeavePOut": model_selection.LeavePOut(1),
}
GROUP_SPLITTERS = {
    "GroupKFold": model_selection.GroupKFold(3),
    "StratifiedGroupKFold": model_selection.StratifiedGroupKFold(3),
    "GroupShuffleSplit": model_selection.GroupShuffleSplit(3, random_state=0),
    "LeaveOneGroupOut": model_selection.LeaveOneGroupOut(),
    "LeavePGroupsOut": model_selection.LeavePGroupsOut(2),
    "SpatialBlockGroupKFold": BLOCKS,
}


@pytest.fixture(params=[False, True], ids=["plain", "routing"], autouse=True)
def routing(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Metadata routing, off and on."""
    with sklearn.config_context(enable_metadata_routing=request.param):
        yield request.param


@dataclass
class Side:
    """What one side of a comparison works with: tables and wrapped estimators, or arrays and bare ones."""

    X: Any
    y: np.ndarray
    thermal: np.ndarray
    groups: np.ndarray
    xy: np.ndarray
    #: Folds of spatial blocks: found from the table's coordinates, or the same ones as a list.
    cv: Any
    wrapped: bool

    def __call__(self, estimator: Any) -> Any:
        if not self.wrapped:
            return estimator
        if is_classifier(estimator):
            return pw.PixelwiseClassifier(estimator)
        if is_regressor(estimator):
            return pw.PixelwiseRegressor(estimator)
        return pw.PixelwiseClusterer(estimator) if is_clusterer(estimator) else pw.PixelwiseTransformer(estimator)

    def params(self, **params: Any) -> dict[str, Any]:
        return {f"estimator__{name}" if self.wrapped else name: value for name, value in params.items()}

    @property
    def lda(self) -> Any:
        return self(LinearDiscriminantAnalysis())

    @property
    def ridge(self) -> Any:
        return self(Ridge())

    @property
    def grid(self) -> dict[str, Any]:
        return self.params(solver=["svd", "lsqr"], tol=[1e-4, 1e-3])

    @property
    def developed(self) -> np.ndarray:
        """Labels of two classes."""
        return np.where(self.y == "developed", 1, 0)

    @property
    def two_targets(self) -> np.ndarray:
        return np.column_stack([self.developed, self.y == "forest"]).astype(int)


@pytest.fixture
def table(landsat: Any) -> Side:
    return Side(landsat.X, landsat.y, landsat.thermal, landsat.X.groups, landsat.X.xy, BLOCKS, wrapped=True)


@pytest.fixture
def bare(landsat: Any) -> Side:
    folds = list(BLOCKS.split(landsat.X))
    return Side(np.asarray(landsat.X), landsat.y, landsat.thermal, landsat.X.groups, landsat.X.xy, folds, wrapped=False)


def with_groups(groups: Any) -> dict[str, Any]:
    return {"params": {"groups": groups}} if sklearn.get_config()["enable_metadata_routing"] else {"groups": groups}


def found(search: Any, side: Side, **params: Any) -> list[Any]:
    """What a search finds, and how the best estimator does."""
    search.fit(side.X, side.y, **params)
    tried = [
        str(sorted((name.removeprefix("estimator__"), value) for name, value in one.items()))
        for one in search.cv_results_["params"]
    ]
    return [
        tried,
        search.cv_results_["mean_test_score"],
        search.predict(side.X),
        search.predict_proba(side.X),
        search.score(side.X, side.y),
    ]


def outcome(model: Any, side: Side, y: Any = None, methods: tuple[str, ...] = ("predict",)) -> list[Any]:
    model.fit(side.X, side.y if y is None else y)
    return [getattr(model, method)(side.X) for method in methods]


def cross_validate(side: Side) -> list[Any]:
    scoring = {"accuracy": "accuracy", "f1": "f1_macro", "own": metrics.make_scorer(metrics.cohen_kappa_score)}
    options = {"return_train_score": True, "return_estimator": True, "return_indices": True}
    result = model_selection.cross_validate(side.lda, side.X, side.y, cv=side.cv, scoring=scoring, **options)
    folds = [*result["indices"]["train"], *result["indices"]["test"]]
    scores = [value for name, value in sorted(result.items()) if name.startswith(("test_", "train_"))]
    return [*scores, *folds, *(estimator.predict(side.X) for estimator in result["estimator"])]


def cross_val_predict(method: str) -> Callable[[Side], Any]:
    return lambda side: model_selection.cross_val_predict(side.lda, side.X, side.y, cv=side.cv, method=method)


def nested(side: Side) -> Any:
    inner = model_selection.GridSearchCV(side.lda, side.grid, cv=2)
    return model_selection.cross_val_score(inner, side.X, side.y, cv=side.cv)


def weighted_search(side: Side) -> list[Any]:
    model, scorer = GaussianNB(), metrics.get_scorer("f1_macro")
    if sklearn.get_config()["enable_metadata_routing"]:
        model, scorer = model.set_fit_request(sample_weight=True), scorer.set_score_request(sample_weight=False)
    search = model_selection.GridSearchCV(side(model), side.params(var_smoothing=[1e-9, 1e-2]), cv=side.cv, scoring=scorer)
    return found(search, side, sample_weight=np.where(side.y == "forest", 5.0, 1.0))


def scored_by(scoring: str) -> Callable[[Side], Any]:
    return lambda side: model_selection.cross_val_score(
        side.lda, side.X, side.y, cv=model_selection.StratifiedKFold(3), scoring=scoring
    )


def split_by(splitter: Any, *, grouped: bool) -> Callable[[Side], Any]:
    def run(side: Side) -> list[Any]:
        folds = list(splitter.split(side.X, side.y, side.groups if grouped else None))
        if len(folds) > 100:
            return folds
        options = with_groups(side.groups) if grouped else {}
        return [*folds, model_selection.cross_val_score(side.lda, side.X, side.y, cv=splitter, **options)]

    return run


def split_by_coordinates(side: Side) -> Any:
    return model_selection.cross_val_score(side.lda, side.X, side.y, cv=BLOCKS, **with_groups(side.xy))


def eliminated(side: Side) -> list[Any]:
    # RFECV makes an array of the table before it splits.
    chosen = feature_selection.RFECV(side.lda, cv=BLOCKS).fit(side.X, side.y, groups=side.xy)
    return [chosen.get_support(), chosen.cv_results_["mean_test_score"], chosen.predict(side.X)]


def train_test_split(side: Side) -> list[Any]:
    train, test, y_train, _, groups, _ = model_selection.train_test_split(
        side.X, side.y, side.groups, stratify=side.y, random_state=0
    )
    return [train, y_train, groups, side.lda.fit(train, y_train).predict(test)]


def union(side: Side) -> list[Any]:
    parts = FeatureUnion([("pca", side(PCA(2))), ("scaled", side(StandardScaler()))])
    return outcome(make_pipeline(parts, side.lda), side, methods=("predict", "predict_proba"))


def columns(side: Side) -> list[Any]:
    split = compose.ColumnTransformer([("first", StandardScaler(), [0, 1]), ("rest", "passthrough", slice(2, 5))])
    return outcome(make_pipeline(split, side.lda), side)


def pipeline_in_search(side: Side) -> list[Any]:
    model = Pipeline([("pca", side(PCA())), ("model", side.lda)])
    name = "pca__estimator__n_components" if side.wrapped else "pca__n_components"
    search = model_selection.GridSearchCV(model, {name: [2, 4]}, cv=side.cv).fit(side.X, side.y)
    return [search.cv_results_["mean_test_score"], search.predict(side.X)]


def several(side: Side) -> list[tuple[str, Any]]:
    return [("lda", side.lda), ("nb", side(GaussianNB()))]


def several_regressors(side: Side) -> list[tuple[str, Any]]:
    return [("ridge", side.ridge), ("stiff", side(Ridge(1e6)))]


def tuned(side: Side) -> list[Any]:
    model = model_selection.TunedThresholdClassifierCV(side.lda, cv=side.cv).fit(side.X, side.developed)
    return [model.best_threshold_, model.predict(side.X)]


def selected(selector: Any) -> Callable[[Side], list[Any]]:
    def run(side: Side) -> list[Any]:
        chosen = selector(side).fit(side.X, side.y)
        with warnings.catch_warnings():
            # SelectFromModel takes the band names from the estimator, and then looks for them in the table's columns.
            warnings.filterwarnings("ignore", "X does not have valid feature names, but SelectFromModel")
            return [chosen.get_support(), chosen.transform(side.X)]

    return run


def self_trained(side: Side) -> Any:
    y = side.developed.copy()
    y[::3] = -1
    return SelfTrainingClassifier(side.lda).fit(side.X, y).predict(side.X)


def permutation_importance(side: Side) -> Any:
    fitted = side.lda.fit(side.X, side.y)
    return inspection.permutation_importance(fitted, side.X, side.y, n_repeats=2, random_state=0).importances


def partial_dependence(side: Side) -> Any:
    fitted = side.lda.fit(side.X, side.y)
    return inspection.partial_dependence(fitted, side.X, [(1, 2)], grid_resolution=5)["average"]


def transformed_target(side: Side) -> list[Any]:
    model = compose.TransformedTargetRegressor(side.ridge, func=np.log1p, inverse_func=np.expm1)
    return outcome(model, side, side.thermal)


def frozen(side: Side) -> list[Any]:
    fitted = side.lda.fit(side.X, side.y)
    calibrated = calibration.CalibratedClassifierCV(FrozenEstimator(fitted)).fit(side.X, side.y)
    return [clone(FrozenEstimator(fitted)).predict(side.X), calibrated.predict_proba(side.X)]


def resampled(side: Side) -> list[Any]:
    shuffled = sk_utils.shuffle(side.X, side.y, random_state=0)
    drawn = sk_utils.resample(side.X, side.y, n_samples=50, stratify=side.y, random_state=0)
    return [*shuffled, *drawn]


def picked(side: Side) -> list[Any]:
    keys = [[3, 1], np.array([0, 5]), slice(2, 9), np.arange(300) % 7 == 0, [True, *[False] * 298, True]]
    return [
        *(sk_utils._safe_indexing(side.X, key) for key in keys),
        sk_utils._safe_indexing(side.X, [1, 2], axis=1),
        sk_utils._safe_indexing(side.X, 4),
    ]


def checked(side: Side) -> list[Any]:
    return [
        check_array(side.X),
        *check_X_y(side.X, side.developed),
        *indexable(side.X, side.y),
        check_array(side.X, dtype="float64", copy=True),
    ]


def clustered(side: Side) -> list[Any]:
    model = side(KMeans(3, n_init=1, random_state=0))
    return [model.fit_predict(side.X), model.transform(side.X), model.score(side.X)]


def learned_in_batches(side: Side) -> Any:
    model = GaussianNB()
    if sklearn.get_config()["enable_metadata_routing"]:
        model.set_partial_fit_request(classes=True)
    model = side(model)
    for rows in sk_utils.gen_batches(300, 100):
        model.partial_fit(side.X[rows], side.y[rows], classes=np.unique(side.y))
    return model.predict_proba(side.X)


def as_frame(side: Side) -> list[Any]:
    frame = side(PCA(2)).set_output(transform="pandas").fit(side.X).transform(side.X)
    return [np.asarray(frame), list(frame.columns), type(frame).__name__]


ENTRY_POINTS: dict[str, Callable[[Side], Any]] = {
    "cross_val_score": lambda side: model_selection.cross_val_score(side.lda, side.X, side.y, cv=side.cv),
    "cross_val_score of a regressor": lambda side: model_selection.cross_val_score(
        side.ridge, side.X, side.thermal, cv=side.cv
    ),
    "cross_val_score, coordinates as groups": split_by_coordinates,
    "cross_val_score, nested": nested,
    "cross_validate": cross_validate,
    **{
        f"cross_val_predict, {name}": cross_val_predict(name)
        for name in ("predict", "predict_proba", "predict_log_proba", "decision_function")
    },
    **{f"scoring {name}": scored_by(name) for name in ("f1_macro", "neg_log_loss", "roc_auc_ovr", "balanced_accuracy")},
    **{f"split by {name}": split_by(splitter, grouped=False) for name, splitter in SPLITTERS.items()},
    **{f"split by {name}": split_by(splitter, grouped=True) for name, splitter in GROUP_SPLITTERS.items()},
    "GridSearchCV": lambda side: found(model_selection.GridSearchCV(side.lda, side.grid, cv=side.cv), side),
    "GridSearchCV, sample_weight": weighted_search,
    "GridSearchCV of a Pipeline": pipeline_in_search,
    "RandomizedSearchCV": lambda side: found(
        model_selection.RandomizedSearchCV(side.lda, side.grid, n_iter=2, cv=side.cv, random_state=0), side
    ),
    "HalvingGridSearchCV": lambda side: found(
        model_selection.HalvingGridSearchCV(side.lda, side.grid, cv=side.cv, min_resources=100, random_state=0), side
    ),
    "HalvingRandomSearchCV": lambda side: found(
        model_selection.HalvingRandomSearchCV(side.lda, side.grid, cv=side.cv, min_resources=100, random_state=0), side
    ),
    "learning_curve": lambda side: model_selection.learning_curve(side.lda, side.X, side.y, cv=side.cv, train_sizes=[0.5, 1.0]),
    "validation_curve": lambda side: model_selection.validation_curve(
        side.lda, side.X, side.y, param_name=next(iter(side.params(tol=0))), param_range=[1e-4, 1e-2], cv=side.cv
    ),
    "permutation_test_score": lambda side: model_selection.permutation_test_score(
        side.lda, side.X, side.y, cv=side.cv, n_permutations=3, random_state=0
    ),
    "train_test_split": train_test_split,
    "Pipeline": lambda side: outcome(Pipeline([("pca", side(PCA(3))), ("model", side.lda)]), side),
    "make_pipeline of bare steps": lambda side: outcome(make_pipeline(StandardScaler(), side.lda), side),
    "FunctionTransformer": lambda side: outcome(make_pipeline(FunctionTransformer(), side.lda), side),
    "FeatureUnion": union,
    "ColumnTransformer": columns,
    "StackingClassifier": lambda side: outcome(
        ensemble.StackingClassifier(several(side), LinearDiscriminantAnalysis(), cv=side.cv), side
    ),
    "StackingRegressor": lambda side: outcome(
        ensemble.StackingRegressor(several_regressors(side), Ridge(), cv=side.cv), side, side.thermal
    ),
    "VotingClassifier, hard": lambda side: outcome(ensemble.VotingClassifier(several(side)), side),
    "VotingClassifier, soft": lambda side: outcome(ensemble.VotingClassifier(several(side), voting="soft"), side),
    "VotingRegressor": lambda side: outcome(ensemble.VotingRegressor(several_regressors(side)), side, side.thermal),
    "BaggingClassifier": lambda side: outcome(ensemble.BaggingClassifier(side.lda, 3, random_state=0), side),
    "BaggingRegressor": lambda side: outcome(
        ensemble.BaggingRegressor(side(KNeighborsRegressor(3)), 3, random_state=0), side, side.thermal
    ),
    "CalibratedClassifierCV": lambda side: outcome(
        calibration.CalibratedClassifierCV(side.lda, cv=side.cv), side, methods=("predict", "predict_proba")
    ),
    "calibration_curve": lambda side: calibration.calibration_curve(
        side.developed, side.lda.fit(side.X, side.developed).predict_proba(side.X)[:, 1]
    ),
    "TunedThresholdClassifierCV": tuned,
    "FixedThresholdClassifier": lambda side: outcome(
        model_selection.FixedThresholdClassifier(side.lda, threshold=0.3), side, side.developed
    ),
    "OneVsRestClassifier": lambda side: outcome(multiclass.OneVsRestClassifier(side.lda), side),
    "OneVsOneClassifier": lambda side: outcome(multiclass.OneVsOneClassifier(side.lda), side),
    "OutputCodeClassifier": lambda side: outcome(multiclass.OutputCodeClassifier(side.lda, random_state=0), side),
    "MultiOutputClassifier": lambda side: outcome(multioutput.MultiOutputClassifier(side.lda), side, side.two_targets),
    "MultiOutputRegressor": lambda side: outcome(multioutput.MultiOutputRegressor(side.ridge), side, side.two_targets),
    "ClassifierChain": lambda side: outcome(multioutput.ClassifierChain(side.lda), side, side.two_targets),
    "RegressorChain": lambda side: outcome(multioutput.RegressorChain(side.ridge), side, side.two_targets),
    "several targets at once": lambda side: outcome(side(DecisionTreeClassifier(random_state=0)), side, side.two_targets),
    "TransformedTargetRegressor": transformed_target,
    "RFE": selected(lambda side: feature_selection.RFE(side.lda, n_features_to_select=2)),
    "RFECV": eliminated,
    "SelectFromModel": selected(lambda side: feature_selection.SelectFromModel(side.lda, threshold="median")),
    "SelectKBest": selected(lambda side: feature_selection.SelectKBest(k=2)),
    "SequentialFeatureSelector": selected(
        lambda side: feature_selection.SequentialFeatureSelector(side.lda, n_features_to_select=2, cv=3)
    ),
    "permutation_importance": permutation_importance,
    "partial_dependence": partial_dependence,
    "SelfTrainingClassifier": self_trained,
    "FrozenEstimator": frozen,
    "clusterer": clustered,
    "partial_fit": learned_in_batches,
    "set_output": as_frame,
    "shuffle and resample": resampled,
    "_safe_indexing": picked,
    "check_array": checked,
}


def assert_same(one: Any, other: Any) -> None:
    if isinstance(one, list | tuple):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_same(left, right)
    elif np.asarray(one).dtype.kind == "f":
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=1e-6, atol=1e-12)
    else:
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_an_entry_point_gives_with_tables_what_it_gives_with_arrays(name: str, table: Side, bare: Side) -> None:
    assert_same(ENTRY_POINTS[name](table), ENTRY_POINTS[name](bare))


def test_there_are_at_least_44_entry_points() -> None:
    assert len(ENTRY_POINTS) >= 44
