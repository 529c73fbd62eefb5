"""TrainingReport: what became of the pixels that a model could have learned from."""

from __future__ import annotations

import json
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
_COLUMNS = ("chips", *_COUNTS, "failed")


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
        self.start(0)

    def start(self, n_scenes: int) -> None:
        """Forget everything.

        Parameters
        ----------
        n_scenes : int
            Scenes of the catalog that is counted next.
        """
        self.scenes = pd.DataFrame(columns=["scene", *_COLUMNS])
        self.classes = pd.DataFrame(columns=["class", "valid", "kept"])
        self.errors: dict[str, str] = {}
        self.empty_bands: dict[str, list[str]] = {}
        # An array, because dicts of ten thousand scenes are megabytes, and many more in a checkpoint.
        self._counts = np.zeros((n_scenes, len(_COLUMNS)), np.int64)
        self._valid: dict[Any, int] = {}
        self.warned = Gathered()

    def totals(self) -> dict[str, int]:
        """Return the sums over all scenes.

        Returns
        -------
        dict of str to int
        """
        return {name: int(self.scenes[name].sum()) for name in _COUNTS}

    def add(self, found: ChipRows, name: str) -> None:
        """Count a chip.

        Parameters
        ----------
        found : ChipRows
            What was read.
        name : str
            Id of its scene.
        """
        new = {"chips": 1, "failed": int(bool(found.error)), **found.counts}
        new["valid"] = new.get("seen", 0) - sum(new.get(key, 0) for key in _REASONS)
        self._counts[found.scene] += [new.get(column, 0) for column in _COLUMNS]
        self.warned.add(f"scene {name}", found.warned)
        if found.error:
            self.errors.setdefault(name, found.error)
            return
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
        if rows is not None:
            self._counts[:, _COLUMNS.index("kept")] = np.bincount(rows.scene, minlength=len(catalog))
        read = np.flatnonzero(self._counts[:, _COLUMNS.index("chips")])
        self.scenes = pd.DataFrame(self._counts[read], columns=list(_COLUMNS))
        self.scenes.insert(0, "scene", catalog.frame["id"].iloc[read].astype(str).to_numpy())
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
        told = list(self._valid.items()), self.errors, self.empty_bands
        return {"counts": self._counts, "told": json.dumps(told)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on counting from a `state`."""
        self.start(0)
        self._counts = state["counts"]
        valid, self.errors, self.empty_bands = json.loads(state["told"])
        self._valid = dict(valid)

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
