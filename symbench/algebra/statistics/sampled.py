"""What a metric is a function of: values of base samples, kept so that an interval or a comparison can be made later.

A metric says which of these it is. Reports ask for its interval, comparisons and gates pair two of a kind.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from symbench.algebra.statistics.bootstrap import RESAMPLES
from symbench.algebra.statistics.interval import LEVEL, Array, Interval
from symbench.algebra.statistics.single import (
    bounded_mean,
    mean,
    quotient_slope,
    ratio,
    smallest_mean,
)


@dataclass(frozen=True)
class Sampled(ABC):
    """An estimate as a function of one value (or a few) per base sample, from which intervals and pairing follow."""

    @property
    @abstractmethod
    def estimate(self) -> float:
        """The value."""

    @abstractmethod
    def interval(self, *, seed: int, level: float = LEVEL, resamples: int = RESAMPLES) -> Interval:
        """The value with its limits."""

    @abstractmethod
    def influence(self) -> Array:
        """The influence function: how much each sample moves the estimate, times n, ``(n,)``, of mean 0.

        Its standard deviation over root n is the standard error.
        """

    @abstractmethod
    def scaled(self, factor: float) -> tuple[Sampled, float]:
        """``factor`` times the estimate, written as another estimate of the same class plus a known number.

        Returns:
            The estimate, and the number to add to it: 0 but for ``1 - ratio``, which is no ratio when it is scaled.
        """

    @property
    @abstractmethod
    def samples(self) -> int:
        """How many samples it is a function of, the left-out ones counted."""

    @property
    def n(self) -> int:
        """How many samples count."""
        return self.samples

    def read(self) -> Sampled:
        """The same with its values in memory."""
        return self


@dataclass(frozen=True)
class Deferred(Sampled):
    """A known estimate whose values are read when something else is asked of it, and not kept.

    Attributes:
        value: the estimate.
        count: how many samples count.
        total: how many there are.
        values: reads what it is a function of.
    """

    value: float
    count: int
    total: int
    values: Callable[[], Sampled]

    @property
    def estimate(self) -> float:
        """The value."""
        return self.value

    @property
    def samples(self) -> int:
        """How many, the left-out ones counted."""
        return self.total

    @property
    def n(self) -> int:
        """How many samples count."""
        return self.count

    def read(self) -> Sampled:
        """The same with its values in memory."""
        return self.values()

    def interval(self, *, seed: int, level: float = LEVEL, resamples: int = RESAMPLES) -> Interval:
        """The value with its limits."""
        return self.values().interval(seed=seed, level=level, resamples=resamples)

    def influence(self) -> Array:
        """How much each sample moves the value, times n."""
        return self.values().influence()

    def scaled(self, factor: float) -> tuple[Sampled, float]:
        """See :meth:`Sampled.scaled`."""
        return self.values().scaled(factor)


@dataclass(frozen=True)
class Mean(Sampled):
    """The mean of one value for each sample.

    Attributes:
        values: ``(n,)``; in [0, 1] where ``bounded``.
        where: bool ``(n,)``, the samples that count, if not all.
        bounded: whether values are shares.
    """

    values: Array
    where: Array | None = None
    bounded: bool = True

    @property
    def taken(self) -> Array:
        """The values that count."""
        values: Array = self.values if self.where is None else self.values[self.where]
        return values

    @property
    def estimate(self) -> float:
        """The value."""
        return float(self.taken.mean())

    @property
    def samples(self) -> int:
        """How many, the left-out ones counted."""
        return len(self.values)

    @property
    def n(self) -> int:
        """How many samples count."""
        return len(self.taken)

    def interval(self, *, seed: int, level: float = LEVEL, resamples: int = RESAMPLES) -> Interval:
        """The value with its limits."""
        if self.bounded:
            return bounded_mean(self.taken, level=level)
        return mean(self.taken, seed=seed, level=level, resamples=resamples)

    def scaled(self, factor: float) -> tuple[Sampled, float]:
        """See :meth:`Sampled.scaled`."""
        # Shares times 1.05 are no shares: they would be refused as values beyond 1.
        return Mean(self.values * factor, self.where, self.bounded and factor <= 1), 0.0

    def influence(self) -> Array:
        """How much each sample moves the value, times n."""
        if self.where is None:
            return np.asarray(self.values - self.estimate)
        # Samples that do not count have influence 0 and stay: the influences of two runs are subtracted one by one.
        return np.where(self.where, self.values - self.estimate, 0.0) / self.where.mean()


@dataclass(frozen=True)
class Ratio(Sampled):
    """The ratio of two means over the same samples, its square root, or 1 minus it.

    Attributes:
        above: ``(n,)``.
        below: ``(n,)``, of positive mean.
        root: the square root of the ratio, as E is.
        complement: 1 minus the ratio, as kappa is.
    """

    above: Array
    below: Array
    root: bool = False
    complement: bool = False

    @property
    def estimate(self) -> float:
        """The value."""
        quotient = float(self.above.mean() / self.below.mean())
        return float(np.sqrt(quotient)) if self.root else 1 - quotient if self.complement else quotient

    @property
    def samples(self) -> int:
        """How many, the left-out ones counted."""
        return len(self.above)

    def interval(self, *, seed: int, level: float = LEVEL, resamples: int = RESAMPLES) -> Interval:
        """The value with its limits."""
        plain = ratio(self.above, self.below, seed=seed, level=level, resamples=resamples)
        if plain.low is None or plain.high is None:
            return Interval(self.estimate, None, None, plain.n)
        # Limits are carried over by the monotone function and not computed anew: the interval of E holds a value
        # exactly where that of E^2 holds its square.
        if self.root:
            return Interval(self.estimate, max(0.0, plain.low) ** 0.5, max(0.0, plain.high) ** 0.5, plain.n)
        if self.complement:
            return Interval(self.estimate, 1 - plain.high, 1 - plain.low, plain.n)
        return plain

    def scaled(self, factor: float) -> tuple[Sampled, float]:
        """See :meth:`Sampled.scaled`; ``factor (1 - r) = (1 - factor r) + (factor - 1)``."""
        above = self.above * (factor**2 if self.root else factor)
        return Ratio(above, self.below, self.root, self.complement), factor - 1 if self.complement else 0.0

    def influence(self) -> Array:
        """How much each sample moves the value, times n."""
        columns = np.stack([self.above, self.below], axis=1)
        centre = columns.mean(axis=0)
        influence: Array = (columns - centre) @ quotient_slope(centre)
        if (
            self.root
        ):  # a root has no derivative at 0: an error of exactly 0 does not vary, and is not infinitely unsure
            return influence / (2 * self.estimate) if self.estimate > 0 else np.zeros_like(influence)
        return -influence if self.complement else influence


@dataclass(frozen=True)
class Smallest(Sampled):
    """The smallest of several means of shares: the accuracy at the worst element.

    Attributes:
        values: ``(k, n)`` in [0, 1].
        valid: bool ``(k, n)``: the samples that count for each.
    """

    values: Array
    valid: Array

    def means(self) -> Array:
        """``(k,)``, infinite where no sample counts."""
        count = self.valid.sum(axis=1)
        rows = zip(self.values, self.valid, strict=True)  # one at a time: values may be kept in one byte each
        total = np.array([np.where(counts, row, 0.0).sum() for row, counts in rows])
        means: Array = np.where(count > 0, total / np.maximum(count, 1), np.inf)
        return means

    @property
    def estimate(self) -> float:
        """The value."""
        return float(self.means().min())

    @property
    def samples(self) -> int:
        """How many, the left-out ones counted."""
        return self.values.shape[1]

    def interval(self, *, seed: int, level: float = LEVEL, resamples: int = RESAMPLES) -> Interval:
        """The value with its limits."""
        del seed, resamples
        return smallest_mean(self.values, self.valid, level=level)

    def scaled(self, factor: float) -> tuple[Sampled, float]:
        """See :meth:`Sampled.scaled`."""
        return Smallest(self.values * factor, self.valid), 0.0

    def influence(self) -> Array:
        """How much each sample moves the value, times n."""
        # By the envelope theorem: which element is the worst does not change with a small weight of a sample, so
        # that the minimum has the derivative of the one that it is reached at.
        worst = int(self.means().argmin())
        return Mean(self.values[worst].astype(float), self.valid[worst]).influence()
