"""What programs of affine maps share: scalers as factor and offset, and rows that the estimator itself predicts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

__all__ = ["DTYPES", "affine_of", "ask"]

#: What the kernels take as it is.
DTYPES = ("float32", "float64", "uint8", "uint16", "int16")
#: A multiple of so many rows gives the same bits as a whole scene does.
_ROWS = 64


def affine_of(scaler: Any) -> tuple[Any, Any] | None:
    """Return what a scaler multiplies features with and then adds to them; None for what is no affine map.

    Parameters
    ----------
    scaler : transformer or str
        A fitted step of a Pipeline.

    Returns
    -------
    (factor, offset) or None
        Numbers, or arrays of shape (n_features,).
    """
    if scaler == "passthrough" or scaler is None:
        return 1.0, 0.0
    kind = type(scaler)
    if kind in (StandardScaler, RobustScaler):
        centred = scaler.with_mean if kind is StandardScaler else scaler.with_centering
        factor = 1.0 if scaler.scale_ is None else 1 / scaler.scale_
        return factor, -(scaler.mean_ if kind is StandardScaler else scaler.center_) * factor if centred else 0.0
    if kind is MaxAbsScaler and not getattr(scaler, "clip", False):
        return 1 / scaler.scale_, 0.0
    if kind is MinMaxScaler and not scaler.clip:
        return scaler.scale_, scaler.min_
    return None


def ask(source: Any, method: str, table: np.ndarray, rows: np.ndarray, dtype: Any) -> Any:
    """Return what a method of the estimator itself gives for some rows, as it would among all others.

    Linear algebra sums the rows of an odd remainder in another order. So the last row fills them up.

    Parameters
    ----------
    source : estimator
        Fitted.
    method : str
        What to call of it.
    table : ndarray of shape (n, n_features)
        Pixels.
    rows : ndarray of int
        Which of them.
    dtype : dtype-like
        In which the estimator gets them.

    Returns
    -------
    ndarray, or a frame where the estimator was told so
    """
    filled = np.append(rows, np.repeat(rows[-1:], -len(rows) % _ROWS))
    names = getattr(source, "feature_names_in_", None)
    part = np.ascontiguousarray(table[filled], dtype)
    return getattr(source, method)(part if names is None else pd.DataFrame(part, columns=names))[: len(rows)]
