"""What a gate is asked, one rule on one estimate at a time, and the words for it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from symbench import estimates
from symbench.compare import Measured, Recorded, at_floor
from symbench.estimates import Estimate
from symbench.gate.decide import Question
from symbench.records import CellStatus, MatchRecord, Verdict
from symbench.statistics import Doubt, unseen
from symbench.suite.rules import Rule


@dataclass(frozen=True)
class Policy:
    """What counts as passed.

    Attributes:
        inconclusive: what inconclusive matches count as; None: the gate could not decide.
        no_baseline: what rules against a baseline come to where there is none; None: it is missing.
    """

    inconclusive: Literal["fail", "warn", "pass"] | None = None
    no_baseline: Literal["fail", "pass"] | None = None


@dataclass(frozen=True)
class Against:
    """What rules against a baseline are compared with.

    Attributes:
        name: what messages call it; None where none is named and there is none.
        baseline: the baseline; None where it is missing or cannot be used.
        broken: why it cannot be used.
    """

    name: str | None = None
    baseline: Measured | None = None
    broken: str | None = None


@dataclass(frozen=True)
class Match:
    """A rule on an estimate, before it is decided: with a question, or with a verdict already.

    Attributes:
        record: what is told of it.
        question: what is still to be decided.
        outcome: what it counts as where it does not pass.
        waits: it compares with a baseline, and there is none yet.
    """

    record: MatchRecord
    question: Question | None = None
    outcome: str = "undecided"
    waits: bool = False


def replay(suite: str, cell: CellStatus, run: Recorded) -> str:
    """The command that runs just this cell."""
    only = f"model={cell.model},dataset={cell.dataset},symmetry={cell.symmetry}"
    results = [] if str(run.store.root) == "results" else ["--results", str(run.store.root)]
    return shlex.join(["symbench", "run", suite, "--only", only, *results])


def numbers(found: Estimate) -> dict[str, Any]:
    """What a record holds of an estimate."""
    value = found.value
    return {
        "output": found.output, "element": value.element, "elements": found.elements, "unit": found.unit,
        "n": value.n, "estimate": value.estimate,
    }  # fmt: skip


NOTHING = {"estimate": None, "n": None}
ENOUGH_TIMES = 3
"""Fewer times than this are no measurement."""


def interval(found: Estimate) -> dict[str, float | None]:
    """The limits of an estimate, as a record holds them."""
    sampled = found.value.sampled
    interval = None if sampled is None else sampled.interval(seed=estimates.BOOTSTRAP_SEED)
    return {"low": interval.low if interval else None, "high": interval.high if interval else None}


def replica(rule: Rule) -> bool:
    """Whether a rule is about the only replica that there is."""
    return not rule.replica or any(fnmatchcase("0", pattern) for pattern in rule.replica)


def takes(rule: Rule, found: Estimate) -> bool:
    """Whether an estimate is one that the rule is about."""
    if not (found.primary if rule.elements is None else found.elements == rule.elements):
        return False
    by_element = found.row.per_element and not rule.element
    return by_element or rule.takes_element(found.value.element)


def within_floor(found: Estimate, limit: float) -> bool:
    """Whether a number is at its floor, and the floor within the limit."""
    return at_floor(found) and found.floor is not None and found.floor <= limit


def asked(told: MatchRecord, doubt: Doubt, margin: float, *, difference: bool) -> Match:
    """A question, and what no answer to it can see."""
    told = told.model_copy(update={"unseen": unseen(doubt.n), "bounded": doubt.holds})
    return Match(told, Question(doubt, margin, difference=difference))


def nothing_to_lose(before: Estimate, after: Estimate) -> str | None:
    """Why a change cannot be more than a part of the baseline's value, where that is 0; None where it can."""
    a, b = before.value.estimate, after.value.estimate
    if a != 0:
        return None
    if b == 0:
        return "0 in both runs: no change"
    gained = after.unit == "share" and after.row.better == "higher"
    return "0 in the baseline: there was nothing to lose" if gained else None


def bare(told: MatchRecord, number: float, margin: float) -> Match:
    """A number without an interval: a count, a time, the largest seen."""
    if number <= margin:
        return Match(said(told, "pass", "a number without an interval"))
    return Match(said(told, "fail", "a number without an interval, beyond the limit"))


def said(told: MatchRecord, verdict: Verdict, reason: str) -> MatchRecord:
    """A record with its verdict."""
    return told.model_copy(update={"verdict": verdict, "reason": reason})
