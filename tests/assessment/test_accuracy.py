"""Design-based estimates: the papers' figures, independent formulas, and inputs that cannot be right."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pixelwise as pw
from pixelwise.errors import LabelError, PixelwiseWarning

#: Olofsson et al. (2014), section 5: Landsat pixels of 0.09 ha.
MATRIX = [[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]]
PIXELS = [200_000, 150_000, 3_200_000, 6_450_000]
NAMES = ["deforestation", "forest gain", "stable forest", "stable non-forest"]

#: Stehman (2014), table 2: stratum, map class and reference class of 40 samples.
STRATUM = list("A" * 10 + "B" * 10 + "C" * 10 + "D" * 10)
MAPPED = list("AAAAAAABBB" + "ABBBBBBBBB" + "BBCCCCCCBB" + "DDDDDDDDDD")
SEEN = list("AAAAACBABC" + "ABBBBBAABB" + "CCCCCDDBBA" + "DDDDDDDCCB")
SIZES = {"A": 40_000, "B": 30_000, "C": 20_000, "D": 10_000}


@pytest.fixture
def olofsson():
    return pw.estimate_accuracy(matrix=MATRIX, areas=PIXELS, classes=NAMES, pixel_area=0.09)


@pytest.fixture
def stehman():
    return pw.estimate_accuracy(MAPPED, SEEN, strata=STRATUM, strata_sizes=SIZES)


# ---- published figures ----


def test_olofsson_2014_overall_accuracy(olofsson) -> None:
    assert olofsson.overall.estimate == pytest.approx(0.9465118881, abs=5e-11)
    assert olofsson.overall.se == pytest.approx(0.0094304172, abs=5e-11)
    assert olofsson.method == "Olofsson 2014"


def test_olofsson_2014_users_and_producers(olofsson) -> None:
    assert olofsson.users.estimate.round(2).tolist() == [0.88, 0.73, 0.93, 0.96]
    assert olofsson.producers.estimate.round(7).tolist() == [0.7486614, 0.8471564, 0.9345089, 0.9616090]
    assert olofsson.producers.se.round(7).tolist() == [0.1088316, 0.1298002, 0.0175125, 0.0093681]
    half = (1.96 * olofsson.users.se).round(2)
    assert half.tolist() == [0.07, 0.10, 0.04, 0.02]


def test_olofsson_2014_areas_in_hectares(olofsson) -> None:
    low, high = olofsson.areas.interval(0.95)
    assert olofsson.areas.estimate.round().tolist() == [21158, 11686, 285770, 581386]
    assert ((high - low) / 2).round().tolist() == [6158, 3756, 15510, 16282]
    assert olofsson.areas.estimate.sum() == pytest.approx(0.09 * sum(PIXELS))
    assert olofsson.unit == "ha"
    assert olofsson.map_areas.round().tolist() == [18000, 13500, 288000, 580500]


def test_olofsson_2013_deforestation_in_mato_grosso() -> None:
    made = pw.estimate_accuracy(matrix=[[97, 0, 3], [3, 279, 18], [2, 1, 97]], areas=[22353, 1122543, 610228])
    # Table 4 of the paper.
    assert made.users.estimate.round(2).tolist() == [0.97, 0.93, 0.97]
    assert made.producers.estimate.round(2).tolist() == [0.48, 0.99, 0.90]
    assert round(made.overall.estimate, 3) == 0.944
    assert made.proportions.round(3).tolist() == [[0.012, 0, 0], [0.006, 0.595, 0.038], [0.007, 0.003, 0.337]]
    assert made.proportions.sum(axis=0).round(3).tolist() == [0.026, 0.598, 0.376]
    assert made.areas[0].estimate == pytest.approx(45112.4, abs=0.05)


@pytest.mark.parametrize(("matrix", "users"), [([[166, 10], [3, 180]], [0.94, 0.98]), ([[160, 13], [1, 189]], [0.92, 0.99])])
def test_olofsson_2013_two_maps_of_two_classes(matrix, users) -> None:
    made = pw.estimate_accuracy(matrix=matrix, areas=[57550, 280693])
    assert made.users.estimate.round(2).tolist() == users
    by_hand = np.array(matrix) / np.sum(matrix, axis=1)[:, None] * np.array([[57550], [280693]])
    assert np.allclose(made.producers.estimate, np.diag(by_hand) / by_hand.sum(axis=0))


def test_stehman_2014_worked_example(stehman) -> None:
    assert round(stehman.areas["A"].estimate / 1e5, 2) == 0.35
    assert round(stehman.areas["A"].se / 1e5, 3) == 0.082
    assert round(stehman.areas["C"].estimate / 1e5, 2) == 0.20
    assert round(stehman.areas["C"].se / 1e5, 3) == 0.064
    assert (round(stehman.overall.estimate, 2), round(stehman.overall.se, 3)) == (0.63, 0.085)
    assert (round(stehman.users["B"].estimate, 3), round(stehman.users["B"].se, 3)) == (0.574, 0.125)
    assert round(stehman.producers["B"].estimate, 3) == 0.794
    assert stehman.proportions[1, 2] == pytest.approx(0.08)
    assert (stehman.method, stehman.unit) == ("Stehman 2014", "pixels")


# ---- independent formulas ----


def expansion(y, x=None, stratum=STRATUM, sizes=SIZES, correct=True):
    """Return a mean or ratio and its standard error, sample by sample, from the definition."""
    stratum, y = np.array(stratum), np.asarray(y, float)
    x = np.ones(len(y)) if x is None else np.asarray(x, float)
    rows = [(size, y[stratum == h], x[stratum == h]) for h, size in sizes.items()]
    below = sum(size * own.mean() for size, _, own in rows)
    ratio = sum(size * own.mean() for size, own, _ in rows) / below
    variance = 0.0
    for size, above, own in rows:
        n = len(above)
        s_yy, s_xx, s_xy = np.var(above, ddof=1), np.var(own, ddof=1), np.cov(above, own)[0, 1]
        part = size**2 * (s_yy + ratio**2 * s_xx - 2 * ratio * s_xy) / n
        variance += part * (1 - n / size if correct else 1)
    return ratio, np.sqrt(max(variance, 0)) / below


@pytest.mark.parametrize("label", list("ABCD"))
def test_every_measure_is_the_expansion_estimator_of_its_definition(stehman, label: str) -> None:
    mapped, seen = np.array(MAPPED) == label, np.array(SEEN) == label
    both = mapped & seen
    for found, (y, x) in {
        stehman.users[label]: (both, mapped),
        stehman.producers[label]: (both, seen),
        stehman.f1[label]: (2 * both, mapped.astype(int) + seen),
    }.items():
        assert (found.estimate, found.se) == pytest.approx(expansion(y, x))
    share, se = expansion(seen)
    assert (stehman.areas[label].estimate, stehman.areas[label].se) == pytest.approx((1e5 * share, 1e5 * se))


def closed_form(counts, areas):
    """Return Olofsson et al.'s own equations: overall, user's and producer's standard errors, and those of areas."""
    counts, areas = np.asarray(counts, float), np.asarray(areas, float)
    k, n = len(counts), counts.sum(axis=1)
    w, u, p = areas / areas.sum(), np.diag(counts) / n, counts / n[:, None]
    total = (areas[:, None] * p).sum(axis=0)
    producers = areas * u / total
    se_producers = np.zeros(k)
    for j in range(k):
        own = areas[j] ** 2 * (1 - producers[j]) ** 2 * u[j] * (1 - u[j]) / (n[j] - 1)
        rest = sum(areas[i] ** 2 * p[i, j] * (1 - p[i, j]) / (n[i] - 1) for i in range(k) if i != j)
        se_producers[j] = np.sqrt(own + producers[j] ** 2 * rest) / total[j]
    overall = np.sqrt((w**2 * u * (1 - u) / (n - 1)).sum())
    se_areas = areas.sum() * np.sqrt((w[:, None] ** 2 * p * (1 - p) / (n[:, None] - 1)).sum(axis=0))
    return overall, np.sqrt(u * (1 - u) / (n - 1)), se_producers, se_areas


