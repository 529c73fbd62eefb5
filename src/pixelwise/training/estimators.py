"""How estimators of all kinds are handed a table: scikit-learn's as a frame with band names, our own as it is."""

from __future__ import annotations

from inspect import signature
from typing import Any

import numpy as np
import pandas as pd
from sklearn import get_config
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.utils import get_tags

from pixelwise.errors import GridError, LabelError, MissingDataError
from pixelwise.estimators.base import PixelwiseBase
from pixelwise.estimators.nan_support import expects_nan
from pixelwise.estimators.table_transformer import RasterToPixelTransformer
from pixelwise.families import EstimatorFamily
from pixelwise.model_selection.blocks import SpatialBlockGroupKFold, SpatialBlockShuffleSplit
from pixelwise.operators.base import Operator
from pixelwise.plugins import plugins
from pixelwise.regional.estimator import RegionalEstimator
from pixelwise.table.layout import Layout, ToPixelMajor
from pixelwise.table.missing import NanPolicy, as_policy
from pixelwise.table.pixels import PixelTable
from pixelwise.table.temporal_layout import ToTemporalPixelMajor

__all__ = [
    "Fitting",
    "check_labels",
    "continues_by",
    "family_of",
    "fit_argument",
    "learns_classes",
    "reading_policy",
    "takes_tables",
    "wants_blocks",
    "with_adapter",
]

_OURS = (PixelwiseBase, RasterToPixelTransformer, RegionalEstimator, Operator)


def takes_tables(estimator: Any) -> bool:
    """Whether an estimator is one of ours, or is made of some, which take a PixelTable as it is.

    Parameters
    ----------
    estimator : estimator
        Any.

    Returns
    -------
    bool
    """
    if isinstance(estimator, _OURS):
        return True
    parts = estimator.get_params(deep=True).values() if hasattr(estimator, "get_params") else ()
    return any(isinstance(part, _OURS) for part in parts)


def learns_classes(estimator: Any) -> bool:
    """Whether an estimator is a classifier."""
    return _is(is_classifier, estimator)


def _is(check: Any, estimator: Any) -> bool:
    try:
        return bool(check(estimator))
    # Estimators from before scikit-learn's tags give no verdict.
    except AttributeError:
        return bool(getattr(estimator, "_estimator_type", None) == check.__name__.removeprefix("is_"))


def family_of(estimator: Any) -> EstimatorFamily:
    """Return the family of an estimator.

    Parameters
    ----------
    estimator : estimator
        Any.

    Returns
    -------
    EstimatorFamily
    """
    kind = "classifier" if learns_classes(estimator) else "regressor" if _is(is_regressor, estimator) else None
    if kind is None:
        kind = "transformer" if hasattr(estimator, "transform") and not hasattr(estimator, "fit_predict") else "clusterer"
    return plugins().family_of(estimator, kind)


def continues_by(estimator: Any) -> str | None:
    """Return the argument of ``fit`` by which an estimator without ``partial_fit`` goes on, or None."""
    if hasattr(estimator, "partial_fit") or takes_tables(estimator):
        return None
    family = family_of(estimator)
    return family.continues if isinstance(estimator, tuple(family.loaded_classes())) else None


def wants_blocks(estimator: Any) -> bool:
    """Whether a search has a splitter by blocks of land that has no size for them, and so must be given their numbers.

    Parameters
    ----------
    estimator : estimator
        Any.

    Returns
    -------
    bool
    """
    splitter = getattr(estimator, "cv", None)
    if not isinstance(splitter, SpatialBlockGroupKFold | SpatialBlockShuffleSplit):
        return False
    return splitter.block_size is None and splitter.shape != "kmeans"


