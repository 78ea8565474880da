"""Classes at the places of a map: IoU and Dice over the whole dataset, the mean over classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from symbench.algebra.metrics.base import Context, Observed, Value
from symbench.algebra.metrics.folds import Each, Folded, Found, Piece, Total
from symbench.algebra.statistics import Array, Deferred, LargestMean, Mean, Sampled

NO_MAPS = Value(None, reason="the output is no map of classes with labels")
NEVER = Value(None, reason="no class is there or said anywhere")
COUNTED = ("class_hits", "class_said", "class_there", "valid")
Counts = Callable[[Array, Array, Array], tuple[Array, Array]]
"""Of hits, said and there, what a measure of overlap is the ratio of."""


def iou(hits: Array, said: Array, there: Array) -> tuple[Array, Array]:
    """Intersection and union."""
    return hits, said + there - hits


def dice(hits: Array, said: Array, there: Array) -> tuple[Array, Array]:
    """Twice the intersection, and the sum of both."""
    return 2 * hits, said + there


OVERLAPS: tuple[Counts, ...] = (iou, dice)


def counted(seen: Observed) -> tuple[Array, Array, Array] | None:
    """Hits, said and there of the samples that count, ``(k, n, classes)``; zeros of the others."""
    known = seen.class_hits, seen.class_said, seen.class_there
    if known[0] is None or known[1] is None or known[2] is None:
        return None
    hits, said, there = (np.where(seen.valid[..., None], each, 0.0) for each in known if each is not None)
    return hits, said, there


def totals_of(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    """The counts of each element and class, summed over samples."""
    del found
    counts = counted(seen)
    if counts is None:
        return NO_MAPS
    return {name: Total(each.sum(axis=1)) for name, each in zip(("hits", "said", "there"), counts, strict=True)}


def values_of(above: Array, below: Array, totals: tuple[Array, Array], n: int) -> Array:
    """For each sample a value whose mean is a ratio of sums: its influence, about the ratio.

    Args:
        above: ``(..., samples, classes)``.
        below: likewise.
        totals: their sums over all samples, ``(..., classes)``.
        n: how many samples there are in all.

    Returns:
        Like ``above``: ``r + n (above - r below) / sum(below)``; 0 where the sum is.
    """
    ratio, total = ratio_of(*totals)[..., None, :], np.maximum(totals[1], 1e-300)[..., None, :]
    found: Array = np.where(totals[1][..., None, :] > 0, ratio + n * (above - ratio * below) / total, 0.0)
    return found


def ratio_of(above: Array, below: Array) -> Array:
    """The ratio, and 0 of nothing."""
    found: Array = np.divide(above, below, out=np.zeros_like(below), where=below > 0)
    return found


def _over_classes(found: Found, measure: Counts) -> tuple[Array, Array]:
    """At each element the mean over the classes that are there or said, and whether there are any, ``(k,)``."""
    above, below = measure(found["hits"], found["said"], found["there"])
    known = below > 0
    some: Array = np.asarray(known.any(axis=1))
    return ratio_of(above, below).sum(axis=1) / np.maximum(known.sum(axis=1), 1), some


def _values(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    """Of each element and sample the values whose means are IoU and Dice, ``(k, n)``."""
    counts = counted(seen)
    assert counts is not None
    sums, pieces = (found["hits"], found["said"], found["there"]), dict[str, Piece]()
    for measure in OVERLAPS:
        totals = measure(*sums)
        values = values_of(*measure(*counts), totals, seen.n)
        known = (totals[1] > 0).sum(axis=1)
        pieces[measure.__name__] = Each(values.sum(axis=-1) / np.maximum(known, 1)[:, None])
    return pieces


def mean_within(values: Array) -> Value:
    """The mean of one value for each sample, ``(n,)``, which lies in [0, 1] where single values may not."""
    return replace(Value.of(Mean(values, bounded=False)), within=(0.0, 1.0))


def as_it_is(measure: Counts) -> Callable[[Context, Found], list[Value]]:
    """Of the samples as they are, then one at each element."""

    def values(known: Context, found: Found) -> list[Value]:
        means, some = _over_classes(found, measure)
        each = found[measure.__name__]
        first = mean_within(each[0]) if some[0] else NEVER
        return [first, *(at_element(known, each, k, float(means[k])) for k in np.flatnonzero(some).tolist())]

    return values


def at_element(known: Context, each: Array, k: int, estimate: float) -> Value:
    """The value at one element, of ``(k, n)``; tables hold no interval of it."""

    def again() -> Sampled:
        return Mean(each[k], bounded=False)

    value = Value.of(Deferred(estimate, known.n, known.n, again), element=known.labels[k], drawn=False)
    return replace(value, within=(0.0, 1.0))


def over_orbit(each: Array, weights: Array, some: Array) -> Value:
    """The weighted mean over the elements that have a value."""
    mine = weights * some
    return mean_within(np.tensordot(mine / mine.sum(), each, 1)) if mine.sum() > 0 else NEVER


def at_worst(each: Array, weights: Array, some: Array) -> Value:
    """The least over the elements of the design that have a value, with limits that allow for its being one."""
    chosen = some & (weights > 0)
    if not chosen.any():
        return NEVER
    losses = 1 - each[chosen]
    least = LargestMean(losses, np.ones(losses.shape, dtype=bool), complement=True)
    return replace(Value.of(least), within=(0.0, 1.0))


def _orbit(measure: Counts) -> Callable[[Context, Found], list[Value]]:
    def values(known: Context, found: Found) -> list[Value]:
        return [over_orbit(found[measure.__name__], known.weights, _over_classes(found, measure)[1])]

    return values


def _worst(measure: Counts) -> Callable[[Context, Found], list[Value]]:
    def values(known: Context, found: Found) -> list[Value]:
        return [at_worst(found[measure.__name__], known.weights, _over_classes(found, measure)[1])]

    return values


STEPS = (totals_of, _values)
mean_iou = Folded(as_it_is(iou), STEPS, COUNTED)
"""The mean over classes of ``sum hits / sum (said + there - hits)``, sums over the places of all samples as they are;
then one at each element. Classes that are neither there nor said count nowhere."""
orbit_mean_iou = Folded(_orbit(iou), STEPS, COUNTED)
"""``sum_k w_k`` of the mean IoU at ``g_k``."""
worst_element_iou = Folded(_worst(iou), STEPS, COUNTED)
"""``min_k`` of the mean IoU at ``g_k``, over the elements of the design."""
mean_dice = Folded(as_it_is(dice), STEPS, COUNTED)
"""The same of ``2 sum hits / sum (said + there)``, which is F1."""
orbit_mean_dice = Folded(_orbit(dice), STEPS, COUNTED)
"""``sum_k w_k`` of the mean Dice at ``g_k``."""
worst_element_dice = Folded(_worst(dice), STEPS, COUNTED)
"""``min_k`` of the mean Dice at ``g_k``, over the elements of the design."""
