"""Embeddings: whether moved samples point where they pointed, and are still told from others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from symbench.algebra.metrics.base import Context, Observed, Value
from symbench.algebra.metrics.folds import Each, Folded, Found, Piece, Total
from symbench.algebra.statistics import Array, Deferred, Mean

NO_EMBEDDING = Value(None, reason="the output is no embedding")


def over_elements(values: Array) -> Mapping[str, Piece]:
    """The mean over elements for each sample, and the sum over samples for each element, of ``(k, n)``."""
    return {"means": Each(values.mean(axis=0)), "sums": Total(values.sum(axis=1))}


def at_elements(
    known: Context,
    sums: Array,
    column: str,
    values_of: Callable[[Array], Array] = np.asarray,
    *,
    bounded: bool = True,
) -> list[Value]:
    """The mean at each moved element, of which tables hold no interval.

    Args:
        known: what there is beside the observations.
        sums: over samples, ``(k - 1,)``.
        column: of the observations.
        values_of: of an element's rows of that column, ``(n,)``.
        bounded: whether values are shares.
    """

    def of(k: int) -> Value:
        mean = Deferred(
            float(sums[k - 1]) / known.n, known.n, known.n,
            lambda: Mean(values_of(getattr(known.element(k, column), column)[0]), bounded=bounded),
        )  # fmt: skip
        return Value.of(mean, element=known.labels[k], drawn=False)

    return [of(k) for k in range(1, known.moved + 1)]


def _cosines(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    del found
    return NO_EMBEDDING if seen.cosine is None else over_elements(seen.cosine[1:])


def _cosine_similarity(known: Context, found: Found) -> list[Value]:
    overall = Value.of(Mean(found["means"], bounded=False))
    each = at_elements(known, found["sums"], "cosine", bounded=False)
    return [replace(overall, within=(-1.0, 1.0)), *each]


cosine_similarity = Folded(_cosine_similarity, (_cosines,), ("cosine",))
"""Mean cosine of ``f(g.x)`` and ``f(x)`` over i and k > 0, then one for each element. 1 also where all is one."""


def _retrieved(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    del found
    if seen.retrieved is None:
        return NO_EMBEDDING
    if seen.n < 2:
        return Value(None, reason="a single sample has no others")
    return over_elements(seen.retrieved[1:])


def _recall_at_1(known: Context, found: Found) -> list[Value]:
    overall = Value.of(Mean(found["means"].clip(0, 1)))
    return [overall, *at_elements(known, found["sums"], "retrieved")]


recall_at_1 = Folded(_recall_at_1, (_retrieved,), ("retrieved",))
"""Share of ``(i, k > 0)`` where ``f(g.x_i)`` is nearest, by cosine, to ``f(x_i)`` among unmoved samples; then one for
each element. Samples that are equally near share: where all are one, it is chance."""
