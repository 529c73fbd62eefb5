"""Applying a model: to chips of a raster, from file to file in bounded memory, and to all scenes of a catalog."""

from pixelwise.inference.chips import ApplyToChips
from pixelwise.inference.streaming import predict_raster

__all__ = ["ApplyToChips", "predict_raster"]