@st.composite
def samples(draw):
    k = draw(st.integers(2, 4))
    counts = draw(st.lists(st.lists(st.integers(0, 20), min_size=k, max_size=k), min_size=k, max_size=k))
    # Two of each class in both, so that nothing is undefined.
    return np.array(counts) + 2 * np.eye(k, dtype=int), np.array(
        draw(st.lists(st.integers(500, 10**6), min_size=k, max_size=k))
    )


@given(samples())
def test_stratified_by_the_map_the_equations_are_those_of_olofsson(sample) -> None:
    counts, areas = sample
    made = pw.estimate_accuracy(matrix=counts, areas=areas)
    overall, users, producers, se_areas = closed_form(counts, areas)
    assert made.overall.se == pytest.approx(overall, abs=1e-9)
    assert made.users.se == pytest.approx(users, abs=1e-9)
    assert made.producers.se == pytest.approx(producers, abs=1e-9)
    assert made.areas.se == pytest.approx(se_areas, rel=1e-6, abs=1e-6 * areas.sum())


@given(samples())
def test_stehman_with_map_classes_as_strata_is_olofsson_but_for_the_correction(sample) -> None:
    counts, areas = sample
    at = np.array(list(itertools.chain.from_iterable([(i, j)] * int(n) for (i, j), n in np.ndenumerate(counts))))
    sizes = dict(enumerate(areas.tolist()))
    made = pw.estimate_accuracy(at[:, 0], at[:, 1], strata=at[:, 0], strata_sizes=sizes)
    plain = pw.estimate_accuracy(at[:, 0], at[:, 1], areas=sizes)
    assert made.users.estimate == pytest.approx(plain.users.estimate)
    assert made.producers.estimate == pytest.approx(plain.producers.estimate)
    assert made.areas.estimate == pytest.approx(plain.areas.estimate)
    correction = np.sqrt(1 - counts.sum(axis=1) / areas)
    assert made.users.se == pytest.approx(plain.users.se * correction)
    assert made.overall.se <= plain.overall.se


