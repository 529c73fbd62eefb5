"""The journal of a catalog run: what is done, what failed and why, on disk before the next scene begins."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pandas as pd

from pixelwise.errors import CatalogError, PixelwiseWarning
from pixelwise.raster.uploads import size_of

__all__ = ["Entry", "Journal", "only_run"]

_TABLE = """
CREATE TABLE IF NOT EXISTS scenes (
    path TEXT PRIMARY KEY, scene TEXT, state TEXT, reason TEXT, pipeline TEXT, source TEXT, size INTEGER, seconds REAL,
    finished TEXT
)
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """What has become of one scene.

    Parameters
    ----------
    path : str
        The output.
    scene : str
        Its id.
    pipeline, source : str
        Fingerprints of what was applied, and of the files that were read.
    reason : str or None, default=None
        Why it failed; None where it is done.
    size : int or None, default=None
        Bytes of the output.
    seconds : float, default=0.0
        What it took.
    warned : sequence of PixelwiseWarning, default=()
        What was said about it, which the journal does not keep.
    """

    path: str
    scene: str
    pipeline: str
    source: str
    reason: str | None = None
    size: int | None = None
    seconds: float = 0.0
    warned: Sequence[PixelwiseWarning] = ()


class Journal:
    """A table of scenes in a file of SQLite.

    Parameters
    ----------
    path : pathlib.Path
        The file; it is made where there is none.

    Raises
    ------
    CatalogError
        If it is no journal, or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from pixelwise.inference.journal import Entry, Journal
    >>> with tempfile.TemporaryDirectory() as folder, Journal(Path(folder, "journal.sqlite")) as journal:
    ...     journal.note(Entry("a.tif", "a", "model 1", "file 1", reason="no network"))
    ...     journal.is_done(Entry("a.tif", "a", "model 1", "file 1")), journal.frame()["reason"].tolist()
    (False, ['no network'])
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._using():
            self._base = sqlite3.connect(path, timeout=30)
            with self._base:
                self._base.execute(_TABLE)

    @contextlib.contextmanager
    def _using(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise CatalogError(f"journal {self.path} cannot be used: {error}; name another file with journal=") from error

    def note(self, entry: Entry) -> None:
        """Write down what has become of a scene; it is on disk when this returns.

        Parameters
        ----------
        entry : Entry
            It replaces an earlier one of the same output.
        """
        state, now = "done" if entry.reason is None else "failed", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        row = (entry.path, entry.scene, state, entry.reason, entry.pipeline, entry.source, entry.size, entry.seconds, now)
        with self._using(), self._base:
            self._base.execute("INSERT OR REPLACE INTO scenes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    def is_done(self, entry: Entry) -> bool:
        """Return whether an output is there, whole, and of this pipeline and these files.

        Parameters
        ----------
        entry : Entry
            What would be done.

        Returns
        -------
        bool
        """
        asked = "SELECT size FROM scenes WHERE path = ? AND state = 'done' AND pipeline = ? AND source = ?"
        with self._using():
            found = self._base.execute(asked, (entry.path, entry.pipeline, entry.source)).fetchone()
        return found is not None and size_of(Path(entry.path)) == found[0]

    def frame(self) -> pd.DataFrame:
        """Return all entries, in the order of their outputs.

        Returns
        -------
        pandas.DataFrame
            With the columns path, scene, state ("done" or "failed"), reason, pipeline, source, size, seconds and finished.
        """
        with self._using():
            found = self._base.execute("SELECT * FROM scenes ORDER BY path")
            return pd.DataFrame(found.fetchall(), columns=[column[0] for column in found.description])

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


@contextlib.contextmanager
def only_run(path: Path) -> Iterator[None]:
    """Keep other runs from a journal inside the block: a run clears away what it takes for left behind by killed ones.

    Parameters
    ----------
    path : pathlib.Path
        The journal. A hidden file beside it is locked, which ends with the process at the latest.

    Yields
    ------
    None

    Raises
    ------
    CatalogError
        If another run has it.
    """
    place = path.with_name(f".{path.name}.lock")
    with contextlib.ExitStack() as stack:
        try:
            lock = stack.enter_context(contextlib.closing(sqlite3.connect(place, timeout=0, isolation_level=None)))
            # Readers of the journal itself, such as status(), are not kept out.
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            why = "is used by another run" if "locked" in str(error) else f"cannot be used: {error}"
            remedy = "wait for its end, or give each run a file of its own with journal="
            raise CatalogError(f"journal {path} {why}; {remedy}") from error
        try:
            yield
        finally:
            lock.close()
            with contextlib.suppress(OSError):
                place.unlink()
