"""What was measured several times over, such as a time: one value for each pass, and Student's limits between passes.

What varies within a pass says nothing of the next one: another day, another load, another place in memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from symbench.algebra.statistics.bootstrap import RESAMPLES
from symbench.algebra.statistics.confidence import Confidence
from symbench.algebra.statistics.interval import LEVEL, Array, Interval, require_finite
from symbench.algebra.statistics.sampled import Sampled

ENOUGH_PASSES = 3
"""With fewer passes than this nothing is known of how much they vary."""


@dataclass(frozen=True)
class Passes(Sampled):
    """The mean over passes of what each of them found, which is above 0.

    Attributes:
        values: ``(passes,)``.
        within: the limits of each pass's own value, ``(passes, 2)``: what is shown while there are too few passes.
    """

    values: Array
    within: Array

    @property
    def estimate(self) -> float:
        """The value."""
        return float(self.values.mean())

    @property
    def samples(self) -> int:
        """How many passes."""
        return len(self.values)

    def interval(self, *, seed: int, level: float = LEVEL, resamples: int = RESAMPLES) -> Interval:
        """The value with Student's limits between passes; with too few of them as far as the limits within reach."""
        del seed, resamples
        require_finite("passes", self.values)
        if self.samples >= ENOUGH_PASSES:
            half = float(special.stdtrit(self.samples - 1, 0.5 + level / 2)) * self.error
            low = max(self.estimate - half, 0.0)  # no time and no speed is below 0; Student's limits do not know that
            return Interval(self.estimate, low, self.estimate + half, self.samples)
        if not np.isfinite(self.within).all():
            return Interval(self.estimate, None, None, self.samples)
        return Interval(self.estimate, float(self.within.min()), float(self.within.max()), self.samples)

    @property
    def error(self) -> float:
        """The standard error; NaN for a single pass."""
        return float(self.values.std(ddof=1) / math.sqrt(self.samples)) if self.samples > 1 else math.nan

    def influence(self) -> Array:
        """How much each pass moves the value, times their number."""
        return np.asarray(self.values - self.estimate)

    def scaled(self, factor: float) -> tuple[Sampled, float]:
        """See :meth:`Sampled.scaled`."""
        return Passes(self.values * factor, self.within * factor), 0.0


@dataclass(frozen=True)
class Student:
    """Student's law of a number: the p values that go with its limits.

    Attributes:
        estimate: the number.
        error: its standard error.
        freedom: degrees of freedom.
    """

    estimate: float
    error: float
    freedom: float

    def p_above(self, limit: float) -> float:
        """One-sided p value of "the true value is at most ``limit``"."""
        beyond = self.estimate - limit
        if self.error == 0:
            return 0.0 if beyond > 0 else 1.0
        return float(special.stdtr(self.freedom, -beyond / self.error))

    def p_below(self, limit: float) -> float:
        """One-sided p value of "the true value is at least ``limit``"."""
        return Student(-self.estimate, self.error, self.freedom).p_above(-limit)

    def confidence(self, n: int) -> Confidence:
        """The number with its limits at the level 95 %."""
        half = float(special.stdtrit(self.freedom, 0.5 + LEVEL / 2)) * self.error
        return Confidence(self.estimate, self.estimate - half, self.estimate + half, n, self.error, self)


def of_passes(value: Passes, sign: int) -> Confidence:
    """A value, turned so that more is worse; no limits where there are too few passes."""
    estimate = sign * value.estimate
    if value.samples < ENOUGH_PASSES:
        return Confidence(estimate, None, None, value.samples, math.nan)
    return Student(estimate, value.error, value.samples - 1).confidence(value.samples)


def change_of_passes(before: Passes, after: Passes, sign: int, factor: float = 1.0) -> Confidence:
    """How much worse a value has become, ``sign (after - factor before)``: passes do not pair, so Welch's test.

    The degrees of freedom are Welch and Satterthwaite's.

    Args:
        before: the baseline's passes.
        after: the candidate's.
        sign: 1 or -1.
        factor: what the baseline's value is taken times.
    """
    n = min(before.samples, after.samples)
    estimate = sign * (after.estimate - factor * before.estimate)
    if n < ENOUGH_PASSES:
        return Confidence(estimate, None, None, n, math.nan)
    a, b = (factor * before.error) ** 2, after.error**2
    parts = a**2 / (before.samples - 1) + b**2 / (after.samples - 1)
    freedom = (a + b) ** 2 / parts if parts > 0 else before.samples + after.samples - 2.0
    return Student(estimate, math.sqrt(a + b), freedom).confidence(n)
