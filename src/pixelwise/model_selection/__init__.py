"""Splitters that keep what is near together on one side."""
