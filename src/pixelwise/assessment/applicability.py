"""AreaOfApplicability: where the training data lets a model predict."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin, clone, is_classifier, is_regressor
from sklearn.model_selection import check_cv
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from pixelwise.assessment.applicability_map import ApplicabilityMapping
from pixelwise.assessment.dissimilarity import DissimilarityIndex, Fold, folds_of, leave_one_out
from pixelwise.assessment.error_profile import MISCLASSIFIED, RMSE, error_profile
from pixelwise.assessment.importance import ModelParts, given_weights, importances, model_parts
from pixelwise.errors import LabelError
from pixelwise.estimators.base import is_rasters
from pixelwise.estimators.mapping import is_fitted
from pixelwise.raster.carriers import is_raster
from pixelwise.table.extract import all_pixels, extract_pixels
from pixelwise.table.missing import NanPolicy, as_policy
from pixelwise.table.pixels import PixelTable

__all__ = ["AreaOfApplicability"]


class AreaOfApplicability(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Map where pixels are like the training pixels, so that a model's cross-validation speaks for them.

    A model predicts anywhere, also for land unlike any that it has seen. The dissimilarity index (DI) of a pixel is its
    distance to the nearest training pixel in the space of the bands, each standardised and weighed by its importance, by the
    mean distance between training pixels [1]_. The training pixels' own indices are measured across the folds of a
    cross-validation, and their upper whisker (third quartile and 1.5 interquartile ranges, or the largest where that is
    smaller) is the threshold: pixels beyond it are outside the area of applicability, where the error that the
    cross-validation found need not hold. The local point density (LPD) counts the training pixels that are closer than the
    threshold [2]_.

    It is not an accuracy, and inside is no promise: it tells where a cross-validation estimate may be used. Inside or outside
    does not depend on the units of bands, nor on a common factor of the weights.

    Parameters
    ----------
    estimator : estimator or None, default=None
        The model whose area is sought: a Pipeline, a search, a Pixelwise estimator or any other. A fitted one is used as it
        is; of another one a clone is fitted. None compares pixels without a model.
    weights : {"importance"}, array of shape (n_features,), mapping of str to float, or None, default="importance"
        "importance" takes ``feature_importances_``, or coefficients: their absolute values, averaged over classes, times the
        standard deviation of the feature. Distances are then measured in the features that the last step of the model sees,
        behind operators and scalers. Given weights, by position or name, and None, which weighs all alike, belong to the
        bands as they come. Negative weights count as 0. Without an estimator "importance" weighs all alike.
    cv : int, splitter, iterable of (train, test), or None, default=None
        The folds of the model's own cross-validation, so that threshold and error belong together. A training pixel is
        compared with the training pixels of the fold that tests it, so that buffers are kept; one that several folds test,
        in the first of them; one that none tests has no index. None leaves out one pixel at a time, which for pixels that
        lie side by side makes the threshold smaller.
    lpd : bool, default=True
        Whether to count the local point density, which takes most of the time of ``transform``.
    max_samples : int or None, default=None
        Most training pixels that others are compared with, drawn at random; None keeps all. Fewer make pixels more dissimilar.
    exact_up_to : int, default=20_000
        With more training pixels than this, mean distance and local point density are estimated from so many, drawn at
        random. The nearest training pixel, and so inside or outside, is exact all the same.
    nan : NanPolicy or str, default="mask"
        What counts as missing in rasters; a Pixelwise estimator brings its own. Pixels with missing bands are nodata.
    n_jobs : int or None, default=None
        Threads that search for neighbours; -1 takes all cores.
    random_state : int, RandomState or None, default=0
        Seed of what is drawn.

    Attributes
    ----------
    threshold_ : float
        Largest dissimilarity index inside the area of applicability.
    train_di_ : ndarray of shape (n,)
        Dissimilarity index of the training pixels, from cross-validation; NaN where no fold tests them.
    train_lpd_ : ndarray of shape (n,)
        Their local point density, likewise; where `lpd` is set.
    mean_distance_ : float
        Mean distance between two training pixels.
    mean_, scale_, weights_ : ndarray of shape (n_weighted,)
        Mean, standard deviation (of the sample) and weight of each feature in which distances are measured.
    estimator_ : estimator or None
        The fitted model, where its importances were asked for.
    n_features_in_ : int
        Number of bands.
    feature_names_in_ : ndarray of str
        Band names, where the training pixels have them.

    See Also
    --------
    SpatialBlockGroupKFold : Folds for ``cv``.
    PixelwiseClassifier : A model.

    Notes
    -----
    With 1,000,000 training pixels of 13 bands of Sentinel-2 a search for the nearest takes about 12 microseconds a pixel and
    core, so that a whole tile of 120 million pixels takes 25 minutes, and counting among `exact_up_to` of them ten times as
    long. Memory grows with the training pixels alone.

    References
    ----------
    .. [1] Meyer, H. and Pebesma, E. (2021): Predicting into unknown space? Estimating the area of applicability of spatial
       prediction models. Methods in Ecology and Evolution 12, 1620-1633.
    .. [2] Schumacher, F. L. et al. (2025): Estimation of local training data point densities to support the assessment of
       spatial prediction uncertainty. Geoscientific Model Development 18, 10185-10202.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> scene, polygons = pw.datasets.make_example()
    >>> raster = pw.open_raster(scene)
    >>> X, y = pw.extract_pixels(raster, polygons, column="class")
    >>> cv = pw.SpatialBlockGroupKFold(2, block_size=150)
    >>> model = pw.PixelwiseClassifier(RandomForestClassifier(20, random_state=0)).fit(X, y)
    >>> aoa = pw.AreaOfApplicability(model, cv=cv).fit(X, y)
    >>> inside = aoa.predict(raster)
    >>> inside.dtype.name, inside.flag_meanings, bool(inside.mean() > 0.9)
    ('uint8', 'outside inside', True)
    >>> aoa.predict(raster * 2).values.any()
    np.False_
    >>> aoa.transform(raster).band.values.tolist()
    ['DI', 'LPD']
    """

    def __init__(
        self, estimator: Any = None, *, weights: Any = "importance", cv: Any = None, lpd: bool = True,
        max_samples: int | None = None, exact_up_to: int = 20_000, nan: NanPolicy | str = "mask", n_jobs: int | None = None,
        random_state: Any = 0,
    ) -> None:  # fmt: skip
        self.estimator = estimator
        self.weights = weights
        self.cv = cv
        self.lpd = lpd
        self.max_samples = max_samples
        self.exact_up_to = exact_up_to
        self.nan = nan
        self.n_jobs = n_jobs
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def fit(self, X: Any, y: Any = None, groups: Any = None) -> AreaOfApplicability:
        """Learn how far the training pixels are from each other, across folds.

        Parameters
        ----------
        X : PixelTable, array or DataFrame of shape (n, n_features), raster, or list of rasters
            Training pixels, those of the model.
        y : array of shape (n,), label raster, list of them, or None
            Labels or targets; for the folds, and for an estimator that is not fitted yet.
        groups : array of shape (n,) or (n, 2), or None
            For the splitter: ids, or coordinates; None takes coordinates from X where it has them.

        Returns
        -------
        self

        Raises
        ------
        BandError
            If the estimator has no importances, weights do not fit the bands, or no band varies.
        FoldError
            If a fold has no training rows, or none tests any.
        MissingDataError
            If training rows lack data.
        """
        self._check_parameters()
        if is_rasters(X):
            X, y = (all_pixels(X, _dropping(self.nan)), None) if y is None else extract_pixels(X, y, nan=_dropping(self.nan))
        X = self._checked(X, reset=True)
        check_consistent_length(X, y, groups)
        folds = self._folds(X, y, groups)
        parts = self._model_parts(X, y)
        index = DissimilarityIndex(
            lpd=self.lpd, max_samples=self.max_samples, exact_up_to=self.exact_up_to, n_jobs=self.n_jobs,
            random_state=self.random_state,
        ).set_output(**getattr(self, "_sklearn_output_config", {}))  # fmt: skip
        self.before_ = [] if parts is None else parts.before
        self.mapping_ = ApplicabilityMapping.of(index, self._before(X), parts, as_policy(self.nan), self.estimator_)
        features = self.mapping_.features(self._before(X))
        weights = None
        if parts is not None:
            weights = importances(parts.last, features)
        elif self.weights is not None and not _is_importance(self.weights):
            weights = given_weights(self.weights, self._names())
        self.index_ = index.fit(features, weights=weights, folds=folds)
        for name in ("threshold_", "train_di_", "mean_distance_", "mean_", "scale_", "weights_"):
            setattr(self, name, getattr(index, name))
        self.__dict__.pop("train_lpd_", None)
        if self.lpd:
            self.train_lpd_ = index.train_lpd_
        return self

    def predict(self, X: Any) -> Any:
        """Tell which pixels are inside the area of applicability.

        Parameters
        ----------
        X : raster of any carrier, PixelTable, array or DataFrame
            Pixels.

        Returns
        -------
        raster (y, x) of uint8 in the type that came in, or ndarray of int of shape (n,)
            1 inside, 0 outside; in rasters 255 where data is missing.
        """
        check_is_fitted(self)
        if is_raster(X):
            return self.mapping_.predict(self._before(X))
        return self.index_.predict(self._rows(X))

    def transform(self, X: Any) -> Any:
        """Return dissimilarity index and local point density.

        Parameters
        ----------
        X : raster of any carrier, PixelTable, array or DataFrame
            Pixels.

        Returns
        -------
        raster (band, y, x) of float32 with the bands DI and LPD, PixelTable with its places kept, or array of shape (n, 2)
            NaN where data is missing; without `lpd`, the DI alone.
        """
        check_is_fitted(self)
        if is_raster(X):
            return self.mapping_.transform(self._before(X))
        rows = self._rows(X)
        if isinstance(X, PixelTable):
            return X.with_bands(np.asarray(self.index_.transform(rows)), tuple(self.get_feature_names_out()))
        return self.index_.transform(pd.DataFrame(rows, index=X.index) if hasattr(X, "iloc") else rows)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the bands of ``transform``.

        Parameters
        ----------
        input_features : object
            Not used.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        return np.asarray(self.index_.get_feature_names_out())

    def set_output(self, *, transform: str | None = None) -> AreaOfApplicability:
        """Choose what transformed tables are; rasters stay rasters.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None
            None changes nothing.

        Returns
        -------
        self
        """
        if transform is not None:
            self._sklearn_output_config = {**getattr(self, "_sklearn_output_config", {}), "transform": transform}
            if "index_" in self.__dict__:
                self.index_.set_output(transform=transform)
        return self

    def error_profile(
        self, y: Any, predicted: Any, *, by: str = "DI", measure: str = "auto", window: int | None = None, most: int = 100
    ) -> pd.DataFrame:
        """Return how the error of cross-validation grows with dissimilarity: in a window that moves over the training pixels.

        Parameters
        ----------
        y : array of shape (n,)
            Labels or targets of the training pixels.
        predicted : array of shape (n,)
            What was predicted for each while it was held out: by ``cross_val_predict`` with the same ``cv``.
        by : {"DI", "LPD"}, default="DI"
            What the pixels are ordered by.
        measure : {"auto", "misclassification rate", "RMSE"}, default="auto"
            "auto" takes the first for classifiers, and where there is none for labels that are no floats.
        window : int or None, default=None
            Pixels in a window; None takes a tenth of them, 5 at the least.
        most : int, default=100
            Most windows that are returned, spread evenly over the order.

        Returns
        -------
        pandas.DataFrame
            One row a window: mean, smallest and largest index ("DI", "smallest", "largest"), number of pixels ("n"), "error",
            its "measure", and "estimate", which is "cross-validation".

        Raises
        ------
        LabelError
            If lengths differ from the training pixels', or no pixel is left.

        Examples
        --------
        >>> import numpy as np, pixelwise as pw
        >>> X = np.array([[0.0], [1.0], [2.0], [3.0], [10.0], [20.0]])
        >>> aoa = pw.AreaOfApplicability().fit(X)
        >>> profile = aoa.error_profile(X[:, 0], X[:, 0] + [0, 0, 0, 0, 3, 4], window=3)
        >>> profile[["DI", "error"]].round(2).values.tolist()
        [[0.12, 0.0], [0.12, 0.0], [0.35, 1.73], [0.7, 2.89]]
        """
        check_is_fitted(self)
        order = {"DI": self.train_di_, "LPD": getattr(self, "train_lpd_", None)}.get(by)
        if order is None:
            other = ", or 'LPD'" if self.lpd else "; lpd=False counts no LPD"
            raise ValueError(f"by={by!r} is not there: choose 'DI'{other}")
        if measure == "auto" and self.estimator is not None and (is_classifier(self.estimator) or is_regressor(self.estimator)):
            measure = MISCLASSIFIED if is_classifier(self.estimator) else RMSE
        return error_profile(order, y, predicted, name=by, measure=measure, window=window, most=most)

    def _check_parameters(self) -> None:
        for name, least in (("max_samples", 2), ("exact_up_to", 2)):
            value = getattr(self, name)
            if value is None and name == "max_samples":
                continue
            if not isinstance(value, Integral) or value < least:
                raise ValueError(f"{name}={value!r} is no number of training pixels: give {least} or more")

    def _checked(self, X: Any, *, reset: bool) -> Any:
        """Check a table as scikit-learn does; frames stay frames, because operators know bands by name."""
        if isinstance(X, PixelTable):
            if reset:
                validate_data(self, X, reset=True, skip_check_array=True)
                self.on_pixels_ = True
                if X.band_names is not None:
                    self.feature_names_in_ = np.asarray(X.band_names, dtype=object)
            return X
        if reset:
            self.on_pixels_ = False
        elif self.on_pixels_ and not hasattr(X, "columns"):
            # scikit-learn turns PixelTables into arrays in many places, so that missing names are no news.
            return X
        values = validate_data(self, X, reset=reset, ensure_all_finite=False, ensure_min_samples=2 if reset else 1)
        return X if hasattr(X, "columns") else values

    def _folds(self, X: Any, y: Any, groups: Any) -> list[Fold]:
        if self.cv is None:
            return leave_one_out(len(X))
        classifier = self.estimator is not None and is_classifier(self.estimator)
        return folds_of(check_cv(self.cv, y, classifier=classifier).split(X, y, groups), len(X))

    def _model_parts(self, X: Any, y: Any) -> ModelParts | None:
        """Return the parts of the fitted model, where its importances are asked for."""
        self.estimator_ = None
        if self.estimator is None or not _is_importance(self.weights):
            return None
        if not is_fitted(self.estimator) and y is None:
            raise LabelError(f"{type(self.estimator).__name__} is not fitted: pass y to fit it here, or fit it first")
        self.estimator_ = self.estimator if is_fitted(self.estimator) else clone(self.estimator).fit(X, y)
        return model_parts(self.estimator_)

    def _before(self, X: Any) -> Any:
        for step in self.before_:
            X = step.transform(X)
        return X

    def _rows(self, X: Any) -> np.ndarray:
        return self.mapping_.features(self._before(self._checked(X, reset=False)))

    def _names(self) -> tuple[str, ...]:
        names = getattr(self, "feature_names_in_", None)
        return tuple(f"band_{number}" for number in range(1, self.n_features_in_ + 1)) if names is None else tuple(names)


def _is_importance(weights: Any) -> bool:
    return isinstance(weights, str) and weights == "importance"


def _dropping(nan: NanPolicy | str) -> NanPolicy:
    return NanPolicy(**{**vars(as_policy(nan)), "on_input": "drop"})
