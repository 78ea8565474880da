"""The task's own loss, over the orbit: what regressions have instead of accuracy."""

from __future__ import annotations

from symbench.algebra.metrics.accuracy import NONE_VALID, orbit_means
from symbench.algebra.metrics.base import Observed, Value
from symbench.algebra.statistics import Mean

NO_TARGETS = Value(None, reason="no targets")


def loss(seen: Observed) -> list[Value]:
    """Mean loss of the samples as they are: cross-entropy in nats, or mean squared error."""
    if seen.loss is None:
        return [NO_TARGETS]
    if not seen.valid[0].any():
        return [NONE_VALID]
    return [Value.of(Mean(seen.loss[0], seen.valid[0], bounded=False))]


def orbit_loss(seen: Observed) -> list[Value]:
    """``mean_i sum_k w_k loss_i(g_k)``."""
    if seen.loss is None:
        return [NO_TARGETS]
    means, some = orbit_means(seen, seen.loss)
    return [Value.of(Mean(means, some, bounded=False))] if some.any() else [NONE_VALID]
