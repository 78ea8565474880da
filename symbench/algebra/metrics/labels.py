"""Several labels at once: all of them right, average precision, and F1; as samples are, and over the orbit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from symbench.algebra.metrics.accuracy import NONE_VALID
from symbench.algebra.metrics.base import Observed, Value
from symbench.algebra.statistics import Array, Mean, Ratio

NO_LABELS = Value(None, reason="samples do not have several labels")
NEVER = Value(None, reason="no label is ever there")
Linear = Callable[[Array, Array, Array], Array | None]
"""Scores and targets ``(n, labels)`` and which samples count ``(n,)``, to one value for each sample whose mean is the
metric."""


def exact_match(seen: Observed) -> list[Value]:
    """Share of samples, as they are, of which every label is right; then one at each element."""
    if seen.label_scores is None or seen.label_targets is None:
        return [NO_LABELS]
    right = ((seen.label_scores > 0) == seen.label_targets).all(axis=-1).astype(np.float64)
    values = [(Mean(row, valid), label) for row, valid, label in zip(right, seen.valid, seen.labels, strict=True)]
    first = Value.of(values[0][0]) if seen.valid[0].any() else NONE_VALID
    return [first, *(Value.of(mean, element=label) for mean, label in values if mean.n)]


def mean_average_precision(seen: Observed) -> list[Value]:
    """The mean over labels of the average precision, of the samples as they are; then one at each element."""
    return _at_each(seen, _average_precision)


def orbit_mean_average_precision(seen: Observed) -> list[Value]:
    """``sum_k w_k`` of the mean average precision at ``g_k``: samples are ranked among those moved alike."""
    return _over_orbit(seen, _average_precision)


def macro_f1(seen: Observed) -> list[Value]:
    """The mean over labels of ``2 TP / (2 TP + FP + FN)``, of the samples as they are; then one at each element."""
    return _at_each(seen, _f1)


def orbit_macro_f1(seen: Observed) -> list[Value]:
    """``sum_k w_k`` of macro F1 at ``g_k``."""
    return _over_orbit(seen, _f1)


def micro_f1(seen: Observed) -> list[Value]:
    """``2 TP / (2 TP + FP + FN)`` with the counts of all labels together, of the samples as they are."""
    return _micro(seen, np.eye(1, len(seen.labels))[0])


def orbit_micro_f1(seen: Observed) -> list[Value]:
    """The same with the counts of all elements together, each with its weight."""
    return _micro(seen, seen.weights)


def _micro(seen: Observed, weights: Array) -> list[Value]:
    if seen.label_scores is None or seen.label_targets is None:
        return [NO_LABELS]
    said, there = seen.label_scores > 0, seen.label_targets > 0
    counted = weights[:, None] * seen.valid
    above = (counted * 2 * (said & there).sum(axis=-1)).sum(axis=0)
    below = (counted * (said.sum(axis=-1) + there.sum(axis=-1))).sum(axis=0)
    return [Value.of(Ratio(above, below))] if below.any() else [NEVER]


def _at_each(seen: Observed, metric: Linear) -> list[Value]:
    if seen.label_scores is None or seen.label_targets is None:
        return [NO_LABELS]
    found = [metric(*each) for each in zip(seen.label_scores, seen.label_targets, seen.valid, strict=True)]
    each = [
        _of(values, element=label, drawn=False)
        for values, label in zip(found, seen.labels, strict=True)
        if values is not None
    ]
    return [NEVER if found[0] is None else _of(found[0]), *each]


def _of(values: Array, *, element: str | None = None, drawn: bool = True) -> Value:
    value = Value.of(Mean(values, bounded=False), element=element, drawn=drawn)
    return replace(value, within=(0.0, 1.0))


def _over_orbit(seen: Observed, metric: Linear) -> list[Value]:
    if seen.label_scores is None or seen.label_targets is None:
        return [NO_LABELS]
    chosen = seen.weights > 0
    rows = zip(seen.label_scores[chosen], seen.label_targets[chosen], seen.valid[chosen], strict=True)
    found = [metric(*row) for row in rows]
    known = [
        (values, weight) for values, weight in zip(found, seen.weights[chosen], strict=True) if values is not None
    ]
    if not known:
        return [NEVER]
    total = sum(weight for _, weight in known)
    return [_of(np.sum([values * weight for values, weight in known], axis=0) / total)]


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
