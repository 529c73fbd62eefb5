"""pixelwise: rasters as first-class citizens of scikit-learn."""

from pixelwise import datasets, errors
from pixelwise.estimators.supervised import PixelwiseClassifier, PixelwiseRegressor
from pixelwise.estimators.unsupervised import PixelwiseClusterer, PixelwiseTransformer
from pixelwise.estimators.table_transformer import RasterToPixelTransformer
from pixelwise.families import EstimatorFamily
from pixelwise.hookspecs import hookimpl
from pixelwise.model_selection.blocks import SpatialBlockGroupKFold
from pixelwise.operators import indices
from pixelwise.raster.carriers import Raster, is_raster, rewrap, unwrap
from pixelwise.raster.grid import Grid
from pixelwise.raster.io import open_raster
from pixelwise.table.extract import extract_pixels
from pixelwise.table.layout import FromPixelMajor, ToPixelMajor
from pixelwise.table.missing import NanPolicy
from pixelwise.table.pixels import PixelTable
