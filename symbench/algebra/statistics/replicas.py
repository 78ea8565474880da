"""Trainings and samples are two levels: what a mean over both is sure of.

Every replica of an arm is measured on the same samples, so the values of one arm are a table ``(replicas, samples)``
with both margins drawn at random. The bootstrap that draws rows and columns, each with replacement, knows both
(Owen, "The pigeonhole bootstrap", 2007). Of five replicas it sees the spread too small by a fifth and its tails by
more; its limits are therefore widened as Student's t is wider than a normal distribution, by as much as replicas
matter. Samples serve all arms, and so differences between arms are paired by sample and not by replica.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, get_args

import numpy as np
from scipy import special

from symbench.algebra.statistics.bootstrap import MOST_DEFINED, RESAMPLES, quantiles
from symbench.algebra.statistics.interval import LEVEL, Array, Interval

FEWEST_REPLICAS = 2
"""With one training, nothing is known of the spread between trainings."""
FEWEST_SAMPLES = 2
"""Likewise of samples."""
MOST_FEW = 3
"""Members of which pairs are taken as they come."""
Statistic = Callable[[Array], Array]
"""Of means ``(draws, groups)`` to ``(draws,)``; NaN where there is none."""
Levels = Literal["both", "replicas", "samples"]
LEVELS: tuple[Levels, ...] = get_args(Levels)


@dataclass(frozen=True)
class Spread:
    """An estimate over replicas and samples.

    Attributes:
        interval: with its limits; none with fewer than two replicas of any group.
        replicas: the standard error that is owed to the replicas, corrected for their number.
        samples: the one that is owed to the samples.
        degrees: of freedom of the limits (Satterthwaite).
    """

    interval: Interval
    replicas: float
    samples: float
    degrees: float


def two_level(
    groups: Sequence[Array],
    statistic: Statistic,
    *,
    seed: int,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
) -> Spread:
    """A function of the groups' means, with limits that know of replicas and samples.

    Args:
        groups: of each, ``(replicas, n)``, on the same n samples; replicas may differ in number.
        statistic: of the means, one for each group.
        seed: seeds the drawing.
        level: confidence.
        resamples: draws.

    Raises:
        ValueError: groups are of different samples.
    """
    counts = {group.shape[1] for group in groups}
    if len(counts) != 1:
        raise ValueError(f"groups of {sorted(counts)} samples")
    n, fewest = counts.pop(), min(len(group) for group in groups)
    theta = float(statistic(np.array([[group.mean() for group in groups]]))[0])
    drawn = {each: statistic(_means(groups, each, seed, resamples)) for each in LEVELS}
    if not np.isfinite(theta) or any(np.isfinite(values).mean() < MOST_DEFINED for values in drawn.values()):
        return Spread(Interval(theta, None, None, n), np.nan, np.nan, np.nan)
    known = {each: values[np.isfinite(values)] for each, values in drawn.items()}
    # M draws of M replicas have a variance that is too small by (M - 1) / M; of n samples that does not matter.
    between = float(known["replicas"].var()) * (fewest / (fewest - 1) if fewest > 1 else 1.0)
    within = float(known["samples"].var())
    if n < FEWEST_SAMPLES:
        return Spread(Interval(theta, None, None, n), np.nan, np.nan, np.nan)
    if fewest < FEWEST_REPLICAS:
        return Spread(Interval(theta, None, None, n), np.nan, within**0.5, np.nan)
    total = between + within
    degrees = total**2 / (between**2 / (fewest - 1) + within**2 / (n - 1)) if total > 0 else np.inf
    tail = (1 - level) / 2
    limits = quantiles(known["both"] - theta, tail, 1 - tail)
    seen = float(known["both"].var())
    wider = (total / seen) ** 0.5 * special.stdtrit(degrees, tail) / special.ndtri(tail) if seen > 0 else 1.0
    # Never narrower than the draws: with an interaction of replicas and samples these hold more than both margins.
    low, high = theta + limits * max(1.0, float(wider))
    return Spread(Interval(theta, float(low), float(high), n), between**0.5, within**0.5, float(degrees))


def _means(groups: Sequence[Array], levels: Levels, seed: int, resamples: int) -> Array:
    """Means ``(resamples, groups)`` over replicas and samples drawn anew, or over one of the two."""
    rng = np.random.default_rng(seed)
    n = groups[0].shape[1]
    columns = rng.multinomial(n, np.full(n, 1 / n), size=resamples) / n if levels != "replicas" else None
    means = np.empty((resamples, len(groups)))
    for g, group in enumerate(groups):
        m = len(group)
        rows = rng.multinomial(m, np.full(m, 1 / m), size=resamples) / m if levels != "samples" else None
        # (resamples, m), then with the weights of the rows: never a table of resamples x m x n
        by_row = np.broadcast_to(group.mean(axis=1), (resamples, m)) if columns is None else columns @ group.T
        means[:, g] = by_row.mean(axis=1) if rows is None else (by_row * rows).sum(axis=1)
    return means


@dataclass(frozen=True)
class Shared:
    """How much of the members' breaking they have in common.

    Attributes:
        own: the mean of ``|d|^2`` of one member: what a user of one network has.
        common: the mean of ``d_m . d_n`` over pairs of different members: the squared deviation of the mean over
            infinitely many, without bias. The rest is breaking that another seed would break otherwise.
        share: ``common / own``.
    """

    own: Interval
    common: Interval
    share: Interval


def systematic(deviations: Array, *, seed: int, level: float = LEVEL, resamples: int = RESAMPLES) -> Shared:
    """Breaking that members of an ensemble have in common, against that which averages out.

    For independent members ``E d_m . d_n = |E d|^2``. Limits know of samples by a bootstrap, and of members by how
    the products of pairs vary: drawing members with replacement would put pairs of a member with itself into the
    mean, and a jackknife counts twice what varies where there is nothing in common, which is where it matters.

    Args:
        deviations: ``(members, n, numbers)``, what each member's output is off by, flattened over elements.
        seed: seeds the drawing of samples.
        level: confidence.
        resamples: draws.

    Raises:
        ValueError: fewer than two members.
    """
    members, n = deviations.shape[:2]
    if members < FEWEST_REPLICAS:
        raise ValueError("one member has nothing in common with others")
    squares = (deviations**2).sum(axis=2)  # (members, n)
    if not squares.any():  # nothing is broken: there is nothing to have a share of
        none = Interval(0.0, 0.0, 0.0, n)
        return Shared(none, none, Interval(float("nan"), None, None, n))
    total = (deviations.sum(axis=0) ** 2).sum(axis=1)  # (n,), of which the squares are no pairs
    own, common = squares.mean(axis=0), (total - squares.sum(axis=0)) / (members * (members - 1))  # (n,) each
    flat = deviations.reshape(members, -1)
    products = flat @ flat.T / n  # (members, members), with the squares on the diagonal
    # Of a ratio what counts is by how much a pair has more in common than the share of its own squares.
    mean, share = float(own.mean()), float(common.mean() / own.mean())
    beyond = products - share * (np.diag(products)[:, None] + np.diag(products)) / 2
    alone = Varied(float(squares.mean(axis=1).var(ddof=1)) / members, members - 1)
    of_pairs, of_shares = _of_cells(deviations, squares, share)
    columns = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples) / n
    drawn_own, drawn_common = columns @ own, columns @ common
    return Shared(
        _limits(mean, drawn_own, alone, float(squares.var()) / squares.size, n, level),
        _limits(float(common.mean()), drawn_common, _of_pairs(products), of_pairs, n, level),
        _limits(share, drawn_common / drawn_own, _of_pairs(beyond / mean), of_shares / mean**2, n, level),
    )


@dataclass(frozen=True)
class Varied:
    """A variance and the degrees of freedom that it is known with."""

    variance: float
    degrees: float


def _limits(theta: float, drawn: Array, of_members: Varied, of_cells: float, n: int, level: float) -> Interval:
    """An estimate with limits from samples drawn anew, ``drawn``, and from members.

    What varies from one member and sample to the next is in both variances, and is taken out once (Cameron, Gelbach &
    Miller, "Robust Inference with Multiway Clustering", 2011).
    """
    by_sample = float(drawn.var())
    whole = max(by_sample + of_members.variance - of_cells, by_sample, of_members.variance)
    if not whole > 0 or of_members.degrees <= 0 or n < FEWEST_SAMPLES:
        ends = theta if whole == 0 and n >= FEWEST_SAMPLES else None
        return Interval(theta, ends, ends, n)
    degrees = whole**2 / (of_members.variance**2 / of_members.degrees + by_sample**2 / (n - 1))
    half = -float(special.stdtrit(degrees, (1 - level) / 2)) * whole**0.5
    return Interval(theta, theta - half, theta + half, n)


def _of_cells(deviations: Array, squares: Array, share: float) -> tuple[float, float]:
    """The variance of the mean product, were those of all pairs and samples independent; and beyond the share."""
    members, n = squares.shape
    pairs = list(combinations(range(members), 2))
    found = np.zeros(2)
    for i, j in pairs:  # one at a time: a thousand members have half a million pairs
        products = (deviations[i] * deviations[j]).sum(axis=1)
        found += products.var(), (products - share * (squares[i] + squares[j]) / 2).var()
    of_products, of_shares = found / (len(pairs) ** 2 * n)
    return float(of_products), float(of_shares)


def _of_pairs(products: Array) -> Varied:
    """The variance of the mean over pairs of ``products``, ``(members, members)`` and symmetric.

    ``g_mn = g + a_m + a_n + e_mn``: with nothing in common products of pairs are uncorrelated although pairs share
    members, and ``a`` is 0; with something in common it is not. The variance is ``4 var(a) / m`` and
    ``2 var(e) / (m (m - 1))``, both from sums of squares as of diallel crosses (Griffing 1956, method 4).
    """
    m = len(products)
    upper = products[np.triu_indices(m, 1)]
    if m <= MOST_FEW:  # of three members nothing is left for e
        return Varied(float(upper.var(ddof=1)) / len(upper) if len(upper) > 1 else np.nan, len(upper) - 1)
    rows = (products.sum(axis=1) - np.diag(products)) / (m - 2)
    effects = rows - rows.mean()
    of_members = float((effects**2).sum()) * (m - 2) / (m - 1)  # a mean square of m - 1 degrees of freedom
    rest_degrees = m * (m - 3) / 2
    rest = max(0.0, (float(((upper - upper.mean()) ** 2).sum()) - of_members * (m - 1)) / rest_degrees)
    common = max(0.0, (of_members - rest) / (m - 2))
    pair, own = 2 * rest / (m * (m - 1)), 4 * common / m
    whole = pair + own
    degrees = whole**2 / (pair**2 / rest_degrees + own**2 / (m - 1)) if whole > 0 else rest_degrees
    return Varied(whole, degrees)
