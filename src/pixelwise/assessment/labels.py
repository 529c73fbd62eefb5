"""Labels of a sample: cleaned, counted by stratum, and given the numbers that belong to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pixelwise.assessment.estimates import plain_label
from pixelwise.errors import LabelError

__all__ = ["check_same_kind", "clean_labels", "count_samples", "numbers_by_label", "sorted_labels"]


def clean_labels(values: Any, what: str) -> np.ndarray:
    """Return labels as whole numbers, numbers or text.

    Parameters
    ----------
    values : array-like of shape (n,)
        Labels.
    what : str
        What they are, for messages.

    Returns
    -------
    ndarray of shape (n,)
        Floats that are whole numbers come as integers, text as objects.

    Raises
    ------
    LabelError
        If they are not one-dimensional, there are none, one is missing, or text and numbers are mixed.
    """
    labels = np.asarray(values)
    if labels.ndim != 1:
        raise LabelError(
            f"{what} have shape {labels.shape}: pass one label a sample, or matrix=... and areas=... for an error matrix"
        )
    if not len(labels):
        raise LabelError(f"{what} are empty: there is no sample to estimate from")
    missing = np.asarray(pd.isna(labels) | (labels == "")) if labels.dtype.kind in "OUST" else np.asarray(pd.isna(labels))
    if missing.any():
        raise LabelError(
            f"{what} are missing for {missing.sum():,} of {len(labels):,} samples (the first is number {np.argmax(missing)}): "
            "label them; or, if they are missing by chance alone, leave those samples out everywhere",
            missing=np.flatnonzero(missing),
        )
    if labels.dtype.kind in "biu":
        return labels
    if labels.dtype.kind == "f":
        whole = np.isfinite(labels).all() and (labels == np.rint(labels)).all()
        return labels.astype(np.int64) if whole else labels
    kinds = {isinstance(label, str) for label in labels}
    if len(kinds) > 1:
        raise LabelError(f"{what} mix text and numbers, such as {labels[0]!r}: give them one type")
    if kinds == {True}:
        return labels.astype(object)
    return clean_labels(pd.to_numeric(pd.Series(labels)).to_numpy(), what)


def check_same_kind(mapped: np.ndarray, reference: np.ndarray) -> None:
    """Refuse labels of the map and the reference that can never be the same.

    Parameters
    ----------
    mapped, reference : ndarray of shape (n,)
        Clean labels.

    Raises
    ------
    LabelError
        If their lengths differ, or one are text and the other numbers.
    """
    if len(mapped) != len(reference):
        raise LabelError(
            f"{len(mapped):,} labels of the map and {len(reference):,} of the reference: give one of each for each sample"
        )
    if (mapped.dtype.kind == "O") != (reference.dtype.kind == "O"):
        raise LabelError(
            f"labels of the map are such as {plain_label(mapped[0])!r} and those of the reference such as "
            f"{plain_label(reference[0])!r}: give both as text, or both as numbers"
        )


def sorted_labels(*labels: Iterable[Any]) -> list[Any]:
    """Return all different labels in order, as Python objects."""
    found = {plain_label(label) for each in labels for label in pd.unique(pd.Series(each))}
    return sorted(found, key=lambda label: (isinstance(label, str), label))


def numbers_by_label(given: Any, labels: Sequence[Any], what: str, default: Mapping[Any, float] | None = None) -> np.ndarray:
    """Return the number that belongs to each label.

    Parameters
    ----------
    given : mapping, Series, or sequence
        Numbers by label; a sequence has them in the order of `labels`. Keys that are no label themselves are taken for their
        text: 1 is found under "1".
    labels : sequence of label
        The labels.
    what : str
        What the numbers are, for messages.
    default : mapping of label to float, or None
        Numbers of labels that need not be given.

    Returns
    -------
    ndarray of float, shape (n_labels,)

    Raises
    ------
    LabelError
        If a label has no number, or a number no label.
    """
    if isinstance(given, pd.Series):
        given = given.to_dict()
    if not isinstance(given, Mapping):
        numbers = np.asarray(given, dtype=float)
        if numbers.shape != (len(labels),):
            raise LabelError(f"{what} have shape {numbers.shape} for {len(labels)} classes or strata: give one number for each")
        return numbers
    known = {plain_label(key): float(number) for key, number in given.items()}
    by_text = {str(key): number for key, number in known.items()}
    found = {**(default or {}), **{label: by_text[str(label)] for label in labels if str(label) in by_text}}
    lacking = [label for label in labels if label not in found]
    if lacking:
        raise LabelError(
            f"{what} has no number for {lacking[0]!r}: give one for each of {', '.join(map(repr, labels))}", missing=lacking
        )
    unknown = [key for key in known if str(key) not in {str(label) for label in labels}]
    if unknown:
        raise LabelError(
            f"{what} has a number for {unknown[0]!r}, which is none of {', '.join(map(repr, labels))}", unknown=unknown
        )
    return np.array([found[label] for label in labels], dtype=float)


def count_samples(
    mapped: np.ndarray, reference: np.ndarray, stratum: np.ndarray, classes: Sequence[Any], strata: Sequence[Any]
) -> np.ndarray:
    """Count samples by stratum, map class and reference class.

    Parameters
    ----------
    mapped, reference, stratum : ndarray of shape (n,)
        Labels.
    classes, strata : sequence of label
        All there are.

    Returns
    -------
    ndarray of int, shape (n_strata, n_classes, n_classes)

    Raises
    ------
    LabelError
        If a label is none of them.
    """
    columns = []
    for labels, known in ((stratum, strata), (mapped, classes), (reference, classes)):
        at = pd.Index(list(known), dtype=object).get_indexer(pd.Index(labels, dtype=object))
        if (at < 0).any():
            strange = plain_label(labels[np.argmin(at)])
            raise LabelError(f"label {strange!r} of the sample is none of {', '.join(map(repr, known))}: name it among them")
        columns.append(at)
    counts = np.zeros((len(strata), len(classes), len(classes)), np.int64)
    np.add.at(counts, tuple(columns), 1)
    return counts
