"""What a raster is: its grid, its carriers, its files."""
