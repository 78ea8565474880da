"""What metrics are functions of, and how much worse one got: against scipy, jackknives and loops.

How often decisions by it err is in test_operating.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize, stats

from symbench.algebra import statistics
from symbench.algebra.statistics import (
    Array,
    Confidence,
    Interval,
    Mean,
    Quantile,
    Ratio,
    Sampled,
    Smallest,
    absolute,
    change,
    relative_change,
)
from symbench.algebra.statistics.bounded import BoundedMeans
from symbench.read.gate.decide import Question, decided

N = 200
RNG = np.random.default_rng(0)
SHARES = RNG.integers(0, 9, N) / 8
LATER = np.where(RNG.random(N) < 0.6, SHARES, RNG.integers(0, 7, N) / 8)
WHERE = RNG.random(N) < 0.7
SIZE = RNG.gamma(4.0, size=N)
LOSSES = RNG.exponential(size=N)
RIGHT = 1.0 * (RNG.random((4, N)) < [[0.9], [0.6], [0.75], [0.8]])
VALID = RNG.random((4, N)) < 0.8
SPREAD = RNG.exponential(size=(3, N)) + RNG.exponential(size=N)

SAMPLED: dict[str, Callable[[Array], Sampled]] = {
    "shares": lambda at: Mean(SHARES[at]),
    "masked": lambda at: Mean(SHARES[at], WHERE[at]),
    "losses": lambda at: Mean(LOSSES[at], bounded=False),
    "ratio": lambda at: Ratio(SHARES[at] * SIZE[at], SIZE[at]),
    "root": lambda at: Ratio(SHARES[at] * SIZE[at], SIZE[at], root=True),
    "complement": lambda at: Ratio(SHARES[at] * SIZE[at], SIZE[at], complement=True),
    "smallest": lambda at: Smallest(RIGHT[:, at], VALID[:, at]),
}
ALL = np.arange(N)


def expected_estimate(name: str) -> float:
    share = sum(SHARES * SIZE) / sum(SIZE)
    return float(
        {
            "shares": sum(SHARES) / N,
            "masked": sum(SHARES[WHERE]) / sum(WHERE),
            "losses": sum(LOSSES) / N,
            "ratio": share,
            "root": share**0.5,
            "complement": 1 - share,
            "smallest": min(sum(row[mine]) / sum(mine) for row, mine in zip(RIGHT, VALID, strict=True)),
        }[name]
    )


@pytest.mark.parametrize("name", SAMPLED)
def test_influence_is_the_jackknifes(name: str) -> None:
    value = SAMPLED[name](ALL)
    assert value.estimate == pytest.approx(expected_estimate(name))
    assert value.samples == N
    without = np.array([SAMPLED[name](np.delete(ALL, i)).estimate for i in range(N)])
    jackknife = (N - 1) * (without.mean() - without)
    assert value.influence().mean() == pytest.approx(0, abs=1e-9)
    assert value.influence() == pytest.approx(jackknife, rel=0.05, abs=0.02)


def test_influence_on_a_quantile_has_the_bootstraps_error() -> None:
    value = Quantile(SPREAD, 0.9)
    assert value.estimate == np.quantile(SPREAD, 0.9)
    rng = np.random.default_rng(1)
    found = [np.quantile(SPREAD[:, rng.integers(N, size=N)], 0.9) for _ in range(2000)]
    assert value.influence().mean() == pytest.approx(0, abs=1e-9)
    assert value.influence().std(ddof=1) / np.sqrt(N) == pytest.approx(np.std(found), rel=0.15)
    assert np.corrcoef(value.influence(), (value.estimate < SPREAD).mean(axis=0))[0, 1] == pytest.approx(1)


def test_intervals_are_those_of_the_functions() -> None:
    share = statistics.ratio(SHARES * SIZE, SIZE, seed=3)
    assert share.low is not None
    assert share.high is not None
    for name, expected in {
        "shares": statistics.bounded_mean(SHARES),
        "masked": statistics.bounded_mean(SHARES[WHERE]),
        "losses": statistics.mean(LOSSES, seed=3),
        "ratio": share,
        "root": Interval(share.estimate**0.5, share.low**0.5, share.high**0.5, N),
        "complement": Interval(1 - share.estimate, 1 - share.high, 1 - share.low, N),
        "smallest": statistics.smallest_mean(RIGHT, VALID),
    }.items():
        assert SAMPLED[name](ALL).interval(seed=3) == expected, name
    assert Quantile(SPREAD, 0.9).interval(seed=3) == statistics.quantile(SPREAD, 0.9)
    assert SAMPLED["masked"](ALL).n == WHERE.sum()
    assert SAMPLED["shares"](ALL).n == N


def of(found: Interval, worse: int) -> tuple[float, float, float]:
    assert found.low is not None
    assert found.high is not None
    low, high = sorted((worse * found.low, worse * found.high))
    return worse * found.estimate, low, high


def numbers(confidence: Confidence) -> tuple[float, float, float]:
    assert confidence.low is not None
    assert confidence.high is not None
    return confidence.estimate, confidence.low, confidence.high


def by_weights(changes: Array, lowest: float, highest: float) -> tuple[float, float]:
    """The limits of a bounded mean by drawing Dirichlet weights, a loop's worth of them."""
    drawn = np.random.default_rng(11).exponential(size=(20_000, len(changes) + 1))
    drawn /= drawn.sum(axis=1, keepdims=True)
    low, high = (np.quantile(drawn @ [*changes, end], q) for end, q in ((lowest, 0.025), (highest, 0.975)))
    return float(low), float(high)


