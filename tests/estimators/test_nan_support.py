from __future__ import annotations

from typing import Any

import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import pixelwise as pw
from pixelwise.estimators.nan_support import expects_nan, takes_nan

UNKNOWN = pw.EstimatorFamily("unknown", (), kind="classifier")


class WithoutTags(ClassifierMixin):
    """A classifier from before scikit-learn's tags."""

    def fit(self, X: Any, y: Any) -> WithoutTags:
        return self


@pytest.mark.parametrize(
    ("estimator", "answer"),
    [
        (LogisticRegression(), False),
        (RandomForestClassifier(2), True),
        (HistGradientBoostingClassifier(), True),
        (make_pipeline(SimpleImputer(), LogisticRegression()), True),
        (make_pipeline("passthrough", StandardScaler(), HistGradientBoostingClassifier()), True),
        (make_pipeline(StandardScaler(), LogisticRegression()), False),
        (GridSearchCV(HistGradientBoostingClassifier(), {"max_iter": [2]}), True),
        (WithoutTags(), False),
    ],
)
def test_the_composition_tells_whether_nan_is_welcome(estimator: Any, answer: bool) -> None:
    assert expects_nan(estimator, UNKNOWN) is answer


@pytest.mark.parametrize("known", [True, False])
def test_a_family_that_knows_is_believed(known: bool) -> None:
    family = pw.EstimatorFamily("known", (), kind="classifier", accepts_nan=known)
    assert expects_nan(BaseEstimator(), family) is known
    assert takes_nan(BaseEstimator(), 2, "predict", family) is known


def test_a_fitted_estimator_is_asked() -> None:
    X, y = [[0.0, 1.0], [1.0, 0.0]] * 5, [0, 1] * 5
    assert takes_nan(RandomForestClassifier(2).fit(X, y), 2, "predict_proba", UNKNOWN)
    assert not takes_nan(LogisticRegression().fit(X, y), 2, "predict", UNKNOWN)
