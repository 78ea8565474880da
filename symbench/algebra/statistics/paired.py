"""Two models, or two runs, on the same samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from symbench.algebra.statistics.bootstrap import RESAMPLES, studentised
from symbench.algebra.statistics.interval import (
    FEW,
    LEVEL,
    TOLERANCE,
    Array,
    Interval,
    exact_shift,
    require_finite,
    usual,
)
from symbench.algebra.statistics.single import quotient, quotient_slope, ratio

EXACT_BELOW = 25
"""With fewer discordant samples than this, McNemar's test is exact."""


def difference(
    before: Array, after: Array, *, seed: int, level: float = LEVEL, resamples: int = RESAMPLES
) -> Interval:
    """The mean of ``after - before``, one pair for each sample; studentised bootstrap over samples.

    With fewer than 20 samples that changed, the interval is at least that of
    :func:`~symbench.algebra.statistics.interval.exact_shift`: each sample counts by how much it changed, which for 0
    and 1 is the share that lost and the share that gained, each with Clopper-Pearson's limits at ``(1 - level) / 2``:

        low = gained_low - lost_high,    high = gained_high - lost_low

    Equal arrays of n samples are so within 3.7 / n of each other at 95 %, not identical. A change is taken to be at
    most 1, as of shares, or the largest that was seen. Where half of the samples or more changed alike, changes count
    from there.

    Args:
        before: ``(n,)``.
        after: ``(n,)``, the same samples in the same order.
        seed: seeds the resampling.
        level: confidence.
        resamples: replicates.

    Raises:
        ValueError: a value is not finite, or there is none, or the shapes differ.
    """
    require_finite("difference", before, after)
    changes = np.subtract(after, before, dtype=np.float64)  # of bool and of unsigned integers too, which have no -1
    n, estimate = len(changes), float(changes.mean())
    limits = studentised(changes[:, None], _same, _one, seed=seed, level=level, resamples=resamples, percentiles=True)
    low, high = limits or (estimate, estimate)  # none for a single sample: what follows widens them from nothing
    largest = float(np.abs(changes).max())
    centre, changed = usual(changes) or (0.0, int((np.abs(changes) > TOLERANCE * largest).sum()))
    if changed < FEW:
        # Shares change by 1 at most, and so by 1 + |centre| from where most changed to. Of others the largest change
        # seen has to do for the largest there can be.
        bounded = largest <= 1
        scale = 1 + abs(centre) if bounded else max(1.0, float(np.abs(changes - centre).max()))
        shift = exact_shift(changes - centre, scale, (1 - level) / 2)
        low, high = min(low, centre + shift[0]), max(high, centre + shift[1])
        if bounded:
            low, high = max(low, -1.0), min(high, 1.0)
    return Interval(estimate, min(low, estimate), max(high, estimate), n)


def _same(means: Array) -> Array:
    first: Array = means[..., 0]
    return first


def _one(means: Array) -> Array:
    return np.ones_like(means)


def ratio_difference(
    above_before: Array,
    below_before: Array,
    above_after: Array,
    below_after: Array,
    *,
    seed: int,
    level: float = LEVEL,
    root: bool,
    resamples: int = RESAMPLES,
) -> Interval:
    """The difference, after - before, of two ratios of means over the same samples, or of the ratios' roots.

    Studentised bootstrap with the same draws for both. Where fewer than 20 samples differ from the commonest value
    in one of the numerators, or in their change, the interval is at least what the limits of the two alone come to,
    squared and added (Zou & Donner 2008):

        high = estimate + sqrt((after_high - after)^2 + (before - before_low)^2), and low the other way round

    Args:
        above_before: ``(n,)``.
        below_before: ``(n,)``, of positive mean.
        above_after: ``(n,)``, the same samples in the same order.
        below_after: ``(n,)``, of positive mean.
        seed: seeds the resampling.
        level: confidence.
        root: of the square roots, as E is the root of a ratio.
        resamples: replicates.

    Returns:
        No limits for a single sample, or where more than 1 % of the replicates are 0 / 0.

    Raises:
        ValueError: a value is not finite, or there is none, or the shapes differ, or a root is of a negative value.
    """
    require_finite("ratio_difference", above_before, below_before, above_after, below_after)
    if root and min(above_before.min(), above_after.min()) < 0:
        raise ValueError("ratio_difference: a numerator is negative, and its ratio may have no root")
    columns = np.stack([above_before, below_before, above_after, below_after], axis=1)
    statistic, slope = (_root_change, _root_change_slope) if root else (_change, _change_slope)
    estimate, n = float(statistic(columns.mean(axis=0))), len(columns)
    limits = studentised(columns, statistic, slope, seed=seed, level=level, resamples=resamples, percentiles=True)
    if n < 2 or limits is None:
        return Interval(estimate, None, None, n)
    low, high = limits
    before, after = columns[:, 0] / below_before.mean(), columns[:, 2] / below_after.mean()
    # A bootstrap of few deviating samples knows too little of the others, whichever of the three has few: two ratios
    # that vary enough can still change in a handful of samples.
    if any(usual(values) for values in (before, after, after - before)):
        alone = [
            ratio(above, below, seed=seed, level=level, resamples=resamples)
            for above, below in ((above_before, below_before), (above_after, below_after))
        ]
        below, above = _squared_and_added(*alone, root=root)
        low, high = min(low, estimate - below), max(high, estimate + above)
    return Interval(estimate, min(low, estimate), max(high, estimate), n)