@pytest.mark.parametrize("worse", [1, -1])
def test_means_are_compared_by_their_paired_difference(worse: int) -> None:
    found = change(Mean(SHARES), Mean(LATER), worse, seed=2)
    assert found.estimate == pytest.approx(worse * (LATER - SHARES).mean())
    assert numbers(found)[1:] == pytest.approx(by_weights(worse * (LATER - SHARES), -1, 1), abs=2e-3)
    assert found.error == pytest.approx(stats.sem(LATER - SHARES))
    assert found.holds
    masked = change(Mean(SHARES, WHERE), Mean(LATER, WHERE.copy()), worse, seed=2)
    assert numbers(masked) == numbers(change(Mean(SHARES[WHERE]), Mean(LATER[WHERE]), worse, seed=2))
    assert masked.n == WHERE.sum()


@pytest.mark.parametrize("worse", [1, -1])
def test_means_without_bounds_are_compared_by_a_bootstrap(worse: int) -> None:
    later = LOSSES * RNG.uniform(0.8, 1.3, N)
    found = change(Mean(LOSSES, bounded=False), Mean(later, bounded=False), worse, seed=2)
    assert numbers(found) == of(statistics.difference(LOSSES, later, seed=2), worse)
    assert found.error == pytest.approx(stats.sem(later - LOSSES))
    assert not found.holds


@pytest.mark.parametrize("first", [None, WHERE])
def test_means_over_other_samples_are_compared_by_what_each_sample_adds(first: Array | None) -> None:
    """Against a bootstrap of both with the same draws; the limits allow for what was not seen."""
    other = ~WHERE | (ALL % 2 == 0)
    found = change(Mean(SHARES, first), Mean(LATER, other), -1, seed=2)
    mine = np.ones(N, dtype=bool) if first is None else first
    rng = np.random.default_rng(4)
    draws = [rng.integers(N, size=N) for _ in range(4000)]
    loop = [SHARES[at][mine[at]].mean() - LATER[at][other[at]].mean() for at in draws]
    assert found.estimate == pytest.approx(SHARES[mine].mean() - LATER[other].mean())
    unseen = (1 / mine.mean() + 1 / other.mean()) / 2 / N
    wider = np.quantile(loop, [0.025, 0.975]) + np.array([-unseen, unseen])
    assert numbers(found)[1:] == pytest.approx(tuple(wider), abs=0.012)
    assert found.error == pytest.approx(np.std(loop), rel=0.06)
    assert found.holds
    assert change(Mean(SHARES), Mean(SHARES, other), 1, seed=0).error > 0, "other samples are never identical"


@pytest.mark.parametrize("form", [{}, {"root": True}, {"complement": True}], ids=["plain", "root", "complement"])
@pytest.mark.parametrize("worse", [1, -1])
def test_ratios_are_compared_by_their_paired_difference(form: dict[str, bool], worse: int) -> None:
    found = change(Ratio(SHARES * SIZE, SIZE, **form), Ratio(LATER * SIZE, SIZE, **form), worse, seed=2)
    turned = -worse if form.get("complement") else worse
    expected = statistics.ratio_difference(SHARES * SIZE, SIZE, LATER * SIZE, SIZE, seed=2, root="root" in form)
    assert numbers(found) == pytest.approx(of(expected, turned))
    rng = np.random.default_rng(4)
    loop = []
    for _ in range(2000):
        at = rng.integers(N, size=N)
        a, b = (sum(shares[at] * SIZE[at]) / sum(SIZE[at]) for shares in (SHARES, LATER))
        loop.append(b**0.5 - a**0.5 if "root" in form else b - a)
    assert found.error == pytest.approx(np.std(loop), rel=0.06)


