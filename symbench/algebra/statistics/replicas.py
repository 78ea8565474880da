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
from typing import Literal

import numpy as np
from scipy import stats

from symbench.algebra.statistics.bootstrap import RESAMPLES, quantiles
from symbench.algebra.statistics.interval import LEVEL, Array, Interval

FEWEST_REPLICAS = 2
"""With one training, nothing is known of the spread between trainings."""
MOST_DEFINED = 0.99
"""There is an interval where at least this share of the draws has a value."""
Statistic = Callable[[Array], Array]
"""Of means ``(draws, groups)`` to ``(draws,)``; NaN where there is none."""
Levels = Literal["both", "replicas", "samples"]


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
    drawn = {each: statistic(_means(groups, each, seed, resamples)) for each in ("both", "replicas", "samples")}  # type: dict[Levels, Array]
    if not np.isfinite(theta) or any(np.isfinite(values).mean() < MOST_DEFINED for values in drawn.values()):
        return Spread(Interval(theta, None, None, n), np.nan, np.nan, np.nan)
    known = {each: values[np.isfinite(values)] for each, values in drawn.items()}
    # M draws of M replicas have a variance that is too small by (M - 1) / M; of n samples that does not matter.
    between = float(known["replicas"].var()) * (fewest / (fewest - 1) if fewest > 1 else 1.0)
    within = float(known["samples"].var())
    if fewest < FEWEST_REPLICAS:
        return Spread(Interval(theta, None, None, n), np.nan, within**0.5, np.nan)
    total = between + within
    degrees = total**2 / (between**2 / (fewest - 1) + within**2 / (n - 1)) if total > 0 else np.inf
    tail = (1 - level) / 2
    limits = quantiles(known["both"] - theta, tail, 1 - tail)
    seen = float(known["both"].var())
    wider = (total / seen) ** 0.5 * stats.t.isf(tail, degrees) / stats.norm.isf(tail) if seen > 0 else 1.0
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

    For independent members ``E d_m . d_n = |E d|^2``. A jackknife over members and a bootstrap over samples: drawing
    members with replacement would put pairs of a member with itself into the mean.

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
    pairs = np.einsum("mid,kid->mki", deviations, deviations, optimize=True)  # (members, members, n)
    whole = pairs.sum(axis=(0, 1)) - squares.sum(axis=0)  # over pairs of two different ones, (n,)
    own, common = squares.mean(axis=0), whole / (members * (members - 1))
    columns = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples) / n

    def limits(values: Callable[[Array, Array], Array], without: Array) -> Interval:
        """An estimate with limits from samples drawn anew and members left out."""
        theta = float(values(own.mean()[None], common.mean()[None])[0])
        by_sample = float(values(columns @ own, columns @ common).var())
        by_member = float(((without - without.mean()) ** 2).sum()) * (members - 1) / members
        total = by_sample + by_member
        degrees = total**2 / (by_member**2 / (members - 1) + by_sample**2 / (n - 1)) if total > 0 else np.inf
        half = float(stats.t.isf((1 - level) / 2, degrees)) * total**0.5
        return Interval(theta, theta - half, theta + half, n)

    left = members - 1
    own_without = (squares.sum(axis=0).mean() - squares.mean(axis=1)) / left
    rows = pairs.sum(axis=1).mean(axis=1) - squares.mean(axis=1)  # of each member, with all others
    fewer = left * (left - 1)
    common_without = (whole.mean() - 2 * rows) / fewer if fewer else np.full(members, common.mean())
    return Shared(
        limits(lambda a, b: a, own_without),
        limits(lambda a, b: b, common_without),
        limits(lambda a, b: b / a, common_without / own_without),
    )
