"""What a metric is a function of: values of base samples, kept so that an interval or a comparison can be made later.

A metric says which of these it is. Reports ask for its interval, comparisons and gates pair two of a kind.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from symbench.statistics.bootstrap import RESAMPLES
from symbench.statistics.interval import LEVEL, Array, Interval
from symbench.statistics.single import bounded_mean, mean, quantile, quotient_slope, ratio, smallest_mean


@dataclass(frozen=True)
class Sampled(ABC):
    """An estimate that is a function of base samples."""

    @property
    @abstractmethod
    def estimate(self) -> float:
        """The value."""

    @abstractmethod
    def interval(self, *, seed: int, level: float = LEVEL, resamples: int = RESAMPLES) -> Interval:
        """The value with its limits."""

    @abstractmethod
    def influence(self) -> Array:
        """How much each sample moves the estimate, times n: ``(n,)``, of mean 0. Its deviation over root n is the
        standard error."""

    @abstractmethod
    def scaled(self, factor: float) -> tuple[Sampled, float]:
        """One of its kind, and a number, that together come to ``factor`` times the estimate."""

    @property
    @abstractmethod
    def samples(self) -> int:
        """How many samples it is a function of, the left-out ones counted."""

    @property
    def n(self) -> int:
        """How many samples count."""
        return self.samples


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
        found: Array = self.values if self.where is None else self.values[self.where]
        return found

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
        """Scaled values."""
        return Mean(self.values * factor, self.where, self.bounded and factor <= 1), 0.0

    def influence(self) -> Array:
        """How much each sample moves the value, times n."""
        if self.where is None:
            return np.asarray(self.values - self.estimate)
        return np.where(self.where, self.values - self.estimate, 0.0) / self.where.mean()


@dataclass(frozen=True)
class Ratio(Sampled):
    """The ratio of two means over the same samples, its root, or what it lacks to 1.

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
        found = float(self.above.mean() / self.below.mean())
        return float(np.sqrt(found)) if self.root else 1 - found if self.complement else found

    @property
    def samples(self) -> int:
        """How many, the left-out ones counted."""
        return len(self.above)

    def interval(self, *, seed: int, level: float = LEVEL, resamples: int = RESAMPLES) -> Interval:
        """The value with its limits."""
        found = ratio(self.above, self.below, seed=seed, level=level, resamples=resamples)
        if found.low is None or found.high is None:
            return Interval(self.estimate, None, None, found.n)
        if self.root:
            return Interval(self.estimate, max(0.0, found.low) ** 0.5, max(0.0, found.high) ** 0.5, found.n)
        if self.complement:
            return Interval(self.estimate, 1 - found.high, 1 - found.low, found.n)
        return found

    def scaled(self, factor: float) -> tuple[Sampled, float]:
        """Scaled values."""
        above = self.above * (factor**2 if self.root else factor)
        return Ratio(above, self.below, self.root, self.complement), factor - 1 if self.complement else 0.0

    def influence(self) -> Array:
        """How much each sample moves the value, times n."""
        columns = np.stack([self.above, self.below], axis=1)
        centre = columns.mean(axis=0)
        found: Array = (columns - centre) @ quotient_slope(centre)
        if self.root:
            return found / (2 * self.estimate) if self.estimate > 0 else np.zeros_like(found)
        return -found if self.complement else found


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
        total = np.where(self.valid, self.values, 0.0).sum(axis=1)
        found: Array = np.where(count > 0, total / np.maximum(count, 1), np.inf)
        return found

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
        """Scaled values."""
        return Smallest(self.values * factor, self.valid), 0.0

    def influence(self) -> Array:
        """How much each sample moves the value, times n."""
        worst = int(self.means().argmin())
        return Mean(self.values[worst], self.valid[worst]).influence()


@dataclass(frozen=True)
class Quantile(Sampled):
    """A quantile of all values, several for each sample.

    Attributes:
        values: ``(k, n)``.
        q: in (0, 1).
    """

    values: Array
    q: float

    @property
    def estimate(self) -> float:
        """The value."""
        return float(np.quantile(self.values, self.q))

    @property
    def samples(self) -> int:
        """How many, the left-out ones counted."""
        return self.values.shape[1]

    def interval(self, *, seed: int, level: float = LEVEL, resamples: int = RESAMPLES) -> Interval:
        """The value with its limits."""
        del seed, resamples
        return quantile(self.values, self.q, level=level)

    def scaled(self, factor: float) -> tuple[Sampled, float]:
        """Scaled values."""
        return Quantile(self.values * factor, self.q), 0.0

    def influence(self) -> Array:
        """How much each sample moves the value, times n.

        ``(q - share below) / density``, with the density from a difference quotient of the quantile function.
        """
        below = (self.values <= self.estimate).mean(axis=0)
        step = min(self.q, 1 - self.q, 1.0 / np.sqrt(self.samples)) / 2
        high, low = np.quantile(self.values, [self.q + step, self.q - step])
        found: Array = (self.q - below) * (high - low) / (2 * step)
        return found - found.mean()
