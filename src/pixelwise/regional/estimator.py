"""RegionalEstimator: one model a region, fitted on its pixels and applied to them."""

from __future__ import annotations

import copy
import operator
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, is_classifier
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from pixelwise.errors import LabelError
from pixelwise.estimators.base import is_rasters
from pixelwise.raster.carriers import is_raster
from pixelwise.regional.dispatch import Dispatch, dispatch_of_registry, predict_raster, predict_table
from pixelwise.regional.mapping import Head, mapper_of, take_apart, union_of
from pixelwise.regional.regions import kept_region, regions_of, restored_region
from pixelwise.regional.training import Plan, fit_models, group_regions, plan_models, see, usable
from pixelwise.registry import ModelRegistry, halo_of
from pixelwise.table.extract import extract_pixels
from pixelwise.table.missing import as_policy

__all__ = ["RegionalEstimator"]

#: How the models of a registry are applied; beside the estimators, because predicting must not change them.
_DISPATCHES: WeakKeyDictionary[Any, tuple[Any, Dispatch]] = WeakKeyDictionary()
_FALLBACKS = ("global", "nearest", "raise")


def _inner_has(method: str) -> Any:
    def has(self: RegionalEstimator) -> bool:
        """Whether the models have the method."""
        return hasattr(self._any_model(), method)

    return has


