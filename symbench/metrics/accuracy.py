"""How often the model is right, over the orbit."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from symbench import statistics
from symbench.metrics.base import NO_LABELS, Observed, Value

DRAWS = 5
"""m of worst_of_m."""


def accuracy(seen: Observed) -> list[Value]:
    """``mean_i c_i(g_0)``: the samples as they are."""
    if seen.correct is None:
        return [NO_LABELS]
    return [Value.of(statistics.bounded_mean(seen.correct[0]))]


def orbit_accuracy(seen: Observed) -> list[Value]:
    """``mean_i sum_k w_k c_i(g_k)``: the weighted mean over the elements, per sample."""
    if seen.correct is None:
        return [NO_LABELS]
    return [Value.of(statistics.bounded_mean((seen.weights @ seen.correct).clip(0, 1)))]


def element_accuracy(seen: Observed) -> list[Value]:
    """``mean_i c_i(g_k)`` for each k: the curve."""
    if seen.correct is None:
        return [NO_LABELS]
    return [
        Value.of(statistics.bounded_mean(row), element=label)
        for row, label in zip(seen.correct, seen.labels, strict=True)
    ]


def worst_element_accuracy(seen: Observed) -> list[Value]:
    """``min_k mean_i c_i(g_k)``, with limits that allow for its being a minimum."""
    if seen.correct is None:
        return [NO_LABELS]
    return [Value.of(statistics.smallest_mean(seen.correct, seed=seen.seed))]


def worst_case_accuracy(seen: Observed) -> list[Value]:
    """``mean_i min_k c_i(g_k)``: an adversary picks the element (Engstrom et al. 2019). Falls with K."""
    if seen.correct is None:
        return [NO_LABELS]
    return [Value.of(statistics.bounded_mean(seen.correct.min(axis=0)))]


def worst_of_m(seen: Observed) -> list[Value]:
    """``mean_i C(K - s_i, m) / C(K, m)`` for m = 5, s_i of the K moved copies of sample i being wrong.

    The same adversary with m draws without repetition: comparable between different K.
    """
    if seen.correct is None:
        return [NO_LABELS]
    k = seen.moved
    if k < DRAWS:
        return [Value(None, reason=f"fewer than {DRAWS} elements besides the identity")]
    right = seen.correct[1:].sum(axis=0)  # K - s_i
    with np.errstate(invalid="ignore"):
        logs = gammaln(right + 1) - gammaln(right - DRAWS + 1) - gammaln(k + 1) + gammaln(k - DRAWS + 1)
    return [Value.of(statistics.bounded_mean(np.where(right < DRAWS, 0.0, np.exp(logs)).clip(0, 1)))]


def averaged_accuracy(seen: Observed) -> list[Value]:
    """Accuracy of the output averaged over the orbit (test-time averaging): what symmetrising would buy."""
    if seen.target is None:
        return [NO_LABELS]
    if seen.averaged is None:
        return [Value(None, reason="averages are over all elements of a cell, and of class scores")]
    return [Value.of(statistics.bounded_mean((seen.averaged == seen.target[0]).astype(float)))]
