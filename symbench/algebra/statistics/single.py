"""One cell's estimates: means, ratios, the smallest of several means, quantiles."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from symbench.algebra.statistics.bootstrap import RESAMPLES, studentised
from symbench.algebra.statistics.interval import (
    FEW,
    LEVEL,
    TOLERANCE,
    Array,
    Interval,
    deviating,
    exact,
    exact_shift,
    require_finite,
    usual,
)
from symbench.algebra.statistics.least import Elements, OfLeast


def bounded_mean(values: Array, *, level: float = LEVEL) -> Interval:
    """The mean of one value in [0, 1] for each sample, such as the share of its orbit that is right.

    Wilson's interval with the effective sample size ``p (1 - p) / se^2`` and a t quantile; Clopper-Pearson with
    n = samples where fewer than 20 samples differ from the commonest value, so that all ones is not [1, 1].

    Args:
        values: ``(n,)`` in [0, 1].
        level: confidence.

    Raises:
        ValueError: a value is not finite, or there is none.
    """
    require_finite("bounded_mean", values)
    # Weighted means over an orbit may miss 0 or 1 by the last digit, which is no value out of range.
    if values.min() < -TOLERANCE or values.max() > 1 + TOLERANCE:
        got = f"got values from {values.min():g} to {values.max():g}"
        raise ValueError(f"bounded_mean: {got}, expected shares from 0 to 1")
    n = len(values)
    mean = float(values.mean())
    if deviating(values) < FEW:
        return Interval(mean, *exact(mean, n, (1 - level) / 2), n)
    variance = float(values.var(ddof=1)) / n
    # As many 0s and 1s as vary by as much: shares over an orbit vary less than these, and count for more samples.
    effective = mean * (1 - mean) / variance
    t = float(special.stdtrit(n - 1, 0.5 + level / 2))
    centre = (mean + t**2 / (2 * effective)) / (1 + t**2 / effective)
    half = t / (1 + t**2 / effective) * np.sqrt(mean * (1 - mean) / effective + t**2 / (4 * effective**2))
    return Interval(mean, max(0.0, float(centre - half)), min(1.0, float(centre + half)), n)


def mean(values: Array, *, seed: int, level: float = LEVEL, resamples: int = RESAMPLES) -> Interval:
    """The mean of one unbounded value for each sample; studentised bootstrap over samples.

    Where fewer than 20 samples differ from the commonest value, and at most half do, the limits are at least
    :func:`~symbench.algebra.statistics.interval.exact_shift`'s. The scale is the largest of the m differences seen,
    times 1 + 1 / m for those not seen. Where none differs there is no scale, and no limits.

    Args:
        values: ``(n,)``.
        seed: seeds the resampling.
        level: confidence.
        resamples: replicates.

    Raises:
        ValueError: a value is not finite, or there is none.
    """
    require_finite("mean", values)
    return _ratio(values, np.ones_like(values), None, seed, level, resamples)


def ratio(above: Array, below: Array, *, seed: int, level: float = LEVEL, resamples: int = RESAMPLES) -> Interval:
    """``mean(above) / mean(below)``, one pair for each sample; studentised bootstrap over samples.

    Where fewer than 20 samples differ from the commonest value of ``above``, and at most half do, no bootstrap knows
    what the others may do. The limits are then at least those of
    :func:`~symbench.algebra.statistics.interval.exact_shift` over ``mean(below)``: a sample may differ by as much as
    any that did, or as ``below`` at its largest. An ``above`` without a negative value has no negative limit.

    Args:
        above: ``(n,)``.
        below: ``(n,)``, of positive mean.
        seed: seeds the resampling.
        level: confidence.
        resamples: replicates.

    Returns:
        No limits for a single sample, or where more than 1 % of the replicates are 0 / 0.

    Raises:
        ValueError: a value is not finite, or there is none, or the shapes differ, or the divisor is not positive.
    """
    require_finite("ratio", above, below)
    return _ratio(above, below, float(below.max()), seed, level, resamples)


def _ratio(above: Array, below: Array, scale: float | None, seed: int, level: float, resamples: int) -> Interval:
    """:func:`ratio`; ``scale`` is how far a sample may differ from the usual one, None where only samples say."""
    n = len(above)
    if not below.mean() > 0:
        raise ValueError(f"ratio: got a divisor of mean {below.mean():g}, expected more than 0")
    estimate = float(above.mean() / below.mean())
    none = Interval(estimate, None, None, n)
    columns = np.stack([above, below], axis=1)
    limits = studentised(columns, quotient, quotient_slope, seed=seed, level=level, resamples=resamples)
    if n < 2 or limits is None:
        return none
    low, high = limits
    commonest = usual(above)
    if commonest is not None:
        value, differ = commonest
        changes = above - value
        if scale is None and differ == 0:
            return none
        largest = float(np.abs(changes).max())
        scale = largest * (1 + 1 / differ) if scale is None else max(scale, largest)
        shift = exact_shift(changes, scale, (1 - level) / 2)
        low = min(low, (value + shift[0]) / float(below.mean()))
        high = max(high, (value + shift[1]) / float(below.mean()))
    # A squared distance has no negative mean; a bootstrap's t quantile does not know that.
    low = max(low, 0.0) if above.min() >= 0 else low
    return Interval(estimate, min(low, estimate), max(high, estimate), n)


def quotient(means: Array) -> Array:
    """``means[..., 0] / means[..., 1]``, NaN where the divisor is not positive."""
    # NaN, and no warning of a division by 0: :func:`studentised` leaves out replicates that are not finite.
    ratios: Array = means[..., 0] / np.where(means[..., 1] > 0, means[..., 1], np.nan)
    return ratios


def quotient_slope(means: Array) -> Array:
    """The derivative of :func:`quotient`."""
    divisor = np.where(means[..., 1] > 0, means[..., 1], np.nan)
    return np.stack([1 / divisor, -means[..., 0] / divisor**2], axis=-1)


def smallest_mean(values: Array, valid: Array | None = None, *, level: float = LEVEL) -> Interval:
    """The smallest of several means in [0, 1] over the same samples: the accuracy at the worst element.

    The smallest of noisy means is biased downwards. The lower limit is the smallest of the one-sided limits; the
    upper limit is the smallest of simultaneous ones, :mod:`symbench.algebra.statistics.least`.

    Args:
        values: ``(k, n)`` in [0, 1].
        valid: bool ``(k, n)``: the samples that count for each element, if not all. An element without any is left
            out; the values at other places are not looked at.
        level: confidence.

    Raises:
        ValueError: no element has a valid sample, or a valid value is not finite, or the shapes differ.
    """
    keep = np.ones(values.shape, dtype=bool) if valid is None else np.asarray(valid, dtype=bool)
    if keep.shape != values.shape:
        raise ValueError(f"smallest_mean: got valid of shape {keep.shape}, expected that of values, {values.shape}")
    if not keep.any():
        raise ValueError("smallest_mean: no element has a valid sample, and no mean is the smallest of none")
    rows = zip(values, keep, strict=True)  # one at a time: values may be kept in one byte each
    alone = [bounded_mean(row[counts].astype(float), level=level) for row, counts in rows if counts.any()]
    estimate = min(one.estimate for one in alone)
    # The smallest is above a limit where all are: lower limits need no correction for how many there are.
    low = min(one.low for one in alone if one.low is not None)
    high = OfLeast.of(Elements.of(values, keep)).high((1 - level) / 2)
    return Interval(estimate, low, max(high, estimate), int(keep.any(axis=0).sum()))


def quantile(values: Array, q: float, *, level: float = LEVEL) -> Interval:
    """The q-quantile of all values, several for each sample, between two order statistics.

    The ranks are the binomial's for as many independent values as have the observed variance of the share below the
    estimate (Woodruff 1952, with exact ranks); for n values, one for each sample, where fewer than 20 samples have
    another share than most. There are no limits where that number is too small: q = 0.95 takes 72 values.

    Args:
        values: ``(k, n)``.
        q: in (0, 1).
        level: confidence.

    Raises:
        ValueError: a value is not finite, or there is none.
    """
    require_finite("quantile", values.ravel())
    n = values.shape[1]
    estimate = float(np.quantile(values, q))
    ranks = _quantile_ranks((values <= estimate).mean(axis=0), values.size, q, level)
    if ranks is None:
        return Interval(estimate, None, None, n)
    # np.partition and no sort: of millions of values two are wanted.
    ordered = np.partition(values, ranks, axis=None)
    return Interval(estimate, float(ordered[ranks[0]]), float(ordered[ranks[1]]), n)


def upper_quantile(largest: Array, count: int, below: Array, q: float, *, level: float = LEVEL) -> Interval:
    """:func:`quantile` of ``count`` values, several for each sample, of which only the largest are at hand.

    Args:
        largest: in order.
        count: how many values there are.
        below: ``(n,)``, of each sample's values the share that is no more than the quantile.
        q: in (0, 1), near 1.
        level: confidence.

    Raises:
        ValueError: a value is not finite, or there is none, or too few are at hand.
    """
    require_finite("quantile", largest)
    estimate = upper_quantile_of(largest, count, q)
    ranks = _quantile_ranks(below, count, q, level)
    if ranks is None:
        return Interval(estimate, None, None, len(below))
    low, high = (_ranked(largest, count, rank) for rank in ranks)
    return Interval(estimate, low, high, len(below))


def upper_quantile_of(largest: Array, count: int, q: float) -> float:
    """The q-quantile of ``count`` values of which only the ``largest`` are at hand, in order."""
    if np.isnan(largest[-1]):
        return math.nan
    rank, part = divmod((count - 1) * q, 1)
    low = _ranked(largest, count, int(rank))
    return low if part == 0 else low + (_ranked(largest, count, int(rank) + 1) - low) * part


def _ranked(largest: Array, count: int, rank: int) -> float:
    """The value of a rank, from 0 for the least of all."""
    at = rank - (count - len(largest))
    if at < 0:
        raise ValueError(f"quantile: got the {len(largest)} largest of {count} values, expected {count - rank}")
    return float(largest[at])


def binomial_quantile(level: float, n: int, p: float) -> int:
    """The least number of hits among n that is not exceeded with at least the probability ``level``."""
    # That of scipy.stats, whose import takes a second, from the same function of scipy.special.
    hits = math.ceil(float(special.bdtrik(level, n, p)))
    fewer = max(hits - 1, 0)
    return fewer if special.bdtr(fewer, n, p) >= level else hits


def _quantile_ranks(below: Array, count: int, q: float, level: float) -> tuple[int, int] | None:
    """The ranks of a quantile's limits among ``count`` values; None where there are too few for any."""
    independent = n = len(below)
    # Values of one orbit are alike: k n of them count for as many as have the variance seen, never for fewer than n.
    if deviating(below) >= FEW:
        independent = max(n, int(q * (1 - q) / (below.var(ddof=1) / n)))
    first, last = (binomial_quantile(tail, independent, q) for tail in (0.5 - level / 2, 0.5 + level / 2))
    if first < 1 or last >= independent:
        return None
    # Ranks among ``independent`` values, spread over all of them and rounded outwards.
    return math.floor((first - 1) / independent * count), math.ceil((last + 1) / independent * count - 1)
