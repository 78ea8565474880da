"""Which rule is about which estimate: a suite's rules on the cells of a run, and of a baseline beside it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property

from symbench.algebra.metrics import METRICS, Metrics, role_of
from symbench.base.errors import ConfigError, near_miss
from symbench.base.records import CellRecord, CellStatus, MatchRecord, Verdict
from symbench.measure.suite.gates import metrics_of
from symbench.measure.suite.rules import RELATIVE, Rule
from symbench.read import estimates
from symbench.read.estimates import Estimate
from symbench.read.pairing.difference import Paired, pair_cells
from symbench.read.pairing.runs import Measured, Recorded, Timed, names_of

CLASSES, CHANCE = role_of("predicted classes"), role_of("chance")
COLLAPSE = {name: METRICS.rows[name] for name in (CLASSES, CHANCE)}
"""What tells whether a model has collapsed."""
MOST_NAMED = 5
"""Elements that are named where a rule is on one that is not there."""


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
class Sides:
    """A run, and what it is held against."""

    run: Recorded
    against: Against

    @cached_property
    def after(self) -> Timed:
        """The run's records."""
        return Timed(self.run)

    @cached_property
    def before(self) -> Timed | None:
        """The baseline's records."""
        return Timed(self.against.baseline) if self.against.baseline else None


@dataclass(frozen=True)
class Ruled:
    """A rule with its place in the suite and the metrics that it is about."""

    number: int
    rule: Rule
    metrics: Metrics

    @property
    def relative(self) -> bool:
        """Whether it compares with a baseline."""
        return self.rule.kind in RELATIVE

    def about(self, cell: CellStatus, replica: int) -> bool:
        """Whether a cell, which is of this replica, is one of its own."""
        wanted = self.rule.replica
        return self.rule.matches(names_of(cell)) and (not wanted or any(fnmatchcase(str(replica), p) for p in wanted))

    def takes(self, estimate: Estimate) -> bool:
        """Whether an estimate is one that it is about."""
        rule = self.rule
        if estimate.metric not in self.metrics:
            return False
        if estimate.stratum is not None:
            return False  # pieces of a group are printed apart; rules are about the whole of it
        if not (estimate.primary if rule.elements is None else estimate.elements == rule.elements):
            return False
        each = estimate.row.per_element and not rule.element
        return each or rule.takes_element(estimate.value.element)


@dataclass(frozen=True)
class Ruling:
    """A verdict that no test is needed for.

    Attributes:
        verdict: itself.
        reason: why.
        outcome: what it counts as where it does not pass.
        waits: the rule compares with a baseline, and there is none yet.
    """

    verdict: Verdict
    reason: str
    outcome: str = "undecided"
    waits: bool = False


@dataclass(frozen=True)
class Match:
    """A rule on an estimate of a cell; or on what is not there, with what that comes to.

    Attributes:
        ruled: the rule.
        metric: its metric, or the rule's patterns where none is meant.
        cell: the cell; None where the rule is on no cell that is there.
        pair: the estimate in the run and in the baseline.
        ruling: where there is no estimate.
        element: the pattern that no element's label fits.
        replayed: whether running the cell again would tell more.
    """

    ruled: Ruled
    metric: str
    cell: CellStatus | None = None
    pair: Paired | None = None
    ruling: Ruling | None = None
    element: str | None = None
    replayed: bool = True


@dataclass(frozen=True)
class Matched:
    """What the rules match in one cell.

    Attributes:
        matches: rule by rule for each estimate.
        collapsed: the cell's name, where a rule is on how much a model stays the same that predicts one class only.
        elements: of rules that name elements, by their numbers, the elements that their metrics have.
    """

    matches: list[Match]
    collapsed: list[str] = field(default_factory=list)
    elements: dict[int, dict[str, None]] = field(default_factory=dict)


def ruled(rules: Sequence[Rule], known: Metrics) -> list[Ruled]:
    """Rules with what they are about."""
    return [Ruled(number, rule, metrics_of(rule, known)) for number, rule in enumerate(rules)]


def in_cell(sides: Sides, rules: Sequence[Ruled], known: Metrics, cell: CellStatus) -> Matched:
    """What the rules match in one cell; what is broken on disk is a verdict too."""
    mine = [each for each in rules if each.about(cell, sides.run.replicas.get(cell.model, 0))]
    if not mine:
        return Matched([])
    try:
        record = sides.after.record(cell)
        if record is None:
            return _without(cell, mine, _unmeasured(sides, cell))
        return _estimated(sides, mine, known, cell, record)
    except ConfigError as error:
        return _without(cell, mine, Ruling("error", str(error), "config"))


def _without(cell: CellStatus, rules: Sequence[Ruled], ruling: Ruling) -> Matched:
    """A cell without estimates: every rule on it comes to the same."""
    return Matched([Match(each, metric, cell, ruling=ruling) for each in rules for metric in each.metrics])


def _unmeasured(sides: Sides, cell: CellStatus) -> Ruling:
    if cell.status == "failed":
        return Ruling("error", f"the cell failed: {cell.reason}", "cell")
    fault = sides.after.fault(cell)
    return Ruling("missing", f"the cell counts as not measured: {fault}" if fault else "the cell is not measured")


