"""How right a model can be over the orbit that cannot tell views of a sample apart."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from symbench.algebra.metrics.accuracy import mean_of_some, orbit_means
from symbench.algebra.metrics.base import NO_LABELS, Context, Observed, Value
from symbench.algebra.metrics.folds import Each, Folded, Found, Piece

NOT_KEPT = Value(None, reason="classes move, and those of moved samples were not kept: measure again")


def _largest_share(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    """Of each sample's orbit, the share of the label that most of it has, and whether there is one."""
    del found
    if seen.target is None:
        return NO_LABELS
    if seen.classes_move and seen.moved_target is None:
        return NOT_KEPT
    labels = seen.target if seen.moved_target is None else seen.moved_target  # (k, n)
    largest, some = np.zeros(labels.shape[1]), np.zeros(labels.shape[1], dtype=bool)
    for label in np.unique(labels):
        share, some = orbit_means(seen, labels == label)
        largest = np.maximum(largest, share)
    return {"largest": Each(largest.clip(0, 1)), "some": Each(some)}


def _invariance_ceiling(known: Context, found: Found) -> list[Value]:
    del known
    return [mean_of_some(found["largest"], found["some"])]


invariance_ceiling = Folded(_invariance_ceiling, (_largest_share,), ("target", "moved_target", "valid"))
"""``mean_i max_c sum_k w_k [y_i(g_k) = c]``, over the elements at which the sample has a label, with weights that add
up to 1 there: the best accuracy over the orbit of an invariant classifier. It answers one class on all of an orbit,
and is right where that is the label. 1 where no label moves; 1/4 for the four orientations under C4.
"""
