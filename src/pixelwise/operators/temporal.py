"""Operators on the time axis of (band, time, y, x) rasters: gaps, smoothing, composites, harmonics and phenology."""

from pixelwise.operators.composites import MonthlyComposite, PercentileComposite, TimeAggregate
from pixelwise.operators.gap_filling import LinearGapFill
from pixelwise.operators.harmonics import HarmonicFeatures
from pixelwise.operators.phenology import PhenologyMetrics
from pixelwise.operators.smoothing import SavitzkyGolay, Whittaker

__all__ = [
    "HarmonicFeatures",
    "LinearGapFill",
    "MonthlyComposite",
    "PercentileComposite",
    "PhenologyMetrics",
    "SavitzkyGolay",
    "TimeAggregate",
    "Whittaker",
]
