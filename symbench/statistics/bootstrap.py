"""Resampling by base sample, and the studentised interval of any smooth function of means."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from symbench.statistics.interval import Array, exact

RESAMPLES = 2000
MOST_DEFINED = 0.99
"""There is an interval where at least this share of the replicates is no 0 / 0."""
HUGE = 1e12
"""The t value of a replicate without variance."""
AT_ONCE = 1_000_000
"""Counts that are drawn at once."""
MOST_KEPT = 20_000
"""Samples of which the draws are kept, 40 MB of them."""

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
    ordered = columns[np.lexsort(columns.T)]
    first = np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))
    return ordered[first], np.diff(np.append(np.flatnonzero(first), len(columns)))


def means_of_draws(rows: Array, counts: Array, *, seed: int, resamples: int) -> Array:
    """:func:`resampled_means` of rows that occur ``counts`` times."""
    n = int(counts.sum())
    if len(rows) * 6 > n and n <= MOST_KEPT:
        rows, counts = np.repeat(rows, counts, axis=0), np.ones(n, dtype=int)
    rng = np.random.default_rng(seed)
    found = np.empty((resamples, rows.shape[1]))
    step = max(1, AT_ONCE // len(rows))
    for start in range(0, resamples, step):
        stop = min(start + step, resamples)
        kept = len(rows) == n <= MOST_KEPT
        times_drawn = _kept(n, resamples, seed)[start:stop] if kept else _times_drawn(counts, stop - start, rng)
        found[start:stop] = times_drawn.astype(np.float64) @ rows / n
    return found


@lru_cache(maxsize=2)
def _kept(n: int, resamples: int, seed: int) -> Array:
    """How often each of n samples is drawn, ``(resamples, n)``, kept from one estimate of a cell to the next."""
    rng, ones = np.random.default_rng(seed), np.ones(n, dtype=int)
    found = np.empty((resamples, n), dtype=np.uint8)  # n or fewer times, and 255 times never
    for times in found:
        times[:] = _times_drawn(ones, 1, rng)[0]
    found.flags.writeable = False
    return found


def _times_drawn(counts: Array, resamples: int, rng: np.random.Generator) -> Array:
    """How often each row is drawn, ``(resamples, rows)``: multinomial, by whichever way is quicker."""
    n = int(counts.sum())
    if len(counts) * 6 < n:
        return rng.multinomial(n, counts / n, size=resamples)
    row_of = np.repeat(np.arange(len(counts)), counts)
    found = np.empty((resamples, len(counts)))
    for times in found:
        times[:] = np.bincount(row_of[rng.integers(0, n, size=n, dtype=np.uint32)], minlength=len(counts))
    return found


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
    moved = rows - centre
    i, j = np.triu_indices(m)
    twice = np.where(i == j, 1, 2)
    drawn = means_of_draws(np.hstack([rows, moved[:, i] * moved[:, j]]), counts, seed=seed, resamples=resamples)
    means, products = drawn[:, :m], drawn[:, m:]
    shift = means - centre
    theta, slope = float(statistic(centre)), gradient(centre)
    replicates, slopes = statistic(means), gradient(means)
    defined = np.isfinite(replicates)
    if defined.mean() < MOST_DEFINED:
        return None
    variances = (slopes[:, i] * slopes[:, j] * twice * (products - shift[:, i] * shift[:, j])).sum(axis=1) / n
    influence = moved @ slope
    error = float(np.sqrt(counts @ influence**2 / n / n))
    change, errors = replicates[defined] - theta, np.sqrt(variances[defined].clip(0))
    t = np.divide(change, errors, out=np.sign(change) * HUGE, where=errors > 0)
    tail = (1 - level) / 2
    limits = theta - quantiles(t, 1 - tail, tail) * error
    least, width = float(influence.min()), float(np.ptp(influence))
    furthest = theta + least + width * np.array(exact(-least / width if width > 0 else 0.0, n, tail))
    limits = limits.clip(*furthest)
    if percentiles:
        plain = quantiles(replicates[defined], tail, 1 - tail)
        limits = np.array([min(limits[0], plain[0]), max(limits[1], plain[1])])
    return min(theta, float(limits[0])), max(theta, float(limits[1]))


def quantiles(replicates: Array, *levels: float) -> Array:
    """Quantiles at rank ``level (resamples + 1)``: what few replicates leave out beyond their ends is counted."""
    ranks = np.array(levels) * (len(replicates) + 1) - 1
    return np.interp(ranks, np.arange(len(replicates)), np.sort(replicates))