def check_labels(estimator: Any, y_pipeline: Any) -> None:
    """Raise an error if an estimator needs labels, and there are none.

    Parameters
    ----------
    estimator : estimator
        What will be fitted.
    y_pipeline : callable or None
        What reads labels.

    Raises
    ------
    LabelError
        If there is none.
    TypeError
        If the estimator is none.
    """
    if not hasattr(estimator, "fit") or isinstance(estimator, type):
        raise TypeError(f"estimator={estimator!r} has no fit: give an estimator, such as RandomForestClassifier()")
    if y_pipeline is not None:
        return
    try:
        needed = bool(get_tags(estimator).target_tags.required)
    except AttributeError:
        needed = False
    if needed or learns_classes(estimator) or _is(is_regressor, estimator):
        raise LabelError(
            f"{type(estimator).__name__} learns from labels: give y_pipeline, such as ReadLabel(label_uri_field='label_uri')"
        )


def fit_argument(estimator: Any, name: str, given: str) -> str:
    """Return as what ``fit`` takes groups or weights: a Pipeline takes those of its last step under the step's name.

    With scikit-learn's metadata routing the plain name is right, and steps ask for it themselves.

    Parameters
    ----------
    estimator : estimator
        What will be fitted.
    name : {"groups", "sample_weight"}
        What is passed on.
    given : str
        Why, for the message.

    Returns
    -------
    str

    Raises
    ------
    TypeError
        If it takes none, which is better known before a catalog is read than after.
    """
    if get_config()["enable_metadata_routing"]:
        return name
    if getattr(estimator, "steps", None):
        step, last = estimator.steps[-1]
        return f"{step}__{fit_argument(last, name, given)}"
    # A search uses groups itself, and hands weights on.
    if isinstance(estimator, PixelwiseBase) or (name == "sample_weight" and hasattr(estimator, "refit")):
        return fit_argument(estimator.estimator, name, given)
    taken = signature(estimator.fit).parameters if hasattr(estimator, "fit") else {}
    if name not in taken and all(parameter.kind is not parameter.VAR_KEYWORD for parameter in taken.values()):
        other = "a search, such as GridSearchCV" if name == "groups" else "one that takes weights"
        raise TypeError(
            f"{given} is passed on as {name}=, and {type(estimator).__name__}.fit takes none: leave it out, or give {other}"
        )
    return name


def reading_policy(estimator: Any, given: NanPolicy | str | None) -> NanPolicy:
    """Return what happens to training pixels that lack data.

    Parameters
    ----------
    estimator : estimator
        What will be fitted.
    given : NanPolicy, str or None
        What was asked for; None takes that of a Pixelwise estimator, or leaves the pixels out.

    Returns
    -------
    NanPolicy

    Raises
    ------
    MissingDataError
        If gaps shall be filled for an estimator that would meet them again in prediction.
    """
    own = as_policy(estimator.nan) if isinstance(estimator, PixelwiseBase) else None
    policy = as_policy(given) if given is not None else own or NanPolicy()
    how = policy.on_input
    if how == "auto":
        inner = estimator.estimator if own is not None else estimator
        how = "propagate" if expects_nan(inner, family_of(inner)) else "drop"
    if how == "impute":
        if own is None or own.on_input != "impute":
            raise MissingDataError(
                f"nan_policy='impute' fills gaps in training, and {type(estimator).__name__} would meet them again in "
                "prediction: put a SimpleImputer in front of it and use on_input='propagate', or wrap it with nan='impute'"
            )
        how = "propagate"
    return NanPolicy(**{**vars(policy), "on_input": how})


def with_adapter(estimator: Any, adapter: Layout | None) -> Any:
    """Return the estimator, or a Pixelwise one that knows its adapter.

    Parameters
    ----------
    estimator : estimator
        What will be fitted.
    adapter : Layout or None
        What was asked for.

    Returns
    -------
    estimator

    Raises
    ------
    GridError
        If the estimator has another one.
    """
    if adapter is None or not isinstance(estimator, PixelwiseBase):
        return estimator
    own = estimator.adapter
    if own is not None and own != adapter:
        raise GridError(f"adapter={adapter!r} is given, and the estimator has adapter={own!r}: leave one of them out")
    return clone(estimator).set_params(adapter=adapter)


