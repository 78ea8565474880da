"""How often the model is right, over the orbit. Of several labels, the share of a sample's labels that are right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import gammaln

from symbench.algebra.metrics.base import NO_LABELS, Observed, Value
from symbench.algebra.statistics import Array, Mean, Smallest

DRAWS = 5
"""m of worst_of_m."""
NONE_VALID = Value(None, reason="the element changes every label")


def accuracy(seen: Observed) -> list[Value]:
    """``mean_i c_i(g_0)``: the samples as they are."""
    if seen.correct is None:
        return [NO_LABELS]
    if not seen.valid[0].any():
        return [NONE_VALID]
    return [Value.of(Mean(seen.correct[0], seen.valid[0]))]


def orbit_accuracy(seen: Observed) -> list[Value]:
    """``mean_i sum_k w_k c_i(g_k)``: the weighted mean over the elements that keep the label, per sample."""
    if seen.correct is None:
        return [NO_LABELS]
    means, some = orbit_means(seen, seen.correct)
    return [Value.of(Mean(means.clip(0, 1), some))] if some.any() else [NONE_VALID]


def orbit_means(seen: Observed, values: Array) -> tuple[Array, Array]:
    """For each sample the weighted mean of ``values`` ``(k, n)`` over the elements that keep the label, and whether
    there are any."""
    weights = seen.weights[:, None] * seen.valid
    total = weights.sum(axis=0)
    some: Array = total > 0
    means: Array = np.where(some, (weights * values).sum(axis=0), 0.0) / np.where(some, total, 1.0)
    return means, some


def element_accuracy(seen: Observed) -> list[Value]:
    """``mean_i c_i(g_k)`` for each k, over the samples whose label it keeps: the curve."""
    if seen.correct is None:
        return [NO_LABELS]
    return [
        Value.of(Mean(row, valid), element=label) if valid.any() else replace(NONE_VALID, element=label)
        for row, valid, label in zip(seen.correct, seen.valid, seen.labels, strict=True)
    ]


def worst_element_accuracy(seen: Observed) -> list[Value]:
    """``min_k mean_i c_i(g_k)`` over the elements of the design, with limits that allow for its being a minimum."""
    if seen.correct is None:
        return [NO_LABELS]
    chosen = seen.weights > 0
    if not seen.valid[chosen].any():
        return [NONE_VALID]
    return [Value.of(Smallest(seen.correct[chosen], seen.valid[chosen]))]


def worst_case_accuracy(seen: Observed) -> list[Value]:
    """``mean_i min_k c_i(g_k)``: an adversary picks the element (Engstrom et al. 2019). Falls with K.

    Over the elements of the design that keep the label: the identity is among them in an enumeration or an even
    design, and not where elements are drawn.
    """
    if seen.correct is None:
        return [NO_LABELS]
    valid = seen.valid & (seen.weights > 0)[:, None]
    worst = np.where(valid, seen.correct, 1.0).min(axis=0)
    some = np.asarray(valid.any(axis=0))
    return [Value.of(Mean(worst, some))] if some.any() else [NONE_VALID]


def worst_of_m(seen: Observed) -> list[Value]:
    """``mean_i C(K - s_i, m) / C(K, m)`` for m = 5, s_i of the K moved copies of sample i being wrong.

    The same adversary with m draws without repetition: comparable between different K. K counts the elements that
    keep the sample's label.
    """
    if seen.correct is None:
        return [NO_LABELS]
    if seen.label_scores is not None:
        return [Value(None, reason="samples are not right or wrong as a whole: they have several labels")]
    k = seen.valid[1:].sum(axis=0)
    enough = k >= DRAWS
    if not enough.any():
        return [Value(None, reason=f"fewer than {DRAWS} elements besides the identity")]
    right = (seen.correct[1:] * seen.valid[1:]).sum(axis=0)  # K - s_i
    with np.errstate(invalid="ignore"):
        logs = gammaln(right + 1) - gammaln(right - DRAWS + 1) - gammaln(k + 1) + gammaln(k - DRAWS + 1)
    shares = np.where(enough & (right >= DRAWS), np.exp(logs), 0.0).clip(0, 1)
    return [Value.of(Mean(shares, enough))]


def averaged_accuracy(seen: Observed) -> list[Value]:
    """Accuracy of the output averaged over the orbit (test-time averaging): what symmetrising would buy.

    Averaged over the elements that keep the label.
    """
    if seen.target is None and seen.label_targets is None:
        return [NO_LABELS]
    if seen.averaged is None or seen.target is None:
        return [Value(None, reason="averages are over all elements of a cell, and of class scores")]
    some = np.asarray((seen.valid & (seen.weights > 0)[:, None]).any(axis=0))
    if not some.any():
        return [NONE_VALID]
    return [Value.of(Mean((seen.averaged == seen.target[0]).astype(float), some))]


def excluded_pairs(seen: Observed) -> list[Value]:
    """How many (sample, element) pairs leave accuracy, because the element changes the label (6 and 9)."""
    if seen.correct is None:
        return [NO_LABELS]
    return [Value(float((~seen.valid[seen.weights > 0]).sum()), n=seen.valid.shape[1])]
