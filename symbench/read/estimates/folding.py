"""From a cell's files to what metrics take of all samples: one pass over the tiles, or two where a metric asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from symbench.algebra.metrics.base import Context, Observed, Value
from symbench.algebra.metrics.folds import Found, Piece, Step
from symbench.base.code import foreign
from symbench.base.errors import CellError
from symbench.read.estimates.reading import Reading

Key = tuple[int, tuple[Step, ...]]
"""The number of a subset of the elements, and the steps up to one: what takes the same of the same is taken once."""
Choose = Callable[[Any], Any]
"""Takes some elements of what is known of a cell, with or without its observations."""


@dataclass(frozen=True)
class Wanted:
    """A metric of some elements.

    Attributes:
        name: the metric's.
        metric: itself: a :class:`~symbench.algebra.metrics.folds.Folded` where it is to be folded.
        subset: the number of the subset of elements.
    """

    name: str
    metric: Any
    subset: int = 0

    def key(self, number: int) -> Key:
        """What tells a step, with those before it, from others."""
        return self.subset, self.metric.steps[: number + 1]


@dataclass
class Taking:
    """One step, while samples go by."""

    wanted: Wanted
    number: int
    found: Found
    pieces: dict[str, Piece] = field(default_factory=dict)
    reason: Value | None = None

    @cached_property
    def known(self) -> Found:
        """What the step knows of all samples."""
        return self.wanted.metric.before(self.number, self.found)

    def take(self, seen: Observed) -> None:
        """Add what there is of some samples. What a plug-in's raises becomes the reason why there is no value."""
        if self.reason is not None:
            return
        try:
            with foreign(CellError, f"metric {self.wanted.name}", "computing it"):
                taken = self.wanted.metric.steps[self.number](seen, self.known)
                if isinstance(taken, Value):
                    self.reason = taken
                    return
                for name, piece in taken.items():
                    if name in self.pieces:
                        self.pieces[name].join(piece)
                    else:
                        piece.reserve(seen.n)
                        self.pieces[name] = piece
        except CellError as error:
            self.reason = Value(None, reason=str(error), failed=True)

    def whole(self, order: np.ndarray) -> Found | Value:
        """What was taken of all samples."""
        if self.reason is not None:
            return self.reason
        return {**self.known, **{name: piece.whole(order) for name, piece in self.pieces.items()}}


def folded(reading: Reading, wanted: Sequence[Wanted], subsets: Sequence[Choose]) -> Mapping[Wanted, Found | Value]:
    """What metrics take of all samples, or why there is nothing.

    Args:
        reading: the observations.
        wanted: the metrics.
        subsets: of the elements, by their numbers.
    """
    known: dict[Key, Found | Value] = {(number, ()): {} for number in range(len(subsets))}
    for number in range(max((len(each.metric.steps) for each in wanted), default=0)):
        takings = _started(known, wanted, number)
        order = _pass(reading, takings, wanted, subsets)
        known |= {key: taking.whole(order) for key, taking in takings.items()}
    return {each: _last(known, each) for each in wanted}


def _started(known: Mapping[Key, Found | Value], wanted: Sequence[Wanted], number: int) -> dict[Key, Taking]:
    started: dict[Key, Taking] = {}
    for each in wanted:
        before = known.get(each.key(number - 1))
        if number < len(each.metric.steps) and isinstance(before, Mapping) and each.key(number) not in started:
            started[each.key(number)] = Taking(each, number, before)
    return started


def _pass(
    reading: Reading, takings: Mapping[Key, Taking], wanted: Sequence[Wanted], subsets: Sequence[Choose]
) -> np.ndarray:
    """Show all samples to the steps; gives what sorts them."""
    if not takings:
        return np.arange(0)
    reads = {name for taking in takings.values() for name in taking.wanted.metric.reads}
    samples = []
    for tile in reading.tiles(sorted(reads)):
        samples.append(tile.samples.copy())  # of a view, all of the tile would stay
        for number, subset in enumerate(subsets):
            mine = [taking for (of, _), taking in takings.items() if of == number]
            seen = subset(tile) if mine else tile
            for taking in mine:
                taking.take(seen)
    return np.argsort(np.concatenate(samples))


def _last(known: Mapping[Key, Found | Value], wanted: Wanted) -> Found | Value:
    for number in reversed(range(len(wanted.metric.steps))):
        if wanted.key(number) in known:
            return known[wanted.key(number)]
    return {}


def values_of(wanted: Wanted, known: Context, found: Found | Value) -> list[Value]:
    """The estimates of a metric, given what it took."""
    return [found] if isinstance(found, Value) else wanted.metric.values(known, found)
