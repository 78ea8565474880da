"""Intervals and tests against scipy, statsmodels and loops. Their coverage is in test_coverage.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from symbench.algebra import statistics
from symbench.algebra.statistics import Confidence, Interval
from symbench.algebra.statistics.single import binomial_quantile


def limits(found: Interval) -> tuple[float, float]:
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


def exact(hits: int, n: int) -> tuple[float, float]:
    found = stats.binomtest(hits, n).proportion_ci(method="exact")
    return found.low, found.high


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


def test_ratio_is_a_studentised_bootstrap_of_pairs() -> None:
    rng = np.random.default_rng(2)
    below = rng.gamma(2.0, size=300)
    above = below * rng.exponential(size=300)
    found = statistics.ratio(above, below, seed=0)
    ratio = above.mean() / below.mean()
    assert found.estimate == pytest.approx(ratio)

    def error(a: np.ndarray, b: np.ndarray) -> float:
        return float((a - a.mean() / b.mean() * b).std() / b.mean() / np.sqrt(300))

    t = []
    for _ in range(6000):
        a, b = np.stack([above, below])[:, rng.integers(300, size=300)]
        t.append((a.mean() / b.mean() - ratio) / error(a, b))
    loop = ratio - np.quantile(t, [0.975, 0.025]) * error(above, below)
    assert limits(found) == pytest.approx(tuple(loop), rel=0.01)
    assert found == statistics.ratio(above, below, seed=0), "the seed decides"
    assert found != statistics.ratio(above, below, seed=1)
    order = rng.permutation(300)
    assert limits(statistics.ratio(above[order], below[order], seed=0)) == pytest.approx(limits(found)), (
        "not the order"
    )


@pytest.mark.parametrize("moved", [0, 1, 5, 19])
def test_a_ratio_of_which_few_samples_know_is_widened(moved: int) -> None:
    """An unseen sample may deviate as far as ``below`` at its largest: 2."""
    above, below = np.zeros(200), np.full(200, 1.0)
    above[:moved] = 0.5
    below[100:150] = 2.0
    found = limits(statistics.ratio(above, below, seed=0))
    high = stats.beta.ppf(0.975, 0.25 * moved + 1, 200 - 0.25 * moved) * 2 / 1.25
    assert found[1] == pytest.approx(high)
    assert found[0] == 0


def test_a_ratio_of_rounding_is_no_ratio_of_zeros() -> None:
    rng = np.random.default_rng(3)
    below = rng.gamma(2.0, size=200)
    noise = 1e-15 * below * rng.exponential(size=200)
    assert limits(statistics.ratio(noise, below, seed=0))[1] < 2e-15
    noise[:3] = 1.0
    assert limits(statistics.ratio(noise, below, seed=0))[1] > 0.03, "three samples carry it"


def test_a_mean_without_a_scale_has_no_limits() -> None:
    assert statistics.mean(np.full(50, 0.1), seed=0).low is None
    low, high = limits(statistics.mean(np.array([3.0] + [0.0] * 99), seed=0))
    assert low == 0
    assert high == pytest.approx(6 * stats.beta.ppf(0.975, 1.5, 99.5)), "twice the one difference seen is the scale"


def test_a_mean_of_normal_values_has_students_interval() -> None:
    values = np.random.default_rng(4).standard_normal(100)
    expected = stats.ttest_1samp(values, 0).confidence_interval()
    assert limits(statistics.mean(values, seed=0)) == pytest.approx((expected.low, expected.high), abs=0.02)


def test_a_ratio_to_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="divisor of mean 0, expected more than 0"):
        statistics.ratio(np.ones(3), np.zeros(3), seed=0)


def test_equal_rows_are_drawn_as_one() -> None:
    """Against scipy's bootstrap, of the same spread; and the order of samples changes nothing."""
    rng = np.random.default_rng(5)
    rows = rng.integers(3, size=(120, 2)).astype(float)
    found = statistics.resampled_means(rows, seed=0)
    assert found.shape == (statistics.RESAMPLES, 2)
    assert found == pytest.approx(statistics.resampled_means(rows[::-1], seed=0))
    assert found.mean(axis=0) == pytest.approx(rows.mean(axis=0), abs=0.01)
    expected = stats.bootstrap((rows,), np.mean, axis=0, method="percentile", rng=rng).standard_error
    assert found.std(axis=0) == pytest.approx(expected, rel=0.05)
    assert np.corrcoef(found.T)[0, 1] == pytest.approx(np.corrcoef(rows.T)[0, 1], abs=0.1), (
        "columns by the same draws"
    )
    assert len(np.unique(statistics.resampled_means(np.ones((50, 1)), seed=0))) == 1


