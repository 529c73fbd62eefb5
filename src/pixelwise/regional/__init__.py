"""Regional models: fitted on the pixels of a region, and applied to them."""
