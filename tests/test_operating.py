"""How often a gate errs: the whole decision of :func:`symbench.read.gate.decide.decided`, on simulated runs.

Every simulation is one gate of J matches on the same n samples, whose difficulty they share, before and after:
worst-case accuracy, accuracy over orbits and E in turn. What is asked, each up to the Monte-Carlo error:

- every true drop is at its margin: the gate fails in at most 5 % of runs;
- one is, and nothing else changes: the gate passes in at most 5 %;
- samples change both ways and nothing in total: a rule passes in 95 % or more of runs, where it says that a change
  as large as its margin is detectable;
- one drop is twice such a margin: the gate fails in 95 % or more.

``pytest -s tests/test_operating.py`` prints the tables, with broken decisions beside the gate's: a comparison of bare
numbers, no correction for several matches, samples that are not paired. The same checks catch them.
``SYMBENCH_SIMULATIONS=20000`` asks for more than the 2,000 of the test, with the 2,000 replicates that gates draw
instead of 199. Simulations run in two processes.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Literal

import numpy as np
import pytest
from scipy import optimize, stats

from symbench.algebra.statistics import (
    RESAMPLES,
    Array,
    Confidence,
    Mean,
    Ratio,
    Sampled,
    Smallest,
    change,
    smallest_detectable_difference,
)
from symbench.algebra.statistics.confidence import Law
from symbench.read.gate import decide
from symbench.read.gate.decide import Question, decided

pytestmark = pytest.mark.slow

SIMULATIONS = int(os.environ.get("SYMBENCH_SIMULATIONS", "2000"))
REPLICATES = 199 if SIMULATIONS <= 2000 else RESAMPLES
MOST = 0.05
CHUNK = 100
N = 1000
COPIES = 4
RIGHT = 0.9
CHANGED = 0.3
SHARED = 0.6
"""Correlation of a sample's difficulty in two matches."""
MATCHES = (1, 5, 20)
ROOM, MORE = 1.15, 1.3
"""Margins that much larger than what the true error makes detectable: of E, and of means whose limits allow for what
was not seen, about as large as what runs say is."""
Kind = Literal["worst case", "orbits", "E"]
KINDS: tuple[Kind, ...] = ("worst case", "orbits", "E")
OF_20: tuple[Kind, ...] = (*KINDS, "worst case", "orbits", *("worst case", "orbits", "E", "worst case", "orbits") * 3)


@dataclass(frozen=True)
class Table:
    """How samples fare before and after, and how probable that is.

    Attributes:
        shares: ``(right before, right after, size)``: probabilities of right copies, of ``COPIES``, and of two sizes.
    """

    shares: Array

    def values(self, kind: Kind) -> tuple[Sampled, Sampled, Array]:
        """The kinds of samples as if they were samples, and how probable each is."""
        before, after, size = (found.ravel() for found in np.indices(self.shares.shape))
        return (*measured(kind, before, after, size), self.shares.ravel())

    def drop(self, kind: Kind) -> float:
        """How much worse the metric gets."""
        return self.error(kind)[0]

    def error(self, kind: Kind) -> tuple[float, float]:
        """The true drop, and the standard error of one sample's."""
        before, after, shares = self.values(kind)
        if isinstance(before, Mean) and isinstance(after, Mean):
            moved = after.values - before.values
            mean = float(shares @ moved)
            return -mean, float(np.sqrt(shares @ (moved - mean) ** 2))
        assert isinstance(before, Ratio)
        assert isinstance(after, Ratio)
        found, influence = [], []
        for one in (before, after):
            above, below = shares @ one.above, shares @ one.below
            found.append(np.sqrt(above / below))
            influence.append((one.above - found[-1] ** 2 * one.below) / below / 2 / found[-1])
        return float(found[1] - found[0]), float(np.sqrt(shares @ (influence[1] - influence[0]) ** 2))


