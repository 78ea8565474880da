"""How often a gate errs where the true change is exactly at its margin: few or many samples change, by little or all.

Of means in [0, 1], and of the smallest of several, at n from 60 to 2,000 and shares of changed samples from 0.5 to 50 %.
A gate that fails there alarms falsely, one that passes lets through what is a hair from too much: each may happen in
5 % of runs. Outcomes of one mean are drawn by how many samples change in which way, and judged many at once by what
``decided`` goes by; that it is what ``decided`` says of samples is a test of its own.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
from scipy import stats

from symbench.algebra.statistics import Array, Confidence, Mean, Smallest, change
from symbench.algebra.statistics.bounded import BoundedMeans
from symbench.algebra.statistics.confidence import TAIL, of_mean
from symbench.read.gate.decide import ALPHA, Question, decided

SIZES = (60, 100, 450, 2000)
CHANGED = (0.005, 0.02, 0.1, 0.5)
BY = (1 / 24, 1 / 12, 0.2, 0.5, 1.0)
"""How much of its score a sample loses or gains that changes."""
WHOLE = (0.0, 0.001, 0.005, 0.02)
"""Shares of samples that are lost whole besides."""
LOSING = (0.5, 0.8, 1.0)
"""The part of those that change that lose."""
DRAWN = 5000
RARELY = 1e-5
"""How probable it may be that a right gate looks wrong, in one of hundreds of checks."""


@dataclass(frozen=True)
class World:
    """How samples change: none, by ``by`` either way, or from right to wrong; what is asked is the true drop."""

    n: int
    share: float
    by: float
    whole: float
    losing: float

    @property
    def values(self) -> Array:
        """What is lost, ``(4,)``."""
        return np.array([0.0, self.by, -self.by, 1.0])

    @property
    def shares(self) -> Array:
        """How probable each is."""
        lose = self.share * self.losing
        return np.array([1 - self.share - self.whole, lose, self.share - lose, self.whole])

    @property
    def drop(self) -> float:
        """The true one."""
        return float(self.values @ self.shares)

    def drawn(self, rng: np.random.Generator, many: int) -> tuple[Array, Array]:
        """Numbers of samples that change in each way, ``(m, 4)``, and how often they came."""
        counts, times = np.unique(rng.multinomial(self.n, self.shares, size=many), axis=0, return_counts=True)
        return counts, times


def worlds(n: int, share: float) -> list[World]:
    """Those with a drop to speak of a margin of."""
    every = (World(n, share, *more) for more in product(BY, WHOLE, LOSING))
    return [one for one in every if one.shares.min() >= 0 and one.drop > 0]


def rates(world: World, counts: Array, times: Array) -> tuple[float, float]:
    """How often the gate passes, and how often it fails."""
    means = BoundedMeans(
        np.broadcast_to(world.values, counts.shape), counts, *(np.full(len(counts), end) for end in (-1.0, 1.0))
    )
    passes, fails = means.p_below(world.drop) <= TAIL, means.p_above(world.drop) < ALPHA
    return float(times @ passes / times.sum()), float(times @ fails / times.sum())


def rates_by_student(world: World, counts: Array, times: Array) -> tuple[float, float]:
    """The same of a normal mean with the error of the sample: what there was before many samples changed."""
    means = counts @ world.values / world.n
    errors = np.sqrt((counts @ world.values**2 / world.n - means**2).clip(0) / (world.n - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (means - world.drop) / errors
    passes, fails = (end < TAIL for end in (stats.t.cdf(z, world.n - 1), stats.t.sf(z, world.n - 1) / 2))
    return float(times @ passes / times.sum()), float(times @ fails / times.sum())


def surely_above(rate: float, most: float) -> bool:
    """Whether a rate of ``DRAWN`` is above one that is right, beyond chance."""
    return bool(stats.binom.sf(round(rate * DRAWN) - 1, DRAWN, most) < RARELY)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("share", CHANGED)
def test_changes_at_the_margin_neither_pass_nor_fail_often(n: int, share: float) -> None:
    rng, worst = np.random.default_rng(n), (0.0, 0.0)
    for world in worlds(n, share):
        passes, fails = rates(world, *world.drawn(rng, DRAWN))
        worst = max(worst[0], passes), max(worst[1], fails)
        assert not surely_above(passes, TAIL), world
        assert not surely_above(fails, ALPHA), world
    print(f"\n{n} samples, {share:.1%} change: passes in {worst[0]:.4f}, fails in {worst[1]:.4f} at most", end="")


def test_student_is_caught() -> None:
    """Rare losses among many small changes: none was drawn in most runs, and then a sample knows nothing of them."""
    world = World(450, 0.1, 1 / 24, 0.005, 0.8)
    passes, _ = rates_by_student(world, *world.drawn(np.random.default_rng(0), DRAWN))
    assert passes > 0.1
    assert surely_above(passes, TAIL)


@pytest.mark.parametrize("n", SIZES)
def test_so_it_decides_of_samples(n: int) -> None:
    """What is judged by counts above is what a gate decides of the samples themselves."""
    rng, seen = np.random.default_rng(n), set()
    for share, margin in product(CHANGED, (-1.0, 0.0, 1.0, 2.0)):
        world = World(n, share, 0.2, 0.02, 0.8)
        counts = world.drawn(rng, 1)[0]
        lost = np.repeat(world.values, counts[0])
        confidence = change(Mean(lost.clip(0)), Mean((-lost).clip(0)), -1, seed=0)
        at = world.drop + margin * confidence.error
        (answer,) = decided([Question(confidence, at, difference=True)])
        one = BoundedMeans(world.values[None], counts, np.array([-1.0]), np.array([1.0]))
        passes, fails = one.p_below(at)[0] <= TAIL, one.p_above(at)[0] < ALPHA
        assert answer.verdict == ("pass" if passes else "fail" if fails else "inconclusive")
        seen.add(answer.verdict)
    assert len(seen) > 1


def smallest(world: World, rng: np.random.Generator, k: int) -> Confidence:
    """What is known of the drop of the worst of k elements on as many samples, all of which get worse like the world.

    Elements are equally accurate before and after, up to chance: which is the worst is not known.
    """
    before = (rng.random((k, world.n)) < 0.9) * 1.0
    kind = np.searchsorted(np.cumsum(world.shares)[:-1], rng.random((k, world.n)))
    after = before * (1 - world.values.clip(0)[kind])
    valid = np.ones((k, world.n), dtype=bool)
    return change(Smallest(before, valid), Smallest(after, valid), -1, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("share", CHANGED)
def test_the_worst_element_at_the_margin(n: int, share: float) -> None:
    rng, verdicts = np.random.default_rng(n), list[str]()
    world = World(n, share, 0.5, 0.0, 1.0)
    drop = 0.9 * world.drop
    gc.freeze()  # statsmodels collects all garbage at every correction
    for _ in range(300):
        (answer,) = decided([Question(smallest(world, rng, 4), drop, difference=True)])
        verdicts.append(answer.verdict)
    for verdict in ("pass", "fail"):
        times = verdicts.count(verdict)
        assert not stats.binom.sf(times - 1, len(verdicts), 0.05) < RARELY, f"{verdict} in {times} of 300"


def test_none_changed_is_what_the_sample_knows_least_of() -> None:
    """Where no sample changed, a gate of a narrower margin than 3.7 / n cannot pass, whatever the metric."""
    for n in SIZES:
        none = BoundedMeans(np.zeros((1, 1)), np.array([[float(n)]]), np.array([-1.0]), np.array([1.0]))
        confidence = of_mean(none, 0.0, n, 0.0)
        assert confidence.high == pytest.approx(1 - TAIL ** (1 / n), rel=1e-5)
        assert confidence.high == pytest.approx(3.69 / n, rel=0.04)