def test_ratio_covers() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for i in range(300):
        below = rng.gamma(2.0, size=100)
        found = statistics.ratio(below * rng.uniform(0, 1, size=100), below, seed=i, resamples=400)
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
        found = statistics.smallest_mean(seen)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.8 <= found.high
        below += found.estimate < 0.8
    assert below > 100, "a minimum of noisy means is biased"
    assert covered / 120 >= 0.93


def test_smallest_mean_of_perfect_elements_is_not_certain() -> None:
    found = statistics.smallest_mean(np.ones((5, 100)))
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


def test_quantiles_of_single_values_are_between_exact_ranks() -> None:
    values = np.arange(1.0, 201.0)
    found = statistics.quantile(np.stack([values, values]), 0.95)
    ranks = stats.binom.ppf(0.025, 200, 0.95), stats.binom.ppf(0.975, 200, 0.95) + 1
    assert limits(found) == pytest.approx(ranks)


@pytest.mark.parametrize(("n", "has"), [(71, False), (72, True)])
def test_the_largest_of_few_is_no_limit_of_a_quantile(n: int, has: bool) -> None:
    assert (0.95**n <= 0.025) == has
    assert (statistics.quantile(np.arange(float(n))[None], 0.95).high is not None) == has


def test_smallest_mean_of_valid_samples_only() -> None:
    rng = np.random.default_rng(6)
    values = (rng.random((4, 300)) < [[0.9], [0.6], [0.7], [0.1]]).astype(float)
    valid = np.ones((4, 300), dtype=bool)
    assert statistics.smallest_mean(values, valid) == statistics.smallest_mean(values)
    valid[3] = False
    valid[1, values[1] == 0] = False
    values[~valid] = np.nan
    found = statistics.smallest_mean(values, valid)
    assert found.estimate == pytest.approx(values[2].mean()), "one is left out, one is right where it is valid"
    assert found.n == 300
    assert limits(found)[0] == pytest.approx(limits(statistics.bounded_mean(values[2]))[0])


def test_smallest_mean_of_no_valid_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="no element has a valid sample"):
        statistics.smallest_mean(np.ones((2, 9)), np.zeros((2, 9), dtype=bool))
    with pytest.raises(ValueError, match=r"valid of shape \(9,\), expected that of values, \(2, 9\)"):
        statistics.smallest_mean(np.ones((2, 9)), np.ones(9, dtype=bool))


def test_smallest_mean_covers_with_a_mask() -> None:
    """Half of the samples count at every other element."""
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(200):
        seen = orbits(rng, 300, 8, 0.8)
        valid = np.ones(seen.shape, dtype=bool)
        valid[::2] = rng.random(300) < 0.5
        low, high = limits(statistics.smallest_mean(seen, valid))
        covered += low <= 0.8 <= high
    assert covered / 200 >= 0.93


def changed(n: int, lost: int, gained: int) -> tuple[np.ndarray, np.ndarray]:
    """0/1 correctness before and after."""
    before, after = np.ones(n), np.ones(n)
    after[:lost] = 0
    before[lost : lost + gained] = 0
    return before, after


@pytest.mark.parametrize(("lost", "gained"), [(0, 0), (7, 0), (0, 3), (12, 5), (19, 0)])
def test_few_changes_are_bounded_exactly(lost: int, gained: int) -> None:
    found = statistics.difference(*changed(100, lost, gained), seed=0)
    (lost_low, lost_high), (gained_low, gained_high) = exact(lost, 100), exact(gained, 100)
    assert found.estimate == pytest.approx((gained - lost) / 100)
    assert limits(found) == pytest.approx((gained_low - lost_high, gained_high - lost_low))


def test_equal_arrays_are_not_known_to_be_identical() -> None:
    same = np.random.default_rng(8).random(450)
    assert limits(statistics.difference(same, same, seed=0)) == pytest.approx((-0.0082, 0.0082), abs=1e-4)


def test_everything_lost_is_not_certain_either() -> None:
    low, high = limits(statistics.difference(np.ones(450), np.zeros(450), seed=0))
    assert low == -1
    assert -1 < high < -0.98


def test_differences_are_paired() -> None:
    rng = np.random.default_rng(9)
    before = rng.normal(5, 3, size=400)
    after = before + rng.normal(0.2, 0.1, size=400)
    found = statistics.difference(before, after, seed=0)
    expected = stats.ttest_rel(after, before).confidence_interval()
    assert limits(found) == pytest.approx((expected.low, expected.high), abs=0.001)
    unpaired = statistics.difference(before, rng.permutation(after), seed=0)
    assert limits(unpaired)[1] - limits(unpaired)[0] > 10 * (limits(found)[1] - limits(found)[0])


