"""Distances of the folds of any splitter: test to training, sample to sample, and map to sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rasterio.crs import CRS

from pixelwise.model_selection.distances import FoldDistances, Metric, metric_of, nearest, nearest_neighbour
from pixelwise.model_selection.domain import domain_points
from pixelwise.model_selection.places import coordinates_of
from pixelwise.model_selection.spacetime import SpaceTimeKFold
from pixelwise.table.pixels import PixelTable

__all__ = ["Places", "places_of"]

#: Places that are drawn from a prediction domain where the splitter does not say how many.
_DOMAIN_SIZE = 2000


@dataclass(frozen=True, eq=False)
class Places:
    """Where rows are, for distances between them.

    Parameters
    ----------
    points : ndarray of shape (n, 2) or (n, 3)
        Coordinates in metres, on a plane or on the sphere.
    metric : Metric
        How distances are measured.
    crs : rasterio.crs.CRS or None
        CRS of the rows.
    """

    points: np.ndarray
    metric: Metric
    crs: CRS | None

    def to_training(self, train: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Return metres from each test row to the nearest training row."""
        return self.metric.metres(nearest(self.points[test], self.points[train]))

    def to_domain(self, cv: Any, prediction_domain: Any, random_state: Any) -> np.ndarray | None:
        """Return metres from each place of the prediction domain to the nearest row; None where there is no domain.

        Parameters
        ----------
        cv : object
            A splitter; its own domain is taken where none is given.
        prediction_domain : object or None
            As for `KNNDMSplit`.
        random_state : int, RandomState or None
            Seed of the draw; None takes that of the splitter.

        Returns
        -------
        ndarray of shape (m,) or None
        """
        domain = getattr(cv, "prediction_domain", None) if prediction_domain is None else prediction_domain
        if domain is None:
            return None
        seed = getattr(cv, "random_state", None) if random_state is None else random_state
        xy = domain_points(domain, self.crs, getattr(cv, "domain_size", _DOMAIN_SIZE), seed)
        return self.metric.metres(nearest(self.metric.points(xy), self.points))

    def distances(self, folds: Sequence[tuple[np.ndarray, np.ndarray]], gij: np.ndarray | None) -> FoldDistances:
        """Return the three sets of distances; `gij` is empty where it is None."""
        gj = self.metric.metres(nearest_neighbour(self.points)) if len(self.points) > 1 else np.empty(0)
        gj_star = np.concatenate([self.to_training(train, test) for train, test in folds])
        return FoldDistances(np.empty(0) if gij is None else gij, gj, gj_star)


def places_of(cv: Any, X: Any, groups: Any) -> Places | None:
    """Return where the rows of X are, or None where nothing says so.

    Parameters
    ----------
    cv : object
        A splitter, whose ``crs`` is that of coordinates without one.
    X : object
        The samples.
    groups : array-like or None
        Coordinates of shape (n, 2), or groups of shape (n,).

    Returns
    -------
    Places or None
    """
    # To this one, two columns are location and time.
    coordinates = groups if np.ndim(groups) == 2 and not isinstance(cv, SpaceTimeKFold) else None
    told = (
        coordinates is not None
        or isinstance(X, PixelTable)
        or (hasattr(X, "geometry") and hasattr(X, "crs"))
        or list(getattr(getattr(X, "index", None), "names", [])) == ["y", "x"]
    )
    if not told:
        return None
    xy, crs = coordinates_of(X, coordinates, getattr(cv, "crs", None))
    metric = metric_of(crs)
    return Places(metric.points(xy), metric, crs)
