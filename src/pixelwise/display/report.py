"""MapReport: a page of its own about a map of classes, how it was validated and what it was made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from pixelwise.display.areas import ClassArea
from pixelwise.display.canvas import axes_of, png_bytes
from pixelwise.display.distances import DistanceDisplay
from pixelwise.display.folds import SpatialFoldsDisplay
from pixelwise.display.furniture import map_aspect
from pixelwise.display.html import element, picture, render, strip_chart, table
from pixelwise.display.map import MapDisplay, SceneDisplay
from pixelwise.model_selection.comparison import NOT_DESIGN_BASED, FoldScores
from pixelwise.raster.destination import staged
from pixelwise.raster.grid import Grid
from pixelwise.version import __version__

__all__ = ["MapReport"]

#: Figures that stand side by side: inches wide, and dots an inch for twice the pixels that they take on most screens.
_WIDTH, _DPI = 6.4, 200
#: The page has margins of its own.
_MARGIN = 0.02
_FOLDS = (
    "One model, one set of training pixels, three ways to hold pixels out. "
    "Each dot is the score of a fold, and the stroke is their mean."
)
_BIASED = (
    "Counting pixels is biased: where the model takes one class for another, the one shrinks and the other grows. "
    "An area with a confidence interval takes a probability sample of places on the map."
)
_PRECISION = (
    "Precision: of the pixels that were called so, the share that are. Recall: of the pixels that are so, the share that were "
    "found. Both depend on how many training pixels of each class were drawn, which is not how much of it there is on the land."
)
_APART = (
    "Cross-validation asks what the map asks where test pixels are as far from training pixels as the map's pixels are: "
    "their curves then run together, and the area between them, W, is small."
)
_DOTS = (
    "Each dot is a training pixel in the colour of the fold that tests it. "
    "Whole squares go to one fold; those without colour hold no training pixel."
)


@dataclass(eq=False)
class MapReport:
    """What a report says of a map of classes.

    Parameters
    ----------
    title : str
        Heading of the page.
    summary : str
        What was mapped, from what, in a sentence or two.
    map : MapDisplay
        The map.
    scene : SceneDisplay
        The scene as the eye sees it, beside the map.
    folds : SpatialFoldsDisplay
        The folds of the way of splitting that the last of `scores` has.
    scores : sequence of FoldScores
        What `compare_folds` returns; the held-out predictions of the last one that was possible fill the confusion matrix.
    y : ndarray of shape (n,)
        True labels of the training pixels.
    areas : sequence of ClassArea
        Areas of the classes in the map.
    samples : sequence of (str, int, int, int)
        Class, polygons, labelled pixels, and training pixels drawn from them.
    facts : mapping of str to sequence of (str, str)
        Further tables: heading, and names with values.
    notes : sequence of str
        What a reader should know besides.
    fold_table : pandas.DataFrame or None, default=None
        What `fold_report` returns of the folds, for a table of them.
    distances : DistanceDisplay or None, default=None
        Distances of the folds, to be drawn beside it.

    See Also
    --------
    MapDisplay : The map alone.

    Examples
    --------
    >>> import pixelwise as pw
    >>> from sklearn.linear_model import LogisticRegression
    >>> from pixelwise.display.areas import class_areas
    >>> from pixelwise.model_selection.comparison import compare_folds
    >>> scene, polygons = pw.datasets.make_example()
    >>> X, y = pw.extract_pixels(scene, polygons, column="class")
    >>> blocks = pw.SpatialBlockGroupKFold(2, block_size=300)
    >>> model = pw.PixelwiseClassifier(LogisticRegression()).fit(X, y)
    >>> predicted = model.predict(pw.open_raster(scene))
    >>> report = MapReport(
    ...     title="Wood and lake",
    ...     summary="A made-up scene.",
    ...     map=MapDisplay.from_raster(predicted),
    ...     scene=SceneDisplay.from_raster(scene, ("B04", "B03", "B02")),
    ...     folds=SpatialFoldsDisplay.from_splitter(blocks, X, y),
    ...     scores=compare_folds(model, X, y, blocks),
    ...     y=y,
    ...     areas=class_areas(predicted),
    ...     samples=[("forest", 2, 600, 600), ("water", 2, 600, 600)],
    ... )
    >>> report.to_html().startswith("<!DOCTYPE html>")
    True
    """

    title: str
    summary: str
    map: MapDisplay
    scene: SceneDisplay
    folds: SpatialFoldsDisplay
    scores: Sequence[FoldScores]
    y: np.ndarray
    areas: Sequence[ClassArea]
    samples: Sequence[tuple[str, int, int, int]]
    facts: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    notes: Sequence[str] = ()
    fold_table: pd.DataFrame | None = None
    distances: DistanceDisplay | None = None

    def to_html(self) -> str:
        """Return the page: it holds its style and images, needs no network and runs no scripts."""
        style = files("pixelwise.display").joinpath("report.css").read_text(encoding="utf-8")
        sections = [
            self._numbers(),
            self._maps(),
            self._areas(),
            *self._errors(),
            self._places(),
            *self._apart(),
            self._facts(),
        ]
        made_by = f"Made by pixelwise {__version__}. This page is one file: it needs no network and runs no scripts."
        head = element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("title", self.title),
            element("style", style),
        )
        body = element(
            "body",
            element(
                "header",
                element("p", "pixelwise report", class_="eyebrow"),
                element("h1", self.title),
                element("p", self.summary, class_="lede"),
            ),
            element("main", *sections),
            element("footer", element("p", made_by)),
        )
        return "<!DOCTYPE html>\n" + render(element("html", head, body, lang="en"))

    def save(self, path: Any) -> Path:
        """Write the page, whole or not at all.

        Parameters
        ----------
        path : path
            Destination, .html.

        Returns
        -------
        pathlib.Path

        Raises
        ------
        OSError
            If it cannot be written there.
        """
        place, text = Path(path), self.to_html()
        with staged(place) as folder:
            (folder / place.name).write_text(text, encoding="utf-8")
            (folder / place.name).replace(place)
        return place

    @property
    def validated(self) -> FoldScores | None:
        """The way of splitting whose held-out predictions fill the confusion matrix."""
        return next((scores for scores in reversed(self.scores) if not scores.problem), None)

    def _numbers(self) -> Element:
        cards = [_card(scores, main=scores is self.validated) for scores in self.scores]
        note = element("p", NOT_DESIGN_BASED, class_="note")
        return _section("How good is the model? Three honest answers", _FOLDS, element("div", *cards, class_="cards"), note)

    def _maps(self) -> Element:
        drawn = self.map.plot(_canvas(self.map.raster.grid), legend=False)
        seen = self.scene.plot(_canvas(self.scene.grid))
        colors = {name: self.map.colors[code] for code, name in self.map.classes.items()}
        pair = element(
            "div",
            picture(png_bytes(drawn.figure_, _DPI, _MARGIN), f"Map of the classes {', '.join(colors)}.", "Predicted classes."),
            picture(
                png_bytes(seen.figure_, _DPI, _MARGIN), "The same place in true colour.", "The scene in true colour, stretched."
            ),
            class_="pair",
        )
        lead = "Each pixel has the class that the model gives it; beside it, the scene that the model saw."
        return _section("The map", lead, pair, _legend(colors, "Classes and their colours"))

    def _areas(self) -> Element:
        largest = max((area.share for area in self.areas), default=1.0) or 1.0
        rows: list[list[Element | str]] = []
        for area in self.areas:
            color = self.map.colors[area.code]
            width = f"width:{100 * area.share / largest:.0f}%;background:{color}"
            hectares = "unknown" if area.hectares is None else f"{area.hectares:,.1f}"
            name, bar = element("span", _swatch(color), area.name), element("span", class_="bar", style=width)
            rows.append([name, bar, f"{area.share:.1%}", hectares, f"{area.pixels:,}"])
        head = ["class", "", "share", "hectares", "pixels"]
        counted = table(head, rows, caption="Counted on the map", class_="areas", numbers=2)
        return _section("Areas of the classes", "", counted, element("p", _BIASED, class_="note"))

    def _errors(self) -> list[Element]:
        if self.validated is None:
            return []
        classes, predicted = np.unique(self.y), self.validated.predicted
        names = [str(name) for name in classes]
        counts = confusion_matrix(self.y, predicted, labels=classes)
        scores = precision_recall_fscore_support(self.y, predicted, labels=classes, zero_division=0)
        rows: list[list[Element | str]] = [
            [name, f"{precision:.2f}", f"{recall:.2f}", f"{f1:.2f}", f"{support:,}"]
            for name, precision, recall, f1, support in zip(names, *scores, strict=True)
        ]
        by_class = table(["class", "precision", "recall", "F1", "pixels"], rows, caption="Scores of each class")
        lead = (
            f"Cross-validation on {self.validated.name}: each pixel was predicted by a model that had not seen its fold; "
            f"all folds are pooled."
        )
        pair = element("div", _matrix(names, counts), by_class, class_="columns")
        return [_section("Where the model errs", lead, pair, element("p", _PRECISION, class_="muted"))]

    def _places(self) -> Element:
        drawn = self.folds.plot(scene=self.scene, legend=False)
        rows: list[list[Element | str]] = [
            [name, f"{polygons:,}", f"{pixels:,}", f"{used:,}" if used else "none"]
            for name, polygons, pixels, used in self.samples
        ]
        head = ["class", "polygons", "pixels under them", "training pixels"]
        return _section(
            "Where the training pixels are",
            _DOTS,
            picture(
                png_bytes(drawn.figure_, margin=_MARGIN), "Map of the folds: dots in the colour of the fold that tests them."
            ),
            _legend(self.folds.legend(), "Folds and their colours"),
            table(head, rows, caption="Training pixels of each class"),
        )

    def _apart(self) -> list[Element]:
        parts: list[Element] = []
        if self.distances is not None:
            drawn = self.distances.plot()
            alt = "Shares of test pixels, of pixels of the map and of training pixels up to each distance."
            parts.append(picture(png_bytes(drawn.figure_, margin=_MARGIN), alt))
        if self.fold_table is not None:
            parts.append(element("div", _fold_rows(self.fold_table), *_remedies(self.fold_table)))
        return [_section("How far test pixels are from training pixels", _APART, *parts)] if parts else []

    def _facts(self) -> Element:
        blocks = []
        for heading, pairs in self.facts.items():
            entries = [part for name, value in pairs for part in (element("dt", name), element("dd", value))]
            blocks.append(element("div", element("h3", heading), element("dl", *entries)))
        notes = [element("p", note, class_="note") for note in self.notes]
        return _section("What was read, and how the map was made", "", element("div", *blocks, class_="facts"), *notes)


def _fold_rows(report: pd.DataFrame) -> Element:
    head = ["fold", "training", "test", "left out", "test to training", "W", "what is wrong with it"]
    rows: list[list[Element | str]] = []
    for number, (_, row) in enumerate(report.iterrows(), 1):
        sizes = [f"{row[name]:,}" for name in ("n_train", "n_test", "n_lost")]
        metres = [row[name] for name in ("test_distance_median", "W")]
        told = ["" if np.isnan(value) else f"{value:,.0f}\u00a0m" for value in metres]
        rows.append([f"fold\u00a0{number}", *sizes, *told, row["flags"]])
    made = table(head, rows, caption="Pixels of each fold of the cross-validation, and their median distance")
    for line in made.iter("tr"):
        # The last column is text.
        line[-1].attrib.pop("class", None)
    return made


def _remedies(report: pd.DataFrame) -> list[Element]:
    found = [element("li", text) for text in report.attrs.get("remedies", {}).values()]
    return [element("p", "What helps:", class_="muted"), element("ul", *found)] if found else []


def _section(title: str, lead: str, *children: Element) -> Element:
    return element("section", element("h2", title), *([element("p", lead)] if lead else []), *children)


def _canvas(grid: Grid) -> Any:
    return axes_of(None, map_aspect(grid), _WIDTH)[0]


def _legend(colors: Mapping[str, str], label: str) -> Element:
    return element(
        "ul", *(element("li", _swatch(color), name) for name, color in colors.items()), class_="legend", aria_label=label
    )


def _swatch(color: str) -> Element:
    return element("span", class_="swatch", style=f"background:{color}")


def _card(scores: FoldScores, *, main: bool) -> Element:
    head = [element("h3", scores.name), element("div", "cross-validation", class_="kind")]
    if scores.problem:
        return element("div", *head, element("p", f"Not possible: {scores.problem}", class_="meaning"), class_="card")
    first, second = scores.scores
    folds = ", ".join(f"{value:.2f}" for value in scores.scores[first])
    return element(
        "div",
        *head,
        element("p", f"{scores.mean(first):.2f} ", element("small", f"± {scores.spread(first):.3f} {first}"), class_="number"),
        element("p", f"{second} {scores.mean(second):.2f} ± {scores.spread(second):.3f}", class_="second"),
        strip_chart(scores.scores[first].tolist(), f"{first} of each fold: {folds}"),
        element("p", scores.meaning, class_="meaning"),
        class_="card main" if main else "card",
    )


def _matrix(classes: list[str], counts: np.ndarray) -> Element:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    rows: list[list[Element | str]] = []
    for i, name in enumerate(classes):
        pairs = zip(shares[i], counts[i], strict=True)
        cells = [element("span", element("b", f"{share:.0%}"), element("span", f"{count:,}")) for share, count in pairs]
        rows.append([name, *cells])
    head = ["true class", *(f"as {name}" for name in classes)]
    made = table(head, rows, caption="Confusion matrix: what became of each class", class_="matrix", numbers=len(head))
    for i, row in enumerate(list(made.iter("tr"))[1:]):
        for j, cell in enumerate(row.findall("td")):
            tint = "29, 93, 140" if i == j else "190, 80, 30"
            # Never so dark that the ink on it could not be read.
            cell.set("style", f"background:rgba({tint}, {0.05 + 0.55 * shares[i, j]:.2f})")
    return made
