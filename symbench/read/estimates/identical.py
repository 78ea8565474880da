"""Whether two cells are of one and the same model: where they are, nothing has changed, and nothing is tested."""

from __future__ import annotations

import hashlib

import numpy as np

from symbench.algebra.statistics import Array
from symbench.base.columns import COLUMNS
from symbench.base.records import CellRecord
from symbench.read.estimates import Estimate
from symbench.read.estimates.reading import Cells, Reading, outputs_of

ROUNDING = 1e-5
"""What another batch size or number of threads may change of a value, in units of the largest."""
LOOKED_AT = tuple(column.name for column in COLUMNS if column.decides)
"""The columns that have to be alike."""
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
    return all(one.output == two.output and _same(one, two) for one, two in pairs)


def _same(one: Reading, two: Reading) -> bool:
    """Whether two outputs are alike, a few elements after the others."""
    apart, size, scale = dict.fromkeys(LOOKED_AT, 0.0), dict.fromkeys(LOOKED_AT, 0.0), 0.0
    if not np.array_equal(one.samples, two.samples):
        return False
    names = (*LOOKED_AT, "unrelated_sq")
    width = min(one.block_width(names), two.block_width(names))
    for x, y in zip(one.blocks(names, width), two.blocks(names, width), strict=True):
        for name in LOOKED_AT:
            a, b = getattr(x, name), getattr(y, name)
            if (a is None) is not (b is None):
                return False
            if a is not None:
                a, b = (np.sqrt(each) if name == "deviation_sq" else each for each in (a, b))
                # NaN stays, and loses the comparison in the end
                apart[name] = float(np.maximum(apart[name], np.abs(a - b).max()))
                size[name] = float(np.maximum(size[name], np.abs(a).max()))
        distances = y.unrelated_sq[np.isfinite(y.unrelated_sq)]
        scale = max(scale, float(y.deviation_sq.max()), float(distances.max(initial=0.0)))
    size["deviation_sq"] = float(np.sqrt(scale))
    return all(apart[name] <= ROUNDING * size[name] for name in LOOKED_AT)


def same_numbers(before: Estimate, after: Estimate) -> bool:
    """Whether two estimates are functions of the very same values, rounding aside."""
    a, b = (each.value.sampled and each.value.sampled.read() for each in (before, after))
    if a is None or b is None or type(a) is not type(b):
        return a is b and before.value.estimate == after.value.estimate
    pairs = ((getattr(a, name), getattr(b, name)) for name in vars(a))
    return all(
        isinstance(x, np.ndarray) and isinstance(y, np.ndarray) and _alike(x, y)
        for x, y in pairs
        if isinstance(x, np.ndarray) or isinstance(y, np.ndarray)
    )


def _alike(x: Array, y: Array) -> bool:
    if x.shape != y.shape:
        return False
    if x.dtype == bool or not x.size:
        return bool((x == y).all())
    if x.ndim > 1:  # a row at a time: values of all elements may be kept in one byte each
        return all(_alike(one, two) for one, two in zip(x, y, strict=True))
    x, y = x.astype(np.float64), y.astype(np.float64)
    return bool((np.abs(x - y) <= ROUNDING * float(np.abs(x).max())).all())
