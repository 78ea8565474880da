"""How bad, or how much worse on the same samples, and how sure that is: what comparisons and gates decide by.

Everything here is turned so that more is worse: ``worse`` is 1 for what should be low and -1 for what should be high.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from symbench.statistics.bootstrap import RESAMPLES, quantiles, resampled_means
from symbench.statistics.interval import FEW, LEVEL, TOLERANCE, Array, Interval, deviating, exact
from symbench.statistics.paired import difference, ratio_difference
from symbench.statistics.sampled import Mean, Ratio, Sampled, Smallest


@dataclass(frozen=True)
class Doubt:
    """A value of which more is worse, with what is known about the true one.

    Attributes:
        estimate: the value.
        low: lower limit at the level 95 %, 97.5 % on its side; None where there is none.
        high: upper limit.
        n: base samples.
        error: standard error.
        tail: where few samples decide, the exact p value for a limit.
    """

    estimate: float
    low: float | None
    high: float | None
    n: int
    error: float
    tail: Callable[[float], float] | None = None

    def p_above(self, limit: float) -> float:
        """One-sided p value of "the true value is at most ``limit``": Student's, or the exact one if that is more."""
        if self.error > 0 and self.n > 1:
            student = float(stats.t.sf((self.estimate - limit) / self.error, self.n - 1))
        else:
            student = 0.0 if self.estimate > limit else 1.0
        return student if self.tail is None else max(student, self.tail(limit))

    @property
    def spread(self) -> float:
        """The standard error that the upper limit speaks of: for few changes more than the sample's."""
        if self.high is None:
            return self.error
        return max(self.error, (self.high - self.estimate) / float(stats.norm.ppf(0.5 + LEVEL / 2)))


def standing(value: Sampled, worse: int, *, seed: int) -> Doubt:
    """One value, for a limit that is not another run's.

    Args:
        value: the estimate.
        worse: 1 or -1.
        seed: seeds the bootstrap.
    """
    found = value.interval(seed=seed)
    tail = None
    if isinstance(value, Mean) and value.bounded and deviating(value.taken) < FEW:
        bad = found.estimate if worse > 0 else 1 - found.estimate
        tail = _binomial(bad, found.n, shift=0.0 if worse > 0 else 1.0)
    return Doubt(worse * found.estimate, *_turned(found, worse), found.n, _error(value.influence()), tail)


def change(before: Sampled, after: Sampled, worse: int, *, seed: int, resamples: int = RESAMPLES) -> Doubt:
    """``after - before`` on the same samples, more being worse.

    With fewer than 20 samples that changed, the upper limit is at least Clopper-Pearson's for the share of samples
    that got worse: a bootstrap of the few would pass a drop at the margin one time in three at n = 100.

    Args:
        before: the baseline's.
        after: the candidate's, of the same samples in the same order.
        worse: 1 or -1.
        seed: seeds the bootstrap.
        resamples: replicates.

    Returns:
        No limits where the two do not pair: a quantile, or the root of 0.

    Raises:
        ValueError: the values are of other samples, or not finite.
    """
    if before.samples != after.samples:
        raise ValueError(f"change: got {before.samples} and {after.samples} samples, expected the same ones")
    estimate = worse * (after.estimate - before.estimate)
    if type(before) is not type(after):
        return Doubt(estimate, None, None, after.samples, float("nan"))
    if isinstance(before, Mean) and isinstance(after, Mean):
        if _same_samples(before, after):
            return _of_means(before.taken, after.taken, worse, seed, resamples)
        before, after = _as_ratio(before), _as_ratio(after)
    error = _error(after.influence() - before.influence())
    if isinstance(before, Ratio) and isinstance(after, Ratio):
        columns = (before.above, before.below, after.above, after.below)
        found = ratio_difference(*columns, seed=seed, root=before.root, resamples=resamples)
        return Doubt(estimate, *_turned(found, -worse if before.complement else worse), found.n, error)
    if isinstance(before, Smallest) and isinstance(after, Smallest):
        return _of_smallest(before, after, worse, seed, resamples)
    return Doubt(estimate, None, None, after.samples, error)


