"""The samples that break worst, rendered again once a cell is measured: all that is kept of any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symbench.base.columns import GALLERY
from symbench.domains.common.handling import Handling, handling_of
from symbench.measure.evaluate.forward import run_model
from symbench.measure.evaluate.job import Job, view_leaves
from symbench.measure.evaluate.reference import Reference

SHOWN = 5
"""Samples of a cell that are kept."""


@dataclass(frozen=True)
class Worst:
    """One sample at the element at which it is worst.

    Attributes:
        sample: the dataset's index.
        element: its number.
        broken: how badly; more is worse.
        deviation: ``|f(g.x) - g.f(x)|``.
    """

    sample: int
    element: int
    broken: float
    deviation: float


def worst_of(columns: Mapping[str, np.ndarray], samples: Sequence[int], rounding: float = 0.0) -> list[Worst]:
    """The worst samples of a part, each at its worst element.

    A prediction that was right and is wrong comes before one that only changed, and that before one that stayed;
    among these the largest loss of confidence in the unmoved prediction, or the largest deviation, comes first.

    Args:
        columns: of the part's rows, ``(elements, n)``; the reference view first.
        samples: the dataset's indices.
        rounding: deviations up to this are none.
    """
    deviation = np.sqrt(columns["deviation_sq"])
    score = deviation / (1 + deviation)
    if "confidence" in columns:
        score = (columns["confidence"][0] - columns["confidence"] + 1) / 2
    if "prediction" in columns:
        score = score + 2.0 * (columns["prediction"] != columns["prediction"][0])
    if "correct" in columns:
        score = score + 4.0 * ((columns["correct"][0] > columns["correct"]) & columns["valid"].astype(bool))
    score = np.where(columns["valid"].astype(bool), score, -1.0)
    score[0] = -np.inf
    element = score.argmax(axis=0)
    place = np.arange(len(samples))
    found = zip(samples, element, score[element, place], deviation[element, place], strict=True)
    everything = [Worst(int(i), int(k), float(s), float(d)) for i, k, s, d in found]
    return worst_first(worst for worst in everything if worst.deviation > rounding)


def worst_first(found: Iterator[Worst] | Sequence[Worst]) -> list[Worst]:
    """The worst of some, by sample where they are equally bad."""
    return sorted(found, key=lambda worst: (-worst.broken, worst.sample))[:SHOWN]


def rendered(job: Job, reference: Reference, worst: Sequence[Worst]) -> dict[str, Any] | None:
    """The gallery's columns; None where the leaf that is moved holds no pictures, or nothing deviates.

    Args:
        job: the cell.
        reference: the output that they broke on.
        worst: the samples, the worst first.
    """
    if not worst or not _shown(job).pictured:
        return None
    columns: dict[str, list[Any]] = {name: [] for name in GALLERY.names}
    for rank, each in enumerate(worst):
        row = _row(job, reference, each)
        if row is None:
            return None
        for name, value in {**row, "rank": rank, "sample": each.sample, "deviation": each.deviation}.items():
            columns[name].append(value)
    return columns


def _shown(job: Job) -> Handling:
    return handling_of(job.dataset.fields[job.prepared.on])


def _row(job: Job, reference: Reference, each: Worst) -> dict[str, Any] | None:
    row: dict[str, Any] = {"element": _label(job, each), "target": None}
    for name, number in (("before", 0), ("after", each.element)):
        leaves, targets = view_leaves(job, [each.sample], number)
        seen = job.prepared.actions[job.prepared.on].finish(leaves[job.prepared.on])
        others = {leaf: values[0] for leaf, values in leaves.items() if leaf != job.prepared.on}
        picture = _shown(job).rendered(seen[0], others)
        if picture is None:
            return None
        row[f"image_{name}"] = picture
        task = reference.task
        if task.target is not None:
            row["target"] = task.shown_target(targets[task.target][0], job.classes)
        row[name], row[f"confidence_{name}"] = task.shown(run_model(job, leaves)[task.output][0], job.classes)
    return row


def _label(job: Job, each: Worst) -> str:
    elements = job.prepared.elements.at([each.sample])[each.element]  # (...) or (1, ...)
    own = job.prepared.elements.shared is None
    return job.prepared.group.labels(elements if own else elements[None])[0]
