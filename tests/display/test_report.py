from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

import pixelwise as pw
from pixelwise.display.areas import class_areas
from pixelwise.display.folds import SpatialFoldsDisplay
from pixelwise.display.map import MapDisplay, SceneDisplay
from pixelwise.display.report import MapReport
from pixelwise.model_selection.comparison import FoldScores, compare_folds

EVIL = '<script>alert("x")</script> & $y$'


class Page(HTMLParser):
    """What a page is made of."""

    VOID = ("meta", "img", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.alts: list[str | None] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.links += [value or "" for key, value in attrs if key in ("src", "href", "srcset", "action")]
        if tag == "img":
            self.alts.append(given.get("alt"))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def parts(scene: Path, polygons: Path) -> dict[str, Any]:
    """A report on two classes, one of them with a hostile name."""
    X, y = pw.extract_pixels(scene, polygons, column="class", max_per_class=200, random_state=0)
    y = np.where(y == "water", EVIL, y)
    blocks = pw.SpatialBlockGroupKFold(2, block_size=200)
    model = pw.PixelwiseClassifier(DecisionTreeClassifier(max_depth=1, random_state=0)).fit(X, y)
    predicted = model.predict(pw.open_raster(scene))
    return {
        "title": f"Wood {EVIL}",
        "summary": EVIL,
        "map": MapDisplay.from_raster(predicted),
        "scene": SceneDisplay.from_raster(scene, ("B04", "B03", "B02")),
        "folds": SpatialFoldsDisplay.from_splitter(blocks, X, y),
        "scores": compare_folds(model, X, y, blocks),
        "y": y,
        "areas": class_areas(predicted),
        "samples": [(EVIL, 2, 600, 200), ("forest", 2, 600, 0)],
        "facts": {EVIL: [(EVIL, EVIL)]},
        "notes": [EVIL],
    }


def test_the_page_is_whole_and_needs_nothing_from_elsewhere(parts: dict[str, Any]) -> None:
    text = MapReport(**parts).to_html()
    page = Page(text)
    assert text.startswith("<!DOCTYPE html>")
    assert page.tags.count("img") == 3
    assert all(link.startswith("data:image/png;base64,") for link in page.links)
    assert not re.search(r"https?://|@import|url\(", text.split("<body>")[0])
    assert "link" not in page.tags


def test_text_from_data_is_escaped_everywhere(parts: dict[str, Any]) -> None:
    text = MapReport(**parts).to_html()
    page = Page(text)
    assert "script" not in page.tags
    assert page.text.count(EVIL) >= 10


def test_every_image_has_an_alternative_text_and_the_page_a_language(parts: dict[str, Any]) -> None:
    text = MapReport(**parts).to_html()
    assert all(Page(text).alts)
    assert '<html lang="en">' in text


def test_every_number_says_that_it_is_cross_validation(parts: dict[str, Any]) -> None:
    page = Page(MapReport(**parts).to_html())
    assert page.text.count("cross-validation") >= 4
    assert "none is a design-based map accuracy" in page.text
    assert "Counting pixels is biased" in page.text


def test_the_confusion_matrix_holds_the_held_out_predictions_of_the_blocks(parts: dict[str, Any]) -> None:
    y = parts["y"]
    wrong = np.where(np.arange(len(y)) < 30, "forest", y)
    blocks = FoldScores("spatial blocks", "", np.zeros(len(y), int), wrong, {"accuracy": np.ones(2), "macro F1": np.ones(2)})
    page = Page(MapReport(**{**parts, "scores": [*parts["scores"][:2], blocks]}).to_html())
    lost = int(((y == EVIL) & (wrong == "forest")).sum())
    assert f"{lost / 200:.0%}{lost}" in page.text


def test_a_way_to_split_that_was_not_possible_says_why(parts: dict[str, Any]) -> None:
    failed = FoldScores("spatial blocks", "", problem="2 blocks cannot make 5 folds")
    page = Page(MapReport(**{**parts, "scores": [*parts["scores"][:2], failed]}).to_html())
    assert "Not possible: 2 blocks cannot make 5 folds" in page.text
    assert "Cross-validation on held-out polygons" in page.text


def test_without_any_validation_there_is_no_confusion_matrix(parts: dict[str, Any]) -> None:
    failed = [FoldScores(name, "", problem="no") for name in ("random folds", "spatial blocks")]
    report = MapReport(**{**parts, "scores": failed})
    assert report.validated is None
    assert "Confusion matrix" not in report.to_html()


def test_areas_without_a_crs_are_unknown(parts: dict[str, Any]) -> None:
    areas = [type(area)(area.code, area.name, area.pixels, None, area.share) for area in parts["areas"]]
    assert "unknown" in Page(MapReport(**{**parts, "areas": areas}).to_html()).text


def test_the_page_is_written_whole(parts: dict[str, Any], tmp_path: Path) -> None:
    report = MapReport(**parts)
    place = report.save(tmp_path / "report.html")
    assert place.read_text(encoding="utf-8").endswith("</html>")
    assert list(tmp_path.iterdir()) == [place]


def test_a_page_that_cannot_be_written_is_told(parts: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        MapReport(**parts).save(tmp_path / "nowhere" / "report.html")


def test_folds_are_told_with_their_distances_where_they_are_given(parts: dict[str, Any], scene: Path, polygons: Path) -> None:
    X, y = pw.extract_pixels(scene, polygons, column="class", max_per_class=200, random_state=0)
    blocks = pw.SpatialBlockGroupKFold(3, block_size=100, buffer=20)
    table = pw.fold_report(blocks, X, y, prediction_domain=scene)
    table.loc[0, "flags"] = EVIL
    distances = pw.DistanceDisplay.from_splitter(blocks, X, y, prediction_domain=scene)
    whole = MapReport(**parts, fold_table=table, distances=distances).to_html()
    assert "How far test pixels are from training pixels" in whole
    assert f"{table['n_lost'][1]:,}" in whole
    assert table.attrs["remedies"]["same group"] in whole
    assert EVIL not in whole
    alone = MapReport(**parts, fold_table=table.assign(W=np.nan)).to_html()
    assert "fold\u00a03" in alone or "fold&nbsp;3" in alone
    assert "How far test pixels" not in MapReport(**parts).to_html()
