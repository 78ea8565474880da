"""The task's own loss, over the orbit: what regressions have instead of accuracy."""

from __future__ import annotations

from symbench import statistics
from symbench.metrics.base import Observed, Value

NO_TARGETS = Value(None, reason="no targets")


def loss(seen: Observed) -> list[Value]:
    """Mean loss of the samples as they are: cross-entropy in nats, or mean squared error."""
    if seen.loss is None:
        return [NO_TARGETS]
    return [Value.of(statistics.mean(seen.loss[0], seed=seen.seed))]


def orbit_loss(seen: Observed) -> list[Value]:
    """``mean_i sum_k w_k loss_i(g_k)``."""
    if seen.loss is None:
        return [NO_TARGETS]
    return [Value.of(statistics.mean(seen.weights @ seen.loss, seed=seen.seed))]
