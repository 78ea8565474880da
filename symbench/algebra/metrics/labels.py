"""Several labels at once: all of them right, average precision, and F1; as samples are, and over the orbit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from symbench.algebra.metrics.accuracy import NONE_VALID, mean_at
from symbench.algebra.metrics.base import Context, Observed, Value
from symbench.algebra.metrics.folds import Each, Folded, Found, Piece
from symbench.algebra.statistics import Array, Deferred, Mean, Ratio

NO_LABELS = Value(None, reason="samples do not have several labels")
LABELS = ("label_scores", "label_targets", "valid")
NEVER = Value(None, reason="no label is ever there")
Linear = Callable[[Array, Array, Array], Array | None]
"""Scores and targets ``(n, labels)`` and which samples count ``(n,)``, to one value for each sample whose mean is the
metric."""


def _matches(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    del found
    if seen.label_scores is None or seen.label_targets is None:
        return NO_LABELS
    right = ((seen.label_scores > 0) == seen.label_targets).all(axis=-1)
    return {"right": Each(right.astype(np.uint8)), "valid": Each(seen.valid)}


def _exact_match(known: Context, found: Found) -> list[Value]:
    each = [mean_at(known, found, k) for k in range(known.moved + 1)]
    first = NONE_VALID if each[0] is None else replace(each[0], element=None)
    return [first, *(value for value in each if value is not None)]


exact_match = Folded(_exact_match, (_matches,), LABELS)
"""Share of samples, as they are, of which every label is right; then one at each element."""


def _counts(seen: Observed, weights: Array) -> Mapping[str, Piece] | Value:
    if seen.label_scores is None or seen.label_targets is None:
        return NO_LABELS
    said, there = seen.label_scores > 0, seen.label_targets > 0
    counted = weights[:, None] * seen.valid
    above = (counted * 2 * (said & there).sum(axis=-1)).sum(axis=0)
    below = (counted * (said.sum(axis=-1) + there.sum(axis=-1))).sum(axis=0)
    return {"above": Each(above), "below": Each(below)}


def _counts_unmoved(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    del found
    return _counts(seen, np.eye(1, len(seen.labels))[0])


def _counts_over_orbit(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    del found
    return _counts(seen, seen.weights)


def _micro_f1(known: Context, found: Found) -> list[Value]:
    del known
    return [Value.of(Ratio(found["above"], found["below"]))] if found["below"].any() else [NEVER]


micro_f1 = Folded(_micro_f1, (_counts_unmoved,), LABELS)
"""``2 TP / (2 TP + FP + FN)`` with the counts of all labels together, of the samples as they are."""
orbit_micro_f1 = Folded(_micro_f1, (_counts_over_orbit,), LABELS)
"""The same with the counts of all elements together, each with its weight."""


def _labelled(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    """Nothing: samples are ranked among all that are moved alike, which takes one element at a time."""
    del found
    return NO_LABELS if seen.label_scores is None or seen.label_targets is None else {}


def _values_at(known: Context, metric: Linear, k: int) -> Array | None:
    seen = known.element(k, *LABELS)
    assert seen.label_scores is not None
    assert seen.label_targets is not None
    return metric(seen.label_scores[0], seen.label_targets[0], seen.valid[0])


def _at_each(metric: Linear) -> Callable[[Context, Found], list[Value]]:
    def values(known: Context, found: Found) -> list[Value]:
        del found
        unmoved = _values_at(known, metric, 0)
        each = (_value_at(known, metric, k) for k in range(known.moved + 1))
        return [NEVER if unmoved is None else _of(unmoved), *(value for value in each if value is not None)]

    return values


def _value_at(known: Context, metric: Linear, k: int) -> Value | None:
    found = _values_at(known, metric, k)
    if found is None:
        return None

    def again() -> Mean:
        values = _values_at(known, metric, k)
        assert values is not None
        return Mean(values, bounded=False)

    mean = Deferred(float(found.mean()), len(found), len(found), again)
    return replace(Value.of(mean, element=known.labels[k], drawn=False), within=(0.0, 1.0))


def _of(values: Array) -> Value:
    return replace(Value.of(Mean(values, bounded=False)), within=(0.0, 1.0))


def _over_orbit(metric: Linear) -> Callable[[Context, Found], list[Value]]:
    def values(known: Context, found: Found) -> list[Value]:
        del found
        total, added = 0.0, np.zeros(known.n)
        for k in np.flatnonzero(known.weights > 0):
            mine = _values_at(known, metric, int(k))
            if mine is not None:
                total += known.weights[k]
                added = added + mine * known.weights[k]
        return [_of(added / total)] if total else [NEVER]

    return values


def _average_precision(scores: Array, targets: Array, valid: Array) -> Array | None:
    """For each sample a value whose mean is the mean average precision over the labels that are there at all."""
    labels = [label for label in range(targets.shape[1]) if targets[valid, label].any()]
    each = [average_precision(scores[:, label], targets[:, label] > 0, valid) for label in labels]
    return np.mean(each, axis=0) if each else None


def average_precision(scores: Array, there: Array, valid: Array) -> Array:
    """Average precision of one label, as one value for each sample: its influence, about the estimate.

    With weights w, of which all are 1, ``AP = sum_i w_i t_i T_i / R_i / sum_i w_i t_i``: t is 1 where the label is
    there, R_i the weight of samples that score no less than i, T_i that of those where the label is there. The value
    of sample i is ``AP + n dAP/dw_i``. AP does not change with the scale of w, so that the mean of the values is AP;
    and their deviation over root n is its standard error (the infinitesimal jackknife, Efron 1982). Two runs are
    compared by these values as by any other means.

    Args:
        scores: ``(n,)``.
        there: bool ``(n,)``, somewhere true.
        valid: bool ``(n,)``, the samples that count; the others get AP itself.
    """
    n, mine = len(scores), np.flatnonzero(valid)
    order = mine[np.argsort(-scores[mine], kind="stable")]
    t, ordered = there[order].astype(np.float64), scores[order]
    last = np.searchsorted(-ordered, -ordered, side="right") - 1  # ties rank together, at the last of them
    ranked, hits = (last + 1).astype(np.float64), np.cumsum(t)[last]
    precision = hits / ranked
    estimate = (t * precision).sum() / t.sum()
    first = np.searchsorted(-ordered, -ordered, side="left")
    below = [np.append(np.cumsum((t * term)[::-1])[::-1], 0.0)[first] for term in (1 / ranked, hits / ranked**2)]
    slope = t * precision + t * below[0] - below[1]
    values = np.full(n, estimate)
    values[order] += n * (slope - estimate * t) / t.sum()
    return values


def _f1(scores: Array, targets: Array, valid: Array) -> Array | None:
    """For each sample a value whose mean is macro F1 over the labels that are there or predicted."""
    said, there = (scores > 0) & valid[:, None], (targets > 0) & valid[:, None]
    above, below = 2.0 * (said & there), said * 1.0 + there
    known = below.any(axis=0)
    if not known.any():
        return None
    ratio = above[:, known].sum(axis=0) / below[:, known].sum(axis=0)
    influence = (above[:, known] - ratio * below[:, known]) / below[:, known].mean(axis=0)
    found: Array = (ratio + influence).mean(axis=1)
    return found


mean_average_precision = Folded(_at_each(_average_precision), (_labelled,), LABELS)
"""The mean over labels of the average precision, of the samples as they are; then one at each element."""
orbit_mean_average_precision = Folded(_over_orbit(_average_precision), (_labelled,), LABELS)
"""``sum_k w_k`` of the mean average precision at ``g_k``: samples are ranked among those moved alike."""
macro_f1 = Folded(_at_each(_f1), (_labelled,), LABELS)
"""The mean over labels of ``2 TP / (2 TP + FP + FN)``, of the samples as they are; then one at each element."""
orbit_macro_f1 = Folded(_over_orbit(_f1), (_labelled,), LABELS)
"""``sum_k w_k`` of macro F1 at ``g_k``."""
