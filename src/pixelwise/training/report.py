"""TrainingReport: what became of the pixels that a model could have learned from."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from pixelwise.catalog.geocatalog import GeoCatalog
from pixelwise.training.chips import ChipRows
from pixelwise.training.rows import Rows
from pixelwise.warned import Gathered

__all__ = ["TrainingReport"]

_REASONS = {
    "no_data": "lack data in the file",
    "masked": "are masked by X_pipeline",
    "no_label": "have no label",
}
_COUNTS = ("seen", *_REASONS, "valid", "kept")


class TrainingReport:
    """Pixels seen, dropped and why, and kept, for each scene and class: the first thing to look at when accuracy is odd.

    Made empty, given as ``report=`` to `fit_pixelwise`, `fit_pixelwise_incremental` or `sample_pixels`, and filled there, also
    where they fail for want of pixels.

    Attributes
    ----------
    scenes : DataFrame
        One row a scene that was read: ``scene`` (its id), ``chips``, ``seen`` (pixels, each once), ``no_data`` (dropped because
        the file lacks data there), ``masked`` (dropped because what comes out of ``X_pipeline`` lacks data, as under clouds),
        ``no_label``, ``valid``, ``kept`` (in the sample) and ``failed`` (chips that could not be read).
    classes : DataFrame
        One row a class: ``class``, ``valid`` and ``kept``; empty without classes.
    errors : dict of str to str
        Scenes of which chips could not be read, and why the first could not.
    empty_bands : dict of str to list of str
        Scenes of which a chip has no pixel to learn from, and the features without any data there.

    See Also
    --------
    fit_pixelwise : Fills it.

    Examples
    --------
    >>> import pixelwise as pw
    >>> path, polygons = pw.datasets.make_example()
    >>> label, report = pw.ReadLabel(labels=polygons, column="class", classes=["forest", "water"]), pw.TrainingReport()
    >>> X, y = pw.sample_pixels(pw.open_catalog(path), None, label, n_pixels=100, random_state=0, report=report)
    >>> report
    TrainingReport: 4800 pixels seen in 1 scene, 3600 have no label, 1200 valid, 100 kept
    >>> report.classes
       class  valid  kept
    0      0    600    46
    1      1    600    54
    """

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self.scenes = pd.DataFrame(columns=["scene", "chips", *_COUNTS, "failed"])
        self.classes = pd.DataFrame(columns=["class", "valid", "kept"])
        self.errors: dict[str, str] = {}
        self.empty_bands: dict[str, list[str]] = {}
        self._counts: dict[int, dict[str, int]] = {}
        self._valid: dict[Any, int] = {}
        self.warned = Gathered()

    def totals(self) -> dict[str, int]:
        """Return the sums over all scenes.

        Returns
        -------
        dict of str to int
        """
        return {name: int(self.scenes[name].sum()) for name in _COUNTS}

    def start(self) -> None:
        """Forget everything."""
        self._clear()

    def add(self, found: ChipRows, name: str) -> None:
        """Count a chip.

        Parameters
        ----------
        found : ChipRows
            What was read.
        name : str
            Id of its scene.
        """
        counts = self._counts.setdefault(found.scene, dict.fromkeys(("chips", *_COUNTS, "failed"), 0))
        counts["chips"] += 1
        counts["failed"] += bool(found.error)
        self.warned.add(f"scene {name}", found.warned)
        if found.error:
            self.errors.setdefault(name, found.error)
            return
        for key, count in found.counts.items():
            counts[key] += count
        counts["valid"] += found.counts["seen"] - sum(found.counts.get(key, 0) for key in _REASONS)
        for label, count in found.classes.items():
            self._valid[label] = self._valid.get(label, 0) + count
        if found.empty:
            known = self.empty_bands.setdefault(name, [])
            known.extend(band for band in found.empty if band not in known)

    def finish(self, catalog: GeoCatalog, rows: Rows | None) -> None:
        """Make the tables.

        Parameters
        ----------
        catalog : GeoCatalog
            Whose scenes.
        rows : Rows or None
            The sample.
        """
        kept = np.bincount([] if rows is None else rows.scene, minlength=len(catalog))
        if kept.any():
            for number, counts in self._counts.items():
                counts["kept"] = int(kept[number])
        names = catalog.frame["id"]
        made = [{"scene": str(names.iat[number]), **self._counts[number]} for number in sorted(self._counts)]
        self.scenes = pd.DataFrame(made, columns=self.scenes.columns)
        labels: Any = [] if rows is None or rows.y is None else rows.y
        chosen = (
            dict(zip(*(part.tolist() for part in np.unique(labels, return_counts=True)), strict=True)) if self._valid else {}
        )
        table = [(label, self._valid[label], chosen.get(label, 0)) for label in sorted(self._valid)]
        self.classes = pd.DataFrame(table, columns=["class", "valid", "kept"])

    def finish_all(self, catalog: GeoCatalog) -> None:
        """Make the tables of a run that has used all valid pixels.

        Parameters
        ----------
        catalog : GeoCatalog
            Whose scenes.
        """
        self.finish(catalog, None)
        self.scenes["kept"], self.classes["kept"] = self.scenes["valid"], self.classes["valid"]

    def state(self) -> dict[str, Any]:
        """Return what was counted so far in plain parts, for `restore`."""
        return {
            "counts": list(self._counts.items()),
            "valid": list(self._valid.items()),
            "errors": self.errors,
            "empty_bands": self.empty_bands,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on counting from a `state`."""
        self._clear()
        self._counts, self._valid = dict(state["counts"]), dict(state["valid"])
        self.errors, self.empty_bands = dict(state["errors"]), dict(state["empty_bands"])

    def __repr__(self) -> str:
        total = self.totals()
        count = len(self.scenes)
        parts = [f"{total['seen']} pixels seen in {count} scene{'s'[: count != 1]}"]
        parts += [f"{total[name]} {what}" for name, what in _REASONS.items() if total[name]]
        parts += [f"{total['valid']} valid, {total['kept']} kept"]
        parts += [f"{len(self.errors)} scene{'s'[: len(self.errors) != 1]} not read in whole"] * bool(self.errors)
        return f"TrainingReport: {', '.join(parts)}"

    def _repr_html_(self) -> str:
        tables = [self.scenes] + [self.classes] * bool(len(self.classes))
        return f"<p>{escape(repr(self))}</p>" + "".join(table.to_html(index=False) for table in tables)