@given(samples())
def test_shares_add_up_and_f1_lies_between_the_two_accuracies(sample) -> None:
    counts, areas = sample
    made = pw.estimate_accuracy(matrix=counts, areas=areas)
    assert made.proportions.sum() == pytest.approx(1)
    assert made.areas.estimate.sum() == pytest.approx(areas.sum())
    low, high = (
        np.minimum(made.users.estimate, made.producers.estimate),
        np.maximum(made.users.estimate, made.producers.estimate),
    )
    assert (made.f1.estimate >= low - 1e-12).all()
    assert (made.f1.estimate <= high + 1e-12).all()


def test_the_standard_error_is_right_in_repeated_samples() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 6000)
    mapped = np.where(rng.random(6000) < 0.8, truth, rng.integers(0, 3, 6000))
    sizes = {int(code): int(n) for code, n in enumerate(np.bincount(mapped))}
    found = []
    for _ in range(300):
        taken = np.concatenate([rng.choice(np.flatnonzero(mapped == code), 40, replace=False) for code in sizes])
        made = pw.estimate_accuracy(mapped[taken], truth[taken], strata=mapped[taken], strata_sizes=sizes)
        found.append((made.overall.estimate, made.overall.se, made.producers[0].estimate, made.producers[0].se))
    overall, overall_se, producers, producers_se = np.array(found).T
    assert overall.mean() == pytest.approx((mapped == truth).mean(), abs=0.005)
    assert overall_se.mean() == pytest.approx(overall.std(), rel=0.12)
    assert producers_se.mean() == pytest.approx(producers.std(), rel=0.12)


def test_a_census_has_no_error() -> None:
    made = pw.estimate_accuracy([1, 1, 2], [1, 2, 2], strata=["n", "n", "s"], strata_sizes={"n": 2, "s": 1})
    assert made.overall.se == 0
    assert made.overall.estimate == pytest.approx(2 / 3)


# ---- simple random samples ----


