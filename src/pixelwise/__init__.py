"""pixelwise: rasters as first-class citizens of scikit-learn."""

from pixelwise import datasets, errors, testing
from pixelwise.artifact import artifact_info, load_artifact, save_artifact
from pixelwise.estimators.supervised import PixelwiseClassifier, PixelwiseRegressor
from pixelwise.estimators.table_transformer import RasterToPixelTransformer
from pixelwise.estimators.unsupervised import PixelwiseClusterer, PixelwiseTransformer
from pixelwise.families import EstimatorFamily
from pixelwise.hookspecs import hookimpl
from pixelwise.inference.streaming import predict_raster
from pixelwise.model_selection.blocks import SpatialBlockGroupKFold
from pixelwise.operators import indices
from pixelwise.raster.carriers import Raster, is_raster, rewrap, unwrap
from pixelwise.raster.grid import Grid
from pixelwise.raster.io import open_raster
from pixelwise.raster.write import write_raster
from pixelwise.table.extract import extract_pixels
from pixelwise.table.layout import FromPixelMajor, ToPixelMajor
from pixelwise.table.missing import NanPolicy
from pixelwise.table.pixels import PixelTable
from pixelwise.version import __version__

__all__ = [
    "EstimatorFamily",
    "FromPixelMajor",
    "Grid",
    "NanPolicy",
    "PixelTable",
    "PixelwiseClassifier",
    "PixelwiseClusterer",
    "PixelwiseRegressor",
    "PixelwiseTransformer",
    "Raster",
    "RasterToPixelTransformer",
    "SpatialBlockGroupKFold",
    "ToPixelMajor",
    "__version__",
    "artifact_info",
    "datasets",
    "errors",
    "extract_pixels",
    "hookimpl",
    "indices",
    "is_raster",
    "load_artifact",
    "open_raster",
    "predict_raster",
    "rewrap",
    "save_artifact",
    "testing",
    "unwrap",
    "write_raster",
]
