"""Intervals against scipy and statsmodels, and their coverage on simulated orbits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from symbench import statistics


def orbits(rng: np.random.Generator, n: int, k: int, p: float, correlation: float = 0.5) -> np.ndarray:
    """Correlated 0/1 outcomes ``(k, n)``: every sample has its own success rate, Beta with mean p."""
    total = 1 / correlation - 1
    rate = rng.beta(p * total, (1 - p) * total, size=n)
    return (rng.random((k, n)) < rate).astype(float)


def test_single_outcomes_get_wilsons_interval() -> None:
    values = np.array([1.0] * 700 + [0.0] * 300)
    found = statistics.bounded_mean(values)
    low, high = proportion_confint(700, 1000, method="wilson")
    assert found.estimate == pytest.approx(0.7)
    assert found.low == pytest.approx(low, abs=1e-4)  # a t quantile instead of a normal one
    assert found.high == pytest.approx(high, abs=1e-4)


@pytest.mark.parametrize("wrong", [0, 1, 19])
def test_few_deviating_samples_get_the_exact_interval(wrong: int) -> None:
    values = np.array([0.0] * wrong + [1.0] * (450 - wrong))
    found = statistics.bounded_mean(values)
    exact = stats.binomtest(450 - wrong, 450).proportion_ci(method="exact")
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))
    assert found.low is not None
    assert found.low < 1, "all ones is not [1, 1]"


@pytest.mark.parametrize("p", [0.5, 0.9])
def test_clustered_means_cover_and_the_naive_interval_does_not(p: float) -> None:
    rng = np.random.default_rng(1)
    covered = naive = 0
    for _ in range(600):
        seen = orbits(rng, 200, 24, p)
        found = statistics.bounded_mean(seen.mean(axis=0))
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= p <= found.high
        low, high = proportion_confint(seen.sum(), seen.size, method="wilson")
        naive += low <= p <= high
    assert 0.93 <= covered / 600 <= 0.975
    assert naive / 600 < 0.7, "observations of one orbit are not independent"


def test_rounding_does_not_count_as_deviation() -> None:
    """Weighted sums that should be equal differ in the last digit: the interval must not collapse."""
    weights = np.full(26, 1 / 26)
    seen = np.ones((26, 450))
    seen[np.random.default_rng(0).integers(26, size=450), np.arange(450)] = 0
    found = statistics.bounded_mean(weights @ seen)
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low > 0.02


def test_ratio_is_a_paired_bootstrap() -> None:
    rng = np.random.default_rng(2)
    below = rng.gamma(2.0, size=300)
    above = below * rng.uniform(0.4, 0.6, size=300)
    found = statistics.ratio(above, below, seed=0)
    assert found.estimate == pytest.approx(above.mean() / below.mean())
    draws = [rng.integers(300, size=300) for _ in range(4000)]
    loop = [above[d].mean() / below[d].mean() for d in draws]
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(loop, [0.025, 0.975])), rel=0.01)
    assert found == statistics.ratio(above, below, seed=0), "the seed decides"


def test_ratio_covers() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(300):
        below = rng.gamma(2.0, size=100)
        found = statistics.ratio(below * rng.uniform(0, 1, size=100), below, seed=int(rng.integers(1 << 30)))
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.5 <= found.high
    assert 0.90 <= covered / 300 <= 0.98


def test_smallest_mean_covers_the_smallest_of_equal_means() -> None:
    """All elements equally accurate: the observed minimum is below, the interval has to reach up to the truth."""
    rng = np.random.default_rng(4)
    covered = below = 0
    for _ in range(120):
        seen = orbits(rng, 200, 24, 0.8)
        found = statistics.smallest_mean(seen, seed=0)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.8 <= found.high
        below += found.estimate < 0.8
    assert below > 100, "a minimum of noisy means is biased"
    assert covered / 120 >= 0.93


def test_smallest_mean_of_perfect_elements_is_not_certain() -> None:
    found = statistics.smallest_mean(np.ones((5, 100)), seed=0)
    assert found.estimate == 1
    assert found.high == 1
    assert found.low is not None
    assert 0.9 < found.low < 1


def test_quantile_of_clusters() -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(200):
        seen = rng.exponential(size=200)[None] * rng.uniform(0.999, 1.001, size=(8, 200))
        found = statistics.quantile(seen, 0.9)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= stats.expon.ppf(0.9) <= found.high
    assert 0.9 <= covered / 200 <= 0.99


def test_one_sample_has_no_bootstrap() -> None:
    found = statistics.ratio(np.ones(1), np.full(1, 2.0), seed=0)
    assert (found.estimate, found.low, found.high) == (0.5, None, None)
