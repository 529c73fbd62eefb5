from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from sklearn.base import clone

import pixelwise as pw
from pixelwise.errors import BandError, DependencyMissingError
from pixelwise.operators.catalogue import formula_of, needs_reflectance

spyndex = pytest.importorskip("spyndex", reason="spyndex is not there")
SpectralIndex = pw.indices.SpectralIndex

#: Kernels are given to spyndex as numbers that its own function computes.
KERNELS = {kernel for index in spyndex.indices.values() for kernel in index.bands if kernel[0] == "k" and len(kernel) == 3}


@pytest.fixture(scope="module")
def stored(sentinel: dict[str, Path]) -> xr.DataArray:
    """Thirteen bands of a real Sentinel-2 scene on one grid, as uint16 ten thousandths."""
    return pw.open_raster(sentinel)[:, :120, :130]


@pytest.fixture(scope="module")
def reflectance(stored: xr.DataArray) -> xr.DataArray:
    return stored.astype("float32") / 10_000


def value_of(part: str) -> float:
    default = spyndex.constants[part].default
    return (
        {"G": 560.0, "R": 665.0, "N": 833.0, "N2": 865.0, "S1": 1610.0, "S2": 2200.0}.get(part[6:], 0.7)
        if default is None
        else float(default)
    )


@pytest.mark.parametrize("name", list(spyndex.indices))
def test_each_index_of_the_catalogue_is_that_of_spyndex(name: str) -> None:
    parts = spyndex.indices[name].bands
    constants = {part: value_of(part) for part in parts if part in spyndex.constants}
    letters = [part for part in parts if part not in constants and part not in KERNELS]
    letters += [letter for part in parts if part in KERNELS for letter in part[1:] if letter not in spyndex.constants]
    letters = list(dict.fromkeys(letters))
    values = np.random.default_rng(5).uniform(0.01, 0.9, (len(letters), 9, 11)).astype("float32")
    if not KERNELS.intersection(parts):
        values[0, 0, :3] = 0
    given: dict[str, Any] = {**dict(zip(letters, values, strict=True)), **constants}
    with np.errstate(all="ignore"):
        for part in KERNELS.intersection(parts):
            a, b = (given.get(letter, 1.0) for letter in part[1:])
            given[part] = spyndex.computeKernel("RBF", {"a": a, "b": b, "sigma": (a + b) / 2})
        expected = spyndex.computeIndex(name, given)
    missing = {part: value for part, value in constants.items() if spyndex.constants[part].default is None}
    bands = {letter: at for at, letter in enumerate(letters)}
    found = SpectralIndex(name, bands=bands, constants=missing)(values)
    assert (found.dtype, found.shape) == (np.float32, (1, 9, 11))
    np.testing.assert_allclose(found[0], np.where(np.isfinite(expected), expected, np.nan), rtol=2e-6)


def test_formulas_on_a_real_scene_are_those_written_out(stored: xr.DataArray, reflectance: xr.DataArray) -> None:
    b = {name: reflectance.sel(band=name).values for name in ("B02", "B03", "B04", "B05", "B08", "B8A", "B11", "B12")}
    written = {
        "EVI": 2.5 * (b["B08"] - b["B04"]) / (b["B08"] + 6 * b["B04"] - 7.5 * b["B02"] + 1),
        "NDVI": (b["B08"] - b["B04"]) / (b["B08"] + b["B04"]),
        "NDMI": (b["B08"] - b["B11"]) / (b["B08"] + b["B11"]),
        "NBR": (b["B08"] - b["B12"]) / (b["B08"] + b["B12"]),
        "MNDWI": (b["B03"] - b["B11"]) / (b["B03"] + b["B11"]),
        "NDREI": (b["B08"] - b["B05"]) / (b["B08"] + b["B05"]),
    }
    for name, expected in written.items():
        found = SpectralIndex(name)(reflectance)
        assert (found.band.values.tolist(), found.dtype) == ([name], np.float32)
        np.testing.assert_allclose(found.values[0], expected, rtol=1e-4, atol=1e-6)
        assert found.rio.crs == stored.rio.crs
    ndvi = SpectralIndex("NDVI")(stored)
    assert ndvi.dtype == np.float32
    assert np.array_equal(ndvi, pw.indices.NDVI(red="B04", nir="B08")(stored))
    with np.errstate(all="ignore"):
        whole = spyndex.computeIndex("EVI", N=b["B08"], R=b["B04"], B=b["B02"], g=2.5, C1=6.0, C2=7.5, L=1.0)
    assert np.array_equal(SpectralIndex("EVI")(reflectance).values[0], whole)


def test_constants_can_be_others(reflectance: xr.DataArray) -> None:
    red, nir = (reflectance.sel(band=band).values for band in ("B04", "B08"))
    found = SpectralIndex("SAVI", constants={"L": 0.5})(reflectance)
    np.testing.assert_allclose(found.values[0], 1.5 * (nir - red) / (nir + red + 0.5), rtol=1e-5)
    assert not np.array_equal(found, SpectralIndex("SAVI")(reflectance))
    wide = SpectralIndex("kNDVI", constants={"sigma": 100})(reflectance)
    assert float(wide.max()) < float(SpectralIndex("kNDVI")(reflectance).max())


