"""How bad, or how much worse on the same samples, and how sure that is: what comparisons and gates decide by.

Everything here is turned so that more is worse: ``worse`` is 1 for what should be low and -1 for what should be high.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from symbench.statistics.bootstrap import RESAMPLES
from symbench.statistics.interval import FEW, LEVEL, TOLERANCE, Array, Interval, deviating, exact
from symbench.statistics.paired import difference, ratio_difference
from symbench.statistics.sampled import Mean, Ratio, Sampled, Smallest

QUANTILE = float(special.ndtri(0.5 + LEVEL / 2))
CONTENDERS = 0.1
"""Of the error rate, what is spent on elements that look too good to be the worst."""


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
        """One-sided p value of "the true value is at most ``limit``".

        Student's, with the error that the lower limit speaks of if that is more than the sample's; where few samples
        decide, the exact one if that is more than Student's. 1, which decides nothing, where a number is not known.
        """
        if not (math.isfinite(self.estimate) and math.isfinite(limit) and math.isfinite(self.error)):
            return 1.0
        error = self.error
        if self.tail is None and self.low is not None:
            error = max(error, (self.estimate - self.low) / QUANTILE)
        if error > 0:
            student = float(special.stdtr(self.n - 1, (limit - self.estimate) / error))
        else:
            student = 0.0 if self.estimate > limit else 1.0
        return student if self.tail is None else max(student, self.tail(limit))

    @property
    def spread(self) -> float:
        """The standard error that the upper limit speaks of: for few changes more than the sample's."""
        if self.high is None:
            return self.error
        return max(self.error, (self.high - self.estimate) / QUANTILE)


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
    that got worse, however little: a bootstrap of the few would pass a drop at the margin one time in three at
    n = 100.

    Args:
        before: the baseline's.
        after: the candidate's, of the same samples in the same order.
        worse: 1 or -1.
        seed: seeds the bootstrap.
        resamples: replicates.

    Returns:
        No limits where the two do not pair: a quantile, or the root of 0.

    Raises:
        ValueError: the values are of other samples or elements, or not finite.
    """
    if before.samples != after.samples:
        raise ValueError(f"change: got {before.samples} and {after.samples} samples, expected the same ones")
    estimate = worse * (after.estimate - before.estimate)
    if not math.isfinite(estimate):
        raise ValueError(f"change: got {before.estimate:g} and {after.estimate:g}, expected finite numbers")
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
        return _of_smallest(before, after, worse)
    return Doubt(estimate, None, None, after.samples, error)


def relative_change(before: Sampled, after: Sampled, worse: int, limit: float, *, seed: int) -> Doubt:
    """How much worse than ``limit`` times the baseline's value a change is: at most 0 where it keeps the limit.

    The baseline's value is an estimate too, and doubted with the change: ``after - (1 + limit) before``. With fewer
    than 20 samples that changed, the limits are the change's, held against the baseline's own.

    Args:
        before: the baseline's.
        after: the candidate's, of the same samples in the same order.
        worse: 1 or -1.
        limit: as a part of the baseline's absolute value.
        seed: seeds the bootstrap.
    """
    sign = 1.0 if before.estimate >= 0 else -1.0
    scaled, more = before.scaled(1 + worse * sign * limit)
    found = _moved(change(scaled, after, worse, seed=seed), -worse * more)
    few = change(before, after, worse, seed=seed)
    own = before.interval(seed=seed)
    if few.tail is None or few.high is None or found.high is None or own.low is None or own.high is None:
        return found
    ends = sorted((abs(own.low), abs(own.high)))
    least, tail = 0.0 if own.low < 0 < own.high else ends[0], few.tail
    high = max(found.high, few.high - limit * least)
    return replace(found, high=high, tail=lambda at: tail(at + limit * ends[1]))


def _moved(doubt: Doubt, by: float) -> Doubt:
    low, high = (None if end is None else end + by for end in (doubt.low, doubt.high))
    tail = doubt.tail
    moved = None if tail is None else (lambda at: tail(at - by))
    return replace(doubt, estimate=doubt.estimate + by, low=low, high=high, tail=moved)


def _of_means(before: Array, after: Array, worse: int, seed: int, resamples: int) -> Doubt:
    found = difference(before, after, seed=seed, resamples=resamples)
    low, high = _turned(found, worse)
    changes = worse * (after - before)
    largest = float(np.abs(changes).max())
    tail = None
    if int((np.abs(changes) > TOLERANCE * largest).sum()) < FEW:
        scale = max(1.0, largest)
        high, tail = _guarded(changes / scale, worse * found.estimate, high, scale)
    return Doubt(worse * found.estimate, low, high, found.n, _error(changes), tail)


def _guarded(
    changes: Array, estimate: float, high: float | None, scale: float = 1.0
) -> tuple[float | None, Callable[[float], float]]:
    """The upper limit, at least that of the share of samples that got worse, and the exact tail of the net share."""
    n, lost = len(changes), float((changes > TOLERANCE).mean())
    limit = scale * exact(lost, n, (1 - LEVEL) / 2)[1]
    alone = _binomial(max(estimate / scale, 0.0), n)
    return (None if high is None else max(high, limit)), lambda at: alone(at / scale)


def _of_smallest(before: Smallest, after: Smallest, worse: int) -> Doubt:
    """The change of a minimum, whose worst element is not known: simultaneous limits over all that may be it.

    With ``d_jk = b_j - a_k``, what is lost is ``min_j b_j - min_k a_k = max_k min_j d_jk = min_j max_k d_jk``. The
    upper limit is ``max_k min_j (d_jk + t se_jk)``, the lower one ``min_j max_k (d_jk - t se_jk)``, with Student's t
    at the level corrected for the number of contenders that the inner minimum or maximum is taken over (Bonferroni).
    Percentiles of the difference of two minima are biased where elements are nearly as bad as each other: 80 % where
    97.5 % was promised, for one of 24 that got worse.
    """
    n, estimate = before.samples, worse * (after.estimate - before.estimate)
    if len(after.values) != len(before.values):
        raise ValueError(f"change: got {len(before.values)} and {len(after.values)} elements, expected the same ones")
    if n < 2:
        return Doubt(estimate, None, None, n, float("nan"))
    first, last = (before, after) if worse < 0 else (after, before)
    (b, moved_b), (a, moved_a) = _contenders(first), _contenders(last)
    lost = b[:, None] - a
    errors = np.stack([(row - moved_a).std(axis=1, ddof=1) for row in moved_b]) / np.sqrt(n)
    tail = (1 - LEVEL) / 2
    reach_b, reach_a = (float(special.stdtrit(n - 1, 1 - tail / len(one))) for one in (b, a))
    high = float((lost + reach_b * errors).min(axis=0).max())
    low = float((lost - reach_a * errors).max(axis=1).min())
    both = before.valid & after.valid
    changes = worse * np.where(both, after.values - before.values, 0.0)
    error = max(_error(after.influence() - before.influence()), (estimate - low) / QUANTILE)
    touched = (np.abs(changes) > TOLERANCE) | (before.valid != after.valid)
    if int(touched.any(axis=0).sum()) >= FEW:
        return Doubt(estimate, min(low, estimate), max(high, estimate), n, error)
    limit, exactly = _guarded(changes.max(axis=0), estimate, max(high, estimate))
    return Doubt(estimate, min(low, estimate), limit, n, error, exactly)


def _contenders(value: Smallest) -> tuple[Array, Array]:
    """Means of the elements that may be the worst, and how much each sample moves them, ``(contenders, n)``."""
    means = value.means()
    some = np.flatnonzero(np.isfinite(means))
    means, worst = means[some], int(means[some].argmin())
    moved = np.stack([Mean(value.values[i], value.valid[i]).influence() for i in some])
    errors = (moved - moved[worst]).std(axis=1, ddof=1) / np.sqrt(value.samples)
    reach = float(special.stdtrit(value.samples - 1, 1 - CONTENDERS * (1 - LEVEL) / 2 / len(some)))
    keep = means - means[worst] <= reach * errors
    return means[keep], moved[keep]


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
