"""Scenes on a real S3 API on the loopback interface are mapped as local ones are."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio.shutil
from joblib.externals.loky import get_reusable_executor
from sklearn.linear_model import LogisticRegression

import pixelwise as pw
from pixelwise.errors import CatalogError, RasterReadError, RasterWriteError

moto = pytest.importorskip("moto.server")
boto3 = pytest.importorskip("boto3")
serving = pytest.importorskip("werkzeug.serving")


class Silent(serving.WSGIRequestHandler):
    """Handles requests, and does not print them."""

    def log(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def bucket(example: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A bucket with the scene as a COG, a file a band of it, and its western and eastern halves."""
    app = moto.DomainDispatcherApplication(moto.create_backend_app)
    server = serving.make_server("127.0.0.1", 0, app, threaded=True, request_handler=Silent)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    place = f"127.0.0.1:{server.port}"
    # Workers that began earlier do not know the variables.
    get_reusable_executor().shutdown(wait=True)
    with pytest.MonkeyPatch.context() as patch:
        for key, value in {
            "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1", "AWS_S3_ENDPOINT": place, "AWS_HTTPS": "NO", "AWS_VIRTUAL_HOSTING": "FALSE",
            "AWS_ENDPOINT_URL": f"http://{place}", "AWS_EC2_METADATA_DISABLED": "true",
        }.items():  # fmt: skip
            patch.setenv(key, value)
        client = boto3.client("s3")
        client.create_bucket(Bucket="maps")
        folder, raster = tmp_path_factory.mktemp("cogs"), pw.open_raster(example[0])
        rasterio.shutil.copy(example[0], folder / "scene.tif", driver="COG")
        for name in raster.band.values:
            pw.write_raster(raster.sel(band=[name]), folder / f"{name}.tif")
        pw.write_raster(raster[:, :, :48], folder / "west.tif")
        pw.write_raster(raster[:, :, 48:], folder / "east.tif")
        for path in folder.iterdir():
            client.upload_file(str(path), "maps", path.name)
        yield "s3://maps"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("workers", [None, 2])
@pytest.mark.parametrize("kind", ["scene", "bands", "mosaic"])
def test_a_scene_in_a_bucket_maps_as_a_local_one(
    bucket: str, example: tuple[Path, Path], tmp_path: Path, kind: str, workers: int | None
) -> None:
    raster = pw.open_raster(example[0])
    X, y = pw.extract_pixels(*example, column="class")
    model = pw.PixelwiseClassifier(LogisticRegression(max_iter=500)).fit(X, y)
    src = {
        "scene": f"{bucket}/scene.tif",
        "bands": {name: f"{bucket}/{name}.tif" for name in raster.band.values},
        "mosaic": [f"{bucket}/west.tif", f"{bucket}/east.tif"],
    }[kind]
    out = pw.predict_raster(model, src, tmp_path / "map.tif", workers=workers)
    np.testing.assert_array_equal(pw.unwrap(out).values[0], model.predict(raster).values)


def test_a_scene_that_is_not_there_is_one_line(bucket: str, tmp_path: Path) -> None:
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    with pytest.raises(RasterReadError, match=r"s3://maps/none\.tif cannot be read"):
        pw.predict_raster(model, f"{bucket}/none.tif", tmp_path / "map.tif")


@pytest.fixture
def model(example: tuple[Path, Path]) -> Any:
    X, y = pw.extract_pixels(*example, column="class")
    return pw.PixelwiseClassifier(LogisticRegression(max_iter=500)).fit(X, y)


def keys(prefix: str) -> set[str]:
    """Names of files in the bucket, behind a prefix; pyarrow leaves a mark of a folder where it has removed a file."""
    found = boto3.client("s3").list_objects_v2(Bucket="maps", Prefix=prefix).get("Contents", [])
    return {entry["Key"].removeprefix(prefix) for entry in found if not entry["Key"].endswith("/")}


def body(key: str) -> bytes:
    content: bytes = boto3.client("s3").get_object(Bucket="maps", Key=key)["Body"].read()
    return content


def test_maps_in_a_bucket_have_the_bytes_of_local_ones(bucket: str, model: Any, tmp_path: Path) -> None:
    methods = ("predict", "predict_proba")
    made = pw.predict_raster(model, f"{bucket}/scene.tif", {name: f"{bucket}/both/{name} ä.tif" for name in methods})
    here = pw.predict_raster(model, f"{bucket}/scene.tif", {name: tmp_path / f"{name}.tif" for name in methods})
    assert keys("both/") == {"predict ä.tif", "predict ä.tif.aux.xml", "predict_proba ä.tif"}
    for name in methods:
        assert body(f"both/{name} ä.tif") == here[name].read_bytes()
        np.testing.assert_array_equal(pw.unwrap(made[name]).values, pw.unwrap(here[name]).values)


