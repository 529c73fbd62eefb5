"""What the programs of the engine share: the array that they take, blocks of rows, and threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from sklearn.utils import check_array

__all__ = ["BLOCK", "MANY", "as_table", "in_blocks", "read_only"]

#: Rows that one thread takes at a time: enough that reading the trees from memory does not count.
BLOCK = 16384
#: Rows of an affine map for which a thread pays, as one pixel takes some hundredths of a microsecond.
MANY = 2**19
#: What the kernels take as it is, because all libraries do; all else becomes what the estimator itself would make of it.
_DTYPES = ("uint8", "int8", "uint16", "int16", "float32", "float64")


def as_table(X: Any, dtype: type, n_features: int) -> np.ndarray:
    """Return X as an array that the kernels take.

    Parameters
    ----------
    X : array, DataFrame or PixelTable of shape (n, n_features)
        Pixels.
    dtype : type
        What numbers of other dtypes are converted to.
    n_features : int
        How many columns there must be, since kernels do not look.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If it is no table of numbers of so many columns.
    """
    table = np.asarray(check_array(X, dtype=None, ensure_all_finite=False))
    if table.dtype.name not in _DTYPES or not table.dtype.isnative:
        # As for the estimator, text is an error.
        table = np.asarray(check_array(table, dtype=dtype, ensure_all_finite=False))
    if table.shape[1] != n_features:
        raise ValueError(f"X has {table.shape[1]} features, but {n_features} are expected")
    return read_only(table)


def read_only(array: np.ndarray) -> np.ndarray:
    """Return a view that cannot be written, be it of memory or of a file, so that one compiled kernel serves both."""
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view


def in_blocks(work: Callable[[slice], None], n_rows: int, n_jobs: int | None, least: int = 1) -> None:
    """Call `work` with slices of rows, in threads.

    Parameters
    ----------
    work : callable
        Takes a slice; it must release the GIL to gain from threads.
    n_rows : int
        Number of rows.
    n_jobs : int or None
        Number of threads, as scikit-learn counts them.
    least : int, default=1
        Rows for which one more thread pays: to start them takes some milliseconds.
    """
    threads = max(1, min(effective_n_jobs(n_jobs), n_rows // least))
    # Whole rounds, so that no thread waits for the last block of another.
    rounds = -(-n_rows // (BLOCK * threads))
    size = max(1, -(-n_rows // (rounds * threads)))
    parts = [slice(first, min(first + size, n_rows)) for first in range(0, n_rows, size)]
    if threads == 1 or len(parts) == 1:
        for part in parts:
            work(part)
    else:
        Parallel(n_jobs=threads, require="sharedmem")(delayed(work)(part) for part in parts)
