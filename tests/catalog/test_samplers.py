from __future__ import annotations

import itertools

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from scipy import stats
from sklearn.base import clone

import pixelwise as pw
from pixelwise.errors import CatalogError, LabelError

GridSampler, RandomSampler = pw.sampling.GridSampler, pw.sampling.RandomSampler


def places(chips: pw.sampling.GeoSlices) -> list[tuple[str, object]]:
    return [(chip.scene.id, chip.window) for chip in chips]


def covered(catalog: pw.GeoCatalog, chips: pw.sampling.GeoSlices) -> list[np.ndarray]:
    """Return how many chips each pixel is in, counted by loops."""
    counts = [np.zeros(scene.grid.shape, int) for scene in catalog]
    for number, (row, col, height, width) in zip(chips.scene, chips.windows, strict=True):
        counts[number][row : row + height, col : col + width] += 1
    return counts


@pytest.mark.parametrize("size", [(64, 64), (50, 70), (1000, 33), 7])
def test_a_grid_without_stride_covers_each_pixel_once(catalog: pw.GeoCatalog, size) -> None:
    assert all((count == 1).all() for count in covered(catalog, GridSampler(size)(catalog)))


@pytest.mark.parametrize("edge", ["cut", "shift"])
def test_an_overlapping_grid_covers_each_pixel(catalog: pw.GeoCatalog, edge: str) -> None:
    counts = covered(catalog, GridSampler((64, 64), stride=(48, 40), edge=edge)(catalog))
    assert all((count >= 1).all() for count in counts)


def test_shifted_chips_are_whole_and_dropped_ones_are_left_out(catalog: pw.GeoCatalog) -> None:
    for edge in ("shift", "drop"):
        chips = GridSampler((64, 64), edge=edge)(catalog)
        assert (chips.windows[:, 2:] == 64).all()
    assert all(count.max() == 1 for count in covered(catalog, chips))
    with pytest.raises(CatalogError, match="no scene holds a whole chip"):
        GridSampler((6400, 64), edge="drop")(catalog)


def test_strides_may_leave_gaps() -> None:
    grid = pw.Grid(None, (1, 0, 0, 0, 1, 0), 10, 21)
    assert GridSampler((10, 3), stride=(10, 9)).windows(grid)[:, 1].tolist() == [0, 9, 18]


def test_random_chips_lie_in_their_scene_and_are_whole(catalog: pw.GeoCatalog) -> None:
    chips = RandomSampler((90, 80), length=500, random_state=0)(catalog)
    shapes = catalog.frame[["height", "width"]].to_numpy()[chips.scene]
    assert (chips.windows[:, 2:] == (90, 80)).all()
    assert (chips.windows[:, :2] >= 0).all()
    assert (chips.windows[:, :2] + chips.windows[:, 2:] <= shapes).all()


def test_a_scene_smaller_than_a_chip_is_the_chip(catalog: pw.GeoCatalog) -> None:
    chips = RandomSampler((500, 80), length=50, random_state=0)(catalog)
    shapes = catalog.frame[["height", "width"]].to_numpy()[chips.scene]
    np.testing.assert_array_equal(chips.windows[:, 2], shapes[:, 0])
    assert (chips.windows[:, 0] == 0).all()


def test_scenes_are_drawn_in_proportion_to_their_pixels_and_places_evenly(catalog: pw.GeoCatalog) -> None:
    pixels = catalog.frame["height"] * catalog.frame["width"]
    shares, firsts = np.zeros(len(catalog)), []
    for seed in range(500):
        chips = RandomSampler((50, 50), length=20, random_state=seed)(catalog)
        shares += np.bincount(chips.scene, minlength=len(catalog))
        firsts.append(chips.windows[chips.scene == 0, 1])
    assert stats.chisquare(shares, pixels / pixels.sum() * shares.sum()).pvalue > 0.01
    counts = np.bincount(np.concatenate(firsts), minlength=191)
    assert len(counts) == 191
    assert stats.chisquare(counts).pvalue > 0.01


def test_a_draw_depends_on_its_seed_alone(catalog: pw.GeoCatalog) -> None:
    sampler = RandomSampler((50, 50), length=30, random_state=3)
    first = places(sampler(catalog))
    assert places(sampler(catalog)) == first
    assert places(clone(sampler)(catalog)) == first
    assert places(sampler(catalog.take([3, 1, 0, 5, 4, 2]))) == first
    assert places(RandomSampler((50, 50), length=90, random_state=3)(catalog))[:30] == first
    assert places(RandomSampler((50, 50), length=30, random_state=4)(catalog)) != first


