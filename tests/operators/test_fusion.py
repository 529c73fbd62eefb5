from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import dask.array as dask
import numpy as np
import pyproj
import pytest
import rasterio
import xarray as xr
from rasterio import Affine
from rasterio.enums import Resampling
from scipy.ndimage import map_coordinates
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

import pixelwise as pw
from pixelwise.errors import BandError, CRSError, GridError
from pixelwise.operators.warping import resampling_named

RANDOM = np.random.default_rng(5)
UTM = pw.Grid("EPSG:32633", (10, 0, 330_000, 0, -10, 5_820_600), 60, 80)
#: The same land in the next zone, a little more of it, turned and coarser.
SAR_GRID = pw.Grid("EPSG:32632", Affine.translation(736_500, 5_824_000) @ Affine.rotation(-4) @ Affine.scale(13, -13), 150, 150)


def smooth(grid: pw.Grid, crs: str = "EPSG:32633") -> np.ndarray:
    """Return a smooth surface over the land, which each grid samples at its own pixels."""
    mover = pyproj.Transformer.from_crs(grid.crs.to_wkt(), crs, always_xy=True)
    x, y = mover.transform(*grid.pixel_xy(np.arange(grid.size)).T)
    return (np.sin((x - 330_000) / 200) + np.cos((y - 5_820_000) / 150)).reshape(grid.shape)


S2 = pw.Raster(np.stack([smooth(UTM), RANDOM.random(UTM.shape)]).astype("float32"), UTM, ("B04", "B08"))
SAR = pw.Raster(smooth(SAR_GRID)[None], SAR_GRID, ("VV",))
PAIR = {"s2": S2, "sar": SAR}
NAMED = pw.fusion.AlignAndStack([("s2", "passthrough"), ("sar", "passthrough")])


def as_array(raster: pw.Raster) -> xr.DataArray:
    return pw.rewrap(raster, like=pw.open_raster(pw.datasets.make_example()[0]))


def test_the_first_raster_is_the_grid_and_bands_are_named_after_their_raster() -> None:
    stacked = pw.fusion.AlignAndStack().fit_transform(PAIR)
    assert stacked.names == ("s2_B04", "s2_B08", "sar_VV")
    assert stacked.grid == UTM
    assert np.array_equal(stacked.values[:2], S2.values)
    assert stacked.values.dtype == np.float64
    assert np.isnan(stacked.nodata).all()


def test_another_crs_is_brought_to_the_same_land() -> None:
    found = pw.fusion.AlignAndStack(target_grid="s2")(PAIR).values[2]
    assert np.abs(found - smooth(UTM)).max() < 0.01
    mover = pyproj.Transformer.from_crs(UTM.crs.to_wkt(), SAR_GRID.crs.to_wkt(), always_xy=True)
    x, y = mover.transform(*UTM.pixel_xy(np.arange(UTM.size)).T)
    a, b, c, d, e, f = tuple(~SAR_GRID.transform)[:6]
    at = np.array([d * x + e * y + f, a * x + b * y + c]) - 0.5
    expected = map_coordinates(SAR.values[0], at, order=1).reshape(UTM.shape)
    np.testing.assert_allclose(found, expected, atol=5e-3)