def test_a_simple_random_sample_needs_labels_alone() -> None:
    made = pw.estimate_accuracy(MAPPED, SEEN)
    right = np.mean(np.array(MAPPED) == SEEN)
    assert (made.method, made.unit) == ("simple random", "share")
    assert made.overall.estimate == right
    assert made.overall.se == pytest.approx(np.sqrt(right * (1 - right) / 39))
    assert made.areas.estimate.sum() == pytest.approx(1)


def test_the_population_corrects_and_gives_areas() -> None:
    plain, made = pw.estimate_accuracy(MAPPED, SEEN), pw.estimate_accuracy(MAPPED, SEEN, population=100, pixel_area=0.01)
    assert made.overall.se == pytest.approx(plain.overall.se * np.sqrt(0.6))
    assert (made.unit, made.areas.estimate.sum()) == ("ha", pytest.approx(1))
    assert pw.estimate_accuracy(MAPPED, SEEN, population=100).unit == "pixels"


# ---- what comes in ----


def test_labels_and_their_matrix_give_the_same() -> None:
    at = np.array(list(itertools.chain.from_iterable([(i, j)] * n for (i, j), n in np.ndenumerate(np.array(MATRIX)))))
    names = np.array(NAMES)
    made = pw.estimate_accuracy(names[at[:, 0]], names[at[:, 1]], areas=dict(zip(NAMES, PIXELS, strict=True)))
    assert made.overall.estimate == pytest.approx(0.9465118881, abs=5e-11)
    assert made.matrix.tolist() == MATRIX
    assert made.unit == "as given"


def test_classes_choose_the_order() -> None:
    made = pw.estimate_accuracy(MAPPED, SEEN, classes=list("DCBA"))
    assert made.classes.tolist() == list("DCBA")
    assert made.matrix[0, 0] == 7
    ordered = pw.estimate_accuracy(MAPPED, SEEN, areas=[4, 3, 2, 1], classes=list("DCBA"))
    assert ordered.map_areas.tolist() == [4, 3, 2, 1]


def test_a_crosstab_of_pandas_brings_its_classes() -> None:
    frame = pd.DataFrame(MATRIX, index=NAMES, columns=NAMES)
    made = pw.estimate_accuracy(matrix=frame[NAMES[::-1]], areas=pd.Series(PIXELS, index=NAMES))
    assert made.classes.tolist() == NAMES
    assert made.matrix.tolist() == MATRIX


def test_floats_that_are_whole_numbers_are_the_same_labels_as_integers() -> None:
    made = pw.estimate_accuracy(np.array([1.0, 1.0, 2.0, 2.0]), [1, 1, 2, 1], areas={"1": 5, "2": 5})
    assert made.classes.tolist() == [1, 2]
    assert pw.estimate_accuracy([0.5, 0.5], [0.5, 1.5]).classes.tolist() == [0.5, 1.5]
    assert pw.estimate_accuracy(np.array([1, 2], dtype=object), [1, 2]).overall.estimate == 1


def test_a_class_that_the_map_lacks_counts_against_it() -> None:
    made = pw.estimate_accuracy(["a", "a", "b", "b", "b"], ["a", "c", "b", "b", "c"], areas={"a": 10, "b": 30})
    assert made.map_areas.tolist() == [10, 30, 0]
    assert made.producers["c"].estimate == 0
    assert np.isnan(made.users["c"].estimate)
    assert made.areas["c"].estimate == pytest.approx(15)


def test_a_class_that_nobody_saw_has_no_producers_accuracy() -> None:
    made = pw.estimate_accuracy(matrix=[[5, 0, 0], [1, 9, 0], [1, 1, 0]], areas=[10, 20, 5])
    assert np.isnan(made.producers.estimate[2])
    assert np.isnan(made.producers.se[2])
    assert (made.users.estimate[2], made.areas.estimate[2], made.areas.se[2]) == (0, 0, 0)
    assert "unknown" in str(made)


def test_a_class_without_area_needs_no_sample() -> None:
    made = pw.estimate_accuracy(matrix=[[5, 1], [0, 0]], areas=[10, 0])
    assert made.overall.estimate == pytest.approx(5 / 6)


