"""Whether predictions stay the same, right or wrong. Of several labels or places, the share of them that do."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.special import expit

from symbench.algebra.metrics.base import NO_LABELS, Context, Observed, Value
from symbench.algebra.metrics.folds import Each, Folded, Found, Piece, Total
from symbench.algebra.statistics import Array, Mean, Ratio

NO_CLASSES = Value(None, reason="no class predictions")
OF_PLACES = Value(None, reason="predictions are of places, and not of samples")
PREDICTED = ("prediction", "label_scores", "place_kept")


def _kept(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    """For each sample the share of elements under which it is predicted as it is unmoved."""
    del found
    if seen.kept is None:
        return NO_CLASSES
    means, some = mean_of_known(seen.kept)
    return {"same": Each(means), "comparable": Each(some)}


def mean_of_known(values: Array) -> tuple[Array, Array]:
    """The mean over elements of what is a number, for each sample of ``(k, n)``, and whether there is any: an element
    may leave no place of a sample in its frame."""
    known = ~np.isnan(values)
    means: Array = np.where(known, values, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    some: Array = np.asarray(known.any(axis=0))
    return means, some


def _known(values: Array, some: Array) -> Value:
    """The mean over the samples of which something can be compared."""
    return Value.of(Mean(values, None if some.all() else some)) if some.any() else NOTHING_LEFT


NOTHING_LEFT = Value(None, reason="elements leave no place in its frame")


def _consistency(known: Context, found: Found) -> list[Value]:
    del known
    return [_known(found["same"], found["comparable"])]


consistency = Folded(_consistency, (_kept,), PREDICTED)
"""Share of ``(i, k > 0)`` with the prediction of the identity. Rises with accuracy by itself: see kappa."""


def _flip_rate(known: Context, found: Found) -> list[Value]:
    del known
    return [_known(1 - found["same"], found["comparable"])]


flip_rate = Folded(_flip_rate, (_kept,), PREDICTED)
"""``1 - consistency``."""


def _right(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    del found
    return NO_LABELS if seen.correct is None else {"right": Each(seen.correct[0] == 1)}


def _consistency_correct(known: Context, found: Found) -> list[Value]:
    del known
    right = found["right"] & found["comparable"]
    if not right.any():
        return [Value(None, reason="no sample is right as it is")]
    return [Value.of(Mean(found["same"], right))]


consistency_correct = Folded(_consistency_correct, (_kept, _right), (*PREDICTED, "correct"))
"""Consistency over the samples that are right as they are: it does not rise with accuracy by itself."""


def _changes(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    del found
    if seen.label_scores is not None:
        chances = expit(seen.label_scores)
        return {"change": Each(np.abs(chances[1:] - chances[0]).mean(axis=(0, 2)))}
    if seen.confidence is None:
        return NO_CLASSES
    return {"change": Each(np.abs(seen.confidence[1:] - seen.confidence[0]).mean(axis=0).clip(0, 1))}


def _confidence_change(known: Context, found: Found) -> list[Value]:
    del known
    return [Value.of(Mean(found["change"]))]


confidence_change = Folded(_confidence_change, (_changes,), ("confidence", "label_scores"))
"""Mean absolute change of the probability of the reference's top-1 class, over i and k > 0.