class RegionalEstimator(MetaEstimatorMixin, BaseEstimator):
    """Fit one clone of an estimator in each region, and predict each pixel with the model of its region.

    Where growing seasons, soils or sensors differ from region to region, one model of all may do worse than a model of each.
    It may also do better, because it sees more samples: compare both with one call of ``cross_val_score`` each. A region is a
    scene, by its metadata, or a polygon that may cross scenes; then each pixel goes to the model of the polygon that its centre
    lies in. Maps have the codes and probabilities of the union of all models' classes.

    Parameters
    ----------
    estimator : classifier, regressor or ModelRegistry
        A Pixelwise estimator, or a Pipeline or search that ends in one; plain scikit-learn estimators are wrapped. A
        `ModelRegistry` of fitted models is usable at once, and only to predict.
    region : str, GeoDataFrame, path, callable or None, default="mgrs_tile"
        What a region is. The name of an entry of the rasters' metadata (``attrs``, or the tags of a file), or of a column of a
        DataFrame, which then is no feature. Polygons: of several that hold a pixel the first counts. A function of one object
        with ``xy`` (n, 2), ``crs`` and ``metadata``, which returns one name, or n names; None stands for no region. None makes
        one region of all.
    column : str or None, default=None
        Column that names the polygons; those of one name are one region. None takes their index.
    min_samples : int, default=500
        Regions with fewer training pixels, or with a single class, get no model of their own.
    fallback : {"global", "nearest", "raise"}, default="global"
        What predicts there, and outside all regions: a model of all training pixels; the model of the nearest region (nearest
        polygon, or for named regions, nearest mean of training pixels); or nothing, which is an error.
    merge : int or None, default=None
        Number of models at the most: regions whose bands are alike in mean and standard deviation share one.
    n_jobs : int or None, default=None
        Models that are fitted at the same time.
    random_state : int, RandomState or None, default=None
        Seeds the random states of the clones, whatever ``n_jobs``; None leaves them as they are.

    Attributes
    ----------
    estimators_ : list of estimators
        The fitted models; with ``fallback="global"`` the global one first.
    regions_ : DataFrame
        A row for each region: ``pixels`` that it was trained on, its ``model`` and ``classes``.
    n_outside_ : int
        Training pixels in no region, which only the global model saw.
    classes_ : ndarray
        Of classifiers: the union of all models' classes.
    n_features_in_ : int
        Number of bands.
    feature_names_in_ : ndarray of str
        Band names, where there are some.

    See Also
    --------
    ModelRegistry : Saved models by region.
    LeaveRegionOut : Tests how a global model carries over to a region that it has not seen.

    Examples
    --------
    >>> import geopandas as gpd, shapely, pixelwise as pw
    >>> from sklearn.linear_model import LogisticRegression
    >>> scene, polygons = pw.datasets.make_example()
    >>> X, y = pw.extract_pixels(scene, polygons, column="class")
    >>> halves = [shapely.box(330000, 5821740, 330800, 5822040), shapely.box(330000, 5821440, 330800, 5821740)]
    >>> halves = gpd.GeoDataFrame({"name": ["north", "south"]}, geometry=halves, crs="EPSG:32633")
    >>> model = pw.PixelwiseClassifier(LogisticRegression())
    >>> regional = pw.RegionalEstimator(model, region=halves, column="name", min_samples=100).fit(X, y)
    >>> regional.regions_
           pixels  model          classes
    region
    north     600  north  (forest, water)
    south     600  south  (forest, water)
    >>> regional.predict(pw.open_raster(scene)).flag_meanings
    'forest water'
    """

    def __init__(
        self, estimator: Any, region: Any = "mgrs_tile", *, column: str | None = None, min_samples: int = 500,
        fallback: str = "global", merge: int | None = None, n_jobs: int | None = None, random_state: Any = None,
    ) -> None:  # fmt: skip
        self.estimator = estimator
        self.region = region
        self.column = column
        self.min_samples = min_samples
        self.fallback = fallback
        self.merge = merge
        self.n_jobs = n_jobs
        self.random_state = random_state

    def __call__(self, raster: Any) -> Any:
        """Predict: the same as ``predict``."""
        return self.predict(raster)

    # What the models of a registry have in common is looked up when it is asked for.
    def __getattr__(self, name: str) -> Any:
        if name in ("classes_", "n_features_in_", "feature_names_in_") and isinstance(
            self.__dict__.get("estimator"), ModelRegistry
        ):
            found = self._dispatch().head.classes if name == "classes_" else getattr(self._any_model(), name, None)
            if found is not None:
                return found
        why = "is not fitted yet: call fit, and it is there" if name == "regions_" else f"has no attribute {name!r}"
        raise AttributeError(f"this {type(self).__name__} {why}")

    def __sklearn_is_fitted__(self) -> bool:
        return "estimators_" in self.__dict__ or isinstance(self.estimator, ModelRegistry)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        try:
            inner = get_tags(self._any_model())
        # Third-party estimators from before scikit-learn's tags raise here.
        except AttributeError:
            return tags
        tags.estimator_type = inner.estimator_type
        tags.input_tags = copy.copy(inner.input_tags)
        tags.input_tags.three_d_array = True
        tags.target_tags = copy.copy(inner.target_tags)
        tags.classifier_tags, tags.regressor_tags = copy.copy(inner.classifier_tags), copy.copy(inner.regressor_tags)
        tags.non_deterministic = inner.non_deterministic
        return tags

    def get_metadata_routing(self) -> MetadataRouter:
        """Say which metadata goes where: all of it to the estimator.

        Returns
        -------
        MetadataRouter
        """
        router = MetadataRouter(owner=self).add_self_request(self)
        if isinstance(self.estimator, ModelRegistry):
            return router
        return router.add(estimator=self.estimator, method_mapping=MethodMapping().add(caller="fit", callee="fit"))

    # ------------------------------------------------------------------ what is wrapped

    def _any_model(self) -> Any:
        if "estimators_" in self.__dict__:
            return self.estimators_[0]
        return self.estimator[next(iter(self.estimator))] if isinstance(self.estimator, ModelRegistry) else self.estimator

    @property
    def nan(self) -> Any:
        """What the models do with pixels that lack data."""
        return take_apart(mapper_of(self._any_model()))[1].nan

    @property
    def adapter(self) -> Any:
        """How the models read rasters."""
        return take_apart(mapper_of(self._any_model()))[1].adapter

    @property
    def output_dtype(self) -> Any:
        """Dtype of a map, where one was asked for."""
        return take_apart(mapper_of(self._any_model()))[1].output_dtype

    def _pair(self, method: str, policy: Any) -> Any:
        return self._dispatch().head.pair(method)

    @property
    def halo(self) -> int:
        """Pixels that the operators of the models look round."""
        return self.estimator.halo if isinstance(self.estimator, ModelRegistry) else halo_of(self.estimator)

    # ------------------------------------------------------------------ fitting

    def fit(self, X: Any, y: Any = None, **params: Any) -> RegionalEstimator:
        """Fit a clone of the estimator in each region.

        Parameters
        ----------
        X : PixelTable, DataFrame, raster, or list of rasters
            Training pixels; plain arrays only with ``region=None``.
        y : array of shape (n,), label raster, or list of them
            Labels or targets.
        **params : dict
            Passed on to the estimator's ``fit``; those with one entry a row are divided as the rows are.

        Returns
        -------
        self

        Raises
        ------
        DispatchError
            If rows do not say where they are, or no region has enough of them.
        ValueError
            If a parameter is not known.
        """
        self._check()
        estimator = mapper_of(self.estimator)
        if is_rasters(X):
            X, y = extract_pixels(X, y, nan="propagate")
        if get_config()["enable_metadata_routing"]:
            params = dict(process_routing(self, "fit", **params).estimator["fit"])
        if self.region is None:
            plan, rows = Plan([None], ["global"], np.empty(0, int), 0), X
            self.locator_: Any = None
            self._seen: dict[str, list[Any]] = {"names": [], "pixels": [], "classes": []}
            self.n_outside_ = 0
        else:
            plan, rows = self._plan(X, y, estimator)
        models = fit_models(estimator, rows, y, params, plan, n_jobs=self.n_jobs, random_state=self.random_state)
        self.estimators_, self.labels_, self.serving_, self.outside_ = models, plan.labels, plan.serving, plan.outside
        self._learned()
        return self

    def _check(self) -> None:
        if isinstance(self.estimator, ModelRegistry):
            raise TypeError("a ModelRegistry holds fitted models: predict with it, or give an estimator to fit")
        if self.fallback not in _FALLBACKS:
            raise ValueError(f"fallback={self.fallback!r} is not known: choose one of {', '.join(map(repr, _FALLBACKS))}")
        for name in ("min_samples", "merge"):
            value = getattr(self, name)
            if not (name == "merge" and value is None) and (not isinstance(value, int | np.integer) or value < 1):
                raise ValueError(f"{name}={value!r}: give a whole number, 1 or more{', or None' * (name == 'merge')}")

    def _plan(self, X: Any, y: Any, estimator: Any) -> tuple[Plan, Any]:
        if y is None:
            raise LabelError(f"{type(self).__name__} requires y to be passed, but the target y is None: pass the labels")
        regions = regions_of(self.region, self.column)
        codes = regions.learn(X)
        X = regions.features(X)
        target = np.asarray(y)
        if len(target) != len(codes):
            raise LabelError(f"X has {len(codes)} rows and y has {len(target)}: give one label a row")
        last = take_apart(estimator)[1]
        ok = usable(X, codes, drops=as_policy(last.nan).on_input in ("mask", "drop", "raise"))
        seen = see(target if is_classifier(last) else None, codes, ok, len(regions.names))
        groups = group_regions(X, codes, seen, ok, self.merge)
        plan = plan_models(regions, codes, seen, groups, min_samples=self.min_samples, fallback=self.fallback)
        self.locator_ = regions
        self._seen = {
            "names": list(regions.names),
            "pixels": [region.n_pixels for region in seen],
            "classes": [list(region.classes) for region in seen],
        }
        self.n_outside_ = int((codes < 0).sum())
        return plan, X

    def _learned(self) -> None:
        """Take over what all models have in common."""
        first = self.estimators_[0]
        for name in ("n_features_in_", "feature_names_in_", "classes_"):
            self.__dict__.pop(name, None)
        for name in ("n_features_in_", "feature_names_in_"):
            if getattr(first, name, None) is not None:
                setattr(self, name, getattr(first, name))
        if hasattr(first, "classes_"):
            alone = len(self.estimators_) == 1
            self.classes_ = first.classes_ if alone else union_of([model.classes_ for model in self.estimators_])
        # A fill that is also a class of another region is found now, and not in the map.
        self._dispatch().head.pair("predict")

    @property
    def regions_(self) -> pd.DataFrame:
        """What each region saw, and which model serves it."""
        models = [self.labels_[number] if number >= 0 else None for number in self.serving_]
        return pd.DataFrame(
            {"pixels": self._seen["pixels"], "model": models, "classes": [tuple(part) for part in self._seen["classes"]]},
            index=pd.Index(self._seen["names"], name="region"),
        )

    # ------------------------------------------------------------------ predicting

    def _dispatch(self) -> Dispatch:
        check_is_fitted(self)
        if isinstance(self.estimator, ModelRegistry):
            key = (self.estimator, self.region, self.column, self.fallback)
            known = _DISPATCHES.get(self)
            if known is None or any(map(operator.is_not, known[0], key)):
                known = _DISPATCHES[self] = key, dispatch_of_registry(*key)
            return known[1]
        seen, least, classes = self._seen, self.min_samples, getattr(self, "classes_", None)

        def reason(code: int) -> str:
            if seen["pixels"][code] < least:
                return f"it had {seen['pixels'][code]} training pixels and min_samples={least}"
            return f"it had the single class {seen['classes'][code][0]!r}"

        head = Head(take_apart(self.estimators_[0])[1], classes)
        return Dispatch(self.locator_, self.estimators_.__getitem__, self.serving_, self.outside_, head, reason)

    def _apply(self, X: Any, method: str) -> Any:
        dispatch = self._dispatch()
        return predict_raster(dispatch, X, method, self.halo) if is_raster(X) else predict_table(dispatch, X, method)

    def predict(self, X: Any) -> Any:
        """Predict classes or targets.

        Parameters
        ----------
        X : raster of any carrier, PixelTable, or a table as it was fitted on
            Pixels.

        Returns
        -------
        raster (y, x), or ndarray of shape (n,)

        Raises
        ------
        DispatchError
            If a pixel has no model, or a raster does not say which region it is.
        """
        return self._apply(X, "predict")

    @available_if(_inner_has("predict_proba"))
    def predict_proba(self, X: Any) -> Any:
        """Predict class probabilities; a class that a region's model has not seen has 0 there.

        Parameters
        ----------
        X : raster of any carrier, PixelTable, or a table as it was fitted on
            Pixels.

        Returns
        -------
        raster (band, y, x) of float32, one named band a class, or ndarray of shape (n, n_classes)
        """
        return self._apply(X, "predict_proba")

    @available_if(_inner_has("predict_log_proba"))
    def predict_log_proba(self, X: Any) -> Any:
        """Predict logarithms of class probabilities, as `predict_proba` does."""
        return self._apply(X, "predict_log_proba")

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy of a classifier, or R2 of a regressor, on a table or on the labelled pixels of a raster.

        Parameters
        ----------
        X : raster, PixelTable or another table
            Pixels.
        y : label raster, or array of shape (n,)
            True labels or targets.
        sample_weight : array of shape (n,) or None
            Weights.

        Returns
        -------
        float
        """
        if is_rasters(X):
            X, y = extract_pixels(X, y)
        measure = accuracy_score if is_classifier(self) else r2_score
        return float(measure(y, self.predict(X), sample_weight=sample_weight))

    # ------------------------------------------------------------------ keeping

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())
        state["region"] = kept_region(state["region"], state["column"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({**state, "region": restored_region(state["region"])})
