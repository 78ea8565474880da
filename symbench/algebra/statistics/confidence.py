"""A number of which more is worse, with what is known about the true one: what comparisons and gates decide by."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from scipy import special

from symbench.algebra.statistics.bounded import BoundedMeans
from symbench.algebra.statistics.interval import LEVEL

TAIL = (1 - LEVEL) / 2
"""What is left beyond either limit."""
QUANTILE = float(special.ndtri(1 - TAIL))
"""1.96: what a standard error times this is, beyond the estimate, is a limit."""


class Law(Protocol):
    """How p values are computed for one number: limits are where they reach 2.5 %, so that the two never disagree."""

    def p_above(self, limit: float) -> float:
        """One-sided p value of "the true value is at most ``limit``"."""

    def p_below(self, limit: float) -> float:
        """One-sided p value of "the true value is at least ``limit``"."""


@dataclass(frozen=True)
class Confidence:
    """An estimate of which more is worse, with its limits and p values: all that a decision needs of it.

    Attributes:
        estimate: the value.
        low: lower limit at the level 95 %, 97.5 % on its side; None where there is none.
        high: upper limit.
        n: base samples.
        error: standard error.
        law: the p values that go with the limits; Student's where none is given.
        holds: whether the limits allow for values that no sample has shown; those of a bootstrap cannot.
    """

    estimate: float
    low: float | None
    high: float | None
    n: int
    error: float
    law: Law | None = None
    holds: bool = False

    def p_above(self, limit: float) -> float:
        """One-sided p value of "the true value is at most ``limit``".

        Without a law of its own Student's, with the error that the lower limit speaks of if that is more than the
        sample's. 1, which decides nothing, where a number is not known.
        """
        if not (math.isfinite(self.estimate) and math.isfinite(limit)):
            return 1.0
        if self.law is not None:
            return self.law.p_above(limit)
        return self._student(self.estimate - limit, None if self.low is None else self.estimate - self.low)

    def p_below(self, limit: float) -> float:
        """One-sided p value of "the true value is at least ``limit``"; see :meth:`p_above`."""
        return self.turned().p_above(-limit)

    def _student(self, beyond: float, reach: float | None) -> float:
        """One-sided p value by Student's distribution.

        Args:
            beyond: how far the estimate lies on the wrong side of the limit that is tested.
            reach: how far the confidence limit on that side lies from the estimate; None where there is none.
        """
        if not math.isfinite(self.error):
            return 1.0
        # Where few samples changed the limits are wider than the sample's error says (Clopper-Pearson's, not
        # Student's). With the error alone, a p value of 1 % would contradict an interval that holds the limit.
        error = self.error if reach is None else max(self.error, reach / QUANTILE)
        if error > 0:
            return float(special.stdtr(self.n - 1, -beyond / error))
        return 0.0 if beyond > 0 else 1.0  # no variation at all: Student's t would be 0 / 0

    def turned(self) -> Confidence:
        """The same of minus the number, for one of which less is worse."""
        low, high = (None if end is None else -end for end in (self.high, self.low))  # minus the upper is the lower
        law = None if self.law is None else Turned(self.law)
        return replace(self, estimate=-self.estimate, low=low, high=high, law=law)

    def within(self, least: float, most: float) -> Confidence:
        """The same of a number that cannot leave a range, which the limits may: p values stay what they are."""
        if self.low is None or self.high is None:
            return self
        low, high = min(max(self.low, least), self.estimate), max(min(self.high, most), self.estimate)
        return replace(self, low=low, high=high, law=self.law or Unbounded(self))

    def moved(self, by: float) -> Confidence:
        """The same with a known number added to it, as to the limits."""
        low, high = (None if end is None else end + by for end in (self.low, self.high))
        law = None if self.law is None else Moved(self.law, by)
        return replace(self, estimate=self.estimate + by, low=low, high=high, law=law)

    @property
    def spread(self) -> float:
        """A standard error as large as the limits imply: their larger distance from the estimate over 1.96.

        At least the sample's own, and more where few samples changed, whose limits are exact and wider.
        """
        if self.low is None or self.high is None:
            return self.error
        return max(self.error, max(self.high - self.estimate, self.estimate - self.low) / QUANTILE)


@dataclass(frozen=True)
class OfMean:
    """The law of one bounded mean: Gaffke's test."""

    mean: BoundedMeans

    def p_above(self, limit: float) -> float:
        """See :class:`Law`."""
        return float(self.mean.p_above(limit)[0])

    def p_below(self, limit: float) -> float:
        """See :class:`Law`."""
        return float(self.mean.p_below(limit)[0])


@dataclass(frozen=True)
class Unbounded:
    """Student's law of a number as its limits were before a range cut them.

    Attributes:
        student: the number, without a law.
    """

    student: Confidence

    def p_above(self, limit: float) -> float:
        """See :class:`Law`."""
        return self.student.p_above(limit)

    def p_below(self, limit: float) -> float:
        """See :class:`Law`."""
        return self.student.p_below(limit)


@dataclass(frozen=True)
class Turned:
    """The p values of minus the number."""

    law: Law

    def p_above(self, limit: float) -> float:
        """See :class:`Law`."""
        return self.law.p_below(-limit)

    def p_below(self, limit: float) -> float:
        """See :class:`Law`."""
        return self.law.p_above(-limit)


@dataclass(frozen=True)
class Moved:
    """The p values of the number after a known one was added to it."""

    law: Law
    by: float

    def p_above(self, limit: float) -> float:
        """See :class:`Law`."""
        return self.law.p_above(limit - self.by)

    def p_below(self, limit: float) -> float:
        """See :class:`Law`."""
        return self.law.p_below(limit - self.by)


@dataclass(frozen=True)
class OfFew:
    """Student's law, held back where few samples changed: no p value is below that of an exact binomial test.

    Attributes:
        student: the number, without a law.
        tail: the exact p value of "the true value is at most a limit".
    """

    student: Confidence
    tail: Callable[[float], float]

    def p_above(self, limit: float) -> float:
        """See :class:`Law`."""
        return max(self.student.p_above(limit), self.tail(limit))

    def p_below(self, limit: float) -> float:
        """See :class:`Law`."""
        return self.student.p_below(limit)


def of_mean(mean: BoundedMeans, estimate: float, n: int, error: float) -> Confidence:
    """One bounded mean with its limits and p values."""
    # The estimate may lie outside by rounding: the limits of values that all are alike are found to 1e-6 of a spread.
    low, high = (float(end[0]) for end in mean.limits(TAIL))
    return Confidence(estimate, min(low, estimate), max(high, estimate), n, error, OfMean(mean), holds=True)