def _of_means(before: Array, after: Array, worse: int, seed: int, resamples: int) -> Doubt:
    found = difference(before, after, seed=seed, resamples=resamples)
    low, high = _turned(found, worse)
    changes = worse * (after - before)
    largest = float(np.abs(changes).max())
    tail = None
    if int((np.abs(changes) > TOLERANCE * largest).sum()) < FEW:
        scale = 1.0 if largest <= 1 else largest
        high, tail = _guarded(changes / scale, high, scale)
    return Doubt(worse * found.estimate, low, high, found.n, _error(changes), tail)


def _guarded(changes: Array, high: float | None, scale: float = 1.0) -> tuple[float | None, Callable[[float], float]]:
    """The upper limit, at least that of the share that got worse, and the exact tail of the net share."""
    n, lost = len(changes), float(changes.clip(0).mean())
    limit = scale * exact(lost, n, (1 - LEVEL) / 2)[1]
    alone = _binomial(max(float(changes.mean()), 0.0), n)
    return (None if high is None else max(high, limit)), lambda at: alone(at / scale)


def _of_smallest(before: Smallest, after: Smallest, worse: int, seed: int, resamples: int) -> Doubt:
    """Percentiles of the difference of the two minima in the same draws, at least as wide as Student's."""
    both = np.concatenate([before.valid, after.valid])
    values = np.where(both, np.concatenate([before.values, after.values]), 0.0)
    k, n = len(before.values), before.samples
    drawn = resampled_means(np.vstack([values] if both.all() else [values, both]).T, seed=seed, resamples=resamples)
    means = drawn[:, : 2 * k]
    if not both.all():
        count = drawn[:, 2 * k :]
        means = np.where(count > 0, means / np.where(count > 0, count, 1.0), np.inf)
    estimate = worse * (after.estimate - before.estimate)
    error = _error(after.influence() - before.influence())
    moves = worse * (means[:, k:].min(axis=1) - means[:, :k].min(axis=1))
    low, high = quantiles(moves, (1 - LEVEL) / 2, (1 + LEVEL) / 2)
    reach = float(stats.t.ppf((1 + LEVEL) / 2, max(n - 1, 1))) * error
    low, high = min(float(low), estimate - reach), max(float(high), estimate + reach)
    tail, limit = None, high
    changes = worse * (values[k:] - values[:k])
    if int((np.abs(changes).max(axis=0) > TOLERANCE).sum()) < FEW:
        guarded, tail = _guarded(changes.max(axis=0), high)
        limit = high if guarded is None else guarded
    return Doubt(estimate, low, limit, n, error, tail)


def _as_ratio(value: Mean) -> Ratio:
    where = np.ones_like(value.values, dtype=bool) if value.where is None else value.where
    return Ratio(np.where(where, value.values, 0.0), where.astype(np.float64))


def _same_samples(before: Mean, after: Mean) -> bool:
    if before.where is None or after.where is None:
        return before.where is after.where
    return bool((before.where == after.where).all())


def _binomial(share: float, n: int, shift: float = 0.0) -> Callable[[float], float]:
    """The probability of ``share`` of n or more where the true share is a limit, plus ``shift``."""
    hits = min(max(share, 0.0), 1.0) * n

    def tail(limit: float) -> float:
        at = min(max(limit + shift, 0.0), 1.0)
        return float(special.betainc(hits, n - hits + 1, at)) if hits > 0 else 1.0

    return tail


def _turned(found: Interval, worse: int) -> tuple[float | None, float | None]:
    if found.low is None or found.high is None:
        return None, None
    return (found.low, found.high) if worse > 0 else (-found.high, -found.low)


def _error(influence: Array) -> float:
    n = len(influence)
    return float(influence.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
