"""What is known of bounded means: against scipy, drawn weights and an exact search for a distribution it fails on.

How often gates that decide by it err is in test_margins.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import optimize, stats

from symbench.algebra.statistics import Array, Mean, change, unseen
from symbench.algebra.statistics.bounded import BoundedMeans
from symbench.algebra.statistics.dirichlet import exceeding, upper_quantile

TAIL = 0.025


@pytest.mark.parametrize("n", [2, 5, 60, 450, 5000, 100_000])
def test_two_values_have_the_beta_distribution(n: int) -> None:
    """To seven digits of the probability, however small that is."""
    hits = np.unique([0, 1, 2, n // 10, n // 2, n - 1])
    levels = [1e-9, 1e-4, 0.001, 0.025, 0.3, 0.5, 0.9, 0.975]
    at = [(k, float(stats.beta.isf(p, k + 1, n - k))) for k in hits for p in levels]
    at = [(k, x) for k, x in at if 1e-12 < x < 1 - 1e-9]
    counts = np.array([[n - k, k + 1] for k, _ in at])
    found = exceeding(np.tile([0.0, 1.0], (len(at), 1)), counts, np.array([x for _, x in at]))
    exact = stats.beta.sf([x for _, x in at], counts[:, 1], counts[:, 0])
    assert found == pytest.approx(exact, rel=2e-6 if n < 5 else 3e-7)


@pytest.mark.parametrize(
    ("values", "counts"),
    [
        ([-0.5, 0.0, 0.5, 1.0], [1, 1985, 14, 1]),
        ([-1.0, 0.0, 1.0], [16, 9984, 1]),
        ([-1.0, -1 / 12, 0.0, 1 / 12, 1.0], [2, 30, 400, 18, 1]),
        ([-0.3, -0.2, 0.1, 0.7, 1.0], [1, 1, 1, 1, 1]),
        ([0.0, 0.1, 1.0], [405, 45, 1]),
    ],
)
def test_several_values_have_the_distribution_of_drawn_weights(values: list[float], counts: list[int]) -> None:
    """Many small values of one sign, and rare large ones at either end: a path of integration that follows the
    steepest descent at its start alone is off by all of the probability in the first two."""
    rng = np.random.default_rng(3)
    drawn = np.stack([rng.gamma(count, size=200_000) for count in counts], axis=1)
    means = drawn @ values / drawn.sum(axis=1)
    for at in np.quantile(means, [0.03, 0.3, 0.7, 0.97]):
        found = exceeding(np.array([values]), np.array([counts]), np.array([at]))[0]
        assert found == pytest.approx((means >= at).mean(), abs=0.004)


def test_the_ends_are_certain() -> None:
    values, counts = np.array([[0.0, 1.0]]), np.array([[3, 2]])
    limits = (-0.1, 0.0, 1.0, 1.5)
    assert [float(exceeding(values, counts, np.array([x]))[0]) for x in limits] == [1, 1, 0, 0]
    assert exceeding(np.array([[0.4, 0.4]]), counts, np.array([0.4]))[0] == 1
    alike = upper_quantile(np.array([[0.4, 0.4]]), counts, TAIL)
    assert alike == pytest.approx([0.4])


@pytest.mark.parametrize("n", [1, 10, 60, 450, 2000])
@pytest.mark.parametrize("part", [0.0, 0.02, 0.5, 1.0])
def test_values_at_the_ends_have_clopper_pearsons_limits(n: int, part: float) -> None:
    hits = round(part * n)
    mean = BoundedMeans.of(np.array([1.0] * hits + [0.0] * (n - hits)), 0.0, 1.0)
    exact = stats.binomtest(hits, n).proportion_ci(method="exact")
    assert float(mean.low(TAIL)[0]) == pytest.approx(exact.low, abs=1e-5)
    assert float(mean.high(TAIL)[0]) == pytest.approx(exact.high, abs=1e-5)
    assert [float(end[0]) for end in mean.limits(TAIL)] == pytest.approx([exact.low, exact.high], abs=1e-5)


def test_what_none_of_n_shows() -> None:
    for n in (60, 100, 450, 2000):
        assert (1 - unseen(n)) ** n == pytest.approx(0.025)
        assert unseen(n) == pytest.approx(3.7 / n, rel=0.04)


def test_limits_and_p_values_agree() -> None:
    rng = np.random.default_rng(4)
    values = rng.choice([-1.0, -0.25, 0.0, 0.125, 1.0], 80, p=[0.01, 0.1, 0.7, 0.15, 0.04])
    mean = BoundedMeans.of(values, -1.0, 1.0)
    for tail in (0.3, 0.025, 1e-4):
        assert float(mean.p_below(float(mean.high(tail)[0]))[0]) == pytest.approx(tail, rel=1e-4)
        assert float(mean.p_above(float(mean.low(tail)[0]))[0]) == pytest.approx(tail, rel=1e-4)
    below = [float(mean.p_below(x)[0]) for x in np.linspace(-0.9, 0.9, 40)]
    assert below == sorted(below, reverse=True), "the further the limit, the smaller the p value"


@pytest.mark.parametrize("bad", [1.5, -1.5, float("nan")])
def test_values_outside_of_their_range_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="bounded mean: got values from .* expected -1 to 1"):
        BoundedMeans.of(np.array([0.0, bad]), -1.0, 1.0)


def missed(support: Array, shares: Array, n: int, limit: str = "gaffke") -> float:
    """How often the mean of n values from three is above its upper limit: exact, over all samples."""
    first, second = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
    counts = np.stack([first, second, n - first - second], axis=-1).reshape(-1, 3)
    counts = counts[counts[:, 2] >= 0]
    probable = stats.multinomial.pmf(counts, n, shares)
    counts, probable = counts[probable > 1e-9], probable[probable > 1e-9]
    mean = float(support @ shares)
    if limit == "student":
        means = counts @ support / n
        errors = np.sqrt((counts @ support**2 / n - means**2).clip(0) / (n - 1))
        return float(probable[means + stats.t.isf(TAIL, n - 1) * errors < mean].sum())
    values = np.broadcast_to(support, counts.shape)
    known = BoundedMeans(values, counts, np.zeros(len(counts)), np.ones(len(counts)))
    return float(probable[known.p_below(mean) <= TAIL * (1 - 1e-9)].sum())


@pytest.mark.parametrize("n", [5, 10, 20, 40])
def test_no_distribution_is_found_that_is_missed_too_often(n: int) -> None:
    """A search uphill from random values and shares: it climbs towards 2.5 %, which two values reach, and stops."""
    rng = np.random.default_rng(n)

    def rate(x: Array) -> float:
        middle, top = np.sort(1 / (1 + np.exp(-x[:2])))
        shares = np.exp(x[2:] - x[2:].max())
        return missed(np.array([0.0, middle, top]), shares / shares.sum(), n)

    minimize: Any = optimize.minimize  # its stubs want arrays of one dimension
    best = 0.0
    for _ in range(3):
        start = max(rng.normal(0, 2, size=(8, 5)), key=rate)
        found = minimize(lambda x: -rate(x), start, method="Nelder-Mead", options={"maxfev": 120})
        best = max(best, -float(found.fun))
    print(f"\n{n} values: missed in {best:.5f} at worst", end="")
    assert 0.01 < best <= TAIL + 1e-5


def test_the_search_finds_what_is_wrong_with_student() -> None:
    assert missed(np.array([0.0, 0.1, 1.0]), np.array([0.9, 0.08, 0.02]), 40, "student") > 0.3


def guard(changes: Array) -> float:
    """Clopper-Pearson's limit for the share of samples that got worse, each counted as a whole loss."""
    got_worse = int((changes > 0).sum())
    return float(stats.beta.isf(TAIL, got_worse + 1, len(changes) - got_worse))


