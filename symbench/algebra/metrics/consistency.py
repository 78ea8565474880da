"""Whether predictions stay the same, right or wrong. Of several labels, the share of them that do."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from symbench.algebra.metrics.base import NO_LABELS, Observed, Value
from symbench.algebra.statistics import Array, Mean, Ratio

NO_CLASSES = Value(None, reason="no class predictions")


def consistency(seen: Observed) -> list[Value]:
    """Share of ``(i, k > 0)`` with the prediction of the identity. Rises with accuracy by itself: see kappa."""
    if (predictions := seen.predictions) is None:
        return [NO_CLASSES]
    return [Value.of(Mean(same(predictions).mean(axis=0)))]


def flip_rate(seen: Observed) -> list[Value]:
    """``1 - consistency``."""
    if (predictions := seen.predictions) is None:
        return [NO_CLASSES]
    return [Value.of(Mean(1 - same(predictions).mean(axis=0)))]


def consistency_correct(seen: Observed) -> list[Value]:
    """:func:`consistency` over the samples that are right as they are: it does not rise with accuracy by itself."""
    if (predictions := seen.predictions) is None:
        return [NO_CLASSES]
    if seen.correct is None:
        return [NO_LABELS]
    right = seen.correct[0] == 1
    if not right.any():
        return [Value(None, reason="no sample is right as it is")]
    return [Value.of(Mean(same(predictions).mean(axis=0), right))]


def confidence_change(seen: Observed) -> list[Value]:
    """Mean absolute change of the probability of the reference's top-1 class, over i and k > 0.

    Of several labels, the mean over them of each one's own probability.
    """
    if seen.label_scores is not None:
        chances = expit(seen.label_scores)
        return [Value.of(Mean(np.abs(chances[1:] - chances[0]).mean(axis=(0, 2))))]
    if seen.confidence is None:
        return [NO_CLASSES]
    change = np.abs(seen.confidence[1:] - seen.confidence[0]).mean(axis=0)
    return [Value.of(Mean(change.clip(0, 1)))]


def kappa(seen: Observed) -> list[Value]:
    """Cohen's kappa: ``(consistency - chance) / (1 - chance)``.

    Chance is the mean over k > 0 of ``P(yhat_i(g_k) = yhat_j(g_0))`` over i != j, and over labels where there are
    several. None where it is 1.
    """
    if (predictions := seen.predictions) is None:
        return [NO_CLASSES]
    if predictions.shape[1] < 2:
        return [Value(None, reason="a single sample has no chance level")]
    differs = 1 - same(predictions).mean(axis=0)
    each = [chance_of_difference(predictions[..., label]).mean(axis=0) for label in range(predictions.shape[2])]
    by_chance = np.mean(each, axis=0)
    if by_chance.mean() <= 1e-12:
        return [Value(None, reason="one class is always predicted: chance is 1")]
    return [Value.of(Ratio(differs, by_chance, complement=True))]


def kappa_given_label(seen: Observed) -> list[Value]:
    """:func:`kappa` with chance taken over other samples of the same label: 0 when only the label agrees."""
    if seen.prediction is None:
        return [NO_CLASSES if seen.label_scores is None else Value(None, reason="samples have several labels")]
    if seen.target is None:
        return [NO_LABELS]
    labels = seen.target[0]
    differs, by_chance = [], []
    for label in np.unique(labels):
        mine = seen.prediction[:, labels == label]
        if mine.shape[1] > 1:
            differs.append(1 - same(mine[..., None]).mean(axis=0))
            by_chance.append(chance_of_difference(mine).mean(axis=0))
    if not differs or np.concatenate(by_chance).mean() <= 1e-12:
        return [Value(None, reason="within every label one class is always predicted: chance is 1")]
    return [Value.of(Ratio(np.concatenate(differs), np.concatenate(by_chance), complement=True))]


def same(predictions: Array) -> Array:
    """The share of what is predicted that is as it was unmoved, ``(k - 1, n)``, of ``(k, n, labels)``."""
    found: Array = (predictions[1:] == predictions[0]).mean(axis=-1)
    return found


def chance_of_difference(prediction: Array) -> Array:
    """For each sample its part of ``P(yhat_i(g_k) != yhat_j(g_0))`` over i != j, both ways round; ``(k - 1, n)``.

    The closed form of ``symbench.measure.unrelated`` for one-hot outputs, halved: its mean over i is that
    probability, and resampling it by sample is right.
    """
    k, n = prediction.shape
    classes, codes = np.unique(prediction, return_inverse=True)
    codes = codes.reshape(k, n)
    counts = np.stack([np.bincount(row, minlength=len(classes)) for row in codes]) / n  # (k, classes)
    reference, moved = codes[0], codes[1:]
    a_dot_b = counts[0][moved]
    b_dot_a = counts[1:][:, reference]
    both = (counts[1:] * counts[0]).sum(axis=1, keepdims=True)
    differs = (moved != reference).astype(np.float64)
    found: Array = (n * (1 - a_dot_b - b_dot_a + both) - differs) / (n - 1)
    return found
