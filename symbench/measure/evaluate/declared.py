"""Is the action the right one? Which of several fits what the model does best: the declared one, or another.

A model whose output turns the other way round, or is an axial vector and declared as a polar one, is as far from
its declaration as one that knows nothing of the group, and E says no more than that. So where the declared action
does not fit, others are tried on the same outputs: :mod:`symbench.measure.evaluate.alternatives`. One of them is
named only where it fits, far better than the declared one and beyond what the number of samples leaves to chance; and
where what was fitted multiplies as the group's elements do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import special

from symbench.algebra.controls import DECLARED
from symbench.base.records import FindingRecord
from symbench.measure.evaluate.alternatives import alternatives
from symbench.measure.evaluate.exactness import deviates, floor_of, known_errors, sharp_in_shape
from symbench.measure.evaluate.examined import Examined
from symbench.measure.evaluate.fitted import Alternative, Fitted, Pair, Predict, by
from symbench.measure.evaluate.job import exchanging, kinds
from symbench.measure.evaluate.plans import MOST_ELEMENTS
from symbench.measure.evaluate.reference import Reference
from symbench.measure.evaluate.rows import as_compared, pairing, spread

RATIO = 9.0
"""How many times less the square of what another action leaves has to be than of what the declared one does."""
FITS = 1 / 9
"""What it may leave, in units of the null: E of a third."""
CHANCE = 1e-3
"""The probability that a difference by luck is taken for one, for each output."""
FEWEST = 6
"""Samples that a comparison needs."""
PLAINLY = 1e-3
"""E below which the declared action counts as fitting, whatever others do."""
ALIKE = 1e-5
"""Ways to move that differ by less, in units of E, are one."""


def declared_action(cell: Examined) -> str | None:
    """Findings of every output that does not move as declared; the reason where nothing had to be tried."""
    if len(cell.chosen) < FEWEST:
        return f"needs {FEWEST} samples"
    if _fits_already(cell):
        return "the declared action fits"
    numbers = spread(_moving(cell), MOST_ELEMENTS)
    if not numbers:
        return "no element moves anything"
    for size in cell.sizes(DECLARED):
        chosen = spread(numbers, size.elements)
        found = [_finding(cell, number, chosen, size.samples) for number in range(len(cell.references))]
        if all(each is None or each.words is not None for each in found):
            break
    else:
        cell.unclear(DECLARED, size)
    cell.found.findings += [each for each in found if each is not None]
    return None if any(each is not None for each in found) else "the declared action fits"


def _fits_already(cell: Examined) -> bool:
    """Whether the exactness control has seen every element that loses nothing, and no more than rounding."""
    return bool(known_errors(cell.found.tables, cell.references)) and not deviates(cell.found.tables, cell.references)


def _moving(cell: Examined) -> list[int]:
    """The elements that are looked at: of which nothing is lost where there are such, else all."""
    apart = exchanging(cell.job)
    every = range(1, len(kinds(cell.job, cell.chosen)))
    return sharp_in_shape(cell.job, cell.chosen) or [number for number in every if not (apart and apart[number])]


def _finding(cell: Examined, number: int, elements: Sequence[int], count: int) -> FindingRecord | None:
    """What is found of one output; None where it moves as declared, or its samples are not told apart."""
    reference = cell.references[number]
    pairs = pairs_of(cell, reference, elements, count)
    trial = Trial.of(cell, number, pairs, count)
    if trial is None or not trial.misses:
        return None
    field, shape = reference.task.field.named(cell.job.prepared.places), reference.shape
    tried = {
        each.name: trial.judged(each) for each in alternatives(cell.job.prepared, reference.action, field, shape)
    }
    errors = {name: judged.error for name, judged in tried.items() if judged is not None}
    fitting = {name: judged for name, judged in tried.items() if judged is not None and judged.decisive}
    best = _best(fitting, trial.rounding)
    words = None if best is None else fitting[best].said(trial.error)
    return FindingRecord(
        control=DECLARED, output=reference.task.output, words=words, best=best,
        numbers={"declared": trial.error, **errors}, samples=count, elements=len(elements),
    )  # fmt: skip


def _best(fitting: Mapping[str, Judged], rounding: float) -> str | None:
    """The plainest of those that leave about as little as the best."""
    if not fitting:
        return None
    least = max(2 * min(each.error for each in fitting.values()), rounding)
    return next(name for name, each in fitting.items() if each.error <= least)


def pairs_of(cell: Examined, reference: Reference, elements: Sequence[int], count: int) -> list[Pair]:
    """An output of the first samples under some elements; what controls before have run is not run again."""
    samples, task = cell.chosen[:count], reference.task
    before = as_compared(cell.unmoved(cell.job, count), task).to(cell.job.exact).double()
    every = cell.job.prepared.from_reference(cell.job.prepared.elements.at(samples))
    found = []
    for number in elements:
        after = as_compared(cell.moved_by(number, count), task).to(cell.job.exact).double()
        g = every[number : number + 1]
        found.append(Pair(g, f"element {number}", after, before, reference.inside(g)))
    return _labelled(cell, found)


def _labelled(cell: Examined, pairs: Sequence[Pair]) -> list[Pair]:
    """With the names of elements that all samples share."""
    if cell.job.prepared.elements.shared is None:
        return list(pairs)
    group = cell.job.prepared.group
    return [replace(pair, label=group.labels(pair.g)[0]) for pair in pairs]


@dataclass(frozen=True)
class Judged:
    """How well another way to move fits.

    Attributes:
        error: what it leaves, as E.
        exact: whether no more is left than rounding.
        decisive: it fits, and the declared one does not, beyond chance.
        words: what is said of an output that moves so.
    """

    error: float
    exact: bool
    decisive: bool
    words: str

    def said(self, declared: float) -> str:
        """That it moves so; or, with the numbers, that this is only nearer than what is declared."""
        if self.exact:
            return f"it moves {self.words}"
        return f"it is closer to moving {self.words} (E = {self.error:.2g} in place of {declared:.2g})"


@dataclass(frozen=True)
class Trial:
    """One output under some elements, and what its declared action leaves.

    Attributes:
        cell: the cell.
        reference: the output.
        pairs: by element.
        deviation: of the declared action, per sample the mean square over elements, ``(n,)``.
        null: the mean squared distance to other samples' outputs.
        floor: below which an E is rounding.
        rounding: E that rounding explains, in the suite's dtype.
    """

    cell: Examined
    reference: Reference
    pairs: Sequence[Pair]
    deviation: np.ndarray
    null: float
    floor: float
    rounding: float

    @classmethod
    def of(cls, cell: Examined, number: int, pairs: Sequence[Pair], count: int) -> Trial | None:
        """Of the first samples; None where they are not told apart."""
        reference, samples = cell.references[number], cell.chosen[:count]
        columns = [
            pairing(pair.known(pair.moved), pair.known(by(reference.action)(pair)), reference.comparison, samples)
            for pair in pairs
        ]
        null = float(np.mean([each["unrelated_sq"].mean() for each in columns]))
        if not null > (1e3 * cell.job.rounding) ** 2 * reference.square or not null > 0:
            return None
        deviation = np.mean([each["deviation_sq"] for each in columns], axis=0)
        rounding = 30 * cell.job.rounding * (reference.square / null) ** 0.5
        return cls(cell, reference, pairs, deviation, null, floor_of(cell, number, null), rounding)

    @property
    def error(self) -> float:
        """E under the declared action."""
        return float((self.deviation.mean() / self.null) ** 0.5)

    @property
    def misses(self) -> bool:
        """Whether the declared action plainly does not fit."""
        return self.error > max(PLAINLY, 10 * self.floor, 10 * self.rounding)

    @property
    def exact(self) -> bool:
        """Whether no more is left than rounding: that is no luck, however few the samples."""
        return self._is_rounding(self.error)

    def _is_rounding(self, error: float) -> bool:
        return error <= max(10 * self.floor, 10 * self.rounding)

    def judged(self, other: Alternative) -> Judged | None:
        """How well another one fits; None where it is the declared one on these samples, or cannot be had."""
        half = len(self.deviation) // 2
        span = slice(half if other.learns else 0, len(self.deviation))
        fitted = other.fit([pair.some(slice(0, half)) for pair in self.pairs])
        if fitted is None or not self._differs(fitted.predict, span):
            return None
        read, null = fitted.read or (lambda values: values), self._null(fitted)
        left = self._mean(lambda pair: read(pair.moved), fitted.predict, span)
        error = float((left.mean() / null) ** 0.5) if null > 0 else float("inf")
        gain = self.deviation[span] / self.null - RATIO * left / null if null > 0 else left
        exact = self._is_rounding(error)
        decisive = exact or (left.mean() <= FITS * null and beyond_chance(gain))
        if decisive and fitted.lawful is not None:
            decisive = fitted.lawful([pair.some(span) for pair in self.pairs])
        return Judged(error, exact, bool(decisive), fitted.words)

    def _differs(self, predict: Predict, span: slice) -> bool:
        """Whether it says something else than the declared action."""
        if any(predict(pair).shape != pair.unmoved.shape for pair in self.pairs[:1]):
            return False
        declared = by(self.reference.action)
        return float(self._mean(declared, predict, span).mean()) > ALIKE**2 * self.null

    def _null(self, fitted: Fitted) -> float:
        """The mean squared distance to other samples' outputs, in the notation that another way has them in."""
        if fitted.read is None:
            return self.null
        samples, read, comparison = self.cell.chosen[: len(self.deviation)], fitted.read, self.reference.comparison
        nulls = [
            pairing(pair.known(read(pair.moved)), pair.known(fitted.predict(pair)), comparison, samples)
            for pair in self.pairs
        ]
        return float(np.mean([each["unrelated_sq"].mean() for each in nulls]))

    def _mean(self, one: Predict, other: Predict, span: slice) -> np.ndarray:
        """Per sample of a span the mean square of what two differ by, over elements, known places alone."""
        samples, deviation = self.cell.chosen[: len(self.deviation)], self.reference.comparison.deviation
        squares = [
            deviation(pair.known(one(pair))[None], pair.known(other(pair))[None], samples)[0] for pair in self.pairs
        ]
        return np.asarray(torch.stack(squares).mean(0)[span].cpu().numpy())


def beyond_chance(gain: np.ndarray) -> bool:
    """Whether the mean of what samples gain is above 0: by Student's t, or since each and every one does."""
    n = len(gain)
    if n < FEWEST:
        return False
    if (gain > 0).all() and 0.5**n <= CHANCE:
        return True
    spread_of = float(gain.std(ddof=1)) / n**0.5
    return float(gain.mean()) > float(special.stdtrit(n - 1, 1 - CHANCE)) * spread_of
