from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer

import pixelwise as pw
from pixelwise.errors import BandError
from pixelwise.table.bands import band_order

GRID = pw.Grid("EPSG:32633", pw.unwrap(pw.datasets.make_example()[0]).grid.transform, 4, 5)
VALUES = np.arange(40, dtype="float32").reshape(20, 2)


def table(**changes: object) -> pw.PixelTable:
    options = {"pixel": np.arange(20), "names": ("a", "b"), "group": np.arange(20) // 5, **changes}
    return pw.PixelTable.from_values(VALUES, [GRID], **options)  # type: ignore[arg-type]


rows = st.one_of(
    st.lists(st.integers(-20, 19), max_size=30),
    st.lists(st.booleans(), min_size=20, max_size=20).map(np.array),
    st.slices(20),
    st.lists(st.integers(0, 19), max_size=30).map(lambda x: np.array(x, dtype=int)),
)


@given(rows)
def test_rows_are_chosen_as_of_an_array(key: object) -> None:
    wanted = VALUES[np.array(key, dtype=int) if isinstance(key, list) else key]
    chosen = table()[key]
    assert np.array_equal(np.asarray(chosen), wanted)
    assert np.array_equal(np.asarray(table()[key, ...]), wanted)
    assert np.array_equal(np.asarray(table()[key, :]), wanted)
    assert chosen.shape == wanted.shape
    assert len(chosen.xy) == len(chosen.groups) == len(wanted)


@given(rows, rows)
def test_a_view_of_a_view_is_a_view(first: object, second: object) -> None:
    once = table()[first]
    index = np.arange(20)[np.array(first, dtype=int) if isinstance(first, list) else first]
    key = np.array(
        [i for i in np.arange(20)[np.array(second, dtype=int) if isinstance(second, list) else second] if i < len(index)],
        dtype=int,
    )
    twice = once[key]
    assert np.array_equal(twice.pixel, index[key])
    assert np.array_equal(twice.xy, table().xy[index[key]])


def test_columns_come_out_as_arrays() -> None:
    assert np.array_equal(table()[:, 1], VALUES[:, 1])
    assert np.array_equal(table()[:, [1, 0]], VALUES[:, [1, 0]])
    assert np.array_equal(table()[2:4, 1], VALUES[2:4, 1])
    assert np.array_equal(table()[3], VALUES[3])
    assert np.array_equal(table()[5:][3], VALUES[8])
    assert np.array_equal(table()[3, 1], VALUES[3, 1])


def test_it_behaves_as_an_array() -> None:
    X = table()
    assert (X.ndim, X.shape, X.size, X.dtype, len(X)) == (2, (20, 2), 40, np.float32, 20)
    assert np.asarray(X) is X._store.values
    assert np.array(X) is not X._store.values
    assert np.asarray(X, dtype="float64").dtype == np.float64
    assert np.array_equal(np.take(X, [3, 1], axis=0), VALUES[[3, 1]])
    assert np.array_equal(X.take([1], axis=1), VALUES[:, [1]])
    assert np.array_equal(X.copy(), VALUES)
    assert X.__array_namespace__() is np
    assert repr(X) == "PixelTable(20 pixels x 2 bands: a, b)"


def test_it_has_nothing_that_would_mislead_scikit_learn() -> None:
    for name in ("fit", "iloc", "columns"):
        assert not hasattr(table(), name)


def test_pickling_keeps_rows_and_places() -> None:
    X = pickle.loads(pickle.dumps(table()[3:7]))
    assert np.array_equal(X, VALUES[3:7])
    assert np.array_equal(X.xy, table().xy[3:7])
    assert X.crs == GRID.crs
    assert X.grids == (GRID,)


def test_coordinates_of_scenes_in_other_crs_are_brought_to_the_first() -> None:
    other = pw.Grid("EPSG:32632", GRID.transform, 4, 5)
    X = pw.PixelTable.from_values(VALUES, [GRID, other], pixel=np.arange(20), scene=np.arange(20) % 2)
    move = Transformer.from_crs(32632, 32633, always_xy=True)
    assert np.allclose(X.xy[1], move.transform(*other.pixel_xy([1])[0]))
    assert np.array_equal(X.xy[0], GRID.pixel_xy([0])[0])


def test_tables_are_put_under_each_other_by_band_name() -> None:
    first = table()
    second = pw.PixelTable.from_values(VALUES[:, ::-1], [GRID], pixel=np.arange(20), names=("b", "a"))
    both = pw.PixelTable.concat([first, second])
    assert np.array_equal(both, np.concatenate([VALUES, VALUES]))
    assert both.scene.tolist() == [0] * 20 + [1] * 20


def test_bands_that_differ_are_named() -> None:
    with pytest.raises(BandError, match="lacks band b and has band c too many"):
        band_order(("a", "b"), ("a", "c"), 2)
    with pytest.raises(BandError, match="X has 3 features, but 2 bands are expected"):
        band_order(None, None, 3, 2)
    assert band_order(("a", "b"), ("b", "a"), 2) == [1, 0]


def test_groups_and_bands_can_be_replaced() -> None:
    X = table()[:4].with_groups([7, 7, 8, 8])
    assert X.groups.tolist() == [7, 7, 8, 8]
    doubled = X.with_bands(np.asarray(X) * 2, ("x", "y"))
    assert np.array_equal(doubled, VALUES[:4] * 2)
    assert doubled.feature_names == ("x", "y")
    assert np.array_equal(doubled.xy, X.xy)


def test_it_becomes_points() -> None:
    frame = table()[:3].to_geodataframe()
    assert list(frame.columns) == ["a", "b", "group", "scene", "geometry"]
    assert frame.crs.to_epsg() == 32633
    assert np.array_equal(np.column_stack([frame.geometry.x, frame.geometry.y]), table()[:3].xy)


def test_without_names_they_are_made_up() -> None:
    X = table(names=None)
    assert (X.band_names, X.feature_names) == (None, ("band_1", "band_2"))
    assert (
        pw.PixelTable.from_values(VALUES, [pw.Grid(None, GRID.transform, 4, 5)], pixel=np.arange(20)).to_geodataframe().crs
        is None
    )
