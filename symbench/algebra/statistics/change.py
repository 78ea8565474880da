"""How bad, or how much worse on the same samples, and how sure that is: what comparisons and gates decide by.

Everything here is turned so that more is worse: ``sign`` is 1 for metrics that should be low, such as an
error, and -1 for those that should be high, such as an accuracy. Means in [0, 1] and the smallest of them get limits
that allow for what was not seen (:mod:`symbench.algebra.statistics.bounded`, which says how far that is proved);
ratios and other means have a bootstrap's, which knows no more than the samples that there are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy import special

from symbench.algebra.statistics.bootstrap import RESAMPLES
from symbench.algebra.statistics.bounded import BoundedMeans, change_range, contributions
from symbench.algebra.statistics.confidence import TAIL, Confidence, OfFew, of_mean
from symbench.algebra.statistics.interval import FEW, TOLERANCE, Array, Interval, exact
from symbench.algebra.statistics.largest import LargestMean, largest_change
from symbench.algebra.statistics.least import Elements, least, lost
from symbench.algebra.statistics.paired import difference, ratio_difference
from symbench.algebra.statistics.passes import Passes, change_of_passes, of_passes
from symbench.algebra.statistics.sampled import Mean, Ratio, Sampled, Smallest


def absolute(value: Sampled, sign: int, *, seed: int) -> Confidence:
    """One value with its limits, turned so that more is worse: for rules such as ``at_least: 0.9``.

    Args:
        value: the estimate.
        sign: 1 or -1.
        seed: seeds the bootstrap.
    """
    if isinstance(value, Passes):
        return of_passes(value, sign)
    value = value.read()
    error = _error(value.influence())
    if isinstance(value, Smallest):
        n = int(value.valid.any(axis=0).sum())
        confidence = least(Elements.of(value.values, value.valid), n=n, error=error)
    elif isinstance(value, Mean) and is_share(value):
        confidence = of_mean(BoundedMeans.of(value.taken, 0.0, 1.0), value.estimate, value.n, error)
    else:
        interval = value.interval(seed=seed)
        confidence = Confidence(interval.estimate, interval.low, interval.high, interval.n, error)
    return confidence if sign > 0 else confidence.turned()


def change(before: Sampled, after: Sampled, sign: int, *, seed: int, resamples: int = RESAMPLES) -> Confidence:
    """How much worse a metric has become on the same samples, ``sign (after - before)``, and how sure that is.

    Args:
        before: the baseline's.
        after: the candidate's, of the same samples in the same order.
        sign: 1 or -1.
        seed: seeds the bootstrap.
        resamples: replicates.

    Returns:
        No limits where the two do not pair: a quantile, or the root of 0.

    Raises:
        ValueError: the values are of other samples or elements, or not finite.
    """
    if isinstance(before, Passes) and isinstance(after, Passes):
        return change_of_passes(before, after, sign)
    _require_pair(before, after)
    before, after = before.read(), after.read()
    bounded = _bounded(before, after, sign, 1.0)
    return bounded or _bootstrapped(before, after, sign, seed, resamples)


def no_change(n: int, changed: float) -> Confidence:
    """The limits that a change of 0 would have, before any run: for telling people what a suite can detect.

    Of a share over n samples of which ``changed / 2`` turn wrong and as many turn right.

    Args:
        n: samples.
        changed: the share of them that is lost or gained.
    """
    counts = n * np.array([changed / 2, 1 - changed, changed / 2])
    mean = BoundedMeans(np.array([[-1.0, 0.0, 1.0]]), counts[None], np.array([-1.0]), np.array([1.0]))
    return of_mean(mean, 0.0, n, math.sqrt(changed / n))


def relative_change(before: Sampled, after: Sampled, sign: int, limit: float, *, seed: int) -> Confidence:
    """By how much a change exceeds the part ``limit`` of the baseline's value: at most 0 where it keeps the limit.

    The baseline's value is an estimate too, and doubted with the change: ``after - (1 + limit) before``. Where the
    values have no bounds and fewer than 20 samples changed, the limits are the change's, held against the
    baseline's own.

    Args:
        before: the baseline's.
        after: the candidate's, of the same samples in the same order.
        sign: 1 or -1.
        limit: as a part of the baseline's absolute value.
        seed: seeds the bootstrap.

    Raises:
        ValueError: as :func:`change`.
    """
    # A limit of 5 % of a baseline of -2 allows for 0.1 towards worse, not towards better: hence the side.
    side = 1.0 if before.estimate >= 0 else -1.0
    factor = 1 + sign * side * limit
    if isinstance(before, Passes) and isinstance(after, Passes):
        return change_of_passes(before, after, sign, factor)
    _require_pair(before, after)
    before, after = before.read(), after.read()
    bounded = _bounded(before, after, sign, max(factor, 0.0))
    if bounded is not None:
        return bounded
    scaled, more = before.scaled(factor)
    confidence = _bootstrapped(scaled, after, sign, seed, RESAMPLES).moved(-sign * more)
    # ``after - factor before`` differs from 0 in every sample even where the two runs agree, so that its own limits
    # cannot tell that few samples changed: the plain change can, and its exact limits are taken over.
    few = _bootstrapped(before, after, sign, seed, RESAMPLES)
    own = before.interval(seed=seed)
    law = few.law
    if (
        not isinstance(law, OfFew)
        or few.high is None
        or confidence.high is None
        or own.low is None
        or own.high is None
    ):
        return confidence
    # The baseline's value, of which the limit is a part, is at least ``smallest`` in size and at most ``ends[1]``:
    # the least favourable of the two goes into the limit, and the other way round into the p value.
    ends = sorted((abs(own.low), abs(own.high)))
    smallest = 0.0 if own.low < 0 < own.high else ends[0]
    high = max(confidence.high, few.high - limit * smallest)
    student = replace(confidence, high=high, law=None)
    return replace(student, law=OfFew(student, lambda at: law.tail(at + limit * ends[1])))


def is_share(value: Mean) -> bool:
    """Whether a mean claims to be of values in [0, 1], and its values bear that out.

    A metric's own claim is not enough: a user's values beyond 1 would get limits that are too narrow.
    """
    taken = value.taken
    return value.bounded and bool(taken.min() >= -TOLERANCE and taken.max() <= 1 + TOLERANCE)


def _require_pair(before: Sampled, after: Sampled) -> None:
    """Refuse what cannot be paired: another number of samples, or a change that is not finite."""
    if before.samples != after.samples:
        raise ValueError(f"change: got {before.samples} and {after.samples} samples, expected the same ones")
    if not math.isfinite(after.estimate - before.estimate):
        raise ValueError(f"change: got {before.estimate:g} and {after.estimate:g}, expected finite numbers")


def _bounded(before: Sampled, after: Sampled, sign: int, factor: float) -> Confidence | None:
    """``after - factor before`` where that is a difference of means in [0, 1], or of the smallest of several."""
    if isinstance(before, Mean) and isinstance(after, Mean) and is_share(before) and is_share(after):
        return _of_shares(before, after, sign, factor)
    if isinstance(before, Smallest) and isinstance(after, Smallest):
        return _of_smallest(before, after, sign, factor)
    return None


def _of_shares(before: Mean, after: Mean, sign: int, factor: float) -> Confidence:
    """:func:`_bounded` of two means in [0, 1]."""
    # Where other samples count on either side the values do not pair one by one; what each adds to its mean does.
    if _same_samples(before, after):
        parts = (before.taken, 0.0, 1.0), (after.taken, 0.0, 1.0)
    else:
        parts = contributions(before.values, before.where), contributions(after.values, after.where)
    (b, *range_b), (a, *range_a) = parts
    changes = sign * (a - factor * b)
    ends = change_range((range_b[0], range_b[1]), (range_a[0], range_a[1]), sign, factor)
    return of_mean(BoundedMeans.of(changes, *ends), float(changes.mean()), len(changes), _error(changes))


def _of_smallest(before: Smallest, after: Smallest, sign: int, factor: float) -> Confidence:
    """:func:`_bounded` of the smallest of several means, before and after."""
    if len(after.values) != len(before.values):
        raise ValueError(f"change: got {len(before.values)} and {len(after.values)} elements, expected the same ones")
    error = _error(after.influence() - factor * before.influence())
    elements = Elements.of(before.values, before.valid), Elements.of(after.values, after.valid)
    loss = lost(*elements, factor, error=error)
    return loss if sign < 0 else loss.turned()  # a loss is worse where high is good


def _bootstrapped(before: Sampled, after: Sampled, sign: int, seed: int, resamples: int) -> Confidence:
    """``after - before`` where nothing bounds the values; no limits where the two are of different kinds."""
    estimate = sign * (after.estimate - before.estimate)
    if type(before) is not type(after):
        return Confidence(estimate, None, None, after.samples, float("nan"))
    if isinstance(before, Mean) and isinstance(after, Mean):
        if _same_samples(before, after):
            return _of_means(before.taken, after.taken, sign, seed, resamples)
        before, after = _as_ratio(before), _as_ratio(after)  # numbers that count are random too, and resampled along
    error = _error(after.influence() - before.influence())
    if isinstance(before, Ratio) and isinstance(after, Ratio):
        columns = (before.above, before.below, after.above, after.below)
        interval = ratio_difference(*columns, seed=seed, root=before.root, resamples=resamples)
        return Confidence(estimate, *_turned(interval, -sign if before.complement else sign), interval.n, error)
    if isinstance(before, LargestMean) and isinstance(after, LargestMean):
        interval = largest_change(before, after, seed=seed, resamples=resamples)
        return Confidence(estimate, *_turned(interval, sign), interval.n, error)
    return Confidence(estimate, None, None, after.samples, error)


def _of_means(before: Array, after: Array, sign: int, seed: int, resamples: int) -> Confidence:
    """The change of a mean of values without bounds.

    With fewer than 20 samples that changed, the upper limit is at least Clopper-Pearson's for the share that got
    worse, by as much as any did: a bootstrap of the few would pass a drop at the margin one time in three at n = 100.
    """
    interval = difference(before, after, seed=seed, resamples=resamples)
    low, high = _turned(interval, sign)
    changes = sign * (after - before)
    student = Confidence(sign * interval.estimate, low, high, interval.n, _error(changes))
    # At least 1: two samples that changed by 1e-9 say nothing of how far others would have.
    scale = max(1.0, float(np.abs(changes).max()))
    if high is None or int((np.abs(changes) > TOLERANCE * scale).sum()) >= FEW:
        return student
    n, got_worse = len(changes), float((changes > TOLERANCE * scale).mean())
    student = replace(student, high=max(high, scale * exact(got_worse, n, TAIL)[1]))
    # The wider limit holds passes back, for :meth:`Confidence.p_below` reads it; the exact tail holds failures back.
    alone = _binomial(max(student.estimate / scale, 0.0), n)
    return replace(student, law=OfFew(student, lambda at: alone(at / scale)))


def _as_ratio(value: Mean) -> Ratio:
    """A mean over some samples as the ratio of two means over all: of the values that count, and of who counts."""
    where = np.ones_like(value.values, dtype=bool) if value.where is None else value.where
    return Ratio(np.where(where, value.values, 0.0), where.astype(np.float64))


def _same_samples(before: Mean, after: Mean) -> bool:
    if before.where is None or after.where is None:
        return before.where is after.where
    return bool((before.where == after.where).all())


def _binomial(share: float, n: int) -> Callable[[float], float]:
    """The exact p value of "the true share is at most a limit", where a share of n samples was observed.

    The probability that a binomial share is at least the observed one, as a function of the limit.
    """
    hits = min(max(share, 0.0), 1.0) * n

    def tail(limit: float) -> float:
        # The Beta integral is the binomial tail, and takes hits that are no whole number: changes by less than scale.
        return float(special.betainc(hits, n - hits + 1, min(max(limit, 0.0), 1.0))) if hits > 0 else 1.0

    return tail


def _turned(interval: Interval, sign: int) -> tuple[float | None, float | None]:
    """An interval's limits of ``sign`` times its value."""
    if interval.low is None or interval.high is None:
        return None, None
    return (interval.low, interval.high) if sign > 0 else (-interval.high, -interval.low)


def _error(influence: Array) -> float:
    """The standard error of an estimate, by the infinitesimal jackknife; NaN for a single sample, which has none."""
    n = len(influence)
    return float(influence.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