def table(broken: float) -> Table:
    """Three samples in ten are drawn anew at their own difficulty, which changes nothing in total; then ``broken``
    of those that had right copies lose one of them, or more, up to all."""
    right = np.arange(COPIES + 1)
    before = stats.betabinom.pmf(right, COPIES, RIGHT, 1 - RIGHT)
    anew = np.array([stats.betabinom.pmf(right, COPIES, RIGHT + b, 1 - RIGHT + COPIES - b) for b in right])
    loses = np.tril(np.ones((COPIES + 1, COPIES + 1)), -1) / np.maximum(right, 1)[:, None]
    loses[0, 0] = 1
    after = ((1 - CHANGED) * np.eye(COPIES + 1) + CHANGED * anew) @ (
        (1 - broken) * np.eye(COPIES + 1) + broken * loses
    )
    wrong = 1 - right / COPIES
    large = 0.3 + 0.2 * (wrong[:, None] + wrong)
    pairs = before[:, None] * after
    return Table(np.stack([pairs * (1 - large), pairs * large], axis=2))


def measured(kind: Kind, before: Array, after: Array, size: Array) -> tuple[Sampled, Sampled]:
    """The metric of both runs, of numbers of right copies and the index of a size."""
    if kind == "worst case":
        return Mean(1.0 * (before == COPIES)), Mean(1.0 * (after == COPIES))
    if kind == "orbits":
        return Mean(before / COPIES), Mean(after / COPIES)
    below = np.array([0.5, 2.0])[size]
    a, b = ((1 - right / COPIES) * below for right in (before, after))
    return Ratio(a, below, root=True), Ratio(b, below, root=True)


@cache
def with_drop(kind: Kind, drop: float) -> Table:
    """The table of a true drop."""
    return table(float(optimize.brentq(lambda broken: table(broken).drop(kind) - drop, 0, 0.8, xtol=1e-12)))


@cache
def detectable(kind: Kind, matches: int, times: int) -> float:
    """The margin that is as large as is detectable of a true drop of so many margins, at n samples."""

    def excess(margin: float) -> float:
        error = with_drop(kind, times * margin).error(kind)[1] / np.sqrt(N)
        return smallest_detectable_difference(error, matches=matches) - margin

    return float(optimize.brentq(excess, 1e-4, 0.15))


def draw(world: Table, latents: Array) -> tuple[Array, Array, Array]:
    """Samples by their three latents ``(3, n)``, uniform: right before, right after, the index of the size."""
    shares = world.shares
    steps = shares.sum((1, 2)), shares.sum(2), shares
    before = np.searchsorted(np.cumsum(steps[0])[:-1], latents[0])
    after = (np.cumsum(steps[1], 1)[before, :-1] < latents[1][:, None] * steps[0][before, None]).sum(1)
    size = 1 * (shares[before, after, 0] < latents[2] * steps[1][before, after])
    return before, after, size


def latents(rng: np.random.Generator, matches: int, n: int) -> Array:
    """Uniform, ``(matches, 3, n)``: what makes a sample hard, change, and large is shared by the matches."""
    own = rng.standard_normal((matches, 3, n))
    found: Array = stats.norm.cdf(np.sqrt(SHARED) * rng.standard_normal((3, n)) + np.sqrt(1 - SHARED) * own)
    return found


@dataclass(frozen=True)
class Asked:
    """One match: the gate's question, and the question of someone who does not pair the samples."""

    question: Question
    unpaired: Question


@dataclass(frozen=True)
class Remembered:
    """A law that computes no p value twice: the same match is decided in several scenarios, by several decisions."""

    law: Law
    above: dict[float, float] = field(default_factory=dict)

    def p_above(self, limit: float) -> float:
        if limit not in self.above:
            self.above[limit] = self.law.p_above(limit)
        return self.above[limit]

    def p_below(self, limit: float) -> float:
        return self.law.p_below(limit)


def remembered(confidence: Confidence) -> Confidence:
    return confidence if confidence.law is None else replace(confidence, law=Remembered(confidence.law))


