"""Corrections of what a sensor measures: to reflectance, for the atmosphere, for the light on slopes."""

from pixelwise.operators.atmosphere import DarkObjectSubtraction, TOAToBOA, dark_objects
from pixelwise.operators.illumination import CosineCorrection, c_parameters
from pixelwise.operators.reflectance import DNToReflectance

__all__ = ["CosineCorrection", "DNToReflectance", "DarkObjectSubtraction", "TOAToBOA", "c_parameters", "dark_objects"]
