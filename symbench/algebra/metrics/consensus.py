"""What needs no label: whether predictions at places or of objects stay, are renamed, and agree over the orbit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from symbench.algebra.metrics.base import Context, Observed, Value
from symbench.algebra.metrics.consistency import mean_of_known
from symbench.algebra.metrics.embedding import at_elements
from symbench.algebra.metrics.folds import Each, Folded, Found, Piece, Total
from symbench.algebra.statistics import Mean

NO_OBJECTS = Value(None, reason="the output is of no objects")
NOT_RENAMED = Value(None, reason="no element renames a class that is there")
NO_CONSENSUS = Value(
    None, reason="predictions were not held against the orbit's mean: that takes classes that can be moved back"
)


def _renamed(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    del found
    if seen.place_swapped is None:
        return NOT_RENAMED
    means, some = mean_of_known(seen.place_swapped[1:])
    return {"swapped": Each(means), "renamed": Each(some)}


def _swap_confusion(known: Context, found: Found) -> list[Value]:
    del known
    if not found["renamed"].any():
        return [NOT_RENAMED]
    return [Value.of(Mean(found["swapped"].clip(0, 1), found["renamed"]))]


swap_confusion = Folded(_swap_confusion, (_renamed,), ("place_swapped",))
"""Of what an element renames, such as left and right under a mirror, the share that is predicted as if it did not.

The mean over the elements k > 0 that rename something in the sample, and over samples. 0 is right; a model that knows
no names of sides is at about one half, and 1 follows none of them.
"""


def _objects(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    del found
    if seen.objects_kept is None:
        return NO_OBJECTS
    kept = seen.objects_kept[1:]
    return {"kept": Each(kept.mean(axis=0).clip(0, 1)), "kept at each": Total(kept.sum(axis=1))}


def _detection_agreement(known: Context, found: Found) -> list[Value]:
    return [Value.of(Mean(found["kept"])), *at_elements(known, found["kept at each"], "objects_kept")]


detection_agreement = Folded(_detection_agreement, (_objects,), ("objects_kept",))
"""1 minus the cost of matching the objects of a moved sample with those of the unmoved one moved along; then at each
element. Matched objects of one class cost 1 minus their IoU, others 1, over the larger number of objects."""


def _agreeing(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    del found
    agreement = seen.consensus_agreement
    return NO_CONSENSUS if agreement is None else {"agreement": Each(agreement)}


def _consensus_agreement(known: Context, found: Found) -> list[Value]:
    del known
    agreement = found["agreement"]
    some = ~np.isnan(agreement)
    if not some.any():
        return [NO_CONSENSUS]
    mean = Mean(np.where(some, agreement, 0.0).clip(0, 1), None if some.all() else some)
    return [replace(Value.of(mean), within=(0.0, 1.0))]


consensus_agreement = Folded(_consensus_agreement, (_agreeing,), ())
"""Mean over the orbit of the share of places, or of samples, that are predicted as the orbit's mean is, moved back.

Where there are no labels, the orbit's mean is the best guess of what is right: this is accuracy against it.
"""