def test_one_sample_in_a_stratum_is_told_and_makes_no_number_up() -> None:
    with pytest.warns(PixelwiseWarning, match="one sample alone lies in stratum 'b': variances need two") as caught:
        made = pw.estimate_accuracy(["a", "a", "a", "b"], ["a", "a", "b", "b"], areas={"a": 5, "b": 5})
    assert caught[0].filename == __file__
    assert np.isnan(made.overall.se)
    # The user's accuracy of "a" is a matter of its own stratum.
    assert made.users["a"].se == pytest.approx(1 / 3)
    assert np.isnan(made.users["b"].se)


# ---- what comes out ----


def test_results_are_arrays_and_mappings(olofsson) -> None:
    assert olofsson.users.estimate.shape == olofsson.users.se.shape == (4,)
    low, high = olofsson.users.interval(0.95)
    at = olofsson.users["forest gain"]
    assert at.interval(0.95) == (low[1], high[1])
    assert list(olofsson.users) == NAMES
    assert len(olofsson.users) == 4
    assert "forest gain" in olofsson.users
    assert "road" not in olofsson.users
    assert olofsson.n == 640


def test_an_unknown_class_is_an_error_that_names_the_others(olofsson) -> None:
    with pytest.raises(LabelError, match="class 'road' is not in the estimate: choose one of 'deforestation'"):
        olofsson.users["road"]


def test_intervals_are_normal_ones_of_any_level(olofsson) -> None:
    low, high = olofsson.overall.interval(0.99)
    assert (high - low) / 2 == pytest.approx(2.5758293 * olofsson.overall.se)
    low, high = olofsson.overall.interval()
    assert (high - low) / 2 == pytest.approx(1.96 * olofsson.overall.se)
    with pytest.raises(ValueError, match="level=95 is no level of confidence: choose one between 0 and 1"):
        olofsson.overall.interval(95)


def test_the_frame_has_a_row_for_each_class(olofsson) -> None:
    frame = olofsson.to_frame(0.9)
    assert frame.index.tolist() == NAMES
    assert frame.loc["forest gain", "users"] == pytest.approx(55 / 75)
    assert frame["n_map"].tolist() == [75, 75, 165, 325]
    assert (frame["area_low"] < frame["area"]).all()
    assert frame.attrs == {"estimates": "design-based", "method": "Olofsson 2014", "unit": "ha", "level": 0.9}


def test_everything_printed_says_design_based(olofsson, stehman) -> None:
    for printed in (olofsson, olofsson.overall, olofsson.users, olofsson.areas["forest gain"], stehman):
        assert "design-based" in repr(printed)
    assert "21,158 ± 6,158" in str(olofsson)
    assert "640 samples in 4 strata" in str(olofsson)


def test_the_strata_are_told(stehman) -> None:
    assert stehman.strata.loc["A"].tolist() == [10, 0.4, 40_000]


# ---- what cannot be right ----