Of several labels, the mean over them of each one's own probability.
"""


def _all_alike(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    """What is predicted of samples as they are, ``(labels, n)``; all samples are of one group."""
    del found
    return _reference(seen, np.zeros(len(seen.samples)))


def _by_label(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    """The same, samples of one label being a group."""
    del found
    if seen.prediction is None:
        return _unpredicted(seen) if seen.label_scores is None else Value(None, reason="samples have several labels")
    return NO_LABELS if seen.target is None else _reference(seen, seen.target[0])


def _reference(seen: Observed, group: Array) -> Mapping[str, Piece] | Value:
    predictions = seen.predictions
    return _unpredicted(seen) if predictions is None else {"reference": Each(predictions[0].T), "group": Each(group)}


def _unpredicted(seen: Observed) -> Value:
    """Why no class is predicted of samples."""
    return NO_CLASSES if seen.place_kept is None else OF_PLACES


def _kinds(found: Found) -> Found:
    """The pairs of a group and a class that is predicted in it unmoved, as numbers in order, and the share of each in
    its group; of several labels each is a group of its own."""
    classes, c = np.unique(found["reference"], return_inverse=True)
    groups, g, sizes = np.unique(found["group"], return_inverse=True, return_counts=True)
    labels = np.arange(len(found["reference"]))[:, None]
    kinds, counts = np.unique((labels * len(groups) + g) * len(classes) + c, return_counts=True)
    shares = counts / sizes[kinds // len(classes) % len(groups)]
    return {"classes": classes, "groups": groups, "sizes": sizes, "kinds": kinds, "shares": shares}


def _kinds_of(found: Found, predictions: Array, group: Array) -> tuple[Array, Array]:
    """Which of the kinds each of the predictions ``(..., m, labels)`` is, and whether it is any of them.

    Args:
        found: with :func:`_kinds`.
        predictions: of m samples.
        group: theirs, ``(m,)``.
    """
    classes, groups, kinds = found["classes"], found["groups"], found["kinds"]
    c = np.searchsorted(classes, predictions).clip(max=len(classes) - 1)
    g = np.searchsorted(groups, group).clip(max=len(groups) - 1)[:, None]
    number = (np.arange(predictions.shape[-1]) * len(groups) + g) * len(classes) + c
    at = np.searchsorted(kinds, number).clip(max=len(kinds) - 1)
    return at, (classes[c] == predictions) & (kinds[at] == number)


def _chances(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    return _in_groups(seen, found, np.zeros(len(seen.samples)))


def _chances_by_label(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    return NO_LABELS if seen.target is None else _in_groups(seen, found, seen.target[0])


def _in_groups(seen: Observed, found: Found, group: Array) -> Mapping[str, Piece] | Value:
    """What chance is made of: how frequent what is predicted of a sample moved is among the samples of its group as
    they are, ``(labels, n)``; how often each kind is predicted of moved samples; and how often predictions change."""
    if (predictions := seen.predictions) is None:
        return _unpredicted(seen)
    at, known = _kinds_of(found, predictions[1:], group)
    return {
        "frequency": Each(np.where(known, found["shares"][at], 0.0).mean(axis=0).T),
        "moved": Total(np.bincount(at[known], minlength=len(found["kinds"]))),
        "differs": Each((predictions[1:] != predictions[0]).mean(axis=0).T),
    }


def _kappa(known: Context, found: Found) -> list[Value]:
    if known.n < 2:
        return [Value(None, reason="a single sample has no chance level")]
    return _ratio(known, found) or [Value(None, reason="one class is always predicted: chance is 1")]


def _kappa_given_label(known: Context, found: Found) -> list[Value]:
    reason = "within every label one class is always predicted: chance is 1"
    return _ratio(known, found) or [Value(None, reason=reason)]


def _ratio(known: Context, found: Found) -> list[Value]:
    """What differs over what would by chance, of samples that are not alone in their group; nothing where nothing
    would."""
    others = np.isin(found["group"], found["groups"][found["sizes"] > 1])
    chance = _chance_of_difference(known.moved, found).mean(axis=0)[others]
    differs = found["differs"].mean(axis=0)[others]
    if not len(chance) or chance.mean() <= 1e-12:
        return []
    return [Value.of(Ratio(differs, chance, complement=True))]


def _chance_of_difference(moved: int, found: Found) -> Array:
    """For each label and sample its part of ``P(yhat_i(g_k) != yhat_j(g_0))`` over i != j of one group, both ways
    round, the mean over k; ``(labels, n)``.

    The closed form of ``symbench.measure.unrelated`` for one-hot outputs, halved: its mean over i is that
    probability, and resampling it by sample is right. With a the frequency among the unmoved of what i is predicted
    as moved, b the other way round, and c the product of the two distributions, it is
    ``(n (1 - a - b + c) - differs) / (n - 1)``.
    """
    labels, count = len(found["reference"]), len(found["groups"])
    group = np.searchsorted(found["groups"], found["group"])
    size, of_kind = found["sizes"][group], found["kinds"] // len(found["classes"])
    often = found["moved"] / found["sizes"][of_kind % count] / moved
    at, _ = _kinds_of(found, found["reference"].T, found["group"])
    both = np.bincount(of_kind, weights=found["shares"] * often, minlength=labels * count)
    c = both[np.arange(labels)[:, None] * count + group]
    within = 1 - found["frequency"] - often[at].T + c
    chances: Array = (size * within - found["differs"]) / np.maximum(size - 1, 1)
    return chances


kappa = Folded(_kappa, (_all_alike, _chances), PREDICTED, _kinds)
"""Cohen's kappa: ``(consistency - chance) / (1 - chance)``.

Chance is the mean over k > 0 of ``P(yhat_i(g_k) = yhat_j(g_0))`` over i != j, and over labels where there are
several. None where it is 1.
"""
kappa_given_label = Folded(_kappa_given_label, (_by_label, _chances_by_label), (*PREDICTED, "target"), _kinds)
"""kappa with chance taken over other samples of the same label: 0 when only the label agrees."""
