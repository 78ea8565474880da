"""A suite's gate: one rule for each line that a release has to meet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from symbench.measure.suite.select import Globs, Selector

Kind = Literal["at_least", "at_most", "max_drop", "max_relative_drop"]
KINDS: tuple[Kind, ...] = ("at_least", "at_most", "max_drop", "max_relative_drop")
RELATIVE: tuple[Kind, ...] = ("max_drop", "max_relative_drop")
"""Kinds that compare with a baseline."""
Margin = Annotated[float, Field(ge=0)]
SHOWN = 4
"""Patterns that the name of a rule has."""


class Rule(Selector):
    """One limit on every estimate that the selectors fit.

    ``max_drop`` is the largest change for the worse against the baseline, in the metric's unit, whichever direction
    is worse; ``max_relative_drop`` the same as a part of the baseline's value. ``elements`` takes the estimates over
    one kind of element instead of all; ``element`` those of single elements.
    """

    metric: Globs
    replica: Globs = Field(default_factory=list)
    element: Globs = Field(default_factory=list)
    elements: Literal["permutation", "exact", "lossy", "resampled"] | None = None
    at_least: float | None = None
    at_most: float | None = None
    max_drop: Margin | None = None
    max_relative_drop: Margin | None = None
    against: Literal["baseline"] = "baseline"

    @model_validator(mode="before")
    @classmethod
    def _replica_is_text(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("replica"), int):
            return {**data, "replica": str(data["replica"])}
        return data

    @model_validator(mode="after")
    def _one_limit(self) -> Rule:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            got = " and ".join(given) or "none"
            raise ValueError(f"one of {', '.join(KINDS)} (here: {got})")
        return self

    @property
    def kind(self) -> Kind:
        """The kind of limit that the rule sets: ``at_least``, ``at_most``, ``max_drop`` or ``max_relative_drop``."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def limit(self) -> float:
        """The rule's number, in the metric's unit or as a part of the baseline's value."""
        return float(getattr(self, self.kind))

    @property
    def name(self) -> str:
        """The rule in words: ``worst_case_accuracy max_drop 0.03 model=cnn``."""
        chosen = [f"{kind}={_in_words(patterns)}" for kind, patterns in self.selectors() if patterns]
        return " ".join(["|".join(self.metric), self.kind, f"{self.limit:g}", *chosen])

    def selectors(self) -> Iterator[tuple[str, list[str]]]:
        """``(kind, patterns)`` of everything that it selects by, the metric aside."""
        yield from self.patterns()
        for kind in ("replica", "element"):
            yield kind, list(getattr(self, kind))
        yield "elements", [self.elements] if self.elements else []

    def takes_metric(self, metric: str) -> bool:
        """Whether it is about this metric."""
        return any(metric == pattern or fnmatchcase(metric, pattern) for pattern in self.metric)

    def takes_element(self, label: str | None) -> bool:
        """Whether it is about this element; None stands for all of them."""
        if label is None:
            return not self.element
        return any(fnmatchcase(label, pattern) for pattern in self.element)


def _in_words(patterns: Sequence[str]) -> str:
    """``a|b|c``; of many, as a swept entry stands for, the first ones."""
    more = f" and {len(patterns) - SHOWN} more" if len(patterns) > SHOWN + 1 else ""
    return "|".join(patterns[:SHOWN] if more else patterns) + more
