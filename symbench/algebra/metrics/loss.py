"""The task's own loss, over the orbit: what regressions have instead of accuracy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from symbench.algebra.metrics.accuracy import NONE_VALID, mean_of_some, orbit_means
from symbench.algebra.metrics.base import Context, Observed, Value
from symbench.algebra.metrics.folds import Each, Folded, Found, Piece
from symbench.algebra.statistics import LargestMean

NO_TARGETS = Value(None, reason="no targets")
OF_CLASSES = Value(None, reason="the output is of classes, whose worst elements accuracy tells")


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


def _regressed(seen: Observed) -> Value | None:
    """Why there are no twins of accuracies; None where outputs are numbers with targets."""
    if seen.loss is None:
        return NO_TARGETS
    return None if seen.task == "regression" else OF_CLASSES


def _at_each(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    del found
    why = _regressed(seen)
    return why or {"losses at each": Each(seen.loss), "counted at each": Each(seen.valid)}


def _worst_element(known: Context, found: Found) -> list[Value]:
    chosen = known.weights > 0
    losses, valid = found["losses at each"][chosen], found["counted at each"][chosen]
    return [Value.of(LargestMean.of(losses, valid)) if valid.any() else NONE_VALID]


worst_element_loss = Folded(_worst_element, (_at_each,), ("loss", "valid"))
"""``max_k mean_i loss_i(g_k)`` over the elements of the design, with limits that allow for its being a maximum."""


def _worst(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    del found
    why = _regressed(seen)
    if why is not None or seen.loss is None:
        return why or NO_TARGETS
    valid = seen.valid & (seen.weights > 0)[:, None]
    some = valid.any(axis=0)
    worst = np.where(valid, seen.loss, -np.inf).max(axis=0)
    return {"worst losses": Each(np.where(some, worst, 0.0)), "some": Each(some)}


def _worst_case(known: Context, found: Found) -> list[Value]:
    del known
    return [mean_of_some(found["worst losses"], found["some"], bounded=False)]


worst_case_loss = Folded(_worst_case, (_worst,), ("loss", "valid"))
"""``mean_i max_k loss_i(g_k)``: an adversary picks the element of every sample. Grows with K."""
