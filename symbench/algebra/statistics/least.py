"""The smallest of several means of shares over the same samples, and the change of it: the worst element.

Which element is the worst is not known either. Those that may be it, the *contenders*, count: an element is none
where its mean is surely above that of the one that looks worst, with an error probability of ``SPENT`` over all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from scipy import special

from symbench.algebra.statistics.bounded import BoundedMeans, change_range, contributions
from symbench.algebra.statistics.confidence import TAIL, Confidence
from symbench.algebra.statistics.interval import Array
from symbench.base.slices import slices

SPENT = 1e-4
"""The probability that the worst element is not among the contenders; p values are that much larger."""
DRAWS, SEED = 10_000, 0
"""Draws of correlated normal scores, always the same ones: a verdict must not depend on a seed of the gate's."""
AT_ONCE = 100_000
"""Numbers of all elements that are held at once: 0.8 MB."""
KEPT = 400_000
"""Scores that are drawn once for all: 3.2 MB of each number of elements, up to 40."""
RARE = 0.005
"""Below this probability, of which 50 draws speak, Bonferroni's correction is taken."""


@dataclass(frozen=True)
class Elements:
    """Group elements, each with one number for every sample whose mean is the element's mean.

    The numbers are made from the values a few rows or samples at a time: values may be kept in one byte each.

    Attributes:
        values: ``(k, n)`` in [0, 1], of any dtype; those that do not count are not looked at.
        valid: bool ``(k, n)``: which samples count; each element has one.
    """

    values: Array
    valid: Array

    @classmethod
    def of(cls, values: Array, valid: Array) -> Elements:
        """From values in [0, 1] and whether they count, ``(k, n)``; elements without a sample are left out."""
        some = valid.any(axis=1)
        return cls(values, valid) if some.all() else cls(values[some], valid[some])

    def __len__(self) -> int:
        return len(self.values)

    @property
    def samples(self) -> int:
        """How many, the left-out ones counted."""
        return self.values.shape[1]

    def numbers(self, i: int) -> Array:
        """What each sample adds to the mean of element ``i``, ``(n,)``."""
        return contributions(self.values[i].astype(np.float64), self.valid[i])[0]

    def ends(self, i: int) -> tuple[float, float]:
        """The range of the numbers of element ``i``."""
        _, low, high = contributions(self.values[i].astype(np.float64), self.valid[i])
        return low, high

    @cached_property
    def means(self) -> Array:
        """The elements' means, ``(k,)``."""
        return np.array([self.numbers(i).mean() for i in range(len(self))])

    @cached_property
    def _known(self) -> tuple[Array, Array, Array]:
        """Of each element the mean of the values that count, the share of those, and whether all do, ``(k, 1)``."""
        rows = zip(self.values, self.valid, strict=True)
        means = np.array([row.astype(np.float64)[counts].mean() for row, counts in rows])[:, None]
        return means, self.valid.mean(axis=1)[:, None], np.asarray(self.valid.all(axis=1))[:, None]

    def block(self, some: slice) -> Array:
        """The numbers of all elements for some samples, ``(k, m)``: what :func:`contributions` gives, by columns."""
        values, counts = self.values[:, some].astype(np.float64), self.valid[:, some]
        means, shares, whole = self._known
        if whole.all():
            return values
        parts = means + np.where(counts, values - means, 0.0) / shares
        return np.where(whole, values, parts)

    def contenders(self) -> Elements:
        """The elements that may have the smallest mean: the others' is surely above, see the module's docstring."""
        worst = int(self.means.argmin())
        better = BoundedMeans.stacked([_change(self, i, self, worst, 1.0) for i in range(len(self))])
        keep = better.p_above(0.0) > SPENT / len(self)  # Bonferroni's, over all comparisons
        keep[worst] = True  # its difference from itself is 0 throughout, and may come out as any p value
        return Elements(self.values[keep], self.valid[keep])


def _change(before: Elements, i: int, after: Elements, j: int, factor: float) -> BoundedMeans:
    """The mean of ``factor before_i - after_j``."""
    ends = change_range(before.ends(i), after.ends(j), -1, factor)
    return BoundedMeans.of(factor * before.numbers(i) - after.numbers(j), *ends)


