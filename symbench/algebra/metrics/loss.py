"""The task's own loss, over the orbit: what regressions have instead of accuracy."""

from __future__ import annotations

from collections.abc import Mapping

from symbench.algebra.metrics.accuracy import mean_of_some, orbit_means
from symbench.algebra.metrics.base import Context, Observed, Value
from symbench.algebra.metrics.folds import Each, Folded, Found, Piece

NO_TARGETS = Value(None, reason="no targets")


def _unmoved(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    del found
    return NO_TARGETS if seen.loss is None else {"losses": Each(seen.loss[0]), "some": Each(seen.valid[0])}


def _over_orbit(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    del found
    if seen.loss is None:
        return NO_TARGETS
    means, some = orbit_means(seen, seen.loss)
    return {"losses": Each(means), "some": Each(some)}


def _mean(known: Context, found: Found) -> list[Value]:
    del known
    return [mean_of_some(found["losses"], found["some"], bounded=False)]


loss = Folded(_mean, (_unmoved,), ("loss", "valid"))
"""Mean loss of the samples as they are: cross-entropy in nats, or mean squared error."""
orbit_loss = Folded(_mean, (_over_orbit,), ("loss", "valid"))
"""``mean_i sum_k w_k loss_i(g_k)``."""
