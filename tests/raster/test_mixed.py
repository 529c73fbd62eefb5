"""Bands of several dtypes, each with its own nodata or none, as a VRT of bands and a terrain model has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import pixelwise as pw
from pixelwise.display.preview import preview
from pixelwise.errors import FillValueError
from pixelwise.raster.io import RasterFile
from pixelwise.raster.mosaic_file import Mosaic

KINDS = {"B02": ("uint8", "Byte", 0), "B03": ("int16", "Int16", -9999), "B04": ("float32", "Float32", None)}


def virtual(path: Path, files: dict[str, Path], cols: slice) -> Path:
    """Write a VRT of some columns of files of one band."""
    with rasterio.open(next(iter(files.values()))) as file:
        left, _, step, top = file.transform.c + cols.start * file.transform.a, 0, file.transform.a, file.transform.f
        wkt, height = file.crs.to_wkt(), file.height
    width = cols.stop - cols.start
    size = f'xSize="{width}" ySize="{height}"'
    bands = "".join(
        f'<VRTRasterBand dataType="{gdal}" band="{number}"><Description>{name}</Description>'
        + ("" if nodata is None else f"<NoDataValue>{nodata}</NoDataValue>")
        + f'<SimpleSource><SourceFilename relativeToVRT="0">{files[name]}</SourceFilename><SourceBand>1</SourceBand>'
        f'<SrcRect xOff="{cols.start}" yOff="0" {size}/><DstRect xOff="0" yOff="0" {size}/></SimpleSource></VRTRasterBand>'
        for number, (name, (_, gdal, nodata)) in enumerate(KINDS.items(), 1)
    )
    path.write_text(
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}"><SRS>{wkt}</SRS>'
        f"<GeoTransform>{left}, {step}, 0, {top}, 0, {-step}</GeoTransform>{bands}</VRTDataset>"
    )
    return path


@pytest.fixture
def files(scene: Path, tmp_path: Path) -> dict[str, Path]:
    """Three bands of a scene, a file each."""
    raster, rng = pw.open_raster(scene), np.random.default_rng(0)
    made = {}
    for name, (dtype, _, nodata) in KINDS.items():
        values = (raster.sel(band=name).values / (16 if dtype == "uint8" else 1)).clip(1, 30_000).astype(dtype)
        values[rng.random(values.shape) < 0.1] = np.nan if nodata is None else nodata
        with rasterio.open(scene) as file:
            profile = {**file.profile, "count": 1, "dtype": dtype, "nodata": nodata}
        made[name] = tmp_path / f"{name}.tif"
        with rasterio.open(made[name], "w", **profile) as out:
            out.write(values, 1)
    return made


@pytest.fixture
def mixed(files: dict[str, Path], tmp_path: Path) -> Path:
    return virtual(tmp_path / "mixed.vrt", files, slice(0, 80))


@pytest.fixture
def cube(files: dict[str, Path]) -> np.ndarray:
    """All values as floats, with NaN for what is missing."""
    bands = []
    for name, path in files.items():
        values = rasterio.open(path).read(1)
        bands.append(np.where(values == KINDS[name][2], np.float32(np.nan), values))
    return np.stack(bands)


def test_such_a_file_is_opened_as_floats(mixed: Path, cube: np.ndarray) -> None:
    raster = pw.open_raster(mixed)
    assert (raster.dtype, raster.band.values.tolist()) == ("float32", list(KINDS))
    np.testing.assert_array_equal(raster.values, cube)
    np.testing.assert_array_equal(pw.open_raster(mixed, chunks={"x": 33}).compute().values, cube)
    np.testing.assert_array_equal(preview(mixed, most=200).values[2], cube[2])
    with RasterFile(mixed) as file:
        assert file.read(Window(3, 5, 20, 10), [0]).values.dtype == file.dtype == "float32"
        np.testing.assert_array_equal(file.read(Window(3, 5, 20, 10), [2]).values[0], cube[2, 5:15, 3:23])


def test_such_a_file_is_mapped_as_its_bands_are(mixed: Path, files: dict[str, Path], cube: np.ndarray, tmp_path: Path) -> None:
    valid = np.isfinite(cube).all(axis=0)
    X = cube[:, valid].T
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, X[:, 0] > np.median(X[:, 0]))
    expected = np.where(valid, 0, 255)
    expected[valid] = model.predict(X)
    for source in (mixed, files):
        out = pw.predict_raster(model, source, tmp_path / "map.tif", workers=2, memory="40MB")
        np.testing.assert_array_equal(rasterio.open(out).read(1), expected)
    np.testing.assert_array_equal(pw.PixelwiseClassifier(model).predict(pw.open_raster(mixed)).values, expected)


def test_such_files_side_by_side_are_one(files: dict[str, Path], cube: np.ndarray, tmp_path: Path) -> None:
    halves = [virtual(tmp_path / f"{at.start}.vrt", files, at) for at in (slice(0, 30), slice(30, 80))]
    with Mosaic(halves) as mosaic:
        assert mosaic.nodata == (0, -9999, None)
        np.testing.assert_array_equal(pw.raster.io.as_nan(mosaic.read()).values, cube)
    apart = [virtual(tmp_path / f"{at.start}.vrt", files, at) for at in (slice(0, 30), slice(50, 80))]
    with pytest.raises(FillValueError, match="would hold 0 between them"):
        Mosaic(apart)