BAD = [
    ({}, "there is no sample"),
    ({"mapped": [1, 2], "reference": [1]}, "2 labels of the map and 1 of the reference"),
    ({"mapped": [], "reference": []}, "labels of the map are empty"),
    ({"mapped": [1.0, np.nan], "reference": [1, 2]}, "labels of the map are missing for 1 of 2 samples"),
    (
        {"mapped": ["a", "b"], "reference": ["a", None]},
        "labels of the reference are missing for 1 of 2 samples .the first is number 1",
    ),
    ({"mapped": ["a", "b"], "reference": ["a", ""]}, "labels of the reference are missing"),
    ({"mapped": ["a", "b"], "reference": [0, 1]}, "give both as text, or both as numbers"),
    ({"mapped": np.array(["a", 1], dtype=object), "reference": ["a", "b"]}, "mix text and numbers"),
    ({"mapped": np.zeros((3, 3)), "reference": np.zeros((3, 3))}, "have shape .3, 3.: pass one label a sample"),
    ({"mapped": [1, 2], "reference": [1, 2], "matrix": [[1]]}, "matrix= and labels say the same twice"),
    ({"matrix": [[1, 2]], "areas": [1]}, r"matrix has shape \(1, 2\)"),
    ({"matrix": [[0.5, 0.1], [0.1, 0.3]], "areas": [1, 2]}, "give counts of samples, not shares"),
    ({"matrix": [[5, -1], [1, 3]], "areas": [1, 2]}, "matrix holds -1 to 5"),
    ({"matrix": [[5, 1], [1, 3]]}, "matrix= needs areas="),
    ({"matrix": [[5, 1], [1, 3]], "areas": [1, 2, 3]}, r"areas have shape \(3,\) for 2"),
    ({"matrix": [[5, 1], [1, 3]], "areas": [1, 2], "classes": ["a", "a"]}, "1 different classes for a matrix of 2 x 2"),
    ({"matrix": [[5, 1], [1, 3]], "areas": [1, -2]}, "area of stratum 1 is -2"),
    ({"matrix": [[5, 1], [1, 3]], "areas": [0, 0]}, "all strata have the area 0"),
    ({"matrix": [[5, 1], [1, 3]], "areas": [1, 0]}, "class 1 has samples in the map and the area 0"),
    ({"matrix": [[5, 1], [0, 0]], "areas": [1, 3]}, r"no sample lies in 1 of 2 strata \(1; 75.0% of the area\)"),
    ({"matrix": [[5, 1], [1, 3]], "areas": {"a": 1, "b": 2}}, "areas has no number for 0"),
    ({"matrix": [[5, 1], [1, 3]], "areas": [1, 2], "strata": [1]}, "strata= does not go with matrix"),
    (
        {"matrix": pd.DataFrame([[1, 2], [3, 4]], index=["a", "b"], columns=["a", "c"]), "areas": [1, 2]},
        "the same classes in both",
    ),
    ({"mapped": [1, 2], "reference": [1, 2], "areas": {1: 5}}, "areas has no number for 2"),
    ({"mapped": [1, 2], "reference": [1, 2], "areas": {1: 5, 2: 5, 3: 5}}, "no sample lies in 1 of 3 strata"),
    ({"mapped": [1, 2], "reference": [1, 2], "classes": [1, 3]}, "label 2 of the sample is none of 1, 3"),
    ({"mapped": [1, 2], "reference": [1, 2], "classes": [1, 2, 2]}, "classes name 2 twice"),
    (
        {"mapped": [1, 2], "reference": [1, 2], "areas": {1: 5, 2: 5}, "classes": [1]},
        "areas has a number for 2, which is none of 1",
    ),
    ({"mapped": [1, 2], "reference": [1, 2], "strata": ["a", "b"]}, "strata_sizes= is missing"),
    ({"mapped": [1, 2], "reference": [1, 2], "strata_sizes": {"a": 1}}, "strata= is missing"),
    ({"mapped": [1, 2], "reference": [1, 2], "strata": ["a"], "strata_sizes": {"a": 9}}, "1 strata for 2 samples"),
    ({"mapped": [1, 2], "reference": [1, 2], "strata": ["a", None], "strata_sizes": {"a": 9}}, "strata are missing for 1 of 2"),
    ({"mapped": [1, 2], "reference": [1, 2], "strata": ["a", "a"], "strata_sizes": {"a": 1}}, "'a' has 2 samples and 1 pixels"),
    ({"mapped": [1, 2], "reference": [1, 2], "strata": ["a", "a"], "strata_sizes": {"a": 9, "b": 9}}, "'b'; 50.0% of the area"),
    (
        {"mapped": [1, 2], "reference": [1, 2], "strata": ["a", "a"], "strata_sizes": {"a": np.nan}},
        "is nan: give finite numbers",
    ),
    (
        {"mapped": [1, 2], "reference": [1, 2], "strata": ["a", "a"], "strata_sizes": {"a": 9}, "areas": [1]},
        "areas= does not go",
    ),
    ({"mapped": [1, 2], "reference": [1, 2], "areas": {1: 5, 2: 5}, "population": 9}, "population= does not go with areas"),
    ({"mapped": [1, 2], "reference": [1, 2], "pixel_area": 0.01}, "pixel_area= needs population="),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_input_says_what_and_what_to_do(arguments, message: str) -> None:
    with pytest.raises(LabelError, match=message) as caught:
        pw.estimate_accuracy(**arguments)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
