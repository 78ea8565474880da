"""How often the model is right, over the orbit."""

from __future__ import annotations

from symbench import statistics
from symbench.metrics.base import NO_LABELS, Observed, Value


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
