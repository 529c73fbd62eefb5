"""aeon's estimators of time series as families of pixelwise."""

from __future__ import annotations

from pixelwise import EstimatorFamily, hookimpl

__all__ = ["pixelwise_families"]


@hookimpl
def pixelwise_families() -> list[EstimatorFamily]:
    """Return the families of aeon's classifiers, regressors and clusterers, which take (n, bands, times).

    Returns
    -------
    list of pixelwise.EstimatorFamily

    Examples
    --------
    >>> from pixelwise_aeon import pixelwise_families
    >>> [(family.name, family.time_handling) for family in pixelwise_families()]
    [('aeon-classifier', 'panel'), ('aeon-regressor', 'panel'), ('aeon-clusterer', 'panel')]
    """
    return [
        EstimatorFamily(
            "aeon-classifier",
            ("aeon.classification.base:BaseClassifier",),
            kind="classifier",
            accepts_nan=False,
            time_handling="panel",
        ),
        EstimatorFamily(
            "aeon-regressor",
            ("aeon.regression.base:BaseRegressor",),
            kind="regressor",
            dtypes=("float32", "float64"),
            accepts_nan=False,
            time_handling="panel",
        ),
        EstimatorFamily(
            "aeon-clusterer",
            ("aeon.clustering.base:BaseClusterer",),
            kind="clusterer",
            accepts_nan=False,
            time_handling="panel",
        ),
    ]