@pytest.mark.parametrize("size", [(64, 64), (32, 48), (100, 130)])
def test_snapped_chips_need_as_few_blocks_as_can_be_and_reach_every_pixel(catalog: pw.GeoCatalog, size) -> None:
    chips = RandomSampler(size, length=4000, random_state=0, snap=True)(catalog.take([0, 1]))
    assert all((count >= 1).all() for count in covered(catalog.take([0, 1]), chips))
    first, last = chips.windows[:, :2], chips.windows[:, :2] + chips.windows[:, 2:] - 1
    blocks = (last // 64 - first // 64 + 1).prod(axis=1)
    needed = np.ceil(np.array(size) / 64).prod()
    # Those shifted in at the right and lower edge may need one more each way.
    assert (blocks <= needed).mean() > 0.4
    loose = RandomSampler(size, length=4000, random_state=0)(catalog.take([0, 1])).windows
    assert blocks.mean() < ((loose[:, :2] + size - 1) // 64 - loose[:, :2] // 64 + 1).prod(axis=1).mean()


def test_snapping_to_strips_does_not_leave_columns_out(catalog: pw.GeoCatalog) -> None:
    frame = catalog.frame.iloc[[0]].copy()
    frame["block_shape"] = [(1, 240)]
    strips = pw.GeoCatalog(frame)
    (count,) = covered(strips, RandomSampler((20, 30), length=3000, random_state=0, snap=True)(strips))
    assert count.any(axis=0).all()


def test_blocks_of_a_scene_come_together_whatever_the_order(catalog: pw.GeoCatalog) -> None:
    chips = RandomSampler((20, 20), length=300, random_state=0)(catalog)
    ordered = pw.sampling.by_block(chips)
    assert sorted(map(str, places(ordered))) == sorted(map(str, places(chips)))
    assert places(pw.sampling.by_block(chips[np.random.default_rng(0).permutation(300)])) == places(ordered)
    visited = [(chip.scene.id, chip.window.row_off // 64, chip.window.col_off // 64) for chip in ordered]
    changes = sum(now != before for before, now in itertools.pairwise(visited))
    assert changes == len(set(visited)) - 1


def test_chips_are_a_sequence_that_can_be_cut(catalog: pw.GeoCatalog) -> None:
    chips = GridSampler(100)(catalog)
    assert len(chips[2:5]) == 3
    assert chips[chips.scene == 1][0].scene.id == "S2_b_20170212"
    assert chips[-1] == list(chips)[-1]
    with pytest.raises(IndexError):
        chips[len(chips)]
    assert repr(chips[:1]) == "GeoSlices(1 chip of 1 scene)"


def test_empty_catalogs_and_bad_sizes_are_errors(catalog: pw.GeoCatalog) -> None:
    with pytest.raises(CatalogError, match="the catalog is empty"):
        RandomSampler(64, length=3)(catalog.filter(tile="none"))
    with pytest.raises(TypeError, match="takes a GeoCatalog and not list"):
        GridSampler(64)(list(catalog))
    for size in (0, (64,), 2.5, "64"):
        with pytest.raises(CatalogError, match=r"chip_size=.* is no size"):
            GridSampler(size)(catalog)
    for length in (0, -1, 2.0, True):
        with pytest.raises(CatalogError, match=r"length=.* is no number of chips"):
            RandomSampler(8, length)(catalog)
    with pytest.raises(CatalogError, match="edge='pad' is not known"):
        GridSampler(64, edge="pad")(catalog)


def test_patches_of_a_raster_lie_where_the_windows_of_the_scene_do(catalog: pw.GeoCatalog) -> None:
    whole = catalog[0].load()
    for patch, chip in zip(pw.sampling.patches(whole, 64, stride=48), GridSampler(64, 48)(catalog.take([0])), strict=True):
        np.testing.assert_array_equal(patch, chip.load())
        assert not pw.unwrap(patch).grid.differs_from(chip.grid)
        assert patch.attrs["id"] == chip.metadata["id"]


def test_patches_of_arrays_and_lazy_rasters_keep_their_type(catalog: pw.GeoCatalog) -> None:
    whole = catalog[0].load()
    assert [patch.shape for patch in pw.sampling.patches(whole.values, 150)] == [
        (3, 150, 150),
        (3, 150, 90),
        (3, 50, 150),
        (3, 50, 90),
    ]
    assert all(patch.chunks is not None for patch in pw.sampling.patches(whole.chunk({"x": 64}), 150))


def test_features_at_the_curved_edges_of_a_scene_have_their_chips(write) -> None:
    path = write(np.ones((1, 200, 200), "uint8"), crs="EPSG:3035", transform=rasterio.Affine(2e4, 0, 2321000, 0, -2e4, 5800000))
    catalog = pw.open_catalog(path)
    edge = np.concatenate([np.arange(200), np.arange(200) * 200, np.arange(200) * 200 + 199])
    points = gpd.GeoDataFrame(geometry=gpd.points_from_xy(*catalog[0].grid.pixel_xy(edge).T), crs="EPSG:3035")
    assert len(pw.sampling.PointSampler((1, 1), points)(catalog)) == len(edge)


def test_a_polygon_that_crosses_itself_has_its_chips(catalog: pw.GeoCatalog) -> None:
    grid = catalog[0].grid
    bow = shapely.Polygon(grid.pixel_xy(np.array([0, 40 * 240 + 40, 40, 40 * 240])))
    frame = gpd.GeoDataFrame(geometry=[bow], crs=grid.crs.to_wkt())
    assert len(pw.sampling.PointSampler((64, 64), frame)(catalog.take([0]))) == 1


def test_samplers_tell_wrong_lengths_labels_and_features(catalog: pw.GeoCatalog) -> None:
    for length in (0, -3, "all"):
        with pytest.raises(CatalogError, match=r"length=.* is no number of chips"):
            pw.sampling.RandomSampler(8, length=length)(catalog)
    with pytest.raises(CatalogError, match="length=0 is no number of chips"):
        pw.sampling.StratifiedSampler(8, length=0, label=pw.ReadLabel())(catalog)
    with pytest.raises(TypeError, match=r"label=Sequential.* reads no labels: give a ReadLabel"):
        pw.sampling.StratifiedSampler(8, length=2, label=pw.Sequential([pw.ReadLabel()]))(catalog)
    with pytest.raises(LabelError, match=r"features none\.gpkg cannot be read as a vector file"):
        pw.sampling.PointSampler(8, "none.gpkg")(catalog)
