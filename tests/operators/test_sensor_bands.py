from __future__ import annotations

import pytest

from pixelwise.errors import BandError
from pixelwise.operators.sensor_bands import PLATFORMS, find_bands

spyndex = pytest.importorskip("spyndex", reason="spyndex is not there")

SENTINEL = [f"B{number:02d}" for number in range(1, 9)] + ["B8A", "B09", "B10", "B11", "B12"]
PLAIN = [name.replace("B0", "B") for name in SENTINEL]


def find(names: list[str], letters: list[str], platform: str | None = None) -> list[str]:
    found = find_bands(names, letters, spyndex.bands, platform, "EVI")
    return [names[found[letter]] for letter in letters]


@pytest.mark.parametrize(
    ("names", "letters", "platform", "expected"),
    [
        (SENTINEL, ["B", "G", "R", "N", "S1", "S2"], None, ["B02", "B03", "B04", "B08", "B11", "B12"]),
        (SENTINEL, ["A", "RE1", "RE2", "RE3", "N2", "WV"], None, ["B01", "B05", "B06", "B07", "B8A", "B09"]),
        (PLAIN, ["B", "R", "N", "S1"], None, ["B2", "B4", "B8", "B11"]),
        (["B02", "B03", "B04", "B08"], ["R", "N"], None, ["B04", "B08"]),
        (["B02", "B03", "B04"], ["R", "G"], None, ["B04", "B03"]),
        (["B04", "B8A", "B11"], ["N"], None, ["B8A"]),
        (["B8", "B4"], ["R", "N"], "sentinel2", ["B4", "B8"]),
        (["B4", "B5"], ["R", "N"], "landsat8", ["B4", "B5"]),
        (["B3", "B4"], ["R", "N"], "landsat5", ["B3", "B4"]),
        (["SR_B4", "SR_B5", "ST_B10"], ["R", "N", "T1"], None, ["SR_B4", "SR_B5", "ST_B10"]),
        (["sur_refl_b01", "sur_refl_b02"], ["R", "N"], None, ["sur_refl_b01", "sur_refl_b02"]),
        (["Red", "NIR", "swir16", "swir22"], ["N", "R", "S1", "S2"], None, ["NIR", "Red", "swir16", "swir22"]),
        (["red", "nir08"], ["N", "N2"], None, ["nir08", "nir08"]),
        (["red", "nir", "nir08"], ["N", "N2"], None, ["nir", "nir08"]),
        (["rededge1", "nir"], ["RE1"], None, ["rededge1"]),
        (["R", "N", "B"], ["N", "B"], None, ["N", "B"]),
        (["VV", "vh"], ["VV", "VH"], None, ["VV", "vh"]),
        (["ndvi", "B04", "B08", "dem"], ["N"], None, ["B08"]),
    ],
)
def test_names_tell_bands(names: list[str], letters: list[str], platform: str | None, expected: list[str]) -> None:
    assert find(names, letters, platform) == expected


@pytest.mark.parametrize(
    ("names", "letter", "message"),
    [
        (["B4", "B5"], "N", "where it is none of sentinel2, B4 of landsat4, B5 of landsat8"),
        (["B2", "B3", "B4", "B5"], "R", "R .Red, 620-690 nm., and the bands B2, B3, B4, B5 could be of several sensors"),
        (["B02", "B03", "B04", "B05", "B06", "B07"], "N", "where it is none of sentinel2, B05 of landsat8"),
        (["B10", "B11", "B5"], "S1", "give platform='sentinel2' or another, or say which it is, bands={'S1': ...}"),
        (["SR_B3", "SR_B4"], "R", "SR_B3 of landsat4, SR_B4 of landsat8"),
    ],
)
def test_names_that_sensors_disagree_about_are_refused(names: list[str], letter: str, message: str) -> None:
    with pytest.raises(BandError, match=message):
        find(names, [letter])


@pytest.mark.parametrize("names", [["band_1", "band_2"], ["B04", "B08"], ["B77"], ["green", "nir"]])
def test_a_band_that_is_not_there_is_told(names: list[str]) -> None:
    with pytest.raises(BandError, match=r"EVI needs S2 \(.*2080-2350 nm\), and no name among .* tells that a band is it"):
        find(names, ["S2"])


def test_a_platform_without_such_a_band_is_told() -> None:
    with pytest.raises(BandError, match="needs VV, and no name"):
        find(["B1", "B2"], ["VV"])
    with pytest.raises(BandError, match="needs RE1"):
        find(["B1", "B5"], ["RE1"], "landsat8")


def test_an_unknown_platform_is_told() -> None:
    with pytest.raises(BandError, match="platform='sentinel3' is not known: choose one of sentinel2, landsat4"):
        find(["B1"], ["R"], "sentinel3")


def test_the_platforms_are_those_of_the_catalogue() -> None:
    known = {name for band in spyndex.bands.values() for name in vars(band) if hasattr(getattr(band, name), "wavelength")}
    assert known - {"sentinel2a", "sentinel2b"} == set(PLATFORMS) - {"sentinel2"}
    for band in spyndex.bands.values():
        if hasattr(band, "sentinel2a"):
            assert band.sentinel2a.band == band.sentinel2b.band
