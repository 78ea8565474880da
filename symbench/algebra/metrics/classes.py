"""Class by class: how right a model is on each, over the orbit, as samples are, and at the worst element."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from symbench.algebra.metrics.base import NO_LABELS, Context, Observed, Value
from symbench.algebra.metrics.folds import Each, Folded, Found, Piece, Total
from symbench.algebra.metrics.maps import COUNTED, NO_MAPS, counted, dice, ratio_of, totals_of, values_of
from symbench.algebra.statistics import Array, Mean

MOST = 100
"""Classes that are told one by one: of more, the table of all estimates would hold little else."""
MANY = Value(None, reason=f"there are more than {MOST} classes")
RIGHT = ("correct", "target", "valid", "class_hits", "class_said", "class_there")


def named(known: Context, number: int) -> str:
    """What a class is called: its number where nobody said."""
    return known.classes[number] if number < len(known.classes) else str(number)


def _overlap_totals(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    """As :func:`~symbench.algebra.metrics.maps.totals_of`, of classes that are few enough."""
    if seen.class_hits is None:
        return NO_MAPS
    return MANY if seen.class_hits.shape[-1] > MOST else totals_of(seen, found)


def _right_totals(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    """How often each class is there, and right, at each element, over samples or their places."""
    if seen.class_hits is not None:
        return _overlap_totals(seen, found)
    shown = _whole_samples(seen)
    if isinstance(shown, Value):
        return shown
    right, there = shown
    return {"hits": Total(_padded(right.sum(axis=1))), "there": Total(_padded(there.sum(axis=1)))}


def _padded(sums: Array) -> Array:
    """``(k, classes)`` with zeros for the classes up to the most: some samples alone may lack the last ones."""
    return np.pad(sums, ((0, 0), (0, MOST - sums.shape[1])))


def _whole_samples(seen: Observed) -> tuple[Array, Array] | Value:
    """Whether each sample is of each class and right, and of each class, ``(k, n, classes)``."""
    if seen.correct is None or seen.target is None:
        return NO_LABELS
    if seen.target.max(initial=0) >= MOST:
        return MANY
    classes = np.arange(int(seen.target.max(initial=0)) + 1)
    there = (seen.target[..., None] == classes) & seen.valid[..., None]
    return there * seen.correct[..., None], there * 1.0


def _dice_values(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    counts = counted(seen)
    assert counts is not None
    return _values(seen, dice(*counts), dice(found["hits"], found["said"], found["there"]))


def _right_values(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    counts, width = counted(seen), found["hits"].shape[1]
    if counts is None:
        shown = _whole_samples(seen)
        assert not isinstance(shown, Value)
        above, below = (np.pad(each, ((0, 0), (0, 0), (0, width - each.shape[2]))) for each in shown)
    else:
        above, below = counts[0], counts[2]
    return _values(seen, (above, below), (found["hits"], found["there"]))


def _values(seen: Observed, own: tuple[Array, Array], totals: tuple[Array, Array]) -> Mapping[str, Piece]:
    """Of each class and sample the values whose means are its ratio over the orbit, and unmoved; ``(classes, n)``."""
    known = totals[1] > 0  # (k, classes)
    weights = _shares(seen.weights, known)
    orbit, unmoved = np.zeros(own[0].shape[1:]), np.zeros(own[0].shape[1:])
    for k, weight in enumerate(weights):  # one element at a time: all of them would be as large as all observations
        if k and not weight.any():
            continue
        mine = values_of(own[0][k], own[1][k], (totals[0][k], totals[1][k]), seen.n)
        orbit += weight * mine
        unmoved = mine if k == 0 else unmoved
    kept = {"orbit": orbit, "unmoved": unmoved}
    return {name: Each(each.T[known.any(axis=0)]) for name, each in kept.items()}


def _shares(weights: Array, known: Array) -> Array:
    """The weights of elements for each class, ``(k, classes)``: of those that have it, adding up to 1."""
    mine = weights[:, None] * known
    shares: Array = mine / np.maximum(mine.sum(axis=0), 1e-300)
    return shares


def _dice_of(found: Found) -> tuple[Array, Array]:
    return dice(found["hits"], found["said"], found["there"])


def _right_of(found: Found) -> tuple[Array, Array]:
    return found["hits"], found["there"]


Of = Callable[[Found], tuple[Array, Array]]


def _each(of: Of, which: str) -> Callable[[Context, Found], list[Value]]:
    """One value for each class that there is: over the orbit, or of the samples as they are."""

    def values(known: Context, found: Found) -> list[Value]:
        there: Array = np.asarray(of(found)[1] > 0)
        rows = np.flatnonzero(there.any(axis=0)).tolist()
        some = there[0] if which == "unmoved" else np.asarray((there & (known.weights > 0)[:, None]).any(axis=0))
        return [
            _value(known, number, found[which][row]) for row, number in enumerate(rows) if some[number]
        ] or _no_class()

    return values


def _value(known: Context, number: int, values: Array) -> Value:
    mean = Value.of(Mean(values, bounded=False), element=named(known, number))
    return replace(mean, within=(0.0, 1.0))


def _no_class() -> list[Value]:
    return [Value(None, reason="no class is there")]


def _least(of: Of) -> Callable[[Context, Found], list[Value]]:
    """For each class its least value over the elements of the design; a minimum of several is told bare."""

    def values(known: Context, found: Found) -> list[Value]:
        above, below = of(found)
        chosen = (below > 0) & (known.weights > 0)[:, None]
        least = np.where(chosen, ratio_of(above, below), np.inf).min(axis=0)
        return [
            Value(float(least[number]), n=known.n, element=named(known, number))
            for number in np.flatnonzero(chosen.any(axis=0)).tolist()
        ] or _no_class()

    return values


DICE, ACCURACY = (_overlap_totals, _dice_values), (_right_totals, _right_values)
class_dice = Folded(_each(_dice_of, "orbit"), DICE, COUNTED)
"""For each class ``sum_k w_k`` of its Dice over the dataset at ``g_k``; the class stands where elements do."""
unmoved_class_dice = Folded(_each(_dice_of, "unmoved"), DICE, COUNTED)
"""The same of the samples as they are."""
worst_element_class_dice = Folded(_least(_dice_of), (_overlap_totals,), COUNTED)
"""For each class the least Dice over the elements of the design; without an interval."""
class_accuracy = Folded(_each(_right_of, "orbit"), ACCURACY, RIGHT)
"""For each class ``sum_k w_k`` of the share of its samples, or of its places in all maps, that are right at ``g_k``.

Of a map that is the recall of the class. Where classes move, the class is that of the unmoved sample.
"""
unmoved_class_accuracy = Folded(_each(_right_of, "unmoved"), ACCURACY, RIGHT)
"""The same of the samples as they are."""
worst_element_class_accuracy = Folded(_least(_right_of), (_right_totals,), RIGHT)
"""For each class the least such share over the elements of the design; without an interval."""
