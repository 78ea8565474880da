"""The samples that break worst, rendered again once a cell is measured: all that is kept of any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor

from symbench.base.columns import GALLERY
from symbench.domains.common.handling import Handling, handling_of
from symbench.measure.evaluate.forward import run_model
from symbench.measure.evaluate.job import Job, cropped, view_leaves
from symbench.measure.evaluate.reference import Reference

SHOWN = 5
"""Samples of a cell that are kept."""
KEPT = ("place_kept", "objects_kept")
"""The columns of how far a prediction is the unmoved one, moved along."""


@dataclass(frozen=True)
class Worst:
    """One sample at the element at which it is worst.

    Attributes:
        sample: the dataset's index.
        element: its number.
        broken: how badly; more is worse.
        deviation: ``|f(g.x) - g.f(x)|``.
        shares: of its places, or of its set, as the gallery's columns call them: right and kept; NaN for none.
    """

    sample: int
    element: int
    broken: float
    deviation: float
    shares: Mapping[str, float] = field(default_factory=dict)


def worst_of(columns: Mapping[str, np.ndarray], samples: Sequence[int], rounding: float = 0.0) -> list[Worst]:
    """The worst samples of a part, each at its worst element.

    A prediction that was right and is wrong comes before one that only changed, and that before one that stayed;
    among these the largest loss of confidence in the unmoved prediction, or the largest deviation, comes first. Of
    maps and sets it is the share that is no longer right, and then that which was not kept.

    Args:
        columns: of the part's rows, ``(elements, n)``; the reference view first.
        samples: the dataset's indices.
        rounding: deviations up to this are none.
    """
    deviation = np.sqrt(columns["deviation_sq"])
    score = np.where(columns["valid"].astype(bool), _broken(columns, deviation), -1.0)
    score[0] = -np.inf
    element = score.argmax(axis=0)
    place = np.arange(len(samples))
    shares = _shares(columns, element)
    found = zip(samples, element, score[element, place], deviation[element, place], strict=True)
    everything = [
        Worst(int(i), int(k), float(s), float(d), {name: float(each[n]) for name, each in shares.items()})
        for n, (i, k, s, d) in enumerate(found)
    ]
    return worst_first(worst for worst in everything if worst.deviation > rounding)


def _broken(columns: Mapping[str, np.ndarray], deviation: np.ndarray) -> np.ndarray:
    """How badly each sample is broken at each element, ``(elements, n)``."""
    score: np.ndarray = deviation / (1 + deviation)
    if "confidence" in columns:
        score = (columns["confidence"][0] - columns["confidence"] + 1) / 2
    for name in KEPT:
        if name in columns:
            score = np.nan_to_num(1 - columns[name].astype(np.float64)) + score / 1000
    if "place_right" in columns:
        right = columns["place_right"].astype(np.float64)
        score = score + 2.0 * np.nan_to_num(right[0] - right).clip(min=0)
    if "prediction" in columns:
        score = score + 2.0 * (columns["prediction"] != columns["prediction"][0])
    if "correct" in columns:
        score = score + 4.0 * ((columns["correct"][0] > columns["correct"]) & columns["valid"].astype(bool))
    return score


def _shares(columns: Mapping[str, np.ndarray], element: np.ndarray) -> dict[str, np.ndarray]:
    """What is right and kept of each sample, ``(n,)``, at its element."""
    place = np.arange(len(element))
    found: dict[str, np.ndarray] = {}
    for name in KEPT:
        if name in columns:
            found["kept"] = columns[name][element, place]
    if "place_right" in columns:
        right = columns["place_right"]
        found |= {"right_before": right[0], "right_after": right[element, place]}
    return found


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
    row: dict[str, Any] = dict.fromkeys(GALLERY.names)
    row |= {"element": _label(job, each)}
    row |= {name: None if np.isnan(share) else share for name, share in each.shares.items()}
    task, seen = reference.task, []
    for name, number in (("before", 0), ("after", each.element)):
        leaves, targets = view_leaves(job, [each.sample], number)
        image = job.prepared.actions[job.prepared.on].finish(leaves[job.prepared.on])[0]
        others = {leaf: values[0] for leaf, values in leaves.items() if leaf != job.prepared.on}
        picture = _shown(job).rendered(image, others)
        if picture is None:
            return None
        row[f"image_{name}"] = picture
        label = None if task.target is None else cropped(job, task.target, targets[task.target])
        if label is not None:
            row["target"] = task.shown_target(label[0], job.classes)
        output = run_model(job, leaves)[task.output]
        row[name], row[f"confidence_{name}"] = task.shown(output[0], job.classes)
        seen.append((image, output, label))
    return row | _drawn(job, reference, each, seen)


def _drawn(
    job: Job, reference: Reference, each: Worst, seen: Sequence[tuple[Tensor, Tensor, Tensor | None]]
) -> dict[str, bytes | None]:
    """The output over the image before and after, moved along, and where the last two differ."""
    (image, before, label), (moved, after, _) = seen
    over = partial(_shown(job).drawn, field=reference.task.field)
    said, got = _said(reference, before), _said(reference, after)
    as_it_was = over(image, said[0] if label is None else label[0])
    if as_it_was is None:
        return {}
    g = job.prepared.elements.at([each.sample])[each.element][None]
    wanted = (reference.names or reference.action).act(g, said)[0, 0]
    return {
        "drawn_before": as_it_was,
        "drawn_moved": over(moved, wanted),
        "drawn_after": over(moved, got[0]),
        "drawn_apart": over(moved, wanted, other=got[0]),
    }


def _said(reference: Reference, output: Tensor) -> Tensor:
    """What is drawn of an output ``(n, ...)``: the class of each place of a map, else as it is compared."""
    maps = reference.task.predicted(output)
    return reference.task.compared(output) if maps is None else maps


def _label(job: Job, each: Worst) -> str:
    elements = job.prepared.elements.at([each.sample])[each.element]  # (...) or (1, ...)
    own = job.prepared.elements.shared is None
    return job.prepared.group.labels(elements if own else elements[None])[0]