def lost(k: int = 4) -> tuple[Smallest, Smallest]:
    """One element is clearly the worst, before and after."""
    rng = np.random.default_rng(5)
    before = 1.0 * (rng.random((k, N)) < np.linspace(0.2, 0.95, k)[:, None])
    after = np.where(rng.random((k, N)) < 0.4, before, 1.0 * (rng.random((k, N)) < 0.15))
    after[1:] = before[1:]
    return Smallest(before, before > -1), Smallest(after, before > -1)


def test_a_clear_minimum_has_the_bootstraps_limits() -> None:
    before, after = lost()
    found = change(before, after, -1, seed=0)
    rng = np.random.default_rng(6)
    draws = [rng.integers(N, size=N) for _ in range(4000)]
    loop = [before.values[:, at].mean(1).min() - after.values[:, at].mean(1).min() for at in draws]
    assert found.estimate == pytest.approx(before.estimate - after.estimate)
    assert numbers(found)[1:] == pytest.approx(
        tuple(np.quantile(loop, [0.025, 0.975]) + np.array([-1, 1]) / N), abs=0.01
    )
    assert found.error == pytest.approx(np.std(loop), rel=0.1)


def test_a_minimum_of_near_ties_has_simultaneous_limits() -> None:
    """The definition, in loops over pairs, with limits at a level shared by all that may be chosen."""
    rng = np.random.default_rng(7)
    before, after = (1.0 * (rng.random((3, N)) < 0.8) for _ in range(2))
    valid = np.ones((3, N), dtype=bool)
    found = change(Smallest(before, valid), Smallest(after, valid), -1, seed=0)
    pairs = [[BoundedMeans.of(b - a, -1.0, 1.0) for a in after] for b in before]

    def each(differences: Array) -> float:
        """The level at which the smallest of three correlated p values is below it in 2.5 % less what was spent."""
        normal = stats.multivariate_normal(cov=np.corrcoef(differences))
        score = optimize.brentq(lambda z: float(1 - normal.cdf(np.full(3, z)) - (0.025 - 1e-4)), 1, 4)
        return float(stats.norm.sf(score))

    level = each(before - after[after.mean(1).argmin()])
    highs = [[float(pair.high(level)[0]) for pair in row] for row in pairs]
    best = max(min(highs[j][k] for j in range(3)) for k in range(3))
    assert found.high == pytest.approx(best, abs=0.002)
    assert found.high is not None
    assert found.high >= best - 0.0005, (
        "which pair is taken may cost something, and never gain: but for the level's draws"
    )
    level = each(after - before[before.mean(1).argmin()])
    lows = [[float(pair.low(level)[0]) for pair in row] for row in pairs]
    assert found.low == pytest.approx(min(max(row) for row in lows), abs=0.002)


def test_a_minimum_of_few_changes_allows_for_the_unseen() -> None:
    values, valid = np.ones((4, 100)), np.ones((4, 100), dtype=bool)
    same = change(Smallest(values, valid), Smallest(values.copy(), valid), -1, seed=0)
    assert same.estimate == 0
    assert same.high == pytest.approx(1 - ((0.025 - 1e-4) / 4) ** (1 / 100)), "Clopper-Pearson's for none of 100"
    after = values.copy()
    after[1, :3] = 0
    after[2, 3:5] = 0
    found = change(Smallest(values, valid), Smallest(after, valid), -1, seed=0)
    assert found.estimate == pytest.approx(0.03)
    assert numbers(found)[2] >= stats.binomtest(3, 100).proportion_ci(method="exact").high - 1e-12, "three lost"
    assert found.p_above(0.01) >= stats.binomtest(3, 100, 0.01, alternative="greater").pvalue


@pytest.mark.parametrize("name", SAMPLED)
def test_worse_mirrors(name: str) -> None:
    rng = np.random.default_rng(8)
    before, after = SAMPLED[name](ALL), SAMPLED[name](rng.permutation(N))
    up, down = (change(before, after, worse, seed=1) for worse in (1, -1))
    assert numbers(up) == pytest.approx(tuple(-one for one in (down.estimate, down.high or 0, down.low or 0)))
    assert up.n == down.n
    assert up.p_above(0.01) == pytest.approx(down.p_below(-0.01))
    alone_up, alone_down = (absolute(before, worse, seed=1) for worse in (1, -1))
    assert numbers(alone_up) == pytest.approx((-alone_down.estimate, -(alone_down.high or 0), -(alone_down.low or 0)))
    if not alone_up.holds:
        assert numbers(alone_up) == of(before.interval(seed=1), 1)