def changed(n: int, share: float, by: float) -> Array:
    """Changes of n samples: half of those that change lose and half gain."""
    k = round(n * share)
    return np.concatenate([np.full(k - k // 2, by), np.full(k // 2, -by), np.zeros(n - k)])


def limits_of(changes: Array, *, bounded: bool = True) -> tuple[float, float]:
    """The limits of a drop; those of values without bounds are a bootstrap's, and the guard's for few changes."""
    before, after = changes.clip(0), (-changes).clip(0)
    found = change(Mean(before, bounded=bounded), Mean(after, bounded=bounded), -1, seed=0)
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


@pytest.mark.parametrize(
    ("n", "share", "by", "of_guard", "points"),
    [(60, 0.1, 1 / 12, 0.6, 6.0), (450, 0.1, 0.1, 0.2, 0.89), (2000, 0.05, 0.2, 0.12, 0.28)],
)
def test_small_changes_are_not_counted_as_whole_losses(
    n: int, share: float, by: float, of_guard: float, points: float
) -> None:
    changes = changed(n, share, by)
    high = limits_of(changes)[1]
    print(
        f"\n{n} samples, {share:.0%} change by {by:.3f}: {100 * high:.2f}, guard {100 * guard(changes):.2f}", end=""
    )
    assert 100 * high == pytest.approx(points, abs=0.01)
    assert high <= of_guard * guard(changes)


@pytest.mark.parametrize("n", [60, 100, 450, 2000])
@pytest.mark.parametrize("share", [0.0, 0.005, 0.02, 0.1, 0.5])
@pytest.mark.parametrize("by", [1 / 12, 0.2, 1.0])
def test_limits_are_hardly_wider_than_what_held_before(n: int, share: float, by: float) -> None:
    """Than the guard everywhere; than a bootstrap where losses are whole, and it is right; where many are small, by no
    more than the losses that it does not know of."""
    changes = changed(n, share, by)
    low, high = limits_of(changes)
    before = limits_of(changes, bounded=False)
    assert high <= 1.1 * guard(changes)
    assert high <= 1.1 * before[1] + (0.0 if by == 1 else unseen(n))
    assert high - low <= 1.1 * (before[1] - before[0]) + (0.0 if by == 1 else 2 * unseen(n))