def _estimated(sides: Sides, mine: Sequence[Ruled], known: Metrics, cell: CellStatus, record: CellRecord) -> Matched:
    wanted = {name: row for each in mine for name, row in each.metrics.items()}
    if any(row.blind for row in wanted.values()):
        wanted |= COLLAPSE
    ordered = {name: row for name, row in known.items() if name in wanted}
    matches: list[Match] = []
    facts: dict[tuple[str | None, str], float | None] = {}
    elements: dict[int, dict[str, None]] = {}
    for pair in _pairs(sides, cell, record, ordered, any(each.relative for each in mine)):
        if pair.after is not None and pair.after.metric in COLLAPSE:
            facts[pair.after.output, pair.after.metric] = pair.after.value.estimate
        label = pair.either.value.element
        for each in mine:
            if label is not None and each.rule.element and pair.either.metric in each.metrics:
                elements.setdefault(each.number, {})[label] = None
        matches += [Match(each, pair.either.metric, cell, pair) for each in mine if each.takes(pair.either)]
    outputs = [output for (output, metric), number in facts.items() if metric == CLASSES and number == 1]
    collapsed = any(facts.get((output, CHANCE)) != 1 for output in outputs)
    return Matched(matches, [f"{cell.model} on {cell.dataset} under {cell.symmetry}"] if collapsed else [], elements)


def _pairs(sides: Sides, cell: CellStatus, record: CellRecord, metrics: Metrics, relative: bool) -> Iterator[Paired]:
    """The cell's estimates, beside the baseline's where a rule asks for them."""
    baseline, passes = sides.against.baseline, sides.after.passes(cell)
    if not relative or baseline is None or sides.before is None:
        why = sides.against.broken
        yield from (Paired(None, estimate, why) for estimate in estimates.of_cell(sides.run, record, metrics, passes))
        return
    other = next((c for c in baseline.cells if names_of(c) == names_of(cell)), None)
    before = sides.before.record(other)
    if before is not None:
        yield from pair_cells(baseline, sides.run, before, record, metrics, (sides.before.passes(other), passes))
        return
    fault = sides.before.fault(other) or (other and other.reason) or "not measured"
    why = f"the baseline's cell cannot be used: {fault}" if other else "the baseline has no such cell"
    yield from (Paired(None, estimate, why) for estimate in estimates.of_cell(sides.run, record, metrics, passes))


def once(matches: Iterable[Match], taken: set[tuple[int, str, str, str]]) -> Iterator[Match]:
    """The matches, without what another symmetry's cell has said already: costs are one for all symmetries.

    Args:
        matches: of a cell.
        taken: what cells before it have said; those of this one are added.
    """
    for match in matches:
        if match.pair is not None and match.cell is not None and match.pair.either.row.scope == "model":
            key = (match.ruled.number, match.cell.model, match.cell.dataset, match.metric)
            if key in taken:
                continue
            taken.add(key)
        yield match


def unmatched(
    sides: Sides, rules: Sequence[Ruled], records: Sequence[MatchRecord], elements: Mapping[int, Collection[str]]
) -> Iterator[Match]:
    """What rules have not looked at: everything, where they match nothing; what --only left out or is gone.

    Args:
        sides: the run and the baseline.
        rules: all of them.
        records: of what they matched.
        elements: by rule those that its metrics have, where it names some.
    """
    only = sides.run.manifest.only
    for each in rules:
        patterns = "|".join(each.rule.metric)
        yield from _gone(sides, each, patterns)
        labels = [record.element or "" for record in records if record.rule == each.number]
        if not labels:
            reason = f"the rule matches nothing in this run{_asks(each.rule, elements.get(each.number, ()))}"
            yield Match(each, patterns, ruling=Ruling("missing", reason))
            continue
        for pattern in each.rule.element:
            if not any(fnmatchcase(label, pattern) for label in labels):
                ruling = Ruling("missing", f"no element is called {pattern!r}")
                yield Match(each, patterns, ruling=ruling, element=pattern)
        if only:
            reason = f"the run took only {'; '.join(only)}: the suite's other cells were not looked at"
            yield Match(each, patterns, ruling=Ruling("missing", reason))


def _asks(rule: Rule, elements: Collection[str]) -> str:
    """``: it asks for element 'baar'. Did you mean 'bar'?``, or where it looks; empty of a rule on everything."""
    unknown = [pattern for pattern in rule.element if not any(fnmatchcase(each, pattern) for each in elements)]
    if elements and unknown:
        near = near_miss(unknown[0], elements)
        known = ", ".join(list(elements)[:MOST_NAMED]) + (", ..." if len(elements) > MOST_NAMED else "")
        return f": no element or class is called {unknown[0]!r}, but {known}" + (f". {near}" if near else "")
    told = {kind: getattr(rule, kind) for kind in ("model", "dataset", "symmetry", "element")}
    asked = [f"{kind} {'|'.join(patterns)}" for kind, patterns in told.items() if patterns]
    return f": it asks for {', '.join(asked)}" if asked else ""


def _gone(sides: Sides, each: Ruled, patterns: str) -> Iterator[Match]:
    """Cells that the baseline has and the run has not: a rule must not pass by what was taken out."""
    baseline = sides.against.baseline
    if not each.relative or baseline is None or sides.run.manifest.only:
        return
    here = [names_of(cell) for cell in sides.run.cells]
    for cell in baseline.cells:
        if names_of(cell) not in here and each.rule.matches(names_of(cell)):
            ruling = Ruling("missing", "the baseline has this cell, and the run has not")
            yield Match(each, patterns, cell, ruling=ruling, replayed=False)
