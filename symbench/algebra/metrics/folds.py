"""Metrics in two steps: arrays of some samples, and estimates from the arrays of all.

The observations of a cell are as many as its samples times its elements, and are never in memory all at once. They
are read a few samples at a time, with all of their elements; a metric says what it takes from these (one number for
each sample, a sum, ...), the pieces are joined, and only then the estimates are made. So all metrics of a cell cost
one pass over its files, two where one has to know something of all samples before, and the memory of its samples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from symbench.algebra.metrics.base import Context, Observed, Value
from symbench.algebra.statistics import Array

Found = Mapping[str, Array]
"""What was taken from all samples, by name."""


class Piece(ABC):
    """What is taken from some samples, and joined with what is taken from others."""

    def reserve(self, samples: int) -> None:
        """Make room for what will be taken from so many samples in all; most pieces grow with none."""
        del samples

    @abstractmethod
    def join(self, other: Self) -> None:
        """Add what was taken from later samples."""

    @abstractmethod
    def whole(self, order: Array) -> Array:
        """Of all samples; ``order`` sorts them, where there is one of something for each."""


class Each(Piece):
    """Something for each sample: the last axis is theirs."""

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values)
        self.count = self.values.shape[-1]
        self.own = False  # they may be somebody else's

    def reserve(self, samples: int) -> None:
        """Make room for so many samples at once: small arrays kept amid large ones would keep their memory too."""
        room = np.empty((*self.values.shape[:-1], samples), self.values.dtype)
        room[..., : self.count] = self.values[..., : self.count]
        self.values, self.own = room, True

    def join(self, other: Each) -> None:
        """Put them side by side."""
        end = self.count + other.count
        if end > self.values.shape[-1]:
            self.reserve(end)
        self.values = self.values.astype(np.result_type(self.values, other.values), copy=False)
        self.values[..., self.count : end] = other.values[..., : other.count]
        self.count = end

    def whole(self, order: Array) -> Array:
        """Of all samples, in their order; once, for they are sorted where they are."""
        values: Array = self.values[..., : self.count]
        if not self.own:
            return values[..., order]
        for at in np.ndindex(values.shape[:-1]):  # one row more in memory, and not as many again
            values[at] = values[at][order]
        return values


class Total(Piece):
    """A sum over samples, of any shape."""

    def __init__(self, values: Any) -> None:
        self.sum = np.asarray(values)

    def join(self, other: Total) -> None:
        """Add them up."""
        self.sum = self.sum + other.sum

    def whole(self, order: Array) -> Array:
        """The sum."""
        del order
        return self.sum


class Distinct(Piece):
    """Rows that occur, ``(rows, m)``, each once."""

    def __init__(self, rows: Array) -> None:
        self.rows = _distinct(rows)

    def join(self, other: Distinct) -> None:
        """Unite them."""
        self.rows = _distinct(np.concatenate([self.rows, other.rows]))

    def whole(self, order: Array) -> Array:
        """The rows."""
        del order
        return self.rows


class Largest(Piece):
    """The ``most`` largest of many values."""

    def __init__(self, values: Array, most: int) -> None:
        self.most, self.pieces = most, [values.ravel()]
        self.pieces = [self._cut(self.pieces[0])]

    def join(self, other: Largest) -> None:
        """Keep the largest of both; as many again may wait to be cut, which costs less than cutting each time."""
        self.pieces += other.pieces
        if sum(map(len, self.pieces)) > 2 * self.most:
            self.pieces = [self._cut(np.concatenate(self.pieces))]

    def whole(self, order: Array) -> Array:
        """The values, the least first."""
        del order
        return np.sort(self._cut(np.concatenate(self.pieces)))

    def _cut(self, values: Array) -> Array:
        return values if len(values) <= self.most else np.partition(values, -self.most)[-self.most :]


def _distinct(rows: Array) -> Array:
    # With axis=0, rows are sorted as bytes, which is slow where there is one column.
    return np.unique(rows)[:, None] if rows.shape[1] == 1 else np.unique(rows, axis=0)


Step = Callable[[Observed, Found], Mapping[str, Piece] | Value]
"""What is taken from some samples, given what the steps before took from all; or the reason why there is nothing."""


@dataclass(frozen=True)
class Folded:
    """A metric that is computed from some samples at a time.

    Attributes:
        values: the estimates, from what all steps took.
        steps: one after another, each over all samples; a step that several metrics have is taken once.
        reads: the columns that the steps look at, as attributes of ``Observed``; others are None for them.
        between: what follows from the steps so far, added to what they took before the next one.
    """

    values: Callable[[Context, Found], list[Value]]
    steps: tuple[Step, ...]
    reads: tuple[str, ...]
    between: Callable[[Found], Found] | None = None

    def __call__(self, seen: Observed) -> list[Value]:
        """The estimates of a cell whose observations are in memory."""
        found: Found = {}
        for number, step in enumerate(self.steps):
            found = self.before(number, found)
            taken = step(seen, found)
            if isinstance(taken, Value):
                return [taken]
            order = np.arange(len(seen.samples))
            found = {**found, **{name: piece.whole(order) for name, piece in taken.items()}}
        return self.values(seen, found)

    def before(self, number: int, found: Found) -> Found:
        """What a step knows: what the steps before took, and what follows from it."""
        return {**found, **self.between(found)} if number and self.between is not None else found
