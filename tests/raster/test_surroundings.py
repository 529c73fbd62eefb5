"""Workers of joblib work in the folder and with GDAL's options of the process that has sent them work."""

from __future__ import annotations

from pathlib import Path

import joblib
import pytest
import rasterio
from rasterio.session import AWSSession

from pixelwise.raster.surroundings import Surroundings


def test_workers_are_where_their_work_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(surroundings: Surroundings) -> tuple[Path, dict[str, str]]:
        """Return what a worker finds; sent by value, as workers need not find this file."""
        with surroundings.entered():
            return Path.cwd(), rasterio.env.getenv()

    with joblib.Parallel(n_jobs=2, backend="loky") as pool:
        began = set(pool(joblib.delayed(Path.cwd)() for _ in range(4)))
        monkeypatch.chdir(tmp_path)
        with rasterio.Env(GDAL_HTTP_TIMEOUT="7"):
            here = Surroundings.now()
        for folder, options in pool(joblib.delayed(told)(here) for _ in range(4)):
            assert folder == tmp_path
            assert folder not in began
            assert options["GDAL_HTTP_TIMEOUT"] == "7"


def test_keys_of_a_session_go_along() -> None:
    pytest.importorskip("boto3")
    with rasterio.Env(AWSSession(aws_access_key_id="key", aws_secret_access_key="secret")):
        here = Surroundings.now()
    with rasterio.Env(GDAL_HTTP_TIMEOUT="7"):
        with here.entered():
            assert rasterio.env.getenv()["AWS_SECRET_ACCESS_KEY"] == "secret"
        assert "AWS_SECRET_ACCESS_KEY" not in rasterio.env.getenv()


def test_a_folder_that_another_machine_has_not_is_left_alone(tmp_path: Path) -> None:
    folder = Path.cwd()
    with Surroundings(str(tmp_path / "nowhere")).entered():
        assert Path.cwd() == folder