def test_sklearn_sees_all_parameters() -> None:
    operator = SpectralIndex("SAVI", bands={"N": 1}, constants={"L": 0.5}, platform="landsat8")
    assert clone(operator).get_params() == operator.get_params()
    assert operator.get_params()["constants"] == {"L": 0.5}


def test_it_is_appended_like_any_index(stored: xr.DataArray) -> None:
    found = pw.indices.AppendIndex(SpectralIndex("NDMI"), name="ndmi")(stored.isel(band=slice(7, 12)))
    assert found.band.values.tolist()[-2:] == [stored.band.values[11], "ndmi"]


def test_what_has_no_value_is_nan_and_quiet() -> None:
    values = np.array([[[0.0, 0.2, np.nan]], [[0.0, 0.4, 0.4]]])
    assert np.isnan(SpectralIndex("NDVI", {"R": 0, "N": 1})(values)).tolist() == [[[True, False, True]]]
    assert np.isnan(SpectralIndex("RDVI", {"R": 0, "N": 1})(np.array([[[-0.5]], [[0.1]]]))).all()


def test_radar_bands_are_found_by_their_names() -> None:
    coords = {"band": ["vv", "vh"]}
    power = xr.DataArray(np.array([[[0.2]], [[0.05]]]), coords, ("band", "y", "x"))
    assert SpectralIndex("DpRVIVV")(power).values.item() == pytest.approx(4 * 0.05 / 0.25)


def test_an_index_that_is_not_there_names_those_like_it() -> None:
    with pytest.raises(BandError, match=r"there is no index 'evi9' among the \d+ of the catalogue: did you mean EVI"):
        SpectralIndex("evi9")(np.ones((2, 1, 1)))
    with pytest.raises(BandError, match=r"list\(spyndex.indices\) has the names"):
        SpectralIndex("?")(np.ones((2, 1, 1)))


@pytest.mark.parametrize(
    ("operator", "message"),
    [
        (SpectralIndex("EVI", bands={"Q": 0}), "EVI takes no band 'Q': it takes N, R, B"),
        (SpectralIndex("NDVI", bands={"N": "B99"}), r"bands\['N'\]='B99' is no band"),
        (SpectralIndex("NDVI", constants={"L": 1}), "NDVI has no constant 'L': it has none"),
        (SpectralIndex("EVI", constants={"l": 1}), "EVI has no constant 'l': it has C1, C2, L, g"),
        (SpectralIndex("fPAR" if "fPAR" in spyndex.indices else "FAI"), "needs the constant"),
    ],
)
def test_what_cannot_be_is_told(operator: Any, message: str, reflectance: xr.DataArray) -> None:
    with pytest.raises(BandError, match=message):
        operator(reflectance)


def test_numbers_that_are_no_reflectance_are_refused_where_it_matters(stored: xr.DataArray) -> None:
    with pytest.raises(BandError, match="EVI is defined on reflectance from 0 to 1, and half of B02 is"):
        SpectralIndex("EVI")(stored)
    assert SpectralIndex("NDVI")(stored).notnull().all()
    X = stored.values.astype("float32").reshape(13, -1).T
    with pytest.raises(BandError, match="reflectance"):
        SpectralIndex("SAVI", {"N": 7, "R": 3}).fit(X).transform(X)
    empty = np.full((2, 3, 3), np.nan)
    assert np.isnan(SpectralIndex("SAVI", {"N": 0, "R": 1})(empty)).all()


def test_ratios_need_no_reflectance_and_sums_with_constants_do() -> None:
    assert not needs_reflectance("DVI", ())
    assert not needs_reflectance("GDVI", (("nexp", 2.0),))
    assert not needs_reflectance("DPDD", ())
    assert needs_reflectance("BAI", ())
    assert needs_reflectance("NLI", ())
    assert formula_of("kEVI").letters == ("N", "R", "B")


def test_parts_of_a_large_raster_do_not_show() -> None:
    large = np.random.default_rng(0).random((2, 300, 701)).astype("float32")
    operator = SpectralIndex("SAVI", {"N": 0, "R": 1})
    assert np.array_equal(operator(large)[:, 17:290, 5:], operator(large[:, 17:290, 5:].copy()))


def test_a_table_and_a_lazy_raster_give_the_same(raster: xr.DataArray, polygons: Path) -> None:
    X, _ = pw.extract_pixels(raster, polygons, column="class")
    operator = pw.indices.AppendIndex(SpectralIndex("GNDVI"))
    table = operator.fit_transform(X)
    assert table.feature_names == ("B02", "B03", "B04", "B08", "GNDVI")
    assert np.array_equal(np.asarray(table), pw.ToPixelMajor()(operator(raster))[X.pixel])
    xr.testing.assert_equal(operator(raster.chunk({"y": 16})).compute(), operator(raster))


def test_without_spyndex_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spyndex", None)
    formula_of.cache_clear()
    with pytest.raises(DependencyMissingError, match=r"pip install 'pixelwise\[indices\]'"):
        SpectralIndex("NDVI")(np.ones((2, 1, 1)))
