"""How often the model is right, over the orbit.

Of several labels, or of the places of a map, the share of a sample's that are right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy.special import gammaln

from symbench.algebra.metrics.base import NO_LABELS, Context, Observed, Value
from symbench.algebra.metrics.folds import Each, Folded, Found, Piece, Total
from symbench.algebra.statistics import Array, Deferred, Mean, Smallest

DRAWS = 5
"""m of worst_of_m."""
RIGHT = ("correct", "valid")
NONE_VALID = Value(None, reason="the element changes every label")


def unmoved(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    """Whether samples are right as they are, and whether they count."""
    del found
    if seen.correct is None:
        return NO_LABELS
    return {"right": Each(seen.correct[0]), "counts": Each(seen.valid[0])}


def _accuracy(known: Context, found: Found) -> list[Value]:
    del known
    return [mean_of_some(found["right"], found["counts"])]


def mean_of_some(values: Array, counts: Array, *, bounded: bool = True) -> Value:
    """The mean of the samples that count."""
    return Value.of(Mean(values, counts, bounded)) if counts.any() else NONE_VALID


accuracy = Folded(_accuracy, (unmoved,), RIGHT)
"""``mean_i c_i(g_0)``: the samples as they are."""


def over_orbit(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    """The mean accuracy over each sample's orbit, and whether there is one."""
    del found
    if seen.correct is None:
        return NO_LABELS
    means, some = orbit_means(seen, seen.correct)
    return {"means": Each(means.clip(0, 1)), "some": Each(some)}


def orbit_means(seen: Observed, values: Array) -> tuple[Array, Array]:
    """For each sample the weighted mean of ``values`` ``(k, n)`` over the elements that keep the label, and whether
    there are any."""
    weights = seen.weights[:, None] * seen.valid
    total = weights.sum(axis=0)
    some: Array = total > 0
    means: Array = np.where(some, (weights * values).sum(axis=0), 0.0) / np.where(some, total, 1.0)
    return means, some


def _orbit_accuracy(known: Context, found: Found) -> list[Value]:
    del known
    return [mean_of_some(found["means"], found["some"])]


orbit_accuracy = Folded(_orbit_accuracy, (over_orbit,), RIGHT)
"""``mean_i sum_k w_k c_i(g_k)``: the weighted mean over the elements that keep the label, per sample."""


