"""A quantile of many values, several for each sample: of all of them, or of the largest where no more are kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symbench.algebra.statistics.bootstrap import RESAMPLES
from symbench.algebra.statistics.interval import LEVEL, Array, Interval
from symbench.algebra.statistics.sampled import Sampled
from symbench.algebra.statistics.single import quantile, upper_quantile, upper_quantile_of


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
        """See :meth:`Sampled.scaled`."""
        return Quantile(self.values * factor, self.q), 0.0

    def influence(self) -> Array:
        """How much each sample moves the value, times n.

        ``(q - share below) / density``, with the density from a difference quotient of the quantile function.
        """
        below = (self.values <= self.estimate).mean(axis=0)
        high, low = np.quantile(self.values, quantile_step(self.q, self.samples))
        return _quantile_influence(self.q, below, high - low)


@dataclass(frozen=True)
class UpperQuantile(Sampled):
    """A quantile of many values, several for each sample, of which only the largest are kept.

    Attributes:
        largest: in order; enough for the quantile's limits.
        count: how many values there are.
        below: ``(n,)``, of each sample's values the share that is no more than the estimate.
        q: in (0, 1).
    """

    largest: Array
    count: int
    below: Array
    q: float

    @property
    def estimate(self) -> float:
        """The value."""
        return upper_quantile_of(self.largest, self.count, self.q)

    @property
    def samples(self) -> int:
        """How many, the left-out ones counted."""
        return len(self.below)

    def interval(self, *, seed: int, level: float = LEVEL, resamples: int = RESAMPLES) -> Interval:
        """The value with its limits."""
        del seed, resamples
        return upper_quantile(self.largest, self.count, self.below, self.q, level=level)

    def scaled(self, factor: float) -> tuple[Sampled, float]:
        """See :meth:`Sampled.scaled`."""
        return UpperQuantile(self.largest * factor, self.count, self.below, self.q), 0.0

    def influence(self) -> Array:
        """How much each sample moves the value, times n; see :meth:`Quantile.influence`."""
        ends = (upper_quantile_of(self.largest, self.count, q) for q in quantile_step(self.q, self.samples))
        high, low = ends
        return _quantile_influence(self.q, self.below, high - low)


def quantile_step(q: float, n: int) -> tuple[float, float]:
    """Two levels around q, between which the slope of the quantile function is taken, the higher first."""
    # Half way to the nearer end at most, so that both quantiles exist; 1 / root n balances bias and variance well
    # enough for a standard error.
    step = min(q, 1 - q, 1.0 / np.sqrt(n)) / 2
    return q + step, q - step


def _quantile_influence(q: float, below: Array, rise: float) -> Array:
    high, low = quantile_step(q, len(below))
    influence: Array = (q - below) * rise / (high - low)
    return influence - influence.mean()
