"""What a model that has collapsed would come to: chance, and how many classes are predicted at all."""

from __future__ import annotations

import numpy as np

from symbench.algebra.metrics.accuracy import NONE_VALID
from symbench.algebra.metrics.base import NO_LABELS, Observed, Value
from symbench.algebra.metrics.consistency import NO_CLASSES


def chance_accuracy(seen: Observed) -> list[Value]:
    """``max_c mean_i [y_i = c]``: what always predicting the most frequent label comes to, samples as they are.

    Of several labels, the mean over them of the share that always the likelier answer is right on.
    """
    if seen.label_targets is not None:
        there = seen.label_targets[0][seen.valid[0]].mean(axis=0) if seen.valid[0].any() else None
        if there is None:
            return [NONE_VALID]
        return [Value(float(np.maximum(there, 1 - there).mean()), n=int(seen.valid[0].sum()))]
    if seen.target is None:
        return [NO_LABELS]
    labels = seen.target[0][seen.valid[0]]
    if not len(labels):
        return [NONE_VALID]
    _, counts = np.unique(labels, return_counts=True)
    return [Value(float(counts.max() / len(labels)), n=len(labels))]


def predicted_classes(seen: Observed) -> list[Value]:
    """How many classes, or sets of labels, are predicted over all samples and elements.

    One: consistency is 1 and says nothing.
    """
    found = seen.predictions
    if found is None:
        return [NO_CLASSES]
    rows = found.reshape(-1, found.shape[-1])
    count = len(np.unique(rows[:, 0])) if rows.shape[1] == 1 else len(np.unique(rows, axis=0))  # sorts rows as bytes
    return [Value(float(count), n=found.shape[1])]
