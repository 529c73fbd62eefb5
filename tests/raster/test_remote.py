"""Which paths lead over networks, and what GDAL is told about these."""

from __future__ import annotations

import pytest
import rasterio

from pixelwise.raster.remote import is_remote, remote_reading


def test_the_options_of_the_user_hold(monkeypatch) -> None:
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "9")
    with rasterio.Env(GDAL_HTTP_RETRY_DELAY="7"), remote_reading("s3://bucket/scene.tif"):
        options = rasterio.env.getenv()
    assert "GDAL_HTTP_MAX_RETRY" not in options
    assert options["GDAL_HTTP_RETRY_DELAY"] == "7"
    assert options["GDAL_DISABLE_READDIR_ON_OPEN"] == "EMPTY_DIR"


@pytest.mark.parametrize(
    ("path", "remote"),
    [
        ("s3://b/a.tif", True),
        ("https://example.org/a.tif", True),
        ("/vsicurl/https://example.org/a.tif", True),
        ("/vsis3/b/a.tif", True),
        ("/vsis3_streaming/b/a.tif", True),
        ("/vsizip/a.zip/a.tif", False),
        ("/vsimem/a.tif", False),
        ("file:///a.tif", False),
        ("a.tif", False),
    ],
)
def test_paths_that_lead_over_a_network_are_known(path: str, remote: bool) -> None:
    assert is_remote(path) is remote