class Fitting:
    """Hands tables to an estimator.

    Parameters
    ----------
    estimator : estimator
        A clone of what was given; it is fitted.
    adapter : Layout or None
        How dates become features or samples; None takes that of the family.
    """

    def __init__(self, estimator: Any, adapter: Layout | None) -> None:
        self.estimator = estimator
        self.adapter = adapter
        self._as_table = takes_tables(estimator)

    def fit(self, X: PixelTable, y: np.ndarray | None, groups: np.ndarray | None, weight: np.ndarray | None) -> Any:
        """Fit the estimator.

        Parameters
        ----------
        X : PixelTable
            Pixels.
        y : ndarray or None
            Labels.
        groups : ndarray or None
            What splitters inside the estimator go by, and its ``fit`` takes.
        weight : ndarray or None
            Of each pixel.

        Returns
        -------
        estimator
        """
        model = self.estimator
        if y is not None and y.dtype.kind in "bui" and _is(is_regressor, model):
            # Integers of one byte overflow in a square or a logarithm of the target.
            y = y.astype(np.float64)
        if self._as_table:
            return model.fit(X, y, **_passed(model, groups, weight))
        X, rows, (y, groups, weight) = self._laid_out(X, y, groups, weight)
        splitter: Any = getattr(model, "cv", None)
        if not hasattr(splitter, "split"):
            return model.fit(rows, y, **_passed(model, groups, weight))
        # A splitter may need to know where pixels are, and a frame does not say: so the folds are made before.
        model.set_params(cv=list(splitter.split(X, y, groups)))
        try:
            return model.fit(rows, y, **_passed(model, None, weight))
        finally:
            model.set_params(cv=splitter)

    def go_on(self, X: PixelTable, y: np.ndarray | None, **params: Any) -> None:
        """Let the estimator learn from a chunk more.

        Parameters
        ----------
        X : PixelTable
            Pixels.
        y : ndarray or None
            Labels.
        **params : dict
            Passed on, if not None.
        """
        asked = {name: value for name, value in params.items() if value is not None}
        rows: Any = X
        if not self._as_table:
            weight = asked.pop("sample_weight", None)
            _, rows, (y, weight) = self._laid_out(X, y, weight)
            asked |= {} if weight is None else {"sample_weight": weight}
        continues = continues_by(self.estimator)
        if continues is None:
            self.estimator.partial_fit(rows, y, **asked)
            return
        classes = asked.pop("classes", None)
        lacking = [] if classes is None else np.setdiff1d(classes, np.asarray(y)).tolist()
        if lacking:
            raise LabelError(
                f"a chunk has no pixel of class {lacking[0]}, and {type(self.estimator).__name__} needs all classes in each: "
                "make chunk_size larger"
            )
        fitted = getattr(self.estimator, "n_features_in_", None) is not None
        self.estimator.fit(rows, y, **asked, **({continues: self.estimator} if fitted else {}))

    def _laid_out(self, X: PixelTable, *arrays: np.ndarray | None) -> tuple[PixelTable, Any, list[Any]]:
        """Return the table as the adapter has it, the same as a frame or an array, and arrays that follow its rows."""
        if self.adapter is not None:
            layout = self.adapter
        else:
            layout = ToPixelMajor() if X.axis is None else ToTemporalPixelMajor(family_of(self.estimator).time_handling)
        X, dated = layout.of_table(X)
        rows: Any = layout.arrange(np.asarray(X), len(X.base_bands or ()))
        if X.band_names is not None and rows.ndim == 2:
            rows = pd.DataFrame(rows, columns=list(X.band_names))
        return X, rows, [array if array is None or dated is None else array[dated] for array in arrays]


def _passed(model: Any, groups: np.ndarray | None, weight: np.ndarray | None) -> dict[str, np.ndarray]:
    named = {"groups": groups, "sample_weight": weight}
    return {fit_argument(model, name, name): values for name, values in named.items() if values is not None}
