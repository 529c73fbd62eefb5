"""Warnings of many chips are one, and each other warning comes at once."""

from __future__ import annotations

import warnings
from threading import Thread

import pytest

from pixelwise.errors import MissingDataWarning, PixelwiseWarning
from pixelwise.warned import Gathered, gather_warnings, warn


def test_a_warning_comes_at_once_and_points_at_the_caller() -> None:
    with pytest.warns(PixelwiseWarning, match="odd") as told:
        warn(PixelwiseWarning("odd"), stacklevel=1)
    assert told[0].filename == __file__


def test_warnings_are_kept_back_in_their_own_thread_alone() -> None:
    with warnings.catch_warnings(record=True) as told, gather_warnings() as kept:
        warnings.simplefilter("always")
        warn(PixelwiseWarning("here"))
        other = Thread(target=warn, args=(PixelwiseWarning("there"),))
        other.start()
        other.join()
    assert [str(one) for one in kept] == ["here"]
    assert [str(one.message) for one in told] == ["there"]


def test_what_differs_in_numbers_alone_is_told_once_with_its_first_place() -> None:
    gathered = Gathered()
    for place, count in (("scene a", 3), ("scene a", 4), ("scene b", 50), ("scene c", 6)):
        gathered.add(place, [PixelwiseWarning(f"{count} pixels overlap")])
    gathered.add("scene c", [MissingDataWarning("7 pixels overlap")])
    with pytest.warns(PixelwiseWarning) as told:
        gathered.give()
    assert [(type(one.message), str(one.message)) for one in told] == [
        (PixelwiseWarning, "3 pixels overlap (scene a; alike in 2 other places)"),
        (MissingDataWarning, "7 pixels overlap (scene c)"),
    ]


def test_gathered_warnings_are_gathered_again() -> None:
    gathered = Gathered()
    gathered.add("chip", [PixelwiseWarning("odd")])
    with gather_warnings() as kept:
        gathered.give()
    assert [str(one) for one in kept] == ["odd (chip)"]