@dataclass(frozen=True)
class Together:
    """Corrects the smallest of several p values for being the smallest, where all are of the same samples.

    The normal scores of the p values are taken to be correlated as the samples are. Each p value is exact by itself;
    max-t limits, which take means for normal and errors for known, miss 4 to 7 % at 24 elements, not 2.5 %.

    Attributes:
        k: how many.
        largest: the largest of k correlated normal scores, drawn and sorted.
    """

    k: int
    largest: Array

    @classmethod
    def of(cls, elements: Elements, factor: float = 1.0, less: Array | None = None) -> Together:
        """From elements, ``factor`` times their numbers, with one number for each sample ``(n,)`` taken off all."""
        off = np.zeros(elements.samples) if less is None else less
        rows = (factor * elements.numbers(i) - off for i in range(len(elements)))
        known = np.array([(mean := row.mean(), np.sqrt(((row - mean) ** 2).sum())) for row in rows])
        mean, length = known[:, :1], known[:, 1:]
        correlation = np.zeros((len(elements), len(elements)))
        for some in _blocks(elements):
            moved = factor * elements.block(some) - off[some] - mean
            moved = np.divide(moved, length, out=np.zeros_like(moved), where=length > 0)
            correlation += moved @ moved.T
        np.fill_diagonal(correlation, 1.0)  # nothing is known of the correlations of an element that does not vary
        # Not Cholesky's factor: with more elements than samples, or two that agree, the matrix is singular, and its
        # least eigenvalues come out as -1e-16.
        values, vectors = np.linalg.eigh(correlation)
        factors = (vectors * np.sqrt(values.clip(0))).T
        scores = np.concatenate([(drawn @ factors).max(axis=1) for drawn in _drawn(len(elements))])
        return cls(len(elements), np.sort(scores))

    def each(self, tail: float) -> float:
        """The level at which to test each, for the smallest p value to be below it with the probability ``tail``."""
        if tail < RARE:  # 10,000 draws know nothing of 1e-5: a bound that always holds
            return tail / self.k
        rank = int(np.ceil((1 - tail) * len(self.largest)))
        alone = float(special.ndtr(-self.largest[min(rank, len(self.largest) - 1)]))
        # Between independence's worst case and one test alone: draws stray beyond either by chance.
        return min(max(alone, tail / self.k), tail)

    def p_value(self, smallest: float) -> float:
        """The probability that the smallest of k p values is as small as this by chance."""
        bound = min(1.0, self.k * smallest)
        if smallest < self.each(RARE):
            return min(bound, RARE)
        score = -float(special.ndtri(min(smallest, 1 - 1e-16)))
        beyond = len(self.largest) - int(np.searchsorted(self.largest, score))
        return min(bound, max(smallest, beyond / len(self.largest)))


@dataclass(frozen=True)
class OfLeast:
    """P values of the smallest mean: it is above a limit where all means are, and below it where any is.

    Attributes:
        every: the means.
        contenders: those that may be the smallest.
        together: the contenders'.
    """

    every: BoundedMeans
    contenders: BoundedMeans
    together: Together

    @classmethod
    def of(cls, elements: Elements) -> OfLeast:
        """From the elements."""
        contenders = elements.contenders()
        return cls(_each(elements), _each(contenders), Together.of(contenders))

    def p_above(self, limit: float) -> float:
        """See :class:`~symbench.algebra.statistics.confidence.Law`."""
        return float(self.every.p_above(limit).max())  # all have to be above: no correction (intersection-union)

    def p_below(self, limit: float) -> float:
        """See :class:`~symbench.algebra.statistics.confidence.Law`."""
        return min(1.0, self.together.p_value(float(self.contenders.p_below(limit).min())) + SPENT)

    def low(self, tail: float) -> float:
        """The lower confidence limit: the smallest of the elements' own."""
        return float(self.every.low(tail).min())

    def high(self, tail: float) -> float:
        """The upper confidence limit: the smallest of the contenders', corrected for how many they are."""
        return float(self.contenders.high(self.together.each(tail - SPENT)).min())


def least(elements: Elements, *, n: int, error: float) -> Confidence:
    """The smallest mean with its limits and p values.

    Args:
        elements: of the same samples.
        n: how many samples count for one of them.
        error: of the estimate.
    """
    law, estimate = OfLeast.of(elements), float(elements.means.min())
    low, high = law.low(TAIL), law.high(TAIL)
    return Confidence(estimate, min(low, estimate), max(high, estimate), n, error, law, holds=True)


def _each(elements: Elements) -> BoundedMeans:
    """The elements' means, one in each row."""
    rows = (contributions(elements.values[i].astype(np.float64), elements.valid[i]) for i in range(len(elements)))
    return BoundedMeans.stacked([BoundedMeans.of(*row) for row in rows])


