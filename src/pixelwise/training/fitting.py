"""fit_pixelwise: from a catalog of scenes to a fitted estimator."""

from __future__ import annotations

from typing import Any

from sklearn.base import clone

from pixelwise.catalog.geocatalog import GeoCatalog
from pixelwise.table.layout import Layout
from pixelwise.table.missing import NanPolicy
from pixelwise.training.chips import ChipReader
from pixelwise.training.drawing import Source, draw_sample
from pixelwise.training.estimators import (
    Fitting,
    check_labels,
    fit_argument,
    learns_classes,
    reading_policy,
    takes_tables,
    wants_blocks,
    with_adapter,
)
from pixelwise.training.report import TrainingReport
from pixelwise.training.tables import labels_as

__all__ = ["fit_pixelwise"]


def fit_pixelwise(
    estimator: Any,
    X_pipeline: Any,
    y_pipeline: Any = None,
    *,
    catalog: GeoCatalog,
    sampler: Any = None,
    n_pixels: int | None = None,
    nan_policy: NanPolicy | str | None = None,
    adapter: Layout | None = None,
    group_band: int | str | None = None,
    sample_weight_band: int | str | None = None,
    groups: str | None = None,
    balance: bool = False,
    random_state: Any = None,
    n_jobs: int | None = None,
    progress: bool = False,
    memory: str | int = "4GB",
    on_error: str = "raise",
    report: TrainingReport | None = None,
) -> Any:
    """Fit an estimator on pixels drawn from the scenes of a catalog.

    Each chip is read once. Of all its pixels that have data and a label, and of those of all other chips, `n_pixels` are drawn,
    each as likely as any other, and none twice, even where chips overlap. The draw is exact, takes one pass, and depends on
    `random_state` and the files alone: neither on `n_jobs` nor on the order of the catalog.

    Parameters
    ----------
    estimator : estimator
        What is cloned and fitted: any of scikit-learn's kind, a Pipeline, a search, a Pixelwise estimator.
    X_pipeline : callable or None
        From a chip to features on its pixels: an operator, a `Sequential`, a function. Operators that look at neighbours are
        given as many pixels round the chip as they need. None takes the bands as they are. Of a `Graph` with several inputs one
        is the scene, and each other the file that the catalog names for it: ``sar_uri`` for the input ``sar``.
    y_pipeline : callable or None
        From the same chip to labels: `ReadLabel`, or a `Sequential` that begins with it. Its first band holds labels. None for
        estimators without labels.
    catalog : GeoCatalog
        Scenes.
    sampler : sampler or None
        What draws chips, from `pixelwise.sampling`; None takes all of each scene. One without a ``random_state`` of its own is
        seeded by `random_state`.
    n_pixels : int or None
        Most pixels to fit on; None takes all.
    nan_policy : NanPolicy, str or None
        What happens to pixels that lack data or a label; None leaves them out, or takes the policy of a Pixelwise estimator.
    adapter : Layout or None
        How dates become features, as `ToTemporalPixelMajor` says; give the Pixelwise estimator that predicts the same.
    group_band, sample_weight_band : int, str or None
        Band of the labels, by position or name, that is passed to ``fit`` as ``groups=``, or as ``sample_weight=``; to that of
        the last step, of a Pipeline.
    groups : {"block", "scene"}, str or None
        What is passed to ``fit`` as ``groups=`` and stands in ``X.groups``: square blocks of land as wide as the largest chip,
        scenes, or a column of the catalog. None takes such blocks where a search has a `SpatialBlockGroupKFold` without a
        ``block_size``.
    balance : bool, default=False
        Whether each class gets an equal part of `n_pixels`; a class that has fewer pixels gives all, and then there are less
        in all.
    random_state : int, RandomState or None
        Seed of the draw; that of the estimator is its own.
    n_jobs : int or None
        Workers that read chips, through joblib's backend.
    progress : bool, default=False
        Whether a bar shows the chips that are read.
    memory : str or int, default="4GB"
        What the sample may take while it is drawn, which is twice its size; a few chips for each worker come on top.
    on_error : {"raise", "skip"}, default="raise"
        What happens to chips that cannot be read; "skip" leaves them out with a warning, and tells `report`.
    report : TrainingReport or None
        Filled with what became of the pixels, by scene and by class.

    Returns
    -------
    estimator
        The fitted clone, with ``feature_names_in_`` where bands have names: `PixelwiseClassifier` and its like take it as it
        is, and find bands by name. Splitters in ``cv`` of a search know where pixels are.

    Raises
    ------
    LabelError
        If the estimator needs labels and there are none, or they are no classes.
    TypeError
        If `estimator` is none, or takes no groups or weights that are to be passed on.
    MissingDataError
        If no pixel has data.
    GridError
        If a pipeline leaves the pixels of a chip; the message names the scene.
    MemoryBudgetError
        If the sample does not fit in `memory`.

    Warns
    -----
    MissingDataWarning
        If many pixels look like a fill that no file declares.

    See Also
    --------
    fit_pixelwise_incremental : For more pixels than memory holds.
    sample_pixels : The draw alone.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> path, polygons = pw.datasets.make_example()
    >>> features = pw.indices.AppendIndex(pw.indices.NDVI(red="B04", nir="B08"))
    >>> forest = pw.fit_pixelwise(
    ...     RandomForestClassifier(20, random_state=0),
    ...     X_pipeline=features,
    ...     y_pipeline=pw.ReadLabel(labels=polygons, column="class", classes=["forest", "water"]),
    ...     catalog=pw.open_catalog(path),
    ...     n_pixels=500,
    ...     random_state=0,
    ... )
    >>> forest.feature_names_in_.tolist()
    ['B02', 'B03', 'B04', 'B08', 'NDVI']
    >>> predict = pw.Sequential([features, pw.PixelwiseClassifier(forest)])
    >>> predict(pw.open_raster(path)).dtype
    dtype('uint8')
    """
    check_labels(estimator, y_pipeline)
    _check_arguments(estimator, groups, group_band, sample_weight_band)
    groups = "block" if groups is None and group_band is None and wants_blocks(estimator) else groups
    reader = ChipReader(X_pipeline, y_pipeline, reading_policy(estimator, nan_policy), group_band, sample_weight_band)
    source = Source(catalog, sampler, reader, groups, random_state, n_jobs, progress, on_error, report)
    sample = draw_sample(source, n_pixels, balance=balance, memory=memory)
    y = None if sample.y is None else labels_as(sample.y, learns_classes(estimator))
    ids = sample.X.groups if groups is not None or group_band is not None else None
    fitting = Fitting(clone(with_adapter(estimator, adapter)), adapter)
    return fitting.fit(sample.X, y, ids, sample.weight)


def _check_arguments(estimator: Any, groups: str | None, group_band: Any, sample_weight_band: Any) -> None:
    own_folds = hasattr(getattr(estimator, "cv", None), "split") and not takes_tables(estimator)
    for name, value, argument in (
        ("groups", groups, "groups"), ("group_band", group_band, "groups"),
        ("sample_weight_band", sample_weight_band, "sample_weight"),
    ):  # fmt: skip
        if value is not None and not (own_folds and argument == "groups"):
            fit_argument(estimator, argument, f"{name}={value!r}")
