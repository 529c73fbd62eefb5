"""What is done to the scenes of a catalog: their labels read, a pipeline applied to each, maps written."""

from pixelwise.catalog.labels import ReadLabel
from pixelwise.inference.catalog_runs import CatalogPipeline
from pixelwise.inference.write_cog import WriteCOG

__all__ = ["CatalogPipeline", "ReadLabel", "WriteCOG"]