@cache
def few(n: int, lost: int, gained: int) -> Confidence:
    """The change of a share, of n samples of which so many were lost and gained: all else alike adds nothing to it."""
    before, after = np.ones(n), np.ones(n)
    after[:lost] = 0
    before[lost : lost + gained] = 0
    return remembered(change(Mean(before), Mean(after), -1, seed=0, resamples=REPLICATES))


def changed(before: Sampled, after: Sampled, seed: int) -> Confidence:
    """The change of one match; that of a share once for each number of samples lost and gained."""
    if isinstance(before, Mean) and isinstance(after, Mean):
        moved = after.values - before.values
        if set(np.unique(moved)) <= {-1.0, 0.0, 1.0}:
            return few(len(moved), int((moved < 0).sum()), int((moved > 0).sum()))
    worse = -1 if isinstance(before, Mean) else 1
    return remembered(change(before, after, worse, seed=seed, resamples=REPLICATES))


def ask(kind: Kind, world: Table, at: Array, margin: float, seed: int) -> Asked:
    before, after = measured(kind, *draw(world, at))
    confidence = changed(before, after, seed)
    error = float(np.hypot(*(one.influence().std(ddof=1) for one in (before, after))) / np.sqrt(N))
    apart = Confidence(
        confidence.estimate, confidence.estimate - 1.96 * error, confidence.estimate + 1.96 * error, N, error
    )
    return Asked(Question(confidence, margin, difference=True), Question(apart, margin, difference=True))


def at(asked: Asked, margin: float) -> Asked:
    """The same match at another margin."""
    return Asked(replace(asked.question, margin=margin), replace(asked.unpaired, margin=margin))


Decision = Callable[[Sequence[Asked]], list[str]]


def gate(asked: Sequence[Asked]) -> list[str]:
    return [answer.verdict for answer in decided([one.question for one in asked])]


def bare_numbers(asked: Sequence[Asked]) -> list[str]:
    """Whether the number is beyond the margin: what a comparison without statistics does."""
    return ["fail" if one.question.confidence.estimate > one.question.margin else "pass" for one in asked]


def without_holm(asked: Sequence[Asked]) -> list[str]:
    return ["fail" if one.question.p_value < decide.ALPHA else "inconclusive" for one in asked]


def unpaired(asked: Sequence[Asked]) -> list[str]:
    return [answer.verdict for answer in decided([one.unpaired for one in asked])]


DECISIONS: dict[str, tuple[Decision, ...]] = {
    "all at the margin": (gate, bare_numbers, without_holm),
    "one at the margin": (gate, bare_numbers),
    "one of twice the margin": (gate, bare_numbers),
}


def total(verdicts: Sequence[str]) -> str:
    """A gate's verdict."""
    if "fail" in verdicts:
        return "fail"
    return "pass" if set(verdicts) == {"pass"} else "inconclusive"


Counts = Counter[tuple[str, int, str, str, str]]
"""How often: of scenario, number of matches, kind, decision and verdict."""


