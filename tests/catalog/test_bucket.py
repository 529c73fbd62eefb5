"""A real S3 API on the loopback interface, read through GDAL's /vsis3: each request is counted, and some are cut short."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio.shutil
from rasterio.windows import Window
from sklearn.preprocessing import StandardScaler

import pixelwise as pw
from pixelwise.errors import CatalogError, RasterReadError
from pixelwise.raster.io import RasterFile
from pixelwise.raster.mosaic_file import Mosaic
from pixelwise.raster.open_files import read_window

moto = pytest.importorskip("moto.server")
boto3 = pytest.importorskip("boto3")
serving = pytest.importorskip("werkzeug.serving")


class Bucket:
    """The S3 API of moto, with a list of what was asked, and a number of answers that break off half-way."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.cuts = 0
        self.client: Any = None
        self._app = moto.DomainDispatcherApplication(moto.create_backend_app)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        path = environ["PATH_INFO"].removeprefix("/scenes/")
        self.asked.append(f"{environ['REQUEST_METHOD']} {path}")
        body = self._app(environ, start_response)
        if self.cuts > 0 and environ["REQUEST_METHOD"] == "GET" and path.endswith(".tif"):
            self.cuts -= 1
            return self._half(b"".join(body))
        return body

    def _half(self, body: bytes) -> Iterator[bytes]:
        yield body[: len(body) // 2]
        raise ConnectionAbortedError

    def count(self, start: str) -> int:
        return sum(line.startswith(start) for line in self.asked)


@pytest.fixture(scope="module")
def bucket(scenes: Path, labels: Path, tmp_path_factory) -> Iterator[Bucket]:
    """Scenes and labels as COGs, and a GeoParquet catalog of them."""
    app = Bucket()
    server = serving.make_server("127.0.0.1", 0, app, threaded=True, request_handler=Silent)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    place = f"127.0.0.1:{server.port}"
    with pytest.MonkeyPatch.context() as patch:
        for key, value in {
            "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1", "AWS_S3_ENDPOINT": place, "AWS_HTTPS": "NO", "AWS_VIRTUAL_HOSTING": "FALSE",
            "AWS_ENDPOINT_URL": f"http://{place}", "AWS_EC2_METADATA_DISABLED": "true",
        }.items():  # fmt: skip
            patch.setenv(key, value)
        client = app.client = boto3.client("s3")
        client.create_bucket(Bucket="scenes")
        folder = tmp_path_factory.mktemp("cogs")
        for source, prefix in ((scenes, "x"), (labels, "y")):
            for path in sorted(source.glob("*.tif")):
                rasterio.shutil.copy(path, folder / path.name, driver="COG", blocksize=128, overviews="NONE")
                client.upload_file(str(folder / path.name), "scenes", f"{prefix}/{path.name}")
        keys = [f"x/{path.name}" for path in sorted(scenes.glob("*.tif"))]
        catalog = pw.open_catalog([f"s3://scenes/{key}" for key in keys])
        catalog.assign(label_uri=lambda scene: scene.uri.replace("/x/", "/y/")).to_parquet("s3://scenes/train.parquet")
        yield app
    server.shutdown()
    thread.join()
    server.server_close()


class Silent(serving.WSGIRequestHandler):
    """Handles requests, and does not print them."""

    def log(self, *args: Any) -> None:
        pass


@pytest.fixture
def catalog(bucket: Bucket) -> pw.GeoCatalog:
    opened = pw.open_catalog("s3://scenes/train.parquet")
    bucket.asked.clear()
    bucket.cuts = 0
    return opened


def test_a_catalog_in_a_bucket_is_opened_without_touching_a_scene(bucket: Bucket) -> None:
    bucket.asked.clear()
    catalog = pw.open_catalog("s3://scenes/train.parquet")
    assert len(catalog) == 6
    assert bucket.count("GET x/") == bucket.count("HEAD x/") == 0


def test_a_catalog_that_is_in_no_bucket_is_reported(bucket: Bucket) -> None:
    for place in ("s3://scenes/none.parquet", "s3://nothing/none.parquet"):
        with pytest.raises(CatalogError, match=r"none\.parquet cannot be read"):
            pw.open_catalog(place)


def test_scenes_and_labels_in_a_bucket_are_those_on_disk(catalog: pw.GeoCatalog, scenes: Path, labels: Path) -> None:
    for scene, path in zip(catalog, sorted(scenes.glob("*.tif")), strict=True):
        loaded = scene.load()
        np.testing.assert_array_equal(loaded, pw.open_raster(path))
        np.testing.assert_array_equal(pw.ReadLabel()(loaded)[0], pw.open_raster(labels / path.name)[0])


@pytest.fixture
def large(bucket: Bucket, sentinel: dict[str, Path], tmp_path: Path, request) -> pw.GeoCatalog:
    """A scene of 2.4 MB under a key of its own, as GDAL remembers what it has read of a file."""
    path, key = tmp_path / "scene.tif", f"{request.node.name}.tif"
    rasterio.shutil.copy(sentinel["B02"], path, driver="COG", blocksize=256, overviews="NONE", compress="NONE")
    bucket.client.upload_file(str(path), "scenes", key)
    found = pw.open_catalog(path)
    bucket.asked.clear()
    return pw.GeoCatalog(found.frame.assign(uri=f"s3://scenes/{key}"))


def test_a_chip_costs_few_requests_and_nothing_is_listed(bucket: Bucket, large: pw.GeoCatalog) -> None:
    chips = pw.sampling.GridSampler(256)(large)
    with pw.sampling.files_kept_open():
        for chip in chips[:6]:
            chip.load()
    assert 1 <= len(bucket.asked) <= 6 + 1
    assert set(bucket.asked) == {f"GET {large[0].uri.removeprefix('s3://scenes/')}"}


@pytest.mark.parametrize("cuts", [1, 2])
def test_an_answer_that_breaks_off_is_asked_again(bucket: Bucket, large: pw.GeoCatalog, sentinel, cuts: int) -> None:
    bucket.cuts = cuts
    np.testing.assert_array_equal(large[0].load(), pw.open_raster(sentinel["B02"]))
    assert bucket.cuts == 0


@pytest.mark.parametrize("cuts", [1, 2])
@pytest.mark.parametrize("kind", [RasterFile, Mosaic])
def test_a_window_of_an_open_file_or_mosaic_is_asked_again_too(
    bucket: Bucket, large: pw.GeoCatalog, sentinel, kind: Any, cuts: int
) -> None:
    whole, uri = pw.open_raster(sentinel["B02"]), large[0].uri
    with kind(uri if kind is RasterFile else [uri]) as file:
        for window in (Window(0, 0, 256, 128), Window(256, 128, 128, 256)):
            bucket.cuts = cuts
            rows, cols = window.toslices()
            np.testing.assert_array_equal(read_window(file, window).values, whole[:, rows, cols])
            assert bucket.cuts == 0


def test_a_window_that_always_breaks_off_is_given_up(bucket: Bucket, large: pw.GeoCatalog) -> None:
    with RasterFile(large[0].uri) as file:
        bucket.cuts = 99
        with pytest.raises(RasterReadError, match=r"cannot be read.*\(tried 3 times\)"):
            read_window(file, Window(0, 0, file.grid.width, file.grid.height))
    bucket.cuts = 0


def test_a_map_outlives_answers_that_break_off(bucket: Bucket, large: pw.GeoCatalog, sentinel, tmp_path: Path) -> None:
    model = pw.PixelwiseTransformer(StandardScaler()).fit(np.array([[0.0], [5000.0]]))

    cuts: list[int] = []

    def cut(done: int, total: int) -> None:
        cuts.append(1 - bucket.cuts)
        bucket.cuts = 1

    out = pw.predict_raster(model, large[0].uri, tmp_path / "map.tif", method="transform", memory="40MB", progress=cut)
    bucket.cuts = 0
    assert sum(cuts[1:]) > 0
    np.testing.assert_array_equal(pw.open_raster(out), model.transform(pw.open_raster(sentinel["B02"])))


def test_an_answer_that_breaks_off_between_chips_is_asked_again(bucket: Bucket, large: pw.GeoCatalog, sentinel) -> None:
    whole = pw.open_raster(sentinel["B02"])
    chips = pw.sampling.GridSampler(256)(large)
    with pw.sampling.files_kept_open():
        for number, chip in enumerate(chips):
            bucket.cuts = number % 2
            rows, cols = chip.window.toslices()
            np.testing.assert_array_equal(chip.load(), whole[:, rows, cols])


def test_a_scene_that_always_breaks_off_is_reported(bucket: Bucket, large: pw.GeoCatalog, monkeypatch) -> None:
    monkeypatch.setattr("pixelwise.raster.open_files._PAUSE", 0.01)
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "0")
    bucket.cuts = 10**6
    with pytest.raises(RasterReadError, match=r"breaks_off_is_reported\.tif.* \(tried 3 times\)"):
        large[0].load()


def test_a_sample_of_a_bucket_is_that_of_the_files_even_if_answers_break_off(
    bucket: Bucket, catalog: pw.GeoCatalog, scenes: Path, labels: Path
) -> None:
    here = pw.open_catalog(scenes).assign(label_uri=lambda scene: str(labels / Path(scene.uri).name))
    bucket.cuts = 2
    X, y = pw.sample_pixels(catalog, None, pw.ReadLabel(), n_pixels=200, random_state=0)
    Z, z = pw.sample_pixels(here, None, pw.ReadLabel(), n_pixels=200, random_state=0)
    np.testing.assert_array_equal(X, Z)
    np.testing.assert_array_equal(y, z)


def test_a_scene_that_is_not_there_is_reported(bucket: Bucket, catalog: pw.GeoCatalog, monkeypatch) -> None:
    monkeypatch.setattr("pixelwise.raster.open_files._PAUSE", 0)
    gone = pw.open_catalog(catalog.frame.assign(uri="s3://scenes/x/none.tif"))
    with pytest.raises(RasterReadError, match=r"s3://scenes/x/none\.tif"):
        gone[0].load()