def at_each(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    """Whether each pair is right, and whether it counts: one byte each, where samples are right or wrong."""
    del found
    return NO_LABELS if seen.correct is None else {"right": Each(in_bytes(seen.correct)), "valid": Each(seen.valid)}


def in_bytes(values: Array) -> Array:
    """Values of 0 and 1 in one byte each; others as they are."""
    return values.astype(np.uint8) if ((values == 0) | (values == 1)).all() else values


def _element_accuracy(known: Context, found: Found) -> list[Value]:
    return [mean_at(known, found, k) or replace(NONE_VALID, element=known.labels[k]) for k in range(known.moved + 1)]


def mean_at(known: Context, found: Found, k: int) -> Value | None:
    """The mean at one element of the samples that count, of :func:`at_each`; None where none does."""
    right, valid = found["right"][k], found["valid"][k]
    if not valid.any():
        return None

    def values() -> Mean:
        return Mean(right.astype(np.float64), valid)

    return Value.of(Deferred(values().estimate, int(valid.sum()), len(valid), values), element=known.labels[k])


element_accuracy = Folded(_element_accuracy, (at_each,), RIGHT)
"""``mean_i c_i(g_k)`` for each k, over the samples whose label it keeps: the curve."""


def _worst_element_accuracy(known: Context, found: Found) -> list[Value]:
    chosen = known.weights > 0
    right, valid = (values if chosen.all() else values[chosen] for values in (found["right"], found["valid"]))
    return [Value.of(Smallest(right, valid))] if valid.any() else [NONE_VALID]


worst_element_accuracy = Folded(_worst_element_accuracy, (at_each,), RIGHT)
"""``min_k mean_i c_i(g_k)`` over the elements of the design, with limits that allow for its being a minimum."""


def _worst(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    del found
    if seen.correct is None:
        return NO_LABELS
    valid = seen.valid & (seen.weights > 0)[:, None]
    return {"worst": Each(np.where(valid, seen.correct, 1.0).min(axis=0)), "some": Each(valid.any(axis=0))}


def _worst_case_accuracy(known: Context, found: Found) -> list[Value]:
    del known
    return [mean_of_some(found["worst"], found["some"])]


worst_case_accuracy = Folded(_worst_case_accuracy, (_worst,), RIGHT)
"""``mean_i min_k c_i(g_k)``: an adversary picks the element (Engstrom et al. 2019). Falls with K.

Over the elements of the design that keep the label: the identity is among them in an enumeration or an even design,
and not where elements are drawn.
"""


def _counted(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    del found
    if seen.correct is None:
        return NO_LABELS
    if seen.label_scores is not None:
        return Value(None, reason="samples are not right or wrong as a whole: they have several labels")
    if seen.place_right is not None:
        return Value(None, reason="samples are not right or wrong as a whole: they have several places")
    k = seen.valid[1:].sum(axis=0)
    right = (seen.correct[1:] * seen.valid[1:]).sum(axis=0)  # K - s_i
    with np.errstate(invalid="ignore"):
        logs = gammaln(right + 1) - gammaln(right - DRAWS + 1) - gammaln(k + 1) + gammaln(k - DRAWS + 1)
    enough = k >= DRAWS
    shares = np.where(enough & (right >= DRAWS), np.exp(logs), 0.0).clip(0, 1)
    return {"shares": Each(shares), "enough": Each(enough)}


def _worst_of_m(known: Context, found: Found) -> list[Value]:
    del known
    if not found["enough"].any():
        return [Value(None, reason=f"fewer than {DRAWS} elements besides the identity")]
    return [Value.of(Mean(found["shares"], found["enough"]))]


worst_of_m = Folded(_worst_of_m, (_counted,), (*RIGHT, "label_scores", "place_right"))
"""``mean_i C(K - s_i, m) / C(K, m)`` for m = 5, s_i of the K moved copies of sample i being wrong.

The same adversary with m draws without repetition: comparable between different K. K counts the elements that keep
the sample's label.
"""


def _averaged(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    del found
    if seen.target is None and seen.label_targets is None and seen.place_right is None:
        return NO_LABELS
    if seen.averaged is None or seen.target is None:
        return Value(None, reason="averages are over all elements of a cell, and of class scores")
    some = (seen.valid & (seen.weights > 0)[:, None]).any(axis=0)
    return {"right": Each((seen.averaged == seen.target[0]).astype(float)), "some": Each(some)}


def _averaged_accuracy(known: Context, found: Found) -> list[Value]:
    del known
    return [mean_of_some(found["right"], found["some"])]


averaged_accuracy = Folded(_averaged_accuracy, (_averaged,), ("target", "valid", "label_targets", "place_right"))
"""Accuracy of the output averaged over the orbit (test-time averaging): what symmetrising would buy.

Averaged over the elements that keep the label.
"""


def _excluded(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    del found
    if seen.correct is None:
        return NO_LABELS
    left_out = ~seen.valid if seen.place_right is None else ~seen.valid & ~np.isnan(seen.place_right)
    return {"pairs": Total(left_out[seen.weights > 0].sum())}


def _excluded_pairs(known: Context, found: Found) -> list[Value]:
    return [Value(float(found["pairs"]), n=known.n)]


excluded_pairs = Folded(_excluded_pairs, (_excluded,), (*RIGHT, "place_right"))
"""How many (sample, element) pairs leave accuracy, because the element changes the label (6 and 9).

Maps without a labelled place leave it too, and are not counted here.
"""