def simulate(seed: int) -> Counts:
    """``CHUNK`` draws of all scenarios."""
    gc.freeze()  # statsmodels collects all garbage at every correction
    rng = np.random.default_rng(seed)
    found: Counts = Counter()

    def tell(scenario: str, kind: str, asked: Sequence[Asked]) -> None:
        for decision in DECISIONS[scenario]:
            found[scenario, len(asked), kind, decision.__name__, total(decision(asked))] += 1

    def tell_rules(places: Sequence[int], room: float) -> None:
        kinds = [OF_20[i] for i in places]
        asked = [at(still[i], room * detectable(OF_20[i], len(places), 0)) for i in places]
        for kind, one, answer in zip(kinds, asked, decided([one.question for one in asked]), strict=True):
            assert answer.detectable is not None
            if answer.detectable <= one.question.margin:
                found["no change, detectable", len(places), kind, "gate", answer.verdict] += 1
            if room == ROOM:
                found["no change", len(places), kind, "gate", answer.verdict] += 1
        for decision in (bare_numbers, unpaired) if room == ROOM else ():
            for kind, verdict in zip(kinds, decision(asked), strict=True):
                found["no change", len(places), kind, decision.__name__, verdict] += 1

    margins = {kind: detectable(kind, 20, 2) for kind in KINDS}
    for i in range(CHUNK):
        places, run = latents(rng, 20, N), seed * CHUNK + i
        still = [ask(kind, with_drop(kind, 0.0), place, 0.0, run) for kind, place in zip(OF_20, places, strict=True)]
        dropped = [
            ask(kind, with_drop(kind, margins[kind]), place, margins[kind], run)
            for kind, place in zip(OF_20, places, strict=True)
        ]
        for kind, one in zip(KINDS, dropped, strict=False):
            tell("all at the margin", kind, [one])
        for j in MATCHES[1:]:
            tell("all at the margin", "mixed", dropped[:j])
        for mine in ([0], [1], [2], range(5), range(20)):
            for room in (ROOM, MORE):
                tell_rules(mine, room)
        for j in MATCHES:
            k = i % len(KINDS)
            kind, margin = KINDS[k], detectable(KINDS[k], j, 2)
            others = [at(one, margins[name]) for name, one in zip(OF_20, still, strict=True) if one is not still[k]]
            tell("one at the margin", "mixed", [dropped[k], *others[: j - 1]])
            far = ask(kind, with_drop(kind, 2 * margin), places[k], margin, run)
            tell("one of twice the margin", "mixed", [far, *others[: j - 1]])
    return found


def limits(hits: int, n: int) -> tuple[float, float]:
    """Clopper-Pearson's one-sided limits of a share at 99 %."""
    found = stats.binomtest(hits, n).proportion_ci(0.98, method="exact")
    return found.low, found.high


def require_rare(hits: int, n: int) -> None:
    """The check of what may happen in 5 % of runs."""
    assert n > 0
    low, _ = limits(hits, n)
    assert low <= MOST, f"in {hits / n:.4f} of runs, surely more than 5 %"


def require_usual(hits: int, n: int) -> None:
    """The check of what has to happen in 95 % of runs."""
    assert n > 0
    _, high = limits(hits, n)
    assert high >= 1 - MOST, f"in {hits / n:.4f} of runs, surely less than 95 %"


