"""Operators: stateless transformers from raster to raster."""
