from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

from pixelwise.errors import FoldError
from pixelwise.model_selection.variogram import EmpiricalVariogram, empirical_variogram
from pixelwise.model_selection.variogram_models import VariogramModel, fit_variogram

#: gstat stops a little before the minimum, so its digits differ from start to start in the fifth place.
CLOSE = 3e-5


@pytest.fixture(scope="module")
def soil(meuse: Path) -> gpd.GeoDataFrame:
    """155 soil samples in the flood plain of the Meuse, in metres."""
    return gpd.read_file(meuse / "meuse.shp")


def made(distances: np.ndarray, gamma: np.ndarray, counts: np.ndarray | None = None) -> EmpiricalVariogram:
    counts = np.full(len(distances), 100) if counts is None else counts
    return EmpiricalVariogram(distances, gamma, counts, np.column_stack([distances - 1, distances + 1]), 100)


def test_gstats_spherical_model_of_log_zinc_comes_out(soil: gpd.GeoDataFrame) -> None:
    model = fit_variogram(empirical_variogram(soil, np.log(soil["zinc"]), edges="equal"))
    assert model.name == "spherical"
    assert (model.nugget, model.psill, model.range) == pytest.approx((0.05065971, 0.59060511, 897.0011), rel=CLOSE)
    assert (round(model.nugget, 4), round(model.psill, 4), round(model.range)) == (0.0507, 0.5906, 897)


def test_gstats_exponential_model_of_zinc_comes_out(soil: gpd.GeoDataFrame) -> None:
    model = fit_variogram(empirical_variogram(soil, soil["zinc"].astype(float), edges="equal"), ["exponential"])
    assert (model.nugget, model.psill, model.range) == pytest.approx((9486.4, 163285.3, 381.7076), rel=CLOSE)


def test_automaps_model_of_zinc_comes_out(soil: gpd.GeoDataFrame) -> None:
    model = fit_variogram(empirical_variogram(soil, soil["zinc"].astype(float)))
    assert (model.name, model.kappa, round(model.sse)) == ("stein", 1.1, 4235991)
    assert (model.nugget, model.psill, model.range) == pytest.approx((31957.45, 133556.03, 485.5088), rel=CLOSE)


def test_automaps_model_of_the_residuals_of_zinc_comes_out(soil: gpd.GeoDataFrame) -> None:
    classes = pd.get_dummies(soil[["soil", "ffreq"]].astype(str), drop_first=True, dtype=float)
    known = np.column_stack([np.ones(155), classes, soil["dist"]])
    zinc = soil["zinc"].to_numpy(float)
    residuals = zinc - known @ np.linalg.lstsq(known, zinc, rcond=None)[0]
    found = empirical_variogram(soil, residuals)
    assert found.gamma.round(2)[[0, 1, -1]].tolist() == [23959.65, 16671.65, 72043.88]
    model = fit_variogram(found)
    assert (model.name, model.kappa, round(model.sse)) == ("stein", 0.3, 2044182)
    # The nugget lies in a flat valley: gstat's is 1e-3 off the minimum, at an error that is no smaller.
    assert (model.psill, model.range) == pytest.approx((68746.155, 482.0264), rel=2e-4)
    assert model.nugget == pytest.approx(2454.994, rel=1e-3)


def test_a_nugget_below_zero_is_set_to_zero_as_in_gstats_test_suite(soil: gpd.GeoDataFrame) -> None:
    bins = empirical_variogram(soil, np.log(soil["zinc"]), cutoff=500, width=100)
    model = fit_variogram(made(bins.distances, np.array([0.5, 1, 2, 3, 3]), bins.counts), ["spherical"])
    assert model.nugget == 0
    assert (model.psill, model.range) == pytest.approx((7.878195, 1567.77), rel=1e-6)


@pytest.mark.parametrize(
    "true",
    [
        VariogramModel("spherical", 0.2, 0.8, 300.0),
        VariogramModel("exponential", 0.1, 2.0, 120.0),
        VariogramModel("gaussian", 5.0, 20.0, 250.0),
        VariogramModel("stein", 0.0, 1.0, 200.0, kappa=0.3),
    ],
)
def test_a_model_is_found_in_its_own_values(true: VariogramModel) -> None:
    h = np.array([20.0, 40, 70, 100, 150, 200, 300, 400, 500, 600])
    found = fit_variogram(made(h, true(h)))
    assert (found.name, found.kappa) == (true.name, true.kappa)
    assert (found.nugget, found.psill, found.range) == pytest.approx((true.nugget, true.psill, true.range), rel=1e-4, abs=1e-5)
    assert found.practical_range == pytest.approx(true.practical_range, rel=1e-4)


def test_the_error_is_weighted_by_pairs_and_squared_distance() -> None:
    h, gamma, counts = np.array([10.0, 20, 30, 40]), np.array([1.0, 3, 2, 5]), np.array([5, 10, 20, 40])
    model = fit_variogram(made(h, gamma, counts), ["exponential"])
    assert model.sse == pytest.approx((counts / h**2 * (gamma - model(h)) ** 2).sum())


@pytest.mark.parametrize(
    ("model", "ranges", "share"),
    [
        (VariogramModel("spherical", 0, 1, 1.0), 1.0, 1.0),
        (VariogramModel("exponential", 0, 1, 1.0), 2.9957, 0.95),
        (VariogramModel("gaussian", 0, 1, 1.0), 1.7308, 0.95),
        (VariogramModel("stein", 0, 1, 1.0, kappa=0.5), 2.9957 / np.sqrt(2), 0.95),
    ],
)
def test_the_practical_range_is_where_the_rise_is_nearly_done(model: VariogramModel, ranges: float, share: float) -> None:
    assert float(model(model.practical_range)) == pytest.approx(share)
    assert model.practical_range == pytest.approx(ranges, rel=1e-4)


def test_steins_model_of_smoothness_a_half_is_the_exponential_one() -> None:
    h = np.linspace(0, 500, 26)
    assert np.allclose(
        VariogramModel("stein", 0.1, 2, 100 * np.sqrt(2), kappa=0.5)(h), VariogramModel("exponential", 0.1, 2, 100)(h)
    )


def test_the_exponential_model_wins_against_its_equal() -> None:
    h = np.arange(10.0, 200, 20)
    assert fit_variogram(made(h, VariogramModel("exponential", 0.1, 1.0, 50.0)(h))).name == "exponential"


def test_a_variogram_that_does_not_rise_is_a_nugget_without_range() -> None:
    model = fit_variogram(made(np.array([10.0, 20, 30, 40]), np.array([2.0, 1.5, 1.2, 1.0])))
    assert model.psill == 0
    assert model.practical_range == 0
    assert model.sill == model.nugget


def test_a_variogram_is_zero_at_no_distance_and_jumps_to_its_nugget() -> None:
    assert VariogramModel("gaussian", 0.5, 1, 100)([0, 1e-9, 1e6]).tolist() == pytest.approx([0, 0.5, 1.5])


def test_two_bins_are_too_few() -> None:
    with pytest.raises(FoldError, match="fill 2 of 3 bins"):
        fit_variogram(made(np.array([10.0, 20]), np.array([1.0, 2])))


@pytest.mark.parametrize("models", [["power"], [], "spherical"])
def test_unknown_models_are_refused(models: list[str]) -> None:
    with pytest.raises(FoldError, match="choose among 'spherical', 'exponential', 'gaussian', 'stein'"):
        fit_variogram(made(np.array([10.0, 20, 30]), np.array([1.0, 2, 3])), models)