@pytest.fixture(scope="module")
def counts() -> Iterator[Counts]:
    """All simulations, and their table when all is done."""
    found: Counts = Counter()
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        for one in pool.map(simulate, range(max(1, SIMULATIONS // CHUNK))):
            found.update(one)
    yield found
    print(f"\n{'scenario':<24} {'J':>3} {'metric':<11} {'decision':<13}", end="")
    print("".join(f"{verdict:>8} (99 % Monte-Carlo)" for verdict in ("pass", "fail", "inconclusive")))
    for scenario, j, kind, name in dict.fromkeys(key[:4] for key in sorted(found)):
        hits = [found[scenario, j, kind, name, verdict] for verdict in ("pass", "fail", "inconclusive")]
        print(f"{scenario:<24} {j:>3} {kind:<11} {name:<13}", *(shown(one, sum(hits)) for one in hits))


def shown(hits: int, n: int) -> str:
    low, high = limits(hits, n)
    return f"{hits / n:9.4f} ({low:.4f} to {high:.4f})"


def told(counts: Counts, scenario: str, j: int, kind: str, decision: Decision, verdict: str) -> tuple[int, int]:
    """How often a verdict came, of how many."""
    key = scenario, j, kind, decision.__name__
    return counts[(*key, verdict)], sum(counts[(*key, one)] for one in ("pass", "fail", "inconclusive"))


@pytest.mark.parametrize(("j", "kind"), [*((1, kind) for kind in KINDS), (5, "mixed"), (20, "mixed")])
def test_drops_at_the_margin_fail_rarely(j: int, kind: str, counts: Counts) -> None:
    require_rare(*told(counts, "all at the margin", j, kind, gate, "fail"))


@pytest.mark.parametrize("j", MATCHES)
def test_one_drop_at_the_margin_passes_rarely(j: int, counts: Counts) -> None:
    require_rare(*told(counts, "one at the margin", j, "mixed", gate, "pass"))


@pytest.mark.parametrize("scenario", ["no change, detectable", "no change"])
@pytest.mark.parametrize("j", MATCHES)
def test_no_change_passes(scenario: str, j: int, counts: Counts) -> None:
    for kind in KINDS:
        require_usual(*told(counts, scenario, j, kind, gate, "pass"))


@pytest.mark.parametrize("j", MATCHES)
def test_a_drop_of_twice_the_margin_fails(j: int, counts: Counts) -> None:
    require_usual(*told(counts, "one of twice the margin", j, "mixed", gate, "fail"))


def test_broken_decisions_are_caught(counts: Counts) -> None:
    with pytest.raises(AssertionError, match="surely more than 5 %"):
        require_rare(*told(counts, "all at the margin", 1, "orbits", bare_numbers, "fail"))
    with pytest.raises(AssertionError, match="surely more than 5 %"):
        require_rare(*told(counts, "one at the margin", 1, "mixed", bare_numbers, "pass"))
    with pytest.raises(AssertionError, match="surely more than 5 %"):
        require_rare(*told(counts, "all at the margin", 20, "mixed", without_holm, "fail"))
    with pytest.raises(AssertionError, match="surely less than 95 %"):
        require_usual(*told(counts, "no change", 5, "worst case", unpaired, "pass"))


@pytest.mark.parametrize(("true", "caught"), [(0.05, 0.02), (0.07, 0.9)])
def test_a_rate_of_seven_in_a_hundred_is_caught(true: float, caught: float) -> None:
    """By 2,000 simulations: how probable it is that :func:`require_rare` raises."""
    hits = np.arange(400)
    raises = np.array([limits(int(one), 2000)[0] > MOST for one in hits])
    rate = float(stats.binom.pmf(hits, 2000, true) @ raises)
    assert rate <= caught if true <= MOST else rate >= caught


def of_few(n: int, margin: float, gain: float, decision: Callable[[Confidence, float], str]) -> dict[str, float]:
    """How probable each verdict is: of every number of samples lost and gained, with how often there are as many."""
    gc.freeze()
    found: dict[str, float] = defaultdict(float)
    most = [int(stats.binom.isf(1e-5, n, share)) + 1 for share in (margin + gain, gain)] if gain else [n // 4, 1]
    for lost in range(most[0]):
        for gained in range(most[1]):
            rest = n - lost - gained
            share = stats.multinomial.pmf([lost, gained, rest], n, [margin + gain, gain, 1 - margin - 2 * gain])
            if share > 1e-8:
                found[decision(few(n, lost, gained), margin)] += float(share)
    return found


def judged(confidence: Confidence, margin: float) -> str:
    return decided([Question(confidence, margin, difference=True)])[0].verdict


def judged_without_guard(confidence: Confidence, margin: float) -> str:
    return judged(replace(confidence, high=confidence.estimate + 1.96 * confidence.error), margin)


@pytest.mark.parametrize(
    ("n", "margin"), [(100, 0.01), (100, 0.02), (100, 0.05), (200, 0.01), (200, 0.02), (200, 0.05)]
)
@pytest.mark.parametrize("gain", [0.0, 0.02])
def test_few_changes_at_the_margin(n: int, margin: float, gain: float) -> None:
    """Exact: no simulation."""
    found = of_few(n, margin, gain, judged)
    print(
        f"\n{n} samples, margin {margin:g}, {gain:.0%} gained: { ({k: round(v, 4) for k, v in found.items()}) }",
        end="",
    )
    assert sum(found.values()) == pytest.approx(1, abs=1e-3)
    assert found["pass"] <= MOST
    assert found["fail"] <= MOST


def test_a_limit_without_the_guard_is_caught() -> None:
    assert of_few(100, 0.01, 0.0, judged_without_guard)["pass"] > 0.3


def few_wrong(simulations: int, decision: Callable[[Confidence, float], str]) -> Counter[str]:
    """E of 0.1, which one sample in a hundred makes, another one after, and a true rise of 0.05 at the margin."""
    rng = np.random.default_rng(1)
    found: Counter[str] = Counter()
    gc.freeze()
    for seed in range(simulations):
        size = rng.choice([0.5, 2.0], 100)
        before, after = (Ratio((rng.random(100) < e**2) * size, size, root=True) for e in (0.1, 0.15))
        found[decision(change(before, after, 1, seed=seed, resamples=REPLICATES), 0.05)] += 1
    return found


def test_an_error_that_few_samples_make() -> None:
    """The root of a share near 0 has no standard error to speak of: Student's p alone would fail one in ten."""
    found = few_wrong(600, judged)
    require_rare(found["pass"], found.total())
    require_rare(found["fail"], found.total())
    alone = few_wrong(
        600, lambda confidence, margin: "fail" if replace(confidence, low=None).p_above(margin) < MOST else ""
    )
    with pytest.raises(AssertionError, match="surely more than 5 %"):
        require_rare(alone["fail"], alone.total())


def smallest(k: int, clear: bool, drop: float) -> tuple[float, Iterator[tuple[Smallest, Smallest]]]:
    """Elements of correlated samples, equally accurate or with one clearly the worst, which gets worse; the truth."""
    rng = np.random.default_rng(k)
    p = np.full(k, 0.85)
    p[0] -= 0.15 * clear
    q = p.copy()
    q[0] -= drop
    n, valid = 200, np.ones((k, 200), dtype=bool)

    def hard() -> Array:
        return np.sqrt(SHARED) * rng.standard_normal(n) + np.sqrt(1 - SHARED) * rng.standard_normal((k, n))

    def runs() -> Iterator[tuple[Smallest, Smallest]]:
        for _ in range(min(SIMULATIONS, 20_000) * 3 // 10):
            first = hard()
            second = np.where(rng.random((k, n)) < 0.9, first, hard())
            right = [1.0 * (one < stats.norm.ppf(share)[:, None]) for one, share in ((first, p), (second, q))]
            yield Smallest(right[0], valid), Smallest(right[1], valid)

    return float(p.min() - q.min()), runs()


@pytest.mark.parametrize("k", [4, 24])
@pytest.mark.parametrize("clear", [False, True], ids=["near ties", "clear"])
@pytest.mark.parametrize("drop", [0.0, 0.05])
def test_the_change_of_the_worst_element_is_covered(k: int, clear: bool, drop: float) -> None:
    truth, runs = smallest(k, clear, drop)
    covered = fails = n = 0
    for before, after in runs:
        found = change(before, after, -1, seed=0)
        assert found.high is not None
        covered += found.high >= truth - 1e-12
        fails += found.p_above(truth) < MOST
        n += 1
    print(f"\n{k} elements, {'clear' if clear else 'near ties'}, drop {drop}:", end="")
    print(f" limit above {shown(covered, n)}, fail {shown(fails, n)}", end="")
    require_usual(covered, n)
    require_rare(fails, n)


def test_a_limit_of_the_change_of_one_chosen_element_is_caught() -> None:
    """With the error of the elements that were the worst, one time in ten of near ties has its drop above."""
    truth, runs = smallest(24, False, 0.05)
    covered = n = 0
    for before, after in runs:
        error = (after.influence() - before.influence()).std(ddof=1) / np.sqrt(200)
        covered += before.estimate - after.estimate + 1.96 * error >= truth
        n += 1
    with pytest.raises(AssertionError, match="surely less than 95 %"):
        require_usual(covered, n)
