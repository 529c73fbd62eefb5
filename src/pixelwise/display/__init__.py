"""Maps, folds and reports to look at."""

from pixelwise.display.accuracy import AccuracyDisplay
from pixelwise.display.applicability import ApplicabilityDisplay
from pixelwise.display.distances import DistanceDisplay
from pixelwise.display.folds import SpatialFoldsDisplay
from pixelwise.display.map import MapDisplay, SceneDisplay
from pixelwise.display.report import MapReport
from pixelwise.display.variogram import VariogramDisplay

__all__ = [
    "AccuracyDisplay",
    "ApplicabilityDisplay",
    "DistanceDisplay",
    "MapDisplay",
    "MapReport",
    "SceneDisplay",
    "SpatialFoldsDisplay",
    "VariogramDisplay",
]
