"""What a model that has collapsed would come to: chance, and how many classes are predicted at all."""

from __future__ import annotations

import numpy as np

from symbench.metrics.base import NO_LABELS, Observed, Value
from symbench.metrics.consistency import NO_CLASSES


def chance_accuracy(seen: Observed) -> list[Value]:
    """``max_c mean_i [y_i = c]``: what always predicting the most frequent label comes to, samples as they are."""
    if seen.target is None:
        return [NO_LABELS]
    labels = seen.target[0][seen.valid[0]]
    if not len(labels):
        return [Value(None, reason="no sample has a valid label")]
    _, counts = np.unique(labels, return_counts=True)
    return [Value(float(counts.max() / len(labels)), n=len(labels))]


def predicted_classes(seen: Observed) -> list[Value]:
    """How many classes are predicted, over all samples and elements. One: consistency is 1 and says nothing."""
    if seen.prediction is None:
        return [NO_CLASSES]
    return [Value(float(len(np.unique(seen.prediction))), n=seen.prediction.shape[1])]
