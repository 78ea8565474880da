"""A suite's rules on a run's cells: which number each is about, and what there is to ask."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, Literal

from symbench import estimates
from symbench.compare import Measured, Paired, Recorded, Timed, pair_cells, worse_of
from symbench.estimates import Estimate
from symbench.gate.decide import Question
from symbench.records import CellRecord, CellStatus, MatchRecord, Verdict
from symbench.statistics import standing
from symbench.suite.gates import metrics_of
from symbench.suite.rules import RELATIVE, Rule


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
    """A rule on an estimate, before it is decided: with a question, or with a verdict already."""

    record: MatchRecord
    question: Question | None = None
    outcome: str = "undecided"


@dataclass(frozen=True)
class Judge:
    """Rules, and what they are held against."""

    run: Recorded
    rules: Sequence[Rule]
    against: Against
    policy: Policy
    suite: str

    @cached_property
    def metrics(self) -> list[list[str]]:
        """What each rule is about."""
        return [metrics_of(rule) for rule in self.rules]

    @cached_property
    def timed(self) -> Timed:
        """The run's records."""
        return Timed(self.run)

    @cached_property
    def timed_baseline(self) -> Timed | None:
        """The baseline's records."""
        return Timed(self.against.baseline) if self.against.baseline else None

    def cell(self, place: tuple[CellStatus, bool]) -> Iterator[Match]:
        """The matches of all rules in one cell."""
        cell, first = place
        names = {"model": cell.model, "dataset": cell.dataset, "symmetry": cell.symmetry}
        mine = [(i, rule) for i, rule in enumerate(self.rules) if rule.matches(names) and _replica(rule)]
        if not mine:
            return
        record = self.timed.record(cell)
        if record is None:
            verdict: Verdict = "error" if cell.status == "failed" else "missing"
            reason = f"the cell failed: {cell.reason}" if cell.status == "failed" else "the cell is not measured"
            for i, _ in mine:
                for metric in self.metrics[i]:
                    told = self._record(i, cell, metric=metric, verdict=verdict, reason=reason)
                    yield Match(told, outcome="cell" if verdict == "error" else "undecided")
            return
        wanted = list(dict.fromkeys(metric for i, _ in mine for metric in self.metrics[i]))
        for pair in self._pairs(cell, record, wanted, any(rule.kind in RELATIVE for _, rule in mine)):
            if pair.either.row.scope == "model" and not first:
                continue
            for i, rule in mine:
                if pair.after is not None and pair.after.metric in self.metrics[i] and _takes(rule, pair.after):
                    yield self._match(i, rule, cell, pair)

    def _pairs(self, cell: CellStatus, record: CellRecord, metrics: list[str], relative: bool) -> Iterator[Paired]:
        """The cell's estimates, beside the baseline's where a rule asks for them."""
        baseline = self.against.baseline
        if not relative or baseline is None:
            why = self.against.broken
            yield from (Paired(None, found, why) for found in estimates.of_cell(self.run, record, metrics))
            return
        other = next((c for c in baseline.cells if _names(c) == _names(cell)), None)
        before = self.timed_baseline.record(other) if self.timed_baseline else None
        if before is None:
            why = "the baseline has no such cell"
            yield from (Paired(None, found, why) for found in estimates.of_cell(self.run, record, metrics))
            return
        yield from pair_cells(baseline, self.run, before, record, metrics)

    def _match(self, i: int, rule: Rule, cell: CellStatus, pair: Paired) -> Match:
        assert pair.after is not None
        told = self._record(i, cell, found=pair.after, verdict="missing", reason="")
        if self.run.manifest.limit is not None:
            reason = f"the run took only the first {self.run.manifest.limit} samples: it is no release"
            return Match(_said(told, "not comparable", reason))
        value = pair.after.value
        if value.estimate is None:
            outcome = "cell" if value.failed else "undecided"
            reason = value.reason or "there is no number"
            return Match(_said(told, "error" if value.failed else "missing", reason), outcome=outcome)
        if rule.kind in RELATIVE:
            return self._relative(rule, told, pair)
        return _absolute(rule, told, pair.after)

    def _relative(self, rule: Rule, told: MatchRecord, pair: Paired) -> Match:
        """Against the baseline."""
        if self.against.baseline is None:
            return self._without_baseline(told)
        if pair.before is None:
            return Match(_said(told, "missing", pair.reason or "the baseline has no such estimate"))
        before, after = pair.before.value, pair.after
        assert after is not None
        if before.estimate is None:
            return Match(_said(told, "missing", f"the baseline has no number: {before.reason}"))
        margin = rule.limit * (abs(before.estimate) if rule.kind == "max_relative_drop" else 1.0)
        told = told.model_copy(update={"before": before.estimate, "margin": margin})
        if pair.reason is not None:
            return Match(_said(told, "not comparable", pair.reason))
        if pair.identical:
            told = told.model_copy(update={"change": 0.0, "change_low": 0.0, "change_high": 0.0})
            return Match(_said(told, "pass", "identical to the baseline"))
        doubt = pair.doubt()
        assert doubt is not None
        told = told.model_copy(update={"change": doubt.estimate, "change_low": doubt.low, "change_high": doubt.high})
        limit = before.estimate + worse_of(after) * margin
        if _at_floor(after, limit) and before.estimate <= (pair.before.floor or 0.0):
            return Match(_said(told, "pass", "both are at the floor"))
        if after.value.sampled is None:
            return _bare(told, doubt.estimate, margin)
        return Match(told, Question(doubt, margin, difference=True))

    def _without_baseline(self, told: MatchRecord) -> Match:
        if self.against.broken is not None:
            return Match(
                _said(told, "error", f"the baseline cannot be used: {self.against.broken}"), outcome="config"
            )
        told = told.model_copy(update={"replay": None})
        reason = f"there is no baseline at {self.against.name}" if self.against.name else "there is no baseline"
        if self.policy.no_baseline == "pass":
            return Match(_said(told, "pass", f"{reason}: taken as a first release"), outcome="pass")
        if self.policy.no_baseline == "fail":
            return Match(_said(told, "fail", reason), outcome="fail")
        return Match(_said(told, "missing", f"{reason}: 'symbench baseline set' makes one"))

    def unmatched(self, i: int, matches: Sequence[Match]) -> Iterator[Match]:
        """What a rule has not looked at: everything, where it matches nothing; what --only left out."""
        only = self.run.manifest.only
        if not any(match.record.rule == i for match in matches):
            yield Match(self._record(i, None, verdict="missing", reason="the rule matches nothing in this run"))
        elif only:
            reason = f"the run took only {'; '.join(only)}: the suite's other cells were not looked at"
            yield Match(self._record(i, None, verdict="missing", reason=reason))

    def _record(self, i: int, cell: CellStatus | None, *, verdict: Verdict, reason: str, **more: Any) -> MatchRecord:
        rule, found = self.rules[i], more.get("found")
        lines = self.run.manifest.gates_at
        metric = found.metric if found else more.get("metric", "|".join(rule.metric))
        told: dict[str, Any] = {
            "rule": i, "name": rule.name, "where": lines[i] if i < len(lines) else None, "metric": metric,
            "kind": rule.kind, "limit": rule.limit, "verdict": verdict, "reason": reason,
        }  # fmt: skip
        if cell is not None:
            whole = found is not None and found.row.scope == "model"
            told |= {**_names(cell), "replica": 0, "symmetry": None if whole else cell.symmetry}
            if self.run.manifest.limit is None:
                told["replay"] = _replay(self.suite, cell, self.run)
        if found is not None:
            told |= _numbers(found)
        return MatchRecord(**told)


