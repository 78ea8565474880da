"""The largest of several means without bounds of the same samples, and its change: the loss at the worst element."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from symbench.algebra.statistics.bootstrap import HUGE, RESAMPLES, quantiles, resampled_means
from symbench.algebra.statistics.interval import LEVEL, Array, Interval, require_finite
from symbench.algebra.statistics.sampled import Mean, Sampled
from symbench.algebra.statistics.single import mean


@dataclass(frozen=True)
class LargestMean(Sampled):
    """The largest of several means of values that nothing bounds, or 1 minus it.

    Attributes:
        values: ``(k, n)``; those that do not count are not looked at.
        valid: bool ``(k, n)``: the samples that count for each; each element has one.
        complement: 1 minus the largest: the least of several Dice scores, of which values are what is lost.
    """

    values: Array
    valid: Array
    complement: bool = False

    @classmethod
    def of(cls, values: Array, valid: Array) -> LargestMean:
        """Of values and whether they count, ``(k, n)``; elements without a sample are left out."""
        some = valid.any(axis=1)
        return cls(values[some], valid[some])

    @cached_property
    def numbers(self) -> Array:
        """What each sample adds to each mean, ``(k, n)``: their plain means are those of the values that count."""
        count = self.valid.sum(axis=1, keepdims=True)
        values = np.where(self.valid, self.values, 0.0)
        means = values.sum(axis=1, keepdims=True) / count
        found: Array = means + np.where(self.valid, values - means, 0.0) * (self.samples / count)
        return found

    @property
    def worst(self) -> int:
        """The element with the largest mean."""
        return int(self.numbers.mean(axis=1).argmax())

    @property
    def estimate(self) -> float:
        """The value."""
        largest = float(self.numbers.mean(axis=1).max())
        return 1 - largest if self.complement else largest

    @property
    def samples(self) -> int:
        """How many, the left-out ones counted."""
        return self.values.shape[1]

    @property
    def n(self) -> int:
        """How many samples count somewhere."""
        return int(self.valid.any(axis=0).sum())

    def interval(self, *, seed: int, level: float = LEVEL, resamples: int = RESAMPLES) -> Interval:
        """See :func:`largest_mean`."""
        found = largest_mean(self.numbers, seed=seed, level=level, resamples=resamples)
        if not self.complement:
            return found
        low, high = (None if end is None else 1 - end for end in (found.high, found.low))
        return Interval(self.estimate, low, high, found.n)

    def scaled(self, factor: float) -> tuple[Sampled, float]:
        """See :meth:`Sampled.scaled`; factors are not negative."""
        more = factor - 1 if self.complement else 0.0  # factor (1 - m) = (1 - factor m) + (factor - 1)
        return LargestMean(self.values * factor, self.valid, self.complement), more

    def influence(self) -> Array:
        """How much each sample moves the value, times n: that of the worst mean, by the envelope theorem."""
        influence = Mean(self.numbers[self.worst], bounded=False).influence()
        return -influence if self.complement else influence


def largest_mean(values: Array, *, seed: int, level: float = LEVEL, resamples: int = RESAMPLES) -> Interval:
    """The largest of several means over the same samples; studentised bootstrap, all elements by the same draws.

    The largest of noisy means is biased upwards. The upper limit is the largest of one-sided limits, for it is above
    that of the truly worst element. The lower limit is the largest of simultaneous ones, by the quantile of the
    largest t value. Both are at least as far as those of the element that looks worst by itself.

    Args:
        values: ``(k, n)``.
        seed: seeds the resampling.
        level: confidence.
        resamples: replicates.

    Returns:
        No limits for a single sample, or where all samples of the worst element are alike.

    Raises:
        ValueError: a value is not finite, or there is none.
    """
    require_finite("largest_mean", values.ravel())
    n, means = values.shape[1], values.mean(axis=1)
    worst = int(means.argmax())
    alone = mean(values[worst], seed=seed, level=level, resamples=resamples)
    if alone.low is None or alone.high is None:
        return alone
    moved = values - means[:, None]
    errors = np.sqrt(np.square(moved).mean(axis=1) / n)  # (k,)
    drawn = resampled_means(np.concatenate([moved, np.square(moved)]).T, seed=seed, resamples=resamples)
    shift, squares = drawn[:, : len(values)], drawn[:, len(values) :]
    spread = np.sqrt((squares - np.square(shift)).clip(0) / n)
    t = np.divide(shift, spread, out=np.sign(shift) * HUGE, where=spread > 0)  # (resamples, k)
    tail = (1 - level) / 2
    low = float((means - quantiles(t.max(axis=1), 1 - tail)[0] * errors).max())
    high = float(max(m - quantiles(each, tail)[0] * error for m, each, error in zip(means, t.T, errors, strict=True)))
    least = 0.0 if values.min() >= 0 else -np.inf
    return Interval(alone.estimate, max(least, min(low, alone.low)), max(high, alone.high), n)


def largest_change(before: LargestMean, after: LargestMean, *, seed: int, resamples: int = RESAMPLES) -> Interval:
    """``after - before`` on the same samples, from the limits of the two and how they go together (Zou 2008):

        high = estimate + sqrt(a^2 + b^2 - 2 r a b),  a = after_high - after,  b = before - before_low

    and low the other way round, r the correlation of what samples add to the two.

    Raises:
        ValueError: the two have other samples.
    """
    if before.samples != after.samples:
        raise ValueError(f"largest_change: got {before.samples} and {after.samples} samples, expected the same ones")
    one, two = (each.interval(seed=seed, resamples=resamples) for each in (before, after))
    estimate = two.estimate - one.estimate
    if one.low is None or one.high is None or two.low is None or two.high is None:
        return Interval(estimate, None, None, after.n)
    together = _correlation(before.influence(), after.influence())
    up = _combined(two.high - two.estimate, one.estimate - one.low, together)
    down = _combined(two.estimate - two.low, one.high - one.estimate, together)
    return Interval(estimate, estimate - down, estimate + up, after.n)


def _combined(a: float, b: float, together: float) -> float:
    return float(np.sqrt(max(0.0, a * a + b * b - 2 * together * a * b)))


def _correlation(a: Array, b: Array) -> float:
    """Of two influences; 0 where one does not vary. Numbers that go against one another count as they do."""
    size = float(np.sqrt(np.square(a).sum() * np.square(b).sum()))
    return float(a @ b) / size if size > 0 else 0.0
