"""Errors and warnings of pixelwise: each says the cause, the offending value and the remedy, in one line."""

from __future__ import annotations

from typing import Any

__all__ = [
    "ArtifactError",
    "BandError",
    "CRSError",
    "CatalogError",
    "DatasetMissingError",
    "DependencyMissingError",
    "DispatchError",
    "FillValueError",
    "FoldError",
    "FoldWarning",
    "GridError",
    "LabelError",
    "MemoryBudgetError",
    "MissingDataError",
    "MissingDataWarning",
    "PixelwiseError",
    "PixelwiseWarning",
    "PluginError",
    "RasterReadError",
    "RasterWriteError",
]


class PixelwiseError(Exception):
    """Base of every error that pixelwise raises on purpose.

    Parameters
    ----------
    message : str
        Cause, value and remedy in one line.
    **values : object
        The offending values, kept on the exception as ``error.values`` for programs that handle it.
    """

    def __init__(self, message: str, **values: Any) -> None:
        super().__init__(message)
        self.values = values


class GridError(PixelwiseError, ValueError):
    """Two rasters do not lie on the same pixels, or a raster's pixels have no regular grid."""


class CRSError(PixelwiseError, ValueError):
    """A coordinate reference system is missing, or two of them cannot be brought together."""


class BandError(PixelwiseError, ValueError):
    """Bands are missing, too many, or not the ones that the model was fitted on."""


class FillValueError(PixelwiseError, ValueError):
    """A fill value does not fit the output's dtype, or is also a class label."""


class CatalogError(PixelwiseError, ValueError):
    """A catalog of scenes cannot be opened, is empty where scenes are needed, or lacks a column."""


class LabelError(PixelwiseError, ValueError):
    """Labels are missing, empty, or do not fit the raster."""


class MissingDataError(PixelwiseError, ValueError):
    """Pixels lack data where the chosen policy, or the estimator, needs them."""


class FoldError(PixelwiseError, ValueError):
    """A splitter cannot make the folds that it was asked for."""


class MemoryBudgetError(PixelwiseError, ValueError):
    """The work does not fit in the memory that it was given."""


class RasterReadError(PixelwiseError, OSError):
    """A raster file cannot be opened, or its pixels cannot be read."""


class RasterWriteError(PixelwiseError, OSError):
    """A raster file cannot be written where it was asked to be."""


class ArtifactError(PixelwiseError, ValueError):
    """A saved model cannot be written, read, or trusted."""


class DatasetMissingError(PixelwiseError, ModuleNotFoundError):
    """A sample data set is not installed."""


class DispatchError(PixelwiseError, LookupError):
    """A raster has no case, region or model to go to."""


class DependencyMissingError(PixelwiseError, ModuleNotFoundError):
    """A distribution that only part of pixelwise needs is not installed."""


class PluginError(PixelwiseError, ValueError):
    """Two plugins claim the same name, or a plugin breaks its contract."""


class PixelwiseWarning(UserWarning):
    """Base of every warning that pixelwise gives."""


class MissingDataWarning(PixelwiseWarning):
    """Data is missing in a way that changes the result: a wholly-nodata band, a fill that nobody declared."""


class FoldWarning(PixelwiseWarning):
    """Folds can be made, but their scores would mislead: a class is never trained on, or never tested."""
