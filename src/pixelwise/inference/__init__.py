"""Applying a model: to chips of a raster, from file to file in bounded memory, and to all scenes of a catalog."""

from pixelwise.inference.catalog_runs import CatalogPipeline
from pixelwise.inference.chips import ApplyToChips
from pixelwise.inference.streaming import predict_raster
from pixelwise.inference.write_cog import WriteCOG

__all__ = ["ApplyToChips", "CatalogPipeline", "WriteCOG", "predict_raster"]
