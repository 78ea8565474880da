"""The figures of the bench, as one table with their limits."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """Something that was measured, and what it has to be."""

    what: str
    value: float
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None

    @property
    def limit(self) -> str:
        """In words; empty where there is none."""
        if self.at_most is not None:
            return f"at most {self.at_most:g}"
        return "" if self.at_least is None else f"at least {self.at_least:g}"

    @property
    def missed(self) -> bool:
        """Whether the limit is not kept; NaN keeps none."""
        kept = self.at_most is None or self.value <= self.at_most
        return not (kept and (self.at_least is None or self.value >= self.at_least))


def say(text: str) -> None:
    """What is measured on the way, to stderr."""
    print(f"  {text}", file=sys.stderr, flush=True)


def show(figures: Iterable[Figure]) -> None:
    """Print each figure as it comes."""
    for figure in figures:
        value = f"{figure.value:,.2f}".removesuffix(".00")
        print(
            f"{figure.what:<76} {value:>9} {figure.unit:<3} {figure.limit:<14} {'MISSED' if figure.missed else ''}".rstrip(),
            flush=True,
        )
