"""Selecting by glob patterns over the names of a suite's entries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import AfterValidator, Field

from symbench.base.errors import Problem, near_miss, one_of, quoted
from symbench.base.registry import Options


def _as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


Globs = Annotated[str | list[str], AfterValidator(_as_list)]


class Selector(Options):
    """Which cells: glob patterns over the names of the suite's entries."""

    model: Globs = Field(default_factory=list)
    dataset: Globs = Field(default_factory=list)
    symmetry: Globs = Field(default_factory=list)

    def matches(self, names: Mapping[str, str]) -> bool:
        """Whether every kind that is mentioned has a pattern that fits; ``names`` maps kind to name."""
        return all(
            not patterns or any(fnmatchcase(names[kind], p) for p in patterns) for kind, patterns in self.patterns()
        )

    def patterns(self) -> Iterator[tuple[str, list[str]]]:
        """``(kind, patterns)`` of all three kinds."""
        for kind in ("model", "dataset", "symmetry"):
            yield kind, _as_list(getattr(self, kind))


def unmatched(
    patterns: list[str], names: list[str], where: str, also: Mapping[str, str] | None = None
) -> Iterator[Problem]:
    """A problem for every pattern that fits none of ``names``; ``also`` is what others call them."""
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            yield Problem(
                where,
                f"{quoted(pattern)} matches nothing",
                f"one of {one_of(names)}",
                near_miss(pattern, names, also),
            )
