"""A number of which more is worse, with what is known about the true one: what comparisons and gates decide by."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from scipy import special

from symbench.statistics.bounded import BoundedMeans
from symbench.statistics.interval import LEVEL

TAIL = (1 - LEVEL) / 2
"""What is left beyond either limit."""
QUANTILE = float(special.ndtri(1 - TAIL))


class Law(Protocol):
    """P values of a number, from which its limits come."""

    def p_above(self, limit: float) -> float:
        """One-sided p value of "the true value is at most ``limit``"."""

    def p_below(self, limit: float) -> float:
        """One-sided p value of "the true value is at least ``limit``"."""


@dataclass(frozen=True)
class Doubt:
    """A value of which more is worse, with what is known about the true one.

    Attributes:
        estimate: the value.
        low: lower limit at the level 95 %, 97.5 % on its side; None where there is none.
        high: upper limit.
        n: base samples.
        error: standard error.
        law: the p values that go with the limits; Student's where none is given.
        holds: whether the limits allow for whatever was not seen: a bootstrap's cannot.
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
        if not math.isfinite(self.error):
            return 1.0
        error = self.error if reach is None else max(self.error, reach / QUANTILE)
        if error > 0:
            return float(special.stdtr(self.n - 1, -beyond / error))
        return 0.0 if beyond > 0 else 1.0

    def turned(self) -> Doubt:
        """The same where less is worse."""
        low, high = (None if end is None else -end for end in (self.high, self.low))
        law = None if self.law is None else Turned(self.law)
        return replace(self, estimate=-self.estimate, low=low, high=high, law=law)

    def moved(self, by: float) -> Doubt:
        """The same with something known added to it."""
        low, high = (None if end is None else end + by for end in (self.low, self.high))
        law = None if self.law is None else Moved(self.law, by)
        return replace(self, estimate=self.estimate + by, low=low, high=high, law=law)

    @property
    def spread(self) -> float:
        """The standard error that the limits speak of: for few changes more than the sample's."""
        if self.low is None or self.high is None:
            return self.error
        return max(self.error, max(self.high - self.estimate, self.estimate - self.low) / QUANTILE)


@dataclass(frozen=True)
class OfMean:
    """The law of one bounded mean."""

    mean: BoundedMeans

    def p_above(self, limit: float) -> float:
        """See :class:`Law`."""
        return float(self.mean.p_above(limit)[0])

    def p_below(self, limit: float) -> float:
        """See :class:`Law`."""
        return float(self.mean.p_below(limit)[0])


@dataclass(frozen=True)
class Turned:
    """The law of minus the number."""

    law: Law

    def p_above(self, limit: float) -> float:
        """See :class:`Law`."""
        return self.law.p_below(-limit)

    def p_below(self, limit: float) -> float:
        """See :class:`Law`."""
        return self.law.p_above(-limit)


@dataclass(frozen=True)
class Moved:
    """The law of the number and something known."""

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
    """Student's law where few samples decide: no p value below the exact one.

    Attributes:
        student: the number, without a law.
        tail: the exact p value of "the true value is at most a limit".
    """

    student: Doubt
    tail: Callable[[float], float]

    def p_above(self, limit: float) -> float:
        """See :class:`Law`."""
        return max(self.student.p_above(limit), self.tail(limit))

    def p_below(self, limit: float) -> float:
        """See :class:`Law`."""
        return self.student.p_below(limit)


def of_mean(mean: BoundedMeans, estimate: float, n: int, error: float) -> Doubt:
    """What is known of one bounded mean."""
    low, high = (float(end[0]) for end in mean.limits(TAIL))
    return Doubt(estimate, min(low, estimate), max(high, estimate), n, error, OfMean(mean), holds=True)
