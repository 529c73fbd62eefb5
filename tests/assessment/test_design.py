"""design_sample: how many, where, and that the way back through estimate_accuracy works."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st

import pixelwise as pw
from pixelwise.assessment.allocation import allocate
from pixelwise.errors import LabelError, RasterWriteError

TRANSFORM = rasterio.Affine(10, 0, 330_000, 0, -10, 5_822_000)
ATTRS = {"flag_values": [1, 2, 3], "flag_meanings": "forest water road"}


def raster_of(codes: np.ndarray, crs: object = 32633, transform=TRANSFORM) -> pw.Raster:
    return pw.Raster(codes, pw.Grid(crs, transform, *codes.shape), nodata=(255,), attrs=ATTRS)


@pytest.fixture
def mapped() -> pw.Raster:
    """100 x 200 pixels: 60% forest, 36% water, 2% road and 2% nodata, mixed."""
    rng = np.random.default_rng(0)
    codes = np.repeat(np.array([1, 2, 3, 255], "uint8"), [12_000, 7_200, 400, 400])
    rng.shuffle(codes)
    return raster_of(np.stack(np.split(codes, 100)))


def counts(sample: gpd.GeoDataFrame) -> dict[str, int]:
    return sample["class"].value_counts().to_dict()


# ---- how many ----


def test_the_target_standard_error_gives_the_published_size() -> None:
    # Olofsson et al. (2014), section 5.1.1, on a map of 1000 x 1000 pixels.
    shares = [0.020, 0.015, 0.320, 0.645]
    codes = np.stack(np.split(np.repeat(np.arange(1, 5, dtype="uint8"), (np.array(shares) * 1e6).round().astype(int)), 1000))
    users = {1: 0.7, 2: 0.6, 3: 0.9, 4: 0.95}
    sample = pw.design_sample(codes, target_se=0.01, expected_users=users, random_state=0)
    assert len(sample) == 641
    assert counts(sample) == {1: 13, 2: 10, 3: 205, 4: 413}
    best = pw.design_sample(codes, target_se=0.01, expected_users=users, allocation="neyman", random_state=0)
    assert best.attrs["expected_se"] == pytest.approx(0.01, abs=5e-5)


def test_samples_are_dealt_by_area(mapped) -> None:
    assert counts(pw.design_sample(mapped, n=490, random_state=0)) == {"forest": 300, "water": 180, "road": 10}


def test_samples_are_dealt_equally(mapped) -> None:
    assert counts(pw.design_sample(mapped, n=100, allocation="equal", random_state=0)) == {
        "forest": 34,
        "water": 33,
        "road": 33,
    }


def test_samples_are_dealt_by_expected_spread(mapped) -> None:
    users = {"forest": 0.99, "water": 0.5, "road": 0.5}
    made = counts(pw.design_sample(mapped, n=200, allocation="neyman", expected_users=users, random_state=0))
    weight = np.array([12_000 * np.sqrt(0.99 * 0.01), 7_200 * 0.5, 400 * 0.5])
    assert [made["forest"], made["water"], made["road"]] == pytest.approx(200 * weight / weight.sum(), abs=1)


def test_samples_may_be_given(mapped) -> None:
    made = pw.design_sample(mapped, allocation={"forest": 5, "water": 6, "road": 7}, random_state=0)
    assert counts(made) == {"forest": 5, "water": 6, "road": 7}


def test_rare_classes_get_their_minimum_out_of_n_or_on_top_of_the_target(mapped) -> None:
    made = counts(pw.design_sample(mapped, n=490, min_per_class=50, random_state=0))
    assert made == {"forest": 275, "water": 165, "road": 50}
    plain = pw.design_sample(mapped, target_se=0.02, random_state=0)
    more = pw.design_sample(mapped, target_se=0.02, min_per_class=50, random_state=0)
    assert len(more) == len(plain) + 50 - counts(plain)["road"]
    assert more.attrs["expected_se"] <= 0.02


@given(
    st.lists(st.integers(1, 10_000), min_size=1, max_size=8),
    st.integers(0, 30),
    st.floats(0, 1),
    st.sampled_from(["proportional", "equal", "neyman"]),
)
def test_dealt_samples_add_up_and_fit_their_classes(pixels, least, where, allocation) -> None:
    pixels = np.array(pixels)
    low = np.minimum(least, pixels)
    n = int(max(1, low.sum()) + where * (pixels.sum() - max(1, low.sum())))
    dealt = allocate(allocation, n, range(len(pixels)), pixels, np.full(len(pixels), 0.8), pixels / pixels.sum(), least)
    assert dealt.sum() == n
    assert (dealt >= low).all()
    assert (dealt <= pixels).all()


# ---- where ----


def test_points_are_centres_of_different_pixels_of_their_class(mapped) -> None:
    sample = pw.design_sample(mapped, n=1000, random_state=0)
    pixels = mapped.grid.pixels_at(np.column_stack([sample.geometry.x, sample.geometry.y]))
    assert np.allclose(mapped.grid.pixel_xy(pixels), np.column_stack([sample.geometry.x, sample.geometry.y]))
    assert len(np.unique(pixels)) == 1000
    names = np.array(["", "forest", "water", "road"])
    assert (names[mapped.values.ravel()[pixels]] == sample["class"]).all()
    assert sample.crs == "EPSG:32633"


def test_the_columns_tell_the_design(mapped) -> None:
    sample = pw.design_sample(mapped, n=490, random_state=0)
    assert [*sample.columns] == [
        "id", "class", "stratum", "stratum_pixels", "stratum_hectares", "stratum_share", "inclusion_probability", "reference",
        "geometry",
    ]  # fmt: skip
    road = sample[sample["class"] == "road"].iloc[0]
    assert (road["stratum_pixels"], road["inclusion_probability"]) == (400, 10 / 400)
    assert road["stratum_hectares"] == pytest.approx(4)
    assert (1 / sample["inclusion_probability"]).sum() == pytest.approx(19_600)
    assert sample["reference"].isna().all()
    assert sample["id"].tolist() == list(range(1, 491))


def test_the_order_is_random(mapped) -> None:
    first = pw.design_sample(mapped, n=490, random_state=0)["class"].iloc[:245]
    assert (first == "forest").sum() == pytest.approx(150, abs=25)


def test_the_same_seed_draws_the_same_places_from_whatever_holds_the_map(mapped, tmp_path: Path) -> None:
    first = pw.design_sample(mapped, n=50, random_state=3)
    assert first.geometry.equals(pw.design_sample(mapped, n=50, random_state=3).geometry)
    assert not first.geometry.equals(pw.design_sample(mapped, n=50, random_state=4).geometry)
    path = pw.write_raster(mapped, tmp_path / "map.tif")
    assert first.geometry.geom_equals(pw.design_sample(path, n=50, random_state=3).geometry).all()
    lazy = pw.open_raster(path).chunk({"y": 7, "x": 50})
    assert first.geometry.geom_equals(pw.design_sample(lazy, n=50, random_state=3).geometry).all()


def test_every_pixel_of_a_class_is_as_likely() -> None:
    codes = np.ones((4, 5), "uint8")
    drawn = np.zeros(20)
    for seed in range(600):
        sample = pw.design_sample(raster_of(codes), n=5, random_state=seed)
        drawn[raster_of(codes).grid.pixels_at(np.column_stack([sample.geometry.x, sample.geometry.y]))] += 1
    assert drawn == pytest.approx(np.full(20, 150), abs=45)


@pytest.mark.parametrize("n", [2, 6])
def test_on_a_geographic_crs_places_are_drawn_by_area(n: int) -> None:
    # Rows of 15 degrees from the equator to 75 degrees north, of 10 pixels each.
    grid = pw.Grid(4326, rasterio.Affine(15, 0, 0, 0, -15, 75), 5, 10)
    codes = np.ones((5, 10), "uint8") if n == 2 else np.eye(5, 10, dtype="uint8") + np.eye(5, 10, k=5, dtype="uint8")
    codes = np.where(codes == 1, 1, 255).astype("uint8")
    world = pw.Raster(codes, grid, nodata=(255,))
    drawn = np.zeros(5)
    for seed in range(800):
        sample = pw.design_sample(world, n=n, random_state=seed)
        assert len(sample.geometry.drop_duplicates()) == n
        np.add.at(drawn, ((75 - sample.geometry.y) // 15).astype(int), 1)
    edges = np.sin(np.radians([75, 60, 45, 30, 15, 0]))
    expected = -np.diff(edges) / edges[0]
    if n == 2:
        assert drawn / drawn.sum() == pytest.approx(expected, abs=0.03)
    else:
        # Six of ten pixels without replacement: the larger the more often, each at most once.
        assert (np.diff(drawn) > 0).all()
    assert (sample["inclusion_probability"] <= 1).all()


def test_all_pixels_of_a_small_class_may_be_taken() -> None:
    codes = np.ones((10, 10), "uint8")
    codes[0, :3] = 2
    sample = pw.design_sample(raster_of(codes), n=60, allocation="equal", random_state=0)
    assert counts(sample) == {"forest": 57, "water": 3}


def test_without_a_crs_there_are_no_hectares(tmp_path: Path) -> None:
    path = tmp_path / "sample.gpkg"
    sample = pw.design_sample(np.ones((9, 9), "uint8"), n=5, random_state=0, path=path)
    assert sample.crs is None
    assert sample["stratum_hectares"].isna().all()
    assert counts(sample) == {1: 5}
    made = pw.estimate_accuracy(
        np.ones((9, 9), "uint8"), gpd.read_file(path).assign(reference=1).set_crs(None, allow_override=True),
        column="reference", strata="stratum",
    )  # fmt: skip
    assert (made.unit, made.areas.estimate.tolist()) == ("pixels", [81])


# ---- there and back ----


def test_what_it_writes_is_what_estimate_accuracy_reads(mapped, tmp_path: Path) -> None:
    path = pw.write_raster(mapped, tmp_path / "map.tif")
    drawn = pw.design_sample(path, n=300, min_per_class=40, random_state=0, path=tmp_path / "sample.gpkg")
    assert sorted(each.name for each in tmp_path.glob("*sample*")) == ["sample.gpkg"]
    read = gpd.read_file(tmp_path / "sample.gpkg")
    assert [*read.columns] == [*drawn.columns]
    assert read["reference"].isna().all()
    with pytest.raises(LabelError, match="labels in column 'reference' are missing for 300 of 300 samples"):
        pw.estimate_accuracy(path, tmp_path / "sample.gpkg", column="reference", strata="stratum")
    read["reference"] = read["class"].where(read["id"] % 10 != 0, "forest")
    read.to_file(tmp_path / "done.gpkg")
    made = pw.estimate_accuracy(path, tmp_path / "done.gpkg", column="reference", strata="stratum")
    plain = pw.estimate_accuracy(path, tmp_path / "done.gpkg", column="reference")
    assert (made.method, made.unit) == ("Stehman 2014", "ha")
    assert made.strata["size"].to_dict() == {"forest": 12_000, "road": 400, "water": 7_200}
    assert made.overall.estimate == pytest.approx(plain.overall.estimate)
    assert made.overall.se < plain.overall.se
    assert made.areas.estimate.sum() == pytest.approx(196)


def test_points_of_a_whole_stratum_that_were_lost_are_missed(mapped) -> None:
    sample = pw.design_sample(mapped, n=300, min_per_class=40, random_state=0)
    sample["reference"] = sample["class"]
    with pytest.raises(LabelError, match=r"strata of the points make up 97.96% of the map: points of a stratum are missing"):
        pw.estimate_accuracy(mapped, sample[sample["class"] != "road"], column="reference", strata="stratum")


def test_the_interval_holds_the_truth_about_as_often_as_it_says(sentinel) -> None:
    """On real pixels: the map says vegetation by a threshold, and the truth is another threshold."""
    scene = pw.open_raster({"red": sentinel["B04"], "nir": sentinel["B08"]})[:, :200, :300].astype("float32")
    ndvi = ((scene[1] - scene[0]) / (scene[1] + scene[0])).values
    grid = pw.unwrap(scene).grid
    mapped, truth = (np.digitize(ndvi + shift, [0.15, 0.35]).astype("uint8") for shift in (0.0, 0.03))
    right, area = (mapped == truth).mean(), (truth == 2).sum() / 100
    inside = np.zeros(2)
    for seed in range(60):
        sample = pw.design_sample(pw.Raster(mapped, grid), n=300, random_state=seed)
        sample["reference"] = truth.ravel()[grid.pixels_at(np.column_stack([sample.geometry.x, sample.geometry.y]))]
        made = pw.estimate_accuracy(pw.Raster(mapped, grid), sample, column="reference", strata="stratum")
        ends = made.overall.interval(), made.areas[2].interval()
        inside += [low <= value <= high for (low, high), value in zip(ends, (right, area), strict=True)]
    assert (inside / 60 > 0.85).all()


# ---- never lose work ----


def test_an_existing_file_is_left_alone(mapped, tmp_path: Path) -> None:
    path = tmp_path / "sample.gpkg"
    pw.design_sample(mapped, n=10, random_state=0, path=path)
    before = path.read_bytes()
    with pytest.raises(
        FileExistsError, match="exists, and may have been interpreted: give another name, or pass overwrite=True"
    ):
        pw.design_sample(mapped, n=20, random_state=0, path=path)
    assert path.read_bytes() == before
    pw.design_sample(mapped, n=20, random_state=0, path=path, overwrite=True)
    assert len(gpd.read_file(path)) == 20


def test_places_that_cannot_be_written(mapped, tmp_path: Path) -> None:
    with pytest.raises(RasterWriteError, match=r"has \.shp, and samples are written as GeoPackage: name it sample.gpkg"):
        pw.design_sample(mapped, n=10, path=tmp_path / "sample.shp")
    with pytest.raises(FileNotFoundError, match=r"folder .*nowhere of sample.gpkg is missing: make it first"):
        pw.design_sample(mapped, n=10, path=tmp_path / "nowhere" / "sample.gpkg")
    (tmp_path / "taken.gpkg").mkdir()
    with pytest.raises(RasterWriteError, match="cannot be written"):
        pw.design_sample(mapped, n=10, path=tmp_path / "taken.gpkg", overwrite=True)


# ---- what cannot be right ----

BAD = [
    ({}, "give one of n=, the number of samples, and target_se="),
    ({"n": 10, "target_se": 0.1}, "give one of n="),
    ({"n": 0}, "n=0 is no number of samples"),
    ({"n": 2.5}, "n=2.5 is no number of samples"),
    ({"n": 5}, "n=5 is too few for 2 samples in each of 3 classes: take 6, or lower min_per_class"),
    ({"n": 20_000}, "n=20,000 samples of 19,600 pixels: take fewer"),
    ({"target_se": 1}, "target_se=1 is no standard error of an accuracy"),
    ({"n": 10, "min_per_class": 0}, "min_per_class=0 leaves classes without a sample"),
    ({"n": 10, "allocation": "fair"}, "allocation='fair' is not known: choose one of 'proportional'"),
    ({"n": 10, "allocation": {"forest": 1}}, "allocation gives the samples of each class: leave n and target_se out"),
    ({"allocation": {"forest": 1, "water": 1}}, "allocation has no number for 'road'"),
    ({"allocation": {"forest": 1, "water": 1, "road": 401}}, "allocation gives class 'road' 401 samples of its 400 pixels"),
    ({"n": 10, "expected_users": 1.0}, "expected_users=1 is not possible: choose accuracies between 0 and 1"),
    ({"n": 10, "expected_users": {"forest": 0.5}}, "expected_users has no number for 'water'"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_input_says_what_and_what_to_do(mapped, arguments, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        pw.design_sample(mapped, **arguments)
    assert "\n" not in str(caught.value)
