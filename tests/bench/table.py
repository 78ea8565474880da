"""The figures of the bench, as one table with their limits and as plain data."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Figure:
    """Something that was measured, and what it has to be.

    Attributes:
        what: its name.
        value: the median, where there were several rounds.
        unit: empty for a ratio or a count.
        at_most: the limit above.
        at_least: the limit below.
        rounds: what each round gave.
    """

    what: str
    value: float
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None
    rounds: tuple[float, ...] = ()

    @classmethod
    def over(
        cls,
        what: str,
        rounds: Sequence[float],
        unit: str = "",
        *,
        at_most: float | None = None,
        at_least: float | None = None,
    ) -> Figure:
        """The median of several rounds."""
        return cls(what, median(rounds), unit, at_most, at_least, tuple(rounds))

    @property
    def limit(self) -> str:
        """In words; empty where there is none."""
        said = [
            f"{word} {x:g}" for word, x in (("at least", self.at_least), ("at most", self.at_most)) if x is not None
        ]
        return " and ".join(said)

    @property
    def missed(self) -> bool:
        """Whether the limit is not kept; NaN keeps none."""
        kept = self.at_most is None or self.value <= self.at_most
        return not (kept and (self.at_least is None or self.value >= self.at_least))

    def document(self) -> dict[str, Any]:
        """As plain data; ``met`` is null where there is no limit."""
        spread = (
            {"low": min(self.rounds), "high": max(self.rounds), "rounds": len(self.rounds)} if self.rounds else None
        )
        return {
            "name": self.what,
            "value": self.value if isfinite(self.value) else None,
            "unit": self.unit,
            "spread": spread,
            "limit": {"at_least": self.at_least, "at_most": self.at_most} if self.limit else None,
            "met": not self.missed if self.limit else None,
        }


def say(text: str) -> None:
    """What is measured on the way, to stderr."""
    print(f"  {text}", file=sys.stderr, flush=True)


def show(figures: Iterable[Figure]) -> Iterator[Figure]:
    """Print each figure as it comes: least, median and most of its rounds where there were several."""
    for figure in figures:
        low, high = (f"{x:,.2f}" for x in (min(figure.rounds), max(figure.rounds))) if figure.rounds else ("", "")
        value = f"{figure.value:,.2f}".removesuffix(".00")
        line = f"{figure.what:<84} {low:>7} {value:>9} {high:<7} {figure.unit:<3} {figure.limit:<14}"
        print(f"{line} {'MISSED' if figure.missed and figure.limit else ''}".rstrip(), flush=True)
        yield figure
