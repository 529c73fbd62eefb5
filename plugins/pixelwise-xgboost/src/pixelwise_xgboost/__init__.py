"""XGBoost's estimators as families of pixelwise."""

from __future__ import annotations

from pixelwise import EstimatorFamily, hookimpl

__all__ = ["pixelwise_families"]


@hookimpl
def pixelwise_families() -> list[EstimatorFamily]:
    """Return the families of XGBoost's classifiers, which want labels 0 to K-1, and of its regressors.

    Returns
    -------
    list of pixelwise.EstimatorFamily

    Examples
    --------
    >>> from pixelwise_xgboost import pixelwise_families
    >>> [family.name for family in pixelwise_families()]
    ['xgboost-classifier', 'xgboost-regressor']
    """
    return [
        EstimatorFamily(
            "xgboost-classifier",
            ("xgboost:XGBClassifier", "xgboost:XGBRFClassifier"),
            kind="classifier",
            encode_labels=True,
            accepts_nan=True,
            continues="xgb_model",
        ),
        EstimatorFamily(
            "xgboost-regressor",
            ("xgboost:XGBRegressor", "xgboost:XGBRFRegressor"),
            kind="regressor",
            dtypes=("float32", "float64"),
            accepts_nan=True,
            continues="xgb_model",
        ),
    ]
