"""Embeddings: whether moved samples point where they pointed, and are still told from others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from symbench.algebra.metrics.base import Observed, Value
from symbench.algebra.statistics import Mean

NO_EMBEDDING = Value(None, reason="the output is no embedding")


def cosine_similarity(seen: Observed) -> list[Value]:
    """Mean cosine of ``f(g.x)`` and ``f(x)`` over i and k > 0, then one for each element. 1 also where all is one."""
    if seen.cosine is None:
        return [NO_EMBEDDING]
    overall = Value.of(Mean(seen.cosine[1:].mean(axis=0), bounded=False))
    return [replace(overall, within=(-1.0, 1.0))] + [
        Value.of(Mean(row, bounded=False), element=label, drawn=False)
        for row, label in zip(seen.cosine[1:], seen.labels[1:], strict=True)
    ]


def recall_at_1(seen: Observed) -> list[Value]:
    """Share of ``(i, k > 0)`` where ``f(g.x_i)`` is nearest, by cosine, to ``f(x_i)`` among unmoved samples; then one
    for each element. Samples that are equally near share: where all are one, it is chance."""
    if seen.retrieved is None:
        return [NO_EMBEDDING]
    if seen.retrieved.shape[1] < 2:
        return [Value(None, reason="a single sample has no others")]
    overall = Value.of(Mean(seen.retrieved[1:].mean(axis=0).clip(0, 1)))
    return [overall] + [
        Value.of(Mean(row), element=label, drawn=False)
        for row, label in zip(np.asarray(seen.retrieved[1:]), seen.labels[1:], strict=True)
    ]