def changed(n: int, lost: int, gained: int, by: float = 1.0) -> Confidence:
    before, after = np.ones(n), np.ones(n)
    after[:lost] -= by
    before[lost : lost + gained] -= by
    return change(Mean(before), Mean(after), -1, seed=0)


@pytest.mark.parametrize("lost", [0, 1, 7, 19, 60])
def test_whole_losses_have_the_exact_limit(lost: int) -> None:
    found = changed(100, lost, 0)
    assert found.estimate == pytest.approx(lost / 100)
    assert found.high == pytest.approx(stats.binomtest(lost, 100).proportion_ci(method="exact").high, abs=1e-6)
    for margin in (0.02, 0.1, 0.3):
        exact = stats.binomtest(lost, 100, margin, alternative="less").pvalue
        assert found.p_below(margin) == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize(
    ("lost", "gained", "by"), [(0, 0, 1), (3, 1, 1), (12, 7, 0.125), (19, 0, 0.5), (50, 50, 0.1)]
)
def test_no_limit_is_below_that_of_none_seen(lost: int, gained: int, by: float) -> None:
    """Whatever was seen: 3.7 of a hundred samples may still be lost whole, less what was gained."""
    found = changed(100, lost, gained, by)
    assert numbers(found)[2] >= (1 - 0.025 ** (1 / 100)) * (1 - found.estimate) + found.estimate - 0.05 * by
    assert numbers(found)[2] > found.estimate + 0.02
    for limit, p_value in ((found.high, found.p_below), (found.low, found.p_above)):
        assert limit is not None
        assert p_value(limit) == pytest.approx(0.025, rel=1e-4), "limits and p values cannot disagree"


@pytest.mark.parametrize("lost", [1, 4, 9, 19])
def test_p_of_few_is_at_least_the_exact_one(lost: int) -> None:
    """More: gains may have gone unseen as well."""
    exact = stats.binomtest(lost, 100, 0.02, alternative="greater").pvalue
    assert exact <= changed(100, lost, 0).p_above(0.02) <= 3 * exact + 0.02
    right = Mean(np.array([0.0] * lost + [1.0] * (100 - lost)))
    assert absolute(right, -1, seed=0).p_above(-0.98) == pytest.approx(exact, rel=1e-5), "and no share is above 1"


def test_p_without_bounds_is_students_with_the_error_of_the_lower_limit() -> None:
    found = change(Mean(SHARES, bounded=False), Mean(LATER, bounded=False), -1, seed=0)
    limit = found.estimate - 0.02
    assert found.low is not None
    student = stats.ttest_1samp(SHARES - LATER, limit, alternative="greater").pvalue
    assert replace(found, low=None).p_above(limit) == pytest.approx(student)
    error = max(stats.sem(SHARES - LATER), (found.estimate - found.low) / stats.norm.isf(0.025))
    assert found.p_above(limit) == pytest.approx(stats.t.sf(0.02 / error, N - 1))
    assert found.p_above(limit) >= student
    assert found.spread >= found.error


NAN = float("nan")


@pytest.mark.parametrize(
    ("confidence", "margin"),
    [
        (Confidence(NAN, NAN, NAN, 9, NAN), 0.1),
        (Confidence(NAN, None, None, 9, 0.0), 0.1),
        (Confidence(0.9, None, None, 9, NAN), 0.1),
        (Confidence(0.9, 0.8, NAN, 9, math.inf), 0.1),
        (Confidence(0.0, -0.1, 0.05, 9, 0.02), NAN),
    ],
)
def test_nan_decides_nothing(confidence: Confidence, margin: float) -> None:
    assert confidence.p_above(margin) == 1
    (answer,) = decided([Question(confidence, margin, difference=True)])
    assert answer.verdict == "inconclusive"
    assert answer.p_adjusted == 1


def with_nan(values: Array) -> Array:
    found = values.copy()
    found.flat[0] = np.nan
    return found