def _squared_and_added(before: Interval, after: Interval, *, root: bool) -> tuple[float, float]:
    """How far the difference's limits are below and above it, from the intervals of the two (Zou & Donner 2008).

    As if the two were independent: pairing makes them positively correlated as a rule, which narrows the difference.
    """
    values = np.array([[one.low, one.estimate, one.high] for one in (before, after)], dtype=np.float64)
    (low_0, value_0, high_0), (low_1, value_1, high_1) = np.sqrt(values) if root else values
    return float(np.hypot(value_1 - low_1, high_0 - value_0)), float(np.hypot(high_1 - value_1, value_0 - low_0))


def _change(means: Array) -> Array:
    change: Array = quotient(means[..., 2:]) - quotient(means[..., :2])
    return change


def _change_slope(means: Array) -> Array:
    return np.concatenate([-quotient_slope(means[..., :2]), quotient_slope(means[..., 2:])], axis=-1)


def _root_change(means: Array) -> Array:
    change: Array = np.sqrt(quotient(means[..., 2:])) - np.sqrt(quotient(means[..., :2]))
    return change


def _root_change_slope(means: Array) -> Array:
    return np.concatenate([-_root_slope(means[..., :2]), _root_slope(means[..., 2:])], axis=-1)


def _root_slope(means: Array) -> Array:
    root = np.sqrt(quotient(means))[..., None]
    slope: Array = quotient_slope(means) / (2 * np.where(root > 0, root, np.inf))  # a root of 0 does not vary
    return slope


@dataclass(frozen=True)
class Discordance:
    """McNemar's test of two models' correctness on the same samples.

    Attributes:
        lost: samples that were right before and are wrong after.
        gained: samples that were wrong before and are right after.
        p_value: two-sided, of "as likely to lose as to gain".
    """

    lost: int
    gained: int
    p_value: float


def mcnemar(before: Array, after: Array) -> Discordance:
    """McNemar's test: exact below 25 discordant samples, else chi-squared with continuity correction.

    Args:
        before: 0 or 1, ``(n,)``.
        after: 0 or 1, ``(n,)``, the same samples in the same order.

    Raises:
        ValueError: a value is neither 0 nor 1, or there is none, or the shapes differ.
    """
    # Here, as in :func:`holm`: statsmodels takes a second to import, and most commands test nothing.
    from statsmodels.stats.contingency_tables import mcnemar as contingency_mcnemar

    require_finite("mcnemar", before, after)
    other = np.setdiff1d([before, after], [0, 1])
    if len(other):
        raise ValueError(f"mcnemar: got {other[0]:g}, expected 0 or 1 for each sample")
    lost, gained = int(((before == 1) & (after == 0)).sum()), int(((before == 0) & (after == 1)).sum())
    exact = lost + gained < EXACT_BELOW
    # The diagonal, what both got right or wrong, has no part in the test: 0 will do.
    test = contingency_mcnemar([[0, lost], [gained, 0]], exact=exact, correction=True)
    return Discordance(lost, gained, float(test.pvalue))


def holm(p_values: Array) -> Array:
    """P values adjusted for being several (Holm 1979): each may be compared with alpha as if it were alone.

    Args:
        p_values: ``(m,)`` in [0, 1].

    Returns:
        ``(m,)`` in the same order.

    Raises:
        ValueError: a value is not in [0, 1], or not a number, or there is none.
    """
    from statsmodels.stats.multitest import multipletests

    values = np.asarray(p_values, dtype=np.float64)
    require_finite("holm", values)
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"holm: got p values from {values.min():g} to {values.max():g}, expected 0 to 1")
    adjusted: Array = multipletests(values, method="holm")[1]
    return adjusted


def smallest_detectable_difference(
    standard_error: float, *, alpha: float = 0.05, matches: int = 1, power: float = 0.95
) -> float:
    """The true difference that a gate neither misses nor leaves open, with this power.

    ``(z + z_power) se`` with ``z = max(z_{1 - alpha / matches}, z_0.975)``: a change as large beyond the margin fails
    after the correction for several matches, and no change at all passes a margin as large, whose limit is the
    uncorrected one of 97.5 %.

    Args:
        standard_error: of the difference.
        alpha: false alarms allowed over all matches.
        matches: how many differences are tested at once.
        power: the probability of finding it.

    Raises:
        ValueError: the error is negative or not finite, a probability is not between 0 and 1, or no match.
    """
    if not (np.isfinite(standard_error) and standard_error >= 0):
        raise ValueError(f"smallest_detectable_difference: got the error {standard_error}, expected at least 0")
    if not (0 < alpha < 1 and 0 < power < 1 and matches >= 1):
        got = f"alpha {alpha}, power {power}, {matches} matches"
        raise ValueError(f"smallest_detectable_difference: got {got}, expected 0 to 1, 0 to 1, at least 1")
    z = max(special.ndtri(1 - alpha / matches), special.ndtri(0.5 + LEVEL / 2))
    return float((z + special.ndtri(power)) * standard_error)