def _names(cell: CellStatus) -> dict[str, str]:
    return {"model": cell.model, "dataset": cell.dataset, "symmetry": cell.symmetry}


def _replay(suite: str, cell: CellStatus, run: Recorded) -> str:
    only = f"model={cell.model},dataset={cell.dataset},symmetry={cell.symmetry}"
    results = [] if str(run.store.root) == "results" else ["--results", str(run.store.root)]
    return shlex.join(["symbench", "run", suite, "--only", only, *results])


def _numbers(found: Estimate) -> dict[str, Any]:
    value = found.value
    interval = None if value.sampled is None else value.sampled.interval(seed=estimates.BOOTSTRAP_SEED)
    return {
        "output": found.output, "element": value.element, "elements": found.elements, "unit": found.unit,
        "n": value.n, "estimate": value.estimate, "low": interval.low if interval else None,
        "high": interval.high if interval else None,
    }  # fmt: skip


def _replica(rule: Rule) -> bool:
    return not rule.replica or any(fnmatchcase("0", pattern) for pattern in rule.replica)


def _takes(rule: Rule, found: Estimate) -> bool:
    """Whether an estimate is one that the rule is about."""
    if not (found.primary if rule.elements is None else found.elements == rule.elements):
        return False
    if rule.elements is not None and not found.primary and found.value.element is not None:
        return False
    label = found.value.element
    by_element = found.metric in PER_ELEMENT and not rule.element
    return by_element or rule.takes_element(label)


PER_ELEMENT = frozenset({"element_accuracy", "lie_derivative", "lie_derivative_central", "lie_slope"})
"""Metrics that have estimates for single elements or generators only: a rule without ``element:`` takes all."""


def _absolute(rule: Rule, told: MatchRecord, found: Estimate) -> Match:
    """Against a limit of its own."""
    value, worse = found.value, -1 if rule.kind == "at_least" else 1
    assert value.estimate is not None
    if worse > 0 and _at_floor(found, rule.limit):
        return Match(_said(told, "pass", "at the floor: no more than repeating and precision change it"))
    if value.sampled is None:
        return _bare(told, worse * value.estimate, worse * rule.limit)
    doubt = standing(value.sampled, worse, seed=estimates.BOOTSTRAP_SEED)
    return Match(told, Question(doubt, worse * rule.limit, difference=False))


def _at_floor(found: Estimate, limit: float) -> bool:
    """Whether a number that should be low is at its floor, and the floor within the limit."""
    value, floor = found.value.estimate, found.floor
    low = found.row.better == "lower" and found.unit != "share"
    return low and value is not None and floor is not None and value <= floor <= limit


def _bare(told: MatchRecord, number: float, margin: float) -> Match:
    """A number without an interval: a count, a time, the largest seen."""
    if number <= margin:
        return Match(_said(told, "pass", "a number without an interval"), outcome="pass")
    return Match(_said(told, "fail", "a number without an interval, beyond the limit"), outcome="fail")


def _said(told: MatchRecord, verdict: Verdict, reason: str) -> MatchRecord:
    return told.model_copy(update={"verdict": verdict, "reason": reason})
