"""Two levels: limits over seeds and samples cover what they promise, and what trainings have in common is found."""

from __future__ import annotations

import numpy as np
import pytest

from symbench.algebra.statistics.replicas import systematic, two_level

RUNS = 300


def first(means: np.ndarray) -> np.ndarray:
    found: np.ndarray = means[:, 0]
    return found


def drawn(
    rng: np.random.Generator, replicas: int, samples: int, between: float, columns: np.ndarray | None = None
) -> np.ndarray:
    """Values of mean 0.8: one part of each replica, one of each sample, and one of each pair of them."""
    own = 0.4 * rng.normal(size=(1, samples)) if columns is None else columns
    return 0.8 + between * rng.normal(size=(replicas, 1)) + own + 0.1 * rng.normal(size=(replicas, samples))


def test_the_estimate_is_the_mean_over_both() -> None:
    values = np.tile(np.arange(4.0), (3, 1))
    found = two_level([values, values + 2], lambda means: means[:, 1] - means[:, 0], seed=0)
    assert found.interval.estimate == pytest.approx(2.0)
    assert found.interval.low == pytest.approx(2.0), "what replicas and samples share cancels"
    assert found.interval.n == 4


@pytest.mark.parametrize(("replicas", "between"), [(5, 0.0), (5, 0.05), (5, 0.2), (3, 0.1), (10, 0.05)])
def test_limits_cover(replicas: int, between: float) -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for run in range(RUNS):
        found = two_level([drawn(rng, replicas, 100, between)], first, seed=run, resamples=400).interval
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 0.8 <= found.high
    assert hits / RUNS > 0.91, "95 % less what 300 runs vary by, and a little for few replicas"


def test_limits_over_samples_alone_do_not_cover() -> None:
    """The test above can fail: with samples drawn and replicas as they are, half of the runs miss."""
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(RUNS):
        values = drawn(rng, 5, 100, 0.2).mean(axis=0)
        half = 1.96 * values.std(ddof=1) / 10
        hits += abs(values.mean() - 0.8) <= half
    assert hits / RUNS < 0.7


def test_arms_are_paired_by_sample() -> None:
    rng = np.random.default_rng(2)
    own = 0.4 * rng.normal(size=(1, 400))
    one, other = (drawn(rng, 5, 400, 0.01, own) for _ in range(2))
    paired = two_level([one, other], lambda means: means[:, 0] - means[:, 1], seed=0)
    assert paired.samples < 0.2 * two_level([one], first, seed=0).samples


def test_standard_errors_are_those_of_an_analysis_of_variance() -> None:
    rng = np.random.default_rng(3)
    values = drawn(rng, 8, 300, 0.1)
    found = two_level([values], first, seed=0, resamples=20_000)
    assert found.replicas == pytest.approx(values.mean(axis=1).std(ddof=1) / 8**0.5, rel=0.03)
    assert found.samples == pytest.approx(values.mean(axis=0).std() / 300**0.5, rel=0.03)


def test_one_training_says_nothing_of_trainings() -> None:
    found = two_level([np.random.default_rng(0).normal(size=(1, 50))], first, seed=0)
    assert found.interval.low is None


def test_groups_of_other_samples_are_refused() -> None:
    with pytest.raises(ValueError, match=r"groups of \[4, 5\] samples"):
        two_level([np.zeros((2, 4)), np.zeros((2, 5))], first, seed=0)


def test_a_statistic_without_a_value_has_no_limits() -> None:
    found = two_level([np.zeros((2, 4))], lambda means: means[:, 0] * np.nan, seed=0)
    assert np.isnan(found.interval.estimate)
    assert found.interval.high is None


def members(rng: np.random.Generator, count: int, common: float, wide: float) -> np.ndarray:
    """Deviations ``(members, 100, 3)``: one part that all have, a few directions of each one's own, and noise."""
    shared = common * rng.normal(size=(1, 100, 3))
    directions = rng.normal(size=(8, 100, 3))
    own = wide * np.einsum("mk,knd->mnd", rng.normal(size=(count, 8)) / 8**0.5, directions)
    return shared + own + rng.normal(size=(count, 100, 3))


def test_pairs_are_what_a_loop_makes_of_them() -> None:
    d = members(np.random.default_rng(0), 4, 0.5, 0.5)
    pairs = [(d[i] * d[j]).sum(axis=1).mean() for i in range(4) for j in range(4) if i != j]
    found = systematic(d, seed=0)
    assert found.common.estimate == pytest.approx(np.mean(pairs))
    assert found.own.estimate == pytest.approx((d**2).sum(axis=2).mean())
    assert found.share.estimate == pytest.approx(found.common.estimate / found.own.estimate)


@pytest.mark.parametrize(
    ("count", "common", "wide"), [(5, 0.0, 0.0), (5, 0.0, 2.0), (5, 0.5, 1.0), (20, 0.3, 1.0), (3, 0.5, 0.5)]
)
def test_limits_of_what_is_common_cover(count: int, common: float, wide: float) -> None:
    rng = np.random.default_rng(4)
    truth = common**2 / (1 + common**2 + wide**2)
    hits = 0
    for run in range(RUNS):
        found = systematic(members(rng, count, common, wide), seed=run, resamples=200).share
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= truth <= found.high
    assert hits / RUNS > 0.91


def test_what_all_break_alike_is_seen_with_five() -> None:
    """The limits are not so wide that nothing is ever found."""
    rng = np.random.default_rng(5)
    found = [systematic(members(rng, 5, 0.5, 0.5), seed=0, resamples=200).share.low for _ in range(50)]
    assert sum(low is not None and low > 0 for low in found) > 40


def test_one_member_has_nothing_in_common() -> None:
    with pytest.raises(ValueError, match="one member"):
        systematic(np.zeros((1, 4, 2)), seed=0)
