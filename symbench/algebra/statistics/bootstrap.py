"""Resampling by base sample, and the studentised interval of any smooth function of means."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from symbench.algebra.statistics.interval import Array, exact
from symbench.base.slices import slices

RESAMPLES = 2000
MOST_DEFINED = 0.99
"""There is an interval where at least this share of the replicates is no 0 / 0."""
HUGE = 1e12
"""The t value of a replicate whose samples are all alike: beyond every quantile, and finite, so that none is NaN."""
AT_ONCE = 250_000
"""Numbers of the table of counts, ``(resamples, rows)``, that are held at once: 2 MB."""
MOST_SINGLE, MOST_KEPT = 20_000, 12_000_000
"""Cells of up to so many samples have these drawn one by one, by the same draws for every estimate; and draws, of
one byte each, are kept from one estimate to the next where they are so few: 6,000 samples at 2,000 resamples."""

Function = Callable[[Array], Array]


def resampled_means(columns: Array, *, seed: int, resamples: int = RESAMPLES) -> Array:
    """Means over samples drawn with replacement, all columns by the same draws.

    Equal rows are drawn as one, by their number: the same distribution at the cost of the distinct rows, and
    whatever the order of the samples.

    Args:
        columns: ``(n, m)``.
        seed: seeds the drawing.
        resamples: how often to draw n samples.

    Returns:
        ``(resamples, m)``.
    """
    rows, counts = distinct(columns)
    return means_of_draws(rows, counts, seed=seed, resamples=resamples)


def distinct(columns: Array) -> tuple[Array, Array]:
    """The distinct rows of ``(n, m)`` in order, and how often each occurs."""
    # np.unique(axis=0) does the same in three times the time, and this is called for every interval.
    ordered = columns[np.lexsort(columns.T)]
    first = np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))
    return ordered[first], np.diff(np.append(np.flatnonzero(first), len(columns)))


def means_of_draws(rows: Array, counts: Array, *, seed: int, resamples: int) -> Array:
    """:func:`resampled_means` of rows that occur ``counts`` times."""
    n = int(counts.sum())
    # Where most rows are distinct nothing is won by drawing them by their number; as single samples, one table of
    # draws serves every estimate of a cell.
    if len(rows) * 6 > n and n <= MOST_SINGLE:
        rows, counts = rows if len(rows) == n else np.repeat(rows, counts, axis=0), np.ones(n, dtype=int)
    rng = np.random.default_rng(seed)
    means = np.empty((resamples, rows.shape[1]))
    for some in slices(resamples, max(1, AT_ONCE // len(rows))):
        kept = len(rows) == n <= min(MOST_SINGLE, MOST_KEPT // resamples)
        times_drawn = _kept(n, resamples, seed)[some] if kept else _times_drawn(counts, some.stop - some.start, rng)
        means[some] = times_drawn.astype(np.float64, copy=False) @ rows / n
    return means


@lru_cache(maxsize=2)
def _kept(n: int, resamples: int, seed: int) -> Array:
    """How often each of n samples is drawn, ``(resamples, n)``, kept from one estimate of a cell to the next."""
    rng, ones = np.random.default_rng(seed), np.ones(n, dtype=int)
    # One byte each: to draw one of n samples 256 times in n has a probability below 1e-500.
    draws = np.empty((resamples, n), dtype=np.uint8)
    for times in draws:
        times[:] = _times_drawn(ones, 1, rng)[0]
    draws.flags.writeable = False  # all callers share it
    return draws


def _times_drawn(counts: Array, resamples: int, rng: np.random.Generator) -> Array:
    """How often each row is drawn, ``(resamples, rows)``: multinomial, by whichever way is quicker."""
    n = int(counts.sum())
    if len(counts) * 6 < n:
        return rng.multinomial(n, counts / n, size=resamples)
    row_of = None if len(counts) == n else np.repeat(np.arange(len(counts)), counts)  # None: each is its own row
    times_drawn = np.empty((resamples, len(counts)))
    for times in times_drawn:
        drawn = rng.integers(0, n, size=n, dtype=np.uint32)
        times[:] = np.bincount(drawn if row_of is None else row_of[drawn], minlength=len(counts))
    return times_drawn


def studentised(
    columns: Array,
    statistic: Function,
    gradient: Function,
    *,
    seed: int,
    level: float,
    resamples: int,
    percentiles: bool = False,
) -> tuple[float, float] | None:
    """Studentised bootstrap limits of a function of the columns' means (Davison & Hinkley 1997, 5.2).

    The quantiles of ``(theta* - theta) / se*`` times se, with se by the delta method in every replicate. Percentiles
    of ``theta*`` miss skewed means on one side, 5 % where 2.5 % was promised. No limit is wider than the exact one
    for values within the range of those seen, which holds back replicates that leave every large value out.

    Args:
        columns: ``(n, m)``, finite.
        statistic: ``(..., m)`` means to ``(...)``; NaN where undefined.
        gradient: its derivative, ``(..., m)``.
        seed: seeds the resampling.
        level: confidence.
        resamples: replicates.
        percentiles: limits are at least the percentiles of ``theta*`` on either side: the studentised ones are too
            narrow for symmetric values of which most are alike, as of changes (93 % where 95 % was promised).

    Returns:
        The limits; None where more than 1 % of the replicates are undefined.
    """
    rows, counts = distinct(columns)
    n, m = int(counts.sum()), rows.shape[1]
    centre = counts @ rows / n
    # Products of what is centred: E[xy] - E[x] E[y] of the raw columns cancels to nothing where a mean is large
    # beside its spread, as a loss of 1e4 +- 1e-4 is.
    moved = rows - centre
    i, j = np.triu_indices(m)
    twice = np.where(i == j, 1, 2)  # entries beside the diagonal stand twice in the quadratic form
    # Second moments are means too: drawn along with the first, they give every replicate its own standard error.
    both = np.empty((len(rows), m + len(i)))
    both[:, :m] = rows
    for column, (one, other) in enumerate(zip(i, j, strict=True), m):
        np.multiply(moved[:, one], moved[:, other], out=both[:, column])
    drawn = means_of_draws(both, counts, seed=seed, resamples=resamples)
    means, products = drawn[:, :m], drawn[:, m:]
    shift = means - centre
    theta, slope = float(statistic(centre)), gradient(centre)
    replicates, slopes = statistic(means), gradient(means)
    defined = np.isfinite(replicates)  # a replicate that drew no divisor is 0 / 0
    if defined.mean() < MOST_DEFINED:
        return None
    variances = (slopes[:, i] * slopes[:, j] * twice * (products - shift[:, i] * shift[:, j])).sum(axis=1) / n
    influence = moved @ slope
    error = float(np.sqrt(counts @ influence**2 / n / n))
    change, errors = replicates[defined] - theta, np.sqrt(variances[defined].clip(0))  # -1e-20 is a rounded 0
    t = np.divide(change, errors, out=np.sign(change) * HUGE, where=errors > 0)
    tail = (1 - level) / 2
    # The upper quantile of t makes the lower limit, and the other way round: a long tail of t to the right says that
    # estimates overshoot, and so that the truth may lie far below.
    limits = theta - quantiles(t, 1 - tail, tail) * error
    # Within [least, least + width] no distribution of this mean varies more than one at the two ends: replicates
    # that miss every large value have next to no error, and t values in the thousands.
    least, width = float(influence.min()), float(np.ptp(influence))
    furthest = theta + least + width * np.array(exact(-least / width if width > 0 else 0.0, n, tail))
    limits = limits.clip(*furthest)
    if percentiles:
        plain = quantiles(replicates[defined], tail, 1 - tail)
        limits = np.array([min(limits[0], plain[0]), max(limits[1], plain[1])])
    # Clipped at theta: with few and skewed samples both quantiles of t can be of one sign.
    return min(theta, float(limits[0])), max(theta, float(limits[1]))


def quantiles(replicates: Array, *levels: float) -> Array:
    """Quantiles at rank ``level (resamples + 1)``: what few replicates leave out beyond their ends is counted."""
    # Of 99 replicates the 2.5 % quantile is the 2.5th, not NumPy's 3.45th: the truth may as well lie in any of the
    # 100 gaps between them and beyond (Davison & Hinkley 1997, 2.4).
    ranks = np.array(levels) * (len(replicates) + 1) - 1
    return np.interp(ranks, np.arange(len(replicates)), np.sort(replicates))
