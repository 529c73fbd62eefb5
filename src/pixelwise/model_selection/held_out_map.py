"""HeldOutMap: held-out predictions of labelled pixels, their scores, and their map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from pixelwise.errors import LabelError
from pixelwise.families import EstimatorFamily, OutputType
from pixelwise.model_selection.comparison import NOT_DESIGN_BASED
from pixelwise.model_selection.pooled import PooledScore
from pixelwise.raster.carriers import Raster
from pixelwise.raster.dataarray import to_dataarray
from pixelwise.table.layout import ToPixelMajor
from pixelwise.table.pixels import PixelTable

__all__ = ["HeldOutMap", "scattered"]

#: Below this many blocks an interval is a rough guide.
_FEW_BLOCKS = 10


@dataclass(frozen=True, eq=False, repr=False)
class HeldOutMap:
    """Held-out predictions of labelled pixels, their pooled cross-validation scores, and their map.

    Parameters
    ----------
    X : PixelTable or array
        The rows.
    y : ndarray of shape (n,)
        True labels or targets.
    predicted : ndarray of shape (n,) or (n, n_classes)
        What was predicted for each row while it was held out; NaN, or "" for text labels, in rows that no fold tested.
    fold : ndarray of int, shape (n,)
        Fold that tested each row, from 0; -1 where none did.
    block : ndarray of int, shape (n,)
        Block of each row: what the bootstrap draws.
    unit : str
        What blocks are: "blocks of the splitter", "groups", "polygons or points", "folds" or "rows".
    scores : mapping of str to PooledScore
        Scores by name, of all tested rows together; each with `interval` and `by_fold`.
    method : str
        What was called: "predict", "predict_proba" or "decision_function".
    classes : ndarray or None
        All classes in order; None for numbers.
    legend : mapping of int to str
        What codes stand for, where the label raster said so.

    See Also
    --------
    cross_val_map : Makes one.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> scene, polygons = pw.datasets.make_example()
    >>> X, y = pw.extract_pixels(scene, polygons, column="class")
    >>> cv = pw.SpatialBlockGroupKFold(3, block_size=150)
    >>> result = pw.cross_val_map(pw.PixelwiseClassifier(DecisionTreeClassifier()), X, y, cv, random_state=0)
    >>> result.to_frame().columns.tolist()
    ['x', 'y', 'scene', 'group', 'block', 'fold', 'true', 'predicted']
    """

    X: Any
    y: np.ndarray
    predicted: np.ndarray
    fold: np.ndarray
    block: np.ndarray
    unit: str
    scores: Mapping[str, PooledScore]
    method: str = "predict"
    classes: np.ndarray | None = None
    legend: Mapping[int, str] = field(default_factory=dict)

    @property
    def tested(self) -> np.ndarray:
        """Which rows were tested, ndarray of bool."""
        return self.fold >= 0

    @property
    def labels(self) -> np.ndarray:
        """Predicted labels or numbers, also where probabilities or decision values were predicted; shape (n,)."""
        if self.method == "predict" or self.classes is None:
            return self.predicted
        best = self.predicted.argmax(axis=1) if self.predicted.ndim == 2 else (self.predicted > 0).astype(int)
        return scattered(self.classes[best[self.tested]], np.flatnonzero(self.tested), len(self.y))

    @property
    def fold_scores(self) -> pd.DataFrame:
        """Cross-validation scores fold by fold, with the number of tested rows."""
        numbers, counts = np.unique(self.fold[self.tested], return_counts=True)
        columns = {name: score.by_fold for name, score in self.scores.items()}
        return pd.DataFrame({"n_test": counts, **columns}, index=pd.Index(numbers, name="fold"))

    def summary(self) -> str:
        """Return the pooled scores in a few lines of text, which say what kind of scores they are."""
        n_folds, n_blocks = len(np.unique(self.fold[self.tested])), len(np.unique(self.block[self.tested]))
        lines = [f"cross-validation, {self.tested.sum():,} pixels predicted while held out in {n_folds:,} folds, pooled:"]
        width = max(map(len, self.scores))
        lines += [f"  {name:<{width}}  {score}" for name, score in self.scores.items()]
        few = "; so few that intervals are a rough guide" if n_blocks < _FEW_BLOCKS else ""
        lines.append(f"  intervals from a bootstrap of {n_blocks:,} {self.unit}{few}")
        if not self.tested.all():
            lines.append(f"  {(~self.tested).sum():,} pixels were tested in no fold, and count nowhere")
        return "\n".join([*lines, f"  {NOT_DESIGN_BASED}"])

    def __repr__(self) -> str:
        return self.summary()

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each pixel: where it is, its fold and block, its true label and what was predicted.

        Returns
        -------
        pandas.DataFrame
            With the columns x, y, scene and group where X is a PixelTable, then block, fold, true and predicted, and one column
            a class where probabilities or decision values were predicted.
        """
        columns: dict[str, Any] = {}
        if isinstance(self.X, PixelTable):
            xy = self.X.xy
            columns = {"x": xy[:, 0], "y": xy[:, 1], "scene": self.X.scene, "group": self.X.groups}
        columns |= {"block": self.block, "fold": self.fold, "true": self.y, "predicted": self.labels}
        if self.method != "predict" and self.classes is not None:
            values = self.predicted if self.predicted.ndim == 2 else self.predicted[:, None]
            names = self.classes if values.shape[1] == len(self.classes) else self.classes[1:]
            columns |= {f"{self.method}_{name}": values[:, at] for at, name in enumerate(names)}
        return pd.DataFrame(columns)

    def to_raster(self, what: str = "predicted", scene: int = 0) -> xr.DataArray:
        """Return held-out predictions, or what else is known of each pixel, on the grid of the scene.

        Parameters
        ----------
        what : {"predicted", "error", "fold"}, default="predicted"
            "predicted": classes as codes with their names, numbers, or one band of probabilities a class. "error": 1 where the
            class is wrong and 0 where it is right, or predicted minus true number. "fold": the fold that tested the pixel.
        scene : int, default=0
            Which of the rasters that X came from.

        Returns
        -------
        xarray.DataArray of shape (y, x) or (band, y, x)
            Nodata where no pixel was labelled and tested.

        Raises
        ------
        LabelError
            If X does not say where its rows are, or has no such scene.
        """
        if not isinstance(self.X, PixelTable):
            raise LabelError(
                f"X of type {type(self.X).__name__} does not say where its rows are: pass a PixelTable, or a raster with labels"
            )
        if what not in ("predicted", "error", "fold"):
            raise LabelError(f"what={what!r} is not known: choose 'predicted', 'error' or 'fold'")
        if not 0 <= scene < len(self.X.grids):
            raise LabelError(f"scene={scene} does not exist: X comes from {len(self.X.grids)} rasters, numbered from 0")
        here = self.tested & (self.X.scene == scene)
        values, codes, attrs, bands = self._layer(what, here)
        if codes is None:
            output = OutputType("float32", float("nan"))
        else:
            output = EstimatorFamily("held out", (), "classifier").output_type(codes)
        grid = self.X.grids[scene]
        out = np.full((*values.shape[1:], grid.size), output.fill_value, output.dtype)
        out[..., self.X.pixel[here]] = values.T
        cube = ToPixelMajor().unflatten(out, (1, *grid.shape))
        cube = cube if out.ndim > 1 else cube[0]
        attrs = {"long_name": f"{what} in cross-validation", **attrs}
        return to_dataarray(Raster(cube, grid, bands, (output.fill_value,), attrs=attrs, name=what), name=what)

    def _layer(
        self, what: str, here: np.ndarray
    ) -> tuple[np.ndarray, list[float] | None, dict[str, Any], tuple[str, ...] | None]:
        """Return values at pixels, the codes that they may be, attributes and band names."""
        if what == "fold":
            return self.fold[here], list(range(int(self.fold.max()) + 1)), {}, None
        if self.classes is None:
            values = self.predicted[here]
            return (values if what == "predicted" else values - self.y[here]), None, {}, None
        if what == "error":
            return (self.labels[here] != self.y[here]).astype(int), [0, 1], _flags([0, 1], ["right", "wrong"]), None
        names = [str(name) for name in self.classes.tolist()]
        if self.method != "predict":
            bands = tuple(names) if self.predicted.ndim == 2 else None
            return self.predicted[here], None, {}, bands
        if self.classes.dtype.kind in "iu":
            codes, values = self.classes.tolist(), self.predicted[here].astype(np.int64)
            names = [self.legend.get(code, str(code)) for code in codes]
        else:
            codes, values = list(range(len(names))), np.searchsorted(self.classes, self.predicted[here])
        return values, codes, _flags(codes, names), None


def scattered(values: np.ndarray, rows: np.ndarray, n: int) -> np.ndarray:
    """Return values in the order of the rows; where there are none, NaN, or "" among text.

    Parameters
    ----------
    values : ndarray of shape (k, ...)
        One for each of `rows`.
    rows : ndarray of int, shape (k,)
        Where they belong.
    n : int
        Number of all rows.

    Returns
    -------
    ndarray of shape (n, ...)
    """
    if len(rows) == n:
        out = np.empty((n, *values.shape[1:]), values.dtype)
    elif values.dtype.kind in "UOT":
        out = np.full((n, *values.shape[1:]), "", values.dtype)
    else:
        out = np.full((n, *values.shape[1:]), np.nan, np.result_type(values.dtype, np.float32))
    out[rows] = values
    return out


def _flags(codes: list[Any], names: list[str]) -> dict[str, Any]:
    return {
        "flag_values": np.asarray(codes), "flag_meanings": " ".join("_".join(name.split()) for name in names),
        "class_names": names,
    }  # fmt: skip
