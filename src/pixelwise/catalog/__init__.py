"""Scenes of many files: found, asked, sampled and read chip by chip."""
