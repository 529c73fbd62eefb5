"""The whole way on real data: from a Sentinel-2 scene and polygons to a validated map and a page about it."""

from pixelwise.demo.steps import Demo, run_demo

__all__ = ["Demo", "run_demo"]