@pytest.mark.parametrize("grid", [pw.Grid(UTM.crs, (10, 0, 330_000, 0, 10, 5_820_000), 60, 80), UTM.window(-3, 5, 50, 100)])
def test_flipped_and_shifted_grids_take_the_same_pixels(grid: pw.Grid) -> None:
    found = pw.fusion.AlignAndStack(target_grid=grid)({"s2": S2}).values
    own = UTM.pixels_at(grid.pixel_xy(np.arange(grid.size))).reshape(grid.shape)
    expected = np.where(own < 0, np.nan, S2.values.reshape(2, -1)[:, own])
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_coarser_pixels_are_means_and_finer_ones_are_interpolated() -> None:
    coarse = pw.Grid(UTM.crs, (30, 0, 330_000, 0, -30, 5_820_600), 20, 26)
    means = pw.fusion.AlignAndStack(target_grid=coarse)({"s2": S2}).values
    blocks = S2.values[:, :, :78].reshape(2, 20, 3, 26, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(means, blocks, rtol=1e-5)
    ramp = pw.Raster(np.arange(26.0)[None, None].repeat(20, axis=1), coarse)
    fine = pw.fusion.AlignAndStack(target_grid=UTM)({"ramp": ramp}).values[0]
    np.testing.assert_allclose(fine[30, 1:76], (np.arange(1, 76) - 1) / 3, rtol=1e-6)
    assert np.isnan(fine[:, 78:]).all()


def test_classes_are_never_mixed() -> None:
    codes = RANDOM.integers(1, 5, (1, 30, 40)).astype("uint8")
    grid = pw.Grid(UTM.crs, (20, 0, 330_000, 0, -20, 5_820_600), 30, 40)
    legend = pw.Raster(codes, grid, ("class",), (0,), attrs={"flag_values": [1, 2, 3, 4]})
    plain = pw.Raster(codes, grid, ("class",), (0,))
    exact = codes.repeat(2, axis=1).repeat(2, axis=2)
    stack = pw.fusion.AlignAndStack(target_grid="s2")
    assert np.array_equal(stack({"s2": S2, "map": legend}).values[2:], exact)
    assert not np.array_equal(stack({"s2": S2, "map": plain}).values[2:], exact)
    told = stack.set_params(resampling={"map": "nearest"})
    assert np.array_equal(told({"s2": S2, "map": plain}).values[2:], exact)
    assert np.array_equal(stack.set_params(resampling="nearest")({"s2": S2, "map": plain}).values[2:], exact)


def test_gaps_and_what_is_not_covered_are_nan() -> None:
    values = np.full((2, 30, 40), 7, "uint16")
    values[0, 4:8, 4:8] = 0
    grid = pw.Grid(UTM.crs, (10, 0, 330_200, 0, -10, 5_820_500), 30, 40)
    found = pw.fusion.AlignAndStack()({"s2": S2, "small": pw.Raster(values, grid, nodata=(0,))}).values[2:]
    assert np.isnan(found[:, :10]).all()
    assert np.isnan(found[0, 14:18, 24:28]).all()
    assert (found[1, 10:40, 20:60] == 7).all()
    assert found.dtype == np.float32
    apart = pw.fusion.AlignAndStack()({"s2": S2, "far": pw.Raster(values, grid.window(9000, 9000, 30, 40))}).values
    assert np.isnan(apart[2:]).all()


def test_a_resolution_makes_a_grid_that_covers_the_first_raster() -> None:
    found = pw.fusion.AlignAndStack(target_grid=25.0)(PAIR)
    assert tuple(found.grid.transform)[:6] == (25, 0, 330_000, 0, -25, 5_820_600)
    assert found.grid.shape == (24, 32)
    turned = pw.fusion.AlignAndStack(target_grid=40.0)({"sar": SAR, "s2": S2})
    left, _, right, top = turned.grid.bounds
    assert left <= SAR_GRID.bounds[0] <= left + 40
    assert right - 40 <= SAR_GRID.bounds[2] <= right
    assert (left % 40, top % 40) == (0, 0)
    assert turned.grid.crs == SAR_GRID.crs


def test_transformers_are_fitted_on_their_rasters() -> None:
    texture = pw.texture.LocalMean(3, append=False)
    fuse = pw.fusion.AlignAndStack([("s2", pw.PixelwiseTransformer(PCA(1))), ("sar", texture)], target_grid="s2")
    stacked = fuse.fit_transform(PAIR)
    assert stacked.names == ("s2_pca0", "sar_VV_mean3")
    assert fuse.transformers_[1][1] is not texture
    assert np.array_equal(fuse.transform(PAIR).values, stacked.values, equal_nan=True)
    assert fuse.get_feature_names_out().tolist() == ["s2_pca0", "sar_VV_mean3"]
    assert not hasattr(fuse.transformers[0][1], "estimator_")


def test_stateless_transformers_need_no_fit() -> None:
    fuse = pw.fusion.AlignAndStack([("s2", "passthrough"), ("sar", pw.Sequential([pw.texture.LocalMean(3)]))])
    assert fuse(PAIR).names == ("s2_B04", "s2_B08", "sar_VV", "sar_VV_mean3")
    given = fuse.get_feature_names_out({"s2": ["a"], "sar": ["b"]})
    assert given.tolist() == ["s2_a", "sar_b", "sar_b_mean3"]


def test_it_is_a_scikit_learn_estimator() -> None:
    fuse = pw.fusion.AlignAndStack([("s2", "passthrough"), ("sar", pw.texture.LocalMean(3))], target_grid="s2")
    assert fuse.get_params()["sar__window"] == 3
    assert fuse.halo == 2
    other = clone(fuse).set_params(sar__window=9, s2=pw.texture.LocalStd(), target_grid="sar", resampling="nearest")
    assert (other.get_params()["sar"].window, fuse.get_params()["sar__window"]) == (9, 3)
    assert other.halo == 4
    assert other.set_params(resampling={"sar": "cubic"}).halo == 6
    assert "sar__window" not in fuse.get_params(deep=False)
    assert clone(pw.fusion.AlignAndStack()).get_params()["transformers"] is None
    assert pw.fusion.AlignAndStack().set_params(target_grid=1).target_grid == 1
    again = pickle.loads(pickle.dumps(fuse.fit(PAIR)))
    assert np.array_equal(again.transform(PAIR).values, fuse.transform(PAIR).values, equal_nan=True)
    assert "LocalMean" in repr(fuse)


def test_it_is_a_step_of_a_pipeline_whether_it_needs_a_fit_or_not() -> None:
    stateless = pw.Sequential([clone(NAMED), pw.texture.LocalMean(3, bands=["sar_VV"])])
    assert stateless(PAIR).names[-1] == "sar_VV_mean3"
    assert stateless.fit(PAIR).transform(PAIR).names[-1] == "sar_VV_mean3"
    learner = pw.fusion.AlignAndStack([("s2", pw.PixelwiseTransformer(PCA(1)))])
    assert get_tags(learner).requires_fit
    assert not get_tags(NAMED).requires_fit
    check_is_fitted(NAMED)
    with pytest.raises(NotFittedError):
        check_is_fitted(learner)
    check_is_fitted(learner.fit({"s2": S2}))


def test_rasters_in_a_row_are_numbered() -> None:
    assert pw.fusion.AlignAndStack(target_grid=-1)(S2, SAR).names == ("raster_1_B04", "raster_1_B08", "raster_2_VV")
    assert pw.fusion.AlignAndStack(target_grid=1)(S2, SAR).grid == SAR_GRID
    named = pw.fusion.AlignAndStack([("a", "passthrough"), ("b", "passthrough")])
    assert named(S2, SAR).names == ("a_B04", "a_B08", "b_VV")
    with pytest.raises(BandError, match="1 rasters for the transformers 'a', 'b': give one for each"):
        named(S2)


def test_in_a_graph_rasters_have_the_names_of_their_inputs() -> None:
    optical, sar = pw.Input("optical"), pw.Input("sar")
    mean = pw.texture.LocalMean(3, append=False)
    node = pw.fusion.AlignAndStack(target_grid="optical")(optical, mean(sar))
    graph = pw.Graph(inputs={"optical": optical, "sar": sar}, outputs={"features": node})
    found = graph({"optical": S2, "sar": SAR})
    assert found.names == ("optical_B04", "optical_B08", "sar_VV_mean3")
    assert graph.halo == 2
    assert "AlignAndStack" in repr(node)
    both = pw.fusion.AlignAndStack()(optical, mean(optical), node)
    assert pw.Graph({"optical": optical, "sar": sar}, {"all": both})({"optical": S2, "sar": SAR}).names == (
        "optical_B04", "optical_B08", "raster_2_B04_mean3", "raster_2_B08_mean3",
        "raster_3_optical_B04", "raster_3_optical_B08", "raster_3_sar_VV_mean3",
    )  # fmt: skip


def test_the_type_of_the_target_comes_out(scene: Path) -> None:
    array = as_array(S2)
    found = pw.fusion.AlignAndStack(target_grid="s2")({"sar": SAR, "s2": array})
    assert isinstance(found, xr.DataArray)
    assert found.band.values.tolist() == ["sar_VV", "s2_B04", "s2_B08"]
    assert np.array_equal(found.x, array.x)
    assert found.rio.crs == UTM.crs
    assert isinstance(pw.fusion.AlignAndStack(target_grid="sar")({"sar": SAR, "s2": array}), pw.Raster)
    path = pw.fusion.AlignAndStack()({"scene": scene, "s2": array})
    assert path.shape == (6, 60, 80)
    bare = np.ones((2, 3, 4), "uint8")
    both = pw.fusion.AlignAndStack()(bare, bare[:1])
    assert isinstance(both, np.ndarray)
    assert both.shape == (3, 3, 4)


def test_a_lazy_raster_stays_lazy_and_is_the_same() -> None:
    big = pw.Grid(UTM.crs, (2, 0, 329_000, 0, -2, 5_820_700), 1100, 1300)
    stack = pw.fusion.AlignAndStack(target_grid=big, resampling={"sar": "cubic"})
    eager = stack({"s2": as_array(S2), "sar": as_array(SAR)})
    sar = xr.DataArray(SAR.values, dims=("band", "y", "x"), coords={"band": ["VV"]}).rio.write_crs(SAR_GRID.crs)
    lazy = stack({"s2": as_array(S2), "sar": sar.rio.write_transform(SAR_GRID.transform).chunk({"y": 64, "x": 90})})
    assert lazy.chunks is not None
    assert np.array_equal(lazy.values, eager.values, equal_nan=True)
    own = pw.fusion.AlignAndStack()({"s2": as_array(S2).chunk({"y": 20})})
    assert own.chunks is not None
    assert np.array_equal(own.values, S2.values)
    far = pw.fusion.AlignAndStack(target_grid=UTM.window(5000, 0, 5, 5))({"s2": as_array(S2).chunk()})
    assert np.isnan(far.values).all()


def test_dates_are_kept_and_what_has_none_is_repeated() -> None:
    times = (np.datetime64("2024-01-01"), np.datetime64("2024-02-01"))
    series = pw.Raster(np.stack([SAR.values, 2 * SAR.values], axis=1), SAR_GRID, ("VV",), times=times)
    found = pw.fusion.AlignAndStack()({"s2": S2, "sar": series})
    assert (found.values.shape, found.times) == ((3, 2, 60, 80), times)
    assert np.array_equal(found.values[0, 0], found.values[0, 1])
    np.testing.assert_allclose(found.values[2, 1], 2 * found.values[2, 0])
    other = pw.Raster(series.values, SAR_GRID, ("VV",), times=times[::-1])
    undated = pw.fusion.AlignAndStack()({"s2": S2, "sar": pw.Raster(series.values, SAR_GRID)})
    assert (undated.values.shape, undated.times) == ((3, 2, 60, 80), None)
    lazy = pw.Raster(dask.from_array(series.values), SAR_GRID, ("VV",), times=times)
    assert np.array_equal(pw.fusion.AlignAndStack()({"s2": S2, "sar": lazy}).values.compute(), found.values)
    with pytest.raises(GridError, match="rasters 'a' and 'b' have other dates"):
        pw.fusion.AlignAndStack()({"a": series, "b": other})


def test_sentinel_2_of_three_resolutions_becomes_one(sentinel: dict[str, Path]) -> None:
    inputs: dict[str, Any] = {"fine": sentinel["B04"], "mid": sentinel["B05"], "coarse": sentinel["B01"]}
    found = pw.fusion.AlignAndStack(target_grid="fine", resampling={"mid": "nearest"})(inputs)
    with (
        rasterio.open(sentinel["B04"]) as fine,
        rasterio.open(sentinel["B05"]) as mid,
        rasterio.open(sentinel["B01"]) as coarse,
    ):
        assert np.array_equal(found[0], fine.read(1))
        assert np.array_equal(found[1], mid.read(1).repeat(2, axis=0).repeat(2, axis=1))
        rough = coarse.read(1).astype(float)
    at = [(np.arange(length) + 0.5) / 6 - 0.5 for length in found.shape[1:]]
    expected = map_coordinates(rough, np.meshgrid(*at, indexing="ij"), order=1, mode="nearest")
    np.testing.assert_allclose(found[2], expected, rtol=1e-4)
    assert found.dtype == np.float32
    down = pw.fusion.AlignAndStack(target_grid="coarse")(inputs)
    means = found[0].values[:768].reshape(128, 6, 256, 6).mean(axis=(1, 3))
    np.testing.assert_allclose(down[0], means, rtol=1e-4)


def test_a_model_learns_from_the_stack_and_maps_it(raster: xr.DataArray, polygons: Path) -> None:
    grid = pw.Grid(raster.rio.crs, Affine(20, 0, *raster.rio.transform()[2:4], -20, raster.rio.transform().f), 30, 40)
    coarse = pw.rewrap(pw.Raster(RANDOM.random((1, 30, 40)), grid, ("VV",)), like=raster)
    fuse = pw.fusion.AlignAndStack([("s2", "passthrough"), ("sar", "passthrough")], target_grid="s2")
    stacked = fuse.fit_transform({"s2": raster, "sar": coarse})
    X, y = pw.extract_pixels(stacked, polygons, column="class")
    model = pw.PixelwiseClassifier(RandomForestClassifier(5, random_state=0)).fit(X, y)
    assert model.feature_names_in_.tolist() == [*(f"s2_{band}" for band in raster.band.values), "sar_VV"]
    assert model.predict(fuse.transform({"sar": coarse, "s2": raster})).shape == (60, 80)


def test_names_without_their_raster_must_differ() -> None:
    stack = pw.fusion.AlignAndStack(verbose_feature_names_out=False)
    assert stack(PAIR).names == ("B04", "B08", "VV")
    with pytest.raises(BandError, match="two bands would be named 'B04'"):
        stack(S2, S2)


@pytest.mark.parametrize(
    ("stack", "rasters", "error", "message"),
    [
        (NAMED, {"s2": S2}, BandError, "the mapping of rasters lacks 'sar': give 's2', 'sar'"),
        (NAMED, {**PAIR, "dem": S2}, BandError, "has 'dem', for which there is no transformer"),
        (NAMED, S2, BandError, "X is Raster and no mapping of rasters"),
        (NAMED, {}, BandError, "X is dict and no mapping of rasters"),
        (clone(NAMED).set_params(sar="drop"), PAIR, BandError, "transformer 'sar' is 'drop': give one with transform"),
        (clone(NAMED).set_params(target_grid="dem"), PAIR, GridError, "target_grid='dem' is none of the rasters 's2', 'sar'"),
        (clone(NAMED).set_params(target_grid=2), PAIR, GridError, "target_grid=2 is none of the rasters"),
        (clone(NAMED).set_params(target_grid=-5.0), PAIR, GridError, "target_grid=-5.0 is none of the rasters"),
        (
            clone(NAMED).set_params(resampling="best"),
            PAIR,
            GridError,
            "resampling='best' is not known: choose 'auto' or one of",
        ),
        (clone(NAMED), {"s2": S2, "sar": np.ones((1, 2, 2))}, CRSError, "a raster with CRS none cannot be aligned"),
        (
            pw.fusion.AlignAndStack(target_grid=20.0),
            {"a": np.ones((1, 2, 2))},
            CRSError,
            "needs to know where the first raster",
        ),
    ],
)
def test_what_cannot_be_is_told(stack: Any, rasters: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        stack.transform(rasters)
    assert resampling_named(Resampling.cubic) is Resampling.cubic


def test_names_are_not_known_before_fit() -> None:
    with pytest.raises(BandError, match="names of bands are not known yet: call fit"):
        NAMED.get_feature_names_out()
    with pytest.raises(ValueError, match="not unique"):
        pw.fusion.AlignAndStack([("a", "passthrough"), ("a", "passthrough")])({"a": S2})
