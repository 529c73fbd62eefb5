"""Which estimators the engine knows, and who reads them."""

from __future__ import annotations

import importlib
import sys
from typing import Any

__all__ = ["READERS", "FastEngine"]

#: Classes by name, so that nothing is imported for them, and the module of this package whose ``read`` translates them.
READERS = {
    "sklearn.pipeline:Pipeline": "linear",
    "sklearn.ensemble:RandomForestClassifier": "forests",
    "sklearn.ensemble:RandomForestRegressor": "forests",
    "sklearn.ensemble:ExtraTreesClassifier": "forests",
    "sklearn.ensemble:ExtraTreesRegressor": "forests",
    "sklearn.tree:DecisionTreeClassifier": "forests",
    "sklearn.tree:DecisionTreeRegressor": "forests",
    "sklearn.tree:ExtraTreeClassifier": "forests",
    "sklearn.tree:ExtraTreeRegressor": "forests",
    "sklearn.ensemble:GradientBoostingClassifier": "sklearn_boosting",
    "sklearn.ensemble:GradientBoostingRegressor": "sklearn_boosting",
    "sklearn.ensemble:HistGradientBoostingClassifier": "sklearn_boosting",
    "sklearn.ensemble:HistGradientBoostingRegressor": "sklearn_boosting",
    "lightgbm:LGBMClassifier": "lightgbm_trees",
    "lightgbm:LGBMRegressor": "lightgbm_trees",
    "xgboost:XGBClassifier": "xgboost_trees",
    "xgboost:XGBRegressor": "xgboost_trees",
    "xgboost:XGBRFClassifier": "xgboost_trees",
    "xgboost:XGBRFRegressor": "xgboost_trees",
}


class FastEngine:
    """Translates ensembles of trees into flat tables, and scalers with a linear model, KMeans or PCA into an affine map.

    A subclass of a known class is left alone, because it may predict in its own way.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from pixelwise_fast import FastEngine
    >>> FastEngine().compile(DummyClassifier()) is None
    True
    """

    name = "fast"

    def compile(self, estimator: Any) -> Any:
        """Translate a fitted ensemble of trees, or a Pipeline of scalers and a linear model that it knows; None for others.

        Parameters
        ----------
        estimator : estimator
            A fitted estimator.

        Returns
        -------
        Program or None

        Raises
        ------
        pixelwise.errors.EngineError
            If it is an ensemble of trees that the engine cannot translate, such as one that splits on categories.
        """
        for name, reader in READERS.items():
            module, _, cls = name.partition(":")
            if type(estimator) is getattr(sys.modules.get(module), cls, None):
                return importlib.import_module(f"pixelwise_fast.{reader}").read(estimator)
        return None
