"""Estimates with intervals. The unit of resampling is the base sample: the copies of an orbit are not independent.

scipy and statsmodels hold the distributions; this file chooses which interval fits which estimator.
NumPy in, floats out, no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

LEVEL = 0.95
RESAMPLES = 2000
FEW = 20
"""With fewer samples than this away from the commonest value, an exact binomial interval is used."""
MOST_DEFINED = 0.99
"""A ratio has an interval where at least this share of its replicates is no 0 / 0."""

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Interval:
    """A value with its confidence limits; limits are None where there is no interval, never a guess.

    Attributes:
        estimate: the value.
        low: lower limit.
        high: upper limit.
        n: base samples behind it.
    """

    estimate: float
    low: float | None
    high: float | None
    n: int


def bounded_mean(values: Array, *, level: float = LEVEL) -> Interval:
    """The mean of one value in [0, 1] for each sample, such as the share of its orbit that is right.

    Wilson's interval with the effective sample size ``p (1 - p) / se^2`` and a t quantile; Clopper-Pearson with
    n = samples where fewer than 20 samples differ from the commonest value, so that all ones is not [1, 1].

    Args:
        values: ``(n,)`` in [0, 1].
        level: confidence.
    """
    n = len(values)
    mean = float(values.mean())
    if deviating(values) < FEW:
        low, high = proportion_confint(mean * n, n, alpha=1 - level, method="beta")
        return Interval(mean, _or(low, 0.0), _or(high, 1.0), n)
    variance = float(values.var(ddof=1)) / n
    effective = mean * (1 - mean) / variance
    t = float(stats.t.ppf(0.5 + level / 2, n - 1))
    centre = (mean + t**2 / (2 * effective)) / (1 + t**2 / effective)
    half = t / (1 + t**2 / effective) * np.sqrt(mean * (1 - mean) / effective + t**2 / (4 * effective**2))
    return Interval(mean, max(0.0, float(centre - half)), min(1.0, float(centre + half)), n)


def deviating(values: Array) -> int:
    """How many samples differ from the commonest value."""
    _, counts = np.unique(np.round(values, 12), return_counts=True)  # weighted sums differ in the last digit
    return int(len(values) - counts.max())


def mean(values: Array, *, seed: int, level: float = LEVEL) -> Interval:
    """The mean of one unbounded value for each sample ``(n,)``; bootstrap over samples."""
    return ratio(values, np.ones_like(values), seed=seed, level=level)


def ratio(above: Array, below: Array, *, seed: int, level: float = LEVEL) -> Interval:
    """``mean(above) / mean(below)``, one pair for each sample; percentile bootstrap over samples.

    Args:
        above: ``(n,)``.
        below: ``(n,)``, of positive mean.
        seed: seeds the resampling.
        level: confidence.

    Raises:
        ValueError: a value is not finite.
    """
    n = len(above)
    if not (np.isfinite(above).all() and np.isfinite(below).all()):
        raise ValueError("a ratio of values that are not finite has no estimate")
    estimate = float(above.mean() / below.mean())
    if n < 2:
        return Interval(estimate, None, None, n)
    replicates = resampled_ratios(above, below, seed=seed)
    if len(replicates) < MOST_DEFINED * RESAMPLES:
        return Interval(estimate, None, None, n)
    low, high = np.quantile(replicates, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(estimate, float(low), float(high), n)


def resampled_ratios(above: Array, below: Array, *, seed: int) -> Array:
    """Bootstrap replicates of ``mean(above) / mean(below)``; those that are 0 / 0 are left out."""
    means = resampled_means(np.stack([above, below], axis=1), seed=seed)
    defined = means[:, 1] > 0
    ratios: Array = means[defined, 0] / means[defined, 1]
    return ratios


def resampled_means(columns: Array, *, seed: int) -> Array:
    """Means over samples drawn with replacement, all columns by the same draws: ``(n, m)`` to ``(RESAMPLES, m)``."""
    rng = np.random.default_rng(seed)
    n = len(columns)
    found = np.empty((RESAMPLES, columns.shape[1]))
    step = max(1, 4_000_000 // n)
    for start in range(0, RESAMPLES, step):
        count = min(step, RESAMPLES - start)
        times_drawn = rng.multinomial(n, np.full(n, 1 / n), size=count)  # (count, n)
        found[start : start + count] = times_drawn @ columns / n
    return found


def smallest_mean(values: Array, *, seed: int, level: float = LEVEL) -> Interval:
    """The smallest of several means in [0, 1] over the same samples: the accuracy at the worst element.

    The smallest of noisy means is biased downwards. The lower limit is the smallest of the one-sided limits; the
    upper limit is the smallest of simultaneous ones (bootstrap max-t), or of Bonferroni-corrected exact ones where
    few samples deviate.

    Args:
        values: ``(k, n)`` in [0, 1].
        seed: seeds the resampling.
        level: confidence.
    """
    k, n = values.shape
    means = values.mean(axis=1)
    tail = (1 - level) / 2
    low = min(_or(bounded_mean(row, level=level).low, 0.0) for row in values)
    errors = values.std(axis=1, ddof=1) / np.sqrt(n) if n > 1 else np.zeros(k)
    usable = errors > 0
    critical = _max_t(values[usable], means[usable], errors[usable], seed, 1 - tail) if usable.any() else 0.0
    uppers = means + critical * errors
    for i, row in enumerate(values):
        if deviating(row) < FEW:
            uppers[i] = _or(proportion_confint(means[i] * n, n, alpha=2 * tail / k, method="beta")[1], 1.0)
    return Interval(float(means.min()), low, float(min(1.0, uppers.min())), n)


def _max_t(values: Array, means: Array, errors: Array, seed: int, quantile: float) -> float:
    """The quantile of ``max_k (mean* - mean) / se``: what makes upper limits hold for all k at once."""
    largest = ((means - resampled_means(values.T, seed=seed)) / errors).max(axis=1)
    return float(np.quantile(largest, quantile))


def quantile(values: Array, q: float, *, level: float = LEVEL) -> Interval:
    """The q-quantile of all values, several for each sample; Woodruff's interval from the share below it.

    Args:
        values: ``(k, n)``.
        q: in (0, 1).
        level: confidence.
    """
    flat = values.ravel()
    estimate = float(np.quantile(flat, q))
    share = bounded_mean((values <= estimate).mean(axis=0), level=level)
    low, high = np.quantile(flat, [_or(share.low, 0.0), _or(share.high, 1.0)])
    return Interval(estimate, float(low), float(high), values.shape[1])


def _or(value: float | None, default: float) -> float:
    return default if value is None or not np.isfinite(value) else float(value)
