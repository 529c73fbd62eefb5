"""Regional models and switches from file to file: chips carry the tags of their file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

import pixelwise as pw
from pixelwise.errors import DispatchError

FOREST = RandomForestClassifier(5, random_state=0)


@pytest.fixture
def tiles(scene: Path, tmp_path: Path) -> list[Path]:
    """Two files of the same pixels that say that they are of different tiles."""
    raster = pw.open_raster(scene)
    return [pw.write_raster(raster.assign_attrs(mgrs_tile=name), tmp_path / f"{name}.tif") for name in ("33UUU", "33UVU")]


def test_a_file_goes_to_the_model_of_its_tile(tiles: list[Path], polygons: Path, tmp_path: Path) -> None:
    X, y = pw.extract_pixels(tiles, polygons, column="class")
    model = pw.RegionalEstimator(pw.PixelwiseClassifier(FOREST), region="mgrs_tile", min_samples=50).fit(X, y)
    assert model.regions_["pixels"].to_dict() == {"33UUU": 1200, "33UVU": 1200}
    for tile in tiles:
        made = pw.open_raster(pw.predict_raster(model, tile, tmp_path / "map.tif", memory="64MB"))
        assert np.array_equal(made[0], model.predict(pw.open_raster(tile)))


def test_a_switch_reads_the_tags_of_a_file(tiles: list[Path], polygons: Path, tmp_path: Path) -> None:
    model = pw.PixelwiseClassifier(FOREST).fit(*pw.extract_pixels(tiles[0], polygons, column="class"))
    switch = pw.core.Switch(key="mgrs_tile", cases={"33UUU": model}, default=pw.core.Raise("no model for {key}"))
    made = pw.open_raster(pw.predict_raster(switch, tiles[0], tmp_path / "map.tif"))
    assert np.array_equal(made[0], model.predict(pw.open_raster(tiles[0])))
    with pytest.raises(DispatchError, match="no model for 33UVU"):
        pw.predict_raster(switch, tiles[1], tmp_path / "none.tif")
    assert not (tmp_path / "none.tif").exists()
