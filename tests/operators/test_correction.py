"""Corrections: against their formulas written out pixel by pixel, and on real Landsat and Sentinel-2 scenes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import pixelwise as pw
from pixelwise.errors import BandError, MissingDataError
from pixelwise.table.extract import all_pixels

c = pw.correction
RNG = np.random.default_rng(0)
GRID = pw.Grid("EPSG:32613", (30, 0, 0, 0, -30, 0), 8, 9)
TERRAIN = np.stack([RNG.uniform(0, 50, GRID.shape), RNG.uniform(0, 360, GRID.shape)])


def raster_of(bands: dict[str, Any], dtype: str = "float32", nodata: float | None = None) -> pw.Raster:
    values = np.stack([np.broadcast_to(band, GRID.shape) for band in bands.values()]).astype(dtype)
    return pw.Raster(values, GRID, tuple(bands), () if nodata is None else (nodata,))


@pytest.mark.parametrize(
    ("preset", "bands", "scaled", "scale", "offset"),
    [
        ("sentinel-2", ["B01", "B8A", "B12", "SCL", "QA60"], 3, 1e-4, 0.0),
        ("sentinel-2-04.00", ["B1", "B09", "B11", "sun_zenith"], 3, 1e-4, -0.1),
        ("landsat-c2-l1", ["B1", "B9", "B10", "B11", "QA_PIXEL"], 2, 2e-5, -0.1),
        ("landsat-c2-l2", ["SR_B1", "B7", "ST_B10", "SR_QA_AEROSOL", "QA_PIXEL"], 2, 2.75e-5, -0.2),
    ],
)
def test_a_preset_scales_its_reflectances_and_nothing_else(
    preset: str, bands: list[str], scaled: int, scale: float, offset: float
) -> None:
    raster = raster_of({name: RNG.integers(1, 20_000, GRID.shape) for name in bands}, "uint16", nodata=0)
    raster.values[0, 0, 0] = 0
    made = c.DNToReflectance(preset=preset)(raster)
    assert made.bands == raster.bands
    assert made.values.dtype == "float32"
    assert np.isnan(made.values[0, 0, 0])
    for band in range(scaled):
        expected = raster.values[band].astype(float) * scale + offset
        valid = raster.values[band] != 0
        np.testing.assert_allclose(made.values[band][valid], expected[valid], rtol=1e-6, atol=1e-7)
    assert np.array_equal(made.values[scaled:], raster.values[scaled:])


def test_scale_and_offset_are_one_number_or_one_a_band_by_order_or_name() -> None:
    raster = raster_of({"a": 10, "b": 20, "qa": 7}, "uint8")
    for scale, offset in ((0.5, 1), ([0.5, 0.5], [1, 1]), ({"a": 0.5, "b": 0.5}, {"b": 1, "a": 1})):
        made = c.DNToReflectance(scale=scale, offset=offset)(raster)
        assert made.values[:, 0, 0].tolist() == [6, 11, 7]
    assert c.DNToReflectance(scale=2, bands=["b", "qa"])(raster).values[:, 0, 0].tolist() == [10, 40, 14]
    assert c.DNToReflectance(offset=2, bands=[0])(raster).values[:, 0, 0].tolist() == [12, 20, 7]


def test_the_elevation_of_the_sun_divides_by_its_sine() -> None:
    raster = raster_of({"B4": 10_000}, "uint16")
    made = c.DNToReflectance(preset="landsat-c2-l1", sun_elevation=30.0)(raster)
    np.testing.assert_allclose(made.values, (10_000 * 2e-5 - 0.1) / 0.5, rtol=1e-6)


def test_cost_takes_the_path_off_and_divides_by_the_cosine() -> None:
    zenith = np.where(RNG.random(GRID.shape) < 0.2, RNG.uniform(85, 120, GRID.shape), RNG.uniform(2, 84.9, GRID.shape))
    raster = raster_of(
        {"B02": RNG.uniform(0, 1, GRID.shape), "B04": RNG.uniform(0, 1, GRID.shape), "sza": zenith, "QA60": 1024}
    )
    made = c.TOAToBOA(sun_zenith_band="sza", path={"B02": 0.08})(raster)
    for band, path in ((0, 0.08), (1, 0.0)):
        for at in np.ndindex(GRID.shape):
            angle = float(raster.values[2][at])
            expected = (float(raster.values[band][at]) - path) / math.cos(math.radians(angle)) if angle < 85 else math.nan
            assert made.values[band][at] == pytest.approx(expected, rel=2e-6, abs=1e-7, nan_ok=True)
    assert np.array_equal(made.values[2:], raster.values[2:])
    assert np.array_equal(c.TOAToBOA(sun_zenith_band=-2, path={"B02": 0.08})(raster).values, made.values, equal_nan=True)


def test_angles_in_radians_are_noticed() -> None:
    raster = raster_of({"B02": 0.5, "sza": RNG.uniform(0.4, 1.2, GRID.shape)})
    with pytest.raises(BandError, match=r"band 'sza' goes up to 1\.\d+, which looks like radians: convert it to degrees"):
        c.TOAToBOA("sza")(raster)
    missing = raster_of({"B02": 0.5, "sza": np.nan})
    assert np.isnan(c.TOAToBOA("sza")(missing).values[0]).all()


def test_dark_objects_of_a_real_scene_are_its_low_percentile(sentinel: dict[str, Path], landsat: Path) -> None:
    files = {band: sentinel[band] for band in ("B02", "B04", "B08")}
    scene = pw.open_raster(files)
    dark = c.dark_objects(scene, percentile=1)
    for band in files:
        values = scene.sel(band=band).values
        step = max(1, math.ceil(math.sqrt(values.size / 1e6)))
        values = values[::step, ::step]
        assert dark[band] == pytest.approx(
            np.percentile(values[values > 0] if 0 in scene.attrs.values() else values, 1), rel=0.02
        )
    made = c.DarkObjectSubtraction(dark, reflects=100)(scene)
    assert (
        float(
            (
                made - (scene.astype("float32") - xr.DataArray([dark[b] - 100 for b in files], {"band": list(files)}, "band"))
            ).max()
        )
        < 0.01
    )
    with pytest.raises(BandError, match="percentile=101"):
        c.dark_objects(landsat, percentile=101)


def test_dark_objects_pass_over_missing_data_and_quality_bands() -> None:
    raster = raster_of({"red": np.where(np.arange(72).reshape(8, 9) < 5, 0, 50), "QA_PIXEL": 1}, "uint8", nodata=0)
    assert c.dark_objects(raster, percentile=0) == {"red": 50}
    with pytest.raises(MissingDataError, match="band red has no valid pixel"):
        c.dark_objects(raster_of({"red": 0}, "uint8", nodata=0))


@pytest.mark.parametrize("constant", [0.0, 0.4])
def test_slopes_are_lit_as_the_formula_says(constant: float) -> None:
    raster = raster_of({"red": RNG.uniform(1, 2, GRID.shape), "slope": TERRAIN[0], "aspect": TERRAIN[1]}, "float64")
    made = c.CosineCorrection(55.0, 140.0, c=constant)(raster)
    for at in np.ndindex(GRID.shape):
        z, a, s, o = (math.radians(angle) for angle in (55, 140, raster.values[1][at], raster.values[2][at]))
        cos_i = math.cos(z) * math.cos(s) + math.sin(z) * math.sin(s) * math.cos(a - o)
        lit = cos_i + constant > 0
        expected = raster.values[0][at] * (math.cos(z) + constant) / (cos_i + constant) if lit else math.nan
        assert made.values[0][at] == pytest.approx(expected, rel=1e-12, nan_ok=True)
    assert np.array_equal(made.values[1:], raster.values[1:])


def test_angles_may_be_bands_and_flat_ground_has_no_aspect() -> None:
    bands = {"red": 1.0, "slope": 0.0, "aspect": np.nan, "sza": 40.0, "saa": 100.0}
    raster = raster_of(bands, "float64")
    made = c.CosineCorrection("sza", "saa")(raster)
    assert np.allclose(made.values[0], 1)
    tilted = raster_of({**bands, "slope": TERRAIN[0], "aspect": TERRAIN[1]}, "float64")
    by_band, by_number = c.CosineCorrection("sza", "saa")(tilted), c.CosineCorrection(40.0, 100.0)(tilted)
    np.testing.assert_allclose(by_band.values, by_number.values, rtol=1e-12)


def test_c_parameters_are_found_again() -> None:
    grid = pw.Grid("EPSG:32613", (30, 0, 0, 0, -30, 0), 60, 60)
    slope, aspect = RNG.uniform(0, 40, grid.shape), RNG.uniform(0, 360, grid.shape)
    terrain = pw.Raster(np.stack([slope, slope, slope, aspect]), grid, ("red", "nir", "slope", "aspect"))
    light = c.CosineCorrection(45.0, 150.0).illumination(terrain)[1]
    scene = terrain.with_values(np.stack([200 + 400 * light, 100 + 1000 * light, slope, aspect]))
    found = c.c_parameters(scene, 45.0, 150.0)
    assert found == pytest.approx({"red": 0.5, "nir": 0.1})
    flat = c.CosineCorrection(45.0, 150.0, c=found)(scene)
    assert np.nanstd(flat.values[:2], axis=(1, 2)) == pytest.approx([0, 0], abs=1e-6)
    small = scene.with_values(scene.values[:, :3, :3], grid=grid.window(0, 0, 3, 3))
    with pytest.raises(MissingDataError, match="9 pixels of band red have terrain and data"):
        c.c_parameters(small, 45.0, 150.0)


def test_slope_and_aspect_come_from_the_elevations_in_front() -> None:
    dem = (np.cumsum(RNG.normal(0, 5, GRID.shape), axis=1) + 500).astype("float32")
    raster = raster_of({"red": 100, "dem": dem})
    steps = pw.Sequential([pw.terrain.Slope("dem"), pw.terrain.Aspect("dem"), c.CosineCorrection(30.0, 180.0, c=0.3)])
    made = steps(raster)
    assert made.bands == ("red", "dem", "slope", "aspect")
    assert np.array_equal(made.values[1], dem)
    assert np.nanstd(made.values[0]) > 1


def test_stacks_tables_and_lazy_rasters_give_what_the_raster_gives(scene: Path) -> None:
    raster = pw.open_raster(scene)
    angles = xr.full_like(raster[:1], 40).assign_coords(band=["sza"])
    whole = xr.concat([raster, angles], "band")
    operators = [
        c.DNToReflectance(preset="sentinel-2"),
        c.TOAToBOA("sza", path=30.0),
        c.DarkObjectSubtraction({"B02": 10, "B03": 20, "B04": 30, "B08": 40}),
    ]
    for operator in operators:
        made = operator(whole)
        xr.testing.assert_equal(operator(whole.chunk({"x": 30})).compute(), made)
        table = operator.fit_transform(all_pixels(whole))
        assert np.array_equal(np.asarray(table), pw.ToPixelMajor()(made))
        twice = xr.concat(
            [whole, whole], xr.DataArray(np.array(["2020-01-01", "2021-01-01"], "datetime64[ns]"), dims="time", name="time")
        )
        stacked = operator(twice.transpose("band", "time", "y", "x"))
        assert np.array_equal(stacked.isel(time=1), made)


@pytest.mark.parametrize(
    ("operator", "said"),
    [
        (c.DNToReflectance(), "nothing says how to scale"),
        (c.DNToReflectance("sentinel-3"), "preset='sentinel-3' is not known: choose one of 'sentinel-2'"),
        (c.DNToReflectance("sentinel-2", scale=2), "knows scale and offset: leave out one"),
        (c.DNToReflectance("sentinel-2"), "no band among red, nir, slope, aspect has a name of sentinel-2's reflectances"),
        (c.DNToReflectance(scale=[1, 2, 3]), "scale has 3 values for 2 bands"),
        (c.DNToReflectance(scale={"red": 2}), "scale has no value for band nir"),
        (c.DNToReflectance(scale={"blue": 2}), "scale='blue' is no band of the raster"),
        (c.DNToReflectance(scale=1, sun_elevation=-3), "sun_elevation=-3: give degrees above the horizon"),
        (c.TOAToBOA("sza"), "sun_zenith_band='sza' is no band of the raster"),
        (c.DarkObjectSubtraction({"red": 1}), "dark has no value for band nir"),
        (c.CosineCorrection(95.0, 180.0), "sun_zenith=95.0: give degrees from 0.0 to 90.0 as a float"),
        (c.CosineCorrection(30.0, 180.0, slope="steepness"), "slope='steepness' is no band"),
    ],
    ids=range(12),
)
def test_what_makes_no_sense_is_refused(operator: Any, said: str) -> None:
    raster = raster_of({"red": 1, "nir": 2, "slope": 3, "aspect": 4})
    with pytest.raises(BandError, match=said):
        operator(raster)
