"""A suite's rules on a run's cells: which number each is about, and what there is to ask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from symbench import estimates
from symbench.code import foreign
from symbench.compare import Paired, Recorded, Timed, at_floor, names_of, pair_cells, worse_of
from symbench.errors import CellError, ConfigError
from symbench.estimates import Estimate
from symbench.gate.explain import Explainer
from symbench.gate.match import (
    ENOUGH_TIMES,
    NOTHING,
    Against,
    Match,
    Policy,
    asked,
    bare,
    interval,
    nothing_to_lose,
    numbers,
    replay,
    replica,
    said,
    takes,
    within_floor,
)
from symbench.metrics import METRICS, MetricRow, Metrics, role_of
from symbench.records import CellRecord, CellStatus, MatchRecord, Verdict
from symbench.statistics import standing
from symbench.suite.gates import metrics_of
from symbench.suite.rules import RELATIVE, Rule

CLASSES, CHANCE = role_of("predicted classes"), role_of("chance")
COLLAPSE = {name: METRICS.rows[name] for name in (CLASSES, CHANCE)}
"""What tells whether a model has collapsed."""


@dataclass(frozen=True)
class Judge:
    """Rules, and what they are held against."""

    run: Recorded
    rules: Sequence[Rule]
    against: Against
    policy: Policy
    suite: str
    known: Metrics
    once: set[tuple[int, str, str, str]] = field(default_factory=set)
    seen: dict[tuple[tuple[str, str, str, str | None], str], float | None] = field(default_factory=dict)

    @cached_property
    def metrics(self) -> list[dict[str, MetricRow]]:
        """What each rule is about."""
        return [metrics_of(rule, self.known) for rule in self.rules]

    @cached_property
    def timed(self) -> Timed:
        """The run's records."""
        return Timed(self.run)

    @cached_property
    def timed_baseline(self) -> Timed | None:
        """The baseline's records."""
        return Timed(self.against.baseline) if self.against.baseline else None

    def cell(self, cell: CellStatus) -> list[Match]:
        """The matches of all rules in one cell; what is broken on disk is a verdict too."""
        try:
            return list(self._cell(cell))
        except ConfigError as error:
            mine = [i for i, rule in enumerate(self.rules) if rule.matches(names_of(cell)) and replica(rule)]
            told = [(i, metric) for i in mine for metric in self.metrics[i]]
            why = str(error)
            return [
                Match(self._record(i, cell, verdict="error", reason=why, metric=m), None, "config") for i, m in told
            ]

    def _cell(self, cell: CellStatus) -> Iterator[Match]:
        mine = [(i, rule) for i, rule in enumerate(self.rules) if rule.matches(names_of(cell)) and replica(rule)]
        if not mine:
            return
        record = self.timed.record(cell)
        if record is None:
            verdict: Verdict = "error" if cell.status == "failed" else "missing"
            fault = self.timed.fault(cell)
            unmeasured = f"the cell counts as not measured: {fault}" if fault else "the cell is not measured"
            reason = f"the cell failed: {cell.reason}" if cell.status == "failed" else unmeasured
            for i, _ in mine:
                for metric in self.metrics[i]:
                    told = self._record(i, cell, metric=metric, verdict=verdict, reason=reason)
                    yield Match(told, outcome="cell" if verdict == "error" else "undecided")
            return
        wanted = {name: row for i, _ in mine for name, row in self.metrics[i].items()}
        if any(row.blind for row in wanted.values()):
            wanted |= COLLAPSE
        wanted = {name: row for name, row in self.known.items() if name in wanted}
        for pair in self._pairs(cell, record, wanted, any(rule.kind in RELATIVE for _, rule in mine)):
            if pair.after is not None and pair.after.metric in COLLAPSE:
                place = cell.model, cell.dataset, cell.symmetry, pair.after.output
                self.seen[place, pair.after.metric] = pair.after.value.estimate
            for i, rule in mine:
                if pair.either.metric in self.metrics[i] and takes(rule, pair.either) and self._first(i, cell, pair):
                    yield self._match(i, rule, cell, pair)

    @property
    def collapsed(self) -> list[str]:
        """What is said of models that predict one class only where a rule is on how much they stay the same."""
        classes = {place: number for (place, metric), number in self.seen.items() if metric == CLASSES}
        found = [place for place, number in classes.items() if number == 1 and self.seen.get((place, CHANCE)) != 1]
        names = dict.fromkeys(f"{model} on {dataset} under {symmetry}" for model, dataset, symmetry, _ in found)
        return [f"{name} predicts one class only: that it stays the same says nothing" for name in names]

    def _first(self, i: int, cell: CellStatus, pair: Paired) -> bool:
        """Whether it is not what another symmetry's cell has said already."""
        if pair.either.row.scope != "model":
            return True
        key = (i, cell.model, cell.dataset, pair.either.metric)
        new = key not in self.once
        self.once.add(key)
        return new

    def _pairs(self, cell: CellStatus, record: CellRecord, metrics: Metrics, relative: bool) -> Iterator[Paired]:
        """The cell's estimates, beside the baseline's where a rule asks for them."""
        baseline = self.against.baseline
        if not relative or baseline is None:
            why = self.against.broken
            yield from (Paired(None, found, why) for found in estimates.of_cell(self.run, record, metrics))
            return
        other = next((c for c in baseline.cells if names_of(c) == names_of(cell)), None)
        before = self.timed_baseline.record(other) if self.timed_baseline else None
        if before is None:
            fault = self.timed_baseline.fault(other) if self.timed_baseline else None
            unusable = f"the baseline's cell cannot be used: {fault or (other and other.reason) or 'not measured'}"
            why = unusable if other else "the baseline has no such cell"
            yield from (Paired(None, found, why) for found in estimates.of_cell(self.run, record, metrics))
            return
        yield from pair_cells(baseline, self.run, before, record, metrics)

    def _match(self, i: int, rule: Rule, cell: CellStatus, pair: Paired) -> Match:
        told = self._record(i, cell, found=pair.either, verdict="missing", reason="")
        if pair.after is None:
            return Match(said(told.model_copy(update=NOTHING), "missing", "the run has no such estimate"))
        if self.run.manifest.limit is not None:
            reason = f"the run took only the first {self.run.manifest.limit} samples: it is no release"
            return Match(said(told, "not comparable", reason))
        value = pair.after.value
        if value.estimate is None:
            outcome = "cell" if value.failed else "undecided"
            reason = value.reason or "there is no number"
            return Match(said(told, "error" if value.failed else "missing", reason), outcome=outcome)
        try:
            with foreign(CellError, f"metric {told.metric}", "its interval"):
                told = told.model_copy(update=interval(pair.after))
                return (
                    self._relative(rule, told, pair)
                    if rule.kind in RELATIVE
                    else self._absolute(rule, told, pair.after)
                )
        except CellError as error:
            return Match(said(told, "error", str(error)), outcome="cell")

    def _relative(self, rule: Rule, told: MatchRecord, pair: Paired) -> Match:
        """Against the baseline."""
        if self.against.baseline is None:
            return self._without_baseline(told)
        if pair.before is None:
            return Match(said(told, "missing", pair.reason or "the baseline has no such estimate"))
        before, after = pair.before.value, pair.after
        assert after is not None
        if before.estimate is None:
            return Match(said(told, "missing", f"the baseline has no number: {before.reason}"))
        margin = rule.limit * (abs(before.estimate) if rule.kind == "max_relative_drop" else 1.0)
        told = told.model_copy(update={"before": before.estimate, "margin": margin})
        if pair.reason is not None:
            return Match(said(told, "not comparable", pair.reason))
        if pair.identical:
            told = told.model_copy(update={"change": 0.0, "change_low": 0.0, "change_high": 0.0})
            return Match(said(told, "pass", "identical to the baseline"))
        nothing = nothing_to_lose(pair.before, after) if rule.kind == "max_relative_drop" else None
        if nothing is not None:
            change = worse_of(after) * (after.value.estimate or 0.0)
            return Match(said(told.model_copy(update={"change": change}), "pass", nothing))
        try:
            doubt = pair.doubt()
        except ValueError:
            return Match(said(told, "not comparable", "other samples"))
        assert doubt is not None
        told = told.model_copy(update={"change": doubt.estimate, "change_low": doubt.low, "change_high": doubt.high})
        limit = before.estimate + worse_of(after) * margin
        if within_floor(after, limit) and at_floor(pair.before):
            return Match(said(told, "pass", "both are at the floor"))
        if after.unit == "s":
            known = self.timed_baseline.times if self.timed_baseline else {}
            before_all = known.get((told.model or "", told.dataset or ""), [])
            return self._time(told, limit, [limit * each / before.estimate for each in before_all] or [limit])
        if after.value.sampled is None:
            return bare(told, doubt.estimate, margin)
        if rule.kind == "max_relative_drop":
            share = pair.doubt(relative=rule.limit)
            assert share is not None
            return asked(told, share, 0.0, difference=True)
        return asked(told, doubt, margin, difference=True)

    def _time(self, told: MatchRecord, limit: float, allowed: list[float]) -> Match:
        """A time: each cell took it once, and all of them must agree. ``allowed`` is the limit as often as known."""
        mine = told.metric == estimates.TIME
        taken = self.timed.times.get((told.model or "", told.dataset or ""), []) if mine else []
        if len(taken) < ENOUGH_TIMES:
            reason = f"timed in fewer than {ENOUGH_TIMES} cells: one time proves nothing"
            return Match(said(told, "inconclusive", reason))
        if max(taken) <= limit:
            return Match(said(told, "pass", f"all of {len(taken)} cells were timed within the limit"))
        if min(taken) > max(allowed):
            return Match(said(told, "fail", f"all of {len(taken)} cells took longer than the slowest is allowed"))
        return Match(said(told, "inconclusive", "some cells were timed within the limit and others beyond"))

    def _absolute(self, rule: Rule, told: MatchRecord, found: Estimate) -> Match:
        """Against a limit of its own."""
        value, worse = found.value, -1 if rule.kind == "at_least" else 1
        assert value.estimate is not None
        if worse > 0 and within_floor(found, rule.limit):
            return Match(said(told, "pass", "at the floor: no more than repeating and precision change it"))
        if found.unit == "s" and worse > 0:
            return self._time(told, rule.limit, [rule.limit])
        if value.sampled is None:
            return bare(told, worse * value.estimate, worse * rule.limit)
        doubt = standing(value.sampled, worse, seed=estimates.BOOTSTRAP_SEED)
        if doubt.holds:  # what it is decided by, which may be wider than what reports print
            shown = doubt if worse > 0 else doubt.turned()
            told = told.model_copy(update={"low": shown.low, "high": shown.high})
        return asked(told, doubt, worse * rule.limit, difference=False)

    def _without_baseline(self, told: MatchRecord) -> Match:
        if self.against.broken is not None:
            return Match(said(told, "error", f"the baseline cannot be used: {self.against.broken}"), outcome="config")
        told = told.model_copy(update={"replay": None})
        reason = f"there is no baseline at {self.against.name}" if self.against.name else "there is no baseline"
        if self.policy.no_baseline == "pass":
            return Match(said(told, "pass", f"{reason}: taken as a first release"))
        if self.policy.no_baseline == "fail":
            return Match(said(told, "fail", reason))
        return Match(said(told, "missing", f"{reason}: 'symbench baseline set' makes one"), waits=True)

    def explained(self, matches: Sequence[Match]) -> Iterator[Match]:
        """The matches, those that failed with what happened."""
        explainer, baseline = Explainer(self.run), self.against.baseline
        cells = {tuple(names_of(cell).values()): cell for cell in self.run.cells}
        others = {tuple(names_of(cell).values()): cell for cell in baseline.cells} if baseline else {}
        for match in matches:
            told = match.record
            place = (told.model or "", told.dataset or "", told.symmetry or "")
            record = self.timed.record(cells.get(place)) if told.verdict == "fail" else None
            if record is None:
                yield match
                continue
            relative = told.kind in RELATIVE and told.before is not None and self.timed_baseline is not None
            other = self.timed_baseline.record(others.get(place)) if relative and self.timed_baseline else None
            happened = explainer.of(told, record, baseline, other)
            yield replace(match, record=told.model_copy(update={"happened": happened}))

    def unmatched(self, i: int, matches: Sequence[Match]) -> Iterator[Match]:
        """What a rule has not looked at: everything, where it matches nothing; what --only left out or is gone."""
        only = self.run.manifest.only
        yield from self._gone(i)
        if any(match.record.rule == i for match in matches):
            labels = [match.record.element or "" for match in matches if match.record.rule == i]
            for pattern in self.rules[i].element:
                if not any(fnmatchcase(label, pattern) for label in labels):
                    told = self._record(i, None, verdict="missing", reason=f"no element is called {pattern!r}")
                    yield Match(told.model_copy(update={"element": pattern}))
        if not any(match.record.rule == i for match in matches):
            yield Match(self._record(i, None, verdict="missing", reason="the rule matches nothing in this run"))
        elif only:
            reason = f"the run took only {'; '.join(only)}: the suite's other cells were not looked at"
            yield Match(self._record(i, None, verdict="missing", reason=reason))

    def _gone(self, i: int) -> Iterator[Match]:
        """Cells that the baseline has and the run has not: a rule must not pass by what was taken out."""
        rule, baseline = self.rules[i], self.against.baseline
        if rule.kind not in RELATIVE or baseline is None or self.run.manifest.only:
            return
        here = [names_of(cell) for cell in self.run.cells]
        for cell in baseline.cells:
            if names_of(cell) not in here and rule.matches(names_of(cell)):
                reason = "the baseline has this cell, and the run has not"
                told = self._record(i, cell, verdict="missing", reason=reason, metric="|".join(rule.metric))
                yield Match(told.model_copy(update={"replay": None}))

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
            told |= {**names_of(cell), "replica": 0, "symmetry": None if whole else cell.symmetry}
            if self.run.manifest.limit is None:
                told["replay"] = replay(self.suite, cell, self.run)
        if found is not None:
            told |= numbers(found)
        return MatchRecord(**told)
