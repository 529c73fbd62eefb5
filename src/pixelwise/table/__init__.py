"""From rasters to tables of pixels and back."""
