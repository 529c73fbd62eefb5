"""From file to file: the same map as of the whole raster, whatever the chips, or one clear error and no file."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.env
import rasterio.shutil
import sklearn
import xarray as xr
from rasterio.io import MemoryFile
from scipy.ndimage import maximum_filter
from sklearn.base import ClassifierMixin
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import pixelwise as pw
from pixelwise.errors import BandError, MemoryBudgetError, MissingDataWarning, RasterReadError, RasterWriteError
from pixelwise.inference.streaming import predict_raster
from pixelwise.operators.base import Operator

NAMES = ("B02", "B03", "B04", "B08")
LAYOUTS = {
    "tiles": {"tiled": True, "blockxsize": 32, "blockysize": 16},
    "strips": {"tiled": False, "blockysize": 1},
    "thick strips": {"tiled": False, "blockysize": 23, "interleave": "band"},
    "one block": {"tiled": True, "blockxsize": 512, "blockysize": 512},
}


class Grow(Operator):
    """The largest of a square, to have neighbours matter."""

    halo = 4

    def apply(self, raster: pw.Raster) -> pw.Raster:
        return raster.with_values(maximum_filter(raster.values, size=(1, 9, 9), mode="nearest"))


@pytest.fixture(scope="module")
def pixels(example: tuple[Path, Path]) -> tuple[pw.PixelTable, np.ndarray]:
    X, y = pw.extract_pixels(*example, column="class")
    return X[::3], y[::3]


@pytest.fixture
def model(pixels: Any) -> pw.PixelwiseClassifier:
    return pw.PixelwiseClassifier(LogisticRegression(max_iter=500)).fit(*pixels)


@pytest.fixture
def large(write: Callable[..., Path], values: np.ndarray) -> Callable[..., Path]:
    """Write a scene of 240 x 400 pixels with gaps, laid out as asked."""

    def _large(**profile: Any) -> Path:
        cube = np.tile(values, (1, 4, 5))
        if profile.get("nodata", 0) == 0:
            cube[:, 30:60, 100:300] = 0
            cube[1, 100] = 0
        return write(cube, names=NAMES, **{"nodata": 0, **profile})

    return _large


def tight(model: Any, src: Any, dst: Path, **options: Any) -> int:
    """Return the least memory that is enough."""
    with pytest.raises(MemoryBudgetError) as caught:
        predict_raster(model, src, dst, memory=1, **options)
    return int(caught.value.values["needed"])


def band(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read(1)


def everything(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
@pytest.mark.parametrize("workers", [None, 2])
def test_chips_make_the_map_of_the_whole(large: Any, model: Any, tmp_path: Path, layout: dict, workers: int | None) -> None:
    scene, counts = large(**layout), []
    out = tmp_path / "map.tif"
    least = tight(model, scene, out, workers=workers)
    predict_raster(model, scene, out, memory=least, workers=workers, progress=lambda done, total: counts.append((done, total)))
    np.testing.assert_array_equal(band(out), model.predict(pw.open_raster(scene)).values)
    assert counts == [(number, len(counts)) for number in range(1, len(counts) + 1)]
    assert len(counts) > 1 or layout is LAYOUTS["one block"]


def test_the_map_says_where_it_is_and_what_its_codes_mean(large: Any, model: Any, tmp_path: Path) -> None:
    scene = large()
    out = predict_raster(model, scene, tmp_path / "map.tif", colors={"water": "#0000ff"})
    with rasterio.open(scene) as before, rasterio.open(out) as after:
        assert (after.crs, after.transform, after.shape) == (before.crs, before.transform, before.shape)
        assert (after.nodata, after.dtypes, after.descriptions) == (255, ("uint8",), ("predict",))
        assert after.tags(1)["flag_meanings"] == "forest water"
        assert after.colormap(1)[1] == (0, 0, 255, 255)
        assert after.profile["tiled"]


def test_a_file_of_many_chips_at_the_default_memory(write: Any, values: np.ndarray, model: Any, tmp_path: Path) -> None:
    scene = write(np.tile(values, (1, 20, 17)), names=NAMES, tiled=True, blockxsize=256, blockysize=256)
    total = []
    out = predict_raster(model, scene, tmp_path / "map.tif", progress=lambda _, all_chips: total.append(all_chips))
    np.testing.assert_array_equal(band(out), model.predict(pw.open_raster(scene)).values)
    assert total == [4] * 4


def test_probabilities_are_one_named_band_a_class(large: Any, model: Any, tmp_path: Path) -> None:
    scene = large(**LAYOUTS["tiles"])
    out = predict_raster(model, scene, tmp_path / "p.tif", method="predict_proba")
    read = pw.unwrap(out)
    assert read.bands == ("forest", "water")
    np.testing.assert_array_equal(read.values, model.predict_proba(pw.open_raster(scene)).values)


@pytest.mark.parametrize("kind", ["search", "operators and search", "pipeline inside"])
def test_compositions_of_scikit_learn_map_files(large: Any, pixels: Any, tmp_path: Path, kind: str) -> None:
    inner = pw.PixelwiseClassifier(RandomForestClassifier(5, random_state=0))
    ndvi = pw.indices.AppendIndex(pw.indices.NDVI(red="B04", nir="B08"))
    model = {
        "search": GridSearchCV(inner, {"estimator__max_depth": [1, 2]}, cv=2),
        "operators and search": GridSearchCV(
            make_pipeline(ndvi, inner), {"pixelwiseclassifier__nan": ["mask", "impute"]}, cv=2
        ),
        "pipeline inside": pw.PixelwiseClassifier(make_pipeline(StandardScaler(), LogisticRegression())),
    }[kind].fit(*pixels)
    scene = large(**LAYOUTS["tiles"])
    out = predict_raster(model, scene, tmp_path / "map.tif", memory=tight(model, scene, tmp_path / "map.tif"))
    np.testing.assert_array_equal(band(out), model.predict(pw.open_raster(scene)).values)


def test_a_regressor_writes_floats_with_nan(large: Any, pixels: Any, tmp_path: Path) -> None:
    X, y = pixels
    model = pw.PixelwiseRegressor(Ridge()).fit(X, (y == "water").astype(float))
    scene = large()
    out = predict_raster(model, scene, tmp_path / "map.tif")
    np.testing.assert_array_equal(band(out), model.predict(pw.open_raster(scene)).values)
    assert pw.open_raster(out).dtype == "float32"


@pytest.mark.parametrize(
    ("estimator", "method", "dtype"),
    [
        (LogisticRegression(max_iter=500), "predict", "uint8"),
        (Ridge(), "predict", "float32"),
        (MiniBatchKMeans(3, n_init=1, random_state=0), "predict", "uint8"),
        (PCA(2), "transform", "float32"),
        (make_pipeline(StandardScaler(), Ridge()), "predict", "float32"),
    ],
)
def test_a_bare_estimator_is_wrapped(scene: Path, pixels: Any, tmp_path: Path, estimator: Any, method: str, dtype: str) -> None:
    X, y = np.asarray(pixels[0]), (pixels[1] == "water").astype(int)
    fitted = sklearn.clone(estimator).fit(X, y)
    read = pw.unwrap(predict_raster(fitted, scene, tmp_path / "map.tif", method=method))
    table = pw.ToPixelMajor()(scene).astype("float32")
    expected = getattr(fitted, method)(table)
    assert read.values.dtype == dtype
    np.testing.assert_allclose(np.atleast_2d(pw.ToPixelMajor()(read.values).T), np.atleast_2d(expected.T), rtol=1e-5)


def test_an_estimator_of_no_kind_is_refused(scene: Path, pixels: Any, tmp_path: Path) -> None:
    class Nothing(sklearn.base.BaseEstimator):
        def fit(self) -> Any:
            self.fitted_ = True
            return self

    with pytest.raises(TypeError, match="wrap it in a Pixelwise class"):
        predict_raster(Nothing().fit(), scene, tmp_path / "map.tif")


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("layout", ["tiles", "strips"])
def test_operators_that_look_round_give_the_same_in_chips(
    large: Any, pixels: Any, tmp_path: Path, layout: str, steps: int
) -> None:
    inner = pw.PixelwiseRegressor(Ridge(), nan="propagate").fit(np.asarray(pixels[0]), (pixels[1] == "water").astype(float))
    model = make_pipeline(*[Grow() for _ in range(steps)], inner)
    scene = large(**LAYOUTS[layout], nodata=None)
    total: list[int] = []
    out, least = tmp_path / "map.tif", tight(model, scene, tmp_path / "map.tif")
    predict_raster(model, scene, out, memory=least, progress=lambda _, count: total.append(count))
    np.testing.assert_array_equal(band(out), model.predict(pw.open_raster(scene)).values)
    assert len(total) > 1


@pytest.mark.parametrize("carrier", ["dataset", "DataArray", "lazy DataArray", "memory file", "text"])
def test_any_carrier_is_read(scene: Path, model: Any, tmp_path: Path, carrier: str) -> None:
    expected, out = model.predict(pw.open_raster(scene)).values, tmp_path / "map.tif"
    if carrier == "dataset":
        with rasterio.open(scene) as file:
            predict_raster(model, file, out, workers=2)
            assert not file.closed
    elif carrier == "memory file":
        with MemoryFile(scene.read_bytes()) as held, held.open() as file:
            predict_raster(model, file, out)
    else:
        chunks = {"y": 25, "x": 30} if carrier == "lazy DataArray" else None
        predict_raster(model, str(scene) if carrier == "text" else pw.open_raster(scene, chunks=chunks), str(out))
    np.testing.assert_array_equal(band(out), expected)


def test_reordered_bands_are_put_right_and_missing_ones_are_an_error(
    write: Any, values: np.ndarray, model: Any, tmp_path: Path
) -> None:
    turned = write(values[::-1], names=NAMES[::-1])
    np.testing.assert_array_equal(
        band(predict_raster(model, turned, tmp_path / "map.tif")), model.predict(pw.open_raster(turned)[::-1]).values
    )
    with pytest.raises(BandError):
        predict_raster(model, write(values[:3], "three.tif"), tmp_path / "other.tif")
    assert not (tmp_path / "other.tif").exists()


def test_real_rasters_come_out_right(landsat: Path, landsat_labels: Path, tmp_path: Path) -> None:
    forest = RandomForestClassifier(5, random_state=0)
    fitted = pw.PixelwiseClassifier(forest).fit(
        *pw.extract_pixels(landsat, landsat_labels, nan=pw.NanPolicy(valid_range=(0, 300)))
    )
    out = predict_raster(fitted, landsat, tmp_path / "map.tif")
    np.testing.assert_array_equal(band(out), fitted.predict(pw.open_raster(landsat)).values)


def test_a_jpeg_2000_is_read_along_its_blocks(sentinel: dict[str, Path], tmp_path: Path) -> None:
    clusters = MiniBatchKMeans(3, n_init=1, random_state=0).fit(pw.ToPixelMajor()(sentinel["B11"])[::50].astype("float32"))
    out = predict_raster(clusters, sentinel["B11"], tmp_path / "map.tif")
    np.testing.assert_array_equal(band(out), pw.PixelwiseClusterer(clusters).predict(pw.open_raster(sentinel["B11"])).values)


def test_a_bar_shows_the_progress_on_request_only(
    scene: Path, model: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predict_raster(model, scene, tmp_path / "map.tif")
    assert capsys.readouterr().err == ""
    predict_raster(model, scene, tmp_path / "map.tif", progress=True)
    assert "1/1" in capsys.readouterr().err


@pytest.mark.parametrize("outer", [None, 50_000_000])
def test_gdal_s_cache_is_small_meanwhile_and_as_before_after(
    scene: Path, pixels: Any, tmp_path: Path, outer: int | None
) -> None:
    seen = []

    class Curious(DummyClassifier):
        def predict(self, X: Any) -> Any:
            seen.append((rasterio.env.get_gdal_config("GDAL_CACHEMAX"), sklearn.get_config()["working_memory"]))
            return super().predict(X)

    fitted = pw.PixelwiseClassifier(Curious()).fit(*pixels)
    before = rasterio.env.get_gdal_config("GDAL_CACHEMAX")
    with rasterio.Env(**({} if outer is None else {"GDAL_CACHEMAX": outer})):
        within = rasterio.env.get_gdal_config("GDAL_CACHEMAX")
        for workers in (None, 2):
            predict_raster(fitted, scene, tmp_path / "map.tif", memory="64MB", workers=workers)
        assert rasterio.env.get_gdal_config("GDAL_CACHEMAX") == within
    assert seen == [(4_000_000, pytest.approx(4e6 / 2**20))] * 2
    rasterio.env.set_gdal_config("GDAL_CACHEMAX", before)


def test_gdal_s_options_hold_in_the_reading_thread_too(scene: Path, model: Any, tmp_path: Path) -> None:
    da = pytest.importorskip("dask.array")
    seen = []

    def block(values: np.ndarray) -> np.ndarray:
        seen.append(rasterio.env.getenv().get("GDAL_HTTP_USERAGENT") if rasterio.env.hasenv() else None)
        return values

    lazy = pw.open_raster(scene, chunks={"y": 60, "x": 80}).copy()
    lazy.data = da.map_blocks(block, lazy.data, dtype=lazy.dtype, meta=np.empty((0, 0, 0), lazy.dtype))
    with rasterio.Env(GDAL_HTTP_USERAGENT="me"), __import__("dask").config.set(scheduler="synchronous"):
        predict_raster(model, lazy, tmp_path / "map.tif")
    assert seen
    assert set(seen) == {"me"}


def test_a_band_without_data_is_named(write: Any, values: np.ndarray, model: Any, tmp_path: Path) -> None:
    values[2] = 0
    with pytest.warns(MissingDataWarning, match="band B04 has no valid pixel"):
        out = predict_raster(model, write(values, nodata=0), tmp_path / "map.tif")
    assert (band(out) == 255).all()


def test_a_raster_where_some_band_is_always_missing_says_so(write: Any, values: np.ndarray, model: Any, tmp_path: Path) -> None:
    values[0, :30], values[1, 30:] = 0, 0
    with pytest.warns(MissingDataWarning, match="each pixel lacks data in some band"):
        predict_raster(model, write(values, nodata=0), tmp_path / "map.tif")


def test_a_regression_of_nothing_says_so_too(write: Any, values: np.ndarray, pixels: Any, tmp_path: Path) -> None:
    model = pw.PixelwiseRegressor(Ridge()).fit(pixels[0], np.arange(len(pixels[0])))
    with pytest.warns(MissingDataWarning, match="band B02, B03, B04, B08 has no valid pixel"):
        predict_raster(model, write(values * 0, nodata=0), tmp_path / "map.tif")


def test_a_fill_that_nobody_declared_is_spoken_of_unless_it_is_named(
    write: Any, values: np.ndarray, pixels: Any, tmp_path: Path
) -> None:
    values[:, :, :10] = 0
    scene, out = write(values, names=NAMES), tmp_path / "map.tif"
    for nan, expected in (("mask", 1), (pw.NanPolicy(sentinels=0), 0), (pw.NanPolicy(sentinels={"B02": 0}), 0)):
        model = pw.PixelwiseClassifier(LogisticRegression(max_iter=500), nan=nan).fit(*pixels)
        with __import__("warnings").catch_warnings(record=True) as caught:
            __import__("warnings").simplefilter("always")
            predict_raster(model, scene, out)
        assert [type(one.message) for one in caught if issubclass(one.category, MissingDataWarning)] == [
            MissingDataWarning
        ] * expected


def test_sentinels_of_bands_that_operators_make_are_no_error(scene: Path, pixels: Any, tmp_path: Path) -> None:
    ndvi = pw.indices.AppendIndex(pw.indices.NDVI(red="B04", nir="B08"))
    inner = pw.PixelwiseClassifier(LogisticRegression(max_iter=500), nan=pw.NanPolicy(sentinels={"NDVI": -1}))
    predict_raster(make_pipeline(ndvi, inner).fit(*pixels), scene, tmp_path / "map.tif")


# ---- errors leave nothing behind ----


def test_a_file_cut_short_is_one_error_that_names_file_and_window(large: Any, model: Any, tmp_path: Path) -> None:
    # A copy has its directory in front, as cloud-optimized files have.
    scene = tmp_path / "cut.tif"
    rasterio.shutil.copy(large(), scene, driver="GTiff", tiled=True, blockxsize=32, blockysize=16)
    scene.write_bytes(scene.read_bytes()[: scene.stat().st_size * 2 // 3])
    before = everything(tmp_path)
    for workers in (None, 2):
        with pytest.raises(RasterReadError, match=r"cut\.tif at rows \d+\+\d+, columns"):
            predict_raster(model, scene, tmp_path / "map.tif", workers=workers)
    assert everything(tmp_path) == before
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pixelwise")]


class Breaking(ClassifierMixin, sklearn.base.BaseEstimator):
    """Predicts twice, and then no more."""

    def __init__(self, error: type[BaseException] = RuntimeError) -> None:
        self.error = error

    def fit(self, X: Any, y: Any) -> Breaking:
        self.classes_, self.left_ = np.unique(y), 2
        return self

    def predict(self, X: Any) -> np.ndarray:
        self.left_ -= 1
        if self.left_ < 0:
            raise self.error
        return np.full(len(X), self.classes_[0])


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("workers", [None, 2])
def test_an_error_on_the_way_leaves_an_older_map_alone(
    large: Any, pixels: Any, tmp_path: Path, error: type[BaseException], workers: int | None
) -> None:
    scene, out = large(**LAYOUTS["tiles"]), tmp_path / "map.tif"
    model = pw.PixelwiseClassifier(Breaking(error)).fit(*pixels)
    least = tight(model, scene, out, workers=workers)
    out.write_text("the older map")
    before = everything(tmp_path)
    with pytest.raises(error):
        predict_raster(model, scene, out, memory=least, workers=workers)
    assert out.read_text() == "the older map"
    assert everything(tmp_path) == before
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pixelwise")]


def test_a_model_that_is_not_fitted_is_refused_before_anything_is_written(scene: Path, tmp_path: Path) -> None:
    for model in (pw.PixelwiseClassifier(LogisticRegression()), LogisticRegression(), make_pipeline(PCA(), Ridge())):
        with pytest.raises(NotFittedError):
            predict_raster(model, scene, tmp_path / "map.tif")
    assert everything(tmp_path) == set()


def test_a_method_that_the_model_lacks_is_refused_with_those_it_has(scene: Path, pixels: Any, tmp_path: Path) -> None:
    model = Ridge().fit(np.asarray(pixels[0]), np.arange(len(pixels[0])))
    with pytest.raises(ValueError, match="Ridge has no method 'predict_proba': choose one of 'predict'"):
        predict_raster(model, scene, tmp_path / "map.tif", method="predict_proba")


def test_writing_over_what_is_read_is_refused(scene: Path, model: Any, tmp_path: Path) -> None:
    link = tmp_path / "link.tif"
    link.symlink_to(scene)
    for out in (scene, link):
        with pytest.raises(RasterWriteError, match="is what is read"):
            predict_raster(model, scene, out)


def test_a_destination_that_cannot_be_is_refused(scene: Path, model: Any, tmp_path: Path) -> None:
    with pytest.raises(RasterWriteError, match="folder"):
        predict_raster(model, scene, tmp_path / "missing" / "map.tif")


def test_a_source_that_is_not_there_is_a_read_error(model: Any, tmp_path: Path) -> None:
    with pytest.raises(RasterReadError, match=r"missing\.tif"):
        predict_raster(model, tmp_path / "missing.tif", tmp_path / "map.tif")


def test_too_little_memory_is_an_error_that_says_how_much_is_enough(large: Any, model: Any, tmp_path: Path) -> None:
    scene, out = large(), tmp_path / "map.tif"
    needed = tight(model, scene, out)
    with pytest.raises(MemoryBudgetError, match=rf"blocks of \d+ x \d+ pixels: pass memory='{needed // 10**6}MB'"):
        predict_raster(model, scene, out, memory="2MB")
    assert predict_raster(model, scene, out, memory=needed) == out


@pytest.mark.parametrize("workers", [0, -1, 1.5, "2"])
def test_no_threads_are_no_number_of_threads(scene: Path, model: Any, tmp_path: Path, workers: Any) -> None:
    with pytest.raises(ValueError, match="workers"):
        predict_raster(model, scene, tmp_path / "map.tif", workers=workers)


class Odd:
    """Takes rasters, and gives something else."""

    def __init__(self, made: Callable[[pw.Raster], Any]) -> None:
        self.predict = made


def test_a_model_that_gives_no_raster_is_refused(scene: Path, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="made ndarray of a Raster"):
        predict_raster(Odd(lambda raster: raster.values), scene, tmp_path / "map.tif")


def test_a_model_that_gives_other_pixels_is_refused(scene: Path, tmp_path: Path) -> None:
    def thin(raster: pw.Raster) -> pw.Raster:
        return pw.Raster(raster.values[:, ::2, ::2], raster.grid.window(0, 0, 30, 40))

    with pytest.raises(ValueError, match="resamples"):
        predict_raster(Odd(thin), scene, tmp_path / "map.tif")


def test_whatever_takes_and_gives_rasters_is_a_model(scene: Path, tmp_path: Path) -> None:
    out = predict_raster(Odd(lambda raster: raster.with_values(raster.values + 1)), scene, tmp_path / "more.tif")
    xr.testing.assert_equal(pw.open_raster(out), pw.open_raster(scene) + 1)


def test_an_operator_alone_maps_a_file(scene: Path, tmp_path: Path) -> None:
    ndvi = pw.indices.NDVI(red="B04", nir="B08")
    out = predict_raster(ndvi, scene, tmp_path / "ndvi.tif", method="transform")
    xr.testing.assert_equal(pw.open_raster(out), ndvi(pw.open_raster(scene)))


@pytest.mark.parametrize("nodata", [None, 1])
def test_a_raster_with_dates_is_read_too(tmp_path: Path, nodata: int | None) -> None:
    dates = np.ones((2, 3, 20, 30), "uint8")
    model = Odd(lambda raster: pw.Raster(raster.values[0, 0], raster.grid, nodata=(nodata,)))
    if nodata is None:
        out = predict_raster(model, dates, tmp_path / "map.tif")
    else:
        with pytest.warns(MissingDataWarning, match="no pixel could be predicted"):
            out = predict_raster(model, dates, tmp_path / "map.tif")
    assert (pw.unwrap(out).values == 1).all()


def test_masked_pixels_of_a_chip_are_no_data(tmp_path: Path, pixels: Any, values: np.ndarray) -> None:
    model = pw.PixelwiseClassifier(LogisticRegression(max_iter=500)).fit(np.asarray(pixels[0]), pixels[1])
    hidden = np.ma.masked_array(values, mask=True)
    with pytest.warns(MissingDataWarning, match="band_1, band_2, band_3, band_4 has no valid pixel"):
        predict_raster(model, hidden, tmp_path / "map.tif")
