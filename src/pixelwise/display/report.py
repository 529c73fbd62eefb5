"""MapReport: a page of its own about a map of classes, how it was validated and what it was made of."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from pixelwise.display.areas import ClassArea
from pixelwise.display.canvas import axes_of, png_bytes
from pixelwise.display.folds import FoldsDisplay
from pixelwise.display.furniture import map_aspect
from pixelwise.display.html import element, picture, render, strip_chart, table
from pixelwise.display.map import MapDisplay, SceneDisplay
from pixelwise.model_selection.comparison import NOT_DESIGN_BASED, FoldScores
from pixelwise.raster.destination import staged
from pixelwise.raster.grid import Grid
from pixelwise.version import __version__

__all__ = ["MapReport"]

#: Size of the figures that stand side by side: inches wide, and dots an inch for twice the pixels that they take on most screens.
_WIDTH, _DPI = 6.4, 200


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
    folds : FoldsDisplay
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

    See Also
    --------
    MapDisplay : The map alone.
    """

    title: str
    summary: str
    map: MapDisplay
    scene: SceneDisplay
    folds: FoldsDisplay
    scores: Sequence[FoldScores]
    y: np.ndarray
    areas: Sequence[ClassArea]
    samples: Sequence[tuple[str, int, int, int]]
    facts: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def to_html(self) -> str:
        """Return the page: it holds its style and images, needs no network and runs no scripts."""
        style = files("pixelwise.display").joinpath("report.css").read_text(encoding="utf-8")
        head = element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("title", self.title),
            element("style", style),
        )
        top = element(
            "header",
            element("p", "pixelwise report", class_="eyebrow"),
            element("h1", self.title),
            element("p", self.summary, class_="lede"),
        )
        sections = [self._numbers(), self._maps(), self._areas(), self._errors(), self._places(), self._facts()]
        foot = element(
            "footer",
            element("p", f"Made by pixelwise {__version__}. This page is one file: it needs no network and runs no scripts."),
        )
        return "<!DOCTYPE html>\n" + render(
            element("html", head, element("body", top, element("main", *sections), foot), lang="en")
        )

    def save(self, path: Any) -> Path:
        """Write the page, whole or not at all.

        Parameters
        ----------
        path : path
            Destination, .html.

        Returns
        -------
        pathlib.Path
        """
        place, text = Path(path), self.to_html()
        with staged(place) as folder:
            (folder / place.name).write_text(text, encoding="utf-8")
            os.replace(folder / place.name, place)
        return place

    @property
    def validated(self) -> FoldScores:
        """The way of splitting whose held-out predictions fill the confusion matrix."""
        return [scores for scores in self.scores if not scores.problem][-1]

    def _numbers(self) -> Element:
        cards = [_card(scores, main=scores is self.validated) for scores in self.scores]
        return element(
            "section",
            element("h2", "How good is the model? Three honest answers"),
            element("p", "One model, one set of training pixels, three ways to hold pixels out. Each dot is the accuracy of a fold, the stroke is their mean."),
            element("div", *cards, class_="cards"),
            element("p", NOT_DESIGN_BASED, class_="note"),
        )  # fmt: skip

    def _maps(self) -> Element:
        drawn = self.map.plot(_canvas(self.map.raster.grid), legend=False)
        seen = self.scene.plot(_canvas(self.scene.grid))
        colors = {name: self.map.colors[code] for code, name in self.map.classes.items()}
        return element(
            "section",
            element("h2", "The map"),
            element("p", "Each pixel has the class that the model gives it, beside the scene in true colour."),
            element(
                "div",
                picture(png_bytes(drawn.figure_, _DPI), f"Map of the classes {', '.join(self.map.classes.values())}.", "Predicted classes."),
                picture(png_bytes(seen.figure_, _DPI), "The same place as a satellite picture in true colour.", "The scene in true colour, stretched."),
                class_="pair",
            ),
            _legend(colors, "Classes and their colours"),
        )  # fmt: skip

    def _areas(self) -> Element:
        top = max((area.share for area in self.areas), default=1.0) or 1.0
        rows = []
        for area in self.areas:
            bar = element(
                "span",
                class_="bar",
                style=f"width:{100 * area.share / top:.0f}%;background:{self.map.colors[area.code]}",
                role="presentation",
            )
            name = element("span", _swatch(self.map.colors[area.code]), area.name)
            hectares = "unknown" if area.hectares is None else f"{area.hectares:,.1f}"
            rows.append([name, bar, f"{area.share:.1%}", hectares, f"{area.pixels:,}"])
        return element(
            "section",
            element("h2", "Areas of the classes"),
            table(["class", "", "share", "hectares", "pixels"], rows, caption="Counted on the map", class_="areas", numbers=2),
            element(
                "p",
                "Counting pixels is biased: where the model takes one class for another, the one shrinks and the other grows. "
                "An area with a confidence interval takes a probability sample of places on the map.",
                class_="note",
            ),
        )  # fmt: skip

    def _errors(self) -> Element:
        classes = np.unique(self.y)
        counts = confusion_matrix(self.y, self.validated.predicted, labels=classes)
        scores = precision_recall_fscore_support(self.y, self.validated.predicted, labels=classes, zero_division=0)
        rows = [
            [str(name), *(f"{value:.2f}" for value in row[:3]), f"{int(row[3]):,}"]
            for name, *row in zip(classes, *scores, strict=True)
        ]
        return element(
            "section",
            element("h2", "Where the model errs"),
            element("p", f"Cross-validation on {self.validated.name}: each pixel was predicted by a model that had not seen its fold; all folds are pooled."),
            element(
                "div",
                _matrix([str(name) for name in classes], counts),
                table(["class", "precision", "recall", "F1", "pixels"], rows, caption="Scores of each class"),
                class_="columns",
            ),
            element(
                "p",
                "Precision: of the pixels that were called so, the share that are. Recall: of the pixels that are so, the share that were found. "
                "Both depend on how many training pixels of each class were drawn, which is not how much of it there is on the land.",
                class_="muted",
            ),
        )  # fmt: skip

    def _places(self) -> Element:
        drawn = self.folds.plot(scene=self.scene, legend=False)
        rows = [
            [name, f"{polygons:,}", f"{pixels:,}", f"{used:,}" if used else "left out"]
            for name, polygons, pixels, used in self.samples
        ]
        return element(
            "section",
            element("h2", "Where the training pixels are"),
            element("p", "Each dot is a training pixel in the colour of the fold that tests it; whole squares go to one fold, and those without colour hold none."),
            picture(png_bytes(drawn.figure_), "Map of the folds: training pixels as dots in the colour of the fold that tests them."),
            _legend(self.folds.legend(), "Folds and their colours"),
            table(["class", "polygons", "pixels under them", "training pixels"], rows, caption="Training pixels of each class"),
        )  # fmt: skip

    def _facts(self) -> Element:
        blocks = []
        for heading, pairs in self.facts.items():
            entries = [part for name, value in pairs for part in (element("dt", name), element("dd", value))]
            blocks.append(element("div", element("h3", heading), element("dl", *entries)))
        notes = [element("p", note, class_="note") for note in self.notes]
        return element(
            "section", element("h2", "What was read, and how the map was made"), element("div", *blocks, class_="facts"), *notes
        )


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
    rows = []
    for i, name in enumerate(classes):
        cells = [
            element("span", element("b", f"{shares[i, j]:.0%}"), element("span", f"{counts[i, j]:,}"))
            for j in range(len(classes))
        ]
        rows.append([name, *cells])
    made = table(
        ["true class", *(f"as {name}" for name in classes)],
        rows,
        caption="Confusion matrix: what became of each class",
        class_="matrix",
        numbers=99,
    )
    for i, row in enumerate(made.iter("tr")):
        for j, cell in enumerate(row.findall("td")):
            share = shares[i - 1, j]
            tint = "29, 93, 140" if i - 1 == j else "190, 80, 30"
            # Never so dark that the ink on it would not be read.
            cell.set("style", f"background:rgba({tint}, {0.05 + 0.55 * share:.2f})")
    return made