@dataclass(frozen=True)
class OfLost:
    """P values of the loss of the smallest of several means, ``min_j b_j - min_k a_k``.

    With ``d_jk = b_j - a_k`` that is ``max_k min_j d_jk = min_j max_k d_jk``. For whichever k is the worst after,
    none of the ``d_jk`` is below the loss: any of them bounds it from above, and the j may be chosen by the sample,
    with a correction for how many there are to choose from.

    Attributes:
        above: for every element before, its change to the one after that lost most.
        below: for every element after, its change from the one before that lost least.
        choice_above: among which the ones after were chosen.
        choice_below: among which the ones before were chosen.
    """

    above: BoundedMeans
    below: BoundedMeans
    choice_above: Together
    choice_below: Together

    def p_above(self, limit: float) -> float:
        """See :class:`~symbench.algebra.statistics.confidence.Law`."""
        return min(1.0, self.choice_above.p_value(float(self.above.p_above(limit).max())) + SPENT)

    def p_below(self, limit: float) -> float:
        """See :class:`~symbench.algebra.statistics.confidence.Law`."""
        return min(1.0, self.choice_below.p_value(float(self.below.p_below(limit).max())) + SPENT)

    def low(self, tail: float) -> float:
        """The lower confidence limit of the loss."""
        return float(self.above.low(self.choice_above.each(tail - SPENT)).min())

    def high(self, tail: float) -> float:
        """The upper confidence limit of the loss."""
        return float(self.below.high(self.choice_below.each(tail - SPENT)).max())


def lost(before: Elements, after: Elements, factor: float, *, error: float) -> Confidence:
    """``factor`` times the smallest mean before, less the smallest one after, with limits and p values.

    Args:
        before: of the same samples.
        after: of the same elements.
        factor: at least 0.
        error: of the estimate.
    """
    b, a = before.contenders(), after.contenders()
    estimate, n = factor * float(b.means.min()) - float(a.means.min()), b.samples
    worst_b, worst_a = b.numbers(int(b.means.argmin())), a.numbers(int(a.means.argmin()))
    choices = Together.of(a, less=factor * worst_b), Together.of(b, factor, worst_a)
    # Which one to compare with is chosen by limits and not by estimates: an element that only looks worst, by a large
    # error, would make a wide limit where its neighbour makes a narrow one.
    reach = [float(-special.ndtri(one.each(TAIL - SPENT))) for one in choices]
    difference, errors = factor * b.means[:, None] - a.means, _errors(b, a, factor)
    of_before = (difference - reach[0] * errors).argmax(axis=1)
    of_after = (difference + reach[1] * errors).argmin(axis=0)
    above = BoundedMeans.stacked([_change(b, j, a, int(k), factor) for j, k in enumerate(of_before)])
    below = BoundedMeans.stacked([_change(b, int(j), a, k, factor) for k, j in enumerate(of_after)])
    law = OfLost(above, below, *choices)
    low, high = law.low(TAIL), law.high(TAIL)
    return Confidence(estimate, min(low, estimate), max(high, estimate), n, error, law, holds=True)


def _errors(before: Elements, after: Elements, factor: float) -> Array:
    """Standard errors of the mean of ``factor before_j - after_k``, ``(j, k)``."""
    squares = np.zeros((len(before), len(after)))
    for some in _blocks(before if len(before) > len(after) else after):
        b = factor * before.block(some) - factor * before.means[:, None]
        a = after.block(some) - after.means[:, None]
        # |b - a|^2 by its parts: the differences themselves are (j, k, n). What cancels leaves -1e-17 at times.
        squares += (b**2).sum(axis=1)[:, None] + (a**2).sum(axis=1) - 2 * b @ a.T
    errors: Array = np.sqrt(squares.clip(0)) / before.samples
    return errors


def _drawn(k: int) -> Iterable[Array]:
    """The independent normal scores of all draws, in blocks ``(m, k)``: the same ones whatever the elements are."""
    return _kept(k) if DRAWS * k <= KEPT else _blocks_drawn(k)


@lru_cache(maxsize=4)  # to draw them takes longer than what is done with them
def _kept(k: int) -> tuple[Array, ...]:
    return tuple(_blocks_drawn(k))


def _blocks_drawn(k: int) -> Iterator[Array]:
    rng = np.random.default_rng(SEED)
    for some in slices(DRAWS, max(1, AT_ONCE // k)):
        yield rng.standard_normal((some.stop - some.start, k))


def _blocks(elements: Elements) -> list[slice]:
    """The samples, few enough at a time for the numbers of all elements."""
    return slices(elements.samples, max(1, AT_ONCE // len(elements)))
