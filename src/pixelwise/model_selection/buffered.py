"""BufferedLeaveOneOut: each sample tested alone, its surroundings left out of training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pixelwise.model_selection.splitter import SpatialSplitter, n_rows

__all__ = ["BufferedLeaveOneOut"]


class BufferedLeaveOneOut(SpatialSplitter):
    """Leave-one-out cross-validation with a buffer of land around the test sample.

    Every other sample within the buffer, those at exactly its distance included, is left out of training [1]_. One model is
    fitted for each sample: it is for hundreds of samples, not for thousands of pixels.

    Parameters
    ----------
    buffer : float, default=0.0
        Metres around test samples in which no sample is trained on.
    radius : float, default=0.0
        Metres around the sample in which all others are tested, too, in every fold. Test sets then overlap.
    crs : object or None, default=None
        CRS of coordinates that do not bring their own.

    See Also
    --------
    NNDMSplit : Finds how far to go for each sample by itself.

    References
    ----------
    .. [1] Le Rest, K. et al. (2014): Spatial leave-one-out cross-validation for variable selection in the presence of spatial
       autocorrelation. Global Ecology and Biogeography 23, 811-820.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> x = np.column_stack([[0, 1, 3, 9], [0, 0, 0, 0]])
    >>> [train.tolist() for train, _ in pw.BufferedLeaveOneOut(buffer=2).split(x, groups=x)]
    [[2, 3], [3], [0, 3], [0, 1, 2]]
    """

    def __init__(self, buffer: float = 0.0, *, radius: float = 0.0, crs: Any = None) -> None:
        self.buffer = buffer
        self.radius = radius
        self.crs = crs

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X : object
            The samples.
        y, groups : object
            Not used.

        Returns
        -------
        int
        """
        if X is None:
            raise ValueError("the number of folds is that of samples: pass X")
        return n_rows(X)

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the rows of training and test of each fold.

        Parameters
        ----------
        X : PixelTable, GeoDataFrame, DataFrame with a (y, x) index, or array
            The samples; they say where they are, unless `groups` does.
        y : object
            Not used.
        groups : array-like of shape (n, 2) or None
            Coordinates; None takes them from X.

        Yields
        ------
        train, test : ndarray of int

        Raises
        ------
        FoldError
            If a fold loses all its training rows.
        """
        rows = np.arange(n_rows(X))
        yield from self._apart((rows == row for row in rows), X, groups)
