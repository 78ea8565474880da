"""What is known of the mean of bounded values: p values and limits that allow, at every n, for what was not seen.

Gaffke's test (2005, "Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative
variable", Math. Methods Statist. 14; found again by Learned-Miller and Thomas 2019, arXiv:1905.06208) gives weights
from a uniform Dirichlet distribution to the n values and to one more at the end of their range. The upper limit is
the quantile of the weighted mean,

    P(w_1 x_1 + ... + w_n x_n + w_{n+1} highest >= upper) = 0.025,    w ~ Dirichlet(1, ..., 1)

and the p value of "the mean is x or more" the probability that it is x or more: the two cannot disagree. For values
that are at either end it is Clopper-Pearson's, without any change among n samples 3.7 / n of the range, and for many
changes Student's, where betting (Waudby-Smith and Ramdas 2023) stays a third wider: at fixed n an e-value pays for
being valid at every other. Nobody has found a distribution of a mean that it misses more often than it says, and
tests/test_bounded.py looks for one; a proof is known for values of two kinds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from symbench.algebra.statistics.dirichlet import exceeding, upper_quantile
from symbench.algebra.statistics.interval import TOLERANCE, Array


@dataclass(frozen=True)
class BoundedMeans:
    """Means of bounded values, one in each row: samples of equal values are one column.

    Attributes:
        values: ``(p, g)``.
        counts: ``(p, g)``, how many samples have each; 0 fills short rows up.
        lowest: ``(p,)``, the least value that there can be.
        highest: ``(p,)``.
    """

    values: Array
    counts: Array
    lowest: Array
    highest: Array

    @classmethod
    def of(cls, samples: Array, lowest: float, highest: float) -> BoundedMeans:
        """One mean, of one value for each sample ``(n,)``, in a known range.

        Raises:
            ValueError: a value is outside of its range, or not finite.
        """
        width = highest - lowest
        # Written as what has to hold, so that NaN, of which no comparison is true, is refused too.
        if not (samples.min() >= lowest - TOLERANCE * width and samples.max() <= highest + TOLERANCE * width):
            got = f"got values from {samples.min():g} to {samples.max():g}"
            raise ValueError(f"bounded mean: {got}, expected {lowest:g} to {highest:g}")
        # Equal values become one column, of which the cost is: in steps of the tolerance, since shares such as
        # 1/3 + 1/3 + 1/3 and 1 differ in the last digit. Clipped, for a step may round to beyond the end.
        steps, counts = np.unique(np.round(samples / width / TOLERANCE), return_counts=True)
        values = (steps * TOLERANCE * width).clip(lowest, highest)
        return cls(values[None], counts[None], np.array([lowest]), np.array([highest]))

    @classmethod
    def stacked(cls, rows: Sequence[BoundedMeans]) -> BoundedMeans:
        """Several of them as one, to be computed with at once; short rows are filled up with counts of 0."""
        sizes = [row.values.shape for row in rows]
        values, counts = np.zeros((2, sum(p for p, _ in sizes), max(g for _, g in sizes)))
        end = 0
        for row, (p, g) in zip(rows, sizes, strict=True):
            here, end = slice(end, end + p), end + p
            values[here, :g], counts[here, :g] = row.values, row.counts
        ends = (np.concatenate([getattr(row, name) for row in rows]) for name in ("lowest", "highest"))
        return cls(values, counts, *ends)

    def p_above(self, limit: float) -> Array:
        """The p value of "the mean is at most the limit", ``(p,)``."""
        return exceeding(-self._values(self.lowest), self._counts(), np.full(len(self.values), -limit))

    def p_below(self, limit: float) -> Array:
        """The p value of "the mean is at least the limit", ``(p,)``."""
        return exceeding(self._values(self.highest), self._counts(), np.full(len(self.values), limit))

    def low(self, tail: float) -> Array:
        """Lower confidence limits, ``(p,)``: each mean is below its own with at most the probability ``tail``."""
        return -upper_quantile(-self._values(self.lowest), self._counts(), tail)

    def high(self, tail: float) -> Array:
        """Upper confidence limits, ``(p,)``: each mean is above its own with at most the probability ``tail``."""
        return upper_quantile(self._values(self.highest), self._counts(), tail)

    def limits(self, tail: float) -> tuple[Array, Array]:
        """:meth:`low` and :meth:`high`, at once."""
        values = np.concatenate([-self._values(self.lowest), self._values(self.highest)])
        ends = upper_quantile(values, np.tile(self._counts(), (2, 1)), tail)
        return -ends[: len(self.values)], ends[len(self.values) :]

    def _values(self, end: Array) -> Array:
        # The one more value of Gaffke's test, at the end of the range: it stands for what no sample has shown.
        return np.column_stack([self.values, end])

    def _counts(self) -> Array:
        return np.column_stack([self.counts, np.ones(len(self.counts))])


def contributions(values: Array, where: Array | None) -> tuple[Array, float, float]:
    """A mean over some of the samples, written as a mean over all: one number for each, and the range of those.

    Where all samples count, the values themselves. Else ``mean + counts (value - mean) / share that counts``: exact
    to first order in the share, which is estimated.

    Args:
        values: ``(n,)`` in [0, 1].
        where: bool ``(n,)``, the samples that count; None if all do.

    Returns:
        The numbers ``(n,)``, whose mean is that of the values that count, and the least and largest there can be.
    """
    if where is None or where.all():
        return values, 0.0, 1.0
    share, mean = float(where.mean()), float(values[where].mean())
    numbers = mean + np.where(where, values - mean, 0.0) / share
    # The range is wider than [0, 1]: a sample of a rare kind moves the mean by 1 / share of its distance from it.
    return numbers, mean - mean / share, mean + (1 - mean) / share


def change_range(
    before: tuple[float, float], after: tuple[float, float], sign: int, factor: float
) -> tuple[float, float]:
    """The range of ``sign (after - factor before)``, from the ranges of the two."""
    ends = [sign * (b - factor * a) for a in before for b in after]  # of a linear function: at two of the corners
    return min(ends), max(ends)