def test_what_stood_beside_an_older_map_goes_with_it(bucket: str, model: Any) -> None:
    pw.predict_raster(model, f"{bucket}/scene.tif", f"{bucket}/again/map.tif")
    assert keys("again/") == {"map.tif", "map.tif.aux.xml"}
    pw.write_raster(pw.open_raster(f"{bucket}/B02.tif"), f"{bucket}/again/map.tif")
    assert keys("again/") == {"map.tif"}


def test_an_error_uploads_nothing(bucket: str, model: Any, tmp_path: Path) -> None:
    local = tmp_path / "map.tif"
    local.write_text("as it was")
    boto3.client("s3").create_bucket(Bucket="brief")

    def remove(done: int, total: int) -> None:
        boto3.client("s3").delete_bucket(Bucket="brief")

    with pytest.raises(RasterWriteError, match=r"s3://brief/p\.tif cannot be written: .*bucket.*; check the bucket and what"):
        pw.predict_raster(
            model, f"{bucket}/scene.tif", {"predict": local, "predict_proba": "s3://brief/p.tif"}, progress=remove
        )
    assert local.read_text() == "as it was"
    assert [path.name for path in tmp_path.iterdir()] == ["map.tif"]

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pw.predict_raster(model, f"{bucket}/scene.tif", f"{bucket}/stopped/map.tif", progress=stop)
    assert not keys("stopped/")


@pytest.mark.parametrize(
    ("dst", "options", "says"),
    [
        ("https://a.org/map.tif", {}, "cannot be written over its network: name a file, or one in s3:// or gs://"),
        ("s3://none/map.tif", {}, "s3://none is not there: make the bucket first, or check its name"),
        ("s3://maps/map.png", {}, r"has \.png, and pixelwise writes GeoTIFF"),
        ("s3://maps/scene.tif", {}, r"s3://maps/scene\.tif is what is read: name another file"),
        ("s3://maps/map.tif", {"resume": True}, "keeps chips beside s3://maps/map.tif, .*: write to a local file"),
    ],
    ids=["https", "bucket", "png", "source", "resume"],
)
def test_places_that_cannot_be_written_are_told(bucket: str, model: Any, dst: str, options: Any, says: str) -> None:
    with pytest.raises(RasterWriteError, match=says):
        pw.predict_raster(model, f"{bucket}/scene.tif", dst, **options)
    assert not keys("map")


@pytest.mark.parametrize("n_workers", [1, 2])
def test_a_run_writes_to_a_bucket_and_goes_on_with_what_is_missing(
    bucket: str, model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_workers: int
) -> None:
    monkeypatch.chdir(tmp_path)
    catalog = pw.open_catalog([f"{bucket}/west.tif", f"{bucket}/east.tif"], progress=False).assign(tile=["w", "e"])
    folder = f"run {n_workers}/"
    run = pw.CatalogPipeline(
        catalog, pw.Sequential([model, pw.WriteCOG(f"{bucket}/{folder}{{tile}}.tif")]), n_workers=n_workers
    )
    assert run.journal == Path("pixelwise-journal.sqlite")
    maps = run.run()
    assert keys(folder) == {"w.tif", "w.tif.aux.xml", "e.tif", "e.tif.aux.xml"}
    assert [scene.uri for scene in maps] == [f"{bucket}/{folder}w.tif", f"{bucket}/{folder}e.tif"]
    np.testing.assert_array_equal(maps[1].load().values, model.predict(catalog[1].load()).values[None])
    sizes = {name: len(body(folder + name)) for name in ("w.tif", "e.tif")}
    assert sorted(run.status()["size"]) == sorted(sizes.values())
    first = run.status().set_index("scene")["finished"]
    boto3.client("s3").delete_object(Bucket="maps", Key=f"{folder}e.tif")
    time.sleep(1.1)
    run.run()
    assert {name: len(body(folder + name)) for name in ("w.tif", "e.tif")} == sizes
    assert (run.status().set_index("scene")["finished"] != first).tolist() == [name == "east" for name in first.index]


def test_a_scene_of_a_bucket_is_not_overwritten(bucket: str, model: Any) -> None:
    catalog = pw.open_catalog([f"{bucket}/west.tif"], progress=False)
    with pytest.raises(CatalogError, match=r"s3://maps/west\.tif is a file of the catalog"):
        pw.CatalogPipeline(catalog, pw.Sequential([model, pw.WriteCOG(f"{bucket}/{{id}}.tif")])).run()