EVERY = np.ones((4, N), dtype=bool)


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Mean(SHARES), Mean(with_nan(SHARES))),
        (Mean(with_nan(LOSSES), bounded=False), Mean(LOSSES, bounded=False)),
        (Ratio(SHARES, SIZE), Ratio(with_nan(SHARES), SIZE)),
        (Ratio(SHARES, SIZE), Ratio(SHARES, with_nan(SIZE))),
        (Smallest(RIGHT, EVERY), Smallest(with_nan(RIGHT), EVERY)),
        (Smallest(RIGHT, EVERY), Smallest(RIGHT, ~EVERY)),
        (Quantile(SPREAD, 0.9), Quantile(with_nan(SPREAD), 0.9)),
    ],
)
def test_nan_has_no_change(before: Sampled, after: Sampled) -> None:
    with pytest.raises(ValueError, match="finite"):
        change(before, after, 1, seed=0)


def test_values_that_are_left_out_may_be_nan() -> None:
    values, masked = SHARES.copy(), RIGHT.copy()
    values[~WHERE], masked[~VALID] = np.nan, np.nan
    plain = change(Mean(SHARES, WHERE), Mean(LATER, WHERE), -1, seed=0)
    assert numbers(change(Mean(values, WHERE), Mean(LATER, WHERE), -1, seed=0)) == numbers(plain)
    other = change(Mean(SHARES, WHERE), Mean(LATER), -1, seed=0)
    assert numbers(change(Mean(values, WHERE), Mean(LATER), -1, seed=0)) == numbers(other)
    smallest = Smallest(RIGHT, VALID), Smallest(masked, VALID)
    assert numbers(change(*smallest, -1, seed=0)) == numbers(change(smallest[0], smallest[0], -1, seed=0))


def test_values_that_do_not_pair_have_no_limits() -> None:
    found = change(Mean(SHARES), Ratio(SHARES, SIZE), 1, seed=0)
    assert (found.low, found.high) == (None, None)
    assert found.p_above(-100) == 1, "nothing is known about it"
    quantiles = change(Quantile(SPREAD, 0.9), Quantile(SPREAD + 1, 0.9), 1, seed=0)
    assert quantiles.estimate == pytest.approx(1)
    assert quantiles.high is None


def test_other_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="change: got 200 and 199 samples, expected the same ones"):
        change(Mean(SHARES), Mean(LATER[1:]), 1, seed=0)
    with pytest.raises(ValueError, match="change: got 4 and 3 elements, expected the same ones"):
        change(Smallest(RIGHT, EVERY), Smallest(RIGHT[:3], EVERY[:3]), 1, seed=0)


def test_one_sample_decides_nothing() -> None:
    one = np.ones(1)
    valid = np.ones((2, 1), dtype=bool)
    for before, after in (
        (Mean(one), Mean(one * 0)),
        (Ratio(one, one), Ratio(one / 2, one)),
        (Smallest(np.ones((2, 1)), valid), Smallest(np.zeros((2, 1)), valid)),
    ):
        (answer,) = decided([Question(change(before, after, -1, seed=0), 0.01, difference=True)])
        assert answer.verdict == "inconclusive", type(before)


@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_a_relative_drop_at_the_limit_passes_and_fails_rarely(rho: float) -> None:
    """The baseline's value is an estimate too: where lower is better, a margin taken as known would pass 10 %."""
    rng = np.random.default_rng(0)
    passed = failed = 0
    runs = 400
    for _ in range(runs):
        both = rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], size=400)
        before, after = 1 + both[:, 0], 2 + both[:, 1]  # twice the baseline's mean, and allowed to be
        confidence = relative_change(Mean(before, bounded=False), Mean(after, bounded=False), 1, 1.0, seed=0)
        passed += confidence.high is not None and confidence.high <= 0
        failed += confidence.p_above(0.0) < 0.05
    assert stats.binomtest(passed, runs).proportion_ci(0.99).low <= 0.05
    assert stats.binomtest(failed, runs).proportion_ci(0.99).low <= 0.05


def test_a_relative_drop_of_kappa_is_of_kappa() -> None:
    rng = np.random.default_rng(1)
    above, below = rng.random(500) * 0.3, np.full(500, 0.9)
    before = Ratio(above, below, complement=True)
    after = Ratio(above * 1.5, below, complement=True)
    confidence = relative_change(before, after, -1, 0.1, seed=0)
    assert confidence.estimate == pytest.approx(0.9 * before.estimate - after.estimate)


def test_few_changes_are_no_proof_of_a_small_relative_drop() -> None:
    right = np.ones(100)
    confidence = relative_change(Mean(right), Mean(right), -1, 0.02, seed=0)
    assert confidence.estimate == pytest.approx(-0.02)
    assert confidence.high is not None
    assert confidence.high > 0  # 3.7 of 100 samples may be lost for all that is known
