"""Scenes on a real S3 API on the loopback interface are mapped as local ones are."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio.shutil
from sklearn.linear_model import LogisticRegression

import pixelwise as pw
from pixelwise.errors import RasterReadError

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
