"""What a model that has collapsed would come to: chance, and how many classes are predicted at all."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from symbench.algebra.metrics.accuracy import NONE_VALID
from symbench.algebra.metrics.base import NO_LABELS, Context, Observed, Value
from symbench.algebra.metrics.consistency import NO_CLASSES, PREDICTED
from symbench.algebra.metrics.folds import Distinct, Each, Folded, Found, Piece, Total


def _labels(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    del found
    if seen.label_targets is not None:
        return {"there": Total(seen.label_targets[0][seen.valid[0]].sum(axis=0)), "count": Total(seen.valid[0].sum())}
    if seen.class_there is not None:  # the shares of a map's places that are of each class
        there, counts = seen.class_there[0], seen.valid[0]
        shares = there / np.maximum(there.sum(axis=1, keepdims=True), 1)
        return {"shares": Total(shares[counts].sum(axis=0)), "count": Total(counts.sum())}
    return NO_LABELS if seen.target is None else {"label": Each(seen.target[0]), "counts": Each(seen.valid[0])}


def _chance_accuracy(known: Context, found: Found) -> list[Value]:
    del known
    if "shares" in found:
        n = int(found["count"])
        return [Value(float(found["shares"].max() / n), n=n)] if n else [NONE_VALID]
    if "there" in found:
        n = int(found["count"])
        if not n:
            return [NONE_VALID]
        there = found["there"] / n
        return [Value(float(np.maximum(there, 1 - there).mean()), n=n)]
    labels = found["label"][found["counts"]]
    if not len(labels):
        return [NONE_VALID]
    _, counts = np.unique(labels, return_counts=True)
    return [Value(float(counts.max() / len(labels)), n=len(labels))]


chance_accuracy = Folded(_chance_accuracy, (_labels,), ("target", "valid", "label_targets", "class_there"))
"""``max_c mean_i [y_i = c]``: what always predicting the most frequent label comes to, samples as they are.

Of several labels, the mean over them of the share that always the likelier answer is right on; of maps, the share of
the class that is most of them.
"""


def _predicted(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    del found
    if seen.class_said is not None:
        return {"rows": Distinct(np.flatnonzero(seen.class_said.any(axis=(0, 1)))[:, None])}
    predictions = seen.predictions
    return NO_CLASSES if predictions is None else {"rows": Distinct(predictions.reshape(-1, predictions.shape[-1]))}


def _predicted_classes(known: Context, found: Found) -> list[Value]:
    return [Value(float(len(found["rows"])), n=known.n)]


predicted_classes = Folded(_predicted_classes, (_predicted,), (*PREDICTED, "class_said"))
"""How many classes, or sets of labels, are predicted over all samples and elements.

One: consistency is 1 and says nothing.
"""