def test_a_drop_at_the_margin_passes_rarely() -> None:
    """1 % of 100 samples lost: a plain bootstrap sees none of them in 37 % of draws, and is then sure."""
    passes = plain = 0.0
    for lost, share in enumerate(stats.binom.pmf(np.arange(20), 100, 0.01)):
        before, after = changed(100, lost, 0)
        passes += share * (limits(statistics.difference(before, after, seed=0))[0] >= -0.01)
        replicates = statistics.resampled_means((after - before)[:, None], seed=0)
        plain += share * (np.quantile(replicates, 0.025) >= -0.01)
    assert passes <= 0.025
    assert plain > 0.35


def pairs(seed: int, n: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Numerators and divisors of two ratios of correlated samples, 0.5 and 0.8."""
    rng = np.random.default_rng(seed)
    below = rng.gamma(4.0, size=n)
    difficulty = rng.gamma(4.0, 0.25, size=n)
    return 0.5 * below * difficulty, below, 0.8 * below * difficulty * rng.uniform(0.9, 1.1, size=n), below


@pytest.mark.parametrize("root", [False, True])
def test_ratios_are_compared_by_the_same_draws(root: bool) -> None:
    columns = np.stack(pairs(10))
    found = statistics.ratio_difference(*columns, seed=0, root=root)

    def change(at: np.ndarray) -> float:
        a, b, c, d = columns[:, at].mean(axis=1)
        return float(np.sqrt(c / d) - np.sqrt(a / b) if root else c / d - a / b)

    rng = np.random.default_rng(11)
    loop = np.quantile([change(rng.integers(400, size=400)) for _ in range(4000)], [0.025, 0.975])
    assert found.estimate == pytest.approx(change(np.arange(400)))
    assert limits(found) == pytest.approx(tuple(loop), rel=0.02)
    a, b, c, d = columns
    apart = statistics.ratio(c, d, seed=0), statistics.ratio(a, b, seed=0)
    independent = sum(high - low for low, high in map(limits, apart))
    assert root or limits(found)[1] - limits(found)[0] < 0.6 * independent, "pairs vary together"


def test_a_difference_of_ratios_covers() -> None:
    truth = np.sqrt(0.8) - np.sqrt(0.5)
    covered = 0
    for seed in range(300):
        low, high = limits(statistics.ratio_difference(*pairs(seed, 100), seed=seed, root=True, resamples=400))
        covered += low <= truth <= high
    assert covered / 300 >= 0.92


@pytest.mark.parametrize("root", [False, True])
@pytest.mark.parametrize("moved", [0, 4])
def test_a_difference_of_which_few_samples_know_is_squared_and_added(moved: int, root: bool) -> None:
    above, below = np.zeros(200), np.full(200, 2.0)
    above[:moved] = 1
    after, _, _, _ = pairs(12, 200)
    found = statistics.ratio_difference(above, below, after, below, seed=0, root=root)
    transform = np.sqrt if root else np.asarray
    alone = [statistics.ratio(values, below, seed=0) for values in (above, after)]
    (low_0, high_0), (low_1, high_1) = (transform(limits(one)) for one in alone)
    value_0, value_1 = (transform(one.estimate) for one in alone)
    low, high = limits(found)
    assert low <= value_1 - value_0 - np.hypot(value_1 - low_1, high_0 - value_0) + 1e-12
    assert high >= value_1 - value_0 + np.hypot(high_1 - value_1, value_0 - low_0) - 1e-12


def test_a_root_of_a_negative_ratio_is_refused() -> None:
    with pytest.raises(ValueError, match="numerator is negative"):
        statistics.ratio_difference(-np.ones(30), np.ones(30), np.ones(30), np.ones(30), seed=0, root=True)


@pytest.mark.parametrize(("lost", "gained"), [(0, 0), (3, 3), (1, 9), (24, 0), (14, 10)])
def test_mcnemar_of_few_is_exact(lost: int, gained: int) -> None:
    found = statistics.mcnemar(*changed(200, lost, gained))
    assert (found.lost, found.gained) == (lost, gained)
    expected = stats.binomtest(lost, lost + gained, 0.5).pvalue if lost + gained else 1.0
    assert found.p_value == pytest.approx(expected)


@pytest.mark.parametrize(("lost", "gained"), [(25, 0), (15, 10), (40, 60)])
def test_mcnemar_of_many_is_chi_squared(lost: int, gained: int) -> None:
    found = statistics.mcnemar(*changed(200, lost, gained))
    assert found.p_value == pytest.approx(stats.chi2.sf((abs(lost - gained) - 1) ** 2 / (lost + gained), 1))


def test_mcnemar_of_shares_is_refused() -> None:
    with pytest.raises(ValueError, match=r"got 0\.5, expected 0 or 1"):
        statistics.mcnemar(np.array([1.0, 0.5]), np.array([1.0, 1.0]))


def test_holm_is_its_definition() -> None:
    p = np.random.default_rng(13).random(7) ** 3
    order = np.argsort(p)
    expected = np.empty(7)
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (7 - rank) * p[i]))
        expected[i] = largest
    assert statistics.holm(p) == pytest.approx(expected)


@pytest.mark.parametrize("bad", [[0.1, np.nan], [0.1, 1.2], [-0.1], []])
def test_holm_takes_probabilities_only(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="holm: "):
        statistics.holm(np.array(bad))


@pytest.mark.parametrize(("matches", "power"), [(3, 0.95), (20, 0.8)])
def test_the_smallest_detectable_difference_is_found_with_its_power(matches: int, power: float) -> None:
    found = statistics.smallest_detectable_difference(0.02, matches=matches, power=power)
    threshold = stats.norm.isf(0.05 / matches, scale=0.02)
    assert stats.norm.sf(threshold, loc=found, scale=0.02) == pytest.approx(power)


def test_no_change_passes_a_margin_as_large_as_is_detectable() -> None:
    margin = statistics.smallest_detectable_difference(0.02)
    room = margin - stats.norm.isf(0.025, scale=0.02)  # what an estimate may be for its upper limit to pass
    assert stats.norm.cdf(room, scale=0.02) == pytest.approx(0.95)


@pytest.mark.parametrize("bad", [{"standard_error": np.nan}, {"standard_error": -1}, {"matches": 0}, {"power": 1}])
def test_no_difference_is_detectable_by_nonsense(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="smallest_detectable_difference: got"):
        statistics.smallest_detectable_difference(**{"standard_error": 0.1, **bad})


ONE = np.array([0.5, np.nan, 1.0])
FINE = np.ones(3)


@pytest.mark.parametrize(
    "call",
    [
        lambda: statistics.bounded_mean(ONE),
        lambda: statistics.mean(ONE, seed=0),
        lambda: statistics.ratio(FINE, ONE, seed=0),
        lambda: statistics.smallest_mean(np.stack([FINE, ONE])),
        lambda: statistics.quantile(ONE[None], 0.5),
        lambda: statistics.difference(FINE, ONE, seed=0),
        lambda: statistics.ratio_difference(FINE, FINE, ONE, FINE, seed=0, root=True),
        lambda: statistics.mcnemar(FINE, ONE),
    ],
    ids=["bounded_mean", "mean", "ratio", "smallest_mean", "quantile", "difference", "ratio_difference", "mcnemar"],
)
def test_nan_never_has_an_interval(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="1 values are not finite"):
        call()


@pytest.mark.parametrize("other", [np.ones(4), np.ones(0)])
def test_samples_that_do_not_pair_are_refused(other: np.ndarray) -> None:
    for call in (statistics.difference, statistics.ratio):
        with pytest.raises(ValueError, match=f"got 3 and {len(other)} values"):
            call(FINE, other, seed=0)


def test_one_sample_has_no_bootstrap() -> None:
    found = statistics.ratio(np.ones(1), np.full(1, 2.0), seed=0)
    assert (found.estimate, found.low, found.high) == (0.5, None, None)


@pytest.mark.parametrize("p", [0.05, 0.5, 0.95, 0.99])
def test_binomial_quantiles_are_those_of_scipy(p: float) -> None:
    for n in (1, 2, 7, 72, 1000, 123_457):
        for level in (0.001, 0.025, 0.3, 0.8, 0.975, 0.999):
            assert binomial_quantile(level, n, p) == stats.binom.ppf(level, n, p)


def test_a_number_that_cannot_leave_a_range_keeps_its_p_values() -> None:
    wide = Confidence(0.3, -0.014, 0.604, 20, 0.15)
    cut = wide.within(0.0, 1.0)
    assert (cut.low, cut.high, cut.estimate) == (0.0, 0.604, 0.3)
    assert (cut.turned().low, cut.turned().high) == (-0.604, 0.0), "at least 0 is certain"
    for limit in (-0.1, 0.0, 0.2, 0.5):
        assert cut.p_above(limit) == wide.p_above(limit)
        assert cut.turned().p_above(-limit) == pytest.approx(wide.turned().p_above(-limit))
    bare = Confidence(0.3, None, None, 20, 0.15)
    assert bare.within(0.0, 1.0) == bare
