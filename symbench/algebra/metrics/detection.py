"""Average precision of boxes about objects, as COCO defines it, of samples as they are and over the orbit."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from symbench.algebra.metrics.base import Context, Observed, Value
from symbench.algebra.metrics.folds import Each, Folded, Found, Piece
from symbench.algebra.metrics.maps import at_element, at_worst, mean_within, over_orbit
from symbench.algebra.statistics import Array

NO_BOXES = Value(None, reason="the output is of no boxes with labels")
NO_OBJECT = Value(None, reason="no object is there")
NOTHING_FOUND = "that it stays the same says nothing"
"""How remarks end on detectors that find no objects."""
BOXES = ("object_scores", "object_classes", "object_hits", "object_targets", "valid")
OVERLAPS = 10
"""Overlaps 0.50, 0.55, ..., 0.95 at which detections are right or wrong: the bits of ``object_hits``."""
MOST = 100
"""Detections of one class in one sample that are looked at, those that score most."""
RECALLS = np.linspace(0.0, 1.0, 101)
ALL, HALF = "over 0.50 to 0.95", "at 0.50"
EPS = np.spacing(1.0)


class Rows(Piece):
    """Rows of which each sample has any number, ``(columns, rows)``: in the first column stands whose they are."""

    def __init__(self, rows: Array, samples: int) -> None:
        self.pieces, self.count = [rows.astype(np.float32)], samples

    def join(self, other: Rows) -> None:
        """Put those of later samples behind."""
        for rows in other.pieces:
            moved = rows.copy()
            moved[0] += self.count
            self.pieces.append(moved)
        self.count += other.count

    def whole(self, order: Array) -> Array:
        """All of them, those of one sample behind those of another, in the order that they had."""
        rows = np.concatenate(self.pieces, axis=1)
        places = np.empty(len(order), dtype=int)
        places[order] = np.arange(len(order))
        rows[0] = places[rows[0].astype(int)]
        found: Array = rows[:, np.argsort(rows[0], kind="stable")]
        return found


def _taken(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    """The detections and the objects of samples that count, at all elements, without the rows that are none."""
    del found
    scores, classes, hits, there = (getattr(seen, name) for name in BOXES[:-1])
    if scores is None or classes is None or hits is None or there is None:
        return NO_BOXES
    n = len(seen.samples)
    k, i, row = np.nonzero((classes >= 0) & seen.valid[..., None])
    said = Rows(np.stack([i, k, classes[k, i, row], scores[k, i, row], hits[k, i, row]]), n)
    k, i, row = np.nonzero((there >= 0) & seen.valid[..., None])
    return {"said": said, "objects": Rows(np.stack([i, k, there[k, i, row]]), n), "counted": Each(seen.valid)}


def _ranked(found: Found) -> Found:
    """Of each element and sample the values whose means are AP over all overlaps and at one half, ``(2, k, n)``, and
    at which elements there is any object, ``(k,)``."""
    k, n = found["counted"].shape
    values, some = np.zeros((2, k, n)), np.zeros(k, dtype=bool)
    for element in range(k):
        said, objects = (rows[:, rows[1] == element] for rows in (found["said"], found["objects"]))
        classes = np.unique(objects[2])
        some[element] = len(classes) > 0
        for label in classes:
            of_class, there = said[:, said[2] == label], objects[0, objects[2] == label].astype(int)
            sample, score, hits = of_class[0].astype(int), of_class[3], of_class[4].astype(int)
            values[:, element] += values_of(sample, score, hits, np.bincount(there, minlength=n)) / len(classes)
    return {ALL: values[0], HALF: values[1], "some": some}


def values_of(sample: Array, score: Array, hits: Array, there: Array) -> Array:
    """Of one class, for each sample the values whose means are AP over all overlaps and at one half: its influences.

    Recall and precision fall on one another as in COCO: precision at a recall is the largest at that recall or any
    beyond it, and AP the mean of that at 101 recalls, detections being ranked by their scores, and in the order of
    samples where these are tied. A sample's influence is that on the area under the same curve. With N the number of
    objects, T and R those of right detections and of all up to a rank, t whether one is right, and l(j) the rank from
    j on at which precision T / R is largest, that area is ``sum_j t_j T_l(j) / R_l(j) / N``, whose derivative by the
    sample's weight is taken (the infinitesimal jackknife, Efron 1982).

    Args:
        sample: of each detection whose it is, ``(m,)``; in order.
        score: ``(m,)``.
        hits: bit b says whether it is right at an overlap of 0.5 + 0.05 b, ``(m,)``.
        there: how many objects each sample has, ``(n,)``.

    Returns:
        ``(2, n)``.
    """
    order = np.argsort(-score, kind="stable")
    order = order[_first(sample[order])]
    sample, right = sample[order], ((hits[order] >> np.arange(OVERLAPS)[:, None]) & 1).astype(np.float64)
    count, n = float(there.sum()), len(there)
    ranks = np.arange(1, len(order) + 1)
    precision = np.cumsum(right, axis=1) / (ranks + EPS)
    beyond = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    estimates = np.array([_at_recalls(*each, count) for each in zip(right, beyond, strict=True)])
    slopes = np.array([_slopes(*each, ranks, count) for each in zip(right, precision, beyond, strict=True)])
    areas = (right * beyond).sum(axis=1) / count
    found = []
    for some in (slice(None), slice(1)):
        moved = np.bincount(sample, weights=slopes[some].mean(axis=0), minlength=n)
        influence = np.round(n * (moved - areas[some].mean() * there / count), 12)  # where all are right, none at all
        found.append(estimates[some].mean() + influence)
    return np.array(found)


def _first(sample: Array) -> Array:
    """Which of ranked detections are among the first so many of their sample, in their order."""
    by_sample = np.argsort(sample, kind="stable")
    ordered = sample[by_sample]
    within = np.arange(len(ordered)) - np.searchsorted(ordered, ordered)
    return np.sort(by_sample[within < MOST])


def _at_recalls(right: Array, beyond: Array, count: float) -> float:
    """The mean at 101 recalls of the largest precision from there on, 0 where recall is never reached."""
    at = np.searchsorted(np.cumsum(right) / count, RECALLS, side="left")
    return float(np.append(beyond, 0.0)[at].mean())


def _slopes(right: Array, precision: Array, beyond: Array, ranks: Array, count: float) -> Array:
    """What the weight of each detection adds to the area, but for the part that its objects have in N, ``(m,)``."""
    m = len(ranks)
    largest = np.minimum.accumulate(np.where(precision == beyond, np.arange(m), m)[::-1])[::-1]
    parts = np.bincount(largest, weights=right, minlength=m)[:m] / ranks / count
    above, below = (np.cumsum(each[::-1])[::-1] for each in (parts, parts * precision))
    slopes: Array = right * beyond / count + right * above - below
    return slopes


def _nothing(seen: Observed, found: Found) -> Mapping[str, Piece]:
    """Detections are ranked among those of all samples before this step, once for all metrics that have it."""
    del seen, found
    return {}


def _as_it_is(which: str) -> Callable[[Context, Found], list[Value]]:
    def values(known: Context, found: Found) -> list[Value]:
        each, some = found[which], found["some"]
        first = mean_within(each[0]) if some[0] else NO_OBJECT
        return [first, *(at_element(known, each, k, float(each[k].mean())) for k in np.flatnonzero(some).tolist())]

    return values


def _orbit(which: str) -> Callable[[Context, Found], list[Value]]:
    def values(known: Context, found: Found) -> list[Value]:
        return [over_orbit(found[which], known.weights, found["some"]) if found["some"].any() else NO_OBJECT]

    return values


def _worst(which: str) -> Callable[[Context, Found], list[Value]]:
    def values(known: Context, found: Found) -> list[Value]:
        return [at_worst(found[which], known.weights, found["some"]) if found["some"].any() else NO_OBJECT]

    return values


STEPS = (_taken, _nothing)
average_precision = Folded(_as_it_is(ALL), STEPS, BOXES, _ranked)
"""COCO's AP: the mean over overlaps 0.50, 0.55, ..., 0.95 and over the classes that are there, of all samples as they
are; then one at each element, against the objects moved along.

Intervals tell how much it varies, of samples as many as these. It lies higher the fewer objects there are, as its
precision is the largest at any recall beyond: with 33 objects of each class 0.25, of which 0.22 is left with 16,000.
"""
average_precision_50 = Folded(_as_it_is(HALF), STEPS, BOXES, _ranked)
"""The same at an overlap of 0.50 alone."""
orbit_average_precision = Folded(_orbit(ALL), STEPS, BOXES, _ranked)
"""``sum_k w_k`` of AP at ``g_k``: detections are ranked among those of samples that are moved alike."""
orbit_average_precision_50 = Folded(_orbit(HALF), STEPS, BOXES, _ranked)
"""``sum_k w_k`` of AP at an overlap of 0.50 at ``g_k``."""
worst_element_average_precision = Folded(_worst(ALL), STEPS, BOXES, _ranked)
"""``min_k`` of AP at ``g_k``, over the elements of the design."""
