"""pixelwise: rasters as first-class citizens of scikit-learn."""

from pixelwise import catalog_ops, datasets, errors, inference, testing
from pixelwise.artifact import save_artifact
from pixelwise.assessment.accuracy import estimate_accuracy
from pixelwise.assessment.applicability import AreaOfApplicability
from pixelwise.assessment.design import design_sample
from pixelwise.catalog import sampling
from pixelwise.catalog.geocatalog import GeoCatalog
from pixelwise.catalog.label_samplers import PointSampler, StratifiedSampler
from pixelwise.catalog.labels import ReadLabel
from pixelwise.catalog.opening import open_catalog
from pixelwise.catalog.samplers import GridSampler, RandomSampler
from pixelwise.display.accuracy import AccuracyDisplay
from pixelwise.display.applicability import ApplicabilityDisplay
from pixelwise.display.distances import DistanceDisplay
from pixelwise.display.folds import SpatialFoldsDisplay
from pixelwise.display.variogram import VariogramDisplay
from pixelwise.engines import CompiledEstimator, compile_estimator
from pixelwise.estimators.supervised import PixelwiseClassifier, PixelwiseRegressor
from pixelwise.estimators.table_transformer import RasterToPixelTransformer
from pixelwise.estimators.unsupervised import PixelwiseClusterer, PixelwiseTransformer
from pixelwise.families import EstimatorFamily
from pixelwise.hookspecs import hookimpl
from pixelwise.inference.catalog_runs import CatalogPipeline
from pixelwise.inference.chips import ApplyToChips
from pixelwise.inference.streaming import predict_raster
from pixelwise.inference.write_cog import WriteCOG
from pixelwise.model_selection.block_size import suggest_block_size
from pixelwise.model_selection.blocks import SpatialBlockGroupKFold, SpatialBlockShuffleSplit
from pixelwise.model_selection.buffered import BufferedLeaveOneOut
from pixelwise.model_selection.fold_report import fold_report
from pixelwise.model_selection.held_out import cross_val_map
from pixelwise.model_selection.knndm import KNNDMSplit
from pixelwise.model_selection.nndm import NNDMSplit
from pixelwise.model_selection.periods import ForwardTimeSplit, LeavePeriodOut
from pixelwise.model_selection.regions import LeaveRegionOut
from pixelwise.model_selection.scorer import PixelScorer
from pixelwise.model_selection.spacetime import SpaceTimeKFold
from pixelwise.model_selection.variogram import empirical_variogram
from pixelwise.model_selection.variogram_models import fit_variogram
from pixelwise.operators import cloud, core, correction, fusion, indices, sar, spatial, temporal, terrain, texture
from pixelwise.operators.core import Sequential
from pixelwise.operators.graph import Graph, Input
from pixelwise.raster.carriers import Raster, is_raster, rewrap, unwrap
from pixelwise.raster.grid import Grid
from pixelwise.raster.opening import open_raster
from pixelwise.raster.stitching import Stitch
from pixelwise.raster.write import write_raster
from pixelwise.regional.estimator import RegionalEstimator
from pixelwise.registry import ModelRegistry
from pixelwise.stored import artifact_info, load_artifact
from pixelwise.table.extract import extract_pixels
from pixelwise.table.layout import FromPixelMajor, ToPixelMajor
from pixelwise.table.missing import NanPolicy
from pixelwise.table.panel import PanelTable
from pixelwise.table.pixels import PixelTable
from pixelwise.table.temporal_layout import FromTemporalPixelMajor, ToTemporalPixelMajor
from pixelwise.training.fitting import fit_pixelwise
from pixelwise.training.incremental import fit_pixelwise_incremental
from pixelwise.training.report import TrainingReport
from pixelwise.training.samples import read_sample, sample_pixels, write_sample
from pixelwise.version import __version__

__all__ = [
    "texture",
    "terrain",
    "spatial",
    "fusion",
    "Sequential",
    "Input",
    "Graph",
    "cloud",
    "core",
    "correction",
    "ApplicabilityDisplay",
    "ApplyToChips",
    "AreaOfApplicability",
    "AccuracyDisplay",
    "SpatialBlockShuffleSplit",
    "SpaceTimeKFold",
    "ForwardTimeSplit",
    "LeavePeriodOut",
    "LeaveRegionOut",
    "NNDMSplit",
    "KNNDMSplit",
    "BufferedLeaveOneOut",
    "CompiledEstimator",
    "CatalogPipeline",
    "DistanceDisplay",
    "EstimatorFamily",
    "FromPixelMajor",
    "FromTemporalPixelMajor",
    "GeoCatalog",
    "Grid",
    "GridSampler",
    "ModelRegistry",
    "NanPolicy",
    "PixelScorer",
    "PanelTable",
    "PixelTable",
    "PixelwiseClassifier",
    "PixelwiseClusterer",
    "PixelwiseRegressor",
    "PixelwiseTransformer",
    "PointSampler",
    "RandomSampler",
    "ReadLabel",
    "Raster",
    "RasterToPixelTransformer",
    "RegionalEstimator",
    "SpatialBlockGroupKFold",
    "SpatialFoldsDisplay",
    "Stitch",
    "StratifiedSampler",
    "ToPixelMajor",
    "ToTemporalPixelMajor",
    "TrainingReport",
    "VariogramDisplay",
    "WriteCOG",
    "__version__",
    "artifact_info",
    "catalog_ops",
    "compile_estimator",
    "cross_val_map",
    "datasets",
    "design_sample",
    "empirical_variogram",
    "errors",
    "estimate_accuracy",
    "extract_pixels",
    "fit_pixelwise",
    "fit_pixelwise_incremental",
    "fold_report",
    "fit_variogram",
    "hookimpl",
    "indices",
    "inference",
    "is_raster",
    "load_artifact",
    "open_catalog",
    "open_raster",
    "predict_raster",
    "read_sample",
    "rewrap",
    "sample_pixels",
    "sar",
    "sampling",
    "save_artifact",
    "suggest_block_size",
    "temporal",
    "testing",
    "unwrap",
    "write_raster",
    "write_sample",
]
