"""Whether two cells are of one and the same model: where they are, nothing has changed, and nothing is tested."""

from __future__ import annotations

import hashlib

import numpy as np

from symbench.algebra.metrics.base import Observed
from symbench.algebra.statistics import Array
from symbench.base.records import CellRecord
from symbench.read.estimates import Estimate
from symbench.read.estimates.reading import Cells, outputs_of

ROUNDING = 1e-5
"""What another batch size or number of threads may change of a value, in units of the largest."""
NO_STATE = hashlib.sha256().hexdigest()
"""The digest of a model without weights: two of those may be anything."""


def same_weights(before: CellRecord, after: CellRecord) -> bool:
    """Whether two cells are of the same weights, wherever these come from.

    A file's or a training's digest where there is one; else that of the state that code or a library built; without
    either, as for a whole program, everything that says which model it is.
    """
    if before.key == after.key:
        return True
    if before.checkpoint is not None or after.checkpoint is not None:
        return before.checkpoint == after.checkpoint
    a, b = (record.identity.get("model") for record in (before, after))
    states = [model.get("state") if isinstance(model, dict) else None for model in (a, b)]
    if any(state not in {None, NO_STATE} for state in states):
        return bool(states[0] == states[1])
    return bool(a) and a == b


def same_observations(before: Cells, a: CellRecord, after: Cells, b: CellRecord) -> bool:
    """Whether two cells of the same samples hold the same observations, rounding aside.

    Weights say nothing of the code around them: a model that is wrong on other samples than these has other
    confidences on these.
    """
    pairs = zip(outputs_of(before, a), outputs_of(after, b), strict=True)
    return all(name == other and _same(one, two) for (name, one), (other, two) in pairs)


def _same(one: Observed, two: Observed) -> bool:
    unrelated = np.nanmax(two.unrelated_sq) if np.isfinite(two.unrelated_sq).any() else 0.0
    scale = float(np.sqrt(max(float(unrelated), float(two.deviation_sq.max()))))
    columns = [(one.prediction, two.prediction), (one.confidence, two.confidence), (one.loss, two.loss)]
    deviates = _alike(np.sqrt(one.deviation_sq), np.sqrt(two.deviation_sq), scale)
    return deviates and all(a is b is None or (a is not None and b is not None and _alike(a, b)) for a, b in columns)


def same_numbers(before: Estimate, after: Estimate) -> bool:
    """Whether two estimates are functions of the very same values, rounding aside."""
    a, b = before.value.sampled, after.value.sampled
    if a is None or b is None or type(a) is not type(b):
        return a is b and before.value.estimate == after.value.estimate
    pairs = ((getattr(a, name), getattr(b, name)) for name in vars(a))
    return all(
        isinstance(x, np.ndarray) and isinstance(y, np.ndarray) and _alike(x, y)
        for x, y in pairs
        if isinstance(x, np.ndarray) or isinstance(y, np.ndarray)
    )


def _alike(x: Array, y: Array, scale: float | None = None) -> bool:
    if x.shape != y.shape:
        return False
    if x.dtype == bool or not x.size:
        return bool((x == y).all())
    largest = float(np.abs(x).max()) if scale is None else scale
    return bool((np.abs(x - y) <= ROUNDING * largest).all())
